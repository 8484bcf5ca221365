// SPDX-License-Identifier: GPL-2.0
/*
 * The module's limits: number of topics, memory, sizes of rings, and what many
 * topics and partitions do to dumps.
 *
 * TIMEOUT: 900
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "mqtest.h"

#define PARAMS	"/sys/module/mq/parameters/"

static char old_topics[32], old_memory[32];

/* Before any test point runs; they are processes of their own. */
__attribute__((constructor)) static void remember(void)
{
	read_line(PARAMS "max_topics", old_topics, sizeof(old_topics));
	read_line(PARAMS "max_memory", old_memory, sizeof(old_memory));
}

static void restore(void)
{
	need_eq(write_file(PARAMS "max_topics", old_topics), 0);
	need_eq(write_file(PARAMS "max_memory", old_memory), 0);
}

static void set_param(const char *path, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	need_eq(write_file(path, text), 0);
}

TEST(topics, "A.9: max_topics: exactly that many, ENOSPC beyond")
{
	struct module_info m;
	const char *t[4];
	struct topic_info info;

	restore();
	m = module_state();
	set_param(PARAMS "max_topics", m.topics + 3);
	expect_eq(module_state().topics_max, m.topics + 3);
	for (int i = 0; i < 3; i++)
		t[i] = topic_new(.ring_bytes = 4096);
	t[3] = topic_name();
	expect_eq(topic_add(&(struct topic_opts) { .name = t[3], .ring_bytes = 4096 }), -ENOSPC);
	expect(strstr(nl_ack_text, "max_topics"));
	expect_eq(topic_get(t[3], &info), -ENOENT);
	expect_eq(module_state().topics, m.topics + 3);

	/* One goes, one can come, open files of the deleted one or not. */
	int fd = topic_open(t[0], "", O_RDONLY);

	expect_eq(topic_del(t[0]), 0);
	expect_eq(topic_add(&(struct topic_opts) { .name = t[3], .ring_bytes = 4096 }), 0);
	expect_eq(topic_add(&(struct topic_opts) { .name = t[0], .ring_bytes = 4096 }), -ENOSPC);
	close(fd);

	/* Lowered below what is there: those stay, and work. */
	set_param(PARAMS "max_topics", 1);
	expect(topic_set(t[1], .mode = 0640));
	expect_eq(topic_del(t[2]), 0);
	expect_eq(topic_add(&(struct topic_opts) { .name = t[2], .ring_bytes = 4096 }), -ENOSPC);
	set_param(PARAMS "max_topics", 0xffffffff);
	expect_eq(module_state().topics_max, 1 << 20);
	restore();
	expect_eq(topic_add(&(struct topic_opts) { .name = t[2], .ring_bytes = 4096 }), 0);
}

/* What a topic of these sizes takes from the limit when it is all there. */
static uint64_t cost(uint64_t ring_bytes, uint64_t ring_messages, uint64_t attr_bytes)
{
	return ring_bytes + ring_messages * sizeof(struct mq_entry) + attr_bytes;
}

TEST(persistent, "a persistent topic is charged at creation, and only then made")
{
	const uint64_t size = cost(1 << 20, 1024, 65536);
	struct module_info was, is;
	struct topic_opts o = { .ring_bytes = 1 << 20, .ring_messages = 1024,
				.attr_bytes = 65536, .persistent = 1, .partitions = 2 };
	struct topic_info info;
	char byte = 'x';
	int fd;

	restore();
	was = module_settled();
	o.name = topic_name();
	need_eq(topic_add(&o), 0);
	is = module_state();
	note("charged %" PRIu64 " for %" PRIu64 " bytes of rings", is.memory - was.memory, 2 * size);
	expect(is.memory - was.memory >= 2 * size);
	expect(is.memory - was.memory <= 2 * size * 5 / 4);
	/* It takes no more when it is used. */
	fd = topic_open(o.name, "", O_WRONLY);
	need_ret(write(fd, &byte, 1), 1);
	expect_eq(module_state().memory, is.memory);
	expect_eq(topic_del(o.name), 0);
	close(fd);
	wait_until(module_state().memory == was.memory, SOON);

	/* One byte too little for the second partition: nothing is made, all given back. */
	set_param(PARAMS "max_memory", was.memory + (is.memory - was.memory) - 1);
	o.name = topic_name();
	expect_eq(topic_add(&o), -ENOMEM);
	expect(strstr(nl_ack_text, "max_memory"));
	expect_eq(topic_get(o.name, &info), -ENOENT);
	wait_until(module_state().memory == was.memory, SOON);
	set_param(PARAMS "max_memory", is.memory);
	expect_eq(topic_add(&o), 0);
	expect_eq(module_state().memory, is.memory);
	/* And no partition more. */
	expect_eq(topic_change(&(struct topic_opts) { .name = o.name, .partitions = 3,
						      .mode = 0644 }), -ENOMEM);
	need_eq(topic_get(o.name, &info), 0);
	expect_eq(info.o.partitions, 2);
	expect_eq(info.o.mode, 0600);
	expect_eq(module_state().memory, is.memory);
	expect_eq(topic_del(o.name), 0);
	wait_until(module_state().memory == was.memory, SOON);
	restore();
}

TEST(memory, "max_memory: a topic that grows stops with ENOMEM, whole messages, counted")
{
	const char *t = topic_new(.ring_bytes = 1 << 20);
	static char msg[16384];
	unsigned int n = 0;
	struct partition_info p;
	struct module_info was;
	ssize_t ret;
	int fd;

	restore();
	fd = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	was = module_settled();
	/* The ring must fit, so the limit is over a megabyte; others have the rest. */
	set_param(PARAMS "max_memory", was.memory + (256 << 10));
	while ((ret = write(fd, msg, sizeof(msg))) == (ssize_t)sizeof(msg) && n < 100)
		n++;
	expect_eq(ret, -1);
	expect_eq(errno, ENOMEM);
	expect(n >= 1);
	expect(module_state().memory <= was.memory + (256 << 10));
	p = partition_state(t, 0);
	expect_eq(p.head_offset, n);
	expect_eq(p.head_position, (uint64_t)n * sizeof(msg));
	expect_eq(p.stats.no_memory, 1);
	/* With more it goes on. */
	restore();
	expect_ret(write(fd, msg, sizeof(msg)), sizeof(msg));
	close(fd);
	expect_eq(topic_del(t), 0);
	wait_until(module_state().memory == was.memory, SOON);
}

TEST(sizes, "A.8: ring sizes: zero, one, odd, huge, overflowing")
{
	static const struct { uint64_t value; int bytes, messages; } sizes[] = {
		{ 0, EINVAL, EINVAL }, { 1, EINVAL, EINVAL }, { 2, EINVAL, EINVAL },
		{ 32, EINVAL, EINVAL }, { 63, EINVAL, EINVAL }, { 64, EINVAL, 0 },
		{ 65, EINVAL, EINVAL }, { 2048, EINVAL, 0 }, { 4095, EINVAL, EINVAL },
		{ 4096, 0, 0 }, { 4097, EINVAL, EINVAL }, { 12288, EINVAL, EINVAL },
		{ 65536, 0, 0 }, { 1ULL << 32, ENOMEM, ENOMEM }, { (1ULL << 32) + 1, EINVAL, EINVAL },
		{ 1ULL << 33, ENOMEM, EINVAL }, { 1ULL << 40, ENOMEM, EINVAL },
		{ 1ULL << 41, EINVAL, EINVAL }, { 1ULL << 58, EINVAL, EINVAL },
		{ 1ULL << 62, EINVAL, EINVAL }, { 1ULL << 63, EINVAL, EINVAL },
		{ (1ULL << 63) - 1, EINVAL, EINVAL }, { ~0ULL, EINVAL, EINVAL },
	};
	struct module_info was;

	restore();
	was = module_settled();
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t v = sizes[i].value;
		struct { struct topic_opts o; int want, attr; } tries[] = {
			{ { .ring_bytes = v, .set = MQT(RING_BYTES) }, sizes[i].bytes,
			  MQ_A_TOPIC_RING_BYTES },
			{ { .ring_messages = v, .set = MQT(RING_MESSAGES) }, sizes[i].messages,
			  MQ_A_TOPIC_RING_MESSAGES },
			{ { .attr_bytes = v, .set = MQT(ATTR_BYTES) }, sizes[i].bytes,
			  MQ_A_TOPIC_ATTR_BYTES },
		};

		for (unsigned int k = 0; k < 3; k++) {
			struct topic_info info;
			int ret;

			tries[k].o.name = topic_name();
			ret = topic_add(&tries[k].o);
			if (ret != -tries[k].want)
				fail("attribute %d = %#" PRIx64 ": %d, expected -%s (%s)",
				     tries[k].attr, v, ret, mqt_errno(tries[k].want), nl_ack_text);
			if (ret) {
				expect_eq(nl_ack_attr, tries[k].attr);
				expect_eq(topic_get(tries[k].o.name, &info), -ENOENT);
			} else {
				expect_eq(topic_del(tries[k].o.name), 0);
			}
		}
	}
	wait_until(module_state().memory == was.memory, SOON);

	/* Each ring fits, their product with the partitions never. */
	expect_eq(topic_add(&(struct topic_opts) {
		.name = "product", .ring_bytes = 256 << 20, .ring_messages = 1 << 22,
		.attr_bytes = 256 << 20, .partitions = 1024, .persistent = 1 }), -ENOMEM);
	wait_until(module_state().memory == was.memory, SOON);
}

TEST(smallest, "A.8: the smallest rings work, the largest that fit can be had")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64, .attr_bytes = 4096);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct module_info m = module_state();
	uint64_t size = 4096;
	char byte;

	for (int i = 0; i < 200; i++) {
		need_ret(write(w, "x", 1), 1);
		need_ret(read(r, &byte, 1), 1);
	}
	while (size * 2 <= m.memory_max)
		size *= 2;
	t = topic_new(.ring_bytes = size);
	w = topic_open(t, "", O_WRONLY);
	expect_ret(write(w, "x", 1), 1);
	expect(module_state().memory - m.memory < 1 << 20);
	expect_eq(topic_add(&(struct topic_opts) { .name = "large", .ring_bytes = size * 2 }),
		  -ENOMEM);
	expect(strstr(nl_ack_text, "max_memory"));
}

TEST(starts, "D.25: offsets and positions can start anywhere below 2^63")
{
	static const uint64_t good[] = { 1, UINT32_MAX, 1ULL << 32, INT64_MAX };
	static const uint64_t bad[] = { 1ULL << 63, ~0ULL };

	for (unsigned int i = 0; i < 4; i++) {
		const char *t = topic_new(.ring_bytes = 4096, .start_offset = good[i],
					  .start_position = good[i]);
		struct partition_info p = partition_state(t, 0);

		expect(p.head_offset == good[i]);
		expect(p.tail_offset == good[i]);
		expect(p.head_position == good[i]);
		expect(p.tail_position == good[i]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		expect_eq(topic_add(&(struct topic_opts) { .name = "start", .start_offset = bad[i] }),
			  -EINVAL);
		expect_eq(nl_ack_attr, MQ_A_TOPIC_START_OFFSET);
		expect_eq(topic_add(&(struct topic_opts) { .name = "start",
							   .start_position = bad[i] }), -EINVAL);
		expect_eq(nl_ack_attr, MQ_A_TOPIC_START_POSITION);
	}
}

static void next_index(const struct partition_info *p, void *arg)
{
	uint32_t *want = arg;

	expect_eq(p->index, *want);
	++*want;
}

TEST(partitions, "1,024 partitions are dumped completely and in order")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64, .partitions = 1000);
	uint32_t want = 0;
	struct stat st;

	expect_eq(partition_dump(t, next_index, &want), 1000);
	expect(topic_set(t, .partitions = 1024));
	want = 0;
	expect_eq(partition_dump(t, next_index, &want), 1024);
	expect_ret(stat(topic_path(t, "@1023"), &st), 0);
	expect_err(stat(topic_path(t, "@1024"), &st), ENOENT);
}

#define MANY	3000

static void many_name(char *name, const char *kind, int i)
{
	sprintf(name, "%s-%d", kind, i);
}

/* Make or delete topics that are not noted for deletion; there are too many. */
static void make_many(const char *kind, int n)
{
	char name[64];

	for (int i = 0; i < n; i++) {
		struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_NEW, 0);
		uint64_t size = 4096, messages = 64;

		many_name(name, kind, i);
		need(!nla_put_string(msg, MQ_A_TOPIC_NAME, name));
		need(!nla_put(msg, MQ_A_TOPIC_RING_BYTES, 8, &size));
		need(!nla_put(msg, MQ_A_TOPIC_RING_MESSAGES, 8, &messages));
		if (!expect_eq(nl_call(msg, NULL, NULL), 0))
			return;
	}
}

static void delete_many(const char *kind, int n)
{
	char name[64];

	for (int i = 0; i < n; i++) {
		many_name(name, kind, i);
		expect_eq(topic_del(name), 0);
	}
}

static void churn(void *arg)
{
	volatile int *stop = arg;

	while (!*stop) {
		make_many("churn", 20);
		delete_many("churn", 20);
	}
}

static void count_many(const struct topic_info *info, void *arg)
{
	uint8_t *seen = arg;
	int i;

	if (sscanf(info->name, "many-%d", &i) == 1 && i >= 0 && i < MANY)
		seen[i]++;
}

TEST_LIMIT(many, "A.9, D.20: thousands of topics: each in every dump once, whatever comes and goes", 240)
{
	volatile int *stop = shared_alloc(sizeof(*stop));
	uint8_t *seen = malloc(MANY);
	struct module_info was, is;
	uint64_t start;
	int rounds, n = 0;
	struct dirent *d;
	DIR *dir;
	pid_t pid;

	restore();
	was = module_settled();
	start = now_ns();
	make_many("many", MANY);
	note("%d topics made in %d ms", MANY, (int)((now_ns() - start) / 1000000));
	is = module_state();
	expect_eq(is.topics - was.topics, MANY);

	pid = child_start(churn, (void *)stop);
	for (rounds = 0; rounds < 5; rounds++) {
		memset(seen, 0, MANY);
		expect(topic_dump(count_many, seen) >= MANY);
		for (int i = 0; i < MANY; i++)
			expect_eq(seen[i], 1);
		expect(partition_dump(NULL, NULL, NULL) >= MANY);
	}
	*stop = 1;
	child_ok(pid, SOON);

	dir = opendir(MQ_DIR);
	need(dir);
	while ((d = readdir(dir)))
		n += !strncmp(d->d_name, "many-", 5);
	closedir(dir);
	expect_eq(n, MANY);

	delete_many("many", MANY);
	expect_eq(module_state().topics, was.topics);
	wait_until(module_state().memory == was.memory, SOON);
}

#define NAMES	100000

TEST_LIMIT(names, "A.9: 100,000 topics: then ENOSPC, and each of them is there and works", 600)
{
	char name[64], text[16], got[16];
	struct module_info was, is;
	uint64_t start = now_ns();
	/* Where debugging makes each object larger and slower: a tenth. */
	int names = access("/sys/kernel/debug/kmemleak", F_OK) ? NAMES : NAMES / 10;

	restore();
	was = module_settled();
	set_param(PARAMS "max_topics", was.topics + names);
	make_many("names", names);
	note("made in %d ms", (int)((now_ns() - start) / 1000000));
	is = module_state();
	expect_eq(is.topics - was.topics, names);
	expect_eq(topic_add(&(struct topic_opts) { .name = "one-more", .ring_bytes = 4096 }), -ENOSPC);
	for (int i = 0; i < names; i += 997) {
		int w, r, len = snprintf(text, sizeof(text), "%d", i);

		many_name(name, "names", i);
		w = topic_open(name, "", O_WRONLY);
		r = topic_open(name, "", O_RDONLY);
		need_ret(write(w, text, len), len);
		need(expect_mem(got, read(r, got, sizeof(got)), text, len));
		close(w);
		close(r);
	}
	start = now_ns();
	delete_many("names", names);
	note("deleted in %d ms", (int)((now_ns() - start) / 1000000));
	expect_eq(module_state().topics, was.topics);
	wait_until(module_state().memory == was.memory, SOON);
	restore();
}

TEST(half_read, "D.20: a dump that is not read on survives the deletion of what it shows")
{
	struct {
		struct nlmsghdr nlh;
		struct genlmsghdr genl;
	} request = {
		.nlh.nlmsg_len = sizeof(request),
		.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.genl.version = MQ_FAMILY_VERSION,
	};
	static const uint8_t cmds[] = { MQ_CMD_TOPIC_GET, MQ_CMD_PARTITION_GET };
	static char buf[65536];
	struct module_info was = module_settled();

	for (int c = 0; c < 2; c++) {
		int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), messages = 0;
		bool done = false;

		need(fd >= 0);
		make_many("half", 300);
		request.nlh.nlmsg_type = nl_family();
		request.genl.cmd = cmds[c];
		need_ret(write(fd, &request, sizeof(request)), sizeof(request));
		need(recv(fd, buf, sizeof(buf), 0) > 0);
		delete_many("half", 300);
		while (!done) {
			ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

			if (!expect(len > 0))
				break;
			for (struct nlmsghdr *nlh = (void *)buf; NLMSG_OK(nlh, len);
			     nlh = NLMSG_NEXT(nlh, len)) {
				done |= nlh->nlmsg_type == NLMSG_DONE;
				messages++;
			}
		}
		/* What was in the pipe already, not the other hundreds. */
		expect(messages < 200);
		close(fd);
	}
	/* A dump keeps no memory of the deleted. */
	wait_until(module_state().memory == was.memory, SOON);
}

TEST(after, "the limits are as they were")
{
	char text[32];

	restore();
	expect(read_line(PARAMS "max_topics", text, sizeof(text)) && !strcmp(text, old_topics));
	expect(read_line(PARAMS "max_memory", text, sizeof(text)) && !strcmp(text, old_memory));
}
