/*
 * pool_quota.c
 *	  Calls that count against a host's daily limit.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/history.h"
#include "worker/pool.h"
#include "worker/pool_quota.h"

/* One part in so many of the day's calls is kept for near starts. */
#define RESERVE_PART 20

typedef struct HostDay
{
	int64 clinic_id;
	int64 account_id;
	char *host;
	int used; /* on "day" */
	int unsaved;
	TimestampTz until;
	bool is_until_dirty;
} HostDay;

static List *hosts = NIL; /* HostDay *, in quota_context */
static MemoryContext quota_context = NULL;
static int64 day = 0; /* that the counters are for */

static int64
day_of(TimestampTz now)
{
	return now / USECS_PER_DAY;
}

static HostDay *
add_host(int64 clinic_id, int64 account_id, const char *host)
{
	MemoryContext old = MemoryContextSwitchTo(quota_context);
	HostDay *added = palloc0_object(HostDay);

	added->clinic_id = clinic_id;
	added->account_id = account_id;
	added->host = pstrdup(host);
	hosts = lappend(hosts, added);
	MemoryContextSwitchTo(old);
	return added;
}

void
th_pool_quota_init(TimestampTz now)
{
	ThQuota *rows;
	int n = th_quota_read(now, &rows);

	if (quota_context == NULL)
		quota_context = AllocSetContextCreate(TopMemoryContext,
											  "telehealth quota",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(quota_context);
	hosts = NIL;
	day = day_of(now);
	for (int i = 0; i < n; i++)
	{
		HostDay *host = add_host(rows[i].clinic_id, rows[i].account_id,
								 rows[i].host);

		host->used = rows[i].used;
		host->until = rows[i].until;
	}
}

/* The host of a work, with the counters of today. */
static HostDay *
host_of(const ThWork *work, TimestampTz now)
{
	ListCell *cell;

	if (day != day_of(now))
	{
		/* what is not saved belongs to a day that is over */
		MemoryContextReset(quota_context);
		hosts = NIL;
		day = day_of(now);
	}
	foreach(cell, hosts)
	{
		HostDay *host = lfirst(cell);

		if (host->account_id == work->pool->id &&
			host->clinic_id == work->pool->clinic_id &&
			strcmp(host->host, work->wish.host) == 0)
			return host;
	}
	return add_host(work->pool->clinic_id, work->pool->id, work->wish.host);
}

TimestampTz
th_pool_quota_midnight(TimestampTz now)
{
	return (day_of(now) + 1) * USECS_PER_DAY +
		   (TimestampTz) (pg_prng_double(&pg_global_prng_state) *
						  USECS_PER_MINUTE);
}

TimestampTz
th_pool_quota_until(const ThWork *work, TimestampTz now)
{
	const HostDay *host = host_of(work, now);
	int64 limit = work->pool->daily_limit;

	if (host->until > now)
		return host->until;
	if (th_work_priority(work, now) != TH_PRIORITY_NEAR)
		limit -= limit / RESERVE_PART;
	return host->used < limit ? 0 : th_pool_quota_midnight(now);
}

void
th_pool_quota_add(const ThWork *work, TimestampTz now)
{
	HostDay *host = host_of(work, now);

	host->used++;
	host->unsaved++;
}

void
th_pool_quota_refused(const ThWork *work, TimestampTz until, TimestampTz now)
{
	HostDay *host = host_of(work, now);

	host->until = Max(host->until, until);
	host->is_until_dirty = true;
}

void
th_pool_quota_save(TimestampTz now)
{
	ThQuota *rows = palloc0_array(ThQuota, Max(list_length(hosts), 1));
	int n = 0;
	ListCell *cell;

	if (day != day_of(now))
		return;
	foreach(cell, hosts)
	{
		HostDay *host = lfirst(cell);

		if (host->unsaved == 0 && !host->is_until_dirty)
			continue;
		rows[n].clinic_id = host->clinic_id;
		rows[n].account_id = host->account_id;
		rows[n].host = host->host;
		rows[n].used = host->unsaved;
		rows[n++].until = host->until;
	}
	th_quota_add(rows, n, now);
}

void
th_pool_quota_saved(void)
{
	ListCell *cell;

	foreach(cell, hosts)
	{
		HostDay *host = lfirst(cell);

		host->unsaved = 0;
		host->is_until_dirty = false;
	}
}
