// SPDX-License-Identifier: GPL-2.0
/*
 * What a message costs in things that do not depend on the machine: system calls,
 * allocations of the kernel, wake-ups, switches. The kernel's own trace events count
 * them, of this process and its children, exactly; producer and consumer are one
 * process here, or two.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define INSTANCE	"/sys/kernel/tracing/instances/mqbench"

static const struct {
	const char *metric;
	const char *events[4];
} counters[] = {
	{ "system calls", { "raw_syscalls/sys_enter" } },
	{ "allocations", { "kmem/kmalloc", "kmem/kmalloc_node", "kmem/kmem_cache_alloc",
			   "kmem/kmem_cache_alloc_node" } },
	{ "pages", { "kmem/mm_page_alloc" } },
	{ "wake-ups", { "sched/sched_waking" } },
	{ "switches", { "sched/sched_switch" } },
};

#define NR_COUNTERS	(sizeof(counters) / sizeof(*counters))

static int put(const char *file, const char *text)
{
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), INSTANCE "/%s", file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return ret;
}

static void must_put(const char *file, const char *text)
{
	if (put(file, text))
		err(1, INSTANCE "/%s: '%s'", file, text);
}

/* Some events exist in some kernels only; one of them must. */
static void enable(unsigned int counter, bool on)
{
	unsigned int found = 0;
	char path[128];

	for (unsigned int i = 0; i < 4 && counters[counter].events[i]; i++) {
		snprintf(path, sizeof(path), "events/%s/enable", counters[counter].events[i]);
		if (!put(path, on ? "1" : "0"))
			found++;
		else if (errno != ENOENT)
			err(1, INSTANCE "/%s", path);
	}
	if (!found)
		errx(1, "this kernel has no event that counts %s", counters[counter].metric);
}

/* Events of all CPUs since the buffer was cleared: those that are kept, and overwritten. */
static uint64_t events(void)
{
	unsigned long cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint64_t sum = 0;

	for (unsigned long cpu = 0; cpu < cpus; cpu++) {
		unsigned long long value;
		char path[128], line[128];
		FILE *file;

		snprintf(path, sizeof(path), INSTANCE "/per_cpu/cpu%lu/stats", cpu);
		file = fopen(path, "re");
		if (!file)
			err(1, "%s", path);
		while (fgets(line, sizeof(line), file)) {
			if (sscanf(line, "entries: %llu", &value) == 1 ||
			    sscanf(line, "overrun: %llu", &value) == 1)
				sum += value;
		}
		fclose(file);
	}
	return sum;
}

static void begin_tracing(void)
{
	char pid[32];

	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		err(1, INSTANCE " (root, with tracefs mounted, may make it)");
	must_put("tracing_on", "0");
	/* No command lines: they would be recorded. */
	must_put("options/event-fork", "1");
	snprintf(pid, sizeof(pid), "%d", getpid());
	must_put("set_event_pid", pid);
}

static void end_tracing(void)
{
	if (rmdir(INSTANCE))
		warn(INSTANCE ": rmdir");
}

static void run(const struct peer *peer, struct bench *b, uint64_t messages, bool pair)
{
	uint64_t burst = burst_of(b);
	pid_t pid;

	if (!pair) {
		for (uint64_t done = 0; done < messages; done += burst) {
			peer->produce(b, burst);
			peer->consume(b, burst);
		}
		return;
	}
	pid = must_fork();
	if (!pid) {
		pin(1);
		peer->consume(b, messages);
		_exit(0);
	}
	peer->produce(b, messages);
	must_end_well(pid, peer->name);
	b->consumed += messages * b->size;
}

static uint64_t count(const struct peer *peer, struct bench *b, uint64_t messages, bool pair)
{
	must_put("trace", "");
	must_put("tracing_on", "1");
	run(peer, b, messages, pair);
	must_put("tracing_on", "0");
	return events();
}

static void measure(const struct options *o, const struct peer *peer, size_t size,
		    unsigned int batch, bool pair)
{
	double *values = must_alloc(o->runs * sizeof(double));
	uint64_t messages = o->messages, lap, unit;
	struct bench b;

	bench_init(&b, o, size, batch, pair);
	unit = pair ? batch : burst_of(&b);
	messages = (messages + unit - 1) / unit * unit;
	lap = LAP_OF(&b);
	lap = (lap + unit - 1) / unit * unit;
	peer->open(&b);
	b.check = true;
	run(peer, &b, lap, pair);
	b.check = false;
	for (unsigned int c = 0; c < NR_COUNTERS; c++) {
		uint64_t idle;

		enable(c, true);
		/* What the counting itself does, and a second process. */
		count(peer, &b, 0, pair);
		idle = count(peer, &b, 0, pair);
		for (unsigned int i = 0; i < o->runs; i++) {
			uint64_t all = count(peer, &b, messages, pair);

			values[i] = all > idle ? (double)(all - idle) / messages : 0;
		}
		enable(c, false);
		figure_add(&(struct figure){
			.workload = "counts", .peer = peer->name, .mode = pair ? "pair" : "inline",
			.metric = counters[c].metric, .unit = "times/message", .size = size,
			.batch = batch, .count = 1, .messages = messages, .runs = o->runs,
			.values = values,
		});
	}
	peer->close(&b);
	free(b.message);
	free(values);
}

static void counts_run(const struct options *o)
{
	begin_tracing();
	for (unsigned int i = 0; i < 2 * o->nr_sizes * o->nr_batches; i++) {
		uint64_t batch = o->batches[i / 2 % o->nr_batches];
		uint64_t size = o->sizes[i / 2 / o->nr_batches];
		const struct peer *peer;
		bool pair = i % 2;

		if (pair ? !o->with_pair : !o->with_inline)
			continue;
		for (unsigned int at = 0; (peer = peer_next(&at));) {
			if (!peer->max_batch || batch <= peer->max_batch)
				measure(o, peer, size, batch, pair);
		}
	}
	end_tracing();
}

const struct workload workload_counts = {
	.name = "counts",
	.what = "system calls, allocations, pages, wake-ups and switches a message, exactly",
	.run = counts_run,
};
