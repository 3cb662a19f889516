/*
 * feed.c
 *	  A feed as iCalendar text: which facts of a visit it shows, and how.
 *
 * Its version is what its settings are, and which versions of rows it shows:
 * no trigger has to have seen a change for it to be another.
 */
#include "postgres.h"

#include <string.h>

#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#include "base/th_guc.h"
#include "crypto/token.h"
#include "flow/feed.h"
#include "ical/ical_event.h"
#include "ical/ical_uid.h"
#include "store/installation.h"
#include "store/meeting.h"

/* How long a cancelled visit stays, for programs that look once a week. */
#define CANCELLED_DAYS 30

#define REFRESH_SECONDS (30 * SECS_PER_MINUTE)

typedef struct Page
{
	const ThFeed *feed;
	uint32 facts;
	ThIcalOrigin origin;
	ThIcalWriter *writer;
	ThIcalUse *zone;
} Page;

/* "text" in UTF-8. Memory: current context, or "text" itself. */
static const char *
as_utf8(const char *text)
{
	if (text == NULL)
		return NULL;
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
}

static bool
is_cancelled(const ThFeedVisit *visit)
{
	return visit->state == TH_FEED_CANCELLED || visit->state == TH_FEED_NO_SHOW;
}

static const char *
calendar_status(const ThFeedVisit *visit)
{
	if (is_cancelled(visit))
		return "CANCELLED";
	return visit->state == TH_FEED_PENDING ? "TENTATIVE" : "CONFIRMED";
}

/* What a visit is called when its own title stays here. */
static const char *
common_title(ThFeedType type)
{
	if (type == TH_FEED_VIDEO)
		return "Telehealth visit";
	return type == TH_FEED_PHONE ? "Phone visit" : "Visit";
}

/* Programs that ignore STATUS show at least the word. */
static const char *
prefix_of(const ThFeedVisit *visit)
{
	if (!is_cancelled(visit))
		return "";
	return visit->state == TH_FEED_NO_SHOW ? "No-show: " : "Cancelled: ";
}

static const char *
summary_of(const Page *page, const ThFeedVisit *visit)
{
	const char *title = common_title(visit->type);
	const char *name = visit->patient_name;

	if ((page->facts & TH_FACT_TITLE) != 0 && visit->title != NULL)
		title = visit->title;
	if (name == NULL && !is_cancelled(visit))
		return as_utf8(title);
	return as_utf8(psprintf("%s%s%s%s", prefix_of(visit), title,
							name == NULL ? "" : ": ",
							name == NULL ? "" : name));
}

static void
add_details(const Page *page, const ThFeedVisit *visit, ThIcalEvent *event)
{
	event->summary = summary_of(page, visit);
	event->has_created = true;
	event->created = visit->created_at;
	if ((page->facts & TH_FACT_REASON) != 0)
		event->description = as_utf8(visit->reason);
	if ((page->facts & TH_FACT_LOCATION) != 0)
		event->location = as_utf8(visit->location);
	if ((page->facts & TH_FACT_JOIN_URL) != 0 && !is_cancelled(visit) &&
		page->feed->include_meeting_links)
		event->url = as_utf8(visit->join_url);
	event->is_meeting = event->url != NULL;
	event->class_name = "PRIVATE";
}

static void
add_visit(const ThFeedVisit *visit, void *arg)
{
	Page *page = arg;
	ThIcalEvent event = { 0 };
	char uid[TH_ICAL_UID_SIZE];

	(void) th_ical_uid_write(uid, &page->origin, visit->id);
	event.uid = uid;
	event.stamp = visit->updated_at;
	event.has_last_modified = true;
	event.last_modified = visit->updated_at;
	event.sequence = visit->sequence;
	event.starts_at = visit->starts_at;
	event.ends_at = visit->ends_at;
	event.zone = page->zone;
	event.status = calendar_status(visit);
	event.is_transparent = is_cancelled(visit);
	if (page->feed->is_shared)
		event.summary = "Busy";
	else
		add_details(page, visit, &event);
	th_ical_add_event(page->writer, &event);
}

void
th_feed_look(const ThFeed *feed, TimestampTz now, ThFeedView *out)
{
	TimestampTz span = (TimestampTz) feed->sync_range_days * USECS_PER_DAY;

	out->feed = *feed;
	out->now = now;
	out->range.from = now - span;
	out->range.to = now + span;
	out->range.cancelled_after = now - CANCELLED_DAYS * USECS_PER_DAY;
	out->facts = th_policy_facts(feed->clinic_id, "feed");
	out->feed.include_patient_names = feed->include_patient_names &&
									  !feed->is_shared &&
									  (out->facts & TH_FACT_PATIENT_NAME) != 0;
}

void
th_feed_write(const ThFeedView *view, ThIcalWriter *writer, ThIcalHead *head)
{
	Page page = { .feed = &view->feed, .facts = view->facts, .writer = writer };
	ThInstallation installation;

	memset(head, 0, sizeof(*head));
	head->method = "PUBLISH";
	head->name = as_utf8(view->feed.name);
	head->refresh_seconds = REFRESH_SECONDS;
	th_installation_read(&installation);
	page.origin.installation = installation.tag;
	page.origin.plain_until = installation.plain_until;
	page.origin.clinic_id = view->feed.clinic_id;
	th_ical_begin(writer);
	if (strcmp(view->feed.timezone, "UTC") != 0)
		page.zone = th_ical_zone(writer, view->feed.timezone);
	th_feed_visits(&view->feed, &view->range, add_visit, &page);
}

/* ---- its version ---- */

/* Rows that are digested at once. */
#define ROWS_AT_ONCE 256

typedef struct Sum
{
	const ThFeedView *view;
	TimestampTz until;
	unsigned char digest[TH_SHA256_BYTES]; /* of what came so far */
	int n;
	struct
	{
		unsigned char before[TH_SHA256_BYTES];
		ThRowVersion rows[2 * ROWS_AT_ONCE];
	} block;
} Sum;

StaticAssertDecl((int) TH_FEED_VERSION_BYTES == (int) TH_SHA256_BYTES,
				 "a version is a digest");

static void
digest_block(Sum *sum)
{
	memcpy(sum->block.before, sum->digest, TH_SHA256_BYTES);
	th_sha256(&sum->block,
			  TH_SHA256_BYTES + sizeof(ThRowVersion) * 2 * (size_t) sum->n,
			  sum->digest);
	sum->n = 0;
}

static void
add_version(const ThFeedVersion *version, void *arg)
{
	Sum *sum = arg;
	TimestampTz now = sum->view->now;

	sum->block.rows[2 * sum->n] = version->visit;
	sum->block.rows[2 * sum->n + 1] = version->patient;
	if (++sum->n == ROWS_AT_ONCE)
		digest_block(sum);
	/* it goes when the range has passed it */
	sum->until = Min(sum->until,
					 version->ends_at + (now - sum->view->range.from));
	if (version->cancelled_at != 0)
		sum->until = Min(sum->until, version->cancelled_at +
										 CANCELLED_DAYS * USECS_PER_DAY);
}

/* All of the view but its range, as text. */
static void
digest_settings(Sum *sum)
{
	const ThFeed *feed = &sum->view->feed;
	ThInstallation installation;
	char *text;

	th_installation_read(&installation);
	text = psprintf(INT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT
								 " %d %d %d %d %u %s " INT64_FORMAT
								 " %zu %s %s",
					feed->clinic_id, feed->id, feed->provider_id,
					feed->is_shared, feed->include_patient_names,
					feed->include_meeting_links, feed->sync_range_days,
					sum->view->facts, installation.tag,
					installation.plain_until, strlen(feed->name), feed->name,
					feed->timezone);

	th_sha256(text, strlen(text), sum->digest);
	pfree(text);
}

void
th_feed_version(const ThFeedView *view,
				unsigned char version[TH_FEED_VERSION_BYTES],
				TimestampTz *until)
{
	Sum *sum = palloc_object(Sum);
	TimestampTz next;

	sum->view = view;
	sum->until = DT_NOEND;
	sum->n = 0;
	digest_settings(sum);
	next = th_feed_versions(&view->feed, &view->range, add_version, sum);
	digest_block(sum);
	if (next != 0)
		sum->until = Min(sum->until, next - (view->range.to - view->now));
	memcpy(version, sum->digest, TH_FEED_VERSION_BYTES);
	*until = sum->until;
	pfree(sum);
}

/* ---- its address ---- */

char *
th_feed_link(const char *token, const char *scheme)
{
	const char *base = th_guc_public_url;
	const char *rest;
	size_t length;

	if (base == NULL || *base == '\0')
		return NULL;
	rest = strstr(base, "://");
	length = strlen(base);
	while (length > 0 && base[length - 1] == '/')
		length--;
	if (scheme == NULL)
		return psprintf("%.*s" TH_FEED_ROUTE "%s.ics", (int) length, base,
						token);
	length -= rest - base;
	return psprintf("%s%.*s" TH_FEED_ROUTE "%s.ics", scheme, (int) length, rest,
					token);
}
