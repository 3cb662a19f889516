/*
 * platform.h
 *	  What telehealth needs of a video vendor, as one const table each.
 *
 * An adapter is pure: it turns a wish into a request and a response into an
 * answer. No SPI, no clock, no shared memory, no state. Adding a vendor is
 * one file and one line in platform.c.
 */
#ifndef TH_PLATFORM_PLATFORM_H
#define TH_PLATFORM_PLATFORM_H

#include "http/request.h"
#include "platform/meeting.h"

typedef struct ThCredential
{
	const char *name;
	const char *value; /* secret */
} ThCredential;

typedef struct ThPlatformAccount
{
	const char *api_url; /* without a trailing slash */
	const char *token_url;
	const char *token;               /* secret; NULL for TH_OP_TOKEN */
	const ThCredential *credentials; /* for TH_OP_TOKEN only */
	int n_credentials;
	int timeout_ms; /* 0: the setting */
} ThPlatformAccount;

typedef struct ThPlatform
{
	const char *name;
	const char *const *required_credentials; /* NULL-terminated */
	const char *const *optional_credentials;
	const char *const *secret_credentials; /* never shown or logged */

	/* Scope an operation needs, for messages; NULL if the vendor has none. */
	const char *(*scope_of)(ThPlatformOp op);

	/*
	 * True if one of the scopes in "granted" (space separated) is good for
	 * the operation, or if "granted" is NULL (the vendor did not tell).
	 */
	bool (*has_scope)(ThPlatformOp op, const char *granted);

	/* Vendor's rate class: "light", "medium"; "token" for TH_OP_TOKEN. */
	const char *(*rate_class)(ThPlatformOp op);

	/* True if the operation counts against the host's daily limit. */
	bool (*counts_for_host)(ThPlatformOp op);

	/*
	 * Fills "out". meeting_id is for READ, UPDATE, DELETE; for PAST the
	 * name of the run; page for FIND.
	 * Memory: current context. Errors: out of memory.
	 */
	void (*build)(ThPlatformOp op, const ThPlatformAccount *account,
				  const ThMeetingWish *wish, const char *meeting_id,
				  const char *page, ThHttpRequest *out);

	/*
	 * Reads "result" into "out" (zeroed by the callee). "now" serves
	 * Retry-After. Never throws for any content. Memory: current context.
	 */
	void (*read)(ThPlatformOp op, const ThMeetingWish *wish,
				 const ThHttpResult *result, TimestampTz now,
				 ThMeetingAnswer *out);

	/*
	 * Non-NULL: answers at once without a network (the mock); build and read
	 * are NULL then. Fills "out", zeroed by the callee. Memory: current context.
	 */
	void (*answer)(ThPlatformOp op, const ThMeetingWish *wish,
				   const char *meeting_id, ThMeetingAnswer *out);
} ThPlatform;

/* The adapter named "name", or NULL. */
extern const ThPlatform *th_platform_find(const char *name);

/* The mock, which stands in for every platform while telehealth.mock is on. */
extern const ThPlatform *th_platform_mock(void);

/* Names of all adapters as "zoom, mock", for messages. Memory: static. */
extern const char *th_platform_names(void);

/* "create", "token_expired": for rows and messages. Memory: static. */
extern const char *th_op_name(ThPlatformOp op);
extern const char *th_verdict_name(ThVerdict verdict);

extern const ThPlatform th_platform_zoom;
extern const ThPlatform th_platform_mock_table;

#endif /* TH_PLATFORM_PLATFORM_H */
