/*
 * webhook.c
 *	  The one door for what platforms and others tell us.
 */
#include "postgres.h"

#include <string.h>

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "crypto/envelope.h"
#include "crypto/token.h"
#include "flow/credential.h"
#include "flow/webhook_source.h"
#include "json/json_read.h"
#include "store/calendar_channel.h"
#include "store/job.h"
#include "store/webhook.h"

/* Clinics that have connected one account; each gets a copy of a body. */
#define MOST_NAMED 100

/*
 * More events of sessions in one batch are a burst. The dispatcher finds it
 * in one go, and marks a session once however many of its events came; marking
 * here would take a fifth of the time that a batch has.
 */
#define MOST_MARKED 8

/* A platform's secrets for one batch, opened once. */
typedef struct SecretSet
{
	ThWebhookSealed *sealed;
	ThWebhookSecret *secrets; /* value NULL: cannot be opened */
	int n;
} SecretSet;

/* ---- who may have signed ---- */

static int
compare_values(const void *a, const void *b)
{
	return strcmp((*(ThWebhookSecret *const *) a)->value,
				  (*(ThWebhookSecret *const *) b)->value);
}

/* Equal values get equal numbers. */
static void
number_values(SecretSet *set)
{
	ThWebhookSecret **sorted = palloc_array(ThWebhookSecret *, Max(set->n, 1));
	int n = 0;

	for (int i = 0; i < set->n; i++)
		if (set->secrets[i].value != NULL)
			sorted[n++] = &set->secrets[i];
	qsort(sorted, n, sizeof(ThWebhookSecret *), compare_values);
	for (int i = 1; i < n; i++)
		sorted[i]->value_no = sorted[i - 1]->value_no +
							  (compare_values(&sorted[i - 1], &sorted[i]) != 0);
	pfree(sorted);
}

static void
open_secrets(SecretSet *set)
{
	set->secrets = palloc0_array(ThWebhookSecret, Max(set->n, 1));
	for (int i = 0; i < set->n; i++)
	{
		const ThWebhookSealed *s = &set->sealed[i];
		const char *place = th_envelope_place(TH_ACCOUNT_SECRET_COLUMN,
											  s->clinic_id, s->account_id,
											  s->name);
		const char *reason;

		set->secrets[i].clinic_id = s->clinic_id;
		set->secrets[i].account_id = s->account_id;
		set->secrets[i].value = th_envelope_try_open(s->envelope, place,
													 &reason);
	}
	number_values(set);
}

static bool
has_key(const ThWebhookSealed *sealed, const bytea *key)
{
	return key != NULL && sealed->vendor_key != NULL &&
		   VARSIZE_ANY_EXHDR(sealed->vendor_key) == VARSIZE_ANY_EXHDR(key) &&
		   memcmp(VARDATA_ANY(sealed->vendor_key), VARDATA_ANY(key),
				  VARSIZE_ANY_EXHDR(key)) == 0;
}

/*
 * The accounts that the delivery names, else the default one; in any case
 * those whose number is not known. A challenge names none, so that any secret
 * may have signed it.
 */
static void
choose_secrets(ThWebhookClaim *claim, const SecretSet *set, const bytea *key)
{
	bool is_known = false;

	for (int i = 0; i < set->n; i++)
		is_known |= has_key(&set->sealed[i], key);
	claim->secrets = palloc_array(ThWebhookSecret, Max(set->n, 1));
	claim->n_values = set->n;
	for (int i = 0; i < set->n; i++)
	{
		const ThWebhookSealed *s = &set->sealed[i];

		if (!claim->is_challenge && !has_key(s, key) && s->vendor_key != NULL &&
			(is_known || s->clinic_id != 0))
			continue;
		if (set->secrets[i].value == NULL)
			claim->is_unknown = true;
		else
		{
			claim->secrets[claim->n_secrets] = set->secrets[i];
			claim->secrets[claim->n_secrets++].is_named = has_key(s, key);
		}
	}
}

/* Of claims of one source, whose platform's accounts have the secrets. */
static void
find_account_secrets(ThWebhookClaim **claims, int n)
{
	const ThWebhookSource *source = claims[0]->source;
	bytea **keys = palloc0_array(bytea *, n);
	bytea **sought = palloc_array(bytea *, n);
	const ThWebhookClaim *last = NULL;
	SecretSet set = { 0 };
	int n_names = 0;
	int n_sought = 0;
	bool is_all = false;

	while (n_names < (int) lengthof(source->secret_names) &&
		   source->secret_names[n_names] != NULL)
		n_names++;
	for (int i = 0; i < n; i++)
	{
		is_all |= claims[i]->is_challenge;
		if (claims[i]->account_ref == NULL)
			continue;
		if (last != NULL &&
			strcmp(last->account_ref, claims[i]->account_ref) == 0)
		{
			keys[i] = sought[n_sought - 1];
			continue;
		}
		last = claims[i];
		keys[i] = th_credential_vendor_key(source->platform,
										   claims[i]->account_ref);
		sought[n_sought++] = keys[i];
	}
	set.n = th_webhook_secrets(source->platform, source->secret_names, n_names,
							   sought, n_sought, is_all,
							   claims[0]->delivery->received_at, &set.sealed);
	open_secrets(&set);
	for (int i = 0; i < n; i++)
		choose_secrets(claims[i], &set, keys[i]);
}

/* ---- who did sign ---- */

/* Without the server's printf(), which takes its time. */
static void
append_number(StringInfo text, int64 number)
{
	char digits[MAXINT8LEN + 1];

	appendBinaryStringInfo(text, digits, pg_lltoa(number, digits));
}

/* The account is one that the delivery names: an account once. */
static void
note_named(ThWebhookClaim *claim, const ThWebhookSecret *secret)
{
	if (!secret->is_named || claim->n_named >= MOST_NAMED)
		return;
	for (int i = 0; i < claim->n_named; i++)
		if (claim->named[i]->clinic_id == secret->clinic_id &&
			claim->named[i]->account_id == secret->account_id)
			return;
	if (claim->named == NULL)
		claim->named = palloc_array(const ThWebhookSecret *, MOST_NAMED);
	claim->named[claim->n_named++] = secret;
}

/*
 * Every secret is tried: the same may be of several accounts, as that of an
 * application is of all that were connected through it. A value is tried once.
 */
static bool
is_signed(ThWebhookClaim *claim)
{
	bool *is_tried = palloc0_array(bool, Max(claim->n_values, 1));
	bool *is_right = palloc0_array(bool, Max(claim->n_values, 1));
	StringInfoData signers;

	initStringInfo(&signers);
	for (int i = 0; i < claim->n_secrets; i++)
	{
		const ThWebhookSecret *s = &claim->secrets[i];

		if (!is_tried[s->value_no])
			is_right[s->value_no] = claim->source->verify(claim, s->value);
		is_tried[s->value_no] = true;
		if (!is_right[s->value_no])
			continue;
		if (claim->signer == NULL)
			claim->signer = s;
		else if (s->clinic_id != claim->signer->clinic_id ||
				 s->account_id != claim->signer->account_id)
			claim->is_shared = !claim->signer->is_named;
		note_named(claim, s);
		if (s->account_id != 0)
		{
			appendStringInfoChar(&signers, signers.len == 0 ? '{' : ',');
			append_number(&signers, s->clinic_id);
			appendStringInfoChar(&signers, '/');
			append_number(&signers, s->account_id);
		}
		if (claim->is_challenge)
			break;
	}
	pfree(is_tried);
	pfree(is_right);
	if (signers.len > 0)
	{
		appendStringInfoChar(&signers, '}');
		claim->signers = signers.data;
	}
	return claim->signer != NULL;
}

/* ---- what is stored ---- */

/* The happening's identity is one of the account that told it: nobody else can take its place. */
static bytea *
business_key(const ThWebhookSecret *signer, const ThEvent *event)
{
	bytea *key = palloc(VARHDRSZ + TH_SHA256_BYTES);
	StringInfoData text;

	initStringInfo(&text);
	append_number(&text, signer->clinic_id);
	appendStringInfoChar(&text, '/');
	append_number(&text, signer->account_id);
	appendStringInfoChar(&text, '/');
	appendBinaryStringInfo(&text, (const char *) event->key,
						   TH_EVENT_KEY_BYTES);
	SET_VARSIZE(key, VARHDRSZ + TH_SHA256_BYTES);
	th_sha256(text.data, (size_t) text.len, (unsigned char *) VARDATA(key));
	return key;
}

/*
 * A meeting's event that is nobody's waits in clinic 0. What speaks of no
 * meeting is the clinic's whose secret signed; no clinic's if it is not known
 * which of those that share the secret is meant.
 */
static ThWebhookRow *
row_of(const ThWebhookClaim *claim, const ThEvent *event,
	   const ThWebhookSecret *signer)
{
	ThWebhookRow *row = palloc0_object(ThWebhookRow);
	bool has_meeting = event->meeting_id != NULL && claim->signers != NULL;
	bool is_doubtful = claim->is_shared && !has_meeting;

	row->clinic_id = has_meeting || is_doubtful ? 0 : signer->clinic_id;
	row->source = claim->source->name;
	row->event_name = event->name;
	row->event_at = event->at;
	row->account_ref = event->account_ref;
	row->account_clinic_id = signer->clinic_id;
	row->account_id = is_doubtful ? 0 : signer->account_id;
	row->accounts = has_meeting ? claim->signers : NULL;
	row->meeting_id = event->meeting_id;
	row->meeting_uuid = event->meeting_uuid;
	row->participant_id = event->participant_id;
	row->participant_name = event->participant_name;
	row->latency_ms = event->latency_ms;
	row->interpreter_requested = event->interpreter_requested;
	row->raw = event->raw;
	row->business_key = business_key(signer, event);
	row->received_at = claim->delivery->received_at;
	row->outcome = has_meeting ? "unmatched" : "recorded";
	return row;
}

/*
 * What speaks of no meeting speaks of each account that it names: clinics may
 * have connected the same one. Returns how many rows it is.
 */
static int
rows_of(const ThWebhookClaim *claim, const ThEvent *event, ThWebhookRow **rows)
{
	if (event->meeting_id != NULL || claim->n_named < 2)
	{
		rows[0] = row_of(claim, event, claim->signer);
		return 1;
	}
	for (int i = 0; i < claim->n_named; i++)
		rows[i] = row_of(claim, event, claim->named[i]);
	return claim->n_named;
}

/*
 * Sessions that have something new to be put together; false if not all were
 * marked. Nobody waits here: the dispatcher holds the jobs of all that it
 * is putting together, and a batch would wait for it again and again.
 */
static bool
mark_sessions(ThWebhookRow **rows, int n)
{
	ThMark *marks = palloc0_array(ThMark, Max(n, 1));
	int n_marks = 0;

	for (int i = 0; i < n; i++)
	{
		const ThWebhookRow *row = rows[i];

		if (!row->is_inserted || row->session_id == 0)
			continue;
		marks[n_marks].kind = TH_JOB_SESSION;
		marks[n_marks].priority = TH_PRIORITY_CREATE;
		marks[n_marks].clinic_id = row->session_clinic_id;
		marks[n_marks].subject_id = row->session_id;
		marks[n_marks++].due_at = GetCurrentTimestamp();
	}
	if (th_guc_restoring)
		return true;
	return n_marks <= MOST_MARKED && th_job_mark_free(marks, n_marks) == 0;
}

/*
 * Calendars that have changed are pulled. A channel's first message says no
 * more than that it is there.
 */
static void
hear_channels(ThWebhookRow **rows, int n)
{
	static const char lifecycle[] = "subscription.";
	ThChannelWord *words = palloc0_array(ThChannelWord, Max(n, 1));
	int n_words = 0;

	for (int i = 0; i < n; i++)
	{
		const ThWebhookRow *row = rows[i];
		bool is_graph = strcmp(row->source, "graph") == 0;
		ThChannelWord *word = &words[n_words];

		if (!row->is_inserted ||
			(!is_graph && strcmp(row->source, "google-calendar") != 0) ||
			strcmp(row->event_name, "calendar.sync") == 0)
			continue;
		word->clinic_id = row->clinic_id;
		word->source = row->source;
		word->channel_id = row->account_ref;
		if (!is_graph)
			word->resource_id = th_json_text(row->raw, "x-goog-resource-id",
											 NULL);
		else if (strncmp(row->event_name, lifecycle, strlen(lifecycle)) == 0)
			word->lifecycle = row->event_name + strlen(lifecycle);
		n_words++;
	}
	if (!th_guc_restoring)
		th_channel_hear(words, n_words, GetCurrentTimestamp());
}

static bool
store_events(ThWebhookClaim *claims, int n)
{
	ThWebhookRow **rows;
	ThWebhookDelivery **from;
	int room = 1;
	int n_rows = 0;

	for (int i = 0; i < n; i++)
		room += claims[i].n_events * Max(claims[i].n_named, 1);
	rows = palloc_array(ThWebhookRow *, room);
	from = palloc_array(ThWebhookDelivery *, room);
	for (int i = 0; i < n; i++)
	{
		if (claims[i].signer == NULL)
			continue;
		for (int j = 0; j < claims[i].n_events; j++)
		{
			int before = n_rows;

			n_rows += rows_of(&claims[i], &claims[i].events[j], &rows[n_rows]);
			for (int k = before; k < n_rows; k++)
				from[k] = claims[i].delivery;
		}
	}
	if (n_rows == 0)
		return true;
	th_webhook_insert(rows, n_rows);
	for (int i = 0; i < n_rows; i++)
		from[i]->is_inserted |= rows[i]->is_inserted;
	hear_channels(rows, n_rows);
	return mark_sessions(rows, n_rows);
}

/* ---- the door ---- */

/* The claim of a delivery that may be genuine; false if it is answered. */
static bool
look_at(ThWebhookDelivery *delivery, ThWebhookClaim *claim)
{
	delivery->status = 0;
	delivery->content_type = NULL;
	delivery->reply = NULL;
	delivery->is_inserted = false;
	claim->delivery = delivery;
	claim->source = th_webhook_source(delivery->source);
	if (claim->source == NULL)
	{
		th_webhook_refuse(delivery, 404, "source");
		return false;
	}
	if (delivery->body_length > (size_t) th_guc_max_body_kb * 1024)
	{
		th_webhook_refuse(delivery, 413, "size");
		return false;
	}
	return claim->source->look(claim);
}

/* Secrets of all claims, looked up once a source. */
static void
find_secrets(ThWebhookClaim *claims, int n)
{
	ThWebhookClaim **same = palloc_array(ThWebhookClaim *, Max(n, 1));
	bool *is_done = palloc0_array(bool, Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		int n_same = 0;

		if (is_done[i])
			continue;
		for (int j = i; j < n; j++)
		{
			if (claims[j].source != claims[i].source)
				continue;
			is_done[j] = true;
			same[n_same++] = &claims[j];
		}
		if (claims[i].source->find != NULL)
			claims[i].source->find(same, n_same);
		else
			find_account_secrets(same, n_same);
	}
}

/* What is said of the delivery if no part of it is genuine. */
static void
refuse_claim(ThWebhookClaim *claim)
{
	if (claim->delivery->status != 0)
		return;
	if (claim->source->ignores_strays && claim->n_secrets == 0 &&
		!claim->is_unknown && claim->account_ref != NULL &&
		claim->account_ref[0] != '\0')
		th_webhook_answer(claim->delivery, 200, NULL, NULL);
	/* with its key back it may be genuine: the sender is to try again */
	else if (claim->is_unknown)
		th_webhook_refuse(claim->delivery, 503, "key");
	else
		th_webhook_refuse(claim->delivery, 401, "signature");
}

/* A delivery of several parts is taken if one of them is genuine. */
static void
accept_claim(ThWebhookClaim *claim)
{
	if (claim->is_part)
		claim->delivery->status = 0;
	claim->source->read(claim);
	if (claim->delivery->status == 0)
		th_webhook_answer(claim->delivery, 200, NULL, NULL);
}

bool
th_webhook_answer_at_once(ThWebhookDelivery *delivery)
{
	const ThWebhookSource *source = th_webhook_source(delivery->source);

	return source != NULL && source->at_once != NULL &&
		   source->at_once(delivery);
}

/* Claims of those that may be genuine: one a delivery, or one a part of it. */
static ThWebhookClaim *
look_at_all(ThWebhookDelivery *deliveries, int n, int *n_claims)
{
	int room = Max(n, 1);
	ThWebhookClaim *claims = palloc0_array(ThWebhookClaim, room);

	*n_claims = 0;
	for (int i = 0; i < n; i++)
	{
		ThWebhookClaim claim = { 0 };
		ThWebhookClaim *parts = &claim;
		int n_parts = 1;

		if (!look_at(&deliveries[i], &claim))
			continue;
		if (claim.source->split != NULL)
			n_parts = claim.source->split(&claim, &parts);
		if (*n_claims + n_parts + n - i > room)
		{
			room = (*n_claims + n_parts + n - i) * 2;
			claims = repalloc(claims, sizeof(ThWebhookClaim) * room);
		}
		memcpy(&claims[*n_claims], parts, sizeof(ThWebhookClaim) * n_parts);
		*n_claims += n_parts;
	}
	return claims;
}

bool
th_webhook_receive(ThWebhookDelivery *deliveries, int n)
{
	int n_claims;
	ThWebhookClaim *claims = look_at_all(deliveries, n, &n_claims);

	find_secrets(claims, n_claims);
	for (int i = 0; i < n_claims; i++)
	{
		if (is_signed(&claims[i]))
			accept_claim(&claims[i]);
	}
	for (int i = 0; i < n_claims; i++)
	{
		if (claims[i].signer == NULL)
			refuse_claim(&claims[i]);
	}
	return store_events(claims, n_claims);
}
