// SPDX-License-Identifier: GPL-2.0
/* mqctl readers, mqctl why: who is slow, who holds, who waits. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <mq/netlink.h>

#include "mqctl.h"
#include "nl.h"

#define SHOWN	10	/* processes that are shown of many */

static uint64_t u64_of(const struct nlattr *nla)
{
	return nla ? nla_get_u64(nla) : 0;
}

static uint32_t u32_of(const struct nlattr *nla)
{
	return nla ? nla_get_u32(nla) : 0;
}

/* --- readers ---------------------------------------------------------------- */

static void readers_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct table_opts *opts = ctx;

	(void)on;
	if (!table_option(opts, opt))
		opts->columns = value;
}

/* By topic; the slowest first. */
static int by_lag(const void *a, const void *b)
{
	struct nlattr *left[ATTR_TYPE_MAX], *right[ATTR_TYPE_MAX];
	uint64_t l, r;
	int order;

	answer_parse(&reader_attrs, *(struct nlmsghdr *const *)a, left, NULL);
	answer_parse(&reader_attrs, *(struct nlmsghdr *const *)b, right, NULL);
	order = strcmp(nla_get_string(left[MQ_A_READER_TOPIC]),
		       nla_get_string(right[MQ_A_READER_TOPIC]));
	l = u64_of(left[MQ_A_READER_LAG_MESSAGES]);
	r = u64_of(right[MQ_A_READER_LAG_MESSAGES]);
	return order ? order : l < r ? 1 : l > r ? -1 : 0;
}

static int readers_run(const struct command *cmd, int argc, char **argv)
{
	struct nlattr *tb[ATTR_TYPE_MAX];
	struct answers answers = { 0 };
	struct table_opts opts = { 0 };
	const char *topic = NULL;
	struct table *table;
	int first;

	first = parse_operands(cmd, argc, argv, readers_option, &opts, 0, 1);
	if (first < argc)
		topic = argv[first];
	if (topic)
		set_context("readers %s", topic);
	if (!answers_ask(&answers, &reader_attrs, MQ_CMD_READER_GET, NLM_F_DUMP, topic))
		return EXIT_FAILED;
	table = table_new(cmd, &opts, "readers", &reader_attrs, ATTR_LIST);
	if (answers.count)
		qsort(answers.msgs, answers.count, sizeof(*answers.msgs), by_lag);
	for (size_t i = 0; i < answers.count; i++) {
		answer_parse(&reader_attrs, answers.msgs[i], tb, NULL);
		table_add(table, tb, NULL);
	}
	table_print(table);
	answers_free(&answers);
	return EXIT_DONE;
}

/* --- why -------------------------------------------------------------------- */

struct why {
	const char *topic;
	bool json;
	struct json_object *root;
	struct json_object *partitions;
	struct json_object *waiting;
	struct json_object *advice;
	struct answers state, parts, readers, waiters;
	struct nlattr *tb[ATTR_TYPE_MAX];	/* the topic's */
	uint32_t overflow;
	uint64_t room;				/* the least that a partition has, bytes */
	uint32_t tightest;			/* which */
	bool full;				/* a message may find no room there */
	bool store, reader;			/* what makes it so */
	uint32_t kill;				/* a reader that surely does */
	unsigned int held;			/* partitions of which something is held */
	uint64_t durable;			/* writers that wait for that */
};

static void why_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct why *w = ctx;

	(void)opt;
	(void)value;
	(void)on;
	w->json = true;
}

static void add_u64(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void add_text(struct json_object *object, const char *name, const char *value)
{
	json_object_object_add(object, name, json_object_new_string(value));
}

/* 'pid 123 "cat"' */
static void print_process(const struct nlattr *pid, const struct nlattr *command)
{
	if (!u32_of(pid)) {
		printf("a process that has ended or cannot be seen from here");
		return;
	}
	printf("pid %" PRIu32 " ", u32_of(pid));
	if (command)
		print_quoted(stdout, nla_data(command), strlen(nla_get_string(command)));
}

static void add_process(struct json_object *object, const struct nlattr *pid,
			const struct nlattr *command)
{
	add_u64(object, "pid", u32_of(pid));
	if (command)
		json_add_bytes(object, "command", nla_data(command),
			       strlen(nla_get_string(command)));
}

static bool is_held(struct nlattr **tb)
{
	return u64_of(tb[MQ_A_PARTITION_HEAD_OFFSET]) != u64_of(tb[MQ_A_PARTITION_HELD_OFFSET]);
}

/* Bytes that a partition can still take; 0 if it cannot take another message. */
static uint64_t room_of(const struct why *w, struct nlattr **tb)
{
	uint64_t held = u64_of(tb[MQ_A_PARTITION_HEAD_OFFSET]) -
			u64_of(tb[MQ_A_PARTITION_HELD_OFFSET]);

	if (held >= u64_of(w->tb[MQ_A_TOPIC_RING_MESSAGES]))
		return 0;
	return u64_of(w->tb[MQ_A_TOPIC_RING_BYTES]) -
	       (u64_of(tb[MQ_A_PARTITION_HEAD_POSITION]) -
		u64_of(tb[MQ_A_PARTITION_HELD_POSITION]));
}

/* Where the next message is the most likely to find no room. */
static void find_tightest(struct why *w)
{
	uint64_t *rooms = calloc(w->parts.count, sizeof(*rooms));
	struct nlattr *tb[ATTR_TYPE_MAX];
	uint64_t room;
	uint32_t n;

	if (!rooms && w->parts.count)
		die("out of memory");
	w->room = UINT64_MAX;
	for (size_t i = 0; i < w->parts.count; i++) {
		answer_parse(&partition_attrs, w->parts.msgs[i], tb, NULL);
		n = u32_of(tb[MQ_A_PARTITION_INDEX]);
		w->held += is_held(tb);
		room = room_of(w, tb);
		if (n < w->parts.count)
			rooms[n] = room;
		if (room < w->room) {
			w->room = room;
			w->tightest = n;
		}
	}
	for (size_t i = 0; i < w->waiters.count && w->room; i++) {
		answer_parse(&waiter_attrs, w->waiters.msgs[i], tb, NULL);
		n = u32_of(tb[MQ_A_WAITER_PARTITION]);
		if (u32_of(tb[MQ_A_WAITER_REASON]) != MQ_WAIT_REASON_FULL)
			continue;
		/* It would fit: then it is attributes that there is no room for. */
		if (n >= w->parts.count || u64_of(tb[MQ_A_WAITER_BYTES]) <= rooms[n]) {
			w->room = 0;
			w->tightest = n;
		}
	}
	free(rooms);
	w->full = w->room < u32_of(w->tb[MQ_A_TOPIC_MAX_MESSAGE_BYTES]);
}

/*
 * Whether a reader limits a partition: 1 yes, 0 no, -1 it is not known. Of one that reads
 * several the kernel says only that it limits one of them.
 */
static int limits(const struct why *w, struct nlattr **tb, uint32_t partition)
{
	if (!(u32_of(tb[MQ_A_READER_FLAGS]) & MQ_READER_FLAG_LIMITS))
		return 0;
	if (tb[MQ_A_READER_PARTITION])
		return nla_get_u32(tb[MQ_A_READER_PARTITION]) == partition;
	return w->held == 1 ? 1 : -1;
}

/* The readers that hold a partition's oldest held message. @other: so does another thing. */
static void tell_readers(struct why *w, uint32_t partition, bool other,
			 struct json_object *held_by)
{
	struct nlattr *tb[ATTR_TYPE_MAX];
	struct json_object *reader;
	size_t shown = 0, more = 0, maybe = 0;
	int how;
	bool sure;

	for (size_t i = 0; i < w->readers.count; i++) {
		answer_parse(&reader_attrs, w->readers.msgs[i], tb, NULL);
		how = limits(w, tb, partition);
		other |= how > 0;
		maybe += how < 0;
	}
	for (size_t i = 0; i < w->readers.count; i++) {
		answer_parse(&reader_attrs, w->readers.msgs[i], tb, NULL);
		how = limits(w, tb, partition);
		if (!how)
			continue;
		/* Something must hold it. */
		sure = how > 0 || (maybe == 1 && !other);
		if (partition == w->tightest) {
			w->reader = true;
			if (sure && !w->kill)
				w->kill = u32_of(tb[MQ_A_READER_PID]);
		}
		reader = json_object_new_object();
		add_text(reader, "kind", "reader");
		add_process(reader, tb[MQ_A_READER_PID], tb[MQ_A_READER_COMMAND]);
		add_u64(reader, "offset", u64_of(tb[MQ_A_READER_OFFSET]));
		add_u64(reader, "lag-messages", u64_of(tb[MQ_A_READER_LAG_MESSAGES]));
		json_object_object_add(reader, "certain", json_object_new_boolean(sure));
		json_object_array_add(held_by, reader);
		if (shown++ >= SHOWN) {
			more++;
			continue;
		}
		if (w->json)
			continue;
		printf("  %sheld by a reader%s: ", sure ? "" : "perhaps ",
		       tb[MQ_A_READER_PARTITION] ? "" : " of all partitions");
		print_process(tb[MQ_A_READER_PID], tb[MQ_A_READER_COMMAND]);
		if (tb[MQ_A_READER_PARTITION])
			printf(", at offset %" PRIu64, u64_of(tb[MQ_A_READER_OFFSET]));
		printf(", %" PRIu64 " messages behind\n", u64_of(tb[MQ_A_READER_LAG_MESSAGES]));
	}
	if (more && !w->json)
		printf("  and by %zu readers more\n", more);
}

static void tell_partition(struct why *w, struct nlattr **tb)
{
	uint64_t head = u64_of(tb[MQ_A_PARTITION_HEAD_OFFSET]);
	uint64_t held = u64_of(tb[MQ_A_PARTITION_HELD_OFFSET]);
	uint64_t bytes = u64_of(tb[MQ_A_PARTITION_HEAD_POSITION]) -
			 u64_of(tb[MQ_A_PARTITION_HELD_POSITION]);
	uint64_t ring = u64_of(w->tb[MQ_A_TOPIC_RING_BYTES]);
	uint64_t slots = u64_of(w->tb[MQ_A_TOPIC_RING_MESSAGES]);
	uint32_t n = u32_of(tb[MQ_A_PARTITION_INDEX]);
	struct json_object *part = json_object_new_object(), *held_by = json_object_new_array();
	struct json_object *store = NULL;

	add_u64(part, "partition", n);
	add_u64(part, "tail-offset", u64_of(tb[MQ_A_PARTITION_TAIL_OFFSET]));
	add_u64(part, "held-offset", held);
	add_u64(part, "head-offset", head);
	add_u64(part, "held-messages", head - held);
	add_u64(part, "held-bytes", bytes);
	add_u64(part, "room-messages", slots - (head - held));
	add_u64(part, "room-bytes", ring - bytes);
	if (!w->json && held == head)
		printf("partition %" PRIu32 ": nothing is held\n", n);
	else if (!w->json)
		printf("partition %" PRIu32 ": %" PRIu64 " messages, %" PRIu64
		       " bytes, are held from offset %" PRIu64 " on; room for %" PRIu64
		       " messages, %" PRIu64 " bytes\n", n, head - held, bytes, held,
		       slots - (head - held), ring - bytes);
	if (held != head && tb[MQ_A_PARTITION_DURABLE_OFFSET] &&
	    u64_of(tb[MQ_A_PARTITION_DURABLE_OFFSET]) <= held) {
		w->store = true;
		store = json_object_new_object();
		add_text(store, "kind", "store");
		add_u64(store, "durable-offset", u64_of(tb[MQ_A_PARTITION_DURABLE_OFFSET]));
		json_object_array_add(held_by, store);
		if (!w->json)
			printf("  held for the store: durable are messages below offset %" PRIu64
			       "\n", u64_of(tb[MQ_A_PARTITION_DURABLE_OFFSET]));
	}
	if (held != head)
		tell_readers(w, n, store, held_by);
	json_object_object_add(part, "held-by", held_by);
	json_object_array_add(w->partitions, part);
}

static void tell_waiter(struct why *w, struct nlattr **tb, bool show)
{
	struct json_object *waiter = json_object_new_object();
	uint32_t reason = u32_of(tb[MQ_A_WAITER_REASON]);
	char *waited, *since;

	add_process(waiter, tb[MQ_A_WAITER_PID], tb[MQ_A_WAITER_COMMAND]);
	for (unsigned int i = 0; i < waiter_attrs.count; i++) {
		const struct attr *attr = &waiter_attrs.attrs[i];

		if (tb[attr->type] && attr->type >= MQ_A_WAITER_REASON)
			json_object_object_add(waiter, attr->name,
					       attr_json(attr, tb[attr->type]));
	}
	add_u64(waiter, "partition", u32_of(tb[MQ_A_WAITER_PARTITION]));
	json_object_array_add(w->waiting, waiter);
	w->durable += reason == MQ_WAIT_REASON_DURABLE;
	if (!show)
		return;
	waited = attr_text(attr_by_type(&waiter_attrs, MQ_A_WAITER_WAITED),
			   tb[MQ_A_WAITER_WAITED], false);
	since = attr_text(attr_by_type(&waiter_attrs, MQ_A_WAITER_SINCE),
			  tb[MQ_A_WAITER_SINCE], false);
	printf("waiting: ");
	print_process(tb[MQ_A_WAITER_PID], tb[MQ_A_WAITER_COMMAND]);
	printf(", for %s, since %s, partition %" PRIu32 ": ", waited ? waited : "?",
	       since ? since : "?", u32_of(tb[MQ_A_WAITER_PARTITION]));
	if (reason == MQ_WAIT_REASON_DURABLE)
		printf("until messages below offset %" PRIu64 " are durable\n",
		       u64_of(tb[MQ_A_WAITER_END_OFFSET]));
	else
		printf("to append %" PRIu64 " bytes%s\n", u64_of(tb[MQ_A_WAITER_BYTES]),
		       reason == MQ_WAIT_REASON_PAUSED ? ", when the pause ends" : "");
	free(waited);
	free(since);
}

__attribute__((format(printf, 2, 3)))
static void advise(struct why *w, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_array_add(w->advice, json_object_new_string(text));
	if (!w->json)
		printf("to do: %s\n", text);
}

/* What can be done about it. */
static void tell_advice(struct why *w, bool paused)
{
	if (paused)
		advise(w, "end the pause: mqctl topic set %s --no-paused", w->topic);
	if ((w->full || w->durable) && w->store)
		advise(w, "start the store: without one nothing becomes durable");
	if (!w->full)
		return;
	if (w->reader && w->kill)
		advise(w, "let the reader read on, or end it: kill %" PRIu32, w->kill);
	else if (w->reader)
		advise(w, "let the readers of partition %" PRIu32 " read on, or end one after the"
		       " other", w->tightest);
	if (w->reader)
		advise(w, "let readers hold nothing (slow ones lose): mqctl topic set %s --hold none",
		       w->topic);
	if (w->overflow != MQ_OVERFLOW_DROP_OLDEST)
		advise(w, "let go of the oldest instead: mqctl topic set %s --overflow drop-oldest",
		       w->topic);
}

/* One line: the answer. */
static void tell_state(struct why *w, bool paused)
{
	static const char *const what[][2] = {
		[MQ_OVERFLOW_BLOCK] = { "writes", "wait" },
		[MQ_OVERFLOW_REJECT] = { "writes", "are refused" },
		[MQ_OVERFLOW_DROP_OLDEST] = { "each write", "drops what is held" },
		{ "writes", "may find no room" },	/* a later module's */
	};
	unsigned int how = w->overflow <= MQ_OVERFLOW_DROP_OLDEST ? w->overflow :
			   MQ_OVERFLOW_DROP_OLDEST + 1;
	char larger[64] = "";

	add_text(w->root, "state", paused ? "paused" : w->full && !w->room ? "full" :
				   w->full ? "nearly-full" : w->durable ? "durable" : "open");
	if (w->json)
		return;
	if (w->room)
		snprintf(larger, sizeof(larger), " larger than %" PRIu64 " bytes", w->room);
	printf("%s: ", w->topic);
	if (paused)
		printf("writes wait: the topic is paused\n");
	else if (w->full)
		printf("%s%s %s: partition %" PRIu32 " is %sfull of held messages\n",
		       what[how][0], larger, what[how][1], w->tightest, w->room ? "nearly " : "");
	else if (w->durable)
		printf("durable writes wait: the store has not made them durable\n");
	else
		printf("writes go on\n");
}

static int why_run(const struct command *cmd, int argc, char **argv)
{
	struct nlattr *tb[ATTR_TYPE_MAX];
	struct why w = { 0 };
	size_t more = 0;
	bool paused;

	w.topic = argv[parse_operands(cmd, argc, argv, why_option, &w, 1, 1)];
	set_context("why %s", w.topic);
	if (!answers_ask(&w.state, &topic_attrs, MQ_CMD_TOPIC_GET, 0, w.topic) ||
	    !w.state.count ||
	    !answers_ask(&w.parts, &partition_attrs, MQ_CMD_PARTITION_GET, NLM_F_DUMP, w.topic) ||
	    !answers_ask(&w.readers, &reader_attrs, MQ_CMD_READER_GET, NLM_F_DUMP, w.topic) ||
	    !answers_ask(&w.waiters, &waiter_attrs, MQ_CMD_WAITER_GET, NLM_F_DUMP, w.topic))
		return EXIT_FAILED;
	answer_parse(&topic_attrs, w.state.msgs[0], w.tb, NULL);
	w.overflow = u32_of(w.tb[MQ_A_TOPIC_OVERFLOW]);
	paused = w.tb[MQ_A_TOPIC_PAUSED] && nla_get_u8(w.tb[MQ_A_TOPIC_PAUSED]);
	w.root = json_object_new_object();
	w.partitions = json_object_new_array();
	w.waiting = json_object_new_array();
	w.advice = json_object_new_array();
	add_text(w.root, "topic", w.topic);
	find_tightest(&w);

	for (size_t i = 0; i < w.parts.count; i++) {
		answer_parse(&partition_attrs, w.parts.msgs[i], tb, NULL);
		tell_partition(&w, tb);
	}
	for (size_t i = 0; i < w.waiters.count; i++) {
		answer_parse(&waiter_attrs, w.waiters.msgs[i], tb, NULL);
		tell_waiter(&w, tb, !w.json && i < SHOWN);
		more += i >= SHOWN;
	}
	if (more && !w.json)
		printf("and %zu more wait\n", more);
	tell_state(&w, paused);
	tell_advice(&w, paused);
	json_object_object_add(w.root, "partitions", w.partitions);
	json_object_object_add(w.root, "waiting", w.waiting);
	json_object_object_add(w.root, "advice", w.advice);
	if (w.json)
		json_print_line(w.root);
	else
		json_object_put(w.root);
	answers_free(&w.state);
	answers_free(&w.parts);
	answers_free(&w.readers);
	answers_free(&w.waiters);
	return EXIT_DONE;
}

static const struct opt why_opts[] = {
	{ "json", 'j', false, NULL, "JSON", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_readers = {
	.name = "readers", .operands = "[TOPIC]",
	.summary = "List the files open for reading, the slowest first",
	.columns = &reader_attrs,
	.table = true,
	.run = readers_run,
};

const struct command cmd_why = {
	.name = "why", .operands = "TOPIC",
	.summary = "Tell who holds a topic's messages, who waits, and what helps",
	.opts = why_opts,
	.run = why_run,
};
