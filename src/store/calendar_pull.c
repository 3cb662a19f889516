/*
 * calendar_pull.c
 *	  What a pull of a connected calendar starts from, and what it writes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/calendar_pull.h"
#include "store/job.h"
#include "store/plans.h"

static ThPlan load = {
	.text =
		"SELECT u.place, c.cursor, c.window_start, c.window_end, c.compared_at,"
		" COALESCE(p.timezone, k.timezone, 'UTC'),"
		" x.deletions_confirmed_at IS NOT NULL,"
		" CASE WHEN u.wants_own THEN ARRAY("
		" SELECT e.external_id FROM telehealth.calendar_event AS e"
		" JOIN telehealth.appointment AS a"
		" ON a.clinic_id = e.clinic_id AND a.id = e.appointment_id"
		" WHERE e.clinic_id = x.clinic_id AND e.connection_id = x.id"
		" AND e.external_id IS NOT NULL AND e.retired_at IS NULL"
		" AND a.ends_at > $4"
		" AND a.starts_at < $4 + make_interval(days => x.window_days_ahead + 2))"
		" END"
		" FROM unnest($1, $2, $3) WITH ORDINALITY"
		" AS u (clinic_id, id, wants_own, place)"
		" JOIN telehealth.calendar_connection AS x"
		" ON x.clinic_id = u.clinic_id AND x.id = u.id"
		" LEFT JOIN telehealth_private.calendar_cursor AS c"
		" ON c.clinic_id = u.clinic_id AND c.connection_id = u.id"
		" LEFT JOIN telehealth.provider AS p"
		" ON p.clinic_id = x.clinic_id AND p.id = x.provider_id"
		" LEFT JOIN telehealth.clinic AS k ON k.id = x.clinic_id",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, BOOLARRAYOID, TIMESTAMPTZOID }
};

static ThPlan lock_connection = {
	.text = "SELECT x.connected_at, x.status, x.suspicious_at IS NOT NULL,"
			" x.calendar_id IS NOT DISTINCT FROM $3"
			" FROM telehealth.calendar_connection AS x"
			" WHERE x.clinic_id = $1 AND x.id = $2"
			" FOR NO KEY UPDATE SKIP LOCKED",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TEXTOID }
};

static ThPlan find_connection = {
	.text = "SELECT 1 FROM telehealth.calendar_connection AS x"
			" WHERE x.clinic_id = $1 AND x.id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

/*
 * $3 to $5 what was seen, $6 when the pull began, $7 the time now, $8 and $9
 * the window; $10: what is outside of it counts as gone there. The second is
 * for a full pass, which misses no event at the window's edges.
 */
#define OWN_FROM                                                               \
	" telehealth.calendar_event AS e"                                          \
	" JOIN telehealth.appointment AS a"                                        \
	" ON a.clinic_id = e.clinic_id AND a.id = e.appointment_id"
#define OWN_WHERE                                                              \
	" e.clinic_id = $1 AND e.connection_id = $2"                               \
	" AND e.retired_at IS NULL AND e.intent IS NULL AND e.pushed_at < $6"      \
	" AND a.ends_at > $7"
#define OWN_DIFFERS                                                            \
	"CASE WHEN s.is_gone THEN e.remote_state <> 'deleted'"                     \
	" AND (NOT $10 OR (a.starts_at >= $8 AND a.ends_at <= $9))"                \
	" ELSE e.remote_state = 'deleted' OR e.etag IS DISTINCT FROM s.etag END"

static ThPlan own_named = {
	.text = "SELECT e.id, s.place, (SELECT count(*) FROM" OWN_FROM
			" WHERE" OWN_WHERE " AND e.external_id IS NOT NULL"
			" AND a.starts_at >= $8 AND a.ends_at <= $9)"
			" FROM unnest($3, $4, $5)"
			" WITH ORDINALITY AS s (id, etag, is_gone, place)"
			" JOIN" OWN_FROM " ON e.external_id = s.id"
			" WHERE" OWN_WHERE " AND " OWN_DIFFERS,
	.n_args = 10,
	.types = { INT8OID, INT8OID, TEXTARRAYOID, TEXTARRAYOID, BOOLARRAYOID,
			   TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			   BOOLOID }
};

static ThPlan own_all = {
	.text = "SELECT o.id, o.place, o.present FROM ("
			"SELECT e.id, COALESCE(s.place, 0) AS place,"
			" count(*) FILTER (WHERE a.starts_at >= $8 AND a.ends_at <= $9)"
			" OVER () AS present,"
			" CASE WHEN s.place IS NULL THEN e.remote_state <> 'deleted'"
			" AND a.starts_at >= $8 + interval '1 day'"
			" AND a.ends_at <= $9 - interval '1 day'"
			" ELSE " OWN_DIFFERS " END AS differs"
			" FROM" OWN_FROM " LEFT JOIN unnest($3, $4, $5) WITH ORDINALITY"
			" AS s (id, etag, is_gone, place) ON s.id = e.external_id"
			" WHERE" OWN_WHERE " AND e.external_id IS NOT NULL) AS o"
			" WHERE o.differs",
	.n_args = 10,
	.types = { INT8OID, INT8OID, TEXTARRAYOID, TEXTARRAYOID, BOOLARRAYOID,
			   TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			   BOOLOID }
};

static ThPlan put_cursor = {
	.text = "INSERT INTO telehealth_private.calendar_cursor AS c (clinic_id,"
			" connection_id, cursor, window_start, window_end, pulled_at,"
			" compared_at) VALUES ($1, $2, $3, $4, $5, $6, $6)"
			" ON CONFLICT ON CONSTRAINT calendar_cursor_pkey DO UPDATE SET"
			" cursor = EXCLUDED.cursor, window_start = EXCLUDED.window_start,"
			" window_end = EXCLUDED.window_end, pulled_at = EXCLUDED.pulled_at,"
			" compared_at = CASE WHEN $7 THEN EXCLUDED.compared_at"
			" ELSE c.compared_at END",
	.n_args = 7,
	.types = { INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			   TIMESTAMPTZOID, BOOLOID }
};

static ThPlan note_pulled = {
	.text = "UPDATE telehealth.calendar_connection SET last_sync_at = $3,"
			" next_sync_at = $4, suspicious_at = NULL, suspicious_count = NULL,"
			" deletions_confirmed_at = NULL, last_error = NULL,"
			" last_error_at = NULL WHERE clinic_id = $1 AND id = $2",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID }
};

static ThPlan note_suspicious = {
	.text = "UPDATE telehealth.calendar_connection SET next_sync_at = $3,"
			" suspicious_at = COALESCE(suspicious_at, $5),"
			" suspicious_count = $4, last_error ="
			" format('suspicious_pull: it would remove %s', $4),"
			" last_error_at = $5 WHERE clinic_id = $1 AND id = $2",
	.n_args = 5,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID }
};

static ThPlan forget = {
	.text = "WITH busy AS (DELETE FROM telehealth.busy_time"
			" WHERE clinic_id = $1 AND provider_id = $2 AND source = $3),"
			" problem AS (DELETE FROM telehealth.import_problem"
			" WHERE clinic_id = $1 AND provider_id = $2 AND source = $3)"
			" DELETE FROM telehealth_private.calendar_cursor"
			" WHERE clinic_id = $1 AND connection_id = $4",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TEXTOID, INT8OID }
};

static ThPlan disown = {
	.text = "DELETE FROM telehealth.busy_time AS b"
			" USING unnest($1, $2, $3) AS u (clinic_id, connection_id, id)"
			" JOIN telehealth.calendar_connection AS x"
			" ON x.clinic_id = u.clinic_id AND x.id = u.connection_id"
			" WHERE b.clinic_id = u.clinic_id"
			" AND b.provider_id = x.provider_id"
			" AND b.source = '" TH_PULL_SOURCE "' || x.id"
			" AND b.external_id = u.id",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID }
};

/* One that waits longer than its turn has its reasons: it is left to them. */
static ThPlan hasten = {
	.text =
		"WITH free AS MATERIALIZED (SELECT q.kind, q.clinic_id, q.subject_id"
		" FROM unnest($1, $2) AS u (clinic_id, id)"
		" JOIN telehealth_private.job AS q ON q.kind = 'pull'"
		" AND q.clinic_id = u.clinic_id AND q.subject_id = u.id"
		" WHERE q.failures = 0 AND q.waiting_for IS NULL AND q.dead_at IS NULL"
		" AND (q.attempts > 0 OR q.due_at > $3) FOR UPDATE OF q SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET generation = j.generation + 1,"
		" priority = LEAST(j.priority, $4),"
		" due_at = CASE WHEN j.attempts > 0 THEN j.due_at ELSE $3 END"
		" FROM free AS f WHERE j.kind = f.kind AND j.clinic_id = f.clinic_id"
		" AND j.subject_id = f.subject_id",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, INT4OID }
};

static ThPlan again = {
	.text =
		"WITH free AS MATERIALIZED (SELECT q.clinic_id, q.subject_id"
		" FROM (SELECT DISTINCT u.clinic_id, u.id FROM unnest($1, $2)"
		" AS u (clinic_id, id)) AS u JOIN telehealth_private.job AS q"
		" ON q.kind = 'pull' AND q.clinic_id = u.clinic_id"
		" AND q.subject_id = u.id WHERE q.attempts > 0"
		" FOR UPDATE OF q SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET generation = j.generation + 1"
		" FROM free AS f WHERE j.kind = 'pull' AND j.clinic_id = f.clinic_id"
		" AND j.subject_id = f.subject_id",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

char *
th_pull_source(int64 connection_id)
{
	return psprintf(TH_PULL_SOURCE INT64_FORMAT, connection_id);
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
read_own(ThPullState *state, uint64 row, MemoryContext context)
{
	bool is_null;
	Datum value = th_row_datum(row, 8, &is_null);
	Datum *ids;
	MemoryContext old;

	if (is_null)
		return;
	old = MemoryContextSwitchTo(context);
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &ids, NULL, &state->n_own);
	state->own = palloc_array(const char *, Max(state->n_own, 1));
	for (int i = 0; i < state->n_own; i++)
		state->own[i] = TextDatumGetCString(ids[i]);
	qsort(state->own, state->n_own, sizeof(char *), compare_texts);
	MemoryContextSwitchTo(old);
}

static Datum
array_bool(const bool *flags, int n)
{
	Datum *datums = palloc_array(Datum, Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = BoolGetDatum(flags[i]);
	return PointerGetDatum(
		construct_array(datums, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR));
}

ThPullState *
th_pull_load(const int64 *clinics, const int64 *connections,
			 const bool *wants_own, int n, TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	ThPullState *states = palloc0_array(ThPullState, Max(n, 1));
	Datum values[4];

	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(connections, n);
	values[2] = array_bool(wants_own, n);
	values[3] = TimestampTzGetDatum(now);
	th_plan_run(&load, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		ThPullState *state = &states[th_row_int64(i, 1) - 1];

		state->cursor = th_row_text(i, 2, context);
		state->window_start = th_row_timestamptz(i, 3);
		state->window_end = th_row_timestamptz(i, 4);
		state->compared_at = th_row_timestamptz(i, 5);
		state->timezone = th_row_text(i, 6, context);
		state->is_many_confirmed = th_row_bool(i, 7);
		read_own(state, i, context);
	}
	th_store_finish();
	return states;
}

/* ---- writing ---- */

ThPullLock
th_pull_lock(const ThPull *pull, bool *was_suspicious)
{
	Datum values[3] = { Int64GetDatum(pull->busy.import.clinic_id),
						Int64GetDatum(pull->busy.connection_id), (Datum) 0 };
	char nulls[] = "  n";
	ThPullLock result = TH_PULL_STALE;

	th_store_connect();
	if (pull->calendar_id != NULL)
	{
		values[2] = CStringGetTextDatum(pull->calendar_id);
		nulls[2] = ' ';
	}
	th_plan_run(&lock_connection, values, nulls, false);
	if (SPI_processed > 0)
	{
		char *status = th_row_text(0, 2, CurrentMemoryContext);

		if (th_row_timestamptz(0, 1) == pull->connected_at &&
			th_row_bool(0, 4) && strcmp(status, "DISCONNECTED") != 0)
			result = TH_PULL_OURS;
		*was_suspicious = th_row_bool(0, 3);
	}
	else
	{
		th_plan_run(&find_connection, values, NULL, false);
		if (SPI_processed > 0)
			result = TH_PULL_LOCKED;
	}
	th_store_finish();
	return result;
}

static void
bind_seen(const ThPull *pull, Datum *values)
{
	int n = pull->n_seen;
	const char **texts;
	bool *flags;

	TH_COLLECT(texts, const char *, pull->seen[i].external_id);
	values[0] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, pull->seen[i].etag);
	values[1] = th_array_text(texts, n);
	TH_COLLECT(flags, bool, pull->seen[i].is_gone);
	values[2] = array_bool(flags, n);
}

int
th_pull_own(const ThPull *pull, TimestampTz now, ThPullOwn **own,
			int64 *present)
{
	const ThBusyImport *import = &pull->busy.import;
	MemoryContext context = CurrentMemoryContext;
	bool is_full = import->may_remove;
	Datum values[10];
	int n;

	*present = 0;
	*own = NULL;
	if (!is_full && pull->n_seen == 0)
		return 0;
	th_store_connect();
	values[0] = Int64GetDatum(import->clinic_id);
	values[1] = Int64GetDatum(pull->busy.connection_id);
	bind_seen(pull, &values[2]);
	values[5] = TimestampTzGetDatum(pull->began_at);
	values[6] = TimestampTzGetDatum(now);
	values[7] = TimestampTzGetDatum(import->window_start);
	values[8] = TimestampTzGetDatum(import->window_end);
	values[9] = BoolGetDatum(pull->is_vague);
	th_plan_run(is_full ? &own_all : &own_named, values, NULL, false);
	n = (int) SPI_processed;
	*own = MemoryContextAlloc(context, sizeof(ThPullOwn) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*own)[i].event_id = th_row_int64(i, 1);
		(*own)[i].place = (int) th_row_int64(i, 2) - 1;
		*present = th_row_int64(i, 3);
	}
	th_store_finish();
	return n;
}

static void
write_pulled(const ThPull *pull)
{
	const ThBusyImport *import = &pull->busy.import;
	Datum values[7];
	char nulls[] = "       ";

	th_store_connect();
	values[0] = Int64GetDatum(import->clinic_id);
	values[1] = Int64GetDatum(pull->busy.connection_id);
	if (pull->cursor == NULL)
		nulls[2] = 'n';
	else
		values[2] = CStringGetTextDatum(pull->cursor);
	values[3] = TimestampTzGetDatum(import->window_start);
	values[4] = TimestampTzGetDatum(import->window_end);
	values[5] = TimestampTzGetDatum(pull->began_at);
	values[6] = BoolGetDatum(import->may_remove);
	th_plan_run(&put_cursor, values, nulls, false);
	th_store_finish();
}

void
th_pull_note(const ThPull *pull)
{
	Datum values[4] = { Int64GetDatum(pull->busy.import.clinic_id),
						Int64GetDatum(pull->busy.connection_id),
						TimestampTzGetDatum(pull->began_at),
						TimestampTzGetDatum(pull->next_at) };

	th_store_connect();
	th_plan_run(&note_pulled, values, NULL, false);
	th_store_finish();
}

void
th_pull_write_suspicious(const ThPull *pull, int64 n_gone, TimestampTz now)
{
	Datum values[5] = { Int64GetDatum(pull->busy.import.clinic_id),
						Int64GetDatum(pull->busy.connection_id),
						TimestampTzGetDatum(pull->next_at),
						Int64GetDatum(n_gone), TimestampTzGetDatum(now) };

	th_store_connect();
	th_plan_run(&note_suspicious, values, NULL, false);
	th_store_finish();
}

void
th_pull_write(const ThPull *pull, ThBusyCounts *counts)
{
	th_busy_pull(&pull->busy, counts);
	if (counts->is_suspicious)
		return;
	write_pulled(pull);
	th_pull_note(pull);
}

/* ---- what else becomes of pulls ---- */

void
th_pull_forget(int64 clinic_id, int64 provider_id, int64 connection_id)
{
	Datum values[4] = { Int64GetDatum(clinic_id), Int64GetDatum(provider_id),
						CStringGetTextDatum(th_pull_source(connection_id)),
						Int64GetDatum(connection_id) };

	th_store_connect();
	th_plan_run(&forget, values, NULL, false);
	th_store_finish();
}

void
th_pull_disown(const int64 *clinics, const int64 *connections,
			   const char *const *external_ids, int n)
{
	Datum values[3];

	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(connections, n);
	values[2] = th_array_text(external_ids, n);
	th_plan_run(&disown, values, NULL, false);
	th_store_finish();
}

void
th_pull_repeat(const int64 *clinics, const int64 *connections, int n)
{
	Datum values[2];

	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(connections, n);
	th_plan_run(&again, values, NULL, false);
	th_store_finish();
}

void
th_pull_hasten(const int64 *clinics, const int64 *connections, int n,
			   TimestampTz now)
{
	Datum values[4];

	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(connections, n);
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int32GetDatum(TH_PRIORITY_CHANGE);
	th_plan_run(&hasten, values, NULL, false);
	th_store_finish();
}
