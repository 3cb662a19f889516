/*
 * caldav_discover.c
 *	  From what a user knows of a CalDAV server to the URL of a calendar.
 *
 * The address may be the calendar itself, a principal, or any place on the
 * server: then /.well-known/caldav and the root are tried too (RFC 6764),
 * the principal names the home of its calendars, and one of these is chosen.
 * Redirects are followed by asking again, and credentials go only where
 * th_dav_may_follow() lets them.
 *
 * "next" is "STEP HOPS ADDRESS URL"; the address is the user's, "-" while it
 * is not known.
 */
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

#include "base/th_error.h"
#include "calendar/answer.h"
#include "calendar/caldav.h"
#include "calendar/dav_href.h"

/* Requests of one discovery. */
#define MAX_HOPS 15

#define MAX_ADDRESS 254
#define MAX_NAMES 5

typedef enum Step
{
	STEP_GIVEN, /* what the user said */
	STEP_KNOWN, /* /.well-known/caldav */
	STEP_ROOT,
	STEP_PRINCIPAL,
	STEP_HOME
} Step;

typedef struct State
{
	Step step;
	int hops;
	char *address; /* or NULL */
	char *url;
} State;

static const char xml[] =
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
	"<D:propfind xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\">"
	"<D:prop><D:resourcetype/><D:displayname/><D:current-user-principal/>"
	"<D:current-user-privilege-set/><C:calendar-home-set/>"
	"<C:calendar-user-address-set/><C:supported-calendar-component-set/>"
	"<C:calendar-timezone/></D:prop></D:propfind>";

/* ---- the state as text ---- */

static void
read_state(const ThCalendarCall *call, State *state)
{
	char *text;
	char *url;

	memset(state, 0, sizeof(*state));
	state->url = pstrdup(call->account->api_url);
	if (call->next == NULL)
		return;
	text = pstrdup(call->next);
	state->step = (Step) strtol(text, &text, 10);
	state->hops = (int) strtol(text, &text, 10);
	text += strspn(text, " ");
	url = strchr(text, ' ');
	if (url == NULL)
		return;
	*url = '\0';
	state->url = url + 1;
	state->address = strcmp(text, "-") == 0 ? NULL : text;
}

/* The answer is one more request; false if there were too many. */
static void
go_on(State *state, Step step, const char *url, ThCalendarAnswer *out)
{
	memset(out, 0, sizeof(*out));
	if (state->hops + 1 >= MAX_HOPS)
	{
		out->verdict = TH_CALENDAR_PERMANENT;
		out->message = pstrdup("the server leads in circles");
		return;
	}
	out->next = psprintf("%d %d %s %s", step, state->hops + 1,
						 state->address == NULL ? "-" : state->address, url);
}

static void
give_up(const char *message, ThCalendarAnswer *out)
{
	memset(out, 0, sizeof(*out));
	out->verdict = TH_CALENDAR_PERMANENT;
	out->message = th_error_redact(message, TH_CALENDAR_MESSAGE_MAX);
}

void
th_caldav_build_discover(const ThCalendarCall *call, ThHttpRequest *out)
{
	State state;

	read_state(call, &state);
	th_caldav_ask(call, TH_HTTP_PROPFIND, state.url,
				  state.step == STEP_HOME ? "1" : "0", xml, out);
}

/* ---- where to go from here ---- */

/* This address did not help: the next of those that may. */
static void
try_next(const ThCalendarCall *call, State *state, ThCalendarAnswer *out)
{
	char *root = th_dav_root(call->account->api_url);

	switch (state->step)
	{
		case STEP_GIVEN:
			go_on(state, STEP_KNOWN, psprintf("%s/.well-known/caldav", root),
				  out);
			break;
		case STEP_KNOWN:
			go_on(state, STEP_ROOT, psprintf("%s/", root), out);
			break;
		case STEP_PRINCIPAL:
			give_up("the server does not say where the calendars are", out);
			break;
		default:
			give_up("there is no calendar server at this address", out);
			break;
	}
}

/*
 * Goes to where the server says, if our credentials may go there too. A web
 * site that leads elsewhere may still have its calendars here.
 */
static void
follow(const ThCalendarCall *call, State *state, Step step,
	   const char *reference, ThCalendarAnswer *out)
{
	char *url = th_dav_resolve(state->url, reference);
	bool may_follow = url != NULL && th_dav_may_follow(state->url, url);

	if (!may_follow && step == STEP_GIVEN)
		try_next(call, state, out);
	else if (url == NULL)
		give_up("the server leads to an address that cannot be called", out);
	else if (!may_follow)
		give_up(psprintf("the server leads to another one: connect to %s",
						 th_dav_root(url)),
				out);
	else
		go_on(state, step, url, out);
}

/* ---- the calendar ---- */

/* The name that follows TZID: in a VTIMEZONE. */
static char *
zone_of(const char *timezone)
{
	const char *line = timezone == NULL ? NULL : strstr(timezone, "\nTZID");

	line = line == NULL ? NULL : strchr(line, ':');
	if (line == NULL)
		return NULL;
	return th_caldav_text(pnstrdup(line + 1, strcspn(line + 1, "\r\n")));
}

static bool
is_usable(const ThDavItem *item)
{
	return item->is_calendar && item->status == 0 &&
		   (item->has_events || !item->tells_components);
}

static bool
is_writable(const ThDavItem *item)
{
	return item->is_writable || !item->tells_privileges;
}

/* The first of them. */
static void
take_address(State *state, const ThDavItem *item)
{
	char *address;

	if (state->address != NULL || item->addresses == NULL)
		return;
	address = pnstrdup(item->addresses, strcspn(item->addresses, ","));
	if (address[0] != '\0' && strlen(address) <= MAX_ADDRESS &&
		strpbrk(address, " \t\r\n") == NULL)
		state->address = address;
}

static void
take_calendar(const State *state, const ThDavItem *item, ThCalendarAnswer *out)
{
	char *url = th_dav_resolve(state->url, item->href);

	if (url == NULL || !th_dav_may_follow(state->url, url))
	{
		/* A server behind a proxy that does not know its own name. */
		url = th_dav_folder(item->href);
		if (url != NULL)
			url = th_dav_resolve(state->url, url);
	}
	if (url == NULL)
	{
		give_up("the calendar's address cannot be called", out);
		return;
	}
	memset(out, 0, sizeof(*out));
	out->calendar_id = th_dav_collection(url);
	out->identity = th_dav_identity(out->calendar_id);
	out->account = state->address == NULL ? NULL
										  : th_caldav_text(state->address);
	out->timezone = zone_of(item->timezone);
}

/* True if the calendar is the one that is wanted: by its URL, or its name. */
static bool
is_wanted(const State *state, const char *wanted, const ThDavItem *item)
{
	char *url = th_dav_resolve(state->url, item->href);

	if (item->display_name != NULL &&
		strcmp(th_caldav_text(item->display_name), wanted) == 0)
		return true;
	return url != NULL && strchr(wanted, '/') != NULL &&
		   th_dav_is_same(th_dav_collection(url), wanted);
}

/* Names that servers give the calendar that everybody has. */
static bool
is_default(const State *state, const ThDavItem *item)
{
	static const char *const names[] = { "/calendar/", "/default/", "/home/",
										 "/personal/" };
	char *folder = th_dav_folder(
		th_dav_collection(th_dav_resolve(state->url, item->href)));

	for (size_t i = 0; folder != NULL && i < lengthof(names); i++)
	{
		size_t length = strlen(names[i]);
		size_t whole = strlen(folder);

		if (whole >= length &&
			pg_strcasecmp(folder + whole - length, names[i]) == 0)
			return true;
	}
	return false;
}

/* "Home", "Work": what the user may choose from. */
static char *
list_names(const ThDavAnswer *document)
{
	StringInfoData out;
	int n = 0;

	initStringInfo(&out);
	for (int i = 0; i < document->n_items && n < MAX_NAMES; i++)
	{
		const ThDavItem *item = &document->items[i];

		if (is_usable(item) && is_writable(item))
			appendStringInfo(&out, "%s\"%.30s\"", n++ > 0 ? ", " : "",
							 item->display_name == NULL
								 ? item->href
								 : th_caldav_text(item->display_name));
	}
	return out.data;
}

/*
 * The wanted one; or the only one that can be written; or the one with a
 * default's name. Visits are not put into somebody's other calendar by guess.
 */
static void
choose(const ThCalendarCall *call, State *state, const ThDavAnswer *document,
	   ThCalendarAnswer *out)
{
	const char *wanted = call->account->calendar_id;
	const ThDavItem *only = NULL;
	const ThDavItem *usual = NULL;
	int n = 0;

	for (int i = 0; i < document->n_items; i++)
	{
		const ThDavItem *item = &document->items[i];

		if (!is_usable(item) || th_dav_resolve(state->url, item->href) == NULL)
			continue;
		if (wanted != NULL)
		{
			if (!is_wanted(state, wanted, item))
				continue;
			take_calendar(state, item, out);
			return;
		}
		if (!is_writable(item))
			continue;
		n++;
		only = item;
		if (usual == NULL && is_default(state, item))
			usual = item;
	}
	if (n == 1)
		take_calendar(state, only, out);
	else if (usual != NULL)
		take_calendar(state, usual, out);
	else if (wanted != NULL)
		give_up("there is no calendar with this calendar_id", out);
	else if (n == 0)
		give_up("there is no calendar that can be written", out);
	else
		give_up(
			psprintf(
				"there are several calendars, give the calendar_id of one: %s",
				list_names(document)),
			out);
}

/* ---- answers ---- */

/* The collection or principal itself was asked. */
static void
read_self(const ThCalendarCall *call, State *state, const ThDavAnswer *document,
		  ThCalendarAnswer *out)
{
	const ThDavItem *item = document->items;

	if (document->n_items == 0)
	{
		try_next(call, state, out);
		return;
	}
	take_address(state, item);
	if (is_usable(item))
		take_calendar(state, item, out);
	else if (item->home != NULL)
		follow(call, state, STEP_HOME, item->home, out);
	else if (item->principal != NULL && state->step != STEP_PRINCIPAL)
		follow(call, state, STEP_PRINCIPAL, item->principal, out);
	else
		try_next(call, state, out);
}

static bool
is_redirect(const ThHttpResult *result)
{
	return result->end == TH_HTTP_ANSWERED && result->location != NULL &&
		   (result->status == 301 || result->status == 302 ||
			result->status == 307 || result->status == 308);
}

void
th_caldav_read_discover(const ThCalendarCall *call, const ThHttpResult *result,
						TimestampTz now, ThCalendarAnswer *out)
{
	ThDavAnswer document;
	State state;
	bool is_good = th_caldav_read(call, result, now, &document, out);

	read_state(call, &state);
	if (is_redirect(result))
		follow(call, &state, state.step, result->location, out);
	else if (is_good && result->status == 207 && document.items != NULL)
	{
		if (state.step == STEP_HOME)
			choose(call, &state, &document, out);
		else
			read_self(call, &state, &document, out);
	}
	else if (is_good || out->verdict == TH_CALENDAR_PERMANENT ||
			 out->verdict == TH_CALENDAR_GONE ||
			 out->verdict == TH_CALENDAR_CHANGED)
	{
		if (result->end == TH_HTTP_ANSWERED)
			try_next(call, &state, out);
	}
}
