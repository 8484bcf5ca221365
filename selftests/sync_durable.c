// SPDX-License-Identifier: GPL-2.0
/*
 * fsync, O_DSYNC, RWF_DSYNC. Without a store nothing becomes durable: what can be
 * seen here is who waits, how, and what ends the wait.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/syscall.h>

#include "mqtest.h"

static long do_fsync(void *arg)
{
	return fsync(*(int *)arg);
}

static uint64_t head(const char *t)
{
	return partition_state(t, 0).head_offset;
}

TEST(sync_memory, "memory topic: O_DSYNC, O_SYNC writes and fsync are EINVAL, nothing appended")
{
	const char *t = topic_new();
	int fd;

	fd = topic_try_open(t, "", O_WRONLY | O_DSYNC);
	if (fd >= 0)
		expect_err(write(fd, "x", 1), EINVAL);
	else
		expect_eq(errno, EINVAL);
	fd = topic_try_open(t, "+format=record", O_WRONLY | O_SYNC);
	if (fd >= 0)
		expect(write_keyed(fd, "k", "x", 1) == -1 && errno == EINVAL);
	else
		expect_eq(errno, EINVAL);
	expect_eq(head(t), 0);
	expect_err(fsync(topic_open(t, "", O_WRONLY)), EINVAL);
	expect_err(fsync(topic_open(t, "", O_RDONLY)), EINVAL);
	expect_err(fdatasync(topic_open(t, "", O_RDWR)), EINVAL);
	fd = topic_open(t, "", O_WRONLY);
	expect_ret(write(fd, "x", 1), 1);
	expect_err(fsync(fd), EINVAL);
}

TEST(sync_fsync_waits, "persistent: fsync waits, on files of any mode; a signal interrupts it")
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR };
	const char *t = topic_new(.persistent = 1);
	int wr = topic_open(t, "", O_WRONLY);
	struct async a;

	need_ret(write(wr, "x", 1), 1);
	for (int i = 0; i < 3; i++) {
		int fd = topic_open(t, "", modes[i]);

		async_start(&a, do_fsync, &fd);
		expect_waits(&a);
		expect_eq(topic_counters(t).sync_waiting, 1);
		async_signal(&a);
		need(async_end(&a, SOON));
		expect_eq(a.ret, -1);
		expect_eq(a.error, EINTR);
	}
	expect_eq(topic_counters(t).sync_waiting, 0);
	expect_eq(partition_state(t, 0).durable_offset, 0);
}

TEST(sync_fsync_empty, "persistent: fsync of an empty topic has nothing to wait for")
{
	const char *t = topic_new(.persistent = 1, .partitions = 3);
	int fd = topic_open(t, "", O_WRONLY);

	expect_ret(fsync(fd), 0);
	expect_ret(fdatasync(topic_open(t, "@1", O_RDONLY)), 0);
}

TEST(sync_fsync_all, "fsync of one file waits for what others wrote, to every partition")
{
	const char *t = topic_new(.persistent = 1, .partitions = 3);
	int other = topic_open(t, "@2", O_WRONLY), fd = topic_open(t, "", O_WRONLY);
	struct async a;

	need_ret(write(other, "x", 1), 1);
	async_start(&a, do_fsync, &fd);
	expect_waits(&a);
	async_signal(&a);
	need(async_end(&a, SOON));
	expect_eq(a.error, EINTR);
}

TEST(sync_dsync_waits, "O_DSYNC, O_SYNC, RWF_DSYNC: the message is in the log, the write waits")
{
	const char *t = topic_new(.persistent = 1);
	int rd = topic_open(t, "", O_RDONLY);
	static const int flags[] = { O_DSYNC, O_SYNC, 0 };
	char got[16];

	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (!pid) {
			int fd = topic_open(t, "", O_WRONLY | flags[i]);
			struct iovec iov = { "durable?", 8 };

			if (flags[i])
				write(fd, "durable?", 8);
			else
				pwritev2(fd, &iov, 1, -1, RWF_DSYNC);
			_exit(0);
		}
		/* Read before it is durable: so says the contract. */
		expect_mem(got, read(rd, got, sizeof(got)), "durable?", 8);
		need(sleeps_in(pid, -1, SOON));
		wait_until(topic_counters(t).sync_waiting == 1, SOON);
		/* Not a signal, only death ends it. */
		kill(pid, SIGTERM);
		expect_eq(child_wait(pid, SOON), SIGTERM);	/* fatal: killable */
		expect_eq(head(t), i + 1);
		wait_until(topic_counters(t).sync_waiting == 0, SOON);
	}
}

TEST(sync_dsync_signal, "a handled signal does not end the wait of a write that has appended")
{
	const char *t = topic_new(.persistent = 1);
	static int fd;
	struct async a;

	fd = topic_open(t, "", O_WRONLY | O_DSYNC);
	async_write(&a, fd, "once", 4);
	expect_waits(&a);
	for (int i = 0; i < 5; i++) {
		async_signal(&a);
		expect_waits(&a);
	}
	/* A change wakes it, and the signal is still there. */
	topic_set(t, .sync_timeout = 3600000);
	expect_waits(&a);
	expect_eq(head(t), 1);
	/* Deleting the topic ends it: durable it will never be. */
	need_eq(topic_del(t), 0);
	need(async_end(&a, SOON));
	expect(a.ret == -1);
	note("deleted while waiting: %s", mqt_errno(a.error));
}

static long do_splice(void *arg)
{
	int *fd = arg;

	return splice(fd[0], NULL, fd[1], NULL, 100, 0);
}

TEST(sync_splice, "a splice into an O_DSYNC file: the message is in the log, the splice waits")
{
	const char *t = topic_new(.persistent = 1);
	static int fd[2];
	struct async a;
	int p[2];

	need_ret(pipe(p), 0);
	need_ret(write(p[1], "once", 4), 4);
	fd[0] = p[0];
	fd[1] = topic_open(t, "", O_WRONLY | O_DSYNC);
	async_start(&a, do_splice, fd);
	expect_waits(&a);
	expect_eq(head(t), 1);
	expect_eq(topic_counters(t).sync_waiting, 1);
	need_eq(topic_del(t), 0);
	need(async_end(&a, SOON));
	expect_eq(a.ret, -1);
	expect_eq(a.error, ENODEV);
}

TEST(sync_timeout, "sync_timeout: ETIMEDOUT, the message is in the log, once")
{
	const char *t = topic_new(.persistent = 1, .sync_timeout = 300);
	int fd = topic_open(t, "", O_WRONLY | O_DSYNC), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	uint64_t before = now_ns();
	char got[16];

	expect_err(write(fd, "timed", 5), ETIMEDOUT);
	expect(now_ns() - before >= 290000000);
	expect_mem(got, read(rd, got, sizeof(got)), "timed", 5);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	expect_eq(head(t), 1);
	expect_eq(topic_counters(t).sync_waiting, 0);
}

TEST(sync_nonblock, "O_NONBLOCK concerns room only: with room the durable write waits all the same")
{
	const char *t = topic_new(.persistent = 1, .ring_messages = 64, .sync_timeout = 200);
	int fd = topic_open(t, "", O_WRONLY | O_DSYNC | O_NONBLOCK), plain;

	expect_err(write(fd, "x", 1), ETIMEDOUT);	/* it waited */
	expect_eq(head(t), 1);
	plain = topic_open(t, "", O_WRONLY);
	for (int i = 0; i < 63; i++)
		need_ret(write(plain, "x", 1), 1);
	expect_err(write(fd, "x", 1), EAGAIN);	/* no room: at once */
	expect_eq(head(t), 64);
}

TEST(sync_line, "O_DSYNC with an unfinished line waits only for the lines this call completed")
{
	const char *t = topic_new(.persistent = 1, .framing = MQ_FRAMING_LINE, .sync_timeout = 200);
	int fd = topic_open(t, "", O_WRONLY | O_DSYNC);
	struct async a;

	expect_ret(write(fd, "half", 4), 4);
	expect_ret(write(fd, " and", 4), 4);
	expect_eq(head(t), 0);
	expect_err(write(fd, " whole\nnext", 11), ETIMEDOUT);
	expect_eq(head(t), 1);
	async_start(&a, do_fsync, &fd);	/* sync_timeout is a write's: fsync waits */
	expect_waits(&a);
	expect_eq(head(t), 2);	/* "next", unfinished */
	async_signal(&a);
	need(async_end(&a, SOON));
	expect_eq(a.error, EINTR);
}

TEST(sync_many, "many durable writers wait side by side; all messages are in the log")
{
	const char *t = topic_new(.persistent = 1);
	enum { N = 32 };
	pid_t pid[N];

	for (int i = 0; i < N; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			int fd = topic_open(t, "", O_WRONLY | O_DSYNC);

			write(fd, &i, sizeof(i));
			_exit(0);
		}
	}
	wait_until(topic_counters(t).sync_waiting == N, SOON);
	expect_eq(head(t), N);
	/* A plain write meanwhile does not wait. */
	expect_ret(write(topic_open(t, "", O_WRONLY), "plain", 5), 5);
	for (int i = 0; i < N; i++) {
		kill(pid[i], SIGKILL);
		expect_eq(child_wait(pid[i], SOON), SIGKILL);
	}
	wait_until(topic_counters(t).sync_waiting == 0, SOON);
	expect_eq(head(t), N + 1);
}

TEST(sync_delete, "D.20: fsync that waits when the topic is deleted fails, and later ones, too")
{
	const char *t = topic_new(.persistent = 1);
	static int fd;
	struct async a;

	fd = topic_open(t, "", O_WRONLY);
	need_ret(write(fd, "x", 1), 1);
	async_start(&a, do_fsync, &fd);
	expect_waits(&a);
	need_eq(topic_del(t), 0);
	need(async_end(&a, SOON));
	expect_eq(a.ret, -1);
	expect_eq(a.error, ENODEV);
	expect_err(fsync(fd), ENODEV);
}

TEST(sync_reject, "a durable write without room is refused as a plain one, nothing appended")
{
	const char *t = topic_new(.persistent = 1, .ring_messages = 64,
				  .overflow = MQ_OVERFLOW_REJECT);
	int fd = topic_open(t, "", O_WRONLY), durable = topic_open(t, "", O_WRONLY | O_DSYNC);

	for (int i = 0; i < 64; i++)
		need_ret(write(fd, "x", 1), 1);
	expect_err(write(durable, "x", 1), ENOBUFS);
	expect_eq(head(t), 64);
}
