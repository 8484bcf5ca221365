/* SPDX-License-Identifier: GPL-2.0 */
/* What a peer of the benchmark is, and what a run knows. A further peer is a further file. */
#ifndef MQBENCH_BENCH_H
#define MQBENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	void *priv;
};

/**
 * struct peer - something that carries messages
 * @name: as on the command line
 * @what: one line for --help
 * @plugin: file of build/peers that has the rest (see broker.c), or NULL
 * @max_batch: largest batch it can take, 0 for any
 * @max_messages: most messages a run (it is slow), 0 for any
 * @open: makes it, before the processes part; exits on failure
 * @attach: connects the producer, or the consumer, which comes first, in its own process
 *	before a run; NULL where both inherit what @open made
 * @produce: n messages, a multiple of the batch
 * @consume: exactly n messages; NULL where nothing is delivered
 * @close: removes it
 */
struct peer {
	const char *name;
	const char *what;
	const char *plugin;
	unsigned int max_batch;
	uint64_t max_messages;
	void (*open)(struct bench *b);
	void (*attach)(struct bench *b, bool producer);
	void (*produce)(struct bench *b, uint64_t n);
	void (*consume)(struct bench *b, uint64_t n);
	void (*close)(struct bench *b);
};

extern const struct peer peer_topic, peer_topic_plain, peer_topic_line;
extern const struct peer peer_pipe;
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

#define DATA_RING	(1U << 20)	/* of a topic under test; warming up goes round it */

/**
 * struct result - a line of the table
 * @produce, @consume, @total: of all runs, per message
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
};

/* Sorts the runs. */
double result_median(double *runs, unsigned int n);
/* The same workload's median with @peer, or 0. */
double result_of(const struct result *results, unsigned int n, const struct result *like,
		 const struct peer *peer);
void report(struct result *results, unsigned int n, bool json, const char *unit);

#endif
