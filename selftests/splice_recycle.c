// SPDX-License-Identifier: GPL-2.0
/*
 * Pages recycled under readers that take no lock: a writer laps a small ring
 * as fast as it can. What a reader is given is never torn nor foreign, and what
 * it is not given is counted: read + lost = written.
 * $MQ_RECYCLE_MESSAGES: how many (default 60000).
 *
 * TIMEOUT: 500
 */
#include "helpers/splice.h"

#define RING	65536

static struct sp_plan plan;
static const char *topic;
static volatile unsigned int *ready;

/* Opened before the writer begins: everybody starts at 0. */
static int open_reader(const char *options, int flags)
{
	int fd = topic_open(topic, options, flags);

	__atomic_add_fetch(ready, 1, __ATOMIC_RELEASE);
	return fd;
}

struct result {
	uint64_t good;		/* messages given whole */
	uint64_t lost;
	uint64_t overruns;
	uint64_t calls;
};

/* Told of an overrun at pos: where it goes on, and whether the count is exact. */
static uint64_t overrun(int fd, uint64_t pos, struct result *res)
{
	struct mq_stat st = file_stat(fd);
	uint64_t now = sp_pos(fd);

	res->lost += sp_plan_lost(&plan, pos, now);
	res->overruns++;
	ok(now > pos, "the position went from %llu to %llu", (ull)pos, (ull)now);
	ok(plan.pos[sp_plan_at(&plan, now)] == now,
	   "it goes on at a message's start (%llu)", (ull)now);
	expect_eq(st.lost_messages, res->lost);
	expect_eq(st.overruns, res->overruns);
	return now;
}

static void finish(int fd, struct result *res)
{
	res->good = plan.n - res->lost;
	expect_eq(file_stat(fd).lost_messages, res->lost);
	expect_eq(file_stat(fd).offset, plan.n);
}

static void by_read(struct result *res, int flags, size_t size)
{
	int fd = open_reader("", flags);
	uint64_t pos = 0;
	unsigned char *buf = malloc(size);

	need(buf);
	while (pos < plan.pos[plan.n] && failures() < 10) {
		ssize_t n = read(fd, buf, size);

		res->calls++;
		if (n > 0) {
			uint64_t end = plan.pos[sp_plan_at(&plan, pos) + 1];

			sp_right("read", buf, pos, n);
			ok(n == (ssize_t)(end - pos < size ? end - pos : size),
			   "read at %llu gives the message's rest, not %zd", (ull)pos, n);
			pos += n;
		} else if (n == -1 && errno == ENOBUFS) {
			pos = overrun(fd, pos, res);
		} else {
			fail("read: %zd %s", n, strerror(errno));
			return;
		}
	}
	finish(fd, res);
}

static void reader_read(struct result *res)
{
	by_read(res, O_RDONLY, 4096);
}

static void reader_short(struct result *res)
{
	by_read(res, O_RDONLY, 500);
}

static void reader_rdwr(struct result *res)
{
	by_read(res, O_RDWR, 4096);
}

static void reader_record(struct result *res)
{
	static unsigned char buf[1 << 15] __attribute__((aligned(8)));
	int fd = open_reader("+format=record", O_RDONLY);
	static struct rec recs[1024];
	uint64_t off = 0, now;

	while (off < plan.n && failures() < 10) {
		ssize_t n = read(fd, buf, sizeof(buf));
		int count, i;

		res->calls++;
		if (n == -1 && errno == ENOBUFS) {
			now = sp_pos(fd);
			res->lost += now - off;
			res->overruns++;
			ok(now > off, "the position went from %llu to %llu", (ull)off, (ull)now);
			expect_eq(file_stat(fd).lost_messages, res->lost);
			off = now;
			continue;
		}
		if (n <= 0) {
			fail("record read: %zd %s", n, strerror(errno));
			return;
		}
		count = batch_parse(buf, n, recs, 1024, NULL);
		if (count < 0)
			return;
		for (i = 0; i < count; i++, off++) {
			expect_eq(recs[i].e->offset, off);
			expect_eq(recs[i].e->position, plan.pos[off]);
			expect_eq(recs[i].e->len, plan.pos[off + 1] - plan.pos[off]);
			sp_right("record", recs[i].payload, plan.pos[off], recs[i].e->len);
		}
	}
	res->good = plan.n - res->lost;
	expect_eq(file_stat(fd).lost_messages, res->lost);
}

static void reader_pread(struct result *res)
{
	int fd = open_reader("", O_RDONLY | O_NONBLOCK);
	unsigned char buf[4096];
	uint64_t x = 12345;

	for (;;) {
		struct mq_stat st = file_stat(fd);
		uint64_t span = st.head_position - st.tail_position, pos;
		ssize_t n;

		if (st.head_position == plan.pos[plan.n] || failures() >= 10)
			break;
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		/* Rather near the tail, where it is dangerous. */
		pos = st.tail_position + (span ? (x >> 33) % (span / 4 + 1) : 0);
		n = pread(fd, buf, sizeof(buf), pos);
		res->calls++;
		if (n > 0) {
			res->good++;
			sp_right("pread", buf, pos, n);
		} else if (n == -1 && errno == ENOBUFS) {
			res->overruns++;
		} else if (n != -1 || errno != EAGAIN) {
			fail("pread at %llu: %zd %s", (ull)pos, n, strerror(errno));
			return;
		}
	}
	/* pread at what happened to be the own position was a read. */
	res->lost = file_stat(fd).lost_messages;
}

/* Pages stay in the pipe for a while before they are looked at. */
static void reader_splice(struct result *res)
{
	int fd = open_reader("", O_RDONLY), p[2];
	uint64_t pos = 0;

	sp_pipe(p, 65536);
	while (pos < plan.pos[plan.n] && failures() < 10) {
		ssize_t n = sp_splice(fd, p[1], 1 + res->calls * 1237 % 60000);

		res->calls++;
		if (n > 0) {
			if (res->calls % 8 == 0)
				sleep_ms(res->calls / 8 % 5);
			sp_expect(p[0], pos, n);
			pos += n;
		} else if (n == -1 && errno == ENOBUFS) {
			pos = overrun(fd, pos, res);
		} else {
			fail("splice: %zd %s", n, strerror(errno));
			return;
		}
	}
	finish(fd, res);
}

static void reader_sendfile(struct result *res)
{
	int fd = open_reader("", O_RDONLY), s[2];
	uint64_t pos = 0;

	/* What small pieces pin may fill the socket: the rest is sent when it was emptied. */
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	need_ret(fcntl(s[0], F_SETFL, O_NONBLOCK), 0);
	while (pos < plan.pos[plan.n] && failures() < 10) {
		ssize_t n = sendfile(s[0], fd, NULL, 1 + res->calls * 1237 % 90000);

		res->calls++;
		if (n > 0) {
			if (res->calls % 8 == 0)
				sleep_ms(res->calls / 8 % 5);
			sp_expect(s[1], pos, n);
			pos += n;
		} else if (n == -1 && errno == ENOBUFS) {
			pos = overrun(fd, pos, res);
		} else {
			fail("sendfile: %zd %s", n, strerror(errno));
			return;
		}
	}
	finish(fd, res);
}

static const struct {
	const char *name;
	void (*run)(struct result *res);
} readers[] = {
	{ "read", reader_read },
	{ "short reads", reader_short },
	{ "read, O_RDWR", reader_rdwr },
	{ "record read", reader_record },
	{ "pread", reader_pread },
	{ "splice", reader_splice },
	{ "sendfile", reader_sendfile },
};

#define NR	(sizeof(readers) / sizeof(readers[0]))

static void race(size_t min, size_t max, uint64_t n, const char *what)
{
	struct result *res = shared_alloc(sizeof(*res) * NR);
	uint64_t told = 0;
	pid_t pid[NR];
	unsigned int i;
	double start;
	int w;

	ready = shared_alloc(sizeof(*ready));
	topic = topic_new(.ring_bytes = RING, .ring_messages = 1024, .max_message_bytes = 16384);
	sp_plan_init(&plan, n, min, max, 0);
	w = topic_open(topic, "", O_WRONLY);
	for (i = 0; i < NR; i++) {
		pid[i] = sp_fork();
		if (!pid[i]) {
			readers[i].run(&res[i]);
			_exit(0);
		}
	}
	wait_until(__atomic_load_n(ready, __ATOMIC_ACQUIRE) == NR, SOON);
	start = sp_now();
	for (i = 0; i < n; i += 1000) {
		uint64_t to = i + 1000 < n ? i + 1000 : n;

		expect_eq(sp_append_to(w, &plan, i, to), to);
		/* Bounded, whoever holds what. */
		ok(topic_counters(topic).lent <= 2 * RING, "lent is at most twice the ring");
	}
	note("%s: %llu messages in %.1f s, %llu wraps", what, (ull)n, sp_now() - start,
	     (ull)topic_counters(topic).wraps);
	for (i = 0; i < NR; i++) {
		child_ok(pid[i], 60);
		note("%-12s %llu good, %llu lost in %llu overruns, %llu calls", readers[i].name,
		     (ull)res[i].good, (ull)res[i].lost, (ull)res[i].overruns, (ull)res[i].calls);
		ok(res[i].calls > 0, "%s was called", readers[i].name);
		told += res[i].lost;
	}
	expect_eq(topic_counters(topic).lost, told);
	sp_lent_returns(topic);
	sp_log_intact(topic);
}

static uint64_t messages(uint64_t def)
{
	const char *env = getenv("MQ_RECYCLE_MESSAGES");

	return env ? strtoull(env, NULL, 0) : def;
}

TEST_LIMIT(small, "B.14, D.26: small messages, laps as fast as the writer can", 200)
{
	race(1, 200, messages(60000), "1 to 200 bytes");
}

TEST_LIMIT(large, "B.14, D.26: messages of up to a page and more, laps as fast as the writer can", 200)
{
	race(1, 9000, messages(60000) / 4, "1 to 9000 bytes");
}

/* Pipes that keep pages while the ring goes on. */
TEST(cap, "B.14, E.29: pages held by many pipes: bounded, then copied; every byte right")
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 1024);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[64][2], i;
	uint64_t pos = 0, from[64], most = 0, end;
	struct topic_stats st;
	size_t len[64];

	for (i = 0; i < 64; i++) {
		for (end = pos + 32768; pos < end; pos += 1024)
			sp_put(w, pos, 1024);
		sp_pipe(p[i], 65536);
		need(lseek(r, pos - 32768, SEEK_SET) >= 0);
		from[i] = sp_pos(r);
		for (len[i] = 0; len[i] < 32768;) {
			ssize_t n = sp_splice_nb(r, p[i][1], 32768 - len[i]);

			if (n <= 0)
				break;
			len[i] += n;
		}
		expect_eq(len[i], 32768);
		st = topic_counters(t);
		most = st.lent > most ? st.lent : most;
	}
	note("64 pipes hold %d bytes; lent at most %llu, memory %llu", 64 * 32768, (ull)most,
	     (ull)st.memory);
	ok(most > 0 && most <= 2 * RING, "lent at most twice the ring (%llu)", (ull)most);
	/* The ring, its index of 64 bytes a message, and a chunk of each. */
	ok(st.memory <= st.lent + (RING + 1024 * 64) / 16 * 17,
	   "memory is that and the rings (%llu, %llu lent)", (ull)st.memory, (ull)st.lent);
	sp_log_intact(t);
	/* In another order, so that pages come back here and there. */
	for (i = 0; i < 64; i++) {
		int k = i * 37 % 64;

		sp_expect(p[k][0], from[k], len[k]);
		expect_eq(file_readable(p[k][0]), 0);
		for (end = pos + 5000; pos < end; pos += 1000)
			sp_put(w, pos, 1000);
	}
	sp_lent_returns(t);
	sp_log_intact(t);
	/* And then it lends again. */
	expect_eq(file_stat(r).lost_messages, 0);
}

/*
 * Whoever gets a reference to the oldest page before the tail has passed it keeps its
 * bytes, however close the writer is. Messages of two pages: each write evicts one.
 */
TEST(oldest, "D.26: pages of the oldest message, taken while it is being evicted, stay what they were")
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 64);
	int r = topic_open(t, "", O_RDONLY | O_NONBLOCK), p[2], batch, n;
	unsigned int tries = 0;
	volatile bool *stop = shared_alloc(sizeof(*stop));
	uint64_t at[16], taken = 0, end = deadline(SOON);
	pid_t pid;

	sp_pipe(p, 1 << 20);
	pid = sp_fork();
	if (!pid) {
		int w = topic_open(t, "", O_WRONLY);

		for (uint64_t pos = 0; !*stop; pos += 8192) {
			sp_put(w, pos, 8192);
			usleep(1000);
		}
		_exit(0);
	}
	for (batch = 0; batch < 12 && !failures() && now_ns() < end; batch++) {
		uint64_t last = 0;

		for (n = 0; n < 16 && now_ns() < end;) {
			loff_t off = file_stat(r).tail_position;

			if ((uint64_t)off == last) {
				sched_yield();
				continue;
			}
			last = off;
			/* Some at once, some when the writer may be at it again. */
			if (tries++ % 8)
				usleep(tries % 8 * 300);
			at[n] = off;
			if (splice(r, &off, p[1], NULL, 64, SPLICE_F_NONBLOCK) == 64)
				n++;
			else
				need_eq(errno, ENOBUFS);
		}
		/* They are written over, if they are, within a lap. */
		if (n)
			wait_until(file_stat(r).tail_position > at[n - 1] + RING, SOON);
		for (int i = 0; i < n; i++)
			sp_expect(p[0], at[i], 64);
		taken += n;
	}
	*stop = true;
	child_ok(pid, SOON);
	note("%llu pages taken, %llu messages", (ull)taken, (ull)topic_counters(t).messages_in);
	ok(taken >= 16, "pages were taken");
	sp_lent_returns(t);
}

/* The same a chunk at a time, so that each replaced chunk is one that is held. */
TEST(cap_exact, "E.29: the cap is exact: lent never exceeds twice the ring")
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 1024);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[100][2], i;
	uint64_t most = 0, lent;

	for (i = 0; i < 100; i++) {
		sp_put(w, i * 4096, 4096);
		sp_pipe(p[i], 4096);
		expect_ret(sp_splice_nb(r, p[i][1], 4096), 4096);
		lent = topic_counters(t).lent;
		most = lent > most ? lent : most;
	}
	note("lent at most %llu bytes", (ull)most);
	ok(most >= RING && most <= 2 * RING, "lent is at most twice the ring (%llu)", (ull)most);
	for (i = 0; i < 100; i++)
		sp_expect(p[i][0], i * 4096, 4096);
	sp_lent_returns(t);
	sp_log_intact(t);
}
