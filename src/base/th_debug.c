/*
 * th_debug.c
 *	  Named places where a test can hold or kill a process.
 */
#include "postgres.h"

#ifdef TH_DEBUG

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/guc.h"

#include "base/th_clock.h"
#include "base/th_debug.h"

/* A test that forgets to let go fails by itself, it does not hang. */
#define WAITPOINT_LIMIT_MS 30000
#define WAITPOINT_POLL_MS 10

char *th_debug_waitpoint_name = NULL;
char *th_debug_crash_name = NULL;

static bool
is_named(const char *setting, const char *name)
{
	return setting != NULL && strcmp(setting, name) == 0;
}

void
th_debug_waitpoint(const char *name)
{
	int64 deadline = th_clock_monotonic_ms() + WAITPOINT_LIMIT_MS;

	if (is_named(th_debug_crash_name, name))
		(void) raise(SIGKILL);
	if (!is_named(th_debug_waitpoint_name, name))
		return;

	ereport(LOG, (errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				  errmsg("telehealth waitpoint \"%s\" reached", name)));
	while (is_named(th_debug_waitpoint_name, name) &&
		   th_clock_monotonic_ms() < deadline)
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 WAITPOINT_POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	/* Whoever waits on the latch next must not miss what was set here. */
	SetLatch(MyLatch);
}

#endif /* TH_DEBUG */
