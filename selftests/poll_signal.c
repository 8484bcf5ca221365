// SPDX-License-Identifier: GPL-2.0
/* O_ASYNC: SIGIO, or what F_SETSIG says, on append, on room and on delete. */
#define _GNU_SOURCE
#include <poll.h>

#include "mqtest.h"

static sigset_t set;

/* Signals of @fd go to this thread, as SIGRTMIN, with what and where. */
static void want_signals(int fd)
{
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGIO);
	need(!sigprocmask(SIG_BLOCK, &set, NULL));
	need(!fcntl(fd, F_SETOWN, getpid()));
	need(!fcntl(fd, F_SETSIG, SIGRTMIN));
	need(!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

/* The next signal's code, of @fd; 0 if none comes. */
static int signalled(int fd, int seconds)
{
	struct timespec limit = { .tv_sec = seconds };
	siginfo_t info;

	if (sigtimedwait(&set, &info, &limit) < 0)
		return 0;
	expect_eq(info.si_fd, fd);
	return info.si_code;
}

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

TEST(signal_append, "an append signals POLL_IN, on files of one partition and of all; cleared: no more")
{
	static const char *const names[] = { "", "@1", "+format=record", "" };
	static const int modes[] = { O_RDONLY, O_RDONLY, O_RDONLY, O_RDWR };

	for (int i = 0; i < 4; i++) {
		const char *t = topic_new(.partitions = 2);
		int wr = topic_open(t, "@1", O_WRONLY), rd = topic_open(t, names[i], modes[i]);

		want_signals(rd);
		expect_eq(signalled(rd, 0), 0);
		put(wr, "one");
		expect_eq(signalled(rd, SOON), POLL_IN);
		expect_eq(signalled(rd, 0), 0);
		put(wr, "two");
		expect_eq(signalled(rd, SOON), POLL_IN);
		need(!fcntl(rd, F_SETFL, fcntl(rd, F_GETFL) & ~O_ASYNC));
		put(wr, "three");
		expect_eq(signalled(rd, 0), 0);
		/* And again. */
		need(!fcntl(rd, F_SETFL, fcntl(rd, F_GETFL) | O_ASYNC));
		put(wr, "four");
		expect_eq(signalled(rd, SOON), POLL_IN);
		close(rd);
		put(wr, "five");
		expect_eq(signalled(rd, 0), 0);
		close(wr);
	}
}

TEST(signal_sigio, "without F_SETSIG it is SIGIO, to a process group, too, and to another process")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct timespec limit = { .tv_sec = SOON };
	int ready[2];
	pid_t pid;
	char c;

	need(!pipe(ready));
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	need(!sigprocmask(SIG_BLOCK, &set, NULL));
	pid = fork();
	if (!pid) {
		need(!setpgid(0, 0));
		need_ret(write(ready[1], "r", 1), 1);
		for (int i = 0; i < 2; i++) {
			expect(sigtimedwait(&set, NULL, &limit) == SIGIO);
			need_ret(write(ready[1], "s", 1), 1);
		}
		_exit(failures() ? 1 : 0);
	}
	need_ret(read(ready[0], &c, 1), 1);
	need(!fcntl(rd, F_SETOWN, pid));
	need(!fcntl(rd, F_SETFL, O_ASYNC));
	put(wr, "x");
	need_ret(read(ready[0], &c, 1), 1);
	need(!fcntl(rd, F_SETOWN, -pid));
	put(wr, "y");
	need_ret(read(ready[0], &c, 1), 1);
	expect_eq(child_wait(pid, SOON), 0);
}

TEST(signal_room, "room among held messages signals POLL_OUT; a writer that never asked hears nothing")
{
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int wr = topic_open(t, "", O_WRONLY | O_NONBLOCK), rd = topic_open(t, "", O_RDONLY);
	static char buf[1024];

	want_signals(wr);
	for (int i = 0; i < 4; i++)
		need_ret(write(wr, buf, sizeof(buf)), sizeof(buf));
	expect_err(write(wr, buf, sizeof(buf)), EAGAIN);
	expect_eq(signalled(wr, 0), 0);
	need_ret(read(rd, buf, sizeof(buf)), sizeof(buf));
	expect_eq(signalled(wr, SOON), POLL_OUT);
	expect_ret(write(wr, buf, sizeof(buf)), sizeof(buf));
	expect_eq(signalled(wr, 0), 0);	/* appends are no news to writers */
}

TEST(signal_delete, "deleting the topic signals POLL_HUP, once for each file")
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };

	for (int i = 0; i < 3; i++) {
		const char *t = topic_new();
		int fd = topic_open(t, "", modes[i]);

		want_signals(fd);
		need_eq(topic_del(t), 0);
		expect_eq(signalled(fd, SOON), POLL_HUP);
		expect_eq(signalled(fd, 0), 0);
		close(fd);
	}
}

TEST(signal_modes, "A.11: O_ASYNC at open, with every mode and flag, and after dup, does no harm")
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	static const int flags[] = { 0, O_NONBLOCK, O_APPEND, O_DSYNC, O_NONBLOCK | O_APPEND };
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY);

	for (int i = 0; i < 15; i++) {
		int fd = topic_open(t, "", modes[i % 3] | flags[i / 3] | O_ASYNC), copy;

		need(!fcntl(fd, F_SETFL, 0));
		want_signals(fd);
		copy = dup(fd);
		close(fd);
		put(wr, "x");
		/* The copy is the same file; it is told under the number that was set. */
		if (modes[i % 3] != O_WRONLY)
			expect_eq(signalled(fd, SOON), POLL_IN);
		close(copy);
		put(wr, "x");
		expect_eq(signalled(fd, 0), 0);
	}
	/* Never set by fcntl, and closed with the flag. */
	for (int i = 0; i < 3; i++)
		close(topic_open(t, "", modes[i] | O_ASYNC));
}

static volatile int stop;

static long toggles(void *arg)
{
	int fd = *(int *)arg;

	while (!stop) {
		fcntl(fd, F_SETFL, O_ASYNC);
		fcntl(fd, F_SETFL, 0);
	}
	return 0;
}

TEST(signal_race, "set and cleared by threads while others append, and while the topic is deleted")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDWR);
	struct async a[2];

	want_signals(rd);
	for (int i = 0; i < 2; i++)
		async_start(&a[i], toggles, &rd);
	for (int i = 0; i < 3000; i++)
		need_ret(write(wr, "x", 1), 1);
	need_eq(topic_del(t), 0);
	stop = 1;
	for (int i = 0; i < 2; i++)
		async_end(&a[i], SOON);
	close(rd);
}
