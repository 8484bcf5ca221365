// SPDX-License-Identifier: GPL-2.0
/* mqctl version: the tool's and the module's. */
#include <mq/netlink.h>

#include "mqctl.h"
#include "nl.h"

static void version_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct table_opts *table = ctx;

	(void)on;
	if (!table_option(table, opt))
		table->columns = value;
}

static int version_run(const struct command *cmd, int argc, char **argv)
{
	struct nlattr *tb[ATTR_TYPE_MAX];
	struct answers answers = { 0 };
	struct table_opts table = { 0 };
	bool ok;

	parse_operands(cmd, argc, argv, version_option, &table, 0, 0);
	/* Known, and printed, even if the module cannot be asked. */
	if (!table.json && !table.columns) {
		printf("mqctl %s, interface version %d\n", MQ_VERSION, MQ_API_VERSION);
		fflush(stdout);
	}
	ok = answers_ask(&answers, &module_attrs, MQ_CMD_MODULE_GET, 0, NULL) && answers.count;
	if (ok) {
		answer_parse(&module_attrs, answers.msgs[0], tb, NULL);
		if (!table.json && !table.columns)
			puts("module mq:");
		table_print_vertical(cmd, &table, "module", &module_attrs, tb, NULL);
	}
	answers_free(&answers);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

const struct command cmd_version = {
	.name = "version", .operands = "",
	.summary = "Show the tool's version and the module's",
	.table = true,
	.columns = &module_attrs,
	.run = version_run,
};
