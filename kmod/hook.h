/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_HOOK_H
#define _MQ_HOOK_H

#include <linux/jump_label.h>

struct mq_partition;

/* Where tests can have a reader overrun: see hook.c. */
enum mq_hook {
	MQ_HOOK_READ_START,
	MQ_HOOK_READ_COPIED,
	MQ_HOOK_RECORD_START,
	MQ_HOOK_RECORD_COPIED,
	MQ_HOOK_SPLICE_START,
	MQ_HOOK_SPLICE_PAGE,
	MQ_HOOK_SPLICE_FILLED,
	MQ_HOOKS
};

DECLARE_STATIC_KEY_FALSE(mq_hooks);

void mq_hook_run(enum mq_hook hook, struct mq_partition *p);

static inline void mq_hook(enum mq_hook hook, struct mq_partition *p)
{
	if (static_branch_unlikely(&mq_hooks))
		mq_hook_run(hook, p);
}

#endif /* _MQ_HOOK_H */
