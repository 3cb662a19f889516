/*
 * meeting.h
 *	  Everything that decides what a meeting should be, read set-wise.
 *
 * Where: in a transaction, as the worker's role.
 */
#ifndef TH_STORE_MEETING_H
#define TH_STORE_MEETING_H

#include "store/account.h"
#include "store/job.h"
#include "store/session.h"

typedef struct ThAppointment
{
	int64 clinic_id;
	int64 id;
	bool exists;
	int64 patient_id;
	int64 provider_id;
	const char *type;
	const char *status;
	TimestampTz starts_at;
	TimestampTz ends_at;
	int duration;
	const char
		*timezone; /* its own, its provider's or its clinic's; else UTC */
	const char *title;
	const char *reason;
	const char *meeting_id;
	const char *join_url;
	bool is_meeting_wanted;
	TimestampTz held_until;
	bool is_clinic_active;
	const char *platform; /* that it should be on */
	const char
		*passed_over; /* the clinic's own, while "platform" is a fallback */
	const char *passed_reason; /* why; set with passed_over */
	bool has_other_platform;   /* another one could be used instead */
	const char *
		platform_user; /* of the provider: host at the platform, or e-mail, or NULL */
	const char *provider_name;
	const char *patient_name;
} ThAppointment;

typedef struct ThMeetingSubject
{
	ThAppointment appointment;
	ThAccount *account; /* that the platform should be used with; NULL none */
	ThSession *session; /* live, or NULL */
	ThAccount *session_account; /* where the live session's meeting is */
	ThSession *tombstone; /* oldest retired session to be cleaned up, or NULL */
	ThAccount *tombstone_account;
	uint32 disclosed; /* bits of TH_FACT_* allowed at the platform */
} ThMeetingSubject;

#define TH_FACT_PATIENT_NAME (1 << 0)
#define TH_FACT_PROVIDER_NAME (1 << 1)
#define TH_FACT_REASON (1 << 2)
#define TH_FACT_TITLE (1 << 3)
#define TH_FACT_JOIN_URL (1 << 4)
#define TH_FACT_LOCATION (1 << 5)
#define TH_FACT_EMAIL (1 << 6)

/*
 * Loads the subjects of meeting jobs, in their order. Memory: current context.
 */
extern ThMeetingSubject *th_meeting_load(const ThJob *jobs, int n);

/* What can be known of a visit without loading it. */
typedef struct ThVisitPeek
{
	bool is_plain; /* its first meeting is wanted, at this account, not soon */
	TimestampTz starts_at;
	int64 account_clinic_id;
	int64 account_id;
} ThVisitPeek;

/* Looks at the visits of jobs, in their order. Memory: current context. */
extern ThVisitPeek *th_meeting_peek(const ThJob *jobs, int n, TimestampTz now);

/*
 * The facts that policy lets out of "clinic_id" to "target": the clinic's own
 * row, else clinic 0's, else ours, else nothing.
 */
extern uint32 th_policy_facts(int64 clinic_id, const char *target);

/*
 * Which appointments (clinic_id, id) are locked by somebody; the free ones
 * are locked for us until commit.
 */
extern void th_appointment_lock(const int64 *clinics, const int64 *ids, int n,
								bool *is_locked);

/* Writes meeting_id and join_url of locked appointments where they differ. */
extern void th_appointment_link(const int64 *clinics, const int64 *ids,
								const char *const *meeting_ids,
								const char *const *join_urls, int n);

/*
 * True while th_appointment_link() writes, in this process: such a link needs
 * no mark, which the settle around it would take away again. Whoever else
 * changes a link has to be put right. Never throws.
 */
extern bool th_appointment_is_linking(void);

/*
 * Cancels holds that ran out. For those not yet due, dues[i] is when they
 * are; 0 if there is nothing to wait for.
 */
extern void th_appointment_expire(const int64 *clinics, const int64 *ids, int n,
								  TimestampTz now, TimestampTz *dues);

#endif /* TH_STORE_MEETING_H */
