/*
 * meeting.c
 *	  The meeting of an appointment: which step closes the difference.
 *
 * What an answer leads to is in meeting_answer.c.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "crypto/token.h"
#include "flow/meeting.h"
#include "flow/wish.h"

#define MARKER_BYTES 16

typedef enum Want
{
	WANT_MEETING,
	WANT_NONE, /* there must be none */
	WANT_AS_IS /* over, or clinically settled: leave what is there */
} Want;

static bool
is_one_of(const char *value, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(value, *words) == 0)
			return true;
	return false;
}

static Want
want_of(const ThAppointment *a, TimestampTz now)
{
	static const char *const live[] = { "SCHEDULED", "CONFIRMED", "CHECKED_IN",
										"IN_PROGRESS", NULL };
	static const char *const ended[] = { "COMPLETED", "NO_SHOW", NULL };

	if (!a->exists || strcmp(a->type, "VIDEO") != 0 || !a->is_meeting_wanted)
		return WANT_NONE;
	if (is_one_of(a->status, ended))
		return WANT_AS_IS;
	if (!is_one_of(a->status, live))
		return WANT_NONE;
	return a->ends_at > now ? WANT_MEETING : WANT_AS_IS;
}

bool
th_meeting_must_replace(const ThMeetingSubject *subject, const char *host)
{
	const ThSession *s = subject->session;
	const ThAccount *account = subject->account;

	if (strcmp(s->platform, subject->appointment.platform) != 0 ||
		s->patient_id != subject->appointment.patient_id)
		return true;
	if (strcmp(s->platform, "mock") == 0)
		return false;
	return account == NULL || s->account_id != account->id ||
		   s->account_clinic_id != account->clinic_id || s->host == NULL ||
		   strcmp(s->host, host) != 0;
}

/* Points the work at a call about "target". */
static void
call(ThWork *work, ThPurpose purpose, ThPlatformOp op, ThSession *target)
{
	work->state = TH_WORK_READY;
	work->purpose = purpose;
	work->op = op;
	work->target = target;
}

/* Retires the live session; its meeting, if any, becomes a tombstone. */
static void
retire(ThWork *work)
{
	work->target = work->subject->session;
	work->target->is_retired = true;
	work->writes_session = true;
	th_work_again(work);
}

static ThSession *
new_session(const ThMeetingSubject *subject, const ThMeetingWish *wish)
{
	const ThAppointment *a = &subject->appointment;
	ThSession *s = palloc0_object(ThSession);

	s->clinic_id = a->clinic_id;
	s->appointment_id = a->id;
	s->patient_id = a->patient_id;
	s->provider_id = a->provider_id;
	s->platform = a->platform;
	if (subject->account != NULL && strcmp(a->platform, "mock") != 0)
	{
		s->account_clinic_id = subject->account->clinic_id;
		s->account_id = subject->account->id;
	}
	s->host = wish->host;
	s->scheduled_at = a->starts_at;
	s->duration = a->duration;
	s->marker = psprintf("th-%s", th_token_hex(MARKER_BYTES));
	return s;
}

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* True if the appointment does not show what the session knows. */
static bool
is_link_stale(const ThAppointment *a, const char *meeting_id,
			  const char *join_url)
{
	return a->exists && (!is_same(a->meeting_id, meeting_id) ||
						 !is_same(a->join_url, join_url));
}

static void
show_link(ThWork *work, const char *meeting_id, const char *join_url)
{
	work->links = is_link_stale(&work->subject->appointment, meeting_id,
								join_url);
	work->link_meeting_id = meeting_id;
	work->link_join_url = join_url;
}

/* Nobody may be asked for a disconnected account: its meetings wait. */
static bool
is_disconnected(const ThAccount *account)
{
	return account != NULL && strcmp(account->status, "disconnected") == 0;
}

static void
wait_for_account(ThWork *work, TimestampTz now)
{
	th_work_later(work, now, 0, "no_account",
				  "the account of the meeting is disconnected");
}

/* A retired session is to be cleaned up, when nothing else is to be done. */
static void
decide_tombstone(ThWork *work, TimestampTz now)
{
	ThSession *grave = work->subject->tombstone;

	if (grave == NULL)
	{
		th_work_done(work);
		return;
	}
	work->is_tombstone = true;
	work->platform = th_platform_find(grave->platform);
	work->account = work->subject->tombstone_account;
	work->wish.marker = grave->marker;
	work->wish.host = grave->host;
	if ((grave->meeting_id == NULL && !grave->has_intent) ||
		work->platform == NULL ||
		(work->platform->answer == NULL && work->account == NULL))
	{
		/* nothing remote, or nobody left to ask */
		grave->meeting_id = NULL;
		grave->has_intent = false;
		work->target = grave;
		work->writes_session = true;
		th_work_again(work);
	}
	else if (is_disconnected(work->account))
		wait_for_account(work, now);
	else
		call(work, TH_PURPOSE_DELETE,
			 grave->meeting_id != NULL ? TH_OP_DELETE : TH_OP_FIND, grave);
}

static void
decide_removal(ThWork *work, TimestampTz now)
{
	ThMeetingSubject *subject = work->subject;
	ThSession *s = subject->session;
	bool is_kept = subject->appointment.exists &&
				   strcmp(subject->appointment.status, "CANCELLED") == 0;

	show_link(work, NULL, NULL);
	if (s != NULL && (s->meeting_id != NULL || s->has_intent))
	{
		work->platform = th_platform_find(s->platform);
		work->account = subject->session_account;
		work->wish.marker = s->marker;
		work->wish.host = s->host;
		if (!is_kept || work->platform == NULL ||
			(work->platform->answer == NULL && work->account == NULL))
			retire(work);
		else if (is_disconnected(work->account))
			wait_for_account(work, now);
		else
			call(work, TH_PURPOSE_DELETE,
				 s->meeting_id != NULL ? TH_OP_DELETE : TH_OP_FIND, s);
		return;
	}
	if (s != NULL && (!is_kept || strcmp(s->status, "CANCELLED") != 0))
	{
		work->target = s;
		work->writes_session = true;
		s->is_retired = !is_kept;
		s->status = is_kept ? "CANCELLED" : NULL;
		th_work_again(work);
		return;
	}
	decide_tombstone(work, now);
}

/* What keeps the meeting from being made or changed; true if something does. */
static bool
is_blocked(ThWork *work, TimestampTz now)
{
	const ThAppointment *a = &work->subject->appointment;

	work->platform = th_platform_find(a->platform);
	work->account = work->subject->account;
	if (work->platform == NULL)
		th_work_dead(
			work,
			psprintf("video platform \"%s\" has no adapter in this version",
					 a->platform));
	else if (!a->is_clinic_active)
		th_work_later(work, now, 0, "clinic_inactive",
					  "the clinic is not active");
	else if (work->platform->answer == NULL && work->account == NULL)
		th_work_later(
			work, now, 0, "no_account",
			psprintf("no account is connected for video platform \"%s\"",
					 a->platform));
	else
		return false;
	return true;
}

/* The story tells why a meeting is not where the clinic has its others. */
static void
note_fallback(ThWork *work, TimestampTz now)
{
	const ThAppointment *a = &work->subject->appointment;
	const ThPlatform *chosen = work->platform;

	if (a->passed_over == NULL)
		return;
	work->platform = th_platform_find(a->passed_over);
	th_work_note(work, now, "fallback", "nothing", NULL, NULL,
				 psprintf("it cannot be used (%s), %s can", a->passed_reason,
						  a->platform),
				 0);
	work->platform = chosen;
}

static void
decide_meeting(ThWork *work, TimestampTz now)
{
	ThMeetingSubject *subject = work->subject;
	ThSession *s = subject->session;

	if (is_blocked(work, now))
		return;
	th_wish_make(subject, &work->wish, &work->wish_hash);
	if (s != NULL && th_meeting_must_replace(subject, work->wish.host))
	{
		show_link(work, NULL, NULL);
		retire(work);
		return;
	}
	if (s != NULL && s->meeting_id != NULL)
	{
		work->wish.marker = s->marker;
		if (is_same(s->wish_hash, th_wish_sent(work->wish_hash)))
			call(work, TH_PURPOSE_UPDATE, TH_OP_READ, s);
		else if (!is_same(s->wish_hash, work->wish_hash))
			call(work, TH_PURPOSE_UPDATE, TH_OP_UPDATE, s);
		else if (is_link_stale(&subject->appointment, s->meeting_id,
							   s->join_url))
		{
			show_link(work, s->meeting_id, s->join_url);
			th_work_again(work);
		}
		else
			decide_tombstone(work, now);
		return;
	}
	if (s == NULL)
	{
		note_fallback(work, now);
		s = new_session(subject, &work->wish);
	}
	work->wish.marker = s->marker;
	work->wish.passcode = th_token_passcode();
	work->needs_begin = true;
	if (s->has_intent)
		call(work, TH_PURPOSE_ADOPT, TH_OP_FIND, s);
	else
	{
		s->wish_hash = th_wish_sent(work->wish_hash);
		call(work, TH_PURPOSE_CREATE, TH_OP_CREATE, s);
	}
}

void
th_meeting_decide(ThWork *work, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);

	switch (want_of(&work->subject->appointment, now))
	{
		case WANT_MEETING:
			decide_meeting(work, now);
			break;
		case WANT_NONE:
			decide_removal(work, now);
			break;
		case WANT_AS_IS:
			decide_tombstone(work, now);
			break;
	}
	MemoryContextSwitchTo(old);
}
