// SPDX-License-Identifier: GPL-2.0
/* A device cgroup (containers, DeviceAllow=) decides about topics as about any device. */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "mqtest.h"

static char group[64];

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

/*
 * A program of type BPF_CGROUP_DEVICE: what is asked of major number @major
 * must be within @allowed (BPF_DEVCG_ACC_*), all other devices are free.
 */
static int load(unsigned int major, unsigned int allowed)
{
	static char log[4096];
	struct bpf_insn prog[] = {
		/* r2 = ctx->access_type >> 16, r3 = ctx->major */
		{ BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0 },
		{ BPF_ALU64 | BPF_RSH | BPF_K, 2, 0, 0, 16 },
		{ BPF_LDX | BPF_MEM | BPF_W, 3, 1, offsetof(struct bpf_cgroup_dev_ctx, major), 0 },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1 },
		{ BPF_JMP | BPF_JNE | BPF_K, 3, 0, 3, (int)major },
		{ BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, (int)~allowed },
		{ BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 1, 0 },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0 },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)prog,
		.insn_cnt = sizeof(prog) / sizeof(prog[0]),
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log,
		.log_size = sizeof(log),
		.log_level = 1,
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		note("%s", log);
	need(fd >= 0);
	return fd;
}

static void end_group(void)
{
	rmdir(group);
}

/* This process in a cgroup whose program allows @allowed of topics. */
static void restrict_to(const char *topic, unsigned int allowed)
{
	union bpf_attr attr = { .attach_type = BPF_CGROUP_DEVICE };
	char path[96];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), MQ_DIR "/%s", topic);
	need_ret(stat(path, &st), 0);
	snprintf(group, sizeof(group), "/sys/fs/cgroup/mqtest-%d", getpid());
	need_ret(mkdir(group, 0755), 0);
	attr.attach_bpf_fd = load(major(st.st_rdev), allowed);
	attr.target_fd = open(group, O_RDONLY | O_DIRECTORY);
	need_ret(bpf(BPF_PROG_ATTACH, &attr), 0);
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY);
	need_ret(write(fd, "0", 1), 1);
	close(fd);
	atexit(end_group);
}

/* What opening gives: 0 or the error. */
static int opened(const char *topic, const char *options, int flags)
{
	char path[192];
	int fd;

	snprintf(path, sizeof(path), MQ_DIR "/%s%s", topic, options);
	fd = open(path, flags);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void leave(void)
{
	int fd = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);

	need_ret(write(fd, "0", 1), 1);
	close(fd);
}

TEST(denied, "G.35: a cgroup that denies the major number: EPERM, root or not, whatever the name says")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int before = topic_open(t, "", O_RDWR);

	restrict_to(t, 0);
	expect_eq(opened(t, "", O_RDONLY), EPERM);
	expect_eq(opened(t, "", O_WRONLY), EPERM);
	expect_eq(opened(t, "@0+until=end", O_RDONLY), EPERM);
	expect_ret(write(before, "x", 1), 1);	/* a descriptor is a capability */
	leave();
	expect_eq(opened(t, "", O_RDWR), 0);
}

TEST(read_only, "G.35: a cgroup that allows reading: no writer")
{
	const char *t = topic_new(.ring_bytes = 65536);

	restrict_to(t, BPF_DEVCG_ACC_READ);
	expect_eq(opened(t, "+from=newest", O_RDONLY), 0);
	expect_eq(opened(t, "", O_WRONLY), EPERM);
	expect_eq(opened(t, "", O_RDWR), EPERM);
	leave();
}

TEST(allowed, "G.35: a cgroup that allows both")
{
	const char *t = topic_new(.ring_bytes = 65536);

	restrict_to(t, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE);
	expect_eq(opened(t, "", O_RDWR), 0);
	leave();
}

TEST(one_topic, "G.35: a container that sees one topic, and no other, by a bind mount")
{
	const char *t = topic_new(.ring_bytes = 65536);
	char path[192];
	int fd, other;

	snprintf(path, sizeof(path), MQ_DIR "/%s", t);
	need_ret(unshare(CLONE_NEWNS), 0);
	need_ret(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	need_ret(mkdir("/tmp/adopt", 0755), 0);
	need_ret(mount("none", "/tmp/adopt", "tmpfs", 0, NULL), 0);
	fd = open("/tmp/adopt/log", O_WRONLY | O_CREAT, 0600);
	close(fd);
	need_ret(mount(path, "/tmp/adopt/log", NULL, MS_BIND, NULL), 0);
	fd = open("/tmp/adopt/log", O_WRONLY);
	expect_ret(write(fd, "inside", 6), 6);
	close(fd);
	other = topic_open(t, "", O_RDONLY);
	expect_ret(read(other, path, sizeof(path)), 6);
	/* Names with options belong to the directory, which is not there. */
	expect_err(open("/tmp/adopt/log+until=end", O_RDONLY), ENOENT);
	close(other);
	umount("/tmp/adopt/log");
	umount("/tmp/adopt");
	rmdir("/tmp/adopt");
}
