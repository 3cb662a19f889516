/*
 * connection_found.c
 *	  Which calendar a connection leads to, and what becomes of the former one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/connection_found.h"
#include "store/plans.h"

#define AS_IT_WAS                                                              \
	" WHERE x.clinic_id = $1 AND x.id = $2 AND x.connected_at = $3"            \
	" AND x.calendar_id IS NOT DISTINCT FROM $4"                               \
	" AND x.status <> 'DISCONNECTED'"

/*
 * An account's own calendar is told by the account's number, if both grants
 * came with one: its address may change, and then another have it.
 */
static ThPlan compare = {
	.text = "SELECT COALESCE(CASE WHEN x.calendar_id IS NULL"
			" THEN x.found_subject <> t.subject END,"
			" x.found_calendar <> $5, false)"
			" FROM telehealth.calendar_connection AS x"
			" LEFT JOIN telehealth_private.connection_token AS t"
			" ON t.clinic_id = x.clinic_id AND t.connection_id = x.id" AS_IT_WAS
			" FOR NO KEY UPDATE OF x",
	.n_args = 5,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID }
};

static ThPlan found = {
	.text =
		"UPDATE telehealth.calendar_connection AS x SET"
		" status = 'CONNECTED', calendar_id = COALESCE($6, x.calendar_id),"
		" found_calendar = COALESCE($5, x.found_calendar), is_known = true,"
		" found_subject = COALESCE((SELECT t.subject"
		" FROM telehealth_private.connection_token AS t"
		" WHERE t.clinic_id = $1 AND t.connection_id = $2), x.found_subject),"
		" last_error = NULL, last_error_at = NULL,"
		" reauth_required_at = NULL, next_sync_at = NULL" AS_IT_WAS,
	.n_args = 6,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID }
};

static ThPlan leave = {
	.text =
		"WITH moved AS MATERIALIZED (UPDATE telehealth.calendar_connection AS x"
		" SET found_calendar = NULL, found_subject = NULL, is_known = false,"
		" last_sync_at = NULL,"
		" suspicious_at = NULL, suspicious_count = NULL,"
		" deletions_confirmed_at = NULL"
		" WHERE x.clinic_id = $1 AND x.id = $2"
		" RETURNING x.clinic_id, x.id, x.provider_id"
		"), cursor AS (DELETE FROM telehealth_private.calendar_cursor AS c"
		" USING moved AS m WHERE c.clinic_id = m.clinic_id"
		" AND c.connection_id = m.id"
		"), busy AS (DELETE FROM telehealth.busy_time AS b USING moved AS m"
		" WHERE b.clinic_id = $1 AND b.provider_id = m.provider_id"
		" AND b.source = 'connection:' || m.id"
		"), problem AS (DELETE FROM telehealth.import_problem AS p"
		" USING moved AS m WHERE p.clinic_id = $1"
		" AND p.provider_id = m.provider_id"
		" AND p.source = 'connection:' || m.id"
		"), channel AS (UPDATE telehealth_private.push_channel AS c"
		" SET retired_at = clock_timestamp() FROM moved AS m"
		" WHERE c.clinic_id = m.clinic_id AND c.connection_id = m.id"
		" AND c.retired_at IS NULL"
		"), gone AS (DELETE FROM telehealth.calendar_event AS e"
		" USING moved AS m WHERE e.clinic_id = m.clinic_id"
		" AND e.connection_id = m.id AND e.retired_at IS NOT NULL)"
		" UPDATE telehealth.calendar_event AS e SET external_id = NULL,"
		" etag = NULL, pushed_hash = NULL, intent = NULL,"
		" remote_state = 'unchanged', generation = e.generation + 1"
		" FROM moved AS m WHERE e.clinic_id = m.clinic_id"
		" AND e.connection_id = m.id AND e.retired_at IS NULL",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

/*
 * The token of what is replaced is kept for its channels; what is there
 * already is of a grant that was never used.
 */
static ThPlan replace = {
	.text = "WITH kept AS (UPDATE telehealth_private.connection_token AS t SET"
			" former_envelope = CASE WHEN t.expires_at > clock_timestamp()"
			" THEN t.envelope ELSE t.former_envelope END,"
			" former_expires_at = CASE WHEN t.expires_at > clock_timestamp()"
			" THEN t.expires_at ELSE t.former_expires_at END,"
			" scopes = NULL, subject = NULL, expires_at = '-infinity'"
			" WHERE t.clinic_id = $1 AND t.connection_id = $2 AND EXISTS"
			" (SELECT FROM telehealth_private.push_channel AS p"
			" WHERE p.clinic_id = $1 AND p.connection_id = $2)"
			"), gone AS (DELETE FROM telehealth_private.connection_token AS t"
			" WHERE t.clinic_id = $1 AND t.connection_id = $2 AND NOT EXISTS"
			" (SELECT FROM telehealth_private.push_channel AS p"
			" WHERE p.clinic_id = $1 AND p.connection_id = $2))"
			" DELETE FROM telehealth_private.connection_secret"
			" WHERE clinic_id = $1 AND connection_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan get_former = {
	.text = "SELECT former_envelope FROM telehealth_private.connection_token"
			" WHERE clinic_id = $1 AND connection_id = $2"
			" AND former_envelope IS NOT NULL AND former_expires_at > $3",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

static ThPlan drop_former = {
	.text = "WITH gone AS (DELETE FROM telehealth_private.connection_token"
			" WHERE clinic_id = $1 AND connection_id = $2"
			" AND expires_at = '-infinity')"
			" UPDATE telehealth_private.connection_token"
			" SET former_envelope = NULL, former_expires_at = NULL"
			" WHERE clinic_id = $1 AND connection_id = $2"
			" AND former_envelope IS NOT NULL AND expires_at <> '-infinity'",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static Datum
text_or_null(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

ThFound
th_connection_found(const ThConnection *connection, const char *calendar_id,
					const char *identity)
{
	char nulls[] = "      ";
	Datum values[6];
	ThFound result = TH_FOUND_STALE;

	th_store_connect();
	values[0] = Int64GetDatum(connection->clinic_id);
	values[1] = Int64GetDatum(connection->id);
	values[2] = TimestampTzGetDatum(connection->connected_at);
	values[3] = text_or_null(connection->calendar_id, &nulls[3]);
	values[4] = text_or_null(identity, &nulls[4]);
	values[5] = text_or_null(calendar_id, &nulls[5]);
	th_plan_run(&compare, values, nulls, false);
	if (SPI_processed > 0)
		result = th_row_bool(0, 1) ? TH_FOUND_OTHER : TH_FOUND_SAME;
	if (result == TH_FOUND_OTHER)
		th_connection_leave(connection->clinic_id, connection->id);
	if (result != TH_FOUND_STALE)
		th_plan_run(&found, values, nulls, false);
	th_store_finish();
	/* its channels are the new grant's to stop, too */
	if (result == TH_FOUND_SAME)
		th_connection_drop_former(connection->clinic_id, connection->id);
	return result;
}

void
th_connection_leave(int64 clinic_id, int64 id)
{
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(id) };

	th_store_connect();
	th_plan_run(&leave, values, NULL, false);
	th_store_finish();
}

/* ---- the grant before ---- */

void
th_connection_replace(int64 clinic_id, int64 id)
{
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(id) };

	th_store_connect();
	th_plan_run(&replace, values, NULL, false);
	th_store_finish();
}

bytea *
th_connection_former(int64 clinic_id, int64 id, TimestampTz after)
{
	MemoryContext context = CurrentMemoryContext;
	bytea *envelope = NULL;
	Datum values[3] = { Int64GetDatum(clinic_id), Int64GetDatum(id),
						TimestampTzGetDatum(after) };

	th_store_connect();
	th_plan_run(&get_former, values, NULL, false);
	if (SPI_processed > 0)
		envelope = th_row_bytea(0, 1, context);
	th_store_finish();
	return envelope;
}

void
th_connection_drop_former(int64 clinic_id, int64 id)
{
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(id) };

	th_store_connect();
	th_plan_run(&drop_former, values, NULL, false);
	th_store_finish();
}
