// SPDX-License-Identifier: GPL-2.0
/* Files closed and topics deleted while their pages are in pipes and sockets. */
#include "helpers/splice.h"

#define RING	(1 << 18)
#define LEN	60000

struct places {
	int pipe[2];
	int unix_s[2];
	int tcp[2];
};

/* Pages of the log's first 3 * LEN bytes, in a pipe, a Unix and a TCP socket. */
static void lend_out(const char *t, struct places *pl)
{
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY);
	uint64_t pos;

	for (pos = 0; pos < 200000; pos += 1000)
		sp_put(w, pos, 1000);
	sp_pipe(pl->pipe, 65536);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, pl->unix_s), 0);
	sp_tcp_pair(pl->tcp, 0, 0);
	for (pos = 0; pos < LEN;) {
		ssize_t n = sp_splice(r, pl->pipe[1], LEN - pos);

		if (!ok(n > 0, "splice: %zd", n))
			break;
		pos += n;
	}
	expect_ret(sendfile(pl->unix_s[0], r, NULL, LEN), LEN);
	expect_ret(sendfile(pl->tcp[0], r, NULL, LEN), LEN);
	expect_eq(sp_pos(r), 3 * LEN);
	close(r);
	close(w);
}

static void take_back(struct places *pl)
{
	sp_expect(pl->pipe[0], 0, LEN);
	sp_expect(pl->unix_s[1], LEN, LEN);
	sp_expect(pl->tcp[1], 2 * LEN, LEN);
}

TEST(closed, "B.14, B.16: all files closed and the ring lapped: the bytes are right, the pages come back")
{
	const char *t = topic_new(.ring_bytes = RING);
	struct places pl;
	uint64_t pos;
	int w;

	lend_out(t, &pl);
	w = topic_open(t, "", O_WRONLY);
	for (pos = 200000; pos < 2000000; pos += 1000)
		sp_put(w, pos, 1000);
	close(w);
	ok(topic_counters(t).lent > 0, "pages are out");
	take_back(&pl);
	sp_lent_returns(t);
	sp_log_intact(t);
}

TEST(deleted, "B.16: topic deleted: the bytes are right, and another topic's memory is its own")
{
	struct places pl;
	const char *t, *u;
	uint64_t pos;
	int w, i;

	for (i = 0; i < 5; i++) {
		t = topic_new(.ring_bytes = RING);
		sp_gen_init(1);
		lend_out(t, &pl);
		expect_eq(topic_del(t), 0);
		/* A topic that would use the freed pages, with other bytes. */
		u = topic_new(.ring_bytes = 1 << 20);
		w = topic_open(u, "", O_WRONLY);
		sp_gen_init(2);
		for (pos = 0; pos < 3 << 20; pos += 10000)
			sp_put(w, pos, 10000);
		sp_gen_init(1);
		take_back(&pl);
		close(w);
		expect_eq(topic_del(u), 0);
	}
}

TEST(waiting, "D.20: a splice and a sendfile that wait when the topic is deleted: ENODEV")
{
	struct { ssize_t ret; int error; } *res = shared_alloc(sizeof(*res));
	int i, r, p[2], s[2];
	const char *t;
	pid_t pid;

	sp_pipe(p, 0);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (i = 0; i < 3; i++) {
		t = topic_new(.ring_bytes = 65536, .partitions = i == 2 ? 2 : 1);
		r = topic_open(t, "", O_RDONLY);
		pid = sp_fork();
		if (!pid) {
			res->ret = i != 1 ? sp_splice(r, p[1], 100) : sendfile(s[0], r, NULL, 100);
			res->error = errno;
			_exit(0);
		}
		ok(sp_waits_in(pid, i != 1 ? __NR_splice : __NR_sendfile), "it waits");
		expect_eq(topic_del(t), 0);
		child_ok(pid, SOON);
		ok(res->ret == -1 && res->error == ENODEV, "ENODEV, not %zd %s", res->ret,
		   strerror(res->error));
		close(r);
	}
}

TEST(drained, "D.20: after delete splice and sendfile drain what is retained, then ENODEV")
{
	int w, r, r2, p[2], s[2];
	const char *t = topic_new(.ring_bytes = 65536);
	uint64_t pos;

	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	r2 = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 65536);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (pos = 0; pos < 20000; pos += 1000)
		sp_put(w, pos, 1000);
	expect_ret(sp_splice(r, p[1], 1500), 1500);
	expect_eq(topic_del(t), 0);
	expect_err(write(w, "x", 1), ENODEV);
	for (pos = 1500; pos < 20000;) {
		ssize_t n = sp_splice(r, p[1], 6000);

		if (!ok(n > 0, "splice after delete: %zd", n))
			return;
		pos += n;
	}
	sp_expect(p[0], 0, 20000);
	expect_err(sp_splice(r, p[1], 6000), ENODEV);
	expect_err(sp_splice(r, p[1], 6000), ENODEV);
	for (pos = 0; pos < 20000;) {
		ssize_t n = sendfile(s[0], r2, NULL, 1 << 20);

		if (!ok(n > 0, "sendfile after delete: %zd", n))
			return;
		pos += n;
	}
	sp_expect(s[1], 0, 20000);
	expect_err(sendfile(s[0], r2, NULL, 6000), ENODEV);
}

TEST(in_socket,
	"D.20: topic deleted while a sendfile waits for its socket: it gets all that was retained")
{
	const char *t = topic_new(.ring_bytes = RING);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), s[2];
	ssize_t *ret = shared_alloc(4096);
	uint64_t pos;
	pid_t pid;

	sp_small_tcp_pair(s);
	for (pos = 0; pos < 200000; pos += 1000)
		sp_put(w, pos, 1000);
	pid = sp_fork();
	if (!pid) {
		*ret = sendfile(s[0], r, NULL, 1 << 20);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_sendfile), "it waits for the socket");
	expect_eq(topic_del(t), 0);
	close(w);
	sp_expect(s[1], 0, 200000);
	child_ok(pid, SOON);
	expect_eq(*ret, 200000);
	expect_err(sendfile(s[0], r, NULL, 1 << 20), ENODEV);
}

TEST(killed, "D.22: a process killed with pages in its sendfile: they come back")
{
	const char *t = topic_new(.ring_bytes = RING);
	int w = topic_open(t, "", O_WRONLY), s[2], i;
	uint64_t pos = 0, end;
	pid_t pid;

	for (i = 0; i < 20; i++) {
		sp_small_tcp_pair(s);
		pid = sp_fork();
		if (!pid) {
			int r = topic_open(t, "", O_RDONLY);

			/* On over the end of the log and over losses, until the socket is full. */
			for (;;)
				sendfile(s[0], r, NULL, 1 << 20);
		}
		for (end = pos + RING; pos < end; pos += 1000)
			sp_put(w, pos, 1000);
		ok(sp_waits_in(pid, __NR_sendfile), "it waits for the socket");
		kill(pid, SIGKILL);
		expect_eq(child_wait(pid, SOON), SIGKILL);
		close(s[0]);
		close(s[1]);
	}
	sp_lent_returns(t);
	sp_log_intact(t);
	expect_eq(topic_counters(t).readers, 0);
}
