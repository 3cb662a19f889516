/*
 * calendar_event.h
 *	  Rows of telehealth.calendar_event: what is known of the events of visits
 *	  in connected calendars, and all that decides what they should be.
 *
 * Where: in a transaction, as the worker's role. All work set-wise.
 */
#ifndef TH_STORE_CALENDAR_EVENT_H
#define TH_STORE_CALENDAR_EVENT_H

#include "store/connection.h"
#include "store/job.h"

typedef struct ThCalendarEvent
{
	int64 clinic_id;
	int64 id; /* 0: there is no such row */
	int64 appointment_id;
	int64 connection_id;
	const char *external_id; /* NULL: no remote event is known */
	const char *uid;
	int generation;
	int generation_read; /* what it was when the row was read */
	const char *etag;
	const char *wish_hash;   /* of what was last sent */
	const char *pushed_hash; /* of what is known to be there, or NULL */
	bool has_intent; /* a create was begun and its outcome is not known */
	int64 intent_no; /* claim_no that wrote the intent */
	TimestampTz intent_at;
	const char *remote_state;      /* unchanged, deleted, changed */
	TimestampTz remote_changed_at; /* 0: never */
	bool is_retired;
} ThCalendarEvent;

/* The visit of an event, as far as a calendar may show it. */
typedef struct ThEventVisit
{
	bool exists;
	int64 provider_id;
	const char *type;
	const char *status;
	TimestampTz starts_at;
	TimestampTz ends_at;
	const char *
		timezone; /* the provider's, else the visit's, the clinic's; else UTC */
	const char *title;
	const char *reason;
	const char *location;
	const char *join_url;
	int sequence;
	TimestampTz updated_at;
	bool is_clinic_active;
	const char *provider_name;
	const char *patient_name;
	const char *patient_email;
} ThEventVisit;

typedef struct ThEventSubject
{
	ThCalendarEvent event;
	ThEventVisit visit;
	const ThConnection *connection; /* id 0: there is none */
	uint32 disclosed; /* bits of TH_FACT_* allowed in such a calendar */
} ThEventSubject;

/* Loads the subjects of event jobs, in their order. Memory: current context. */
extern ThEventSubject *th_calendar_event_load(const ThJob *jobs, int n);

/*
 * Commits to creating: writes the intent with intent_no = claim_no, the
 * generation and wish_hash, where theirs is lower. is_ours[i] is false for a
 * row that was lost to somebody else.
 */
extern void th_calendar_event_begin(ThCalendarEvent *const *events,
									const int64 *claim_nos, int n,
									TimestampTz now, bool *is_ours);

typedef struct ThEventWrite
{
	const ThCalendarEvent *event; /* as it is to be */
	bool is_removed;              /* nothing is left of it: the row goes */
	bool is_pushed;               /* pushed_at is now */
	bool is_settled; /* a remote change that was known is dealt with */
} ThEventWrite;

extern void th_calendar_event_write(const ThEventWrite *writes, int n,
									TimestampTz now);

/* A change of somebody's in the calendar that ours has overwritten. */
typedef struct ThEventLoss
{
	const ThCalendarEvent *event;
	const char *change; /* deleted, moved, edited */
	TimestampTz our_start;
	TimestampTz our_end;
	TimestampTz their_start; /* 0: not told */
	TimestampTz their_end;
} ThEventLoss;

extern void th_calendar_event_lose(const ThEventLoss *losses, int n,
								   TimestampTz now);

#endif /* TH_STORE_CALENDAR_EVENT_H */
