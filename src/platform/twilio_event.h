/*
 * twilio_event.h
 *	  Twilio's webhooks: who signed.
 *
 * Pure.
 */
#ifndef TH_PLATFORM_TWILIO_EVENT_H
#define TH_PLATFORM_TWILIO_EVENT_H

#include "datatype/timestamp.h"
#include "platform/form.h"

/*
 * True if "secret", the account's auth token, signed a post to "url" with the
 * fields of "form"; NULL: a post of JSON, whose digest stands in the url.
 * Both with and without the port are tried: senders differ.
 * Errors: internal error of OpenSSL, out of memory.
 */
extern bool th_twilio_verify(const char *secret, const char *signature,
							 const char *url, const ThForm *form,
							 const char *body, size_t length);

/* "2026-01-05T10:00:05.123Z" as an instant; 0 if it is none. */
extern TimestampTz th_twilio_instant(const char *text);

#endif /* TH_PLATFORM_TWILIO_EVENT_H */
