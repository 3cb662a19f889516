/*
 * environment.h
 *	  May this database send? Clone guard, pause, switch.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_ENVIRONMENT_H
#define TH_STORE_ENVIRONMENT_H

/*
 * Why outward work is held here, or NULL if it is not: outbound_off,
 * paused, environment_unconfirmed. The mock is exempt; the caller knows.
 */
extern const char *th_environment_held(void);

/* Records this database as the environment if nothing is recorded yet. */
extern void th_environment_record(const char *role);

/* What tells this database apart: text of the system identifier. Memory: current context. */
extern char *th_environment_system(void);

#endif /* TH_STORE_ENVIRONMENT_H */
