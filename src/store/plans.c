/*
 * plans.c
 *	  Prepared statements of the store, and arrays as their parameters.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
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

void
th_plan_run(ThPlan *plan, Datum *values, const char *nulls, bool read_only)
{
	volatile int result = 0;
	bool outer;

	if (plan->plan == NULL)
	{
		SPIPlanPtr prepared = SPI_prepare(plan->text, plan->n_args,
										  plan->types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare a statement: %s",
				 SPI_result_code_string(SPI_result));
		plan->plan = prepared;
	}

	outer = th_table_size_assume_large(true);
	PG_TRY();
	{
		result = SPI_execute_plan(plan->plan, values, nulls, read_only, 0);
	}
	PG_FINALLY();
	{
		(void) th_table_size_assume_large(outer);
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "could not run a statement: %s",
			 SPI_result_code_string(result));
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

	for (int i = 0; i < n; i++)
		datums[i] = PointerGetDatum(values[i]);
	return build_array(datums, NULL, n, BYTEAOID, -1, false, TYPALIGN_INT);
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
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
							   column);

	return value == NULL ? NULL : MemoryContextStrdup(context, value);
}
