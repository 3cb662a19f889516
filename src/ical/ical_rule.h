/*
 * ical_rule.h
 *	  Recurrence rules (RFC 5545, 3.3.10): reading and running them.
 *
 * A rule runs over wall times and costs steps: every day, period and time
 * looked at is one. What it may cost is bounded, and a hook is called along
 * the way, also while nothing matches. A library's iterator would do neither:
 * one call for "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30" does not return.
 */
#ifndef TH_ICAL_RULE_H
#define TH_ICAL_RULE_H

#include "ical/ical_line.h"

/* What is left to spend, and who is told now and then. */
typedef struct ThIcalBudget
{
	int64 file;  /* steps that the file may still cost */
	int64 event; /* and this event */
	int until_pause;
	void (*pause)(void *context); /* may throw */
	void *context;
} ThIcalBudget;

/* Spends a step; false if none is left. */
extern bool th_ical_spend(ThIcalBudget *budget);

typedef enum ThIcalFrequency
{
	TH_ICAL_NEVER,
	TH_ICAL_SECONDLY,
	TH_ICAL_MINUTELY,
	TH_ICAL_HOURLY,
	TH_ICAL_DAILY,
	TH_ICAL_WEEKLY,
	TH_ICAL_MONTHLY,
	TH_ICAL_YEARLY
} ThIcalFrequency;

/* Bits of numbers counted from the front or, negative, from the back. */
#define TH_ICAL_MAX_NUMBER 366
typedef struct ThIcalNumbers
{
	bool is_given;
	uint64 front[TH_ICAL_MAX_NUMBER / 64 + 1];
	uint64 back[TH_ICAL_MAX_NUMBER / 64 + 1];
} ThIcalNumbers;

typedef struct ThIcalRule
{
	ThIcalFrequency frequency;
	int64 interval;
	int64 count; /* 0: none */
	bool has_until;
	ThIcalTime until;
	int week_start; /* 0 is Monday */
	ThIcalNumbers seconds;
	ThIcalNumbers minutes;
	ThIcalNumbers hours;
	ThIcalNumbers months;
	ThIcalNumbers month_days;
	ThIcalNumbers year_days;
	ThIcalNumbers weeks;
	ThIcalNumbers positions;
	bool has_weekdays;
	uint8 weekdays;       /* bits of those without a number */
	bool has_numbered;    /* one of the next */
	ThIcalNumbers nth[7]; /* "2TU", "-1FR" */
	bool is_plain;        /* no BY part was given */
} ThIcalRule;

typedef enum ThIcalRuleEnd
{
	TH_ICAL_RULE_DONE,
	TH_ICAL_RULE_CUT /* a step too many, or "take" wanted no more */
} ThIcalRuleEnd;

/* What to run, from when to when; all are wall times. */
typedef struct ThIcalRun
{
	const ThIcalRule *rule;
	int64 start; /* DTSTART */
	bool is_date;
	int64 until; /* the rule's, PG_INT64_MAX without */
	int64 from;  /* those before may be left out */
	int64 to;    /* those after are */
	bool (*take)(void *context, int64 wall); /* false: enough */
	void *context;
} ThIcalRun;

/* Reads the value of an RRULE; false if it is not valid or not Gregorian. */
extern bool th_ical_rule_read(const char *value, ThIcalRule *rule);

/*
 * Gives "take" the times of the rule in their order. Memory: none. Errors:
 * what the hook and "take" throw.
 */
extern ThIcalRuleEnd th_ical_rule_run(const ThIcalRun *run,
									  ThIcalBudget *budget);

#endif /* TH_ICAL_RULE_H */
