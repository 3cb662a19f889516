/*
 * feed.h
 *	  Feeds by HTTP: GET /api/calendar/ical/..., see route.h.
 */
#ifndef TH_GATEWAY_FEED_H
#define TH_GATEWAY_FEED_H

struct ThHttpRequest;

/* Answers from memory if that is as good as from the tables. */
extern bool th_feed_answer_at_once(struct ThHttpRequest *request);

/* Answers; right after the above, and in a transaction that began after it. */
extern void th_feed_answer(struct ThHttpRequest *request);

#endif /* TH_GATEWAY_FEED_H */
