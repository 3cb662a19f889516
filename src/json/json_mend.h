/*
 * json_mend.h
 *	  JSON that says more than the server's text can hold.
 */
#ifndef TH_JSON_MEND_H
#define TH_JSON_MEND_H

/*
 * A copy of "length" bytes of JSON in which what text cannot hold, though
 * JSON can, is U+FFFD: \u0000 and halves of a pair. In a database of another
 * encoding than UTF-8 every character beyond ASCII becomes "?". What is no
 * JSON stays none. *mended_length is never above "length".
 * Memory: current context. Errors: out of memory only.
 */
extern char *th_json_mend(const char *text, size_t length,
						  size_t *mended_length);

#endif /* TH_JSON_MEND_H */
