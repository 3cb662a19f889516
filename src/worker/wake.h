/*
 * wake.h
 *	  Waking the workers when, and only when, a transaction commits.
 */
#ifndef TH_WORKER_WAKE_H
#define TH_WORKER_WAKE_H

/* Registers the transaction callback. Where: _PG_init, once a process. */
extern void th_wake_init(void);

/*
 * At commit of the present top transaction the dispatcher of this database
 * is woken. The flag survives PREPARE until the next commit of this backend
 * and goes with an abort; a rolled back subtransaction may leave a needless
 * wake. A transaction older than TH_WATERMARK_MARGIN_MS also asks for a scan
 * without the watermark. Never throws.
 */
extern void th_wake_at_commit(void);

/* The same, and it looks at once for sessions that have something new and that could not be marked, since somebody holds their jobs. Never throws. */
extern void th_wake_for_unmarked_at_commit(void);

/* At commit the launcher looks for new databases (CREATE EXTENSION). Never throws. */
extern void th_wake_launcher_at_commit(void);

/* How far the dispatcher's watermark trails; a job committed later than this needs the full scan. */
#define TH_WATERMARK_MARGIN_MS 500

#endif /* TH_WORKER_WAKE_H */
