/*
 * event_wish.c
 *	  Which facts of a visit leave to somebody's calendar.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "crypto/token.h"
#include "flow/event_wish.h"
#include "json/json_read.h"
#include "store/meeting.h"

#define KEY_PREFIX "th-"

/* Behind the hash of what names somebody. */
#define NAMING_MARK "+"

#define MAX_SUMMARY_BYTES 200
#define MAX_TEXT_BYTES 1500

/* ---- keys ---- */

void
th_event_key_write(char *out, const ThInstallation *installation,
				   int64 clinic_id, int64 connection_id, int64 appointment_id)
{
	snprintf(out, TH_EVENT_KEY_SIZE,
			 KEY_PREFIX "%s-" INT64_FORMAT "-" INT64_FORMAT "-" INT64_FORMAT,
			 installation->tag, clinic_id, connection_id, appointment_id);
}

/* A number as we write it; false for any other text. */
static bool
take_number(const char **text, int64 *out)
{
	const char *p = *text;
	bool is_negative = *p == '-';
	uint64 value = 0;

	if (is_negative)
		p++;
	if (!isdigit((unsigned char) *p))
		return false;
	for (; isdigit((unsigned char) *p); p++)
	{
		if (value > (uint64) PG_INT64_MAX / 10 - 1)
			return false;
		value = value * 10 + (uint64) (*p - '0');
	}
	*out = is_negative ? -(int64) value : (int64) value;
	*text = p;
	return true;
}

bool
th_event_key_read(const char *key, const char *tag, int64 *clinic_id,
				  int64 *connection_id, int64 *appointment_id)
{
	size_t prefix = strlen(KEY_PREFIX);
	size_t length = strlen(tag);

	if (pg_strncasecmp(key, KEY_PREFIX, prefix) != 0 ||
		pg_strncasecmp(key + prefix, tag, length) != 0)
		return false;
	key += prefix + length;
	return *key++ == '-' && take_number(&key, clinic_id) && *key++ == '-' &&
		   take_number(&key, connection_id) && *key++ == '-' &&
		   take_number(&key, appointment_id) && *key == '\0';
}

/* ---- wishes ---- */

static bool
setting_bool(const ThEventSubject *subject, const char *name, bool otherwise)
{
	const ThConnection *x = subject->connection;

	return x->settings == NULL ? otherwise
							   : th_json_bool(x->settings, name, otherwise);
}

bool
th_event_is_shown(const ThEventSubject *subject)
{
	return strcmp(subject->visit.type, "VIDEO") == 0 ||
		   !setting_bool(subject, "only_video", false);
}

static char *
clip(char *text, int max)
{
	int length = (int) strlen(text);

	if (length > max)
		text[pg_mbcliplen(text, length, max)] = '\0';
	return text;
}

static void
append_fact(StringInfo out, const char *value, bool is_allowed)
{
	if (!is_allowed || value == NULL || value[0] == '\0')
		return;
	appendStringInfo(out, "%s%s", out->len > 0 ? "; " : "", value);
}

/* What a visit is called when everything of it stays here. */
static const char *
common_summary(const ThEventSubject *subject)
{
	const ThConnection *x = subject->connection;
	const char *type = subject->visit.type;
	const char *own = x->settings == NULL
						  ? NULL
						  : th_json_text(x->settings, "summary", NULL);

	if (own != NULL && own[0] != '\0')
		return own;
	if (strcmp(type, "VIDEO") == 0)
		return "Telehealth appointment";
	return strcmp(type, "PHONE") == 0 ? "Phone appointment" : "Appointment";
}

static const char *
summary_of(const ThEventSubject *subject)
{
	const ThEventVisit *v = &subject->visit;
	uint32 facts = subject->disclosed;
	StringInfoData text;

	initStringInfo(&text);
	append_fact(&text, v->title, facts & TH_FACT_TITLE);
	append_fact(&text, v->provider_name, facts & TH_FACT_PROVIDER_NAME);
	append_fact(&text, v->patient_name, facts & TH_FACT_PATIENT_NAME);
	if (text.len == 0)
		appendStringInfoString(&text, common_summary(subject));
	return clip(text.data, MAX_SUMMARY_BYTES);
}

static const char *
allowed_text(const char *value, bool is_allowed)
{
	if (!is_allowed || value == NULL || value[0] == '\0')
		return NULL;
	return clip(pstrdup(value), MAX_TEXT_BYTES);
}

static bool
is_naming(const char *hash)
{
	return hash != NULL && strchr(hash, NAMING_MARK[0]) != NULL;
}

/* The patient is invited only if the connection and the policy both say so. */
static void
add_attendee(const ThEventSubject *subject, ThEventWish *wish)
{
	const char *email = subject->visit.patient_email;
	const char **attendees;
	bool invites = setting_bool(subject, "invite_patient", false);

	wish->names_attendees = invites || is_naming(subject->event.pushed_hash) ||
							is_naming(subject->event.wish_hash);
	if (email == NULL || email[0] == '\0' ||
		(subject->disclosed & TH_FACT_EMAIL) == 0 || !invites)
		return;
	attendees = palloc_array(const char *, 1);
	attendees[0] = email;
	wish->attendees = attendees;
	wish->n_attendees = 1;
	wish->mails_attendees = true;
}

static void
append_part(StringInfo out, const char *text)
{
	appendStringInfo(out, "%s\x1f", text == NULL ? "" : text);
}

static char *
hash_of(const ThEventWish *wish)
{
	StringInfoData text;
	unsigned char digest[TH_SHA256_BYTES];
	char *hex = palloc(TH_SHA256_BYTES * 2 + sizeof(NAMING_MARK));

	initStringInfo(&text);
	appendStringInfo(&text, INT64_FORMAT "\x1f" INT64_FORMAT "\x1f%d%d%d\x1f",
					 wish->starts_at, wish->ends_at, wish->is_private,
					 wish->is_free, wish->mails_attendees);
	append_part(&text, wish->timezone);
	append_part(&text, wish->summary);
	append_part(&text, wish->description);
	append_part(&text, wish->location);
	append_part(&text, wish->url);
	for (int i = 0; i < wish->n_attendees; i++)
		append_part(&text, wish->attendees[i]);
	th_sha256(text.data, text.len, digest);
	for (int i = 0; i < TH_SHA256_BYTES; i++)
		snprintf(hex + i * 2, 3, "%02x", digest[i]);
	if (wish->n_attendees > 0)
		memcpy(hex + TH_SHA256_BYTES * 2, NAMING_MARK, sizeof(NAMING_MARK));
	return hex;
}

bool
th_event_wish_is_pushed(const ThEventSubject *subject, const ThEventWish *wish,
						const ThEventSeen *seen)
{
	ThEventWish there = *wish;

	if (subject->event.pushed_hash == NULL || seen->is_all_day)
		return false;
	there.starts_at = seen->starts_at;
	there.ends_at = seen->ends_at;
	if (seen->summary != NULL)
		there.summary = seen->summary;
	return strcmp(hash_of(&there), subject->event.pushed_hash) == 0;
}

/* Calendars know whole seconds. */
static TimestampTz
whole_second(TimestampTz at)
{
	int64 rest = at % USECS_PER_SEC;

	return at - (rest < 0 ? rest + USECS_PER_SEC : rest);
}

void
th_event_wish_make(const ThEventSubject *subject, const char *key,
				   ThEventWish *wish, const char **hash)
{
	const ThEventVisit *v = &subject->visit;
	uint32 facts = subject->disclosed;

	memset(wish, 0, sizeof(*wish));
	wish->uid = subject->event.uid;
	wish->key = key;
	wish->generation = subject->event.generation;
	wish->starts_at = whole_second(v->starts_at);
	wish->ends_at = whole_second(v->ends_at);
	wish->timezone = v->timezone;
	wish->summary = summary_of(subject);
	wish->description = allowed_text(v->reason, facts & TH_FACT_REASON);
	wish->location = allowed_text(v->location, facts & TH_FACT_LOCATION);
	wish->url = allowed_text(v->join_url, facts & TH_FACT_JOIN_URL);
	wish->is_private = true;
	wish->sequence = v->sequence;
	wish->updated_at = v->updated_at;
	add_attendee(subject, wish);
	*hash = hash_of(wish);
}
