/*
 * wish.c
 *	  Which facts of an appointment leave to a video platform.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "crypto/token.h"
#include "flow/wish.h"
#include "json/json_read.h"

#define DEFAULT_TOPIC "Telehealth visit"
#define MAX_TOPIC_BYTES 180
#define MAX_AGENDA_BYTES 1500

/* The account's word for a setting, or ours. */
static const char *
setting_text(const ThAccount *account, const char *name, const char *otherwise)
{
	return account == NULL || account->settings == NULL
			   ? otherwise
			   : th_json_text(account->settings, name, otherwise);
}

static bool
setting_bool(const ThAccount *account, const char *name, bool otherwise)
{
	return account == NULL || account->settings == NULL
			   ? otherwise
			   : th_json_bool(account->settings, name, otherwise);
}

static void
append_fact(StringInfo out, const char *label, const char *value,
			bool is_allowed)
{
	if (!is_allowed || value == NULL || value[0] == '\0')
		return;
	if (out->len > 0)
		appendStringInfoString(out, "; ");
	appendStringInfo(out, "%s%s", label, value);
}

static char *
clip(char *text, int max)
{
	int length = (int) strlen(text);

	if (length > max)
		text[pg_mbcliplen(text, length, max)] = '\0';
	return text;
}

static char *
topic_of(const ThMeetingSubject *subject)
{
	const ThAppointment *a = &subject->appointment;
	StringInfoData topic;

	initStringInfo(&topic);
	append_fact(&topic, "", a->title, subject->disclosed & TH_FACT_TITLE);
	append_fact(&topic, "", a->provider_name,
				subject->disclosed & TH_FACT_PROVIDER_NAME);
	append_fact(&topic, "", a->patient_name,
				subject->disclosed & TH_FACT_PATIENT_NAME);
	if (topic.len == 0)
		appendStringInfoString(&topic, DEFAULT_TOPIC);
	return clip(topic.data, MAX_TOPIC_BYTES);
}

static char *
agenda_of(const ThMeetingSubject *subject)
{
	StringInfoData agenda;

	initStringInfo(&agenda);
	append_fact(&agenda, "", subject->appointment.reason,
				subject->disclosed & TH_FACT_REASON);
	return agenda.len == 0 ? NULL : clip(agenda.data, MAX_AGENDA_BYTES);
}

/* The provider's user at the platform, the account's default, its owner. */
static const char *
host_of(const ThMeetingSubject *subject)
{
	const char *user = subject->appointment.platform_user;

	if (subject->account != NULL && subject->account->is_user_level)
		return "me";
	if (user != NULL && user[0] != '\0')
		return user;
	return setting_text(subject->account, "default_user", "me");
}

static char *
hash_of(const ThMeetingWish *wish)
{
	static const char digits[] = "0123456789abcdef";
	StringInfoData text;
	unsigned char digest[TH_SHA256_BYTES];
	char *hex = palloc0(TH_SHA256_BYTES * 2 + 1);

	initStringInfo(&text);
	appendStringInfo(&text,
					 "%s\x1f%s\x1f%s\x1f" INT64_FORMAT
					 "\x1f%d\x1f%s\x1f%s\x1f%s\x1f%d%d%d",
					 wish->host, wish->topic,
					 wish->agenda == NULL ? "" : wish->agenda, wish->starts_at,
					 wish->duration, wish->timezone, wish->recording,
					 wish->encryption, wish->waiting_room, wish->authentication,
					 wish->mute_upon_entry);
	th_sha256(text.data, text.len, digest);
	for (int i = 0; i < TH_SHA256_BYTES; i++)
	{
		hex[i * 2] = digits[digest[i] >> 4];
		hex[i * 2 + 1] = digits[digest[i] & 0x0f];
	}
	return hex;
}

char *
th_wish_sent(const char *hash)
{
	return psprintf("sent:%s", hash);
}

void
th_wish_make(const ThMeetingSubject *subject, ThMeetingWish *wish,
			 const char **hash)
{
	const ThAppointment *a = &subject->appointment;
	const ThAccount *account = subject->account;
	bool is_strict = setting_bool(account, "hipaa", false);
	bool may_record = !setting_bool(account, "hipaa", true);
	const char *recording = setting_text(account, "recording", "none");

	memset(wish, 0, sizeof(*wish));
	wish->subject = psprintf(INT64_FORMAT "/" INT64_FORMAT, a->clinic_id,
							 a->id);
	wish->host = host_of(subject);
	wish->topic = topic_of(subject);
	wish->agenda = agenda_of(subject);
	wish->starts_at = a->starts_at;
	wish->duration = a->duration;
	wish->timezone = a->timezone;
	wish->waiting_room = is_strict ||
						 setting_bool(account, "waiting_room", true);

	/*
	 * Nothing is recorded by itself without consent; an account that is said
	 * to be outside HIPAA answers for itself.
	 */
	wish->recording = may_record ? recording : "none";
	wish->encryption = setting_text(account, "encryption",
									"enhanced_encryption");
	wish->authentication = setting_bool(account, "authentication", false);
	wish->mute_upon_entry = setting_bool(account, "mute_upon_entry", false);
	*hash = hash_of(wish);
}
