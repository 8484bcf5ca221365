// SPDX-License-Identifier: GPL-2.0
/* mqctl receive: takes what mqctl ship sends, and keeps it in files. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "mqctl.h"
#include "receive.h"
#include "ship_net.h"

#define LISTENERS	8		/* addresses that a name may have */

static void receive_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	(void)ctx;
	(void)opt;
	(void)value;
	(void)on;
}

/* One receiver a folder: two would take each other's files for finished. */
static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		die("%s: %s", path, errno == EWOULDBLOCK ?
		    "another receiver keeps its files there" : strerror(errno));
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS))
		die("%s: files cannot be made there: %s", path, strerror(errno));
	return fd;
}

static void on_connection(uv_stream_t *listener, int status)
{
	if (status)
		say("accept: %s", uv_strerror(status));
	else
		rx_accept(listener->data, listener);
}

static int listen_at(struct receiver *rx, uv_tcp_t *tcp, const struct addrinfo *at)
{
	struct sockaddr_storage addr;
	int len = sizeof(addr), err;
	char host[256], port[16];
	bool six = at->ai_family == AF_INET6;

	uv_tcp_init(&rx->loop, tcp);
	tcp->data = rx;
	err = uv_tcp_bind(tcp, at->ai_addr, 0);
	if (!err)
		err = uv_listen((uv_stream_t *)tcp, 128, on_connection);
	if (!err)
		err = uv_tcp_getsockname(tcp, (struct sockaddr *)&addr, &len);
	if (err) {
		uv_close((uv_handle_t *)tcp, NULL);
		return err;
	}
	if (!getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			 NI_NUMERICHOST | NI_NUMERICSERV))
		say("listening on %s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
	return 0;
}

/* Every address of the name; without a name one socket that takes IPv4 and IPv6. */
static void listen_all(struct receiver *rx, const struct ship_address *address)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	static uv_tcp_t listeners[LISTENERS];
	int err, last = 0, count = 0;
	struct addrinfo *list;

	hints.ai_family = address->host[0] ? AF_UNSPEC : AF_INET6;
	err = getaddrinfo(address->host[0] ? address->host : NULL, address->port, &hints, &list);
	if (err && !address->host[0]) {
		hints.ai_family = AF_INET;
		err = getaddrinfo(NULL, address->port, &hints, &list);
	}
	if (err)
		die("%s: %s", address->host, gai_strerror(err));
	for (struct addrinfo *at = list; at && count < LISTENERS; at = at->ai_next) {
		err = listen_at(rx, &listeners[count], at);
		if (err)
			last = err;
		/* A handle that failed closes in the loop: it stays where it is. */
		count++;
	}
	freeaddrinfo(list);
	if (last == UV_EAFNOSUPPORT && !address->host[0]) {
		struct sockaddr_in any = {
			.sin_family = AF_INET,
			.sin_port = htons(atoi(address->port)),
		};
		struct addrinfo at = { .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&any };

		last = listen_at(rx, &listeners[LISTENERS - 1], &at);
	}
	if (last)
		die("port %s: %s", address->port, uv_strerror(last));
}

static void on_tick(uv_timer_t *timer)
{
	rx_check_deadlines(timer->data);
}

static int receive_run(const struct command *cmd, int argc, char **argv)
{
	static struct receiver rx;
	struct ship_address address;
	uv_timer_t tick;
	const char *why;
	int first;

	first = parse_operands(cmd, argc, argv, receive_option, NULL, 2, 2);
	why = ship_parse_address(argv[first], false, &address);
	if (why)
		usage_error(cmd, "%s: %s", argv[first], why);
	rx.dir = open_dir(argv[first + 1]);
	rx.buffer = malloc(RX_BUFFER);
	if (!rx.buffer)
		die("out of memory");
	/* A file a partition. */
	ship_loop_init(&rx.loop);
	uv_timer_init(&rx.loop, &rx.flush);
	rx.flush.data = &rx;
	uv_timer_init(&rx.loop, &tick);
	tick.data = &rx;
	uv_timer_start(&tick, on_tick, 1000, 1000);
	listen_all(&rx, &address);
	uv_run(&rx.loop, UV_RUN_DEFAULT);
	return rx_sync_all(&rx) ? EXIT_FAILED : EXIT_DONE;
}

static const struct opt receive_opts[] = {
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_receive = {
	.name = "receive", .operands = "[ADDRESS:]PORT DIR",
	.summary = "Keep in files under DIR what 'mqctl ship' sends",
	.opts = receive_opts,
	.text = "What is received of a topic is DIR/TOPIC-ID-POSITION.log, of a topic of several\n"
		"partitions DIR/TOPIC@N-ID-POSITION.log: the payloads one behind the other, from\n"
		"POSITION on. A topic made anew (another ID) or a loss begins another file. A\n"
		"sender is told what is on disk, and goes on there, whatever was killed meanwhile.\n"
		"A file that the disk fails for is not counted: it is renamed NAME.suspect, and the\n"
		"sender begins again where it began.\n"
		"\n"
		"Without ADDRESS it listens on all; whoever reaches the port can fill the disk, and\n"
		"nothing is encrypted: across an untrusted network use ssh, stunnel or WireGuard.\n"
		"SIGTERM and SIGINT end it in order.\n",
	.run = receive_run,
};
