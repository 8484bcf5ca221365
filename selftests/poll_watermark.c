// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 400 */
/* Watermarks: woken when enough is there, or late enough, and no wake-up lost. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/epoll.h>

#include "mqtest.h"

#define HOUR_NS	(3600 * 1000000000ULL)

static int mark(int fd, uint64_t bytes, uint64_t messages, uint64_t delay)
{
	struct mq_watermark m = { .size = sizeof(m), .bytes = bytes, .messages = messages,
				  .delay = delay };

	return ioctl(fd, MQ_IOC_WATERMARK, &m);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN);
}

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

TEST(mark_limits, "A.6: nonsense is EINVAL, and a file that is not read has none")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int rd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY);
	struct mq_watermark m = { .size = sizeof(m), .reserved = 1 };

	expect_err(mark(wr, 1, 0, 1), EBADF);
	expect_err(mark(rd, 1, 0, 0), EINVAL);
	expect_err(mark(rd, 0, 0, 1), EINVAL);
	expect_err(mark(rd, 16385, 0, 1), EINVAL);
	expect_err(mark(rd, 0, 8193, 1), EINVAL);
	expect_err(mark(rd, 1, 0, HOUR_NS + 1), EINVAL);
	expect_err(ioctl(rd, MQ_IOC_WATERMARK, &m), EINVAL);
	expect_ret(mark(rd, 16384, 8192, HOUR_NS), 0);
	expect_ret(mark(rd, 0, 0, 0), 0);
}

TEST(mark_poll, "poll: IN when so many bytes, or so many messages, are unread")
{
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY);
	char got[16];

	need_ret(mark(rd, 6, 3, HOUR_NS), 0);
	put(wr, "a");
	put(wr, "b");
	expect(!readable(rd, 0));
	put(wr, "c");
	expect(readable(rd, 0));
	need_ret(read(rd, got, sizeof(got)), 1);
	expect(!readable(rd, 0));
	put(wr, "defg");
	expect(readable(rd, 0));
	need_ret(mark(rd, 0, 1000, HOUR_NS), 0);
	expect(!readable(rd, 0));
	need_ret(mark(rd, 0, 0, 0), 0);
	expect(readable(rd, 0));
}

TEST(mark_nonblock, "with O_NONBLOCK a read gives what is there; what was read in part is not waited for")
{
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), nb = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int wr = topic_open(t, "", O_WRONLY);
	char got[16];

	need_ret(mark(nb, 0, 100, HOUR_NS), 0);
	put(wr, "ab");
	expect_mem(got, read(nb, got, sizeof(got)), "ab", 2);
	need_ret(read(rd, got, 1), 1);
	need_ret(mark(rd, 0, 100, HOUR_NS), 0);
	expect_mem(got, read(rd, got, sizeof(got)), "b", 1);
}

static long do_poll(void *arg)
{
	return readable(*(int *)arg, SOON * 1000);
}

/* Waits in read, or in poll, until the third message. */
static void waits_for_three(int rd, int wr, bool polls)
{
	struct async a;
	char got[16];

	if (polls)
		async_start(&a, do_poll, &rd);
	else
		async_read(&a, rd, got, sizeof(got));
	expect_waits(&a);
	put(wr, "1");
	put(wr, "2");
	expect_waits(&a);
	expect(!a.done);
	put(wr, "3");
	need(async_end(&a, SOON));
	expect_eq(a.ret, 1);
}

TEST(mark_sleepers, "who sleeps in read or poll is woken by the message that makes it enough")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY);

	for (int polls = 0; polls < 2; polls++) {
		int rd = topic_open(t, "+from=newest", O_RDONLY);

		need_ret(mark(rd, 0, 3, HOUR_NS), 0);
		waits_for_three(rd, wr, polls);
	}
}

TEST(mark_time, "less is enough once the first unread message is old enough: read, poll, epoll set up before")
{
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY), ep;
	struct epoll_event ev = { .events = EPOLLIN };
	uint64_t begin;
	char got[16];

	need((ep = epoll_create1(0)) >= 0);
	need_ret(epoll_ctl(ep, EPOLL_CTL_ADD, rd, &ev), 0);
	need_ret(mark(rd, 0, 1000, 200000000), 0);
	for (int i = 0; i < 3; i++) {
		begin = now_ns();
		put(wr, "x");
		if (i == 1)
			expect(readable(rd, SOON * 1000));
		else if (i == 2)
			expect_ret(epoll_wait(ep, &ev, 1, SOON * 1000), 1);
		need_ret(read(rd, got, sizeof(got)), 1);
		expect(now_ns() - begin >= 200000000);
	}
}

static void set_clock(int seconds)
{
	struct timespec ts;

	need_ret(clock_gettime(CLOCK_REALTIME, &ts), 0);
	ts.tv_sec += seconds;
	need_ret(clock_settime(CLOCK_REALTIME, &ts), 0);
}

TEST(mark_clock, "a clock that is set back does not lengthen the wait")
{
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY);
	struct async a;
	char got[16];

	need_ret(mark(rd, 0, 1000, 2000000000), 0);
	put(wr, "x");
	async_read(&a, rd, got, sizeof(got));
	sleep_ms(100);
	set_clock(-1800);
	async_end(&a, SOON);
	set_clock(1800);
	expect_eq(a.ret, 1);
}

TEST(mark_end, "what cannot grow is not waited for: deleted, until=end, writers that wait")
{
	const char *t = topic_new(), *full = topic_new(.ring_bytes = 4096,
						       .hold = MQ_HOLD_READERS);
	int rd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY), end, held;
	static char big[1000], got[1000];
	struct async a;

	put(wr, "x");
	end = topic_open(t, "+until=end", O_RDONLY);
	need_ret(mark(rd, 0, 100, HOUR_NS), 0);
	need_ret(mark(end, 0, 100, HOUR_NS), 0);
	expect_ret(read(end, got, sizeof(got)), 1);
	expect_ret(read(end, got, sizeof(got)), 0);
	async_read(&a, rd, got, sizeof(got));
	expect_waits(&a);
	need_eq(topic_del(t), 0);
	need(async_end(&a, SOON));
	expect_eq(a.ret, 1);

	/* A quarter of the bytes is enough, too. */
	held = topic_open(full, "", O_RDONLY);
	wr = topic_open(full, "", O_WRONLY);
	need_ret(mark(held, 0, 1000, HOUR_NS), 0);
	async_read(&a, held, got, sizeof(got));
	expect_waits(&a);
	put(wr, "x");
	expect_waits(&a);
	need_ret(write(wr, big, sizeof(big)), sizeof(big));
	need_ret(write(wr, big, 23), 23);
	need(async_end(&a, SOON));
	expect_eq(a.ret, 1);
}

static long do_write(void *arg)
{
	return write(*(int *)arg, "w", 1);
}

TEST(mark_writers, "a reader does not wait for more while writers wait")
{
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY);
	struct async reader, writer;
	char got[16];

	need_ret(mark(rd, 0, 1000, HOUR_NS), 0);
	put(wr, "x");
	async_read(&reader, rd, got, sizeof(got));
	expect_waits(&reader);
	need(topic_set(t, .paused = 1));
	expect_waits(&reader);
	async_start(&writer, do_write, &wr);
	need(async_end(&reader, SOON));
	expect_eq(reader.ret, 1);
	need(topic_set(t, .set = MQT(PAUSED)));
	need(async_end(&writer, SOON));
}

static void part(const char *t, unsigned int n, const char *text)
{
	char at[16];
	int fd;

	snprintf(at, sizeof(at), "@%u", n);
	fd = topic_open(t, at, O_WRONLY);
	put(fd, text);
	close(fd);
}

TEST(mark_partitions, "several partitions: bytes and messages of all of them count together")
{
	const char *t = topic_new(.partitions = 4);
	int rd = topic_open(t, "", O_RDONLY), one = topic_open(t, "@2", O_RDONLY);
	char got[16];

	need_ret(mark(rd, 0, 4, HOUR_NS), 0);
	need_ret(mark(one, 0, 2, HOUR_NS), 0);
	for (unsigned int n = 0; n < 3; n++)
		part(t, n, "x");
	expect(!readable(rd, 0));
	part(t, 3, "x");
	expect(readable(rd, 0));
	/* A file of one partition counts what is in that one. */
	expect(!readable(one, 0));
	part(t, 2, "y");
	expect(readable(one, 0));
	need_ret(mark(rd, 0, 0, 0), 0);
	for (unsigned int n = 0; n < 5; n++)
		need_ret(read(rd, got, sizeof(got)), 1);

	need_ret(mark(rd, 10, 0, HOUR_NS), 0);
	part(t, 1, "four");
	part(t, 3, "five.");
	expect(!readable(rd, 0));
	part(t, 0, "1");
	expect(readable(rd, 0));
}

TEST(mark_partition_sleepers, "the message that makes it enough wakes, in whichever partition it is; a late one, too")
{
	const char *t = topic_new(.partitions = 3);
	uint64_t begin;
	char got[16];

	for (unsigned int i = 0; i < 6; i++) {
		int rd = topic_open(t, "+from=newest", O_RDONLY);
		struct async a;

		need_ret(mark(rd, 0, 3, HOUR_NS), 0);
		if (i & 1)
			async_start(&a, do_poll, &rd);
		else
			async_read(&a, rd, got, sizeof(got));
		expect_waits(&a);
		part(t, i % 3, "1");
		part(t, (i + 1) % 3, "2");
		expect_waits(&a);
		part(t, i / 2 % 3, "3");
		need(async_end(&a, SOON));
		expect_eq(a.ret, 1);
		close(rd);
	}
	for (unsigned int i = 0; i < 3; i++) {
		int rd = topic_open(t, "+from=newest", O_RDONLY);

		need_ret(mark(rd, 0, 100, 200000000), 0);
		begin = now_ns();
		part(t, i, "x");
		expect(readable(rd, SOON * 1000));
		expect(now_ns() - begin >= 200000000);
		close(rd);
	}
}

TEST(mark_partition_added, "a message in a partition that was added while the reader slept is not late")
{
	char got[16];

	for (int polls = 0; polls < 2; polls++) {
		const char *t = topic_new(.partitions = 1);
		int rd = topic_open(t, "", O_RDONLY);
		struct async a;

		need_ret(mark(rd, 0, 1000, 100000000), 0);
		if (polls)
			async_start(&a, do_poll, &rd);
		else
			async_read(&a, rd, got, sizeof(got));
		expect_waits(&a);
		need(topic_set(t, .partitions = 2));
		expect_waits(&a);
		part(t, 1, "x");
		need(async_end(&a, SOON));
		expect_eq(a.ret, 1);
	}
}

/* --- none lost ---------------------------------------------------------------------- */

#define COUNT	250000

static void producer(void *arg)
{
	int wr = topic_open(arg, "", O_WRONLY);

	for (uint32_t i = 0; i < COUNT; i++)
		need_ret(write(wr, &i, sizeof(i)), sizeof(i));
}

/* The bound in time is an hour: a lost wake-up would be seen as a hang, except at the end. */
static void none_lost(bool polls, uint64_t bytes, uint64_t messages)
{
	const char *t = topic_new(.ring_bytes = 65536, .hold = MQ_HOLD_READERS,
				  .set = MQT(OVERFLOW));
	int rd = topic_open(t, "+format=record", O_RDONLY | (polls ? O_NONBLOCK : 0));
	static char buf[65536];
	struct mq_batch *b = (struct mq_batch *)buf;
	unsigned int waits = 0, reads = 0, enough = bytes ? bytes / sizeof(uint32_t) : messages;
	uint32_t next = 0;
	pid_t pid;

	need_ret(mark(rd, bytes, messages, HOUR_NS), 0);
	pid = child_start(producer, (void *)t);
	while (next < COUNT) {
		const uint32_t *got;
		ssize_t len;

		if (COUNT - next <= enough)
			need_ret(mark(rd, 0, 0, 0), 0);
		if (polls) {
			need(readable(rd, SOON * 1000));
			waits++;
		}
		len = read(rd, buf, sizeof(buf));
		need(len > 0);
		reads++;
		got = (uint32_t *)(buf + b->size + b->entries_len + ((b->attrs_len + 7) & ~7ULL));
		for (uint32_t i = 0; i < b->count; i++)
			need_eq(got[i], next++);
	}
	need(child_ok(pid, SOON));
	note("%u messages in %u reads, %u polls", COUNT, reads, waits);
	/* But for the end, and where the writer was blocked, each wake-up brought so much. */
	expect(reads < COUNT / enough * 2 + 2 * enough);
}

TEST_LIMIT(none_lost_read, "D.24: a sleeper in read, so many messages at a time: no wake-up lost", 120)
{
	none_lost(false, 0, 500);
}

TEST_LIMIT(none_lost_read_bytes, "D.24: the same, so many bytes at a time", 120)
{
	none_lost(false, 2048, 0);
}

TEST_LIMIT(none_lost_poll, "D.24: a sleeper in poll, so many messages at a time: no wake-up lost", 120)
{
	none_lost(true, 0, 500);
}

TEST_LIMIT(none_lost_poll_bytes, "D.24: the same, so many bytes at a time", 120)
{
	none_lost(true, 2048, 0);
}

#define PARTS	3

struct parts {
	const char *topic;
	unsigned int n;
};

static void part_producer(void *arg)
{
	const struct parts *p = arg;
	char at[16];
	int wr;

	snprintf(at, sizeof(at), "@%u", p->n);
	wr = topic_open(p->topic, at, O_WRONLY);
	for (uint32_t i = 0; i < COUNT / PARTS; i++)
		need_ret(write(wr, &i, sizeof(i)), sizeof(i));
}

/* As none_lost(), over partitions that are written at the same time. */
TEST_LIMIT(none_lost_partitions, "D.24: a sleeper over several partitions: no wake-up lost, each partition in order", 120)
{
	struct parts p = { topic_new(.ring_bytes = 65536, .hold = MQ_HOLD_READERS,
				     .partitions = PARTS, .set = MQT(OVERFLOW)), 0 };
	int rd = topic_open(p.topic, "+format=record", O_RDONLY);
	uint32_t next[PARTS] = { 0 }, total = 0;
	const uint32_t all = COUNT / PARTS * PARTS;
	static char buf[65536];
	struct mq_batch *b = (struct mq_batch *)buf;
	pid_t pids[PARTS];

	need_ret(mark(rd, 0, 500, HOUR_NS), 0);
	for (p.n = 0; p.n < PARTS; p.n++)
		pids[p.n] = child_start(part_producer, &p);
	while (total < all) {
		const uint32_t *got;

		if (all - total <= 500)
			need_ret(mark(rd, 0, 0, 0), 0);
		need(read(rd, buf, sizeof(buf)) > 0);
		need(b->partition < PARTS);
		got = (uint32_t *)(buf + b->size + b->entries_len + ((b->attrs_len + 7) & ~7ULL));
		for (uint32_t i = 0; i < b->count; i++)
			need_eq(got[i], next[b->partition]++);
		total += b->count;
	}
	for (unsigned int n = 0; n < PARTS; n++)
		need(child_ok(pids[n], SOON));
}
