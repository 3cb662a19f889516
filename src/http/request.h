/*
 * request.h
 *	  One HTTP exchange: what to send, what came back. Plain values only.
 */
#ifndef TH_HTTP_REQUEST_H
#define TH_HTTP_REQUEST_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

typedef enum ThHttpMethod
{
	TH_HTTP_GET,
	TH_HTTP_POST,
	TH_HTTP_PUT,
	TH_HTTP_PATCH,
	TH_HTTP_DELETE,
	TH_HTTP_PROPFIND, /* these two only read, and have a body */
	TH_HTTP_REPORT
} ThHttpMethod;

typedef struct ThHttpHeader
{
	const char *name;
	const char *value;
} ThHttpHeader;

typedef struct ThHttpRequest
{
	ThHttpMethod method;
	const char *url;           /* absolute; no user name or password */
	const char *content_type;  /* NULL without a body */
	const char *accept;        /* NULL: application/json */
	const char *authorization; /* whole header value, secret; or NULL */
	const char *body;          /* NULL for none */
	size_t body_length;
	int timeout_ms;              /* 0: telehealth.request_timeout_ms */
	const ThHttpHeader *headers; /* further ones, none of the above */
	int n_headers;
} ThHttpRequest;

/* How an exchange ended below HTTP. */
typedef enum ThHttpEnd
{
	TH_HTTP_ANSWERED,      /* status is valid */
	TH_HTTP_REFUSED,       /* we did not send: address or URL policy */
	TH_HTTP_NO_HOST,       /* name did not resolve */
	TH_HTTP_NO_CONNECTION, /* TCP failed, or TCP and TLS took too long */
	TH_HTTP_TLS_FAILED,    /* handshake or certificate */
	TH_HTTP_TIMEOUT,       /* after the request may have been sent */
	TH_HTTP_CUT,           /* connection lost, may have been sent */
	TH_HTTP_TOO_LARGE,     /* answer over telehealth.max_response_kb */
	TH_HTTP_CANCELLED      /* worker is stopping */
} ThHttpEnd;

typedef struct ThHttpResult
{
	void *owner; /* as given to th_http_start() */
	ThHttpEnd end;
	long status;
	char *body; /* zero-terminated, maybe "" */
	size_t body_length;
	bool maybe_sent;      /* the remote may have acted although not ANSWERED */
	TimestampTz date;     /* Date header, 0 if none */
	char *retry_after;    /* header text or NULL */
	char *ratelimit_type; /* X-RateLimit-Type or NULL */
	char *ratelimit_category; /* X-RateLimit-Category or NULL */
	char *ratelimit_reset;    /* X-RateLimit-Reset or NULL */
	int ratelimit_remaining;  /* -1 if absent */
	char *etag;               /* as it came, or NULL */
	char *location;           /* as it came, or NULL: nobody follows it */
	int dns_ms;               /* parts of the time; -1 if not reached */
	int connect_ms;
	int tls_ms;
	int total_ms;
	char *detail; /* redacted reason of a failure, or NULL */
} ThHttpResult;

/* Name of a method ("POST") and of an end ("timeout"), for rows and messages. */
extern const char *th_http_method_name(ThHttpMethod method);
extern const char *th_http_end_name(ThHttpEnd end);

/*
 * scheme://host:port part of a URL in lower case, port always written;
 * NULL if it is not an absolute http or https URL without user name and zone.
 * Memory: current context. Errors: out of memory.
 */
extern char *th_http_origin(const char *url);

/*
 * When a Retry-After value says to come back: seconds or an HTTP date or an
 * ISO 8601 instant, counted from "now"; 0 if unreadable. Capped at a day
 * after "now". Never throws.
 */
extern TimestampTz th_http_retry_at(const char *value, TimestampTz now);

/* Appends "text" percent-encoded for a path segment or form value. */
extern void th_http_append_encoded(StringInfo out, const char *text);

#endif /* TH_HTTP_REQUEST_H */
