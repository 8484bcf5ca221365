// SPDX-License-Identifier: GPL-2.0
/*
 * sink: a TCP receiver, into a file or nowhere, that can stop reading
 *
 * Stops on SIGUSR1 until SIGUSR2, or as -p says. The last line on stdout sums
 * up; the first names the port.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
"usage: sink [-o FILE] [-b BYTES] [-c BYTES] [-p BYTES:MS] [-k COUNT] [-v] PORT\n"
"  -o FILE      write what arrives there (default: drop it)\n"
"  -b BYTES     receive buffer of the socket\n"
"  -c BYTES     most bytes a call (default 262144)\n"
"  -p BYTES:MS  after that many bytes, stop reading that long\n"
"  -k COUNT     serve that many connections, one after the other (default 1)\n"
"  -v           say when each call returned, and how much\n"
"PORT 0 takes a free one. It listens on 127.0.0.1.\n";

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig == SIGUSR1;
}

static uint64_t number(const char *text, char until)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end != until)
		errx(2, "%s: not a number", text);
	return value;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int listen_on(uint16_t port, int rcvbuf)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int one = 1;
	int sock;

	sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		err(1, "socket");
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Before listen(), so that the window's scale fits. */
	if (rcvbuf && setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)))
		err(1, "receive buffer of %d bytes", rcvbuf);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "bind to port %u", port);
	if (listen(sock, 8) || getsockname(sock, (struct sockaddr *)&addr, &len))
		err(1, "listen on port %u", port);
	printf("port=%u\n", ntohs(addr.sin_port));
	fflush(stdout);
	return sock;
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err(1, "write");
		buf += n;
		len -= n;
	}
}

/* While stopped; a signal between test and wait would be lost without the mask. */
static void wait_while_stopped(const sigset_t *open_mask)
{
	while (stopped)
		sigsuspend(open_mask);
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_signal };
	uint64_t pause_at = UINT64_MAX, pause_ms = 0, bytes = 0, calls = 0;
	unsigned int connections = 1, reset = 0;
	sigset_t mask, open_mask;
	int rcvbuf = 0, out = -1;
	size_t chunk = 1 << 18;
	bool verbose = false;
	double begin = 0;
	char *buf;
	int listener;
	int opt;

	while ((opt = getopt(argc, argv, "o:b:c:p:k:vh")) != -1) {
		switch (opt) {
		case 'o':
			out = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
			if (out < 0)
				err(1, "%s", optarg);
			break;
		case 'b':
			rcvbuf = number(optarg, '\0');
			break;
		case 'c':
			chunk = number(optarg, '\0');
			break;
		case 'p':
			if (!strchr(optarg, ':'))
				errx(2, "-p %s: give BYTES:MS", optarg);
			pause_at = number(optarg, ':');
			pause_ms = number(strchr(optarg, ':') + 1, '\0');
			break;
		case 'k':
			connections = number(optarg, '\0');
			break;
		case 'v':
			verbose = true;
			break;
		default:
			fputs(usage, opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 1 || !chunk) {
		fputs(usage, stderr);
		return 2;
	}
	buf = malloc(chunk);
	if (!buf)
		err(1, "%zu bytes", chunk);

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, &open_mask);
	sigdelset(&open_mask, SIGUSR1);
	sigdelset(&open_mask, SIGUSR2);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGUSR2, &act, NULL);

	listener = listen_on(number(argv[optind], '\0'), rcvbuf);
	for (; connections; connections--) {
		int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		ssize_t n;

		if (sock < 0)
			err(1, "accept");
		if (!begin)
			begin = now();
		for (;;) {
			/* Lets a pending signal in, for this moment only. */
			sigprocmask(SIG_SETMASK, &open_mask, NULL);
			sigprocmask(SIG_BLOCK, &mask, NULL);
			wait_while_stopped(&open_mask);
			n = recv(sock, buf, chunk, 0);
			if (n <= 0)
				break;
			calls++;
			bytes += n;
			if (verbose)
				printf("%.6f %zd\n", now(), n);
			if (out >= 0)
				write_all(out, buf, n);
			if (bytes >= pause_at) {
				struct timespec ts = {
					.tv_sec = pause_ms / 1000,
					.tv_nsec = pause_ms % 1000 * 1000000,
				};

				pause_at = UINT64_MAX;
				while (nanosleep(&ts, &ts) && errno == EINTR)
					;
			}
		}
		if (n < 0 && errno == ECONNRESET)
			reset++;
		else if (n < 0)
			err(1, "receive after %" PRIu64 " bytes", bytes);
		close(sock);
	}
	if (out >= 0 && close(out))
		err(1, "close of the output");
	printf("bytes=%" PRIu64 " calls=%" PRIu64 " resets=%u seconds=%.3f\n", bytes, calls,
	       reset, now() - begin);
	return fflush(stdout) || ferror(stdout);
}
