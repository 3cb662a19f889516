/*
 * ical_read.h
 *	  iCalendar text to occurrences inside a window of time.
 *
 * Reads what others wrote: nothing in the text is an error, a bad item is a
 * row that says what is wrong with it. Bytes, components, occurrences and
 * steps of recurrence rules are bounded, and a hook of the caller's is called
 * all along, so that a statement can be cancelled. No SPI, no clock, no
 * shared memory; memory is palloc'd in the current context and freed with it.
 */
#ifndef TH_ICAL_READ_H
#define TH_ICAL_READ_H

#include "datatype/timestamp.h"

#include "ical/ical_zone.h"

/* What one file may hold and cost; beyond it the answer is truncated. */
#define TH_ICAL_MAX_COMPONENTS 50000
#define TH_ICAL_MAX_OCCURRENCES 500000
#define TH_ICAL_MAX_EVENT_OCCURRENCES 20000
#ifndef TH_ICAL_MAX_STEPS /* fewer where the reader is fuzzed */
#define TH_ICAL_MAX_STEPS 20000000
#define TH_ICAL_MAX_EVENT_STEPS 2000000
#endif

/*
 * One occurrence, or one problem. Texts are in the encoding of the input,
 * unescaped, valid during the call of "emit" only.
 */
typedef struct ThIcalOccurrence
{
	const char *uid;           /* NULL: none was given */
	bool is_period;            /* of a VFREEBUSY: one of many with its uid */
	bool has_times;            /* false: starts_at and ends_at mean nothing */
	bool has_recurrence_id;    /* of a recurring event */
	TimestampTz recurrence_id; /* the start its rule gives, also if moved */
	TimestampTz starts_at;
	TimestampTz ends_at; /* not before starts_at; the same for a point */
	bool is_all_day;
	const char *summary;      /* NULL: none */
	const char *status;       /* TENTATIVE, CONFIRMED, CANCELLED, or NULL */
	const char *transparency; /* OPAQUE or TRANSPARENT */
	bool is_busy;             /* opaque, and not cancelled */
	const char *reply; /* the owner's PARTSTAT: ACCEPTED, TENTATIVE, DECLINED,
						* NEEDS-ACTION; NULL: not invited, see addresses */
	int sequence;
	bool is_truncated;   /* there is more than was read; has no times */
	const char *problem; /* NULL: none; a constant, never of the input */
} ThIcalOccurrence;

/* What to read, and whom to ask. */
typedef struct ThIcalRead
{
	const char *text;
	size_t length;
	TimestampTz window_start; /* occurrences that touch [start, end) */
	TimestampTz window_end;
	const ThIcalZone *zone; /* the owner's: all-day and floating times */
	const char *addresses;  /* the owner's, by commas, for "reply"; or NULL */
	int64 max_steps;        /* what it may cost; 0: TH_ICAL_MAX_STEPS */

	/*
	 * The zone a TZID names that the text itself does not define, or NULL:
	 * then what uses it becomes a problem. Asked once a name. May throw.
	 */
	const ThIcalZone *(*find_zone)(void *context, const char *name);
	/* Takes one occurrence or problem. May throw. */
	void (*emit)(void *context, const ThIcalOccurrence *occurrence);
	/* Called at least every few thousand steps. May throw. */
	void (*pause)(void *context);
	void *context;
} ThIcalRead;

/* What became of it. */
typedef struct ThIcalReadResult
{
	int64 occurrences; /* rows without a problem */
	int64 problems;    /* rows with one */
	bool is_complete;  /* the whole calendar was there, and nothing was cut */
} ThIcalReadResult;

/*
 * Emits every occurrence that touches the window, those of one UID together.
 * Problems are emitted whether they concern the window or not: nobody knows.
 *
 * Memory: the current context; about twice the text. Errors: out of memory,
 * and what the callbacks throw.
 */
extern ThIcalReadResult th_ical_read(const ThIcalRead *read);

#endif /* TH_ICAL_READ_H */
