/*
 * mac.h
 *	  Signatures with a shared secret: HMAC, and comparing without telling.
 */
#ifndef TH_CRYPTO_MAC_H
#define TH_CRYPTO_MAC_H

#define TH_MAC_MAX_BYTES 32
#define TH_MAC_MAX_HEX (2 * TH_MAC_MAX_BYTES)

typedef enum ThMacHash
{
	TH_MAC_SHA1,  /* 20 bytes */
	TH_MAC_SHA256 /* 32 bytes */
} ThMacHash;

/* A piece of what is signed; the pieces are signed as if they were one. */
typedef struct ThMacPart
{
	const void *data;
	size_t length;
} ThMacPart;

/*
 * HMAC over the parts into "mac"; returns its length in bytes.
 * Errors: internal error of OpenSSL.
 */
extern size_t th_mac_hmac(ThMacHash hash, const void *key, size_t key_length,
						  const ThMacPart *parts, int n_parts,
						  unsigned char mac[TH_MAC_MAX_BYTES]);

/* "length" bytes as lower-case hex digits and a zero byte into "text". Never throws. */
extern void th_mac_hex(const unsigned char *bytes, size_t length, char *text);

/* True if both are the same; takes as long for any contents. Never throws. */
extern bool th_mac_is_equal(const void *a, const void *b, size_t length);

/* The same for texts; their lengths are no secret. Never throws. */
extern bool th_mac_is_equal_text(const char *a, const char *b);

#endif /* TH_CRYPTO_MAC_H */
