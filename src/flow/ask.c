/*
 * ask.c
 *	  Questions of backends that need the network.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_error.h"
#include "flow/ask.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "store/history.h"

/* A clock further off than this is told (Z7). */
#define MAX_SKEW_MS 30000

/* Zoom's plan numbers. */
#define PLAN_BASIC 1

/* Hosts beside the default one that a check looks at. */
#define MAX_HOSTS 10

static void
answer_ask(ThWork *work, int sqlstate, const char *reply, const char *hint)
{
	work->state = TH_WORK_FINISHED;
	work->ask->sqlstate = sqlstate;
	work->ask->reply = MemoryContextStrdup(work->context, reply);
	work->ask->hint = hint;
}

static void
add_check(ThWork *work, const char *name, const char *status,
		  const char *detail, const char *hint)
{
	ThJsonWriter writer;
	StringInfo out = work->ask->checks;

	appendStringInfoChar(out, out->len == 0 ? '[' : ',');
	th_json_write_start(&writer, out);
	th_json_write_object(&writer, NULL);
	th_json_write_text(&writer, "check", name);
	th_json_write_text(&writer, "status", status);
	th_json_write_text(&writer, "detail", detail);
	th_json_write_text(&writer, "hint", hint);
	th_json_write_end_object(&writer);
}

static void
answer_checks(ThWork *work)
{
	StringInfo out = work->ask->checks;

	appendStringInfoString(out, out->len == 0 ? "[]" : "]");
	answer_ask(work, 0, out->data, NULL);
}

static bool
is_disconnected(const ThAccount *account)
{
	return account != NULL && strcmp(account->status, "disconnected") == 0;
}

static void
decide_start_url(ThWork *work)
{
	ThSession *s = th_session_get(work->ask->clinic_id, work->ask->subject_id);

	if (s == NULL || s->meeting_id == NULL || s->is_retired)
	{
		answer_ask(work, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				   "the session has no meeting",
				   "Wait for it with telehealth.await_meeting().");
		return;
	}
	work->target = s;
	work->platform = th_platform_find(s->platform);
	if (s->account_id != 0)
		work->account = th_account_get(s->account_clinic_id, s->account_id);
	if (is_disconnected(work->account))
		work->account = NULL;
	work->wish.marker = s->marker;
	work->wish.host = s->host;
	work->wish.topic = "";
	work->wish.starts_at = s->scheduled_at;
	work->wish.duration = s->duration;
	work->wish.timezone = "UTC";
	work->wish.recording = "none";
	work->wish.encryption = "enhanced_encryption";
	work->wish.subject = psprintf(INT64_FORMAT "/" INT64_FORMAT, s->clinic_id,
								  s->appointment_id);
	work->purpose = TH_PURPOSE_ASK;
	work->op = TH_OP_READ;
	work->state = TH_WORK_READY;
	if (work->platform == NULL ||
		(work->platform->answer == NULL && work->account == NULL))
		answer_ask(
			work, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			"the account of the session is gone or disconnected",
			"Connect the platform again with telehealth.connect_platform().");
}

static void
decide_check(ThWork *work)
{
	work->ask->checks = makeStringInfo();
	work->account = th_account_get(work->ask->clinic_id, work->ask->subject_id);
	work->platform = work->account == NULL
						 ? NULL
						 : th_platform_find(work->account->platform);
	work->purpose = TH_PURPOSE_ASK;
	work->op = TH_OP_HOST;
	work->state = TH_WORK_READY;
	if (work->platform == NULL)
	{
		add_check(work, "adapter", "error",
				  "this version has no adapter for the platform", NULL);
		answer_checks(work);
		return;
	}
	if (is_disconnected(work->account))
	{
		add_check(work, "token", "error", "the account is disconnected",
				  "Connect it again with telehealth.connect_platform().");
		answer_checks(work);
		return;
	}
	work->ask->basic_minutes = (int) Min(
		th_vendor_limit(work->platform->name, "basic_host_minutes", 40), 1440);
	work->ask->hosts = th_session_long_hosts(work->account->clinic_id,
											 work->account->id,
											 work->ask->basic_minutes,
											 MAX_HOSTS);
	work->wish.marker = "th-check";
	work->wish.host =
		work->account->settings == NULL || work->account->is_user_level
			? "me"
			: th_json_text(work->account->settings, "default_user", "me");
}

void
th_ask_decide(ThWork *work, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);

	(void) now;
	if (work->ask->topic == TH_ASK_TOPIC_START_URL)
		decide_start_url(work);
	else
		decide_check(work);
	MemoryContextSwitchTo(old);
}

void
th_ask_note_token(ThWork *work, const char *scopes, TimestampTz expires_at,
				  int skew_ms, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	static const struct
	{
		ThPlatformOp op;
		const char *feature;
	} features[] = {
		{ TH_OP_CREATE, "create meetings" },
		{ TH_OP_UPDATE, "reschedule meetings" },
		{ TH_OP_DELETE, "cancel meetings" },
		{ TH_OP_READ, "read a meeting and its start link" },
		{ TH_OP_FIND, "find a meeting after a lost answer" },
		{ TH_OP_HOST, "look at host users" },
		{ TH_OP_PAST, "learn that a visit has ended" },
	};

	if (work->ask->step++ == 0)
	{
		add_check(work, "token", "ok",
				  psprintf("valid for %d s",
						   (int) ((expires_at - now) / USECS_PER_SEC -
								  skew_ms / 1000)),
				  NULL);
		if (abs(skew_ms) > MAX_SKEW_MS)
			add_check(work, "clock", "warning",
					  psprintf("the platform's clock differs by %d s",
							   skew_ms / 1000),
					  "Check time synchronisation of the database server.");
		else
			add_check(work, "clock", "ok",
					  psprintf("the platform's clock differs by %d s",
							   skew_ms / 1000),
					  NULL);
		for (size_t i = 0; i < lengthof(features); i++)
		{
			const char *scope = work->platform->scope_of(features[i].op);
			char *name = psprintf("scope: %s", features[i].feature);

			if (scope == NULL ||
				work->platform->has_scope(features[i].op, scopes))
				add_check(work, name, "ok",
						  scope == NULL ? "needs none" : scope, NULL);
			else
				add_check(
					work, name, "error", psprintf("missing scope %s", scope),
					"Grant the scope to the app at the platform and connect again.");
		}
	}
	MemoryContextSwitchTo(old);
}

static void
check_host(ThWork *work, const ThMeetingAnswer *answer)
{
	const char *message = answer->message == NULL
							  ? th_verdict_name(answer->verdict)
							  : answer->message;

	switch (answer->verdict)
	{
		case TH_VERDICT_OK:
			if (answer->host_plan == PLAN_BASIC)
				add_check(
					work, "host", "warning",
					psprintf(
						"the default host has a basic licence: meetings end "
						"after %d minutes",
						work->ask->basic_minutes),
					"Assign a licence to the host, or set provider.platform_user.");
			else
				add_check(work, "host", "ok", "the default host exists", NULL);
			break;
		case TH_VERDICT_NO_HOST:
			add_check(
				work, "host", "warning",
				strcmp(work->wish.host, "me") == 0
					? "the account has no default host"
					: "the account's default host is not a user of the account",
				"Set provider.platform_user for every provider, or the account's default_user with telehealth.configure_platform().");
			break;
		case TH_VERDICT_SCOPE_MISSING:
			add_check(work, "host", "warning", message,
					  "Grant the scope, or the host cannot be checked.");
			break;
		default:
			add_check(work, "host", "error", message, NULL);
			break;
	}
}

/* Asks for the next host of long visits; the check ends after the last one. */
static void
look_at_next_host(ThWork *work)
{
	if (work->ask->hosts == NIL)
	{
		answer_checks(work);
		return;
	}
	work->wish.host = ((ThLongHost *) linitial(work->ask->hosts))->host;
	work->op = TH_OP_HOST;
	work->state = TH_WORK_READY;
}

/* A plan that ends meetings early, of a host whose visits are longer (Z14). */
static void
check_long_host(ThWork *work, const ThMeetingAnswer *answer)
{
	const ThLongHost *host = linitial(work->ask->hosts);

	work->ask->hosts = list_delete_first(work->ask->hosts);
	if (answer->verdict == TH_VERDICT_OK && answer->host_plan == PLAN_BASIC)
		add_check(work, "plan", "warning",
				  psprintf("host %s has a basic licence: visits to come that "
						   "are longer than %d minutes: " INT64_FORMAT,
						   host->host, work->ask->basic_minutes, host->visits),
				  "Assign a licence to the host, or make the visits shorter.");
}

void
th_ask_advance(ThWork *work, const ThMeetingAnswer *answer,
			   const ThHttpResult *result, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	const char *message = answer->message == NULL
							  ? th_verdict_name(answer->verdict)
							  : answer->message;

	(void) now;
	if (work->ask->topic == TH_ASK_TOPIC_START_URL)
	{
		if (answer->verdict == TH_VERDICT_OK && answer->start_url != NULL)
			answer_ask(work, 0, answer->start_url, NULL);
		else if (answer->verdict == TH_VERDICT_GONE)
			answer_ask(work, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					   "the meeting no longer exists at the platform",
					   "Mark it again with telehealth.ensure_meeting().");
		else
			answer_ask(work, ERRCODE_TH_VENDOR_REFUSED,
					   psprintf("the video platform gave no start link: %s",
								message),
					   "Look at telehealth.platform_status.");
	}
	else if (work->op == TH_OP_HOST && work->ask->is_host_checked)
	{
		check_long_host(work, answer);
		look_at_next_host(work);
	}
	else if (work->op == TH_OP_HOST)
	{
		check_host(work, answer);
		work->ask->is_host_checked = true;
		if (answer->verdict != TH_VERDICT_OK)
		{
			answer_checks(work);
			MemoryContextSwitchTo(old);
			return;
		}
		work->op = TH_OP_FIND;
		work->state = TH_WORK_READY;
	}
	else
	{
		if (answer->verdict == TH_VERDICT_OK)
			add_check(work, "list meetings", "ok",
					  psprintf("answered in %d ms",
							   result == NULL ? 0 : result->total_ms),
					  NULL);
		else
			add_check(
				work, "list meetings", "error", message,
				"Without it a lost answer cannot be told from a failure.");
		look_at_next_host(work);
	}
	MemoryContextSwitchTo(old);
}

void
th_ask_refuse(ThWork *work, const ThMeetingAnswer *answer)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	const char *message = answer->message == NULL
							  ? th_verdict_name(answer->verdict)
							  : answer->message;

	if (work->ask->topic == TH_ASK_TOPIC_CHECK)
	{
		add_check(
			work, "token", "error", message,
			"Check account_id, client_id and client_secret, and connect again.");
		answer_checks(work);
	}
	else
		answer_ask(work, ERRCODE_TH_VENDOR_REFUSED,
				   psprintf("no access token: %s", message),
				   "Run telehealth.check_platform() for the account.");
	MemoryContextSwitchTo(old);
}
