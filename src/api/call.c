/*
 * call.c
 *	  What functions have in common when they are called.
 */
#include "postgres.h"

#include "api/call.h"

/* On every message while it is on the stack. */
static void
hide_statement(void *arg pg_attribute_unused())
{
	errhidestmt(true);
}

Datum
th_call_hidden(PGFunction function, FunctionCallInfo fcinfo)
{
	ErrorContextCallback hide = { .callback = hide_statement,
								  .previous = error_context_stack };
	Datum result;

	error_context_stack = &hide;
	result = function(fcinfo);
	error_context_stack = hide.previous;
	return result;
}

void
th_call_require(FunctionCallInfo fcinfo, const char *const *names)
{
	for (int i = 0; names[i] != NULL; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s must not be null", names[i])));
	}
}
