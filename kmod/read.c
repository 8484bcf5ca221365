// SPDX-License-Identifier: GPL-2.0
/*
 * read(2): payloads, and batches of whole records. No lock that a writer takes:
 * copy, then see whether the tail has passed what was copied.
 */
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "file.h"
#include "hold.h"
#include "hook.h"
#include "watermark.h"

#define ENTRY_SIZE	sizeof(struct mq_entry)

/**
 * mq_count_out() - count what a reader got
 * @p: the partition it got it from
 * @messages: messages whose last byte it got
 * @bytes: payload bytes
 */
void mq_count_out(struct mq_partition *p, u64 messages, u64 bytes)
{
	this_cpu_add(p->pcpu->messages_out, messages);
	this_cpu_add(p->pcpu->bytes_out, bytes);
}

/* Copy a part of a ring, page faults off. The chunk it is read from cannot be freed meanwhile. */
static size_t copy_out(const struct mq_ring *ring, u64 pos, size_t len, struct iov_iter *to)
{
	size_t done;

	rcu_read_lock();
	pagefault_disable();
	done = mq_ring_copy_to_iter(ring, pos, len, to);
	pagefault_enable();
	rcu_read_unlock();
	return done;
}

/* Make the caller's memory writable, outside of everything. Bytes that can be, or an error. */
static ssize_t fault_in(struct iov_iter *to, size_t len)
{
	size_t left;

	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	if (!user_backed_iter(to))
		return -EFAULT;
	left = fault_in_iov_iter_writeable(to, len);
	return left == len ? -EFAULT : len - left;
}

/*
 * How far one read goes: to the end of the message at @at, or, on a line
 * topic, of the last line that fits. @next is where that leaves the reader.
 */
static int read_extent(struct mq_file *f, struct mq_cursor *c, struct mq_place *at,
		       const struct mq_bounds *b, size_t want, size_t *len,
		       struct mq_place *next)
{
	const struct mq_log *log = &c->part->log;
	u64 end = min(b->head_pos, READ_ONCE(c->until.pos));
	struct mq_entry e;
	u64 off, rest;

	for (;;) {
		if (!mq_log_entry(log, at->off, &e))
			return -ENOBUFS;
		if (e.position + e.len > at->pos)
			break;
		at->off++;
		at->empties += !e.len;
		cond_resched();
	}
	rest = e.position + e.len - at->pos;
	*next = *at;
	if (want < rest) {
		*len = want;
		next->pos += want;
		return 0;
	}
	if (READ_ONCE(f->topic->framing) == MQ_FRAMING_LINE && want > rest) {
		if (end - at->pos <= want) {
			*len = end - at->pos;
			if (end == b->head_pos) {
				next->pos = b->head_pos;
				next->off = b->head_off;
				next->empties = b->head_empty;
				return 0;
			}
			/* Short of it, at an end that until= set. */
			if (!mq_log_find_pos(log, at->off, b->head_off, end, &off))
				return -ENOBUFS;
			return mq_place_advance(log, next, off, end) ? 0 : -ENOBUFS;
		}
		if (!mq_log_find_pos(log, at->off, b->head_off, at->pos + want, &off) ||
		    !mq_log_entry(log, off, &e))
			return -ENOBUFS;
		if (off > at->off) {
			*len = e.position - at->pos;
			return mq_place_advance(log, next, off, e.position) ? 0 : -ENOBUFS;
		}
	}
	*len = rest;
	next->pos += rest;
	next->off++;
	return 0;
}

/* Bytes read; 0 at the end; -ENOBUFS if the place is no longer retained. */
static ssize_t read_plain(struct mq_file *f, struct mq_cursor *c, struct mq_place *at,
			  struct iov_iter *to)
{
	const struct mq_log *log = &c->part->log;
	size_t want = iov_iter_count(to);
	struct mq_place next;
	struct mq_bounds b;
	size_t len, done;
	ssize_t ret;

	for (;;) {
		mq_log_bounds(log, &b);
		if (at->pos < b.tail_pos)
			return -ENOBUFS;
		if (at->pos >= min(b.head_pos, c->until.pos))
			return 0;
		/* Only messages without payload can have been passed here. */
		if (at->off < b.tail_off) {
			at->off = b.tail_off;
			at->empties = b.tail_empty;
		}
		mq_hook(MQ_HOOK_READ_START, c->part);
		ret = read_extent(f, c, at, &b, want, &len, &next);
		if (unlikely(ret)) {
			if (mq_place_empties_gone(log, at))
				continue;
			return ret;
		}
		done = copy_out(&log->data, at->pos, len, to);
		mq_hook(MQ_HOOK_READ_COPIED, c->part);
		if (!mq_log_pos_valid(log, at->pos)) {
			iov_iter_revert(to, done);
			return -ENOBUFS;
		}
		if (likely(done == len))
			break;
		iov_iter_revert(to, done);
		ret = fault_in(to, len);
		if (ret < 0)
			return ret;
		want = min_t(size_t, want, ret);
	}
	mq_count_out(c->part, next.off - at->off, len);
	*at = next;
	return len;
}

/* Where message @off begins in data and attributes; the end of the log is given by @b. */
static bool record_bound(const struct mq_log *log, const struct mq_bounds *b, u64 off,
			 u64 *pos, u64 *attr)
{
	if (off == b->head_off) {
		*pos = b->head_pos;
		*attr = b->head_attr;
		return true;
	}
	return mq_log_begins(log, off, pos, attr);
}

/* Fill the header of the largest batch from @at on that is not longer than @want. */
static int record_extent(struct mq_cursor *c, const struct mq_place *at,
			 const struct mq_bounds *b, u64 end, size_t want,
			 struct mq_batch *batch, u64 *pos, u64 *attr)
{
	const struct mq_log *log = &c->part->log;
	u64 lo = 0, hi, end_pos, end_attr, n;

	if (want < sizeof(*batch) + ENTRY_SIZE)
		return -EMSGSIZE;
	if (!record_bound(log, b, at->off, pos, attr))
		return -ENOBUFS;
	/* Messages lo fit; hi + 1 do not. All first, for that is common. */
	hi = min_t(u64, end - at->off, (want - sizeof(*batch)) / ENTRY_SIZE);
	hi = min_t(u64, hi, U32_MAX);
	for (n = hi; lo < hi; n = lo + (hi - lo + 1) / 2) {
		if (!record_bound(log, b, at->off + n, &end_pos, &end_attr))
			return -ENOBUFS;
		if (sizeof(*batch) + n * ENTRY_SIZE + ALIGN(end_attr - *attr, 8) +
		    (end_pos - *pos) <= want) {
			lo = n;
			batch->attrs_len = end_attr - *attr;
			batch->payload_len = end_pos - *pos;
		} else {
			hi = n - 1;
		}
	}
	if (!lo)
		return -EMSGSIZE;
	batch->count = lo;
	batch->entries_len = lo * ENTRY_SIZE;
	return 0;
}

static ssize_t read_record(struct mq_file *f, struct mq_cursor *c, struct mq_place *at,
			   struct iov_iter *to)
{
	static const u64 zero;
	const struct mq_log *log = &c->part->log;
	size_t want = iov_iter_count(to), len, done, pad;
	struct mq_batch batch = {
		.size = sizeof(batch),
		.entry_size = ENTRY_SIZE,
		.partition = c->part->number,
	};
	u64 pos, attr, end;
	struct mq_bounds b;
	ssize_t ret;

	memcpy(batch.topic_id, f->topic->id, sizeof(batch.topic_id));
	for (;;) {
		mq_log_bounds(log, &b);
		if (at->off < b.tail_off)
			return -ENOBUFS;
		end = min(b.head_off, READ_ONCE(c->until.off));
		if (at->off >= end)
			return 0;
		mq_hook(MQ_HOOK_RECORD_START, c->part);
		ret = record_extent(c, at, &b, end, want, &batch, &pos, &attr);
		if (ret)
			return ret;
		batch.epoch = READ_ONCE(log->epoch);
		pad = ALIGN(batch.attrs_len, 8) - batch.attrs_len;
		len = sizeof(batch) + batch.entries_len + batch.attrs_len + pad +
		      batch.payload_len;

		pagefault_disable();
		done = copy_to_iter(&batch, sizeof(batch), to);
		pagefault_enable();
		if (done == sizeof(batch))
			done += copy_out(&log->index, at->off * ENTRY_SIZE,
					 batch.entries_len, to);
		if (batch.attrs_len && done == sizeof(batch) + batch.entries_len) {
			done += copy_out(&log->attrs, attr, batch.attrs_len, to);
			pagefault_disable();
			done += copy_to_iter(&zero, pad, to);
			pagefault_enable();
		}
		if (done == len - batch.payload_len)
			done += copy_out(&log->data, pos, batch.payload_len, to);
		mq_hook(MQ_HOOK_RECORD_COPIED, c->part);
		if (!mq_log_valid_from(log, at->off)) {
			iov_iter_revert(to, done);
			return -ENOBUFS;
		}
		if (likely(done == len))
			break;
		iov_iter_revert(to, done);
		ret = fault_in(to, len);
		if (ret < 0)
			return ret;
		if (ret < want && ret < len)
			return -EFAULT;
	}
	mq_count_out(c->part, batch.count, batch.payload_len);
	at->off += batch.count;
	at->pos = pos + batch.payload_len;
	return len;
}

static ssize_t read_from(struct mq_file *f, bool record, struct mq_cursor *c,
			 struct mq_place *at, struct iov_iter *to)
{
	return record ? read_record(f, c, at, to) : read_plain(f, c, at, to);
}

static bool ended(bool record, const struct mq_cursor *c, const struct mq_place *at)
{
	return record ? at->off >= c->until.off : at->pos >= c->until.pos;
}

/* One try on a file of one partition. -EAGAIN at the end, 0 at an end asked for by until=. */
static __always_inline ssize_t read_one(struct mq_file *f, struct kiocb *iocb,
					struct iov_iter *to)
{
	loff_t pos = f->keeps_pos ? mq_file_pos(f) : iocb->ki_pos;
	/* Java and others read by pread at the position they keep: it cannot be told. */
	bool own = f->keeps_pos || pos == mq_file_pos(f);
	/* Once: MQ_IOC_SET_OPTIONS may change it. */
	bool record = READ_ONCE(f->record);
	struct mq_cursor *c = &f->first;
	struct mq_place at;
	ssize_t ret;

	/* At the log's end: what the rest would come to, without looking for the place. */
	if (mq_cursor_at_head(c, record, pos)) {
		at = (struct mq_place){ .pos = pos, .off = pos };
		if (own) {
			mq_memo_drop(f);
			mq_reader_shows(f, c, &at, true);
		}
		return -EAGAIN;
	}
	if (record) {
		at = mq_cursor_load(f, c);
		if (pos < 0 || (at.off != pos && pos > READ_ONCE(c->part->log.b.head_off)))
			return -EINVAL;
		at.off = pos;
	} else {
		if (pos < 0)
			return -EINVAL;
		ret = mq_place_find(f, c, pos, &at);
		if (ret)
			return ret;
	}
	if (own) {
		mq_memo_drop(f);
		mq_reader_shows(f, c, &at, true);
		if (!mq_file_nonblock(f->filp) && mq_watermark_below(f))
			return -EAGAIN;
	}
	do {
		ret = read_from(f, record, c, &at, to);
	} while (ret == -ENOBUFS && !(ret = mq_reader_overrun(f, c, &at, own)));
	if (unlikely(ret <= 0)) {
		/* An overrun moved the file, and VFS stores this position when it returns 0. */
		if (own)
			iocb->ki_pos = record ? at.off : at.pos;
		return ret || ended(record, c, &at) ? ret : -EAGAIN;
	}
	if (own) {
		mq_cursor_store(f, c, &at);
		mq_reader_read(f, c, &at);
	}
	iocb->ki_pos = record ? at.off : at.pos;
	if (f->keeps_pos)
		mq_file_set_pos(f, iocb->ki_pos);
	return ret;
}

/* One try on a file of several partitions: from them in turn. The position counts bytes. */
static ssize_t read_several(struct mq_file *f, struct kiocb *iocb, struct iov_iter *to)
{
	unsigned int i, nr, turn = READ_ONCE(f->turn);
	bool record = READ_ONCE(f->record);
	bool all_ended = true;
	ssize_t ret;

	if (!f->keeps_pos && iocb->ki_pos != mq_file_pos(f))
		return -ESPIPE;
	ret = mq_file_grow(f);
	if (ret)
		return ret;
	if (!mq_file_nonblock(f->filp) && mq_watermark_below(f))
		return -EAGAIN;
	nr = mq_file_cursors(f);
	for (i = 0; i < nr; i++) {
		unsigned int n = (turn + i) % nr;
		struct mq_cursor *c = mq_file_cursor(f, n);
		struct mq_place at = mq_cursor_load(f, c);

		mq_reader_shows(f, c, &at, true);
		do {
			ret = read_from(f, record, c, &at, to);
		} while (ret == -ENOBUFS && !(ret = mq_reader_overrun(f, c, &at, true)));
		if (ret > 0) {
			mq_cursor_store(f, c, &at);
			mq_reader_read(f, c, &at);
			iocb->ki_pos += ret;
			if (f->keeps_pos)
				mq_file_set_pos(f, mq_file_pos(f) + ret);
		}
		if (ret) {
			WRITE_ONCE(f->turn, n + 1);
			return ret;
		}
		all_ended &= ended(record, c, &at);
	}
	return all_ended ? 0 : -EAGAIN;
}

/* For filter.c: pieces of the above. */
size_t mq_read_copy_out(const struct mq_ring *ring, u64 pos, size_t len, struct iov_iter *to)
{
	return copy_out(ring, pos, len, to);
}

ssize_t mq_read_fault_in(struct iov_iter *to, size_t len)
{
	return fault_in(to, len);
}

ssize_t mq_read_payload(struct mq_file *f, struct mq_cursor *c, struct mq_place *at,
			struct iov_iter *to)
{
	return read_plain(f, c, at, to);
}

ssize_t mq_read_usual(struct mq_file *f, struct kiocb *iocb, struct iov_iter *to)
{
	return mq_file_several(f) ? read_several(f, iocb, to) : read_one(f, iocb, to);
}

/* Its owner may sleep in a page fault, or in a filter's memory. */
static int lock_readers(struct mq_file *f, const struct kiocb *iocb)
{
	if (iocb->ki_flags & IOCB_NOWAIT)
		return mutex_trylock(&f->rlock) ? 0 : -EAGAIN;
	return mutex_lock_killable(&f->rlock) ? -EINTR : 0;
}

ssize_t mq_dev_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct mq_file *f = iocb->ki_filp->private_data;
	bool nonblock = mq_file_nonblock(f->filp) || (iocb->ki_flags & IOCB_NOWAIT);
	bool own = false, dead;
	u32 special = READ_ONCE(f->special);
	struct mq_wait wait;
	ssize_t ret;

	wait.in = NULL;
	if (!iov_iter_count(to))
		return 0;
	for (;;) {
		/* Before the try: what was appended before the delete is still read. */
		dead = mq_topic_dead(f->topic);
		if (f->keeps_pos) {
			ret = lock_readers(f, iocb);
			if (ret)
				break;
		}
		if (unlikely(READ_ONCE(f->special)))
			ret = mq_read_special(f, iocb, to, &special, own);
		else
			ret = mq_file_several(f) ? read_several(f, iocb, to) :
						   read_one(f, iocb, to);
		if (f->keeps_pos)
			mutex_unlock(&f->rlock);
		if (ret != -EAGAIN)
			break;
		if (!wait.in)
			own = iocb->ki_pos == mq_file_pos(f);
		ret = dead ? -ENODEV : nonblock ? -EAGAIN : 0;
		if (!ret)
			ret = mq_reader_wait(f, &wait,
					     f->keeps_pos ? mq_file_pos(f) : iocb->ki_pos);
		if (ret)
			break;
	}
	mq_reader_wait_end(&wait);
	return ret;
}
