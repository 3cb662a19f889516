/*
 * hint.c
 *	  What to do about each reason why a meeting or an event waits.
 */
#include "postgres.h"

#include <string.h>

#include "api/hint.h"

static const struct
{
	const char *word;
	const char *reason;
	const char *hint;
} words[] = {
	{ "no_account", "no account is connected at its video platform",
	  "Connect one with telehealth.connect_platform()." },
	{ "clinic_inactive", "its clinic is not active",
	  "Set is_active of the clinic." },
	{ "environment_unconfirmed",
	  "this database is not the one that was recorded as the environment",
	  "If it may talk to real patients, run SELECT "
	  "telehealth.adopt_environment()." },
	{ "paused", "outward work is paused",
	  "Run SELECT telehealth.resume_outbound()." },
	{ "outbound_off", "telehealth.outbound is off",
	  "Turn it on with ALTER DATABASE ... SET telehealth.outbound." },
	{ "key_missing", "the key that sealed its account's secrets is missing",
	  "Restore telehealth.key_file, or connect the account again." },
	{ "no_host_capacity", "its host is in another meeting when it begins",
	  "Give providers a host of their own (provider.platform_user), move the visit, or set host_meetings_at_once in telehealth.vendor_limit if the licence allows more." },
	{ "no_host", "the platform does not know its host",
	  "Set platform_user or email of the provider, or the account's setting "
	  "default_user." },
	{ "scope_missing", "the account's app lacks a permission at the platform",
	  "Grant the scope that telehealth.platform_status names." },
	{ "credentials_refused", "the platform refused the account's credentials",
	  "Connect the account again with telehealth.connect_platform()." },
	{ "token_refused", "the platform refuses the tokens it gives out",
	  "See telehealth.check_platform() of the account." },
	{ "quota_until", "the platform's daily limit is used up",
	  "It goes on after the limit's end, midnight UTC for a Zoom host." },
	{ "rate_limited", "the platform asked to slow down",
	  "It goes on by itself." },
	{ "waiting_for_place",
	  "visits before it use what the account may do a second",
	  "It goes on by itself." },
	{ "platform_unreachable", "the platform does not answer",
	  "It goes on by itself once the platform answers." },
	{ "mock", "telehealth.mock is on, and a vendor made its meeting",
	  "Turn telehealth.mock off to let the vendor be asked." },
	{ "no_token", "the calendar's vendor gives no access token now",
	  "It goes on by itself; telehealth.calendar_status says what the vendor tells." },
	{ "calendar_unreachable", "the calendar's server does not answer",
	  "It goes on by itself once the server answers." },
	{ "no_channel", "the calendar's vendor gives no notifications now",
	  "It is asked again by itself; pulls are made as often as they are due." },
	{ "channels", "the calendar's notifications are being stopped",
	  "It goes on by itself." },
	{ "outcome_unknown", "the answer to a request was lost",
	  "It is looked up at the platform before anything is repeated." },
	{ "reauth_required", "access to the calendar has to be granted again",
	  "Send its owner to the address that telehealth.connect_calendar() gives." },
	{ "not_connected", "the calendar is not connected yet",
	  "Its owner has to consent, or the calendar is being looked for." },
	{ "remote_change", "somebody deleted it in the calendar",
	  "The next pull decides what becomes of it, by remote_change_policy." },
	{ "suspicious_pull", "a pull would remove suspiciously much",
	  "Somebody has to look at the calendar, see telehealth.sync_calendar()." },
	{ "dead", "it was given up",
	  "Mend the cause, then run SELECT telehealth.retry_dead_jobs()." },
	{ "version_mismatch",
	  "the installed extension is of another version than its library",
	  "Run ALTER EXTENSION telehealth UPDATE, or restart the server with the "
	  "matching library." },
	{ "worker_down", "no telehealth worker runs in this database",
	  "The views telehealth.health and telehealth.worker_status say why." },
};

const char *
th_hint_for(const char *word)
{
	for (size_t i = 0; word != NULL && i < lengthof(words); i++)
	{
		if (strcmp(words[i].word, word) == 0)
			return words[i].hint;
	}
	return NULL;
}

const char *
th_hint_reason(const char *word)
{
	for (size_t i = 0; word != NULL && i < lengthof(words); i++)
	{
		if (strcmp(words[i].word, word) == 0)
			return words[i].reason;
	}
	return word;
}
