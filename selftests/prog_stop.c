// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 200 */
/* Producers and readers stopped at any moment, by signal, freezer or debugger: others go on. */
#define _GNU_SOURCE
#include <sys/ptrace.h>

#include "mqtest.h"

#define CGROUP	"/sys/fs/cgroup/mqtest-stop"

struct way {
	bool (*stop)(pid_t pid);
	bool (*go)(pid_t pid);
};

/* The letter behind the name in /proc/PID/stat. */
static bool state_is(pid_t pid, char state)
{
	char path[64], line[512], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_line(path, line, sizeof(line)))
		return false;
	at = strrchr(line, ')');
	return at && at[2] == state;
}

static bool by_signal(pid_t pid)
{
	need_ret(kill(pid, SIGSTOP), 0);
	return wait_until(state_is(pid, 'T'), SOON);
}

static bool go_signal(pid_t pid)
{
	return expect_ret(kill(pid, SIGCONT), 0);
}

static bool frozen(int want)
{
	char line[64] = "";
	FILE *f = fopen(CGROUP "/cgroup.events", "r");
	int is = -1;

	need(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "frozen %d", &is);
	fclose(f);
	return is == want;
}

static bool by_freezer(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	need_eq(write_file(CGROUP "/cgroup.procs", text), 0);
	need_eq(write_file(CGROUP "/cgroup.freeze", "1"), 0);
	return wait_until(frozen(1), SOON);
}

static bool go_freezer(pid_t pid)
{
	(void)pid;
	need_eq(write_file(CGROUP "/cgroup.freeze", "0"), 0);
	return wait_until(frozen(0), SOON);
}

static bool by_debugger(pid_t pid)
{
	need_ret(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	need_ret(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	need_ret(waitpid(pid, NULL, __WALL), pid);
	return state_is(pid, 't');
}

static bool go_debugger(pid_t pid)
{
	return expect_ret(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
}

static const struct way signal_way = { by_signal, go_signal };
static const struct way freezer_way = { by_freezer, go_freezer };
static const struct way debugger_way = { by_debugger, go_debugger };

/* A process that writes or reads for ever, to be stopped. */
struct victim {
	const char *topic;
	enum { WRITE, BATCH, READ, SPLICE, KINDS } kind;
	uint64_t calls;
};

static uint64_t calls(const struct victim *v)
{
	return __atomic_load_n(&v->calls, __ATOMIC_RELAXED);
}

static void run_victim(void *arg)
{
	struct victim *v = arg;
	int fd = topic_open(v->topic, v->kind == BATCH ? "+format=record" :
			    v->kind >= READ ? "+overrun=skip" : "",
			    v->kind >= READ ? O_RDONLY : O_WRONLY);
	struct batch *b = batch_new();
	static char buf[1000];
	int p[2];

	need_ret(pipe(p), 0);
	if (v->kind == BATCH) {
		for (int i = 0; i < 20; i++)
			batch_add(b, buf, sizeof(buf));
	}
	for (;; __atomic_add_fetch(&v->calls, 1, __ATOMIC_RELAXED)) {
		/* Again and again the same, so that it never waits. */
		if (v->kind >= READ && calls(v) % 50 == 49)
			need(lseek(fd, 0, SEEK_DATA) >= 0);
		switch (v->kind) {
		case WRITE:
			need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
			break;
		case BATCH:
			need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
			break;
		case READ:
			need(read(fd, buf, sizeof(buf)) > 0);
			break;
		default:
			need(splice(fd, NULL, p[1], NULL, sizeof(buf), 0) > 0);
			need(read(p[0], buf, sizeof(buf)) > 0);
		}
	}
}

/* 100 messages from here to here; the victim may or may not run beside it. */
static void others_go_on(int wr, int rd, uint64_t *number)
{
	struct { uint64_t magic, number; char text[200]; } m = { 0x6f74686572730a, 0, "" }, got;

	for (int i = 0; i < 100; i++) {
		m.number = ++*number;
		need_ret(write(wr, &m, sizeof(m)), sizeof(m));
		do {
			memset(&got, 0, sizeof(got));
			need(read(rd, &got, sizeof(got)) > 0);
		} while (got.magic != m.magic);
		need_eq(got.number, m.number);
	}
}

static void stop_and_go(const struct way *way)
{
	struct victim *v = shared_alloc(sizeof(*v));
	uint64_t number = 0;

	for (int i = 0; i < 3 * KINDS; i++) {
		const char *t = topic_new(.ring_bytes = 1 << 18);
		int wr = topic_open(t, "", O_WRONLY), rd;
		uint64_t before;
		pid_t pid;

		*v = (struct victim) { t, i % KINDS, 0 };
		pid = child_start(run_victim, v);
		if (v->kind >= READ) {
			static char some[500];

			for (int k = 0; k < 100; k++)
				need_ret(write(wr, some, sizeof(some)), sizeof(some));
		}
		wait_until(calls(v) > 0, SOON);
		sleep_ms(i % 5);
		need(way->stop(pid));
		before = calls(v);
		rd = topic_open(t, "+from=newest+overrun=skip", O_RDONLY);
		others_go_on(wr, rd, &number);
		expect_eq(calls(v), before);
		need(way->go(pid));
		wait_until(calls(v) > before, SOON);
		kill(pid, SIGKILL);
		need_eq(child_wait(pid, SOON), SIGKILL);
		close(wr);
		close(rd);
		expect_eq(topic_counters(t).no_memory, 0);
		wait_until(topic_counters(t).writers == 0, SOON);
		need_eq(topic_del(t), 0);
	}
}

/* Waits for something to read, or for room, and then notes what it got. */
static void run_waiter(void *arg)
{
	struct victim *v = arg;
	int fd = topic_open(v->topic, "+from=newest", v->kind == READ ? O_RDONLY : O_WRONLY);
	static char buf[1000];

	if (v->kind == READ)
		need_ret(read(fd, buf, sizeof(buf)), sizeof(buf));
	else
		need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
	__atomic_store_n(&v->calls, 1, __ATOMIC_RELAXED);
}

/* Stopped while they wait, they do not take the wake-up with them, nor fail later. */
static void stop_waiting(const struct way *way)
{
	struct victim *v = shared_alloc(2 * sizeof(*v));
	const char *t = topic_new(.ring_bytes = 4096, .max_message_bytes = 1024,
				  .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int wr = topic_open(t, "", O_WRONLY | O_NONBLOCK), rd;
	static char buf[1000];
	struct async other;
	pid_t reader, writer;

	v[0] = (struct victim) { t, READ, 0 };
	reader = child_start(run_waiter, &v[0]);
	need(sleeps_in(reader, -1, SOON));
	wait_until(topic_counters(t).readers == 1, SOON);
	need(way->stop(reader));
	need_ret(write(wr, buf, sizeof(buf)), sizeof(buf));
	expect_eq(calls(&v[0]), 0);
	need(way->go(reader));
	expect(child_ok(reader, SOON));
	expect_eq(calls(&v[0]), 1);

	rd = topic_open(t, "", O_RDONLY);
	while (write(wr, buf, sizeof(buf)) > 0)
		;
	need_eq(errno, EAGAIN);
	v[1] = (struct victim) { t, WRITE, 0 };
	writer = child_start(run_waiter, &v[1]);
	wait_until(topic_counters(t).writers_waiting == 1, SOON);
	need_eq(fcntl(wr, F_SETFL, 0), 0);
	async_write(&other, wr, buf, sizeof(buf));
	wait_until(topic_counters(t).writers_waiting == 2, SOON);
	need(way->stop(writer));
	/* Room for one, which the stopped one must not keep. */
	need_ret(read(rd, buf, sizeof(buf)), sizeof(buf));
	need_ret(read(rd, buf, sizeof(buf)), sizeof(buf));
	if (async_end(&other, SOON))
		expect_eq(other.ret, sizeof(buf));
	expect_eq(calls(&v[1]), 0);
	need(way->go(writer));
	for (int i = 0; i < 3; i++)
		need_ret(read(rd, buf, sizeof(buf)), sizeof(buf));
	expect(child_ok(writer, SOON));
	expect_eq(calls(&v[1]), 1);
	wait_until(topic_counters(t).writers_waiting == 0, SOON);
}

TEST(stop_signal, "D.22: SIGSTOP in mid-write, batch, read and splice: others go on, then it does")
{
	stop_and_go(&signal_way);
}

TEST(stop_signal_waiting, "D.22: SIGSTOP of a waiting reader and writer: no wake-up, no message lost")
{
	stop_waiting(&signal_way);
}

static void make_cgroup(void)
{
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		skip("no cgroup v2 in /sys/fs/cgroup: %s", mqt_errno(errno));
}

TEST(stop_freezer, "D.22: the cgroup freezer in mid-write, batch, read and splice: others go on, then it does")
{
	make_cgroup();
	stop_and_go(&freezer_way);
	expect_ret(rmdir(CGROUP), 0);
}

TEST(stop_freezer_waiting, "D.22: the cgroup freezer on a waiting reader and writer: no wake-up, no message lost")
{
	make_cgroup();
	stop_waiting(&freezer_way);
	expect_ret(rmdir(CGROUP), 0);
}

TEST(stop_debugger, "D.22: a debugger's stop in mid-write, batch, read and splice: others go on, then it does")
{
	stop_and_go(&debugger_way);
}

TEST(stop_debugger_waiting, "D.22: a debugger's stop of a waiting reader and writer: no wake-up, no message lost")
{
	stop_waiting(&debugger_way);
}
