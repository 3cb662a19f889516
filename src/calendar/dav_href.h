/*
 * dav_href.h
 *	  Addresses as WebDAV servers write them: absolute or not, escaped in any
 *	  style, behind proxies that know another name of the host.
 *
 * Pure. Memory of all: current context. Errors: out of memory.
 */
#ifndef TH_CALENDAR_DAV_HREF_H
#define TH_CALENDAR_DAV_HREF_H

/* Longest name of a resource that we keep; see th_dav_member(). */
#define TH_DAV_NAME_MAX 512

/*
 * The URL that "reference" means in a document at "base", which is absolute;
 * without a fragment. NULL if it is none that we would call.
 */
extern char *th_dav_resolve(const char *base, const char *reference);

/* The URL with a slash at its end: of a collection. */
extern char *th_dav_collection(const char *url);

/* scheme://host of an absolute URL, as written. */
extern char *th_dav_root(const char *url);

/*
 * True if credentials meant for "from" may also go to "to": the same server,
 * its https instead of its http, or a partition of iCloud.
 */
extern bool th_dav_may_follow(const char *from, const char *to);

/* The path of a collection, as th_dav_member() wants it; NULL if there is none. */
extern char *th_dav_folder(const char *collection);

/*
 * The name of the resource that "href" means if it is a direct member of the
 * collection and no collection itself, else NULL. Percent-encoded in one
 * style, so that equal names are equal texts of ASCII. Only paths are
 * compared: servers behind proxies do not always know their own address.
 */
extern char *th_dav_member(const char *collection, const char *folder,
						   const char *href);

/*
 * The same text for all addresses of a collection that mean the same one:
 * http or https, whichever partition of iCloud it is served from by now.
 */
extern char *th_dav_identity(const char *collection);

/* True if "href" is the collection itself. */
extern bool th_dav_is_same(const char *collection, const char *href);

#endif /* TH_CALENDAR_DAV_HREF_H */
