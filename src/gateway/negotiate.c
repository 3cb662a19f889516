/*
 * negotiate.c
 *	  Which form of an answer a client takes, and whether it has it already.
 */
#include "postgres.h"

#include <zlib.h>

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "crypto/mac.h"
#include "crypto/token.h"
#include "gateway/negotiate.h"

/* Bytes of the digest that a tag shows. */
#define ETAG_DIGEST_BYTES 16

/* What is longer is compressed with less effort. */
#define LONG_BYTES (256 * 1024)

/* A window of 32 kB, and gzip's head. */
#define GZIP_WINDOW (15 + 16)

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- codings ---- */

/* What follows a coding: false if it is "q=0" in any length. */
static bool
is_wanted(const char *parameters, const char *end)
{
	const char *q = parameters;

	while (q < end && (is_blank(*q) || *q == ';'))
		q++;
	if (end - q < 3 || (*q != 'q' && *q != 'Q') || q[1] != '=')
		return true;
	for (q += 2; q < end && !is_blank(*q) && *q != ';'; q++)
		if (*q >= '1' && *q <= '9')
			return true;
	return false;
}

bool
th_negotiate_takes_gzip(const char *accepted)
{
	bool takes_any = false;

	for (const char *item = accepted; item != NULL && *item != '\0';)
	{
		const char *end = item + strcspn(item, ",");
		size_t length;

		while (item < end && is_blank(*item))
			item++;
		length = strcspn(item, " \t;,");
		if ((length == 4 && pg_strncasecmp(item, "gzip", 4) == 0) ||
			(length == 6 && pg_strncasecmp(item, "x-gzip", 6) == 0))
			return is_wanted(item + length, end);
		if (length == 1 && *item == '*')
			takes_any = is_wanted(item + 1, end);
		item = *end == ',' ? end + 1 : end;
	}
	return takes_any;
}

void
th_negotiate_gzip(const char *bytes, size_t length, StringInfo out)
{
	z_stream stream = { 0 };
	int result;

	if (deflateInit2(&stream, length > LONG_BYTES ? 1 : 6, Z_DEFLATED,
					 GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_TRY();
	{
		initStringInfo(out);
		enlargeStringInfo(out, (int) deflateBound(&stream, (uLong) length));
		stream.next_in = (Bytef *) unconstify(char *, bytes);
		stream.avail_in = (uInt) length;
		stream.next_out = (Bytef *) out->data;
		stream.avail_out = (uInt) (out->maxlen - 1);
		result = deflate(&stream, Z_FINISH);
		if (result != Z_STREAM_END)
			elog(ERROR, "deflate() ended with %d", result);
		out->len = (int) stream.total_out;
	}
	PG_FINALLY();
	{
		(void) deflateEnd(&stream);
	}
	PG_END_TRY();
}

/* ---- validators ---- */

void
th_negotiate_etag(const char *bytes, size_t length, char etag[TH_ETAG_BYTES])
{
	unsigned char digest[TH_SHA256_BYTES];

	th_sha256(bytes, length, digest);
	etag[0] = '"';
	th_mac_hex(digest, ETAG_DIGEST_BYTES, etag + 1);
	etag[1 + 2 * ETAG_DIGEST_BYTES] = '"';
	etag[2 + 2 * ETAG_DIGEST_BYTES] = '\0';
}

/* A weak tag is the same here: RFC 9110 has it compared so. */
bool
th_negotiate_has_etag(const char *listed, const char *etag)
{
	size_t length = strlen(etag);

	for (const char *item = listed; *item != '\0';)
	{
		while (is_blank(*item) || *item == ',')
			item++;
		if (item[0] == '*' && item == listed && item[1] == '\0')
			return true;
		if (item[0] == 'W' && item[1] == '/')
			item += 2;
		if (strncmp(item, etag, length) == 0)
			return true;
		if (*item == '"')
			item += 1 + strcspn(item + 1, "\"");
		item += strcspn(item, ",");
	}
	return false;
}

void
th_negotiate_date(TimestampTz at, char date[TH_HTTP_DATE_BYTES])
{
	struct pg_tm tm;
	fsec_t fraction;
	int weekday;

	date[0] = '\0';
	if (timestamp2tm(at, NULL, &tm, &fraction, NULL, NULL) != 0)
		return;
	weekday = j2day(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday));
	snprintf(date, TH_HTTP_DATE_BYTES, "%.3s, %02d %s %04d %02d:%02d:%02d GMT",
			 days[weekday], tm.tm_mday, months[tm.tm_mon - 1], tm.tm_year,
			 tm.tm_hour, tm.tm_min, tm.tm_sec);
}
