/*
 * server.c
 *	  The HTTP server of a gateway process: libmicrohttpd, driven from outside.
 *
 * All functions from on_request_line() to on_completed() are called by the
 * library: a no-throw zone, without palloc.
 */
#include "postgres.h"

#include <microhttpd.h>
#include <poll.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/th_error.h"
#include "base/th_guc.h"
#include "gateway/client.h"
#include "gateway/metrics.h"
#include "gateway/server.h"
#include "gateway/strict.h"

/*
 * Per connection: the head, the list of its fields, and the answer's head. The
 * library empties all of it for every request, so that more costs time; what
 * has up to 32 kB it takes from the heap, and leaves there what was said.
 */
#define POOL_BYTES (33 * 1024)
#define READ_STEP_BYTES (13 * 1024)

/* A body of a refused request that is still read, so that its answer arrives. */
#define SWALLOW_MAX (64 * 1024)

/*
 * So often the library may ask for an answer before the connection is put to
 * rest: it does so whenever it is run, at the end of a turn and in the next.
 */
#define PATIENCE 4

/* Kinds of answers that are made once. */
#define COMMON_ANSWERS 2

/* Who could not be let in is looked for so often, once there is room. */
#define NEWCOMERS_MS 5

static struct MHD_Daemon *server = NULL;
static bool is_quiesced = false;
static dlist_head queues[] = { DLIST_STATIC_INIT(queues[TH_QUEUE_WEBHOOKS]),
							   DLIST_STATIC_INIT(queues[TH_QUEUE_OTHERS]) };

static int n_webhooks = 0;

static ThClient *
client_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
								   MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

static void
enter(struct MHD_Connection *connection, ThClientPhase phase)
{
	ThClient *client = client_of(connection);

	if (client != NULL)
		th_client_enter(client, phase);
}

/* ---- connections ---- */

static enum MHD_Result
on_connect(void *closure, const struct sockaddr *address, socklen_t length)
{
	(void) closure;
	(void) length;
	if (!is_quiesced && th_client_is_welcome(address))
		return MHD_YES;
	th_metrics_note(TH_COUNT_TURNED_AWAY, 1);
	return MHD_NO;
}

static void
on_connection(void *closure, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	(void) closure;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		*context = th_client_create(
			MHD_get_connection_info(connection,
									MHD_CONNECTION_INFO_CLIENT_ADDRESS)
				->client_addr,
			MHD_get_connection_info(connection,
									MHD_CONNECTION_INFO_CONNECTION_FD)
				->connect_fd);
		th_metrics_note(TH_COUNT_ACCEPTED, 1);
	}
	else
	{
		th_client_free(*context);
		*context = NULL;
	}
}

/* ---- answers ---- */

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	(void) MHD_add_response_header(response, name, value);
}

static struct MHD_Response *
make_response(const ThHttpRequest *request)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(request->reply_length,
										unconstify(char *, request->reply),
										MHD_RESPMEM_MUST_COPY);

	if (response == NULL)
		return NULL;
	if (request->type != NULL)
	{
		add_header(response, "Content-Type", request->type);
		add_header(response, "X-Content-Type-Options", "nosniff");
	}
	for (int i = 0; i < request->n_reply_headers; i++)
		add_header(response, request->reply_headers[i].name,
				   request->reply_headers[i].value);
	if (request->is_closing || is_quiesced)
		add_header(response, "Connection", "close");
	return response;
}

/* An answer that was made once for all who get it; NULL if this is none. */
static struct MHD_Response *
common_response(const ThHttpRequest *request)
{
	static struct
	{
		const char *reply;
		struct MHD_Response *response;
	} known[COMMON_ANSWERS];

	if (!request->is_common || request->n_reply_headers > 0 ||
		request->is_closing || is_quiesced)
		return NULL;
	for (int i = 0; i < COMMON_ANSWERS; i++)
	{
		if (known[i].response == NULL)
		{
			known[i].reply = request->reply;
			known[i].response = make_response(request);
		}
		if (known[i].reply == request->reply)
			return known[i].response;
	}
	return NULL;
}

/*
 * Hands the answer to the library, which may end the request at once if it
 * cannot be sent.
 */
static enum MHD_Result
queue_answer(ThHttpRequest *request)
{
	struct MHD_Response *common = common_response(request);
	struct MHD_Response *response = common != NULL ? common
												   : make_response(request);
	enum MHD_Result result = MHD_NO;

	request->is_sent = true;
	th_metrics_request(request->route == NULL ? TH_ROUTE_OTHER
											  : request->route->kind,
					   request->status);
	enter(request->connection, TH_CLIENT_SENDING);
	if (response != NULL)
		result = MHD_queue_response(request->connection,
									(unsigned) request->status, response);
	if (response != NULL && common == NULL)
		MHD_destroy_response(response);
	return result;
}

/* ---- requests ---- */

static void *
on_request_line(void *closure, const char *target,
				struct MHD_Connection *connection)
{
	ThHttpRequest *request;
	ThClient *client = client_of(connection);

	(void) closure;
	enter(connection, TH_CLIENT_HEAD);
	request = th_request_create(target == NULL ? "" : target);
	if (request != NULL)
	{
		request->connection = connection;
		request->is_loopback = client != NULL && client->is_loopback;
	}
	return request;
}

static enum MHD_Result
on_field(void *closure, enum MHD_ValueKind kind, const char *name,
		 size_t name_length, const char *value, size_t value_length)
{
	ThHead *head = closure;

	(void) kind;
	if (head->n_fields < TH_FIELDS_MAX)
	{
		ThField *field = &head->fields[head->n_fields];

		field->name = name;
		field->name_length = name_length;
		field->value = value == NULL ? "" : value;
		field->value_length = value == NULL ? 0 : value_length;
	}
	head->n_fields++;
	return MHD_YES;
}

static void
read_head(ThHttpRequest *request, const char *method, const char *version,
		  ThHead *head)
{
	memset(head, 0, offsetof(ThHead, fields));
	head->method = method;
	head->target = request->target;
	head->version = version;
	head->size =
		MHD_get_connection_info(request->connection,
								MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
			->header_size;
	(void) MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND,
									   on_field, head);
}

static bool
keep_headers(ThHttpRequest *request, const ThHead *head)
{
	size_t bytes = 0;

	for (int i = 0; i < head->n_fields; i++)
		bytes += head->fields[i].name_length + head->fields[i].value_length;
	if (!th_request_expect_headers(request, head->n_fields, bytes))
		return false;
	for (int i = 0; i < head->n_fields; i++)
		th_request_add_header(request, head->fields[i].name,
							  head->fields[i].value);
	return true;
}

static size_t
body_max(void)
{
	return (size_t) th_guc_max_body_kb * 1024;
}

/* Finds the route; refuses what it cannot have. True if the request is fine. */
static bool
choose_route(ThHttpRequest *request, const ThHead *head)
{
	const char *allow = NULL;
	const ThRoute *route = th_route_find(head->method, request->path, &allow);
	bool has_body = head->is_chunked || head->length > 0;

	request->route = route;
	request->is_head = strcmp(head->method, "HEAD") == 0;
	if (route == NULL)
	{
		th_request_refuse(request, allow == NULL ? 404 : 405);
		if (allow != NULL)
			th_request_add_reply_header(request, "Allow", allow);
		request->is_closing = has_body &&
							  (head->is_chunked || head->length > SWALLOW_MAX);
		return false;
	}
	if (route->method[0] == 'G' ? has_body : head->length > body_max())
	{
		th_request_refuse(request, route->method[0] == 'G' ? 400 : 413);
		request->is_closing = true;
		return false;
	}
	return true;
}

/*
 * The first look at a request, when its head is there. What is refused before
 * the end of its body is answered at once, and the connection closed.
 */
static enum MHD_Result
begin(ThHttpRequest *request, const char *place, const char *method,
	  const char *version)
{
	static ThHead head;
	int status;

	request->is_begun = true;
	enter(request->connection, TH_CLIENT_BODY);
	read_head(request, method, version, &head);
	status = th_strict_check(&head);
	if (status == 0 && TH_COMPAT_MHD_IS_LAX &&
		!th_strict_is_framed(&head, place))
		status = 400;
	if (status == 0 && !keep_headers(request, &head))
		return MHD_NO;
	if (status != 0)
	{
		th_request_refuse(request, status);
		request->is_closing = true;
	}
	else if (choose_route(request, &head))
	{
		/* should a proxy in front read chunks otherwise, nothing follows them */
		request->is_closing = head.is_chunked;
		return MHD_YES;
	}
	return request->is_closing ? queue_answer(request) : MHD_YES;
}

static enum MHD_Result
take_body(ThHttpRequest *request, const char *data, size_t *length)
{
	size_t n = *length;

	*length = 0;
	if (request->status != 0)
		return MHD_YES; /* refused: read to its end, for the answer to arrive */
	return th_request_take_body(request, data, n, body_max()) ? MHD_YES
															  : MHD_NO;
}

static enum MHD_Result
rest(ThHttpRequest *request)
{
	request->is_resting = true;
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

/*
 * The request is whole. A webhook is mostly answered before the library has
 * asked for its answer much: its connection is put to rest, which costs system
 * calls, only if it has to wait for another turn.
 */
static enum MHD_Result
finish(ThHttpRequest *request)
{
	bool is_webhook;

	if (request->is_queued)
		return request->n_asked++ < PATIENCE ? MHD_YES : rest(request);
	if (request->status == 0 &&
		!th_strict_is_text(request->body, request->body_length))
		th_request_refuse(request, 400);
	if (request->status != 0)
		return queue_answer(request);
	is_webhook = request->route->kind == TH_ROUTE_WEBHOOK;
	dlist_push_tail(&queues[is_webhook ? TH_QUEUE_WEBHOOKS : TH_QUEUE_OTHERS],
					&request->node);
	request->is_queued = true;
	n_webhooks += is_webhook ? 1 : 0;
	enter(request->connection, TH_CLIENT_WORKING);
	return is_webhook ? MHD_YES : rest(request);
}

static enum MHD_Result
on_request(void *closure, struct MHD_Connection *connection, const char *place,
		   const char *method, const char *version, const char *data,
		   size_t *length, void **context)
{
	ThHttpRequest *request = *context;

	(void) closure;
	(void) connection;
	if (request == NULL)
		return MHD_NO;
	if (!request->is_begun)
		return begin(request, place, method, version);
	if (*length > 0)
		return take_body(request, data, length);
	return request->is_sent ? MHD_YES : finish(request);
}

static void
on_completed(void *closure, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	ThHttpRequest *request = *context;

	(void) closure;
	(void) code;
	enter(connection, TH_CLIENT_IDLE);
	if (request == NULL)
		return;
	if (!request->is_sent)
		th_metrics_request(TH_ROUTE_OTHER, 0);
	/* what came whole is taken in, though nobody waits for the answer */
	if (request->is_queued)
		request->connection = NULL;
	else
		th_request_free(request);
	*context = NULL;
}

/* Paths and queries stay as they came. */
static size_t
keep_escapes(void *closure, struct MHD_Connection *connection, char *text)
{
	(void) closure;
	(void) connection;
	return strlen(text);
}

/* ---- the server ---- */

void
th_server_start(int listen_socket)
{
	TH_NO_THROW_BEGIN();
	server = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, on_connect, NULL,
		on_request, NULL, MHD_OPTION_LISTEN_SOCKET, listen_socket,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned) TH_HTTP_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t) POOL_BYTES, MHD_OPTION_CONNECTION_MEMORY_INCREMENT,
		(size_t) READ_STEP_BYTES, TH_COMPAT_MHD_STRICTNESS,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_URI_LOG_CALLBACK, on_request_line, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	TH_NO_THROW_END();
	if (server == NULL)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("could not start the HTTP server")));
}

int
th_server_descriptor(void)
{
	return MHD_get_daemon_info(server, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void
th_server_run(void)
{
	TH_NO_THROW_BEGIN();
	(void) MHD_run(server);
	TH_NO_THROW_END();
}

/* True if somebody waits to be let in. */
static bool
has_newcomers(void)
{
	struct pollfd listener = { .events = POLLIN };

	if (is_quiesced)
		return false;
	listener.fd =
		MHD_get_daemon_info(server, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
	return poll(&listener, 1, 0) > 0;
}

void
th_server_take_in(void)
{
	/* libmicrohttpd takes a few at a time; at its limit it takes none */
	for (int i = 0; i < TH_HTTP_CONNECTIONS; i++)
	{
		th_server_run();
		if (th_client_count() >= TH_HTTP_CONNECTIONS || !has_newcomers())
			break;
	}
}

int
th_server_wait_ms(int most)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (th_server_has_waiting())
		return 0;
	/* once it was at its limit, it looks at the listener when it is run */
	if (th_client_count() < TH_HTTP_CONNECTIONS && has_newcomers())
		most = Min(most, NEWCOMERS_MS);
	if (MHD_get_timeout(server, &timeout) == MHD_YES &&
		timeout < (MHD_UNSIGNED_LONG_LONG) most)
		most = (int) timeout;
	return th_client_wait_ms(most);
}

bool
th_server_has_waiting(void)
{
	return !dlist_is_empty(&queues[TH_QUEUE_WEBHOOKS]) ||
		   !dlist_is_empty(&queues[TH_QUEUE_OTHERS]);
}

int
th_server_webhooks_waiting(void)
{
	return n_webhooks;
}

int
th_server_take(ThQueue queue, ThHttpRequest **out, int max, size_t max_bytes)
{
	size_t bytes = 0;
	int n = 0;

	while (n < max && !dlist_is_empty(&queues[queue]))
	{
		ThHttpRequest *request = dlist_head_element(ThHttpRequest, node,
													&queues[queue]);

		bytes += request->body_length;
		if (n > 0 && bytes > max_bytes)
			break;
		dlist_delete(&request->node);
		request->is_queued = false;
		n_webhooks -= queue == TH_QUEUE_WEBHOOKS ? 1 : 0;
		out[n++] = request;
	}
	return n;
}

void
th_server_send(ThHttpRequest *request)
{
	struct MHD_Connection *connection = request->connection;
	bool is_resting = request->is_resting;

	if (connection == NULL)
	{
		th_request_free(request);
		return;
	}
	TH_NO_THROW_BEGIN();
	if (queue_answer(request) != MHD_YES)
		(void) shutdown(MHD_get_connection_info(
							connection, MHD_CONNECTION_INFO_CONNECTION_FD)
							->connect_fd,
						SHUT_RDWR);
	if (is_resting)
		MHD_resume_connection(connection);
	TH_NO_THROW_END();
}

void
th_server_sweep(void)
{
	int n = th_client_sweep();

	if (n > 0)
		th_metrics_note(TH_COUNT_CUT, (uint64) n);
}

void
th_server_quiesce(void)
{
	int listen_socket;

	if (is_quiesced)
		return;
	is_quiesced = true;
	TH_NO_THROW_BEGIN();
	listen_socket = MHD_quiesce_daemon(server);
	TH_NO_THROW_END();
	if (listen_socket >= 0)
		(void) close(listen_socket);
}

bool
th_server_is_busy(void)
{
	return th_client_is_any_busy();
}

int
th_server_connections(void)
{
	return th_client_count();
}
