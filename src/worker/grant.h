/*
 * grant.h
 *	  Exchanges of OAuth codes: from a backend's question to the account that
 *	  was granted. In the dispatcher only.
 *
 * A state is used up by the transaction of the claim; then the vendor is
 * asked; then what it granted is written in a transaction of its own, again
 * and again for a while, since the code is worth nothing any more. An account
 * is then asked whose it is; nobody waits for that.
 */
#ifndef TH_WORKER_GRANT_H
#define TH_WORKER_GRANT_H

#include "http/multi.h"
#include "worker/mailbox.h"

struct ThGrant;

/* Takes up a question. Where: in the transaction of the claim. Errors: of the database. */
extern void th_grant_begin(const ThAsk *ask, TimestampTz now);

/* That transaction was committed, or was not. Neither throws. */
extern void th_grant_begun(void);
extern void th_grant_abort(void);

/* Sends what waits; "held" is why outward work is, or NULL. Errors: out of memory. */
extern void th_grant_start(const char *held);

/* Takes an answer. Errors: out of memory. */
extern void th_grant_collect(struct ThGrant *grant, const ThHttpResult *result,
							 TimestampTz now);

/* Writes what was granted; true if something was. Never throws but at the end of the process. Where: outside a transaction. */
extern bool th_grant_settle(void);

/* Milliseconds until that has a reason; -1: none. */
extern int th_grant_wait_ms(void);

/* Exchanges under way. */
extern int th_grant_running(void);

/* The process ends: what was not sent is told so. */
extern void th_grant_abandon(void);

#endif /* TH_WORKER_GRANT_H */
