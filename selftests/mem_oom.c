// SPDX-License-Identifier: GPL-2.0
/*
 * Out of memory in the middle of a call (faults.md E.30): who ate the memory is killed, in
 * its write or read; the others go on, and what was acknowledged is in the log, whole.
 * Out of memory while the daemon writes back waits for the daemon.
 *
 * TIMEOUT: 400
 * KERNEL: huge-pages
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "mqtest.h"

#define GROUP		"/sys/fs/cgroup/mqtest-oom"
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"
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

static uint64_t group_kills(void)
{
	FILE *f = fopen(GROUP "/memory.events", "r");
	unsigned long long n = 0, v;
	char word[32];

	need(f);
	while (fscanf(f, "%31s %llu", word, &v) == 2)
		if (!strcmp(word, "oom_kill"))
			n = v;
	fclose(f);
	return n;
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
		uint64_t kills = group_kills();
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

/* --- a machine without memory ---------------------------------------------------- */

#define LEFT	(256 << 10)	/* KiB that the machine keeps */
#define FILLED	(32 << 20)	/* bytes of a topic, again and again */

static char old_pages[32];

/* Before any test point runs; they are processes of their own. */
__attribute__((constructor)) static void remember(void)
{
	read_line(HUGE_PAGES, old_pages, sizeof(old_pages));
}

static uint64_t number_in(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	unsigned long long n = 0, v;
	char line[128], word[64];

	need(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63[^: ]%*[: ]%llu", word, &v) == 2 && !strcmp(word, name))
			n = v;
	fclose(f);
	return n;
}

/* Huge pages that nobody uses: taken from the machine without touching them. */
static void take_memory(void)
{
	uint64_t size = number_in("/proc/meminfo", "Hugepagesize"), free;
	char text[32];

	if (!size)
		skip("no huge pages to take the machine's memory with");
	write_file("/proc/sys/vm/drop_caches", "3");
	write_file("/proc/sys/vm/compact_memory", "1");
	free = number_in("/proc/meminfo", "MemAvailable");
	if (free > LEFT) {
		snprintf(text, sizeof(text), "%llu",
			 (unsigned long long)(atoi(old_pages) + (free - LEFT) / size));
		need_eq(write_file(HUGE_PAGES, text), 0);
	}
	free = number_in("/proc/meminfo", "MemAvailable");
	note("%llu MiB are left", (unsigned long long)free >> 10);
	if (free > 3 * LEFT)
		skip("the machine's memory cannot be taken");
}

static void protect(const char *adj)
{
	need_eq(write_file("/proc/self/oom_score_adj", adj), 0);
}

/* Takes all there is, and is the first to be killed for it. */
static void ballast(void *arg)
{
	(void)arg;
	protect("1000");
	stay();
	for (;;) {
		char *map = mmap(NULL, 1 << 24, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		/* No more address space would be an error of the test. */
		need(map != MAP_FAILED);
		for (size_t at = 0; at < 1 << 24; at += 4096)
			map[at] = 1;
	}
}

/* A topic that grows until its ring is full, made anew then: each append needs memory. */
static struct growth {
	volatile bool end;
	volatile uint64_t rounds, acked, no_memory;
} *growth;

static void grow(void *arg)
{
	static char msg[16384];
	const char *name = arg;

	stay();
	while (!growth->end) {
		struct topic_stats s;
		uint64_t acked = 0;
		int fd;

		if (topic_add(&(struct topic_opts) { .name = name, .ring_bytes = FILLED,
						     .ring_messages = 4096 })) {
			growth->no_memory++;
			sleep_ms(10);
			continue;
		}
		fd = topic_open(name, "", O_WRONLY);
		for (int i = 0; i < FILLED / (int)sizeof(msg) && !growth->end; i++) {
			if (write(fd, msg, sizeof(msg)) == sizeof(msg)) {
				acked++;
			} else {
				need_eq(errno, ENOMEM);
				growth->no_memory++;
			}
		}
		s = topic_counters(name);
		need_eq(s.messages_in, acked);
		need_eq(s.bytes_in, acked * sizeof(msg));
		close(fd);
		need_eq(topic_del(name), 0);
		growth->acked += acked;
		growth->rounds++;
	}
}

TEST_LIMIT(machine, "E.30: the machine's memory is gone while topics grow: no deadlock, nothing torn", 200)
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	uint64_t kills = number_in("/proc/vmstat", "oom_kill");
	pid_t pid[2], grower;

	if (number_in("/proc/meminfo", "SwapTotal"))
		skip("there is swap");
	protect("-1000");
	stay();
	growth = shared_alloc(sizeof(*growth));
	others_start(pid, t);
	take_memory();
	grower = child_start(grow, (void *)topic_name());
	wait_until(growth->rounds > 0, SOON);
	for (int i = 0; i < 3 && failures() < 5; i++) {
		uint64_t rounds = growth->rounds;

		expect_eq(child_wait(child_start(ballast, NULL), 60), SIGKILL);
		others_go_on();
		wait_until(growth->rounds > rounds, SOON);
	}
	growth->end = true;
	child_ok(grower, SOON);
	others_end(pid);
	note("%llu kills, %llu messages of 16 KiB in %llu topics, %llu refused",
	     (unsigned long long)number_in("/proc/vmstat", "oom_kill") - kills,
	     (unsigned long long)growth->acked, (unsigned long long)growth->rounds,
	     (unsigned long long)growth->no_memory);
	expect(number_in("/proc/vmstat", "oom_kill") - kills >= 3);
}

TEST(machine_back, "the machine has its memory again")
{
	char text[32];

	need_eq(write_file(HUGE_PAGES, old_pages), 0);
	expect(read_line(HUGE_PAGES, text, sizeof(text)) && !strcmp(text, old_pages));
}
