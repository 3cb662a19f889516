/*
 * csv_read.c
 *	  Comma-separated text (RFC 4180), record by record.
 */
#include "postgres.h"

#include <string.h>

#include "ical/csv_read.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static bool
is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

/* Steps over one line end, if there is one. */
static void
skip_line_end(ThCsvReader *reader)
{
	char *p = reader->next;

	if (p == reader->end || !is_line_end(*p))
		return;
	reader->next += p[0] == '\r' && p + 1 < reader->end && p[1] == '\n' ? 2 : 1;
	reader->line++;
}

/* What stands most often between the fields of the first line. */
static char
guess_delimiter(const char *p, const char *end)
{
	static const char known[] = { ',', ';', '\t' };
	int counts[sizeof(known)] = { 0 };
	bool is_quoted = false;
	size_t best = 0;

	for (; p < end && (is_quoted || !is_line_end(*p)); p++)
	{
		if (*p == '"')
			is_quoted = !is_quoted;
		for (size_t i = 0; i < sizeof(known) && !is_quoted; i++)
			counts[i] += *p == known[i] ? 1 : 0;
	}
	for (size_t i = 1; i < sizeof(known); i++)
		if (counts[i] > counts[best])
			best = i;
	return known[best];
}

void
th_csv_open(ThCsvReader *reader, char *text, size_t length)
{
	reader->next = text;
	reader->end = text + length;
	reader->line = 1;
	if (length >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
		reader->next += 3;
	if (reader->end - reader->next >= 6 &&
		memcmp(reader->next, "sep=", 4) == 0 && is_line_end(reader->next[5]))
	{
		reader->delimiter = reader->next[4];
		reader->next += 5;
		skip_line_end(reader);
		return;
	}
	reader->delimiter = guess_delimiter(reader->next, reader->end);
}

/*
 * Takes the quotes off a field whose first quote "next" stands on, leaving
 * "next" behind the last one. Null if there is no last one.
 */
static char *
unquote(ThCsvReader *reader, char **after)
{
	char *from = reader->next + 1;
	char *field = from;
	char *to = from;

	for (; from < reader->end; from++)
	{
		if (*from == '"' && (from + 1 == reader->end || from[1] != '"'))
		{
			reader->next = from + 1;
			*after = to;
			return field;
		}
		if (*from == '"')
			from++;
		else if (*from == '\n' || (*from == '\r' && (from + 1 == reader->end ||
													 from[1] != '\n')))
			reader->line++;
		*to++ = *from;
	}
	return NULL;
}

/*
 * One field, with a zero where it ends. What ended it stays to be read: at
 * the end of the text there is nothing.
 */
static ThCsvResult
read_field(ThCsvReader *reader, char **field, char **after)
{
	ThCsvResult result = TH_CSV_RECORD;

	if (reader->next < reader->end && *reader->next == '"')
	{
		*field = unquote(reader, after);
		if (*field == NULL)
			return TH_CSV_OPEN_QUOTE;
	}
	else
		*field = reader->next;

	for (; reader->next < reader->end; reader->next++)
	{
		char c = *reader->next;

		if (c == reader->delimiter || is_line_end(c))
			break;
		if (*after != NULL && c != ' ')
			result = TH_CSV_BAD_QUOTES;
	}
	if (*after == NULL)
		*after = reader->next;
	return result;
}

static ThCsvResult
read_record(ThCsvReader *reader, ThCsvRecord *record)
{
	ThCsvResult result = TH_CSV_RECORD;
	bool is_last = false;

	while (!is_last)
	{
		char *field;
		char *after = NULL;
		ThCsvResult one = read_field(reader, &field, &after);

		if (one == TH_CSV_OPEN_QUOTE)
			return one;
		if (one != TH_CSV_RECORD)
			result = one;
		is_last = reader->next == reader->end ||
				  *reader->next != reader->delimiter;
		if (is_last)
			skip_line_end(reader);
		else
			reader->next++;
		*after = '\0';

		if (record->n_fields < TH_CSV_MAX_FIELDS)
			record->fields[record->n_fields++] = field;
		else
			result = TH_CSV_TOO_MANY;
	}
	return result;
}

ThCsvResult
th_csv_next(ThCsvReader *reader, ThCsvRecord *record)
{
	while (reader->next < reader->end && is_line_end(*reader->next))
		skip_line_end(reader);
	record->line = reader->line;
	record->n_fields = 0;
	if (reader->next == reader->end)
		return TH_CSV_END;
	return read_record(reader, record);
}
