// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 180 */
/* framing=line: each completed line is a message, the unfinished one waits. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/mman.h>

#include "mqtest.h"

static const char *line_topic(void)
{
	return topic_new(.framing = MQ_FRAMING_LINE, .ring_bytes = 65536);
}

static uint64_t head(const char *t)
{
	return partition_state(t, 0).head_offset;
}

/* Checks the messages from @from on against a list that ends in NULL. */
static void expect_lines(const char *file_topic, uint64_t from, const char *const *want)
{
	int rd = topic_open(file_topic, "+format=record+until=end", O_RDONLY);
	static uint64_t buf[16384];
	static struct rec r[1024];
	int n;

	need_eq(lseek(rd, from, SEEK_SET), from);
	n = want[0] ? batch_parse(buf, read(rd, buf, sizeof(buf)), r, 1024, NULL) : 0;
	for (int i = 0; i < n && want[i]; i++)
		expect_mem(r[i].payload, r[i].e->len, want[i], strlen(want[i]));
	for (int i = 0; i <= n; i++) {
		if (i == n ? want[i] != NULL : !want[i]) {
			fail("%d messages, expected %s", n, i == n ? "more" : "fewer");
			break;
		}
	}
	close(rd);
}

#define LINES(topic, from, ...)	expect_lines(topic, from, (const char *[]) { __VA_ARGS__ __VA_OPT__(,) NULL })

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

TEST(line_join, "bytes join in write order, completed lines are messages with their newline")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);

	put(fd, "one\n");
	put(fd, "two\nthree\n");
	put(fd, "fo");
	expect_eq(head(t), 3);
	put(fd, "u");
	expect_eq(head(t), 3);
	put(fd, "r\nfive\nsi");
	expect_eq(head(t), 5);
	put(fd, "x\n");
	put(fd, "\n");
	put(fd, "\n\n");
	LINES(t, 0, "one\n", "two\n", "three\n", "four\n", "five\n", "six\n", "\n", "\n", "\n");
	expect_eq(file_stat(fd).flags & MQ_STAT_LINE, MQ_STAT_LINE);
}

TEST(line_bytewise, "a line written byte by byte, and one of 0 bytes between, is one message")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);

	for (const char *p = "byte by byte\n"; *p; p++) {
		expect_eq(head(t), 0);
		need_ret(write(fd, p, 1), 1);
		need_ret(write(fd, p, 0), 0);
	}
	LINES(t, 0, "byte by byte\n");
}

TEST(line_writev, "writev joins its pieces as write does")
{
	struct iovec iov[4] = { { "a", 1 }, { "b\nc", 3 }, { "", 0 }, { "d\ne", 3 } };
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);

	expect_ret(writev(fd, iov, 4), 7);
	LINES(t, 0, "ab\n", "cd\n");
	put(fd, "\n");
	LINES(t, 2, "e\n");
}

TEST(line_read, "a read takes as many whole lines as fit; a line cut short goes on with the next")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[64];

	put(fd, "aa\nbbb\ncccc\ndddddddddd\n");
	expect_mem(got, read(rd, got, 64), "aa\nbbb\ncccc\ndddddddddd\n", 23);
	need_eq(lseek(rd, 0, SEEK_SET), 0);
	expect_mem(got, read(rd, got, 7), "aa\nbbb\n", 7);
	expect_mem(got, read(rd, got, 6), "cccc\n", 5);
	expect_mem(got, read(rd, got, 4), "dddd", 4);	/* not even one fits */
	expect_mem(got, read(rd, got, 64), "dddddd\n", 7);
	expect_err(read(rd, got, 64), EAGAIN);
	need_eq(lseek(rd, 1, SEEK_SET), 1);
	expect_mem(got, read(rd, got, 5), "a\n", 2);
}

TEST(line_per_file, "each open file has a line of its own; dup and fork share it")
{
	const char *t = line_topic();
	int a = topic_open(t, "", O_WRONLY), b = topic_open(t, "", O_WRONLY), c = dup(a);
	pid_t pid;

	put(a, "from a ");
	put(b, "from b ");
	put(c, "and c\n");
	pid = fork();
	if (!pid)
		_exit(write(b, "and a child\n", 12) != 12);
	need(child_ok(pid, SOON));
	LINES(t, 0, "from a and c\n", "from b and a child\n");
}

TEST(line_close, "the last close appends the unfinished line, flagged; an earlier one does not")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY), copy = dup(fd), rd;
	static uint64_t buf[512];
	struct rec r[8];
	pid_t pid;

	put(fd, "no newline");
	close(fd);
	expect_eq(head(t), 0);
	pid = fork();
	if (!pid)
		_exit(0);	/* its copy is closed, ours is not */
	need(child_ok(pid, SOON));
	expect_eq(head(t), 0);
	close(copy);
	expect_eq(head(t), 1);
	rd = topic_open(t, "+format=record", O_RDONLY);
	need_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 8, NULL), 1);
	expect_mem(r[0].payload, r[0].e->len, "no newline", 10);
	expect_eq(r[0].e->flags, MQ_ENTRY_UNFINISHED);
	/* A process killed in mid-line closes, too. */
	pid = fork();
	if (!pid) {
		put(topic_open(t, "", O_WRONLY), "killed");
		pause();
	}
	need(sleeps_in(pid, -1, SOON));
	wait_until(topic_counters(t).writers == 1, SOON);
	kill(pid, SIGKILL);
	child_wait(pid, SOON);
	wait_until(head(t) == 2, SOON);
	LINES(t, 1, "killed");
	/* Nothing unfinished, nothing appended. */
	fd = topic_open(t, "", O_WRONLY);
	put(fd, "done\n");
	close(fd);
	expect_eq(head(t), 3);
}

TEST(line_writer, "whoever ends an unfinished line, by fsync or as the last to close, did not write it")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .stamp = MQ_STAMP_UID);
	int rd = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);
	static char buf[1 << 17];

	/* The last time its memory ends behind the first of two chunks. */
	for (int how = 0; how < 4; how++) {
		char *memory = mmap(NULL, 2 << 16, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		size_t size = how & 2 ? 2 << 16 : 6, fits = how & 2 ? 1 << 16 : 6;
		int fd = topic_open(t, "", O_WRONLY);
		bool close_it = how & 1;
		struct rec r[2];
		size_t len;
		ssize_t n;
		pid_t pid;

		need(memory != MAP_FAILED);
		memset(memory, 'x', 2 << 16);
		need(!munmap(memory + (1 << 16), 1 << 16));
		pid = fork();
		if (!pid)
			_exit(setresuid(1234, 1234, 1234) ||
			      write(fd, memory, size) != (ssize_t)fits);
		need(child_ok(pid, SOON));
		munmap(memory, 1 << 16);
		if (close_it)
			close(fd);
		else
			expect_err(fsync(fd), EINVAL);
		n = read(rd, buf, sizeof(buf));
		need_eq(batch_parse(buf, n, r, 2, NULL), 1);
		expect_eq(r[0].e->flags & MQ_ENTRY_UNFINISHED, MQ_ENTRY_UNFINISHED);
		expect_eq(r[0].e->pid, pid);
		const uint32_t *uid = rec_attr(&r[0], MQ_ATTR_WRITER_UID, 0, &len);

		if (expect(uid && len == 4))
			expect_eq(*uid, 1234);
		/* Who ends it with a newline wrote it. */
		if (!close_it)
			close(fd);
	}
}

TEST(line_fsync, "fsync appends the unfinished line; on a memory topic it then says EINVAL")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);

	put(fd, "half");
	expect_err(fsync(fd), EINVAL);
	LINES(t, 0, "half");
	put(fd, " line\n");
	LINES(t, 0, "half", " line\n");
	expect_err(fdatasync(fd), EINVAL);
	expect_eq(head(t), 2);
}

TEST(line_close_full, "close without room drops the unfinished line and counts it, and never waits")
{
	for (uint32_t overflow = MQ_OVERFLOW_BLOCK; overflow <= MQ_OVERFLOW_REJECT; overflow++) {
		const char *t = topic_new(.framing = MQ_FRAMING_LINE, .ring_messages = 64,
					  .persistent = 1, .overflow = overflow,
					  .set = MQT(OVERFLOW));
		int fd = topic_open(t, "", O_WRONLY);

		put(fd, "unfinished");
		for (int i = 0; i < 64; i++)
			put(topic_open(t, "", O_WRONLY), "x\n");
		close(fd);
		expect_eq(topic_counters(t).dropped_unfinished, 1);
		expect_eq(head(t), 64);
	}
}

TEST(line_close_paused, "close while paused drops the unfinished line, too")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);

	put(fd, "unfinished");
	need(topic_set(t, .paused = 1));
	close(fd);
	expect_eq(topic_counters(t).dropped_unfinished, 1);
	expect_eq(head(t), 0);
}

TEST(line_long, "a line over max_message_bytes is split and flagged, nothing lost")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .max_message_bytes = 100);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+format=record", O_RDONLY);
	static uint64_t buf[4096];
	static char text[1001], joined[4096];
	struct rec r[64];
	size_t at = 0;
	int n;

	memset(text, 'l', sizeof(text));
	text[99] = '\n';	/* exactly 100 with its newline: not split */
	need_ret(write(fd, text, 100), 100);
	text[99] = 'l';
	text[100] = '\n';	/* 101: split into 100 and 1 */
	need_ret(write(fd, text, 101), 101);
	text[100] = 'l';
	need_ret(write(fd, text, 350), 350);	/* no newline yet: 50 wait */
	expect_eq(head(t), 1 + 2 + 3);
	put(fd, "end\n");
	n = batch_parse(buf, read(rd, buf, sizeof(buf)), r, 64, NULL);
	need_eq(n, 7);
	for (int i = 0; i < n; i++) {
		bool split = i == 1 || (i >= 3 && i <= 5);

		expect_eq(r[i].e->flags, split ? MQ_ENTRY_SPLIT : 0);
		expect_eq(r[i].e->len, i == 2 ? 1 : i == 6 ? 54 : 100);
		memcpy(joined + at, r[i].payload, r[i].e->len);
		at += r[i].e->len;
	}
	expect_eq(at, 100 + 101 + 354);
	expect_mem(joined + 201, 354, memset(text, 'l', 350) ? strcpy(text + 350, "end\n") - 350 : "",
		   354);
}

TEST(line_exact, "exactly max_message_bytes without a newline, then the newline")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .max_message_bytes = 10);
	int fd = topic_open(t, "", O_WRONLY);
	struct partition_info p;

	put(fd, "0123456789");
	put(fd, "\nnext\n");
	p = partition_state(t, 0);
	expect_eq(p.head_position, 16);
	expect(p.head_offset == 3);	/* split at 10; the newline; "next" */
	LINES(t, 2, "next\n");
}

TEST(line_big_write, "one write of thousands of lines, larger than the ring")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .ring_bytes = 65536,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int rd = topic_open(t, "", O_RDONLY);
	enum { N = 20000, LEN = 16 };
	static char text[N * LEN + 1], got[1 << 20];
	struct async a;
	size_t at = 0;

	for (int i = 0; i < N; i++)
		sprintf(text + i * LEN, "line number %03d\n", i % 1000);
	async_write(&a, topic_open(t, "", O_WRONLY), text, N * LEN);
	while (at < N * LEN) {
		struct pollfd p = { rd, POLLIN, 0 };
		ssize_t n;

		if (!expect(poll(&p, 1, SOON * 1000) == 1))
			break;
		n = read(rd, got + at, 4096);
		need(n > 0);
		if (got[at + n - 1] != '\n')
			fail("a read that does not end with a line");
		at += n;
	}
	expect_mem(got, at, text, N * LEN);
	/* The holder's next call shows what it has read. */
	need(async_end(&a, SOON));
	expect_eq(a.ret, N * LEN);
	expect_eq(head(t), N);
}

TEST(line_short, "O_NONBLOCK or a signal gives the short count, and only whole bytes of it are taken")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .ring_bytes = 4096,
				  .max_message_bytes = 1024, .persistent = 1);
	int nb = topic_open(t, "", O_WRONLY | O_NONBLOCK), fd;
	static char text[8192];
	struct async a;
	ssize_t n;

	for (int i = 0; i < 8192; i++)
		text[i] = i % 64 == 63 ? '\n' : 'a' + i / 64 % 26;
	n = write(nb, text, 8192);
	/* All that fits is in; of the next line at most what can wait. */
	expect(n >= 4096 && n < 4096 + 64);
	expect_eq(head(t), 64);
	expect_eq(partition_state(t, 0).head_position, 4096);
	expect_err(write(nb, "more\n", 5), EAGAIN);
	close(nb);

	t = topic_new(.framing = MQ_FRAMING_LINE, .ring_bytes = 4096, .max_message_bytes = 1024,
		      .persistent = 1);
	fd = topic_open(t, "", O_WRONLY);
	async_write(&a, fd, text, 8192);
	expect_waits(&a);
	expect_eq(head(t), 64);
	async_signal(&a);
	need(async_end(&a, SOON));
	expect(a.ret >= 4096 && a.ret < 4096 + 64);
	async_write(&a, fd, "x\n", 2);
	expect_waits(&a);
	async_signal(&a);
	need(async_end(&a, SOON));
	expect_eq(a.ret, -1);
	expect_eq(a.error, EINTR);
	expect_eq(head(t), 64);
}

TEST(line_short_joined, "short counts behind an unfinished line: no byte is lost or doubled")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .ring_bytes = 4096,
				  .max_message_bytes = 1024, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int nb = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	static char text[61 * 300], got[sizeof(text) + 1024];
	size_t sent = 0, have = 0, shorter = 0;
	ssize_t n;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 61 == 60 ? '\n' : 'a' + i / 61 % 26;
	while (have < sizeof(text) && !failures()) {
		size_t left = sizeof(text) - sent, len = left < 700 ? left : 700;

		n = write(nb, text + sent, len);
		if (n > 0) {
			shorter += n < (ssize_t)len;
			sent += n;
		}
		if (n == (ssize_t)len && len)
			continue;
		n = read(rd, got + have, 1024);
		need(n > 0);
		have += n;
		need(have <= sizeof(text));
	}
	expect_mem(got, have, text, sizeof(text));
	expect(shorter > 3);
}

TEST(line_reject, "overflow=reject on a line topic: what fitted is the count, then ENOBUFS")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .ring_messages = 64, .persistent = 1,
				  .overflow = MQ_OVERFLOW_REJECT);
	int fd = topic_open(t, "", O_WRONLY);
	char text[200];
	ssize_t n;

	for (int i = 0; i < 200; i++)
		text[i] = i % 2 ? '\n' : 'x';
	n = write(fd, text, 200);
	expect(n == 128 || n == 129);
	expect_eq(head(t), 64);
	expect_err(write(fd, "y\n", 2), ENOBUFS);
	expect(topic_counters(t).rejected >= 1);
}

TEST(line_record, "a record on a line topic is one line that ends in its only newline")
{
	static const char *const bad[] = { "no newline", "two\nlines\n", "", "\n\n", "mid\ndle" };
	const char *t = line_topic();
	int fd = topic_open(t, "+format=record", O_WRONLY);
	struct batch *b = batch_new();

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		batch_reset(b);
		batch_add(b, "good\n", 5);
		batch_add(b, bad[i], strlen(bad[i]));
		expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EINVAL);
	}
	expect_eq(head(t), 0);
	batch_reset(b);
	batch_add(b, "good\n", 5);
	batch_add(b, "\n", 1);
	expect(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	LINES(t, 0, "good\n", "\n");
}

TEST(line_fault, "A.2: a bad pointer in the middle of lines loses and doubles nothing")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);
	struct iovec iov[3] = { { "one\ntw", 6 }, { bad_ptr, 10 }, { "x\n", 2 } };
	struct partition_info p;
	ssize_t n;

	n = writev(fd, iov, 3);
	/* As a pipe: what came before the fault may have been taken, and is the count. */
	expect((n == -1 && errno == EFAULT) || (n > 0 && n <= 6));
	if (n < 0)
		n = 0;
	put(fd, &"one\ntwo\nend\n"[n]);
	p = partition_state(t, 0);
	expect_eq(p.head_position, 12);
	LINES(t, 0, "one\n", "two\n", "end\n");
}

TEST_LIMIT(line_two_files, "two writers with a file each: lines are whole and in each one's order", 90)
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE, .hold = MQ_HOLD_READERS,
				  .set = MQT(OVERFLOW));
	int rd = topic_open(t, "", O_RDONLY);
	enum { N = 5000 };
	unsigned int next[2] = { 0, 0 };
	pid_t pid[2];
	FILE *in;

	for (int w = 0; w < 2; w++) {
		pid[w] = fork();
		if (!pid[w]) {
			int fd = topic_open(t, "", O_WRONLY);
			char text[64];

			for (int i = 0; i < N; i++) {
				int len = sprintf(text, "writer %d line %d\n", w, i);
				int cut = i % len;

				if (write(fd, text, cut) != cut ||
				    write(fd, text + cut, len - cut) != len - cut)
					_exit(1);
			}
			_exit(0);
		}
	}
	in = fdopen(rd, "r");
	for (int i = 0; i < 2 * N; i++) {
		unsigned int w, n;
		char text[128];

		need(fgets(text, sizeof(text), in));
		if (sscanf(text, "writer %u line %u\n", &w, &n) != 2 || w > 1 || n != next[w]) {
			fail("line %d: %s, expected %u or %u", i, text, next[0], next[1]);
			break;
		}
		next[w]++;
	}
	expect(child_ok(pid[0], SOON) && child_ok(pid[1], SOON));
	expect_eq(head(t), 2 * N);
}

#define PIECES	1024
#define PIECE	(2UL << 20)

/* 2 GiB of lines: minutes, to which a signal puts an end. */
static long write_lines(void *arg)
{
	static struct iovec iov[PIECES];
	static char piece[PIECE];

	memset(piece, '\n', sizeof(piece));
	for (int i = 0; i < PIECES; i++)
		iov[i] = (struct iovec) { piece, sizeof(piece) };
	return writev(*(int *)arg, iov, PIECES);
}

static void write_lines_only(void *arg)
{
	write_lines(arg);
}

TEST(line_interrupted, "a signal ends a write that needs not wait for anything: the short count is in the log")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);
	struct async a;

	async_start(&a, write_lines, &fd);
	need(wait_until(head(t) > 0, SOON));
	async_signal(&a);
	need(async_end(&a, SOON));
	expect(a.ret > 0 && a.ret < (long)(PIECES * PIECE));
	expect_eq(head(t), a.ret);
	expect_eq(partition_state(t, 0).head_position, a.ret);
	put(fd, "next\n");
	LINES(t, a.ret, "next\n");
}

TEST(line_killed, "D.22: so does SIGKILL")
{
	const char *t = line_topic();
	int fd = topic_open(t, "", O_WRONLY);
	pid_t pid = child_start(write_lines_only, &fd);

	need(wait_until(head(t) > 0, SOON));
	sleep_ms(500);
	kill(pid, SIGKILL);
	expect_eq(child_wait(pid, SOON), SIGKILL);
	expect_eq(partition_state(t, 0).head_position, head(t));
	put(fd, "next\n");
	LINES(t, head(t) - 1, "next\n");
}
