// SPDX-License-Identifier: GPL-2.0
/*
 * Out of memory in the middle of a call (faults.md E.30): who ate the memory is killed, in
 * its write or read; the others go on, and what was acknowledged is in the log, whole.
 * Out of memory while the daemon writes back waits for the daemon.
 *
 * TIMEOUT: 400
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "mqtest.h"

#define GROUP		"/sys/fs/cgroup/mqtest-oom"
#define LIMIT		(24 << 20)
#define PIECE		65536

/* The others: one writes numbers, one reads them. */
static struct others {
	const char *topic;
	volatile bool end;
	volatile uint64_t put, got;
	volatile uint64_t foreign;	/* whole messages of those that were killed */
} *others;

/* Programs whose pages come and go would keep a machine without memory busy for minutes. */
static void stay(void)
{
	need_ret(mlockall(MCL_CURRENT), 0);
}

static void put_numbers(void *arg)
{
	int fd = topic_open(others->topic, "", O_WRONLY);

	(void)arg;
	stay();
	while (!others->end) {
		uint64_t n = others->put;

		need_ret(write(fd, &n, sizeof(n)), sizeof(n));
		others->put++;
		usleep(200);
	}
}

static void get_numbers(void *arg)
{
	int fd = topic_open(others->topic, "", O_RDONLY);
	static uint64_t buf[PIECE / 8 + 1];
	static const char zeros[PIECE];

	(void)arg;
	stay();
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n == PIECE) {
			need(!memcmp(buf, zeros, PIECE));
			others->foreign++;
			continue;
		}
		need_eq(n, sizeof(uint64_t));
		if (buf[0] == UINT64_MAX)
			return;
		need_eq(buf[0], others->got);
		others->got++;
	}
}

static void others_start(pid_t pid[2], const char *topic)
{
	others = shared_alloc(sizeof(*others));
	others->topic = topic;
	pid[0] = child_start(get_numbers, NULL);
	wait_until(topic_counters(topic).readers > 0, SOON);
	pid[1] = child_start(put_numbers, NULL);
	wait_until(others->got > 10, SOON);
}

static void others_go_on(void)
{
	uint64_t got = others->got;

	wait_until(others->got > got + 10, SOON);
}

static void others_end(pid_t pid[2])
{
	uint64_t last = UINT64_MAX;
	int fd;

	others->end = true;
	expect(child_ok(pid[1], SOON));
	fd = topic_open(others->topic, "", O_WRONLY);
	need_ret(write(fd, &last, sizeof(last)), sizeof(last));
	close(fd);
	expect(child_ok(pid[0], SOON));
	expect_eq(others->got, others->put);
	expect_eq(topic_counters(others->topic).lost, 0);
}

/* --- a cgroup without memory --------------------------------------------------- */

static struct victim {
	const char *topic;
	bool reads;
	volatile bool within;		/* a call */
	volatile uint64_t calls;	/* that returned */
} *victim;

/* Each call is given memory that nobody has touched, until there is none. */
static void run_victim(void *arg)
{
	int fd = topic_open(victim->topic, "", victim->reads ? O_RDONLY : O_WRONLY);
	int hole = memfd_create("hole", MFD_CLOEXEC);
	char *map;

	(void)arg;
	need_eq(write_file(GROUP "/cgroup.procs", "0"), 0);
	need_ret(ftruncate(hole, 4 * LIMIT), 0);
	map = mmap(NULL, 4 * LIMIT, PROT_READ | PROT_WRITE, MAP_SHARED, hole, 0);
	need(map != MAP_FAILED);
	for (size_t at = 0; at < 4 * LIMIT; at += PIECE) {
		victim->within = true;
		if (victim->reads) {
			need(lseek(fd, 0, SEEK_DATA) >= 0);
			need_ret(read(fd, map + at, PIECE), PIECE);
		} else {
			need_ret(write(fd, map + at, PIECE), PIECE);
		}
		victim->within = false;
		victim->calls++;
	}
	fail("four times the limit was used");
}

static long long group_kills(void)
{
	return file_number(GROUP "/memory.events", "oom_kill");
}

static void make_group(void)
{
	char text[32];

	if (write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory"))
		skip("no memory controller of cgroup2");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		skip("no cgroup: %s", mqt_errno(errno));
	snprintf(text, sizeof(text), "%d", LIMIT);
	need_eq(write_file(GROUP "/memory.max", text), 0);
	write_file(GROUP "/memory.swap.max", "0");
}

/* Kills @rounds of them; how many died in a call is what it is about. */
static void starve(const char *topic, bool reads, int rounds)
{
	int within = 0;

	for (int i = 0; i < rounds && failures() < 5; i++) {
		long long kills = group_kills();
		pid_t pid;

		*victim = (struct victim) { .topic = topic, .reads = reads };
		pid = child_start(run_victim, NULL);
		expect_eq(child_wait(pid, SOON), SIGKILL);
		expect(group_kills() > kills);
		within += victim->within;
		others_go_on();
	}
	note("%d of %d died in %s", within, rounds, reads ? "read" : "write");
	expect_eq(within, rounds);
}

TEST_LIMIT(group, "E.30: killed in write for want of memory in its cgroup: nothing torn, others go on", 150)
{
	const char *t = topic_new(.ring_bytes = 1 << 22, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	uint64_t written = 0;
	pid_t pid[2];

	make_group();
	victim = shared_alloc(sizeof(*victim));
	others_start(pid, t);
	for (int i = 0; i < 5 && failures() < 5; i++) {
		uint64_t before = others->foreign;

		starve(t, false, 1);
		written += victim->calls;
		/* All that it was told of. */
		wait_until(others->foreign - before >= victim->calls, SOON);
	}
	others_end(pid);
	/* Whole or not at all is the one that it was killed in, too. */
	expect(others->foreign >= written && others->foreign <= written + 5);
	expect_eq(topic_counters(t).writers_waiting, 0);
	wait_until(topic_counters(t).writers == 0, SOON);
	wait_until(!rmdir(GROUP), SOON);
}

TEST_LIMIT(group_reader, "E.30: killed in read for want of memory in its cgroup: others go on", 150)
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	const char *read_here = topic_new(.ring_bytes = 1 << 20);
	int fd = topic_open(read_here, "", O_WRONLY);
	static char piece[PIECE];
	pid_t pid[2];

	make_group();
	victim = shared_alloc(sizeof(*victim));
	need_ret(write(fd, piece, PIECE), PIECE);
	others_start(pid, t);
	starve(read_here, true, 5);
	others_end(pid);
	wait_until(topic_counters(read_here).readers == 0, SOON);
	wait_until(!rmdir(GROUP), SOON);
}

TEST_LIMIT(group_ring, "E.30: the topic's own memory of that cgroup, too: ENOMEM or killed, no deadlock", 150)
{
	const char *own = topic_name(), *t;
	struct topic_stats s;
	pid_t pid[2];
	int fd;

	make_group();
	victim = shared_alloc(sizeof(*victim));
	t = topic_new(.ring_bytes = 1 << 20, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	need_eq(topic_add(&(struct topic_opts) { .name = own, .ring_bytes = 1 << 23,
						 .memory_cgroup = "/mqtest-oom" }), 0);
	others_start(pid, t);
	starve(own, false, 3);
	others_end(pid);
	/* It is whole, and of use. */
	s = topic_counters(own);
	expect_eq(s.bytes_in, s.messages_in * PIECE);
	fd = topic_open(own, "", O_WRONLY);
	expect_ret(write(fd, "x", 1), 1);
	close(fd);
	need_eq(topic_del(own), 0);
	wait_until(!rmdir(GROUP), SOON);
}
