/*
 * json_plain.c
 *	  JSON as most senders write it, in one pass.
 *
 * The server's parser copies each string, a byte at a time where it looks for
 * escapes, and reads numbers as text. Here strings stay where they are until
 * the document is built, by the server, of the same pieces in the same order.
 */
#include "postgres.h"

#include <string.h>

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "json/json_plain.h"

#define MOST_BYTES (1024 * 1024)
#define MOST_DEPTH 16
#define MOST_DIGITS 18

typedef struct Plain
{
	const char *at;
	const char *end;
	JsonbParseState *state;
	JsonbValue *result; /* of what was pushed last */
} Plain;

static bool take_value(Plain *plain, JsonbIteratorToken place, int depth);

static void
push(Plain *plain, JsonbIteratorToken token, JsonbValue *value)
{
	plain->result = pushJsonbValue(&plain->state, token, value);
}

static void
skip_space(Plain *plain)
{
	while (plain->at < plain->end && (*plain->at == ' ' || *plain->at == '\t' ||
									  *plain->at == '\n' || *plain->at == '\r'))
		plain->at++;
}

/* True, and past it, if this comes next, with space before it or not. */
static bool
take(Plain *plain, char c)
{
	skip_space(plain);
	if (plain->at == plain->end || *plain->at != c)
		return false;
	plain->at++;
	return true;
}

static bool
take_string(Plain *plain, JsonbValue *value)
{
	const char *start;

	if (!take(plain, '"'))
		return false;
	start = plain->at;
	for (; plain->at < plain->end && *plain->at != '"'; plain->at++)
		if (*plain->at == '\\' || (unsigned char) *plain->at < ' ')
			return false;
	if (plain->at == plain->end)
		return false;
	value->type = jbvString;
	value->val.string.val = unconstify(char *, start);
	value->val.string.len = (int) (plain->at++ - start);
	return true;
}

/* What may follow a number or a word. */
static bool
is_end(const Plain *plain)
{
	return plain->at < plain->end && strchr(" \t\n\r,]}", *plain->at) != NULL;
}

static bool
take_number(Plain *plain, JsonbValue *value)
{
	bool is_negative = *plain->at == '-';
	const char *start;
	int64 number = 0;

	plain->at += is_negative ? 1 : 0;
	start = plain->at;
	for (; plain->at < plain->end && *plain->at >= '0' && *plain->at <= '9';
		 plain->at++)
	{
		if (plain->at - start == MOST_DIGITS)
			return false;
		number = number * 10 + (*plain->at - '0');
	}
	if (plain->at == start || (*start == '0' && plain->at - start > 1) ||
		!is_end(plain))
		return false;
	value->type = jbvNumeric;
	value->val.numeric = int64_to_numeric(is_negative ? -number : number);
	return true;
}

static bool
take_word(Plain *plain, JsonbValue *value)
{
	static const struct
	{
		const char *word;
		enum jbvType type;
	} words[] = { { "true", jbvBool },
				  { "false", jbvBool },
				  { "null", jbvNull } };

	for (size_t i = 0; i < lengthof(words); i++)
	{
		size_t length = strlen(words[i].word);

		if ((size_t) (plain->end - plain->at) < length ||
			memcmp(plain->at, words[i].word, length) != 0)
			continue;
		plain->at += length;
		value->type = words[i].type;
		if (value->type == jbvBool)
			value->val.boolean = i == 0;
		return is_end(plain);
	}
	return false;
}

/* After its opening brace. */
static bool
take_object(Plain *plain, int depth)
{
	push(plain, WJB_BEGIN_OBJECT, NULL);
	if (!take(plain, '}'))
	{
		do
		{
			JsonbValue key;

			if (!take_string(plain, &key) || !take(plain, ':'))
				return false;
			push(plain, WJB_KEY, &key);
			if (!take_value(plain, WJB_VALUE, depth))
				return false;
		} while (take(plain, ','));
		if (!take(plain, '}'))
			return false;
	}
	push(plain, WJB_END_OBJECT, NULL);
	return true;
}

/* After its opening bracket. */
static bool
take_array(Plain *plain, int depth)
{
	push(plain, WJB_BEGIN_ARRAY, NULL);
	if (!take(plain, ']'))
	{
		do
		{
			if (!take_value(plain, WJB_ELEM, depth))
				return false;
		} while (take(plain, ','));
		if (!take(plain, ']'))
			return false;
	}
	push(plain, WJB_END_ARRAY, NULL);
	return true;
}

static bool
take_value(Plain *plain, JsonbIteratorToken place, int depth)
{
	JsonbValue value;
	bool is_good;

	if (depth == MOST_DEPTH)
		return false;
	if (take(plain, '{'))
		return take_object(plain, depth + 1);
	if (take(plain, '['))
		return take_array(plain, depth + 1);
	if (plain->at == plain->end)
		return false;
	if (*plain->at == '"')
		is_good = take_string(plain, &value);
	else if (*plain->at == '-' || (*plain->at >= '0' && *plain->at <= '9'))
		is_good = take_number(plain, &value);
	else
		is_good = take_word(plain, &value);
	if (is_good)
		push(plain, place, &value);
	return is_good;
}

Jsonb *
th_json_plain(const char *text, size_t length)
{
	Plain plain = { .at = text, .end = text + length };

	if (length > MOST_BYTES || !take(&plain, '{') || !take_object(&plain, 1))
		return NULL;
	skip_space(&plain);
	return plain.at == plain.end ? JsonbValueToJsonb(plain.result) : NULL;
}
