// SPDX-License-Identifier: GPL-2.0
/*
 * A topic: one message a write(2), or a batch a record write; read by records,
 * by one message a read(2), or, on a line topic, by large plain reads.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mq/mq.h>

#include "bench.h"

extern char **environ;

struct topic_peer {
	char name[64];
	int out;
	int in;
	char *batch;		/* header, descriptors, payloads; or lines */
	char *payload;		/* within it */
	size_t batch_len;
	char *buf;
};

static void mqctl(const char *const *args)
{
	pid_t pid;
	int status;

	errno = posix_spawnp(&pid, "mqctl", NULL, NULL, (char *const *)args, environ);
	if (errno)
		err(1, "mqctl: is build/bin in PATH?");
	if (waitpid(pid, &status, 0) < 0)
		err(1, "mqctl");
	if (status)
		errx(1, "mqctl %s %s: status %d", args[1], args[2], WEXITSTATUS(status));
}

static int topic_file(const struct topic_peer *t, bool record, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/dev/mq/%s%s", t->name, record ? "+format=record" : "");
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* The part of a batch that stays the same, made once. */
static void make_batch(struct bench *b, struct topic_peer *t, bool record)
{
	size_t head = record ? sizeof(struct mq_batch) + b->batch * sizeof(struct mq_record) : 0;

	t->batch_len = head + b->batch * b->size;
	t->batch = must_alloc(t->batch_len);
	t->payload = t->batch + head;
	for (unsigned int i = 0; i < b->batch; i++)
		memcpy(t->payload + i * b->size, b->message, b->size);
	if (record) {
		struct mq_batch *header = (struct mq_batch *)t->batch;
		struct mq_record *records = (struct mq_record *)(header + 1);

		memset(t->batch, 0, head);
		header->size = sizeof(*header);
		header->entry_size = sizeof(*records);
		header->count = b->batch;
		header->partition = MQ_PARTITION_ANY;
		header->entries_len = b->batch * sizeof(*records);
		header->payload_len = b->batch * b->size;
		for (unsigned int i = 0; i < b->batch; i++)
			records[i].len = b->size;
	}
}

static void open_topic(struct bench *b, bool line, bool record_reads)
{
	static unsigned int number;
	struct topic_peer *t = must_alloc(sizeof(*t));
	bool record_writes = b->batch > 1 && !line;
	char ring[32];

	snprintf(t->name, sizeof(t->name), "mqbench.%d.%u", getpid(), number++);
	snprintf(ring, sizeof(ring), "%u", DATA_RING);
	mqctl((const char *const []){ "mqctl", "topic", "add", t->name, "--ring-bytes", ring,
		"--framing", line ? "line" : "message", "--hold", b->held ? "readers" : "none",
		"--overflow", b->held ? "block" : "drop-oldest", NULL });
	make_batch(b, t, record_writes);
	t->out = topic_file(t, record_writes, O_WRONLY);
	t->in = topic_file(t, record_reads, O_RDONLY);
	t->buf = must_alloc(b->read_size);
	b->priv = t;
}

static void topic_open(struct bench *b)
{
	open_topic(b, false, true);
}

static void topic_plain_open(struct bench *b)
{
	open_topic(b, false, false);
}

static void topic_line_open(struct bench *b)
{
	open_topic(b, true, false);
}

static void topic_produce(struct bench *b, uint64_t n)
{
	struct topic_peer *t = b->priv;

	for (; n; n -= b->batch) {
		if (b->check) {
			for (unsigned int i = 0; i < b->batch; i++)
				message_number(t->payload + i * b->size, b->produced + i);
			b->produced += b->batch;
		}
		if (write(t->out, t->batch, t->batch_len) != (ssize_t)t->batch_len)
			err(1, "%s: write", t->name);
	}
}

static void topic_consume_records(struct bench *b, uint64_t n)
{
	struct topic_peer *t = b->priv;

	while (n) {
		const struct mq_batch *header = (const struct mq_batch *)t->buf;
		ssize_t ret = read(t->in, t->buf, b->read_size);
		size_t at;

		if (ret < 0)
			err(1, "%s: record read", t->name);
		at = header->size + header->entries_len + ((header->attrs_len + 7) & ~7ULL);
		if ((size_t)ret != at + header->payload_len || header->count > n ||
		    header->payload_len != header->count * b->size)
			errx(1, "%s: a batch of %zd bytes with %u messages is not what was written",
			     t->name, ret, header->count);
		take_payload(b, t->buf + at, header->payload_len);
		n -= header->count;
	}
}

static void topic_consume(struct bench *b, uint64_t n)
{
	struct topic_peer *t = b->priv;
	uint64_t left = n * b->size;

	while (left) {
		ssize_t ret = read(t->in, t->buf, b->read_size);

		if (ret < 0)
			err(1, "%s: read", t->name);
		if (!ret || (uint64_t)ret > left || ret % b->size)
			errx(1, "%s: read gave %zd bytes of messages of %zu", t->name, ret,
			     b->size);
		take_payload(b, t->buf, ret);
		left -= ret;
	}
}

static void topic_close(struct bench *b)
{
	struct topic_peer *t = b->priv;

	close(t->in);
	close(t->out);
	mqctl((const char *const []){ "mqctl", "topic", "del", t->name, NULL });
	free(t->batch);
	free(t->buf);
	free(t);
}

const struct peer peer_topic = {
	.name = "topic",
	.what = "a topic: one write(2) a message, or a batch by a record write; record reads",
	.open = topic_open,
	.produce = topic_produce,
	.consume = topic_consume_records,
	.close = topic_close,
};

const struct peer peer_topic_plain = {
	.name = "topic-plain",
	.what = "the same, but one read(2) a message",
	.open = topic_plain_open,
	.produce = topic_produce,
	.consume = topic_consume,
	.close = topic_close,
};

const struct peer peer_topic_line = {
	.name = "topic-line",
	.what = "a topic of lines: one write(2) a line or a batch of lines; large plain reads",
	.open = topic_line_open,
	.produce = topic_produce,
	.consume = topic_consume,
	.close = topic_close,
};
