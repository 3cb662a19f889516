/*
 * trg_related.c
 *	  Which changes beside appointments their meetings follow: providers,
 *	  patients, clinics and what may be disclosed.
 *
 * Once a statement, over its transition tables. What is marked is the
 * provider, patient or clinic; the dispatcher finds its visits.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "calendar/calendar.h"
#include "platform/platform.h"
#include "store/calendar_use.h"
#include "store/job.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_related_mark);

#define MAX_WATCHED 8

/* What the statement leads to; the numbers of columns are 0 if there is none. */
typedef struct Related
{
	ThJobKind kind;
	int clinic;
	int subject;
	int target; /* of a disclosure policy */
	int n_watched;
	int watched[MAX_WATCHED];
	TimestampTz now;
	ThMark *marks;
	int n_marks;
} Related;

static int
number_of(TupleDesc columns, const char *name)
{
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (!attribute->attisdropped &&
			strcmp(NameStr(attribute->attname), name) == 0)
			return attribute->attnum;
	}
	return 0;
}

/* The trigger's arguments: the kind of what is marked, and columns that matter. */
static void
read_arguments(const TriggerData *trigger, TupleDesc columns, Related *out)
{
	const Trigger *definition = trigger->tg_trigger;

	if (definition->tgnargs < 1 || definition->tgnargs > MAX_WATCHED + 1)
		elog(ERROR, "wrong arguments of trigger \"%s\"", definition->tgname);
	out->kind = th_job_kind_of(definition->tgargs[0]);
	for (int i = 1; i < definition->tgnargs; i++)
	{
		int number = number_of(columns, definition->tgargs[i]);

		if (number == 0)
			elog(ERROR, "table \"%s\" has no column \"%s\"",
				 RelationGetRelationName(trigger->tg_relation),
				 definition->tgargs[i]);
		out->watched[out->n_watched++] = number;
	}
	out->subject = number_of(columns, "id");
	out->clinic = number_of(columns, "clinic_id");
	if (out->clinic == 0)
		out->clinic = out->subject;
	if (out->kind == TH_JOB_CLINIC)
		out->subject = out->clinic;
	out->target = number_of(columns, "target");
	if (out->subject == 0)
		elog(ERROR, "table \"%s\" has no key",
			 RelationGetRelationName(trigger->tg_relation));
}

static int64
key_of(TupleTableSlot *slot, int number)
{
	bool is_null;

	return DatumGetInt64(slot_getattr(slot, number, &is_null));
}

/* A policy about neither a video platform nor a calendar is none of ours. */
static bool
is_about_us(const Related *related, TupleTableSlot *slot)
{
	bool is_null;
	char *target;

	if (related->target == 0)
		return true;
	target = TextDatumGetCString(slot_getattr(slot, related->target, &is_null));
	return th_platform_find(target) != NULL || th_calendar_find(target) != NULL;
}

static void
flush_marks(Related *related)
{
	if (related->n_marks > 0)
	{
		th_job_mark(related->marks, related->n_marks, false);
		th_wake_at_commit();
	}
	related->n_marks = 0;
}

static void
add_mark(Related *related, TupleTableSlot *slot)
{
	ThMark *mark;

	if (!is_about_us(related, slot))
		return;
	if (related->marks == NULL)
		related->marks = palloc_array(ThMark, TH_MARK_CHUNK);
	if (related->n_marks == TH_MARK_CHUNK)
		flush_marks(related);
	mark = &related->marks[related->n_marks++];
	mark->kind = related->kind;
	mark->priority = TH_PRIORITY_BACKGROUND;
	mark->clinic_id = key_of(slot, related->clinic);
	mark->subject_id = key_of(slot, related->subject);
	mark->due_at = related->now;
}

/* Inserted and deleted rows: what says nothing of a meeting is not marked. */
static void
look_at_row(Related *related, TupleTableSlot *slot)
{
	for (int i = 0; i < related->n_watched; i++)
	{
		if (!slot_attisnull(slot, related->watched[i]))
		{
			add_mark(related, slot);
			return;
		}
	}
}

static bool
differs(TupleTableSlot *old, TupleTableSlot *new, int number)
{
	Form_pg_attribute attribute = TupleDescAttr(old->tts_tupleDescriptor,
												number - 1);
	bool is_old_null;
	bool is_new_null;
	Datum old_value = slot_getattr(old, number, &is_old_null);
	Datum new_value = slot_getattr(new, number, &is_new_null);

	if (is_old_null || is_new_null)
		return is_old_null != is_new_null;
	return !datum_image_eq(old_value, new_value, attribute->attbyval,
						   attribute->attlen);
}

static void
look_at_pair(Related *related, TupleTableSlot *old, TupleTableSlot *new)
{
	bool is_moved = differs(old, new, related->clinic) ||
					differs(old, new, related->subject);
	bool is_touched = is_moved;

	for (int i = 0; i < related->n_watched && !is_touched; i++)
		is_touched = differs(old, new, related->watched[i]);
	if (is_touched)
		add_mark(related, new);
	if (is_moved || (is_touched && related->target != 0))
		add_mark(related, old);
}

/* A read pointer of our own at the first row: others may read the store too. */
static void
rewind_rows(Tuplestorestate *rows)
{
	int pointer = tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND);

	tuplestore_select_read_pointer(rows, pointer);
	tuplestore_rescan(rows);
}

static void
look_at_rows(Related *related, const TriggerData *trigger, TupleDesc columns)
{
	Tuplestorestate *old_rows = trigger->tg_oldtable;
	Tuplestorestate *new_rows = trigger->tg_newtable;
	TupleTableSlot *old = MakeSingleTupleTableSlot(columns,
												   &TTSOpsMinimalTuple);
	TupleTableSlot *new = MakeSingleTupleTableSlot(columns,
												   &TTSOpsMinimalTuple);

	if (old_rows != NULL)
		rewind_rows(old_rows);
	if (new_rows != NULL)
		rewind_rows(new_rows);
	if (new_rows == NULL)
		while (tuplestore_gettupleslot(old_rows, true, false, old))
			look_at_row(related, old);
	else
		while (tuplestore_gettupleslot(new_rows, true, false, new))
		{
			if (old_rows == NULL)
				look_at_row(related, new);
			else if (tuplestore_gettupleslot(old_rows, true, false, old))
				look_at_pair(related, old, new);
			else
				elog(ERROR, "an updated row has no former one");
		}
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(new);
}

Datum
th_sql_related_mark(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Related related = { 0 };
	TupleDesc columns;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		elog(ERROR, "related_mark() is a trigger of statements");
	related.now = th_clock_now();
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		/* there are no rows to read then: everybody's */
		ThMark all = { .kind = TH_JOB_CLINIC,
					   .priority = TH_PRIORITY_BACKGROUND,
					   .due_at = related.now };

		th_job_mark(&all, 1, false);
		th_wake_at_commit();
		return PointerGetDatum(NULL);
	}
	columns = RelationGetDescr(trigger->tg_relation);
	read_arguments(trigger, columns, &related);
	if (related.kind == TH_JOB_BACKFILL)
		th_calendar_forget_use();
	look_at_rows(&related, trigger, columns);
	flush_marks(&related);
	return PointerGetDatum(NULL);
}
