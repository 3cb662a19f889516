/*
 * webhook_zoom.c
 *	  Zoom as a source of webhooks.
 */
#include "postgres.h"

#include "flow/credential.h"
#include "flow/webhook_source.h"
#include "platform/zoom_event.h"
#include "store/webhook.h"

/* Anybody may send one, and each secret there is goes over all of it. */
#define MOST_CHALLENGE 2048

static const char *
signature_of(const ThWebhookClaim *claim)
{
	return th_webhook_header(claim->delivery, "x-zm-signature");
}

static const char *
timestamp_of(const ThWebhookClaim *claim)
{
	return th_webhook_header(claim->delivery, "x-zm-request-timestamp");
}

/* The body is read only if the headers may be those of a genuine delivery. */
static bool
look(ThWebhookClaim *claim)
{
	ThWebhookDelivery *d = claim->delivery;

	if (!th_zoom_event_is_timely(signature_of(claim), timestamp_of(claim),
								 d->received_at))
	{
		th_webhook_refuse(d, 401, "signature");
		return false;
	}
	claim->body = th_zoom_event_parse(d->body, d->body_length);
	if (claim->body == NULL)
	{
		th_webhook_refuse(d, 400, "body");
		return false;
	}
	claim->account_ref = th_zoom_event_account(claim->body);
	claim->is_challenge = th_zoom_event_is_challenge(claim->body);
	if (claim->is_challenge && d->body_length > MOST_CHALLENGE)
	{
		th_webhook_refuse(d, 400, "body");
		return false;
	}
	return true;
}

static bool
verify(const ThWebhookClaim *claim, const char *secret)
{
	return th_zoom_event_verify(secret, signature_of(claim),
								timestamp_of(claim), claim->delivery->body,
								claim->delivery->body_length);
}

/* The secret that signed is the one that proves: there is no other place it could come from. */
static void
prove(ThWebhookClaim *claim)
{
	ThWebhookDelivery *d = claim->delivery;
	const char *proof = th_zoom_event_proof(claim->body, claim->signer->value);

	if (proof == NULL)
		th_webhook_refuse(d, 400, "body");
	else
	{
		th_webhook_answer(d, 200, "application/json", proof);
		th_webhook_note_challenge(claim->signer->clinic_id,
								  claim->signer->account_id, d->received_at);
	}
}

static void
read_event(ThWebhookClaim *claim)
{
	if (claim->is_challenge)
	{
		prove(claim);
		return;
	}
	claim->events = palloc(sizeof(ThEvent));
	claim->n_events = 1;
	th_zoom_event_read(claim->body, claim->delivery->body,
					   claim->delivery->body_length, claim->events);
}

const ThWebhookSource th_webhook_zoom = {
	.name = "zoom",
	.platform = "zoom",
	.secret_names = { TH_WEBHOOK_SECRET, TH_FORMER_WEBHOOK_SECRET },
	.look = look,
	.verify = verify,
	.read = read_event,
};
