/*
 * ical_line.h
 *	  Content lines of iCalendar text, and the values in them.
 *
 * Accepts what is badly folded: any line end, folds inside characters and
 * escapes, and lines that continue without a blank in front. Never throws,
 * but for memory.
 */
#ifndef TH_ICAL_LINE_H
#define TH_ICAL_LINE_H

typedef struct ThIcalLines
{
	char *begin; /* each line ends in a zero byte */
	char *end;   /* after the last zero byte */
} ThIcalLines;

/* A property; all point into its line. */
typedef struct ThIcalProperty
{
	const char *name;
	int name_length;
	const char *parameters; /* from the first semicolon on, or the colon */
	const char *value;
} ThIcalProperty;

typedef enum ThIcalForm
{
	TH_ICAL_DATE,
	TH_ICAL_UTC,
	TH_ICAL_LOCAL
} ThIcalForm;

/* A date or a time, as a clock shows it; see ical_zone.h. */
typedef struct ThIcalTime
{
	ThIcalForm form;
	int64 wall;
} ThIcalTime;

/* A length: days as the calendar has them, and seconds. */
typedef struct ThIcalLength
{
	int64 days;
	int64 seconds;
} ThIcalLength;

/* The longest length that is taken, in seconds: 100 years. */
#define TH_ICAL_MAX_LENGTH INT64CONST(3155760000)

/* The text unfolded. Memory: current context, one chunk. */
extern ThIcalLines th_ical_lines_read(const char *text, size_t length);

/* Takes a line apart; false if it is none. */
extern bool th_ical_property_read(const char *line, ThIcalProperty *property);

extern bool th_ical_property_is(const ThIcalProperty *property,
								const char *name);

/* Whether "length" octets are "word", which is upper case, in any case. */
extern bool th_ical_same(const char *text, int length, const char *word);

/* Length and beginning of a parameter's value without its quotes, or -1. */
extern int th_ical_parameter(const ThIcalProperty *property, const char *name,
							 const char **value);

/* Whether "text" is "word" in any case, blanks after it not counted. */
extern bool th_ical_word_is(const char *text, const char *word);

/*
 * A date, or a date and time, up to "end"; years 1 to 9999. "20260106",
 * "20260106T093000", "20260106T093000Z".
 */
extern bool th_ical_time_read(const char *value, const char *end,
							  ThIcalTime *time);

/* A DURATION; negative ones are refused. */
extern bool th_ical_length_read(const char *value, const char *end,
								ThIcalLength *length);

/* A UTC-OFFSET in seconds, up to a day. */
extern bool th_ical_offset_read(const char *value, int *offset);

/* Writes "value" without its escapes, at most "size" octets with the zero. */
extern void th_ical_text_read(const char *value, char *out, size_t size);

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
extern int64 th_ical_days(int year, int month, int day);

#endif /* TH_ICAL_LINE_H */
