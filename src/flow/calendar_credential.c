/*
 * calendar_credential.c
 *	  Secrets of calendar connections between their rows and their use.
 */
#include "postgres.h"

#include "crypto/envelope.h"
#include "flow/calendar_credential.h"
#include "store/connection_found.h"
#include "store/oauth.h"

void
th_calendar_credential_store(int64 clinic_id, int64 id,
							 const ThCredential *credentials, int n)
{
	for (int i = 0; i < n; i++)
	{
		const ThCredential *c = &credentials[i];
		const char *place = th_envelope_place(TH_CONNECTION_SECRET_COLUMN,
											  clinic_id, id, c->name);

		th_connection_put_secret(clinic_id, id, c->name,
								 th_envelope_seal(c->value, strlen(c->value),
												  place));
	}
}

/* Appends what opens of "sealed"; false with *reason if one does not. */
static bool
open_all(const ThSealed *sealed, int n, const char *column, int64 clinic_id,
		 int64 id, ThCredential *credentials, const char **reason)
{
	for (int i = 0; i < n; i++)
	{
		credentials[i].name = sealed[i].name;
		credentials[i].value = th_envelope_try_open(
			sealed[i].envelope,
			th_envelope_place(column, clinic_id, id, sealed[i].name), reason);
		if (credentials[i].value == NULL)
			return false;
	}
	return true;
}

int
th_calendar_credential_open(const ThConnection *connection,
							ThCredential **credentials, const char **reason)
{
	ThSealed *own;
	ThSealed *clients = NULL;
	int n_own = th_connection_secrets(connection->clinic_id, connection->id,
									  &own);
	int n_clients = 0;

	*reason = NULL;
	if (connection->client_id != 0)
		n_clients = th_oauth_client_secrets(connection->client_clinic_id,
											connection->client_id, &clients);
	*credentials = palloc0_array(ThCredential, Max(n_own + n_clients, 1));
	if (!open_all(own, n_own, TH_CONNECTION_SECRET_COLUMN,
				  connection->clinic_id, connection->id, *credentials,
				  reason) ||
		!open_all(clients, n_clients, TH_OAUTH_SECRET_COLUMN,
				  connection->client_clinic_id, connection->client_id,
				  *credentials + n_own, reason))
		return -1;
	return n_own + n_clients;
}

bool
th_calendar_credential_is(int64 clinic_id, int64 id, const char *name,
						  const ThCredential *credentials, int n)
{
	ThSealed *sealed;
	int n_sealed = th_connection_secrets(clinic_id, id, &sealed);
	const char *reason;
	ThCredential former;

	for (int i = 0; i < n_sealed; i++)
	{
		if (strcmp(sealed[i].name, name) != 0)
			continue;
		if (!open_all(&sealed[i], 1, TH_CONNECTION_SECRET_COLUMN, clinic_id, id,
					  &former, &reason))
			return false;
		for (int j = 0; j < n; j++)
			if (strcmp(credentials[j].name, name) == 0)
				return strcmp(credentials[j].value, former.value) == 0;
	}
	return true;
}

/* The row stays locked between the look and the write, see th_credential_rotate(). */
bool
th_calendar_credential_rotate(int64 clinic_id, int64 id, const char *used,
							  const char *fresh)
{
	static const char name[] = "refresh_token";
	ThCredential rotated = { name, fresh };
	bytea *envelope = th_connection_lock_secret(clinic_id, id, name);
	const char *reason;
	char *stored;

	if (envelope == NULL)
		return false;
	stored = th_envelope_try_open(envelope,
								  th_envelope_place(TH_CONNECTION_SECRET_COLUMN,
													clinic_id, id, name),
								  &reason);
	if (stored == NULL || strcmp(stored, used) != 0)
		return false;
	th_calendar_credential_store(clinic_id, id, &rotated, 1);
	return true;
}

static char *
open_token(int64 clinic_id, int64 id, bytea *envelope)
{
	const char *reason;

	if (envelope == NULL)
		return NULL;
	return th_envelope_try_open(envelope,
								th_envelope_place(TH_CONNECTION_TOKEN_COLUMN,
												  clinic_id, id, NULL),
								&reason);
}

char *
th_calendar_credential_token(int64 clinic_id, int64 id, TimestampTz after,
							 TimestampTz *expires_at, char **scopes)
{
	return open_token(clinic_id, id,
					  th_connection_token(clinic_id, id, after, expires_at,
										  scopes));
}

char *
th_calendar_credential_former(int64 clinic_id, int64 id, TimestampTz after)
{
	return open_token(clinic_id, id,
					  th_connection_former(clinic_id, id, after));
}

void
th_calendar_credential_store_token(int64 clinic_id, int64 id,
								   TimestampTz connected_at, const char *token,
								   const char *scopes, const char *subject,
								   TimestampTz expires_at)
{
	bytea *envelope = th_envelope_seal(
		token, strlen(token),
		th_envelope_place(TH_CONNECTION_TOKEN_COLUMN, clinic_id, id, NULL));

	th_connection_put_token(clinic_id, id, connected_at, envelope, scopes,
							subject, expires_at);
}
