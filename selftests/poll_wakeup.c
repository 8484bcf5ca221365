// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 550 */
/* poll and epoll: what is ready, and no wake-up lost. */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "mqtest.h"

static int revents(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLPRI, 0 };

	need(poll(&p, 1, 0) >= 0);
	return p.revents & (POLLIN | POLLOUT | POLLPRI | POLLERR | POLLHUP);
}

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

TEST(poll_ready, "IN when there is something to read, OUT when a message fits, by open mode")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int rw = topic_open(t, "", O_RDWR);
	char got[16];

	expect_eq(revents(wr), POLLOUT);
	expect_eq(revents(rd), 0);
	expect_eq(revents(rw), POLLOUT);
	put(wr, "ab");
	expect_eq(revents(wr), POLLOUT);
	expect_eq(revents(rd), POLLIN);
	expect_eq(revents(rw), POLLIN | POLLOUT);
	need_ret(read(rd, got, 1), 1);
	expect_eq(revents(rd), POLLIN);	/* the rest of a message */
	need_ret(read(rd, got, 1), 1);
	expect_eq(revents(rd), 0);
	need_eq(lseek(rd, 0, SEEK_SET), 0);
	expect_eq(revents(rd), POLLIN);
	need(lseek(rw, 0, SEEK_END) == 2);
	expect_eq(revents(rw), POLLOUT);
}

TEST(poll_end, "an until=end file is readable at its end: a read returns 0 at once")
{
	const char *t = topic_new();

	expect_eq(revents(topic_open(t, "+until=end", O_RDONLY)) & POLLIN, POLLIN);
}

TEST(poll_deleted, "HUP when the topic is deleted, and what is retained can still be read")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct pollfd p = { topic_open(t, "+from=newest", O_RDONLY), POLLIN, 0 };
	char got[16];

	put(wr, "last");
	need_eq(topic_del(t), 0);
	expect_ret(poll(&p, 1, SOON * 1000), 1);
	expect(revents(rd) & POLLHUP);
	expect(revents(rd) & POLLIN);
	expect(revents(wr) & POLLHUP);
	expect_err(write(wr, "x", 1), ENODEV);
	expect_mem(got, read(rd, got, sizeof(got)), "last", 4);
	expect_err(read(rd, got, sizeof(got)), ENODEV);
	expect(revents(rd) & POLLHUP);
}

static long do_poll(void *arg)
{
	struct pollfd p = { *(int *)arg, POLLIN, 0 };

	poll(&p, 1, -1);
	return p.revents;
}

TEST(poll_deleted_waiting, "D.20: a poll that waits returns when the topic is deleted")
{
	const char *t = topic_new();
	static int fd;
	struct async a, b;
	char got[8];

	fd = topic_open(t, "", O_RDONLY);
	async_start(&a, do_poll, &fd);
	async_read(&b, topic_open(t, "", O_RDONLY), got, sizeof(got));
	expect_waits(&a);
	expect_waits(&b);
	need_eq(topic_del(t), 0);
	need(async_end(&a, SOON));
	expect(a.ret & POLLHUP);
	need(async_end(&b, SOON));
	expect_eq(b.error, ENODEV);
}

TEST(poll_several, "a file of several partitions is readable when any of them has something")
{
	const char *t = topic_new(.partitions = 3);
	int rd = topic_open(t, "", O_RDONLY), one = topic_open(t, "@1", O_RDONLY);
	char got[16];

	expect_eq(revents(rd), 0);
	put(topic_open(t, "@2", O_WRONLY), "x");
	expect_eq(revents(rd), POLLIN);
	expect_eq(revents(one), 0);
	need_ret(read(rd, got, sizeof(got)), 1);
	expect_eq(revents(rd), 0);
}

TEST(poll_partition, "who waits on one partition's file, in read or in poll, is woken by a message to it")
{
	const char *t = topic_new(.partitions = 2);
	int wr = topic_open(t, "@1", O_WRONLY);
	static int fd;
	struct async a, b;
	char got[8];

	fd = topic_open(t, "@1", O_RDONLY);
	async_start(&a, do_poll, &fd);
	async_read(&b, topic_open(t, "@1", O_RDONLY), got, sizeof(got));
	expect_waits(&a);
	expect_waits(&b);
	put(wr, "x");
	need(async_end(&a, SOON));
	expect_eq(a.ret, POLLIN);
	need(async_end(&b, SOON));
	expect_eq(b.ret, 1);
}

static int ep_new(int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	need(ep >= 0);
	need_ret(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	return ep;
}

static int ep_count(int ep, int ms)
{
	struct epoll_event e[8];

	return epoll_wait(ep, e, 8, ms);
}

TEST(epoll_level, "D.24: epoll, level: reported as long as it is readable")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int ep = ep_new(rd, EPOLLIN);
	char got[16];

	expect_eq(ep_count(ep, 0), 0);
	put(wr, "x");
	for (int i = 0; i < 3; i++)
		expect_eq(ep_count(ep, SOON * 1000), 1);
	need_ret(read(rd, got, sizeof(got)), 1);
	expect_eq(ep_count(ep, 0), 0);
}

TEST(epoll_edge, "D.24: epoll, edge: once per arrival, again with the next message")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int ep = ep_new(rd, EPOLLIN | EPOLLET);

	for (int i = 0; i < 3; i++) {
		put(wr, "x");
		expect_eq(ep_count(ep, SOON * 1000), 1);
		expect_eq(ep_count(ep, 20), 0);
	}
}

TEST(epoll_oneshot, "D.24: epoll, one-shot: once, until armed again")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int ep = ep_new(rd, EPOLLIN | EPOLLONESHOT);
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };

	put(wr, "x");
	expect_eq(ep_count(ep, SOON * 1000), 1);
	put(wr, "y");
	expect_eq(ep_count(ep, 20), 0);
	need_ret(epoll_ctl(ep, EPOLL_CTL_MOD, rd, &e), 0);
	expect_eq(ep_count(ep, SOON * 1000), 1);
}

static long do_epoll(void *arg)
{
	return ep_count(*(int *)arg, SOON * 1000);
}

TEST(epoll_exclusive, "D.24: epoll, exclusive: at least one of several waiters is woken, none for ever asleep")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDWR | O_NONBLOCK);
	static int ep[4];
	struct async a[4];
	unsigned int woken = 0;
	char got[16];

	for (int i = 0; i < 4; i++) {
		ep[i] = ep_new(rd, EPOLLIN | EPOLLEXCLUSIVE);
		async_start(&a[i], do_epoll, &ep[i]);
		expect_waits(&a[i]);
	}
	put(wr, "x");
	wait_until(({ woken = 0; for (int i = 0; i < 4; i++) woken += a[i].done; woken; }), SOON);
	/* Whoever slept on sees it as soon as it looks. */
	put(wr, "y");
	put(wr, "z");
	put(wr, "!");
	for (int i = 0; i < 4; i++) {
		if (async_end(&a[i], SOON))
			expect_eq(a[i].ret, 1);
	}
	for (int i = 0; i < 4; i++)
		need_ret(read(rd, got, sizeof(got)), 1);
}

TEST(epoll_exclusive_burst, "D.24: epoll, exclusive: as many messages as waiters, before any of them runs: each is woken")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct sched_param fifo = { .sched_priority = 1 }, other = { 0 };
	static int ep[4];
	struct async a[4];
	cpu_set_t one;

	/* All on one CPU, where they run only when the writer is through. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	need_ret(sched_setaffinity(0, sizeof(one), &one), 0);
	for (int i = 0; i < 4; i++) {
		ep[i] = ep_new(rd, EPOLLIN | EPOLLEXCLUSIVE);
		async_start(&a[i], do_epoll, &ep[i]);
		expect_waits(&a[i]);
	}
	need_ret(sched_setscheduler(0, SCHED_FIFO, &fifo), 0);
	for (int i = 0; i < 4; i++)
		put(wr, "x");
	need_ret(sched_setscheduler(0, SCHED_OTHER, &other), 0);
	for (int i = 0; i < 4; i++) {
		if (async_end(&a[i], SOON))
			expect_eq(a[i].ret, 1);
	}
}

TEST(poll_select, "select(2) works with topics, too")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct timeval tv = { 0, 0 };
	fd_set in;

	FD_ZERO(&in);
	FD_SET(rd, &in);
	expect_ret(select(rd + 1, &in, NULL, NULL, &tv), 0);
	put(wr, "x");
	FD_SET(rd, &in);
	tv.tv_sec = SOON;
	expect_ret(select(rd + 1, &in, NULL, NULL, &tv), 1);
}

/* --- no wake-up lost ------------------------------------------------------------ */

struct flow {
	const char *topic;
	uint32_t messages;
};

/* Bursts of 1 to 32, so that the consumer often sleeps, and the ring is often full. */
static void produce(void *arg)
{
	struct flow *f = arg;
	int fd = topic_open(f->topic, "+format=record", O_WRONLY);
	struct batch *b = batch_new();

	for (uint32_t i = 0; i < f->messages;) {
		batch_reset(b);
		for (uint32_t n = 1 + i * 2654435761U % 32; n && i < f->messages; n--, i++)
			batch_add(b, &i, sizeof(i));
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	}
}

/* All there is: number of messages, checked. At the end -1 and EAGAIN. */
static int take(int fd, uint32_t *next)
{
	static uint64_t buf[4096];
	struct mq_batch *head = (void *)buf;
	const uint32_t *payload;
	ssize_t len = read(fd, buf, sizeof(buf));

	if (len < 0)
		return -1;
	payload = (void *)((char *)(head + 1) + head->count * sizeof(struct mq_entry));
	for (uint32_t i = 0; i < head->count; i++) {
		need_eq(payload[i], *next);
		++*next;
	}
	return head->count;
}

static void run(uint32_t messages, int (*wait)(int fd, int ep), int flags, uint32_t events)
{
	struct flow f = {
		topic_new(.ring_messages = 128, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW)),
		messages
	};
	int fd = topic_open(f.topic, "+format=record", O_RDONLY | flags);
	int ep = events ? ep_new(fd, events) : -1;
	uint32_t next = 0, waits = 0;
	pid_t pid = child_start(produce, &f);

	while (next < messages) {
		if (wait) {
			waits++;
			if (wait(fd, ep) != 1) {
				struct partition_info p = partition_state(f.topic, 0);

				fail("no wake-up in %d s: at %u, the log at %llu, %u writers wait",
				     SOON, next, (unsigned long long)p.head_offset,
				     p.stats.writers_waiting);
				return;
			}
		}
		while (next < messages && take(fd, &next) > 0 && wait)
			;
		if (next < messages && wait)
			need_eq(errno, EAGAIN);
	}
	expect(child_ok(pid, SOON));
	expect_eq(file_stat(fd).lost_messages, 0);
	note("%u messages, %u waits", next, waits);
}

static int wait_poll(int fd, int ep)
{
	struct pollfd p = { fd, POLLIN, 0 };

	(void)ep;
	return poll(&p, 1, SOON * 1000);
}

static int wait_epoll(int fd, int ep)
{
	(void)fd;
	return ep_count(ep, SOON * 1000);
}

TEST_LIMIT(wake_read, "D.24: 400,000 messages to a consumer that sleeps in read: no wake-up lost", 150)
{
	run(400000, NULL, 0, 0);
}

/* A ring of few messages: the writers wait for room nearly always, the reader for them. */
#define CROWD		16
#define CROWD_MESSAGES	10000

static void crowd_write(void *arg)
{
	int fd = topic_open(arg, "", O_WRONLY);
	char m[512] = "";

	for (int i = 0; i < CROWD_MESSAGES; i++)
		need_ret(write(fd, m, sizeof(m)), sizeof(m));
}

TEST_LIMIT(wake_crowd, "D.24: writers that wait for room and a reader that waits for them: none sleeps for ever", 150)
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = topic_open(t, "+format=record", O_RDONLY);
	static uint64_t buf[2048];
	const struct mq_batch *batch = (void *)buf;
	pid_t writer[CROWD];

	for (int i = 0; i < CROWD; i++)
		writer[i] = child_start(crowd_write, (void *)t);
	for (uint32_t seen = 0; seen < CROWD * CROWD_MESSAGES; seen += batch->count)
		need(read(fd, buf, sizeof(buf)) > 0);
	for (int i = 0; i < CROWD; i++)
		expect(child_ok(writer[i], SOON));
}

TEST_LIMIT(wake_poll, "D.24: 300,000 messages to a consumer that sleeps in poll: no wake-up lost", 150)
{
	run(300000, wait_poll, O_NONBLOCK, 0);
}

TEST_LIMIT(wake_edge, "D.24: 300,000 messages to a consumer that sleeps in epoll, edge-triggered: no wake-up lost", 150)
{
	run(300000, wait_epoll, O_NONBLOCK, EPOLLIN | EPOLLET);
}

TEST_LIMIT(wake_out, "D.24: a producer that sleeps in epoll for OUT, edge-triggered: no wake-up lost", 150)
{
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int rd = topic_open(t, "", O_RDONLY);
	enum { N = 20000 };
	char got[2048];
	pid_t pid = fork();

	if (!pid) {
		int wr = topic_open(t, "", O_WRONLY | O_NONBLOCK);
		int ep = ep_new(wr, EPOLLOUT | EPOLLET);
		static char buf[1024];

		for (uint32_t i = 0; i < N;) {
			memcpy(buf, &i, sizeof(i));
			if (write(wr, buf, sizeof(buf)) == sizeof(buf)) {
				i++;
			} else if (errno != EAGAIN || ep_count(ep, SOON * 1000) != 1) {
				fail("no wake-up for room at %u", i);
				_exit(1);
			}
		}
		_exit(0);
	}
	for (uint32_t i = 0; i < N; i++) {
		uint32_t n;

		need_ret(read(rd, got, sizeof(got)), 1024);
		memcpy(&n, got, sizeof(n));
		need_eq(n, i);
	}
	expect(child_ok(pid, SOON));
}
