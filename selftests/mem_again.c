// SPDX-License-Identifier: GPL-2.0
/*
 * Topics that come and go at the module's limit of memory: what a deleted one gives
 * back is there for the next one at once, and nobody waits for it who must not wait.
 *
 * TIMEOUT: 300
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/uio.h>

#include "mqtest.h"

#define MAX_MEMORY	"/sys/module/mq/parameters/max_memory"
#define RING		(1 << 20)

static char old_memory[32];
static char msg[65536];

/* Before any test point runs; they are processes of their own. */
__attribute__((constructor)) static void remember(void)
{
	read_line(MAX_MEMORY, old_memory, sizeof(old_memory));
}

static void restore(void)
{
	need_eq(write_file(MAX_MEMORY, old_memory), 0);
}

/* From now on: so many bytes more than are used. */
static void allow(uint64_t more)
{
	char text[32];

	restore();
	snprintf(text, sizeof(text), "%" PRIu64, module_settled().memory + more);
	need_eq(write_file(MAX_MEMORY, text), 0);
}

/* A ring, its index and its attributes: what is charged. */
static const uint64_t size = RING + 1024 * sizeof(struct mq_entry) + 65536;

static const char *make(bool persistent)
{
	const char *t = topic_name();

	need_eq(topic_add(&(struct topic_opts) {
		.name = t, .ring_bytes = RING, .ring_messages = 1024, .attr_bytes = 65536,
		.persistent = persistent }), 0);
	return t;
}

static void fill(int fd)
{
	for (unsigned int n = 0; n < RING / sizeof(msg); n++)
		need_ret(write(fd, msg, sizeof(msg)), sizeof(msg));
}

TEST_LIMIT(again, "a deleted topic's memory is there for the next one at once", 200)
{
	uint64_t began = now_ns();
	const char *t;
	int fd;

	/* Never two at a time. */
	allow(size * 3 / 2);
	for (int i = 0; i < 50; i++)
		need_eq(topic_del(make(true)), 0);
	/* Charged as it grows. */
	for (int i = 0; i < 50; i++) {
		t = make(false);
		fd = topic_open(t, "", O_WRONLY);
		fill(fd);
		need_eq(topic_del(t), 0);
		close(fd);
	}
	restore();
	/* As long as a grace period takes, not as the longest wait. */
	expect((now_ns() - began) / 1000000000 < 50);
}

TEST(held, "that of a deleted topic whose file is open is not")
{
	const char *t;
	int fd;

	allow(size * 3 / 2);
	t = make(false);
	fd = topic_open(t, "", O_RDWR);
	fill(fd);
	need_eq(topic_del(t), 0);
	expect_eq(topic_add(&(struct topic_opts) { .name = t, .ring_bytes = RING,
						   .ring_messages = 1024, .attr_bytes = 65536,
						   .persistent = 1 }), -ENOMEM);
	close(fd);
	t = make(true);
	expect_eq(topic_del(t), 0);
	restore();
}

TEST(overrun, "a reader that was overrun in a deleted topic does not keep it")
{
	allow(size * 3 / 2);
	for (int i = 0; i < 5; i++) {
		const char *t = make(false);
		int fd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY);

		fill(wr);
		fill(wr);
		close(wr);
		need_eq(topic_del(t), 0);
		expect_err(read(fd, msg, sizeof(msg)), ENOBUFS);
		close(fd);
	}
	need_eq(topic_del(make(true)), 0);
	restore();
}

static void come_and_go(void *arg)
{
	char name[32];

	(void)arg;
	snprintf(name, sizeof(name), "churn%d", getpid());
	/* Some fail: there is not memory for all. */
	for (;;) {
		topic_add(&(struct topic_opts) { .name = name, .ring_bytes = 4096,
						 .ring_messages = 64, .attr_bytes = 4096,
						 .persistent = 1 });
		topic_del(name);
	}
}

/* Fails for want of memory, after at most so long. */
static void refused(const char *what, ssize_t ret, uint64_t since, int ms)
{
	int error = errno;
	uint64_t took = (now_ns() - since) / 1000000;

	if (ret != -1 || (error != ENOMEM && error != EAGAIN))
		fail("%s: %zd, %s", what, ret, mqt_errno(error));
	if (took > (uint64_t)ms)
		fail("%s: after %" PRIu64 " ms", what, took);
}

TEST_LIMIT(churn, "where topics come and go all the time a write ends with ENOMEM, and none waits that must not", 120)
{
	const char *t = (restore(), topic_new(.ring_bytes = 16 << 20));
	const char *l = topic_new(.ring_bytes = 16 << 20, .framing = MQ_FRAMING_LINE);
	int wr = topic_open(t, "", O_WRONLY), nonblock = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	int line, pipes[2];
	struct iovec iov = { msg, sizeof(msg) };
	pid_t churn[4];
	uint64_t since;

	need(!pipe(pipes));
	allow(1 << 20);
	while (write(nonblock, msg, sizeof(msg)) > 0)
		;
	expect_eq(errno, ENOMEM);
	for (unsigned int i = 0; i < 4; i++)
		churn[i] = child_start(come_and_go, NULL);
	/* Not the children's. */
	line = topic_open(l, "", O_WRONLY);
	need_ret(write(line, "unfinished", 10), 10);
	sleep_ms(500);
	for (int i = 0; i < 3; i++) {
		since = now_ns();
		refused("write", write(wr, msg, sizeof(msg)), since, SOON * 1000);
	}
	/* These wait for nothing: far below what a writer that may wait does. */
	for (int i = 0; i < 3; i++) {
		since = now_ns();
		refused("O_NONBLOCK", write(nonblock, msg, sizeof(msg)), since, 900);
		since = now_ns();
		refused("RWF_NOWAIT", pwritev2(wr, &iov, 1, -1, RWF_NOWAIT), since, 900);
	}
	need_ret(write(pipes[1], msg, 4096), 4096);
	since = now_ns();
	refused("splice", splice(pipes[0], NULL, wr, NULL, 4096, 0), since, 900);
	since = now_ns();
	close(line);
	expect((now_ns() - since) / 1000000 <= 900);
	/* Appended, if one of the others had just gone. */
	expect_eq(topic_counters(l).dropped_unfinished + topic_counters(l).messages_in, 1);
	for (unsigned int i = 0; i < 4; i++) {
		char name[32];

		kill(churn[i], SIGKILL);
		child_wait(churn[i], SOON);
		snprintf(name, sizeof(name), "churn%d", churn[i]);
		topic_del(name);
	}
	restore();
	expect_ret(write(wr, msg, sizeof(msg)), sizeof(msg));
}

TEST(settled, "nothing is left of them")
{
	restore();
	expect_eq(module_settled().memory, 0);
}
