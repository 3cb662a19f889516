/*
 * account_grant.c
 *	  Accounts that a user has granted, and secrets that change.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/account_grant.h"
#include "store/plans.h"

/*
 * What the account's owner has set stays; addresses are the client's. A
 * grant's account is read after it: two of the same instant differ.
 */
static ThPlan grant_account = {
	.text =
		"INSERT INTO telehealth.account AS x (clinic_id, platform, settings,"
		" connected_at, is_user_level) VALUES ($1, $2, $3, clock_timestamp(), $4)"
		" ON CONFLICT ON CONSTRAINT account_platform_key DO UPDATE SET"
		" settings = (x.settings - '{api_url,token_url,timeout_ms}'::text[])"
		" || EXCLUDED.settings, status = 'connected', is_user_level = $4,"
		" connected_at = GREATEST(EXCLUDED.connected_at,"
		" x.connected_at + interval '1 microsecond'), token_expires_at = NULL,"
		" last_error = NULL, last_error_at = NULL, missing_scope = NULL,"
		" clock_skew = NULL, is_refused = false RETURNING x.id, x.connected_at",
	.n_args = 4,
	.types = { INT8OID, TEXTOID, JSONBOID, BOOLOID }
};

static ThPlan learn_vendor_key = {
	.text = "UPDATE telehealth.account SET vendor_key = $4"
			" WHERE clinic_id = $1 AND id = $2 AND connected_at = $3"
			" AND vendor_key IS DISTINCT FROM $4",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, BYTEAOID }
};

static ThPlan lock_secret = {
	.text =
		"SELECT envelope FROM telehealth_private.account_secret"
		" WHERE clinic_id = $1 AND account_id = $2 AND name = $3 FOR UPDATE",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TEXTOID }
};

static ThPlan replace_secret = {
	.text = "INSERT INTO telehealth_private.account_secret"
			" (clinic_id, account_id, name, envelope) VALUES ($1, $2, $3, $4)"
			" ON CONFLICT ON CONSTRAINT account_secret_pkey DO UPDATE SET"
			" envelope = EXCLUDED.envelope",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TEXTOID, BYTEAOID }
};

/* Accounts of users; those of every clinic for clinic 0. */
static ThPlan list_granted = {
	.text = "SELECT x.clinic_id, x.id FROM telehealth.account AS x"
			" JOIN telehealth_private.account_secret AS s"
			" ON s.clinic_id = x.clinic_id AND s.account_id = x.id"
			" AND s.name = 'refresh_token'"
			" WHERE (x.clinic_id = $1 OR $1 = 0) AND x.platform = $2"
			" ORDER BY x.clinic_id, x.id",
	.n_args = 2,
	.types = { INT8OID, TEXTOID }
};

static ThPlan list_idle = {
	.text = "SELECT x.clinic_id, x.id FROM telehealth.account AS x"
			" JOIN telehealth_private.account_secret AS s"
			" ON s.clinic_id = x.clinic_id AND s.account_id = x.id"
			" AND s.name = 'refresh_token'"
			" LEFT JOIN telehealth_private.token_cache AS t"
			" ON t.clinic_id = x.clinic_id AND t.account_id = x.id"
			" WHERE x.status = 'connected'"
			" AND COALESCE(t.obtained_at, x.connected_at) < $1"
			" ORDER BY COALESCE(t.obtained_at, x.connected_at) LIMIT 10",
	.n_args = 1,
	.types = { TIMESTAMPTZOID }
};

static ThPlan touch_account = {
	.text =
		"UPDATE telehealth.account SET connected_at ="
		" GREATEST(clock_timestamp(), connected_at + interval '1 microsecond')"
		" WHERE clinic_id = $1 AND id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
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

static void
bind_account(Datum *values, int64 clinic_id, int64 id)
{
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
}

int64
th_account_grant(int64 clinic_id, const char *platform, Jsonb *settings,
				 bool is_user_level, TimestampTz *connected_at)
{
	Datum values[4];
	int64 id;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = CStringGetTextDatum(platform);
	values[2] = JsonbPGetDatum(settings);
	values[3] = BoolGetDatum(is_user_level);
	th_plan_run(&grant_account, values, NULL, false);
	id = th_row_int64(0, 1);
	*connected_at = th_row_timestamptz(0, 2);

	bind_account(values, clinic_id, id);
	th_plan_run(&delete_secrets, values, NULL, false);
	th_plan_run(&delete_tokens, values, NULL, false);
	th_store_finish();
	return id;
}

void
th_account_learn_vendor_key(int64 clinic_id, int64 id, TimestampTz connected_at,
							bytea *key)
{
	Datum values[4];

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = TimestampTzGetDatum(connected_at);
	values[3] = PointerGetDatum(key);
	th_plan_run(&learn_vendor_key, values, NULL, false);
	th_store_finish();
}

bytea *
th_account_lock_secret(int64 clinic_id, int64 id, const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	bytea *envelope = NULL;
	Datum values[3];

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = CStringGetTextDatum(name);
	th_plan_run(&lock_secret, values, NULL, false);
	if (SPI_processed > 0)
		envelope = th_row_bytea(0, 1, context);
	th_store_finish();
	return envelope;
}

void
th_account_replace_secret(int64 clinic_id, int64 id, const char *name,
						  bytea *envelope)
{
	Datum values[4];

	th_store_connect();
	bind_account(values, clinic_id, id);
	values[2] = CStringGetTextDatum(name);
	values[3] = PointerGetDatum(envelope);
	th_plan_run(&replace_secret, values, NULL, false);
	th_store_finish();
}

/* Runs a plan that lists keys. */
static int
list_keys(ThPlan *plan, Datum *values, int64 **clinics, int64 **ids)
{
	MemoryContext context = CurrentMemoryContext;
	int n;

	th_store_connect();
	th_plan_run(plan, values, NULL, false);
	n = (int) SPI_processed;
	*clinics = MemoryContextAlloc(context, sizeof(int64) * Max(n, 1));
	*ids = MemoryContextAlloc(context, sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*clinics)[i] = th_row_int64(i, 1);
		(*ids)[i] = th_row_int64(i, 2);
	}
	th_store_finish();
	return n;
}

int
th_account_list_idle(TimestampTz before, int64 **clinics, int64 **ids)
{
	Datum values[1] = { TimestampTzGetDatum(before) };

	return list_keys(&list_idle, values, clinics, ids);
}

int
th_account_list_granted(int64 clinic_id, const char *platform, int64 **clinics,
						int64 **ids)
{
	Datum values[2] = { Int64GetDatum(clinic_id),
						CStringGetTextDatum(platform) };

	return list_keys(&list_granted, values, clinics, ids);
}

void
th_account_touch(int64 clinic_id, int64 id)
{
	Datum values[2];

	th_store_connect();
	bind_account(values, clinic_id, id);
	th_plan_run(&touch_account, values, NULL, false);
	th_plan_run(&delete_tokens, values, NULL, false);
	th_store_finish();
}
