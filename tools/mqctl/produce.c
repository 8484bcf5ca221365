// SPDX-License-Identifier: GPL-2.0
/* mqctl produce: standard input, or one message, into a topic in batches. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mqctl.h"
#include "record.h"

#define KEY_MAX		4096

struct produce {
	const struct command *cmd;
	struct mq_stat stat;
	int fd;
	int flags;			/* of open(2) */
	uint32_t partition;
	uint64_t batch_max;
	uint64_t batch_bytes;		/* a batch must fit in a quarter of a ring */
	uint64_t batch_attr_bytes;
	bool whole;
	bool tombstone;
	bool verbose;
	const char *key_separator;
	bool has_key;
	bool has_producer;
	bool has_sequence;
	uint32_t types;			/* bit a type: attributes given */
	uint64_t sequence;
	struct buffer fixed;		/* attributes that all messages have */
	struct buffer attrs;		/* one message's */
	struct batch batch;
	uint64_t seen;			/* messages read from the input */
	uint64_t appended;
	bool failed;
};

static void once(struct produce *p, const struct opt *opt, unsigned int type)
{
	if (p->types & 1U << type)
		usage_error(p->cmd, "--%s: given twice", opt->name);
	p->types |= 1U << type;
}

static void add_text(struct produce *p, const struct opt *opt, unsigned int type,
		     const char *value, size_t max)
{
	size_t len = strlen(value);

	once(p, opt, type);
	if (!len || len > max)
		usage_error(p->cmd, "--%s: 1 to %zu bytes, not %zu", opt->name, max, len);
	if (!attr_add(&p->fixed, type, value, len))
		die("out of memory");
}

static void add_header(struct produce *p, const char *value)
{
	const char *is = strchr(value, '=');
	size_t name_len = is ? (size_t)(is - value) : 0;

	if (!name_len || name_len > 255)
		usage_error(p->cmd, "--header %s: NAME=VALUE, the name 1 to 255 bytes", value);
	if (strlen(is + 1) > 65000)
		usage_error(p->cmd, "--header: the value has more than 65000 bytes");
	if (!attr_add_header(&p->fixed, value, name_len, is + 1, strlen(is + 1)))
		die("out of memory");
}

static void add_u32(struct produce *p, const struct opt *opt, unsigned int type,
		    uint32_t value)
{
	once(p, opt, type);
	if (!attr_add(&p->fixed, type, &value, sizeof(value)))
		die("out of memory");
}

static void add_u64(struct produce *p, const struct opt *opt, unsigned int type,
		    uint64_t value)
{
	once(p, opt, type);
	if (!attr_add(&p->fixed, type, &value, sizeof(value)))
		die("out of memory");
}

/* Attributes of messages; false if the option is another. */
static bool message_option(struct produce *p, const struct opt *opt, const char *value)
{
	const char *why = NULL;
	uint32_t v32 = 0;
	uint64_t v = 0;
	int64_t at = 0;

	if (!strcmp(opt->name, "key")) {
		add_text(p, opt, MQ_ATTR_KEY, value, KEY_MAX);
		p->has_key = true;
	} else if (!strcmp(opt->name, "header")) {
		add_header(p, value);
	} else if (!strcmp(opt->name, "tag")) {
		add_text(p, opt, MQ_ATTR_TAG, value, 255);
	} else if (!strcmp(opt->name, "reply-to")) {
		add_text(p, opt, MQ_ATTR_REPLY_TO, value, 255);
	} else if (!strcmp(opt->name, "correlation-id")) {
		add_text(p, opt, MQ_ATTR_CORRELATION_ID, value, 255);
	} else if (!strcmp(opt->name, "content-type")) {
		add_text(p, opt, MQ_ATTR_CONTENT_TYPE, value, 255);
	} else if (!strcmp(opt->name, "schema-id")) {
		why = parse_u32(value, &v32);
		add_u32(p, opt, MQ_ATTR_SCHEMA_ID, v32);
	} else if (!strcmp(opt->name, "deliver-at")) {
		why = parse_time(value, now_ns(), true, &at);
		add_u64(p, opt, MQ_ATTR_DELIVER_AT, at);
	} else if (!strcmp(opt->name, "ttl")) {
		why = parse_duration(value, &v);
		if (!why && !v)
			why = "must be longer than 0";
		add_u64(p, opt, MQ_ATTR_TTL, v);
	} else if (!strcmp(opt->name, "producer-id")) {
		why = parse_u64(value, &v);
		add_u64(p, opt, MQ_ATTR_PRODUCER_ID, v);
		p->has_producer = true;
	} else if (!strcmp(opt->name, "producer-epoch")) {
		why = parse_u32(value, &v32);
		add_u32(p, opt, MQ_ATTR_PRODUCER_EPOCH, v32);
	} else if (!strcmp(opt->name, "sequence")) {
		why = parse_u64(value, &p->sequence);
		p->has_sequence = true;
	} else {
		return false;
	}
	check_value(p->cmd, opt, value, why);
	return true;
}

static void produce_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct produce *p = ctx;
	const char *why = NULL;

	(void)on;
	if (message_option(p, opt, value))
		return;
	if (!strcmp(opt->name, "whole")) {
		p->whole = true;
	} else if (!strcmp(opt->name, "tombstone")) {
		p->tombstone = true;
	} else if (!strcmp(opt->name, "verbose")) {
		p->verbose = true;
	} else if (!strcmp(opt->name, "nonblock")) {
		p->flags |= O_NONBLOCK;
	} else if (!strcmp(opt->name, "sync")) {
		p->flags |= O_DSYNC;
	} else if (!strcmp(opt->name, "partition")) {
		why = parse_u32(value, &p->partition);
		if (!why && p->partition > INT32_MAX)
			why = "too large";
	} else if (!strcmp(opt->name, "key-separator")) {
		if (!*value)
			why = "must not be empty";
		p->key_separator = value;
	} else if (!strcmp(opt->name, "batch")) {
		why = parse_u64(value, &p->batch_max);
		if (!why && !p->batch_max)
			why = "must be at least 1";
	}
	check_value(p->cmd, opt, value, why);
}

/* Says why messages from number appended + 1 on are not in the log. */
static void not_appended(struct produce *p, const char *why)
{
	p->failed = true;
	if (p->batch.count > 1)
		say("messages %" PRIu64 " to %" PRIu64 " of the input: %s", p->appended + 1,
		    p->appended + p->batch.count, why);
	else if (p->seen > 1)
		say("message %" PRIu64 " of the input: %s", p->appended + 1, why);
	else
		say("%s", why);
	if (p->seen > 1)
		say("appended: %" PRIu64 " message%s; the rest was not", p->appended,
		    p->appended == 1 ? "" : "s");
}

static const char *refusal(const struct produce *p, int err)
{
	switch (err) {
	case EAGAIN:
		return p->stat.flags & MQ_STAT_PAUSED ?
			"the topic is paused: 'mqctl topic set NAME --no-paused' ends that" :
			"no room: the ring is full of held messages, or the topic is paused"
			" (without --nonblock it waits)";
	case ENOBUFS:
		return "no room: the ring is full of held messages (overflow=reject)";
	case ENODEV:
		return "the topic was deleted";
	case EINTR:
		return "interrupted";
	case ENOMEM:
		return "no memory: the module's limit is its parameter max_memory"
		       " ('mqctl version' shows it)";
	case ESTALE:
		return "another topic now has this name";
	default:
		return strerror(err);
	}
}

static bool flush(struct produce *p)
{
	struct iovec iov[BATCH_IOV];
	ssize_t n;
	size_t len;

	if (!p->batch.count)
		return true;
	if (stopped) {
		not_appended(p, refusal(p, EINTR));
		return false;
	}
	len = batch_iov(&p->batch, p->partition, iov);
	n = writev(p->fd, iov, BATCH_IOV);
	if (n < 0 && errno == ETIMEDOUT) {
		/* They are in the log. */
		p->appended += p->batch.count;
		p->failed = true;
		say("appended: %" PRIu64 " message%s, the last %u of them not durable within the"
		    " topic's sync-timeout: 'sync %s/TOPIC' asks again", p->appended,
		    p->appended == 1 ? "" : "s", p->batch.count, mq_dir());
		return false;
	}
	if (n < 0) {
		int err = errno;

		if (err == EAGAIN)
			stat_topic(p->fd, &p->stat);
		not_appended(p, refusal(p, err));
		return false;
	}
	if ((size_t)n != len) {
		not_appended(p, "the module took a part of a batch, which it must not");
		return false;
	}
	p->appended += p->batch.count;
	batch_reset(&p->batch);
	return true;
}

/* One message's attributes into p->attrs. */
static void message_attributes(struct produce *p, const char *key, size_t key_len)
{
	p->attrs.len = 0;
	if (key_len && !attr_add(&p->attrs, MQ_ATTR_KEY, key, key_len))
		die("out of memory");
	if (!buffer_add(&p->attrs, p->fixed.data, p->fixed.len))
		die("out of memory");
	if (p->has_producer && !attr_add(&p->attrs, MQ_ATTR_SEQUENCE, &p->sequence,
					 sizeof(p->sequence)))
		die("out of memory");
}

/* A message without its newline; false: it, or those before it, was refused. */
static bool add(struct produce *p, const char *data, size_t len)
{
	bool line = p->stat.flags & MQ_STAT_LINE;
	const char *key = NULL, *sep;
	size_t key_len = 0, bytes;
	char why[160];

	p->seen++;
	if (p->key_separator) {
		sep = memmem(data, len, p->key_separator, strlen(p->key_separator));
		if (sep) {
			key = data;
			key_len = sep - data;
			data = sep + strlen(p->key_separator);
			len -= data - key;
		}
	}
	why[0] = '\0';
	if (key_len > KEY_MAX)
		snprintf(why, sizeof(why), "its key has %zu bytes, %d are possible", key_len,
			 KEY_MAX);
	else if (len + line > p->stat.max_message_bytes)
		snprintf(why, sizeof(why),
			 "it is longer than the %u bytes that the topic takes (max-message-bytes)",
			 p->stat.max_message_bytes);
	else if (line && memchr(data, '\n', len))
		snprintf(why, sizeof(why), "it has several lines, and a message of this topic"
			 " is one line (framing=line)");
	if (why[0]) {
		if (flush(p))
			not_appended(p, why);
		return false;
	}
	message_attributes(p, key, key_len);
	bytes = p->batch.payload.len + len + line;
	if (p->batch.count && (p->batch.count >= p->batch_max || bytes > p->batch_bytes ||
			       p->batch.attrs.len + p->attrs.len > p->batch_attr_bytes)) {
		p->seen--;
		if (!flush(p))
			return false;
		p->seen++;
	}
	if (p->has_producer)
		p->sequence++;
	if (!batch_add(&p->batch, data, len, p->attrs.data, p->attrs.len))
		die("out of memory");
	/* The newline belongs to the message where lines are messages. */
	if (line) {
		if (!buffer_add(&p->batch.payload, "\n", 1))
			die("out of memory");
		((struct mq_record *)p->batch.records.data)[p->batch.count - 1].len++;
	}
	return true;
}

/* Every complete line of the input; the rest moves to the front. */
static bool take_lines(struct produce *p, struct buffer *input, size_t *searched)
{
	char *at = (char *)input->data, *end = at + input->len, *newline;

	while ((newline = memchr(at + *searched, '\n', end - at - *searched))) {
		*searched = 0;
		if (!add(p, at, newline - at))
			return false;
		at = newline + 1;
	}
	input->len = end - at;
	*searched = input->len;
	memmove(input->data, at, input->len);
	return true;
}

/* At the end of the input: a line without newline, or all of it. */
static bool add_rest(struct produce *p, const struct buffer *input)
{
	size_t len = input->len;

	if (len && (p->stat.flags & MQ_STAT_LINE) && input->data[len - 1] == '\n')
		len--;
	return add(p, len ? (const char *)input->data : "", len);
}

static bool input_ready(void)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

static void from_input(struct produce *p)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t key_room = p->key_separator ? KEY_MAX + strlen(p->key_separator) : 1;
	struct buffer input = { 0 };
	size_t searched = 0;
	static char chunk[65536];
	ssize_t n;

	for (;;) {
		/* What is there is not kept waiting for what is not. */
		if (!p->whole && !input_ready() && !flush(p))
			break;
		n = wait_for(&pfd, 1, -1);
		if (n >= 0)
			n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR) {
			if (!stopped)
				continue;
			say("interrupted; appended: %" PRIu64 " message%s%s", p->appended,
			    p->appended == 1 ? "" : "s",
			    p->batch.count || input.len ? "; the rest was not" : "");
			p->failed = true;
			break;
		}
		if (n < 0) {
			if (flush(p))
				not_appended(p, strerror(errno));
			break;
		}
		if (!n) {
			if ((p->whole || input.len) && !add_rest(p, &input))
				break;
			flush(p);
			break;
		}
		if (!buffer_add(&input, chunk, n))
			die("out of memory");
		if (!p->whole && !take_lines(p, &input, &searched))
			break;
		/* Too long already, whatever follows: do not collect it for ever. */
		if (input.len > p->stat.max_message_bytes + key_room) {
			add_rest(p, &input);
			break;
		}
	}
	buffer_free(&input);
}

static void check_options(struct produce *p, bool message)
{
	if (p->whole + message + p->tombstone > 1)
		usage_error(p->cmd, "MESSAGE, --whole and --tombstone exclude each other");
	if (p->key_separator && p->has_key)
		usage_error(p->cmd, "--key and --key-separator exclude each other");
	if (p->has_sequence && !p->has_producer)
		usage_error(p->cmd, "--sequence needs --producer-id");
}

static int produce_run(const struct command *cmd, int argc, char **argv)
{
	struct produce p = {
		.cmd = cmd,
		.flags = O_WRONLY,
		.partition = MQ_PARTITION_ANY,
		.batch_max = 512,
	};
	struct topic_ref ref;
	bool message;
	int first;

	first = parse_operands(cmd, argc, argv, produce_option, &p, 1, 2);
	message = argc - first == 2;
	check_options(&p, message);
	topic_operand(cmd, argv[first], &ref);
	if (ref.partition >= 0 && p.partition != MQ_PARTITION_ANY)
		usage_error(cmd, "--partition and TOPIC@N exclude each other");
	if (p.partition != MQ_PARTITION_ANY)
		ref.partition = p.partition;

	p.fd = open_topic(&ref, "", p.flags);
	stat_topic(p.fd, &p.stat);
	p.partition = p.stat.partition;
	if (p.has_producer && p.partition == MQ_PARTITION_ANY && p.stat.partitions > 1)
		usage_error(cmd, "--producer-id: sequence numbers count in one partition:"
			    " choose it by --partition");
	if ((p.flags & O_DSYNC) && !(p.stat.flags & MQ_STAT_PERSISTENT))
		usage_error(cmd, "--sync: the topic is not persistent, nothing in it is ever durable");
	p.batch_bytes = p.stat.ring_bytes / 4;
	p.batch_attr_bytes = p.stat.attr_bytes / 4;
	if (p.batch_max > p.stat.ring_messages / 4)
		p.batch_max = p.stat.ring_messages / 4;
	catch_stop();
	if (message || p.tombstone) {
		struct buffer one = { 0 };

		if (message) {
			one.data = (unsigned char *)argv[first + 1];
			one.len = strlen(argv[first + 1]);
		}
		if (add_rest(&p, &one))
			flush(&p);
	} else {
		from_input(&p);
	}
	if (close(p.fd) && !p.failed) {
		say("close: %s", strerror(errno));
		p.failed = true;
	}
	if (p.verbose && !p.failed)
		printf("appended: %" PRIu64 " message%s\n", p.appended,
		       p.appended == 1 ? "" : "s");
	buffer_free(&p.fixed);
	buffer_free(&p.attrs);
	batch_free(&p.batch);
	return p.failed ? EXIT_FAILED : EXIT_DONE;
}

static const struct opt produce_opts[] = {
	{ "whole", 'w', false, NULL, "standard input as a whole is one message", NULL },
	{ "tombstone", 0, false, NULL, "one message with an empty payload", NULL },
	{ "key", 'k', false, "KEY", "key of each message; it chooses the partition", NULL },
	{ "key-separator", 'K', false, "TEXT",
	  "what stands before TEXT in a line is its key", NULL },
	{ "header", 'H', false, "NAME=VALUE", "a header of each message; may be repeated", NULL },
	{ "tag", 't', false, "TAG", "tag of each message", NULL },
	{ "reply-to", 0, false, "TOPIC", "where an answer is expected", NULL },
	{ "correlation-id", 0, false, "TEXT", "what an answer will refer to", NULL },
	{ "content-type", 0, false, "TEXT", "type of the payload", NULL },
	{ "schema-id", 0, false, "N", "number of the payload's schema", NULL },
	{ "deliver-at", 0, false, "WHEN", "not before: a duration from now, or a UTC time", NULL },
	{ "ttl", 0, false, "DURATION", "how long the message is of use", NULL },
	{ "producer-id", 0, false, "N",
	  "number of this producer; its messages are numbered, by partition", NULL },
	{ "producer-epoch", 0, false, "N", "epoch of this producer", NULL },
	{ "sequence", 0, false, "N", "number of the first message (default 0)", NULL },
	{ "partition", 'p', false, "N", "partition, as TOPIC@N (default: by key, or any)", NULL },
	{ "batch", 'b', false, "N", "at most N messages a write (default 512)", NULL },
	{ "nonblock", 0, false, NULL, "do not wait for room", NULL },
	{ "sync", 's', false, NULL, "return when the messages are durable", NULL },
	{ "verbose", 'v', false, NULL, "say how many messages were appended", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_produce = {
	.name = "produce", .operands = "TOPIC[@N] [MESSAGE]",
	.summary = "Append MESSAGE, or each line of standard input",
	.opts = produce_opts,
	.text = "DURATION is a number with ms, s, m or h. UTC times are YYYYMMDDThhmmssZ or\n"
		"YYYY-MM-DDThh:mm:ss[.fraction]Z. A line's newline is part of the message only on\n"
		"a topic with framing=line. If something is refused, it is said how many messages\n"
		"were appended; those after them were not.\n",
	.run = produce_run,
};
