/*
 * request.h
 *	  One request, from its first line to its answer.
 *
 * Memory of the request itself is malloc'd: it is made and filled inside
 * libmicrohttpd, where nothing may throw. What answers it uses palloc.
 */
#ifndef TH_GATEWAY_REQUEST_H
#define TH_GATEWAY_REQUEST_H

#include "lib/ilist.h"

#include "flow/webhook.h"
#include "gateway/route.h"

#define TH_REPLY_HEADERS 8

struct MHD_Connection;

typedef struct ThReplyHeader
{
	const char *name;
	const char *value;
} ThReplyHeader;

typedef struct ThHttpRequest
{
	dlist_node node; /* in a queue of the server's, while is_queued */
	struct MHD_Connection *connection; /* NULL: it is gone */

	/* asked */
	const ThRoute *route; /* NULL until the head was found good */
	bool is_begun;        /* its head was looked at */
	bool is_queued;
	int n_asked;     /* times the library has asked for an answer since */
	bool is_resting; /* its connection is suspended */
	bool is_head;
	char *target; /* path and query as they came */
	size_t target_size;
	char *path;
	const char *query; /* NULL: none */
	ThWebhookHeader *headers;
	int n_headers;
	char *headers_end; /* where the next text goes */
	size_t headers_size;
	char *body;
	size_t body_length;
	size_t body_capacity;
	TimestampTz received_at;
	bool is_loopback; /* it comes from this machine, or a proxy on it */

	/* answered */
	int status; /* 0: not yet */
	bool is_closing;
	bool is_waiting; /* somebody else sends it later */
	bool is_sent;
	bool is_common;   /* type and reply are literals, the same for many */
	const char *type; /* NULL: no body */
	const char *reply;
	size_t reply_length;
	ThReplyHeader reply_headers[TH_REPLY_HEADERS];
	int n_reply_headers;
} ThHttpRequest;

/* From the request line's target; NULL without memory. */
extern ThHttpRequest *th_request_create(const char *target);
extern void th_request_free(ThHttpRequest *request);

/*
 * Copies header fields, their names in lower case: first room for "n" of them
 * with so many bytes of names and values (false without memory), then each.
 */
extern bool th_request_expect_headers(ThHttpRequest *request, int n,
									  size_t bytes);
extern void th_request_add_header(ThHttpRequest *request, const char *name,
								  const char *value);

/* The value of a header by its lower-case name, or NULL. */
extern const char *th_request_header(const ThHttpRequest *request,
									 const char *name);

/* Appends to the body; false if it would be longer than "max", or without memory. */
extern bool th_request_take_body(ThHttpRequest *request, const char *data,
								 size_t length, size_t max);

/*
 * Answers. "reply" and the headers must stay until the end of the turn.
 * Never throw.
 */
extern void th_request_answer(ThHttpRequest *request, int status,
							  const char *type, const char *reply,
							  size_t length);
extern void th_request_add_reply_header(ThHttpRequest *request,
										const char *name, const char *value);

/* Answers with a short text that says the status, and nothing else. */
extern void th_request_refuse(ThHttpRequest *request, int status);

/* 503 with Retry-After. */
extern void th_request_put_off(ThHttpRequest *request);

#endif /* TH_GATEWAY_REQUEST_H */
