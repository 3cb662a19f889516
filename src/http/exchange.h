/*
 * exchange.h
 *	  One exchange on its way through the engine. For this room only.
 *
 * An exchange is malloc'd and knows nothing of the engine's lists but its
 * place in one. Everything here may be called in the no-throw zone except
 * where it says otherwise.
 */
#ifndef TH_HTTP_EXCHANGE_H
#define TH_HTTP_EXCHANGE_H

#include <curl/curl.h>

#include "lib/ilist.h"

#include "http/request.h"

/* Longest URL; Graph's delta links have a few thousand characters. */
#define TH_HTTP_MAX_URL 16384

/* Longest host name of the DNS, and a scheme and port around it. */
#define TH_HTTP_HOST_SIZE 256
#define TH_HTTP_ORIGIN_SIZE (TH_HTTP_HOST_SIZE + 24)

/* Longest header value that is kept; longer ones count as absent. */
#define TH_HTTP_VALUE_SIZE 64

/* But entity tags may be so long. */
#define TH_HTTP_ETAG_SIZE 256

typedef struct ThHttpTarget
{
	bool is_https;
	int port;
	char host[TH_HTTP_HOST_SIZE]; /* lower case, no brackets, no final dot */
	char origin[TH_HTTP_ORIGIN_SIZE]; /* scheme://host:port */
} ThHttpTarget;

struct ThHttpHost;

typedef struct ThHttpExchange
{
	dlist_node node; /* in the engine's running or ended list, or waiting */
	void *owner;
	struct ThHttpHost *host; /* where it is counted, or NULL */
	CURL *easy;              /* NULL unless it runs */
	int64 deadline_ms;       /* end of waiting for a free connection */

	/* What is sent. */
	ThHttpMethod method;
	ThHttpTarget target;
	char *url;
	char *request_body; /* NULL for none */
	size_t request_length;
	struct curl_slist *headers;
	int timeout_ms;
	int max_body; /* bytes of an answer */

	/* Set by callbacks. */
	bool is_trusted; /* the host is in telehealth.allowed_hosts */
	bool is_address_refused;
	bool is_socket_opened;
	bool is_begun; /* a connection stood, sending began */
	bool is_repeat_refused;
	bool is_too_large;

	/* What came. */
	char *body;
	size_t body_length;
	size_t body_size;
	size_t header_bytes;
	int64 date; /* Unix seconds, 0 if none */
	char retry_after[TH_HTTP_VALUE_SIZE];
	char ratelimit_type[TH_HTTP_VALUE_SIZE];
	char ratelimit_category[TH_HTTP_VALUE_SIZE];
	char ratelimit_reset[TH_HTTP_VALUE_SIZE];
	int ratelimit_remaining;
	char etag[TH_HTTP_ETAG_SIZE];
	char *location;

	/* How it ended. */
	ThHttpEnd end;
	long status;
	bool maybe_sent;
	int dns_ms;
	int connect_ms;
	int tls_ms;
	int total_ms;
	const char *reason;          /* of ours, or NULL: see error */
	char error[CURL_ERROR_SIZE]; /* libcurl's words */
} ThHttpExchange;

/*
 * Reads where a URL leads; false if it is not one we would ever call, or,
 * which is told apart, if there was no memory to read it.
 */
extern bool th_http_target_read(const char *url, ThHttpTarget *target,
								bool *is_memory_short);

/* Unix seconds as an instant; 0 if not between 1970 and 9999. */
extern TimestampTz th_http_instant(int64 seconds);

/*
 * A copy of the request; NULL if memory is short. If policy refuses it, the
 * exchange has ended already: end is TH_HTTP_REFUSED, not TH_HTTP_ANSWERED.
 */
extern ThHttpExchange *th_http_exchange_create(const ThHttpRequest *request,
											   void *owner);

/* Wipes and frees it. */
extern void th_http_exchange_free(ThHttpExchange *exchange);

/*
 * Sets every option of the handle (option.c), which was just made or reset. A socket
 * may outlive the exchange: "close_socket" is called with "closer" then, and
 * gives the descriptor back to the server's accounting.
 */
extern CURLcode th_http_exchange_arm(ThHttpExchange *exchange, CURL *easy,
									 curl_closesocket_callback close_socket,
									 void *closer);

/* Notes how it ended; the handle is still the exchange's own. */
extern void th_http_exchange_note(ThHttpExchange *exchange, CURLcode code);

/* Notes an end without libcurl; "reason" is a constant. */
extern void th_http_exchange_end(ThHttpExchange *exchange, ThHttpEnd end,
								 const char *reason);

/*
 * What the caller of the engine gets. Memory: current context. Errors: out
 * of memory. Where: not in the no-throw zone.
 */
extern ThHttpResult *th_http_exchange_result(const ThHttpExchange *exchange);

#endif /* TH_HTTP_EXCHANGE_H */
