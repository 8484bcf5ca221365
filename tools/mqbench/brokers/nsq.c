// SPDX-License-Identifier: GPL-2.0
/*
 * NSQ by its TCP protocol, there being no client library in C. A message is a PUB, a
 * batch an MPUB, each answered; the consumer has 1000 messages in flight and finishes
 * (FIN) each, without which the server sends no more: a write(2) for all that one read(2) gave.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "server.h"

#define PORT		14150
#define READ_SIZE	65536
#define ID_AT		10	/* of a message: after time (8 bytes) and attempts (2) */
#define ID_LEN		16

enum { FRAME_RESPONSE, FRAME_ERROR, FRAME_MESSAGE };

static struct server server;
static char topic[32];
static int fd;
static char in[READ_SIZE];
static size_t in_at, in_end;

static void nsq_open(struct bench *b)
{
	(void)b;
	if (server_wake(&server))
		return;
	server_start(&server, "exec $0/peers/nsqd --tcp-address=127.0.0.1:14150 "
		     "--http-address=127.0.0.1:14151 --data-path=. --mem-queue-size=1000000 "
		     "--log-level=error --max-heartbeat-interval=24h --max-msg-timeout=24h "
		     "--msg-timeout=24h");
	server_wait_port(&server, PORT);
}

static void send_all(const char *data, size_t len)
{
	while (len) {
		ssize_t ret = send(fd, data, len, MSG_NOSIGNAL);

		if (ret < 0)
			err(1, "nsq: send");
		data += ret;
		len -= ret;
	}
}

/* True if a whole frame is there: size, type, data. */
static bool frame_there(void)
{
	uint32_t size;

	if (in_end - in_at < 4)
		return false;
	memcpy(&size, in + in_at, 4);
	return in_end - in_at - 4 >= ntohl(size);
}

static void receive(void)
{
	ssize_t ret;

	memmove(in, in + in_at, in_end - in_at);
	in_end -= in_at;
	in_at = 0;
	ret = recv(fd, in + in_end, READ_SIZE - in_end, 0);
	if (ret <= 0)
		err(1, "nsq: receive: %zd", ret);
	in_end += ret;
}

static const char *take_frame(unsigned int wanted, size_t *len)
{
	uint32_t head[2];
	const char *data;

	while (!frame_there())
		receive();
	memcpy(head, in + in_at, sizeof(head));
	data = in + in_at + sizeof(head);
	*len = ntohl(head[0]) - 4;
	in_at += 4 + ntohl(head[0]);
	if (ntohl(head[1]) != wanted)
		errx(1, "nsq: frame of type %u: %.*s", ntohl(head[1]), (int)*len, data);
	return data;
}

static void expect_ok(void)
{
	size_t len;
	const char *data = take_frame(FRAME_RESPONSE, &len);

	if (len != 2 || memcmp(data, "OK", 2))
		errx(1, "nsq: %.*s instead of OK", (int)len, data);
}

static void nsq_attach(struct bench *b, bool producer)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	static const char features[] = "{\"heartbeat_interval\":86400000,\"output_buffer_timeout\":25}";
	uint32_t size = htonl(sizeof(features) - 1);
	char line[128];
	int one = 1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		err(1, "nsq: connect");
	send_all("  V2IDENTIFY\n", 13);
	send_all((const char *)&size, 4);
	send_all(features, sizeof(features) - 1);
	expect_ok();
	snprintf(topic, sizeof(topic), "mq.%zu.%u.%u", b->size, b->batch, b->run);
	if (producer)
		return;
	snprintf(line, sizeof(line), "SUB %s c#ephemeral\n", topic);
	send_all(line, strlen(line));
	expect_ok();
	send_all("RDY 1000\n", 9);
}

static void nsq_produce(struct bench *b, uint64_t n)
{
	size_t each = 4 + b->size, body = b->batch > 1 ? 4 + b->batch * each : b->size;
	char *call = must_alloc(64 + 4 + body);
	uint32_t word;

	for (; n; n -= b->batch) {
		size_t len = sprintf(call, "%s %s\n", b->batch > 1 ? "MPUB" : "PUB", topic);

		word = htonl(body);
		memcpy(call + len, &word, 4);
		len += 4;
		if (b->batch > 1) {
			word = htonl(b->batch);
			memcpy(call + len, &word, 4);
			len += 4;
		}
		for (unsigned int i = 0; i < b->batch; i++) {
			if (b->batch > 1) {
				word = htonl(b->size);
				memcpy(call + len, &word, 4);
				len += 4;
			}
			memcpy(call + len, next_message(b), b->size);
			len += b->size;
		}
		send_all(call, len);
		expect_ok();
	}
	free(call);
}

/* NSQ promises no order; with one channel, all in memory, it keeps it. */
static void nsq_consume(struct bench *b, uint64_t n)
{
	char fins[(READ_SIZE / (ID_AT + ID_LEN) + 1) * (4 + ID_LEN + 1)];

	while (n) {
		size_t len = 0;

		if (!frame_there())
			receive();
		while (n && frame_there()) {
			size_t size;
			const char *message = take_frame(FRAME_MESSAGE, &size);

			if (size != ID_AT + ID_LEN + b->size)
				errx(1, "nsq: a message of %zu bytes", size);
			take_payload(b, message + ID_AT + ID_LEN, b->size);
			memcpy(fins + len, "FIN ", 4);
			memcpy(fins + len + 4, message + ID_AT, ID_LEN);
			fins[len + 4 + ID_LEN] = '\n';
			len += 4 + ID_LEN + 1;
			n--;
		}
		send_all(fins, len);
	}
}

static void nsq_close(struct bench *b)
{
	(void)b;
	server_rest(&server);
}

const struct peer nsq_peer = {
	.name = "nsq",
	.max_messages = 6400,
	.open = nsq_open,
	.attach = nsq_attach,
	.produce = nsq_produce,
	.consume = nsq_consume,
	.close = nsq_close,
};
