// SPDX-License-Identifier: GPL-2.0
/* Options of commands by getopt_long, and --help, from the tables. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mqctl.h"

static const struct opt help_option = { "help", 'h', false, NULL, "this text", NULL };

void command_name(const struct command *cmd, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", cmd->group ? cmd->group : "", cmd->group ? " " : "",
		 cmd->name);
}

void usage_error(const struct command *cmd, const char *fmt, ...)
{
	char name[64];
	va_list ap;

	command_name(cmd, name, sizeof(name));
	fflush(stdout);
	fprintf(stderr, "mqctl: %s: ", name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'mqctl %s --help'.\n", name);
	exit(EXIT_USAGE);
}

void check_value(const struct command *cmd, const struct opt *opt, const char *value,
		 const char *why)
{
	if (why)
		usage_error(cmd, "--%s %s: %s", opt->name, value, why);
}

unsigned int collect_options(const struct command *cmd, struct opt *opts)
{
	unsigned int n = 0;

	for (const struct opt *o = cmd->opts; o && o->name; o++)
		opts[n++] = *o;
	for (unsigned int i = 0; cmd->attr_flags && i < topic_attrs.count; i++) {
		const struct attr *attr = &topic_attrs.attrs[i];

		if (!(attr->flags & cmd->attr_flags))
			continue;
		opts[n++] = (struct opt) {
			.name = attr->name,
			.negatable = attr->kind == ATTR_BOOL,
			/* One static buffer for words: only whether there is a value. */
			.metavar = attr->kind == ATTR_BOOL ? NULL : "",
			.help = attr->help,
			.attr = attr,
		};
	}
	for (const struct opt *o = table_options; cmd->table && o->name; o++)
		opts[n++] = *o;
	opts[n++] = help_option;
	if (n > OPTS_MAX)
		abort();
	return n;
}

#define HELP_WIDTH	80

void print_wrapped(FILE *out, const char *text, int indent)
{
	int at = indent;

	while (*text) {
		int len = strcspn(text, " ");

		if (at + 1 + len > HELP_WIDTH && at > indent)
			at = fprintf(out, "\n%*s", indent, "") - 1;
		at += fprintf(out, " %.*s", len, text);
		text += len + strspn(text + len, " ");
	}
	putc('\n', out);
}

static void print_option(FILE *out, const struct opt *opt)
{
	const char *metavar = opt->attr ? attr_metavar(opt->attr) : opt->metavar;
	char left[80];

	snprintf(left, sizeof(left), "  %c%c%s --%s%s%s%s", opt->letter ? '-' : ' ',
		 opt->letter ? opt->letter : ' ', opt->letter ? "," : " ",
		 opt->negatable ? "[no-]" : "", opt->name, metavar ? " " : "",
		 metavar ? metavar : "");
	fprintf(out, "%-30s", left);
	if (strlen(left) > 30)
		fprintf(out, "\n%30s", "");
	print_wrapped(out, opt->help, 30);
}

unsigned int command_columns(const struct command *cmd, struct column_set *sets)
{
	unsigned int n = 0;

	if (!cmd->table)
		return 0;
	if (cmd->columns) {
		sets[n++] = (struct column_set) { "Columns", cmd->columns };
		return n;
	}
	sets[n++] = (struct column_set) { "Columns", &topic_attrs };
	sets[n++] = (struct column_set) { NULL, &stats_attrs };
	if (cmd == &cmd_stat)
		sets[n++] = (struct column_set) {
			"Columns with --by-partition: the counters, and", &partition_attrs
		};
	return n;
}

void print_help(const struct command *cmd, FILE *out)
{
	struct column_set sets[COLUMN_SETS_MAX];
	struct opt opts[OPTS_MAX];
	unsigned int n = collect_options(cmd, opts);
	char name[64];

	command_name(cmd, name, sizeof(name));
	fprintf(out, "Usage: mqctl %s%s%s [OPTION...]\n\n%s.\n\nOptions:\n", name,
		cmd->operands[0] ? " " : "", cmd->operands, cmd->summary);
	for (unsigned int i = 0; i < n; i++)
		print_option(out, &opts[i]);
	if (cmd->attr_flags)
		fputs("\nSIZE is a number of bytes, or one with K, M or G. DURATION is a number with\n"
		      "ms, s, m or h.\n", out);
	if (cmd->text)
		fprintf(out, "\n%s", cmd->text);
	for (unsigned int i = 0; i < command_columns(cmd, sets); i++) {
		if (sets[i].heading)
			fprintf(out, "\n%s:\n", sets[i].heading);
		print_columns(out, sets[i].set);
	}
}

/* getopt_long takes abbreviations; scripts written with one would break later. */
static void refuse_abbreviation(const struct command *cmd, char **argv, const char *full)
{
	const char *word = argv[optind - 1];
	size_t len;

	if (optarg == word)
		word = argv[optind - 2];
	len = strcspn(word, "=");
	if (strlen(full) + 2 != len || strncmp(word + 2, full, len - 2))
		usage_error(cmd, "unknown option: %.*s", (int)len, word);
}

static void unknown_option(const struct command *cmd, const char *word)
{
	const struct attr *attr = NULL;

	if (cmd->attr_flags & ATTR_SET && !strncmp(word, "--", 2))
		attr = attr_by_name(&topic_attrs, word + 2);
	if (attr && attr->flags & ATTR_ADD)
		usage_error(cmd, "--%s is fixed when a topic is created", attr->name);
	usage_error(cmd, "unknown option: %s", word);
}

int parse_options(const struct command *cmd, int argc, char **argv, opt_fn fn, void *ctx)
{
	struct option longs[2 * OPTS_MAX + 1] = { 0 };
	char negated[OPTS_MAX][40], letters[2 * OPTS_MAX + 2] = ":";
	struct opt opts[OPTS_MAX];
	unsigned int n = collect_options(cmd, opts), longs_n = 0;
	int c, index;
	bool on;

	/* val: the option's number, 256 on; OPTS_MAX more if it is negated. */
	for (unsigned int i = 0; i < n; i++) {
		longs[longs_n++] = (struct option) {
			opts[i].name, opts[i].metavar ? required_argument : no_argument,
			NULL, 256 + i
		};
		if (opts[i].negatable) {
			snprintf(negated[i], sizeof(negated[i]), "no-%s", opts[i].name);
			longs[longs_n++] = (struct option) {
				negated[i], no_argument, NULL, 256 + OPTS_MAX + i
			};
		}
		if (opts[i].letter)
			snprintf(letters + strlen(letters), 3, "%c%s", opts[i].letter,
				 opts[i].metavar ? ":" : "");
	}
	opterr = 0;
	optind = 0;
	for (;;) {
		index = -1;
		c = getopt_long(argc, argv, letters, longs, &index);
		if (c < 0)
			return optind;
		if (c == ':')
			usage_error(cmd, "%s needs a value", argv[optind - 1]);
		if (c == '?' && optopt && optopt < 256)
			usage_error(cmd, "unknown option: -%c", optopt);
		if (c == '?')
			unknown_option(cmd, argv[optind - 1]);
		on = c < 256 + OPTS_MAX;
		if (index >= 0) {
			refuse_abbreviation(cmd, argv, longs[index].name);
			index = c - 256 - (on ? 0 : OPTS_MAX);
		} else {
			for (index = 0; opts[index].letter != c; index++)
				;
		}
		if (!strcmp(opts[index].name, help_option.name)) {
			print_help(cmd, stdout);
			exit(finish(EXIT_DONE));
		}
		fn(ctx, &opts[index], optarg, on);
	}
}

int parse_operands(const struct command *cmd, int argc, char **argv, opt_fn fn, void *ctx,
		   int min, int max)
{
	int first = parse_options(cmd, argc, argv, fn, ctx);
	int n = argc - first;

	if (n < min)
		usage_error(cmd, "needs %s", cmd->operands);
	if (max >= 0 && n > max)
		usage_error(cmd, "unexpected operand: %s", argv[first + max]);
	return first;
}
