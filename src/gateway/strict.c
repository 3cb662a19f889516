/*
 * strict.c
 *	  What a request's head must be, beyond what the library asks.
 */
#include "postgres.h"

#include <string.h>
#include <strings.h>

#include "mb/pg_wchar.h"

#include "gateway/strict.h"

/* RFC 9110, 5.6.2 */
static bool
is_token(const char *text, size_t length)
{
	/* a bit for each character from 0x20 on that may be there */
	static const uint32 allowed[] = { 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };

	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (c < 0x20 || c >= 0x80 ||
			(allowed[(c >> 5) - 1] >> (c & 0x1f) & 1) == 0)
			return false;
	}
	return length > 0;
}

static bool
is_value(const char *text, size_t length)
{
	if (strlen(text) != length)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return pg_verify_mbstr(PG_UTF8, text, (int) length, true);
}

static bool
is_target(const char *target)
{
	if (*target != '/')
		return false;
	for (; *target != '\0'; target++)
	{
		unsigned char c = (unsigned char) *target;

		if (c <= ' ' || c >= 0x7f)
			return false;
	}
	return true;
}

/* Digits only; what is larger than any limit is as good as the largest. */
static bool
read_length(const ThField *field, uint64 *result)
{
	uint64 value = 0;

	for (size_t i = 0; i < field->value_length; i++)
	{
		unsigned digit = (unsigned) (unsigned char) field->value[i] - '0';

		if (digit > 9)
			return false;
		value = Min(value * 10 + digit, (uint64) PG_INT64_MAX / 16);
	}
	*result = value;
	return field->value_length > 0;
}

static bool
is_named(const ThField *field, const char *name)
{
	return field->name_length == strlen(name) &&
		   strncasecmp(field->name, name, field->name_length) == 0;
}

/* What says where the request ends, and for whom it is: once each. */
static int
check_framing(ThHead *head, bool is_1_1)
{
	int n_hosts = 0;
	int n_codings = 0;
	int n_lengths = 0;

	for (int i = 0; i < head->n_fields; i++)
	{
		const ThField *field = &head->fields[i];

		if (is_named(field, "host"))
			n_hosts++;
		else if (is_named(field, "transfer-encoding"))
		{
			n_codings++;
			head->is_chunked = field->value_length == 7 &&
							   strncasecmp(field->value, "chunked", 7) == 0;
			if (!head->is_chunked)
				return 501;
		}
		else if (is_named(field, "content-length"))
		{
			n_lengths++;
			head->has_length = true;
			if (!read_length(field, &head->length))
				return 400;
		}
	}
	if (n_hosts > 1 || (is_1_1 && n_hosts == 0) || n_codings > 1 ||
		n_lengths > 1 || n_codings + n_lengths > 1 ||
		(n_codings > 0 && !is_1_1))
		return 400;
	return 0;
}

int
th_strict_check(ThHead *head)
{
	bool is_1_1 = strcmp(head->version, "HTTP/1.1") == 0;

	head->is_chunked = head->has_length = false;
	head->length = 0;
	if (!is_1_1 && strcmp(head->version, "HTTP/1.0") != 0)
		return 505;
	if (head->size > TH_HEAD_MAX || head->n_fields > TH_FIELDS_MAX)
		return 431;
	if (strlen(head->target) > TH_TARGET_MAX)
		return 414;
	if (!is_token(head->method, strlen(head->method)) ||
		!is_target(head->target))
		return 400;
	for (int i = 0; i < head->n_fields; i++)
	{
		const ThField *field = &head->fields[i];

		if (!is_token(field->name, field->name_length) ||
			!is_value(field->value, field->value_length))
			return 400;
	}
	return check_framing(head, is_1_1);
}

/* True if "end", up to which parts were found, has "n" zero bytes before it. */
static bool
is_separated(const char *end, int n)
{
	for (int i = 1; i <= n; i++)
		if (end[-i] != '\0')
			return false;
	return true;
}

/*
 * The library takes the head apart where it lies: each separator becomes a
 * zero byte, CR LF two of them and LF alone one. So the parts of a head that
 * is well formed are just so far apart, and its size is that of all of them.
 */
bool
th_strict_is_framed(const ThHead *head, const char *place)
{
	const char *next = head->method + strlen(head->method) + 1;

	if (place != next)
		return false;
	next += strlen(head->target) + 1;
	if (head->version != next)
		return false;
	next += strlen(head->version) + 2;
	for (int i = 0; i < head->n_fields; i++)
	{
		const ThField *field = &head->fields[i];

		if (field->name != next || field->value < next + field->name_length + 1)
			return false;
		next = field->value + field->value_length + 2;
	}
	if (head->size != (size_t) (next - head->method) + 2)
		return false;
	/* now it is known that all of it lies in the buffer */
	for (int i = 0; i < head->n_fields; i++)
		if (!is_separated(head->fields[i].name, 2))
			return false;
	return is_separated(head->method + head->size, 4);
}

bool
th_strict_is_text(const char *bytes, size_t length)
{
	return length == 0 || (memchr(bytes, '\0', length) == NULL &&
						   pg_verify_mbstr(PG_UTF8, bytes, (int) length, true));
}
