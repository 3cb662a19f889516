/*
 * csv_time.h
 *	  Dates and times as people and programs write them into tables.
 *
 * 2030-12-31, 20301231, 12/31/2030, 31.12.2030; 9, 9:30, 09:30:00, 9:30 PM;
 * both in one, also with "Z" or an offset. Allocates nothing, throws nothing,
 * needs no server.
 */
#ifndef TH_ICAL_CSV_TIME_H
#define TH_ICAL_CSV_TIME_H

#include <stdbool.h>

/* As on the wall; valid as a date. */
typedef struct ThCsvTime
{
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
	bool has_time;
	bool has_offset;
	int offset_s; /* east of Greenwich, if has_offset */
} ThCsvTime;

/* What the dates of a text tell about the order of day and month. */
typedef struct ThCsvOrder
{
	bool is_day_first_seen;   /* 31/12/2030 stands in it */
	bool is_month_first_seen; /* 12/31/2030 does */
} ThCsvOrder;

/* Takes note of a date, if it is one that tells. */
extern void th_csv_time_learn(ThCsvOrder *order, const char *text);

/* True if the text begins like a date. */
extern bool th_csv_time_is_date(const char *text);

/*
 * A date with or without a time in "date", or its time in "time". Null, or
 * what is wrong with it. Without another date that tells, a month stands
 * before its day, as in the exports of Google and Outlook, but for 31.12.2030.
 */
extern const char *th_csv_time_read(const ThCsvOrder *order, const char *date,
									const char *time, ThCsvTime *out);

/* The same for a time alone; the date stays what it is. */
extern const char *th_csv_time_read_clock(const char *text, ThCsvTime *out);

/* The next day, at the same time. */
extern void th_csv_time_add_day(ThCsvTime *time);

/* Less than, equal to or greater than 0, as "a" is to "b" on one wall. */
extern int th_csv_time_compare(const ThCsvTime *a, const ThCsvTime *b);

/* Up to "most" digits at *p, which moves behind them; how many there were. */
extern int th_csv_time_read_number(const char **p, int most, int *value);

#endif /* TH_ICAL_CSV_TIME_H */
