/*
 * account.c
 *	  Accounts at platforms, their sealed credentials and cached tokens.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "store/account.h"
#include "store/plans.h"

static ThPlan get_account = {
	.text = "SELECT " TH_ACCOUNT_COLUMNS " FROM telehealth.account AS x"
			" LEFT JOIN telehealth_private.builtin_platform AS b"
			" ON b.platform = x.platform WHERE x.clinic_id = $1 AND x.id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan upsert_account = {
	.text =
		"INSERT INTO telehealth.account AS x (clinic_id, platform, settings,"
		" connected_at) VALUES ($1, $2, $3, clock_timestamp())"
		" ON CONFLICT ON CONSTRAINT account_platform_key DO UPDATE SET"
		" settings = EXCLUDED.settings, status = 'connected',"
		" connected_at = EXCLUDED.connected_at, token_expires_at = NULL,"
		" last_error = NULL, last_error_at = NULL, missing_scope = NULL,"
		" clock_skew = NULL RETURNING x.id",
	.n_args = 3,
	.types = { INT8OID, TEXTOID, JSONBOID }
};

static ThPlan delete_secrets = {
	.text = "DELETE FROM telehealth_private.account_secret"
			" WHERE clinic_id = $1 AND account_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan delete_tokens = { .text =
									"DELETE FROM telehealth_private.token_cache"
									" WHERE clinic_id = $1 AND account_id = $2",
								.n_args = 2,
								.types = { INT8OID, INT8OID } };

static ThPlan insert_secret = {
	.text = "INSERT INTO telehealth_private.account_secret"
			" (clinic_id, account_id, name, envelope) VALUES ($1, $2, $3, $4)",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TEXTOID, BYTEAOID }
};

static ThPlan insert_former = {
	.text = "INSERT INTO telehealth_private.account_secret"
			" (clinic_id, account_id, name, envelope, expires_at)"
			" VALUES ($1, $2, $3, $4, $5)",
	.n_args = 5,
	.types = { INT8OID, INT8OID, TEXTOID, BYTEAOID, TIMESTAMPTZOID }
};

static ThPlan get_secret = {
	.text = "SELECT s.envelope, x.id, COALESCE(s.expires_at, 'infinity')"
			" FROM telehealth.account AS x"
			" JOIN telehealth_private.account_secret AS s"
			" ON s.clinic_id = x.clinic_id AND s.account_id = x.id"
			" WHERE x.clinic_id = $1 AND x.platform = $2 AND s.name = $3"
			" AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())",
	.n_args = 3,
	.types = { INT8OID, TEXTOID, TEXTOID }
};

static ThPlan set_vendor_key = {
	.text = "UPDATE telehealth.account SET vendor_key = $3"
			" WHERE clinic_id = $1 AND id = $2"
			" AND vendor_key IS DISTINCT FROM $3",
	.n_args = 3,
	.types = { INT8OID, INT8OID, BYTEAOID }
};

static ThPlan has_envelopes = {
	.text = "SELECT EXISTS (SELECT FROM telehealth_private.account_secret)"
			" OR EXISTS (SELECT FROM telehealth_private.session_secret)",
	.n_args = 0,
	.types = { 0 }
};

/* Not in version 0.1, whose functions may still call us. */
static ThPlan has_more_envelopes = {
	.text = "SELECT EXISTS (SELECT FROM telehealth_private.oauth_client_secret)"
			" OR EXISTS (SELECT FROM telehealth_private.push_channel)"
			" OR EXISTS (SELECT FROM telehealth_private.connection_secret)",
	.n_args = 0,
	.types = { 0 }
};

static ThPlan reset_level = {
	.text = "UPDATE telehealth.account SET is_user_level = false"
			" WHERE clinic_id = $1 AND id = $2 AND is_user_level",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan get_secrets = {
	.text = "SELECT name, envelope FROM telehealth_private.account_secret"
			" WHERE clinic_id = $1 AND account_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan get_token = {
	.text =
		"SELECT t.envelope, t.expires_at, t.scopes,"
		" (EXTRACT(epoch FROM k.skew) * 1000)::integer"
		" FROM telehealth_private.token_cache AS t"
		" JOIN telehealth.account AS x"
		" ON x.clinic_id = t.clinic_id AND x.id = t.account_id"
		" CROSS JOIN LATERAL (SELECT COALESCE(x.clock_skew, '0')) AS k (skew)"
		" WHERE t.clinic_id = $1 AND t.account_id = $2"
		" AND t.expires_at > $3 + k.skew",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID }
};

static ThPlan put_token = {
	.text =
		"INSERT INTO telehealth_private.token_cache AS t (clinic_id, account_id,"
		" envelope, scopes, expires_at, obtained_at)"
		" SELECT x.clinic_id, x.id, $3, $4, $5, clock_timestamp()"
		" FROM telehealth.account AS x WHERE x.clinic_id = $1 AND x.id = $2"
		" AND x.connected_at = $6"
		" ON CONFLICT ON CONSTRAINT token_cache_pkey DO UPDATE SET"
		" envelope = EXCLUDED.envelope, scopes = EXCLUDED.scopes,"
		" expires_at = EXCLUDED.expires_at, obtained_at = EXCLUDED.obtained_at",
	.n_args = 6,
	.types = { INT8OID, INT8OID, BYTEAOID, TEXTOID, TIMESTAMPTZOID,
			   TIMESTAMPTZOID }
};

static ThPlan note_token = {
	.text =
		"UPDATE telehealth.account SET status = 'connected',"
		" token_expires_at = $3, clock_skew = make_interval(secs => $4 / 1000.0),"
		" last_error = NULL, last_error_at = NULL"
		" WHERE clinic_id = $1 AND id = $2 AND connected_at = $5 AND status <> 'disconnected'",
	.n_args = 5,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID }
};

/* What has to be known of trouble that goes on is that it does, to the minute. */
static ThPlan note_trouble = {
	.text =
		"UPDATE telehealth.account SET status = $3, last_error = $4,"
		" last_error_at = CASE WHEN $4 IS NULL THEN NULL ELSE clock_timestamp() END,"
		" missing_scope = $5, is_refused = $7"
		" WHERE clinic_id = $1 AND id = $2 AND connected_at = $6 AND status <> 'disconnected'"
		" AND ((status, last_error, missing_scope, is_refused)"
		" IS DISTINCT FROM ($3, $4, $5, $7)"
		" OR last_error_at < clock_timestamp() - interval '1 minute')",
	.n_args = 7,
	.types = { INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
			   BOOLOID }
};

/* What was told before the account was connected anew is of the past. */
static ThPlan deauthorize = {
	.text =
		"WITH told AS MATERIALIZED (SELECT e.clinic_id AS event_clinic,"
		" e.id AS event_id, x.clinic_id, x.id,"
		" x.connected_at < e.received_at AS is_present"
		" FROM telehealth.webhook_event AS e JOIN telehealth.account AS x"
		" ON x.clinic_id = e.account_clinic_id AND x.id = e.account_id"
		" WHERE e.event_name = 'app_deauthorized' AND e.outcome = 'recorded'"
		" FOR UPDATE OF x SKIP LOCKED"
		"), seen AS (UPDATE telehealth.webhook_event AS e"
		" SET outcome = 'applied' FROM told AS t"
		" WHERE e.clinic_id = t.event_clinic AND e.id = t.event_id"
		"), gone AS (UPDATE telehealth.account AS x SET status = 'error',"
		" is_refused = true, last_error = 'the app was removed at the platform',"
		" last_error_at = clock_timestamp() FROM told AS t"
		" WHERE x.clinic_id = t.clinic_id AND x.id = t.id AND t.is_present"
		" AND x.status <> 'disconnected' RETURNING x.clinic_id, x.id)"
		" DELETE FROM telehealth_private.token_cache AS c USING gone AS g"
		" WHERE c.clinic_id = g.clinic_id AND c.account_id = g.id",
	.n_args = 0,
	.types = { 0 }
};

ThAccount *
th_account_read(uint64 row, int first, MemoryContext context)
{
	ThAccount *account;
	Datum settings;
	bool is_null;

	(void) th_row_datum(row, first + 1, &is_null);
	if (is_null)
		return NULL;
	account = MemoryContextAllocZero(context, sizeof(ThAccount));
	account->clinic_id = th_row_int64(row, first);
	account->id = th_row_int64(row, first + 1);
	account->platform = th_row_text(row, first + 2, context);
	account->status = th_row_text(row, first + 3, context);
	settings = th_row_datum(row, first + 4, &is_null);
	if (!is_null)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		account->settings = DatumGetJsonbPCopy(settings);
		MemoryContextSwitchTo(old);
	}
	account->connected_at = th_row_timestamptz(row, first + 5);
	account->api_url = th_row_text(row, first + 6, context);
	account->token_url = th_row_text(row, first + 7, context);
	account->is_user_level = th_row_bool(row, first + 8);
	return account;
}

static void
bind_account(Datum *values, int64 clinic_id, int64 id)
{
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
}

ThAccount *
th_account_get(int64 clinic_id, int64 id)
{
	MemoryContext context = CurrentMemoryContext;
	ThAccount *account = NULL;
	Datum values[2];

	th_store_connect();
	bind_account(values, clinic_id, id);
	th_plan_run(&get_account, values, NULL, false);
	if (SPI_processed > 0)
		account = th_account_read(0, 1, context);
	th_store_finish();
	return account;
}

int64
th_account_upsert(int64 clinic_id, const char *platform, Jsonb *settings)
{
	Datum values[3];
	int64 id;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = CStringGetTextDatum(platform);
	values[2] = JsonbPGetDatum(settings);
	th_plan_run(&upsert_account, values, NULL, false);
	id = th_row_int64(0, 1);

	bind_account(values, clinic_id, id);
	th_plan_run(&delete_secrets, values, NULL, false);
	th_plan_run(&delete_tokens, values, NULL, false);
	if (th_account_takes_webhooks())
		th_plan_run(&reset_level, values, NULL, false);
	th_store_finish();
	return id;
}

void
th_account_put_secret(int64 clinic_id, int64 id, const char *name,
					  bytea *envelope)
{
	Datum values[4];

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = CStringGetTextDatum(name);
	values[3] = PointerGetDatum(envelope);
	th_plan_run(&insert_secret, values, NULL, false);
	th_store_finish();
}

void
th_account_put_former(int64 clinic_id, int64 id, const char *name,
					  bytea *envelope, TimestampTz expires_at)
{
	Datum values[5];

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = CStringGetTextDatum(name);
	values[3] = PointerGetDatum(envelope);
	values[4] = TimestampTzGetDatum(expires_at);
	th_plan_run(&insert_former, values, NULL, false);
	th_store_finish();
}

bytea *
th_account_secret(int64 clinic_id, const char *platform, const char *name,
				  int64 *id, TimestampTz *expires_at)
{
	MemoryContext context = CurrentMemoryContext;
	bytea *envelope = NULL;
	Datum values[3];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = CStringGetTextDatum(platform);
	values[2] = CStringGetTextDatum(name);
	th_plan_run(&get_secret, values, NULL, false);
	if (SPI_processed > 0)
	{
		envelope = th_row_bytea(0, 1, context);
		*id = th_row_int64(0, 2);
		*expires_at = th_row_timestamptz(0, 3);
	}
	th_store_finish();
	return envelope;
}

void
th_account_set_vendor_key(int64 clinic_id, int64 id, bytea *key)
{
	char nulls[4] = "   ";
	Datum values[3];

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = PointerGetDatum(key);
	if (key == NULL)
		nulls[2] = 'n';
	th_plan_run(&set_vendor_key, values, nulls, false);
	th_store_finish();
}

bool
th_account_takes_webhooks(void)
{
	Oid schema = get_namespace_oid("telehealth", true);
	Oid relation = OidIsValid(schema) ? get_relname_relid("account", schema)
									  : InvalidOid;

	return OidIsValid(relation) &&
		   get_attnum(relation, "vendor_key") != InvalidAttrNumber;
}

bool
th_account_has_envelopes(void)
{
	bool result;

	th_store_connect();
	th_plan_run(&has_envelopes, NULL, NULL, false);
	result = th_row_bool(0, 1);
	if (!result && th_account_takes_webhooks())
	{
		th_plan_run(&has_more_envelopes, NULL, NULL, false);
		result = th_row_bool(0, 1);
	}
	th_store_finish();
	return result;
}

int
th_account_secrets(int64 clinic_id, int64 id, ThSealed **secrets)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[2];
	int n;

	th_store_connect();
	bind_account(values, clinic_id, id);
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

bytea *
th_account_token(int64 clinic_id, int64 id, TimestampTz after,
				 TimestampTz *expires_at, char **scopes, int *skew_ms)
{
	MemoryContext context = CurrentMemoryContext;
	bytea *envelope = NULL;
	Datum values[3];

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = TimestampTzGetDatum(after);
	th_plan_run(&get_token, values, NULL, false);
	if (SPI_processed > 0)
	{
		envelope = th_row_bytea(0, 1, context);
		*expires_at = th_row_timestamptz(0, 2);
		*scopes = th_row_text(0, 3, context);
		*skew_ms = th_row_int32(0, 4);
	}
	th_store_finish();
	return envelope;
}

void
th_account_put_token(int64 clinic_id, int64 id, TimestampTz connected_at,
					 bytea *envelope, const char *scopes,
					 TimestampTz expires_at, int skew_ms)
{
	Datum values[6];
	char nulls[7] = "      ";

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = PointerGetDatum(envelope);
	if (scopes == NULL)
		nulls[3] = 'n';
	values[3] = scopes == NULL ? (Datum) 0 : CStringGetTextDatum(scopes);
	values[4] = TimestampTzGetDatum(expires_at);
	values[5] = TimestampTzGetDatum(connected_at);
	th_plan_run(&put_token, values, nulls, false);

	values[2] = TimestampTzGetDatum(expires_at);
	values[3] = Int32GetDatum(skew_ms);
	values[4] = TimestampTzGetDatum(connected_at);
	th_plan_run(&note_token, values, NULL, false);
	th_store_finish();
}

void
th_account_note(int64 clinic_id, int64 id, TimestampTz connected_at,
				const char *status, const char *error,
				const char *missing_scope, bool is_refused)
{
	Datum values[7];
	char nulls[8] = "       ";

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = CStringGetTextDatum(status);
	values[3] = error == NULL ? (Datum) 0 : CStringGetTextDatum(error);
	values[4] = missing_scope == NULL ? (Datum) 0
									  : CStringGetTextDatum(missing_scope);
	if (error == NULL)
		nulls[3] = 'n';
	if (missing_scope == NULL)
		nulls[4] = 'n';
	values[5] = TimestampTzGetDatum(connected_at);
	values[6] = BoolGetDatum(is_refused);
	th_plan_run(&note_trouble, values, nulls, false);
	th_store_finish();
}

void
th_account_deauthorize(void)
{
	th_store_connect();
	th_plan_run(&deauthorize, NULL, NULL, false);
	th_store_finish();
}
