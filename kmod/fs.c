// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/mq: a file system that shows topics as character-special files.
 *
 * It stores nothing. A name is resolved to a topic when it is looked up, and
 * dentry and inode go when the last user lets go of them; what has to last
 * (mode, owner, ACL) is the topic's. One instance, however often it is mounted.
 *
 * Lifetimes. An inode holds a reference to its topic from the moment it is
 * found in the inode hash (iget5_locked() in mq_lookup()) until it is evicted; a
 * dentry holds its inode, a file its dentry. So whoever has one of them may use
 * the topic's memory; whether the topic is still alive is another matter
 * (mq_topic_dead()). The races, one by one:
 *  - look-up and deletion: a look-up that found the topic before it was deleted
 *    ends with a dentry of a dead topic, as if it had been a moment earlier. The
 *    next look-up of the name does not get it: mq_d_revalidate() refuses it. That
 *    is how a topic created anew under the name is found although files of the
 *    old one are open;
 *  - look-up and eviction: iget5_locked() never returns an inode that is being
 *    evicted; it waits until it is unhashed and makes a new one. The comparison
 *    mq_inode_is() does not follow the pointer to the topic, whose reference the
 *    eviction may have given up already;
 *  - path walk without references and eviction: mq_d_revalidate() looks into the
 *    topic under RCU. It got the inode before the eviction dropped the reference,
 *    and a topic is freed a grace period after its last reference;
 *  - unmount and change: iterate_supers_type() holds the superblock while
 *    mq_fs_topic_changed() looks for inodes;
 *  - look-up and change: see show_perms().
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/overflow.h>
#include <linux/posix_acl.h>
#include <linux/statfs.h>
#include "acl.h"
#include "fs.h"
#include "limits.h"
#include "name.h"
#include "netlink.h"
#include "partition.h"
#include "topic.h"

#define MQ_FS_MAGIC	0x6d716673	/* "mqfs" */

/*
 * Inode numbers: minor + 1, then partition + 1 (0 for the topic itself), in 32
 * bits, so that old 32-bit programs can stat. A minor is not used again before
 * its topic is freed, hence not while an inode of it exists.
 */
#define INO_PARTITION_BITS	11
#define INO_ROOT		1

static unsigned long topic_ino(const struct mq_topic *topic, int partition)
{
	BUILD_BUG_ON(MQ_MAX_PARTITIONS >= 1UL << INO_PARTITION_BITS);
	BUILD_BUG_ON((u64)MQ_MAX_MINORS << INO_PARTITION_BITS >= 1ULL << 32);
	return ((topic->minor + 1UL) << INO_PARTITION_BITS) + (partition + 1);
}

struct mq_topic *mq_inode_topic(const struct inode *inode)
{
	return inode->i_private;
}

int mq_inode_partition(const struct inode *inode)
{
	return (int)(inode->i_ino & ((1UL << INO_PARTITION_BITS) - 1)) - 1;
}

/* --- permissions ---------------------------------------------------------- */

/* What iget5_locked() and ilookup5() look for. */
struct inode_key {
	struct mq_topic *topic;
	int partition;
	bool created;		/* set if a new inode took the topic's reference */
};

static int mq_inode_is(struct inode *inode, void *data)
{
	struct inode_key *key = data;

	return inode->i_private == key->topic &&
	       inode->i_ino == topic_ino(key->topic, key->partition);
}

/*
 * Copies the topic's permissions to an inode. Everybody who changes them does so
 * first in the topic and then here, for each inode in the hash; a look-up hashes
 * its inode first and then comes here. So either the change finds the inode or the
 * look-up sees the change, and perm_lock makes the last copy the newest one.
 */
static void show_perms(struct inode *inode, struct mq_topic *topic)
{
	spin_lock(&topic->perm_lock);
	WRITE_ONCE(inode->i_mode, S_IFCHR | topic->mode);
	inode->i_uid = topic->uid;
	inode->i_gid = topic->gid;
	spin_unlock(&topic->perm_lock);
}

/* For every inode of the topic in memory. The caller keeps @sb from going. */
static void show_perms_everywhere(struct super_block *sb, void *arg)
{
	struct inode_key key = { .topic = arg };
	int n = mq_topic_partitions(key.topic);
	struct inode *inode;

	for (key.partition = -1; key.partition < n; key.partition++) {
		inode = ilookup5(sb, topic_ino(key.topic, key.partition),
				 mq_inode_is, &key);
		if (!inode)
			continue;
		show_perms(inode, key.topic);
		iput(inode);
	}
}

static void store_perms(struct mq_topic *topic, umode_t mode, kuid_t uid, kgid_t gid,
			struct posix_acl *acl)
{
	struct posix_acl *old;

	lockdep_assert_held(&topic->change_lock);

	spin_lock(&topic->perm_lock);
	topic->mode = mode & 0777;
	topic->uid = uid;
	topic->gid = gid;
	old = topic->acl;
	topic->acl = acl;
	spin_unlock(&topic->perm_lock);
	posix_acl_release(old);
}

static struct file_system_type mq_fs_type;

/**
 * mq_fs_topic_changed() - show changed permissions on a topic's inodes
 * @topic: the topic, whose mode, uid or gid netlink has changed
 *
 * Context: the topic's change_lock. Sleeps.
 */
void mq_fs_topic_changed(struct mq_topic *topic)
{
	iterate_supers_type(&mq_fs_type, show_perms_everywhere, topic);
}

/**
 * mq_fs_set_perms() - change permissions by a call on one of a topic's inodes
 * @topic: the topic
 * @sb: the inode's superblock
 * @mode: permission bits
 * @uid: owner
 * @gid: group
 * @acl: its reference is taken over; NULL for none
 *
 * Context: the topic's change_lock, so that the events that monitors get come in
 * the order of the changes. Sleeps.
 */
void mq_fs_set_perms(struct mq_topic *topic, struct super_block *sb, umode_t mode,
		     kuid_t uid, kgid_t gid, struct posix_acl *acl)
{
	store_perms(topic, mode, uid, gid, acl);
	show_perms_everywhere(sb, topic);
	if (!mq_topic_dead(topic))
		mq_netlink_notify(topic, MQ_CMD_TOPIC_CHANGED_NTF);
}

/* --- inodes of topics ----------------------------------------------------- */

/*
 * chmod, chown and touch. Times are the inode's, and forgotten with it. Special
 * mode bits mean nothing on a device and are not kept.
 */
static int mq_setattr(struct mq_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct mq_topic *topic = mq_inode_topic(inode);
	struct iattr a = *attr;
	struct posix_acl *acl;
	int err;

	/* Inside of the inode's lock; excludes netlink and other inodes' calls. */
	mutex_lock(&topic->change_lock);
	err = setattr_prepare(idmap, dentry, &a);
	if (err)
		goto out;

	acl = posix_acl_dup(topic->acl);
	if (a.ia_valid & ATTR_MODE) {
		a.ia_mode = S_IFCHR | (a.ia_mode & 0777);
		if (acl)
			err = __posix_acl_chmod(&acl, GFP_KERNEL, a.ia_mode);
		if (err)
			goto out;
	}
	setattr_copy(idmap, inode, &a);
	if (a.ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		mq_fs_set_perms(topic, inode->i_sb, inode->i_mode, inode->i_uid,
				inode->i_gid, acl);
	else
		posix_acl_release(acl);
out:
	mutex_unlock(&topic->change_lock);
	return err;
}

/*
 * The size is the end of the log, the time of modification that of the newest
 * message. i_size stays 0: nothing but stat(2) asks for it on a device.
 */
static int mq_getattr(struct mq_idmap *idmap, const struct path *path, struct kstat *stat,
		      u32 request_mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct mq_topic *topic = mq_inode_topic(inode);
	int n = mq_inode_partition(inode);
	int last = n;
	u64 size = 0;
	s64 newest = topic->created;

	mq_fillattr(idmap, request_mask, inode, stat);

	if (n < 0) {
		n = 0;
		last = mq_topic_partitions(topic) - 1;
	}
	for (; n <= last; n++) {
		const struct mq_log *log = &mq_topic_partition(topic, n)->log;
		struct mq_bounds b;

		mq_log_bounds(log, &b);
		/* Positions can be made to start anywhere. */
		if (check_add_overflow(size, b.head_pos, &size))
			size = U64_MAX;
		newest = max(newest, READ_ONCE(log->last_ts));
	}
	stat->size = min_t(u64, size, S64_MAX);
	stat->mtime = ns_to_timespec64(newest);
	stat->btime = ns_to_timespec64(topic->created);
	stat->result_mask |= STATX_BTIME;
	/* What stdio writes at a time has to be a message that is allowed. */
	stat->blksize = min_t(u32, PAGE_SIZE,
			      rounddown_pow_of_two(READ_ONCE(topic->max_message_bytes)));
	return 0;
}

static const struct inode_operations mq_topic_iops = {
	.getattr	= mq_getattr,
	.setattr	= mq_setattr,
	.get_inode_acl	= mq_get_inode_acl,
	.set_acl	= mq_set_acl,
	.listxattr	= mq_listxattr,
};

static int inode_take_topic(struct inode *inode, void *data)
{
	struct inode_key *key = data;

	inode->i_private = key->topic;
	inode->i_ino = topic_ino(key->topic, key->partition);
	key->created = true;
	return 0;
}

/* The inode of a topic or partition; takes the reference to the topic over. */
static struct inode *get_inode(struct super_block *sb, struct mq_topic *topic, int partition)
{
	struct inode_key key = { .topic = topic, .partition = partition };
	struct inode *inode;

	inode = iget5_locked(sb, topic_ino(topic, partition), mq_inode_is,
			     inode_take_topic, &key);
	if (!key.created) {
		/* No memory, or an inode that has a reference of its own. */
		mq_topic_put(topic);
		return inode ?: ERR_PTR(-ENOMEM);
	}

	inode->i_op = &mq_topic_iops;
	inode->i_fop = &mq_dev_fops;
	inode->i_rdev = mq_topic_dev(topic);
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
	mq_inode_set_times(inode, ns_to_timespec64(topic->created));
	show_perms(inode, topic);
	unlock_new_inode(inode);
	return inode;
}

/* --- directory ------------------------------------------------------------ */

/* The inode that a name stands for, or ERR_PTR. */
static struct inode *resolve(struct super_block *sb, const struct qstr *qstr)
{
	struct mq_name name;
	struct mq_topic *topic;
	int err;

	err = mq_name_parse(qstr->name, qstr->len, &name);
	if (err)
		return ERR_PTR(err);
	/* No topic has groups yet. */
	if (name.group)
		return ERR_PTR(-ENOENT);
	topic = mq_topic_get(name.topic, name.topic_len);
	if (!topic)
		return ERR_PTR(-ENOENT);
	if (name.partition >= (int)mq_topic_partitions(topic)) {
		mq_topic_put(topic);
		return ERR_PTR(-ENOENT);
	}
	return get_inode(sb, topic, name.partition);
}

/*
 * An unknown name is an error here, not a negative dentry: so open(2) with
 * O_CREAT fails with ENOENT for everybody, before anybody asks whether the
 * directory may be written, and nothing is cached that a new topic would have to
 * undo. Only mkdir, rename and their like get a negative dentry, unhashed, and
 * then EPERM, as there are no such operations.
 */
static struct dentry *mq_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct inode *inode;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);

	inode = resolve(dir->i_sb, &dentry->d_name);
	if (inode == ERR_PTR(-ENOENT) &&
	    ((flags & LOOKUP_RENAME_TARGET) ||
	     (flags & (LOOKUP_CREATE | LOOKUP_OPEN)) == LOOKUP_CREATE))
		return NULL;
	return d_splice_alias(inode, dentry);
}

/* mknod of a regular file; an open with O_CREAT does not come this far. */
static int mq_create(struct mq_idmap *idmap, struct inode *dir, struct dentry *dentry,
		     umode_t mode, bool excl)
{
	return -EPERM;
}

/*
 * Topics by minor, without their partitions: a position names the topic to go
 * on from, whatever comes and goes meanwhile.
 */
static int mq_readdir(struct file *file, struct dir_context *ctx)
{
	struct mq_topic *topic;
	unsigned int minor;
	bool room;

	if (!dir_emit_dots(file, ctx))
		return 0;

	while (ctx->pos - 2 < MQ_MAX_MINORS) {
		minor = ctx->pos - 2;
		topic = mq_topic_get_next(&minor);
		if (!topic)
			break;
		ctx->pos = minor + 2;
		room = dir_emit(ctx, topic->name, strlen(topic->name),
				topic_ino(topic, -1), DT_CHR);
		mq_topic_put(topic);
		if (!room)
			break;
		ctx->pos++;
	}
	return 0;
}

static const struct inode_operations mq_dir_iops = {
	.lookup		= mq_lookup,
	.create		= mq_create,
};

static const struct file_operations mq_dir_fops = {
	.llseek		= generic_file_llseek,
	.read		= generic_read_dir,
	.iterate_shared	= mq_readdir,
};

/* Under RCU, perhaps without a reference to the dentry: see the top. */
static int mq_d_revalidate(MQ_D_REVALIDATE_ARGS(dentry, flags))
{
	const struct inode *inode = d_inode_rcu(dentry);
	const struct mq_topic *topic = inode ? inode->i_private : NULL;

	return !topic || !mq_topic_dead(topic);
}

static const struct dentry_operations mq_dentry_ops = {
	.d_revalidate	= mq_d_revalidate,
	.d_delete	= always_delete_dentry,
};

/* --- superblock ----------------------------------------------------------- */

static void mq_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	/* i_private stays, for mq_d_revalidate() under RCU. */
	if (inode->i_private)
		mq_topic_put(inode->i_private);
}

static const struct super_operations mq_super_ops = {
	.statfs		= simple_statfs,
	.drop_inode	= inode_just_drop,	/* unused, it would pin its topic */
	.evict_inode	= mq_evict_inode,
};

static int mq_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *inode;

	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = MQ_FS_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_op = &mq_super_ops;
	sb->s_xattr = mq_xattr_handlers;
	sb->s_flags |= SB_POSIXACL;
	/* Devices are all there is, and nothing of it is a program. */
	sb->s_iflags &= ~SB_I_NODEV;
	sb->s_iflags |= SB_I_NOEXEC;
	mq_set_default_d_op(sb, &mq_dentry_ops);

	inode = new_inode(sb);
	if (!inode)
		return -ENOMEM;
	inode->i_ino = INO_ROOT;
	inode->i_mode = S_IFDIR | 0755;
	inode->i_op = &mq_dir_iops;
	inode->i_fop = &mq_dir_fops;
	mq_inode_set_times(inode, current_time(inode));
	set_nlink(inode, 2);
	sb->s_root = d_make_root(inode);
	return sb->s_root ? 0 : -ENOMEM;
}

static int mq_get_tree(struct fs_context *fc)
{
	return get_tree_single(fc, mq_fill_super);
}

static const struct fs_context_operations mq_context_ops = {
	.get_tree	= mq_get_tree,
};

static int mq_init_fs_context(struct fs_context *fc)
{
	fc->ops = &mq_context_ops;
	return 0;
}

/*
 * Not mountable by user namespaces: topics are global. Not mounted by the module
 * itself (kern_mount()): that would pin it for ever.
 */
static struct file_system_type mq_fs_type = {
	.owner			= THIS_MODULE,
	.name			= "mq",
	.init_fs_context	= mq_init_fs_context,
	.kill_sb		= kill_anon_super,
};

/**
 * mq_fs_init() - register the file system
 * Return: 0, or a negative errno.
 */
int mq_fs_init(void)
{
	return register_filesystem(&mq_fs_type);
}

/**
 * mq_fs_exit() - undo mq_fs_init()
 *
 * Nothing is mounted: a mount, and a file of one taken away, holds the module.
 */
void mq_fs_exit(void)
{
	unregister_filesystem(&mq_fs_type);
}
