/*
 * route.c
 *	  The routes of the gateway: one table.
 */
#include "postgres.h"

#include <string.h>

#include "base/th_guc.h"
#include "flow/feed.h"
#include "gateway/callback.h"
#include "gateway/feed.h"
#include "gateway/metrics.h"
#include "gateway/page.h"
#include "gateway/route.h"
#include "gateway/status.h"

/* clang-format off */
#define WEBHOOK(path, source, accepted) \
	{ "POST", path, false, true, TH_ROUTE_WEBHOOK, source, accepted, NULL, NULL, NULL }
#define GET(path, kind, answer) \
	{ "GET", path, false, true, TH_ROUTE_##kind, NULL, 200, answer, NULL, NULL }
#define GET_PLAIN(path, kind, answer) \
	{ "GET", path, false, false, TH_ROUTE_##kind, NULL, 200, answer, NULL, NULL }
/* clang-format on */

static const ThRoute routes[] = {
	WEBHOOK("/api/v2/zoom/webhook", "zoom", 200),
	WEBHOOK("/zoom_events/events", "zoom", 202),
	WEBHOOK("/api/webhooks/twilio", "twilio", 200),
	WEBHOOK("/api/webhooks/google-calendar", "google-calendar", 200),
	WEBHOOK("/api/webhooks/graph", "graph", 200),
	WEBHOOK("/api/webhooks/provider-schedule", "provider-schedule", 200),
	GET("/api/zoom/callback", CALLBACK, th_callback_answer_zoom),
	GET("/api/calendar-sync/google/callback", CALLBACK,
		th_callback_answer_google),
	GET("/api/calendar-sync/outlook/callback", CALLBACK,
		th_callback_answer_outlook),
	{ "GET", TH_FEED_ROUTE, true, true, TH_ROUTE_FEED, NULL, 200,
	  th_feed_answer, th_feed_answer_at_once, NULL },
	{ "GET", "/", false, true, TH_ROUTE_PAGE, NULL, 200, th_page_answer, NULL,
	  &th_guc_http_dashboard },
	GET("/api/v2/zoom/webhook", HEALTH, th_status_answer_health),
	GET("/zoom_events/health", HEALTH, th_status_answer_health),
	GET_PLAIN("/healthz", HEALTH, th_status_answer_alive),
	GET("/readyz", HEALTH, th_status_answer_ready),
	GET("/metrics", METRICS, th_metrics_answer),
};

static bool
is_path(const ThRoute *route, const char *path)
{
	size_t length = strlen(route->path);

	if (route->is_on != NULL && !*route->is_on)
		return false;
	if (!route->is_prefix)
		return strcmp(route->path, path) == 0;
	return strncmp(route->path, path, length) == 0 && path[length] != '\0';
}

const ThRoute *
th_route_find(const char *method, const char *path, const char **allow)
{
	bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	bool has_get = false;
	bool has_post = false;

	for (size_t i = 0; i < lengthof(routes); i++)
	{
		bool needs_get = routes[i].method[0] == 'G';

		if (!is_path(&routes[i], path))
			continue;
		if (needs_get ? is_get : strcmp(method, routes[i].method) == 0)
			return &routes[i];
		has_get |= needs_get;
		has_post |= !needs_get;
	}
	*allow = has_get && has_post ? "GET, HEAD, POST"
			 : has_get           ? "GET, HEAD"
			 : has_post          ? "POST"
								 : NULL;
	return NULL;
}

const char *
th_route_kind_name(ThRouteKind kind)
{
	static const char *const names[] = {
		[TH_ROUTE_WEBHOOK] = "webhook",   [TH_ROUTE_FEED] = "feed",
		[TH_ROUTE_CALLBACK] = "callback", [TH_ROUTE_HEALTH] = "health",
		[TH_ROUTE_METRICS] = "metrics",   [TH_ROUTE_PAGE] = "page",
		[TH_ROUTE_OTHER] = "other",
	};

	return names[kind];
}
