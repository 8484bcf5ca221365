// SPDX-License-Identifier: GPL-2.0
/* What the log promises of a partition, checked on batches as they are read. */
#define _GNU_SOURCE
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "crc32c.h"
#include "murmur2.h"
#include "record.h"

/* A producer's last message in this partition. */
struct producer {
	uint64_t id;
	uint64_t sequence;
	uint32_t epoch;
	uint32_t era;			/* of struct check */
};

/* The address tells findings apart: one text, one object. */
static const char bad_crc[] = "the CRC-32C is wrong";
static const char bad_offset[] = "missing, though nothing was overwritten";
static const char bad_order[] = "the offset goes back";
static const char bad_position[] = "the position is not the end of the message before";
static const char bad_attr_position[] =
	"the attribute position is not the end of the message before";
static const char bad_time[] = "the timestamp goes back, and the clock was not set back";
static const char bad_epoch[] = "the epoch goes back";
static const char bad_length[] = "longer than a quarter of the ring";
static const char bad_flags[] = "the entry has unknown flags";
static const char bad_key_flag[] = "the entry's key flag and the key attribute disagree";
static const char bad_key_hash[] = "the entry's key hash is not the key's";
static const char bad_sequence_alone[] = "a sequence number without a producer";
static const char bad_producer_epoch[] = "a producer's epoch goes back";
static const char bad_sequence_order[] = "a producer's sequence number stands twice or goes back";

static void __attribute__((noreturn)) no_memory(void)
{
	fputs("mqctl: out of memory\n", stderr);
	exit(1);
}

static void finding(struct check *c, const struct mq_entry *e, const char *what)
{
	ranges_add(&c->errors, e->offset, e->offset, what);
}

static int by_id(const void *a, const void *b)
{
	const struct producer *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

static struct producer *find_producer(struct check *c, uint64_t id, bool *new)
{
	struct producer *producer = malloc(sizeof(*producer)), **found;

	if (!producer)
		no_memory();
	*producer = (struct producer) { .id = id };
	found = tsearch(producer, &c->producers, by_id);
	if (!found)
		no_memory();
	*new = *found == producer;
	if (!*new)
		free(producer);
	return *found;
}

static void add_gap(struct check *c, uint64_t id, uint64_t first, uint64_t last,
		    uint64_t offset)
{
	/* Grows by doubling: at each power of two. */
	if (!(c->gaps_n & (c->gaps_n - 1))) {
		c->gaps = reallocarray(c->gaps, c->gaps_n ? 2 * c->gaps_n : 1,
				       sizeof(*c->gaps));
		if (!c->gaps)
			no_memory();
	}
	c->gaps[c->gaps_n++] = (struct gap) { id, first, last, offset };
}

/* Numbers count by one within a producer's epoch, in each partition. */
static void check_sequence(struct check *c, const struct mq_entry *e,
			   const struct bytes *attrs)
{
	struct producer *producer;
	uint64_t sequence;
	uint32_t epoch;
	bool new;

	if (!attrs[MQ_ATTR_SEQUENCE].data)
		return;
	if (!attrs[MQ_ATTR_PRODUCER_ID].data) {
		finding(c, e, bad_sequence_alone);
		return;
	}
	sequence = attr_u64(&attrs[MQ_ATTR_SEQUENCE]);
	epoch = attrs[MQ_ATTR_PRODUCER_EPOCH].data ? attr_u32(&attrs[MQ_ATTR_PRODUCER_EPOCH]) : 0;
	producer = find_producer(c, attr_u64(&attrs[MQ_ATTR_PRODUCER_ID]), &new);
	if (!new && epoch < producer->epoch) {
		finding(c, e, bad_producer_epoch);
		return;
	}
	if (!new && epoch == producer->epoch) {
		if (sequence <= producer->sequence) {
			finding(c, e, bad_sequence_order);
			return;
		}
		/* Across messages that were overwritten there is nothing to say. */
		if (sequence != producer->sequence + 1 && producer->era == c->era)
			add_gap(c, producer->id, producer->sequence + 1, sequence - 1, e->offset);
	}
	producer->epoch = epoch;
	producer->sequence = sequence;
	producer->era = c->era;
}

static void check_attrs(struct check *c, const struct message *msg)
{
	struct bytes attrs[MQ_ATTR_MAX + 1], *key = &attrs[MQ_ATTR_KEY];
	const struct mq_entry *e = &msg->entry;
	const char *why = message_attrs(msg, attrs);

	if (why)
		finding(c, e, why);
	if (!key->data != !(e->flags & MQ_ENTRY_KEY))
		finding(c, e, bad_key_flag);
	else if (key->data && e->key_hash != murmur2(key->data, key->len))
		finding(c, e, bad_key_hash);
	check_sequence(c, e, attrs);
}

/* Messages between two that were read: overwritten meanwhile, or not there. */
void check_hole(struct check *c, uint64_t first, uint64_t last)
{
	uint64_t hole = last - first + 1;
	uint64_t lost = c->lost_messages(c->ctx);

	if (hole <= lost - c->lost) {
		c->lost += hole;
		ranges_add(&c->missing, first, last, NULL);
	} else {
		c->lost = lost;
		ranges_add(&c->errors, first, last, bad_offset);
	}
	c->era++;
}

static void check_entry(struct check *c, const struct mq_entry *e)
{
	const struct mq_entry *last = &c->last;
	const uint32_t known = MQ_ENTRY_KEY | MQ_ENTRY_CLOCK_BACK | MQ_ENTRY_SPLIT |
			       MQ_ENTRY_UNFINISHED;

	/* max-message-bytes may have been another one when it was appended. */
	if (e->len > c->start.ring_bytes / 4)
		finding(c, e, bad_length);
	if (e->flags & ~known)
		finding(c, e, bad_flags);
	if (!c->any)
		return;
	if (e->offset <= last->offset) {
		finding(c, e, bad_order);
		return;
	}
	if (e->offset != last->offset + 1) {
		check_hole(c, last->offset + 1, e->offset - 1);
	} else {
		if (e->position != last->position + last->len)
			finding(c, e, bad_position);
		if (e->attr_position != last->attr_position + last->attr_len)
			finding(c, e, bad_attr_position);
	}
	if (e->timestamp < last->timestamp && !(e->flags & MQ_ENTRY_CLOCK_BACK))
		finding(c, e, bad_time);
	if (e->epoch < last->epoch)
		finding(c, e, bad_epoch);
}

static void check_message(struct check *c, const struct message *msg)
{
	const struct mq_entry *e = &msg->entry;
	uint32_t crc;

	if (!c->any) {
		c->first_offset = e->offset;
		if (e->offset < c->start.offset)
			finding(c, e, bad_order);
		else if (e->offset > c->start.offset)
			check_hole(c, c->start.offset, e->offset - 1);
	}
	check_entry(c, e);
	crc = crc32c(0, msg->payload, e->len);
	if (crc32c(crc, msg->attrs, e->attr_len) != e->crc)
		finding(c, e, bad_crc);
	check_attrs(c, msg);
	c->last = *e;
	c->any = true;
	c->messages++;
	c->bytes += e->len;
}

const char *check_batch(struct check *c, const void *data, size_t len)
{
	struct batch_view view;
	struct message msg;
	const char *why;
	int more;

	why = batch_parse(&view, data, len);
	if (why)
		return why;
	if (view.head.partition != c->start.partition)
		return "a batch of another partition";
	if (memcmp(view.head.topic_id, c->start.topic_id, MQ_TOPIC_ID_LEN))
		return "a batch of another topic";
	while ((more = batch_next(&view, &msg)) > 0)
		check_message(c, &msg);
	return more < 0 ? "a batch whose lengths do not add up" : NULL;
}

bool check_is_wrong(const struct check *c)
{
	return c->errors.count || c->gaps_n;
}

void check_free(struct check *c)
{
	ranges_free(&c->missing);
	ranges_free(&c->errors);
	free(c->gaps);
	tdestroy(c->producers, free);
	memset(c, 0, sizeof(*c));
}
