// SPDX-License-Identifier: GPL-2.0
/*
 * A topic: one message a write(2), or a batch a record write; read by records,
 * by one message a read(2), by a map, or, on a line topic, by large plain reads.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mq/mq.h>

#include "topic.h"

extern char **environ;

void mqctl(const char *const *args)
{
	posix_spawn_file_actions_t quiet;
	pid_t pid;
	int status;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	errno = posix_spawnp(&pid, "mqctl", &quiet, NULL, (char *const *)args, environ);
	if (errno)
		err(1, "mqctl: is build/bin in PATH?");
	posix_spawn_file_actions_destroy(&quiet);
	if (waitpid(pid, &status, 0) < 0)
		err(1, "mqctl");
	if (status)
		errx(1, "mqctl %s %s: status %d", args[1], args[2], WEXITSTATUS(status));
}

void topic_name(char *name, size_t size)
{
	static unsigned int number;

	snprintf(name, size, "mqbench.%d.%u", getpid(), number++);
}

int topic_file(const char *name, const char *suffix, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/dev/mq/%s%s", name, suffix);
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

struct topic_peer *topic_new(struct bench *b, bool line, enum reader_kind kind)
{
	struct topic_peer *t = must_alloc(sizeof(*t));
	bool record = b->batch > 1 && !line;
	char ring[32];

	memset(t, 0, sizeof(*t));
	topic_name(t->name, sizeof(t->name));
	snprintf(ring, sizeof(ring), "%u", RING_BYTES);
	mqctl((const char *const []){ "mqctl", "topic", "add", t->name, "--ring-bytes", ring,
		"--ring-messages", "16384", "--framing", line ? "line" : "message", "--hold", b->held ? "readers" : "none",
		"--overflow", b->held ? "block" : "drop-oldest", NULL });
	make_batch(b, t, record);
	t->out = topic_file(t->name, record ? "+format=record" : "", O_WRONLY);
	if (kind != READ_NONE)
		reader_open(&t->reader, t->name, kind, b);
	b->priv = t;
	return t;
}

void topic_number(struct bench *b, struct topic_peer *t)
{
	if (!b->check)
		return;
	for (unsigned int i = 0; i < b->batch; i++)
		message_number(t->payload + i * b->size, b->produced + i);
	b->produced += b->batch;
}

void topic_produce(struct bench *b, uint64_t n)
{
	struct topic_peer *t = b->priv;

	for (; n; n -= b->batch) {
		topic_number(b, t);
		if (write(t->out, t->batch, t->batch_len) != (ssize_t)t->batch_len)
			err(1, "%s: write", t->name);
	}
}

static uint64_t topic_take(struct bench *b, uint64_t max)
{
	struct topic_peer *t = b->priv;

	return reader_take(&t->reader, b, max);
}

static void topic_consume(struct bench *b, uint64_t n)
{
	struct topic_peer *t = b->priv;

	while (n)
		n -= reader_take(&t->reader, b, n);
	reader_rest(&t->reader);
}

void topic_free(struct topic_peer *t)
{
	if (t->reader.kind != READ_NONE)
		reader_close(&t->reader);
	close(t->out);
	mqctl((const char *const []){ "mqctl", "topic", "del", t->name, NULL });
	free(t->batch);
	free(t);
}

void topic_close(struct bench *b)
{
	topic_free(b->priv);
}

static void topic_open(struct bench *b)
{
	topic_new(b, false, READ_RECORD);
}

static void topic_mmap_open(struct bench *b)
{
	topic_new(b, false, READ_MMAP);
}

/* Woken for 2,000 messages, or a tenth of a second after the first. */
static void topic_watermark_open(struct bench *b)
{
	struct topic_peer *t = topic_new(b, false, READ_RECORD);
	struct mq_watermark mark = {
		.size = sizeof(mark), .messages = 2000, .delay = 100 * 1000 * 1000,
	};

	if (ioctl(t->reader.fd, MQ_IOC_WATERMARK, &mark))
		err(1, "%s: MQ_IOC_WATERMARK", t->name);
	/* A read that leaves some behind waits for the watermark again. */
	t->reader.size = mark.messages * (b->size + sizeof(struct mq_entry));
	free(t->reader.buf);
	t->reader.buf = must_alloc(t->reader.size);
}

static void topic_plain_open(struct bench *b)
{
	topic_new(b, false, READ_PLAIN);
}

static void topic_line_open(struct bench *b)
{
	topic_new(b, true, READ_PLAIN);
}

#define TOPIC(id, label, text)			\
	const struct peer peer_##id = {		\
		.name = label,			\
		.what = text,			\
		.keeps = true,			\
		.open = id##_open,		\
		.produce = topic_produce,	\
		.consume = topic_consume,	\
		.take = topic_take,		\
		.close = topic_close,		\
	}

TOPIC(topic, "topic", "a topic: one write(2) a message, or a batch by a record write; record reads");
TOPIC(topic_mmap, "topic-mmap", "the same, read by mmap");
TOPIC(topic_watermark, "topic-watermark",
      "the same as topic, its reader woken for 2,000 messages or after 100 ms");
TOPIC(topic_plain, "topic-plain", "the same, but one read(2) a message");
TOPIC(topic_line, "topic-line",
      "a topic of lines: one write(2) a line or a batch of lines; large plain reads");
