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
 * paused, environment_unconfirmed. The mock is exempt, but for what came with
 * a copy; the caller knows.
 * has_connected: rows were seen that there are only after an account was
 * connected, though it may not be there yet.
 */
extern const char *th_environment_held(bool has_connected);

/*
 * True while an account or a calendar is there and no environment: a restore
 * is under way, and its other rows may be missing.
 */
extern bool th_environment_is_arriving(void);

/* Records this database as the environment if nothing is recorded yet. */
extern void th_environment_record(const char *role);

/* What tells this database apart: text of the system identifier. Memory: current context. */
extern char *th_environment_system(void);

#endif /* TH_STORE_ENVIRONMENT_H */
