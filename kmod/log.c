// SPDX-License-Identifier: GPL-2.0
/*
 * The append-only log of one partition, as readers see it: bounds, entries,
 * searches. Writing is in append.c.
 */
#include <linux/minmax.h>
#include <linux/slab.h>
#include "limits.h"
#include "log.h"
#include "mmap.h"

#define ENTRY_SIZE	sizeof(struct mq_entry)

/**
 * mq_log_init() - set up an empty log
 * @log: the log
 * @config: its geometry, validated
 *
 * Return: 0 or -ENOMEM.
 */
int mq_log_init(struct mq_log *log, const struct mq_log_config *config)
{
	int err;

	BUILD_BUG_ON(sizeof(struct mq_entry) != 64);

	mutex_init(&log->lock);
	seqcount_mutex_init(&log->seq, &log->lock);
	memset(&log->b, 0, sizeof(log->b));
	log->b.head_off = config->start_offset;
	log->b.head_pos = config->start_position;
	log->b.tail_off = config->start_offset;
	log->b.tail_pos = config->start_position;
	log->start = log->b;
	log->last_ts = S64_MIN;
	log->run_off = config->start_offset;
	log->epoch = 0;
	log->map = NULL;
	log->ready.off = config->start_offset;
	log->ready.pos = config->start_position;
	log->ready.attr = 0;

	err = mq_ring_init(&log->data, config->ring_bytes, MQ_MAX_CHUNK_SHIFT,
			   config->start_position, true, config->reserve, config->memcg);
	if (err)
		return err;
	err = mq_ring_init(&log->index, config->ring_messages * ENTRY_SIZE,
			   MQ_MAX_INDEX_SHIFT, config->start_offset * ENTRY_SIZE,
			   false, config->reserve, config->memcg);
	if (err)
		goto err_data;
	err = mq_ring_init(&log->attrs, config->attr_bytes, MQ_MAX_INDEX_SHIFT,
			   0, false, config->reserve, config->memcg);
	if (err)
		goto err_index;
	return 0;

err_index:
	mq_ring_destroy(&log->index);
err_data:
	mq_ring_destroy(&log->data);
	return err;
}

void mq_log_destroy(struct mq_log *log)
{
	mq_ring_destroy(&log->attrs);
	mq_ring_destroy(&log->index);
	mq_ring_destroy(&log->data);
	mq_map_destroy(log->map);
	mutex_destroy(&log->lock);
}

/**
 * mq_log_bounds() - a consistent snapshot of where the log begins and ends
 * @log: the log
 * @b: returned
 *
 * What lies between can be read until the tail passes it.
 */
void mq_log_bounds(const struct mq_log *log, struct mq_bounds *b)
{
	unsigned int seq;

	do {
		seq = read_seqcount_begin(&log->seq);
		*b = log->b;
	} while (read_seqcount_retry(&log->seq, seq));
}

/**
 * mq_log_valid_from() - were messages from @off on still there when copied?
 * @log: the log
 * @off: lowest offset that was copied
 *
 * Pairs with the full barrier after the tail's move in evict_to().
 */
bool mq_log_valid_from(const struct mq_log *log, u64 off)
{
	/* Copy, barrier, tail here; tail, barrier, overwrite in evict_to(). */
	smp_rmb();
	return READ_ONCE(log->b.tail_off) <= off;
}

/**
 * mq_log_pos_valid() - were bytes from @pos on still there when copied?
 * @log: the log
 * @pos: lowest position that was copied
 *
 * Pairs with the full barrier after the tail's move in evict_to().
 */
bool mq_log_pos_valid(const struct mq_log *log, u64 pos)
{
	/* Copy, barrier, tail here; tail, barrier, overwrite in evict_to(). */
	smp_rmb();
	return READ_ONCE(log->b.tail_pos) <= pos;
}

/**
 * mq_log_entry() - copy a message's index entry
 * @log: the log
 * @off: its offset, below a head seen in mq_log_bounds()
 * @entry: returned
 *
 * Return: false if it is no longer there.
 */
bool mq_log_entry(const struct mq_log *log, u64 off, struct mq_entry *entry)
{
	const struct mq_entry *src;
	size_t len;

	rcu_read_lock();
	src = mq_ring_ptr(&log->index, off * ENTRY_SIZE, &len);
	if (src)
		*entry = *src;
	rcu_read_unlock();
	return src && mq_log_valid_from(log, off);
}

/* Where a message begins, by rcu_read_lock(); false if it is no longer there. */
static bool entry_begins(const struct mq_log *log, u64 off, u64 *pos, u64 *attr)
{
	const struct mq_entry *src;
	size_t len;

	src = mq_ring_ptr(&log->index, off * ENTRY_SIZE, &len);
	if (!src)
		return false;
	*pos = READ_ONCE(src->position);
	*attr = READ_ONCE(src->attr_position);
	return mq_log_valid_from(log, off);
}

/**
 * mq_log_begins() - where a message begins
 * @log: the log
 * @off: its offset, below a head seen in mq_log_bounds()
 * @pos: returned: its position
 * @attr: returned: its attribute position
 *
 * Return: false if it is no longer there.
 */
bool mq_log_begins(const struct mq_log *log, u64 off, u64 *pos, u64 *attr)
{
	bool there;

	rcu_read_lock();
	there = entry_begins(log, off, pos, attr);
	rcu_read_unlock();
	return there;
}

/**
 * mq_log_find_pos() - the message that contains a byte
 * @log: the log
 * @lo: lowest offset it can have
 * @hi: the offset after the highest it can have; more than @lo
 * @pos: the byte's position, within the messages [@lo, @hi)
 * @off: returned: the message's offset
 *
 * That is the last message that begins at or before @pos: those without
 * payload begin where the next one does. It is looked for in strides that double,
 * for most readers ask for what is near, and then by halves.
 *
 * Return: false if the tail has passed the search.
 */
bool mq_log_find_pos(const struct mq_log *log, u64 lo, u64 hi, u64 pos, u64 *off)
{
	bool found = false, near = true;
	u64 stride = 1, position, attr;

	rcu_read_lock();
	while (hi - lo > 1) {
		u64 mid;

		near = near && stride < hi - lo;
		mid = lo + (near ? stride : (hi - lo) / 2);
		if (!entry_begins(log, mid, &position, &attr))
			goto out;
		if (position <= pos) {
			lo = mid;
			stride *= 2;
		} else {
			hi = mid;
			near = false;
		}
	}
	*off = lo;
	found = mq_log_valid_from(log, lo);
out:
	rcu_read_unlock();
	return found;
}

/**
 * mq_log_ends() - where messages end
 * @log: the log
 * @off: the first
 * @hi: the offset after the last; @off or more, below or at a head seen in mq_log_bounds()
 * @pos: what ends are counted from, bytes; at or before the first one's end
 * @len: the last one wanted ends more than so many bytes behind @pos; below 4 GiB
 * @end: returned, bytes after @pos
 * @max: room in @end
 *
 * Return: how many were written, fewer than asked for if the tail has passed them.
 */
u32 mq_log_ends(const struct mq_log *log, u64 off, u64 hi, u64 pos, u32 len, u32 *end, u32 max)
{
	const u64 from = off;
	u32 n = 0;

	rcu_read_lock();
	while (off < hi && n < max) {
		const struct mq_entry *e, *stop;
		size_t avail;

		e = mq_ring_ptr(&log->index, off * ENTRY_SIZE, &avail);
		if (!e)
			break;
		stop = e + min3(hi - off, (u64)avail / ENTRY_SIZE, (u64)max - n);
		off += stop - e;
		for (; e < stop; e++) {
			u64 at = READ_ONCE(e->position) + READ_ONCE(e->len) - pos;

			/* A message is far shorter than 4 GiB: else it was overrun. */
			end[n++] = at;
			if (at > len)
				goto out;
		}
	}
out:
	rcu_read_unlock();
	return mq_log_valid_from(log, from) ? n : 0;
}

/* First offset in [lo, hi) whose time stamp is not below @time, else hi. */
static u64 find_time_in(const struct mq_log *log, u64 lo, u64 hi, s64 time)
{
	struct mq_entry entry;

	while (lo < hi) {
		u64 mid = lo + (hi - lo) / 2;

		/* What the tail has passed is older than what is looked for. */
		if (!mq_log_entry(log, mid, &entry) || entry.timestamp < time)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/**
 * mq_log_find_time() - the first message not older than a time
 * @log: the log
 * @time: ns since the epoch
 *
 * Looks in the newest run of growing time stamps first, and before it only if
 * all of that run is younger.
 *
 * Return: its offset; the end of the log if all are older.
 */
u64 mq_log_find_time(const struct mq_log *log, s64 time)
{
	struct mq_bounds b;
	struct mq_entry e;
	u64 run, off, old;

	mq_log_bounds(log, &b);
	run = clamp(READ_ONCE(log->run_off), b.tail_off, b.head_off);
	off = find_time_in(log, run, b.head_off, time);
	/* A run that begins at just that time is not younger. */
	if (off == run && off < b.head_off && mq_log_entry(log, off, &e) && e.timestamp == time)
		return off;
	if (off == run && run > b.tail_off) {
		old = find_time_in(log, b.tail_off, run, time);
		if (old < run)
			return old;
	}
	return off;
}
