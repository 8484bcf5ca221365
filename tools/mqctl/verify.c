// SPDX-License-Identifier: GPL-2.0
/* mqctl verify: reads partitions as records, has them checked, and tells. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mq/netlink.h>

#include "check.h"
#include "mqctl.h"
#include "nl.h"

struct partition {
	struct topic_ref ref;
	int fd;
	struct check check;
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

static uint64_t lost_messages(void *ctx)
{
	const struct partition *p = ctx;
	struct mq_stat st;

	stat_topic(p->fd, &st);
	return st.lost_messages;
}

static void read_partition(struct partition *p, bool follow)
{
	struct read_buffer buf = { 0 };
	struct mq_stat before;
	struct pollfd pfd;
	uint64_t start, next;
	const char *why;
	ssize_t n;

	/* All that is there now must come. */
	look_at(&p->ref, &before);
	/* Skipping holds no writer back (hold=readers); losses are counted all the same. */
	p->fd = open_topic(&p->ref, follow ? "+overrun=skip" : "+overrun=skip+until=end",
			   O_RDONLY | O_NONBLOCK);
	stat_topic(p->fd, &p->check.start);
	p->check.lost = p->check.start.lost_messages;
	p->check.lost_messages = lost_messages;
	p->check.ctx = p;
	start = ask_start_offset(&p->ref);
	if (p->check.start.offset > start)
		ranges_add(&p->check.missing, start, p->check.start.offset - 1, NULL);
	pfd = (struct pollfd) { .fd = p->fd, .events = POLLIN };
	while (!stopped) {
		n = read_batch(p->fd, &buf);
		if (n > 0) {
			why = check_batch(&p->check, buf.data, n);
			if (why)
				die("%s@%d: %s", p->ref.name, p->ref.partition, why);
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
	next = p->check.any ? p->check.last.offset + 1 : p->check.start.offset;
	if (!stopped && next < before.head_offset)
		check_hole(&p->check, next, before.head_offset - 1);
	free(buf.data);
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
	for (size_t i = 0; i < p->check.missing.count; i++)
		print_range(&p->check.missing.v[i], p, "no longer retained");
	for (size_t i = 0; i < p->check.errors.count; i++)
		print_range(&p->check.errors.v[i], p, p->check.errors.v[i].what);
	for (size_t i = 0; i < p->check.gaps_n; i++) {
		const struct gap *gap = &p->check.gaps[i];

		printf("%s@%d: producer %" PRIu64 ": sequence %" PRIu64, p->ref.name,
		       p->ref.partition, gap->producer, gap->first);
		if (gap->last != gap->first)
			printf("-%" PRIu64, gap->last);
		printf(" missing before offset %" PRIu64 "\n", gap->offset);
	}
	printf("%s@%d: ", p->ref.name, p->ref.partition);
	if (p->check.messages)
		printf("offsets %" PRIu64 "-%" PRIu64 ", ", p->check.first_offset,
		       (uint64_t)p->check.last.offset);
	printf("%" PRIu64 " messages, %" PRIu64 " bytes: %s\n", p->check.messages, p->check.bytes,
	       check_is_wrong(&p->check) ? "WRONG" : "ok");
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
	json_object_object_add(object, "messages", json_object_new_uint64(p->check.messages));
	json_object_object_add(object, "bytes", json_object_new_uint64(p->check.bytes));
	if (p->check.messages) {
		json_object_object_add(object, "first-offset",
				       json_object_new_uint64(p->check.first_offset));
		json_object_object_add(object, "last-offset",
				       json_object_new_uint64(p->check.last.offset));
	}
	array = json_object_new_array();
	for (size_t i = 0; i < p->check.missing.count; i++)
		json_object_array_add(array, json_range(&p->check.missing.v[i], false));
	json_object_object_add(object, "not-retained", array);
	array = json_object_new_array();
	for (size_t i = 0; i < p->check.errors.count; i++)
		json_object_array_add(array, json_range(&p->check.errors.v[i], true));
	json_object_object_add(object, "errors", array);
	array = json_object_new_array();
	for (size_t i = 0; i < p->check.gaps_n; i++) {
		one = json_object_new_object();
		json_object_object_add(one, "producer",
				       json_object_new_uint64(p->check.gaps[i].producer));
		json_object_object_add(one, "first", json_object_new_uint64(p->check.gaps[i].first));
		json_object_object_add(one, "last", json_object_new_uint64(p->check.gaps[i].last));
		json_object_object_add(one, "before-offset",
				       json_object_new_uint64(p->check.gaps[i].offset));
		json_object_array_add(array, one);
	}
	json_object_object_add(object, "sequence-gaps", array);
	json_object_object_add(object, "ok", json_object_new_boolean(!check_is_wrong(&p->check)));
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
	v->messages += p.check.messages;
	v->bytes += p.check.bytes;
	v->findings += p.check.errors.count + p.check.gaps_n;
	close(p.fd);
	check_free(&p.check);
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
