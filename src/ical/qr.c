/*
 * qr.c
 *	  Text as a QR code.
 */
#include "postgres.h"

#include <errno.h>

#include <qrencode.h>

#include "base/th_guard.h"
#include "ical/qr.h"

/* The longest text that any code holds, at the least correction. */
#define TEXT_MAX 2953

/* White modules around, as the standard wants them. */
#define MARGIN 4

static void
free_code(void *object)
{
	QRcode_free(object);
}

/* Dark modules of a row that touch become one rectangle. */
static void
write_row(StringInfo out, const unsigned char *row, int width, int y)
{
	for (int x = 0; x < width; x++)
	{
		int start = x;

		while (x < width && (row[x] & 1) != 0)
			x++;
		if (x > start)
			appendStringInfo(out, "M%d %dh%dv1h-%dz", start + MARGIN,
							 y + MARGIN, x - start, x - start);
	}
}

bool
th_qr_write_svg(const char *text, size_t length, StringInfo out)
{
	ThGuard *guard;
	QRcode *code;
	int reason;
	int size;

	if (length > TEXT_MAX)
		return false;
	guard = th_guard_create(CurrentMemoryContext, free_code);
	code = QRcode_encodeData((int) length, (const unsigned char *) text, 0,
							 QR_ECLEVEL_M);
	reason = errno;
	if (code == NULL && reason == ERANGE)
		return false;
	if (code == NULL)
		ereport(ERROR, (errcode(reason == ENOMEM ? ERRCODE_OUT_OF_MEMORY
												 : ERRCODE_INTERNAL_ERROR),
						errmsg("could not make a QR code")));
	(void) th_guard_store(guard, code);
	size = code->width + 2 * MARGIN;
	appendStringInfo(out,
					 "<svg xmlns=\"http://www.w3.org/2000/svg\""
					 " viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">"
					 "<path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/>"
					 "<path d=\"",
					 size, size, size, size);
	for (int y = 0; y < code->width; y++)
		write_row(out, code->data + (size_t) y * code->width, code->width, y);
	appendStringInfoString(out, "\"/></svg>\n");
	th_guard_release(guard);
	return true;
}
