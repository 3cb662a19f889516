/*
 * credential.c
 *	  Secrets of accounts between their rows and their use.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "crypto/envelope.h"
#include "crypto/token.h"
#include "flow/credential.h"
#include "store/account_grant.h"

/* The credential that is the account's own number at the platform. */
static const struct
{
	const char *platform;
	const char *name;
} numbers[] = {
	{ "zoom", "account_id" },
	{ "twilio", "account_sid" },
};

static const char *
find_value(const ThCredential *credentials, int n, const char *name)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(credentials[i].name, name) == 0)
			return credentials[i].value;
	}
	return NULL;
}

/* The stored secret of that name, NULL if there is none that opens. */
static char *
open_stored(int64 clinic_id, const char *platform, const char *name,
			TimestampTz *expires_at)
{
	int64 id = 0;
	bytea *envelope = th_account_secret(clinic_id, platform, name, &id,
										expires_at);
	const char *reason;

	if (envelope == NULL)
		return NULL;
	return th_envelope_try_open(envelope,
								th_envelope_place(TH_ACCOUNT_SECRET_COLUMN,
												  clinic_id, id, name),
								&reason);
}

void
th_credential_find_former(int64 clinic_id, const char *platform,
						  const ThCredential *credentials, int n,
						  ThFormerSecret *former)
{
	const char *next = find_value(credentials, n, TH_WEBHOOK_SECRET);
	char *present;

	former->value = NULL;
	former->expires_at = 0;

	/* without a secret nothing is taken any more, whatever there was */
	if (next == NULL || !th_account_takes_webhooks())
		return;
	present = open_stored(clinic_id, platform, TH_WEBHOOK_SECRET,
						  &former->expires_at);
	if (present != NULL && strcmp(present, next) != 0)
	{
		former->value = present;
		former->expires_at = GetCurrentTimestamp() +
							 TH_FORMER_HOURS * USECS_PER_HOUR;
		return;
	}
	former->value = open_stored(clinic_id, platform, TH_FORMER_WEBHOOK_SECRET,
								&former->expires_at);
}

void
th_credential_store_former(int64 clinic_id, int64 account_id,
						   const ThFormerSecret *former)
{
	const char *place;

	if (former->value == NULL)
		return;
	place = th_envelope_place(TH_ACCOUNT_SECRET_COLUMN, clinic_id, account_id,
							  TH_FORMER_WEBHOOK_SECRET);
	th_account_put_former(clinic_id, account_id, TH_FORMER_WEBHOOK_SECRET,
						  th_envelope_seal(former->value, strlen(former->value),
										   place),
						  former->expires_at);
}

bytea *
th_credential_vendor_key(const char *platform, const char *number)
{
	bytea *key = palloc(VARHDRSZ + TH_SHA256_BYTES);
	char *text = psprintf("%s:%s", platform, number);

	SET_VARSIZE(key, VARHDRSZ + TH_SHA256_BYTES);
	th_sha256(text, strlen(text), (unsigned char *) VARDATA(key));
	return key;
}

void
th_credential_store_vendor_key(int64 clinic_id, int64 account_id,
							   const char *platform,
							   const ThCredential *credentials, int n)
{
	const char *number = NULL;

	if (!th_account_takes_webhooks())
		return;
	for (size_t i = 0; i < lengthof(numbers); i++)
	{
		if (strcmp(numbers[i].platform, platform) == 0)
			number = find_value(credentials, n, numbers[i].name);
	}
	th_account_set_vendor_key(clinic_id, account_id,
							  number == NULL
								  ? NULL
								  : th_credential_vendor_key(platform, number));
}

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

void
th_credential_replace(int64 clinic_id, int64 account_id,
					  const ThCredential *credentials, int n)
{
	for (int i = 0; i < n; i++)
	{
		const ThCredential *c = &credentials[i];
		const char *place = th_envelope_place(TH_ACCOUNT_SECRET_COLUMN,
											  clinic_id, account_id, c->name);

		th_account_replace_secret(clinic_id, account_id, c->name,
								  th_envelope_seal(c->value, strlen(c->value),
												   place));
	}
}

/*
 * The row stays locked between the look and the write, so that a grant made
 * meanwhile is seen; and what is compared is the text, since keys may have
 * been rotated.
 */
bool
th_credential_rotate(int64 clinic_id, int64 account_id, const char *used,
					 const char *fresh)
{
	static const char name[] = "refresh_token";
	ThCredential rotated = { name, fresh };
	bytea *envelope = th_account_lock_secret(clinic_id, account_id, name);
	const char *place = th_envelope_place(TH_ACCOUNT_SECRET_COLUMN, clinic_id,
										  account_id, name);
	const char *reason;
	char *stored;

	if (envelope == NULL)
		return false;
	stored = th_envelope_try_open(envelope, place, &reason);
	if (stored == NULL || strcmp(stored, used) != 0)
		return false;
	th_credential_replace(clinic_id, account_id, &rotated, 1);
	return true;
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
