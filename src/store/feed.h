/*
 * feed.h
 *	  Rows of telehealth.feed, and the visits that a feed shows.
 *
 * Who may is the caller's to decide: statements run as the present user,
 * which is the owner or the worker's role. Where: in a transaction.
 */
#ifndef TH_STORE_FEED_H
#define TH_STORE_FEED_H

#include "datatype/timestamp.h"

/* A digest of the token; the token is kept nowhere. */
#define TH_FEED_HASH_BYTES 32

typedef struct ThFeed
{
	int64 clinic_id;
	int64 id;
	int64 provider_id;
	const char *name;
	bool is_shared; /* says when somebody is busy, and nothing else */
	bool include_patient_names;
	bool include_meeting_links;
	int sync_range_days;
	const char *timezone; /* the provider's or its clinic's; else UTC */
} ThFeed;

/* As the statement in feed.c numbers them. */
typedef enum ThFeedType
{
	TH_FEED_IN_PERSON,
	TH_FEED_VIDEO,
	TH_FEED_PHONE
} ThFeedType;

typedef enum ThFeedState
{
	TH_FEED_CONFIRMED,
	TH_FEED_PENDING,
	TH_FEED_CANCELLED,
	TH_FEED_NO_SHOW
} ThFeedState;

typedef struct ThFeedVisit
{
	int64 id;
	ThFeedType type;
	ThFeedState state;
	TimestampTz starts_at;
	TimestampTz ends_at;
	TimestampTz created_at;
	TimestampTz updated_at;
	int sequence;
	const char *title;
	const char *reason;
	const char *location;
	const char *join_url;
	const char *patient_name; /* NULL unless the feed includes names */
} ThFeedVisit;

/* What a feed shows: visits that overlap the range. */
typedef struct ThFeedRange
{
	TimestampTz from;
	TimestampTz to;
	TimestampTz cancelled_after; /* of cancelled ones, those since then */
} ThFeedRange;

/*
 * The one place where a token becomes a clinic: the active feed with that
 * hash; false if there is none. Memory: current context.
 */
extern bool th_feed_find(const unsigned char hash[TH_FEED_HASH_BYTES],
						 ThFeed *out);

/* Inserts the feed; its id. */
extern int64 th_feed_insert(const ThFeed *feed,
							const unsigned char hash[TH_FEED_HASH_BYTES]);

/* False if there is no such feed; *is_active may be false then nothing is done. */
extern bool th_feed_rotate(int64 clinic_id, int64 id,
						   const unsigned char hash[TH_FEED_HASH_BYTES],
						   bool *is_active);

/* False if there is no such feed; *is_changed is false if it was revoked before. */
extern bool th_feed_revoke(int64 clinic_id, int64 id, bool *is_changed);

/*
 * Calls "look" for each visit, by start. What it is given, and the current
 * context, last until it returns.
 */
extern void th_feed_visits(const ThFeed *feed, const ThFeedRange *range,
						   void (*look)(const ThFeedVisit *visit, void *arg),
						   void *arg);

/* Which version of a row: no two have the same. All 0 for no row. */
typedef struct ThRowVersion
{
	uint32 block;
	uint32 offset;
	uint32 xmin;
} ThRowVersion;

typedef struct ThFeedVersion
{
	ThRowVersion visit;
	ThRowVersion patient;
	TimestampTz ends_at;
	TimestampTz cancelled_at; /* 0: it is not */
} ThFeedVersion;

/*
 * What th_feed_visits() would show, as versions of rows. Returns the start of
 * the first visit after the range; 0: none.
 */
extern TimestampTz
th_feed_versions(const ThFeed *feed, const ThFeedRange *range,
				 void (*look)(const ThFeedVersion *version, void *arg),
				 void *arg);

/*
 * Adds counts of accesses; is_written[i] is false for a feed that somebody
 * has locked, or that is gone.
 */
extern void th_feed_count(const int64 *clinics, const int64 *ids,
						  const int64 *counts, const TimestampTz *last, int n,
						  bool *is_written);

#endif /* TH_STORE_FEED_H */
