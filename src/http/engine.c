/*
 * engine.c
 *	  The engine's side towards libcurl: sockets, timer, handles, limits.
 *
 * Threads: libcurl's resolver may start one for each name. All signals are
 * blocked around every call that may do so, else the server's handlers would
 * run on that thread. A thread that hangs is left behind, never joined
 * (CURLOPT_QUICK_EXIT), and nothing of libcurl is cleaned up when the process
 * ends.
 *
 * Functions named on_... are called by libcurl: a no-throw zone.
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "storage/fd.h"

#include <curl/curl.h>

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_error.h"
#include "base/th_guc.h"
#include "http/engine.h"

/* Descriptors of one exchange: its socket, two of the resolver, its query. */
#define DESCRIPTORS_PER_EXCHANGE 4

/* Left to the wait set, the inner epoll and a second address family. */
#define SPARE_DESCRIPTORS 16

/* What the kernel allows this process, since th_http_engine_raise_limit(). */
static int64 descriptor_limit = PG_INT32_MAX;

/* Signals that a fault raises on the faulting thread itself stay open. */
void
th_http_engine_enter(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGSYS);
	(void) pthread_sigmask(SIG_SETMASK, &all, saved);
	TH_NO_THROW_BEGIN();
}

void
th_http_engine_leave(const sigset_t *saved)
{
	TH_NO_THROW_END();
	(void) pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/* Makes room for one more descriptor number in the table of what we watch. */
static bool
grow_watched(ThHttpEngine *engine, int descriptor)
{
	int size = Max(descriptor + 1, engine->max_watched * 2);
	uint32 *watched;

	if (descriptor < engine->max_watched)
		return true;
	watched = realloc(engine->watched, size * sizeof(uint32));
	if (watched == NULL)
		return false;
	memset(watched + engine->max_watched, 0,
		   (size - engine->max_watched) * sizeof(uint32));
	engine->watched = watched;
	engine->max_watched = size;
	return true;
}

/*
 * Never reports failure: that would end libcurl's whole multi handle. A
 * socket that cannot be watched runs into the timeout of its exchange.
 */
static int
on_watch(CURL *easy, curl_socket_t descriptor, int what, void *context,
		 void *socket_context)
{
	ThHttpEngine *engine = context;
	struct epoll_event event = { 0 };
	int action;

	(void) easy;
	(void) socket_context;
	if (!grow_watched(engine, descriptor))
		return 0;
	event.data.fd = descriptor;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		event.events |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		event.events |= EPOLLOUT;
	if (event.events == engine->watched[descriptor])
		return 0;
	if (event.events == 0)
		action = EPOLL_CTL_DEL;
	else if (engine->watched[descriptor] == 0)
		action = EPOLL_CTL_ADD;
	else
		action = EPOLL_CTL_MOD;
	if (epoll_ctl(engine->epoll, action, descriptor, &event) == 0)
		engine->watched[descriptor] = event.events;
	else
		engine->watched[descriptor] = 0;
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *context)
{
	ThHttpEngine *engine = context;

	(void) multi;
	engine->deadline_ms = timeout_ms < 0 ? -1
										 : th_clock_monotonic_ms() + timeout_ms;
	return 0;
}

static int
on_close_socket(void *context, curl_socket_t descriptor)
{
	ThHttpEngine *engine = context;

	/* Closing takes it out of the inner epoll, too. */
	if (descriptor < engine->max_watched)
		engine->watched[descriptor] = 0;
	ReleaseExternalFD();
	return close(descriptor);
}

/*
 * Exchanges that may exist at once. The server lets foreign code hold a third
 * of its descriptors; the rest of an exchange's needs is in our own raise of
 * the soft limit.
 */
int
th_http_engine_limit(void)
{
	int64 most = Min(th_guc_max_connections,
					 max_safe_fds / 3 - SPARE_DESCRIPTORS);

	most = Min(most, (descriptor_limit - SPARE_DESCRIPTORS) /
						 DESCRIPTORS_PER_EXCHANGE);
	return (int) Max(most, 1);
}

/* The server has reserved its share; ours comes on top if the kernel lets. */
void
th_http_engine_raise_limit(void)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t) max_safe_fds + SPARE_DESCRIPTORS +
					(rlim_t) th_guc_max_connections * DESCRIPTORS_PER_EXCHANGE;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < wanted)
	{
		limit.rlim_cur = Min(wanted, limit.rlim_max);
		/* If it fails, we reckon with what there is. */
		(void) setrlimit(RLIMIT_NOFILE, &limit);
		(void) getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur != RLIM_INFINITY)
		descriptor_limit = (int64) Min(limit.rlim_cur, PG_INT32_MAX);
}

bool
th_http_engine_renew(ThHttpEngine *engine)
{
	long limit = th_http_engine_limit();
	CURLM *multi;

	if (engine->multi != NULL)
		(void) curl_multi_cleanup(engine->multi);
	engine->multi = NULL;
	engine->deadline_ms = -1;
	multi = curl_multi_init();
	if (multi == NULL)
		return false;

	/*
	 * Kept connections may fill the limit; libcurl then closes the oldest for
	 * a new one. There are never more exchanges than that, so none waits
	 * inside libcurl.
	 */
	if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_watch) !=
			CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, engine) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) !=
			CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_TIMERDATA, engine) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) !=
			CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, limit) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, limit) !=
			CURLM_OK)
	{
		(void) curl_multi_cleanup(multi);
		return false;
	}
	engine->multi = multi;
	engine->is_stale = false;
	engine->last_end_ms = 0;
	return true;
}

void
th_http_engine_act(ThHttpEngine *engine, curl_socket_t descriptor,
				   uint32 events)
{
	int running;
	int bits = 0;

	/* On an error libcurl looks itself: 0 asks it to. */
	if ((events & (EPOLLERR | EPOLLHUP)) == 0)
		bits = ((events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
			   ((events & EPOLLOUT) ? CURL_CSELECT_OUT : 0);
	if (curl_multi_socket_action(engine->multi, descriptor, bits, &running) !=
		CURLM_OK)
		engine->is_lost = true;
}

CURL *
th_http_engine_take(ThHttpEngine *engine, ThHttpExchange *exchange)
{
	CURL *easy = engine->nhandles > 0 ? engine->handles[--engine->nhandles]
									  : curl_easy_init();

	if (easy == NULL)
		return NULL;
	if (th_http_exchange_arm(exchange, easy, on_close_socket, engine) ==
			CURLE_OK &&
		curl_multi_add_handle(engine->multi, easy) == CURLM_OK)
		return easy;
	curl_easy_cleanup(easy);
	return NULL;
}

void
th_http_engine_give(ThHttpEngine *engine, CURL *easy)
{
	int size = Max(engine->max_handles * 2, 16);
	CURL **handles;

	(void) curl_multi_remove_handle(engine->multi, easy);
	if (engine->ends_handles)
	{
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy); /* forgets the request, keeps TLS sessions */
	if (engine->nhandles == engine->max_handles)
	{
		handles = realloc(engine->handles, size * sizeof(CURL *));
		if (handles == NULL)
		{
			curl_easy_cleanup(easy);
			return;
		}
		engine->handles = handles;
		engine->max_handles = size;
	}
	engine->handles[engine->nhandles++] = easy;
}
