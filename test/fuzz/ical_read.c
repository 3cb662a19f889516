/*
 * ical_read.c
 *	  The calendar reader alone: under libFuzzer, or over files.
 *
 * With TH_FUZZ_MAIN it reads the file of its first argument, from the second
 * to the third in seconds since 1970, and prints one line an occurrence.
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>

#include "ical/ical_read.h"
#include "server.h"

/* The server has its own of these. */
#undef printf

extern int LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static const ThIcalZone owner = { 0, 0, NULL };

static bool is_printing = false;

static const ThIcalZone *
find_zone(void *context pg_attribute_unused(),
		  const char *name pg_attribute_unused())
{
	return NULL;
}

static void
emit(void *context pg_attribute_unused(), const ThIcalOccurrence *occurrence)
{
	if (occurrence->has_times && occurrence->ends_at < occurrence->starts_at)
		abort();
	if (occurrence->has_times == (occurrence->problem != NULL))
		abort();
	if (!is_printing)
		return;
	if (occurrence->problem != NULL)
		printf("problem %s\n", occurrence->problem);
	else
		printf("%s %lld %lld\n", occurrence->uid == NULL ? "" : occurrence->uid,
			   (long long) (occurrence->starts_at / 1000000 + 946684800),
			   (long long) (occurrence->ends_at / 1000000 + 946684800));
}

static void
go_on(void *context pg_attribute_unused())
{
}

static void
read_text(const char *text, size_t size, int64 from, int64 to)
{
	ThIcalRead read = { 0 };

	read.text = text;
	read.length = size;
	read.window_start = (from - 946684800) * 1000000;
	read.window_end = (to - 946684800) * 1000000;
	read.zone = &owner;
	read.find_zone = find_zone;
	read.addresses = "a@b.c,d";
	read.emit = emit;
	read.pause = go_on;
	(void) th_ical_read(&read);
	server_reset();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	/* The year 2026. */
	read_text((const char *) data, size, 1767225600, 1798761600);
	return 0;
}

#ifdef TH_FUZZ_MAIN
int
main(int argc, char **argv)
{
	FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
	size_t capacity = 64 * 1024 * 1024;
	char *text = malloc(capacity);

	if (file == NULL || text == NULL)
		return 2;
	is_printing = true;
	read_text(text, fread(text, 1, capacity, file), strtoll(argv[2], NULL, 10),
			  strtoll(argv[3], NULL, 10));
	fclose(file);
	free(text);
	return 0;
}
#endif
