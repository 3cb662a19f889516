/*
 * zoom_answer.c
 *	  Reading what Zoom answers, and comparing it with what we asked.
 *
 * Locks of the account win over what was sent, and Zoom answers 201 all the
 * same: so everything that matters for privacy is compared.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/th_error.h"
#include "base/th_instant.h"
#include "platform/zoom.h"

#define TEXT_MAX 255
#define URL_MAX 2048
#define TOKEN_MAX 16384
#define SETTING_MAX 40

/* Entries of one page of a list; we ask for 300. */
#define LIST_MAX 1000

/* Zoom's own, should an answer not say it. */
#define TOKEN_SECONDS 3600
#define TOKEN_SECONDS_MAX 86400

/* Zoom may drop the seconds of a start; hours are what goes wrong (Z12). */
#define START_TOLERANCE USECS_PER_MINUTE

/* Zoom makes the start of a visit that has begun the present. */
#define LATE_TOLERANCE (5 * USECS_PER_MINUTE)

/* Type of a meeting in the host's personal room; 2 is a scheduled one. */
#define TYPE_SCHEDULED 2
#define TYPE_PERSONAL_ROOM 4

/* Text without control characters and not longer than "max", or NULL. */
static char *
plain_text(Jsonb *document, const char *path, size_t max)
{
	char *text = th_json_text(document, path, NULL);

	if (text == NULL || text[0] == '\0' || strnlen(text, max + 1) > max)
		return NULL;
	for (const char *p = text; *p != '\0'; p++)
	{
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			return NULL;
	}
	return text;
}

/* An https link that is one, or NULL. */
static char *
link_text(Jsonb *document, const char *path)
{
	char *text = plain_text(document, path, URL_MAX);

	if (text == NULL || pg_strncasecmp(text, "https://", 8) != 0 ||
		strpbrk(text, " \"<>\\^`{|}") != NULL || th_http_origin(text) == NULL)
		return NULL;
	return text;
}

/* Ids have 64 bits; some answers write them as text. NULL if none. */
static char *
id_text(Jsonb *document, const char *path)
{
	int64 id = th_json_int(document, path, 0);

	return id > 0 ? psprintf(INT64_FORMAT, id) : NULL;
}

/* Goes on with a comma-separated list; "value" may come from outside. */
static void
note_deviation(ThMeetingAnswer *out, const char *name, const char *value)
{
	char *safe = th_error_redact(value, SETTING_MAX);

	if (out->deviation == NULL)
		out->deviation = psprintf("%s=%s", name, safe);
	else
		out->deviation = psprintf("%s, %s=%s", out->deviation, name, safe);
}

/* The same for what makes the meeting unusable. */
static void
note_danger(ThMeetingAnswer *out, const char *name, const char *value)
{
	note_deviation(out, name, value);
	out->is_unsafe = true;
}

/* A setting that is not told does not deviate. */
static void
compare_flag(Jsonb *document, const char *name, bool wanted,
			 ThMeetingAnswer *out)
{
	char path[64];

	snprintf(path, sizeof(path), "settings/%s", name);
	if (th_json_bool(document, path, wanted) != wanted)
		note_deviation(out, name, wanted ? "false" : "true");
}

static void
compare_word(Jsonb *document, const char *name, const char *wanted,
			 ThMeetingAnswer *out)
{
	char path[64];
	char *told;

	snprintf(path, sizeof(path), "settings/%s", name);
	told = th_json_text(document, path, NULL);
	if (told != NULL && strcmp(told, wanted) != 0)
		note_deviation(out, name, told);
}

static void
compare_start(const ThMeetingWish *wish, TimestampTz now, ThMeetingAnswer *out)
{
	TimestampTz wanted = wish->starts_at;
	TimestampTz told = out->starts_at;
	bool is_late;

	if (told != 0 && told > wanted - START_TOLERANCE &&
		told < wanted + START_TOLERANCE)
		return;
	is_late = wanted <= now &&
			  (told == 0 || (told > wanted && told <= now + LATE_TOLERANCE));
	note_deviation(out, "start_time",
				   told != 0 ? th_instant_text(told) : "none");
	if (!is_late)
		out->is_unsafe = true;
}

static void
compare_meeting(Jsonb *document, const ThMeetingWish *wish, TimestampTz now,
				ThMeetingAnswer *out)
{
	compare_start(wish, now, out);
	if (out->duration != 0 && out->duration != wish->duration)
		note_deviation(out, "duration", psprintf("%d", out->duration));
	compare_flag(document, "waiting_room", wish->waiting_room, out);
	compare_word(document, "auto_recording", wish->recording, out);
	compare_word(document, "encryption_type", wish->encryption, out);
	compare_flag(document, "meeting_authentication", wish->authentication, out);
	compare_flag(document, "join_before_host", false, out);
	compare_flag(document, "auto_start_meeting_summary", false, out);
}

/* The host's personal room is the same for every patient (Z11). */
static void
refuse_personal_room(Jsonb *document, ThMeetingAnswer *out)
{
	int64 type = th_json_int(document, "type", TYPE_SCHEDULED);
	char *room = id_text(document, "pmi");

	if (th_json_bool(document, "settings/use_pmi", false))
		note_danger(out, "use_pmi", "true");
	if (room != NULL && strcmp(room, out->meeting_id) == 0)
		note_danger(out, "personal_room", "true");
	if (type == TYPE_PERSONAL_ROOM)
		note_danger(out, "type", "4");
	else if (type != TYPE_SCHEDULED)
		note_deviation(out, "type", psprintf(INT64_FORMAT, type));
}

static TimestampTz
read_start(Jsonb *document, const ThMeetingWish *wish)
{
	char *text = th_json_text(document, "start_time", NULL);
	char *zone_name = th_json_text(document, "timezone", NULL);
	TimestampTz expected = wish != NULL ? wish->starts_at : 0;

	return th_instant_read(text, zone_name, expected);
}

/* Fields that the answers to CREATE and READ share with entries of a list. */
static bool
read_common(Jsonb *document, const ThMeetingWish *wish, ThMeetingAnswer *out)
{
	int64 duration = th_json_int(document, "duration", 0);

	out->meeting_id = id_text(document, "id");
	if (out->meeting_id == NULL)
		return false;
	out->meeting_uuid = plain_text(document, "uuid", TEXT_MAX);
	out->host_id = plain_text(document, "host_id", TEXT_MAX);
	out->host_email = plain_text(document, "host_email", TEXT_MAX);
	out->join_url = link_text(document, "join_url");
	out->starts_at = read_start(document, wish);
	out->duration = duration > 0 && duration < PG_INT32_MAX ? (int) duration
															: 0;
	refuse_personal_room(document, out);
	return true;
}

/* A meeting with an id exists, whatever else is wrong: it can be deleted. */
static bool
read_meeting(ThPlatformOp op, const ThMeetingWish *wish, Jsonb *document,
			 TimestampTz now, ThMeetingAnswer *out)
{
	if (!read_common(document, wish, out))
		return false;
	out->passcode = plain_text(document, "password", TEXT_MAX);
	if (op == TH_OP_READ)
		out->start_url = link_text(document, "start_url");
	if (out->join_url == NULL)
		note_danger(out, "join_url",
					th_json_has(document, "join_url") ? "unusable" : "none");
	if (wish != NULL)
		compare_meeting(document, wish, now, out);
	return true;
}

static bool
is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		   (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* True if "marker" stands in "agenda" as a whole word. */
static bool
has_marker(const char *agenda, const char *marker)
{
	size_t length = strlen(marker);
	const char *hit = agenda;

	if (length == 0)
		return false;
	while ((hit = strstr(hit, marker)) != NULL)
	{
		if ((hit == agenda || !is_word_char(hit[-1])) &&
			!is_word_char(hit[length]))
			return true;
		hit++;
	}
	return false;
}

static bool
is_array(Jsonb *document, const char *path)
{
	JsonbValue *value = th_json_get(document, path);

	return value != NULL && value->type == jbvBinary &&
		   JsonContainerIsArray(value->val.binary.data);
}

/*
 * The first match fills "out", the ids of others go to duplicates. What was
 * wished is not compared: the list shows no settings, and the visit may have
 * been moved since; the next look reads the meeting.
 */
static bool
read_list(const ThMeetingWish *wish, Jsonb *document, ThMeetingAnswer *out)
{
	int count = th_json_length(document, "meetings");

	if (!is_array(document, "meetings") || count > LIST_MAX)
		return false;
	for (int i = 0; i < count; i++)
	{
		Jsonb *meeting = th_json_element(document, "meetings", i);
		char *agenda;

		if (meeting == NULL)
			continue;
		agenda = th_json_text(meeting, "agenda", NULL);
		if (agenda == NULL || !has_marker(agenda, wish->marker))
			continue;
		if (out->n_found == 0)
		{
			if (!read_common(meeting, wish, out))
				return false;
			out->is_found = true;
			out->duplicates = palloc0(sizeof(char *) * count);
		}
		else
		{
			char *id = id_text(meeting, "id");

			if (id == NULL)
				return false;
			out->duplicates[out->n_found - 1] = id;
		}
		out->n_found++;
	}
	out->next_page = plain_text(document, "next_page_token", URL_MAX);
	return true;
}

static bool
read_token(Jsonb *document, ThMeetingAnswer *out)
{
	int64 expires_in = th_json_int(document, "expires_in", TOKEN_SECONDS);

	out->token = plain_text(document, "access_token", TOKEN_MAX);
	if (out->token == NULL || strchr(out->token, ' ') != NULL ||
		expires_in <= 0)
		return false;
	out->expires_in = (int) Min(expires_in, TOKEN_SECONDS_MAX);
	out->scopes = plain_text(document, "scope", TOKEN_MAX);
	out->refresh_token = plain_text(document, "refresh_token", TOKEN_MAX);
	return true;
}

/* A user who is not active cannot hold meetings. */
static bool
read_host(Jsonb *document, ThMeetingAnswer *out)
{
	int64 plan = th_json_int(document, "type", 0);
	char *status = plain_text(document, "status", SETTING_MAX);

	out->host_id = plain_text(document, "id", TEXT_MAX);
	if (out->host_id == NULL)
		return false;
	out->host_email = plain_text(document, "email", TEXT_MAX);
	out->host_pmi = id_text(document, "pmi");
	out->host_plan = plan == 1 || plan == 2 ? (int) plan : 0;
	if (status != NULL && strcmp(status, "active") != 0)
	{
		out->verdict = TH_VERDICT_NO_HOST;
		out->message = psprintf("the user's status is \"%s\"",
								th_error_redact(status, SETTING_MAX));
	}
	return true;
}

/* Without an end there is nothing to be learned from it. */
static bool
read_past(Jsonb *document, ThMeetingAnswer *out)
{
	char *zone_name = th_json_text(document, "timezone", NULL);

	out->starts_at = th_instant_read(th_json_text(document, "start_time", NULL),
									 zone_name, 0);
	out->ended_at = th_instant_read(th_json_text(document, "end_time", NULL),
									zone_name, 0);
	return out->ended_at != 0;
}

static bool
read_success(ThPlatformOp op, const ThMeetingWish *wish, Jsonb *document,
			 TimestampTz now, ThMeetingAnswer *out)
{
	if (op == TH_OP_UPDATE || op == TH_OP_DELETE)
		return true;
	if (document == NULL)
		return false;
	switch (op)
	{
		case TH_OP_TOKEN:
			return read_token(document, out);
		case TH_OP_FIND:
			return read_list(wish, document, out);
		case TH_OP_HOST:
			return read_host(document, out);
		case TH_OP_PAST:
			return read_past(document, out);
		default:
			return read_meeting(op, wish, document, now, out);
	}
}

void
th_zoom_read(ThPlatformOp op, const ThMeetingWish *wish,
			 const ThHttpResult *result, TimestampTz now, ThMeetingAnswer *out)
{
	Jsonb *document = NULL;

	memset(out, 0, sizeof(*out));
	if (result->end == TH_HTTP_ANSWERED && result->body != NULL &&
		result->body_length > 0 &&
		!th_json_parse(result->body, result->body_length, &document))
		document = NULL;
	th_zoom_judge(op, result, document, now, out);
	if (out->verdict == TH_VERDICT_OK &&
		!read_success(op, wish, document, now, out))
		th_zoom_judge_unreadable(op, out);
	if (document != NULL)
		explicit_bzero(document, VARSIZE(document));
}
