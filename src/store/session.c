/*
 * session.c
 *	  Rows of telehealth.session: what is known of the remote meeting.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/plans.h"
#include "store/session.h"
#include "store/session_collect.h"

static ThPlan insert_sessions = {
	.text =
		"INSERT INTO telehealth.session AS s (clinic_id, appointment_id,"
		" patient_id, provider_id, platform, account_clinic_id, account_id, host,"
		" marker, scheduled_at, duration, wish_hash, intent, intent_no, intent_at)"
		" SELECT u.clinic_id, u.appointment_id, u.patient_id, u.provider_id,"
		" u.platform, u.account_clinic_id, NULLIF(u.account_id, 0), u.host,"
		" u.marker, u.scheduled_at, u.duration, u.wish_hash, 'create', u.claim_no,"
		" clock_timestamp()"
		" FROM (SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5),"
		" unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), unnest($11),"
		" unnest($12), unnest($13))"
		" AS u (clinic_id, appointment_id, patient_id, provider_id, platform,"
		" account_clinic_id, account_id, host, marker, scheduled_at, duration,"
		" wish_hash, claim_no)"
		" ON CONFLICT (clinic_id, appointment_id,"
		" (CASE WHEN retired_at IS NULL THEN true END))"
		" DO NOTHING RETURNING s.id, s.marker",
	.n_args = 13,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
			   TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID,
			   TEXTARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID, TEXTARRAYOID,
			   INT8ARRAYOID }
};

static ThPlan begin_intents = {
	.text =
		"UPDATE telehealth.session AS s SET intent = 'create',"
		" intent_no = u.claim_no, intent_at = CASE WHEN s.intent IS NULL"
		" THEN clock_timestamp() ELSE LEAST(s.intent_at, clock_timestamp()) END,"
		" wish_hash = CASE WHEN s.intent IS NULL"
		" THEN u.wish_hash ELSE s.wish_hash END"
		" FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) WITH ORDINALITY"
		" AS u (clinic_id, id, claim_no, wish_hash, place)"
		" WHERE s.clinic_id = u.clinic_id AND s.id = u.id"
		" AND s.intent_no < u.claim_no RETURNING u.place",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID }
};

/* OFFSET 0: by meeting id, never through the index of all live sessions. */
static ThPlan find_taken = {
	.text = "SELECT u.place FROM unnest($1::bigint[], $2::bigint[], $3::text[],"
			" $4::text[]) WITH ORDINALITY"
			" AS u (clinic_id, id, platform, meeting_id, place)"
			" WHERE EXISTS (SELECT FROM (SELECT t.clinic_id, t.id, t.platform,"
			" t.retired_at FROM telehealth.session AS t"
			" WHERE t.meeting_id = u.meeting_id OFFSET 0) AS s"
			" WHERE s.platform = u.platform AND s.retired_at IS NULL"
			" AND (s.clinic_id, s.id) <> (u.clinic_id, u.id))",
	.n_args = 4,
	.types = { INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID }
};

static ThPlan long_hosts = {
	.text = "SELECT s.host, count(*) FROM telehealth.session AS s"
			" WHERE s.account_clinic_id = $1 AND s.account_id = $2"
			" AND s.retired_at IS NULL AND s.status = 'SCHEDULED'"
			" AND s.scheduled_at BETWEEN now() AND now() + interval '30 days'"
			" AND s.duration > $3 AND s.host IS NOT NULL"
			" GROUP BY s.host ORDER BY count(*) DESC, s.host LIMIT $4",
	.n_args = 4,
	.types = { INT8OID, INT8OID, INT4OID, INT4OID }
};

static ThPlan get_session = { .text = "SELECT " TH_SESSION_COLUMNS
									  " FROM telehealth.session AS s"
									  " WHERE s.clinic_id = $1 AND s.id = $2",
							  .n_args = 2,
							  .types = { INT8OID, INT8OID } };

ThSession *
th_session_read(uint64 row, int first, MemoryContext context)
{
	ThSession *session;
	int c = first;
	bool is_null;

	(void) th_row_datum(row, first + 1, &is_null);
	if (is_null)
		return NULL;
	session = MemoryContextAllocZero(context, sizeof(ThSession));
	session->clinic_id = th_row_int64(row, c++);
	session->id = th_row_int64(row, c++);
	session->appointment_id = th_row_int64(row, c++);
	session->patient_id = th_row_int64(row, c++);
	session->provider_id = th_row_int64(row, c++);
	session->platform = th_row_text(row, c++, context);
	session->account_clinic_id = th_row_int64(row, c++);
	session->account_id = th_row_int64(row, c++);
	session->meeting_id = th_row_text(row, c++, context);
	session->meeting_uuid = th_row_text(row, c++, context);
	session->join_url = th_row_text(row, c++, context);
	session->topic = th_row_text(row, c++, context);
	session->scheduled_at = th_row_timestamptz(row, c++);
	session->duration = th_row_int32(row, c++);
	session->status = th_row_text(row, c++, context);
	session->host = th_row_text(row, c++, context);
	session->marker = th_row_text(row, c++, context);
	session->has_intent = th_row_bool(row, c++);
	session->intent_no = th_row_int64(row, c++);
	session->intent_at = th_row_timestamptz(row, c++);
	session->wish_hash = th_row_text(row, c++, context);
	session->deviation = th_row_text(row, c++, context);
	session->is_retired = th_row_bool(row, c++);
	Assert(c == first + TH_SESSION_COLUMN_COUNT);
	return session;
}

/* New rows, intent and all; those in whose way one was keep id 0. */
static void
insert_new(ThSession **sessions, int n)
{
	Datum values[13];

	COLLECT_INT64(values[0], clinic_id);
	COLLECT_INT64(values[1], appointment_id);
	COLLECT_INT64(values[2], patient_id);
	COLLECT_INT64(values[3], provider_id);
	COLLECT_TEXT(values[4], platform);
	COLLECT_INT64(values[5], account_clinic_id);
	COLLECT_INT64(values[6], account_id);
	COLLECT_TEXT(values[7], host);
	COLLECT_TEXT(values[8], marker);
	COLLECT_TIMESTAMPTZ(values[9], scheduled_at);
	COLLECT_INT32(values[10], duration);
	COLLECT_TEXT(values[11], wish_hash);
	COLLECT_INT64(values[12], intent_no);
	th_plan_run(&insert_sessions, values, NULL, false);

	/* rows come back in the order given, less those that were in the way */
	for (uint64 row = 0, i = 0; row < SPI_processed; row++)
	{
		char *marker = th_row_text(row, 2, CurrentMemoryContext);

		while (i < (uint64) n && strcmp(sessions[i]->marker, marker) != 0)
			i++;
		if (i < (uint64) n)
			sessions[i++]->id = th_row_int64(row, 1);
	}
}

/* Rows that are there already; those that somebody newer has lose their id. */
static void
begin_known(ThSession **sessions, int n)
{
	Datum values[4];
	bool *is_ours = palloc0_array(bool, n);

	COLLECT_INT64(values[0], clinic_id);
	COLLECT_INT64(values[1], id);
	COLLECT_INT64(values[2], intent_no);
	COLLECT_TEXT(values[3], wish_hash);
	th_plan_run(&begin_intents, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		is_ours[th_row_int64(row, 1) - 1] = true;
	for (int i = 0; i < n; i++)
		if (!is_ours[i])
			sessions[i]->id = 0;
}

void
th_session_begin(ThSession **sessions, const int64 *claim_nos, int n)
{
	ThSession **fresh;
	ThSession **known;
	int n_fresh = 0;
	int n_known = 0;

	if (n == 0)
		return;
	th_store_connect();
	fresh = palloc_array(ThSession *, n);
	known = palloc_array(ThSession *, n);
	for (int i = 0; i < n; i++)
	{
		sessions[i]->has_intent = true;
		sessions[i]->intent_no = claim_nos[i];
		if (sessions[i]->id == 0)
			fresh[n_fresh++] = sessions[i];
		else
			known[n_known++] = sessions[i];
	}
	if (n_fresh > 0)
		insert_new(fresh, n_fresh);
	if (n_known > 0)
		begin_known(known, n_known);
	th_store_finish();
}

void
th_session_find_taken(ThSession *const *sessions, int n, bool *is_taken)
{
	Datum values[4];

	memset(is_taken, 0, sizeof(bool) * n);
	if (n == 0)
		return;
	th_store_connect();
	COLLECT_INT64(values[0], clinic_id);
	COLLECT_INT64(values[1], id);
	COLLECT_TEXT(values[2], platform);
	COLLECT_TEXT(values[3], meeting_id);
	th_plan_run(&find_taken, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
		is_taken[th_row_int64(row, 1) - 1] = true;
	th_store_finish();
}

ThSession *
th_session_get(int64 clinic_id, int64 id)
{
	MemoryContext context = CurrentMemoryContext;
	ThSession *session = NULL;
	Datum values[2];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	th_plan_run(&get_session, values, NULL, false);
	if (SPI_processed > 0)
		session = th_session_read(0, 1, context);
	th_store_finish();
	return session;
}

List *
th_session_long_hosts(int64 account_clinic_id, int64 account_id, int minutes,
					  int limit)
{
	MemoryContext context = CurrentMemoryContext;
	List *hosts = NIL;
	Datum values[4];

	th_store_connect();
	values[0] = Int64GetDatum(account_clinic_id);
	values[1] = Int64GetDatum(account_id);
	values[2] = Int32GetDatum(minutes);
	values[3] = Int32GetDatum(limit);
	th_plan_run(&long_hosts, values, NULL, true);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		ThLongHost *host = palloc_object(ThLongHost);

		host->host = th_row_text(row, 1, context);
		host->visits = th_row_int64(row, 2);
		hosts = lappend(hosts, host);
		MemoryContextSwitchTo(old);
	}
	th_store_finish();
	return hosts;
}
