/*
 * ical_days.c
 *	  The days that a recurrence rule (RRULE of RFC 5545) names.
 *
 * The reader's rules, run over dates: no more than two steps a day.
 */
#include "postgres.h"

#include <string.h>

#include "datatype/timestamp.h"
#include "miscadmin.h"

#include "ical/ical_days.h"
#include "ical/ical_rule.h"

#define DAY INT64CONST(86400)

/* Each part once, in capitals and without blanks. */
static bool
is_well_written(const char *text)
{
	static const char *const parts[] = {
		"FREQ",       "INTERVAL",  "COUNT",    "UNTIL",   "WKST",     "BYDAY",
		"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS",
	};
	bool is_seen[lengthof(parts)] = { false };
	size_t length = strlen(text);

	if (length > TH_ICAL_DAYS_MAX_LENGTH ||
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=;,+-") != length)
		return false;
	for (;;)
	{
		size_t end = strcspn(text, ";");
		size_t name = strcspn(text, "=;");
		size_t i = 0;

		while (i < lengthof(parts) &&
			   (strlen(parts[i]) != name || strncmp(parts[i], text, name) != 0))
			i++;
		if (i == lengthof(parts) || is_seen[i])
			return false;
		is_seen[i] = true;
		if (text[end] == '\0')
			return true;
		text += end + 1;
	}
}

/* The parts that RFC 5545 allows with a frequency, and together. */
static bool
parts_agree(const ThIcalRule *rule)
{
	bool is_yearly = rule->frequency == TH_ICAL_YEARLY;

	if (rule->frequency < TH_ICAL_DAILY || (rule->weeks.is_given && !is_yearly))
		return false;
	if (rule->year_days.is_given && !is_yearly)
		return false;
	if (rule->month_days.is_given && rule->frequency == TH_ICAL_WEEKLY)
		return false;
	if (rule->positions.is_given && !rule->months.is_given &&
		!rule->month_days.is_given && !rule->year_days.is_given &&
		!rule->weeks.is_given && !rule->has_weekdays)
		return false;
	return rule->count == 0 || !rule->has_until;
}

static bool
read_rule(const char *text, ThIcalRule *rule)
{
	return is_well_written(text) && th_ical_rule_read(text, rule) &&
		   parts_agree(rule);
}

bool
th_ical_days_is_rule(const char *text)
{
	ThIcalRule rule;

	return read_rule(text, &rule);
}

typedef struct Taken
{
	int *out;
	int count;
	int most;
} Taken;

static bool
take(void *context, int64 wall)
{
	Taken *taken = context;

	taken->out[taken->count++] = (int) (wall / DAY) + UNIX_EPOCH_JDATE;
	return taken->count < taken->most;
}

static void
check_interrupts(void *context pg_attribute_unused())
{
	CHECK_FOR_INTERRUPTS();
}

static int64
wall_of(int day)
{
	return (day - UNIX_EPOCH_JDATE) * DAY;
}

int
th_ical_days_of_rule(const char *text, int first, int from, int to, int most,
					 int *out, ThIcalUntil *until)
{
	Taken taken = { out, 0, most };
	ThIcalBudget budget = { .file = PG_INT64_MAX,
							.event = PG_INT64_MAX,
							.pause = check_interrupts };
	ThIcalRule rule;
	ThIcalRun run = { .rule = &rule,
					  .start = wall_of(first),
					  .is_date = true,
					  .until = PG_INT64_MAX,
					  .from = wall_of(from),
					  .to = wall_of(to),
					  .take = take,
					  .context = &taken };

	memset(until, 0, sizeof(*until));
	if (!read_rule(text, &rule) || most < 1)
		return 0;
	until->is_given = rule.has_until;
	until->time = rule.until;
	(void) th_ical_rule_run(&run, &budget);
	return taken.count;
}
