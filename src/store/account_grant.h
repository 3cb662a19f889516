/*
 * account_grant.h
 *	  Accounts that a user has granted, and secrets that change.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_ACCOUNT_GRANT_H
#define TH_STORE_ACCOUNT_GRANT_H

#include "store/account.h"

/*
 * The account of (clinic, platform) with a new grant, made if there is none;
 * former secrets and tokens go, settings are merged. Returns its id.
 */
extern int64 th_account_grant(int64 clinic_id, const char *platform,
							  Jsonb *settings, bool is_user_level,
							  TimestampTz *connected_at);

/* Notes by what key it is found when a delivery names it, if it was not connected anew since "connected_at". */
extern void th_account_learn_vendor_key(int64 clinic_id, int64 id,
										TimestampTz connected_at,
										struct varlena *key);

/* A secret's envelope, its row locked; NULL if there is none. Memory: current context. */
extern struct varlena *th_account_lock_secret(int64 clinic_id, int64 id,
											  const char *name);

/* Stores a sealed secret in the place of the one of that name, if any. */
extern void th_account_replace_secret(int64 clinic_id, int64 id,
									  const char *name,
									  struct varlena *envelope);

/* Keys of accounts with the grant of a user, in (clinic 0: any) clinic; returns their number. Memory: current context. */
extern int th_account_list_granted(int64 clinic_id, const char *platform,
								   int64 **clinics, int64 **ids);

/*
 * Some of the connected accounts with the grant of a user that nothing has
 * used since "before", which may be a guess; returns their number. Memory:
 * current context.
 */
extern int th_account_list_idle(TimestampTz before, int64 **clinics,
								int64 **ids);

/* The account's secrets have changed: whoever has them reads them again. */
extern void th_account_touch(int64 clinic_id, int64 id);

#endif /* TH_STORE_ACCOUNT_GRANT_H */
