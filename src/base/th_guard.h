/*
 * th_guard.h
 *	  Foreign objects (malloc'd by a library) tied to a memory context.
 *
 * Order of use: allocate the guard first, acquire the object second, store
 * it third; then an out-of-memory error between the steps leaks nothing.
 */
#ifndef TH_BASE_GUARD_H
#define TH_BASE_GUARD_H

#include "utils/palloc.h"

typedef struct ThGuard ThGuard;

/* Must not throw, allocate or log; called with a non-NULL object. */
typedef void (*ThGuardFree)(void *object);

/*
 * A guard on "context": when the context is reset or deleted, or at
 * th_guard_release(), the stored object is given to "free_object" once.
 *
 * Memory: in "context". Errors: out of memory.
 */
extern ThGuard *th_guard_create(MemoryContext context, ThGuardFree free_object);

/*
 * Stores the object and returns it; NULL is stored as "nothing to free". An
 * object stored before is freed. Never throws.
 */
extern void *th_guard_store(ThGuard *guard, void *object);

/* Frees the object now; the guard stays valid and empty. Never throws. */
extern void th_guard_release(ThGuard *guard);

/* Forgets the object without freeing it and returns it. Never throws. */
extern void *th_guard_disarm(ThGuard *guard);

/*
 * "size" zeroed bytes in "context" that are wiped (explicit_bzero) when the
 * context goes: for secrets. Not to be given to pfree() or repalloc().
 * Errors: out of memory.
 */
extern void *th_guard_secret(MemoryContext context, size_t size);

/* Zero-terminated copy of a secret text in wiped memory. Errors: out of memory. */
extern char *th_guard_secret_text(MemoryContext context, const char *text,
								  size_t length);

#endif /* TH_BASE_GUARD_H */
