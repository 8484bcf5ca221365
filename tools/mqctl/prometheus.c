// SPDX-License-Identifier: GPL-2.0
/*
 * mqctl stat -o prometheus: Prometheus' text exposition format, version 0.0.4,
 * for the textfile collector of node_exporter. Names and help are those of the
 * attribute table: "messages-in" of a topic is mq_topic_messages_in_total. What
 * the kernel counts in 64 bits only grows; 32 bits and sizes go up and down.
 */
#include <inttypes.h>
#include <string.h>

#include <mq/netlink.h>

#include "mqctl.h"
#include "nl.h"

static void print_name(const char *subsystem, const struct attr *attr, const char *suffix)
{
	printf("mq_%s_", subsystem);
	for (const char *c = attr->name; *c; c++)
		putchar(*c == '-' ? '_' : *c);
	fputs(suffix, stdout);
}

static void print_escaped(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", stdout);
		else if (*text == '\\' || *text == '"')
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

/* "# HELP" and "# TYPE" of a family; help escapes no quotes, and has none. */
static void print_family(const char *subsystem, const struct attr *attr, const char *suffix,
			 const char *type)
{
	fputs("# HELP ", stdout);
	print_name(subsystem, attr, suffix);
	printf(" %s.\n# TYPE ", attr->help);
	print_name(subsystem, attr, suffix);
	printf(" %s\n", type);
}

/* {topic="orders",partition="0"}; the labels that are NULL are left out. */
static void print_labels(const struct nlattr *topic, const struct nlattr *partition)
{
	fputs("{topic=\"", stdout);
	print_escaped(nla_get_string(topic));
	if (partition)
		printf("\",partition=\"%u", nla_get_u32(partition));
	fputs("\"}", stdout);
}

static const char *suffix_of(const struct attr *attr, bool gauge)
{
	size_t len = strlen(attr->name);

	if (!gauge)
		return "_total";
	if (attr->kind != ATTR_SIZE && attr->kind != ATTR_SIZE32)
		return "";
	return len > 6 && !strcmp(attr->name + len - 6, "-bytes") ? "" : "_bytes";
}

static uint64_t number(const struct nlattr *nla)
{
	return nla_len(nla) == sizeof(uint64_t) ? nla_get_u64(nla) :
	       nla_len(nla) == sizeof(uint32_t) ? nla_get_u32(nla) : nla_get_u8(nla);
}

/* One family: @attr of each answer, among its counters or not. */
static void print_series(const struct attr_set *set, const struct answers *answers,
			 const struct attr *attr, bool counter, bool gauge)
{
	bool partition = set == &partition_attrs;
	const char *subsystem = partition ? "partition" : "topic";
	const char *suffix = suffix_of(attr, gauge);
	struct nlattr *tb[ATTR_TYPE_MAX], *stats[ATTR_TYPE_MAX];

	print_family(subsystem, attr, suffix, gauge ? "gauge" : "counter");
	for (size_t i = 0; i < answers->count; i++) {
		const struct nlattr *nla;

		answer_parse(set, answers->msgs[i], tb, stats);
		nla = counter ? stats[attr->type] : tb[attr->type];
		if (!nla)
			continue;
		print_name(subsystem, attr, suffix);
		if (partition)
			print_labels(tb[MQ_A_PARTITION_TOPIC], tb[MQ_A_PARTITION_INDEX]);
		else
			print_labels(tb[MQ_A_TOPIC_NAME], NULL);
		printf(" %" PRIu64 "\n", number(nla));
	}
}

static void print_topic_series(const struct answers *answers)
{
	static const unsigned int gauges[] = {
		MQ_A_TOPIC_PARTITIONS, MQ_A_TOPIC_RING_BYTES, MQ_A_TOPIC_RING_MESSAGES,
		MQ_A_TOPIC_PERSISTENT, MQ_A_TOPIC_PAUSED
	};

	for (unsigned int i = 0; i < stats_attrs.count; i++) {
		const struct attr *attr = &stats_attrs.attrs[i];

		print_series(&topic_attrs, answers, attr, true, attr->kind != ATTR_U64);
	}
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
		print_series(&topic_attrs, answers, attr_by_type(&topic_attrs, gauges[i]), false,
			     true);
}

/* How much of a partition lies between two of its offsets. */
static void print_distance(const struct answers *answers, const struct attr *what,
			   unsigned int from, unsigned int to)
{
	struct nlattr *tb[ATTR_TYPE_MAX];

	print_family("partition", what, "", "gauge");
	for (size_t i = 0; i < answers->count; i++) {
		answer_parse(&partition_attrs, answers->msgs[i], tb, NULL);
		if (!tb[from] || !tb[to])
			continue;
		print_name("partition", what, "");
		print_labels(tb[MQ_A_PARTITION_TOPIC], tb[MQ_A_PARTITION_INDEX]);
		printf(" %" PRIu64 "\n", nla_get_u64(tb[to]) - nla_get_u64(tb[from]));
	}
}

static void print_partition_series(const struct answers *answers)
{
	static const struct attr held = {
		.name = "held-messages", .help = "messages held, not to be overwritten"
	}, retained = {
		.name = "retained-messages", .help = "messages that can still be read"
	}, retained_bytes = {
		.name = "retained-bytes", .help = "payload bytes that can still be read"
	};

	/* Offsets and the epoch only grow, but are no sums of events. */
	for (unsigned int i = 0; i < partition_attrs.count; i++) {
		const struct attr *attr = &partition_attrs.attrs[i];

		if (attr_is_number(attr) && attr->type != MQ_A_PARTITION_INDEX)
			print_series(&partition_attrs, answers, attr, false, true);
	}
	print_distance(answers, &held, MQ_A_PARTITION_HELD_OFFSET, MQ_A_PARTITION_HEAD_OFFSET);
	print_distance(answers, &retained, MQ_A_PARTITION_TAIL_OFFSET, MQ_A_PARTITION_HEAD_OFFSET);
	print_distance(answers, &retained_bytes, MQ_A_PARTITION_TAIL_POSITION,
		       MQ_A_PARTITION_HEAD_POSITION);
}

static bool print_module(void)
{
	static const struct attr info = { .name = "info", .help = "the module's version" };
	struct answers answers = { 0 };
	struct nlattr *tb[ATTR_TYPE_MAX];
	bool ok = answers_ask(&answers, &module_attrs, MQ_CMD_MODULE_GET, 0, NULL) &&
		  answers.count;

	if (ok) {
		answer_parse(&module_attrs, answers.msgs[0], tb, NULL);
		print_family("module", &info, "", "gauge");
		fputs("mq_module_info{version=\"", stdout);
		print_escaped(nla_get_string(tb[MQ_A_MODULE_VERSION]));
		puts("\"} 1");
	}
	for (unsigned int i = 0; ok && i < module_attrs.count; i++) {
		const struct attr *attr = &module_attrs.attrs[i];

		if (!attr_is_number(attr) || !tb[attr->type])
			continue;
		print_family("module", attr, suffix_of(attr, true), "gauge");
		print_name("module", attr, suffix_of(attr, true));
		printf(" %" PRIu64 "\n", number(tb[attr->type]));
	}
	answers_free(&answers);
	return ok;
}

bool print_prometheus(struct answers *topics, const struct answers *partitions)
{
	answers_sort(topics);
	print_topic_series(topics);
	print_partition_series(partitions);
	return print_module();
}
