/*
 * bounded_file.h
 *	  Reading a small file whole.
 */
#ifndef TH_CRYPTO_BOUNDED_FILE_H
#define TH_CRYPTO_BOUNDED_FILE_H

#include <sys/stat.h>

/*
 * Reads the regular file "path" into "buffer"; *length is what was read,
 * *status describes the very file that was. 0 or an errno, of which EINVAL
 * means "not a regular file" and EFBIG "more than size bytes". Symbolic
 * links are followed; a pipe or device is not waited for. Never throws.
 */
extern int th_bounded_file_read(const char *path, char *buffer, size_t size,
								size_t *length, struct stat *status);

#endif /* TH_CRYPTO_BOUNDED_FILE_H */
