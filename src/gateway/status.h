/*
 * status.h
 *	  What probes ask: is it alive, is it ready, how much has come. See
 *	  ThAnswer.
 */
#ifndef TH_GATEWAY_STATUS_H
#define TH_GATEWAY_STATUS_H

struct ThHttpRequest;

/* GET /healthz: the process turns its loop; the database is not asked. */
extern void th_status_answer_alive(struct ThHttpRequest *request);

/* GET /zoom_events/health and its like: the same, and the database answers. */
extern void th_status_answer_health(struct ThHttpRequest *request);

/* GET /readyz: and nothing keeps it from taking what comes. */
extern void th_status_answer_ready(struct ThHttpRequest *request);

/* Any of them when the database did not answer. Never throws. */
extern void th_status_answer_down(struct ThHttpRequest *request);

#endif /* TH_GATEWAY_STATUS_H */
