// SPDX-License-Identifier: GPL-2.0
/*
 * The file operations of a topic: open, close, poll, what a file shows.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include "append.h"
#include "file.h"
#include "filter.h"
#include "fs.h"
#include "hold.h"
#include "name.h"
#include "watermark.h"
#include "who.h"

static struct mq_file *file_alloc(struct file *filp, struct mq_topic *topic, int partition,
				  const struct mq_name *name)
{
	struct mq_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return NULL;
	f->topic = topic;
	f->filp = filp;
	f->partition = partition;
	f->record = name->record;
	f->skip = name->overrun_skip;
	f->until_end = name->until_end;
	spin_lock_init(&f->lock);
	mutex_init(&f->rlock);
	mutex_init(&f->memo_lock);
	mutex_init(&f->grow);
	mutex_init(&f->wlock);
	xa_init(&f->more);
	f->first.part = mq_topic_partition(topic, max(partition, 0));
	memset(&f->first.until, 0xff, sizeof(f->first.until));
	f->nr = 1;
	/* Without a key, a file's writes stick to one partition: each file to another. */
	f->wpart = partition >= 0 ? f->first.part :
		   mq_topic_partition(topic, (u32)atomic_inc_return(&topic->next_partition) %
					     mq_topic_partitions(topic));
	f->uid = from_kuid(&init_user_ns, filp->f_cred->euid);
	return f;
}

/*
 * From here on a change of the topic finds the file: what partitions were added
 * before that it joins itself.
 */
static int enter(struct mq_file *f)
{
	int err;

	f->opened = true;
	err = mq_who_opens(f);
	if (err)
		return err;
	/* In the table, barrier, partitions here; the other way round in mq_who_joins(). */
	smp_mb();
	err = mq_file_grow(f);
	if (err)
		mq_who_closes(f);
	return err;
}

/* Place a reader's cursors as the name says. */
static int start_reading(struct mq_file *f, const struct mq_name *name)
{
	bool several = mq_file_several(f);
	unsigned int i;
	int err;

	if (several && name->from == MQ_FROM_OFFSET)
		return -EINVAL;
	err = mq_file_grow(f);
	for (i = 0; !err && i < f->nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		err = mq_file_start(f, c, name->from, name->value);
		if (!err && name->until_end)
			mq_place_newest(&c->part->log, &c->until);
		if (err)
			break;
		mq_reader_shows(f, c, &c->at, false);
		/* What was the oldest may have gone before it was held: now the oldest stays. */
		if (READ_ONCE(f->topic->hold) && c->holder.active &&
		    name->from != MQ_FROM_OFFSET) {
			err = mq_file_start(f, c, name->from, name->value);
			mq_reader_shows(f, c, &c->at, false);
		}
	}
	return err;
}

static void set_modes(struct mq_file *f)
{
	struct file *filp = f->filp;

	/* VFS would store a stale position after a write: here the driver keeps it. */
	if ((filp->f_mode & (FMODE_READ | FMODE_WRITE)) == (FMODE_READ | FMODE_WRITE)) {
		f->keeps_pos = true;
		filp->f_mode |= FMODE_STREAM;
		filp->f_mode &= ~FMODE_PREAD;
	}
	if (mq_file_several(f)) {
		filp->f_mode &= ~FMODE_PREAD;
		f->several = true;
	}
	filp->f_mode |= FMODE_NOWAIT;
	/* At open it enables nothing (open(2)); left there, fcntl() would find it set already. */
	filp->f_flags &= ~FASYNC;
	/* Near 2^63 VFS would refuse a buffer that reaches beyond, full or not. */
	mq_set_unsigned_offset(filp);
}

static int mq_dev_open(struct inode *inode, struct file *filp)
{
	const struct qstr *str = &filp->f_path.dentry->d_name;
	bool reads = filp->f_mode & FMODE_READ, writes = filp->f_mode & FMODE_WRITE;
	struct mq_topic *topic = mq_inode_topic(inode);
	struct mq_name name;
	struct mq_file *f;
	int err;

	/* Nothing renames a dentry here, so its name is what was looked up. */
	err = mq_name_parse(str->name, str->len, &name);
	if (err)
		return err;
	err = mq_topic_open(topic, reads, writes);
	if (err)
		return err;
	err = -ENOMEM;
	f = file_alloc(filp, topic, mq_inode_partition(inode), &name);
	if (!f)
		goto err_topic;
	filp->private_data = f;
	if (reads)
		atomic_inc(&f->first.part->readers);
	if (writes)
		atomic_inc(&f->wpart->writers);
	set_modes(f);
	err = reads ? start_reading(f, &name) ?: enter(f) : 0;
	if (err)
		goto err_file;
	return 0;

err_file:
	if (writes)
		atomic_dec(&f->wpart->writers);
	mq_file_free_cursors(f);
	kfree(f);
err_topic:
	mq_topic_release(topic, reads, writes);
	return err;
}

static int mq_dev_release(struct inode *inode, struct file *filp)
{
	bool reads = filp->f_mode & FMODE_READ, writes = filp->f_mode & FMODE_WRITE;
	struct mq_file *f = filp->private_data;
	struct mq_partition *p = f->wpart;

	if (reads)
		mq_who_closes(f);
	/* The last close never waits: without room the unfinished line is lost, and counted. */
	if (writes && f->line_len && mq_line_flush(f, MQ_TRY))
		atomic64_inc(&p->dropped_unfinished);
	if (writes)
		atomic_dec(&p->writers);
	mq_watermark_free(f);
	mq_map_release(f);
	mq_file_free_cursors(f);
	kvfree(f->line);
	mq_scratch_free(f);
	mq_filter_free(f);
	mq_topic_release(f->topic, reads, writes);
	kfree(f);
	return 0;
}

static __poll_t poll_cursor(struct mq_file *f, struct mq_cursor *c)
{
	struct mq_bounds b;
	struct mq_place at;

	mq_file_cursor_now(f, c, &at);
	mq_memo_drop(f);
	mq_reader_shows(f, c, &at, false);
	mq_log_bounds(&c->part->log, &b);
	if (f->record ? at.off < b.tail_off : at.pos < b.tail_pos)
		return EPOLLIN | EPOLLRDNORM | (f->skip ? 0 : EPOLLPRI | EPOLLERR);
	if (f->record ? at.off < b.head_off || at.off >= c->until.off :
			at.pos < b.head_pos || at.pos >= c->until.pos)
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

/* Queue, and say that any change is of interest: nobody who was told is told again. */
static void poll_readers(struct mq_file *f, struct poll_table_struct *table)
{
	struct mq_waiters *w = mq_file_waiters(f);

	if (w == mq_file_rwait(f)) {
		WRITE_ONCE(f->polled, true);
		poll_wait(f->filp, &w->queue, table);
		mq_waiters_want(w, 0, 0);
	} else {
		poll_wait(f->filp, &w->queue, table);
		mq_watermark_want(f);
	}
}

static __poll_t mq_dev_poll(struct file *filp, struct poll_table_struct *table)
{
	struct mq_file *f = filp->private_data;
	struct mq_partition *p = f->wpart;
	__poll_t events = 0;
	unsigned int i, nr;

	if (filp->f_mode & FMODE_READ)
		poll_readers(f, table);
	if (filp->f_mode & FMODE_WRITE)
		poll_wait(filp, &p->wwait, table);
	/* Queue, barrier, state here; state, barrier, queue in mq_append_wake(), mq_hold_move(). */
	smp_mb();

	if (mq_topic_dead(f->topic))
		events |= EPOLLHUP;
	if (filp->f_mode & FMODE_READ) {
		if (mq_file_grow(f))
			events |= EPOLLERR;
		nr = mq_file_cursors(f);
		for (i = 0; i < nr; i++)
			events |= poll_cursor(f, mq_file_cursor(f, i));
		if (events && mq_watermark_below(f))
			events &= ~(EPOLLIN | EPOLLRDNORM);
	}
	if ((filp->f_mode & FMODE_WRITE) &&
	    (poll_requested_events(table) & (EPOLLOUT | EPOLLWRNORM)) &&
	    mq_append_room(p, READ_ONCE(f->topic->max_message_bytes)))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static void mq_dev_fdinfo(struct seq_file *m, struct file *filp)
{
	struct mq_file *f = filp->private_data;
	struct mq_stat st;

	seq_printf(m, "mq-topic:\t%s\n", f->topic->name);
	seq_printf(m, "mq-topic-id:\t%*phN\n", MQ_TOPIC_ID_LEN, f->topic->id);
	if (f->partition >= 0)
		seq_printf(m, "mq-partition:\t%d\n", f->partition);
	if (!(filp->f_mode & FMODE_READ))
		return;
	/* It may be somebody else's file, in the middle of a call: it joins nothing here. */
	mq_file_look(f, &st);
	seq_printf(m, "mq-position:\t%llu\n", st.position);
	seq_printf(m, "mq-offset:\t%llu\n", st.offset);
	seq_printf(m, "mq-lag:\t%llu\n", st.lag_messages);
	seq_printf(m, "mq-lag-bytes:\t%llu\n", st.lag_bytes);
	seq_printf(m, "mq-lost:\t%llu\n", st.lost_messages);
	seq_printf(m, "mq-overruns:\t%llu\n", st.overruns);
	seq_printf(m, "mq-filtered:\t%llu\n", st.filtered_messages);
}

const struct file_operations mq_dev_fops = {
	.owner		= THIS_MODULE,
	MQ_FOP_UNSIGNED_OFFSET
	.open		= mq_dev_open,
	.release	= mq_dev_release,
	.llseek		= mq_dev_llseek,
	.read_iter	= mq_dev_read_iter,
	.write		= mq_dev_write,
	.write_iter	= mq_dev_write_iter,
	.splice_read	= mq_dev_splice_read,
	.splice_write	= mq_dev_splice_write,
	.poll		= mq_dev_poll,
	.mmap		= mq_dev_mmap,
	.fsync		= mq_dev_fsync,
	.unlocked_ioctl	= mq_dev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.fasync		= mq_dev_fasync,
	.show_fdinfo	= mq_dev_fdinfo,
};
