// SPDX-License-Identifier: GPL-2.0
/*
 * Writers that wait until there is room, or until a pause ends.
 */
#include <linux/hrtimer.h>
#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include "room.h"

#define ROOM_PART	8			/* of the ring: so much free is worth a wake-up */
#define ROOM_DELAY	(10 * NSEC_PER_MSEC)

/**
 * mq_room_refused() - may this write not wait for room?
 * @p: the partition, which has none
 * @nonblock: the caller must not wait
 *
 * Return: 0 to wait, -EAGAIN, or -ENOBUFS (counted) with overflow=reject.
 */
int mq_room_refused(struct mq_partition *p, bool nonblock)
{
	if (!READ_ONCE(p->topic->paused) &&
	    READ_ONCE(p->topic->overflow) == MQ_OVERFLOW_REJECT) {
		atomic64_inc(&p->rejected);
		return -ENOBUFS;
	}
	return nonblock ? -EAGAIN : 0;
}

/**
 * mq_room_wait_begin() - stand in the queue for room
 * @p: the partition
 * @wait: on the caller's stack, until mq_room_wait_end()
 * @bytes: payload that it wants to append
 *
 * The caller tries again before each mq_room_wait(): a wake-up between the two
 * is remembered.
 */
void mq_room_wait_begin(struct mq_partition *p, struct mq_room_wait *wait, u64 bytes)
{
	init_waitqueue_func_entry(&wait->entry, woken_wake_function);
	wait->entry.private = current;
	wait->entry.flags = 0;
	mq_who_waits(&wait->who, p, false, bytes);
	atomic_inc(&p->writers_waiting);
	add_wait_queue(&p->wwait, &wait->entry);
	/* Queue, barrier, look for room here; room, barrier, queue in mq_room_wake(), _made(). */
	smp_mb();
	/* Who waits for more than there is room for must read: must_read() in watermark.c. */
	mq_waiters_tell_all(&p->rwait);
	mq_waiters_tell_all(&p->topic->rwait);
}

/**
 * mq_room_wait() - wait until there may be room
 * @p: the partition
 * @wait: from mq_room_wait_begin()
 *
 * Return: 0 to try again, -ERESTARTSYS at a signal.
 */
int mq_room_wait(struct mq_partition *p, struct mq_room_wait *wait)
{
	const struct mq_log *log = &p->log;

	if (signal_pending(current))
		return -ERESTARTSYS;
	/* Who reads or overwrites these sees an old value or a new one: told soon, or late. */
	WRITE_ONCE(p->room_pos, READ_ONCE(log->b.tail_pos) + log->data.size / ROOM_PART);
	WRITE_ONCE(p->room_off, READ_ONCE(log->b.tail_off) +
		   log->index.size / sizeof(struct mq_entry) / ROOM_PART);
	wait_woken(&wait->entry, TASK_INTERRUPTIBLE | TASK_FREEZABLE, MAX_SCHEDULE_TIMEOUT);
	return 0;
}

void mq_room_wait_end(struct mq_partition *p, struct mq_room_wait *wait)
{
	remove_wait_queue(&p->wwait, &wait->entry);
	atomic_dec(&p->writers_waiting);
	mq_who_goes(&wait->who);
}

/**
 * mq_room_wake() - there may be room: tell waiting writers
 * @p: the partition; a full barrier stands between what made the room and
 *	this call
 */
void mq_room_wake(struct mq_partition *p)
{
	/* After the caller's barrier. */
	if (waitqueue_active(&p->wwait))
		wake_up_interruptible_poll(&p->wwait, EPOLLOUT | EPOLLWRNORM);
}

static bool room_enough(const struct mq_partition *p, u64 at)
{
	const struct mq_log *log = &p->log;
	u64 place = at & ~MQ_HOLD_OFFSET;

	if (at & MQ_HOLD_OFFSET)
		return place >= min(READ_ONCE(p->room_off), READ_ONCE(log->b.head_off));
	return place >= min(READ_ONCE(p->room_pos), READ_ONCE(log->b.head_pos));
}

/**
 * mq_room_made() - a reader lets go of what it has read
 * @p: the partition; a full barrier stands between the reader's move and this call
 * @at: first position (or MQ_HOLD_OFFSET and offset) that the reader still holds
 *
 * Who reads message by message makes room for one at a time; to tell the writer each
 * time would cost two switches a message. It is told when a part of the ring is free, when
 * the reader has read everything, and at the latest after ROOM_DELAY.
 */
void mq_room_made(struct mq_partition *p, u64 at)
{
	/* After the caller's barrier. */
	if (likely(!waitqueue_active(&p->wwait)))
		return;
	if (room_enough(p, at))
		mq_room_wake(p);
	else if (!hrtimer_is_queued(&p->room_timer))
		/* Maybe it runs just now, and its wake-up was too early for this move. */
		hrtimer_start(&p->room_timer, ROOM_DELAY, HRTIMER_MODE_REL);
}

static enum hrtimer_restart room_late(struct hrtimer *timer)
{
	/* What a reader let go of before it found the timer queued is seen by the woken. */
	mq_room_wake(container_of(timer, struct mq_partition, room_timer));
	return HRTIMER_NORESTART;
}

/**
 * mq_room_init() - nobody waits for room
 * @p: the partition
 */
void mq_room_init(struct mq_partition *p)
{
	init_waitqueue_head(&p->wwait);
	hrtimer_setup(&p->room_timer, room_late, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
}

/**
 * mq_room_destroy() - nobody will
 * @p: the partition, with no files left. Sleeps.
 */
void mq_room_destroy(struct mq_partition *p)
{
	hrtimer_cancel(&p->room_timer);
}
