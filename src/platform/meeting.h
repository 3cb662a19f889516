/*
 * meeting.h
 *	  A meeting as we want it, and what a vendor answered. Plain values only.
 */
#ifndef TH_PLATFORM_MEETING_H
#define TH_PLATFORM_MEETING_H

#include "datatype/timestamp.h"

typedef enum ThPlatformOp
{
	TH_OP_TOKEN, /* get an access token */
	TH_OP_CREATE,
	TH_OP_READ,
	TH_OP_UPDATE,
	TH_OP_DELETE,
	TH_OP_FIND, /* one page of the host's meetings, for our marker */
	TH_OP_HOST, /* look at the host user */
	TH_OP_PAST  /* has a run of a meeting ended? */
} ThPlatformOp;

#define TH_OP_COUNT (TH_OP_PAST + 1)

/* What an answer means for the work; classified by HTTP status first. */
typedef enum ThVerdict
{
	TH_VERDICT_OK,
	TH_VERDICT_GONE,          /* the meeting does not exist */
	TH_VERDICT_TOKEN_EXPIRED, /* get a new token, repeat once */
	TH_VERDICT_SCOPE_MISSING, /* configuration: a scope is not granted */
	TH_VERDICT_CREDENTIALS,   /* configuration: client or grant refused */
	TH_VERDICT_NO_HOST,       /* the host is unknown or may not be used */
	TH_VERDICT_RATE_LIMITED,  /* slow down; retry_at may be 0 */
	TH_VERDICT_QUOTA,         /* daily limit; nothing before retry_at */
	TH_VERDICT_RETRY,         /* did not act; try later */
	TH_VERDICT_UNKNOWN,       /* may have acted: look before repeating */
	TH_VERDICT_PERMANENT      /* repeating is useless */
} ThVerdict;

/* The meeting as our tables want it. */
typedef struct ThMeetingWish
{
	const char *marker;  /* opaque tag of this meeting */
	const char *subject; /* "clinic/appointment", for the mock; never sent */
	const char *host;
	const char *topic;
	const char *agenda; /* what policy lets out beside the marker, or NULL */
	TimestampTz starts_at;
	int duration;         /* minutes */
	const char *timezone; /* IANA name */
	const char *passcode; /* secret; NULL: leave as it is */
	bool waiting_room;
	const char *recording;  /* none, local, cloud */
	const char *encryption; /* enhanced_encryption, e2ee */
	bool authentication;    /* only signed-in users may join */
	bool mute_upon_entry;
} ThMeetingWish;

typedef struct ThMeetingAnswer
{
	ThVerdict verdict;
	char *code;           /* vendor's own code, or NULL */
	char *message;        /* redacted, or NULL */
	TimestampTz retry_at; /* not before; 0: not told */
	bool is_host_quota;   /* QUOTA: of the host alone, not of the account */
	char *missing_scope;  /* what the vendor named, else the operation's */

	/* TH_OP_TOKEN */
	char *token;         /* secret */
	int expires_in;      /* seconds */
	char *scopes;        /* space separated, or NULL */
	char *subject;       /* of the grant, or NULL */
	char *refresh_token; /* secret; it takes the place of the one sent */

	/* CREATE, READ, and FIND's first match */
	char *meeting_id;
	char *meeting_uuid;
	char *join_url;
	char *start_url; /* secret, READ only */
	char *passcode;  /* secret */
	char *host_id;
	char *host_email;
	TimestampTz starts_at; /* 0 if not told */
	TimestampTz ended_at;  /* PAST: of that run */
	int duration;

	/* What differs from the wish ("waiting_room=false, duration=40"), or NULL. */
	char *deviation;

	/* It makes the meeting unusable: wrong instant, personal room, bad link. */
	bool is_unsafe;

	/* FIND */
	bool is_found;
	int n_found;       /* meetings with our marker on this page */
	char **duplicates; /* ids of further matches, n_found - 1 of them */
	char *next_page;   /* token of the next page, or NULL */

	/* HOST */
	int host_plan; /* Zoom: 1 basic, 2 licensed; 0 unknown */
	char *host_pmi;
} ThMeetingAnswer;

#endif /* TH_PLATFORM_MEETING_H */
