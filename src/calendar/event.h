/*
 * event.h
 *	  An event as we want it in somebody's calendar, what a calendar says of
 *	  its events, and what a vendor answered. Plain values only.
 */
#ifndef TH_CALENDAR_EVENT_H
#define TH_CALENDAR_EVENT_H

#include "datatype/timestamp.h"

/* What an answer means for the work; classified by HTTP status first. */
typedef enum ThCalendarVerdict
{
	TH_CALENDAR_OK,
	TH_CALENDAR_GONE,          /* 404, 410: it does not exist */
	TH_CALENDAR_EXISTS,        /* a create found its name taken: adopt */
	TH_CALENDAR_CHANGED,       /* If-Match failed: read again */
	TH_CALENDAR_RESET,         /* LIST: the cursor is no good: all anew */
	TH_CALENDAR_TOKEN_EXPIRED, /* get a new token, repeat once */
	TH_CALENDAR_SCOPE_MISSING, /* the user did not grant enough */
	TH_CALENDAR_CREDENTIALS,   /* grant or password refused: reconnect */
	TH_CALENDAR_RATE_LIMITED,  /* slow down; retry_at may be 0 */
	TH_CALENDAR_RETRY,         /* did not act; try later */
	TH_CALENDAR_UNKNOWN,       /* may have acted: look before repeating */
	TH_CALENDAR_PERMANENT      /* repeating is useless */
} ThCalendarVerdict;

/* The event as our tables want it; made by flow/event_wish.c alone. */
typedef struct ThEventWish
{
	const char *uid; /* iCalUID: the same in feed, mail and calendars */
	const char *key; /* opaque tag by which we know our own, see FIND */
	int generation;  /* of the event's remote name */
	TimestampTz starts_at;
	TimestampTz ends_at;
	const char *timezone; /* IANA name */
	const char *summary;
	const char *description; /* or NULL */
	const char *location;    /* or NULL */
	const char *url;         /* or NULL */
	bool is_private;
	bool is_free; /* does not block the calendar's owner */
	int sequence;
	TimestampTz updated_at;
	const char *const *attendees; /* e-mail addresses; none by default */
	int n_attendees;
	bool mails_attendees; /* only where a setting asks for it */
	bool names_attendees; /* now or before: who is not named goes */
} ThEventWish;

/* How somebody's event counts, before the busy rules of calendar/busy.h. */
typedef enum ThEventShow
{
	TH_SHOW_BUSY,
	TH_SHOW_FREE,
	TH_SHOW_TENTATIVE,
	TH_SHOW_AWAY,     /* out of office */
	TH_SHOW_ELSEWHERE /* works, but at another place */
} ThEventShow;

/* Our owner's answer to an invitation. */
typedef enum ThEventReply
{
	TH_REPLY_NONE, /* no invitation, or the owner's own event */
	TH_REPLY_ACCEPTED,
	TH_REPLY_TENTATIVE,
	TH_REPLY_DECLINED,
	TH_REPLY_OPEN /* not answered yet */
} ThEventReply;

/*
 * One event, or one occurrence, as the calendar has it: READ, FIND, LIST.
 * What a pull names of an external_id is all there is of it in the window.
 */
typedef struct ThEventSeen
{
	const char *external_id;
	const char *etag; /* or NULL */
	const char *uid;  /* or NULL */
	const char *key;  /* our tag, or NULL: somebody else's event */
	bool is_copy;     /* it has our tag, and somebody else has made it */
	bool is_deleted;  /* nothing but the id may be there; not in the window */
	bool is_cancelled;
	bool is_all_day;       /* starts_at, ends_at: midnights of "timezone" */
	const char *timezone;  /* IANA name, or NULL */
	TimestampTz starts_at; /* 0 if not told */
	TimestampTz ends_at;
	TimestampTz recurrence_id; /* DT_NOBEGIN if it does not recur */
	TimestampTz updated_at;    /* 0 if not told */
	ThEventShow show;
	ThEventReply reply;
	bool
		is_series; /* the rule alone: its occurrences are events of their own */
	const char *series_id; /* of an occurrence that says no more than its
							* times: the event with its rule has the rest */
	const char *type; /* vendor's kind of event ("workingLocation"), or NULL */
	const char *summary; /* of our own events; others' is never kept */
	const char *description;
	const char *location;
	const char *problem; /* our words: it cannot be read; the rest is void */
} ThEventSeen;

typedef struct ThCalendarAnswer
{
	ThCalendarVerdict verdict;
	char *code;           /* vendor's own code, or NULL */
	char *message;        /* redacted, or NULL */
	TimestampTz retry_at; /* not before; 0: not told */

	/* CREATE, UPDATE, READ, FIND, LIST: what the calendar has */
	ThEventSeen *events;
	int n_events;

	/*
	 * FIND, LIST, DISCOVER: text for the next call of the same operation, or
	 * NULL if this was the last.
	 */
	char *next;

	/* LIST, after the last page */
	char *cursor;     /* for the next pull; NULL: always all */
	bool is_complete; /* a full pass: what was not named is not there */

	/* DISCOVER, after the last step */
	char *calendar_id; /* what further calls name; CalDAV: absolute URL */
	char *identity;    /* tells it from all others; NULL: not told */
	char *api_url;     /* where it is, if elsewhere; or NULL */
	char *account;     /* who the calendar belongs to, or NULL */
	char *timezone;    /* IANA name, or NULL */

	/* WATCH, RENEW */
	char *channel_id; /* Graph's subscription; Google: as sent */
	char *resource_id;
	TimestampTz expires_at;
} ThCalendarAnswer;

#endif /* TH_CALENDAR_EVENT_H */
