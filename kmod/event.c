// SPDX-License-Identifier: GPL-2.0
/*
 * Overrun events, coalesced: the first overrun of a topic is announced at
 * once, those of the following second together. Each event carries what was
 * lost since the one before, so that their sum is what was lost.
 */
#include <linux/jiffies.h>
#include "netlink.h"
#include "topic.h"

#define EVENT_INTERVAL	HZ

/* Queue the next event. The work has a reference while it is pending. */
static void arm(struct mq_topic *topic)
{
	unsigned long due = READ_ONCE(topic->event_time) + EVENT_INTERVAL;
	unsigned long now = jiffies;

	mq_topic_hold(topic);
	if (!queue_delayed_work(mq_wq, &topic->event_work,
				time_after(due, now) ? due - now : 0))
		mq_topic_put(topic);
}

/* Announce what has come together. */
static void send(struct mq_topic *topic)
{
	u64 lost, overruns;

	spin_lock_bh(&topic->event_lock);
	lost = topic->event_lost;
	overruns = topic->event_overruns;
	topic->event_lost = 0;
	topic->event_overruns = 0;
	WRITE_ONCE(topic->event_time, jiffies);
	spin_unlock_bh(&topic->event_lock);

	if (!overruns || !mq_netlink_overrun(topic, lost, overruns))
		return;

	/* Out of memory, nobody was told: once more, later. */
	spin_lock_bh(&topic->event_lock);
	topic->event_lost += lost;
	topic->event_overruns += overruns;
	spin_unlock_bh(&topic->event_lock);
	arm(topic);
}

static void event_work(struct work_struct *work)
{
	struct mq_topic *topic = container_of(to_delayed_work(work), struct mq_topic,
					      event_work);

	send(topic);
	mq_topic_put(topic);
}

/**
 * mq_event_init() - prepare a new topic
 * @topic: the topic
 */
void mq_event_init(struct mq_topic *topic)
{
	spin_lock_init(&topic->event_lock);
	INIT_DELAYED_WORK(&topic->event_work, event_work);
	topic->event_time = jiffies - EVENT_INTERVAL;
}

/**
 * mq_event_overrun() - a reader was overrun
 * @topic: its topic; the caller's file has a reference
 * @lost: messages that the reader lost
 *
 * Context: any but hard interrupts.
 */
void mq_event_overrun(struct mq_topic *topic, u64 lost)
{
	spin_lock_bh(&topic->event_lock);
	topic->event_lost += lost;
	topic->event_overruns++;
	spin_unlock_bh(&topic->event_lock);
	arm(topic);
}

/**
 * mq_event_flush() - announce now what would have been announced later
 * @topic: a topic that is being deleted, so that its deletion comes last, or was: a
 *	file of it is closed
 *
 * Readers that drain a deleted topic can still be overrun by what was written
 * before; they arm the work anew.
 */
void mq_event_flush(struct mq_topic *topic)
{
	/* Pending: its reference is ours now. Running: wait, then look what is left. */
	if (cancel_delayed_work_sync(&topic->event_work))
		mq_topic_put(topic);
	send(topic);
}
