// SPDX-License-Identifier: GPL-2.0
/* Calls on files of topics, and on their names. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define PATH_LEN	(TEXT_MAX + 32)

static enum form form_of(const char *name)
{
	return strstr(name, "format=record") ? FORM_RECORD : FORM_PLAIN;
}

long do_open(struct thread *t, const struct call *c)
{
	char path[PATH_LEN];
	int flags = c->arg[0] & ~(uint64_t)O_DIRECTORY, fd;

	(void)t;
	fd = open(own_path(c->text, path, sizeof(path)), flags | O_CLOEXEC, 0600);
	return slot_put(c->arg[1], fd, flags & O_PATH ? FORM_OTHER : form_of(c->text));
}

long do_close(struct thread *t, const struct call *c)
{
	(void)t;
	return slot_put(c->arg[0], -1, FORM_OTHER) + 1;
}

long do_dup(struct thread *t, const struct call *c)
{
	struct slot s = slot_get(c->arg[0]);
	int fd = dup(s.fd);

	(void)t;
	/* The other thread may have changed what is behind the number. */
	return slot_put(c->arg[1], fd, slot_get(c->arg[0]).all == s.all ? s.form : FORM_OTHER);
}

long do_read(struct thread *t, const struct call *c)
{
	struct slot s = slot_get(c->arg[0]);
	void *to = data_in(t, c->arg[2], c->arg[1]);
	ssize_t n;

	if (c->arg[3] == ~0ULL)
		n = read(s.fd, to, c->arg[1]);
	else
		n = pread(s.fd, to, c->arg[1], c->arg[3]);
	check_read(c->arg[0], &s, to, n);
	return n;
}

/* Cuts memory into pieces. */
static unsigned int cut(struct iovec *iov, uint64_t pieces, const void *at, size_t len)
{
	unsigned int n = pieces > 1030 ? 1030 : pieces;

	for (unsigned int i = 0; i < n; i++) {
		iov[i].iov_base = (uint8_t *)at + len / n * i;
		iov[i].iov_len = i == n - 1 ? len - len / n * i : len / n;
	}
	return n;
}

long do_readv(struct thread *t, const struct call *c)
{
	struct slot s = slot_get(c->arg[0]);
	void *to = data_in(t, c->arg[2], c->arg[1]);
	struct iovec iov[1030];
	unsigned int n = cut(iov, c->arg[3], to, c->arg[1]);
	ssize_t ret;

	if (c->arg[5])
		ret = preadv2(s.fd, iov, n, c->arg[4] & 1 ? -1 : (off_t)c->arg[4], c->arg[5]);
	else if (c->arg[4] & 1)
		ret = readv(s.fd, iov, n);
	else
		ret = preadv(s.fd, iov, n, c->arg[4]);
	check_read(c->arg[0], &s, to, ret);
	return ret;
}

long do_write(struct thread *t, const struct call *c)
{
	(void)t;
	return write(slot_fd(c->arg[0]), data_out(c->arg[2], c->arg[3], c->arg[1]), c->arg[1]);
}

long do_writev(struct thread *t, const struct call *c)
{
	struct iovec iov[1030];
	unsigned int n = cut(iov, c->arg[3], data_out(c->arg[2], c->arg[4], c->arg[1]), c->arg[1]);

	(void)t;
	if (c->arg[5])
		/* cppcheck-suppress invalidFunctionArg ; -1: where the file stands */
		return pwritev2(slot_fd(c->arg[0]), iov, n, -1, c->arg[5]);
	return writev(slot_fd(c->arg[0]), iov, n);
}

long do_lseek(struct thread *t, const struct call *c)
{
	off_t at = lseek(slot_fd(c->arg[0]), c->arg[1], c->arg[2]);

	(void)t;
	if (at < 0 && !errno)
		finding("lseek: %lld", (long long)at);
	return at < 0 ? -1 : 0;
}

long do_fsync(struct thread *t, const struct call *c)
{
	int fd = slot_fd(c->arg[0]);

	(void)t;
	switch (c->arg[1] & 3) {
	case 0:
		return fsync(fd);
	case 1:
		return fdatasync(fd);
	case 2:
		return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	return syncfs(fd);
}

static void allowed_signal(uint64_t *sig)
{
	static const int good[] = { 0, SIGIO, SIGUSR1, SIGURG };

	*sig = *sig & 4 ? (uint64_t)SIGRTMIN + 1 : (uint64_t)good[*sig & 3];
}

long do_fcntl(struct thread *t, const struct call *c)
{
	uint64_t arg = c->arg[2];
	struct flock lock = { .l_type = arg & 1 ? F_WRLCK : F_RDLCK, .l_len = arg };
	int fd = slot_fd(c->arg[0]);

	switch (c->arg[1]) {
	case F_SETSIG:
		allowed_signal(&arg);
		break;
	case F_SETOWN:
		arg = arg & 1 ? getpid() : 0;
		break;
	case F_GETLK:
	case F_SETLK:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
	case F_SETLKW:
	case 1035 ... 1038:	/* read and write hints */
		arg = (uintptr_t)&lock;
		break;
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		arg = 100;
		break;
	case F_GETOWN_EX:
	case F_SETOWN_EX:
		arg = 8;
		break;
	}
	(void)t;
	return fcntl(fd, c->arg[1], arg);
}

long do_setfl(struct thread *t, const struct call *c)
{
	int fd = slot_fd(c->arg[0]);

	(void)t;
	if (c->arg[1] & O_ASYNC)
		fcntl(fd, F_SETOWN, getpid());
	return fcntl(fd, F_SETFL, c->arg[1]);
}

long do_fstat(struct thread *t, const struct call *c)
{
	struct statfs fs;
	struct stat st;
	int fd = slot_fd(c->arg[0]);

	(void)t;
	fstatfs(fd, &fs);
	return fstat(fd, &st);
}

long do_fdinfo(struct thread *t, const struct call *c)
{
	char path[64], buf[1024];
	int fd;
	long ret;

	(void)t;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", slot_fd(c->arg[0]));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = read(fd, buf, sizeof(buf));
	close(fd);
	return ret;
}

long do_space(struct thread *t, const struct call *c)
{
	int fd = slot_fd(c->arg[0]);

	(void)t;
	switch (c->arg[1] % 6) {
	case 0:
		return ftruncate(fd, c->arg[2] % (1 << 20));
	case 1:
		return fallocate(fd, 0, 0, c->arg[3] % (1 << 20));
	case 2:
		return posix_fadvise(fd, c->arg[2], c->arg[3], c->arg[3] % 6);
	case 3:
		return readahead(fd, c->arg[2], c->arg[3]);
	case 4:
		return syscall(SYS_flock, fd, 4 | (c->arg[3] & 3));
	}
	return futimens(fd, NULL);
}

/* A mark that goes with its file. */
static long watch_path(const char *path)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	long ret = inotify_add_watch(fd, path, IN_ALL_EVENTS);

	slot_put(SLOTS - 1, fd, FORM_OTHER);
	return ret;
}

long do_path(struct thread *t, const struct call *c)
{
	char path[PATH_LEN], other[PATH_LEN], buf[256];
	struct stat st;
	struct statfs fs;

	(void)t;
	own_path(c->text, path, sizeof(path));
	own_path("t7", other, sizeof(other));
	switch (c->arg[0] % 13) {
	case 0:
		return unlink(path);
	case 1:
		return rename(path, other);
	case 2:
		return link(path, other);
	case 3:
		return mkdir(path, 0700);
	case 4:
		return mknod(path, S_IFCHR | 0600, 0x1234);
	case 5:
		return symlink("t0", path);
	case 6:
		return stat(path, &st);
	case 7:
		return access(path, R_OK | W_OK);
	case 8:
		return truncate(path, 10);
	case 9:
		return watch_path(path);
	case 10:
		return statfs(path, &fs);
	case 11:
		return listxattr(path, buf, sizeof(buf));
	}
	return utimensat(AT_FDCWD, path, NULL, 0);
}

long do_readdir(struct thread *t, const struct call *c)
{
	int fd = open("/dev/mq", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buf[512];
	long n = 0;

	(void)t;
	if (fd < 0)
		return -1;
	for (unsigned int i = 0; i < c->arg[0] % 16; i++) {
		n = syscall(SYS_getdents64, fd, buf, sizeof(buf));
		if (i % 3 == 2)
			lseek(fd, i, SEEK_SET);
	}
	close(fd);
	return n;
}

long do_chmod(struct thread *t, const struct call *c)
{
	char path[PATH_LEN];

	(void)t;
	own_path(c->text, path, sizeof(path));
	if (c->arg[1] % 3 == 2)
		return chown(path, c->arg[1] & 1 ? 1000 : 0, c->arg[0] & 1 ? 1000 : 0);
	return chmod(path, c->arg[0]);
}

/* POSIX ACLs: user::rw-, user:1000:?, group::r--, mask::rw-, other::r-- */
static size_t make_acl(uint8_t *buf, uint64_t how)
{
	static const struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[] = {
		{ 1, 6, ~0u }, { 2, 7, 1000 }, { 4, 4, ~0u }, { 0x10, 6, ~0u }, { 0x20, 4, ~0u },
	};
	uint32_t version = how == 3 ? 7 : 2;

	memcpy(buf, &version, 4);
	memcpy(buf + 4, entries, sizeof(entries));
	return 4 + (how == 4 ? 13 : how == 5 ? 0 : sizeof(entries));
}

long do_acl(struct thread *t, const struct call *c)
{
	static const char access_name[] = "system.posix_acl_access";
	char path[PATH_LEN];
	uint8_t buf[64];
	size_t len = make_acl(buf, c->arg[0]);

	(void)t;
	own_path(c->text, path, sizeof(path));
	switch (c->arg[0]) {
	case 0:
		return getxattr(path, access_name, buf, sizeof(buf));
	case 1:
		return removexattr(path, access_name);
	case 2:
		setxattr(path, "user.x", "y", 1, 0);
		setxattr(path, "system.posix_acl_default", buf, len, 0);
		break;
	}
	return setxattr(path, access_name, buf, len, 0);
}

long do_mount(struct thread *t, const struct call *c)
{
	static const char dir[] = "/tmp/mqfuzz.mnt";

	(void)t;
	if (c->arg[0] & 1)
		return umount2(dir, MNT_DETACH);
	mkdir(dir, 0700);
	return mount("mq", dir, "mq", 0, NULL);
}

long do_sleep(struct thread *t, const struct call *c)
{
	struct timespec ts = { 0, c->arg[0] % 3001 * 1000 };

	(void)t;
	return nanosleep(&ts, NULL);
}

/* The next reader of a partition finds its oldest messages gone. */
long do_hook(struct thread *t, const struct call *c)
{
	static const char *const points[] = {
		"read-start", "read-copied", "record-start", "record-copied", "splice-start",
		"splice-page", "splice-filled", "nowhere",
	};
	char text[128];
	int fd, n;

	(void)t;
	fd = open("/sys/module/mq/parameters/hook", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = snprintf(text, sizeof(text), "%s w%u.t%u %u %llu", points[c->arg[0] % 8], worker_number,
		     (unsigned int)c->arg[1] % TOPICS, (unsigned int)c->arg[2],
		     (unsigned long long)c->arg[3]);
	n = write(fd, text, n);
	close(fd);
	return n;
}

/* A child with the same files and without the maps. */
long do_fork(struct thread *t, const struct call *c)
{
	pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	int fd = slot_fd(c->arg[0]);

	(void)t;
	if (!pid) {
		char buf[256];

		fcntl(fd, F_SETFL, O_NONBLOCK);
		if (read(fd, buf, sizeof(buf)) >= 0 && c->arg[1])
			_exit(write(fd, "child\n", 6) == 6 ? 0 : 1);
		_exit(0);
	}
	if (pid < 0)
		return -1;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		kill(pid, SIGKILL);
	return 0;
}
