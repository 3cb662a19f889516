/*
 * ical_rule_run.c
 *	  Running recurrence rules.
 *
 * A period (a year, a month .. a second) is a range of days or one time. Its
 * days are tested against all BY parts at once, so expanding and limiting
 * parts need no case of their own; each matching day has the same times.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_rule.h"

#define DAY 86400

/* 9999-12-31 */
#define LAST_DAY 2932896

/* A date and what BY parts ask of it. */
typedef struct Day
{
	int64 number; /* since 1970-01-01 */
	int year;
	int month;
	int month_day;
	int month_length;
	int year_day;
	int year_length;
	int weekday; /* 0 is Monday */
} Day;

/* What a run keeps. */
typedef struct Runner
{
	const ThIcalRun *run;
	ThIcalBudget *budget;
	ThIcalRule rule; /* with what DTSTART adds */
	int64 left;      /* of COUNT */
	bool is_over;
	bool is_cut;
	int n_hours;
	int n_minutes;
	int n_seconds;
	uint8 hours[24];
	uint8 minutes[60];
	uint8 seconds[60];
} Runner;

static int64
floor_div(int64 a, int64 b)
{
	int64 q = a / b;

	return a % b < 0 ? q - 1 : q;
}

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int
length_of_month(int year, int month)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30,
								   31, 31, 30, 31, 30, 31 };

	return month == 2 && is_leap(year) ? 29 : lengths[month - 1];
}

static int
weekday_of(int64 number)
{
	/* 1970-01-01 was a Thursday. */
	return (int) (number + 3 - floor_div(number + 3, 7) * 7);
}

static void
day_set(Day *day, int64 number)
{
	int64 z = number + 719468;
	int64 era = floor_div(z, 146097);
	int64 of_era = z - era * 146097;
	int64 year_of_era =
		(of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64 of_year = of_era -
					(365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64 m = (5 * of_year + 2) / 153;

	day->number = number;
	day->month_day = (int) (of_year - (153 * m + 2) / 5 + 1);
	day->month = (int) (m < 10 ? m + 3 : m - 9);
	day->year = (int) (year_of_era + era * 400 + (day->month <= 2));
	day->month_length = length_of_month(day->year, day->month);
	day->year_day = (int) (number - th_ical_days(day->year, 1, 1) + 1);
	day->year_length = is_leap(day->year) ? 366 : 365;
	day->weekday = weekday_of(number);
}

static void
day_next(Day *day)
{
	day->number++;
	day->weekday = day->weekday == 6 ? 0 : day->weekday + 1;
	day->year_day++;
	if (++day->month_day <= day->month_length)
		return;
	day->month_day = 1;
	if (++day->month > 12)
	{
		day->month = 1;
		day->year++;
		day->year_day = 1;
		day->year_length = is_leap(day->year) ? 366 : 365;
	}
	day->month_length = length_of_month(day->year, day->month);
}

static bool
has(const ThIcalNumbers *numbers, int front, int back)
{
	return (numbers->front[front / 64] >> (front % 64) & 1) != 0 ||
		   (numbers->back[back / 64] >> (back % 64) & 1) != 0;
}

/* The first day of week 1 of a year: the week with at least four of its days. */
static int64
first_week(int year, int week_start)
{
	int64 january = th_ical_days(year, 1, 4);

	return january - (weekday_of(january) - week_start + 7) % 7;
}

static bool
week_matches(const ThIcalRule *rule, const Day *day)
{
	int year = day->year;
	int64 first = first_week(year, rule->week_start);
	int64 next;
	int week;

	if (day->number < first)
		first = first_week(--year, rule->week_start);
	next = first_week(year + 1, rule->week_start);
	if (day->number >= next)
	{
		first = next;
		next = first_week(year + 2, rule->week_start);
	}
	week = (int) ((day->number - first) / 7) + 1;
	return has(&rule->weeks, week, (int) ((next - first) / 7) + 1 - week);
}

static bool
weekday_matches(const ThIcalRule *rule, const Day *day)
{
	const ThIcalNumbers *nth = &rule->nth[day->weekday];
	int at = day->month_day;
	int length = day->month_length;

	if ((rule->weekdays >> day->weekday & 1) != 0)
		return true;
	if (!nth->is_given)
		return false;
	if (rule->frequency == TH_ICAL_YEARLY && !rule->months.is_given)
	{
		at = day->year_day;
		length = day->year_length;
	}
	return has(nth, (at - 1) / 7 + 1, (length - at) / 7 + 1);
}

static bool
day_matches(const ThIcalRule *rule, const Day *day)
{
	if (rule->months.is_given && !has(&rule->months, day->month, 0))
		return false;
	if (rule->month_days.is_given &&
		!has(&rule->month_days, day->month_day,
			 day->month_length + 1 - day->month_day))
		return false;
	if (rule->year_days.is_given && !has(&rule->year_days, day->year_day,
										 day->year_length + 1 - day->year_day))
		return false;
	if (rule->has_weekdays && !weekday_matches(rule, day))
		return false;
	return !rule->weeks.is_given || week_matches(rule, day);
}

/* Takes a time that the rule gives. */
static void
give(Runner *runner, int64 wall)
{
	const ThIcalRun *run = runner->run;

	if (wall < run->start)
		return;
	if (wall > run->until || wall > run->to || !th_ical_spend(runner->budget))
	{
		runner->is_over = true;
		runner->is_cut = wall <= run->until && wall <= run->to;
		return;
	}
	if (wall >= run->from && !run->take(run->context, wall))
	{
		runner->is_over = true;
		runner->is_cut = true;
		return;
	}
	if (runner->left > 0 && --runner->left == 0)
		runner->is_over = true;
}

/* The times of one day; "position" and "total" count those of the period. */
static void
give_times(Runner *runner, int64 start, int64 *position, int64 total)
{
	int h;
	int m;
	int s;

	for (h = 0; h < runner->n_hours; h++)
		for (m = 0; m < runner->n_minutes; m++)
			for (s = 0; s < runner->n_seconds; s++)
			{
				if (runner->is_over)
					return;
				if (runner->rule.positions.is_given)
				{
					int64 front = ++*position;
					int64 back = total + 1 - front;

					if (!th_ical_spend(runner->budget))
					{
						runner->is_over = true;
						runner->is_cut = true;
						return;
					}
					if (!has(&runner->rule.positions,
							 front > TH_ICAL_MAX_NUMBER ? 0 : (int) front,
							 back > TH_ICAL_MAX_NUMBER ? 0 : (int) back))
						continue;
				}
				give(runner, start + runner->hours[h] * 3600 +
								 runner->minutes[m] * 60 + runner->seconds[s]);
			}
}

/* Spends a step, or ends the run. */
static bool
spend(Runner *runner)
{
	if (th_ical_spend(runner->budget))
		return true;
	runner->is_over = true;
	runner->is_cut = true;
	return false;
}

/* A period of days, "first" to "last"; those before the start count too. */
static void
give_days(Runner *runner, int64 first, int64 last)
{
	const ThIcalRule *rule = &runner->rule;
	uint64 matches[TH_ICAL_MAX_NUMBER / 64 + 1] = { 0 };
	int64 total = 0;
	int64 position = 0;
	int64 offset;
	Day day;

	for (day_set(&day, first); day.number <= last;)
	{
		if (!spend(runner))
			return;
		/* A month that does not match is one step. */
		if (rule->months.is_given && !has(&rule->months, day.month, 0))
		{
			day_set(&day, day.number + day.month_length + 1 - day.month_day);
			continue;
		}
		if (day_matches(rule, &day))
		{
			offset = day.number - first;
			matches[offset / 64] |= UINT64CONST(1) << (offset % 64);
			total++;
		}
		day_next(&day);
	}
	total *= (int64) runner->n_hours * runner->n_minutes * runner->n_seconds;
	for (offset = 0; total > 0 && offset <= last - first; offset++)
	{
		if ((matches[offset / 64] >> (offset % 64) & 1) == 0)
			continue;
		if (runner->is_over)
			return;
		give_times(runner, (first + offset) * DAY, &position, total);
	}
}

/* The numbers of a part, or the one that DTSTART has, or 0 in a period. */
static int
list_times(uint8 *list, const ThIcalNumbers *numbers, int most, int64 otherwise)
{
	int n = 0;
	int i;

	if (numbers == NULL || !numbers->is_given)
	{
		list[0] = (uint8) otherwise;
		return 1;
	}
	for (i = 0; i <= most; i++)
		if (has(numbers, i, 0))
			list[n++] = (uint8) i;
	return n;
}

/* Which times a period's days have, or a period that is shorter has. */
static void
set_times(Runner *runner)
{
	const ThIcalRule *rule = &runner->rule;
	int64 second = runner->run->start -
				   floor_div(runner->run->start, DAY) * DAY;
	ThIcalFrequency frequency = rule->frequency;
	bool is_date = runner->run->is_date;

	runner->n_hours =
		list_times(runner->hours,
				   frequency > TH_ICAL_HOURLY && !is_date ? &rule->hours : NULL,
				   23, frequency > TH_ICAL_HOURLY ? second / 3600 : 0);
	runner->n_minutes =
		list_times(runner->minutes,
				   frequency > TH_ICAL_MINUTELY && !is_date ? &rule->minutes
															: NULL,
				   59, frequency > TH_ICAL_MINUTELY ? second / 60 % 60 : 0);
	/* There are no leap seconds: 60 matches nothing. */
	runner->n_seconds =
		list_times(runner->seconds,
				   frequency > TH_ICAL_SECONDLY && !is_date ? &rule->seconds
															: NULL,
				   59, frequency > TH_ICAL_SECONDLY ? second % 60 : 0);
}

static void
set_one(ThIcalNumbers *numbers, int number)
{
	numbers->is_given = true;
	numbers->front[number / 64] |= UINT64CONST(1) << (number % 64);
}

/* What a rule leaves open, DTSTART says. */
static void
set_days(Runner *runner)
{
	ThIcalRule *rule = &runner->rule;
	bool names_days = rule->month_days.is_given || rule->year_days.is_given ||
					  rule->has_weekdays;
	Day start;

	day_set(&start, floor_div(runner->run->start, DAY));
	if (names_days || rule->frequency < TH_ICAL_WEEKLY)
		return;
	if (rule->frequency == TH_ICAL_WEEKLY || rule->weeks.is_given)
	{
		rule->has_weekdays = true;
		rule->weekdays = (uint8) (1 << start.weekday);
		return;
	}
	set_one(&rule->month_days, start.month_day);
	if (rule->frequency == TH_ICAL_YEARLY && !rule->months.is_given)
		set_one(&rule->months, start.month);
}

/*
 * Periods that need not be looked at, "length" long each: all before "from",
 * unless they have to be counted one by one.
 */
static int64
skip_periods(Runner *runner, int64 origin, int64 length)
{
	int64 skipped = floor_div(runner->run->from - origin, length) - 1;

	if (skipped <= 0)
		return 0;
	if (runner->left == 0)
		return skipped;
	if (!runner->rule.is_plain || runner->rule.frequency > TH_ICAL_WEEKLY)
		return 0;
	/* One time a period. */
	if (skipped >= runner->left)
		runner->is_over = true;
	runner->left -= skipped;
	return skipped;
}

static void
run_days(Runner *runner)
{
	const ThIcalRule *rule = &runner->rule;
	int64 limit = Min(runner->run->to, runner->run->until);
	Day start;
	Day from;
	int64 k = 0;
	int64 unit = rule->frequency == TH_ICAL_WEEKLY ? 7 : 1;
	int64 origin;

	limit = Min(floor_div(limit, DAY), LAST_DAY);
	day_set(&start, floor_div(runner->run->start, DAY));
	day_set(&from, Min(floor_div(runner->run->from, DAY), LAST_DAY));
	origin = start.number;
	if (rule->frequency == TH_ICAL_WEEKLY)
		origin -= (start.weekday - rule->week_start + 7) % 7;
	if (rule->frequency <= TH_ICAL_WEEKLY)
		k = skip_periods(runner, origin * DAY, unit * rule->interval * DAY);
	else if (runner->left == 0)
	{
		k = from.year - start.year - 1;
		if (rule->frequency == TH_ICAL_MONTHLY)
			k *= 12;
		k = Max(k / rule->interval, 0);
	}
	for (; !runner->is_over; k++)
	{
		int64 step = k * rule->interval;
		int64 first = origin + step * unit;
		int64 last = first + unit - 1;

		if (rule->frequency == TH_ICAL_YEARLY)
		{
			if (start.year + step > 9999)
				return;
			first = th_ical_days((int) (start.year + step), 1, 1);
			last = th_ical_days((int) (start.year + step), 12, 31);
		}
		else if (rule->frequency == TH_ICAL_MONTHLY)
		{
			int64 month = start.year * INT64CONST(12) + start.month - 1 + step;
			int year = (int) (month / 12);

			if (year > 9999)
				return;
			first = th_ical_days(year, (int) (month % 12) + 1, 1);
			last = first + length_of_month(year, (int) (month % 12) + 1) - 1;
		}
		if (first > limit)
			return;
		give_days(runner, first, last);
	}
}

/* The first time after "wall" that the parts do not rule out at once. */
static int64
next_possible(const ThIcalRule *rule, Day *day, bool *matches, int64 wall)
{
	int64 number = floor_div(wall, DAY);
	int64 second = wall - number * DAY;

	if (day->number != number)
	{
		day_set(day, number);
		*matches = day_matches(rule, day);
	}
	if (!*matches)
		return (number + 1) * DAY;
	if (rule->hours.is_given && !has(&rule->hours, (int) (second / 3600), 0))
		return wall - second % 3600 + 3600;
	if (rule->frequency < TH_ICAL_HOURLY && rule->minutes.is_given &&
		!has(&rule->minutes, (int) (second / 60 % 60), 0))
		return wall - second % 60 + 60;
	if (rule->frequency < TH_ICAL_MINUTELY && rule->seconds.is_given &&
		!has(&rule->seconds, (int) (second % 60), 0))
		return wall + 1;
	return wall;
}

/* Periods shorter than a day. */
static void
run_times(Runner *runner)
{
	const ThIcalRule *rule = &runner->rule;
	int64 length = rule->frequency == TH_ICAL_HOURLY     ? 3600
				   : rule->frequency == TH_ICAL_MINUTELY ? 60
														 : 1;
	int64 limit = Min(runner->run->to, runner->run->until);
	int64 origin = floor_div(runner->run->start, length) * length;
	int64 step = length * rule->interval;
	int64 total = (int64) runner->n_hours * runner->n_minutes *
				  runner->n_seconds;
	int64 k = skip_periods(runner, origin, step);
	bool matches = false;
	Day day = { .number = PG_INT64_MIN };

	limit = Min(limit, (int64) (LAST_DAY + 1) * DAY - 1);
	while (!runner->is_over && origin + k * step <= limit && spend(runner))
	{
		int64 wall = origin + k * step;
		int64 next = next_possible(rule, &day, &matches, wall);
		int64 position = 0;

		if (next == wall)
		{
			give_times(runner, wall, &position, total);
			k++;
		}
		else
			k += (next - wall + step - 1) / step;
	}
}

ThIcalRuleEnd
th_ical_rule_run(const ThIcalRun *run, ThIcalBudget *budget)
{
	Runner runner;

	memset(&runner, 0, sizeof(runner));
	runner.run = run;
	runner.budget = budget;
	runner.rule = *run->rule;
	runner.left = run->rule->count;
	set_days(&runner);
	set_times(&runner);
	if (runner.rule.frequency < TH_ICAL_DAILY)
		run_times(&runner);
	else
		run_days(&runner);
	return runner.is_cut ? TH_ICAL_RULE_CUT : TH_ICAL_RULE_DONE;
}
