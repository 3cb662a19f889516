/*
 * fn_platform.c
 *	  Connecting and configuring accounts at video platforms.
 */
#include "postgres.h"

#include <string.h>

#include "miscadmin.h"
#include "utils/builtins.h"

#include "api/call.h"
#include "api/platform_options.h"
#include "base/compat.h"
#include "base/th_guc.h"
#include "crypto/keyring.h"
#include "flow/credential.h"
#include "store/access.h"
#include "store/account.h"
#include "store/audit.h"
#include "store/environment.h"
#include "store/owner.h"
#include "store/status.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_connect_platform);
TH_SQL_FUNCTION(th_sql_configure_platform);
TH_SQL_FUNCTION(th_sql_account_clinic);

static const ThPlatform *
require_platform(const char *name)
{
	const ThPlatform *platform = th_platform_find(name);

	if (platform == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown platform \"%s\"", name),
				 errhint("Video platforms are %s.", th_platform_names())));
	return platform;
}

/* Stores the account and its sealed credentials, as the owner. */
static int64
store_account(const ThPlatform *platform, int64 clinic_id, Jsonb *settings,
			  const ThCredential *credentials, int n, Oid caller)
{
	ThFormerSecret former;
	ThOwnerScope scope;
	int64 id;

	th_owner_enter(&scope);

	/* A key of our own making only while nothing could be sealed by another. */
	if (n > 0 && !th_account_has_envelopes())
		(void) th_keyring_create_file();
	th_credential_find_former(clinic_id, platform->name, credentials, n,
							  &former);
	id = th_account_upsert(clinic_id, platform->name, settings);
	th_credential_store(clinic_id, id, credentials, n);
	th_credential_store_former(clinic_id, id, &former);
	th_credential_store_vendor_key(clinic_id, id, platform->name, credentials,
								   n);
	th_environment_record(GetUserNameFromId(caller, false));
	th_owner_leave(&scope);
	return id;
}

static Datum
connect_account(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "platform", "credentials", "settings",
										 "clinic_id", NULL };
	const ThPlatform *platform;
	ThCredential *credentials;
	Jsonb *given;
	Jsonb *settings;
	int64 clinic_id;
	int64 id;
	int n;
	Oid caller;

	th_call_require(fcinfo, names);
	clinic_id = PG_GETARG_INT64(3);
	if (clinic_id < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("clinic_id must not be negative")));
	caller = th_access_require(TH_ACCESS_ADMIN, clinic_id);
	platform = require_platform(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	given = PG_GETARG_JSONB_P(1);
	settings = PG_GETARG_JSONB_P(2);
	th_options_check_settings(platform->name, settings, false);
	n = th_options_credentials(platform, given, &credentials);

	id = store_account(platform, clinic_id, settings, credentials, n, caller);
	th_audit_write(&clinic_id, &id, 1, "connect_platform", "account",
				   th_options_audit_detail(platform->name, "credentials",
										   given));
	th_status_mark_unmet(platform->name, clinic_id);
	th_wake_at_commit();
	PG_RETURN_INT64(id);
}

Datum
th_sql_connect_platform(PG_FUNCTION_ARGS)
{
	return th_call_hidden(connect_account, fcinfo);
}

/*
 * The clinic of an account that the present clinic may use, and its platform.
 * Errors: P0002, also for an account of a clinic the caller may not see.
 */
static int64
require_account(int64 id, const char **platform)
{
	int64 clinic_id = th_guc_clinic();
	int64 account_clinic = 0;

	if ((clinic_id != 0 && !th_access_may_see(clinic_id, th_access_caller())) ||
		!th_status_account(clinic_id, id, &account_clinic, platform, NULL))
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("account " INT64_FORMAT " does not exist", id)));
	return account_clinic;
}

Datum
th_sql_account_clinic(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(require_account(PG_GETARG_INT64(0), NULL));
}

Datum
th_sql_configure_platform(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "account_id", "settings", NULL };
	const char *platform;
	Jsonb *settings;
	int64 clinic_id;
	int64 id;

	th_call_require(fcinfo, names);
	id = PG_GETARG_INT64(0);
	settings = PG_GETARG_JSONB_P(1);
	clinic_id = require_account(id, &platform);
	(void) th_access_require(TH_ACCESS_ADMIN, clinic_id);
	th_options_check_settings(platform, settings, true);

	th_status_configure(clinic_id, id, JsonbPGetDatum(settings));
	th_audit_write(&clinic_id, &id, 1, "configure_platform", "account",
				   th_options_audit_detail(platform, "settings", settings));
	th_wake_at_commit();
	PG_RETURN_VOID();
}
