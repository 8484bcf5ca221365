// SPDX-License-Identifier: GPL-2.0
/* A topic to a TCP peer: from the ring's pages, no byte passes through the process. */
#define _GNU_SOURCE
#include <err.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "example.h"

ssize_t ship(int fd, const char *host, const char *port)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *to;
	int error = getaddrinfo(host, port, &want, &to), sock;
	ssize_t n;

	if (error)
		errx(1, "%s: %s", host, gai_strerror(error));
	sock = socket(to->ai_family, to->ai_socktype, to->ai_protocol);
	if (sock < 0 || connect(sock, to->ai_addr, to->ai_addrlen) < 0)
		err(1, "%s port %s", host, port);
	freeaddrinfo(to);

	do	/* waits for messages at the end; 0 is the end of until=end */
		n = sendfile(sock, fd, NULL, 1 << 20);
	while (n > 0);
	return n;
}
