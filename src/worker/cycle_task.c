/*
 * cycle_task.c
 *	  Transactions of the dispatcher that are made now and then.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_guc.h"
#include "store/account_grant.h"
#include "store/environment.h"
#include "store/feed.h"
#include "store/history.h"
#include "store/job.h"
#include "worker/cycle.h"
#include "worker/pool.h"
#include "worker/run.h"
#include "worker/send.h"
#include "worker/tally.h"
#include "worker/transaction.h"

/* Rows of housekeeping in one transaction. */
#define AUDIT_BATCH 500

/* A grant that nothing used for so long is used. */
#define KEEP_ALIVE_US (30 * USECS_PER_DAY)
#define MOST_IDLE 10

/* Accesses of feeds since the last time; what cannot be written now stays. */
bool
th_cycle_count_feeds(void)
{
	ThTally *tallies = palloc_array(ThTally, TH_TALLY_ENTRIES);
	int n = th_tally_read(tallies);
	int64 *clinics = palloc_array(int64, n + 1);
	int64 *ids = palloc_array(int64, n + 1);
	int64 *counts = palloc_array(int64, n + 1);
	TimestampTz *last = palloc_array(TimestampTz, n + 1);
	bool *is_written = palloc_array(bool, n + 1);

	if (th_transaction_begin("feeds") != TH_EXTENSION_READY)
		return false;
	for (int i = 0; i < n; i++)
	{
		clinics[i] = tallies[i].clinic_id;
		ids[i] = tallies[i].feed_id;
		counts[i] = tallies[i].count;
		last[i] = tallies[i].last_at;
	}
	if (n > 0)
		th_feed_count(clinics, ids, counts, last, n, is_written);
	th_transaction_commit();
	th_tally_settle(tallies, is_written, n);
	return true;
}

bool
th_cycle_keep_history(void)
{
	/* tables are made and dropped: their locks go before the rest begins */
	if (th_transaction_begin("history") != TH_EXTENSION_READY)
		return false;
	th_history_keep(th_clock_now());
	th_transaction_commit();
	return true;
}

bool
th_cycle_chain_audit(bool *has_more)
{
	if (th_transaction_begin("audit") != TH_EXTENSION_READY)
		return false;
	*has_more = th_audit_chain(AUDIT_BATCH) == AUDIT_BATCH;
	th_transaction_commit();
	return true;
}

/* Accounts whose grant is used now, though there is nothing to do. */
typedef struct Idle
{
	ThPoolAccount *accounts[MOST_IDLE];
	int n;
} Idle;

/* A grant that nothing uses dies (O7). Those of calendars have a job for that. */
static void
find_idle(Idle *idle)
{
	TimestampTz now = th_clock_now();
	int64 *clinics;
	int64 *ids;
	int n;

	idle->n = 0;
	if (th_guc_mock || th_environment_held(false) != NULL)
		return;
	n = th_account_list_idle(now - KEEP_ALIVE_US, &clinics, &ids);
	for (int i = 0; i < n && idle->n < MOST_IDLE; i++)
	{
		ThAccount *row = th_account_get(clinics[i], ids[i]);

		if (row != NULL && row->api_url != NULL)
			idle->accounts[idle->n++] = th_pool_account(row, now);
	}
}

bool
th_cycle_read_limits(void)
{
	Idle idle;

	if (th_transaction_begin("limits") != TH_EXTENSION_READY)
		return false;
	th_pool_read_limits();
	find_idle(&idle);
	th_transaction_commit();
	for (int i = 0; i < idle.n; i++)
		th_send_refresh(idle.accounts[i], th_clock_now());
	return true;
}

void
th_cycle_clock_set_back(int64 back_us)
{
	if (th_transaction_begin("clock") != TH_EXTENSION_READY)
		return;
	th_job_hasten(th_clock_now(), back_us);
	th_transaction_commit();
}

void
th_cycle_renew(void)
{
	TimestampTz now = th_clock_now();
	TimestampTz lease = (TimestampTz) th_guc_lease_seconds * USECS_PER_SEC;
	ThWork **works;
	ThJob *jobs;
	int n;
	int n_old = 0;

	works = th_run_list_open(&n);
	jobs = palloc_array(ThJob, Max(n, 1));
	for (int i = 0; i < n; i++)
		if (works[i]->ask == NULL && works[i]->lease_until < now + lease / 2)
			jobs[n_old++] = works[i]->job;
	if (n_old == 0 || th_transaction_begin("renew") != TH_EXTENSION_READY)
		return;
	th_job_renew(jobs, n_old, now + lease);
	th_transaction_commit();
	for (int i = 0; i < n; i++)
		if (works[i]->ask == NULL && works[i]->lease_until < now + lease / 2)
			works[i]->lease_until = now + lease;
}
