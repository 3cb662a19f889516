/*
 * webhook.h
 *	  The one door for what platforms and others tell us.
 *
 * Whoever speaks HTTP (the gateway, an application, PostgREST) hands over
 * deliveries as they came and passes the answers on.
 */
#ifndef TH_FLOW_WEBHOOK_H
#define TH_FLOW_WEBHOOK_H

#include "datatype/timestamp.h"

/* Zero-terminated, valid in the database's encoding or not. */
typedef struct ThWebhookHeader
{
	const char *name; /* lower case */
	const char *value;
} ThWebhookHeader;

typedef struct ThWebhookDelivery
{
	/* asked */
	const char
		*source; /* zoom, twilio, google-calendar, graph, provider-schedule */
	const char *url; /* as the sender called it; NULL: not known */
	const ThWebhookHeader *headers;
	int n_headers;
	const char *body; /* raw bytes; zero bytes are possible, no end is marked */
	size_t body_length;
	TimestampTz received_at;

	/* answered */
	int status;               /* 200 without a reply: each front has its own */
	const char *content_type; /* NULL: no body */
	const char *reply;        /* NULL: no body */
	bool is_inserted;         /* false also for what was known before */
} ThWebhookDelivery;

/* The sources that exist, for messages. */
extern const char *th_webhook_source_names(void);

/* True if there is a source of that name. */
extern bool th_webhook_is_source(const char *source);

/*
 * True if the delivery is answered already: the handshake of a sender that
 * waits for it while something else may be at work. Never throws but for
 * memory. Where: anywhere.
 */
extern bool th_webhook_answer_at_once(ThWebhookDelivery *delivery);

/*
 * Verifies and answers every delivery, stores those that are genuine and new,
 * and marks the sessions they speak of. One that is refused or makes no sense
 * has its status and changes nothing. The answers hold once the transaction
 * is committed. Waits for no job that somebody holds: false if sessions are
 * left for the dispatcher to find, see th_wake_for_unmarked_at_commit().
 *
 * Memory: answers in the current context.
 * Errors: those of the database alone, then no delivery counts.
 * Where: in a transaction, with the owner's rights.
 */
extern bool th_webhook_receive(ThWebhookDelivery *deliveries, int n);

#endif /* TH_FLOW_WEBHOOK_H */
