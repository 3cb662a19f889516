/*
 * envelope.c
 *	  Sealing secrets so that only this row, with our key, can open them.
 *
 * The associated data is the envelope's header (version, key id with its
 * length) followed by the place, so that neither can be exchanged; the
 * length byte keeps the two apart.
 */
#include "postgres.h"

#include <string.h>

#include <openssl/evp.h>

#include "fmgr.h"

#include "base/compat.h"
#include "base/th_error.h"
#include "base/th_guard.h"
#include "crypto/envelope.h"
#include "crypto/keyring.h"
#include "crypto/ossl_error.h"

#define VERSION_BYTE 1
#define FIXED_HEADER 2
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define SECRET_MAX 1048576

/* Parts of an envelope; pointers into it. */
typedef struct Parts
{
	const unsigned char *header;
	int header_length;
	char key_id[TH_KEY_ID_MAX + 1];
	const unsigned char *nonce;
	const unsigned char *ciphertext;
	int length;
	const unsigned char *tag;
} Parts;

static bool split(bytea *envelope, Parts *parts);
static char *decrypt(const Parts *parts, const ThKey *key, const char *place);
static bytea *detoast(bytea *envelope);
pg_noreturn static void raise_corrupted(const char *place);

char *
th_envelope_place(const char *column, int64 clinic_id, int64 id,
				  const char *name)
{
	return psprintf("%s/" INT64_FORMAT "/" INT64_FORMAT "%s%s", column,
					clinic_id, id, name != NULL ? "/" : "",
					name != NULL ? name : "");
}

bytea *
th_envelope_seal(const char *secret, size_t length, const char *place)
{
	const ThKey *key = th_keyring_sealing_key();
	int id_length = (int) strlen(key->id);
	int header_length = FIXED_HEADER + id_length;
	ThGuard *guard;
	EVP_CIPHER_CTX *cipher;
	bytea *envelope;
	unsigned char *header;
	unsigned char *nonce;
	unsigned char *body;
	int size;
	bool is_sealed;

	if (length > SECRET_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("secret is too large")));
	size = VARHDRSZ + header_length + NONCE_BYTES + (int) length + TAG_BYTES;
	envelope = palloc((Size) size);
	SET_VARSIZE(envelope, size);
	header = (unsigned char *) VARDATA(envelope);
	nonce = header + header_length;
	body = nonce + NONCE_BYTES;
	header[0] = VERSION_BYTE;
	header[1] = (unsigned char) id_length;
	memcpy(header + FIXED_HEADER, key->id, (size_t) id_length);
	if (!pg_strong_random(nonce, NONCE_BYTES))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not generate random values")));

	guard = th_ossl_cipher_guard(CurrentMemoryContext);
	th_ossl_begin();
	cipher = th_ossl_cipher(guard);
	is_sealed =
		EVP_EncryptInit_ex(cipher, th_ossl_aes_256_gcm(), NULL, key->bytes,
						   nonce) == 1 &&
		EVP_EncryptUpdate(cipher, NULL, &size, header, header_length) == 1 &&
		EVP_EncryptUpdate(cipher, NULL, &size, (const unsigned char *) place,
						  (int) strlen(place)) == 1 &&
		EVP_EncryptUpdate(cipher, body, &size, (const unsigned char *) secret,
						  (int) length) == 1 &&
		EVP_EncryptFinal_ex(cipher, body + length, &size) == 1 &&
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES,
							body + length) == 1;
	th_guard_release(guard);
	if (!is_sealed)
		th_ossl_raise("seal a secret");
	th_ossl_end();
	return envelope;
}

char *
th_envelope_open(bytea *envelope, const char *place, size_t *length)
{
	Parts parts;
	const ThKey *key;
	char *secret = NULL;

	if (!split(detoast(envelope), &parts))
		raise_corrupted(place);
	key = th_keyring_find(parts.key_id);
	if (key != NULL)
		secret = decrypt(&parts, key, place);
	else
		ereport(ERROR,
				(errcode(ERRCODE_TH_KEY_MISSING),
				 errmsg("key of a stored secret is missing"),
				 errdetail("Key \"%s\" of %s is not in the key ring.",
						   parts.key_id, place),
				 errhint("Copy the key file of the server that stored the "
						 "secret, or connect the account again.")));
	if (secret == NULL)
		raise_corrupted(place);
	if (length != NULL)
		*length = (size_t) parts.length;
	return secret;
}

char *
th_envelope_try_open(bytea *envelope, const char *place, const char **reason)
{
	Parts parts;
	const ThKey *key;
	char *secret;

	*reason = NULL;
	if (!split(detoast(envelope), &parts))
	{
		*reason = "could not decrypt a stored secret";
		return NULL;
	}
	key = th_keyring_try_find(parts.key_id, reason);
	if (key == NULL)
		return NULL;
	secret = decrypt(&parts, key, place);
	if (secret == NULL)
		*reason = "could not decrypt a stored secret";
	return secret;
}

bool
th_envelope_is_current(bytea *envelope)
{
	Parts parts;

	if (!split(detoast(envelope), &parts))
		return false;
	return strcmp(parts.key_id, th_keyring_sealing_key()->id) == 0;
}

/* False if the bytes cannot be an envelope of ours. */
static bool
split(bytea *envelope, Parts *parts)
{
	const unsigned char *bytes = (const unsigned char *) VARDATA_ANY(envelope);
	int size = (int) VARSIZE_ANY_EXHDR(envelope);
	int id_length;

	if (size < FIXED_HEADER || bytes[0] != VERSION_BYTE)
		return false;
	id_length = bytes[1];
	parts->header = bytes;
	parts->header_length = FIXED_HEADER + id_length;
	parts->length = size - parts->header_length - NONCE_BYTES - TAG_BYTES;
	if (parts->length < 0 || parts->length > SECRET_MAX ||
		id_length > TH_KEY_ID_MAX ||
		!th_keyring_is_id((const char *) bytes + FIXED_HEADER,
						  (size_t) id_length))
		return false;
	memcpy(parts->key_id, bytes + FIXED_HEADER, (size_t) id_length);
	parts->key_id[id_length] = '\0';
	parts->nonce = bytes + parts->header_length;
	parts->ciphertext = parts->nonce + NONCE_BYTES;
	parts->tag = parts->ciphertext + parts->length;
	return true;
}

/*
 * The secret in wiped memory, or NULL if the tag does not match. What was
 * decrypted before the tag was checked is never handed out.
 */
static char *
decrypt(const Parts *parts, const ThKey *key, const char *place)
{
	char *secret = th_guard_secret(CurrentMemoryContext,
								   (size_t) parts->length + 1);
	ThGuard *guard = th_ossl_cipher_guard(CurrentMemoryContext);
	unsigned char *body = (unsigned char *) secret;
	unsigned char tag[TAG_BYTES];
	EVP_CIPHER_CTX *cipher;
	bool is_ready;
	bool is_genuine;
	int size;

	/* OpenSSL takes the expected tag through a pointer that is not const. */
	memcpy(tag, parts->tag, TAG_BYTES);
	th_ossl_begin();
	cipher = th_ossl_cipher(guard);
	is_ready =
		EVP_DecryptInit_ex(cipher, th_ossl_aes_256_gcm(), NULL, key->bytes,
						   parts->nonce) == 1 &&
		EVP_DecryptUpdate(cipher, NULL, &size, parts->header,
						  parts->header_length) == 1 &&
		EVP_DecryptUpdate(cipher, NULL, &size, (const unsigned char *) place,
						  (int) strlen(place)) == 1 &&
		EVP_DecryptUpdate(cipher, body, &size, parts->ciphertext,
						  parts->length) == 1 &&
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1;
	is_genuine = is_ready &&
				 EVP_DecryptFinal_ex(cipher, body + parts->length, &size) == 1;
	th_guard_release(guard);
	if (!is_genuine)
		explicit_bzero(secret, (size_t) parts->length);
	if (!is_ready)
		th_ossl_raise("open a secret");
	th_ossl_end();
	return is_genuine ? secret : NULL;
}

static bytea *
detoast(bytea *envelope)
{
	return DatumGetByteaPP(PointerGetDatum(envelope));
}

static void
raise_corrupted(const char *place)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("could not decrypt a stored secret"),
			 errdetail("The authentication tag of %s does not match.", place)));
}
