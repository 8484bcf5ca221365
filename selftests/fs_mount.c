// SPDX-License-Identifier: GPL-2.0
/* Mounting and unmounting /dev/mq, and what mount options do. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "mqtest.h"

#define PLACE	"/tmp/mqtest-mount"

/* A place to mount at, in a mount namespace of this process's own. */
static void own_mounts(void)
{
	need_ret(unshare(CLONE_NEWNS), 0);
	need_ret(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	mkdir(PLACE, 0755);
}

static const char *at_place(const char *topic)
{
	static char path[256];

	snprintf(path, sizeof(path), PLACE "/%s", topic);
	return path;
}

static unsigned int module_refs(void)
{
	char line[32];

	need(read_line("/sys/module/mq/refcnt", line, sizeof(line)));
	return strtoul(line, NULL, 10);
}

/* The same once topics deleted before have been freed, a grace period later. */
static unsigned int settled_refs(void)
{
	unsigned int refs = module_refs(), i;

	for (i = 0; i < 10; i++) {
		sleep_ms(50);
		if (module_refs() != refs) {
			refs = module_refs();
			i = 0;
		}
	}
	return refs;
}

TEST(same, "every mount shows the same file system")
{
	const char *t = topic_new();
	struct stat a, b;

	own_mounts();
	need_ret(mount("mq", PLACE, "mq", 0, NULL), 0);
	need_ret(stat(topic_path(t, ""), &a), 0);
	need_ret(stat(at_place(t), &b), 0);
	expect_eq(a.st_dev, b.st_dev);
	expect_eq(a.st_ino, b.st_ino);
	expect_ret(chmod(at_place(t), 0640), 0);
	need_ret(stat(topic_path(t, ""), &a), 0);
	expect_eq(a.st_mode & 07777, 0640);
	expect_ret(umount(PLACE), 0);
}

TEST(options, "there are no mount options of its own")
{
	own_mounts();
	expect_err(mount("mq", PLACE, "mq", 0, "mode=0777"), EINVAL);
	expect_err(mount("mq", PLACE, "mq", 0, "x"), EINVAL);
}

TEST(nodev, "nodev means that no topic opens there: EACCES")
{
	const char *t = topic_new();
	struct stat st;

	own_mounts();
	need_ret(mount("mq", PLACE, "mq", MS_NODEV, NULL), 0);
	expect_err(open(at_place(t), O_RDONLY), EACCES);
	expect_err(open(at_place(t), O_WRONLY | O_CREAT | O_TRUNC, 0600), EACCES);
	expect_ret(stat(at_place(t), &st), 0);
	close(topic_open(t, "", O_RDWR));
	expect_ret(umount(PLACE), 0);
}

TEST(read_only, "a read-only mount keeps modes from changing, not messages from being written")
{
	const char *t = topic_new();
	int fd;

	own_mounts();
	need_ret(mount("mq", PLACE, "mq", 0, NULL), 0);
	need_ret(mount(NULL, PLACE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	expect_err(chmod(at_place(t), 0666), EROFS);
	expect_err(chown(at_place(t), 1, 1), EROFS);
	fd = open(at_place(t), O_WRONLY);
	expect(fd >= 0);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(close(fd), 0);
	expect_err(open(at_place("nothing"), O_WRONLY | O_CREAT, 0600), ENOENT);
	expect_ret(umount(PLACE), 0);
}

TEST(no_exec, "nothing of it can be executed or mapped executable")
{
	const char *t = topic_new(.mode = 0777);
	int fd = topic_open(t, "@0", O_RDONLY);

	expect_err(execl(topic_path(t, ""), "x", NULL), EACCES);
	expect(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED);
	close(fd);
}

static void in_user_namespace(void *arg)
{
	(void)arg;
	if (setgid(1000) || setuid(1000))
		_exit(2);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) {
		note("no user namespaces: %s", mqt_errno(errno));
		_exit(0);
	}
	expect_err(mount("mq", PLACE, "mq", 0, NULL), EPERM);
}

TEST(user_namespace, "root of a user namespace cannot mount it")
{
	FILE *f = fopen("/proc/sys/kernel/unprivileged_userns_clone", "r");
	char was = '1';

	mkdir(PLACE, 0755);
	if (f) {
		was = fgetc(f);
		fclose(f);
		write_file("/proc/sys/kernel/unprivileged_userns_clone", "1\n");
	}
	expect(child_ok(child_start(in_user_namespace, NULL), SOON));
	if (f && was == '0')
		write_file("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
}

/* The superblock goes only when /dev/mq itself goes, too. */
static void remount(void)
{
	need_ret(umount(MQ_DIR), 0);
	need_ret(mount("mq", MQ_DIR, "mq", MS_NOSUID | MS_NOEXEC, NULL), 0);
}

TEST(busy, "it cannot be unmounted while a topic is open")
{
	int fd = topic_open(topic_new(), "+until=end", O_RDONLY);

	expect_err(umount(MQ_DIR), EBUSY);
	close(fd);
	remount();
}

TEST(outlive, "messages, mode, owner and ACL of a topic outlive the mount")
{
	/* user::rw- user:1003:r-- group::--- mask::r-- other::--- */
	static const uint8_t acl[44] = {
		2, 0, 0, 0,
		1, 0, 6, 0, 255, 255, 255, 255,
		2, 0, 4, 0, 0xeb, 3, 0, 0,
		4, 0, 0, 0, 255, 255, 255, 255,
		16, 0, 4, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255,
	};
	const char *t = topic_new();
	uint8_t got[64];
	struct stat st;
	char buf[16];
	int fd = topic_open(t, "", O_WRONLY);

	expect_ret(write(fd, "hello", 5), 5);
	close(fd);
	need_ret(chown(topic_path(t, ""), 1001, 1002), 0);
	need_ret(setxattr(topic_path(t, "@0"), "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	remount();
	need_ret(stat(topic_path(t, ""), &st), 0);
	expect_eq(st.st_mode & 07777, 0640);
	expect_eq(st.st_uid, 1001);
	expect_eq(st.st_gid, 1002);
	expect_ret(getxattr(topic_path(t, ""), "system.posix_acl_access", got, sizeof(got)),
		   sizeof(acl));
	expect_mem(got, sizeof(acl), acl, sizeof(acl));
	fd = topic_open(t, "+until=end", O_RDONLY);
	expect_ret(read(fd, buf, sizeof(buf)), 5);
	close(fd);
	/* While it is not mounted, topics go on existing, and can be changed. */
	need_ret(umount(MQ_DIR), 0);
	topic_set(t, .mode = 0604, .uid = 1004);
	need_ret(mount("mq", MQ_DIR, "mq", MS_NOSUID | MS_NOEXEC, NULL), 0);
	need_ret(stat(topic_path(t, ""), &st), 0);
	expect_eq(st.st_mode & 07777, 0604);
	expect_eq(st.st_uid, 1004);
}

TEST(lazy, "a file goes on working after its mount was taken away, and the topic after both")
{
	const char *t = topic_new();
	unsigned int refs;
	struct stat st;
	char buf[16];
	int fd, dir;

	own_mounts();
	need_ret(mount("mq", PLACE, "mq", 0, NULL), 0);
	refs = settled_refs();
	fd = open(at_place(t), O_RDWR);
	dir = open(PLACE, O_RDONLY | O_DIRECTORY);
	need(fd >= 0 && dir >= 0);
	need_ret(umount2(PLACE, MNT_DETACH), 0);
	expect_ret(write(fd, "hello", 5), 5);
	expect_ret(read(fd, buf, sizeof(buf)), 5);
	expect_ret(fchmod(fd, 0640), 0);
	need_ret(stat(topic_path(t, ""), &st), 0);
	expect_eq(st.st_mode & 07777, 0640);
	expect_eq(st.st_size, 5);
	expect_ret(faccessat(dir, t, R_OK, 0), 0);
	topic_del(t);
	expect_err(faccessat(dir, t, R_OK, 0), ENOENT);
	expect_err(write(fd, "x", 1), ENODEV);
	close(fd);
	close(dir);
	/* The topic is gone, and what pinned the module with it. */
	wait_until(module_refs() < refs, SOON);
}

static void *mounter(void *arg)
{
	volatile int *stop = arg;

	while (!*stop) {
		if (mount("mq", PLACE, "mq", 0, NULL))
			fail("mount: %s", mqt_errno(errno));
		if (umount2(PLACE, MNT_DETACH))
			fail("umount: %s", mqt_errno(errno));
	}
	return NULL;
}

TEST(under_change, "mounting and unmounting while topics are opened, changed and deleted")
{
	volatile int stop = 0;
	unsigned int refs, i;
	pthread_t thread;
	struct stat st;

	/* No other mount: each one makes a superblock and takes it down again. */
	need_ret(umount(MQ_DIR), 0);
	refs = settled_refs();
	mkdir(PLACE, 0755);
	need_eq(pthread_create(&thread, NULL, mounter, (void *)&stop), 0);
	for (i = 0; i < 300; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "mount-%d-%u", getpid(), i);
		need_eq(topic_add(&(struct topic_opts) { .name = name, .partitions = 3,
							 .ring_bytes = 65536 }), 0);
		fd = open(at_place(name), O_RDWR);
		topic_set(name, .mode = 0644, .uid = i + 1);
		if (fd >= 0) {
			need_ret(fstat(fd, &st), 0);
			expect_eq(st.st_uid, i + 1);
			expect_eq(st.st_mode & 07777, 0644);
			expect_ret(fchmod(fd, 0600), 0);
		}
		need_eq(topic_del(name), 0);
		if (fd >= 0)
			close(fd);
	}
	stop = 1;
	pthread_join(thread, NULL);
	/* Nothing was left: neither a topic nor a superblock. */
	wait_until(module_refs() <= refs, SOON);
	need_ret(mount("mq", MQ_DIR, "mq", MS_NOSUID | MS_NOEXEC, NULL), 0);
}
