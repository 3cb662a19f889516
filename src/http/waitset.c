/*
 * waitset.c
 *	  One wait for the latch, the postmaster's death and the engine.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "http/waitset.h"

struct ThHttpWaitset
{
	WaitEventSet *events;
};

ThHttpWaitset *
th_http_waitset_create(int descriptor)
{
	ThHttpWaitset *set = MemoryContextAllocZero(TopMemoryContext,
												sizeof(ThHttpWaitset));

	set->events = th_compat_create_wait_event_set(3);
	AddWaitEventToSet(set->events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
					  NULL);
	AddWaitEventToSet(set->events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch,
					  NULL);
	AddWaitEventToSet(set->events, WL_SOCKET_READABLE, descriptor, NULL, NULL);
	return set;
}

int
th_http_waitset_wait(ThHttpWaitset *set, int timeout_ms, uint32 wait_event)
{
	WaitEvent events[3];
	int bits = 0;
	int n;
	int i;

	Assert(timeout_ms >= 0);
	n = WaitEventSetWait(set->events, timeout_ms, events, lengthof(events),
						 wait_event);
	for (i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			bits |= TH_HTTP_WAIT_LATCH;
		if (events[i].events & WL_SOCKET_READABLE)
			bits |= TH_HTTP_WAIT_DESCRIPTOR;
	}
	return bits == 0 ? TH_HTTP_WAIT_TIMEOUT : bits;
}
