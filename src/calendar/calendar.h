/*
 * calendar.h
 *	  What telehealth needs of a calendar vendor, as one const table each.
 *
 * An adapter is pure: it turns a call into a request and a result into an
 * answer. No SPI, no clock, no shared memory, no state: what a series of
 * calls has to remember is in the texts "next" and "cursor", which only the
 * adapter reads. Adding a vendor is a table and one line in calendar.c.
 */
#ifndef TH_CALENDAR_CALENDAR_H
#define TH_CALENDAR_CALENDAR_H

#include "calendar/event.h"
#include "http/request.h"

typedef enum ThCalendarOp
{
	TH_CALENDAR_CREATE,
	TH_CALENDAR_READ,
	TH_CALENDAR_UPDATE, /* revives what was deleted where the vendor can */
	TH_CALENDAR_DELETE,
	TH_CALENDAR_FIND,     /* events with our key */
	TH_CALENDAR_LIST,     /* one page of a pull */
	TH_CALENDAR_DISCOVER, /* one step of finding the calendar */
	TH_CALENDAR_WATCH,    /* asks for change notifications */
	TH_CALENDAR_RENEW,    /* of a channel */
	TH_CALENDAR_STOP,     /* of a channel */
	TH_CALENDAR_REVOKE    /* of the grant itself */
} ThCalendarOp;

#define TH_CALENDAR_OP_COUNT (TH_CALENDAR_REVOKE + 1)

typedef struct ThCalendarAccount
{
	const char *api_url;       /* without a trailing slash; CalDAV: as given */
	const char *revoke_url;    /* or NULL */
	const char *calendar_id;   /* NULL: the vendor's own default */
	const char *token;         /* secret; or the two below */
	const char *username;      /* secret */
	const char *password;      /* secret */
	const char *refresh_token; /* secret; REVOKE only */
	const char *timezone;      /* IANA name, for whole days; NULL: UTC */
	int page_size;
	int timeout_ms; /* 0: the setting */
} ThCalendarAccount;

typedef struct ThCalendarChannel
{
	const char *channel_id; /* chosen by us (Google) or the vendor (Graph) */
	const char *resource_id;
	const char *secret;     /* token or clientState */
	const char *address;    /* where notifications go */
	TimestampTz expires_at; /* wanted; the answer has the true one */
} ThCalendarChannel;

typedef struct ThCalendarCall
{
	ThCalendarOp op;
	const ThCalendarAccount *account;
	const ThEventWish *wish; /* CREATE, UPDATE */

	/* READ, UPDATE, DELETE; for CREATE what name() gave */
	const char *external_id;
	const char *etag; /* UPDATE, DELETE: If-Match; NULL: whatever there is */
	const char *key;  /* FIND: the tag; NULL: all that has one of ours */
	const char *next; /* FIND, LIST, DISCOVER: of the answer before, or NULL */

	/*
	 * LIST; a full pass without a cursor. FIND, all: what is outside of the
	 * window may be left out; 0: nothing may.
	 */
	const char *cursor;
	TimestampTz window_start;
	TimestampTz window_end;

	const ThCalendarChannel *channel; /* WATCH, RENEW, STOP */
} ThCalendarCall;

/*
 * build: fills "out". read: reads "result" into "out"; zeroed by the callee;
 * never throws for any content. "now" serves Retry-After. Both NULL: the
 * vendor has no such operation. Memory: current context.
 */
typedef struct ThCalendarCodec
{
	void (*build)(const ThCalendarCall *call, ThHttpRequest *out);
	void (*read)(const ThCalendarCall *call, const ThHttpResult *result,
				 TimestampTz now, ThCalendarAnswer *out);
} ThCalendarCodec;

typedef struct ThCalendar
{
	const char *kind;        /* google, outlook, caldav */
	bool is_oauth;           /* a grant given in a browser; else a password */
	const char *push_source; /* of receive_webhook(), or NULL */
	bool is_vague;           /* LIST: deleted is also what left the window */

	/* True if what was granted (space separated; NULL: not told) is enough. */
	bool (*has_scopes)(const char *granted);

	/*
	 * The name of an event that its create and later calls use, or NULL if
	 * the vendor chooses it. Memory: current context.
	 */
	char *(*name)(const ThEventWish *wish);

	ThCalendarCodec codecs[TH_CALENDAR_OP_COUNT];
} ThCalendar;

/* The adapter of "kind", or NULL. */
extern const ThCalendar *th_calendar_find(const char *kind);

/* The i-th adapter, from 0; NULL after the last. */
extern const ThCalendar *th_calendar_at(int i);

/* "create", "token_expired": for rows and messages. Memory: static. */
extern const char *th_calendar_op_name(ThCalendarOp op);
extern const char *th_calendar_verdict_name(ThCalendarVerdict verdict);

extern const ThCalendar th_calendar_caldav;
extern const ThCalendar th_calendar_google;
extern const ThCalendar th_calendar_outlook;

#endif /* TH_CALENDAR_CALENDAR_H */
