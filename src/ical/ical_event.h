/*
 * ical_event.h
 *	  A calendar (RFC 5545, RFC 7986) from structs, in one pass.
 *
 * A writer takes components one by one, in the order they are to have, and
 * remembers which zones they use from when to when; its end puts the head and
 * one VTIMEZONE a zone before them. No SPI, no clock: the same calls give the
 * same bytes. Lines end in CRLF and have at most 75 octets; control characters
 * and invalid UTF-8 never reach the output.
 *
 * Texts are UTF-8 whatever the database's encoding, NULL leaves out, and words
 * (status, class, method) are not checked. Instants outside of the years 1 to
 * 9999 become the nearest day inside; they are finite. Errors of all: out of
 * memory, and program_limit_exceeded beyond 1 GB.
 */
#ifndef TH_ICAL_EVENT_H
#define TH_ICAL_EVENT_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* A zone of the calendar, and what range of it is used. */
typedef struct ThIcalUse ThIcalUse;

typedef struct ThIcalPerson
{
	const char *address; /* an e-mail address, or a URI with its scheme */
	const char *name;    /* CN */
	const char *type;    /* CUTYPE: INDIVIDUAL ... */
	const char *role;    /* REQ-PARTICIPANT ... */
	const char *status;  /* PARTSTAT: ACCEPTED ... */
	bool is_asked;       /* RSVP=TRUE */
} ThIcalPerson;

typedef struct ThIcalEvent
{
	const char *uid;   /* required */
	TimestampTz stamp; /* DTSTAMP, required */
	bool has_created;
	bool has_last_modified;
	bool has_recurrence_id;
	bool is_all_day;     /* dates in "zone", the end is the day after */
	bool is_transparent; /* TRANSP:TRANSPARENT, else OPAQUE */
	bool is_meeting;     /* "url" is also the CONFERENCE */
	TimestampTz created;
	TimestampTz last_modified;
	TimestampTz recurrence_id; /* the original start of one occurrence */
	int sequence;
	TimestampTz starts_at; /* required */
	TimestampTz ends_at;   /* required */
	ThIcalUse *zone;       /* of this writer; NULL: UTC */
	const char *status;    /* TENTATIVE, CONFIRMED, CANCELLED */
	const char *summary;
	const char *description;
	const char *location;
	const char *url;
	const char *conference; /* a URI, if it is not "url" */
	const char *class_name; /* CLASS: PUBLIC, PRIVATE, CONFIDENTIAL */
	const char *color;      /* a name of CSS */
	const char *rrule;
	const ThIcalPerson *organizer;
	const ThIcalPerson *attendees;
	int n_attendees;
	int n_categories;
	const char *const *categories;
	int n_exdates;
	int n_rdates;
	const TimestampTz *exdates;
	const TimestampTz *rdates;
	const int64 *alarms; /* seconds before the start */
	int n_alarms;
} ThIcalEvent;

typedef struct ThIcalPeriod
{
	TimestampTz starts_at;
	TimestampTz ends_at;
	bool is_tentative;
} ThIcalPeriod;

/* A VFREEBUSY, in UTC. */
typedef struct ThIcalBusy
{
	const char *uid;
	TimestampTz stamp;
	TimestampTz starts_at; /* what the answer covers */
	TimestampTz ends_at;
	int n_periods;
	const ThIcalPeriod *periods; /* sorted */
} ThIcalBusy;

typedef struct ThIcalHead
{
	const char *method;
	const char *name; /* NAME and X-WR-CALNAME */
	const char *description;
	const char *color;
	const char *url;
	int64 refresh_seconds; /* REFRESH-INTERVAL, X-PUBLISHED-TTL; 0: left out */
} ThIcalHead;

typedef struct ThIcalWriter
{
	StringInfoData body;
	MemoryContext context; /* of body and zones */
	ThIcalUse *zones;
} ThIcalWriter;

/* Memory: all that the writer needs comes from the present context. */
extern void th_ical_begin(ThIcalWriter *writer);

/* The zone of that name, the same for every call; NULL if there is none. */
extern ThIcalUse *th_ical_zone(ThIcalWriter *writer, const char *name);

extern void th_ical_add_event(ThIcalWriter *writer, const ThIcalEvent *event);
extern void th_ical_add_busy(ThIcalWriter *writer, const ThIcalBusy *busy);

/* Appends the whole VCALENDAR to "out"; the writer may go on after it. */
extern void th_ical_finish(const ThIcalWriter *writer, const ThIcalHead *head,
						   StringInfo out);

/*
 * Makes the body the whole VCALENDAR, behind so many octets of the caller's;
 * nothing may be added after it.
 */
extern void th_ical_finish_in_place(ThIcalWriter *writer,
									const ThIcalHead *head, int before);

#endif /* TH_ICAL_EVENT_H */
