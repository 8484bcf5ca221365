// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink dumps of topics and of what they consist of: partitions, readers, waiters.
 *
 * They go by minor, so that they survive topics that come and go, and keep no
 * reference between two messages: who starts a dump and does not read on keeps
 * no memory of a deleted topic. They do not report that something changed
 * meanwhile (NLM_F_DUMP_INTR): every topic there all along is shown once anyway.
 */
#include <net/netlink.h>
#include "dump.h"
#include "netlink.h"
#include "topic.h"

/**
 * mq_dump_start() - begin a dump over all topics or one
 * @cb: the dump
 * @name: the one topic's name, or NULL
 *
 * Return: 0, or an error of mq_netlink_topic().
 */
int mq_dump_start(struct netlink_callback *cb, struct nlattr *name)
{
	struct mq_dump *dump = (struct mq_dump *)cb->ctx;
	struct mq_topic *topic;

	BUILD_BUG_ON(sizeof(struct mq_dump) > sizeof(cb->ctx));
	memset(dump, 0, sizeof(*dump));
	if (!name)
		return 0;
	topic = mq_netlink_topic(name, NULL, cb->extack);
	if (IS_ERR(topic))
		return PTR_ERR(topic);
	dump->one = true;
	dump->entered = true;
	dump->minor = topic->minor;
	memcpy(dump->id, topic->id, MQ_TOPIC_ID_LEN);
	mq_topic_put(topic);
	return 0;
}

/**
 * mq_dump_topics() - go on with a dump
 * @skb: where to
 * @cb: the dump
 * @show: shows one topic's things
 *
 * Return: as a dumpit.
 */
int mq_dump_topics(struct sk_buff *skb, struct netlink_callback *cb, mq_dump_show *show)
{
	struct mq_dump *dump = (struct mq_dump *)cb->ctx;
	struct mq_topic *topic;
	int err;

	while ((topic = mq_topic_get_next(&dump->minor))) {
		/* Is it still the topic that dump->next is about? */
		if (!dump->entered || memcmp(dump->id, topic->id, MQ_TOPIC_ID_LEN)) {
			if (dump->one) {
				mq_topic_put(topic);
				break;
			}
			memcpy(dump->id, topic->id, MQ_TOPIC_ID_LEN);
			dump->entered = true;
			dump->next = 0;
		}
		err = show(skb, cb, topic, &dump->next);
		mq_topic_put(topic);
		if (err)
			return skb->len ?: err;
		dump->minor++;
		dump->entered = false;
		if (dump->one) {
			dump->minor = U32_MAX;
			break;
		}
	}
	return skb->len;
}
