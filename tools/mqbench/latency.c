// SPDX-License-Identifier: GPL-2.0
/*
 * Workload W4. Ping-pong: a message there through one topic (or pipe ...), one back
 * through another, both processes on one CPU. Open loop: a producer whose messages are
 * due at fixed times, at a percentage of what the peer can carry; a message's latency
 * runs from when it was due, not from when a late producer came to it.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { P50, P99, P999, NR_QUANTILES };

static const struct {
	const char *name;
	unsigned int per_mille;
} quantiles[NR_QUANTILES] = {
	[P50] = { "p50", 500 },
	[P99] = { "p99", 990 },
	[P999] = { "p99.9", 999 },
};

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void take_quantiles(uint64_t *samples, uint64_t n, double *values, unsigned int runs,
			   unsigned int run)
{
	qsort(samples, n, sizeof(*samples), by_value);
	for (unsigned int i = 0; i < NR_QUANTILES; i++)
		values[i * runs + run] = samples[n * quantiles[i].per_mille / 1000];
}

static void add(const struct options *o, const struct peer *peer, size_t size, const char *mode,
		unsigned int count, uint64_t messages, double *values)
{
	for (unsigned int i = 0; i < NR_QUANTILES; i++) {
		figure_add(&(struct figure){
			.workload = "latency", .peer = peer->name, .mode = mode,
			.metric = quantiles[i].name, .unit = time_unit(o), .size = size,
			.batch = 1, .count = count, .messages = messages, .runs = o->runs,
			.values = values + i * o->runs,
		});
	}
}

static void ping_pong(const struct peer *peer, struct bench *there, struct bench *back,
		      uint64_t n, uint64_t *samples)
{
	pid_t pid = must_fork();

	if (!pid) {
		for (uint64_t i = 0; i < n; i++) {
			peer->consume(there, 1);
			peer->produce(back, 1);
		}
		_exit(0);
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t begin = now();

		peer->produce(there, 1);
		peer->consume(back, 1);
		samples[i] = now() - begin;
	}
	must_end_well(pid, peer->name);
	/* What the other process did. */
	there->consumed += n * there->size;
	if (back->check)
		back->produced += n;
}

static void measure_ping_pong(const struct options *o, const struct peer *peer, size_t size,
			      uint64_t *samples)
{
	double *values = must_alloc(NR_QUANTILES * o->runs * sizeof(double));
	struct bench there, back;

	bench_init(&there, o, size, 1, true);
	bench_init(&back, o, size, 1, true);
	peer->open(&there);
	peer->open(&back);
	there.check = true;
	back.check = true;
	ping_pong(peer, &there, &back, o->messages / 10 + 1, samples);
	there.check = false;
	back.check = false;
	for (unsigned int i = 0; i < o->runs; i++) {
		mark_begin();
		ping_pong(peer, &there, &back, o->messages, samples);
		mark_end();
		take_quantiles(samples, o->messages, values, o->runs, i);
	}
	add(o, peer, size, "ping-pong", 1, o->messages, values);
	peer->close(&there);
	peer->close(&back);
	free(there.message);
	free(back.message);
	free(values);
}

/* Messages are due at *begin + n * interval; 0: as fast as they go. */
struct schedule {
	uint64_t begin;
	uint64_t n;
};

static void sleep_until(uint64_t when)
{
	const struct timespec ts = { when / 1000000000, when % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* The consumer is a process that tells latencies in shared memory. Time a message. */
static double open_loop(const struct peer *peer, struct bench *b, uint64_t n, double interval,
			struct schedule *shared, uint64_t *samples)
{
	uint64_t end;
	pid_t pid;

	shared->begin = now() + 5000000;
	pid = must_fork();
	if (!pid) {
		for (uint64_t i = 0; i < n;) {
			uint64_t count = peer->take(b, n - i), at = now();

			for (; count; count--, i++)
				samples[i] = at - (shared->begin + (uint64_t)(i * interval));
		}
		_exit(0);
	}
	sleep_until(shared->begin);
	if (!interval)
		shared->begin = now();
	for (uint64_t i = 0; i < n; i++) {
		uint64_t due = shared->begin + (uint64_t)(i * interval);

		if (interval && now() < due)
			sleep_until(due);
		peer->produce(b, 1);
	}
	must_end_well(pid, peer->name);
	end = now();
	b->consumed += n * b->size;
	return (double)(end - shared->begin) / n;
}

static void measure_open(const struct options *o, const struct peer *peer, size_t size,
			 struct schedule *shared, uint64_t *samples)
{
	static const uint64_t usual[] = { 10, 50, 80 };
	const uint64_t *counts = o->nr_counts ? o->counts : usual;
	unsigned int n = o->nr_counts ? o->nr_counts : sizeof(usual) / sizeof(*usual);
	double *values = must_alloc(NR_QUANTILES * o->runs * sizeof(double)), full;
	struct bench b;

	bench_init(&b, o, size, 1, true);
	peer->open(&b);
	b.check = true;
	open_loop(peer, &b, o->messages / 10 + 1, 0, shared, samples);
	b.check = false;
	full = open_loop(peer, &b, o->messages, 0, shared, samples);
	for (unsigned int k = 0; k < n; k++) {
		if (!counts[k] || counts[k] > 100)
			errx(2, "--counts: 1 to 100 percent of capacity");
		for (unsigned int i = 0; i < o->runs; i++) {
			open_loop(peer, &b, o->messages, full * 100 / counts[k], shared, samples);
			take_quantiles(samples, o->messages, values, o->runs, i);
		}
		add(o, peer, size, "open loop, % of capacity", counts[k], o->messages, values);
	}
	peer->close(&b);
	free(b.message);
	free(values);
}

static void latency_run(const struct options *o)
{
	size_t len = sizeof(struct schedule) + (o->messages + 1) * sizeof(uint64_t);
	struct schedule *shared = mmap(NULL, len, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t *samples = (uint64_t *)(shared + 1);

	if (shared == MAP_FAILED)
		err(1, "shared memory");
	prctl(PR_SET_TIMERSLACK, 1);
	for (unsigned int i = 0; i < o->nr_sizes; i++) {
		const struct peer *peer;

		for (unsigned int at = 0; (peer = peer_next(&at));) {
			if (o->with_inline)
				measure_ping_pong(o, peer, o->sizes[i], samples);
			if (o->with_pair && peer->take)
				measure_open(o, peer, o->sizes[i], shared, samples);
		}
	}
	munmap(shared, len);
}

const struct workload workload_latency = {
	.name = "latency",
	.what = "W4: inline: ping-pong; pair: open loop at --counts % of capacity (10,50,80)",
	.run = latency_run,
};
