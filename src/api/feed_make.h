/*
 * feed_make.h
 *	  Making a feed.
 */
#ifndef TH_API_FEED_MAKE_H
#define TH_API_FEED_MAKE_H

#include "store/feed.h"

/*
 * Inserts the feed, whose id it sets, audits it and returns its token; the
 * caller has checked rights and values. Memory: current context.
 * Where: a backend, in a transaction.
 */
extern char *th_feed_make(ThFeed *feed);

#endif /* TH_API_FEED_MAKE_H */
