/*
 * webhook_source.c
 *	  The table of those who may tell us something.
 */
#include "postgres.h"

#include <string.h>

#include "lib/stringinfo.h"

#include "flow/webhook_source.h"

static const ThWebhookSource *const sources[] = {
	&th_webhook_zoom,  &th_webhook_twilio,   &th_webhook_google,
	&th_webhook_graph, &th_webhook_schedule,
};

const ThWebhookSource *
th_webhook_source(const char *name)
{
	for (size_t i = 0; i < lengthof(sources); i++)
	{
		if (strcmp(sources[i]->name, name) == 0)
			return sources[i];
	}
	return NULL;
}

bool
th_webhook_is_source(const char *name)
{
	return th_webhook_source(name) != NULL;
}

const char *
th_webhook_source_names(void)
{
	StringInfoData text;

	initStringInfo(&text);
	for (size_t i = 0; i < lengthof(sources); i++)
		appendStringInfo(&text, "%s%s", i == 0 ? "" : ", ", sources[i]->name);
	return text.data;
}

const char *
th_webhook_header(const ThWebhookDelivery *delivery, const char *name)
{
	const char *value = NULL;

	for (int i = 0; i < delivery->n_headers; i++)
	{
		if (strcmp(delivery->headers[i].name, name) != 0)
			continue;
		if (value != NULL)
			return NULL;
		value = delivery->headers[i].value;
	}
	return value;
}

void
th_webhook_answer(ThWebhookDelivery *delivery, int status,
				  const char *content_type, const char *reply)
{
	delivery->status = status;
	delivery->content_type = content_type;
	delivery->reply = reply;
}

void
th_webhook_refuse(ThWebhookDelivery *delivery, int status, const char *word)
{
	th_webhook_answer(delivery, status, "application/json",
					  psprintf("{\"error\":\"%s\"}", word));
}
