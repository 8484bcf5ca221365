// SPDX-License-Identifier: GPL-2.0
/* mqctl monitor: the family's events as they come. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <linux/genetlink.h>
#include <mq/netlink.h>
#include <netlink/genl/genl.h>

#include "mqctl.h"
#include "nl.h"

struct monitor {
	const struct command *cmd;
	char **topics;
	int topics_n;
	bool json;
	uint64_t count;		/* events still to print; 0: no limit */
	bool limited;
};

static const struct {
	int cmd;
	const char *name;
	const struct attr_set *set;
} events[] = {
	{ MQ_CMD_TOPIC_CREATED_NTF, "created", &topic_attrs },
	{ MQ_CMD_TOPIC_CHANGED_NTF, "changed", &topic_attrs },
	{ MQ_CMD_TOPIC_DELETED_NTF, "deleted", &topic_attrs },
	{ MQ_CMD_OVERRUN_NTF, "overrun", &overrun_attrs },
};

static void monitor_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct monitor *mon = ctx;

	(void)on;
	if (!strcmp(opt->name, "json")) {
		mon->json = true;
	} else {
		check_value(mon->cmd, opt, value, parse_u64(value, &mon->count));
		mon->limited = true;
	}
}

static void event_start(const struct monitor *mon, const char *name,
			struct json_object **object)
{
	char time[TEXT_MAX];

	format_time(now_ns(), time);
	if (mon->json) {
		*object = json_object_new_object();
		json_object_object_add(*object, "time", json_object_new_string(time));
		json_object_object_add(*object, "event", json_object_new_string(name));
	} else {
		printf("%s %s", time, name);
	}
}

static void event_attrs(const struct monitor *mon, struct json_object *object,
			const struct attr_set *set, struct nlattr **tb)
{
	for (unsigned int i = 0; i < set->count; i++) {
		const struct attr *attr = &set->attrs[i];
		char *text;

		if (!tb[attr->type])
			continue;
		if (mon->json) {
			json_object_object_add(object, attr->name,
					       attr_json(attr, tb[attr->type]));
			continue;
		}
		text = attr_text(attr, tb[attr->type], false);
		/* The topic's name stands by itself. */
		if (!strcmp(attr->name, "name") || !strcmp(attr->name, "topic"))
			printf(" %s", text);
		else
			printf(" %s=%s", attr->name, text);
		free(text);
	}
}

static void event_end(struct monitor *mon, struct json_object *object)
{
	if (mon->json)
		json_print_line(object);
	else
		putchar('\n');
	fflush(stdout);
	if (mon->limited && !--mon->count)
		stopped = 1;
}

static bool wanted(const struct monitor *mon, const struct nlattr *name)
{
	for (int i = 0; i < mon->topics_n; i++) {
		if (name && !strcmp(nla_get_string(name), mon->topics[i]))
			return true;
	}
	return !mon->topics_n;
}

static int on_event(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[ATTR_TYPE_MAX], *stats[ATTR_TYPE_MAX];
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	const struct genlmsghdr *genl = nlmsg_data(nlh);
	struct json_object *object = NULL;
	struct monitor *mon = arg;
	int err;

	if (stopped || !genlmsg_valid_hdr(nlh, 0))
		return NL_STOP;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i].cmd != genl->cmd)
			continue;
		err = attr_parse(events[i].set, nlh, tb, stats);
		if (err)
			die("an event that cannot be read: %s", nl_geterror(err));
		/* The name is the first attribute of either set. */
		if (!wanted(mon, tb[events[i].set->attrs[0].type]))
			return NL_OK;
		event_start(mon, events[i].name, &object);
		event_attrs(mon, object, events[i].set, tb);
		event_end(mon, object);
		return NL_OK;
	}
	/* An event of a newer module: at least that there was one. */
	event_start(mon, "unknown", &object);
	event_end(mon, object);
	return NL_OK;
}

/* The socket's buffer was full: events are gone, and nobody knows how many. */
static void events_lost(struct monitor *mon)
{
	struct json_object *object = NULL;

	say("events were lost: they came faster than they were read;"
	    " 'mqctl topic list' shows what there is now");
	if (!mon->json)
		return;
	event_start(mon, "lost", &object);
	json_print_line(object);
	fflush(stdout);
}

static int monitor_run(const struct command *cmd, int argc, char **argv)
{
	struct monitor mon = { .cmd = cmd };
	struct topic_ref ref;
	struct pollfd pfd;
	struct nl_sock *sk;
	int first, err;

	first = parse_operands(cmd, argc, argv, monitor_option, &mon, 0, -1);
	for (int i = first; i < argc; i++) {
		const char *why = parse_topic(argv[i], &ref);

		if (why || ref.partition >= 0)
			usage_error(cmd, "%s: %s", argv[i], why ? why : "not a topic's name");
	}
	mon.topics = argv + first;
	mon.topics_n = argc - first;
	if (mon.limited && !mon.count)
		usage_error(cmd, "--count 0: must be at least 1");

	catch_stop();
	sk = events_open();
	nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, on_event, &mon);
	pfd = (struct pollfd) { .fd = nl_socket_get_fd(sk), .events = POLLIN };
	while (!stopped && !ferror(stdout)) {
		if (wait_for(&pfd, 1, -1) < 0) {
			if (errno != EINTR)
				die("poll: %s", strerror(errno));
			continue;
		}
		err = nl_recvmsgs_default(sk);
		/* libnl makes NOMEM of ENOBUFS. */
		if (err == -NLE_NOMEM)
			events_lost(&mon);
		else if (err < 0 && err != -NLE_AGAIN && err != -NLE_INTR)
			die("netlink: %s", nl_geterror(err));
	}
	nl_socket_free(sk);
	return EXIT_DONE;
}

static const struct opt monitor_opts[] = {
	{ "json", 'j', false, NULL, "one JSON object a line", NULL },
	{ "count", 'c', false, "N", "end after N events", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_monitor = {
	.name = "monitor", .operands = "[TOPIC...]",
	.summary = "Show changes of topics, and overruns, as they happen",
	.opts = monitor_opts,
	.text = "Ends with SIGINT or SIGTERM. If events come faster than they are read, some are lost:\n"
		"that is said, and with --json printed as the event \"lost\".\n",
	.run = monitor_run,
};
