/*
 * json_write.c
 *	  Writing JSON text in one pass.
 */
#include "postgres.h"

#include <string.h>

#include "access/xact.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "utils/json.h"

#include "base/th_error.h"
#include "json/json_write.h"

static void begin_value(ThJsonWriter *writer, const char *name);
static void end_container(ThJsonWriter *writer, char bracket);

void
th_json_write_start(ThJsonWriter *writer, StringInfo out)
{
	writer->out = out;
	writer->need_comma = false;
}

void
th_json_write_object(ThJsonWriter *writer, const char *name)
{
	begin_value(writer, name);
	appendStringInfoChar(writer->out, '{');
	writer->need_comma = false;
}

void
th_json_write_end_object(ThJsonWriter *writer)
{
	end_container(writer, '}');
}

void
th_json_write_array(ThJsonWriter *writer, const char *name)
{
	begin_value(writer, name);
	appendStringInfoChar(writer->out, '[');
	writer->need_comma = false;
}

void
th_json_write_end_array(ThJsonWriter *writer)
{
	end_container(writer, ']');
}

void
th_json_write_text(ThJsonWriter *writer, const char *name, const char *value)
{
	begin_value(writer, name);
	if (value == NULL)
		appendStringInfoString(writer->out, "null");
	else
		escape_json(writer->out, th_json_utf8(value));
}

void
th_json_write_int(ThJsonWriter *writer, const char *name, int64 value)
{
	begin_value(writer, name);
	appendStringInfo(writer->out, INT64_FORMAT, value);
}

void
th_json_write_bool(ThJsonWriter *writer, const char *name, bool value)
{
	begin_value(writer, name);
	appendStringInfoString(writer->out, value ? "true" : "false");
}

static void
begin_value(ThJsonWriter *writer, const char *name)
{
	TH_ASSERT_MAY_THROW();
	if (writer->need_comma)
		appendStringInfoChar(writer->out, ',');
	if (name != NULL)
	{
		escape_json(writer->out, th_json_utf8(name));
		appendStringInfoChar(writer->out, ':');
	}
	writer->need_comma = true;
}

static void
end_container(ThJsonWriter *writer, char bracket)
{
	appendStringInfoChar(writer->out, bracket);
	writer->need_comma = true;
}

/*
 * Converting needs the catalogue. Outside a transaction, and in an SQL_ASCII
 * database where the bytes mean nothing certain, what is no valid UTF-8
 * already loses its other characters than ASCII.
 */
const char *
th_json_utf8(const char *text)
{
	int encoding = GetDatabaseEncoding();
	size_t length;
	char *copy;
	char *p;

	if (encoding == PG_UTF8)
		return text;
	length = strlen(text);
	if (encoding != PG_SQL_ASCII && IsTransactionState())
		return pg_server_to_any(text, (int) length, PG_UTF8);
	if (pg_is_ascii(text) ||
		(encoding == PG_SQL_ASCII &&
		 pg_verify_mbstr(PG_UTF8, text, (int) length, true)))
		return text;

	copy = pstrdup(text);
	for (p = copy; *p != '\0'; p++)
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	return copy;
}
