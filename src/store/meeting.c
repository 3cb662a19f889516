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
	" api_url, token_url, is_user_level) ON true"

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
	" ORDER BY y.clinic_id = 0 LIMIT 1) AS x ON true"

#define CHOSEN                                                                 \
	" (SELECT k.* FROM (SELECT q.platform, q.place,"                           \
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
	" LIMIT 1) AS f"

#define APPOINTMENT_COLUMN_COUNT 21

static ThPlan load = {
	.text =
		"SELECT u.place, a.id IS NOT NULL, a.patient_id, a.provider_id,"
		" a.type::text, a.status::text, a.starts_at, a.ends_at, a.duration,"
		" COALESCE(a.timezone, p.timezone, c.timezone, 'UTC'), a.title, a.reason,"
		" a.meeting_id, a.join_url, a.is_meeting_wanted, a.held_until,"
		" COALESCE(c.is_active, true), CASE WHEN $4 THEN 'mock'"
		" ELSE COALESCE(a.platform, c.platform, $3) END,"
		" COALESCE(p.platform_user, p.email), p.display_name, t.display_name,"
		" NOT $4 AND a.platform IS NULL AND c.fallback_platforms <> '{}',"
		" " TH_SESSION_COLUMNS ", own.*" KEYS
		" LEFT JOIN telehealth.appointment AS a"
		" ON a.clinic_id = u.clinic_id AND a.id = u.id"
		" LEFT JOIN telehealth.clinic AS c ON c.id = u.clinic_id"
		" LEFT JOIN telehealth.provider AS p"
		" ON p.clinic_id = u.clinic_id AND p.id = a.provider_id"
		" LEFT JOIN telehealth.patient AS t"
		" ON t.clinic_id = u.clinic_id AND t.id = a.patient_id"
		" LEFT JOIN telehealth.session AS s ON s.clinic_id = u.clinic_id"
		" AND s.appointment_id = u.id AND s.retired_at IS NULL" ACCOUNT_OF(
			"own", "x.clinic_id = s.account_clinic_id"
				   " AND x.id = s.account_id"),
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTOID, BOOLOID }
};

/* Only of appointments that have a choice. */
static ThPlan choose = {
	.text = "SELECT u.place, f.platform, f.passed, f.reason, f.has_other" KEYS
			" JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id"
			" JOIN telehealth.clinic AS c ON c.id = u.clinic_id"
			" LEFT JOIN telehealth.session AS s ON s.clinic_id = u.clinic_id"
			" AND s.appointment_id = u.id AND s.retired_at IS NULL"
			" CROSS JOIN LATERAL" CHOSEN,
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTOID }
};

/* A clinic's own account goes before the one for every clinic. */
static ThPlan load_accounts = {
	.text = "SELECT u.place, acc.*"
			" FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY"
			" AS u (clinic_id, platform, place)" ACCOUNT_OF(
				"acc", "x.clinic_id IN (u.clinic_id, 0)"
					   " AND x.platform = u.platform"
					   " AND x.status <> 'disconnected'"
					   " ORDER BY x.clinic_id = 0"),
	.n_args = 2,
	.types = { INT8ARRAYOID, TEXTARRAYOID }
};

/* A clinic with fallback platforms has a choice that takes more than a look. */
static ThPlan peek = {
	.text =
		"WITH visit AS MATERIALIZED (SELECT u.place, u.clinic_id, a.starts_at,"
		" COALESCE(a.platform, c.platform, $3) AS platform" KEYS
		" JOIN telehealth.appointment AS a"
		" ON a.clinic_id = u.clinic_id AND a.id = u.id"
		" LEFT JOIN telehealth.clinic AS c ON c.id = u.clinic_id"
		" WHERE a.type = 'VIDEO' AND a.is_meeting_wanted"
		" AND a.status IN ('SCHEDULED', 'CONFIRMED') AND a.starts_at > $4"
		" AND COALESCE(c.is_active, true)"
		" AND (a.platform IS NOT NULL"
		" OR COALESCE(c.fallback_platforms, '{}') = '{}')"
		" AND NOT EXISTS (SELECT FROM telehealth.session AS s"
		" WHERE s.clinic_id = u.clinic_id AND s.appointment_id = u.id))"
		" SELECT v.place, v.starts_at, k.account_clinic_id, k.account_id"
		" FROM (SELECT d.clinic_id, d.platform, x.clinic_id, x.id"
		" FROM (SELECT DISTINCT w.clinic_id, w.platform FROM visit AS w) AS d"
		" CROSS JOIN LATERAL (SELECT y.clinic_id, y.id"
		" FROM telehealth.account AS y WHERE y.clinic_id IN (d.clinic_id, 0)"
		" AND y.platform = d.platform AND y.status <> 'disconnected'"
		" ORDER BY y.clinic_id = 0 LIMIT 1) AS x)"
		" AS k (clinic_id, platform, account_clinic_id, account_id)"
		" JOIN visit AS v"
		" ON v.clinic_id = k.clinic_id AND v.platform = k.platform",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTOID, TIMESTAMPTZOID }
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
	a->has_other_platform = th_row_bool(row, c++); /* perhaps: see choose */
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

/* Where a clinic has fallback platforms and the visit names none. */
static void
choose_platforms(ThMeetingSubject *subjects, int n, MemoryContext context)
{
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *ids = palloc_array(int64, Max(n, 1));
	ThAppointment **asked = palloc_array(ThAppointment *, Max(n, 1));
	int n_asked = 0;
	Datum values[3];

	for (int i = 0; i < n; i++)
	{
		ThAppointment *a = &subjects[i].appointment;

		if (!a->has_other_platform)
			continue;
		a->has_other_platform = false;
		clinics[n_asked] = a->clinic_id;
		ids[n_asked] = a->id;
		asked[n_asked++] = a;
	}
	if (n_asked == 0)
		return;
	values[0] = th_array_int64(clinics, n_asked);
	values[1] = th_array_int64(ids, n_asked);
	values[2] = CStringGetTextDatum(th_guc_default_platform);
	th_plan_run(&choose, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThAppointment *a = asked[th_row_int64(row, 1) - 1];

		a->platform = th_row_text(row, 2, context);
		a->passed_over = th_row_text(row, 3, context);
		a->passed_reason = th_row_text(row, 4, context);
		a->has_other_platform = th_row_bool(row, 5);
	}
}

/* The first subject of the same clinic and platform. */
static int
find_alike(const ThMeetingSubject *subjects, int i)
{
	const ThAppointment *a = &subjects[i].appointment;
	int j;

	for (j = 0; j < i; j++)
		if (subjects[j].appointment.clinic_id == a->clinic_id &&
			strcmp(subjects[j].appointment.platform, a->platform) == 0)
			break;
	return j;
}

/* Account and policy of each different (clinic, platform), read once. */
static void
add_shared(ThMeetingSubject *subjects, int n, MemoryContext context)
{
	int64 *clinics = palloc_array(int64, Max(n, 1));
	const char **platforms = palloc_array(const char *, Max(n, 1));
	int *alike = palloc_array(int, Max(n, 1));
	int *first = palloc_array(int, Max(n, 1));
	int n_first = 0;
	Datum values[2];

	for (int i = 0; i < n; i++)
	{
		alike[i] = find_alike(subjects, i);
		if (alike[i] < i)
			continue;
		clinics[n_first] = subjects[i].appointment.clinic_id;
		platforms[n_first] = subjects[i].appointment.platform;
		first[n_first++] = i;
	}
	values[0] = th_array_int64(clinics, n_first);
	values[1] = th_array_text(platforms, n_first);
	th_plan_run(&load_accounts, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		subjects[first[th_row_int64(row, 1) - 1]].account =
			th_account_read(row, 2, context);
	for (int i = 0; i < n_first; i++)
		subjects[first[i]].disclosed = th_policy_facts(clinics[i],
													   platforms[i]);
	for (int i = 0; i < n; i++)
	{
		subjects[i].account = subjects[alike[i]].account;
		subjects[i].disclosed = subjects[alike[i]].disclosed;
	}
}

/* The subjects of jobs as parameters 1 and 2. */
static void
bind_keys(Datum *values, const ThJob *jobs, int n)
{
	int64 *clinics = palloc_array(int64, Max(n, 1));
	int64 *ids = palloc_array(int64, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		clinics[i] = jobs[i].clinic_id;
		ids[i] = jobs[i].subject_id;
	}
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
}

ThMeetingSubject *
th_meeting_load(const ThJob *jobs, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ThMeetingSubject *subjects = palloc0_array(ThMeetingSubject, Max(n, 1));
	Datum values[4];

	for (int i = 0; i < n; i++)
	{
		subjects[i].appointment.clinic_id = jobs[i].clinic_id;
		subjects[i].appointment.id = jobs[i].subject_id;
	}
	th_store_connect();
	bind_keys(values, jobs, n);
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
		subject->session_account = th_account_read(row, c, context);
	}
	th_plan_run(&load_tombstones, values, NULL, false);
	read_tombstones(subjects, context);
	choose_platforms(subjects, n, context);
	add_shared(subjects, n, context);
	th_store_finish();
	return subjects;
}

ThVisitPeek *
th_meeting_peek(const ThJob *jobs, int n, TimestampTz now)
{
	ThVisitPeek *visits = palloc0_array(ThVisitPeek, Max(n, 1));
	TimestampTz near = now + TH_NEAR_MINUTES * USECS_PER_MINUTE;
	Datum values[4];

	if (n == 0)
		return visits;
	th_store_connect();
	bind_keys(values, jobs, n);
	values[2] = CStringGetTextDatum(th_guc_default_platform);
	values[3] = TimestampTzGetDatum(near);
	th_plan_run(&peek, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ThVisitPeek *visit = &visits[th_row_int64(row, 1) - 1];

		visit->is_plain = true;
		visit->starts_at = th_row_timestamptz(row, 2);
		visit->account_clinic_id = th_row_int64(row, 3);
		visit->account_id = th_row_int64(row, 4);
	}
	th_store_finish();
	return visits;
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
	th_plan_run(&lock_appointments, values, NULL, false);
	if ((int) SPI_processed < n)
	{
		bool *is_ours = palloc0_array(bool, n);

		for (uint64 row = 0; row < SPI_processed; row++)
			is_ours[th_row_int64(row, 1) - 1] = true;
		th_plan_run(&find_appointments, values, NULL, false);
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			int place = (int) th_row_int64(row, 1) - 1;

			is_locked[place] = !is_ours[place];
		}
	}
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
