/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_ATTR_H
#define _MQ_ATTR_H

#include <linux/types.h>

int mq_attr_check(const void *attrs, u32 len, bool *has_key, u32 *key_hash);
u32 mq_murmur2(const u8 *key, u32 len);

static inline u32 mq_key_partition(u32 hash, u32 partitions)
{
	return (hash & 0x7fffffff) % partitions;
}

#endif /* _MQ_ATTR_H */
