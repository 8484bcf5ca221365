// SPDX-License-Identifier: GPL-2.0
/*
 * A batch whose keys span partitions: all of it is appended, or nothing.
 */
#include <linux/pagemap.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "hold.h"
#include "span.h"

static void lock_all(struct mq_topic *topic, struct mq_span_part *parts, unsigned int nr)
{
	unsigned int i;

	/* Ascending; span_lock is what lockdep knows them by, and makes it one batch at a time. */
	mutex_lock(&topic->span_lock);
	for (i = 0; i < nr; i++)
		mutex_lock_nest_lock(&parts[i].part->log.lock, &topic->span_lock);
}

static void unlock_all(struct mq_topic *topic, struct mq_span_part *parts, unsigned int nr)
{
	while (nr--)
		mutex_unlock(&parts[nr].part->log.lock);
	mutex_unlock(&topic->span_lock);
}

/* Copy each payload to its partition. Returns false at a page fault, nothing consumed. */
static bool copy_all(struct mq_span_part *parts, unsigned int nr, const struct mq_msg *msgs,
		     const u16 *order, u32 count, struct iov_iter *payload)
{
	size_t copied = 0;
	unsigned int i;
	bool ok = true;
	u32 k;

	for (i = 0; i < nr; i++)
		parts[i].pos = parts[i].part->log.b.head_pos;
	pagefault_disable();
	for (k = 0; ok && k < count; k++) {
		struct mq_span_part *sp = &parts[order[k]];
		size_t done = mq_ring_copy_from_iter(&sp->part->log.data, sp->pos,
						     msgs[k].len, payload);

		ok = done == msgs[k].len;
		sp->pos += done;
		copied += done;
	}
	pagefault_enable();
	if (!ok)
		iov_iter_revert(payload, copied);
	return ok;
}

/* Room and memory in all, then the copy, then all become visible. @full: who had no room. */
static int span_locked(struct mq_span_part *parts, unsigned int nr, const struct mq_msg *msgs,
		       const u16 *order, u32 count, struct iov_iter *payload,
		       unsigned int *which)
{
	unsigned int i;
	int step;

	/* First only look: nothing may be evicted in one for a batch that another refuses. */
	for (i = 0; i < nr; i++) {
		step = mq_append_look(parts[i].part, &parts[i].a);
		if (step != MQ_STEP_DONE) {
			*which = i;
			return step;
		}
	}
	for (i = 0; i < nr; i++) {
		step = mq_append_prepare(parts[i].part, &parts[i].a);
		if (step != MQ_STEP_DONE) {
			*which = i;
			return step;
		}
	}
	if (!copy_all(parts, nr, msgs, order, count, payload))
		return MQ_STEP_FAULT;
	for (i = 0; i < nr; i++)
		if (parts[i].a.lines && !mq_append_whole_lines(parts[i].part, &parts[i].a))
			return -EINVAL;
	for (i = 0; i < nr; i++)
		mq_append_commit(parts[i].part, &parts[i].a);
	return MQ_STEP_DONE;
}

/**
 * mq_span_append() - append a batch over several partitions, all or none
 * @topic: the topic
 * @parts: the partitions concerned, ascending, with their shares
 * @nr: how many
 * @msgs: all messages, in the order of the batch
 * @order: for each message the index in @parts
 * @count: how many
 * @payload: all payloads, in the order of the batch
 * @mode: whether to wait for room
 *
 * Return: 0 or an error, as mq_append().
 */
int mq_span_append(struct mq_topic *topic, struct mq_span_part *parts, unsigned int nr,
		   const struct mq_msg *msgs, const u16 *order, u32 count,
		   struct iov_iter *payload, enum mq_mode mode)
{
	struct mq_partition *waits = NULL;
	struct mq_room_wait wait;
	unsigned int i, which = 0;
	int step;

	for (;;) {
		lock_all(topic, parts, nr);
		step = span_locked(parts, nr, msgs, order, count, payload, &which);
		unlock_all(topic, parts, nr);

		if (step == MQ_STEP_MEMORY) {
			step = mq_append_refill(parts[which].part, &parts[which].a, mode);
		} else if (step == MQ_STEP_FAULT) {
			step = mq_append_fault_in(payload, NULL, 0);
		} else if (step == MQ_STEP_FULL) {
			step = mq_room_refused(parts[which].part, mode != MQ_BLOCK);
			if (step)
				break;
			/* In the queue of whoever has no room; another one may be next. */
			if (waits != parts[which].part) {
				if (waits)
					mq_room_wait_end(waits, &wait);
				waits = parts[which].part;
				mq_room_wait_begin(waits, &wait, parts[which].a.bytes);
			} else {
				step = mq_room_wait(waits, &wait);
			}
		} else {
			break;
		}
		if (step)
			break;
	}
	if (waits)
		mq_room_wait_end(waits, &wait);
	if (!step)
		for (i = 0; i < nr; i++)
			mq_append_wake(parts[i].part);
	return step;
}
