/*
 * connect.c
 *	  Making, changing and ending calendar connections.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/connect.h"
#include "store/connection_found.h"
#include "store/job.h"
#include "store/plans.h"

/* Options that are columns; the others are settings. */
#define COLUMNS                                                                \
	"'{calendar_id,sync_enabled,sync_direction,sync_frequency_minutes,"        \
	"remote_change_policy,window_days_back,window_days_ahead}'::text[]"

static ThPlan upsert = {
	.text =
		"INSERT INTO telehealth.calendar_connection AS x (clinic_id,"
		" provider_id, kind, calendar_id, sync_direction, sync_enabled,"
		" sync_frequency_minutes, remote_change_policy, window_days_back,"
		" window_days_ahead, settings, oauth_client_clinic_id, oauth_client_id,"
		" connected_at, is_known)"
		" VALUES ($1, $2, $3, $4 ->> 'calendar_id',"
		" COALESCE($4 ->> 'sync_direction', 'both'),"
		" COALESCE(($4 ->> 'sync_enabled')::boolean, true),"
		" COALESCE(($4 ->> 'sync_frequency_minutes')::integer, 15),"
		" COALESCE($4 ->> 'remote_change_policy', 'restore'),"
		" COALESCE(($4 ->> 'window_days_back')::integer, 30),"
		" COALESCE(($4 ->> 'window_days_ahead')::integer, 180),"
		" jsonb_strip_nulls($4 - " COLUMNS "), CASE WHEN $5 THEN $6 END,"
		" CASE WHEN $5 THEN $7 END, CASE WHEN $5 THEN clock_timestamp() END, false)"
		" ON CONFLICT ON CONSTRAINT calendar_connection_provider_id_key"
		" DO UPDATE SET calendar_id = CASE WHEN $4 ? 'calendar_id'"
		" THEN $4 ->> 'calendar_id' WHEN $5 AND x.kind = 'caldav'"
		" AND ($8 OR x.settings -> 'url' IS DISTINCT FROM $4 -> 'url') THEN NULL ELSE x.calendar_id END,"
		" sync_direction = COALESCE($4 ->> 'sync_direction', x.sync_direction),"
		" sync_enabled = EXCLUDED.sync_enabled,"
		" sync_frequency_minutes = COALESCE(($4 ->> 'sync_frequency_minutes')::integer, x.sync_frequency_minutes),"
		" remote_change_policy = COALESCE($4 ->> 'remote_change_policy', x.remote_change_policy),"
		" window_days_back = COALESCE(($4 ->> 'window_days_back')::integer, x.window_days_back),"
		" window_days_ahead = COALESCE(($4 ->> 'window_days_ahead')::integer, x.window_days_ahead),"
		" settings = jsonb_strip_nulls((x.settings || $4) - " COLUMNS "),"
		" status = CASE WHEN NOT $5 AND x.status IN ('CONNECTED', 'REAUTH_REQUIRED')"
		" THEN x.status ELSE 'PENDING' END,"
		" oauth_client_clinic_id = CASE WHEN $5 THEN $6 ELSE x.oauth_client_clinic_id END,"
		" oauth_client_id = CASE WHEN $5 THEN $7 ELSE x.oauth_client_id END,"
		" connected_at = CASE WHEN $5 THEN GREATEST(clock_timestamp(),"
		" x.connected_at + interval '1 microsecond')"
		" WHEN x.status IN ('CONNECTED', 'REAUTH_REQUIRED') THEN x.connected_at END,"
		" next_sync_at = CASE WHEN NOT $5 THEN x.next_sync_at END,"
		" token_expires_at = CASE WHEN NOT $5 THEN x.token_expires_at END,"
		" grant_used_at = CASE WHEN NOT $5 THEN x.grant_used_at END,"
		" grant_expires_at = CASE WHEN NOT $5 THEN x.grant_expires_at END,"
		" reauth_required_at = CASE WHEN NOT $5 THEN x.reauth_required_at END,"
		" last_error = CASE WHEN NOT $5 THEN x.last_error END,"
		" last_error_at = CASE WHEN NOT $5 THEN x.last_error_at END,"
		" suspicious_at = NULL, suspicious_count = NULL, disconnected_at = NULL,"
		" purge_requested_at = NULL, is_known = x.is_known AND NOT $5"
		" RETURNING x.id",
	.n_args = 8,
	.types = { INT8OID, INT8OID, TEXTOID, JSONBOID, BOOLOID, INT8OID, INT8OID,
			   BOOLOID }
};

static ThPlan lock_former = {
	.text = "SELECT x.id FROM telehealth.calendar_connection AS x"
			" WHERE x.clinic_id = $1 AND x.provider_id = $2 AND x.kind = $3"
			" FOR NO KEY UPDATE",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TEXTOID }
};

/* Another calendar is named. CalDAV's have many names: only the search tells which is meant. */
static ThPlan find_moved = {
	.text = "SELECT x.id FROM telehealth.calendar_connection AS x"
			" WHERE x.clinic_id = $1 AND x.provider_id = $2 AND x.kind = $3"
			" AND x.kind <> 'caldav' AND $4 ? 'calendar_id'"
			" AND x.calendar_id IS DISTINCT FROM $4 ->> 'calendar_id'"
			" FOR NO KEY UPDATE",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TEXTOID, JSONBOID }
};

static ThPlan configure = {
	.text =
		"UPDATE telehealth.calendar_connection AS x SET"
		" calendar_id = CASE WHEN $3 ? 'calendar_id' THEN $3 ->> 'calendar_id' ELSE x.calendar_id END,"
		" sync_direction = COALESCE($3 ->> 'sync_direction', x.sync_direction),"
		" sync_enabled = COALESCE(($3 ->> 'sync_enabled')::boolean, x.sync_enabled),"
		" sync_frequency_minutes = COALESCE(($3 ->> 'sync_frequency_minutes')::integer, x.sync_frequency_minutes),"
		" remote_change_policy = COALESCE($3 ->> 'remote_change_policy', x.remote_change_policy),"
		" window_days_back = COALESCE(($3 ->> 'window_days_back')::integer, x.window_days_back),"
		" window_days_ahead = COALESCE(($3 ->> 'window_days_ahead')::integer, x.window_days_ahead),"
		" settings = jsonb_strip_nulls((x.settings || $3) - " COLUMNS "),"
		" next_sync_at = NULL"
		" WHERE x.clinic_id = $1 AND x.id = $2 RETURNING x.id",
	.n_args = 3,
	.types = { INT8OID, INT8OID, JSONBOID }
};

static ThPlan grant = {
	.text =
		"UPDATE telehealth.calendar_connection AS x SET status = 'CONNECTED',"
		" oauth_client_clinic_id = $3, oauth_client_id = $4,"
		" connected_at = GREATEST(clock_timestamp(), x.connected_at + interval '1 microsecond'),"
		" next_sync_at = NULL, token_expires_at = NULL, grant_used_at = NULL,"
		" grant_expires_at = NULL, reauth_required_at = NULL, last_error = NULL,"
		" last_error_at = NULL, suspicious_at = NULL, suspicious_count = NULL,"
		" disconnected_at = NULL, purge_requested_at = NULL, is_known = false"
		" WHERE x.clinic_id = $1 AND x.id = $2 RETURNING x.connected_at",
	.n_args = 4,
	.types = { INT8OID, INT8OID, INT8OID, INT8OID }
};

/* What was pulled by another grant says nothing of this one. */
static ThPlan forget_cursor = {
	.text = "DELETE FROM telehealth_private.calendar_cursor"
			" WHERE clinic_id = $1 AND connection_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan end = {
	.text =
		"WITH gone AS (UPDATE telehealth.calendar_connection AS x SET"
		" status = 'DISCONNECTED',"
		" disconnected_at = COALESCE(x.disconnected_at, clock_timestamp()),"
		" purge_requested_at = CASE WHEN $4 THEN clock_timestamp() END,"
		" next_sync_at = NULL, reauth_required_at = NULL, last_error = NULL,"
		" last_error_at = NULL, suspicious_at = NULL, suspicious_count = NULL"
		" WHERE x.clinic_id = $1 AND x.provider_id = $2 AND x.kind = $3"
		" AND (x.status <> 'DISCONNECTED'"
		" OR (NOT $4 AND x.purge_requested_at IS NOT NULL))"
		" RETURNING x.clinic_id, x.id"
		"), cursor AS (DELETE FROM telehealth_private.calendar_cursor AS c"
		" USING gone AS g WHERE c.clinic_id = g.clinic_id AND c.connection_id = g.id"
		"), busy AS (DELETE FROM telehealth.busy_time AS b USING gone AS g"
		" WHERE b.clinic_id = $1 AND b.provider_id = $2"
		" AND b.source = 'connection:' || g.id"
		"), problem AS (DELETE FROM telehealth.import_problem AS p USING gone AS g"
		" WHERE p.clinic_id = $1 AND p.provider_id = $2"
		" AND p.source = 'connection:' || g.id)"
		" SELECT g.id FROM gone AS g",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TEXTOID, BOOLOID }
};

static ThPlan purge = {
	.text = "UPDATE telehealth.calendar_connection SET sync_enabled = false,"
			" purge_requested_at = clock_timestamp()"
			" WHERE clinic_id = $1 AND id = $2 RETURNING id",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

/* What is being tried while the client changes is tried with the former one. */
static ThPlan list_client_jobs = {
	.text =
		"WITH served AS (SELECT x.clinic_id, x.id, x.status"
		" FROM telehealth.calendar_connection AS x"
		" WHERE x.oauth_client_clinic_id = $1 AND x.oauth_client_id = $2"
		" AND x.status <> 'DISCONNECTED'), subject AS ("
		"SELECT 'event' AS kind, e.clinic_id, e.id, s.status FROM served AS s"
		" JOIN telehealth.calendar_event AS e"
		" ON e.clinic_id = s.clinic_id AND e.connection_id = s.id"
		" UNION ALL SELECT k, s.clinic_id, s.id, s.status FROM served AS s"
		" CROSS JOIN (VALUES ('pull'), ('channel')) AS v (k))"
		" SELECT q.kind, q.clinic_id, q.subject_id, q.priority::integer"
		" FROM subject AS s JOIN telehealth_private.job AS q"
		" ON q.kind = s.kind AND q.clinic_id = s.clinic_id AND q.subject_id = s.id"
		" WHERE q.attempts > 0 OR s.status = 'ERROR'",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan revoke_feeds = {
	.text = "UPDATE telehealth.feed SET is_active = false"
			" WHERE clinic_id = $1 AND provider_id = $2 AND name = $3"
			" AND is_active RETURNING id",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TEXTOID }
};

static void
bind_key(Datum *values, int64 clinic_id, int64 id)
{
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
}

/* Inside th_store_connect(). */
static void
forget(int64 clinic_id, int64 id)
{
	Datum values[2];

	bind_key(values, clinic_id, id);
	th_plan_run(&forget_cursor, values, NULL, false);
}

int64
th_connect_lock(int64 clinic_id, int64 provider_id, const char *kind)
{
	Datum values[3];
	int64 id;

	th_store_connect();
	bind_key(values, clinic_id, provider_id);
	values[2] = CStringGetTextDatum(kind);
	th_plan_run(&lock_former, values, NULL, false);
	id = SPI_processed > 0 ? th_row_int64(0, 1) : 0;
	th_store_finish();
	return id;
}

int64
th_connect(int64 clinic_id, int64 provider_id, const char *kind, Jsonb *options,
		   bool begins, bool is_other, int64 client_clinic_id, int64 client_id)
{
	char nulls[9] = "        ";
	Datum values[8];
	int64 id;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(provider_id);
	values[2] = CStringGetTextDatum(kind);
	values[3] = JsonbPGetDatum(options);
	values[4] = BoolGetDatum(begins);
	values[5] = Int64GetDatum(client_clinic_id);
	values[6] = Int64GetDatum(client_id);
	values[7] = BoolGetDatum(is_other);
	nulls[5] = nulls[6] = client_id == 0 ? 'n' : ' ';
	th_plan_run(&find_moved, values, NULL, false);
	id = SPI_processed > 0 ? th_row_int64(0, 1) : 0;
	if (id != 0)
		th_connection_leave(clinic_id, id);
	th_plan_run(&upsert, values, nulls, false);
	id = th_row_int64(0, 1);
	if (begins)
		forget(clinic_id, id);
	th_store_finish();
	if (begins)
		th_connection_replace(clinic_id, id);
	return id;
}

bool
th_connect_configure(int64 clinic_id, int64 id, Jsonb *options)
{
	Datum values[3];
	bool is_found;

	th_store_connect();
	bind_key(values, clinic_id, id);
	values[2] = JsonbPGetDatum(options);
	th_plan_run(&configure, values, NULL, false);
	is_found = SPI_processed > 0;
	th_store_finish();
	return is_found;
}

bool
th_connect_grant(int64 clinic_id, int64 id, int64 client_clinic_id,
				 int64 client_id, TimestampTz *connected_at)
{
	Datum values[4];
	bool is_found;

	th_store_connect();
	bind_key(values, clinic_id, id);
	values[2] = Int64GetDatum(client_clinic_id);
	values[3] = Int64GetDatum(client_id);
	th_plan_run(&grant, values, NULL, false);
	is_found = SPI_processed > 0;
	if (is_found)
	{
		*connected_at = th_row_timestamptz(0, 1);
		forget(clinic_id, id);
	}
	th_store_finish();
	if (is_found)
		th_connection_replace(clinic_id, id);
	return is_found;
}

int64
th_connect_end(int64 clinic_id, int64 provider_id, const char *kind,
			   bool purges)
{
	Datum values[4];
	int64 id = 0;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(provider_id);
	values[2] = CStringGetTextDatum(kind);
	values[3] = BoolGetDatum(purges);
	th_plan_run(&end, values, NULL, false);
	if (SPI_processed > 0)
		id = th_row_int64(0, 1);
	th_store_finish();
	return id;
}

bool
th_connect_purge(int64 clinic_id, int64 id)
{
	Datum values[2];
	bool is_found;

	th_store_connect();
	bind_key(values, clinic_id, id);
	th_plan_run(&purge, values, NULL, false);
	is_found = SPI_processed > 0;
	th_store_finish();
	return is_found;
}

void
th_connect_retry_client(int64 client_clinic_id, int64 client_id,
						TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	ThMark *marks;
	Datum values[2];
	int n;

	th_store_connect();
	bind_key(values, client_clinic_id, client_id);
	th_plan_run(&list_client_jobs, values, NULL, false);
	n = (int) SPI_processed;
	marks = MemoryContextAllocHuge(context, sizeof(ThMark) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		marks[i].kind = th_job_kind_of(th_row_text(i, 1, CurrentMemoryContext));
		marks[i].clinic_id = th_row_int64(i, 2);
		marks[i].subject_id = th_row_int64(i, 3);
		marks[i].priority = th_row_int32(i, 4);
		marks[i].due_at = now;
	}
	th_store_finish();
	th_job_mark(marks, n, false);
}

int
th_connect_revoke_feeds(int64 clinic_id, int64 provider_id, const char *name)
{
	Datum values[3];
	int n;

	th_store_connect();
	bind_key(values, clinic_id, provider_id);
	values[2] = CStringGetTextDatum(name);
	th_plan_run(&revoke_feeds, values, NULL, false);
	n = (int) SPI_processed;
	th_store_finish();
	return n;
}
