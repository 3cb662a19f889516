/*
 * calendar_channel.c
 *	  Change notifications of connected calendars: asked for, renewed before
 *	  they end, and stopped. Pulls go on whatever becomes of them.
 */
#include "postgres.h"

#include <string.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_guard.h"
#include "base/th_guc.h"
#include "crypto/envelope.h"
#include "crypto/token.h"
#include "flow/calendar_credential.h"
#include "flow/calendar_work.h"
#include "store/calendar_channel.h"
#include "store/connection_found.h"
#include "store/history.h"
#include "store/push_channel.h"

/* Bytes of a channel's name, where we choose it, and of its secret. */
#define NAME_BYTES 16
#define SECRET_BYTES 24

/* Who refuses channels is asked again later and later, up to this. */
#define FIRST_PAUSE_US (5 * USECS_PER_MINUTE)
#define LAST_PAUSE_US (6 * USECS_PER_HOUR)

typedef struct ChannelSubject
{
	const ThChannelList *list;
	int64 life_us;            /* that the vendor gives */
	const ThChannel *present; /* that is asked about; NULL for a new one */
	ThCalendarChannel wanted;
	bool is_lapsed;     /* nothing was told for a while */
	const char *former; /* secret: the token of the grant before; or NULL */

	/* what it led to */
	ThChannelNew *made;
	TimestampTz expires_at; /* of the present one; 0: as it was */
	TimestampTz renew_at;
	bool is_dropped; /* the present one is no more */
} ChannelSubject;

static int
count_retired(const ThChannelList *list)
{
	int n = 0;

	for (int i = 0; i < list->n; i++)
		n += list->channels[i].is_retired;
	return n;
}

static void
channel_load(ThWork **works, int n, TimestampTz now)
{
	int64 *clinics = palloc_array(int64, n);
	int64 *ids = palloc_array(int64, n);
	ThConnection *connections;
	ThChannelList *lists;

	for (int i = 0; i < n; i++)
	{
		clinics[i] = works[i]->job.clinic_id;
		ids[i] = works[i]->job.subject_id;
	}
	connections = th_connection_load(clinics, ids, n);
	lists = th_channel_load(clinics, ids, n);
	for (int i = 0; i < n; i++)
	{
		ChannelSubject *subject = palloc0_object(ChannelSubject);

		subject->list = &lists[i];
		if (count_retired(&lists[i]) > 0)
			subject->former = th_calendar_credential_former(clinics[i], ids[i],
															now);
		if (connections[i].id != 0)
			subject->life_us = th_vendor_limit(connections[i].kind,
											   "channel_minutes", 4230) *
							   USECS_PER_MINUTE;
		works[i]->calendar->connection = &connections[i];
		works[i]->calendar->subject = subject;
	}
}

/* ---- what is to be done ---- */

/* Vendors tell nobody whose address is not https. */
static bool
is_wanted(const ThWork *work)
{
	const ThConnection *c = work->calendar->connection;
	const ThCalendar *vendor = work->calendar->vendor;

	return c->id != 0 && vendor != NULL && th_connection_pulls(c) &&
		   vendor->codecs[TH_CALENDAR_WATCH].build != NULL &&
		   pg_strncasecmp(th_guc_public_url, "https://", 8) == 0;
}

static const char *
address_of(const ThWork *work)
{
	size_t length = strlen(th_guc_public_url);

	while (length > 0 && th_guc_public_url[length - 1] == '/')
		length--;
	return psprintf("%.*s/api/webhooks/%s", (int) length, th_guc_public_url,
					work->calendar->vendor->push_source);
}

/* In wiped memory: it is sealed once the channel is there. */
static char *
make_secret(void)
{
	char *text = th_token_hex(SECRET_BYTES);
	char *secret = th_guard_secret_text(CurrentMemoryContext, text,
										strlen(text));

	explicit_bzero(text, strlen(text));
	pfree(text);
	return secret;
}

static void
call(ThWork *work, ThCalendarOp op, const ThChannel *present, TimestampTz now)
{
	ChannelSubject *subject = work->calendar->subject;
	ThCalendarCall *c = &work->calendar->call;
	ThCalendarChannel *wanted = &subject->wanted;

	memset(wanted, 0, sizeof(*wanted));
	if (present == NULL)
	{
		wanted->channel_id = th_token_hex(NAME_BYTES);
		wanted->secret = make_secret();
		wanted->address = address_of(work);
	}
	else
	{
		wanted->channel_id = present->channel_id;
		wanted->resource_id = present->resource_id;
	}
	wanted->expires_at = now + subject->life_us;
	subject->present = present;
	/* of another's calendar only who asked for it may stop it */
	work->calendar->token = op == TH_CALENDAR_STOP && present->is_retired
								? subject->former
								: NULL;
	c->op = op;
	c->channel = wanted;
	work->state = TH_WORK_READY;
}

/* The one that tells, if there is any. */
static const ThChannel *
live_one(const ChannelSubject *subject, TimestampTz now)
{
	for (int i = 0; i < subject->list->n; i++)
	{
		const ThChannel *channel = &subject->list->channels[i];

		if (!channel->is_retired && channel->expires_at > now)
			return channel;
	}
	return NULL;
}

/* One that is not needed any more. */
static const ThChannel *
surplus_one(const ChannelSubject *subject, const ThChannel *live)
{
	for (int i = 0; i < subject->list->n; i++)
	{
		if (&subject->list->channels[i] != live)
			return &subject->list->channels[i];
	}
	return NULL;
}

static void
channel_decide(ThWork *work, TimestampTz now)
{
	ChannelSubject *subject = work->calendar->subject;
	const ThCalendar *vendor = work->calendar->vendor;
	bool wants = is_wanted(work);
	const ThChannel *live = wants ? live_one(subject, now) : NULL;
	const ThChannel *surplus = surplus_one(subject, live);

	if (wants && (live == NULL || live->renew_at <= now))
	{
		bool renews = live != NULL &&
					  vendor->codecs[TH_CALENDAR_RENEW].build != NULL;

		subject->is_lapsed = live == NULL;
		call(work, renews ? TH_CALENDAR_RENEW : TH_CALENDAR_WATCH,
			 renews ? live : NULL, now);
		return;
	}
	if (surplus == NULL && live == NULL)
		th_work_done(work);
	else if (surplus == NULL)
		th_work_later(work, now, live->renew_at, NULL, NULL);
	else if (surplus->expires_at <= now || vendor == NULL)
	{
		subject->present = surplus;
		subject->is_dropped = true;
		th_work_again(work);
	}
	else
		call(work, TH_CALENDAR_STOP, surplus, now);
}

/* ---- answers ---- */

/*
 * Where it lives on when asked, half way; else so early that several tries
 * are left. Not all that were made together together.
 */
static TimestampTz
renew_at(const ThWork *work, TimestampTz expires_at, TimestampTz now)
{
	bool renews = work->calendar->vendor->codecs[TH_CALENDAR_RENEW].build !=
				  NULL;
	int64 life = Max(expires_at - now, 0);
	int64 share = renews ? life / 2 : life / 4;

	return expires_at - share -
		   (int64) ((uint64) work->job.subject_id % 100) * life / 1000;
}

static void
take_made(ThWork *work, TimestampTz now)
{
	ChannelSubject *subject = work->calendar->subject;
	const ThCalendarAnswer *answer = work->calendar->answer;
	ThChannelNew *made = palloc0_object(ThChannelNew);

	made->clinic_id = work->job.clinic_id;
	made->connection_id = work->job.subject_id;
	made->source = work->calendar->vendor->push_source;
	made->channel_id = pstrdup(answer->channel_id);
	made->resource_id = answer->resource_id == NULL
							? NULL
							: pstrdup(answer->resource_id);
	made->expires_at = answer->expires_at;
	made->renew_at = renew_at(work, answer->expires_at, now);
	subject->made = made;
	th_work_again(work);
}

static void
fail(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	const ThCalendarAnswer *answer = work->calendar->answer;
	int64 pause = FIRST_PAUSE_US;

	if (answer->verdict == TH_CALENDAR_CREDENTIALS ||
		answer->verdict == TH_CALENDAR_SCOPE_MISSING ||
		answer->verdict == TH_CALENDAR_TOKEN_EXPIRED)
	{
		th_calendar_fail(work, result, now);
		return;
	}
	for (int i = 0; i < work->job.failures && pause < LAST_PAUSE_US; i++)
		pause *= 2;
	th_calendar_note(work, result, "retry", now);
	th_work_later(work, now,
				  Max(now + Min(pause, LAST_PAUSE_US), answer->retry_at),
				  "no_channel",
				  answer->message != NULL
					  ? answer->message
					  : th_calendar_verdict_name(answer->verdict));
}

static void
channel_advance(ThWork *work, const ThHttpResult *result, TimestampTz now)
{
	ChannelSubject *subject = work->calendar->subject;
	const ThCalendarAnswer *answer = work->calendar->answer;
	ThCalendarOp op = work->calendar->call.op;
	bool is_ok = answer->verdict == TH_CALENDAR_OK;
	bool is_over = answer->verdict == TH_CALENDAR_GONE ||
				   (op == TH_CALENDAR_STOP &&
					(answer->verdict == TH_CALENDAR_PERMANENT ||
					 (work->calendar->token != NULL &&
					  answer->verdict == TH_CALENDAR_TOKEN_EXPIRED)));

	if (is_ok && op == TH_CALENDAR_WATCH)
		take_made(work, now);
	else if (is_ok && op == TH_CALENDAR_RENEW)
	{
		subject->expires_at = answer->expires_at;
		subject->renew_at = renew_at(work, answer->expires_at, now);
		th_work_again(work);
	}
	else if (op != TH_CALENDAR_WATCH && (is_ok || is_over))
	{
		subject->is_dropped = true;
		th_work_again(work);
	}
	else
	{
		fail(work, result, now);
		return;
	}
	th_calendar_note(work, result, is_ok ? "ok" : "gone", now);
}

/* ---- the end ---- */

static void
mark(const ThWork *work, ThJobKind kind, TimestampTz now)
{
	ThMark mark = { .kind = kind, .priority = TH_PRIORITY_CHANGE };

	mark.clinic_id = work->job.clinic_id;
	mark.subject_id = work->job.subject_id;
	mark.due_at = now;
	(void) th_job_mark_free(&mark, 1);
}

/*
 * When a calendar was connected there may have been no address to tell: what
 * the setting says now counts from the next full pass on.
 */
void
th_calendar_channel_miss(const ThWork *work, TimestampTz now)
{
	if (is_wanted(work) &&
		th_channel_is_left(work->job.clinic_id, work->job.subject_id))
		mark(work, TH_JOB_CHANNEL, now);
}

/* Its secret is sealed for the row it comes to lie in. */
static void
put(ChannelSubject *subject, TimestampTz now)
{
	ThChannelNew *made = subject->made;
	const char *secret = subject->wanted.secret;

	made->id = th_push_channel_number(made->clinic_id, made->source,
									  made->channel_id);
	made->envelope = th_envelope_seal(secret, strlen(secret),
									  th_envelope_place(TH_PUSH_CHANNEL_COLUMN,
														made->clinic_id,
														made->id, NULL));
	th_channel_put(made, now);
}

static void
channel_settle(ThWork **works, ThSettle *settles, int n, TimestampTz now)
{
	for (int i = 0; i < n; i++)
	{
		const ThWork *work = works[i];
		ChannelSubject *subject = work->calendar->subject;
		int64 clinic_id = work->job.clinic_id;

		if (settles[i].is_fenced || settles[i].is_locked)
			continue;
		if (subject->is_dropped)
		{
			th_channel_drop(clinic_id, subject->present->id);
			if (subject->present->is_retired &&
				count_retired(subject->list) == 1)
				th_connection_drop_former(clinic_id, work->job.subject_id);
		}
		else if (subject->expires_at != 0)
			th_channel_renew(clinic_id, subject->present->id,
							 subject->expires_at, subject->renew_at);
		if (subject->made == NULL)
			continue;
		put(subject, now);
		/* what happened while nobody told is asked for */
		if (subject->is_lapsed)
			mark(work, TH_JOB_PULL, now);
	}
}

const ThCalendarFlow th_calendar_channel_flow = {
	.load = channel_load,
	.decide = channel_decide,
	.advance = channel_advance,
	.settle = channel_settle,
};
