// SPDX-License-Identifier: GPL-2.0
/*
 * Scaling curves: what a message costs in a topic of many partitions, and beside many
 * topics; what a topic costs in memory and in time to make, and while it is idle.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "topic.h"

#define SMALL_RING	65536U
#define MANY		"mqbench.%d.many.%u"	/* names of so many topics */
#define DELETE_MAX	500			/* topics that one mqctl deletes */

static void add(const struct options *o, const struct bench *b, const char *workload,
		unsigned int count, const char *metric, const char *unit, double *values,
		unsigned int runs)
{
	figure_add(&(struct figure){
		.workload = workload, .peer = "topic", .mode = "inline", .metric = metric,
		.unit = unit, .size = b->size, .batch = b->batch, .count = count,
		.messages = o->messages, .runs = runs, .values = values,
	});
}

/* kB of a line of /proc/meminfo. */
static uint64_t meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long value = 0;
	size_t len = strlen(name);
	char line[128];

	if (!file)
		err(1, "/proc/meminfo");
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, len) && sscanf(line + len, ": %llu", &value) == 1)
			break;
	}
	fclose(file);
	return value;
}

/* A line of /proc/stat: all switches since the start. */
static uint64_t all_switches(void)
{
	FILE *file = fopen("/proc/stat", "re");
	unsigned long long value = 0;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		err(1, "/proc/stat");
	while (getline(&line, &size, file) > 0 && sscanf(line, "ctxt %llu", &value) != 1)
		;
	free(line);
	fclose(file);
	return value;
}

/* Of children that ended: while mqctl waits for the host's files, a clock that counts leaps. */
static uint64_t children_time(void)
{
	struct rusage used;

	getrusage(RUSAGE_CHILDREN, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000ULL +
	       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000ULL;
}

static void produce_all(struct bench *b, struct topic_peer *t, int *out, unsigned int n,
			uint64_t messages)
{
	for (uint64_t i = 0; i < messages; i++) {
		t->out = out[i % n];
		topic_produce(b, 1);
	}
}

/* One producer that has a file of each partition and takes them in turn. */
static void measure_partitions(const struct options *o, size_t size, unsigned int count)
{
	double *values = must_alloc(o->runs * sizeof(double)), memory, made;
	int *out = must_alloc(count * sizeof(*out));
	char name[64], number[32], ring[32];
	uint64_t lap = 2 * SMALL_RING / size * count, before, begin;
	struct topic_peer *t;
	struct bench b;
	int own;

	bench_init(&b, o, size, 1, false);
	t = topic_new(&b, false, READ_NONE);
	own = t->out;
	topic_name(name, sizeof(name));
	snprintf(number, sizeof(number), "%u", count);
	snprintf(ring, sizeof(ring), "%u", SMALL_RING);
	before = meminfo("MemFree");
	begin = children_time();
	mqctl((const char *const []){ "mqctl", "topic", "add", name, "--partitions", number,
		"--ring-bytes", ring, "--ring-messages", "1024", NULL });
	made = (double)(children_time() - begin) / count;
	for (unsigned int i = 0; i < count; i++) {
		snprintf(number, sizeof(number), "@%u", i);
		out[i] = topic_file(name, number, O_WRONLY);
	}
	produce_all(&b, t, out, count, lap);
	memory = ((double)before - meminfo("MemFree")) / count;
	for (unsigned int i = 0; i < o->runs; i++) {
		begin = now();
		produce_all(&b, t, out, count, o->messages);
		values[i] = (double)(now() - begin) / o->messages;
	}
	add(o, &b, "partitions", count, "produce", time_per_message(o), values, o->runs);
	add(o, &b, "partitions", count, "making one", time_unit(o), &made, 1);
	add(o, &b, "partitions", count, "memory of one, filled", "KiB", &memory, 1);
	for (unsigned int i = 0; i < count; i++)
		close(out[i]);
	mqctl((const char *const []){ "mqctl", "topic", "del", name, NULL });
	t->out = own;
	topic_free(t);
	free(out);
	free(values);
	free(b.message);
}

static void partitions_run(const struct options *o)
{
	static const uint64_t usual[] = { 1, 4, 16, 64, 256, 1024 };
	const struct rlimit files = { 4096, 4096 };
	const uint64_t *counts = o->nr_counts ? o->counts : usual;
	unsigned int n = o->nr_counts ? o->nr_counts : sizeof(usual) / sizeof(*usual);

	/* A file of each. */
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "%d open files", (int)files.rlim_cur);
	for (unsigned int i = 0; i < o->nr_sizes * n; i++) {
		if (!counts[i % n] || counts[i % n] > 1024)
			errx(2, "--counts: 1 to 1024 partitions");
		measure_partitions(o, o->sizes[i / n], counts[i % n]);
	}
}

const struct workload workload_partitions = {
	.name = "partitions",
	.what = "scaling: messages to --counts partitions in turn (default 1 to 1024)",
	.run = partitions_run,
};

/* So many topics, made by one mqctl; it leaves others alone. */
static void make_topics(const char *file, unsigned int count)
{
	FILE *out = fopen(file, "we");

	if (!out)
		err(1, "%s", file);
	for (unsigned int i = 0; i < count; i++)
		fprintf(out, "[topic " MANY "]\n", getpid(), i);
	if (fclose(out))
		err(1, "%s", file);
	mqctl((const char *const []){ "mqctl", "apply", file, NULL });
}

static void delete_topics(unsigned int count)
{
	const char *args[DELETE_MAX + 4] = { "mqctl", "topic", "del" };

	for (unsigned int i = 0; i < count;) {
		unsigned int n = 0;

		for (; n < DELETE_MAX && i < count; n++, i++) {
			char *name = must_alloc(64);

			snprintf(name, 64, MANY, getpid(), i);
			args[3 + n] = name;
		}
		args[3 + n] = NULL;
		mqctl(args);
		while (n--)
			free((void *)args[3 + n]);
	}
}

static void measure_topics(const struct options *o, size_t size, unsigned int count)
{
	double *values = must_alloc(o->runs * sizeof(double)), memory, made, idle;
	char file[] = "/tmp/mqbench.XXXXXX.conf";
	uint64_t before, begin;
	struct topic_peer *t;
	struct bench b;
	int fd = mkstemps(file, 5);

	if (fd < 0)
		err(1, "%s", file);
	close(fd);
	bench_init(&b, o, size, 1, false);
	t = topic_new(&b, false, READ_NONE);
	before = meminfo("MemFree");
	begin = children_time();
	make_topics(file, count);
	made = (double)(children_time() - begin) / count;
	memory = ((double)before - meminfo("MemFree")) / count;
	before = all_switches();
	sleep(2);
	idle = (double)(all_switches() - before) / 2;
	topic_produce(&b, LAP_OF(&b));
	for (unsigned int i = 0; i < o->runs; i++) {
		begin = now();
		topic_produce(&b, o->messages);
		values[i] = (double)(now() - begin) / o->messages;
	}
	add(o, &b, "topics", count, "produce beside them", time_per_message(o), values, o->runs);
	add(o, &b, "topics", count, "making one", time_unit(o), &made, 1);
	add(o, &b, "topics", count, "memory of one, empty", "KiB", &memory, 1);
	add(o, &b, "topics", count, "switches of the machine, idle", "times/s", &idle, 1);
	delete_topics(count);
	unlink(file);
	topic_free(t);
	free(values);
	free(b.message);
}

static void topics_run(const struct options *o)
{
	static const uint64_t usual[] = { 1, 10, 100, 1000, 10000 };
	const uint64_t *counts = o->nr_counts ? o->counts : usual;
	unsigned int n = o->nr_counts ? o->nr_counts : sizeof(usual) / sizeof(*usual);

	for (unsigned int i = 0; i < n; i++) {
		if (!counts[i])
			errx(2, "--counts: 1 topic or more");
		measure_topics(o, o->sizes[0], counts[i]);
	}
}

const struct workload workload_topics = {
	.name = "topics",
	.what = "scaling: a message beside --counts other topics (default 1 to 10,000), and their cost",
	.run = topics_run,
};
