// SPDX-License-Identifier: GPL-2.0
/* mqctl stat: counters of topics and partitions. */
#include <string.h>

#include <mq/netlink.h>

#include "mqctl.h"
#include "nl.h"

struct stat_args {
	struct table_opts table;
	bool by_partition;
};

static void stat_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct stat_args *args = ctx;

	(void)on;
	if (!strcmp(opt->name, "by-partition"))
		args->by_partition = true;
	else if (!table_option(&args->table, opt))
		args->table.columns = value;
}

static void print_partitions(const struct command *cmd, const struct table_opts *opts,
			     const struct answers *answers)
{
	struct nlattr *tb[ATTR_TYPE_MAX], *stats[ATTR_TYPE_MAX];
	struct table *table = table_new(cmd, opts, "partitions", &partition_attrs, ATTR_STAT);

	for (size_t i = 0; i < answers->count; i++) {
		answer_parse(&partition_attrs, answers->msgs[i], tb, stats);
		table_add(table, tb, stats);
	}
	table_print(table);
}

static bool ask_partitions(const struct topic_ref *ref, struct answers *answers)
{
	bool one = ref && ref->partition >= 0, ok;
	struct request req;

	request_init(&req, &partition_attrs, MQ_CMD_PARTITION_GET, one ? 0 : NLM_F_DUMP);
	if (ref)
		request_put_name(&req, MQ_A_PARTITION_TOPIC, ref->name);
	if (one && nla_put_u32(req.msg, MQ_A_PARTITION_INDEX, ref->partition))
		die("out of memory");
	req.answer = answers_add;
	req.ctx = answers;
	ok = request_send(&req);
	request_free(&req);
	return ok;
}

/* Topics and partitions in one: what is scraped is scraped as a whole. */
static bool stat_prometheus(const struct command *cmd, const struct table_opts *opts,
			    const struct topic_ref *ref)
{
	struct answers topics = { 0 }, partitions = { 0 };
	bool ok;

	if (opts->json || (ref && ref->partition >= 0))
		usage_error(cmd, "-o prometheus takes no --json, and whole topics only");
	ok = ask_topics(ref, &topics) && ask_partitions(ref, &partitions) &&
	     print_prometheus(&topics, &partitions);
	answers_free(&topics);
	answers_free(&partitions);
	return ok;
}

static int stat_run(const struct command *cmd, int argc, char **argv)
{
	struct answers answers = { 0 };
	struct stat_args args = { 0 };
	struct topic_ref topic, *ref = NULL;
	int first;
	bool ok;

	first = parse_operands(cmd, argc, argv, stat_option, &args, 0, 1);
	if (first < argc) {
		ref = &topic;
		topic_operand(cmd, argv[first], ref);
	}
	if (args.table.columns && !strcmp(args.table.columns, "prometheus")) {
		ok = stat_prometheus(cmd, &args.table, ref);
	} else if (args.by_partition || (ref && ref->partition >= 0)) {
		ok = ask_partitions(ref, &answers);
		if (ok)
			print_partitions(cmd, &args.table, &answers);
	} else {
		ok = ask_topics(ref, &answers);
		if (ok)
			print_topics(cmd, &args.table, &answers, ATTR_STAT);
	}
	answers_free(&answers);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

static const struct opt stat_opts[] = {
	{ "by-partition", 'p', false, NULL, "one line a partition, with its offsets", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_stat = {
	.name = "stat", .operands = "[TOPIC[@N]]",
	.summary = "Show counters of topics and partitions",
	.opts = stat_opts,
	.text = "-o prometheus prints all there is in Prometheus' text format, for the textfile\n"
		"collector of node_exporter, which wants files that appear whole:\n"
		"  mqctl stat -o prometheus >mq.prom.new && mv mq.prom.new mq.prom\n",
	.table = true,
	.run = stat_run,
};
