/*
 * ical_write.h
 *	  iCalendar text (RFC 5545, RFC 7986) from structs, in one pass.
 *
 * Lines end in CRLF and are folded at 75 octets between UTF-8 characters;
 * TEXT values are escaped; control characters and invalid UTF-8 never reach
 * the output. No SPI, no clock. The same input gives the same bytes.
 */
#ifndef TH_ICAL_WRITE_H
#define TH_ICAL_WRITE_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

typedef struct ThIcalEvent
{
	const char *uid;     /* required */
	TimestampTz stamp;   /* DTSTAMP, required */
	TimestampTz created; /* 0: left out, as below */
	TimestampTz last_modified;
	int sequence;
	TimestampTz starts_at; /* required, written in UTC */
	TimestampTz ends_at;   /* required */
	const char *summary;   /* NULL: left out, as below */
	const char *description;
	const char *location;
	const char *url; /* also CONFERENCE when it is_meeting */
	bool is_meeting;
	const char *status; /* TENTATIVE, CONFIRMED, CANCELLED */
	bool is_private;    /* CLASS:PRIVATE */
} ThIcalEvent;

/*
 * A VCALENDAR is start, events, end, appended to "out". method and name may
 * be NULL. Texts are UTF-8, whatever the database's encoding. Errors of all
 * three: out of memory.
 */
extern void th_ical_write_start(StringInfo out, const char *method,
								const char *name);
extern void th_ical_write_event(StringInfo out, const ThIcalEvent *event);
extern void th_ical_write_end(StringInfo out);

#endif /* TH_ICAL_WRITE_H */
