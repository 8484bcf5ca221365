/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_DUMP_H
#define _MQ_DUMP_H

#include <linux/types.h>
#include <mq/mq.h>

struct mq_topic;
struct netlink_callback;
struct nlattr;
struct sk_buff;

/**
 * struct mq_dump - where a dump goes on, in netlink_callback.ctx
 * @next: number of its next partition, reader or waiter; unused for topics themselves
 * @minor: of the next topic to show
 * @one: only that topic
 * @entered: @id is that of the topic at @minor
 * @id: the topic that @next is about
 */
struct mq_dump {
	u64 next;
	u32 minor;
	bool one;
	bool entered;
	u8 id[MQ_TOPIC_ID_LEN];
};

/* Shows a topic's things from number *@next on, and moves that on; an error if @skb is full. */
typedef int mq_dump_show(struct sk_buff *skb, struct netlink_callback *cb,
			 struct mq_topic *topic, u64 *next);

int mq_dump_start(struct netlink_callback *cb, struct nlattr *name);
int mq_dump_topics(struct sk_buff *skb, struct netlink_callback *cb, mq_dump_show *show);

#endif /* _MQ_DUMP_H */
