/*
 * webhook_push.c
 *	  Calendars that say that something has changed: Google's channels and
 *	  Graph's subscriptions. What has changed is asked for later.
 */
#include "postgres.h"

#include <string.h>

#include "utils/timestamp.h"

#include "crypto/mac.h"
#include "flow/webhook_source.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "platform/form.h"

#define MOST_CHANNEL 255
#define MOST_WORD 40

/* Notifications in one delivery of Graph's. */
#define MOST_ITEMS 200
#define MOST_VALIDATION 4096

/* Letters, as a vendor's words are; NULL for anything else. */
static const char *
word_of(const char *text)
{
	size_t length = text == NULL ? 0 : strlen(text);

	if (length == 0 || length > MOST_WORD ||
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") !=
			length)
		return NULL;
	return text;
}

/* Printable and not too long; NULL for anything else. */
static const char *
plain(const char *text)
{
	size_t length = text == NULL ? 0 : strlen(text);

	if (length == 0 || length > MOST_CHANNEL)
		return NULL;
	for (const char *p = text; *p != '\0'; p++)
	{
		if ((unsigned char) *p < 0x20 || (unsigned char) *p >= 0x7f)
			return NULL;
	}
	return text;
}

static Jsonb *
parse_written(StringInfo text)
{
	Jsonb *result;

	return th_json_parse(text->data, text->len, &result) ? result : NULL;
}

/* ---- Google ---- */

static const char *
google_header(const ThWebhookClaim *claim, const char *name)
{
	return plain(th_webhook_header(claim->delivery, name));
}

static bool
google_look(ThWebhookClaim *claim)
{
	claim->account_ref = google_header(claim, "x-goog-channel-id");
	if (claim->account_ref != NULL &&
		th_webhook_header(claim->delivery, "x-goog-channel-token") != NULL)
		return true;
	th_webhook_refuse(claim->delivery, 401, "signature");
	return false;
}

static bool
google_verify(const ThWebhookClaim *claim, const char *secret)
{
	return th_mac_is_equal_text(th_webhook_header(claim->delivery,
												  "x-goog-channel-token"),
								secret);
}

/* The resource's address has the owner's in it, and is not kept. */
static void
google_read(ThWebhookClaim *claim)
{
	static const char *const kept[] = { "x-goog-resource-id",
										"x-goog-resource-state",
										"x-goog-message-number",
										"x-goog-channel-expiration" };
	const char *state = word_of(
		th_webhook_header(claim->delivery, "x-goog-resource-state"));
	const char *identity[lengthof(kept) + 1] = { NULL };
	StringInfoData text;
	ThJsonWriter writer;
	ThEvent *event;

	event = th_webhook_event(claim, state == NULL
										? "calendar.unknown"
										: psprintf("calendar.%s", state));
	initStringInfo(&text);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	th_json_write_text(&writer, "x-goog-channel-id", claim->account_ref);
	identity[0] = claim->account_ref;
	for (size_t i = 0; i < lengthof(kept); i++)
	{
		identity[i + 1] = google_header(claim, kept[i]);
		th_json_write_text(&writer, kept[i], identity[i + 1]);
	}
	th_json_write_end_object(&writer);
	event->raw = parse_written(&text);
	/* a message has a number within its channel */
	th_webhook_identify(event, identity, lengthof(identity));
}

const ThWebhookSource th_webhook_google = {
	.name = "google-calendar",
	.ignores_strays = true,
	.find = th_webhook_find_channels,
	.look = google_look,
	.verify = google_verify,
	.read = google_read,
};

/* ---- Graph ---- */

/* The creator of a subscription waits for this: it is not put off. */
static bool
graph_at_once(ThWebhookDelivery *delivery)
{
	const char *query = delivery->url == NULL ? NULL
											  : strchr(delivery->url, '?');
	ThForm form;
	const char *token;

	if (query == NULL || !th_form_read(query + 1, strlen(query + 1), &form))
		return false;
	token = th_form_value(&form, "validationToken");
	if (token == NULL)
		return false;
	delivery->is_inserted = false;
	if (token[0] == '\0' || strlen(token) > MOST_VALIDATION)
		th_webhook_refuse(delivery, 400, "query");
	else
		th_webhook_answer(delivery, 200, "text/plain; charset=utf-8", token);
	return true;
}

static bool
graph_look(ThWebhookClaim *claim)
{
	ThWebhookDelivery *d = claim->delivery;
	int n;

	if (graph_at_once(d))
		return false;
	if (!th_json_parse(d->body, d->body_length, &claim->body))
		claim->body = NULL;
	n = claim->body == NULL ? 0 : th_json_length(claim->body, "value");
	if (n > 0 && n <= MOST_ITEMS)
		return true;
	th_webhook_refuse(d, 400, "body");
	return false;
}

/* One a notification: they may be of many subscriptions, and clinics. */
static int
graph_split(const ThWebhookClaim *claim, ThWebhookClaim **parts)
{
	int n = th_json_length(claim->body, "value");

	*parts = palloc_array(ThWebhookClaim, n);
	for (int i = 0; i < n; i++)
	{
		ThWebhookClaim *part = &(*parts)[i];
		Jsonb *item = th_json_element(claim->body, "value", i);
		const char *subscription = plain(
			th_json_text(item, "subscriptionId", NULL));

		*part = *claim;
		part->is_part = true;
		part->context = item;
		part->account_ref = subscription == NULL ? "" : subscription;
	}
	return n;
}

static bool
graph_verify(const ThWebhookClaim *claim, const char *secret)
{
	const char *state = th_json_text(claim->context, "clientState", NULL);

	return state != NULL && th_mac_is_equal_text(state, secret);
}

/*
 * Without its proof. What has a tag of its version is one happening however
 * often it is told; of the others nobody knows, and one told twice costs a
 * look more.
 */
static void
graph_read(ThWebhookClaim *claim)
{
	static const char *const kept[] = { "subscriptionId",
										"changeType",
										"lifecycleEvent",
										"resource",
										"resourceData/id",
										"resourceData/@odata.etag",
										"subscriptionExpirationDateTime" };
	Jsonb *item = claim->context;
	const char *identity[lengthof(kept) + 1] = { NULL };
	const char *change = word_of(th_json_text(item, "changeType", NULL));
	const char *lifecycle = word_of(th_json_text(item, "lifecycleEvent", NULL));
	StringInfoData text;
	ThJsonWriter writer;
	ThEvent *event;

	event = th_webhook_event(claim, lifecycle != NULL
										? psprintf("subscription.%s", lifecycle)
									: change != NULL
										? psprintf("event.%s", change)
										: "event.unknown");
	initStringInfo(&text);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	for (size_t i = 0; i < lengthof(kept); i++)
	{
		const char *name = strrchr(kept[i], '/');

		identity[i] = th_json_text(item, kept[i], NULL);
		th_json_write_text(&writer, name == NULL ? kept[i] : name + 1,
						   identity[i]);
	}
	th_json_write_end_object(&writer);
	event->raw = parse_written(&text);
	identity[lengthof(kept)] = identity[5] != NULL
								   ? NULL
								   : psprintf(INT64_FORMAT,
											  claim->delivery->received_at);
	th_webhook_identify(event, identity, lengthof(identity));
	if (event->raw == NULL)
		claim->n_events = 0;
}

const ThWebhookSource th_webhook_graph = {
	.name = "graph",
	.ignores_strays = true,
	.at_once = graph_at_once,
	.split = graph_split,
	.find = th_webhook_find_channels,
	.look = graph_look,
	.verify = graph_verify,
	.read = graph_read,
};
