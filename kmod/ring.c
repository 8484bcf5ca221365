// SPDX-License-Identifier: GPL-2.0
/*
 * A byte ring over chunks of pages. Positions run freely; a chunk of the ring
 * is "entered" once a lap: there it gets its memory, or, if somebody still
 * holds a page of it, other memory.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "crc.h"
#include "limits.h"
#include "memory.h"
#include "mmap.h"
#include "ring.h"

/* Looks at lent chunks each time one is wanted: bounds the time under the lock. */
#define MQ_LENT_TRIES	4

/* What a change of the ring's memory from @old to @new means for the module's limit. */
static u64 beyond_reserve(const struct mq_ring *ring, u64 bytes)
{
	return bytes > ring->reserved ? bytes - ring->reserved : 0;
}

/* Charged before it is added: what others see in @memory is always paid for. */
static int ring_charge(struct mq_ring *ring, u64 bytes, bool wait)
{
	s64 old = atomic64_read(&ring->memory);

	for (;;) {
		u64 more = beyond_reserve(ring, old + bytes) - beyond_reserve(ring, old);
		int err = 0;

		if (more)
			err = wait ? mq_memory_charge_wait(more) : mq_memory_charge(more);
		if (err)
			return err;
		if (atomic64_try_cmpxchg(&ring->memory, &old, old + bytes))
			return 0;
		mq_memory_uncharge(more);
	}
}

static void ring_uncharge(struct mq_ring *ring, u64 bytes)
{
	u64 now = atomic64_sub_return(bytes, &ring->memory);

	mq_memory_uncharge(beyond_reserve(ring, now + bytes) - beyond_reserve(ring, now));
}

static void chunk_free(struct mq_chunk *chunk)
{
	unsigned int i;

	if (chunk->base)
		put_page(chunk->pages[0]);
	else
		for (i = 0; i < chunk->nr_pages; i++)
			put_page(chunk->pages[i]);
	kfree(chunk);
}

static void chunk_free_rcu(struct rcu_head *rcu)
{
	chunk_free(container_of(rcu, struct mq_chunk, rcu));
}

static struct mq_chunk *chunk_make(unsigned int order, gfp_t more)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | more;
	unsigned int i, nr = 1U << order;
	struct mq_chunk *chunk;
	struct page *page;

	chunk = kmalloc(struct_size(chunk, pages, nr), GFP_KERNEL | __GFP_NOWARN | more);
	if (!chunk)
		return NULL;
	INIT_LIST_HEAD(&chunk->node);
	chunk->base = NULL;
	chunk->nr_pages = nr;

	/* Zeroed: a map shows whole pages, and nobody may see what was in them. */
	page = alloc_pages(gfp | (order ? __GFP_COMP | __GFP_NORETRY : 0), order);
	if (page) {
		chunk->base = page_address(page);
		for (i = 0; i < nr; i++)
			chunk->pages[i] = page + i;
		return chunk;
	}
	if (order) {
		for (i = 0; i < nr; i++) {
			chunk->pages[i] = alloc_page(gfp);
			if (!chunk->pages[i])
				break;
		}
		if (i == nr)
			return chunk;
		while (i--)
			put_page(chunk->pages[i]);
	}
	kfree(chunk);
	return NULL;
}

/*
 * Charged to the topic's cgroup if it has one, never to the writer's. At that
 * cgroup's limit the charge fails (__GFP_NORETRY): its OOM killer is not started
 * for a writer that may be anybody's.
 */
static struct mq_chunk *chunk_alloc(unsigned int order, struct mem_cgroup *memcg)
{
	struct mem_cgroup *was;
	struct mq_chunk *chunk;

	if (!memcg)
		return chunk_make(order, 0);
	was = set_active_memcg(memcg);
	chunk = chunk_make(order, __GFP_ACCOUNT | __GFP_NORETRY);
	set_active_memcg(was);
	return chunk;
}

/* Does nobody but the ring hold a page of it? Only the count tells. */
static bool chunk_idle(const struct mq_chunk *chunk)
{
	unsigned int i;

	if (chunk->base)
		return page_ref_count(chunk->pages[0]) == 1;
	for (i = 0; i < chunk->nr_pages; i++)
		if (page_ref_count(chunk->pages[i]) != 1)
			return false;
	return true;
}

/**
 * mq_ring_init() - set up an empty ring
 * @ring: the ring
 * @size: bytes, a power of two, at least a page
 * @max_shift: limit of the chunk's size
 * @start: first position that will be written
 * @lend: pages will be lent out
 * @reserve: charge all of its memory now
 * @memcg: memory cgroup of its chunks, or NULL
 *
 * Only the slot table is allocated: memory comes as slots are entered.
 * Return: 0 or -ENOMEM.
 */
int mq_ring_init(struct mq_ring *ring, u64 size, unsigned int max_shift,
		 u64 start, bool lend, bool reserve, struct mem_cgroup *memcg)
{
	unsigned int shift = ilog2(size) > MQ_MIN_CHUNKS_SHIFT ?
			     ilog2(size) - MQ_MIN_CHUNKS_SHIFT : 0;

	ring->size = size;
	ring->chunk_shift = clamp_t(unsigned int, shift, PAGE_SHIFT, max_shift);
	ring->nr_slots = max_t(u64, size >> ring->chunk_shift, 1) + lend;
	ring->lend = lend;
	ring->entered = start & ~(mq_ring_chunk(ring) - 1);
	ring->head = NULL;
	INIT_LIST_HEAD(&ring->lent);
	ring->nr_lent = 0;
	atomic64_set(&ring->memory, 0);
	ring->reserved = 0;
	ring->memcg = memcg;
	ring->map = NULL;
	ring->slots = kvcalloc(ring->nr_slots, sizeof(*ring->slots), GFP_KERNEL);
	if (!ring->slots)
		return -ENOMEM;
	if (reserve) {
		u64 bytes = ring->nr_slots * mq_ring_chunk(ring);
		int err = mq_memory_charge_wait(bytes);

		if (err) {
			kvfree(ring->slots);
			ring->slots = NULL;
			return err;
		}
		ring->reserved = bytes;
	}
	return 0;
}

/**
 * mq_ring_destroy() - give back a ring's memory
 * @ring: the ring; nobody can reach it any more
 *
 * Pages that pipes and sockets still hold live on by their own references.
 */
void mq_ring_destroy(struct mq_ring *ring)
{
	struct mq_chunk *chunk, *next;
	unsigned int i;

	if (!ring->slots)
		return;
	for (i = 0; i < ring->nr_slots; i++) {
		chunk = rcu_dereference_protected(ring->slots[i], true);
		if (chunk)
			chunk_free(chunk);
	}
	list_for_each_entry_safe(chunk, next, &ring->lent, node)
		chunk_free(chunk);
	mq_memory_uncharge(beyond_reserve(ring, atomic64_read(&ring->memory)) +
			   ring->reserved);
	kvfree(ring->slots);
	ring->slots = NULL;
}

/* How many of the oldest lent chunks came back; no more than take_lent() looks at. */
static unsigned int idle_lent(const struct mq_ring *ring)
{
	unsigned int tries = MQ_LENT_TRIES, idle = 0;
	struct mq_chunk *chunk;

	list_for_each_entry(chunk, &ring->lent, node) {
		if (!tries-- || !chunk_idle(chunk))
			break;
		idle++;
	}
	return idle;
}

/**
 * mq_ring_need() - fresh chunks that entering the ring up to @end may take
 * @ring: the ring
 * @end: position after the last byte to be written
 *
 * An upper bound under the log's lock; pages may still come back, or be lent.
 */
unsigned int mq_ring_need(const struct mq_ring *ring, u64 end)
{
	unsigned int need = 0;
	struct mq_chunk *chunk;
	u64 pos;

	if (likely(mq_ring_entered(ring, end)))
		return 0;
	for (pos = ring->entered; (s64)(end - pos) > 0; pos += mq_ring_chunk(ring)) {
		chunk = rcu_dereference_protected(ring->slots[mq_ring_slot(ring, pos)], true);
		if (!chunk || (ring->lend && !chunk_idle(chunk)))
			need++;
	}
	return need - min(need, idle_lent(ring));
}

static struct mq_chunk *take_lent(struct mq_ring *ring)
{
	struct mq_chunk *chunk;
	unsigned int tries = MQ_LENT_TRIES;

	/* Oldest first: those come back first. */
	list_for_each_entry(chunk, &ring->lent, node) {
		if (!tries--)
			break;
		if (chunk_idle(chunk)) {
			list_del_init(&chunk->node);
			WRITE_ONCE(ring->nr_lent, ring->nr_lent - 1);
			return chunk;
		}
	}
	return NULL;
}

/**
 * mq_ring_enter() - make the ring writable up to @end
 * @ring: the ring
 * @end: position after the last byte to be written; the tail has left room
 *	and a full barrier stands between its move and this call
 * @fresh: chunks from mq_ring_alloc() to take from
 *
 * Return: 0, or -EAGAIN if @fresh was too short: get more outside of the lock.
 */
int mq_ring_enter(struct mq_ring *ring, u64 end, struct list_head *fresh)
{
	while (!mq_ring_entered(ring, end)) {
		unsigned int slot = mq_ring_slot(ring, ring->entered);
		struct mq_chunk *old, *new;

		old = rcu_dereference_protected(ring->slots[slot], true);
		/*
		 * Reference, barrier, look at the tail: mq_ring_get_page() and its
		 * callers. Tail, barrier, look at the count: here. One sees the other.
		 */
		if (!old || (ring->lend && !chunk_idle(old))) {
			new = take_lent(ring);
			if (!new)
				new = list_first_entry_or_null(fresh, struct mq_chunk, node);
			if (!new)
				return -EAGAIN;
			list_del_init(&new->node);
			rcu_assign_pointer(ring->slots[slot], new);
			if (ring->map)
				mq_map_zap(ring, slot);
			if (old) {
				list_add_tail(&old->node, &ring->lent);
				WRITE_ONCE(ring->nr_lent, ring->nr_lent + 1);
			}
		}
		ring->entered += mq_ring_chunk(ring);
		ring->head = rcu_dereference_protected(ring->slots[slot], true)->base;
	}
	return 0;
}

/**
 * mq_ring_alloc() - get fresh chunks
 * @ring: the ring they are for; charged
 * @nr: how many
 * @fresh: list to add them to
 * @wait: for the memory of deleted topics, if it must be
 *
 * Context: process; no lock that a writer takes is held.
 * Return: 0 or -ENOMEM (what was got stays on the list).
 */
int mq_ring_alloc(struct mq_ring *ring, unsigned int nr, struct list_head *fresh, bool wait)
{
	while (nr--) {
		struct mq_chunk *chunk;
		int err = ring_charge(ring, mq_ring_chunk(ring), wait);

		if (err)
			return err;
		chunk = chunk_alloc(ring->chunk_shift - PAGE_SHIFT, ring->memcg);
		if (!chunk) {
			ring_uncharge(ring, mq_ring_chunk(ring));
			return -ENOMEM;
		}
		list_add_tail(&chunk->node, fresh);
	}
	return 0;
}

/**
 * mq_ring_free_list() - give back fresh chunks that were not needed
 * @ring: the ring they were allocated for
 * @fresh: the list
 */
void mq_ring_free_list(struct mq_ring *ring, struct list_head *fresh)
{
	struct mq_chunk *chunk, *next;

	list_for_each_entry_safe(chunk, next, fresh, node) {
		list_del(&chunk->node);
		chunk_free(chunk);
		ring_uncharge(ring, mq_ring_chunk(ring));
	}
}

/**
 * mq_ring_reap() - free lent chunks that came back
 * @ring: the ring; its log's lock is held
 *
 * A reader that found the chunk in its slot before it was replaced may still
 * copy from it: it is freed after a grace period.
 */
void mq_ring_reap(struct mq_ring *ring)
{
	struct mq_chunk *chunk, *next;

	list_for_each_entry_safe(chunk, next, &ring->lent, node) {
		if (!chunk_idle(chunk))
			continue;
		list_del(&chunk->node);
		WRITE_ONCE(ring->nr_lent, ring->nr_lent - 1);
		ring_uncharge(ring, mq_ring_chunk(ring));
		call_rcu(&chunk->rcu, chunk_free_rcu);
	}
}

/**
 * mq_ring_copy_from_iter() - fill a part of the ring from a caller's memory
 * @ring: the ring, entered so far; the log's lock is held
 * @pos: where to
 * @len: how much
 * @from: where from; advanced
 *
 * Context: page faults are off. Return: bytes copied, fewer at a fault.
 */
size_t mq_ring_copy_from_iter(struct mq_ring *ring, u64 pos, size_t len,
			      struct iov_iter *from)
{
	size_t done = 0;

	while (done < len) {
		size_t seg, got;
		void *to = mq_ring_ptr(ring, pos + done, &seg);

		seg = min(seg, len - done);
		/* Whole pages of ours: there is no object whose bounds could be checked. */
		got = _copy_from_iter(to, seg, from);
		done += got;
		if (got != seg)
			break;
	}
	return done;
}

/**
 * mq_ring_copy_from_user() - the same from one piece of user memory
 * @ring: the ring, entered so far; the log's lock is held
 * @pos: where to
 * @len: how much
 * @from: where from; access_ok()
 *
 * Context: page faults are off. Return: bytes copied, fewer at a fault.
 */
size_t mq_ring_copy_from_user(struct mq_ring *ring, u64 pos, size_t len,
			      const void __user *from)
{
	size_t done = 0;

	while (done < len) {
		size_t seg, got;
		void *to = mq_ring_ptr(ring, pos + done, &seg);

		seg = min(seg, len - done);
		got = mq_copy_from_user(to, from + done, seg);
		done += got;
		if (got != seg)
			break;
	}
	return done;
}

/**
 * mq_ring_write() - fill a part of the ring from kernel memory
 * @ring: the ring, entered so far; the log's lock is held
 * @pos: where to
 * @src: where from
 * @len: how much
 */
void mq_ring_write(struct mq_ring *ring, u64 pos, const void *src, size_t len)
{
	while (len) {
		size_t seg;
		void *to = mq_ring_ptr(ring, pos, &seg);

		seg = min(seg, len);
		memcpy(to, src, seg);
		pos += seg;
		src += seg;
		len -= seg;
	}
}

/**
 * mq_ring_crc32c() - checksum of a part of the ring
 * @ring: the ring; the log's lock is held
 * @crc: value so far
 * @pos: where from
 * @len: how much
 */
u32 mq_ring_crc32c(const struct mq_ring *ring, u32 crc, u64 pos, size_t len)
{
	while (len) {
		size_t seg;
		const void *p = mq_ring_ptr(ring, pos, &seg);

		seg = min(seg, len);
		crc = mq_crc32c(crc, p, seg);
		pos += seg;
		len -= seg;
	}
	return crc;
}

/**
 * mq_ring_find() - find a byte in a part of the ring
 * @ring: the ring; the log's lock is held
 * @pos: where from
 * @len: how much
 * @c: the byte
 *
 * Return: its position, or @pos + @len if it is not there.
 */
u64 mq_ring_find(struct mq_ring *ring, u64 pos, size_t len, u8 c)
{
	while (len) {
		size_t seg;
		const void *p = mq_ring_ptr(ring, pos, &seg);
		const void *hit;

		seg = min(seg, len);
		hit = memchr(p, c, seg);
		if (hit)
			return pos + (hit - p);
		pos += seg;
		len -= seg;
	}
	return pos;
}

/**
 * mq_ring_copy_to_iter() - copy a part of the ring to a caller's memory
 * @ring: the ring
 * @pos: where from
 * @len: how much
 * @to: where to; advanced
 *
 * What was copied is good only if the tail has not passed @pos afterwards.
 *
 * Context: rcu_read_lock(), page faults off. Return: bytes copied, fewer at a
 * fault.
 */
size_t mq_ring_copy_to_iter(const struct mq_ring *ring, u64 pos, size_t len,
			    struct iov_iter *to)
{
	size_t done = 0;

	while (done < len) {
		size_t seg, got;
		void *from = mq_ring_ptr(ring, pos + done, &seg);

		if (!from)
			break;
		seg = min(seg, len - done);
		got = _copy_to_iter(from, seg, to);
		done += got;
		if (got != seg)
			break;
	}
	return done;
}

/**
 * mq_ring_get_page() - reference the page of a byte, to lend it out
 * @ring: the ring
 * @pos: the byte's position
 * @offset: returned: where in the page it is (beyond PAGE_SIZE in a compound one)
 * @len: returned: bytes from there that the page holds
 *
 * The caller issues a full barrier and then checks that the tail has not
 * passed @pos; see mq_ring_enter().
 *
 * Context: rcu_read_lock(), which keeps the chunk and its own reference alive.
 * Return: the page, or NULL where nothing was ever written.
 */
struct page *mq_ring_get_page(const struct mq_ring *ring, u64 pos,
			      unsigned int *offset, size_t *len)
{
	struct mq_chunk *chunk = rcu_dereference(ring->slots[mq_ring_slot(ring, pos)]);
	size_t off = pos & (mq_ring_chunk(ring) - 1);
	struct page *page;

	if (!chunk)
		return NULL;
	if (chunk->base) {
		page = chunk->pages[0];
		*offset = off;
		*len = mq_ring_chunk(ring) - off;
	} else {
		page = chunk->pages[off >> PAGE_SHIFT];
		*offset = offset_in_page(off);
		*len = PAGE_SIZE - *offset;
	}
	get_page(page);
	return page;
}
