/*
 * table_size.c
 *	  Plans of the store that stay good while the tables grow.
 *
 * A plan is kept for long, and many are made when the extension is new and
 * its tables are empty. Then every access path costs the same, and one that
 * reads all rows of a clinic for each key is as likely as the right one;
 * until autovacuum has counted the rows, a claim takes time in proportion to
 * everything there is. All statements of the store find few rows by their
 * keys, so that no table and no index is ever better read as a whole: the
 * planner is told that they are large, and that bitmaps cannot be had.
 */
#include "postgres.h"

#include "optimizer/plancat.h"
#include "utils/lsyscache.h"

#include "store/table_size.h"

#define LARGE_TUPLES 1000000.0
#define LARGE_PAGES 50000
#define LARGE_INDEX_PAGES 5000

static get_relation_info_hook_type next_hook = NULL;
static bool is_hooked = false;
static bool is_large_assumed = false;

static bool
is_ours(Oid relation)
{
	char *name = get_namespace_name(get_rel_namespace(relation));
	bool is_match = name != NULL && (strcmp(name, "telehealth") == 0 ||
									 strcmp(name, "telehealth_private") == 0);

	if (name != NULL)
		pfree(name);
	return is_match;
}

static void
enlarge(PlannerInfo *root, Oid relation, bool inhparent, RelOptInfo *rel)
{
	ListCell *cell;

	if (next_hook != NULL)
		next_hook(root, relation, inhparent, rel);
	if (!is_large_assumed || inhparent || !is_ours(relation))
		return;
	rel->tuples = Max(rel->tuples, LARGE_TUPLES);
	rel->pages = Max(rel->pages, LARGE_PAGES);
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		index->tuples = Max(index->tuples, LARGE_TUPLES);
		index->pages = Max(index->pages, LARGE_INDEX_PAGES);
		index->amhasgetbitmap = false;
	}
}

bool
th_table_size_assume_large(bool is_large)
{
	bool before = is_large_assumed;

	if (!is_hooked)
	{
		next_hook = get_relation_info_hook;
		get_relation_info_hook = enlarge;
		is_hooked = true;
	}
	is_large_assumed = is_large;
	return before;
}
