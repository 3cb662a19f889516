/*
 * hint.h
 *	  What to do about each reason why a meeting waits.
 */
#ifndef TH_API_HINT_H
#define TH_API_HINT_H

/* A sentence for a waiting word ("no_account"), or NULL. Memory: static. */
extern const char *th_hint_for(const char *word);

/* The reason in words, or the word itself. Memory: static or "word". */
extern const char *th_hint_reason(const char *word);

#endif /* TH_API_HINT_H */
