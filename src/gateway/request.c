/*
 * request.c
 *	  One request, from its first line to its answer.
 */
#include "postgres.h"

#include "base/th_clock.h"
#include "gateway/request.h"

#define BODY_FIRST 4096

/* Zoom repeats after minutes; others take what they are told. */
#define RETRY_AFTER_S "5"

ThHttpRequest *
th_request_create(const char *target)
{
	ThHttpRequest *request = calloc(1, sizeof(ThHttpRequest));
	char *question;

	if (request == NULL)
		return NULL;
	request->target_size = strlen(target);
	request->target = strdup(target);
	request->path = strdup(target);
	if (request->target == NULL || request->path == NULL)
	{
		th_request_free(request);
		return NULL;
	}
	question = strchr(request->path, '?');
	if (question != NULL)
	{
		*question = '\0';
		request->query = question + 1;
	}
	request->received_at = th_clock_now();
	return request;
}

/* Tokens, codes and what people said: nothing of it stays in memory. */
static void
wipe(void *memory, size_t size)
{
	if (memory == NULL)
		return;
	explicit_bzero(memory, size);
	free(memory);
}

void
th_request_free(ThHttpRequest *request)
{
	if (request == NULL)
		return;
	wipe(request->target, request->target_size);
	wipe(request->path, request->target_size);
	wipe(request->headers, request->headers_size);
	wipe(request->body, request->body_capacity);
	free(request);
}

/* One block: the array, then the texts. */
bool
th_request_expect_headers(ThHttpRequest *request, int n, size_t bytes)
{
	size_t size = (size_t) n * (sizeof(ThWebhookHeader) + 2) + bytes;

	request->headers = calloc(1, Max(size, 1));
	request->headers_size = size;
	request->n_headers = 0;
	request->headers_end = (char *) (request->headers + n);
	return request->headers != NULL;
}

static const char *
append_text(ThHttpRequest *request, const char *text, bool is_name)
{
	char *start = request->headers_end;

	for (char *end = start;; end++)
	{
		unsigned char c = (unsigned char) *text++;

		*end = (char) (is_name && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
		if (c == '\0')
		{
			request->headers_end = end + 1;
			return start;
		}
	}
}

void
th_request_add_header(ThHttpRequest *request, const char *name,
					  const char *value)
{
	ThWebhookHeader *header = &request->headers[request->n_headers++];

	header->name = append_text(request, name, true);
	header->value = append_text(request, value, false);
}

const char *
th_request_header(const ThHttpRequest *request, const char *name)
{
	for (int i = 0; i < request->n_headers; i++)
		if (strcmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return NULL;
}

bool
th_request_take_body(ThHttpRequest *request, const char *data, size_t length,
					 size_t max)
{
	size_t needed = request->body_length + length;

	if (length > max || needed > max)
		return false;
	if (needed > request->body_capacity)
	{
		size_t capacity = Max(request->body_capacity, BODY_FIRST);
		char *body;

		while (capacity < needed)
			capacity *= 2;
		body = malloc(capacity);
		if (body == NULL)
			return false;
		if (request->body_length > 0)
			memcpy(body, request->body, request->body_length);
		wipe(request->body, request->body_capacity);
		request->body = body;
		request->body_capacity = capacity;
	}
	memcpy(request->body + request->body_length, data, length);
	request->body_length = needed;
	return true;
}

void
th_request_answer(ThHttpRequest *request, int status, const char *type,
				  const char *reply, size_t length)
{
	request->status = status;
	request->is_common = false;
	request->type = type;
	request->reply = reply;
	request->reply_length = reply == NULL ? 0 : length;
}

void
th_request_add_reply_header(ThHttpRequest *request, const char *name,
							const char *value)
{
	if (request->n_reply_headers == TH_REPLY_HEADERS)
		return;
	request->reply_headers[request->n_reply_headers].name = name;
	request->reply_headers[request->n_reply_headers++].value = value;
}

static const char *
refusal(int status)
{
	switch (status)
	{
		case 400:
			return "bad request\n";
		case 401:
			return "not authorized\n";
		case 404:
			return "not found\n";
		case 405:
			return "method not allowed\n";
		case 413:
			return "too large\n";
		case 414:
			return "address too long\n";
		case 417:
			return "expectation failed\n";
		case 431:
			return "header too large\n";
		case 501:
			return "not implemented\n";
		case 503:
			return "not available now\n";
		case 505:
			return "version not supported\n";
		default:
			return "error\n";
	}
}

void
th_request_refuse(ThHttpRequest *request, int status)
{
	const char *text = refusal(status);

	request->n_reply_headers = 0;
	th_request_answer(request, status, "text/plain; charset=utf-8", text,
					  strlen(text));
}

void
th_request_put_off(ThHttpRequest *request)
{
	th_request_refuse(request, 503);
	th_request_add_reply_header(request, "Retry-After", RETRY_AFTER_S);
}
