/*
 * json_read.h
 *	  Reading JSON by path, with types and defaults.
 *
 * Over the server's jsonb. No catalogue access and no transaction needed,
 * so the network phase may use it. A NULL document holds nothing; the path ""
 * is the document itself.
 */
#ifndef TH_JSON_READ_H
#define TH_JSON_READ_H

#include "utils/jsonb.h"

/* Nothing in a document from outside is read below this depth. */
#define TH_JSON_MAX_DEPTH 32

/* 1e99 is the largest power: the server writes numbers out, digit by digit. */
#define TH_JSON_MAX_EXPONENT_DIGITS 2

/*
 * Parses "length" bytes. False, with nothing allocated that outlives the
 * call, for invalid UTF-8, a zero byte, invalid JSON, too deep nesting, a number
 * with a longer exponent, or a character that the database's encoding lacks.
 *
 * Memory: *document in the current context. Errors: out of memory only.
 * Where: anywhere but inside a PG_CATCH (it clears the error state).
 */
extern bool th_json_parse(const char *text, size_t length, Jsonb **document);

/*
 * The value at a path of object keys, separated by "/" ("settings/waiting_room");
 * an array element by its number ("meetings/0/id"). NULL if absent or null.
 * Memory: current context, and strings point into the document.
 */
extern JsonbValue *th_json_get(Jsonb *document, const char *path);

/* Text at "path"; numbers come as their text; "otherwise" if absent or of another type. Memory: current context. */
extern char *th_json_text(Jsonb *document, const char *path,
						  const char *otherwise);

/* Integer at "path", also from text that is one; "otherwise" if absent, out of range or not whole. */
extern int64 th_json_int(Jsonb *document, const char *path, int64 otherwise);

/* Boolean at "path"; "otherwise" if absent or of another type. */
extern bool th_json_bool(Jsonb *document, const char *path, bool otherwise);

/* True if something other than null is at "path". */
extern bool th_json_has(Jsonb *document, const char *path);

/* Number of elements of the array at "path"; 0 if there is none. */
extern int th_json_length(Jsonb *document, const char *path);

/* Element "index" of the array at "path" as a document of its own; NULL if none or null. Memory: current context. */
extern Jsonb *th_json_element(Jsonb *document, const char *path, int index);

#endif /* TH_JSON_READ_H */
