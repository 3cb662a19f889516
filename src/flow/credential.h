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

/* The secret that platforms sign with, and one that was replaced and is still taken for a while. */
#define TH_WEBHOOK_SECRET "webhook_secret"
#define TH_FORMER_WEBHOOK_SECRET "former_webhook_secret"
#define TH_FORMER_HOURS 24

typedef struct ThFormerSecret
{
	char *value; /* NULL: none */
	TimestampTz expires_at;
} ThFormerSecret;

/*
 * The webhook secret that the clinic's account will have had, once these
 * credentials are stored: the present one for TH_FORMER_HOURS if they bring
 * another, else what was former before. Memory: wiped, current context.
 */
extern void th_credential_find_former(int64 clinic_id, const char *platform,
									  const ThCredential *credentials, int n,
									  ThFormerSecret *former);
extern void th_credential_store_former(int64 clinic_id, int64 account_id,
									   const ThFormerSecret *former);

/*
 * By what an account is found that a delivery names: a digest of the number
 * that the platform gave it. Memory: current context.
 */
extern struct varlena *th_credential_vendor_key(const char *platform,
												const char *number);

/* Stores that of an account whose credentials have the number; none for others. */
extern void th_credential_store_vendor_key(int64 clinic_id, int64 account_id,
										   const char *platform,
										   const ThCredential *credentials,
										   int n);

/*
 * Opens the secrets of an account into *credentials and returns their
 * number; -1 with *reason set if a key is missing or an envelope does not
 * open: no error for those. Memory: wiped memory of the current context.
 */
extern int th_credential_open(int64 clinic_id, int64 account_id,
							  ThCredential **credentials, const char **reason);

/* Seals and stores secrets in the place of those of the same names. Errors: as above. */
extern void th_credential_replace(int64 clinic_id, int64 account_id,
								  const ThCredential *credentials, int n);

/*
 * A vendor has given a new refresh token for "used", which is worth nothing
 * now. False, and nothing is changed, if the account has another grant by
 * now. Errors: as above.
 */
extern bool th_credential_rotate(int64 clinic_id, int64 account_id,
								 const char *used, const char *fresh);

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
