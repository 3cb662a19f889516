/*
 * dav_href.c
 *	  Addresses as WebDAV servers write them.
 */
#include "postgres.h"

#include <ctype.h>
#include <string.h>

#include "lib/stringinfo.h"

#include "calendar/dav_href.h"
#include "http/request.h"

/* Length of "https:" and the like; 0 if the reference begins with none. */
static size_t
scheme_length(const char *reference)
{
	size_t length = 0;

	if (!isalpha((unsigned char) reference[0]))
		return 0;
	while (
		isalnum((unsigned char) reference[length]) ||
		(reference[length] != '\0' && strchr("+-.", reference[length]) != NULL))
		length++;
	return reference[length] == ':' ? length + 1 : 0;
}

/* Where the path of an absolute URL begins, at its end if it has none. */
static const char *
path_of(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? url : host + 3 + strcspn(host + 3, "/?#");
}

/* A path without "." and ".." (RFC 3986, 5.2.4); "out" has room for it. */
static void
append_path(StringInfo out, const char *path)
{
	int start = out->len;

	while (*path == '/')
	{
		size_t length = strcspn(path + 1, "/?");
		const char *segment = path + 1;

		path += length + 1;
		if (length == 2 && memcmp(segment, "..", 2) == 0)
		{
			while (out->len > start && out->data[out->len - 1] != '/')
				out->len--;
			if (out->len > start)
				out->len--;
			out->data[out->len] = '\0';
		}
		else if (length != 1 || segment[0] != '.')
		{
			appendStringInfoChar(out, '/');
			appendBinaryStringInfo(out, segment, (int) length);
			continue;
		}
		if (*path != '/')
			appendStringInfoChar(out, '/');
	}
	if (out->len == start)
		appendStringInfoChar(out, '/');
	/* The query. */
	appendStringInfoString(out, path);
}

/* A reference relative to the folder of the base. */
static char *
beside(const char *path, const char *reference)
{
	size_t length = strcspn(path, "?#");

	while (length > 0 && path[length - 1] != '/')
		length--;
	return psprintf("%.*s%s%s", (int) length, path, length == 0 ? "/" : "",
					reference);
}

/* Control characters and blanks are in no address. */
static bool
is_clean(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((unsigned char) *text <= ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

/* The URL that is meant, which may be one that we would not call. */
static char *
resolve(const char *base, const char *reference)
{
	char *copy = pstrdup(reference);
	const char *path = path_of(base);
	StringInfoData out;

	copy[strcspn(copy, "#")] = '\0';
	if (!is_clean(copy))
		return NULL;
	initStringInfo(&out);
	if (scheme_length(copy) > 0)
	{
		appendBinaryStringInfo(&out, copy, (int) (path_of(copy) - copy));
		path = path_of(copy);
	}
	else if (copy[0] == '/' && copy[1] == '/')
	{
		copy = psprintf("%.*s%s", (int) scheme_length(base), base, copy);
		appendBinaryStringInfo(&out, copy, (int) (path_of(copy) - copy));
		path = path_of(copy);
	}
	else
	{
		appendBinaryStringInfo(&out, base, (int) (path - base));
		if (copy[0] == '/')
			path = copy;
		else if (copy[0] != '\0')
			path = beside(path, copy);
	}
	append_path(&out, path);
	return out.data;
}

char *
th_dav_resolve(const char *base, const char *reference)
{
	char *url = resolve(base, reference);

	return url == NULL || th_http_origin(url) == NULL ? NULL : url;
}

char *
th_dav_collection(const char *url)
{
	size_t length = strlen(url);

	return length > 0 && url[length - 1] == '/' ? pstrdup(url)
												: psprintf("%s/", url);
}

char *
th_dav_root(const char *url)
{
	return pnstrdup(url, path_of(url) - url);
}

/* The origin's host and port, as "https://host:port" has it. */
static bool
is_partition(const char *origin)
{
	static const char prefix[] = "https://p";
	const char *rest;
	size_t digits;

	if (strncmp(origin, prefix, strlen(prefix)) != 0)
		return false;
	rest = origin + strlen(prefix);
	digits = strspn(rest, "0123456789");
	return digits > 0 && strcmp(rest + digits, "-caldav.icloud.com:443") == 0;
}

bool
th_dav_may_follow(const char *from, const char *to)
{
	char *before = th_http_origin(from);
	char *after = th_http_origin(to);
	size_t length;

	if (before == NULL || after == NULL)
		return false;
	if (strcmp(before, after) == 0)
		return true;
	if (strcmp(before, "https://caldav.icloud.com:443") == 0 ||
		is_partition(before))
		return is_partition(after);

	/* "http://host:80" to "https://host:443". */
	length = strlen(before);
	return length > 10 && strncmp(before, "http://", 7) == 0 &&
		   strcmp(before + length - 3, ":80") == 0 &&
		   strcmp(after, psprintf("https://%.*s:443", (int) length - 10,
								  before + 7)) == 0;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char) (c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends a path in which what needs no escape has none, and all else has. */
static void
append_normal(StringInfo out, const char *path, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) path[i];

		if (c == '%' && i + 2 < length && hex_value(path[i + 1]) >= 0 &&
			hex_value(path[i + 2]) >= 0)
		{
			c = (unsigned char) (hex_value(path[i + 1]) * 16 +
								 hex_value(path[i + 2]));
			i += 2;
		}
		else if (c == '/')
		{
			appendStringInfoChar(out, '/');
			continue;
		}
		/* What th_http_append_encoded() cannot be given. */
		if (c == '\0')
			appendStringInfoString(out, "%00");
		else
			th_http_append_encoded(out, (const char[]){ (char) c, '\0' });
	}
}

/* The path of a URL or of an href, in one style, without a query. */
static char *
normal_path(const char *base, const char *href)
{
	char *url = resolve(base, href);
	const char *path;
	StringInfoData out;

	if (url == NULL)
		return NULL;
	path = path_of(url);
	if (*path != '/')
		return NULL;
	initStringInfo(&out);
	append_normal(&out, path, strcspn(path, "?"));
	return out.data;
}

char *
th_dav_folder(const char *collection)
{
	return normal_path(collection, collection);
}

char *
th_dav_member(const char *collection, const char *folder, const char *href)
{
	char *path = normal_path(collection, href);
	const char *name;
	size_t length;

	if (path == NULL)
		return NULL;
	name = strrchr(path, '/') + 1;
	length = strlen(name);
	if (length == 0 || length > TH_DAV_NAME_MAX ||
		(size_t) (name - path) != strlen(folder) ||
		strncmp(path, folder, name - path) != 0 || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return NULL;
	return pstrdup(name);
}

bool
th_dav_is_same(const char *collection, const char *href)
{
	char *folder = normal_path(collection, collection);
	char *path = normal_path(collection, href);

	return folder != NULL && path != NULL &&
		   strcmp(folder, th_dav_collection(path)) == 0;
}

char *
th_dav_identity(const char *collection)
{
	char *origin = th_http_origin(collection);
	char *folder = th_dav_folder(collection);
	const char *host;
	size_t length;

	if (origin == NULL || folder == NULL)
		return pstrdup(collection);
	host = is_partition(origin) ? "caldav.icloud.com" : strchr(origin, '/') + 2;
	length = strlen(host);
	if (length > 4 && strcmp(host + length - 4, ":443") == 0)
		length -= 4;
	else if (length > 3 && strcmp(host + length - 3, ":80") == 0)
		length -= 3;
	return psprintf("%.*s%s", (int) length, host, folder);
}
