/*
 * calendar_credential.h
 *	  Secrets of calendar connections between their rows and their use.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_FLOW_CALENDAR_CREDENTIAL_H
#define TH_FLOW_CALENDAR_CREDENTIAL_H

#include "platform/platform.h"
#include "store/connection.h"

/* Seals and stores secrets in the place of those of the same names. Errors: those of envelope.h and keyring.h. */
extern void th_calendar_credential_store(int64 clinic_id, int64 id,
										 const ThCredential *credentials,
										 int n);

/*
 * Opens the secrets of a connection, and those of its OAuth client, into
 * *credentials and returns their number; -1 with *reason if one does not
 * open. Memory: wiped memory of the current context.
 */
extern int th_calendar_credential_open(const ThConnection *connection,
									   ThCredential **credentials,
									   const char **reason);

/* As th_credential_rotate(), th_credential_token() and th_credential_store_token(). */
extern bool th_calendar_credential_rotate(int64 clinic_id, int64 id,
										  const char *used, const char *fresh);
extern char *th_calendar_credential_token(int64 clinic_id, int64 id,
										  TimestampTz after,
										  TimestampTz *expires_at,
										  char **scopes);
extern void th_calendar_credential_store_token(
	int64 clinic_id, int64 id, TimestampTz connected_at, const char *token,
	const char *scopes, const char *subject, TimestampTz expires_at);

/*
 * The token of the grant that the present one took the place of, while
 * channels of its are to be stopped; or NULL. Memory: wiped memory of the
 * current context.
 */
extern char *th_calendar_credential_former(int64 clinic_id, int64 id,
										   TimestampTz after);

/*
 * False if the connection's stored secret of that name is another than the
 * given one, or cannot be opened; true without either.
 * Where: in a transaction, as the owner.
 */
extern bool th_calendar_credential_is(int64 clinic_id, int64 id,
									  const char *name,
									  const ThCredential *credentials, int n);

#endif /* TH_FLOW_CALENDAR_CREDENTIAL_H */
