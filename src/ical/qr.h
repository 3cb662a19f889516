/*
 * qr.h
 *	  Text as a QR code.
 */
#ifndef TH_ICAL_QR_H
#define TH_ICAL_QR_H

#include "lib/stringinfo.h"

/*
 * Appends the code of "text" as an SVG document that scales to where it is
 * put. False if the text is too long for one, about 2300 bytes. Errors: out
 * of memory.
 */
extern bool th_qr_write_svg(const char *text, size_t length, StringInfo out);

#endif /* TH_ICAL_QR_H */
