/*
 * tally.c
 *	  How often feeds were read, counted in shared memory.
 *
 * A hash table without links: an entry is among the few places after the one
 * its key says, in any order, so that taking one out leaves the others be.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "worker/shmem.h"
#include "worker/tally.h"

/* Places looked at for one feed. */
#define PROBES 16

/* What is older and could not be written is of a feed that is gone. */
#define KEPT_US USECS_PER_HOUR

StaticAssertDecl((TH_TALLY_ENTRIES & (TH_TALLY_ENTRIES - 1)) == 0,
				 "places are found with a mask");

static bool
is_of(const ThTallyEntry *entry, int64 clinic_id, int64 feed_id)
{
	return entry->database == MyDatabaseId &&
		   entry->tally.clinic_id == clinic_id &&
		   entry->tally.feed_id == feed_id;
}

/*
 * The entry of the feed, else NULL; then *unused is a place for it, or NULL.
 * Under the lock.
 */
static ThTallyEntry *
find_entry(int64 clinic_id, int64 feed_id, TimestampTz now,
		   ThTallyEntry **unused)
{
	uint32 key = (uint32) hash_combine64((uint64) clinic_id, (uint64) feed_id);
	uint32 place = hash_combine(MyDatabaseId, murmurhash32(key));

	*unused = NULL;
	for (uint32 i = 0; i < PROBES; i++)
	{
		ThTallyEntry *entry =
			&th_shared->tally[(place + i) & (TH_TALLY_ENTRIES - 1)];

		if (is_of(entry, clinic_id, feed_id))
			return entry;
		if (*unused == NULL && (entry->database == InvalidOid ||
								entry->tally.last_at < now - KEPT_US))
			*unused = entry;
	}
	return NULL;
}

void
th_tally_add(int64 clinic_id, int64 feed_id, TimestampTz at)
{
	ThTallyEntry *entry;
	ThTallyEntry *unused;

	if (th_shared == NULL || RecoveryInProgress())
		return;
	LWLockAcquire(th_tally_lock, LW_EXCLUSIVE);
	entry = find_entry(clinic_id, feed_id, at, &unused);
	if (entry == NULL && unused != NULL)
	{
		entry = unused;
		entry->database = MyDatabaseId;
		entry->tally.clinic_id = clinic_id;
		entry->tally.feed_id = feed_id;
		entry->tally.count = 0;
		entry->tally.last_at = at;
	}
	if (entry != NULL)
	{
		entry->tally.count++;
		entry->tally.last_at = Max(entry->tally.last_at, at);
	}
	LWLockRelease(th_tally_lock);
}

int
th_tally_read(ThTally *out)
{
	int n = 0;

	if (th_shared == NULL)
		return 0;
	LWLockAcquire(th_tally_lock, LW_SHARED);
	for (int i = 0; i < TH_TALLY_ENTRIES; i++)
		if (th_shared->tally[i].database == MyDatabaseId)
			out[n++] = th_shared->tally[i].tally;
	LWLockRelease(th_tally_lock);
	return n;
}

void
th_tally_settle(const ThTally *tallies, const bool *is_written, int n)
{
	TimestampTz now = th_clock_now();

	LWLockAcquire(th_tally_lock, LW_EXCLUSIVE);
	for (int i = 0; i < n; i++)
	{
		ThTallyEntry *unused;
		ThTallyEntry *entry = find_entry(tallies[i].clinic_id,
										 tallies[i].feed_id, now, &unused);

		if (entry == NULL)
			continue;
		if (is_written[i])
			entry->tally.count -= tallies[i].count;
		if (entry->tally.count <= 0 || entry->tally.last_at < now - KEPT_US)
			entry->database = InvalidOid;
	}
	LWLockRelease(th_tally_lock);
}
