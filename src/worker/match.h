/*
 * match.h
 *	  Events that came before the session they speak of.
 */
#ifndef TH_WORKER_MATCH_H
#define TH_WORKER_MATCH_H

/*
 * Of these meetings, whose ids were just written: what was nobody's goes to
 * its session, which is marked.
 * Where: in a transaction of the dispatcher, after the sessions are written.
 */
extern void th_match_meetings(const char *const *meeting_ids, int n);

/*
 * The same for what came lately, a part of it in a short transaction of its
 * own; *has_more if that was not the end. For what was committed while the
 * session was. What is of no session after history_days goes. False if the library is of another version than the extension,
 * or that is gone.
 */
extern bool th_match_sweep(bool *has_more);

#endif /* TH_WORKER_MATCH_H */
