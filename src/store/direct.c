/*
 * direct.c
 *	  Rows of our own tables without the executor.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "store/direct.h"

#define MAX_KEYS 4

/* A server with assertions has one against updates that find a lock and do not wait. */
#ifdef USE_ASSERT_CHECKING
#define LOCKS_FIRST true
#else
#define LOCKS_FIRST false
#endif

struct ThDirect
{
	Relation table;
	Relation primary; /* opened with the others, by the executor */
	Relation ordered; /* so is this, or NULL */
	ResultRelInfo *target;
	EState *state; /* owns the memory */
	IndexScanDesc scan;
	IndexScanDesc range; /* NULL: none under way */
	ScanKeyData keys[MAX_KEYS];
	int n_keys;
	TupleTableSlot *found;
	TupleTableSlot *written;
};

static bool
has_type(Form_pg_attribute attribute, Oid type)
{
	return attribute->atttypmod == -1 &&
		   (OidIsValid(type)
				? attribute->atttypid == type
				: get_typtype(attribute->atttypid) == TYPTYPE_ENUM);
}

bool
th_direct_is_known(struct RelationData *table, const ThDirectColumn *known,
				   int n)
{
	TupleDesc columns = RelationGetDescr(table);

	if (columns->natts != n || table->rd_rules != NULL ||
		table->rd_rel->relkind != RELKIND_RELATION ||
		table->rd_rel->relam != HEAP_TABLE_AM_OID ||
		table->rd_rel->relhassubclass)
		return false;
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (attribute->attisdropped || attribute->attgenerated != '\0' ||
			strcmp(NameStr(attribute->attname), known[i].name) != 0 ||
			!has_type(attribute, known[i].type))
			return false;
	}
	return true;
}

/* Those on DELETE count when a row is to be removed: sessions have some of ours. */
static bool
has_triggers(const TriggerDesc *triggers)
{
	return triggers != NULL && (triggers->trig_insert_before_row ||
								triggers->trig_insert_after_row ||
								triggers->trig_insert_before_statement ||
								triggers->trig_insert_after_statement ||
								triggers->trig_update_before_row ||
								triggers->trig_update_after_row ||
								triggers->trig_update_before_statement ||
								triggers->trig_update_after_statement);
}

static bool
is_allowed(Relation table)
{
	return table->rd_rel->relowner == GetUserId() || superuser();
}

/* Whether the index finds every row by these columns, in their order. */
static bool
is_index_of(const IndexInfo *info, Relation index, const AttrNumber *columns,
			int n)
{
	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
		index->rd_index->indcheckxmin || info->ii_Predicate != NIL ||
		info->ii_NumIndexKeyAttrs < n)
		return false;
	for (int i = 0; i < n; i++)
		if (info->ii_IndexAttrNumbers[i] != columns[i] ||
			index->rd_indoption[i] != 0)
			return false;
	return true;
}

/* False if the key is not one of numbers and texts, the table's first columns. */
static bool
prepare_keys(ThDirect *direct)
{
	TupleDesc columns = RelationGetDescr(direct->primary);

	direct->n_keys = IndexRelationGetNumberOfKeyAttributes(direct->primary);
	if (direct->n_keys > MAX_KEYS)
		return false;
	for (int i = 0; i < direct->n_keys; i++)
	{
		Oid type = TupleDescAttr(columns, i)->atttypid;

		if ((type != INT8OID && type != TEXTOID) ||
			direct->primary->rd_index->indkey.values[i] != i + 1)
			return false;
		ScanKeyEntryInitialize(&direct->keys[i], 0, (AttrNumber) (i + 1),
							   BTEqualStrategyNumber, type,
							   direct->primary->rd_indcollation[i],
							   type == INT8OID ? F_INT8EQ : F_TEXTEQ,
							   (Datum) 0);
	}
	return true;
}

static bool
open_indexes(ThDirect *direct)
{
	ResultRelInfo *target = direct->target;

	ExecOpenIndices(target, false);
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		Relation index = target->ri_IndexRelationDescs[i];

		if (RelationGetRelid(index) == direct->table->rd_pkindex)
			direct->primary = index;
		if (!target->ri_IndexRelationInfo[i]->ii_ReadyForInserts)
			return false;
	}
	return direct->primary != NULL && prepare_keys(direct);
}

ThDirect *
th_direct_open(const char *schema, const char *table,
			   const ThDirectColumn *columns, int n_columns)
{
	EState *state = CreateExecutorState();
	MemoryContext old = MemoryContextSwitchTo(state->es_query_cxt);
	ThDirect *direct = palloc0_object(ThDirect);
	Oid relation = get_relname_relid(table, get_namespace_oid(schema, false));

	direct->state = state;
	direct->table = table_open(relation, RowExclusiveLock);
	direct->target = makeNode(ResultRelInfo);
	InitResultRelInfo(direct->target, direct->table, 0, NULL, 0);
	direct->found = table_slot_create(direct->table, NULL);
	direct->written = MakeSingleTupleTableSlot(RelationGetDescr(direct->table),
											   &TTSOpsVirtual);
	if (!th_direct_is_known(direct->table, columns, n_columns) ||
		has_triggers(direct->table->trigdesc) || !is_allowed(direct->table) ||
		!open_indexes(direct))
	{
		MemoryContextSwitchTo(old);
		th_direct_close(direct);
		return NULL;
	}

	/* what this transaction has written before is to be seen */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	direct->scan = index_beginscan(direct->table, direct->primary,
								   GetActiveSnapshot(), direct->n_keys, 0);
	MemoryContextSwitchTo(old);
	return direct;
}

void
th_direct_close(ThDirect *direct)
{
	th_direct_end_scan(direct);
	if (direct->scan != NULL)
	{
		index_endscan(direct->scan);
		PopActiveSnapshot();
		CommandCounterIncrement();
	}
	ExecDropSingleTupleTableSlot(direct->found);
	ExecDropSingleTupleTableSlot(direct->written);
	if (direct->target->ri_NumIndices > 0)
		ExecCloseIndices(direct->target);
	table_close(direct->table, NoLock);
	FreeExecutorState(direct->state);
}

TupleTableSlot *
th_direct_find(ThDirect *direct, const Datum *keys)
{
	for (int i = 0; i < direct->n_keys; i++)
		direct->keys[i].sk_argument = keys[i];
	index_rescan(direct->scan, direct->keys, direct->n_keys, NULL, 0);
	return index_getnext_slot(direct->scan, ForwardScanDirection, direct->found)
			   ? direct->found
			   : NULL;
}

bool
th_direct_order(ThDirect *direct, const AttrNumber *columns, int n_columns)
{
	ResultRelInfo *target = direct->target;

	direct->ordered = NULL;
	for (int i = 0; i < target->ri_NumIndices && direct->ordered == NULL; i++)
		if (is_index_of(target->ri_IndexRelationInfo[i],
						target->ri_IndexRelationDescs[i], columns, n_columns))
			direct->ordered = target->ri_IndexRelationDescs[i];
	return direct->ordered != NULL;
}

void
th_direct_scan(ThDirect *direct, ScanKeyData *keys, int n_keys)
{
	MemoryContext old = MemoryContextSwitchTo(direct->state->es_query_cxt);

	direct->range = index_beginscan(direct->table, direct->ordered,
									GetActiveSnapshot(), n_keys, 0);
	index_rescan(direct->range, keys, n_keys, NULL, 0);
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
th_direct_next(ThDirect *direct)
{
	return index_getnext_slot(direct->range, ForwardScanDirection,
							  direct->found)
			   ? direct->found
			   : NULL;
}

void
th_direct_end_scan(ThDirect *direct)
{
	ExecClearTuple(direct->found);
	if (direct->range != NULL)
		index_endscan(direct->range);
	direct->range = NULL;
}

static ThDirectResult
result_of(TM_Result result)
{
	switch (result)
	{
		case TM_Ok:
			return TH_DIRECT_DONE;
		case TM_BeingModified:
		case TM_WouldBlock:
			return TH_DIRECT_HELD;
		default:
			return TH_DIRECT_GONE;
	}
}

ThDirectResult
th_direct_lock(ThDirect *direct)
{
	ItemPointerData place = direct->found->tts_tid;
	TM_FailureData failure;

	return result_of(
		table_tuple_lock(direct->table, &place, GetActiveSnapshot(),
						 direct->found, GetCurrentCommandId(false),
						 LockTupleExclusive, LockWaitSkip, 0, &failure));
}

void
th_direct_edit(ThDirect *direct, Datum **values, bool **nulls)
{
	int n = direct->found->tts_tupleDescriptor->natts;

	slot_getallattrs(direct->found);
	ExecClearTuple(direct->written);
	memcpy(direct->written->tts_values, direct->found->tts_values,
		   n * sizeof(Datum));
	memcpy(direct->written->tts_isnull, direct->found->tts_isnull,
		   n * sizeof(bool));
	*values = direct->written->tts_values;
	*nulls = direct->written->tts_isnull;
}

void
th_direct_new(ThDirect *direct, Datum **values, bool **nulls)
{
	ExecClearTuple(direct->written);
	memset(direct->written->tts_isnull, true,
		   direct->written->tts_tupleDescriptor->natts * sizeof(bool));
	*values = direct->written->tts_values;
	*nulls = direct->written->tts_isnull;
}

/* The row gets its table, and is held against the checks. */
static void
complete(ThDirect *direct)
{
	ExecStoreVirtualTuple(direct->written);
	direct->written->tts_tableOid = RelationGetRelid(direct->table);
	if (direct->table->rd_att->constr != NULL)
		ExecConstraints(direct->target, direct->written, direct->state);
}

static void
index_row(ThDirect *direct, ThCompatIndexes indexes)
{
	if (direct->target->ri_NumIndices > 0 && indexes != TU_None)
		list_free(th_compat_index_row(direct->target, direct->written,
									  direct->state, indexes));
	ResetPerTupleExprContext(direct->state);
}

static TM_Result
update_row(ThDirect *direct, bool is_locked)
{
	TM_FailureData failure;
	LockTupleMode mode;
	ThCompatIndexes indexes = TU_None;
	TM_Result result;

	result = table_tuple_update(direct->table, &direct->found->tts_tid,
								direct->written, GetCurrentCommandId(true),
								GetActiveSnapshot(), InvalidSnapshot, is_locked,
								&failure, &mode, &indexes);
	if (result == TM_Ok)
		index_row(direct, indexes);
	return result;
}

ThDirectResult
th_direct_update(ThDirect *direct, bool is_locked)
{
	MemoryContext old;
	TM_Result result;

	if (LOCKS_FIRST && !is_locked)
	{
		ThDirectResult lock = th_direct_lock(direct);

		if (lock != TH_DIRECT_DONE)
			return lock;
		is_locked = true;
	}
	old = MemoryContextSwitchTo(direct->state->es_query_cxt);
	complete(direct);
	CheckCmdReplicaIdentity(direct->table, CMD_UPDATE);
	result = update_row(direct, is_locked);
	/* also if the lock is our own */
	if (result == TM_BeingModified && th_direct_lock(direct) == TH_DIRECT_DONE)
		result = update_row(direct, true);
	MemoryContextSwitchTo(old);
	return result_of(result);
}

void
th_direct_insert(ThDirect *direct)
{
	MemoryContext old = MemoryContextSwitchTo(direct->state->es_query_cxt);

	complete(direct);
	table_tuple_insert(direct->table, direct->written,
					   GetCurrentCommandId(true), 0, NULL);
	index_row(direct, TU_All);
	MemoryContextSwitchTo(old);
}

ThDirectResult
th_direct_delete(ThDirect *direct, ItemPointer place)
{
	TM_FailureData failure;
	const TriggerDesc *triggers = direct->table->trigdesc;

	if (triggers != NULL &&
		(triggers->trig_delete_before_row || triggers->trig_delete_after_row ||
		 triggers->trig_delete_before_statement ||
		 triggers->trig_delete_after_statement))
		return TH_DIRECT_GONE;
	CheckCmdReplicaIdentity(direct->table, CMD_DELETE);
	return result_of(table_tuple_delete(direct->table, place,
										GetCurrentCommandId(true),
										GetActiveSnapshot(), InvalidSnapshot,
										true, &failure, false));
}
