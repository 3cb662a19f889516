/*
 * oauth.h
 *	  Grants that a user gives in a browser: requests to a vendor's token
 *	  endpoint and what they answer, alike for every vendor but for a few facts.
 *
 * Pure: no SPI, no clock, no state. Addresses and scopes are rows
 * (builtin_oauth); here is only what is code.
 */
#ifndef TH_PLATFORM_OAUTH_H
#define TH_PLATFORM_OAUTH_H

#include "platform/platform.h"

typedef struct ThOauthVendor
{
	const char *kind;
	const char *const *required_credentials; /* NULL-terminated */
	const char *const *optional_credentials;
	const char *const *secret_credentials;
	bool is_basic; /* the client's credentials go into a header */

	/*
	 * Where the user's account is asked for, after the API's address, and the
	 * member of the answer that has its number; NULL: nobody needs it.
	 */
	const char *owner_path;
	const char *owner_member;
} ThOauthVendor;

typedef struct ThOauthAnswer
{
	ThVerdict verdict; /* OK, CREDENTIALS, RATE_LIMITED, RETRY, UNKNOWN */
	char *code;        /* "invalid_grant", or NULL */
	char *message;     /* redacted, or NULL */
	TimestampTz retry_at;
	char *token;         /* secret */
	char *refresh_token; /* secret; NULL if there is none, or no new one */
	char *scopes;        /* space separated, or NULL */
	char *subject; /* the account's number, which never changes; or NULL */
	int expires_in;
} ThOauthAnswer;

/* The vendor named "kind", or NULL. */
extern const ThOauthVendor *th_oauth_vendor(const char *kind);

/* "zoom, google, outlook", for messages. Memory: static. */
extern const char *th_oauth_vendor_names(void);

/* The value of a credential, "" if it is not there. */
extern const char *th_oauth_credential(const ThCredential *credentials, int n,
									   const char *name);

/* "url" with {tenant} replaced by that of the credentials. Memory: current context. */
extern char *th_oauth_fill_tenant(const char *url,
								  const ThCredential *credentials, int n);

/* A header value of client_id and client_secret (HTTP Basic); secret. Memory: current context. */
extern char *th_oauth_basic(const ThCredential *credentials, int n);

/*
 * Fills "out" with the exchange of a code, or of a refresh token.
 * Memory: current context.
 */
extern void th_oauth_build_code(const ThOauthVendor *vendor,
								const char *token_url,
								const ThCredential *credentials, int n,
								const char *code, const char *redirect_uri,
								const char *verifier, ThHttpRequest *out);
extern void th_oauth_build_refresh(const ThOauthVendor *vendor,
								   const char *token_url,
								   const ThCredential *credentials, int n,
								   ThHttpRequest *out);

/*
 * Fills "out" with the question whose account a token's user is of, and
 * reads the answer: NULL if it does not say. Never throws for any content.
 * Memory: current context.
 */
extern void th_oauth_build_owner(const ThOauthVendor *vendor,
								 const char *api_url, const char *token,
								 ThHttpRequest *out);
extern char *th_oauth_read_owner(const ThOauthVendor *vendor,
								 const ThHttpResult *result);

/*
 * Reads the answer to a code or a refresh token. UNKNOWN: the code or refresh token may have
 * been used up. Never throws for any content. Memory: current context.
 */
extern void th_oauth_read(const ThHttpResult *result, TimestampTz now,
						  ThOauthAnswer *out);

#endif /* TH_PLATFORM_OAUTH_H */
