/*
 * mac.c
 *	  Signatures with a shared secret: HMAC, and comparing without telling.
 */
#include "postgres.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/mac.h"
#include "crypto/ossl_error.h"

/* Looked up once a process instead of in every call. */
static EVP_MAC *
hmac(void)
{
	static EVP_MAC *known = NULL;

	if (known == NULL)
		known = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (known == NULL)
		th_ossl_raise("find HMAC");
	return known;
}

static bool
compute(EVP_MAC_CTX *context, const char *digest, const void *key,
		size_t key_length, const ThMacPart *parts, int n_parts,
		unsigned char *mac, size_t *length)
{
	/* OpenSSL takes no const text here, and does not change it. */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
										 unconstify(char *, digest), 0),
		OSSL_PARAM_construct_end()
	};

	if (EVP_MAC_init(context, key, key_length, params) != 1)
		return false;
	for (int i = 0; i < n_parts; i++)
	{
		if (parts[i].length > 0 &&
			EVP_MAC_update(context, parts[i].data, parts[i].length) != 1)
			return false;
	}
	return EVP_MAC_final(context, mac, length, TH_MAC_MAX_BYTES) == 1;
}

size_t
th_mac_hmac(ThMacHash hash, const void *key, size_t key_length,
			const ThMacPart *parts, int n_parts,
			unsigned char mac[TH_MAC_MAX_BYTES])
{
	EVP_MAC_CTX *context;
	size_t length = 0;
	bool is_done;

	th_ossl_begin();
	context = EVP_MAC_CTX_new(hmac());
	if (context == NULL)
		th_ossl_raise("make a signature");

	/* Nothing throws until the context is freed. */
	is_done = compute(context, hash == TH_MAC_SHA1 ? "SHA1" : "SHA2-256", key,
					  key_length, parts, n_parts, mac, &length);
	EVP_MAC_CTX_free(context);
	if (!is_done)
		th_ossl_raise("make a signature");
	th_ossl_end();
	return length;
}

void
th_mac_hex(const unsigned char *bytes, size_t length, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++)
	{
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 0x0f];
	}
	*text = '\0';
}

bool
th_mac_is_equal(const void *a, const void *b, size_t length)
{
	return CRYPTO_memcmp(a, b, length) == 0;
}

bool
th_mac_is_equal_text(const char *a, const char *b)
{
	size_t length = strlen(a);

	return strlen(b) == length && th_mac_is_equal(a, b, length);
}
