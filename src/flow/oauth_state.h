/*
 * oauth_state.h
 *	  What a browser carries to a vendor and back.
 */
#ifndef TH_FLOW_OAUTH_STATE_H
#define TH_FLOW_OAUTH_STATE_H

#include "store/oauth.h"

#define TH_OAUTH_STATE_BYTES 32

/* How long the exchange may take, for who waits for it. */
#define TH_OAUTH_TIMEOUT_MS 60000

/*
 * The state that a browser brought, by its text; NULL if there is none or it
 * has no form of one. Where: in a transaction, as the owner. Memory: current
 * context.
 */
extern ThOauthState *th_oauth_find(const char *text, size_t length);

/*
 * The vendor said no: the state is used up. False if it was before, has
 * expired, or is not of the vendor. Where: in a transaction, as the owner.
 */
extern bool th_oauth_decline(const char *text, size_t length, const char *kind,
							 TimestampTz now);

#endif /* TH_FLOW_OAUTH_STATE_H */
