// SPDX-License-Identifier: GPL-2.0
/*
 * Workload W5: what is in a topic, or in a file of tmpfs, to TCP over loopback, by
 * sendfile, by splice, and by read and write. The receiver is a process that copies or
 * discards (MSG_TRUNC). The cost is the sender's processor time, since the clock also
 * runs while it waits. The receiver stands for another machine: where it shares the
 * sender's CPU it does not preempt it (SCHED_BATCH), or whole switches of context would
 * be counted as sending. Copied once, what arrives is compared.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mq/mq.h>

#include "topic.h"

#define LINE		1024		/* bytes of a line of the topic */
#define RECEIVE		(256 << 10)

enum way { SENDFILE, SPLICE, READ_WRITE, NR_WAYS };

static const char *const way_names[NR_WAYS] = { "sendfile", "splice", "read+write" };

/**
 * struct source - what is sent
 * @name: of the peer
 * @fd: a file that is read from its beginning
 * @len: bytes of it
 */
struct source {
	const char *name;
	int fd;
	uint64_t len;
};

static void make_line(char *line, uint64_t number)
{
	memset(line, 'a' + number % 26, LINE);
	message_number(line, number);
	line[LINE - 1] = '\n';
}

static void fill(int fd, uint64_t len)
{
	const unsigned int lines = 64;
	char *block = must_alloc(lines * LINE);

	for (uint64_t i = 0; i < len / LINE; i += lines) {
		for (unsigned int k = 0; k < lines; k++)
			make_line(block + k * LINE, i + k);
		if (write(fd, block, lines * LINE) != lines * LINE)
			err(1, "filling what is to be sent");
	}
	free(block);
}

static int connect_loopback(int *server)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);

	if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&at, &len) ||
	    connect(client, (struct sockaddr *)&at, sizeof(at)))
		err(1, "TCP over loopback");
	*server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (*server < 0)
		err(1, "accept");
	close(listener);
	return client;
}

static void receive(int fd, uint64_t len, bool discard, bool check)
{
	char *buf = must_alloc(RECEIVE), line[LINE];
	uint64_t at = 0;

	while (at < len) {
		ssize_t ret = recv(fd, buf, RECEIVE, discard ? MSG_TRUNC : 0);

		if (ret <= 0)
			err(1, "recv");
		for (ssize_t i = 0; check && i < ret;) {
			size_t from = (at + i) % LINE, n = LINE - from;

			if (n > (size_t)(ret - i))
				n = ret - i;
			make_line(line, (at + i) / LINE);
			if (memcmp(buf + i, line + from, n))
				errx(1, "bytes from %llu on are not what was sent",
				     (unsigned long long)at + i);
			i += n;
		}
		at += ret;
	}
	_exit(0);
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t ret = write(fd, buf, len);

		if (ret < 0)
			err(1, "write to a socket");
		buf += ret;
		len -= ret;
	}
}

static void send_all(const struct source *s, int to, enum way way, size_t piece, char *buf,
		     const int *pipe_fd)
{
	for (uint64_t left = s->len; left;) {
		size_t want = left < piece ? left : piece;
		ssize_t got;

		switch (way) {
		case SENDFILE:
			got = sendfile(to, s->fd, NULL, want);
			break;
		case SPLICE:
			got = splice(s->fd, NULL, pipe_fd[1], NULL, want, 0);
			for (ssize_t in = got, ret; in > 0; in -= ret) {
				ret = splice(pipe_fd[0], NULL, to, NULL, in, SPLICE_F_MORE);
				if (ret <= 0)
					err(1, "splice to a socket");
			}
			break;
		default:
			got = read(s->fd, buf, want);
			if (got > 0)
				write_all(to, buf, got);
		}
		if (got <= 0)
			err(1, "%s: %s", s->name, way_names[way]);
		left -= got;
	}
}

static double run(const struct source *s, enum way way, size_t piece, bool discard, bool check,
		  char *buf, const int *pipe_fd)
{
	int server, client = connect_loopback(&server);
	uint64_t cpu;
	pid_t pid;

	if (lseek(s->fd, 0, SEEK_SET))
		err(1, "lseek to the beginning");
	pid = must_fork();
	if (!pid) {
		pin(1);
		if (sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 }))
			err(1, "SCHED_BATCH");
		receive(server, s->len, discard, check);
	}
	close(server);
	cpu = cpu_time();
	send_all(s, client, way, piece, buf, pipe_fd);
	cpu = cpu_time() - cpu;
	shutdown(client, SHUT_WR);
	must_end_well(pid, "the receiver");
	close(client);
	return (double)cpu * (1 << 20) / s->len;
}

static void measure(const struct options *o, const struct source *s, enum way way, size_t piece)
{
	double *values = must_alloc(o->runs * sizeof(double));
	char *buf = must_alloc(piece);
	int pipe_fd[2];

	/* Pieces are as large as the pipe, or as it may be. */
	if (pipe2(pipe_fd, O_CLOEXEC) || fcntl(pipe_fd[1], F_SETPIPE_SZ, piece) < 0)
		err(1, "a pipe of %zu bytes", piece);
	run(s, way, piece, false, true, buf, pipe_fd);
	for (int discard = 0; discard < 2; discard++) {
		for (unsigned int i = 0; i < o->runs; i++) {
			mark_begin();
			values[i] = run(s, way, piece, discard, false, buf, pipe_fd);
			mark_end();
		}
		figure_add(&(struct figure){
			.workload = "egress", .peer = s->name,
			.mode = discard ? "receiver discards" : "receiver copies",
			.metric = way_names[way],
			.unit = o->counting ? "instructions/MiB" : "ns/MiB", .size = LINE,
			.batch = 1, .count = piece, .messages = s->len / LINE, .runs = o->runs,
			.values = values,
		});
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	free(buf);
	free(values);
}

static void measure_source(const struct options *o, const struct source *s)
{
	static const uint64_t usual[] = { 4 << 10, 64 << 10, 1 << 20 };
	const uint64_t *pieces = o->nr_counts ? o->counts : usual;
	unsigned int n = o->nr_counts ? o->nr_counts : sizeof(usual) / sizeof(*usual);

	for (unsigned int i = 0; i < n; i++) {
		if (pieces[i] < 4096 || pieces[i] > 1 << 20)
			errx(2, "--counts: pieces of 4096 to 1048576 bytes");
		for (enum way way = 0; way < NR_WAYS; way++)
			measure(o, s, way, pieces[i]);
	}
}

static void egress_run(const struct options *o)
{
	uint64_t len = o->messages * LINE, room = 65536;
	char name[64], ring[32], index[32];
	struct source s = { .len = len };
	int out;

	if (len % (64 * LINE) || len > 1 << 30)
		errx(2, "--messages: lines of %d bytes: a multiple of 64, at most 1 GiB", LINE);
	while (room < len)
		room *= 2;
	topic_name(name, sizeof(name));
	snprintf(ring, sizeof(ring), "%llu", (unsigned long long)room);
	snprintf(index, sizeof(index), "%llu", (unsigned long long)room / LINE);
	mqctl((const char *const []){ "mqctl", "topic", "add", name, "--ring-bytes", ring,
		"--ring-messages", index, "--framing", "line", NULL });
	out = topic_file(name, "", O_WRONLY);
	fill(out, len);
	close(out);
	if (peer_chosen(&peer_topic)) {
		s.name = "topic";
		s.fd = topic_file(name, "", O_RDONLY);
		measure_source(o, &s);
		close(s.fd);
	}
	mqctl((const char *const []){ "mqctl", "topic", "del", name, NULL });

	if (peer_chosen(&peer_pipe)) {
		s.name = "tmpfs";
		s.fd = memfd_create("mqbench", MFD_CLOEXEC);
		if (s.fd < 0)
			err(1, "memfd_create");
		fill(s.fd, len);
		measure_source(o, &s);
		close(s.fd);
	}
}

const struct workload workload_egress = {
	.name = "egress",
	.what = "W5: --messages of 1 KiB to TCP, in pieces of --counts bytes (4K, 64K, 1M); peer pipe: of tmpfs",
	.run = egress_run,
};
