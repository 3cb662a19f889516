/*
 * busy.h
 *	  Which events of a calendar take its owner's time: one table for all
 *	  vendors, see README.md.
 */
#ifndef TH_CALENDAR_BUSY_H
#define TH_CALENDAR_BUSY_H

#include "calendar/event.h"

typedef enum ThBusy
{
	TH_BUSY_NOT,
	TH_BUSY_TENTATIVE,
	TH_BUSY_YES
} ThBusy;

/*
 * What an event says of its owner's time; whose it is, is the caller's to
 * know. Whole days are as good as any other time. Never throws.
 */
extern ThBusy th_calendar_busy(const ThEventSeen *seen);

#endif /* TH_CALENDAR_BUSY_H */
