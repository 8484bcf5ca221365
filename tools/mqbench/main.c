// SPDX-License-Identifier: GPL-2.0
/*
 * mqbench: what a message costs, here and in a pipe
 *
 * Workload W1: one producer appends, one consumer reads in batches; "inline",
 * both in one process, a burst at a time, which is exact to 0.1 %; "pair", two
 * processes, with the wake-ups and switches that go with it.
 *
 * In a VM that counts instructions (tools/vm -I) the clock advances 1 ns an
 * instruction, so that the figures are instructions; elsewhere they are ns.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static const struct peer *const peers[] = {
	&peer_topic, &peer_topic_mmap, &peer_topic_watermark, &peer_topic_plain, &peer_topic_line,
	&peer_topic_uring, &peer_topic_splice, &peer_pipe, &peer_unix_stream,
	&peer_unix_dgram, &peer_unix_seqpacket, &peer_mqueue, &peer_null, &peer_getppid,
	&peer_zeromq, &peer_redis, &peer_nats, &peer_jetstream, &peer_rabbitmq,
	&peer_kafka, &peer_nsq, &peer_mosquitto,
};

#define NR_PEERS	(sizeof(peers) / sizeof(*peers))

static const struct workload *const workloads[] = {
	&workload_producers, &workload_fanout, &workload_latency, &workload_egress,
	&workload_stuck, &workload_counts, &workload_partitions, &workload_topics,
};

#define NR_WORKLOADS	(sizeof(workloads) / sizeof(*workloads))

static bool chosen[NR_PEERS];
static const struct workload *workload;	/* NULL: append */

void *must_alloc(size_t size)
{
	void *p = malloc(size);

	if (!p)
		err(1, "%zu bytes of memory", size);
	return p;
}

void message_number(char *message, uint64_t number)
{
	static const char digit[] = "0123456789abcdef";

	for (int i = 7; i >= 0; i--, number >>= 4)
		message[i] = digit[number & 15];
}

const char *next_message(struct bench *b)
{
	if (b->check)
		message_number(b->message, b->produced++);
	return b->message;
}

void take_payload(struct bench *b, const char *data, size_t len)
{
	char number[8];

	if (!b->check) {
		b->consumed += len;
		return;
	}
	for (size_t i = 0; i < len; i++, b->consumed++) {
		size_t at = b->consumed % b->size;
		char want;

		if (at < sizeof(number)) {
			message_number(number, b->consumed / b->size);
			want = number[at];
		} else {
			want = b->message[at];
		}
		if (data[i] != want)
			errx(1, "message %" PRIu64 ": byte %zu is 0x%02x instead of 0x%02x",
			     b->consumed / b->size, at, (unsigned char)data[i],
			     (unsigned char)want);
	}
}

uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

uint64_t cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void pin(unsigned int n)
{
	unsigned int last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(n < last ? n : last, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		err(1, "pin to CPU %u", n);
}

pid_t must_fork(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

void must_end_well(pid_t pid, const char *who)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	if (status)
		errx(1, "%s failed", who);
}

const char *time_unit(const struct options *o)
{
	return o->counting ? "instructions" : "ns";
}

const char *time_per_message(const struct options *o)
{
	return o->counting ? "instructions/message" : "ns/message";
}

bool peer_chosen(const struct peer *peer)
{
	for (unsigned int i = 0; i < NR_PEERS; i++) {
		if (peers[i] == peer)
			return chosen[i];
	}
	return false;
}

const struct peer *peer_next(unsigned int *i)
{
	for (; *i < NR_PEERS; ++*i) {
		if (chosen[*i] && peers[*i]->consume)
			return peers[(*i)++];
	}
	return NULL;
}

/* Whether the clock counts instructions: a loop of known length tells. */
static bool clock_counts(void)
{
#if defined(__x86_64__)
	const uint64_t loops = 1000000;
	int exact = 0;

	/* No machine is exactly so slow by chance; an interrupt may do some work in between. */
	for (int i = 0; i < 20 && exact < 3; i++) {
		uint64_t n = loops, t0, t1;

		t0 = now();
		__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(n) : : "cc");
		t1 = now();
		if (t1 - t0 < 2 * loops)
			return false;
		/* An interrupt or two adds a few thousand. */
		exact += t1 - t0 <= 2 * loops + loops / 50;
	}
	return exact == 3;
#else
	return false;
#endif
}

void mark_begin(void)
{
#if defined(__x86_64__)
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long 0x6d710001" : : : "memory");
#endif
}

void mark_end(void)
{
#if defined(__x86_64__)
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long 0x6d710002" : : : "memory");
#endif
}

/* As many messages as a pipe of 16 pages surely holds: each write may begin a page. */
uint64_t burst_of(const struct bench *b)
{
	const uint64_t pages = 16, page = 4096;
	uint64_t call = b->size * b->batch;
	uint64_t calls = call <= page ? page / call * pages : pages / ((call + page - 1) / page);

	if (!calls)
		errx(2, "a batch of %" PRIu64 " bytes: a pipe holds %" PRIu64, call, pages * page);
	return calls * b->batch;
}

void bench_init(struct bench *b, const struct options *o, size_t size, unsigned int batch,
		bool held)
{
	memset(b, 0, sizeof(*b));
	b->size = size;
	b->batch = batch;
	b->read_size = o->read_size;
	b->held = held;
	b->message = must_alloc(size);
	memset(b->message, 'x', size);
	message_number(b->message, 0);
	b->message[size - 1] = '\n';
}

static uint64_t messages_of(const struct options *o, const struct peer *peer)
{
	return peer->max_messages && peer->max_messages < o->messages ? peer->max_messages :
									o->messages;
}

/* A tenth; and once round a topic's rings, so that their memory is there. */
static uint64_t warm_up(const struct options *o, const struct peer *peer, const struct bench *b)
{
	uint64_t lap = peer->keeps ? LAP_OF(b) : 0;

	if (peer->attach)
		return (messages_of(o, peer) + 9) / 10;
	return o->messages / 10 > lap ? o->messages / 10 : lap;
}

static void run_inline(const struct peer *peer, struct bench *b, uint64_t messages,
		       bool alone, double *produce, double *consume)
{
	uint64_t burst = burst_of(b), made = 0, read = 0;

	for (uint64_t done = 0; done < messages; done += burst) {
		uint64_t t0 = now(), t1;

		peer->produce(b, burst);
		t1 = now();
		made += t1 - t0;
		if (peer->consume && !alone) {
			peer->consume(b, burst);
			read += now() - t1;
		}
	}
	messages = (messages + burst - 1) / burst * burst;
	*produce = (double)made / messages;
	*consume = (double)read / messages;
}

/* The time of both together, from the first write to the last read. */
static double run_pair(const struct peer *peer, struct bench *b, uint64_t messages)
{
	struct rusage before, after, child;
	uint64_t begin, end;
	int status, go[2];
	pid_t pid;
	char byte;

	if (peer->attach)
		return run_apart(peer, b, messages);
	if (pipe(go))
		err(1, "pipe");
	messages = (messages + b->batch - 1) / b->batch * b->batch;
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		if (write(go[1], "", 1) != 1)
			_exit(1);
		peer->consume(b, messages);
		_exit(0);
	}
	if (read(go[0], &byte, 1) != 1)
		err(1, "the consumer did not start");
	getrusage(RUSAGE_SELF, &before);
	begin = now();
	peer->produce(b, messages);
	getrusage(RUSAGE_SELF, &after);
	if (wait4(pid, &status, 0, &child) < 0)
		err(1, "wait4");
	end = now();
	b->switches[0] = after.ru_nvcsw - before.ru_nvcsw;
	b->switches[1] = child.ru_nvcsw;
	if (status)
		errx(1, "%s: the consumer failed", peer->name);
	b->consumed += messages * b->size;
	close(go[0]);
	close(go[1]);
	return (double)(end - begin) / messages;
}

static void measure(const struct options *o, struct result *r)
{
	bool pair = !strcmp(r->mode, "pair"), alone = !strcmp(r->mode, "alone");
	struct bench b;

	bench_init(&b, o, r->size, r->batch, pair);
	r->produce = must_alloc(o->runs * sizeof(double));
	r->consume = must_alloc(o->runs * sizeof(double));
	r->total = must_alloc(o->runs * sizeof(double));
	r->switches[0] = must_alloc(o->runs * sizeof(double));
	r->switches[1] = must_alloc(o->runs * sizeof(double));
	r->messages = messages_of(o, r->peer);
	r->runs = o->runs;

	r->peer->open(&b);
	b.check = true;
	if (pair)
		run_pair(r->peer, &b, warm_up(o, r->peer, &b));
	else
		run_inline(r->peer, &b, warm_up(o, r->peer, &b), alone, r->produce, r->consume);
	b.check = false;
	for (unsigned int i = 0; i < o->runs; i++) {
		mark_begin();
		if (pair) {
			r->total[i] = run_pair(r->peer, &b, r->messages);
			r->produce[i] = 0;
			r->consume[i] = 0;
			for (int k = 0; k < 2; k++)
				r->switches[k][i] = (double)b.switches[k] / o->messages;
		} else {
			run_inline(r->peer, &b, o->messages, alone, &r->produce[i],
				   &r->consume[i]);
			r->total[i] = r->produce[i] + r->consume[i];
		}
		mark_end();
	}
	r->peer->close(&b);
	free(b.message);
}

/* One message a call through a topic must not cost more than through a pipe. */
static int check_limit(const struct result *results, unsigned int n, double limit)
{
	unsigned int compared = 0;
	int status = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct result *r = &results[i];
		double pipe = result_of(results, n, r, &peer_pipe);
		double topic = result_of(results, n, r, &peer_topic);

		if (r->peer != &peer_topic || r->batch != 1 || pipe <= 0)
			continue;
		compared++;
		if (topic > limit * pipe) {
			warnx("topic, %s, %zu bytes: %.0f a message, more than %g times the pipe's %.0f",
			      r->mode, r->size, topic, limit, pipe);
			status = 1;
		}
	}
	if (!compared)
		errx(2, "--limit: nothing to compare: peers topic and pipe, batch 1");
	return status;
}

static uint64_t number(const char *option, const char *text, char **end, uint64_t min)
{
	unsigned long long value;

	errno = 0;
	value = strtoull(text, end, 10);
	if (errno || *end == text || *text == '-' || value < min)
		errx(2, "%s %s: not a number from %" PRIu64 " on", option, text, min);
	return value;
}

static uint64_t one_number(const char *option, const char *text, uint64_t min)
{
	char *end;
	uint64_t value = number(option, text, &end, min);

	if (*end)
		errx(2, "%s %s: not a number", option, text);
	return value;
}

static unsigned int numbers(const char *option, const char *text, uint64_t *list, uint64_t min)
{
	unsigned int n = 0;

	for (;;) {
		char *end;

		if (n == LIST_MAX)
			errx(2, "%s: more than %d numbers", option, LIST_MAX);
		list[n++] = number(option, text, &end, min);
		if (!*end)
			return n;
		if (*end != ',')
			errx(2, "%s %s: not numbers with commas between", option, text);
		text = end + 1;
	}
}

static void choose_peers(char *names)
{
	memset(chosen, 0, sizeof(chosen));
	for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		unsigned int i = 0;

		while (i < NR_PEERS && strcmp(peers[i]->name, name))
			i++;
		if (i == NR_PEERS)
			errx(2, "--peers: no peer %s: see --help", name);
		chosen[i] = true;
	}
}

static void choose_workload(const char *name)
{
	workload = NULL;
	if (!strcmp(name, "append"))
		return;
	for (unsigned int i = 0; i < NR_WORKLOADS; i++) {
		if (!strcmp(workloads[i]->name, name))
			workload = workloads[i];
	}
	if (!workload)
		errx(2, "--workload: no workload %s: see --help", name);
}

static void help(FILE *out)
{
	fputs("Usage: mqbench [OPTION...]\n\n"
	      "Measure what a message costs, appended and consumed, in a topic and its peers.\n\n"
	      "  -w, --workload NAME      what is done (default append, see below)\n"
	      "  -p, --peers NAME,...     which (default all without *, see below)\n"
	      "  -s, --sizes BYTES,...    sizes of messages (default 16,100,1024)\n"
	      "  -b, --batches N,...      messages a call of the producer (default 1,64)\n"
	      "  -c, --counts N,...       of readers, producers ...: see the workload\n"
	      "  -m, --modes MODE,...     append: alone: nothing is consumed; inline: one process;\n"
	      "                           pair: two (default inline,pair)\n"
	      "  -n, --messages N         messages a run (default 100000)\n"
	      "  -r, --runs N             runs, after warming up (default 5)\n"
	      "      --read-size BYTES    what the consumer asks for (default 65536)\n"
	      "      --limit RATIO        fail if a topic costs more than RATIO times a pipe,\n"
	      "                           one message a call\n"
	      "  -j, --json               JSON\n"
	      "  -h, --help               this text\n\nWorkloads:\n"
	      "  append       a producer alone, or with a consumer: see --modes\n", out);
	for (unsigned int i = 0; i < NR_WORKLOADS; i++)
		fprintf(out, "  %-12s %s\n", workloads[i]->name, workloads[i]->what);
	fputs("\nPeers:\n", out);
	for (unsigned int i = 0; i < NR_PEERS; i++)
		fprintf(out, "  %-12s%c%s\n", peers[i]->name, peers[i]->plugin ? '*' : ' ',
			peers[i]->what);
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "workload", required_argument, NULL, 'w' },
		{ "peers", required_argument, NULL, 'p' },
		{ "sizes", required_argument, NULL, 's' },
		{ "batches", required_argument, NULL, 'b' },
		{ "counts", required_argument, NULL, 'c' },
		{ "modes", required_argument, NULL, 'm' },
		{ "messages", required_argument, NULL, 'n' },
		{ "runs", required_argument, NULL, 'r' },
		{ "read-size", required_argument, NULL, 'R' },
		{ "limit", required_argument, NULL, 'L' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	char *end;
	int opt;

	while ((opt = getopt_long(argc, argv, "w:p:s:b:c:m:n:r:jh", longs, NULL)) != -1) {
		switch (opt) {
		case 'p':
			choose_peers(optarg);
			break;
		case 's':
			o->nr_sizes = numbers("--sizes", optarg, o->sizes, 16);
			break;
		case 'b':
			o->nr_batches = numbers("--batches", optarg, o->batches, 1);
			break;
		case 'c':
			o->nr_counts = numbers("--counts", optarg, o->counts, 0);
			break;
		case 'w':
			choose_workload(optarg);
			break;
		case 'm':
			o->with_alone = false;
			o->with_inline = false;
			o->with_pair = false;
			for (char *m = strtok(optarg, ","); m; m = strtok(NULL, ",")) {
				if (!strcmp(m, "inline"))
					o->with_inline = true;
				else if (!strcmp(m, "pair"))
					o->with_pair = true;
				else if (!strcmp(m, "alone"))
					o->with_alone = true;
				else
					errx(2, "--modes: %s: alone, inline, pair", m);
			}
			break;
		case 'n':
			o->messages = one_number("--messages", optarg, 1);
			break;
		case 'r':
			o->runs = one_number("--runs", optarg, 1);
			break;
		case 'R':
			o->read_size = one_number("--read-size", optarg, 4096);
			break;
		case 'L':
			o->limit = strtod(optarg, &end);
			if (*end || end == optarg || !(o->limit > 0))
				errx(2, "--limit %s: not a ratio", optarg);
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			help(stdout);
			exit(0);
		default:
			fputs("Try 'mqbench --help'.\n", stderr);
			exit(2);
		}
	}
	if (optind < argc)
		errx(2, "%s: no operands are taken: see --help", argv[optind]);
}

int main(int argc, char **argv)
{
	struct options o = {
		.messages = 100000, .runs = 5, .read_size = 1 << 16,
		.sizes = { 16, 100, 1024 }, .nr_sizes = 3,
		.batches = { 1, 64 }, .nr_batches = 2,
		.with_inline = true, .with_pair = true,
	};
	struct result *results;
	unsigned int n = 0;
	bool counts;

	for (unsigned int i = 0; i < NR_PEERS; i++)
		chosen[i] = !peers[i]->plugin;
	parse(&o, argc, argv);
	pin(0);
	counts = clock_counts();
	o.counting = counts;
	if (!counts)
		warnx("the clock does not count instructions (tools/vm -I does): "
		      "these are nanoseconds of this machine, now");

	if (workload) {
		workload->run(&o);
		figures_print(o.json, counts);
		return 0;
	}
	results = must_alloc(3 * NR_PEERS * LIST_MAX * LIST_MAX * sizeof(*results));
	for (unsigned int mode = 0; mode < 3; mode++) {
		static const char *const modes[] = { "alone", "inline", "pair" };
		bool alone = mode == 0, pair = mode == 2;

		if (pair ? !o.with_pair : alone ? !o.with_alone : !o.with_inline)
			continue;
		for (unsigned int i = 0; i < o.nr_sizes * o.nr_batches * NR_PEERS; i++) {
			const struct peer *peer = peers[i % NR_PEERS];
			uint64_t batch = o.batches[i / NR_PEERS % o.nr_batches];

			if (!chosen[i % NR_PEERS])
				continue;
			peer = peer_load(peer);
			if ((pair ? !peer->consume : (bool)peer->attach) ||
			    (alone && !peer->keeps) ||
			    (peer->max_batch && batch > peer->max_batch))
				continue;
			results[n] = (struct result) {
				.peer = peer, .mode = modes[mode],
				.size = o.sizes[i / NR_PEERS / o.nr_batches], .batch = batch,
			};
			measure(&o, &results[n++]);
		}
	}
	if (o.json) {
		report_figures(results, n, &o);
		figures_print(true, counts);
		return o.limit > 0 ? check_limit(results, n, o.limit) : 0;
	}
	report(results, n, time_unit(&o));
	return o.limit > 0 ? check_limit(results, n, o.limit) : 0;
}
