// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading: refused while anything is left, and $MQ_RELOADS times (default 20; 1,000 by
 * hand, with a greater $MQ_PATIENCE) under traffic (faults.md D.21). Leaves the module loaded and mounted, as it was.
 * TIMEOUT: 900
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "helpers/module.h"

#define TOPICS	5

/* Whatever the test before left: one that is loaded, mounted once, and empty. */
static void start_fresh(void)
{
	if (!module_loaded())
		module_load();
	if (!module_mounted())
		module_mount();
}

/* It stays loaded, because of @why. */
static void refused(const char *why)
{
	errno = 0;
	if (module_unload() != -1 || errno != EWOULDBLOCK) {
		fail("unloaded in spite of %s (%s)", why, mqt_errno(errno));
		mqt_end();
	}
	expect(module_loaded());
}

static bool lists(const char *path, const char *end)
{
	FILE *f = fopen(path, "r");
	char line[128];
	bool found = false;

	need(f);
	while (!found && fgets(line, sizeof(line), f))
		found = strlen(line) >= strlen(end) && !strcmp(line + strlen(line) - strlen(end), end);
	fclose(f);
	return found;
}

TEST(refused_, "D.21: unloading is refused while a mount, a topic, a file or a dump is left")
{
	struct {
		struct nlmsghdr nlh;
		struct genlmsghdr genl;
	} dump = {
		.nlh.nlmsg_len = sizeof(dump),
		.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.genl.cmd = MQ_CMD_PARTITION_GET,
		.genl.version = MQ_FAMILY_VERSION,
	};
	const struct mq_map_header *map;
	const char *t;
	int fd, nl;

	start_fresh();
	refused("the mount");
	t = topic_new(.ring_bytes = 4096, .partitions = 500);
	fd = topic_open(t, "", O_RDWR);
	module_unmount();
	refused("an open file and its topic");
	close(fd);
	sleep_ms(200);
	refused("a topic");

	module_mount();
	fd = topic_open(t, "@7", O_RDWR);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	need(map != MAP_FAILED);
	module_unmount();
	nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	need(nl >= 0);
	dump.nlh.nlmsg_type = nl_family();
	need_ret(write(nl, &dump, sizeof(dump)), sizeof(dump));
	need_eq(topic_del(t), 0);
	sleep_ms(200);
	refused("an open file of a deleted topic");
	close(fd);
	sleep_ms(500);
	refused("a map of a deleted topic's closed file");
	expect_eq(map->partition, 7);
	need_ret(munmap((void *)map, 4096), 0);
	sleep_ms(500);
	refused("a dump that was not read to its end");
	close(nl);
	wait_until(!module_unload(), SOON);
	expect(!module_loaded());
	expect(!lists("/proc/devices", " mq\n"));
	expect(!lists("/proc/filesystems", "\tmq\n"));
	start_fresh();
	expect(lists("/proc/devices", " mq\n"));
	expect(lists("/proc/filesystems", "\tmq\n"));
}

/* --- traffic ----------------------------------------------------------------- */

struct traffic {
	volatile int stop;
	volatile unsigned int written, read, dumped, opened;
};

/* Opens what is there, on and on; what is not there is no error. */
static void use(struct traffic *traffic, const char *options, int flags,
		volatile unsigned int *count)
{
	static char buf[4096];
	unsigned int i = 0;

	while (!traffic->stop) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "unload-%u", i++ % TOPICS);
		fd = topic_try_open(name, options, flags | O_NONBLOCK);
		if (fd < 0) {
			sleep_ms(1);
			continue;
		}
		__atomic_add_fetch(&traffic->opened, 1, __ATOMIC_RELAXED);
		for (int k = 0; k < 50; k++)
			if ((flags == O_WRONLY ? write(fd, buf, 500) : read(fd, buf, 4096)) > 0)
				++*count;
		close(fd);
	}
}

static void write_traffic(void *arg)
{
	struct traffic *traffic = arg;

	use(traffic, "", O_WRONLY, &traffic->written);
}

static void read_traffic(void *arg)
{
	struct traffic *traffic = arg;

	use(traffic, "", O_RDONLY, &traffic->read);
}

static void dump_traffic(void *arg)
{
	struct traffic *traffic = arg;

	while (!traffic->stop) {
		struct nl_sock *sk = nl_socket_alloc();
		struct nl_msg *msg = nlmsg_alloc();
		int family;

		need(sk && msg);
		need(!genl_connect(sk));
		family = genl_ctrl_resolve(sk, MQ_FAMILY_NAME);
		if (family > 0) {
			genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_DUMP,
				    MQ_CMD_TOPIC_GET, MQ_FAMILY_VERSION);
			/* Every other one is left unread. */
			if (nl_send_auto(sk, msg) > 0 && traffic->dumped & 1)
				nl_recvmsgs_default(sk);
			traffic->dumped++;
		}
		nlmsg_free(msg);
		nl_socket_free(sk);
		sleep_ms(1);
	}
}

/* In a process of its own: the family has another number after each load. */
static void make_topics(void *arg)
{
	(void)arg;
	for (int i = 0; i < TOPICS; i++) {
		struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_NEW, 0);
		uint64_t size = 16384 << i;
		char name[16];

		snprintf(name, sizeof(name), "unload-%d", i);
		need(!nla_put_string(msg, MQ_A_TOPIC_NAME, name));
		need(!nla_put(msg, MQ_A_TOPIC_RING_BYTES, sizeof(size), &size));
		need_eq(nl_call(msg, NULL, NULL), 0);
	}
}

static void delete_topics(void *arg)
{
	(void)arg;
	for (int i = 0; i < TOPICS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "unload-%d", i);
		need_eq(topic_del(name), 0);
	}
}

TEST_LIMIT(cycles, "D.21: many times unloaded and loaded under traffic", 800)
{
	const char *wanted = getenv("MQ_RELOADS");
	int cycles = wanted ? atoi(wanted) : 20;
	struct traffic *traffic = shared_alloc(sizeof(*traffic));
	void (*who[])(void *) = { write_traffic, read_traffic, dump_traffic };
	unsigned int tries = 0;
	pid_t pids[3];

	start_fresh();
	for (int i = 0; i < 3; i++)
		pids[i] = child_start(who[i], traffic);
	for (int cycle = 0; cycle < cycles && !failures(); cycle++) {
		unsigned int written = traffic->written, got = traffic->read;
		uint64_t end;

		need(child_ok(child_start(make_topics, NULL), SOON));
		wait_until(traffic->written > written && traffic->read > got, SOON);
		refused("its topics");
		/* The mount goes under open files, the topics too. */
		if (cycle & 1)
			module_unmount();
		need(child_ok(child_start(delete_topics, NULL), SOON));
		if (!(cycle & 1))
			module_unmount();
		end = deadline(SOON);
		for (tries++; module_unload(); tries++) {
			if (now_ns() > end) {
				fail("cycle %d: still in use after %d s", cycle, SOON);
				break;
			}
			sleep_ms(2);
		}
		expect(!module_loaded());
		start_fresh();
	}
	traffic->stop = 1;
	for (int i = 0; i < 3; i++)
		child_ok(pids[i], SOON);
	note("%d cycles, %u opened, %u written, %u read, %u dumps, %u tries to unload", cycles,
	     traffic->opened, traffic->written, traffic->read, traffic->dumped, tries);
	expect(traffic->dumped > 0);
}

/* --- what is still to come ------------------------------------------------------ */

#define PENDING	30

static const char *pending_name(int i)
{
	static char name[PENDING][16];

	snprintf(name[i], sizeof(name[i]), "pending-%d", i);
	return name[i];
}

static void lap(const char *t)
{
	static char msg[1024];
	int fd = topic_open(t, "", O_WRONLY);

	for (int i = 0; i < 100; i++)
		need_ret(write(fd, msg, sizeof(msg)), sizeof(msg));
	close(fd);
}

struct pending {
	volatile int ready, go;
};

/* Timers run, works are queued, and files are open, when all of it is deleted and left. */
static void leave_pending(void *arg)
{
	struct mq_watermark mark = { .size = sizeof(mark), .messages = 8, .delay = 500000000 };
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 1);
	struct mq_filter filter = { .size = sizeof(filter), .type = MQ_FILTER_CLASSIC,
				    .insns = (uintptr_t)&all, .len = 1 };
	struct pending *pending = arg;
	static char msg[1024];
	struct async writer;
	int fd, rd, room, p[2];

	for (int i = 0; i < PENDING; i++)
		need_eq(topic_add(&(struct topic_opts) {
			.name = pending_name(i), .ring_bytes = 16384, .ring_messages = 64,
			.partitions = 1 + (i > 5) * 2, .hold = i ? 0 : MQ_HOLD_READERS,
			.set = i ? 0 : MQT(OVERFLOW) }), 0);
	/* 1: less than the watermark waits for half a second. */
	rd = topic_open(pending_name(1), "", O_RDONLY | O_NONBLOCK);
	need_ret(ioctl(rd, MQ_IOC_WATERMARK, &mark), 0);
	fd = topic_open(pending_name(1), "", O_WRONLY);
	need_ret(write(fd, msg, 1), 1);
	/* 2: of the second overrun it is told a second after the first. */
	rd = topic_open(pending_name(2), "", O_RDONLY | O_NONBLOCK);
	for (int i = 0; i < 2; i++) {
		lap(pending_name(2));
		expect_err(read(rd, msg, sizeof(msg)), ENOBUFS);
	}
	/* 3: pages that are lent are looked at each second. */
	need_ret(pipe(p), 0);
	lap(pending_name(3));
	rd = topic_open(pending_name(3), "", O_RDONLY);
	expect_ret(splice(rd, NULL, p[1], NULL, 1, 0), 1);
	lap(pending_name(3));
	/* 4: a filter, replaced; a map. */
	rd = topic_open(pending_name(4), "", O_RDONLY);
	for (int i = 0; i < 2; i++)
		need_ret(ioctl(rd, MQ_IOC_FILTER, &filter), 0);
	need(mmap(NULL, 4096, PROT_READ, MAP_SHARED, rd, 0) != MAP_FAILED);
	/* 0: a writer is told of a little room later; last, for it is not much later. */
	rd = topic_open(pending_name(0), "", O_RDONLY);
	fd = topic_open(pending_name(0), "", O_WRONLY | O_NONBLOCK);
	while (write(fd, msg, 100) == 100)
		;
	need_eq(errno, EAGAIN);
	room = topic_open(pending_name(0), "", O_WRONLY);
	async_write(&writer, room, msg, sizeof(msg));
	wait_until(topic_counters(pending_name(0)).writers_waiting == 1, SOON);
	pending->ready = 1;
	wait_until(pending->go, SOON);
	need_ret(read(rd, msg, sizeof(msg)), 100);
	for (int i = 0; i < PENDING; i++)
		need_eq(topic_del(pending_name(i)), 0);
}

TEST_LIMIT(pending, "D.21: unloaded at once behind timers, works, RCU callbacks and files", 300)
{
	const char *wanted = getenv("MQ_RELOADS");
	int cycles = wanted ? atoi(wanted) : 20;
	struct pending *pending = shared_alloc(sizeof(*pending));
	unsigned int tries = 0;

	start_fresh();
	for (int cycle = 0; cycle < cycles && !failures(); cycle++) {
		uint64_t end = deadline(SOON);
		pid_t pid;

		pending->ready = pending->go = 0;
		pid = child_start(leave_pending, pending);
		if (!wait_until(pending->ready, SOON))
			break;
		refused("timers, works and files");
		module_unmount();
		/* As early as can be: while the child is still about it. */
		pending->go = 1;
		for (tries++; module_unload(); tries++) {
			if (now_ns() > end) {
				fail("cycle %d: still in use after %d s", cycle, SOON);
				break;
			}
			sched_yield();
		}
		child_ok(pid, SOON);
		/* Whatever was forgotten finds no module, now and then. */
		if (cycle % 5 == 0)
			sleep_ms(1500);
		start_fresh();
	}
	note("%d cycles, %u tries to unload", cycles, tries);
}

TEST(again, "afterwards it is loaded, mounted, and works")
{
	const char *t;
	int fd;

	start_fresh();
	t = topic_new(.ring_bytes = 4096);
	fd = topic_open(t, "", O_RDWR);
	expect_ret(write(fd, "x", 1), 1);
	/* Here, for who cleans up knows the family by its old number. */
	expect_eq(topic_del(t), 0);
}
