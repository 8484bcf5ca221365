/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_RING_H
#define _MQ_RING_H

#include <linux/fault-inject-usercopy.h>
#include <linux/instrumented.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

struct mem_cgroup;
struct mq_map;

/**
 * struct mq_chunk - the unit in which a ring gets, replaces and frees memory
 * @rcu: frees it after the readers that may still copy from it
 * @node: on the writer's list of fresh chunks, or on mq_ring.lent
 * @base: address of its first byte if its pages are one compound page, else NULL
 * @nr_pages: number of pages
 * @pages: its pages; the chunk holds one reference on each (on the head, if compound)
 *
 * Owned by the ring (a slot or the lent list), or by the writer that
 * allocated it. Freed by mq_chunk_free() or, once readers may have seen it,
 * by mq_chunk_free_rcu().
 */
struct mq_chunk {
	struct rcu_head rcu;
	struct list_head node;
	void *base;
	unsigned int nr_pages;
	struct page *pages[];
};

/**
 * struct mq_ring - a byte ring addressed by free-running 64-bit positions
 * @size: bytes it can hold, a power of two
 * @chunk_shift: log2 of the bytes of a chunk
 * @nr_slots: chunks in the ring; one more than @size needs if @lend, so that a
 *	chunk is entered only after all of its old bytes are past the tail
 * @lend: pages are lent to pipes; a chunk whose page is held is replaced
 * @slots: the chunks; written under the log's lock, read under RCU
 * @entered: end of the slot entered last; bytes below it have a chunk of
 *	their own lap (log's lock)
 * @head: address of that slot's chunk; NULL if it is not one piece (log's lock)
 * @lent: replaced chunks whose pages are still held elsewhere (log's lock)
 * @nr_lent: length of @lent (written under the log's lock)
 * @memory: bytes of its chunks, lent ones included
 * @reserved: bytes charged to the module's limit at creation
 * @memcg: memory cgroup that chunks are charged to, or NULL; the topic's reference
 * @map: where the ring is mapped, NULL if it never was (log's lock)
 * @map_at: its place there; set once, with @map
 * @map_copies: so often in a row
 *
 * All positions below are the caller's business: which bytes are valid is
 * known by struct mq_log.
 */
struct mq_ring {
	u64 size;
	unsigned int chunk_shift;
	unsigned int nr_slots;
	bool lend;
	struct mq_chunk __rcu **slots;
	u64 entered;
	void *head;
	struct list_head lent;
	unsigned int nr_lent;
	atomic64_t memory;
	u64 reserved;
	struct mem_cgroup *memcg;
	struct mq_map *map;
	loff_t map_at;
	unsigned int map_copies;
};

static inline u64 mq_ring_chunk(const struct mq_ring *ring)
{
	return 1ULL << ring->chunk_shift;
}

static inline unsigned int mq_ring_slot(const struct mq_ring *ring, u64 pos)
{
	u32 slot;

	/* Offsets times 64 wrap around 2^64, so rings of powers of two are masked. */
	if (!ring->lend)
		return (pos >> ring->chunk_shift) & (ring->nr_slots - 1);
	div_u64_rem(pos >> ring->chunk_shift, ring->nr_slots, &slot);
	return slot;
}

/**
 * mq_ring_ptr() - address of a byte in the ring
 * @ring: the ring
 * @pos: its position
 * @len: returned: bytes that follow it at the same address
 *
 * Context: rcu_read_lock(), or the log's lock. Return: NULL where nothing was
 * ever written.
 */
static inline void *mq_ring_ptr(const struct mq_ring *ring, u64 pos, size_t *len)
{
	const struct mq_chunk *chunk =
		rcu_dereference_check(ring->slots[mq_ring_slot(ring, pos)], true);
	size_t off = pos & (mq_ring_chunk(ring) - 1);

	if (unlikely(!chunk))
		return NULL;
	if (likely(chunk->base)) {
		*len = mq_ring_chunk(ring) - off;
		return chunk->base + off;
	}
	*len = PAGE_SIZE - offset_in_page(off);
	return page_address(chunk->pages[off >> PAGE_SHIFT]) + offset_in_page(off);
}

/**
 * mq_ring_head() - the same for a byte that is about to be written
 * @ring: the ring, entered so far
 * @pos: the byte's position
 * @len: returned: bytes that follow it at the same address
 *
 * Context: the log's lock. Writers stay in a chunk for a while: no look at the slots.
 */
static inline void *mq_ring_head(const struct mq_ring *ring, u64 pos, size_t *len)
{
	u64 left = ring->entered - pos;

	if (unlikely(left > mq_ring_chunk(ring) || !left || !ring->head))
		return mq_ring_ptr(ring, pos, len);
	*len = left;
	return ring->head + mq_ring_chunk(ring) - left;
}

/*
 * Copy to one piece of a ring. Whole pages of ours: there is no object whose
 * bounds could be checked. Page faults are off; access_ok() was asked. Bytes copied.
 */
static inline size_t mq_copy_from_user(void *to, const void __user *from, size_t len)
{
	size_t left;

	if (should_fail_usercopy())
		return 0;
	instrument_copy_from_user_before(to, from, len);
	left = raw_copy_from_user(to, from, len);
	instrument_copy_from_user_after(to, from, len, left);
	return len - left;
}

/* Does every byte below @end have a chunk of its own lap? The log's lock is held. */
static inline bool mq_ring_entered(const struct mq_ring *ring, u64 end)
{
	return (s64)(end - ring->entered) <= 0;
}

int mq_ring_init(struct mq_ring *ring, u64 size, unsigned int max_shift,
		 u64 start, bool lend, bool reserve, struct mem_cgroup *memcg);
void mq_ring_destroy(struct mq_ring *ring);

/* Writer's side, under the log's lock. */
unsigned int mq_ring_need(const struct mq_ring *ring, u64 end);
int mq_ring_enter(struct mq_ring *ring, u64 end, struct list_head *fresh);
size_t mq_ring_copy_from_iter(struct mq_ring *ring, u64 pos, size_t len,
			      struct iov_iter *from);
size_t mq_ring_copy_from_user(struct mq_ring *ring, u64 pos, size_t len,
			      const void __user *from);
void mq_ring_write(struct mq_ring *ring, u64 pos, const void *src, size_t len);
u32 mq_ring_crc32c(const struct mq_ring *ring, u32 crc, u64 pos, size_t len);
u64 mq_ring_find(struct mq_ring *ring, u64 pos, size_t len, u8 c);
void mq_ring_reap(struct mq_ring *ring);

/* Outside of every lock. */
int mq_ring_alloc(struct mq_ring *ring, unsigned int nr, struct list_head *fresh, bool wait);
void mq_ring_free_list(struct mq_ring *ring, struct list_head *fresh);

/* Readers' side, under rcu_read_lock(). */
size_t mq_ring_copy_to_iter(const struct mq_ring *ring, u64 pos, size_t len,
			    struct iov_iter *to);
struct page *mq_ring_get_page(const struct mq_ring *ring, u64 pos,
			      unsigned int *offset, size_t *len);

#endif /* _MQ_RING_H */
