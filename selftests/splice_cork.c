// SPDX-License-Identifier: GPL-2.0
/*
 * No cork delay at the end of the log: a sendfile that asked for more than
 * there is must not leave TCP waiting for the rest. The control is a socket
 * corked on purpose, in the same run, message by message in turn.
 *
 * TIMEOUT: 300
 */
#include "helpers/splice.h"

#define BIG	(1UL << 20)
#define ROUNDS	15
#define LEN	100

static double arrival(int s, uint64_t pos)
{
	struct pollfd p = { .fd = s, .events = POLLIN };

	need(poll(&p, 1, SOON * 1000) == 1);
	double now = sp_now();

	sp_expect(s, pos, LEN);
	return now;
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, n, sizeof(*v), cmp);
	return v[n / 2];
}

/*
 * Ships by calls that ask for much more than there is. offset: by sendfile's
 * own offset argument.
 */
static pid_t shipper(const char *t, int sock, bool offset, const char *options)
{
	pid_t pid = sp_fork();
	off_t off = 0;
	int r;

	if (pid)
		return pid;
	r = topic_open(t, options, O_RDONLY);
	while (sendfile(sock, r, offset ? &off : NULL, BIG) > 0)
		;
	_exit(1);
}

static void compare(bool offset, const char *options)
{
	const char *t = topic_new(.ring_bytes = 1 << 16);
	int w = topic_open(t, "", O_WRONLY), sv[2], cv[2], i;
	double topic[ROUNDS], corked[ROUNDS], a, b;
	unsigned char buf[LEN];
	pid_t pid;

	sp_tcp_pair(sv, 0, 0);
	sp_tcp_pair(cv, 0, 0);
	pid = shipper(t, sv[0], offset, options);
	for (i = 0; i < ROUNDS; i++) {
		uint64_t pos = (uint64_t)i * LEN;

		/* Nothing on the way that Nagle would wait for. */
		need(sp_waits_in(pid, __NR_sendfile));
		sleep_ms(100);
		sp_fill(buf, pos, LEN);
		a = sp_now();
		need_ret(write(w, buf, LEN), LEN);
		topic[i] = arrival(sv[1], pos) - a;

		sleep_ms(100);
		a = sp_now();
		need_ret(send(cv[0], buf, LEN, MSG_MORE), LEN);
		corked[i] = arrival(cv[1], pos) - a;
	}
	kill(pid, SIGKILL);
	a = median(topic, ROUNDS);
	b = median(corked, ROUNDS);
	note("median from append to receipt %.1f ms, corked %.1f ms", a * 1e3, b * 1e3);
	ok(b > 0.1, "the control is corked (%.1f ms)", b * 1e3);
	ok(a < b / 3, "a message is not left in the socket: %.1f ms, corked %.1f ms", a * 1e3, b * 1e3);
}

TEST_LIMIT(own_position, "sendfile from the own position is not corked at the end of the log", 120)
{
	compare(false, "");
}

TEST_LIMIT(explicit_offset, "sendfile at an explicit offset is not corked either", 120)
{
	compare(true, "");
}

/*
 * Overrun in a later call within one sendfile: what was sent before it is not
 * left corked either. The socket is stopped, so that the second batch is asked
 * for when the test wants it.
 */
TEST_LIMIT(overrun, "sendfile that ends at an overrun leaves nothing corked", 120)
{
	double late[5], a;
	int i;

	for (i = 0; i < 5; i++) {
		const char *t = topic_new(.ring_bytes = 1 << 19);
		int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), sv[2];
		size_t *got = shared_alloc(4096);
		uint64_t pos;
		ssize_t n;
		pid_t pid;

		for (pos = 0; pos < 500000; pos += 1000)
			sp_put(w, pos, 1000);
		sp_tcp_pair(sv, 8192, 4096);
		pid = sp_fork();
		if (!pid) {
			n = sendfile(sv[0], r, NULL, BIG);
			*(volatile size_t *)got = n;
			/* The connection stays open: only the end of the call may push. */
			pause();
		}
		need(sp_waits_in(pid, __NR_sendfile));
		for (; pos < 1500000; pos += 1000)
			sp_put(w, pos, 1000);
		/* Read until the call is over, then see how long the rest takes. */
		for (pos = 0, a = 0;;) {
			struct pollfd p = { .fd = sv[1], .events = POLLIN };
			unsigned char buf[4096];
			size_t total = *(volatile size_t *)got;

			if (total && !a)
				a = sp_now();
			if (total && pos == total)
				break;
			if (!ok(poll(&p, 1, SOON * 1000) == 1, "the rest of %zu comes", total))
				break;
			n = recv(sv[1], buf, sizeof(buf), 0);
			if (!sp_right("what came", buf, pos, n))
				break;
			pos += n;
		}
		late[i] = sp_now() - a;
		kill(pid, SIGKILL);
		ok(pos > 0 && pos < 500000, "the call ended at the overrun (%llu bytes)", (ull)pos);
		expect_err(sendfile(sv[0], r, NULL, BIG), ENOBUFS);
		expect_eq(file_stat(r).lost_messages, sp_pos(r) / 1000 - pos / 1000);
		if (failures())
			return;
	}
	a = median(late, 5);
	note("the rest came %.1f ms after the call's end (median)", a * 1e3);
	ok(a < 0.1, "the rest is not left in the socket (%.1f ms)", a * 1e3);
}
