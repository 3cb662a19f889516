/*
 * oauth.c
 *	  Grants that a user gives in a browser: requests to a vendor's token
 *	  endpoint and what they answer.
 */
#include "postgres.h"

#include "common/base64.h"
#include "utils/timestamp.h"

#include "base/th_error.h"
#include "json/json_read.h"
#include "platform/oauth.h"

#define MESSAGE_MAX 200
#define TOKEN_MAX 16384
#define SUBJECT_MAX 255
#define OWNER_MAX 100

/* What the vendors say themselves when an answer does not. */
#define TOKEN_SECONDS 3600
#define TOKEN_SECONDS_MAX 86400

static const char *const client[] = { "client_id", "client_secret", NULL };
static const char *const zoom_optional[] = { "sdk_key", "sdk_secret",
											 "webhook_secret", NULL };
static const char *const zoom_secret[] = { "client_secret", "sdk_secret",
										   "webhook_secret", NULL };
static const char *const outlook_optional[] = { "tenant", NULL };
static const char *const secret[] = { "client_secret", NULL };
static const char *const none[] = { NULL };

static const ThOauthVendor vendors[] = {
	{ "zoom", client, zoom_optional, zoom_secret, true, "/users/me",
	  "account_id" },
	{ "google", client, none, secret, false, NULL, NULL },
	{ "outlook", client, outlook_optional, secret, false, NULL, NULL },
};

const ThOauthVendor *
th_oauth_vendor(const char *kind)
{
	for (size_t i = 0; i < lengthof(vendors); i++)
	{
		if (strcmp(vendors[i].kind, kind) == 0)
			return &vendors[i];
	}
	return NULL;
}

const char *
th_oauth_vendor_names(void)
{
	return "zoom, google, outlook";
}

const char *
th_oauth_credential(const ThCredential *credentials, int n, const char *name)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(credentials[i].name, name) == 0)
			return credentials[i].value;
	}
	return "";
}

char *
th_oauth_fill_tenant(const char *url, const ThCredential *credentials, int n)
{
	static const char mark[] = "{tenant}";
	const char *tenant = th_oauth_credential(credentials, n, "tenant");
	const char *at = strstr(url, mark);
	StringInfoData out;

	if (at == NULL)
		return pstrdup(url);
	initStringInfo(&out);
	appendBinaryStringInfo(&out, url, (int) (at - url));
	th_http_append_encoded(&out, tenant[0] == '\0' ? "common" : tenant);
	appendStringInfoString(&out, at + sizeof(mark) - 1);
	return out.data;
}

/* ---- requests ---- */

/* The clear text is wiped. */
char *
th_oauth_basic(const ThCredential *credentials, int n)
{
	static const char prefix[] = "Basic ";
	char *clear =
		psprintf("%s:%s", th_oauth_credential(credentials, n, "client_id"),
				 th_oauth_credential(credentials, n, "client_secret"));
	int length = (int) strlen(clear);
	int room = pg_b64_enc_len(length);
	char *header = palloc(sizeof(prefix) + room);
	int written;

	memcpy(header, prefix, sizeof(prefix));
	/* The argument is of another pointer type from server 18 on. */
	written = pg_b64_encode((const void *) clear, length,
							header + sizeof(prefix) - 1, room);
	explicit_bzero(clear, length);
	pfree(clear);
	if (written < 0)
		elog(ERROR, "could not encode credentials");
	header[sizeof(prefix) - 1 + written] = '\0';
	return header;
}

static void
append_field(StringInfo body, const char *name, const char *value)
{
	appendStringInfo(body, "%s%s=", body->len > 0 ? "&" : "", name);
	th_http_append_encoded(body, value);
}

/* A form post; who asks stands in it or in a header. */
static void
finish(const ThOauthVendor *vendor, const char *token_url,
	   const ThCredential *credentials, int n, StringInfo body,
	   ThHttpRequest *out)
{
	if (vendor->is_basic)
		out->authorization = th_oauth_basic(credentials, n);
	else
	{
		append_field(body, "client_id",
					 th_oauth_credential(credentials, n, "client_id"));
		append_field(body, "client_secret",
					 th_oauth_credential(credentials, n, "client_secret"));
	}
	out->method = TH_HTTP_POST;
	out->url = pstrdup(token_url);
	out->content_type = "application/x-www-form-urlencoded";
	out->body = body->data;
	out->body_length = body->len;
}

void
th_oauth_build_code(const ThOauthVendor *vendor, const char *token_url,
					const ThCredential *credentials, int n, const char *code,
					const char *redirect_uri, const char *verifier,
					ThHttpRequest *out)
{
	StringInfoData body;

	memset(out, 0, sizeof(*out));
	initStringInfo(&body);
	append_field(&body, "grant_type", "authorization_code");
	append_field(&body, "code", code);
	append_field(&body, "redirect_uri", redirect_uri);
	append_field(&body, "code_verifier", verifier);
	finish(vendor, token_url, credentials, n, &body, out);
}

void
th_oauth_build_refresh(const ThOauthVendor *vendor, const char *token_url,
					   const ThCredential *credentials, int n,
					   ThHttpRequest *out)
{
	StringInfoData body;

	memset(out, 0, sizeof(*out));
	initStringInfo(&body);
	append_field(&body, "grant_type", "refresh_token");
	append_field(&body, "refresh_token",
				 th_oauth_credential(credentials, n, "refresh_token"));
	finish(vendor, token_url, credentials, n, &body, out);
}

void
th_oauth_build_owner(const ThOauthVendor *vendor, const char *api_url,
					 const char *token, ThHttpRequest *out)
{
	memset(out, 0, sizeof(*out));
	out->method = TH_HTTP_GET;
	out->url = psprintf("%s%s", api_url, vendor->owner_path);
	out->authorization = psprintf("Bearer %s", token);
}

/* ---- answers ---- */

/* A token is printable and without spaces; NULL if it is none. */
static char *
token_text(Jsonb *document, const char *path)
{
	char *text = th_json_text(document, path, NULL);

	if (text == NULL || text[0] == '\0' ||
		strnlen(text, TOKEN_MAX + 1) > TOKEN_MAX)
		return NULL;
	for (const char *p = text; *p != '\0'; p++)
	{
		if ((unsigned char) *p <= 0x20 || (unsigned char) *p >= 0x7f)
			return NULL;
	}
	return text;
}

/*
 * Whose grant it is, from the middle part of an id_token (JWT). It comes from
 * the vendor itself by TLS: its signature need not be verified (OpenID Connect
 * Core, 3.1.3.7).
 */
static char *
read_subject(const char *id_token)
{
	const char *part = id_token == NULL ? NULL : strchr(id_token, '.');
	size_t length = part == NULL ? 0 : strcspn(++part, ".");
	Jsonb *claims;
	char *base64;
	char *text;
	char *subject;
	int n;

	if (length == 0)
		return NULL;
	base64 = psprintf("%.*s%.*s", (int) length, part,
					  (int) ((4 - length % 4) % 4), "===");
	for (char *p = base64; *p != '\0'; p++)
		*p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
	text = palloc(length + 1);
	n = pg_b64_decode(base64, (int) strlen(base64), (void *) text,
					  (int) length);
	if (n <= 0 || !th_json_parse(text, n, &claims))
		return NULL;
	subject = token_text(claims, "sub");
	return subject == NULL || strlen(subject) > SUBJECT_MAX ? NULL : subject;
}

static void
read_tokens(Jsonb *document, ThOauthAnswer *out)
{
	int64 expires_in = th_json_int(document, "expires_in", TOKEN_SECONDS);

	out->token = token_text(document, "access_token");
	out->refresh_token = token_text(document, "refresh_token");
	out->subject = read_subject(token_text(document, "id_token"));
	out->scopes = th_json_text(document, "scope", NULL);
	if (out->scopes != NULL && strnlen(out->scopes, TOKEN_MAX + 1) > TOKEN_MAX)
		out->scopes = NULL;
	out->expires_in = expires_in <= 0
						  ? TOKEN_SECONDS
						  : (int) Min(expires_in, TOKEN_SECONDS_MAX);
	if (out->token != NULL)
		return;
	/* what it said no is gone, and with it what was exchanged */
	out->verdict = TH_VERDICT_UNKNOWN;
	out->message = pstrdup("the answer is not readable");
}

static void
read_refusal(const ThHttpResult *result, Jsonb *document, TimestampTz now,
			 ThOauthAnswer *out)
{
	static const char *const names[] = { "reason", "error_description",
										 "message", "error", NULL };
	char *text = NULL;

	for (const char *const *name = names;
		 document != NULL && text == NULL && *name != NULL; name++)
		text = th_json_text(document, *name, NULL);
	if (document != NULL)
		out->code = th_json_text(document, "error", NULL);
	if (out->code != NULL)
		out->code = th_error_redact(out->code, MESSAGE_MAX);
	out->message = th_error_redact(text == NULL || text[0] == '\0'
									   ? psprintf("HTTP status %ld",
												  result->status)
									   : text,
								   MESSAGE_MAX);
	if (result->retry_after != NULL)
		out->retry_at = th_http_retry_at(result->retry_after, now);
	if (result->status == 429)
		out->verdict = TH_VERDICT_RATE_LIMITED;
	else if (result->status >= 400 && result->status < 500 &&
			 result->status != 408)
		out->verdict = TH_VERDICT_CREDENTIALS;
	else
		out->verdict = TH_VERDICT_RETRY;
}

static void
read_failure(const ThHttpResult *result, ThOauthAnswer *out)
{
	const char *name = th_http_end_name(result->end);

	out->verdict = result->end == TH_HTTP_REFUSED ? TH_VERDICT_PERMANENT
				   : result->maybe_sent || result->end == TH_HTTP_TOO_LARGE
					   ? TH_VERDICT_UNKNOWN
					   : TH_VERDICT_RETRY;
	out->message =
		th_error_redact(result->detail != NULL && result->detail[0] != '\0'
							? psprintf("%s: %s", name, result->detail)
							: name,
						MESSAGE_MAX);
}

void
th_oauth_read(const ThHttpResult *result, TimestampTz now, ThOauthAnswer *out)
{
	Jsonb *document = NULL;

	memset(out, 0, sizeof(*out));
	if (result->end != TH_HTTP_ANSWERED)
	{
		read_failure(result, out);
		return;
	}
	if (result->body == NULL || result->body_length == 0 ||
		!th_json_parse(result->body, result->body_length, &document))
		document = NULL;
	if (result->status < 200 || result->status >= 300)
		read_refusal(result, document, now, out);
	else if (document == NULL)
	{
		out->verdict = TH_VERDICT_UNKNOWN;
		out->message = pstrdup("the answer is not readable");
	}
	else
	{
		out->verdict = TH_VERDICT_OK;
		read_tokens(document, out);
	}
	if (document != NULL)
		explicit_bzero(document, VARSIZE(document));
}

char *
th_oauth_read_owner(const ThOauthVendor *vendor, const ThHttpResult *result)
{
	Jsonb *document = NULL;
	char *number;

	if (result->end != TH_HTTP_ANSWERED || result->status != 200 ||
		!th_json_parse(result->body, result->body_length, &document))
		return NULL;
	number = th_json_text(document, vendor->owner_member, NULL);
	if (number == NULL || number[0] == '\0' ||
		strnlen(number, OWNER_MAX + 1) > OWNER_MAX)
		return NULL;
	return number;
}
