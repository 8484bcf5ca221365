// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 300 */
/* lock-retries: how often a writer found its partition's lock taken, and only that. */
#define _GNU_SOURCE
#include <sched.h>

#include "mqtest.h"

#define PRODUCERS	4

struct work {
	const char *topic;
	unsigned int partition;
	volatile bool *stop;
};

static void put(const struct work *w, unsigned int count)
{
	static char message[1000];
	char at[16];
	int fd;

	snprintf(at, sizeof(at), "@%u", w->partition);
	fd = topic_open(w->topic, at, O_WRONLY);
	for (unsigned int i = 0; i < count && !*w->stop; i++)
		need_ret(write(fd, message, sizeof(message)), sizeof(message));
	close(fd);
}

static void produce(void *arg)
{
	while (!*((struct work *)arg)->stop)
		put(arg, 1000);
}

TEST(alone, "one writer of a partition finds it taken never, whatever readers do")
{
	struct work w = { topic_new(.partitions = 2), 0, shared_alloc(sizeof(bool)) };
	int rd = topic_open(w.topic, "@0", O_RDONLY | O_NONBLOCK);
	static char buf[1000];

	for (unsigned int i = 0; i < 20; i++) {
		put(&w, 1000);
		while (read(rd, buf, sizeof(buf)) > 0)
			;
	}
	expect_eq(topic_counters(w.topic).messages_in, 20000);
	expect_eq(topic_counters(w.topic).lock_retries, 0);
}

TEST(own, "writers at the same time, each of its own partition: never")
{
	struct work w = { topic_new(.partitions = PRODUCERS), 0, shared_alloc(sizeof(bool)) };
	pid_t pids[PRODUCERS];

	for (w.partition = 0; w.partition < PRODUCERS; w.partition++)
		pids[w.partition] = child_start(produce, &w);
	wait_until(topic_counters(w.topic).messages_in > 20000, SOON);
	*w.stop = true;
	for (unsigned int i = 0; i < PRODUCERS; i++)
		expect(child_ok(pids[i], SOON));
	expect_eq(topic_counters(w.topic).lock_retries, 0);
}

TEST_LIMIT(shared, "writers of one partition: counted there, and in the topic's sum", 200)
{
	struct work w = { topic_new(.partitions = 2), 1, shared_alloc(sizeof(bool)) };
	pid_t pids[PRODUCERS];
	cpu_set_t cpus;

	need_ret(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	if (CPU_COUNT(&cpus) < 2)
		skip("one CPU: a writer there is not interrupted by another");
	for (unsigned int i = 0; i < PRODUCERS; i++)
		pids[i] = child_start(produce, &w);
	wait_until(topic_counters(w.topic).lock_retries > 0, 120);
	*w.stop = true;
	for (unsigned int i = 0; i < PRODUCERS; i++)
		expect(child_ok(pids[i], SOON));
	note("%llu retries of %llu messages",
	     (unsigned long long)topic_counters(w.topic).lock_retries,
	     (unsigned long long)topic_counters(w.topic).messages_in);
	expect_eq(partition_state(w.topic, 1).stats.lock_retries,
		  topic_counters(w.topic).lock_retries);
	expect_eq(partition_state(w.topic, 0).stats.lock_retries, 0);
	expect(topic_counters(w.topic).lock_retries <= topic_counters(w.topic).messages_in);
}
