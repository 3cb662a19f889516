/*
 * telehealth.c
 *	  Module magic and initialization of the library.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/compat.h"
#include "base/th_guc.h"
#include "worker/launcher.h"
#include "worker/shmem.h"
#include "worker/utility_hook.h"
#include "worker/wake.h"

TH_MODULE_MAGIC("telehealth", TH_VERSION);

extern TH_EXPORT void _PG_init(void);

void
_PG_init(void)
{
	th_guc_define();
	th_wake_init();

	if (!process_shared_preload_libraries_in_progress)
		return;

	th_shmem_request_init();
	th_utility_hook_init();
	if (!IsBinaryUpgrade)
		th_launcher_register();
}
