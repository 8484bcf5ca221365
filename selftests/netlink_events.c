// SPDX-License-Identifier: GPL-2.0
/*
 * Events: created, changed, deleted with the topic's full state, in the order
 * in which they happened; overruns, at most one a second, their sums exact.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "mqtest.h"

#define RING	4096
#define BUFFER	(4 << 20)

struct event {
	uint8_t cmd;
	struct topic_info info;		/* of a topic's event */
	char topic[MQ_TOPIC_NAME_MAX + 1];
	uint8_t id[MQ_TOPIC_ID_LEN];
	uint64_t lost;			/* of an overrun */
	uint64_t overruns;
	uint64_t time;			/* when it came, now_ns() */
};

static void parse(struct event *e, struct nlmsghdr *nlh)
{
	struct nlattr *tb[MQ_A_OVERRUN_MAX + 1];

	memset(e, 0, sizeof(*e));
	e->time = now_ns();
	e->cmd = ((struct genlmsghdr *)nlmsg_data(nlh))->cmd;
	if (e->cmd != MQ_CMD_OVERRUN_NTF) {
		topic_parse(nlh, &e->info);
		strcpy(e->topic, e->info.name);
		memcpy(e->id, e->info.id, sizeof(e->id));
		return;
	}
	need(!genlmsg_parse(nlh, 0, tb, MQ_A_OVERRUN_MAX, NULL));
	need(tb[MQ_A_OVERRUN_TOPIC] && tb[MQ_A_OVERRUN_TOPIC_ID] && tb[MQ_A_OVERRUN_LOST] &&
	     tb[MQ_A_OVERRUN_OVERRUNS]);
	nla_strlcpy(e->topic, tb[MQ_A_OVERRUN_TOPIC], sizeof(e->topic));
	memcpy(e->id, nla_data(tb[MQ_A_OVERRUN_TOPIC_ID]), sizeof(e->id));
	e->lost = nla_get_u64(tb[MQ_A_OVERRUN_LOST]);
	e->overruns = nla_get_u64(tb[MQ_A_OVERRUN_OVERRUNS]);
}

/* The next event within @ms milliseconds, or false. */
static bool next(int fd, struct event *e, int ms)
{
	static char buf[65536];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t len;

	if (poll(&p, 1, ms) != 1)
		return false;
	len = recv(fd, buf, sizeof(buf), 0);
	need(len >= (ssize_t)(NLMSG_HDRLEN + GENL_HDRLEN));
	need_eq(((struct nlmsghdr *)buf)->nlmsg_type, nl_family());
	parse(e, (struct nlmsghdr *)buf);
	return true;
}

/* The next event is this command, about this topic. */
static struct event expect_event(int fd, uint8_t cmd, const char *topic)
{
	struct event e = { 0 };

	if (!next(fd, &e, SOON * 1000)) {
		fail("no event came, expected command %d of %s", cmd, topic);
		mqt_end();
	}
	if (e.cmd != cmd || strcmp(e.topic, topic)) {
		fail("event %d of %s, expected %d of %s", e.cmd, e.topic, cmd, topic);
		mqt_end();
	}
	return e;
}

static void expect_quiet(int fd)
{
	struct event e;

	if (next(fd, &e, 200))
		fail("unexpected event %d of %s", e.cmd, e.topic);
}

TEST(life, "created, changed, deleted come with the topic's full state")
{
	int fd = nl_listener(BUFFER);
	const char *t = topic_new(.ring_bytes = 65536, .partitions = 3, .mode = 0640,
				  .framing = MQ_FRAMING_LINE);
	struct topic_info info;
	struct event e;
	int w;

	need_eq(topic_get(t, &info), 0);
	e = expect_event(fd, MQ_CMD_TOPIC_CREATED_NTF, t);
	expect_mem(e.id, 16, info.id, 16);
	expect_eq(e.info.o.set, info.o.set);
	expect_eq(e.info.o.partitions, 3);
	expect_eq(e.info.o.ring_bytes, 65536);
	expect_eq(e.info.o.mode, 0640);
	expect_eq(e.info.o.framing, MQ_FRAMING_LINE);
	expect_eq(e.info.created, info.created);
	expect_eq(e.info.minor, info.minor);
	expect_eq(e.info.stats.seen, info.stats.seen);

	expect(topic_set(t, .partitions = 4, .overflow = MQ_OVERFLOW_REJECT));
	e = expect_event(fd, MQ_CMD_TOPIC_CHANGED_NTF, t);
	expect_eq(e.info.o.partitions, 4);
	expect_eq(e.info.o.overflow, MQ_OVERFLOW_REJECT);
	expect_mem(e.id, 16, info.id, 16);

	need_ret(chmod(topic_path(t, ""), 0604), 0);
	e = expect_event(fd, MQ_CMD_TOPIC_CHANGED_NTF, t);
	expect_eq(e.info.o.mode, 0604);

	w = topic_open(t, "", O_WRONLY);
	need_ret(write(w, "one\ntwo\n", 8), 8);
	need_eq(topic_del(t), 0);
	e = expect_event(fd, MQ_CMD_TOPIC_DELETED_NTF, t);
	expect_mem(e.id, 16, info.id, 16);
	expect_eq(e.info.o.partitions, 4);
	expect_eq(e.info.stats.messages_in, 2);
	expect_eq(e.info.stats.bytes_in, 8);
	expect_eq(e.info.stats.writers, 1);
	close(w);
	expect_quiet(fd);
}

TEST(nothing, "what changes nothing says nothing")
{
	const char *t = topic_new(.ring_bytes = RING);
	int fd = nl_listener(BUFFER);

	expect_eq(topic_change(&(struct topic_opts) { .name = t }), 0);
	expect_eq(topic_change(&(struct topic_opts) { .name = t, .mode = 0644,
						      .ring_bytes = 65536 }), -EBUSY);
	expect_eq(topic_add(&(struct topic_opts) { .name = t }), -EEXIST);
	expect_eq(topic_add(&(struct topic_opts) { .name = "nothing", .ring_bytes = 5 }), -EINVAL);
	expect_eq(topic_del("nothing"), -ENOENT);
	expect_quiet(fd);
}

struct elsewhere {
	volatile int ready;
	const char *topic;
	bool drop;
};

static void listen_elsewhere(void *arg)
{
	struct elsewhere *x = arg;
	struct event e;
	int fd;

	need_ret(unshare(CLONE_NEWNET), 0);
	if (x->drop) {
		need_ret(setgroups(0, NULL), 0);
		need_ret(setresuid(1000, 1000, 1000), 0);
	}
	fd = nl_listener(BUFFER);
	x->ready = 1;
	e = expect_event(fd, MQ_CMD_TOPIC_CREATED_NTF, x->topic);
	expect_eq(e.info.o.ring_bytes, RING);
	expect_event(fd, MQ_CMD_TOPIC_DELETED_NTF, x->topic);
}

TEST(elsewhere, "events reach other network namespaces, and uid 1000")
{
	struct elsewhere *x = shared_alloc(sizeof(*x));
	pid_t pid;

	for (int drop = 0; drop < 2; drop++) {
		x->topic = topic_name();
		x->ready = 0;
		x->drop = drop;
		pid = child_start(listen_elsewhere, x);
		need(wait_until(x->ready, SOON));
		need_eq(topic_add(&(struct topic_opts) { .name = x->topic, .ring_bytes = RING }), 0);
		need_eq(topic_del(x->topic), 0);
		child_ok(pid, SOON);
	}
}

/* Makes a reader that stands at the start lose messages, and notice. */
static uint64_t overrun(int r, int w)
{
	static char msg[RING / 4];
	uint64_t before = file_stat(r).lost_messages;
	char byte;

	for (int i = 0; i < 7; i++)
		need_ret(write(w, msg, sizeof(msg)), sizeof(msg));
	expect_err(read(r, &byte, 1), ENOBUFS);
	return file_stat(r).lost_messages - before;
}

TEST(overruns, "overruns: one event at once, further ones each second, the sums exact")
{
	uint64_t start = 0, lost = 0, sum = 0, overruns = 0, n = 0, last = 0;
	struct topic_stats stats;
	int fd = nl_listener(BUFFER), w, r;
	struct event e = { 0 };
	const char *t;

	/* The first, of a new topic: at once, if the machine is not too busy. */
	for (int i = 0; i < 10; i++) {
		t = topic_new(.ring_bytes = RING);
		expect_event(fd, MQ_CMD_TOPIC_CREATED_NTF, t);
		w = topic_open(t, "", O_WRONLY);
		r = topic_open(t, "", O_RDONLY);
		start = now_ns();
		lost = overrun(r, w);
		expect(lost > 0);
		e = expect_event(fd, MQ_CMD_OVERRUN_NTF, t);
		expect_eq(e.lost, lost);
		expect_eq(e.overruns, 1);
		if (e.time - start < 900000000)
			break;
	}
	expect(e.time - start < 900000000);
	last = e.time;

	/* And 300 more within three seconds. */
	for (int i = 0; i < 300; i++) {
		lost += overrun(r, w);
		sleep_ms(10);
	}
	for (sum = e.lost, overruns = e.overruns; overruns < 301; n++) {
		if (!next(fd, &e, 3000)) {
			fail("%llu of 301 overruns announced", (unsigned long long)overruns);
			break;
		}
		need_eq(e.cmd, MQ_CMD_OVERRUN_NTF);
		sum += e.lost;
		overruns += e.overruns;
	}
	expect_eq(sum, lost);
	expect_eq(overruns, 301);
	/* At most one each second, the last one within a second. */
	expect(n <= (now_ns() - last) / 1000000000 + 1);
	expect(n >= 3);
	note("%llu events for 300 overruns in %llu ms", (unsigned long long)n,
	     (unsigned long long)(now_ns() - last) / 1000000);
	stats = topic_counters(t);
	expect_eq(stats.lost, sum);
	expect_eq(stats.overruns, overruns);
	expect_quiet(fd);
}

TEST(flushed, "a deletion announces what was not announced yet, then itself")
{
	const char *t = topic_new(.ring_bytes = RING);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY);
	int late = topic_open(t, "", O_RDONLY);
	int fd = nl_listener(BUFFER);
	struct topic_stats stats;
	uint64_t first, lost = 0, missed;
	struct event e;
	char byte;

	first = overrun(r, w);
	e = expect_event(fd, MQ_CMD_OVERRUN_NTF, t);
	expect_eq(e.lost, first);
	for (int i = 0; i < 5; i++)
		lost += overrun(r, w);
	stats = topic_counters(t);
	need_eq(topic_del(t), 0);
	e = expect_event(fd, MQ_CMD_OVERRUN_NTF, t);
	expect_eq(e.lost, lost);
	expect_eq(e.overruns, 5);
	e = expect_event(fd, MQ_CMD_TOPIC_DELETED_NTF, t);
	expect_eq(e.info.stats.lost, first + lost);
	expect_eq(e.info.stats.lost, stats.lost);
	expect_eq(e.info.stats.overruns, 6);

	/* Who reads what is left of it, and had lost before, is told of, too. */
	expect_err(read(late, &byte, 1), ENOBUFS);
	missed = file_stat(late).lost_messages;
	expect(missed > 0);
	e = expect_event(fd, MQ_CMD_OVERRUN_NTF, t);
	expect_eq(e.lost, missed);
	expect_eq(e.overruns, 1);
}

#define ROUNDS	100

static void fight(void *arg)
{
	const char *name = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int ret = topic_add(&(struct topic_opts) { .name = name, .ring_bytes = RING });

		expect(ret == 0 || ret == -EEXIST);
		ret = topic_change(&(struct topic_opts) { .name = name, .sync_timeout = i });
		expect(ret == 0 || ret == -ENOENT || ret == -ENODEV);
		ret = topic_del(name);
		expect(ret == 0 || ret == -ENOENT);
	}
}

TEST(order, "events of a fought-over name come in the order of what happened")
{
	const char *name = topic_name();
	int fd = nl_listener(BUFFER);
	pid_t pids[3];
	struct event e;
	uint8_t id[MQ_TOPIC_ID_LEN] = { 0 };
	unsigned int created = 0, changed = 0, deleted = 0;

	for (int i = 0; i < 3; i++)
		pids[i] = child_start(fight, (void *)name);
	for (int i = 0; i < 3; i++)
		child_ok(pids[i], SOON);
	while (next(fd, &e, 500)) {
		need_eq(strcmp(e.topic, name), 0);
		if (e.cmd == MQ_CMD_TOPIC_CREATED_NTF) {
			/* One at a time: the one before is gone. */
			expect_eq(created++, deleted);
			expect(memcmp(e.id, id, sizeof(id)));
			memcpy(id, e.id, sizeof(id));
		} else {
			expect_mem(e.id, 16, id, 16);
			expect_eq(created, deleted + 1);
			changed += e.cmd == MQ_CMD_TOPIC_CHANGED_NTF;
			deleted += e.cmd == MQ_CMD_TOPIC_DELETED_NTF;
		}
	}
	expect_eq(created, deleted);
	expect(created >= ROUNDS);
	note("%u created, %u changed, %u deleted", created, changed, deleted);
}

TEST(deaf, "a listener that does not read stalls nobody and is told")
{
	int fd = nl_listener(4096);
	char buf[4096];
	ssize_t ret;

	for (int i = 0; i < 50; i++) {
		const char *t = topic_name();

		expect_eq(topic_add(&(struct topic_opts) { .name = t, .ring_bytes = RING }), 0);
		expect_eq(topic_del(t), 0);
	}
	do {
		ret = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	} while (ret > 0);
	expect_eq(errno, ENOBUFS);
}
