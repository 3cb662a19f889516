/*
 * multi.c
 *	  Many exchanges at once: libcurl's multi interface on an inner epoll.
 *
 * Lists: an exchange is in the engine's running list, in the waiting list of
 * its host, or in the engine's ended list. Everything here is malloc'd, since
 * th_http_drive() must not throw; th_http_next() turns it into palloc'd
 * results.
 */
#include "postgres.h"

#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "storage/fd.h"

#include <curl/curl.h>

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "http/engine.h"
#include "http/exchange.h"
#include "http/multi.h"

/*
 * Ready sockets taken from the kernel at once, and how often in one drive:
 * together a bound on the time of a drive, since each may be a TLS handshake.
 */
#define MAX_EVENTS 64
#define MAX_ROUNDS 4

/* An engine without exchanges closes its connections after this long. */
#define IDLE_MS 60000

/* A host with exchanges; freed with its last one. */
typedef struct ThHttpHost
{
	dlist_node node;
	int running;
	int waiting;
	dlist_head queue; /* waiting exchanges, oldest first */
	char origin[TH_HTTP_ORIGIN_SIZE];
} ThHttpHost;

static ThHttpEngine *the_engine = NULL;

static void run_exchange(ThHttpEngine *engine, ThHttpExchange *exchange);

/* Makes the multi handle if there is none, or again after a reload. */
static bool
ensure_multi(ThHttpEngine *engine)
{
	if (engine->multi != NULL && (!engine->is_stale || engine->nrunning > 0))
		return true;
	return th_http_engine_renew(engine);
}

/* libcurl keeps requests, with the tokens in them, in memory of its own: wiped. */
static void
free_wiped(void *memory)
{
	if (memory != NULL)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

static void *
realloc_wiped(void *memory, size_t size)
{
	size_t present = memory == NULL ? 0 : malloc_usable_size(memory);
	void *larger;

	if (memory != NULL && size <= present)
		return memory;
	larger = malloc(size);
	if (larger != NULL && memory != NULL)
	{
		memcpy(larger, memory, present);
		free_wiped(memory);
	}
	return larger;
}

/* Starts libcurl in this process, after the fork. */
static void
initialize_curl(void)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free_wiped,
							 realloc_wiped, strdup, calloc) != CURLE_OK)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("could not initialize libcurl")));
	if ((curl_version_info(CURLVERSION_NOW)->features &
		 CURL_VERSION_ASYNCHDNS) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("libcurl cannot resolve names in the background"),
				 errhint("Install a libcurl built with its threaded resolver "
						 "or with c-ares.")));
}

ThHttpEngine *
th_http_engine(void)
{
	ThHttpEngine *engine;

	if (the_engine != NULL)
		return the_engine;
	initialize_curl();
	th_http_engine_raise_limit();
	engine = calloc(1, sizeof(ThHttpEngine));
	if (engine == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	dlist_init(&engine->running);
	dlist_init(&engine->ended);
	dlist_init(&engine->hosts);
	engine->deadline_ms = -1;
	/* since 8.7 a handle keeps the bytes of its last request until the next */
	engine->ends_handles = curl_version_info(CURLVERSION_NOW)->version_num >=
						   0x080700;
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (engine->epoll < 0)
	{
		free(engine);
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("too many open descriptors for outward work")));
	}
	ReserveExternalFD();
	the_engine = engine;
	return the_engine;
}

int
th_http_descriptor(ThHttpEngine *engine)
{
	return engine->epoll;
}

int
th_http_running(ThHttpEngine *engine)
{
	return engine->nrunning + engine->nwaiting;
}

int
th_http_room(ThHttpEngine *engine)
{
	return Max(th_http_engine_limit() - th_http_running(engine), 0);
}

int
th_http_timeout_ms(ThHttpEngine *engine)
{
	int64 next = engine->deadline_ms;

	if (engine->nwaiting > 0 && (next < 0 || engine->next_expiry_ms < next))
		next = engine->next_expiry_ms;
	if (next < 0)
		return -1;
	next -= th_clock_monotonic_ms();
	return (int) Min(Max(next, 0), PG_INT32_MAX);
}

static ThHttpHost *
find_host(ThHttpEngine *engine, const char *origin)
{
	dlist_iter iter;

	dlist_foreach(iter, &engine->hosts)
	{
		ThHttpHost *host = dlist_container(ThHttpHost, node, iter.cur);

		if (strcmp(host->origin, origin) == 0)
			return host;
	}
	return NULL;
}

/* The host of an exchange, made if need be; NULL if memory is short. */
static ThHttpHost *
claim_host(ThHttpEngine *engine, const char *origin)
{
	ThHttpHost *host = find_host(engine, origin);

	if (host != NULL)
		return host;
	host = calloc(1, sizeof(ThHttpHost));
	if (host == NULL)
		return NULL;
	dlist_init(&host->queue);
	strlcpy(host->origin, origin, sizeof(host->origin));
	dlist_push_tail(&engine->hosts, &host->node);
	return host;
}

static void
release_host(ThHttpHost *host)
{
	if (host->running > 0 || host->waiting > 0)
		return;
	dlist_delete(&host->node);
	free(host);
}

static void
end_waiting(ThHttpEngine *engine, ThHttpExchange *exchange, ThHttpEnd end,
			const char *reason)
{
	dlist_delete(&exchange->node);
	exchange->host->waiting--;
	engine->nwaiting--;
	th_http_exchange_end(exchange, end, reason);
	dlist_push_tail(&engine->ended, &exchange->node);
}

/* Starts what waits for this host as far as its limit goes; may free it. */
static void
advance_host(ThHttpEngine *engine, ThHttpHost *host)
{
	while (host->waiting > 0 && host->running < th_guc_max_connections_per_host)
	{
		ThHttpExchange *exchange =
			dlist_container(ThHttpExchange, node,
							dlist_pop_head_node(&host->queue));

		host->waiting--;
		engine->nwaiting--;
		run_exchange(engine, exchange);
	}
	release_host(host);
}

/* Hands an exchange to libcurl. Where: signals blocked. */
static void
run_exchange(ThHttpEngine *engine, ThHttpExchange *exchange)
{
	exchange->easy = th_http_engine_take(engine, exchange);
	if (exchange->easy == NULL)
	{
		th_http_exchange_end(exchange, TH_HTTP_NO_CONNECTION, "out of memory");
		dlist_push_tail(&engine->ended, &exchange->node);
		return;
	}
	exchange->host->running++;
	engine->nrunning++;
	dlist_push_tail(&engine->running, &exchange->node);
}

/* Takes an exchange from libcurl. Where: signals blocked. */
static void
end_running(ThHttpEngine *engine, ThHttpExchange *exchange, CURLcode code)
{
	th_http_exchange_note(exchange, code);
	th_http_engine_give(engine, exchange->easy);
	exchange->easy = NULL;
	exchange->host->running--;
	engine->nrunning--;
	dlist_delete(&exchange->node);
	dlist_push_tail(&engine->ended, &exchange->node);
	engine->last_end_ms = th_clock_monotonic_ms();
}

void
th_http_start(ThHttpEngine *engine, const ThHttpRequest *request, void *owner)
{
	ThHttpExchange *exchange = th_http_exchange_create(request, owner);
	ThHttpHost *host = NULL;
	bool is_ready = exchange != NULL;
	sigset_t saved;

	th_http_engine_enter(&saved);
	if (is_ready && exchange->end == TH_HTTP_REFUSED)
		dlist_push_tail(&engine->ended, &exchange->node);
	else if (is_ready)
	{
		is_ready = ensure_multi(engine) &&
				   (host = claim_host(engine, exchange->target.origin)) != NULL;
		exchange->host = host;
	}
	if (host != NULL && host->running < th_guc_max_connections_per_host)
	{
		run_exchange(engine, exchange);
		release_host(host);
	}
	else if (host != NULL)
	{
		exchange->deadline_ms = th_clock_monotonic_ms() + exchange->timeout_ms;
		if (engine->nwaiting == 0 ||
			exchange->deadline_ms < engine->next_expiry_ms)
			engine->next_expiry_ms = exchange->deadline_ms;
		dlist_push_tail(&host->queue, &exchange->node);
		host->waiting++;
		engine->nwaiting++;
	}
	th_http_engine_leave(&saved);
	if (!is_ready)
	{
		if (exchange != NULL)
			th_http_exchange_free(exchange);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
}

/* Ends what has waited too long for a connection to its host. */
static void
expire_waiting(ThHttpEngine *engine)
{
	int64 now = th_clock_monotonic_ms();
	int64 next = PG_INT64_MAX;
	dlist_mutable_iter host_iter;

	if (engine->nwaiting == 0 || now < engine->next_expiry_ms)
		return;
	dlist_foreach_modify(host_iter, &engine->hosts)
	{
		ThHttpHost *host = dlist_container(ThHttpHost, node, host_iter.cur);
		dlist_mutable_iter iter;

		dlist_foreach_modify(iter, &host->queue)
		{
			ThHttpExchange *exchange = dlist_container(ThHttpExchange, node,
													   iter.cur);

			if (exchange->deadline_ms <= now)
				end_waiting(engine, exchange, TH_HTTP_NO_CONNECTION,
							"waited too long for a free connection");
			else
				next = Min(next, exchange->deadline_ms);
		}
		release_host(host);
	}
	engine->next_expiry_ms = next;
}

/* Collects what libcurl has finished and starts what waited for it. */
static void
collect(ThHttpEngine *engine)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(engine->multi, &left)) != NULL)
	{
		CURLcode code = message->data.result;
		char *private = NULL;
		ThHttpExchange *exchange;
		ThHttpHost *host;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
								 &private);
		exchange = (ThHttpExchange *) private;
		host = exchange->host;
		end_running(engine, exchange, code);
		advance_host(engine, host);
	}
}

/*
 * libcurl's multi handle reported an error, which means a broken state or
 * memory: what ran on it is cut, what waited starts on a new one.
 */
static void
recover(ThHttpEngine *engine)
{
	dlist_mutable_iter iter;
	bool has_multi;

	dlist_foreach_modify(iter, &engine->running)
		end_running(engine, dlist_container(ThHttpExchange, node, iter.cur),
					CURLE_RECV_ERROR);
	has_multi = th_http_engine_renew(engine);
	engine->is_lost = false;
	dlist_foreach_modify(iter, &engine->hosts)
	{
		ThHttpHost *host = dlist_container(ThHttpHost, node, iter.cur);

		while (!has_multi && host->waiting > 0)
			end_waiting(engine,
						dlist_head_element(ThHttpExchange, node, &host->queue),
						TH_HTTP_NO_CONNECTION, "out of memory");
		advance_host(engine, host);
	}
}

/* True if libcurl's timer has run out. */
static bool
is_timer_due(ThHttpEngine *engine)
{
	return engine->deadline_ms >= 0 &&
		   engine->deadline_ms <= th_clock_monotonic_ms();
}

void
th_http_drive(ThHttpEngine *engine)
{
	struct epoll_event events[MAX_EVENTS];
	sigset_t saved;
	int round;
	int n = MAX_EVENTS;
	int i;

	if (engine->multi == NULL)
		return;
	th_http_engine_enter(&saved);

	/* What is left after the last round keeps the descriptor readable. */
	for (round = 0; round < MAX_ROUNDS && engine->multi != NULL &&
					(n == MAX_EVENTS || is_timer_due(engine));
		 round++)
	{
		if (is_timer_due(engine))
		{
			engine->deadline_ms = -1;
			th_http_engine_act(engine, CURL_SOCKET_TIMEOUT, 0);
		}
		n = epoll_wait(engine->epoll, events, MAX_EVENTS, 0);
		for (i = 0; i < n; i++)
			th_http_engine_act(engine, events[i].data.fd, events[i].events);
		collect(engine);
		if (engine->is_lost)
			recover(engine);
	}
	expire_waiting(engine);
	th_http_engine_leave(&saved);
}

bool
th_http_has_next(ThHttpEngine *engine)
{
	return !dlist_is_empty(&engine->ended);
}

ThHttpResult *
th_http_next(ThHttpEngine *engine)
{
	ThHttpExchange *exchange;
	ThHttpResult *result;

	if (dlist_is_empty(&engine->ended))
		return NULL;
	exchange = dlist_head_element(ThHttpExchange, node, &engine->ended);
	result = th_http_exchange_result(exchange);
	dlist_delete(&exchange->node);
	th_http_exchange_free(exchange);
	return result;
}

void
th_http_cancel(ThHttpEngine *engine, void *owner)
{
	dlist_mutable_iter host_iter;
	dlist_mutable_iter iter;
	sigset_t saved;

	th_http_engine_enter(&saved);

	/* Those that wait first, else the room of others would start them. */
	dlist_foreach_modify(host_iter, &engine->hosts)
	{
		ThHttpHost *host = dlist_container(ThHttpHost, node, host_iter.cur);

		dlist_foreach_modify(iter, &host->queue)
		{
			ThHttpExchange *exchange = dlist_container(ThHttpExchange, node,
													   iter.cur);

			if (owner == NULL || exchange->owner == owner)
				end_waiting(engine, exchange, TH_HTTP_CANCELLED, "cancelled");
		}
		release_host(host);
	}
	dlist_foreach_modify(iter, &engine->running)
	{
		ThHttpExchange *exchange = dlist_container(ThHttpExchange, node,
												   iter.cur);
		ThHttpHost *host = exchange->host;

		if (owner != NULL && exchange->owner != owner)
			continue;
		end_running(engine, exchange, CURLE_ABORTED_BY_CALLBACK);
		th_http_exchange_end(exchange, TH_HTTP_CANCELLED, "cancelled");
		advance_host(engine, host);
	}
	th_http_engine_leave(&saved);
}

void
th_http_reload(ThHttpEngine *engine)
{
	engine->is_stale = true;
}

void
th_http_trim(ThHttpEngine *engine)
{
	sigset_t saved;

	/* With exchanges running, libcurl drops aged connections by itself. */
	if (engine->nrunning > 0 || engine->last_end_ms == 0 ||
		(!engine->is_stale &&
		 th_clock_monotonic_ms() - engine->last_end_ms < IDLE_MS))
		return;
	th_http_engine_enter(&saved);
	(void) th_http_engine_renew(engine);
	th_http_engine_leave(&saved);
}
