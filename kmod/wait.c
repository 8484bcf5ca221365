// SPDX-License-Identifier: GPL-2.0
/*
 * Readers that wait, and writers that need not know of those told already.
 *
 * No wake-up is lost. Who waits is in the queue, then says what it wants under the
 * queue's lock, then, after a full barrier, looks at the head. A writer moves the
 * head, then, after a full barrier, looks at @due. If it finds it set it clears it
 * and walks the queue in one critical section: so whoever had said so before is
 * told, and whoever says so afterwards finds the new head when it looks.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include "file.h"
#include "wait.h"
#include "watermark.h"

/**
 * mq_waiters_init() - nobody waits
 * @w: the waiters
 */
void mq_waiters_init(struct mq_waiters *w)
{
	init_waitqueue_head(&w->queue);
	w->due = false;
	w->off = U64_MAX;
	w->pos = U64_MAX;
}

/**
 * mq_waiters_want_locked() - somebody in the queue wants to be told
 * @w: the waiters; the queue's lock is held
 * @off: when the head is at this offset
 * @pos: or at this position
 */
void mq_waiters_want_locked(struct mq_waiters *w, u64 off, u64 pos)
{
	WRITE_ONCE(w->off, min(w->off, off));
	WRITE_ONCE(w->pos, min(w->pos, pos));
	WRITE_ONCE(w->due, true);
}

/**
 * mq_waiters_want() - the same, and the lock is not held
 * @w: the waiters
 * @off: when the head is at this offset
 * @pos: or at this position
 *
 * A full barrier, and the caller looks at the head: see above.
 */
void mq_waiters_want(struct mq_waiters *w, u64 off, u64 pos)
{
	unsigned long flags;

	spin_lock_irqsave(&w->queue.lock, flags);
	mq_waiters_want_locked(w, off, pos);
	spin_unlock_irqrestore(&w->queue.lock, flags);
	/* Want, barrier, head here; head, barrier, want in mq_append_wake(). */
	smp_mb();
}

/**
 * mq_waiters_wake() - tell who wants to know of this head
 * @w: the waiters
 * @off: offset of the head
 * @pos: its position
 *
 * Without a key: what waits in ways of its own (io_uring's multishot poll) then asks
 * ->poll, which says anew that it wants to be told.
 */
void mq_waiters_wake(struct mq_waiters *w, u64 off, u64 pos)
{
	struct wait_queue_entry *last;
	unsigned long flags;

	if (off < READ_ONCE(w->off) && pos < READ_ONCE(w->pos))
		return;
	spin_lock_irqsave(&w->queue.lock, flags);
	WRITE_ONCE(w->off, U64_MAX);
	WRITE_ONCE(w->pos, U64_MAX);
	WRITE_ONCE(w->due, false);
	__wake_up_locked_sync_key(&w->queue, TASK_INTERRUPTIBLE, NULL);
	/* Exclusive waiters (EPOLLEXCLUSIVE) stand last, and only one of them was told. */
	if (waitqueue_active(&w->queue)) {
		last = list_last_entry(&w->queue.head, struct wait_queue_entry, entry);
		if (last->flags & WQ_FLAG_EXCLUSIVE)
			mq_waiters_want_locked(w, 0, 0);
	}
	spin_unlock_irqrestore(&w->queue.lock, flags);
}

/*
 * Who was told leaves the queue, so that it is not told again until it asks anew. Also
 * who was awake yet: it was on its way to sleep, and nobody will tell it twice.
 */
static int wake_once(struct wait_queue_entry *wait, unsigned int mode, int sync, void *key)
{
	int woken = woken_wake_function(wait, mode, sync, key);

	list_del_init_careful(&wait->entry);
	return woken;
}

/*
 * Would a try find what the last one found, nothing? Asked in the queue, after the
 * barrier: a head that moves later is told. So are options, partitions and a deletion,
 * always under the queue's lock: those told before we stood there are seen. False where
 * it takes more than a look.
 */
static bool still_nothing(struct mq_file *f, u64 at)
{
	if (mq_file_several(f) || READ_ONCE(f->special) || mq_topic_dead(f->topic))
		return false;
	return mq_cursor_at_head(&f->first, READ_ONCE(f->record), at);
}

/**
 * mq_reader_wait() - wait for more to read
 * @f: the file
 * @wait: on the caller's stack; @in is NULL at first
 * @at: where the caller found nothing, as the file counts; U64_MAX: it looks again by itself
 *
 * The first call, and one after a wake-up, joins the queue. It waits only if what the
 * caller saw before it stood there is still so; else the caller looks again first.
 *
 * Return: 0 to look again, -ERESTARTSYS at a signal.
 */
int mq_reader_wait(struct mq_file *f, struct mq_wait *wait, u64 at)
{
	struct wait_queue_entry *entry = &wait->entry;
	bool joins = !wait->in, marked;
	unsigned long flags;

	if (joins) {
		init_waitqueue_func_entry(entry, wake_once);
		entry->private = current;
		entry->flags = 0;
	} else {
		/* Locked: wake_once() wakes first and removes then; we could see us queued. */
		spin_lock_irqsave(&wait->in->queue.lock, flags);
		joins = list_empty(&entry->entry);
		spin_unlock_irqrestore(&wait->in->queue.lock, flags);
	}
	if (joins) {
		wait->in = mq_file_waiters(f);
		spin_lock_irqsave(&wait->in->queue.lock, flags);
		__add_wait_queue(&wait->in->queue, entry);
		mq_waiters_want_locked(wait->in, 0, 0);
		spin_unlock_irqrestore(&wait->in->queue.lock, flags);
		marked = wait->in != mq_file_rwait(f);
		if (marked)
			mq_watermark_want(f);
		/* Want, barrier, head here; head, barrier, want in mq_append_wake(). */
		smp_mb();
		if (marked || !still_nothing(f, at))
			return 0;
	}
	if (signal_pending(current))
		return -ERESTARTSYS;
	wait_woken(entry, TASK_INTERRUPTIBLE | TASK_FREEZABLE, MAX_SCHEDULE_TIMEOUT);
	return 0;
}

/**
 * mq_reader_wait_end() - wait no more
 * @wait: from mq_reader_wait(), or never used
 */
void mq_reader_wait_end(struct mq_wait *wait)
{
	if (wait->in && !list_empty_careful(&wait->entry.entry))
		remove_wait_queue(&wait->in->queue, &wait->entry);
}
