/*
 * job_columns.h
 *	  Where the columns of a job are, for those who do without the executor.
 */
#ifndef TH_STORE_JOB_COLUMNS_H
#define TH_STORE_JOB_COLUMNS_H

#include "store/direct.h"

/* The columns, as src/schema writes them. */
typedef enum JobColumn
{
	JOB_KIND,
	JOB_CLINIC_ID,
	JOB_SUBJECT_ID,
	JOB_PRIORITY,
	JOB_DUE_AT,
	JOB_CLAIM_NO,
	JOB_GENERATION,
	JOB_ATTEMPTS,
	JOB_MAX_ATTEMPTS,
	JOB_FAILURES,
	JOB_MARKED_AT,
	JOB_WAITING_FOR,
	JOB_LAST_ERROR,
	JOB_DEAD_AT
} JobColumn;

#define JOB_COLUMN_COUNT (JOB_DEAD_AT + 1)
#define JOB_KEY_COUNT (JOB_SUBJECT_ID + 1)

/* In that order; JOB_COLUMN_COUNT of them. */
extern const ThDirectColumn th_job_columns[];

#endif /* TH_STORE_JOB_COLUMNS_H */
