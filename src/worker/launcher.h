/*
 * launcher.h
 *	  The launcher: one static worker that keeps a dispatcher running in every
 *	  database that has the extension.
 */
#ifndef TH_WORKER_LAUNCHER_H
#define TH_WORKER_LAUNCHER_H

/*
 * Registers the launcher with the postmaster. Where: _PG_init, when
 * preloaded, not in a binary upgrade.
 */
extern void th_launcher_register(void);

#endif /* TH_WORKER_LAUNCHER_H */
