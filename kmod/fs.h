/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_FS_H
#define _MQ_FS_H

#include <linux/uidgid.h>

struct inode;
struct mq_topic;
struct posix_acl;
struct super_block;

extern const struct file_operations mq_dev_fops;	/* dev.c */

int mq_fs_init(void);
void mq_fs_exit(void);

/* The topic that an inode of the mq file system stands for (referenced by the inode). */
struct mq_topic *mq_inode_topic(const struct inode *inode);
/* Its partition's number, or -1 for the topic itself. */
int mq_inode_partition(const struct inode *inode);
/* Show a topic's changed mode, uid, gid on its inodes in memory. */
void mq_fs_topic_changed(struct mq_topic *topic);
/* Change a topic's permissions by a call on one of its inodes. */
void mq_fs_set_perms(struct mq_topic *topic, struct super_block *sb, umode_t mode,
		     kuid_t uid, kgid_t gid, struct posix_acl *acl);

#endif /* _MQ_FS_H */
