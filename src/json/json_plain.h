/*
 * json_plain.h
 *	  JSON as most senders write it, in one pass.
 */
#ifndef TH_JSON_PLAIN_H
#define TH_JSON_PLAIN_H

#include "utils/jsonb.h"

/*
 * What the server's parser makes of an object, for a text in the server's
 * encoding that has no escapes, no fractions or exponents, and is neither long
 * nor deep. NULL for any other, which says nothing about it.
 * Memory: current context. Errors: out of memory.
 */
extern Jsonb *th_json_plain(const char *text, size_t length);

#endif /* TH_JSON_PLAIN_H */
