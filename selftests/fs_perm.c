// SPDX-License-Identifier: GPL-2.0
/*
 * Who may open a topic: mode, owner and ACL belong to the topic, are shown by all
 * its inodes and by netlink, and outlive both. faults.md G.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <grp.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "mqtest.h"

#define OWNER	1001
#define GROUP	1002
#define USER	1003	/* neither */

#define ACCESS	"system.posix_acl_access"
#define DEFAULT	"system.posix_acl_default"

static const char *const all_nodes[] = { "", "@0", "@1", "+until=end", "@1+from=newest" };

#define for_each(i, array)	for (i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

/* Stays, unlike topic_path(), as long as the test. */
static char *path(const char *topic, const char *options)
{
	char *p = strdup(topic_path(topic, options));

	need(p);
	return p;
}

/* In a child: another user, in no other group. */
static void become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		_exit(99);
}

/* errno of an open (0: it worked) by somebody else. */
static int open_as(uid_t uid, gid_t gid, const char *file, int flags)
{
	int status;
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		become(uid, gid);
		_exit(open(file, flags) < 0 ? errno : 0);
	}
	need_ret(waitpid(pid, &status, 0), pid);
	need(WIFEXITED(status) && WEXITSTATUS(status) != 99);
	return WEXITSTATUS(status);
}

/* Mode, owner and group as every node and netlink show them. */
static bool perms_are(const char *t, mode_t mode, uid_t uid, gid_t gid)
{
	unsigned int before = failures(), i;
	struct topic_info info;
	struct stat st;

	for_each(i, all_nodes) {
		need_ret(stat(path(t, all_nodes[i]), &st), 0);
		expect_eq(st.st_mode, S_IFCHR | mode);
		expect_eq(st.st_uid, uid);
		expect_eq(st.st_gid, gid);
	}
	need_eq(topic_get(t, &info), 0);
	expect_eq(info.o.mode, mode);
	expect_eq(info.o.uid, uid);
	expect_eq(info.o.gid, gid);
	return failures() == before;
}

static void fstat_is(int fd, mode_t mode, uid_t uid, gid_t gid)
{
	struct stat st;

	need_ret(fstat(fd, &st), 0);
	expect_eq(st.st_mode, S_IFCHR | mode);
	expect_eq(st.st_uid, uid);
	expect_eq(st.st_gid, gid);
}

TEST(defaults, "G.34: a topic is root's alone unless it is configured otherwise")
{
	const char *t = topic_new(.partitions = 2);
	const char *u = topic_new(.partitions = 2, .mode = 0640, .uid = OWNER, .gid = GROUP);

	perms_are(t, 0600, 0, 0);
	expect_eq(open_as(USER, USER, path(t, ""), O_RDONLY), EACCES);
	expect_eq(open_as(USER, USER, path(t, "@1"), O_WRONLY), EACCES);
	perms_are(u, 0640, OWNER, GROUP);
}

TEST(modes, "G.34: each permission bit decides on its open, at every node, O_CREAT and O_TRUNC or not")
{
	static const struct {
		uid_t uid;
		gid_t gid;
		int shift;
	} who[] = { { OWNER, USER, 6 }, { USER, GROUP, 3 }, { USER, USER, 0 } };
	static const struct {
		int flags;
		mode_t bits;
	} how[] = {
		{ O_RDONLY, 4 }, { O_WRONLY, 2 }, { O_RDWR, 6 }, { O_WRONLY | O_CREAT, 2 },
		{ O_WRONLY | O_CREAT | O_TRUNC, 2 }, { O_WRONLY | O_APPEND, 2 },
	};
	const char *t = topic_new(.partitions = 2, .uid = OWNER, .gid = GROUP);
	unsigned int w, h, i;
	mode_t bits;

	for_each(w, who) {
		for (bits = 0; bits < 8; bits++) {
			topic_set(t, .mode = bits << who[w].shift, .set = MQT(MODE));
			for_each(h, how) {
				i = (w + bits + h) % 5;
				expect_eq(open_as(who[w].uid, who[w].gid, path(t, all_nodes[i]),
						  how[h].flags),
					  (bits & how[h].bits) == how[h].bits ? 0 : EACCES);
			}
		}
	}
	/* Executing is never allowed, whatever the mode says. */
	topic_set(t, .mode = 0777);
	expect_err(execl(path(t, ""), "x", NULL), EACCES);
}

TEST(fd_passed, "G.34, G.35: rights are the opener's: a file goes on working for whoever gets it")
{
	const char *t = topic_new(.mode = 0600);
	int fd = topic_open(t, "", O_RDWR), status;
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		char buf[8];

		become(USER, USER);
		_exit(write(fd, "hello", 5) != 5 || read(fd, buf, sizeof(buf)) != 5 ||
		      open(path(t, ""), O_RDONLY) >= 0 || errno != EACCES);
	}
	need_ret(waitpid(pid, &status, 0), pid);
	expect_eq(status, 0);
	/* Nor does taking the rights away close what is open. */
	topic_set(t, .mode = 0, .uid = OWNER, .set = MQT(MODE));
	expect_ret(write(fd, "x", 1), 1);
	close(fd);
}

TEST(chmod_chown, "chmod and chown at any node change the topic: all nodes, open files, netlink")
{
	const char *t = topic_new(.partitions = 2);
	int fd = topic_open(t, "@1+until=end", O_RDONLY);

	expect_ret(chmod(path(t, ""), 0640), 0);
	perms_are(t, 0640, 0, 0);
	fstat_is(fd, 0640, 0, 0);
	expect_ret(chmod(path(t, "@0"), 0604), 0);
	perms_are(t, 0604, 0, 0);
	expect_ret(chown(path(t, "+overrun=skip"), OWNER, GROUP), 0);
	perms_are(t, 0604, OWNER, GROUP);
	fstat_is(fd, 0604, OWNER, GROUP);
	expect_ret(fchmod(fd, 0660), 0);
	expect_ret(fchown(fd, -1, USER), 0);
	perms_are(t, 0660, OWNER, USER);
	/* Bits that mean nothing here are not kept, wherever they are asked for. */
	expect_ret(chmod(path(t, ""), 07711), 0);
	perms_are(t, 0711, OWNER, USER);
	close(fd);
	/* All inodes are gone: it was the topic that kept it. */
	perms_are(t, 0711, OWNER, USER);
}

TEST(netlink_changes, "G.34: what netlink changes is what all nodes and open files show, and what opens obey")
{
	const char *t = topic_new(.partitions = 2);
	int fd = topic_open(t, "", O_RDONLY), fd1 = topic_open(t, "@1", O_RDONLY);

	topic_set(t, .mode = 0620);
	perms_are(t, 0620, 0, 0);
	fstat_is(fd1, 0620, 0, 0);
	topic_set(t, .uid = OWNER);
	topic_set(t, .gid = GROUP);
	perms_are(t, 0620, OWNER, GROUP);
	fstat_is(fd, 0620, OWNER, GROUP);
	expect_eq(open_as(OWNER, USER, path(t, "@1"), O_RDWR), 0);
	expect_eq(open_as(USER, GROUP, path(t, "@1"), O_WRONLY), 0);
	expect_eq(open_as(USER, GROUP, path(t, "@1"), O_RDONLY), EACCES);
	topic_set(t, .uid = 0, .set = MQT(UID));
	expect_eq(open_as(OWNER, USER, path(t, "@1"), O_RDONLY), EACCES);
	fstat_is(fd1, 0620, 0, GROUP);
	close(fd);
	close(fd1);
}

struct acl {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry e[8];
	unsigned int n;
};

static void acl_add(struct acl *acl, uint16_t tag, uint16_t perm, uint32_t id)
{
	acl->head.a_version = htole32(POSIX_ACL_XATTR_VERSION);
	acl->e[acl->n++] = (struct posix_acl_xattr_entry) {
		.e_tag = htole16(tag), .e_perm = htole16(perm), .e_id = htole32(id),
	};
}

static size_t acl_size(const struct acl *acl)
{
	return sizeof(acl->head) + acl->n * sizeof(acl->e[0]);
}

/* user::rw- user:USER:<user> group::--- mask::<mask> other::--- */
static struct acl user_acl(uint16_t user, uint16_t mask)
{
	struct acl acl = { .n = 0 };

	acl_add(&acl, ACL_USER_OBJ, 6, ACL_UNDEFINED_ID);
	acl_add(&acl, ACL_USER, user, USER);
	acl_add(&acl, ACL_GROUP_OBJ, 0, ACL_UNDEFINED_ID);
	acl_add(&acl, ACL_MASK, mask, ACL_UNDEFINED_ID);
	acl_add(&acl, ACL_OTHER, 0, ACL_UNDEFINED_ID);
	return acl;
}

static void owner_may(void *arg)
{
	char *t = arg;

	become(OWNER, GROUP);
	expect_ret(chmod(path(t, ""), 0644), 0);
	expect_ret(chmod(path(t, "@1"), 0604), 0);
	expect_ret(chown(path(t, ""), -1, GROUP), 0);
	expect_err(chown(path(t, ""), USER, -1), EPERM);
	expect_err(chown(path(t, ""), -1, USER), EPERM);
	expect_err(chown(path(t, "@0"), 0, 0), EPERM);
}

static void new_owner_may(void *arg)
{
	char *t = arg;

	become(USER, USER);
	expect_ret(chmod(path(t, ""), 0640), 0);
	expect_ret(chmod(path(t, "@1"), 0600), 0);
}

static void others_may_not(void *arg)
{
	struct acl acl = user_acl(6, 6);
	char *t = arg;

	become(USER, GROUP);
	expect_err(setxattr(path(t, ""), ACCESS, &acl, acl_size(&acl), 0), EPERM);
	expect_err(chmod(path(t, ""), 0666), EPERM);
	expect_err(chmod(path(t, "@1"), 0666), EPERM);
	expect_err(chown(path(t, ""), USER, -1), EPERM);
	expect_err(removexattr(path(t, "@0"), ACCESS), EPERM);
	expect_err(utimensat(AT_FDCWD, path(t, ""),
			     (struct timespec[]) { { 1, 0 }, { 1, 0 } }, 0), EPERM);
}

TEST(who_may_change, "G.34: the owner may chmod, and chgrp to his groups; others may nothing")
{
	const char *t = topic_new(.partitions = 2, .uid = OWNER, .gid = GROUP, .mode = 0666);
	int fd;

	expect(child_ok(child_start(owner_may, (void *)t), SOON));
	perms_are(t, 0604, OWNER, GROUP);
	expect(child_ok(child_start(others_may_not, (void *)t), SOON));
	perms_are(t, 0604, OWNER, GROUP);
	/* An owner made so by netlink can use it at once, even where the inode was. */
	fd = topic_open(t, "@1", O_RDONLY);
	topic_set(t, .uid = USER);
	expect(child_ok(child_start(new_owner_may, (void *)t), SOON));
	perms_are(t, 0600, USER, GROUP);
	close(fd);
}

/* --- ACLs ------------------------------------------------------------------- */

/* Every node shows this ACL (NULL: none). */
static void acl_is(const char *t, const struct acl *want)
{
	struct acl got;
	char names[256];
	unsigned int i;

	for_each(i, all_nodes) {
		const char *p = path(t, all_nodes[i]);

		memset(&got, 0, sizeof(got));
		if (!want) {
			expect_err(getxattr(p, ACCESS, &got, sizeof(got)), ENODATA);
			expect_ret(listxattr(p, names, sizeof(names)), 0);
			continue;
		}
		expect_ret(getxattr(p, ACCESS, &got, sizeof(got)), acl_size(want));
		expect_mem(&got, acl_size(want), want, acl_size(want));
		expect_ret(listxattr(p, NULL, 0), sizeof(ACCESS));
		expect_ret(listxattr(p, names, sizeof(names)), sizeof(ACCESS));
		expect_mem(names, sizeof(ACCESS), ACCESS, sizeof(ACCESS));
		expect_err(listxattr(p, names, sizeof(ACCESS) - 1), ERANGE);
	}
}

TEST(acl, "G.34: an ACL set at one node is shown by all, grants what it says, and outlives the inodes")
{
	const char *t = topic_new(.partitions = 2);
	struct acl acl = user_acl(6, 6), rdonly = user_acl(4, 4);
	int fd = topic_open(t, "@1", O_RDONLY);

	acl_is(t, NULL);
	expect_eq(open_as(USER, USER, path(t, ""), O_RDONLY), EACCES);
	expect_ret(setxattr(path(t, "@0"), ACCESS, &acl, acl_size(&acl), 0), 0);
	acl_is(t, &acl);
	perms_are(t, 0660, 0, 0);
	expect_eq(open_as(USER, USER, path(t, ""), O_RDWR), 0);
	expect_eq(open_as(USER, USER, path(t, "@1+until=end"), O_RDWR), 0);
	expect_eq(open_as(OWNER, OWNER, path(t, ""), O_RDONLY), EACCES);
	expect_ret(fsetxattr(fd, ACCESS, &rdonly, acl_size(&rdonly), 0), 0);
	close(fd);
	acl_is(t, &rdonly);
	perms_are(t, 0640, 0, 0);
	expect_eq(open_as(USER, USER, path(t, ""), O_RDONLY), 0);
	expect_eq(open_as(USER, USER, path(t, ""), O_WRONLY), EACCES);
	expect_ret(removexattr(path(t, ""), ACCESS), 0);
	acl_is(t, NULL);
	expect_eq(open_as(USER, USER, path(t, "@0"), O_RDONLY), EACCES);
}

TEST(acl_chmod, "chmod, by call or by netlink, sets an ACL's mask; chown leaves it")
{
	const char *t = topic_new(.partitions = 2);
	struct acl acl = user_acl(6, 6), masked = user_acl(6, 0), half = user_acl(6, 4);

	expect_ret(setxattr(path(t, ""), ACCESS, &acl, acl_size(&acl), 0), 0);
	expect_ret(chmod(path(t, "@1"), 0600), 0);
	acl_is(t, &masked);
	expect_eq(open_as(USER, USER, path(t, ""), O_RDONLY), EACCES);
	topic_set(t, .mode = 0640);
	acl_is(t, &half);
	perms_are(t, 0640, 0, 0);
	expect_eq(open_as(USER, USER, path(t, ""), O_RDONLY), 0);
	expect_eq(open_as(USER, USER, path(t, "@1"), O_WRONLY), EACCES);
	expect_ret(chown(path(t, ""), OWNER, GROUP), 0);
	acl_is(t, &half);
	perms_are(t, 0640, OWNER, GROUP);
}

TEST(acl_plain, "an ACL that says no more than mode bits becomes mode bits")
{
	const char *t = topic_new(.partitions = 2);
	struct acl acl = { .n = 0 };

	acl_add(&acl, ACL_USER_OBJ, 6, ACL_UNDEFINED_ID);
	acl_add(&acl, ACL_GROUP_OBJ, 4, ACL_UNDEFINED_ID);
	acl_add(&acl, ACL_OTHER, 2, ACL_UNDEFINED_ID);
	expect_ret(setxattr(path(t, ""), ACCESS, &acl, acl_size(&acl), 0), 0);
	acl_is(t, NULL);
	perms_are(t, 0642, 0, 0);
}

TEST(acl_bad, "a malformed ACL, a default one, and other attributes are refused")
{
	const char *t = topic_new(.partitions = 2);
	struct acl acl = user_acl(6, 6), bad = acl;
	char *p = path(t, "");

	bad.head.a_version = htole32(1);
	expect_err(setxattr(p, ACCESS, &bad, acl_size(&bad), 0), EOPNOTSUPP);
	bad = acl;
	bad.e[3].e_tag = htole16(0x4000);
	expect_err(setxattr(p, ACCESS, &bad, acl_size(&bad), 0), EINVAL);
	bad = acl;
	bad.n--;
	expect_err(setxattr(p, ACCESS, &bad, acl_size(&bad), 0), EINVAL);
	expect_err(setxattr(p, ACCESS, &acl, acl_size(&acl) - 1, 0), EINVAL);
	expect_err(setxattr(p, DEFAULT, &acl, acl_size(&acl), 0), EACCES);
	expect_err(setxattr(p, "user.x", "y", 1, 0), EPERM);
	expect_err(setxattr(p, "trusted.x", "y", 1, 0), EOPNOTSUPP);
	expect_err(setxattr(MQ_DIR, ACCESS, &acl, acl_size(&acl), 0), EOPNOTSUPP);
	acl_is(t, NULL);
	perms_are(t, 0600, 0, 0);
}

/* --- the device cgroup ------------------------------------------------------- */

static bool deny(const char *group, dev_t dev)
{
	char file[128], text[64];

	snprintf(file, sizeof(file), "%s/devices.deny", group);
	snprintf(text, sizeof(text), "c %u:%u rw\n", major(dev), minor(dev));
	if (write_file(file, text))
		return false;
	snprintf(file, sizeof(file), "%s/cgroup.procs", group);
	snprintf(text, sizeof(text), "%d\n", getpid());
	return !write_file(file, text);
}

TEST(device_cgroup, "G.35: what the device cgroup denies, root cannot open: by the topic's own number")
{
	const char *root = "/tmp/mqtest-devices", *group = "/tmp/mqtest-devices/mq";
	const char *t = topic_new(.partitions = 2), *u = topic_new();
	struct stat st;
	pid_t pid;

	need_ret(stat(path(t, ""), &st), 0);
	mkdir(root, 0700);
	if (mount("cgroup", root, "cgroup", 0, "devices")) {
		rmdir(root);
		skip("no device cgroup: %s", mqt_errno(errno));
	}
	expect_ret(mkdir(group, 0700), 0);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		if (!deny(group, st.st_rdev))
			_exit(2);
		expect_err(open(path(t, ""), O_RDONLY), EPERM);
		expect_err(open(path(t, "@1+until=end"), O_WRONLY), EPERM);
		expect(open(path(u, ""), O_RDWR) >= 0);
		_exit(failures() != 0);
	}
	expect(child_ok(pid, SOON));
	expect(wait_until(!rmdir(group), SOON));
	expect_ret(umount(root), 0);
	rmdir(root);
}
