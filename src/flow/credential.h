/*
 * credential.h
 *	  Secrets of accounts between their rows and their use.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_FLOW_CREDENTIAL_H
#define TH_FLOW_CREDENTIAL_H

#include "platform/platform.h"
#include "store/account.h"

/*
 * Seals and stores the secrets of an account that has none.
 * Errors: those of envelope.h and keyring.h.
 */
extern void th_credential_store(int64 clinic_id, int64 account_id,
								const ThCredential *credentials, int n);

/*
 * Opens the secrets of an account into *credentials and returns their
 * number; -1 with *reason set if a key is missing or an envelope does not
 * open: no error for those. Memory: wiped memory of the current context.
 */
extern int th_credential_open(int64 clinic_id, int64 account_id,
							  ThCredential **credentials, const char **reason);

/*
 * The cached token good after "after", or NULL; what is known of it as in
 * th_account_token(). Memory: wiped, current context.
 */
extern char *th_credential_token(int64 clinic_id, int64 account_id,
								 TimestampTz after, TimestampTz *expires_at,
								 char **scopes, int *skew_ms);

/* Seals and stores a token with what is known of it, unless the account was connected anew since. */
extern void th_credential_store_token(int64 clinic_id, int64 account_id,
									  TimestampTz connected_at,
									  const char *token, const char *scopes,
									  TimestampTz expires_at, int skew_ms);

#endif /* TH_FLOW_CREDENTIAL_H */
