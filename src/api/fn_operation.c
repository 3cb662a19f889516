/*
 * fn_operation.c
 *	  What the functions and views of operation need from C.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "api/hint.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "crypto/envelope.h"
#include "crypto/keyring.h"
#include "json/json_read.h"
#include "store/environment.h"
#include "store/job.h"
#include "store/owner.h"
#include "worker/mailbox.h"
#include "worker/slot.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_mark);
TH_SQL_FUNCTION(th_sql_wake);
TH_SQL_FUNCTION(th_sql_wake_launcher);
TH_SQL_FUNCTION(th_sql_worker_slots);
TH_SQL_FUNCTION(th_sql_periodic_tasks);
TH_SQL_FUNCTION(th_sql_reseal);
TH_SQL_FUNCTION(th_sql_forget_keys);
TH_SQL_FUNCTION(th_sql_key_status);
TH_SQL_FUNCTION(th_sql_outbound_held);
TH_SQL_FUNCTION(th_sql_system_identifier);
TH_SQL_FUNCTION(th_sql_ask_check_account);
TH_SQL_FUNCTION(th_sql_hint);
TH_SQL_FUNCTION(th_sql_hint_reason);

/* How long the dispatcher may take to check an account. */
#define CHECK_TIMEOUT_MS 60000

#define SLOT_COLUMNS 19

#define MIN_OVERDUE_MS 5000

static const char *const state_names[] = {
	[TH_SLOT_FREE] = "none",
	[TH_SLOT_STARTING] = "starting",
	[TH_SLOT_RUNNING] = "running",
	[TH_SLOT_ABSENT] = "absent",
	[TH_SLOT_PARKED] = "parked",
	[TH_SLOT_FAILED] = "failed",
	[TH_SLOT_OTHER_VERSION] = "version_mismatch",
};

static const char *const task_names[] = {
	[TH_TASK_CLAIM] = "claim",
	[TH_TASK_FULL_SCAN] = "full_scan",
	[TH_TASK_HISTORY] = "history",
	[TH_TASK_AUDIT_CHAIN] = "audit_chain",
	[TH_TASK_VENDOR_LIMITS] = "vendor_limits",
	[TH_TASK_FEEDS] = "feeds",
	[TH_TASK_EVENTS] = "events",
	[TH_TASK_VISITS] = "visits",
	[TH_TASK_CONNECTIONS] = "connections",
};

/* ---- marking and waking ---- */

/* The elements of a bigint array without nulls. */
static int64 *
read_int64s(ArrayType *array, int *n)
{
	Datum *values;
	int64 *result;

	if (array_contains_nulls(array))
		elog(ERROR, "an array of ids contains a null");
	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &values, NULL, n);
	result = palloc_array(int64, Max(*n, 1));
	for (int i = 0; i < *n; i++)
		result[i] = DatumGetInt64(values[i]);
	return result;
}

Datum
th_sql_mark(PG_FUNCTION_ARGS)
{
	char *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int n_clinics;
	int n_subjects;
	int64 *clinics = read_int64s(PG_GETARG_ARRAYTYPE_P(1), &n_clinics);
	int64 *subjects = read_int64s(PG_GETARG_ARRAYTYPE_P(2), &n_subjects);
	int priority = PG_GETARG_INT32(3);
	TimestampTz now = th_clock_now();
	ThMark *marks;

	if (n_clinics != n_subjects || priority < 0 ||
		priority >= TH_PRIORITY_COUNT)
		elog(ERROR, "wrong arguments of mark()");
	if (n_clinics == 0)
		PG_RETURN_VOID();

	marks = palloc_extended(sizeof(ThMark) * (Size) n_clinics, MCXT_ALLOC_HUGE);
	for (int i = 0; i < n_clinics; i++)
	{
		marks[i].kind = th_job_kind_of(kind);
		marks[i].priority = (ThPriority) priority;
		marks[i].clinic_id = clinics[i];
		marks[i].subject_id = subjects[i];
		marks[i].due_at = now;
	}
	th_job_mark(marks, n_clinics, false);
	th_wake_at_commit();
	PG_RETURN_VOID();
}

Datum
th_sql_wake(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	th_wake_at_commit();
	PG_RETURN_VOID();
}

Datum
th_sql_wake_launcher(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	th_wake_launcher_at_commit();
	PG_RETURN_VOID();
}

/* ---- the worker ---- */

/* How many other databases use a credential that we use. */
static int
count_sharing(const ThSlotStatus *slots, int n, const ThSlotStatus *mine)
{
	int sharing = 0;

	for (int i = 0; i < n; i++)
	{
		bool shares = false;

		if (slots[i].database == mine->database)
			continue;
		for (int a = 0; a < mine->figures.n_fingerprints; a++)
			for (int b = 0; b < slots[i].figures.n_fingerprints; b++)
				shares |= mine->figures.fingerprints[a] ==
						  slots[i].figures.fingerprints[b];
		sharing += shares ? 1 : 0;
	}
	return sharing;
}

typedef struct Row
{
	Datum values[SLOT_COLUMNS];
	bool nulls[SLOT_COLUMNS];
	int n;
} Row;

static void
add_text(Row *row, const char *text)
{
	row->nulls[row->n] = text == NULL || text[0] == '\0';
	row->values[row->n] = row->nulls[row->n] ? (Datum) 0
											 : CStringGetTextDatum(text);
	row->n++;
}

static void
add_int32(Row *row, int value)
{
	row->nulls[row->n] = false;
	row->values[row->n++] = Int32GetDatum(value);
}

static void
add_int64(Row *row, int64 value)
{
	row->nulls[row->n] = false;
	row->values[row->n++] = Int64GetDatum(value);
}

static void
add_time(Row *row, TimestampTz value)
{
	row->nulls[row->n] = value == 0;
	row->values[row->n++] = TimestampTzGetDatum(value);
}

static void
add_slot(Row *row, const ThSlotStatus *slot)
{
	const ThSlotFigures *figures = &slot->figures;

	add_text(row, state_names[slot->state]);
	add_int32(row, slot->pid);
	row->nulls[row->n - 1] = slot->pid == 0;
	add_time(row, slot->started_at);
	add_time(row, slot->retry_at);
	add_int32(row, slot->failures);
	add_text(row, figures->phase);
	add_text(row, figures->held_reason);
	add_int32(row, figures->in_flight);
	add_int32(row, figures->waiting);
	add_int64(row, figures->claimed);
	add_int64(row, figures->settled);
	add_int64(row, figures->failed);
	add_int64(row, figures->cycles);
	add_int64(row, figures->wakes);
	add_time(row, figures->last_cycle_at);
	add_time(row, figures->last_error_at);
	add_text(row, figures->last_sqlstate);
}

/* One row: the dispatcher of this database, whether there is one or not. */
Datum
th_sql_worker_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ThSlotStatus *slots = palloc0_array(ThSlotStatus, TH_MAX_SLOTS);
	ThSlotStatus mine = { 0 };
	Row row = { 0 };
	int launcher = th_slot_launcher_pid();
	int n;

	InitMaterializedSRF(fcinfo, 0);
	n = th_slot_read_all(slots, TH_MAX_SLOTS);
	mine.state = TH_SLOT_FREE;
	for (int i = 0; i < n; i++)
	{
		if (slots[i].database == MyDatabaseId)
			mine = slots[i];
	}
	add_slot(&row, &mine);
	if (!th_slot_available())
		row.values[0] = CStringGetTextDatum("not_preloaded");
	add_int32(&row, count_sharing(slots, n, &mine));
	add_int32(&row, launcher);
	row.nulls[row.n - 1] = launcher == 0;
	Assert(row.n == SLOT_COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values,
						 row.nulls);
	return (Datum) 0;
}

/*
 * Late by two intervals; by five seconds at least, for a task that is done
 * every few milliseconds waits for others now and then. A clock that is set
 * makes nothing late.
 */
static bool
is_overdue(const ThTaskTimes *times)
{
	return times->due_ms != 0 &&
		   th_clock_monotonic_ms() >
			   times->due_ms + Max(2 * (int64) times->every_ms, MIN_OVERDUE_MS);
}

/* One row a task of the dispatcher of this database, whether there is one or not. */
Datum
th_sql_periodic_tasks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ThSlotStatus *mine = palloc0_object(ThSlotStatus);

	InitMaterializedSRF(fcinfo, 0);
	(void) th_slot_read(MyDatabaseId, mine);
	for (ThTask task = 0; task < TH_TASK_COUNT; task++)
	{
		const ThTaskTimes *times = &mine->figures.tasks[task];
		Row row = { 0 };

		add_text(&row, task_names[task]);
		add_int32(&row, times->every_ms);
		row.nulls[row.n - 1] = times->every_ms == 0;
		add_time(&row, times->last_success_at);
		add_time(&row, times->next_due_at);
		row.values[row.n++] = BoolGetDatum(is_overdue(times));
		tuplestore_putvalues(result->setResult, result->setDesc, row.values,
							 row.nulls);
	}
	return (Datum) 0;
}

/* ---- keys ---- */

/* NULL if the envelope is sealed with the first key already. */
Datum
th_sql_reseal(PG_FUNCTION_ARGS)
{
	bytea *envelope = PG_GETARG_BYTEA_PP(0);
	char *place = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bytea *plain = (bytea *) PG_DETOAST_DATUM(PointerGetDatum(envelope));
	char *secret;
	size_t length;

	if (th_envelope_is_current(plain))
		PG_RETURN_NULL();
	secret = th_envelope_open(plain, place, &length);
	PG_RETURN_BYTEA_P(th_envelope_seal(secret, length, place));
}

Datum
th_sql_forget_keys(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	th_keyring_forget();
	PG_RETURN_VOID();
}

/* Where the keys come from is for those who may read all settings. */
Datum
th_sql_key_status(PG_FUNCTION_ARGS)
{
	TupleDesc columns;
	const char *source;
	char *state = th_keyring_status(&source);
	Datum values[3];
	bool nulls[3] = { false, false, false };

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	columns = BlessTupleDesc(columns);
	nulls[0] = !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_SETTINGS);
	values[0] = nulls[0] ? (Datum) 0 : CStringGetTextDatum(source);
	values[1] = CStringGetTextDatum(state);
	values[2] = BoolGetDatum(th_guc_key_command[0] == '\0' &&
							 !is_absolute_path(th_guc_key_file));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(columns, values, nulls)));
}

/* ---- the environment ---- */

Datum
th_sql_outbound_held(PG_FUNCTION_ARGS)
{
	ThOwnerScope scope;
	const char *reason;

	(void) fcinfo;
	th_owner_enter(&scope);
	reason = th_environment_held(false);
	th_owner_leave(&scope);
	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}

Datum
th_sql_system_identifier(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(th_environment_system()));
}

/* ---- the dispatcher's answers, and words ---- */

Datum
th_sql_ask_check_account(PG_FUNCTION_ARGS)
{
	char *reply = th_mailbox_ask(TH_ASK_CHECK_ACCOUNT, PG_GETARG_INT64(0),
								 PG_GETARG_INT64(1), NULL, CHECK_TIMEOUT_MS);
	Jsonb *result;

	if (!th_json_parse(reply, strlen(reply), &result))
		elog(ERROR, "the dispatcher's answer is not JSON");
	PG_RETURN_JSONB_P(result);
}

Datum
th_sql_hint(PG_FUNCTION_ARGS)
{
	const char *hint = th_hint_for(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (hint == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(hint));
}

Datum
th_sql_hint_reason(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(
		cstring_to_text(th_hint_reason(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}
