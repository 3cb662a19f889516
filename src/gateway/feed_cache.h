/*
 * feed_cache.h
 *	  Feeds as they were last written, in the memory of this process.
 *
 * Bounded; what was asked for longest ago goes first. Whether an entry is
 * still good is its user's to know.
 */
#ifndef TH_GATEWAY_FEED_CACHE_H
#define TH_GATEWAY_FEED_CACHE_H

#include "lib/ilist.h"

#include "flow/feed.h"
#include "gateway/negotiate.h"

typedef enum ThFeedForm
{
	TH_FEED_PLAIN,
	TH_FEED_GZIP
} ThFeedForm;

typedef struct ThFeedText
{
	char etag[TH_ETAG_BYTES]; /* "": was not made */
	char *bytes;              /* NULL: was not made, or not kept */
	size_t length;
} ThFeedText;

typedef struct ThFeedEntry
{
	unsigned char hash[TH_FEED_HASH_BYTES]; /* of the token; the key */
	dlist_node node;
	int64 clinic_id;
	int64 feed_id;
	unsigned char version[TH_FEED_VERSION_BYTES];
	uint64 completions;     /* see th_transaction_completions() */
	TimestampTz looked_at;  /* then it was found to be good */
	TimestampTz until;      /* the clock may change it then */
	TimestampTz first_seen; /* this version, by this process */
	ThFeedText texts[2];    /* by form */
} ThFeedEntry;

/* The entry of that token, which is now the latest in use; else NULL. Never throws. */
extern ThFeedEntry *th_feed_cache_find(const unsigned char *hash);

/* An entry for it, without texts; others may go. Errors: out of memory. */
extern ThFeedEntry *th_feed_cache_renew(const unsigned char *hash);

/* Keeps a copy of the text unless it is too large. Errors: out of memory. */
extern void th_feed_cache_keep(ThFeedEntry *entry, ThFeedForm form,
							   const char *bytes, size_t length);

/* Forgets it; nothing if there is none. Never throws. */
extern void th_feed_cache_forget(const unsigned char *hash);

#endif /* TH_GATEWAY_FEED_CACHE_H */
