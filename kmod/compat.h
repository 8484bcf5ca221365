/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels, included by force before every source, so that
 * no other file has a version in it. Sources are written for the newest kernel
 * and use its names; what an older kernel lacks is mapped here, each with the
 * change upstream that made the difference. Only macros: nothing is included
 * that could disturb a source's own order of headers.
 */
#ifndef _MQ_COMPAT_H
#define _MQ_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "mq needs Linux 6.1 or later"
#endif

#ifndef CONFIG_64BIT
#error "mq needs a 64-bit kernel: positions are read without a lock (32-bit programs are served)"
#endif

#ifndef CONFIG_FS_POSIX_ACL
#error "mq needs a kernel with CONFIG_FS_POSIX_ACL: topics have ACLs"
#endif

/* --- fs.c, acl.c ---------------------------------------------------------- */

/* v6.3 b74d24f7a74f and others: inode operations get a mnt_idmap, not a user namespace. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mq_idmap		user_namespace
#else
#define mq_idmap		mnt_idmap
#endif

/*
 * v6.2 cac2f8b8d8b5: the old ->get_acl is called ->get_inode_acl;
 * v6.2 138060ba92b3: ->set_acl gets the dentry, not the inode;
 * v6.2 318e66856dde: VFS calls them itself, no xattr handler does.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define get_inode_acl		get_acl
#define mq_set_acl_arg		inode
#define mq_set_acl_inode(arg)	(arg)
#define mq_acl_xattr_access	(&posix_acl_access_xattr_handler)
#define mq_acl_xattr_default	(&posix_acl_default_xattr_handler)
#else
#define mq_set_acl_arg		dentry
#define mq_set_acl_inode(arg)	d_inode(arg)
#define mq_acl_xattr_access	NULL
#define mq_acl_xattr_default	NULL
#endif

/* v6.6 0d72b92883c6: generic_fillattr() gets the request mask. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define mq_fillattr(idmap, mask, inode, stat)	\
	generic_fillattr(idmap, inode, stat)
#else
#define mq_fillattr(idmap, mask, inode, stat)	\
	generic_fillattr(idmap, mask, inode, stat)
#endif

/* v6.6 13bc24457850, v6.7 12cd44023651: an inode's times have accessors. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define mq_inode_set_times(inode, ts)	\
	((inode)->i_atime = (inode)->i_mtime = (inode)->i_ctime = (ts))
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define mq_inode_set_times(inode, ts)	\
	((inode)->i_atime = (inode)->i_mtime = inode_set_ctime_to_ts(inode, ts))
#else
#define mq_inode_set_times(inode, ts)	\
	inode_set_atime_to_ts(inode, inode_set_mtime_to_ts(inode, inode_set_ctime_to_ts(inode, ts)))
#endif

/* v6.14 5be1fa8abd7b: ->d_revalidate gets the parent and the name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define MQ_D_REVALIDATE_ARGS(dentry, flags)	\
	struct dentry *dentry, unsigned int flags
#else
#define MQ_D_REVALIDATE_ARGS(dentry, flags)	\
	struct inode *dir, const struct qstr *name, struct dentry *dentry, unsigned int flags
#endif

/* v6.17 05fb0e666495: a superblock's dentry operations have a setter. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define mq_set_default_d_op(sb, ops)	((sb)->s_d_op = (ops))
#else
#define mq_set_default_d_op(sb, ops)	set_default_d_op(sb, ops)
#endif

/* v6.18 f99b3917789d: generic_delete_inode() is called inode_just_drop(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define inode_just_drop		generic_delete_inode
#endif

/* --- room.c, watermark.c -------------------------------------------------- */

/* v6.13 908a1d775422: a timer gets its function when it is set up; v6.15 9779489a31d7: only so. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define hrtimer_setup(timer, func, clock, mode)	\
	(hrtimer_init(timer, clock, mode), (void)((timer)->function = (func)))
#endif

/* --- dev.c ---------------------------------------------------------------- */

/* v6.12 641bb4394f40: that a read may end beyond 2^63 is the operations' flag, not the file's. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define mq_set_unsigned_offset(filp)	((filp)->f_mode |= FMODE_UNSIGNED_OFFSET)
#define MQ_FOP_UNSIGNED_OFFSET
#else
#define mq_set_unsigned_offset(filp)	do { } while (0)
#define MQ_FOP_UNSIGNED_OFFSET		.fop_flags = FOP_UNSIGNED_OFFSET,
#endif

/* --- mmap.c --------------------------------------------------------------- */

/* v6.3 bc292ab00f6c, 1c71222e5f23: a vma's flags are changed by functions. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define vm_flags_set(vma, flags)	((vma)->vm_flags |= (flags))
#define vm_flags_clear(vma, flags)	((vma)->vm_flags &= ~(flags))
#endif

/* --- netlink.c ------------------------------------------------------------ */

/* v6.6 7288dd2fd488: a dump's attributes are in its struct genl_info. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define mq_dump_attrs(cb)	(genl_dumpit_info(cb)->attrs)
#else
#define mq_dump_attrs(cb)	(genl_dumpit_info(cb)->info.attrs)
#endif

#endif /* _MQ_COMPAT_H */
