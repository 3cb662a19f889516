/*
 * ical_reader.h
 *	  The inside of the reader: what its files share. Not for other rooms.
 *
 * ical_read.c finds components and UIDs, ical_entry.c reads one component,
 * ical_series.c makes occurrences of those that have one UID.
 */
#ifndef TH_ICAL_READER_H
#define TH_ICAL_READER_H

#include "ical/ical_read.h"

/* A moment of an event: what clocks show, and when that is. */
typedef struct ThIcalMoment
{
	ThIcalForm form;
	const ThIcalZone *zone; /* the owner's for a date */
	int64 wall;
	int64 at;
} ThIcalMoment;

/* A component as found: its lines, and what groups it. */
typedef struct ThIcalItem
{
	const char *begin; /* after BEGIN */
	const char *end;   /* before END */
	const char *uid;   /* as written; NULL: none */
	int sequence;
	bool is_override; /* has a RECURRENCE-ID */
	bool is_free_busy;
	const char *problem; /* NULL: none so far */
} ThIcalItem;

/* An event as read. */
typedef struct ThIcalEntry
{
	const ThIcalItem *item;
	const char *problem; /* what makes it unusable */
	ThIcalMoment start;
	ThIcalLength length;
	ThIcalMoment recurrence; /* of an override */
	bool is_range;           /* this and future */
	bool has_rule;           /* RRULE or RDATE */
	const char *summary;     /* as written */
	const char *status;
	const char *reply;
	bool is_transparent;
} ThIcalEntry;

/* A name of a zone and what became of it. */
typedef struct ThIcalZoneName
{
	const char *name;
	const char *begin; /* its VTIMEZONE; NULL: none */
	const char *end;
	bool is_known; /* looked up */
	const ThIcalZone *zone;
} ThIcalZoneName;

typedef struct ThIcalReader
{
	const ThIcalRead *read;
	ThIcalReadResult result;
	ThIcalBudget budget;
	int64 from; /* the window in seconds, rounded outward */
	int64 to;
	ThIcalItem *items;
	int n_items;
	int items_size;
	ThIcalZoneName *zones;
	int n_zones;
	bool is_full; /* no more rows */
} ThIcalReader;

/* The name's entry, made if there is none; NULL if there are too many. */
extern ThIcalZoneName *th_ical_zone_name(ThIcalReader *reader, const char *name,
										 int length);

/* The moment a value of a property is; NULL, or what is wrong with it. */
extern const char *th_ical_moment_read(ThIcalReader *reader,
									   const ThIcalProperty *property,
									   const char *value, const char *end,
									   ThIcalMoment *moment);

/* Reads an event; whatever is wrong is entry->problem. */
extern void th_ical_entry_read(ThIcalReader *reader, const ThIcalItem *item,
							   ThIcalEntry *entry);

/* Reads a PERIOD into the start and length of an entry; as above. */
extern const char *th_ical_period_read(ThIcalReader *reader,
									   const ThIcalProperty *property,
									   const char *value, const char *end,
									   ThIcalEntry *entry);

/* When a time of the entry's that begins there ends. */
extern int64 th_ical_entry_end(const ThIcalEntry *entry,
							   const ThIcalMoment *start);

/* Emits one occurrence, if it touches the window. "recurrence" may be NULL. */
extern void th_ical_emit(ThIcalReader *reader, const ThIcalEntry *entry,
						 int64 start, int64 end, const int64 *recurrence);

/* Emits a problem. "entry" and "item" may be NULL. */
extern void th_ical_emit_problem(ThIcalReader *reader, const ThIcalItem *item,
								 const ThIcalEntry *entry, const char *problem,
								 bool is_truncated);

/* Emits the occurrences of components of one UID, in their order. */
extern void th_ical_series_emit(ThIcalReader *reader, const ThIcalItem *items,
								int n_items);

/* Emits the busy times of a VFREEBUSY. */
extern void th_ical_free_busy_emit(ThIcalReader *reader,
								   const ThIcalItem *item);

#endif /* TH_ICAL_READER_H */
