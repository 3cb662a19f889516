/*
 * door.h
 *	  The shared-memory door of each database that listens for HTTP.
 *
 * The dispatcher of a database publishes what its settings want; the launcher
 * gives an address and port to one database and starts the gateway processes;
 * these count what they do; backends read copies. Protected by th_slot_lock
 * but for the counters, which are atomics and stay when a process is replaced.
 */
#ifndef TH_WORKER_DOOR_H
#define TH_WORKER_DOOR_H

#include "datatype/timestamp.h"

#define TH_MAX_DOORS 16
#define TH_MAX_HTTP_WORKERS 4
#define TH_LISTEN_LENGTH 48

/* What the settings of a database want. Plain, and compared as a whole. */
typedef struct ThHttpWish
{
	int port; /* 0: none; unless is_known nothing is known yet */
	int workers;
	char listen[TH_LISTEN_LENGTH];
	uint32 settings; /* changes with ALTER DATABASE ... SET */
	bool is_known;
} ThHttpWish;

typedef enum ThDoorState
{
	TH_DOOR_OFF,
	TH_DOOR_STARTING,
	TH_DOOR_OPEN,   /* at least one process listens */
	TH_DOOR_IN_USE, /* the address is another database's or program's */
	TH_DOOR_FAILED  /* the next try is at retry_at */
} ThDoorState;

/* Kinds of routes, as counted. */
typedef enum ThRouteKind
{
	TH_ROUTE_WEBHOOK,
	TH_ROUTE_FEED,
	TH_ROUTE_CALLBACK,
	TH_ROUTE_HEALTH,
	TH_ROUTE_METRICS,
	TH_ROUTE_PAGE,
	TH_ROUTE_OTHER /* no such route, or no valid request */
} ThRouteKind;

#define TH_ROUTE_KINDS (TH_ROUTE_OTHER + 1)
#define TH_HTTP_STATUSES 20

typedef enum ThDoorCount
{
	TH_COUNT_RECEIVED, /* webhooks that were verified or not */
	TH_COUNT_INSERTED, /* ... and became rows */
	TH_COUNT_BATCHES,
	TH_COUNT_BATCH_ROWS,
	TH_COUNT_BATCH_FAILURES, /* batches done again one by one */
	TH_COUNT_ACCEPTED,       /* connections */
	TH_COUNT_TURNED_AWAY,    /* connections over a limit */
	TH_COUNT_CUT,            /* connections over a deadline */
	TH_COUNT_FEEDS_CHECKED,  /* feeds whose rows were looked at */
	TH_COUNT_FEEDS_WRITTEN,  /* ... and that were written anew */
	TH_COUNT_REQUESTS        /* by kind and status: the first of many */
} ThDoorCount;

#define TH_DOOR_COUNTS (TH_COUNT_REQUESTS + TH_ROUTE_KINDS * TH_HTTP_STATUSES)

typedef struct ThDoorStatus
{
	ThDoorState state;
	int port;
	char listen[TH_LISTEN_LENGTH];
	int workers; /* wanted */
	int running; /* processes that listen */
	int connections;
	int error_number; /* of a bind that failed, else 0 */
	TimestampTz opened_at;
	TimestampTz retry_at;
	Oid holder; /* IN_USE: the database that has the address, if it is one */
	uint64 counts[TH_DOOR_COUNTS];
} ThDoorStatus;

/* Copy of the door of "database"; false if there is none. Where: any process. */
extern bool th_door_read(Oid database, ThDoorStatus *out);

/* ---- for the gateway only ---- */

/*
 * Takes the place this process was started for. False: it is not for this
 * process any more; exit 0. Called by th_process_start().
 */
extern bool th_door_attach(int door, int worker, uint32 generation,
						   Oid *database);

/* Gives it back; nothing if none was attached. Never throws. */
extern void th_door_detach(bool was_terminated);

/* The settings this process shall listen with. */
extern void th_door_order(ThHttpWish *out);

/* True if another process of this door listens already. */
extern bool th_door_has_sibling(void);

/* Says that this process listens, or why it does not (an errno). */
extern void th_door_set_listening(void);
extern void th_door_set_trouble(int error_number);

/* True if this process has to leave. Never throws. */
extern bool th_door_must_stop(void);

/* Adds to the counters of the door: what is not 0 in "deltas". Never throws. */
extern void th_door_add(const uint64 *deltas);

/* Open connections of this process. Never throws. */
extern void th_door_set_connections(int n);

#endif /* TH_WORKER_DOOR_H */
