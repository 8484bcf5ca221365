/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_PARTITION_H
#define _MQ_PARTITION_H

#include <linux/percpu.h>
#include <linux/wait.h>
#include <linux/hrtimer.h>
#include <linux/workqueue.h>
#include "log.h"
#include "wait.h"

struct mq_topic;

/* In mq_holder.hold. Positions and offsets are signed numbers, so the bit is free. */
#define MQ_HOLD_OFFSET	BIT_ULL(63)

/**
 * struct mq_holder - an open reader for which a partition holds messages
 * @node: on mq_partition.holders
 * @hold: first position it has not read; first offset, with MQ_HOLD_OFFSET, if it
 *	counts in those (format=record). Moved forward by the reader without a lock,
 *	backward, or into the other unit, only under the log's lock
 * @active: on the list
 */
struct mq_holder {
	struct list_head node;
	u64 hold;
	bool active;
};

/**
 * struct mq_pcpu - counters that readers raise, one a CPU
 */
struct mq_pcpu {
	u64 messages_out;
	u64 bytes_out;
};

/**
 * struct mq_stats - sums that netlink shows; see the spec for their meaning
 */
struct mq_stats {
	u64 messages_in;
	u64 bytes_in;
	u64 messages_out;
	u64 bytes_out;
	u64 dropped_held;
	u64 rejected;
	u64 dropped_unfinished;
	u64 lost;
	u64 overruns;
	u64 evicted;
	u64 no_memory;
	u32 readers;
	u32 writers;
	u32 writers_waiting;
	u32 sync_waiting;
	u64 memory;
	u64 lent;
	u64 wraps;
	u64 lock_retries;
};

/**
 * struct mq_partition - a log, who waits for it and what holds it
 * @topic: its topic; owns it, so no reference
 * @number: number in the topic, from 0
 * @log: the messages
 * @rwait: readers of this partition's own file (see mq_topic.rwait)
 * @wwait: writers waiting for room or for the end of a pause
 * @room_pos, @room_off: readers that still hold what is below need not tell them yet; hints
 * @room_timer: but then they are told by it
 * @dwait: who waits for durability
 * @durable_off: messages below are durable (persistent topics)
 * @holders: struct mq_holder (log's lock)
 * @joining: holds what is written until those who read the topic have joined
 * @held_pos, @held_off: lower bounds of what @holders hold, cached (log's lock)
 * @lock_retries: how often a writer found the log's lock taken
 * @reap: returns lent chunks that came back while nobody writes
 * @pcpu: readers' counters
 */
struct mq_partition {
	struct mq_topic *topic;
	unsigned int number;
	struct mq_log log;

	struct mq_waiters rwait;
	wait_queue_head_t wwait;
	u64 room_pos;
	u64 room_off;
	struct hrtimer room_timer;
	wait_queue_head_t dwait;
	u64 durable_off;

	struct list_head holders;
	struct mq_holder joining;
	u64 held_pos;
	u64 held_off;

	/* Written under the log's lock. */
	u64 dropped_held;
	u64 evicted;
	u64 lock_retries;

	atomic64_t rejected;
	atomic64_t dropped_unfinished;
	atomic64_t lost;
	atomic64_t overruns;
	atomic64_t no_memory;
	atomic_t readers;
	atomic_t writers;
	atomic_t writers_waiting;
	atomic_t sync_waiting;
	struct delayed_work reap;
	struct mq_pcpu __percpu *pcpu;
};

struct mq_partition *mq_partition_create(struct mq_topic *topic, unsigned int number);
void mq_partition_destroy(struct mq_partition *p);
void mq_partition_wake_all(struct mq_partition *p);
void mq_partition_stats(struct mq_partition *p, struct mq_stats *sum);
void mq_partition_held(struct mq_partition *p, u64 *off, u64 *pos);

#endif /* _MQ_PARTITION_H */
