// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting until messages are durable: O_DSYNC writes and fsync.
 */
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>
#include "append.h"
#include "file.h"
#include "who.h"

static bool durable(const struct mq_partition *p, u64 end)
{
	/* Pairs with the store-release by the store's reports. */
	return smp_load_acquire(&p->durable_off) >= end;
}

/**
 * mq_durable_wait() - wait until messages of a partition are durable
 * @p: the partition
 * @end: offset after the last of them
 * @interruptible: fsync; else a write, which has appended its message already
 *	and must not report EINTR: killable only, and for at most sync_timeout
 *
 * Return: 0; -ERESTARTSYS; -EINTR if killed; -ETIMEDOUT; -ENODEV if the topic
 * was deleted.
 */
int mq_durable_wait(struct mq_partition *p, u64 end, bool interruptible)
{
	unsigned int state = interruptible ? TASK_INTERRUPTIBLE : TASK_KILLABLE;
	u32 ms = READ_ONCE(p->topic->sync_timeout);
	long left = ms && !interruptible ? msecs_to_jiffies(ms) : MAX_SCHEDULE_TIMEOUT;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	struct mq_waiter who;
	int err = 0;

	if (durable(p, end))
		return 0;
	mq_who_waits(&who, p, true, end);
	atomic_inc(&p->sync_waiting);
	add_wait_queue(&p->dwait, &wait);
	for (;;) {
		if (durable(p, end))
			break;
		if (mq_topic_dead(p->topic))
			err = -ENODEV;
		else if (interruptible && signal_pending(current))
			err = -ERESTARTSYS;
		else if (fatal_signal_pending(current))
			err = -EINTR;
		else if (!left)
			err = -ETIMEDOUT;
		if (err)
			break;
		left = wait_woken(&wait, state | TASK_FREEZABLE, left);
	}
	remove_wait_queue(&p->dwait, &wait);
	atomic_dec(&p->sync_waiting);
	mq_who_goes(&who);
	return err;
}

/*
 * fsync: everything in the topic now, whoever wrote it, is durable. On a memory
 * topic the unfinished line is appended; then -EINVAL, for nothing there is
 * ever durable.
 */
int mq_dev_fsync(struct file *filp, loff_t start, loff_t end, int datasync)
{
	struct mq_file *f = filp->private_data;
	struct mq_topic *topic = f->topic;
	unsigned int i, nr;
	int err;

	if (filp->f_mode & FMODE_WRITE) {
		err = mq_line_flush(f, mq_file_nonblock(filp) ? MQ_NONBLOCK : MQ_BLOCK);
		if (err)
			return err;
	}
	if (!topic->persistent)
		return -EINVAL;

	nr = mq_topic_partitions(topic);
	for (i = 0; i < nr; i++) {
		struct mq_partition *p = mq_topic_partition(topic, i);
		struct mq_bounds b;

		mq_log_bounds(&p->log, &b);
		err = mq_durable_wait(p, b.head_off, true);
		if (err)
			return err;
	}
	return 0;
}
