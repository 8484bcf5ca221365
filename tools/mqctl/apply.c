// SPDX-License-Identifier: GPL-2.0
/* mqctl apply: makes the kernel's topics equal to the configuration. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <mq/netlink.h>

#include "conf.h"
#include "mqctl.h"
#include "nl.h"

#define CONF_DIR	"/etc/mq"

enum action { KEEP, CREATE, CHANGE, DELETE };

/* One topic, of the configuration, the kernel or both. */
struct step {
	enum action action;
	const char *name;
	const struct conf_topic *want;		/* NULL: no file names it */
	struct nlattr *have[ATTR_TYPE_MAX];	/* all NULL: the kernel has it not */
	struct nlattr *stats[ATTR_TYPE_MAX];
	bool failed;
};

struct plan {
	bool dry_run;
	bool prune;
	struct conf conf;
	struct answers answers;
	struct step *steps;
	size_t count;
	unsigned int errors;
};

static void apply_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct plan *plan = ctx;

	(void)value;
	(void)on;
	if (!strcmp(opt->name, "dry-run"))
		plan->dry_run = true;
	else
		plan->prune = true;
}

/* What @step is to change: the kernel has another value than the files. */
static bool differs(const struct step *step, const struct attr *attr)
{
	const struct nlattr *want = step->want ? step->want->tb[attr->type] : NULL;

	if (!conf_is_key(attr) || !want)
		return false;
	/* An empty string is not there, and an older module has not all attributes. */
	if (!step->have[attr->type])
		return step->want->lines[attr->type] &&
		       (attr->kind != ATTR_STRING || nla_len(want) > 1);
	return !conf_equal(want, step->have[attr->type]);
}

/* "ring-bytes = 8M" */
static char *assignment(const struct attr *attr, const struct nlattr *nla)
{
	char *value = nla ? attr_text(attr, nla, false) : strdup(""), *text;

	if (!value || asprintf(&text, "%s = %s", attr->name, value) < 0)
		die("out of memory");
	free(value);
	return text;
}

static void __attribute__((format(printf, 4, 5)))
refuse(struct plan *plan, const struct step *step, const struct attr *attr, const char *fmt, ...)
{
	const struct conf_topic *want = step->want;
	unsigned int line = want->lines[attr->type];
	char *text = assignment(attr, want->tb[attr->type]);
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	say("%s:%u: topic %s: %s%s: %s", want->file, line ? line : want->line, want->name, text,
	    line ? "" : " (the default)", why);
	free(text);
	plan->errors++;
}

static uint32_t open_files(const struct step *step)
{
	const struct nlattr *readers = step->stats[MQ_A_STATS_READERS];
	const struct nlattr *writers = step->stats[MQ_A_STATS_WRITERS];

	return (readers ? nla_get_u32(readers) : 0) + (writers ? nla_get_u32(writers) : 0);
}

/* Says what the kernel would refuse, before anything is changed. */
static void check_change(struct plan *plan, const struct step *step, const struct attr *attr)
{
	const struct nlattr *have = step->have[attr->type];
	const struct nlattr *want = step->want->tb[attr->type];
	char *was;

	if (!have && attr->kind != ATTR_STRING) {
		refuse(plan, step, attr, "the loaded module does not know %s", attr->name);
		return;
	}
	was = have ? attr_text(attr, have, false) : strdup("none");
	if (!was)
		die("out of memory");
	if (!(attr->flags & ATTR_SET))
		refuse(plan, step, attr,
		       "fixed when a topic is created, and the topic has %s: set that, or delete the topic ('mqctl topic del %s') and apply again",
		       was, step->name);
	else if (attr->type == MQ_A_TOPIC_PARTITIONS && nla_get_u32(want) < nla_get_u32(have))
		refuse(plan, step, attr,
		       "partitions can only grow, and the topic has %s: set that, or delete the topic ('mqctl topic del %s') and apply again",
		       was, step->name);
	else if (attr->type == MQ_A_TOPIC_FRAMING && open_files(step))
		refuse(plan, step, attr,
		       "fixed while a file of the topic is open, and %u are: close them and apply again",
		       open_files(step));
	free(was);
}

/* A given id must be free. */
static void check_create(struct plan *plan, const struct step *step)
{
	const struct nlattr *id = step->want->tb[MQ_A_TOPIC_ID];

	for (size_t i = 0; id && i < plan->count; i++) {
		const struct step *other = &plan->steps[i];

		if (other == step)
			break;
		if (conf_equal(id, other->have[MQ_A_TOPIC_ID]) ||
		    (other->want && conf_equal(id, other->want->tb[MQ_A_TOPIC_ID])))
			refuse(plan, step, attr_by_type(&topic_attrs, MQ_A_TOPIC_ID),
			       "topic %s has this id", other->name);
	}
}

static struct step *add_step(struct plan *plan, const char *name)
{
	struct step *step;

	plan->steps = reallocarray(plan->steps, plan->count + 1, sizeof(*plan->steps));
	if (!plan->steps)
		die("out of memory");
	step = &plan->steps[plan->count++];
	*step = (struct step) { .name = name };
	return step;
}

/* What the kernel has comes first, by name, then what is to be created. */
static void make_steps(struct plan *plan)
{
	struct nlattr *tb[ATTR_TYPE_MAX], *stats[ATTR_TYPE_MAX];
	struct step *step;

	answers_sort(&plan->answers);
	for (size_t i = 0; i < plan->answers.count; i++) {
		topic_answer(plan->answers.msgs[i], tb, stats);
		step = add_step(plan, nla_get_string(tb[MQ_A_TOPIC_NAME]));
		memcpy(step->have, tb, sizeof(tb));
		memcpy(step->stats, stats, sizeof(stats));
		step->want = conf_find(&plan->conf, step->name);
		if (!step->want)
			step->action = plan->prune ? DELETE : KEEP;
		for (unsigned int n = 0; step->want && n < topic_attrs.count; n++) {
			if (!differs(step, &topic_attrs.attrs[n]))
				continue;
			step->action = CHANGE;
			check_change(plan, step, &topic_attrs.attrs[n]);
		}
	}
	for (size_t i = 0, known = plan->count; i < plan->conf.topics_n; i++) {
		const struct conf_topic *want = &plan->conf.topics[i];
		size_t n;

		for (n = 0; n < known && strcmp(plan->steps[n].name, want->name); n++)
			;
		if (n < known)
			continue;
		step = add_step(plan, want->name);
		step->want = want;
		step->action = CREATE;
		check_create(plan, step);
	}
}

/* As a diff of what showconf prints. */
static void print_step(const struct step *step)
{
	static const char marks[] = {
		[KEEP] = ' ', [CREATE] = '+', [CHANGE] = ' ', [DELETE] = '-'
	};
	char *text;

	if (step->action == KEEP && step->want)
		return;
	printf("%c[topic %s]", marks[step->action], step->name);
	puts(step->action == KEEP ? " is in no file: kept (--prune deletes it)" : "");
	for (unsigned int i = 0; step->want && i < topic_attrs.count; i++) {
		const struct attr *attr = &topic_attrs.attrs[i];

		if (!conf_is_key(attr))
			continue;
		if (step->action == CHANGE && differs(step, attr)) {
			text = assignment(attr, step->have[attr->type]);
			printf("-%s\n", text);
			free(text);
		}
		if (step->action == CHANGE ? differs(step, attr) : step->want->lines[attr->type]) {
			text = assignment(attr, step->want->tb[attr->type]);
			printf("+%s\n", text);
			free(text);
		}
	}
}

static bool do_step(struct step *step)
{
	static const int cmds[] = {
		[CREATE] = MQ_CMD_TOPIC_NEW, [CHANGE] = MQ_CMD_TOPIC_SET, [DELETE] = MQ_CMD_TOPIC_DEL
	};
	const struct conf_topic *want = step->want;
	char *texts[ATTR_TYPE_MAX] = { 0 };
	struct request req;
	bool ok;

	if (want)
		set_context("apply: %s:%u: topic %s", want->file, want->line, step->name);
	else
		set_context("apply: topic %s", step->name);
	request_init(&req, &topic_attrs, cmds[step->action], 0);
	req.conf = true;
	request_put_name(&req, MQ_A_TOPIC_NAME, step->name);
	/* Of the topic that was looked at, not of one that was made meanwhile. */
	if (step->action != CREATE && step->have[MQ_A_TOPIC_ID] &&
	    nla_put(req.msg, MQ_A_TOPIC_ID, nla_len(step->have[MQ_A_TOPIC_ID]),
		    nla_data(step->have[MQ_A_TOPIC_ID])))
		die("out of memory");
	for (unsigned int i = 0; want && i < topic_attrs.count; i++) {
		const struct attr *attr = &topic_attrs.attrs[i];
		struct nlattr *nla = want->tb[attr->type];

		if (!conf_is_key(attr) ||
		    (step->action == CHANGE ? !differs(step, attr) : !want->lines[attr->type]))
			continue;
		texts[attr->type] = attr_text(attr, nla, false);
		req.text[attr->type] = texts[attr->type];
		if (nla_put(req.msg, attr->type, nla_len(nla), nla_data(nla)))
			die("out of memory");
	}
	ok = request_send(&req);
	step->failed = !ok;
	/* Without the right to it none of the others will be done, either. */
	if (req.error == EPERM)
		exit(finish(EXIT_FAILED));
	request_free(&req);
	for (unsigned int i = 0; i < ATTR_TYPE_MAX; i++)
		free(texts[i]);
	set_context("apply");
	return ok;
}

/* The changes first, the deletions only if nothing else went wrong. */
static void do_steps(struct plan *plan)
{
	for (int last = 0; last < 2; last++) {
		for (size_t i = 0; i < plan->count; i++) {
			struct step *step = &plan->steps[i];

			if ((step->action == DELETE) != last)
				continue;
			if (last && plan->errors) {
				say("topic %s is not deleted: not all else was done", step->name);
				step->failed = true;
			} else if (step->action != KEEP && !plan->dry_run && !do_step(step)) {
				plan->errors++;
			} else {
				print_step(step);
				fflush(stdout);
			}
		}
	}
}

static void print_totals(const struct plan *plan)
{
	unsigned int done[DELETE + 1] = { 0 }, failed = 0, same = 0;
	const char *would = plan->dry_run ? "would be done: " : "";

	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = &plan->steps[i];

		if (step->failed)
			failed++;
		else if (step->action != KEEP)
			done[step->action]++;
		else
			same += step->want != NULL;
	}
	if (!failed && !done[CREATE] && !done[CHANGE] && !done[DELETE]) {
		printf("nothing to do: %u topic%s as configured\n", same, same == 1 ? " is" : "s are");
		return;
	}
	printf("%s%u created, %u changed, %u deleted; %u as configured before\n", would,
	       done[CREATE], done[CHANGE], done[DELETE], same);
	if (failed)
		say("not done: %u of %u changes", failed,
		    failed + done[CREATE] + done[CHANGE] + done[DELETE]);
}

static int apply_run(const struct command *cmd, int argc, char **argv)
{
	struct plan plan = { 0 };
	int first = parse_operands(cmd, argc, argv, apply_option, &plan, 0, -1);
	int status = EXIT_FAILED;

	if (first == argc)
		conf_read(&plan.conf, CONF_DIR);
	for (int i = first; i < argc; i++)
		conf_read(&plan.conf, argv[i]);
	conf_complete(&plan.conf);
	plan.errors = plan.conf.errors;
	if (plan.prune && !plan.errors && !plan.conf.topics_n) {
		say("no topic is configured, and --prune would delete all there are: 'mqctl topic del' does that");
		plan.errors++;
	}
	if (!plan.errors && ask_topics(NULL, &plan.answers))
		make_steps(&plan);
	else if (!plan.errors)
		goto out;
	if (plan.errors) {
		say("nothing was changed");
		goto out;
	}
	do_steps(&plan);
	print_totals(&plan);
	if (!plan.errors)
		status = EXIT_DONE;
out:
	free(plan.steps);
	answers_free(&plan.answers);
	conf_free(&plan.conf);
	return status;
}

static const struct opt apply_opts[] = {
	{ "dry-run", 'n', false, NULL, "only show what would be done", NULL },
	{ "prune", 0, false, NULL, "delete topics that no file names", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_apply = {
	.name = "apply", .operands = "[FILE|DIR...]",
	.summary = "Make the topics equal to configuration files (default " CONF_DIR ")",
	.opts = apply_opts,
	.text = "Of a directory the files *.conf are read, in the order of their names; mq.conf(5)\n"
		"tells what stands in them. What a file does not say of a topic is the default.\n"
		"All files are read, and all is checked that can be, before the first change. What\n"
		"was done is printed as a diff of what showconf prints; topics that no file names\n"
		"are kept. A second apply finds nothing to do. With --dry-run the status is 0, too,\n"
		"unless the files are wrong or ask for what cannot be.\n",
	.run = apply_run,
};
