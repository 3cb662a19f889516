/*
 * trg_appointment.c
 *	  Which changes of appointments are outward work.
 *
 * Once a statement, over its transition tables, without SQL to read them:
 * this runs for every INSERT of every application.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/appointment_columns.h"
#include "api/booking.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "store/audit.h"
#include "store/calendar_use.h"
#include "store/job.h"
#include "store/meeting.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_appointment_mark);
TH_SQL_FUNCTION(th_sql_appointment_stamp);

/* Edits that follow each other so quickly become one request. */
#define DEBOUNCE_US USECS_PER_SEC

/* The parts of a row that decide. */
typedef struct Visit
{
	int64 clinic_id;
	int64 id;
	TimestampTz starts_at;
	TimestampTz ends_at;
	TimestampTz held_until; /* 0: none */
	TimestampTz created_at;
	Oid status;
	bool is_video;
	bool is_live;     /* takes place, or goes on */
	bool wants;       /* a meeting */
	bool has_meeting; /* or had one */
	bool is_overbooked;
} Visit;

/* What the statement leads to. */
typedef struct Work
{
	const ThColumns *columns;
	TimestampTz now;
	ThMark *marks;
	int n_marks;
	int room;
	int64 *clinics; /* of overbooked appointments */
	int64 *ids;
	int n_overbooked;
	int overbooked_room;
	ThBookings *bookings; /* to be held against busy times; or NULL */
	bool is_new;          /* the rows were inserted */
	bool is_shown;        /* there are calendars that may show them */
	bool has_marks;       /* now or before a flush */
} Work;

/* ---- reading ---- */

static Datum
value_of(const Work *work, TupleTableSlot *slot, ThColumn column)
{
	return slot->tts_values[work->columns->number[column] - 1];
}

static bool
is_null_at(const Work *work, TupleTableSlot *slot, ThColumn column)
{
	return slot->tts_isnull[work->columns->number[column] - 1];
}

/* "slot" holds a row; all its columns of ours are deformed afterwards. */
static void
read_visit(const Work *work, TupleTableSlot *slot, Visit *out)
{
	const ThColumns *c = work->columns;

	slot_getsomeattrs(slot, c->last);
	out->clinic_id = DatumGetInt64(value_of(work, slot, TH_COLUMN_CLINIC_ID));
	out->id = DatumGetInt64(value_of(work, slot, TH_COLUMN_ID));
	out->starts_at = DatumGetTimestampTz(
		value_of(work, slot, TH_COLUMN_STARTS_AT));
	out->ends_at = DatumGetTimestampTz(value_of(work, slot, TH_COLUMN_ENDS_AT));
	out->held_until = is_null_at(work, slot, TH_COLUMN_HELD_UNTIL)
						  ? 0
						  : DatumGetTimestampTz(
								value_of(work, slot, TH_COLUMN_HELD_UNTIL));
	out->created_at = DatumGetTimestampTz(
		value_of(work, slot, TH_COLUMN_CREATED_AT));
	out->status = DatumGetObjectId(value_of(work, slot, TH_COLUMN_STATUS));
	out->is_video = DatumGetObjectId(value_of(work, slot, TH_COLUMN_TYPE)) ==
					c->video;
	out->is_live = out->status == c->scheduled || out->status == c->confirmed ||
				   out->status == c->checked_in ||
				   out->status == c->in_progress;
	out->wants = out->is_video && out->is_live &&
				 DatumGetBool(
					 value_of(work, slot, TH_COLUMN_IS_MEETING_WANTED));
	out->has_meeting = !is_null_at(work, slot, TH_COLUMN_MEETING_ID) ||
					   !is_null_at(work, slot, TH_COLUMN_JOIN_URL);
	out->is_overbooked = DatumGetBool(
		value_of(work, slot, TH_COLUMN_IS_OVERBOOKED));
}

static bool
differs(const Work *work, TupleTableSlot *old, TupleTableSlot *new,
		ThColumn column)
{
	int i = work->columns->number[column] - 1;
	Form_pg_attribute attribute = TupleDescAttr(old->tts_tupleDescriptor, i);

	if (old->tts_isnull[i] || new->tts_isnull[i])
		return old->tts_isnull[i] != new->tts_isnull[i];
	return !datum_image_eq(old->tts_values[i], new->tts_values[i],
						   attribute->attbyval, attribute->attlen);
}

/* True if a column changed that the meeting follows. */
static bool
is_meeting_touched(const Work *work, TupleTableSlot *old, TupleTableSlot *new)
{
	static const ThColumn columns[] = {
		TH_COLUMN_STARTS_AT,   TH_COLUMN_DURATION,
		TH_COLUMN_TIMEZONE,    TH_COLUMN_TYPE,
		TH_COLUMN_PROVIDER_ID, TH_COLUMN_PATIENT_ID,
		TH_COLUMN_PLATFORM,    TH_COLUMN_TITLE,
		TH_COLUMN_REASON,      TH_COLUMN_IS_MEETING_WANTED,
	};

	for (size_t i = 0; i < lengthof(columns); i++)
	{
		if (differs(work, old, new, columns[i]))
			return true;
	}
	return false;
}

/*
 * True if somebody but the dispatcher wrote the link of a visit to come: an
 * application that writes whole rows back may have read this one before the
 * link was there.
 */
static bool
is_link_touched(const Work *work, TupleTableSlot *old, TupleTableSlot *new,
				const Visit *visit)
{
	return visit->wants && visit->ends_at > work->now &&
		   !th_appointment_is_linking() &&
		   (differs(work, old, new, TH_COLUMN_MEETING_ID) ||
			differs(work, old, new, TH_COLUMN_JOIN_URL));
}

/* True if a column changed that a calendar shows. */
static bool
is_calendar_touched(const Work *work, TupleTableSlot *old, TupleTableSlot *new)
{
	static const ThColumn columns[] = {
		TH_COLUMN_STARTS_AT, TH_COLUMN_DURATION, TH_COLUMN_TIMEZONE,
		TH_COLUMN_STATUS,    TH_COLUMN_TYPE,     TH_COLUMN_PROVIDER_ID,
		TH_COLUMN_PLATFORM,  TH_COLUMN_LOCATION, TH_COLUMN_TITLE,
		TH_COLUMN_JOIN_URL,
	};

	for (size_t i = 0; i < lengthof(columns); i++)
	{
		if (differs(work, old, new, columns[i]))
			return true;
	}
	return false;
}

/* The same for what may be shown of it where a policy lets more out. */
static bool
is_event_touched(const Work *work, TupleTableSlot *old, TupleTableSlot *new)
{
	return is_calendar_touched(work, old, new) ||
		   differs(work, old, new, TH_COLUMN_REASON) ||
		   differs(work, old, new, TH_COLUMN_PATIENT_ID);
}

/* ---- deciding ---- */

/* The rows of appointment_provider_id_excl. */
static bool
takes_time(const Work *work, const Visit *visit)
{
	const ThColumns *c = work->columns;

	return !visit->is_overbooked &&
		   (visit->status == c->pending || visit->status == c->scheduled ||
			visit->status == c->confirmed || visit->status == c->checked_in ||
			visit->status == c->in_progress);
}

/* "slot" is where the visit was read. */
static void
add_booking(Work *work, TupleTableSlot *slot, const Visit *visit)
{
	if (work->bookings == NULL)
		work->bookings = th_bookings_begin();
	th_bookings_add(work->bookings, visit->clinic_id, visit->id,
					DatumGetInt64(value_of(work, slot, TH_COLUMN_PROVIDER_ID)),
					visit->starts_at, visit->ends_at);
}

/* A visit that took its time before is left alone. */
static bool
is_booking(const Work *work, TupleTableSlot *old_slot, const Visit *old,
		   TupleTableSlot *new_slot, const Visit *new)
{
	return takes_time(work, new) &&
		   (!takes_time(work, old) ||
			differs(work, old_slot, new_slot, TH_COLUMN_CLINIC_ID) ||
			differs(work, old_slot, new_slot, TH_COLUMN_PROVIDER_ID) ||
			old->starts_at != new->starts_at || old->ends_at != new->ends_at);
}

static void
flush_marks(Work *work)
{
	th_job_mark(work->marks, work->n_marks, work->is_new);
	work->n_marks = 0;
}

static void
add_mark(Work *work, ThJobKind kind, ThPriority priority, const Visit *visit,
		 TimestampTz due_at)
{
	ThMark *mark;

	if (work->n_marks == TH_MARK_CHUNK)
		flush_marks(work);
	if (work->n_marks == work->room)
	{
		work->room = work->room == 0 ? 8 : Min(work->room * 2, TH_MARK_CHUNK);
		work->marks = work->marks == NULL
						  ? palloc_array(ThMark, work->room)
						  : repalloc_array(work->marks, ThMark, work->room);
	}
	work->has_marks = true;
	mark = &work->marks[work->n_marks++];
	mark->kind = kind;
	mark->priority = priority;
	mark->clinic_id = visit->clinic_id;
	mark->subject_id = visit->id;
	mark->due_at = due_at;
}

static void
add_overbooked(Work *work, const Visit *visit)
{
	if (work->overbooked_room == 0)
	{
		work->overbooked_room = 8;
		work->clinics = palloc_array(int64, work->overbooked_room);
		work->ids = palloc_array(int64, work->overbooked_room);
	}
	else if (work->n_overbooked == work->overbooked_room)
	{
		work->overbooked_room *= 2;
		work->clinics = repalloc(work->clinics,
								 sizeof(int64) * work->overbooked_room);
		work->ids = repalloc(work->ids, sizeof(int64) * work->overbooked_room);
	}
	work->clinics[work->n_overbooked] = visit->clinic_id;
	work->ids[work->n_overbooked++] = visit->id;
}

static bool
is_near(const Work *work, const Visit *visit)
{
	return visit->ends_at > work->now &&
		   visit->starts_at < work->now + TH_NEAR_MINUTES * USECS_PER_MINUTE;
}

/*
 * Nothing is due in the past: claims look only a little way back. For the same
 * reason a hold to come wakes too: should this commit late, the dispatcher has
 * to look further back for it.
 */
static void
mark_hold(Work *work, const Visit *visit)
{
	if (visit->status == work->columns->pending && visit->held_until != 0)
		add_mark(work, TH_JOB_HOLD, TH_PRIORITY_CREATE, visit,
				 Max(visit->held_until, work->now));
}

/*
 * A superuser who inserts a row older than the transaction restores a dump,
 * which has the row's audit too. Others cannot slip past the log that way;
 * a superuser can in any case (telehealth.restoring).
 */
static bool
is_restored(const Visit *visit)
{
	return visit->created_at < GetCurrentTransactionStartTimestamp() &&
		   superuser();
}

/*
 * What calendars show of it follows, a moment later: then its link is there,
 * and edits that follow each other become one.
 */
static void
mark_calendars(Work *work, const Visit *visit, ThPriority usual)
{
	add_mark(work, TH_JOB_CALENDARS,
			 is_near(work, visit) ? TH_PRIORITY_NEAR : usual, visit,
			 work->now + (is_near(work, visit) ? 0 : DEBOUNCE_US));
}

static void
look_at_insert(Work *work, const Visit *visit)
{
	if (work->is_shown && visit->is_live && visit->ends_at > work->now)
		mark_calendars(work, visit, TH_PRIORITY_CREATE);
	if (visit->wants && visit->ends_at > work->now)
		add_mark(work, TH_JOB_MEETING,
				 is_near(work, visit) ? TH_PRIORITY_NEAR : TH_PRIORITY_CREATE,
				 visit, work->now);
	mark_hold(work, visit);
	if (visit->is_overbooked && !(work->is_new && is_restored(visit)))
		add_overbooked(work, visit);
}

static void
look_at_delete(Work *work, const Visit *visit)
{
	if (work->is_shown)
		add_mark(work, TH_JOB_CALENDARS, TH_PRIORITY_CHANGE, visit, work->now);
	if (visit->is_video || visit->has_meeting)
		add_mark(work, TH_JOB_MEETING, TH_PRIORITY_CHANGE, visit, work->now);
}

static void
mark_changed(Work *work, const Visit *old, const Visit *new)
{
	ThPriority priority = TH_PRIORITY_CHANGE;
	TimestampTz due_at = work->now;

	if (is_near(work, new))
		priority = TH_PRIORITY_NEAR;
	else if (new->wants && !old->wants)
		priority = TH_PRIORITY_CREATE;
	else if (new->wants)
		due_at += DEBOUNCE_US;
	add_mark(work, TH_JOB_MEETING, priority, new, due_at);
}

static void
look_at_update(Work *work, TupleTableSlot *old_slot, TupleTableSlot *new_slot)
{
	Visit old;
	Visit new;
	bool is_status_changed;

	read_visit(work, old_slot, &old);
	read_visit(work, new_slot, &new);
	if (th_guc_busy_time_blocks &&
		is_booking(work, old_slot, &old, new_slot, &new))
		add_booking(work, new_slot, &new);
	if (old.clinic_id != new.clinic_id || old.id != new.id)
	{
		look_at_delete(work, &old);
		look_at_insert(work, &new);
		return;
	}

	/*
	 * A visit that took place, or did not, leaves its meeting as it is; so
	 * does one that goes on.
	 */
	if (work->is_shown && is_event_touched(work, old_slot, new_slot))
		mark_calendars(work, &new, TH_PRIORITY_CHANGE);
	is_status_changed = old.status != new.status;
	if ((old.is_video || new.is_video || old.has_meeting || new.has_meeting) &&
		((is_status_changed && !(old.wants && new.wants) &&
		  new.status != work->columns->completed &&new.status !=
			  work->columns->no_show) ||
		 is_meeting_touched(work, old_slot, new_slot) ||
		 is_link_touched(work, old_slot, new_slot, &new)))
		mark_changed(work, &old, &new);

	if (is_status_changed || old.held_until != new.held_until)
		mark_hold(work, &new);
	if (new.is_overbooked && !old.is_overbooked)
		add_overbooked(work, &new);
}

/* ---- the trigger ---- */

/* A read pointer of our own at the first row: others may read the store too. */
static void
rewind_rows(Tuplestorestate *rows)
{
	int pointer = tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND);

	tuplestore_select_read_pointer(rows, pointer);
	tuplestore_rescan(rows);
}

static void
look_at_pairs(Work *work, TupleDesc columns, Tuplestorestate *old_rows,
			  Tuplestorestate *new_rows)
{
	TupleTableSlot *old = MakeSingleTupleTableSlot(columns,
												   &TTSOpsMinimalTuple);
	TupleTableSlot *new = MakeSingleTupleTableSlot(columns,
												   &TTSOpsMinimalTuple);

	rewind_rows(old_rows);
	rewind_rows(new_rows);
	while (tuplestore_gettupleslot(new_rows, true, false, new))
	{
		if (!tuplestore_gettupleslot(old_rows, true, false, old))
			elog(ERROR, "an updated appointment has no former row");
		look_at_update(work, old, new);
	}
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(new);
}

static void
look_at_rows(Work *work, TupleDesc columns, Tuplestorestate *rows,
			 void (*look)(Work *work, const Visit *visit))
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(columns,
													&TTSOpsMinimalTuple);
	Visit visit;

	rewind_rows(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		read_visit(work, slot, &visit);
		if (th_guc_busy_time_blocks && look == look_at_insert &&
			takes_time(work, &visit))
			add_booking(work, slot, &visit);
		look(work, &visit);
	}
	ExecDropSingleTupleTableSlot(slot);
}

Datum
th_sql_appointment_mark(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Work work = { 0 };
	TupleDesc columns;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		elog(ERROR, "appointment_mark() is a trigger of statements");
	if (th_guc_restoring)
		return PointerGetDatum(NULL);

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		th_job_mark_abandoned(th_calendar_is_used());
		th_wake_at_commit();
		return PointerGetDatum(NULL);
	}

	columns = RelationGetDescr(trigger->tg_relation);
	work.columns = th_appointment_columns(trigger->tg_relation);
	work.now = th_clock_now();
	work.is_new = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	work.is_shown = th_calendar_is_used();
	if (work.is_new)
		look_at_rows(&work, columns, trigger->tg_newtable, look_at_insert);
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		look_at_rows(&work, columns, trigger->tg_oldtable, look_at_delete);
	else
		look_at_pairs(&work, columns, trigger->tg_oldtable,
					  trigger->tg_newtable);

	if (work.bookings != NULL)
		th_bookings_check(work.bookings, trigger->tg_relation);
	if (work.n_overbooked > 0)
		th_audit_write(work.clinics, work.ids, work.n_overbooked, "overbook",
					   "appointment", NULL);
	flush_marks(&work);
	if (work.has_marks)
		th_wake_at_commit();
	return PointerGetDatum(NULL);
}

/* ---- updated_at, sequence and cancelled_at ---- */

/*
 * True if anything changed beside what this trigger keeps, the vendor's
 * number of the meeting, and what the server computes later (ends_at).
 */
static bool
is_row_touched(const Work *work, TupleTableSlot *old, TupleTableSlot *new)
{
	const AttrNumber *number = work->columns->number;
	TupleDesc columns = old->tts_tupleDescriptor;

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);
		AttrNumber n = attribute->attnum;

		if (attribute->attisdropped || attribute->attgenerated != '\0' ||
			n == number[TH_COLUMN_UPDATED_AT] ||
			n == number[TH_COLUMN_SEQUENCE] ||
			n == number[TH_COLUMN_MEETING_ID])
			continue;
		if (old->tts_isnull[i] != new->tts_isnull[i])
			return true;
		if (!old->tts_isnull[i] &&
			!datum_image_eq(old->tts_values[i], new->tts_values[i],
							attribute->attbyval, attribute->attlen))
			return true;
	}
	return false;
}

/* When it was cancelled, unless the statement says so itself. */
static bool
is_cancelling(const Work *work, TupleTableSlot *old, TupleTableSlot *new)
{
	return work->columns->number[TH_COLUMN_CANCELLED_AT] != InvalidAttrNumber &&
		   differs(work, old, new, TH_COLUMN_STATUS) &&
		   !differs(work, old, new, TH_COLUMN_CANCELLED_AT);
}

Datum
th_sql_appointment_stamp(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Work work = { 0 };
	TupleTableSlot *old;
	TupleTableSlot *new;
	int numbers[3];
	Datum values[3];
	bool nulls[3] = { false, false, false };
	int n = 0;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		elog(ERROR, "appointment_stamp() is a trigger of updated rows");
	if (th_guc_restoring)
		return PointerGetDatum(trigger->tg_newtuple);

	work.columns = th_appointment_columns(trigger->tg_relation);
	old = trigger->tg_trigslot;
	new = trigger->tg_newslot;
	slot_getallattrs(old);
	slot_getallattrs(new);
	if (!is_row_touched(&work, old, new))
		return PointerGetDatum(trigger->tg_newtuple);

	numbers[n] = work.columns->number[TH_COLUMN_UPDATED_AT];
	values[n++] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	if (is_calendar_touched(&work, old, new) &&
		!differs(&work, old, new, TH_COLUMN_SEQUENCE) &&
		DatumGetInt32(value_of(&work, new, TH_COLUMN_SEQUENCE)) < PG_INT32_MAX)
	{
		numbers[n] = work.columns->number[TH_COLUMN_SEQUENCE];
		values[n++] = Int32GetDatum(
			DatumGetInt32(value_of(&work, new, TH_COLUMN_SEQUENCE)) + 1);
	}
	if (is_cancelling(&work, old, new))
	{
		numbers[n] = work.columns->number[TH_COLUMN_CANCELLED_AT];
		nulls[n] = DatumGetObjectId(value_of(&work, new, TH_COLUMN_STATUS)) !=
				   work.columns->cancelled;
		values[n++] = TimestampTzGetDatum(
			GetCurrentTransactionStartTimestamp());
	}
	return PointerGetDatum(
		heap_modify_tuple_by_cols(trigger->tg_newtuple,
								  RelationGetDescr(trigger->tg_relation), n,
								  numbers, values, nulls));
}
