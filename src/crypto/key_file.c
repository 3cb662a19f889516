/*
 * key_file.c
 *	  Where the key file is, and making the first one.
 */
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"

#include "base/compat.h"
#include "base/th_guard.h"
#include "base/th_guc.h"
#include "crypto/key_file.h"
#include "crypto/keyring.h"
#include "crypto/token.h"

#define DEFAULT_FILE "telehealth.key"

static char *new_line(void);
static int write_file(const char *path, const char *text);
static void sync_directory(const char *path);
pg_noreturn static void raise_file_error(const char *path);

bool
th_key_file_is_used(void)
{
	return th_guc_key_command == NULL || *th_guc_key_command == '\0';
}

char *
th_key_file_path(void)
{
	const char *name = th_guc_key_file;

	if (name == NULL || *name == '\0')
		name = DEFAULT_FILE;
	if (is_absolute_path(name))
		return pstrdup(name);
	return psprintf("%s/%s", DataDir, name);
}

/*
 * The name appears by link(2), which never replaces anything, when all of
 * the file is on disk. Of several processes one wins, the others find a file.
 */
bool
th_keyring_create_file(void)
{
	struct stat status;
	char *path;
	char *draft;
	int failure;

	if (!th_key_file_is_used())
		return false;
	path = th_key_file_path();
	if (lstat(path, &status) == 0)
		return false;
	if (errno != ENOENT)
		raise_file_error(path);

	draft = psprintf("%s.%s.tmp", path, th_token_hex(8));
	failure = write_file(draft, new_line());
	if (failure == 0 && link(draft, path) != 0)
		failure = errno;
	(void) unlink(draft);
	if (failure == EEXIST)
		return false;
	if (failure != 0)
	{
		errno = failure;
		raise_file_error(path);
	}
	sync_directory(path);
	ereport(LOG, (errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				  errmsg("telehealth made a new key file"),
				  errdetail("The file is \"%s\".", path),
				  errhint("Keep a copy of it apart from the database's "
						  "backups.")));
	return true;
}

/* A key ring of one random key, in wiped memory. */
static char *
new_line(void)
{
	const size_t size = TH_KEY_ID_MAX + 2 * TH_KEY_BYTES + 3;
	char *line = th_guard_secret(CurrentMemoryContext, size);
	char *hex = th_token_hex(TH_KEY_BYTES);

	snprintf(line, size, "k-%s:%s\n", th_token_hex(4), hex);
	explicit_bzero(hex, strlen(hex));
	return line;
}

/* Writes a new file; 0 or an errno. */
static int
write_file(const char *path, const char *text)
{
	int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
						  S_IRUSR | S_IWUSR);
	size_t left = strlen(text);
	int failure = 0;

	if (descriptor < 0)
		return errno;
	while (left > 0 && failure == 0)
	{
		ssize_t done = write(descriptor, text, left);

		if (done > 0)
		{
			text += done;
			left -= (size_t) done;
		}
		else if (done == 0)
			failure = ENOSPC;
		else if (errno != EINTR)
			failure = errno;
	}
	if (failure == 0 && fsync(descriptor) != 0)
		failure = errno;
	if (close(descriptor) != 0 && failure == 0)
		failure = errno;
	return failure;
}

/*
 * Makes the new name durable. A file system that cannot do it is no reason
 * to fail: the file is there, and it is written whole or not at all.
 */
static void
sync_directory(const char *path)
{
	char *directory = pstrdup(path);
	int descriptor;

	get_parent_directory(directory);
	descriptor = open(*directory != '\0' ? directory : ".",
					  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return;
	(void) fsync(descriptor);
	(void) close(descriptor);
}

static void
raise_file_error(const char *path)
{
	ereport(ERROR, (errcode_for_file_access(),
					errmsg("could not make the key file: %m"),
					errdetail("The file is \"%s\".", path)));
}
