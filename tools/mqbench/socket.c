// SPDX-License-Identifier: GPL-2.0
/*
 * Unix sockets and POSIX message queues. A batch is one write to a stream, one
 * sendmmsg(2) otherwise; the consumer reads as much as one call gives.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define RECV_MAX	256	/* messages a recvmmsg(2) */
#define QUEUE_MAX	4096	/* messages of a queue: the largest burst */

/**
 * struct socket_peer - two ends of a socket, or of a queue
 * @fd: the producer's, the consumer's
 * @out: a batch
 * @in: what is received into
 * @in_size: bytes of it
 * @send, @receive: messages of sendmmsg, recvmmsg
 * @iov: their buffers
 */
struct socket_peer {
	int fd[2];
	char *out;
	char *in;
	size_t in_size;
	struct mmsghdr *send;
	struct mmsghdr *receive;
	struct iovec *iov;
};

static struct socket_peer *new_peer(struct bench *b)
{
	struct socket_peer *s = must_alloc(sizeof(*s));

	memset(s, 0, sizeof(*s));
	s->out = must_alloc(b->size * b->batch);
	for (unsigned int i = 0; i < b->batch; i++)
		memcpy(s->out + i * b->size, b->message, b->size);
	s->in_size = b->read_size > RECV_MAX * b->size ? b->read_size : RECV_MAX * b->size;
	s->in = must_alloc(s->in_size);
	b->priv = s;
	return s;
}

static void open_socket(struct bench *b, int type)
{
	struct socket_peer *s = new_peer(b);
	/* Inline a whole burst must fit; two processes get what everybody gets. */
	const int room = 8 << 20;
	struct iovec *iov;

	if (socketpair(AF_UNIX, type, 0, s->fd))
		err(1, "socketpair");
	if (!b->held && setsockopt(s->fd[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		err(1, "a send buffer of %d bytes (root may have it)", room);
	if (type == SOCK_STREAM)
		return;
	iov = must_alloc((b->batch + RECV_MAX) * sizeof(*iov));
	s->iov = iov;
	s->send = must_alloc(b->batch * sizeof(*s->send));
	s->receive = must_alloc(RECV_MAX * sizeof(*s->receive));
	memset(s->send, 0, b->batch * sizeof(*s->send));
	memset(s->receive, 0, RECV_MAX * sizeof(*s->receive));
	for (unsigned int i = 0; i < b->batch; i++, iov++) {
		*iov = (struct iovec){ s->out + i * b->size, b->size };
		s->send[i].msg_hdr.msg_iov = iov;
		s->send[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned int i = 0; i < RECV_MAX; i++, iov++) {
		*iov = (struct iovec){ s->in + i * b->size, b->size };
		s->receive[i].msg_hdr.msg_iov = iov;
		s->receive[i].msg_hdr.msg_iovlen = 1;
	}
}

static void unix_stream_open(struct bench *b)
{
	open_socket(b, SOCK_STREAM);
}

static void unix_dgram_open(struct bench *b)
{
	open_socket(b, SOCK_DGRAM);
}

static void unix_seqpacket_open(struct bench *b)
{
	open_socket(b, SOCK_SEQPACKET);
}

static void number_batch(struct bench *b, struct socket_peer *s)
{
	if (!b->check)
		return;
	for (unsigned int i = 0; i < b->batch; i++)
		message_number(s->out + i * b->size, b->produced + i);
	b->produced += b->batch;
}

static void send_batch(struct bench *b, struct socket_peer *s)
{
	size_t len = b->size * b->batch, done = 0;

	if (s->send && b->batch > 1) {
		while (done < b->batch) {
			int ret = sendmmsg(s->fd[0], s->send + done, b->batch - done, 0);

			if (ret < 0)
				err(1, "sendmmsg");
			done += ret;
		}
		return;
	}
	while (done < len) {
		ssize_t ret = write(s->fd[0], s->out + done, len - done);

		if (ret < 0)
			err(1, "write to a socket");
		done += ret;
	}
}

static void socket_produce(struct bench *b, uint64_t n)
{
	struct socket_peer *s = b->priv;

	for (; n; n -= b->batch) {
		number_batch(b, s);
		send_batch(b, s);
	}
}

static void stream_consume(struct bench *b, uint64_t n)
{
	struct socket_peer *s = b->priv;
	uint64_t left = n * b->size;

	while (left) {
		ssize_t ret = read(s->fd[1], s->in, b->read_size < left ? b->read_size : left);

		if (ret <= 0)
			errx(1, "read from a socket: %zd", ret);
		take_payload(b, s->in, ret);
		left -= ret;
	}
}

static void packet_consume(struct bench *b, uint64_t n)
{
	struct socket_peer *s = b->priv;

	while (n) {
		int ret = recvmmsg(s->fd[1], s->receive, n < RECV_MAX ? n : RECV_MAX,
				   MSG_WAITFORONE, NULL);

		if (ret <= 0)
			err(1, "recvmmsg");
		for (int i = 0; i < ret; i++) {
			if (s->receive[i].msg_len != b->size)
				errx(1, "a packet of %u bytes instead of %zu",
				     s->receive[i].msg_len, b->size);
		}
		take_payload(b, s->in, ret * b->size);
		n -= ret;
	}
}

static void socket_close(struct bench *b)
{
	struct socket_peer *s = b->priv;

	close(s->fd[0]);
	close(s->fd[1]);
	free(s->out);
	free(s->in);
	free(s->iov);
	free(s->send);
	free(s->receive);
	free(s);
}

#define SOCKET(id, label, text, how)		\
	const struct peer peer_##id = {		\
		.name = label,			\
		.what = text,			\
		.open = id##_open,		\
		.produce = socket_produce,	\
		.consume = how,			\
		.close = socket_close,		\
	}

SOCKET(unix_stream, "unix-stream", "Unix stream socket, one write a batch, large reads; keeps no boundaries",
       stream_consume);
SOCKET(unix_dgram, "unix-dgram", "Unix datagram socket; a batch by sendmmsg(2), recvmmsg(2)",
       packet_consume);
SOCKET(unix_seqpacket, "unix-seqpacket", "Unix seqpacket socket, the same", packet_consume);

static void mqueue_open(struct bench *b)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct mq_attr attr = { .mq_maxmsg = b->held ? 10 : QUEUE_MAX, .mq_msgsize = b->size };
	struct socket_peer *s = new_peer(b);
	char name[32];

	snprintf(name, sizeof(name), "/mqbench.%d", getpid());
	if (setrlimit(RLIMIT_MSGQUEUE, &unlimited))
		err(1, "no limit on message queues (root may have it)");
	s->fd[0] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (s->fd[0] < 0)
		err(1, "mq_open %s", name);
	mq_unlink(name);
	s->fd[1] = dup(s->fd[0]);
}

static void mqueue_produce(struct bench *b, uint64_t n)
{
	struct socket_peer *s = b->priv;

	while (n--) {
		number_batch(b, s);
		if (mq_send(s->fd[0], s->out, b->size, 0))
			err(1, "mq_send");
	}
}

static void mqueue_consume(struct bench *b, uint64_t n)
{
	struct socket_peer *s = b->priv;

	while (n--) {
		ssize_t ret = mq_receive(s->fd[1], s->in, b->size, NULL);

		if (ret < 0)
			err(1, "mq_receive");
		take_payload(b, s->in, ret);
	}
}

const struct peer peer_mqueue = {
	.name = "mqueue",
	.what = "POSIX message queue; pair: 10 messages long, the default",
	.max_batch = 1,
	.open = mqueue_open,
	.produce = mqueue_produce,
	.consume = mqueue_consume,
	.close = socket_close,
};
