/*
 * door_shared.h
 *	  A door as it lies in shared memory; see shmem.h.
 *
 * For this room's .c files only. Plain values, no pointers. Protected by
 * th_slot_lock, but for what is atomic.
 */
#ifndef TH_WORKER_DOOR_SHARED_H
#define TH_WORKER_DOOR_SHARED_H

#include "port/atomics.h"

#include "worker/door.h"

/* One process of a door. */
typedef struct ThSharedGateway
{
	pg_atomic_uint32 process;     /* its number + 1, 0: none */
	pg_atomic_uint32 connections; /* open now */
	int pid;                      /* 0 if none; outlives its database access */
	uint32 generation;            /* raised by every start, stop and free */
	bool is_listening;
	bool was_asked;   /* the last process left because it had to */
	int error_number; /* why it could not listen */
} ThSharedGateway;

/* A database that listens. */
typedef struct ThSharedDoor
{
	Oid database;   /* InvalidOid: free */
	bool is_orphan; /* of a launcher that is gone */
	ThDoorState state;
	Oid holder;
	ThHttpWish wish; /* what its processes listen with */
	TimestampTz opened_at;
	TimestampTz retry_at;
	ThSharedGateway gateways[TH_MAX_HTTP_WORKERS];
	pg_atomic_uint64 counts[TH_DOOR_COUNTS];
} ThSharedDoor;

#endif /* TH_WORKER_DOOR_SHARED_H */
