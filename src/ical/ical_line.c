/*
 * ical_line.c
 *	  Content lines of iCalendar text, and the values in them.
 *
 * No function here calls the server but palloc(), so that the room can be
 * built alone for fuzzing.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_line.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char) (c - 'a' + 'A') : c;
}

static bool
is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
		   c == '-' || c == '_' || c == '.';
}

/* Whether a line begins with the name of a property and what follows one. */
static bool
begins_property(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && is_name_character(*p))
		p++;
	return p > start && p < end && (*p == ':' || *p == ';');
}

ThIcalLines
th_ical_lines_read(const char *text, size_t length)
{
	const char *p = text;
	const char *end = text + length;
	ThIcalLines lines;
	char *to;

	lines.begin = palloc_extended(length + 1, MCXT_ALLOC_HUGE);
	to = lines.begin;
	if (length >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	while (p < end)
	{
		const char *stop = p;
		bool is_folded = *p == ' ' || *p == '\t';

		while (stop < end && *stop != '\n' && *stop != '\r' && *stop != '\0')
			stop++;
		/* It goes on with the line before, whose zero it overwrites. */
		if (to > lines.begin &&
			(is_folded || (stop > p && !begins_property(p, stop))))
			to--;
		if (is_folded)
			p++;
		memmove(to, p, stop - p);
		to += stop - p;
		/* No empty lines. */
		if (to > lines.begin && to[-1] != '\0')
			*to++ = '\0';
		p = stop < end ? stop + 1 : end;
	}
	lines.end = to;
	return lines;
}

/* The colon before the value: not one inside quotes, if they are closed. */
static const char *
find_colon(const char *p)
{
	const char *first = NULL;
	bool is_quoted = false;

	for (; *p != '\0'; p++)
	{
		if (*p == '"')
			is_quoted = !is_quoted;
		else if (*p == ':')
		{
			if (!is_quoted)
				return p;
			if (first == NULL)
				first = p;
		}
	}
	return first;
}

bool
th_ical_property_read(const char *line, ThIcalProperty *property)
{
	const char *p = line;
	const char *colon;

	while (is_name_character(*p))
		p++;
	if (p == line || (*p != ':' && *p != ';'))
		return false;
	colon = *p == ':' ? p : find_colon(p);
	if (colon == NULL)
		return false;
	property->name = line;
	property->name_length = (int) (p - line);
	property->parameters = p;
	property->value = colon + 1;
	return true;
}

bool
th_ical_same(const char *text, int length, const char *word)
{
	int i;

	for (i = 0; i < length; i++)
		if (word[i] == '\0' || upper(text[i]) != word[i])
			return false;
	return word[length] == '\0';
}

bool
th_ical_property_is(const ThIcalProperty *property, const char *name)
{
	return th_ical_same(property->name, property->name_length, name);
}

bool
th_ical_word_is(const char *text, const char *word)
{
	size_t length = strlen(text);

	while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	return length < 64 && th_ical_same(text, (int) length, word);
}

int
th_ical_parameter(const ThIcalProperty *property, const char *name,
				  const char **value)
{
	const char *p = property->parameters;
	const char *end = property->value - 1;

	while (p < end && *p == ';')
	{
		const char *start = ++p;
		const char *equals;

		while (p < end && *p != '=' && *p != ';')
			p++;
		equals = p;
		if (p == end || *p == ';')
			continue;
		p++;
		*value = p;
		if (*p == '"')
		{
			*value = ++p;
			while (p < end && *p != '"')
				p++;
			if (th_ical_same(start, (int) (equals - start), name))
				return (int) (p - *value);
			while (p < end && *p != ';')
				p++;
			continue;
		}
		while (p < end && *p != ';')
			p++;
		if (th_ical_same(start, (int) (equals - start), name))
			return (int) (p - *value);
	}
	return -1;
}

/* "count" digits; -1 if there are not that many. */
static int
digits(const char *p, const char *end, int count)
{
	int value = 0;
	int i;

	if (end - p < count)
		return -1;
	for (i = 0; i < count; i++)
	{
		if (!is_digit(p[i]))
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

int64
th_ical_days(int year, int month, int day)
{
	/* March is the first month, so that a leap day is a year's last. */
	int64 y = month <= 2 ? year - 1 : year;
	int64 era = (y >= 0 ? y : y - 399) / 400;
	int64 of_era = y - era * 400;
	int64 of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
		   719468;
}

static int
month_length(int year, int month)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30,
								   31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return lengths[month - 1];
}

bool
th_ical_time_read(const char *value, const char *end, ThIcalTime *time)
{
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;

	while (value < end && *value == ' ')
		value++;
	while (value < end && end[-1] == ' ')
		end--;
	year = digits(value, end, 4);
	month = year < 0 ? -1 : digits(value + 4, end, 2);
	day = month < 0 ? -1 : digits(value + 6, end, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > month_length(year, month))
		return false;
	time->wall = th_ical_days(year, month, day) * 86400;
	time->form = TH_ICAL_DATE;
	value += 8;
	if (value == end)
		return true;
	if (upper(*value) != 'T')
		return false;
	hour = digits(value + 1, end, 2);
	minute = hour < 0 ? -1 : digits(value + 3, end, 2);
	second = minute < 0 ? -1 : digits(value + 5, end, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
		second > 60)
		return false;
	/* A leap second is the last second before it. */
	time->wall += hour * 3600 + minute * 60 + Min(second, 59);
	value += 7;
	time->form = TH_ICAL_LOCAL;
	if (value < end && upper(*value) == 'Z')
	{
		time->form = TH_ICAL_UTC;
		value++;
	}
	return value == end;
}

bool
th_ical_length_read(const char *value, const char *end, ThIcalLength *length)
{
	bool is_time = false;
	bool is_any = false;

	length->days = 0;
	length->seconds = 0;
	if (value < end && *value == '+')
		value++;
	if (value == end || upper(*value++) != 'P')
		return false;
	while (value < end && *value != ' ')
	{
		int64 number = 0;

		if (upper(*value) == 'T' && !is_time)
		{
			is_time = true;
			value++;
			continue;
		}
		if (!is_digit(*value))
			return false;
		for (; value < end && is_digit(*value); value++)
		{
			number = number * 10 + (*value - '0');
			if (number > TH_ICAL_MAX_LENGTH)
				return false;
		}
		if (value == end)
			return false;
		is_any = true;
		switch (upper(*value++))
		{
			case 'W':
				length->days += number * 7;
				break;
			case 'D':
				length->days += number;
				break;
			case 'H':
				length->seconds += number * 3600;
				break;
			case 'M':
				length->seconds += number * 60;
				break;
			case 'S':
				length->seconds += number;
				break;
			default:
				return false;
		}
		if (length->days > TH_ICAL_MAX_LENGTH / 86400 ||
			length->seconds > TH_ICAL_MAX_LENGTH)
			return false;
	}
	return is_any;
}

bool
th_ical_offset_read(const char *value, int *offset)
{
	size_t length = strlen(value);
	const char *end = value + length;
	int hour;
	int minute;
	int second = 0;

	while (end > value && end[-1] == ' ')
		end--;
	if (end - value < 5 || (*value != '+' && *value != '-'))
		return false;
	hour = digits(value + 1, end, 2);
	minute = digits(value + 3, end, 2);
	if (end - value == 7)
		second = digits(value + 5, end, 2);
	else if (end - value != 5)
		return false;
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
		second > 59)
		return false;
	*offset = hour * 3600 + minute * 60 + second;
	if (*value == '-')
		*offset = -*offset;
	return true;
}

void
th_ical_text_read(const char *value, char *out, size_t size)
{
	char *stop = out + size - 1;

	while (*value != '\0' && out < stop)
	{
		char c = *value++;

		if (c == '\\')
		{
			if (*value == 'n' || *value == 'N')
			{
				c = '\n';
				value++;
			}
			else if (*value == '\\' || *value == ',' || *value == ';')
				c = *value++;
		}
		*out++ = c;
	}
	*out = '\0';
}
