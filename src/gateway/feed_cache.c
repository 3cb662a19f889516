/*
 * feed_cache.c
 *	  Feeds as they were last written, in the memory of this process.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "gateway/feed_cache.h"

#define MOST_ENTRIES 1024
#define MOST_BYTES (32 * 1024 * 1024)

/* A text that is longer is written anew each time. */
#define MOST_TEXT_BYTES (4 * 1024 * 1024)

static HTAB *entries = NULL;
static MemoryContext texts_context = NULL;
static dlist_head by_use = DLIST_STATIC_INIT(by_use); /* the latest first */
static int n_entries = 0;
static size_t n_bytes = 0;

static void
drop_texts(ThFeedEntry *entry)
{
	for (int form = 0; form < 2; form++)
	{
		ThFeedText *text = &entry->texts[form];

		if (text->bytes != NULL)
		{
			n_bytes -= text->length;
			pfree(text->bytes);
		}
		memset(text, 0, sizeof(*text));
	}
}

static void
drop(ThFeedEntry *entry)
{
	drop_texts(entry);
	dlist_delete(&entry->node);
	n_entries--;
	(void) hash_search(entries, entry->hash, HASH_REMOVE, NULL);
}

static void
make_room(int more_entries, size_t more_bytes, const ThFeedEntry *but)
{
	while (n_entries + more_entries > MOST_ENTRIES ||
		   n_bytes + more_bytes > MOST_BYTES)
	{
		ThFeedEntry *last = dlist_tail_element(ThFeedEntry, node, &by_use);

		if (last == but)
			break;
		drop(last);
	}
}

ThFeedEntry *
th_feed_cache_find(const unsigned char *hash)
{
	ThFeedEntry *entry;

	if (entries == NULL)
		return NULL;
	entry = hash_search(entries, hash, HASH_FIND, NULL);
	if (entry != NULL)
		dlist_move_head(&by_use, &entry->node);
	return entry;
}

static void
create(void)
{
	HASHCTL control = { 0 };

	texts_context = AllocSetContextCreate(TopMemoryContext, "telehealth feeds",
										  ALLOCSET_DEFAULT_SIZES);
	control.keysize = TH_FEED_HASH_BYTES;
	control.entrysize = sizeof(ThFeedEntry);
	control.hcxt = texts_context;
	entries = hash_create("telehealth feeds", 64, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

ThFeedEntry *
th_feed_cache_renew(const unsigned char *hash)
{
	ThFeedEntry *entry = th_feed_cache_find(hash);
	bool is_found;

	if (entry != NULL)
	{
		drop_texts(entry);
		return entry;
	}
	if (entries == NULL)
		create();
	make_room(1, 0, NULL);
	entry = hash_search(entries, hash, HASH_ENTER, &is_found);
	memset((char *) entry + TH_FEED_HASH_BYTES, 0,
		   sizeof(*entry) - TH_FEED_HASH_BYTES);
	dlist_push_head(&by_use, &entry->node);
	n_entries++;
	return entry;
}

void
th_feed_cache_keep(ThFeedEntry *entry, ThFeedForm form, const char *bytes,
				   size_t length)
{
	ThFeedText *text = &entry->texts[form];

	if (text->bytes != NULL || length > MOST_TEXT_BYTES)
		return;
	make_room(0, length, entry);
	text->bytes = MemoryContextAlloc(texts_context, Max(length, 1));
	memcpy(text->bytes, bytes, length);
	text->length = length;
	n_bytes += length;
}

void
th_feed_cache_forget(const unsigned char *hash)
{
	ThFeedEntry *entry = th_feed_cache_find(hash);

	if (entry != NULL)
		drop(entry);
}
