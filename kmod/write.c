// SPDX-License-Identifier: GPL-2.0
/*
 * write(2): what kind of write it is, and one message a call.
 */
#include <linux/uio.h>
#include "append.h"
#include "file.h"

/**
 * mq_write_message() - append one message
 * @f: the file, of a message topic
 * @from: the payload, all of it; not empty
 * @mode: enum mq_mode
 * @end: returned: offset after the message
 *
 * Return: 0 or an error of mq_append(); -EMSGSIZE.
 */
int mq_write_message(struct mq_file *f, struct iov_iter *from, int mode, u64 *end)
{
	struct mq_msg msg = { .len = iov_iter_count(from) };
	struct mq_append a;
	int err = 0;

	if (iov_iter_count(from) > READ_ONCE(f->topic->max_message_bytes))
		return -EMSGSIZE;
	mq_append_init(&a, f->topic, f->uid);
	a.msgs = &msg;
	a.count = 1;
	a.bytes = msg.len;
	a.payload = from;
	/* A payload within the limit fits the rings; only what is stamped may not. */
	if (unlikely(a.stamp_len))
		err = mq_append_check(f->topic, &a);
	if (!err)
		err = mq_append(f->wpart, &a, mode);
	mq_append_done(f->wpart, &a);
	*end = a.end;
	return err;
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
