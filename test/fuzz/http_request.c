/*
 * http_request.c
 *	  The gateway's reading of requests, under libFuzzer: the HTTP library,
 *	  heads, routes and bodies, without a server.
 *
 * The octets go through a real connection, in two pieces. What the gateway
 * takes for a request must be one for a reader that knows nothing but the
 * grammar of RFC 9112, in the same order, with the same target and body.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mb/pg_wchar.h"

#include "base/th_clock.h"
#include "base/th_guc.h"
#include "gateway/listen.h"
#include "gateway/metrics.h"
#include "gateway/server.h"

extern int LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/* ---- what stands for the server and the rest of the gateway ---- */

int th_guc_max_body_kb = 1;
bool th_guc_http_dashboard = true;

TimestampTz
th_clock_now(void)
{
	return 0;
}

int64
th_clock_monotonic_ms(void)
{
	return 0;
}

bool
pg_verify_mbstr(int encoding, const char *text, int length, bool no_error)
{
	return no_error &&
		   pg_encoding_verifymbstr(encoding, text, length) == length;
}

bool
errstart_cold(int level, const char *domain)
{
	abort();
}

bool
errstart(int level, const char *domain)
{
	abort();
}

void
errfinish(const char *file, int line, const char *function)
{
}

int
errcode(int sqlstate)
{
	return sqlstate;
}

int
errmsg(const char *format, ...)
{
	return 0;
}

void
th_metrics_note(ThDoorCount count, uint64 n)
{
}

void
th_metrics_request(ThRouteKind kind, int status)
{
}

/* Those of the table of routes are not called, and not there. */
static void
answer(ThHttpRequest *request)
{
	th_request_answer(request, 200, "text/plain", "ok", 2);
}

/* ---- the other reader ---- */

typedef struct Reader
{
	const char *next;
	const char *end;
	bool is_chunked; /* the last request was: what follows is not compared */
	const char *target;
	size_t target_length;
	const char *body;
	size_t body_length;
} Reader;

static bool
is_token_octet(unsigned char c)
{
	return c > ' ' && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

/*
 * A line up to CR LF; false if there is none, or an LF before it. Where the
 * library has made zero bytes of both, what else makes two of them cannot be
 * told from them: a zero byte and LF; a colon and LF, which has no name before
 * and no value behind it.
 */
static bool
read_line(Reader *reader, const char **line, size_t *length)
{
	const char *lf = memchr(reader->next, '\n',
							(size_t) (reader->end - reader->next));

	if (lf == NULL || lf == reader->next ||
		(lf[-1] != '\r' && lf[-1] != '\0' &&
		 !(lf[-1] == ':' && lf - 1 == reader->next)))
		return false;
	*line = reader->next;
	*length = (size_t) (lf - 1 - reader->next);
	reader->next = lf + 1;
	return true;
}

/*
 * Before a request line, as RFC 9112, 2.2 wants; to the library a line that
 * begins with a zero byte is empty, too.
 */
static void
skip_empty_lines(Reader *reader)
{
	for (;;)
	{
		size_t left = (size_t) (reader->end - reader->next);
		const char *lf = left == 0 ? NULL : memchr(reader->next, '\n', left);

		if (lf == NULL || (*reader->next != '\0' && lf != reader->next &&
						   (lf != reader->next + 1 || *reader->next != '\r')))
			return;
		reader->next = lf + 1;
	}
}

static bool
read_request_line(Reader *reader)
{
	const char *line;
	const char *end;
	const char *space;
	size_t length;

	skip_empty_lines(reader);
	if (!read_line(reader, &line, &length))
		return false;
	end = line + length;
	space = memchr(line, ' ', length);
	if (space == NULL || space == line)
		return false;
	for (const char *p = line; p < space; p++)
		if (!is_token_octet((unsigned char) *p))
			return false;
	reader->target = space + 1;
	space = memchr(reader->target, ' ', (size_t) (end - reader->target));
	if (space == NULL || *reader->target != '/')
		return false;
	reader->target_length = (size_t) (space - reader->target);
	return end - space == 9 && (memcmp(space + 1, "HTTP/1.1", 8) == 0 ||
								memcmp(space + 1, "HTTP/1.0", 8) == 0);
}

static bool
is_named(const char *line, const char *colon, const char *name)
{
	return (size_t) (colon - line) == strlen(name) &&
		   strncasecmp(line, name, strlen(name)) == 0;
}

static bool
is_hidden(char c)
{
	return c == '\0' || c == ':' || c == '\r' || c == '\n';
}

/*
 * The last field and the end of the head, where four octets of which the
 * library makes zero bytes cannot be told from CR LF CR LF.
 */
static bool
read_hidden_end(Reader *reader, const char **line, size_t *length)
{
	const char *p = reader->next;

	while (p < reader->end && *p != '\0' && *p != '\r' && *p != '\n')
		p++;
	if (reader->end - p < 4 || memcmp(p, "\r\n", 2) == 0 || !is_hidden(p[0]) ||
		!is_hidden(p[1]) || !is_hidden(p[2]) || p[3] != '\n')
		return false;
	*line = reader->next;
	*length = (size_t) (p - reader->next);
	reader->next = p + 4;
	return true;
}

/* The fields; at most one of those that say where the body ends. */
static bool
read_fields(Reader *reader)
{
	const char *line;
	size_t length;
	int n_ends = 0;
	bool is_end = false;

	reader->body_length = 0;
	reader->is_chunked = false;
	for (;;)
	{
		const char *colon;

		if (is_end)
			return n_ends <= 1;
		is_end = read_hidden_end(reader, &line, &length);
		if (!is_end && !read_line(reader, &line, &length))
			return false;
		if (length == 0)
			return n_ends <= 1;
		colon = memchr(line, ':', length);
		if (colon == NULL || colon == line)
			return false;
		for (const char *p = line; p < colon; p++)
			if (!is_token_octet((unsigned char) *p))
				return false;
		if (is_named(line, colon, "transfer-encoding"))
		{
			n_ends++;
			reader->is_chunked = true;
		}
		else if (is_named(line, colon, "content-length"))
		{
			n_ends++;
			for (const char *p = colon + 1; p < line + length; p++)
			{
				if (*p >= '0' && *p <= '9' && reader->body_length < 1000000)
					reader->body_length = reader->body_length * 10 +
										  (size_t) (*p - '0');
			}
		}
	}
}

static bool
read_next(Reader *reader)
{
	if (reader->is_chunked || !read_request_line(reader) ||
		!read_fields(reader))
		return false;
	reader->body = reader->next;
	if (reader->is_chunked)
		return true;
	if ((size_t) (reader->end - reader->next) < reader->body_length)
		return false;
	reader->next += reader->body_length;
	return true;
}

/* True if the reader finds the request, now or further on. */
static bool
finds(Reader *reader, const ThHttpRequest *request)
{
	while (read_next(reader))
	{
		if (strlen(request->target) != reader->target_length ||
			memcmp(request->target, reader->target, reader->target_length) != 0)
			continue;
		if (reader->is_chunked ||
			(request->body_length == reader->body_length &&
			 (reader->body_length == 0 ||
			  memcmp(request->body, reader->body, reader->body_length) == 0)))
			return true;
	}
	return false;
}

/* ---- a connection ---- */

static int port = 0;

static void
start(void)
{
	int descriptor = th_listen_open("127.0.0.1", 0, true);
	struct sockaddr_in place;
	socklen_t length = sizeof(place);

	if (descriptor < 0 ||
		getsockname(descriptor, (struct sockaddr *) &place, &length) != 0)
		abort();
	port = ntohs(place.sin_port);
	th_server_start(descriptor);
}

/* -1 while every port is still busy with connections that have ended. */
static int
connect_to_it(void)
{
	struct sockaddr_in place = { .sin_family = AF_INET,
								 .sin_port = htons((uint16) port),
								 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger at_once = { .l_onoff = 1 };

	if (descriptor < 0)
		abort();
	if (connect(descriptor, (struct sockaddr *) &place, sizeof(place)) != 0)
	{
		(void) close(descriptor);
		return -1;
	}
	/* no port stays busy after it */
	(void) setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once,
					  sizeof(at_once));
	return descriptor;
}

/* Answers all there is, and compares it. */
static void
serve(Reader *reader)
{
	ThHttpRequest *requests[16];

	for (int turn = 0; turn < 3 || th_server_has_waiting(); turn++)
	{
		int n;

		th_server_run();
		n = th_server_take(TH_QUEUE_WEBHOOKS, requests, 8, 1000000);
		n += th_server_take(TH_QUEUE_OTHERS, requests + n, 8, 1000000);
		for (int i = 0; i < n; i++)
		{
			if (!finds(reader, requests[i]))
				abort();
			answer(requests[i]);
			th_server_send(requests[i]);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	Reader reader = { 0 };
	size_t first;
	int descriptor;

	if (size < 2)
		return 0;
	if (port == 0)
		start();
	first = (size_t) data[0] * size / 256;
	reader.next = (const char *) data + 1;
	reader.end = (const char *) data + size;
	descriptor = connect_to_it();
	if (descriptor < 0)
		return 0;
	while (th_server_connections() == 0)
		th_server_run();
	if (first > 1)
	{
		(void) send(descriptor, data + 1, first - 1, MSG_NOSIGNAL);
		serve(&reader);
	}
	first = Max(first, 1);
	(void) send(descriptor, data + first, size - first, MSG_NOSIGNAL);
	serve(&reader);
	(void) shutdown(descriptor, SHUT_WR);
	serve(&reader);
	(void) close(descriptor);
	while (th_server_connections() > 0)
		serve(&reader);
	return 0;
}
