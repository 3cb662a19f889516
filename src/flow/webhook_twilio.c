/*
 * webhook_twilio.c
 *	  Twilio as a source of webhooks: rooms and messages.
 */
#include "postgres.h"

#include <string.h>

#include "base/th_guc.h"
#include "flow/webhook_source.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "platform/twilio_event.h"

/* Where the gateway takes them in, for a front that does not say what was called. */
#define ROUTE "/api/webhooks/twilio"

#define MOST_ACCOUNT 255
#define MOST_WORD 60

/* A post of JSON has no fields; its claim has a body instead. */
static const ThForm *
form_of(const ThWebhookClaim *claim)
{
	return claim->context;
}

static const char *
value_of(const ThWebhookClaim *claim, const char *name)
{
	const char *value = form_of(claim) != NULL
							? th_form_value(form_of(claim), name)
							: th_json_text(claim->body, name, NULL);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

static char *
url_of(const ThWebhookDelivery *d)
{
	size_t length = strlen(th_guc_public_url);

	if (d->url != NULL)
		return pstrdup(d->url);
	while (length > 0 && th_guc_public_url[length - 1] == '/')
		length--;
	return length == 0
			   ? NULL
			   : psprintf("%.*s" ROUTE, (int) length, th_guc_public_url);
}

static bool
is_json(const ThWebhookDelivery *d)
{
	const char *type = th_webhook_header(d, "content-type");

	return type != NULL && pg_strncasecmp(type, "application/json", 16) == 0;
}

static bool
read_body(ThWebhookClaim *claim)
{
	ThWebhookDelivery *d = claim->delivery;
	ThForm *form;

	if (is_json(d))
		return th_json_parse(d->body, d->body_length, &claim->body) &&
			   JB_ROOT_IS_OBJECT(claim->body);
	form = palloc_object(ThForm);
	claim->context = form;
	return th_form_read(d->body, d->body_length, form) && form->n > 0;
}

static bool
look(ThWebhookClaim *claim)
{
	ThWebhookDelivery *d = claim->delivery;

	if (th_webhook_header(d, "x-twilio-signature") == NULL || url_of(d) == NULL)
	{
		th_webhook_refuse(d, 401, "signature");
		return false;
	}
	if (!read_body(claim))
	{
		th_webhook_refuse(d, 400, "body");
		return false;
	}
	claim->account_ref = value_of(claim, "AccountSid");
	if (claim->account_ref != NULL &&
		strlen(claim->account_ref) <= MOST_ACCOUNT)
		return true;
	th_webhook_refuse(d, 401, "signature");
	return false;
}

static bool
verify(const ThWebhookClaim *claim, const char *secret)
{
	const ThWebhookDelivery *d = claim->delivery;

	return th_twilio_verify(secret, th_webhook_header(d, "x-twilio-signature"),
							url_of(d), form_of(claim), d->body, d->body_length);
}

/* "room-ended", "message.delivered", "message.received". */
static const char *
name_of(const ThWebhookClaim *claim)
{
	const char *event = value_of(claim, "StatusCallbackEvent");
	const char *status = value_of(claim, "MessageStatus");

	if (status == NULL)
		status = value_of(claim, "SmsStatus");
	if (event != NULL && strlen(event) <= MOST_WORD)
		return event;
	if (value_of(claim, "MessageSid") == NULL)
		return "unknown";
	return status != NULL && strlen(status) <= MOST_WORD
			   ? psprintf("message.%s", status)
			   : "message.received";
}

/* All fields, as they are; NULL if one is no text. */
static Jsonb *
fields_as_json(const ThForm *form)
{
	StringInfoData text;
	ThJsonWriter writer;
	Jsonb *result;

	initStringInfo(&text);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	for (int i = 0; i < form->n; i++)
		th_json_write_text(&writer, form->fields[i].name,
						   form->fields[i].value);
	th_json_write_end_object(&writer);
	return th_json_parse(text.data, text.len, &result) ? result : NULL;
}

/* What says the same of the same thing is one happening. */
static void
identify(const ThWebhookClaim *claim, ThEvent *event)
{
	static const char *const names[] = {
		"AccountSid", "StatusCallbackEvent", "RoomSid",        "ParticipantSid",
		"TrackSid",   "RecordingSid",        "CompositionSid", "SequenceNumber",
		"Timestamp",  "MessageSid",          "MessageStatus",  "SmsStatus",
	};
	const char *texts[lengthof(names)];

	for (size_t i = 0; i < lengthof(names); i++)
		texts[i] = value_of(claim, names[i]);
	th_webhook_identify(event, texts, lengthof(texts));
}

static void
read_event(ThWebhookClaim *claim)
{
	Jsonb *raw = form_of(claim) != NULL ? fields_as_json(form_of(claim))
										: claim->body;
	ThEvent *event;

	if (raw == NULL)
	{
		th_webhook_refuse(claim->delivery, 400, "body");
		return;
	}
	event = th_webhook_event(claim, name_of(claim));
	event->raw = raw;
	event->at = th_twilio_instant(value_of(claim, "Timestamp"));
	event->meeting_id = th_json_text(raw, "RoomSid", NULL);
	event->participant_id = th_json_text(raw, "ParticipantSid", NULL);
	event->participant_name = th_json_text(raw, "ParticipantIdentity", NULL);
	identify(claim, event);
}

const ThWebhookSource th_webhook_twilio = {
	.name = "twilio",
	.find = th_webhook_find_channels,
	.look = look,
	.verify = verify,
	.read = read_event,
};
