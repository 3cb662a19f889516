/*
 * twilio_event.c
 *	  Twilio's webhooks: who signed.
 */
#include "postgres.h"

#include <string.h>

#include "lib/stringinfo.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "crypto/mac.h"
#include "crypto/token.h"
#include "platform/twilio_event.h"

#define SHA1_BYTES 20

static int
compare_fields(const void *a, const void *b)
{
	const ThFormField *left = a;
	const ThFormField *right = b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : strcmp(left->value, right->value);
}

/* Names and values in the order of the names; what is there twice alike, once. */
static char *
signed_fields(const ThForm *form)
{
	ThFormField *sorted = palloc_array(ThFormField, Max(form->n, 1));
	StringInfoData text;

	memcpy(sorted, form->fields, sizeof(ThFormField) * form->n);
	qsort(sorted, form->n, sizeof(ThFormField), compare_fields);
	initStringInfo(&text);
	for (int i = 0; i < form->n; i++)
	{
		if (i > 0 && compare_fields(&sorted[i - 1], &sorted[i]) == 0)
			continue;
		appendStringInfoString(&text, sorted[i].name);
		appendStringInfoString(&text, sorted[i].value);
	}
	return text.data;
}

static bool
is_signature(const char *secret, const char *signature, const char *url,
			 const char *fields)
{
	const ThMacPart parts[] = { { url, strlen(url) },
								{ fields, strlen(fields) } };
	unsigned char mac[TH_MAC_MAX_BYTES];

	if (th_mac_hmac(TH_MAC_SHA1, secret, strlen(secret), parts, lengthof(parts),
					mac) != SHA1_BYTES)
		return false;
	return th_mac_is_equal_text(signature, th_token_base64((const char *) mac,
														   SHA1_BYTES));
}

/* The address with the port if it has none, without it if it has one; NULL if it is none. */
static char *
other_form(const char *url)
{
	const char *host = strstr(url, "://");
	const char *end;
	const char *colon;

	if (host == NULL)
		return NULL;
	host += 3;
	end = host + strcspn(host, "/?#");
	colon = memchr(host, ']', (size_t) (end - host));
	colon = memchr(colon == NULL ? host : colon, ':',
				   (size_t) (end - (colon == NULL ? host : colon)));
	if (colon != NULL)
		return psprintf("%.*s%s", (int) (colon - url), url, end);
	return psprintf("%.*s:%s%s", (int) (end - url), url,
					strncmp(url, "http://", 7) == 0 ? "80" : "443", end);
}

/* True if the address has the digest of the body. */
static bool
has_digest(const char *url, const char *body, size_t length)
{
	const char *query = strchr(url, '?');
	unsigned char digest[TH_SHA256_BYTES];
	char hex[TH_SHA256_BYTES * 2 + 1];
	const char *value;
	ThForm form;

	if (query == NULL || !th_form_read(query + 1, strlen(query + 1), &form))
		return false;
	value = th_form_value(&form, "bodySHA256");
	th_sha256(body, length, digest);
	th_mac_hex(digest, sizeof(digest), hex);
	return value != NULL && th_mac_is_equal_text(value, hex);
}

bool
th_twilio_verify(const char *secret, const char *signature, const char *url,
				 const ThForm *form, const char *body, size_t length)
{
	const char *fields = form == NULL ? "" : signed_fields(form);
	const char *other = other_form(url);

	if (form == NULL && !has_digest(url, body, length))
		return false;
	return is_signature(secret, signature, url, fields) ||
		   (other != NULL && is_signature(secret, signature, other, fields));
}

/* The number in "n" digits; -1 if they are none. */
static int
number_of(const char *text, int n)
{
	int number = 0;

	for (int i = 0; i < n; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + (text[i] - '0');
	}
	return number;
}

TimestampTz
th_twilio_instant(const char *text)
{
	static const char form[] = "....-..-..T..:..:..";
	struct pg_tm tm = { 0 };
	fsec_t fraction = 0;
	TimestampTz result;

	if (text == NULL || strlen(text) < sizeof(form))
		return 0;
	for (size_t i = 0; i < sizeof(form) - 1; i++)
	{
		if (form[i] != '.' && form[i] != text[i])
			return 0;
	}
	tm.tm_year = number_of(text, 4);
	tm.tm_mon = number_of(text + 5, 2);
	tm.tm_mday = number_of(text + 8, 2);
	tm.tm_hour = number_of(text + 11, 2);
	tm.tm_min = number_of(text + 14, 2);
	tm.tm_sec = number_of(text + 17, 2);
	text += sizeof(form) - 1;
	if (*text == '.')
	{
		int scale = 100000;

		for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10)
			fraction += (*text - '0') * scale;
	}
	if (strcmp(text, "Z") != 0 || tm.tm_year < 1970 || tm.tm_mon < 1 ||
		tm.tm_mon > 12 || tm.tm_mday < 1 ||
		tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
		tm.tm_sec < 0 || tm.tm_sec > 59 ||
		tm2timestamp(&tm, fraction, NULL, &result) != 0)
		return 0;
	return result;
}
