// SPDX-License-Identifier: GPL-2.0
/*
 * What keeps messages from being overwritten.
 */
#include <linux/minmax.h>
#include "hold.h"

static bool below_bounds(const struct mq_partition *p, u64 off)
{
	const struct mq_entry *e = mq_log_slot(&p->log, off);

	return off < p->held_off && e->position + e->len <= p->held_pos;
}

static bool readers_hold(const struct mq_partition *p)
{
	return (READ_ONCE(p->topic->hold) & MQ_HOLD_READERS) && !list_empty(&p->holders);
}

static void lower_bound(struct mq_partition *p, const struct mq_holder *h)
{
	u64 hold = READ_ONCE(h->hold);
	u64 *bound = hold & MQ_HOLD_OFFSET ? &p->held_off : &p->held_pos;

	*bound = min(*bound, hold & ~MQ_HOLD_OFFSET);
}

/* Readers only move forward without the lock, so what is computed stays a lower bound. */
static void compute_bounds(struct mq_partition *p)
{
	struct mq_holder *h;

	p->held_pos = U64_MAX;
	p->held_off = U64_MAX;
	list_for_each_entry(h, &p->holders, node)
		lower_bound(p, h);
}

/**
 * mq_held() - must this message not be overwritten?
 * @p: the partition; its log's lock is held
 * @off: a retained message's offset
 */
bool mq_held(struct mq_partition *p, u64 off)
{
	if (p->topic->persistent && off >= READ_ONCE(p->durable_off))
		return true;
	if (!readers_hold(p))
		return false;
	if (below_bounds(p, off))
		return false;
	compute_bounds(p);
	return !below_bounds(p, off);
}

/* The oldest message held; the end of the log if nothing is. The log's lock is held. */
static u64 held_offset(struct mq_partition *p)
{
	u64 lo = p->log.b.tail_off, hi = p->log.b.head_off, off;

	if (p->topic->persistent)
		hi = clamp(p->durable_off, lo, hi);
	compute_bounds(p);
	/* What is held is held from some message on. */
	while (readers_hold(p) && lo < hi) {
		off = lo + (hi - lo) / 2;
		if (below_bounds(p, off))
			lo = off + 1;
		else
			hi = off;
	}
	return hi;
}

/**
 * mq_partition_held() - the oldest message held
 * @p: the partition
 * @off: returned: its offset; the end of the log if nothing is held
 * @pos: returned: its position
 */
void mq_partition_held(struct mq_partition *p, u64 *off, u64 *pos)
{
	struct mq_bounds b;

	mq_log_bounds(&p->log, &b);
	*off = b.head_off;
	*pos = b.head_pos;
	if (!mq_may_hold(p))
		return;
	mutex_lock(&p->log.lock);
	*off = held_offset(p);
	*pos = *off == p->log.b.head_off ? p->log.b.head_pos :
					   mq_log_slot(&p->log, *off)->position;
	mutex_unlock(&p->log.lock);
}

/**
 * mq_hold_limits() - is it this reader that holds the oldest message held?
 * @p: the partition
 * @h: the reader's holder
 *
 * There may be several such readers; and the store may hold it, too.
 */
bool mq_hold_limits(struct mq_partition *p, const struct mq_holder *h)
{
	const struct mq_entry *e;
	bool limits = false;
	u64 off, hold;

	mutex_lock(&p->log.lock);
	off = held_offset(p);
	if (h->active && readers_hold(p) && off != p->log.b.head_off) {
		e = mq_log_slot(&p->log, off);
		hold = READ_ONCE(h->hold);
		limits = hold & MQ_HOLD_OFFSET ? (hold & ~MQ_HOLD_OFFSET) <= off :
						 hold < e->position + e->len;
	}
	mutex_unlock(&p->log.lock);
	return limits;
}

/**
 * mq_hold() - begin to hold for a reader
 * @p: the partition
 * @h: the reader's holder, not active
 * @at: first position (or MQ_HOLD_OFFSET and offset) that it has not read
 *
 * Readers are known, and where they stand, whether the topic has hold=readers or
 * not: so it binds those that are open already when it is switched on.
 */
void mq_hold(struct mq_partition *p, struct mq_holder *h, u64 at)
{
	mutex_lock(&p->log.lock);
	if (!h->active) {
		h->hold = at;
		h->active = true;
		list_add_tail(&h->node, &p->holders);
		lower_bound(p, h);
	}
	mutex_unlock(&p->log.lock);
}

/**
 * mq_hold_move() - a reader has read on, or gone elsewhere
 * @p: the partition
 * @h: the reader's holder, active
 * @at: first position (or MQ_HOLD_OFFSET and offset) that it has not read
 *
 * In another unit than the holder's nothing moves: the file's format was changed
 * meanwhile (mq_hold_convert()), and its next read shows where it stands.
 */
void mq_hold_move(struct mq_partition *p, struct mq_holder *h, u64 at)
{
	u64 was = READ_ONCE(h->hold);

	if (at == was || unlikely((at ^ was) & MQ_HOLD_OFFSET))
		return;
	/* Nobody asks; the bounds are computed anew by mq_hold_on(). */
	if (likely(!(READ_ONCE(p->topic->hold) & MQ_HOLD_READERS))) {
		/* Not over another unit, which mq_hold_convert() may have set meanwhile. */
		while (unlikely(!try_cmpxchg(&h->hold, &was, at))) {
			if ((at ^ was) & MQ_HOLD_OFFSET)
				return;
		}
		/* A full barrier; hold, then bounds in mq_topic_change() and mq_hold_on(). */
		if (unlikely(READ_ONCE(p->topic->hold) & MQ_HOLD_READERS))
			mq_hold_on(p);
		return;
	}
	/* Two readers of one file: if one moved it on meanwhile, back is under the lock. */
	while (at > was && likely(!((at ^ was) & MQ_HOLD_OFFSET))) {
		/* A full barrier: pairs with the one in mq_room_wait_begin(). */
		if (try_cmpxchg(&h->hold, &was, at)) {
			mq_room_made(p, at);
			return;
		}
	}
	if (at == was)
		return;
	/* Backward, under the lock: a writer must not evict by an old bound. */
	mutex_lock(&p->log.lock);
	if (likely(!((at ^ h->hold) & MQ_HOLD_OFFSET))) {
		WRITE_ONCE(h->hold, at);
		lower_bound(p, h);
	}
	mutex_unlock(&p->log.lock);
}

/**
 * mq_hold_convert() - a reader counts in the other unit from now on
 * @p: the partition
 * @h: the reader's holder
 * @at: first position (or MQ_HOLD_OFFSET and offset) that it has not read
 */
void mq_hold_convert(struct mq_partition *p, struct mq_holder *h, u64 at)
{
	mutex_lock(&p->log.lock);
	if (h->active) {
		WRITE_ONCE(h->hold, at);
		lower_bound(p, h);
	}
	mutex_unlock(&p->log.lock);
}

/**
 * mq_hold_on() - hold=readers was switched on, or a reader moved on meanwhile
 * @p: a partition of the topic
 *
 * The bounds are computed anew by the next writer; those who wait look again.
 */
void mq_hold_on(struct mq_partition *p)
{
	mutex_lock(&p->log.lock);
	p->held_pos = 0;
	p->held_off = 0;
	mutex_unlock(&p->log.lock);
	mq_room_wake(p);
}

/**
 * mq_hold_release() - a reader holds no more
 * @p: the partition
 * @h: the reader's holder
 */
void mq_hold_release(struct mq_partition *p, struct mq_holder *h)
{
	mutex_lock(&p->log.lock);
	if (h->active) {
		list_del(&h->node);
		h->active = false;
	}
	mutex_unlock(&p->log.lock);
	mq_room_wake(p);
}
