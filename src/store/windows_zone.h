/*
 * windows_zone.h
 *	  Zones by the names that Windows has for them, from CLDR.
 */
#ifndef TH_STORE_WINDOWS_ZONE_H
#define TH_STORE_WINDOWS_ZONE_H

/*
 * The IANA name of a zone that Windows names so, in any case, or NULL. Read
 * as the owner: it is the same for everybody.
 * Memory: current context. Where: in a transaction.
 */
extern char *th_windows_zone_find(const char *name);

#endif /* TH_STORE_WINDOWS_ZONE_H */
