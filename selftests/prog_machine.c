// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 200 */
/* The machine changes under producers and readers: CPUs go and come, the clock jumps,
 * priorities differ.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "mqtest.h"

#define PRODUCERS	3
#define CPU1		"/sys/devices/system/cpu/cpu1/online"
#define PREEMPT		"/sys/kernel/debug/sched/preempt"
#define DAY		86400

struct message {
	uint32_t id, number;
	uint64_t sent;	/* CLOCK_MONOTONIC */
};

/* Shared by all processes of a test. */
struct flow {
	const char *topic;
	volatile bool end;
	volatile uint32_t wrote[PRODUCERS];	/* messages acknowledged */
	volatile uint32_t got[PRODUCERS];
	volatile uint32_t back;		/* flagged: the clock was set back */
	volatile uint64_t write_ns, read_ns;	/* longest call of producer 0; way of its messages */
};

struct producer {
	struct flow *f;
	uint32_t id;
	uint32_t pause_us;	/* after each message */
};

static void longest(volatile uint64_t *max, uint64_t since)
{
	uint64_t took = now_ns() - since;

	if (took > *max)
		*max = took;
}

static void produce(void *arg)
{
	struct producer *p = arg;
	struct flow *f = p->f;
	int fd = topic_open(f->topic, "", O_WRONLY);
	struct message m = { p->id, 0, 0 };

	while (!f->end) {
		m.sent = now_ns();
		need_ret(write(fd, &m, sizeof(m)), sizeof(m));
		if (!p->id)
			longest(&f->write_ns, m.sent);
		f->wrote[p->id] = ++m.number;
		if (p->pause_us)
			usleep(p->pause_us);
	}
}

/* Each producer's messages in order, times that never go back unless flagged. */
static void consume(void *arg)
{
	struct flow *f = arg;
	int fd = topic_open(f->topic, "+format=record", O_RDONLY);
	static uint64_t buf[8192];
	static struct rec r[1024];
	int64_t last = 0;
	struct message m;
	bool all = false;
	int n;

	while (!all) {
		n = batch_parse(buf, read(fd, buf, sizeof(buf)), r, 1024, NULL);
		need(n > 0);
		for (int i = 0; i < n; i++) {
			memcpy(&m, r[i].payload, sizeof(m));
			/* The last word: no producer writes any more. */
			all = m.id == PRODUCERS;
			if (all)
				break;
			need(m.id < PRODUCERS);
			need_eq(m.number, f->got[m.id]);
			f->got[m.id]++;
			if (!m.id)
				longest(&f->read_ns, m.sent);
			if (r[i].e->flags & MQ_ENTRY_CLOCK_BACK)
				f->back++;
			else
				need(r[i].e->timestamp >= last);
			last = r[i].e->timestamp;
		}
	}
}

static struct flow *flow_new(void)
{
	struct flow *f = shared_alloc(sizeof(*f));

	f->topic = topic_new(.ring_bytes = 1 << 16, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	return f;
}

static uint64_t sum(volatile uint32_t *n)
{
	return (uint64_t)n[0] + n[1] + n[2];
}

/* More messages arrive. */
static void moves(struct flow *f)
{
	uint64_t before = sum(f->got);

	wait_until(sum(f->got) > before + 10, SOON);
}

/* All end, and all that was written was read. */
static void flow_end(struct flow *f, pid_t *producer, pid_t reader)
{
	struct message last = { PRODUCERS, 0, 0 };
	int fd = topic_open(f->topic, "", O_WRONLY);

	f->end = true;
	for (int i = 0; i < PRODUCERS; i++) {
		if (producer[i])
			expect(child_ok(producer[i], SOON));
	}
	need_ret(write(fd, &last, sizeof(last)), sizeof(last));
	expect(child_ok(reader, SOON));
	for (int i = 0; i < PRODUCERS; i++)
		expect_eq(f->got[i], f->wrote[i]);
	expect_eq(topic_counters(f->topic).lost, 0);
	note("%u, %u and %u messages", f->got[0], f->got[1], f->got[2]);
}

static void start_all(struct flow *f, pid_t *producer, pid_t *reader, uint32_t pause_us)
{
	static struct producer p[PRODUCERS];

	*reader = child_start(consume, f);
	wait_until(topic_counters(f->topic).readers == 1, SOON);
	for (int i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer) { f, i, pause_us };
		producer[i] = child_start(produce, &p[i]);
	}
	moves(f);
}

TEST(machine_cpu, "D.25: a CPU goes off- and online under 3 producers and a reader: nothing lost, in order")
{
	struct flow *f = flow_new();
	pid_t producer[PRODUCERS], reader;
	bool ok = true;

	if (access(CPU1, W_OK))
		skip("no second CPU that can be taken offline");
	start_all(f, producer, &reader, 0);
	for (int i = 0; ok && i < 6; i++) {
		ok = expect_eq(write_file(CPU1, "0"), 0);
		moves(f);
		ok = expect_eq(write_file(CPU1, "1"), 0) && ok;
		moves(f);
	}
	write_file(CPU1, "1");
	flow_end(f, producer, reader);
}

static void clock_by(int64_t seconds)
{
	struct timespec ts;

	need(!clock_gettime(CLOCK_REALTIME, &ts));
	ts.tv_sec += seconds;
	need(!clock_settime(CLOCK_REALTIME, &ts));
}

TEST(machine_clock, "D.25: the clock jumps a day back and forth under 3 producers and a reader: nothing lost, in order")
{
	struct flow *f = flow_new();
	pid_t producer[PRODUCERS], reader;

	start_all(f, producer, &reader, 200);
	for (int i = 0; i < 4; i++) {
		clock_by(-DAY);
		moves(f);
		clock_by(DAY);
		moves(f);
	}
	flow_end(f, producer, reader);
	expect_eq(f->back, 4);
}

static void run_on(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	need_ret(sched_setaffinity(pid, sizeof(set), &set), 0);
}

static void burn(void *arg)
{
	struct flow *f = arg;

	while (!f->end)
		;
}

/*
 * On one CPU: a reader above everybody, a producer below everybody, one in between
 * and a program that wants all the CPU. How long may they wait for each other?
 */
static void priorities(const char *preempt)
{
	struct sched_param fifo = { .sched_priority = 50 }, none = { 0 };
	struct flow *f = flow_new();
	struct producer p[2] = { { f, 0, 500 }, { f, 1, 0 } };
	pid_t producer[PRODUCERS] = { 0 }, reader, burner;

	if (write_file(PREEMPT, preempt))
		skip("this kernel's preemption cannot be chosen");
	reader = child_start(consume, f);
	need_ret(sched_setscheduler(reader, SCHED_FIFO, &fifo), 0);
	run_on(reader, 0);
	wait_until(topic_counters(f->topic).readers == 1, SOON);
	for (int i = 0; i < 2; i++)
		producer[i] = child_start(produce, &p[i]);
	run_on(producer[0], 0);
	wait_until(f->wrote[1] > 0, SOON);
	need_ret(sched_setscheduler(producer[1], SCHED_IDLE, &none), 0);
	run_on(producer[1], 0);
	burner = child_start(burn, f);
	run_on(burner, 0);
	for (int i = 0; i < 8; i++) {
		uint32_t before = f->got[0];

		sleep_ms(200);
		wait_until(f->got[0] > before, SOON);
	}
	flow_end(f, producer, reader);
	expect(child_ok(burner, SOON));
	note("preemption %s: the longest write took %.1f ms, the longest way %.1f ms", preempt,
	     f->write_ns / 1e6, f->read_ns / 1e6);
	expect(f->write_ns < 10000000000ULL);
	expect(f->read_ns < 10000000000ULL);
}

TEST(machine_priority, "D.26: a SCHED_FIFO reader, a SCHED_IDLE producer, a busy CPU: none waits for long")
{
	priorities("voluntary");
}

TEST(machine_priority_full, "D.26: the same in a kernel that is fully preemptible")
{
	priorities("full");
	write_file(PREEMPT, "voluntary");
}

TEST(machine_priority_none, "D.26: the same in a kernel that is not preemptible")
{
	priorities("none");
	write_file(PREEMPT, "voluntary");
}
