/*
 * waitset.h
 *	  One wait for the latch, the postmaster's death and the engine.
 *
 * For a worker process after it is attached to shared memory. The set lives
 * as long as the process: it cannot lose single events on every server
 * version, so the engine's descriptor stands for all its sockets.
 */
#ifndef TH_HTTP_WAITSET_H
#define TH_HTTP_WAITSET_H

typedef struct ThHttpWaitset ThHttpWaitset;

/* What ended a wait. */
#define TH_HTTP_WAIT_LATCH 0x01      /* MyLatch is set; the caller resets it */
#define TH_HTTP_WAIT_DESCRIPTOR 0x02 /* there is something to drive */
#define TH_HTTP_WAIT_TIMEOUT 0x04    /* neither of them */

/*
 * A set over MyLatch and "descriptor" (th_http_descriptor()). The death of
 * the postmaster ends the process inside the wait.
 *
 * Memory: lives as long as the process; make one. Errors: out of memory,
 * too many descriptors.
 */
extern ThHttpWaitset *th_http_waitset_create(int descriptor);

/*
 * Waits at most "timeout_ms" (not negative); the bits that ended the wait.
 * Where: no transaction is open. Errors: only if the kernel refuses to wait.
 */
extern int th_http_waitset_wait(ThHttpWaitset *set, int timeout_ms,
								uint32 wait_event);

#endif /* TH_HTTP_WAITSET_H */
