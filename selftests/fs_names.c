// SPDX-License-Identifier: GPL-2.0
/* Names under /dev/mq: what they resolve to, and what resolves to nothing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "mqtest.h"

#define USER	1000	/* somebody without rights */

/* Stays, unlike topic_path(), as long as the test. */
static char *path(const char *topic, const char *options)
{
	char *p = strdup(topic_path(topic, options));

	need(p);
	return p;
}

static struct stat status(const char *topic, const char *options)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	expect_ret(stat(path(topic, options), &st), 0);
	return st;
}

/* Whether a name is listed, with which type and inode number. */
static bool listed(const char *name, unsigned char *type, ino_t *ino)
{
	DIR *dir = opendir(MQ_DIR);
	struct dirent *d;
	bool found = false;

	need(dir);
	while ((d = readdir(dir))) {
		if (strcmp(d->d_name, name))
			continue;
		if (found)
			fail("%s is listed twice", name);
		found = true;
		if (type)
			*type = d->d_type;
		if (ino)
			*ino = d->d_ino;
	}
	closedir(dir);
	return found;
}

static unsigned int entries(void)
{
	DIR *dir = opendir(MQ_DIR);
	unsigned int n = 0;

	need(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Runs fn in a process of an unprivileged user. */
static void as_user(void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		if (setgid(USER) || setuid(USER))
			_exit(2);
		fn(arg);
		_exit(failures() != 0);
	}
	expect(child_ok(pid, SOON));
}

TEST(kind, "a topic is a character device whose numbers are major mq and the topic's minor")
{
	const char *t = topic_new(.partitions = 2);
	struct stat st = status(t, "");
	struct topic_info info;
	char line[128];
	unsigned int major = 0;
	FILE *f = fopen("/proc/devices", "r");

	need(f);
	while (fgets(line, sizeof(line), f)) {
		char name[64];
		unsigned int n;

		if (sscanf(line, "%u %63s", &n, name) == 2 && !strcmp(name, "mq"))
			major = n;
	}
	fclose(f);
	need_eq(topic_get(t, &info), 0);
	expect(S_ISCHR(st.st_mode));
	expect_eq(major(st.st_rdev), major);
	expect_eq(minor(st.st_rdev), info.minor);
	expect_eq(status(t, "@1").st_rdev, st.st_rdev);
	expect_eq(st.st_nlink, 1);
	expect(st.st_blksize > 0 && st.st_blksize <= 1 << 20);
}

TEST(directory, "the root belongs to root, mode 0755, and is a directory")
{
	struct statfs fs;
	struct stat st;

	need_ret(stat(MQ_DIR, &st), 0);
	expect(S_ISDIR(st.st_mode));
	expect_eq(st.st_mode & 07777, 0755);
	expect_eq(st.st_uid, 0);
	expect_eq(st.st_gid, 0);
	expect_ret(statfs(MQ_DIR, &fs), 0);
	expect_eq(fs.f_namelen, 255);
}

static void create_unknown(void *arg)
{
	static const int flags[] = {
		0, O_CREAT, O_CREAT | O_TRUNC, O_CREAT | O_EXCL, O_CREAT | O_APPEND,
		O_CREAT | O_NONBLOCK, O_CREAT | O_NOFOLLOW, O_TRUNC,
	};
	const char *name = arg;
	unsigned int i, n = entries();
	struct stat st;
	int mode;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		for (mode = O_RDONLY; mode <= O_RDWR; mode++)
			expect_err(open(name, flags[i] | mode, 0666), ENOENT);
	expect_err(creat(name, 0666), ENOENT);
	expect_err(stat(name, &st), ENOENT);
	expect_eq(entries(), n);
}

TEST(unknown, "an unknown name is ENOENT with O_CREAT, too, and leaves nothing, for root and others")
{
	char *name = path(topic_name(), "");

	create_unknown(name);
	as_user(create_unknown, name);
	name = path(topic_name(), "@0+until=end");
	create_unknown(name);
	as_user(create_unknown, name);
	/* Nothing was remembered that hides the topic. */
	name = (char *)topic_name();
	create_unknown(path(name, ""));
	need_eq(topic_add(&(struct topic_opts) { .name = name }), 0);
	close(topic_open(name, "", O_RDWR));
}

TEST(known, "O_CREAT and O_TRUNC on a topic do nothing, O_EXCL is EEXIST")
{
	const char *t = topic_new(.mode = 0666);
	int fd;

	need_ret(fd = open(path(t, ""), O_WRONLY | O_CREAT | O_TRUNC, 0600), fd);
	expect(fd >= 0);
	expect_ret(write(fd, "hello\n", 6), 6);
	close(fd);
	fd = open(path(t, ""), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	expect(fd >= 0);
	expect_err(ftruncate(fd, 0), EINVAL);
	close(fd);
	expect_err(truncate(path(t, ""), 0), EINVAL);
	expect_eq(status(t, "").st_size, 6);
	expect_eq(status(t, "").st_mode & 07777, 0666);
	expect_err(open(path(t, ""), O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	expect_err(open(path(t, ""), O_RDONLY | O_DIRECTORY), ENOTDIR);
	expect_err(open(MQ_DIR, O_TMPFILE | O_RDWR, 0600), EOPNOTSUPP);
}

/* faults.md A.9: what is no name cannot be created, and opens as nothing. */
TEST(bad_topics, "A.9: what is no topic's name cannot be created, and is ENOENT")
{
	static const char *const bad[] = {
		"a@0", "a:b", "a b", "a+b", "a=b", "a,b", "+", "@", "t\xff", "\xc3\xa4", "%s%n",
		"a\n", "a\tb", "\x01", "a*", "~", "$(id)", "a\\b", "\x7f",
	};
	char name[300], slash[320];
	struct stat st;
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_eq(topic_add(&(struct topic_opts) { .name = bad[i] }), -EINVAL);
		expect_err(stat(path(bad[i], ""), &st), ENOENT);
		expect_err(open(path(bad[i], ""), O_WRONLY | O_CREAT, 0666), ENOENT);
	}
	expect_eq(topic_add(&(struct topic_opts) { .name = "." }), -EINVAL);
	expect_eq(topic_add(&(struct topic_opts) { .name = ".." }), -EINVAL);
	expect_eq(topic_add(&(struct topic_opts) { .name = "a/b" }), -EINVAL);
	expect_err(stat(MQ_DIR "/a/b", &st), ENOENT);

	/* 255 bytes are a name to VFS, 256 are not. */
	memset(name, 'x', sizeof(name));
	name[255] = 0;
	snprintf(slash, sizeof(slash), MQ_DIR "/%s", name);
	expect_err(stat(slash, &st), ENOENT);
	expect_err(open(slash, O_WRONLY | O_CREAT, 0666), ENOENT);
	name[255] = 'x';
	name[256] = 0;
	snprintf(slash, sizeof(slash), MQ_DIR "/%s", name);
	expect_err(stat(slash, &st), ENAMETOOLONG);
	expect_err(open(slash, O_WRONLY | O_CREAT, 0666), ENAMETOOLONG);

	/* A topic is no directory. */
	fd = topic_open(topic_new(), "", O_RDONLY);
	expect_err(openat(fd, "x", O_RDONLY), ENOTDIR);
	close(fd);
}

TEST(long_topics, "A.9: 128 bytes are a topic's name, 129 are none")
{
	char name[130];

	memset(name, 'n', sizeof(name));
	snprintf(name, 16, "%s", topic_name());
	name[strlen(name)] = '-';
	name[129] = 0;
	expect_eq(topic_add(&(struct topic_opts) { .name = name }) < 0, true);
	expect_eq(topic_try_open(name, "", O_RDONLY), -1);
	name[128] = 0;
	expect_eq(topic_add(&(struct topic_opts) { .name = name }), 0);
	expect(listed(name, NULL, NULL));
	close(topic_open(name, "", O_RDWR));
	close(topic_open(name, "@0+until=end+format=record+overrun=skip+since=20260101T000000Z",
			 O_RDONLY));
}

TEST(options, "options are taken as the table says, in any order")
{
	static const char *const good[] = {
		"+from=oldest", "+from=newest", "+from=0", "+since=1h", "+since=1h30m",
		"+since=500ms", "+since=20240229T235959Z", "+until=end", "+format=record",
		"+overrun=skip", "@0", "@0+from=0", "+until=end+from=oldest",
		"+overrun=skip+format=record+until=end+since=1d",
	};
	static const char *const bad[] = {
		"+x=y", "+from=", "+from=-1", "+from=+1", "+from=9223372036854775808",
		"+from=1+from=1", "+from=oldest+since=1h", "+since=1", "+since=1w",
		"+since=20230229T000000Z", "+since=23000101T000000Z", "+since=20240101T000000",
		"+until=now", "+format=line",
		"+overrun=report", "+until=end+until=end", "+", "++until=end", "+until=end+",
		"+Until=end", "+ack=explicit",
	};
	const char *t = topic_new();
	unsigned int i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		close(topic_open(t, good[i], O_RDONLY));
		expect_eq(status(t, good[i]).st_rdev, status(t, "").st_rdev);
		expect_err(open(path(t, good[i]), O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_err(open(path(t, bad[i]), O_RDONLY), ENOENT);
		expect_err(open(path(t, bad[i]), O_WRONLY | O_CREAT | O_TRUNC, 0666), ENOENT);
	}
}

TEST(partitions, "t@n is there for each partition, added ones included, and for no other n")
{
	const char *t = topic_new(.partitions = 3);
	struct stat st;

	expect_ret(stat(path(t, "@0"), &st), 0);
	expect_ret(stat(path(t, "@2"), &st), 0);
	expect_err(stat(path(t, "@3"), &st), ENOENT);
	expect_err(stat(path(t, "@1024"), &st), ENOENT);
	expect_err(stat(path(t, "@2147483647"), &st), ENOENT);
	expect_err(stat(path(t, "@2147483648"), &st), ENOENT);
	expect_err(stat(path(t, "@4294967296"), &st), ENOENT);
	expect_err(stat(path(t, "@18446744073709551616"), &st), ENOENT);
	expect_err(stat(path(t, "@-1"), &st), ENOENT);
	expect_err(stat(path(t, "@"), &st), ENOENT);
	expect_err(stat(path(t, "@x"), &st), ENOENT);
	expect_err(stat(path(t, "@0@1"), &st), ENOENT);
	topic_set(t, .partitions = 5);
	expect_ret(stat(path(t, "@4"), &st), 0);
	expect_err(stat(path(t, "@5"), &st), ENOENT);
}

TEST(groups, "no group exists yet, on a topic or on a partition")
{
	const char *t = topic_new();

	expect_err(open(path(t, "+g"), O_RDONLY), ENOENT);
	expect_err(open(path(t, "+g"), O_RDWR | O_CREAT, 0600), ENOENT);
	expect_err(open(path(t, "+g+ack=explicit"), O_RDONLY), ENOENT);
	expect_err(open(path(t, "@0+g"), O_RDONLY), ENOENT);
}

TEST(spelling, "every spelling is the same inode, each partition has its own")
{
	const char *t = topic_new(.partitions = 2);
	struct stat st = status(t, ""), p0 = status(t, "@0"), p1 = status(t, "@1"), other;
	int fd = topic_open(t, "+from=newest+until=end", O_RDONLY);

	other = status(t, "+until=end");
	expect_eq(other.st_ino, st.st_ino);
	expect_eq(other.st_dev, st.st_dev);
	need_ret(fstat(fd, &other), 0);
	expect_eq(other.st_ino, st.st_ino);
	expect_eq(status(t, "@00").st_ino, p0.st_ino);
	expect_eq(status(t, "@1+format=record").st_ino, p1.st_ino);
	expect(p0.st_ino != p1.st_ino && p0.st_ino != st.st_ino && p1.st_ino != st.st_ino);
	/* Old 32-bit programs could not stat it otherwise. */
	expect(st.st_ino < 1ULL << 32 && p1.st_ino < 1ULL << 32);
	close(fd);
}

TEST(no_changes, "unlink, rename, link, symlink, mkdir, mknod, and what is like them: EPERM")
{
	const char *t = topic_new(), *u = topic_new();
	char *tp = path(t, ""), *up = path(u, ""), *new = path(topic_name(), "");
	unsigned int n = entries();
	dev_t dev = status(t, "").st_rdev;

	expect_err(unlink(tp), EPERM);
	expect_err(unlink(path(t, "@0")), EPERM);
	expect_err(unlink(path(t, "+until=end")), EPERM);
	expect_err(unlink(new), ENOENT);
	expect_err(rmdir(tp), ENOTDIR);
	expect_err(rename(tp, new), EPERM);
	expect_err(rename(tp, up), EPERM);
	expect_err(rename(tp, path(t, "@0")), EPERM);
	expect_err(renameat2(AT_FDCWD, tp, AT_FDCWD, up, RENAME_EXCHANGE), EPERM);
	expect_err(renameat2(AT_FDCWD, tp, AT_FDCWD, new, RENAME_NOREPLACE), EPERM);
	expect_err(rename(new, tp), ENOENT);
	expect_err(link(tp, new), EPERM);
	expect_err(link(tp, up), EEXIST);
	expect_err(symlink("x", new), EPERM);
	expect_err(symlink("x", tp), EEXIST);
	expect_err(mkdir(new, 0755), EPERM);
	expect_err(mkdir(tp, 0755), EEXIST);
	expect_err(mknod(new, S_IFREG | 0600, 0), EPERM);
	expect_err(mknod(new, S_IFIFO | 0600, 0), EPERM);
	expect_err(mknod(new, S_IFCHR | 0600, dev), EPERM);
	expect_err(mknod(tp, S_IFCHR | 0600, dev), EEXIST);
	expect_err(link(tp, "/tmp/mq-no-such-name"), EXDEV);
	expect_eq(entries(), n);
	expect_eq(status(t, "").st_nlink, 1);
	/* Nor did any of it leave something that hides a topic of that name. */
	new += strlen(MQ_DIR "/");
	need_eq(topic_add(&(struct topic_opts) { .name = new }), 0);
	expect(listed(new, NULL, NULL));
	close(topic_open(new, "", O_RDONLY));
}

TEST(readdir_plain, "readdir lists topics only, as devices, with the inode number that stat shows")
{
	const char *t = topic_new(.partitions = 2);
	unsigned int n = entries();
	unsigned char type = 0;
	ino_t ino = 0;
	int a = topic_open(t, "@1", O_RDONLY), b = topic_open(t, "+until=end", O_RDONLY);

	expect_eq(entries(), n);
	expect(listed(t, &type, &ino));
	expect_eq(type, DT_CHR);
	expect_eq(ino, status(t, "").st_ino);
	expect(!listed(path(t, "@1") + strlen(MQ_DIR "/"), NULL, NULL));
	expect(!listed(path(t, "+until=end") + strlen(MQ_DIR "/"), NULL, NULL));
	expect(listed(".", &type, NULL) && type == DT_DIR);
	expect(listed("..", &type, NULL) && type == DT_DIR);
	close(a);
	close(b);
	topic_del(t);
	expect(!listed(t, NULL, NULL));
	expect_eq(entries(), n - 1);
}

TEST(size, "st_size is the end position: of the partition, or their sum")
{
	const char *t = topic_new(.partitions = 3);
	int fd = topic_open(t, "@1", O_WRONLY), fd2 = topic_open(t, "@2", O_WRONLY);
	struct stat st;

	expect_eq(status(t, "").st_size, 0);
	expect_ret(write(fd, "12345", 5), 5);
	expect_ret(write(fd2, "123", 3), 3);
	expect_ret(write(fd2, "1234", 4), 4);
	expect_eq(status(t, "@0").st_size, 0);
	expect_eq(status(t, "@1").st_size, 5);
	expect_eq(status(t, "@2+from=newest").st_size, 7);
	expect_eq(status(t, "").st_size, 12);
	expect_ret(fstat(fd2, &st), 0);
	expect_eq(st.st_size, 7);
	close(fd);
	close(fd2);
}

TEST(size_far, "the size of a log that starts far out, and a sum that is too large to show")
{
	const uint64_t start = (1ULL << 62) + 10;
	const char *t = topic_new(.partitions = 3, .start_position = start,
				  .set = MQT(START_POSITION));
	int fd = topic_open(t, "@2", O_WRONLY);

	expect_ret(write(fd, "12345", 5), 5);
	close(fd);
	expect_eq(status(t, "@0").st_size, start);
	expect_eq(status(t, "@2").st_size, start + 5);
	expect_eq(status(t, "").st_size, INT64_MAX);
}

static int64_t ns(struct statx_timestamp ts)
{
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

TEST(times, "modified is the time of the newest message, born the topic's creation")
{
	const char *t = topic_new(.partitions = 2);
	struct topic_info info;
	struct statx stx;
	int64_t before, after;
	int fd = topic_open(t, "@1", O_WRONLY);

	need_eq(topic_get(t, &info), 0);
	need_ret(statx(AT_FDCWD, path(t, ""), 0, STATX_ALL, &stx), 0);
	expect(stx.stx_mask & STATX_BTIME);
	expect_eq(ns(stx.stx_btime), info.created);
	expect_eq(ns(stx.stx_mtime), info.created);
	sleep_ms(20);
	before = wall_ns();
	expect_ret(write(fd, "x", 1), 1);
	after = wall_ns();
	need_ret(statx(AT_FDCWD, path(t, ""), 0, STATX_ALL, &stx), 0);
	expect(ns(stx.stx_mtime) >= before && ns(stx.stx_mtime) <= after);
	need_ret(statx(AT_FDCWD, path(t, "@0"), 0, STATX_ALL, &stx), 0);
	expect_eq(ns(stx.stx_mtime), info.created);
	/* touch is accepted. */
	expect_ret(utimensat(AT_FDCWD, path(t, ""), NULL, 0), 0);
	close(fd);
}

TEST(recreated, "a topic created anew is found at once, although files of the old one are open")
{
	const char *t = topic_new(.mode = 0600);
	struct stat old, new, st;
	struct topic_info a, b;
	int fd, fd0, again;

	need_eq(topic_get(t, &a), 0);
	fd = topic_open(t, "", O_RDWR);
	fd0 = topic_open(t, "@0+until=end", O_RDONLY);
	need_ret(fstat(fd, &old), 0);
	need_eq(topic_del(t), 0);
	expect_err(stat(path(t, ""), &st), ENOENT);
	expect_err(stat(path(t, "@0+until=end"), &st), ENOENT);
	expect_err(open(path(t, ""), O_WRONLY | O_CREAT, 0600), ENOENT);
	expect(!listed(t, NULL, NULL));

	need_eq(topic_add(&(struct topic_opts) { .name = t, .mode = 0640, .set = MQT(MODE) }), 0);
	need_eq(topic_get(t, &b), 0);
	expect(memcmp(a.id, b.id, sizeof(a.id)));
	again = topic_open(t, "", O_RDWR);
	need_ret(fstat(again, &new), 0);
	expect(new.st_ino != old.st_ino);
	expect(new.st_rdev != old.st_rdev);
	expect_eq(new.st_mode & 07777, 0640);
	expect_eq(status(t, "@0+until=end").st_mode & 07777, 0640);
	expect_ret(write(again, "new", 3), 3);
	expect_err(write(fd, "old", 3), ENODEV);
	/* The old files are still what they were. */
	need_ret(fstat(fd, &st), 0);
	expect_eq(st.st_ino, old.st_ino);
	expect_eq(st.st_size, 0);
	expect_eq(st.st_mode & 07777, 0600);
	expect_ret(fchmod(fd0, 0644), 0);
	need_ret(fstat(fd, &st), 0);
	expect_eq(st.st_mode & 07777, 0644);
	expect_eq(status(t, "").st_mode & 07777, 0640);
	close(fd);
	close(fd0);
	close(again);
}

TEST(node, "a node of the same number made elsewhere opens with ENXIO")
{
	const char *t = topic_new(.mode = 0666);
	const char *node = "/dev/mqtest-node";

	unlink(node);
	need_ret(mknod(node, S_IFCHR | 0666, status(t, "").st_rdev), 0);
	expect_err(open(node, O_RDONLY), ENXIO);
	expect_err(open(node, O_WRONLY), ENXIO);
	unlink(node);
}
