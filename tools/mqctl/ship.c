// SPDX-License-Identifier: GPL-2.0
/* mqctl ship: brings topics to a receiver on another machine. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "ship.h"

static void ship_option(void *ctx, const struct opt *opt, const char *value, bool on)
{
	struct ship *ship = ctx;
	const char *why;
	uint64_t ns = 0;

	(void)on;
	if (!strcmp(opt->name, "raw")) {
		ship->raw = true;
	} else if (!strcmp(opt->name, "until-end")) {
		ship->until_end = true;
	} else {
		why = parse_duration(value, &ns);
		if (!why && ns < NSEC_PER_SEC)
			why = "must be at least 1s";
		check_value(ship->cmd, opt, value, why);
		ship->timeout = ns / NSEC_PER_MSEC;
	}
}

void ship_end(struct ship *ship)
{
	ship->ended = true;
	uv_stop(&ship->loop);
}

void ship_check_done(struct ship *ship)
{
	bool alive = false;

	if (ship->streams_n)
		return;
	for (unsigned int i = 0; i < ship->topics_n && !ship->until_end; i++)
		alive |= !ship->topics[i].failed;
	if (alive)
		return;
	if (ship->raw && !ship->failed)
		ship_link_finish(ship->link);
	else
		ship_end(ship);
}

/* Whether there is nothing that a receiver ought to have and has not. */
static bool settled(const struct ship *ship)
{
	if (!ship_link_up(ship->link))
		return false;
	for (unsigned int i = 0; i < SHIP_STREAMS; i++) {
		const struct ship_stream *stream = ship->streams[i];

		if (stream && (stream->state != STREAM_WAITING ||
			       (!ship->raw && stream->acked != stream->shipped)))
			return false;
	}
	return true;
}

static void on_tick(uv_timer_t *timer)
{
	struct ship *ship = timer->data;

	ship_link_tick(ship->link);
	/* Topics made anew, and partitions that were added. */
	for (unsigned int i = 0; i < ship->topics_n && !ship->until_end; i++) {
		if (!ship->topics[i].failed)
			ship_topic_open(&ship->topics[i], false);
	}
	if (settled(ship))
		ship->progress = uv_now(&ship->loop);
	if (ship->timeout && uv_now(&ship->loop) - ship->progress > ship->timeout)
		die("%s: nothing got there for %u s: given up", ship->where,
		    (unsigned int)(ship->timeout / 1000));
}

static void take_topics(struct ship *ship, char **argv)
{
	ship->topics = calloc(ship->topics_n, sizeof(*ship->topics));
	if (!ship->topics)
		die("out of memory");
	for (unsigned int i = 0; i < ship->topics_n; i++) {
		struct ship_topic *topic = &ship->topics[i];

		topic->ship = ship;
		topic_operand(ship->cmd, argv[i], &topic->ref);
		for (unsigned int j = 0; j < i; j++) {
			const struct topic_ref *other = &ship->topics[j].ref;

			if (!strcmp(other->name, topic->ref.name) &&
			    (other->partition == topic->ref.partition || other->partition < 0 ||
			     topic->ref.partition < 0))
				usage_error(ship->cmd, "%s stands twice", argv[i]);
		}
	}
}

static int ship_run(const struct command *cmd, int argc, char **argv)
{
	static struct ship ship;
	uv_timer_t tick;
	const char *why;
	int first;

	ship.cmd = cmd;
	first = parse_operands(cmd, argc, argv, ship_option, &ship, 2, -1);
	ship.where = argv[argc - 1];
	why = ship_parse_address(ship.where, true, &ship.address);
	if (why)
		usage_error(cmd, "%s: %s", ship.where, why);
	ship.topics_n = argc - 1 - first;
	if (ship.raw && ship.topics_n > 1)
		usage_error(cmd, "--raw cannot keep several topics apart");
	take_topics(&ship, argv + first);

	/* Two files a partition. */
	ship_loop_init(&ship.loop);
	TAILQ_INIT(&ship.queue);
	for (unsigned int i = 0; i < ship.topics_n; i++) {
		set_context("ship %s", argv[first + i]);
		ship_topic_open(&ship.topics[i], true);
	}
	set_context("ship");
	uv_timer_init(&ship.loop, &tick);
	tick.data = &ship;
	uv_timer_start(&tick, on_tick, 1000, 1000);
	ship.progress = uv_now(&ship.loop);
	ship_link_start(&ship);
	uv_run(&ship.loop, UV_RUN_DEFAULT);
	if (ship.until_end && !ship.ended) {
		say("%s: interrupted: not all is known to be there", ship.where);
		return EXIT_FAILED;
	}
	return ship.failed ? EXIT_FAILED : EXIT_DONE;
}

static const struct opt ship_opts[] = {
	{ "until-end", 'u', false, NULL,
	  "end when all is there that the topics hold now, instead of following them", NULL },
	{ "raw", 0, false, NULL,
	  "only the payloads of one partition, to any TCP receiver (nc); what is under way "
	  "when the connection is lost is lost, too", NULL },
	{ "timeout", 0, false, "DURATION",
	  "fail if for so long there is something to ship and nothing gets there (default: "
	  "try for ever)", NULL },
	{ NULL, 0, false, NULL, NULL, NULL }
};

const struct command cmd_ship = {
	.name = "ship", .operands = "TOPIC[@N]... HOST:PORT",
	.summary = "Bring topics to 'mqctl receive' on another machine, without copying them",
	.opts = ship_opts,
	.text = "HOST is a name, an IPv4 address or an IPv6 address in brackets. The receiver\n"
		"says what it has on disk, and that is where shipping goes on, whatever was killed\n"
		"meanwhile; a lost connection is made again, after 50 ms to 10 s. A topic that is\n"
		"deleted and made anew, and partitions that are added, are shipped as they come.\n"
		"Bytes that were overwritten before they could be sent are reported here, and what\n"
		"follows begins a new file there. A topic with hold=readers keeps what is not\n"
		"acknowledged, as long as mqctl runs.\n"
		"\n"
		"DURATION is a number with ms, s, m or h. Nothing is encrypted: across an untrusted\n"
		"network use ssh, stunnel or WireGuard. SIGTERM and SIGINT end it in order; with --until-end\n"
		"that is a failure, unless all is there.\n",
	.run = ship_run,
};
