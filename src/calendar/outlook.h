/*
 * outlook.h
 *	  Microsoft Graph's calendars: what its files share.
 */
#ifndef TH_CALENDAR_OUTLOOK_H
#define TH_CALENDAR_OUTLOOK_H

#include "calendar/answer.h"

/*
 * api_url/me/calendar/"suffix", or that of the calendar the call names;
 * "suffix" is appended as it is. Memory: current context.
 */
extern char *th_outlook_url(const ThCalendarCall *call, const char *suffix);

/*
 * A request whose answer has ids that stay and times in UTC; "prefer" is a
 * further wish, or NULL. Memory: current context.
 */
extern void th_outlook_request(const ThCalendarCall *call, ThHttpMethod method,
							   const char *url, const char *prefer,
							   ThHttpRequest *out);

/* th_calendar_read_json(), and what Graph's codes say beyond the status. */
extern bool th_outlook_read(const ThHttpResult *result, bool is_safe,
							TimestampTz now, ThCalendarAnswer *out,
							Jsonb **document);

/* The codecs of events. */
extern void th_outlook_build_create(const ThCalendarCall *call,
									ThHttpRequest *out);
extern void th_outlook_build_read(const ThCalendarCall *call,
								  ThHttpRequest *out);
extern void th_outlook_build_update(const ThCalendarCall *call,
									ThHttpRequest *out);
extern void th_outlook_build_delete(const ThCalendarCall *call,
									ThHttpRequest *out);
extern void th_outlook_build_find(const ThCalendarCall *call,
								  ThHttpRequest *out);
extern void th_outlook_read_event(const ThCalendarCall *call,
								  const ThHttpResult *result, TimestampTz now,
								  ThCalendarAnswer *out);
extern void th_outlook_read_find(const ThCalendarCall *call,
								 const ThHttpResult *result, TimestampTz now,
								 ThCalendarAnswer *out);

/* The codecs of pulls and channels. */
extern void th_outlook_build_list(const ThCalendarCall *call,
								  ThHttpRequest *out);
extern void th_outlook_read_list(const ThCalendarCall *call,
								 const ThHttpResult *result, TimestampTz now,
								 ThCalendarAnswer *out);
extern void th_outlook_build_watch(const ThCalendarCall *call,
								   ThHttpRequest *out);
extern void th_outlook_build_renew(const ThCalendarCall *call,
								   ThHttpRequest *out);
extern void th_outlook_read_watch(const ThCalendarCall *call,
								  const ThHttpResult *result, TimestampTz now,
								  ThCalendarAnswer *out);
extern void th_outlook_build_stop(const ThCalendarCall *call,
								  ThHttpRequest *out);
extern void th_outlook_read_stop(const ThCalendarCall *call,
								 const ThHttpResult *result, TimestampTz now,
								 ThCalendarAnswer *out);

/*
 * One event of an answer; "zone" is the calendar's, for whole days. What
 * cannot be read has a "problem". Memory: current context.
 */
extern void th_outlook_read_seen(Jsonb *event, const char *zone,
								 ThEventSeen *out);

/* "link", or NULL if it leads to another server: our token goes nowhere else. */
extern const char *th_outlook_own_link(const ThCalendarCall *call,
									   const char *link);

/* A link of an answer to go on with, our own, or NULL. Memory: current context. */
extern char *th_outlook_link(const ThCalendarCall *call, Jsonb *document,
							 const char *name);

#endif /* TH_CALENDAR_OUTLOOK_H */
