// SPDX-License-Identifier: GPL-2.0
/*
 * A partition: made and destroyed with its topic; counters.
 */
#include <linux/log2.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include "room.h"
#include "partition.h"
#include "topic.h"

/* Memory that was lent returns while nobody writes, too. */
static void reap_work(struct work_struct *work)
{
	struct mq_partition *p = container_of(to_delayed_work(work), struct mq_partition, reap);
	bool again;

	mutex_lock(&p->log.lock);
	mq_ring_reap(&p->log.data);
	again = p->log.data.nr_lent;
	mutex_unlock(&p->log.lock);
	if (again)
		schedule_delayed_work(&p->reap, HZ);
}

/**
 * mq_partition_create() - make an empty partition
 * @topic: the topic that will own it
 * @number: its number there
 *
 * Return: the partition, or an ERR_PTR() of -ENOMEM.
 */
struct mq_partition *mq_partition_create(struct mq_topic *topic, unsigned int number)
{
	const struct mq_log_config config = {
		.ring_bytes = topic->ring_bytes,
		.ring_messages = topic->ring_messages,
		.attr_bytes = topic->attr_bytes,
		.start_offset = topic->start_offset,
		.start_position = topic->start_position,
		.reserve = topic->persistent,
		.memcg = topic->memcg,
	};
	struct mq_partition *p;
	int err = -ENOMEM;

	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return ERR_PTR(-ENOMEM);
	p->pcpu = alloc_percpu(struct mq_pcpu);
	if (!p->pcpu)
		goto err_free;
	err = mq_log_init(&p->log, &config);
	if (err)
		goto err_pcpu;

	p->topic = topic;
	p->number = number;
	p->durable_off = topic->start_offset;
	mq_waiters_init(&p->rwait);
	mq_room_init(p);
	init_waitqueue_head(&p->dwait);
	INIT_LIST_HEAD(&p->holders);
	INIT_DELAYED_WORK(&p->reap, reap_work);
	return p;

err_pcpu:
	free_percpu(p->pcpu);
err_free:
	kfree(p);
	return ERR_PTR(err);
}

/**
 * mq_partition_destroy() - free a partition
 * @p: the partition; its topic has no reference left, so neither files nor
 *	look-ups can reach it
 *
 * Context: process; sleeps.
 */
void mq_partition_destroy(struct mq_partition *p)
{
	cancel_delayed_work_sync(&p->reap);
	mq_room_destroy(p);
	mq_log_destroy(&p->log);
	free_percpu(p->pcpu);
	kfree(p);
}

/**
 * mq_partition_wake_all() - something changed that waiters must see
 * @p: the partition
 */
void mq_partition_wake_all(struct mq_partition *p)
{
	wake_up_all(&p->rwait.queue);
	wake_up_all(&p->wwait);
	wake_up_all(&p->dwait);
}

/**
 * mq_partition_stats() - add a partition's counters to a sum
 * @p: the partition
 * @sum: the sum
 */
void mq_partition_stats(struct mq_partition *p, struct mq_stats *sum)
{
	struct mq_log *log = &p->log;
	struct mq_bounds b;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct mq_pcpu *c = per_cpu_ptr(p->pcpu, cpu);

		sum->messages_out += READ_ONCE(c->messages_out);
		sum->bytes_out += READ_ONCE(c->bytes_out);
	}
	/* Without the log's lock: anybody may ask, as often as they like. */
	mq_log_bounds(log, &b);
	sum->messages_in += b.head_off - log->start.head_off;
	sum->bytes_in += b.head_pos - log->start.head_pos;
	sum->dropped_held += READ_ONCE(p->dropped_held);
	sum->evicted += READ_ONCE(p->evicted);
	sum->lock_retries += READ_ONCE(p->lock_retries);
	sum->lent += (u64)READ_ONCE(log->data.nr_lent) << log->data.chunk_shift;
	sum->wraps += (b.head_pos - log->start.head_pos) >> ilog2(log->data.size);
	sum->memory += atomic64_read(&log->data.memory) + atomic64_read(&log->index.memory) +
		       atomic64_read(&log->attrs.memory);
	sum->rejected += atomic64_read(&p->rejected);
	sum->dropped_unfinished += atomic64_read(&p->dropped_unfinished);
	sum->lost += atomic64_read(&p->lost);
	sum->overruns += atomic64_read(&p->overruns);
	sum->no_memory += atomic64_read(&p->no_memory);
	sum->readers += atomic_read(&p->readers);
	sum->writers += atomic_read(&p->writers);
	sum->writers_waiting += atomic_read(&p->writers_waiting);
	sum->sync_waiting += atomic_read(&p->sync_waiting);
}
