/*
 * visit.c
 *	  Sessions under way: what was told of them, and how they stand.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "store/plans.h"
#include "store/visit.h"

#define KEYS                                                                   \
	" FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY"                 \
	" AS u (clinic_id, id, place)"

#define OF_SESSION(alias)                                                      \
	" " alias ".clinic_id = u.clinic_id AND " alias ".session_id = u.id"

/* OFFSET 0: by session, never through the order of all events of the clinic. */
#define EVENTS_OF_SESSION                                                      \
	"(SELECT x.* FROM telehealth.webhook_event AS x WHERE" OF_SESSION(         \
		"x") " OFFSET 0) AS e"

static ThPlan load = {
	.text =
		"SELECT u.place, EXISTS (SELECT FROM " EVENTS_OF_SESSION
		" WHERE e.processed_at IS NULL), (SELECT e.meeting_uuid"
		" FROM " EVENTS_OF_SESSION
		" WHERE s.status = 'IN_PROGRESS' AND e.meeting_uuid IS NOT NULL"
		" AND e.event_name IN ('meeting.started', 'meeting.participant_joined',"
		" 'meeting.participant_jbh_joined')"
		" ORDER BY e.event_at DESC NULLS LAST, e.id DESC LIMIT 1),"
		" " TH_SESSION_COLUMNS ", " TH_ACCOUNT_COLUMNS KEYS
		" JOIN telehealth.session AS s"
		" ON s.clinic_id = u.clinic_id AND s.id = u.id"
		" LEFT JOIN telehealth.account AS x"
		" ON x.clinic_id = s.account_clinic_id AND x.id = s.account_id"
		" LEFT JOIN telehealth_private.builtin_platform AS b"
		" ON b.platform = x.platform",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan lock_sessions = {
	.text = "SELECT u.place, s.appointment_id, s.patient_id, s.scheduled_at,"
			" s.duration, s.status::text, s.host, s.meeting_id,"
			" s.retired_at IS NULL" KEYS " JOIN telehealth.session AS s"
			" ON s.clinic_id = u.clinic_id AND s.id = u.id"
			" FOR NO KEY UPDATE OF s SKIP LOCKED",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan find_sessions = {
	.text = "SELECT u.place" KEYS " JOIN telehealth.session AS s"
			" ON s.clinic_id = u.clinic_id AND s.id = u.id",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

/* Of too many events those that begin and end a run are kept, and the latest. */
static ThPlan read_events = {
	.text =
		"SELECT u.place, e.id, e.source, e.event_name,"
		" COALESCE(e.event_at, e.received_at), e.meeting_id, e.raw,"
		" e.processed_at IS NULL" KEYS
		" CROSS JOIN LATERAL (SELECT e.* FROM " EVENTS_OF_SESSION
		" ORDER BY e.event_name IN ('meeting.started', 'meeting.ended') DESC,"
		" e.id DESC LIMIT $3) AS e",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT4OID }
};

static ThPlan mark_seen = {
	.text = "UPDATE telehealth.webhook_event AS e SET processed_at = $4,"
			" outcome = u.outcome FROM unnest($1, $2, $3)"
			" AS u (clinic_id, id, outcome)"
			" WHERE e.clinic_id = u.clinic_id AND e.id = u.id",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID }
};

static ThPlan is_in_work = {
	.text = "SELECT EXISTS (SELECT FROM telehealth_private.job AS j"
			" WHERE j.kind = 'meeting' AND j.clinic_id = $1"
			" AND j.subject_id = $2 AND j.attempts > 0)",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan doubt_meeting = {
	.text = "UPDATE telehealth.session AS s SET wish_hash = $3 || s.wish_hash"
			" WHERE s.clinic_id = $1 AND s.id = $2"
			" AND NOT starts_with(s.wish_hash, $3)",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TEXTOID }
};

static ThPlan note_end = {
	.text =
		"INSERT INTO telehealth.webhook_event (clinic_id, source, event_name,"
		" event_at, meeting_id, meeting_uuid, session_id, raw, business_key)"
		" SELECT s.clinic_id, s.platform, 'meeting.ended', $5, s.meeting_id, $3,"
		" s.id, jsonb_build_object('event', 'meeting.ended', 'asked', true,"
		" 'payload', jsonb_build_object('object', jsonb_strip_nulls("
		"jsonb_build_object('id', s.meeting_id, 'uuid', $3,"
		" 'start_time', to_char($4 AT TIME ZONE 'UTC',"
		" 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), 'end_time',"
		" to_char($5 AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))))),"
		" sha256(convert_to('asked ' || s.id || ' ' || $3, 'UTF8'))"
		" FROM telehealth.session AS s WHERE s.clinic_id = $1 AND s.id = $2"
		" ON CONFLICT ON CONSTRAINT webhook_event_business_key_key DO NOTHING",
	.n_args = 5,
	.types = { INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID }
};

/*
 * What was told and nobody looks at before long: a job that is due later was
 * put off before it came, and one that has failed for good did so without it.
 * (An event is committed within 3 seconds, or not at all.) And visits past
 * their end, unless they have a job.
 */
static ThPlan sweep = {
	.text =
		"SELECT q.clinic_id, q.session_id, q.is_told FROM ("
		"SELECT e.clinic_id, e.session_id, true AS is_told"
		" FROM (SELECT w.clinic_id, w.session_id, max(w.received_at) AS last_at"
		" FROM telehealth.webhook_event AS w"
		" WHERE w.processed_at IS NULL AND w.session_id IS NOT NULL"
		" GROUP BY 1, 2) AS e"
		" WHERE NOT EXISTS (SELECT FROM telehealth_private.job AS j"
		" WHERE j.kind = 'session' AND j.clinic_id = e.clinic_id"
		" AND j.subject_id = e.session_id AND CASE WHEN j.dead_at IS NULL"
		" THEN j.due_at <= $3 OR j.attempts > 0"
		" ELSE e.last_at < j.dead_at - interval '3 seconds' END)"
		" UNION SELECT s.clinic_id, s.id, false FROM telehealth.session AS s"
		" WHERE s.status IN ('WAITING', 'IN_PROGRESS') AND s.retired_at IS NULL"
		" AND s.scheduled_at < $1"
		" AND s.scheduled_at + make_interval(mins => s.duration) < $1"
		" AND EXISTS (SELECT FROM telehealth.webhook_event AS x"
		" WHERE x.clinic_id = s.clinic_id AND x.session_id = s.id)"
		" AND NOT EXISTS (SELECT FROM telehealth_private.job AS j"
		" WHERE j.kind = 'session' AND j.clinic_id = s.clinic_id"
		" AND j.subject_id = s.id)) AS q LIMIT $2",
	.n_args = 3,
	.types = { TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID }
};

ThVisitSubject *
th_visit_load(const ThJob *jobs, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ThVisitSubject *subjects = palloc0_array(ThVisitSubject, Max(n, 1));
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *ids = palloc_array(int64, Max(n, 1));
	int *place = palloc_array(int, Max(n, 1));
	int n_sessions = 0;
	Datum values[2];

	for (int i = 0; i < n; i++)
	{
		if (jobs[i].kind != TH_JOB_SESSION)
			continue;
		clinics[n_sessions] = jobs[i].clinic_id;
		ids[n_sessions] = jobs[i].subject_id;
		place[n_sessions++] = i;
	}
	if (n_sessions == 0)
		return subjects;
	th_store_connect();
	values[0] = th_array_int64(clinics, n_sessions);
	values[1] = th_array_int64(ids, n_sessions);
	th_plan_run(&load, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThVisitSubject *subject = &subjects[place[th_row_int64(row, 1) - 1]];

		subject->has_new = th_row_bool(row, 2);
		subject->run = th_row_text(row, 3, context);
		subject->session = th_session_read(row, 4, context);
		subject->account = th_account_read(row, 4 + TH_SESSION_COLUMN_COUNT,
										   context);
	}
	th_store_finish();
	return subjects;
}

/* The keys of sessions as parameters 1 and 2. */
static void
bind_keys(Datum *values, const ThVisitState *visits, int n)
{
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *ids = palloc_array(int64, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		clinics[i] = visits[i].clinic_id;
		ids[i] = visits[i].session_id;
	}
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
}

void
th_visit_lock(ThVisitState *visits, int n)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[2];

	if (n == 0)
		return;
	th_store_connect();
	bind_keys(values, visits, n);
	for (int i = 0; i < n; i++)
		visits[i].is_gone = true;
	th_plan_run(&find_sessions, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThVisitState *visit = &visits[th_row_int64(row, 1) - 1];

		visit->is_gone = false;
		visit->is_locked = true;
	}
	th_plan_run(&lock_sessions, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThVisitState *visit = &visits[th_row_int64(row, 1) - 1];

		visit->is_gone = visit->is_locked = false;
		visit->appointment_id = th_row_int64(row, 2);
		visit->patient_id = th_row_int64(row, 3);
		visit->scheduled_at = th_row_timestamptz(row, 4);
		visit->duration = th_row_int32(row, 5);
		visit->status = th_row_text(row, 6, context);
		visit->host = th_row_text(row, 7, context);
		visit->meeting_id = th_row_text(row, 8, context);
		visit->is_live = th_row_bool(row, 9);
	}
	th_store_finish();
}

typedef struct Taker
{
	ThVisitRowFunction take;
	void *arg;
} Taker;

/* One event; what "take" needs of it it copies. */
static void
take_event(TupleTableSlot *row, void *arg)
{
	const Taker *taker = arg;
	const Datum *values = row->tts_values;
	ThVisitRow event = { 0 };

	event.place = (int) DatumGetInt64(values[0]) - 1;
	event.id = DatumGetInt64(values[1]);
	event.source = TextDatumGetCString(values[2]);
	event.event_name = TextDatumGetCString(values[3]);
	event.event_at = DatumGetTimestampTz(values[4]);
	event.meeting_id = row->tts_isnull[5] ? NULL
										  : TextDatumGetCString(values[5]);
	event.raw = DatumGetJsonbP(values[6]);
	event.is_new = DatumGetBool(values[7]);
	taker->take(&event, taker->arg);
}

void
th_visit_events(const ThVisitState *visits, int n, int most,
				ThVisitRowFunction take, void *arg)
{
	Taker taker = { take, arg };
	Datum values[3];

	if (n == 0)
		return;
	th_store_connect();
	bind_keys(values, visits, n);
	values[2] = Int32GetDatum(most);
	/* as of now, and with what this transaction wrote */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	th_plan_each(&read_events, values, take_event, &taker);
	PopActiveSnapshot();
	th_store_finish();
}

void
th_visit_mark_seen(const int64 *clinics, const int64 *ids,
				   const char *const *outcomes, int n, TimestampTz now)
{
	Datum values[4];

	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = th_array_text(outcomes, n);
	values[3] = TimestampTzGetDatum(now);
	th_plan_run(&mark_seen, values, NULL, false);
	th_store_finish();
}

bool
th_visit_doubt_meeting(const ThVisitState *visit, const char *prefix)
{
	Datum values[3];
	bool is_free;

	th_store_connect();
	values[0] = Int64GetDatum(visit->clinic_id);
	values[1] = Int64GetDatum(visit->appointment_id);
	th_plan_run(&is_in_work, values, NULL, false);
	is_free = !th_row_bool(0, 1);
	if (is_free)
	{
		values[1] = Int64GetDatum(visit->session_id);
		values[2] = CStringGetTextDatum(prefix);
		th_plan_run(&doubt_meeting, values, NULL, false);
	}
	th_store_finish();
	return is_free;
}

void
th_visit_note_end(const ThVisitState *visit, const char *run,
				  TimestampTz started_at, TimestampTz ended_at)
{
	Datum values[5];
	char nulls[] = "     ";

	th_store_connect();
	values[0] = Int64GetDatum(visit->clinic_id);
	values[1] = Int64GetDatum(visit->session_id);
	values[2] = CStringGetTextDatum(run);
	values[3] = TimestampTzGetDatum(started_at);
	values[4] = TimestampTzGetDatum(ended_at);
	if (started_at == 0)
		nulls[3] = 'n';
	th_plan_run(&note_end, values, nulls, false);
	th_store_finish();
}

int
th_visit_sweep(TimestampTz now, int64 grace_us, int limit)
{
	Datum values[3] = { TimestampTzGetDatum(now - grace_us),
						Int64GetDatum(limit), TimestampTzGetDatum(now) };
	ThMark *marks;
	int n;

	th_store_connect();
	th_plan_run(&sweep, values, NULL, false);
	n = (int) SPI_processed;
	marks = palloc0_array(ThMark, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		marks[i].kind = TH_JOB_SESSION;
		marks[i].priority = th_row_bool(i, 3) ? TH_PRIORITY_CREATE
											  : TH_PRIORITY_CHANGE;
		marks[i].clinic_id = th_row_int64(i, 1);
		marks[i].subject_id = th_row_int64(i, 2);
		marks[i].due_at = now;
	}
	(void) th_job_mark_free(marks, n);
	th_store_finish();
	return n;
}
