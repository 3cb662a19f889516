/*
 * client.c
 *	  The connections of a gateway process, and their deadlines.
 *
 * The library's own timeout only sees inactivity: a byte now and then would
 * keep a connection for ever. Ours bound each phase as a whole. A connection
 * that is over its deadline is shut down; the library sees its end and closes
 * it.
 */
#include "postgres.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/th_clock.h"
#include "base/th_guc.h"
#include "gateway/client.h"
#include "gateway/server.h"

#define NEW_MS 10000
#define HEAD_MS 10000
#define BODY_MS 30000
#define SENDING_MS 60000
#define IDLE_MS 60000

/*
 * While there are too many, who has been in a phase for longer may be closed:
 * a few addresses that each say half of something must not keep all others
 * out for as long as a slow line may take. Who has just come is spared for as
 * long as a request takes to follow.
 */
#define FULL_NEW_MS 500
#define FULL_HEAD_MS 2000
#define FULL_BODY_MS 5000
#define FULL_SENDING_MS 20000
#define FULL_IDLE_MS 0

/* So many places are kept free by closing connections. */
#define SPARE_CONNECTIONS 32

static dlist_head clients = DLIST_STATIC_INIT(clients);
static int n_clients = 0;

/* IPv4 as it is, IPv6 by its network: one host has many of those addresses. */
static void
read_address(const struct sockaddr *address, ThClient *out)
{
	memset(out->address, 0, sizeof(out->address));
	out->is_loopback = false;
	if (address == NULL)
		return;
	if (address->sa_family == AF_INET)
	{
		const struct sockaddr_in *v4 = (const struct sockaddr_in *) address;

		memcpy(out->address + 12, &v4->sin_addr, 4);
		out->is_loopback = out->address[12] == 127;
	}
	else if (address->sa_family == AF_INET6)
	{
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) address;

		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		{
			memcpy(out->address + 12, v6->sin6_addr.s6_addr + 12, 4);
			out->is_loopback = out->address[12] == 127;
			return;
		}
		memcpy(out->address, &v6->sin6_addr, 8);
		out->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
}

/*
 * On loopback are the reverse proxy and programs of this machine, whose
 * connections are many clients' and known to their administrator: only the
 * limit of all counts.
 */
static int
limit_of(const ThClient *client)
{
#ifdef TH_DEBUG
	if (th_guc_debug_http_per_address > 0)
		return th_guc_debug_http_per_address;
#endif
	return client->is_loopback ? TH_HTTP_CONNECTIONS : TH_HTTP_PER_ADDRESS;
}

bool
th_client_is_welcome(const struct sockaddr *address)
{
	ThClient newcomer;
	dlist_iter iter;
	int n = 0;

	read_address(address, &newcomer);
	dlist_foreach(iter, &clients)
	{
		const ThClient *client = dlist_container(ThClient, node, iter.cur);

		if (memcmp(client->address, newcomer.address,
				   sizeof(newcomer.address)) == 0)
			n++;
	}
	return n < limit_of(&newcomer);
}

ThClient *
th_client_create(const struct sockaddr *address, int descriptor)
{
	ThClient *client = calloc(1, sizeof(ThClient));

	if (client == NULL)
		return NULL;
	read_address(address, client);
	client->descriptor = descriptor;
	dlist_push_tail(&clients, &client->node);
	n_clients++;
	th_client_enter(client, TH_CLIENT_NEW);
	return client;
}

void
th_client_free(ThClient *client)
{
	if (client == NULL)
		return;
	dlist_delete(&client->node);
	n_clients--;
	free(client);
}

static int64
time_for(ThClientPhase phase)
{
	static const int64 times[] = {
		[TH_CLIENT_NEW] = NEW_MS,         [TH_CLIENT_HEAD] = HEAD_MS,
		[TH_CLIENT_BODY] = BODY_MS,       [TH_CLIENT_WORKING] = 0,
		[TH_CLIENT_SENDING] = SENDING_MS, [TH_CLIENT_IDLE] = IDLE_MS,
	};

#ifdef TH_DEBUG
	if (th_guc_debug_http_deadline_ms > 0 && times[phase] > 0)
		return th_guc_debug_http_deadline_ms;
#endif
	return times[phase];
}

void
th_client_enter(ThClient *client, ThClientPhase phase)
{
	int64 time_ms = time_for(phase);

	client->phase = phase;
	client->since_ms = th_clock_monotonic_ms();
	client->deadline_ms = time_ms == 0 ? 0 : client->since_ms + time_ms;
	dlist_delete(&client->node);
	dlist_push_tail(&clients, &client->node);
}

static void
cut(ThClient *client)
{
	client->is_cut = true;
	(void) shutdown(client->descriptor, SHUT_RDWR);
}

/* When it may be closed for want of room; those in work never. */
static int64
full_deadline(const ThClient *client)
{
	static const int64 times[] = {
		[TH_CLIENT_NEW] = FULL_NEW_MS,         [TH_CLIENT_HEAD] = FULL_HEAD_MS,
		[TH_CLIENT_BODY] = FULL_BODY_MS,       [TH_CLIENT_WORKING] = 0,
		[TH_CLIENT_SENDING] = FULL_SENDING_MS, [TH_CLIENT_IDLE] = FULL_IDLE_MS,
	};

	if (client->deadline_ms == 0)
		return PG_INT64_MAX;
	return Min(client->deadline_ms, client->since_ms + times[client->phase]);
}

/* So many should go. */
static int
surplus(void)
{
	int n = n_clients - (TH_HTTP_CONNECTIONS - SPARE_CONNECTIONS);
	dlist_iter iter;

	if (n <= 0)
		return 0;
	dlist_foreach(iter, &clients)
		n -= dlist_container(ThClient, node, iter.cur)->is_cut ? 1 : 0;
	return Max(n, 0);
}

/* Of each phase those who have been in it for longest. */
static int
make_room(int64 now, int n_wanted)
{
	/* heads first: nobody who means well is that slow with one */
	static const ThClientPhase order[] = { TH_CLIENT_HEAD, TH_CLIENT_NEW,
										   TH_CLIENT_IDLE, TH_CLIENT_BODY,
										   TH_CLIENT_SENDING };
	int n = 0;

	for (int i = 0; i < (int) lengthof(order); i++)
	{
		dlist_iter iter;

		dlist_foreach(iter, &clients)
		{
			ThClient *client = dlist_container(ThClient, node, iter.cur);

			if (n >= n_wanted)
				return n;
			if (client->phase != order[i] || client->is_cut ||
				full_deadline(client) > now)
				continue;
			cut(client);
			n++;
		}
	}
	return n;
}

int
th_client_sweep(void)
{
	int64 now = th_clock_monotonic_ms();
	int n = 0;
	dlist_iter iter;

	dlist_foreach(iter, &clients)
	{
		ThClient *client = dlist_container(ThClient, node, iter.cur);

		if (client->is_cut || client->deadline_ms == 0 ||
			client->deadline_ms > now)
			continue;
		cut(client);
		n++;
	}
	return n + make_room(now, surplus());
}

int
th_client_wait_ms(int most)
{
	int64 now = th_clock_monotonic_ms();
	int64 wait = most;
	bool is_full = surplus() > 0;
	dlist_iter iter;

	dlist_foreach(iter, &clients)
	{
		const ThClient *client = dlist_container(ThClient, node, iter.cur);

		if (client->deadline_ms == 0 || client->is_cut)
			continue;
		wait = Min(wait,
				   (is_full ? full_deadline(client) : client->deadline_ms) -
					   now);
	}
	return (int) Max(wait, 0);
}

int
th_client_count(void)
{
	return n_clients;
}

bool
th_client_is_any_busy(void)
{
	dlist_iter iter;

	dlist_foreach(iter, &clients)
	{
		const ThClient *client = dlist_container(ThClient, node, iter.cur);

		if (client->phase != TH_CLIENT_NEW && client->phase != TH_CLIENT_IDLE &&
			!client->is_cut)
			return true;
	}
	return false;
}
