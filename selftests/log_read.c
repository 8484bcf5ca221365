// SPDX-License-Identifier: GPL-2.0
/* What a read is: at most one message, nothing lost to a small buffer. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mqtest.h"

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

TEST(read_one, "each read returns one message, in order")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char got[64];

	put(fd, "one");
	put(fd, "two\n");
	put(fd, "three\nfour");
	expect_mem(got, read(rd, got, sizeof(got)), "one", 3);
	expect_mem(got, read(rd, got, sizeof(got)), "two\n", 4);
	expect_mem(got, read(rd, got, sizeof(got)), "three\nfour", 10);
	expect_eq(topic_counters(t).messages_out, 3);
	expect_eq(topic_counters(t).bytes_out, 17);
}

TEST(read_short, "A.4: a short buffer gets the beginning, the next reads the rest")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char got[64];

	put(fd, "abcdefgh");
	put(fd, "next");
	expect_mem(got, read(rd, got, 1), "a", 1);
	expect_mem(got, read(rd, got, 3), "bcd", 3);
	expect_ret(read(rd, got, 0), 0);
	expect_mem(got, read(rd, got, sizeof(got)), "efgh", 4);	/* its rest, not the next's */
	for (int i = 0; i < 4; i++)
		expect_mem(got, read(rd, got, 1), "next" + i, 1);
	expect_eq(topic_counters(t).messages_out, 2);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(read_readv, "readv and preadv2 fill their pieces with one message")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char a[3], b[3], c[20];
	struct iovec iov[3] = { { a, 3 }, { b, 3 }, { c, 20 } };

	put(fd, "abcdefgh");
	put(fd, "second");
	expect_ret(readv(rd, iov, 3), 8);
	expect_mem(a, 3, "abc", 3);
	expect_mem(b, 3, "def", 3);
	expect_mem(c, 2, "gh", 2);
	expect_ret(preadv2(rd, iov, 3, -1, 0), 6);
	expect_mem(b, 3, "ond", 3);
}

TEST(read_fault, "A.4: a read into bad or read-only memory is EFAULT and moves nothing")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	static const int modes[] = { O_RDONLY, O_RDWR };
	char *map = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char got[64];

	need(map != MAP_FAILED && ro != MAP_FAILED);
	need(!mprotect(map + 4096, 4096, PROT_NONE));
	put(fd, "0123456789");
	put(fd, "second");
	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		expect_err(read(rd, bad_ptr, 100), EFAULT);
		expect_err(read(rd, ro, 100), EFAULT);
		expect_eq(lseek(rd, 0, SEEK_CUR), 0);
		/* Partly good: a part as from a file, or nothing; never a byte lost. */
		ssize_t n = read(rd, map + 4096 - 4, 10);

		expect((n == -1 && errno == EFAULT) || n == 4);
		expect_eq(lseek(rd, 0, SEEK_CUR), n > 0 ? n : 0);
		need(!lseek(rd, 0, SEEK_SET));
		expect_mem(got, read(rd, got, sizeof(got)), "0123456789", 10);
		expect_err(read(rd, ro, 1), EFAULT);
		expect_mem(got, read(rd, got, sizeof(got)), "second", 6);
		expect_err(read(rd, bad_ptr, 100), EAGAIN);
		expect_eq(file_stat(rd).lost_messages, 0);
		close(rd);
	}
}

TEST(read_unfaulted, "a buffer that must be faulted in first gets the whole message")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	static char buf[50000];

	for (int i = 0; i < 20; i++) {
		char *map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

		pattern_fill(buf, sizeof(buf), i);
		need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
		need(expect_mem(map, read(rd, map, 65536), buf, sizeof(buf)));
		munmap(map, 65536);
	}
}

TEST(read_nonblock, "at the end: EAGAIN if non-blocking, by flag, by fcntl, by RWF_NOWAIT")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[16];
	struct iovec iov = { got, sizeof(got) };
	ssize_t ret;

	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	expect_ret(read(rd, got, 0), 0);
	put(fd, "x");
	expect_mem(got, read(rd, got, sizeof(got)), "x", 1);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	close(rd);
	rd = topic_open(t, "+from=newest", O_RDONLY);
	need(!fcntl(rd, F_SETFL, O_NONBLOCK));
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	need(!fcntl(rd, F_SETFL, 0));
	ret = preadv2(rd, &iov, 1, -1, RWF_NOWAIT);
	expect(ret == -1 && (errno == EAGAIN || errno == EOPNOTSUPP));
}

TEST(read_waits, "at the end a blocking read waits, a write wakes it, a signal interrupts it")
{
	static const int modes[] = { O_RDONLY, O_RDWR };
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	char got[16];
	struct async a;

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "+from=newest", modes[i]);

		async_read(&a, rd, got, sizeof(got));
		expect_waits(&a);
		put(fd, "wake");
		need(async_end(&a, SOON));
		expect_mem(got, a.ret, "wake", 4);
		async_read(&a, rd, got, sizeof(got));
		expect_waits(&a);
		async_signal(&a);
		need(async_end(&a, SOON));
		expect_eq(a.ret, -1);
		expect_eq(a.error, EINTR);
		put(fd, "more");
		expect_mem(got, read(rd, got, sizeof(got)), "more", 4);
		close(rd);
	}
}

TEST(read_all_woken, "every waiting reader gets the message")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	struct async a[16];
	char got[16][16];

	for (int i = 0; i < 16; i++) {
		async_read(&a[i], topic_open(t, "", O_RDONLY), got[i], sizeof(got[i]));
		expect_waits(&a[i]);
	}
	put(fd, "for all");
	for (int i = 0; i < 16; i++) {
		if (async_end(&a[i], SOON))
			expect_mem(got[i], a[i].ret, "for all", 7);
	}
}

TEST(read_until_end, "until=end returns 0 where the log ended at open")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd;
	char got[64];

	rd = topic_open(t, "+until=end", O_RDONLY);
	put(fd, "a");
	expect_ret(read(rd, got, sizeof(got)), 0);	/* it was empty at open */
	close(rd);
	put(fd, "bc");
	rd = topic_open(t, "+until=end", O_RDONLY);
	put(fd, "later");
	expect_eq(file_readable(rd), 3);
	expect_mem(got, read(rd, got, sizeof(got)), "a", 1);
	expect_mem(got, read(rd, got, sizeof(got)), "bc", 2);
	for (int i = 0; i < 3; i++)
		expect_ret(read(rd, got, sizeof(got)), 0);
	expect_eq(file_readable(rd), 0);
	close(rd);
	rd = topic_open(t, "+from=newest+until=end", O_RDONLY);
	expect_ret(read(rd, got, sizeof(got)), 0);
	close(rd);
	rd = topic_open(t, "+until=end+from=1", O_RDONLY | O_NONBLOCK);
	expect_mem(got, read(rd, got, 1), "b", 1);
	expect_mem(got, read(rd, got, 9), "c", 1);
	expect_mem(got, read(rd, got, 9), "later", 5);
	expect_ret(read(rd, got, 9), 0);
}

TEST(read_from, "from= starts at the oldest, the newest or an offset; nonsense is ENOENT")
{
	static const char *const bad[] = {
		"+from=", "+from=x", "+from=-1", "+from=1x", "+from= 1", "+from=0x1",
		"+from=18446744073709551616", "+from=99999999999999999999999", "+from=Oldest",
		"+until=", "+until=start", "+until=end2", "+since=", "+since=1", "+since=1d1",
		"+since=-1s", "+since=20260230T000000Z", "+since=20260101T000000", "+since=x",
		"+format=", "+format=plain", "+overrun=", "+overrun=no", "+nonsense=1", "+=", "+",
		"+from", "+from=0+", "+from=0++until=end",
	};
	const char *t = topic_new(.ring_messages = 64, .ring_bytes = 4096);
	int fd = topic_open(t, "", O_WRONLY), rd;
	char got[64], text[64];

	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "m%d", i);
		put(fd, text);
	}
	rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);	/* default: oldest */
	expect_mem(got, read(rd, got, sizeof(got)), "m36", 3);
	close(rd);
	rd = topic_open(t, "+from=oldest", O_RDONLY | O_NONBLOCK);
	expect_mem(got, read(rd, got, sizeof(got)), "m36", 3);
	expect_eq(file_stat(rd).lost_messages, 0);
	close(rd);
	rd = topic_open(t, "+from=50", O_RDONLY | O_NONBLOCK);
	expect_mem(got, read(rd, got, sizeof(got)), "m50", 3);
	close(rd);
	rd = topic_open(t, "+from=99", O_RDONLY | O_NONBLOCK);
	expect_mem(got, read(rd, got, sizeof(got)), "m99", 3);
	close(rd);
	rd = topic_open(t, "+from=100", O_RDONLY | O_NONBLOCK);	/* the end */
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	close(rd);
	rd = topic_open(t, "+from=newest", O_RDONLY | O_NONBLOCK);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	put(fd, "new");
	expect_mem(got, read(rd, got, sizeof(got)), "new", 3);
	close(rd);
	/* Gone already: told so, with the count, then the oldest. */
	rd = topic_open(t, "+from=30", O_RDONLY | O_NONBLOCK);
	expect_err(read(rd, got, sizeof(got)), ENOBUFS);
	expect_eq(file_stat(rd).lost_messages, 7);
	expect_mem(got, read(rd, got, sizeof(got)), "m37", 3);
	close(rd);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rd = topic_try_open(t, bad[i], O_RDONLY);
		if (rd != -1 || errno != ENOENT)
			fail("%s: %s, expected ENOENT", bad[i], rd < 0 ? mqt_errno(errno) : "opened");
	}
	rd = topic_try_open(t, "+from=102", O_RDONLY);	/* beyond the end */
	expect(rd == -1 && errno == EINVAL);
}

TEST(read_since, "since= starts at the first message not older than that")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd;
	char got[64], option[64];
	struct mq_seek seek;
	struct tm tm;
	time_t cut;

	put(fd, "old");
	/* A cut at a whole second, with a message well to either side of it. */
	sleep_ms(2100);
	cut = time(NULL) - 1;
	put(fd, "young");
	rd = topic_open(t, "+since=1h", O_RDONLY | O_NONBLOCK);
	expect_mem(got, read(rd, got, sizeof(got)), "old", 3);
	close(rd);
	gmtime_r(&cut, &tm);
	strftime(option, sizeof(option), "+since=%Y%m%dT%H%M%SZ", &tm);
	rd = topic_open(t, option, O_RDONLY | O_NONBLOCK);
	expect_mem(got, read(rd, got, sizeof(got)), "young", 5);
	expect_ret(file_seek(rd, MQ_SEEK_TIME, cut * 1000000000ULL, &seek), 0);
	expect_eq(seek.offset, 1);
	expect_eq(seek.position, 3);
	expect_ret(file_seek(rd, MQ_SEEK_TIME, 0, &seek), 0);
	expect_eq(seek.offset, 0);
	expect_ret(file_seek(rd, MQ_SEEK_TIME, (time(NULL) + 3600) * 1000000000ULL, &seek), 0);
	expect_eq(seek.offset, 2);
	close(rd);
	rd = topic_open(t, "+since=1ms", O_RDONLY | O_NONBLOCK);
	sleep_ms(20);
	put(fd, "youngest");
	close(rd);
	rd = topic_open(t, "+since=20300101T000000Z", O_RDONLY | O_NONBLOCK);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
}

TEST(read_own_position, "D.23: each open file has its own position; dup and fork share one")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), a = topic_open(t, "", O_RDONLY);
	int b = topic_open(t, "", O_RDONLY), c;
	char got[16];
	pid_t pid;

	for (int i = 0; i < 6; i++)
		put(fd, (char [2]) { '0' + i, 0 });
	expect_mem(got, read(a, got, 9), "0", 1);
	expect_mem(got, read(a, got, 9), "1", 1);
	expect_mem(got, read(b, got, 9), "0", 1);
	c = dup(a);
	expect_mem(got, read(c, got, 9), "2", 1);
	expect_mem(got, read(a, got, 9), "3", 1);
	pid = fork();
	if (!pid)
		_exit(read(a, got, 9) != 1 || got[0] != '4');
	need(child_ok(pid, SOON));
	expect_mem(got, read(a, got, 9), "5", 1);
	expect_mem(got, read(b, got, 9), "1", 1);
	expect_eq(lseek(a, 0, SEEK_CUR), 6);
	expect_eq(lseek(b, 0, SEEK_CUR), 2);
}

TEST(read_sizes, "fstat, FIONREAD and fdinfo say end, readable bytes, position, lag, id")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char got[64], id[33];
	struct mq_stat ms;
	struct stat st;

	expect_eq(file_readable(rd), 0);
	put(fd, "12345");
	put(fd, "678");
	need(!fstat(rd, &st));
	expect_eq(st.st_size, 8);
	expect(S_ISCHR(st.st_mode));
	need(!stat(topic_path(t, ""), &st));
	expect_eq(st.st_size, 8);
	expect_eq(file_readable(rd), 8);
	expect_mem(got, read(rd, got, 2), "12", 2);
	expect_eq(file_readable(rd), 6);
	ms = file_stat(rd);
	expect_eq(ms.position, 2);
	expect_eq(ms.offset, 0);
	expect_eq(ms.lag_bytes, 6);
	expect_eq(ms.lag_messages, 2);
	expect_eq(ms.head_offset, 2);
	expect_eq(ms.head_position, 8);
	expect_eq(ms.tail_offset, 0);
	expect_eq(ms.partitions, 1);
	expect_eq(ms.partition, 0);
	expect_mem(got, read(rd, got, 9), "345", 3);
	ms = file_stat(rd);
	expect_eq(ms.offset, 1);
	expect_eq(ms.lag_messages, 1);
	expect_eq(file_readable(rd), 3);
	expect_eq(fdinfo_u64(rd, "pos"), 5);
	expect_eq(fdinfo_u64(rd, "mq-offset"), 1);
	expect_eq(fdinfo_u64(rd, "mq-lag"), 1);
	expect_eq(fdinfo_u64(rd, "mq-lost"), 0);
	for (int i = 0; i < 16; i++)
		sprintf(id + 2 * i, "%02x", ms.topic_id[i]);
	expect(fdinfo(rd, "mq-topic-id", got, sizeof(got)) && !strcmp(got, id));
}

TEST(read_stale, "F.32: a buffer keeps what was behind the message, nothing foreign appears in it")
{
	const char *t = topic_new(.ring_bytes = 4096);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char got[4096];

	for (int i = 0; i < 100; i++) {
		put(fd, "secret secret secret");
		memset(got, 0x5a, sizeof(got));
		need_ret(read(rd, got, sizeof(got)), 20);
		for (unsigned int k = 20; k < sizeof(got); k++) {
			if (got[k] != 0x5a) {
				fail("byte %u behind the message was written", k);
				return;
			}
		}
	}
}
