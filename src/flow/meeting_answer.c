/*
 * meeting_answer.c
 *	  What a vendor's answer leads to.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "crypto/envelope.h"
#include "flow/meeting.h"
#include "flow/wish.h"
#include "json/json_read.h"

/* After so many answers in a row that must not be used, a person has to look. */
#define MAX_UNSAFE 5

/* How long trouble with the configuration waits before it is tried again. */
#define CONFIGURATION_RETRY (5 * USECS_PER_MINUTE)

/* How long after a refusal another platform is looked for: its row says so then. */
#define FALLBACK_DELAY USECS_PER_SEC

static const char *
outcome_of(const ThWork *work, const ThMeetingAnswer *answer)
{
	switch (answer->verdict)
	{
		case TH_VERDICT_OK:
			return work->op == TH_OP_FIND && answer->is_found ? "adopted"
															  : "ok";
		case TH_VERDICT_GONE:
			return "gone";
		case TH_VERDICT_UNKNOWN:
			return "unknown";
		case TH_VERDICT_PERMANENT:
			return "dead";
		case TH_VERDICT_RETRY:
		case TH_VERDICT_TOKEN_EXPIRED:
			return "retry";
		case TH_VERDICT_SCOPE_MISSING:
		case TH_VERDICT_CREDENTIALS:
		case TH_VERDICT_NO_HOST:
		case TH_VERDICT_RATE_LIMITED:
		case TH_VERDICT_QUOTA:
			return "waiting";
	}
	return "retry";
}

/* One word for the row, and when to come back at the latest. */
static const char *
waiting_word(ThVerdict verdict)
{
	switch (verdict)
	{
		case TH_VERDICT_SCOPE_MISSING:
			return "scope_missing";
		case TH_VERDICT_CREDENTIALS:
			return "credentials_refused";
		case TH_VERDICT_NO_HOST:
			return "no_host";
		case TH_VERDICT_RATE_LIMITED:
			return "rate_limited";
		case TH_VERDICT_QUOTA:
			return "quota_until";
		case TH_VERDICT_TOKEN_EXPIRED:
			return "token_refused";
		default:
			return NULL;
	}
}

/* Takes over what the vendor says of the meeting. */
static void
take_over(ThWork *work, const ThMeetingAnswer *answer)
{
	ThSession *s = work->target;

	if (answer->meeting_id != NULL)
		s->meeting_id = pstrdup(answer->meeting_id);
	if (answer->meeting_uuid != NULL)
		s->meeting_uuid = pstrdup(answer->meeting_uuid);
	if (answer->join_url != NULL)
		s->join_url = pstrdup(answer->join_url);
	s->deviation = answer->deviation == NULL ? NULL
											 : pstrdup(answer->deviation);
	s->has_intent = false;
	if (answer->passcode != NULL && work->platform->answer == NULL)
		s->passcode =
			th_envelope_seal(answer->passcode, strlen(answer->passcode),
							 th_envelope_place(TH_SESSION_SECRET_COLUMN,
											   s->clinic_id, s->id,
											   "passcode"));
	work->writes_session = true;
}

/* The meeting is as wanted: the session says so, and the link is shown. */
static void
confirm(ThWork *work)
{
	ThSession *s = work->target;
	const ThAppointment *a = &work->subject->appointment;

	s->wish_hash = work->wish_hash;
	s->topic = work->wish.topic;
	s->scheduled_at = work->wish.starts_at;
	s->duration = work->wish.duration;
	s->provider_id = a->provider_id;
	s->status = s->status == NULL || strcmp(s->status, "CANCELLED") == 0
					? "SCHEDULED"
					: NULL;
	work->writes_session = true;
	work->links = true;
	work->link_meeting_id = s->meeting_id;
	work->link_join_url = s->join_url;
	if (work->subject->tombstone != NULL)
		th_work_again(work);
	else
		th_work_done(work);
}

/* The remote meeting is not there (any more). */
static void
forget(ThWork *work)
{
	ThSession *s = work->target;

	s->meeting_id = NULL;
	s->meeting_uuid = NULL;
	s->join_url = NULL;
	s->wish_hash = NULL;
	s->has_intent = false;
	work->writes_session = true;
	if (!work->is_tombstone)
	{
		work->links = true;
		work->link_meeting_id = NULL;
		work->link_join_url = NULL;
	}
}

/* After an answer that could not be used was removed again: try anew later, or give up. */
static void
end_rejected(ThWork *work, TimestampTz now)
{
	if (work->job.failures + 1 >= MAX_UNSAFE)
		th_work_dead(work, work->rejected_for);
	else
		th_work_later(work, now, 0, NULL, work->rejected_for);
}

/* An answer that must never be handed out: the meeting goes at once. */
static void
reject(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	ThSession *s = work->target;

	work->rejected_for = psprintf("the platform's answer cannot be used: %s",
								  answer->deviation == NULL
									  ? "no usable link"
									  : answer->deviation);
	s->is_retired = true;
	s->join_url = NULL;
	work->writes_session = true;
	work->links = true;
	work->link_meeting_id = NULL;
	work->link_join_url = NULL;
	if (s->meeting_id == NULL)
	{
		end_rejected(work, now);
		return;
	}
	work->state = TH_WORK_READY;
	work->purpose = TH_PURPOSE_DELETE;
	work->op = TH_OP_DELETE;
}

bool
th_meeting_goes_elsewhere(const ThWork *work, const ThMeetingAnswer *answer)
{
	if (work->is_tombstone || work->target->meeting_id != NULL ||
		!work->subject->appointment.has_other_platform ||
		(work->purpose != TH_PURPOSE_CREATE &&
		 work->purpose != TH_PURPOSE_ADOPT))
		return false;
	return answer->verdict == TH_VERDICT_CREDENTIALS ||
		   answer->verdict == TH_VERDICT_TOKEN_EXPIRED ||
		   (answer->verdict == TH_VERDICT_SCOPE_MISSING &&
			work->op == TH_OP_CREATE);
}

/*
 * The call did not do what it should: come back, or give up. The intent of a
 * create that certainly did not act is taken back.
 */
static void
fail(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	const char *word = waiting_word(answer->verdict);
	const char *error = answer->message != NULL
							? answer->message
							: th_verdict_name(answer->verdict);
	TimestampTz at = answer->retry_at;

	if (work->op == TH_OP_CREATE && answer->verdict != TH_VERDICT_UNKNOWN)
	{
		work->target->has_intent = false;
		work->writes_session = true;
	}
	if (answer->verdict == TH_VERDICT_PERMANENT ||
		(answer->verdict == TH_VERDICT_GONE && work->op == TH_OP_CREATE))
	{
		th_work_dead(work, error);
		return;
	}
	if (th_meeting_goes_elsewhere(work, answer))
		at = now + FALLBACK_DELAY;
	else if (at == 0 && (answer->verdict == TH_VERDICT_SCOPE_MISSING ||
						 answer->verdict == TH_VERDICT_CREDENTIALS ||
						 answer->verdict == TH_VERDICT_NO_HOST))
	{
		at = th_work_backoff(now, work->job.failures + 4, false);
		at = Min(at, now + CONFIGURATION_RETRY);
	}
	th_work_later(work, now, at, word, error);
}

static void
advance_create(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	if (answer->verdict != TH_VERDICT_OK)
	{
		fail(work, answer, now);
		return;
	}
	take_over(work, answer);
	work->is_created = true;
	if (answer->is_unsafe)
		reject(work, answer, now);
	else
		confirm(work);
}

/* The longest time we wait for an answer to the work's call, in microseconds. */
static TimestampTz
longest_wait(const ThWork *work)
{
	const ThAccount *account = work->account;
	int64 ms = account == NULL || account->settings == NULL
				   ? 0
				   : th_json_int(account->settings, "timeout_ms", 0);

	return Max(ms, th_guc_request_timeout_ms) * 1000;
}

/*
 * The search for our marker has ended without a match. A create that we have
 * given up may still be on its way through the vendor, so that "not there"
 * counts only after twice the longest time a request may take.
 */
static void
not_found(ThWork *work, TimestampTz now)
{
	/* an intent of the future: the clock was set back since */
	TimestampTz quiet = Min(work->target->intent_at, now) +
						2 * longest_wait(work);

	if (now < quiet)
	{
		th_work_later(work, now, quiet, "outcome_unknown", NULL);
		return;
	}
	if (work->purpose == TH_PURPOSE_ADOPT)
	{
		/* the next look creates, with an intent of its own */
		work->target->has_intent = false;
		work->writes_session = true;
	}
	else
		forget(work);
	th_work_again(work);
}

static void
advance_find(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	if (answer->verdict != TH_VERDICT_OK)
	{
		fail(work, answer, now);
		return;
	}
	if (answer->is_found && work->target->meeting_id == NULL)
		work->target->meeting_id = pstrdup(answer->meeting_id);
	else if (answer->is_found)
		work->surplus = lappend(work->surplus, pstrdup(answer->meeting_id));
	for (int i = 0; i + 1 < answer->n_found; i++)
		work->surplus = lappend(work->surplus, pstrdup(answer->duplicates[i]));

	work->state = TH_WORK_READY;
	if (answer->next_page != NULL)
	{
		work->page = pstrdup(answer->next_page);
		return;
	}
	work->page = NULL;
	if (work->target->meeting_id == NULL)
		not_found(work, now);
	else
	{
		work->target->has_intent = false;
		work->writes_session = true;
		work->op = work->surplus != NIL || work->purpose == TH_PURPOSE_DELETE
					   ? TH_OP_DELETE
					   : TH_OP_READ;
	}
}

static void
advance_update(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	switch (answer->verdict)
	{
		case TH_VERDICT_OK:
			/* should the reading fail, the next look only reads */
			work->target->wish_hash = th_wish_sent(work->wish_hash);
			work->writes_session = true;
			work->state = TH_WORK_READY;
			work->op = TH_OP_READ;
			break;
		case TH_VERDICT_GONE:
			forget(work);
			th_work_again(work);
			break;
		case TH_VERDICT_SCOPE_MISSING:
			/* changing is not allowed here: make a new one, remove the old one */
			work->target->is_retired = true;
			work->writes_session = true;
			th_work_again(work);
			break;
		default:
			fail(work, answer, now);
			break;
	}
}

static void
advance_read(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	if (answer->verdict == TH_VERDICT_GONE)
	{
		forget(work);
		th_work_again(work);
		return;
	}
	if (answer->verdict != TH_VERDICT_OK)
	{
		fail(work, answer, now);
		return;
	}
	take_over(work, answer);
	if (work->purpose == TH_PURPOSE_ADOPT &&
		(work->target->wish_hash == NULL ||
		 strcmp(work->target->wish_hash, th_wish_sent(work->wish_hash)) != 0))
	{
		/* made for an older wish: the next look brings it in line */
		th_work_again(work);
	}
	else if (answer->is_unsafe && work->wish.starts_at > now)
		reject(work, answer, now);
	else
		confirm(work);
}

static void
advance_delete(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	bool is_gone = answer->verdict == TH_VERDICT_OK ||
				   answer->verdict == TH_VERDICT_GONE;

	if (work->rejected_for != NULL)
	{
		if (is_gone)
			forget(work);
		end_rejected(work, now);
		return;
	}
	if (!is_gone)
	{
		fail(work, answer, now);
		return;
	}
	work->state = TH_WORK_READY;
	if (work->surplus != NIL)
	{
		work->surplus = list_delete_first(work->surplus);
		if (work->surplus != NIL || work->purpose == TH_PURPOSE_DELETE)
			return;
		work->op = TH_OP_READ;
		return;
	}
	forget(work);
	if (!work->is_tombstone)
		work->target->status = "CANCELLED";
	th_work_again(work);
}

void
th_meeting_refuse(ThWork *work, const ThMeetingAnswer *answer, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);

	th_work_note(work, now, "token", outcome_of(work, answer), NULL,
				 answer->code, answer->message, answer->retry_at);
	fail(work, answer, now);
	MemoryContextSwitchTo(old);
}

void
th_meeting_advance(ThWork *work, const ThMeetingAnswer *answer,
				   const ThHttpResult *result, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);

	th_work_note(work, now, th_op_name(work->op), outcome_of(work, answer),
				 result, answer->code,
				 answer->message != NULL ? answer->message : answer->deviation,
				 answer->retry_at);
	switch (work->op)
	{
		case TH_OP_CREATE:
			advance_create(work, answer, now);
			break;
		case TH_OP_FIND:
			advance_find(work, answer, now);
			break;
		case TH_OP_UPDATE:
			advance_update(work, answer, now);
			break;
		case TH_OP_READ:
			advance_read(work, answer, now);
			break;
		case TH_OP_DELETE:
			advance_delete(work, answer, now);
			break;
		case TH_OP_TOKEN:
		case TH_OP_HOST:
		case TH_OP_PAST:
			elog(ERROR, "a meeting's work asked for \"%s\"",
				 th_op_name(work->op));
	}
	if (work->state == TH_WORK_READY && ++work->calls >= TH_WORK_MAX_CALLS)
		th_work_again(work);
	MemoryContextSwitchTo(old);
}
