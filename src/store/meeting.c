/*
 * meeting.c
 *	  Everything that decides what a meeting should be, read set-wise.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "store/meeting.h"
#include "store/plans.h"

#define KEYS                                                                   \
	" FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY"                 \
	" AS u (clinic_id, id, place)"

#define ACCOUNT_OF(alias, condition)                                                 \
	" LEFT JOIN LATERAL (SELECT " TH_ACCOUNT_COLUMNS                                 \
	" FROM telehealth.account AS x"                                                  \
	" LEFT JOIN telehealth_private.builtin_platform AS b ON b.platform = x.platform" \
	" WHERE " condition " LIMIT 1)"                                                  \
	" AS " alias " (clinic_id, id, platform, status, settings, connected_at,"        \
	" api_url, token_url) ON true"

/*
 * Of a clinic with fallback platforms, the one for an appointment that names
 * none: where its meeting lives; else the first that can be used, one that is
 * under way before others. What was refused longer ago is tried again.
 */
#define FALLBACK_RETRY "interval '5 minutes'"

#define CANDIDATES                                                             \
	" SELECT n.platform, n.place, b.platform IS NOT NULL AS is_built,"         \
	" b.platform IS NOT NULL AND (b.api_url IS NULL OR COALESCE("              \
	"x.status = 'connected' OR (x.status = 'error' AND NOT x.is_refused)"      \
	" OR x.last_error_at < clock_timestamp() - " FALLBACK_RETRY                \
	", false)) AS is_usable,"                                                  \
	" CASE WHEN b.platform IS NULL THEN 'this version has no adapter'"         \
	" WHEN x.id IS NULL THEN 'no account is connected'"                        \
	" ELSE COALESCE('missing scope ' || x.missing_scope, x.last_error,"        \
	" x.status) END AS reason"                                                 \
	" FROM unnest(COALESCE(c.platform, $3) || c.fallback_platforms)"           \
	" WITH ORDINALITY AS n (platform, place)"                                  \
	" LEFT JOIN telehealth_private.builtin_platform AS b"                      \
	" ON b.platform = n.platform"                                              \
	" LEFT JOIN LATERAL (SELECT y.* FROM telehealth.account AS y"              \
	" WHERE y.clinic_id IN (u.clinic_id, 0) AND y.platform = n.platform"       \
	" AND y.status <> 'disconnected'"                                          \
	" ORDER BY y.clinic_id = 0 LIMIT 1) AS x ON true"                          \
	" WHERE NOT $4 AND a.platform IS NULL AND c.fallback_platforms <> '{}'"

#define CHOSEN                                                                 \
	" LEFT JOIN LATERAL (SELECT k.* FROM (SELECT q.platform, q.place,"         \
	" q.is_built, q.is_usable,"                                                \
	" CASE WHEN q.place > 1 THEN first_value(q.platform) OVER o END"           \
	" AS passed, first_value(q.reason) OVER o AS reason,"                      \
	" count(*) FILTER (WHERE q.is_usable) OVER () > q.is_usable::integer"      \
	" AS has_other FROM (" CANDIDATES ") AS q WINDOW o AS (ORDER BY q.place))" \
	" AS k ORDER BY CASE"                                                      \
	" WHEN k.platform = s.platform AND s.meeting_id IS NOT NULL THEN 0"        \
	" WHEN k.platform = s.platform AND s.intent IS NOT NULL"                   \
	" AND k.is_usable THEN 1"                                                  \
	" WHEN k.is_usable THEN 2 WHEN k.is_built THEN 3 ELSE 4 END, k.place"      \
	" LIMIT 1) AS f ON true"

#define APPOINTMENT_COLUMN_COUNT 23

static ThPlan load = {
	.text =
		"SELECT u.place, a.id IS NOT NULL, a.patient_id, a.provider_id,"
		" a.type::text, a.status::text, a.starts_at, a.ends_at, a.duration,"
		" COALESCE(a.timezone, p.timezone, c.timezone, 'UTC'), a.title, a.reason,"
		" a.meeting_id, a.join_url, a.is_meeting_wanted, a.held_until,"
		" COALESCE(c.is_active, true), w.platform,"
		" COALESCE(p.platform_user, p.email), p.display_name, t.display_name,"
		" f.passed, f.reason, COALESCE(f.has_other, false),"
		" " TH_SESSION_COLUMNS ", acc.*, own.*" KEYS
		" LEFT JOIN telehealth.appointment AS a"
		" ON a.clinic_id = u.clinic_id AND a.id = u.id"
		" LEFT JOIN telehealth.clinic AS c ON c.id = u.clinic_id"
		" LEFT JOIN telehealth.provider AS p"
		" ON p.clinic_id = u.clinic_id AND p.id = a.provider_id"
		" LEFT JOIN telehealth.patient AS t"
		" ON t.clinic_id = u.clinic_id AND t.id = a.patient_id"
		" LEFT JOIN telehealth.session AS s ON s.clinic_id = u.clinic_id"
		" AND s.appointment_id = u.id AND s.retired_at IS NULL" CHOSEN
		" CROSS JOIN LATERAL (SELECT CASE WHEN $4 THEN 'mock'"
		" ELSE COALESCE(a.platform, f.platform, c.platform, $3) END)"
		" AS w (platform)" ACCOUNT_OF(
			"acc", "x.clinic_id IN (u.clinic_id, 0)"
				   " AND x.platform = w.platform AND x.status <> 'disconnected'"
				   " ORDER BY x.clinic_id = 0")
			ACCOUNT_OF("own", "x.clinic_id = s.account_clinic_id"
							  " AND x.id = s.account_id") " ORDER BY u.place",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTOID, BOOLOID }
};

static ThPlan load_tombstones = {
	.text =
		"SELECT u.place, d.*, own.*" KEYS
		" CROSS JOIN LATERAL (SELECT " TH_SESSION_COLUMNS
		" FROM telehealth.session AS s WHERE s.clinic_id = u.clinic_id"
		" AND s.appointment_id = u.id AND s.retired_at IS NOT NULL"
		" ORDER BY s.id LIMIT 1) AS d (clinic_id, id, appointment_id, patient_id,"
		" provider_id, platform, account_clinic_id, account_id)" ACCOUNT_OF(
			"own", "x.clinic_id = d.account_clinic_id"
				   " AND x.id = d.account_id"),
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan lock_appointments = {
	.text = "SELECT u.place" KEYS " JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id"
			" FOR NO KEY UPDATE OF a SKIP LOCKED",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan find_appointments = {
	.text = "SELECT u.place" KEYS " JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan link_appointments = {
	.text =
		"UPDATE telehealth.appointment AS a"
		" SET meeting_id = u.meeting_id, join_url = u.join_url"
		" FROM unnest($1, $2, $3, $4) AS u (clinic_id, id, meeting_id, join_url)"
		" WHERE a.clinic_id = u.clinic_id AND a.id = u.id"
		" AND (a.meeting_id IS DISTINCT FROM u.meeting_id"
		" OR a.join_url IS DISTINCT FROM u.join_url)",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID }
};

static ThPlan expire_holds = {
	.text = "UPDATE telehealth.appointment AS a SET status = 'CANCELLED'"
			" FROM unnest($1, $2) AS u (clinic_id, id)"
			" WHERE a.clinic_id = u.clinic_id AND a.id = u.id"
			" AND a.status = 'PENDING' AND a.held_until <= $3",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID }
};

static ThPlan pending_holds = {
	.text = "SELECT u.place, a.held_until" KEYS
			" JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id"
			" WHERE a.status = 'PENDING' AND a.held_until IS NOT NULL",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static void
read_appointment(uint64 row, ThAppointment *a, MemoryContext context)
{
	int c = 2;

	a->exists = th_row_bool(row, c++);
	a->patient_id = th_row_int64(row, c++);
	a->provider_id = th_row_int64(row, c++);
	a->type = th_row_text(row, c++, context);
	a->status = th_row_text(row, c++, context);
	a->starts_at = th_row_timestamptz(row, c++);
	a->ends_at = th_row_timestamptz(row, c++);
	a->duration = th_row_int32(row, c++);
	a->timezone = th_row_text(row, c++, context);
	a->title = th_row_text(row, c++, context);
	a->reason = th_row_text(row, c++, context);
	a->meeting_id = th_row_text(row, c++, context);
	a->join_url = th_row_text(row, c++, context);
	a->is_meeting_wanted = th_row_bool(row, c++);
	a->held_until = th_row_timestamptz(row, c++);
	a->is_clinic_active = th_row_bool(row, c++);
	a->platform = th_row_text(row, c++, context);
	a->platform_user = th_row_text(row, c++, context);
	a->provider_name = th_row_text(row, c++, context);
	a->patient_name = th_row_text(row, c++, context);
	a->passed_over = th_row_text(row, c++, context);
	a->passed_reason = th_row_text(row, c++, context);
	a->has_other_platform = th_row_bool(row, c++);
	Assert(c == 2 + APPOINTMENT_COLUMN_COUNT);
}

static void
read_tombstones(ThMeetingSubject *subjects, MemoryContext context)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThMeetingSubject *subject = &subjects[th_row_int64(row, 1) - 1];

		subject->tombstone = th_session_read(row, 2, context);
		subject->tombstone_account =
			th_account_read(row, 2 + TH_SESSION_COLUMN_COUNT, context);
	}
}

/* Policy of each different (clinic, platform) once. */
static void
add_policies(ThMeetingSubject *subjects, int n)
{
	for (int i = 0; i < n; i++)
	{
		ThMeetingSubject *subject = &subjects[i];
		int j;

		for (j = 0; j < i; j++)
			if (subjects[j].appointment.clinic_id ==
					subject->appointment.clinic_id &&
				strcmp(subjects[j].appointment.platform,
					   subject->appointment.platform) == 0)
				break;
		subject->disclosed =
			j < i ? subjects[j].disclosed
				  : th_policy_facts(subject->appointment.clinic_id,
									subject->appointment.platform);
	}
}

ThMeetingSubject *
th_meeting_load(const ThJob *jobs, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ThMeetingSubject *subjects = palloc0_array(ThMeetingSubject, Max(n, 1));
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *ids = palloc_array(int64, Max(n, 1));
	Datum values[4];

	for (int i = 0; i < n; i++)
	{
		clinics[i] = subjects[i].appointment.clinic_id = jobs[i].clinic_id;
		ids[i] = subjects[i].appointment.id = jobs[i].subject_id;
	}
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = CStringGetTextDatum(th_guc_default_platform);
	values[3] = BoolGetDatum(th_guc_mock);
	th_plan_run(&load, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThMeetingSubject *subject = &subjects[th_row_int64(row, 1) - 1];
		int c = 2 + APPOINTMENT_COLUMN_COUNT;

		read_appointment(row, &subject->appointment, context);
		subject->session = th_session_read(row, c, context);
		c += TH_SESSION_COLUMN_COUNT;
		subject->account = th_account_read(row, c, context);
		c += TH_ACCOUNT_COLUMN_COUNT;
		subject->session_account = th_account_read(row, c, context);
	}
	th_plan_run(&load_tombstones, values, NULL, false);
	read_tombstones(subjects, context);
	th_store_finish();
	add_policies(subjects, n);
	return subjects;
}

void
th_appointment_lock(const int64 *clinics, const int64 *ids, int n,
					bool *is_locked)
{
	Datum values[2];

	memset(is_locked, 0, sizeof(bool) * n);
	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	th_plan_run(&find_appointments, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		is_locked[th_row_int64(row, 1) - 1] = true;
	th_plan_run(&lock_appointments, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		is_locked[th_row_int64(row, 1) - 1] = false;
	th_store_finish();
}

/* After an error it stays, until the next link, in a process that writes no other. */
static bool is_linking = false;

bool
th_appointment_is_linking(void)
{
	return is_linking;
}

void
th_appointment_link(const int64 *clinics, const int64 *ids,
					const char *const *meeting_ids,
					const char *const *join_urls, int n)
{
	Datum values[4];

	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = th_array_text(meeting_ids, n);
	values[3] = th_array_text(join_urls, n);
	is_linking = true;
	th_plan_run(&link_appointments, values, NULL, false);
	is_linking = false;
	th_store_finish();
}

void
th_appointment_expire(const int64 *clinics, const int64 *ids, int n,
					  TimestampTz now, TimestampTz *dues)
{
	Datum values[3];

	memset(dues, 0, sizeof(TimestampTz) * n);
	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = TimestampTzGetDatum(now);
	th_plan_run(&expire_holds, values, NULL, false);
	th_plan_run(&pending_holds, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		dues[th_row_int64(row, 1) - 1] = th_row_timestamptz(row, 2);
	th_store_finish();
}
