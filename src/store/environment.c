/*
 * environment.c
 *	  May this database send? Clone guard, pause, switch.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/th_guc.h"
#include "store/environment.h"
#include "store/plans.h"

/*
 * Without a recorded environment there is no account that anybody connected
 * here: rows of one come from a restore that is under way.
 */
static ThPlan held = {
	.text =
		"SELECT CASE"
		" WHEN EXISTS (SELECT FROM telehealth_private.pause) THEN 'paused'"
		" WHEN COALESCE((SELECT (e.system_identifier, e.database_oid, e.environment)"
		" IS DISTINCT FROM ($1, $2, $3) FROM telehealth_private.environment AS e),"
		" $4 OR EXISTS (SELECT FROM telehealth.account)) THEN 'environment_unconfirmed' END",
	.n_args = 4,
	.types = { TEXTOID, INT8OID, TEXTOID, BOOLOID }
};

/* As above, whatever else is or is not: what a restore brings is not all here. */
static ThPlan arriving = {
	.text = "SELECT NOT EXISTS (SELECT FROM telehealth_private.environment)"
			" AND (EXISTS (SELECT FROM telehealth.account)"
			" OR EXISTS (SELECT FROM telehealth.calendar_connection))"
};

static ThPlan record = {
	.text = "INSERT INTO telehealth_private.environment"
			" (system_identifier, database_oid, environment, adopted_by)"
			" VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	.n_args = 4,
	.types = { TEXTOID, INT8OID, TEXTOID, TEXTOID }
};

char *
th_environment_system(void)
{
	return psprintf(UINT64_FORMAT, GetSystemIdentifier());
}

static void
bind_here(Datum *values)
{
	values[0] = CStringGetTextDatum(th_environment_system());
	values[1] = Int64GetDatum(MyDatabaseId);
	values[2] = CStringGetTextDatum(th_guc_environment);
}

const char *
th_environment_held(bool has_connected)
{
	MemoryContext context = CurrentMemoryContext;
	const char *reason;
	Datum values[4];

	if (!th_guc_outbound)
		return "outbound_off";
	th_store_connect();
	bind_here(values);
	values[3] = BoolGetDatum(has_connected);
	th_plan_run(&held, values, NULL, false);
	reason = th_row_text(0, 1, context);
	th_store_finish();
	return reason;
}

bool
th_environment_is_arriving(void)
{
	bool is_arriving;

	th_store_connect();
	th_plan_run(&arriving, NULL, NULL, false);
	is_arriving = th_row_bool(0, 1);
	th_store_finish();
	return is_arriving;
}

void
th_environment_record(const char *role)
{
	Datum values[4];

	th_store_connect();
	bind_here(values);
	values[3] = CStringGetTextDatum(role);
	th_plan_run(&record, values, NULL, false);
	th_store_finish();
}
