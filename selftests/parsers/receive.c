// SPDX-License-Identifier: GPL-2.0
/* mqctl receive, a whole connection of it: what a stranger sends over TCP. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "receive.h"
#include "ship_proto.h"
#include "target.h"

static struct receiver rx;
static uv_tcp_t listener;
static struct sockaddr_in at;
static char dir[] = "/dev/shm/mq-receive-XXXXXX";

static void on_connection(uv_stream_t *stream, int status)
{
	if (!status)
		rx_accept(&rx, stream);
}

static void remove_files(void)
{
	DIR *files = opendir(dir);
	struct dirent *entry;

	must(files);
	while ((entry = readdir(files))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(files), entry->d_name, 0);
	}
	closedir(files);
}

static void remove_dir(void)
{
	remove_files();
	rmdir(dir);
}

static void begin(void)
{
	int len = sizeof(at);

	must(mkdtemp(dir));
	atexit(remove_dir);
	must(!uv_loop_init(&rx.loop));
	rx.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rx.buffer = malloc(RX_BUFFER);
	must(rx.dir >= 0 && rx.buffer);
	uv_timer_init(&rx.loop, &rx.flush);
	rx.flush.data = &rx;
	uv_tcp_init(&rx.loop, &listener);
	uv_ip4_addr("127.0.0.1", 0, &at);
	must(!uv_tcp_bind(&listener, (void *)&at, 0));
	listener.data = &rx;
	must(!uv_listen((uv_stream_t *)&listener, 8, on_connection));
	must(!uv_tcp_getsockname(&listener, (void *)&at, &len));
}

/* The first byte says whether a good hello comes in front. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t hello[SHIP_HELLO_LEN];
	int fd;

	if (!len)
		return 0;
	if (!rx.buffer)
		begin();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && !connect(fd, (void *)&at, sizeof(at)));
	if (data[0] % 8) {
		ship_put_hello(hello, &ship_our_hello);
		must(send(fd, hello, sizeof(hello), MSG_NOSIGNAL) == sizeof(hello));
	}
	must(send(fd, data + 1, len - 1, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || len == 1);
	shutdown(fd, SHUT_WR);
	/* It is there, and then it is not. */
	while (!rx.peers_n)
		uv_run(&rx.loop, UV_RUN_ONCE);
	while (rx.peers_n)
		uv_run(&rx.loop, UV_RUN_ONCE);
	must(!rx.streams_n && !rx.streams && !rx.peers);
	close(fd);
	remove_files();
	return 0;
}
