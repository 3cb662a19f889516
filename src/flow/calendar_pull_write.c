/*
 * calendar_pull_write.c
 *	  What a pull has seen is written, with what comes of it, or nothing is.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "flow/calendar_pull.h"
#include "flow/calendar_remote.h"
#include "store/calendar_mark.h"
#include "store/calendar_pull.h"

ThIcalOrigin
th_pull_origin(const ThPullSubject *subject, int64 clinic_id)
{
	ThIcalOrigin own = { .installation = subject->installation.tag,
						 .plain_until = subject->installation.plain_until,
						 .clinic_id = clinic_id };

	return own;
}

/* Fewer events of ours may always be missed. */
#define FEW_GONE 10
#define GONE_SHARE 5

/* What became of our own events, into *changes; returns their number. */
static int
judge_own(const ThPull *pull, const ThPullSubject *subject, TimestampTz now,
		  ThRemoteChange **changes, int64 *n_gone, int64 *present)
{
	ThPullOwn *own;
	int n = th_pull_own(pull, now, &own, present);
	ThJob *jobs = palloc0_array(ThJob, Max(n, 1));
	ThEventSubject *facts;
	int n_changes = 0;

	*n_gone = 0;
	*changes = palloc_array(ThRemoteChange, Max(n, 1));
	if (n == 0)
		return 0;
	for (int i = 0; i < n; i++)
	{
		jobs[i].kind = TH_JOB_EVENT;
		jobs[i].clinic_id = pull->busy.import.clinic_id;
		jobs[i].subject_id = own[i].event_id;
	}
	facts = th_calendar_event_load(jobs, n);
	for (int i = 0; i < n; i++)
	{
		const ThCalendarEvent *e = &facts[i].event;
		const ThEventSeen *seen = NULL;
		char key[TH_EVENT_KEY_SIZE];
		ThEventWish wish;
		const char *hash;

		if (e->id == 0 || !facts[i].visit.exists)
			continue;
		if (own[i].place >= 0)
			seen = th_pull_list_seen(&subject->list,
									 pull->seen[own[i].place].external_id);
		/* it is there, and what is in it was not told */
		if (seen != NULL && !seen->is_deleted && !seen->is_cancelled &&
			seen->starts_at == 0)
			continue;
		th_event_key_write(key, &subject->installation, e->clinic_id,
						   e->connection_id, e->appointment_id);
		th_event_wish_make(&facts[i], key, &wish, &hash);
		if (!th_remote_judge(&facts[i], &wish, seen, now,
							 &(*changes)[n_changes]))
			continue;
		if (strcmp((*changes)[n_changes++].state, "deleted") == 0)
			(*n_gone)++;
	}
	return n_changes;
}

static void
fill_pull(ThWork *work, TimestampTz next_at, ThPull *pull)
{
	const ThConnection *c = work->calendar->connection;
	ThPullSubject *subject = work->calendar->subject;
	ThBusyImport *import = &pull->busy.import;

	memset(pull, 0, sizeof(*pull));
	import->clinic_id = c->clinic_id;
	import->provider_id = c->provider_id;
	import->source = th_pull_source(c->id);
	import->window_start = subject->window_start;
	import->window_end = subject->window_end;
	import->may_remove = subject->is_full;
	import->may_remove_many = subject->state->is_many_confirmed;
	pull->busy.connection_id = c->id;
	pull->connected_at = c->connected_at;
	pull->calendar_id = c->calendar_id;
	pull->began_at = subject->began_at;
	pull->next_at = next_at;
	pull->cursor = subject->cursor;
	pull->is_vague = work->calendar->vendor->is_vague;
	th_pull_list_finish(&subject->list, pull);
}

/* It would remove too much: only that is noted, and told once. */
static void
suspect(const ThPull *pull, int64 n_gone, bool is_known, ThSettle *settle,
		ThSyncCount *count, TimestampTz now)
{
	th_pull_write_suspicious(pull, n_gone, now);
	if (!is_known)
		th_connection_tell("suspicious_pull", pull->busy.import.clinic_id,
						   pull->busy.connection_id);
	settle->waiting_for = "suspicious_pull";
	count->errors = count->runs = 1;
}

/* Events of ours that are there once too often, or that nobody here knows. */
static void
write_found(const ThPull *pull, const ThPullSubject *subject, TimestampTz now)
{
	ThIcalOrigin own = th_pull_origin(subject, pull->busy.import.clinic_id);
	ThEventFound *found;
	const ThPullList *list = subject->own.n > 0 ? &subject->own
												: &subject->list;
	int n = th_pull_list_found(list, &own, pull->busy.connection_id, &found);

	th_calendar_event_found(own.clinic_id, pull->busy.connection_id,
							pull->began_at, found, n, now);
	if (subject->is_full)
		th_calendar_event_sweep(own.clinic_id, pull->busy.connection_id, now);
}

static void
write_pull(const ThPull *pull, const ThPullSubject *subject, ThSettle *settle,
		   ThSyncCount *count, TimestampTz now)
{
	bool is_known = false;
	ThRemoteChange *changes;
	ThBusyCounts counts;
	int64 n_gone;
	int64 present;
	int n_changes;

	switch (th_pull_lock(pull, &is_known))
	{
		case TH_PULL_OURS:
			break;
		case TH_PULL_LOCKED:
			settle->is_locked = true;
			return;
		case TH_PULL_STALE:
			settle->verb = TH_SETTLE_AGAIN;
			return;
	}
	n_changes = judge_own(pull, subject, now, &changes, &n_gone, &present);
	if (!pull->busy.import.may_remove_many && n_gone > FEW_GONE &&
		n_gone * GONE_SHARE > present)
	{
		suspect(pull, n_gone, is_known, settle, count, now);
		return;
	}
	if (!th_remote_prepare(changes, n_changes, now))
	{
		settle->is_locked = true;
		return;
	}
	if (subject->is_blind)
	{
		memset(&counts, 0, sizeof(counts));
		th_pull_note(pull);
	}
	else
		th_pull_write(pull, &counts);
	if (counts.is_suspicious)
	{
		suspect(pull, counts.deleted, is_known, settle, count, now);
		return;
	}
	th_remote_write(changes, n_changes, now);
	write_found(pull, subject, now);
	count->created = counts.created;
	count->updated = counts.updated;
	count->deleted = counts.deleted;
	count->runs = 1;
}

static void
write_one(ThWork *work, ThSettle *settle, ThSyncCount *count, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	const ThPullSubject *subject = work->calendar->subject;
	ThPull pull;

	fill_pull(work, settle->due_at, &pull);
	write_pull(&pull, subject, settle, count, now);
	if (subject->is_full)
		th_calendar_channel_miss(work, now);
	MemoryContextSwitchTo(old);
}

void
th_pull_settle(ThWork **works, ThSettle *settles, int n, TimestampTz now)
{
	ThSyncCount *counts = palloc0_array(ThSyncCount, Max(n, 1));
	int n_counts = 0;

	for (int i = 0; i < n; i++)
	{
		const ThConnection *c = works[i]->calendar->connection;
		ThPullSubject *subject = works[i]->calendar->subject;
		ThSyncCount *count = &counts[n_counts];

		if (settles[i].is_fenced || settles[i].is_locked || c == NULL ||
			c->id == 0)
			continue;
		memset(count, 0, sizeof(*count));
		count->clinic_id = c->clinic_id;
		count->connection_id = c->id;
		count->direction = "pull";
		/* what was pulled before nothing was any more goes as well */
		if (subject->forgets || subject->is_blind)
			th_pull_forget(c->clinic_id, c->provider_id, c->id);
		if (subject->is_read)
			write_one(works[i], &settles[i], count, now);
		else if (settles[i].error != NULL)
		{
			th_connection_note_error(c->clinic_id, c->id, settles[i].error);
			count->errors = count->runs = 1;
		}
		if (count->runs > 0)
			n_counts++;
	}
	th_sync_count(counts, n_counts, now);
}
