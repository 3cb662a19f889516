/*
 * feed.h
 *	  A feed as iCalendar text.
 */
#ifndef TH_FLOW_FEED_H
#define TH_FLOW_FEED_H

#include "ical/ical_event.h"
#include "store/feed.h"

#define TH_FEED_VERSION_BYTES 32

/* Path of a feed under public_url, before its token. */
#define TH_FEED_ROUTE "/api/calendar/ical/"

/* What a feed shows at a time: settings that were looked up, and a range. */
typedef struct ThFeedView
{
	ThFeed feed; /* includes names only if they may leave */
	uint32 facts;
	ThFeedRange range;
	TimestampTz now;
} ThFeedView;

/* Where, for all: in a transaction, as the owner or the worker's role. */

/* The view of a feed as of "now". Texts of the feed are not copied. */
extern void th_feed_look(const ThFeed *feed, TimestampTz now, ThFeedView *out);

/*
 * Begins the writer and fills it and the head with the view: as long as the
 * visits in its range stay as they are, the bytes do. What is not disclosed
 * is not even read.
 */
extern void th_feed_write(const ThFeedView *view, ThIcalWriter *writer,
						  ThIcalHead *head);

/*
 * The version of what th_feed_write() would write: where it is the same, the
 * bytes are. *until is when it may change by the clock alone: not before.
 */
extern void th_feed_version(const ThFeedView *view,
							unsigned char version[TH_FEED_VERSION_BYTES],
							TimestampTz *until);

/*
 * The feed's address with another scheme, or public_url's own if that is
 * NULL; NULL without public_url. Memory: current context.
 */
extern char *th_feed_link(const char *token, const char *scheme);

#endif /* TH_FLOW_FEED_H */
