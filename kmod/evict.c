// SPDX-License-Identifier: GPL-2.0
/*
 * Room in a log: which of the oldest messages go for a write, and which are held.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include "append.h"
#include "evict.h"
#include "hold.h"
#include "limits.h"
#include "mmap.h"
#include "topic.h"

#define ENTRY_SIZE	sizeof(struct mq_entry)

/* A place for the tail, while room is looked for. */
struct tail {
	u64 off;
	u64 pos;
	u64 attr;
	u64 empty;
};

/* Move the tail. What is below it may be overwritten once this has returned. */
static void evict_to(struct mq_log *log, const struct tail *to)
{
	write_seqcount_begin(&log->seq);
	log->b.tail_attr = to->attr;
	log->b.tail_empty = to->empty;
	WRITE_ONCE(log->b.tail_off, to->off);
	WRITE_ONCE(log->b.tail_pos, to->pos);
	write_seqcount_end(&log->seq);
	if (unlikely(log->map))
		mq_map_show_tail(log);
	/*
	 * Pairs with the barriers in mq_log_valid_from(), mq_log_pos_valid(), of
	 * mapped readers and in the splice of a page: either the reader sees the
	 * new tail, or we see its reference, and what it copied before was still
	 * the old bytes.
	 */
	smp_mb();
}

static inline struct tail tail_of(const struct mq_log *log)
{
	return (struct tail) {
		.off = log->b.tail_off,
		.pos = log->b.tail_pos,
		.attr = log->b.tail_attr,
		.empty = log->b.tail_empty,
	};
}

/* The tail at a later message, or at the end of the log; @empty is pass_empty()'s. */
static struct tail tail_at(const struct mq_log *log, const struct tail *t, u64 off)
{
	struct tail to = { .off = off, .empty = t->empty };

	if (off == log->b.head_off) {
		to.pos = log->b.head_pos;
		to.attr = log->b.head_attr;
	} else {
		const struct mq_entry *e = mq_log_slot(log, off);

		to.pos = e->position;
		to.attr = e->attr_position;
	}
	return to;
}

/* Count the messages without payload from message @from to the tail. */
static void pass_empty(const struct mq_log *log, u64 from, struct tail *t)
{
	/* Most logs have none at all. */
	if (likely(t->empty == log->b.head_empty))
		return;
	for (; from < t->off; from++)
		t->empty += !mq_log_slot(log, from)->len;
}

/* Is there room between a tail and so much more at the head? Differences, for numbers wrap. */
static inline bool fits(const struct mq_log *log, const struct tail *t, const struct mq_append *a)
{
	return log->b.head_pos - t->pos + a->bytes <= log->data.size &&
	       (log->b.head_off - t->off + a->count) * ENTRY_SIZE <= log->index.size &&
	       log->b.head_attr - t->attr + mq_append_attr_bytes(a) <= log->attrs.size;
}

/* The first message from @lo on that is held; @hi if none below it is. */
static u64 first_held(struct mq_partition *p, u64 lo, u64 hi)
{
	/* What is held is held from some message on. */
	while (lo < hi) {
		u64 mid = lo + (hi - lo) / 2;

		if (mq_held(p, mid))
			hi = mid;
		else
			lo = mid + 1;
	}
	return hi;
}

/* So many messages may be evicted beyond need where nothing is held. */
static u64 ahead(const struct mq_log *log)
{
	return min_t(u64, log->index.size / ENTRY_SIZE / MQ_EVICT_PART, MQ_EVICT_AHEAD);
}

/*
 * Find the tail that leaves room for the write: in steps that double, then by
 * bisection. Only computes: nothing is evicted if it does not succeed.
 */
static int find_room(struct mq_partition *p, struct tail *t, const struct mq_append *a,
		     u64 *dropped)
{
	const struct mq_log *log = &p->log;
	const struct tail was = *t;
	u64 lo = was.off, step = a->count, slack = mq_may_hold(p) ? 1 : max(ahead(log), 1ULL);

	*dropped = 0;
	if (fits(log, t, a))
		return MQ_STEP_DONE;
	/* Not at @lo; at t->off once the first loop is through. */
	for (;; step *= 2) {
		*t = tail_at(log, &was, min(lo + step, log->b.head_off));
		/* The empty log has room for any write that passed mq_append_check(). */
		if (fits(log, t, a) || t->off == log->b.head_off)
			break;
		lo = t->off;
	}
	while (t->off - lo > slack) {
		struct tail mid = tail_at(log, &was, lo + (t->off - lo) / 2);

		if (fits(log, &mid, a))
			*t = mid;
		else
			lo = mid.off;
	}
	if (mq_may_hold(p) && mq_held(p, t->off - 1)) {
		if (READ_ONCE(p->topic->overflow) != MQ_OVERFLOW_DROP_OLDEST)
			return MQ_STEP_FULL;
		*dropped = t->off - first_held(p, was.off, t->off - 1);
	}
	pass_empty(log, was.off, t);
	return MQ_STEP_DONE;
}

/*
 * Go on to a tail that leaves room for the next writes like this one, too, unless a
 * message there is held or that would be much of the ring.
 */
static void evict_ahead(struct mq_partition *p, struct tail *t, const struct mq_append *a)
{
	const struct mq_log *log = &p->log;
	u64 most = log->data.size / MQ_EVICT_PART;
	u64 off = t->off + ahead(log);
	struct tail to;

	if (a->bytes * MQ_EVICT_AHEAD > most)
		off = t->off + min(ahead(log), div64_u64(most * a->count, a->bytes));
	/* Messages without payload would have to be counted. */
	if (off >= log->b.head_off || t->empty != log->b.head_empty)
		return;
	/* What is held is held from some message on, so the last one tells. */
	if (mq_may_hold(p) && mq_held(p, off - 1))
		return;
	to = tail_at(log, t, off);
	if (to.pos - t->pos <= most)
		*t = to;
}

/**
 * mq_evict_look() - could room be made for a write? Nothing is changed.
 * @p: the partition; its log's lock is held
 * @a: the write
 *
 * Return: MQ_STEP_DONE or MQ_STEP_FULL.
 */
int mq_evict_look(struct mq_partition *p, const struct mq_append *a)
{
	struct tail t = tail_of(&p->log);
	u64 dropped;

	return find_room(p, &t, a, &dropped);
}

/**
 * mq_evict_for() - make room for a write
 * @p: the partition; its log's lock is held
 * @a: the write
 *
 * Return: MQ_STEP_DONE; MQ_STEP_FULL, and nothing was evicted.
 */
int mq_evict_for(struct mq_partition *p, const struct mq_append *a)
{
	struct tail t = tail_of(&p->log);
	u64 dropped = 0;
	int step;

	if (fits(&p->log, &t, a))
		return MQ_STEP_DONE;
	/* One message: what is evicted ahead is enough, most often. */
	if (a->count == 1)
		evict_ahead(p, &t, a);
	if (!fits(&p->log, &t, a)) {
		t = tail_of(&p->log);
		step = find_room(p, &t, a, &dropped);
		if (step != MQ_STEP_DONE)
			return step;
		evict_ahead(p, &t, a);
	}
	WRITE_ONCE(p->evicted, p->evicted + (t.off - p->log.b.tail_off));
	if (unlikely(dropped))
		WRITE_ONCE(p->dropped_held, p->dropped_held + dropped);
	evict_to(&p->log, &t);
	return MQ_STEP_DONE;
}

/**
 * mq_evict() - take the oldest messages away (test hooks)
 * @p: the partition
 * @count: how many, 0 for all
 */
void mq_evict(struct mq_partition *p, u64 count)
{
	struct mq_log *log = &p->log;
	struct tail t;

	mutex_lock(&log->lock);
	t = tail_of(log);
	if (!count || count > log->b.head_off - t.off)
		count = log->b.head_off - t.off;
	WRITE_ONCE(p->evicted, p->evicted + count);
	t = tail_at(log, &t, t.off + count);
	pass_empty(log, log->b.tail_off, &t);
	evict_to(log, &t);
	mutex_unlock(&log->lock);
}
