/*
 * job_kind.h
 *	  What jobs are about.
 */
#ifndef TH_STORE_JOB_KIND_H
#define TH_STORE_JOB_KIND_H

typedef enum ThJobKind
{
	TH_JOB_MEETING,  /* subject: appointment */
	TH_JOB_HOLD,     /* subject: appointment, due at held_until */
	TH_JOB_PROVIDER, /* subject, as for the others: visits to come are marked */
	TH_JOB_PATIENT,
	TH_JOB_CLINIC,  /* clinic 0: all of them */
	TH_JOB_SERIES,  /* subject: series, due when its horizon reaches a day */
	TH_JOB_SESSION, /* subject: session; what was heard of it is put together */
	TH_JOB_CALENDARS,  /* subject: appointment; its events are marked */
	TH_JOB_EVENT,      /* subject: calendar_event */
	TH_JOB_PULL,       /* subject, as for the others: calendar_connection */
	TH_JOB_CHANNEL,    /* change notifications are asked for, renewed, ended */
	TH_JOB_CONNECTION, /* found, kept alive, purged, ended */
	TH_JOB_BACKFILL    /* its provider's visits to come are marked */
} ThJobKind;

#define TH_JOB_KIND_COUNT (TH_JOB_BACKFILL + 1)

/* "meeting", as in rows. Memory: static. */
extern const char *th_job_kind_name(ThJobKind kind);
extern ThJobKind th_job_kind_of(const char *name); /* else MEETING */

#endif /* TH_STORE_JOB_KIND_H */
