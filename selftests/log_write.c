// SPDX-License-Identifier: GPL-2.0
/* What a write is: one message, whole or not at all; both sides of each limit. */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/mman.h>

#include "mqtest.h"

/* Messages in the topic's only partition. */
static uint64_t head(const char *topic)
{
	return partition_state(topic, 0).head_offset;
}

static void expect_nothing_appended(const char *topic)
{
	struct partition_info p = partition_state(topic, 0);

	expect_eq(p.head_offset, 0);
	expect_eq(p.head_position, 0);
	expect_eq(p.stats.messages_in, 0);
	expect_eq(p.stats.bytes_in, 0);
}

TEST(write_zero, "A.1: a write of 0 bytes returns 0 and appends nothing")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	struct iovec iov[2] = { { "", 0 }, { NULL, 0 } };

	expect_ret(write(fd, "", 0), 0);
	expect_ret(write(fd, NULL, 0), 0);
	expect_ret(writev(fd, iov, 2), 0);
	expect_ret(writev(fd, iov, 0), 0);
	expect_ret(pwrite(fd, "", 0, 7), 0);
	expect_nothing_appended(t);
}

TEST(write_max, "A.1: max_message_bytes fits, one byte more is EMSGSIZE")
{
	const char *t = topic_new(.ring_bytes = 65536, .max_message_bytes = 1000);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char buf[1001], got[2000];

	pattern_fill(buf, sizeof(buf), 1);
	expect_err(write(fd, buf, 1001), EMSGSIZE);
	expect_nothing_appended(t);
	expect_ret(write(fd, buf, 1000), 1000);
	expect_err(write(fd, buf, 1001), EMSGSIZE);
	expect_eq(head(t), 1);
	expect_mem(got, read(rd, got, sizeof(got)), buf, 1000);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
}

TEST(write_quarter, "A.1: the limit by default is 1 MiB, or a quarter of a smaller ring")
{
	char *buf = calloc(1, 1048577);
	struct topic_info info;
	const char *t;
	int fd;

	t = topic_new();
	need_eq(topic_get(t, &info), 0);
	expect_eq(info.o.ring_bytes, 4194304);
	expect_eq(info.o.max_message_bytes, 1048576);
	fd = topic_open(t, "", O_WRONLY);
	expect_err(write(fd, buf, 1048577), EMSGSIZE);
	expect_ret(write(fd, buf, 1048576), 1048576);

	t = topic_new(.ring_bytes = 65536);
	need_eq(topic_get(t, &info), 0);
	expect_eq(info.o.max_message_bytes, 16384);
	fd = topic_open(t, "", O_WRONLY);
	expect_err(write(fd, buf, 16385), EMSGSIZE);
	expect_ret(write(fd, buf, 16384), 16384);
	expect_eq(head(t), 1);
}

TEST(write_huge, "A.1: absurd lengths fail cleanly and append nothing")
{
	static const size_t lens[] = { 1UL << 31, UINT32_MAX, (1UL << 32) + 1, SSIZE_MAX,
				       (size_t)SSIZE_MAX + 1, SIZE_MAX };
	static const char *const options[] = { "", "@0", "+format=record" };
	const char *t = topic_new();
	void *map = mmap(NULL, (1UL << 32) + 8192, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(map != MAP_FAILED);
	for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]) * 3; i++) {
		int fd = topic_open(t, options[i % 3], O_WRONLY);
		ssize_t ret = write(fd, map, lens[i / 3]);

		if (ret != -1 || (errno != EMSGSIZE && errno != EFAULT && errno != EINVAL))
			fail("write of %zu, %s: %zd, %s", lens[i / 3], options[i % 3], ret,
			     mqt_errno(errno));
		close(fd);
	}
	expect_nothing_appended(t);
}

TEST(writev_pieces, "A.2: writev of 1,024 pieces is one message")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	static struct iovec iov[1025];
	static char buf[1025 * 3], got[8192];
	volatile int minus = -1;

	pattern_fill(buf, sizeof(buf), 2);
	for (int i = 0; i < 1025; i++)
		iov[i] = (struct iovec) { buf + 3 * i, 3 };
	iov[500].iov_len = 0;	/* an empty piece is none */
	expect_err(writev(fd, iov, 1025), EINVAL);
	expect_err(writev(fd, iov, minus), EINVAL);
	expect_nothing_appended(t);
	expect_ret(writev(fd, iov, 1024), 3069);
	expect_eq(head(t), 1);
	memmove(buf + 1500, buf + 1503, sizeof(buf) - 1503);
	expect_mem(got, read(rd, got, sizeof(got)), buf, 3069);
}

TEST(writev_overflow, "A.2: writev whose total overflows appends nothing")
{
	const char *t = topic_new(.ring_bytes = 65536, .max_message_bytes = 100);
	int fd = topic_open(t, "", O_WRONLY);
	char buf[200];
	struct iovec iov[3] = { { buf, SSIZE_MAX }, { buf, SSIZE_MAX }, { buf, 3 } };
	ssize_t ret;

	memset(buf, 'x', sizeof(buf));
	ret = writev(fd, iov, 3);
	expect(ret == -1 && (errno == EINVAL || errno == EMSGSIZE || errno == EFAULT));
	iov[0].iov_len = 51;
	iov[1].iov_len = 50;
	expect_err(writev(fd, iov, 2), EMSGSIZE);
	expect_nothing_appended(t);
	iov[0].iov_len = 50;
	expect_ret(writev(fd, iov, 2), 100);
}

TEST(writev_fault, "A.2: a bad pointer in the middle: EFAULT, and not one byte is visible")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov[3] = { { "first", 5 }, { bad_ptr, 100 }, { "last", 4 } };
	char got[64];

	need(map != MAP_FAILED);
	memset(map, 'm', 3 * 4096);
	need(!munmap(map + 4096, 4096));
	expect_err(writev(fd, iov, 3), EFAULT);
	expect_err(write(fd, bad_ptr, 100), EFAULT);
	expect_err(write(fd, map, 5000), EFAULT);
	expect_err(write(fd, map + 4095, 2), EFAULT);
	expect_nothing_appended(t);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	expect_ret(write(fd, "good", 4), 4);
	expect_mem(got, read(rd, got, sizeof(got)), "good", 4);
	expect_ret(write(fd, map, 4096), 4096);
}

TEST(write_unfaulted, "memory that must be faulted in first is appended whole")
{
	const char *t = topic_new(.ring_bytes = 262144);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int file = memfd_create("mqtest", 0);
	static char buf[60000], got[70000];
	char *map;

	pattern_fill(buf, sizeof(buf), 3);
	need_ret(write(file, buf, sizeof(buf)), sizeof(buf));
	map = mmap(NULL, sizeof(buf), PROT_READ, MAP_SHARED, file, 0);
	need(map != MAP_FAILED);
	for (int i = 0; i < 50; i++) {
		need(!madvise(map, sizeof(buf), MADV_DONTNEED));
		need_ret(write(fd, map + i, sizeof(buf) - i), sizeof(buf) - i);
		if (!expect_mem(got, read(rd, got, sizeof(got)), buf + i, sizeof(buf) - i))
			break;
	}
	/* Past the end of a mapped file: SIGBUS for the process, EFAULT for a call. */
	need(!ftruncate(file, 4096));
	expect_err(write(fd, map, sizeof(buf)), EFAULT);
	expect_eq(head(t), 50);
}

TEST(write_offset, "the offset of pwrite is ignored, on every kind of file")
{
	static const int modes[] = { O_WRONLY, O_RDWR, O_WRONLY | O_APPEND };
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), fd;
	char got[16], want[16];

	for (int i = 0; i < 3; i++) {
		fd = topic_open(t, "", modes[i]);
		expect_ret(pwrite(fd, "abc", 3, 1000000), 3);
		expect_ret(pwrite(fd, "def", 3, 0), 3);
		expect_eq(head(t), 2 * i + 2);
		for (int k = 0; k < 2; k++) {
			snprintf(want, sizeof(want), k ? "def" : "abc");
			expect_mem(got, read(rd, got, sizeof(got)), want, 3);
		}
		close(fd);
	}
}

TEST(write_rwf, "A.11: RWF flags: APPEND is what a write does, DSYNC needs a store, unknown ones fail")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	struct iovec iov = { "x", 1 };
	ssize_t ret;

	expect_err(pwritev2(fd, &iov, 1, -1, RWF_DSYNC), EINVAL);
	expect_err(pwritev2(fd, &iov, 1, -1, RWF_SYNC), EINVAL);
	expect_err(pwritev2(fd, &iov, 1, 0, RWF_DSYNC | RWF_APPEND), EINVAL);
	expect_err(pwritev2(fd, &iov, 1, -1, 0x40000000), EOPNOTSUPP);
	expect_nothing_appended(t);
	expect_ret(pwritev2(fd, &iov, 1, 0, RWF_APPEND), 1);
	expect_ret(pwritev2(fd, &iov, 1, -1, RWF_HIPRI), 1);
	expect_eq(head(t), 2);
	/* Without waiting: done, or refused as a whole. */
	ret = pwritev2(fd, &iov, 1, -1, RWF_NOWAIT);
	expect(ret == 1 || (ret == -1 && (errno == EOPNOTSUPP || errno == EAGAIN)));
	expect_eq(head(t), 2 + (ret == 1));
}

TEST(write_modes, "A.11: files open the wrong way round are EBADF; open flags of a redirection do no harm")
{
	static const int flags[] = { O_TRUNC, O_CREAT | O_TRUNC, O_APPEND, O_CREAT | O_APPEND,
				     O_NONBLOCK, O_NOFOLLOW, O_NOCTTY };
	const char *t = topic_new();
	int fd, rd = topic_open(t, "", O_RDONLY);
	unsigned int n = sizeof(flags) / sizeof(flags[0]);
	char got[16];

	expect_err(write(rd, "x", 1), EBADF);
	fd = topic_open(t, "", O_WRONLY);
	expect_err(read(fd, got, 1), EBADF);
	close(fd);
	expect_nothing_appended(t);
	for (unsigned int i = 0; i < n; i++) {
		fd = open(topic_path(t, ""), O_WRONLY | O_CLOEXEC | flags[i], 0666);
		if (!expect(fd >= 0))
			continue;
		expect_ret(write(fd, "msg", 3), 3);
		expect_eq(head(t), i + 1);
		close(fd);
	}
	for (unsigned int i = 0; i < n; i++)
		expect_mem(got, read(rd, got, sizeof(got)), "msg", 3);
	fd = open(topic_path(t, ""), O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0666);
	expect(fd == -1 && errno == EEXIST);
}

TEST(write_sizes, "messages of every length up to 300 and around page sizes, over many laps")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 256);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	static char buf[16384], got[17000];
	uint64_t messages = 0, bytes = 0;
	struct partition_info p;

	for (unsigned int len = 1; len <= 16384; len += len < 300 ? 1 : 251) {
		unsigned int sizes[] = { len, 4096 - len % 3, 16384 - len % 5 };

		for (int k = 0; k < 3; k++) {
			pattern_fill(buf, sizes[k], messages);
			need_ret(write(fd, buf, sizes[k]), sizes[k]);
			need(expect_mem(got, read(rd, got, sizeof(got)), buf, sizes[k]));
			messages++;
			bytes += sizes[k];
		}
	}
	p = partition_state(t, 0);
	expect_eq(p.head_offset, messages);
	expect_eq(p.head_position, bytes);
	expect_eq(p.stats.messages_in, messages);
	expect_eq(p.stats.bytes_in, bytes);
	expect_eq(p.stats.messages_out, messages);
	expect_eq(p.stats.bytes_out, bytes);
	expect_eq(p.stats.evicted, p.tail_offset);
	expect_eq(p.stats.lost, 0);
	expect(p.stats.wraps > 10);
	expect(p.head_position - p.tail_position <= 65536);
	expect(p.head_offset - p.tail_offset <= 256);
}

TEST(write_entry, "a message's entry says when, by whom, how long, with which checksum")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+format=record", O_RDONLY);
	static uint64_t buf[1024];
	struct rec r[4];
	uint64_t before, after;
	struct mq_batch head;
	pid_t pid;

	before = wall_ns();
	need_ret(write(fd, "hello", 5), 5);
	after = wall_ns();
	pid = fork();
	if (!pid)	/* another writer on the same file */
		_exit(write(fd, "child", 5) != 5);
	need(child_ok(pid, SOON));
	need_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 4, &head), 2);
	expect_eq(head.partition, 0);
	expect_mem(head.topic_id, 16, file_stat(rd).topic_id, 16);
	expect_eq(r[0].e->offset, 0);
	expect_eq(r[0].e->position, 0);
	expect_eq(r[0].e->len, 5);
	expect_eq(r[0].e->attr_len, 0);
	expect_eq(r[0].e->flags, 0);
	expect_eq(r[0].e->pid, getpid());
	expect_eq(r[0].e->uid, 0);
	/* The clock an entry is stamped by may be a tick behind. */
	expect(r[0].e->timestamp >= (int64_t)before - 100000000 && r[0].e->timestamp <= (int64_t)after);
	expect_eq(r[1].e->offset, 1);
	expect_eq(r[1].e->position, 5);
	expect_eq(r[1].e->pid, pid);
	expect_mem(r[1].payload, r[1].e->len, "child", 5);
}

TEST(write_uid, "the uid of an entry is the opener's, not the writer's")
{
	const char *t = topic_new(.mode = 0666);
	int rd = topic_open(t, "+format=record", O_RDONLY), fd = topic_open(t, "", O_WRONLY);
	static uint64_t buf[1024];
	struct rec r[4];
	pid_t pid = fork();

	if (!pid) {	/* root's file, written by 1000; then 1000's own */
		int own;

		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(2);
		own = topic_try_open(t, "", O_WRONLY);
		_exit(write(fd, "a", 1) != 1 || write(own, "b", 1) != 1);
	}
	need(child_ok(pid, SOON));
	need_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 4, NULL), 2);
	expect_eq(r[0].e->uid, 0);
	expect_eq(r[1].e->uid, 1000);
	expect_eq(r[0].e->pid, pid);
}

TEST(write_start, "D.25: given start values, a log goes on there; at the end of numbers it says EFBIG")
{
	static const uint64_t starts[] = { (1ULL << 31) - 5, (1ULL << 32) - 5, (1ULL << 33) - 5,
					   (1ULL << 62) - 5 };
	char got[64], want[64];

	for (unsigned int i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		const char *t = topic_new(.start_offset = starts[i], .start_position = starts[i],
					  .ring_bytes = 4096, .ring_messages = 64);
		int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
		struct partition_info p;

		for (int k = 0; k < 200; k++) {
			int len = snprintf(want, sizeof(want), "message %d of %u", k, i);

			need_ret(write(fd, want, len), len);
			need(expect_mem(got, read(rd, got, sizeof(got)), want, len));
		}
		p = partition_state(t, 0);
		expect_eq(p.head_offset, starts[i] + 200);
		expect_eq(p.stats.messages_in, 200);
		expect_eq(lseek(rd, 0, SEEK_CUR), p.head_position);
		expect_eq(p.stats.lost, 0);
		close(rd);
		rd = topic_open(t, "+until=end", O_RDONLY);
		expect_mem(got, pread(rd, got, sizeof(got), p.tail_position) > 0 ? 7 : 0, "message", 7);
		/* What is before the start was never there: lost, not an error of ours. */
		expect(lseek(rd, 0, SEEK_END) == (off_t)p.head_position);
	}
}

TEST(write_end_of_numbers, "D.25: the last position before 2^63 is used, the next byte is EFBIG")
{
	const char *t = topic_new(.start_position = INT64_MAX - 10, .ring_bytes = 4096);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct partition_info p;
	char got[16];

	expect_err(write(fd, "12345678901", 11), EFBIG);
	expect_ret(write(fd, "12345", 5), 5);
	expect_mem(got, read(rd, got, sizeof(got)), "12345", 5);	/* reaches beyond 2^63 */
	expect_err(write(fd, "1234567", 7), EFBIG);
	p = partition_state(t, 0);
	expect_eq(p.stats.messages_in, 1);
	expect_eq(p.head_position, INT64_MAX - 5);
	expect_eq(topic_add(&(struct topic_opts) { .name = topic_name(),
						    .start_position = UINT64_MAX }), -EINVAL);
}

TEST(write_end_of_offsets, "D.25: the last offset before 2^63 is used, the next message is EFBIG")
{
	const char *t = topic_new(.start_offset = INT64_MAX - 3, .ring_bytes = 4096);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+format=record", O_RDONLY);
	struct batch *b = batch_new();
	int rec = topic_open(t, "+format=record", O_WRONLY);
	static uint64_t buf[1024];
	struct rec r[4];

	for (int i = 0; i < 4; i++)
		batch_add(b, "x", 1);
	expect_ret(batch_write(b, rec, MQ_PARTITION_ANY), -1);	/* one too many: none */
	expect_eq(errno, EFBIG);
	for (int i = 0; i < 3; i++)
		expect_ret(write(fd, "y", 1), 1);
	expect_err(write(fd, "z", 1), EFBIG);
	expect(partition_state(t, 0).head_offset == INT64_MAX);
	need_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 4, NULL), 3);
	expect(r[2].e->offset == INT64_MAX - 1);
	expect(lseek(rd, 0, SEEK_CUR) == INT64_MAX);
	expect_eq(file_stat(rd).lost_messages, 0);
}
