/*
 * platform_options.c
 *	  Credentials and settings as a user gives them, checked.
 */
#include "postgres.h"

#include <string.h>

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "api/platform_options.h"
#include "base/th_guard.h"
#include "base/th_guc.h"
#include "crypto/secret_reference.h"
#include "http/address.h"
#include "http/request.h"
#include "json/json_read.h"
#include "json/json_write.h"

#define MOST_CREDENTIALS 16
#define LEAST_TIMEOUT_MS 100
#define MOST_TIMEOUT_MS 120000
#define MOST_TIMEOUT_DIGITS 6
#define MOST_TEXT 255

typedef enum SettingKind
{
	SETTING_URL,
	SETTING_BOOL,
	SETTING_WORD, /* one of "words" */
	SETTING_TEXT,
	SETTING_TIMEOUT,
	SETTING_COUNT /* a whole number from "least" to "most" */
} SettingKind;

typedef struct Setting
{
	const char *name;
	SettingKind kind;
	const char *words[4];
	const char *must_be;
	int least;
	int most;
} Setting;

static const Setting settings_known[] = {
	{ "api_url", SETTING_URL, { NULL }, "an absolute https URL", 0, 0 },
	{ "token_url", SETTING_URL, { NULL }, "an absolute https URL", 0, 0 },
	{ "waiting_room", SETTING_BOOL, { NULL }, "true or false", 0, 0 },
	{ "recording",
	  SETTING_WORD,
	  { "none", "local", "cloud", NULL },
	  "none, local or cloud",
	  0,
	  0 },
	{ "hipaa", SETTING_BOOL, { NULL }, "true or false", 0, 0 },
	{ "encryption",
	  SETTING_WORD,
	  { "enhanced_encryption", "e2ee", NULL },
	  "enhanced_encryption or e2ee",
	  0,
	  0 },
	{ "authentication", SETTING_BOOL, { NULL }, "true or false", 0, 0 },
	{ "mute_upon_entry", SETTING_BOOL, { NULL }, "true or false", 0, 0 },
	{ "default_user", SETTING_TEXT, { NULL }, "text", 0, 0 },
	{ "timeout_ms",
	  SETTING_TIMEOUT,
	  { NULL },
	  "a whole number from 100 to 120000",
	  0,
	  0 },
};

/* Those of an application's client, see register_oauth_client(). */
static const Setting client_settings_known[] = {
	{ "auth_url", SETTING_URL, { NULL }, "an absolute https URL", 0, 0 },
	{ "token_url", SETTING_URL, { NULL }, "an absolute https URL", 0, 0 },
	{ "api_url", SETTING_URL, { NULL }, "an absolute https URL", 0, 0 },
	{ "revoke_url", SETTING_URL, { NULL }, "an absolute https URL", 0, 0 },
	{ "redirect_uri", SETTING_URL, { NULL }, "an absolute https URL", 0, 0 },
	{ "scopes", SETTING_TEXT, { NULL }, "text", 0, 0 },
	{ "timeout_ms",
	  SETTING_TIMEOUT,
	  { NULL },
	  "a whole number from 100 to 120000",
	  0,
	  0 },
};

/* Those of a calendar connection, see connect_calendar(). */
static const Setting calendar_settings_known[] = {
	{ .name = "calendar_id", .kind = SETTING_TEXT, .must_be = "text" },
	{ .name = "url", .kind = SETTING_URL, .must_be = "an absolute https URL" },
	{ .name = "sync_enabled",
	  .kind = SETTING_BOOL,
	  .must_be = "true or false" },
	{ .name = "sync_direction",
	  .kind = SETTING_WORD,
	  .words = { "both", "push", "pull", NULL },
	  .must_be = "both, push or pull" },
	{ .name = "sync_frequency_minutes",
	  .kind = SETTING_COUNT,
	  .must_be = "a whole number from 1 to 1440",
	  .least = 1,
	  .most = 1440 },
	{ .name = "remote_change_policy",
	  .kind = SETTING_WORD,
	  .words = { "restore", "flag", "cancel", NULL },
	  .must_be = "restore, flag or cancel" },
	{ .name = "window_days_back",
	  .kind = SETTING_COUNT,
	  .must_be = "a whole number from 0 to 366",
	  .least = 0,
	  .most = 366 },
	{ .name = "window_days_ahead",
	  .kind = SETTING_COUNT,
	  .must_be = "a whole number from 1 to 1100",
	  .least = 1,
	  .most = 1100 },
	{ .name = "only_video", .kind = SETTING_BOOL, .must_be = "true or false" },
	{ .name = "invite_patient",
	  .kind = SETTING_BOOL,
	  .must_be = "true or false" },
	{ .name = "summary", .kind = SETTING_TEXT, .must_be = "text" },
	{ .name = "timeout_ms",
	  .kind = SETTING_TIMEOUT,
	  .must_be = "a whole number from 100 to 120000" },
};

static const char calendar_settings_hint[] =
	"Options are calendar_id, sync_enabled, sync_direction, "
	"sync_frequency_minutes, remote_change_policy, window_days_back, "
	"window_days_ahead, only_video, invite_patient, summary and timeout_ms; "
	"refresh_token of google and outlook; url, username and password of "
	"caldav.";

static const char client_settings_hint[] =
	"Settings are auth_url, token_url, api_url, revoke_url, redirect_uri, "
	"scopes and timeout_ms.";

static const char settings_hint[] =
	"Settings are api_url, token_url, waiting_room, recording, hipaa, "
	"encryption, authentication, mute_upon_entry, default_user and timeout_ms.";

/* What is done with each member of an object. */
typedef void (*MemberUse)(const char *name, JsonbValue *value, void *context);

/* ---- reading objects ---- */

static void
each_member(Jsonb *object, MemberUse use, void *context)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue value;
	char *name = NULL;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && name != NULL)
		{
			use(name, &value, context);
			name = NULL;
		}
	}
}

static void
require_object(Jsonb *object, const char *what)
{
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be a JSON object", what)));
}

static bool
is_listed(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
	{
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

static bool
has_control_character(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			return true;
	}
	return false;
}

/* ---- credentials ---- */

typedef struct Reader
{
	const ThPlatform *platform;
	ThCredential *credentials;
	int n;
	bool is_literal; /* a secret stands in the statement */
} Reader;

/* "Platform "zoom" needs a, b and takes c." */
static int
credentials_hint(const ThPlatform *platform)
{
	StringInfoData text;
	const char *const *name;

	initStringInfo(&text);
	for (name = platform->required_credentials; *name != NULL; name++)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", *name);
	if (text.len == 0)
		return errhint("Platform \"%s\" needs no credentials.", platform->name);
	if (platform->optional_credentials[0] != NULL)
		appendStringInfoString(&text, "; it also takes ");
	for (name = platform->optional_credentials; *name != NULL; name++)
		appendStringInfo(&text, "%s%s",
						 name == platform->optional_credentials ? "" : ", ",
						 *name);
	return errhint("Platform \"%s\" needs %s.", platform->name, text.data);
}

static void
check_value(const char *name, const char *value)
{
	if (value[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("credential \"%s\" is empty", name)));
	if (has_control_character(value))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("credential \"%s\" contains a control character",
							   name)));
}

static void
require_file_reader(void)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read secrets on the server"),
				 errhint("Only roles with privileges of pg_read_server_files "
						 "may use file: and env: values.")));
}

static void
read_credential(const char *name, JsonbValue *value, void *context)
{
	Reader *reader = context;
	const ThPlatform *platform = reader->platform;
	char *text;

	if (!is_listed(platform->required_credentials, name) &&
		!is_listed(platform->optional_credentials, name))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown credential \"%s\" for platform \"%s\"",
							   name, platform->name),
						credentials_hint(platform)));
	if (value->type != jbvString)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("credential \"%s\" must be text", name)));
	if (reader->n == MOST_CREDENTIALS)
		elog(ERROR, "platform \"%s\" has too many credentials", platform->name);

	text = th_guard_secret_text(CurrentMemoryContext, value->val.string.val,
								value->val.string.len);
	check_value(name, text);
	if (th_secret_is_reference(text))
	{
		require_file_reader();
		text = th_secret_resolve(text);
		check_value(name, text);
	}
	else if (is_listed(platform->secret_credentials, name))
		reader->is_literal = true;
	reader->credentials[reader->n].name = name;
	reader->credentials[reader->n++].value = text;
}

int
th_options_credentials(const ThPlatform *platform, Jsonb *given,
					   ThCredential **credentials)
{
	Reader reader = { 0 };
	const char *const *name;

	require_object(given, "credentials");
	reader.platform = platform;
	reader.credentials = palloc0_array(ThCredential, MOST_CREDENTIALS);

	/* Before any file is read. */
	for (name = platform->required_credentials; *name != NULL; name++)
	{
		if (!th_json_has(given, *name))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("missing credential \"%s\" for platform \"%s\"",
							*name, platform->name),
					 credentials_hint(platform)));
	}
	each_member(given, read_credential, &reader);
	if (reader.is_literal)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("a secret in the statement may be kept in logs"),
				 errhint("Give \"file:/path\" or \"env:NAME\" instead.")));
	*credentials = reader.credentials;
	return reader.n;
}

/* ---- settings ---- */

static bool
is_url_allowed(const char *url)
{
	char *origin = th_http_origin(url);
	char *host;
	char *colon;
	bool is_bracketed;

	if (origin == NULL || has_control_character(url) ||
		strpbrk(url, " ?#") != NULL)
		return false;
	if (strncmp(origin, "https://", 8) == 0)
		return true;

	/* http://host:port, the host maybe in brackets */
	host = origin + strlen("http://");
	colon = strrchr(host, ':');
	if (colon == NULL)
		return false;
	*colon = '\0';
	is_bracketed = host[0] == '[' && colon[-1] == ']';
	if (is_bracketed)
	{
		colon[-1] = '\0';
		host++;
	}
	return th_http_host_is_listed(th_guc_allowed_hosts, host,
								  pg_strtoint32(colon + 1));
}

static bool
is_count(JsonbValue *value, int least, int most)
{
	char *text;
	int count;

	if (value->type != jbvNumeric)
		return false;
	text = DatumGetCString(
		DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	if (strlen(text) > MOST_TIMEOUT_DIGITS ||
		strspn(text, "0123456789") != strlen(text))
		return false;
	count = pg_strtoint32(text);
	return count >= least && count <= most;
}

static bool
is_value_good(const Setting *setting, JsonbValue *value)
{
	char *text = NULL;

	if (setting->kind == SETTING_BOOL)
		return value->type == jbvBool;
	if (setting->kind == SETTING_TIMEOUT)
		return is_count(value, LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS);
	if (setting->kind == SETTING_COUNT)
		return is_count(value, setting->least, setting->most);
	if (value->type != jbvString || value->val.string.len > MOST_TEXT)
		return false;
	text = pnstrdup(value->val.string.val, value->val.string.len);
	switch (setting->kind)
	{
		case SETTING_URL:
			return is_url_allowed(text);
		case SETTING_WORD:
			return is_listed(setting->words, text);
		default:
			return text[0] != '\0' && !has_control_character(text);
	}
}

typedef struct Checker
{
	const char *subject; /* words before its name */
	const char *name;
	bool may_remove;
	const Setting *known;
	size_t n_known;
	const char *hint;
} Checker;

static void
check_setting(const char *name, JsonbValue *value, void *context)
{
	const Checker *checker = context;

	for (size_t i = 0; i < checker->n_known; i++)
	{
		const Setting *setting = &checker->known[i];

		if (strcmp(setting->name, name) != 0)
			continue;
		if ((checker->may_remove && value->type == jbvNull) ||
			is_value_good(setting, value))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"%s\" must be %s", name, setting->must_be),
				 setting->kind == SETTING_URL
					 ? errhint("It has no user name, zone, query or fragment; "
							   "http needs the host in "
							   "telehealth.allowed_hosts.")
					 : 0));
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown setting \"%s\" for %s \"%s\"", name,
						   checker->subject, checker->name),
					errhint("%s", checker->hint)));
}

void
th_options_check_settings(const char *platform, Jsonb *settings,
						  bool may_remove)
{
	Checker checker = { "platform",
						platform,
						may_remove,
						settings_known,
						lengthof(settings_known),
						settings_hint };

	require_object(settings, "settings");
	each_member(settings, check_setting, &checker);
}

void
th_options_check_client(const char *kind, Jsonb *settings)
{
	Checker checker = { "a client of",
						kind,
						false,
						client_settings_known,
						lengthof(client_settings_known),
						client_settings_hint };

	require_object(settings, "settings");
	each_member(settings, check_setting, &checker);
}

/* ---- calendars ---- */

static const char *const no_names[] = { NULL };
static const char *const grant_names[] = { "refresh_token", NULL };
static const char *const password_names[] = { "username", "password", NULL };
static const char *const password_secrets[] = { "password", NULL };

/* The members of "given" that are in "names", or those that are not. */
static Jsonb *
select_members(Jsonb *given, const char *const *names, bool is_listed_wanted)
{
	JsonbParseState *state = NULL;
	JsonbIterator *iterator = JsonbIteratorInit(&given->root);
	JsonbIteratorToken token;
	JsonbValue key = { 0 };
	JsonbValue value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = value;
		else if (token == WJB_VALUE &&
				 is_listed(names,
						   pnstrdup(key.val.string.val, key.val.string.len)) ==
					 is_listed_wanted)
		{
			pushJsonbValue(&state, WJB_KEY, &key);
			pushJsonbValue(&state, WJB_VALUE, &value);
		}
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

int
th_options_calendar(const char *kind, Jsonb *given, bool is_new,
					ThCredential **credentials, Jsonb **options)
{
	Checker checker = { "calendars of",
						kind,
						true,
						calendar_settings_known,
						lengthof(calendar_settings_known),
						calendar_settings_hint };
	bool is_password = strcmp(kind, "caldav") == 0;
	const char *const *names = !is_new       ? no_names
							   : is_password ? password_names
											 : grant_names;
	ThPlatform secrets = { .name = kind };

	require_object(given, "options");
	*options = select_members(given, names, false);
	each_member(*options, check_setting, &checker);
	if (!is_password && th_json_has(*options, "url"))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("only caldav has an url")));
	if (!is_new && th_json_has(*options, "calendar_id"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("another calendar needs connect_calendar()"),
				 errhint("Disconnect with purge before, or the visits that "
						 "are shown in the former calendar stay there.")));
	secrets.required_credentials = is_password ? names : no_names;
	secrets.optional_credentials = is_password ? no_names : names;
	secrets.secret_credentials = is_password ? password_secrets : names;
	*credentials = NULL;
	if (!is_new)
		return 0;
	return th_options_credentials(&secrets, select_members(given, names, true),
								  credentials);
}

/* ---- audit ---- */

static void
write_name(const char *name, JsonbValue *value pg_attribute_unused(),
		   void *context)
{
	th_json_write_text((ThJsonWriter *) context, NULL, name);
}

Jsonb *
th_options_audit_detail(const char *platform, const char *name, Jsonb *object)
{
	StringInfoData text;
	ThJsonWriter writer;
	Jsonb *result;

	initStringInfo(&text);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	th_json_write_text(&writer, "platform", platform);
	th_json_write_array(&writer, name);
	each_member(object, write_name, &writer);
	th_json_write_end_array(&writer);
	th_json_write_end_object(&writer);
	if (!th_json_parse(text.data, text.len, &result))
		elog(ERROR, "could not build the detail of an audit row");
	return result;
}
