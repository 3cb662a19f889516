/*
 * google.h
 *	  Google Calendar v3: what its files share.
 */
#ifndef TH_CALENDAR_GOOGLE_H
#define TH_CALENDAR_GOOGLE_H

#include "calendar/answer.h"

/*
 * api_url/calendars/{calendar}/"suffix"; "suffix" is appended as it is.
 * Memory: current context.
 */
extern char *th_google_url(const ThCalendarCall *call, const char *suffix);

/*
 * th_calendar_read_json(), and what Google's reasons say beyond the status: a
 * 403 may be a rate, a missing scope or a refusal.
 */
extern bool th_google_read(const ThHttpResult *result, bool is_safe,
						   TimestampTz now, ThCalendarAnswer *out,
						   Jsonb **document);

/* The codecs of events. */
extern void th_google_build_create(const ThCalendarCall *call,
								   ThHttpRequest *out);
extern void th_google_build_read(const ThCalendarCall *call,
								 ThHttpRequest *out);
extern void th_google_build_update(const ThCalendarCall *call,
								   ThHttpRequest *out);
extern void th_google_build_delete(const ThCalendarCall *call,
								   ThHttpRequest *out);
extern void th_google_build_find(const ThCalendarCall *call,
								 ThHttpRequest *out);
extern void th_google_read_event(const ThCalendarCall *call,
								 const ThHttpResult *result, TimestampTz now,
								 ThCalendarAnswer *out);
extern void th_google_read_find(const ThCalendarCall *call,
								const ThHttpResult *result, TimestampTz now,
								ThCalendarAnswer *out);

/* The codecs of pulls and channels. */
extern void th_google_build_list(const ThCalendarCall *call,
								 ThHttpRequest *out);
extern void th_google_read_list(const ThCalendarCall *call,
								const ThHttpResult *result, TimestampTz now,
								ThCalendarAnswer *out);
extern void th_google_build_watch(const ThCalendarCall *call,
								  ThHttpRequest *out);
extern void th_google_read_watch(const ThCalendarCall *call,
								 const ThHttpResult *result, TimestampTz now,
								 ThCalendarAnswer *out);
extern void th_google_build_stop(const ThCalendarCall *call,
								 ThHttpRequest *out);
extern void th_google_read_stop(const ThCalendarCall *call,
								const ThHttpResult *result, TimestampTz now,
								ThCalendarAnswer *out);

/* The table's "name". */
extern char *th_google_name(const ThEventWish *wish);

/*
 * One event of an answer; "zone" is the calendar's, for whole days. What
 * cannot be read has a "problem". Memory: current context.
 */
extern void th_google_read_seen(Jsonb *event, const char *zone,
								ThEventSeen *out);

#endif /* TH_CALENDAR_GOOGLE_H */
