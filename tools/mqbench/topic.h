/* SPDX-License-Identifier: GPL-2.0 */
/* Topics as mqbench makes, fills and reads them. */
#ifndef MQBENCH_TOPIC_H
#define MQBENCH_TOPIC_H

#include <stdint.h>

#include "bench.h"

struct mq_map_header;

enum reader_kind {
	READ_NONE,	/* a topic without a reader */
	READ_PLAIN,	/* one read(2) a message; on a line topic as many as fit */
	READ_RECORD,	/* a batch a read(2) */
	READ_MMAP,	/* no system call while there is something */
};

/**
 * struct reader - one open file that reads a topic's partition
 * @kind: how
 * @fd: the file
 * @held: its topic holds what it has not read, so that it must say where it stands
 * @buf: what it reads into, @size bytes
 * @lens: lengths of the messages in @buf (mmap)
 * @head: its map
 * @offset: of the next message (mmap)
 * @position: after the last message taken (mmap)
 * @said: position that the file was last moved to (mmap)
 * @lost: messages lost to overruns (mmap)
 */
struct reader {
	enum reader_kind kind;
	int fd;
	bool held;
	char *buf;
	size_t size;
	uint32_t *lens;
	const struct mq_map_header *head;
	uint64_t offset;
	uint64_t position;
	uint64_t said;
	uint64_t lost;
};

/**
 * struct topic_peer - a topic under test
 * @name: its name
 * @out: file of the producer
 * @reader: of the consumer
 * @batch: a batch: header, descriptors and payloads, or lines
 * @payload: within it
 * @batch_len: its length
 * @more: what an interface adds
 */
struct topic_peer {
	char name[64];
	int out;
	struct reader reader;
	char *batch;
	char *payload;
	size_t batch_len;
	void *more;
};

/* Runs mqctl; the last argument is NULL. */
void mqctl(const char *const *args);
/* A counter of a topic, by its name in mqctl stat. */
uint64_t topic_stat(const char *name, const char *column);
/* A name that no other topic has; its prefix is mqbench. */
void topic_name(char *name, size_t size);
/* Opens /dev/mq/NAME SUFFIX. */
int topic_file(const char *name, const char *suffix, int flags);

/* Makes a topic for @b. Its producer writes records if the batch is larger than 1. */
struct topic_peer *topic_new(struct bench *b, bool line, enum reader_kind kind);
void topic_free(struct topic_peer *t);
void topic_produce(struct bench *b, uint64_t n);
/* Numbers the messages of the batch that is written next, if the run checks. */
void topic_number(struct bench *b, struct topic_peer *t);
void topic_close(struct bench *b);

void reader_open(struct reader *r, const char *name, enum reader_kind kind, const struct bench *b);
/* Waits for a message and takes as many as one call gives, at most @max of them. */
uint64_t reader_take(struct reader *r, struct bench *b, uint64_t max);
/* Says where it stands; its process ends, or others wait for it. */
void reader_rest(struct reader *r);
void reader_close(struct reader *r);

#endif
