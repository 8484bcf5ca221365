// SPDX-License-Identifier: GPL-2.0
/* A consumer of a topic: by read(2) of a message, by record reads, by a map. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mq/mq.h>

#include "topic.h"

#define MAP_RUN		1024	/* messages taken from a map at a time */

static const struct mq_map_header *map_of(int fd, size_t len)
{
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		err(1, "mmap of %zu bytes of a topic", len);
	return map;
}

void reader_open(struct reader *r, const char *name, enum reader_kind kind, const struct bench *b)
{
	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->held = b->held;
	r->size = b->read_size;
	r->fd = topic_file(name, kind == READ_RECORD ? "+format=record" : "", O_RDONLY);
	r->buf = must_alloc(r->size);
	r->lens = must_alloc(MAP_RUN * sizeof(*r->lens));
}

void reader_close(struct reader *r)
{
	if (r->head)
		munmap((void *)r->head, r->head->length);
	free(r->lens);
	free(r->buf);
	close(r->fd);
}

static uint64_t take_plain(struct reader *r, struct bench *b, uint64_t max)
{
	ssize_t ret = read(r->fd, r->buf, r->size);

	if (ret < 0)
		err(1, "read of a topic");
	if (!ret || ret % b->size || ret / b->size > max)
		errx(1, "a read gave %zd bytes of messages of %zu", ret, b->size);
	take_payload(b, r->buf, ret);
	return ret / b->size;
}

static uint64_t take_record(struct reader *r, struct bench *b, uint64_t max)
{
	const struct mq_batch *header = (const struct mq_batch *)r->buf;
	ssize_t ret = read(r->fd, r->buf, r->size);
	size_t at;

	if (ret < 0)
		err(1, "record read of a topic");
	at = header->size + header->entries_len + ((header->attrs_len + 7) & ~7ULL);
	if ((size_t)ret != at + header->payload_len || header->count > max ||
	    header->payload_len != header->count * b->size)
		errx(1, "a batch of %zd bytes with %u messages is not what was written", ret,
		     header->count);
	take_payload(b, r->buf + at, header->payload_len);
	return header->count;
}

static void map_begin(struct reader *r)
{
	const struct mq_map_header *page = map_of(r->fd, sysconf(_SC_PAGESIZE));
	struct mq_stat stat = { .size = sizeof(stat) };

	/* A map is not inherited, so that each process makes its own. */
	r->head = map_of(r->fd, page->length);
	munmap((void *)page, sysconf(_SC_PAGESIZE));
	madvise((void *)r->head, r->head->length, MADV_WILLNEED);
	if (ioctl(r->fd, MQ_IOC_STAT, &stat))
		err(1, "state of a topic");
	r->offset = stat.offset;
	r->said = stat.position;
}

/* Mapped reading moves no file: that says how far it is, to poll and to hold=readers. */
static void map_say(struct reader *r, uint64_t position)
{
	if (lseek(r->fd, position, SEEK_SET) < 0)
		err(1, "lseek of a topic");
	r->said = position;
}

static uint64_t take_mmap(struct reader *r, struct bench *b, uint64_t max)
{
	const struct mq_map_header *head;
	uint64_t end, position, count, done, len = 0;

	if (!r->head)
		map_begin(r);
	head = r->head;
	for (;;) {
		struct pollfd p = { .fd = r->fd, .events = POLLIN };

		position = __atomic_load_n(&head->head_position, __ATOMIC_ACQUIRE);
		end = __atomic_load_n(&head->head_offset, __ATOMIC_ACQUIRE);
		if (end != r->offset)
			break;
		map_say(r, position);
		if (poll(&p, 1, -1) < 0)
			err(1, "poll of a topic");
	}
	count = end - r->offset;
	if (count > max)
		count = max;
	if (count > MAP_RUN)
		count = MAP_RUN;

	/* Boundaries one by one; the payloads are contiguous, and are one copy. */
	const char *entries = (const char *)head + head->index_at;
	uint64_t at = r->offset * sizeof(struct mq_entry) % head->index_size;
	const volatile struct mq_entry *e = (const void *)(entries + at);

	position = e->position;
	for (done = 0; done < count; done++) {
		uint32_t bytes = e->len;

		if (len + bytes > r->size)
			break;
		r->lens[done] = bytes;
		len += bytes;
		at += sizeof(*e);
		if (at == head->index_size)
			at = 0;
		e = (const void *)(entries + at);
	}
	memcpy(r->buf, (const char *)head + head->data_at + position % head->data_size, len);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&head->tail_offset, __ATOMIC_RELAXED) > r->offset) {
		uint64_t tail = __atomic_load_n(&head->tail_offset, __ATOMIC_ACQUIRE);

		if (r->held)
			errx(1, "%llu messages were overwritten under a reader that holds them",
			     (unsigned long long)(tail - r->offset));
		r->lost += tail - r->offset;
		r->offset = tail;
		return 0;
	}
	if (len != done * b->size || r->lens[0] != b->size)
		errx(1, "%llu messages of %zu bytes have %llu", (unsigned long long)done, b->size,
		     (unsigned long long)len);
	take_payload(b, r->buf, len);
	r->offset += done;
	r->position = position + len;
	if (r->held && r->position - r->said > head->data_size / 4)
		map_say(r, r->position);
	return done;
}

void reader_rest(struct reader *r)
{
	if (r->head && r->held)
		map_say(r, r->position);
}

uint64_t reader_take(struct reader *r, struct bench *b, uint64_t max)
{
	switch (r->kind) {
	case READ_NONE:
		break;
	case READ_PLAIN:
		return take_plain(r, b, max);
	case READ_RECORD:
		return take_record(r, b, max);
	case READ_MMAP:
		return take_mmap(r, b, max);
	}
	return 0;
}
