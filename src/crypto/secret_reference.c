/*
 * secret_reference.c
 *	  "file:/path" and "env:NAME": secrets that are not in the statement.
 */
#include "postgres.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mb/pg_wchar.h"

#include "base/compat.h"
#include "base/th_guard.h"
#include "crypto/bounded_file.h"
#include "crypto/secret_reference.h"

#define FILE_PREFIX "file:"
#define ENV_PREFIX "env:"
#define SECRET_MAX_BYTES 65536

static char *from_file(const char *path);
static char *from_environment(const char *name);
static char *checked(const char *text, size_t length, const char *source);
pg_noreturn static void raise_invalid(const char *message, const char *source);

bool
th_secret_is_reference(const char *value)
{
	return strncmp(value, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 ||
		   strncmp(value, ENV_PREFIX, strlen(ENV_PREFIX)) == 0;
}

char *
th_secret_resolve(const char *value)
{
	if (strncmp(value, FILE_PREFIX, strlen(FILE_PREFIX)) == 0)
		return from_file(value + strlen(FILE_PREFIX));
	if (strncmp(value, ENV_PREFIX, strlen(ENV_PREFIX)) == 0)
		return from_environment(value + strlen(ENV_PREFIX));
	return th_guard_secret_text(CurrentMemoryContext, value, strlen(value));
}

static char *
from_file(const char *path)
{
	struct stat status;
	char *text;
	size_t length;
	int failure;

	if (!is_absolute_path(path))
		raise_invalid("path of a secret's file is not absolute", path);

	/* One trailing line end may stand after the longest secret. */
	text = th_guard_secret(CurrentMemoryContext, SECRET_MAX_BYTES + 2);
	failure = th_bounded_file_read(path, text, SECRET_MAX_BYTES + 2, &length,
								   &status);
	if (failure == EINVAL)
		raise_invalid("secret's file is not a regular file", path);
	if (failure == 0)
	{
		if (length > 0 && text[length - 1] == '\n')
			length--;
		if (length > 0 && text[length - 1] == '\r')
			length--;
	}
	if (failure == EFBIG || length > SECRET_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("secret's file is too large"),
						errdetail("The file is \"%s\".", path)));
	if (failure != 0)
	{
		errno = failure;
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read a secret's file: %m"),
						errdetail("The file is \"%s\".", path)));
	}
	return checked(text, length, path);
}

static char *
from_environment(const char *name)
{
	const char *text = NULL;
	size_t length = 0;

	if (*name == '\0' || strchr(name, '=') != NULL)
		raise_invalid("name of a secret's variable is invalid", name);
	text = getenv(name);
	if (text != NULL)
		length = strlen(text);
	else
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("secret's variable is not set"),
				 errdetail("The variable is \"%s\".", name),
				 errhint("It must be in the environment in which the server "
						 "was started.")));
	if (length > SECRET_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("secret's variable is too large"),
						errdetail("The variable is \"%s\".", name)));
	return checked(text, length, name);
}

/* A copy of the secret, which is text, not empty, in the server's encoding. */
static char *
checked(const char *text, size_t length, const char *source)
{
	if (length == 0)
		raise_invalid("secret is empty", source);
	if (memchr(text, '\0', length) != NULL ||
		!pg_verify_mbstr(GetDatabaseEncoding(), text, (int) length, true))
		raise_invalid("secret is not text in the database's encoding", source);
	return th_guard_secret_text(CurrentMemoryContext, text, length);
}

static void
raise_invalid(const char *message, const char *source)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg_internal("%s", message),
					errdetail("The reference is to \"%s\".", source)));
}
