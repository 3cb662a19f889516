/*
 * fn_feed.c
 *	  Feeds: making and ending them, and reading one by its token.
 */
#include "postgres.h"

#include <string.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "api/feed_make.h"
#include "api/ical_result.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_guc.h"
#include "crypto/token.h"
#include "flow/feed.h"
#include "ical/qr.h"
#include "store/access.h"
#include "store/audit.h"
#include "store/feed.h"
#include "store/owner.h"
#include "worker/tally.h"

TH_SQL_FUNCTION(th_sql_create_feed);
TH_SQL_FUNCTION(th_sql_rotate_feed);
TH_SQL_FUNCTION(th_sql_revoke_feed);
TH_SQL_FUNCTION(th_sql_feed_ics);
TH_SQL_FUNCTION(th_sql_feed_qr);

#define TOKEN_BYTES 32
#define NAME_MAX_BYTES 200
#define RANGE_MAX_DAYS 3660

StaticAssertDecl((int) TH_FEED_HASH_BYTES == (int) TH_SHA256_BYTES,
				 "a feed is found by the SHA-256 of its token");

/* ---- links ---- */

static void
put_text(Datum *value, bool *is_null, const char *text)
{
	*is_null = text == NULL;
	*value = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* token, feed_url and webcal_url in the last three of "n" columns. */
static Datum
answer(FunctionCallInfo fcinfo, Datum *values, bool *nulls, int n,
	   const char *token)
{
	TupleDesc columns;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE ||
		columns->natts != n)
		elog(ERROR, "a feed's answer has other columns");
	put_text(&values[n - 3], &nulls[n - 3], token);
	put_text(&values[n - 2], &nulls[n - 2], th_feed_link(token, NULL));
	put_text(&values[n - 1], &nulls[n - 1], th_feed_link(token, "webcal"));
	if (nulls[n - 1])
		ereport(NOTICE, (errcode(ERRCODE_SUCCESSFUL_COMPLETION),
						 errmsg("the feed has no links"),
						 errhint("Set telehealth.public_url to the address "
								 "under which this server is reached.")));
	return HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(columns), values, nulls));
}

static void
hash_token(const char *token, size_t length,
		   unsigned char hash[TH_FEED_HASH_BYTES])
{
	th_sha256(token, length, hash);
}

/* ---- making and ending ---- */

static void
refuse_null(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {
		"provider_id",           "name",
		"include_patient_names", "include_meeting_links",
		"sync_range_days",       "kind",
	};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s must not be null", names[i])));
}

static bool
is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

/* What may be asked for; the table's own checks say it less kindly. */
static void
check_feed(const ThFeed *feed, const char *kind)
{
	if (strcmp(kind, "owner") != 0 && strcmp(kind, "shared") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown kind of feed"),
						errhint("Kinds are owner and shared.")));
	if (is_blank(feed->name) || strlen(feed->name) > NAME_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the name of a feed has 1 to %d bytes",
							   NAME_MAX_BYTES)));
	if (feed->sync_range_days < 1 || feed->sync_range_days > RANGE_MAX_DAYS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the range of a feed is 1 to %d days",
							   RANGE_MAX_DAYS)));
	if (feed->is_shared && feed->include_patient_names)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a shared feed shows busy times only"),
						errhint("Leave include_patient_names off.")));
}

char *
th_feed_make(ThFeed *feed)
{
	unsigned char hash[TH_FEED_HASH_BYTES];
	ThOwnerScope scope;
	char *token = th_token_hex(TOKEN_BYTES);

	hash_token(token, strlen(token), hash);
	th_owner_enter(&scope);
	feed->id = th_feed_insert(feed, hash);
	th_owner_leave(&scope);
	th_audit_write(&feed->clinic_id, &feed->id, 1, "create_feed", "feed", NULL);
	return token;
}

Datum
th_sql_create_feed(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	Datum values[4];
	bool nulls[4] = { false };
	ThFeed feed = { 0 };
	char *token;
	char *kind;

	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	refuse_null(fcinfo);
	kind = text_to_cstring(PG_GETARG_TEXT_PP(5));
	feed.clinic_id = clinic_id;
	feed.provider_id = PG_GETARG_INT64(0);
	feed.name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	feed.include_patient_names = PG_GETARG_BOOL(2);
	feed.include_meeting_links = PG_GETARG_BOOL(3);
	feed.sync_range_days = PG_GETARG_INT32(4);
	feed.is_shared = strcmp(kind, "shared") == 0;
	check_feed(&feed, kind);
	feed.include_meeting_links &= !feed.is_shared;

	token = th_feed_make(&feed);
	values[0] = Int64GetDatum(feed.id);
	return answer(fcinfo, values, nulls, 4, token);
}

static void
refuse_missing(int64 id)
{
	ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
					errmsg("feed " INT64_FORMAT " does not exist", id)));
}

Datum
th_sql_rotate_feed(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id = PG_GETARG_INT64(0);
	unsigned char hash[TH_FEED_HASH_BYTES];
	Datum values[3];
	bool nulls[3] = { false };
	ThOwnerScope scope;
	bool is_active;
	bool is_found;
	char *token;

	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	token = th_token_hex(TOKEN_BYTES);
	hash_token(token, strlen(token), hash);
	th_owner_enter(&scope);
	is_found = th_feed_rotate(clinic_id, id, hash, &is_active);
	th_owner_leave(&scope);
	if (!is_found)
		refuse_missing(id);
	if (!is_active)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("feed " INT64_FORMAT " is revoked", id),
						errhint("Make another one with create_feed().")));
	th_audit_write(&clinic_id, &id, 1, "rotate_feed", "feed", NULL);
	return answer(fcinfo, values, nulls, 3, token);
}

Datum
th_sql_revoke_feed(PG_FUNCTION_ARGS)
{
	int64 clinic_id = th_guc_clinic();
	int64 id = PG_GETARG_INT64(0);
	ThOwnerScope scope;
	bool is_changed;
	bool is_found;

	(void) th_access_require(TH_ACCESS_APP, clinic_id);
	th_owner_enter(&scope);
	is_found = th_feed_revoke(clinic_id, id, &is_changed);
	th_owner_leave(&scope);
	if (!is_found)
		refuse_missing(id);
	if (is_changed)
		th_audit_write(&clinic_id, &id, 1, "revoke_feed", "feed", NULL);
	PG_RETURN_VOID();
}

/* ---- reading ---- */

/*
 * The feed of that token, for who may use its clinic. One answer for a token
 * that never was, one that is no more, and another clinic's; and the log does
 * not quote the statement, which has the token.
 */
static void
find_feed(text *token, ThFeed *feed)
{
	unsigned char hash[TH_FEED_HASH_BYTES];
	ThOwnerScope scope;
	bool is_found;

	hash_token(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token), hash);
	th_owner_enter(&scope);
	is_found = th_feed_find(hash, feed);
	th_owner_leave(&scope);
	if (!is_found ||
		!th_access_has_kind(TH_ACCESS_APP, feed->clinic_id, th_access_caller()))
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("feed does not exist"), errhidestmt(true)));
}

Datum
th_sql_feed_ics(PG_FUNCTION_ARGS)
{
	TimestampTz now = th_clock_now();
	ThIcalWriter writer;
	ThIcalHead head;
	ThOwnerScope scope;
	ThFeedView view;
	ThFeed feed;

	find_feed(PG_GETARG_TEXT_PP(0), &feed);
	th_owner_enter(&scope);
	th_feed_look(&feed, now, &view);
	th_feed_write(&view, &writer, &head);
	th_owner_leave(&scope);
	th_tally_add(feed.clinic_id, feed.id, now);
	PG_RETURN_TEXT_P(th_ical_result_last(&writer, &head));
}

Datum
th_sql_feed_qr(PG_FUNCTION_ARGS)
{
	text *url = PG_GETARG_TEXT_PP(0);
	StringInfoData out;

	if (VARSIZE_ANY_EXHDR(url) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the link must not be empty")));
	initStringInfo(&out);
	if (!th_qr_write_svg(VARDATA_ANY(url), VARSIZE_ANY_EXHDR(url), &out))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the link is too long for a QR code"),
						errhidestmt(true)));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
