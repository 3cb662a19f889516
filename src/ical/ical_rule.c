/*
 * ical_rule.c
 *	  Reading recurrence rules.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_rule.h"

/* The longest value of one part that is looked at: 366 signed numbers. */
#define PART_SIZE 2048

/* More than any rule needs, and no product of it overflows. */
#define MAX_INTERVAL 1000000
#define MAX_COUNT 1000000000

bool
th_ical_spend(ThIcalBudget *budget)
{
	if (--budget->until_pause <= 0)
	{
		budget->until_pause = 4096;
		budget->pause(budget->context);
	}
	budget->event--;
	budget->file--;
	return budget->event >= 0 && budget->file >= 0;
}

/* A whole number with an optional sign; false if there is none. */
static bool
read_number(const char **p, int64 most, int64 *number)
{
	bool is_negative = **p == '-';
	const char *start;

	if (**p == '-' || **p == '+')
		(*p)++;
	start = *p;
	*number = 0;
	while (**p >= '0' && **p <= '9')
	{
		*number = *number * 10 + (**p - '0');
		if (*number > most)
			return false;
		(*p)++;
	}
	if (*p == start)
		return false;
	if (is_negative)
		*number = -*number;
	return true;
}

static void
set_number(ThIcalNumbers *numbers, int64 number)
{
	uint64 *bits = number < 0 ? numbers->back : numbers->front;
	int64 index = number < 0 ? -number : number;

	numbers->is_given = true;
	bits[index / 64] |= UINT64CONST(1) << (index % 64);
}

/* A list of numbers from "least" to "most", or, if "both", from the back. */
static bool
read_numbers(const char *p, int least, int most, bool both,
			 ThIcalNumbers *numbers)
{
	for (;;)
	{
		int64 number;

		if (!read_number(&p, most, &number))
			return false;
		if (number < 0 ? !both || -number < least : number < least)
			return false;
		set_number(numbers, number);
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

/* The two letters of a weekday; -1 if they are none. */
static int
read_weekday(const char *p)
{
	static const char *const names[] = { "MO", "TU", "WE", "TH",
										 "FR", "SA", "SU" };
	int i;

	for (i = 0; i < 7; i++)
		if (p[0] == names[i][0] && p[1] == names[i][1])
			return i;
	return -1;
}

static bool
read_weekdays(const char *p, ThIcalRule *rule)
{
	for (;;)
	{
		int64 number = 0;
		int weekday;

		if (*p == '-' || *p == '+' || (*p >= '0' && *p <= '9'))
		{
			if (!read_number(&p, 53, &number) || number == 0)
				return false;
		}
		weekday = read_weekday(p);
		if (weekday < 0)
			return false;
		p += 2;
		rule->has_weekdays = true;
		if (number != 0)
		{
			rule->has_numbered = true;
			set_number(&rule->nth[weekday], number);
		}
		else
			rule->weekdays |= (uint8) (1 << weekday);
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

static ThIcalFrequency
read_frequency(const char *p)
{
	static const char *const names[] = { "SECONDLY", "MINUTELY", "HOURLY",
										 "DAILY",    "WEEKLY",   "MONTHLY",
										 "YEARLY" };
	int i;

	for (i = 0; i < (int) lengthof(names); i++)
		if (strcmp(p, names[i]) == 0)
			return (ThIcalFrequency) (TH_ICAL_SECONDLY + i);
	return TH_ICAL_NEVER;
}

/* A positive number up to "most", without a sign. */
static bool
read_positive(const char *p, int64 most, int64 *number)
{
	return *p != '+' && read_number(&p, most, number) && *p == '\0' &&
		   *number > 0;
}

/* A BY part; false if it is not valid. */
static bool
read_by(const char *name, const char *value, ThIcalRule *rule)
{
	rule->is_plain = false;
	if (strcmp(name, "BYSECOND") == 0)
		return read_numbers(value, 0, 60, false, &rule->seconds);
	if (strcmp(name, "BYMINUTE") == 0)
		return read_numbers(value, 0, 59, false, &rule->minutes);
	if (strcmp(name, "BYHOUR") == 0)
		return read_numbers(value, 0, 23, false, &rule->hours);
	if (strcmp(name, "BYDAY") == 0)
		return read_weekdays(value, rule);
	if (strcmp(name, "BYMONTHDAY") == 0)
		return read_numbers(value, 1, 31, true, &rule->month_days);
	if (strcmp(name, "BYYEARDAY") == 0)
		return read_numbers(value, 1, 366, true, &rule->year_days);
	if (strcmp(name, "BYWEEKNO") == 0)
		return read_numbers(value, 1, 53, true, &rule->weeks);
	if (strcmp(name, "BYMONTH") == 0)
		return read_numbers(value, 1, 12, false, &rule->months);
	if (strcmp(name, "BYSETPOS") == 0)
		return read_numbers(value, 1, 366, true, &rule->positions);
	return false;
}

static bool
read_part(const char *name, const char *value, ThIcalRule *rule)
{
	if (strcmp(name, "FREQ") == 0)
	{
		rule->frequency = read_frequency(value);
		return rule->frequency != TH_ICAL_NEVER;
	}
	if (strcmp(name, "INTERVAL") == 0)
		return read_positive(value, MAX_INTERVAL, &rule->interval);
	if (strcmp(name, "COUNT") == 0)
		return read_positive(value, MAX_COUNT, &rule->count);
	if (strcmp(name, "UNTIL") == 0)
	{
		rule->has_until = true;
		return th_ical_time_read(value, value + strlen(value), &rule->until);
	}
	if (strcmp(name, "WKST") == 0)
	{
		rule->week_start = read_weekday(value);
		return rule->week_start >= 0 && value[2] == '\0';
	}
	if (strcmp(name, "RSCALE") == 0)
		return strcmp(value, "GREGORIAN") == 0;
	if (strcmp(name, "SKIP") == 0)
		return strcmp(value, "OMIT") == 0;
	if (strncmp(name, "BY", 2) == 0)
		return read_by(name, value, rule);
	return strncmp(name, "X-", 2) == 0;
}

bool
th_ical_rule_read(const char *value, ThIcalRule *rule)
{
	memset(rule, 0, sizeof(*rule));
	rule->interval = 1;
	rule->is_plain = true;
	while (*value != '\0')
	{
		char part[PART_SIZE];
		char *equals;
		size_t length = 0;

		/* One part in upper case, without blanks. */
		for (; *value != '\0' && *value != ';'; value++)
		{
			if (*value == ' ' || *value == '\t')
				continue;
			if (length == sizeof(part) - 1)
				return false;
			part[length++] = *value >= 'a' && *value <= 'z'
								 ? (char) (*value - 'a' + 'A')
								 : *value;
		}
		part[length] = '\0';
		if (*value == ';')
			value++;
		if (length == 0)
			continue;
		equals = strchr(part, '=');
		if (equals == NULL)
			return false;
		*equals = '\0';
		if (!read_part(part, equals + 1, rule))
			return false;
	}
	/* Numbers of weekdays are those of a month or of a year without weeks. */
	if (rule->has_numbered &&
		(rule->frequency < TH_ICAL_MONTHLY ||
		 (rule->weeks.is_given && rule->frequency == TH_ICAL_YEARLY)))
		return false;
	return rule->frequency != TH_ICAL_NEVER;
}
