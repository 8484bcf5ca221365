/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_LOG_H
#define _MQ_LOG_H

#include <linux/mutex.h>
#include <linux/seqlock.h>
#include <mq/mq.h>
#include "ring.h"

/**
 * struct mq_bounds - where a log begins and ends
 * @head_off: offset of the next message
 * @head_pos: position of the next byte
 * @head_attr: attribute position of the next message
 * @head_empty: messages without payload ever appended
 * @tail_off: offset of the oldest message retained
 * @tail_pos: its position
 * @tail_attr: its attribute position
 * @tail_empty: messages without payload below @tail_off
 */
struct mq_bounds {
	u64 head_off;
	u64 head_pos;
	u64 head_attr;
	u64 head_empty;
	u64 tail_off;
	u64 tail_pos;
	u64 tail_attr;
	u64 tail_empty;
};

/**
 * struct mq_log - the messages of one partition
 * @lock: serialises writers: heads, tails, slots of the rings, time stamps.
 *	Held for one write's copy, never over a page fault or a wait for room. Nests
 *	inside a pipe's mutex and a file's line lock; several logs of a topic are
 *	locked in ascending order of their partitions.
 * @seq: makes @b consistent for readers; written under @lock
 * @b: bounds
 * @data: payloads
 * @index: struct mq_entry, at offset * 64
 * @attrs: attributes
 * @start: bounds at creation
 * @last_ts: time stamp of the newest message
 * @run_off: first offset of the newest run of growing time stamps
 * @epoch: epoch stamped into entries
 * @ready: a write that ends within it finds room and chunks: computed when the tail
 *	moves or a chunk is entered, so that other writes need not (@lock)
 * @map: what its maps have in common, NULL if it never was mapped (set once, under @lock)
 *
 * A reader copies a snapshot of @b (mq_log_bounds()), copies what lies within
 * it, and checks with mq_log_valid_from() that the tail has not passed what it
 * copied. A writer moves the tail (evict_to()), then a full barrier, then
 * looks at page counts and overwrites.
 */
struct mq_log {
	struct mutex lock;	/* writers */
	seqcount_mutex_t seq;
	struct mq_bounds b;
	struct mq_ring data;
	struct mq_ring index;
	struct mq_ring attrs;
	struct mq_bounds start;
	s64 last_ts;
	u64 run_off;
	u32 epoch;
	struct mq_map *map;
	struct {
		u64 off;
		u64 pos;
		u64 attr;
	} ready;
};

/**
 * struct mq_log_config - geometry of a log, fixed for its life
 */
struct mq_log_config {
	u64 ring_bytes;
	u64 ring_messages;
	u64 attr_bytes;
	u64 start_offset;
	u64 start_position;
	bool reserve;
	struct mem_cgroup *memcg;
};

/* A retained message's entry, or the place for a new one. The log's lock is held. */
static inline struct mq_entry *mq_log_slot(const struct mq_log *log, u64 off)
{
	size_t len;

	return mq_ring_ptr(&log->index, off * sizeof(struct mq_entry), &len);
}

int mq_log_init(struct mq_log *log, const struct mq_log_config *config);
void mq_log_destroy(struct mq_log *log);

void mq_log_bounds(const struct mq_log *log, struct mq_bounds *b);
bool mq_log_valid_from(const struct mq_log *log, u64 off);
bool mq_log_pos_valid(const struct mq_log *log, u64 pos);
bool mq_log_entry(const struct mq_log *log, u64 off, struct mq_entry *entry);
bool mq_log_begins(const struct mq_log *log, u64 off, u64 *pos, u64 *attr);
bool mq_log_find_pos(const struct mq_log *log, u64 lo, u64 hi, u64 pos, u64 *off);
u32 mq_log_ends(const struct mq_log *log, u64 off, u64 hi, u64 pos, u32 len, u32 *end, u32 max);
u64 mq_log_find_time(const struct mq_log *log, s64 time);

#endif /* _MQ_LOG_H */
