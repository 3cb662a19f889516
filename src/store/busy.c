/*
 * busy.c
 *	  Rows of telehealth.busy_time and telehealth.import_problem: what an
 *	  import of one calendar changes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "store/busy.h"
#include "store/plans.h"

static ThPlan find_timezone = {
	.text = "SELECT COALESCE(p.timezone, c.timezone, 'UTC')"
			" FROM (VALUES ($1, $2)) AS v (clinic_id, provider_id)"
			" LEFT JOIN telehealth.provider AS p"
			" ON p.clinic_id = v.clinic_id AND p.id = v.provider_id"
			" LEFT JOIN telehealth.clinic AS c ON c.id = v.clinic_id",
	.n_args = 2,
	.types = { INT8OID, INT8OID }
};

/* The first half goes by an index, past what the source had before. */
#define IS_INSIDE                                                              \
	"COALESCE(upper(b.during), 'infinity'::timestamptz) > $4"                  \
	" AND b.during && tstzrange($4, $5)"

/*
 * $1 clinic, $2 provider, $3 source, $4 and $5 window; items: $6 ids, $7
 * recurrence ids, $8 starts, $9 ends, $10 status; problems: $11 item, $12 id,
 * $13 reason; $14 rows may be removed, $15 many.
 *
 * Of the source's rows it reads those inside the window, and by their key
 * those whose ids came from elsewhere: never all that it ever had.
 *
 * A row is the same if its ids are. What is left is the same if its times are,
 * under whatever id: sources that make new ids every time change nothing.
 */
static ThPlan import_rows = {
	.text =
		"WITH given AS MATERIALIZED ("
		" SELECT DISTINCT ON (i.external_id, i.recurrence_id)"
		" i.external_id, i.recurrence_id, i.status,"
		" tstzrange(i.starts_at, i.ends_at) AS during"
		" FROM unnest($6, $7, $8, $9, $10) WITH ORDINALITY"
		" AS i (external_id, recurrence_id, starts_at, ends_at, status, n)"
		" ORDER BY i.external_id, i.recurrence_id, i.n DESC"
		"), inside AS MATERIALIZED ("
		" SELECT b.external_id, b.recurrence_id, b.status, b.during, b.ctid AS place"
		" FROM telehealth.busy_time AS b"
		" WHERE b.clinic_id = $1 AND b.provider_id = $2 AND b.source = $3"
		" AND " IS_INSIDE "), stored AS MATERIALIZED ("
		" SELECT i.*, true AS is_inside FROM inside AS i"
		" UNION ALL SELECT b.external_id, b.recurrence_id, b.status, b.during, NULL, false"
		" FROM telehealth.busy_time AS b"
		" WHERE b.clinic_id = $1 AND b.provider_id = $2 AND b.source = $3"
		" AND NOT (" IS_INSIDE ") AND b.external_id = ANY (ARRAY("
		" SELECT g.external_id FROM (SELECT external_id, recurrence_id FROM given"
		" EXCEPT SELECT external_id, recurrence_id FROM inside) AS g))"
		"), keyed AS MATERIALIZED ("
		" SELECT external_id, recurrence_id, g.during, g.status,"
		" s.during AS was_during, s.status AS was_status, s.is_inside, s.place,"
		" row_number() OVER (PARTITION BY g.during IS NULL, s.during IS NULL,"
		" COALESCE(g.during, s.during), COALESCE(g.status, s.status)"
		" ORDER BY external_id, recurrence_id) AS n"
		" FROM given AS g FULL JOIN stored AS s"
		" USING (external_id, recurrence_id)"
		" WHERE g.during IS NOT NULL OR s.is_inside"
		"), problem AS MATERIALIZED ("
		" SELECT DISTINCT ON (p.item) p.item, p.external_id, p.reason"
		" FROM unnest($11, $12, $13) AS p (item, external_id, reason)"
		" ORDER BY p.item"
		"), unmatched AS MATERIALIZED ("
		" SELECT g.external_id AS id, g.recurrence_id, g.during, g.status,"
		" s.external_id AS old_id, s.place"
		" FROM (SELECT * FROM keyed WHERE was_during IS NULL) AS g"
		" FULL JOIN (SELECT * FROM keyed WHERE during IS NULL) AS s"
		" ON g.during = s.was_during AND g.status = s.was_status"
		" AND g.n = s.n"
		" WHERE g.during IS NULL OR s.was_during IS NULL"
		"), gone AS MATERIALIZED ("
		" SELECT u.place FROM unmatched AS u"
		" WHERE $14 AND u.old_id IS NOT NULL AND u.old_id NOT IN ("
		" SELECT p.external_id FROM problem AS p"
		" WHERE p.external_id IS NOT NULL)"
		"), verdict AS MATERIALIZED ("
		" SELECT v.gone, v.present,"
		" NOT $15 AND v.gone > 10 AND v.gone * 5 > v.present AS is_suspicious"
		" FROM (SELECT (SELECT count(*) FROM gone) AS gone,"
		" (SELECT count(*) FROM stored AS s WHERE s.is_inside) AS present) AS v"
		"), deleted AS ("
		" DELETE FROM telehealth.busy_time AS b"
		" WHERE b.ctid = ANY (ARRAY(SELECT g.place FROM gone AS g"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v)))"
		" AND b.clinic_id = $1 AND b.provider_id = $2 AND b.source = $3"
		" RETURNING 1"
		"), altered AS MATERIALIZED ("
		" SELECT k.external_id, k.recurrence_id, k.during, k.status"
		" FROM keyed AS k WHERE k.is_inside"
		" AND (k.during <> k.was_during OR k.status <> k.was_status)"
		"), updated AS ("
		" UPDATE telehealth.busy_time AS b SET during = k.during,"
		" status = k.status, seen_at = now() FROM altered AS k"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v) AND b.clinic_id = $1"
		" AND b.provider_id = $2 AND b.source = $3"
		" AND " IS_INSIDE " AND b.external_id = k.external_id"
		" AND b.recurrence_id = k.recurrence_id RETURNING 1"
		"), moved AS ("
		" INSERT INTO telehealth.busy_time (clinic_id, provider_id, source,"
		" external_id, recurrence_id, during, status)"
		" SELECT $1, $2, $3, k.external_id, k.recurrence_id, k.during, k.status"
		" FROM keyed AS k"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v)"
		" AND k.during IS NOT NULL AND NOT k.is_inside"
		" ON CONFLICT ON CONSTRAINT busy_time_pkey DO UPDATE"
		" SET during = EXCLUDED.during, status = EXCLUDED.status,"
		" seen_at = EXCLUDED.seen_at RETURNING 1"
		"), created AS ("
		" INSERT INTO telehealth.busy_time (clinic_id, provider_id, source,"
		" external_id, recurrence_id, during, status)"
		" SELECT $1, $2, $3, u.id, u.recurrence_id, u.during, u.status"
		" FROM unmatched AS u"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v) AND u.id IS NOT NULL"
		" ON CONFLICT ON CONSTRAINT busy_time_pkey DO UPDATE"
		" SET during = EXCLUDED.during, status = EXCLUDED.status,"
		" seen_at = EXCLUDED.seen_at RETURNING 1"
		"), solved AS ("
		" DELETE FROM telehealth.import_problem AS q"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v) AND q.clinic_id = $1"
		" AND q.provider_id = $2 AND q.source = $3"
		" AND q.item NOT IN (SELECT p.item FROM problem AS p)"
		"), found AS ("
		" INSERT INTO telehealth.import_problem AS q (clinic_id, provider_id,"
		" source, item, external_id, reason)"
		" SELECT $1, $2, $3, p.item, p.external_id, p.reason"
		" FROM problem AS p"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v)"
		" AND NOT EXISTS (SELECT FROM telehealth.import_problem AS o"
		" WHERE o.clinic_id = $1 AND o.provider_id = $2 AND o.source = $3"
		" AND o.item = p.item AND (o.external_id, o.reason)"
		" IS NOT DISTINCT FROM (p.external_id, p.reason))"
		" ON CONFLICT ON CONSTRAINT import_problem_pkey DO UPDATE"
		" SET external_id = EXCLUDED.external_id, reason = EXCLUDED.reason,"
		" seen_at = EXCLUDED.seen_at"
		") SELECT (SELECT count(*) FROM created),"
		" (SELECT count(*) FROM updated) + (SELECT count(*) FROM moved),"
		" CASE WHEN v.is_suspicious THEN v.gone"
		" ELSE (SELECT count(*) FROM deleted) END,"
		" v.present, v.is_suspicious FROM verdict AS v",
	.n_args = 15,
	.types = { INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			   TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID,
			   TEXTARRAYOID, BOOLOID, BOOLOID }
};

static ThPlan find_conflict = {
	.text = "SELECT v.n FROM unnest($1, $2, $3, $4) WITH ORDINALITY"
			" AS v (clinic_id, provider_id, starts_at, ends_at, n)"
			" WHERE EXISTS (SELECT FROM telehealth.busy_time AS b"
			" WHERE b.clinic_id = v.clinic_id AND b.provider_id = v.provider_id"
			" AND b.during && tstzrange(v.starts_at, v.ends_at) OFFSET 0)"
			" LIMIT 1",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID }
};

/* An event whose create is under way has no id yet: its times tell it. */
#define IS_OURS                                                                \
	"EXISTS (SELECT FROM telehealth.calendar_event AS e"                       \
	" WHERE e.clinic_id = $1 AND e.connection_id = $17"                        \
	" AND e.external_id = i.external_id) OR EXISTS ("                          \
	"SELECT FROM telehealth.calendar_event AS e"                               \
	" JOIN telehealth.appointment AS a"                                        \
	" ON a.clinic_id = e.clinic_id AND a.id = e.appointment_id"                \
	" WHERE e.clinic_id = $1 AND e.connection_id = $17"                        \
	" AND e.external_id IS NULL AND e.intent IS NOT NULL"                      \
	" AND a.starts_at = i.starts_at AND a.ends_at = i.ends_at)"

/*
 * As above; $14 with what is not named, $16 ids that are named, $17 the
 * connection. Rows are known by their ids alone: what moves keeps its id.
 * Whatever the planner expects, nothing is joined that could be compared
 * each with each.
 */
static ThPlan pull_rows = {
	.text =
		"WITH given AS MATERIALIZED ("
		" SELECT DISTINCT ON (i.external_id, i.recurrence_id)"
		" i.external_id, i.recurrence_id, i.status,"
		" tstzrange(i.starts_at, i.ends_at) AS during"
		" FROM unnest($6, $7, $8, $9, $10) WITH ORDINALITY"
		" AS i (external_id, recurrence_id, starts_at, ends_at, status, n)"
		" WHERE NOT (" IS_OURS ")"
		" ORDER BY i.external_id, i.recurrence_id, i.n DESC"
		"), named AS MATERIALIZED ("
		" SELECT DISTINCT u.id FROM unnest($16) AS u (id)"
		"), inside AS MATERIALIZED ("
		" SELECT b.external_id, b.recurrence_id, b.status, b.during, b.ctid AS place"
		" FROM telehealth.busy_time AS b"
		" WHERE $14 AND b.clinic_id = $1 AND b.provider_id = $2"
		" AND b.source = $3 AND " IS_INSIDE "), stored AS MATERIALIZED ("
		" SELECT i.* FROM inside AS i UNION ALL"
		" SELECT b.external_id, b.recurrence_id, b.status, b.during, b.ctid"
		" FROM telehealth.busy_time AS b"
		" WHERE b.clinic_id = $1 AND b.provider_id = $2 AND b.source = $3"
		" AND b.external_id = ANY (ARRAY(SELECT u.id FROM named AS u"
		" EXCEPT SELECT i.external_id FROM inside AS i))"
		"), keyed AS MATERIALIZED ("
		" SELECT external_id, recurrence_id, g.during, g.status,"
		" s.during AS was_during, s.status AS was_status, s.place"
		" FROM given AS g FULL JOIN stored AS s"
		" USING (external_id, recurrence_id)"
		"), problem AS MATERIALIZED ("
		" SELECT DISTINCT ON (p.item) p.item, p.external_id, p.reason"
		" FROM unnest($11, $12, $13) AS p (item, external_id, reason)"
		" ORDER BY p.item"
		"), gone AS MATERIALIZED ("
		" SELECT k.place FROM keyed AS k"
		" WHERE k.during IS NULL AND k.external_id NOT IN ("
		" SELECT p.external_id FROM problem AS p"
		" WHERE p.external_id IS NOT NULL)"
		"), verdict AS MATERIALIZED ("
		" SELECT v.gone, v.present,"
		" NOT $15 AND v.gone > 10 AND v.gone * 5 > v.present AS is_suspicious"
		" FROM (SELECT g.gone, CASE WHEN g.gone > 10 THEN ("
		" SELECT count(*) FROM telehealth.busy_time AS b"
		" WHERE b.clinic_id = $1 AND b.provider_id = $2 AND b.source = $3"
		" AND " IS_INSIDE ") ELSE 0 END AS present"
		" FROM (SELECT count(*) AS gone FROM gone) AS g) AS v"
		"), deleted AS ("
		" DELETE FROM telehealth.busy_time AS b"
		" WHERE b.ctid = ANY (ARRAY(SELECT g.place FROM gone AS g"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v)))"
		" AND b.clinic_id = $1 AND b.provider_id = $2 AND b.source = $3"
		" RETURNING 1"
		"), changed AS MATERIALIZED ("
		" SELECT k.external_id, k.recurrence_id, k.during, k.status,"
		" k.was_during IS NULL AS is_new FROM keyed AS k"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v)"
		" AND k.during IS NOT NULL AND (k.was_during IS NULL"
		" OR k.during <> k.was_during OR k.status <> k.was_status)"
		"), written AS ("
		" INSERT INTO telehealth.busy_time (clinic_id, provider_id, source,"
		" external_id, recurrence_id, during, status)"
		" SELECT $1, $2, $3, c.external_id, c.recurrence_id, c.during, c.status"
		" FROM changed AS c"
		" ON CONFLICT ON CONSTRAINT busy_time_pkey DO UPDATE"
		" SET during = EXCLUDED.during, status = EXCLUDED.status,"
		" seen_at = EXCLUDED.seen_at"
		"), solved AS ("
		" DELETE FROM telehealth.import_problem AS q"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v)"
		" AND q.clinic_id = $1 AND q.provider_id = $2 AND q.source = $3"
		" AND ($14 OR q.external_id IN (SELECT u.id FROM named AS u))"
		" AND q.item NOT IN (SELECT p.item FROM problem AS p)"
		"), found AS ("
		" INSERT INTO telehealth.import_problem AS q (clinic_id, provider_id,"
		" source, item, external_id, reason)"
		" SELECT $1, $2, $3, p.item, p.external_id, p.reason"
		" FROM problem AS p"
		" WHERE NOT (SELECT v.is_suspicious FROM verdict AS v)"
		" AND NOT EXISTS (SELECT FROM telehealth.import_problem AS o"
		" WHERE o.clinic_id = $1 AND o.provider_id = $2 AND o.source = $3"
		" AND o.item = p.item AND (o.external_id, o.reason)"
		" IS NOT DISTINCT FROM (p.external_id, p.reason))"
		" ON CONFLICT ON CONSTRAINT import_problem_pkey DO UPDATE"
		" SET external_id = EXCLUDED.external_id, reason = EXCLUDED.reason,"
		" seen_at = EXCLUDED.seen_at"
		") SELECT (SELECT count(*) FROM changed AS c WHERE c.is_new),"
		" (SELECT count(*) FROM changed AS c WHERE NOT c.is_new),"
		" CASE WHEN v.is_suspicious THEN v.gone"
		" ELSE (SELECT count(*) FROM deleted) END,"
		" v.present, v.is_suspicious FROM verdict AS v",
	.n_args = 17,
	.types = { INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			   TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
			   TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID,
			   TEXTARRAYOID, BOOLOID, BOOLOID, TEXTARRAYOID, INT8OID }
};

char *
th_busy_timezone(int64 clinic_id, int64 provider_id)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(provider_id) };
	char *result;

	th_store_connect();
	th_plan_run(&find_timezone, values, NULL, false);
	result = th_row_text(0, 1, context);
	th_store_finish();
	return result;
}

/*
 * One of each of "n" structs of that size. Not th_array_timestamptz(): every
 * instant is one here, also that of 2000.
 */
static Datum
array_of_instants(const void *items, int n, size_t size, size_t offset)
{
	Datum *datums = palloc_array(Datum, Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = TimestampTzGetDatum(
			*(const TimestampTz *) ((const char *) items + i * size + offset));
	return PointerGetDatum(construct_array(datums, n, TIMESTAMPTZOID,
										   sizeof(TimestampTz), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

static void
bind_items(const ThBusyImport *import, Datum *values)
{
	int n = import->n_items;
	const char **ids = palloc_array(const char *, Max(n, 1));
	const char **statuses = palloc_array(const char *, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		ids[i] = import->items[i].external_id;
		statuses[i] = import->items[i].is_tentative ? "TENTATIVE" : "BUSY";
	}
	values[0] = th_array_text(ids, n);
	values[1] = array_of_instants(import->items, n, sizeof(ThBusyItem),
								  offsetof(ThBusyItem, recurrence_id));
	values[2] = array_of_instants(import->items, n, sizeof(ThBusyItem),
								  offsetof(ThBusyItem, starts_at));
	values[3] = array_of_instants(import->items, n, sizeof(ThBusyItem),
								  offsetof(ThBusyItem, ends_at));
	values[4] = th_array_text(statuses, n);
}

static void
bind_problems(const ThBusyImport *import, Datum *values)
{
	int n = import->n_problems;
	int32 *items = palloc_array(int32, Max(n, 1));
	const char **ids = palloc_array(const char *, Max(n, 1));
	const char **reasons = palloc_array(const char *, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		items[i] = import->problems[i].item;
		ids[i] = import->problems[i].external_id;
		reasons[i] = import->problems[i].reason;
	}
	values[0] = th_array_int32(items, n);
	values[1] = th_array_text(ids, n);
	values[2] = th_array_text(reasons, n);
}

/* The next import of the same source sees what this one leaves. */
static void
lock_source(const ThBusyImport *import)
{
	StringInfoData key;
	uint64 hash;

	initStringInfo(&key);
	appendStringInfo(&key,
					 "telehealth import " INT64_FORMAT "/" INT64_FORMAT "/%s",
					 import->clinic_id, import->provider_id, import->source);
	hash = DatumGetUInt64(
		hash_any_extended((unsigned char *) key.data, key.len, 0));
	DirectFunctionCall1(pg_advisory_xact_lock_int8,
						Int64GetDatum((int64) hash));
}

static void
set_for_now(const char *setting, const char *value)
{
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The planner expects ten rows of an array, and would compare each of twenty
 * thousand with each. What it then takes for expensive it would compile, for
 * longer than it runs.
 */
static void
run_import(ThPlan *plan, Datum *values, ThBusyCounts *counts)
{
	int level = NewGUCNestLevel();

	set_for_now("enable_nestloop", "off");
	set_for_now("enable_seqscan", "off");
	set_for_now("jit", "off");
	th_plan_run(plan, values, NULL, false);
	AtEOXact_GUC(true, level);
	counts->created = th_row_int64(0, 1);
	counts->updated = th_row_int64(0, 2);
	counts->deleted = th_row_int64(0, 3);
	counts->present = th_row_int64(0, 4);
	counts->is_suspicious = th_row_bool(0, 5);
}

static void
bind_import(const ThBusyImport *import, Datum *values)
{
	values[0] = Int64GetDatum(import->clinic_id);
	values[1] = Int64GetDatum(import->provider_id);
	values[2] = CStringGetTextDatum(import->source);
	values[3] = TimestampTzGetDatum(import->window_start);
	values[4] = TimestampTzGetDatum(import->window_end);
	bind_items(import, &values[5]);
	bind_problems(import, &values[10]);
	values[13] = BoolGetDatum(import->may_remove);
	values[14] = BoolGetDatum(import->may_remove_many);
}

void
th_busy_import(const ThBusyImport *import, ThBusyCounts *counts)
{
	Datum values[15];

	lock_source(import);
	th_store_connect();
	bind_import(import, values);
	run_import(&import_rows, values, counts);
	th_store_finish();
}

void
th_busy_pull(const ThBusyPull *pull, ThBusyCounts *counts)
{
	Datum values[17];

	memset(counts, 0, sizeof(*counts));
	if (!pull->import.may_remove && pull->n_named == 0 &&
		pull->import.n_problems == 0)
		return;
	th_store_connect();
	bind_import(&pull->import, values);
	values[15] = th_array_text(pull->named, pull->n_named);
	values[16] = Int64GetDatum(pull->connection_id);
	run_import(&pull_rows, values, counts);
	th_store_finish();
}

const ThBusyBooking *
th_busy_find_conflict(const ThBusyBooking *bookings, int n)
{
	const ThBusyBooking *found = NULL;
	Datum values[4];
	int64 *clinics;
	int64 *providers;

	th_store_connect();
	TH_COLLECT(clinics, int64, bookings[i].clinic_id);
	TH_COLLECT(providers, int64, bookings[i].provider_id);
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(providers, n);
	values[2] = array_of_instants(bookings, n, sizeof(ThBusyBooking),
								  offsetof(ThBusyBooking, starts_at));
	values[3] = array_of_instants(bookings, n, sizeof(ThBusyBooking),
								  offsetof(ThBusyBooking, ends_at));
	th_plan_run(&find_conflict, values, NULL, false);
	if (SPI_processed > 0)
		found = &bookings[th_row_int64(0, 1) - 1];
	th_store_finish();
	return found;
}
