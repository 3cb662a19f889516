/*
 * strict.h
 *	  What a request's head must be, beyond what the library asks.
 *
 * Every form by which two servers could take the same bytes for different
 * requests is refused. Pure: no memory, no library, never throws.
 */
#ifndef TH_GATEWAY_STRICT_H
#define TH_GATEWAY_STRICT_H

#define TH_HEAD_MAX 16384
#define TH_TARGET_MAX 8192
#define TH_FIELDS_MAX 100

typedef struct ThField
{
	const char *name;
	const char *value;
	size_t name_length;
	size_t value_length;
} ThField;

typedef struct ThHead
{
	const char *method;
	const char *target; /* path and query as they came */
	const char *version;
	size_t size; /* of the whole head, with the empty line */
	int n_fields;
	ThField fields[TH_FIELDS_MAX];

	/* found by th_strict_check() */
	bool is_chunked;
	bool has_length;
	uint64 length; /* at most PG_INT64_MAX */
} ThHead;

/* 0 if the head is good, else the status of the refusal. */
extern int th_strict_check(ThHead *head);

/*
 * For a library that does not tell how lines end: true if every line of the
 * head ends with CR LF and none is folded, judged by where the library left
 * the parts in its buffer. "place" is where it left the target.
 */
extern bool th_strict_is_framed(const ThHead *head, const char *place);

/* True if the bytes are UTF-8 without zero bytes. */
extern bool th_strict_is_text(const char *bytes, size_t length);

#endif /* TH_GATEWAY_STRICT_H */
