// SPDX-License-Identifier: GPL-2.0
/* KERNEL: fault-injection */
/* TIMEOUT: 600 */
/*
 * Every system call of the module with its first, second, third, ...
 * allocation or user copy failing (/proc/self/fail-nth), until none is hit any more
 * (faults.md E.28). Each time: it worked, or said why not by an errno that such a failure
 * may have, nothing is half done, and the same call works right afterwards.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "helpers/filter.h"
#include "helpers/nth.h"

/* --- the topic that calls are made on ------------------------------------------- */

static struct {
	const char *topic;
	int fd, other;
	uint64_t messages;
	struct batch *batch;
	void *flat;
	size_t len;
	char path[256];
} at;

static void expect_messages(uint64_t n)
{
	expect_eq(topic_counters(at.topic).messages_in, n);
}

static long do_open(void)
{
	return open(at.path, at.other);
}

static void check_open(long fd)
{
	struct topic_stats s;

	if (fd >= 0)
		close(fd);
	s = topic_counters(at.topic);
	expect_eq(s.readers, 0);
	expect_eq(s.writers, 0);
}

TEST_LIMIT(nth_open, "E.28: open, of a topic and of its partitions, in every way", 300)
{
	static const char *const how[] = { "", "@1", "+from=newest", "+since=1h+until=end",
					   "+format=record+overrun=skip" };
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };

	at.topic = topic_new(.partitions = 3, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	nth_begin();
	for (size_t i = 0; i < sizeof(how) / sizeof(*how); i++) {
		for (size_t k = 0; k < 3; k++) {
			snprintf(at.path, sizeof(at.path), "%s", topic_path(at.topic, how[i]));
			at.other = flags[k];
			expect(nth_run(&(struct nth) { how[i], do_open, check_open }) > 0);
		}
	}
}

static char big[65536];

static long do_write_short(void)
{
	return write(at.fd, "hello\n", 6);
}

static long do_write_big(void)
{
	return write(at.fd, big, sizeof(big));
}

static long do_writev(void)
{
	struct iovec iov[3] = { { "one", 3 }, { big, 5000 }, { "two\n", 4 } };

	return writev(at.fd, iov, 3);
}

static long do_write_batch(void)
{
	return write(at.fd, at.flat, at.len);
}

/* Whole or not at all. */
static void check_written(long ret)
{
	at.messages += ret > 0;
	expect_messages(at.messages);
}

static void check_batch(long ret)
{
	if (ret > 0)
		at.messages += 40;
	expect_messages(at.messages);
}

TEST_LIMIT(nth_write, "E.28: write and writev: a message whole or not at all, into a ring without memory yet", 300)
{
	static const struct nth calls[] = {
		{ "write", do_write_short, check_written },
		{ "write of 64 KiB", do_write_big, check_written },
		{ "writev", do_writev, check_written },
	};

	nth_begin();
	for (size_t i = 0; i < 3; i++) {
		/* Each in a new topic: its first message needs memory. */
		at.topic = topic_new(.ring_bytes = 1 << 20, .partitions = 2);
		at.messages = 0;
		at.fd = topic_open(at.topic, "", O_WRONLY);
		expect(nth_run(&calls[i]) > 0);
		nth_rerun(30, &calls[i]);
		close(at.fd);
	}
}

TEST_LIMIT(nth_record, "E.28: a batch over several partitions, with keys and headers: all or none", 300)
{
	char key[16];

	at.topic = topic_new(.partitions = 4, .stamp = MQ_STAMP_UID | MQ_STAMP_CGROUP);
	at.messages = 0;
	at.fd = topic_open(at.topic, "+format=record", O_WRONLY);
	at.batch = batch_new();
	for (int i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		batch_add(at.batch, big, 1000 + i);
		batch_attr(at.batch, MQ_ATTR_KEY, key, strlen(key));
		batch_header(at.batch, "name", "value", 5);
	}
	at.flat = batch_build(at.batch, MQ_PARTITION_ANY, &at.len);
	nth_begin();
	expect(nth_run(&(struct nth) { "record write", do_write_batch, check_batch }) > 0);
	nth_rerun(10, &(struct nth) { "record write", do_write_batch, check_batch });
	batch_free(at.batch);
}

static long do_write_line(void)
{
	return write(at.fd, "a line\nand the beginning of ano", 31);
}

static long do_write_rest(void)
{
	return write(at.fd, "ther\n", 5);
}

static void check_line(long ret)
{
	/* The line is there; of the unfinished one what fits may have been kept. */
	if (ret >= 7)
		at.messages++;
	expect_messages(at.messages);
	if (ret > 7) {
		need_ret(write(at.fd, "\n", 1), 1);
		at.messages++;
	}
}

static void check_rest(long ret)
{
	at.messages += ret == 5;
	expect_messages(at.messages);
}

TEST_LIMIT(nth_line, "E.28: lines, finished and unfinished", 300)
{
	at.topic = topic_new(.framing = MQ_FRAMING_LINE);
	at.messages = 0;
	nth_begin();
	/* A new file each time: its buffer is allocated by the first unfinished line. */
	for (int k = 0; k < 20; k++) {
		at.fd = topic_open(at.topic, "", O_WRONLY);
		expect(nth_run(&(struct nth) { "line", do_write_line, check_line }) > 0 || k);
		nth_run(&(struct nth) { "rest of a line", do_write_rest, check_rest });
		close(at.fd);
	}
}

static char buf[1 << 17];

static long do_read(void)
{
	return read(at.fd, buf, sizeof(buf));
}

static long do_readv(void)
{
	struct iovec iov[2] = { { buf, 100 }, { buf + 200, sizeof(buf) - 200 } };

	return readv(at.fd, iov, 2);
}

/* A failed read moved nothing: what comes next is the next message. */
static void check_read(long ret)
{
	uint32_t got;

	if (ret < 0)
		return;
	need_ret(ret, 1000);
	memcpy(&got, buf, 4);
	expect_eq(got, at.messages);
	at.messages++;
}

static void check_record(long ret)
{
	static struct rec r[64];

	if (ret < 0)
		return;
	expect_eq(batch_parse(buf, ret, r, 64, NULL), 50);
	need_ret(lseek(at.fd, 0, SEEK_SET), 0);
}

TEST_LIMIT(nth_read, "E.28: read, readv, records, of one partition and of several", 300)
{
	int fd;

	at.topic = topic_new(.ring_bytes = 1 << 20);
	fd = topic_open(at.topic, "", O_WRONLY);
	for (uint32_t i = 0; i < 50; i++) {
		memcpy(big, &i, 4);
		need_ret(write(fd, big, 1000), 1000);
	}
	nth_begin();
	at.messages = 0;
	at.fd = topic_open(at.topic, "", O_RDONLY | O_NONBLOCK);
	expect(nth_run(&(struct nth) { "read", do_read, check_read }) > 0);
	close(at.fd);
	at.messages = 0;
	at.fd = topic_open(at.topic, "", O_RDWR | O_NONBLOCK);
	nth_run(&(struct nth) { "readv", do_readv, check_read });
	close(at.fd);
	at.fd = topic_open(at.topic, "+format=record", O_RDONLY | O_NONBLOCK);
	expect(nth_run(&(struct nth) { "record read", do_read, check_record }) > 0);
	close(at.fd);
}

static int pipe_fd[2], sock_fd[2];

static long do_splice(void)
{
	return splice(at.fd, NULL, pipe_fd[1], NULL, 60000, SPLICE_F_NONBLOCK);
}

static long do_splice_in(void)
{
	return splice(pipe_fd[0], NULL, at.fd, NULL, 60000, SPLICE_F_NONBLOCK);
}

static long do_sendfile(void)
{
	return sendfile(sock_fd[0], at.fd, NULL, 100000);
}

/* What came out is what the position has passed, byte for byte. */
static void check_out(int fd, long ret)
{
	long got = 0, n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n; i++)
			expect_eq((unsigned char)buf[i], (at.messages + got + i) % 251);
		got += n;
	}
	expect_eq(got, ret < 0 ? 0 : ret);
	at.messages += got;
	need_ret(lseek(at.fd, 0, SEEK_CUR), (long)at.messages);
}

static void check_spliced(long ret)
{
	check_out(pipe_fd[0], ret);
	need_ret(lseek(at.fd, 0, SEEK_SET), 0);
	at.messages = 0;
}

static void check_sent(long ret)
{
	check_out(sock_fd[1], ret);
	need_ret(lseek(at.fd, 0, SEEK_SET), 0);
	at.messages = 0;
}

static void check_spliced_in(long ret)
{
	at.messages += ret > 0;
	expect_messages(at.messages);
	while (read(pipe_fd[0], buf, sizeof(buf)) > 0)
		;
	need_ret(write(pipe_fd[1], big, 8000), 8000);
}

TEST_LIMIT(nth_splice, "E.28: splice and sendfile, in both directions", 300)
{
	int fd;

	at.topic = topic_new(.ring_bytes = 1 << 20);
	fd = topic_open(at.topic, "", O_WRONLY);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i % 251;
	need_ret(write(fd, big, 251 * 250), 251 * 250);
	need_ret(pipe2(pipe_fd, O_NONBLOCK), 0);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sock_fd), 0);
	nth_begin();
	at.fd = topic_open(at.topic, "", O_RDONLY | O_NONBLOCK);
	at.messages = 0;
	/* By reference it needs nothing. */
	nth_run(&(struct nth) { "splice", do_splice, check_spliced });
	expect(nth_run(&(struct nth) { "sendfile", do_sendfile, check_sent }) > 0);
	topic_set(at.topic, .lend = 0, .set = MQT(LEND));
	expect(nth_run(&(struct nth) { "copying splice", do_splice, check_spliced }) > 0);
	expect(nth_run(&(struct nth) { "copying sendfile", do_sendfile, check_sent }) > 0);
	close(at.fd);

	at.topic = topic_new(.ring_bytes = 1 << 20);
	at.fd = topic_open(at.topic, "", O_WRONLY | O_NONBLOCK);
	at.messages = 0;
	need_ret(write(pipe_fd[1], big, 8000), 8000);
	expect(nth_run(&(struct nth) { "splice into", do_splice_in, check_spliced_in }) > 0);
	nth_rerun(60, &(struct nth) { "splice into", do_splice_in, check_spliced_in });
}

static long do_mmap(void)
{
	size_t len = at.len;
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, at.fd, 0);

	if (p == MAP_FAILED)
		return -1;
	if (munmap(p, len))
		return -1;
	return 0;
}

TEST_LIMIT(nth_mmap, "E.28: mmap and munmap", 300)
{
	const struct mq_map_header *h;

	nth_begin();
	for (int k = 0; k < 4; k++) {
		at.topic = topic_new(.ring_bytes = 65536);
		at.fd = topic_open(at.topic, "", O_RDWR);
		need_ret(write(at.fd, "x", 1), 1);
		at.len = 4096;
		expect(nth_run(&(struct nth) { "mmap", do_mmap, NULL }) > 0);
		h = mmap(NULL, 4096, PROT_READ, MAP_SHARED, at.fd, 0);
		need(h != MAP_FAILED);
		at.len = h->length;
		expect(nth_run(&(struct nth) { "mmap of all", do_mmap, NULL }) > 0);
		close(at.fd);
	}
}

static long do_stat_ioctl(void)
{
	struct mq_stat st = { .size = sizeof(st) };

	return ioctl(at.fd, MQ_IOC_STAT, &st);
}

static long do_seek_ioctl(void)
{
	return file_seek(at.fd, MQ_SEEK_TIME, 1, NULL);
}

static long do_features(void)
{
	struct mq_features f = { .size = sizeof(f) };

	return ioctl(at.fd, MQ_IOC_FEATURES, &f);
}

static long do_get_options(void)
{
	struct mq_options o = { .size = sizeof(o) };

	return ioctl(at.fd, MQ_IOC_GET_OPTIONS, &o);
}

static long do_set_options(void)
{
	struct mq_options o = { .size = sizeof(o), .mask = MQ_OPTION_OVERRUN | MQ_OPTION_UNTIL,
				.overrun = 1, .until = 1 };

	return ioctl(at.fd, MQ_IOC_SET_OPTIONS, &o);
}

static long do_watermark(void)
{
	struct mq_watermark w = { .size = sizeof(w), .messages = 10, .delay = 1000000 };

	return ioctl(at.fd, MQ_IOC_WATERMARK, &w);
}

static long do_filter(void)
{
	return filter_first(at.fd, 'x');
}

static long do_filtered(void)
{
	long ret = filter_first(at.fd, 'x');

	if (!ret)
		ret = read(at.fd, buf, sizeof(buf));
	return ret < 0 && errno == EAGAIN ? 0 : ret;
}

static long do_fionread(void)
{
	int n;

	return ioctl(at.fd, FIONREAD, &n);
}

static long do_poll(void)
{
	struct pollfd p = { .fd = at.fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0);
}

static long do_epoll(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT };
	int fd = epoll_create1(0), ret;

	if (fd < 0)
		return -1;
	ret = epoll_ctl(fd, EPOLL_CTL_ADD, at.fd, &e);
	close(fd);
	return ret;
}

static long do_fsync(void)
{
	int ret = fsync(at.fd);

	/* A memory topic is never durable. */
	return ret < 0 && errno == EINVAL ? 0 : ret;
}

static long do_fcntl(void)
{
	int ret = fcntl(at.fd, F_SETFL, O_NONBLOCK | O_ASYNC);

	return ret ? ret : fcntl(at.fd, F_SETFL, O_NONBLOCK);
}

static long do_fdinfo(void)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", at.fd);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	ret = read(fd, buf, sizeof(buf));
	close(fd);
	return ret;
}

TEST_LIMIT(nth_calls, "E.28: ioctls, poll, epoll, fsync, fcntl, fdinfo, on a file of one and of several partitions", 300)
{
	static const struct nth calls[] = {
		{ "MQ_IOC_STAT", do_stat_ioctl, NULL },
		{ "MQ_IOC_SEEK", do_seek_ioctl, NULL },
		{ "MQ_IOC_FEATURES", do_features, NULL },
		{ "MQ_IOC_GET_OPTIONS", do_get_options, NULL },
		{ "MQ_IOC_SET_OPTIONS", do_set_options, NULL },
		{ "MQ_IOC_WATERMARK", do_watermark, NULL },
		{ "MQ_IOC_FILTER", do_filter, NULL },
		{ "a filtered read", do_filtered, NULL },
		{ "FIONREAD", do_fionread, NULL },
		{ "poll", do_poll, NULL },
		{ "epoll_ctl", do_epoll, NULL },
		{ "fsync", do_fsync, NULL },
		{ "fcntl", do_fcntl, NULL },
		{ "fdinfo", do_fdinfo, NULL },
	};
	unsigned int hits = 0;

	nth_begin();
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		at.topic = topic_new(.partitions = 1);
		at.fd = topic_open(at.topic, "", O_RDWR | O_NONBLOCK);
		need_ret(write(at.fd, "x", 1), 1);
		/* Cursors for these are made by the call. */
		topic_set(at.topic, .partitions = 9);
		hits += nth_run(&calls[i]);
		close(at.fd);
	}
	expect(hits > 0);
}

static long do_getdents(void)
{
	int fd = open(MQ_DIR, O_RDONLY | O_DIRECTORY);
	long ret;

	if (fd < 0)
		return -1;
	ret = syscall(SYS_getdents64, fd, buf, sizeof(buf));
	close(fd);
	return ret;
}

static long do_fstatat(void)
{
	struct stat st;

	return stat(at.path, &st);
}

static long do_chmod(void)
{
	return chmod(at.path, 0640);
}

static long do_chown(void)
{
	return chown(at.path, 0, 0);
}

static long do_setacl(void)
{
	/* user::rw- user:1000:rw- group::r-- mask::rw- other::--- */
	static const uint32_t acl[] = { 2, 6 << 16 | 1, 0xffffffff, 6 << 16 | 2, 1000,
					4 << 16 | 4, 0xffffffff, 6 << 16 | 0x10, 0xffffffff,
					0 << 16 | 0x20, 0xffffffff };

	return setxattr(at.path, "system.posix_acl_access", acl, sizeof(acl), 0);
}

static long do_getacl(void)
{
	return getxattr(at.path, "system.posix_acl_access", buf, sizeof(buf));
}

static long do_mount(void)
{
	return mount("mq", "/mnt", "mq", 0, NULL);
}

static void check_mount(long ret)
{
	if (!ret)
		need_ret(umount2("/mnt", MNT_DETACH), 0);
}

TEST_LIMIT(nth_fs, "E.28: the file system: look-up, readdir, stat, chmod, chown, ACLs, mount", 300)
{
	static const struct nth calls[] = {
		{ "getdents", do_getdents, NULL },
		{ "stat", do_fstatat, NULL },
		{ "chmod", do_chmod, NULL },
		{ "chown", do_chown, NULL },
		{ "setxattr", do_setacl, NULL },
		{ "getxattr", do_getacl, NULL },
		{ "mount", do_mount, check_mount },
	};

	nth_begin();
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		at.topic = topic_new(.partitions = 2);
		snprintf(at.path, sizeof(at.path), "%s", topic_path(at.topic, "@1"));
		/* Without one ENODATA would be right. */
		if (calls[i].call == do_getacl)
			need_ret(do_setacl(), 0);
		expect(nth_run(&calls[i]) > 0);
	}
}

TEST(nth_memory, "E.28: nothing of all that is left")
{
	struct module_info m = module_settled();

	expect_eq(m.topics, 0);
	expect_eq(m.memory, 0);
}
