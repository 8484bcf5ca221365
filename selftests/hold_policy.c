// SPDX-License-Identifier: GPL-2.0
/* A ring full of held messages: block, reject, drop-oldest; pause. */
#define _GNU_SOURCE
#include <poll.h>

#include "mqtest.h"

/* 4 messages of 1 KiB fill the data ring exactly. */
#define FULL	4
#define KIB	1024

static char kib[1025];

struct held {
	const char *topic;
	int wr, rd;
};

/*
 * A topic whose messages are held, full: persistent without a store, or
 * hold=readers with one reader at the start.
 */
static struct held held_topic(bool persistent, uint32_t overflow)
{
	struct held h;

	h.topic = topic_new(.ring_bytes = 4096, .persistent = persistent, .overflow = overflow,
			    .set = MQT(OVERFLOW), .hold = persistent ? 0 : MQ_HOLD_READERS);
	h.wr = topic_open(h.topic, "", O_WRONLY | O_NONBLOCK);
	h.rd = topic_open(h.topic, "", O_RDONLY | O_NONBLOCK);
	for (int i = 0; i < FULL; i++) {
		pattern_fill(kib, KIB, i);
		need_ret(write(h.wr, kib, KIB), KIB);
	}
	return h;
}

static void expect_message(int rd, uint64_t n)
{
	char got[2048];
	ssize_t len = read(rd, got, sizeof(got));

	if (expect_eq(len, 1024) && !pattern_ok(got, len, n))
		fail("not message %llu", (unsigned long long)n);
}

TEST(hold_default, "default: block on a persistent topic, drop-oldest on others, hold nothing")
{
	struct topic_info info;

	need_eq(topic_get(topic_new(.persistent = 1), &info), 0);
	expect_eq(info.o.overflow, MQ_OVERFLOW_BLOCK);
	expect_eq(info.o.hold, 0);
	need_eq(topic_get(topic_new(.persistent = 0), &info), 0);
	expect_eq(info.o.overflow, MQ_OVERFLOW_DROP_OLDEST);
	expect_eq(info.o.hold, 0);
}

TEST(hold_block_nonblock, "overflow=block: EAGAIN if non-blocking, nothing appended, nothing lost")
{
	for (int persistent = 0; persistent < 2; persistent++) {
		struct held h = held_topic(persistent, MQ_OVERFLOW_BLOCK);
		struct topic_stats s;

		for (int i = 0; i < 3; i++)
			expect_err(write(h.wr, kib, KIB), EAGAIN);
		expect_err(write(h.wr, "x", 1), EAGAIN);
		expect_ret(write(h.wr, "", 0), 0);
		expect_err(write(h.wr, kib, 1025), EMSGSIZE);
		s = topic_counters(h.topic);
		expect_eq(s.messages_in, FULL);
		expect_eq(s.evicted, 0);
		expect_eq(s.dropped_held, 0);
		expect_eq(s.rejected, 0);
		for (int i = 0; i < FULL; i++)
			expect_message(h.rd, i);
	}
}

TEST(hold_reject, "overflow=reject: ENOBUFS, blocking or not, counted, nothing lost")
{
	for (int persistent = 0; persistent < 2; persistent++) {
		struct held h = held_topic(persistent, MQ_OVERFLOW_REJECT);
		int blocking = topic_open(h.topic, "", O_WRONLY);
		struct topic_stats s;

		for (int i = 0; i < 3; i++)
			expect_err(write(h.wr, kib, KIB), ENOBUFS);
		expect_err(write(blocking, "x", 1), ENOBUFS);
		s = topic_counters(h.topic);
		expect_eq(s.rejected, 4);
		expect_eq(s.messages_in, FULL);
		expect_eq(s.evicted, 0);
		expect_eq(s.dropped_held, 0);
		for (int i = 0; i < FULL; i++)
			expect_message(h.rd, i);
	}
}

TEST(hold_drop_oldest, "overflow=drop-oldest: held messages go, counted, and the reader is told")
{
	for (int persistent = 0; persistent < 2; persistent++) {
		struct held h = held_topic(persistent, MQ_OVERFLOW_DROP_OLDEST);
		struct topic_stats s;
		char got[2048];

		for (int i = FULL; i < FULL + 3; i++) {
			pattern_fill(kib, KIB, i);
			need_ret(write(h.wr, kib, KIB), KIB);
		}
		s = topic_counters(h.topic);
		expect_eq(s.dropped_held, 3);
		expect_eq(s.evicted, 3);
		expect_eq(s.messages_in, FULL + 3);
		expect_eq(s.rejected, 0);
		expect_err(read(h.rd, got, sizeof(got)), ENOBUFS);
		expect_eq(file_stat(h.rd).lost_messages, 3);
		for (int i = 3; i < FULL + 3; i++)
			expect_message(h.rd, i);
	}
}

TEST(hold_nothing, "when nothing is held the oldest goes, whatever overflow says")
{
	for (uint32_t overflow = 0; overflow <= MQ_OVERFLOW_DROP_OLDEST; overflow++) {
		const char *t = topic_new(.ring_bytes = 4096, .overflow = overflow,
					  .set = MQT(OVERFLOW));
		int fd = topic_open(t, "", O_WRONLY | O_NONBLOCK);
		int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
		struct topic_stats s;
		char got[2048];

		for (int i = 0; i < 20; i++)
			need_ret(write(fd, kib, KIB), KIB);
		s = topic_counters(t);
		expect_eq(s.evicted, 16);
		expect_eq(s.dropped_held, 0);
		expect_eq(s.rejected, 0);
		expect_err(read(rd, got, sizeof(got)), ENOBUFS);
		expect_eq(file_stat(rd).lost_messages, 16);
	}
}

TEST(hold_messages, "the index is a limit of its own: ring_messages fit, one more does not")
{
	const char *t = topic_new(.ring_messages = 64, .persistent = 1);
	int fd = topic_open(t, "", O_WRONLY | O_NONBLOCK);

	for (int i = 0; i < 64; i++)
		need_ret(write(fd, "x", 1), 1);
	expect_err(write(fd, "x", 1), EAGAIN);
	expect_eq(partition_state(t, 0).head_offset, 64);
	expect_eq(partition_state(t, 0).held_offset, 0);
	expect_eq(partition_state(t, 0).durable_offset, 0);
}

TEST(hold_attrs, "the attribute ring is a limit of its own")
{
	const char *t = topic_new(.attr_bytes = 4096, .persistent = 1);
	int fd = topic_open(t, "+format=record", O_WRONLY | O_NONBLOCK);
	int plain = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	char key[1020];
	struct batch *b = batch_new();

	memset(key, 'k', sizeof(key));
	batch_add(b, "x", 1);
	batch_attr(b, MQ_ATTR_KEY, key, sizeof(key));	/* 1,024 with its header */
	for (int i = 0; i < 4; i++)
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EAGAIN);
	expect_ret(write(plain, "x", 1), 1);	/* needs none */
	expect_eq(partition_state(t, 0).head_offset, 5);
	batch_reset(b);
	batch_add(b, "x", 1);
	batch_attr(b, MQ_ATTR_KEY, key, sizeof(key));
	batch_attr(b, MQ_ATTR_TAG, "t", 1);
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EMSGSIZE);	/* over a quarter */
}

TEST(hold_block_read, "overflow=block: a waiting writer goes on when the reader reads")
{
	struct held h = held_topic(false, MQ_OVERFLOW_BLOCK);
	int wr = topic_open(h.topic, "", O_WRONLY);
	static char buf[1024];
	struct async a;

	pattern_fill(buf, sizeof(buf), FULL);
	async_write(&a, wr, buf, sizeof(buf));
	expect_waits(&a);
	expect_eq(topic_counters(h.topic).writers_waiting, 1);
	expect_message(h.rd, 0);
	/* What was returned by the last read is read; the next call shows it. */
	expect_message(h.rd, 1);
	need(async_end(&a, SOON));
	expect_eq(a.ret, 1024);
	for (int i = 2; i <= FULL; i++)
		expect_message(h.rd, i);
	expect_eq(topic_counters(h.topic).writers_waiting, 0);
	expect_eq(topic_counters(h.topic).dropped_held, 0);
	expect_eq(file_stat(h.rd).lost_messages, 0);
}

TEST(hold_block_many, "overflow=block: many waiting writers all get through, in whole messages")
{
	struct held h = held_topic(false, MQ_OVERFLOW_BLOCK);
	static char buf[16][1024];
	unsigned int seen = 0;
	struct async a[16];
	char got[2048];

	for (int i = 0; i < 16; i++) {
		pattern_fill(buf[i], 1024, 100 + i);
		async_write(&a[i], topic_open(h.topic, "", O_WRONLY), buf[i], 1024);
	}
	for (int i = 0; i < 16; i++)
		expect_waits(&a[i]);
	for (int i = 0; i < FULL; i++)
		expect_message(h.rd, i);
	for (int i = 0; i < 16; i++) {
		struct pollfd p = { h.rd, POLLIN, 0 };
		unsigned int k;

		need_ret(poll(&p, 1, SOON * 1000), 1);
		need_ret(read(h.rd, got, sizeof(got)), 1024);
		for (k = 0; k < 16 && memcmp(got, buf[k], 1024); k++)
			;
		need(k < 16 && !(seen & 1U << k));
		seen |= 1U << k;
	}
	for (int i = 0; i < 16; i++) {
		if (async_end(&a[i], SOON))
			expect_eq(a[i].ret, 1024);
	}
}

TEST(hold_block_set, "overflow=block: topic set to another policy wakes the waiting writer")
{
	for (int persistent = 0; persistent < 2; persistent++) {
		struct held h = held_topic(persistent, MQ_OVERFLOW_BLOCK);
		int wr = topic_open(h.topic, "", O_WRONLY);
		struct async a;

		async_write(&a, wr, kib, KIB);
		expect_waits(&a);
		need(topic_set(h.topic, .overflow = MQ_OVERFLOW_REJECT));
		need(async_end(&a, SOON));
		expect_eq(a.ret, -1);
		expect_eq(a.error, ENOBUFS);
		need(topic_set(h.topic, .set = MQT(OVERFLOW)));	/* block again */
		async_write(&a, wr, kib, KIB);
		expect_waits(&a);
		need(topic_set(h.topic, .overflow = MQ_OVERFLOW_DROP_OLDEST));
		need(async_end(&a, SOON));
		expect_eq(a.ret, 1024);
		expect_eq(topic_counters(h.topic).dropped_held, 1);
	}
}

TEST(hold_off, "hold=readers taken away wakes the waiting writer; the oldest goes uncounted as held")
{
	struct held h = held_topic(false, MQ_OVERFLOW_BLOCK);
	int wr = topic_open(h.topic, "", O_WRONLY);
	struct async a;

	async_write(&a, wr, kib, KIB);
	expect_waits(&a);
	need(topic_set(h.topic, .set = MQT(HOLD)));
	need(async_end(&a, SOON));
	expect_eq(a.ret, 1024);
	expect_eq(topic_counters(h.topic).dropped_held, 0);
	expect_eq(topic_counters(h.topic).evicted, 1);
}

TEST(hold_block_delete, "D.20: overflow=block: deleting the topic ends the waiting write with ENODEV")
{
	for (int persistent = 0; persistent < 2; persistent++) {
		struct held h = held_topic(persistent, MQ_OVERFLOW_BLOCK);
		int wr = topic_open(h.topic, "", O_WRONLY);
		struct async a;

		async_write(&a, wr, kib, KIB);
		expect_waits(&a);
		need_eq(topic_del(h.topic), 0);
		need(async_end(&a, SOON));
		expect_eq(a.ret, -1);
		expect_eq(a.error, ENODEV);
		for (int i = 0; i < FULL; i++)
			expect_message(h.rd, i);
		expect_err(read(h.rd, kib, 1), ENODEV);
	}
}

TEST(hold_block_signal, "overflow=block: a signal ends the wait before anything was appended")
{
	struct held h = held_topic(true, MQ_OVERFLOW_BLOCK);
	int wr = topic_open(h.topic, "", O_WRONLY);
	struct async a;
	pid_t pid;

	async_write(&a, wr, kib, KIB);
	expect_waits(&a);
	async_signal(&a);
	need(async_end(&a, SOON));
	expect_eq(a.ret, -1);
	expect_eq(a.error, EINTR);
	expect_eq(topic_counters(h.topic).messages_in, FULL);
	expect_eq(topic_counters(h.topic).writers_waiting, 0);
	pid = fork();
	if (!pid) {
		write(wr, kib, KIB);
		_exit(0);
	}
	need(sleeps_in(pid, -1, SOON));
	kill(pid, SIGKILL);
	expect_eq(child_wait(pid, SOON), SIGKILL);
	expect_eq(topic_counters(h.topic).messages_in, FULL);
}

TEST(hold_poll_out, "poll says OUT while a message of max_message_bytes fits, and wakes when room comes")
{
	struct held h = held_topic(false, MQ_OVERFLOW_BLOCK);
	struct pollfd p = { h.wr, POLLOUT, 0 };

	expect_ret(poll(&p, 1, 0), 0);
	expect_message(h.rd, 0);
	expect_message(h.rd, 1);
	expect_ret(poll(&p, 1, SOON * 1000), 1);
	expect_eq(p.revents, POLLOUT);
	need_ret(write(h.wr, kib, 1), 1);	/* one KiB may be free still, not surely more */
	for (int i = 0; i < 2 && write(h.wr, kib, KIB) > 0; i++)
		;
	expect_ret(poll(&p, 1, 0), 0);
	need(topic_set(h.topic, .overflow = MQ_OVERFLOW_DROP_OLDEST));
	expect_ret(poll(&p, 1, SOON * 1000), 1);
}

TEST(hold_poll_stamp, "poll does not say OUT while the kernel's own attributes find no room")
{
	const char *t = topic_new(.attr_bytes = 4096, .hold = MQ_HOLD_READERS,
				  .stamp = MQ_STAMP_UID | MQ_STAMP_CGROUP,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int wr = topic_open(t, "", O_WRONLY | O_NONBLOCK), rd = topic_open(t, "", O_RDONLY);
	struct pollfd p = { wr, POLLOUT, 0 };
	int n = 0;

	expect_ret(poll(&p, 1, 0), 1);
	while (write(wr, "x", 1) == 1)
		n++;
	expect_eq(errno, EAGAIN);
	expect_eq(n, 4096 / 20);
	expect_ret(poll(&p, 1, 0), 0);
	need_ret(read(rd, kib, 1), 1);
	expect_ret(poll(&p, 1, 0), 1);
	expect_eq(p.revents, POLLOUT);
	expect_ret(write(wr, "x", 1), 1);
	expect_ret(poll(&p, 1, 0), 0);
	for (int i = 0; i < n; i++)
		need_ret(read(rd, kib, 1), 1);
	expect_ret(poll(&p, 1, 0), 1);
}

TEST(pause_all, "pause: EAGAIN or a wait under every overflow policy; resume wakes")
{
	for (uint32_t overflow = 0; overflow <= MQ_OVERFLOW_DROP_OLDEST; overflow++) {
		const char *t = topic_new(.overflow = overflow, .set = MQT(OVERFLOW));
		int wr = topic_open(t, "", O_WRONLY), nb = topic_open(t, "", O_WRONLY | O_NONBLOCK);
		int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
		struct pollfd p = { nb, POLLOUT, 0 };
		char got[64];
		struct async a;

		need_ret(write(nb, "before", 6), 6);
		need(topic_set(t, .paused = 1));
		expect_err(write(nb, "x", 1), EAGAIN);
		expect_ret(poll(&p, 1, 0), 0);
		expect(file_stat(rd).flags & MQ_STAT_PAUSED);
		async_write(&a, wr, "after", 5);
		expect_waits(&a);
		expect_eq(topic_counters(t).rejected, 0);
		expect_eq(topic_counters(t).writers_waiting, 1);
		expect_mem(got, read(rd, got, sizeof(got)), "before", 6);	/* reading goes on */
		expect_err(read(rd, got, sizeof(got)), EAGAIN);
		need(topic_set(t, .set = MQT(PAUSED)));
		need(async_end(&a, SOON));
		expect_eq(a.ret, 5);
		expect_ret(poll(&p, 1, SOON * 1000), 1);
		expect_mem(got, read(rd, got, sizeof(got)), "after", 5);
		/* A pause ends by deletion, too. */
		need(topic_set(t, .paused = 1));
		async_write(&a, wr, "never", 5);
		expect_waits(&a);
		need_eq(topic_del(t), 0);
		need(async_end(&a, SOON));
		expect_eq(a.error, ENODEV);
	}
}

TEST(pause_created, "a topic can be created paused")
{
	const char *t = topic_new(.paused = 1);
	int fd = topic_open(t, "", O_WRONLY | O_NONBLOCK);

	expect_err(write(fd, "x", 1), EAGAIN);
	need(topic_set(t, .set = MQT(PAUSED)));
	expect_ret(write(fd, "x", 1), 1);
}
