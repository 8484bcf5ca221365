// SPDX-License-Identifier: GPL-2.0
/* mqctl showconf: the kernel's topics as a configuration file. */
#include <stdlib.h>
#include <string.h>

#include <mq/netlink.h>

#include "conf.h"
#include "mqctl.h"
#include "nl.h"

struct showconf_args {
	bool all;
	bool ids;
};

static void showconf_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct showconf_args *args = ctx;

	(void)value;
	(void)on;
	if (!strcmp(opt->name, "all"))
		args->all = true;
	else
		args->ids = true;
}

/* Whether the key must stand there for apply to make the same topic. */
static bool says_something(const struct showconf_args *args, const struct attr *attr,
			   struct nlattr **tb)
{
	struct nlattr *by_default;
	bool same;

	if (attr->type == MQ_A_TOPIC_ID)
		return args->ids;
	if (args->all)
		return true;
	if (attr->type == MQ_A_TOPIC_START_OFFSET || attr->type == MQ_A_TOPIC_START_POSITION)
		return nla_get_u64(tb[attr->type]);
	by_default = conf_default(attr, tb);
	same = conf_equal(by_default, tb[attr->type]);
	free(by_default);
	return !same;
}

static void print_topic(const struct showconf_args *args, struct nlattr **tb)
{
	char *text;

	printf("[topic %s]\n", nla_get_string(tb[MQ_A_TOPIC_NAME]));
	for (unsigned int i = 0; i < topic_attrs.count; i++) {
		const struct attr *attr = &topic_attrs.attrs[i];

		if (!conf_is_key(attr) || !tb[attr->type] || !says_something(args, attr, tb))
			continue;
		text = attr_text(attr, tb[attr->type], false);
		if (!text)
			die("out of memory");
		printf("%s = ", attr->name);
		conf_print_value(stdout, text);
		putchar('\n');
		free(text);
	}
}

static int showconf_run(const struct command *cmd, int argc, char **argv)
{
	struct showconf_args args = { 0 };
	struct nlattr *tb[ATTR_TYPE_MAX];
	struct answers answers = { 0 };
	struct topic_ref ref;
	int first, status = EXIT_DONE;

	first = parse_operands(cmd, argc, argv, showconf_option, &args, 0, -1);
	for (int i = first; i < argc; i++) {
		topic_operand(cmd, argv[i], &ref);
		if (ref.partition >= 0)
			usage_error(cmd, "%s: not a topic's name", argv[i]);
		if (!ask_topics(&ref, &answers))
			status = EXIT_FAILED;
	}
	if (first == argc && !ask_topics(NULL, &answers))
		status = EXIT_FAILED;
	answers_sort(&answers);
	for (size_t i = 0; i < answers.count; i++) {
		topic_answer(answers.msgs[i], tb, NULL);
		if (i)
			putchar('\n');
		print_topic(&args, tb);
	}
	answers_free(&answers);
	return status;
}

static const struct opt showconf_opts[] = {
	{ "all", 'a', false, NULL, "what is the default, too", NULL },
	{ "ids", 0, false, NULL, "the topics' ids, too, for an exact restore", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_showconf = {
	.name = "showconf", .operands = "[TOPIC...]",
	.summary = "Print the topics as a configuration file",
	.opts = showconf_opts,
	.text = "'mqctl showconf >FILE' saves what was changed at run time; 'mqctl apply FILE' has\n"
		"then nothing to do, and makes the same topics where there are none. Without --ids a\n"
		"topic that is made anew gets a new id: its offsets are not those of the old one.\n",
	.run = showconf_run,
};
