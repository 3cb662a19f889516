/*
 * wish.h
 *	  The one place that decides which facts of an appointment leave to a
 *	  video platform: the disclosure firewall of meetings.
 */
#ifndef TH_FLOW_WISH_H
#define TH_FLOW_WISH_H

#include "platform/meeting.h"
#include "store/meeting.h"

/*
 * The meeting that the tables want at subject's platform, and a hash over
 * everything in it but marker and passcode. Memory: current context.
 * Errors: out of memory, internal error of OpenSSL.
 */
extern void th_wish_make(const ThMeetingSubject *subject, ThMeetingWish *wish,
						 const char **hash);

/*
 * What session.wish_hash says while "hash" was sent and is not confirmed yet.
 * Memory: current context.
 */
extern char *th_wish_sent(const char *hash);

#endif /* TH_FLOW_WISH_H */
