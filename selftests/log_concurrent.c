// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 450 */
/* Many writers, several readers: exact, in order per writer, one order for all. */
#define _GNU_SOURCE
#include <sched.h>

#include "mqtest.h"

#define WRITERS		64
#define MESSAGES	100000

struct msg {
	uint32_t writer;
	uint32_t number;
	uint64_t check;
};

static uint64_t check_of(uint32_t writer, uint32_t number)
{
	return ((uint64_t)writer << 32 | number) * 0x9e3779b97f4a7c15 + 1;
}

struct writer {
	const char *topic;
	uint32_t number;
	uint32_t messages;
};

static void write_all(void *arg)
{
	struct writer *w = arg;
	int fd = topic_open(w->topic, "", O_WRONLY);

	for (uint32_t i = 0; i < w->messages; i++) {
		struct msg m = { w->number, i, check_of(w->number, i) };

		need_ret(write(fd, &m, sizeof(m)), sizeof(m));
	}
}

static void write_batches(void *arg)
{
	struct writer *w = arg;
	int fd = topic_open(w->topic, "+format=record", O_WRONLY);
	struct batch *b = batch_new();

	for (uint32_t i = 0; i < w->messages;) {
		batch_reset(b);
		for (uint32_t n = 1 + i % 100; n && i < w->messages; n--, i++) {
			struct msg m = { w->number, i, check_of(w->number, i) };

			batch_add(b, &m, sizeof(m));
		}
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	}
}

struct reader {
	const char *topic;
	uint64_t messages;
	uint32_t *next;		/* by writer */
	uint64_t order;		/* hash of all messages in their order */
	uint64_t batches;
};

/*
 * Reads batches (cheap: the entries' fixed size, no CRC here) and checks every
 * message and its writer's order.
 */
static void read_all(struct reader *r, int fd)
{
	static uint64_t buf[1 << 17];
	uint64_t seen = 0, bad = 0;

	while (seen < r->messages) {
		ssize_t len = read(fd, buf, sizeof(buf));
		struct mq_batch *head = (void *)buf;
		const struct mq_entry *e = (void *)(head + 1);
		const struct msg *m;

		if (len < 0) {
			fail("read after %llu messages: %s", (unsigned long long)seen,
			     mqt_errno(errno));
			return;
		}
		m = (void *)(e + head->count);
		if (len != (ssize_t)(sizeof(*head) + head->count * (sizeof(*e) + sizeof(*m)))) {
			fail("a batch of %u in %zd bytes", head->count, len);
			return;
		}
		for (uint32_t i = 0; i < head->count; i++, m++, e++) {
			if (m->writer >= WRITERS || m->check != check_of(m->writer, m->number) ||
			    m->number != r->next[m->writer] || e->offset != seen + i) {
				if (!bad++)
					fail("offset %llu: writer %u number %u, expected %u",
					     (unsigned long long)e->offset, m->writer, m->number,
					     r->next[m->writer % WRITERS]);
				continue;
			}
			r->next[m->writer]++;
			r->order = r->order * 31 + m->check;
		}
		seen += head->count;
		r->batches++;
	}
	expect_eq(bad, 0);
}

TEST_LIMIT(concurrent_64, "64 writers x 100,000 messages: exact, in order per writer, counters exact", 400)
{
	const char *t = topic_new(.ring_bytes = 16 << 20, .ring_messages = 1 << 19,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = topic_open(t, "+format=record", O_RDONLY);
	static uint32_t next[WRITERS];
	struct reader r = { t, (uint64_t)WRITERS * MESSAGES, next, 0, 0 };
	uint64_t began = now_ns();
	struct partition_info p;
	struct writer w[WRITERS];
	pid_t pid[WRITERS];

	for (uint32_t i = 0; i < WRITERS; i++) {
		w[i] = (struct writer) { t, i, MESSAGES };
		/* A quarter one message a call, the others in batches of up to 100. */
		pid[i] = child_start(i % 4 ? write_batches : write_all, &w[i]);
	}
	read_all(&r, fd);
	for (uint32_t i = 0; i < WRITERS; i++) {
		expect(child_ok(pid[i], 60));
		expect_eq(next[i], MESSAGES);
	}
	p = partition_state(t, 0);
	expect_eq(p.stats.messages_in, r.messages);
	expect_eq(p.stats.bytes_in, r.messages * sizeof(struct msg));
	expect_eq(p.stats.messages_out, r.messages);
	expect_eq(p.stats.bytes_out, r.messages * sizeof(struct msg));
	expect_eq(p.head_offset, r.messages);
	expect_eq(p.head_position, r.messages * sizeof(struct msg));
	expect_eq(p.stats.evicted, p.tail_offset);
	expect_eq(p.stats.dropped_held + p.stats.rejected + p.stats.lost + p.stats.overruns, 0);
	expect_eq(p.stats.writers_waiting, 0);
	wait_until(partition_state(t, 0).stats.writers == 0, SOON);
	expect_eq(file_stat(fd).lost_messages, 0);
	note("%llu messages in %llu s, %llu batches", (unsigned long long)r.messages,
	     (unsigned long long)((now_ns() - began) / 1000000000), (unsigned long long)r.batches);
}

#define FEW		8
#define FEW_MESSAGES	20000
#define READERS		4

struct ordered {
	struct reader r;
	uint32_t next[WRITERS];
	uint64_t order;
	volatile bool ready;
};

static void ordered_reader(void *arg)
{
	struct ordered *o = arg;
	int fd = topic_open(o->r.topic, "+format=record", O_RDONLY);

	o->r.next = o->next;
	o->ready = true;
	read_all(&o->r, fd);
	o->order = o->r.order;
}

TEST_LIMIT(concurrent_order, "8 writers, 4 readers: all readers see the same messages in the same order", 150)
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .ring_messages = 1 << 14,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	struct ordered *o = shared_alloc(READERS * sizeof(*o));
	struct writer w[FEW];
	pid_t writers[FEW], readers[READERS];

	for (int i = 0; i < READERS; i++) {
		o[i].r = (struct reader) { .topic = t, .messages = FEW * FEW_MESSAGES };
		readers[i] = child_start(ordered_reader, &o[i]);
	}
	for (int i = 0; i < READERS; i++)
		wait_until(o[i].ready, SOON);
	for (uint32_t i = 0; i < FEW; i++) {
		w[i] = (struct writer) { t, i, FEW_MESSAGES };
		writers[i] = child_start(write_all, &w[i]);
	}
	for (int i = 0; i < FEW; i++)
		expect(child_ok(writers[i], 120));
	for (int i = 0; i < READERS; i++) {
		expect(child_ok(readers[i], 60));
		expect_eq(o[i].order, o[0].order);
		for (int k = 0; k < FEW; k++)
			expect_eq(o[i].next[k], FEW_MESSAGES);
	}
	expect(o[0].order != 0);
	expect_eq(topic_counters(t).messages_out, READERS * FEW * FEW_MESSAGES);
}

TEST_LIMIT(concurrent_batches, "a batch stays together among the messages of others", 120)
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .ring_messages = 1 << 14,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = topic_open(t, "+format=record", O_RDONLY);
	enum { N = 30000, K = 6 };
	uint32_t next[K] = { 0 }, left = 0, owner = 0;
	static uint64_t buf[1 << 15];
	static struct rec r[1 << 12];
	struct writer w[K];
	uint64_t seen = 0;
	pid_t pid[K];

	for (uint32_t i = 0; i < K; i++) {
		w[i] = (struct writer) { t, i, N };
		pid[i] = child_start(i % 2 ? write_all : write_batches, &w[i]);
	}
	while (seen < (uint64_t)N * K) {
		int n = batch_parse(buf, read(fd, buf, sizeof(buf)), r, 1 << 12, NULL);

		need(n > 0);
		for (int i = 0; i < n; i++) {
			const struct msg *m = (const void *)r[i].payload;

			need(m->writer < K && m->check == check_of(m->writer, m->number));
			need_eq(m->number, next[m->writer]);
			next[m->writer]++;
			if (!left && m->writer % 2 == 0) {
				owner = m->writer;
				left = 1 + m->number % 100;
				if (left > N - m->number)
					left = N - m->number;
			}
			if (left) {
				need_eq(m->writer, owner);
				left--;
			}
		}
		seen += n;
	}
	for (int i = 0; i < K; i++)
		expect(child_ok(pid[i], SOON));
}

static void open_close(void *arg)
{
	const char *t = arg;
	char got[64];

	for (int i = 0; i < 3000; i++) {
		int fd = topic_open(t, i % 3 ? "+overrun=skip" : "+from=newest",
				    (i % 2 ? O_RDWR : O_RDONLY) | O_NONBLOCK);

		for (int k = 0; k < i % 5; k++)
			read(fd, got, sizeof(got));
		lseek(fd, 0, i % 4 ? SEEK_END : SEEK_SET);
		close(fd);
	}
}

TEST_LIMIT(concurrent_readers_come_go, "readers that come and go disturb neither writers nor a steady reader", 150)
{
	const char *t = topic_new(.ring_bytes = 1 << 18, .ring_messages = 1 << 12,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = topic_open(t, "+format=record", O_RDONLY);
	static uint32_t next[WRITERS];
	struct reader r = { t, 4 * 20000, next, 0, 0 };
	struct writer w[4];
	pid_t pid[4], others[3];

	for (int i = 0; i < 3; i++)
		others[i] = child_start(open_close, (void *)t);
	for (uint32_t i = 0; i < 4; i++) {
		w[i] = (struct writer) { t, i, 20000 };
		pid[i] = child_start(write_all, &w[i]);
	}
	read_all(&r, fd);
	close(fd);
	for (int i = 0; i < 4; i++)
		expect(child_ok(pid[i], SOON));
	for (int i = 0; i < 3; i++)
		expect(child_ok(others[i], 100));
	expect_eq(topic_counters(t).messages_in, r.messages);
	wait_until(topic_counters(t).readers == 0, SOON);
}
