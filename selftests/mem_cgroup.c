// SPDX-License-Identifier: GPL-2.0
/* A topic's memory is charged to the cgroup it names, never to who writes. */
#define _GNU_SOURCE
#include <netlink/attr.h>
#include "helpers/splice.h"

#define ROOT	"/sys/fs/cgroup"
#define SLACK	(1 << 20)	/* what each CPU charges ahead, and slab */

static char group[64], msg[16384];

static const char *file_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), ROOT "%s/%s", group, name);
	return path;
}

static void end_group(void)
{
	rmdir(file_of(""));
}

/* A new cgroup with a memory controller, in $group. */
static void new_group(void)
{
	if (write_file(ROOT "/cgroup.subtree_control", "+memory"))
		skip("no memory controller of cgroup2");
	snprintf(group, sizeof(group), "/mqtest-%d", getpid());
	need_ret(mkdir(file_of(""), 0755), 0);
	atexit(end_group);
}

static uint64_t charged(void)
{
	char text[32];

	need(read_line(file_of("memory.current"), text, sizeof(text)));
	return strtoull(text, NULL, 10);
}

/* A counter of memory.events. */
static uint64_t event(const char *name)
{
	return file_number(file_of("memory.events"), name);
}

static void join(void)
{
	need_eq(write_file(file_of("cgroup.procs"), "0"), 0);
}

static unsigned int fill(const char *t, uint64_t bytes)
{
	int w = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	unsigned int n = 0;

	while (n * sizeof(msg) < bytes && write(w, msg, sizeof(msg)) == sizeof(msg))
		n++;
	close(w);
	return n;
}

TEST(mem_cgroup_charged, "the rings' pages, replaced ones, too, are charged to the cgroup, until they go")
{
	const char *t;
	struct topic_info info;
	int r, p[16][2];
	uint64_t before, full, lent;

	new_group();
	before = charged();
	t = topic_new(.ring_bytes = 4 << 20, .ring_messages = 1 << 16, .memory_cgroup = group);
	need_eq(topic_get(t, &info), 0);
	ok(!strcmp(info.memory_cgroup, group), "shown: %s", info.memory_cgroup);
	fill(t, 5 << 20);
	full = charged();
	note("%llu bytes before, %llu with a full ring", (ull)before, (ull)full);
	expect(full - before >= 4 << 20 && full - before < (5 << 20) + SLACK);
	/* One byte of each chunk of 64 KiB in a pipe. */
	r = topic_open(t, "", O_RDONLY);
	for (int i = 0; i < 48; i++) {
		if (i % 16 == 0)
			sp_pipe(p[i / 16], 65536);
		need(lseek(r, file_stat(r).head_position - (i + 1) * 65536, SEEK_SET) >= 0);
		expect_ret(sp_splice_nb(r, p[i / 16][1], 1), 1);
	}
	fill(t, 5 << 20);
	lent = charged();
	note("%llu with %llu lent", (ull)lent, (ull)topic_counters(t).lent);
	expect_eq(topic_counters(t).lent, 48 * 65536);
	expect(lent - full >= (3 << 20) - SLACK / 4);
	close(r);
	need_eq(topic_del(t), 0);
	/* Those in the pipes outlive the topic, and are still charged. */
	wait_until(charged() < lent - (3 << 20), SOON);
	sleep_ms(200);
	expect(charged() >= before + (3 << 20) - SLACK / 4);
	for (int i = 0; i < 3; i++) {
		close(p[i][0]);
		close(p[i][1]);
	}
	wait_until(charged() < before + SLACK, SOON);
}

static void write_inside(void *t)
{
	join();
	expect_eq(fill(t, 4 << 20), (4 << 20) / sizeof(msg));
}

TEST(mem_cgroup_default, "without one named, nobody's cgroup is charged: not the writer's")
{
	const char *t = topic_new(.ring_bytes = 4 << 20), *root;
	uint64_t before;

	new_group();
	before = charged();
	root = topic_new(.ring_bytes = 4 << 20, .memory_cgroup = "/");
	child_ok(child_start(write_inside, (void *)t), SOON);
	child_ok(child_start(write_inside, (void *)root), SOON);
	expect_eq(topic_counters(t).messages_in, (4 << 20) / sizeof(msg));
	expect(topic_counters(t).memory >= 4 << 20);
	expect(charged() < before + SLACK);
}

static void stay(void *arg)
{
	join();
	*(volatile int *)arg = 1;
	pause();
}

TEST(mem_cgroup_limit, "E.29: at the cgroup's limit: ENOMEM, nothing appended, counted, nobody killed; room helps")
{
	volatile int *in = shared_alloc(sizeof(*in));
	struct topic_stats s;
	const char *t;
	unsigned int n;
	pid_t pid;
	int w;

	new_group();
	need_eq(write_file(file_of("memory.max"), "3M"), 0);
	pid = child_start(stay, (void *)in);
	wait_until(*in, SOON);
	t = topic_new(.ring_bytes = 16 << 20, .memory_cgroup = group);
	n = fill(t, 16 << 20);
	note("%u messages of 16 KiB under a limit of 3 MiB", n);
	expect(n >= 32 && n <= 192);
	w = topic_open(t, "", O_WRONLY);
	/* There may be room for a page or two more, not for a hundred. */
	for (int i = 0; i < 100 && write(w, msg, sizeof(msg)) == sizeof(msg); i++)
		n++;
	expect_err(write(w, msg, sizeof(msg)), ENOMEM);
	s = topic_counters(t);
	expect_eq(s.messages_in, n);
	expect_eq(s.bytes_in, n * sizeof(msg));
	expect(s.no_memory >= 2);
	expect_eq(event("oom_kill"), 0);
	expect_eq(event("oom"), 0);
	expect(event("max") > 0);
	expect_eq(waitpid(pid, NULL, WNOHANG), 0);
	/* Others go on. */
	expect_eq(fill(topic_new(.ring_bytes = 4 << 20), 4 << 20), (4 << 20) / sizeof(msg));
	need_eq(write_file(file_of("memory.max"), "64M"), 0);
	expect_ret(write(w, msg, sizeof(msg)), sizeof(msg));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(w);
	need_eq(topic_del(t), 0);
}

static void create_inside(void *arg)
{
	join();
	need_eq(topic_add(&(struct topic_opts) { .name = arg, .ring_bytes = 4 << 20,
						   .memory_cgroup = group }), 0);
	fill(arg, 1 << 20);
	pause();
}

TEST(mem_cgroup_gone, "E.29: the creator's cgroup is killed and removed: the topic goes on")
{
	const char *t = topic_name();
	struct topic_info info;
	struct stat st;
	pid_t pid;
	int r, p[2];

	new_group();
	pid = child_start(create_inside, (void *)t);
	wait_until(!stat(topic_path(t, ""), &st) && topic_counters(t).bytes_in == 1 << 20, SOON);
	expect_eq(write_file(file_of("cgroup.kill"), "1"), 0);
	expect_eq(waitpid(pid, NULL, 0), pid);
	expect_eq(fill(t, 1 << 20), (1 << 20) / sizeof(msg));
	expect(charged() >= 2 << 20);
	wait_until(!rmdir(file_of("")), SOON);
	r = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 65536);
	expect_ret(sp_splice_nb(r, p[1], 1), 1);
	expect_eq(fill(t, 9 << 20), (9 << 20) / sizeof(msg));
	expect(topic_counters(t).lent > 0);
	need_eq(topic_get(t, &info), 0);
	expect(!strcmp(info.memory_cgroup, group));
	expect_eq(topic_add(&(struct topic_opts) { .name = topic_name(), .memory_cgroup = group }),
		  -ENOENT);
	close(r);
	need_eq(topic_del(t), 0);
}

/* Cgroups below $group that were removed and are still in memory. */
static int dying(void)
{
	return file_number(file_of("cgroup.stat"), "nr_dying_descendants");
}

TEST(mem_cgroup_let_go, "the cgroup that a topic named is let go of with the topic, and not before")
{
	char child[128];
	const char *t;

	new_group();
	need_eq(write_file(file_of("cgroup.subtree_control"), "+memory"), 0);
	snprintf(child, sizeof(child), "%s/child", group);
	need_ret(mkdir(file_of("child"), 0755), 0);
	t = topic_new(.ring_bytes = 65536, .ring_messages = 64, .memory_cgroup = child);
	fill(t, 65536);
	need_ret(rmdir(file_of("child")), 0);
	expect_eq(dying(), 1);
	need_eq(topic_del(t), 0);
	wait_until(!dying(), SOON);
}

TEST(mem_cgroup_bad, "a cgroup that is none is refused, told why; it is fixed at creation")
{
	static const struct { const char *path; int error; } bad[] = {
		{ "/no/such/cgroup", -ENOENT },
		{ "nosuch", -ENOENT },
		{ "/..", -ENOENT },
		{ "/cgroup.procs", -ENOTDIR },
	};
	const char *t, *plain = topic_new(.ring_bytes = 65536);
	struct topic_info info;
	struct nl_msg *m;

	new_group();
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_eq(topic_add(&(struct topic_opts) { .name = topic_name(),
							   .memory_cgroup = bad[i].path }),
			  bad[i].error);
		expect_eq(nl_ack_attr, MQ_A_TOPIC_MEMORY_CGROUP);
		expect(strstr(nl_ack_text, "cgroup"));
	}
	m = nl_request(MQ_CMD_TOPIC_NEW, 0);
	need(!nla_put_string(m, MQ_A_TOPIC_NAME, "nul"));
	need(!nla_put(m, MQ_A_TOPIC_MEMORY_CGROUP, 4, "/\0b"));
	expect_eq(nl_call(m, NULL, NULL), -EINVAL);
	expect_eq(nl_ack_attr, MQ_A_TOPIC_MEMORY_CGROUP);

	t = topic_new(.ring_bytes = 65536, .memory_cgroup = group);
	expect_eq(topic_change(&(struct topic_opts) { .name = t, .memory_cgroup = "/" }), -EBUSY);
	expect_eq(nl_ack_attr, MQ_A_TOPIC_MEMORY_CGROUP);
	expect_eq(topic_change(&(struct topic_opts) { .name = t, .memory_cgroup = group }), 0);
	expect_eq(topic_change(&(struct topic_opts) { .name = plain, .memory_cgroup = group }),
		  -EBUSY);
	need_eq(topic_get(plain, &info), 0);
	expect(!(info.o.set & MQT(MEMORY_CGROUP)));
	/* Without a slash in front, too, and empty is none. */
	topic_new(.ring_bytes = 65536, .memory_cgroup = group + 1);
	topic_new(.ring_bytes = 65536, .memory_cgroup = "");
}
