/*
 * route.h
 *	  The routes of the gateway: one table.
 *
 * Paths are compared byte by byte, as they came: nothing is decoded.
 */
#ifndef TH_GATEWAY_ROUTE_H
#define TH_GATEWAY_ROUTE_H

#include "worker/door.h"

struct ThHttpRequest;

/*
 * Answers a request by th_request_answer(). Where: with needs_database in a
 * transaction of the worker's role, which is committed before the answer is
 * sent; an error makes it 503 or 500. Memory: current context, kept until the
 * answer is sent.
 */
typedef void (*ThAnswer)(struct ThHttpRequest *request);

/* Answers without the database if that is as good; false if it is not. */
typedef bool (*ThAnswerAtOnce)(struct ThHttpRequest *request);

typedef struct ThRoute
{
	const char *method; /* GET (also HEAD) or POST */
	const char *path;
	bool is_prefix; /* one more segment follows, perhaps with more behind it */
	bool needs_database;
	ThRouteKind kind;
	const char *source;            /* of a webhook */
	int accepted;                  /* ... the status of one that was taken */
	ThAnswer answer;               /* of all others */
	ThAnswerAtOnce answer_at_once; /* tried before it, or NULL */
	const bool *is_on;             /* a setting; NULL: always */
} ThRoute;

/*
 * The route for method and path; else NULL, and then *allow is what the
 * path's routes allow ("GET, HEAD"), or NULL if there is none.
 */
extern const ThRoute *th_route_find(const char *method, const char *path,
									const char **allow);

/* The word of a kind, as in metrics. */
extern const char *th_route_kind_name(ThRouteKind kind);

#endif /* TH_GATEWAY_ROUTE_H */
