// SPDX-License-Identifier: GPL-2.0
/*
 * Appending: one write's way into a partition's log.
 *
 *   mq_append()           outside of locks: memory, page faults
 *     append_locked()
 *       mq_append_prepare()  room (evict.c), memory
 *       copy_payload()       user memory to the ring, page faults off
 *       mq_append_commit()   entries, checksums; readers see it
 *     mq_append_wake()
 *
 * Nothing is visible before mq_append_commit(), so any step may give up.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/ktime.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "append.h"
#include "crc.h"
#include "evict.h"
#include "hold.h"
#include "limits.h"
#include "mmap.h"
#include "topic.h"

#define ENTRY_SIZE	sizeof(struct mq_entry)
#define CLOCK_BACK_NS	(10LL * NSEC_PER_SEC)

static unsigned int list_length(const struct list_head *list)
{
	const struct list_head *pos;
	unsigned int n = 0;

	list_for_each(pos, list)
		n++;
	return n;
}

static struct mq_ring *append_ring(struct mq_log *log, unsigned int i)
{
	return i == 0 ? &log->data : i == 1 ? &log->index : &log->attrs;
}

static u64 writer_cgroup(void)
{
	u64 id = 0;

#ifdef CONFIG_CGROUPS
	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(current));
	rcu_read_unlock();
#endif
	return id;
}

static void add_stamp(struct mq_append *a, u16 type, const void *data, u16 len)
{
	struct nlattr *nla = (struct nlattr *)(a->stamp + a->stamp_len);

	nla->nla_type = type;
	nla->nla_len = NLA_HDRLEN + len;
	memcpy(nla_data(nla), data, len);
	a->stamp_len += NLA_ALIGN(nla->nla_len);
}

/**
 * mq_writer_now() - the caller is the writer
 * @w: returned
 */
void mq_writer_now(struct mq_writer *w)
{
	w->cgroup = writer_cgroup();
	w->pid = task_tgid_nr(current);
	w->uid = from_kuid(&init_user_ns, current_euid());
}

/**
 * mq_append_stamp() - the attributes that the kernel adds to a write's messages
 * @a: the write
 * @stamp: MQ_STAMP_* bits
 * @w: who wrote, or NULL: the caller
 */
void mq_append_stamp(struct mq_append *a, u32 stamp, const struct mq_writer *w)
{
	struct mq_writer now;

	if (!w) {
		mq_writer_now(&now);
		w = &now;
	}
	if (stamp & MQ_STAMP_UID)
		add_stamp(a, MQ_ATTR_WRITER_UID, &w->uid, sizeof(w->uid));
	if (stamp & MQ_STAMP_CGROUP)
		add_stamp(a, MQ_ATTR_WRITER_CGROUP, &w->cgroup, sizeof(w->cgroup));
}

/**
 * mq_append_free() - give back chunks that a write did not need
 * @p: the partition
 * @a: the write
 */
void mq_append_free(struct mq_partition *p, struct mq_append *a)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		mq_ring_free_list(append_ring(&p->log, i), &a->fresh[i].list);
}

/**
 * mq_append_check() - can a write of this size ever find room?
 * @topic: the topic
 * @a: the write
 *
 * Return: 0, or -EMSGSIZE beyond a quarter of any ring.
 */
int mq_append_check(struct mq_topic *topic, const struct mq_append *a)
{
	u64 attrs = mq_append_attr_bytes(a);

	if (a->bytes > topic->ring_bytes / MQ_QUARTER ||
	    a->count > topic->ring_messages / MQ_QUARTER ||
	    attrs > topic->attr_bytes / MQ_QUARTER)
		return -EMSGSIZE;
	return 0;
}

/* Bytes from @head on that have both room and their chunk. Differences, for numbers wrap. */
static u64 ready_bytes(const struct mq_ring *ring, u64 head, u64 used)
{
	return mq_ring_entered(ring, head) ? min(ring->size - used, ring->entered - head) : 0;
}

/* How far may the head go before the next look at room, chunks and the numbers' end? */
static void set_ready(struct mq_log *log)
{
	const struct mq_bounds *b = &log->b;
	u64 n;

	n = ready_bytes(&log->index, b->head_off * ENTRY_SIZE,
			(b->head_off - b->tail_off) * ENTRY_SIZE) / ENTRY_SIZE;
	log->ready.off = b->head_off + min(n, S64_MAX - b->head_off);
	n = ready_bytes(&log->data, b->head_pos, b->head_pos - b->tail_pos);
	log->ready.pos = b->head_pos + min(n, S64_MAX - b->head_pos);
	log->ready.attr = b->head_attr +
			  ready_bytes(&log->attrs, b->head_attr, b->head_attr - b->tail_attr);
}

static inline bool is_ready(const struct mq_log *log, const struct mq_append *a)
{
	return (s64)(log->b.head_pos + a->bytes - log->ready.pos) <= 0 &&
	       (s64)(log->b.head_off + a->count - log->ready.off) <= 0 &&
	       (s64)(log->b.head_attr + mq_append_attr_bytes(a) - log->ready.attr) <= 0;
}

/* Is the topic open for writing? */
static inline int may_append(const struct mq_partition *p)
{
	if (unlikely(READ_ONCE(p->topic->dead)))
		return -ENODEV;
	if (unlikely(READ_ONCE(p->topic->paused)))
		return MQ_STEP_FULL;
	return MQ_STEP_DONE;
}

/* Do the numbers reach? File positions are signed. */
static bool numbers_reach(const struct mq_log *log, const struct mq_append *a)
{
	return log->b.head_pos <= S64_MAX - a->bytes && log->b.head_off <= S64_MAX - a->count;
}

/**
 * mq_append_look() - could a write be prepared now? Nothing is changed.
 * @p: the partition; its log's lock is held
 * @a: the write
 *
 * Return: MQ_STEP_DONE, MQ_STEP_FULL, or an error of mq_append_prepare().
 */
int mq_append_look(struct mq_partition *p, const struct mq_append *a)
{
	int step = may_append(p);

	if (step != MQ_STEP_DONE)
		return step;
	return numbers_reach(&p->log, a) ? mq_evict_look(p, a) : -EFBIG;
}

/* Have the rings enter their next chunks: once in 64 KiB. */
static int enter_chunks(struct mq_partition *p, struct mq_append *a)
{
	struct mq_log *log = &p->log;
	const u64 end[3] = {
		log->b.head_pos + a->bytes,
		(log->b.head_off + a->count) * ENTRY_SIZE,
		log->b.head_attr + mq_append_attr_bytes(a),
	};
	bool missing = false;
	unsigned int i;
	int step;

	if (!a->chunks) {
		a->chunks = true;
		for (i = 0; i < 3; i++) {
			INIT_LIST_HEAD(&a->fresh[i].list);
			a->fresh[i].have = 0;
		}
	}
	/* Memory before room: nothing is evicted for a write that fails. */
	step = mq_append_look(p, a);
	if (step != MQ_STEP_DONE)
		return step;
	for (i = 0; i < 3; i++) {
		a->fresh[i].need = mq_ring_need(append_ring(log, i), end[i]);
		missing |= a->fresh[i].need > a->fresh[i].have;
	}
	if (missing)
		return MQ_STEP_MEMORY;

	step = mq_evict_for(p, a);
	if (step != MQ_STEP_DONE)
		return step;
	for (i = 0; i < 3; i++) {
		struct mq_ring *ring = append_ring(log, i);
		int err = mq_ring_enter(ring, end[i], &a->fresh[i].list);

		a->fresh[i].have = list_length(&a->fresh[i].list);
		if (READ_ONCE(ring->nr_lent))
			schedule_delayed_work(&p->reap, HZ);
		/* A page was lent since we counted: that takes one chunk more. */
		if (err) {
			a->fresh[i].need = mq_ring_need(ring, end[i]);
			return MQ_STEP_MEMORY;
		}
	}
	return MQ_STEP_DONE;
}

static noinline int make_ready(struct mq_partition *p, struct mq_append *a)
{
	struct mq_log *log = &p->log;
	int step;

	if (!numbers_reach(log, a))
		return -EFBIG;
	if (mq_ring_entered(&log->data, log->b.head_pos + a->bytes) &&
	    mq_ring_entered(&log->index, (log->b.head_off + a->count) * ENTRY_SIZE) &&
	    mq_ring_entered(&log->attrs, log->b.head_attr + mq_append_attr_bytes(a)))
		step = mq_evict_for(p, a);
	else
		step = enter_chunks(p, a);
	set_ready(log);
	return step;
}

static __always_inline int prepare(struct mq_partition *p, struct mq_append *a)
{
	int step = may_append(p);

	if (unlikely(step != MQ_STEP_DONE))
		return step;
	return likely(is_ready(&p->log, a)) ? MQ_STEP_DONE : make_ready(p, a);
}

/**
 * mq_append_prepare() - make room and memory for a write
 * @p: the partition; its log's lock is held
 * @a: the write
 *
 * Return: MQ_STEP_DONE and the rings are entered; MQ_STEP_FULL;
 * MQ_STEP_MEMORY: mq_append_refill() without the lock; -ENODEV, or -EFBIG at
 * the end of the numbers.
 */
int mq_append_prepare(struct mq_partition *p, struct mq_append *a)
{
	return prepare(p, a);
}

/**
 * mq_append_refill() - get the memory that mq_append_prepare() missed
 * @p: the partition; its log's lock is not held
 * @a: the write
 * @mode: MQ_BLOCK: may wait for the memory of deleted topics
 *
 * Return: 0 or -ENOMEM.
 */
int mq_append_refill(struct mq_partition *p, struct mq_append *a, enum mq_mode mode)
{
	unsigned int i;
	int err;

	for (i = 0; i < 3; i++) {
		struct mq_fresh *fresh = &a->fresh[i];

		if (fresh->need <= fresh->have)
			continue;
		err = mq_ring_alloc(append_ring(&p->log, i), fresh->need - fresh->have,
				    &fresh->list, mode == MQ_BLOCK);
		fresh->have = list_length(&fresh->list);
		if (err) {
			atomic64_inc(&p->no_memory);
			return err;
		}
	}
	return 0;
}

static s64 append_time(struct mq_log *log, u32 *flags)
{
	s64 now = ktime_get_real_ns();

	*flags = 0;
	if (now < log->last_ts) {
		if (log->last_ts - now <= CLOCK_BACK_NS)
			return log->last_ts;
		/* The clock was set back: a new run of time stamps begins. */
		*flags = MQ_ENTRY_CLOCK_BACK;
		WRITE_ONCE(log->run_off, log->b.head_off);
	}
	log->last_ts = now;
	return now;
}

/*
 * Where the next message of a write goes. All in registers, so nothing that is not
 * inline may see it.
 */
struct put {
	u64 off;
	u64 pos;
	u64 attr;
	u64 empty;
	s64 now;
	const struct mq_msg *m;
};

/*
 * The entries of messages that lie in a row, but for their checksums. @attrs is known
 * when compiled: whether any may have attributes, and so a key.
 */
static __always_inline void put_entries(const struct mq_log *log, const struct mq_append *a,
					struct put *at, struct mq_entry *e, u32 n, bool attrs)
{
	const struct mq_entry *end = e + n;
	const u32 stamp_len = a->stamp_len, epoch = log->epoch, pid = a->pid, uid = a->uid;

	for (; e < end; e++, at->m++) {
		u32 len = at->m->len, attr_len = attrs ? at->m->attr_len + stamp_len : 0;

		e->offset = at->off++;
		e->position = at->pos;
		e->attr_position = at->attr;
		e->timestamp = at->now;
		/* By itself: else shifts put both lengths together, to be stored as one. */
		WRITE_ONCE(e->len, len);
		e->attr_len = attr_len;
		e->flags = at->m->flags;
		e->key_hash = attrs ? at->m->hash : 0;
		e->epoch = epoch;
		e->pid = pid;
		e->uid = uid;
		at->pos += len;
		at->attr += attr_len;
		at->empty += !len;
	}
}

/* Their payloads' checksums. */
static noinline void put_sums(const struct mq_log *log, struct mq_entry *e, u32 n)
{
	const struct mq_entry *end = e + n;
	size_t left = 0;
	const u8 *mem = mq_ring_ptr(&log->data, e->position, &left);

	/* All in one chunk: the commonest, and no count of what is left there. */
	if (likely(end[-1].position + end[-1].len - e->position <= left)) {
		for (; e < end; e++) {
			u32 len = e->len;

			e->crc = ~mq_crc32c(~0U, mem, len);
			mem += len;
		}
		return;
	}
	for (; e < end; e++) {
		u32 len = e->len;

		if (likely(len <= left)) {
			e->crc = ~mq_crc32c(~0U, mem, len);
			mem += len;
			left -= len;
		} else {
			/* It goes on in another chunk; those behind it are there in a row. */
			e->crc = ~mq_ring_crc32c(&log->data, ~0U, e->position, len);
			mem = mq_ring_ptr(&log->data, e->position + len, &left);
		}
	}
}

/* Their attributes, and the kernel's own; the checksums go on over them. The next one's. */
static noinline const u8 *put_attrs(struct mq_log *log, const struct mq_append *a,
				    const u8 *from, struct mq_entry *e, u32 n)
{
	for (; n; n--, e++) {
		u32 own = e->attr_len - a->stamp_len;

		mq_ring_write(&log->attrs, e->attr_position, from, own);
		mq_ring_write(&log->attrs, e->attr_position + own, a->stamp, a->stamp_len);
		e->crc = ~mq_ring_crc32c(&log->attrs, ~e->crc, e->attr_position, e->attr_len);
		from += own;
	}
	return from;
}

static __always_inline void commit(struct mq_partition *p, struct mq_append *a)
{
	struct mq_log *log = &p->log;
	struct put at = {
		.off = log->b.head_off,
		.pos = log->b.head_pos,
		.attr = log->b.head_attr,
		.empty = log->b.head_empty,
		.m = a->msgs,
	};
	u32 left = a->count, n, first_flags;
	const u8 *attrs = a->attrs;

	at.now = append_time(log, &first_flags);
	do {
		size_t slots;
		struct mq_entry *e = mq_ring_head(&log->index, at.off * ENTRY_SIZE, &slots);

		if (likely(a->summed)) {
			/* One message, and the compiler may know. */
			n = 1;
			put_entries(log, a, &at, e, 1, true);
			e->crc = ~a->crc;
		} else {
			n = min_t(u64, left, slots / ENTRY_SIZE);
			if (likely(!mq_append_attr_bytes(a)))
				put_entries(log, a, &at, e, n, false);
			else
				put_entries(log, a, &at, e, n, true);
			put_sums(log, e, n);
		}
		if (unlikely(mq_append_attr_bytes(a)))
			attrs = put_attrs(log, a, attrs, e, n);
		if (unlikely(first_flags))
			e->flags |= first_flags;
		first_flags = 0;
		left -= n;
	} while (unlikely(left));
	a->end = at.off;

	/* The seqcount's barriers order all of the above before the new head. */
	write_seqcount_begin(&log->seq);
	log->b.head_attr = at.attr;
	log->b.head_empty = at.empty;
	WRITE_ONCE(log->b.head_off, at.off);
	WRITE_ONCE(log->b.head_pos, at.pos);
	write_seqcount_end(&log->seq);
	if (unlikely(log->map))
		mq_map_show_head(log);
}

/**
 * mq_append_commit() - write the entries and show the messages to readers
 * @p: the partition; its log's lock is held, its rings are entered, the
 *	payloads copied
 * @a: the write
 */
void mq_append_commit(struct mq_partition *p, struct mq_append *a)
{
	commit(p, a);
}

/**
 * mq_append_wake() - tell readers that there is more to read
 * @p: the partition; no lock is held
 */
void mq_append_wake(struct mq_partition *p)
{
	/*
	 * Pairs with the barriers after mq_waiters_want() in mq_reader_wait() and
	 * mq_dev_poll(): head, barrier, who wants to know here; the other way round there.
	 */
	smp_mb();
	mq_waiters_tell(&p->rwait, &p->log);
	mq_waiters_tell(&p->topic->rwait, &p->log);
}

/**
 * mq_append_fault_in() - make the caller's memory readable, outside of locks
 * @from: what is to be read, or NULL
 * @buf: what is to be read, if @from is NULL
 * @len: bytes of @buf
 *
 * Return: 0 to try again, -EFAULT, or -EINTR if the caller is being killed.
 */
int mq_append_fault_in(struct iov_iter *from, const void __user *buf, size_t len)
{
	size_t bad;

	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	if (from && !user_backed_iter(from))
		return -EFAULT;
	bad = from ? fault_in_iov_iter_readable(from, iov_iter_count(from)) :
		     fault_in_readable(buf, len);
	return bad ? -EFAULT : 0;
}

static __always_inline bool copy_payload(struct mq_log *log, struct mq_append *a)
{
	size_t len = a->bytes, done = 0, row;
	void *to = mq_ring_head(&log->data, log->b.head_pos, &row);

	pagefault_disable();
	if (!a->payload && len <= min_t(size_t, row, MQ_COPY_CRC_MAX)) {
		a->summed = mq_copy_crc_from_user(to, a->from, len, &a->crc);
		if (a->summed)
			done = len;
	} else if (!a->payload) {
		done = mq_ring_copy_from_user(&log->data, log->b.head_pos, len, a->from);
	} else {
		done = mq_ring_copy_from_iter(&log->data, log->b.head_pos, len, a->payload);
	}
	pagefault_enable();
	if (likely(done == len))
		return true;
	if (a->payload)
		iov_iter_revert(a->payload, done);
	return false;
}

/**
 * mq_append_whole_lines() - is each message one line, with its newline and no other?
 * @p: the partition; its log's lock is held
 * @a: the write, its payload copied
 */
bool mq_append_whole_lines(struct mq_partition *p, const struct mq_append *a)
{
	struct mq_log *log = &p->log;
	u64 pos = log->b.head_pos;
	u32 i;

	for (i = 0; i < a->count; i++) {
		u64 end = pos + a->msgs[i].len;

		if (mq_ring_find(&log->data, pos, end - pos, '\n') + 1 != end)
			return false;
		pos = end;
	}
	return true;
}

/* Only who finds it taken counts. */
static __always_inline void lock_log(struct mq_partition *p)
{
	if (likely(mutex_trylock(&p->log.lock)))
		return;
	mutex_lock(&p->log.lock);
	WRITE_ONCE(p->lock_retries, p->lock_retries + 1);
}

static __always_inline int append_locked(struct mq_partition *p, struct mq_append *a)
{
	int step = prepare(p, a);

	if (step != MQ_STEP_DONE)
		return step;
	if (a->bytes && !copy_payload(&p->log, a))
		return MQ_STEP_FAULT;
	if (unlikely(a->lines) && !mq_append_whole_lines(p, a))
		return -EINVAL;
	commit(p, a);
	return MQ_STEP_DONE;
}

/* All but waiting: returns MQ_STEP_DONE, MQ_STEP_FULL or an error. */
static __always_inline int append_once(struct mq_partition *p, struct mq_append *a,
				       enum mq_mode mode)
{
	int step;

	for (;;) {
		lock_log(p);
		step = append_locked(p, a);
		mutex_unlock(&p->log.lock);

		if (likely(step == MQ_STEP_DONE)) {
			mq_append_wake(p);
			return step;
		}
		if (step == MQ_STEP_MEMORY)
			step = mq_append_refill(p, a, mode);
		else if (step == MQ_STEP_FAULT)
			step = mq_append_fault_in(a->payload, a->from, a->bytes);
		else
			return step;
		if (step)
			return step;
	}
}

static noinline int append_wait(struct mq_partition *p, struct mq_append *a)
{
	struct mq_room_wait wait;
	int step;

	mq_room_wait_begin(p, &wait, a->bytes);
	for (;;) {
		step = mq_append(p, a, MQ_TRY);
		if (step != -EAGAIN)
			break;
		/* The policy may have been changed meanwhile. */
		step = mq_room_refused(p, false);
		if (!step)
			step = mq_room_wait(p, &wait);
		if (step)
			break;
	}
	mq_room_wait_end(p, &wait);
	return step;
}

/**
 * mq_append() - append to one partition, whole or not at all
 * @p: the partition
 * @a: the write; mq_append_check() has passed it
 * @mode: whether to wait for room
 *
 * Return: 0 and @a->end; -EAGAIN; -ENOBUFS (overflow=reject); -ERESTARTSYS,
 * nothing appended; -EFAULT; -ENOMEM; -ENODEV; -EFBIG.
 */
int mq_append(struct mq_partition *p, struct mq_append *a, enum mq_mode mode)
{
	int step = append_once(p, a, mode);

	if (likely(step != MQ_STEP_FULL))
		return step;
	if (mode == MQ_TRY)
		return -EAGAIN;
	step = mq_room_refused(p, mode == MQ_NONBLOCK);
	return step ?: append_wait(p, a);
}

/**
 * mq_append_room() - would a message find room without waiting?
 * @p: the partition
 * @bytes: its payload
 */
bool mq_append_room(struct mq_partition *p, u64 bytes)
{
	struct mq_topic *topic = p->topic;
	struct mq_append a;
	bool room;

	if (READ_ONCE(topic->paused))
		return false;
	if (READ_ONCE(topic->overflow) == MQ_OVERFLOW_DROP_OLDEST || !mq_may_hold(p))
		return true;

	/* With what the kernel would stamp. */
	mq_append_init(&a, topic, 0);
	a.count = 1;
	a.bytes = bytes;
	mutex_lock(&p->log.lock);
	room = mq_evict_look(p, &a) == MQ_STEP_DONE;
	mutex_unlock(&p->log.lock);
	return room;
}
