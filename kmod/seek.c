// SPDX-License-Identifier: GPL-2.0
/*
 * Where reading starts, and lseek.
 */
#include <linux/ktime.h>
#include "file.h"
#include "name.h"

static loff_t shown(const struct mq_file *f, const struct mq_place *at)
{
	return f->record ? at->off : at->pos;
}

/**
 * mq_place_gone() - a place of which only the offset is known
 * @log: the log
 * @off: the offset, no longer retained
 * @at: returned
 */
void mq_place_gone(const struct mq_log *log, u64 off, struct mq_place *at)
{
	mq_place_oldest(log, at);
	at->off = off;
	/* Any evicted position does: the first read finds it overrun. */
	if (at->pos > log->start.head_pos)
		at->pos--;
}

static int start_at(struct mq_cursor *c, int from, u64 value, struct mq_place *at)
{
	const struct mq_log *log = &c->part->log;
	s64 now = ktime_get_real_ns();

	switch (from) {
	case MQ_FROM_OLDEST:
		mq_place_oldest(log, at);
		return 0;
	case MQ_FROM_NEWEST:
		mq_place_newest(log, at);
		return 0;
	case MQ_FROM_OFFSET:
		if (mq_place_at_offset(log, value, at))
			return 0;
		if (value > READ_ONCE(log->b.head_off))
			return -EINVAL;
		mq_place_gone(log, value, at);
		return -ENOBUFS;
	case MQ_FROM_AGO:
		value = value < now ? now - value : 0;
		fallthrough;
	case MQ_FROM_TIME:
		value = min_t(u64, value, S64_MAX);
		/* What is evicted meanwhile is older than what was asked for, or lost. */
		while (!mq_place_at_offset(log, mq_log_find_time(log, value), at))
			cond_resched();
		return 0;
	}
	return -EINVAL;
}

/**
 * mq_file_start() - let a file that is being opened read from somewhere
 * @f: the file, not yet reachable
 * @c: the cursor to place
 * @from: enum mq_from
 * @value: offset or time (ns)
 *
 * An offset that is no longer retained is taken: the first read tells the loss.
 *
 * Return: 0, or -EINVAL for an offset beyond the end.
 */
int mq_file_start(struct mq_file *f, struct mq_cursor *c, int from, u64 value)
{
	int err = start_at(c, from, value, &c->at);

	if (err && err != -ENOBUFS)
		return err;
	if (!f->several)
		mq_file_set_pos(f, shown(f, &c->at));
	return 0;
}

/* Move every cursor of a file; the places are found before the first moves. */
static int seek_all(struct mq_file *f, int from, u64 value, u64 *off, u64 *pos)
{
	unsigned int i, nr;
	int err;

	err = mq_file_grow(f);
	if (err)
		return err;
	nr = mq_file_cursors(f);
	*off = 0;
	*pos = 0;
	for (i = 0; i < nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);
		struct mq_place at;

		err = start_at(c, from, value, &at);
		if (err)
			return err;
		mq_cursor_store(f, c, &at);
		mq_reader_shows(f, c, &at, false);
		*off += at.off;
		*pos += at.pos;
	}
	return 0;
}

/**
 * mq_file_seek() - move a file to a message or a time (MQ_IOC_SEEK)
 * @f: the file, open for reading
 * @whence: enum mq_seek_whence
 * @value: offset or time (ns)
 * @off: returned: offset it stands at (sum over partitions)
 * @pos: returned: position it stands at (sum)
 *
 * Return: 0; -ENOBUFS, nothing moved, if the message is no longer retained;
 * -EINVAL.
 */
int mq_file_seek(struct mq_file *f, u32 whence, u64 value, u64 *off, u64 *pos)
{
	bool several = mq_file_several(f);
	int from, err;

	switch (whence) {
	case MQ_SEEK_OLDEST:
		from = MQ_FROM_OLDEST;
		break;
	case MQ_SEEK_NEWEST:
		from = MQ_FROM_NEWEST;
		break;
	case MQ_SEEK_OFFSET:
		if (several)
			return -EINVAL;
		from = MQ_FROM_OFFSET;
		break;
	case MQ_SEEK_TIME:
		from = MQ_FROM_TIME;
		break;
	default:
		return -EINVAL;
	}
	if (value && (from == MQ_FROM_OLDEST || from == MQ_FROM_NEWEST))
		return -EINVAL;

	if (f->keeps_pos && mutex_lock_killable(&f->rlock))
		return -EINTR;
	err = seek_all(f, from, value, off, pos);
	if (!err && !several)
		mq_file_set_pos(f, f->record ? *off : *pos);
	if (f->keeps_pos)
		mutex_unlock(&f->rlock);
	return err;
}

/* A file of several partitions knows only its start and its end. */
static loff_t seek_several(struct mq_file *f, loff_t offset, int whence)
{
	loff_t to = mq_file_pos(f);
	u64 off, pos;
	int err;

	if (offset && whence != SEEK_SET)
		return -EINVAL;
	switch (whence) {
	case SEEK_CUR:
		return to;
	case SEEK_SET:
		if (offset == to)
			return to;
		if (offset)
			return -EINVAL;
		fallthrough;
	case SEEK_DATA:
		err = seek_all(f, MQ_FROM_OLDEST, 0, &off, &pos);
		to = 0;
		break;
	case SEEK_END:
	case SEEK_HOLE:
		err = seek_all(f, MQ_FROM_NEWEST, 0, &off, &pos);
		/* A sum: it may be more than a position can. */
		to = min_t(u64, f->record ? off : pos, S64_MAX);
		break;
	default:
		return -EINVAL;
	}
	if (err)
		return err;
	mq_file_set_pos(f, to);
	return to;
}

static loff_t seek_one(struct mq_file *f, loff_t offset, int whence)
{
	struct mq_cursor *c = &f->first;
	struct mq_bounds b;
	struct mq_place at;
	loff_t head, tail;
	int err;

	mq_log_bounds(&c->part->log, &b);
	head = f->record ? b.head_off : b.head_pos;
	tail = f->record ? b.tail_off : b.tail_pos;
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		if (!offset)
			return mq_file_pos(f);
		if (check_add_overflow(mq_file_pos(f), offset, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (check_add_overflow(head, offset, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_DATA:
		if (offset < 0 || offset >= head)
			return -ENXIO;
		offset = max(offset, tail);
		break;
	case SEEK_HOLE:
		if (offset < 0 || offset >= head)
			return -ENXIO;
		offset = head;
		break;
	default:
		return -EINVAL;
	}
	if (offset < 0 || offset > head)
		return -EINVAL;

	if (f->filp->f_mode & FMODE_READ) {
		/* Now, while it is retained: so that what is lost from here is known exactly. */
		if (f->record) {
			/* All of the place: what asks where the file stands trusts it. */
			if (!mq_place_at_offset(&c->part->log, offset, &at))
				mq_place_gone(&c->part->log, offset, &at);
		} else {
			err = mq_place_find(f, c, offset, &at);
			if (err)
				return err;
		}
		mq_cursor_store(f, c, &at);
		mq_reader_shows(f, c, &at, false);
	}
	mq_file_set_pos(f, offset);
	return offset;
}

loff_t mq_dev_llseek(struct file *filp, loff_t offset, int whence)
{
	struct mq_file *f = filp->private_data;
	loff_t ret;

	if (f->keeps_pos && mutex_lock_killable(&f->rlock))
		return -EINTR;
	mq_file_settle(f);
	ret = mq_file_several(f) ? seek_several(f, offset, whence) : seek_one(f, offset, whence);
	if (f->keeps_pos)
		mutex_unlock(&f->rlock);
	return ret;
}
