// SPDX-License-Identifier: GPL-2.0
/* ZeroMQ, PUSH to PULL over ipc: a library, no server. It batches by itself, in its threads. */
#include <err.h>
#include <stdio.h>
#include <unistd.h>

#include <zmq.h>

#include "bench.h"

static pid_t owner;
static void *sock;

static void path_of(const struct bench *b, char path[64])
{
	snprintf(path, 64, "/tmp/mqbench.%d.%u.ipc", owner, b->run);
}

static void zeromq_open(struct bench *b)
{
	(void)b;
	owner = getpid();
}

static void zeromq_attach(struct bench *b, bool producer)
{
	void *context = zmq_ctx_new();
	char path[64], url[80];

	path_of(b, path);
	snprintf(url, sizeof(url), "ipc://%s", path);
	sock = context ? zmq_socket(context, producer ? ZMQ_PUSH : ZMQ_PULL) : NULL;
	if (!sock || (producer ? zmq_connect(sock, url) : zmq_bind(sock, url)))
		errx(1, "%s: %s", url, zmq_strerror(zmq_errno()));
}

static void zeromq_produce(struct bench *b, uint64_t n)
{
	while (n--) {
		if (zmq_send(sock, next_message(b), b->size, 0) < 0)
			errx(1, "zmq_send: %s", zmq_strerror(zmq_errno()));
	}
}

static void zeromq_consume(struct bench *b, uint64_t n)
{
	char *buf = must_alloc(b->size);
	char path[64];

	while (n--) {
		int ret = zmq_recv(sock, buf, b->size, 0);

		if (ret != (int)b->size)
			errx(1, "zmq_recv: %d: %s", ret, zmq_strerror(zmq_errno()));
		take_payload(b, buf, ret);
	}
	path_of(b, path);
	unlink(path);
}

static void zeromq_close(struct bench *b)
{
	(void)b;
}

const struct peer zeromq_peer = {
	.name = "zeromq",
	.max_batch = 1,
	.open = zeromq_open,
	.attach = zeromq_attach,
	.produce = zeromq_produce,
	.consume = zeromq_consume,
	.close = zeromq_close,
};
