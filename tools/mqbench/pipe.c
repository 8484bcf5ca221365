// SPDX-License-Identifier: GPL-2.0
/* The peer that every Unix has: a pipe of its default size. It keeps no boundaries. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

struct pipe_peer {
	int fd[2];
	char *out;
	char *in;
};

static void pipe_open(struct bench *b)
{
	struct pipe_peer *p = must_alloc(sizeof(*p));

	if (pipe(p->fd))
		err(1, "pipe");
	p->out = must_alloc(b->size * b->batch);
	for (unsigned int i = 0; i < b->batch; i++)
		memcpy(p->out + i * b->size, b->message, b->size);
	p->in = must_alloc(b->read_size);
	b->priv = p;
}

static void pipe_produce(struct bench *b, uint64_t n)
{
	struct pipe_peer *p = b->priv;
	size_t len = b->size * b->batch;

	for (; n; n -= b->batch) {
		if (b->check) {
			for (unsigned int i = 0; i < b->batch; i++)
				message_number(p->out + i * b->size, b->produced + i);
			b->produced += b->batch;
		}
		for (size_t done = 0; done < len;) {
			ssize_t ret = write(p->fd[1], p->out + done, len - done);

			if (ret < 0)
				err(1, "write to the pipe");
			done += ret;
		}
	}
}

static void pipe_consume(struct bench *b, uint64_t n)
{
	struct pipe_peer *p = b->priv;
	uint64_t left = n * b->size;

	while (left) {
		ssize_t ret = read(p->fd[0], p->in, b->read_size);

		if (ret <= 0 || (uint64_t)ret > left)
			errx(1, "read from the pipe: %zd", ret);
		take_payload(b, p->in, ret);
		left -= ret;
	}
}

/* All messages have one size, so that a pipe may count them. */
static uint64_t pipe_take(struct bench *b, uint64_t max)
{
	struct pipe_peer *p = b->priv;
	uint64_t want = b->read_size / b->size < max ? b->read_size / b->size : max;
	ssize_t ret = read(p->fd[0], p->in, want * b->size);

	if (ret <= 0 || ret % b->size)
		errx(1, "read from the pipe: %zd", ret);
	take_payload(b, p->in, ret);
	return ret / b->size;
}

static void pipe_close(struct bench *b)
{
	struct pipe_peer *p = b->priv;

	close(p->fd[0]);
	close(p->fd[1]);
	free(p->out);
	free(p->in);
	free(p);
}

const struct peer peer_pipe = {
	.name = "pipe",
	.what = "pipe(2), one write a batch, large reads; keeps no boundaries",
	.open = pipe_open,
	.produce = pipe_produce,
	.consume = pipe_consume,
	.take = pipe_take,
	.close = pipe_close,
};
