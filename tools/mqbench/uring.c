// SPDX-License-Identifier: GPL-2.0
/*
 * A topic by io_uring: a batch is as many writes of one message each, linked, so that
 * they are in order, in one io_uring_enter(2); registered files and buffers. Record reads.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mq/mq.h>

#include "topic.h"

enum { FILE_OUT, FILE_IN, NR_FILES };
enum { BUF_OUT, BUF_IN, NR_BUFS };

struct uring_peer {
	struct io_uring ring;
	pid_t owner;
	char *out;	/* a batch's messages, nothing else */
};

/* A ring belongs to one process: each makes its own. */
static struct uring_peer *ring_of(struct bench *b, struct topic_peer *t)
{
	const int files[NR_FILES] = { t->out, t->reader.fd };
	struct uring_peer *u = t->more;
	struct iovec bufs[NR_BUFS];
	int ret;

	if (u && u->owner == getpid())
		return u;
	u = must_alloc(sizeof(*u));
	u->owner = getpid();
	u->out = must_alloc(b->size * b->batch);
	for (unsigned int i = 0; i < b->batch; i++)
		memcpy(u->out + i * b->size, b->message, b->size);
	bufs[BUF_OUT] = (struct iovec){ u->out, b->size * b->batch };
	bufs[BUF_IN] = (struct iovec){ t->reader.buf, t->reader.size };
	ret = io_uring_queue_init(b->batch, &u->ring, IORING_SETUP_SINGLE_ISSUER |
				  IORING_SETUP_COOP_TASKRUN);
	if (!ret)
		ret = io_uring_register_files(&u->ring, files, NR_FILES);
	if (!ret)
		ret = io_uring_register_buffers(&u->ring, bufs, NR_BUFS);
	if (ret) {
		errno = -ret;
		err(1, "io_uring");
	}
	t->more = u;
	return u;
}

static void uring_open(struct bench *b)
{
	unsigned int batch = b->batch;
	struct topic_peer *t;

	/* The file takes messages, not records, whatever the batch. */
	b->batch = 1;
	t = topic_new(b, false, READ_RECORD);
	b->batch = batch;
	t->more = NULL;
}

static void reap(struct uring_peer *u, unsigned int n, int want)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe) {
		if (cqe->res != want)
			errx(1, "io_uring write: %d instead of %d", cqe->res, want);
		seen++;
	}
	if (seen != n)
		errx(1, "io_uring: %u completions of %u", seen, n);
	io_uring_cq_advance(&u->ring, seen);
}

static void uring_produce(struct bench *b, uint64_t n)
{
	struct topic_peer *t = b->priv;
	struct uring_peer *u = ring_of(b, t);

	for (; n; n -= b->batch) {
		for (unsigned int i = 0; i < b->batch; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
			char *message = u->out + i * b->size;

			if (b->check)
				message_number(message, b->produced++);
			io_uring_prep_write_fixed(sqe, FILE_OUT, message, b->size, 0, BUF_OUT);
			sqe->flags |= IOSQE_FIXED_FILE | (i + 1 < b->batch ? IOSQE_IO_LINK : 0);
		}
		if (io_uring_submit_and_wait(&u->ring, b->batch) != (int)b->batch)
			errx(1, "io_uring: not all was submitted");
		reap(u, b->batch, b->size);
	}
}

static uint64_t uring_take(struct bench *b, uint64_t max)
{
	struct topic_peer *t = b->priv;
	struct uring_peer *u = ring_of(b, t);
	const struct mq_batch *header = (const struct mq_batch *)t->reader.buf;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	struct io_uring_cqe *cqe;
	ssize_t ret;
	size_t at;

	io_uring_prep_read_fixed(sqe, FILE_IN, t->reader.buf, t->reader.size, -1, BUF_IN);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_submit_and_wait(&u->ring, 1);
	if (io_uring_peek_cqe(&u->ring, &cqe))
		errx(1, "io_uring: no completion");
	ret = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	at = header->size + header->entries_len + ((header->attrs_len + 7) & ~7ULL);
	if (ret < 0 || (size_t)ret != at + header->payload_len || header->count > max ||
	    header->payload_len != header->count * b->size)
		errx(1, "io_uring read of %zd bytes is not what was written", ret);
	take_payload(b, t->reader.buf + at, header->payload_len);
	return header->count;
}

static void uring_consume(struct bench *b, uint64_t n)
{
	while (n)
		n -= uring_take(b, n);
}

static void uring_close(struct bench *b)
{
	struct topic_peer *t = b->priv;
	struct uring_peer *u = t->more;

	if (u) {
		io_uring_queue_exit(&u->ring);
		free(u->out);
		free(u);
	}
	topic_free(t);
}

const struct peer peer_topic_uring = {
	.name = "topic-uring",
	.what = "a topic by io_uring: a batch is one io_uring_enter(2) of as many writes; fixed buffers",
	.keeps = true,
	.max_batch = 1024,
	.open = uring_open,
	.produce = uring_produce,
	.consume = uring_consume,
	.take = uring_take,
	.close = uring_close,
};
