/*
 * answer.h
 *	  What the vendors' answers have in common.
 */
#ifndef TH_CALENDAR_ANSWER_H
#define TH_CALENDAR_ANSWER_H

#include "utils/jsonb.h"

#include "calendar/calendar.h"

/* Longest text of a vendor's that is kept as a message. */
#define TH_CALENDAR_MESSAGE_MAX 200

/* A GET or POST of "url" with the account's token. Memory: current context. */
extern void th_calendar_request(const ThCalendarCall *call, ThHttpMethod method,
								const char *url, ThHttpRequest *out);

/* Gives a request a JSON body or a further header. Memory: current context. */
extern void th_calendar_json_body(ThHttpRequest *out, StringInfo body);
extern void th_calendar_header(ThHttpRequest *out, const char *name,
							   const char *value);

/*
 * Zeroes "out" and reads what every answer of a JSON vendor may say: how the
 * exchange ended, its status, error/code (Graph) or error/errors/0/reason
 * (Google) into "code", error/message into "message". True: the status is
 * 2xx; then *document is the body, or NULL if it is not JSON. is_safe: the
 * operation may be repeated, so a lost answer is RETRY instead of UNKNOWN.
 * Verdicts set: 401 TOKEN_EXPIRED, 404 and 410 GONE, 409 EXISTS, 412 CHANGED,
 * 429 RATE_LIMITED, 408 and 5xx RETRY (UNKNOWN unless is_safe; 503 did not
 * act), the rest PERMANENT; the vendor's file refines them.
 */
extern bool th_calendar_read_json(const ThHttpResult *result, bool is_safe,
								  TimestampTz now, ThCalendarAnswer *out,
								  Jsonb **document);

/* A 2xx whose body says nothing: of a create nobody knows what came of it. */
extern void th_calendar_refuse_unreadable(const ThCalendarCall *call,
										  ThCalendarAnswer *out);

/* Sets "problem" if an event that was read cannot be worked with. */
extern void th_calendar_check_seen(ThEventSeen *out);

/*
 * The id of something of the vendor's, NULL if there is none that could stand
 * in an address: "..", for one, would be another address. Memory: current
 * context.
 */
extern char *th_calendar_read_id(Jsonb *document, const char *path);

/* A version's tag, NULL if there is none that could stand in a header. */
extern char *th_calendar_read_etag(Jsonb *document, const char *path);

/* A zone by a name that vendors know: a region's, else "UTC". */
extern const char *th_calendar_zone_label(const char *zone);

/* Description and join link together; NULL if there is neither. Memory: current context. */
extern const char *th_calendar_description(const ThEventWish *wish);

#endif /* TH_CALENDAR_ANSWER_H */
