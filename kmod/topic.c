// SPDX-License-Identifier: GPL-2.0
/*
 * Topics: the registry and each topic's life.
 *
 * A topic is made whole before anybody can find it, published under the
 * registry's lock, found under RCU, and unpublished before it dies. Its end
 * comes in three steps that may lie far apart: delete (no name, no writes),
 * the last reference (no file, no inode), and, a grace period later, the
 * memory. See mq_topic_delete() and mq_topic_free().
 */
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "limits.h"
#include "memory.h"
#include "mmap.h"
#include "netlink.h"
#include "partition.h"
#include "topic.h"

#define REGISTRY_BITS	13

/*
 * The registry. @registry_lock serialises creation and deletion, and makes
 * their events come in their order; look-ups go without. Taken inside of a
 * topic's change_lock and outside of its lock.
 */
static DEFINE_MUTEX(registry_lock);
static DEFINE_HASHTABLE(by_name, REGISTRY_BITS);
static DEFINE_HASHTABLE(by_id, REGISTRY_BITS);
/* A deleted topic leaves its number reserved until it is freed. */
static DEFINE_XARRAY_ALLOC(by_minor);
static u32 next_minor;			/* registry_lock */
static unsigned int nr_topics;		/* written under registry_lock */

static unsigned int max_topics = MQ_MAX_TOPICS;
module_param(max_topics, uint, 0644);
MODULE_PARM_DESC(max_topics, "Topics that may exist at a time");

static dev_t first_dev;
struct workqueue_struct *mq_wq;

static u32 hash_of(const void *data, size_t len)
{
	return jhash(data, len, 0);
}

/* Under rcu_read_lock() or registry_lock; takes no reference. */
static struct mq_topic *find_name(const char *name, size_t len)
{
	struct mq_topic *topic;

	hash_for_each_possible_rcu(by_name, topic, name_node, hash_of(name, len),
				   lockdep_is_held(&registry_lock)) {
		if (!strncmp(topic->name, name, len) && !topic->name[len])
			return topic;
	}
	return NULL;
}

/* Under rcu_read_lock() or registry_lock; takes no reference. */
static struct mq_topic *find_id(const u8 *id)
{
	struct mq_topic *topic;

	hash_for_each_possible_rcu(by_id, topic, id_node, hash_of(id, MQ_TOPIC_ID_LEN),
				   lockdep_is_held(&registry_lock)) {
		if (!memcmp(topic->id, id, MQ_TOPIC_ID_LEN))
			return topic;
	}
	return NULL;
}

/*
 * A reference on what was found, under rcu_read_lock(). RCU keeps the memory,
 * not the topic: it may be on its way out (no reference to be had), or deleted
 * between the look-up and here. Both mean: not there.
 */
static struct mq_topic *get_live(struct mq_topic *topic)
{
	if (!topic || !refcount_inc_not_zero(&topic->ref))
		return NULL;
	if (!mq_topic_dead(topic))
		return topic;
	mq_topic_put(topic);
	return NULL;
}

/**
 * mq_topic_get() - find a topic by name
 * @name: its name, not terminated
 * @len: length of @name
 *
 * Context: any that may use RCU.
 * Return: the topic, with a reference for the caller, or NULL. It may be
 * deleted at any moment afterwards.
 */
struct mq_topic *mq_topic_get(const char *name, size_t len)
{
	struct mq_topic *topic = NULL, *found;

	if (!len || len > MQ_TOPIC_NAME_MAX)
		return NULL;

	/*
	 * A dead one was unpublished before it was marked; look again, for
	 * its successor may have been published in between.
	 */
	rcu_read_lock();
	do {
		found = find_name(name, len);
		topic = get_live(found);
	} while (found && !topic);
	rcu_read_unlock();
	return topic;
}

/**
 * mq_topic_get_id() - find a topic by id
 * @id: MQ_TOPIC_ID_LEN bytes
 *
 * Return: the topic, with a reference for the caller, or NULL.
 */
struct mq_topic *mq_topic_get_id(const u8 *id)
{
	struct mq_topic *topic;

	rcu_read_lock();
	topic = get_live(find_id(id));
	rcu_read_unlock();
	return topic;
}

/**
 * mq_topic_get_next() - walk over the topics
 * @minor: where to look; set to the minor of the topic returned. The caller
 *	adds one to go on.
 *
 * A walk sees every topic that exists all through it once, and of those
 * created or deleted meanwhile some.
 *
 * Return: the first topic from @minor on, with a reference for the caller, or
 * NULL after the last one.
 */
struct mq_topic *mq_topic_get_next(unsigned int *minor)
{
	unsigned long index = *minor;
	struct mq_topic *topic = NULL;
	struct mq_topic *found;

	rcu_read_lock();
	for (found = xa_find(&by_minor, &index, MQ_MAX_MINORS - 1, XA_PRESENT);
	     found;
	     found = xa_find_after(&by_minor, &index, MQ_MAX_MINORS - 1, XA_PRESENT)) {
		topic = get_live(found);
		if (topic) {
			*minor = index;
			break;
		}
	}
	rcu_read_unlock();
	return topic;
}

/**
 * mq_topic_hold() - one more reference
 * @topic: a topic that the caller has a reference on
 */
void mq_topic_hold(struct mq_topic *topic)
{
	refcount_inc(&topic->ref);
}

/*
 * Everything of a topic that nobody can reach any more: one that was never
 * published, or whose last reference went a grace period ago.
 */
static void destroy(struct mq_topic *topic)
{
	struct mq_partition *p;
	unsigned long n;

	WARN_ON_ONCE(delayed_work_pending(&topic->event_work));
	xa_for_each(&topic->partitions, n, p)
		mq_partition_destroy(p);
	xa_destroy(&topic->partitions);
	mq_memcg_put(topic->memcg);
	kfree(topic->memory_cgroup);
	posix_acl_release(topic->acl);
	xa_destroy(&topic->files);
	mutex_destroy(&topic->files_lock);
	mutex_destroy(&topic->lock);
	mutex_destroy(&topic->change_lock);
	kfree(topic);
}

/*
 * Frees a topic. Nobody can be in it:
 *  - files, inodes, look-ups and pending event work each held a reference;
 *  - readers that copy from a ring under RCU do so on behalf of a file;
 *  - a look-up that found it under RCU before it was unpublished and did not
 *    get a reference has left its read-side section, for a grace period has
 *    passed since the last reference went;
 *  - who waits in a queue of it (read, write, poll, fsync) has its file open;
 *  - pages that pipes and sockets still hold are freed by their own count.
 *
 * In a kworker, because destroying partitions sleeps. It runs in mq_wq, which
 * module exit flushes: the module's text stays until this function has returned,
 * although it gives up the topic's hold on the module at its end.
 */
static void mq_topic_free(struct work_struct *work)
{
	struct mq_topic *topic = container_of(to_rcu_work(work), struct mq_topic, free_work);

	xa_erase(&by_minor, topic->minor);
	destroy(topic);
	mq_memory_left();
	module_put(THIS_MODULE);
}

/**
 * mq_topic_put() - give a reference back
 * @topic: the topic; not to be touched afterwards
 *
 * Context: any. The caller's own text must be kept by something else than the
 * topic (an open file, a mount, a netlink call): it may be freed at once.
 */
void mq_topic_put(struct mq_topic *topic)
{
	if (refcount_dec_and_test(&topic->ref)) {
		mq_memory_leaving();
		queue_rcu_work(mq_wq, &topic->free_work);
	}
}

/**
 * mq_topic_make_partitions() - partitions that nobody sees yet
 * @topic: their topic
 * @from: number of the first one
 * @to: number after the last one
 *
 * All or none; the places in the topic's table are reserved, so that
 * mq_topic_add_partitions() cannot fail.
 *
 * Context: the topic's change_lock, or the topic is not published. Sleeps, long
 * for large persistent ones.
 * Return: an array of the partitions, or ERR_PTR.
 */
struct mq_partition **mq_topic_make_partitions(struct mq_topic *topic,
					       unsigned int from, unsigned int to)
{
	struct mq_partition **parts;
	unsigned int n;
	int err;

	parts = kcalloc(to - from, sizeof(*parts), GFP_KERNEL);
	if (!parts)
		return ERR_PTR(-ENOMEM);

	for (n = from; n < to; n++) {
		struct mq_partition *p;

		err = xa_reserve(&topic->partitions, n, GFP_KERNEL);
		if (err)
			goto err;
		p = mq_partition_create(topic, n);
		if (IS_ERR_OR_NULL(p)) {
			err = p ? PTR_ERR(p) : -ENOMEM;
			xa_release(&topic->partitions, n);
			goto err;
		}
		parts[n - from] = p;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			n++;
			goto err;
		}
		cond_resched();
	}
	return parts;

err:
	mq_topic_drop_partitions(topic, parts, from, n);
	return ERR_PTR(err);
}

/**
 * mq_topic_drop_partitions() - undo mq_topic_make_partitions()
 * @topic: their topic
 * @parts: the partitions
 * @from: number of the first one
 * @to: number after the last one
 */
void mq_topic_drop_partitions(struct mq_topic *topic, struct mq_partition **parts,
			      unsigned int from, unsigned int to)
{
	unsigned int n;

	for (n = from; n < to; n++) {
		xa_release(&topic->partitions, n);
		mq_partition_destroy(parts[n - from]);
	}
	kfree(parts);
}

/**
 * mq_topic_add_partitions() - let new partitions be seen
 * @topic: their topic
 * @parts: from mq_topic_make_partitions(), following those that there are
 * @to: number of partitions afterwards
 *
 * Context: the topic's lock, or the topic is not published. Takes @parts over.
 */
void mq_topic_add_partitions(struct mq_topic *topic, struct mq_partition **parts,
			     unsigned int to)
{
	unsigned int from = topic->nr_partitions;
	unsigned int n;

	/* No allocation: the places were reserved. */
	for (n = from; n < to; n++)
		WARN_ON_ONCE(xa_err(xa_store(&topic->partitions, n, parts[n - from],
					     GFP_KERNEL)));
	kfree(parts);
	/* Pairs with mq_topic_partitions(): who sees the number finds them. */
	smp_store_release(&topic->nr_partitions, to);
}

/**
 * mq_topic_wake_all() - wake everybody who waits in a topic, to look again
 * @topic: the topic
 */
void mq_topic_wake_all(struct mq_topic *topic)
{
	struct mq_partition *p;
	unsigned long n;

	xa_for_each(&topic->partitions, n, p)
		mq_partition_wake_all(p);
	/* Without a key: pollers whatever they wait for, EPOLLHUP included. */
	wake_up_all(&topic->rwait.queue);
}

/* The cgroup that the topic's memory is charged to, if one is named. */
static int take_cgroup(struct mq_topic *topic, const char *path,
		       struct netlink_ext_ack *extack, struct nlattr **attrs)
{
	topic->memory_cgroup = kstrdup(path, GFP_KERNEL);
	if (!topic->memory_cgroup)
		return -ENOMEM;
	topic->memcg = mq_memcg_get(path);
	if (!IS_ERR(topic->memcg))
		return 0;
	if (PTR_ERR(topic->memcg) == -EOPNOTSUPP)
		mq_bad(extack, attrs, MQ_A_TOPIC_MEMORY_CGROUP, 0,
		       "cgroup2 does not control memory here");
	else
		mq_bad(extack, attrs, MQ_A_TOPIC_MEMORY_CGROUP, 0,
		       "memory-cgroup is not a cgroup below the cgroup2 root");
	return PTR_ERR(topic->memcg);
}

/* A topic with all partitions, referenced once, that nobody can find. */
static struct mq_topic *make(const struct mq_config *c, struct netlink_ext_ack *extack,
			     struct nlattr **attrs)
{
	struct mq_partition **parts;
	struct mq_topic *topic;
	int err;

	topic = kzalloc(sizeof(*topic), GFP_KERNEL);
	if (!topic)
		return ERR_PTR(-ENOMEM);

	refcount_set(&topic->ref, 1);
	INIT_RCU_WORK(&topic->free_work, mq_topic_free);
	strscpy(topic->name, c->name, sizeof(topic->name));
	memcpy(topic->id, c->id, MQ_TOPIC_ID_LEN);
	topic->created = ktime_get_real_ns();
	topic->ring_bytes = c->ring_bytes;
	topic->ring_messages = c->ring_messages;
	topic->attr_bytes = c->attr_bytes;
	topic->start_offset = c->start_offset;
	topic->start_position = c->start_position;
	topic->persistent = c->persistent;
	mutex_init(&topic->change_lock);
	mutex_init(&topic->lock);
	mutex_init(&topic->span_lock);
	xa_init(&topic->partitions);
	mq_waiters_init(&topic->rwait);
	topic->max_message_bytes = c->max_message_bytes;
	topic->framing = c->framing;
	topic->overflow = c->overflow;
	topic->hold = c->hold;
	topic->stamp = c->stamp;
	topic->paused = c->paused;
	topic->sync_timeout = c->sync_timeout;
	topic->lend = c->lend;
	spin_lock_init(&topic->perm_lock);
	topic->mode = c->mode;
	topic->uid = c->uid;
	topic->gid = c->gid;
	xa_init_flags(&topic->files, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	mutex_init(&topic->files_lock);
	spin_lock_init(&topic->waiters_lock);
	INIT_LIST_HEAD(&topic->waiters);
	mq_event_init(topic);

	err = take_cgroup(topic, c->memory_cgroup, extack, attrs);
	if (err) {
		topic->memcg = NULL;
		destroy(topic);
		return ERR_PTR(err);
	}
	parts = mq_topic_make_partitions(topic, 0, c->partitions);
	if (IS_ERR(parts)) {
		if (PTR_ERR(parts) == -ENOMEM && c->persistent)
			NL_SET_ERR_MSG_ATTR(extack, attrs ? attrs[MQ_A_TOPIC_PERSISTENT] : NULL,
					    "no memory for the rings of a persistent topic: see the module's parameter max_memory");
		else if (PTR_ERR(parts) == -ENOMEM)
			NL_SET_ERR_MSG(extack, "no memory for the topic's partitions");
		destroy(topic);
		return ERR_CAST(parts);
	}
	mq_topic_add_partitions(topic, parts, c->partitions);
	return topic;
}

/* May this topic come to be? Under registry_lock, or RCU for a first look. */
static int may_publish(const struct mq_config *c, struct netlink_ext_ack *extack,
		       struct nlattr **attrs)
{
	if (find_name(c->name, strlen(c->name)))
		return mq_bad(extack, attrs, MQ_A_TOPIC_NAME, -EEXIST,
			      "a topic of this name exists");
	if (find_id(c->id))
		return mq_bad(extack, attrs, MQ_A_TOPIC_ID, -EEXIST,
			      "a topic with this id exists");
	if (READ_ONCE(nr_topics) >= mq_topics_max()) {
		NL_SET_ERR_MSG(extack,
			       "too many topics: see the module's parameter max_topics");
		return -ENOSPC;
	}
	return 0;
}

static int publish(struct mq_topic *topic, const struct mq_config *c,
		   struct netlink_ext_ack *extack, struct nlattr **attrs)
{
	int err;

	/* The change lock, so that no change is announced before the creation. */
	mutex_lock(&topic->change_lock);
	mutex_lock(&registry_lock);
	err = may_publish(c, extack, attrs);
	if (err)
		goto out;
	/*
	 * In turn, so that a number comes back late: those who know a deleted
	 * topic by it do not soon mistake another one for it.
	 */
	err = xa_alloc_cyclic(&by_minor, &topic->minor, topic,
			      XA_LIMIT(0, MQ_MAX_MINORS - 1), &next_minor, GFP_KERNEL);
	if (err < 0) {
		NL_SET_ERR_MSG(extack, "no minor number is free");
		err = err == -EBUSY ? -ENOSPC : err;
		goto out;
	}
	err = 0;
	hash_add_rcu(by_name, &topic->name_node, hash_of(c->name, strlen(c->name)));
	hash_add_rcu(by_id, &topic->id_node, hash_of(topic->id, MQ_TOPIC_ID_LEN));
	WRITE_ONCE(nr_topics, nr_topics + 1);
	mq_netlink_notify(topic, MQ_CMD_TOPIC_CREATED_NTF);
out:
	mutex_unlock(&registry_lock);
	mutex_unlock(&topic->change_lock);
	return err;
}

/**
 * mq_topic_create() - create a topic
 * @config: what it shall be; see mq_config_init()
 * @extack: takes what was wrong, may be NULL
 * @attrs: attributes by MQ_A_TOPIC_* for @extack to point at, or NULL
 *
 * Context: sleeps; no lock of a topic may be held.
 * Return: the topic, with a reference for the caller besides the registry's,
 * or ERR_PTR: -EINVAL, -EEXIST, -ENOSPC (max_topics), -ENOMEM (memory, or
 * max_memory), -EINTR (killed).
 */
struct mq_topic *mq_topic_create(const struct mq_config *config,
				 struct netlink_ext_ack *extack,
				 struct nlattr **attrs)
{
	struct mq_config c = *config;
	struct mq_topic *topic;
	int err;

	err = mq_config_complete(&c, extack, attrs);
	if (err)
		return ERR_PTR(err);

	/* A first look, before gigabytes are allocated in vain. */
	rcu_read_lock();
	err = may_publish(&c, extack, attrs);
	rcu_read_unlock();
	if (err)
		return ERR_PTR(err);

	/* The topic's hold on the module; see mq_topic_free(). */
	if (!try_module_get(THIS_MODULE))
		return ERR_PTR(-ENODEV);

	topic = make(&c, extack, attrs);
	if (IS_ERR(topic)) {
		err = PTR_ERR(topic);
		goto err_module;
	}
	/* The caller's, before the registry's can go. */
	mq_topic_hold(topic);
	err = publish(topic, &c, extack, attrs);
	if (err)
		goto err_topic;
	return topic;

err_topic:
	destroy(topic);
err_module:
	/* Our text stays: the family cannot go while a call of it is in flight. */
	module_put(THIS_MODULE);
	return ERR_PTR(err);
}

/**
 * mq_topic_delete() - delete a topic
 * @topic: the topic; the caller has a reference and keeps it
 *
 * When it returns nobody finds the topic any more, no write to it can succeed,
 * and everybody who waited in it has been woken. Open files drain what is
 * retained; the memory goes with the last reference.
 *
 * Why that is safe, context by context:
 *  - look-up (fs, netlink): the name, id and minor go first, so a new topic of
 *    the same name can be created at once; who got a reference before sees @dead;
 *  - open: counts itself under topic->lock and looks at @dead there: it either
 *    comes before and is woken, or gets ENODEV;
 *  - change: excluded by topic->change_lock; one that waits for it sees @dead;
 *  - write: looks at @dead under the log's lock; each log's lock is taken and
 *    released once after @dead is set, so who saw it clear has appended by then;
 *  - waiters: @dead is set before they are woken, and they look at it after they
 *    have queued themselves;
 *  - a dump in flight: goes on by minor, and holds a reference only within a step;
 *  - overruns: what is counted by now is announced before the deletion is, what
 *    draining readers lose later is announced as ever.
 *
 * Context: sleeps; no lock of a topic may be held.
 * Return: 0, or -ENODEV if it is deleted already.
 */
int mq_topic_delete(struct mq_topic *topic)
{
	struct mq_partition *p;
	unsigned long n;
	int err = 0;

	mutex_lock(&topic->change_lock);
	mutex_lock(&registry_lock);
	if (topic->dead) {
		err = -ENODEV;
		goto out;
	}
	hash_del_rcu(&topic->name_node);
	hash_del_rcu(&topic->id_node);
	/* Reserves the number; cannot fail, for the slot exists. */
	xa_store(&by_minor, topic->minor, NULL, GFP_KERNEL);
	WRITE_ONCE(nr_topics, nr_topics - 1);

	mutex_lock(&topic->lock);
	/* Pairs with mq_topic_dead(). */
	smp_store_release(&topic->dead, true);
	mutex_unlock(&topic->lock);

	xa_for_each(&topic->partitions, n, p) {
		mutex_lock(&p->log.lock);
		if (p->log.map)
			mq_map_show_dead(&p->log);
		mutex_unlock(&p->log.lock);
	}
	mq_topic_wake_all(topic);
	mq_event_flush(topic);
	mq_netlink_notify(topic, MQ_CMD_TOPIC_DELETED_NTF);
out:
	mutex_unlock(&registry_lock);
	mutex_unlock(&topic->change_lock);
	if (!err)
		mq_topic_put(topic);
	return err;
}

/**
 * mq_topic_open() - count an open file
 * @topic: its topic; the file holds a reference of its own
 * @read: it is open for reading
 * @write: it is open for writing
 *
 * Under topic->lock, under which a deletion and a change take effect: a file
 * that was counted is woken by the deletion, and keeps what must not change
 * under an open file (framing) from changing; a file that was not sees both.
 *
 * Return: 0, or -ENODEV if the topic was deleted.
 */
int mq_topic_open(struct mq_topic *topic, bool read, bool write)
{
	int err = 0;

	mutex_lock(&topic->lock);
	if (topic->dead) {
		err = -ENODEV;
	} else {
		if (read)
			atomic_inc(&topic->readers);
		if (write)
			atomic_inc(&topic->writers);
	}
	mutex_unlock(&topic->lock);
	return err;
}

/**
 * mq_topic_release() - undo mq_topic_open() at a file's end
 * @topic: its topic
 * @read: as it was opened
 * @write: as it was opened
 */
void mq_topic_release(struct mq_topic *topic, bool read, bool write)
{
	/* What the file did comes before a change that sees it gone. */
	smp_mb__before_atomic();
	if (read)
		atomic_dec(&topic->readers);
	if (write)
		atomic_dec(&topic->writers);
	/* A work that is pending would keep the memory of what nobody has open. */
	if (read && mq_topic_dead(topic))
		mq_event_flush(topic);
}

/**
 * mq_topics_count() - topics that exist
 * Return: their number.
 */
u32 mq_topics_count(void)
{
	return READ_ONCE(nr_topics);
}

/**
 * mq_topics_max() - topics that may exist
 * Return: the limit, which can change at any time.
 */
u32 mq_topics_max(void)
{
	return min(READ_ONCE(max_topics), MQ_MAX_MINORS);
}

/**
 * mq_topic_dev() - device number of a topic's file
 * @topic: the topic
 *
 * It names the topic to stat(2) and to the device cgroup. There is no cdev
 * behind it: a node of this number made elsewhere opens with ENXIO.
 *
 * Return: the number.
 */
dev_t mq_topic_dev(const struct mq_topic *topic)
{
	return MKDEV(MAJOR(first_dev), topic->minor);
}

/**
 * mq_topics_init() - set up the registry
 * Return: 0, or a negative errno.
 */
int mq_topics_init(void)
{
	int err;

	mq_wq = alloc_workqueue("mq", WQ_UNBOUND, 0);
	if (!mq_wq)
		return -ENOMEM;
	err = alloc_chrdev_region(&first_dev, 0, MQ_MAX_MINORS, "mq");
	if (err) {
		destroy_workqueue(mq_wq);
		return err;
	}
	return 0;
}

/**
 * mq_topics_exit() - undo mq_topics_init()
 *
 * No topic is left, each would have kept the module. The workqueue's end waits
 * for works that are about to return.
 */
void mq_topics_exit(void)
{
	destroy_workqueue(mq_wq);
	unregister_chrdev_region(first_dev, MQ_MAX_MINORS);
	WARN_ON(!xa_empty(&by_minor));
	xa_destroy(&by_minor);
}
