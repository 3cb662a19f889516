/*
 * page.c
 *	  GET /: health, today's sessions, queue, connections and webhooks as one
 *	  page of HTML.
 *
 * Whole in itself: no script, nothing from elsewhere. Numbers and the words
 * of telehealth.health alone; nothing of any person.
 */
#include "postgres.h"

#include <string.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "crypto/token.h"
#include "gateway/metrics.h"
#include "gateway/negotiate.h"
#include "gateway/page.h"
#include "gateway/request.h"
#include "store/gateway.h"
#include "store/owner.h"
#include "worker/slot.h"

#define TYPE "text/html; charset=utf-8"
#define POLICY                                                                 \
	"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "  \
	"base-uri 'none'; form-action 'none'"

/* However often it is asked for, the tables are not read more often. */
#define KEPT_MS 2000

#define LOOK_MS 2500

/* ---- who may ---- */

/*
 * A program of this machine that asks for this machine by its own name. A
 * proxy in front says for whom it asks; a name of somebody else's that was
 * made to point here is in a browser that was led astray.
 */
static bool
is_local(const ThHttpRequest *request)
{
	static const char *const marks[] = { "forwarded",         "x-forwarded-for",
										 "x-forwarded-host",  "x-real-ip",
										 "x-forwarded-proto", "via" };
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
	const char *host = th_request_header(request, "host");

	if (!request->is_loopback || host == NULL)
		return false;
	for (size_t i = 0; i < lengthof(marks); i++)
		if (th_request_header(request, marks[i]) != NULL)
			return false;
	for (size_t i = 0; i < lengthof(names); i++)
	{
		size_t length = strlen(names[i]);

		if (pg_strncasecmp(host, names[i], length) == 0 &&
			(host[length] == '\0' || host[length] == ':'))
			return true;
	}
	return false;
}

/* Once there is a token everybody needs it: not every proxy says that it is one. */
static bool
may_look(const ThHttpRequest *request)
{
	const char *given = th_request_header(request, "authorization");
	unsigned char hash[TH_SHA256_BYTES];

	if (given != NULL && pg_strncasecmp(given, "Bearer ", 7) == 0)
		given += 7 + strspn(given + 7, " ");
	else
		given = "";
	th_sha256(given, strlen(given), hash);
	switch (th_gateway_judge_token(hash, sizeof(hash)))
	{
		case TH_TOKEN_NONE:
			return is_local(request);
		case TH_TOKEN_RIGHT:
			return true;
		default:
			return false;
	}
}

/* ---- pieces ---- */

static void
add_text(StringInfo out, const char *text)
{
	if (text == NULL)
		return;
	for (const char *p = pg_server_to_any(text, (int) strlen(text), PG_UTF8);
		 *p != '\0'; p++)
	{
		if (*p == '<')
			appendStringInfoString(out, "&lt;");
		else if (*p == '>')
			appendStringInfoString(out, "&gt;");
		else if (*p == '&')
			appendStringInfoString(out, "&amp;");
		else if (*p == '"')
			appendStringInfoString(out, "&quot;");
		else
			appendStringInfoChar(out, *p);
		if (*p == '_')
			appendStringInfoString(out, "<wbr>"); /* a line may end here */
	}
}

static const char head[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, "
	"initial-scale=1\">\n"
	"<meta name=\"robots\" content=\"noindex\">\n"
	"<title>telehealth</title>\n"
	"<style>\n"
	":root { color-scheme: light dark; --line: #c8ccd2; --quiet: #565c66; "
	"--card: #f4f5f7; --page: #fff; --ink: #16191d;\n"
	"--ok: #176b3a; --warning: #8a5300; --error: #b3261e; }\n"
	"@media (prefers-color-scheme: dark) { :root { --line: #3a3f47; "
	"--quiet: #a7adb7; --card: #1d2025; --page: #121417; --ink: #e9ebee;\n"
	"--ok: #6fd39a; --warning: #f2b65a; --error: #ff8a80; } }\n"
	"* { box-sizing: border-box; }\n"
	"body { font: 1rem/1.45 system-ui, sans-serif; margin: 0; "
	"background: var(--page); color: var(--ink); }\n"
	"main { max-width: 70rem; margin: 0 auto; padding: 1rem; "
	"display: grid; gap: 1rem; "
	"grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); "
	"}\n"
	"header, section.wide { grid-column: 1 / -1; }\n"
	"h1 { font-size: 1.5rem; margin: 0; }\n"
	"h2 { font-size: 1.1rem; margin: 0 0 .5rem; }\n"
	"header p { margin: .25rem 0 0; color: var(--quiet); }\n"
	"section { background: var(--card); border: 1px solid var(--line); "
	"border-radius: .5rem; padding: .75rem 1rem; min-width: 0; }\n"
	"table { border-collapse: collapse; width: 100%; }\n"
	"th, td { text-align: left; vertical-align: top; font-weight: normal; "
	"padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line); "
	"overflow-wrap: break-word; }\n"
	"thead th { color: var(--quiet); border-top: 0; font-size: .875rem; }\n"
	"td.n, th.n { text-align: right; padding-right: 0; white-space: nowrap; "
	"font-variant-numeric: tabular-nums; }\n"
	"@media (max-width: 30rem) { th, td { padding-right: .4rem; "
	"font-size: .9375rem; } }\n"
	"small { color: var(--quiet); font-size: .875rem; display: block; }\n"
	".ok, .warning, .error { font-weight: 600; white-space: nowrap; }\n"
	".ok { color: var(--ok); } .warning { color: var(--warning); } "
	".error { color: var(--error); }\n"
	"</style>\n"
	"</head>\n"
	"<body>\n"
	"<main>\n";

static const char *
known_status(const char *status)
{
	return strcmp(status, "ok") == 0        ? "ok"
		   : strcmp(status, "warning") == 0 ? "warning"
											: "error";
}

static void
add_row(StringInfo out, const char *name, double value)
{
	appendStringInfoString(out, "<tr><th scope=\"row\">");
	add_text(out, name);
	appendStringInfo(out, "</th><td class=\"n\">%.0f</td></tr>\n", value);
}

static void
begin_section(StringInfo out, const char *title, const char *left,
			  const char *right)
{
	appendStringInfo(out,
					 "<section>\n<h2>%s</h2>\n<table>\n<thead><tr>"
					 "<th scope=\"col\">%s</th><th scope=\"col\" class=\"n\">"
					 "%s</th></tr></thead>\n<tbody>\n",
					 title, left, right);
}

static void
end_section(StringInfo out)
{
	appendStringInfoString(out, "</tbody>\n</table>\n</section>\n");
}

static void
add_gauges(StringInfo out, const ThGauge *gauges, int n, ThGaugeKind kind)
{
	for (int i = 0; i < n; i++)
	{
		if (gauges[i].kind != kind)
			continue;
		add_row(out,
				gauges[i].other_label[0] == '\0'
					? gauges[i].label
					: psprintf("%s, %s", gauges[i].label,
							   gauges[i].other_label),
				gauges[i].value);
	}
}

/* ---- the page ---- */

static void
add_health(StringInfo out, const ThHealthRow *rows, int n)
{
	appendStringInfoString(
		out, "<section class=\"wide\">\n<h2>Health</h2>\n<table>\n<thead><tr>"
			 "<th scope=\"col\">Check</th><th scope=\"col\">Status</th>"
			 "<th scope=\"col\">Found</th></tr></thead>\n<tbody>\n");
	for (int i = 0; i < n; i++)
	{
		const char *status = known_status(rows[i].status);

		appendStringInfoString(out, "<tr><th scope=\"row\">");
		add_text(out, rows[i].name);
		appendStringInfo(out, "</th><td class=\"%s\">%s</td><td>", status,
						 status);
		add_text(out, rows[i].detail);
		if (rows[i].hint != NULL)
		{
			appendStringInfoString(out, "<small>");
			add_text(out, rows[i].hint);
			appendStringInfoString(out, "</small>");
		}
		appendStringInfoString(out, "</td></tr>\n");
	}
	end_section(out);
}

static void
add_head(StringInfo out, const ThHealthRow *rows, int n)
{
	char date[TH_HTTP_DATE_BYTES];
	int n_errors = 0;
	int n_warnings = 0;

	for (int i = 0; i < n; i++)
	{
		const char *status = known_status(rows[i].status);

		n_errors += strcmp(status, "error") == 0;
		n_warnings += strcmp(status, "warning") == 0;
	}
	appendStringInfoString(out, head);
	appendStringInfo(out, "<header>\n<h1>telehealth: <span class=\"%s\">",
					 n_errors > 0     ? "error"
					 : n_warnings > 0 ? "warning"
									  : "ok");
	if (n_errors + n_warnings == 0)
		appendStringInfoString(out, "all is well");
	if (n_errors > 0)
		appendStringInfo(out, "%d error%s%s", n_errors,
						 n_errors == 1 ? "" : "s", n_warnings > 0 ? ", " : "");
	if (n_warnings > 0)
		appendStringInfo(out, "%d warning%s", n_warnings,
						 n_warnings == 1 ? "" : "s");
	th_negotiate_date(th_clock_now(), date);
	appendStringInfo(out,
					 "</span></h1>\n<p>Version " TH_VERSION
					 ", as of %s</p>\n</header>\n",
					 date);
}

static void
add_process_figures(StringInfo out)
{
	ThDoorStatus *door = palloc0_object(ThDoorStatus);
	ThSlotStatus *slot = palloc0_object(ThSlotStatus);

	th_metrics_flush();
	(void) th_door_read(MyDatabaseId, door);
	(void) th_slot_read(MyDatabaseId, slot);
	begin_section(out, "Gateway since its start", "What", "Number");
	add_row(out, "webhooks received", (double) door->counts[TH_COUNT_RECEIVED]);
	add_row(out, "webhooks genuine and new",
			(double) door->counts[TH_COUNT_INSERTED]);
	add_row(out, "feeds looked at",
			(double) door->counts[TH_COUNT_FEEDS_CHECKED]);
	add_row(out, "feeds written",
			(double) door->counts[TH_COUNT_FEEDS_WRITTEN]);
	add_row(out, "connections open", door->connections);
	add_row(out, "connections cut or turned away",
			(double) (door->counts[TH_COUNT_CUT] +
					  door->counts[TH_COUNT_TURNED_AWAY]));
	add_row(out, "outward calls that run", slot->figures.in_flight);
	end_section(out);
}

static void
make_page(StringInfo out)
{
	ThOwnerScope scope;
	ThHealthRow *rows;
	ThGauge *gauges;
	ThGauge *day;
	int n_rows;
	int n_gauges;
	int n_day;

	th_owner_enter(&scope);
	rows = th_gateway_read_health(&n_rows);
	gauges = th_gateway_read_gauges(&n_gauges);
	day = th_gateway_read_day(&n_day);
	th_owner_leave(&scope);
	initStringInfo(out);
	add_head(out, rows, n_rows);
	add_health(out, rows, n_rows);
	begin_section(out, "Sessions of today", "Status", "Number");
	add_gauges(out, day, n_day, TH_GAUGE_TODAY);
	end_section(out);
	begin_section(out, "Queue", "Jobs", "Number");
	add_gauges(out, gauges, n_gauges, TH_GAUGE_JOBS);
	for (int i = 0; i < n_gauges; i++)
		if (gauges[i].kind == TH_GAUGE_OLDEST)
			add_row(out, "seconds that the oldest has waited",
					Max(gauges[i].value, 0));
	end_section(out);
	begin_section(out, "Connections to platforms", "Platform, status",
				  "Number");
	add_gauges(out, gauges, n_gauges, TH_GAUGE_ACCOUNTS);
	end_section(out);
	begin_section(out, "Webhooks of the last 24 hours", "Source, outcome",
				  "Number");
	add_gauges(out, day, n_day, TH_GAUGE_WEBHOOKS);
	end_section(out);
	add_process_figures(out);
	appendStringInfoString(out, "</main>\n</body>\n</html>\n");
}

static const char *
recent_page(void)
{
	static char *text = NULL;
	static int64 made_ms = 0;
	int64 now = th_clock_monotonic_ms();

	if (text == NULL || now - made_ms >= KEPT_MS)
	{
		StringInfoData page;
		char *fresh;

		make_page(&page);
		fresh = MemoryContextStrdup(TopMemoryContext, page.data);
		if (text != NULL)
			pfree(text);
		text = fresh;
		made_ms = now;
	}
	return text;
}

void
th_page_answer(ThHttpRequest *request)
{
	const char *html;

	disable_timeout(STATEMENT_TIMEOUT, false);
	enable_timeout_after(STATEMENT_TIMEOUT, LOOK_MS);
	if (!may_look(request))
	{
		th_request_refuse(request, 401);
		th_request_add_reply_header(request, "WWW-Authenticate",
									"Bearer realm=\"telehealth\"");
		return;
	}
	html = recent_page();
	th_request_answer(request, 200, TYPE, html, strlen(html));
	th_request_add_reply_header(request, "Cache-Control", "no-store");
	th_request_add_reply_header(request, "Content-Security-Policy", POLICY);
	th_request_add_reply_header(request, "Referrer-Policy", "no-referrer");
	th_request_add_reply_header(request, "X-Frame-Options", "DENY");
}
