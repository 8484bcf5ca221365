// SPDX-License-Identifier: GPL-2.0
/* mqctl consume: messages of a topic, as payloads, with metadata, as JSON. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mqctl.h"
#include "record.h"

enum format { FORMAT_PLAIN, FORMAT_RAW, FORMAT_METADATA, FORMAT_JSON };

struct consume {
	const struct command *cmd;
	struct topic_ref ref;
	struct mq_stat stat;
	int fd;
	enum format format;
	bool follow;
	const char *from;		/* for the file's name */
	bool since_given;
	int64_t since;
	bool until_end;
	bool until_offset_given;
	uint64_t until_offset;
	bool until_time_given;
	int64_t until_time;
	bool limited;
	uint64_t left;			/* messages still to print, if limited */
	uint64_t lost;			/* said so far */
	bool done;
	bool failed;
};

static const struct {
	unsigned int bit;
	const char *name;
} flag_names[] = {
	{ MQ_ENTRY_CLOCK_BACK, "clock-back" },
	{ MQ_ENTRY_SPLIT, "split" },
	{ MQ_ENTRY_UNFINISHED, "unfinished" },
};

/* Attributes in the order they are shown; numbers have a width. */
static const struct {
	unsigned int type;
	const char *name;
	unsigned int bits;
	bool time;
} shown[] = {
	{ MQ_ATTR_KEY, "key", 0, false },
	{ MQ_ATTR_TAG, "tag", 0, false },
	{ MQ_ATTR_REPLY_TO, "reply-to", 0, false },
	{ MQ_ATTR_CORRELATION_ID, "correlation-id", 0, false },
	{ MQ_ATTR_CONTENT_TYPE, "content-type", 0, false },
	{ MQ_ATTR_SCHEMA_ID, "schema-id", 32, false },
	{ MQ_ATTR_DELIVER_AT, "deliver-at", 64, true },
	{ MQ_ATTR_TTL, "ttl-ns", 64, false },
	{ MQ_ATTR_PRODUCER_ID, "producer-id", 64, false },
	{ MQ_ATTR_PRODUCER_EPOCH, "producer-epoch", 32, false },
	{ MQ_ATTR_SEQUENCE, "sequence", 64, false },
	{ MQ_ATTR_WRITER_UID, "writer-uid", 32, false },
	{ MQ_ATTR_WRITER_CGROUP, "writer-cgroup", 64, false },
};

static uint64_t attr_number(const struct bytes *attr, unsigned int bits)
{
	return bits == 32 ? attr_u32(attr) : attr_u64(attr);
}

static void print_metadata(const struct message *msg, uint32_t partition)
{
	struct bytes attrs[MQ_ATTR_MAX + 1], name, value;
	const struct mq_entry *e = &msg->entry;
	const void *at = NULL;
	char time[TEXT_MAX];

	printf("partition=%u offset=%" PRIu64 " position=%" PRIu64 " time=%s length=%u"
	       " crc=%08x epoch=%u pid=%u uid=%u", partition, (uint64_t)e->offset,
	       (uint64_t)e->position, format_time(e->timestamp, time), e->len, e->crc,
	       e->epoch, e->pid, e->uid);
	for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++) {
		if (e->flags & flag_names[i].bit)
			printf(" %s", flag_names[i].name);
	}
	message_attrs(msg, attrs);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		const struct bytes *attr = &attrs[shown[i].type];

		if (!attr->data)
			continue;
		printf(" %s=", shown[i].name);
		if (shown[i].time)
			printf("%s", format_time(attr_u64(attr), time));
		else if (shown[i].bits)
			printf("%" PRIu64, attr_number(attr, shown[i].bits));
		else
			print_quoted(stdout, attr->data, attr->len);
	}
	while (message_header(msg, &at, &name, &value)) {
		printf(" header ");
		print_quoted(stdout, name.data, name.len);
		putchar('=');
		print_quoted(stdout, value.data, value.len);
	}
	printf(" payload=");
	print_quoted(stdout, msg->payload, e->len);
	putchar('\n');
}

static void json_add_number(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void json_add_time(struct json_object *object, const char *name, int64_t ns)
{
	char time[TEXT_MAX];

	json_object_object_add(object, name, json_object_new_string(format_time(ns, time)));
}

static void json_add_flags(struct json_object *object, uint32_t flags)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++) {
		if (flags & flag_names[i].bit)
			json_object_array_add(array, json_object_new_string(flag_names[i].name));
	}
	json_object_object_add(object, "flags", array);
}

static void json_add_headers(struct json_object *object, const struct message *msg)
{
	struct json_object *array = NULL, *header;
	struct bytes name, value;
	const void *at = NULL;

	while (message_header(msg, &at, &name, &value)) {
		if (!array)
			array = json_object_new_array();
		header = json_object_new_object();
		json_add_bytes(header, "name", name.data, name.len);
		json_add_bytes(header, "value", value.data ? value.data : name.data, value.len);
		json_object_array_add(array, header);
	}
	if (array)
		json_object_object_add(object, "headers", array);
}

static void print_json(const struct consume *c, const struct message *msg, uint32_t partition)
{
	struct json_object *object = json_object_new_object();
	const struct mq_entry *e = &msg->entry;
	struct bytes attrs[MQ_ATTR_MAX + 1];

	json_object_object_add(object, "topic", json_object_new_string(c->ref.name));
	json_add_number(object, "partition", partition);
	json_add_number(object, "offset", e->offset);
	json_add_number(object, "position", e->position);
	json_add_time(object, "time", e->timestamp);
	json_add_number(object, "length", e->len);
	json_add_number(object, "crc", e->crc);
	json_add_number(object, "epoch", e->epoch);
	json_add_number(object, "pid", e->pid);
	json_add_number(object, "uid", e->uid);
	if (e->flags & MQ_ENTRY_KEY)
		json_add_number(object, "key-hash", e->key_hash);
	json_add_flags(object, e->flags);
	message_attrs(msg, attrs);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		const struct bytes *attr = &attrs[shown[i].type];

		if (!attr->data)
			continue;
		if (shown[i].time)
			json_add_time(object, shown[i].name, attr_u64(attr));
		else if (shown[i].bits)
			json_add_number(object, shown[i].name, attr_number(attr, shown[i].bits));
		else
			json_add_bytes(object, shown[i].name, attr->data, attr->len);
	}
	json_add_headers(object, msg);
	json_add_bytes(object, "payload", msg->payload, e->len);
	json_print_line(object);
}

static void print_message(const struct consume *c, const struct message *msg,
			  uint32_t partition)
{
	switch (c->format) {
	case FORMAT_METADATA:
		print_metadata(msg, partition);
		break;
	case FORMAT_JSON:
		print_json(c, msg, partition);
		break;
	case FORMAT_PLAIN:
	case FORMAT_RAW:
		fwrite(msg->payload, 1, msg->entry.len, stdout);
		/* Where lines are messages they bring their newline along. */
		if (c->format == FORMAT_PLAIN && !(c->stat.flags & MQ_STAT_LINE))
			putchar('\n');
		break;
	}
}

/* Whether the message lies beyond what was asked for. */
static bool beyond(struct consume *c, const struct mq_entry *e)
{
	if (c->until_offset_given && e->offset >= c->until_offset) {
		c->done = true;
		return true;
	}
	if (c->until_time_given && e->timestamp >= c->until_time) {
		/* Other partitions may still have older ones. */
		c->done = c->stat.partition != MQ_PARTITION_ANY || c->stat.partitions == 1;
		return true;
	}
	return false;
}

static void take_batch(struct consume *c, const unsigned char *data, size_t len)
{
	struct batch_view view;
	struct message msg;
	const char *why;
	int more = 0;

	why = batch_parse(&view, data, len);
	if (why)
		die("%s", why);
	while (!c->done && (more = batch_next(&view, &msg)) > 0) {
		if (beyond(c, &msg.entry))
			continue;
		print_message(c, &msg, view.head.partition);
		if (c->until_offset_given && msg.entry.offset + 1 >= c->until_offset)
			c->done = true;
		if (c->limited && !--c->left)
			c->done = true;
		if (ferror(stdout))
			c->done = true;
	}
	if (more < 0)
		die("a batch whose lengths do not add up");
}

static void overrun(struct consume *c)
{
	stat_topic(c->fd, &c->stat);
	say("overrun: %" PRIu64 " messages were overwritten before they were read, going on with"
	    " offset %" PRIu64, (uint64_t)c->stat.lost_messages - c->lost,
	    (uint64_t)c->stat.offset);
	c->lost = c->stat.lost_messages;
}

/* At the end of the log: until there is more, or no more is wanted. */
static void wait_for_more(struct consume *c)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	int64_t timeout = -1;
	int ret;

	if (c->until_time_given) {
		timeout = c->until_time - now_ns();
		if (timeout <= 0) {
			c->done = true;
			return;
		}
	}
	fflush(stdout);
	ret = wait_for(&pfd, 1, timeout);
	if (ret < 0 && errno != EINTR)
		die("poll: %s", strerror(errno));
}

static void read_all(struct consume *c)
{
	struct read_buffer buf = { 0 };
	ssize_t n;

	while (!c->done && !stopped && !ferror(stdout)) {
		n = read_batch(c->fd, &buf);
		if (n > 0) {
			take_batch(c, buf.data, n);
			continue;
		}
		if (!n) {
			c->done = true;
			break;
		}
		switch (errno) {
		case EAGAIN:
			wait_for_more(c);
			break;
		case EINTR:
			break;
		case ENOBUFS:
			overrun(c);
			break;
		case ENODEV:
			say("the topic was deleted, all that was retained has been read");
			c->failed = true;
			c->done = true;
			break;
		default:
			die("read: %s", strerror(errno));
		}
	}
	free(buf.data);
}

static void set_format(struct consume *c, const char *value)
{
	static const char *const names[] = { "plain", "raw", "metadata", "json" };

	for (int i = 0; i < 4; i++) {
		if (!strcmp(value, names[i])) {
			c->format = i;
			return;
		}
	}
	usage_error(c->cmd, "--format %s: must be plain, raw, metadata or json", value);
}

static const char *set_until(struct consume *c, const char *value)
{
	const char *why;

	if (!strcmp(value, "end")) {
		c->until_end = true;
		return NULL;
	}
	if (!parse_u64(value, &c->until_offset)) {
		c->until_offset_given = true;
		return NULL;
	}
	why = parse_time(value, now_ns(), false, &c->until_time);
	c->until_time_given = !why;
	return why ? "must be end, an offset, a duration ago or a UTC time" : NULL;
}

static void consume_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct consume *c = ctx;
	const char *why = NULL;
	uint64_t v;

	(void)on;
	if (!strcmp(opt->name, "from")) {
		if (strcmp(value, "oldest") && strcmp(value, "newest") && parse_u64(value, &v))
			why = "must be oldest, newest or an offset";
		c->from = value;
	} else if (!strcmp(opt->name, "since")) {
		why = parse_time(value, now_ns(), false, &c->since);
		c->since_given = true;
	} else if (!strcmp(opt->name, "until")) {
		why = set_until(c, value);
	} else if (!strcmp(opt->name, "count")) {
		why = parse_u64(value, &c->left);
		c->limited = true;
	} else if (!strcmp(opt->name, "partition")) {
		uint32_t n = 0;

		why = parse_u32(value, &n);
		if (!why && n > INT32_MAX)
			why = "too large";
		c->ref.partition = n;
	} else if (!strcmp(opt->name, "follow")) {
		c->follow = true;
	} else if (!strcmp(opt->name, "format")) {
		set_format(c, value);
	} else if (!strcmp(opt->name, "metadata")) {
		c->format = FORMAT_METADATA;
	} else if (!strcmp(opt->name, "json")) {
		c->format = FORMAT_JSON;
	}
	check_value(c->cmd, opt, value, why);
}

/* What is asked for must be something that several partitions have, too. */
static void check_offsets(struct consume *c)
{
	bool offset = c->until_offset_given || (c->from && c->from[0] >= '0' && c->from[0] <= '9');
	struct mq_stat st;
	int fd;

	if (!offset || c->ref.partition >= 0)
		return;
	fd = open_topic(&c->ref, "+overrun=skip", O_RDONLY | O_NONBLOCK);
	stat_topic(fd, &st);
	close(fd);
	if (st.partitions > 1)
		usage_error(c->cmd, "offsets count in one partition, and the topic has %u:"
			    " choose one by --partition", st.partitions);
}

static void open_file(struct consume *c)
{
	char options[64];

	check_offsets(c);
	snprintf(options, sizeof(options), "%s%s%s", c->from ? "+from=" : "",
		 c->from ? c->from : "", c->until_end ? "+until=end" : "");
	c->fd = open_topic(&c->ref, options, O_RDONLY | O_NONBLOCK);
	if (c->since_given)
		seek_time(c->fd, c->since);
	stat_topic(c->fd, &c->stat);
	if (c->until_offset_given && c->stat.offset >= c->until_offset)
		c->done = true;
}

static int consume_run(const struct command *cmd, int argc, char **argv)
{
	struct consume c = { .cmd = cmd, .ref.partition = -1 };
	struct topic_ref ref;
	int first;

	first = parse_operands(cmd, argc, argv, consume_option, &c, 1, 1);
	topic_operand(cmd, argv[first], &ref);
	if (ref.partition >= 0 && c.ref.partition >= 0)
		usage_error(cmd, "--partition and TOPIC@N exclude each other");
	if (ref.partition < 0)
		ref.partition = c.ref.partition;
	c.ref = ref;
	if (c.from && c.since_given)
		usage_error(cmd, "--from and --since exclude each other");
	if (c.until_end + c.until_offset_given + c.until_time_given + c.follow > 1)
		usage_error(cmd, "--follow and --until exclude each other");
	if (!c.follow && !c.until_offset_given && !c.until_time_given)
		c.until_end = true;
	if (c.limited && !c.left)
		return EXIT_DONE;

	catch_stop();
	open_file(&c);
	read_all(&c);
	close(c.fd);
	if (stopped && !c.done && (c.limited || !c.follow)) {
		say("interrupted: not all was read");
		c.failed = true;
	}
	return c.failed ? EXIT_FAILED : EXIT_DONE;
}

static const struct opt consume_opts[] = {
	{ "from", 0, false, "oldest|newest|OFFSET", "oldest (default), newest, or an offset", NULL },
	{ "since", 0, false, "WHEN", "start with the first message not older than WHEN", NULL },
	{ "until", 0, false, "WHERE",
	  "end at the log's end as it is now (end, the default), or before an "
	  "offset or a time, waiting for it", NULL },
	{ "follow", 'f', false, NULL, "go on for ever", NULL },
	{ "count", 'c', false, "N", "end after N messages", NULL },
	{ "partition", 'p', false, "N", "only this partition, as TOPIC@N", NULL },
	{ "format", 0, false, "plain|raw|metadata|json",
	  "plain: payloads, each ended by a newline where it has none of its own "
	  "by framing=line (default); raw: only payloads; metadata; json", NULL },
	{ "metadata", 'm', false, NULL, "a line of name=value a message, the same as --format metadata",
	  NULL },
	{ "json", 'j', false, NULL, "a JSON object a line, the same as --format json", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_consume = {
	.name = "consume", .operands = "TOPIC[@N]",
	.summary = "Read a topic, from the oldest message to the end",
	.opts = consume_opts,
	.text = "WHEN is a duration ago (a number with ms, s, m or h) or a UTC time\n"
		"(YYYYMMDDThhmmssZ or YYYY-MM-DDThh:mm:ss[.fraction]Z). What was overwritten before\n"
		"it was read is reported, with its number, and reading goes on. SIGINT and SIGTERM\n"
		"end it in order: a failure, unless it was to go on for ever.\n",
	.run = consume_run,
};
