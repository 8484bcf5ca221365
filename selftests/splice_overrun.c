// SPDX-License-Identifier: GPL-2.0
/*
 * Overrun at each point of a splice and of a sendfile, forced by test hooks:
 * ENOBUFS exactly once, with the exact number lost, and right bytes before and
 * after it.
 *
 * TIMEOUT: 300
 */
#include "helpers/splice.h"

#define BIG	0x7ffff000UL
#define LEN	1000		/* bytes of a message */
#define N	400		/* messages of a log */

static const char * const points[] = { "splice-start", "splice-page", "splice-filled" };

struct setup {
	const char *t;
	int w;
	int r;
	int p[2];
	int s[2];
};

static void set_up(struct setup *s, const char *options, int flags)
{
	uint64_t i;

	s->t = topic_new(.ring_bytes = 1 << 20);
	s->w = topic_open(s->t, "", O_WRONLY);
	s->r = topic_open(s->t, options, flags);
	for (i = 0; i < N; i++)
		sp_put(s->w, i * LEN, LEN);
	sp_pipe(s->p, 65536);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s->s), 0);
}

static ssize_t move(struct setup *s, bool by_sendfile, size_t len)
{
	return by_sendfile ? sendfile(s->s[0], s->r, NULL, len) : sp_splice(s->r, s->p[1], len);
}

static bool arrived(struct setup *s, bool by_sendfile, uint64_t pos, size_t len)
{
	int fd = by_sendfile ? s->s[1] : s->p[0];

	return sp_expect(fd, pos, len) && expect_eq(file_readable(fd), 0);
}

/*
 * The reader has taken all bytes below pos; then the oldest drop messages were
 * gone: it is told, once, and goes on there.
 */
static void told_once(struct setup *s, bool by_sendfile, uint64_t pos, uint64_t drop, bool already)
{
	uint64_t lost = drop - pos / LEN;

	if (!already)
		expect_err(move(s, by_sendfile, 5000), ENOBUFS);
	expect_eq(sp_pos(s->r), drop * LEN);
	expect_eq(file_stat(s->r).lost_messages, lost);
	expect_eq(file_stat(s->r).overruns, 1);
	expect_eq(topic_counters(s->t).lost, lost);
	expect_eq(topic_counters(s->t).overruns, 1);
	if (drop < N) {
		expect_ret(move(s, by_sendfile, 5000), 5000);
		arrived(s, by_sendfile, drop * LEN, 5000);
		expect_eq(sp_pos(s->r), drop * LEN + 5000);
	}
	expect_eq(file_stat(s->r).lost_messages, lost);
	expect_eq(file_stat(s->r).overruns, 1);
}

/* At the first call, from position start on, with drop of the oldest messages going. */
static void first_call(const char *point, bool by_sendfile, uint64_t start, uint64_t drop,
		       int flags)
{
	bool filled = !strcmp(point, "splice-filled");
	struct setup s;
	ssize_t n;

	set_up(&s, "", flags);
	if (start) {
		expect_ret(move(&s, by_sendfile, start), (ssize_t)start);
		arrived(&s, by_sendfile, 0, start);
	}
	hook_arm(point, s.t, 0, drop);
	n = move(&s, by_sendfile, 5000);
	expect_eq(hook_hits(), 1);
	if (filled) {
		/* Pages in the pipe are safe. */
		expect_eq(n, 5000);
		arrived(&s, by_sendfile, start, 5000);
		expect_eq(sp_pos(s.r), start + 5000);
		start += 5000;
	} else {
		ok(n == -1 && errno == ENOBUFS, "%s: ENOBUFS, not %zd", point, n);
		arrived(&s, by_sendfile, 0, 0);
	}
	told_once(&s, by_sendfile, start, drop, !filled);
	sp_lent_returns(s.t);
}

static void first_calls(const char *point, bool by_sendfile)
{
	static const struct {
		uint64_t start, drop;
		int flags;
	} c[] = {
		{ 0, 30, O_RDONLY },		/* before its first byte */
		{ 0, 300, O_RDONLY },
		{ 0, N, O_RDONLY },		/* nothing is left */
		{ 2500, 30, O_RDONLY },		/* in the middle of a message */
		{ 3000, 30, O_RDONLY },		/* between two */
		{ 65536, 200, O_RDONLY },
		{ 2500, 30, O_RDWR },
	};

	for (unsigned int i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		first_call(point, by_sendfile, c[i].start, c[i].drop, c[i].flags);
		hook_off();
		if (failures()) {
			note("... from byte %llu, %llu messages dropped%s", (ull)c[i].start,
			     (ull)c[i].drop, c[i].flags == O_RDWR ? ", O_RDWR" : "");
			break;
		}
	}
}

TEST(splice_start, "splice overrun before it takes a page")
{
	first_calls("splice-start", false);
}

TEST(splice_page, "splice overrun with a page taken")
{
	first_calls("splice-page", false);
}

TEST(splice_page_all, "the same where all there is was taken: only the tail can tell")
{
	struct setup s;

	set_up(&s, "", O_RDONLY);
	expect_ret(lseek(s.r, (N - 5) * LEN, SEEK_SET), (N - 5) * LEN);
	hook_arm("splice-page", s.t, 0, N - 3);
	expect_err(move(&s, false, BIG), ENOBUFS);
	expect_eq(hook_hits(), 1);
	arrived(&s, false, 0, 0);
	expect_eq(file_stat(s.r).lost_messages, 2);
	expect_ret(move(&s, false, BIG), 3 * LEN);
	arrived(&s, false, (N - 3) * LEN, 3 * LEN);
	hook_off();
	sp_lent_returns(s.t);
}

TEST(splice_filled, "splice overrun with pages in the pipe")
{
	first_calls("splice-filled", false);
}

TEST(sendfile_start, "sendfile overrun before it takes a page")
{
	first_calls("splice-start", true);
}

TEST(sendfile_page, "sendfile overrun with a page taken")
{
	first_calls("splice-page", true);
}

TEST(sendfile_filled, "sendfile overrun with pages in its pipe")
{
	first_calls("splice-filled", true);
}

/* In a later call within one sendfile, which waits for the socket meanwhile. */
static void later_call(const char *point, uint64_t drop, bool all)
{
	struct {
		ssize_t ret;
		int error;
	} *res = shared_alloc(sizeof(*res));
	struct setup s;
	uint64_t sent;
	ssize_t n;
	pid_t pid;

	set_up(&s, "", O_RDONLY);
	sp_small_tcp_pair(s.s);
	pid = sp_fork();
	if (!pid) {
		res->ret = sendfile(s.s[0], s.r, NULL, BIG);
		res->error = errno;
		close(s.s[0]);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_sendfile), "sendfile waits for the socket");
	hook_arm(point, s.t, 0, all ? 0 : drop);
	close(s.s[0]);
	for (sent = 0;; sent += n) {
		unsigned char buf[65536];

		n = read(s.s[1], buf, sizeof(buf));
		if (n <= 0 || !sp_right("what came", buf, sent, n))
			break;
	}
	child_ok(pid, SOON);
	expect_eq(hook_hits(), 1);
	ok(res->ret > 0, "sendfile returns what it sent, not an error: %zd (%s)", res->ret,
	   strerror(res->error));
	expect_eq(res->ret, sent);
	ok(sent >= 65536 && sent < N * LEN, "it ended at the overrun: %llu", (ull)sent);
	expect_eq(sp_pos(s.r), sent);
	expect_eq(file_stat(s.r).lost_messages, 0);
	close(s.s[1]);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s.s), 0);
	told_once(&s, true, sent, all ? N : drop, false);
	sp_lent_returns(s.t);
	hook_off();
}

TEST(later_start, "sendfile overrun in a later call, before it takes a page")
{
	later_call("splice-start", 300, false);
	later_call("splice-start", 0, true);
}

TEST(later_page, "sendfile overrun in a later call, with a page taken")
{
	later_call("splice-page", 300, false);
	later_call("splice-page", 0, true);
}

TEST(later_filled, "sendfile overrun in a later call, with pages in its pipe")
{
	later_call("splice-filled", 300, false);
	later_call("splice-filled", 0, true);
}

TEST(explicit, "at an explicit offset: every time, and nothing moves")
{
	struct setup s;
	loff_t off = 1500;
	int i;

	set_up(&s, "", O_RDONLY | O_NONBLOCK);
	expect_ret(move(&s, false, 31000), 31000);
	arrived(&s, false, 0, 31000);
	hook_arm("splice-page", s.t, 0, 30);
	for (i = 0; i < 3; i++) {
		expect_err(splice(s.r, &off, s.p[1], NULL, 5000, 0), ENOBUFS);
		expect_eq(off, 1500);
		expect_err(sendfile(s.s[0], s.r, &off, 5000), ENOBUFS);
		expect_eq(off, 1500);
	}
	expect_eq(hook_hits(), 1);
	expect_eq(sp_pos(s.r), 31000);
	expect_eq(file_stat(s.r).lost_messages, 0);
	expect_eq(file_readable(s.p[0]), 0);
	off = 30000;
	expect_ret(splice(s.r, &off, s.p[1], NULL, 5000, 0), 5000);
	arrived(&s, false, 30000, 5000);
	expect_ret(move(&s, false, 1000), 1000);
	arrived(&s, false, 31000, 1000);
	hook_off();
}

TEST(skipping, "overrun=skip: counted, not reported")
{
	for (int i = 0; i < 4; i++) {
		struct setup s;

		set_up(&s, "+overrun=skip", O_RDONLY);
		expect_ret(move(&s, i & 1, 2500), 2500);
		arrived(&s, i & 1, 0, 2500);
		hook_arm(points[i / 2], s.t, 0, 30);
		expect_ret(move(&s, i & 1, 5000), 5000);
		expect_eq(hook_hits(), 1);
		arrived(&s, i & 1, 30 * LEN, 5000);
		expect_eq(file_stat(s.r).lost_messages, 28);
		expect_eq(sp_pos(s.r), 35000);
		hook_off();
	}
}

/* The real thing: writers lap the ring. */
static void lapped(bool by_sendfile)
{
	struct setup s;
	uint64_t i, pos;

	set_up(&s, "", O_RDONLY);
	expect_ret(move(&s, by_sendfile, 2500), 2500);
	arrived(&s, by_sendfile, 0, 2500);
	for (i = N; i < 4000; i++)
		sp_put(s.w, i * LEN, LEN);
	/* The end of the ring is not a message's end; the oldest kept is whole. */
	pos = file_stat(s.r).tail_position;
	expect_eq(pos % LEN, 0);
	ok(pos >= (4000 * LEN) - (1 << 20) && pos < 4000 * LEN, "the tail is at %llu", (ull)pos);
	told_once(&s, by_sendfile, 2500, pos / LEN, false);
	sp_lent_returns(s.t);
}

TEST(lapped_splice, "a splice lapped by writers")
{
	lapped(false);
}

TEST(lapped_sendfile, "a sendfile lapped by writers")
{
	lapped(true);
}

TEST(partitions, "one of two partitions lapped: that one's loss, told once")
{
	const char *t = topic_new(.ring_bytes = 65536, .partitions = 2);
	int w0 = topic_open(t, "@0", O_WRONLY), w1 = topic_open(t, "@1", O_WRONLY);
	int r = topic_open(t, "", O_RDONLY | O_NONBLOCK), p[2], errors = 0, i;
	uint64_t lost, tail, bytes = 0;
	unsigned char buf[65536];
	ssize_t n;

	sp_pipe(p, 1 << 20);
	for (i = 0; i < 200; i++)
		sp_put(w0, i * LEN, LEN);
	memset(buf, 1, LEN);
	for (i = 0; i < 3; i++)
		need_ret(write(w1, buf, LEN), LEN);
	tail = partition_state(t, 0).tail_offset;
	ok(tail > 100 && tail < 200, "partition 0 keeps some (%llu)", (ull)tail);
	for (i = 0; i < 1000; i++) {
		n = sp_splice(r, p[1], 30000);
		if (n == -1 && errno == ENOBUFS) {
			errors++;
			continue;
		}
		if (n < 0)
			break;
		bytes += n;
		expect_eq(sp_read_all(p[0], buf, n), n);
	}
	expect_eq(errno, EAGAIN);
	expect_eq(errors, 1);
	lost = file_stat(r).lost_messages;
	expect_eq(lost, tail);
	expect_eq(bytes, (203 - lost) * LEN);
}

/* Lap the ring, and see that exactly the messages from pos on are lost. */
static void lap_and_count(struct setup *s, uint64_t pos)
{
	uint64_t i, tail;

	for (i = N; i < 4000; i++)
		sp_put(s->w, i * LEN, LEN);
	tail = file_stat(s->r).tail_position;
	need(tail > pos);
	told_once(s, false, pos, tail / LEN, false);
}

TEST(after_explicit, "exact, too, when explicit offsets were read elsewhere meanwhile")
{
	int null = open("/dev/null", O_WRONLY);
	struct setup s;
	off_t off = 10000;

	set_up(&s, "", O_RDONLY);
	expect_ret(move(&s, false, 2500), 2500);
	arrived(&s, false, 0, 2500);
	expect_ret(splice(s.r, &off, s.p[1], NULL, 3000, 0), 3000);
	arrived(&s, false, 10000, 3000);
	while (off < 300000)
		need(sendfile(null, s.r, &off, 300000 - off) > 0);
	expect_eq(sp_pos(s.r), 2500);
	lap_and_count(&s, 2500);
}

TEST(after_seek, "exact, too, after a seek back, and after a seek forward")
{
	struct setup s;

	for (int i = 0; i < 2; i++) {
		uint64_t to = i ? 300500 : 5500;

		set_up(&s, "", O_RDONLY);
		expect_ret(move(&s, false, 50000), 50000);
		arrived(&s, false, 0, 50000);
		need(lseek(s.r, to, SEEK_SET) == (off_t)to);
		lap_and_count(&s, to);
	}
}

TEST(empties_gone, "if only messages without payload are gone, nothing is lost")
{
	for (int i = 0; i < 4; i++) {
		struct setup s;

		set_up(&s, "", O_RDONLY | O_NONBLOCK);
		need_ret(lseek(s.r, N * LEN, SEEK_SET), N * LEN);
		put_empties(s.t, 3);
		sp_put(s.w, N * LEN, LEN);
		sp_put(s.w, (N + 1) * LEN, LEN);
		hook_arm(points[i / 2], s.t, 0, N + 3);
		expect_ret(move(&s, i & 1, 500), 500);
		expect_eq(hook_hits(), 1);
		arrived(&s, i & 1, N * LEN, 500);
		expect_ret(move(&s, i & 1, 500), 500);
		arrived(&s, i & 1, N * LEN + 500, 500);
		expect_eq(file_stat(s.r).lost_messages, 0);
		expect_eq(file_stat(s.r).overruns, 0);
		hook_off();
	}
}

TEST(many_empties, "thousands of messages without payload are no loss, and are passed")
{
	for (int i = 0; i < 2; i++) {
		struct setup s;

		set_up(&s, "", O_RDONLY | O_NONBLOCK);
		need_ret(lseek(s.r, (N - 2) * LEN, SEEK_SET), (N - 2) * LEN);
		expect_ret(move(&s, i, 2 * LEN), 2 * LEN);
		arrived(&s, i, (N - 2) * LEN, 2 * LEN);
		put_empties(s.t, 2500);
		sp_put(s.w, N * LEN, LEN);
		expect_ret(move(&s, i, 5000), LEN);
		arrived(&s, i, N * LEN, LEN);
		expect_eq(sp_pos(s.r), (N + 1) * LEN);
		expect_eq(file_stat(s.r).lost_messages, 0);
		expect_eq(file_stat(s.r).overruns, 0);
	}
}
