/*
 * bounded_file.c
 *	  Reading a small file whole.
 */
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/bounded_file.h"

static int read_descriptor(int descriptor, char *buffer, size_t size,
						   size_t *length, struct stat *status);

int
th_bounded_file_read(const char *path, char *buffer, size_t size,
					 size_t *length, struct stat *status)
{
	/* Without O_NONBLOCK, opening a pipe would wait for its writer. */
	int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int failure;

	*length = 0;
	if (descriptor < 0)
		return errno;
	failure = read_descriptor(descriptor, buffer, size, length, status);
	(void) close(descriptor);
	return failure;
}

static int
read_descriptor(int descriptor, char *buffer, size_t size, size_t *length,
				struct stat *status)
{
	if (fstat(descriptor, status) != 0)
		return errno;
	if (!S_ISREG(status->st_mode))
		return EINVAL;

	for (;;)
	{
		/* One byte more than allowed tells too much from just enough. */
		char extra;
		bool is_full = *length == size;
		ssize_t got = read(descriptor, is_full ? &extra : buffer + *length,
						   is_full ? 1 : size - *length);

		if (got == 0)
			return 0;
		if (got < 0 && errno != EINTR)
			return errno;
		if (got > 0 && is_full)
			return EFBIG;
		if (got > 0)
			*length += (size_t) got;
	}
}
