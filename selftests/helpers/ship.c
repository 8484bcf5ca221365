// SPDX-License-Identifier: GPL-2.0
/*
 * ship: bring a topic to a TCP receiver without copying it
 *
 * Ends when the topic is deleted and drained, at the end of the log if the
 * topic's name has "+until=end", or on SIGTERM. Losses are reported as they
 * happen; the last line on stdout sums up.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <mq/mq.h>

static const char usage[] =
"usage: ship [-n] [-m sendfile|splice|copy] [-c BYTES] [-b BYTES] [-o POSITION]\n"
"            FILE HOST:PORT\n"
"  -n           non-blocking file and socket, with poll()\n"
"  -m METHOD    how bytes move (default sendfile)\n"
"  -c BYTES     most bytes a call (default 1048576)\n"
"  -b BYTES     send buffer of the socket\n"
"  -o POSITION  seek there first\n";

struct ship {
	const char *name;
	int file;
	int sock;
	int pipe[2];
	char *buf;
	size_t chunk;
	bool nonblock;
	uint64_t bytes;
	uint64_t calls;
	uint64_t waits;
	uint64_t overruns;
};

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	stop = sig;
}

static int dial(char *where)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	char *port = strrchr(where, ':');
	struct addrinfo *list, *at;
	int sock = -1;
	int ret;

	if (!port)
		errx(2, "%s: no port: give HOST:PORT", where);
	*port++ = '\0';
	ret = getaddrinfo(where, port, &hints, &list);
	if (ret)
		errx(1, "%s:%s: %s", where, port, gai_strerror(ret));
	for (at = list; at && sock < 0; at = at->ai_next) {
		sock = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
		if (sock >= 0 && connect(sock, at->ai_addr, at->ai_addrlen)) {
			close(sock);
			sock = -1;
		}
	}
	if (sock < 0)
		err(1, "connect to %s:%s", where, port);
	freeaddrinfo(list);
	return sock;
}

/* False where FILE is no topic. */
static bool get_stat(const struct ship *ship, struct mq_stat *st)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	return !ioctl(ship->file, MQ_IOC_STAT, st);
}

static void send_all(struct ship *ship, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = send(ship->sock, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = ship->sock, .events = POLLOUT };

			poll(&pfd, 1, -1);
			continue;
		}
		if (n < 0)
			err(1, "send");
		buf += n;
		len -= n;
	}
}

static ssize_t move_copy(struct ship *ship)
{
	ssize_t n = read(ship->file, ship->buf, ship->chunk);

	if (n > 0)
		send_all(ship, ship->buf, n);
	return n;
}

static ssize_t move_splice(struct ship *ship)
{
	ssize_t n = splice(ship->file, NULL, ship->pipe[1], NULL, ship->chunk,
			   SPLICE_F_MOVE);
	ssize_t left = n;

	while (left > 0) {
		ssize_t out = splice(ship->pipe[0], NULL, ship->sock, NULL, left,
				     SPLICE_F_MOVE);

		if (out < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = ship->sock, .events = POLLOUT };

			poll(&pfd, 1, -1);
			continue;
		}
		if (out <= 0)
			err(1, "splice to the socket");
		left -= out;
	}
	return n;
}

static ssize_t move_sendfile(struct ship *ship)
{
	return sendfile(ship->sock, ship->file, NULL, ship->chunk);
}

/* EAGAIN says that the file has nothing to read, or that the socket is full. */
static void wait_ready(struct ship *ship)
{
	struct pollfd file = { .fd = ship->file, .events = POLLIN };
	struct pollfd sock = { .fd = ship->sock, .events = POLLOUT };

	ship->waits++;
	if (poll(&sock, 1, -1) < 0 || poll(&file, 1, -1) < 0) {
		if (errno != EINTR)
			err(1, "poll");
	}
}

static void report_loss(struct ship *ship)
{
	struct mq_stat st;

	ship->overruns++;
	if (!get_stat(ship, &st))
		err(1, "%s: state after an overrun", ship->name);
	fprintf(stderr, "ship: %s: overrun: %" PRIu64 " messages lost so far, going on at offset %"
		PRIu64 "\n", ship->name, (uint64_t)st.lost_messages, (uint64_t)st.offset);
}

/* Why it ended. */
static const char *run(struct ship *ship, ssize_t (*move)(struct ship *ship))
{
	while (!stop) {
		ssize_t n = move(ship);

		ship->calls++;
		if (n > 0) {
			ship->bytes += n;
		} else if (!n) {
			return "end of the log";
		} else if (errno == EAGAIN) {
			wait_ready(ship);
		} else if (errno == ENOBUFS) {
			report_loss(ship);
		} else if (errno == ENODEV) {
			return "topic deleted";
		} else if (errno != EINTR) {
			err(1, "%s: after %" PRIu64 " bytes", ship->name, ship->bytes);
		}
	}
	return "stopped by a signal";
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		errx(2, "%s: not a number", text);
	return value;
}

int main(int argc, char **argv)
{
	ssize_t (*move)(struct ship *ship) = move_sendfile;
	struct sigaction act = { .sa_handler = on_term };
	struct ship ship = { .chunk = 1 << 20 };
	const char *why;
	struct timespec t0, t1;
	int64_t from = -1;
	struct mq_stat st;
	int sndbuf = 0;
	int opt;

	while ((opt = getopt(argc, argv, "nm:c:b:o:h")) != -1) {
		switch (opt) {
		case 'n':
			ship.nonblock = true;
			break;
		case 'm':
			if (!strcmp(optarg, "sendfile"))
				move = move_sendfile;
			else if (!strcmp(optarg, "splice"))
				move = move_splice;
			else if (!strcmp(optarg, "copy"))
				move = move_copy;
			else
				errx(2, "-m %s: one of sendfile, splice, copy", optarg);
			break;
		case 'c':
			ship.chunk = number(optarg);
			break;
		case 'b':
			sndbuf = number(optarg);
			break;
		case 'o':
			from = number(optarg);
			break;
		default:
			fputs(usage, opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 2 || !ship.chunk) {
		fputs(usage, stderr);
		return 2;
	}
	sigaction(SIGTERM, &act, NULL);	/* no SA_RESTART: it ends a wait */
	signal(SIGPIPE, SIG_IGN);

	ship.name = argv[optind];
	ship.file = open(ship.name, O_RDONLY | (ship.nonblock ? O_NONBLOCK : 0));
	if (ship.file < 0)
		err(1, "%s", ship.name);
	if (from >= 0 && lseek(ship.file, from, SEEK_SET) < 0)
		err(1, "%s: seek to %" PRId64, ship.name, from);
	ship.sock = dial(argv[optind + 1]);
	if (sndbuf && setsockopt(ship.sock, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)))
		err(1, "send buffer of %d bytes", sndbuf);
	if (ship.nonblock && fcntl(ship.sock, F_SETFL, O_RDWR | O_NONBLOCK))
		err(1, "non-blocking socket");
	if (move == move_splice && pipe(ship.pipe))
		err(1, "pipe");
	if (move == move_copy) {
		ship.buf = malloc(ship.chunk);
		if (!ship.buf)
			err(1, "%zu bytes", ship.chunk);
	}

	clock_gettime(CLOCK_MONOTONIC, &t0);
	why = run(&ship, move);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (!get_stat(&ship, &st))
		st.lost_messages = 0;
	if (shutdown(ship.sock, SHUT_WR))
		err(1, "end of the connection");
	printf("bytes=%" PRIu64 " calls=%" PRIu64 " waits=%" PRIu64 " overruns=%" PRIu64
	       " lost=%" PRIu64 " seconds=%.3f end=\"%s\"\n", ship.bytes, ship.calls,
	       ship.waits, ship.overruns, (uint64_t)st.lost_messages,
	       (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9, why);
	return fflush(stdout) || ferror(stdout);
}
