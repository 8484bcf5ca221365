/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the log promises of a partition, checked on batches as they are read:
 * offsets and positions without gaps, checksums, times in order, attributes
 * well-formed, keys hashed right, and each producer's sequence numbers.
 */
#ifndef MQCTL_CHECK_H
#define MQCTL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mq/mq.h>

#include "ranges.h"

struct gap {
	uint64_t producer;
	uint64_t first;			/* sequence numbers that are missing */
	uint64_t last;
	uint64_t offset;		/* of the message after the gap */
};

struct check {
	struct mq_stat start;		/* of the file, before the first read */
	/* Messages that the file has lost to overruns by now. */
	uint64_t (*lost_messages)(void *ctx);
	void *ctx;

	bool any;			/* last holds a message */
	struct mq_entry last;
	uint64_t first_offset;
	uint64_t messages;
	uint64_t bytes;
	uint64_t lost;			/* of lost_messages, what a hole has explained */
	uint32_t era;			/* grows at each hole */
	struct ranges missing;		/* no longer retained: nothing wrong */
	struct ranges errors;
	struct gap *gaps;		/* in producers' sequence numbers */
	size_t gaps_n;
	void *producers;		/* tree, by id */
};

/* NULL, or why the batch cannot be read at all. */
const char *check_batch(struct check *check, const void *data, size_t len);
/* Messages that were to be read and were not. */
void check_hole(struct check *check, uint64_t first, uint64_t last);
bool check_is_wrong(const struct check *check);
void check_free(struct check *check);

#endif
