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

static void
free_cipher(void *object)
{
	EVP_CIPHER_CTX_free(object);
}
