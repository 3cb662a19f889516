/*
 * webhook_schedule.c
 *	  A system that keeps providers' schedules, as a source of webhooks.
 *
 * Ours to define: X-Schedule-Sender names who sends, X-Schedule-Timestamp
 * has seconds since 1970, and X-Schedule-Signature is "sha256=" and the hex
 * digits of an HMAC-SHA256 over the timestamp, a full stop and the body as it
 * is sent. The body is an object with "event", and an "id" by which a
 * delivery that is repeated is known.
 */
#include "postgres.h"

#include <string.h>

#include "utils/timestamp.h"

#include "crypto/mac.h"
#include "crypto/token.h"
#include "flow/webhook_source.h"
#include "json/json_read.h"

#define PREFIX "sha256="
#define MOST_TEXT 255
#define LATE (95 * USECS_PER_MINUTE)
#define EARLY (5 * USECS_PER_MINUTE)

static const char *
header(const ThWebhookClaim *claim, const char *name)
{
	return th_webhook_header(claim->delivery, name);
}

/* Seconds since 1970 as an instant; 0 if they are none. */
static TimestampTz
instant_of(const char *text)
{
	size_t length = strlen(text);
	int64 seconds = 0;

	if (length < 9 || length > 11 || strspn(text, "0123456789") != length)
		return 0;
	for (; *text != '\0'; text++)
		seconds = seconds * 10 + (*text - '0');
	seconds -= (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	return seconds * USECS_PER_SEC;
}

static bool
is_timely(const ThWebhookClaim *claim)
{
	const char *text = header(claim, "x-schedule-timestamp");
	TimestampTz now = claim->delivery->received_at;
	TimestampTz at = text == NULL ? 0 : instant_of(text);

	return at != 0 && at >= now - LATE && at <= now + EARLY;
}

static bool
look(ThWebhookClaim *claim)
{
	const char *sender = header(claim, "x-schedule-sender");
	const char *signature = header(claim, "x-schedule-signature");

	if (sender == NULL || sender[0] == '\0' || strlen(sender) > MOST_TEXT ||
		signature == NULL || strncmp(signature, PREFIX, strlen(PREFIX)) != 0 ||
		!is_timely(claim))
	{
		th_webhook_refuse(claim->delivery, 401, "signature");
		return false;
	}
	claim->account_ref = sender;
	if (th_json_parse(claim->delivery->body, claim->delivery->body_length,
					  &claim->body) &&
		JB_ROOT_IS_OBJECT(claim->body))
		return true;
	th_webhook_refuse(claim->delivery, 400, "body");
	return false;
}

static bool
verify(const ThWebhookClaim *claim, const char *secret)
{
	const char *timestamp = header(claim, "x-schedule-timestamp");
	const ThMacPart parts[] = { { timestamp, strlen(timestamp) },
								{ ".", 1 },
								{ claim->delivery->body,
								  claim->delivery->body_length } };
	unsigned char mac[TH_MAC_MAX_BYTES];
	char hex[TH_MAC_MAX_HEX + 1];
	size_t length = th_mac_hmac(TH_MAC_SHA256, secret, strlen(secret), parts,
								lengthof(parts), mac);

	th_mac_hex(mac, length, hex);
	return th_mac_is_equal_text(header(claim, "x-schedule-signature") +
									strlen(PREFIX),
								hex);
}

/* The name as it is said: APPOINTMENT.BOOKED, SCHEDULE.UPDATED, and what else comes. */
static void
read_event(ThWebhookClaim *claim)
{
	const char *name = th_json_text(claim->body, "event", NULL);
	const char *identity[2];
	ThEvent *event;

	if (name == NULL || name[0] == '\0' || strlen(name) > MOST_TEXT)
	{
		th_webhook_refuse(claim->delivery, 400, "body");
		return;
	}
	event = th_webhook_event(claim, name);
	event->raw = claim->body;
	identity[0] = claim->account_ref;
	identity[1] = th_json_text(claim->body, "id", NULL);
	if (identity[1] == NULL)
	{
		unsigned char digest[TH_SHA256_BYTES];
		char *hex = palloc(TH_SHA256_BYTES * 2 + 1);

		th_sha256(claim->delivery->body, claim->delivery->body_length, digest);
		th_mac_hex(digest, sizeof(digest), hex);
		identity[1] = hex;
	}
	th_webhook_identify(event, identity, lengthof(identity));
}

const ThWebhookSource th_webhook_schedule = {
	.name = "provider-schedule",
	.find = th_webhook_find_channels,
	.look = look,
	.verify = verify,
	.read = read_event,
};
