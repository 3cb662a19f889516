/*
 * ical_result.c
 *	  A written calendar as a datum.
 */
#include "postgres.h"

#include <string.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "api/ical_result.h"

/*
 * The text whose header has its place at the start. What is written is valid
 * UTF-8, so that it is not looked at again.
 */
static text *
as_datum(StringInfo out)
{
	char *start = out->data + VARHDRSZ;

	if (GetDatabaseEncoding() != PG_UTF8)
	{
		char *converted = pg_any_to_server(start, out->len - VARHDRSZ, PG_UTF8);

		if (converted != start)
			return cstring_to_text(converted);
	}
	SET_VARSIZE(out->data, out->len);
	return (text *) out->data;
}

text *
th_ical_result(const ThIcalWriter *writer, const ThIcalHead *head)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	th_ical_finish(writer, head, &out);
	return as_datum(&out);
}

text *
th_ical_result_last(ThIcalWriter *writer, const ThIcalHead *head)
{
	th_ical_finish_in_place(writer, head, VARHDRSZ);
	return as_datum(&writer->body);
}

const char *
th_ical_utf8(const char *value)
{
	if (value == NULL)
		return NULL;
	return pg_server_to_any(value, (int) strlen(value), PG_UTF8);
}
