/*
 * send.h
 *	  Tokens of the pool's accounts on their way, and reading answers.
 *
 * Outside transactions. Errors: out of memory.
 */
#ifndef TH_WORKER_SEND_H
#define TH_WORKER_SEND_H

#include "worker/pool.h"

/* Asks for a token. */
extern void th_send_token(ThPoolAccount *account);

/* The same if the account has none and nobody asks. */
extern void th_send_refresh(ThPoolAccount *account, TimestampTz now);

/* Takes the answer to that. */
extern void th_collect_token(ThPoolAccount *account, const ThHttpResult *result,
							 TimestampTz now);

/*
 * Reads an answer of a platform; after an error of our own nothing is known
 * of it, but who waits for it hears that it is there. Wiping: what was needed
 * of it was copied, or sealed.
 */
extern void th_read_answer(const ThPlatform *platform, ThPlatformOp op,
						   const ThMeetingWish *wish,
						   const ThHttpResult *result, TimestampTz now,
						   ThMeetingAnswer *answer);
extern void th_wipe_answer(ThMeetingAnswer *answer, const ThHttpResult *result);

#endif /* TH_WORKER_SEND_H */
