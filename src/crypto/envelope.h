/*
 * envelope.h
 *	  Sealing secrets so that only this row, with our key, can open them.
 *
 * AES-256-GCM. Layout: version byte 1, length byte and bytes of the key id,
 * 12 byte nonce, ciphertext, 16 byte tag. Associated data: all before the
 * nonce, then "place", the table, column and row the envelope belongs to, so
 * that an envelope moved to another row does not open.
 *
 * Backends and workers, in any phase, never the postmaster.
 */
#ifndef TH_CRYPTO_ENVELOPE_H
#define TH_CRYPTO_ENVELOPE_H

#include "fmgr.h"

/*
 * "place" of a column of a row: "schema.table.column/clinic/id[/name]".
 * Memory: current context.
 */
extern char *th_envelope_place(const char *column, int64 clinic_id, int64 id,
							   const char *name);

/*
 * The envelope of "length" bytes of "secret".
 * Memory: current context. Errors: those of th_keyring_sealing_key(),
 * program_limit_exceeded (more than 1 MB), internal error of OpenSSL.
 */
extern bytea *th_envelope_seal(const char *secret, size_t length,
							   const char *place);

/*
 * The secret in "envelope", zero-terminated, in wiped memory (th_guard_secret)
 * of the current context; *length may be NULL.
 * Errors: ERRCODE_TH_KEY_MISSING when its key is not in the ring,
 * ERRCODE_DATA_CORRUPTED when the tag does not match ("could not decrypt a
 * stored secret"; names "place"), those of th_keyring_find().
 */
extern char *th_envelope_open(bytea *envelope, const char *place,
							  size_t *length);

/*
 * Like th_envelope_open(), but NULL for every one of those errors, also for
 * a tag that does not match, with *reason their message, fit for a row
 * (NULL if opened).
 */
extern char *th_envelope_try_open(bytea *envelope, const char *place,
								  const char **reason);

/* True if the envelope is sealed with the ring's first key. Errors: as th_envelope_open. */
extern bool th_envelope_is_current(bytea *envelope);

#endif /* TH_CRYPTO_ENVELOPE_H */
