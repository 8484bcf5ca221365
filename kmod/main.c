// SPDX-License-Identifier: GPL-2.0
/* Loading and unloading: each part's init, undone in reverse. */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <net/genetlink.h>
#include "fs.h"
#include "memory.h"
#include "netlink.h"
#include "topic.h"

static int __init mq_init(void)
{
	int err;

	err = mq_memory_init();
	if (err)
		return err;
	err = mq_topics_init();
	if (err)
		return err;
	err = mq_fs_init();
	if (err)
		goto err_topics;
	/* Last: from here on topics can be created. */
	err = mq_netlink_init();
	if (err)
		goto err_fs;
	return 0;

err_fs:
	mq_fs_exit();
err_topics:
	mq_topics_exit();
	rcu_barrier();
	return err;
}

/*
 * Runs only when nothing holds the module: no topic is in memory (each pins it),
 * nothing is mounted, no file is open. What can still be under way is netlink
 * calls, which the family's removal waits for, the last instructions of a work
 * that freed a topic, which the workqueue's end waits for, and RCU callbacks of
 * ours, which rcu_barrier() waits for.
 */
static void __exit mq_exit(void)
{
	mq_netlink_exit();
	mq_fs_exit();
	mq_topics_exit();
	rcu_barrier();
}

module_init(mq_init);
module_exit(mq_exit);

MODULE_DESCRIPTION("Message queue: topics as files");
MODULE_AUTHOR("mq maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION(MQ_VERSION);
MODULE_ALIAS_FS("mq");
MODULE_ALIAS_GENL_FAMILY(MQ_FAMILY_NAME);
