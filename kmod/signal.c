// SPDX-License-Identifier: GPL-2.0
/*
 * O_ASYNC: signals to whom F_SETOWN names. The file stands in the queues where readers and
 * writers wait, so that an append finds nothing more to look at than it does anyhow.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "file.h"

/**
 * struct mq_signals - a file that sends signals
 * @f: the file; owns this while O_ASYNC is set
 * @list: the kernel's, of whom to tell: one entry
 * @head: messages there when it last told of some (the readers' queue's lock)
 * @rwait: in the queue of its readers, if it is open for reading
 * @wwait: in the queue for room, if it is open for writing
 */
struct mq_signals {
	struct mq_file *f;
	struct fasync_struct *list;
	u64 head;
	struct wait_queue_entry rwait;
	struct wait_queue_entry wwait;
};

/* Called under the queue's lock; kill_fasync()'s locks are inside of any. */
static void tell(struct mq_signals *s, int band)
{
	kill_fasync(&s->list, SIGIO, mq_topic_dead(s->f->topic) ? POLL_HUP : band);
}

/* Messages appended ever, to all that the file reads. */
static u64 heads(struct mq_file *f)
{
	unsigned int i, nr = f->partition < 0 ? mq_topic_partitions(f->topic) : 1;
	u64 sum = 0;

	for (i = 0; i < nr; i++) {
		const struct mq_partition *p = f->partition < 0 ?
			mq_topic_partition(f->topic, i) : f->first.part;

		sum += READ_ONCE(p->log.b.head_off);
	}
	return sum;
}

static int wake_reader(struct wait_queue_entry *wait, unsigned int mode, int sync, void *key)
{
	struct mq_signals *s = container_of(wait, struct mq_signals, rwait);
	u64 head = heads(s->f);

	/* Nobody looks in vain before the next signal, so each append is of interest. */
	mq_waiters_want_locked(mq_file_rwait(s->f), 0, 0);
	/* Something else may have changed: the topic's deletion counts. */
	if (head == s->head && !mq_topic_dead(s->f->topic))
		return 0;
	s->head = head;
	tell(s, POLL_IN);
	return 0;
}

static int wake_writer(struct wait_queue_entry *wait, unsigned int mode, int sync, void *key)
{
	struct mq_signals *s = container_of(wait, struct mq_signals, wwait);

	/* Of a deletion the readers' side has told. */
	if (!mq_topic_dead(s->f->topic) || !(s->f->filp->f_mode & FMODE_READ))
		tell(s, POLL_OUT);
	return 0;
}

static struct mq_signals *signals_alloc(struct mq_file *f)
{
	struct mq_signals *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);

	if (!s)
		return NULL;
	s->f = f;
	init_waitqueue_func_entry(&s->rwait, wake_reader);
	init_waitqueue_func_entry(&s->wwait, wake_writer);
	return s;
}

int mq_dev_fasync(int fd, struct file *filp, int on)
{
	struct mq_file *f = filp->private_data;
	struct mq_signals *s;
	int ret = 0;

	mutex_lock(&f->grow);
	s = f->signals;
	if (!s && on) {
		s = signals_alloc(f);
		ret = -ENOMEM;
	}
	if (!s)
		goto out;
	ret = fasync_helper(fd, filp, on, &s->list);
	if (on && !f->signals) {
		if (ret < 0) {
			kfree(s);
			goto out;
		}
		f->signals = s;
		if (filp->f_mode & FMODE_READ) {
			s->head = heads(f);
			add_wait_queue(&mq_file_rwait(f)->queue, &s->rwait);
			mq_waiters_want(mq_file_rwait(f), 0, 0);
		}
		if (filp->f_mode & FMODE_WRITE)
			add_wait_queue(&f->wpart->wwait, &s->wwait);
	} else if (!on) {
		if (filp->f_mode & FMODE_READ)
			remove_wait_queue(&mq_file_rwait(f)->queue, &s->rwait);
		if (filp->f_mode & FMODE_WRITE)
			remove_wait_queue(&f->wpart->wwait, &s->wwait);
		f->signals = NULL;
		kfree(s);
	}
out:
	mutex_unlock(&f->grow);
	return ret;
}
