/*
 * webhook_insert.c
 *	  New rows of telehealth.webhook_event, each with its session.
 */
#include "postgres.h"

#include <string.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "store/plans.h"
#include "store/webhook.h"

/*
 * Sessions that have one of these meetings: of each account the one that
 * counts, the live one before others. One without an account is of the mock.
 */
static ThPlan find_sessions = {
	.text =
		"SELECT DISTINCT ON (t.meeting_id, t.account_clinic_id, t.account_id)"
		" t.meeting_id, t.clinic_id, t.id, t.account_clinic_id,"
		" t.account_id, t.retired_at FROM telehealth.session AS t"
		" WHERE t.meeting_id = ANY ($1)"
		" AND (t.account_id IS NOT NULL OR t.platform = 'mock')"
		" ORDER BY t.meeting_id, t.account_clinic_id, t.account_id,"
		" t.retired_at DESC NULLS FIRST, t.id DESC",
	.n_args = 1,
	.types = { TEXTARRAYOID }
};

/* In the order of the relation "told", and so of the unique key. */
#define INSERT_EVENTS                                                          \
	"INSERT INTO telehealth.webhook_event AS e (clinic_id, source,"            \
	" event_name, event_at, account_ref, account_clinic_id, account_id,"       \
	" meeting_id, meeting_uuid, session_id, participant_id,"                   \
	" participant_name, latency_ms, interpreter_requested, raw,"               \
	" business_key, received_at, outcome, processed_at, signers)"              \
	" SELECT t.clinic_id, t.source, t.event_name, t.event_at,"                 \
	" t.account_ref, t.account_clinic_id, t.account_id, t.meeting_id,"         \
	" t.meeting_uuid, t.session_id, t.participant_id,"                         \
	" t.participant_name, t.latency_ms, t.interpreter_requested, t.raw,"       \
	" t.business_key, t.received_at, t.outcome, t.processed_at,"               \
	" t.signers::text[] FROM told AS t"

static ThPlan insert_new = { .text = INSERT_EVENTS };

/*
 * What is there is told from what is new by the snapshot first: a conflict with
 * a row that somebody is changing would wait for him. OFFSET 0: row by row,
 * through the unique index.
 */
static ThPlan insert_unknown = {
	.text = INSERT_EVENTS
	" WHERE NOT EXISTS (SELECT FROM telehealth.webhook_event AS k"
	" WHERE k.clinic_id = t.clinic_id AND k.business_key = t.business_key"
	" AND k.source = t.source OFFSET 0)"
	" ON CONFLICT ON CONSTRAINT webhook_event_business_key_key DO NOTHING"
	" RETURNING e.clinic_id, e.source, e.business_key"
};

/*
 * So many rows are taken for new at first, since asking before each whether it
 * is known costs as much again; if one was known, so many batches are not.
 */
#define LEAST_HOPEFUL 8
#define CAREFUL_BATCHES 64

typedef enum ToldColumn
{
	TOLD_CLINIC_ID,
	TOLD_SOURCE,
	TOLD_EVENT_NAME,
	TOLD_EVENT_AT,
	TOLD_ACCOUNT_REF,
	TOLD_ACCOUNT_CLINIC_ID,
	TOLD_ACCOUNT_ID,
	TOLD_MEETING_ID,
	TOLD_MEETING_UUID,
	TOLD_SESSION_ID,
	TOLD_PARTICIPANT_ID,
	TOLD_PARTICIPANT_NAME,
	TOLD_LATENCY_MS,
	TOLD_INTERPRETER_REQUESTED,
	TOLD_RAW,
	TOLD_BUSINESS_KEY,
	TOLD_RECEIVED_AT,
	TOLD_OUTCOME,
	TOLD_PROCESSED_AT,
	TOLD_SIGNERS
} ToldColumn;

#define TOLD_COLUMN_COUNT (TOLD_SIGNERS + 1)

static const struct
{
	const char *name;
	Oid type;
} columns[TOLD_COLUMN_COUNT] = {
	[TOLD_CLINIC_ID] = { "clinic_id", INT8OID },
	[TOLD_SOURCE] = { "source", TEXTOID },
	[TOLD_EVENT_NAME] = { "event_name", TEXTOID },
	[TOLD_EVENT_AT] = { "event_at", TIMESTAMPTZOID },
	[TOLD_ACCOUNT_REF] = { "account_ref", TEXTOID },
	[TOLD_ACCOUNT_CLINIC_ID] = { "account_clinic_id", INT8OID },
	[TOLD_ACCOUNT_ID] = { "account_id", INT8OID },
	[TOLD_MEETING_ID] = { "meeting_id", TEXTOID },
	[TOLD_MEETING_UUID] = { "meeting_uuid", TEXTOID },
	[TOLD_SESSION_ID] = { "session_id", INT8OID },
	[TOLD_PARTICIPANT_ID] = { "participant_id", TEXTOID },
	[TOLD_PARTICIPANT_NAME] = { "participant_name", TEXTOID },
	[TOLD_LATENCY_MS] = { "latency_ms", INT4OID },
	[TOLD_INTERPRETER_REQUESTED] = { "interpreter_requested", BOOLOID },
	[TOLD_RAW] = { "raw", JSONBOID },
	[TOLD_BUSINESS_KEY] = { "business_key", BYTEAOID },
	[TOLD_RECEIVED_AT] = { "received_at", TIMESTAMPTZOID },
	[TOLD_OUTCOME] = { "outcome", TEXTOID },
	[TOLD_PROCESSED_AT] = { "processed_at", TIMESTAMPTZOID },
	[TOLD_SIGNERS] = { "signers", TEXTOID },
};

/* A session that may be meant, and the account that may speak of it. */
typedef struct Found
{
	const char *meeting_id;
	int64 clinic_id;
	int64 session_id;
	int64 account_clinic_id;
	int64 account_id; /* 0: of the mock, which has none */
	TimestampTz retired_at;
} Found;

/* ---- whose meeting it is ---- */

static int
compare_found(const void *a, const void *b)
{
	return strcmp(((const Found *) a)->meeting_id,
				  ((const Found *) b)->meeting_id);
}

/* By meeting. Memory: current context, which is that of the statements. */
static Found *
find(ThWebhookRow **rows, int n, int *n_found)
{
	const char **meetings = palloc_array(const char *, n);
	int n_meetings = 0;
	Found *found;
	Datum value;

	*n_found = 0;
	for (int i = 0; i < n; i++)
		if (rows[i]->accounts != NULL && rows[i]->meeting_id != NULL)
			meetings[n_meetings++] = rows[i]->meeting_id;
	if (n_meetings == 0)
		return NULL;
	value = th_array_text(meetings, n_meetings);
	th_plan_run(&find_sessions, &value, NULL, false);
	*n_found = (int) SPI_processed;
	found = palloc_array(Found, Max(*n_found, 1));
	for (int i = 0; i < *n_found; i++)
	{
		found[i].meeting_id = th_row_text(i, 1, CurrentMemoryContext);
		found[i].clinic_id = th_row_int64(i, 2);
		found[i].session_id = th_row_int64(i, 3);
		found[i].account_clinic_id = th_row_int64(i, 4);
		found[i].account_id = th_row_int64(i, 5);
		found[i].retired_at = th_row_timestamptz(i, 6);
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(found, *n_found, sizeof(Found), compare_found);
	return found;
}

/* Whether the account is one of "accounts". */
static bool
is_signer(const Found *found, const char *accounts)
{
	char name[64];
	size_t length = (size_t) snprintf(name, sizeof(name),
									  INT64_FORMAT "/" INT64_FORMAT,
									  found->account_clinic_id,
									  found->account_id);

	if (found->account_id == 0)
		return true;
	for (const char *at = accounts; (at = strstr(at, name)) != NULL; at++)
		if ((at[-1] == '{' || at[-1] == ',') &&
			(at[length] == '}' || at[length] == ','))
			return true;
	return false;
}

/* The live one, else the one that was last, else the newest. */
static bool
is_better(const Found *a, const Found *b)
{
	if (b == NULL || a->retired_at == b->retired_at)
		return b == NULL || a->session_id > b->session_id;
	return a->retired_at == 0 ||
		   (b->retired_at != 0 && a->retired_at > b->retired_at);
}

/* The session whose meeting it is: of an account whose secret signed. */
static void
match(ThWebhookRow *row, const Found *found, int n)
{
	Found key = { .meeting_id = row->meeting_id };
	const Found *best = NULL;
	const Found *at;

	if (n == 0 || row->accounts == NULL || row->meeting_id == NULL)
		return;
	at = bsearch(&key, found, n, sizeof(Found), compare_found);
	while (at != NULL && at > found && compare_found(at - 1, &key) == 0)
		at--;
	for (; at != NULL && at < found + n && compare_found(at, &key) == 0; at++)
		if (is_signer(at, row->accounts) && is_better(at, best))
			best = at;
	if (best == NULL)
		return;
	row->session_clinic_id = row->clinic_id = best->clinic_id;
	row->session_id = best->session_id;
	if (best->account_id != 0)
	{
		row->account_clinic_id = best->account_clinic_id;
		row->account_id = best->account_id;
	}
}

/* ---- writing ---- */

static int
compare_keys(const ThWebhookRow *a, int64 clinic_id, const char *source,
			 size_t source_length, const bytea *key)
{
	size_t length = VARSIZE_ANY_EXHDR(a->business_key);
	int order;

	if (a->clinic_id != clinic_id)
		return a->clinic_id < clinic_id ? -1 : 1;
	order = memcmp(VARDATA_ANY(a->business_key), VARDATA_ANY(key),
				   Min(length, VARSIZE_ANY_EXHDR(key)));
	if (order == 0)
		order = (int) length - (int) VARSIZE_ANY_EXHDR(key);
	if (order != 0)
		return order;
	length = strlen(a->source);
	order = memcmp(a->source, source, Min(length, source_length));
	return order != 0 ? order : (int) length - (int) source_length;
}

static int
compare_rows(const void *a, const void *b)
{
	const ThWebhookRow *y = *(ThWebhookRow *const *) b;

	return compare_keys(*(ThWebhookRow *const *) a, y->clinic_id, y->source,
						strlen(y->source), y->business_key);
}

static void
put_text(Datum *values, bool *nulls, ToldColumn column, const char *text)
{
	nulls[column] = text == NULL;
	if (text != NULL)
		values[column] = CStringGetTextDatum(text);
}

static void
put_number(Datum *values, bool *nulls, ToldColumn column, int64 number,
		   bool is_null)
{
	nulls[column] = is_null;
	values[column] = Int64GetDatum(number);
}

static void
put_time(Datum *values, bool *nulls, ToldColumn column, TimestampTz time)
{
	nulls[column] = time == 0;
	values[column] = TimestampTzGetDatum(time);
}

static void
put_row(Tuplestorestate *store, TupleDesc shape, const ThWebhookRow *row)
{
	Datum v[TOLD_COLUMN_COUNT];
	bool nulls[TOLD_COLUMN_COUNT] = { false };
	bool is_found = row->session_id != 0;
	bool waits = !is_found && strcmp(row->outcome, "unmatched") == 0;
	bool is_of_several = row->accounts != NULL &&
						 strchr(row->accounts, ',') != NULL;

	put_number(v, nulls, TOLD_CLINIC_ID, row->clinic_id, false);
	put_text(v, nulls, TOLD_SOURCE, row->source);
	put_text(v, nulls, TOLD_EVENT_NAME, row->event_name);
	put_time(v, nulls, TOLD_EVENT_AT, row->event_at);
	put_text(v, nulls, TOLD_ACCOUNT_REF, row->account_ref);
	put_number(v, nulls, TOLD_ACCOUNT_CLINIC_ID, row->account_clinic_id,
			   row->account_id == 0);
	put_number(v, nulls, TOLD_ACCOUNT_ID, row->account_id,
			   row->account_id == 0);
	put_text(v, nulls, TOLD_MEETING_ID, row->meeting_id);
	put_text(v, nulls, TOLD_MEETING_UUID, row->meeting_uuid);
	put_number(v, nulls, TOLD_SESSION_ID, row->session_id, !is_found);
	put_text(v, nulls, TOLD_PARTICIPANT_ID, row->participant_id);
	put_text(v, nulls, TOLD_PARTICIPANT_NAME, row->participant_name);
	nulls[TOLD_LATENCY_MS] = row->latency_ms == -1;
	v[TOLD_LATENCY_MS] = Int32GetDatum(row->latency_ms);
	nulls[TOLD_INTERPRETER_REQUESTED] = row->interpreter_requested == -1;
	v[TOLD_INTERPRETER_REQUESTED] = BoolGetDatum(row->interpreter_requested !=
												 0);
	v[TOLD_RAW] = JsonbPGetDatum(row->raw);
	v[TOLD_BUSINESS_KEY] = PointerGetDatum(row->business_key);
	put_time(v, nulls, TOLD_RECEIVED_AT, row->received_at);
	put_text(v, nulls, TOLD_OUTCOME, is_found ? NULL : row->outcome);
	put_time(v, nulls, TOLD_PROCESSED_AT,
			 is_found || waits ? 0 : row->received_at);
	put_text(v, nulls, TOLD_SIGNERS,
			 !is_found && is_of_several ? row->accounts : NULL);
	tuplestore_putvalues(store, shape, v, nulls);
}

/* Made once a process. */
static TupleDesc
told_shape(void)
{
	static TupleDesc shape = NULL;
	MemoryContext old;
	TupleDesc made;

	if (shape != NULL)
		return shape;
	old = MemoryContextSwitchTo(TopMemoryContext);
	made = CreateTemplateTupleDesc(TOLD_COLUMN_COUNT);
	for (int i = 0; i < TOLD_COLUMN_COUNT; i++)
		TupleDescInitEntry(made, (AttrNumber) (i + 1), columns[i].name,
						   columns[i].type, -1, 0);
	MemoryContextSwitchTo(old);
	shape = made;
	return shape;
}

/* The rows as the relation "told" of the statements that follow; to be ended after them. */
static Tuplestorestate *
present(ThWebhookRow **rows, int n)
{
	EphemeralNamedRelation told = palloc0(sizeof(EphemeralNamedRelationData));
	TupleDesc shape = told_shape();
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);

	for (int i = 0; i < n; i++)
		put_row(store, shape, rows[i]);
	told->md.name = pstrdup("told");
	told->md.reliddesc = InvalidOid;
	told->md.tupdesc = shape;
	told->md.enrtype = ENR_NAMED_TUPLESTORE;
	told->md.enrtuples = n;
	told->reldata = store;
	if (SPI_register_relation(told) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not show the rows to the statement");
	return store;
}

static bool
is_returned(const ThWebhookRow *row, uint64 place)
{
	bool is_null;
	text *source = DatumGetTextPP(th_row_datum(place, 2, &is_null));
	bytea *key = DatumGetByteaPP(th_row_datum(place, 3, &is_null));

	return compare_keys(row, th_row_int64(place, 1), VARDATA_ANY(source),
						VARSIZE_ANY_EXHDR(source), key) == 0;
}

/* Those that are not the same as one before, sorted; returns their number. */
static int
sort_distinct(ThWebhookRow **rows, int n, ThWebhookRow **sorted)
{
	int kept = 0;

	for (int i = 0; i < n; i++)
		sorted[i] = rows[i];
	qsort(sorted, n, sizeof(ThWebhookRow *), compare_rows);
	for (int i = 1; i < n; i++)
		if (compare_rows(&sorted[kept], &sorted[i]) != 0)
			sorted[++kept] = sorted[i];
	return kept + 1;
}

/* What "told" shows, all of it or, if one is known already, nothing: false. */
static bool
try_new(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool is_done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		th_plan_run(&insert_new, NULL, NULL, false);
		ReleaseCurrentSubTransaction();
		is_done = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			ReThrowError(error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return is_done;
}

/* What "told" shows: these rows, sorted. */
static void
insert_told(ThWebhookRow **sorted, int n)
{
	static int careful_batches = 0;
	bool is_hopeful = n >= LEAST_HOPEFUL && careful_batches == 0;
	uint64 place = 0;

	if (is_hopeful && try_new())
	{
		for (int i = 0; i < n; i++)
			sorted[i]->is_inserted = true;
		return;
	}
	if (is_hopeful)
		careful_batches = CAREFUL_BATCHES;
	else if (careful_batches > 0)
		careful_batches--;
	th_plan_run(&insert_unknown, NULL, NULL, false);
	for (int i = 0; i < n; i++)
	{
		sorted[i]->is_inserted = place < SPI_processed &&
								 is_returned(sorted[i], place);
		place += sorted[i]->is_inserted ? 1 : 0;
	}
}

void
th_webhook_insert(ThWebhookRow **rows, int n)
{
	ThWebhookRow **sorted;
	Tuplestorestate *told;
	Found *found;
	int n_found;

	if (n == 0)
		return;
	th_store_connect();
	sorted = palloc_array(ThWebhookRow *, n);
	found = find(rows, n, &n_found);
	for (int i = 0; i < n; i++)
	{
		match(rows[i], found, n_found);
		rows[i]->is_inserted = false;
	}

	/* so that two who store the same do not wait for each other both */
	n = sort_distinct(rows, n, sorted);
	told = present(sorted, n);
	insert_told(sorted, n);
	tuplestore_end(told);
	th_store_finish();
}
