/*
 * credential.c
 *	  Secrets of accounts between their rows and their use.
 */
#include "postgres.h"

#include "crypto/envelope.h"
#include "flow/credential.h"

void
th_credential_store(int64 clinic_id, int64 account_id,
					const ThCredential *credentials, int n)
{
	for (int i = 0; i < n; i++)
	{
		const ThCredential *c = &credentials[i];
		const char *place = th_envelope_place(TH_ACCOUNT_SECRET_COLUMN,
											  clinic_id, account_id, c->name);

		th_account_put_secret(clinic_id, account_id, c->name,
							  th_envelope_seal(c->value, strlen(c->value),
											   place));
	}
}

int
th_credential_open(int64 clinic_id, int64 account_id,
				   ThCredential **credentials, const char **reason)
{
	ThSealed *sealed;
	int n = th_account_secrets(clinic_id, account_id, &sealed);

	*reason = NULL;
	*credentials = palloc0_array(ThCredential, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const char *place = th_envelope_place(TH_ACCOUNT_SECRET_COLUMN,
											  clinic_id, account_id,
											  sealed[i].name);

		(*credentials)[i].name = sealed[i].name;
		(*credentials)[i].value = th_envelope_try_open(sealed[i].envelope,
													   place, reason);
		if ((*credentials)[i].value == NULL)
			return -1;
	}
	return n;
}

char *
th_credential_token(int64 clinic_id, int64 account_id, TimestampTz after,
					TimestampTz *expires_at, char **scopes, int *skew_ms)
{
	bytea *envelope = th_account_token(clinic_id, account_id, after, expires_at,
									   scopes, skew_ms);
	const char *reason;

	if (envelope == NULL)
		return NULL;
	return th_envelope_try_open(envelope,
								th_envelope_place(TH_TOKEN_COLUMN, clinic_id,
												  account_id, NULL),
								&reason);
}

void
th_credential_store_token(int64 clinic_id, int64 account_id,
						  TimestampTz connected_at, const char *token,
						  const char *scopes, TimestampTz expires_at,
						  int skew_ms)
{
	bytea *envelope = th_envelope_seal(token, strlen(token),
									   th_envelope_place(TH_TOKEN_COLUMN,
														 clinic_id, account_id,
														 NULL));

	th_account_put_token(clinic_id, account_id, connected_at, envelope, scopes,
						 expires_at, skew_ms);
}
