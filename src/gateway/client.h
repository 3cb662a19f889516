/*
 * client.h
 *	  The connections of a gateway process, and their deadlines.
 *
 * malloc'd, since they are made inside libmicrohttpd. Nothing here throws.
 */
#ifndef TH_GATEWAY_CLIENT_H
#define TH_GATEWAY_CLIENT_H

#include "lib/ilist.h"

struct sockaddr;

typedef enum ThClientPhase
{
	TH_CLIENT_NEW,     /* connected, no request yet */
	TH_CLIENT_HEAD,    /* the request line is there */
	TH_CLIENT_BODY,    /* the head is */
	TH_CLIENT_WORKING, /* the whole request is; ours to answer */
	TH_CLIENT_SENDING, /* the answer is on its way */
	TH_CLIENT_IDLE     /* between two requests */
} ThClientPhase;

typedef struct ThClient
{
	dlist_node node; /* of all, the one that changed last at the end */
	int descriptor;
	unsigned char address[16];
	bool is_loopback;
	bool is_cut;
	ThClientPhase phase;
	int64 since_ms;    /* of the phase; monotonic */
	int64 deadline_ms; /* monotonic; 0: none */
} ThClient;

/* True if one more connection from this address is welcome. */
extern bool th_client_is_welcome(const struct sockaddr *address);

extern ThClient *th_client_create(const struct sockaddr *address,
								  int descriptor);
extern void th_client_free(ThClient *client);

/* Enters a phase, which has its deadline from now on. */
extern void th_client_enter(ThClient *client, ThClientPhase phase);

/*
 * Shuts the sockets of those over their deadline, and of slow and idle ones
 * while there are too many; the server then closes them. Returns how many.
 */
extern int th_client_sweep(void);

/* Milliseconds until the first deadline, at most "most". */
extern int th_client_wait_ms(int most);

extern int th_client_count(void);

/* True while one is in a phase from HEAD to SENDING. */
extern bool th_client_is_any_busy(void);

#endif /* TH_GATEWAY_CLIENT_H */
