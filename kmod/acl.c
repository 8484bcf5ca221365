// SPDX-License-Identifier: GPL-2.0
/*
 * Access control lists of topics. A topic has one, in struct mq_topic, so that
 * all its inodes share it and it outlives them, and the mount. Inodes do not
 * cache it (ACL_DONT_CACHE): there is no second copy to become wrong.
 */
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/security.h>
#include <linux/xattr.h>
#include "acl.h"
#include "fs.h"
#include "topic.h"

/*
 * Has to be there, even if empty, for VFS to offer ACLs. Security labels are
 * the security module's: it answers for them without a handler.
 */
const struct xattr_handler *mq_xattr_handlers[] = {
	mq_acl_xattr_access,
	mq_acl_xattr_default,
	NULL
};

/**
 * mq_get_inode_acl() - inode operation: the topic's ACL
 * @inode: an inode of the topic
 * @type: ACL_TYPE_ACCESS; a device has no default ACL
 * @rcu: called in a path walk without references
 *
 * Return: the ACL, with a reference for the caller, or NULL if there is none.
 */
struct posix_acl *mq_get_inode_acl(struct inode *inode, int type, bool rcu)
{
	struct mq_topic *topic = mq_inode_topic(inode);
	struct posix_acl *acl;

	/* A walk goes through no topic, it ends there with references. */
	if (rcu)
		return ERR_PTR(-ECHILD);
	if (type != ACL_TYPE_ACCESS)
		return NULL;

	spin_lock(&topic->perm_lock);
	acl = posix_acl_dup(topic->acl);
	spin_unlock(&topic->perm_lock);
	return acl;
}

/**
 * mq_set_acl() - inode operation: set or remove the topic's ACL
 * @idmap: the mount's
 * @arg: an inode of the topic, or its dentry (compat.h)
 * @acl: validated by the caller; NULL to remove it
 * @type: ACL_TYPE_ACCESS
 *
 * An ACL that says no more than mode bits can becomes mode bits. The group bits
 * of the mode are the ACL's mask.
 *
 * Return: 0, or a negative errno.
 */
int mq_set_acl(struct mq_idmap *idmap, struct mq_set_acl_arg *arg,
	       struct posix_acl *acl, int type)
{
	struct inode *inode = mq_set_acl_inode(arg);
	struct mq_topic *topic = mq_inode_topic(inode);
	umode_t mode;
	int err;

	if (type != ACL_TYPE_ACCESS)
		return acl ? -EACCES : 0;

	/* Keeps mode, owner and ACL from changing between look and change. */
	mutex_lock(&topic->change_lock);
	/* Once more: the owner may have been changed since the caller looked. */
	err = -EPERM;
	if (!inode_owner_or_capable(idmap, inode))
		goto out;
	mode = topic->mode;
	err = posix_acl_equiv_mode(acl, &mode);
	if (err < 0)
		goto out;
	if (!err)
		acl = NULL;
	mq_fs_set_perms(topic, inode->i_sb, mode, topic->uid, topic->gid,
			posix_acl_dup(acl));
	err = 0;
out:
	mutex_unlock(&topic->change_lock);
	return err;
}

/**
 * mq_listxattr() - inode operation: names of the extended attributes
 * @dentry: of a topic
 * @list: filled with terminated names, unless @size is 0
 * @size: size of @list
 *
 * Return: bytes that the names take, or a negative errno.
 */
ssize_t mq_listxattr(struct dentry *dentry, char *list, size_t size)
{
	static const char name[] = XATTR_NAME_POSIX_ACL_ACCESS;
	struct inode *inode = d_inode(dentry);
	struct mq_topic *topic = mq_inode_topic(inode);
	size_t len = READ_ONCE(topic->acl) ? sizeof(name) : 0;
	ssize_t left = size;
	char *at = size ? list : NULL;
	int err;

	if (at) {
		if (len > size)
			return -ERANGE;
		memcpy(at, name, len);
		at += len;
	}
	left -= len;
	err = mq_inode_listsecurity(inode, &at, &left);
	return err ?: (ssize_t)size - left;
}
