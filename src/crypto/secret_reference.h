/*
 * secret_reference.h
 *	  "file:/path" and "env:NAME": secrets that are not in the statement.
 */
#ifndef TH_CRYPTO_SECRET_REFERENCE_H
#define TH_CRYPTO_SECRET_REFERENCE_H

/* True if "value" begins with file: or env:. */
extern bool th_secret_is_reference(const char *value);

/*
 * The secret that "value" refers to (a file's content without one trailing
 * line end, at most 64 kB; a variable of the server's environment), or a copy
 * of "value" itself if it is no reference. The caller has checked that the
 * user may read server files.
 * Memory: wiped memory of the current context. Errors: undefined_file or the
 * code of another file error, undefined_object (variable),
 * invalid_parameter_value (relative path, not a regular file, empty, zero
 * byte, not in the database's encoding), program_limit_exceeded.
 */
extern char *th_secret_resolve(const char *value);

#endif /* TH_CRYPTO_SECRET_REFERENCE_H */
