/*
 * ical_series.c
 *	  The occurrences of the components of one UID.
 */
#include "postgres.h"

#include <string.h>

#include "ical/ical_reader.h"

#define DAY 86400

/* A recurrence that is replaced or left out: a moment, or a whole day. */
typedef struct Key
{
	bool is_day;
	int64 at; /* the moment; of a day, its midnight as clocks show it */
	int sequence;
	int index; /* of the override */
} Key;

typedef struct Keys
{
	Key *keys;
	int count;
	int size;
} Keys;

/* A start that the rules and dates of an event give. */
typedef struct Instance
{
	int64 at;
	int64 wall;
	bool has_length; /* from an RDATE that is a period */
	ThIcalLength length;
} Instance;

typedef struct Instances
{
	const ThIcalEntry *master;
	int64 from; /* those before cannot touch the window */
	Instance *list;
	int count;
	int size;
} Instances;

/* An override of this and future occurrences. */
typedef struct Range
{
	const ThIcalEntry *entry;
} Range;

/* The components of one UID. */
typedef struct Series
{
	ThIcalReader *reader;
	ThIcalEntry *overrides;
	int n_overrides;
	Keys replaced;
	Range *ranges; /* by their RECURRENCE-ID */
	int n_ranges;
	int64 shift; /* the farthest that a range moves an occurrence */
} Series;

static int
compare_keys(const void *a, const void *b)
{
	const Key *left = a;
	const Key *right = b;

	if (left->is_day != right->is_day)
		return left->is_day ? 1 : -1;
	if (left->at != right->at)
		return left->at < right->at ? -1 : 1;
	if (left->sequence != right->sequence)
		return left->sequence < right->sequence ? -1 : 1;
	return left->index - right->index;
}

static void
keys_add(Keys *keys, bool is_day, int64 at, int sequence, int index)
{
	if (keys->count == keys->size)
	{
		keys->size = Max(keys->size * 2, 16);
		keys->keys = keys->keys == NULL
						 ? palloc(keys->size * sizeof(Key))
						 : repalloc(keys->keys, keys->size * sizeof(Key));
	}
	keys->keys[keys->count++] = (Key){
		.is_day = is_day, .at = at, .sequence = sequence, .index = index
	};
}

static void
keys_free(Keys *keys)
{
	if (keys->keys != NULL)
		pfree(keys->keys);
}

static bool
keys_have_one(const Keys *keys, bool is_day, int64 at)
{
	int low = 0;
	int high = keys->count;

	while (low < high)
	{
		int middle = (low + high) / 2;
		const Key *key = &keys->keys[middle];

		if (key->is_day == is_day && key->at == at)
			return true;
		if (key->is_day < is_day || (key->is_day == is_day && key->at < at))
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static int64
midnight(int64 wall)
{
	int64 second = wall % DAY;

	return wall - (second < 0 ? second + DAY : second);
}

static bool
keys_have(const Keys *keys, const Instance *instance)
{
	return keys->count > 0 &&
		   (keys_have_one(keys, false, instance->at) ||
			keys_have_one(keys, true, midnight(instance->wall)));
}

/* The list's next place, or NULL if it is full. */
static Instance *
put_instance(Instances *instances, int64 wall, int64 at)
{
	Instance *instance;

	if (instances->count > TH_ICAL_MAX_EVENT_OCCURRENCES)
		return NULL;
	if (instances->count == instances->size)
	{
		instances->size = Max(instances->size * 2, 16);
		instances->list = instances->list == NULL
							  ? palloc(instances->size * sizeof(Instance))
							  : repalloc(instances->list,
										 instances->size * sizeof(Instance));
	}
	instance = &instances->list[instances->count++];
	memset(instance, 0, sizeof(*instance));
	instance->wall = wall;
	instance->at = at;
	return instance;
}

/* Takes a time that a rule gives. */
static bool
add_instance(void *context, int64 wall)
{
	Instances *instances = context;
	int64 at = th_ical_zone_instant(instances->master->start.zone, wall);

	return at < instances->from || put_instance(instances, wall, at) != NULL;
}

static int
compare_instances(const void *a, const void *b)
{
	const Instance *left = a;
	const Instance *right = b;

	if (left->at != right->at)
		return left->at < right->at ? -1 : 1;
	/* Of two the one with a length of its own. */
	return (int) right->has_length - (int) left->has_length;
}

/* The last wall time a rule gives. */
static int64
until_wall(const ThIcalRule *rule, const ThIcalEntry *master)
{
	int64 until = rule->until.wall;

	if (!rule->has_until)
		return PG_INT64_MAX;
	if (rule->until.form == TH_ICAL_DATE)
		return until + DAY - 1;
	if (rule->until.form == TH_ICAL_UTC)
	{
		int64 wall = th_ical_zone_wall(master->start.zone, until);

		/* Not allowed with a date; writers mean this day or that. */
		return master->start.form == TH_ICAL_DATE ? Max(until, wall) : wall;
	}
	return until;
}

/* Runs a rule for what may touch the window; NULL, or what is wrong. */
static const char *
run_rule(Series *series, const ThIcalEntry *master, const char *value,
		 Instances *instances, bool *is_cut)
{
	ThIcalReader *reader = series->reader;
	ThIcalRule rule;
	ThIcalRun run = { 0 };

	if (!th_ical_rule_read(value, &rule))
		return "the recurrence rule is not valid";
	if (master->start.form == TH_ICAL_DATE && rule.frequency < TH_ICAL_DAILY)
		return "the recurrence rule is not one of dates";
	run.rule = &rule;
	run.start = master->start.wall;
	run.is_date = master->start.form == TH_ICAL_DATE;
	run.until = until_wall(&rule, master);
	/* Clocks and instants differ by less than a day. */
	run.from = instances->from - DAY;
	run.to = reader->to + series->shift + DAY;
	run.take = add_instance;
	run.context = instances;
	if (th_ical_rule_run(&run, &reader->budget) == TH_ICAL_RULE_CUT)
		*is_cut = true;
	return NULL;
}

/* An RDATE. */
static const char *
add_date(Series *series, const ThIcalEntry *master,
		 const ThIcalProperty *property, const char *value, const char *end,
		 Instances *instances, bool *is_cut)
{
	const ThIcalZone *zone = master->start.zone;
	ThIcalEntry period;
	ThIcalMoment *moment;
	Instance *instance;
	const char *problem;
	bool is_period = memchr(value, '/', end - value) != NULL;

	memset(&period, 0, sizeof(period));
	if (is_period)
		problem = th_ical_period_read(series->reader, property, value, end,
									  &period);
	else
		problem = th_ical_moment_read(series->reader, property, value, end,
									  &period.start);
	if (problem != NULL)
		return problem;
	moment = &period.start;
	if (moment->form != TH_ICAL_DATE)
		moment->wall = th_ical_zone_wall(zone, moment->at);
	/* A date stands for the time of day of the event, or the other way. */
	if (master->start.form == TH_ICAL_DATE)
		moment->wall = midnight(moment->wall);
	else if (moment->form == TH_ICAL_DATE)
		moment->wall += master->start.wall - midnight(master->start.wall);
	if (moment->form == TH_ICAL_DATE || master->start.form == TH_ICAL_DATE)
		moment->at = th_ical_zone_instant(zone, moment->wall);
	instance = put_instance(instances, moment->wall, moment->at);
	if (instance == NULL)
		*is_cut = true;
	else if (is_period && master->start.form != TH_ICAL_DATE)
	{
		instance->has_length = true;
		instance->length = period.length;
	}
	return NULL;
}

/* An EXDATE. */
static const char *
add_exception(Series *series, const ThIcalEntry *master,
			  const ThIcalProperty *property, const char *value,
			  const char *end, Keys *excluded)
{
	ThIcalMoment moment;
	const char *problem = th_ical_moment_read(series->reader, property, value,
											  end, &moment);
	bool is_day;

	if (problem != NULL)
		return problem;
	is_day = moment.form == TH_ICAL_DATE;
	/* Some write the days of all-day events as midnights. */
	if (master->start.form == TH_ICAL_DATE &&
		midnight(moment.wall) == moment.wall)
		is_day = true;
	keys_add(excluded, is_day, is_day ? moment.wall : moment.at, 0, 0);
	return NULL;
}

/* The dates of an RDATE or EXDATE, for whichever list is given. */
static const char *
read_dates(Series *series, const ThIcalEntry *master,
		   const ThIcalProperty *property, Instances *instances, Keys *excluded,
		   bool *is_cut)
{
	const char *problem = NULL;
	const char *p = property->value;

	while (*p != '\0' && !*is_cut)
	{
		const char *end = p + strcspn(p, ",");
		const char *said;

		if (!th_ical_spend(&series->reader->budget))
			*is_cut = true;
		else if (end > p)
		{
			if (instances != NULL)
				said = add_date(series, master, property, p, end, instances,
								is_cut);
			else
				said = add_exception(series, master, property, p, end,
									 excluded);
			if (problem == NULL)
				problem = said;
		}
		p = *end == ',' ? end + 1 : end;
	}
	return problem;
}

/* The rules and dates of an event; what was bad of them, or NULL. */
static const char *
collect(Series *series, const ThIcalEntry *master, Instances *instances,
		Keys *excluded, bool *is_cut)
{
	const char *problem = NULL;
	Instances minus = { .master = master, .from = instances->from };
	bool has_rule = false;
	int depth = 0;
	const char *line;
	int i;

	for (line = master->item->begin; line < master->item->end;
		 line += strlen(line) + 1)
	{
		ThIcalProperty property;
		const char *said = NULL;

		if (!th_ical_property_read(line, &property))
			continue;
		if (th_ical_property_is(&property, "BEGIN"))
			depth++;
		else if (th_ical_property_is(&property, "END"))
			depth--;
		else if (depth > 0)
			continue;
		else if (th_ical_property_is(&property, "RRULE"))
		{
			has_rule = true;
			said = run_rule(series, master, property.value, instances, is_cut);
		}
		else if (th_ical_property_is(&property, "RDATE"))
			said = read_dates(series, master, &property, instances, NULL,
							  is_cut);
		else if (th_ical_property_is(&property, "EXDATE"))
			said = read_dates(series, master, &property, NULL, excluded,
							  is_cut);
		else if (th_ical_property_is(&property, "EXRULE"))
			said = run_rule(series, master, property.value, &minus, is_cut);
		if (problem == NULL)
			problem = said;
	}
	if (!has_rule)
		(void) add_instance(instances, master->start.wall);
	for (i = 0; i < minus.count; i++)
		keys_add(excluded, false, minus.list[i].at, 0, 0);
	if (minus.list != NULL)
		pfree(minus.list);
	return problem;
}

/* The override that moves this and the following occurrences, or NULL. */
static const ThIcalEntry *
find_range(const Series *series, int64 at)
{
	int low = 0;
	int high = series->n_ranges;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (series->ranges[middle].entry->recurrence.at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? NULL : series->ranges[low - 1].entry;
}

static void
emit_instance(Series *series, const ThIcalEntry *master,
			  const Instance *instance)
{
	const ThIcalEntry *entry = find_range(series, instance->at);
	ThIcalMoment moment = master->start;
	ThIcalEntry own;

	moment.wall = instance->wall;
	moment.at = instance->at;
	if (entry != NULL)
	{
		bool is_date = entry->start.form == TH_ICAL_DATE;
		const ThIcalZone *zone = entry->start.zone;
		int64 old = is_date ? entry->recurrence.wall
							: th_ical_zone_wall(zone, entry->recurrence.at);

		moment = entry->start;
		moment.wall = (is_date ? midnight(instance->wall)
							   : th_ical_zone_wall(zone, instance->at)) +
					  entry->start.wall - old;
		moment.at = th_ical_zone_instant(zone, moment.wall);
	}
	else if (instance->has_length)
	{
		own = *master;
		own.length = instance->length;
		entry = &own;
	}
	else
		entry = master;
	th_ical_emit(series->reader, entry, moment.at,
				 th_ical_entry_end(entry, &moment), &instance->at);
}

static void
emit_master(Series *series, const ThIcalEntry *master)
{
	ThIcalReader *reader = series->reader;
	const ThIcalLength *length = &master->length;
	Instances instances = { .master = master };
	Keys excluded = { 0 };
	bool is_cut = false;
	const char *problem;
	int i;

	reader->budget.event = TH_ICAL_MAX_EVENT_STEPS;
	/* A day may have some hours more. */
	instances.from = reader->from - series->shift - length->seconds -
					 length->days * DAY - (length->days > 0 ? DAY / 4 : 0);
	problem = collect(series, master, &instances, &excluded, &is_cut);
	if (problem != NULL)
		th_ical_emit_problem(reader, master->item, master, problem, false);
	if (instances.count > 1)
		qsort(instances.list, instances.count, sizeof(Instance),
			  compare_instances);
	if (excluded.count > 1)
		qsort(excluded.keys, excluded.count, sizeof(Key), compare_keys);
	for (i = 0; i < instances.count && !reader->is_full; i++)
	{
		const Instance *instance = &instances.list[i];

		if ((i > 0 && instance->at == instance[-1].at) ||
			keys_have(&excluded, instance) ||
			keys_have(&series->replaced, instance))
			continue;
		if (i >= TH_ICAL_MAX_EVENT_OCCURRENCES)
		{
			is_cut = true;
			break;
		}
		emit_instance(series, master, instance);
	}
	if (is_cut)
		th_ical_emit_problem(reader, master->item, master,
							 "the event recurs too often", true);
	if (instances.list != NULL)
		pfree(instances.list);
	keys_free(&excluded);
}

static int
compare_ranges(const void *a, const void *b)
{
	const ThIcalEntry *left = ((const Range *) a)->entry;
	const ThIcalEntry *right = ((const Range *) b)->entry;

	if (left->recurrence.at != right->recurrence.at)
		return left->recurrence.at < right->recurrence.at ? -1 : 1;
	return left->item->sequence - right->item->sequence;
}

/* Reads the overrides; of two for one recurrence the later one counts. */
static void
read_overrides(Series *series, const ThIcalItem *items, int n_items)
{
	Keys *keys = &series->replaced;
	int i;
	int n = 0;

	series->overrides = palloc(n_items * sizeof(ThIcalEntry));
	series->ranges = palloc(n_items * sizeof(Range));
	for (i = 0; i < n_items; i++)
	{
		ThIcalEntry *entry = &series->overrides[series->n_overrides];
		bool is_day;

		if (!items[i].is_override)
			continue;
		th_ical_entry_read(series->reader, &items[i], entry);
		if (entry->problem != NULL)
		{
			th_ical_emit_problem(series->reader, &items[i], entry,
								 entry->problem, false);
			continue;
		}
		is_day = entry->recurrence.form == TH_ICAL_DATE;
		keys_add(keys, is_day,
				 is_day ? entry->recurrence.wall : entry->recurrence.at,
				 items[i].sequence, series->n_overrides++);
	}
	if (keys->count > 1)
		qsort(keys->keys, keys->count, sizeof(Key), compare_keys);
	for (i = 0; i < keys->count; i++)
	{
		const Key *key = &keys->keys[i];
		const ThIcalEntry *entry = &series->overrides[key->index];
		int64 shift = entry->start.at - entry->recurrence.at;

		if (i + 1 < keys->count && key[1].at == key->at &&
			key[1].is_day == key->is_day)
			continue;
		keys->keys[n++] = *key;
		if (!entry->is_range)
			continue;
		series->ranges[series->n_ranges++].entry = entry;
		shift = shift < 0 ? -shift : shift;
		shift += entry->length.days * DAY + entry->length.seconds;
		series->shift = Max(series->shift, shift);
	}
	keys->count = n;
	if (series->n_ranges > 1)
		qsort(series->ranges, series->n_ranges, sizeof(Range), compare_ranges);
}

void
th_ical_series_emit(ThIcalReader *reader, const ThIcalItem *items, int n_items)
{
	Series series = { .reader = reader };
	int sequence = 0;
	int n_masters = 0;
	int i;

	for (i = 0; i < n_items; i++)
		if (!items[i].is_override)
		{
			n_masters++;
			sequence = Max(sequence, items[i].sequence);
		}
	if (n_masters < n_items)
		read_overrides(&series, items, n_items);
	for (i = 0; i < n_items && !reader->is_full; i++)
	{
		ThIcalEntry master;

		/* An older state of the same event. */
		if (items[i].is_override || items[i].sequence < sequence)
			continue;
		th_ical_entry_read(reader, &items[i], &master);
		if (master.problem != NULL)
			th_ical_emit_problem(reader, &items[i], &master, master.problem,
								 false);
		else if (master.has_rule || series.n_overrides > 0)
			emit_master(&series, &master);
		else
			th_ical_emit(reader, &master, master.start.at,
						 th_ical_entry_end(&master, &master.start), NULL);
	}
	for (i = 0; i < series.replaced.count && !reader->is_full; i++)
	{
		const ThIcalEntry *entry =
			&series.overrides[series.replaced.keys[i].index];

		th_ical_emit(reader, entry, entry->start.at,
					 th_ical_entry_end(entry, &entry->start),
					 &entry->recurrence.at);
	}
	if (n_masters < n_items)
	{
		pfree(series.overrides);
		pfree(series.ranges);
		keys_free(&series.replaced);
	}
}
