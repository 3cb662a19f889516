/*
 * fn_connection.c
 *	  Calendars of providers at other vendors: connecting and ending.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "api/call.h"
#include "api/feed_make.h"
#include "api/platform_options.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "calendar/calendar.h"
#include "crypto/keyring.h"
#include "flow/calendar_credential.h"
#include "flow/feed.h"
#include "flow/oauth.h"
#include "ical/qr.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "store/access.h"
#include "store/audit.h"
#include "store/connect.h"
#include "store/environment.h"
#include "store/job.h"
#include "store/owner.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_connect_calendar);
TH_SQL_FUNCTION(th_sql_configure_calendar);
TH_SQL_FUNCTION(th_sql_disconnect_calendar);
TH_SQL_FUNCTION(th_sql_purge_remote);

/* The feed that connect_calendar() makes of kind apple. */
#define APPLE_NAME "Apple Calendar"
#define APPLE_DAYS 90

static const char apple_instructions[] =
	"On an iPhone or iPad: scan the code with the camera and choose "
	"Subscribe; or open Settings, Apps, Calendar, Calendar Accounts, Add "
	"Account, Other, Add Subscribed Calendar, and enter the address. On a "
	"Mac: open Calendar, choose File, New Calendar Subscription, and enter "
	"the address; set Auto-refresh to every hour or less. Whoever has the "
	"address can read the calendar.";

static void
refuse_kind(const char *kind)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown kind of calendar \"%s\"", kind),
					errhint("Kinds are google, outlook, caldav and apple.")));
}

static void
mark(ThJobKind kind, int64 clinic_id, int64 id)
{
	ThMark marks = { .kind = kind, .priority = TH_PRIORITY_CHANGE };

	marks.clinic_id = clinic_id;
	marks.subject_id = id;
	marks.due_at = th_clock_now();
	th_job_mark(&marks, 1, false);
	th_wake_at_commit();
}

static Datum
finish_object(ThJsonWriter *writer, StringInfo text)
{
	Jsonb *result;

	th_json_write_end_object(writer);
	if (!th_json_parse(text->data, text->len, &result))
		elog(ERROR, "could not build an answer");
	PG_RETURN_JSONB_P(result);
}

/* ---- a feed, which is all that Apple's devices need ---- */

static void
write_link(ThJsonWriter *writer, const char *name, const char *value)
{
	if (value != NULL)
		th_json_write_text(writer, name, value);
}

static Datum
connect_apple(int64 clinic_id, int64 provider_id, Jsonb *given)
{
	ThFeed feed = { 0 };
	ThOwnerScope scope;
	ThJsonWriter writer;
	StringInfoData text;
	StringInfoData svg;
	char *token;
	char *link;

	if (!JB_ROOT_IS_OBJECT(given) || JB_ROOT_COUNT(given) > 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("kind apple takes no options"),
						errhint("Make a feed with create_feed() to choose "
								"what it shows.")));
	feed.clinic_id = clinic_id;
	feed.provider_id = provider_id;
	feed.name = APPLE_NAME;
	feed.include_meeting_links = true;
	feed.sync_range_days = APPLE_DAYS;
	th_owner_enter(&scope);
	(void) th_connect_revoke_feeds(clinic_id, provider_id, APPLE_NAME);
	th_owner_leave(&scope);
	token = th_feed_make(&feed);
	link = th_feed_link(token, "webcal");
	initStringInfo(&text);
	initStringInfo(&svg);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	th_json_write_int(&writer, "feed_id", feed.id);
	th_json_write_text(&writer, "token", token);
	write_link(&writer, "feed_url", th_feed_link(token, NULL));
	write_link(&writer, "webcal_url", link);
	if (link != NULL && th_qr_write_svg(link, strlen(link), &svg))
		th_json_write_text(&writer, "qr", svg.data);
	th_json_write_text(&writer, "instructions", apple_instructions);
	return finish_object(&writer, &text);
}

/* ---- connecting ---- */

/* Everything as the owner; *auth_url stays NULL if nobody has to consent. */
static int64
store(int64 clinic_id, int64 provider_id, const ThCalendar *vendor,
	  Jsonb *options, const ThCredential *credentials, int n,
	  const char *caller, char **auth_url)
{
	ThOauthClient *client = NULL;
	ThOwnerScope scope;
	bool is_other = false;
	int64 id;

	th_owner_enter(&scope);
	id = th_connect_lock(clinic_id, provider_id, vendor->kind);
	if (id != 0 && n > 0)
		is_other = !th_calendar_credential_is(clinic_id, id, "username",
											  credentials, n);
	if (vendor->is_oauth)
		client = th_oauth_require_client(clinic_id, vendor->kind);

	/* A key of our own making only while nothing could be sealed by another. */
	if (!th_account_has_envelopes())
		(void) th_keyring_create_file();
	id = th_connect(clinic_id, provider_id, vendor->kind, options, n > 0,
					is_other, client == NULL ? 0 : client->clinic_id,
					client == NULL ? 0 : client->id);
	th_calendar_credential_store(clinic_id, id, credentials, n);
	th_environment_record(caller);
	if (n == 0)
		*auth_url = th_oauth_begin(clinic_id, vendor->kind, "calendar", id,
								   caller, th_clock_now());
	th_owner_leave(&scope);
	return id;
}

static Datum
connect_calendar(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "provider_id", "kind", "options",
										 NULL };
	int64 clinic_id = th_guc_clinic();
	Oid caller = th_access_require(TH_ACCESS_APP, clinic_id);
	const ThCalendar *vendor;
	ThCredential *credentials;
	ThJsonWriter writer;
	StringInfoData json;
	Jsonb *options;
	char *auth_url = NULL;
	char *kind;
	int64 id;
	int n;

	th_call_require(fcinfo, names);
	kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(kind, "apple") == 0)
		return connect_apple(clinic_id, PG_GETARG_INT64(0),
							 PG_GETARG_JSONB_P(2));
	vendor = th_calendar_find(kind);
	if (vendor == NULL)
		refuse_kind(kind);
	n = th_options_calendar(kind, PG_GETARG_JSONB_P(2), true, &credentials,
							&options);
	if (!vendor->is_oauth && !th_json_has(options, "url"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("missing option \"url\""),
				 errhint("It is the address of the server, of a principal or "
						 "of the calendar itself.")));
	id = store(clinic_id, PG_GETARG_INT64(0), vendor, options, credentials, n,
			   GetUserNameFromId(caller, false), &auth_url);
	th_audit_write(&clinic_id, &id, 1, "connect_calendar",
				   "calendar_connection",
				   th_options_audit_detail(kind, "options",
										   PG_GETARG_JSONB_P(2)));
	mark(TH_JOB_CONNECTION, clinic_id, id);

	initStringInfo(&json);
	th_json_write_start(&writer, &json);
	th_json_write_object(&writer, NULL);
	th_json_write_int(&writer, "connection_id", id);
	write_link(&writer, "auth_url", auth_url);
	return finish_object(&writer, &json);
}

Datum
th_sql_connect_calendar(PG_FUNCTION_ARGS)
{
	return th_call_hidden(connect_calendar, fcinfo);
}

/* ---- changing ---- */

static void
refuse_missing(int64 id)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("calendar connection " INT64_FORMAT " does not exist",
					id)));
}

/* The connection of the caller's clinic; its kind decides which options there are. */
static ThConnection *
require_connection(int64 clinic_id, int64 id)
{
	ThOwnerScope scope;
	ThConnection *connection;

	th_owner_enter(&scope);
	connection = th_connection_load(&clinic_id, &id, 1);
	th_owner_leave(&scope);
	if (connection->id == 0)
		refuse_missing(id);
	return connection;
}

Datum
th_sql_configure_calendar(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id = PG_GETARG_INT64(0);
	const ThConnection *connection;
	ThCredential *credentials;
	ThOwnerScope scope;
	Jsonb *options;

	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	connection = require_connection(clinic_id, id);
	(void) th_options_calendar(connection->kind, PG_GETARG_JSONB_P(1), false,
							   &credentials, &options);
	if (th_json_has(options, "url"))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("another url needs connect_calendar()")));
	th_owner_enter(&scope);
	if (!th_connect_configure(clinic_id, id, options))
		refuse_missing(id);
	th_owner_leave(&scope);
	th_audit_write(&clinic_id, &id, 1, "configure_calendar",
				   "calendar_connection",
				   th_options_audit_detail(connection->kind, "options",
										   PG_GETARG_JSONB_P(1)));
	mark(TH_JOB_CONNECTION, clinic_id, id);
	PG_RETURN_VOID();
}

/* ---- ending ---- */

static bool
disconnect_apple(int64 clinic_id, int64 provider_id)
{
	ThOwnerScope scope;
	int n;

	th_owner_enter(&scope);
	n = th_connect_revoke_feeds(clinic_id, provider_id, APPLE_NAME);
	th_owner_leave(&scope);
	if (n > 0)
		th_audit_write(&clinic_id, &provider_id, 1, "disconnect_calendar",
					   "feed", NULL);
	return n > 0;
}

Datum
th_sql_disconnect_calendar(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 provider_id = PG_GETARG_INT64(0);
	char *kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool purges = PG_GETARG_BOOL(2);
	ThOwnerScope scope;
	int64 id;

	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	if (strcmp(kind, "apple") == 0)
		PG_RETURN_BOOL(disconnect_apple(clinic_id, provider_id));
	if (th_calendar_find(kind) == NULL)
		refuse_kind(kind);
	th_owner_enter(&scope);
	id = th_connect_end(clinic_id, provider_id, kind, purges);
	if (id != 0)
		th_connection_release(clinic_id, id, th_clock_now());
	th_owner_leave(&scope);
	if (id == 0)
		PG_RETURN_BOOL(false);
	th_audit_write(&clinic_id, &id, 1, "disconnect_calendar",
				   "calendar_connection", NULL);
	mark(TH_JOB_CHANNEL, clinic_id, id);
	mark(TH_JOB_CONNECTION, clinic_id, id);
	PG_RETURN_BOOL(true);
}

Datum
th_sql_purge_remote(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id = PG_GETARG_INT64(0);
	ThConnectionRest *rest;
	ThOwnerScope scope;
	bool is_found;

	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	th_owner_enter(&scope);
	is_found = th_connect_purge(clinic_id, id);
	rest = th_connection_rest(&clinic_id, &id, 1);
	th_owner_leave(&scope);
	if (!is_found)
		refuse_missing(id);
	if (!rest->has_secrets)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("calendar connection " INT64_FORMAT
							   " has no grant any more",
							   id),
						errhint("Connect the calendar again, then purge it.")));
	th_audit_write(&clinic_id, &id, 1, "purge_remote", "calendar_connection",
				   NULL);
	mark(TH_JOB_CHANNEL, clinic_id, id);
	mark(TH_JOB_CONNECTION, clinic_id, id);
	PG_RETURN_VOID();
}
