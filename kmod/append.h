/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_APPEND_H
#define _MQ_APPEND_H

#include <linux/sched.h>
#include <linux/types.h>
#include <net/netlink.h>
#include "partition.h"
#include "topic.h"

struct iov_iter;

/**
 * struct mq_msg - one message to be appended
 * @len: bytes of payload
 * @attr_len: bytes of attributes
 * @flags: MQ_ENTRY_* bits that the caller sets
 * @hash: key hash, if MQ_ENTRY_KEY is in @flags
 *
 * Laid out as struct mq_record, whose last two fields are 0: a batch's descriptors
 * are copied in as they are.
 */
struct mq_msg {
	u32 len;
	u32 attr_len;
	u32 flags;
	u32 hash;
};

static_assert(sizeof(struct mq_msg) == sizeof(struct mq_record));
static_assert(offsetof(struct mq_msg, len) == offsetof(struct mq_record, len));
static_assert(offsetof(struct mq_msg, attr_len) == offsetof(struct mq_record, attr_len));

/* Room for the attributes that the kernel stamps. */
#define MQ_STAMP_MAX	(NLA_HDRLEN + sizeof(u32) + NLA_HDRLEN + sizeof(u64))

/**
 * struct mq_fresh - chunks for one ring that a write has in hand
 * @list: the chunks
 * @have: how many
 * @need: how many it takes
 */
struct mq_fresh {
	struct list_head list;
	unsigned int have;
	unsigned int need;
};

/**
 * struct mq_append - messages for one partition, appended whole or not at all
 * @msgs: the messages, in order
 * @count: how many
 * @pid, @uid: the writer
 * @stamp_len: bytes of @stamp
 * @bytes: sum of the payloads
 * @attr_bytes: sum of the attributes
 * @payload: where the payloads come from, back to back; NULL if the caller
 *	copies (a batch that spans partitions)
 * @from: one piece of user memory instead of @payload, where that is NULL: saves
 *	the iterator's part of a short message's cost
 * @attrs: kernel memory with all attributes, message by message
 * @crc: checksum of the only message's payload, if @summed
 * @summed: @crc was computed on the way
 * @end: returned: offset after the last message
 * @lines: each message must be one line with its newline (else -EINVAL)
 * @chunks: @fresh is in use
 * @fresh: chunks for data, index and attribute ring
 * @stamp: attributes added to each message
 */
struct mq_append {
	const struct mq_msg *msgs;
	u32 count;
	u32 pid;
	u32 uid;
	u32 stamp_len;
	u64 bytes;
	u64 attr_bytes;
	struct iov_iter *payload;
	const void __user *from;
	const u8 *attrs;
	u64 end;
	u32 crc;
	bool summed;
	bool lines;
	bool chunks;
	struct mq_fresh fresh[3];
	u8 stamp[MQ_STAMP_MAX] __aligned(8);
};

/*
 * For a struct mq_append on the stack: mq_append_init() and what follows it set all that
 * is read, and zeroing the rest first (CONFIG_INIT_STACK_ALL_ZERO) would be a tenth of a
 * short write.
 */
#define MQ_APPEND_ON_STACK	__attribute__((__uninitialized__))

/* What a write does when there is no room among held messages. */
enum mq_mode {
	MQ_BLOCK,	/* waits, unless overflow=reject */
	MQ_NONBLOCK,	/* -EAGAIN, or -ENOBUFS */
	MQ_TRY,		/* -EAGAIN, and nothing is counted: the caller tries otherwise */
};

/**
 * struct mq_writer - who wrote
 * @cgroup: its id
 * @pid: the process, in the initial pid namespace
 * @uid: effective, in the initial user namespace
 */
struct mq_writer {
	u64 cgroup;
	u32 pid;
	u32 uid;
};

void mq_writer_now(struct mq_writer *w);
void mq_append_stamp(struct mq_append *a, u32 stamp, const struct mq_writer *w);
void mq_append_free(struct mq_partition *p, struct mq_append *a);

/**
 * mq_append_init() - begin a write
 * @a: the write
 * @topic: where to
 * @uid: the opener, in the initial user namespace
 *
 * The caller adds messages, payload and attributes, and ends with
 * mq_append_done() for the partition that mq_append() was called for.
 */
static inline void mq_append_init(struct mq_append *a, const struct mq_topic *topic, u32 uid)
{
	u32 stamp = READ_ONCE(topic->stamp);

	a->pid = task_tgid_nr(current);
	a->uid = uid;
	a->stamp_len = 0;
	a->attr_bytes = 0;
	a->payload = NULL;
	a->from = NULL;
	a->attrs = NULL;
	a->summed = false;
	a->lines = false;
	a->chunks = false;
	if (unlikely(stamp))
		mq_append_stamp(a, stamp, NULL);
}

/* The caller only ends what somebody else wrote. */
static inline void mq_append_by(struct mq_append *a, const struct mq_topic *topic,
				const struct mq_writer *w)
{
	a->pid = w->pid;
	a->stamp_len = 0;
	mq_append_stamp(a, READ_ONCE(topic->stamp), w);
}

/* All of its attributes, the stamped ones, too. */
static inline u64 mq_append_attr_bytes(const struct mq_append *a)
{
	return a->attr_bytes + (u64)a->count * a->stamp_len;
}

/* End a write. */
static inline void mq_append_done(struct mq_partition *p, struct mq_append *a)
{
	if (unlikely(a->chunks))
		mq_append_free(p, a);
}

int mq_append(struct mq_partition *p, struct mq_append *a, enum mq_mode mode);
int mq_append_check(struct mq_topic *topic, const struct mq_append *a);

/* The steps, for a caller that holds the log's lock: see append.c */
enum mq_step {
	MQ_STEP_DONE,
	MQ_STEP_FULL,		/* no room among held messages, or paused */
	MQ_STEP_MEMORY,		/* chunks are missing: mq_append_refill() without the lock */
	MQ_STEP_FAULT,		/* the caller's memory has to be faulted in */
};

bool mq_append_whole_lines(struct mq_partition *p, const struct mq_append *a);
int mq_append_look(struct mq_partition *p, const struct mq_append *a);
int mq_append_prepare(struct mq_partition *p, struct mq_append *a);
int mq_append_refill(struct mq_partition *p, struct mq_append *a, enum mq_mode mode);
void mq_append_commit(struct mq_partition *p, struct mq_append *a);
void mq_append_wake(struct mq_partition *p);
int mq_append_fault_in(struct iov_iter *from, const void __user *buf, size_t len);

/* Would a message of this size find room now? For poll. */
bool mq_append_room(struct mq_partition *p, u64 bytes);

#endif /* _MQ_APPEND_H */
