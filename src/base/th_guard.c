/*
 * th_guard.c
 *	  Foreign objects tied to a memory context, and memory that is wiped.
 *
 * One mechanism for every server version: reset callbacks. The context runs
 * them before it frees its memory, so the guard and the secret, which live
 * in that context, are still there.
 */
#include "postgres.h"

#include <string.h>

#include "storage/shmem.h"
#include "utils/palloc.h"

#include "base/th_error.h"
#include "base/th_guard.h"

struct ThGuard
{
	MemoryContextCallback callback;
	ThGuardFree free_object;
	void *object;
};

typedef struct Secret
{
	MemoryContextCallback callback;
	size_t size;
	char bytes[FLEXIBLE_ARRAY_MEMBER];
} Secret;

static void guard_callback(void *arg);
static void secret_callback(void *arg);

ThGuard *
th_guard_create(MemoryContext context, ThGuardFree free_object)
{
	ThGuard *guard;

	TH_ASSERT_MAY_THROW();
	guard = MemoryContextAllocZero(context, sizeof(ThGuard));
	guard->free_object = free_object;
	guard->callback.func = guard_callback;
	guard->callback.arg = guard;
	MemoryContextRegisterResetCallback(context, &guard->callback);
	return guard;
}

void *
th_guard_store(ThGuard *guard, void *object)
{
	if (guard->object != object)
		th_guard_release(guard);
	guard->object = object;
	return object;
}

void
th_guard_release(ThGuard *guard)
{
	void *object = th_guard_disarm(guard);

	if (object != NULL)
		guard->free_object(object);
}

void *
th_guard_disarm(ThGuard *guard)
{
	void *object = guard->object;

	guard->object = NULL;
	return object;
}

void *
th_guard_secret(MemoryContext context, size_t size)
{
	Secret *secret;

	TH_ASSERT_MAY_THROW();
	secret = MemoryContextAllocZero(context,
									add_size(offsetof(Secret, bytes), size));
	secret->size = size;
	secret->callback.func = secret_callback;
	secret->callback.arg = secret;
	MemoryContextRegisterResetCallback(context, &secret->callback);
	return secret->bytes;
}

char *
th_guard_secret_text(MemoryContext context, const char *text, size_t length)
{
	char *copy = th_guard_secret(context, add_size(length, 1));

	memcpy(copy, text, length);
	return copy;
}

static void
guard_callback(void *arg)
{
	th_guard_release(arg);
}

static void
secret_callback(void *arg)
{
	Secret *secret = arg;

	explicit_bzero(secret->bytes, secret->size);
}
