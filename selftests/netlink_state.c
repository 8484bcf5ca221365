// SPDX-License-Identifier: GPL-2.0
/* What netlink shows of a topic is of one moment, whatever happens meanwhile. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>

#include "mqtest.h"

static const char *topic;

static void write_on(void *arg)
{
	int fd = topic_open(topic, "", O_WRONLY);
	static char msg[100];

	(void)arg;
	for (;;)
		need_ret(write(fd, msg, sizeof(msg)), sizeof(msg));
}

static void change_on(void *arg)
{
	(void)arg;
	for (unsigned int i = 0;; i++)
		need(topic_set(topic, .set = MQT(MODE) | MQT(PAUSED), .mode = i & 1 ? 0600 : 0660,
			       .paused = i & 1));
}

TEST(held, "what is held is never beyond the head nor before the tail, while others write")
{
	struct partition_info p;
	pid_t pid;

	for (int hold = 0; hold < 2; hold++) {
		topic = topic_new(.ring_bytes = 65536, .hold = hold ? MQ_HOLD_READERS : 0);
		pid = child_start(write_on, NULL);
		wait_until(topic_counters(topic).messages_in > 1000, SOON);
		for (int i = 0; i < 3000; i++) {
			p = partition_state(topic, 0);
			if (p.held_offset < p.tail_offset || p.held_offset > p.head_offset ||
			    p.held_position < p.tail_position ||
			    p.held_position > p.head_position) {
				fail("tail %" PRIu64 ", held %" PRIu64 ", head %" PRIu64,
				     p.tail_offset, p.held_offset, p.head_offset);
				break;
			}
		}
		kill(pid, SIGKILL);
		child_wait(pid, SOON);
	}
}

TEST(whole, "a change of mode and pause at once is seen whole")
{
	struct topic_info info;
	unsigned int seen[2] = { 0 };
	pid_t pid;

	topic = topic_new(.mode = 0660);
	pid = child_start(change_on, NULL);
	for (int i = 0; i < 3000; i++) {
		need_ret(topic_get(topic, &info), 0);
		if (info.o.paused != (info.o.mode == 0600)) {
			fail("mode %o, paused %d", info.o.mode, info.o.paused);
			break;
		}
		seen[info.o.paused]++;
	}
	expect(seen[0] && seen[1]);
	kill(pid, SIGKILL);
	child_wait(pid, SOON);
}
