// SPDX-License-Identifier: GPL-2.0
/*
 * write(2): what kind of write it is, and one message a call.
 */
#include <linux/uio.h>
#include "append.h"
#include "file.h"

/* From an iterator or, if that is NULL, from one piece of user memory. */
static __always_inline int write_message(struct mq_file *f, struct iov_iter *payload,
					 const void __user *from, size_t len,
					 enum mq_mode mode, u64 *end)
{
	struct mq_msg msg = { .len = len };
	struct mq_append a MQ_APPEND_ON_STACK;
	int err = 0;

	if (unlikely(len > READ_ONCE(f->topic->max_message_bytes)))
		return -EMSGSIZE;
	mq_append_init(&a, f->topic, f->uid);
	a.msgs = &msg;
	a.count = 1;
	a.bytes = len;
	a.payload = payload;
	a.from = from;
	/* A payload within the limit fits the rings; only what is stamped may not. */
	if (unlikely(a.stamp_len))
		err = mq_append_check(f->topic, &a);
	if (!err)
		err = mq_append(f->wpart, &a, mode);
	mq_append_done(f->wpart, &a);
	*end = a.end;
	return err;
}

/**
 * mq_write_message() - append one message
 * @f: the file, of a message topic
 * @payload: the payload, all of it; not empty
 * @mode: enum mq_mode
 * @end: returned: offset after the message
 *
 * Return: 0 or an error of mq_append(); -EMSGSIZE.
 */
int mq_write_message(struct mq_file *f, struct iov_iter *payload, int mode, u64 *end)
{
	return write_message(f, payload, NULL, iov_iter_count(payload), mode, end);
}

ssize_t mq_dev_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct mq_file *f = iocb->ki_filp->private_data;
	bool nonblock = mq_file_nonblock(f->filp) || (iocb->ki_flags & IOCB_NOWAIT);
	bool dsync = iocb->ki_flags & IOCB_DSYNC;
	enum mq_mode mode = nonblock ? MQ_NONBLOCK : MQ_BLOCK;
	size_t count = iov_iter_count(from);
	u64 end = 0;
	ssize_t ret;
	int err;

	if (!count)
		return 0;
	if (dsync) {
		if (!f->topic->persistent)
			return -EINVAL;
		/* Once it is appended, only a wait can tell that it is durable. */
		if (iocb->ki_flags & IOCB_NOWAIT)
			return -EAGAIN;
	}
	if (f->record)
		return mq_write_records(f, from, mode, dsync);
	if (READ_ONCE(f->topic->framing) == MQ_FRAMING_LINE) {
		ret = mq_write_lines(f, from, mode, &end);
	} else {
		ret = mq_write_message(f, from, mode, &end);
		if (!ret)
			ret = count;
	}
	if (dsync && ret > 0 && end) {
		err = mq_durable_wait(f->wpart, end, false);
		if (err)
			ret = err;
	}
	return ret;
}

static noinline ssize_t write_by_iter(struct file *filp, const char __user *buf, size_t count)
{
	struct iov_iter from;
	struct kiocb iocb;

	iov_iter_ubuf(&from, WRITE, (void __user *)buf, count);
	init_sync_kiocb(&iocb, filp);
	return mq_dev_write_iter(&iocb, &from);
}

/*
 * The commonest write(2) in a short way round: one message from one piece of
 * memory, as /dev/null has one beside its write_iter.
 */
ssize_t mq_dev_write(struct file *filp, const char __user *buf, size_t count, loff_t *ppos)
{
	struct mq_file *f = filp->private_data;
	u64 end;
	int err;

	if (likely(count && !f->record && !(filp->f_flags & O_DSYNC) &&
		   READ_ONCE(f->topic->framing) == MQ_FRAMING_MESSAGE)) {
		err = write_message(f, NULL, buf, count,
				    mq_file_nonblock(filp) ? MQ_NONBLOCK : MQ_BLOCK, &end);
		return err ?: count;
	}
	return write_by_iter(filp, buf, count);
}
