/* SPDX-License-Identifier: GPL-2.0 */
/* Every limit of the module, in one place. */
#ifndef _MQ_LIMITS_H
#define _MQ_LIMITS_H

#include <linux/bits.h>
#include <linux/sizes.h>
#include <linux/time64.h>

#define MQ_MAX_PARTITIONS	1024U	/* partitions of a topic */
#define MQ_MAX_TOPICS		65536U	/* default of max_topics; one minor each */
#define MQ_MAX_MINORS		BIT(20)

#define MQ_MIN_RING_BYTES	4096ULL
#define MQ_MAX_RING_BYTES	BIT_ULL(40)
#define MQ_DEF_RING_BYTES	SZ_4M
#define MQ_MIN_RING_MESSAGES	64ULL
#define MQ_MAX_RING_MESSAGES	BIT_ULL(32)
#define MQ_DEF_RING_MESSAGES	32768ULL
#define MQ_DEF_MAX_MESSAGE	SZ_1M
#define MQ_MAX_MESSAGE		SZ_1G	/* so that lengths and sums fit */
#define MQ_QUARTER		4	/* a message or batch is at most a quarter of each ring */

#define MQ_MAX_KEY		4096U
#define MQ_MAX_SMALL_ATTR	255U	/* tags, names, ids */
#define MQ_MAX_HEADER_VALUE	65000U

/* What a write on a line topic stages at a time. */
#define MQ_LINE_CHUNK		SZ_64K

/* Pages of one chunk of a ring: 64 KiB at the most, and at least 16 chunks a ring. */
#define MQ_MAX_CHUNK_SHIFT	16
#define MQ_MAX_INDEX_SHIFT	14
#define MQ_MIN_CHUNKS_SHIFT	4

/*
 * Where nothing is held, so many messages are evicted ahead, but at most this
 * part of the ring: not one message at each write.
 */
#define MQ_EVICT_AHEAD		64
#define MQ_EVICT_PART		256

/* A watermark's reader waits so long at most while there is something to read. */
#define MQ_MAX_WATERMARK_NS	(3600ULL * NSEC_PER_SEC)

/* Maps of a partition, parts of divided ones included: a replaced chunk is taken out of each. */
#define MQ_MAX_MAPS		4096

/* Messages whose ends a sendfile remembers, for what a short socket gives back. */
#define MQ_MEMO_MESSAGES	1000U

#endif /* _MQ_LIMITS_H */
