/*
 * calendar_use.c
 *	  Does this database know any calendar connection?
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "store/calendar_use.h"

/* A session that heard nothing asks again all the same: replicated rows fire no trigger. */
#define ASK_AGAIN_US USECS_PER_MINUTE

static Oid table = InvalidOid; /* known since it was asked */
static bool is_any = false;
static TimestampTz asked_at = 0; /* 0: ask */

static void
forget(Datum arg pg_attribute_unused(), Oid relation)
{
	if (!OidIsValid(relation) || relation == table)
		asked_at = 0;
}

/* The newest rows, whatever the transaction may see. */
static bool
look(void)
{
	Oid schema = get_namespace_oid("telehealth", true);
	Relation relation;
	TableScanDesc scan;
	TupleTableSlot *slot;
	Snapshot snapshot;
	bool is_found;

	table = OidIsValid(schema)
				? get_relname_relid("calendar_connection", schema)
				: InvalidOid;
	if (!OidIsValid(table))
		return false; /* version 0.1 */
	relation = table_open(table, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	slot = table_slot_create(relation, NULL);
	scan = table_beginscan(relation, snapshot, 0, NULL);
	is_found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return is_found;
}

bool
th_calendar_is_used(void)
{
	static bool is_watching = false;
	TimestampTz now;

	if (!is_watching)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		is_watching = true;
	}

	/*
	 * What was sent since this statement began counts too: whoever looks for
	 * rows after that is sure that later ones are marked.
	 */
	AcceptInvalidationMessages();
	if (is_any && asked_at != 0)
		return true;
	now = GetCurrentTimestamp();
	if (asked_at == 0 || now - asked_at > ASK_AGAIN_US || now < asked_at)
	{
		is_any = look();
		asked_at = now;
	}
	return is_any;
}

void
th_calendar_forget_use(void)
{
	Oid schema = get_namespace_oid("telehealth", false);

	CacheInvalidateRelcacheByRelid(
		get_relname_relid("calendar_connection", schema));
}
