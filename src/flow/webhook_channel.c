/*
 * webhook_channel.c
 *	  What sources have in common whose deliveries name a channel.
 */
#include "postgres.h"

#include <string.h>

#include "crypto/envelope.h"
#include "crypto/token.h"
#include "flow/webhook_source.h"
#include "store/push_channel.h"

/* One channel's secret, given to the claims that name it. */
static void
offer(ThWebhookClaim **claims, int n, const ThPushChannel *channel)
{
	const char *place = th_envelope_place(TH_PUSH_CHANNEL_COLUMN,
										  channel->clinic_id, channel->id,
										  NULL);
	const char *reason;
	const char *value = th_envelope_try_open(channel->envelope, place, &reason);

	for (int i = 0; i < n; i++)
	{
		ThWebhookClaim *claim = claims[i];

		if (strcmp(claim->account_ref, channel->channel_id) != 0)
			continue;
		if (value == NULL)
		{
			claim->is_unknown = true;
			continue;
		}
		claim->secrets = claim->n_secrets == 0
							 ? palloc_object(ThWebhookSecret)
							 : repalloc(claim->secrets,
										sizeof(ThWebhookSecret) *
											(claim->n_secrets + 1));
		claim->secrets[claim->n_secrets++] =
			(ThWebhookSecret){ .clinic_id = channel->clinic_id,
							   .value_no = claim->n_values++,
							   .value = value };
	}
}

void
th_webhook_find_channels(ThWebhookClaim **claims, int n)
{
	const char **names = palloc_array(const char *, n);
	ThPushChannel *channels;
	int n_channels;

	for (int i = 0; i < n; i++)
		names[i] = claims[i]->account_ref;
	n_channels = th_push_channel_find(claims[0]->source->name, names, n,
									  claims[0]->delivery->received_at,
									  &channels);
	for (int i = 0; i < n_channels; i++)
		offer(claims, n, &channels[i]);
}

void
th_webhook_identify(ThEvent *event, const char *const *texts, int n)
{
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; i < n; i++)
	{
		if (texts[i] == NULL)
			appendStringInfoChar(&all, '-');
		else
			appendStringInfo(&all, "%zu:%s", strlen(texts[i]), texts[i]);
	}
	th_sha256(all.data, (size_t) all.len, event->key);
	pfree(all.data);
}

ThEvent *
th_webhook_event(ThWebhookClaim *claim, const char *name)
{
	ThEvent *event = palloc0_object(ThEvent);

	event->name = name;
	event->account_ref = claim->account_ref;
	event->latency_ms = -1;
	event->interpreter_requested = -1;
	claim->events = event;
	claim->n_events = 1;
	return event;
}
