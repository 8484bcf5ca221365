// SPDX-License-Identifier: GPL-2.0
/*
 * cutproxy: a TCP proxy that cuts connections, in the middle of whatever it is
 *
 * The first COUNT connections end, by turns with a reset and without, after a
 * random number of bytes in either direction; later ones are left alone. The
 * first line on stdout says that it listens, another one that all are cut.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
"usage: cutproxy [-s SEED] COUNT BYTES PORT TARGET\n"
"  COUNT   connections to cut\n"
"  BYTES   after at most so many\n"
"  PORT    to listen on, at 127.0.0.1\n"
"  TARGET  port to connect to, there\n";

static struct sockaddr_in local(const char *port)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* Moves at most @most bytes; false when that is the end. */
static bool move(int from, int to, long *left)
{
	char buf[65536];
	long most = *left < (long)sizeof(buf) ? *left : (long)sizeof(buf);
	ssize_t n = read(from, buf, most);
	ssize_t done = 0;

	if (n <= 0)
		return false;
	while (done < n) {
		ssize_t w = send(to, buf + done, n - done, MSG_NOSIGNAL);

		if (w <= 0)
			return false;
		done += w;
	}
	*left -= n;
	return *left > 0;
}

static void serve(int client, const char *target, long left, bool hard)
{
	struct sockaddr_in addr = local(target);
	int server = socket(AF_INET, SOCK_STREAM, 0);
	struct pollfd fds[2];

	if (server < 0 || connect(server, (struct sockaddr *)&addr, sizeof(addr)))
		_exit(1);
	fds[0] = (struct pollfd) { .fd = client, .events = POLLIN };
	fds[1] = (struct pollfd) { .fd = server, .events = POLLIN };
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents && !move(client, server, &left))
			break;
		if (fds[1].revents && !move(server, client, &left))
			break;
	}
	if (hard) {
		reset(client);
		reset(server);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	long count, bytes, cut = 0;
	struct sockaddr_in addr;
	int one = 1, listener, opt;
	unsigned int seed = 1;

	while ((opt = getopt(argc, argv, "s:")) != -1) {
		if (opt != 's')
			errx(2, "%s", usage);
		seed = atoi(optarg);
	}
	if (argc - optind != 4)
		errx(2, "%s", usage);
	count = atol(argv[optind]);
	bytes = atol(argv[optind + 1]);
	if (bytes < 1)
		errx(2, "%s", usage);
	addr = local(argv[optind + 2]);
	srandom(seed);
	signal(SIGCHLD, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0)
		err(1, "socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 8))
		err(1, "listen on port %s", argv[optind + 2]);
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int client = accept(listener, NULL, NULL);
		long left = cut < count ? 1 + random() % bytes : __LONG_MAX__;

		if (client < 0)
			err(1, "accept");
		if (cut++ == count) {
			printf("cut=%ld\n", count);
			fflush(stdout);
		}
		if (!fork()) {
			close(listener);
			serve(client, argv[optind + 3], left, cut & 1);
		}
		close(client);
	}
}
