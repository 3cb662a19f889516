/*
 * zoom.c
 *	  Zoom: requests, scopes and rate classes of REST API v2.
 *
 * A meeting's agenda begins with our marker, because a list of meetings
 * shows the first 250 characters of it and nothing else that is ours.
 * Everything that could send mail, record, summarise or share a room is
 * switched off by name: what is left out follows the account's settings.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/th_instant.h"
#include "json/json_write.h"
#include "platform/oauth.h"
#include "platform/zoom.h"

#define TOPIC_MAX 200
#define AGENDA_MAX 2000
#define MARKER_PREFIX "telehealth ref "

static const char *const required_credentials[] = { "account_id", "client_id",
													"client_secret", NULL };
static const char *const optional_credentials[] = { "sdk_key", "sdk_secret",
													"webhook_secret", NULL };
static const char *const secret_credentials[] = { "client_secret", "sdk_secret",
												  "webhook_secret", NULL };

/* Granular scope, the classic one that contains it, and the rate class. */
static const struct
{
	const char *scope;
	const char *classic;
	const char *rate_class;
} operations[] = {
	[TH_OP_TOKEN] = { NULL, NULL, "token" },
	[TH_OP_CREATE] = { "meeting:write:meeting:admin", "meeting:write:admin",
					   "medium" },
	[TH_OP_READ] = { "meeting:read:meeting:admin", "meeting:read:admin",
					 "light" },
	[TH_OP_UPDATE] = { "meeting:update:meeting:admin", "meeting:write:admin",
					   "light" },
	[TH_OP_DELETE] = { "meeting:delete:meeting:admin", "meeting:write:admin",
					   "light" },
	[TH_OP_FIND] = { "meeting:read:list_meetings:admin", "meeting:read:admin",
					 "medium" },
	[TH_OP_HOST] = { "user:read:user:admin", "user:read:admin", "light" },
	[TH_OP_PAST] = { "meeting:read:past_meeting:admin", "meeting:read:admin",
					 "light" },
};

StaticAssertDecl(lengthof(operations) == TH_OP_COUNT,
				 "every operation needs its scopes");

const char *
th_zoom_scope_of(ThPlatformOp op)
{
	return operations[op].scope;
}

/*
 * True if the word is "scope", which ends in ":admin", or the same without
 * that (an app of one user) or with ":master" (one of several accounts).
 */
static bool
is_scope(const char *word, size_t length, const char *scope)
{
	size_t base = strlen(scope) - strlen(":admin");

	if (length < base || memcmp(word, scope, base) != 0)
		return false;
	word += base;
	length -= base;
	return length == 0 || (length == 6 && memcmp(word, ":admin", 6) == 0) ||
		   (length == 7 && memcmp(word, ":master", 7) == 0);
}

static bool
zoom_has_scope(ThPlatformOp op, const char *granted)
{
	if (granted == NULL || operations[op].scope == NULL)
		return true;
	while (*granted != '\0')
	{
		size_t length = strcspn(granted, " ");

		if (is_scope(granted, length, operations[op].scope) ||
			is_scope(granted, length, operations[op].classic))
			return true;
		granted += length;
		granted += strspn(granted, " ");
	}
	return false;
}

static const char *
zoom_rate_class(ThPlatformOp op)
{
	return operations[op].rate_class;
}

/* 100 a host and day (UTC); Zoom counts creates and updates together. */
static bool
zoom_counts_for_host(ThPlatformOp op)
{
	return op == TH_OP_CREATE || op == TH_OP_UPDATE;
}

static void
build_token(const ThPlatformAccount *account, ThHttpRequest *out)
{
	const ThCredential *credentials = account->credentials;
	int n = account->n_credentials;
	StringInfoData body;

	if (th_oauth_credential(credentials, n, "refresh_token")[0] != '\0')
	{
		th_oauth_build_refresh(th_oauth_vendor("zoom"), account->token_url,
							   credentials, n, out);
		out->timeout_ms = account->timeout_ms;
		return;
	}
	initStringInfo(&body);
	appendStringInfoString(&body, "grant_type=account_credentials&account_id=");
	th_http_append_encoded(&body,
						   th_oauth_credential(credentials, n, "account_id"));
	out->method = TH_HTTP_POST;
	out->url = pstrdup(account->token_url);
	out->content_type = "application/x-www-form-urlencoded";
	out->authorization = th_oauth_basic(credentials, n);
	out->body = body.data;
	out->body_length = body.len;
}

/*
 * Writes a member cut to "max" characters, as UTF-16 counts them: nobody
 * says how Zoom counts, and that is the stricter way.
 */
static void
write_cut(ThJsonWriter *json, const char *name, const char *text, int max)
{
	const char *end = text;
	int used = 0;
	char *cut;

	while (*end != '\0')
	{
		int length = pg_mblen(end);

		used += length > 3 ? 2 : 1;
		if (used > max)
			break;
		end += length;
	}
	cut = pnstrdup(text, end - text);
	th_json_write_text(json, name, cut);
	pfree(cut);
}

static void
write_agenda(ThJsonWriter *json, const ThMeetingWish *wish)
{
	StringInfoData agenda;

	initStringInfo(&agenda);
	appendStringInfo(&agenda, "%s%s", MARKER_PREFIX, wish->marker);
	if (wish->agenda != NULL && wish->agenda[0] != '\0')
		appendStringInfo(&agenda, "\n%s", wish->agenda);
	write_cut(json, "agenda", agenda.data, AGENDA_MAX);
	pfree(agenda.data);
}

/*
 * The instant is sent in UTC, so the zone only says how Zoom shows it. Zoom
 * knows region names; what the server accepts beside them becomes UTC.
 */
static const char *
shown_zone(const char *name)
{
	if (name != NULL && strchr(name, '/') != NULL &&
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789/_+-") == strlen(name))
		return name;
	return "UTC";
}

static void
write_settings(ThJsonWriter *json, ThPlatformOp op, const ThMeetingWish *wish)
{
	static const char *const off[] = {
		"join_before_host",
		"use_pmi",
		"registrants_email_notification",
		"registrants_confirmation_email",
		"email_notification",
		"alternative_hosts_email_notification",
		"auto_start_meeting_summary",
		"auto_start_ai_companion_questions",
	};
	const char *recording = wish->recording;

	/* Zoom cannot record in its cloud what it cannot decrypt. */
	if (strcmp(wish->encryption, "e2ee") == 0 &&
		strcmp(recording, "cloud") == 0)
		recording = "none";
	th_json_write_object(json, "settings");
	th_json_write_bool(json, "waiting_room", wish->waiting_room);
	th_json_write_text(json, "auto_recording", recording);
	th_json_write_text(json, "encryption_type", wish->encryption);
	th_json_write_bool(json, "meeting_authentication", wish->authentication);
	th_json_write_bool(json, "mute_upon_entry", wish->mute_upon_entry);
	th_json_write_int(json, "approval_type", 2);
	for (size_t i = 0; i < lengthof(off); i++)
		th_json_write_bool(json, off[i], false);
	th_json_write_object(json, "continuous_meeting_chat");
	th_json_write_bool(json, "enable", false);
	th_json_write_end_object(json);
	if (op == TH_OP_CREATE)
		th_json_write_bool(json, "push_change_to_calendar", false);
	th_json_write_end_object(json);
}

/* default_password and push_change_to_calendar exist for creation only. */
static void
build_meeting_body(ThPlatformOp op, const ThMeetingWish *wish,
				   ThHttpRequest *out)
{
	StringInfoData body;
	ThJsonWriter json;
	char *start_time = th_instant_text(wish->starts_at);

	initStringInfo(&body);
	th_json_write_start(&json, &body);
	th_json_write_object(&json, NULL);
	th_json_write_int(&json, "type", 2);
	if (wish->topic != NULL)
		write_cut(&json, "topic", wish->topic, TOPIC_MAX);
	write_agenda(&json, wish);
	th_json_write_text(&json, "start_time", start_time);
	th_json_write_text(&json, "timezone", shown_zone(wish->timezone));
	th_json_write_int(&json, "duration", wish->duration);
	if (wish->passcode != NULL)
	{
		th_json_write_text(&json, "password", wish->passcode);
		if (op == TH_OP_CREATE)
			th_json_write_bool(&json, "default_password", false);
	}
	write_settings(&json, op, wish);
	th_json_write_end_object(&json);
	out->content_type = "application/json";
	out->body = body.data;
	out->body_length = body.len;
}

/* .../users/{host}, or with a NULL host the owner of the account. */
static void
append_user(StringInfo url, const ThMeetingWish *wish)
{
	appendStringInfoString(url, "/users/");
	if (wish->host == NULL || wish->host[0] == '\0')
		appendStringInfoString(url, "me");
	else
		th_http_append_encoded(url, wish->host);
}

static void
append_meeting(StringInfo url, const char *meeting_id)
{
	appendStringInfoString(url, "/meetings/");
	th_http_append_encoded(url, meeting_id);
}

/*
 * type=scheduled lists the upcoming meetings and, unlike type=upcoming, also
 * those whose start has passed while the answer was lost. No from and to:
 * the visit may have been moved in the meantime.
 */
static void
append_list(StringInfo url, const ThMeetingWish *wish, const char *page)
{
	append_user(url, wish);
	appendStringInfoString(url, "/meetings?type=scheduled&page_size=300");
	if (page != NULL && page[0] != '\0')
	{
		appendStringInfoString(url, "&next_page_token=");
		th_http_append_encoded(url, page);
	}
}

/* Zoom decodes twice what could be taken for parts of a path. */
static void
append_past_meeting(StringInfo url, const char *uuid)
{
	appendStringInfoString(url, "/past_meetings/");
	if (uuid[0] == '/' || strstr(uuid, "//") != NULL)
	{
		StringInfoData once;

		initStringInfo(&once);
		th_http_append_encoded(&once, uuid);
		th_http_append_encoded(url, once.data);
		pfree(once.data);
	}
	else
		th_http_append_encoded(url, uuid);
}

static void
zoom_build(ThPlatformOp op, const ThPlatformAccount *account,
		   const ThMeetingWish *wish, const char *meeting_id, const char *page,
		   ThHttpRequest *out)
{
	StringInfoData url;

	memset(out, 0, sizeof(*out));
	out->timeout_ms = account->timeout_ms;
	if (op == TH_OP_TOKEN)
	{
		build_token(account, out);
		return;
	}
	initStringInfo(&url);
	appendStringInfoString(&url, account->api_url);
	out->method = TH_HTTP_GET;
	out->authorization = psprintf("Bearer %s", account->token);
	switch (op)
	{
		case TH_OP_CREATE:
			out->method = TH_HTTP_POST;
			append_user(&url, wish);
			appendStringInfoString(&url, "/meetings");
			build_meeting_body(op, wish, out);
			break;
		case TH_OP_UPDATE:
			out->method = TH_HTTP_PATCH;
			append_meeting(&url, meeting_id);
			build_meeting_body(op, wish, out);
			break;
		case TH_OP_DELETE:
			out->method = TH_HTTP_DELETE;
			append_meeting(&url, meeting_id);
			appendStringInfoString(&url, "?schedule_for_reminder=false"
										 "&cancel_meeting_reminder=false");
			break;
		case TH_OP_READ:
			append_meeting(&url, meeting_id);
			break;
		case TH_OP_FIND:
			append_list(&url, wish, page);
			break;
		case TH_OP_HOST:
			append_user(&url, wish);
			break;
		case TH_OP_PAST:
			append_past_meeting(&url, meeting_id);
			break;
		case TH_OP_TOKEN:
			break;
	}
	out->url = url.data;
}

const ThPlatform th_platform_zoom = {
	.name = "zoom",
	.required_credentials = required_credentials,
	.optional_credentials = optional_credentials,
	.secret_credentials = secret_credentials,
	.scope_of = th_zoom_scope_of,
	.has_scope = zoom_has_scope,
	.rate_class = zoom_rate_class,
	.counts_for_host = zoom_counts_for_host,
	.build = zoom_build,
	.read = th_zoom_read,
};
