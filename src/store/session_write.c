/*
 * session_write.c
 *	  What was learnt of meetings, into their rows of telehealth.session.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "store/direct.h"
#include "store/plans.h"
#include "store/session.h"
#include "store/session_collect.h"

/* The columns, as src/schema writes them. */
typedef enum SessionColumn
{
	SESSION_CLINIC_ID,
	SESSION_ID,
	SESSION_APPOINTMENT_ID,
	SESSION_PATIENT_ID,
	SESSION_PROVIDER_ID,
	SESSION_PLATFORM,
	SESSION_ACCOUNT_CLINIC_ID,
	SESSION_ACCOUNT_ID,
	SESSION_MEETING_ID,
	SESSION_MEETING_UUID,
	SESSION_JOIN_URL,
	SESSION_TOPIC,
	SESSION_SCHEDULED_AT,
	SESSION_STARTED_AT,
	SESSION_ENDED_AT,
	SESSION_DURATION,
	SESSION_ACTUAL_DURATION,
	SESSION_STATUS,
	SESSION_HOST_JOINED_AT,
	SESSION_PATIENT_JOINED_AT,
	SESSION_WAITING_ROOM_ENTERED_AT,
	SESSION_WAITING_ROOM_ADMITTED_AT,
	SESSION_RECORDING_URL,
	SESSION_CONNECTION_QUALITY,
	SESSION_AUDIO_QUALITY,
	SESSION_VIDEO_QUALITY,
	SESSION_PLACE_OF_SERVICE,
	SESSION_MODIFIERS,
	SESSION_PATIENT_LOCATION,
	SESSION_PROVIDER_LOCATION,
	SESSION_RATING,
	SESSION_RETIRED_AT,
	SESSION_HOST,
	SESSION_MARKER,
	SESSION_INTENT,
	SESSION_INTENT_NO,
	SESSION_INTENT_AT,
	SESSION_WISH_HASH,
	SESSION_CONFIRMED_AT,
	SESSION_DEVIATION,
	SESSION_CREATED_AT,
	SESSION_COLUMN_COUNT
} SessionColumn;

static const ThDirectColumn session_columns[] = {
	[SESSION_CLINIC_ID] = { "clinic_id", INT8OID },
	[SESSION_ID] = { "id", INT8OID },
	[SESSION_APPOINTMENT_ID] = { "appointment_id", INT8OID },
	[SESSION_PATIENT_ID] = { "patient_id", INT8OID },
	[SESSION_PROVIDER_ID] = { "provider_id", INT8OID },
	[SESSION_PLATFORM] = { "platform", TEXTOID },
	[SESSION_ACCOUNT_CLINIC_ID] = { "account_clinic_id", INT8OID },
	[SESSION_ACCOUNT_ID] = { "account_id", INT8OID },
	[SESSION_MEETING_ID] = { "meeting_id", TEXTOID },
	[SESSION_MEETING_UUID] = { "meeting_uuid", TEXTOID },
	[SESSION_JOIN_URL] = { "join_url", TEXTOID },
	[SESSION_TOPIC] = { "topic", TEXTOID },
	[SESSION_SCHEDULED_AT] = { "scheduled_at", TIMESTAMPTZOID },
	[SESSION_STARTED_AT] = { "started_at", TIMESTAMPTZOID },
	[SESSION_ENDED_AT] = { "ended_at", TIMESTAMPTZOID },
	[SESSION_DURATION] = { "duration", INT4OID },
	[SESSION_ACTUAL_DURATION] = { "actual_duration", INT4OID },
	[SESSION_STATUS] = { "status", InvalidOid },
	[SESSION_HOST_JOINED_AT] = { "host_joined_at", TIMESTAMPTZOID },
	[SESSION_PATIENT_JOINED_AT] = { "patient_joined_at", TIMESTAMPTZOID },
	[SESSION_WAITING_ROOM_ENTERED_AT] = { "waiting_room_entered_at",
										  TIMESTAMPTZOID },
	[SESSION_WAITING_ROOM_ADMITTED_AT] = { "waiting_room_admitted_at",
										   TIMESTAMPTZOID },
	[SESSION_RECORDING_URL] = { "recording_url", TEXTOID },
	[SESSION_CONNECTION_QUALITY] = { "connection_quality", TEXTOID },
	[SESSION_AUDIO_QUALITY] = { "audio_quality", TEXTOID },
	[SESSION_VIDEO_QUALITY] = { "video_quality", TEXTOID },
	[SESSION_PLACE_OF_SERVICE] = { "place_of_service", TEXTOID },
	[SESSION_MODIFIERS] = { "modifiers", TEXTARRAYOID },
	[SESSION_PATIENT_LOCATION] = { "patient_location", TEXTOID },
	[SESSION_PROVIDER_LOCATION] = { "provider_location", TEXTOID },
	[SESSION_RATING] = { "rating", INT2OID },
	[SESSION_RETIRED_AT] = { "retired_at", TIMESTAMPTZOID },
	[SESSION_HOST] = { "host", TEXTOID },
	[SESSION_MARKER] = { "marker", TEXTOID },
	[SESSION_INTENT] = { "intent", TEXTOID },
	[SESSION_INTENT_NO] = { "intent_no", INT8OID },
	[SESSION_INTENT_AT] = { "intent_at", TIMESTAMPTZOID },
	[SESSION_WISH_HASH] = { "wish_hash", TEXTOID },
	[SESSION_CONFIRMED_AT] = { "confirmed_at", TIMESTAMPTZOID },
	[SESSION_DEVIATION] = { "deviation", TEXTOID },
	[SESSION_CREATED_AT] = { "created_at", TIMESTAMPTZOID },
};

StaticAssertDecl(lengthof(session_columns) == SESSION_COLUMN_COUNT,
				 "every column needs its name");

typedef enum SecretColumn
{
	SECRET_CLINIC_ID,
	SECRET_SESSION_ID,
	SECRET_NAME,
	SECRET_ENVELOPE,
	SECRET_COLUMN_COUNT
} SecretColumn;

static const ThDirectColumn secret_columns[] = {
	[SECRET_CLINIC_ID] = { "clinic_id", INT8OID },
	[SECRET_SESSION_ID] = { "session_id", INT8OID },
	[SECRET_NAME] = { "name", TEXTOID },
	[SECRET_ENVELOPE] = { "envelope", BYTEAOID },
};

/* With the passcodes of those rows that were really written. */
static ThPlan write_sessions = {
	.text =
		"WITH written AS (UPDATE telehealth.session AS s"
		" SET meeting_id = u.meeting_id,"
		" meeting_uuid = u.meeting_uuid, join_url = u.join_url, topic = u.topic,"
		" scheduled_at = COALESCE(u.scheduled_at, s.scheduled_at),"
		" duration = u.duration, patient_id = u.patient_id,"
		" provider_id = u.provider_id,"
		" status = COALESCE(u.status::telehealth.session_status, s.status),"
		" intent = CASE WHEN u.has_intent = 1 THEN s.intent END,"
		" wish_hash = u.wish_hash, deviation = u.deviation,"
		" confirmed_at = clock_timestamp(),"
		" retired_at = CASE WHEN u.is_retired = 1"
		" THEN COALESCE(s.retired_at, clock_timestamp()) END"
		" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
		" $15, $16, $17)"
		" AS u (clinic_id, id, intent_no, meeting_id, meeting_uuid, join_url,"
		" topic, scheduled_at, duration, patient_id, provider_id, status,"
		" has_intent, wish_hash, deviation, is_retired, passcode)"
		" WHERE s.clinic_id = u.clinic_id AND s.id = u.id"
		" AND s.intent_no = u.intent_no"
		" RETURNING u.clinic_id, u.id, u.passcode)"
		" INSERT INTO telehealth_private.session_secret AS x"
		" (clinic_id, session_id, name, envelope)"
		" SELECT w.clinic_id, w.id, 'passcode', w.passcode FROM written AS w"
		" WHERE w.passcode IS NOT NULL"
		" ON CONFLICT ON CONSTRAINT session_secret_pkey"
		" DO UPDATE SET envelope = EXCLUDED.envelope",
	.n_args = 17,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID,
			   TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
			   INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID,
			   INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID,
			   BYTEAARRAYOID }
};

static ThPlan delete_sessions = {
	.text = "DELETE FROM telehealth.session AS s"
			" USING unnest($1, $2, $3) AS u (clinic_id, id, intent_no)"
			" WHERE s.clinic_id = u.clinic_id AND s.id = u.id"
			" AND s.intent_no = u.intent_no",
	.n_args = 3,
	.types = { INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID }
};

static void
write_rows(ThSession **sessions, int n)
{
	bytea **passcodes = palloc_array(bytea *, n);
	Datum values[17];

	COLLECT_INT64(values[0], clinic_id);
	COLLECT_INT64(values[1], id);
	COLLECT_INT64(values[2], intent_no);
	COLLECT_TEXT(values[3], meeting_id);
	COLLECT_TEXT(values[4], meeting_uuid);
	COLLECT_TEXT(values[5], join_url);
	COLLECT_TEXT(values[6], topic);
	COLLECT_TIMESTAMPTZ(values[7], scheduled_at);
	COLLECT_INT32(values[8], duration);
	COLLECT_INT64(values[9], patient_id);
	COLLECT_INT64(values[10], provider_id);
	COLLECT_TEXT(values[11], status);
	COLLECT_INT32(values[12], has_intent);
	COLLECT_TEXT(values[13], wish_hash);
	COLLECT_TEXT(values[14], deviation);
	COLLECT_INT32(values[15], is_retired);
	for (int i = 0; i < n; i++)
		passcodes[i] = sessions[i]->is_retired ? NULL : sessions[i]->passcode;
	values[16] = th_array_bytea(passcodes, n);
	th_plan_run(&write_sessions, values, NULL, false);
}

static void
delete_rows(ThSession **sessions, int n)
{
	Datum values[3];

	COLLECT_INT64(values[0], clinic_id);
	COLLECT_INT64(values[1], id);
	COLLECT_INT64(values[2], intent_no);
	th_plan_run(&delete_sessions, values, NULL, false);
}

/* ---- without statements ---- */

static void
set_text(Datum *values, bool *nulls, SessionColumn column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
set_value(Datum *values, bool *nulls, SessionColumn column, Datum value)
{
	nulls[column] = false;
	values[column] = value;
}

static Datum
status_value(const char *label)
{
	static const char *type_name = "session_status";
	Oid type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
							   CStringGetDatum(type_name),
							   ObjectIdGetDatum(
								   get_namespace_oid("telehealth", false)));
	Oid value = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
								ObjectIdGetDatum(type), CStringGetDatum(label));

	if (!OidIsValid(value))
		elog(ERROR, "type %s has no label \"%s\"", type_name, label);
	return ObjectIdGetDatum(value);
}

/* As the statement above says it. */
static void
fill_row(const ThSession *s, Datum *values, bool *nulls)
{
	Datum now = TimestampTzGetDatum(GetCurrentTimestamp());

	set_text(values, nulls, SESSION_MEETING_ID, s->meeting_id);
	set_text(values, nulls, SESSION_MEETING_UUID, s->meeting_uuid);
	set_text(values, nulls, SESSION_JOIN_URL, s->join_url);
	set_text(values, nulls, SESSION_TOPIC, s->topic);
	if (s->scheduled_at != 0)
		set_value(values, nulls, SESSION_SCHEDULED_AT,
				  TimestampTzGetDatum(s->scheduled_at));
	set_value(values, nulls, SESSION_DURATION, Int32GetDatum(s->duration));
	set_value(values, nulls, SESSION_PATIENT_ID, Int64GetDatum(s->patient_id));
	set_value(values, nulls, SESSION_PROVIDER_ID,
			  Int64GetDatum(s->provider_id));
	if (s->status != NULL)
		set_value(values, nulls, SESSION_STATUS, status_value(s->status));
	if (!s->has_intent)
		nulls[SESSION_INTENT] = true;
	set_text(values, nulls, SESSION_WISH_HASH, s->wish_hash);
	set_text(values, nulls, SESSION_DEVIATION, s->deviation);
	set_value(values, nulls, SESSION_CONFIRMED_AT, now);
	if (!s->is_retired)
		nulls[SESSION_RETIRED_AT] = true;
	else if (nulls[SESSION_RETIRED_AT])
		set_value(values, nulls, SESSION_RETIRED_AT, now);
}

/* False if somebody is at the row. */
static bool
write_row(ThDirect *direct, ThSession *s, bool *is_written)
{
	Datum keys[2] = { Int64GetDatum(s->clinic_id), Int64GetDatum(s->id) };
	Datum *values;
	bool *nulls;

	*is_written = false;
	if (th_direct_find(direct, keys) == NULL)
		return true;
	th_direct_edit(direct, &values, &nulls);
	if (DatumGetInt64(values[SESSION_INTENT_NO]) != s->intent_no)
		return true;
	fill_row(s, values, nulls);
	*is_written = th_direct_update(direct, false) == TH_DIRECT_DONE;
	return *is_written;
}

static bool
has_passcode(ThDirect *direct, const ThSession *s)
{
	Datum keys[3] = { Int64GetDatum(s->clinic_id), Int64GetDatum(s->id),
					  CStringGetTextDatum("passcode") };

	return th_direct_find(direct, keys) != NULL;
}

static void
write_passcode(ThDirect *direct, const ThSession *s)
{
	Datum *values;
	bool *nulls;

	th_direct_new(direct, &values, &nulls);
	memset(nulls, false, SECRET_COLUMN_COUNT * sizeof(bool));
	values[SECRET_CLINIC_ID] = Int64GetDatum(s->clinic_id);
	values[SECRET_SESSION_ID] = Int64GetDatum(s->id);
	values[SECRET_NAME] = CStringGetTextDatum("passcode");
	values[SECRET_ENVELOPE] = PointerGetDatum(s->passcode);
	th_direct_insert(direct);
}

/* Moves those that a statement has to write to the front; returns their number. */
static int
write_directly(ThSession **sessions, int n)
{
	ThDirect *rows = th_direct_open("telehealth", "session", session_columns,
									SESSION_COLUMN_COUNT);
	ThDirect *secrets = rows == NULL
							? NULL
							: th_direct_open("telehealth_private",
											 "session_secret", secret_columns,
											 SECRET_COLUMN_COUNT);
	int n_left = 0;

	for (int i = 0; i < n; i++)
	{
		ThSession *s = sessions[i];
		bool is_secret = s->passcode != NULL && !s->is_retired;
		bool is_written;

		if (secrets == NULL || (is_secret && has_passcode(secrets, s)) ||
			!write_row(rows, s, &is_written))
			sessions[n_left++] = s;
		else if (is_written && is_secret)
			write_passcode(secrets, s);
	}
	if (secrets != NULL)
		th_direct_close(secrets);
	if (rows != NULL)
		th_direct_close(rows);
	return n_left;
}

void
th_session_write(ThSession **sessions, int n)
{
	ThSession **kept = palloc_array(ThSession *, Max(n, 1));
	ThSession **gone = palloc_array(ThSession *, Max(n, 1));
	int n_kept = 0;
	int n_gone = 0;

	for (int i = 0; i < n; i++)
	{
		ThSession *s = sessions[i];

		if (s->is_retired && s->meeting_id == NULL && !s->has_intent)
			gone[n_gone++] = s;
		else
			kept[n_kept++] = s;
	}
	if (n_kept > 0)
		n_kept = write_directly(kept, n_kept);
	if (n_kept == 0 && n_gone == 0)
		return;
	th_store_connect();
	if (n_kept > 0)
		write_rows(kept, n_kept);
	if (n_gone > 0)
		delete_rows(gone, n_gone);
	th_store_finish();
}
