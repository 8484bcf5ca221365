// SPDX-License-Identifier: GPL-2.0
/* KERNEL: fault-injection */
/* TIMEOUT: 600 */
/*
 * Every netlink command of the module with its first, second, third, ... allocation
 * failing, until none is hit any more (faults.md E.28). Each time: it was carried out,
 * or nothing of it, and the same command works right afterwards.
 */
#include "helpers/nth.h"
#include "helpers/rawnl.h"

/* Runs a request with every failure; after() is told whether it was carried out. */
static void nl_nth(const char *what, struct nl_msg *(*make)(void), void (*after)(void))
{
	unsigned int n, hits = 0;
	bool hit = true;
	long ret;
	int error;

	for (n = 1; hit && n < NTH_MAX && failures() < 5; n++) {
		rawnl_begin(make());
		nth_set(n);
		ret = rawnl_call();
		hit = nth_hit();
		error = errno;
		hits += hit;
		if (ret < 0 && !nth_errno(error))
			fail("%s, failure %u: %s", what, n, mqt_errno(error));
		rawnl_end();
		if (rawnl.status && !nth_errno(-rawnl.status))
			fail("%s, failure %u: %s", what, n, mqt_errno(-rawnl.status));
		if (!hit && ret < 0)
			fail("%s: nothing failed, yet: %s", what, mqt_errno(error));
		else if (!hit && !rawnl.answered)
			fail("%s: nothing failed, yet there is no answer", what);
		else if (!hit && rawnl.status)
			fail("%s: nothing failed, yet: %s", what, mqt_errno(-rawnl.status));
		if (after)
			after();
	}
	expect(n < NTH_MAX);
	expect(hits > 0);
	note("%s: %u failures", what, hits);
}

static struct nl_msg *make_new(void)
{
	struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_NEW, NLM_F_ACK);

	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, "nth"));
	need(!nla_put_u32(msg, MQ_A_TOPIC_PARTITIONS, 5));
	need(!nla_put_u8(msg, MQ_A_TOPIC_PERSISTENT, 1));
	return msg;
}

/* It is there, or it is not, and can be deleted and made again. */
static void after_new(void)
{
	int ret = topic_del("nth");

	expect(ret == 0 || ret == -ENOENT);
	if (rawnl.answered)
		expect_eq(ret, rawnl.status ? -ENOENT : 0);
}

static void nth_topic(void)
{
	int ret = topic_add(&(struct topic_opts) { .name = "nth", .partitions = 2 });

	expect(ret == 0 || ret == -EEXIST);
}

static struct nl_msg *make_del(void)
{
	struct nl_msg *msg;

	nth_topic();
	msg = nl_request(MQ_CMD_TOPIC_DEL, NLM_F_ACK);
	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, "nth"));
	return msg;
}

static uint32_t set_to;

static struct nl_msg *make_set(void)
{
	struct nl_msg *msg;

	nth_topic();
	msg = nl_request(MQ_CMD_TOPIC_SET, NLM_F_ACK);
	set_to = set_to == 1000 ? 2000 : 1000;
	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, "nth"));
	need(!nla_put_u32(msg, MQ_A_TOPIC_PARTITIONS, 4));
	need(!nla_put_u32(msg, MQ_A_TOPIC_MAX_MESSAGE_BYTES, set_to));
	return msg;
}

/* All of it or nothing of it. */
static void after_set(void)
{
	struct topic_info info;

	need_ret(topic_get("nth", &info), 0);
	expect(info.o.partitions == 4 ? info.o.max_message_bytes == set_to :
					info.o.max_message_bytes != set_to);
	need_ret(topic_del("nth"), 0);
}

static struct nl_msg *make_get(void)
{
	struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_GET, NLM_F_ACK);

	nth_topic();
	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, "nth"));
	return msg;
}

static struct nl_msg *make_dump(void)
{
	return nl_request(MQ_CMD_TOPIC_GET, NLM_F_DUMP);
}

static struct nl_msg *make_partitions(void)
{
	return nl_request(MQ_CMD_PARTITION_GET, NLM_F_DUMP);
}

static struct nl_msg *make_module(void)
{
	return nl_request(MQ_CMD_MODULE_GET, NLM_F_ACK);
}

static struct nl_msg *make_readers(void)
{
	return nl_request(MQ_CMD_READER_GET, NLM_F_DUMP);
}

static struct nl_msg *make_waiters(void)
{
	return nl_request(MQ_CMD_WAITER_GET, NLM_F_DUMP);
}

TEST_LIMIT(nth_one, "E.28: topics made, changed, deleted and told", 300)
{
	nth_begin();
	nl_nth("topic-new", make_new, after_new);
	nl_nth("topic-del", make_del, NULL);
	nl_nth("topic-set", make_set, after_set);
	nl_nth("topic-get", make_get, NULL);
	nl_nth("module-get", make_module, NULL);
	topic_del("nth");
}

TEST_LIMIT(nth_dumps, "E.28: topics, partitions, readers and waiters listed", 300)
{
	const char *t = topic_new(.partitions = 100, .stamp = MQ_STAMP_UID);
	static struct async a[3];
	static char got[3];
	unsigned int partitions = 0;

	for (int i = 0; i < 100; i++)
		topic_open(t, i & 1 ? "@3" : "", O_RDONLY);
	for (int i = 0; i < 3; i++) {
		async_read(&a[i], topic_open(t, "", O_RDONLY), got + i, 1);
		expect_waits(&a[i]);
	}
	nth_begin();
	nl_nth("topics", make_dump, NULL);
	nl_nth("partitions", make_partitions, NULL);
	nl_nth("readers", make_readers, NULL);
	nl_nth("waiters", make_waiters, NULL);
	/* And whole again. */
	partitions = partition_dump(t, NULL, NULL);
	expect_eq(partitions, 100);
	need_ret(topic_del(t), 0);
	for (int i = 0; i < 3; i++)
		async_end(&a[i], SOON);
}

static int heard = -1;

/* Events that were heard; -1 if it is said that one was missed. */
static int events(void)
{
	static char buf[65536];
	int n = 0;

	while (recv(heard, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		n++;
	if (errno != EAGAIN) {
		need_eq(errno, ENOBUFS);
		while (recv(heard, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		return -1;
	}
	return n;
}

static unsigned int missed;

static void after_heard(void)
{
	struct topic_info info;
	bool made = topic_get("nth", &info) == 0;
	int n = events();

	if (n < 0)
		missed++;
	else
		expect_eq(n, made);
	if (made) {
		need_ret(topic_del("nth"), 0);
		expect_eq(events(), 1);
	}
}

TEST_LIMIT(nth_events, "E.28: an event that found no memory: its listeners are told that they missed one", 300)
{
	heard = nl_listener(1 << 20);
	nth_begin();
	/* What comes before the event allocates more or less each time: it may be passed over. */
	for (int i = 0; i < 20 && !missed && !failures(); i++)
		nl_nth("topic-new, heard", make_new, after_heard);
	expect(missed > 0);
	note("%u missed", missed);
}

TEST(nth_memory, "E.28: nothing of all that is left")
{
	struct module_info m = module_settled();

	expect_eq(m.topics, 0);
	expect_eq(m.memory, 0);
}
