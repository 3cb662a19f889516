/*
 * mailbox.c
 *	  Questions of backends to the dispatcher of their database.
 *
 * An entry goes FREE, POSTED (by the backend), TAKEN, ANSWERED (by the
 * dispatcher), FREE (by the backend, also when it gives up: an answer that
 * comes later finds another number and is dropped). Whoever frees wipes.
 */
#include "postgres.h"

#include <string.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guard.h"
#include "worker/mailbox.h"
#include "worker/shmem.h"
#include "worker/slot_control.h"

/* How often a waiter looks whether somebody is there to answer. */
#define ALIVE_SLICE_MS 500

/* An answer, copied out of shared memory; the text is wiped with its context. */
typedef struct Answer
{
	int sqlstate;
	ThMailText *text;
} Answer;

static uint32
mailbox_event(void)
{
	static uint32 event = 0;

	if (event == 0)
		event = th_compat_wait_event("TelehealthMailbox");
	return event;
}

/* Under the lock. */
static bool
is_of(const ThMailEntry *entry, const ThAsk *ask)
{
	return entry->state != TH_MAIL_FREE && entry->number == ask->number;
}

/* Under the lock. */
static void
wipe(int ticket)
{
	ThMailEntry *entry = &th_shared->mail[ticket];

	explicit_bzero(&th_shared->mail_text[ticket], sizeof(ThMailText));
	entry->state = TH_MAIL_FREE;
	entry->number = 0;
	entry->database = InvalidOid;
	entry->sqlstate = 0;
}

/* ---- the backend ---- */

/* Never throws. */
static void
give_up(ThAsk *ask)
{
	bool is_freed = false;

	if (ask->number == 0)
		return;

	LWLockAcquire(th_mail_lock, LW_EXCLUSIVE);
	if (is_of(&th_shared->mail[ask->ticket], ask))
	{
		wipe(ask->ticket);
		is_freed = true;
	}
	LWLockRelease(th_mail_lock);
	ask->number = 0;

	/* All of them: a single one could be cancelled and pass nothing on. */
	if (is_freed)
		ConditionVariableBroadcast(&th_shared->mail_freed);
}

static void
give_up_callback(int code, Datum arg)
{
	(void) code;
	give_up((ThAsk *) DatumGetPointer(arg));
}

static bool
try_post(ThAsk *ask, const char *question)
{
	int i;

	LWLockAcquire(th_mail_lock, LW_EXCLUSIVE);
	for (i = 0; i < TH_MAILBOX_ENTRIES; i++)
	{
		ThMailEntry *entry = &th_shared->mail[i];

		if (entry->state != TH_MAIL_FREE)
			continue;
		ask->ticket = i;
		ask->number = ++th_shared->last_number;
		entry->state = TH_MAIL_POSTED;
		entry->number = ask->number;
		entry->database = MyDatabaseId;
		entry->kind = ask->kind;
		entry->clinic_id = ask->clinic_id;
		entry->subject_id = ask->subject_id;
		entry->poster = MyProcPid;
		entry->sqlstate = 0;
		strlcpy(th_shared->mail_text[i].question,
				question == NULL ? "" : question, TH_MAILBOX_QUESTION);
		break;
	}
	LWLockRelease(th_mail_lock);
	return i < TH_MAILBOX_ENTRIES;
}

/* True if the answer is there: it is in "answer" then, and the entry free. */
static bool
try_collect(ThAsk *ask, Answer *answer)
{
	ThMailEntry *entry = &th_shared->mail[ask->ticket];
	bool is_answered;

	LWLockAcquire(th_mail_lock, LW_EXCLUSIVE);
	is_answered = is_of(entry, ask) && entry->state == TH_MAIL_ANSWERED;
	if (is_answered)
	{
		answer->sqlstate = entry->sqlstate;
		memcpy(answer->text, &th_shared->mail_text[ask->ticket],
			   sizeof(ThMailText));
	}
	LWLockRelease(th_mail_lock);

	if (is_answered)
		give_up(ask);
	return is_answered;
}

/* True if a dispatcher is there, or just about to be. */
static bool
is_served(void)
{
	ThSlotStatus status;

	return th_slot_read(MyDatabaseId, &status) &&
		   (status.state == TH_SLOT_RUNNING ||
			status.state == TH_SLOT_STARTING);
}

static void
require_served(void)
{
	if (is_served())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("telehealth worker is not running in this database"),
			 th_slot_available()
				 ? errhint("The views telehealth.health and "
						   "telehealth.worker_status say why.")
				 : errhint(
					   "Add telehealth to shared_preload_libraries and restart "
					   "the server.")));
}

/* Milliseconds to "deadline", at most a slice. Errors: 08006 when it passed. */
static long
next_slice(int64 deadline)
{
	int64 left = deadline - th_clock_monotonic_ms();

	if (left <= 0)
		ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
						errmsg("the video platform did not answer in time")));
	return (long) Min(left, ALIVE_SLICE_MS);
}

static void
post(ThAsk *ask, const char *question, int64 deadline)
{
	ConditionVariablePrepareToSleep(&th_shared->mail_freed);
	while (!try_post(ask, question))
	{
		require_served();
		(void) ConditionVariableTimedSleep(&th_shared->mail_freed,
										   next_slice(deadline),
										   mailbox_event());
	}
	ConditionVariableCancelSleep();
	th_slot_nudge(MyDatabaseId);
}

static void
collect(ThAsk *ask, int64 deadline, Answer *answer)
{
	ConditionVariable *answered = &th_shared->mail[ask->ticket].answered;

	ConditionVariablePrepareToSleep(answered);
	while (!try_collect(ask, answer))
	{
		require_served();
		(void) ConditionVariableTimedSleep(answered, next_slice(deadline),
										   mailbox_event());
	}
	ConditionVariableCancelSleep();
}

char *
th_mailbox_ask(ThAskKind kind, int64 clinic_id, int64 subject_id,
			   const char *question, long timeout_ms)
{
	int64 deadline = th_clock_monotonic_ms() + timeout_ms;
	ThAsk ask = { 0 };
	Answer answer = { 0 };

	require_served();
	answer.text = th_guard_secret(CurrentMemoryContext, sizeof(ThMailText));
	ask.kind = kind;
	ask.clinic_id = clinic_id;
	ask.subject_id = subject_id;

	/* Also when the session is terminated while it waits. */
	PG_ENSURE_ERROR_CLEANUP(give_up_callback, PointerGetDatum(&ask));
	{
		post(&ask, question, deadline);
		collect(&ask, deadline, &answer);
	}
	PG_END_ENSURE_ERROR_CLEANUP(give_up_callback, PointerGetDatum(&ask));

	if (answer.sqlstate != 0)
		ereport(ERROR,
				(errcode(answer.sqlstate), errmsg("%s", answer.text->reply),
				 answer.text->hint[0] != '\0' ? errhint("%s", answer.text->hint)
											  : 0));
	return answer.text->reply;
}

/* ---- a process that must not wait ---- */

/* Nothing of ours outlives us. */
static void
give_up_all(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	LWLockAcquire(th_mail_lock, LW_EXCLUSIVE);
	for (int i = 0; i < TH_MAILBOX_ENTRIES; i++)
	{
		if (th_shared->mail[i].state != TH_MAIL_FREE &&
			th_shared->mail[i].poster == MyProcPid)
			wipe(i);
	}
	LWLockRelease(th_mail_lock);
	ConditionVariableBroadcast(&th_shared->mail_freed);
}

bool
th_mailbox_post(ThAsk *ask, const char *question)
{
	static bool is_watched = false;

	ask->number = 0;
	if (!is_watched && th_shared != NULL)
	{
		before_shmem_exit(give_up_all, (Datum) 0);
		is_watched = true;
	}
	if (strlen(question) >= TH_MAILBOX_QUESTION || !is_served() ||
		!try_post(ask, question))
		return false;
	th_slot_nudge(MyDatabaseId);
	return true;
}

ThMailOutcome
th_mailbox_poll(ThAsk *ask, int *sqlstate)
{
	ThMailEntry *entry = &th_shared->mail[ask->ticket];
	bool is_answered;

	*sqlstate = 0;
	LWLockAcquire(th_mail_lock, LW_SHARED);
	is_answered = is_of(entry, ask) && entry->state == TH_MAIL_ANSWERED;
	if (is_answered)
		*sqlstate = entry->sqlstate;
	LWLockRelease(th_mail_lock);

	if (is_answered)
	{
		give_up(ask);
		return TH_MAIL_DONE;
	}
	return is_served() ? TH_MAIL_PENDING : TH_MAIL_UNSERVED;
}

void
th_mailbox_give_up(ThAsk *ask)
{
	give_up(ask);
}

/* ---- the dispatcher ---- */

bool
th_mailbox_take(ThAsk *ask)
{
	ThMailEntry *oldest = NULL;
	int i;

	if (th_shared == NULL)
		return false;

	LWLockAcquire(th_mail_lock, LW_EXCLUSIVE);
	for (i = 0; i < TH_MAILBOX_ENTRIES; i++)
	{
		ThMailEntry *entry = &th_shared->mail[i];

		if (entry->state == TH_MAIL_POSTED && entry->database == MyDatabaseId &&
			(oldest == NULL || entry->number < oldest->number))
			oldest = entry;
	}
	if (oldest != NULL)
	{
		oldest->state = TH_MAIL_TAKEN;
		ask->ticket = (int) (oldest - th_shared->mail);
		ask->number = oldest->number;
		ask->kind = oldest->kind;
		ask->clinic_id = oldest->clinic_id;
		ask->subject_id = oldest->subject_id;
	}
	LWLockRelease(th_mail_lock);
	return oldest != NULL;
}

bool
th_mailbox_question(const ThAsk *ask, char *out)
{
	bool is_wanted;

	LWLockAcquire(th_mail_lock, LW_SHARED);
	is_wanted = is_of(&th_shared->mail[ask->ticket], ask);
	if (is_wanted)
		memcpy(out, th_shared->mail_text[ask->ticket].question,
			   TH_MAILBOX_QUESTION);
	LWLockRelease(th_mail_lock);
	return is_wanted;
}

void
th_mailbox_reopen(Oid database)
{
	int i;

	if (th_shared == NULL)
		return;

	LWLockAcquire(th_mail_lock, LW_EXCLUSIVE);
	for (i = 0; i < TH_MAILBOX_ENTRIES; i++)
	{
		ThMailEntry *entry = &th_shared->mail[i];

		if (entry->state == TH_MAIL_TAKEN && entry->database == database)
			entry->state = TH_MAIL_POSTED;
	}
	LWLockRelease(th_mail_lock);
}

bool
th_mailbox_is_wanted(const ThAsk *ask)
{
	bool is_wanted;

	if (th_shared == NULL)
		return false;

	LWLockAcquire(th_mail_lock, LW_SHARED);
	is_wanted = is_of(&th_shared->mail[ask->ticket], ask);
	LWLockRelease(th_mail_lock);
	return is_wanted;
}

/* Copies "text", cut between characters; "" for NULL. Never throws. */
static void
copy_cut(char *out, size_t size, const char *text)
{
	size_t length = text == NULL ? 0 : strnlen(text, size);

	if (length >= size)
		length = pg_mbcliplen(text, (int) length, (int) size - 1);
	if (length > 0)
		memcpy(out, text, length);
	out[length] = '\0';
}

void
th_mailbox_answer(const ThAsk *ask, int sqlstate, const char *reply,
				  const char *hint)
{
	ThMailEntry *entry;
	ThMailText *text;
	bool is_wanted;

	if (th_shared == NULL)
		return;
	entry = &th_shared->mail[ask->ticket];
	text = &th_shared->mail_text[ask->ticket];

	/* A link without its end is worse than none. */
	if (sqlstate == 0 && reply != NULL &&
		strnlen(reply, TH_MAILBOX_REPLY) >= TH_MAILBOX_REPLY)
	{
		sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		reply = "answer of the video platform is too long";
		hint = NULL;
	}

	LWLockAcquire(th_mail_lock, LW_EXCLUSIVE);
	is_wanted = is_of(entry, ask) && entry->state == TH_MAIL_TAKEN;
	if (is_wanted)
	{
		copy_cut(text->reply, sizeof(text->reply), reply);
		copy_cut(text->hint, sizeof(text->hint), hint);
		entry->sqlstate = sqlstate;
		entry->state = TH_MAIL_ANSWERED;
	}
	LWLockRelease(th_mail_lock);

	if (is_wanted)
		ConditionVariableBroadcast(&entry->answered);
}
