/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_HOLD_H
#define _MQ_HOLD_H

#include <linux/wait.h>
#include "partition.h"
#include "topic.h"
#include "who.h"

/**
 * struct mq_room_wait - a writer waiting for room, on its stack
 */
struct mq_room_wait {
	struct wait_queue_entry entry;
	struct mq_waiter who;
};

/* Can anything be held at all? Without lock: a hint for poll. */
static inline bool mq_may_hold(const struct mq_partition *p)
{
	return p->topic->persistent || READ_ONCE(p->topic->hold);
}

bool mq_held(struct mq_partition *p, u64 off);

void mq_hold(struct mq_partition *p, struct mq_holder *h, u64 at);
void mq_hold_move(struct mq_partition *p, struct mq_holder *h, u64 at);
void mq_hold_convert(struct mq_partition *p, struct mq_holder *h, u64 at);
void mq_hold_release(struct mq_partition *p, struct mq_holder *h);
void mq_hold_on(struct mq_partition *p);
bool mq_hold_limits(struct mq_partition *p, const struct mq_holder *h);

int mq_room_refused(struct mq_partition *p, bool nonblock);
void mq_room_wait_begin(struct mq_partition *p, struct mq_room_wait *wait, u64 bytes);
int mq_room_wait(struct mq_room_wait *wait);
void mq_room_wait_end(struct mq_partition *p, struct mq_room_wait *wait);
void mq_room_wake(struct mq_partition *p);

#endif /* _MQ_HOLD_H */
