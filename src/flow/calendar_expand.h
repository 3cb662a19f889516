/*
 * calendar_expand.h
 *	  From visits to their events in calendars.
 */
#ifndef TH_FLOW_CALENDAR_EXPAND_H
#define TH_FLOW_CALENDAR_EXPAND_H

#include "flow/calendar_work.h"

/*
 * Jobs whose subjects are visits: makes the rows that calendars of their
 * providers lack, retires those in calendars of others and of visits that
 * are gone, and marks all.
 */
extern const ThCalendarFlow th_calendar_visits_flow;

#endif /* TH_FLOW_CALENDAR_EXPAND_H */
