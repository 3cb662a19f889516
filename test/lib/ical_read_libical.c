/*
 * ical_read_libical.c
 *	  Calendars as libical's own parser reads them.
 *
 * usage: ical_read_libical FILE..
 * Prints one line an event: UID, start and end as seconds since 1970, the
 * summary in hexadecimal digits; tabs between. A date counts in UTC.
 */
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static icalcomponent *calendar;

/* Seconds of the time that a property says, by the file's own zones alone. */
static long long
seconds(icalproperty *property)
{
	struct icaltimetype time;
	icalparameter *zone;

	if (property == NULL)
		return -1;
	time = icalvalue_get_datetime(icalproperty_get_value(property));
	zone = icalproperty_get_first_parameter(property, ICAL_TZID_PARAMETER);
	if (zone != NULL)
	{
		const char *tzid = icalparameter_get_tzid(zone);
		icaltimezone *found = icalcomponent_get_timezone(calendar, tzid);

		if (found == NULL)
			return -2;
		return (long long) icaltime_as_timet_with_zone(time, found);
	}
	return (
		long long) icaltime_as_timet_with_zone(time,
											   icaltimezone_get_utc_timezone());
}

/* False if it cannot be read. */
static int
read_file(const char *name)
{
	FILE *in = fopen(name, "rb");
	icalcomponent *event;
	char *text;
	long size;

	if (in == NULL || fseek(in, 0, SEEK_END) != 0)
		return 0;
	size = ftell(in);
	rewind(in);
	text = calloc(1, (size_t) size + 1);
	if (text == NULL || fread(text, 1, (size_t) size, in) != (size_t) size)
		return 0;
	(void) fclose(in);
	calendar = icalparser_parse_string(text);
	if (calendar == NULL || icalcomponent_count_errors(calendar) > 0)
		return 0;
	for (event =
			 icalcomponent_get_first_component(calendar, ICAL_VEVENT_COMPONENT);
		 event != NULL;
		 event =
			 icalcomponent_get_next_component(calendar, ICAL_VEVENT_COMPONENT))
	{
		const char *summary = icalcomponent_get_summary(event);

		printf("%s\t%lld\t%lld\t", icalcomponent_get_uid(event),
			   seconds(icalcomponent_get_first_property(event,
														ICAL_DTSTART_PROPERTY)),
			   seconds(icalcomponent_get_first_property(event,
														ICAL_DTEND_PROPERTY)));
		for (; summary != NULL && *summary != '\0'; summary++)
			printf("%02x", (unsigned char) *summary);
		putchar('\n');
	}
	free(text);
	icalcomponent_free(calendar);
	return 1;
}

int
main(int argc, char **argv)
{
	icalerror_set_errors_are_fatal(0);
	for (int i = 1; i < argc; i++)
		if (!read_file(argv[i]))
		{
			printf("unreadable\t%s\n", argv[i]);
			return 1;
		}
	return argc > 1 ? 0 : 2;
}
