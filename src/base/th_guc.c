/*
 * th_guc.c
 *	  The settings of telehealth: one table, sorted by name.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "base/th_debug.h"
#include "base/th_guc.h"

typedef enum Kind
{
	KIND_BOOL,
	KIND_INT,
	KIND_TEXT
} Kind;

typedef struct Row
{
	Kind kind;
	const char *name;
	void *variable;
	const char *text_default;
	int int_default; /* also of a bool */
	int least;
	int most;
	GucContext context;
	int flags;
	GucStringCheckHook check;
	GucStringAssignHook assign;
	GucIntCheckHook check_int;
	const char *help;
} Row;

/* clang-format off */
#define BOOL(name, variable, otherwise, context, flags, help) \
	{ KIND_BOOL, "telehealth." name, &(variable), NULL, otherwise, 0, 0, \
	  context, flags, NULL, NULL, NULL, help }
#define INT(name, variable, otherwise, least, most, context, flags, help) \
	{ KIND_INT, "telehealth." name, &(variable), NULL, otherwise, least, most, \
	  context, flags, NULL, NULL, NULL, help }
#define TEXT(name, variable, otherwise, context, flags, help) \
	{ KIND_TEXT, "telehealth." name, &(variable), otherwise, 0, 0, 0, \
	  context, flags, NULL, NULL, NULL, help }
#define CHECKED(name, variable, otherwise, context, flags, check, assign, help) \
	{ KIND_TEXT, "telehealth." name, &(variable), otherwise, 0, 0, 0, \
	  context, flags, check, assign, NULL, help }
#define INT_CHECKED(name, variable, otherwise, least, most, context, flags, check, help) \
	{ KIND_INT, "telehealth." name, &(variable), NULL, otherwise, least, most, \
	  context, flags, NULL, NULL, check, help }
/* clang-format on */

char *th_guc_allowed_hosts = NULL;
int th_guc_batch_size = 200;
bool th_guc_busy_time_blocks = false;
char *th_guc_ca_file = NULL;
char *th_guc_clinic_id = NULL;
int th_guc_connect_timeout_ms = 5000;
char *th_guc_databases = NULL;
char *th_guc_default_platform = NULL;
char *th_guc_environment = NULL;
int th_guc_failure_history_days = 180;
int th_guc_history_days = 30;
bool th_guc_http_dashboard = false;
char *th_guc_http_listen = NULL;
int th_guc_http_port = 0;
int th_guc_http_workers = 1;
char *th_guc_key_command = NULL;
char *th_guc_key_file = NULL;
int th_guc_lease_seconds = 60;
int th_guc_max_attempts = 5;
int th_guc_max_body_kb = 1024;
int th_guc_max_connections = 256;
int th_guc_max_connections_per_host = 16;
int th_guc_max_ics_kb = 10240;
int th_guc_max_response_kb = 1024;
bool th_guc_mock = false;
bool th_guc_outbound = true;
int th_guc_poll_interval_ms = 1000;
char *th_guc_public_url = NULL;
int th_guc_request_timeout_ms = 30000;
bool th_guc_restoring = false;
char *th_guc_worker_role = NULL;

#ifdef TH_DEBUG
int th_guc_debug_http_deadline_ms = 0;
int th_guc_debug_http_per_address = 0;
#endif

#define PUBLIC_URL_MAX 500

/* telehealth.clinic_id as a number. */
static int64 clinic = 1;

static bool check_clinic_id(char **newval, void **extra, GucSource source);
static bool check_databases(char **newval, void **extra, GucSource source);
static bool check_platform(char **newval, void **extra, GucSource source);
static bool check_listen(char **newval, void **extra, GucSource source);
static void assign_clinic_id(const char *newval, void *extra);
static bool check_max_ics_kb(int *newval, void **extra, GucSource source);
static bool check_public_url(char **newval, void **extra, GucSource source);

/*
 * Contexts: what a whole database decides (ALTER DATABASE ... SET, or the
 * file) is PGC_SUSET; workers take it at connection and at a reload.
 */
static const Row rows[] = {
	/* clang-format off */
	TEXT("allowed_hosts", th_guc_allowed_hosts, "",
		 PGC_SIGHUP, GUC_LIST_INPUT | GUC_SUPERUSER_ONLY,
		 "Lists hosts that may be reached by http and at private addresses."),
	INT("batch_size", th_guc_batch_size, 200, 1, 10000, PGC_SIGHUP, 0,
		"Sets how many jobs the dispatcher claims at a time."),
	BOOL("busy_time_blocks", th_guc_busy_time_blocks, false, PGC_SUSET, 0,
		 "Refuses appointments over busy times of their provider."),
	TEXT("ca_file", th_guc_ca_file, "", PGC_POSTMASTER, GUC_SUPERUSER_ONLY,
		 "Sets the file of certificate authorities for outward connections."),
	CHECKED("clinic_id", th_guc_clinic_id, "1", PGC_USERSET, 0,
			check_clinic_id, assign_clinic_id,
			"Sets the default clinic of this connection."),
	INT("connect_timeout_ms", th_guc_connect_timeout_ms, 5000, 1, 600000,
		PGC_SIGHUP, GUC_UNIT_MS,
		"Limits how long connecting to a remote host may take."),
	CHECKED("databases", th_guc_databases, "*", PGC_SIGHUP, GUC_LIST_INPUT,
			check_databases, NULL,
			"Lists the databases that are served; * is every one that has the extension."),
#ifdef TH_DEBUG
	TEXT("debug_crash_at", th_debug_crash_name, "", PGC_SUSET, 0,
		 "Names the place where a process kills itself."),
	INT("debug_http_deadline_ms", th_guc_debug_http_deadline_ms, 0, 0, 60000,
		PGC_SIGHUP, GUC_UNIT_MS, "Shortens every deadline of the gateway."),
	INT("debug_http_per_address", th_guc_debug_http_per_address, 0, 0, 1024,
		PGC_SIGHUP, 0, "Limits connections of each address, loopback too."),
	TEXT("debug_waitpoint", th_debug_waitpoint_name, "", PGC_SUSET, 0,
		 "Names the place where a process waits."),
#endif
	CHECKED("default_platform", th_guc_default_platform, "zoom", PGC_SUSET, 0,
			check_platform, NULL,
			"Sets the video platform when clinic and appointment name none."),
	TEXT("environment", th_guc_environment, "", PGC_SUSET, 0,
		 "Names this environment, to tell it apart from its copies."),
	INT("failure_history_days", th_guc_failure_history_days, 180, 1, 36500,
		PGC_SIGHUP, 0,
		"Sets how many days the history of failed attempts is kept."),
	INT("history_days", th_guc_history_days, 30, 1, 36500, PGC_SIGHUP, 0,
		"Sets how many days the history of jobs is kept."),
	BOOL("http_dashboard", th_guc_http_dashboard, false, PGC_SUSET, 0,
		 "Lets the gateway show a page about itself."),
	CHECKED("http_listen", th_guc_http_listen, "127.0.0.1", PGC_SUSET, 0,
			check_listen, NULL,
			"Sets the address at which the gateway listens; * is every address."),
	INT("http_port", th_guc_http_port, 0, 0, 65535, PGC_SUSET, 0,
		"Sets the port at which the gateway listens; 0 turns it off."),
	INT("http_workers", th_guc_http_workers, 1, 1, 4, PGC_SUSET, 0,
		"Sets the number of gateway processes."),
	TEXT("key_command", th_guc_key_command, "",
		 PGC_POSTMASTER, GUC_SUPERUSER_ONLY,
		 "Sets a command that prints the key ring, instead of the key file."),
	TEXT("key_file", th_guc_key_file, "telehealth.key",
		 PGC_POSTMASTER, GUC_SUPERUSER_ONLY,
		 "Sets the file of the keys that seal stored secrets."),
	INT("lease_seconds", th_guc_lease_seconds, 60, 1, 3600,
		PGC_SIGHUP, GUC_UNIT_S,
		"Sets how long a claimed job belongs to its worker."),
	INT("max_attempts", th_guc_max_attempts, 5, 1, 100, PGC_SIGHUP, 0,
		"Sets after how many crashes of the worker a job is dead."),
	INT("max_body_kb", th_guc_max_body_kb, 1024, 1, 65536,
		PGC_SIGHUP, GUC_UNIT_KB,
		"Limits the size of a request's body at the gateway."),
	INT("max_connections", th_guc_max_connections, 256, 1, 10000,
		PGC_SIGHUP, 0,
		"Limits the outward connections of a dispatcher."),
	INT("max_connections_per_host", th_guc_max_connections_per_host,
		16, 1, 10000, PGC_SIGHUP, 0,
		"Limits the outward connections of a dispatcher to one host."),
	INT_CHECKED("max_ics_kb", th_guc_max_ics_kb, 10240, 1, 262144,
				PGC_USERSET, GUC_UNIT_KB, check_max_ics_kb,
				"Limits the size of iCalendar text that is read."),
	INT("max_response_kb", th_guc_max_response_kb, 1024, 1, 262144,
		PGC_SIGHUP, GUC_UNIT_KB,
		"Limits the size of a remote answer."),
	BOOL("mock", th_guc_mock, false, PGC_SUSET, 0,
		 "Lets a built-in mock answer for every video platform."),
	BOOL("outbound", th_guc_outbound, true, PGC_SUSET, 0,
		 "Allows outward work."),
	INT("poll_interval_ms", th_guc_poll_interval_ms, 1000, 10, 60000,
		PGC_SIGHUP, GUC_UNIT_MS,
		"Sets how often the dispatcher looks for due jobs without being woken."),
	CHECKED("public_url", th_guc_public_url, "", PGC_SUSET, 0,
			check_public_url, NULL,
			"Sets the address under which others reach this server; the base of links."),
	INT("request_timeout_ms", th_guc_request_timeout_ms, 30000, 1, 3600000,
		PGC_SIGHUP, GUC_UNIT_MS,
		"Limits how long a remote request may take."),
	BOOL("restoring", th_guc_restoring, false, PGC_SUSET, 0,
		 "Keeps the triggers of telehealth silent while a dump is restored."),
	TEXT("worker_role", th_guc_worker_role, "", PGC_SIGHUP, 0,
		 "Sets the role of the dispatcher and the gateway; empty is the owner of the extension."),
	/* clang-format on */
};

static void define(const Row *row);

void
th_guc_define(void)
{
	int i;

	for (i = 0; i < (int) lengthof(rows); i++)
		define(&rows[i]);
	MarkGUCPrefixReserved("telehealth");
}

int64
th_guc_clinic(void)
{
	return clinic;
}

/*
 * The server refuses, with FATAL, to define a postmaster setting after its
 * start. When a session loads the library because it is not preloaded, such
 * a setting is one that only the configuration file can change.
 */
static void
define(const Row *row)
{
	GucContext context = row->context;

	if (context == PGC_POSTMASTER &&
		!process_shared_preload_libraries_in_progress)
		context = PGC_SIGHUP;

	switch (row->kind)
	{
		case KIND_BOOL:
			DefineCustomBoolVariable(row->name, row->help, NULL, row->variable,
									 row->int_default != 0, context, row->flags,
									 NULL, NULL, NULL);
			break;
		case KIND_INT:
			DefineCustomIntVariable(row->name, row->help, NULL, row->variable,
									row->int_default, row->least, row->most,
									context, row->flags, row->check_int, NULL,
									NULL);
			break;
		case KIND_TEXT:
			DefineCustomStringVariable(row->name, row->help, NULL,
									   row->variable, row->text_default,
									   context, row->flags, row->check,
									   row->assign, NULL);
			break;
	}
}

/* A whole number from 0 to the greatest bigint, digits only. */
static bool
read_clinic_id(const char *text, int64 *result)
{
	int64 value = 0;
	const char *p;

	if (*text == '\0')
		return false;
	for (p = text; *p != '\0'; p++)
	{
		int digit = *p - '0';

		if (digit < 0 || digit > 9 || value > (PG_INT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*result = value;
	return true;
}

static bool
check_clinic_id(char **newval, void **extra pg_attribute_unused(),
				GucSource source pg_attribute_unused())
{
	int64 value;

	if (read_clinic_id(*newval, &value))
		return true;
	GUC_check_errdetail("A clinic is a whole number from 0 to %lld.",
						(long long) PG_INT64_MAX);
	return false;
}

static void
assign_clinic_id(const char *newval, void *extra pg_attribute_unused())
{
	(void) read_clinic_id(newval, &clinic);
}

/* A list that cannot be read would serve nothing: the one before it stays. */
static bool
check_databases(char **newval, void **extra pg_attribute_unused(),
				GucSource source pg_attribute_unused())
{
	char *text = pstrdup(*newval);
	List *names = NIL;
	bool is_list = SplitGUCList(text, ',', &names);

	list_free(names);
	pfree(text);
	if (!is_list)
		GUC_check_errdetail("List syntax is invalid.");
	return is_list;
}

/* A name could mean another address by the time it is looked up. */
static bool
check_listen(char **newval, void **extra pg_attribute_unused(),
			 GucSource source pg_attribute_unused())
{
	struct in6_addr address;

	if (strcmp(*newval, "*") == 0 || inet_pton(AF_INET, *newval, &address) == 1)
		return true;
	/* a socket of IPv6 takes no IPv4, and one address has one spelling */
	if (inet_pton(AF_INET6, *newval, &address) == 1)
	{
		if (!IN6_IS_ADDR_V4MAPPED(&address))
			return true;
		GUC_check_errhint(
			"Write an IPv4 address without the leading \"::ffff:\".");
	}
	GUC_check_errdetail("It is an IPv4 or IPv6 address, or * for every one.");
	return false;
}

/* Names as in the constraints of the tables. */
static bool
check_platform(char **newval, void **extra pg_attribute_unused(),
			   GucSource source pg_attribute_unused())
{
	static const char *const names[] = { "custom", "google_meet", "mock",
										 "twilio", "zoom" };

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (strcmp(*newval, names[i]) == 0)
			return true;
	}
	GUC_check_errdetail(
		"Platforms are custom, google_meet, mock, twilio and zoom.");
	return false;
}

/*
 * Users lower it, or raise it up to what the server, the database or their
 * role was given; what those were given was checked when it was written.
 */
static bool
check_max_ics_kb(int *newval, void **extra pg_attribute_unused(),
				 GucSource source)
{
	static int most = 10240;

	if (source <= PGC_S_GLOBAL)
		most = *newval;
	else if (source < PGC_S_CLIENT)
		most = Max(most, *newval);
	else if (*newval > most && IsTransactionState() && !superuser())
	{
		GUC_check_errmsg("permission denied to raise telehealth.max_ics_kb "
						 "above %d kB",
						 most);
		return false;
	}
	return true;
}

/* Empty, or http(s)://host with port and path; nothing that a path cannot follow. */
static bool
check_public_url(char **newval, void **extra pg_attribute_unused(),
				 GucSource source pg_attribute_unused())
{
	const char *text = *newval;
	const char *host = NULL;

	if (text == NULL || *text == '\0')
		return true;
	if (strncmp(text, "https://", 8) == 0)
		host = text + 8;
	else if (strncmp(text, "http://", 7) == 0)
		host = text + 7;
	if (host != NULL && *host != '\0' && *host != '/' && *host != ':' &&
		strlen(text) <= PUBLIC_URL_MAX)
	{
		const char *p = host;

		while (*p > ' ' && *p < 0x7f && strchr("?#@\\\"<>", *p) == NULL)
			p++;
		if (*p == '\0')
			return true;
	}
	GUC_check_errdetail("It is empty, or http:// or https:// with a host and "
						"perhaps a port and a path.");
	return false;
}
