/* SPDX-License-Identifier: GPL-2.0 */
/* What a peer of the benchmark is, and what a run knows. A further peer is a further file. */
#ifndef MQBENCH_BENCH_H
#define MQBENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct bench - one peer under one workload
 * @size: bytes of a message, at least 16
 * @batch: messages a call of the producer
 * @read_size: bytes the consumer asks for at a time
 * @held: the producer must wait for the consumer (they are two processes)
 * @check: messages are numbered and compared (only while warming up)
 * @run: number of runs of this peer so far, for names that must be new
 * @message: a message; message_number() makes it the n-th
 * @produced: messages produced so far
 * @consumed: payload bytes consumed so far
 * @switches: times that the producer, and the consumer, waited in the last run
 * @priv: the peer's own
 */
struct bench {
	size_t size;
	unsigned int batch;
	size_t read_size;
	bool held;
	bool check;
	unsigned int run;
	char *message;
	uint64_t produced;
	uint64_t consumed;
	uint64_t switches[2];
	void *priv;
};

/**
 * struct peer - something that carries messages
 * @name: as on the command line
 * @what: one line for --help
 * @keeps: it takes messages without end that nobody consumes
 * @plugin: file of build/peers that has the rest (see broker.c), or NULL
 * @max_batch: largest batch it can take, 0 for any
 * @max_messages: most messages a run (it is slow), 0 for any
 * @open: makes it, before the processes part; exits on failure
 * @attach: connects the producer, or the consumer, which comes first, in its own process
 *	before a run; NULL where both inherit what @open made
 * @produce: n messages, a multiple of the batch
 * @consume: exactly n messages; NULL where nothing is delivered
 * @take: what one call gives, at least a message and at most max; NULL: see @consume
 * @close: removes it
 */
struct peer {
	const char *name;
	const char *what;
	bool keeps;
	const char *plugin;
	unsigned int max_batch;
	uint64_t max_messages;
	void (*open)(struct bench *b);
	void (*attach)(struct bench *b, bool producer);
	void (*produce)(struct bench *b, uint64_t n);
	void (*consume)(struct bench *b, uint64_t n);
	uint64_t (*take)(struct bench *b, uint64_t max);
	void (*close)(struct bench *b);
};

extern const struct peer peer_topic, peer_topic_mmap, peer_topic_watermark, peer_topic_plain, peer_topic_line;
extern const struct peer peer_topic_uring, peer_topic_splice;
extern const struct peer peer_pipe;
extern const struct peer peer_unix_stream, peer_unix_dgram, peer_unix_seqpacket, peer_mqueue;
extern const struct peer peer_getppid, peer_null;
extern const struct peer peer_zeromq, peer_redis, peer_nats, peer_jetstream, peer_rabbitmq;
extern const struct peer peer_kafka, peer_nsq, peer_mosquitto;

/* The peer itself: from its plugin, if it has one. */
const struct peer *peer_load(const struct peer *peer);
/* One run of a peer that has attach(): busy time a message, of the whole machine. */
double run_apart(const struct peer *peer, struct bench *b, uint64_t messages);

/* Writes the number of a message into its first 8 bytes. */
void message_number(char *message, uint64_t number);
/* The next payload bytes of the peer's stream: counted, and compared if the run checks. */
void take_payload(struct bench *b, const char *data, size_t len);
/* The next message of a run, to be sent: numbered if the run checks. */
const char *next_message(struct bench *b);
void *must_alloc(size_t size);
uint64_t now(void);

/* Bytes of a topic's ring: the least that has chunks as large as the default's. */
#define RING_BYTES	(1U << 20)
/* Messages that warm it up: once round. */
#define LAP_OF(b)	(RING_BYTES / (b)->size * 9 / 8)

/**
 * struct result - a line of the table
 * @produce, @consume, @total: of all runs, per message
 * @switches: pair: times that the producer, and the consumer, waited, per message
 */
struct result {
	const struct peer *peer;
	const char *mode;
	size_t size;
	unsigned int batch;
	uint64_t messages;
	unsigned int runs;
	double *produce;
	double *consume;
	double *total;
	double *switches[2];
};

/**
 * struct figure - something measured
 * @workload: what was done
 * @peer: by what
 * @mode: how
 * @metric: what was measured
 * @unit: its unit
 * @size: bytes of a message
 * @batch: messages a call
 * @count: of readers, producers, partitions, topics; percent of capacity; bytes a piece
 * @messages: messages a run
 * @runs: number of @values
 * @values: of the runs; sorted when it is added
 * @median: of them
 */
struct figure {
	const char *workload;
	const char *peer;
	const char *mode;
	const char *metric;
	const char *unit;
	size_t size;
	unsigned int batch;
	unsigned int count;
	uint64_t messages;
	unsigned int runs;
	double *values;
	double median;
};

/* Keeps a copy; the strings are not copied. */
void figure_add(const struct figure *f);
void figures_print(bool json, bool counting);

#define LIST_MAX	16

/**
 * struct options - of the command line
 * @messages: messages a run
 * @runs: runs after warming up
 * @read_size: bytes a consumer asks for
 * @sizes, @nr_sizes: of messages
 * @batches, @nr_batches: messages a call
 * @counts, @nr_counts: of readers, producers ...; none: the workload's own
 * @with_alone, @with_inline, @with_pair: modes
 * @json: the output
 * @counting: the clock counts instructions
 * @limit: see --limit
 */
struct options {
	uint64_t messages;
	unsigned int runs;
	size_t read_size;
	uint64_t sizes[LIST_MAX];
	unsigned int nr_sizes;
	uint64_t batches[LIST_MAX];
	unsigned int nr_batches;
	uint64_t counts[LIST_MAX];
	unsigned int nr_counts;
	bool with_alone;
	bool with_inline;
	bool with_pair;
	bool json;
	bool counting;
	double limit;
};

/**
 * struct workload - something to be done with peers
 * @name: as on the command line
 * @what: one line for --help
 * @run: does it and adds figures
 */
struct workload {
	const char *name;
	const char *what;
	void (*run)(const struct options *o);
};

extern const struct workload workload_producers, workload_fanout, workload_latency;
extern const struct workload workload_egress, workload_stuck, workload_counts;
extern const struct workload workload_partitions, workload_topics;

/* Whether --peers names it, or names none. */
bool peer_chosen(const struct peer *peer);
/* The next of the chosen peers that deliver; NULL after the last. *i begins as 0. */
const struct peer *peer_next(unsigned int *i);
void bench_init(struct bench *b, const struct options *o, size_t size, unsigned int batch, bool held);
/* Messages that each peer can hold: what is produced before it is consumed, in one process. */
uint64_t burst_of(const struct bench *b);
uint64_t now(void);
/* Around each run: a no-op that a plugin of the emulator can look for, to count by function. */
void mark_begin(void);
void mark_end(void);
/* What this process has used. */
uint64_t cpu_time(void);
/* To CPU @n, or to the last that there is. */
void pin(unsigned int n);
/* Ends unless the process ended well. */
void must_end_well(pid_t pid, const char *who);
pid_t must_fork(void);
/* Names the unit of a time: instructions or ns. */
const char *time_unit(const struct options *o);
const char *time_per_message(const struct options *o);

/* Sorts the runs. */
double result_median(double *runs, unsigned int n);
/* The same workload's median with @peer, or 0. */
double result_of(const struct result *results, unsigned int n, const struct result *like,
		 const struct peer *peer);
void report(struct result *results, unsigned int n, const char *unit);
/* The same as figures. */
void report_figures(const struct result *results, unsigned int n, const struct options *o);

#endif
