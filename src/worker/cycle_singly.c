/*
 * cycle_singly.c
 *	  Settling one by one, after a batch that could not be written.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/timeout.h"

#include "base/th_clock.h"
#include "worker/cycle.h"
#include "worker/expand.h"
#include "worker/pool.h"
#include "worker/run.h"
#include "worker/settle.h"
#include "worker/transaction.h"

/* In a PG_CATCH. */
static void
give_up_transaction(MemoryContext outer)
{
	MemoryContextSwitchTo(outer);
	EmitErrorReport();
	FlushErrorState();
	disable_all_timeouts(false);
	AbortCurrentTransaction();
}

/* A refresh token that was replaced must not be lost with a batch. */
static void
save_pool(void)
{
	MemoryContext outer = CurrentMemoryContext;

	if (!th_pool_is_dirty())
		return;
	PG_TRY();
	{
		if (th_transaction_begin("tokens") == TH_EXTENSION_READY)
		{
			th_pool_save(th_clock_now());
			th_transaction_commit();
			th_pool_saved();
		}
	}
	PG_CATCH();
	{
		give_up_transaction(outer);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
}

bool
th_cycle_settle_singly(void)
{
	MemoryContext outer = CurrentMemoryContext;
	ThWork **works;
	int n;

	save_pool();
	works = th_run_list_finished(&n);
	for (int i = 0; i < n; i++)
	{
		ThSettleReport settled;
		bool is_kept = false;

		PG_TRY();
		{
			if (th_transaction_begin("settle") == TH_EXTENSION_READY)
			{
				th_settle_works(&works[i], 1, th_clock_now(), &is_kept,
								&settled);
				th_transaction_commit();
			}
		}
		PG_CATCH();
		{
			/* this one cannot be written: its lease runs out, its attempts count */
			give_up_transaction(outer);
			th_expand_forget();
			is_kept = false;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(outer);
		if (!is_kept)
			th_run_settled(works[i]);
	}
	return n > 0;
}
