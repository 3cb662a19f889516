/*
 * dav_xml.c
 *	  What WebDAV answers in XML: multistatus and error documents.
 *
 * libxml2 reports what it meets and builds no tree. The functions named
 * on_... are called by it: a no-throw zone. They need no memory but what was
 * made before: texts go into a pool as long as the document, which no text
 * out of it can outgrow, and items into an array with one place for each
 * "href" there is.
 */
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

#include "utils/memutils.h"

#include <libxml/parser.h>
#include <libxml/xmlerror.h>

#include "base/compat.h"
#include "calendar/dav_xml.h"

#define DAV "DAV:"
#define CALDAV "urn:ietf:params:xml:ns:caldav"
#define SERVER "http://calendarserver.org/ns/"

/* What is deeper is none of what we know. */
#define MAX_DEPTH 64
#define MAX_ITEMS 100000

typedef enum DavName
{
	NAME_OTHER,
	NAME_ADDRESS_SET,
	NAME_ALL,
	NAME_BIND,
	NAME_CALENDAR,
	NAME_COLLECTION,
	NAME_COMPONENT,
	NAME_COMPONENT_SET,
	NAME_CTAG,
	NAME_DATA,
	NAME_DISPLAY_NAME,
	NAME_ERROR,
	NAME_ETAG,
	NAME_HOME,
	NAME_HREF,
	NAME_MULTISTATUS,
	NAME_PRINCIPAL,
	NAME_PRIVILEGE,
	NAME_PRIVILEGE_SET,
	NAME_PROP,
	NAME_PROPSTAT,
	NAME_RESOURCE_TYPE,
	NAME_RESPONSE,
	NAME_STATUS,
	NAME_SYNC_TOKEN,
	NAME_TIMEZONE,
	NAME_WRITE,
	NAME_WRITE_CONTENT
} DavName;

static const struct
{
	const char *space;
	const char *local;
	DavName name;
	bool is_text;
} known[] = {
	{ DAV, "multistatus", NAME_MULTISTATUS, false },
	{ DAV, "response", NAME_RESPONSE, false },
	{ DAV, "href", NAME_HREF, true },
	{ DAV, "status", NAME_STATUS, true },
	{ DAV, "propstat", NAME_PROPSTAT, false },
	{ DAV, "prop", NAME_PROP, false },
	{ DAV, "getetag", NAME_ETAG, true },
	{ DAV, "sync-token", NAME_SYNC_TOKEN, true },
	{ DAV, "displayname", NAME_DISPLAY_NAME, true },
	{ DAV, "resourcetype", NAME_RESOURCE_TYPE, false },
	{ DAV, "collection", NAME_COLLECTION, false },
	{ DAV, "current-user-principal", NAME_PRINCIPAL, false },
	{ DAV, "current-user-privilege-set", NAME_PRIVILEGE_SET, false },
	{ DAV, "privilege", NAME_PRIVILEGE, false },
	{ DAV, "all", NAME_ALL, false },
	{ DAV, "bind", NAME_BIND, false },
	{ DAV, "write", NAME_WRITE, false },
	{ DAV, "write-content", NAME_WRITE_CONTENT, false },
	{ DAV, "error", NAME_ERROR, false },
	{ CALDAV, "calendar", NAME_CALENDAR, false },
	{ CALDAV, "calendar-data", NAME_DATA, true },
	{ CALDAV, "calendar-home-set", NAME_HOME, false },
	{ CALDAV, "calendar-timezone", NAME_TIMEZONE, true },
	{ CALDAV, "calendar-user-address-set", NAME_ADDRESS_SET, false },
	{ CALDAV, "comp", NAME_COMPONENT, false },
	{ CALDAV, "supported-calendar-component-set", NAME_COMPONENT_SET, false },
	{ SERVER, "getctag", NAME_CTAG, true },
};

typedef struct Reading
{
	xmlParserCtxtPtr parser;
	ThDavAnswer *out;
	int max_items;
	int first_of_response; /* the items from here on share its status */
	ThDavItem item;        /* of the response */
	ThDavItem found;       /* of the propstat */
	int propstat_status;
	char *addresses_end; /* of found.addresses */

	int depth;
	DavName path[MAX_DEPTH];

	char *pool;
	size_t pool_size;
	size_t pool_used;
	bool is_collecting;
	size_t text_start; /* of what is collected */

	bool is_refused;
} Reading;

static void
refuse(Reading *reading)
{
	reading->is_refused = true;
	xmlStopParser(reading->parser);
}

/* The element that is "up" above the present one. */
static DavName
above(const Reading *reading, int up)
{
	int place = reading->depth - 1 - up;

	return place >= 0 ? reading->path[place] : NAME_OTHER;
}

static void
add_text(Reading *reading, const char *text, size_t length)
{
	/* One more, for the zero. */
	if (length >= reading->pool_size - reading->pool_used)
	{
		refuse(reading);
		return;
	}
	memcpy(reading->pool + reading->pool_used, text, length);
	reading->pool_used += length;
}

/* What was collected, without blanks around it. */
static char *
end_text(Reading *reading)
{
	char *text = reading->pool + reading->text_start;
	char *end = reading->pool + reading->pool_used;

	*end = '\0';
	reading->pool_used++;
	reading->is_collecting = false;
	while (end > text && strchr(" \t\r\n", end[-1]) != NULL)
		*--end = '\0';
	return text + strspn(text, " \t\r\n");
}

/* The number in "HTTP/1.1 200 OK"; 500 if there is none. */
static int
status_of(const char *text)
{
	const char *number = strchr(text, ' ');
	int status = number == NULL ? 0 : (int) strtol(number + 1, NULL, 10);

	return status >= 100 && status <= 999 ? status : 500;
}

/* The value of the attribute "name", in the document itself; NULL without. */
static const xmlChar *
find_name(int count, const xmlChar **attributes, size_t *length)
{
	for (int i = 0; i < count; i++, attributes += 5)
	{
		if (strcmp((const char *) attributes[0], "name") != 0)
			continue;
		*length = attributes[4] - attributes[3];
		return attributes[3];
	}
	return NULL;
}

static void
take_component(Reading *reading, int count, const xmlChar **attributes)
{
	size_t length;
	const xmlChar *name = find_name(count, attributes, &length);

	if (name != NULL && length == 6 &&
		pg_strncasecmp((const char *) name, "VEVENT", 6) == 0)
		reading->found.has_events = true;
}

/* Elements that say something by being there. */
static void
take_mark(Reading *reading, DavName name, int count, const xmlChar **attributes)
{
	DavName parent = above(reading, 1);

	if (parent == NAME_RESOURCE_TYPE && name == NAME_COLLECTION)
		reading->found.is_collection = true;
	else if (parent == NAME_RESOURCE_TYPE && name == NAME_CALENDAR)
		reading->found.is_calendar = true;
	else if (parent == NAME_COMPONENT_SET && name == NAME_COMPONENT)
		take_component(reading, count, attributes);
	else if (parent == NAME_PROP && name == NAME_COMPONENT_SET)
		reading->found.tells_components = true;
	else if (parent == NAME_PROP && name == NAME_PRIVILEGE_SET)
		reading->found.tells_privileges = true;
	else if (parent == NAME_PRIVILEGE &&
			 (name == NAME_ALL || name == NAME_WRITE ||
			  name == NAME_WRITE_CONTENT || name == NAME_BIND))
		reading->found.is_writable = true;
}

/* The first thing inside of an error that is a document of its own. */
static void
take_condition(Reading *reading, const xmlChar *local)
{
	if (reading->depth != 2 || reading->path[0] != NAME_ERROR ||
		reading->out->condition != NULL)
		return;
	reading->text_start = reading->pool_used;
	add_text(reading, (const char *) local, strlen((const char *) local));
	if (!reading->is_refused)
		reading->out->condition = end_text(reading);
}

static void
on_start(void *context, const xmlChar *local,
		 const xmlChar *prefix pg_attribute_unused(), const xmlChar *space,
		 int n_spaces pg_attribute_unused(),
		 const xmlChar **spaces pg_attribute_unused(), int n_attributes,
		 int n_defaulted pg_attribute_unused(), const xmlChar **attributes)
{
	Reading *reading = context;
	DavName name = NAME_OTHER;
	bool is_text = false;

	for (size_t i = 0; space != NULL && i < lengthof(known); i++)
	{
		if (strcmp((const char *) local, known[i].local) != 0 ||
			strcmp((const char *) space, known[i].space) != 0)
			continue;
		name = known[i].name;
		is_text = known[i].is_text;
		break;
	}
	if (reading->depth == MAX_DEPTH ||
		(reading->depth == 0 && name != NAME_MULTISTATUS && name != NAME_ERROR))
	{
		refuse(reading);
		return;
	}
	reading->path[reading->depth++] = name;
	reading->is_collecting = is_text;
	reading->text_start = reading->pool_used;
	if (name == NAME_RESPONSE)
	{
		memset(&reading->item, 0, sizeof(ThDavItem));
		reading->first_of_response = reading->out->n_items;
	}
	else if (name == NAME_PROPSTAT)
	{
		memset(&reading->found, 0, sizeof(ThDavItem));
		reading->propstat_status = 0;
	}
	else
		take_mark(reading, name, n_attributes, attributes);
	take_condition(reading, local);
}

static void
on_text(void *context, const xmlChar *text, int length)
{
	Reading *reading = context;

	if (reading->is_collecting)
		add_text(reading, (const char *) text, (size_t) length);
}

/* A response may name several that share a status. */
static void
add_item(Reading *reading)
{
	if (reading->item.href == NULL)
		return;
	if (reading->out->n_items == reading->max_items)
	{
		refuse(reading);
		return;
	}
	reading->out->items[reading->out->n_items++] = reading->item;
}

/* Behind those before it: they lie before it in the pool, and so have room. */
static void
take_address(Reading *reading, const char *text)
{
	if (pg_strncasecmp(text, "mailto:", 7) != 0)
		return;
	text += 7;
	if (reading->found.addresses == NULL)
	{
		reading->found.addresses = text;
		reading->addresses_end = unconstify(char *, text) + strlen(text);
		return;
	}
	*reading->addresses_end++ = ',';
	memmove(reading->addresses_end, text, strlen(text) + 1);
	reading->addresses_end += strlen(reading->addresses_end);
}

static void
take_href(Reading *reading, const char *text)
{
	switch (above(reading, 1))
	{
		case NAME_RESPONSE:
			add_item(reading);
			reading->item.href = text;
			break;
		case NAME_PRINCIPAL:
			reading->found.principal = text;
			break;
		case NAME_HOME:
			if (reading->found.home == NULL)
				reading->found.home = text;
			break;
		case NAME_ADDRESS_SET:
			take_address(reading, text);
			break;
		default:
			if (reading->path[0] == NAME_ERROR && reading->depth == 3)
				reading->out->condition_href = text;
			break;
	}
}

static void
take_property(Reading *reading, DavName name, const char *text)
{
	switch (name)
	{
		case NAME_ETAG:
			reading->found.etag = text;
			break;
		case NAME_DATA:
			reading->found.data = text;
			break;
		case NAME_CTAG:
			reading->found.ctag = text;
			break;
		case NAME_SYNC_TOKEN:
			reading->found.sync_token = text;
			break;
		case NAME_DISPLAY_NAME:
			reading->found.display_name = text;
			break;
		case NAME_TIMEZONE:
			reading->found.timezone = text;
			break;
		default:
			break;
	}
}

static void
take_text(Reading *reading, DavName name)
{
	const char *text = end_text(reading);
	DavName parent = above(reading, 1);

	if (name == NAME_HREF)
		take_href(reading, text);
	else if (name == NAME_STATUS && parent == NAME_PROPSTAT)
		reading->propstat_status = status_of(text);
	else if (name == NAME_STATUS && parent == NAME_RESPONSE)
		reading->item.status = status_of(text);
	else if (name == NAME_SYNC_TOKEN && parent == NAME_MULTISTATUS)
		reading->out->sync_token = text;
	else if (parent == NAME_PROP && above(reading, 2) == NAME_PROPSTAT)
		take_property(reading, name, text);
}

#define TAKE(member)                                                           \
	do                                                                         \
	{                                                                          \
		if (found->member)                                                     \
			item->member = found->member;                                      \
	} while (0)

/* What was found counts, unless its status says otherwise. */
static void
end_propstat(Reading *reading)
{
	const ThDavItem *found = &reading->found;
	ThDavItem *item = &reading->item;
	int status = reading->propstat_status;

	if (status != 0 && (status < 200 || status > 299))
		return;
	TAKE(etag);
	TAKE(data);
	TAKE(ctag);
	TAKE(sync_token);
	TAKE(display_name);
	TAKE(principal);
	TAKE(home);
	TAKE(addresses);
	TAKE(timezone);
	TAKE(is_collection);
	TAKE(is_calendar);
	TAKE(tells_components);
	TAKE(has_events);
	TAKE(tells_privileges);
	TAKE(is_writable);
}

static void
end_response(Reading *reading)
{
	add_item(reading);
	for (int i = reading->first_of_response; i < reading->out->n_items; i++)
		reading->out->items[i].status = reading->item.status;
}

static void
on_end(void *context, const xmlChar *local pg_attribute_unused(),
	   const xmlChar *prefix pg_attribute_unused(),
	   const xmlChar *space pg_attribute_unused())
{
	Reading *reading = context;
	DavName name = above(reading, 0);

	if (reading->is_refused || reading->depth == 0)
		return;
	if (reading->is_collecting)
		take_text(reading, name);
	else if (name == NAME_PROPSTAT)
		end_propstat(reading);
	else if (name == NAME_RESPONSE)
		end_response(reading);
	reading->depth--;
}

/* A document type, before anything in it was read. */
static void
on_document_type(void *context, const xmlChar *name pg_attribute_unused(),
				 const xmlChar *external pg_attribute_unused(),
				 const xmlChar *system pg_attribute_unused())
{
	refuse(context);
}

/* Silence: without it libxml2 writes to stderr. */
static void
on_error(void *context pg_attribute_unused(),
		 TH_COMPAT_XML_ERROR error pg_attribute_unused())
{
}

/* How many items there can be at most. */
static int
count_hrefs(const char *body, size_t length)
{
	const char *end = body + length;
	int count = 0;

	while (count < MAX_ITEMS && end - body >= 4)
	{
		body = memchr(body, 'h', end - body - 3);
		if (body == NULL)
			break;
		if (memcmp(body, "href", 4) == 0)
			count++;
		body++;
	}
	return count;
}

/* True if the document was good to its end. */
static bool
parse(Reading *reading, const char *body, size_t length)
{
	xmlParserCtxtPtr parser = xmlNewParserCtxt();
	bool is_good;

	if (parser == NULL || parser->sax == NULL)
	{
		xmlFreeParserCtxt(parser);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	memset(parser->sax, 0, sizeof(*parser->sax));
	parser->sax->initialized = XML_SAX2_MAGIC;
	parser->sax->startElementNs = on_start;
	parser->sax->endElementNs = on_end;
	parser->sax->characters = on_text;
	parser->sax->ignorableWhitespace = on_text;
	parser->sax->internalSubset = on_document_type;
	parser->sax->serror = on_error;
	parser->userData = reading;
	reading->parser = parser;
	(void) xmlCtxtReadMemory(parser, body, (int) length, NULL, "UTF-8",
							 XML_PARSE_NONET | XML_PARSE_NOCDATA |
								 XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	is_good = parser->wellFormed && !reading->is_refused;
	xmlFreeParserCtxt(parser);
	/* Its copy of what was wrong may hold a piece of the answer. */
	xmlResetLastError();
	return is_good;
}

bool
th_dav_read(const char *body, size_t length, ThDavAnswer *out)
{
	Reading reading = { 0 };

	memset(out, 0, sizeof(*out));
	if (length == 0 || length >= (size_t) MaxAllocSize)
		return false;
	reading.out = out;
	reading.max_items = count_hrefs(body, length);
	reading.pool_size = length + 1;
	reading.pool = palloc(reading.pool_size);
	out->items = palloc0((reading.max_items + 1) * sizeof(ThDavItem));
	return parse(&reading, body, length);
}
