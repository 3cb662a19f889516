/*
 * json_write.h
 *	  Writing JSON text in one pass.
 *
 * The caller names members; the writer sets commas and escapes.
 */
#ifndef TH_JSON_WRITE_H
#define TH_JSON_WRITE_H

#include "lib/stringinfo.h"

typedef struct ThJsonWriter
{
	StringInfo out;
	bool need_comma;
} ThJsonWriter;

/* Starts writing at the end of "out". */
extern void th_json_write_start(ThJsonWriter *writer, StringInfo out);

/* "name" is NULL for the outermost value and for array elements. Errors of all: out of memory. */
extern void th_json_write_object(ThJsonWriter *writer, const char *name);
extern void th_json_write_end_object(ThJsonWriter *writer);
extern void th_json_write_array(ThJsonWriter *writer, const char *name);
extern void th_json_write_end_array(ThJsonWriter *writer);
extern void th_json_write_text(ThJsonWriter *writer, const char *name,
							   const char *value); /* NULL writes null */
extern void th_json_write_int(ThJsonWriter *writer, const char *name,
							  int64 value);
extern void th_json_write_bool(ThJsonWriter *writer, const char *name,
							   bool value);

/*
 * "text", which is in the server's encoding, as UTF-8; itself, if it is that
 * already. Memory: current context. Errors: out of memory.
 */
extern const char *th_json_utf8(const char *text);

#endif /* TH_JSON_WRITE_H */
