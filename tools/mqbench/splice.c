// SPDX-License-Identifier: GPL-2.0
/*
 * A topic that is consumed by splice(2) into a pipe and on to /dev/null: what a
 * message's way to a device costs that takes pages. Boundaries are not kept.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "topic.h"

struct splice_peer {
	int pipe[2];
	int null;
};

static void splice_open(struct bench *b)
{
	struct topic_peer *t = topic_new(b, false, READ_PLAIN);
	struct splice_peer *s = must_alloc(sizeof(*s));

	if (pipe2(s->pipe, O_CLOEXEC))
		err(1, "pipe");
	s->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (s->null < 0)
		err(1, "/dev/null");
	t->more = s;
}

static void splice_consume(struct bench *b, uint64_t n)
{
	struct topic_peer *t = b->priv;
	struct splice_peer *s = t->more;
	uint64_t left = n * b->size;

	while (left) {
		size_t want = left < b->read_size ? left : b->read_size;
		ssize_t got = splice(t->reader.fd, NULL, s->pipe[1], NULL, want, 0);

		if (got <= 0)
			err(1, "splice from a topic: %zd", got);
		left -= got;
		if (b->check) {
			for (ssize_t ret; got; got -= ret) {
				ret = read(s->pipe[0], t->reader.buf, got);
				if (ret <= 0)
					err(1, "read of what was spliced: %zd", ret);
				take_payload(b, t->reader.buf, ret);
			}
			continue;
		}
		b->consumed += got;
		for (ssize_t ret; got; got -= ret) {
			ret = splice(s->pipe[0], NULL, s->null, NULL, got, 0);
			if (ret <= 0)
				err(1, "splice to /dev/null: %zd", ret);
		}
	}
}

static void splice_close(struct bench *b)
{
	struct topic_peer *t = b->priv;
	struct splice_peer *s = t->more;

	close(s->pipe[0]);
	close(s->pipe[1]);
	close(s->null);
	free(s);
	topic_free(t);
}

const struct peer peer_topic_splice = {
	.name = "topic-splice",
	.what = "a topic, read by splice(2) to a pipe and on to /dev/null; boundaries not read",
	.open = splice_open,
	.produce = topic_produce,
	.consume = splice_consume,
	.close = splice_close,
};
