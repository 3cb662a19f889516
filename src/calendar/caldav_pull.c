/*
 * caldav_pull.c
 *	  What a pull of a CalDAV calendar has to remember, as text.
 */
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

#include "common/hashfn.h"
#include "lib/stringinfo.h"

#include "calendar/caldav_pull.h"

#define DEFAULT_BATCH 50
#define DIGEST_LENGTH 16

void
th_caldav_pull_add(ThCaldavPull *pull, const char *name, uint64 digest)
{
	if (pull->n_resources == pull->size)
	{
		pull->size = pull->size == 0 ? 64 : pull->size * 2;
		pull->resources = pull->resources == NULL
							  ? palloc_array(ThCaldavResource, pull->size)
							  : repalloc_array(pull->resources,
											   ThCaldavResource, pull->size);
	}
	pull->resources[pull->n_resources].name = name;
	pull->resources[pull->n_resources++].digest = digest;
}

char *
th_caldav_pull_write(const ThCaldavPull *pull)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out,
					 "%d %d %d %d " INT64_FORMAT " " INT64_FORMAT " %s %s",
					 pull->step, pull->rounds, pull->batch, pull->is_complete,
					 pull->from, pull->until, pull->who,
					 pull->cursor == NULL ? "" : pull->cursor);
	for (int i = 0; i < pull->n_resources; i++)
		appendStringInfo(&out, "\n%016llx%s",
						 (unsigned long long) pull->resources[i].digest,
						 pull->resources[i].name);
	return out.data;
}

char *
th_caldav_pull_cursor(const ThCaldavPull *pull)
{
	return pull->cursor == NULL ? NULL
								: psprintf("%s %s", pull->who, pull->cursor);
}

/* Not by strlcpy(), which would look for the end of all that follows. */
static uint64
read_digest(const char *text)
{
	char digits[DIGEST_LENGTH + 1] = "";

	memcpy(digits, text, strnlen(text, DIGEST_LENGTH));
	return strtoull(digits, NULL, 16);
}

/* A word, and where the rest begins; NULL at the end. */
static char *
take_word(char **text)
{
	char *word = *text;
	char *end;

	if (word == NULL || *word == '\0')
		return NULL;
	end = strchr(word, ' ');
	*text = end == NULL ? NULL : end + 1;
	if (end != NULL)
		*end = '\0';
	return word;
}

/* Where a pull begins. */
static void
begin(const ThCalendarCall *call, ThCaldavPull *pull)
{
	char *cursor = call->cursor == NULL ? NULL : pstrdup(call->cursor);
	int batch = call->account->page_size;

	memset(pull, 0, sizeof(*pull));
	pull->batch = batch > 0 ? batch : DEFAULT_BATCH;
	pull->from = call->window_start;
	pull->until = call->window_end;
	pull->step = TH_CALDAV_LOOK;
	pull->who = take_word(&cursor);
	pull->before = cursor;
	if (pull->who == NULL)
		pull->who = "-";
	if (cursor != NULL && strncmp(cursor, "sync ", 5) == 0)
	{
		pull->step = TH_CALDAV_SYNC;
		pull->cursor = cursor;
	}
}

/* It is our own text, so nothing in it is checked but what would crash. */
void
th_caldav_pull_read(const ThCalendarCall *call, ThCaldavPull *pull)
{
	char *line;
	char *end;
	char *rest;

	begin(call, pull);
	if (call->next == NULL)
		return;
	line = pstrdup(call->next);
	end = line + strcspn(line, "\n");
	pull->step = (ThCaldavStep) strtol(line, &line, 10);
	pull->rounds = (int) strtol(line, &line, 10);
	pull->batch = (int) strtol(line, &line, 10);
	pull->batch = Max(pull->batch, 1);
	pull->is_complete = strtol(line, &line, 10) != 0;
	pull->from = strtoll(line, &line, 10);
	pull->until = strtoll(line, &line, 10);
	rest = line < end ? pnstrdup(line + 1, end - line - 1) : NULL;
	pull->who = take_word(&rest);
	if (pull->who == NULL)
		pull->who = "-";
	pull->cursor = rest == NULL || rest[0] == '\0' ? NULL : rest;
	while (*end != '\0')
	{
		line = end + 1;
		end = line + strcspn(line, "\n");
		if (end - line > DIGEST_LENGTH)
			th_caldav_pull_add(pull,
							   pnstrdup(line + DIGEST_LENGTH,
										end - line - DIGEST_LENGTH),
							   read_digest(line));
	}
}

uint64
th_caldav_digest(const char *name, const char *etag)
{
	char *text;
	uint64 digest;

	if (etag == NULL)
		return 0;
	text = psprintf("%s %s", name, etag);
	digest = hash_bytes_extended((const unsigned char *) text, strlen(text), 0);
	pfree(text);
	return Max(digest, 1);
}

int
th_caldav_resource_compare(const void *a, const void *b)
{
	return strcmp(((const ThCaldavResource *) a)->name,
				  ((const ThCaldavResource *) b)->name);
}

/* Pieces overlap in what recurs or is long, and servers repeat themselves. */
void
th_caldav_pull_sort(ThCaldavPull *pull)
{
	int kept = 0;

	if (pull->n_resources > 1)
		qsort(pull->resources, pull->n_resources, sizeof(ThCaldavResource),
			  th_caldav_resource_compare);
	for (int i = 0; i < pull->n_resources; i++)
	{
		if (kept == 0 || strcmp(pull->resources[i].name,
								pull->resources[kept - 1].name) != 0)
			pull->resources[kept++] = pull->resources[i];
	}
	pull->n_resources = kept;
}

/* A cursor with a ctag: its list of resources, or NULL. */
static const char *
find_list(const char *cursor)
{
	if (cursor == NULL || strncmp(cursor, "ctag ", 5) != 0)
		return NULL;
	cursor = strchr(cursor + 5, ' ');
	return cursor == NULL ? NULL : cursor + 1;
}

bool
th_caldav_cursor_read(const char *cursor, ThCaldavPull *before)
{
	const char *text = find_list(cursor);

	memset(before, 0, sizeof(*before));
	if (text == NULL)
		return false;
	while (*text != '\0')
	{
		size_t length = strcspn(text, "/");

		if (length > DIGEST_LENGTH)
			th_caldav_pull_add(before,
							   pnstrdup(text + DIGEST_LENGTH,
										length - DIGEST_LENGTH),
							   read_digest(text));
		text += length;
		text += *text == '/';
	}
	return true;
}

char *
th_caldav_cursor_write(const ThCaldavPull *pull, const char *ctag)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "ctag %s ", ctag);
	for (int i = 0; i < pull->n_resources; i++)
		appendStringInfo(&out, "%s%016llx%s", i > 0 ? "/" : "",
						 (unsigned long long) pull->resources[i].digest,
						 pull->resources[i].name);
	return out.data;
}
