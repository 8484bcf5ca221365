// SPDX-License-Identifier: GPL-2.0
/*
 * Who reads a topic and who waits in it, for netlink. Nothing is done a message:
 * files are noted at open, waiters when they begin to wait.
 */
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <net/genetlink.h>
#include <net/sock.h>
#include "dump.h"
#include "file.h"
#include "hold.h"
#include "netlink.h"
#include "netlink_gen.h"
#include "who.h"

/**
 * mq_who_opens() - note a file that is open for reading
 * @f: the file, complete
 *
 * Return: 0, -ENOMEM, or -EBUSY after 2^32 of them.
 */
int mq_who_opens(struct mq_file *f)
{
	int err;

	f->pid = get_pid(task_tgid(current));
	/* The lowest number that is free, so that the table stays small. */
	err = xa_alloc(&f->topic->files, &f->number, f, xa_limit_32b, GFP_KERNEL_ACCOUNT);
	if (err)
		put_pid(f->pid);
	return err;
}

/**
 * mq_who_closes() - forget a file
 * @f: noted by mq_who_opens(); nobody looks at it when this returns
 */
void mq_who_closes(struct mq_file *f)
{
	mutex_lock(&f->topic->files_lock);
	xa_erase(&f->topic->files, f->number);
	mutex_unlock(&f->topic->files_lock);
	put_pid(f->pid);
}

/**
 * mq_who_joins() - let those who read a topic join partitions that were added
 * @topic: the topic; its change_lock is held
 */
void mq_who_joins(struct mq_topic *topic)
{
	struct mq_file *f;
	unsigned long index;

	/* Partitions, barrier, table here; the other way round in enter(), dev.c. */
	smp_mb();
	for (index = 0;; index++) {
		mutex_lock(&topic->files_lock);
		f = xa_find(&topic->files, &index, ULONG_MAX, XA_PRESENT);
		if (f)
			mq_file_join(f);
		mutex_unlock(&topic->files_lock);
		if (!f)
			break;
		cond_resched();
	}
}

/**
 * mq_who_waits() - note that the caller waits
 * @w: on its stack, until mq_who_goes()
 * @p: the partition
 * @durable: for durability, not for room
 * @want: see struct mq_waiter
 */
void mq_who_waits(struct mq_waiter *w, struct mq_partition *p, bool durable, u64 want)
{
	struct mq_topic *topic = p->topic;

	w->task = current;
	w->part = p;
	w->since = ktime_get_boottime_ns();
	w->durable = durable;
	w->want = want;
	spin_lock(&topic->waiters_lock);
	w->seq = topic->waiters_seq++;
	list_add_tail(&w->node, &topic->waiters);
	spin_unlock(&topic->waiters_lock);
}

void mq_who_goes(struct mq_waiter *w)
{
	struct mq_topic *topic = w->part->topic;

	spin_lock(&topic->waiters_lock);
	list_del(&w->node);
	spin_unlock(&topic->waiters_lock);
}

/**
 * mq_who_start() - begin a dump of readers or of waiters
 * @cb: the dump
 *
 * Return: 0 or an error.
 */
int mq_who_start(struct netlink_callback *cb)
{
	BUILD_BUG_ON(MQ_A_READER_TOPIC != (int)MQ_A_WAITER_TOPIC);
	return mq_netlink_once(cb->nlh, cb->extack) ?:
	       mq_dump_start(cb, mq_dump_attrs(cb)[MQ_A_READER_TOPIC]);
}

/* A process as the caller may see it: its number in his pid namespace, and its name. */
static int put_task(struct sk_buff *skb, struct task_struct *task, int pid_attr, int command_attr)
{
	pid_t nr = task ? task_tgid_nr_ns(task, task_active_pid_ns(current)) : 0;
	char comm[TASK_COMM_LEN];

	if (nla_put_u32(skb, pid_attr, nr))
		return -EMSGSIZE;
	if (!nr)
		return 0;
	get_task_comm(comm, task);
	return nla_put_string(skb, command_attr, comm);
}

/* --- readers -------------------------------------------------------------- */

static u32 reader_flags(struct mq_file *f)
{
	u32 flags = (f->record ? MQ_READER_FLAG_RECORD : 0) |
		    (f->skip ? MQ_READER_FLAG_SKIP : 0);
	unsigned int i, nr = mq_file_cursors(f);

	if (!(READ_ONCE(f->topic->hold) & MQ_HOLD_READERS))
		return flags;
	for (i = 0; i < nr; i++) {
		struct mq_cursor *c = mq_file_cursor(f, i);

		if (READ_ONCE(c->holder.active))
			flags |= MQ_READER_FLAG_HOLDS;
		if (mq_hold_limits(c->part, &c->holder))
			flags |= MQ_READER_FLAG_LIMITS;
	}
	return flags;
}

static int fill_reader(struct sk_buff *skb, struct netlink_callback *cb, struct mq_file *f)
{
	struct user_namespace *ns = sk_user_ns(NETLINK_CB(cb->skb).sk);
	struct task_struct *task;
	struct mq_stat st;
	void *hdr;
	int err;

	mq_file_look(f, &st);
	hdr = mq_netlink_put(skb, cb, MQ_CMD_READER_GET);
	if (!hdr)
		return -EMSGSIZE;
	/* Gone if it has ended: its number may be another's by now. */
	task = get_pid_task(f->pid, PIDTYPE_TGID);
	err = nla_put_string(skb, MQ_A_READER_TOPIC, f->topic->name) ||
	      nla_put(skb, MQ_A_READER_TOPIC_ID, MQ_TOPIC_ID_LEN, f->topic->id) ||
	      (st.partition != MQ_PARTITION_ANY &&
	       nla_put_u32(skb, MQ_A_READER_PARTITION, st.partition)) ||
	      put_task(skb, task, MQ_A_READER_PID, MQ_A_READER_COMMAND) ||
	      nla_put_u32(skb, MQ_A_READER_UID,
			  from_kuid_munged(ns, f->filp->f_cred->euid)) ||
	      nla_put_u64_64bit(skb, MQ_A_READER_POSITION, st.position, MQ_A_READER_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_READER_OFFSET, st.offset, MQ_A_READER_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_READER_LAG_MESSAGES, st.lag_messages,
				MQ_A_READER_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_READER_LAG_BYTES, st.lag_bytes, MQ_A_READER_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_READER_LOST, st.lost_messages, MQ_A_READER_PAD) ||
	      nla_put_u64_64bit(skb, MQ_A_READER_OVERRUNS, st.overruns, MQ_A_READER_PAD) ||
	      nla_put_u32(skb, MQ_A_READER_FLAGS, reader_flags(f));
	if (task)
		put_task_struct(task);
	if (err) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* The lock is held for one file at a time: open and close do not wait for a dump. */
static int dump_readers(struct sk_buff *skb, struct netlink_callback *cb, struct mq_topic *topic,
			u64 *next)
{
	struct mq_file *f;
	unsigned long index;
	int err = 0;

	for (index = *next; !err; index++) {
		mutex_lock(&topic->files_lock);
		f = xa_find(&topic->files, &index, ULONG_MAX, XA_PRESENT);
		if (f)
			err = fill_reader(skb, cb, f);
		mutex_unlock(&topic->files_lock);
		if (!f)
			break;
		*next = index + !err;
		cond_resched();
	}
	return err;
}

int mq_nl_reader_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return mq_dump_topics(skb, cb, dump_readers);
}

/* --- waiters -------------------------------------------------------------- */

/* The first waiter from a number on: what of it can be shown, its task referenced. */
static bool next_waiter(struct mq_topic *topic, u64 seq, struct mq_waiter *copy)
{
	struct mq_waiter *w;
	bool found = false;

	spin_lock(&topic->waiters_lock);
	list_for_each_entry(w, &topic->waiters, node) {
		if (w->seq < seq)
			continue;
		*copy = *w;
		get_task_struct(copy->task);
		found = true;
		break;
	}
	spin_unlock(&topic->waiters_lock);
	return found;
}

static int fill_waiter(struct sk_buff *skb, struct netlink_callback *cb,
		       const struct mq_waiter *w)
{
	struct mq_topic *topic = w->part->topic;
	u64 waited = ktime_get_boottime_ns() - w->since;
	u32 reason = w->durable ? MQ_WAIT_REASON_DURABLE :
		     READ_ONCE(topic->paused) ? MQ_WAIT_REASON_PAUSED : MQ_WAIT_REASON_FULL;
	void *hdr = mq_netlink_put(skb, cb, MQ_CMD_WAITER_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_string(skb, MQ_A_WAITER_TOPIC, topic->name) ||
	    nla_put(skb, MQ_A_WAITER_TOPIC_ID, MQ_TOPIC_ID_LEN, topic->id) ||
	    nla_put_u32(skb, MQ_A_WAITER_PARTITION, w->part->number) ||
	    put_task(skb, w->task, MQ_A_WAITER_PID, MQ_A_WAITER_COMMAND) ||
	    nla_put_u32(skb, MQ_A_WAITER_REASON, reason) ||
	    nla_put_u64_64bit(skb, MQ_A_WAITER_SINCE, ktime_get_real_ns() - waited,
			      MQ_A_WAITER_PAD) ||
	    nla_put_u64_64bit(skb, MQ_A_WAITER_WAITED, waited, MQ_A_WAITER_PAD) ||
	    nla_put_u64_64bit(skb, w->durable ? MQ_A_WAITER_END_OFFSET : MQ_A_WAITER_BYTES,
			      w->want, MQ_A_WAITER_PAD)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int dump_waiters(struct sk_buff *skb, struct netlink_callback *cb, struct mq_topic *topic,
			u64 *next)
{
	struct mq_waiter w;
	int err;

	while (next_waiter(topic, *next, &w)) {
		err = fill_waiter(skb, cb, &w);
		put_task_struct(w.task);
		if (err)
			return err;
		*next = w.seq + 1;
		cond_resched();
	}
	return 0;
}

int mq_nl_waiter_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return mq_dump_topics(skb, cb, dump_waiters);
}
