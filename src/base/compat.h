/*
 * compat.h
 *	  Every condition on a server, libcurl or OpenSSL version.
 *
 * To be included after the server's and foreign headers. A wrapper keeps
 * the newest core name and signature where it can; each block says with
 * which minimum server version it may go. Macros, so that a file pays only
 * for the headers of what it uses.
 */
#ifndef TH_BASE_COMPAT_H
#define TH_BASE_COMPAT_H

/*
 * 15 has the shared memory request hook, MarkGUCPrefixReserved() and
 * InitMaterializedSRF(), which are used without a wrapper.
 */
#if defined(PG_VERSION_NUM) && PG_VERSION_NUM < 150000
#error "telehealth needs PostgreSQL 15 or newer"
#endif

/* CURLOPT_QUICK_EXIT came with 7.87.0; see the resolver's note in multi.c. */
#ifdef LIBCURL_VERSION_NUM
#if LIBCURL_VERSION_NUM < 0x075700
#error "telehealth needs libcurl 7.87.0 or newer"
#endif
#endif

#ifdef OPENSSL_VERSION_NUMBER
#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "telehealth needs OpenSSL 3.0 or newer"
#endif
#endif

/*
 * Exports. We compile with -fvisibility=hidden, and before 16 the server's
 * macro is empty; with ours in its place PG_FUNCTION_INFO_V1 and the module
 * magic export what they define. TH_SQL_FUNCTION declares and exports one
 * SQL-callable function, TH_EXPORT anything else that the server looks up by
 * name. Goes with 15.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

#define TH_EXPORT PGDLLEXPORT

#define TH_SQL_FUNCTION(name)                                                  \
	extern TH_EXPORT Datum name(PG_FUNCTION_ARGS);                             \
	PG_FUNCTION_INFO_V1(name)

/*
 * Variable-length values have a header of their own since 16; before, their
 * macros came with postgres.h. Goes with 15.
 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * The module's magic block, with name and version since 18. Goes with 17.
 */
#if PG_VERSION_NUM >= 180000
#define TH_MODULE_MAGIC(module_name, module_version)                           \
	PG_MODULE_MAGIC_EXT(.name = module_name, .version = module_version)
#else
#define TH_MODULE_MAGIC(module_name, module_version) PG_MODULE_MAGIC
#endif

/*
 * Ownership. One function for all kinds of objects since 16. Needs
 * utils/acl.h, and catalog/pg_database.h or catalog/pg_extension.h. Goes
 * with 15.
 */
#if PG_VERSION_NUM >= 160000
#define th_compat_database_ownercheck(database, role)                          \
	object_ownercheck(DatabaseRelationId, (database), (role))
#define th_compat_extension_ownercheck(extension, role)                        \
	object_ownercheck(ExtensionRelationId, (extension), (role))
#else
#define th_compat_database_ownercheck(database, role)                          \
	pg_database_ownercheck((database), (role))
#define th_compat_extension_ownercheck(extension, role)                        \
	pg_extension_ownercheck((extension), (role))
#endif

/*
 * A wait set that lives as long as the process. The owner of a set is a
 * memory context before 17 and a resource owner since; none means the
 * session. Its header is reached through storage/latch.h on every version
 * (moved in 18). Needs storage/latch.h and utils/memutils.h. Goes with 16.
 */
#if PG_VERSION_NUM >= 170000
#define th_compat_create_wait_event_set(nevents)                               \
	CreateWaitEventSet(NULL, (nevents))
#else
#define th_compat_create_wait_event_set(nevents)                               \
	CreateWaitEventSet(TopMemoryContext, (nevents))
#endif

/*
 * A named wait event, as uint32; generic before 17. Call once a process,
 * after it is attached to shared memory, and keep the result. Needs
 * utils/wait_event.h. Goes with 16.
 */
#if PG_VERSION_NUM >= 170000
#define th_compat_wait_event(event_name) WaitEventExtensionNew(event_name)
#else
#define th_compat_wait_event(event_name) ((uint32) PG_WAIT_EXTENSION)
#endif

/*
 * This process's number as GetPGProcByNumber() takes it, from 0. Not the
 * backend id, which before 17 numbers another array. Needs storage/proc.h.
 * Goes with 16.
 */
#if PG_VERSION_NUM >= 170000
#define th_compat_my_proc_number() ((int) MyProcNumber)
#else
#define th_compat_my_proc_number() (MyProc->pgprocno)
#endif

/*
 * Connecting a worker as a role that may not log in: since 17 only, nothing
 * is bypassed before. Goes with 16.
 */
#if PG_VERSION_NUM < 170000
#define BGWORKER_BYPASS_ROLELOGINCHECK 0
#endif

/*
 * Written in front of a declaration; the older spelling is gone in 18. Goes
 * with 17.
 */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* Renamed in 18. Needs postmaster/interrupt.h. Goes with 17. */
#if PG_VERSION_NUM < 180000
#define ProcessMainLoopInterrupts HandleMainLoopInterrupts
#endif

#endif /* TH_BASE_COMPAT_H */
