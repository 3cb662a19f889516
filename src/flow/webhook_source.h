/*
 * webhook_source.h
 *	  Who may tell us something, and how each of them proves who they are.
 *
 * One const ThWebhookSource a sender. A delivery passes look (nothing is
 * trusted), find (the secrets that may have signed it), verify (once a
 * secret, until one did) and read (what it says).
 */
#ifndef TH_FLOW_WEBHOOK_SOURCE_H
#define TH_FLOW_WEBHOOK_SOURCE_H

#include "flow/webhook.h"
#include "platform/event.h"

/* A secret that may have signed a delivery, and whose it is. */
typedef struct ThWebhookSecret
{
	int64 clinic_id;
	int64 account_id; /* 0: no account's */
	int value_no;     /* the same for equal values; less than n_values */
	bool is_named;    /* the delivery names its account */
	const char *value;
} ThWebhookSecret;

/* A delivery under way. */
typedef struct ThWebhookClaim
{
	ThWebhookDelivery *delivery;
	const struct ThWebhookSource *source;

	/* set by look */
	Jsonb *body;             /* NULL if the source's bodies are no JSON */
	const char *account_ref; /* as the delivery says; NULL: names none */
	bool is_challenge;       /* any live secret may have signed it */
	void *context;           /* the source's own */
	bool is_part;            /* of several in one delivery */

	/* set by find: the likeliest first */
	ThWebhookSecret *secrets;
	int n_secrets;
	int n_values;    /* numbers given to their values */
	bool is_unknown; /* one that may have signed cannot be opened now */

	/* set by verify: the first secret that signed, and how many more did */
	const ThWebhookSecret *signer;
	const char *signers; /* accounts whose secret signed, '{clinic/id,...}' */
	bool is_shared;      /* any of several accounts may have told it */
	const ThWebhookSecret **named; /* of those that signed, a named account's */
	int n_named;

	/* set by read */
	ThEvent *events;
	int n_events;
} ThWebhookClaim;

typedef struct ThWebhookSource
{
	const char *name;

	/*
	 * The platform whose accounts' secrets sign, for the common find; NULL if
	 * the source has its own. Names of secrets, the present one first.
	 */
	const char *platform;
	const char *secret_names[3];

	/*
	 * Channels that were stopped go on telling: what names one that we do not
	 * know is answered 200, and nothing comes of it.
	 */
	bool ignores_strays;

	/* Fills what the comment above says. False: answered already, also with a refusal. */
	bool (*look)(ThWebhookClaim *claim);

	/* NULL: a delivery is one claim. Else the claims of its parts, at least one; returns their number. */
	int (*split)(const ThWebhookClaim *claim, ThWebhookClaim **parts);

	/* NULL, or true if the delivery is answered without looking at anything. */
	bool (*at_once)(ThWebhookDelivery *delivery);

	/* Fills the secrets of all claims of this source in the batch; NULL: the common one. */
	void (*find)(ThWebhookClaim **claims, int n);

	/* True if the secret signed the delivery. */
	bool (*verify)(const ThWebhookClaim *claim, const char *secret);

	/* Fills the events, or answers. The delivery is genuine, and answered with 200 unless this says otherwise. */
	void (*read)(ThWebhookClaim *claim);
} ThWebhookSource;

/* The source of that name, NULL if there is none. */
extern const ThWebhookSource *th_webhook_source(const char *name);

/* For a header that is there once; NULL if it is not, or is there twice. */
extern const char *th_webhook_header(const ThWebhookDelivery *delivery,
									 const char *name);

/*
 * A "find" for sources whose deliveries name a channel: account_ref. Those of
 * one source.
 */
extern void th_webhook_find_channels(ThWebhookClaim **claims, int n);

/* The identity of a happening: a digest of texts, of which NULL is one. */
extern void th_webhook_identify(ThEvent *event, const char *const *texts,
								int n);

/* An event that says nothing of a meeting. Memory: current context. */
extern ThEvent *th_webhook_event(ThWebhookClaim *claim, const char *name);

/* Answers; "reply" may be NULL. Text is kept, not copied. */
extern void th_webhook_answer(ThWebhookDelivery *delivery, int status,
							  const char *content_type, const char *reply);

/* {"error": "<word>"}: words and no values, whoever asks. */
extern void th_webhook_refuse(ThWebhookDelivery *delivery, int status,
							  const char *word);

extern const ThWebhookSource th_webhook_graph;
extern const ThWebhookSource th_webhook_google;
extern const ThWebhookSource th_webhook_schedule;
extern const ThWebhookSource th_webhook_twilio;
extern const ThWebhookSource th_webhook_zoom;

#endif /* TH_FLOW_WEBHOOK_SOURCE_H */
