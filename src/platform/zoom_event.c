/*
 * zoom_event.c
 *	  Zoom's webhooks: who signed, and what a delivery says.
 *
 * The identity of a happening is made of what stays the same when it is told
 * again: the run of the meeting, the person, the kind, and the time inside.
 * The time at which the event was made counts only where there is no other.
 */
#include "postgres.h"

#include <string.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/th_instant.h"
#include "crypto/mac.h"
#include "crypto/token.h"
#include "json/json_mend.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "platform/zoom.h"
#include "platform/zoom_event.h"

#define SIGNATURE_PREFIX "v0="
#define CHALLENGE "endpoint.url_validation"
#define MOST_TOKEN 512
#define MOST_FILES 1000

/* Milliseconds of the year 2000, and of 10000, in Zoom's count. */
#define FIRST_MS INT64CONST(946684800000)
#define LAST_MS INT64CONST(253402300800000)

/* Members that are secrets, wherever they stand. */
#define SECRET(name)                                                           \
	{                                                                          \
		name, sizeof(name) - 1                                                 \
	}

static const struct
{
	const char *name;
	int length;
} secret_members[] = {
	SECRET("password"),
	SECRET("download_token"),
	SECRET("download_access_token"),
	SECRET("recording_play_passcode"),
	SECRET("encrypted_password"),
	SECRET("h323_password"),
	SECRET("pstn_password"),
	SECRET("start_url"),
	SECRET("plainToken"),
};

/* ---- who signed ---- */

/* Seconds, or milliseconds with 13 digits; 0 if it is neither. */
static TimestampTz
stamp_of(const char *text)
{
	size_t length = strlen(text);
	int64 value = 0;

	if (length < 9 || length > 13 || strspn(text, "0123456789") != length)
		return 0;
	for (; *text != '\0'; text++)
		value = value * 10 + (*text - '0');
	if (length < 13)
		value *= 1000;
	if (value <= FIRST_MS || value >= LAST_MS)
		return 0;
	return (value - FIRST_MS) * 1000;
}

bool
th_zoom_event_is_timely(const char *signature, const char *timestamp,
						TimestampTz now)
{
	const size_t prefix = strlen(SIGNATURE_PREFIX);
	TimestampTz at;

	if (signature == NULL || timestamp == NULL ||
		strncmp(signature, SIGNATURE_PREFIX, prefix) != 0 ||
		strlen(signature) != prefix + TH_MAC_MAX_HEX)
		return false;
	at = stamp_of(timestamp);
	return at != 0 && at >= now - TH_ZOOM_LATE_MINUTES * USECS_PER_MINUTE &&
		   at <= now + TH_ZOOM_EARLY_MINUTES * USECS_PER_MINUTE;
}

static void
sign(const char *secret, const ThMacPart *parts, int n,
	 char hex[TH_MAC_MAX_HEX + 1])
{
	unsigned char mac[TH_MAC_MAX_BYTES];
	size_t length = th_mac_hmac(TH_MAC_SHA256, secret, strlen(secret), parts, n,
								mac);

	th_mac_hex(mac, length, hex);
}

bool
th_zoom_event_verify(const char *secret, const char *signature,
					 const char *timestamp, const char *body, size_t length)
{
	const ThMacPart parts[] = { { "v0:", 3 },
								{ timestamp, strlen(timestamp) },
								{ ":", 1 },
								{ body, length } };
	char hex[TH_MAC_MAX_HEX + 1];

	sign(secret, parts, lengthof(parts), hex);
	return th_mac_is_equal_text(signature + strlen(SIGNATURE_PREFIX), hex);
}

/* ---- what it says ---- */

/* A member of an object, NULL for none, null and an object that is none. */
static JsonbValue *
member(JsonbContainer *object, const char *name)
{
	JsonbValue *value;

	if (object == NULL || !JsonContainerIsObject(object))
		return NULL;
	value = getKeyJsonValueFromContainer(object, name, (int) strlen(name),
										 NULL);
	return value == NULL || value->type == jbvNull ? NULL : value;
}

static JsonbContainer *
container(JsonbContainer *object, const char *name)
{
	JsonbValue *value = member(object, name);

	return value != NULL && value->type == jbvBinary ? value->val.binary.data
													 : NULL;
}

/* Text or a number as text, at most so long; NULL if empty or neither. */
static char *
text_of(JsonbContainer *object, const char *name)
{
	JsonbValue *value = member(object, name);
	char *text;
	int length;

	if (value == NULL)
		return NULL;
	if (value->type == jbvNumeric)
	{
		text = numeric_normalize(value->val.numeric);
		length = (int) strlen(text);
	}
	else if (value->type == jbvString)
	{
		text = value->val.string.val;
		length = value->val.string.len;
	}
	else
		return NULL;
	if (length == 0)
		return NULL;
	return pnstrdup(text, pg_mbcliplen(text, length, TH_EVENT_MOST_TEXT));
}

Jsonb *
th_zoom_event_parse(const char *body, size_t length)
{
	Jsonb *document;

	if (!th_json_parse(body, length, &document))
	{
		size_t mended_length;
		char *mended;

		if (memchr(body, '\0', length) != NULL ||
			!pg_verify_mbstr(PG_UTF8, body, (int) length, true))
			return NULL;
		mended = th_json_mend(body, length, &mended_length);
		if (!th_json_parse(mended, mended_length, &document))
			return NULL;
	}
	if (!JB_ROOT_IS_OBJECT(document) ||
		member(&document->root, "event") == NULL ||
		member(&document->root, "event")->type != jbvString ||
		text_of(&document->root, "event") == NULL)
		return NULL;
	return document;
}

char *
th_zoom_event_account(Jsonb *body)
{
	return text_of(container(&body->root, "payload"), "account_id");
}

bool
th_zoom_event_is_challenge(Jsonb *body)
{
	JsonbValue *name = member(&body->root, "event");

	return name->val.string.len == (int) strlen(CHALLENGE) &&
		   memcmp(name->val.string.val, CHALLENGE, strlen(CHALLENGE)) == 0;
}

char *
th_zoom_event_proof(Jsonb *body, const char *secret)
{
	JsonbValue *plain = member(container(&body->root, "payload"), "plainToken");
	char hex[TH_MAC_MAX_HEX + 1];
	ThMacPart part;
	ThJsonWriter writer;
	StringInfoData reply;

	if (plain == NULL || plain->type != jbvString ||
		plain->val.string.len == 0 || plain->val.string.len > MOST_TOKEN)
		return NULL;
	part.data = plain->val.string.val;
	part.length = (size_t) plain->val.string.len;
	sign(secret, &part, 1, hex);

	initStringInfo(&reply);
	th_json_write_start(&writer, &reply);
	th_json_write_object(&writer, NULL);
	th_json_write_text(&writer, "plainToken", pnstrdup(part.data, part.length));
	th_json_write_text(&writer, "encryptedToken", hex);
	th_json_write_end_object(&writer);
	return reply.data;
}

/* ---- identity ---- */

/* With its length, so that nothing runs into the next. */
static void
add_part(StringInfo identity, const char *text)
{
	if (text == NULL)
		appendStringInfoString(identity, "-,");
	else
	{
		char length[MAXINT8LEN + 1];

		appendBinaryStringInfo(identity, length,
							   pg_ulltoa_n(strlen(text), length));
		appendStringInfoChar(identity, ':');
		appendStringInfoString(identity, text);
		appendStringInfoChar(identity, ',');
	}
}

/* Members of an object into the identity; true if there was one of them. */
static bool
add_members(StringInfo identity, JsonbContainer *object,
			const char *const *names)
{
	bool is_there = false;

	for (; *names != NULL; names++)
	{
		char *text = text_of(object, *names);

		add_part(identity, text);
		is_there |= text != NULL;
	}
	return is_there;
}

static bool
add_files(StringInfo identity, JsonbContainer *object, const char *name)
{
	static const char *const facts[] = { "id", "status", "recording_start",
										 "recording_end", NULL };
	JsonbContainer *list = container(object, name);
	bool is_there = false;

	if (list == NULL)
		return false;
	if (JsonContainerIsObject(list))
		return add_members(identity, list, facts);
	for (uint32 i = 0; i < Min(JsonContainerSize(list), MOST_FILES); i++)
	{
		JsonbValue *file = getIthJsonbValueFromContainer(list, i);

		if (file != NULL && file->type == jbvBinary)
			is_there |= add_members(identity, file->val.binary.data, facts);
	}
	return is_there;
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
	{
		if (strcmp(name, *names) == 0)
			return true;
	}
	return false;
}

/* The times of the happening itself, if the event has one. */
static bool
add_times(StringInfo identity, const char *name, JsonbContainer *object,
		  JsonbContainer *person)
{
	static const char *const of_person[] = { "join_time", "leave_time",
											 "date_time", NULL };
	static const char *const of_meeting[] = { "start_time", "end_time", NULL };
	static const char *const runs[] = { "meeting.started", "meeting.ended",
										NULL };
	static const char *const files[] = {
		"recording.started", "recording.stopped", "recording.completed",
		"recording.transcript_completed", NULL
	};
	bool is_there = add_members(identity, person, of_person);

	/* without the run's own name a meeting that is held again looks the same */
	if (is_one_of(name, runs) && text_of(object, "uuid") != NULL)
		is_there |= add_members(identity, object, of_meeting);
	if (is_one_of(name, files))
	{
		is_there |= add_files(identity, object, "recording_file");
		is_there |= add_files(identity, object, "recording_files");
		is_there |= add_files(identity, object, "participant_audio_files");
	}
	return is_there;
}

static void
identify(ThEvent *event, Jsonb *body, JsonbContainer *object,
		 JsonbContainer *person, const char *bytes, size_t length)
{
	static const char *const of_person[] = { "id",
											 "user_id",
											 "participant_uuid",
											 "participant_user_id",
											 "registrant_id",
											 "customer_key",
											 NULL };
	StringInfoData identity;
	char *made_at = text_of(&body->root, "event_ts");

	initStringInfo(&identity);
	add_part(&identity, event->name);
	add_part(&identity, event->meeting_uuid != NULL ? event->meeting_uuid
													: event->meeting_id);
	(void) add_members(&identity, person, of_person);
	if (add_times(&identity, event->name, object, person))
		;
	else if (made_at != NULL)
	{
		add_part(&identity, made_at);
		add_part(&identity, text_of(object, "id"));
		add_part(&identity, text_of(object, "user_id"));
	}
	else
		appendBinaryStringInfo(&identity, bytes, (int) length);
	th_sha256(identity.data, (size_t) identity.len, event->key);
}

/* ---- what is kept ---- */

static bool
is_secret(const JsonbValue *key)
{
	for (size_t i = 0; i < lengthof(secret_members); i++)
	{
		if (key->val.string.len == secret_members[i].length &&
			memcmp(key->val.string.val, secret_members[i].name,
				   (size_t) key->val.string.len) == 0)
			return true;
	}
	return false;
}

static bool
has_secret(Jsonb *document)
{
	JsonbIterator *iterator = JsonbIteratorInit(&document->root);
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY && is_secret(&value))
			return true;
	}
	return false;
}

/* The document without the members that are secrets. */
static Jsonb *
without_secrets(Jsonb *document)
{
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;

	if (!has_secret(document))
		return document;
	iterator = JsonbIteratorInit(&document->root);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY && is_secret(&value))
		{
			/* whatever it holds, at once */
			(void) JsonbIteratorNext(&iterator, &value, true);
			continue;
		}
		result = pushJsonbValue(&state, token,
								token == WJB_KEY || token == WJB_VALUE ||
										token == WJB_ELEM
									? &value
									: NULL);
	}
	return JsonbValueToJsonb(result);
}

/* ---- all of it ---- */

/* When the event was made, to the millisecond; else the time inside. */
static TimestampTz
time_of(Jsonb *body, JsonbContainer *object, JsonbContainer *person)
{
	static const char *const names[] = { "date_time", "leave_time", "join_time",
										 "end_time", "start_time" };
	int64 ms = th_json_int(body, "event_ts", 0);

	if (ms > FIRST_MS && ms < LAST_MS)
		return (ms - FIRST_MS) * 1000;
	for (size_t i = 0; i < lengthof(names); i++)
	{
		const char *text = text_of(i < 3 ? person : object, names[i]);
		TimestampTz at = text == NULL ? 0 : th_instant_read(text, "UTC", 0);

		if (at != 0)
			return at;
	}
	return 0;
}

/* The first that is there; what names a person longest comes first. */
static const char *
person_id(JsonbContainer *person)
{
	static const char *const names[] = { "id",
										 "participant_user_id",
										 "customer_key",
										 "registrant_id",
										 "participant_uuid",
										 "user_id" };

	for (size_t i = 0; i < lengthof(names); i++)
	{
		const char *text = text_of(person, names[i]);

		if (text != NULL)
			return text;
	}
	return NULL;
}

static int
whole_number(JsonbContainer *object, const char *name)
{
	JsonbValue *value = member(object, name);
	bool is_bad = false;
	int32 number;

	if (value == NULL || value->type != jbvNumeric)
		return -1;
	number = numeric_int4_opt_error(value->val.numeric, &is_bad);
	return is_bad || number < 0 ? -1 : number;
}

void
th_zoom_event_read(Jsonb *body, const char *bytes, size_t length,
				   ThEvent *event)
{
	JsonbContainer *payload = container(&body->root, "payload");
	JsonbContainer *object = container(payload, "object");
	JsonbContainer *person = container(object, "participant");
	JsonbValue *asked;

	if (person == NULL)
		person = container(object, "test_result");
	memset(event, 0, sizeof(*event));
	event->name = text_of(&body->root, "event");
	event->account_ref = th_zoom_event_account(body);
	event->at = time_of(body, object, person);
	event->meeting_uuid = text_of(object, "uuid");
	if (strncmp(event->name, "meeting.", 8) == 0 ||
		strncmp(event->name, "recording.", 10) == 0 ||
		event->meeting_uuid != NULL)
		event->meeting_id = text_of(object, "id");
	if (event->meeting_id == NULL)
		event->meeting_id = text_of(object, "meeting_number");
	event->participant_id = person_id(person);
	event->participant_name = text_of(person, "user_name");
	event->latency_ms = whole_number(person, "latency_ms");
	if (event->latency_ms < 0)
		event->latency_ms = whole_number(object, "latency_ms");
	asked = member(object, "interpreter_requested");
	if (asked != NULL && asked->type == jbvBool)
		event->interpreter_requested = asked->val.boolean;
	else
		event->interpreter_requested =
			strcmp(event->name, "meeting.interpreter_requested") == 0 ? 1 : -1;
	identify(event, body, object, person, bytes, length);
	event->raw = without_secrets(body);
}
