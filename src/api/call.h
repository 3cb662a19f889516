/*
 * call.h
 *	  What functions have in common when they are called.
 *
 * Where: any backend, in the function that SQL calls.
 */
#ifndef TH_API_CALL_H
#define TH_API_CALL_H

#include "fmgr.h"

/* Calls the function; no message on the way tells the statement, which has secrets or patients' data in it. */
extern Datum th_call_hidden(PGFunction function, FunctionCallInfo fcinfo);

/* The first arguments have these names, which end with NULL. Errors: 22004 if one of them is null. */
extern void th_call_require(FunctionCallInfo fcinfo, const char *const *names);

#endif /* TH_API_CALL_H */
