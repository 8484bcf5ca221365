// SPDX-License-Identifier: GPL-2.0
/*
 * A partition's log mapped into a reader's memory: see <mq/mq.h> for what the
 * reader sees and how it tells good data from overrun data.
 *
 * A map holds no page references: it shows the chunk that is in a slot now. So
 * that no map shows another one's bytes as a position's, a writer that changes a
 * slot does so before it writes there, in this order:
 *
 *	tail, full barrier	evict_to(): a reader of the old bytes will find out
 *	slot = new chunk	mq_ring_enter()
 *	full barrier, zap	mq_map_zap(): each page table under its lock, then TLBs
 *	new bytes, head		copy_payload(), commit()
 *
 * and a fault fills a page table under the same lock that the zap takes:
 *
 *	page table, if none, full barrier, slot, entry		show_page()
 *
 * If the fault has that lock first, the zap finds the entry and takes it out. If
 * the zap has it first, the fault sees the new slot. If there was no page table
 * for the zap to lock, the two barriers see to it that the fault, whose page table
 * came later, sees the new slot. Neither waits for the other: a reader that is
 * stopped in a fault, wherever, delays no writer. (vmf_insert_pfn() takes that
 * lock, too, but the look at the slot would come before or after: another thread
 * of the reader could meanwhile use an entry that is about to be taken back.)
 *
 * A chunk leaves its slot before it is lent, reaped or freed, so no map reaches a
 * free page; what is left in the slots goes with the log, after the last file and
 * so after the last map (map, file, topic). Chunks are zeroed when they are
 * allocated and stay in their ring: no map shows foreign bytes. A slot without a
 * chunk shows the zero page.
 *
 * Locks: mmap_lock is outside of the log's lock (mq_dev_mmap()), and nothing takes
 * it within, for writers copy with page faults off. The zap takes i_mmap_rwsem,
 * which sleeps, and page table locks inside of the log's lock; a fault takes only
 * the page table lock. What mm does under i_mmap_rwsem is short and in proportion
 * to the maps there are, hence MQ_MAX_MAPS and no maps across fork.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "file.h"
#include "fs.h"
#include "memory.h"
#include "mmap.h"

static u64 ring_bytes(const struct mq_ring *ring)
{
	return (u64)ring->nr_slots << ring->chunk_shift;
}

/* --- what writers do: the log's lock is held -------------------------------- */

/**
 * mq_map_show_head() - let maps see messages
 * @log: the log, its head moved
 *
 * Pairs with the reader's load-acquire of head_offset or head_position: all
 * of the messages below is there.
 */
void mq_map_show_head(struct mq_log *log)
{
	struct mq_map_header *h = log->map->header;

	WRITE_ONCE(h->head_attr_position, log->b.head_attr);
	/* Pairs with the reader's load-acquire, see above. */
	smp_store_release(&h->head_position, log->b.head_pos);
	/* Pairs with the reader's load-acquire, see above. */
	smp_store_release(&h->head_offset, log->b.head_off);
}

/**
 * mq_map_show_tail() - let maps see which messages are gone
 * @log: the log, its tail moved
 *
 * The caller issues a full barrier before anything below the tail is written.
 * Pairs with the reader's barrier between its use of a message and its second
 * look at the tail.
 */
void mq_map_show_tail(struct mq_log *log)
{
	struct mq_map_header *h = log->map->header;

	WRITE_ONCE(h->tail_offset, log->b.tail_off);
	WRITE_ONCE(h->tail_position, log->b.tail_pos);
	WRITE_ONCE(h->tail_attr_position, log->b.tail_attr);
}

/**
 * mq_map_show_dead() - let maps see that the topic was deleted
 * @log: a log of it
 *
 * Pairs with the reader's load-acquire of flags: nothing comes after.
 */
void mq_map_show_dead(struct mq_log *log)
{
	struct mq_map_header *h = log->map->header;

	/* Pairs with the reader's load-acquire, see above. */
	smp_store_release(&h->flags, h->flags | MQ_MAP_DELETED);
}

/**
 * mq_map_zap() - take a slot out of all maps, for its chunk was changed
 * @ring: the ring; mapped
 * @slot: the slot
 *
 * Context: the log's lock is held; sleeps, for no page fault and no reclaim.
 */
void mq_map_zap(const struct mq_ring *ring, unsigned int slot)
{
	const struct mq_map_host *host;
	loff_t at = ring->map_at + ((loff_t)slot << ring->chunk_shift);
	unsigned int copy;

	/* Slot, barrier, page tables here; page table, barrier, slot in show_page(). */
	smp_mb();
	for (host = ring->map->host; host < ring->map->host + 2; host++)
		for (copy = 0; host->inode && copy < ring->map_copies; copy++)
			unmap_mapping_range(host->inode->i_mapping,
					    at + copy * ring_bytes(ring),
					    mq_ring_chunk(ring), 1);
}

/* --- page faults ------------------------------------------------------------- */

/* What show_page() shows: @ring is NULL for the header. */
struct show {
	const struct vm_area_struct *vma;
	const struct mq_map *map;
	const struct mq_ring *ring;
	unsigned int slot;
	pgoff_t first;
};

/* One entry of a page table, under its lock. */
static int show_page(pte_t *pte, unsigned long addr, void *arg)
{
	const struct show *s = arg;
	const struct mq_chunk *chunk;
	pgoff_t pgoff = s->vma->vm_pgoff + ((addr - s->vma->vm_start) >> PAGE_SHIFT);
	unsigned long pfn;

	if (!pte_none(ptep_get(pte)))
		return 0;
	/* Page table, barrier, slot here; slot, barrier, page tables in mq_map_zap(). */
	smp_mb();
	rcu_read_lock();
	if (!s->ring) {
		pfn = page_to_pfn(virt_to_page(s->map->header));
	} else {
		chunk = rcu_dereference(s->ring->slots[s->slot]);
		pfn = page_to_pfn(chunk ? chunk->pages[pgoff - s->first] : ZERO_PAGE(addr));
	}
	/* Special: nobody gets a reference to the page by it. */
	set_pte_at(s->vma->vm_mm, addr, pte,
		   pte_mkspecial(pfn_pte(pfn, s->vma->vm_page_prot)));
	rcu_read_unlock();
	return 0;
}

static const struct mq_ring *ring_at(const struct mq_log *log, loff_t at)
{
	if (at >= log->data.map_at)
		return &log->data;
	if (at >= log->attrs.map_at)
		return &log->attrs;
	return at >= log->index.map_at ? &log->index : NULL;
}

/* Shows all of the chunk that the page is in, as far as it is mapped here. */
static vm_fault_t map_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	const struct mq_log *log = vma->vm_private_data;
	const pgoff_t vma_end = vma->vm_pgoff + vma_pages(vma);
	loff_t at = (loff_t)vmf->pgoff << PAGE_SHIFT;
	struct show s = {
		.vma = vma,
		.map = log->map,
		.ring = ring_at(log, at),
		.first = vmf->pgoff,
	};
	pgoff_t from = vmf->pgoff, to = from + 1;

	if (s.ring) {
		u64 off;

		div64_u64_rem(at - s.ring->map_at, ring_bytes(s.ring), &off);
		s.slot = off >> s.ring->chunk_shift;
		s.first -= (off & (mq_ring_chunk(s.ring) - 1)) >> PAGE_SHIFT;
		from = max(s.first, vma->vm_pgoff);
		to = min_t(pgoff_t, s.first + (mq_ring_chunk(s.ring) >> PAGE_SHIFT), vma_end);
	}
	if (apply_to_page_range(vma->vm_mm,
				vma->vm_start + ((from - vma->vm_pgoff) << PAGE_SHIFT),
				(to - from) << PAGE_SHIFT, show_page, &s))
		return VM_FAULT_OOM;
	return VM_FAULT_NOPAGE;
}

/* A map was divided or moved. */
static void map_open(struct vm_area_struct *vma)
{
	const struct mq_log *log = vma->vm_private_data;

	atomic_inc(&log->map->vmas);
}

static void map_close(struct vm_area_struct *vma)
{
	const struct mq_log *log = vma->vm_private_data;

	atomic_dec(&log->map->vmas);
}

/* Nearly exact, as all who divide at a time may pass: it only has to bound. */
static int map_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	const struct mq_log *log = vma->vm_private_data;

	return atomic_read(&log->map->vmas) < MQ_MAX_MAPS ? 0 : -ENOMEM;
}

static const struct vm_operations_struct mq_map_ops = {
	.open		= map_open,
	.close		= map_close,
	.may_split	= map_may_split,
	.fault		= map_fault,
};

/* --- mmap ---------------------------------------------------------------------- */

static struct mq_map *map_alloc(void)
{
	struct mq_map *map;

	if (mq_memory_charge(PAGE_SIZE))
		return NULL;
	map = kzalloc(sizeof(*map), GFP_KERNEL);
	if (!map)
		goto err;
	map->header = (struct mq_map_header *)get_zeroed_page(GFP_KERNEL);
	if (map->header)
		return map;
	kfree(map);
err:
	mq_memory_uncharge(PAGE_SIZE);
	return NULL;
}

/**
 * mq_map_destroy() - free what a log's maps had in common
 * @map: it, or NULL; no file of the log is open, so nothing is mapped
 */
void mq_map_destroy(struct mq_map *map)
{
	if (!map)
		return;
	free_page((unsigned long)map->header);
	kfree(map);
	mq_memory_uncharge(PAGE_SIZE);
}

/* Give a ring its place in the maps: returns the place after it. */
static loff_t place(struct mq_map *map, struct mq_ring *ring, loff_t at, unsigned int copies)
{
	ring->map = map;
	ring->map_at = at;
	ring->map_copies = copies;
	return at + copies * ring_bytes(ring);
}

/* From here on writers keep the header up to date. */
static void begin(struct mq_partition *p, struct mq_map *map)
{
	struct mq_map_header *h = map->header;
	struct mq_log *log = &p->log;
	loff_t end;

	BUILD_BUG_ON(sizeof(*h) > PAGE_SIZE);

	end = place(map, &log->index, PAGE_SIZE, 1);
	end = place(map, &log->attrs, end, 2);
	end = place(map, &log->data, end, 2);
	map->pages = end >> PAGE_SHIFT;

	h->size = sizeof(*h);
	h->version = MQ_MAP_VERSION;
	h->entry_size = sizeof(struct mq_entry);
	h->partition = p->number;
	h->epoch = log->epoch;
	h->flags = p->topic->persistent ? MQ_MAP_PERSISTENT : 0;
	memcpy(h->topic_id, p->topic->id, sizeof(h->topic_id));
	h->length = end;
	h->index_at = log->index.map_at;
	h->index_size = ring_bytes(&log->index);
	h->attrs_at = log->attrs.map_at;
	h->attrs_size = ring_bytes(&log->attrs);
	h->data_at = log->data.map_at;
	h->data_size = ring_bytes(&log->data);
	h->durable_offset = p->topic->persistent ? p->durable_off : 0;

	log->map = map;
	mq_map_show_tail(log);
	mq_map_show_head(log);
	if (mq_topic_dead(p->topic))
		mq_map_show_dead(log);
}

static struct mq_map_host *host_of(struct mq_file *f)
{
	return &f->first.part->log.map->host[f->partition < 0];
}

/* The file's log has its common part, and knows the file's inode. */
static int join(struct mq_file *f)
{
	struct mq_partition *p = f->first.part;
	struct mq_map *map = NULL;

	if (!READ_ONCE(p->log.map)) {
		map = map_alloc();
		if (!map)
			return -ENOMEM;
	}
	mutex_lock(&p->log.lock);
	if (!p->log.map) {
		begin(p, map);
		map = NULL;
	}
	if (!f->mapped) {
		host_of(f)->inode = file_inode(f->filp);
		host_of(f)->files++;
		f->mapped = true;
	}
	mutex_unlock(&p->log.lock);
	mq_map_destroy(map);
	return 0;
}

/**
 * mq_map_release() - a file that may have been mapped goes
 * @f: the file; its last map has gone before
 */
void mq_map_release(struct mq_file *f)
{
	struct mq_partition *p = f->first.part;

	if (!f->mapped)
		return;
	mutex_lock(&p->log.lock);
	if (!--host_of(f)->files)
		host_of(f)->inode = NULL;
	mutex_unlock(&p->log.lock);
}

int mq_dev_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct mq_file *f = filp->private_data;
	struct mq_log *log = &f->first.part->log;
	int err;

	/* Of a file opened read-only VM_SHARED is gone: only VM_MAYSHARE tells. */
	if (!(vma->vm_flags & VM_MAYSHARE) || (vma->vm_flags & (VM_WRITE | VM_EXEC)))
		return -EPERM;
	if (mq_file_several(f))
		return -EINVAL;
	err = join(f);
	if (err)
		return err;
	if (vma->vm_pgoff > log->map->pages || vma_pages(vma) > log->map->pages - vma->vm_pgoff)
		return -EINVAL;
	if (!atomic_add_unless(&log->map->vmas, 1, MQ_MAX_MAPS))
		return -ENOMEM;
	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	vma->vm_private_data = log;
	vma->vm_ops = &mq_map_ops;
	return 0;
}
