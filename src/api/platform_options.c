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
	SETTING_TIMEOUT
} SettingKind;

typedef struct Setting
{
	const char *name;
	SettingKind kind;
	const char *words[4];
	const char *must_be;
} Setting;

static const Setting settings_known[] = {
	{ "api_url", SETTING_URL, { NULL }, "an absolute https URL" },
	{ "token_url", SETTING_URL, { NULL }, "an absolute https URL" },
	{ "waiting_room", SETTING_BOOL, { NULL }, "true or false" },
	{ "recording",
	  SETTING_WORD,
	  { "none", "local", "cloud", NULL },
	  "none, local or cloud" },
	{ "hipaa", SETTING_BOOL, { NULL }, "true or false" },
	{ "encryption",
	  SETTING_WORD,
	  { "enhanced_encryption", "e2ee", NULL },
	  "enhanced_encryption or e2ee" },
	{ "authentication", SETTING_BOOL, { NULL }, "true or false" },
	{ "mute_upon_entry", SETTING_BOOL, { NULL }, "true or false" },
	{ "default_user", SETTING_TEXT, { NULL }, "text" },
	{ "timeout_ms",
	  SETTING_TIMEOUT,
	  { NULL },
	  "a whole number from 100 to 120000" },
};

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
is_timeout(JsonbValue *value)
{
	char *text;
	int ms;

	if (value->type != jbvNumeric)
		return false;
	text = DatumGetCString(
		DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	if (strlen(text) > MOST_TIMEOUT_DIGITS ||
		strspn(text, "0123456789") != strlen(text))
		return false;
	ms = pg_strtoint32(text);
	return ms >= LEAST_TIMEOUT_MS && ms <= MOST_TIMEOUT_MS;
}

static bool
is_value_good(const Setting *setting, JsonbValue *value)
{
	char *text = NULL;

	if (setting->kind == SETTING_BOOL)
		return value->type == jbvBool;
	if (setting->kind == SETTING_TIMEOUT)
		return is_timeout(value);
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
	const char *platform;
	bool may_remove;
} Checker;

static void
check_setting(const char *name, JsonbValue *value, void *context)
{
	const Checker *checker = context;

	for (size_t i = 0; i < lengthof(settings_known); i++)
	{
		const Setting *setting = &settings_known[i];

		if (strcmp(setting->name, name) != 0)
			continue;
		if ((checker->may_remove && value->type == jbvNull) ||
			is_value_good(setting, value))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"%s\" must be %s", name, setting->must_be),
				 setting->kind == SETTING_URL
					 ? errhint("It has no user name, query or fragment; http "
							   "needs the host in telehealth.allowed_hosts.")
					 : 0));
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown setting \"%s\" for platform \"%s\"", name,
						   checker->platform),
					errhint("%s", settings_hint)));
}

void
th_options_check_settings(const char *platform, Jsonb *settings,
						  bool may_remove)
{
	Checker checker = { platform, may_remove };

	require_object(settings, "settings");
	each_member(settings, check_setting, &checker);
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
