/*
 * pool_token.h
 *	  Access tokens of the pool's accounts, and the refresh tokens of those
 *	  that a user has granted.
 *
 * A refresh token that is used is worth nothing any more; the new one is
 * known to this process alone until it is committed. Nothing that came with
 * it is used before.
 */
#ifndef TH_WORKER_POOL_TOKEN_H
#define TH_WORKER_POOL_TOKEN_H

#include "worker/pool.h"

/* The account's token, its expiry and skew were set: it is READY. */
extern void th_pool_take_token(ThPoolAccount *account, TimestampTz now);

extern bool th_pool_has_token(const ThPoolAccount *account, TimestampTz now);

/* The token was refused in a call made with token number "token_no". */
extern void th_pool_token_refused(ThPoolAccount *account, uint32 token_no,
								  TimestampTz now);

/* Writes an account's token, and the refresh token that came with it. Where: in a transaction; after its commit, th_pool_token_saved(). */
extern void th_pool_save_token(ThPoolAccount *account);
extern void th_pool_token_saved(ThPoolAccount *account);

/* The refresh token of an account with the grant of a user; else NULL. */
extern const char *th_pool_refresh_token(const ThPoolAccount *account);

/* A token request was sent. True while one is under way that uses up a refresh token. */
extern void th_pool_token_asked(ThPoolAccount *account);
extern bool th_pool_is_refreshing(void);

/* True while a refresh token is known to this process alone. */
extern bool th_pool_is_unsaved(void);

/* Takes the answer to a token request. */
extern void th_pool_token_answer(ThPoolAccount *account,
								 const ThMeetingAnswer *answer,
								 const ThHttpResult *result, TimestampTz now);

#endif /* TH_WORKER_POOL_TOKEN_H */
