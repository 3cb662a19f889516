/*
 * visit_write.c
 *	  Sessions under way: writing how they stand.
 *
 * Rows that are as they should be are not touched, and nobody is told of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/plans.h"
#include "store/visit.h"

/* What people have decided stays: a visit that was cancelled is not completed. */
static ThPlan write_state = {
	.text =
		"UPDATE telehealth.session AS s SET status = v.status,"
		" started_at = u.started_at, ended_at = u.ended_at,"
		" actual_duration = NULLIF(u.actual_duration, -1),"
		" host_joined_at = u.host_joined_at,"
		" patient_joined_at = u.patient_joined_at,"
		" waiting_room_entered_at = u.waiting_room_entered_at,"
		" waiting_room_admitted_at = u.waiting_room_admitted_at,"
		" meeting_uuid = COALESCE(u.meeting_uuid, s.meeting_uuid)"
		" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
		" WITH ORDINALITY AS u (clinic_id, id, status, started_at, ended_at,"
		" actual_duration, host_joined_at, patient_joined_at,"
		" waiting_room_entered_at, waiting_room_admitted_at, meeting_uuid, place)"
		" JOIN telehealth.session AS o"
		" ON o.clinic_id = u.clinic_id AND o.id = u.id"
		" CROSS JOIN LATERAL (SELECT CASE WHEN o.status IN ('SCHEDULED',"
		" 'WAITING', 'IN_PROGRESS', 'COMPLETED')"
		" THEN u.status::telehealth.session_status ELSE o.status END)"
		" AS v (status)"
		" WHERE s.clinic_id = u.clinic_id AND s.id = u.id"
		" AND (s.status, s.started_at, s.ended_at, s.actual_duration,"
		" s.host_joined_at, s.patient_joined_at, s.waiting_room_entered_at,"
		" s.waiting_room_admitted_at) IS DISTINCT FROM (v.status, u.started_at,"
		" u.ended_at, NULLIF(u.actual_duration, -1), u.host_joined_at,"
		" u.patient_joined_at, u.waiting_room_entered_at,"
		" u.waiting_room_admitted_at)"
		" RETURNING u.place, s.status::text",
	.n_args = 11,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
			   TEXTARRAYOID }
};

static ThPlan write_recording_urls = {
	.text = "UPDATE telehealth.session AS s SET recording_url = u.recording_url"
			" FROM unnest($1, $2, $3) WITH ORDINALITY"
			" AS u (clinic_id, id, recording_url, place)"
			" WHERE s.clinic_id = u.clinic_id AND s.id = u.id"
			" AND s.recording_url IS DISTINCT FROM u.recording_url"
			" RETURNING u.place",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID }
};

/* Never backwards, and never over what was decided. */
static ThPlan follow = {
	.text = "UPDATE telehealth.appointment AS a"
			" SET status = u.status::telehealth.appointment_status"
			" FROM unnest($1, $2, $3) AS u (clinic_id, id, status)"
			" WHERE a.clinic_id = u.clinic_id AND a.id = u.id"
			" AND a.type = 'VIDEO' AND (a.status IN ('SCHEDULED', 'CONFIRMED')"
			" OR (a.status = 'CHECKED_IN' AND u.status <> 'CHECKED_IN')"
			" OR (a.status = 'IN_PROGRESS' AND u.status = 'COMPLETED'))",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID }
};

static ThPlan write_participants = {
	.text =
		"INSERT INTO telehealth.participant AS p (clinic_id, session_id,"
		" participant_id, name, role, joined_at, left_at, duration, device,"
		" latency_ms, join_count)"
		" SELECT u.clinic_id, u.session_id, u.participant_id, u.name, u.role,"
		" u.joined_at, u.left_at,"
		" CASE WHEN u.joined_at IS NOT NULL THEN u.duration END, u.device,"
		" NULLIF(u.latency_ms, -1), u.join_count"
		" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
		" AS u (clinic_id, session_id, participant_id, name, role, joined_at,"
		" left_at, duration, device, latency_ms, join_count)"
		" ON CONFLICT ON CONSTRAINT participant_pkey DO UPDATE SET"
		" name = EXCLUDED.name, role = EXCLUDED.role,"
		" joined_at = EXCLUDED.joined_at, left_at = EXCLUDED.left_at,"
		" duration = EXCLUDED.duration, device = EXCLUDED.device,"
		" latency_ms = EXCLUDED.latency_ms, join_count = EXCLUDED.join_count"
		" WHERE (p.name, p.role, p.joined_at, p.left_at, p.duration, p.device,"
		" p.latency_ms, p.join_count) IS DISTINCT FROM (EXCLUDED.name,"
		" EXCLUDED.role, EXCLUDED.joined_at, EXCLUDED.left_at,"
		" EXCLUDED.duration, EXCLUDED.device, EXCLUDED.latency_ms,"
		" EXCLUDED.join_count) RETURNING p.clinic_id, p.session_id",
	.n_args = 11,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			   TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
			   INT4ARRAYOID, TEXTARRAYOID, INT4ARRAYOID, INT4ARRAYOID }
};

#define IS_GIVEN                                                               \
	" EXISTS (SELECT FROM unnest($3, $4, $5)"                                  \
	" AS g (clinic_id, session_id, participant_id)"                            \
	" WHERE g.clinic_id = p.clinic_id AND g.session_id = p.session_id"         \
	" AND g.participant_id = p.participant_id)"

/* Of whom more was told since goes by another name now. */
static ThPlan delete_participants = {
	.text = "DELETE FROM telehealth.participant AS p"
			" USING unnest($1, $2) AS u (clinic_id, id)"
			" WHERE p.clinic_id = u.clinic_id AND p.session_id = u.id"
			" AND NOT" IS_GIVEN " RETURNING p.clinic_id, p.session_id",
	.n_args = 5,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TEXTARRAYOID }
};

static ThPlan write_entries = {
	.text =
		"INSERT INTO telehealth.waiting_room_entry AS w (clinic_id, session_id,"
		" participant_id, patient_id, status, joined_at, admitted_at, left_at,"
		" device)"
		" SELECT u.clinic_id, u.session_id, u.participant_id, u.patient_id,"
		" u.status, u.joined_at, u.admitted_at, u.left_at, u.device"
		" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		" AS u (clinic_id, session_id, participant_id, patient_id, status,"
		" joined_at, admitted_at, left_at, device)"
		" ON CONFLICT ON CONSTRAINT waiting_room_entry_participant_id_key"
		" DO UPDATE SET status = EXCLUDED.status,"
		" joined_at = EXCLUDED.joined_at, admitted_at = EXCLUDED.admitted_at,"
		" left_at = EXCLUDED.left_at,"
		" device = COALESCE(EXCLUDED.device, w.device)"
		" WHERE (w.status, w.joined_at, w.admitted_at, w.left_at)"
		" IS DISTINCT FROM (EXCLUDED.status, EXCLUDED.joined_at,"
		" EXCLUDED.admitted_at, EXCLUDED.left_at)"
		" RETURNING w.clinic_id, w.session_id",
	.n_args = 9,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID,
			   TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, TEXTARRAYOID }
};

/* Not what somebody has written into. */
static ThPlan delete_entries = {
	.text = "DELETE FROM telehealth.waiting_room_entry AS p"
			" USING unnest($1, $2) AS u (clinic_id, id)"
			" WHERE p.clinic_id = u.clinic_id AND p.session_id = u.id"
			" AND p.participant_id IS NOT NULL AND p.questionnaire IS NULL"
			" AND p.camera_ok IS NULL AND p.microphone_ok IS NULL"
			" AND p.connection_ok IS NULL AND p.browser IS NULL"
			" AND NOT" IS_GIVEN " RETURNING p.clinic_id, p.session_id",
	.n_args = 5,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TEXTARRAYOID }
};

static ThPlan write_files = {
	.text =
		"INSERT INTO telehealth.recording AS r (clinic_id, session_id, file_id,"
		" type, url, size, duration, started_at, ended_at, status, deleted_at)"
		" SELECT u.clinic_id, u.session_id, u.file_id, NULLIF(u.type, ''),"
		" NULLIF(u.url, ''), NULLIF(u.size, -1),"
		" CASE WHEN u.ended_at - u.started_at BETWEEN '0' AND '30 days'"
		" THEN EXTRACT(epoch FROM u.ended_at - u.started_at)::integer END,"
		" u.started_at, u.ended_at, u.status, u.deleted_at"
		" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
		" AS u (clinic_id, session_id, file_id, type, url, size, started_at,"
		" ended_at, status, deleted_at)"
		" ON CONFLICT ON CONSTRAINT recording_pkey DO UPDATE SET"
		" type = EXCLUDED.type, url = EXCLUDED.url, size = EXCLUDED.size,"
		" duration = EXCLUDED.duration, started_at = EXCLUDED.started_at,"
		" ended_at = EXCLUDED.ended_at, status = EXCLUDED.status,"
		" deleted_at = EXCLUDED.deleted_at"
		" WHERE (r.type, r.url, r.size, r.duration, r.started_at, r.ended_at,"
		" r.status, r.deleted_at) IS DISTINCT FROM (EXCLUDED.type,"
		" EXCLUDED.url, EXCLUDED.size, EXCLUDED.duration, EXCLUDED.started_at,"
		" EXCLUDED.ended_at, EXCLUDED.status, EXCLUDED.deleted_at)"
		" RETURNING r.clinic_id, r.session_id",
	.n_args = 10,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			   TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID }
};

static ThPlan notify = {
	.text = "SELECT pg_notify('telehealth_session', json_build_object("
			"'clinic_id', u.clinic_id, 'session_id', u.session_id,"
			" 'appointment_id', u.appointment_id, 'status', s.status)::text)"
			" FROM unnest($1, $2, $3) AS u (clinic_id, session_id,"
			" appointment_id) JOIN telehealth.session AS s"
			" ON s.clinic_id = u.clinic_id AND s.id = u.session_id",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID }
};

/* The statement before returned the keys of what it changed. */
static void
note_changes(ThVisitState *visits, int n)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int64 clinic_id = th_row_int64(row, 1);
		int64 session_id = th_row_int64(row, 2);

		for (int i = 0; i < n; i++)
			if (visits[i].clinic_id == clinic_id &&
				visits[i].session_id == session_id)
				visits[i].is_changed = true;
	}
}

static const char *
status_of_appointment(const char *status)
{
	if (strcmp(status, "WAITING") == 0)
		return "CHECKED_IN";
	return strcmp(status, "IN_PROGRESS") == 0 ||
				   strcmp(status, "COMPLETED") == 0
			   ? status
			   : NULL;
}

/* Only a session's step moves its appointment: who moved that since is right. */
static void
follow_sessions(ThVisitState **moved, int n)
{
	int64 *clinics;
	int64 *ids;
	const char **statuses;
	Datum values[3];

	if (n == 0)
		return;
	TH_COLLECT_OF(clinics, int64, n, moved[i]->clinic_id);
	TH_COLLECT_OF(ids, int64, n, moved[i]->appointment_id);
	TH_COLLECT_OF(statuses, const char *, n,
				  status_of_appointment(moved[i]->status));
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = th_array_text(statuses, n);
	th_plan_run(&follow, values, NULL, false);
}

static void
write_told(ThVisitState **told, int n, MemoryContext context)
{
	ThVisitState **moved = palloc_array(ThVisitState *, Max(n, 1));
	int n_moved = 0;
	int64 *numbers;
	int32 *integers;
	TimestampTz *times;
	const char **texts;
	Datum values[11];

	TH_COLLECT_OF(numbers, int64, n, told[i]->clinic_id);
	values[0] = th_array_int64(numbers, n);
	TH_COLLECT_OF(numbers, int64, n, told[i]->session_id);
	values[1] = th_array_int64(numbers, n);
	TH_COLLECT_OF(texts, const char *, n, told[i]->new_status);
	values[2] = th_array_text(texts, n);
	TH_COLLECT_OF(times, TimestampTz, n, told[i]->started_at);
	values[3] = th_array_timestamptz(times, n);
	TH_COLLECT_OF(times, TimestampTz, n, told[i]->ended_at);
	values[4] = th_array_timestamptz(times, n);
	TH_COLLECT_OF(integers, int32, n, told[i]->actual_duration);
	values[5] = th_array_int32(integers, n);
	TH_COLLECT_OF(times, TimestampTz, n, told[i]->host_joined_at);
	values[6] = th_array_timestamptz(times, n);
	TH_COLLECT_OF(times, TimestampTz, n, told[i]->patient_joined_at);
	values[7] = th_array_timestamptz(times, n);
	TH_COLLECT_OF(times, TimestampTz, n, told[i]->waiting_room_entered_at);
	values[8] = th_array_timestamptz(times, n);
	TH_COLLECT_OF(times, TimestampTz, n, told[i]->waiting_room_admitted_at);
	values[9] = th_array_timestamptz(times, n);
	TH_COLLECT_OF(texts, const char *, n, told[i]->meeting_uuid);
	values[10] = th_array_text(texts, n);
	th_plan_run(&write_state, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThVisitState *visit = told[th_row_int64(row, 1) - 1];
		const char *status = th_row_text(row, 2, context);

		visit->is_changed = true;
		if (strcmp(visit->status, status) != 0 && visit->is_live &&
			status_of_appointment(status) != NULL)
			moved[n_moved++] = visit;
		visit->status = status;
	}
	follow_sessions(moved, n_moved);
}

static void
write_urls(ThVisitState **recorded, int n)
{
	int64 *numbers;
	const char **texts;
	Datum values[3];

	TH_COLLECT_OF(numbers, int64, n, recorded[i]->clinic_id);
	values[0] = th_array_int64(numbers, n);
	TH_COLLECT_OF(numbers, int64, n, recorded[i]->session_id);
	values[1] = th_array_int64(numbers, n);
	TH_COLLECT_OF(texts, const char *, n, recorded[i]->recording_url);
	values[2] = th_array_text(texts, n);
	th_plan_run(&write_recording_urls, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		recorded[th_row_int64(row, 1) - 1]->is_changed = true;
}

void
th_visit_write(ThVisitState *visits, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ThVisitState **told = palloc_array(ThVisitState *, Max(n, 1));
	ThVisitState **recorded = palloc_array(ThVisitState *, Max(n, 1));
	int n_told = 0;
	int n_recorded = 0;

	for (int i = 0; i < n; i++)
	{
		if (visits[i].is_told)
			told[n_told++] = &visits[i];
		if (visits[i].recording_url != NULL)
			recorded[n_recorded++] = &visits[i];
	}
	th_store_connect();
	if (n_told > 0)
		write_told(told, n_told, context);
	if (n_recorded > 0)
		write_urls(recorded, n_recorded);
	th_store_finish();
}

/* The rows that are to stay, as parameters 3 to 5. */
static void
delete_others(ThPlan *plan, ThVisitState *visits, int n,
			  const ThVisitPersonRow *const *rows, int n_rows)
{
	int64 *numbers;
	const char **texts;
	Datum values[5];
	int n_told = 0;
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *ids = palloc_array(int64, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		if (!visits[i].is_told)
			continue;
		clinics[n_told] = visits[i].clinic_id;
		ids[n_told++] = visits[i].session_id;
	}
	values[0] = th_array_int64(clinics, n_told);
	values[1] = th_array_int64(ids, n_told);
	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i]->place].clinic_id);
	values[2] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i]->place].session_id);
	values[3] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->participant_id);
	values[4] = th_array_text(texts, n_rows);
	th_plan_run(plan, values, NULL, false);
	note_changes(visits, n);
}

static void
put_participants(ThVisitState *visits, int n,
				 const ThVisitPersonRow *const *rows, int n_rows)
{
	int64 *numbers;
	int32 *integers;
	TimestampTz *times;
	const char **texts;
	Datum values[11];

	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i]->place].clinic_id);
	values[0] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i]->place].session_id);
	values[1] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->participant_id);
	values[2] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->name);
	values[3] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->role);
	values[4] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i]->joined_at);
	values[5] = th_array_timestamptz(times, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i]->left_at);
	values[6] = th_array_timestamptz(times, n_rows);
	TH_COLLECT_OF(integers, int32, n_rows, rows[i]->duration);
	values[7] = th_array_int32(integers, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->device);
	values[8] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(integers, int32, n_rows, rows[i]->latency_ms);
	values[9] = th_array_int32(integers, n_rows);
	TH_COLLECT_OF(integers, int32, n_rows, rows[i]->join_count);
	values[10] = th_array_int32(integers, n_rows);
	th_plan_run(&write_participants, values, NULL, false);
	note_changes(visits, n);
}

static void
put_entries(ThVisitState *visits, int n, const ThVisitPersonRow *const *rows,
			int n_rows)
{
	int64 *numbers;
	TimestampTz *times;
	const char **texts;
	Datum values[9];

	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i]->place].clinic_id);
	values[0] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i]->place].session_id);
	values[1] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->participant_id);
	values[2] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i]->place].patient_id);
	values[3] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->wait_status);
	values[4] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i]->wait_joined_at);
	values[5] = th_array_timestamptz(times, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i]->wait_admitted_at);
	values[6] = th_array_timestamptz(times, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i]->wait_left_at);
	values[7] = th_array_timestamptz(times, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i]->device);
	values[8] = th_array_text(texts, n_rows);
	th_plan_run(&write_entries, values, NULL, false);
	note_changes(visits, n);
}

void
th_visit_write_people(ThVisitState *visits, int n, const ThVisitPersonRow *rows,
					  int n_rows)
{
	const ThVisitPersonRow **present;
	const ThVisitPersonRow **waiting;
	int n_present = 0;
	int n_waiting = 0;

	th_store_connect();
	present = palloc_array(const ThVisitPersonRow *, Max(n_rows, 1));
	waiting = palloc_array(const ThVisitPersonRow *, Max(n_rows, 1));
	for (int i = 0; i < n_rows; i++)
	{
		if (rows[i].joined_at != 0 || rows[i].left_at != 0)
			present[n_present++] = &rows[i];
		if (rows[i].wait_status != NULL)
			waiting[n_waiting++] = &rows[i];
	}
	delete_others(&delete_participants, visits, n, present, n_present);
	delete_others(&delete_entries, visits, n, waiting, n_waiting);
	if (n_present > 0)
		put_participants(visits, n, present, n_present);
	if (n_waiting > 0)
		put_entries(visits, n, waiting, n_waiting);
	th_store_finish();
}

void
th_visit_write_files(ThVisitState *visits, int n, const ThVisitFileRow *rows,
					 int n_rows)
{
	int64 *numbers;
	TimestampTz *times;
	const char **texts;
	Datum values[10];

	if (n_rows == 0)
		return;
	th_store_connect();
	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i].place].clinic_id);
	values[0] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(numbers, int64, n_rows, visits[rows[i].place].session_id);
	values[1] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i].file_id);
	values[2] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i].type);
	values[3] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i].url);
	values[4] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(numbers, int64, n_rows, rows[i].size);
	values[5] = th_array_int64(numbers, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i].started_at);
	values[6] = th_array_timestamptz(times, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i].ended_at);
	values[7] = th_array_timestamptz(times, n_rows);
	TH_COLLECT_OF(texts, const char *, n_rows, rows[i].status);
	values[8] = th_array_text(texts, n_rows);
	TH_COLLECT_OF(times, TimestampTz, n_rows, rows[i].deleted_at);
	values[9] = th_array_timestamptz(times, n_rows);
	th_plan_run(&write_files, values, NULL, false);
	note_changes(visits, n);
	th_store_finish();
}

void
th_visit_notify(const ThVisitState *visits, int n)
{
	int64 *clinics;
	int64 *ids;
	int64 *appointments;
	int n_changed = 0;
	Datum values[3];

	th_store_connect();
	clinics = palloc_array(int64, Max(n, 1));
	ids = palloc_array(int64, Max(n, 1));
	appointments = palloc_array(int64, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (!visits[i].is_changed)
			continue;
		clinics[n_changed] = visits[i].clinic_id;
		ids[n_changed] = visits[i].session_id;
		appointments[n_changed++] = visits[i].appointment_id;
	}
	if (n_changed > 0)
	{
		values[0] = th_array_int64(clinics, n_changed);
		values[1] = th_array_int64(ids, n_changed);
		values[2] = th_array_int64(appointments, n_changed);
		th_plan_run(&notify, values, NULL, false);
	}
	th_store_finish();
}
