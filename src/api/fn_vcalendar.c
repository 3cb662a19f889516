/*
 * fn_vcalendar.c
 *	  Calendars from queries: the constructor of events and the aggregate.
 */
#include "postgres.h"

#include <string.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "json/json_read.h"
#include "api/ical_result.h"
#include "api/vevent.h"
#include "ical/ical_timezone.h"

TH_SQL_FUNCTION(th_sql_vevent);
TH_SQL_FUNCTION(th_sql_vcalendar_add);
TH_SQL_FUNCTION(th_sql_vcalendar_end);
TH_SQL_FUNCTION(th_sql_ical_duration);
TH_SQL_FUNCTION(th_sql_vtimezone);

#define DEFAULT_BUSY_UID "busy@telehealth"

/* What the aggregate knows of the calendar so far. */
typedef struct Calendar
{
	MemoryContext context; /* the aggregate's */
	ThIcalWriter writer;
	ThIcalHead head;
	TupleDesc columns;
	bool is_free_busy;
	ThIcalBusy busy;
	ThIcalPeriod *periods;
	int room; /* for so many periods */
} Calendar;

Datum
th_sql_vevent(PG_FUNCTION_ARGS)
{
	TupleDesc columns = fcinfo->flinfo->fn_extra;
	Datum values[TH_VEVENT_COLUMNS];
	bool nulls[TH_VEVENT_COLUMNS];

	if (columns == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &columns) !=
				TYPEFUNC_COMPOSITE ||
			columns->natts != TH_VEVENT_COLUMNS ||
			PG_NARGS() != TH_VEVENT_COLUMNS)
			elog(ERROR, "the type vevent is not as expected");
		columns = BlessTupleDesc(columns);
		fcinfo->flinfo->fn_extra = columns;
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < TH_VEVENT_COLUMNS; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(columns, values, nulls)));
}

static void
refuse_option(const char *key)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown or invalid calendar option \"%s\"", key),
					errhint("Options are name, description, method, refresh, "
							"color, url, uid and kind (events or freebusy).")));
}

static int64
seconds_of(const char *text)
{
	Datum span = DirectFunctionCall3(interval_in, CStringGetDatum(text),
									 ObjectIdGetDatum(InvalidOid),
									 Int32GetDatum(-1));

	return th_vevent_seconds(DatumGetIntervalP(span));
}

static void
set_option(Calendar *calendar, const char *key, const char *value)
{
	if (strcmp(key, "name") == 0)
		calendar->head.name = value;
	else if (strcmp(key, "description") == 0)
		calendar->head.description = value;
	else if (strcmp(key, "color") == 0)
		calendar->head.color = th_vevent_check_word(value, "color");
	else if (strcmp(key, "url") == 0)
		calendar->head.url = value;
	else if (strcmp(key, "uid") == 0)
		calendar->busy.uid = value;
	else if (strcmp(key, "refresh") == 0)
		calendar->head.refresh_seconds = seconds_of(value);
	else if (strcmp(key, "method") == 0)
	{
		th_vevent_check_method(value);
		calendar->head.method = value;
	}
	else if (strcmp(key, "kind") == 0 && strcmp(value, "freebusy") == 0)
		calendar->is_free_busy = true;
	else if (strcmp(key, "kind") != 0 || strcmp(value, "events") != 0)
		refuse_option(key);
}

static void
read_options(Calendar *calendar, Jsonb *options)
{
	JsonbIterator *it = JsonbIteratorInit(&options->root);
	JsonbIteratorToken token;
	JsonbValue value;
	const char *key = "";

	if (!JB_ROOT_IS_OBJECT(options))
		refuse_option("");
	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_END_OBJECT)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		else if (value.type == jbvString)
			set_option(calendar, key,
					   th_ical_utf8(pnstrdup(value.val.string.val,
											 value.val.string.len)));
		else if (value.type != jbvNull)
			refuse_option(key);
	}
}

static Calendar *
begin_calendar(FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Calendar *calendar = palloc0(sizeof(Calendar));

	calendar->context = context;
	calendar->busy.uid = DEFAULT_BUSY_UID;
	th_ical_begin(&calendar->writer);
	if (PG_NARGS() > 2 && !PG_ARGISNULL(2))
		read_options(calendar, PG_GETARG_JSONB_P_COPY(2));
	MemoryContextSwitchTo(old);
	return calendar;
}

/* What an event takes of its owner's time. */
static void
add_period(Calendar *calendar, const ThIcalEvent *event)
{
	ThIcalBusy *busy = &calendar->busy;
	bool is_first = calendar->periods == NULL;
	ThIcalPeriod *period;

	if (is_first)
	{
		calendar->room = 64;
		calendar->periods = MemoryContextAlloc(calendar->context,
											   sizeof(ThIcalPeriod) *
												   calendar->room);
	}
	else if (busy->n_periods == calendar->room)
	{
		calendar->room *= 2;
		calendar->periods = repalloc_huge(calendar->periods,
										  sizeof(ThIcalPeriod) *
											  (Size) calendar->room);
	}
	if (is_first || event->starts_at < busy->starts_at)
		busy->starts_at = event->starts_at;
	if (is_first || event->ends_at > busy->ends_at)
		busy->ends_at = event->ends_at;
	if (is_first || event->stamp > busy->stamp)
		busy->stamp = event->stamp;
	if (event->is_transparent ||
		(event->status != NULL && strcmp(event->status, "CANCELLED") == 0))
		return;
	period = &calendar->periods[busy->n_periods++];
	period->starts_at = event->starts_at;
	period->ends_at = event->ends_at;
	period->is_tentative = event->status != NULL &&
						   strcmp(event->status, "TENTATIVE") == 0;
}

Datum
th_sql_vcalendar_add(PG_FUNCTION_ARGS)
{
	Calendar *calendar = PG_ARGISNULL(0) ? NULL
										 : (Calendar *) PG_GETARG_POINTER(0);
	MemoryContext context;
	HeapTupleHeader value;
	HeapTupleData tuple;
	ThIcalEvent event;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "vcalendar_add called outside of an aggregate");
	if (calendar == NULL)
		calendar = begin_calendar(fcinfo, context);
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(calendar);

	value = PG_GETARG_HEAPTUPLEHEADER(1);
	if (calendar->columns == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		calendar->columns =
			lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(value),
										HeapTupleHeaderGetTypMod(value));
		MemoryContextSwitchTo(old);
	}
	memset(&tuple, 0, sizeof(tuple));
	tuple.t_len = HeapTupleHeaderGetDatumLength(value);
	tuple.t_data = value;
	th_vevent_read(&calendar->writer, &tuple, calendar->columns, &event);
	if (calendar->is_free_busy)
		add_period(calendar, &event);
	else
		th_ical_add_event(&calendar->writer, &event);
	PG_RETURN_POINTER(calendar);
}

static int
compare_periods(const void *a, const void *b)
{
	const ThIcalPeriod *x = a;
	const ThIcalPeriod *y = b;

	if (x->starts_at != y->starts_at)
		return x->starts_at < y->starts_at ? -1 : 1;
	if (x->ends_at != y->ends_at)
		return x->ends_at < y->ends_at ? -1 : 1;
	return (int) x->is_tentative - (int) y->is_tentative;
}

/* The state is left as it is: a window goes on with it. */
Datum
th_sql_vcalendar_end(PG_FUNCTION_ARGS)
{
	Calendar *calendar = PG_ARGISNULL(0) ? NULL
										 : (Calendar *) PG_GETARG_POINTER(0);
	ThIcalHead none = { 0 };
	ThIcalWriter writer;
	ThIcalBusy busy;
	ThIcalPeriod *periods;
	size_t size;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "vcalendar_end called outside of an aggregate");
	if (calendar != NULL && calendar->periods == NULL)
		PG_RETURN_TEXT_P(th_ical_result(&calendar->writer, &calendar->head));
	th_ical_begin(&writer);
	if (calendar == NULL)
		PG_RETURN_TEXT_P(th_ical_result(&writer, &none));

	busy = calendar->busy;
	size = sizeof(ThIcalPeriod) * (Size) busy.n_periods;
	periods = MemoryContextAllocHuge(CurrentMemoryContext, size + 1);
	memcpy(periods, calendar->periods, size);
	qsort(periods, busy.n_periods, sizeof(ThIcalPeriod), compare_periods);
	busy.periods = periods;
	th_ical_add_busy(&writer, &busy);
	PG_RETURN_TEXT_P(th_ical_result(&writer, &calendar->head));
}

Datum
th_sql_ical_duration(PG_FUNCTION_ARGS)
{
	const Interval *span = PG_GETARG_INTERVAL_P(0);
	int64 seconds = span->time / USECS_PER_SEC;
	int64 days = span->day;
	char text[TH_ICAL_DURATION_SIZE];

	/* Refuses months. */
	int64 total = th_vevent_seconds(span);

	/* Directions that differ leave no days of the calendar. */
	if ((days < 0 && seconds > 0) || (days > 0 && seconds < 0))
	{
		days = 0;
		seconds = total;
	}
	th_ical_put_duration(text, days, seconds);
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

Datum
th_sql_vtimezone(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ThIcalUse zone = { .is_used = true,
					   .from = PG_GETARG_TIMESTAMPTZ(1),
					   .until = PG_GETARG_TIMESTAMPTZ(2) };
	StringInfoData out;

	if (TIMESTAMP_IS_NOEND(zone.until) && !TIMESTAMP_NOT_FINITE(zone.from))
	{
		zone.is_open = true;
		zone.until = zone.from;
	}
	if (TIMESTAMP_NOT_FINITE(zone.from) || TIMESTAMP_NOT_FINITE(zone.until))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("window must be finite"),
						errhint("Only its end may be infinity.")));
	if (zone.until < zone.from)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the window must end after it starts")));
	zone.zone = th_zone_open(name);
	if (zone.zone == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" not recognized", name)));
	initStringInfo(&out);
	th_ical_write_timezone(&out, &zone);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
