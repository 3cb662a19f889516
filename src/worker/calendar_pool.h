/*
 * calendar_pool.h
 *	  Calendar connections as the dispatcher sees them: tokens, rates, places.
 *
 * A connection's tokens are those of an account of the pool, which each has
 * inside it; what is shared by all connections of one client at a vendor is
 * kept apart, so that one mailbox that is throttled slows no other.
 */
#ifndef TH_WORKER_CALENDAR_POOL_H
#define TH_WORKER_CALENDAR_POOL_H

#include "flow/calendar_work.h"
#include "platform/oauth.h"
#include "worker/pool.h"

/* All connections of one OAuth client, or of CalDAV. */
typedef struct ThPoolVendor
{
	const ThCalendar *vendor;
	int64 client_clinic_id;
	int64 client_id;
	ThBucket bucket;
	int in_flight;
	int slow; /* of those: see calendar_slow.h */
	int max_in_flight;
	int page_size;
	double calendar_rate; /* of each connection */
	int calendar_max_in_flight;
} ThPoolVendor;

typedef struct ThPoolConnection
{
	ThPoolAccount account; /* its token, credentials, origin */
	TimestampTz client_registered_at;
	const ThCalendar *vendor;
	const ThOauthVendor *oauth; /* NULL: a password */
	ThPoolVendor *shared;
	ThBucket bucket;
	int refusals;      /* in a row, without a success */
	TimestampTz until; /* nothing before */
	int timeouts;      /* in a row, without an answer */
	int aways;         /* times its works found no room for that, in a row */
	TimestampTz away_until;
	bool needs_reauth; /* the vendor has refused the grant itself */
	bool is_held;      /* somebody has its row: it was not written */
	bool is_in_error;  /* as the row says: to be ended by a success */
	TimestampTz used_at;
} ThPoolConnection;

/* The connection of a row, its secrets and token read if it is new or was made anew. Where: in a transaction. */
extern ThPoolConnection *th_calendar_pool_of(const ThConnection *row,
											 TimestampTz now);

/* As those of pool.h, for works about calendars. */
extern TimestampTz th_calendar_pool_not_before(const ThWork *work,
											   TimestampTz now,
											   const char **why);
extern bool th_calendar_pool_has_room(const ThWork *work, TimestampTz now);
extern void th_calendar_pool_started(ThWork *work, TimestampTz now);
extern void th_calendar_pool_ended(ThWork *work, ThCalendarAnswer *answer,
								   const ThHttpResult *result, TimestampTz now);

/* The request for a token, and what its answer says. */
extern void th_calendar_pool_ask(const ThPoolConnection *connection,
								 ThHttpRequest *out);
extern void th_calendar_pool_answer(ThPoolConnection *connection,
									const ThHttpResult *result,
									TimestampTz now);

/* The access token was refused in a call made with that number. */
extern void th_calendar_pool_refused(ThPoolConnection *connection,
									 uint32 token_no, TimestampTz now);

/* Tokens and notes to be written. As th_pool_save() and its kin, which call these. */
extern bool th_calendar_pool_is_dirty(void);
extern void th_calendar_pool_save(TimestampTz now);
extern void th_calendar_pool_saved(void);

/* Reads limits anew and forgets connections that nothing used lately. Where: in a transaction, now and then. */
extern void th_calendar_pool_tidy(TimestampTz now);

#endif /* TH_WORKER_CALENDAR_POOL_H */
