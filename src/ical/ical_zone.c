/*
 * ical_zone.c
 *	  Time zones as lists of transitions, and those of VTIMEZONEs.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_zone.h"

/* Of one VTIMEZONE; two a year for a thousand years. */
#define MAX_TRANSITIONS 2000

/* What one VTIMEZONE may cost. */
#define MAX_STEPS 500000

/* 1970-01-01: rules that are older, as Outlook's of 1601, begin here. */
#define FIRST_WALL 0

/* What is read of a STANDARD or DAYLIGHT. */
typedef struct Observance
{
	bool has_start;
	bool has_from;
	bool has_to;
	int64 start;
	int before;
	int after;
} Observance;

/* The zone while it is read. */
typedef struct Reading
{
	ThIcalTransition *transitions;
	int count;
	int size;
	int before;
	int after;
	int64 to;
	ThIcalBudget *budget;
	bool is_valid;
} Reading;

int64
th_ical_zone_instant(const ThIcalZone *zone, int64 wall)
{
	int low = 0;
	int high = zone->count;

	/*
	 * Transitions after which clocks show it: those of which it is later
	 * than both what they showed and what they show then. That makes the
	 * first of two, and the old offset in a gap.
	 */
	while (low < high)
	{
		int middle = (low + high) / 2;
		const ThIcalTransition *t = &zone->transitions[middle];

		if (wall >= t->at + Max(t->before, t->after))
			low = middle + 1;
		else
			high = middle;
	}
	return wall - (low == 0 ? zone->offset : zone->transitions[low - 1].after);
}

int64
th_ical_zone_wall(const ThIcalZone *zone, int64 instant)
{
	int low = 0;
	int high = zone->count;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (instant >= zone->transitions[middle].at)
			low = middle + 1;
		else
			high = middle;
	}
	return instant +
		   (low == 0 ? zone->offset : zone->transitions[low - 1].after);
}

static int
compare_transitions(const void *a, const void *b)
{
	const ThIcalTransition *left = a;
	const ThIcalTransition *right = b;

	return left->at < right->at ? -1 : left->at > right->at;
}

/* Takes the wall time, of the offset before it, of a transition. */
static bool
add_transition(void *context, int64 wall)
{
	Reading *reading = context;
	ThIcalTransition *t;

	if (reading->count == MAX_TRANSITIONS)
		return false;
	if (reading->count == reading->size)
	{
		reading->size *= 2;
		reading->transitions = repalloc(reading->transitions,
										reading->size *
											sizeof(ThIcalTransition));
	}
	t = &reading->transitions[reading->count++];
	t->at = wall - reading->before;
	t->before = reading->before;
	t->after = reading->after;
	return true;
}

static void
add_rule(Reading *reading, const Observance *observance, const char *value)
{
	ThIcalRule rule;
	ThIcalRun run = { 0 };

	if (!th_ical_rule_read(value, &rule))
	{
		reading->is_valid = false;
		return;
	}
	run.rule = &rule;
	run.start = observance->start;
	run.from = Max(observance->start, FIRST_WALL);
	run.to = reading->to;
	run.until = PG_INT64_MAX;
	if (rule.has_until)
	{
		run.until = rule.until.wall;
		if (rule.until.form == TH_ICAL_UTC)
			run.until += observance->before;
		else if (rule.until.form == TH_ICAL_DATE)
			run.until += 86399;
	}
	run.take = add_transition;
	run.context = reading;
	if (th_ical_rule_run(&run, reading->budget) == TH_ICAL_RULE_CUT)
		reading->is_valid = false;
}

/* A list of times. */
static void
add_dates(Reading *reading, const char *value)
{
	while (*value != '\0')
	{
		size_t length = strcspn(value, ",/");
		ThIcalTime time;

		if (!th_ical_time_read(value, value + length, &time))
			reading->is_valid = false;
		else
			(void) add_transition(reading, time.form == TH_ICAL_UTC
											   ? time.wall + reading->before
											   : time.wall);
		value += strcspn(value, ",");
		if (*value == ',')
			value++;
		if (!th_ical_spend(reading->budget))
			return;
	}
}

static void
read_field(Observance *observance, const ThIcalProperty *property)
{
	ThIcalTime time;

	if (th_ical_property_is(property, "TZOFFSETFROM"))
		observance->has_from = th_ical_offset_read(property->value,
												   &observance->before);
	else if (th_ical_property_is(property, "TZOFFSETTO"))
		observance->has_to = th_ical_offset_read(property->value,
												 &observance->after);
	else if (th_ical_property_is(property, "DTSTART") &&
			 th_ical_time_read(property->value,
							   property->value + strlen(property->value),
							   &time))
	{
		observance->has_start = true;
		observance->start = time.wall;
	}
}

/* The lines of a STANDARD or DAYLIGHT, to its END. */
static void
read_observance(Reading *reading, const char *begin, const char *end)
{
	Observance observance = { 0 };
	ThIcalProperty property;
	const char *line;

	for (line = begin; line < end; line += strlen(line) + 1)
		if (th_ical_property_read(line, &property))
			read_field(&observance, &property);
	if (!observance.has_start || !observance.has_from || !observance.has_to)
	{
		reading->is_valid = false;
		return;
	}
	reading->before = observance.before;
	reading->after = observance.after;
	(void) add_transition(reading, observance.start);
	for (line = begin; line < end; line += strlen(line) + 1)
	{
		if (!th_ical_property_read(line, &property))
			continue;
		if (th_ical_property_is(&property, "RRULE"))
			add_rule(reading, &observance, property.value);
		else if (th_ical_property_is(&property, "RDATE"))
			add_dates(reading, property.value);
	}
}

ThIcalZone *
th_ical_zone_read(const char *begin, const char *end, int64 to,
				  ThIcalBudget *budget)
{
	Reading reading = { 0 };
	ThIcalZone *zone;
	const char *inside = NULL;
	const char *line;

	reading.size = 16;
	reading.transitions = palloc(reading.size * sizeof(ThIcalTransition));
	reading.to = to;
	reading.budget = budget;
	reading.is_valid = true;
	budget->event = MAX_STEPS;
	for (line = begin; line < end; line += strlen(line) + 1)
	{
		ThIcalProperty property;

		if (!th_ical_property_read(line, &property))
			continue;
		if (th_ical_property_is(&property, "BEGIN"))
			inside = line + strlen(line) + 1;
		else if (th_ical_property_is(&property, "END") && inside != NULL)
		{
			read_observance(&reading, inside, line);
			inside = NULL;
		}
	}
	if (!reading.is_valid || reading.count == 0)
	{
		pfree(reading.transitions);
		return NULL;
	}
	qsort(reading.transitions, reading.count, sizeof(ThIcalTransition),
		  compare_transitions);
	zone = palloc(sizeof(*zone));
	zone->offset = reading.transitions[0].before;
	zone->count = reading.count;
	zone->transitions = reading.transitions;
	return zone;
}
