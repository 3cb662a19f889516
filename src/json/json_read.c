/*
 * json_read.c
 *	  Reading JSON by path, with types and defaults.
 */
#include "postgres.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "base/th_error.h"
#include "json/json_plain.h"
#include "json/json_read.h"

/* Of a context for parsing; what a token's or a meeting's answer takes. */
#define SCRATCH_BYTES ((Size) 32 * 1024)
#define WIPE_BYTES ((Size) 512)

/* A short text as most senders write it takes less, and less is to be wiped. */
#define SHORT_TEXT 1024
#define SHORT_SCRATCH_BYTES ((Size) 16 * 1024)

typedef Jsonb *(*Parser)(const char *text, size_t length,
						 MemoryContext result_context);

static void wipe(MemoryContext scratch);
static bool is_modest(const char *text, size_t length);
static char *server_text(const char *text, size_t length);
static Jsonb *in_scratch(Size bytes, Parser parse, const char *text,
						 size_t length);
static Jsonb *parse_plain(const char *text, size_t length,
						  MemoryContext result_context);
static Jsonb *parse_any(const char *text, size_t length,
						MemoryContext result_context);
static Jsonb *parse_text(char *text, MemoryContext result_context);
static JsonbValue *find(Jsonb *document, const char *path);
static JsonbValue *step(JsonbValue *value, const char *key, size_t length);
static bool as_whole_number(const char *text, int64 *result);

bool
th_json_parse(const char *text, size_t length, Jsonb **document)
{
	TH_ASSERT_MAY_THROW();
	*document = NULL;

	/* Escaping for another encoding may make the text three times as long. */
	if (text == NULL || length == 0 || length >= MaxAllocSize / 4)
		return false;
	if (memchr(text, '\0', length) != NULL ||
		!pg_verify_mbstr(PG_UTF8, text, (int) length, true))
		return false;
	if (GetDatabaseEncoding() == PG_UTF8)
		*document = in_scratch(length <= SHORT_TEXT ? SHORT_SCRATCH_BYTES
													: SCRATCH_BYTES,
							   parse_plain, text, length);
	if (*document == NULL && is_modest(text, length))
		*document = in_scratch(SCRATCH_BYTES, parse_any, text, length);
	return *document != NULL;
}

static Jsonb *
in_scratch(Size bytes, Parser parse, const char *text, size_t length)
{
	MemoryContext result_context = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "telehealth json", bytes,
												  bytes,
												  ALLOCSET_DEFAULT_MAXSIZE);
	Jsonb *parsed;

	MemoryContextSwitchTo(scratch);
	parsed = parse(text, length, result_context);
	MemoryContextSwitchTo(result_context);
	wipe(scratch);
	MemoryContextDelete(scratch);
	return parsed;
}

/*
 * Answers may hold secrets, and the parser's own copies of strings cannot be
 * named. They lie in the first block: emptied, the context hands the same
 * memory out again, to be overwritten.
 */
static void
wipe(MemoryContext scratch)
{
	Size size;

	MemoryContextReset(scratch);
	size = MemoryContextMemAllocated(scratch, false);
	while (MemoryContextMemAllocated(scratch, false) == size)
	{
		void *piece = MemoryContextAlloc(scratch, WIPE_BYTES);

		explicit_bzero(piece, WIPE_BYTES);
	}
}

/* A copy in "result_context"; what it was made of is wiped. */
static Jsonb *
keep(Jsonb *parsed, MemoryContext result_context)
{
	Jsonb *result = MemoryContextAlloc(result_context, VARSIZE(parsed));

	memcpy(result, parsed, VARSIZE(parsed));
	explicit_bzero(parsed, VARSIZE(parsed));
	return result;
}

static Jsonb *
parse_plain(const char *text, size_t length, MemoryContext result_context)
{
	Jsonb *parsed = th_json_plain(text, length);

	return parsed == NULL ? NULL : keep(parsed, result_context);
}

static Jsonb *
parse_any(const char *text, size_t length, MemoryContext result_context)
{
	return parse_text(server_text(text, length), result_context);
}

/*
 * The server's own parser, with its complaints turned into NULL.
 *
 * No subtransaction is needed, or possible outside a transaction: parsing
 * holds nothing but memory. Other errors than bad data go on as they are.
 */
static Jsonb *
parse_text(char *text, MemoryContext result_context)
{
	MemoryContext scratch = CurrentMemoryContext;
	Jsonb *volatile result = NULL;

	PG_TRY();
	{
		result = keep(DatumGetJsonbP(
						  DirectFunctionCall1(jsonb_in, CStringGetDatum(text))),
					  result_context);
		explicit_bzero(text, strlen(text));
	}
	PG_CATCH();
	{
		int category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_DATA_EXCEPTION &&
			category != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
			category != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		FlushErrorState();
		MemoryContextSwitchTo(scratch);
		result = NULL;
	}
	PG_END_TRY();
	return result;
}

/* Whether the exponent at "text" has more digits than allowed. */
static bool
is_long_exponent(const char *text, const char *end)
{
	int n_digits = 0;

	if (text < end && (*text == '-' || *text == '+'))
		text++;
	while (text < end && *text == '0')
		text++;
	while (text < end && *text >= '0' && *text <= '9')
	{
		text++;
		n_digits++;
	}
	return n_digits > TH_JSON_MAX_EXPONENT_DIGITS;
}

/*
 * Whether nothing is nested deeper than allowed, and no number is much longer
 * when it is written out, as the server does; need not be valid JSON.
 */
static bool
is_modest(const char *text, size_t length)
{
	bool in_string = false;
	int depth = 0;
	size_t i;

	for (i = 0; i < length; i++)
	{
		char c = text[i];

		if (in_string)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		}
		else if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
		{
			if (++depth > TH_JSON_MAX_DEPTH)
				return false;
		}
		else if (c == '}' || c == ']')
			depth--;
		else if ((c == 'e' || c == 'E') && i > 0 && text[i - 1] >= '0' &&
				 text[i - 1] <= '9' &&
				 is_long_exponent(text + i + 1, text + length))
			return false;
	}
	return true;
}

/*
 * Zero-terminated copy of valid UTF-8 for the server's parser.
 *
 * In a database of another encoding every other character than ASCII is
 * written as an escape: the parser converts those without a transaction. A
 * character that the encoding lacks makes the document unreadable there.
 */
static char *
server_text(const char *text, size_t length)
{
	StringInfoData out;
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;

	if (GetDatabaseEncoding() == PG_UTF8 ||
		GetDatabaseEncoding() == PG_SQL_ASCII)
		return pnstrdup(text, length);

	initStringInfo(&out);
	while (p < end)
	{
		pg_wchar c;

		if (*p < 0x80)
		{
			appendStringInfoChar(&out, (char) *p++);
			continue;
		}
		c = utf8_to_unicode(p);
		p += pg_utf_mblen(p);
		if (c < 0x10000)
			appendStringInfo(&out, "\\u%04x", c);
		else
			appendStringInfo(&out, "\\u%04x\\u%04x",
							 0xd800 + ((c - 0x10000) >> 10),
							 0xdc00 + ((c - 0x10000) & 0x3ff));
	}
	return out.data;
}

JsonbValue *
th_json_get(Jsonb *document, const char *path)
{
	JsonbValue *value = find(document, path);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

char *
th_json_text(Jsonb *document, const char *path, const char *otherwise)
{
	JsonbValue *value = th_json_get(document, path);

	if (value != NULL && value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (value != NULL && value->type == jbvNumeric)
		return numeric_normalize(value->val.numeric);
	return otherwise == NULL ? NULL : pstrdup(otherwise);
}

int64
th_json_int(Jsonb *document, const char *path, int64 otherwise)
{
	char *text = th_json_text(document, path, NULL);
	int64 result;

	if (text == NULL || !as_whole_number(text, &result))
		return otherwise;
	return result;
}

bool
th_json_bool(Jsonb *document, const char *path, bool otherwise)
{
	JsonbValue *value = th_json_get(document, path);

	return value != NULL && value->type == jbvBool ? value->val.boolean
												   : otherwise;
}

bool
th_json_has(Jsonb *document, const char *path)
{
	return th_json_get(document, path) != NULL;
}

int
th_json_length(Jsonb *document, const char *path)
{
	JsonbValue *value = th_json_get(document, path);

	if (value == NULL || value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
		return 0;
	return (int) JsonContainerSize(value->val.binary.data);
}

Jsonb *
th_json_element(Jsonb *document, const char *path, int index)
{
	JsonbValue *value = th_json_get(document, path);

	if (index < 0 || value == NULL || value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
		return NULL;
	value = getIthJsonbValueFromContainer(value->val.binary.data,
										  (uint32) index);
	if (value == NULL || value->type == jbvNull)
		return NULL;
	return JsonbValueToJsonb(value);
}

/* The value at "path", null included; an empty path is the document. */
static JsonbValue *
find(Jsonb *document, const char *path)
{
	JsonbValue *value;

	if (document == NULL)
		return NULL;
	value = palloc0(sizeof(JsonbValue));
	if (!JB_ROOT_IS_SCALAR(document))
	{
		value->type = jbvBinary;
		value->val.binary.data = &document->root;
		value->val.binary.len = (int) (VARSIZE(document) - VARHDRSZ);
	}
	else if (!JsonbExtractScalar(&document->root, value))
		return NULL;

	while (value != NULL && path != NULL && *path != '\0')
	{
		size_t length = strcspn(path, "/");

		value = step(value, path, length);
		path += length;
		if (*path == '/')
			path++;
	}
	return value;
}

/* The member or element of "value" that one part of a path names. */
static JsonbValue *
step(JsonbValue *value, const char *key, size_t length)
{
	JsonbContainer *container;
	uint64 index = 0;
	size_t i;

	if (value->type != jbvBinary)
		return NULL;
	container = value->val.binary.data;
	if (JsonContainerIsObject(container))
		return getKeyJsonValueFromContainer(container, key, (int) length, NULL);

	for (i = 0; i < length; i++)
	{
		if (key[i] < '0' || key[i] > '9' || index > PG_INT32_MAX)
			return NULL;
		index = index * 10 + (uint64) (key[i] - '0');
	}
	if (length == 0 || index >= JsonContainerSize(container))
		return NULL;
	return getIthJsonbValueFromContainer(container, (uint32) index);
}

/* An optional minus and digits, nothing else, within 64 bits. */
static bool
as_whole_number(const char *text, int64 *result)
{
	const char *digits = *text == '-' ? text + 1 : text;
	long long value;

	if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
		return false;
	errno = 0;
	value = strtoll(text, NULL, 10);
	if (errno != 0)
		return false;
	*result = value;
	return true;
}
