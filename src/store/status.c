/*
 * status.c
 *	  What a user wants to know of one appointment, and accounts by id.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/typcache.h"

#include "base/th_guc.h"
#include "store/environment.h"
#include "store/meeting.h"
#include "store/owner.h"
#include "store/plans.h"
#include "store/status.h"

static ThPlan meeting_status = {
	.text = "SELECT a.id IS NOT NULL, a.xmin, j.xmin, a.type::text,"
			" a.status::text, a.is_meeting_wanted,"
			" a.ends_at <= clock_timestamp(), a.join_url IS NOT NULL,"
			" s.id, s.join_url IS NOT NULL, j.subject_id IS NOT NULL,"
			" j.dead_at IS NOT NULL, j.due_at, j.waiting_for, j.last_error"
			" FROM (VALUES ($1, $2)) AS u (clinic_id, id)"
			" LEFT JOIN telehealth.appointment AS a"
			" ON a.clinic_id = u.clinic_id AND a.id = u.id"
			" LEFT JOIN telehealth.session AS s ON s.clinic_id = u.clinic_id"
			" AND s.appointment_id = u.id AND s.retired_at IS NULL"
			" LEFT JOIN telehealth_private.job AS j ON j.kind = 'meeting'"
			" AND j.clinic_id = u.clinic_id AND j.subject_id = u.id",
	.n_args = 2,
	.types = { INT8OID, INT8OID },
};

static ThPlan session_row = {
	.text = "SELECT s FROM telehealth.session AS s"
			" WHERE s.clinic_id = $1 AND s.id = $2",
	.n_args = 2,
	.types = { INT8OID, INT8OID },
};

static ThPlan calendar_entry = {
	.text = "SELECT a.status::text, a.starts_at, a.ends_at, a.created_at,"
			" a.updated_at, a.sequence, a.title, a.location, a.join_url,"
			" p.display_name, p.email, d.display_name, d.email"
			" FROM telehealth.appointment AS a"
			" LEFT JOIN telehealth.patient AS p"
			" ON $3 AND p.clinic_id = a.clinic_id AND p.id = a.patient_id"
			" LEFT JOIN telehealth.provider AS d"
			" ON $3 AND d.clinic_id = a.clinic_id AND d.id = a.provider_id"
			" WHERE a.clinic_id = $1 AND a.id = $2",
	.n_args = 3,
	.types = { INT8OID, INT8OID, BOOLOID },
};

static ThPlan find_account = {
	.text = "SELECT x.clinic_id, x.platform, x.status"
			" FROM telehealth.account AS x"
			" WHERE x.clinic_id IN ($1, 0) AND x.id = $2"
			" ORDER BY x.clinic_id = 0 LIMIT 1",
	.n_args = 2,
	.types = { INT8OID, INT8OID },
};

static ThPlan mark_unmet = {
	.text = "SELECT telehealth_private.mark_unmet($1, $2)",
	.n_args = 2,
	.types = { TEXTOID, INT8OID },
};

static ThPlan configure = {
	.text = "UPDATE telehealth.account AS x"
			" SET settings = jsonb_strip_nulls(x.settings || $3)"
			" WHERE x.clinic_id = $1 AND x.id = $2",
	.n_args = 3,
	.types = { INT8OID, INT8OID, JSONBOID },
};

static ThPlan mark_account = {
	.text = "SELECT telehealth_private.mark_account($1, $2)",
	.n_args = 2,
	.types = { INT8OID, INT8OID },
};

static void
bind_key(Datum *values, int64 clinic_id, int64 id)
{
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
}

/* True if column "column" of the only row is an id of this transaction. */
static bool
is_written_by_us(int column)
{
	bool is_null;
	Datum value = th_row_datum(0, column, &is_null);

	return !is_null &&
		   TransactionIdIsCurrentTransactionId(DatumGetTransactionId(value));
}

void
th_status_meeting(int64 clinic_id, int64 appointment_id, ThMeetingStatus *out)
{
	MemoryContext context = CurrentMemoryContext;
	ThOwnerScope scope;
	Datum values[2];

	memset(out, 0, sizeof(*out));
	th_owner_enter(&scope);
	th_store_connect();
	bind_key(values, clinic_id, appointment_id);
	th_plan_run(&meeting_status, values, NULL, false);
	out->exists = th_row_bool(0, 1);
	out->is_ours = is_written_by_us(2) || is_written_by_us(3);
	out->type = th_row_text(0, 4, context);
	out->status = th_row_text(0, 5, context);
	out->is_wanted = th_row_bool(0, 6);
	out->is_over = th_row_bool(0, 7);
	out->is_linked = th_row_bool(0, 8);
	out->session_id = th_row_int64(0, 9);
	out->is_made = th_row_bool(0, 10);
	out->has_job = th_row_bool(0, 11);
	out->is_dead = th_row_bool(0, 12);
	out->due_at = th_row_timestamptz(0, 13);
	out->waiting_for = th_row_text(0, 14, context);
	out->last_error = th_row_text(0, 15, context);
	th_store_finish();
	out->held = th_guc_mock ? NULL : th_environment_held(false);
	th_owner_leave(&scope);
}

Datum
th_status_session(int64 clinic_id, int64 session_id)
{
	MemoryContext context = CurrentMemoryContext;
	ThOwnerScope scope;
	Datum values[2];
	Datum result = (Datum) 0;
	bool is_null = true;

	th_owner_enter(&scope);
	th_store_connect();
	bind_key(values, clinic_id, session_id);
	th_plan_run(&session_row, values, NULL, false);
	if (SPI_processed > 0)
		result = th_row_datum(0, 1, &is_null);
	if (!is_null)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		result = datumCopy(result, false, -1);
		MemoryContextSwitchTo(old);
	}
	th_store_finish();
	th_owner_leave(&scope);
	if (is_null)
		elog(ERROR, "session " INT64_FORMAT " vanished", session_id);
	return result;
}

bool
th_status_calendar(int64 clinic_id, int64 appointment_id, bool with_people,
				   ThCalendarEntry *out)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[3];
	bool is_found;

	memset(out, 0, sizeof(*out));
	th_store_connect();
	bind_key(values, clinic_id, appointment_id);
	values[2] = BoolGetDatum(with_people);
	th_plan_run(&calendar_entry, values, NULL, false);
	is_found = SPI_processed > 0;
	if (is_found)
	{
		out->status = th_row_text(0, 1, context);
		out->starts_at = th_row_timestamptz(0, 2);
		out->ends_at = th_row_timestamptz(0, 3);
		out->created_at = th_row_timestamptz(0, 4);
		out->updated_at = th_row_timestamptz(0, 5);
		out->sequence = th_row_int32(0, 6);
		out->title = th_row_text(0, 7, context);
		out->location = th_row_text(0, 8, context);
		out->join_url = th_row_text(0, 9, context);
		out->patient_name = th_row_text(0, 10, context);
		out->patient_email = th_row_text(0, 11, context);
		out->provider_name = th_row_text(0, 12, context);
		out->provider_email = th_row_text(0, 13, context);
	}
	th_store_finish();
	return is_found;
}

uint32
th_status_facts(int64 clinic_id, const char *target)
{
	ThOwnerScope scope;
	uint32 facts;

	th_owner_enter(&scope);
	facts = th_policy_facts(clinic_id, target);
	th_owner_leave(&scope);
	return facts;
}

bool
th_status_account(int64 clinic_id, int64 id, int64 *account_clinic,
				  const char **platform, const char **status)
{
	MemoryContext context = CurrentMemoryContext;
	ThOwnerScope scope;
	Datum values[2];
	bool is_found;

	th_owner_enter(&scope);
	th_store_connect();
	bind_key(values, clinic_id, id);
	th_plan_run(&find_account, values, NULL, false);
	is_found = SPI_processed > 0;
	if (is_found)
	{
		*account_clinic = th_row_int64(0, 1);
		if (platform != NULL)
			*platform = th_row_text(0, 2, context);
		if (status != NULL)
			*status = th_row_text(0, 3, context);
	}
	th_store_finish();
	th_owner_leave(&scope);
	return is_found;
}

void
th_status_mark_unmet(const char *platform, int64 clinic_id)
{
	ThOwnerScope scope;
	Datum values[2];

	th_owner_enter(&scope);
	th_store_connect();
	values[0] = CStringGetTextDatum(platform);
	values[1] = Int64GetDatum(clinic_id);
	th_plan_run(&mark_unmet, values, NULL, false);
	th_store_finish();
	th_owner_leave(&scope);
}

void
th_status_configure(int64 clinic_id, int64 id, Datum settings)
{
	ThOwnerScope scope;
	Datum values[3];

	th_owner_enter(&scope);
	th_store_connect();
	bind_key(values, clinic_id, id);
	values[2] = settings;
	th_plan_run(&configure, values, NULL, false);
	th_plan_run(&mark_account, values, NULL, false);
	th_store_finish();
	th_owner_leave(&scope);
}
