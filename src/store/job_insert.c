/*
 * job_insert.c
 *	  New jobs without the executor: what every booking pays for.
 *
 * An INSERT through SPI is eight tenths of what the trigger costs. The row
 * and its index entries are written here as the server writes its catalogues.
 * Whether the key was there before is asked of the primary key in the way of
 * a deferred constraint, which neither waits nor fails. A row that was one too
 * many is killed at once, as ON CONFLICT does: were it only deleted, whoever
 * changes the row that was there would wait for this transaction, and the
 * dispatcher may do that while we wait for it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "store/job_columns.h"
#include "store/job_insert.h"

const ThDirectColumn th_job_columns[] = {
	[JOB_KIND] = { "kind", TEXTOID },
	[JOB_CLINIC_ID] = { "clinic_id", INT8OID },
	[JOB_SUBJECT_ID] = { "subject_id", INT8OID },
	[JOB_PRIORITY] = { "priority", INT2OID },
	[JOB_DUE_AT] = { "due_at", TIMESTAMPTZOID },
	[JOB_CLAIM_NO] = { "claim_no", INT8OID },
	[JOB_GENERATION] = { "generation", INT8OID },
	[JOB_ATTEMPTS] = { "attempts", INT2OID },
	[JOB_MAX_ATTEMPTS] = { "max_attempts", INT2OID },
	[JOB_FAILURES] = { "failures", INT4OID },
	[JOB_MARKED_AT] = { "marked_at", TIMESTAMPTZOID },
	[JOB_WAITING_FOR] = { "waiting_for", TEXTOID },
	[JOB_LAST_ERROR] = { "last_error", TEXTOID },
	[JOB_DEAD_AT] = { "dead_at", TIMESTAMPTZOID },
};

StaticAssertDecl(lengthof(th_job_columns) == JOB_COLUMN_COUNT,
				 "every column needs its name");

#define MAX_INDEXES 4
#define BULK_ROWS 1000

/* What one call has open. */
typedef struct Target
{
	Relation table;
	int n_indexes;
	Relation index[MAX_INDEXES]; /* the primary key first */
	IndexInfo *info[MAX_INDEXES];
	TupleTableSlot *slot;
	BulkInsertState bulk; /* NULL for a few rows */
	uint32 token;         /* of rows that may be killed yet; 0: none */
} Target;

/* Checks but the one of ours are a statement's to make. */
static bool
is_as_known(Relation table)
{
	const TupleConstr *constraints = RelationGetDescr(table)->constr;

	return table->trigdesc == NULL && constraints != NULL &&
		   constraints->num_check == 1 &&
		   th_direct_is_known(table, th_job_columns, JOB_COLUMN_COUNT);
}

/* False if there is one that is not simply written to. */
static bool
open_indexes(Target *target)
{
	List *indexes = RelationGetIndexList(target->table);
	Oid primary = target->table->rd_pkindex;
	ListCell *cell;

	if (list_length(indexes) > MAX_INDEXES || !OidIsValid(primary))
		return false;
	indexes = lcons_oid(primary, list_delete_oid(indexes, primary));
	foreach(cell, indexes)
	{
		int i = target->n_indexes++;
		IndexInfo *info;

		target->index[i] = index_open(lfirst_oid(cell), RowExclusiveLock);
		target->info[i] = info = BuildIndexInfo(target->index[i]);
		if (info->ii_Expressions != NIL || info->ii_Predicate != NIL ||
			info->ii_Unique != (i == 0) || !info->ii_ReadyForInserts ||
			info->ii_ExclusionOps != NULL ||
			target->index[i]->rd_rel->relam != BTREE_AM_OID)
			return false;
	}
	return true;
}

static bool
open_target(Target *target, int n)
{
	Oid schema = get_namespace_oid("telehealth_private", false);

	target->table = table_open(get_relname_relid("job", schema),
							   RowExclusiveLock);
	if (!is_as_known(target->table) || !open_indexes(target))
		return false;
	target->slot = table_slot_create(target->table, NULL);
	target->bulk = n >= BULK_ROWS ? GetBulkInsertState() : NULL;
	target->token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
	return true;
}

static void
close_target(Target *target)
{
	if (target->token != 0)
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	if (target->bulk != NULL)
		FreeBulkInsertState(target->bulk);
	if (target->slot != NULL)
		ExecDropSingleTupleTableSlot(target->slot);
	for (int i = 0; i < target->n_indexes; i++)
		index_close(target->index[i], NoLock);
	table_close(target->table, NoLock);
}

static void
fill_slot(TupleTableSlot *slot, Datum kind, const ThMark *mark, TimestampTz now)
{
	Datum *values = slot->tts_values;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, JOB_COLUMN_COUNT * sizeof(bool));
	values[JOB_KIND] = kind;
	values[JOB_CLINIC_ID] = Int64GetDatum(mark->clinic_id);
	values[JOB_SUBJECT_ID] = Int64GetDatum(mark->subject_id);
	values[JOB_PRIORITY] = Int16GetDatum((int16) mark->priority);
	values[JOB_DUE_AT] = TimestampTzGetDatum(mark->due_at);
	values[JOB_CLAIM_NO] = Int64GetDatum(0);
	values[JOB_GENERATION] = Int64GetDatum(1);
	values[JOB_ATTEMPTS] = Int16GetDatum(0);
	values[JOB_MAX_ATTEMPTS] = Int16GetDatum((int16) th_guc_max_attempts);
	values[JOB_FAILURES] = Int32GetDatum(0);
	values[JOB_MARKED_AT] = TimestampTzGetDatum(now);
	slot->tts_isnull[JOB_WAITING_FOR] = true;
	slot->tts_isnull[JOB_LAST_ERROR] = true;
	slot->tts_isnull[JOB_DEAD_AT] = true;
	ExecStoreVirtualTuple(slot);
}

static bool
insert_into_index(Target *target, int i)
{
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];
	IndexUniqueCheck check = i == 0 ? UNIQUE_CHECK_PARTIAL : UNIQUE_CHECK_NO;

	FormIndexDatum(target->info[i], target->slot, NULL, values, nulls);
	return index_insert(target->index[i], values, nulls, &target->slot->tts_tid,
						target->table, check, false, target->info[i]) ||
		   i > 0;
}

/* Whether the key of what is in the slot can be seen. */
static bool
is_there(Target *target)
{
	Relation primary = target->index[0];
	ScanKeyData keys[JOB_KEY_COUNT];
	SysScanDesc scan;
	bool result;

	ScanKeyEntryInitialize(&keys[JOB_KIND], 0, JOB_KIND + 1,
						   BTEqualStrategyNumber, TEXTOID,
						   primary->rd_indcollation[JOB_KIND], F_TEXTEQ,
						   target->slot->tts_values[JOB_KIND]);
	for (int i = JOB_CLINIC_ID; i < JOB_KEY_COUNT; i++)
		ScanKeyInit(&keys[i], (AttrNumber) (i + 1), BTEqualStrategyNumber,
					F_INT8EQ, target->slot->tts_values[i]);
	scan = systable_beginscan(target->table, RelationGetRelid(primary), true,
							  GetActiveSnapshot(), JOB_KEY_COUNT, keys);
	result = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return result;
}

/* False if the key is there already, or may be when others have committed. */
static bool
insert_row(Target *target)
{
	bool is_new;

	table_tuple_insert_speculative(target->table, target->slot,
								   GetCurrentCommandId(true), 0, target->bulk,
								   target->token);
	is_new = insert_into_index(target, 0);
	table_tuple_complete_speculative(target->table, target->slot, target->token,
									 is_new);
	for (int i = 1; is_new && i < target->n_indexes; i++)
		(void) insert_into_index(target, i);
	return is_new;
}

int
th_job_insert(ThMark *marks, int n, TimestampTz now, bool *is_possible)
{
	Target target = { 0 };
	Datum kinds[TH_JOB_KIND_COUNT] = { 0 };
	bool is_open = open_target(&target, n);
	bool is_looking = is_possible != NULL;
	int n_left = 0;

	if (is_possible != NULL)
		*is_possible = is_open;
	if (is_open)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		for (int i = 0; i < n; i++)
		{
			Datum *kind = &kinds[marks[i].kind];

			if (*kind == (Datum) 0)
				*kind = CStringGetTextDatum(th_job_kind_name(marks[i].kind));
			fill_slot(target.slot, *kind, &marks[i], now);
			if ((is_looking && is_there(&target)) || !insert_row(&target))
				marks[n_left++] = marks[i];
		}
		PopActiveSnapshot();
	}
	else
		n_left = n;
	close_target(&target);
	return n_left;
}
