/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_EVICT_H
#define _MQ_EVICT_H

#include <linux/types.h>

struct mq_append;
struct mq_partition;

int mq_evict_look(struct mq_partition *p, const struct mq_append *a);
int mq_evict_for(struct mq_partition *p, const struct mq_append *a);
/* As a lapping writer would. */
void mq_evict(struct mq_partition *p, u64 count);

#endif /* _MQ_EVICT_H */
