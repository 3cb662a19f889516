/*
 * csv_time.c
 *	  Dates and times as people and programs write them into tables.
 */
#include "postgres.h"

#include <string.h>

#include "ical/csv_time.h"

#define LEAST_YEAR 1900
#define MOST_YEAR 2200

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
skip_blanks(const char **p)
{
	while (**p == ' ' || **p == '\t')
		(*p)++;
}

/* Up to "most" digits as a number; how many there were. */
int
th_csv_time_read_number(const char **p, int most, int *value)
{
	int n = 0;

	*value = 0;
	while (n < most && is_digit((*p)[n]))
		*value = *value * 10 + ((*p)[n++] - '0');
	*p += n;
	return n;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

void
th_csv_time_add_day(ThCsvTime *time)
{
	if (++time->day <= days_of_month(time->year, time->month))
		return;
	time->day = 1;
	if (++time->month <= 12)
		return;
	time->month = 1;
	time->year++;
}

static const char *
check_date(ThCsvTime *time)
{
	if (time->year < LEAST_YEAR || time->year > MOST_YEAR || time->month < 1 ||
		time->month > 12 || time->day < 1 ||
		time->day > days_of_month(time->year, time->month))
		return "no such date";
	return NULL;
}

/*
 * Three numbers of a date in the order they stand; false if they are not
 * there. The first is a year if it has four digits. 20301231 is one too.
 */
static bool
read_three(const char **p, int *numbers, bool *is_year_first, char *separator)
{
	const char *start = *p;
	int n = th_csv_time_read_number(p, 8, &numbers[0]);

	*is_year_first = n == 4 || n == 8;
	*separator = '-';
	if (n == 8)
	{
		numbers[2] = numbers[0] % 100;
		numbers[1] = numbers[0] / 100 % 100;
		numbers[0] /= 10000;
		return true;
	}
	*separator = **p;
	if ((n > 2 && n != 4) || n == 0 || strchr("-/.", **p) == NULL ||
		**p == '\0')
	{
		*p = start;
		return false;
	}
	(*p)++;
	if (th_csv_time_read_number(p, 2, &numbers[1]) == 0 || **p != *separator)
		return false;
	(*p)++;
	n = th_csv_time_read_number(p, 4, &numbers[2]);
	if (!*is_year_first && n == 2)
		numbers[2] += 2000;
	return *is_year_first ? n == 1 || n == 2 : n == 2 || n == 4;
}

static const char *
read_date(const ThCsvOrder *order, const char **p, ThCsvTime *out)
{
	int numbers[3];
	bool is_year_first;
	bool is_day_first;
	char separator;

	if (!read_three(p, numbers, &is_year_first, &separator))
		return "not a date";
	if (is_year_first)
	{
		out->year = numbers[0];
		out->month = numbers[1];
		out->day = numbers[2];
		return check_date(out);
	}

	is_day_first = separator == '.' || numbers[0] > 12 ||
				   (numbers[1] <= 12 && order->is_day_first_seen);
	if (separator != '.' && numbers[0] <= 12 && numbers[1] <= 12 &&
		order->is_day_first_seen && order->is_month_first_seen)
		return "day and month cannot be told apart";
	out->year = numbers[2];
	out->month = numbers[is_day_first ? 1 : 0];
	out->day = numbers[is_day_first ? 0 : 1];
	return check_date(out);
}

/* "Z", "+02:00", "+0200" or "-5", or nothing. */
static bool
read_offset(const char **p, ThCsvTime *out)
{
	int sign = **p == '-' ? -1 : 1;
	int hours;
	int minutes = 0;

	if (**p == 'Z' || **p == 'z')
	{
		(*p)++;
		out->has_offset = true;
		return true;
	}
	if (**p != '+' && **p != '-')
		return true;
	(*p)++;
	if (th_csv_time_read_number(p, 2, &hours) == 0)
		return false;
	if (**p == ':')
		(*p)++;
	if (is_digit(**p) && th_csv_time_read_number(p, 2, &minutes) != 2)
		return false;
	out->has_offset = true;
	out->offset_s = sign * (hours * 3600 + minutes * 60);
	return hours <= 14 && minutes < 60;
}

/* "am", "a.m." and so on make the hour what it is; false if they cannot. */
static bool
read_half(const char **p, ThCsvTime *out)
{
	char half = (char) (**p | 0x20);

	if (half != 'a' && half != 'p')
		return true;
	(*p)++;
	if (**p == '.')
		(*p)++;
	if ((**p | 0x20) != 'm')
		return false;
	(*p)++;
	if (**p == '.')
		(*p)++;
	if (out->hour < 1 || out->hour > 12)
		return false;
	out->hour = out->hour % 12 + (half == 'p' ? 12 : 0);
	return true;
}

/* "9", "9:30", "09:30:00.5", "093000", each with what may follow. */
static const char *
read_time(const char **p, ThCsvTime *out)
{
	static const char *const wrong = "not a time";
	int number;
	int n = th_csv_time_read_number(p, 6, &number);

	if (n == 0 || n == 3 || n == 5)
		return wrong;
	out->hour = n == 6 ? number / 10000 : n == 4 ? number / 100 : number;
	out->minute = n == 6 ? number / 100 % 100 : n == 4 ? number % 100 : 0;
	out->second = n == 6 ? number % 100 : 0;
	if (n <= 2 && **p == ':')
	{
		(*p)++;
		if (th_csv_time_read_number(p, 2, &out->minute) != 2)
			return wrong;
		if (**p == ':')
		{
			(*p)++;
			if (th_csv_time_read_number(p, 2, &out->second) != 2)
				return wrong;
		}
	}
	if (**p == '.' && is_digit((*p)[1]))
	{
		(*p)++;
		while (is_digit(**p))
			(*p)++;
	}
	skip_blanks(p);
	if (!read_half(p, out))
		return wrong;
	skip_blanks(p);
	out->has_time = true;
	if (!read_offset(p, out) || out->hour > 23 || out->minute > 59 ||
		out->second > 59)
		return wrong;
	return NULL;
}

const char *
th_csv_time_read(const ThCsvOrder *order, const char *date, const char *time,
				 ThCsvTime *out)
{
	const char *reason = read_date(order, &date, out);

	if (reason != NULL)
		return reason;
	if (*date == 'T' || *date == 't' || *date == ',')
		date++;
	skip_blanks(&date);
	if (*date != '\0')
		time = date;
	if (*time == '\0')
		return NULL;
	reason = read_time(&time, out);
	if (reason == NULL && *time != '\0')
		return "not a time";
	return reason;
}

bool
th_csv_time_is_date(const char *p)
{
	int numbers[3];
	bool is_year_first;
	char separator;

	return read_three(&p, numbers, &is_year_first, &separator);
}

const char *
th_csv_time_read_clock(const char *text, ThCsvTime *out)
{
	const char *reason = read_time(&text, out);

	return reason == NULL && *text != '\0' ? "not a time" : reason;
}

void
th_csv_time_learn(ThCsvOrder *order, const char *text)
{
	int numbers[3];
	bool is_year_first;
	char separator;

	if (!read_three(&text, numbers, &is_year_first, &separator) ||
		is_year_first || separator == '.')
		return;
	if (numbers[0] > 12 && numbers[1] <= 12)
		order->is_day_first_seen = true;
	else if (numbers[1] > 12 && numbers[0] <= 12)
		order->is_month_first_seen = true;
}

int
th_csv_time_compare(const ThCsvTime *a, const ThCsvTime *b)
{
	int differences[] = { a->year - b->year,     a->month - b->month,
						  a->day - b->day,       a->hour - b->hour,
						  a->minute - b->minute, a->second - b->second };

	for (size_t i = 0; i < lengthof(differences); i++)
		if (differences[i] != 0)
			return differences[i];
	return 0;
}
