/*
 * ossl_error.c
 *	  OpenSSL's error queue, and its objects under guard.
 */
#include "postgres.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/compat.h"
#include "crypto/ossl_error.h"

static void free_cipher(void *object);

void
th_ossl_begin(void)
{
	ERR_clear_error();
}

void
th_ossl_end(void)
{
	ERR_clear_error();
}

void
th_ossl_raise(const char *action)
{
	unsigned long code = ERR_get_error();
	const char *reason = NULL;

	/* The reason is a constant text of the library, never data. */
	if (code != 0)
		reason = ERR_reason_error_string(code);
	ERR_clear_error();
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not %s", action),
			 errdetail("OpenSSL reports: %s.",
					   reason != NULL ? reason : "no reason given")));
}

ThGuard *
th_ossl_cipher_guard(MemoryContext context)
{
	return th_guard_create(context, free_cipher);
}

EVP_CIPHER_CTX *
th_ossl_cipher(ThGuard *guard)
{
	EVP_CIPHER_CTX *cipher = th_guard_store(guard, EVP_CIPHER_CTX_new());

	if (cipher == NULL)
		th_ossl_raise("make a cipher context");
	return cipher;
}

const EVP_CIPHER *
th_ossl_aes_256_gcm(void)
{
	static EVP_CIPHER *known = NULL;

	if (known == NULL)
		known = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (known == NULL)
		th_ossl_raise("find AES-256-GCM");
	return known;
}

const EVP_MD *
th_ossl_sha256(void)
{
	static EVP_MD *known = NULL;

	if (known == NULL)
		known = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	if (known == NULL)
		th_ossl_raise("find SHA-256");
	return known;
}

static void
free_cipher(void *object)
{
	EVP_CIPHER_CTX_free(object);
}
