/*
 * visit_parts.h
 *	  What the files of the fold share; nobody else includes it.
 *
 * visit_fold.c finds persons and runs, visit_people.c who was there when,
 * waited, and what was recorded.
 */
#ifndef TH_FLOW_VISIT_PARTS_H
#define TH_FLOW_VISIT_PARTS_H

#include "flow/visit_fold.h"

typedef struct ThVisitRun
{
	const char *uuid;
	TimestampTz begun;       /* as its beginning says; 0 not told */
	TimestampTz begun_ended; /* as its end says */
	TimestampTz first_seen;  /* somebody came or went */
	TimestampTz last_seen;
	TimestampTz started_at; /* what follows from these */
	TimestampTz ended_at;   /* 0: it runs */
	bool has_patient;
	bool counts;
} ThVisitRun;

/* From coming to going. */
typedef struct ThVisitStay
{
	int person;
	TimestampTz from; /* 0: not known */
	TimestampTz to;   /* 0: still there */
} ThVisitStay;

/* A set of texts, sorted, each once. */
typedef struct ThVisitNames
{
	const char **names;
	int n;
} ThVisitNames;

typedef struct ThVisitFold
{
	const ThVisitEvent *events; /* sorted */
	int n;
	const ThVisitFacts *facts;
	ThVisitNames persons;
	ThVisitPerson *people; /* by the number in persons */
	bool *is_host;
	bool *is_interpreter;
	int *person; /* of each event; -1 none */
	ThVisitNames uuids;
	ThVisitRun *runs; /* by the number in uuids */
	ThVisitRun **order;
	int *run; /* of each event; -1 none */
	ThVisitStay *stays;
	int n_stays;
} ThVisitFold;

/* Sorts the set, and leaves each once. */
extern void th_visit_names_sort(ThVisitNames *set);

/* The number of a name in a sorted set; -1 if it is not there. */
extern int th_visit_names_find(const ThVisitNames *set, const char *name);

/* For qsort(). */
extern int th_visit_compare_instants(TimestampTz a, TimestampTz b);

/* The earlier of two instants, of which 0 is none. */
extern TimestampTz th_visit_earlier(TimestampTz a, TimestampTz b);

extern bool th_visit_is_patient(const ThVisitFold *fold, int person);

/*
 * From a fold whose persons and runs are known: who was there, who waited,
 * and what was recorded. Where: in this order, after the status was found.
 */
extern void th_visit_tell_stays(ThVisitFold *fold);
extern void th_visit_tell_waits(ThVisitFold *fold, ThVisit *out);
extern void th_visit_tell_people(const ThVisitFold *fold, ThVisit *out);
extern void th_visit_tell_files(const ThVisitFold *fold, ThVisit *out);

#endif /* TH_FLOW_VISIT_PARTS_H */
