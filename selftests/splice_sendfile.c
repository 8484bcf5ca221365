// SPDX-License-Identifier: GPL-2.0
/* sendfile from a topic, to whatever a file can be. */
#include "helpers/splice.h"

#define BIG 0x7ffff000UL	/* as much as one call takes */

/* A topic with n messages of 1..3000 bytes, and a reader. */
static const char *filled(struct sp_plan *plan, unsigned int n, int *w, int *r)
{
	const char *t = topic_new(.ring_bytes = 1 << 20);

	sp_plan_init(plan, n, 1, 3000, 0);
	*w = topic_open(t, "", O_WRONLY);
	*r = topic_open(t, "", O_RDONLY);
	need(sp_append_to(*w, plan, 0, n) == n);
	return t;
}

/* Send all there is to out, and have a child compare what arrives at in. */
static void send_all(int r, int out, int in, uint64_t end)
{
	uint64_t pos = sp_pos(r);
	pid_t pid = sp_fork();
	ssize_t n = 0;

	if (!pid) {
		bool right;

		close(out);
		right = sp_expect(in, pos, end - pos);
		_exit(right ? 0 : 1);
	}
	close(in);
	signal(SIGPIPE, SIG_IGN);
	while (pos < end) {
		n = sendfile(out, r, NULL, BIG);
		if (!ok(n > 0, "sendfile gives bytes at %llu: %zd", (ull)pos, n))
			break;
		pos += n;
		if (!expect_eq(sp_pos(r), pos))
			break;
	}
	child_ok(pid, SOON);
	expect_eq(pos, end);
	expect_eq(file_stat(r).lag_messages, 0);
}

TEST(to_tcp, "to a TCP socket: all there is, in order, with an enormous count")
{
	struct sp_plan plan;
	int w, r, sv[2];

	filled(&plan, 300, &w, &r);
	sp_tcp_pair(sv, 0, 0);
	send_all(r, sv[0], sv[1], plan.pos[plan.n]);
}

TEST(to_unix, "to a Unix stream socket")
{
	struct sp_plan plan;
	int w, r, sv[2];

	filled(&plan, 300, &w, &r);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	send_all(r, sv[0], sv[1], plan.pos[plan.n]);
}

TEST(to_pipe, "to a pipe")
{
	struct sp_plan plan;
	int w, r, p[2];

	filled(&plan, 300, &w, &r);
	sp_pipe(p, 0);
	send_all(r, p[1], p[0], plan.pos[plan.n]);
}

TEST(to_file, "to a regular file")
{
	struct sp_plan plan;
	int w, r, f = memfd_create("copy", 0);
	uint64_t end, done = 0;
	const char *t = filled(&plan, 300, &w, &r);

	need(f >= 0);
	end = plan.pos[plan.n];
	while (done < end) {
		ssize_t n = sendfile(f, r, NULL, end - done);

		if (!ok(n > 0 && sp_pos(r) == done + n, "sendfile at %llu: %zd", (ull)done, n))
			break;
		done += n;
	}
	expect_eq(lseek(f, 0, SEEK_END), end);
	lseek(f, 0, SEEK_SET);
	sp_expect(f, 0, end);
	/* The file has its own pages. */
	need_ret(pwrite(f, "XXXXXXXX", 8, 100), 8);
	sp_log_intact(t);
}

TEST(to_null, "to /dev/null")
{
	struct sp_plan plan;
	int w, r, f = open("/dev/null", O_WRONLY);
	ssize_t n = 0, got;

	need(f >= 0);
	filled(&plan, 100, &w, &r);
	while (n < (ssize_t)plan.pos[100]) {
		got = sendfile(f, r, NULL, BIG);
		if (!ok(got > 0, "sendfile: %zd", got))
			break;
		n += got;
	}
	expect_eq(n, plan.pos[100]);
	expect_eq(sp_pos(r), plan.pos[100]);
}

TEST(explicit_offset, "at an explicit offset: the own position stays")
{
	struct sp_plan plan;
	int w, r, sv[2];
	off_t off;

	filled(&plan, 20, &w, &r);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	need(sendfile(sv[0], r, NULL, 10) == 10 && sp_expect(sv[1], 0, 10));
	off = plan.pos[5] + 1;
	expect_ret(sendfile(sv[0], r, &off, 1000), 1000);
	expect_eq(off, plan.pos[5] + 1001);
	sp_expect(sv[1], plan.pos[5] + 1, 1000);
	expect_eq(sp_pos(r), 10);
	expect_ret(sendfile(sv[0], r, NULL, 7), 7);
	sp_expect(sv[1], 10, 7);

	/* More than there is: what there is. */
	off = plan.pos[20] - 3;
	expect_ret(sendfile(sv[0], r, &off, 1000), 3);
	expect_eq(off, plan.pos[20]);
	sp_nonblock(r, true);
	expect_err(sendfile(sv[0], r, &off, 1000), EAGAIN);
	expect_eq(off, plan.pos[20]);
	expect_eq(sp_pos(r), 17);
}

TEST(read_write_file, "from a file opened read-write: own position only")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int f = topic_open(t, "", O_RDWR), sv[2];
	off_t off = 0;

	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	sp_put(f, 0, 1000);
	sp_put(f, 1000, 1000);
	expect_ret(sendfile(sv[0], f, NULL, 1500), 1500);
	expect_eq(sp_pos(f), 1500);
	sp_put(f, 2000, 10);
	expect_eq(sp_pos(f), 1500);
	expect_ret(sendfile(sv[0], f, NULL, 4000), 510);
	expect_eq(sp_pos(f), 2010);
	sp_expect(sv[1], 0, 2010);
	expect_err(sendfile(sv[0], f, &off, 100), ESPIPE);
	expect_eq(sp_pos(f), 2010);
	expect_eq(file_stat(f).offset, 3);
}

TEST(end_of_log, "at the end of the log it returns what it sent, and waits only for its first byte")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), sv[2];
	ssize_t *ret = shared_alloc(4096);
	pid_t pid;

	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	pid = sp_fork();
	if (!pid) {
		*ret = sendfile(sv[0], r, NULL, BIG);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_sendfile), "sendfile waits for a first message");
	sp_put(w, 0, 500);
	child_ok(pid, SOON);
	expect_eq(*ret, 500);
	expect_eq(sp_pos(r), 500);
	sp_expect(sv[1], 0, 500);

	sp_put(w, 500, 100);
	expect_ret(sendfile(sv[0], r, NULL, BIG), 100);
	sp_nonblock(r, true);
	expect_err(sendfile(sv[0], r, NULL, BIG), EAGAIN);
	expect_eq(sp_pos(r), 600);
	sp_nonblock(r, false);

	sp_catch(SIGUSR1, false);
	pid = sp_fork();
	if (!pid) {
		*ret = sendfile(sv[0], r, NULL, BIG) == -1 ? errno : 0;
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_sendfile), "sendfile waits");
	kill(pid, SIGUSR1);
	child_ok(pid, SOON);
	expect_eq(*ret, EINTR);
	expect_eq(sp_pos(r), 600);
}

TEST(until_end, "until=end: to where the log ended at open, then 0")
{
	struct sp_plan plan;
	int w, r, u, sv[2];
	const char *t = filled(&plan, 10, &w, &r);
	uint64_t end = plan.pos[10];

	u = topic_open(t, "+until=end", O_RDONLY);
	sp_put(w, end, 100);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	expect_ret(sendfile(sv[0], u, NULL, BIG), (ssize_t)end);
	expect_ret(sendfile(sv[0], u, NULL, BIG), 0);
	expect_ret(sendfile(sv[0], u, NULL, BIG), 0);
	sp_expect(sv[1], 0, end);
	expect_eq(file_readable(sv[1]), 0);
}

TEST(refused, "A.11: files it does not work on: EINVAL, EBADF")
{
	const char *t = topic_new(.ring_bytes = 65536, .partitions = 2);
	const char *one = topic_new(.ring_bytes = 65536);
	int w, f, sv[2];

	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	w = topic_open(t, "", O_WRONLY);
	sp_put(w, 0, 100);
	f = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	expect_err(sendfile(sv[0], f, NULL, 10), EINVAL);
	w = topic_open(one, "", O_WRONLY);
	sp_put(w, 0, 100);
	f = topic_open(one, "+format=record", O_RDONLY | O_NONBLOCK);
	expect_err(sendfile(sv[0], f, NULL, 10), EINVAL);
	expect_err(sendfile(sv[0], w, NULL, 10), EBADF);
	expect_eq(file_readable(sv[1]), 0);
}

/* A writer that is held back by its reader, several laps of a small ring. */
TEST(follow, "a topic that is written meanwhile: laps of its ring, nothing lost, every byte right")
{
	const char *t = topic_new(.ring_bytes = 65536, .set = MQT(OVERFLOW),
				  .overflow = MQ_OVERFLOW_BLOCK,
				  .hold = MQ_HOLD_READERS);
	int r = topic_open(t, "", O_RDONLY), sv[2], calls = 0;
	struct sp_plan plan;
	uint64_t pos = 0, end;
	pid_t writer, receiver;

	sp_plan_init(&plan, 1000, 1, 3000, 0);
	end = plan.pos[plan.n];
	sp_tcp_pair(sv, 0, 0);
	writer = sp_fork();
	if (!writer) {
		int w = topic_open(t, "", O_WRONLY);

		_exit(sp_append_to(w, &plan, 0, plan.n) == plan.n ? 0 : 1);
	}
	receiver = sp_fork();
	if (!receiver)
		_exit(sp_expect(sv[1], 0, end) ? 0 : 1);
	while (pos < end) {
		ssize_t n = sendfile(sv[0], r, NULL, BIG);

		if (!ok(n > 0, "sendfile at %llu: %zd", (ull)pos, n))
			break;
		pos += n;
		calls++;
		if (!expect_eq(sp_pos(r), pos))
			break;
	}
	child_ok(writer, SOON);
	child_ok(receiver, SOON);
	expect_eq(file_stat(r).lost_messages, 0);
	note("%llu bytes in %d calls, %llu wraps", (ull)pos, calls, (ull)topic_counters(t).wraps);
	ok(topic_counters(t).wraps >= 10, "the ring came round ten times");
	sp_lent_returns(t);
}

TEST(explicit_holds,
	"hold=readers: a long sendfile at an explicit offset reads nothing of the file's own")
{
	const char *t = topic_new(.ring_bytes = 1 << 18, .overflow = MQ_OVERFLOW_REJECT,
				  .hold = MQ_HOLD_READERS);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY | O_NONBLOCK), p[2];
	int null = open("/dev/null", O_WRONLY);
	unsigned char buf[1000];
	uint64_t pos, head;
	off_t off = 5000;

	for (head = 0; head < 250000; head += 1000)
		sp_put(w, head, 1000);
	sp_pipe(p, 0);
	expect_ret(sp_splice(r, p[1], 1000), 1000);
	sp_expect(p[0], 0, 1000);
	/* More than sendfile moves at a time. */
	while (off < 240000) {
		ssize_t n = sendfile(null, r, &off, 240000 - off);

		if (!ok(n > 0, "sendfile: %zd", n))
			return;
	}
	expect_eq(off, 240000);
	expect_eq(sp_pos(r), 1000);
	expect_eq(file_stat(r).position, 1000);
	expect_eq(file_stat(r).offset, 1);
	for (;; head += 1000) {
		sp_fill(buf, head, 1000);
		if (write(w, buf, 1000) != 1000)
			break;
	}
	expect_eq(errno, ENOBUFS);
	ok(file_stat(r).tail_position <= 1000, "what it has not read is held (tail %llu)",
	   (ull)file_stat(r).tail_position);
	for (pos = 1000; pos < head;) {
		ssize_t n = sp_splice(r, p[1], 30000);

		if (!ok(n > 0, "splice at %llu: %zd", (ull)pos, n) || !sp_expect(p[0], pos, n))
			break;
		pos += n;
	}
	expect_eq(file_stat(r).lost_messages, 0);
}
