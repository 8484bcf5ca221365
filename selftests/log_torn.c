// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 400 */
/* kill -9 of writers at any moment: no torn message, no gap, others go on. */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>

#include "mqtest.h"

/* A message tells its writer, number and length, and is a pattern of them. */
struct head {
	uint64_t writer;
	uint64_t number;
	uint64_t len;
};

static void fill(char *buf, size_t len, uint64_t writer, uint64_t number)
{
	struct head h = { writer, number, len };

	pattern_fill(buf, len, writer << 32 | number);
	memcpy(buf, &h, sizeof(h));
}

static bool whole(const uint8_t *p, size_t len, struct head *h)
{
	static char want[1 << 16];

	if (len < sizeof(*h) || len > sizeof(want))
		return false;
	memcpy(h, p, sizeof(*h));
	fill(want, len, h->writer, h->number);
	return h->len == len && !memcmp(want, p, len);
}

struct victim {
	const char *topic;
	uint64_t number;
	int kind;	/* plain, batch, writev */
};

static void write_forever(void *arg)
{
	struct victim *v = arg;
	int fd = topic_open(v->topic, v->kind == 1 ? "+format=record" : "", O_WRONLY);
	struct batch *b = batch_new();
	static char buf[32768];

	for (uint64_t i = 0;; i++) {
		size_t len = sizeof(struct head) + (v->number * 7919 + i * 409) % 3000;
		struct iovec iov[3];

		fill(buf, len, v->number, i);
		switch (v->kind) {
		case 0:
			write(fd, buf, len);
			break;
		case 1:
			batch_reset(b);
			for (int k = 0; k < 5; k++, i++) {
				len = sizeof(struct head) + (v->number + i * 97) % 1000;
				fill(buf, len, v->number, i);
				batch_add(b, buf, len);
			}
			i--;
			batch_write(b, fd, MQ_PARTITION_ANY);
			break;
		default:
			iov[0] = (struct iovec) { buf, len / 3 };
			iov[1] = (struct iovec) { buf + len / 3, len / 3 };
			iov[2] = (struct iovec) { buf + len / 3 * 2, len - len / 3 * 2 };
			writev(fd, iov, 3);
		}
	}
}

static struct {
	uint64_t seen, bad, offset;
	uint64_t *next;
} log_;

/* Take what is there, or some; each message whole, each writer's in order from 0 on. */
static void drain(int rd, bool all)
{
	static uint64_t buf[1 << 13];
	static struct rec r[4096];
	struct head h;
	ssize_t len;
	int n;

	while ((len = read(rd, buf, sizeof(buf))) > 0) {
		n = batch_parse(buf, len, r, 4096, NULL);	/* checks the CRC, too */
		need(n > 0);
		for (int i = 0; i < n; i++, log_.seen++) {
			need_eq(r[i].e->offset, log_.offset);
			log_.offset++;
			if (!whole(r[i].payload, r[i].e->len, &h) || h.writer >= 1100 ||
			    h.number != log_.next[h.writer]) {
				if (!log_.bad++)
					fail("message %llu of %u bytes is torn or out of order",
					     (unsigned long long)r[i].e->offset, r[i].e->len);
				continue;
			}
			log_.next[h.writer]++;
		}
		if (!all)
			return;
	}
	expect_eq(errno, EAGAIN);
}

#define KILLS	1000
#define ALIVE	4

TEST_LIMIT(torn_kills, "D.22: 1,000 kills of writers in mid-write: 0 messages torn, no gap", 300)
{
	const char *t = topic_new(.ring_bytes = 1 << 16, .hold = MQ_HOLD_READERS,
				  .set = MQT(OVERFLOW));
	int rd = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);
	static struct victim v[ALIVE];
	pid_t pid[ALIVE];
	uint32_t seed = 42;

	log_.next = calloc(1100, sizeof(*log_.next));
	for (int i = 0; i < KILLS + ALIVE; i++) {
		int k = i % ALIVE;

		if (i >= ALIVE) {
			seed = seed * 1664525 + 1013904223;
			for (uint64_t until = now_ns() + (seed >> 10) % 3000000; now_ns() < until;) {
				struct pollfd p = { rd, POLLIN, 0 };

				poll(&p, 1, 1);
				drain(rd, false);
				if (failures())
					return;
			}
			kill(pid[k], SIGKILL);
			need_eq(child_wait(pid[k], SOON), SIGKILL);
		}
		if (i >= KILLS)
			continue;
		v[k] = (struct victim) { t, i, i % 3 };
		pid[k] = child_start(write_forever, &v[k]);
	}
	drain(rd, true);
	note("%llu messages whole", (unsigned long long)log_.seen);
	expect_eq(log_.bad, 0);
	expect(log_.seen > KILLS);
	expect_eq(topic_counters(t).messages_in, log_.seen);
	expect_eq(topic_counters(t).writers_waiting, 0);
	expect_eq(topic_counters(t).lost, 0);
	wait_until(topic_counters(t).writers == 0, SOON);
}

TEST_LIMIT(torn_stopped, "D.22: a writer or reader that is stopped (SIGSTOP) holds nobody up", 120)
{
	const char *t = topic_new(.ring_bytes = 1 << 18);
	int fd = topic_open(t, "", O_WRONLY);
	static struct victim v;
	char buf[256];

	memset(buf, 'x', sizeof(buf));
	for (int i = 0; i < 30; i++) {
		pid_t pid;

		v = (struct victim) { t, i, i % 3 };
		pid = child_start(write_forever, &v);
		sleep_ms(1 + i);
		kill(pid, SIGSTOP);
		for (int k = 0; k < 100; k++)
			need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
		kill(pid, SIGKILL);
		need_eq(child_wait(pid, SOON), SIGKILL);
	}
}
