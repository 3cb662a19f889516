/*
 * form.h
 *	  Fields of a form or a query: application/x-www-form-urlencoded.
 *
 * Pure.
 */
#ifndef TH_PLATFORM_FORM_H
#define TH_PLATFORM_FORM_H

#define TH_FORM_MOST_FIELDS 200

typedef struct ThFormField
{
	const char *name;
	const char *value;
} ThFormField;

typedef struct ThForm
{
	int n;
	ThFormField fields[TH_FORM_MOST_FIELDS];
} ThForm;

/*
 * The fields in their order, decoded; false for too many, a bad escape or a
 * zero byte. Memory: current context. Errors: out of memory.
 */
extern bool th_form_read(const char *text, size_t length, ThForm *out);

/* The value of the only field of that name; NULL if there is none, or several. */
extern const char *th_form_value(const ThForm *form, const char *name);

#endif /* TH_PLATFORM_FORM_H */
