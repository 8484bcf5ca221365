/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_WHO_H
#define _MQ_WHO_H

#include <linux/list.h>
#include <linux/types.h>

struct mq_file;
struct mq_partition;
struct netlink_callback;
struct task_struct;

/**
 * struct mq_waiter - a process that waits for room or durability, on its stack
 * @node: on mq_topic.waiters
 * @seq: number in the topic, growing: where a dump goes on
 * @task: who waits: it takes itself off the list, so it is there
 * @part: the partition
 * @since: when it began, ktime_get_boottime_ns()
 * @durable: it waits for durability
 * @want: payload bytes that it wants to append, or the offset that is to be durable
 *
 * Constant while on the list.
 */
struct mq_waiter {
	struct list_head node;
	u64 seq;
	struct task_struct *task;
	struct mq_partition *part;
	u64 since;
	bool durable;
	u64 want;
};

int mq_who_opens(struct mq_file *f);
void mq_who_closes(struct mq_file *f);
void mq_who_joins(struct mq_topic *topic);
void mq_who_waits(struct mq_waiter *w, struct mq_partition *p, bool durable, u64 want);
void mq_who_goes(struct mq_waiter *w);
int mq_who_start(struct netlink_callback *cb);

#endif /* _MQ_WHO_H */
