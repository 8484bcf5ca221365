// SPDX-License-Identifier: GPL-2.0
/*
 * Line framing: bytes join per open file, each completed line is a message.
 *
 * Bytes are staged behind the file's unfinished line, outside of the log's
 * lock, cut into lines there, and appended many lines at a time. What could not
 * be appended is unstaged and not counted as written: a short count, as of a pipe.
 */
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "append.h"
#include "file.h"

/* Lines that are appended at a time. */
#define LINE_BATCH	64

struct line_batch {
	struct mq_msg msgs[LINE_BATCH];
	u32 count;
	size_t bytes;
};

/* Room for @len more bytes behind the unfinished line. */
static int line_reserve(struct mq_file *f, size_t len)
{
	size_t size = f->line_len + len;
	char *line;

	if (size <= f->line_size)
		return 0;
	size = max(size, 2 * f->line_size);
	line = kvmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!line)
		return -ENOMEM;
	memcpy(line, f->line, f->line_len);
	kvfree(f->line);
	f->line = line;
	f->line_size = size;
	return 0;
}

/*
 * Take lines from @p on: as many as a batch and the rings' quarters hold. A line
 * over the limit is cut; the rest of it may still grow, so that only a cut or a
 * newline ends a message.
 */
static void take_lines(const struct mq_file *f, const char *p, size_t len,
		       u32 *in_line, struct line_batch *lb)
{
	u32 max = READ_ONCE(f->topic->max_message_bytes);
	u64 bytes_max = f->topic->ring_bytes / MQ_QUARTER;
	u32 count_max = min_t(u64, f->topic->ring_messages / MQ_QUARTER, LINE_BATCH);

	lb->count = 0;
	lb->bytes = 0;
	while (len && lb->count < count_max) {
		size_t look = min_t(size_t, len, max);
		const char *nl = memchr(p + min_t(size_t, *in_line, look), '\n',
					look - min_t(size_t, *in_line, look));
		struct mq_msg *m = &lb->msgs[lb->count];
		size_t n;

		*in_line = 0;
		if (nl)
			n = nl + 1 - p;
		else if (len > max)
			n = max;
		else
			break;
		if (lb->bytes + n > bytes_max)
			break;
		memset(m, 0, sizeof(*m));
		m->len = n;
		m->flags = nl ? 0 : MQ_ENTRY_SPLIT;
		lb->count++;
		lb->bytes += n;
		p += n;
		len -= n;
	}
}

/* @by: who wrote it; NULL: the caller. */
static int append_lines(struct mq_file *f, struct mq_partition *p, char *buf,
			const struct line_batch *lb, enum mq_mode mode,
			const struct mq_writer *by, u64 *end)
{
	struct kvec kvec = { .iov_base = buf, .iov_len = lb->bytes };
	struct iov_iter iter;
	struct mq_append a;
	int err;

	mq_append_init(&a, f->topic, f->uid);
	if (by)
		mq_append_by(&a, f->topic, by);
	iov_iter_kvec(&iter, WRITE, &kvec, 1, lb->bytes);
	a.msgs = lb->msgs;
	a.count = lb->count;
	a.bytes = lb->bytes;
	a.payload = &iter;
	err = mq_append_check(f->topic, &a);
	if (!err)
		err = mq_append(p, &a, mode);
	mq_append_done(p, &a);
	if (!err)
		*end = a.end;
	return err;
}

/* Keep only the first @count lines. */
static void shorten(struct line_batch *lb, u32 count)
{
	while (lb->count > count)
		lb->bytes -= lb->msgs[--lb->count].len;
}

/*
 * Append what is complete among the @staged bytes in the line buffer. Returns
 * the bytes appended; *err tells why it stopped before the last complete line.
 */
static size_t flush_lines(struct mq_file *f, size_t staged, enum mq_mode mode,
			  u64 *end, int *err)
{
	struct mq_partition *p = f->wpart;
	u32 in_line = f->line_len;	/* no newline there: it was looked for */
	struct line_batch lb;
	size_t done = 0;

	*err = 0;
	for (;;) {
		take_lines(f, f->line + done, staged - done, &in_line, &lb);
		if (!lb.count)
			return done;
		/* Together if there is room for all; else as many as there is room for. */
		while (lb.count > 1) {
			*err = append_lines(f, p, f->line + done, &lb, MQ_TRY, NULL, end);
			if (*err != -EAGAIN && *err != -EMSGSIZE && *err != -ENOMEM)
				break;
			shorten(&lb, lb.count / 2);
		}
		if (lb.count == 1)
			*err = append_lines(f, p, f->line + done, &lb, mode, NULL, end);
		if (*err)
			return done;
		done += lb.bytes;
	}
}

/* Stage up to a chunk of the caller's bytes. Bytes, or an error; -EFAULT before any is taken. */
static ssize_t stage(struct mq_file *f, struct iov_iter *from)
{
	size_t len = min_t(size_t, iov_iter_count(from), MQ_LINE_CHUNK), done;
	int err = line_reserve(f, len);

	if (err)
		return err;
	pagefault_disable();
	done = copy_from_iter(f->line + f->line_len, len, from);
	pagefault_enable();
	if (done == len)
		return len;
	iov_iter_revert(from, done);
	return -EFAULT;
}

/*
 * Become the one writer of this file. Who has the lock may wait for room as long
 * as it takes, so nobody waits for it without a way out.
 */
static int line_lock(struct mq_file *f, enum mq_mode mode)
{
	if (mode == MQ_BLOCK)
		return mutex_lock_interruptible(&f->wlock) ? -ERESTARTSYS : 0;
	if (mutex_trylock(&f->wlock))
		return 0;
	return mode == MQ_TRY ? -EBUSY : -EAGAIN;
}

/**
 * mq_line_wait() - wait until nobody writes lines through a file
 * @f: the file
 *
 * Return: 0, or -ERESTARTSYS at a signal.
 */
int mq_line_wait(struct mq_file *f)
{
	int err = line_lock(f, MQ_BLOCK);

	if (!err)
		mutex_unlock(&f->wlock);
	return err;
}

/**
 * mq_write_lines() - write bytes to a line topic
 * @f: the file
 * @from: the bytes; advanced by what was written
 * @mode: enum mq_mode
 * @end: returned if a line was completed: offset after the last
 *
 * Return: bytes written, fewer than asked at a signal, a fault or without
 * room; an error if none: -EBUSY if another writes through this file (MQ_TRY).
 */
ssize_t mq_write_lines(struct mq_file *f, struct iov_iter *from, int mode, u64 *end)
{
	size_t total = 0, old, staged, done;
	bool faulted = false;
	ssize_t len;
	int err;

	err = line_lock(f, mode);
	if (err)
		return err;
	while (iov_iter_count(from) && !err) {
		/* A write may be 2 GiB of the shortest lines, which takes minutes. */
		if (total) {
			cond_resched();
			/* Not signal_pending(): io_uring's own task work does not cut a write. */
			if (task_sigpending(current))
				break;
		}
		if (mq_topic_dead(f->topic)) {
			err = -ENODEV;
			break;
		}
		len = stage(f, from);
		if (len == -EFAULT) {
			/* All of it at once, so that a second fault in one write is rare. */
			mutex_unlock(&f->wlock);
			err = mq_append_fault_in(from, NULL, 0);
			if (err == -EFAULT && !faulted && user_backed_iter(from)) {
				/* Write what lies before the bad address, as a file does. */
				size_t bad = fault_in_iov_iter_readable(from, iov_iter_count(from));

				if (bad < iov_iter_count(from)) {
					iov_iter_truncate(from, iov_iter_count(from) - bad);
					faulted = true;
					err = 0;
				}
			}
			if (!err)
				err = line_lock(f, mode);
			if (err)
				return total ?: err;
			continue;
		}
		if (len < 0) {
			err = len;
			break;
		}
		old = f->line_len;
		staged = old + len;
		done = flush_lines(f, staged, mode, end, &err);
		if (err) {
			/* Take back what was not appended: it counts as not written. */
			size_t written = done > old ? done - old : 0;

			iov_iter_revert(from, len - written);
			total += written;
			if (done)
				f->line_len = 0;
			/* A cut line: the part of the old one that is left stays unfinished. */
			if (done && done < old) {
				memmove(f->line, f->line + done, old - done);
				f->line_len = old - done;
			}
			break;
		}
		memmove(f->line, f->line + done, staged - done);
		f->line_len = staged - done;
		/* Who ends it, with fsync or as the last to close the file, did not write it. */
		if (f->line_len)
			mq_writer_now(&f->line_writer);
		total += len;
	}
	mutex_unlock(&f->wlock);
	return total ?: err;
}

/**
 * mq_line_flush() - append the unfinished line
 * @f: the file
 * @mode: enum mq_mode; MQ_TRY at the last close, which never waits
 *
 * Return: 0 or an error; the line stays then.
 */
int mq_line_flush(struct mq_file *f, int mode)
{
	struct line_batch *lb;
	u64 end;
	int err;

	err = line_lock(f, mode);
	if (err)
		return err;
	if (f->line_len) {
		err = -ENOMEM;
		lb = kzalloc(sizeof(*lb), GFP_KERNEL);
		if (lb) {
			lb->count = 1;
			lb->bytes = f->line_len;
			lb->msgs[0].len = f->line_len;
			lb->msgs[0].flags = MQ_ENTRY_UNFINISHED;
			err = append_lines(f, f->wpart, f->line, lb, mode, &f->line_writer, &end);
			kfree(lb);
		}
		if (!err)
			f->line_len = 0;
	}
	mutex_unlock(&f->wlock);
	return err;
}
