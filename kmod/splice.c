// SPDX-License-Identifier: GPL-2.0
/*
 * splice(2) and sendfile(2) from a topic: pages of the ring by reference.
 *
 * A pipe that no file refers to is sendfile's own (its buffers go to the socket
 * before the call returns); pipe_lock() does nothing for it, and once it was
 * used, a call belongs to a sendfile that has moved bytes already.
 */
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include "file.h"
#include "hook.h"
#include "watermark.h"

#define SPLICE_PAGES	PIPE_DEF_BUFFERS

struct splice_pages {
	struct page *pages[SPLICE_PAGES];
	struct partial_page partial[SPLICE_PAGES];
	unsigned int nr;
	size_t len;
};

static void spd_release(struct splice_pipe_desc *spd, unsigned int i)
{
	put_page(spd->pages[i]);
}

static void put_pages(struct splice_pages *sp)
{
	while (sp->nr)
		put_page(sp->pages[--sp->nr]);
}

static bool sendfile_pipe(const struct pipe_inode_info *pipe)
{
	return !pipe->files;
}

/* What is replaced, and all chunks of the ring but its spare one: twice the ring. */
static bool may_lend(const struct mq_ring *ring)
{
	return READ_ONCE(ring->nr_lent) + 1 < ring->nr_slots;
}

/*
 * Pages of the ring, referenced, if so many may be lent; the caller checks
 * afterwards that they are the right ones.
 */
static void lend_pages(const struct mq_ring *ring, u64 pos, size_t len, unsigned int max,
		       struct splice_pages *sp)
{
	if (!may_lend(ring))
		return;
	rcu_read_lock();
	while (len && sp->nr < max) {
		unsigned int offset;
		size_t seg;
		struct page *page = mq_ring_get_page(ring, pos, &offset, &seg);

		if (!page)
			break;
		seg = min(seg, len);
		sp->pages[sp->nr] = page;
		sp->partial[sp->nr].offset = offset;
		sp->partial[sp->nr].len = seg;
		sp->partial[sp->nr].private = 0;
		sp->nr++;
		sp->len += seg;
		pos += seg;
		len -= seg;
	}
	rcu_read_unlock();
	/* Reference, barrier, tail here; tail, barrier (evict_to()), count (mq_ring_enter()). */
	smp_mb();
	/* Others may have lent meanwhile, and a writer replaced: the cap is for all together. */
	if (!may_lend(ring)) {
		put_pages(sp);
		sp->len = 0;
	}
}

/* The same with copies: so is configured, or memory would be unbounded. */
static int copy_pages(const struct mq_ring *ring, u64 pos, size_t len, unsigned int max,
		      struct splice_pages *sp)
{
	while (len && sp->nr < max) {
		size_t seg = min_t(size_t, len, PAGE_SIZE), done = 0;
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);

		if (!page)
			return sp->nr ? 0 : -ENOMEM;
		rcu_read_lock();
		while (done < seg) {
			size_t n;
			const void *from = mq_ring_ptr(ring, pos + done, &n);

			if (!from)
				break;
			n = min(n, seg - done);
			memcpy(page_address(page) + done, from, n);
			done += n;
		}
		rcu_read_unlock();
		sp->pages[sp->nr] = page;
		sp->partial[sp->nr].offset = 0;
		sp->partial[sp->nr].len = done;
		sp->partial[sp->nr].private = 0;
		sp->nr++;
		sp->len += done;
		if (done < seg)
			break;
		pos += done;
		len -= done;
	}
	return 0;
}

/*
 * Lower @end to what so many messages have that the memo holds them all. If that is
 * nothing, as they have no payload, the place moves on to the message that the byte
 * belongs to. False if the tail has passed it.
 */
static bool memo_end(const struct mq_log *log, struct mq_place *at, u64 head_off, u64 *end)
{
	u64 off = at->off + MQ_MEMO_MESSAGES, pos, attr;

	if (!mq_log_begins(log, off, &pos, &attr))
		return false;
	if (unlikely(pos <= at->pos)) {
		if (!mq_log_find_pos(log, off, head_off, at->pos, &off) ||
		    !mq_place_advance(log, at, off, at->pos))
			return false;
		if (head_off - off <= MQ_MEMO_MESSAGES)
			return true;
		if (!mq_log_begins(log, off + MQ_MEMO_MESSAGES, &pos, &attr))
			return false;
	}
	*end = min(*end, pos);
	return true;
}

/*
 * Move bytes from one place into the pipe, which is locked (or sendfile's). @memo:
 * remember where the messages end, for some may come back. Bytes; 0 at the end;
 * -ENOBUFS if the place is no longer retained.
 */
static ssize_t try_splice(struct mq_file *f, struct mq_cursor *c, struct mq_place *at,
			  struct pipe_inode_info *pipe, size_t len, unsigned int slots,
			  bool memo)
{
	const struct mq_log *log = &c->part->log;
	struct splice_pages sp;
	struct splice_pipe_desc spd = {
		.pages = sp.pages,
		.partial = sp.partial,
		.nr_pages_max = SPLICE_PAGES,
		.ops = &nosteal_pipe_buf_ops,
		.spd_release = spd_release,
	};
	struct mq_place next;
	struct mq_bounds b;
	ssize_t ret = 0;
	u64 end, off;

	sp.nr = 0;	/* half a KiB: the rest is written as far as it is used */
	sp.len = 0;
	mq_log_bounds(log, &b);
	if (at->pos < b.tail_pos)
		return -ENOBUFS;
	end = min(b.head_pos, c->until.pos);
	if (at->pos >= end)
		return 0;
	if (at->off < b.tail_off) {
		at->off = b.tail_off;
		at->empties = b.tail_empty;
	}
	mq_hook(MQ_HOOK_SPLICE_START, c->part);
	if (memo && b.head_off - at->off > MQ_MEMO_MESSAGES &&
	    !memo_end(log, at, b.head_off, &end))
		return -ENOBUFS;
	len = min_t(u64, len, end - at->pos);
	slots = min_t(unsigned int, slots, SPLICE_PAGES);
	if (READ_ONCE(f->topic->lend))
		lend_pages(&log->data, at->pos, len, slots, &sp);
	if (!sp.nr)
		ret = copy_pages(&log->data, at->pos, len, slots, &sp);
	mq_hook(MQ_HOOK_SPLICE_PAGE, c->part);
	if (ret)
		return ret;

	next = *at;
	off = memo ? mq_memo_fill(f, log, at, b.head_off, sp.len) : at->off;
	if (at->pos + sp.len == b.head_pos) {
		next.off = b.head_off;
		next.empties = b.head_empty;
	} else if (!mq_log_find_pos(log, off, b.head_off, at->pos + sp.len, &off) ||
		   !mq_place_advance(log, &next, off, at->pos + sp.len)) {
		goto overrun;
	}
	next.pos = at->pos + sp.len;
	/* From here on the pages are ours: nobody writes to them as long as we hold them. */
	if (!sp.nr || !mq_log_pos_valid(log, at->pos))
		goto overrun;

	spd.nr_pages = sp.nr;
	ret = splice_to_pipe(pipe, &spd);
	if (WARN_ON_ONCE(ret > 0 && ret != sp.len))
		return -EIO;
	if (ret <= 0)
		return ret;
	mq_hook(MQ_HOOK_SPLICE_FILLED, c->part);
	mq_count_out(c->part, next.off - at->off, ret);
	*at = next;
	return ret;

overrun:
	put_pages(&sp);
	return -ENOBUFS;
}

static ssize_t splice_from(struct mq_file *f, struct mq_cursor *c, struct mq_place *at,
			   struct pipe_inode_info *pipe, size_t len, unsigned int slots,
			   bool memo)
{
	ssize_t ret;

	do {
		ret = try_splice(f, c, at, pipe, len, slots, memo);
	} while (ret == -ENOBUFS && mq_place_empties_gone(&c->part->log, at));
	return ret;
}

static ssize_t splice_one(struct mq_file *f, loff_t *ppos, struct pipe_inode_info *pipe,
			  size_t len, unsigned int slots, bool nonblock)
{
	bool sendfile = sendfile_pipe(pipe);
	bool later = sendfile && pipe->head;
	struct mq_cursor *c = &f->first;
	struct mq_place at = mq_cursor_load(f, c);
	/*
	 * Within a sendfile VFS keeps the position: it goes on where the call before
	 * left the cursor, or it began at an explicit offset.
	 */
	bool own = *ppos == (later ? at.pos : mq_file_pos(f));
	ssize_t ret;

	ret = mq_place_find(f, c, *ppos, &at);
	if (ret)
		return ret;
	if (own)
		mq_reader_shows(f, c, &at, true);
	if (own && !later && !nonblock && mq_watermark_below(f))
		return -EAGAIN;
	while ((ret = splice_from(f, c, &at, pipe, len, slots, sendfile && own)) == -ENOBUFS) {
		/* The sendfile ends here, uncorked; the next one tells the loss. */
		if (later)
			return 0;
		ret = mq_reader_overrun(f, c, &at, own);
		if (own)
			*ppos = at.pos;
		if (ret)
			return ret;
	}
	if (!ret)
		return later || at.pos >= c->until.pos ? 0 : -EAGAIN;
	if (ret < 0)
		return ret;
	*ppos = at.pos;
	if (own) {
		mq_cursor_store(f, c, &at);
		/* What a socket does not take, sendfile gives back: the next call shows it. */
		if (!sendfile)
			mq_reader_read(f, c, &at);
	}
	return ret;
}

/* From several partitions in turn, into a pipe of the caller's. */
static ssize_t splice_several(struct mq_file *f, loff_t *ppos, struct pipe_inode_info *pipe,
			      size_t len, unsigned int slots, bool nonblock)
{
	unsigned int i, nr, turn = READ_ONCE(f->turn);
	bool all_ended = true;
	ssize_t ret;

	ret = mq_file_grow(f);
	if (ret)
		return ret;
	if (!nonblock && mq_watermark_below(f))
		return -EAGAIN;
	nr = mq_file_cursors(f);
	for (i = 0; i < nr; i++) {
		unsigned int n = (turn + i) % nr;
		struct mq_cursor *c = mq_file_cursor(f, n);
		struct mq_place at = mq_cursor_load(f, c);

		mq_reader_shows(f, c, &at, true);
		do {
			ret = splice_from(f, c, &at, pipe, len, slots, false);
		} while (ret == -ENOBUFS && !(ret = mq_reader_overrun(f, c, &at, true)));
		if (ret > 0) {
			mq_cursor_store(f, c, &at);
			mq_reader_read(f, c, &at);
			*ppos += ret;
		}
		if (ret) {
			WRITE_ONCE(f->turn, n + 1);
			return ret;
		}
		all_ended &= at.pos >= c->until.pos;
	}
	return all_ended ? 0 : -EAGAIN;
}

/* Room in the pipe after it was unlocked for a while. Slots, or an error. */
static ssize_t wait_for_slots(struct pipe_inode_info *pipe, bool nonblock)
{
	for (;;) {
		if (!pipe->readers && !sendfile_pipe(pipe)) {
			send_sig(SIGPIPE, current, 0);
			return -EPIPE;
		}
		if (!pipe_full(pipe->head, pipe->tail, pipe->max_usage))
			return pipe->max_usage - pipe_occupancy(pipe->head, pipe->tail);
		if (nonblock || sendfile_pipe(pipe))
			return -EAGAIN;
		if (signal_pending(current))
			return -ERESTARTSYS;
		pipe_unlock(pipe);
		wait_event_interruptible(pipe->wr_wait,
					 !pipe_full(READ_ONCE(pipe->head),
						    READ_ONCE(pipe->tail),
						    READ_ONCE(pipe->max_usage)) ||
					 !READ_ONCE(pipe->readers));
		pipe_lock(pipe);
	}
}

/* Until no other reads the file, with the pipe unlocked for the while. */
static int wait_for_readers(struct mq_file *f, struct pipe_inode_info *pipe)
{
	int err;

	pipe_unlock(pipe);
	err = mutex_lock_killable(&f->rlock);
	if (!err)
		mutex_unlock(&f->rlock);
	pipe_lock(pipe);
	return err;
}

/* Asked in each round, for all of it may change while a call waits. */
static bool can_splice(struct mq_file *f, const struct pipe_inode_info *pipe)
{
	return !READ_ONCE(f->record) && !(READ_ONCE(f->special) & MQ_SPECIAL_FILTER) &&
	       !(sendfile_pipe(pipe) && mq_file_several(f));
}

ssize_t mq_dev_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe,
			   size_t len, unsigned int flags)
{
	struct mq_file *f = in->private_data;
	bool nonblock = mq_file_nonblock(in) || (flags & SPLICE_F_NONBLOCK);
	/* A sendfile that has moved bytes ends there, uncorked. */
	ssize_t refused = sendfile_pipe(pipe) && pipe->head ? 0 : -EINVAL;
	struct mq_wait wait;
	ssize_t ret, slots;
	bool dead;

	wait.in = NULL;

	if (!can_splice(f, pipe))
		return refused;
	if (!len)
		return 0;
	for (;;) {
		ret = sendfile_pipe(pipe) ? mq_memo_make(f) : 0;
		if (ret)
			break;
		dead = mq_topic_dead(f->topic);
		slots = wait_for_slots(pipe, nonblock);
		if (slots < 0) {
			ret = slots;
			break;
		}
		if (f->keeps_pos && !mutex_trylock(&f->rlock)) {
			/* Its owner may sleep in a page fault: not with the pipe's lock. */
			ret = wait_for_readers(f, pipe);
			if (ret)
				break;
			continue;
		}
		/* The driver keeps it; VFS read it before it had any lock. */
		if (f->keeps_pos && !(sendfile_pipe(pipe) && pipe->head))
			*ppos = mq_file_pos(f);
		if (!can_splice(f, pipe))
			ret = refused;
		else
			ret = mq_file_several(f) ?
				splice_several(f, ppos, pipe, len, slots, nonblock) :
				splice_one(f, ppos, pipe, len, slots, nonblock);
		/* VFS stores the position only after it has unlocked us. */
		if (f->keeps_pos) {
			if (ret > 0 && !sendfile_pipe(pipe))
				mq_file_set_pos(f, *ppos);
			mutex_unlock(&f->rlock);
		}
		if (ret != -EAGAIN)
			break;
		ret = dead ? -ENODEV : nonblock ? -EAGAIN : 0;
		if (ret)
			break;
		mq_memo_drop(f);
		/* No wait holds the pipe's lock. */
		pipe_unlock(pipe);
		ret = mq_reader_wait(f, &wait, U64_MAX);
		pipe_lock(pipe);
		if (ret)
			break;
	}
	mq_reader_wait_end(&wait);
	/* VFS stores it even then; what it was may be in another format's unit by now. */
	if (ret < 0)
		*ppos = mq_file_pos(f);
	return ret;
}
