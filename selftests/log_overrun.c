// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 240 */
/* An overrun reader is told once, with the exact count; forced at each point of a read. */
#define _GNU_SOURCE
#include <poll.h>

#include "mqtest.h"

static void put_n(int fd, unsigned int from, unsigned int n)
{
	char text[32];

	for (unsigned int i = from; i < from + n; i++) {
		snprintf(text, sizeof(text), "m%08u.", i);
		need_ret(write(fd, text, 10), 10);
	}
}

static void expect_message(int rd, unsigned int n)
{
	char want[32], got[64];

	snprintf(want, sizeof(want), "m%08u.", n);
	expect_mem(got, read(rd, got, sizeof(got)), want, 10);
}

static const int modes[] = { O_RDONLY, O_RDWR };

TEST(overrun_once, "ENOBUFS once, the exact number lost, then the oldest retained")
{
	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
		int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", modes[i] | O_NONBLOCK);
		struct topic_stats stats;
		struct mq_stat stat;
		char got[64];

		put_n(fd, 0, 10);
		expect_message(rd, 0);
		expect_message(rd, 1);
		put_n(fd, 10, 90);
		expect_err(read(rd, got, sizeof(got)), ENOBUFS);
		stat = file_stat(rd);
		expect_eq(stat.lost_messages, 34);	/* 2 .. 35 */
		expect_eq(stat.overruns, 1);
		expect_eq(stat.offset, 36);
		expect_eq(stat.position, 360);
		expect_eq(stat.tail_offset, 36);
		expect_eq(lseek(rd, 0, SEEK_CUR), 360);
		expect_eq(fdinfo_u64(rd, "mq-lost"), 34);
		for (unsigned int k = 36; k < 100; k++)
			expect_message(rd, k);
		expect_err(read(rd, got, sizeof(got)), EAGAIN);
		put_n(fd, 100, 65);
		expect_err(read(rd, got, sizeof(got)), ENOBUFS);
		expect_eq(file_stat(rd).lost_messages, 35);
		expect_message(rd, 101);
		expect_eq(file_stat(rd).overruns, 2);
		stats = topic_counters(t);
		expect_eq(stats.lost, 35);
		expect_eq(stats.overruns, 2);
		expect_eq(stats.evicted, 101);
		expect_eq(stats.dropped_held, 0);
	}
}

TEST(overrun_exact_fit, "a reader of exactly what is retained is not overrun, one message more is")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[64];

	put_n(fd, 0, 64);
	expect_message(rd, 0);
	put_n(fd, 64, 1);
	expect_message(rd, 1);
	expect_eq(file_stat(rd).lost_messages, 0);
	put_n(fd, 65, 2);
	expect_err(read(rd, got, sizeof(got)), ENOBUFS);
	expect_eq(file_stat(rd).lost_messages, 1);
	expect_message(rd, 3);
}

TEST(overrun_partly, "a message of which a byte was not delivered is lost")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[64];

	put_n(fd, 0, 10);
	expect_message(rd, 0);
	expect_mem(got, read(rd, got, 9), "m00000001", 9);
	put_n(fd, 10, 64);	/* 10 .. 73 retained */
	expect_err(read(rd, got, sizeof(got)), ENOBUFS);
	expect_eq(file_stat(rd).lost_messages, 9);	/* 1 .. 9 */
	expect_message(rd, 10);
}

TEST(overrun_skip, "overrun=skip: counted, not reported")
{
	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
		int fd = topic_open(t, "", O_WRONLY);
		int rd = topic_open(t, "+overrun=skip", modes[i] | O_NONBLOCK);
		struct pollfd p = { rd, POLLIN | POLLPRI, 0 };

		put_n(fd, 0, 3);
		expect_message(rd, 0);
		put_n(fd, 3, 97);
		need_ret(poll(&p, 1, 0), 1);
		expect_eq(p.revents & (POLLERR | POLLPRI), 0);
		expect_message(rd, 36);
		expect_eq(file_stat(rd).lost_messages, 35);
		expect_eq(file_stat(rd).overruns, 1);
		expect_message(rd, 37);
		expect_eq(fdinfo_u64(rd, "mq-lost"), 35);
		expect_eq(topic_counters(t).lost, 35);
	}
}

TEST(overrun_pread, "a pread of what is gone is ENOBUFS every time and moves and counts nothing")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[64];

	put_n(fd, 0, 50);
	for (unsigned int k = 0; k < 50; k++)
		expect_message(rd, k);
	put_n(fd, 50, 50);
	for (int i = 0; i < 3; i++)
		expect_err(pread(rd, got, sizeof(got), 100), ENOBUFS);
	expect_mem(got, pread(rd, got, sizeof(got), 360), "m00000036.", 10);
	expect_eq(lseek(rd, 0, SEEK_CUR), 500);
	expect_eq(file_stat(rd).lost_messages, 0);
	expect_message(rd, 50);
}

TEST(overrun_poll, "poll says PRI|ERR of an overrun until it was told")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct pollfd p = { rd, POLLIN | POLLPRI, 0 };
	char got[64];

	put_n(fd, 0, 1);
	need_ret(poll(&p, 1, 0), 1);
	expect_eq(p.revents & (POLLIN | POLLPRI | POLLERR), POLLIN);
	put_n(fd, 1, 100);
	need_ret(poll(&p, 1, 0), 1);
	expect_eq(p.revents & (POLLIN | POLLPRI | POLLERR), POLLIN | POLLPRI | POLLERR);
	expect_err(read(rd, got, sizeof(got)), ENOBUFS);
	need_ret(poll(&p, 1, 0), 1);
	expect_eq(p.revents & (POLLIN | POLLPRI | POLLERR), POLLIN);
}

/* The hook's point in a read of 20 messages, of which the file has read @done. */
static void hooked(const char *point, bool record, unsigned int done, unsigned int drop)
{
	for (int i = 0; i < 2; i++) {
		const char *t = topic_new();
		int fd = topic_open(t, "", O_WRONLY);
		int rd = topic_open(t, record ? "+format=record" : "", modes[i] | O_NONBLOCK);
		unsigned int tail = drop ? drop : 20, lost = tail > done ? tail - done : 0;
		unsigned int hits;
		static uint64_t buf[1024];
		struct rec r[32];
		char got[64];

		put_n(fd, 0, 20);
		need_eq(lseek(rd, record ? done : done * 10, SEEK_SET), record ? done : done * 10);
		hook_arm(point, t, 0, drop);
		hits = hook_hits();
		if (lost) {
			expect_err(read(rd, buf, sizeof(buf)), ENOBUFS);
		} else if (record) {
			expect_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 32, NULL),
				  20 - done);
		} else {
			expect_message(rd, done);
			done++;
		}
		expect_eq(hook_hits(), hits + 1);
		expect(!hook_armed());
		expect_eq(file_stat(rd).lost_messages, lost);
		expect_eq(file_stat(rd).overruns, lost != 0);
		expect_eq(file_stat(rd).tail_offset, tail);
		if (tail == 20 || (record && !lost)) {
			expect_err(read(rd, buf, sizeof(buf)), EAGAIN);
		} else if (record) {
			need_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 32, NULL), 20 - tail);
			expect_eq(r[0].e->offset, tail);
		} else {
			for (unsigned int k = lost ? tail : done; k < 20; k++)
				expect_message(rd, k);
			expect_err(read(rd, got, sizeof(got)), EAGAIN);
		}
		expect_eq(file_stat(rd).lost_messages, lost);
		hook_off();
		close(rd);
		close(fd);
	}
}

TEST(hook_read_start, "D.26: hook read-start: overrun between check and copy")
{
	hooked("read-start", false, 0, 1);
	hooked("read-start", false, 3, 7);
	hooked("read-start", false, 3, 0);
	hooked("read-start", false, 7, 7);	/* gone is only what was read */
}

TEST(hook_read_copied, "D.26: hook read-copied: overrun between copy and second check")
{
	hooked("read-copied", false, 0, 1);
	hooked("read-copied", false, 3, 7);
	hooked("read-copied", false, 3, 0);
	hooked("read-copied", false, 7, 7);
}

TEST(hook_record_start, "D.26: hook record-start: the same for a batch")
{
	hooked("record-start", true, 0, 1);
	hooked("record-start", true, 3, 7);
	hooked("record-start", true, 3, 0);
	hooked("record-start", true, 7, 7);
}

TEST(hook_record_copied, "D.26: hook record-copied: the same for a batch")
{
	hooked("record-copied", true, 0, 1);
	hooked("record-copied", true, 3, 7);
	hooked("record-copied", true, 3, 0);
	hooked("record-copied", true, 7, 7);
}

TEST(hook_skip, "D.26: hooks with overrun=skip: the read goes on at the oldest, counted")
{
	static const char *const points[] = { "read-start", "read-copied" };

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new();
		int fd = topic_open(t, "", O_WRONLY);
		int rd = topic_open(t, "+overrun=skip", O_RDONLY | O_NONBLOCK);

		put_n(fd, 0, 20);
		expect_message(rd, 0);
		hook_arm(points[i], t, 0, 5);
		expect_message(rd, 5);
		expect_eq(file_stat(rd).lost_messages, 4);
		expect_message(rd, 6);
	}
	hook_off();
}

TEST(hook_pread, "D.26: hooks under a pread: ENOBUFS, nothing moves or counts")
{
	static const char *const points[] = { "read-start", "read-copied" };

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new();
		int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
		char got[64];

		put_n(fd, 0, 20);
		for (unsigned int k = 0; k < 10; k++)
			expect_message(rd, k);
		hook_arm(points[i], t, 0, 5);
		expect_err(pread(rd, got, sizeof(got), 40), ENOBUFS);
		expect(!hook_armed());
		expect_eq(file_stat(rd).lost_messages, 0);
		expect_eq(lseek(rd, 0, SEEK_CUR), 100);
		expect_message(rd, 10);
	}
	hook_off();
}

TEST(hook_bad, "the hook refuses nonsense, and everything while test_hooks is off")
{
	static const char *const bad[] = { "x", "read-start", "no-such-point %s 0 1",
					   "read-start %s 0", "read-start %s x 1",
					   "read-start %s 0 -1", "read-start %s 0 1 0" };
	const char *path = "/sys/module/mq/parameters/hook", *t = topic_new();
	char text[256];

	hook_arm("read-start", t, 0, 1);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), bad[i], t);
		if (!write_file(path, text))
			fail("\"%s\" was taken", text);
	}
	hook_off();
	snprintf(text, sizeof(text), "read-start %s 0 1", t);
	expect(write_file(path, text) < 0);
	expect(!hook_armed());
}

TEST(overrun_empty, "empty messages do not count for plain readers, they do for record readers")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int fd = topic_open(t, "+format=record", O_WRONLY);
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int rec = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);
	struct batch *b = batch_new();
	static uint64_t buf[1024];

	/* 0..9: every second one empty; then 64 more push all ten out. */
	for (int i = 0; i < 10; i++)
		batch_add(b, "full", i % 2 ? 0 : 4);
	need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	batch_reset(b);
	for (int i = 0; i < 16; i++)
		batch_add(b, "rest", 4);
	for (int i = 0; i < 4; i++)
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	expect_err(read(rd, buf, sizeof(buf)), ENOBUFS);
	expect_eq(file_stat(rd).lost_messages, 5);
	expect_err(read(rec, buf, sizeof(buf)), ENOBUFS);
	expect_eq(file_stat(rec).lost_messages, 10);
	expect_mem(buf, read(rd, buf, sizeof(buf)), "rest", 4);
}

TEST(overrun_skip_end, "overrun=skip, and all up to until=end is gone: 0 each time, counted once")
{
	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
		int fd = topic_open(t, "", O_WRONLY), rd;
		uint64_t lost;
		char got[64];

		put_n(fd, 0, 10);
		rd = topic_open(t, "+overrun=skip+until=end", modes[i]);
		put_n(fd, 10, 90);
		expect_ret(read(rd, got, sizeof(got)), 0);
		lost = file_stat(rd).lost_messages;
		expect(lost >= 10);
		expect_eq(lseek(rd, 0, SEEK_CUR), 360);
		for (int k = 0; k < 3; k++)
			expect_ret(read(rd, got, sizeof(got)), 0);
		expect_eq(file_stat(rd).lost_messages, lost);
		expect_eq(file_stat(rd).overruns, 1);
		expect_eq(topic_counters(t).lost, lost);
	}
}

TEST(overrun_skip_waits, "overrun=skip, and only messages without payload are behind the gap: it waits")
{
	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
		int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+overrun=skip", modes[i]);
		struct async a;
		char got[64];

		put_n(fd, 0, 1);
		put_empties(t, 64);
		async_read(&a, rd, got, sizeof(got));
		expect_waits(&a);
		put_n(fd, 1, 1);
		need(async_end(&a, SOON));
		expect_eq(a.ret, 10);
		expect_eq(file_stat(rd).lost_messages, 1);
		expect_eq(file_stat(rd).overruns, 1);
		put_n(fd, 2, 1);
		expect_message(rd, 2);
	}
}

static void read_all(void *arg)
{
	int rd = topic_open(arg, "+format=record+overrun=skip", O_RDONLY);
	const size_t len = 32 << 20;
	char *buf = malloc(len);

	memset(buf, 1, len);	/* there, so that each try copies all */
	while (read(rd, buf, len) > 0)
		;
}

TEST(overrun_skip_killed, "D.22: overrun=skip: SIGKILL ends a read that is lapped whenever it tries")
{
	const char *t = topic_new(.ring_bytes = 16 << 20, .ring_messages = 65536);
	int fd = topic_open(t, "", O_WRONLY);
	char text[256] = "";
	pid_t reader;

	/* So many tries, of some milliseconds each. */
	for (int i = 0; i < 65536; i++)
		need_ret(write(fd, text, sizeof(text)), sizeof(text));
	hook_arm_times("record-copied", t, 0, 1, 65536);
	reader = child_start(read_all, (void *)t);
	need(wait_until(topic_counters(t).overruns > 3, SOON));
	kill(reader, SIGKILL);
	expect_eq(child_wait(reader, SOON), SIGKILL);
	hook_off();
}

TEST(hook_empties, "D.26: hook read-start: if only messages without payload are gone, nothing is lost")
{
	for (int i = 0; i < 2; i++) {
		const char *t = topic_new();
		int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		put_n(fd, 0, 1);
		expect_message(rd, 0);
		put_empties(t, 3);
		put_n(fd, 1, 2);
		hook_arm("read-start", t, 0, 3);
		expect_message(rd, 1);
		expect(!hook_armed());
		expect_eq(file_stat(rd).lost_messages, 0);
		expect_eq(file_stat(rd).overruns, 0);
		expect_message(rd, 2);
	}
	hook_off();
}

TEST(overrun_after_pread, "the exact number, too, if the last read was a pread at the own position")
{
	/* So many reads before it, and one more of it. */
	for (unsigned int i = 0; i < 3; i++) {
		const char *t = topic_new();
		int fd = topic_open(t, "", O_WRONLY), rd;
		struct mq_stat stat;
		char got[64], want[64];

		put_n(fd, 0, 1000);
		rd = topic_open(t, "+from=newest", O_RDONLY | O_NONBLOCK);
		put_n(fd, 1000, 3);
		for (unsigned int k = 0; k < i; k++)
			expect_message(rd, 1000 + k);
		snprintf(want, sizeof(want), "m%08u.", 1000 + i);
		for (unsigned int k = 0; k <= i; k++)
			expect_mem(got, pread(rd, got, sizeof(got), 10000 + i * 10), want, 10);
		put_n(fd, 1003, 40000);
		expect_err(read(rd, got, sizeof(got)), ENOBUFS);
		stat = file_stat(rd);
		expect_eq(stat.lost_messages, stat.tail_offset - 1000 - i);
		expect_message(rd, stat.tail_offset);
	}
}

TEST_LIMIT(overrun_race, "D.26: a reader that is lapped all the time: every message is whole, every loss counted", 150)
{
	const char *t = topic_new(.ring_bytes = 16384, .ring_messages = 256);
	enum { N = 100000 };
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	uint64_t seen = 0, next = 0, bad = 0, enobufs = 0, last_lost = 0, miscounted = 0;
	static char got[4096];
	pid_t pid = fork();

	if (!pid) {
		int fd = topic_open(t, "", O_WRONLY);
		static char buf[4096];

		for (uint64_t i = 0; i < N; i++) {
			size_t len = 16 + i * 7 % 400;

			pattern_fill(buf, len, i);
			memcpy(buf, &i, 8);
			if (write(fd, buf, len) != (ssize_t)len)
				_exit(3);
		}
		_exit(0);
	}
	for (;;) {
		ssize_t n = read(rd, got, sizeof(got));
		uint64_t i, word;

		if (n < 0 && errno == ENOBUFS) {
			uint64_t lost = file_stat(rd).lost_messages;

			enobufs++;
			next += lost - last_lost;
			last_lost = lost;
			continue;
		}
		if (n < 0 && errno == EAGAIN) {
			int status;

			if (next >= N || failures() > 20)
				break;
			if (waitpid(pid, &status, WNOHANG) == pid) {
				pid = 0;
				need_eq(status, 0);
			}
			sched_yield();
			continue;
		}
		need(n >= 16);
		memcpy(&i, got, 8);
		miscounted += i != next;
		next = i + 1;
		seen++;
		pattern_fill(&word, 8, i);
		memcpy(got, &word, 8);
		bad += (uint64_t)n != 16 + i * 7 % 400 || !pattern_ok(got, n, i);
	}
	if (pid)
		expect(child_ok(pid, SOON));
	note("%llu messages read, %llu lost in %llu overruns", (unsigned long long)seen,
	     (unsigned long long)last_lost, (unsigned long long)enobufs);
	expect_eq(bad, 0);
	expect_eq(miscounted, 0);
	expect_eq(seen + last_lost, N);
	expect_eq(file_stat(rd).overruns, enobufs);
	expect_eq(topic_counters(t).lost, last_lost);
}
