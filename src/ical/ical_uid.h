/*
 * ical_uid.h
 *	  UIDs of our own: made, and recognised in calendars of others.
 *
 * That of a visit is "appointment-7.clinic-1@<32 hex digits>.telehealth": the
 * digits are the installation's, so that two systems never give one patient's
 * calendar the same UID. Visits with an id up to "plain_until" have had
 * "appointment-7.clinic-1@telehealth" from version 0.1 on, and keep it.
 */
#ifndef TH_ICAL_UID_H
#define TH_ICAL_UID_H

typedef struct ThIcalOrigin
{
	const char *installation; /* 32 hex digits */
	int64 plain_until;
	int64 clinic_id;
} ThIcalOrigin;

/* Room for any UID of ours, with its null byte. */
#define TH_ICAL_UID_SIZE 128

/* The UID of a visit, into TH_ICAL_UID_SIZE bytes; its length. Never throws. */
extern int th_ical_uid_write(char *out, const ThIcalOrigin *origin,
							 int64 appointment_id);

/*
 * True if "uid" is one that this clinic's events have, as we wrote it or in
 * the form that Outlook puts a foreign one into. Never throws.
 */
extern bool th_ical_uid_is_own(const char *uid, const ThIcalOrigin *origin);

#endif /* TH_ICAL_UID_H */
