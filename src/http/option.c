/*
 * option.c
 *	  Every option and callback that libcurl gets for an exchange.
 *
 * Functions named on_... are called by libcurl: a no-throw zone.
 */
#include "postgres.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

#include "storage/fd.h"

#include <curl/curl.h>

#include "base/compat.h"
#include "base/th_guc.h"
#include "http/address.h"
#include "http/exchange.h"

/* All header lines of one answer together. */
#define MAX_HEADER_BYTES 65536

/* A redirect to a longer address counts as none. */
#define MAX_LOCATION 2048

/* First size of an answer's buffer: most JSON answers fit. */
#define FIRST_BODY_SIZE 4096

/* Slower than this over telehealth.request_timeout_ms is as good as dead. */
#define LOW_SPEED_BYTES 64

/* Common servers close after 60 s; we want to be first. */
#define CONNECTION_IDLE_SECONDS 55

/* Room for "more" bytes and the final zero; old bytes are wiped on a move. */
static bool
grow_body(ThHttpExchange *exchange, size_t more)
{
	size_t needed = exchange->body_length + more + 1;
	size_t size = Max(needed, Max(exchange->body_size * 2, FIRST_BODY_SIZE));
	char *body;

	if (needed <= exchange->body_size)
		return true;
	body = malloc(Min(size, (size_t) exchange->max_body + 1));
	if (body == NULL)
		return false;
	if (exchange->body != NULL)
	{
		memcpy(body, exchange->body, exchange->body_length);
		explicit_bzero(exchange->body, exchange->body_length);
		free(exchange->body);
	}
	exchange->body = body;
	exchange->body_size = Min(size, (size_t) exchange->max_body + 1);
	return true;
}

/*
 * Takes a piece of the answer.  The piece lies in libcurl's own buffer, which
 * since 8.7 belongs to all requests and stays as it is until the next answer,
 * so it is wiped here: libcurl is done with what it hands over.
 */
static size_t
on_body(char *data, size_t size, size_t count, void *context)
{
	ThHttpExchange *exchange = context;
	size_t length = size * count;

	if (length > (size_t) exchange->max_body - exchange->body_length)
	{
		exchange->is_too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	if (!grow_body(exchange, length))
	{
		exchange->reason = "out of memory for the answer";
		return CURL_WRITEFUNC_ERROR;
	}
	memcpy(exchange->body + exchange->body_length, data, length);
	exchange->body_length += length;
	explicit_bzero(data, length);
	return length;
}

/* Keeps the value, "size" bytes at most, if this line has the header; true if it has. */
static bool
take_header(const char *line, size_t length, const char *name, char *value,
			size_t size)
{
	size_t start = strlen(name);
	size_t i;

	if (length <= start || line[start] != ':' ||
		pg_strncasecmp(line, name, start) != 0)
		return false;
	for (start++; start < length && isspace((unsigned char) line[start]);)
		start++;
	while (length > start && isspace((unsigned char) line[length - 1]))
		length--;
	value[0] = '\0';
	if (length - start >= size)
		return true;
	for (i = start; i < length; i++)
	{
		if (line[i] < ' ' || line[i] > '~')
			return true;
	}
	memcpy(value, line + start, length - start);
	value[length - start] = '\0';
	return true;
}

/* An answer begins, maybe after an interim one: forget what that said. */
static void
forget_headers(ThHttpExchange *exchange)
{
	exchange->date = 0;
	exchange->retry_after[0] = '\0';
	exchange->ratelimit_type[0] = '\0';
	exchange->ratelimit_category[0] = '\0';
	exchange->ratelimit_reset[0] = '\0';
	exchange->ratelimit_remaining = -1;
	exchange->etag[0] = '\0';
	free(exchange->location);
	exchange->location = NULL;
}

/* Where a redirect leads; it is not followed here. */
static bool
take_location(ThHttpExchange *exchange, const char *line, size_t length)
{
	char value[MAX_LOCATION];

	if (!take_header(line, length, "Location", value, sizeof(value)))
		return false;
	free(exchange->location);
	exchange->location = value[0] == '\0' ? NULL : strdup(value);
	return true;
}

#define TAKE(name, value) take_header(line, length, name, value, sizeof(value))

static size_t
on_header(char *line, size_t size, size_t count, void *context)
{
	ThHttpExchange *exchange = context;
	size_t length = size * count;
	char value[TH_HTTP_VALUE_SIZE];

	exchange->header_bytes += length;
	if (exchange->header_bytes > MAX_HEADER_BYTES)
	{
		exchange->is_too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	if (length > 5 && memcmp(line, "HTTP/", 5) == 0)
		forget_headers(exchange);
	else if (take_header(line, length, "Date", value, sizeof(value)))
		exchange->date = (int64) curl_getdate(value, NULL);
	else if (take_header(line, length, "X-RateLimit-Remaining", value,
						 sizeof(value)))
	{
		if (isdigit((unsigned char) value[0]) && strlen(value) <= 9)
			exchange->ratelimit_remaining = (int) strtol(value, NULL, 10);
	}
	else if (!TAKE("Retry-After", exchange->retry_after) &&
			 !TAKE("X-RateLimit-Type", exchange->ratelimit_type) &&
			 !TAKE("X-RateLimit-Category", exchange->ratelimit_category) &&
			 !TAKE("X-RateLimit-Reset", exchange->ratelimit_reset) &&
			 !TAKE("ETag", exchange->etag))
		(void) take_location(exchange, line, length);
	return length;
}

static curl_socket_t
on_open_socket(void *context, curlsocktype purpose,
			   struct curl_sockaddr *address)
{
	ThHttpExchange *exchange = context;
	int descriptor;

	(void) purpose;
	if (!exchange->is_trusted &&
		!th_http_address_is_public(&address->addr, address->addrlen))
	{
		exchange->is_address_refused = true;
		return CURL_SOCKET_BAD;
	}
	if (!AcquireExternalFD())
	{
		exchange->reason = "too many open descriptors";
		return CURL_SOCKET_BAD;
	}
	descriptor = socket(address->family, address->socktype | SOCK_CLOEXEC,
						address->protocol);
	if (descriptor < 0)
	{
		ReleaseExternalFD();
		return CURL_SOCKET_BAD;
	}
	exchange->is_socket_opened = true;
	return descriptor;
}

/*
 * Called when a connection stands, new or kept alive, before anything is
 * sent on it.
 *
 * The address is checked here too, since a kept connection never comes
 * through on_open_socket() again and may be older than the settings.
 *
 * libcurl silently repeats a request whose kept connection closed before the
 * first byte of an answer (Curl_retry_request). It cannot know whether the
 * server acted before it closed, and a repeated create is a second meeting.
 * There is no option against it, but the repeat comes through here: only what
 * reads may pass twice, everything else ends as cut and is looked at again.
 */
static int
on_connected(void *context, char *remote, char *local, int remote_port,
			 int local_port)
{
	ThHttpExchange *exchange = context;

	(void) local;
	(void) remote_port;
	(void) local_port;
	if (!exchange->is_trusted && !th_http_address_text_is_public(remote))
	{
		exchange->is_address_refused = true;
		return CURL_PREREQFUNC_ABORT;
	}
	if (exchange->is_begun && exchange->method != TH_HTTP_GET &&
		exchange->method != TH_HTTP_PROPFIND &&
		exchange->method != TH_HTTP_REPORT)
	{
		exchange->is_repeat_refused = true;
		return CURL_PREREQFUNC_ABORT;
	}
	exchange->is_begun = true;
	return CURL_PREREQFUNC_OK;
}

/* What is the same for every request: each line says what it prevents. */
static const struct
{
	CURLoption option;
	long value;
} fixed_options[] = {
	{ CURLOPT_NOSIGNAL, 1 },   /* SIGALRM belongs to the server */
	{ CURLOPT_QUICK_EXIT, 1 }, /* waiting for a hanging resolver's thread */
	{ CURLOPT_FOLLOWLOCATION, 0 },
	{ CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
	{ CURLOPT_HTTP09_ALLOWED, 0 },
	{ CURLOPT_NOPROGRESS, 1 },
	{ CURLOPT_TCP_NODELAY, 1 },
	{ CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_SECONDS },
	{ CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES },
};

/* True if libcurl was built with a CA file, not only with a directory. */
static bool
has_system_bundle(void)
{
	static int answer = -1;

	if (answer < 0)
		answer = curl_version_info(CURLVERSION_NOW)->cainfo != NULL;
	return answer > 0;
}

#define SET(option, value)                                                     \
	do                                                                         \
	{                                                                          \
		if (code == CURLE_OK)                                                  \
			code = curl_easy_setopt(easy, option, value);                      \
	} while (0)

/* The method, and the body that goes with it; some methods always have one. */
static CURLcode
set_body(const ThHttpExchange *exchange, CURL *easy)
{
	bool has_body = exchange->request_body != NULL ||
					(exchange->method != TH_HTTP_GET &&
					 exchange->method != TH_HTTP_DELETE);
	CURLcode code = CURLE_OK;

	if (has_body)
	{
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) exchange->request_length);
		SET(CURLOPT_POSTFIELDS,
			exchange->request_body == NULL ? "" : exchange->request_body);
	}
	if (exchange->method != (has_body ? TH_HTTP_POST : TH_HTTP_GET))
		SET(CURLOPT_CUSTOMREQUEST, th_http_method_name(exchange->method));
	return code;
}

CURLcode
th_http_exchange_arm(ThHttpExchange *exchange, CURL *easy,
					 curl_closesocket_callback close_socket, void *closer)
{
	bool has_ca_file = th_guc_ca_file != NULL && th_guc_ca_file[0] != '\0';
	CURLcode code = CURLE_OK;
	int i;

	for (i = 0; i < (int) lengthof(fixed_options); i++)
		SET(fixed_options[i].option, fixed_options[i].value);
	SET(CURLOPT_PROTOCOLS_STR, exchange->is_trusted ? "http,https" : "https");
	SET(CURLOPT_PROXY, ""); /* also ignores the environment's */
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_USERAGENT, "telehealth/" TH_VERSION);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
		(long) Min(th_guc_connect_timeout_ms, exchange->timeout_ms));
	SET(CURLOPT_TIMEOUT_MS, (long) exchange->timeout_ms);
	SET(CURLOPT_LOW_SPEED_TIME, th_guc_request_timeout_ms / 1000L + 1);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) exchange->max_body);

	/*
	 * A CA file stands for itself: the directory compiled into libcurl would
	 * add every public CA. Without the directory libcurl also keeps the
	 * parsed bundle instead of reading it for each connection.
	 */
	if (has_ca_file)
		SET(CURLOPT_CAINFO, th_guc_ca_file);
	if (has_ca_file || has_system_bundle())
		SET(CURLOPT_CAPATH, NULL);

	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, exchange);
	SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, closer);
	SET(CURLOPT_PREREQFUNCTION, on_connected);
	SET(CURLOPT_PREREQDATA, exchange);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, exchange);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, exchange);
	SET(CURLOPT_ERRORBUFFER, exchange->error);
	SET(CURLOPT_PRIVATE, exchange);
	SET(CURLOPT_URL, exchange->url);
	SET(CURLOPT_HTTPHEADER, exchange->headers);
	if (code == CURLE_OK)
		code = set_body(exchange, easy);
	return code;
}
