// SPDX-License-Identifier: GPL-2.0
/*
 * A reader's places: finding them, moving them, losing them.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "file.h"
#include "hold.h"
#include "netlink.h"

/* The next partition's cursor: @f->grow is held. */
static int add_cursor(struct mq_file *f)
{
	struct mq_cursor *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	bool reads = f->filp->f_mode & FMODE_READ;
	int err;

	if (!c)
		return -ENOMEM;
	c->part = mq_topic_partition(f->topic, f->nr);
	memset(&c->until, 0xff, sizeof(c->until));
	/* Where it began, not its oldest: what is gone by now counts as lost. */
	c->at.pos = c->part->log.start.head_pos;
	c->at.off = c->part->log.start.head_off;
	if (f->until_end)
		c->until = c->at;
	err = xa_err(xa_store(&f->more, f->nr, c, GFP_KERNEL_ACCOUNT));
	if (err) {
		kfree(c);
		return err;
	}
	if (reads)
		atomic_inc(&c->part->readers);
	/* While it is being opened, open says where it begins. */
	if (reads && f->opened && !f->until_end)
		mq_reader_shows(f, c, &c->at, READ_ONCE(f->first.holder.active));
	/* Pairs with the load-acquire in mq_file_cursors(). */
	smp_store_release(&f->nr, f->nr + 1);
	return 0;
}

static int add_cursors(struct mq_file *f, unsigned int nr)
{
	int err = 0;

	while (!err && f->nr < nr)
		err = add_cursor(f);
	return err;
}

/*
 * From here on the file's position counts bytes, and the cursor says where it stands.
 * Until now it was the position: what a sendfile gave back lies between the two.
 */
static void become_several(struct mq_file *f)
{
	struct mq_cursor *c = &f->first;
	struct mq_place at;
	loff_t pos;

	mq_file_settle(f);
	pos = mq_file_pos(f);
	if (f->record) {
		if (mq_place_at_offset(&c->part->log, pos, &at))
			mq_cursor_store(f, c, &at);
	} else if (!mq_place_find(f, c, pos, &at)) {
		mq_cursor_store(f, c, &at);
	}
	WRITE_ONCE(f->several, true);
}

/**
 * mq_file_grow_locked() - mq_file_grow() for who holds the lock @grow
 * @f: the file
 *
 * Return: 0 or -ENOMEM.
 */
int mq_file_grow_locked(struct mq_file *f)
{
	unsigned int nr = mq_topic_partitions(f->topic);
	int err;

	if (f->partition >= 0 || nr == 1)
		return 0;
	err = add_cursors(f, nr);
	if (!err && !f->several)
		become_several(f);
	return err;
}

/**
 * mq_file_grow() - give a file of all partitions a cursor for each
 * @f: the file
 *
 * Called by whoever is about to read from all of them.
 *
 * Return: 0 or -ENOMEM.
 */
int mq_file_grow(struct mq_file *f)
{
	unsigned int nr = mq_topic_partitions(f->topic);
	int err;

	if (f->partition >= 0 ||
	    (mq_file_cursors(f) == nr && (nr == 1 || READ_ONCE(f->several))))
		return 0;
	mutex_lock(&f->grow);
	err = mq_file_grow_locked(f);
	mutex_unlock(&f->grow);
	return err;
}

/**
 * mq_file_join() - let an open file join partitions that were added to its topic
 * @f: the file, kept from being closed
 *
 * It joins them at their start, and holds what is written there from then on, whether
 * its reader calls or not. Without memory it joins them at its next call.
 *
 * Context: sleeps.
 */
void mq_file_join(struct mq_file *f)
{
	if (f->partition >= 0)
		return;
	mutex_lock(&f->grow);
	add_cursors(f, mq_topic_partitions(f->topic));
	mutex_unlock(&f->grow);
}

/**
 * mq_file_free_cursors() - let go of everything a file reads
 * @f: the file, being released
 */
void mq_file_free_cursors(struct mq_file *f)
{
	bool reads = f->filp->f_mode & FMODE_READ;
	unsigned int i;

	for (i = 0; i < f->nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		mq_hold_release(c->part, &c->holder);
		if (reads)
			atomic_dec(&c->part->readers);
		if (i)
			kfree(c);
	}
	xa_destroy(&f->more);
	kfree(f->memo);
}

struct mq_place mq_cursor_load(struct mq_file *f, struct mq_cursor *c)
{
	struct mq_place at;

	spin_lock(&f->lock);
	at = c->at;
	spin_unlock(&f->lock);
	return at;
}

void mq_cursor_store(struct mq_file *f, struct mq_cursor *c, const struct mq_place *at)
{
	spin_lock(&f->lock);
	c->at = *at;
	spin_unlock(&f->lock);
}

void mq_place_oldest(const struct mq_log *log, struct mq_place *at)
{
	struct mq_bounds b;

	mq_log_bounds(log, &b);
	at->pos = b.tail_pos;
	at->off = b.tail_off;
	at->empties = b.tail_empty;
}

void mq_place_newest(const struct mq_log *log, struct mq_place *at)
{
	struct mq_bounds b;

	mq_log_bounds(log, &b);
	at->pos = b.head_pos;
	at->off = b.head_off;
	at->empties = b.head_empty;
}

/**
 * mq_place_empties_gone() - did only messages without payload go from before a place's byte?
 * @log: the log
 * @at: the place, at which something was not found
 *
 * Return: true to look again: nothing is lost, and the next message is another one.
 */
bool mq_place_empties_gone(const struct mq_log *log, const struct mq_place *at)
{
	struct mq_bounds b;

	mq_log_bounds(log, &b);
	return at->off < b.tail_off && at->pos >= b.tail_pos;
}

/* Messages without payload in [lo, hi). */
static bool count_empties(const struct mq_log *log, u64 lo, u64 hi, u64 *count)
{
	struct mq_entry e;

	for (*count = 0; lo < hi; lo++) {
		if (!mq_log_entry(log, lo, &e))
			return false;
		*count += !e.len;
		cond_resched();
	}
	return true;
}

/**
 * mq_place_advance() - move a place on to a later message
 * @log: the log
 * @at: the place; moved
 * @off: the message's offset
 * @pos: its position
 *
 * Return: false if the tail has passed it, and nothing moved.
 */
bool mq_place_advance(const struct mq_log *log, struct mq_place *at, u64 off, u64 pos)
{
	struct mq_bounds b;
	u64 more = 0;

	mq_log_bounds(log, &b);
	if (b.head_empty != at->empties && !count_empties(log, at->off, off, &more))
		return false;
	at->off = off;
	at->pos = pos;
	at->empties += more;
	return true;
}

/**
 * mq_place_at_offset() - the place where a message begins
 * @log: the log
 * @off: the message, retained, or the end of the log
 * @at: returned
 *
 * Return: false if it is not retained (any more).
 */
bool mq_place_at_offset(const struct mq_log *log, u64 off, struct mq_place *at)
{
	struct mq_bounds b;
	struct mq_entry e;

	do {
		mq_log_bounds(log, &b);
		at->pos = b.tail_pos;
		at->off = b.tail_off;
		at->empties = b.tail_empty;
		if (off < b.tail_off || off > b.head_off)
			return false;
		if (off == b.head_off) {
			at->pos = b.head_pos;
			at->off = b.head_off;
			at->empties = b.head_empty;
			return true;
		}
		/* Again if only the tail moved, and not as far. */
	} while (!mq_log_entry(log, off, &e) || !mq_place_advance(log, at, off, e.position));
	return true;
}

/**
 * mq_memo_find() - the place that a sendfile gave back to
 * @f: the file
 * @pos: the position it now shows
 * @at: returned
 */
bool mq_memo_find(struct mq_file *f, u64 pos, struct mq_place *at)
{
	struct mq_memo *memo;
	u32 i, was = 0;
	bool found = false;

	if (!READ_ONCE(f->memo))
		return false;
	mutex_lock(&f->memo_lock);
	memo = f->memo;
	if (memo && memo->count && pos >= memo->start.pos &&
	    pos < memo->start.pos + memo->end[memo->count - 1]) {
		*at = memo->start;
		for (i = 0; memo->start.pos + memo->end[i] <= pos; i++) {
			at->empties += memo->end[i] == was;
			was = memo->end[i];
			at->off++;
		}
		at->pos = pos;
		found = true;
	}
	mutex_unlock(&f->memo_lock);
	return found;
}

/**
 * mq_memo_make() - allocate what a sendfile remembers
 * @f: the file
 *
 * Return: 0 or -ENOMEM.
 */
int mq_memo_make(struct mq_file *f)
{
	struct mq_memo *memo;

	if (READ_ONCE(f->memo))
		return 0;
	memo = kmalloc(sizeof(*memo), GFP_KERNEL_ACCOUNT);
	if (!memo)
		return -ENOMEM;
	memo->count = 0;
	if (cmpxchg(&f->memo, NULL, memo))
		kfree(memo);
	return 0;
}

/**
 * mq_memo_drop() - free it if nothing was given back, or that is known by now
 * @f: the file, of one partition
 *
 * A reader that waits or polls keeps no more memory than one that never used
 * sendfile. If another thread is in a sendfile, it began where the file shows:
 * then the memo stays.
 */
void mq_memo_drop(struct mq_file *f)
{
	struct mq_memo *memo = NULL;
	u64 pos;

	if (likely(!READ_ONCE(f->memo)))
		return;
	pos = mq_file_pos(f);
	mutex_lock(&f->memo_lock);
	if (f->memo && mq_cursor_load(f, &f->first).pos == pos &&
	    (!f->memo->count || f->memo->start.pos != pos))
		memo = xchg(&f->memo, NULL);
	mutex_unlock(&f->memo_lock);
	kfree(memo);
}

/**
 * mq_memo_fill() - remember where the messages of a sendfile end
 * @f: the file
 * @log: the log
 * @from: where the sendfile begins
 * @hi: the head's offset
 * @len: bytes that it takes
 *
 * Of messages overrun meanwhile the ends are not needed: the place is lost, and
 * the count of what was lost begins before it.
 *
 * Return: an offset near that of the byte behind, and not above it.
 */
u64 mq_memo_fill(struct mq_file *f, const struct mq_log *log,
		 const struct mq_place *from, u64 hi, u32 len)
{
	struct mq_memo *memo;
	u64 near = from->off;

	mutex_lock(&f->memo_lock);
	/* Another thread that uses the file may have dropped it. */
	memo = f->memo;
	if (memo) {
		memo->start = *from;
		memo->count = mq_log_ends(log, from->off, hi, from->pos, len,
					  memo->end, MQ_MEMO_MESSAGES);
		if (memo->count)
			near += memo->count - 1;
	}
	mutex_unlock(&f->memo_lock);
	return near;
}

/* Does the cursor stand there? @at is where it does; kept if the file does, too. */
static bool cursor_at(struct mq_file *f, struct mq_cursor *c, u64 pos, struct mq_place *at)
{
	bool there;

	spin_lock(&f->lock);
	*at = c->at;
	there = at->pos == pos;
	if (there && pos == mq_file_pos(f))
		f->own = *at;
	spin_unlock(&f->lock);
	return there;
}

/* The nearest message that is known to lie at or before a byte that is gone. */
static void nearest(struct mq_file *f, const struct mq_log *log, u64 pos, struct mq_place *at)
{
	if (at->pos > pos) {
		spin_lock(&f->lock);
		*at = f->own;
		spin_unlock(&f->lock);
	}
	/* All zeroes, if it never was found. */
	if (at->pos > pos || at->off < log->start.head_off) {
		at->off = log->start.head_off;
		at->empties = 0;
	}
	at->pos = pos;
}

/**
 * mq_place_find() - the place of a byte
 * @f: the file
 * @c: its cursor, the best guess
 * @pos: the byte's position
 * @at: returned; if the byte is no longer retained, @pos and the nearest
 *	message known to lie at or before it
 *
 * Return: 0, or -EINVAL beyond the end of the log.
 */
int mq_place_find(struct mq_file *f, struct mq_cursor *c, u64 pos, struct mq_place *at)
{
	const struct mq_log *log = &c->part->log;
	struct mq_place guess, found;
	struct mq_bounds b;
	u64 off;

	if (likely(cursor_at(f, c, pos, at)) || mq_memo_find(f, pos, at))
		return 0;
	guess = *at;
again:
	mq_log_bounds(log, &b);
	if (pos > b.head_pos)
		return -EINVAL;
	if (pos < b.tail_pos) {
		*at = guess;
		nearest(f, log, pos, at);
		return 0;
	}
	if (pos == b.head_pos) {
		at->pos = b.head_pos;
		at->off = b.head_off;
		at->empties = b.head_empty;
		return 0;
	}
	found.pos = b.tail_pos;
	found.off = b.tail_off;
	found.empties = b.tail_empty;
	if (!mq_log_find_pos(log, b.tail_off, b.head_off, pos, &off) ||
	    !mq_place_advance(log, &found, off, pos))
		goto again;
	*at = found;
	return 0;
}

/*
 * Go on at the oldest message. Returns the number of messages of which a byte
 * was not delivered; those without payload do not count for a plain reader.
 */
static u64 skip_lost(struct mq_file *f, struct mq_cursor *c, struct mq_place *at)
{
	struct mq_place was = *at;
	u64 lost;

	mq_place_oldest(&c->part->log, at);
	lost = at->off - was.off;
	if (!f->record)
		lost -= min(lost, at->empties - was.empties);
	return lost;
}

/**
 * mq_reader_overrun() - a reader's place is no longer retained
 * @f: the file
 * @c: its cursor
 * @at: where it stood; moved to the oldest message if @own
 * @own: it reads at the file's own position, not at an explicit offset
 *
 * Who reads on does so with another place, or a signal ends it: never for ever.
 *
 * Return: 0 to read on (overrun=skip), -ENOBUFS to be reported, or -ERESTARTSYS at a signal.
 */
int mq_reader_overrun(struct mq_file *f, struct mq_cursor *c, struct mq_place *at, bool own)
{
	const struct mq_place was = *at;
	u64 lost;

	if (!own)
		return -ENOBUFS;
	lost = skip_lost(f, c, at);
	atomic64_add(lost, &f->lost);
	atomic64_inc(&f->overruns);
	atomic64_add(lost, &c->part->lost);
	atomic64_inc(&c->part->overruns);
	mq_event_overrun(f->topic, lost);
	mq_cursor_store(f, c, at);
	if (!READ_ONCE(f->several))
		mq_file_set_pos(f, f->record ? at->off : at->pos);
	mq_reader_read(f, c, at);
	if (!f->skip)
		return -ENOBUFS;
	/* A place that is no longer retained lies before the oldest message. */
	if (WARN_ON_ONCE(at->pos <= was.pos && at->off <= was.off))
		return -EIO;
	/* Who copies more than writers leave time for is overrun at each try. */
	cond_resched();
	return task_sigpending(current) ? -ERESTARTSYS : 0;
}

/**
 * mq_hold_place() - what a reader that stands at a place holds from there on
 * @f: its file
 * @at: the place
 *
 * Return: for mq_hold() and its kin.
 */
u64 mq_hold_place(const struct mq_file *f, const struct mq_place *at)
{
	return READ_ONCE(f->record) ? at->off | MQ_HOLD_OFFSET : at->pos;
}

/**
 * mq_reader_shows() - a reader's call shows where it stands
 * @f: its file
 * @c: its cursor
 * @at: where
 * @reads: the call is a read: from the first one on a read-write file holds
 *
 * On a topic with hold=readers the partition holds from there on; on others it
 * would as soon as hold=readers is set.
 */
void mq_reader_shows(struct mq_file *f, struct mq_cursor *c, const struct mq_place *at,
		     bool reads)
{
	if (READ_ONCE(f->skip))
		return;
	if (READ_ONCE(c->holder.active)) {
		mq_hold_move(c->part, &c->holder, mq_hold_place(f, at));
	} else if (reads || !(f->filp->f_mode & FMODE_WRITE)) {
		mq_hold(c->part, &c->holder, mq_hold_place(f, at));
		/* Set by MQ_IOC_SET_OPTIONS before the log's lock was: one of us lets go. */
		if (unlikely(READ_ONCE(f->skip)))
			mq_hold_release(c->part, &c->holder);
	}
}

/**
 * mq_reader_read() - a reader has read up to a place
 * @f: its file
 * @c: its cursor
 * @at: the place
 */
void mq_reader_read(struct mq_file *f, struct mq_cursor *c, const struct mq_place *at)
{
	if (READ_ONCE(c->holder.active))
		mq_hold_move(c->part, &c->holder, mq_hold_place(f, at));
}
