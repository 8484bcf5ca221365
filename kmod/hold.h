/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_HOLD_H
#define _MQ_HOLD_H

#include "partition.h"
#include "room.h"
#include "topic.h"

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

#endif /* _MQ_HOLD_H */
