/*
 * transaction.c
 *	  The short transactions of a worker.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "store/owner.h"
#include "worker/transaction.h"

/* A statement of ours that takes longer is stuck; the batch is tried again. */
#define STATEMENT_TIMEOUT_MS 20000

/* What was counted so soon after a report is reported this much later. */
#define STATISTICS_REST_MS 1000

static MemoryContext outer_context = NULL;
static int64 statistics_due_ms = 0; /* monotonic; 0: nothing is left */

/* The installed version of our extension, NULL if it is not installed. */
static char *
installed_version(Oid extension)
{
	Relation relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	char *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(relation, ExtensionOidIndexId, true, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool is_null;
		Datum value = heap_getattr(tuple, Anum_pg_extension_extversion,
								   RelationGetDescr(relation), &is_null);

		if (!is_null)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return version;
}

/*
 * The lock keeps DROP EXTENSION out for this short transaction; whoever holds
 * it for long makes us look again later. ALTER EXTENSION UPDATE takes no such
 * lock: tables that we have used wait for us, others may be new ones by now.
 * At worst a statement fails, and the next look sees the version.
 */
static ThExtensionState
look_for_extension(void)
{
	Oid extension = get_extension_oid("telehealth", true);
	char *version;

	if (!OidIsValid(extension))
		return TH_EXTENSION_ABSENT;
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	version = installed_version(extension);
	if (version == NULL)
		return TH_EXTENSION_ABSENT;
	return strcmp(version, TH_VERSION) == 0 ? TH_EXTENSION_READY
											: TH_EXTENSION_OTHER_VERSION;
}

static void
become_worker_role(void)
{
	Oid role = th_guc_worker_role[0] == '\0'
				   ? th_owner_role()
				   : get_role_oid(th_guc_worker_role, false);

	SetUserIdAndSecContext(role, SECURITY_LOCAL_USERID_CHANGE);
}

ThExtensionState
th_transaction_begin(const char *activity)
{
	ThExtensionState state;

	outer_context = CurrentMemoryContext;
	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, activity);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	enable_timeout_after(STATEMENT_TIMEOUT, STATEMENT_TIMEOUT_MS);
	state = look_for_extension();
	if (state == TH_EXTENSION_READY)
	{
		become_worker_role();
		MemoryContextSwitchTo(CurTransactionContext);
	}
	else
		th_transaction_commit();
	return state;
}

void
th_transaction_commit(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	SetUserIdAndSecContext(GetSessionUserId(), 0);
	PopActiveSnapshot();
	CommitTransactionCommand();
	statistics_due_ms = pgstat_report_stat(false) == 0
							? 0
							: th_clock_monotonic_ms() + STATISTICS_REST_MS;
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(outer_context);
}

void
th_transaction_report_rest(void)
{
	if (statistics_due_ms == 0 || th_clock_monotonic_ms() < statistics_due_ms)
		return;
	statistics_due_ms = 0;
	pgstat_report_stat(true);
}

uint64
th_transaction_completions(void)
{
	uint64 n;

	LWLockAcquire(ProcArrayLock, LW_SHARED);
	n = TransamVariables->xactCompletionCount;
	LWLockRelease(ProcArrayLock);
	return n;
}

/* A number that changes with the settings of this database; 0 if there are none. */
static uint32
read_settings(void)
{
	Relation relation = table_open(DbRoleSettingRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	uint32 sum = 0;

	ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(MyDatabaseId));
	ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(InvalidOid));
	scan = systable_beginscan(relation, DbRoleSettingDatidRolidIndexId, true,
							  NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		sum = DatumGetUInt32(
			hash_any((unsigned char *) tuple->t_data + tuple->t_data->t_hoff,
					 (int) tuple->t_len - tuple->t_data->t_hoff));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return sum;
}

static bool is_sum_known = false;
static uint32 known_sum = 0;

bool
th_transaction_is_setting_changed(void)
{
	uint32 present = read_settings();

	if (!is_sum_known)
	{
		is_sum_known = true;
		known_sum = present;
	}
	return present != known_sum;
}

bool
th_transaction_settings(uint32 *sum)
{
	*sum = known_sum;
	return is_sum_known;
}
