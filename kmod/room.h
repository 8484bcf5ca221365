/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_ROOM_H
#define _MQ_ROOM_H

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

int mq_room_refused(struct mq_partition *p, bool nonblock);
void mq_room_wait_begin(struct mq_partition *p, struct mq_room_wait *wait, u64 bytes);
int mq_room_wait(struct mq_partition *p, struct mq_room_wait *wait);
void mq_room_wait_end(struct mq_partition *p, struct mq_room_wait *wait);
void mq_room_wake(struct mq_partition *p);
void mq_room_made(struct mq_partition *p, u64 at);
void mq_room_init(struct mq_partition *p);
void mq_room_destroy(struct mq_partition *p);

#endif /* _MQ_ROOM_H */
