/*
 * fn_oauth.c
 *	  Grants that a user gives in a browser.
 */
#include "postgres.h"

#include <string.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/call.h"
#include "api/platform_options.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guard.h"
#include "crypto/envelope.h"
#include "crypto/keyring.h"
#include "flow/credential.h"
#include "flow/oauth.h"
#include "store/access.h"
#include "store/audit.h"
#include "store/connect.h"
#include "store/environment.h"
#include "store/owner.h"
#include "store/push_channel.h"
#include "worker/mailbox.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_register_oauth_client);
TH_SQL_FUNCTION(th_sql_authorize_platform);
TH_SQL_FUNCTION(th_sql_complete_oauth);
TH_SQL_FUNCTION(th_sql_put_push_channel);
TH_SQL_FUNCTION(th_sql_connect_schedule);
TH_SQL_FUNCTION(th_sql_disconnect_schedule);

/* Names of an application's client are those of a platform here. */
static ThPlatform
options_of(const ThOauthVendor *vendor)
{
	ThPlatform options = { .name = vendor->kind };

	options.required_credentials = vendor->required_credentials;
	options.optional_credentials = vendor->optional_credentials;
	options.secret_credentials = vendor->secret_credentials;
	return options;
}

static int64
require_clinic(FunctionCallInfo fcinfo, int argument, Oid *caller)
{
	int64 clinic_id = PG_GETARG_INT64(argument);

	if (clinic_id < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("clinic_id must not be negative")));
	*caller = th_access_require(TH_ACCESS_ADMIN, clinic_id);
	return clinic_id;
}

/* ---- the application at a vendor ---- */

/* Stores the client and its sealed credentials, as the owner. */
static int64
store_client(const char *kind, int64 clinic_id, Jsonb *settings,
			 const ThCredential *credentials, int n, Oid caller)
{
	ThOwnerScope scope;
	int64 id;

	th_owner_enter(&scope);

	/* A key of our own making only while nothing could be sealed by another. */
	if (!th_account_has_envelopes())
		(void) th_keyring_create_file();
	id = th_oauth_client_upsert(clinic_id, kind, settings);
	for (int i = 0; i < n; i++)
	{
		const ThCredential *c = &credentials[i];
		const char *place = th_envelope_place(TH_OAUTH_SECRET_COLUMN, clinic_id,
											  id, c->name);

		th_oauth_client_put_secret(clinic_id, id, c->name,
								   th_envelope_seal(c->value, strlen(c->value),
													place));
	}
	th_oauth_spread(clinic_id, kind, credentials, n);
	th_connect_retry_client(clinic_id, id, th_clock_now());
	th_environment_record(GetUserNameFromId(caller, false));
	th_owner_leave(&scope);
	return id;
}

static Datum
register_client(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "kind", "credentials", "settings",
										 "clinic_id", NULL };
	const ThOauthVendor *vendor;
	ThPlatform options;
	ThCredential *credentials;
	Jsonb *settings;
	char *kind;
	int64 clinic_id;
	int64 id;
	int n;
	Oid caller;

	th_call_require(fcinfo, names);
	clinic_id = require_clinic(fcinfo, 3, &caller);
	kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	vendor = th_oauth_vendor(kind);
	if (vendor == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown kind of OAuth client \"%s\"", kind),
						errhint("Kinds are %s.", th_oauth_vendor_names())));
	settings = PG_GETARG_JSONB_P(2);
	th_options_check_client(kind, settings);
	options = options_of(vendor);
	n = th_options_credentials(&options, PG_GETARG_JSONB_P(1), &credentials);

	id = store_client(kind, clinic_id, settings, credentials, n, caller);
	th_audit_write(&clinic_id, &id, 1, "register_oauth_client", "oauth_client",
				   th_options_audit_detail(kind, "credentials",
										   PG_GETARG_JSONB_P(1)));
	th_wake_at_commit();
	PG_RETURN_INT64(id);
}

Datum
th_sql_register_oauth_client(PG_FUNCTION_ARGS)
{
	return th_call_hidden(register_client, fcinfo);
}

/* ---- a browser leaves and comes back ---- */

Datum
th_sql_authorize_platform(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "platform", "clinic_id", NULL };
	ThOwnerScope scope;
	char *platform;
	char *address;
	int64 clinic_id;
	Oid caller;

	th_call_require(fcinfo, names);
	clinic_id = require_clinic(fcinfo, 1, &caller);
	platform = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (strcmp(platform, "zoom") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("platform \"%s\" is not authorized in a browser",
							   platform),
						errhint("The platform that is, is zoom.")));
	th_owner_enter(&scope);
	address = th_oauth_begin(clinic_id, platform, "platform", 0,
							 GetUserNameFromId(caller, false), th_clock_now());
	th_owner_leave(&scope);
	th_audit_write(&clinic_id, &(int64){ 0 }, 1, "authorize_platform",
				   "account", NULL);
	PG_RETURN_TEXT_P(cstring_to_text(address));
}

/* What a vendor calls a code has no spaces and is not for ever long. */
static char *
require_code(text *given)
{
	size_t length = VARSIZE_ANY_EXHDR(given);
	char *code = th_guard_secret_text(CurrentMemoryContext, VARDATA_ANY(given),
									  length);

	for (size_t i = 0; i < length; i++)
	{
		if (code[i] <= 0x20 || code[i] >= 0x7f)
			length = 0;
	}
	if (length == 0 || length >= TH_MAILBOX_QUESTION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("this is not an OAuth code")));
	return code;
}

/* One answer for a state that never was, and another clinic's. */
static ThOauthState *
require_state(text *given)
{
	ThOwnerScope scope;
	ThOauthState *state;

	th_owner_enter(&scope);
	state = th_oauth_find(VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));
	th_owner_leave(&scope);
	if (state == NULL || !th_access_has_kind(TH_ACCESS_APP, state->clinic_id,
											 th_access_caller()))
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("OAuth state is not known"),
						errhint("Begin again with a new address.")));
	return state;
}

/*
 * The dispatcher uses the state up, so that an error here does not bring it
 * back.
 */
static Datum
complete(PG_FUNCTION_ARGS)
{
	ThOauthState *state = require_state(PG_GETARG_TEXT_PP(0));
	char *code = require_code(PG_GETARG_TEXT_PP(1));
	char *reply = th_mailbox_ask(TH_ASK_OAUTH, state->clinic_id, state->id,
								 code, TH_OAUTH_TIMEOUT_MS);

	PG_RETURN_INT64(pg_strtoint64(reply));
}

Datum
th_sql_complete_oauth(PG_FUNCTION_ARGS)
{
	return th_call_hidden(complete, fcinfo);
}

/* ---- who may deliver ---- */

static int64
seal_channel(int64 clinic_id, const char *source, const char *channel_id,
			 const char *secret, TimestampTz expires_at)
{
	int64 id;
	const char *place;

	if (!th_account_has_envelopes())
		(void) th_keyring_create_file();
	id = th_push_channel_number(clinic_id, source, channel_id);
	place = th_envelope_place(TH_PUSH_CHANNEL_COLUMN, clinic_id, id, NULL);
	th_push_channel_put(clinic_id, id, source, channel_id,
						th_envelope_seal(secret, strlen(secret), place),
						expires_at);
	return id;
}

static Datum
put_channel(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "clinic_id", "source", "channel_id",
										 "secret", NULL };
	char *source;
	char *channel_id;
	char *secret;

	th_call_require(fcinfo, names);
	source = text_to_cstring(PG_GETARG_TEXT_PP(1));
	channel_id = text_to_cstring(PG_GETARG_TEXT_PP(2));
	secret = th_guard_secret_text(CurrentMemoryContext,
								  VARDATA_ANY(PG_GETARG_TEXT_PP(3)),
								  VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(3)));
	if (secret[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the secret of a channel must not be empty")));
	PG_RETURN_INT64(
		seal_channel(PG_GETARG_INT64(0), source, channel_id, secret,
					 PG_ARGISNULL(4) ? 0 : PG_GETARG_TIMESTAMPTZ(4)));
}

Datum
th_sql_put_push_channel(PG_FUNCTION_ARGS)
{
	return th_call_hidden(put_channel, fcinfo);
}

/* ---- systems that keep providers' schedules ---- */

#define SCHEDULE "provider-schedule"
#define MOST_SENDER 255

static const char *const schedule_credentials[] = { "secret", "sender", NULL };
static const char *const schedule_secrets[] = { "secret", NULL };
static const char *const no_credentials[] = { NULL };

static const ThPlatform schedule_options = {
	.name = SCHEDULE,
	.required_credentials = schedule_credentials,
	.optional_credentials = no_credentials,
	.secret_credentials = schedule_secrets,
};

/* As a header can say it. */
static void
check_sender(const char *sender)
{
	size_t length = strlen(sender);
	bool is_good = length <= MOST_SENDER && sender[0] != ' ' &&
				   (length == 0 || sender[length - 1] != ' ');

	for (size_t i = 0; i < length; i++)
		is_good &= sender[i] >= 0x20 && sender[i] < 0x7f;
	if (!is_good)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a sender is at most %d characters of ASCII",
							   MOST_SENDER)));
}

static Datum
connect_schedule(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "credentials", "clinic_id", NULL };
	const char *sender = "";
	const char *secret = "";
	ThCredential *credentials;
	ThOwnerScope scope;
	int64 clinic_id;
	int64 id;
	int n;
	Oid caller;

	th_call_require(fcinfo, names);
	clinic_id = require_clinic(fcinfo, 1, &caller);
	n = th_options_credentials(&schedule_options, PG_GETARG_JSONB_P(0),
							   &credentials);
	for (int i = 0; i < n; i++)
	{
		if (strcmp(credentials[i].name, "sender") == 0)
			sender = credentials[i].value;
		else
			secret = credentials[i].value;
	}
	check_sender(sender);
	th_owner_enter(&scope);
	id = seal_channel(clinic_id, SCHEDULE, sender, secret, 0);
	th_environment_record(GetUserNameFromId(caller, false));
	th_owner_leave(&scope);
	th_audit_write(&clinic_id, &id, 1, "connect_schedule", "push_channel",
				   th_options_audit_detail(SCHEDULE, "credentials",
										   PG_GETARG_JSONB_P(0)));
	PG_RETURN_INT64(id);
}

Datum
th_sql_connect_schedule(PG_FUNCTION_ARGS)
{
	return th_call_hidden(connect_schedule, fcinfo);
}

Datum
th_sql_disconnect_schedule(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "sender", "clinic_id", NULL };
	ThOwnerScope scope;
	int64 clinic_id;
	int64 id;
	Oid caller;

	th_call_require(fcinfo, names);
	clinic_id = require_clinic(fcinfo, 1, &caller);
	th_owner_enter(&scope);
	id = th_push_channel_remove(clinic_id, SCHEDULE,
								text_to_cstring(PG_GETARG_TEXT_PP(0)));
	th_owner_leave(&scope);
	if (id != 0)
		th_audit_write(&clinic_id, &id, 1, "disconnect_schedule",
					   "push_channel", NULL);
	PG_RETURN_BOOL(id != 0);
}
