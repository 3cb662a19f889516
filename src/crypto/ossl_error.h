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

#endif /* TH_CRYPTO_OSSL_ERROR_H */
