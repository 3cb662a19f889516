/*
 * clock_step.c
 *	  Lets a test step the clocks of a server: an LD_PRELOAD library that adds
 *	  to them what the file CLOCK_STEP_FILE says, in seconds: to the wall clock
 *	  its first number, to the monotonic clock its second, if there is one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The file's bytes, two longs, shared by all processes; NULL: no step. */
static volatile const long *step;

static __attribute__((constructor)) void
open_step(void)
{
	const char *name = getenv("CLOCK_STEP_FILE");
	int file = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
	void *map;

	if (file < 0)
		return;
	map = mmap(NULL, 2 * sizeof(long), PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (map != MAP_FAILED)
		step = map;
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
	result = real(id, now);
	if (result == 0 && step != NULL && id == CLOCK_REALTIME)
		now->tv_sec += step[0];
	if (result == 0 && step != NULL && id == CLOCK_MONOTONIC)
		now->tv_sec += step[1];
	return result;
}

int
gettimeofday(struct timeval *now, void *zone)
{
	struct timespec exact;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
		return -1;
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}
