/*
 * trg_series.c
 *	  Changes of a series, and of its visits.
 *
 * The visits are made in the transaction that writes the series: who books
 * one sees them at once. What the horizon has not reached yet is the
 * dispatcher's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "base/th_wall.h"
#include "store/job.h"
#include "store/series.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_appointment_detach);
TH_SQL_FUNCTION(th_sql_series_follow);

typedef struct SeriesKey
{
	int64 clinic_id;
	int64 id;
} SeriesKey;

static Datum
column_of(Relation relation, HeapTuple tuple, const char *name, bool *is_null)
{
	AttrNumber number = get_attnum(RelationGetRelid(relation), name);

	if (number == InvalidAttrNumber)
		elog(ERROR, "table \"%s\" has no column \"%s\"",
			 RelationGetRelationName(relation), name);
	return heap_getattr(tuple, number, RelationGetDescr(relation), is_null);
}

static SeriesKey
key_of(Relation relation, HeapTuple tuple)
{
	SeriesKey key;
	bool is_null;

	key.clinic_id = DatumGetInt64(
		column_of(relation, tuple, "clinic_id", &is_null));
	key.id = DatumGetInt64(column_of(relation, tuple, "id", &is_null));
	return key;
}

static void
mark(SeriesKey key, TimestampTz due_at)
{
	ThMark series = { .kind = TH_JOB_SERIES,
					  .priority = TH_PRIORITY_BACKGROUND,
					  .clinic_id = key.clinic_id,
					  .subject_id = key.id,
					  .due_at = due_at };

	if (due_at == 0)
		return;
	th_job_mark(&series, 1, false);
	th_wake_at_commit();
}

/* A row that was expanded before comes from a dump, and its visits with it. */
static TimestampTz
follow_insert(Relation relation, HeapTuple tuple, TimestampTz now)
{
	SeriesKey key = key_of(relation, tuple);
	bool is_new;

	(void) column_of(relation, tuple, "expanded_until", &is_new);
	return is_new ? th_series_expand(key.clinic_id, key.id, now) : now;
}

Datum
th_sql_series_follow(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TimestampTz now = th_clock_now();
	SeriesKey key;
	SeriesKey new_key;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		elog(ERROR,
			 "appointment_series_follow() is a trigger of rows, after them");
	if (th_guc_restoring)
		return PointerGetDatum(NULL);

	key = key_of(trigger->tg_relation, trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		mark(key,
			 follow_insert(trigger->tg_relation, trigger->tg_trigtuple, now));
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		th_series_drop(key.clinic_id, key.id, now);
	else
	{
		new_key = key_of(trigger->tg_relation, trigger->tg_newtuple);
		if (key.clinic_id != new_key.clinic_id || key.id != new_key.id)
			th_series_drop(key.clinic_id, key.id, now);
		mark(new_key, th_series_expand(new_key.clinic_id, new_key.id, now));
	}
	return PointerGetDatum(NULL);
}

/* ---- a visit that is changed by itself ---- */

/* What an UPDATE makes of a row. */
typedef struct Change
{
	Relation relation;
	HeapTuple old;
	HeapTuple new;
	int n;
	int numbers[2];
	Datum values[2];
	bool nulls[2];
} Change;

/* True if the column is the same before and after. */
static bool
is_same(const Change *change, const char *name)
{
	bool was_null;
	bool is_null;
	Datum was = column_of(change->relation, change->old, name, &was_null);
	Datum is = column_of(change->relation, change->new, name, &is_null);
	int number = get_attnum(RelationGetRelid(change->relation), name);
	Form_pg_attribute attribute =
		TupleDescAttr(RelationGetDescr(change->relation), number - 1);

	if (was_null || is_null)
		return was_null == is_null;
	return datum_image_eq(was, is, attribute->attbyval, attribute->attlen);
}

static void
set_column(Change *change, const char *name, Datum value, bool is_null)
{
	change->numbers[change->n] = get_attnum(RelationGetRelid(change->relation),
											name);
	change->values[change->n] = value;
	change->nulls[change->n++] = is_null;
}

/* The time on the wall follows the instant. */
static void
set_local_start(Change *change)
{
	bool is_null;
	Datum starts_at = column_of(change->relation, change->new, "starts_at",
								&is_null);
	Datum zone = column_of(change->relation, change->new, "timezone", &is_null);

	if (is_null)
		set_column(change, "local_start", (Datum) 0, true);
	else
		set_column(change, "local_start",
				   TimestampGetDatum(
					   th_wall_of(DatumGetTimestampTz(starts_at),
								  th_wall_zone(TextDatumGetCString(zone)))),
				   false);
}

Datum
th_sql_appointment_detach(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Change change = { 0 };
	bool is_null;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		elog(ERROR, "appointment_detach() is a trigger of updated rows");
	if (th_guc_restoring)
		return PointerGetDatum(trigger->tg_newtuple);

	change.relation = trigger->tg_relation;
	change.old = trigger->tg_trigtuple;
	change.new = trigger->tg_newtuple;
	(void) column_of(change.relation, change.new, "series_id", &is_null);
	if (!is_null && is_same(&change, "series_id") &&
		is_same(&change, "series_revision"))
		set_column(&change, "is_exception", BoolGetDatum(true), false);
	(void) column_of(change.relation, change.new, "local_start", &is_null);
	if (!is_null && is_same(&change, "local_start"))
		set_local_start(&change);
	if (change.n == 0)
		return PointerGetDatum(trigger->tg_newtuple);
	return PointerGetDatum(
		heap_modify_tuple_by_cols(change.new, RelationGetDescr(change.relation),
								  change.n, change.numbers, change.values,
								  change.nulls));
}
