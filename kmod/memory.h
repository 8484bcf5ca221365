/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_MEMORY_H
#define _MQ_MEMORY_H

#include <linux/types.h>

/* The module's limit of ring memory (parameter max_memory). */
int mq_memory_charge(u64 bytes);
void mq_memory_uncharge(u64 bytes);
u64 mq_memory_used(void);
u64 mq_memory_max(void);
int mq_memory_init(void);

#endif /* _MQ_MEMORY_H */
