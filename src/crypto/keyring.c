/*
 * keyring.c
 *	  The keys that seal and open envelopes: cache, reading, faults.
 */
#include "postgres.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "base/th_error.h"
#include "base/th_guard.h"
#include "base/th_guc.h"
#include "crypto/bounded_file.h"
#include "crypto/key_command.h"
#include "crypto/key_file.h"
#include "crypto/keyring.h"

#define RING_MAX_BYTES 65536
#define HEX_DIGITS (2 * TH_KEY_BYTES)
#define COMMAND_PAUSE_MS 10000

/* What is wrong with the ring; code 0 if nothing. */
typedef struct Fault
{
	int code;
	const char *message;
	const char *detail;
	const char *hint;
} Fault;

/* The keys, and what they were read from. */
typedef struct Ring
{
	MemoryContext context; /* NULL if nothing was read */
	ThKey *keys;
	int count;
	bool is_from_command;
	char *path;
	struct stat status;
	int64 read_at_ms;
} Ring;

static Ring ring;

/* Of a process that calls th_keyring_warm(); monotonic time of its last try. */
static bool is_warmed_ahead = false;
static bool is_missed = false;
static int64 warmed_at_ms = 0;
static char warm_fault[128];

static bool refresh(bool must_read, Fault *fault);
static bool is_fresh(const char *path, bool must_read);
static bool can_warm(void);
static bool use_warm(Fault *fault);
static bool read_ring(const char *path, Fault *fault);
static bool read_text(const char *path, char *text, size_t *length,
					  struct stat *status, Fault *fault);
static bool check_file(int failure, const char *path, const struct stat *status,
					   Fault *fault);
static bool parse(char *text, size_t length, Ring *result, Fault *fault);
static bool parse_key(char *line, Ring *result);
static const ThKey *lookup(const char *id);
static bool set_fault(Fault *fault, int code, const char *message,
					  const char *detail, const char *hint);
pg_noreturn static void raise_fault(const Fault *fault);

const ThKey *
th_keyring_sealing_key(void)
{
	Fault fault = { 0 };

	if (!refresh(false, &fault))
		raise_fault(&fault);
	return &ring.keys[0];
}

const ThKey *
th_keyring_find(const char *id)
{
	Fault fault = { 0 };
	const ThKey *key;

	if (!refresh(false, &fault))
		raise_fault(&fault);
	key = lookup(id);
	if (key != NULL)
		return key;
	if (!refresh(true, &fault))
		raise_fault(&fault);
	return lookup(id);
}

const ThKey *
th_keyring_try_find(const char *id, const char **reason)
{
	Fault fault = { 0 };
	const ThKey *key;

	*reason = NULL;
	key = refresh(false, &fault) ? lookup(id) : NULL;
	if (key == NULL && fault.code == 0)
		key = refresh(true, &fault) ? lookup(id) : NULL;
	if (key == NULL)
		*reason = fault.code != 0 ? fault.message
								  : "key of a stored secret is missing";
	return key;
}

char *
th_keyring_status(const char **source)
{
	Fault fault = { 0 };

	*source = th_key_file_is_used() ? th_key_file_path()
									: "telehealth.key_command";
	return pstrdup(refresh(false, &fault) ? "ok" : fault.message);
}

void
th_keyring_warm(void)
{
	Fault fault = { 0 };

	is_warmed_ahead = false;
	if (!th_key_file_is_used() && can_warm() &&
		(is_missed || ring.context == NULL || !ring.is_from_command))
	{
		is_missed = false;
		warmed_at_ms = Max(th_clock_monotonic_ms(), 1);
		warm_fault[0] = '\0';
		if (!refresh(true, &fault))
			strlcpy(warm_fault, fault.message, sizeof(warm_fault));
	}
	is_warmed_ahead = true;
}

bool
th_keyring_is_behind(void)
{
	return is_missed && can_warm();
}

/* No more often than every ten seconds. */
static bool
can_warm(void)
{
	return warmed_at_ms == 0 ||
		   th_clock_monotonic_ms() - warmed_at_ms >= COMMAND_PAUSE_MS;
}

/* The command's keys as th_keyring_warm() found them, if it did. */
static bool
use_warm(Fault *fault)
{
	is_missed = true;
	if (ring.context != NULL && ring.is_from_command)
		return true;
	return set_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
					 warm_fault[0] != '\0' ? warm_fault
										   : "key command was not run yet",
					 "The command is the one in \"telehealth.key_command\".",
					 NULL);
}

void
th_keyring_forget(void)
{
	MemoryContext context = ring.context;

	memset(&ring, 0, sizeof(ring));
	if (context != NULL)
		MemoryContextDelete(context);
}

bool
th_keyring_is_id(const char *id, size_t length)
{
	size_t i;

	if (length == 0 || length > TH_KEY_ID_MAX)
		return false;
	for (i = 0; i < length; i++)
		if (!(id[i] >= 'a' && id[i] <= 'z') &&
			!(id[i] >= 'A' && id[i] <= 'Z') &&
			!(id[i] >= '0' && id[i] <= '9') && id[i] != '-' && id[i] != '_' &&
			id[i] != '.')
			return false;
	return true;
}

/*
 * Makes "ring" the present one. What was read before is not used once its
 * source is gone or bad: sealing with a key that no longer is anywhere else
 * would lose the secret at the next start.
 */
static bool
refresh(bool must_read, Fault *fault)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	const char *path = NULL;
	bool is_good;

	/* Every child of the postmaster would inherit what it reads. */
	if (IsPostmasterEnvironment && !IsUnderPostmaster)
		elog(ERROR, "telehealth key ring is not for the postmaster");

	if (th_key_file_is_used())
		path = th_key_file_path();
	if (is_fresh(path, must_read))
		return true;
	if (path == NULL && is_warmed_ahead)
		return use_warm(fault);

	scratch = AllocSetContextCreate(caller, "telehealth key text",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scratch);
	is_good = read_ring(path, fault);
	MemoryContextSwitchTo(caller);
	if (!is_good)
	{
		th_keyring_forget();
		fault->message = pstrdup(fault->message);
		fault->detail = pstrdup(fault->detail);
	}
	MemoryContextDelete(scratch);
	return is_good;
}

/* Whether what was read can still be used; "path" is NULL for a command. */
static bool
is_fresh(const char *path, bool must_read)
{
	struct stat status;

	if (ring.context == NULL || ring.is_from_command != (path == NULL))
		return false;
	if (path == NULL)
		return !must_read ||
			   th_clock_monotonic_ms() - ring.read_at_ms < COMMAND_PAUSE_MS;
	return !must_read && strcmp(path, ring.path) == 0 &&
		   stat(path, &status) == 0 && status.st_dev == ring.status.st_dev &&
		   status.st_ino == ring.status.st_ino &&
		   status.st_size == ring.status.st_size &&
		   status.st_mtim.tv_sec == ring.status.st_mtim.tv_sec &&
		   status.st_mtim.tv_nsec == ring.status.st_mtim.tv_nsec &&
		   status.st_ctim.tv_sec == ring.status.st_ctim.tv_sec &&
		   status.st_ctim.tv_nsec == ring.status.st_ctim.tv_nsec;
}

/* Reads the source into "ring". Runs in a scratch context. */
static bool
read_ring(const char *path, Fault *fault)
{
	char *text = th_guard_secret(CurrentMemoryContext, RING_MAX_BYTES + 1);
	size_t length;
	Ring fresh = { 0 };

	if (!read_text(path, text, &length, &fresh.status, fault))
		return false;
	fresh.context = AllocSetContextCreate(CurrentMemoryContext,
										  "telehealth key ring",
										  ALLOCSET_SMALL_SIZES);
	if (!parse(text, length, &fresh, fault))
	{
		const char *where = path != NULL ? path : "telehealth.key_command";

		/* The line was named; never show what it holds. */
		fault->detail = psprintf("The source is \"%s\".", where);
		fault->hint = "Every line must be \"id:64 hexadecimal digits\", and "
					  "every id must occur once.";
		return false;
	}
	fresh.is_from_command = path == NULL;
	if (path != NULL)
		fresh.path = MemoryContextStrdup(fresh.context, path);
	fresh.read_at_ms = th_clock_monotonic_ms();
	th_keyring_forget();
	MemoryContextSetParent(fresh.context, TopMemoryContext);
	ring = fresh;
	return true;
}

static bool
read_text(const char *path, char *text, size_t *length, struct stat *status,
		  Fault *fault)
{
	const char *reason;

	if (path == NULL)
	{
		if (th_key_command_run(th_guc_key_command, text, RING_MAX_BYTES, length,
							   &reason))
			return true;
		return set_fault(
			fault, ERRCODE_CONFIG_FILE_ERROR, reason,
			"The command is the one in \"telehealth.key_command\".", NULL);
	}
	return check_file(th_bounded_file_read(path, text, RING_MAX_BYTES, length,
										   status),
					  path, status, fault);
}

/* Turns what came of reading the file into a fault, if it is one. */
static bool
check_file(int failure, const char *path, const struct stat *status,
		   Fault *fault)
{
	const char *detail = psprintf("The file is \"%s\".", path);
	mode_t forbidden = S_IRWXG | S_IRWXO;

	if (failure == ENOENT || failure == ENOTDIR)
		return set_fault(fault, ERRCODE_TH_KEY_MISSING, "key file is missing",
						 detail,
						 "Copy the key file of the server that stored the "
						 "secrets. A new one is made only while no secret "
						 "is stored.");
	if (failure == EINVAL)
		return set_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
						 "key file is not a regular file", detail, NULL);
	if (failure == EFBIG)
		return set_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
						 "key file is too large", detail, NULL);
	if (failure != 0)
	{
		errno = failure;
		return set_fault(fault,
						 failure == EACCES || failure == EPERM ||
								 failure == ELOOP
							 ? ERRCODE_CONFIG_FILE_ERROR
							 : ERRCODE_SYSTEM_ERROR,
						 psprintf("could not read the key file: %m"), detail,
						 NULL);
	}
	if (status->st_uid != geteuid() && status->st_uid != 0)
		return set_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
						 "key file belongs to another user", detail,
						 "Its owner must be the user that runs the server.");

	/* As for the server's TLS key: root may share a file with our group. */
	if (status->st_uid == 0)
		forbidden = S_IWGRP | S_IXGRP | S_IRWXO;
	if ((status->st_mode & forbidden) != 0)
		return set_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
						 "key file is accessible to others",
						 psprintf("The file is \"%s\" and its mode is %04o.",
								  path, (unsigned) status->st_mode & 07777),
						 "Set its mode to 0600.");
	return true;
}

/* Fills the keys of "result", whose context is there. Writes into "text". */
static bool
parse(char *text, size_t length, Ring *result, Fault *fault)
{
	int lines = 1;
	int number = 0;
	char *end = text + length;
	char *line;
	char *next;
	size_t i;

	for (i = 0; i < length; i++)
		if (text[i] == '\n')
			lines++;
	result->keys = th_guard_secret(result->context,
								   sizeof(ThKey) * (size_t) lines);
	*end = '\0';
	for (line = text; line < end; line = next)
	{
		char *stop = memchr(line, '\n', (size_t) (end - line));
		char *last = stop != NULL ? stop : end;

		next = last + 1;
		number++;
		while (last > line && (last[-1] == '\r' || last[-1] == ' '))
			last--;
		*last = '\0';
		if (last == line || *line == '#')
			continue;
		if (strlen(line) != (size_t) (last - line) || !parse_key(line, result))
			return set_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
							 psprintf("line %d of the key ring is invalid",
									  number),
							 "", NULL);
	}
	if (result->count == 0)
		return set_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
						 "key ring has no key", "", NULL);
	return true;
}

/* Adds the key on a line, zero-terminated here, to "result". */
static bool
parse_key(char *line, Ring *result)
{
	ThKey *key = &result->keys[result->count];
	char *hex = strchr(line, ':');
	int i;

	if (hex == NULL || !th_keyring_is_id(line, (size_t) (hex - line)))
		return false;
	*hex++ = '\0';
	if ((int) strlen(hex) != HEX_DIGITS)
		return false;
	for (i = 0; i < HEX_DIGITS; i++)
	{
		unsigned char c = (unsigned char) hex[i];
		int digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10;
		else
			return false;
		key->bytes[i / 2] = (unsigned char) ((key->bytes[i / 2] << 4) | digit);
	}
	for (i = 0; i < result->count; i++)
		if (strcmp(result->keys[i].id, line) == 0)
			return false;
	strlcpy(key->id, line, sizeof(key->id));
	result->count++;
	return true;
}

static const ThKey *
lookup(const char *id)
{
	int i;

	for (i = 0; i < ring.count; i++)
		if (strcmp(ring.keys[i].id, id) == 0)
			return &ring.keys[i];
	return NULL;
}

/* Always false, so that a check can return it. */
static bool
set_fault(Fault *fault, int code, const char *message, const char *detail,
		  const char *hint)
{
	fault->code = code;
	fault->message = message;
	fault->detail = detail;
	fault->hint = hint;
	return false;
}

static void
raise_fault(const Fault *fault)
{
	ereport(ERROR, (errcode(fault->code), errmsg_internal("%s", fault->message),
					errdetail_internal("%s", fault->detail),
					fault->hint != NULL ? errhint("%s", fault->hint) : 0));
}
