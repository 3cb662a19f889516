/*
 * negotiate.h
 *	  Which form of an answer a client takes, and whether it has it already.
 *
 * Pure: headers in, verdicts out. Nothing here throws but for memory.
 */
#ifndef TH_GATEWAY_NEGOTIATE_H
#define TH_GATEWAY_NEGOTIATE_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* An entity tag of ours with its quotes, and a zero byte. */
#define TH_ETAG_BYTES 40

/* A date as HTTP has it, and a zero byte. */
#define TH_HTTP_DATE_BYTES 32

/* True if Accept-Encoding (NULL: there is none) takes gzip. */
extern bool th_negotiate_takes_gzip(const char *accepted);

/* The strong tag of these bytes. Errors: internal error of OpenSSL. */
extern void th_negotiate_etag(const char *bytes, size_t length,
							  char etag[TH_ETAG_BYTES]);

/* True if If-None-Match names the tag, or any. */
extern bool th_negotiate_has_etag(const char *listed, const char *etag);

extern void th_negotiate_date(TimestampTz at, char date[TH_HTTP_DATE_BYTES]);

/*
 * The bytes as gzip, the same for the same. Memory: current context.
 * Errors: out of memory.
 */
extern void th_negotiate_gzip(const char *bytes, size_t length, StringInfo out);

#endif /* TH_GATEWAY_NEGOTIATE_H */
