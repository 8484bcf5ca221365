// SPDX-License-Identifier: GPL-2.0
/* Who holds on a hold=readers topic, from when, until when. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/resource.h>
#include "mqtest.h"

#define FULL	4

static char kib[1024];

static const char *new_topic(void)
{
	return topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
}

static int writer(const char *t)
{
	return topic_open(t, "", O_WRONLY | O_NONBLOCK);
}

static void fill(int fd, int n)
{
	while (n--)
		need_ret(write(fd, kib, sizeof(kib)), sizeof(kib));
}

/* Number of messages that still fit. */
static int room(int fd)
{
	int n = 0;

	while (n < 100 && write(fd, kib, sizeof(kib)) == sizeof(kib))
		n++;
	return n;
}

TEST(holder_readonly, "a file opened read-only holds from its open on; its close releases")
{
	const char *t = new_topic();
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY);

	expect(file_stat(rd).flags & MQ_STAT_HOLDING);
	expect_eq(room(fd), FULL);
	expect_eq(partition_state(t, 0).held_offset, 0);
	close(rd);
	expect_eq(room(fd), 100);	/* nobody holds */
	expect_eq(partition_state(t, 0).held_offset, FULL + 100);
}

TEST(holder_joins, "a reader of all holds in a partition that is added, before its next call")
{
	const char *t = new_topic();
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK), both = topic_open(t, "", O_RDWR | O_NONBLOCK);
	int skips = topic_open(t, "+overrun=skip", O_RDONLY);
	int one = topic_open(t, "@0", O_RDONLY), wr;
	char got[1024];

	need(topic_set(t, .partitions = 2));
	wr = topic_open(t, "@1", O_WRONLY | O_NONBLOCK);
	expect_eq(room(wr), FULL);
	expect_eq(partition_state(t, 1).held_offset, 0);
	for (int i = 0; i < FULL; i++)
		expect_ret(read(rd, got, sizeof(got)), sizeof(got));
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	expect_eq(file_stat(rd).lost_messages, 0);
	/* It has read, and nobody else holds: one that has not read yet, one that skips. */
	expect_eq(room(wr), FULL);
	/* From its first read on it does, and in what is added then, too. */
	expect_err(read(both, got, sizeof(got)), ENOBUFS);
	while (read(rd, got, sizeof(got)) > 0)
		;
	close(rd);
	need(topic_set(t, .partitions = 3));
	close(wr);
	wr = topic_open(t, "@2", O_WRONLY | O_NONBLOCK);
	expect_eq(room(wr), FULL);
	close(both);
	expect_eq(room(wr), 100);
	close(skips);
	close(one);
}

static struct race {
	const char *topic;
	volatile bool end;
	volatile uint64_t written, read;
} *race;

static void race_writer(void *arg)
{
	int fd = topic_open(race->topic, "", O_WRONLY);

	(void)arg;
	while (!race->end) {
		need_ret(write(fd, kib, sizeof(kib)), sizeof(kib));
		race->written++;
	}
}

static void race_reader(void *arg)
{
	int fd = topic_open(race->topic, "", O_RDONLY);
	char got[1024];

	(void)arg;
	for (unsigned int i = 0;; i++) {
		ssize_t n = read(fd, got, sizeof(got));

		if (n < 0)
			need_eq(errno, ENOBUFS);
		else
			race->read++;
		/* Back, to what may be gone, and on. */
		if (i % 16 == 0) {
			off_t at = lseek(fd, 0, SEEK_CUR);

			need(lseek(fd, at > 1024 ? at - 1024 : 0, SEEK_SET) >= 0);
		}
	}
}

TEST_LIMIT(holder_switched, "hold=readers switched on and off under reader and writer: neither is forgotten", 120)
{
	pid_t pids[2];

	race = shared_alloc(sizeof(*race));
	race->topic = new_topic();
	pids[0] = child_start(race_writer, NULL);
	pids[1] = child_start(race_reader, NULL);
	for (int i = 0; i < 1000; i++) {
		need(topic_set(race->topic, .hold = i & 1, .set = MQT(HOLD)));
		if (i % 50)
			continue;
		uint64_t written = race->written, got = race->read;

		need(topic_set(race->topic, .hold = MQ_HOLD_READERS));
		if (!wait_until(race->written > written + 50 && race->read > got + 50, SOON))
			break;
	}
	kill(pids[1], SIGKILL);
	child_wait(pids[1], SOON);
	race->end = true;
	child_ok(pids[0], SOON);
}

TEST(holder_exact, "in a ring of many messages, too, room is what was read, and not a message more")
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .ring_messages = 1024,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	static const int reads[] = { 1, 2, 3, 5, 8, 100, 1024, 1 };
	unsigned int next = 0, got, written = 0;

	for (unsigned int i = 0; i <= sizeof(reads) / sizeof(reads[0]); i++) {
		int n = 0;

		while (write(fd, &written, sizeof(written)) == sizeof(written)) {
			written++;
			n++;
		}
		expect_eq(n, i ? reads[i - 1] : 1024);
		for (n = 0; i < sizeof(reads) / sizeof(reads[0]) && n < reads[i]; n++) {
			need_ret(read(rd, &got, sizeof(got)), sizeof(got));
			need_eq(got, next++);
		}
	}
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(holder_close_wakes, "the close of the last holder wakes the waiting writer")
{
	const char *t = new_topic();
	int fd = writer(t), wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct async a;
	pid_t pid;

	expect_eq(room(fd), FULL);
	async_write(&a, wr, kib, sizeof(kib));
	expect_waits(&a);
	close(rd);
	need(async_end(&a, SOON));
	expect_eq(a.ret, 1024);
	/* The death of the process that holds does it, too. */
	pid = fork();
	if (!pid) {
		topic_open(t, "", O_RDONLY);
		pause();
	}
	wait_until(topic_counters(t).readers == 1, SOON);
	expect_eq(room(fd), 0);
	async_write(&a, wr, kib, sizeof(kib));
	expect_waits(&a);
	kill(pid, SIGKILL);
	need(async_end(&a, SOON));
	expect_eq(a.ret, 1024);
	child_wait(pid, SOON);
}

TEST(holder_skip, "a file with overrun=skip holds nothing")
{
	const char *t = new_topic();
	int fd = writer(t), rd = topic_open(t, "+overrun=skip", O_RDONLY);
	int rw = topic_open(t, "+overrun=skip", O_RDWR | O_NONBLOCK);
	char got[2048];

	expect(!(file_stat(rd).flags & MQ_STAT_HOLDING));
	fill(fd, 2);
	need_ret(read(rd, got, sizeof(got)), 1024);
	need_ret(read(rw, got, sizeof(got)), 1024);
	expect_eq(room(fd), 100);
	need_ret(read(rd, got, sizeof(got)), 1024);
	expect_eq(file_stat(rd).lost_messages, 102 - FULL - 1);
}

TEST(holder_rdwr, "a read-write file holds from its first read on")
{
	const char *t = new_topic();
	int rw = topic_open(t, "", O_RDWR | O_NONBLOCK);
	char got[2048];

	expect(!(file_stat(rw).flags & MQ_STAT_HOLDING));
	expect_eq(room(rw), 100);
	expect_err(read(rw, got, sizeof(got)), ENOBUFS);	/* the first read */
	need_ret(read(rw, got, sizeof(got)), 1024);
	expect(file_stat(rw).flags & MQ_STAT_HOLDING);
	expect(room(rw) <= 1);
	expect_eq(room(rw), 0);
	need_eq(lseek(rw, 0, SEEK_END), file_stat(rw).head_position);
	expect_eq(room(rw), FULL);
	close(rw);
	rw = writer(t);
	expect_eq(room(rw), 100);
}

TEST(holder_options, "from=newest holds only what comes after it")
{
	const char *t = new_topic();
	int fd = writer(t), rd;

	fill(fd, 10);
	rd = topic_open(t, "+from=newest", O_RDONLY);
	expect_eq(room(fd), FULL);
	expect_eq(partition_state(t, 0).held_offset, 10);
	close(rd);
	rd = topic_open(t, "", O_RDONLY);
	expect_eq(room(fd), 0);
	need_eq(lseek(rd, 0, SEEK_END), 14 * 1024);
	expect_eq(room(fd), FULL);
}

TEST(holder_seek, "a seek forward releases, a seek back holds what is still there")
{
	const char *t = new_topic();
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY);
	struct mq_seek seek;

	expect_eq(room(fd), FULL);
	need_eq(lseek(rd, 2048, SEEK_SET), 2048);
	need_eq(lseek(rd, 0, SEEK_SET), 0);
	expect_eq(room(fd), 0);
	need_eq(lseek(rd, 1024 + 1, SEEK_SET), 1025);	/* in the second: it is held whole */
	expect_eq(room(fd), 1);
	need_ret(file_seek(rd, MQ_SEEK_OFFSET, 3, &seek), 0);
	expect_eq(room(fd), 2);
	need_ret(file_seek(rd, MQ_SEEK_NEWEST, 0, &seek), 0);
	expect_eq(room(fd), FULL);
	need_ret(file_seek(rd, MQ_SEEK_OLDEST, 0, &seek), 0);
	expect_eq(room(fd), 0);
}

TEST(holder_partly, "a message of which part was read is held until the rest is read, too")
{
	const char *t = new_topic();
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[2048];

	expect_eq(room(fd), FULL);
	need_ret(read(rd, got, 1023), 1023);
	expect_eq(room(fd), 0);
	need_ret(read(rd, got, 10), 1);
	need_ret(read(rd, got, 10), 10);	/* of the next: the first is surely read */
	expect_eq(room(fd), 1);
}

TEST(holder_slowest, "the slowest of several readers decides")
{
	const char *t = new_topic();
	int fd = writer(t), a = topic_open(t, "", O_RDONLY), b = topic_open(t, "", O_RDONLY);
	int rec = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);
	static uint64_t buf[1024];
	struct rec r[16];

	expect_eq(room(fd), FULL);
	need_eq(lseek(a, 0, SEEK_END), 4096);
	expect_eq(room(fd), 0);
	need_eq(lseek(b, 2048, SEEK_SET), 2048);
	expect_eq(room(fd), 0);		/* the record reader is at 0 */
	need_eq(batch_parse(buf, read(rec, buf, sizeof(buf)), r, 16, NULL), 4);
	expect_err(read(rec, buf, sizeof(buf)), EAGAIN);
	expect_eq(room(fd), 2);
	close(b);
	expect_eq(room(fd), 2);		/* a is at 4 */
	expect_eq(file_stat(a).lost_messages + file_stat(rec).lost_messages, 0);
}

TEST(holder_dup, "a dup keeps holding after the original's close")
{
	const char *t = new_topic();
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY), copy = dup(rd);

	expect_eq(room(fd), FULL);
	close(rd);
	expect_eq(room(fd), 0);
	close(copy);
	expect_eq(room(fd), 100);
}

TEST(holder_pread, "a pread elsewhere neither holds nor releases")
{
	const char *t = new_topic();
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[2048];

	expect_eq(room(fd), FULL);
	need_ret(pread(rd, got, sizeof(got), 3072), 1024);
	need_ret(pread(rd, got, sizeof(got), 2048), 1024);
	expect_eq(room(fd), 0);
	need_ret(read(rd, got, sizeof(got)), 1024);
	need_ret(read(rd, got, sizeof(got)), 1024);
	expect(room(fd) >= 1);
}

TEST(holder_switched_on, "hold=readers switched on binds the readers that are open already")
{
	const char *t = topic_new(.ring_bytes = 4096, .set = MQT(OVERFLOW));
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY);

	fill(fd, 2);
	need(topic_set(t, .hold = MQ_HOLD_READERS));
	expect_eq(room(fd), FULL - 2);
	close(rd);
	expect_eq(room(fd), 100);
}

TEST(holder_switch_back, "who went back while nothing was held holds from there when it is switched on")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK), n;
	char got[4];

	for (n = 0; n < 64; n++)
		need_ret(write(fd, "four", 4), 4);
	for (n = 0; n < 50; n++)
		need_ret(read(rd, got, 4), 4);
	for (n = 0; n < 10; n++)
		need_ret(write(fd, "more", 4), 4);
	need_eq(partition_state(t, 0).tail_offset, 10);
	need(topic_set(t, .set = MQT(HOLD)));
	need_eq(lseek(rd, 20 * 4, SEEK_SET), 20 * 4);
	need(topic_set(t, .hold = MQ_HOLD_READERS));
	for (n = 0; n < 100 && write(fd, "last", 4) == 4; n++)
		;
	expect_eq(n, 10);
	need_ret(read(rd, got, 4), 4);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(holder_idle_end, "a reader that waits at the end holds nothing but gets everything")
{
	const char *t = new_topic();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	unsigned int wrong = 0;
	char got[2048];
	pid_t pid = fork();

	if (!pid) {
		for (int i = 0; i < 500; i++) {
			pattern_fill(kib, sizeof(kib), i);
			if (write(wr, kib, sizeof(kib)) != sizeof(kib))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < 500; i++) {
		need_ret(read(rd, got, sizeof(got)), 1024);
		wrong += !pattern_ok(got, 1024, i);
	}
	expect(child_ok(pid, SOON));
	expect_eq(wrong, 0);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(holder_room_late, "a reader that stops after one message has made room for one: told soon")
{
	const char *t = topic_new(.ring_bytes = 65536, .hold = MQ_HOLD_READERS,
				  .set = MQT(OVERFLOW));
	int fd = writer(t), wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int rec = topic_open(t, "+format=record", O_RDONLY);
	struct async a;
	char got[2048];

	expect_eq(room(fd), 64);
	for (int i = 0; i < 3; i++) {
		async_write(&a, wr, kib, sizeof(kib));
		expect_waits(&a);
		need_ret(read(rd, got, 1024), 1024);
		/* The other holds it yet, and counts in messages. */
		expect_waits(&a);
		need(read(rec, got, 1024 + 512) > 1024);
		need(async_end(&a, SOON));
		expect_eq(a.ret, 1024);
		expect_eq(room(fd), 0);
	}
}

TEST(holder_room_batches, "a writer waits once for much room, not once a message")
{
	const long messages = 20000;
	const char *t = topic_new(.ring_bytes = 1 << 20, .ring_messages = 16384,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = writer(t), rd = topic_open(t, "", O_RDONLY);
	long full, *waits = shared_alloc(sizeof(*waits));
	char got[100];
	pid_t pid;

	for (full = 0; write(fd, kib, 100) == 100; full++)
		;
	pid = fork();
	if (!pid) {
		int wr = topic_open(t, "", O_WRONLY);
		struct rusage was, is;

		getrusage(RUSAGE_SELF, &was);
		for (long i = 0; i < messages; i++)
			if (write(wr, kib, 100) != 100)
				_exit(1);
		getrusage(RUSAGE_SELF, &is);
		*waits = is.ru_nvcsw - was.ru_nvcsw;
		_exit(0);
	}
	for (long i = 0; i < full + messages; i++) {
		need_ret(read(rd, got, sizeof(got)), 100);
		/* Slower than the writer. */
		for (int k = 0; k < 10; k++)
			sched_yield();
	}
	expect(child_ok(pid, SOON));
	note("%ld waits of the writer for %ld messages", *waits, messages);
	expect(*waits > 0);
	/* Once for each message or two, it was; a slow machine runs into the time limit of a wait. */
	expect(*waits <= messages / 20);
}
