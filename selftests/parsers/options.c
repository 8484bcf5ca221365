// SPDX-License-Identifier: GPL-2.0
/*
 * Command lines: the first byte chooses the command, the rest are its words, one a
 * line. Misuse ends the program, which here is a jump (the linker's --wrap=exit).
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <setjmp.h>
#include <string.h>

#include "mqctl.h"
#include "target.h"

#define WORDS	32

static jmp_buf ended;
static volatile bool running;

void __real_exit(int status) __attribute__((noreturn));
void __wrap_exit(int status);
void __wrap_exit(int status)
{
	if (running)
		longjmp(ended, status + 1);
	__real_exit(status);
}

static const struct command *const commands[] = {
	&cmd_topic_add, &cmd_topic_del, &cmd_topic_set, &cmd_topic_show, &cmd_topic_list,
	&cmd_apply, &cmd_showconf, &cmd_stat, &cmd_readers, &cmd_why, &cmd_produce,
	&cmd_consume, &cmd_monitor, &cmd_verify, &cmd_ship, &cmd_receive, &cmd_version,
};

static struct nl_msg *msg;

/* As the commands do: topics' attributes into a message, tables' options. */
static void take(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct table_opts tables = { 0 };

	if (opt->attr)
		check_value(ctx, opt, value ? value : "", attr_put(msg, opt->attr, value, on));
	else
		table_option(&tables, opt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct command *cmd;
	char *text, *save = NULL;
	char *argv[WORDS + 2] = { "mqctl" };
	struct topic_ref ref;
	volatile int argc = 1;

	if (!len)
		return 0;
	cmd = commands[data[0] % (sizeof(commands) / sizeof(commands[0]))];
	text = strndup((const char *)data + 1, len - 1);
	msg = nlmsg_alloc();
	must(text && msg);
	for (char *word = strtok_r(text, "\n", &save); word && argc <= WORDS;
	     word = strtok_r(NULL, "\n", &save))
		argv[argc++] = word;
	optind = 0;
	running = true;
	if (!setjmp(ended)) {
		int first = parse_operands(cmd, argc, argv, take, (void *)cmd, 0, -1);

		must(first >= 1 && first <= argc);
		for (int i = first; i < argc; i++)
			topic_operand(cmd, argv[i], &ref);
	}
	running = false;
	nlmsg_free(msg);
	free(text);
	return 0;
}
