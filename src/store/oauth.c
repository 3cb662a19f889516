/*
 * oauth.c
 *	  Rows of oauth_client and oauth_state.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/oauth.h"
#include "store/plans.h"

#define CLIENT                                                                 \
	"SELECT x.clinic_id, x.id, x.kind, x.registered_at, x.settings,"           \
	" COALESCE(x.settings ->> 'auth_url', b.auth_url),"                        \
	" COALESCE(x.settings ->> 'token_url', b.token_url),"                      \
	" COALESCE(x.settings ->> 'scopes', b.scopes), b.parameters,"              \
	" x.settings ->> 'redirect_uri', b.callback"                               \
	" FROM telehealth_private.oauth_client AS x"                               \
	" JOIN telehealth_private.builtin_oauth AS b ON b.kind = x.kind"

#define STATE_COLUMNS                                                          \
	"s.clinic_id, s.id, s.kind, s.purpose, s.subject_id,"                      \
	" s.client_clinic_id, s.client_id, s.client_registered_at,"                \
	" s.redirect_uri, s.verifier, s.created_by::text, s.expires_at,"           \
	" s.used_at IS NOT NULL"

static ThPlan upsert_client = {
	.text = "INSERT INTO telehealth_private.oauth_client AS x (clinic_id, kind,"
			" settings, registered_at) VALUES ($1, $2, $3, clock_timestamp())"
			" ON CONFLICT ON CONSTRAINT oauth_client_kind_key DO UPDATE SET"
			" settings = EXCLUDED.settings, registered_at ="
			" GREATEST(EXCLUDED.registered_at,"
			" x.registered_at + interval '1 microsecond') RETURNING x.id",
	.n_args = 3,
	.types = { INT8OID, TEXTOID, JSONBOID }
};

static ThPlan delete_secrets = {
	.text = "DELETE FROM telehealth_private.oauth_client_secret"
			" WHERE clinic_id = $1 AND oauth_client_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan insert_secret = {
	.text = "INSERT INTO telehealth_private.oauth_client_secret"
			" (clinic_id, oauth_client_id, name, envelope)"
			" VALUES ($1, $2, $3, $4)",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TEXTOID, BYTEAOID }
};

static ThPlan find_client = { .text = CLIENT
							  " WHERE x.clinic_id IN ($1, 0) AND x.kind = $2"
							  " ORDER BY x.clinic_id = 0 LIMIT 1",
							  .n_args = 2,
							  .types = { INT8OID, TEXTOID } };

static ThPlan get_client = { .text = CLIENT
							 " WHERE x.clinic_id = $1 AND x.id = $2",
							 .n_args = 2,
							 .types = { INT8OID, INT8OID } };

static ThPlan get_secrets = {
	.text = "SELECT name, envelope FROM telehealth_private.oauth_client_secret"
			" WHERE clinic_id = $1 AND oauth_client_id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan number_state = {
	.text = "SELECT nextval('telehealth_private.oauth_state_id_seq')"
};

static ThPlan insert_state = {
	.text = "WITH old AS (DELETE FROM telehealth_private.oauth_state"
			" WHERE clinic_id = $1 AND expires_at < $13 - interval '1 day')"
			" INSERT INTO telehealth_private.oauth_state (clinic_id, id, kind,"
			" purpose, subject_id, client_clinic_id, client_id,"
			" client_registered_at, redirect_uri, verifier, created_by,"
			" expires_at, created_at, state_hash)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::name, $12,"
			" $13, $14)",
	.n_args = 14,
	.types = { INT8OID, INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID,
			   TIMESTAMPTZOID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID,
			   TIMESTAMPTZOID, BYTEAOID }
};

static ThPlan find_state = { .text = "SELECT " STATE_COLUMNS
									 " FROM telehealth_private.oauth_state AS s"
									 " WHERE s.state_hash = $1 LIMIT 1",
							 .n_args = 1,
							 .types = { BYTEAOID } };

/* A concurrent use makes the row wait here, and is seen after it. */
static ThPlan lock_state = {
	.text = "SELECT " STATE_COLUMNS " FROM telehealth_private.oauth_state AS s"
			" WHERE s.clinic_id = $1 AND s.id = $2 FOR UPDATE",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

static ThPlan use_state = { .text = "UPDATE telehealth_private.oauth_state"
									" SET used_at = $3, verifier = NULL"
									" WHERE clinic_id = $1 AND id = $2",
							.n_args = 3,
							.types = { INT8OID, INT8OID, TIMESTAMPTZOID } };

static Datum
hash_datum(const unsigned char *hash)
{
	bytea *value = palloc(VARHDRSZ + TH_OAUTH_HASH_BYTES);

	SET_VARSIZE(value, VARHDRSZ + TH_OAUTH_HASH_BYTES);
	memcpy(VARDATA(value), hash, TH_OAUTH_HASH_BYTES);
	return PointerGetDatum(value);
}

/* ---- clients ---- */

int64
th_oauth_client_upsert(int64 clinic_id, const char *kind, Jsonb *settings)
{
	Datum values[3];
	int64 id;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = CStringGetTextDatum(kind);
	values[2] = JsonbPGetDatum(settings);
	th_plan_run(&upsert_client, values, NULL, false);
	id = th_row_int64(0, 1);
	values[1] = Int64GetDatum(id);
	th_plan_run(&delete_secrets, values, NULL, false);
	th_store_finish();
	return id;
}

void
th_oauth_client_put_secret(int64 clinic_id, int64 id, const char *name,
						   bytea *envelope)
{
	Datum values[4];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = CStringGetTextDatum(name);
	values[3] = PointerGetDatum(envelope);
	th_plan_run(&insert_secret, values, NULL, false);
	th_store_finish();
}

static ThOauthClient *
read_client(MemoryContext context)
{
	ThOauthClient *client;
	MemoryContext old;
	bool is_null;

	if (SPI_processed == 0)
		return NULL;
	client = MemoryContextAllocZero(context, sizeof(ThOauthClient));
	client->clinic_id = th_row_int64(0, 1);
	client->id = th_row_int64(0, 2);
	client->kind = th_row_text(0, 3, context);
	client->registered_at = th_row_timestamptz(0, 4);
	old = MemoryContextSwitchTo(context);
	client->settings = DatumGetJsonbPCopy(th_row_datum(0, 5, &is_null));
	MemoryContextSwitchTo(old);
	client->auth_url = th_row_text(0, 6, context);
	client->token_url = th_row_text(0, 7, context);
	client->scopes = th_row_text(0, 8, context);
	client->parameters = th_row_text(0, 9, context);
	client->redirect_uri = th_row_text(0, 10, context);
	client->callback = th_row_text(0, 11, context);
	return client;
}

ThOauthClient *
th_oauth_client_find(int64 clinic_id, const char *kind)
{
	MemoryContext context = CurrentMemoryContext;
	ThOauthClient *client;
	Datum values[2];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = CStringGetTextDatum(kind);
	th_plan_run(&find_client, values, NULL, false);
	client = read_client(context);
	th_store_finish();
	return client;
}

ThOauthClient *
th_oauth_client_get(int64 clinic_id, int64 id)
{
	MemoryContext context = CurrentMemoryContext;
	ThOauthClient *client;
	Datum values[2];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	th_plan_run(&get_client, values, NULL, false);
	client = read_client(context);
	th_store_finish();
	return client;
}

int
th_oauth_client_secrets(int64 clinic_id, int64 id, ThSealed **secrets)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[2];
	int n;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
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

/* ---- states ---- */

int64
th_oauth_state_number(void)
{
	int64 id;

	th_store_connect();
	th_plan_run(&number_state, NULL, NULL, false);
	id = th_row_int64(0, 1);
	th_store_finish();
	return id;
}

void
th_oauth_state_insert(const ThOauthState *state, const unsigned char *hash,
					  TimestampTz now)
{
	Datum values[14];
	char nulls[15] = "              ";

	th_store_connect();
	values[0] = Int64GetDatum(state->clinic_id);
	values[1] = Int64GetDatum(state->id);
	values[2] = CStringGetTextDatum(state->kind);
	values[3] = CStringGetTextDatum(state->purpose);
	values[4] = Int64GetDatum(state->subject_id);
	if (state->subject_id == 0)
		nulls[4] = 'n';
	values[5] = Int64GetDatum(state->client_clinic_id);
	values[6] = Int64GetDatum(state->client_id);
	values[7] = TimestampTzGetDatum(state->client_registered_at);
	values[8] = CStringGetTextDatum(state->redirect_uri);
	values[9] = PointerGetDatum(state->verifier);
	values[10] = CStringGetTextDatum(state->created_by);
	values[11] = TimestampTzGetDatum(state->expires_at);
	values[12] = TimestampTzGetDatum(now);
	values[13] = hash_datum(hash);
	th_plan_run(&insert_state, values, nulls, false);
	th_store_finish();
}

static ThOauthState *
read_state(MemoryContext context)
{
	ThOauthState *state;

	if (SPI_processed == 0)
		return NULL;
	state = MemoryContextAllocZero(context, sizeof(ThOauthState));
	state->clinic_id = th_row_int64(0, 1);
	state->id = th_row_int64(0, 2);
	state->kind = th_row_text(0, 3, context);
	state->purpose = th_row_text(0, 4, context);
	state->subject_id = th_row_int64(0, 5);
	state->client_clinic_id = th_row_int64(0, 6);
	state->client_id = th_row_int64(0, 7);
	state->client_registered_at = th_row_timestamptz(0, 8);
	state->redirect_uri = th_row_text(0, 9, context);
	state->verifier = th_row_bytea(0, 10, context);
	state->created_by = th_row_text(0, 11, context);
	state->expires_at = th_row_timestamptz(0, 12);
	state->is_used = th_row_bool(0, 13);
	return state;
}

ThOauthState *
th_oauth_state_find(const unsigned char *hash)
{
	MemoryContext context = CurrentMemoryContext;
	ThOauthState *state;
	Datum values[1];

	th_store_connect();
	values[0] = hash_datum(hash);
	th_plan_run(&find_state, values, NULL, false);
	state = read_state(context);
	th_store_finish();
	return state;
}

ThOauthState *
th_oauth_state_take(int64 clinic_id, int64 id, TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	ThOauthState *state;
	Datum values[3];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = TimestampTzGetDatum(now);
	th_plan_run(&lock_state, values, NULL, false);
	state = read_state(context);
	if (state != NULL && !state->is_used && state->expires_at > now)
		th_plan_run(&use_state, values, NULL, false);
	th_store_finish();
	return state;
}
