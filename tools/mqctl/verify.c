// SPDX-License-Identifier: GPL-2.0
/*
 * mqctl verify: reads partitions as records and checks what the log promises:
 * offsets and positions without gaps, checksums, times in order, attributes
 * well-formed, keys hashed right, and each producer's sequence numbers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mq/netlink.h>

#include "crc32c.h"
#include "mqctl.h"
#include "murmur2.h"
#include "nl.h"
#include "ranges.h"
#include "record.h"

/* A producer's last message in this partition; in a tree by id. */
struct producer {
	uint64_t id;
	uint64_t sequence;
	uint32_t epoch;
	uint32_t era;			/* of struct partition */
};

struct gap {
	uint64_t producer;
	uint64_t first;			/* sequence numbers that are missing */
	uint64_t last;
	uint64_t offset;		/* of the message after the gap */
};

struct partition {
	struct topic_ref ref;
	struct mq_stat start;		/* when it was opened */
	int fd;
	bool any;			/* last holds a message */
	struct mq_entry last;
	uint64_t first_offset;
	uint64_t messages;
	uint64_t bytes;
	uint64_t lost;			/* by overruns while reading */
	uint32_t era;			/* grows when messages were lost */
	struct ranges missing;		/* no longer retained: no error */
	struct ranges errors;
	void *producers;
	struct gap *gaps;
	size_t gaps_n;
};

struct verify {
	const struct command *cmd;
	bool json;
	bool follow;
	int32_t partition;
	uint64_t messages;
	uint64_t bytes;
	uint64_t findings;
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
static const char bad_length[] = "longer than the topic's max-message-bytes";
static const char bad_flags[] = "the entry has unknown flags";
static const char bad_key_flag[] = "the entry's key flag and the key attribute disagree";
static const char bad_key_hash[] = "the entry's key hash is not the key's";
static const char bad_sequence_alone[] = "a sequence number without a producer";
static const char bad_producer_epoch[] = "a producer's epoch goes back";
static const char bad_sequence_order[] = "a producer's sequence number stands twice or goes back";

static void finding(struct partition *p, const struct mq_entry *e, const char *what)
{
	ranges_add(&p->errors, e->offset, e->offset, what);
}

static int by_id(const void *a, const void *b)
{
	const struct producer *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

static struct producer *find_producer(struct partition *p, uint64_t id, bool *new)
{
	struct producer *producer = malloc(sizeof(*producer)), **found;

	if (!producer)
		die("out of memory");
	*producer = (struct producer) { .id = id };
	found = tsearch(producer, &p->producers, by_id);
	if (!found)
		die("out of memory");
	*new = *found == producer;
	if (!*new)
		free(producer);
	return *found;
}

static void add_gap(struct partition *p, uint64_t id, uint64_t first, uint64_t last,
		    uint64_t offset)
{
	/* Grows by doubling: at each power of two. */
	if (!(p->gaps_n & (p->gaps_n - 1))) {
		p->gaps = reallocarray(p->gaps, p->gaps_n ? 2 * p->gaps_n : 1,
				       sizeof(*p->gaps));
		if (!p->gaps)
			die("out of memory");
	}
	p->gaps[p->gaps_n++] = (struct gap) { id, first, last, offset };
}

/* Numbers count by one within a producer's epoch, in each partition. */
static void check_sequence(struct partition *p, const struct mq_entry *e,
			   const struct bytes *attrs)
{
	struct producer *producer;
	uint64_t sequence;
	uint32_t epoch;
	bool new;

	if (!attrs[MQ_ATTR_SEQUENCE].data)
		return;
	if (!attrs[MQ_ATTR_PRODUCER_ID].data) {
		finding(p, e, bad_sequence_alone);
		return;
	}
	sequence = attr_u64(&attrs[MQ_ATTR_SEQUENCE]);
	epoch = attrs[MQ_ATTR_PRODUCER_EPOCH].data ? attr_u32(&attrs[MQ_ATTR_PRODUCER_EPOCH]) : 0;
	producer = find_producer(p, attr_u64(&attrs[MQ_ATTR_PRODUCER_ID]), &new);
	if (!new && epoch < producer->epoch) {
		finding(p, e, bad_producer_epoch);
		return;
	}
	if (!new && epoch == producer->epoch) {
		if (sequence <= producer->sequence) {
			finding(p, e, bad_sequence_order);
			return;
		}
		/* Across messages that were overwritten there is nothing to say. */
		if (sequence != producer->sequence + 1 && producer->era == p->era)
			add_gap(p, producer->id, producer->sequence + 1, sequence - 1, e->offset);
	}
	producer->epoch = epoch;
	producer->sequence = sequence;
	producer->era = p->era;
}

static void check_attrs(struct partition *p, const struct message *msg)
{
	struct bytes attrs[MQ_ATTR_MAX + 1], *key = &attrs[MQ_ATTR_KEY];
	const struct mq_entry *e = &msg->entry;
	const char *why = message_attrs(msg, attrs);

	if (why)
		finding(p, e, why);
	if (!key->data != !(e->flags & MQ_ENTRY_KEY))
		finding(p, e, bad_key_flag);
	else if (key->data && e->key_hash != murmur2(key->data, key->len))
		finding(p, e, bad_key_hash);
	check_sequence(p, e, attrs);
}

/* Messages between two that were read: overwritten meanwhile, or not there. */
static void check_hole(struct partition *p, uint64_t first, uint64_t last)
{
	uint64_t hole = last - first + 1;
	struct mq_stat st;

	stat_topic(p->fd, &st);
	if (hole <= st.lost_messages - p->lost) {
		p->lost += hole;
		ranges_add(&p->missing, first, last, NULL);
	} else {
		p->lost = st.lost_messages;
		ranges_add(&p->errors, first, last, bad_offset);
	}
	p->era++;
}

static void check_entry(struct partition *p, const struct mq_entry *e)
{
	const struct mq_entry *last = &p->last;
	const uint32_t known = MQ_ENTRY_KEY | MQ_ENTRY_CLOCK_BACK | MQ_ENTRY_SPLIT |
			       MQ_ENTRY_UNFINISHED;

	if (e->len > p->start.max_message_bytes)
		finding(p, e, bad_length);
	if (e->flags & ~known)
		finding(p, e, bad_flags);
	if (!p->any)
		return;
	if (e->offset <= last->offset) {
		finding(p, e, bad_order);
		return;
	}
	if (e->offset != last->offset + 1) {
		check_hole(p, last->offset + 1, e->offset - 1);
	} else {
		if (e->position != last->position + last->len)
			finding(p, e, bad_position);
		if (e->attr_position != last->attr_position + last->attr_len)
			finding(p, e, bad_attr_position);
	}
	if (e->timestamp < last->timestamp && !(e->flags & MQ_ENTRY_CLOCK_BACK))
		finding(p, e, bad_time);
	if (e->epoch < last->epoch)
		finding(p, e, bad_epoch);
}

static void check_message(struct partition *p, const struct message *msg)
{
	const struct mq_entry *e = &msg->entry;
	uint32_t crc;

	if (!p->any) {
		p->first_offset = e->offset;
		if (e->offset < p->start.offset)
			finding(p, e, bad_order);
		else if (e->offset > p->start.offset)
			check_hole(p, p->start.offset, e->offset - 1);
	}
	check_entry(p, e);
	crc = crc32c(0, msg->payload, e->len);
	if (crc32c(crc, msg->attrs, e->attr_len) != e->crc)
		finding(p, e, bad_crc);
	check_attrs(p, msg);
	p->last = *e;
	p->any = true;
	p->messages++;
	p->bytes += e->len;
}

static void check_batch(struct partition *p, const void *data, size_t len)
{
	struct batch_view view;
	struct message msg;
	const char *why;
	int more;

	why = batch_parse(&view, data, len);
	if (why)
		die("%s@%d: %s", p->ref.name, p->ref.partition, why);
	if (view.head.partition != (uint32_t)p->ref.partition)
		die("%s@%d: a batch of partition %u", p->ref.name, p->ref.partition,
		    view.head.partition);
	if (memcmp(view.head.topic_id, p->start.topic_id, MQ_TOPIC_ID_LEN))
		die("%s@%d: a batch of another topic", p->ref.name, p->ref.partition);
	while ((more = batch_next(&view, &msg)) > 0)
		check_message(p, &msg);
	if (more < 0)
		die("%s@%d: a batch whose lengths do not add up", p->ref.name, p->ref.partition);
}

/* State of a topic or partition, without holding a writer back. */
static void look_at(const struct topic_ref *ref, struct mq_stat *st)
{
	int fd = open_topic(ref, "+overrun=skip", O_RDONLY | O_NONBLOCK);

	stat_topic(fd, st);
	close(fd);
}

/* Offset of the first message that ever was; 0 if it cannot be asked. */
static uint64_t ask_start_offset(const struct topic_ref *ref)
{
	struct nlattr *tb[ATTR_TYPE_MAX];
	struct answers answers = { 0 };
	struct request req;
	uint64_t start = 0;

	request_init(&req, &topic_attrs, MQ_CMD_TOPIC_GET, 0);
	request_put_name(&req, MQ_A_TOPIC_NAME, ref->name);
	req.quiet = true;
	req.answer = answers_add;
	req.ctx = &answers;
	if (request_send(&req) && answers.count &&
	    !attr_parse(&topic_attrs, answers.msgs[0], tb, NULL) && tb[MQ_A_TOPIC_START_OFFSET])
		start = nla_get_u64(tb[MQ_A_TOPIC_START_OFFSET]);
	answers_free(&answers);
	request_free(&req);
	return start;
}

static void read_partition(struct partition *p, bool follow)
{
	struct read_buffer buf = { 0 };
	struct mq_stat before;
	struct pollfd pfd;
	uint64_t start, next;
	ssize_t n;

	/* All that is there now must come. */
	look_at(&p->ref, &before);
	/* Skipping holds no writer back (hold=readers); losses are counted all the same. */
	p->fd = open_topic(&p->ref, follow ? "+overrun=skip" : "+overrun=skip+until=end",
			   O_RDONLY | O_NONBLOCK);
	stat_topic(p->fd, &p->start);
	p->lost = p->start.lost_messages;
	start = ask_start_offset(&p->ref);
	if (p->start.offset > start)
		ranges_add(&p->missing, start, p->start.offset - 1, NULL);
	pfd = (struct pollfd) { .fd = p->fd, .events = POLLIN };
	while (!stopped) {
		n = read_batch(p->fd, &buf);
		if (n > 0) {
			check_batch(p, buf.data, n);
			continue;
		}
		if (!n || (errno == ENODEV && follow))
			break;
		if (errno == EAGAIN && wait_for(&pfd, 1, -1) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			die("%s@%d: read: %s", p->ref.name, p->ref.partition, strerror(errno));
	}
	/* The last ones may be gone, too. */
	next = p->any ? p->last.offset + 1 : p->start.offset;
	if (!stopped && next < before.head_offset)
		check_hole(p, next, before.head_offset - 1);
	free(buf.data);
}

static bool is_wrong(const struct partition *p)
{
	return p->errors.count || p->gaps_n;
}

static void print_range(const struct range *r, const struct partition *p, const char *what)
{
	printf("%s@%d: offset%s %" PRIu64, p->ref.name, p->ref.partition,
	       r->first == r->last ? "" : "s", r->first);
	if (r->first != r->last)
		printf("-%" PRIu64, r->last);
	printf(": %s\n", what);
}

static void print_text(const struct partition *p)
{
	for (size_t i = 0; i < p->missing.count; i++)
		print_range(&p->missing.v[i], p, "no longer retained");
	for (size_t i = 0; i < p->errors.count; i++)
		print_range(&p->errors.v[i], p, p->errors.v[i].what);
	for (size_t i = 0; i < p->gaps_n; i++) {
		const struct gap *gap = &p->gaps[i];

		printf("%s@%d: producer %" PRIu64 ": sequence %" PRIu64, p->ref.name,
		       p->ref.partition, gap->producer, gap->first);
		if (gap->last != gap->first)
			printf("-%" PRIu64, gap->last);
		printf(" missing before offset %" PRIu64 "\n", gap->offset);
	}
	printf("%s@%d: ", p->ref.name, p->ref.partition);
	if (p->messages)
		printf("offsets %" PRIu64 "-%" PRIu64 ", ", p->first_offset,
		       (uint64_t)p->last.offset);
	printf("%" PRIu64 " messages, %" PRIu64 " bytes: %s\n", p->messages, p->bytes,
	       is_wrong(p) ? "WRONG" : "ok");
}

static struct json_object *json_range(const struct range *r, bool with_what)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "first", json_object_new_uint64(r->first));
	json_object_object_add(object, "last", json_object_new_uint64(r->last));
	if (with_what)
		json_object_object_add(object, "what", json_object_new_string(r->what));
	return object;
}

static void print_json(const struct partition *p)
{
	struct json_object *object = json_object_new_object(), *array, *one;

	json_object_object_add(object, "topic", json_object_new_string(p->ref.name));
	json_object_object_add(object, "partition", json_object_new_int(p->ref.partition));
	json_object_object_add(object, "messages", json_object_new_uint64(p->messages));
	json_object_object_add(object, "bytes", json_object_new_uint64(p->bytes));
	if (p->messages) {
		json_object_object_add(object, "first-offset",
				       json_object_new_uint64(p->first_offset));
		json_object_object_add(object, "last-offset",
				       json_object_new_uint64(p->last.offset));
	}
	array = json_object_new_array();
	for (size_t i = 0; i < p->missing.count; i++)
		json_object_array_add(array, json_range(&p->missing.v[i], false));
	json_object_object_add(object, "not-retained", array);
	array = json_object_new_array();
	for (size_t i = 0; i < p->errors.count; i++)
		json_object_array_add(array, json_range(&p->errors.v[i], true));
	json_object_object_add(object, "errors", array);
	array = json_object_new_array();
	for (size_t i = 0; i < p->gaps_n; i++) {
		one = json_object_new_object();
		json_object_object_add(one, "producer",
				       json_object_new_uint64(p->gaps[i].producer));
		json_object_object_add(one, "first", json_object_new_uint64(p->gaps[i].first));
		json_object_object_add(one, "last", json_object_new_uint64(p->gaps[i].last));
		json_object_object_add(one, "before-offset",
				       json_object_new_uint64(p->gaps[i].offset));
		json_object_array_add(array, one);
	}
	json_object_object_add(object, "sequence-gaps", array);
	json_object_object_add(object, "ok", json_object_new_boolean(!is_wrong(p)));
	json_print_line(object);
}

static void verify_partition(struct verify *v, const struct topic_ref *ref)
{
	struct partition p = { .ref = *ref };

	read_partition(&p, v->follow);
	if (v->json)
		print_json(&p);
	else
		print_text(&p);
	v->messages += p.messages;
	v->bytes += p.bytes;
	v->findings += p.errors.count + p.gaps_n;
	close(p.fd);
	ranges_free(&p.missing);
	ranges_free(&p.errors);
	free(p.gaps);
	tdestroy(p.producers, free);
}

static void verify_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct verify *v = ctx;
	const char *why;
	uint32_t n = 0;

	(void)on;
	if (!strcmp(opt->name, "json")) {
		v->json = true;
	} else if (!strcmp(opt->name, "follow")) {
		v->follow = true;
	} else {
		why = parse_u32(value, &n);
		if (!why && n > INT32_MAX)
			why = "too large";
		check_value(v->cmd, opt, value, why);
		v->partition = n;
	}
}

static int verify_run(const struct command *cmd, int argc, char **argv)
{
	struct verify v = { .cmd = cmd, .partition = -1 };
	uint32_t first_partition = 0, last;
	struct topic_ref ref;
	struct mq_stat st;
	int first;

	first = parse_operands(cmd, argc, argv, verify_option, &v, 1, 1);
	topic_operand(cmd, argv[first], &ref);
	if (ref.partition >= 0 && v.partition >= 0)
		usage_error(cmd, "--partition and TOPIC@N exclude each other");
	if (v.partition >= 0)
		ref.partition = v.partition;
	if (ref.partition >= 0) {
		first_partition = ref.partition;
		last = first_partition;
	} else {
		look_at(&ref, &st);
		last = st.partitions - 1;
	}
	if (v.follow && last != first_partition)
		usage_error(cmd, "--follow: choose one partition by --partition");
	catch_stop();
	for (uint32_t i = first_partition; i <= last; i++) {
		ref.partition = i;
		verify_partition(&v, &ref);
		if (stopped && !v.follow) {
			say("interrupted: not all was checked");
			return EXIT_FAILED;
		}
	}
	if (!v.json && last != first_partition)
		printf("%s: %u partitions, %" PRIu64 " messages, %" PRIu64 " bytes: %s\n", ref.name,
		       last + 1, v.messages, v.bytes, v.findings ? "WRONG" : "ok");
	return v.findings ? EXIT_FAILED : EXIT_DONE;
}

static const struct opt verify_opts[] = {
	{ "partition", 'p', false, "N", "only this partition, as TOPIC@N", NULL },
	{ "follow", 'f', false, NULL, "go on until SIGINT, then report", NULL },
	{ "json", 'j', false, NULL, "a JSON object a partition", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_verify = {
	.name = "verify", .operands = "TOPIC[@N]",
	.summary = "Read all that is retained and check it",
	.opts = verify_opts,
	.text = "Checked are checksums, offsets, positions, the order of times, attributes, and the\n"
		"sequence numbers of producers, which count by one in each partition. Exit status 1\n"
		"if something is wrong. What is no longer retained is shown, but nothing wrong.\n"
		"Reads to the log's end as it was at the start, and holds no writer back.\n",
	.run = verify_run,
};
