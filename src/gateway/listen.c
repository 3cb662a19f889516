/*
 * listen.c
 *	  The socket that a gateway process listens at.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/listen.h"

#define BACKLOG 1024

typedef struct Place
{
	int family;
	socklen_t length;
	union
	{
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
} Place;

static void
read_place(const char *text, int port, Place *place)
{
	memset(place, 0, sizeof(*place));
	if (inet_pton(AF_INET, text, &place->address.v4.sin_addr) == 1)
	{
		place->family = AF_INET;
		place->length = sizeof(place->address.v4);
		place->address.v4.sin_family = AF_INET;
		place->address.v4.sin_port = htons((uint16) port);
		return;
	}
	place->family = AF_INET6;
	place->length = sizeof(place->address.v6);
	place->address.v6.sin6_family = AF_INET6;
	place->address.v6.sin6_port = htons((uint16) port);
	if (inet_pton(AF_INET6, text, &place->address.v6.sin6_addr) != 1)
		place->address.v6.sin6_addr = in6addr_any;
}

static bool
set_option(int descriptor, int level, int option, int value)
{
	return setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

/* Closes and keeps errno. */
static int
give_up(int descriptor)
{
	int error_number = errno;

	(void) close(descriptor);
	errno = error_number;
	return -1;
}

static int
open_socket(const Place *place, bool is_dual, bool is_shared)
{
	int descriptor = socket(place->family,
							SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (descriptor < 0)
		return -1;
	if (!set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) ||
		(is_shared && !set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)) ||
		(place->family == AF_INET6 &&
		 !set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, !is_dual)) ||
		bind(descriptor, &place->address.any, place->length) != 0 ||
		listen(descriptor, BACKLOG) != 0)
		return give_up(descriptor);
	return descriptor;
}

/*
 * A socket that may be shared is shared with any process of the same user, so
 * another server's gateway would get half of our requests: first it must be
 * possible to have the address alone.
 */
static int
open_place(const Place *place, bool is_dual, bool has_sibling)
{
	if (!has_sibling)
	{
		int alone = open_socket(place, is_dual, false);

		if (alone < 0)
			return -1;
		(void) close(alone);
	}
	return open_socket(place, is_dual, true);
}

int
th_listen_open(const char *address, int port, bool has_sibling)
{
	bool is_everywhere = strcmp(address, "*") == 0;
	Place place;
	int descriptor;

	read_place(address, port, &place);
	descriptor = open_place(&place, is_everywhere, has_sibling);
	if (descriptor < 0 && is_everywhere && errno == EAFNOSUPPORT)
	{
		read_place("0.0.0.0", port, &place);
		descriptor = open_place(&place, false, has_sibling);
	}
	return descriptor;
}
