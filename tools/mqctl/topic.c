// SPDX-License-Identifier: GPL-2.0
/* mqctl topic add|del|set|show|list */
#include <stdlib.h>
#include <string.h>

#include <mq/netlink.h>

#include "mqctl.h"
#include "nl.h"

/* What the options of one command line gave. */
struct topic_args {
	const struct command *cmd;
	struct table_opts table;
	struct {
		const struct attr *attr;
		const char *value;
		bool on;
	} given[ATTR_TYPE_MAX];
	unsigned int count;
};

static void topic_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct topic_args *args = ctx;
	struct nl_msg *scratch;

	if (!opt->attr) {
		if (!table_option(&args->table, opt))
			args->table.columns = value;
		return;
	}
	for (unsigned int i = 0; i < args->count; i++) {
		if (args->given[i].attr == opt->attr)
			usage_error(args->cmd, "--%s: given twice", opt->name);
	}
	/* Wrong usage is told as such before anything is asked of the kernel. */
	scratch = nlmsg_alloc();
	if (!scratch)
		die("out of memory");
	check_value(args->cmd, opt, value, attr_put(scratch, opt->attr, value, on));
	nlmsg_free(scratch);
	args->given[args->count].attr = opt->attr;
	args->given[args->count].value = value;
	args->given[args->count++].on = on;
}

/* One request for one topic; false: refused, and the reason was said. */
static bool topic_request(const struct topic_args *args, int nl_cmd, const char *name)
{
	struct request req;
	const char *why;
	char command[64];
	bool ok;

	command_name(args->cmd, command, sizeof(command));
	set_context("%s %s", command, name);
	request_init(&req, &topic_attrs, nl_cmd, 0);
	request_put_name(&req, MQ_A_TOPIC_NAME, name);
	for (unsigned int i = 0; i < args->count; i++) {
		why = request_put(&req, args->given[i].attr, args->given[i].value,
				  args->given[i].on);
		if (why)
			die("--%s: %s", args->given[i].attr->name, why);
	}
	ok = request_send(&req);
	request_free(&req);
	return ok;
}

static int topics_do(const struct command *cmd, int argc, char **argv, int nl_cmd, int max,
		     bool need_option)
{
	struct topic_args args = { .cmd = cmd };
	int first = parse_operands(cmd, argc, argv, topic_option, &args, 1, max);
	int status = EXIT_DONE;

	if (need_option && !args.count)
		usage_error(cmd, "nothing to change: give an option");
	for (int i = first; i < argc; i++) {
		if (!topic_request(&args, nl_cmd, argv[i]))
			status = EXIT_FAILED;
	}
	return status;
}

static int topic_add(const struct command *cmd, int argc, char **argv)
{
	return topics_do(cmd, argc, argv, MQ_CMD_TOPIC_NEW, 1, false);
}

static int topic_del(const struct command *cmd, int argc, char **argv)
{
	return topics_do(cmd, argc, argv, MQ_CMD_TOPIC_DEL, -1, false);
}

static int topic_set(const struct command *cmd, int argc, char **argv)
{
	return topics_do(cmd, argc, argv, MQ_CMD_TOPIC_SET, 1, true);
}

void topic_answer(struct nlmsghdr *nlh, struct nlattr **tb, struct nlattr **stats)
{
	answer_parse(&topic_attrs, nlh, tb, stats);
	if (!tb[MQ_A_TOPIC_NAME])
		die("an answer that cannot be read: it names no topic");
}

static int topic_show(const struct command *cmd, int argc, char **argv)
{
	struct topic_args args = { .cmd = cmd };
	int first = parse_operands(cmd, argc, argv, topic_option, &args, 1, 1);
	struct nlattr *tb[ATTR_TYPE_MAX], *stats[ATTR_TYPE_MAX];
	struct answers answers = { 0 };
	bool ok;

	set_context("topic show %s", argv[first]);
	ok = answers_ask(&answers, &topic_attrs, MQ_CMD_TOPIC_GET, 0, argv[first]);
	if (ok && answers.count) {
		topic_answer(answers.msgs[0], tb, stats);
		table_print_vertical(cmd, &args.table, "topics", &topic_attrs, tb, stats);
	}
	answers_free(&answers);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

static int by_name(const void *a, const void *b)
{
	struct nlattr *left[ATTR_TYPE_MAX], *right[ATTR_TYPE_MAX];

	topic_answer(*(struct nlmsghdr *const *)a, left, NULL);
	topic_answer(*(struct nlmsghdr *const *)b, right, NULL);
	return strcmp(nla_get_string(left[MQ_A_TOPIC_NAME]),
		      nla_get_string(right[MQ_A_TOPIC_NAME]));
}

bool ask_topics(const struct topic_ref *ref, struct answers *answers)
{
	return answers_ask(answers, &topic_attrs, MQ_CMD_TOPIC_GET, ref ? 0 : NLM_F_DUMP,
			   ref ? ref->name : NULL);
}

void answers_sort(struct answers *answers)
{
	if (answers->count)
		qsort(answers->msgs, answers->count, sizeof(*answers->msgs), by_name);
}

void print_topics(const struct command *cmd, const struct table_opts *opts,
		  struct answers *answers, unsigned int by_default)
{
	struct nlattr *tb[ATTR_TYPE_MAX], *stats[ATTR_TYPE_MAX];
	struct table *table = table_new(cmd, opts, "topics", &topic_attrs, by_default);

	answers_sort(answers);
	for (size_t i = 0; i < answers->count; i++) {
		topic_answer(answers->msgs[i], tb, stats);
		table_add(table, tb, stats);
	}
	table_print(table);
}

static int topic_list(const struct command *cmd, int argc, char **argv)
{
	struct topic_args args = { .cmd = cmd };
	struct answers answers = { 0 };
	bool ok;

	parse_operands(cmd, argc, argv, topic_option, &args, 0, 0);
	ok = ask_topics(NULL, &answers);
	if (ok)
		print_topics(cmd, &args.table, &answers, ATTR_LIST);
	answers_free(&answers);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

const struct command cmd_topic_add = {
	.group = "topic", .name = "add", .operands = "NAME",
	.summary = "Create a topic",
	.attr_flags = ATTR_ADD,
	.run = topic_add,
};

const struct command cmd_topic_del = {
	.group = "topic", .name = "del", .operands = "NAME...",
	.summary = "Delete topics",
	.attr_flags = ATTR_REF,
	.text = "Writes fail from then on. Who has a topic open can still read what it retains.\n",
	.run = topic_del,
};

const struct command cmd_topic_set = {
	.group = "topic", .name = "set", .operands = "NAME",
	.summary = "Change a topic, in all of the options or in none",
	.attr_flags = ATTR_SET,
	.run = topic_set,
};

const struct command cmd_topic_show = {
	.group = "topic", .name = "show", .operands = "NAME",
	.summary = "Show a topic's configuration",
	.table = true,
	.run = topic_show,
};

const struct command cmd_topic_list = {
	.group = "topic", .name = "list", .operands = "",
	.summary = "List the topics",
	.table = true,
	.run = topic_list,
};
