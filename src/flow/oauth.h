/*
 * oauth.h
 *	  A user grants access in a browser: sending it off, and what it brings
 *	  back made into an account.
 *
 * The state that a browser carries is 256 random bits; the table knows its
 * SHA-256. It is good once, for ten minutes, and for the client it was made
 * with. The code is exchanged by the dispatcher, which uses the state up and
 * commits that before it asks the vendor: what goes wrong after that is told
 * once, and the browser begins again.
 */
#ifndef TH_FLOW_OAUTH_H
#define TH_FLOW_OAUTH_H

#include "flow/oauth_state.h"
#include "platform/oauth.h"

/* One exchange, from the question to its answer; in the dispatcher. */
typedef struct ThOauthExchange
{
	MemoryContext context; /* everything of it, wiped with it */
	int64 clinic_id;
	int64 state_id;
	ThOauthState *state;
	ThOauthClient *client;
	const ThOauthVendor *vendor;
	ThCredential *credentials;
	int n_credentials;
	const char *code;     /* secret */
	const char *verifier; /* secret */
	ThOauthAnswer answer; /* once is_answered */
	bool is_answered;

	/* an account, once written */
	int64 account_id; /* 0: none */
	TimestampTz connected_at;
	const char *api_url;
	const char *owner; /* its number at the vendor, NULL: not known */

	/* for who asked; sqlstate 0: reply is the number of what is connected */
	int sqlstate;
	const char *reply;
	const char *hint;
} ThOauthExchange;

/* The clinic's client at the vendor, or everybody's. Memory: current context. Errors: 55000 if there is none. */
extern ThOauthClient *th_oauth_require_client(int64 clinic_id,
											  const char *kind);

/*
 * The address a browser is sent to; its state is good once this transaction
 * has committed. subject_id 0: none. Memory: current context.
 * Errors: 55000 (no client is registered; nowhere to return to; a secret
 * does not open), TH003. Where: in a transaction, as the owner.
 */
extern char *th_oauth_begin(int64 clinic_id, const char *kind,
							const char *purpose, int64 subject_id,
							const char *created_by, TimestampTz now);

/*
 * Loads the exchange of a code and uses its state up; false with an answer
 * for who asked if there is nothing to be exchanged. Errors: of the database
 * only. Where: in a transaction; what it decided is real after commit.
 */
extern bool th_oauth_load(ThOauthExchange *exchange, TimestampTz now);

/* Fills "out" with the request. Memory: current context. */
extern void th_oauth_request(const ThOauthExchange *exchange,
							 ThHttpRequest *out);

/* Takes the vendor's answer; true if there is something to be written. Outside a transaction. */
extern bool th_oauth_take(ThOauthExchange *exchange, const ThHttpResult *result,
						  TimestampTz now);

/* Writes what was granted, and the answer for who asked. Where: in a transaction. */
extern void th_oauth_write(ThOauthExchange *exchange, TimestampTz now);

/*
 * An account that was written is asked whose it is, so that deliveries which
 * name it find it; who granted it does not wait for that, and without an
 * answer it is one of unknown number.
 * Taken, outside a transaction: false if there is nothing to be written.
 * Written: if it was not connected anew since. Where: in a transaction.
 */
extern bool th_oauth_has_owner(const ThOauthExchange *exchange);
extern void th_oauth_request_owner(const ThOauthExchange *exchange,
								   ThHttpRequest *out);
extern bool th_oauth_take_owner(ThOauthExchange *exchange,
								const ThHttpResult *result);
extern void th_oauth_write_owner(const ThOauthExchange *exchange);

/* The clients' secret was replaced: so it is with accounts authorized by it. Where: in a transaction, as the owner. */
extern void th_oauth_spread(int64 clinic_id, const char *kind,
							const ThCredential *credentials, int n);

#endif /* TH_FLOW_OAUTH_H */
