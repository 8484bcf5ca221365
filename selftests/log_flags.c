// SPDX-License-Identifier: GPL-2.0
/* How files are opened, in all combinations, and what each flag of a call does. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "mqtest.h"

static const int all_flags[] = { O_APPEND, O_DIRECT, O_NONBLOCK, O_ASYNC, O_NOATIME, O_CLOEXEC };
#define FLAGS (sizeof(all_flags) / sizeof(all_flags[0]))

static int flags_of(unsigned int bits)
{
	int flags = 0;

	for (unsigned int i = 0; i < FLAGS; i++)
		if (bits & (1U << i))
			flags |= all_flags[i];
	return flags;
}

/* What a file opened like this can do, and no more. */
static void expect_mode(const char *t, int fd, int mode, int flags)
{
	char buf[16];
	int p[2];

	need_ret(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	if (mode == O_RDONLY) {
		expect_err(write(fd, "x", 1), EBADF);
		expect_ret(write(p[1], "x", 1), 1);
		expect_err(splice(p[0], NULL, fd, NULL, 1, 0), EBADF);
		expect_ret(read(p[0], buf, 1), 1);
	} else {
		uint64_t before = partition_state(t, 0).head_offset;

		expect_ret(write(fd, "message", 7), 7);
		expect_eq(partition_state(t, 0).head_offset, before + 1);
	}
	if (mode == O_WRONLY) {
		expect_err(read(fd, buf, sizeof(buf)), EBADF);
		expect_err(splice(fd, NULL, p[1], NULL, 1, 0), EBADF);
		expect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
		expect_eq(errno, EACCES);
	} else {
		int n = read(fd, buf, sizeof(buf));

		expect_mem(buf, n, "message", 7);
		/* At the end it is O_NONBLOCK that decides, and nothing else. */
		lseek(fd, 0, SEEK_END);
		if (flags & O_NONBLOCK)
			expect_err(read(fd, buf, sizeof(buf)), EAGAIN);
	}
	close(p[0]);
	close(p[1]);
}

TEST(open_flags, "A.11: every combination of open flags, and of those that fcntl can change")
{
	const char *t = topic_new();
	int direct = -1, fd = topic_open(t, "", O_WRONLY);

	need_ret(write(fd, "message", 7), 7);
	close(fd);
	for (int mode = O_RDONLY; mode <= O_RDWR; mode++) {
		for (unsigned int bits = 0; bits < 1U << FLAGS && failures() < 5; bits++) {
			int flags = flags_of(bits);

			fd = topic_try_open(t, "", mode | flags);
			if (flags & O_DIRECT) {
				/* All of them, or none. */
				if (direct == -1)
					direct = fd >= 0;
				expect_eq(fd >= 0, direct);
				if (fd < 0) {
					expect_eq(errno, EINVAL);
					continue;
				}
			}
			if (!expect(fd >= 0))
				continue;
			expect_mode(t, fd, mode, flags);
			close(fd);

			flags &= O_APPEND | O_NONBLOCK | O_ASYNC;
			fd = topic_open(t, "", mode);
			expect_ret(fcntl(fd, F_SETFL, flags), 0);
			expect_mode(t, fd, mode, flags);
			close(fd);
		}
	}
}

TEST(call_flags, "A.11: each flag of preadv2 and pwritev2, known or not: all is done, or nothing")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd;
	unsigned int done = 0, refused = 0;
	char buf[16];

	for (unsigned int bit = 0; bit < 32; bit++) {
		struct iovec iov = { "message", 7 };
		uint64_t head = partition_state(t, 0).head_offset;
		int n = pwritev2(fd, &iov, 1, -1, 1U << bit);

		if (n == 7) {
			done++;
		} else {
			expect(n == -1 && (errno == EINVAL || errno == EOPNOTSUPP || errno == EAGAIN));
			refused++;
		}
		expect_eq(partition_state(t, 0).head_offset, head + (n == 7));
	}
	note("pwritev2: %u flags done, %u refused", done, refused);
	expect(done >= 1 && refused >= 20);

	need_ret(write(fd, "message", 7), 7);
	rd = topic_open(t, "", O_RDONLY);
	for (unsigned int bit = 0; bit < 32; bit++) {
		struct iovec iov = { buf, sizeof(buf) };
		int n;

		need_ret(lseek(rd, 0, SEEK_SET), 0);
		n = preadv2(rd, &iov, 1, -1, 1U << bit);
		if (n == -1) {
			expect(errno == EINVAL || errno == EOPNOTSUPP || errno == EAGAIN);
			n = 0;
		} else {
			expect_mem(buf, n, "message", 7);
		}
		expect_eq(lseek(rd, 0, SEEK_CUR), n);
	}
}
