/*
 * plans.c
 *	  Prepared statements of the store, and arrays as their parameters.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "jit/jit.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/plans.h"
#include "store/table_size.h"

void
th_store_connect(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
th_store_finish(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

static void
prepare(ThPlan *plan)
{
	SPIPlanPtr prepared;

	if (plan->plan != NULL)
		return;
	prepared = SPI_prepare(plan->text, plan->n_args, plan->types);
	if (prepared == NULL || SPI_keepplan(prepared) != 0)
		elog(ERROR, "could not prepare a statement: %s",
			 SPI_result_code_string(SPI_result));
	plan->plan = prepared;
}

/*
 * Around whatever may plan: tables as if they were large, so that a plan stays
 * good, and no just-in-time compilation, which the costs of such a plan would
 * call for.
 */
typedef struct Planning
{
	bool is_large;
	bool is_jit;
} Planning;

static void
begin_planning(Planning *former)
{
	former->is_large = th_table_size_assume_large(true);
	former->is_jit = jit_enabled;
	jit_enabled = false;
}

static void
end_planning(const Planning *former)
{
	jit_enabled = former->is_jit;
	(void) th_table_size_assume_large(former->is_large);
}

void
th_plan_run(ThPlan *plan, Datum *values, const char *nulls, bool read_only)
{
	volatile int result = 0;
	Planning former;

	prepare(plan);
	begin_planning(&former);
	PG_TRY();
	{
		result = SPI_execute_plan(plan->plan, values, nulls, read_only, 0);
	}
	PG_FINALLY();
	{
		end_planning(&former);
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "could not run a statement: %s",
			 SPI_result_code_string(result));
}

/* ---- rows as they come ---- */

typedef struct Looker
{
	DestReceiver receiver;
	MemoryContext row;
	void (*look)(TupleTableSlot *row, void *arg);
	void *arg;
} Looker;

static bool
take_row(TupleTableSlot *slot, DestReceiver *receiver)
{
	Looker *looker = (Looker *) receiver;
	MemoryContext old = MemoryContextSwitchTo(looker->row);

	slot_getallattrs(slot);
	looker->look(slot, looker->arg);
	MemoryContextSwitchTo(old);
	MemoryContextReset(looker->row);
	return true;
}

static void
begin_rows(DestReceiver *receiver pg_attribute_unused(),
		   int operation pg_attribute_unused(),
		   TupleDesc columns pg_attribute_unused())
{
}

static void
end_rows(DestReceiver *receiver pg_attribute_unused())
{
}

static ParamListInfo
list_parameters(const ThPlan *plan, const Datum *values)
{
	ParamListInfo list = makeParamList(plan->n_args);

	for (int i = 0; i < plan->n_args; i++)
	{
		list->params[i].value = values[i];
		list->params[i].isnull = false;
		list->params[i].pflags = PARAM_FLAG_CONST;
		list->params[i].ptype = plan->types[i];
	}
	return list;
}

void
th_plan_each(ThPlan *plan, const Datum *values,
			 void (*look)(TupleTableSlot *row, void *arg), void *arg)
{
	Looker looker = { .look = look, .arg = arg };
	SPIExecuteOptions options = { 0 };
	volatile int result = 0;
	Planning former;

	looker.receiver.receiveSlot = take_row;
	looker.receiver.rStartup = begin_rows;
	looker.receiver.rShutdown = end_rows;
	looker.receiver.rDestroy = end_rows;
	looker.receiver.mydest = DestNone;
	looker.row = AllocSetContextCreate(CurrentMemoryContext, "telehealth row",
									   ALLOCSET_DEFAULT_SIZES);
	prepare(plan);
	options.params = list_parameters(plan, values);
	options.read_only = true;
	options.dest = &looker.receiver;
	begin_planning(&former);
	PG_TRY();
	{
		result = SPI_execute_plan_extended(plan->plan, &options);
	}
	PG_FINALLY();
	{
		end_planning(&former);
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "could not run a statement: %s",
			 SPI_result_code_string(result));
	MemoryContextDelete(looker.row);
}

static Datum
build_array(Datum *values, bool *nulls, int n, Oid type, int16 length,
			bool by_value, char align)
{
	int dims[1];
	int lower[1] = { 1 };

	if (n == 0)
		return PointerGetDatum(construct_empty_array(type));
	dims[0] = n;
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lower,
											  type, length, by_value, align));
}

Datum
th_array_int64(const int64 *values, int n)
{
	Datum *datums = palloc_array(Datum, Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = Int64GetDatum(values[i]);
	return build_array(datums, NULL, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					   TYPALIGN_DOUBLE);
}

Datum
th_array_int32(const int32 *values, int n)
{
	Datum *datums = palloc_array(Datum, Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = Int32GetDatum(values[i]);
	return build_array(datums, NULL, n, INT4OID, sizeof(int32), true,
					   TYPALIGN_INT);
}

Datum
th_array_timestamptz(const TimestampTz *values, int n)
{
	Datum *datums = palloc_array(Datum, Max(n, 1));
	bool *nulls = palloc_array(bool, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		datums[i] = TimestampTzGetDatum(values[i]);
		nulls[i] = values[i] == 0;
	}
	return build_array(datums, nulls, n, TIMESTAMPTZOID, sizeof(TimestampTz),
					   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

Datum
th_array_text(const char *const *values, int n)
{
	Datum *datums = palloc_array(Datum, Max(n, 1));
	bool *nulls = palloc_array(bool, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		nulls[i] = values[i] == NULL;
		datums[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(values[i]);
	}
	return build_array(datums, nulls, n, TEXTOID, -1, false, TYPALIGN_INT);
}

Datum
th_array_bytea(bytea *const *values, int n)
{
	Datum *datums = palloc_array(Datum, Max(n, 1));

	bool *nulls = palloc_array(bool, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		datums[i] = PointerGetDatum(values[i]);
		nulls[i] = values[i] == NULL;
	}
	return build_array(datums, nulls, n, BYTEAOID, -1, false, TYPALIGN_INT);
}

Datum
th_row_datum(uint64 row, int column, bool *is_null)
{
	Assert(row < SPI_processed);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
						 is_null);
}

int64
th_row_int64(uint64 row, int column)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);

	return is_null ? 0 : DatumGetInt64(value);
}

int32
th_row_int32(uint64 row, int column)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);

	return is_null ? 0 : DatumGetInt32(value);
}

bool
th_row_bool(uint64 row, int column)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);

	return is_null ? false : DatumGetBool(value);
}

TimestampTz
th_row_timestamptz(uint64 row, int column)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);

	return is_null ? 0 : DatumGetTimestampTz(value);
}

char *
th_row_text(uint64 row, int column, MemoryContext context)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);
	MemoryContext old;
	char *result;

	if (is_null)
		return NULL;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) != TEXTOID)
		elog(ERROR, "column %d is not of type text", column);
	old = MemoryContextSwitchTo(context);
	result = TextDatumGetCString(value);
	MemoryContextSwitchTo(old);
	return result;
}

bytea *
th_row_bytea(uint64 row, int column, MemoryContext context)
{
	bool is_null;
	Datum value = th_row_datum(row, column, &is_null);
	MemoryContext old;
	bytea *result;

	if (is_null)
		return NULL;
	old = MemoryContextSwitchTo(context);
	result = DatumGetByteaPCopy(value);
	MemoryContextSwitchTo(old);
	return result;
}
