/*
 * plans.h
 *	  Prepared statements of the store, and arrays as their parameters.
 *
 * Every statement issued from C is a static ThPlan beside the function that
 * runs it, in this room. Plans are kept for the life of the process.
 * Where: in a transaction, with a snapshot as SPI wants it.
 */
#ifndef TH_STORE_PLANS_H
#define TH_STORE_PLANS_H

#include "executor/spi.h"

#define TH_PLAN_MAX_ARGS 24

typedef struct ThPlan
{
	const char *text;
	int n_args;
	Oid types[TH_PLAN_MAX_ARGS];
	SPIPlanPtr plan; /* kept after first use */
} ThPlan;

/* SPI_connect() or cannot happen. */
extern void th_store_connect(void);

/* SPI_finish(); what was copied out with th_store_copy_* stays. */
extern void th_store_finish(void);

/*
 * Runs the plan inside th_store_connect(); SPI_processed and SPI_tuptable
 * hold what came. "nulls" may be NULL. With a read-only plan no command
 * counter is raised and the caller's snapshot is used.
 * Errors: whatever the statement raises.
 */
extern void th_plan_run(ThPlan *plan, Datum *values, const char *nulls,
						bool read_only);

/*
 * Runs a read-only plan and calls "look" for each row as it comes, with all
 * of its columns; no row is kept or copied. What is allocated inside "look",
 * and what the row points to, lasts until it returns.
 */
extern void th_plan_each(ThPlan *plan, const Datum *values,
						 void (*look)(TupleTableSlot *row, void *arg),
						 void *arg);

/* An array of "count", or of "n", each of which is "value", an expression in "i". */
#define TH_COLLECT_OF(array, type, count, value)                               \
	do                                                                         \
	{                                                                          \
		(array) = palloc_array(type, Max(count, 1));                           \
		for (int i = 0; i < (count); i++)                                      \
			(array)[i] = (value);                                              \
	} while (0)
#define TH_COLLECT(array, type, value) TH_COLLECT_OF(array, type, n, value)

/*
 * Array parameters. "is_null" may be NULL. Memory: current context.
 *
 * unnest() in FROM copies each value into a store and out again; what happens
 * to every meeting takes wide rows from a SELECT list of unnest() instead.
 */
extern Datum th_array_int64(const int64 *values, int n);
extern Datum th_array_int32(const int32 *values, int n);
extern Datum th_array_timestamptz(const TimestampTz *values,
								  int n); /* 0 becomes NULL */
extern Datum th_array_text(const char *const *values,
						   int n); /* NULL stays NULL */

extern Datum th_array_bytea(bytea *const *values, int n); /* NULL stays NULL */

/* Columns of SPI_tuptable row "row", by number from 1; false, 0 or NULL for NULL. Text (nothing but type text) and bytea are copied to "context". */
extern int64 th_row_int64(uint64 row, int column);
extern int32 th_row_int32(uint64 row, int column);
extern bool th_row_bool(uint64 row, int column);
extern TimestampTz th_row_timestamptz(uint64 row, int column);
extern char *th_row_text(uint64 row, int column, MemoryContext context);
extern bytea *th_row_bytea(uint64 row, int column, MemoryContext context);
extern Datum th_row_datum(uint64 row, int column, bool *is_null);

#endif /* TH_STORE_PLANS_H */
