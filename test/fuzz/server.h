/*
 * server.h
 *	  What stands for a memory context when src/ical is built alone.
 */
#ifndef TH_TEST_FUZZ_SERVER_H
#define TH_TEST_FUZZ_SERVER_H

/* Frees all that palloc() gave. */
extern void server_reset(void);

#endif /* TH_TEST_FUZZ_SERVER_H */
