/*
 * push_channel.c
 *	  Rows of push_channel.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "store/plans.h"
#include "store/push_channel.h"

static ThPlan find_channels = {
	.text = "SELECT c.clinic_id, c.id, c.channel_id, c.envelope"
			" FROM telehealth_private.push_channel AS c"
			" WHERE c.source = $1 AND c.channel_id = ANY ($2)"
			" AND (c.expires_at IS NULL OR c.expires_at > $3)"
			" ORDER BY c.clinic_id, c.id",
	.n_args = 3,
	.types = { TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID }
};

static ThPlan number_channel = {
	.text = "SELECT COALESCE((SELECT c.id FROM telehealth_private.push_channel"
			" AS c WHERE c.clinic_id = $1 AND c.source = $2"
			" AND c.channel_id = $3),"
			" nextval('telehealth_private.push_channel_id_seq'))",
	.n_args = 3,
	.types = { INT8OID, TEXTOID, TEXTOID }
};

static ThPlan put_channel = {
	.text = "INSERT INTO telehealth_private.push_channel AS c (clinic_id, id,"
			" source, channel_id, envelope, expires_at)"
			" VALUES ($1, $2, $3, $4, $5, $6)"
			" ON CONFLICT ON CONSTRAINT push_channel_pkey DO UPDATE SET"
			" envelope = EXCLUDED.envelope, expires_at = EXCLUDED.expires_at",
	.n_args = 6,
	.types = { INT8OID, INT8OID, TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID }
};

static ThPlan remove_channel = {
	.text = "DELETE FROM telehealth_private.push_channel AS c"
			" WHERE c.clinic_id = $1 AND c.source = $2 AND c.channel_id = $3"
			" RETURNING c.id",
	.n_args = 3,
	.types = { INT8OID, TEXTOID, TEXTOID }
};

int
th_push_channel_find(const char *source, const char *const *channel_ids, int n,
					 TimestampTz now, ThPushChannel **channels)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[3];
	int found;

	th_store_connect();
	values[0] = CStringGetTextDatum(source);
	values[1] = th_array_text(channel_ids, n);
	values[2] = TimestampTzGetDatum(now);
	th_plan_run(&find_channels, values, NULL, false);
	found = (int) SPI_processed;
	*channels = MemoryContextAllocZero(context,
									   sizeof(ThPushChannel) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		ThPushChannel *channel = &(*channels)[i];
		MemoryContext old;
		Datum envelope;
		bool is_null;

		channel->clinic_id = th_row_int64(i, 1);
		channel->id = th_row_int64(i, 2);
		channel->channel_id = th_row_text(i, 3, context);
		envelope = th_row_datum(i, 4, &is_null);
		old = MemoryContextSwitchTo(context);
		channel->envelope = DatumGetByteaPCopy(envelope);
		MemoryContextSwitchTo(old);
	}
	th_store_finish();
	return found;
}

/* The id that a plan about one channel gives; 0 if it gives none. */
static int64
run_for_id(ThPlan *plan, int64 clinic_id, const char *source,
		   const char *channel_id)
{
	Datum values[3];
	int64 id;

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = CStringGetTextDatum(source);
	values[2] = CStringGetTextDatum(channel_id);
	th_plan_run(plan, values, NULL, false);
	id = SPI_processed == 0 ? 0 : th_row_int64(0, 1);
	th_store_finish();
	return id;
}

int64
th_push_channel_number(int64 clinic_id, const char *source,
					   const char *channel_id)
{
	return run_for_id(&number_channel, clinic_id, source, channel_id);
}

int64
th_push_channel_remove(int64 clinic_id, const char *source,
					   const char *channel_id)
{
	return run_for_id(&remove_channel, clinic_id, source, channel_id);
}

void
th_push_channel_put(int64 clinic_id, int64 id, const char *source,
					const char *channel_id, bytea *envelope,
					TimestampTz expires_at)
{
	Datum values[6];
	char nulls[7] = "      ";

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = Int64GetDatum(id);
	values[2] = CStringGetTextDatum(source);
	values[3] = CStringGetTextDatum(channel_id);
	values[4] = PointerGetDatum(envelope);
	values[5] = TimestampTzGetDatum(expires_at);
	if (expires_at == 0)
		nulls[5] = 'n';
	th_plan_run(&put_channel, values, nulls, false);
	th_store_finish();
}
