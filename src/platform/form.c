/*
 * form.c
 *	  Fields of a form or a query: application/x-www-form-urlencoded.
 */
#include "postgres.h"

#include <string.h>

#include "platform/form.h"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decoded text of "length" bytes; NULL if it is not well formed. */
static char *
decode(const char *text, size_t length)
{
	char *result = palloc(length + 1);
	char *out = result;

	for (size_t i = 0; i < length; i++)
	{
		int high;
		int low;

		if (text[i] != '%')
		{
			if (text[i] == '\0')
				return NULL;
			*out++ = text[i] == '+' ? ' ' : text[i];
			continue;
		}
		high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
		low = high < 0 ? -1 : hex_digit(text[i + 2]);
		if (low < 0 || high + low == 0)
			return NULL;
		*out++ = (char) (high * 16 + low);
		i += 2;
	}
	*out = '\0';
	return result;
}

bool
th_form_read(const char *text, size_t length, ThForm *out)
{
	const char *end = text + length;

	out->n = 0;
	while (text < end)
	{
		const char *stop = memchr(text, '&', (size_t) (end - text));
		const char *equals;
		ThFormField *field;

		if (stop == NULL)
			stop = end;
		if (stop > text)
		{
			if (out->n == TH_FORM_MOST_FIELDS)
				return false;
			equals = memchr(text, '=', (size_t) (stop - text));
			if (equals == NULL)
				equals = stop;
			field = &out->fields[out->n++];
			field->name = decode(text, (size_t) (equals - text));
			field->value = equals == stop
							   ? ""
							   : decode(equals + 1,
										(size_t) (stop - equals - 1));
			if (field->name == NULL || field->value == NULL)
				return false;
		}
		text = stop + 1;
	}
	return true;
}

const char *
th_form_value(const ThForm *form, const char *name)
{
	const char *value = NULL;

	for (int i = 0; i < form->n; i++)
	{
		if (strcmp(form->fields[i].name, name) != 0)
			continue;
		if (value != NULL)
			return NULL;
		value = form->fields[i].value;
	}
	return value;
}
