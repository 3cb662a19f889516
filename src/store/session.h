/*
 * session.h
 *	  Rows of telehealth.session: what is known of the remote meeting.
 *
 * Where: in a transaction, as the worker's role. All work set-wise.
 */
#ifndef TH_STORE_SESSION_H
#define TH_STORE_SESSION_H

#include "nodes/pg_list.h"
#include "datatype/timestamp.h"

typedef struct ThSession
{
	int64 clinic_id;
	int64 id; /* 0: not inserted yet */
	int64 appointment_id;
	int64 patient_id;
	int64 provider_id;
	const char *platform;
	int64 account_clinic_id;
	int64 account_id;       /* 0: none (mock) */
	const char *meeting_id; /* NULL: no remote meeting is known */
	const char *meeting_uuid;
	const char *join_url;
	const char *topic;
	TimestampTz scheduled_at;
	int duration;
	const char *status; /* NULL in a write: leave as it is */
	const char *host;
	const char *marker;
	bool has_intent; /* a create was begun and its outcome is not known */
	int64 intent_no; /* claim_no that wrote the intent */
	TimestampTz intent_at;
	const char *wish_hash; /* of what was last confirmed; sent but not yet
							* confirmed: with th_wish_sent()'s prefix */
	const char *deviation;
	bool is_retired;
	struct varlena *passcode; /* envelope to be stored, or NULL */
} ThSession;

/* The column of a passcode's envelope, for th_envelope_place(). */
#define TH_SESSION_SECRET_COLUMN "telehealth_private.session_secret.envelope"

/* Columns of a session in a SELECT list, for th_session_read(); "s" is the alias. */
#define TH_SESSION_COLUMNS                                                     \
	"s.clinic_id, s.id, s.appointment_id, s.patient_id, s.provider_id,"        \
	" s.platform, s.account_clinic_id, s.account_id, s.meeting_id,"            \
	" s.meeting_uuid, s.join_url, s.topic, s.scheduled_at, s.duration,"        \
	" s.status::text, s.host, s.marker, s.intent IS NOT NULL, s.intent_no,"    \
	" s.intent_at, s.wish_hash, s.deviation, s.retired_at IS NOT NULL"
#define TH_SESSION_COLUMN_COUNT 23

/* The session in row "row" from column "first" on; NULL if its id is NULL. Memory: "context". */
extern ThSession *th_session_read(uint64 row, int first, MemoryContext context);

/*
 * Commits to creating: inserts the rows without id (id is set; stays 0 if a
 * live session appeared meanwhile), and writes the intent with intent_no =
 * claim_no to all, where theirs is lower. A row whose id is 0 afterwards was
 * lost to somebody else.
 */
extern void th_session_begin(ThSession **sessions, const int64 *claim_nos,
							 int n);

/*
 * Which meeting ids are those of another live session of the same clinic
 * and platform: such an answer must never be handed out.
 */
extern void th_session_find_taken(ThSession *const *sessions, int n,
								  bool *is_taken);

/* A session by key with its account, NULL if there is none. Memory: current context. */
extern ThSession *th_session_get(int64 clinic_id, int64 id);

/* A host of visits to come that are longer than some plans allow. */
typedef struct ThLongHost
{
	char *host;
	int64 visits;
} ThLongHost;

/*
 * Hosts of the account with visits of more than "minutes" within 30 days, the
 * busiest first, at most "limit"; a list of ThLongHost. Memory: current context.
 */
extern List *th_session_long_hosts(int64 account_clinic_id, int64 account_id,
								   int minutes, int limit);

/*
 * Writes the mutable columns of all rows whose intent_no is still ours, and
 * their sealed passcodes. Rows with is_retired and no meeting_id and no
 * intent are deleted instead: nothing is left to clean up.
 */
extern void th_session_write(ThSession **sessions, int n);

#endif /* TH_STORE_SESSION_H */
