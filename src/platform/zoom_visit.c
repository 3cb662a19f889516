/*
 * zoom_visit.c
 *	  Zoom: what its webhooks say of a visit.
 *
 * Ids come as text or as numbers. Guests have neither id nor address, and a
 * name that anybody may type: nobody is told apart by that.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#include "base/th_instant.h"
#include "platform/visit.h"
#include "platform/zoom.h"

#define ID_MAX 255
#define NAME_MAX_BYTES 255
#define URL_MAX 2048

/* Recorded files of one event. */
#define FILES_MAX 200

#define OBJECT "payload/object/"
#define PARTICIPANT OBJECT "participant/"

/* An instant further off than this from when it was told is not believed. */
#define BELIEVED (7 * USECS_PER_DAY)

static const struct
{
	const char *name;
	ThVisitHappening happening;
} happenings[] = {
	{ "meeting.started", TH_VISIT_STARTED },
	{ "meeting.ended", TH_VISIT_ENDED },
	{ "meeting.participant_joined", TH_VISIT_JOINED },
	{ "meeting.participant_jbh_joined", TH_VISIT_JOINED },
	{ "meeting.participant_left", TH_VISIT_LEFT },
	{ "meeting.participant_joined_waiting_room", TH_VISIT_WAITING },
	{ "meeting.participant_jbh_waiting", TH_VISIT_WAITING },
	{ "meeting.participant_waiting", TH_VISIT_WAITING },
	{ "meeting.participant_put_in_waiting_room", TH_VISIT_WAITING },
	{ "meeting.participant_left_waiting_room", TH_VISIT_WAITING_LEFT },
	{ "meeting.participant_jbh_waiting_left", TH_VISIT_WAITING_LEFT },
	{ "meeting.participant_admitted", TH_VISIT_ADMITTED },
	{ "meeting.participant_role_changed", TH_VISIT_NOTED },
	{ "meeting.participant_bind", TH_VISIT_NOTED },
	{ "meeting.participant_feedback", TH_VISIT_NOTED },
	{ "meeting.interpreter_requested", TH_VISIT_INTERPRETER },
	{ "meeting.deleted", TH_VISIT_DELETED },
	{ "meeting.permanently_deleted", TH_VISIT_DELETED },
	{ "meeting.recovered", TH_VISIT_RECOVERED },
	{ "recording.completed", TH_VISIT_RECORDED },
	{ "recording.transcript_completed", TH_VISIT_RECORDED },
	{ "recording.recovered", TH_VISIT_RECORDED },
	{ "recording.trashed", TH_VISIT_RECORDING_TRASHED },
	{ "recording.deleted", TH_VISIT_RECORDING_DELETED },
};

/* Text of at most ID_MAX bytes, else "". */
static const char *
id_at(Jsonb *raw, const char *path)
{
	const char *text = th_json_text(raw, path, "");

	return strnlen(text, ID_MAX + 1) > ID_MAX ? "" : text;
}

/* Text cut to what a name may have. */
static const char *
name_at(Jsonb *raw, const char *path)
{
	char *text = th_json_text(raw, path, NULL);
	int length;

	if (text == NULL)
		return "";
	length = (int) strlen(text);
	if (length > NAME_MAX_BYTES)
		text[pg_mbcliplen(text, length, NAME_MAX_BYTES)] = '\0';
	return text;
}

static const char *
link_at(Jsonb *raw, const char *path)
{
	const char *text = th_json_text(raw, path, "");

	if (strnlen(text, URL_MAX + 1) > URL_MAX ||
		pg_strncasecmp(text, "https://", 8) != 0)
		return "";
	return text;
}

/* The first of several paths that says something, else "". */
static const char *
first_id(Jsonb *raw, const char *const *paths)
{
	for (; *paths != NULL; paths++)
	{
		const char *text = id_at(raw, *paths);

		if (text[0] != '\0')
			return text;
	}
	return "";
}

/* An instant near "near", else 0. */
static TimestampTz
instant_at(Jsonb *raw, const char *path, TimestampTz near)
{
	TimestampTz at = th_instant_read(th_json_text(raw, path, NULL),
									 th_json_text(raw, OBJECT "timezone", NULL),
									 0);

	return at > near - BELIEVED && at < near + BELIEVED ? at : 0;
}

/* Milliseconds of "event_ts", where they are believable, else "otherwise". */
static TimestampTz
told_at(Jsonb *raw, TimestampTz otherwise)
{
	int64 ms = th_json_int(raw, "event_ts", 0);
	TimestampTz at;

	if (ms <= 0 || ms > INT64CONST(32503680000000))
		return otherwise;
	at = (ms -
		  (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000)) *
		 1000;
	return at > otherwise - BELIEVED && at < otherwise + BELIEVED ? at
																  : otherwise;
}

static ThVisitHappening
happening_of(const char *name)
{
	for (size_t i = 0; i < lengthof(happenings); i++)
	{
		if (strcmp(happenings[i].name, name) == 0)
			return happenings[i].happening;
	}
	return TH_VISIT_OTHER;
}

static TimestampTz
time_of(Jsonb *raw, const ThVisitEvent *event)
{
	const char *path = PARTICIPANT "date_time";
	TimestampTz at;

	if (event->happening == TH_VISIT_STARTED)
		path = OBJECT "start_time";
	else if (event->happening == TH_VISIT_ENDED)
		path = OBJECT "end_time";
	else if (event->happening == TH_VISIT_JOINED)
		path = PARTICIPANT "join_time";
	else if (event->happening == TH_VISIT_LEFT)
		path = PARTICIPANT "leave_time";
	at = instant_at(raw, path, event->told_at);
	return at != 0 ? at : event->told_at;
}

static bool
is_same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && a[0] != '\0' && pg_strcasecmp(a, b) == 0;
}

/* An app of our clients' own may say it in the key that it gives to Zoom. */
static bool
is_interpreter_at(Jsonb *raw)
{
	return is_same_text(id_at(raw, PARTICIPANT "role"), "interpreter") ||
		   is_same_text(id_at(raw, PARTICIPANT "new_role"), "interpreter") ||
		   pg_strncasecmp(id_at(raw, PARTICIPANT "customer_key"), "interpreter",
						  strlen("interpreter")) == 0;
}

static void
read_participant(Jsonb *raw, const char *host, ThVisitEvent *out)
{
	static const char *const identities[] = {
		PARTICIPANT "id", PARTICIPANT "participant_user_id",
		PARTICIPANT "registrant_id", PARTICIPANT "customer_key", NULL
	};
	static const char *const connections[] = { PARTICIPANT "participant_uuid",
											   PARTICIPANT "user_id", NULL };
	const char *host_id = id_at(raw, OBJECT "host_id");
	const char *email = id_at(raw, PARTICIPANT "email");
	int64 latency = th_json_int(raw, PARTICIPANT "latency_ms",
								th_json_int(raw, PARTICIPANT "latency", -1));

	out->identity = first_id(raw, identities);
	out->connection = first_id(raw, connections);
	out->name = name_at(raw, PARTICIPANT "user_name");
	out->device = name_at(raw, PARTICIPANT "device");
	out->latency_ms = latency >= 0 && latency <= PG_INT32_MAX ? (int) latency
															  : -1;
	out->is_host =
		(host_id[0] != '\0' && strcmp(out->identity, host_id) == 0) ||
		is_same_text(email, host) ||
		(host != NULL && host[0] != '\0' && strcmp(out->identity, host) == 0);
	out->is_interpreter = is_interpreter_at(raw);
}

static bool
read_file(Jsonb *raw, const ThVisitEvent *event, ThVisitFile *out)
{
	const char *type = id_at(raw, "recording_type");
	const char *url = link_at(raw, "play_url");
	TimestampTz at = event->told_at;

	out->file_id = id_at(raw, "id");
	out->type = type[0] != '\0' ? type : id_at(raw, "file_type");
	out->url = url[0] != '\0' ? url : link_at(raw, "download_url");
	out->size = Max(th_json_int(raw, "file_size", -1), -1);
	out->started_at =
		th_instant_read(th_json_text(raw, "recording_start", NULL), NULL, 0);
	out->ended_at = th_instant_read(th_json_text(raw, "recording_end", NULL),
									NULL, 0);
	out->instance = event->instance;
	out->status = "COMPLETED";
	if (event->happening == TH_VISIT_RECORDING_TRASHED)
		out->status = "TRASHED";
	else if (event->happening == TH_VISIT_RECORDING_DELETED)
	{
		out->status = "DELETED";
		out->deleted_at = at;
	}
	return out->file_id[0] != '\0';
}

static void
read_files(Jsonb *raw, ThVisitEvent *out)
{
	static const char *const lists[] = { OBJECT "recording_files",
										 OBJECT "participant_audio_files" };

	out->share_url = link_at(raw, OBJECT "share_url");
	out->files = palloc0_array(ThVisitFile, FILES_MAX);
	for (size_t list = 0; list < lengthof(lists); list++)
	{
		int count = th_json_length(raw, lists[list]);

		for (int i = 0; i < count && out->n_files < FILES_MAX; i++)
		{
			Jsonb *file = th_json_element(raw, lists[list], i);

			if (file != NULL && read_file(file, out, &out->files[out->n_files]))
				out->n_files++;
		}
	}
}

void
th_zoom_visit_read(const char *name, TimestampTz event_at, Jsonb *raw,
				   const char *host, ThVisitEvent *out)
{
	memset(out, 0, sizeof(*out));
	out->happening = happening_of(name);
	out->told_at = told_at(raw, event_at);
	out->instance = id_at(raw, OBJECT "uuid");
	out->identity = out->connection = out->name = out->device = "";
	out->share_url = "";
	out->latency_ms = -1;
	out->at = time_of(raw, out);
	if (out->happening == TH_VISIT_ENDED)
		out->started_at = instant_at(raw, OBJECT "start_time", out->told_at);
	if (out->happening >= TH_VISIT_RECORDED &&
		out->happening <= TH_VISIT_RECORDING_DELETED)
		read_files(raw, out);
	else if (th_json_has(raw, "payload/object/participant"))
		read_participant(raw, host, out);
}
