/*
 * caldav_list.c
 *	  A pull of a CalDAV calendar: which resources changed, then what is in
 *	  them.
 *
 * A full pass asks the collection for its sync-token and ctag, then for the
 * names of all that touches the window (in pieces, if the answer is too
 * large), and fetches these. That nothing does is not believed at once: then
 * the collection lists all that it has, itself first (a server that is being
 * mended says nothing, too). Later passes ask what changed since the token
 * (RFC 6578); of a server without tokens, whether the ctag is another, and
 * then which etags are.
 */
#include "postgres.h"

#include <string.h>

#include "utils/timestamp.h"

#include "base/th_instant.h"
#include "calendar/caldav.h"
#include "calendar/caldav_pull.h"
#include "calendar/dav_href.h"

/* How many changes are asked for at once; servers may give more, or fewer. */
#define SYNC_LIMIT 500

/* A piece of the window gets no smaller. */
#define SMALLEST_PIECE USECS_PER_DAY

/* More names than that are not remembered in a cursor. */
#define MAX_REMEMBERED 20000

/* More are not fetched to see whether one of them is in the window. */
#define MOST_MEMBERS 1000

/* Answers to a pull that never ends. */
#define MAX_ROUNDS 10000

/* ---- requests ---- */

#define XML_HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
#define SPACES "xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\""

static const char look_xml[] = XML_HEAD
	"<D:propfind xmlns:D=\"DAV:\" "
	"xmlns:S=\"http://calendarserver.org/ns/\"><D:prop>"
	"<D:resourcetype/><D:sync-token/><S:getctag/>"
	"<D:current-user-principal/></D:prop></D:propfind>";

static const char members_xml[] = XML_HEAD
	"<D:propfind xmlns:D=\"DAV:\"><D:prop>"
	"<D:resourcetype/><D:getetag/></D:prop></D:propfind>";

static const char who_xml[] = XML_HEAD "<D:propfind " SPACES
									   "><D:prop><C:calendar-user-address-set/>"
									   "</D:prop></D:propfind>";

/* "20260106T093000Z" */
static void
append_time(StringInfo out, TimestampTz at)
{
	for (const char *p = th_instant_text(at); *p != '\0'; p++)
	{
		if (*p != '-' && *p != ':')
			appendStringInfoChar(out, *p);
	}
}

static char *
query_xml(const ThCaldavPull *pull)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out,
						   XML_HEAD "<C:calendar-query " SPACES ">"
									"<D:prop><D:getetag/></D:prop><C:filter>"
									"<C:comp-filter name=\"VCALENDAR\">"
									"<C:comp-filter name=\"VEVENT\">"
									"<C:time-range start=\"");
	append_time(&out, pull->from);
	appendStringInfoString(&out, "\" end=\"");
	append_time(&out, pull->until);
	appendStringInfoString(&out, "\"/></C:comp-filter></C:comp-filter>"
								 "</C:filter></C:calendar-query>");
	return out.data;
}

static char *
sync_xml(const ThCaldavPull *pull)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, XML_HEAD "<D:sync-collection " SPACES ">"
										  "<D:sync-token>");
	th_caldav_append(&out, pull->cursor + strlen("sync "));
	appendStringInfo(&out,
					 "</D:sync-token><D:sync-level>1</D:sync-level>"
					 "<D:limit><D:nresults>%d</D:nresults></D:limit>"
					 "<D:prop><D:getetag/></D:prop></D:sync-collection>",
					 SYNC_LIMIT);
	return out.data;
}

static char *
fetch_xml(const ThCaldavPull *pull, const char *folder)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out,
						   XML_HEAD "<C:calendar-multiget " SPACES ">"
									"<D:prop><D:getetag/><C:calendar-data/>"
									"</D:prop>");
	for (int i = 0; i < Min(pull->batch, pull->n_resources); i++)
	{
		appendStringInfoString(&out, "<D:href>");
		th_caldav_append(&out, folder);
		th_caldav_append(&out, pull->resources[i].name);
		appendStringInfoString(&out, "</D:href>");
	}
	appendStringInfoString(&out, "</C:calendar-multiget>");
	return out.data;
}

void
th_caldav_build_list(const ThCalendarCall *call, ThHttpRequest *out)
{
	char *url = th_dav_collection(call->account->calendar_id);
	ThCaldavPull pull;

	th_caldav_pull_read(call, &pull);
	switch (pull.step)
	{
		case TH_CALDAV_LOOK:
			th_caldav_ask(call, TH_HTTP_PROPFIND, url, "0", look_xml, out);
			break;
		case TH_CALDAV_WHO:
			th_caldav_ask(call, TH_HTTP_PROPFIND, pull.resources[0].name, "0",
						  who_xml, out);
			break;
		case TH_CALDAV_QUERY:
			th_caldav_ask(call, TH_HTTP_REPORT, url, "1", query_xml(&pull),
						  out);
			break;
		case TH_CALDAV_MEMBERS:
			th_caldav_ask(call, TH_HTTP_PROPFIND, url, "1", members_xml, out);
			break;
		case TH_CALDAV_SYNC:
			th_caldav_ask(call, TH_HTTP_REPORT, url, "0", sync_xml(&pull), out);
			break;
		default:
			th_caldav_ask(call, TH_HTTP_REPORT, url, "1",
						  fetch_xml(&pull, th_dav_folder(url)), out);
			break;
	}
}

/* ---- answers ---- */

/* The end of an answer that is not a failure: the next call, or the last. */
static void
finish(ThCaldavPull *pull, ThCaldavEvents *events, ThCalendarAnswer *out)
{
	out->verdict = TH_CALENDAR_OK;
	out->events = events->list;
	out->n_events = events->n;
	if (pull->step == TH_CALDAV_FETCH && pull->n_resources == 0)
	{
		out->cursor = th_caldav_pull_cursor(pull);
		out->is_complete = pull->is_complete;
		return;
	}
	if (++pull->rounds > MAX_ROUNDS)
	{
		th_caldav_refuse(out);
		return;
	}
	out->next = th_caldav_pull_write(pull);
}

/* ---- without tokens: ctags and etags ---- */

/*
 * All names are known: those whose etag is as it was need not be fetched, and
 * what has no name any more is gone. Both lists are sorted.
 */
static void
compare_etags(const ThCaldavPull *before, ThCaldavPull *pull,
			  ThCaldavEvents *events)
{
	int kept = 0;
	int place = 0;

	for (int i = 0; i < pull->n_resources; i++)
	{
		const ThCaldavResource *now = &pull->resources[i];
		const ThCaldavResource *then = NULL;

		for (; place < before->n_resources; place++)
		{
			int order = strcmp(before->resources[place].name, now->name);

			if (order >= 0)
			{
				if (order == 0)
					then = &before->resources[place++];
				break;
			}
			th_caldav_add(events, before->resources[place].name)->is_deleted =
				true;
		}
		if (then == NULL || then->digest != now->digest || now->digest == 0)
			pull->resources[kept++] = *now;
	}
	for (; place < before->n_resources; place++)
		th_caldav_add(events, before->resources[place].name)->is_deleted = true;
	pull->n_resources = kept;
}

/* The listing is whole: what of it is to be fetched, and the cursor to be. */
static void
end_query(ThCaldavPull *pull, ThCaldavEvents *events)
{
	static const char prefix[] = "ctag ";
	ThCaldavPull before;

	pull->step = TH_CALDAV_FETCH;
	th_caldav_pull_sort(pull);
	if (pull->cursor == NULL ||
		strncmp(pull->cursor, prefix, strlen(prefix)) != 0)
		return;
	pull->cursor = pull->n_resources > MAX_REMEMBERED
					   ? NULL
					   : th_caldav_cursor_write(pull,
												pull->cursor + strlen(prefix));
	if (!th_caldav_cursor_read(pull->before, &before))
		return;
	pull->is_complete = false;
	compare_etags(&before, pull, events);
}

/* True if the collection's ctag is what the cursor says. */
static bool
is_same_ctag(const char *cursor, const char *ctag)
{
	size_t length = strlen(ctag);

	return cursor != NULL && strncmp(cursor, "ctag ", 5) == 0 &&
		   strncmp(cursor + 5, ctag, length) == 0 && cursor[5 + length] == ' ';
}

/* A tag or token that fits into a line of words. */
static bool
is_word(const char *text)
{
	return text != NULL && text[0] != '\0' && strlen(text) <= 2048 &&
		   strpbrk(text, " \t\r\n") == NULL;
}

/* ---- the steps ---- */

/* The principal knows its addresses, by which its invitations are known. */
static void
ask_who(const ThCalendarCall *call, const char *principal, ThCaldavPull *pull)
{
	const char *collection = call->account->calendar_id;
	char *url = principal == NULL ? NULL
								  : th_dav_resolve(collection, principal);

	if (url == NULL || !th_dav_may_follow(collection, url))
		return;
	pull->step = TH_CALDAV_WHO;
	th_caldav_pull_add(pull, url, 0);
}

static void
read_look(const ThCalendarCall *call, const ThDavAnswer *document,
		  ThCaldavPull *pull, ThCalendarAnswer *out)
{
	const ThDavItem *item = document->items;
	ThCaldavEvents events = { 0 };

	if (document->n_items == 0)
	{
		th_caldav_refuse(out);
		return;
	}
	pull->step = TH_CALDAV_QUERY;
	pull->is_complete = true;
	if (is_word(item->sync_token))
		pull->cursor = psprintf("sync %s", item->sync_token);
	else if (is_word(item->ctag))
	{
		if (is_same_ctag(pull->before, item->ctag))
		{
			pull->step = TH_CALDAV_FETCH;
			pull->is_complete = false;
			pull->cursor = pstrdup(pull->before);
		}
		else
			pull->cursor = psprintf("ctag %s", item->ctag);
	}
	else
		pull->cursor = "ctag -"; /* never the same, but etags are compared */
	if (pull->before == NULL)
		ask_who(call, item->principal, pull);
	finish(pull, &events, out);
}

/* Nobody needs to tell: then all invitations are taken for accepted. */
static void
read_who(const ThDavAnswer *document, ThCaldavPull *pull, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };

	if (document->n_items > 0 && is_word(document->items[0].addresses))
		pull->who = document->items[0].addresses;
	pull->n_resources = 0;
	pull->step = TH_CALDAV_QUERY;
	memset(out, 0, sizeof(*out));
	finish(pull, &events, out);
}

/*
 * Adds what a listing names; what is gone too, if "events" is NULL: it may be
 * back in the next part of the listing, and fetching tells.
 */
static void
take_names(const ThCalendarCall *call, const ThDavAnswer *document,
		   ThCaldavPull *pull, ThCaldavEvents *events)
{
	const char *collection = call->account->calendar_id;
	char *folder = th_dav_folder(collection);

	for (int i = 0; i < document->n_items; i++)
	{
		const ThDavItem *item = &document->items[i];
		char *name = th_dav_member(collection, folder, item->href);

		if (name == NULL || item->is_collection)
			continue;
		if (item->status == 0 || item->status < 300)
			th_caldav_pull_add(pull, name, th_caldav_digest(name, item->etag));
		else if (item->status != 404 && item->status != 410)
			continue;
		else if (events == NULL)
			th_caldav_pull_add(pull, name, 0);
		else
			th_caldav_add(events, name)->is_deleted = true;
	}
}

static void
read_query(const ThCalendarCall *call, const ThDavAnswer *document,
		   ThCaldavPull *pull, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };

	take_names(call, document, pull, NULL);
	if (pull->until < call->window_end)
	{
		TimestampTz length = pull->until - pull->from;

		pull->from = pull->until;
		pull->until = Min(pull->from + length, call->window_end);
	}
	else if (pull->n_resources == 0)
		pull->step = TH_CALDAV_MEMBERS;
	else
		end_query(pull, &events);
	finish(pull, &events, out);
}

/* What is outside of the window is fetched for nothing. */
static void
read_members(const ThCalendarCall *call, const ThDavAnswer *document,
			 ThCaldavPull *pull, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };

	if (!th_caldav_names_itself(call, document))
	{
		th_caldav_refuse(out);
		return;
	}
	if (document->n_items <= MOST_MEMBERS)
		take_names(call, document, pull, NULL);
	end_query(pull, &events);
	finish(pull, &events, out);
}

/* True if the server did not tell all (RFC 6578, 3.6). */
static bool
is_cut(const ThCalendarCall *call, const ThDavAnswer *document)
{
	for (int i = 0; i < document->n_items; i++)
	{
		if (document->items[i].status == 507 &&
			th_dav_is_same(call->account->calendar_id, document->items[i].href))
			return true;
	}
	return false;
}

static void
read_sync(const ThCalendarCall *call, const ThDavAnswer *document,
		  ThCaldavPull *pull, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };
	const char *before = pull->cursor + strlen("sync ");
	bool is_part = is_cut(call, document);

	if (!is_word(document->sync_token))
	{
		out->verdict = TH_CALENDAR_RESET;
		out->message = pstrdup("the answer has no token");
		return;
	}
	take_names(call, document, pull,
			   is_part || pull->rounds > 0 ? NULL : &events);
	/* A cut answer that gets nowhere would be asked for forever. */
	if (!is_part || strcmp(before, document->sync_token) == 0)
	{
		pull->step = TH_CALDAV_FETCH;
		th_caldav_pull_sort(pull);
	}
	pull->cursor = psprintf("sync %s", document->sync_token);
	finish(pull, &events, out);
}

static void
expand_item(const ThCalendarCall *call, const ThDavItem *item, const char *name,
			ThCaldavEvents *events)
{
	if (item->status == 404 || item->status == 410)
		th_caldav_add(events, name)->is_deleted = true;
	else if (item->data != NULL)
		th_caldav_expand(call, name, item->etag, item->data, events);
	else
		th_caldav_add(events, name)->problem = "the calendar does not give it";
}

static void
read_fetch(const ThCalendarCall *call, const ThDavAnswer *document,
		   ThCaldavPull *pull, ThCalendarAnswer *out)
{
	const char *collection = call->account->calendar_id;
	char *folder = th_dav_folder(collection);
	int n = Min(pull->batch, pull->n_resources);
	bool *is_answered = palloc0((n + 1) * sizeof(bool));
	ThCaldavEvents events = { .who = pull->who };

	for (int i = 0; i < document->n_items; i++)
	{
		ThCaldavResource wanted = {
			.name = th_dav_member(collection, folder, document->items[i].href)
		};
		ThCaldavResource *found = NULL;

		if (wanted.name != NULL)
			found = bsearch(&wanted, pull->resources, n,
							sizeof(ThCaldavResource),
							th_caldav_resource_compare);
		if (found == NULL || is_answered[found - pull->resources])
			continue;
		is_answered[found - pull->resources] = true;
		expand_item(call, &document->items[i], found->name, &events);
	}
	for (int i = 0; i < n; i++)
	{
		if (!is_answered[i])
			th_caldav_add(&events, pull->resources[i].name)->problem =
				"the calendar does not give it";
	}
	pull->resources += n;
	pull->n_resources -= n;
	finish(pull, &events, out);
}

/* The answer would be too large: ask for less, or do without. */
static void
ask_less(ThCaldavPull *pull, ThCalendarAnswer *out)
{
	ThCaldavEvents events = { 0 };

	if (pull->step == TH_CALDAV_QUERY &&
		pull->until - pull->from > SMALLEST_PIECE)
		pull->until = pull->from + (pull->until - pull->from) / 2;
	else if (pull->step == TH_CALDAV_FETCH && pull->batch > 1)
		pull->batch /= 2;
	else if (pull->step == TH_CALDAV_FETCH && pull->n_resources > 0)
	{
		th_caldav_add(&events, pull->resources[0].name)->problem =
			"the event is too large";
		pull->resources++;
		pull->n_resources--;
	}
	else if (pull->step == TH_CALDAV_SYNC)
	{
		out->verdict = TH_CALENDAR_RESET;
		return;
	}
	else
		return;
	memset(out, 0, sizeof(*out));
	finish(pull, &events, out);
}

/* Servers differ in how they say that a token is no good. */
static void
refine_failure(const ThCaldavPull *pull, const ThHttpResult *result,
			   ThCalendarAnswer *out)
{
	long status = result->status;

	if (result->end == TH_HTTP_ANSWERED && pull->step == TH_CALDAV_SYNC &&
		status >= 400 && status < 500 && status != 401 && status != 404 &&
		status != 408 && status != 423 && status != 425 && status != 429)
		out->verdict = TH_CALENDAR_RESET;
	else if (out->verdict == TH_CALENDAR_GONE ||
			 out->verdict == TH_CALENDAR_CHANGED)
		out->verdict = TH_CALENDAR_PERMANENT;
}

/* Asking again would bring nothing else. */
static bool
is_refusal(const ThHttpResult *result)
{
	return result->end == TH_HTTP_REFUSED || result->end == TH_HTTP_TOO_LARGE ||
		   (result->end == TH_HTTP_ANSWERED && result->status < 500 &&
			result->status != 408 && result->status != 429);
}

void
th_caldav_read_list(const ThCalendarCall *call, const ThHttpResult *result,
					TimestampTz now, ThCalendarAnswer *out)
{
	ThDavAnswer document;
	ThCaldavPull pull;

	th_caldav_pull_read(call, &pull);
	if (!th_caldav_read(call, result, now, &document, out))
	{
		refine_failure(&pull, result, out);
		if (pull.step == TH_CALDAV_WHO && is_refusal(result))
			read_who(&document, &pull, out);
		else if (result->end == TH_HTTP_TOO_LARGE)
			ask_less(&pull, out);
		return;
	}
	if (result->status != 207 || document.items == NULL)
	{
		th_caldav_refuse(out);
		return;
	}
	switch (pull.step)
	{
		case TH_CALDAV_LOOK:
			read_look(call, &document, &pull, out);
			break;
		case TH_CALDAV_WHO:
			read_who(&document, &pull, out);
			break;
		case TH_CALDAV_QUERY:
			read_query(call, &document, &pull, out);
			break;
		case TH_CALDAV_MEMBERS:
			read_members(call, &document, &pull, out);
			break;
		case TH_CALDAV_SYNC:
			read_sync(call, &document, &pull, out);
			break;
		default:
			read_fetch(call, &document, &pull, out);
			break;
	}
}
