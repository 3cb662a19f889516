/*
 * feed.c
 *	  Feeds by HTTP: who asks again is told that nothing has changed, without
 *	  the feed being written.
 *
 * What was written last is kept, and how many transactions had ended before
 * its tables were read. While that number stays, and the clock has not come
 * to where the feed's range lets a visit in or out, a new look would see the
 * same: the answer is from memory. Otherwise the versions of the feed's rows
 * are read; it is written again only where these are others.
 */
#include "postgres.h"

#include <string.h>

#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "base/th_debug.h"
#include "crypto/token.h"
#include "gateway/feed.h"
#include "gateway/feed_cache.h"
#include "gateway/metrics.h"
#include "gateway/request.h"
#include "ical/qr.h"
#include "worker/tally.h"
#include "worker/transaction.h"

#define TYPE "text/calendar; charset=utf-8"
#define QR_TYPE "image/svg+xml"
#define QR_SUFFIX "/qr.svg"
#define ICS_SUFFIX ".ics"

/* A feed that takes longer is refused, and for so long not tried again. */
#define LOOK_MS 1000
#define REST_S 60
#define REST_TEXT "60"

#define SLOW_FEEDS 16

typedef struct Asked
{
	const char *token; /* not terminated */
	size_t length;
	bool is_code; /* a QR code of its address */
	ThFeedForm form;
	unsigned char hash[TH_FEED_HASH_BYTES];
} Asked;

/* Before the snapshot of th_feed_answer() was taken. */
static uint64 completions = 0;

/* Feeds that took too long. */
static struct
{
	int64 clinic_id;
	int64 id;
	int64 until_ms;
} slow[SLOW_FEEDS];

static bool
cut_suffix(Asked *asked, const char *suffix)
{
	size_t length = strlen(suffix);

	if (asked->length <= length ||
		memcmp(asked->token + asked->length - length, suffix, length) != 0)
		return false;
	asked->length -= length;
	return true;
}

/* Whatever stands there is looked for in one way. */
static void
read_path(const ThHttpRequest *request, Asked *asked)
{
	asked->token = request->path + strlen(request->route->path);
	asked->length = strlen(asked->token);
	asked->is_code = cut_suffix(asked, QR_SUFFIX);
	if (!asked->is_code)
		(void) cut_suffix(asked, ICS_SUFFIX);
	th_sha256(asked->token, asked->length, asked->hash);
	asked->form = th_negotiate_takes_gzip(
					  th_request_header(request, "accept-encoding"))
					  ? TH_FEED_GZIP
					  : TH_FEED_PLAIN;
}

/* ---- answers ---- */

static void
add_validators(ThHttpRequest *request, const ThFeedText *text, const char *date)
{
	th_request_add_reply_header(request, "ETag", text->etag);
	if (date[0] != '\0')
		th_request_add_reply_header(request, "Last-Modified", date);
	th_request_add_reply_header(request, "Cache-Control", "private, no-cache");
	th_request_add_reply_header(request, "Vary", "Accept-Encoding");
}

/*
 * The date of a version is when this process first saw it, told when that
 * second is over: then no other version can have the same. It counts as a
 * validator only where it comes back as it was, since other processes have
 * other dates.
 */
static const char *
date_of(const ThFeedEntry *entry)
{
	char *date = palloc0(TH_HTTP_DATE_BYTES);
	TimestampTz second = entry->first_seen - entry->first_seen % USECS_PER_SEC;

	if (entry->looked_at >= second + USECS_PER_SEC)
		th_negotiate_date(second, date);
	return date;
}

static bool
has_it(const ThHttpRequest *request, const char *etag, const char *date)
{
	const char *tags = th_request_header(request, "if-none-match");
	const char *since = th_request_header(request, "if-modified-since");

	if (tags != NULL)
		return th_negotiate_has_etag(tags, etag);
	return since != NULL && date[0] != '\0' && strcmp(since, date) == 0;
}

/* "bytes" may be NULL; false if they are needed then. */
static bool
answer(ThHttpRequest *request, const ThFeedEntry *entry, ThFeedForm form,
	   const char *bytes, size_t length)
{
	const ThFeedText *text = &entry->texts[form];
	const char *date = date_of(entry);

	if (has_it(request, text->etag, date))
		th_request_answer(request, 304, NULL, NULL, 0);
	else if (bytes == NULL)
		return false;
	else
	{
		th_request_answer(request, 200, TYPE, bytes, length);
		if (form == TH_FEED_GZIP)
			th_request_add_reply_header(request, "Content-Encoding", "gzip");
	}
	add_validators(request, text, date);
	th_tally_add(entry->clinic_id, entry->feed_id, entry->looked_at);
	return true;
}

bool
th_feed_answer_at_once(ThHttpRequest *request)
{
	TimestampTz now = th_clock_now();
	ThFeedEntry *entry;
	Asked asked;

	read_path(request, &asked);
	completions = th_transaction_completions();
	if (asked.is_code)
		return false;
	entry = th_feed_cache_find(asked.hash);
	if (entry == NULL || entry->completions != completions ||
		now < entry->looked_at || now >= entry->until ||
		entry->texts[asked.form].etag[0] == '\0')
		return false;
	entry->looked_at = now;
	return answer(request, entry, asked.form, entry->texts[asked.form].bytes,
				  entry->texts[asked.form].length);
}

/* ---- from the tables ---- */

static void
write_feed(const ThFeedView *view, StringInfo out)
{
	ThIcalWriter writer;
	ThIcalHead head;

	th_metrics_note(TH_COUNT_FEEDS_WRITTEN, 1);
	TH_WAITPOINT("gateway_feed");
	th_feed_write(view, &writer, &head);
	initStringInfo(out);
	th_ical_finish(&writer, &head, out);
}

static void
keep(ThFeedEntry *entry, ThFeedForm form, const StringInfoData *text)
{
	if (entry->texts[form].etag[0] == '\0')
		th_negotiate_etag(text->data, (size_t) text->len,
						  entry->texts[form].etag);
	th_feed_cache_keep(entry, form, text->data, (size_t) text->len);
}

/* The entry as of the view; its texts are there only if it is the same version. */
static ThFeedEntry *
look_again(const unsigned char *hash, const ThFeedView *view)
{
	unsigned char version[TH_FEED_VERSION_BYTES];
	TimestampTz until;
	ThFeedEntry *entry;

	th_metrics_note(TH_COUNT_FEEDS_CHECKED, 1);
	th_feed_version(view, version, &until);
	entry = th_feed_cache_find(hash);
	if (entry == NULL ||
		memcmp(entry->version, version, sizeof(version)) != 0 ||
		view->now < entry->first_seen)
	{
		entry = th_feed_cache_renew(hash);
		memcpy(entry->version, version, sizeof(version));
		entry->first_seen = view->now;
	}
	entry->clinic_id = view->feed.clinic_id;
	entry->feed_id = view->feed.id;
	entry->completions = completions;
	entry->looked_at = view->now;
	entry->until = until;
	return entry;
}

static void
answer_feed(ThHttpRequest *request, const Asked *asked, const ThFeed *feed)
{
	StringInfoData plain = { 0 };
	StringInfoData packed = { 0 };
	StringInfoData *wanted;
	ThFeedText *text;
	ThFeedEntry *entry;
	ThFeedView view;

	th_feed_look(feed, th_clock_now(), &view);
	entry = look_again(asked->hash, &view);
	text = &entry->texts[asked->form];
	if (text->etag[0] != '\0' &&
		answer(request, entry, asked->form, text->bytes, text->length))
		return;
	wanted = asked->form == TH_FEED_GZIP ? &packed : &plain;
	if (entry->texts[TH_FEED_PLAIN].bytes != NULL)
		appendBinaryStringInfo((initStringInfo(&plain), &plain),
							   entry->texts[TH_FEED_PLAIN].bytes,
							   (int) entry->texts[TH_FEED_PLAIN].length);
	else
		write_feed(&view, &plain);
	keep(entry, TH_FEED_PLAIN, &plain);
	if (asked->form == TH_FEED_GZIP)
	{
		th_negotiate_gzip(plain.data, (size_t) plain.len, &packed);
		keep(entry, TH_FEED_GZIP, &packed);
	}
	(void) answer(request, entry, asked->form, wanted->data,
				  (size_t) wanted->len);
}

/* Of its address as the settings know it; without these there is none. */
static void
answer_code(ThHttpRequest *request, const Asked *asked)
{
	char *token = pnstrdup(asked->token, asked->length);
	char *link = th_feed_link(token, NULL);
	StringInfoData svg;

	initStringInfo(&svg);
	if (link == NULL || !th_qr_write_svg(link, strlen(link), &svg))
	{
		th_request_refuse(request, 404);
		return;
	}
	th_request_answer(request, 200, QR_TYPE, svg.data, (size_t) svg.len);
	th_request_add_reply_header(request, "Cache-Control", "private, no-store");
	th_request_add_reply_header(request, "Content-Security-Policy",
								"default-src 'none'");
	th_request_add_reply_header(request, "Referrer-Policy", "no-referrer");
}

/* ---- feeds that take too long ---- */

static bool
is_slow(const ThFeed *feed)
{
	int64 now = th_clock_monotonic_ms();

	for (int i = 0; i < SLOW_FEEDS; i++)
		if (slow[i].until_ms > now && slow[i].clinic_id == feed->clinic_id &&
			slow[i].id == feed->id)
			return true;
	return false;
}

static void
note_slow(const ThFeed *feed)
{
	int oldest = 0;

	for (int i = 1; i < SLOW_FEEDS; i++)
		if (slow[i].until_ms < slow[oldest].until_ms)
			oldest = i;
	slow[oldest].clinic_id = feed->clinic_id;
	slow[oldest].id = feed->id;
	slow[oldest].until_ms = th_clock_monotonic_ms() + REST_S * 1000;
}

static void
put_off(ThHttpRequest *request)
{
	th_request_refuse(request, 503);
	th_request_add_reply_header(request, "Retry-After", REST_TEXT);
}

static void
try_feed(ThHttpRequest *request, const Asked *asked, const ThFeed *feed)
{
	PG_TRY();
	{
		answer_feed(request, asked, feed);
	}
	PG_CATCH();
	{
		if (geterrcode() == ERRCODE_QUERY_CANCELED)
			note_slow(feed);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
th_feed_answer(ThHttpRequest *request)
{
	ThFeed feed;
	Asked asked;

	disable_timeout(STATEMENT_TIMEOUT, false);
	enable_timeout_after(STATEMENT_TIMEOUT, LOOK_MS);
	read_path(request, &asked);
	if (!th_feed_find(asked.hash, &feed))
	{
		th_feed_cache_forget(asked.hash);
		th_request_refuse(request, 404);
	}
	else if (asked.is_code)
		answer_code(request, &asked);
	else if (is_slow(&feed))
		put_off(request);
	else
		try_feed(request, &asked, &feed);
}
