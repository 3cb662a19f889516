/*
 * key_command.c
 *	  Running telehealth.key_command.
 *
 * Not popen(): its child cannot be killed, and a key service that hangs
 * would keep the process from ending.
 */
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"

#include "base/compat.h"
#include "base/th_clock.h"
#include "crypto/key_command.h"

#define COMMAND_LIMIT_MS 10000
#define EXIT_POLL_MS 10

extern char **environ;

typedef struct Child
{
	pid_t pid;
	int descriptor;
} Child;

static bool start(Child *child, const char *command);
static const char *read_all(Child *child, char *buffer, size_t size,
							size_t *length, int64 deadline);
static const char *await_end(Child *child, int64 deadline);
static void wait_for(int descriptor, long timeout_ms);
static void end_child(Child *child);
static void end_callback(int code, Datum arg);

bool
th_key_command_run(const char *command, char *buffer, size_t size,
				   size_t *length, const char **reason)
{
	int64 deadline = th_clock_monotonic_ms() + COMMAND_LIMIT_MS;
	Child child;

	*length = 0;
	if (!start(&child, command))
	{
		*reason = "key command could not be started";
		return false;
	}

	/* Also when the process is terminated while it waits. */
	PG_ENSURE_ERROR_CLEANUP(end_callback, PointerGetDatum(&child));
	{
		*reason = read_all(&child, buffer, size, length, deadline);
		if (*reason == NULL)
			*reason = await_end(&child, deadline);
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_callback, PointerGetDatum(&child));
	end_child(&child);

	/* The waits above may have taken the latch's setting from our caller. */
	SetLatch(MyLatch);
	return *reason == NULL;
}

/*
 * Starts a shell in a process group of its own, with default signals and
 * only its output connected to us.
 */
static bool
start(Child *child, const char *command)
{
	char *const arguments[] = { "sh", "-c", unconstify(char *, command), NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;
	int ends[2];
	int failure;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	(void) fcntl(ends[0], F_SETFL, O_NONBLOCK);
	(void) sigemptyset(&none);
	(void) sigfillset(&all);
	(void) posix_spawnattr_init(&attributes);
	(void) posix_spawnattr_setpgroup(&attributes, 0);
	(void) posix_spawnattr_setsigmask(&attributes, &none);
	(void) posix_spawnattr_setsigdefault(&attributes, &all);
	(void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP |
													 POSIX_SPAWN_SETSIGMASK |
													 POSIX_SPAWN_SETSIGDEF);
	(void) posix_spawn_file_actions_init(&actions);
	failure = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO,
											   "/dev/null", O_RDONLY, 0);
	if (failure == 0)
		failure = posix_spawn_file_actions_adddup2(&actions, ends[1],
												   STDOUT_FILENO);
	if (failure == 0)
		failure = posix_spawn(&child->pid, "/bin/sh", &actions, &attributes,
							  arguments, environ);
	(void) posix_spawn_file_actions_destroy(&actions);
	(void) posix_spawnattr_destroy(&attributes);
	(void) close(ends[1]);
	if (failure != 0)
		(void) close(ends[0]);
	child->descriptor = ends[0];
	return failure == 0;
}

/* Reads up to the end of the output; NULL or what went wrong. */
static const char *
read_all(Child *child, char *buffer, size_t size, size_t *length,
		 int64 deadline)
{
	for (;;)
	{
		/* One byte more than allowed tells too much from just enough. */
		char extra;
		bool is_full = *length == size;
		ssize_t got = read(child->descriptor,
						   is_full ? &extra : buffer + *length,
						   is_full ? 1 : size - *length);
		int64 left = deadline - th_clock_monotonic_ms();

		if (got == 0)
			return NULL;
		if (got > 0 && is_full)
			return "key command printed too much";
		if (got > 0)
			*length += (size_t) got;
		else if (errno != EAGAIN && errno != EINTR)
			return "key command's output could not be read";
		if (left <= 0)
			return "key command took too long";
		if (got < 0)
			wait_for(child->descriptor, (long) left);
	}
}

/* Waits until the command, whose output has ended, ends itself. */
static const char *
await_end(Child *child, int64 deadline)
{
	for (;;)
	{
		int status;
		pid_t ended = waitpid(child->pid, &status, WNOHANG);

		if (ended == child->pid)
		{
			child->pid = 0;
			return WIFEXITED(status) && WEXITSTATUS(status) == 0
					   ? NULL
					   : "key command failed";
		}
		if (ended < 0 && errno != EINTR)
		{
			child->pid = 0;
			return "key command's end could not be observed";
		}
		if (th_clock_monotonic_ms() >= deadline)
			return "key command took too long";
		wait_for(PGINVALID_SOCKET, EXIT_POLL_MS);
	}
}

/* Waits for output (if there is a descriptor) and serves interrupts. */
static void
wait_for(int descriptor, long timeout_ms)
{
	int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;

	if (descriptor != PGINVALID_SOCKET)
		events |= WL_SOCKET_READABLE;
	(void) WaitLatchOrSocket(MyLatch, events, descriptor, timeout_ms,
							 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Nothing of the command is left afterwards. */
static void
end_child(Child *child)
{
	(void) close(child->descriptor);
	if (child->pid > 0)
	{
		(void) kill(-child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

static void
end_callback(int code, Datum arg)
{
	(void) code;
	end_child((Child *) DatumGetPointer(arg));
}
