/*
 * address.h
 *	  Which remote hosts and addresses outward work may talk to.
 *
 * Owns no state. Every function is safe in the no-throw zone: nothing is
 * allocated, nothing thrown.
 */
#ifndef TH_HTTP_ADDRESS_H
#define TH_HTTP_ADDRESS_H

struct sockaddr;

/*
 * True if the address belongs to the public internet: not loopback, private,
 * shared (CGNAT), link-local, multicast, reserved, documentation or a known
 * metadata service, nor an IPv6 form that carries such an IPv4 address.
 * Anything but IPv4 and IPv6 is not public.
 */
extern bool th_http_address_is_public(const struct sockaddr *address,
									  size_t length);

/* The same for an address in text form; false if it cannot be read. */
extern bool th_http_address_text_is_public(const char *text);

/*
 * True if "list", a comma list of host or host:port, names this host. Case
 * and a final dot of the name do not matter; IPv6 addresses stand in
 * brackets when a port follows. "host" comes without brackets.
 */
extern bool th_http_host_is_listed(const char *list, const char *host,
								   int port);

#endif /* TH_HTTP_ADDRESS_H */
