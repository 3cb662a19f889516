/*
 * event.h
 *	  What a genuine delivery says, whoever sent it.
 */
#ifndef TH_PLATFORM_EVENT_H
#define TH_PLATFORM_EVENT_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#define TH_EVENT_KEY_BYTES 32

/* Longest texts of a row; what is longer is cut. */
#define TH_EVENT_MOST_TEXT 255

typedef struct ThEvent
{
	const char *name;
	TimestampTz at; /* 0: not said */
	const char
		*account_ref; /* the source's own; NULL, as the others: not said */
	const char *meeting_id;
	const char *meeting_uuid;
	const char *participant_id;
	const char *participant_name;
	int latency_ms;            /* -1: not said */
	int interpreter_requested; /* -1: not said */
	Jsonb *raw;                /* without passwords and tokens */

	/* Identity of the happening; the account is added by whoever stores it. */
	unsigned char key[TH_EVENT_KEY_BYTES];
} ThEvent;

#endif /* TH_PLATFORM_EVENT_H */
