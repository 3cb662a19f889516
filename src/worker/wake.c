/*
 * wake.c
 *	  Flags of this backend, and the callback that acts on them.
 *
 * At XACT_EVENT_COMMIT the transaction is visible to others, so a worker
 * that wakes at once finds its rows. A wake is needless at worst.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "worker/slot_control.h"
#include "worker/wake.h"

/* Of the present top transaction. */
static bool wakes_dispatcher = false;
static bool wakes_launcher = false;
static bool leaves_unmarked = false;

/* Of a prepared one: this backend's next commit may be COMMIT PREPARED. */
static bool wakes_dispatcher_later = false;
static bool wakes_launcher_later = false;
static bool leaves_unmarked_later = false;

static bool
is_beyond_margin(void)
{
	return TimestampDifferenceExceeds(GetCurrentTransactionStartTimestamp(),
									  GetCurrentTimestamp(),
									  TH_WATERMARK_MARGIN_MS);
}

static void
forget(void)
{
	wakes_dispatcher = false;
	wakes_launcher = false;
	leaves_unmarked = false;
}

static void
act_at_commit(void)
{
	/* How old a prepared transaction was is not known here. */
	bool needs_full_scan = wakes_dispatcher_later ||
						   (wakes_dispatcher && is_beyond_margin());
	bool needs_dispatcher = wakes_dispatcher || wakes_dispatcher_later;
	bool needs_launcher = wakes_launcher || wakes_launcher_later;
	bool is_unmarked = leaves_unmarked || leaves_unmarked_later;

	forget();
	wakes_dispatcher_later = false;
	wakes_launcher_later = false;
	leaves_unmarked_later = false;

	if (!th_slot_available())
		return;
	if (is_unmarked)
		th_slot_note_unmarked(MyDatabaseId);
	if (needs_dispatcher)
		th_slot_wake(MyDatabaseId, needs_full_scan);
	if (needs_launcher)
		th_slot_request_probe(MyDatabaseId);
}

static void
wake_callback(XactEvent event, void *arg)
{
	(void) arg;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (wakes_dispatcher || wakes_launcher || wakes_dispatcher_later ||
				wakes_launcher_later)
				act_at_commit();
			break;
		case XACT_EVENT_PREPARE:
			wakes_dispatcher_later |= wakes_dispatcher;
			wakes_launcher_later |= wakes_launcher;
			leaves_unmarked_later |= leaves_unmarked;
			forget();
			break;
		case XACT_EVENT_ABORT:
			forget();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

void
th_wake_init(void)
{
	RegisterXactCallback(wake_callback, NULL);
}

void
th_wake_at_commit(void)
{
	wakes_dispatcher = true;
}

void
th_wake_for_unmarked_at_commit(void)
{
	wakes_dispatcher = true;
	leaves_unmarked = true;
}

void
th_wake_launcher_at_commit(void)
{
	wakes_launcher = true;
}
