/*
 * calendar_event.c
 *	  Events of visits in connected calendars: read, begun, written.
 *
 * How visits get their rows is in calendar_mark.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/calendar_event.h"
#include "store/meeting.h"
#include "store/plans.h"

#define EVENT_COLUMN_COUNT 15
#define VISIT_COLUMN_COUNT 17

static ThPlan load = {
	.text =
		"SELECT u.place, e.clinic_id, e.id, e.appointment_id, e.connection_id,"
		" e.external_id, e.uid, e.generation, e.etag, e.wish_hash,"
		" e.pushed_hash, e.intent IS NOT NULL, e.intent_no, e.intent_at,"
		" e.remote_state, e.remote_changed_at, e.retired_at IS NOT NULL,"
		" a.id IS NOT NULL, a.provider_id, a.type::text, a.status::text,"
		" a.starts_at, a.ends_at, COALESCE(p.timezone, a.timezone, c.timezone,"
		" 'UTC'), a.title, a.reason, a.location, a.join_url, a.sequence,"
		" a.updated_at, COALESCE(c.is_active, true), p.display_name,"
		" t.display_name, t.email"
		" FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY"
		" AS u (clinic_id, id, place)"
		" JOIN telehealth.calendar_event AS e"
		" ON e.clinic_id = u.clinic_id AND e.id = u.id"
		" LEFT JOIN telehealth.appointment AS a"
		" ON a.clinic_id = e.clinic_id AND a.id = e.appointment_id"
		" LEFT JOIN telehealth.clinic AS c ON c.id = e.clinic_id"
		" LEFT JOIN telehealth.provider AS p"
		" ON p.clinic_id = e.clinic_id AND p.id = a.provider_id"
		" LEFT JOIN telehealth.patient AS t"
		" ON t.clinic_id = e.clinic_id AND t.id = a.patient_id",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan begin = {
	.text =
		"UPDATE telehealth.calendar_event AS e SET intent = 'create',"
		" intent_no = u.claim_no, intent_at = $6, wish_hash = u.wish_hash"
		" FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[],"
		" $5::text[]) WITH ORDINALITY"
		" AS u (clinic_id, id, claim_no, generation, wish_hash, place)"
		" WHERE e.clinic_id = u.clinic_id AND e.id = u.id"
		" AND e.generation = u.generation AND e.external_id IS NULL"
		" AND e.retired_at IS NULL AND e.intent_no < u.claim_no"
		" RETURNING u.place",
	.n_args = 6,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT4ARRAYOID,
			   TEXTARRAYOID, TIMESTAMPTZOID }
};

/*
 * What a pull has seen since the row was read stays for the next look. A row
 * that is of another calendar by now is left alone.
 */
static ThPlan write_rows = {
	.text =
		"UPDATE telehealth.calendar_event AS e SET"
		" external_id = u.external_id, generation = u.generation,"
		" etag = u.etag, wish_hash = u.wish_hash,"
		" pushed_hash = u.pushed_hash,"
		" pushed_at = CASE WHEN u.is_pushed <> 0 THEN $12 ELSE e.pushed_at END,"
		" intent = CASE WHEN u.has_intent <> 0 THEN e.intent END,"
		" remote_state = CASE WHEN u.is_settled <> 0"
		" AND e.remote_changed_at IS NOT DISTINCT FROM u.changed_at"
		" THEN 'unchanged' ELSE e.remote_state END"
		" FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::integer[],"
		" $5::text[], $6::text[], $7::text[], $8::integer[], $9::integer[],"
		" $10::integer[], $11::timestamptz[], $13::integer[])"
		" AS u (clinic_id, id, external_id, generation, etag, wish_hash,"
		" pushed_hash, is_pushed, has_intent, is_settled, changed_at, was)"
		" WHERE e.clinic_id = u.clinic_id AND e.id = u.id"
		" AND e.generation = u.was",
	.n_args = 13,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT4ARRAYOID,
			   TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID,
			   INT4ARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID,
			   INT4ARRAYOID }
};

static ThPlan remove_rows = {
	.text = "DELETE FROM telehealth.calendar_event AS e"
			" USING unnest($1::bigint[], $2::bigint[]) AS u (clinic_id, id)"
			" WHERE e.clinic_id = u.clinic_id AND e.id = u.id",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan lose = {
	.text =
		"INSERT INTO telehealth.calendar_change (clinic_id, connection_id,"
		" calendar_event_id, appointment_id, change, action, ours, theirs,"
		" seen_at)"
		" SELECT u.clinic_id, u.connection_id, u.event_id, u.appointment_id,"
		" u.change, 'restore',"
		" jsonb_build_object('starts_at', u.our_start, 'ends_at', u.our_end),"
		" jsonb_build_object('starts_at', u.their_start, 'ends_at', u.their_end),"
		" $10 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[],"
		" $4::bigint[], $5::text[], $6::timestamptz[], $7::timestamptz[],"
		" $8::timestamptz[], $9::timestamptz[])"
		" AS u (clinic_id, connection_id, event_id, appointment_id, change,"
		" our_start, our_end, their_start, their_end)",
	.n_args = 10,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID }
};

static void
read_event(uint64 row, ThCalendarEvent *e, MemoryContext context)
{
	int c = 2;

	e->clinic_id = th_row_int64(row, c++);
	e->id = th_row_int64(row, c++);
	e->appointment_id = th_row_int64(row, c++);
	e->connection_id = th_row_int64(row, c++);
	e->external_id = th_row_text(row, c++, context);
	e->uid = th_row_text(row, c++, context);
	e->generation = e->generation_read = th_row_int32(row, c++);
	e->etag = th_row_text(row, c++, context);
	e->wish_hash = th_row_text(row, c++, context);
	e->pushed_hash = th_row_text(row, c++, context);
	e->has_intent = th_row_bool(row, c++);
	e->intent_no = th_row_int64(row, c++);
	e->intent_at = th_row_timestamptz(row, c++);
	e->remote_state = th_row_text(row, c++, context);
	e->remote_changed_at = th_row_timestamptz(row, c++);
	e->is_retired = th_row_bool(row, c++);
	Assert(c == 2 + EVENT_COLUMN_COUNT + 1);
}

static void
read_visit(uint64 row, ThEventVisit *v, MemoryContext context)
{
	int c = 2 + EVENT_COLUMN_COUNT + 1;

	v->exists = th_row_bool(row, c++);
	v->provider_id = th_row_int64(row, c++);
	v->type = th_row_text(row, c++, context);
	v->status = th_row_text(row, c++, context);
	v->starts_at = th_row_timestamptz(row, c++);
	v->ends_at = th_row_timestamptz(row, c++);
	v->timezone = th_row_text(row, c++, context);
	v->title = th_row_text(row, c++, context);
	v->reason = th_row_text(row, c++, context);
	v->location = th_row_text(row, c++, context);
	v->join_url = th_row_text(row, c++, context);
	v->sequence = th_row_int32(row, c++);
	v->updated_at = th_row_timestamptz(row, c++);
	v->is_clinic_active = th_row_bool(row, c++);
	v->provider_name = th_row_text(row, c++, context);
	v->patient_name = th_row_text(row, c++, context);
	v->patient_email = th_row_text(row, c++, context);
}

/* The policy of each different clinic and kind, read once. */
static void
add_policies(ThEventSubject *subjects, int n)
{
	for (int i = 0; i < n; i++)
	{
		const ThConnection *x = subjects[i].connection;
		int j;

		if (x == NULL || x->id == 0)
			continue;
		for (j = 0; j < i; j++)
		{
			const ThConnection *y = subjects[j].connection;

			if (y != NULL && y->id != 0 && y->clinic_id == x->clinic_id &&
				strcmp(y->kind, x->kind) == 0)
				break;
		}
		subjects[i].disclosed = j < i ? subjects[j].disclosed
									  : th_policy_facts(x->clinic_id, x->kind);
	}
}

ThEventSubject *
th_calendar_event_load(const ThJob *jobs, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ThEventSubject *subjects = palloc0_array(ThEventSubject, Max(n, 1));
	int64 *clinics;
	int64 *ids;
	ThConnection *connections;
	Datum values[2];

	TH_COLLECT(clinics, int64, jobs[i].clinic_id);
	TH_COLLECT(ids, int64, jobs[i].subject_id);
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	th_plan_run(&load, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThEventSubject *subject = &subjects[th_row_int64(row, 1) - 1];

		read_event(row, &subject->event, context);
		read_visit(row, &subject->visit, context);
	}
	th_store_finish();
	for (int i = 0; i < n; i++)
		ids[i] = subjects[i].event.connection_id;
	connections = th_connection_load(clinics, ids, n);
	for (int i = 0; i < n; i++)
		subjects[i].connection = &connections[i];
	add_policies(subjects, n);
	return subjects;
}

void
th_calendar_event_begin(ThCalendarEvent *const *events, const int64 *claim_nos,
						int n, TimestampTz now, bool *is_ours)
{
	int64 *clinics;
	int64 *ids;
	int32 *generations;
	const char **hashes;
	Datum values[6];

	memset(is_ours, 0, sizeof(bool) * n);
	if (n == 0)
		return;
	th_store_connect();
	TH_COLLECT(clinics, int64, events[i]->clinic_id);
	TH_COLLECT(ids, int64, events[i]->id);
	TH_COLLECT(generations, int32, events[i]->generation);
	TH_COLLECT(hashes, const char *, events[i]->wish_hash);
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = th_array_int64(claim_nos, n);
	values[3] = th_array_int32(generations, n);
	values[4] = th_array_text(hashes, n);
	values[5] = TimestampTzGetDatum(now);
	th_plan_run(&begin, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int i = (int) th_row_int64(row, 1) - 1;

		is_ours[i] = true;
		events[i]->has_intent = true;
		events[i]->intent_no = claim_nos[i];
		events[i]->intent_at = now;
	}
	th_store_finish();
}

static void
update_rows(const ThEventWrite *writes, int n, TimestampTz now)
{
	int64 *clinics;
	int64 *ids;
	const char **external_ids;
	int32 *generations;
	const char **etags;
	const char **wish_hashes;
	const char **pushed_hashes;
	int32 *pushed;
	int32 *intents;
	int32 *settled;
	int32 *read;
	TimestampTz *changed;
	Datum values[13];

	TH_COLLECT(clinics, int64, writes[i].event->clinic_id);
	TH_COLLECT(ids, int64, writes[i].event->id);
	TH_COLLECT(external_ids, const char *, writes[i].event->external_id);
	TH_COLLECT(generations, int32, writes[i].event->generation);
	TH_COLLECT(etags, const char *, writes[i].event->etag);
	TH_COLLECT(wish_hashes, const char *, writes[i].event->wish_hash);
	TH_COLLECT(pushed_hashes, const char *, writes[i].event->pushed_hash);
	TH_COLLECT(pushed, int32, writes[i].is_pushed);
	TH_COLLECT(intents, int32, writes[i].event->has_intent);
	TH_COLLECT(settled, int32, writes[i].is_settled);
	TH_COLLECT(changed, TimestampTz, writes[i].event->remote_changed_at);
	TH_COLLECT(read, int32, writes[i].event->generation_read);
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = th_array_text(external_ids, n);
	values[3] = th_array_int32(generations, n);
	values[4] = th_array_text(etags, n);
	values[5] = th_array_text(wish_hashes, n);
	values[6] = th_array_text(pushed_hashes, n);
	values[7] = th_array_int32(pushed, n);
	values[8] = th_array_int32(intents, n);
	values[9] = th_array_int32(settled, n);
	values[10] = th_array_timestamptz(changed, n);
	values[11] = TimestampTzGetDatum(now);
	values[12] = th_array_int32(read, n);
	th_plan_run(&write_rows, values, NULL, false);
}

static void
delete_rows(const ThEventWrite *writes, int n)
{
	int64 *clinics;
	int64 *ids;
	Datum values[2];

	TH_COLLECT(clinics, int64, writes[i].event->clinic_id);
	TH_COLLECT(ids, int64, writes[i].event->id);
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	th_plan_run(&remove_rows, values, NULL, false);
}

void
th_calendar_event_write(const ThEventWrite *writes, int n, TimestampTz now)
{
	ThEventWrite *sorted;
	int n_kept = 0;
	int n_removed = 0;

	if (n == 0)
		return;
	th_store_connect();
	sorted = palloc_array(ThEventWrite, n);
	for (int i = 0; i < n; i++)
	{
		if (writes[i].is_removed)
			sorted[n - ++n_removed] = writes[i];
		else
			sorted[n_kept++] = writes[i];
	}
	if (n_kept > 0)
		update_rows(sorted, n_kept, now);
	if (n_removed > 0)
		delete_rows(sorted + n_kept, n_removed);
	th_store_finish();
}

void
th_calendar_event_lose(const ThEventLoss *losses, int n, TimestampTz now)
{
	int64 *clinics;
	int64 *connections;
	int64 *ids;
	int64 *appointments;
	const char **changes;
	TimestampTz *times;
	Datum values[10];

	if (n == 0)
		return;
	th_store_connect();
	TH_COLLECT(clinics, int64, losses[i].event->clinic_id);
	TH_COLLECT(connections, int64, losses[i].event->connection_id);
	TH_COLLECT(ids, int64, losses[i].event->id);
	TH_COLLECT(appointments, int64, losses[i].event->appointment_id);
	TH_COLLECT(changes, const char *, losses[i].change);
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(connections, n);
	values[2] = th_array_int64(ids, n);
	values[3] = th_array_int64(appointments, n);
	values[4] = th_array_text(changes, n);
	TH_COLLECT(times, TimestampTz, losses[i].our_start);
	values[5] = th_array_timestamptz(times, n);
	TH_COLLECT(times, TimestampTz, losses[i].our_end);
	values[6] = th_array_timestamptz(times, n);
	TH_COLLECT(times, TimestampTz, losses[i].their_start);
	values[7] = th_array_timestamptz(times, n);
	TH_COLLECT(times, TimestampTz, losses[i].their_end);
	values[8] = th_array_timestamptz(times, n);
	values[9] = TimestampTzGetDatum(now);
	th_plan_run(&lose, values, NULL, false);
	th_store_finish();
}
