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

#if defined(PG_VERSION_NUM) && PG_VERSION_NUM < 150000
#error "telehealth needs PostgreSQL 15 or newer"
#endif

/* CURLOPT_QUICK_EXIT came with 7.87.0; see the resolver's note in multi.c. */
#if defined(LIBCURL_VERSION_NUM) && LIBCURL_VERSION_NUM < 0x075700
#error "telehealth needs libcurl 7.87.0 or newer"
#endif
#if defined(OPENSSL_VERSION_NUMBER) && OPENSSL_VERSION_NUMBER < 0x30000000L
#error "telehealth needs OpenSSL 3.0 or newer"
#endif

/*
 * A lax HTTP library takes LF for the end of a line, and folded lines, which we
 * see ourselves; what a strict one refuses has two heads. Goes with Debian 12.
 */
#if defined(MHD_VERSION) && MHD_VERSION >= 0x01000000
#define TH_COMPAT_MHD_STRICTNESS MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1
#define TH_COMPAT_MHD_IS_LAX false
#elif defined(MHD_VERSION)
#define TH_COMPAT_MHD_STRICTNESS MHD_OPTION_STRICT_FOR_CLIENT, 0
#define TH_COMPAT_MHD_IS_LAX true
#endif

/* Errors of libxml2 are read-only since 2.12. Goes with Debian 12. */
#if defined(LIBXML_VERSION) && LIBXML_VERSION >= 21200
#define TH_COMPAT_XML_ERROR const xmlError *
#elif defined(LIBXML_VERSION)
#define TH_COMPAT_XML_ERROR xmlErrorPtr
#endif

/*
 * Exports. We compile with -fvisibility=hidden; before 16 the server's macro
 * is empty, and ours in its place makes PG_FUNCTION_INFO_V1 and the module
 * magic export. TH_SQL_FUNCTION declares and exports a SQL-callable function,
 * TH_EXPORT what else the server looks up by name. Goes with 15.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

#define TH_EXPORT PGDLLEXPORT

#define TH_SQL_FUNCTION(name)                                                  \
	extern TH_EXPORT Datum name(PG_FUNCTION_ARGS);                             \
	PG_FUNCTION_INFO_V1(name)

/* Variable-length values have a header of their own since 16. Goes with 15. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Since 18 the magic block has name and version, and a scan may be counted. Goes with 17. */
#if PG_VERSION_NUM >= 180000
#define index_beginscan(table, index, snapshot, n_keys, n_orders)              \
	index_beginscan(table, index, snapshot, NULL, n_keys, n_orders)
#define TH_MODULE_MAGIC(module_name, module_version)                           \
	PG_MODULE_MAGIC_EXT(.name = module_name, .version = module_version)
#else
#define TH_MODULE_MAGIC(module_name, module_version) PG_MODULE_MAGIC
#endif

/*
 * Ownership: one function since 16. Needs utils/acl.h, and
 * catalog/pg_database.h or catalog/pg_extension.h. Goes with 15.
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
 * A wait set that lives as long as the process: its owner is a memory context
 * before 17, a resource owner since; none means the session. Needs
 * storage/latch.h (it moved in 18) and utils/memutils.h. Goes with 16.
 */
#if PG_VERSION_NUM >= 170000
#define th_compat_create_wait_event_set(nevents)                               \
	CreateWaitEventSet(NULL, (nevents))
#else
#define th_compat_create_wait_event_set(nevents)                               \
	CreateWaitEventSet(TopMemoryContext, (nevents))
#endif

/*
 * A named wait event, as uint32; generic before 17. Call once a process, when
 * attached to shared memory. Needs utils/wait_event.h. Goes with 16.
 */
#if PG_VERSION_NUM >= 170000
#define th_compat_wait_event(event_name) WaitEventExtensionNew(event_name)
#else
#define th_compat_wait_event(event_name) ((uint32) PG_WAIT_EXTENSION)
#endif

/*
 * This process's number as GetPGProcByNumber() takes it, from 0; not the
 * backend id of before 17. Needs storage/proc.h. Goes with 16.
 */
#if PG_VERSION_NUM >= 170000
#define th_compat_my_proc_number() ((int) MyProcNumber)
#else
#define th_compat_my_proc_number() (MyProc->pgprocno)
#endif

/* Its newest name. Needs access/transam.h. Goes with 16. */
#if PG_VERSION_NUM < 170000
#define TransamVariables ShmemVariableCache
#endif

/* Before a declaration; the older spelling is gone in 18. Goes with 17. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* Which indexes an UPDATE writes. Needs access/tableam.h, executor/executor.h. Goes with 15. */
#if PG_VERSION_NUM >= 160000
#define ThCompatIndexes TU_UpdateIndexes
#define th_compat_index_row(target, slot, state, indexes)                      \
	ExecInsertIndexTuples(target, slot, state, false, false, NULL, NIL,        \
						  (indexes) == TU_Summarizing)
#else
#define ThCompatIndexes bool
#define TU_None false
#define TU_All true
#define th_compat_index_row(target, slot, state, indexes)                      \
	ExecInsertIndexTuples(target, slot, state, false, false, NULL, NIL)
#endif

#endif /* TH_BASE_COMPAT_H */
