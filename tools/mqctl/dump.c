// SPDX-License-Identifier: GPL-2.0
/*
 * mqctl help --table: the command table for programs (tools/man/gen, the
 * completion). One line a fact, fields separated by tabs, "-" for none:
 *
 *	command	NAME	OPERANDS	SUMMARY
 *	option	COMMAND	NAME	LETTER	VALUE	no|-	HELP
 *	text	COMMAND	LINE
 *	column	COMMAND	HEADING	NAME	HELP
 *
 * A VALUE of words in small letters, separated by | or commas, is a choice.
 */
#include <string.h>

#include "mqctl.h"

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

void dump_command(const struct command *cmd)
{
	struct column_set sets[COLUMN_SETS_MAX];
	const char *heading = "";
	struct opt opts[OPTS_MAX];
	unsigned int n = collect_options(cmd, opts);
	char name[64];

	command_name(cmd, name, sizeof(name));
	printf("command\t%s\t%s\t%s\n", name, or_dash(cmd->operands), cmd->summary);
	for (unsigned int i = 0; i < n; i++) {
		const struct opt *opt = &opts[i];
		char letter[2] = { opt->letter, '\0' };

		printf("option\t%s\t%s\t%s\t%s\t%s\t%s\n", name, opt->name, or_dash(letter),
		       or_dash(opt->attr ? attr_metavar(opt->attr) : opt->metavar),
		       opt->negatable ? "no" : "-", opt->help);
	}
	for (const char *text = cmd->text; text && *text;) {
		int len = strcspn(text, "\n");

		printf("text\t%s\t%.*s\n", name, len, text);
		text += len + (text[len] == '\n');
	}
	for (unsigned int i = 0; i < command_columns(cmd, sets); i++) {
		const struct attr_set *set = sets[i].set;

		if (sets[i].heading)
			heading = sets[i].heading;
		for (unsigned int n = 0; n < set->count; n++)
			printf("column\t%s\t%s\t%s\t%s\n", name, heading, set->attrs[n].name,
			       set->attrs[n].help);
	}
}
