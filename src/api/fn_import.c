/*
 * fn_import.c
 *	  Busy times from calendars of others: import_ics() and import_csv().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/call.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "flow/import.h"
#include "store/access.h"
#include "store/calendar_pull.h"
#include "store/owner.h"

TH_SQL_FUNCTION(th_sql_import_ics);
TH_SQL_FUNCTION(th_sql_import_csv);

/* What a call gets that names no window: whole days, in UTC. */
#define DEFAULT_DAYS_BEFORE 1
#define DEFAULT_DAYS 367

/* The end of one that starts later is no instant any more. */
#define LAST_WINDOW_START (END_TIMESTAMP - DEFAULT_DAYS * USECS_PER_DAY)

#define MAX_SOURCE_BYTES 200

typedef void (*Importer)(const ThImport *import, const char *text,
						 size_t length, ThImportCounts *counts);

static char *
read_source(text *argument)
{
	char *source = text_to_cstring(argument);

	if (source[strspn(source, " \t\r\n")] == '\0' ||
		strlen(source) > MAX_SOURCE_BYTES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("source must be a name of at most %d bytes",
							   MAX_SOURCE_BYTES)));
	if (strncmp(source, TH_PULL_SOURCE, strlen(TH_PULL_SOURCE)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source must not begin with \"%s\"", TH_PULL_SOURCE),
				 errdetail("Such names are those of calendars that "
						   "connect_calendar() has connected.")));
	return source;
}

/* The arguments from "first" on: the ends of the window, each may be null. */
static void
read_window(FunctionCallInfo fcinfo, int first, ThImport *import)
{
	TimestampTz now = th_clock_now();
	TimestampTz today = now -
						(now % USECS_PER_DAY + USECS_PER_DAY) % USECS_PER_DAY;

	import->window_start = PG_ARGISNULL(first)
							   ? today - DEFAULT_DAYS_BEFORE * USECS_PER_DAY
							   : PG_GETARG_TIMESTAMPTZ(first);
	if (PG_ARGISNULL(first + 1))
		import->window_end = import->window_start >= LAST_WINDOW_START
								 ? DT_NOEND
								 : import->window_start +
									   DEFAULT_DAYS * USECS_PER_DAY;
	else
		import->window_end = PG_GETARG_TIMESTAMPTZ(first + 1);
	if (TIMESTAMP_NOT_FINITE(import->window_start) ||
		TIMESTAMP_NOT_FINITE(import->window_end) ||
		import->window_end <= import->window_start)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window must be finite and end after it starts")));
}

static Datum
counts_row(FunctionCallInfo fcinfo, const ThImportCounts *counts)
{
	TupleDesc columns;
	Datum values[4];
	bool nulls[4] = { false, false, false, false };

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(counts->created);
	values[1] = Int64GetDatum(counts->updated);
	values[2] = Int64GetDatum(counts->deleted);
	values[3] = Int64GetDatum(counts->quarantined);
	return HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(columns), values, nulls));
}

static Datum
import_text(FunctionCallInfo fcinfo, const char *text_name, Importer importer,
			bool has_timezone)
{
	const char *const names[] = { "provider_id", "source", text_name, NULL };
	int window = has_timezone ? 4 : 3;
	ThImport import = { .clinic_id = th_guc_clinic() };
	ThImportCounts counts;
	ThOwnerScope scope;
	text *calendar;

	th_call_require(fcinfo, names);
	(void) th_access_require(TH_ACCESS_APP, import.clinic_id);
	PreventCommandIfReadOnly(has_timezone ? "import_csv()" : "import_ics()");
	import.provider_id = PG_GETARG_INT64(0);
	import.source = read_source(PG_GETARG_TEXT_PP(1));
	if (has_timezone && !PG_ARGISNULL(3))
		import.timezone = text_to_cstring(PG_GETARG_TEXT_PP(3));
	read_window(fcinfo, window, &import);
	import.may_remove_many = !PG_ARGISNULL(window + 2) &&
							 PG_GETARG_BOOL(window + 2);

	calendar = PG_GETARG_TEXT_PP(2);
	th_owner_enter(&scope);
	importer(&import, VARDATA_ANY(calendar), VARSIZE_ANY_EXHDR(calendar),
			 &counts);
	th_owner_leave(&scope);
	return counts_row(fcinfo, &counts);
}

static Datum
import_ics(PG_FUNCTION_ARGS)
{
	return import_text(fcinfo, "ics", th_import_ics, false);
}

Datum
th_sql_import_ics(PG_FUNCTION_ARGS)
{
	return th_call_hidden(import_ics, fcinfo);
}

static Datum
import_csv(PG_FUNCTION_ARGS)
{
	return import_text(fcinfo, "csv", th_import_csv, true);
}

Datum
th_sql_import_csv(PG_FUNCTION_ARGS)
{
	return th_call_hidden(import_csv, fcinfo);
}
