/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_TOPIC_H
#define _MQ_TOPIC_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/posix_acl.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <mq/mq.h>
#include <mq/netlink.h>
#include "wait.h"

struct mem_cgroup;
struct mq_partition;

/* What this module can do: MQ_IOC_FEATURES, and netlink's module-get. */
#define MQ_FEATURES	(MQ_FEATURE_SPLICE | MQ_FEATURE_LINE | MQ_FEATURE_RECORD | \
			 MQ_FEATURE_ATTRS | MQ_FEATURE_PARTITIONS | \
			 MQ_FEATURE_HOLD_READERS | MQ_FEATURE_PERSISTENT | \
			 MQ_FEATURE_MMAP | MQ_FEATURE_OPTIONS | MQ_FEATURE_FILTER | \
			 MQ_FEATURE_SIGNAL | MQ_FEATURE_NOWAIT | \
			 MQ_FEATURE_WATERMARK)

/**
 * struct mq_config - what a topic can be created with or changed to
 * @set: bit MQ_A_TOPIC_* of each member that is given
 * @memory_cgroup: the caller's, never NULL
 */
struct mq_config {
	u64 set;
	char name[MQ_TOPIC_NAME_MAX + 1];
	u8 id[MQ_TOPIC_ID_LEN];
	u32 partitions;
	u64 ring_bytes;
	u64 ring_messages;
	u64 attr_bytes;
	u32 max_message_bytes;
	u32 framing;
	u32 overflow;
	u32 hold;
	u32 stamp;
	bool persistent;
	bool paused;
	u32 sync_timeout;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	u64 start_offset;
	u64 start_position;
	bool lend;
	const char *memory_cgroup;
};

/**
 * struct mq_topic - a topic
 *
 * Found by name (mq_topic_get()), by id or by minor under RCU; a reference
 * keeps it in memory, not alive: whoever enters checks @dead afterwards.
 * References: the registry's (dropped by delete), one an inode, one an open
 * file, one a look-up in flight, one while @event_work is pending. The last one
 * frees it after a grace period. A topic in memory pins the module.
 *
 * Locks, outermost first: @change_lock, the registry's, @lock, a partition's
 * log lock, @perm_lock. @files_lock is outside of an open file's @grow and @memo_lock
 * and of the log locks, and inside of @change_lock.
 *
 * @ref: references
 * @free_work: frees it, after a grace period, in a kworker
 * @name_node, @id_node: in the registry's tables (registry's lock, RCU)
 * @name, @id, @minor, @created: constant
 * @ring_bytes, @ring_messages, @attr_bytes, @start_offset, @start_position,
 *	@persistent: geometry, constant
 * @memory_cgroup, @memcg: path as given at creation ("": none), and what it stood
 *	for then, referenced, or NULL; constant
 * @change_lock: held over a whole change, by netlink or by chmod and the like, the
 *	notice to netlink included, so that events come in the order of the changes;
 *	taken by no data path. Inside of an inode's lock.
 * @lock: held for the moment in which a change takes effect, and by open and
 *	delete: a file opened before a change is seen by it, one opened after sees
 *	it. Protects what is not marked otherwise.
 * @dead: deleted; set under @lock and every partition's log lock once, so that
 *	a writer that holds a log lock and saw it clear appends before the delete
 * @span_lock: held over the log locks of a batch that spans partitions
 * @nr_partitions: partitions in @partitions; grows only (store-release)
 * @partitions: struct mq_partition by number; never removed while referenced
 * @rwait: readers of files that stand for all partitions
 * @next_partition: spreads writers without a key over the partitions
 * @readers, @writers: open files; raised under @lock (mq_topic_open())
 * @max_message_bytes, @framing, @overflow, @hold, @stamp, @paused,
 *	@sync_timeout, @lend: read without a lock (READ_ONCE), written under @lock
 * @perm_lock: protects what follows it, for readers; innermost
 * @mode, @uid, @gid, @acl: permissions; shown by all inodes. Written under
 *	@change_lock and @perm_lock.
 * @files: files open for reading, by number: who reads
 * @files_lock: keeps a file found in @files from being closed
 * @waiters_lock: protects the next two; innermost
 * @waiters: struct mq_waiter, the longest first: who waits
 * @waiters_seq: number of the next of them
 * @event_lock: protects the next three; innermost
 * @event_lost, @event_overruns: not announced yet
 * @event_time: when the last overrun event was sent, jiffies
 * @event_work: sends the next overrun event; holds a reference while pending
 */
struct mq_topic {
	refcount_t ref;
	struct rcu_work free_work;
	struct hlist_node name_node;
	struct hlist_node id_node;
	char name[MQ_TOPIC_NAME_MAX + 1];
	u8 id[MQ_TOPIC_ID_LEN];
	unsigned int minor;
	u64 created;

	u64 ring_bytes;
	u64 ring_messages;
	u64 attr_bytes;
	u64 start_offset;
	u64 start_position;
	bool persistent;
	const char *memory_cgroup;
	struct mem_cgroup *memcg;

	struct mutex change_lock;	/* a whole change */
	struct mutex lock;		/* its moment; open, delete */
	struct mutex span_lock;
	bool dead;
	unsigned int nr_partitions;
	struct xarray partitions;
	struct mq_waiters rwait;
	atomic_t next_partition;
	atomic_t readers;
	atomic_t writers;

	/* Read without lock (READ_ONCE), written under @lock. */
	u32 max_message_bytes;
	u32 framing;
	u32 overflow;
	u32 hold;
	u32 stamp;
	bool paused;
	u32 sync_timeout;
	bool lend;

	spinlock_t perm_lock;	/* innermost */
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	struct posix_acl *acl;

	/* Who reads and who waits: who.c */
	struct xarray files;
	struct mutex files_lock;	/* a file found there stays */
	spinlock_t waiters_lock;	/* innermost */
	struct list_head waiters;
	u64 waiters_seq;

	/* Overrun events, coalesced: event.c */
	spinlock_t event_lock;	/* innermost */
	u64 event_lost;
	u64 event_overruns;
	unsigned long event_time;
	struct delayed_work event_work;
};

/* Runs what outlives its caller: frees topics, sends overrun events. */
extern struct workqueue_struct *mq_wq;

/* topic.c */
int mq_topics_init(void);
void mq_topics_exit(void);
struct mq_topic *mq_topic_create(const struct mq_config *config,
				 struct netlink_ext_ack *extack,
				 struct nlattr **attrs);
int mq_topic_delete(struct mq_topic *topic);
struct mq_topic *mq_topic_get(const char *name, size_t len);
struct mq_topic *mq_topic_get_id(const u8 *id);
struct mq_topic *mq_topic_get_next(unsigned int *minor);
void mq_topic_hold(struct mq_topic *topic);
void mq_topic_put(struct mq_topic *topic);
int mq_topic_open(struct mq_topic *topic, bool read, bool write);
void mq_topic_release(struct mq_topic *topic, bool read, bool write);
u32 mq_topics_count(void);
u32 mq_topics_max(void);
dev_t mq_topic_dev(const struct mq_topic *topic);
struct mq_partition **mq_topic_make_partitions(struct mq_topic *topic,
					       unsigned int from, unsigned int to);
void mq_topic_drop_partitions(struct mq_topic *topic, struct mq_partition **parts,
			      unsigned int from, unsigned int to);
void mq_topic_add_partitions(struct mq_topic *topic, struct mq_partition **parts,
			     unsigned int to);
void mq_topic_wake_all(struct mq_topic *topic);

/* config.c */
void mq_config_init(struct mq_config *config);
int mq_config_complete(struct mq_config *config, struct netlink_ext_ack *extack,
		       struct nlattr **attrs);
int mq_topic_change(struct mq_topic *topic, const struct mq_config *config,
		    struct netlink_ext_ack *extack, struct nlattr **attrs);

/* Say in an extended ack which attribute was wrong, and how; gives @err. */
#define mq_bad(extack, attrs, attr, err, msg)					\
({										\
	struct nlattr **__attrs = (attrs);					\
										\
	NL_SET_ERR_MSG_ATTR(extack, __attrs ? __attrs[attr] : NULL, msg);	\
	err;									\
})

static inline bool mq_topic_dead(const struct mq_topic *topic)
{
	/* Pairs with the store-release in mq_topic_delete(). */
	return smp_load_acquire(&topic->dead);
}

static inline unsigned int mq_topic_partitions(const struct mq_topic *topic)
{
	/* Pairs with the store-release in mq_topic_add_partitions(). */
	return smp_load_acquire(&topic->nr_partitions);
}

static inline struct mq_partition *
mq_topic_partition(const struct mq_topic *topic, unsigned int n)
{
	return xa_load((struct xarray *)&topic->partitions, n);
}

#endif /* _MQ_TOPIC_H */
