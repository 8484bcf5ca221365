// SPDX-License-Identifier: GPL-2.0
/*
 * Redis streams, over a Unix socket, nothing kept on disk. A message is an XADD that is
 * waited for, or a pipeline of a batch of them; XREAD takes up to 64 at a time.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "bench.h"
#include "server.h"

static struct server server;
static redisContext *redis;
static char key[32];

static redisReply *checked(redisReply *reply)
{
	if (!reply)
		errx(1, "redis: %s", redis->errstr);
	if (reply->type == REDIS_REPLY_ERROR)
		errx(1, "redis: %s", reply->str);
	return reply;
}

static void redis_open(struct bench *b)
{
	(void)b;
	if (server_wake(&server))
		return;
	server_start(&server, "exec $0/deb/redis/usr/bin/redis-server --port 0 "
		     "--unixsocket sock --save '' --appendonly no --daemonize no");
	server_wait_socket(&server, "sock");
}

static void redis_attach(struct bench *b, bool producer)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/sock", server.dir);
	redis = redisConnectUnix(path);
	if (!redis || redis->err)
		errx(1, "%s: %s", path, redis ? redis->errstr : "no memory");
	if (!producer)
		freeReplyObject(checked(redisCommand(redis, "FLUSHALL SYNC")));
	snprintf(key, sizeof(key), "mq%u", b->run);
}

static void redis_produce(struct bench *b, uint64_t n)
{
	const char *words[] = { "XADD", key, "*", "d", NULL };
	size_t lengths[] = { 4, strlen(key), 1, 1, b->size };

	for (; n; n -= b->batch) {
		for (unsigned int i = 0; i < b->batch; i++) {
			words[4] = next_message(b);
			if (redisAppendCommandArgv(redis, 5, words, lengths))
				errx(1, "redis: %s", redis->errstr);
		}
		for (unsigned int i = 0; i < b->batch; i++) {
			void *reply = NULL;

			redisGetReply(redis, &reply);
			freeReplyObject(checked(reply));
		}
	}
}

/* A reply is [[key, [[id, [field, value]], ...]]]. */
static void redis_consume(struct bench *b, uint64_t n)
{
	char position[64] = "0-0";

	while (n) {
		redisReply *reply = checked(redisCommand(redis,
			"XREAD COUNT 64 BLOCK 0 STREAMS %s %s", key, position));
		const redisReply *entries;

		if (reply->type != REDIS_REPLY_ARRAY)
			errx(1, "redis: XREAD: no messages");
		entries = reply->element[0]->element[1];
		if (entries->elements > n)
			errx(1, "redis: more messages than were sent");
		for (size_t i = 0; i < entries->elements; i++) {
			const redisReply *value = entries->element[i]->element[1]->element[1];

			if (value->len != b->size)
				errx(1, "redis: a message of %zu bytes", value->len);
			take_payload(b, value->str, value->len);
		}
		n -= entries->elements;
		snprintf(position, sizeof(position), "%s",
			 entries->element[entries->elements - 1]->element[0]->str);
		freeReplyObject(reply);
	}
}

static void redis_close(struct bench *b)
{
	(void)b;
	server_rest(&server);
}

const struct peer redis_peer = {
	.name = "redis",
	.max_messages = 2048,
	.open = redis_open,
	.attach = redis_attach,
	.produce = redis_produce,
	.consume = redis_consume,
	.close = redis_close,
};
