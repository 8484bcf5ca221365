// SPDX-License-Identifier: GPL-2.0
/*
 * Workload W3: one producer, many readers, each of which reads everything. Inline, a
 * burst at a time, all in one process, which is exact; in processes, where each waits
 * on its own and the topic holds for all of them.
 *
 * Workload W8: 16 readers, of which one is stuck: it reads nothing. The others must get
 * all, for no more; and it is told of its loss when it goes on.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mq/mq.h>

#include "topic.h"

#define READERS_MAX	1024
#define STUCK_READERS	16

/* Those who take part: topic peers by how they read. */
static const struct {
	const struct peer *peer;
	enum reader_kind kind;
} kinds[] = {
	{ &peer_topic_plain, READ_PLAIN },
	{ &peer_topic, READ_RECORD },
	{ &peer_topic_mmap, READ_MMAP },
};

#define NR_KINDS	(sizeof(kinds) / sizeof(*kinds))

/**
 * struct fanout - a topic and its readers
 * @t: the topic
 * @readers: @count of them, and what each has read
 * @seen: by reader
 * @count: readers
 * @working: those of them that read
 */
struct fanout {
	struct topic_peer *t;
	struct reader *readers;
	struct bench *seen;
	unsigned int count;
	unsigned int working;
};

static void fanout_open(struct fanout *f, struct bench *b, enum reader_kind kind,
			unsigned int count)
{
	if (count > READERS_MAX)
		errx(2, "--counts: at most %d readers", READERS_MAX);
	f->count = count;
	f->working = count;
	f->t = topic_new(b, false, READ_NONE);
	f->readers = must_alloc((count + 1) * sizeof(*f->readers));
	f->seen = must_alloc((count + 1) * sizeof(*f->seen));
	for (unsigned int i = 0; i < count; i++) {
		reader_open(&f->readers[i], f->t->name, kind, b);
		f->seen[i] = *b;
	}
}

static void fanout_close(struct fanout *f)
{
	for (unsigned int i = 0; i < f->count; i++)
		reader_close(&f->readers[i]);
	free(f->readers);
	free(f->seen);
	topic_free(f->t);
}

/* The producer's time, and that of all readers. */
static void run_bursts(struct fanout *f, struct bench *b, uint64_t messages, double *produce,
		       double *consume)
{
	uint64_t burst = burst_of(b), made = 0, taken = 0, done;

	for (done = 0; done < messages; done += burst) {
		uint64_t t0 = now(), t1;

		topic_produce(b, burst);
		t1 = now();
		made += t1 - t0;
		for (unsigned int i = 0; i < f->working; i++) {
			for (uint64_t left = burst; left;)
				left -= reader_take(&f->readers[i], &f->seen[i], left);
		}
		taken += now() - t1;
	}
	*produce = (double)made / done;
	*consume = f->working ? (double)taken / done / f->working : 0;
}

static void set_check(struct fanout *f, struct bench *b, bool check)
{
	b->check = check;
	for (unsigned int i = 0; i < f->count; i++)
		f->seen[i].check = check;
}

static void must_have_read(const struct fanout *f, const struct bench *b, uint64_t messages)
{
	for (unsigned int i = 0; i < f->working; i++) {
		if (f->seen[i].consumed != messages * b->size)
			errx(1, "reader %u got %llu bytes of %llu", i,
			     (unsigned long long)f->seen[i].consumed,
			     (unsigned long long)(messages * b->size));
	}
}

static uint64_t warm_up_of(const struct options *o, const struct bench *b)
{
	uint64_t lap = LAP_OF(b);

	return o->messages / 10 > lap ? o->messages / 10 : lap;
}

static void add(const struct options *o, const struct bench *b, const char *workload,
		const char *peer, const char *mode, unsigned int count, const char *metric,
		double *values)
{
	figure_add(&(struct figure){
		.workload = workload, .peer = peer, .mode = mode, .metric = metric,
		.unit = time_per_message(o), .size = b->size, .batch = b->batch, .count = count,
		.messages = o->messages, .runs = o->runs, .values = values,
	});
}

static void measure_inline(const struct options *o, struct bench *b, unsigned int kind,
			   unsigned int count)
{
	double *produce = must_alloc(o->runs * sizeof(double));
	double *consume = must_alloc(o->runs * sizeof(double));
	const char *name = kinds[kind].peer->name;
	struct fanout f;
	uint64_t total;

	fanout_open(&f, b, kinds[kind].kind, count);
	set_check(&f, b, true);
	run_bursts(&f, b, warm_up_of(o, b), produce, consume);
	must_have_read(&f, b, b->produced);
	set_check(&f, b, false);
	total = b->produced;
	for (unsigned int i = 0; i < o->runs; i++)
		run_bursts(&f, b, o->messages, &produce[i], &consume[i]);
	total += (o->messages + burst_of(b) - 1) / burst_of(b) * burst_of(b) * o->runs;
	must_have_read(&f, b, total);
	add(o, b, "fanout", name, "inline", count, "produce", produce);
	if (count)
		add(o, b, "fanout", name, "inline", count, "delivery", consume);
	fanout_close(&f);
	free(produce);
	free(consume);
}

/* Each reader a process; the last of the children is the producer, so that its time is its own. */
static void run_processes(struct fanout *f, struct bench *b, uint64_t messages, double *produce,
			  double *total)
{
	pid_t *pids = must_alloc((f->count + 1) * sizeof(*pids));
	uint64_t begin, cpu;

	messages = (messages + b->batch - 1) / b->batch * b->batch;
	for (unsigned int i = 0; i < f->count; i++) {
		pids[i] = must_fork();
		if (pids[i])
			continue;
		pin(1 + i);
		for (uint64_t left = messages; left;)
			left -= reader_take(&f->readers[i], &f->seen[i], left);
		reader_rest(&f->readers[i]);
		_exit(0);
	}
	/* They shall wait before anything comes. */
	usleep(10000 * (f->count + 1));
	begin = now();
	cpu = cpu_time();
	topic_produce(b, messages);
	*produce = (double)(cpu_time() - cpu) / messages;
	for (unsigned int i = 0; i < f->count; i++) {
		must_end_well(pids[i], "a reader");
		f->seen[i].consumed += messages * b->size;
	}
	*total = (double)(now() - begin) / messages;
	free(pids);
}

static void measure_processes(const struct options *o, struct bench *b, unsigned int kind,
			      unsigned int count)
{
	double *produce = must_alloc(o->runs * sizeof(double));
	double *total = must_alloc(o->runs * sizeof(double));
	const char *name = kinds[kind].peer->name;
	struct fanout f;

	fanout_open(&f, b, kinds[kind].kind, count);
	set_check(&f, b, true);
	run_processes(&f, b, warm_up_of(o, b), produce, total);
	set_check(&f, b, false);
	for (unsigned int i = 0; i < o->runs; i++)
		run_processes(&f, b, o->messages, &produce[i], &total[i]);
	add(o, b, "fanout", name, "processes", count, "produce", produce);
	add(o, b, "fanout", name, "processes", count, "total", total);
	fanout_close(&f);
	free(produce);
	free(total);
}

static void for_each(const struct options *o, bool held,
		     void (*measure)(const struct options *, struct bench *, unsigned int,
				     unsigned int),
		     const uint64_t *counts, unsigned int nr_counts)
{
	for (unsigned int i = 0; i < NR_KINDS * o->nr_sizes * o->nr_batches; i++) {
		unsigned int kind = i % NR_KINDS;
		uint64_t batch = o->batches[i / NR_KINDS % o->nr_batches];
		uint64_t size = o->sizes[i / NR_KINDS / o->nr_batches];

		if (!peer_chosen(kinds[kind].peer))
			continue;
		for (unsigned int k = 0; k < nr_counts; k++) {
			struct bench b;

			bench_init(&b, o, size, batch, held);
			measure(o, &b, kind, counts[k]);
			free(b.message);
		}
	}
}

static void fanout_run(const struct options *o)
{
	static const uint64_t usual[] = { 0, 1, 2, 4, 8, 16, 32 };
	const uint64_t *counts = o->nr_counts ? o->counts : usual;
	unsigned int n = o->nr_counts ? o->nr_counts : sizeof(usual) / sizeof(*usual);

	if (o->with_inline)
		for_each(o, false, measure_inline, counts, n);
	if (o->with_pair)
		for_each(o, true, measure_processes, counts, n);
}

const struct workload workload_fanout = {
	.name = "fanout",
	.what = "W3: --counts readers (default 0 to 32) of one producer; pair: each a process",
	.run = fanout_run,
};

/* What the stuck one is told: how much it lost. */
static void must_be_told(struct fanout *f, struct bench *b, uint64_t produced)
{
	struct reader *stuck = &f->readers[f->count - 1];
	struct mq_stat stat = { .size = sizeof(stat) };

	if (stuck->kind == READ_MMAP)
		return;		/* a map's reader compares the tail itself: see mmap_overrun */
	if (read(stuck->fd, stuck->buf, stuck->size) >= 0 || errno != ENOBUFS)
		errx(1, "the stuck reader was not told of its overrun");
	if (ioctl(stuck->fd, MQ_IOC_STAT, &stat))
		err(1, "state of a topic");
	if (!stat.lost_messages || stat.lost_messages + stat.lag_messages != produced)
		errx(1, "the stuck reader lost %llu and can read %llu of %llu messages",
		     (unsigned long long)stat.lost_messages,
		     (unsigned long long)stat.lag_messages, (unsigned long long)produced);
	(void)b;
}

static void measure_stuck(const struct options *o, struct bench *b, unsigned int kind,
			  unsigned int count)
{
	double *produce = must_alloc(o->runs * sizeof(double));
	double *consume = must_alloc(o->runs * sizeof(double));

	/* The same with all at work, and with one that stands still. */
	for (int stuck = 0; stuck < 2; stuck++) {
		uint64_t burst = burst_of(b), total;
		struct fanout f;

		b->produced = 0;
		fanout_open(&f, b, kinds[kind].kind, count);
		f.working -= stuck;
		set_check(&f, b, true);
		run_bursts(&f, b, warm_up_of(o, b), produce, consume);
		must_have_read(&f, b, b->produced);
		set_check(&f, b, false);
		total = b->produced + (o->messages + burst - 1) / burst * burst * o->runs;
		for (unsigned int i = 0; i < o->runs; i++)
			run_bursts(&f, b, o->messages, &produce[i], &consume[i]);
		must_have_read(&f, b, total);
		if (stuck)
			must_be_told(&f, b, total);
		add(o, b, "stuck", kinds[kind].peer->name, stuck ? "one stuck" : "all read",
		    count, "produce", produce);
		add(o, b, "stuck", kinds[kind].peer->name, stuck ? "one stuck" : "all read",
		    count, "delivery", consume);
		fanout_close(&f);
	}
	free(produce);
	free(consume);
}

static void stuck_run(const struct options *o)
{
	static const uint64_t usual[] = { STUCK_READERS };

	for_each(o, false, measure_stuck, o->nr_counts ? o->counts : usual,
		 o->nr_counts ? o->nr_counts : 1);
}

const struct workload workload_stuck = {
	.name = "stuck",
	.what = "W8: one of --counts readers (default 16) reads nothing",
	.run = stuck_run,
};
