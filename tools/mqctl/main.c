// SPDX-License-Identifier: GPL-2.0
/* mqctl: administers mq topics, writes to them, reads and checks them. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "mqctl.h"

static const struct command *const commands[] = {
	&cmd_topic_add,
	&cmd_topic_del,
	&cmd_topic_set,
	&cmd_topic_show,
	&cmd_topic_list,
	&cmd_apply,
	&cmd_showconf,
	&cmd_stat,
	&cmd_readers,
	&cmd_why,
	&cmd_produce,
	&cmd_consume,
	&cmd_monitor,
	&cmd_verify,
	&cmd_ship,
	&cmd_receive,
	&cmd_version,
};

#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

/* Of one group, or (NULL) of all. */
static void print_commands(FILE *out, const char *group)
{
	char left[64];
	size_t n;

	fprintf(out, "Usage: mqctl %s%sCOMMAND [OPTION...]\n\nCommands:\n", group ? group : "",
		group ? " " : "");
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *cmd = commands[i];

		if (group && (!cmd->group || strcmp(cmd->group, group)))
			continue;
		command_name(cmd, left, sizeof(left));
		n = strlen(left);
		snprintf(left + n, sizeof(left) - n, " %s", cmd->operands);
		fprintf(out, "  %-28s %s\n", left, cmd->summary);
	}
	fputs("\n'mqctl COMMAND --help' tells more of each.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage.\n"
	      "The environment variable MQ_DIR names another place than /dev/mq.\n", out);
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i]->group && !strcmp(commands[i]->group, word))
			return true;
	}
	return false;
}

static bool is_help(const char *word)
{
	return !strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h");
}

static int run(const struct command *cmd, int argc, char **argv)
{
	char name[64];

	command_name(cmd, name, sizeof(name));
	set_context("%s", name);
	return finish(cmd->run(cmd, argc, argv));
}

int main(int argc, char **argv)
{
	const char *group = NULL, *word;
	int at = 1;

	setlocale(LC_CTYPE, "");
	if (argc > 1 && is_group(argv[1]))
		group = argv[at++];
	word = at < argc ? argv[at] : NULL;
	if (!word) {
		print_commands(stderr, group);
		return EXIT_USAGE;
	}
	/* Not in help: no person reads it. */
	if (!group && !strcmp(word, "help") && argc == 3 && !strcmp(argv[2], "--table")) {
		for (size_t i = 0; i < COMMANDS; i++)
			dump_command(commands[i]);
		return finish(EXIT_DONE);
	}
	if (is_help(word)) {
		print_commands(stdout, group);
		return finish(EXIT_DONE);
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *cmd = commands[i];

		if (!group != !cmd->group || (group && strcmp(group, cmd->group)))
			continue;
		if (!strcmp(cmd->name, word))
			return run(cmd, argc - at, argv + at);
	}
	fprintf(stderr, "mqctl: %s%s%s: unknown command\nTry 'mqctl --help'.\n",
		group ? group : "", group ? " " : "", word);
	return EXIT_USAGE;
}
