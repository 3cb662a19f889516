/*
 * event_wish.h
 *	  The one place that decides which facts of a visit leave to somebody's
 *	  calendar, and by what its events are known again.
 */
#ifndef TH_FLOW_EVENT_WISH_H
#define TH_FLOW_EVENT_WISH_H

#include "calendar/event.h"
#include "store/calendar_event.h"
#include "store/installation.h"

/* Room for any key of ours, with its null byte. */
#define TH_EVENT_KEY_SIZE 128

/*
 * The tag of an event, which says nothing to others but that it is ours:
 * "th-<32 hex digits of the installation>-<clinic>-<connection>-<appointment>".
 */
extern void th_event_key_write(char *out, const ThInstallation *installation,
							   int64 clinic_id, int64 connection_id,
							   int64 appointment_id);

/*
 * True if "key" is of the installation with that tag; then the numbers in it
 * are set. Never throws.
 */
extern bool th_event_key_read(const char *key, const char *tag,
							  int64 *clinic_id, int64 *connection_id,
							  int64 *appointment_id);

/* True if the connection shows visits of this kind at all. */
extern bool th_event_is_shown(const ThEventSubject *subject);

/*
 * The event as our tables want it, and a digest of what of it is sent.
 * Memory: current context, and the subject's. Pure.
 */
extern void th_event_wish_make(const ThEventSubject *subject, const char *key,
							   ThEventWish *wish, const char **hash);

/*
 * True if what was seen has the times and the title that we wrote last, which
 * need not be those of "wish": a change of ours may wait. Memory: current
 * context.
 */
extern bool th_event_wish_is_pushed(const ThEventSubject *subject,
									const ThEventWish *wish,
									const ThEventSeen *seen);

#endif /* TH_FLOW_EVENT_WISH_H */
