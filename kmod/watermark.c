// SPDX-License-Identifier: GPL-2.0
/*
 * Watermarks: a reader that is woken only when enough is there, or when the first
 * unread message has waited long enough.
 *
 * Who reads or polls such a file waits in a queue of the file's own, and the file
 * stands in the partition's (or the topic's) queue for it, from the first watermark
 * to the last close. There a writer tells it, in the order
 *
 *	a first message		the timer starts
 *	enough of them		the file's queue is woken
 *
 * and between the two nothing: mq_waiters_want() says how much is enough. The timer
 * wakes the file's queue, too. Whoever is woken decides with mq_watermark_below().
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include "file.h"
#include "watermark.h"

/**
 * struct mq_level - a file's watermark
 * @file: the file; owns this
 * @waiters: who waits for it; always told. Its queue's lock is inside of that of the
 *	queue in which @entry stands
 * @entry: in mq_file_rwait()'s queue
 * @timer: since the first unread message; sets @late
 * @lock: protects what follows. Inside of a queue's lock; hardirq-safe
 * @bytes: enough of them
 * @messages: also enough; if both are 0, the first message is
 * @delay: ns after which less is enough
 * @off: where the file stood when it last looked (sum over its partitions)
 * @pos: its position then (sum)
 * @timing: @timer will set @late
 * @late: @timer ran out while it stood there
 */
struct mq_level {
	struct mq_file *file;
	struct mq_waiters waiters;
	struct wait_queue_entry entry;
	struct hrtimer timer;
	spinlock_t lock;	/* what follows */
	u64 bytes;
	u64 messages;
	u64 delay;
	u64 off;
	u64 pos;
	bool timing;
	bool late;
};

/**
 * mq_file_waiters() - where those who read or poll a file wait
 * @f: the file
 */
struct mq_waiters *mq_file_waiters(struct mq_file *f)
{
	struct mq_level *l = mq_file_level(f);

	return l ? &l->waiters : mq_file_rwait(f);
}

/* Heads, summed up over the file's partitions. */
static void heads(struct mq_file *f, u64 *off, u64 *pos)
{
	unsigned int i, nr = mq_file_several(f) ? mq_file_cursors(f) : 1;

	*off = 0;
	*pos = 0;
	for (i = 0; i < nr; i++) {
		const struct mq_log *log = &mq_file_cursor(f, i)->part->log;

		*off += READ_ONCE(log->b.head_off);
		*pos += READ_ONCE(log->b.head_pos);
	}
}

/* Is waiting for more pointless? Writers wait for this reader, or nothing will come. */
static bool must_read(struct mq_file *f)
{
	unsigned int i, nr = mq_file_several(f) ? mq_file_cursors(f) : 1;

	if (mq_topic_dead(f->topic))
		return true;
	for (i = 0; i < nr; i++)
		if (atomic_read(&mq_file_cursor(f, i)->part->writers_waiting))
			return true;
	return false;
}

/* From now on so long; the lock is held. */
static void start_timer(struct mq_level *l, u64 ns)
{
	if (l->timing)
		return;
	l->timing = true;
	hrtimer_start(&l->timer, ns_to_ktime(ns), HRTIMER_MODE_REL);
}

static bool enough_locked(const struct mq_level *l, u64 off, u64 pos)
{
	if (l->late || (!l->bytes && !l->messages))
		return true;
	return pos - l->pos >= l->bytes || off - l->off >= l->messages;
}

/* Were partitions added that it had no memory to join? It does when it looks. */
static bool must_grow(const struct mq_file *f)
{
	return f->partition < 0 && mq_file_cursors(f) < mq_topic_partitions(f->topic);
}

/* Is it time to wake the file's queue? If not, the timer runs while there is anything. */
static bool level_due(struct mq_level *l)
{
	unsigned long flags;
	u64 off, pos;
	bool due;

	if (must_read(l->file) || must_grow(l->file))
		return true;
	spin_lock_irqsave(&l->lock, flags);
	heads(l->file, &off, &pos);
	due = off != l->off && enough_locked(l, off, pos);
	if (off != l->off && !due)
		start_timer(l, l->delay);
	spin_unlock_irqrestore(&l->lock, flags);
	return due;
}

/* What the head must reach before the file is to be told again. */
static void level_wants(struct mq_level *l, u64 *off, u64 *pos)
{
	unsigned long flags;

	*off = 0;
	*pos = 0;
	/* Heads of several partitions say nothing about their sum: any message, then. */
	if (mq_topic_partitions(l->file->topic) > 1 && l->file->partition < 0)
		return;
	spin_lock_irqsave(&l->lock, flags);
	if (l->timing) {
		*off = l->off + l->messages;
		*pos = l->pos + l->bytes;
	} else {
		/* A first message, to start the timer. */
		*off = l->off + 1;
		*pos = U64_MAX;
	}
	spin_unlock_irqrestore(&l->lock, flags);
}

/* Called by writers, with the lock of the queue that the file stands in. */
static int level_told(struct wait_queue_entry *entry, unsigned int mode, int sync, void *key)
{
	struct mq_level *l = container_of(entry, struct mq_level, entry);
	u64 off, pos;

	if (level_due(l)) {
		wake_up_all(&l->waiters.queue);
	} else {
		level_wants(l, &off, &pos);
		mq_waiters_want_locked(mq_file_rwait(l->file), off, pos);
	}
	return 0;
}

static enum hrtimer_restart level_late(struct hrtimer *timer)
{
	struct mq_level *l = container_of(timer, struct mq_level, timer);
	unsigned long flags;

	spin_lock_irqsave(&l->lock, flags);
	l->timing = false;
	l->late = true;
	spin_unlock_irqrestore(&l->lock, flags);
	wake_up_all(&l->waiters.queue);
	/* Polled before it had a watermark: that poller stands in the other queue. */
	if (READ_ONCE(l->file->polled))
		wake_up_all(&mq_file_rwait(l->file)->queue);
	return HRTIMER_NORESTART;
}

/**
 * mq_watermark_want() - somebody waits in the file's own queue
 * @f: the file
 *
 * A full barrier, and the caller looks again.
 */
void mq_watermark_want(struct mq_file *f)
{
	struct mq_level *l = mq_file_level(f);
	u64 off, pos;

	/* So that what it wants is told by where it stands now. */
	mq_level_below(f, l);
	level_wants(l, &off, &pos);
	mq_waiters_want(mq_file_rwait(f), off, pos);
}

/* Where a file stands and what is there, summed up. False: it must be read anyhow. */
static bool look(struct mq_file *f, u64 *at_off, u64 *at_pos, u64 *off, u64 *pos, s64 *since)
{
	unsigned int i, nr = mq_file_several(f) ? mq_file_cursors(f) : 1;
	struct mq_bounds b;
	struct mq_place at;
	struct mq_entry e;

	*at_off = *at_pos = *off = *pos = 0;
	*since = S64_MAX;
	for (i = 0; i < nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);
		const struct mq_log *log = &c->part->log;

		mq_file_cursor_now(f, c, &at);
		mq_log_bounds(log, &b);
		/* Overrun, or the end that it is read to is there. */
		if (at.off < b.tail_off || b.head_off >= c->until.off)
			return false;
		*at_off += at.off;
		*at_pos += at.pos;
		*off += b.head_off;
		*pos += b.head_pos;
		if (at.off == b.head_off)
			continue;
		/* The rest of a message that was read in part is not waited for. */
		if (!mq_log_entry(log, at.off, &e) || (!f->record && at.pos > e.position))
			return false;
		*since = min(*since, e.timestamp);
	}
	return true;
}

/**
 * mq_level_below() - mq_watermark_below() of a file that has a watermark
 * @f: the file, at its own position
 * @l: its watermark
 */
bool mq_level_below(struct mq_file *f, struct mq_level *l)
{
	u64 at_off, at_pos, off, pos;
	unsigned long flags;
	bool below = false;
	s64 since, age;

	if (must_read(f))
		return false;
	if (!look(f, &at_off, &at_pos, &off, &pos, &since))
		return false;
	spin_lock_irqsave(&l->lock, flags);
	if (at_off != l->off || at_pos != l->pos) {
		/*
		 * It has read on, and the timer is for what it has read. If it is running
		 * out just now, it waits for our lock, and the next wait will be short.
		 */
		l->off = at_off;
		l->pos = at_pos;
		l->late = false;
		if (l->timing && hrtimer_try_to_cancel(&l->timer) >= 0)
			l->timing = false;
	}
	if (off == l->off) {
		below = l->bytes || l->messages;
	} else if (!enough_locked(l, off, pos)) {
		/* The first message's time began when it came, not when we look. */
		age = clamp_t(s64, ktime_get_real_ns() - since, 0, l->delay);
		below = age < l->delay;
		if (below)
			start_timer(l, l->delay - age);
	}
	spin_unlock_irqrestore(&l->lock, flags);
	return below;
}

static struct mq_level *level_make(struct mq_file *f)
{
	static struct lock_class_key inner;
	struct mq_level *l = kzalloc(sizeof(*l), GFP_KERNEL_ACCOUNT);

	if (!l)
		return NULL;
	l->file = f;
	mq_waiters_init(&l->waiters);
	/* level_told() takes it with a partition's or a topic's held. */
	lockdep_set_class(&l->waiters.queue.lock, &inner);
	init_waitqueue_func_entry(&l->entry, level_told);
	spin_lock_init(&l->lock);
	hrtimer_setup(&l->timer, level_late, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	return l;
}

/**
 * mq_watermark_set() - set a file's watermark
 * @f: the file, open for reading
 * @mark: checked
 *
 * Return: 0; -EINVAL beyond a quarter of a ring, or without a bound in time; -ENOMEM.
 */
int mq_watermark_set(struct mq_file *f, const struct mq_watermark *mark)
{
	struct mq_level *l, *made = NULL;

	if (mark->bytes > f->topic->ring_bytes / MQ_QUARTER ||
	    mark->messages > f->topic->ring_messages / MQ_QUARTER ||
	    mark->delay > MQ_MAX_WATERMARK_NS || mark->reserved ||
	    !mark->delay != (!mark->bytes && !mark->messages))
		return -EINVAL;
	if (!mq_file_level(f)) {
		made = level_make(f);
		if (!made)
			return -ENOMEM;
	}
	mutex_lock(&f->grow);
	l = f->level;
	if (!l) {
		l = made;
		made = NULL;
		add_wait_queue(&mq_file_rwait(f)->queue, &l->entry);
		/* Pairs with the load-acquire in mq_file_level(). */
		smp_store_release(&f->level, l);
	}
	spin_lock_irq(&l->lock);
	/* A quarter of either ring is always enough: nothing is overrun for the other's sake. */
	l->bytes = mark->bytes || !mark->delay ? mark->bytes : f->topic->ring_bytes / MQ_QUARTER;
	l->messages = mark->messages || !mark->delay ? mark->messages :
						       f->topic->ring_messages / MQ_QUARTER;
	l->delay = mark->delay;
	l->late = false;
	if (l->timing && hrtimer_try_to_cancel(&l->timer) >= 0)
		l->timing = false;
	spin_unlock_irq(&l->lock);
	mutex_unlock(&f->grow);
	kfree(made);
	/* Who waits already looks again, by the new one. */
	wake_up_all(&mq_file_rwait(f)->queue);
	wake_up_all(&l->waiters.queue);
	return 0;
}

/**
 * mq_watermark_free() - a file goes
 * @f: the file; nobody reads or polls it any more
 */
void mq_watermark_free(struct mq_file *f)
{
	struct mq_level *l = f->level;

	if (!l)
		return;
	/* No writer finds it any more, so none starts the timer. */
	remove_wait_queue(&mq_file_rwait(f)->queue, &l->entry);
	hrtimer_cancel(&l->timer);
	kfree(l);
}
