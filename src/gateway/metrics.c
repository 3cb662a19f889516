/*
 * metrics.c
 *	  What the gateway counts, and GET /metrics.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "gateway/metrics.h"
#include "gateway/request.h"
#include "store/gateway.h"
#include "worker/slot.h"

/* What the tables say is read again after this at the earliest. */
#define GAUGES_MS 5000

#define TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Those we answer with; any other is counted with the last. */
static const int statuses[TH_HTTP_STATUSES] = { 200, 202, 204, 302, 304,
												400, 401, 403, 404, 405,
												410, 413, 414, 429, 431,
												500, 501, 503, 505, 0 };

static uint64 deltas[TH_DOOR_COUNTS];

void
th_metrics_note(ThDoorCount count, uint64 n)
{
	deltas[count] += n;
}

void
th_metrics_request(ThRouteKind kind, int status)
{
	int i = 0;

	while (i < TH_HTTP_STATUSES - 1 && statuses[i] != status)
		i++;
	deltas[TH_COUNT_REQUESTS + kind * TH_HTTP_STATUSES + i]++;
}

void
th_metrics_flush(void)
{
	th_door_add(deltas);
	memset(deltas, 0, sizeof(deltas));
}

/* ---- the text ---- */

static void
add_head(StringInfo out, const char *name, const char *type, const char *help)
{
	appendStringInfo(out, "# HELP telehealth_%s %s\n# TYPE telehealth_%s %s\n",
					 name, help, name, type);
}

static void
add_one(StringInfo out, const char *name, const char *type, const char *help,
		double value)
{
	add_head(out, name, type, help);
	appendStringInfo(out, "telehealth_%s %.15g\n", name, value);
}

static void
add_count(StringInfo out, const char *name, const char *help, uint64 value)
{
	add_head(out, name, "counter", help);
	appendStringInfo(out, "telehealth_%s " UINT64_FORMAT "\n", name, value);
}

static void
add_requests(StringInfo out, const uint64 *counts)
{
	add_head(out, "http_requests_total", "counter",
			 "Requests by kind of route and status.");
	for (int kind = 0; kind < TH_ROUTE_KINDS; kind++)
	{
		for (int i = 0; i < TH_HTTP_STATUSES; i++)
		{
			uint64 n = counts[kind * TH_HTTP_STATUSES + i];
			char status[12] = "none";

			if (n == 0)
				continue;
			if (statuses[i] != 0)
				snprintf(status, sizeof(status), "%d", statuses[i]);
			appendStringInfo(out,
							 "telehealth_http_requests_total{route=\"%s\","
							 "status=\"%s\"} " UINT64_FORMAT "\n",
							 th_route_kind_name(kind), status, n);
		}
	}
}

static void
add_door(StringInfo out, const ThDoorStatus *door)
{
	const uint64 *counts = door->counts;

	add_one(out, "gateway_processes", "gauge", "Processes that listen.",
			door->running);
	add_one(out, "gateway_start_time_seconds", "gauge",
			"When the counters began, since the epoch.",
			(double) door->opened_at / (double) USECS_PER_SEC +
				(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY);
	add_one(out, "http_connections", "gauge", "Connections that are open.",
			door->connections);
	add_count(out, "http_connections_accepted_total", "Connections taken.",
			  counts[TH_COUNT_ACCEPTED]);
	add_count(out, "http_connections_refused_total",
			  "Connections over the limit of their address.",
			  counts[TH_COUNT_TURNED_AWAY]);
	add_count(out, "http_connections_cut_total",
			  "Connections closed over a deadline or to make room.",
			  counts[TH_COUNT_CUT]);
	add_requests(out, counts + TH_COUNT_REQUESTS);
	add_count(out, "webhooks_received_total", "Webhooks that came.",
			  counts[TH_COUNT_RECEIVED]);
	add_count(out, "webhooks_inserted_total",
			  "Webhooks that were genuine and new.", counts[TH_COUNT_INSERTED]);
	add_count(out, "webhook_batches_total", "Transactions that wrote webhooks.",
			  counts[TH_COUNT_BATCHES]);
	add_count(out, "webhook_batch_rows_total", "Webhooks in them.",
			  counts[TH_COUNT_BATCH_ROWS]);
	add_count(out, "webhook_batch_failures_total",
			  "Batches that were done again one by one.",
			  counts[TH_COUNT_BATCH_FAILURES]);
	add_count(out, "feeds_checked_total", "Feeds whose rows were looked at.",
			  counts[TH_COUNT_FEEDS_CHECKED]);
	add_count(out, "feeds_written_total",
			  "Feeds that were written since their rows had changed.",
			  counts[TH_COUNT_FEEDS_WRITTEN]);
}

static void
add_dispatcher(StringInfo out)
{
	ThSlotStatus *slot = palloc0_object(ThSlotStatus);
	bool is_up = th_slot_read(MyDatabaseId, slot) &&
				 slot->state == TH_SLOT_RUNNING;

	add_one(out, "dispatcher_up", "gauge", "1 while the dispatcher runs.",
			is_up ? 1 : 0);
	if (is_up && slot->figures.last_cycle_at != 0)
		add_one(out, "dispatcher_last_cycle_seconds", "gauge",
				"Seconds since the dispatcher last looked at the queue.",
				(double) Max(th_clock_now() - slot->figures.last_cycle_at, 0) /
					USECS_PER_SEC);
	add_one(out, "dispatcher_in_flight", "gauge", "Outward calls that run.",
			slot->figures.in_flight);
}

/* ---- what the tables say ---- */

static const struct
{
	ThGaugeKind kind;
	const char *name;
	const char *label;
	const char *other_label;
	const char *help;
} gauges[] = {
	{ TH_GAUGE_JOBS, "jobs", "state", NULL,
	  "Jobs by state; those beyond 100000 are not counted." },
	{ TH_GAUGE_OLDEST, "job_oldest_due_seconds", NULL, NULL,
	  "How long the oldest job that is due has waited." },
	{ TH_GAUGE_ACCOUNTS, "accounts", "platform", "status",
	  "Accounts at video platforms." },
	{ TH_GAUGE_SESSIONS, "sessions", "status", NULL,
	  "Live sessions from a day ago to a day ahead; at most 100000." },
};

static char *
make_gauges(void)
{
	int n;
	ThGauge *found = th_gateway_read_gauges(&n);
	StringInfoData text;

	initStringInfo(&text);
	for (size_t g = 0; g < lengthof(gauges); g++)
	{
		add_head(&text, gauges[g].name, "gauge", gauges[g].help);
		for (int i = 0; i < n; i++)
		{
			if (found[i].kind != gauges[g].kind)
				continue;
			appendStringInfo(&text, "telehealth_%s", gauges[g].name);
			if (gauges[g].label != NULL)
				appendStringInfo(&text, "{%s=\"%s\"", gauges[g].label,
								 found[i].label);
			if (gauges[g].other_label != NULL)
				appendStringInfo(&text, ",%s=\"%s\"", gauges[g].other_label,
								 found[i].other_label);
			appendStringInfo(&text, "%s %.15g\n",
							 gauges[g].label != NULL ? "}" : "",
							 found[i].value);
		}
	}
	return text.data;
}

/* However often it is asked for, the tables are not read more often. */
static const char *
recent_gauges(void)
{
	static char *text = NULL;
	static int64 read_ms = 0;
	int64 now = th_clock_monotonic_ms();

	if (text == NULL || now - read_ms >= GAUGES_MS)
	{
		char *fresh = MemoryContextStrdup(TopMemoryContext, make_gauges());

		if (text != NULL)
			pfree(text);
		text = fresh;
		read_ms = now;
	}
	return text;
}

void
th_metrics_answer(ThHttpRequest *request)
{
	ThDoorStatus *door = palloc0_object(ThDoorStatus);
	StringInfoData out;

	initStringInfo(&out);
	th_metrics_flush();
	if (th_door_read(MyDatabaseId, door))
		add_door(&out, door);
	add_dispatcher(&out);
	appendStringInfoString(&out, recent_gauges());
	th_request_answer(request, 200, TYPE, out.data, (size_t) out.len);
	th_request_add_reply_header(request, "Cache-Control", "no-store");
}
