/*
 * ask.h
 *	  Questions of backends that need the network: a host's start link, the
 *	  doctor's checks of an account.
 */
#ifndef TH_FLOW_ASK_H
#define TH_FLOW_ASK_H

#include "flow/work.h"
#include "nodes/pg_list.h"

typedef enum ThAskTopic
{
	TH_ASK_TOPIC_START_URL,
	TH_ASK_TOPIC_CHECK
} ThAskTopic;

/* An answer for the backend. */
typedef struct ThAskWork
{
	ThAskTopic topic;
	int ticket; /* as the mailbox knows it */
	uint64 number;
	int64 clinic_id;
	int64 subject_id;
	int step;             /* check: which check is under way */
	StringInfo checks;    /* check: JSON so far */
	bool is_host_checked; /* check: the default one */
	List *hosts;          /* check: ThLongHost still to be looked at */
	int basic_minutes;    /* check: how long a basic host's meetings may be */
	int sqlstate;         /* 0: reply is the answer, else the message */
	char *reply;          /* wiped once it is delivered */
	const char *hint;
} ThAskWork;

/*
 * Loads what the question is about and decides the first call; the work is
 * READY or FINISHED with an answer. Where: in a transaction.
 */
extern void th_ask_decide(ThWork *work, TimestampTz now);

/* Takes the answer to the present call. Outside a transaction. */
extern void th_ask_advance(ThWork *work, const ThMeetingAnswer *answer,
						   const ThHttpResult *result, TimestampTz now);

/* There is no token: "answer" says why. */
extern void th_ask_refuse(ThWork *work, const ThMeetingAnswer *answer);

/*
 * The rows that the token itself allows: its life (expires_at is by the
 * platform's clock, skew_ms ahead of ours), the clock, and each
 * operation's scope. Called once the pool has a token for a check.
 */
extern void th_ask_note_token(ThWork *work, const char *scopes,
							  TimestampTz expires_at, int skew_ms,
							  TimestampTz now);

#endif /* TH_FLOW_ASK_H */
