/*
 * csv_read.h
 *	  Comma-separated text (RFC 4180), record by record.
 *
 * Works in the caller's buffer, which it changes; allocates nothing, throws
 * nothing, needs no server. A byte order mark, a first line "sep=X", line ends
 * of any kind, and ";" or a tab instead of the comma are taken as they come.
 */
#ifndef TH_ICAL_CSV_READ_H
#define TH_ICAL_CSV_READ_H

#include <stdbool.h>
#include <stddef.h>

#define TH_CSV_MAX_FIELDS 256

typedef enum ThCsvResult
{
	TH_CSV_RECORD,
	TH_CSV_END,
	TH_CSV_BAD_QUOTES, /* text after a closing quote; reading can go on */
	TH_CSV_TOO_MANY,   /* more fields than TH_CSV_MAX_FIELDS; likewise */
	TH_CSV_OPEN_QUOTE  /* a quote is never closed: the rest is lost */
} ThCsvResult;

typedef struct ThCsvReader
{
	char *next;
	char *end;
	int line; /* of what comes next, from 1 */
	char delimiter;
} ThCsvReader;

typedef struct ThCsvRecord
{
	int line; /* where it begins */
	int n_fields;
	char *fields[TH_CSV_MAX_FIELDS]; /* inside the buffer */
} ThCsvRecord;

/* Begins to read "text", of which text[length] may be written too. */
extern void th_csv_open(ThCsvReader *reader, char *text, size_t length);

/* The next record that is not an empty line. */
extern ThCsvResult th_csv_next(ThCsvReader *reader, ThCsvRecord *record);

#endif /* TH_ICAL_CSV_READ_H */
