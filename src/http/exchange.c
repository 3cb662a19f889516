/*
 * exchange.c
 *	  One exchange: copying the request, how it ended, its result.
 */
#include "postgres.h"

#include <string.h>

#include "utils/memutils.h"

#include <curl/curl.h>

#include "base/compat.h"
#include "base/th_error.h"
#include "base/th_guc.h"
#include "http/address.h"
#include "http/exchange.h"

/* Longest text of libcurl's that goes into a result. */
#define MAX_DETAIL 200

/* True if the value may stand in one header line. */
static bool
is_header_value(const char *value)
{
	for (; value != NULL && *value != '\0'; value++)
	{
		if ((unsigned char) *value < ' ' || *value == 0x7f)
			return false;
	}
	return true;
}

/* Adds a header line; without a value, libcurl leaves that header out. */
static bool
add_header(ThHttpExchange *exchange, const char *name, const char *value)
{
	size_t size = strlen(name) + (value == NULL ? 0 : strlen(value)) + 3;
	char *line = malloc(size);
	struct curl_slist *list = NULL;

	if (line != NULL)
	{
		if (value == NULL)
			snprintf(line, size, "%s:", name);
		else
			snprintf(line, size, "%s: %s", name, value);
		list = curl_slist_append(exchange->headers, line);
		explicit_bzero(line, size);
		free(line);
	}
	if (list != NULL)
		exchange->headers = list;
	return list != NULL;
}

static bool
copy_request(ThHttpExchange *exchange, const ThHttpRequest *request)
{
	exchange->url = strdup(request->url);
	if (exchange->url == NULL)
		return false;
	if (request->body != NULL)
	{
		exchange->request_body = malloc(request->body_length + 1);
		if (exchange->request_body == NULL)
			return false;
		memcpy(exchange->request_body, request->body, request->body_length);
		exchange->request_length = request->body_length;
	}
	if (!add_header(exchange, "Accept",
					request->accept == NULL ? "application/json"
											: request->accept) ||
		!add_header(exchange, "Content-Type",
					request->body == NULL ? NULL : request->content_type) ||
		!add_header(exchange, "Expect", NULL))
		return false;
	for (int i = 0; i < request->n_headers; i++)
	{
		if (!add_header(exchange, request->headers[i].name,
						request->headers[i].value))
			return false;
	}
	return request->authorization == NULL ||
		   add_header(exchange, "Authorization", request->authorization);
}

/*
 * The reason why policy refuses the request, or NULL. What could not be read
 * for lack of memory is not refused: that may be over the next time.
 */
static const char *
find_refusal(ThHttpExchange *exchange, const ThHttpRequest *request,
			 bool *is_memory_short)
{
	if (!th_http_target_read(request->url, &exchange->target, is_memory_short))
		return "not an absolute URL of a web server without user name and zone";
	exchange->is_trusted = th_http_host_is_listed(th_guc_allowed_hosts,
												  exchange->target.host,
												  exchange->target.port);
	if (!exchange->target.is_https && !exchange->is_trusted)
		return "http is allowed only for hosts in telehealth.allowed_hosts";
	if (!is_header_value(request->accept) ||
		!is_header_value(request->authorization) ||
		!is_header_value(request->content_type))
		return "header value holds a control character";
	for (int i = 0; i < request->n_headers; i++)
	{
		if (!is_header_value(request->headers[i].value))
			return "header value holds a control character";
	}
	return NULL;
}

ThHttpExchange *
th_http_exchange_create(const ThHttpRequest *request, void *owner)
{
	ThHttpExchange *exchange = calloc(1, sizeof(ThHttpExchange));
	const char *refusal;
	bool is_memory_short;

	if (exchange == NULL)
		return NULL;
	exchange->owner = owner;
	exchange->method = request->method;
	exchange->ratelimit_remaining = -1;
	exchange->dns_ms = exchange->connect_ms = exchange->tls_ms = -1;
	exchange->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms
												   : th_guc_request_timeout_ms;
	exchange->max_body = (int) Min((int64) th_guc_max_response_kb * 1024,
								   (int64) MaxAllocSize - 1);
	refusal = find_refusal(exchange, request, &is_memory_short);
	if (is_memory_short ||
		(refusal == NULL && !copy_request(exchange, request)))
	{
		th_http_exchange_free(exchange);
		return NULL;
	}
	if (refusal != NULL)
		th_http_exchange_end(exchange, TH_HTTP_REFUSED, refusal);
	return exchange;
}

void
th_http_exchange_free(ThHttpExchange *exchange)
{
	struct curl_slist *header;

	/* Authorization headers, token requests and token answers. */
	for (header = exchange->headers; header != NULL; header = header->next)
		explicit_bzero(header->data, strlen(header->data));
	curl_slist_free_all(exchange->headers);
	if (exchange->request_body != NULL)
		explicit_bzero(exchange->request_body, exchange->request_length);
	free(exchange->request_body);
	if (exchange->body != NULL)
		explicit_bzero(exchange->body, exchange->body_length);
	free(exchange->body);
	if (exchange->url != NULL)
		explicit_bzero(exchange->url, strlen(exchange->url));
	free(exchange->url);
	free(exchange->location);
	free(exchange);
}

/*
 * Milliseconds between two marks of libcurl. It leaves out the later mark on
 * a kept connection; then the part took no time.
 */
static int
part_ms(const ThHttpExchange *exchange, curl_off_t from_us, curl_off_t to_us)
{
	if (to_us <= 0)
		return exchange->is_begun ? 0 : -1;
	return (int) Max((to_us - from_us) / 1000, 0);
}

/*
 * The end of an exchange that failed before anything could be sent. A TLS
 * handshake that only took too long counts as no connection: it may work
 * the next time.
 */
static ThHttpEnd
end_unsent(const ThHttpExchange *exchange)
{
	return exchange->dns_ms < 0 ? TH_HTTP_NO_HOST : TH_HTTP_NO_CONNECTION;
}

static ThHttpEnd
end_of_code(const ThHttpExchange *exchange, CURLcode code)
{
	switch (code)
	{
		case CURLE_OK:
			return exchange->status > 0 ? TH_HTTP_ANSWERED : TH_HTTP_CUT;
		case CURLE_URL_MALFORMAT:
		case CURLE_LOGIN_DENIED:
			return TH_HTTP_REFUSED;
		case CURLE_COULDNT_RESOLVE_HOST:
			return TH_HTTP_NO_HOST;
		case CURLE_COULDNT_CONNECT:
			return TH_HTTP_NO_CONNECTION;
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CRL_BADFILE:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_SSL_ENGINE_INITFAILED:
		case CURLE_SSL_ENGINE_NOTFOUND:
		case CURLE_SSL_ENGINE_SETFAILED:
		case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		case CURLE_PEER_FAILED_VERIFICATION:
			return TH_HTTP_TLS_FAILED;
		case CURLE_OPERATION_TIMEDOUT:
			return exchange->is_begun ? TH_HTTP_TIMEOUT : end_unsent(exchange);
		default:
			return exchange->is_begun ? TH_HTTP_CUT : end_unsent(exchange);
	}
}

void
th_http_exchange_note(ThHttpExchange *exchange, CURLcode code)
{
	curl_off_t dns_us = 0;
	curl_off_t connect_us = 0;
	curl_off_t tls_us = 0;
	curl_off_t total_us = 0;
	long sent_bytes = 0;
	CURL *easy = exchange->easy;

	/* Fail only for unknown names; the zeros above stand then. */
	(void) curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &dns_us);
	(void) curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connect_us);
	(void) curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
	(void) curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &total_us);
	(void) curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
	(void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &exchange->status);
	exchange->dns_ms = part_ms(exchange, 0, dns_us);
	exchange->connect_ms = part_ms(exchange, dns_us, connect_us);
	exchange->tls_ms = exchange->target.is_https
						   ? part_ms(exchange, connect_us, tls_us)
						   : -1;
	exchange->total_ms = (int) (total_us / 1000);

	if (exchange->is_repeat_refused)
		th_http_exchange_end(exchange, TH_HTTP_CUT,
							 "connection closed before the answer");
	else if (exchange->is_too_large || code == CURLE_FILESIZE_EXCEEDED)
		th_http_exchange_end(exchange, TH_HTTP_TOO_LARGE,
							 "answer is larger than allowed");
	else if (exchange->is_address_refused && !exchange->is_begun &&
			 (code == CURLE_ABORTED_BY_CALLBACK || !exchange->is_socket_opened))
		th_http_exchange_end(exchange, TH_HTTP_REFUSED,
							 "address is not public");
	else
		exchange->end = end_of_code(exchange, code);
	exchange->maybe_sent = exchange->end != TH_HTTP_ANSWERED &&
						   (sent_bytes > 0 || exchange->is_repeat_refused);
}

void
th_http_exchange_end(ThHttpExchange *exchange, ThHttpEnd end,
					 const char *reason)
{
	exchange->end = end;
	exchange->reason = reason;
}

/* Copy of a header value, NULL if it was absent. */
static char *
copy_value(const char *value)
{
	return value[0] == '\0' ? NULL : pstrdup(value);
}

ThHttpResult *
th_http_exchange_result(const ThHttpExchange *exchange)
{
	ThHttpResult *result = palloc0(sizeof(ThHttpResult));

	result->owner = exchange->owner;
	result->end = exchange->end;
	result->status = exchange->status;
	result->body = palloc(exchange->body_length + 1);
	if (exchange->body_length > 0)
		memcpy(result->body, exchange->body, exchange->body_length);
	result->body[exchange->body_length] = '\0';
	result->body_length = exchange->body_length;
	result->maybe_sent = exchange->maybe_sent;
	result->date = th_http_instant(exchange->date);
	result->retry_after = copy_value(exchange->retry_after);
	result->ratelimit_type = copy_value(exchange->ratelimit_type);
	result->ratelimit_category = copy_value(exchange->ratelimit_category);
	result->ratelimit_reset = copy_value(exchange->ratelimit_reset);
	result->ratelimit_remaining = exchange->ratelimit_remaining;
	result->etag = copy_value(exchange->etag);
	if (exchange->location != NULL)
		result->location = pstrdup(exchange->location);
	result->dns_ms = exchange->dns_ms;
	result->connect_ms = exchange->connect_ms;
	result->tls_ms = exchange->tls_ms;
	result->total_ms = exchange->total_ms;
	if (exchange->end != TH_HTTP_ANSWERED && exchange->reason != NULL)
		result->detail = pstrdup(exchange->reason);
	else if (exchange->end != TH_HTTP_ANSWERED)
		result->detail = th_error_redact(exchange->error, MAX_DETAIL);
	return result;
}
