/*
 * feed.c
 *	  Rows of telehealth.feed, and the visits that a feed shows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/feed.h"
#include "store/plans.h"

static ThPlan find_feed = {
	.text =
		"SELECT f.clinic_id, f.id, f.provider_id, f.name, f.kind = 'shared',"
		" f.include_patient_names, f.include_meeting_links,"
		" f.sync_range_days, COALESCE(p.timezone, c.timezone, 'UTC')"
		" FROM telehealth.feed AS f"
		" LEFT JOIN telehealth.provider AS p"
		" ON p.clinic_id = f.clinic_id AND p.id = f.provider_id"
		" LEFT JOIN telehealth.clinic AS c ON c.id = f.clinic_id"
		" WHERE f.token_hash = $1 AND f.is_active LIMIT 1",
	.n_args = 1,
	.types = { BYTEAOID },
};

static ThPlan insert_feed = {
	.text = "INSERT INTO telehealth.feed (clinic_id, provider_id, name, kind,"
			" include_patient_names, include_meeting_links, sync_range_days,"
			" token_hash)"
			" VALUES ($1, $2, $3, CASE WHEN $4 THEN 'shared' ELSE 'owner' END,"
			" $5, $6, $7, $8) RETURNING id",
	.n_args = 8,
	.types = { INT8OID, INT8OID, TEXTOID, BOOLOID, BOOLOID, BOOLOID, INT4OID,
			   BYTEAOID },
};

static ThPlan rotate_feed = {
	.text = "UPDATE telehealth.feed AS f"
			" SET token_hash = CASE WHEN f.is_active THEN $3"
			" ELSE f.token_hash END"
			" WHERE f.clinic_id = $1 AND f.id = $2 RETURNING f.is_active",
	.n_args = 3,
	.types = { INT8OID, INT8OID, BYTEAOID },
};

static ThPlan revoke_feed = {
	.text = "WITH held AS (SELECT f.clinic_id, f.id, f.is_active"
			" FROM telehealth.feed AS f"
			" WHERE f.clinic_id = $1 AND f.id = $2 FOR NO KEY UPDATE),"
			" gone AS (UPDATE telehealth.feed AS f SET is_active = false"
			" FROM held AS h WHERE h.is_active"
			" AND f.clinic_id = h.clinic_id AND f.id = h.id)"
			" SELECT h.is_active FROM held AS h",
	.n_args = 2,
	.types = { INT8OID, INT8OID },
};

/*
 * A visit lasts a day at most, so that its start bounds what is read. Names
 * are joined only where they are shown.
 */
#define OF_FEED                                                                \
	" WHERE a.clinic_id = $1 AND a.provider_id = $2"                           \
	" AND a.starts_at > $3 - interval '24 hours' AND a.starts_at < $4"         \
	" AND a.ends_at > $3"                                                      \
	" AND (a.status <> 'CANCELLED'"                                            \
	" OR COALESCE(a.cancelled_at, a.created_at) > $5)"                         \
	" AND (NOT $6 OR a.status NOT IN ('CANCELLED', 'NO_SHOW'))"                \
	" ORDER BY a.starts_at, a.id"
#define PATIENT                                                                \
	" LEFT JOIN telehealth.patient AS p"                                       \
	" ON p.clinic_id = a.clinic_id AND p.id = a.patient_id"
#define VISITS(name, join)                                                        \
	"SELECT a.id, CASE a.type WHEN 'VIDEO' THEN 1 WHEN 'PHONE' THEN 2 ELSE 0"     \
	" END, CASE a.status WHEN 'CANCELLED' THEN 2 WHEN 'NO_SHOW' THEN 3"           \
	" WHEN 'PENDING' THEN 1 ELSE 0 END, a.starts_at, a.ends_at, a.created_at,"    \
	" a.updated_at, a.sequence, a.title, a.reason, a.location, a.join_url, " name \
	" FROM telehealth.appointment AS a" join OF_FEED
/* Which versions of rows these are, and when they are shown no more. */
#define VERSIONS(patient, join)                                                \
	"SELECT a.ctid, a.xmin, " patient ", a.ends_at,"                           \
	" CASE WHEN a.status = 'CANCELLED'"                                        \
	" THEN COALESCE(a.cancelled_at, a.created_at) END"                         \
	" FROM telehealth.appointment AS a" join OF_FEED
#define RANGE_TYPES                                                            \
	{                                                                          \
		INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,      \
			BOOLOID                                                            \
	}

static ThPlan list_visits = {
	.text = VISITS("NULL::text", ""),
	.n_args = 6,
	.types = RANGE_TYPES,
};

static ThPlan list_named_visits = {
	.text = VISITS("p.display_name", PATIENT),
	.n_args = 6,
	.types = RANGE_TYPES,
};

static ThPlan list_versions = {
	.text = VERSIONS("NULL::tid, NULL::xid", ""),
	.n_args = 6,
	.types = RANGE_TYPES,
};

static ThPlan list_named_versions = {
	.text = VERSIONS("p.ctid, p.xmin", PATIENT),
	.n_args = 6,
	.types = RANGE_TYPES,
};

static ThPlan next_visit = {
	.text = "SELECT a.starts_at FROM telehealth.appointment AS a"
			" WHERE a.clinic_id = $1 AND a.provider_id = $2"
			" AND a.starts_at >= $3 ORDER BY a.starts_at LIMIT 1",
	.n_args = 3,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID },
};

static ThPlan add_counts = {
	.text = "WITH counted AS (SELECT * FROM unnest($1, $2, $3, $4)"
			" WITH ORDINALITY AS u (clinic_id, id, n, last_at, place)),"
			" held AS (SELECT f.clinic_id, f.id FROM telehealth.feed AS f"
			" JOIN counted AS u ON u.clinic_id = f.clinic_id AND u.id = f.id"
			" FOR NO KEY UPDATE OF f SKIP LOCKED)"
			" UPDATE telehealth.feed AS f"
			" SET access_count = f.access_count + u.n,"
			" last_accessed_at = GREATEST(f.last_accessed_at, u.last_at)"
			" FROM held AS h, counted AS u"
			" WHERE f.clinic_id = h.clinic_id AND f.id = h.id"
			" AND u.clinic_id = h.clinic_id AND u.id = h.id RETURNING u.place",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID },
};

static Datum
hash_datum(const unsigned char *hash)
{
	bytea *value = palloc(VARHDRSZ + TH_FEED_HASH_BYTES);

	SET_VARSIZE(value, VARHDRSZ + TH_FEED_HASH_BYTES);
	memcpy(VARDATA(value), hash, TH_FEED_HASH_BYTES);
	return PointerGetDatum(value);
}

bool
th_feed_find(const unsigned char hash[TH_FEED_HASH_BYTES], ThFeed *out)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[1];
	bool is_found;

	memset(out, 0, sizeof(*out));
	th_store_connect();
	values[0] = hash_datum(hash);
	th_plan_run(&find_feed, values, NULL, true);
	is_found = SPI_processed > 0;
	if (is_found)
	{
		out->clinic_id = th_row_int64(0, 1);
		out->id = th_row_int64(0, 2);
		out->provider_id = th_row_int64(0, 3);
		out->name = th_row_text(0, 4, context);
		out->is_shared = th_row_bool(0, 5);
		out->include_patient_names = th_row_bool(0, 6);
		out->include_meeting_links = th_row_bool(0, 7);
		out->sync_range_days = th_row_int32(0, 8);
		out->timezone = th_row_text(0, 9, context);
	}
	th_store_finish();
	return is_found;
}

int64
th_feed_insert(const ThFeed *feed, const unsigned char hash[TH_FEED_HASH_BYTES])
{
	Datum values[8];
	int64 id;

	th_store_connect();
	values[0] = Int64GetDatum(feed->clinic_id);
	values[1] = Int64GetDatum(feed->provider_id);
	values[2] = CStringGetTextDatum(feed->name);
	values[3] = BoolGetDatum(feed->is_shared);
	values[4] = BoolGetDatum(feed->include_patient_names);
	values[5] = BoolGetDatum(feed->include_meeting_links);
	values[6] = Int32GetDatum(feed->sync_range_days);
	values[7] = hash_datum(hash);
	th_plan_run(&insert_feed, values, NULL, false);
	id = th_row_int64(0, 1);
	th_store_finish();
	return id;
}

bool
th_feed_rotate(int64 clinic_id, int64 id,
			   const unsigned char hash[TH_FEED_HASH_BYTES], bool *is_active)
{
	Datum values[3];
	bool is_found;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = hash_datum(hash);
	th_plan_run(&rotate_feed, values, NULL, false);
	is_found = SPI_processed > 0;
	*is_active = is_found && th_row_bool(0, 1);
	th_store_finish();
	return is_found;
}

bool
th_feed_revoke(int64 clinic_id, int64 id, bool *is_changed)
{
	Datum values[2];
	bool is_found;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	th_plan_run(&revoke_feed, values, NULL, false);
	is_found = SPI_processed > 0;
	*is_changed = is_found && th_row_bool(0, 1);
	th_store_finish();
	return is_found;
}

typedef struct Visits
{
	void (*look)(const ThFeedVisit *visit, void *arg);
	void *arg;
} Visits;

static char *
text_at(const TupleTableSlot *row, int column)
{
	return row->tts_isnull[column]
			   ? NULL
			   : TextDatumGetCString(row->tts_values[column]);
}

static void
read_visit(TupleTableSlot *row, void *arg)
{
	const Visits *visits = arg;
	const Datum *values = row->tts_values;
	ThFeedVisit visit;

	visit.id = DatumGetInt64(values[0]);
	visit.type = (ThFeedType) DatumGetInt32(values[1]);
	visit.state = (ThFeedState) DatumGetInt32(values[2]);
	visit.starts_at = DatumGetTimestampTz(values[3]);
	visit.ends_at = DatumGetTimestampTz(values[4]);
	visit.created_at = DatumGetTimestampTz(values[5]);
	visit.updated_at = DatumGetTimestampTz(values[6]);
	visit.sequence = DatumGetInt32(values[7]);
	visit.title = text_at(row, 8);
	visit.reason = text_at(row, 9);
	visit.location = text_at(row, 10);
	visit.join_url = text_at(row, 11);
	visit.patient_name = text_at(row, 12);
	visits->look(&visit, visits->arg);
}

static void
fill_range(const ThFeed *feed, const ThFeedRange *range, Datum values[6])
{
	values[0] = Int64GetDatum(feed->clinic_id);
	values[1] = Int64GetDatum(feed->provider_id);
	values[2] = TimestampTzGetDatum(range->from);
	values[3] = TimestampTzGetDatum(range->to);
	values[4] = TimestampTzGetDatum(range->cancelled_after);
	values[5] = BoolGetDatum(feed->is_shared);
}

void
th_feed_visits(const ThFeed *feed, const ThFeedRange *range,
			   void (*look)(const ThFeedVisit *visit, void *arg), void *arg)
{
	Visits visits = { look, arg };
	Datum values[6];

	th_store_connect();
	fill_range(feed, range, values);
	th_plan_each(feed->include_patient_names ? &list_named_visits
											 : &list_visits,
				 values, read_visit, &visits);
	th_store_finish();
}

static void
read_row_version(const TupleTableSlot *row, int column, ThRowVersion *out)
{
	ItemPointer pointer;

	if (row->tts_isnull[column])
		return;
	pointer = (ItemPointer) DatumGetPointer(row->tts_values[column]);
	out->block = ItemPointerGetBlockNumberNoCheck(pointer);
	out->offset = ItemPointerGetOffsetNumberNoCheck(pointer);
	out->xmin = DatumGetTransactionId(row->tts_values[column + 1]);
}

typedef struct Versions
{
	void (*look)(const ThFeedVersion *version, void *arg);
	void *arg;
} Versions;

static void
read_version(TupleTableSlot *row, void *arg)
{
	const Versions *versions = arg;
	ThFeedVersion version = { 0 };

	read_row_version(row, 0, &version.visit);
	read_row_version(row, 2, &version.patient);
	version.ends_at = DatumGetTimestampTz(row->tts_values[4]);
	if (!row->tts_isnull[5])
		version.cancelled_at = DatumGetTimestampTz(row->tts_values[5]);
	versions->look(&version, versions->arg);
}

TimestampTz
th_feed_versions(const ThFeed *feed, const ThFeedRange *range,
				 void (*look)(const ThFeedVersion *version, void *arg),
				 void *arg)
{
	Versions versions = { look, arg };
	TimestampTz next = 0;
	Datum values[6];

	th_store_connect();
	fill_range(feed, range, values);
	th_plan_each(feed->include_patient_names ? &list_named_versions
											 : &list_versions,
				 values, read_version, &versions);
	values[2] = TimestampTzGetDatum(range->to);
	th_plan_run(&next_visit, values, NULL, true);
	if (SPI_processed > 0)
		next = th_row_timestamptz(0, 1);
	th_store_finish();
	return next;
}

void
th_feed_count(const int64 *clinics, const int64 *ids, const int64 *counts,
			  const TimestampTz *last, int n, bool *is_written)
{
	Datum values[4];

	memset(is_written, 0, sizeof(bool) * n);
	if (n == 0)
		return;
	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(ids, n);
	values[2] = th_array_int64(counts, n);
	values[3] = th_array_timestamptz(last, n);
	th_plan_run(&add_counts, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		is_written[th_row_int64(row, 1) - 1] = true;
	th_store_finish();
}
