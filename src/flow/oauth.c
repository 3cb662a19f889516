/*
 * oauth.c
 *	  A user grants access in a browser.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_error.h"
#include "base/th_guard.h"
#include "base/th_guc.h"
#include "calendar/calendar.h"
#include "crypto/envelope.h"
#include "crypto/token.h"
#include "flow/calendar_credential.h"
#include "flow/credential.h"
#include "flow/oauth.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "store/account_grant.h"
#include "store/audit.h"
#include "store/connect.h"
#include "store/environment.h"
#include "store/job.h"
#include "store/status.h"

#define STATE_LIFE (10 * USECS_PER_MINUTE)

#define AGAIN "Begin again with a new address."

StaticAssertDecl((int) TH_OAUTH_HASH_BYTES == (int) TH_SHA256_BYTES,
				 "a state is found by its SHA-256");

/* ---- sending a browser off ---- */

/* Opens the client's secrets; -1 with *reason. Memory: current context, wiped. */
static int
open_client(const ThOauthClient *client, ThCredential **credentials,
			const char **reason)
{
	ThSealed *sealed;
	int n = th_oauth_client_secrets(client->clinic_id, client->id, &sealed);

	*reason = NULL;
	*credentials = palloc0_array(ThCredential, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const char *place = th_envelope_place(TH_OAUTH_SECRET_COLUMN,
											  client->clinic_id, client->id,
											  sealed[i].name);

		(*credentials)[i].name = sealed[i].name;
		(*credentials)[i].value = th_envelope_try_open(sealed[i].envelope,
													   place, reason);
		if ((*credentials)[i].value == NULL)
			return -1;
	}
	return n;
}

/* Where the vendor sends the browser: the client's own, or the gateway. */
static char *
redirect_of(const ThOauthClient *client)
{
	const char *base = th_guc_public_url == NULL ? "" : th_guc_public_url;
	size_t length = strlen(base);

	if (client->redirect_uri != NULL)
		return pstrdup(client->redirect_uri);
	while (length > 0 && base[length - 1] == '/')
		length--;
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is nowhere for a browser to return to"),
				 errhint("Set telehealth.public_url to the address of the "
						 "gateway, or register the client with a "
						 "redirect_uri of the application.")));
	return psprintf("%.*s%s", (int) length, base, client->callback);
}

static void
append_parameter(StringInfo url, const char *name, const char *value)
{
	appendStringInfo(url, "%s%s=", strchr(url->data, '?') == NULL ? "?" : "&",
					 name);
	th_http_append_encoded(url, value);
}

static char *
address_of(const ThOauthClient *client, const ThCredential *credentials, int n,
		   const char *redirect_uri, const char *state, const char *verifier)
{
	StringInfoData url;

	initStringInfo(&url);
	appendStringInfoString(&url, th_oauth_fill_tenant(client->auth_url,
													  credentials, n));
	append_parameter(&url, "response_type", "code");
	append_parameter(&url, "client_id",
					 th_oauth_credential(credentials, n, "client_id"));
	append_parameter(&url, "redirect_uri", redirect_uri);
	append_parameter(&url, "state", state);
	append_parameter(&url, "code_challenge", th_token_challenge(verifier));
	append_parameter(&url, "code_challenge_method", "S256");
	if (client->scopes != NULL)
		append_parameter(&url, "scope", client->scopes);
	if (client->parameters != NULL)
		appendStringInfo(&url, "&%s", client->parameters);
	return url.data;
}

ThOauthClient *
th_oauth_require_client(int64 clinic_id, const char *kind)
{
	ThOauthClient *client = th_oauth_client_find(clinic_id, kind);

	if (client == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no OAuth client is registered for \"%s\"", kind),
				 errhint("Register the application with "
						 "telehealth.register_oauth_client().")));
	return client;
}

static void
require_outbound(void)
{
	const char *held = th_environment_held(false);

	if (held != NULL)
		ereport(ERROR, (errcode(ERRCODE_TH_OUTBOUND_HELD),
						errmsg("outward work is held: %s", held),
						errhint("Look at telehealth.health.")));
}

char *
th_oauth_begin(int64 clinic_id, const char *kind, const char *purpose,
			   int64 subject_id, const char *created_by, TimestampTz now)
{
	ThOauthClient *client;
	ThCredential *credentials;
	ThOauthState state = { 0 };
	unsigned char hash[TH_SHA256_BYTES];
	const char *reason;
	char *text;
	char *verifier;
	int n;

	require_outbound();
	client = th_oauth_require_client(clinic_id, kind);
	n = open_client(client, &credentials, &reason);
	if (n < 0)
		ereport(ERROR, (errcode(ERRCODE_TH_KEY_MISSING),
						errmsg("the OAuth client cannot be used: %s", reason)));
	text = th_token_hex(TH_OAUTH_STATE_BYTES);
	th_sha256(text, strlen(text), hash);
	verifier = th_token_verifier();
	state.clinic_id = clinic_id;
	state.id = th_oauth_state_number();
	state.kind = kind;
	state.purpose = purpose;
	state.subject_id = subject_id;
	state.client_clinic_id = client->clinic_id;
	state.client_id = client->id;
	state.client_registered_at = client->registered_at;
	state.redirect_uri = redirect_of(client);
	state.verifier = th_envelope_seal(
		verifier, strlen(verifier),
		th_envelope_place(TH_OAUTH_VERIFIER_COLUMN, clinic_id, state.id, NULL));
	state.created_by = created_by;
	state.expires_at = now + STATE_LIFE;
	th_oauth_state_insert(&state, hash, now);
	return address_of(client, credentials, n, state.redirect_uri, text,
					  verifier);
}

/* ---- what it brings back ---- */

ThOauthState *
th_oauth_find(const char *text, size_t length)
{
	unsigned char hash[TH_SHA256_BYTES];

	if (length != TH_OAUTH_STATE_BYTES * 2)
		return NULL;
	th_sha256(text, length, hash);
	return th_oauth_state_find(hash);
}

bool
th_oauth_decline(const char *text, size_t length, const char *kind,
				 TimestampTz now)
{
	ThOauthState *state = th_oauth_find(text, length);

	if (state == NULL || strcmp(state->kind, kind) != 0)
		return false;
	state = th_oauth_state_take(state->clinic_id, state->id, now);
	return state != NULL && !state->is_used && state->expires_at > now;
}

static bool
answer(ThOauthExchange *x, int sqlstate, const char *reply, const char *hint)
{
	x->sqlstate = sqlstate;
	x->reply = MemoryContextStrdup(x->context, reply);
	x->hint = hint;
	return false;
}

/* What the client says now must be what it said when the browser left. */
static bool
load_client(ThOauthExchange *x)
{
	const char *reason;

	x->client = th_oauth_client_get(x->state->client_clinic_id,
									x->state->client_id);
	x->vendor = th_oauth_vendor(x->state->kind);
	if (x->client == NULL || x->vendor == NULL ||
		x->client->registered_at != x->state->client_registered_at)
		return answer(x, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  "the OAuth client was registered anew meanwhile", AGAIN);
	x->n_credentials = open_client(x->client, &x->credentials, &reason);
	if (x->n_credentials < 0)
		return answer(x, ERRCODE_TH_KEY_MISSING, reason,
					  "Look at telehealth.health.");
	x->verifier =
		th_envelope_try_open(x->state->verifier,
							 th_envelope_place(TH_OAUTH_VERIFIER_COLUMN,
											   x->clinic_id, x->state_id, NULL),
							 &reason);
	if (x->verifier == NULL)
		return answer(x, ERRCODE_DATA_CORRUPTED, reason, AGAIN);
	return true;
}

bool
th_oauth_load(ThOauthExchange *x, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(x->context);
	bool is_ready = false;

	x->state = th_oauth_state_take(x->clinic_id, x->state_id, now);
	if (x->state == NULL)
		answer(x, ERRCODE_NO_DATA_FOUND, "OAuth state is not known", AGAIN);
	else if (x->state->is_used)
		answer(x, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			   "OAuth state was used before", AGAIN);
	else if (x->state->expires_at <= now)
		answer(x, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			   "OAuth state has expired", AGAIN);
	else
		is_ready = load_client(x);
	MemoryContextSwitchTo(old);
	return is_ready;
}

void
th_oauth_request(const ThOauthExchange *x, ThHttpRequest *out)
{
	th_oauth_build_code(x->vendor,
						th_oauth_fill_tenant(x->client->token_url,
											 x->credentials, x->n_credentials),
						x->credentials, x->n_credentials, x->code,
						x->state->redirect_uri, x->verifier, out);
	out->timeout_ms = (int) th_json_int(x->client->settings, "timeout_ms", 0);
}

static char *
keep_secret(ThOauthExchange *x, char *text)
{
	char *kept;

	if (text == NULL)
		return NULL;
	kept = th_guard_secret_text(x->context, text, strlen(text));
	explicit_bzero(text, strlen(text));
	return kept;
}

static bool
is_calendar(const ThOauthExchange *x)
{
	return strcmp(x->state->purpose, "calendar") == 0;
}

bool
th_oauth_take(ThOauthExchange *x, const ThHttpResult *result, TimestampTz now)
{
	ThOauthAnswer *a = &x->answer;

	th_oauth_read(result, now, a);
	x->is_answered = true;
	a->token = keep_secret(x, a->token);
	a->refresh_token = keep_secret(x, a->refresh_token);
	if (a->scopes != NULL)
		a->scopes = MemoryContextStrdup(x->context, a->scopes);
	if (a->subject != NULL)
		a->subject = MemoryContextStrdup(x->context, a->subject);
	if (a->verdict == TH_VERDICT_UNKNOWN)
		return answer(x, ERRCODE_CONNECTION_FAILURE,
					  psprintf("the answer of \"%s\" was lost: %s",
							   x->vendor->kind, a->message),
					  AGAIN);
	if (a->verdict != TH_VERDICT_OK)
		return answer(x, ERRCODE_TH_VENDOR_REFUSED,
					  psprintf("\"%s\" refused the code: %s", x->vendor->kind,
							   a->message),
					  AGAIN);
	if (is_calendar(x) &&
		!th_calendar_find(x->vendor->kind)->has_scopes(a->scopes))
		return answer(x, ERRCODE_TH_VENDOR_REFUSED,
					  psprintf("\"%s\" did not grant what telehealth needs",
							   x->vendor->kind),
					  "Begin again, and leave what is asked for ticked.");
	if (a->refresh_token == NULL)
		return answer(x, ERRCODE_TH_VENDOR_REFUSED,
					  psprintf("\"%s\" granted nothing that lasts",
							   x->vendor->kind),
					  "Allow the application to refresh its tokens.");
	return true;
}

/* ---- an account of it ---- */

/* What of the client's settings is the account's, as an object. */
static Jsonb *
settings_of(const ThOauthClient *client)
{
	static const char *const names[] = { "api_url", "token_url" };
	int64 timeout = th_json_int(client->settings, "timeout_ms", 0);
	StringInfoData text;
	ThJsonWriter writer;
	Jsonb *result;

	initStringInfo(&text);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	for (size_t i = 0; i < lengthof(names); i++)
	{
		char *value = th_json_text(client->settings, names[i], NULL);

		if (value != NULL)
			th_json_write_text(&writer, names[i], value);
	}
	if (timeout > 0)
		th_json_write_int(&writer, "timeout_ms", timeout);
	th_json_write_end_object(&writer);
	if (!th_json_parse(text.data, text.len, &result))
		elog(ERROR, "could not build the settings of an account");
	return result;
}

/* True unless a scope is one of the whole account ("...:admin"). */
static bool
is_user_level(const char *scopes)
{
	static const char *const wide[] = { ":admin", ":master" };

	for (; scopes != NULL && *scopes != '\0'; scopes += strspn(scopes, " "))
	{
		size_t length = strcspn(scopes, " ");

		for (size_t i = 0; i < lengthof(wide); i++)
		{
			size_t tail = strlen(wide[i]);

			if (length > tail &&
				strncmp(scopes + length - tail, wide[i], tail) == 0)
				return false;
		}
		scopes += length;
	}
	return true;
}

static void
write_audit(const ThOauthExchange *x, int64 id)
{
	StringInfoData text;
	ThJsonWriter writer;
	Jsonb *detail;

	initStringInfo(&text);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	th_json_write_text(&writer, "platform", x->vendor->kind);
	th_json_write_text(&writer, "by", x->state->created_by);
	th_json_write_end_object(&writer);
	if (!th_json_parse(text.data, text.len, &detail))
		elog(ERROR, "could not build the detail of an audit row");
	th_audit_write(&x->clinic_id, &id, 1, "complete_oauth",
				   is_calendar(x) ? "calendar_connection" : "account", detail);
}

/* Nothing of the client is copied: all its connections use the same. */
static void
write_connection(ThOauthExchange *x, TimestampTz now)
{
	const ThOauthAnswer *a = &x->answer;
	ThCredential grant = { "refresh_token", a->refresh_token };
	ThMark mark = { .kind = TH_JOB_CONNECTION, .priority = TH_PRIORITY_CHANGE };
	int64 id = x->state->subject_id;
	TimestampTz connected_at;

	if (!th_connect_grant(x->clinic_id, id, x->client->clinic_id, x->client->id,
						  &connected_at))
	{
		answer(x, ERRCODE_NO_DATA_FOUND, "the connection is gone",
			   "Begin again with connect_calendar().");
		return;
	}
	th_calendar_credential_store(x->clinic_id, id, &grant, 1);
	th_calendar_credential_store_token(x->clinic_id, id, connected_at, a->token,
									   a->scopes, a->subject,
									   now + (TimestampTz) a->expires_in *
												 USECS_PER_SEC);
	mark.clinic_id = x->clinic_id;
	mark.subject_id = id;
	mark.due_at = now;
	th_job_mark(&mark, 1, false);
	th_connection_tell("connected", x->clinic_id, id);
	write_audit(x, id);
	answer(x, 0, psprintf(INT64_FORMAT, id), NULL);
}

/* For the question whose it is. */
static void
note_account(ThOauthExchange *x, int64 id, TimestampTz connected_at)
{
	x->account_id = id;
	x->connected_at = connected_at;
	x->api_url = MemoryContextStrdup(x->context,
									 th_account_get(x->clinic_id, id)->api_url);
}

void
th_oauth_write(ThOauthExchange *x, TimestampTz now)
{
	const ThOauthAnswer *a = &x->answer;
	ThCredential *credentials = palloc_array(ThCredential,
											 x->n_credentials + 1);
	int n = x->n_credentials + 1;
	ThFormerSecret former;
	TimestampTz connected_at;
	int64 id;

	if (is_calendar(x))
	{
		write_connection(x, now);
		return;
	}
	memcpy(credentials, x->credentials,
		   sizeof(ThCredential) * x->n_credentials);
	credentials[x->n_credentials].name = "refresh_token";
	credentials[x->n_credentials].value = a->refresh_token;
	th_credential_find_former(x->clinic_id, x->vendor->kind, credentials, n,
							  &former);
	id = th_account_grant(x->clinic_id, x->vendor->kind, settings_of(x->client),
						  is_user_level(a->scopes), &connected_at);
	th_credential_store(x->clinic_id, id, credentials, n);
	th_credential_store_former(x->clinic_id, id, &former);
	th_credential_store_vendor_key(x->clinic_id, id, x->vendor->kind,
								   credentials, n);
	th_credential_store_token(x->clinic_id, id, connected_at, a->token,
							  a->scopes,
							  now + (TimestampTz) a->expires_in * USECS_PER_SEC,
							  0);
	th_status_mark_unmet(x->vendor->kind, x->clinic_id);
	write_audit(x, id);
	note_account(x, id, connected_at);
	answer(x, 0, psprintf(INT64_FORMAT, id), NULL);
}

/* ---- whose it is ---- */

bool
th_oauth_has_owner(const ThOauthExchange *x)
{
	return x->account_id != 0 && x->vendor->owner_path != NULL;
}

void
th_oauth_request_owner(const ThOauthExchange *x, ThHttpRequest *out)
{
	th_oauth_build_owner(x->vendor, x->api_url, x->answer.token, out);
	out->timeout_ms = (int) th_json_int(x->client->settings, "timeout_ms", 0);
}

bool
th_oauth_take_owner(ThOauthExchange *x, const ThHttpResult *result)
{
	char *number = th_oauth_read_owner(x->vendor, result);

	if (number != NULL)
		x->owner = MemoryContextStrdup(x->context, number);
	return number != NULL;
}

void
th_oauth_write_owner(const ThOauthExchange *x)
{
	th_account_learn_vendor_key(x->clinic_id, x->account_id, x->connected_at,
								th_credential_vendor_key(x->vendor->kind,
														 x->owner));
}

/* ---- clients that changed ---- */

void
th_oauth_spread(int64 clinic_id, const char *kind,
				const ThCredential *credentials, int n)
{
	const char *client_id = th_oauth_credential(credentials, n, "client_id");
	int64 *clinics;
	int64 *ids;
	int n_accounts = th_account_list_granted(clinic_id, kind, &clinics, &ids);

	for (int i = 0; i < n_accounts; i++)
	{
		ThCredential *own;
		const char *reason;
		int n_own = th_credential_open(clinics[i], ids[i], &own, &reason);

		if (n_own < 0 || strcmp(th_oauth_credential(own, n_own, "client_id"),
								client_id) != 0)
			continue;
		th_credential_replace(clinics[i], ids[i], credentials, n);
		th_account_touch(clinics[i], ids[i]);
	}
}
