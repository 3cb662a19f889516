/*
 * calendar_remote.h
 *	  What somebody did to events of ours in their calendars.
 *
 * Where: in a transaction of the dispatcher, as the worker's role.
 */
#ifndef TH_STORE_CALENDAR_REMOTE_H
#define TH_STORE_CALENDAR_REMOTE_H

#include "datatype/timestamp.h"

typedef struct ThRemoteChange
{
	int64 clinic_id;
	int64 connection_id;
	int64 event_id;
	int64 appointment_id;
	const char *state; /* of the event from now on */
	const char *etag;  /* as it was seen; NULL: as before */
	const char
		*change; /* deleted, moved, edited; NULL: none, it is ours again */
	const char *action; /* restore, flag, cancel */
	TimestampTz our_start;
	TimestampTz our_end;
	TimestampTz their_start; /* 0: not told */
	TimestampTz their_end;
	bool is_pushed; /* the event's job is to write it over */
} ThRemoteChange;

/*
 * Marks the jobs of events, and locks the visits that are to be cancelled.
 * False if somebody holds one of them. Nothing else is written.
 */
extern bool th_remote_prepare(const ThRemoteChange *changes, int n,
							  TimestampTz now);

/* Writes the events' state and the timeline, cancels visits, and tells. */
extern void th_remote_write(const ThRemoteChange *changes, int n,
							TimestampTz now);

#endif /* TH_STORE_CALENDAR_REMOTE_H */
