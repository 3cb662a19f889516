/*
 * webhook.h
 *	  Rows of telehealth.webhook_event, and the secrets that verify them.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_WEBHOOK_H
#define TH_STORE_WEBHOOK_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

/* Secrets looked at for one batch; of more accounts not all are tried. */
#define TH_WEBHOOK_MOST_SECRETS 1000

/* A sealed secret that may have signed, and whose it is. */
typedef struct ThWebhookSealed
{
	int64 clinic_id;
	int64 account_id;
	const char *name;
	struct varlena *vendor_key; /* NULL: the account's number is not known */
	struct varlena *envelope;
} ThWebhookSealed;

/*
 * Live secrets of those names of a platform's accounts into *secrets:
 * of accounts with one of these keys, of those whose key is not known and of
 * the default account; of all if "is_all". Present secrets come before former
 * ones. Returns their number. Memory: current context.
 */
extern int th_webhook_secrets(const char *platform, const char *const *names,
							  int n_names, struct varlena *const *keys,
							  int n_keys, bool is_all, TimestampTz now,
							  ThWebhookSealed **secrets);

/* One event to store. */
typedef struct ThWebhookRow
{
	int64 clinic_id; /* if it is nobody's meeting */
	const char *source;
	const char *event_name;
	TimestampTz event_at; /* 0: NULL */
	const char *account_ref;
	int64 account_clinic_id;
	int64 account_id; /* 0: NULL */
	const char *
		accounts; /* '{clinic/id,...}': whose meetings it may speak of; NULL: none */
	const char *meeting_id;
	const char *meeting_uuid;
	const char *participant_id;
	const char *participant_name;
	int latency_ms; /* -1: NULL */
	int interpreter_requested;
	Jsonb *raw;
	struct varlena *business_key;
	TimestampTz received_at;
	const char *outcome; /* if it is nobody's meeting */

	/* out */
	bool is_inserted;
	int64 session_clinic_id;
	int64 session_id; /* 0: nobody's */
} ThWebhookRow;

/*
 * Stores those that are new, each with the session whose meeting it is; sets
 * the last three, and clinic and account to those of the session. What is
 * among them twice was inserted once.
 */
extern void th_webhook_insert(ThWebhookRow **rows, int n);

/* A session that has something to be put together. */
typedef struct ThWebhookSubject
{
	int64 clinic_id;
	int64 session_id;
} ThWebhookSubject;

/*
 * Events that were nobody's and now have a session, at most "limit", are
 * moved to it; *subjects (current context) are the sessions, the number of
 * which is returned, one a moved event. Those of these meetings; those that
 * came since. Rows that somebody holds stay.
 */
extern int th_webhook_rematch(const char *const *meeting_ids, int n, int limit,
							  ThWebhookSubject **subjects);
extern int th_webhook_rematch_since(TimestampTz since, int limit,
									ThWebhookSubject **subjects);

/* Deletes events of no session that came before that, at most "limit"; returns how many. */
extern int th_webhook_forget(TimestampTz before, int limit);

/* Notes when an account's receiver was last asked for proof, unless somebody holds the row. */
extern void th_webhook_note_challenge(int64 clinic_id, int64 account_id,
									  TimestampTz at);

#endif /* TH_STORE_WEBHOOK_H */
