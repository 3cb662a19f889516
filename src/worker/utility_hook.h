/*
 * utility_hook.h
 *	  Makes our workers leave a database that DDL wants for itself.
 */
#ifndef TH_WORKER_UTILITY_HOOK_H
#define TH_WORKER_UTILITY_HOOK_H

/*
 * Before DROP DATABASE, ALTER DATABASE ... RENAME or SET TABLESPACE, and for
 * the template of CREATE DATABASE, the dispatcher of that database leaves;
 * if the database is still there when the transaction ends, it is started
 * again. Only for who may run the statement; the others get core's refusal
 * and disturb nobody. Where: _PG_init, when preloaded.
 */
extern void th_utility_hook_init(void);

#endif /* TH_WORKER_UTILITY_HOOK_H */
