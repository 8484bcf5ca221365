// SPDX-License-Identifier: GPL-2.0
/*
 * Appending: one write's way into a partition's log.
 *
 *   mq_append()           outside of locks: memory, page faults
 *     append_locked()
 *       mq_append_prepare()  room: what is evicted, what is held; memory
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
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/ktime.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "append.h"
#include "hold.h"
#include "limits.h"
#include "topic.h"

#define ENTRY_SIZE	sizeof(struct mq_entry)
#define CLOCK_BACK_NS	(10LL * NSEC_PER_SEC)

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

static unsigned int fresh_count(const struct list_head *list)
{
	const struct list_head *pos;
	unsigned int n = 0;

	list_for_each(pos, list)
		n++;
	return n;
}

/**
 * mq_append_init() - begin a write
 * @a: the write
 * @topic: where to
 * @file: through which file
 *
 * The caller adds messages, payload and attributes, and ends with
 * mq_append_done() for the partition that mq_append() was called for.
 */
void mq_append_init(struct mq_append *a, struct mq_topic *topic, struct file *file)
{
	u32 stamp = READ_ONCE(topic->stamp);
	struct nlattr *nla = (struct nlattr *)a->stamp;
	unsigned int i;
	u32 uid;
	u64 id;

	a->pid = task_tgid_nr(current);
	a->uid = from_kuid(&init_user_ns, file->f_cred->euid);
	a->stamp_len = 0;
	a->attr_bytes = 0;
	a->attrs = NULL;
	a->payload = NULL;
	a->lines = false;
	for (i = 0; i < 3; i++) {
		a->have[i] = 0;
		INIT_LIST_HEAD(&a->fresh[i]);
	}
	if (likely(!stamp))
		return;
	if (stamp & MQ_STAMP_UID) {
		nla->nla_type = MQ_ATTR_WRITER_UID;
		nla->nla_len = NLA_HDRLEN + sizeof(u32);
		uid = from_kuid(&init_user_ns, current_euid());
		memcpy(nla_data(nla), &uid, sizeof(uid));
		a->stamp_len += NLA_ALIGN(nla->nla_len);
		nla = (struct nlattr *)(a->stamp + a->stamp_len);
	}
	if (stamp & MQ_STAMP_CGROUP) {
		nla->nla_type = MQ_ATTR_WRITER_CGROUP;
		nla->nla_len = NLA_HDRLEN + sizeof(u64);
		id = writer_cgroup();
		memcpy(nla_data(nla), &id, sizeof(id));
		a->stamp_len += NLA_ALIGN(nla->nla_len);
	}
}

/**
 * mq_append_done() - end a write: give back memory that was not needed
 * @p: the partition
 * @a: the write
 */
void mq_append_done(struct mq_partition *p, struct mq_append *a)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (unlikely(a->have[i]))
			mq_ring_free_list(append_ring(&p->log, i), &a->fresh[i]);
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
	u64 attrs = a->attr_bytes + (u64)a->count * a->stamp_len;

	if (a->bytes > topic->ring_bytes / MQ_QUARTER ||
	    a->count > topic->ring_messages / MQ_QUARTER ||
	    attrs > topic->attr_bytes / MQ_QUARTER)
		return -EMSGSIZE;
	return 0;
}

/* Move the tail. What is below it may be overwritten once this has returned. */
static void evict_to(struct mq_log *log, const struct mq_bounds *to)
{
	write_seqcount_begin(&log->seq);
	log->b.tail_attr = to->tail_attr;
	log->b.tail_empty = to->tail_empty;
	WRITE_ONCE(log->b.tail_off, to->tail_off);
	WRITE_ONCE(log->b.tail_pos, to->tail_pos);
	write_seqcount_end(&log->seq);
	/*
	 * Pairs with the barriers in mq_log_valid_from(), mq_log_pos_valid() and
	 * in the splice of a page: either the reader sees the new tail, or we see
	 * its reference, and what it copied before was still the old bytes.
	 */
	smp_mb();
}

/* Pass the oldest message of @b. */
static void pass_oldest(const struct mq_log *log, struct mq_bounds *b)
{
	const struct mq_entry *e;
	size_t len;

	e = mq_ring_ptr(&log->index, b->tail_off * ENTRY_SIZE, &len);
	b->tail_off++;
	b->tail_pos += e->len;
	b->tail_attr += e->attr_len;
	b->tail_empty += !e->len;
}

static bool fits(const struct mq_log *log, const struct mq_bounds *b,
		 u64 count, u64 bytes, u64 attrs)
{
	return b->head_pos + bytes - b->tail_pos <= log->data.size &&
	       (b->head_off + count - b->tail_off) * ENTRY_SIZE <= log->index.size &&
	       b->head_attr + attrs - b->tail_attr <= log->attrs.size;
}

/*
 * Find the tail that leaves room for the write. Only computes: nothing is
 * evicted if it does not succeed.
 */
static int make_room(struct mq_partition *p, struct mq_bounds *b, u64 count,
		     u64 bytes, u64 attrs, u64 *dropped)
{
	bool drop = READ_ONCE(p->topic->overflow) == MQ_OVERFLOW_DROP_OLDEST;
	struct mq_log *log = &p->log;

	*dropped = 0;
	while (!fits(log, b, count, bytes, attrs)) {
		if (mq_held(p, b->tail_off)) {
			if (!drop)
				return MQ_STEP_FULL;
			++*dropped;
		}
		pass_oldest(log, b);
	}
	return MQ_STEP_DONE;
}

static int look(struct mq_partition *p, const struct mq_append *a, struct mq_bounds *b,
		u64 *dropped)
{
	u64 attrs = a->attr_bytes + (u64)a->count * a->stamp_len;

	*b = p->log.b;
	if (unlikely(READ_ONCE(p->topic->dead)))
		return -ENODEV;
	if (unlikely(READ_ONCE(p->topic->paused)))
		return MQ_STEP_FULL;
	/* File positions are signed. */
	if (unlikely(b->head_pos > S64_MAX - a->bytes || b->head_off > S64_MAX - a->count))
		return -EFBIG;
	return make_room(p, b, a->count, a->bytes, attrs, dropped);
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
	struct mq_bounds b;
	u64 dropped;

	return look(p, a, &b, &dropped);
}

/**
 * mq_append_prepare() - make room and memory for a write
 * @p: the partition; its log's lock is held
 * @a: the write
 *
 * Return: MQ_STEP_DONE and the rings are entered; MQ_STEP_FULL;
 * MQ_STEP_MEMORY with @a->need set; -ENODEV, or -EFBIG at the end of the
 * numbers.
 */
int mq_append_prepare(struct mq_partition *p, struct mq_append *a)
{
	struct mq_log *log = &p->log;
	bool memory = false;
	struct mq_bounds b;
	u64 end[3], dropped;
	unsigned int i;
	int step;

	step = look(p, a, &b, &dropped);
	if (step != MQ_STEP_DONE)
		return step;

	end[0] = b.head_pos + a->bytes;
	end[1] = (b.head_off + a->count) * ENTRY_SIZE;
	end[2] = b.head_attr + a->attr_bytes + (u64)a->count * a->stamp_len;
	for (i = 0; i < 3; i++) {
		a->need[i] = mq_ring_need(append_ring(log, i), end[i]);
		memory |= a->need[i] > a->have[i];
	}
	if (unlikely(memory))
		return MQ_STEP_MEMORY;

	if (b.tail_off != log->b.tail_off) {
		p->evicted += b.tail_off - log->b.tail_off;
		p->dropped_held += dropped;
		evict_to(log, &b);
	}
	for (i = 0; i < 3; i++) {
		struct mq_ring *ring = append_ring(log, i);
		int err;

		if (likely((s64)(end[i] - ring->entered) <= 0))
			continue;
		err = mq_ring_enter(ring, end[i], &a->fresh[i]);
		a->have[i] = fresh_count(&a->fresh[i]);
		if (READ_ONCE(ring->nr_lent))
			schedule_delayed_work(&p->reap, HZ);
		/* A page was lent since we counted: that takes one chunk more. */
		if (err) {
			a->need[i] = mq_ring_need(ring, end[i]);
			return MQ_STEP_MEMORY;
		}
	}
	return MQ_STEP_DONE;
}

/**
 * mq_append_refill() - get the memory that mq_append_prepare() missed
 * @p: the partition; its log's lock is not held
 * @a: the write
 *
 * Return: 0 or -ENOMEM.
 */
int mq_append_refill(struct mq_partition *p, struct mq_append *a)
{
	unsigned int i;
	int err;

	for (i = 0; i < 3; i++) {
		if (a->need[i] <= a->have[i])
			continue;
		err = mq_ring_alloc(append_ring(&p->log, i), a->need[i] - a->have[i],
				    &a->fresh[i]);
		a->have[i] = fresh_count(&a->fresh[i]);
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

/**
 * mq_append_commit() - write the entries and show the messages to readers
 * @p: the partition; its log's lock is held, its rings are entered, the
 *	payloads copied
 * @a: the write
 */
void mq_append_commit(struct mq_partition *p, struct mq_append *a)
{
	struct mq_log *log = &p->log;
	struct mq_bounds b = log->b;
	u32 i, once;
	s64 now;

	now = append_time(log, &once);
	for (i = 0; i < a->count; i++) {
		const struct mq_msg *m = &a->msgs[i];
		u32 attr_len = m->attr_len + a->stamp_len;
		struct mq_entry *e;
		size_t len;
		u32 crc;

		crc = mq_ring_crc32c(&log->data, ~0U, b.head_pos, m->len);
		if (attr_len) {
			mq_ring_write(&log->attrs, b.head_attr, a->attrs + m->attr_off,
				      m->attr_len);
			mq_ring_write(&log->attrs, b.head_attr + m->attr_len, a->stamp,
				      a->stamp_len);
			crc = mq_ring_crc32c(&log->attrs, crc, b.head_attr, attr_len);
		}

		e = mq_ring_ptr(&log->index, b.head_off * ENTRY_SIZE, &len);
		e->offset = b.head_off;
		e->position = b.head_pos;
		e->attr_position = b.head_attr;
		e->timestamp = now;
		e->len = m->len;
		e->attr_len = attr_len;
		e->crc = ~crc;
		e->flags = m->flags | once;
		e->key_hash = m->hash;
		e->epoch = log->epoch;
		e->pid = a->pid;
		e->uid = a->uid;

		once = 0;
		b.head_off++;
		b.head_pos += m->len;
		b.head_attr += attr_len;
		b.head_empty += !m->len;
	}

	/* The seqcount's barriers order all of the above before the new head. */
	write_seqcount_begin(&log->seq);
	log->b.head_attr = b.head_attr;
	log->b.head_empty = b.head_empty;
	WRITE_ONCE(log->b.head_off, b.head_off);
	WRITE_ONCE(log->b.head_pos, b.head_pos);
	write_seqcount_end(&log->seq);
	a->end = b.head_off;
}

/**
 * mq_append_wake() - tell readers that there is more to read
 * @p: the partition; no lock is held
 */
void mq_append_wake(struct mq_partition *p)
{
	/*
	 * Pairs with the barriers in mq_reader_wait() and mq_dev_poll(): head,
	 * barrier, queue here; queue, barrier, head there.
	 */
	smp_mb();
	/* After that barrier. */
	if (waitqueue_active(&p->rwait))
		wake_up_interruptible_poll(&p->rwait, EPOLLIN | EPOLLRDNORM);
	/* After that barrier. */
	if (waitqueue_active(&p->topic->rwait))
		wake_up_interruptible_poll(&p->topic->rwait, EPOLLIN | EPOLLRDNORM);
}

/**
 * mq_append_fault_in() - make the caller's memory readable, outside of locks
 * @from: what is to be read
 *
 * Return: 0 to try again, -EFAULT, or -EINTR if the caller is being killed.
 */
int mq_append_fault_in(struct iov_iter *from)
{
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	if (!user_backed_iter(from) ||
	    fault_in_iov_iter_readable(from, iov_iter_count(from)))
		return -EFAULT;
	return 0;
}

static bool copy_payload(struct mq_log *log, struct mq_append *a)
{
	size_t done;

	pagefault_disable();
	done = mq_ring_copy_from_iter(&log->data, log->b.head_pos, a->bytes, a->payload);
	pagefault_enable();
	if (likely(done == a->bytes))
		return true;
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

static int append_locked(struct mq_partition *p, struct mq_append *a)
{
	int step = mq_append_prepare(p, a);

	if (step != MQ_STEP_DONE)
		return step;
	if (a->bytes && !copy_payload(&p->log, a))
		return MQ_STEP_FAULT;
	if (unlikely(a->lines) && !mq_append_whole_lines(p, a))
		return -EINVAL;
	mq_append_commit(p, a);
	return MQ_STEP_DONE;
}

/* All but waiting: returns MQ_STEP_DONE, MQ_STEP_FULL or an error. */
static int append_once(struct mq_partition *p, struct mq_append *a)
{
	int step;

	for (;;) {
		mutex_lock(&p->log.lock);
		step = append_locked(p, a);
		mutex_unlock(&p->log.lock);

		if (likely(step == MQ_STEP_DONE)) {
			mq_append_wake(p);
			return step;
		}
		if (step == MQ_STEP_MEMORY)
			step = mq_append_refill(p, a);
		else if (step == MQ_STEP_FAULT)
			step = mq_append_fault_in(a->payload);
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

	mq_room_wait_begin(p, &wait);
	for (;;) {
		step = append_once(p, a);
		if (step != MQ_STEP_FULL)
			break;
		/* The policy may have been changed meanwhile. */
		step = mq_room_refused(p, false);
		if (!step)
			step = mq_room_wait(&wait);
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
	int step = append_once(p, a);

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
	struct mq_bounds b;
	u64 dropped;
	bool room;

	if (READ_ONCE(topic->paused))
		return false;
	if (READ_ONCE(topic->overflow) == MQ_OVERFLOW_DROP_OLDEST || !mq_may_hold(p))
		return true;

	mutex_lock(&p->log.lock);
	b = p->log.b;
	room = make_room(p, &b, 1, bytes, 0, &dropped) == MQ_STEP_DONE;
	mutex_unlock(&p->log.lock);
	return room;
}

/**
 * mq_append_evict() - take the oldest messages away (test hooks)
 * @p: the partition
 * @count: how many, 0 for all
 */
void mq_append_evict(struct mq_partition *p, u64 count)
{
	struct mq_log *log = &p->log;
	struct mq_bounds b;

	mutex_lock(&log->lock);
	b = log->b;
	if (!count || count > b.head_off - b.tail_off)
		count = b.head_off - b.tail_off;
	p->evicted += count;
	while (count--)
		pass_oldest(log, &b);
	evict_to(log, &b);
	mutex_unlock(&log->lock);
}
