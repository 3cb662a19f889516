/*
 * dav_xml.h
 *	  What WebDAV answers in XML: multistatus and error documents.
 *
 * Whatever comes is read without a network, without a document type and so
 * without entities of its own; what is too deep or too much is not readable.
 */
#ifndef TH_CALENDAR_DAV_XML_H
#define TH_CALENDAR_DAV_XML_H

/* One response of a multistatus; texts are NULL if they were not given. */
typedef struct ThDavItem
{
	const char *href; /* as it came */
	int status;       /* of the whole; 0: none, its properties count */

	/* Properties that were found; those of others are left out. */
	const char *etag;
	const char *data; /* iCalendar */
	const char *ctag;
	const char *sync_token;
	const char *display_name;
	const char *principal; /* hrefs */
	const char *home;
	const char *addresses; /* of the user: all mailto: without it, by commas */
	const char *timezone;  /* a VTIMEZONE */
	bool is_collection;
	bool is_calendar;
	bool tells_components;
	bool has_events; /* one of the components is VEVENT */
	bool tells_privileges;
	bool is_writable;
} ThDavItem;

typedef struct ThDavAnswer
{
	ThDavItem *items;
	int n_items;
	const char *sync_token; /* of the multistatus */
	const char *condition;  /* of an error: which; without a namespace */
	const char *condition_href;
} ThDavAnswer;

/*
 * Fills "out"; false if the text is no such document, or goes beyond a
 * bound. Memory: current context, about the length of the text. Errors: out
 * of memory.
 */
extern bool th_dav_read(const char *body, size_t length, ThDavAnswer *out);

#endif /* TH_CALENDAR_DAV_XML_H */
