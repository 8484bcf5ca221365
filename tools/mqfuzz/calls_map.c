// SPDX-License-Identifier: GPL-2.0
/* Maps of topics. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <mq/mq.h>

#include "fuzz.h"

#define PAGE		4096ULL
#define PAGES_MAX	(1ULL << 21)

/*
 * Each slot has addresses of its own, where nothing else is ever put: what the
 * threads do to it at once, or too late, does it to no other memory.
 */
#define SLOT_AT(n)	((uint8_t *)(0x10000000000ULL + (n) % MAPS * 0x1000000000ULL))
#define SLOT_LEN	0x1000000000ULL
#define MOVED		0x800000000ULL	/* from there: where mremap() puts it */

/* Who touches one may find it gone. */
#define MAY_FAULT(t)	(sigsetjmp((t)->fault, 1) ? ((t)->may_fault = 0, true) : \
			 ((t)->may_fault = 1, false))

long do_mmap(struct thread *t, const struct call *c)
{
	int flags = c->arg[3] & (MAP_PRIVATE | MAP_POPULATE | MAP_LOCKED | MAP_NORESERVE | MAP_SYNC);
	size_t len = c->arg[1] % PAGES_MAX * PAGE;
	struct map *m = &maps[c->arg[5] % MAPS];
	uint8_t *at;

	(void)t;
	if (!(flags & MAP_PRIVATE))
		flags |= flags & MAP_SYNC ? MAP_SHARED_VALIDATE : MAP_SHARED;
	at = mmap(SLOT_AT(c->arg[5]), len, c->arg[2] & 7, flags | MAP_FIXED, slot_fd(c->arg[0]),
		  c->arg[4] * PAGE);
	if (at == MAP_FAILED)
		return -1;
	m->len = len;
	m->at = at;
	return 0;
}

/* A part of one; its slot stands for the rest. */
long do_munmap(struct thread *t, const struct call *c)
{
	struct map m = maps[c->arg[0] % MAPS];
	size_t from = c->arg[1] % 64 * PAGE, len = c->arg[2] % PAGES_MAX * PAGE;

	(void)t;
	if (!m.at || from >= m.len)
		return -1;
	return munmap(m.at + from, len < m.len - from ? len : m.len - from);
}

long do_mremap(struct thread *t, const struct call *c)
{
	struct map *m = &maps[c->arg[0] % MAPS];
	size_t len = c->arg[1] % PAGES_MAX * PAGE;
	uint8_t *at;

	(void)t;
	if (!m->at)
		return -1;
	if (c->arg[2] & MREMAP_MAYMOVE)
		at = mremap(m->at, m->len, len, (c->arg[2] & 4) | MREMAP_MAYMOVE | MREMAP_FIXED,
			    SLOT_AT(c->arg[0]) + MOVED);
	else
		at = mremap(m->at, m->len, len, 0);
	if (at == MAP_FAILED)
		return -1;
	m->at = at;
	m->len = len;
	return 0;
}

long do_mprotect(struct thread *t, const struct call *c)
{
	struct map m = maps[c->arg[0] % MAPS];

	(void)t;
	return m.at ? mprotect(m.at, m.len, c->arg[1] & 7) : -1;
}

long do_madvise(struct thread *t, const struct call *c)
{
	struct map m = maps[c->arg[0] % MAPS];

	(void)t;
	return m.at ? madvise(m.at, m.len, c->arg[1]) : -1;
}

/* The newest message in a map, as a reader would take it. */
static void read_newest(const uint8_t *at, size_t len)
{
	const volatile struct mq_map_header *h = (const void *)at;
	const struct mq_entry *e;
	uint64_t head, sum = 0;

	if (h->size != sizeof(*h) || h->version != MQ_MAP_VERSION || h->length > len)
		return;
	if (h->entry_size != sizeof(*e) || h->data_at + 2 * h->data_size > h->length ||
	    h->index_at + h->index_size > h->length)
		finding("map: a header that makes no sense");
	head = __atomic_load_n(&h->head_offset, __ATOMIC_ACQUIRE);
	if (h->tail_offset > __atomic_load_n(&h->head_offset, __ATOMIC_ACQUIRE))
		finding("map: head %llu, then a tail beyond it", (unsigned long long)head);
	if (head == h->tail_offset || !h->index_size)
		return;
	e = (const void *)(at + h->index_at + (head - 1) * sizeof(*e) % h->index_size);
	for (uint64_t i = 0; i < e->len && i < h->data_size; i++)
		sum += at[h->data_at + e->position % h->data_size + i];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	(void)sum;
}

long do_touch(struct thread *t, const struct call *c)
{
	struct map m = maps[c->arg[0] % MAPS];
	volatile uint64_t sum = 0;

	if (!m.at || MAY_FAULT(t))
		return -1;
	for (size_t i = 0; i < c->arg[1] % PAGES_MAX && i * PAGE < m.len && i < 128; i++)
		sum += *(volatile uint8_t *)(m.at + i * PAGE + i * 8 % PAGE);
	read_newest(m.at, m.len);
	t->may_fault = 0;
	return 0;
}

long do_peek(struct thread *t, const struct call *c)
{
	struct map m = maps[c->arg[0] % MAPS];
	struct iovec here = { t->in, PAGE }, there = { m.at, PAGE };

	if (!m.at)
		return -1;
	switch (c->arg[1] % 6) {
	case 0:
		return process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	case 1:
		return process_vm_writev(getpid(), &here, 1, &there, 1, 0);
	case 2:
		return mlock(m.at, m.len < 1 << 20 ? m.len : 1 << 20);
	case 3:
		return munlock(m.at, m.len);
	case 4:
		return msync(m.at, m.len, MS_SYNC);
	}
	return mincore(m.at, m.len < 1 << 20 ? m.len : 1 << 20, t->in);
}

void maps_clean(void)
{
	for (unsigned int i = 0; i < MAPS; i++) {
		if (maps[i].at)
			munmap(SLOT_AT(i), SLOT_LEN);
		maps[i].at = NULL;
	}
}
