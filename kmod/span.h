/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_SPAN_H
#define _MQ_SPAN_H

#include "append.h"

/**
 * struct mq_span_part - the share of one partition in a batch that spans several
 * @part: the partition
 * @a: what it gets; no payload iterator, since payloads are copied message by message
 * @pos: where the next payload goes
 */
struct mq_span_part {
	struct mq_partition *part;
	struct mq_append a;
	u64 pos;
};

int mq_span_append(struct mq_topic *topic, struct mq_span_part *parts, unsigned int nr,
		   const struct mq_msg *msgs, const u16 *order, u32 count,
		   struct iov_iter *payload, enum mq_mode mode);

#endif /* _MQ_SPAN_H */
