/*
 * resolver.c
 *	  An LD_PRELOAD library: names under rebind.example are what the file
 *	  SSRF_ANSWERS says just now, each question for one is a line in the file
 *	  SSRF_ASKED, and no packet leaves this machine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
				struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
	struct addrinfo numeric;
	char line[256] = "";
	char *rest = line;
	char *one;
	FILE *file;

	if (node == NULL || strstr(node, ".rebind.example") == NULL)
		return real(node, service, hints, out);
	file = fopen(getenv("SSRF_ASKED"), "a");
	fprintf(file, "%s\n", node);
	fclose(file);
	file = fopen(getenv("SSRF_ANSWERS"), "r");
	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		return EAI_NONAME;
	fclose(file);
	memset(&numeric, 0, sizeof(numeric));
	numeric.ai_socktype = SOCK_STREAM;
	numeric.ai_flags = AI_NUMERICHOST;
	*out = NULL;
	while ((one = strsep(&rest, " \n")) != NULL)
	{
		struct addrinfo **last = out;

		while (*last != NULL)
			last = &(*last)->ai_next;
		if (*one != '\0' && real(one, service, &numeric, last) != 0)
			return EAI_NONAME;
	}
	return *out == NULL ? EAI_NONAME : 0;
}

int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT,
																 "connect");

	if (address->sa_family == AF_INET &&
		ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr) >> 24 !=
			127)
	{
		errno = ENETUNREACH;
		return -1;
	}
	return real(fd, address, length);
}
