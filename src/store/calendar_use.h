/*
 * calendar_use.h
 *	  Does this database know any calendar connection?
 *
 * Most do not: their appointments are not marked for calendars, and booking
 * costs them nothing more.
 */
#ifndef TH_STORE_CALENDAR_USE_H
#define TH_STORE_CALENDAR_USE_H

/*
 * True if there is a row of telehealth.calendar_connection, as far as was
 * committed when the caller asks. Remembered by the session.
 * Memory: nothing stays. Where: in a transaction; rights are not asked for.
 */
extern bool th_calendar_is_used(void);

/* Makes every session ask anew once this transaction has committed. */
extern void th_calendar_forget_use(void);

#endif /* TH_STORE_CALENDAR_USE_H */
