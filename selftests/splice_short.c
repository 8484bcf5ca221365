// SPDX-License-Identifier: GPL-2.0
/*
 * An output that takes less than it was given: what sendfile took back was not
 * read. Position, held messages and losses are those of the bytes that went.
 *
 * TIMEOUT: 600
 */
#include "helpers/splice.h"
#include <sys/mount.h>

#define BIG 0x7ffff000UL

/* The socket has want bytes, not one more, and they are the log from pos on. */
static bool drain(int s, uint64_t pos, size_t want)
{
	unsigned char buf[65536];
	size_t all = 0;

	/* With a small window TCP sends the next piece when this one was read. */
	while (all < want) {
		struct pollfd p = { .fd = s, .events = POLLIN };
		ssize_t n;

		if (!ok(poll(&p, 1, SOON * 1000) == 1, "%zu bytes come, not only %zu", want, all))
			return false;
		n = recv(s, buf, sizeof(buf), MSG_DONTWAIT);
		if (!ok(n > 0, "recv: %zd", n) ||
		    !sp_right("what the socket took", buf, pos + all, n))
			return false;
		all += n;
	}
	sleep_ms(5);
	return expect_eq(all, want) && expect_eq(file_readable(s), 0);
}

/*
 * A non-blocking pair that takes less than a ring holds. A Unix socket's buffer
 * can take 17 chunks of it, 64 KiB each, so its topics are larger.
 */
static uint64_t small_pair(int sv[2], bool tcp)
{
	int size = 4096;

	if (tcp) {
		sp_small_tcp_pair(sv);
	} else {
		need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		need_ret(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	}
	sp_nonblock(sv[0], true);
	return tcp ? 1 << 18 : 1 << 22;
}

/* sendfile until the socket takes no more: bytes sent. The position is checked at each step. */
static uint64_t stuff(int s, int r, uint64_t pos, unsigned int *shorts)
{
	uint64_t from = pos;
	int full = 0;

	/* TCP takes a little more once its buffers have settled. */
	while (full < 2) {
		ssize_t n = sendfile(s, r, NULL, BIG);

		if (n < 0) {
			ok(errno == EAGAIN, "a full socket gives EAGAIN");
			if (!expect_eq(sp_pos(r), pos))
				break;
			full++;
			sleep_ms(20);
			continue;
		}
		(*shorts)++;
		pos += n;
		if (!ok(n > 0 && sp_pos(r) == pos, "position %llu after %zd bytes to %llu",
			(ull)sp_pos(r), n, (ull)pos))
			break;
	}
	return pos - from;
}

static void position_follows(bool tcp, int flags, const char *options)
{
	int sv[2], w, r, i;
	uint64_t ring = small_pair(sv, tcp), pos = 0, end;
	const char *t = topic_new(.ring_bytes = ring);
	struct sp_plan plan;
	unsigned int shorts = 0;
	bool inside = false;

	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, options, flags);
	sp_plan_init(&plan, 120, 1, ring / 80, 0);
	end = plan.pos[plan.n];
	need(end < ring && sp_append_to(w, &plan, 0, plan.n) == plan.n);
	for (i = 0; pos < end && i < 30; i++) {
		uint64_t sent = stuff(sv[0], r, pos, &shorts);

		if (failures())
			return;
		inside |= plan.pos[sp_plan_at(&plan, pos + sent)] != pos + sent;
		/* The file's own idea of it, in messages. */
		expect_eq(file_stat(r).position, pos + sent);
		expect_eq(file_stat(r).offset, sp_plan_at(&plan, pos + sent));
		if (!drain(sv[1], pos, sent) || failures())
			return;
		pos += sent;
		/* At the end EAGAIN means that, so stop before it. */
		if (end - pos < (tcp ? 1U << 16 : 3U << 19))
			break;
	}
	/* The rest goes through a roomy socket. */
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	while (pos < end) {
		ssize_t n = sendfile(sv[0], r, NULL, 20000);

		if (!ok(n > 0, "the rest: %zd", n))
			return;
		if (!sp_expect(sv[1], pos, n))
			return;
		pos += n;
	}
	expect_eq(file_stat(r).lost_messages, 0);
	expect_eq(file_stat(r).offset, plan.n);
	ok(shorts && inside, "sockets were short, in the middle of messages (%u calls)", shorts);
}

TEST_LIMIT(unix_position, "B.13: short Unix socket: the position is what it took", 120)
{
	position_follows(false, O_RDONLY, "");
}

TEST_LIMIT(tcp_position, "B.13: short TCP socket: the position is what it took", 120)
{
	position_follows(true, O_RDONLY, "");
}

TEST_LIMIT(rdwr_position, "B.13: the same with a file opened read-write", 120)
{
	position_follows(false, O_RDWR, "");
}

TEST_LIMIT(skip_position, "B.13: the same with overrun=skip", 120)
{
	position_follows(true, O_RDONLY, "+overrun=skip");
}

/* Send k short pieces, lap the ring, and compare what is called lost. */
static void lost_after_short(bool tcp, unsigned int messages, size_t min, size_t max)
{
	int sv[2], w, r, round;
	uint64_t ring = small_pair(sv, tcp);
	const char *t = topic_new(.ring_bytes = ring, .ring_messages = 65536);
	uint64_t pos = 0, next = 0, lost = 0, want, now, to;
	struct sp_plan plan;
	unsigned int shorts = 0;

	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	sp_plan_init(&plan, messages, min, max, 0);
	/* Half a ring, then short sends and laps in turn. */
	to = sp_plan_at(&plan, ring / 2);
	need(to + 1 < plan.n && sp_append_to(w, &plan, 0, to) == to);
	next = to;
	for (round = 0; round < 4; round++) {
		now = stuff(sv[0], r, pos, &shorts);
		if (!drain(sv[1], pos, now) || failures())
			return;
		pos += now;
		to = sp_plan_at(&plan, plan.pos[next] + ring + ring / 2);
		need(to + 1 < plan.n && sp_append_to(w, &plan, next, to) == to);
		next = to;

		expect_err(sendfile(sv[0], r, NULL, BIG), ENOBUFS);
		now = file_stat(r).tail_position;
		want = sp_plan_lost(&plan, pos, now);
		lost += want;
		expect_eq(sp_pos(r), now);
		expect_eq(file_stat(r).lost_messages, lost);
		expect_eq(file_stat(r).overruns, round + 1);
		if (failures())
			return;
		pos = now;
		/* Told once. */
		now = stuff(sv[0], r, pos, &shorts);
		if (!drain(sv[1], pos, now))
			return;
		pos += now;
		ok(now > 0, "sendfile goes on at the oldest");
	}
	expect_eq(topic_counters(t).lost, lost);
}

TEST_LIMIT(lost_unix, "B.13: after a short Unix socket losses are counted exactly", 120)
{
	lost_after_short(false, 12000, 1, 6000);
}

TEST_LIMIT(lost_tcp, "B.13: after a short TCP socket losses are counted exactly", 120)
{
	lost_after_short(true, 2000, 1, 3000);
}

TEST_LIMIT(lost_small, "B.13: the same with thousands of small messages taken back", 120)
{
	lost_after_short(true, 200000, 1, 24);
}

TEST_LIMIT(lost_large, "B.13: the same with messages larger than what the socket takes", 120)
{
	lost_after_short(true, 60, 50000, 65536);
}

TEST(hold, "hold=readers: what was taken back is still held")
{
	const char *t = topic_new(.ring_bytes = 1 << 18, .overflow = MQ_OVERFLOW_REJECT,
				  .hold = MQ_HOLD_READERS);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int sv[2], p[2];
	uint64_t head = 0, sent;
	unsigned int shorts = 0;
	unsigned char buf[1000];

	sp_pipe(p, 0);
	for (;;) {
		sp_fill(buf, head, sizeof(buf));
		if (write(w, buf, sizeof(buf)) != sizeof(buf))
			break;
		head += sizeof(buf);
	}
	expect_eq(errno, ENOBUFS);
	small_pair(sv, true);
	sent = stuff(sv[0], r, 0, &shorts);
	ok(sent > 0 && sent < head, "the socket took %llu of %llu bytes", (ull)sent, (ull)head);
	/* Its next call showed its position; so writers get the room of what it read, not more. */
	for (;;) {
		sp_fill(buf, head, sizeof(buf));
		if (write(w, buf, sizeof(buf)) != sizeof(buf))
			break;
		head += sizeof(buf);
	}
	expect_eq(errno, ENOBUFS);
	ok(file_stat(r).tail_position <= sent, "tail %llu has not passed the reader at %llu",
	   (ull)file_stat(r).tail_position, (ull)sent);
	ok(head - (sent - sent % 1000) <= 1 << 18 && head - sent + 2000 > 1 << 18,
	   "writers got the room of what was read: head %llu, read %llu", (ull)head, (ull)sent);
	drain(sv[1], 0, sent);
	while (sent < head) {
		ssize_t n = sp_splice(r, p[1], 32768);

		if (!ok(n > 0, "the rest comes: %zd", n) || !sp_expect(p[0], sent, n))
			break;
		sent += n;
	}
	expect_eq(file_stat(r).lost_messages, 0);
}

TEST(interrupted, "B.13: sendfile into a blocking socket, interrupted: exact, too")
{
	const char *t = topic_new(.ring_bytes = 1 << 20);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), sv[2];
	ssize_t *ret = shared_alloc(4096);
	uint64_t pos;
	pid_t pid;

	for (pos = 0; pos < 500000; pos += 1000)
		sp_put(w, pos, 1000);
	sp_catch(SIGUSR1, false);
	sp_small_tcp_pair(sv);
	pid = sp_fork();
	if (!pid) {
		*ret = sendfile(sv[0], r, NULL, BIG);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_sendfile), "sendfile waits for the socket");
	kill(pid, SIGUSR1);
	child_ok(pid, SOON);
	need(*ret > 0);
	expect_eq(sp_pos(r), *ret);
	expect_eq(file_stat(r).offset, *ret / 1000);
	close(sv[0]);
	sp_expect(sv[1], 0, *ret);
	ok(read(sv[1], ret, 1) == 0, "and not one byte more");
}

TEST(full_disk, "B.13: a file system that is full in the middle of a sendfile")
{
	const char *t = topic_new(.ring_bytes = 1 << 20);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), f, i;
	char dir[] = "/tmp/mq-full-XXXXXX", file[64];
	uint64_t pos = 0;
	struct stat st;

	for (pos = 0; pos < 600000; pos += 1000)
		sp_put(w, pos, 1000);
	need(mkdtemp(dir));
	need_ret(mount("tmpfs", dir, "tmpfs", 0, "size=256k"), 0);
	snprintf(file, sizeof(file), "%s/f", dir);
	f = open(file, O_RDWR | O_CREAT, 0600);
	for (i = 0, pos = 0; i < 100; i++) {
		ssize_t n = sendfile(f, r, NULL, BIG);

		if (n < 0)
			break;
		pos += n;
		if (!expect_eq(sp_pos(r), pos))
			break;
	}
	expect_eq(errno, ENOSPC);
	expect_eq(sp_pos(r), pos);
	fstat(f, &st);
	ok(st.st_size >= (off_t)pos && pos > 100000, "the file has %lld bytes, %llu were read",
	   (long long)st.st_size, (ull)pos);
	lseek(f, 0, SEEK_SET);
	sp_expect(f, 0, pos);
	close(f);
	umount(dir);
	rmdir(dir);
}

TEST(short_then_explicit,
	"lost after a short socket is exact when explicit offsets were sent meanwhile")
{
	const char *t = topic_new(.ring_bytes = 1 << 18);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), sv[2];
	int null = open("/dev/null", O_WRONLY);
	unsigned int shorts = 0;
	uint64_t pos, sent;
	off_t off = 100500;

	for (pos = 0; pos < 200000; pos += 1000)
		sp_put(w, pos, 1000);
	small_pair(sv, true);
	sent = stuff(sv[0], r, 0, &shorts);
	expect_ret(sendfile(null, r, &off, 1000), 1000);
	for (; pos < 1000000; pos += 1000)
		sp_put(w, pos, 1000);
	expect_err(sendfile(null, r, NULL, BIG), ENOBUFS);
	expect_eq(file_stat(r).lost_messages, sp_pos(r) / 1000 - sent / 1000);
	drain(sv[1], 0, sent);
}

TEST(peer_gone,
	"a receiver that goes in the middle: EPIPE or ECONNRESET, and the position is exact")
{
	const char *t = topic_new(.ring_bytes = 1 << 20);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), sv[2];
	uint64_t pos, was;

	signal(SIGPIPE, SIG_IGN);
	for (pos = 0; pos < 600000; pos += 1000)
		sp_put(w, pos, 1000);
	for (int i = 0; i < 2; i++) {
		ssize_t n = 0;
		int errors = 0;

		if (i)
			need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		else
			sp_tcp_pair(sv, 0, 0);
		was = sp_pos(r);
		expect_ret(sendfile(sv[0], r, NULL, 10500), 10500);
		sp_expect(sv[1], was, 10500);
		close(sv[1]);
		/* TCP takes some until the reset comes. */
		for (was += 10500; errors < 2 && was < 550000;) {
			n = sendfile(sv[0], r, NULL, 2500);
			if (n > 0)
				was += n;
			else
				errors++;
			expect_eq(sp_pos(r), was);
			ok(n > 0 || errno == EPIPE || errno == ECONNRESET, "EPIPE or ECONNRESET");
			sleep_ms(20);
		}
		ok(errors == 2, "the reader is told");
		close(sv[0]);
	}
	expect_eq(file_stat(r).offset, was / 1000);
	expect_eq(file_stat(r).lost_messages, 0);
}

TEST(short_several, "what a socket did not take is still read after a partition was added")
{
	for (int asks = 0; asks < 2; asks++) {
		const char *t = topic_new(.ring_bytes = 1 << 22);
		int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY | O_NONBLOCK), sv[2];
		static unsigned char buf[65536];
		uint64_t pos, end = 0;
		ssize_t n;

		small_pair(sv, false);
		while (end < 2 << 20) {
			sp_put(w, end, 10000);
			end += 10000;
		}
		n = sendfile(sv[0], r, NULL, end);
		need(n > 0 && (uint64_t)n < end);
		pos = sp_pos(r);
		expect_eq(pos, n);
		need(topic_set(t, .partitions = 2));
		/* Asked first what there is to read, or not. */
		if (asks)
			expect_eq(file_stat(r).lag_bytes, end - pos);
		while ((n = read(r, buf, sizeof(buf))) > 0) {
			need(sp_right("what is read", buf, pos, n));
			pos += n;
		}
		expect_eq(errno, EAGAIN);
		expect_eq(pos, end);
		close(sv[0]);
		close(sv[1]);
		close(r);
		close(w);
	}
}
