/*
 * calendar_channel.c
 *	  Channels by which calendars tell that something has changed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/calendar_channel.h"
#include "store/calendar_pull.h"
#include "store/job.h"
#include "store/plans.h"

/* Changes come in swarms: one pull is for all that are told within a second. */
#define SWARM_US USECS_PER_SEC

static ThPlan load = {
	.text = "SELECT u.place, p.id, p.channel_id, p.resource_id, p.expires_at,"
			" p.renew_at, p.retired_at IS NOT NULL"
			" FROM unnest($1, $2) WITH ORDINALITY AS u (clinic_id, id, place)"
			" JOIN telehealth_private.push_channel AS p"
			" ON p.clinic_id = u.clinic_id AND p.connection_id = u.id"
			" ORDER BY u.place, p.id DESC",
	.n_args = 2,
	.types = { INT8ARRAYOID, INT8ARRAYOID }
};

static ThPlan put = {
	.text =
		"WITH former AS (UPDATE telehealth_private.push_channel"
		" SET retired_at = $9 WHERE clinic_id = $1 AND connection_id = $6"
		" AND retired_at IS NULL AND id <> $2)"
		" INSERT INTO telehealth_private.push_channel AS c (clinic_id, id,"
		" source, channel_id, envelope, connection_id, resource_id, expires_at,"
		" renew_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $10)"
		" ON CONFLICT ON CONSTRAINT push_channel_pkey DO UPDATE SET"
		" envelope = EXCLUDED.envelope, resource_id = EXCLUDED.resource_id,"
		" connection_id = EXCLUDED.connection_id,"
		" expires_at = EXCLUDED.expires_at, renew_at = EXCLUDED.renew_at,"
		" retired_at = NULL",
	.n_args = 10,
	.types = { INT8OID, INT8OID, TEXTOID, TEXTOID, BYTEAOID, INT8OID, TEXTOID,
			   TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID }
};

static ThPlan renew = {
	.text = "UPDATE telehealth_private.push_channel SET expires_at = $3,"
			" renew_at = $4 WHERE clinic_id = $1 AND id = $2",
	.n_args = 4,
	.types = { INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID }
};

static ThPlan drop = { .text = "DELETE FROM telehealth_private.push_channel"
							   " WHERE clinic_id = $1 AND id = $2",
					   .n_args = 2,
					   .types = { INT8OID, INT8OID } };

static ThPlan find_job = { .text = "SELECT FROM telehealth_private.job"
								   " WHERE kind = 'channel' AND clinic_id = $1"
								   " AND subject_id = $2",
						   .n_args = 2,
						   .types = { INT8OID, INT8OID } };

/* Whoever renews a channel holds its row: it needs no second reminder. */
static ThPlan hear = {
	.text =
		"WITH heard AS MATERIALIZED (SELECT DISTINCT p.clinic_id, p.id,"
		" p.connection_id, u.lifecycle"
		" FROM unnest($1, $2, $3, $4, $6) AS u (clinic_id, source, channel_id,"
		" lifecycle, resource_id) JOIN telehealth_private.push_channel AS p"
		" ON p.clinic_id = u.clinic_id AND p.source = u.source"
		" AND p.channel_id = u.channel_id"
		" WHERE p.connection_id IS NOT NULL"
		" AND COALESCE(p.resource_id = u.resource_id, true)"
		"), ended AS MATERIALIZED (SELECT q.clinic_id, q.id"
		" FROM telehealth_private.push_channel AS q"
		" JOIN heard AS h ON h.clinic_id = q.clinic_id AND h.id = q.id"
		" WHERE h.lifecycle IN ('reauthorizationRequired',"
		" 'subscriptionRemoved') FOR UPDATE OF q SKIP LOCKED"
		"), noted AS (UPDATE telehealth_private.push_channel AS p"
		" SET renew_at = $5, expires_at = CASE WHEN h.lifecycle ="
		" 'subscriptionRemoved' THEN $5 ELSE p.expires_at END"
		" FROM ended AS e JOIN heard AS h"
		" ON h.clinic_id = e.clinic_id AND h.id = e.id"
		" WHERE p.clinic_id = e.clinic_id AND p.id = e.id)"
		" SELECT h.clinic_id, h.connection_id, bool_or(h.lifecycle IS NOT NULL"
		" AND h.lifecycle <> 'missed') FROM heard AS h"
		" GROUP BY h.clinic_id, h.connection_id",
	.n_args = 6,
	.types = { INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			   TIMESTAMPTZOID, TEXTARRAYOID }
};

ThChannelList *
th_channel_load(const int64 *clinics, const int64 *connections, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ThChannelList *lists = palloc0_array(ThChannelList, Max(n, 1));
	Datum values[2];
	ThChannel *all;

	th_store_connect();
	values[0] = th_array_int64(clinics, n);
	values[1] = th_array_int64(connections, n);
	th_plan_run(&load, values, NULL, false);
	all = MemoryContextAllocZero(context,
								 sizeof(ThChannel) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		ThChannelList *list = &lists[th_row_int64(i, 1) - 1];
		ThChannel *channel = &all[i];

		if (list->n++ == 0)
			list->channels = channel;
		channel->id = th_row_int64(i, 2);
		channel->channel_id = th_row_text(i, 3, context);
		channel->resource_id = th_row_text(i, 4, context);
		channel->expires_at = th_row_timestamptz(i, 5);
		channel->renew_at = th_row_timestamptz(i, 6);
		channel->is_retired = th_row_bool(i, 7);
	}
	th_store_finish();
	return lists;
}

void
th_channel_put(const ThChannelNew *channel, TimestampTz now)
{
	char nulls[] = "          ";
	Datum values[10];

	th_store_connect();
	values[0] = Int64GetDatum(channel->clinic_id);
	values[1] = Int64GetDatum(channel->id);
	values[2] = CStringGetTextDatum(channel->source);
	values[3] = CStringGetTextDatum(channel->channel_id);
	values[4] = PointerGetDatum(channel->envelope);
	values[5] = Int64GetDatum(channel->connection_id);
	nulls[6] = channel->resource_id == NULL ? 'n' : ' ';
	values[6] = channel->resource_id == NULL
					? (Datum) 0
					: CStringGetTextDatum(channel->resource_id);
	values[7] = TimestampTzGetDatum(channel->expires_at);
	values[8] = TimestampTzGetDatum(now);
	values[9] = TimestampTzGetDatum(channel->renew_at);
	th_plan_run(&put, values, nulls, false);
	th_store_finish();
}

void
th_channel_renew(int64 clinic_id, int64 id, TimestampTz expires_at,
				 TimestampTz renew_at)
{
	Datum values[4] = { Int64GetDatum(clinic_id), Int64GetDatum(id),
						TimestampTzGetDatum(expires_at),
						TimestampTzGetDatum(renew_at) };

	th_store_connect();
	th_plan_run(&renew, values, NULL, false);
	th_store_finish();
}

void
th_channel_drop(int64 clinic_id, int64 id)
{
	Datum values[2] = { Int64GetDatum(clinic_id), Int64GetDatum(id) };

	th_store_connect();
	th_plan_run(&drop, values, NULL, false);
	th_store_finish();
}

bool
th_channel_is_left(int64 clinic_id, int64 connection_id)
{
	Datum values[2] = { Int64GetDatum(clinic_id),
						Int64GetDatum(connection_id) };
	bool is_left;

	th_store_connect();
	th_plan_run(&find_job, values, NULL, false);
	is_left = SPI_processed == 0;
	th_store_finish();
	return is_left;
}

void
th_channel_hear(const ThChannelWord *words, int n, TimestampTz now)
{
	int64 *numbers;
	const char **texts;
	Datum values[6];
	ThMark *marks;
	int64 *clinics;
	int64 *connections;
	int n_heard;
	int n_marks = 0;

	if (n == 0)
		return;
	th_store_connect();
	TH_COLLECT(numbers, int64, words[i].clinic_id);
	values[0] = th_array_int64(numbers, n);
	TH_COLLECT(texts, const char *, words[i].source);
	values[1] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, words[i].channel_id);
	values[2] = th_array_text(texts, n);
	TH_COLLECT(texts, const char *, words[i].lifecycle);
	values[3] = th_array_text(texts, n);
	values[4] = TimestampTzGetDatum(now);
	TH_COLLECT(texts, const char *, words[i].resource_id);
	values[5] = th_array_text(texts, n);
	th_plan_run(&hear, values, NULL, false);
	n_heard = (int) SPI_processed;
	clinics = palloc_array(int64, Max(n_heard, 1));
	connections = palloc_array(int64, Max(n_heard, 1));
	marks = palloc0_array(ThMark, Max(n_heard, 1));
	for (int i = 0; i < n_heard; i++)
	{
		clinics[i] = th_row_int64(i, 1);
		connections[i] = th_row_int64(i, 2);
		if (!th_row_bool(i, 3))
			continue;
		marks[n_marks].kind = TH_JOB_CHANNEL;
		marks[n_marks].priority = TH_PRIORITY_CHANGE;
		marks[n_marks].clinic_id = clinics[i];
		marks[n_marks].subject_id = connections[i];
		marks[n_marks++].due_at = now;
	}
	(void) th_job_mark_free(marks, n_marks);
	th_pull_hasten(clinics, connections, n_heard, now + SWARM_US);
	th_store_finish();
}
