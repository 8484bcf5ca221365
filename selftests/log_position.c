// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 240 */
/* Whose the position is: the file's when opened read-only, the driver's when read-write. */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "mqtest.h"

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

TEST(position_pread, "read-only: pread reads at an explicit position and moves nothing")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[64];
	struct iovec iov = { got, 64 };

	put(fd, "abcdef");
	put(fd, "ghi");
	put(fd, "jkl");
	expect_mem(got, pread(rd, got, 64, 6), "ghi", 3);
	expect_mem(got, pread(rd, got, 64, 2), "cdef", 4);	/* from inside a message, its rest */
	expect_mem(got, pread(rd, got, 2, 3), "de", 2);
	expect_mem(got, pread(rd, got, 64, 7), "hi", 2);
	expect_mem(got, preadv(rd, &iov, 1, 9), "jkl", 3);
	expect_eq(lseek(rd, 0, SEEK_CUR), 0);
	expect_mem(got, read(rd, got, 64), "abcdef", 6);
	expect_err(pread(rd, got, 64, 12), EAGAIN);		/* the end */
	expect_err(pread(rd, got, 64, -1), EINVAL);
	expect_mem(got, read(rd, got, 64), "ghi", 3);
}

TEST(position_pread_own, "a pread at exactly the file's own position delivers what a read would")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char got[64];

	put(fd, "abc");
	put(fd, "def");
	expect_mem(got, pread(rd, got, 64, 0), "abc", 3);
	/* The file position itself is VFS's and stays; so the read gets it again. */
	expect_eq(lseek(rd, 0, SEEK_CUR), 0);
	expect_mem(got, read(rd, got, 64), "abc", 3);
	expect_mem(got, pread(rd, got, 64, 3), "def", 3);
	expect_mem(got, read(rd, got, 64), "def", 3);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(position_rdwr, "read-write: pread is ESPIPE, a write never moves the read position, lseek works")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDWR | O_NONBLOCK);
	char got[64];
	struct iovec iov = { got, 64 };

	expect_err(read(fd, got, 64), EAGAIN);
	put(fd, "one");
	expect_eq(lseek(fd, 0, SEEK_CUR), 0);
	put(fd, "two");
	expect_mem(got, read(fd, got, 64), "one", 3);
	put(fd, "three");
	expect_eq(lseek(fd, 0, SEEK_CUR), 3);
	expect_err(pread(fd, got, 64, 0), ESPIPE);
	expect_err(preadv(fd, &iov, 1, 0), ESPIPE);
	expect_mem(got, read(fd, got, 64), "two", 3);
	expect_ret(pwrite(fd, "four", 4, 0), 4);
	expect_mem(got, read(fd, got, 64), "three", 5);
	expect_mem(got, read(fd, got, 64), "four", 4);
	expect_err(read(fd, got, 64), EAGAIN);
	expect_eq(lseek(fd, 3, SEEK_SET), 3);
	expect_mem(got, read(fd, got, 1), "t", 1);
	expect_eq(lseek(fd, 0, SEEK_CUR), 4);
	expect_mem(got, read(fd, got, 64), "wo", 2);
	expect_eq(lseek(fd, 0, SEEK_END), 15);
	put(fd, "new");
	expect_mem(got, read(fd, got, 64), "new", 3);
	expect_eq(lseek(fd, 0, SEEK_DATA), 0);
	expect_mem(got, read(fd, got, 64), "one", 3);
	expect_eq(file_stat(fd).position, 3);
}

TEST(position_rdwr_blocked, "read-write: a blocked read never blocks a write to the same file")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDWR);
	struct async a;
	char got[64];

	for (int i = 0; i < 3; i++) {
		async_read(&a, fd, got, 64);
		expect_waits(&a);
		put(fd, "self");
		need(async_end(&a, SOON));
		expect_mem(got, a.ret, "self", 4);
	}
	/* Another read on it waits its turn, and can be killed while it does. */
	async_read(&a, fd, got, 64);
	expect_waits(&a);
	pid_t pid = fork();

	if (!pid) {
		read(fd, got, 1);
		_exit(0);
	}
	need(sleeps_in(pid, SYS_read, SOON));
	kill(pid, SIGKILL);
	expect_eq(child_wait(pid, SOON), SIGKILL);
	put(fd, "end");
	need(async_end(&a, SOON));
	expect_mem(got, a.ret, "end", 3);
}

#define THREADS	4
#define MESSAGES 20000

struct shared_file {
	int fd;
	unsigned char *seen;
	pthread_mutex_t lock;
};

static long drain(void *arg)
{
	struct shared_file *s = arg;
	uint32_t n;
	ssize_t got;

	while ((got = read(s->fd, &n, sizeof(n))) == sizeof(n)) {
		if (n >= MESSAGES)
			return -2;
		__atomic_add_fetch(&s->seen[n], 1, __ATOMIC_RELAXED);
	}
	return got < 0 && errno == EAGAIN ? 0 : -1;
}

TEST_LIMIT(position_threads_rdwr, "D.23: read-write: threads that share one file get every message once", 120)
{
	struct shared_file s = { .seen = calloc(1, MESSAGES) };
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	struct async a[THREADS];
	unsigned int wrong = 0;

	s.fd = topic_open(t, "", O_RDWR | O_NONBLOCK);
	for (uint32_t i = 0; i < MESSAGES; i++)
		need_ret(write(fd, &i, sizeof(i)), sizeof(i));
	for (int i = 0; i < THREADS; i++)
		async_start(&a[i], drain, &s);
	for (int i = 0; i < THREADS; i++) {
		need(async_end(&a[i], 100));
		expect_eq(a[i].ret, 0);
	}
	for (int i = 0; i < MESSAGES; i++)
		wrong += s.seen[i] != 1;
	expect_eq(wrong, 0);
}

TEST_LIMIT(position_threads_ro, "D.23: read-only: threads that share one file miss no message", 120)
{
	struct shared_file s = { .seen = calloc(1, MESSAGES) };
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	struct async a[THREADS];
	unsigned int missed = 0;

	s.fd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	for (uint32_t i = 0; i < MESSAGES; i++)
		need_ret(write(fd, &i, sizeof(i)), sizeof(i));
	for (int i = 0; i < THREADS; i++)
		async_start(&a[i], drain, &s);
	for (int i = 0; i < THREADS; i++) {
		need(async_end(&a[i], 100));
		expect_eq(a[i].ret, 0);
	}
	/* A message twice is allowed there (f_pos is not serialised), none at all is not. */
	for (int i = 0; i < MESSAGES; i++)
		missed += !s.seen[i];
	expect_eq(missed, 0);
	expect_eq(file_stat(s.fd).lost_messages, 0);
}

TEST(position_scm_rights, "D.23: a file passed by SCM_RIGHTS goes on where the sender stood")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDWR), pair[2], passed;
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, got[64];
	struct iovec iov = { got, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	pid_t pid;

	put(fd, "first");
	put(fd, "second");
	expect_mem(got, read(fd, got, 64), "first", 5);
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid) {
		char text[64];

		close(fd);
		if (recvmsg(pair[1], &msg, 0) != 1)
			_exit(2);
		cmsg = CMSG_FIRSTHDR(&msg);
		memcpy(&passed, CMSG_DATA(cmsg), sizeof(passed));
		if (read(passed, text, 64) != 6 || memcmp(text, "second", 6))
			_exit(3);
		_exit(write(passed, "reply", 5) != 5);
	}
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	need_ret(sendmsg(pair[0], &msg, 0), 1);
	need(child_ok(pid, SOON));
	expect_mem(got, read(fd, got, 64), "reply", 5);
}

TEST_LIMIT(position_many, "D.23: 10,000 open readers, each where it was left", 120)
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	enum { N = 10000 };
	static int rd[N];
	char got[64], text[32];

	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "m%d", i);
		put(fd, text);
	}
	setrlimit(RLIMIT_NOFILE, &(struct rlimit) { N + 100, N + 100 });
	for (int i = 0; i < N; i++) {
		rd[i] = topic_try_open(t, "", O_RDONLY);
		if (rd[i] < 0 && errno == EMFILE)
			skip("no more than %d open files", i);
		need(rd[i] >= 0);
		/* Each somewhere else, by few calls. */
		need_ret(lseek(rd[i], i % 10 * 2, SEEK_SET), i % 10 * 2);
	}
	expect_eq(topic_counters(t).readers, N);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "m%d", i % 10);
		need(expect_mem(got, read(rd[i], got, 64), text, 2));
		close(rd[i]);
	}
	wait_until(topic_counters(t).readers == 0, SOON);
	expect_eq(file_stat(fd).head_offset, 10);
}

TEST(position_emfile, "D.23: no descriptor left: EMFILE, nobody counted, others undisturbed")
{
	const char *t = topic_new(.partitions = 2);
	int fd = topic_open(t, "@0", O_WRONLY), waiting = topic_open(t, "@0", O_RDONLY), last = -1;
	unsigned int n = 1;
	struct async a;
	char got[64];

	async_read(&a, waiting, got, sizeof(got));
	expect_waits(&a);
	need_ret(setrlimit(RLIMIT_NOFILE, &(struct rlimit) { 200, 200 }), 0);
	for (; n < 300; n++) {
		int rd = topic_try_open(t, n & 1 ? "" : "@0+format=record", O_RDONLY);

		if (rd < 0)
			break;
		last = rd;
	}
	expect_eq(errno, EMFILE);
	for (int i = 0; i < 100; i++) {
		expect_err(topic_try_open(t, i & 1 ? "" : "@1", O_RDWR), EMFILE);
		expect_err(dup(last), EMFILE);
	}
	expect_eq(topic_counters(t).readers, n);
	expect_eq(topic_counters(t).writers, 1);
	put(fd, "goes on");
	need(async_end(&a, SOON));
	expect_mem(got, a.ret, "goes on", 7);
	close(last);
	expect(topic_try_open(t, "", O_RDWR) >= 0);
}
