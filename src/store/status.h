/*
 * status.h
 *	  What a user wants to know of one appointment: for waiting and for a
 *	  calendar.
 *
 * Where: in a transaction. Memory of all results: current context.
 */
#ifndef TH_STORE_STATUS_H
#define TH_STORE_STATUS_H

#include "access/htup.h"
#include "datatype/timestamp.h"

typedef struct ThMeetingStatus
{
	bool exists;
	bool is_ours; /* it or its job was written by this transaction */
	const char *type;
	const char *status;
	bool is_wanted;
	bool is_over;
	bool is_linked;   /* appointment.join_url is set */
	int64 session_id; /* live session, 0 none */
	bool is_made;     /* and it has a join_url */
	bool has_job;
	bool is_dead;
	TimestampTz due_at;
	const char *waiting_for;
	const char *last_error;
	const char *held; /* why outward work is held, or NULL */
} ThMeetingStatus;

/* The state of an appointment's meeting, as committed now; read as the owner. */
extern void th_status_meeting(int64 clinic_id, int64 appointment_id,
							  ThMeetingStatus *out);

/* The row of a session as a composite datum, read as the owner. */
extern Datum th_status_session(int64 clinic_id, int64 session_id);

typedef struct ThCalendarEntry
{
	const char *status;
	TimestampTz starts_at;
	TimestampTz ends_at;
	TimestampTz created_at;
	TimestampTz updated_at;
	int sequence;
	const char *title;
	const char *location;
	const char *join_url;
	/* NULL unless asked for and known */
	const char *patient_name;
	const char *patient_email;
	const char *provider_name;
	const char *provider_email;
} ThCalendarEntry;

/*
 * The appointment, with its people or without, read as the present user;
 * false if it sees none.
 */
extern bool th_status_calendar(int64 clinic_id, int64 appointment_id,
							   bool with_people, ThCalendarEntry *out);

/* th_policy_facts(), read as the owner. */
extern uint32 th_status_facts(int64 clinic_id, const char *target);

/*
 * The clinic that account "id" belongs to, looked up in "clinic_id" and then
 * in 0, as the owner; false if there is none. *platform and *status may be
 * NULL.
 */
extern bool th_status_account(int64 clinic_id, int64 id, int64 *account_clinic,
							  const char **platform, const char **status);

/* Marks what waits for an account at a platform, as the owner. */
extern void th_status_mark_unmet(const char *platform, int64 clinic_id);

/* Merges settings of an account (null removes a key), marks its live sessions; as the owner. */
extern void th_status_configure(int64 clinic_id, int64 id, Datum settings);

#endif /* TH_STORE_STATUS_H */
