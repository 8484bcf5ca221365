// SPDX-License-Identifier: GPL-2.0
/*
 * The options of a name, changed after open; and reads of files to which something
 * was done that most files never see.
 *
 * A file opened read-only has its position in the VFS, which stores it when a call is
 * over, whatever happened meanwhile. So a read that was on its way while the format
 * was changed may leave a number in the old unit. It has left the cursor, too, which
 * knows the place in both: mq_file_settle() sees which it is.
 */
#include "file.h"
#include "filter.h"
#include "hold.h"

#define MQ_OPTIONS	(MQ_OPTION_FORMAT | MQ_OPTION_OVERRUN | MQ_OPTION_UNTIL)

/**
 * mq_file_settle_slow() - see that the file's own position is in the format's unit
 * @f: the file, whose format was changed
 */
void mq_file_settle_slow(struct mq_file *f)
{
	struct mq_place at = mq_cursor_load(f, &f->first), memo;
	bool record = READ_ONCE(f->record);
	loff_t pos = mq_file_pos(f);
	loff_t shown = record ? at.off : at.pos, other = record ? at.pos : at.off;

	if (f->keeps_pos || READ_ONCE(f->several) || pos == shown || pos != other)
		return;
	/* Given back by a sendfile, so it is a position. */
	if (!record && mq_memo_find(f, pos, &memo))
		return;
	mq_file_set_pos(f, shown);
}

/**
 * mq_read_special() - one try to read a file with a filter, or of a changed format
 * @f: the file
 * @iocb: the call
 * @to: where to
 * @special: mq_file.special when the call began; what it is now
 * @own: when it began to wait it was to read at the file's own position
 *
 * Return: as for any try.
 */
ssize_t mq_read_special(struct mq_file *f, struct kiocb *iocb, struct iov_iter *to,
			u32 *special, bool own)
{
	u32 now = READ_ONCE(f->special);

	if (!f->keeps_pos && !mq_file_several(f)) {
		/* The position that it began with is one of the old format. */
		if (now / MQ_SPECIAL_FORMAT == *special / MQ_SPECIAL_FORMAT || !own)
			own = iocb->ki_pos == mq_file_pos(f);
		mq_file_settle(f);
		if (own)
			iocb->ki_pos = mq_file_pos(f);
	}
	*special = now;
	return now & MQ_SPECIAL_FILTER ? mq_filter_read(f, iocb, to) :
					 mq_read_usual(f, iocb, to);
}

/* --- format -------------------------------------------------------------------- */

/* Is a place between the first and the last byte of a message? */
static bool within_message(const struct mq_log *log, const struct mq_place *at)
{
	struct mq_bounds b;
	struct mq_entry e;

	mq_log_bounds(log, &b);
	return at->pos >= b.tail_pos && at->pos < b.head_pos &&
	       mq_log_entry(log, at->off, &e) &&
	       at->pos > e.position && at->pos < e.position + e.len;
}

/* The same place, for the other format: all of it is right, not only what one counts in. */
static void convert(struct mq_file *f, struct mq_cursor *c, struct mq_place *at)
{
	const struct mq_log *log = &c->part->log;
	u64 off;

	mq_file_cursor_now(f, c, at);
	if (!f->record)
		return;
	off = at->off;
	if (!mq_place_at_offset(log, off, at))
		mq_place_gone(log, off, at);
}

/* mq_file.grow is held, and mq_file.rlock of a read-write file. */
static int set_format(struct mq_file *f, bool record)
{
	bool reads = f->filp->f_mode & FMODE_READ;
	struct mq_place at;
	unsigned int i;

	for (i = 0; reads && record && i < f->nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		mq_file_cursor_now(f, c, &at);
		if (within_message(&c->part->log, &at))
			return -EBUSY;
	}
	for (i = 0; reads && i < f->nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		convert(f, c, &at);
		mq_cursor_store(f, c, &at);
	}
	/* First: who sees the new format settles its position. */
	spin_lock(&f->lock);
	WRITE_ONCE(f->special, f->special + MQ_SPECIAL_FORMAT);
	spin_unlock(&f->lock);
	smp_wmb();	/* pairs with the dependency on the format in mq_read_special() */
	WRITE_ONCE(f->record, record);
	for (i = 0; reads && i < f->nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		at = mq_cursor_load(f, c);
		if (!f->several)
			mq_file_set_pos(f, record ? at.off : at.pos);
		mq_hold_convert(c->part, &c->holder, mq_hold_place(f, &at));
	}
	return 0;
}

/* A line that was begun as bytes must not end up between records. */
static int change_format(struct mq_file *f, bool record)
{
	int err;

	if (f->record == record)
		return 0;
	/* Its owner may wait for room. */
	if (!mutex_trylock(&f->wlock))
		return -EBUSY;
	err = f->line_len ? -EBUSY : set_format(f, record);
	mutex_unlock(&f->wlock);
	return err;
}

/* --- overrun, until -------------------------------------------------------------- */

static void set_overrun(struct mq_file *f, bool skip)
{
	struct mq_place at;
	unsigned int i;

	/* Before the holders go: see mq_reader_shows(). */
	WRITE_ONCE(f->skip, skip);
	for (i = 0; i < f->nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		if (skip) {
			mq_hold_release(c->part, &c->holder);
		} else {
			mq_file_cursor_now(f, c, &at);
			mq_reader_shows(f, c, &at, false);
		}
	}
}

/* Readers look at one of its members, so it need not be whole for them. */
static void set_until(struct mq_file *f, bool end)
{
	struct mq_place until;
	unsigned int i;

	f->until_end = end;
	memset(&until, 0xff, sizeof(until));
	for (i = 0; i < f->nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		if (end)
			mq_place_newest(&c->part->log, &until);
		WRITE_ONCE(c->until.pos, until.pos);
		WRITE_ONCE(c->until.off, until.off);
		WRITE_ONCE(c->until.empties, until.empties);
	}
}

/**
 * mq_file_set_options() - change how a file is read and written (MQ_IOC_SET_OPTIONS)
 * @f: the file
 * @options: which, and to what
 *
 * Return: 0; -EINVAL, -EBADF, -EBUSY, -EINTR, -ENOMEM, and nothing changed.
 */
int mq_file_set_options(struct mq_file *f, const struct mq_options *options)
{
	bool reads = f->filp->f_mode & FMODE_READ;
	u32 mask = options->mask;
	int err = 0;

	if (mask & ~MQ_OPTIONS || options->reserved)
		return -EINVAL;
	if ((mask & MQ_OPTION_FORMAT && options->format > MQ_FORMAT_RECORD) ||
	    (mask & MQ_OPTION_OVERRUN && options->overrun > MQ_OVERRUN_SKIP) ||
	    (mask & MQ_OPTION_UNTIL && options->until > MQ_UNTIL_END))
		return -EINVAL;
	if (mask & (MQ_OPTION_OVERRUN | MQ_OPTION_UNTIL) && !reads)
		return -EBADF;
	if (f->keeps_pos && mutex_lock_killable(&f->rlock))
		return -EINTR;
	mutex_lock(&f->grow);
	if (reads)
		err = mq_file_grow_locked(f);
	if (!err && mask & MQ_OPTION_FORMAT)
		err = change_format(f, options->format == MQ_FORMAT_RECORD);
	if (!err && mask & MQ_OPTION_OVERRUN)
		set_overrun(f, options->overrun == MQ_OVERRUN_SKIP);
	if (!err && mask & MQ_OPTION_UNTIL)
		set_until(f, options->until == MQ_UNTIL_END);
	mutex_unlock(&f->grow);
	if (f->keeps_pos)
		mutex_unlock(&f->rlock);
	/* Whoever waits in a read has to look again. */
	if (!err && mask && reads) {
		wake_up_all(&mq_file_rwait(f)->queue);
		if (mq_file_waiters(f) != mq_file_rwait(f))
			wake_up_all(&mq_file_waiters(f)->queue);
	}
	return err;
}

/**
 * mq_file_get_options() - how a file is read and written
 * @f: the file
 * @options: returned
 */
void mq_file_get_options(struct mq_file *f, struct mq_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = sizeof(*options);
	options->mask = MQ_OPTIONS;
	options->format = READ_ONCE(f->record) ? MQ_FORMAT_RECORD : MQ_FORMAT_PLAIN;
	options->overrun = READ_ONCE(f->skip) ? MQ_OVERRUN_SKIP : MQ_OVERRUN_REPORT;
	options->until = READ_ONCE(f->until_end) ? MQ_UNTIL_END : MQ_UNTIL_NEVER;
}
