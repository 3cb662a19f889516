/*
 * address.c
 *	  Which remote hosts and addresses outward work may talk to.
 *
 * The check is made on the socket address, after resolution: it does not
 * matter in which notation a URL writes an address, nor what a name server
 * answers the second time it is asked.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "http/address.h"

typedef struct Range4
{
	uint32 network;
	int bits;
} Range4;

typedef struct Range6
{
	uint8 network[16];
	int bits;
} Range6;

/* IANA's special-purpose registry, and what clouds put inside and beside it. */
static const Range4 refused4[] = {
	{ 0x00000000, 8 },  /* 0.0.0.0/8, unspecified and "this network" */
	{ 0x0A000000, 8 },  /* 10.0.0.0/8, private */
	{ 0x64400000, 10 }, /* 100.64.0.0/10, carrier NAT; a cloud's metadata */
	{ 0x7F000000, 8 },  /* 127.0.0.0/8, loopback */
	{ 0xA83F8110, 32 }, /* 168.63.129.16, a cloud's host agent */
	{ 0xA9FE0000, 16 }, /* 169.254.0.0/16, link-local; metadata */
	{ 0xAC100000, 12 }, /* 172.16.0.0/12, private */
	{ 0xC0000000, 24 }, /* 192.0.0.0/24, protocols; a cloud's metadata */
	{ 0xC0000200, 24 }, /* 192.0.2.0/24, documentation */
	{ 0xC0586300, 24 }, /* 192.88.99.0/24, 6to4 relays */
	{ 0xC0A80000, 16 }, /* 192.168.0.0/16, private */
	{ 0xC6120000, 15 }, /* 198.18.0.0/15, benchmarks */
	{ 0xC6336400, 24 }, /* 198.51.100.0/24, documentation */
	{ 0xCB007100, 24 }, /* 203.0.113.0/24, documentation */
	{ 0xE0000000, 3 },  /* 224.0.0.0/3, multicast, reserved, broadcast */
};

/* Inside 2000::/3 only; everything outside is refused anyway. */
static const Range6 refused6[] = {
	{ { 0x20, 0x01 }, 23 },             /* protocols, Teredo, ORCHID */
	{ { 0x20, 0x01, 0x0D, 0xB8 }, 32 }, /* documentation */
	{ { 0x3F, 0xFF }, 20 },             /* documentation */
};

static const Range6 global_unicast = { { 0x20 }, 3 };
static const Range6 mapped = { { [10] = 0xFF, [11] = 0xFF }, 96 };
static const Range6 nat64 = { { 0x00, 0x64, 0xFF, 0x9B }, 96 };
static const Range6 six_to_four = { { 0x20, 0x02 }, 16 };

static bool
is_public4(uint32 address)
{
	int i;

	for (i = 0; i < (int) lengthof(refused4); i++)
	{
		if (((address ^ refused4[i].network) >> (32 - refused4[i].bits)) == 0)
			return false;
	}
	return true;
}

static bool
is_within6(const uint8 *address, const Range6 *range)
{
	int bytes = range->bits / 8;
	int rest = range->bits % 8;

	if (memcmp(address, range->network, bytes) != 0)
		return false;
	return rest == 0 ||
		   ((address[bytes] ^ range->network[bytes]) >> (8 - rest)) == 0;
}

/* The IPv4 address that four bytes of an IPv6 address carry. */
static uint32
embedded4(const uint8 *bytes)
{
	return ((uint32) bytes[0] << 24) | ((uint32) bytes[1] << 16) |
		   ((uint32) bytes[2] << 8) | (uint32) bytes[3];
}

static bool
is_public6(const uint8 *address)
{
	int i;

	if (is_within6(address, &mapped) || is_within6(address, &nat64))
		return is_public4(embedded4(address + 12));
	if (is_within6(address, &six_to_four))
		return is_public4(embedded4(address + 2));
	if (!is_within6(address, &global_unicast))
		return false;
	for (i = 0; i < (int) lengthof(refused6); i++)
	{
		if (is_within6(address, &refused6[i]))
			return false;
	}
	return true;
}

bool
th_http_address_is_public(const struct sockaddr *address, size_t length)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	/* Copies, since the caller's bytes may not be aligned for these types. */
	if (length >= sizeof(in4) && address->sa_family == AF_INET)
	{
		memcpy(&in4, address, sizeof(in4));
		return is_public4(ntohl(in4.sin_addr.s_addr));
	}
	if (length >= sizeof(in6) && address->sa_family == AF_INET6)
	{
		memcpy(&in6, address, sizeof(in6));
		return is_public6(in6.sin6_addr.s6_addr);
	}
	return false;
}

bool
th_http_address_text_is_public(const char *text)
{
	struct in_addr in4;
	struct in6_addr in6;

	if (inet_pton(AF_INET, text, &in4) == 1)
		return is_public4(ntohl(in4.s_addr));
	if (inet_pton(AF_INET6, text, &in6) == 1)
		return is_public6(in6.s6_addr);
	return false;
}

/* True if the "length" bytes at "entry" are one element naming the host. */
static bool
entry_names(const char *entry, size_t length, const char *host, int port)
{
	const char *name = entry;
	size_t name_length = length;
	const char *colon = memchr(entry, ':', length);

	if (length > 0 && entry[0] == '[')
	{
		const char *bracket = memchr(entry, ']', length);

		if (bracket == NULL)
			return false;
		name = entry + 1;
		name_length = bracket - name;
		colon = bracket + 1 < entry + length ? bracket + 1 : NULL;
		if (colon != NULL && *colon != ':')
			return false;
	}
	else if (colon != NULL &&
			 memchr(colon + 1, ':', entry + length - colon - 1) != NULL)
		colon = NULL; /* an IPv6 address without brackets */
	else if (colon != NULL)
		name_length = colon - entry;

	if (colon != NULL)
	{
		const char *digit = colon + 1;
		int entry_port = 0;

		if (digit == entry + length)
			return false;
		for (; digit < entry + length; digit++)
		{
			if (*digit < '0' || *digit > '9' || entry_port > 65535)
				return false;
			entry_port = entry_port * 10 + (*digit - '0');
		}
		if (entry_port != port)
			return false;
	}
	if (name_length > 0 && name[name_length - 1] == '.')
		name_length--;
	return name_length == strlen(host) &&
		   pg_strncasecmp(name, host, name_length) == 0;
}

bool
th_http_host_is_listed(const char *list, const char *host, int port)
{
	const char *entry = list;

	if (list == NULL || host[0] == '\0')
		return false;
	for (;;)
	{
		const char *end = entry + strcspn(entry, ",");
		const char *last = end;

		while (entry < last && strchr(" \t\r\n", *entry) != NULL)
			entry++;
		while (last > entry && strchr(" \t\r\n", last[-1]) != NULL)
			last--;
		if (entry_names(entry, last - entry, host, port))
			return true;
		if (*end == '\0')
			return false;
		entry = end + 1;
	}
}
