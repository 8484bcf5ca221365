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
	ok(a < b / 3,
	   "a message is not left in the socket: %.1f ms, corked %.1f ms", a * 1e3, b * 1e3);
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
 * left corked either. One call moves so many messages at most; the hook has the
 * rest of them gone when it asks for more.
 */
TEST_LIMIT(overrun, "sendfile that ends at an overrun leaves nothing corked", 120)
{
	double topic[ROUNDS], corked[ROUNDS], a, b;
	static unsigned char buf[4096];
	int sv[2], cv[2], i, k;

	sp_tcp_pair(sv, 0, 0);
	sp_tcp_pair(cv, 0, 0);
	for (i = 0; i < ROUNDS; i++) {
		const char *t = topic_new(.ring_bytes = 1 << 16, .ring_messages = 4096);
		int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY);
		ssize_t n;

		for (k = 0; k < 3000; k++)
			sp_put(w, k, 1);
		hook_arm("splice-filled", t, 0, 2500);
		sleep_ms(100);
		a = sp_now();
		n = sendfile(sv[0], r, NULL, BIG);
		if (!ok(n > 0, "sendfile: %zd", n))
			return;
		if (n >= 2500)
			skip("one call moves %zd messages: no later one is overrun", n);
		expect_eq(sp_read_all(sv[1], buf, n), n);
		topic[i] = sp_now() - a;
		sp_right("what came", buf, 0, n);
		expect_err(sendfile(sv[0], r, NULL, BIG), ENOBUFS);
		expect_eq(file_stat(r).lost_messages, 2500 - n);

		a = sp_now();
		need_ret(send(cv[0], buf, n, MSG_MORE), n);
		expect_eq(sp_read_all(cv[1], buf, n), n);
		corked[i] = sp_now() - a;
		close(w);
		close(r);
		topic_del(t);
	}
	hook_off();
	a = median(topic, ROUNDS);
	b = median(corked, ROUNDS);
	note("median from sendfile to receipt %.1f ms, corked %.1f ms", a * 1e3, b * 1e3);
	ok(b > 0.1, "the control is corked (%.1f ms)", b * 1e3);
	ok(a < b / 3, "nothing is left in the socket: %.1f ms, corked %.1f ms", a * 1e3, b * 1e3);
}
