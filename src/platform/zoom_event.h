/*
 * zoom_event.h
 *	  Zoom's webhooks: who signed, and what a delivery says.
 *
 * Pure: no SPI, no clock, and nothing throws for any content.
 */
#ifndef TH_PLATFORM_ZOOM_EVENT_H
#define TH_PLATFORM_ZOOM_EVENT_H

#include "platform/event.h"

/*
 * How late a delivery may be: Zoom tries again 5, 20 and 60 minutes after
 * the last time. How early: what a clock of ours may be behind.
 */
#define TH_ZOOM_LATE_MINUTES 95
#define TH_ZOOM_EARLY_MINUTES 15

/* True if both headers have their form (either may be NULL) and the time is near "now". */
extern bool th_zoom_event_is_timely(const char *signature,
									const char *timestamp, TimestampTz now);

/* True if the secret signed the bytes at that time. The headers are timely. */
extern bool th_zoom_event_verify(const char *secret, const char *signature,
								 const char *timestamp, const char *body,
								 size_t length);

/*
 * The body, NULL if it is no JSON object that names an event, or nested too
 * deep. What text cannot hold is mended. Memory: current context.
 */
extern Jsonb *th_zoom_event_parse(const char *body, size_t length);

/* The account that the body speaks of, NULL if it names none. Memory: current context. */
extern char *th_zoom_event_account(Jsonb *body);

/* True if Zoom asks for proof that we know the secret. */
extern bool th_zoom_event_is_challenge(Jsonb *body);

/* The proof, exactly; NULL if nothing was asked. Memory: current context. */
extern char *th_zoom_event_proof(Jsonb *body, const char *secret);

/* What the body says; "bytes" are those it was read from. Memory: current context. */
extern void th_zoom_event_read(Jsonb *body, const char *bytes, size_t length,
							   ThEvent *event);

#endif /* TH_PLATFORM_ZOOM_EVENT_H */
