/*
 * visit.h
 *	  What a vendor told of a visit under way, in words of no vendor. Plain
 *	  values only.
 */
#ifndef TH_PLATFORM_VISIT_H
#define TH_PLATFORM_VISIT_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

/* In the order in which events of the same instant are taken. */
typedef enum ThVisitHappening
{
	TH_VISIT_OTHER, /* nothing that the session shows */
	TH_VISIT_STARTED,
	TH_VISIT_WAITING,      /* entered the waiting room, or was put back */
	TH_VISIT_WAITING_LEFT, /* left it, whereto is not said */
	TH_VISIT_ADMITTED,
	TH_VISIT_JOINED,
	TH_VISIT_NOTED, /* says something of a participant */
	TH_VISIT_LEFT,
	TH_VISIT_ENDED,
	TH_VISIT_RECORDED,
	TH_VISIT_RECORDING_TRASHED,
	TH_VISIT_RECORDING_DELETED,
	TH_VISIT_DELETED, /* the meeting itself, at the vendor */
	TH_VISIT_RECOVERED,
	TH_VISIT_INTERPRETER /* one was asked for */
} ThVisitHappening;

/* One recorded file. */
typedef struct ThVisitFile
{
	const char *file_id;
	const char *type;
	const char *url;
	int64 size;             /* bytes; -1 unknown */
	TimestampTz started_at; /* 0 unknown */
	TimestampTz ended_at;
	const char *status; /* COMPLETED, TRASHED, DELETED */
	TimestampTz deleted_at;
	const char *instance;
} ThVisitFile;

/* Texts are "" where they are not told, but never NULL. */
typedef struct ThVisitEvent
{
	ThVisitHappening happening;
	TimestampTz at;         /* when it happened */
	TimestampTz told_at;    /* when the vendor told it; decides ties */
	const char *instance;   /* the run of the meeting, its uuid */
	TimestampTz started_at; /* of that run, as this event says; 0 */

	const char *identity;   /* who it is, also after coming back */
	const char *connection; /* which of that person's connections */
	const char *name;
	const char *device;
	int latency_ms; /* -1 unknown */
	bool is_host;
	bool is_interpreter;

	ThVisitFile *files;
	int n_files;
	const char *share_url;
} ThVisitEvent;

/*
 * Reads an event of Zoom: "name" as it was filed, "event_at" when it
 * happened as far as the one who filed it knew. "host" is the user whose
 * meeting it is, an id or an e-mail address, or NULL. Whatever "raw" holds
 * is taken in bounds, never refused. Memory: current context.
 */
extern void th_zoom_visit_read(const char *name, TimestampTz event_at,
							   Jsonb *raw, const char *host, ThVisitEvent *out);

#endif /* TH_PLATFORM_VISIT_H */
