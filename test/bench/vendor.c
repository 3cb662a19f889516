/*
 * vendor.c
 *	  A video vendor for the benches: answers like Zoom, at once or after a
 *	  fixed delay, in one thread.
 *
 * usage: vendor DELAY_MS COUNTERS
 *
 * COUNTERS is a mapped file: how many meetings were asked for, when the last
 * request for one arrived (CLOCK_REALTIME, ns), and the port listened to. It
 * remembers nothing else; a meeting can be made, and that is all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 4096
#define ROOM 16384

typedef struct Counters
{
	volatile int64_t creates;
	volatile int64_t last_at;
	volatile int64_t port;
} Counters;

typedef struct Client
{
	char in[ROOM];
	int n;
	char out[2048];
	int n_out;
	uint32_t number; /* a later client on the same descriptor has another */
} Client;

typedef struct Answer
{
	int fd;
	uint32_t number;
	int64_t at;
} Answer;

static Client *clients[MAX_FD];
static Answer waiting[MAX_FD * 4];
static unsigned first, last;
static int64_t delay;
static int64_t next_id = 80000000000;
static uint32_t next_number;
static Counters *counters;

static int64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The text value of a member, without escapes; the fallback if it is not there. */
static void
member(const char *body, const char *name, const char *fallback, char *out,
	   size_t size)
{
	char key[64];
	const char *at;
	size_t n = 0;

	snprintf(key, sizeof(key), "\"%s\":\"", name);
	at = strstr(body, key);
	if (at == NULL)
	{
		snprintf(out, size, "%s", fallback);
		return;
	}
	at += strlen(key);
	while (at[n] != '"' && at[n] != '\0' && n + 1 < size)
	{
		out[n] = at[n];
		n++;
	}
	out[n] = '\0';
}

static void
compose(Client *c, const char *status, const char *body)
{
	char date[64];
	time_t now = time(NULL);

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	c->n_out = snprintf(c->out, sizeof(c->out),
						"HTTP/1.1 %s\r\nDate: %s\r\n"
						"Content-Type: application/json\r\n"
						"Content-Length: %zu\r\n\r\n%s",
						status, date, strlen(body), body);
}

static void
answer_create(Client *c, const char *body)
{
	char start[64], zone[64], password[64], json[1024];
	const char *length = strstr(body, "\"duration\":");
	long long id = (long long) next_id++;

	member(body, "start_time", "2030-01-01T00:00:00Z", start, sizeof(start));
	member(body, "timezone", "UTC", zone, sizeof(zone));
	member(body, "password", "", password, sizeof(password));
	snprintf(json, sizeof(json),
			 "{\"id\":%lld,\"uuid\":\"u%lld==\",\"host_id\":\"h\","
			 "\"host_email\":\"host@clinic.example\",\"type\":2,"
			 "\"start_time\":\"%s\",\"timezone\":\"%s\",\"duration\":%d,"
			 "\"password\":\"%s\","
			 "\"start_url\":\"https://vendor.example/s/%lld?zak=x\","
			 "\"join_url\":\"https://vendor.example/j/%lld?pwd=x\","
			 "\"settings\":{\"waiting_room\":true,\"use_pmi\":false}}",
			 id, id, start, zone, length == NULL ? 30 : atoi(length + 11),
			 password, id, id);
	compose(c, "201 Created", json);
	counters->last_at = clock_ns(CLOCK_REALTIME);
	__atomic_add_fetch(&counters->creates, 1, __ATOMIC_RELEASE);
}

/* Answers the request at the start of the buffer, if it is complete. */
static int
answer(Client *c)
{
	char *end = memmem(c->in, c->n, "\r\n\r\n", 4);
	char *length;
	int head, body = 0;

	if (end == NULL)
		return 0;
	head = (int) (end - c->in) + 4;
	end[2] = '\0';
	length = strcasestr(c->in, "\r\ncontent-length:");
	if (length != NULL)
		body = atoi(length + 17);
	end[2] = '\r';
	if (c->n < head + body)
		return 0;
	c->in[head + body] = '\0';
	if (strncmp(c->in, "POST /oauth", 11) == 0)
		compose(c, "200 OK",
				"{\"access_token\":\"t\",\"token_type\":\"bearer\","
				"\"expires_in\":3599}");
	else if (strncmp(c->in, "POST ", 5) == 0)
		answer_create(c, c->in + head);
	else
		compose(c, "404 Not Found", "{\"code\":3001,\"message\":\"no\"}");
	c->n -= head + body;
	memmove(c->in, c->in + head + body, c->n);
	return 1;
}

static void
drop(int fd)
{
	free(clients[fd]);
	clients[fd] = NULL;
	close(fd);
}

static void
deliver(int fd)
{
	if (send(fd, clients[fd]->out, clients[fd]->n_out, MSG_NOSIGNAL) < 0)
		drop(fd);
}

static void
welcome(int listener, int epoll)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
	{
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

		if (fd >= MAX_FD || (clients[fd] = calloc(1, sizeof(Client))) == NULL)
		{
			close(fd);
			continue;
		}
		clients[fd]->number = ++next_number;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

static void
listen_to(int fd)
{
	Client *c = clients[fd];
	ssize_t n = recv(fd, c->in + c->n, ROOM - 1 - c->n, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
	{
		drop(fd);
		return;
	}
	c->n += (int) n;
	if (!answer(c))
		return;
	if (delay == 0)
		deliver(fd);
	else
		waiting[last++ % (MAX_FD * 4)] =
			(Answer){ fd, c->number, clock_ns(CLOCK_MONOTONIC) + delay };
}

/* Sends what is due; ns until the next one, -1 if none waits. */
static int64_t
send_due(void)
{
	while (first != last)
	{
		Answer *a = &waiting[first % (MAX_FD * 4)];
		int64_t left = a->at - clock_ns(CLOCK_MONOTONIC);

		if (left > 0)
			return left;
		if (clients[a->fd] != NULL && clients[a->fd]->number == a->number)
			deliver(a->fd);
		first++;
	}
	return -1;
}

static int
start_listening(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
								   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(fd, (struct sockaddr *) &address, size) != 0 ||
		listen(fd, 4096) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &size) != 0)
	{
		perror("vendor");
		exit(1);
	}
	counters->port = ntohs(address.sin_port);
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	int file, listener;

	if (argc != 3)
		return 2;
	delay = atoll(argv[1]) * 1000000;
	file = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (file < 0 || ftruncate(file, sizeof(Counters)) != 0)
		return 1;
	counters = mmap(NULL, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED,
					file, 0);
	listener = start_listening();
	event.data.fd = listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;)
	{
		int64_t left = send_due();
		struct timespec limit = { left / 1000000000, left % 1000000000 };
		int n = epoll_pwait2(epoll, events, 256, left < 0 ? NULL : &limit, NULL);

		for (int i = 0; i < n; i++)
		{
			if (events[i].data.fd == listener)
				welcome(listener, epoll);
			else if (clients[events[i].data.fd] != NULL)
				listen_to(events[i].data.fd);
		}
	}
}
