/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the mmap tests share beyond mqtest.h: a mapped partition, read as <mq/mq.h>
 * says, every message checked against its CRC.
 */
#ifndef _SELFTESTS_MAP_H
#define _SELFTESTS_MAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/mman.h>
#include "mqtest.h"

#define MAP_UNUSED __attribute__((unused))

struct map {
	int fd;
	const uint8_t *base;
	const struct mq_map_header *h;
	size_t len;
};

/* Map all of a partition, as a program that knows nothing of it does. */
static MAP_UNUSED struct map map_fd(int fd)
{
	long page = sysconf(_SC_PAGESIZE);
	struct map m = { .fd = fd };
	const struct mq_map_header *h = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);

	if (h == MAP_FAILED) {
		fail("mmap: %s", mqt_errno(errno));
		mqt_end();
	}
	m.len = h->length;
	need_ret(munmap((void *)h, page), 0);
	m.base = mmap(NULL, m.len, PROT_READ, MAP_SHARED, fd, 0);
	need(m.base != MAP_FAILED);
	m.h = (const void *)m.base;
	return m;
}

static MAP_UNUSED struct map map_topic(const char *topic, const char *options)
{
	return map_fd(topic_open(topic, options, O_RDONLY));
}

static MAP_UNUSED void map_close(struct map *m)
{
	need_ret(munmap((void *)m->base, m->len), 0);
	close(m->fd);
}

static inline uint64_t map_head(const struct map *m)
{
	return __atomic_load_n(&m->h->head_offset, __ATOMIC_ACQUIRE);
}

/* The second look: after the use of what was mapped. */
static inline uint64_t map_tail(const struct map *m)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&m->h->tail_offset, __ATOMIC_RELAXED);
}

static inline const struct mq_entry *map_entry(const struct map *m, uint64_t off)
{
	return (const void *)(m->base + m->h->index_at +
			      off * m->h->entry_size % m->h->index_size);
}

static inline const uint8_t *map_payload(const struct map *m, uint64_t pos)
{
	return m->base + m->h->data_at + pos % m->h->data_size;
}

static inline const uint8_t *map_attrs(const struct map *m, uint64_t pos)
{
	return m->base + m->h->attrs_at + pos % m->h->attrs_size;
}

enum map_result { MAP_GOOD, MAP_OVERRUN, MAP_BAD };

/*
 * Read a message below the head: good is what the tail has not passed afterwards,
 * and then everything of it must be right. *e: its entry, if good.
 */
static MAP_UNUSED enum map_result map_read(const struct map *m, uint64_t off, struct mq_entry *e)
{
	uint32_t crc = 0;
	bool fits;

	memcpy(e, map_entry(m, off), sizeof(*e));
	/* Of an overrun message the lengths may be anything. */
	fits = e->len <= m->h->data_size && e->attr_len <= m->h->attrs_size;
	if (fits) {
		crc = crc32c(0, map_payload(m, e->position), e->len);
		crc = crc32c(crc, map_attrs(m, e->attr_position), e->attr_len);
	}
	if (map_tail(m) > off)
		return MAP_OVERRUN;
	return fits && crc == e->crc && e->offset == off ? MAP_GOOD : MAP_BAD;
}

#endif
