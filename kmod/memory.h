/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_MEMORY_H
#define _MQ_MEMORY_H

#include <linux/types.h>

struct mem_cgroup;

/* The module's limit of ring memory (parameter max_memory). */
int mq_memory_charge(u64 bytes);
int mq_memory_charge_wait(u64 bytes);
void mq_memory_leaving(void);
void mq_memory_left(void);
void mq_memory_uncharge(u64 bytes);
u64 mq_memory_used(void);
u64 mq_memory_max(void);
int mq_memory_init(void);

/* A topic's cgroup, to which the pages of its rings are charged. */
struct mem_cgroup *mq_memcg_get(const char *path);
void mq_memcg_put(struct mem_cgroup *memcg);

#endif /* _MQ_MEMORY_H */
