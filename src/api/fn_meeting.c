/*
 * fn_meeting.c
 *	  Waiting for a meeting, and the host's link to it.
 */
#include "postgres.h"

#include <limits.h>
#include <string.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "api/hint.h"
#include "api/interval.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_error.h"
#include "base/th_guc.h"
#include "store/access.h"
#include "store/audit.h"
#include "store/status.h"
#include "worker/mailbox.h"
#include "worker/slot.h"

TH_SQL_FUNCTION(th_sql_await_meeting);
TH_SQL_FUNCTION(th_sql_host_start_url);

/* Looks at least so often, whatever the dispatcher says. */
#define RECHECK_MS 1000

/* A restarting dispatcher is back within this time. */
#define WORKER_PATIENCE_MS 2000

/* "format" has one "%s", for the appointment's number. */
#define refuse(id, format, hint) refuse_with(psprintf(format, number(id)), hint)

static const char *
number(int64 id)
{
	return psprintf(INT64_FORMAT, id);
}

static void
refuse_with(const char *message, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg_internal("%s", message),
					hint == NULL ? 0 : errhint("%s", hint)));
}

static void
require_appointment(int64 id, const ThMeetingStatus *status)
{
	if (!status->exists)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("appointment " INT64_FORMAT " does not exist", id)));
}

/* Errors out if waiting cannot help. */
static void
refuse_hopeless(int64 id, const ThMeetingStatus *status)
{
	require_appointment(id, status);
	if (status->is_ours)
		refuse(
			id,
			"meeting of appointment %s cannot be awaited in the transaction that changed it",
			"Commit first: the meeting is made after that.");
	if (strcmp(status->type, "VIDEO") != 0)
		refuse(id, "appointment %s is not a video visit", NULL);
	if (strcmp(status->status, "CANCELLED") == 0)
		refuse(id, "appointment %s is cancelled", NULL);
	if (strcmp(status->status, "PENDING") == 0)
		refuse(id, "appointment %s is only held",
			   "Its meeting is made when its status becomes SCHEDULED.");
	if (!status->is_wanted)
		refuse(id, "no meeting is wanted for appointment %s",
			   "Run SELECT telehealth.ensure_meeting().");
}

static bool
is_ready(const ThMeetingStatus *status)
{
	return status->is_made && status->is_linked;
}

/* Of a meeting that is not there. */
static void
refuse_given_up(int64 id, const ThMeetingStatus *status)
{
	if (status->is_over)
		refuse(id, "appointment %s is over and has no meeting", NULL);
	if (status->is_dead)
		ereport(ERROR,
				(errcode(ERRCODE_TH_VENDOR_REFUSED),
				 errmsg("meeting of appointment " INT64_FORMAT " was given up",
						id),
				 status->last_error == NULL
					 ? 0
					 : errdetail_internal("%s", status->last_error),
				 errhint("%s", th_hint_for("dead"))));
}

static bool
is_worker_there(void)
{
	ThSlotStatus slot;

	return th_slot_read(MyDatabaseId, &slot) &&
		   (slot.state == TH_SLOT_RUNNING || slot.state == TH_SLOT_STARTING);
}

/* The library was replaced and the extension not yet, or the other way. */
static void
refuse_other_version(void)
{
	ThSlotStatus slot;

	if (th_slot_read(MyDatabaseId, &slot) &&
		slot.state == TH_SLOT_OTHER_VERSION)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("telehealth worker is paused: %s",
							   th_hint_reason("version_mismatch")),
						errhint("%s", th_hint_for("version_mismatch"))));
}

static void
refuse_without_worker(int64 waited_ms)
{
	if (is_worker_there() ||
		(th_slot_available() && waited_ms < WORKER_PATIENCE_MS))
		return;
	refuse_other_version();
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("telehealth worker is not running in this database"),
			 th_slot_available()
				 ? errhint("%s", th_hint_for("worker_down"))
				 : errhint("Add telehealth to shared_preload_libraries and "
						   "restart the server.")));
}

static void
refuse_not_ready(int64 id, const ThMeetingStatus *status)
{
	const char *word = status->held != NULL ? status->held
											: status->waiting_for;
	const char *reason = th_hint_reason(word);
	const char *hint = th_hint_for(word);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("meeting of appointment " INT64_FORMAT " is not ready", id),
			 reason == NULL && status->last_error == NULL ? 0
			 : status->last_error == NULL
				 ? errdetail_internal("%s: %s", word, reason)
			 : reason == NULL ? errdetail_internal("%s", status->last_error)
							  : errdetail_internal("%s: %s (%s)", word, reason,
												   status->last_error),
			 hint == NULL ? errhint("telehealth.explain_appointment() tells "
									"what was tried.")
						  : errhint("%s", hint)));
}

/* The id of the live session, once it has its link. */
static int64
await_session(int64 clinic_id, int64 id, long timeout_ms)
{
	int64 start = th_clock_monotonic_ms();
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "telehealth wait",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	int64 last_seen = start;
	ThMeetingStatus status;

	for (;;)
	{
		/* Before the look, so that a settle between the two is not missed. */
		uint64 seen = th_slot_settle_count(MyDatabaseId);
		int64 now = th_clock_monotonic_ms();
		int64 left = start + timeout_ms - now;

		th_status_meeting(clinic_id, id, &status);
		refuse_hopeless(id, &status);
		if (is_ready(&status))
			break;
		refuse_given_up(id, &status);
		if (is_worker_there())
			last_seen = now;
		refuse_without_worker(left <= 0 ? PG_INT32_MAX : now - last_seen);
		if (left <= 0)
			refuse_not_ready(id, &status);

		th_slot_wait_settle(MyDatabaseId, seen, (long) Min(left, RECHECK_MS));
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return status.session_id;
}

static void
require_both(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "appointment_id" : "timeout")));
}

Datum
th_sql_await_meeting(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id;
	int64 session_id;

	require_both(fcinfo);
	id = PG_GETARG_INT64(0);
	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	if (IsolationUsesXactSnapshot())
		refuse(
			id,
			"meeting of appointment %s cannot be awaited under snapshot isolation",
			"Use READ COMMITTED: this transaction would never see it.");
	session_id = await_session(clinic_id, id,
							   th_interval_ms(PG_GETARG_INTERVAL_P(1)));
	PG_RETURN_DATUM(th_status_session(clinic_id, session_id));
}

Datum
th_sql_host_start_url(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id;
	ThMeetingStatus status;

	require_both(fcinfo);
	id = PG_GETARG_INT64(0);
	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	th_status_meeting(clinic_id, id, &status);
	require_appointment(id, &status);
	if (!status.is_made)
	{
		refuse_given_up(id, &status);
		refuse_not_ready(id, &status);
	}
	refuse_other_version();
	th_audit_write(&clinic_id, &status.session_id, 1, "host_start_url",
				   "session", NULL);
	PG_RETURN_TEXT_P(cstring_to_text(
		th_mailbox_ask(TH_ASK_START_URL, clinic_id, status.session_id, NULL,
					   th_interval_ms(PG_GETARG_INTERVAL_P(1)))));
}
