/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_ACL_H
#define _MQ_ACL_H

#include <linux/types.h>

struct dentry;
struct inode;
struct mq_idmap;
struct mq_set_acl_arg;
struct posix_acl;
struct xattr_handler;

extern const struct xattr_handler *mq_xattr_handlers[];

struct posix_acl *mq_get_inode_acl(struct inode *inode, int type, bool rcu);
int mq_set_acl(struct mq_idmap *idmap, struct mq_set_acl_arg *arg,
	       struct posix_acl *acl, int type);
ssize_t mq_listxattr(struct dentry *dentry, char *list, size_t size);

#endif /* _MQ_ACL_H */
