/*
 * connection.c
 *	  Rows of calendar_connection, connection_secret and connection_token.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/connection.h"
#include "store/plans.h"

static ThPlan load = {
	.text =
		"SELECT u.place, x.provider_id, x.kind, x.calendar_id, x.status,"
		" x.sync_enabled, x.sync_direction, x.sync_frequency_minutes,"
		" x.remote_change_policy, x.window_days_back, x.window_days_ahead,"
		" x.settings, COALESCE(x.oauth_client_clinic_id, 0),"
		" COALESCE(x.oauth_client_id, 0), x.connected_at, x.purge_requested_at,"
		" x.disconnected_at, x.last_sync_at, x.next_sync_at, x.grant_used_at,"
		" x.suspicious_at,"
		" rtrim(COALESCE(x.settings ->> 'api_url', c.settings ->> 'api_url',"
		" x.settings ->> 'url', b.api_url), '/'),"
		" COALESCE(x.settings ->> 'revoke_url', c.settings ->> 'revoke_url', b.revoke_url),"
		" COALESCE(c.settings ->> 'token_url', o.token_url),"
		" COALESCE((x.settings ->> 'timeout_ms')::bigint,"
		" (c.settings ->> 'timeout_ms')::bigint, 0), c.registered_at,"
		" x.is_known"
		" FROM unnest($1, $2) WITH ORDINALITY AS u (clinic_id, id, place)"
		" JOIN telehealth.calendar_connection AS x"
		" ON x.clinic_id = u.clinic_id AND x.id = u.id"
		" JOIN telehealth_private.builtin_calendar AS b ON b.kind = x.kind"
		" LEFT JOIN telehealth_private.builtin_oauth AS o ON o.kind = x.kind"
		" LEFT JOIN telehealth_private.oauth_client AS c"
		" ON c.clinic_id = x.oauth_client_clinic_id AND c.id = x.oauth_client_id",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan lock_row = {
	.text = "SELECT 1 FROM telehealth.calendar_connection"
			" WHERE clinic_id = $1 AND id = $2 FOR NO KEY UPDATE SKIP LOCKED",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan find_row = { .text =
							   "SELECT 1 FROM telehealth.calendar_connection"
							   " WHERE clinic_id = $1 AND id = $2",
						   .n_args = 2,
						   .types = { INT8OID, INT8OID } };

static ThPlan get_secrets = {
	.text = "SELECT name, envelope FROM telehealth_private.connection_secret"
			" WHERE clinic_id = $1 AND connection_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan put_secret = {
	.text = "INSERT INTO telehealth_private.connection_secret AS s"
			" (clinic_id, connection_id, name, envelope)"
			" VALUES ($1, $2, $3, $4)"
			" ON CONFLICT ON CONSTRAINT connection_secret_pkey"
			" DO UPDATE SET envelope = EXCLUDED.envelope",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TEXTOID, BYTEAOID }
};

static ThPlan lock_secret = {
	.text = "SELECT envelope FROM telehealth_private.connection_secret"
			" WHERE clinic_id = $1 AND connection_id = $2 AND name = $3"
			" FOR UPDATE",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TEXTOID }
};

static ThPlan forget = {
	.text = "WITH token AS (DELETE FROM telehealth_private.connection_token"
			" WHERE clinic_id = $1 AND connection_id = $2)"
			" DELETE FROM telehealth_private.connection_secret"
			" WHERE clinic_id = $1 AND connection_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan get_token = {
	.text = "SELECT envelope, expires_at, scopes"
			" FROM telehealth_private.connection_token"
			" WHERE clinic_id = $1 AND connection_id = $2 AND expires_at > $3",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

/* grant_expires_at: what is known of grants that nothing uses. */
static ThPlan put_token = {
	.text =
		"WITH live AS (UPDATE telehealth.calendar_connection AS x SET"
		" token_expires_at = $5, grant_used_at = clock_timestamp(),"
		" grant_expires_at = clock_timestamp() + make_interval(days =>"
		" (SELECT COALESCE(l.value, b.value)::integer"
		" FROM telehealth_private.builtin_vendor_limit AS b"
		" LEFT JOIN telehealth.vendor_limit AS l"
		" ON l.vendor = b.vendor AND l.name = b.name"
		" WHERE b.vendor = x.kind AND b.name = 'grant_idle_days'))"
		" WHERE x.clinic_id = $1 AND x.id = $2 AND x.connected_at = $6"
		" RETURNING x.clinic_id, x.id)"
		" INSERT INTO telehealth_private.connection_token AS t (clinic_id,"
		" connection_id, envelope, scopes, expires_at, obtained_at, subject)"
		" SELECT l.clinic_id, l.id, $3, $4, $5, clock_timestamp(), $7"
		" FROM live AS l"
		" ON CONFLICT ON CONSTRAINT connection_token_pkey DO UPDATE SET"
		" envelope = EXCLUDED.envelope, scopes = EXCLUDED.scopes,"
		" expires_at = EXCLUDED.expires_at, obtained_at = EXCLUDED.obtained_at,"
		" subject = EXCLUDED.subject",
	.n_args = 7,
	.types = { INT8OID, INT8OID, BYTEAOID, TEXTOID, TIMESTAMPTZOID,
			   TIMESTAMPTZOID, TEXTOID }
};

static ThPlan note = {
	.text =
		"WITH was AS MATERIALIZED (SELECT w.status FROM telehealth.calendar_connection AS w"
		" WHERE w.clinic_id = $1 AND w.id = $2 FOR UPDATE)"
		" UPDATE telehealth.calendar_connection AS x SET status = $3,"
		" last_error = $4,"
		" last_error_at = CASE WHEN $4 IS NULL THEN NULL ELSE clock_timestamp() END,"
		" reauth_required_at = CASE WHEN $3 = 'REAUTH_REQUIRED'"
		" THEN COALESCE(x.reauth_required_at, clock_timestamp()) END"
		" FROM was WHERE x.clinic_id = $1 AND x.id = $2 AND x.connected_at = $5"
		" AND x.status <> 'DISCONNECTED'"
		" AND (x.status <> 'PENDING' OR $3 <> 'CONNECTED')"
		" AND ((x.status, x.last_error) IS DISTINCT FROM ($3, $4)"
		" OR x.last_error_at < clock_timestamp() - interval '1 minute')"
		" RETURNING $3 = 'REAUTH_REQUIRED' AND was.status <> $3",
	.n_args = 5,
	.types = { INT8OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID }
};

static ThPlan note_error = {
	.text =
		"UPDATE telehealth.calendar_connection AS x SET last_error = $3,"
		" last_error_at = CASE WHEN $3 IS NULL THEN NULL ELSE clock_timestamp() END"
		" FROM (SELECT f.clinic_id, f.id FROM telehealth.calendar_connection AS f"
		" WHERE f.clinic_id = $1 AND f.id = $2 FOR NO KEY UPDATE SKIP LOCKED) AS free"
		" WHERE x.clinic_id = free.clinic_id AND x.id = free.id"
		" AND x.status IN ('PENDING', 'CONNECTED')"
		" AND (x.last_error IS DISTINCT FROM $3"
		" OR x.last_error_at < clock_timestamp() - interval '1 minute')",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TEXTOID }
};

static ThPlan release = {
	.text =
		"WITH subject AS (SELECT 'event' AS kind, e.clinic_id, e.id"
		" FROM telehealth.calendar_event AS e"
		" WHERE e.clinic_id = $1 AND e.connection_id = $2"
		" UNION ALL VALUES ('pull', $1, $2), ('channel', $1, $2)"
		"), free AS MATERIALIZED (SELECT q.kind, q.clinic_id, q.subject_id"
		" FROM subject AS s JOIN telehealth_private.job AS q"
		" ON q.kind = s.kind AND q.clinic_id = s.clinic_id AND q.subject_id = s.id"
		" WHERE q.attempts = 0 AND q.due_at > $3 FOR UPDATE OF q SKIP LOCKED)"
		" UPDATE telehealth_private.job AS j SET due_at = $3, failures = 0,"
		" waiting_for = NULL, last_error = NULL, dead_at = NULL FROM free AS f"
		" WHERE j.kind = f.kind AND j.clinic_id = f.clinic_id"
		" AND j.subject_id = f.subject_id",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

static ThPlan rest = {
	.text =
		"SELECT u.place, EXISTS (SELECT FROM telehealth_private.push_channel AS p"
		" WHERE p.clinic_id = u.clinic_id AND p.connection_id = u.id),"
		" EXISTS (SELECT FROM telehealth_private.connection_secret AS s"
		" WHERE s.clinic_id = u.clinic_id AND s.connection_id = u.id),"
		" (SELECT max(e.intent_at) FROM telehealth.calendar_event AS e"
		" WHERE e.clinic_id = u.clinic_id AND e.connection_id = u.id"
		" AND e.intent IS NOT NULL)"
		" FROM unnest($1, $2) WITH ORDINALITY AS u (clinic_id, id, place)",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan start = {
	.text = "UPDATE telehealth.calendar_connection SET next_sync_at = $4"
			" WHERE clinic_id = $1 AND id = $2 AND connected_at = $3"
			" AND next_sync_at IS NULL",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID }
};

static ThPlan purged = {
	.text = "WITH gone AS (DELETE FROM telehealth.calendar_event"
			" WHERE clinic_id = $1 AND connection_id = $2)"
			" UPDATE telehealth.calendar_connection"
			" SET purge_requested_at = NULL WHERE clinic_id = $1 AND id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

/* 0 for NULL. */
static TimestampTz
instant(uint64 row, int column)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);

	return is_null ? 0 : DatumGetTimestampTz(value);
}

static void
read_connection(uint64 row, ThConnection *x, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	char *direction;
	bool is_null;

	x->provider_id = th_row_int64(row, 2);
	x->kind = th_row_text(row, 3, context);
	x->calendar_id = th_row_text(row, 4, context);
	x->status = th_row_text(row, 5, context);
	x->sync_enabled = th_row_bool(row, 6);
	direction = th_row_text(row, 7, context);
	x->pushes = strcmp(direction, "pull") != 0;
	x->pulls = strcmp(direction, "push") != 0;
	x->sync_frequency_minutes = th_row_int32(row, 8);
	x->remote_change_policy = th_row_text(row, 9, context);
	x->window_days_back = th_row_int32(row, 10);
	x->window_days_ahead = th_row_int32(row, 11);
	x->settings = DatumGetJsonbPCopy(th_row_datum(row, 12, &is_null));
	x->client_clinic_id = th_row_int64(row, 13);
	x->client_id = th_row_int64(row, 14);
	x->connected_at = instant(row, 15);
	x->purge_requested_at = instant(row, 16);
	x->disconnected_at = instant(row, 17);
	x->last_sync_at = instant(row, 18);
	x->next_sync_at = instant(row, 19);
	x->grant_used_at = instant(row, 20);
	x->suspicious_at = instant(row, 21);
	x->api_url = th_row_text(row, 22, context);
	x->revoke_url = th_row_text(row, 23, context);
	x->token_url = th_row_text(row, 24, context);
	x->timeout_ms = th_row_int64(row, 25);
	x->client_registered_at = instant(row, 26);
	x->is_known = th_row_bool(row, 27);
	MemoryContextSwitchTo(old);
}

ThConnection *
th_connection_load(const int64 *clinics, const int64 *ids, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ThConnection *connections = palloc0_array(ThConnection, Max(n, 1));
	Datum values[2];

	if (n == 0)
		return connections;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	th_plan_run(&load, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int i = (int) th_row_int64(row, 1) - 1;

		connections[i].clinic_id = clinics[i];
		connections[i].id = ids[i];
		read_connection(row, &connections[i], context);
	}
	th_store_finish();
	return connections;
}

/* An error may be over any time: whoever tries, finds out. */
static bool
is_live(const ThConnection *connection)
{
	return connection->id != 0 && connection->sync_enabled &&
		   (strcmp(connection->status, "CONNECTED") == 0 ||
			strcmp(connection->status, "ERROR") == 0);
}

bool
th_connection_pushes(const ThConnection *connection)
{
	return is_live(connection) && connection->pushes;
}

bool
th_connection_pulls(const ThConnection *connection)
{
	return is_live(connection) && connection->pulls;
}

bool
th_connection_lock(int64 clinic_id, int64 id)
{
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(id) };
	bool is_ours;

	th_store_connect();
	th_plan_run(&lock_row, values, NULL, false);
	is_ours = SPI_processed > 0;
	if (!is_ours)
	{
		th_plan_run(&find_row, values, NULL, false);
		is_ours = SPI_processed == 0;
	}
	th_store_finish();
	return is_ours;
}

/* ---- secrets and tokens ---- */

int
th_connection_secrets(int64 clinic_id, int64 id, ThSealed **secrets)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(id) };
	int n;

	th_store_connect();
	th_plan_run(&get_secrets, values, NULL, false);
	n = (int) SPI_processed;
	*secrets = MemoryContextAllocZero(context, sizeof(ThSealed) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*secrets)[i].name = th_row_text(i, 1, context);
		(*secrets)[i].envelope = th_row_bytea(i, 2, context);
	}
	th_store_finish();
	return n;
}

void
th_connection_put_secret(int64 clinic_id, int64 id, const char *name,
						 bytea *envelope)
{
	Datum values[4];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = CStringGetTextDatum(name);
	values[3] = PointerGetDatum(envelope);
	th_plan_run(&put_secret, values, NULL, false);
	th_store_finish();
}

bytea *
th_connection_lock_secret(int64 clinic_id, int64 id, const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	bytea *envelope = NULL;
	Datum values[3];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = CStringGetTextDatum(name);
	th_plan_run(&lock_secret, values, NULL, false);
	if (SPI_processed > 0)
		envelope = th_row_bytea(0, 1, context);
	th_store_finish();
	return envelope;
}

void
th_connection_forget(int64 clinic_id, int64 id)
{
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(id) };

	th_store_connect();
	th_plan_run(&forget, values, NULL, false);
	th_store_finish();
}

bytea *
th_connection_token(int64 clinic_id, int64 id, TimestampTz after,
					TimestampTz *expires_at, char **scopes)
{
	MemoryContext context = CurrentMemoryContext;
	bytea *envelope = NULL;
	Datum values[3] = { Int64GetDatum(clinic_id), Int64GetDatum(id),
						TimestampTzGetDatum(after) };

	th_store_connect();
	th_plan_run(&get_token, values, NULL, false);
	if (SPI_processed > 0)
	{
		envelope = th_row_bytea(0, 1, context);
		*expires_at = th_row_timestamptz(0, 2);
		*scopes = th_row_text(0, 3, context);
	}
	th_store_finish();
	return envelope;
}

void
th_connection_put_token(int64 clinic_id, int64 id, TimestampTz connected_at,
						bytea *envelope, const char *scopes,
						const char *subject, TimestampTz expires_at)
{
	char nulls[8] = "       ";
	Datum values[7];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = PointerGetDatum(envelope);
	nulls[3] = scopes == NULL ? 'n' : ' ';
	values[3] = scopes == NULL ? (Datum) 0 : CStringGetTextDatum(scopes);
	values[4] = TimestampTzGetDatum(expires_at);
	values[5] = TimestampTzGetDatum(connected_at);
	nulls[6] = subject == NULL ? 'n' : ' ';
	values[6] = subject == NULL ? (Datum) 0 : CStringGetTextDatum(subject);
	th_plan_run(&put_token, values, nulls, false);
	th_store_finish();
}

/* ---- how it stands ---- */

void
th_connection_tell(const char *what, int64 clinic_id, int64 id)
{
	Async_Notify("telehealth_calendar",
				 psprintf("{\"event\": \"%s\", \"clinic_id\": " INT64_FORMAT
						  ", \"connection_id\": " INT64_FORMAT "}",
						  what, clinic_id, id));
}

void
th_connection_note(int64 clinic_id, int64 id, TimestampTz connected_at,
				   const char *status, const char *error)
{
	char nulls[6] = "     ";
	Datum values[5];
	bool is_first = false;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = CStringGetTextDatum(status);
	nulls[3] = error == NULL ? 'n' : ' ';
	values[3] = error == NULL ? (Datum) 0 : CStringGetTextDatum(error);
	values[4] = TimestampTzGetDatum(connected_at);
	th_plan_run(&note, values, nulls, false);
	if (SPI_processed > 0)
		is_first = th_row_bool(0, 1);
	th_store_finish();
	if (is_first)
		th_connection_tell("reauth_required", clinic_id, id);
}

void
th_connection_note_error(int64 clinic_id, int64 id, const char *error)
{
	char nulls[4] = "   ";
	Datum values[3] = { Int64GetDatum(clinic_id), Int64GetDatum(id),
						(Datum) 0 };

	th_store_connect();
	nulls[2] = error == NULL ? 'n' : ' ';
	if (error != NULL)
		values[2] = CStringGetTextDatum(error);
	th_plan_run(&note_error, values, nulls, false);
	th_store_finish();
}

void
th_connection_release(int64 clinic_id, int64 id, TimestampTz now)
{
	Datum values[3] = { Int64GetDatum(clinic_id), Int64GetDatum(id),
						TimestampTzGetDatum(now) };

	th_store_connect();
	th_plan_run(&release, values, NULL, false);
	th_store_finish();
}

ThConnectionRest *
th_connection_rest(const int64 *clinics, const int64 *ids, int n)
{
	ThConnectionRest *rests = palloc0_array(ThConnectionRest, Max(n, 1));
	Datum values[2];

	if (n == 0)
		return rests;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	th_plan_run(&rest, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int i = (int) th_row_int64(row, 1) - 1;

		rests[i].has_channels = th_row_bool(row, 2);
		rests[i].has_secrets = th_row_bool(row, 3);
		rests[i].intent_at = instant(row, 4);
	}
	th_store_finish();
	return rests;
}

void
th_connection_start(const ThConnection *connection, TimestampTz now)
{
	Datum values[4];

	th_store_connect();
	values[0] = Int64GetDatum(connection->clinic_id);
	values[1] = Int64GetDatum(connection->id);
	values[2] = TimestampTzGetDatum(connection->connected_at);
	values[3] = TimestampTzGetDatum(now);
	th_plan_run(&start, values, NULL, false);
	th_store_finish();
}

void
th_connection_purged(const ThConnection *connection)
{
	Datum values[2] = { Int64GetDatum(connection->clinic_id),
						Int64GetDatum(connection->id) };

	th_store_connect();
	th_plan_run(&purged, values, NULL, false);
	th_store_finish();
}
