/*
 * token.c
 *	  Random text and digests.
 */
#include "postgres.h"

#include <limits.h>
#include <string.h>

#include "utils/memutils.h"

#include <openssl/evp.h>

#include "base/compat.h"
#include "base/th_guard.h"
#include "crypto/ossl_error.h"
#include "crypto/token.h"

#define PASSCODE_LENGTH 10
#define VERIFIER_BYTES 32

/* Random bytes drawn at once for a passcode: nearly always enough. */
#define POOL_BYTES 24

static void random_bytes(void *bytes, size_t length);
static char random_letter(unsigned char *pool, int *left);

char *
th_token_hex(int bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = palloc((Size) bytes * 2 + 1);
	unsigned char *random = palloc((Size) bytes);
	char *end = text;
	int i;

	random_bytes(random, (size_t) bytes);
	for (i = 0; i < bytes; i++)
	{
		*end++ = digits[random[i] >> 4];
		*end++ = digits[random[i] & 0x0f];
	}
	*end = '\0';
	explicit_bzero(random, (size_t) bytes);
	pfree(random);
	return text;
}

/*
 * Whole passcodes are drawn again until one has all three kinds (four of
 * five have): mending a bad one would favour some passcodes over others.
 */
char *
th_token_passcode(void)
{
	char *text = th_guard_secret(CurrentMemoryContext, PASSCODE_LENGTH + 1);
	unsigned char pool[POOL_BYTES] = { 0 };
	int left = 0;

	for (;;)
	{
		bool has_upper = false;
		bool has_lower = false;
		bool has_digit = false;
		int i;

		for (i = 0; i < PASSCODE_LENGTH; i++)
		{
			char c = random_letter(pool, &left);

			text[i] = c;
			has_upper |= c >= 'A' && c <= 'Z';
			has_lower |= c >= 'a' && c <= 'z';
			has_digit |= c >= '0' && c <= '9';
		}
		if (has_upper && has_lower && has_digit)
			break;
	}
	explicit_bzero(pool, sizeof(pool));
	return text;
}

void
th_sha256(const void *data, size_t length,
		  unsigned char digest[TH_SHA256_BYTES])
{
	unsigned int size = 0;

	th_ossl_begin();
	if (EVP_Digest(data, length, digest, &size, th_ossl_sha256(), NULL) != 1 ||
		size != TH_SHA256_BYTES)
		th_ossl_raise("compute a digest");
	th_ossl_end();
}

char *
th_token_base64(const char *data, size_t length)
{
	char *text;

	if (length > MaxAllocSize / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("text is too large to encode")));
	text = th_guard_secret(CurrentMemoryContext, (length + 2) / 3 * 4 + 1);
	(void) EVP_EncodeBlock((unsigned char *) text, (const unsigned char *) data,
						   (int) length);
	return text;
}

/* Base64 becomes base64url without padding, in place. */
static void
make_url_safe(char *text)
{
	char *end = text;

	for (; *end != '\0' && *end != '='; end++)
	{
		if (*end == '+')
			*end = '-';
		else if (*end == '/')
			*end = '_';
	}
	*end = '\0';
}

char *
th_token_verifier(void)
{
	unsigned char random[VERIFIER_BYTES];
	char *text;

	random_bytes(random, sizeof(random));
	text = th_token_base64((const char *) random, sizeof(random));
	explicit_bzero(random, sizeof(random));
	make_url_safe(text);
	return text;
}

char *
th_token_challenge(const char *verifier)
{
	unsigned char digest[TH_SHA256_BYTES];
	char *text;

	th_sha256(verifier, strlen(verifier), digest);
	text = th_token_base64((const char *) digest, sizeof(digest));
	make_url_safe(text);
	return text;
}

static void
random_bytes(void *bytes, size_t length)
{
	if (!pg_strong_random(bytes, length))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not generate random values")));
}

/*
 * One of the letters and digits that cannot be taken for another. "pool"
 * holds "left" random bytes that were not used yet.
 */
static char
random_letter(unsigned char *pool, int *left)
{
	static const char letters[] =
		"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
	const int count = (int) sizeof(letters) - 1;
	unsigned char byte;

	/* Bytes past the last whole multiple would favour the first letters. */
	do
	{
		if (*left == 0)
		{
			random_bytes(pool, POOL_BYTES);
			*left = POOL_BYTES;
		}
		byte = pool[--*left];
	} while (byte >= UCHAR_MAX + 1 - (UCHAR_MAX + 1) % count);
	return letters[byte % count];
}
