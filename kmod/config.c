// SPDX-License-Identifier: GPL-2.0
/*
 * What a topic can be: checks and defaults at creation, changes later.
 *
 * Ranges that one attribute alone decides (flags, enumerations, mode, number of
 * partitions) are in the netlink policy, which kmod/netlink_gen.c has from the
 * spec; here is what takes more than a range.
 */
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "fs.h"
#include "hold.h"
#include "limits.h"
#include "memory.h"
#include "name.h"
#include "netlink.h"
#include "partition.h"
#include "topic.h"
#include "who.h"

static bool given(const struct mq_config *c, unsigned int attr)
{
	return c->set & BIT_ULL(attr);
}

/**
 * mq_config_init() - the configuration of a topic about which nothing was said
 * @config: filled in; defaults that depend on others come at creation
 */
void mq_config_init(struct mq_config *config)
{
	memset(config, 0, sizeof(*config));
	config->partitions = 1;
	config->ring_bytes = MQ_DEF_RING_BYTES;
	config->ring_messages = MQ_DEF_RING_MESSAGES;
	config->framing = MQ_FRAMING_MESSAGE;
	config->mode = 0600;
	config->lend = true;
	config->memory_cgroup = "";
	config->uid = GLOBAL_ROOT_UID;
	config->gid = GLOBAL_ROOT_GID;
}

static int check_rings(const struct mq_config *c, struct netlink_ext_ack *extack,
		       struct nlattr **attrs)
{
	u64 max = mq_memory_max();

	/* Within these limits no sum or product below overflows 64 bits. */
	BUILD_BUG_ON(U64_MAX / sizeof(struct mq_entry) / MQ_MAX_PARTITIONS < MQ_MAX_RING_MESSAGES);
	BUILD_BUG_ON(U64_MAX / MQ_MAX_PARTITIONS / 4 < MQ_MAX_RING_BYTES);

	if (!is_power_of_2(c->ring_bytes))
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_BYTES, -EINVAL,
			      "ring-bytes is not a power of two");
	if (c->ring_bytes < MQ_MIN_RING_BYTES)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_BYTES, -EINVAL,
			      "ring-bytes is less than 4096");
	if (c->ring_bytes > MQ_MAX_RING_BYTES)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_BYTES, -EINVAL,
			      "ring-bytes is more than 2^40");
	if (!is_power_of_2(c->ring_messages))
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_MESSAGES, -EINVAL,
			      "ring-messages is not a power of two");
	if (c->ring_messages < MQ_MIN_RING_MESSAGES)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_MESSAGES, -EINVAL,
			      "ring-messages is less than 64");
	if (c->ring_messages > MQ_MAX_RING_MESSAGES)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_MESSAGES, -EINVAL,
			      "ring-messages is more than 2^32");
	if (!is_power_of_2(c->attr_bytes))
		return mq_bad(extack, attrs, MQ_A_TOPIC_ATTR_BYTES, -EINVAL,
			      "attr-bytes is not a power of two");
	if (c->attr_bytes < MQ_MIN_RING_BYTES)
		return mq_bad(extack, attrs, MQ_A_TOPIC_ATTR_BYTES, -EINVAL,
			      "attr-bytes is less than 4096");
	if (c->attr_bytes > MQ_MAX_RING_BYTES)
		return mq_bad(extack, attrs, MQ_A_TOPIC_ATTR_BYTES, -EINVAL,
			      "attr-bytes is more than 2^40");

	/*
	 * A ring that can never be filled would fail its writers with ENOMEM
	 * for ever, instead of letting the oldest message go.
	 */
	if (c->ring_bytes > max)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_BYTES, -ENOMEM,
			      "ring-bytes is more than the module's parameter max_memory");
	if (c->ring_messages * sizeof(struct mq_entry) > max)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_MESSAGES, -ENOMEM,
			      "ring-messages, at 64 bytes each, is more than the module's parameter max_memory");
	if (c->attr_bytes > max)
		return mq_bad(extack, attrs, MQ_A_TOPIC_ATTR_BYTES, -ENOMEM,
			      "attr-bytes is more than the module's parameter max_memory");
	return 0;
}

static int check_max_message(u64 max_message, u64 ring_bytes,
			     struct netlink_ext_ack *extack, struct nlattr **attrs)
{
	if (!max_message)
		return mq_bad(extack, attrs, MQ_A_TOPIC_MAX_MESSAGE_BYTES, -EINVAL,
			      "max-message-bytes is 0");
	if (max_message > ring_bytes / MQ_QUARTER)
		return mq_bad(extack, attrs, MQ_A_TOPIC_MAX_MESSAGE_BYTES, -EINVAL,
			      "max-message-bytes is more than a quarter of ring-bytes");
	if (max_message > MQ_MAX_MESSAGE)
		return mq_bad(extack, attrs, MQ_A_TOPIC_MAX_MESSAGE_BYTES, -EINVAL,
			      "max-message-bytes is more than 2^30");
	return 0;
}

static int check_owner(const struct mq_config *c, struct netlink_ext_ack *extack,
		       struct nlattr **attrs)
{
	if (given(c, MQ_A_TOPIC_UID) && !uid_valid(c->uid))
		return mq_bad(extack, attrs, MQ_A_TOPIC_UID, -EINVAL,
			      "uid is no user of your user namespace");
	if (given(c, MQ_A_TOPIC_GID) && !gid_valid(c->gid))
		return mq_bad(extack, attrs, MQ_A_TOPIC_GID, -EINVAL,
			      "gid is no group of your user namespace");
	return 0;
}

/**
 * mq_config_complete() - check the configuration of a new topic, add defaults
 * @config: from mq_config_init(), with what was asked for
 * @extack: takes what was wrong, may be NULL
 * @attrs: attributes by MQ_A_TOPIC_* for @extack to point at, or NULL
 *
 * Return: 0, -EINVAL, or -ENOMEM for a ring that max_memory forbids.
 */
int mq_config_complete(struct mq_config *config, struct netlink_ext_ack *extack,
		       struct nlattr **attrs)
{
	struct mq_config *c = config;
	int err;

	if (!given(c, MQ_A_TOPIC_NAME)) {
		NL_SET_ERR_MSG(extack, "name is missing");
		return -EINVAL;
	}
	if (!mq_name_valid(c->name, strlen(c->name), MQ_TOPIC_NAME_MAX))
		return mq_bad(extack, attrs, MQ_A_TOPIC_NAME, -EINVAL,
			      "name is not 1 to 128 of [A-Za-z0-9._-], or is . or ..");

	if (!given(c, MQ_A_TOPIC_ID))
		get_random_bytes(c->id, sizeof(c->id));
	else if (!memchr_inv(c->id, 0, sizeof(c->id)))
		return mq_bad(extack, attrs, MQ_A_TOPIC_ID, -EINVAL, "id is all zero");

	if (!given(c, MQ_A_TOPIC_ATTR_BYTES))
		c->attr_bytes = max(c->ring_bytes / MQ_QUARTER, MQ_MIN_RING_BYTES);
	err = check_rings(c, extack, attrs);
	if (err)
		return err;

	if (!given(c, MQ_A_TOPIC_MAX_MESSAGE_BYTES))
		c->max_message_bytes = min_t(u64, MQ_DEF_MAX_MESSAGE,
					     c->ring_bytes / MQ_QUARTER);
	err = check_max_message(c->max_message_bytes, c->ring_bytes, extack, attrs);
	if (err)
		return err;

	if (!given(c, MQ_A_TOPIC_OVERFLOW))
		c->overflow = c->persistent ? MQ_OVERFLOW_BLOCK : MQ_OVERFLOW_DROP_OLDEST;
	if (c->start_offset > S64_MAX)
		return mq_bad(extack, attrs, MQ_A_TOPIC_START_OFFSET, -EINVAL,
			      "start-offset is more than 2^63-1");
	if (c->start_position > S64_MAX)
		return mq_bad(extack, attrs, MQ_A_TOPIC_START_POSITION, -EINVAL,
			      "start-position is more than 2^63-1");
	return check_owner(c, extack, attrs);
}

/* What never changes: asking for what it is already is no change. */
static int check_fixed(const struct mq_topic *t, const struct mq_config *c,
		       struct netlink_ext_ack *extack, struct nlattr **attrs)
{
	if (given(c, MQ_A_TOPIC_RING_BYTES) && c->ring_bytes != t->ring_bytes)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_BYTES, -EBUSY,
			      "ring-bytes is fixed at creation");
	if (given(c, MQ_A_TOPIC_RING_MESSAGES) && c->ring_messages != t->ring_messages)
		return mq_bad(extack, attrs, MQ_A_TOPIC_RING_MESSAGES, -EBUSY,
			      "ring-messages is fixed at creation");
	if (given(c, MQ_A_TOPIC_ATTR_BYTES) && c->attr_bytes != t->attr_bytes)
		return mq_bad(extack, attrs, MQ_A_TOPIC_ATTR_BYTES, -EBUSY,
			      "attr-bytes is fixed at creation");
	if (given(c, MQ_A_TOPIC_PERSISTENT) && c->persistent != t->persistent)
		return mq_bad(extack, attrs, MQ_A_TOPIC_PERSISTENT, -EBUSY,
			      "persistent is fixed at creation");
	if (given(c, MQ_A_TOPIC_START_OFFSET) && c->start_offset != t->start_offset)
		return mq_bad(extack, attrs, MQ_A_TOPIC_START_OFFSET, -EBUSY,
			      "start-offset is fixed at creation");
	if (given(c, MQ_A_TOPIC_START_POSITION) && c->start_position != t->start_position)
		return mq_bad(extack, attrs, MQ_A_TOPIC_START_POSITION, -EBUSY,
			      "start-position is fixed at creation");
	if (given(c, MQ_A_TOPIC_MEMORY_CGROUP) && strcmp(c->memory_cgroup, t->memory_cgroup))
		return mq_bad(extack, attrs, MQ_A_TOPIC_MEMORY_CGROUP, -EBUSY,
			      "memory-cgroup is fixed at creation");
	if (given(c, MQ_A_TOPIC_PARTITIONS) && c->partitions < t->nr_partitions)
		return mq_bad(extack, attrs, MQ_A_TOPIC_PARTITIONS, -EBUSY,
			      "partitions can only grow");
	return 0;
}

/*
 * The ACL that goes with a new mode, as chmod(2) makes it: made beforehand, for
 * it takes an allocation. Nobody else changes the ACL under the change_lock.
 */
static int make_acl(const struct mq_topic *topic, const struct mq_config *c,
		    struct posix_acl **acl)
{
	*acl = NULL;
	if (!given(c, MQ_A_TOPIC_MODE) || !topic->acl)
		return 0;
	*acl = posix_acl_dup(topic->acl);
	return __posix_acl_chmod(acl, GFP_KERNEL, c->mode);
}

/* Mode and owner; leaves what @acl replaces in it. */
static void apply_perms(struct mq_topic *topic, const struct mq_config *c,
			struct posix_acl **acl)
{
	spin_lock(&topic->perm_lock);
	if (given(c, MQ_A_TOPIC_MODE)) {
		topic->mode = c->mode;
		swap(topic->acl, *acl);
	}
	if (given(c, MQ_A_TOPIC_UID))
		topic->uid = c->uid;
	if (given(c, MQ_A_TOPIC_GID))
		topic->gid = c->gid;
	spin_unlock(&topic->perm_lock);
}

/* The moment of the change; under topic->lock. */
static int apply(struct mq_topic *t, const struct mq_config *c,
		 struct mq_partition **parts, struct posix_acl **acl,
		 struct netlink_ext_ack *extack, struct nlattr **attrs)
{
	unsigned int n;

	if (t->dead) {
		NL_SET_ERR_MSG(extack, "the topic was deleted");
		return -ENODEV;
	}
	if (given(c, MQ_A_TOPIC_FRAMING) && c->framing != t->framing &&
	    (atomic_read(&t->readers) || atomic_read(&t->writers)))
		return mq_bad(extack, attrs, MQ_A_TOPIC_FRAMING, -EBUSY,
			      "framing is fixed while a file of the topic is open");

	if (given(c, MQ_A_TOPIC_FRAMING))
		WRITE_ONCE(t->framing, c->framing);
	if (given(c, MQ_A_TOPIC_MAX_MESSAGE_BYTES))
		WRITE_ONCE(t->max_message_bytes, c->max_message_bytes);
	if (given(c, MQ_A_TOPIC_OVERFLOW))
		WRITE_ONCE(t->overflow, c->overflow);
	if (given(c, MQ_A_TOPIC_HOLD)) {
		WRITE_ONCE(t->hold, c->hold);
		for (n = 0; c->hold && n < t->nr_partitions; n++)
			mq_hold_on(mq_topic_partition(t, n));
	}
	if (given(c, MQ_A_TOPIC_STAMP))
		WRITE_ONCE(t->stamp, c->stamp);
	if (given(c, MQ_A_TOPIC_PAUSED))
		WRITE_ONCE(t->paused, c->paused);
	if (given(c, MQ_A_TOPIC_SYNC_TIMEOUT))
		WRITE_ONCE(t->sync_timeout, c->sync_timeout);
	if (given(c, MQ_A_TOPIC_LEND))
		WRITE_ONCE(t->lend, c->lend);
	apply_perms(t, c, acl);
	if (parts)
		mq_topic_add_partitions(t, parts, c->partitions);
	return 0;
}

/*
 * New partitions hold what is written to them until those who read the topic have
 * joined them: a writer may find them before its readers do.
 */
static void hold_for_readers(struct mq_partition **parts, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct mq_partition *p = parts[i];

		mq_hold(p, &p->joining, p->log.start.head_pos);
	}
}

static void readers_join(struct mq_topic *topic, unsigned int from)
{
	unsigned int n;

	mq_who_joins(topic);
	for (n = from; n < topic->nr_partitions; n++) {
		struct mq_partition *p = mq_topic_partition(topic, n);

		mq_hold_release(p, &p->joining);
	}
}

/**
 * mq_topic_change() - change a topic, all of what was asked or nothing
 * @topic: the topic; the caller has a reference
 * @config: what to change, as @config->set says; name and id are not looked at
 * @extack: takes what was wrong, may be NULL
 * @attrs: attributes by MQ_A_TOPIC_* for @extack to point at, or NULL
 *
 * A write or read that is under way may still go by what was before; one that
 * starts after the return goes by the change. Who waits looks again. A limit
 * that is lowered does not undo what is in the log.
 *
 * Context: sleeps; no lock of a topic may be held.
 * Return: 0, -EINVAL, -EBUSY for what cannot be changed (now), -ENODEV if the
 * topic was deleted, -ENOMEM, or -EINTR (killed).
 */
int mq_topic_change(struct mq_topic *topic, const struct mq_config *config,
		    struct netlink_ext_ack *extack, struct nlattr **attrs)
{
	const struct mq_config *c = config;
	struct mq_partition **parts = NULL;
	struct posix_acl *acl = NULL;
	unsigned int from;
	int err;

	if (mutex_lock_killable(&topic->change_lock))
		return -EINTR;
	from = topic->nr_partitions;

	err = check_fixed(topic, c, extack, attrs);
	if (err)
		goto out;
	if (given(c, MQ_A_TOPIC_MAX_MESSAGE_BYTES)) {
		err = check_max_message(c->max_message_bytes, topic->ring_bytes,
					extack, attrs);
		if (err)
			goto out;
	}
	err = check_owner(c, extack, attrs) ?: make_acl(topic, c, &acl);
	if (err)
		goto out;

	/* Long work, so not under topic->lock, which open takes. */
	if (given(c, MQ_A_TOPIC_PARTITIONS) && c->partitions > from) {
		parts = mq_topic_make_partitions(topic, from, c->partitions);
		if (IS_ERR(parts)) {
			err = PTR_ERR(parts);
			if (err == -ENOMEM)
				NL_SET_ERR_MSG_ATTR(extack,
						    attrs ? attrs[MQ_A_TOPIC_PARTITIONS] : NULL,
						    "no memory for more partitions");
			goto out;
		}
		hold_for_readers(parts, c->partitions - from);
	}

	mutex_lock(&topic->lock);
	err = apply(topic, c, parts, &acl, extack, attrs);
	mutex_unlock(&topic->lock);
	if (err) {
		if (parts)
			mq_topic_drop_partitions(topic, parts, from, c->partitions);
		goto out;
	}

	if (parts)
		readers_join(topic, from);
	if (!(c->set & ~(BIT_ULL(MQ_A_TOPIC_NAME) | BIT_ULL(MQ_A_TOPIC_ID))))
		goto out;
	mq_topic_wake_all(topic);
	if (c->set & (BIT_ULL(MQ_A_TOPIC_MODE) | BIT_ULL(MQ_A_TOPIC_UID) |
		      BIT_ULL(MQ_A_TOPIC_GID)))
		mq_fs_topic_changed(topic);
	mq_netlink_notify(topic, MQ_CMD_TOPIC_CHANGED_NTF);
out:
	posix_acl_release(acl);
	mutex_unlock(&topic->change_lock);
	return err;
}
