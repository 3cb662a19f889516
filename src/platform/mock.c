/*
 * mock.c
 *	  A platform without a network: the same flow, links that can be foretold.
 *
 * The meeting of appointment 7 of clinic 1 is "mock-1-7", its link
 * https://mock.telehealth.invalid/j/mock-1-7. The top-level domain "invalid"
 * is reserved, so that nobody ever owns that host.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "platform/platform.h"

#define MOCK_JOIN_URL "https://mock.telehealth.invalid/j/"
#define MOCK_START_URL "https://mock.telehealth.invalid/s/"

static const char *const no_credentials[] = { NULL };

static const char *
mock_scope_of(ThPlatformOp op pg_attribute_unused())
{
	return NULL;
}

static bool
mock_has_scope(ThPlatformOp op pg_attribute_unused(),
			   const char *granted pg_attribute_unused())
{
	return true;
}

static const char *
mock_rate_class(ThPlatformOp op)
{
	return op == TH_OP_TOKEN ? "token" : "light";
}

static bool
mock_counts_for_host(ThPlatformOp op pg_attribute_unused())
{
	return false;
}

/* "mock-" and the subject, with everything but digits and letters as "-". */
static char *
mock_id(const ThMeetingWish *wish)
{
	const char *subject = wish != NULL ? wish->subject : NULL;
	StringInfoData id;

	initStringInfo(&id);
	appendStringInfoString(&id, "mock-");
	for (const char *p = subject; p != NULL && *p != '\0'; p++)
	{
		bool is_plain = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
						(*p >= 'A' && *p <= 'Z');

		appendStringInfoChar(&id, is_plain ? *p : '-');
	}
	return id.data;
}

static void
mock_meeting(const ThMeetingWish *wish, const char *meeting_id,
			 ThMeetingAnswer *out)
{
	if (meeting_id != NULL)
		out->meeting_id = pstrdup(meeting_id);
	else
		out->meeting_id = mock_id(wish);
	out->join_url = psprintf("%s%s", MOCK_JOIN_URL, out->meeting_id);
	if (wish == NULL)
		return;
	out->starts_at = wish->starts_at;
	out->duration = wish->duration;
	if (wish->passcode != NULL)
		out->passcode = pstrdup(wish->passcode);
	if (wish->host != NULL && wish->host[0] != '\0')
		out->host_id = pstrdup(wish->host);
}

static void
mock_answer(ThPlatformOp op, const ThMeetingWish *wish, const char *meeting_id,
			ThMeetingAnswer *out)
{
	memset(out, 0, sizeof(*out));
	out->verdict = TH_VERDICT_OK;
	switch (op)
	{
		case TH_OP_TOKEN:
			out->token = pstrdup("mock");
			out->expires_in = 3600;
			break;
		case TH_OP_CREATE:
			mock_meeting(wish, NULL, out);
			break;
		case TH_OP_READ:
			mock_meeting(wish, meeting_id, out);
			out->start_url = psprintf("%s%s", MOCK_START_URL, out->meeting_id);
			break;
		case TH_OP_HOST:
			out->host_plan = 2;
			break;
		case TH_OP_UPDATE:
		case TH_OP_DELETE:
		case TH_OP_FIND:
			break;
		case TH_OP_PAST:
			out->verdict = TH_VERDICT_GONE;
			break;
	}
}

const ThPlatform th_platform_mock_table = {
	.name = "mock",
	.required_credentials = no_credentials,
	.optional_credentials = no_credentials,
	.secret_credentials = no_credentials,
	.scope_of = mock_scope_of,
	.has_scope = mock_has_scope,
	.rate_class = mock_rate_class,
	.counts_for_host = mock_counts_for_host,
	.answer = mock_answer,
};
