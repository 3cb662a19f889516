/*
 * vevent.c
 *	  Values of the type telehealth.vevent.
 */
#include "postgres.h"

#include <string.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "json/json_read.h"
#include "api/ical_result.h"
#include "api/vevent.h"

/* A row of the type, taken apart. */
typedef struct Row
{
	Datum values[TH_VEVENT_COLUMNS];
	bool nulls[TH_VEVENT_COLUMNS];
} Row;

static const char *const statuses[] = { "TENTATIVE", "CONFIRMED", "CANCELLED",
										NULL };
static const char *const classes[] = { "PUBLIC", "PRIVATE", "CONFIDENTIAL",
									   NULL };
static const char *const transparencies[] = { "OPAQUE", "TRANSPARENT", NULL };
static const char *const methods[] = { "PUBLISH", "REQUEST", "CANCEL", NULL };

static const char *
text_of(const Row *row, ThVeventColumn column)
{
	if (row->nulls[column])
		return NULL;
	return th_ical_utf8(TextDatumGetCString(row->values[column]));
}

/* One of the words of a closed list. */
static const char *
word_of(const Row *row, ThVeventColumn column, const char *what,
		const char *const *words)
{
	const char *word = text_of(row, column);

	if (word == NULL)
		return NULL;
	for (; *words != NULL; words++)
	{
		if (strcmp(word, *words) == 0)
			return *words;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown iCalendar %s", what)));
}

void
th_vevent_check_method(const char *method)
{
	for (const char *const *known = methods; *known != NULL; known++)
	{
		if (strcmp(method, *known) == 0)
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown iCalendar method \"%s\"", method),
					errhint("Methods are PUBLISH, REQUEST and CANCEL.")));
}

static TimestampTz
finite_instant(TimestampTz instant)
{
	if (TIMESTAMP_NOT_FINITE(instant))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("an event has an instant that is infinite")));
	return instant;
}

static bool
time_of(const Row *row, ThVeventColumn column, TimestampTz *instant)
{
	if (row->nulls[column])
		return false;
	*instant = finite_instant(DatumGetTimestampTz(row->values[column]));
	return true;
}

static TimestampTz
required_time(const Row *row, ThVeventColumn column, const char *name)
{
	TimestampTz instant;

	if (!time_of(row, column, &instant))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s of an event must not be null", name)));
	return instant;
}

/* Elements of an array that are not null; "size" is that of one in *out. */
static int
elements_of(const Row *row, ThVeventColumn column, Oid type, Datum **out)
{
	bool *nulls;
	int n;
	int kept = 0;

	if (row->nulls[column])
		return 0;
	if (type == TEXTOID)
		deconstruct_array(DatumGetArrayTypeP(row->values[column]), type, -1,
						  false, TYPALIGN_INT, out, &nulls, &n);
	else if (type == INTERVALOID)
		deconstruct_array(DatumGetArrayTypeP(row->values[column]), type,
						  sizeof(Interval), false, TYPALIGN_DOUBLE, out, &nulls,
						  &n);
	else
		deconstruct_array(DatumGetArrayTypeP(row->values[column]), type,
						  sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
						  out, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			(*out)[kept++] = (*out)[i];
	}
	return kept;
}

static int
times_of(const Row *row, ThVeventColumn column, const TimestampTz **out)
{
	Datum *elements;
	TimestampTz *times;
	int n = elements_of(row, column, TIMESTAMPTZOID, &elements);

	if (n == 0)
		return 0;
	times = palloc(sizeof(TimestampTz) * n);
	for (int i = 0; i < n; i++)
		times[i] = finite_instant(DatumGetTimestampTz(elements[i]));
	*out = times;
	return n;
}

int64
th_vevent_seconds(const Interval *span)
{
	if (span->month != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an iCalendar duration cannot have months"),
						errhint("Say days, hours, minutes and seconds.")));
	return span->day * (int64) SECS_PER_DAY + span->time / USECS_PER_SEC;
}

static void
read_alarms(const Row *row, ThIcalEvent *event)
{
	Datum *elements;
	int64 *alarms;
	int n = elements_of(row, TH_VEVENT_ALARMS, INTERVALOID, &elements);

	if (n == 0)
		return;
	alarms = palloc(sizeof(int64) * n);
	for (int i = 0; i < n; i++)
		alarms[i] = th_vevent_seconds(DatumGetIntervalP(elements[i]));
	event->alarms = alarms;
	event->n_alarms = n;
}

static void
read_categories(const Row *row, ThIcalEvent *event)
{
	Datum *elements;
	const char **categories;
	int n = elements_of(row, TH_VEVENT_CATEGORIES, TEXTOID, &elements);

	if (n == 0)
		return;
	categories = palloc(sizeof(char *) * n);
	for (int i = 0; i < n; i++)
		categories[i] = th_ical_utf8(TextDatumGetCString(elements[i]));
	event->categories = categories;
	event->n_categories = n;
}

const char *
th_vevent_check_word(const char *word, const char *what)
{
	if (word == NULL ||
		(word[0] != '\0' &&
		 strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					  "0123456789-") == strlen(word)))
		return word;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid iCalendar %s", what)));
}

static void
refuse_attendees(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("attendees of an event are not as expected"),
					errhint("Give an array of addresses, or of objects with "
							"address, name, type, role, status and rsvp.")));
}

static void
read_attendees(const Row *row, ThIcalEvent *event)
{
	Jsonb *list;
	ThIcalPerson *people;
	int n;

	if (row->nulls[TH_VEVENT_ATTENDEES])
		return;
	list = DatumGetJsonbP(row->values[TH_VEVENT_ATTENDEES]);
	if (!JB_ROOT_IS_ARRAY(list) || JB_ROOT_IS_SCALAR(list))
		refuse_attendees();
	n = th_json_length(list, "");
	people = palloc0(sizeof(ThIcalPerson) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		Jsonb *one = th_json_element(list, "", i);
		const char *address = th_json_text(one, "", NULL);

		if (address == NULL)
			address = th_json_text(one, "address", NULL);
		if (address == NULL)
			refuse_attendees();
		people[i].address = th_ical_utf8(address);
		people[i].name = th_ical_utf8(th_json_text(one, "name", NULL));
		people[i].type = th_vevent_check_word(th_json_text(one, "type", NULL),
											  "type of an attendee");
		people[i].role = th_vevent_check_word(th_json_text(one, "role", NULL),
											  "role of an attendee");
		people[i].status = th_vevent_check_word(th_json_text(one, "status",
															 NULL),
												"status of an attendee");
		people[i].is_asked = th_json_bool(one, "rsvp", false);
	}
	event->attendees = people;
	event->n_attendees = n;
}

static void
read_organizer(const Row *row, ThIcalEvent *event)
{
	ThIcalPerson *person;

	if (row->nulls[TH_VEVENT_ORGANIZER])
		return;
	person = palloc0(sizeof(ThIcalPerson));
	person->address = text_of(row, TH_VEVENT_ORGANIZER);
	person->name = text_of(row, TH_VEVENT_ORGANIZER_NAME);
	event->organizer = person;
}

/* "NAME=VALUE;NAME=VALUE" with one FREQ; what it means is the reader's. */
static void
check_rule(const char *rule)
{
	const char *p = rule;
	int n_freq = 0;

	for (;;)
	{
		size_t name = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
		size_t value;

		if (name == 0 || p[name] != '=')
			break;
		n_freq += name == 4 && strncmp(p, "FREQ", 4) == 0;
		p += name + 1;
		value = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,+-");
		if (value == 0)
			break;
		p += value;
		if (*p == '\0' && n_freq == 1)
			return;
		if (*p++ != ';')
			break;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid recurrence rule"),
					errhint("A rule looks like FREQ=WEEKLY;COUNT=10.")));
}

static void
read_zone(ThIcalWriter *writer, const Row *row, ThIcalEvent *event)
{
	const char *name = text_of(row, TH_VEVENT_TIMEZONE);

	if (name == NULL)
		return;
	event->zone = th_ical_zone(writer, name);
	if (event->zone == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" not recognized", name)));
}

static void
read_times(const Row *row, ThIcalEvent *event)
{
	event->starts_at = required_time(row, TH_VEVENT_STARTS_AT, "starts_at");
	event->ends_at = required_time(row, TH_VEVENT_ENDS_AT, "ends_at");
	if (event->ends_at < event->starts_at)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an event must not end before it starts")));
	event->has_created = time_of(row, TH_VEVENT_CREATED_AT, &event->created);
	event->has_last_modified = time_of(row, TH_VEVENT_UPDATED_AT,
									   &event->last_modified);
	event->has_recurrence_id = time_of(row, TH_VEVENT_RECURRENCE_ID,
									   &event->recurrence_id);

	/* Never the present: the same row gives the same bytes. */
	if (time_of(row, TH_VEVENT_STAMPED_AT, &event->stamp))
		return;
	event->stamp = event->has_last_modified ? event->last_modified
				   : event->has_created     ? event->created
											: (TimestampTz) (UNIX_EPOCH_JDATE -
                                                         POSTGRES_EPOCH_JDATE) *
											  USECS_PER_DAY;
}

static void
read_texts(const Row *row, ThIcalEvent *event)
{
	event->summary = text_of(row, TH_VEVENT_SUMMARY);
	event->description = text_of(row, TH_VEVENT_DESCRIPTION);
	event->location = text_of(row, TH_VEVENT_LOCATION);
	event->url = text_of(row, TH_VEVENT_URL);
	event->conference = text_of(row, TH_VEVENT_CONFERENCE);
	event->color = th_vevent_check_word(text_of(row, TH_VEVENT_COLOR), "color");
	event->status = word_of(row, TH_VEVENT_STATUS, "status", statuses);
	event->class_name = word_of(row, TH_VEVENT_CLASS, "class", classes);
	event->is_transparent = word_of(row, TH_VEVENT_TRANSPARENCY, "transparency",
									transparencies) == transparencies[1];
	event->rrule = text_of(row, TH_VEVENT_RRULE);
	if (event->rrule != NULL)
		check_rule(event->rrule);
}

void
th_vevent_read(ThIcalWriter *writer, HeapTuple tuple, TupleDesc columns,
			   ThIcalEvent *event)
{
	Row row;

	if (columns->natts != TH_VEVENT_COLUMNS)
		elog(ERROR, "the type vevent has %d columns", columns->natts);
	heap_deform_tuple(tuple, columns, row.values, row.nulls);
	memset(event, 0, sizeof(*event));
	event->uid = text_of(&row, TH_VEVENT_UID);
	if (event->uid == NULL)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("uid of an event must not be null")));
	read_times(&row, event);
	read_texts(&row, event);
	read_zone(writer, &row, event);
	if (!row.nulls[TH_VEVENT_SEQUENCE])
		event->sequence = DatumGetInt32(row.values[TH_VEVENT_SEQUENCE]);
	event->is_all_day = !row.nulls[TH_VEVENT_IS_ALL_DAY] &&
						DatumGetBool(row.values[TH_VEVENT_IS_ALL_DAY]);
	event->n_exdates = times_of(&row, TH_VEVENT_EXDATES, &event->exdates);
	event->n_rdates = times_of(&row, TH_VEVENT_RDATES, &event->rdates);
	read_organizer(&row, event);
	read_attendees(&row, event);
	read_categories(&row, event);
	read_alarms(&row, event);
}
