/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_WAIT_H
#define _MQ_WAIT_H

#include <linux/wait.h>
#include "log.h"

/**
 * struct mq_waiters - readers that wait for more, and when a writer has to tell them
 * @queue: they; its lock protects what follows
 * @due: somebody there wants to know of a head at @off or @pos (read without the lock)
 * @off: the lowest offset that they want; all ones if @due is clear
 * @pos: the lowest position
 *
 * A writer looks only at @due: who was told once, and has not come back to wait, costs
 * it nothing, however many there are and however they wait. So each who begins to
 * wait, or looks in vain, says so again (mq_waiters_want()).
 */
struct mq_waiters {
	wait_queue_head_t queue;
	bool due;
	u64 off;
	u64 pos;
};

/**
 * struct mq_wait - one reader's wait, on its stack
 * @in: where it waits, or waited last; NULL before the first mq_reader_wait()
 * @entry: it
 */
struct mq_wait {
	struct mq_waiters *in;
	struct wait_queue_entry entry;
};

struct mq_file;

int mq_reader_wait(struct mq_file *f, struct mq_wait *wait, u64 at);
void mq_reader_wait_end(struct mq_wait *wait);
void mq_waiters_init(struct mq_waiters *w);
void mq_waiters_want_locked(struct mq_waiters *w, u64 off, u64 pos);
void mq_waiters_want(struct mq_waiters *w, u64 off, u64 pos);
void mq_waiters_wake(struct mq_waiters *w, u64 off, u64 pos);

/**
 * mq_waiters_tell() - a log has grown
 * @w: who waits for it
 * @log: the log; a full barrier stands between the head's move and this call
 */
static inline void mq_waiters_tell(struct mq_waiters *w, const struct mq_log *log)
{
	if (unlikely(READ_ONCE(w->due)))
		mq_waiters_wake(w, READ_ONCE(log->b.head_off), READ_ONCE(log->b.head_pos));
}

/* Something else happened that all of them must see. The same barrier. */
static inline void mq_waiters_tell_all(struct mq_waiters *w)
{
	if (READ_ONCE(w->due))
		mq_waiters_wake(w, U64_MAX, U64_MAX);
}

#endif /* _MQ_WAIT_H */
