/*
 * token.h
 *	  Random text and digests.
 */
#ifndef TH_CRYPTO_TOKEN_H
#define TH_CRYPTO_TOKEN_H

#define TH_SHA256_BYTES 32

/*
 * "bytes" random bytes as lower-case hex digits. Memory: current context.
 * Errors: internal error when the server's random source fails.
 */
extern char *th_token_hex(int bytes);

/*
 * A meeting passcode of 10 characters, letters and digits without look-alikes
 * (no 0 O 1 l I), with at least one letter of each case and one digit, every
 * one drawn without bias. Memory: current context, wiped with it.
 */
extern char *th_token_passcode(void);

/* SHA-256 of "length" bytes into "digest". Errors: internal error of OpenSSL. */
extern void th_sha256(const void *data, size_t length,
					  unsigned char digest[TH_SHA256_BYTES]);

/*
 * A PKCE verifier (RFC 7636) of 43 characters in wiped memory, and its S256
 * challenge. Memory: current context.
 */
extern char *th_token_verifier(void);
extern char *th_token_challenge(const char *verifier);

/* Base64 without line breaks (for HTTP Basic). Memory: current context, wiped. */
extern char *th_token_base64(const char *data, size_t length);

#endif /* TH_CRYPTO_TOKEN_H */
