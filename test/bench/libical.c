/*
 * libical.c
 *	  A calendar read and its occurrences of 2026 counted by libical alone.
 *
 * usage: libical FILE; prints seconds and occurrences.
 */
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long occurrences = 0;

static void
count(icalcomponent *event, struct icaltime_span *span, void *data)
{
	(void) event;
	(void) span;
	(void) data;
	occurrences++;
}

static double
now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	char *text = calloc(1, 64 * 1024 * 1024);
	struct icaltimetype from = icaltime_from_string("20260101T000000Z");
	struct icaltimetype to = icaltime_from_string("20270101T000000Z");
	icalcomponent *calendar;
	icalcomponent *event;
	double start;

	if (file == NULL || text == NULL ||
		fread(text, 1, 64 * 1024 * 1024 - 1, file) == 0)
		return 2;
	fclose(file);
	start = now();
	calendar = icalparser_parse_string(text);
	if (calendar == NULL)
		return 1;
	for (event =
			 icalcomponent_get_first_component(calendar, ICAL_VEVENT_COMPONENT);
		 event != NULL;
		 event =
			 icalcomponent_get_next_component(calendar, ICAL_VEVENT_COMPONENT))
		icalcomponent_foreach_recurrence(event, from, to, count, NULL);
	icalcomponent_free(calendar);
	printf("%.4f %ld\n", now() - start, occurrences);
	free(text);
	return 0;
}
