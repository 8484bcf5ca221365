// SPDX-License-Identifier: GPL-2.0
/*
 * ioctls. A structure begins with its size: what the caller's has beyond ours
 * must be zero, what ours has beyond the caller's is not returned.
 */
#include <linux/compat.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/ioctls.h>
#include "file.h"
#include "filter.h"
#include "watermark.h"

/* Copy a structure of at least @min bytes, growable, from the caller. Its size, or an error. */
static long arg_get(void *to, size_t ksize, size_t min, const void __user *from)
{
	u32 usize;
	long err;	/* of int, "err ?: usize" would be unsigned */

	if (get_user(usize, (const u32 __user *)from))
		return -EFAULT;
	if (usize < min || usize > PAGE_SIZE)
		return -EINVAL;
	err = copy_struct_from_user(to, ksize, from, usize);
	return err ?: usize;
}

static int arg_put(void __user *to, size_t usize, const void *from, size_t ksize)
{
	return copy_to_user(to, from, min(usize, ksize)) ? -EFAULT : 0;
}

static long ioctl_features(void __user *arg)
{
	struct mq_features features;
	long size = arg_get(&features, sizeof(features), sizeof(features), arg);

	static_assert(_IOC_SIZE(MQ_IOC_FEATURES) == sizeof(struct mq_features));
	if (size < 0)
		return size;
	memset(&features, 0, sizeof(features));
	features.size = sizeof(features);
	features.version = MQ_API_VERSION;
	features.features = MQ_FEATURES;
	features.entry_size = sizeof(struct mq_entry);
	features.batch_size = sizeof(struct mq_batch);
	return arg_put(arg, size, &features, sizeof(features));
}

/**
 * mq_file_cursor_now() - where a reader stands, by what the file shows
 * @f: the file
 * @c: one of its cursors
 * @at: returned
 */
void mq_file_cursor_now(struct mq_file *f, struct mq_cursor *c, struct mq_place *at)
{
	loff_t pos;

	mq_file_settle(f);
	pos = mq_file_pos(f);
	/* A file that has not called since partitions were added stands where it did. */
	if (READ_ONCE(f->several) || c != &f->first) {
		*at = mq_cursor_load(f, c);
	} else if (f->record) {
		*at = mq_cursor_load(f, c);
		if (at->off != pos && !mq_place_at_offset(&c->part->log, pos, at)) {
			*at = mq_cursor_load(f, c);
			at->off = pos;
		}
	} else if (mq_place_find(f, c, pos, at)) {
		*at = mq_cursor_load(f, c);
	}
}

static void add_cursor(struct mq_file *f, struct mq_cursor *c, struct mq_stat *st)
{
	struct mq_bounds b;
	struct mq_place at;

	mq_file_cursor_now(f, c, &at);
	mq_log_bounds(&c->part->log, &b);
	st->head_offset += b.head_off;
	st->head_position += b.head_pos;
	st->tail_offset += b.tail_off;
	st->tail_position += b.tail_pos;
	if (f->topic->persistent)
		st->durable_offset += READ_ONCE(c->part->durable_off);
	st->offset += at.off;
	st->position += at.pos;
	st->lag_messages += b.head_off - min(at.off, b.head_off);
	st->lag_bytes += b.head_pos - min(at.pos, b.head_pos);
	st->epoch = max(st->epoch, READ_ONCE(c->part->log.epoch));
	if (READ_ONCE(c->holder.active) && READ_ONCE(f->topic->hold))
		st->flags |= MQ_STAT_HOLDING;
}

/**
 * mq_file_look() - state of an open file, as somebody else sees it
 * @f: the file
 * @st: returned; of partitions that it has not joined yet nothing
 */
void mq_file_look(struct mq_file *f, struct mq_stat *st)
{
	struct mq_topic *topic = f->topic;
	unsigned int i, nr;

	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	memcpy(st->topic_id, topic->id, sizeof(st->topic_id));
	st->partitions = mq_topic_partitions(topic);
	st->partition = mq_file_several(f) ? MQ_PARTITION_ANY : f->first.part->number;
	st->flags = (mq_topic_dead(topic) ? MQ_STAT_DELETED : 0) |
		    (topic->persistent ? MQ_STAT_PERSISTENT : 0) |
		    (READ_ONCE(topic->framing) == MQ_FRAMING_LINE ? MQ_STAT_LINE : 0) |
		    (f->record ? MQ_STAT_RECORD : 0) |
		    (READ_ONCE(topic->paused) ? MQ_STAT_PAUSED : 0);
	nr = mq_file_cursors(f);
	for (i = 0; i < nr; i++)
		add_cursor(f, mq_file_cursor(f, i), st);
	st->lost_messages = atomic64_read(&f->lost);
	st->overruns = atomic64_read(&f->overruns);
	st->filtered_messages = atomic64_read(&f->filtered);
	st->ring_bytes = topic->ring_bytes;
	st->ring_messages = topic->ring_messages;
	st->attr_bytes = topic->attr_bytes;
	st->max_message_bytes = READ_ONCE(topic->max_message_bytes);
}

/**
 * mq_file_stat() - state of an open file
 * @f: the file
 * @st: returned
 *
 * Return: 0 or -ENOMEM.
 */
int mq_file_stat(struct mq_file *f, struct mq_stat *st)
{
	int err = mq_file_grow(f);

	if (!err)
		mq_file_look(f, st);
	return err;
}

static long ioctl_stat(struct mq_file *f, void __user *arg)
{
	struct mq_stat st;
	long size = arg_get(&st, sizeof(st), MQ_STAT_SIZE_VER0, arg);
	int err;

	static_assert(offsetof(struct mq_stat, filtered_messages) == MQ_STAT_SIZE_VER0);
	if (size < 0)
		return size;
	err = mq_file_stat(f, &st);
	return err ?: arg_put(arg, size, &st, sizeof(st));
}

static long ioctl_seek(struct mq_file *f, void __user *arg)
{
	struct mq_seek seek;
	long size;
	int err;

	static_assert(_IOC_SIZE(MQ_IOC_SEEK) == sizeof(struct mq_seek));
	if (!(f->filp->f_mode & FMODE_READ))
		return -EBADF;
	size = arg_get(&seek, sizeof(seek), sizeof(seek), arg);
	if (size < 0)
		return size;
	err = mq_file_seek(f, seek.whence, seek.value, &seek.offset, &seek.position);
	seek.size = sizeof(seek);
	return err ?: arg_put(arg, size, &seek, sizeof(seek));
}

static long ioctl_options(struct mq_file *f, void __user *arg, bool set)
{
	struct mq_options options;
	long size = arg_get(&options, sizeof(options), sizeof(options), arg);
	int err = 0;

	static_assert(_IOC_SIZE(MQ_IOC_GET_OPTIONS) == sizeof(struct mq_options));
	static_assert(_IOC_SIZE(MQ_IOC_SET_OPTIONS) == sizeof(struct mq_options));
	if (size < 0)
		return size;
	if (set)
		err = mq_file_set_options(f, &options);
	if (err)
		return err;
	mq_file_get_options(f, &options);
	return arg_put(arg, size, &options, sizeof(options));
}

static long ioctl_filter(struct mq_file *f, const void __user *arg)
{
	struct mq_filter filter;
	long size;

	static_assert(_IOC_SIZE(MQ_IOC_FILTER) == sizeof(struct mq_filter));
	if (!(f->filp->f_mode & FMODE_READ))
		return -EBADF;
	size = arg_get(&filter, sizeof(filter), sizeof(filter), arg);
	return size < 0 ? size : mq_filter_set(f, &filter);
}

static long ioctl_watermark(struct mq_file *f, void __user *arg)
{
	struct mq_watermark mark;
	long size;

	static_assert(_IOC_SIZE(MQ_IOC_WATERMARK) == sizeof(struct mq_watermark));
	if (!(f->filp->f_mode & FMODE_READ))
		return -EBADF;
	size = arg_get(&mark, sizeof(mark), sizeof(mark), arg);
	return size < 0 ? size : mq_watermark_set(f, &mark);
}

/* FIONREAD: payload bytes that can be read now. */
static long ioctl_fionread(struct mq_file *f, void __user *arg)
{
	unsigned int i, nr;
	u64 bytes = 0;
	int err;

	if (!(f->filp->f_mode & FMODE_READ))
		return -EBADF;
	err = mq_file_grow(f);
	if (err)
		return err;
	nr = mq_file_cursors(f);
	for (i = 0; i < nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);
		struct mq_bounds b;
		struct mq_place at;

		mq_file_cursor_now(f, c, &at);
		mq_log_bounds(&c->part->log, &b);
		b.head_pos = min(b.head_pos, c->until.pos);
		at.pos = max(at.pos, b.tail_pos);
		bytes += b.head_pos - min(at.pos, b.head_pos);
	}
	return put_user((int)min_t(u64, bytes, INT_MAX), (int __user *)arg);
}

long mq_dev_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct mq_file *f = filp->private_data;
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case FIONREAD:
		return ioctl_fionread(f, p);
	case MQ_IOC_FEATURES:
		return ioctl_features(p);
	case MQ_IOC_STAT:
		return ioctl_stat(f, p);
	case MQ_IOC_SEEK:
		return ioctl_seek(f, p);
	case MQ_IOC_GET_OPTIONS:
		return ioctl_options(f, p, false);
	case MQ_IOC_SET_OPTIONS:
		return ioctl_options(f, p, true);
	case MQ_IOC_FILTER:
		return ioctl_filter(f, p);
	case MQ_IOC_WATERMARK:
		return ioctl_watermark(f, p);
	}
	return -ENOTTY;
}
