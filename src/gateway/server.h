/*
 * server.h
 *	  The HTTP server of a gateway process: libmicrohttpd, driven from outside.
 *
 * One a process. What it calls back neither throws nor asks the database: a
 * whole request waits in a queue, its connection at rest, until it is taken
 * and answered. All deadlines are ours.
 */
#ifndef TH_GATEWAY_SERVER_H
#define TH_GATEWAY_SERVER_H

#include "gateway/request.h"

#define TH_HTTP_CONNECTIONS 1024
#define TH_HTTP_PER_ADDRESS 256

typedef enum ThQueue
{
	TH_QUEUE_WEBHOOKS,
	TH_QUEUE_OTHERS
} ThQueue;

/*
 * Serves what comes to the listening socket, which is its from then on.
 * Errors: 53000 if the library refuses.
 */
extern void th_server_start(int listen_socket);

/* The descriptor that is readable when there is something to run. */
extern int th_server_descriptor(void);

/* Reads, parses and writes what is possible now. Never throws. */
extern void th_server_run(void);

/* Milliseconds until th_server_run() or the next deadline; at most "most". */
extern int th_server_wait_ms(int most);

/* Takes at most "max" requests of at most "max_bytes" together (but one) from a queue. */
extern int th_server_take(ThQueue queue, ThHttpRequest **out, int max,
						  size_t max_bytes);

/* True if requests wait in a queue. */
extern bool th_server_has_waiting(void);

/* How many webhooks wait. */
extern int th_server_webhooks_waiting(void);

/* Sends the answer; the request is the server's to free. Never throws. */
extern void th_server_send(ThHttpRequest *request);

/* Cuts connections that are over a deadline, and the idlest if there are too many. */
extern void th_server_sweep(void);

/* Reads, and takes every connection that the kernel has taken for us. */
extern void th_server_take_in(void);

/* Takes no more connections; each is closed after its answer. */
extern void th_server_quiesce(void);

/* True while a request is being read, answered or sent. */
extern bool th_server_is_busy(void);

extern int th_server_connections(void);

#endif /* TH_GATEWAY_SERVER_H */
