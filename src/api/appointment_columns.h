/*
 * appointment_columns.h
 *	  Where the columns of an appointment are, and the labels of its enums.
 *
 * Looked up by name, so that neither the order of columns nor the name of the
 * table matters (a shard has another), and remembered until the relation
 * changes.
 */
#ifndef TH_API_APPOINTMENT_COLUMNS_H
#define TH_API_APPOINTMENT_COLUMNS_H

#include "access/attnum.h"
#include "utils/relcache.h"

typedef enum ThColumn
{
	TH_COLUMN_CLINIC_ID,
	TH_COLUMN_ID,
	TH_COLUMN_PATIENT_ID,
	TH_COLUMN_PROVIDER_ID,
	TH_COLUMN_TYPE,
	TH_COLUMN_STATUS,
	TH_COLUMN_STARTS_AT,
	TH_COLUMN_DURATION,
	TH_COLUMN_ENDS_AT,
	TH_COLUMN_TIMEZONE,
	TH_COLUMN_TITLE,
	TH_COLUMN_REASON,
	TH_COLUMN_LOCATION,
	TH_COLUMN_PLATFORM,
	TH_COLUMN_MEETING_ID,
	TH_COLUMN_JOIN_URL,
	TH_COLUMN_SEQUENCE,
	TH_COLUMN_IS_OVERBOOKED,
	TH_COLUMN_HELD_UNTIL,
	TH_COLUMN_IS_MEETING_WANTED,
	TH_COLUMN_CREATED_AT,
	TH_COLUMN_UPDATED_AT,
	TH_COLUMN_CANCELLED_AT /* none in version 0.1 */
} ThColumn;

#define TH_COLUMN_COUNT (TH_COLUMN_CANCELLED_AT + 1)

typedef struct ThColumns
{
	Oid relation;                       /* InvalidOid: to be looked up */
	AttrNumber number[TH_COLUMN_COUNT]; /* InvalidAttrNumber: there is none */
	AttrNumber last;                    /* greatest of them */

	/* labels */
	Oid video;
	Oid pending;
	Oid scheduled;
	Oid confirmed;
	Oid checked_in;
	Oid in_progress;
	Oid completed;
	Oid cancelled;
	Oid no_show;
} ThColumns;

/*
 * The columns of "relation". The pointer is good until the next call or the
 * next time invalidations are taken: use it within one trigger's loop only.
 * Errors: internal, if a column or label is missing.
 */
extern const ThColumns *th_appointment_columns(Relation relation);

#endif /* TH_API_APPOINTMENT_COLUMNS_H */
