// SPDX-License-Identifier: GPL-2.0
/*
 * splice(2) and sendfile(2) into a topic: what the pipe holds, copied.
 */
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include "append.h"
#include "file.h"
#include "hold.h"

/* Describe up to @len bytes of the locked pipe. Number of pieces, or an error. */
static int gather(struct pipe_inode_info *pipe, size_t len, struct bio_vec *bv,
		  unsigned int max, size_t *total)
{
	unsigned int i = pipe->tail, n = 0;

	*total = 0;
	for (; i != pipe->head && n < max && *total < len; i++) {
		struct pipe_buffer *buf = &pipe->bufs[i & (pipe->ring_size - 1)];
		size_t seg = min_t(size_t, buf->len, len - *total);
		int err;

		if (!seg)
			continue;
		err = pipe_buf_confirm(pipe, buf);
		/* -ENODATA, a page cut off its file meanwhile, means an empty pipe below. */
		if (err)
			return err == -ENODATA ? -EIO : err;
		bv[n].bv_page = buf->page;
		bv[n].bv_offset = buf->offset;
		bv[n].bv_len = seg;
		*total += seg;
		n++;
	}
	return n;
}

/* Take bytes out of the locked pipe, and the empty buffers at its front. */
static void consume(struct pipe_inode_info *pipe, size_t len)
{
	unsigned int was = pipe->tail;

	while (pipe->tail != pipe->head) {
		struct pipe_buffer *buf = &pipe->bufs[pipe->tail & (pipe->ring_size - 1)];
		size_t n = min_t(size_t, buf->len, len);

		buf->offset += n;
		buf->len -= n;
		len -= n;
		if (buf->len)
			break;
		pipe_buf_release(pipe, buf);
		pipe->tail++;
	}
	if (pipe->tail != was && pipe->files)
		wake_up_interruptible(&pipe->wr_wait);
}

/*
 * Append what the pipe holds. -EAGAIN if the topic has no room (nothing is
 * consumed then), -EBUSY if another writes lines through this file, -ENODATA if
 * the pipe is empty.
 */
static ssize_t splice_once(struct mq_file *f, struct pipe_inode_info *pipe, size_t len,
			   struct bio_vec *bv, u64 *end)
{
	struct iov_iter iter;
	ssize_t ret;
	size_t total;
	int n;

	/* A write to the pipe that faulted leaves an empty buffer: the pipe is empty then. */
	consume(pipe, 0);
	n = gather(pipe, len, bv, pipe->ring_size, &total);
	if (n < 0)
		return n;
	if (!total)
		return -ENODATA;
	iov_iter_bvec(&iter, WRITE, bv, n, total);
	if (READ_ONCE(f->topic->framing) == MQ_FRAMING_LINE) {
		ret = mq_write_lines(f, &iter, MQ_TRY, end);
	} else {
		ret = mq_write_message(f, &iter, MQ_TRY, end);
		if (!ret)
			ret = total;
	}
	if (ret > 0)
		consume(pipe, ret);
	return ret;
}

static ssize_t splice_write(struct pipe_inode_info *pipe, struct file *out, size_t len,
			    unsigned int flags)
{
	struct mq_file *f = out->private_data;
	bool nonblock = mq_file_nonblock(out) || (flags & SPLICE_F_NONBLOCK);
	struct mq_partition *p = f->wpart;
	bool dsync = out->f_flags & O_DSYNC;
	struct mq_room_wait wait;
	u64 end = 0;
	int err;
	struct bio_vec *bv = NULL;
	bool waiting = false;
	unsigned int size = 0;
	ssize_t ret;

	if (f->record)
		return -EINVAL;
	if (dsync && !f->topic->persistent)
		return -EINVAL;
	if (!len)
		return 0;
	for (;;) {
		/* A sendfile is one splice after another, and VFS looks at no signals. */
		cond_resched();
		ret = -ERESTARTSYS;
		if (task_sigpending(current))
			break;
		pipe_lock(pipe);
		if (size < pipe->ring_size) {
			kvfree(bv);
			size = pipe->ring_size;
			bv = kvmalloc_array(size, sizeof(*bv), GFP_KERNEL_ACCOUNT);
			if (!bv)
				size = 0;
		}
		ret = bv ? splice_once(f, pipe, len, bv, &end) : -ENOMEM;
		if (ret == -ENODATA && !pipe->writers)
			ret = 0;
		pipe_unlock(pipe);

		if (ret == -ENODATA) {
			/* An empty pipe with writers: wait for them, unlocked. */
			ret = -EAGAIN;
			if (nonblock)
				break;
			ret = wait_event_interruptible(pipe->rd_wait,
						       !pipe_empty(READ_ONCE(pipe->head),
								   READ_ONCE(pipe->tail)) ||
						       !READ_ONCE(pipe->writers));
		} else if (ret == -EBUSY) {
			ret = nonblock ? -EAGAIN : mq_line_wait(f);
		} else if (ret == -EAGAIN) {
			ret = mq_room_refused(p, nonblock);
			if (ret)
				break;
			if (!waiting) {
				mq_room_wait_begin(p, &wait,
						   min_t(u64, len, f->topic->max_message_bytes));
				waiting = true;
			} else {
				ret = mq_room_wait(p, &wait);
			}
		} else {
			break;
		}
		if (ret)
			break;
	}
	if (waiting)
		mq_room_wait_end(p, &wait);
	kvfree(bv);
	if (dsync && ret > 0 && end) {
		err = mq_durable_wait(p, end, false);
		if (err)
			ret = err;
	}
	return ret;
}

ssize_t mq_dev_splice_write(struct pipe_inode_info *pipe, struct file *out,
			    loff_t *ppos, size_t len, unsigned int flags)
{
	struct mq_file *f = out->private_data;
	ssize_t ret = splice_write(pipe, out, len, flags);

	/*
	 * VFS read it before the call and stores it now, also after an error: where
	 * others have read to meanwhile. (An explicit offset is ignored, as pwrite's.)
	 */
	if (f->keeps_pos)
		*ppos = mq_file_pos(f);
	return ret;
}
