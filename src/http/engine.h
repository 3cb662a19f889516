/*
 * engine.h
 *	  The engine's state, and its side towards libcurl. For this room only.
 *
 * Every function here is part of the no-throw zone.
 */
#ifndef TH_HTTP_ENGINE_H
#define TH_HTTP_ENGINE_H

#include <signal.h>

#include <curl/curl.h>

#include "lib/ilist.h"

#include "http/exchange.h"
#include "http/multi.h"

struct ThHttpEngine
{
	CURLM *multi; /* NULL before the first use, or if memory was short */
	int epoll;
	int64 deadline_ms; /* libcurl's timer on the monotonic clock, -1 none */
	int64 last_end_ms; /* when the last exchange ended; 0: nothing to close */
	bool is_stale;     /* settings changed since the handle was made */
	bool is_lost;      /* libcurl's handle reported an error */

	dlist_head running;
	dlist_head ended;
	dlist_head hosts;
	int nrunning;
	int nwaiting;
	int64 next_expiry_ms; /* no waiting exchange expires before */

	bool ends_handles; /* each is used once */
	CURL **handles;    /* idle easy handles, a stack */
	int nhandles;
	int max_handles;

	uint32 *watched; /* events asked for, by descriptor; 0 none */
	int max_watched;
};

/*
 * Blocks all signals, and restores them: around every call of libcurl that
 * may start a thread.
 */
extern void th_http_engine_enter(sigset_t *saved);
extern void th_http_engine_leave(const sigset_t *saved);

/* Exchanges that may exist at once, under the settings and the kernel. */
extern int th_http_engine_limit(void);

/* Raises the soft limit on descriptors as far as our settings need it. */
extern void th_http_engine_raise_limit(void);

/*
 * Makes libcurl's multi handle, closing an old one with its connections;
 * false if memory is short. Where: signals blocked, no exchange runs.
 */
extern bool th_http_engine_renew(ThHttpEngine *engine);

/*
 * Lets libcurl act on a ready socket or, with CURL_SOCKET_TIMEOUT, on its
 * timer. Sets is_lost if its handle reports an error. Where: signals blocked.
 */
extern void th_http_engine_act(ThHttpEngine *engine, curl_socket_t descriptor,
							   uint32 events);

/*
 * An easy handle running the exchange; NULL if memory is short. Where:
 * signals blocked.
 */
extern CURL *th_http_engine_take(ThHttpEngine *engine,
								 ThHttpExchange *exchange);

/* Stops an easy handle and keeps it for later. Where: signals blocked. */
extern void th_http_engine_give(ThHttpEngine *engine, CURL *easy);

#endif /* TH_HTTP_ENGINE_H */
