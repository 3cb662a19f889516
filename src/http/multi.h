/*
 * multi.h
 *	  Many exchanges at once in one process, without threads of ours.
 *
 * One engine a worker process. No SPI, no catalogue: safe outside a
 * transaction. The engine's inner epoll descriptor becomes readable when
 * there is something to do.
 */
#ifndef TH_HTTP_MULTI_H
#define TH_HTTP_MULTI_H

#include "http/request.h"

typedef struct ThHttpEngine ThHttpEngine;

/*
 * The engine of this process, made on first use with the present settings
 * (curl_global_init_mem, soft descriptor limit raised towards the hard one).
 * Memory: lives as long as the process. Errors: out of memory, too many
 * descriptors, a libcurl that cannot resolve names in the background.
 */
extern ThHttpEngine *th_http_engine(void);

/*
 * Takes over changed settings. Kept connections are dropped as soon as no
 * exchange runs; limits and addresses are checked for each request anyway.
 * Never throws.
 */
extern void th_http_reload(ThHttpEngine *engine);

/* The descriptor to wait for, for the whole life of the engine. */
extern int th_http_descriptor(ThHttpEngine *engine);

/*
 * Milliseconds until th_http_drive() must be called though nothing is
 * readable; -1 never.
 */
extern int th_http_timeout_ms(ThHttpEngine *engine);

/*
 * Exchanges that may still be started now, under telehealth.max_connections
 * and the descriptor limits.
 */
extern int th_http_room(ThHttpEngine *engine);

/* Exchanges started and not ended, waiting ones included. */
extern int th_http_running(ThHttpEngine *engine);

/*
 * Starts an exchange. Everything is copied. A request that policy refuses
 * ends at once with TH_HTTP_REFUSED, delivered by th_http_next() like any
 * other. The caller checked th_http_room(). Beyond
 * telehealth.max_connections_per_host it waits for its turn, at most for the
 * time it may run afterwards, and then ends as TH_HTTP_NO_CONNECTION.
 * Errors: out of memory.
 */
extern void th_http_start(ThHttpEngine *engine, const ThHttpRequest *request,
						  void *owner);

/* Lets libcurl work; collects what ended. Never throws. */
extern void th_http_drive(ThHttpEngine *engine);

/*
 * The next ended exchange, or NULL. Memory: result in the current context.
 * Errors: out of memory; the exchange is delivered again then.
 */
extern ThHttpResult *th_http_next(ThHttpEngine *engine);

/*
 * True if th_http_next() has something: do not wait then, for the descriptor
 * tells only of what libcurl has not seen yet.
 */
extern bool th_http_has_next(ThHttpEngine *engine);

/*
 * Ends every exchange of "owner" (NULL: all) as TH_HTTP_CANCELLED, without
 * waiting. Never throws.
 */
extern void th_http_cancel(ThHttpEngine *engine, void *owner);

/*
 * Drops connections idle for more than a minute; call once in a while.
 * Never throws.
 */
extern void th_http_trim(ThHttpEngine *engine);

#endif /* TH_HTTP_MULTI_H */
