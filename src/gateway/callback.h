/*
 * callback.h
 *	  Browsers that come back from a vendor with a code.
 *
 * The exchange is the dispatcher's; the request waits for it while others
 * are answered.
 */
#ifndef TH_GATEWAY_CALLBACK_H
#define TH_GATEWAY_CALLBACK_H

#include "gateway/request.h"

/* Answers of the routes, each for its vendor: a page, or the request waits (is_waiting). */
extern void th_callback_answer_zoom(ThHttpRequest *request);
extern void th_callback_answer_google(ThHttpRequest *request);
extern void th_callback_answer_outlook(ThHttpRequest *request);

/* Sends the pages of those that need not wait any longer. Never throws. */
extern void th_callback_poll(void);

/* The same for all: the process ends. */
extern void th_callback_end(void);

/* Milliseconds until the next look, at most "most". */
extern int th_callback_wait_ms(int most);

#endif /* TH_GATEWAY_CALLBACK_H */
