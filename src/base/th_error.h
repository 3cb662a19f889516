/*
 * th_error.h
 *	  SQLSTATEs of our own, and text that is fit for a message.
 *
 * Any process, any phase unless a function says otherwise.
 */
#ifndef TH_BASE_ERROR_H
#define TH_BASE_ERROR_H

#include "utils/elog.h"

/*
 * Class TH is in the range the standard leaves to implementations. A code
 * exists only where a client has to branch and no standard code fits.
 */
#define ERRCODE_TH_KEY_MISSING MAKE_SQLSTATE('T', 'H', '0', '0', '1')
#define ERRCODE_TH_VENDOR_REFUSED MAKE_SQLSTATE('T', 'H', '0', '0', '2')
#define ERRCODE_TH_OUTBOUND_HELD MAKE_SQLSTATE('T', 'H', '0', '0', '3')
#define ERRCODE_TH_SUSPICIOUS_PULL MAKE_SQLSTATE('T', 'H', '0', '0', '4')

/*
 * Copy of UTF-8 "text" (NULL: "") of at most "max" bytes that may stand in
 * an error, a log line or a table: control characters become spaces, invalid
 * UTF-8 goes, so does what follows "?" (in a URL also "#") up to the end of
 * the word; e-mail addresses, a URL's user name, and what looks like a token
 * (20 or more letters, digits and -_. in a row, where the word is no URL also
 * + and /) become "***". Names of settings of ours stay.
 *
 * Memory: palloc'd in the current context.
 */
extern char *th_error_redact(const char *text, int max);

/*
 * The no-throw zone: code called from libcurl or OpenSSL must not palloc or
 * ereport. TH_DEBUG builds assert it where our own helpers could be reached.
 */
#ifdef TH_DEBUG
extern int th_no_throw_depth;
#define TH_NO_THROW_BEGIN() (th_no_throw_depth++)
#define TH_NO_THROW_END() (th_no_throw_depth--)
#define TH_ASSERT_MAY_THROW()                                                  \
	do                                                                         \
	{                                                                          \
		if (th_no_throw_depth > 0)                                             \
			abort();                                                           \
	} while (0)
#else
#define TH_NO_THROW_BEGIN() ((void) 0)
#define TH_NO_THROW_END() ((void) 0)
#define TH_ASSERT_MAY_THROW() ((void) 0)
#endif

#endif /* TH_BASE_ERROR_H */
