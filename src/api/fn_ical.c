/*
 * fn_ical.c
 *	  parse_ics(): a calendar's text as rows.
 */
#include "postgres.h"

#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "flow/calendar_read.h"

TH_SQL_FUNCTION(th_sql_parse_ics);

/* Octets of a summary that are shown. */
#define SUMMARY_OCTETS 1000

#define N_COLUMNS 12

static Datum
text_or_null(const char *text, bool *is_null)
{
	*is_null = text == NULL;
	if (text == NULL)
		return (Datum) 0;
	return PointerGetDatum(
		cstring_to_text_with_len(text, pg_mbcliplen(text, (int) strlen(text),
													SUMMARY_OCTETS)));
}

static void
put_row(void *context, const ThIcalOccurrence *occurrence)
{
	ReturnSetInfo *result = context;
	Datum values[N_COLUMNS];
	bool nulls[N_COLUMNS] = { false };

	values[0] = text_or_null(occurrence->uid, &nulls[0]);
	values[1] = TimestampTzGetDatum(occurrence->recurrence_id);
	nulls[1] = !occurrence->has_recurrence_id;
	values[2] = TimestampTzGetDatum(occurrence->starts_at);
	values[3] = TimestampTzGetDatum(occurrence->ends_at);
	nulls[2] = nulls[3] = !occurrence->has_times;
	values[4] = BoolGetDatum(occurrence->is_all_day);
	values[5] = text_or_null(occurrence->summary, &nulls[5]);
	values[6] = text_or_null(occurrence->status, &nulls[6]);
	values[7] = text_or_null(occurrence->transparency, &nulls[7]);
	values[8] = BoolGetDatum(occurrence->is_busy);
	values[9] = Int32GetDatum(occurrence->sequence);
	values[10] = BoolGetDatum(occurrence->is_truncated);
	values[11] = text_or_null(occurrence->problem, &nulls[11]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (int i = 0; i < N_COLUMNS; i++)
		if ((i == 0 || (i >= 5 && i <= 7) || i == 11) && !nulls[i])
			pfree(DatumGetPointer(values[i]));
}

Datum
th_sql_parse_ics(PG_FUNCTION_ARGS)
{
	text *ics = PG_GETARG_TEXT_PP(0);
	char *zone = text_to_cstring(PG_GETARG_TEXT_PP(3));

	InitMaterializedSRF(fcinfo, 0);
	(void) th_calendar_read(VARDATA_ANY(ics), VARSIZE_ANY_EXHDR(ics),
							PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TIMESTAMPTZ(2),
							zone, put_row, fcinfo->resultinfo);
	return (Datum) 0;
}
