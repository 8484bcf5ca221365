// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family "mq". Policies and operations are generated from
 * uapi/mq/netlink.yaml; here are the handlers and the events.
 *
 * The family runs its operations in parallel: what they share is protected by
 * the registry's and the topics' own locks, and creating a topic may take long.
 */
#include <linux/module.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include "dump.h"
#include "memory.h"
#include "name.h"
#include "netlink.h"
#include "netlink_gen.h"
#include "partition.h"
#include "topic.h"
#include "who.h"

/* Filled in at init: the generated operations, with a start for each dump. */
static struct genl_ops mq_ops[ARRAY_SIZE(mq_nl_ops)];

static struct genl_family mq_family __ro_after_init = {
	.name		= MQ_FAMILY_NAME,
	.version	= MQ_FAMILY_VERSION,
	/* Topics are the machine's: shown in every network namespace. */
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.ops		= mq_ops,
	.n_ops		= ARRAY_SIZE(mq_ops),
	/* All operations are validated strictly, reserved fields included. */
	.resv_start_op	= MQ_CMD_TOPIC_NEW,
	.mcgrps		= mq_nl_mcgrps,
	.n_mcgrps	= MQ_NLGRP_COUNT,
};

/*
 * Changing something needs the capability in the initial user namespace, of
 * both the sender and the socket's opener: topics are the machine's, so root of
 * a user namespace is nobody here; a socket that a privileged process opened is
 * worth nothing to who inherited it; and who makes a privileged process write to
 * a socket of his gains nothing (unless that addresses the message to the kernel
 * itself: then it means to speak netlink, and its own rights count).
 */
static int may_change(struct sk_buff *skb, struct genl_info *info)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	GENL_SET_ERR_MSG(info,
			 "changing topics needs CAP_SYS_ADMIN in the initial user namespace");
	return -EPERM;
}

/**
 * mq_netlink_once() - is each attribute given once?
 * @nlh: the request
 * @extack: takes which is not
 *
 * The parser takes the last one; we take none.
 */
int mq_netlink_once(const struct nlmsghdr *nlh, struct netlink_ext_ack *extack)
{
	const struct nlattr *nla;
	u64 seen = 0;
	int rem;

	BUILD_BUG_ON(MQ_A_TOPIC_MAX > 63 || MQ_A_PARTITION_MAX > 63);
	nlmsg_for_each_attr(nla, nlh, GENL_HDRLEN, rem) {
		/* Types are known to be in range, the message has been parsed. */
		u64 bit = BIT_ULL(nla_type(nla) & 63);

		if (seen & bit) {
			NL_SET_ERR_MSG_ATTR(extack, nla, "attribute is given twice");
			return -EINVAL;
		}
		seen |= bit;
	}
	return 0;
}

/* A name, which the policy left as a string with at least one NUL. */
static int get_name(const struct nlattr *nla, struct netlink_ext_ack *extack,
		    const char **name, size_t *len)
{
	*name = nla_data(nla);
	*len = strnlen(*name, nla_len(nla));
	if (*len + 1 != nla_len(nla)) {
		NL_SET_ERR_MSG_ATTR(extack, nla, "name has a NUL inside");
		return -EINVAL;
	}
	if (!mq_name_valid(*name, *len, MQ_TOPIC_NAME_MAX)) {
		NL_SET_ERR_MSG_ATTR(extack, nla,
				    "name is not 1 to 128 of [A-Za-z0-9._-], or is . or ..");
		return -EINVAL;
	}
	return 0;
}

/**
 * mq_netlink_topic() - the topic that a name, an id or both stand for
 * @name_nla: the name, or NULL
 * @id_nla: the id, or NULL
 * @extack: takes what was wrong
 *
 * Return: the topic, referenced, or ERR_PTR.
 */
struct mq_topic *mq_netlink_topic(struct nlattr *name_nla, struct nlattr *id_nla,
				  struct netlink_ext_ack *extack)
{
	struct mq_topic *topic;
	const char *name;
	size_t len;
	int err;

	if (!name_nla && !id_nla) {
		NL_SET_ERR_MSG(extack, "neither name nor id of a topic is given");
		return ERR_PTR(-EINVAL);
	}
	if (!name_nla) {
		topic = mq_topic_get_id(nla_data(id_nla));
		if (topic)
			return topic;
		NL_SET_ERR_MSG_ATTR(extack, id_nla, "no topic has this id");
		return ERR_PTR(-ENOENT);
	}

	err = get_name(name_nla, extack, &name, &len);
	if (err)
		return ERR_PTR(err);
	topic = mq_topic_get(name, len);
	if (!topic) {
		NL_SET_ERR_MSG_ATTR(extack, name_nla, "no topic has this name");
		return ERR_PTR(-ENOENT);
	}
	if (id_nla && memcmp(topic->id, nla_data(id_nla), MQ_TOPIC_ID_LEN)) {
		mq_topic_put(topic);
		NL_SET_ERR_MSG_ATTR(extack, id_nla, "the topic of this name has another id");
		return ERR_PTR(-ENOENT);
	}
	return topic;
}

/* Attributes to configuration. The policy has checked what it can. */
static int get_config(struct nlattr **attrs, struct user_namespace *ns,
		      struct netlink_ext_ack *extack, struct mq_config *c)
{
	unsigned int i;
	int err;

	mq_config_init(c);
	for (i = 1; i <= MQ_A_TOPIC_MEMORY_CGROUP; i++)
		if (attrs[i])
			c->set |= BIT_ULL(i);

	if (attrs[MQ_A_TOPIC_NAME]) {
		const char *name;
		size_t len;

		err = get_name(attrs[MQ_A_TOPIC_NAME], extack, &name, &len);
		if (err)
			return err;
		memcpy(c->name, name, len + 1);
	}
	if (attrs[MQ_A_TOPIC_ID])
		memcpy(c->id, nla_data(attrs[MQ_A_TOPIC_ID]), MQ_TOPIC_ID_LEN);
	if (attrs[MQ_A_TOPIC_PARTITIONS])
		c->partitions = nla_get_u32(attrs[MQ_A_TOPIC_PARTITIONS]);
	if (attrs[MQ_A_TOPIC_RING_BYTES])
		c->ring_bytes = nla_get_u64(attrs[MQ_A_TOPIC_RING_BYTES]);
	if (attrs[MQ_A_TOPIC_RING_MESSAGES])
		c->ring_messages = nla_get_u64(attrs[MQ_A_TOPIC_RING_MESSAGES]);
	if (attrs[MQ_A_TOPIC_ATTR_BYTES])
		c->attr_bytes = nla_get_u64(attrs[MQ_A_TOPIC_ATTR_BYTES]);
	if (attrs[MQ_A_TOPIC_MAX_MESSAGE_BYTES])
		c->max_message_bytes = nla_get_u32(attrs[MQ_A_TOPIC_MAX_MESSAGE_BYTES]);
	if (attrs[MQ_A_TOPIC_FRAMING])
		c->framing = nla_get_u32(attrs[MQ_A_TOPIC_FRAMING]);
	if (attrs[MQ_A_TOPIC_OVERFLOW])
		c->overflow = nla_get_u32(attrs[MQ_A_TOPIC_OVERFLOW]);
	if (attrs[MQ_A_TOPIC_HOLD])
		c->hold = nla_get_u32(attrs[MQ_A_TOPIC_HOLD]);
	if (attrs[MQ_A_TOPIC_STAMP])
		c->stamp = nla_get_u32(attrs[MQ_A_TOPIC_STAMP]);
	if (attrs[MQ_A_TOPIC_PERSISTENT])
		c->persistent = nla_get_u8(attrs[MQ_A_TOPIC_PERSISTENT]);
	if (attrs[MQ_A_TOPIC_PAUSED])
		c->paused = nla_get_u8(attrs[MQ_A_TOPIC_PAUSED]);
	if (attrs[MQ_A_TOPIC_SYNC_TIMEOUT])
		c->sync_timeout = nla_get_u32(attrs[MQ_A_TOPIC_SYNC_TIMEOUT]);
	if (attrs[MQ_A_TOPIC_MODE])
		c->mode = nla_get_u32(attrs[MQ_A_TOPIC_MODE]);
	if (attrs[MQ_A_TOPIC_UID])
		c->uid = make_kuid(ns, nla_get_u32(attrs[MQ_A_TOPIC_UID]));
	if (attrs[MQ_A_TOPIC_GID])
		c->gid = make_kgid(ns, nla_get_u32(attrs[MQ_A_TOPIC_GID]));
	if (attrs[MQ_A_TOPIC_START_OFFSET])
		c->start_offset = nla_get_u64(attrs[MQ_A_TOPIC_START_OFFSET]);
	if (attrs[MQ_A_TOPIC_START_POSITION])
		c->start_position = nla_get_u64(attrs[MQ_A_TOPIC_START_POSITION]);
	if (attrs[MQ_A_TOPIC_LEND])
		c->lend = nla_get_u8(attrs[MQ_A_TOPIC_LEND]);
	if (attrs[MQ_A_TOPIC_MEMORY_CGROUP]) {
		const struct nlattr *nla = attrs[MQ_A_TOPIC_MEMORY_CGROUP];

		/* In the message, with its NUL: stays as long as the call. */
		c->memory_cgroup = nla_data(nla);
		if (strnlen(c->memory_cgroup, nla_len(nla)) + 1 != nla_len(nla))
			return mq_bad(extack, attrs, MQ_A_TOPIC_MEMORY_CGROUP, -EINVAL,
				      "memory-cgroup has a NUL inside");
	}
	return 0;
}

int mq_nl_topic_new_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct mq_topic *topic;
	struct mq_config c;
	int err;

	err = may_change(skb, info) ?: mq_netlink_once(info->nlhdr, info->extack);
	if (err)
		return err;
	if (GENL_REQ_ATTR_CHECK(info, MQ_A_TOPIC_NAME)) {
		GENL_SET_ERR_MSG(info, "name is missing");
		return -EINVAL;
	}
	err = get_config(info->attrs, sk_user_ns(NETLINK_CB(skb).sk), info->extack, &c);
	if (err)
		return err;

	topic = mq_topic_create(&c, info->extack, info->attrs);
	if (IS_ERR(topic))
		return PTR_ERR(topic);
	mq_topic_put(topic);
	return 0;
}

int mq_nl_topic_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct mq_topic *topic;
	int err;

	err = may_change(skb, info) ?: mq_netlink_once(info->nlhdr, info->extack);
	if (err)
		return err;
	topic = mq_netlink_topic(info->attrs[MQ_A_TOPIC_NAME], info->attrs[MQ_A_TOPIC_ID],
				 info->extack);
	if (IS_ERR(topic))
		return PTR_ERR(topic);
	err = mq_topic_delete(topic);
	if (err) {
		/* Somebody else was faster: for us it was not there. */
		GENL_SET_ERR_MSG(info, "the topic was deleted meanwhile");
		err = -ENOENT;
	}
	mq_topic_put(topic);
	return err;
}

int mq_nl_topic_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct mq_topic *topic;
	struct mq_config c;
	int err;

	err = may_change(skb, info) ?: mq_netlink_once(info->nlhdr, info->extack);
	if (err)
		return err;
	topic = mq_netlink_topic(info->attrs[MQ_A_TOPIC_NAME], info->attrs[MQ_A_TOPIC_ID],
				 info->extack);
	if (IS_ERR(topic))
		return PTR_ERR(topic);
	err = get_config(info->attrs, sk_user_ns(NETLINK_CB(skb).sk), info->extack, &c);
	if (!err)
		err = mq_topic_change(topic, &c, info->extack, info->attrs);
	mq_topic_put(topic);
	return err;
}

static int put_stats(struct sk_buff *skb, int type, const struct mq_stats *s, int pad)
{
	struct nlattr *nest;

	nest = nla_nest_start(skb, type);
	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, MQ_A_STATS_MESSAGES_IN, s->messages_in, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_BYTES_IN, s->bytes_in, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_MESSAGES_OUT, s->messages_out, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_BYTES_OUT, s->bytes_out, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_DROPPED_HELD, s->dropped_held, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_REJECTED, s->rejected, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_DROPPED_UNFINISHED, s->dropped_unfinished,
			      MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_LOST, s->lost, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_OVERRUNS, s->overruns, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_EVICTED, s->evicted, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_NO_MEMORY, s->no_memory, MQ_A_STATS_PAD) ||
	    nla_put_u32(skb, MQ_A_STATS_READERS, s->readers) ||
	    nla_put_u32(skb, MQ_A_STATS_WRITERS, s->writers) ||
	    nla_put_u32(skb, MQ_A_STATS_WRITERS_WAITING, s->writers_waiting) ||
	    nla_put_u32(skb, MQ_A_STATS_SYNC_WAITING, s->sync_waiting) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_MEMORY, s->memory, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_LENT, s->lent, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_WRAPS, s->wraps, MQ_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_STATS_LOCK_RETRIES, s->lock_retries,
			      MQ_A_STATS_PAD)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* A topic's counters: its partitions' sums, each open file counted once. */
static void sum_stats(struct mq_topic *topic, struct mq_stats *sum)
{
	unsigned int n, nr = mq_topic_partitions(topic);

	memset(sum, 0, sizeof(*sum));
	for (n = 0; n < nr; n++)
		mq_partition_stats(mq_topic_partition(topic, n), sum);
	sum->readers = atomic_read(&topic->readers);
	sum->writers = atomic_read(&topic->writers);
}

/* A topic's configuration and counters, as one message. */
static int fill_topic(struct sk_buff *skb, struct mq_topic *topic,
		      struct user_namespace *ns, u32 portid, u32 seq, int flags, u8 cmd)
{
	struct mq_stats stats;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	void *hdr;
	int err;

	sum_stats(topic, &stats);
	hdr = genlmsg_put(skb, portid, seq, &mq_family, flags, cmd);
	if (!hdr)
		return -EMSGSIZE;

	/* No change half applied. */
	mutex_lock(&topic->lock);
	spin_lock(&topic->perm_lock);
	mode = topic->mode & 0777;
	uid = topic->uid;
	gid = topic->gid;
	spin_unlock(&topic->perm_lock);
	err = nla_put_string(skb, MQ_A_TOPIC_NAME, topic->name) ||
	      nla_put(skb, MQ_A_TOPIC_ID, MQ_TOPIC_ID_LEN, topic->id) ||
	      nla_put_u32(skb, MQ_A_TOPIC_PARTITIONS, topic->nr_partitions) ||
	      nla_put_u64_64bit(skb, MQ_A_TOPIC_RING_BYTES, topic->ring_bytes,
				MQ_A_TOPIC_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_TOPIC_RING_MESSAGES, topic->ring_messages,
				MQ_A_TOPIC_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_TOPIC_ATTR_BYTES, topic->attr_bytes,
				MQ_A_TOPIC_PAD) ||
	      nla_put_u32(skb, MQ_A_TOPIC_MAX_MESSAGE_BYTES, topic->max_message_bytes) ||
	      nla_put_u32(skb, MQ_A_TOPIC_FRAMING, topic->framing) ||
	      nla_put_u32(skb, MQ_A_TOPIC_OVERFLOW, topic->overflow) ||
	      nla_put_u32(skb, MQ_A_TOPIC_HOLD, topic->hold) ||
	      nla_put_u32(skb, MQ_A_TOPIC_STAMP, topic->stamp) ||
	      nla_put_u8(skb, MQ_A_TOPIC_PERSISTENT, topic->persistent) ||
	      nla_put_u8(skb, MQ_A_TOPIC_PAUSED, topic->paused) ||
	      nla_put_u32(skb, MQ_A_TOPIC_SYNC_TIMEOUT, topic->sync_timeout) ||
	      nla_put_u32(skb, MQ_A_TOPIC_MODE, mode) ||
	      nla_put_u32(skb, MQ_A_TOPIC_UID, from_kuid_munged(ns, uid)) ||
	      nla_put_u32(skb, MQ_A_TOPIC_GID, from_kgid_munged(ns, gid)) ||
	      nla_put_u64_64bit(skb, MQ_A_TOPIC_START_OFFSET, topic->start_offset,
				MQ_A_TOPIC_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_TOPIC_START_POSITION, topic->start_position,
				MQ_A_TOPIC_PAD) ||
	      nla_put_u32(skb, MQ_A_TOPIC_MINOR, topic->minor) ||
	      nla_put_u64_64bit(skb, MQ_A_TOPIC_CREATED, topic->created, MQ_A_TOPIC_PAD) ||
	      nla_put_u8(skb, MQ_A_TOPIC_LEND, topic->lend) ||
	      (*topic->memory_cgroup &&
	       nla_put_string(skb, MQ_A_TOPIC_MEMORY_CGROUP, topic->memory_cgroup)) ||
	      put_stats(skb, MQ_A_TOPIC_STATS, &stats, MQ_A_TOPIC_PAD);
	mutex_unlock(&topic->lock);
	if (err) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int fill_partition(struct sk_buff *skb, struct mq_topic *topic, u32 index,
			  u32 portid, u32 seq, int flags)
{
	struct mq_partition *p = mq_topic_partition(topic, index);
	struct mq_stats stats = {};
	u64 held_off, held_pos;
	struct mq_bounds b;
	void *hdr;

	/* First: what is held lies before the head that is shown, which only moves on. */
	mq_partition_held(p, &held_off, &held_pos);
	mq_partition_stats(p, &stats);
	mq_log_bounds(&p->log, &b);
	held_off = max(held_off, b.tail_off);
	held_pos = max(held_pos, b.tail_pos);

	hdr = genlmsg_put(skb, portid, seq, &mq_family, flags, MQ_CMD_PARTITION_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_string(skb, MQ_A_PARTITION_TOPIC, topic->name) ||
	    nla_put(skb, MQ_A_PARTITION_TOPIC_ID, MQ_TOPIC_ID_LEN, topic->id) ||
	    nla_put_u32(skb, MQ_A_PARTITION_INDEX, index) ||
	    nla_put_u64_64bit(skb, MQ_A_PARTITION_HEAD_OFFSET, b.head_off,
			      MQ_A_PARTITION_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_PARTITION_HEAD_POSITION, b.head_pos,
			      MQ_A_PARTITION_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_PARTITION_TAIL_OFFSET, b.tail_off,
			      MQ_A_PARTITION_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_PARTITION_TAIL_POSITION, b.tail_pos,
			      MQ_A_PARTITION_PAD) ||
	    (topic->persistent &&
	     nla_put_u64_64bit(skb, MQ_A_PARTITION_DURABLE_OFFSET, READ_ONCE(p->durable_off),
			       MQ_A_PARTITION_PAD)) ||
	    nla_put_u64_64bit(skb, MQ_A_PARTITION_HELD_OFFSET, held_off,
			      MQ_A_PARTITION_PAD) ||
	    nla_put_u32(skb, MQ_A_PARTITION_EPOCH, READ_ONCE(p->log.epoch)) ||
	    put_stats(skb, MQ_A_PARTITION_STATS, &stats, MQ_A_PARTITION_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_PARTITION_HELD_POSITION, held_pos,
			      MQ_A_PARTITION_PAD)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

int mq_nl_topic_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct mq_topic *topic;
	struct sk_buff *reply;
	int err;

	err = mq_netlink_once(info->nlhdr, info->extack);
	if (err)
		return err;
	topic = mq_netlink_topic(info->attrs[MQ_A_TOPIC_NAME], info->attrs[MQ_A_TOPIC_ID],
				 info->extack);
	if (IS_ERR(topic))
		return PTR_ERR(topic);

	err = -ENOMEM;
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		goto out;
	err = fill_topic(reply, topic, sk_user_ns(NETLINK_CB(skb).sk), info->snd_portid,
			 info->snd_seq, 0, MQ_CMD_TOPIC_GET);
	if (err)
		nlmsg_free(reply);
	else
		err = genlmsg_reply(reply, info);
out:
	mq_topic_put(topic);
	return err;
}

int mq_nl_partition_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct mq_topic *topic;
	struct sk_buff *reply;
	u32 index;
	int err;

	err = mq_netlink_once(info->nlhdr, info->extack);
	if (err)
		return err;
	if (GENL_REQ_ATTR_CHECK(info, MQ_A_PARTITION_TOPIC)) {
		GENL_SET_ERR_MSG(info, "topic is missing");
		return -EINVAL;
	}
	if (GENL_REQ_ATTR_CHECK(info, MQ_A_PARTITION_INDEX)) {
		GENL_SET_ERR_MSG(info, "index is missing");
		return -EINVAL;
	}
	topic = mq_netlink_topic(info->attrs[MQ_A_PARTITION_TOPIC], NULL, info->extack);
	if (IS_ERR(topic))
		return PTR_ERR(topic);

	index = nla_get_u32(info->attrs[MQ_A_PARTITION_INDEX]);
	if (index >= mq_topic_partitions(topic)) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[MQ_A_PARTITION_INDEX],
				    "the topic has no partition of this number");
		err = -ENOENT;
		goto out;
	}
	err = -ENOMEM;
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		goto out;
	err = fill_partition(reply, topic, index, info->snd_portid, info->snd_seq, 0);
	if (err)
		nlmsg_free(reply);
	else
		err = genlmsg_reply(reply, info);
out:
	mq_topic_put(topic);
	return err;
}

int mq_nl_module_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	void *hdr;

	/* Stands in the spec's request only because no list may be empty. */
	if (info->attrs[MQ_A_MODULE_VERSION]) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[MQ_A_MODULE_VERSION],
				    "version is told, not asked for");
		return -EINVAL;
	}

	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &mq_family, 0, MQ_CMD_MODULE_GET);
	if (!hdr ||
	    nla_put_string(reply, MQ_A_MODULE_VERSION, MQ_VERSION) ||
	    nla_put_u32(reply, MQ_A_MODULE_API_VERSION, MQ_API_VERSION) ||
	    nla_put_u64_64bit(reply, MQ_A_MODULE_FEATURES, MQ_FEATURES, MQ_A_MODULE_PAD) ||
	    nla_put_u32(reply, MQ_A_MODULE_TOPICS, mq_topics_count()) ||
	    nla_put_u32(reply, MQ_A_MODULE_TOPICS_MAX, mq_topics_max()) ||
	    nla_put_u64_64bit(reply, MQ_A_MODULE_MEMORY, mq_memory_used(), MQ_A_MODULE_PAD) ||
	    nla_put_u64_64bit(reply, MQ_A_MODULE_MEMORY_MAX, mq_memory_max(),
			      MQ_A_MODULE_PAD)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static int topic_get_start(struct netlink_callback *cb)
{
	struct nlattr **attrs = mq_dump_attrs(cb);
	unsigned int i;

	for (i = 1; i <= MQ_A_TOPIC_ID; i++)
		if (attrs[i]) {
			NL_SET_ERR_MSG_ATTR(cb->extack, attrs[i],
					    "a dump of topics takes no attribute");
			return -EINVAL;
		}
	return mq_dump_start(cb, NULL);
}

/* The topic itself: there is one of it. */
static int dump_topic(struct sk_buff *skb, struct netlink_callback *cb, struct mq_topic *topic,
		      u64 *next)
{
	cond_resched();
	return fill_topic(skb, topic, sk_user_ns(NETLINK_CB(cb->skb).sk),
			  NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, NLM_F_MULTI,
			  MQ_CMD_TOPIC_GET);
}

int mq_nl_topic_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return mq_dump_topics(skb, cb, dump_topic);
}

static int partition_get_start(struct netlink_callback *cb)
{
	struct nlattr **attrs = mq_dump_attrs(cb);
	int err;

	err = mq_netlink_once(cb->nlh, cb->extack);
	if (err)
		return err;
	if (attrs[MQ_A_PARTITION_INDEX]) {
		NL_SET_ERR_MSG_ATTR(cb->extack, attrs[MQ_A_PARTITION_INDEX],
				    "a dump of partitions takes no index");
		return -EINVAL;
	}
	return mq_dump_start(cb, attrs[MQ_A_PARTITION_TOPIC]);
}

/* The partitions of one topic, from @next on. */
static int dump_partitions(struct sk_buff *skb, struct netlink_callback *cb,
			   struct mq_topic *topic, u64 *next)
{
	int err;

	for (; *next < mq_topic_partitions(topic); ++*next) {
		err = fill_partition(skb, topic, *next, NETLINK_CB(cb->skb).portid,
				     cb->nlh->nlmsg_seq, NLM_F_MULTI);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * mq_netlink_put() - begin a message of a dump
 * @skb: where to
 * @cb: the dump
 * @cmd: MQ_CMD_*
 *
 * Return: what genlmsg_end() and genlmsg_cancel() take, NULL without room.
 */
void *mq_netlink_put(struct sk_buff *skb, const struct netlink_callback *cb, u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &mq_family,
			   NLM_F_MULTI, cmd);
}

int mq_nl_partition_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return mq_dump_topics(skb, cb, dump_partitions);
}

/* Is anybody there, in any network namespace? */
static bool have_listeners(void)
{
	struct net *net;
	bool found = false;

	rcu_read_lock();
	for_each_net_rcu(net) {
		if (genl_has_listeners(&mq_family, net, MQ_NLGRP_EVENTS)) {
			found = true;
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

/* An event found no memory: its listeners are told that they missed one (ENOBUFS). */
static void event_missed_in(struct net *net)
{
	genl_set_err(&mq_family, net, 0, MQ_NLGRP_EVENTS, -ENOBUFS);
}

static void event_missed(void)
{
	struct net *net;

	rcu_read_lock();
	for_each_net_rcu(net)
		event_missed_in(net);
	rcu_read_unlock();
}

/*
 * To the listeners of all network namespaces: topics belong to none, and what
 * one can ask for everywhere one can also wait for everywhere. A listener that
 * has no room is told by its own socket (ENOBUFS).
 */
static void multicast(struct sk_buff *skb)
{
	struct sk_buff *copy;
	struct net *net;

	/* Not genlmsg_multicast_allns(): it ends at the first one that has trouble. */
	rcu_read_lock();
	for_each_net_rcu(net) {
		if (!genl_has_listeners(&mq_family, net, MQ_NLGRP_EVENTS))
			continue;
		copy = skb_clone(skb, GFP_ATOMIC);
		if (copy)
			genlmsg_multicast_netns(&mq_family, net, copy, 0, MQ_NLGRP_EVENTS,
						GFP_ATOMIC);
		else
			event_missed_in(net);
	}
	rcu_read_unlock();
	consume_skb(skb);
}

/**
 * mq_netlink_notify() - tell listeners about a topic
 * @topic: the topic
 * @cmd: MQ_CMD_TOPIC_CREATED_NTF, _CHANGED_NTF or _DELETED_NTF
 *
 * Listeners live in any user namespace, so owners are shown as the initial one
 * has them. The caller's locks decide the order of events. Where an event finds no
 * memory listeners get ENOBUFS, as at any that gets lost.
 *
 * Context: sleeps; takes topic->lock.
 */
void mq_netlink_notify(struct mq_topic *topic, u8 cmd)
{
	struct sk_buff *skb;

	if (!have_listeners())
		return;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb) {
		event_missed();
	} else if (fill_topic(skb, topic, &init_user_ns, 0, 0, 0, cmd)) {
		nlmsg_free(skb);
		event_missed();
	} else {
		multicast(skb);
	}
}

/**
 * mq_netlink_overrun() - tell listeners that readers were overrun
 * @topic: the topic
 * @lost: messages lost since the event before
 * @overruns: overruns since the event before
 *
 * Context: sleeps.
 * Return: 0, also if nobody listens, or -ENOMEM: nobody was told.
 */
int mq_netlink_overrun(struct mq_topic *topic, u64 lost, u64 overruns)
{
	struct sk_buff *skb;
	void *hdr;

	if (!have_listeners())
		return 0;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put(skb, 0, 0, &mq_family, 0, MQ_CMD_OVERRUN_NTF);
	if (!hdr ||
	    nla_put_string(skb, MQ_A_OVERRUN_TOPIC, topic->name) ||
	    nla_put(skb, MQ_A_OVERRUN_TOPIC_ID, MQ_TOPIC_ID_LEN, topic->id) ||
	    nla_put_u64_64bit(skb, MQ_A_OVERRUN_LOST, lost, MQ_A_OVERRUN_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_OVERRUN_OVERRUNS, overruns, MQ_A_OVERRUN_PAD)) {
		nlmsg_free(skb);
		return -ENOMEM;
	}
	genlmsg_end(skb, hdr);
	multicast(skb);
	return 0;
}

/**
 * mq_netlink_init() - register the family
 * Return: 0, or a negative errno.
 */
int mq_netlink_init(void)
{
	unsigned int i;

	memcpy(mq_ops, mq_nl_ops, sizeof(mq_ops));
	for (i = 0; i < ARRAY_SIZE(mq_ops); i++) {
		if (mq_ops[i].cmd == MQ_CMD_TOPIC_GET)
			mq_ops[i].start = topic_get_start;
		else if (mq_ops[i].cmd == MQ_CMD_PARTITION_GET)
			mq_ops[i].start = partition_get_start;
		else if (mq_ops[i].cmd == MQ_CMD_READER_GET || mq_ops[i].cmd == MQ_CMD_WAITER_GET)
			mq_ops[i].start = mq_who_start;
	}
	return genl_register_family(&mq_family);
}

/**
 * mq_netlink_exit() - unregister the family
 *
 * Waits for calls in flight. A dump in flight holds the module, so there is none.
 */
void mq_netlink_exit(void)
{
	genl_unregister_family(&mq_family);
}
