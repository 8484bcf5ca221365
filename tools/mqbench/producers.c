// SPDX-License-Identifier: GPL-2.0
/*
 * Workload W2: producers, each a process, on one partition, or each on its own. With
 * several CPUs they contend for the partition's lock: "lock retries" is how often one found
 * it taken, by the module's own count; a wait for it that sleeps is a voluntary switch, of
 * which there are no others here.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <mq/mq.h>

#include "topic.h"

#define PRODUCERS_MAX	64

/* What a producer tells, in shared memory. */
struct told {
	uint64_t begin;
	uint64_t end;
	uint64_t cpu;
	uint64_t waits;
	uint64_t switches;
};

enum { TOTAL, CPU, RETRIES, WAITS, PREEMPTED, NR_METRICS };

static const struct {
	const char *name;
	bool time;
} metrics[NR_METRICS] = {
	[TOTAL] = { "total", true },
	[CPU] = { "cpu", true },
	[RETRIES] = { "lock retries", false },
	[WAITS] = { "waits", false },
	[PREEMPTED] = { "preempted", false },
};

static void run_producer(struct bench *b, const char *name, unsigned int n, bool own,
			 uint64_t messages, int start, struct told *told)
{
	struct topic_peer *t = b->priv;
	struct rusage usage;
	char suffix[64];
	uint64_t cpu;
	char byte;

	pin(n);
	snprintf(suffix, sizeof(suffix), "@%u%s", own ? n : 0, b->batch > 1 ? "+format=record" : "");
	t->out = topic_file(name, suffix, O_WRONLY);
	/* Ends when all have started. */
	if (read(start, &byte, 1))
		_exit(1);
	cpu = cpu_time();
	told->begin = now();
	topic_produce(b, messages);
	told->end = now();
	told->cpu = cpu_time() - cpu;
	getrusage(RUSAGE_SELF, &usage);
	told->waits = usage.ru_nvcsw;
	told->switches = usage.ru_nivcsw;
	_exit(0);
}

static uint64_t head_of(const char *name)
{
	struct mq_stat stat = { .size = sizeof(stat) };
	int fd = topic_file(name, "", O_RDONLY);

	if (ioctl(fd, MQ_IOC_STAT, &stat))
		err(1, "%s: state", name);
	close(fd);
	return stat.head_offset;
}

static void run_all(struct bench *b, const char *name, unsigned int count, bool own,
		    uint64_t messages, struct told *told, double *values, unsigned int runs,
		    unsigned int run)
{
	uint64_t share = (messages / count + b->batch - 1) / b->batch * b->batch;
	uint64_t before = head_of(name), begin = UINT64_MAX, end = 0, made = share * count;
	uint64_t retries = topic_stat(name, "lock-retries");
	double sums[NR_METRICS] = { 0 };
	pid_t pids[PRODUCERS_MAX];
	int start[2];

	if (pipe2(start, O_CLOEXEC))
		err(1, "pipe");
	for (unsigned int i = 0; i < count; i++) {
		pids[i] = must_fork();
		if (!pids[i]) {
			close(start[1]);
			run_producer(b, name, i, own, share, start[0], &told[i]);
		}
	}
	close(start[0]);
	usleep(10000 * count);
	close(start[1]);
	for (unsigned int i = 0; i < count; i++) {
		must_end_well(pids[i], "a producer");
		begin = told[i].begin < begin ? told[i].begin : begin;
		end = told[i].end > end ? told[i].end : end;
		sums[CPU] += told[i].cpu;
		/* It waited once for the start. */
		sums[WAITS] += told[i].waits ? told[i].waits - 1 : 0;
		sums[PREEMPTED] += told[i].switches;
	}
	if (head_of(name) - before != made)
		errx(1, "%llu messages in the log of %llu written",
		     (unsigned long long)(head_of(name) - before), (unsigned long long)made);
	sums[RETRIES] = topic_stat(name, "lock-retries") - retries;
	sums[TOTAL] = end - begin;
	for (unsigned int i = 0; i < NR_METRICS; i++)
		values[i * runs + run] = sums[i] / made;
}

static void measure(const struct options *o, uint64_t size, uint64_t batch, unsigned int count,
		    bool own, struct told *told)
{
	double *values = must_alloc(NR_METRICS * o->runs * sizeof(double));
	char name[64], ring[32], partitions[32];
	struct topic_peer *t;
	struct bench b;

	if (!count || count > PRODUCERS_MAX)
		errx(2, "--counts: 1 to %d producers", PRODUCERS_MAX);
	bench_init(&b, o, size, batch, false);
	t = topic_new(&b, false, READ_NONE);
	topic_name(name, sizeof(name));
	snprintf(ring, sizeof(ring), "%u", RING_BYTES);
	snprintf(partitions, sizeof(partitions), "%u", own ? count : 1);
	mqctl((const char *const []){ "mqctl", "topic", "add", name, "--ring-bytes", ring,
		"--partitions", partitions, NULL });
	run_all(&b, name, count, own, LAP_OF(&b) * count, told, values, o->runs, 0);
	for (unsigned int i = 0; i < o->runs; i++)
		run_all(&b, name, count, own, o->messages, told, values, o->runs, i);
	for (unsigned int i = 0; i < NR_METRICS; i++) {
		figure_add(&(struct figure){
			.workload = "producers", .peer = "topic",
			.mode = own ? "own partition" : "one partition",
			.metric = metrics[i].name,
			.unit = metrics[i].time ? time_per_message(o) : "times/message",
			.size = size, .batch = batch, .count = count, .messages = o->messages,
			.runs = o->runs, .values = values + i * o->runs,
		});
	}
	mqctl((const char *const []){ "mqctl", "topic", "del", name, NULL });
	topic_free(t);
	free(values);
	free(b.message);
}

static void producers_run(const struct options *o)
{
	static const uint64_t usual[] = { 1, 2, 4, 8 };
	const uint64_t *counts = o->nr_counts ? o->counts : usual;
	unsigned int n = o->nr_counts ? o->nr_counts : sizeof(usual) / sizeof(*usual);
	struct told *told = mmap(NULL, PRODUCERS_MAX * sizeof(*told), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (told == MAP_FAILED)
		err(1, "shared memory");
	for (unsigned int i = 0; i < o->nr_sizes * o->nr_batches * n; i++) {
		unsigned int count = counts[i % n];
		uint64_t batch = o->batches[i / n % o->nr_batches];
		uint64_t size = o->sizes[i / n / o->nr_batches];

		measure(o, size, batch, count, false, told);
		if (count > 1)
			measure(o, size, batch, count, true, told);
	}
	munmap(told, PRODUCERS_MAX * sizeof(*told));
}

const struct workload workload_producers = {
	.name = "producers",
	.what = "W2: --counts producers (default 1,2,4,8), on one partition, and each on its own",
	.run = producers_run,
};
