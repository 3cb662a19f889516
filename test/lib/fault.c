/*
 * fault.c
 *	  Lets a test fail calls of telehealth into the libraries it uses, and
 *	  count what it got from them: an LD_PRELOAD library.
 *
 * The file FAULT_FILE begins with an order (struct Order): in process "pid"
 * (-1: in any), after "skip" calls of the function "name" the next "times"
 * fail. Calls count if telehealth makes them; with "*" before the name, also
 * those of the server and of libraries. "*memory" is every allocation of the
 * process. Behind the order, each process has a place (struct Count) for what
 * it holds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROCESSES 4096
#define HELD_SLOTS 65536

enum
{
	CIPHER,
	EASY,
	MULTI,
	LIST,
	URL,
	MEMORY,
	KINDS
};

struct Order
{
	int pid;
	int skip;
	int times;
	int fired;
	char name[48];
};

struct Count
{
	int pid;
	int live[KINDS];
	int made;
};

static volatile struct Order *order;
static volatile struct Count *counts;

/* Of this process: children inherit that of the postmaster, all zero. */
static int live[KINDS];
static int made;

static struct Held
{
	const void *pointer;
	int kind;
} held[HELD_SLOTS];

/* Where telehealth.so lies. */
static uintptr_t ours_from;
static uintptr_t ours_to;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *old);

static __attribute__((constructor)) void
open_file(void)
{
	const char *name = getenv("FAULT_FILE");
	const size_t size = sizeof(struct Order) + PROCESSES * sizeof(struct Count);
	int file = name == NULL ? -1 : open(name, O_RDWR | O_CLOEXEC);
	char *map;

	if (file < 0)
		return;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (map == MAP_FAILED)
		return;
	counts = (struct Count *) (map + sizeof(struct Order));
	order = (struct Order *) map;
}

static int
note_place(struct dl_phdr_info *info, size_t size, void *context)
{
	const char *name = strrchr(info->dlpi_name, '/');

	(void) size;
	(void) context;
	if (name == NULL || strcmp(name, "/telehealth.so") != 0)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++)
	{
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && (part->p_flags & PF_X))
		{
			ours_from = info->dlpi_addr + part->p_vaddr;
			ours_to = ours_from + part->p_memsz;
		}
	}
	return 1;
}

void *
dlopen(const char *name, int mode)
{
	static void *(*real)(const char *, int);
	void *result;

	if (real == NULL)
		real = (void *(*) (const char *, int) ) dlsym(RTLD_NEXT, "dlopen");
	result = real(name, mode);
	if (result != NULL && ours_to == 0)
		(void) dl_iterate_phdr(note_place, NULL);
	return result;
}

static int
is_ours(const void *caller)
{
	return (uintptr_t) caller >= ours_from && (uintptr_t) caller < ours_to;
}

/* Whether this call has to fail. */
static int
is_due(const char *name, const void *caller)
{
	const char *wanted;

	if (order == NULL || order->pid == 0)
		return 0;
	/* the first thread's number is that of the process */
	if (order->pid > 0 && order->pid != (int) syscall(SYS_gettid))
		return 0;
	wanted = (const char *) order->name;
	if (*wanted == '*' ? strcmp(wanted + 1, name) != 0
					   : strcmp(wanted, name) != 0 || !is_ours(caller))
		return 0;
	if (order->skip > 0)
	{
		order->skip--;
		return 0;
	}
	if (order->times <= 0)
		return 0;
	order->times--;
	order->fired++;
	errno = ENOMEM;
	return 1;
}

static void
count(int kind, int by)
{
	int pid = getpid();
	volatile struct Count *mine = &counts[pid % PROCESSES];

	live[kind] += by;
	made += by > 0;
	if (order == NULL)
		return;
	for (int i = 0; i < KINDS; i++)
		mine->live[i] = live[i];
	mine->made = made;
	mine->pid = pid;
}

/* ---- what is held ---- */

static char tombstone;

/* The place of a pointer, or where it can be put; NULL if there is none. */
static struct Held *
find_held(const void *pointer, int is_new)
{
	size_t at = ((uintptr_t) pointer >> 4) * 2654435761u % HELD_SLOTS;

	for (int i = 0; i < HELD_SLOTS; i++, at = (at + 1) % HELD_SLOTS)
	{
		if (held[at].pointer == pointer ||
			(is_new &&
			 (held[at].pointer == NULL || held[at].pointer == &tombstone)))
			return &held[at];
		if (held[at].pointer == NULL)
			return NULL;
	}
	return NULL;
}

static void *
keep(void *pointer, int kind, const void *caller)
{
	struct Held *place = NULL;

	if (pointer != NULL && is_ours(caller))
		place = find_held(pointer, 1);
	if (place != NULL)
	{
		place->pointer = pointer;
		place->kind = kind;
		count(kind, 1);
	}
	return pointer;
}

/* Whoever gives it back: a last call in a function hides its caller. */
static void
forget(const void *pointer)
{
	struct Held *place = pointer == NULL ? NULL : find_held(pointer, 0);

	if (place != NULL)
	{
		place->pointer = &tombstone;
		count(place->kind, -1);
	}
}

/* ---- allocations ---- */

#define CALLER __builtin_return_address(0)

void *
malloc(size_t size)
{
	if (is_due("malloc", CALLER) || is_due("memory", CALLER))
		return NULL;
	return keep(__libc_malloc(size), MEMORY, CALLER);
}

void *
calloc(size_t n, size_t size)
{
	if (is_due("calloc", CALLER) || is_due("memory", CALLER))
		return NULL;
	return keep(__libc_calloc(n, size), MEMORY, CALLER);
}

void *
realloc(void *old, size_t size)
{
	void *result;

	if (is_due("realloc", CALLER) || is_due("memory", CALLER))
		return NULL;
	result = __libc_realloc(old, size);
	if (result != NULL)
	{
		forget(old);
		keep(result, MEMORY, CALLER);
	}
	return result;
}

void
free(void *old)
{
	forget(old);
	__libc_free(old);
}

char *
strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy;

	if (is_due("strdup", CALLER) || is_due("memory", CALLER))
		return NULL;
	copy = keep(__libc_malloc(size), MEMORY, CALLER);
	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

/* ---- everything else ---- */

#define REAL(type, name, params)                                               \
	static type(*real) params;                                                 \
	if (real == NULL)                                                          \
	real = (type(*) params) dlsym(RTLD_NEXT, #name)

/* A function that can only be made to fail. */
#define WRAP(type, name, params, args, failure)                                \
	type name params                                                           \
	{                                                                          \
		REAL(type, name, params);                                              \
		if (is_due(#name, CALLER))                                             \
			return failure;                                                    \
		return real args;                                                      \
	}

/* One whose result is counted. */
#define MAKE(name, params, args, kind, is_first)                               \
	void *name params                                                          \
	{                                                                          \
		void *result;                                                          \
		REAL(void *, name, params);                                            \
		if (is_due(#name, CALLER))                                             \
			return NULL;                                                       \
		result = real args;                                                    \
		return (is_first) ? keep(result, kind, CALLER) : result;               \
	}

/* One that gives it back. */
#define GIVE(type, name)                                                       \
	type name(void *object)                                                    \
	{                                                                          \
		REAL(type, name, (void *) );                                           \
		forget(object);                                                        \
		return real(object);                                                   \
	}

/* libcurl's codes for lack of memory. */
#define EASY_FAILED 27
#define MULTI_FAILED 3
#define MULTI_BROKEN 4
#define URL_FAILED 7

MAKE(EVP_CIPHER_CTX_new, (void), (), CIPHER, 1)
GIVE(void, EVP_CIPHER_CTX_free)
MAKE(curl_easy_init, (void), (), EASY, 1)
GIVE(void, curl_easy_cleanup)
MAKE(curl_multi_init, (void), (), MULTI, 1)
GIVE(int, curl_multi_cleanup)
MAKE(curl_slist_append, (void *list, const char *text), (list, text), LIST,
	 list == NULL)
GIVE(void, curl_slist_free_all)
MAKE(curl_url, (void), (), URL, 1)
GIVE(void, curl_url_cleanup)

WRAP(void *, EVP_CIPHER_fetch,
	 (void *library, const char *name, const char *properties),
	 (library, name, properties), NULL)
WRAP(void *, EVP_MD_fetch,
	 (void *library, const char *name, const char *properties),
	 (library, name, properties), NULL)
WRAP(int, EVP_CIPHER_CTX_ctrl, (void *cipher, int what, int n, void *p),
	 (cipher, what, n, p), 0)
WRAP(int, EVP_EncryptInit_ex,
	 (void *cipher, void *type, void *engine, void *key, void *iv),
	 (cipher, type, engine, key, iv), 0)
WRAP(int, EVP_EncryptUpdate,
	 (void *cipher, void *out, int *size, void *in, int n),
	 (cipher, out, size, in, n), 0)
WRAP(int, EVP_EncryptFinal_ex, (void *cipher, void *out, int *size),
	 (cipher, out, size), 0)
WRAP(int, EVP_DecryptInit_ex,
	 (void *cipher, void *type, void *engine, void *key, void *iv),
	 (cipher, type, engine, key, iv), 0)
WRAP(int, EVP_DecryptUpdate,
	 (void *cipher, void *out, int *size, void *in, int n),
	 (cipher, out, size, in, n), 0)
WRAP(int, EVP_DecryptFinal_ex, (void *cipher, void *out, int *size),
	 (cipher, out, size), 0)
WRAP(int, EVP_Digest,
	 (void *data, size_t n, void *out, unsigned *size, void *type,
	  void *engine),
	 (data, n, out, size, type, engine), 0)

WRAP(int, curl_global_init_mem,
	 (long flags, void *m, void *f, void *r, void *s, void *c),
	 (flags, m, f, r, s, c), EASY_FAILED)
WRAP(int, curl_multi_add_handle, (void *multi, void *easy), (multi, easy),
	 MULTI_FAILED)
WRAP(int, curl_multi_socket_action,
	 (void *multi, int socket, int bits, int *running),
	 (multi, socket, bits, running), MULTI_BROKEN)
WRAP(int, curl_url_set, (void *url, int part, const char *text, unsigned flags),
	 (url, part, text, flags), URL_FAILED)
WRAP(int, curl_url_get, (void *url, int part, char **text, unsigned flags),
	 (url, part, text, flags), URL_FAILED)

/* The last argument is a pointer or as large as one. */
#define SETOPT(name, failure)                                                  \
	int name(void *handle, int option, ...)                                    \
	{                                                                          \
		va_list rest;                                                          \
		void *value;                                                           \
		REAL(int, name, (void *, int, ...));                                   \
		va_start(rest, option);                                                \
		value = va_arg(rest, void *);                                          \
		va_end(rest);                                                          \
		if (is_due(#name, CALLER))                                             \
			return failure;                                                    \
		return real(handle, option, value);                                    \
	}

SETOPT(curl_easy_setopt, EASY_FAILED)
SETOPT(curl_multi_setopt, MULTI_FAILED)

int
open(const char *name, int flags, ...)
{
	va_list rest;
	mode_t mode = 0;
	REAL(int, open, (const char *, int, ...));

	if (flags & O_CREAT)
	{
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		va_end(rest);
	}
	if (is_due("open", CALLER))
		return -1;
	return real(name, flags, mode);
}

WRAP(ssize_t, read, (int file, void *to, size_t n), (file, to, n), -1)
WRAP(ssize_t, write, (int file, const void *from, size_t n), (file, from, n),
	 -1)
WRAP(int, fstat, (int file, struct stat *status), (file, status), -1)
WRAP(int, fsync, (int file), (file), -1)
WRAP(int, link, (const char *from, const char *to), (from, to), -1)
WRAP(int, pipe2, (int ends[2], int flags), (ends, flags), -1)
WRAP(int, socket, (int domain, int type, int protocol),
	 (domain, type, protocol), -1)
WRAP(int, epoll_create1, (int flags), (flags), -1)
WRAP(int, epoll_ctl, (int epoll, int what, int file, struct epoll_event *event),
	 (epoll, what, file, event), -1)
WRAP(int, posix_spawn,
	 (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
	  const posix_spawnattr_t *attributes, char *const *arguments,
	  char *const *environment),
	 (pid, path, actions, attributes, arguments, environment), ENOMEM)
WRAP(int, posix_spawn_file_actions_addopen,
	 (posix_spawn_file_actions_t * actions, int file, const char *path,
	  int flags, mode_t mode),
	 (actions, file, path, flags, mode), ENOMEM)
WRAP(int, posix_spawn_file_actions_adddup2,
	 (posix_spawn_file_actions_t * actions, int from, int to),
	 (actions, from, to), ENOMEM)
