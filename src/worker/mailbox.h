/*
 * mailbox.h
 *	  How a backend asks the dispatcher of its database something that needs
 *	  the network, and waits for the answer inside one statement.
 *
 * Fixed entries in shared memory; an answer is wiped as soon as it was read
 * or nobody waits for it any more.
 */
#ifndef TH_WORKER_MAILBOX_H
#define TH_WORKER_MAILBOX_H

#define TH_MAILBOX_ENTRIES 32
#define TH_MAILBOX_REPLY 8192
#define TH_MAILBOX_QUESTION 4096

typedef enum ThAskKind
{
	TH_ASK_START_URL,     /* subject: session id; reply: the URL */
	TH_ASK_CHECK_ACCOUNT, /* subject: account id; reply: JSON array of checks */
	TH_ASK_OAUTH, /* subject: oauth_state id; question: the code; reply: id */
	TH_ASK_SYNC /* subject: provider id; question: NULL or "confirm"; marks pulls */
} ThAskKind;

typedef struct ThAsk
{
	int ticket;    /* entry number */
	uint64 number; /* unique, so that a late answer finds nobody */
	ThAskKind kind;
	int64 clinic_id;
	int64 subject_id;
} ThAsk;

/* What a look for an answer finds. */
typedef enum ThMailOutcome
{
	TH_MAIL_PENDING,
	TH_MAIL_DONE,    /* *sqlstate 0: as wished */
	TH_MAIL_UNSERVED /* nobody is there to answer */
} ThMailOutcome;

/*
 * Backend side: posts the question, wakes the dispatcher, waits. The caller
 * has checked the user's rights. "question" may be NULL.
 * Result: reply text in wiped memory of the current context.
 * Errors: 55000 "telehealth worker is not running in this database" (hint),
 * 55000 outbound held, 57014/57P01 as usual, 08006 or the SQLSTATE the
 * dispatcher gave with its message and hint, and for our own timeout
 * ERRCODE_CONNECTION_FAILURE "the video platform did not answer in time".
 */
extern char *th_mailbox_ask(ThAskKind kind, int64 clinic_id, int64 subject_id,
							const char *question, long timeout_ms);

/*
 * The same for a process that must not wait: posts, without a question that
 * is too long or when there is no place or nobody to answer (false); then
 * looks now and then. The poster gives up what it does not wait for any more.
 * Where: outside any LWLock. Errors: none but out of memory.
 */
extern bool th_mailbox_post(ThAsk *ask, const char *question);
extern ThMailOutcome th_mailbox_poll(ThAsk *ask, int *sqlstate);
extern void th_mailbox_give_up(ThAsk *ask);

/* Dispatcher side: takes the next open question; false if none. Never throws. */
extern bool th_mailbox_take(ThAsk *ask);

/*
 * Dispatcher side: the text of a question into "out" of TH_MAILBOX_QUESTION
 * bytes; false if nobody waits any more. It stays for a successor until
 * whoever asked frees it. Never throws.
 */
extern bool th_mailbox_question(const ThAsk *ask, char *out);

/*
 * Dispatcher side: opens again what a predecessor in this database had taken
 * and not answered. Never throws. Called by th_process_start().
 */
extern void th_mailbox_reopen(Oid database);

/* Dispatcher side: true while somebody still waits for the answer. */
extern bool th_mailbox_is_wanted(const ThAsk *ask);

/*
 * Dispatcher side: answers; nobody is told if nobody waits any more.
 * sqlstate 0: "reply" is the result, and one that does not fit becomes the
 * error 54000; else it is the message, cut to fit, with "hint" or NULL.
 * Never throws.
 */
extern void th_mailbox_answer(const ThAsk *ask, int sqlstate, const char *reply,
							  const char *hint);

#endif /* TH_WORKER_MAILBOX_H */
