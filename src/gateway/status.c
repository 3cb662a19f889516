/*
 * status.c
 *	  What probes ask: is it alive, is it ready, how much has come.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/th_guc.h"
#include "crypto/keyring.h"
#include "gateway/metrics.h"
#include "gateway/request.h"
#include "gateway/status.h"
#include "store/gateway.h"

#define REPLY_BYTES 256

static void
answer(ThHttpRequest *request, int status, const char *word, const char *db,
	   const char *reason)
{
	static ThDoorStatus door;
	static char texts[2][REPLY_BYTES];
	static int which = 0;
	char *text = texts[which = !which];

	th_metrics_flush();
	if (!th_door_read(MyDatabaseId, &door))
		memset(&door, 0, sizeof(door));
	snprintf(text, REPLY_BYTES,
			 "{\"status\":\"%s\"%s%s%s,\"received\":" UINT64_FORMAT
			 ",\"inserted\":" UINT64_FORMAT "%s%s%s}",
			 word, db == NULL ? "" : ",\"db\":\"", db == NULL ? "" : db,
			 db == NULL ? "" : "\"", door.counts[TH_COUNT_RECEIVED],
			 door.counts[TH_COUNT_INSERTED],
			 reason == NULL ? "" : ",\"reason\":\"",
			 reason == NULL ? "" : reason, reason == NULL ? "" : "\"");
	th_request_answer(request, status, "application/json", text, strlen(text));
	th_request_add_reply_header(request, "Cache-Control", "no-store");
}

void
th_status_answer_alive(ThHttpRequest *request)
{
	answer(request, 200, "ok", NULL, NULL);
}

void
th_status_answer_health(ThHttpRequest *request)
{
	(void) th_gateway_probe();
	answer(request, 200, "ok", "ok", NULL);
}

void
th_status_answer_ready(ThHttpRequest *request)
{
	const char *source;
	const char *reason = NULL;
	bool needs_key = th_gateway_probe();

	if (th_guc_restoring)
		reason = "restoring";
	else if (needs_key && strcmp(th_keyring_status(&source), "ok") != 0)
		reason = "key_missing";
	if (reason != NULL)
		answer(request, 503, "not_ready", "ok", reason);
	else
		answer(request, 200, "ready", "ok", NULL);
}

void
th_status_answer_down(ThHttpRequest *request)
{
	answer(request, 503, "down", "down", NULL);
}
