// SPDX-License-Identifier: GPL-2.0
/* ioctls: numbers, sizes, alignment, padding; the same from a 32-bit program. */
#define _GNU_SOURCE
#include <libgen.h>
#include <limits.h>
#include <sys/mman.h>

#include "helpers/ioctls.h"
#include "mqtest.h"

TEST(ioctl_features, "MQ_IOC_FEATURES tells version, features and sizes")
{
	const char *t = topic_new();
	struct mq_features f;
	int fd = topic_open(t, "", O_WRONLY);

	need_ret(file_features(fd, &f), 0);
	expect_eq(f.size, sizeof(f));
	expect_eq(f.version, MQ_API_VERSION);
	expect_eq(f.entry_size, sizeof(struct mq_entry));
	expect_eq(f.batch_size, sizeof(struct mq_batch));
	expect_eq(f.features & 0x7f, MQ_FEATURE_SPLICE | MQ_FEATURE_LINE | MQ_FEATURE_RECORD |
		  MQ_FEATURE_ATTRS | MQ_FEATURE_PARTITIONS | MQ_FEATURE_HOLD_READERS |
		  MQ_FEATURE_PERSISTENT);
	expect_eq(f.features >> 8, (MQ_FEATURE_OPTIONS | MQ_FEATURE_FILTER | MQ_FEATURE_SIGNAL |
				    MQ_FEATURE_NOWAIT | MQ_FEATURE_WATERMARK) >> 8);
	expect_eq(sizeof(struct mq_entry), 64);
	expect_eq(sizeof(struct mq_record), 16);
}

TEST(ioctl_stat, "MQ_IOC_STAT tells the configuration and where the file stands")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 128, .attr_bytes = 8192,
				  .max_message_bytes = 999, .persistent = 1,
				  .framing = MQ_FRAMING_LINE);
	int fd = topic_open(t, "", O_RDWR), rec = topic_open(t, "+format=record", O_RDONLY);
	struct topic_info info;
	struct mq_stat s;

	need_ret(write(fd, "one\ntwo\nthree", 13), 13);
	s = file_stat(fd);
	expect_eq(s.size, sizeof(s));
	expect_eq(s.flags & ~MQ_STAT_HOLDING, MQ_STAT_PERSISTENT | MQ_STAT_LINE);
	expect_eq(s.ring_bytes, 65536);
	expect_eq(s.ring_messages, 128);
	expect_eq(s.attr_bytes, 8192);
	expect_eq(s.max_message_bytes, 999);
	expect_eq(s.head_offset, 2);
	expect_eq(s.head_position, 8);
	expect_eq(s.lag_messages, 2);
	expect_eq(s.lag_bytes, 8);
	expect_eq(s.durable_offset, 0);
	need_eq(topic_get(t, &info), 0);
	expect_mem(s.topic_id, 16, info.id, 16);
	expect(file_stat(rec).flags & MQ_STAT_RECORD);
	need_eq(topic_del(t), 0);
	expect(file_stat(fd).flags & MQ_STAT_DELETED);
	expect_eq(file_stat(fd).lag_messages, 2);
}

TEST(ioctl_unknown, "A.6: unknown numbers, directions and sizes in the number are ENOTTY")
{
	static const unsigned long numbers[] = {
		0, 1, 0x5401 /* TCGETS */, _IO(MQ_IOC_MAGIC, 0), _IOR(MQ_IOC_MAGIC, 1, struct mq_stat),
		_IOW(MQ_IOC_MAGIC, 1, struct mq_stat), _IOWR(MQ_IOC_MAGIC, 3, struct mq_seek),
		_IOWR(MQ_IOC_MAGIC, 0xff, struct mq_stat), _IOWR(0xbd, 1, struct mq_stat),
		_IOC(_IOC_READ | _IOC_WRITE, MQ_IOC_MAGIC, 1, MQ_STAT_SIZE_VER0 - 8),
		_IOC(_IOC_READ | _IOC_WRITE, MQ_IOC_MAGIC, 1, sizeof(struct mq_stat)),
		_IOWR(MQ_IOC_MAGIC, 5, struct mq_filter), _IO(MQ_IOC_MAGIC, 6),
		_IOC(_IOC_READ | _IOC_WRITE, MQ_IOC_MAGIC, 1, 0x3fff), 0xffffffff,
	};
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDWR);
	static char arg[1 << 14];

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int ret = ioctl(fd, numbers[i], arg);

		if (ret != -1 || errno != ENOTTY)
			fail("ioctl %#lx: %d (%s), expected ENOTTY", numbers[i], ret,
			     mqt_errno(errno));
	}
}

TEST(ioctl_sizes, "A.6: size field: 0, too small EINVAL; larger with zeros right, with a bit E2BIG")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDONLY);
	static char arg[1 << 16];
	uint32_t *size = (void *)arg;

	for (unsigned int i = 0; i < sizeof(sized_ioctls) / sizeof(sized_ioctls[0]); i++) {
		memset(arg, 0, sizeof(arg));
		expect_err(ioctl(fd, sized_ioctls[i].cmd, arg), EINVAL);
		for (uint32_t n = 1; n < 8; n++) {
			*size = n;
			expect_err(ioctl(fd, sized_ioctls[i].cmd, arg), EINVAL);
		}
		*size = sized_ioctls[i].size;
		expect_ret(ioctl(fd, sized_ioctls[i].cmd, arg), 0);
		memset(arg, 0, sizeof(arg));
		*size = sized_ioctls[i].size + 64;
		expect_ret(ioctl(fd, sized_ioctls[i].cmd, arg), 0);
		for (uint32_t n = 0; n < 64; n++) {
			if (arg[sized_ioctls[i].size + n])
				fail("bytes behind the structure were written");
		}
		memset(arg, 0, sizeof(arg));
		*size = sized_ioctls[i].size + 64;
		arg[sized_ioctls[i].size + 63] = 1;
		expect_err(ioctl(fd, sized_ioctls[i].cmd, arg), E2BIG);
		memset(arg, 0, sizeof(arg));
		*size = 0xffffffff;
		expect(ioctl(fd, sized_ioctls[i].cmd, arg) == -1 && (errno == EINVAL || errno == E2BIG));
	}
}

TEST(ioctl_stat_sizes, "A.6: a program that knows the first version of mq_stat gets just that")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDONLY);
	struct mq_stat s;

	need_eq(_IOC_SIZE(MQ_IOC_STAT), 152);
	memset(&s, 0x5a, sizeof(s));
	s.size = MQ_STAT_SIZE_VER0;
	expect_ret(ioctl(fd, MQ_IOC_STAT, &s), 0);
	expect_eq(s.size, sizeof(s));
	expect_eq(s.max_message_bytes, 1 << 20);
	expect_eq(s.filtered_messages, 0x5a5a5a5a5a5a5a5a);
	s.size = MQ_STAT_SIZE_VER0 - 1;
	expect_err(ioctl(fd, MQ_IOC_STAT, &s), EINVAL);
}

TEST(ioctl_memory, "A.6: odd alignment works; bad, read-only and half-mapped memory is EFAULT")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDONLY);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t size = sizeof(struct mq_stat);

	need(map != MAP_FAILED);
	for (int shift = 1; shift < 8; shift++) {
		memset(map, 0, 4096);
		memcpy(map + shift, &size, 4);
		expect_ret(ioctl(fd, MQ_IOC_STAT, map + shift), 0);
	}
	expect_err(ioctl(fd, MQ_IOC_STAT, bad_ptr), EFAULT);
	expect_err(ioctl(fd, MQ_IOC_STAT, NULL), EFAULT);
	need(!munmap(map + 4096, 4096));
	memcpy(map + 4092, &size, 4);
	expect_err(ioctl(fd, MQ_IOC_STAT, map + 4092), EFAULT);
	memset(map, 0, 4096);
	memcpy(map, &size, 4);
	need(!mprotect(map, 4096, PROT_READ));
	expect_err(ioctl(fd, MQ_IOC_STAT, map), EFAULT);
}

TEST(ioctl_input, "A.6: input members that must be zero are checked")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDONLY);
	struct mq_seek seek = { .size = sizeof(seek), .whence = MQ_SEEK_OLDEST, .value = 1 };
	int n = 0x5a5a5a5a;

	expect_err(ioctl(fd, MQ_IOC_SEEK, &seek), EINVAL);
	seek = (struct mq_seek) { .size = sizeof(seek), .whence = 77 };
	expect_err(ioctl(fd, MQ_IOC_SEEK, &seek), EINVAL);
	expect_ret(ioctl(fd, FIONREAD, &n), 0);
	expect_eq(n, 0);
	expect_err(ioctl(fd, FIONREAD, bad_ptr), EFAULT);
}

TEST(ioctl_fionread, "FIONREAD is for files that are open for reading")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);

	need_ret(write(fd, "x", 1), 1);
	expect_eq(file_readable(rd), 1);
	expect_eq(file_readable(fd), -1);	/* opened for writing only */
}

TEST(ioctl_no_leak, "F.32: what comes back is all defined, whatever the stack had: calls agree, byte by byte")
{
	static const struct {
		unsigned long cmd;
		uint32_t size, in;	/* so much of it is the caller's */
	} calls[] = {
		{ MQ_IOC_FEATURES, sizeof(struct mq_features), 4 },
		{ MQ_IOC_STAT, sizeof(struct mq_stat), 4 },
		{ MQ_IOC_SEEK, sizeof(struct mq_seek), offsetof(struct mq_seek, offset) },
		{ MQ_IOC_GET_OPTIONS, sizeof(struct mq_options), 4 },
	};
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDONLY);
	struct stat st;

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint8_t ret[2][256];

		for (int k = 0; k < 2; k++) {
			memset(ret[k], 0, calls[i].in);
			memset(ret[k] + calls[i].in, k ? 0xff : 0x5a, sizeof(ret[k]) - calls[i].in);
			memcpy(ret[k], &calls[i].size, 4);
			/* Other calls between, so that the stack is not the same. */
			for (int n = 0; k && n < 10; n++)
				expect(!fstat(fd, &st) && file_readable(fd) == 0);
			need_ret(ioctl(fd, calls[i].cmd, ret[k]), 0);
			for (unsigned int n = calls[i].size; n < sizeof(ret[k]); n++)
				if (ret[k][n] != (k ? 0xff : 0x5a))
					fail("byte %u behind the structure was written", n);
		}
		expect_mem(ret[0], calls[i].size, ret[1], calls[i].size);
	}
}

TEST(ioctl_32bit, "A.6: a 32-bit program has the same layouts, ioctls, records and large positions")
{
	const char *t = topic_new(.start_offset = 1ULL << 33, .start_position = (1ULL << 34) + 1);
	char path[PATH_MAX], *dir;
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);
	pid_t pid;
	int status;

	need(len > 0);
	path[len] = 0;
	dir = strdup(dirname(path));
	snprintf(path, sizeof(path), "%s/helpers/abi32", dir);
	if (access(path, X_OK))
		skip("no %s: the compiler makes no 32-bit programs", path);
	pid = fork();
	if (!pid) {
		dup2(1, 2);
		execl(path, path, topic_path(t, ""), (char *)NULL);
		_exit(127);
	}
	status = child_wait(pid, SOON);
	expect_eq(status, 0);
	expect_eq(topic_counters(t).messages_in, 3);
}
