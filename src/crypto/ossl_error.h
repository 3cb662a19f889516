/*
 * ossl_error.h
 *	  OpenSSL's error queue, which the backend's own TLS shares.
 *
 * th_ossl_begin() before a call, th_ossl_end() or th_ossl_raise() after it,
 * so that nobody finds errors of somebody else.
 */
#ifndef TH_CRYPTO_OSSL_ERROR_H
#define TH_CRYPTO_OSSL_ERROR_H

#include "base/compat.h"
#include "base/th_guard.h"

struct evp_cipher_ctx_st;
struct evp_cipher_st;
struct evp_md_st;

/* Empties the queue. Never throws. */
extern void th_ossl_begin(void);
extern void th_ossl_end(void);

/*
 * Raises ERRCODE_INTERNAL_ERROR "could not <action>" with OpenSSL's reason
 * as detail, the queue emptied.
 */
pg_noreturn extern void th_ossl_raise(const char *action);

/*
 * A new cipher context that "guard" frees; made by th_ossl_cipher_guard().
 * Errors: out of memory.
 */
extern ThGuard *th_ossl_cipher_guard(MemoryContext context);
extern struct evp_cipher_ctx_st *th_ossl_cipher(ThGuard *guard);

/*
 * The two algorithms, looked up once a process instead of in every call.
 * Memory: OpenSSL's, for good. Errors: XX000 if OpenSSL has none.
 */
extern const struct evp_cipher_st *th_ossl_aes_256_gcm(void);
extern const struct evp_md_st *th_ossl_sha256(void);

#endif /* TH_CRYPTO_OSSL_ERROR_H */
