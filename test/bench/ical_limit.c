/*
 * ical_limit.c
 *	  The same events written by one pass over memory and nothing else, and
 *	  by libical's components.
 *
 * usage: ical_limit raw|libical EVENTS ROUNDS
 * Prints the seconds of the best round, and how many octets it wrote.
 */
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DESCRIPTION                                                              \
	"Gespräch über die Behandlung; bitte Überweisung, Versichertenkarte und " \
	"Medikamentenplan bereithalten.\nPrüfen Sie Kamera, Mikrofon und Ton; "     \
	"fünf Minuten früher eintreten, danke schön und bis später!"

static char *at;

static void
line(const char *name, const char *value, int is_text)
{
	int left = 75 - (int) strlen(name);

	at = stpcpy(at, name);
	for (const char *p = value; *p != '\0';)
	{
		int length = (*p & 0x80) == 0 ? 1 : (*p & 0x20) == 0 ? 2 : 3;
		int is_escaped = is_text &&
						 (*p == ',' || *p == ';' || *p == '\\' || *p == '\n');

		if (left < length + is_escaped)
		{
			memcpy(at, "\r\n ", 3);
			at += 3;
			left = 74;
		}
		left -= length + is_escaped;
		if (is_escaped)
			*at++ = '\\';
		if (*p == '\n')
		{
			*at++ = 'n';
			p++;
			continue;
		}
		while (length-- > 0)
			*at++ = *p++;
	}
	memcpy(at, "\r\n", 2);
	at += 2;
}

static void
stamp(const char *name, time_t time)
{
	struct tm tm;

	gmtime_r(&time, &tm);
	at += sprintf(at, "%s:%04d%02d%02dT%02d%02d%02dZ\r\n", name,
				  tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
				  tm.tm_min, tm.tm_sec);
}

static size_t
raw(int events)
{
	char *start = malloc((size_t) events * 1200 + 1000);
	size_t length;

	at = stpcpy(start, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n");
	for (int i = 0; i < events; i++)
	{
		char text[100];
		time_t time = 1767225600 + (time_t) i * 1800;

		at = stpcpy(at, "BEGIN:VEVENT\r\n");
		sprintf(text, "visit-%d@clinic.example", i);
		line("UID:", text, 1);
		stamp("DTSTAMP", 1767225600);
		stamp("DTSTART", time);
		stamp("DTEND", time + 1800);
		stamp("CREATED", 1767225600);
		stamp("LAST-MODIFIED", 1767225600);
		at += sprintf(at, "SEQUENCE:%d\r\n", i % 5);
		line("STATUS:", "CONFIRMED", 0);
		line("SUMMARY:", "Telehealth visit, follow-up", 1);
		line("DESCRIPTION:", DESCRIPTION, 1);
		sprintf(text, "https://video.example/j/%d?pwd=abcdef", i);
		line("URL:", text, 0);
		line("ATTENDEE;CN=\"Jörg Müller\":mailto:", "patient@mail.example", 0);
		at = stpcpy(at, "TRANSP:OPAQUE\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n"
						"TRIGGER:-PT15M\r\n");
		line("DESCRIPTION:", "Telehealth visit, follow-up", 1);
		at = stpcpy(at, "END:VALARM\r\nEND:VEVENT\r\n");
	}
	at = stpcpy(at, "END:VCALENDAR\r\n");
	length = (size_t) (at - start);
	free(start);
	return length;
}

static struct icaltimetype
utc(time_t time)
{
	return icaltime_from_timet_with_zone(time, 0,
										 icaltimezone_get_utc_timezone());
}

static icalcomponent *
event_of(int i)
{
	char text[100];
	time_t time = 1767225600 + (time_t) i * 1800;
	struct icaltriggertype trigger = icaltriggertype_from_int(-900);
	icalproperty *attendee;
	icalcomponent *event;

	snprintf(text, sizeof(text), "visit-%d@clinic.example", i);
	attendee = icalproperty_new_attendee("mailto:patient@mail.example");
	icalproperty_add_parameter(attendee, icalparameter_new_cn("Jörg Müller"));
	event = icalcomponent_vanew(
		ICAL_VEVENT_COMPONENT, icalproperty_new_uid(text),
		icalproperty_new_dtstamp(utc(1767225600)),
		icalproperty_new_dtstart(utc(time)),
		icalproperty_new_dtend(utc(time + 1800)),
		icalproperty_new_created(utc(1767225600)),
		icalproperty_new_lastmodified(utc(1767225600)),
		icalproperty_new_sequence(i % 5),
		icalproperty_new_status(ICAL_STATUS_CONFIRMED),
		icalproperty_new_summary("Telehealth visit, follow-up"),
		icalproperty_new_description(DESCRIPTION), attendee,
		icalproperty_new_transp(ICAL_TRANSP_OPAQUE),
		icalcomponent_vanew(
			ICAL_VALARM_COMPONENT, icalproperty_new_action(ICAL_ACTION_DISPLAY),
			icalproperty_new_trigger(trigger),
			icalproperty_new_description("Telehealth visit, follow-up"), NULL),
		NULL);
	snprintf(text, sizeof(text), "https://video.example/j/%d?pwd=abcdef", i);
	icalcomponent_add_property(event, icalproperty_new_url(text));
	return event;
}

static size_t
components(int events)
{
	icalcomponent *calendar = icalcomponent_new(ICAL_VCALENDAR_COMPONENT);
	char *text;
	size_t length;

	for (int i = 0; i < events; i++)
		icalcomponent_add_component(calendar, event_of(i));
	text = icalcomponent_as_ical_string_r(calendar);
	length = strlen(text);
	free(text);
	icalcomponent_free(calendar);
	return length;
}

int
main(int argc, char **argv)
{
	double best = 1e9;
	size_t length = 0;

	if (argc != 4)
		return 2;
	for (int round = atoi(argv[3]); round > 0; round--)
	{
		struct timespec start;
		struct timespec end;
		double seconds;

		clock_gettime(CLOCK_MONOTONIC, &start);
		length = argv[1][0] == 'r' ? raw(atoi(argv[2]))
								   : components(atoi(argv[2]));
		clock_gettime(CLOCK_MONOTONIC, &end);
		seconds = (double) (end.tv_sec - start.tv_sec) +
				  (double) (end.tv_nsec - start.tv_nsec) / 1e9;
		best = seconds < best ? seconds : best;
	}
	printf("%.6f %zu\n", best, length);
	return 0;
}
