/*
 * direct.h
 *	  Rows of our own tables without the executor, for what the dispatcher
 *	  does to every job.
 *
 * A statement over arrays costs several times what its rows cost: plan nodes,
 * arrays taken apart, rows copied from node to node. Here a row is found by
 * an index, locked, changed or removed, with its index entries and checks,
 * as the server does with its own catalogues. Nothing here waits for others:
 * who holds a row, or has just changed it, is reported, and the caller leaves
 * that row to a statement.
 *
 * Where: in a transaction with an active snapshot, as the worker's role.
 * Memory: a context of its own, until th_direct_close(); an abort closes too.
 */
#ifndef TH_STORE_DIRECT_H
#define TH_STORE_DIRECT_H

#include "access/attnum.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"

struct RelationData;
struct ScanKeyData;

typedef struct ThDirect ThDirect;

/* A column of a table as src/schema writes it. */
typedef struct ThDirectColumn
{
	const char *name;
	Oid type; /* InvalidOid: an enum of ours */
} ThDirectColumn;

typedef enum ThDirectResult
{
	TH_DIRECT_DONE,
	TH_DIRECT_HELD, /* by somebody else */
	TH_DIRECT_GONE  /* removed or changed by somebody else */
} ThDirectResult;

/* Whether the table is a plain one with just these columns. */
extern bool th_direct_is_known(struct RelationData *table,
							   const ThDirectColumn *columns, int n_columns);

/*
 * Opens a table for writing. NULL if that must be left to statements: it is
 * not as it is known, somebody has put triggers on it, or the role is neither
 * its owner nor a superuser.
 */
extern ThDirect *th_direct_open(const char *schema, const char *table,
								const ThDirectColumn *columns, int n_columns);
extern void th_direct_close(ThDirect *direct);

/*
 * Finds the row with this primary key; "keys" has a value for each of its
 * columns, bigint or text. NULL if the snapshot has none, else valid until the
 * next call.
 */
extern TupleTableSlot *th_direct_find(ThDirect *direct, const Datum *keys);

/*
 * The same for the rows of a range of another index, one after the other:
 * th_direct_order() chooses the index by its columns, false if there is none
 * that has every row; then th_direct_scan(), th_direct_next() until it returns
 * NULL or there are enough, th_direct_end_scan(), any number of times. "keys"
 * are for the columns of the index. Meanwhile no other row may be looked for.
 */
extern bool th_direct_order(ThDirect *direct, const AttrNumber *columns,
							int n_columns);
extern void th_direct_scan(ThDirect *direct, struct ScanKeyData *keys,
						   int n_keys);
extern TupleTableSlot *th_direct_next(ThDirect *direct);
extern void th_direct_end_scan(ThDirect *direct);

/* Locks the row that was found, against all but reading. */
extern ThDirectResult th_direct_lock(ThDirect *direct);

/*
 * The values of the row that was found, or of a new one (all NULL), to be
 * changed in the arrays; then written.
 */
extern void th_direct_edit(ThDirect *direct, Datum **values, bool **nulls);
extern void th_direct_new(ThDirect *direct, Datum **values, bool **nulls);

/*
 * Writes the row found, as it was edited; "is_locked" says that this
 * transaction has locked it before. Errors: as of an UPDATE.
 */
extern ThDirectResult th_direct_update(ThDirect *direct, bool is_locked);

/* Writes the new row. Errors: as of an INSERT. */
extern void th_direct_insert(ThDirect *direct);

/*
 * Removes the row at "place", which was locked in this transaction. GONE also
 * if somebody has put triggers on that. Errors: as of a DELETE.
 */
extern ThDirectResult th_direct_delete(ThDirect *direct, ItemPointer place);

#endif /* TH_STORE_DIRECT_H */
