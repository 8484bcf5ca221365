// SPDX-License-Identifier: GPL-2.0
/* reader-get and waiter-get: who reads, who holds, who waits, and since when. */
#define _GNU_SOURCE
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "mqtest.h"

struct reader {
	char topic[MQ_TOPIC_NAME_MAX + 1];
	char command[32];
	int64_t partition;		/* -1: several */
	uint32_t pid, uid, flags;
	uint64_t position, offset, lag_messages, lag_bytes, lost, overruns;
};

struct waiter {
	char topic[MQ_TOPIC_NAME_MAX + 1];
	char command[32];
	uint32_t partition, pid, reason;
	uint64_t since, waited, bytes, end_offset;
	bool has_bytes, has_end;
};

static struct reader readers[2048];
static struct waiter waiters[64];
static int nr;

static void take_reader(const struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *tb[MQ_A_READER_MAX + 1];
	struct reader *r = &readers[nr++];

	(void)arg;
	need(nr <= 2048);
	need(!genlmsg_parse((struct nlmsghdr *)nlh, 0, tb, MQ_A_READER_MAX, NULL));
	memset(r, 0, sizeof(*r));
	nla_strlcpy(r->topic, tb[MQ_A_READER_TOPIC], sizeof(r->topic));
	if (tb[MQ_A_READER_COMMAND])
		nla_strlcpy(r->command, tb[MQ_A_READER_COMMAND], sizeof(r->command));
	r->partition = tb[MQ_A_READER_PARTITION] ? nla_get_u32(tb[MQ_A_READER_PARTITION]) : -1LL;
	r->pid = nla_get_u32(tb[MQ_A_READER_PID]);
	r->uid = nla_get_u32(tb[MQ_A_READER_UID]);
	r->flags = nla_get_u32(tb[MQ_A_READER_FLAGS]);
	r->position = nla_get_u64(tb[MQ_A_READER_POSITION]);
	r->offset = nla_get_u64(tb[MQ_A_READER_OFFSET]);
	r->lag_messages = nla_get_u64(tb[MQ_A_READER_LAG_MESSAGES]);
	r->lag_bytes = nla_get_u64(tb[MQ_A_READER_LAG_BYTES]);
	r->lost = nla_get_u64(tb[MQ_A_READER_LOST]);
	r->overruns = nla_get_u64(tb[MQ_A_READER_OVERRUNS]);
}

static void take_waiter(const struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *tb[MQ_A_WAITER_MAX + 1];
	struct waiter *w = &waiters[nr++];

	(void)arg;
	need(nr <= 64);
	need(!genlmsg_parse((struct nlmsghdr *)nlh, 0, tb, MQ_A_WAITER_MAX, NULL));
	memset(w, 0, sizeof(*w));
	nla_strlcpy(w->topic, tb[MQ_A_WAITER_TOPIC], sizeof(w->topic));
	if (tb[MQ_A_WAITER_COMMAND])
		nla_strlcpy(w->command, tb[MQ_A_WAITER_COMMAND], sizeof(w->command));
	w->partition = nla_get_u32(tb[MQ_A_WAITER_PARTITION]);
	w->pid = nla_get_u32(tb[MQ_A_WAITER_PID]);
	w->reason = nla_get_u32(tb[MQ_A_WAITER_REASON]);
	w->since = nla_get_u64(tb[MQ_A_WAITER_SINCE]);
	w->waited = nla_get_u64(tb[MQ_A_WAITER_WAITED]);
	w->has_bytes = tb[MQ_A_WAITER_BYTES];
	w->has_end = tb[MQ_A_WAITER_END_OFFSET];
	w->bytes = w->has_bytes ? nla_get_u64(tb[MQ_A_WAITER_BYTES]) : 0;
	w->end_offset = w->has_end ? nla_get_u64(tb[MQ_A_WAITER_END_OFFSET]) : 0;
}

/* How many; -errno. */
static int dump(int cmd, const char *topic)
{
	struct nl_msg *msg = nl_request(cmd, NLM_F_DUMP);
	int ret;

	nr = 0;
	if (topic)
		need(!nla_put_string(msg, MQ_A_READER_TOPIC, topic));
	ret = nl_call(msg, cmd == MQ_CMD_READER_GET ? take_reader : take_waiter, NULL);
	return ret ? ret : nr;
}

static int dump_readers(const char *topic)
{
	return dump(MQ_CMD_READER_GET, topic);
}

static int dump_waiters(const char *topic)
{
	return dump(MQ_CMD_WAITER_GET, topic);
}

static const char *my_name(void)
{
	static char name[32];

	need_ret(prctl(PR_GET_NAME, name), 0);
	return name;
}

TEST(who_readers, "each open reader, where it stands and what it lost")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64), *other, *parts;
	int w = topic_open(t, "", O_WRONLY), r, rec;
	char buf[512] = "";

	other = topic_new(.ring_bytes = 4096);
	parts = topic_new(.ring_bytes = 4096, .partitions = 3);
	expect_eq(dump_readers(t), 0);
	r = topic_open(t, "", O_RDONLY);
	for (int i = 0; i < 10; i++)
		need_ret(write(w, buf, 10), 10);
	need_ret(read(r, buf, 10), 10);
	need_ret(read(r, buf, 4), 4);
	rec = topic_open(t, "+format=record+overrun=skip+from=7", O_RDWR);
	need_eq(dump_readers(t), 2);
	expect_eq(readers[0].pid, getpid());
	expect(!strcmp(readers[0].command, my_name()));
	expect(!strcmp(readers[0].topic, t));
	expect_eq(readers[0].uid, 0);
	expect_eq(readers[0].partition, 0);
	expect_eq(readers[0].position, 14);
	expect_eq(readers[0].offset, 1);
	expect_eq(readers[0].lag_messages, 9);
	expect_eq(readers[0].lag_bytes, 86);
	expect_eq(readers[0].flags, 0);
	expect_eq(readers[1].offset, 7);
	expect_eq(readers[1].lag_messages, 3);
	expect_eq(readers[1].flags, MQ_READER_FLAG_RECORD | MQ_READER_FLAG_SKIP);
	for (int i = 0; i < 500; i++)
		need_ret(write(w, buf, 10), 10);
	expect_err(read(r, buf, sizeof(buf)), ENOBUFS);
	need_eq(dump_readers(t), 2);
	expect_eq(readers[0].overruns, 1);
	expect_eq(readers[0].lost, file_stat(r).lost_messages);
	expect(readers[0].lost > 0);
	/* Of all topics; of one with several partitions. */
	close(rec);
	rec = topic_open(parts, "", O_RDONLY);
	topic_open(parts, "@2", O_RDONLY);
	topic_open(other, "", O_WRONLY);
	expect_eq(dump_readers(t), 1);
	expect_eq(dump_readers(other), 0);
	expect_eq(dump_readers(parts), 2);
	expect_eq(readers[0].partition, -1);
	expect_eq(readers[1].partition, 2);
	expect_eq(dump_readers(NULL), 3);
	expect_eq(dump_readers("nosuch"), -ENOENT);
	/* A deleted topic is none any more, its readers go on. */
	need_eq(topic_del(parts), 0);
	expect_eq(dump_readers(NULL), 1);
}

TEST(who_holds, "with hold=readers: who holds, and who holds the oldest")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int w = topic_open(t, "", O_WRONLY), a = topic_open(t, "", O_RDONLY);
	int b = topic_open(t, "+format=record", O_RDONLY), skip;
	struct partition_info p;
	char buf[4096] = "";

	skip = topic_open(t, "+overrun=skip", O_RDONLY);
	need_eq(dump_readers(t), 3);
	expect_eq(readers[0].flags, 0);
	expect(topic_set(t, .hold = MQ_HOLD_READERS));
	need_eq(dump_readers(t), 3);
	/* All hold, but where there is nothing nobody limits. */
	expect_eq(readers[0].flags, MQ_READER_FLAG_HOLDS);
	expect_eq(readers[1].flags, MQ_READER_FLAG_HOLDS | MQ_READER_FLAG_RECORD);
	expect_eq(readers[2].flags, MQ_READER_FLAG_SKIP);
	for (int i = 0; i < 4; i++)
		need_ret(write(w, buf, 10), 10);
	need_eq(dump_readers(t), 3);
	expect_eq(readers[0].flags, MQ_READER_FLAG_HOLDS | MQ_READER_FLAG_LIMITS);
	expect_eq(readers[1].flags,
		  MQ_READER_FLAG_HOLDS | MQ_READER_FLAG_LIMITS | MQ_READER_FLAG_RECORD);
	need_ret(read(a, buf, 10), 10);
	need_ret(read(a, buf, 3), 3);	/* of the second: still held */
	need_eq(dump_readers(t), 3);
	expect_eq(readers[0].flags, MQ_READER_FLAG_HOLDS);
	need(read(b, buf, sizeof(buf)) > 0);
	need_eq(dump_readers(t), 3);
	expect_eq(readers[0].flags, MQ_READER_FLAG_HOLDS | MQ_READER_FLAG_LIMITS);
	expect_eq(readers[1].flags, MQ_READER_FLAG_HOLDS | MQ_READER_FLAG_RECORD);
	need_eq(partition_get(t, 0, &p), 0);
	expect_eq(p.held_offset, 1);
	expect_eq(p.held_position, 10);
	close(a);
	need_eq(dump_readers(t), 2);
	expect_eq(readers[0].flags, MQ_READER_FLAG_HOLDS | MQ_READER_FLAG_RECORD);
	need_eq(partition_get(t, 0, &p), 0);
	expect_eq(p.held_offset, 4);
	expect_eq(p.held_position, 40);
	close(skip);
}

TEST(who_waits, "who waits for room, for the end of a pause, for durability; how long, how much")
{
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	const char *d = topic_new(.ring_bytes = 4096, .persistent = 1);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY);
	struct async a = { 0 }, b = { 0 };
	char buf[1024] = "";

	expect_eq(dump_waiters(NULL), 0);
	for (int i = 0; i < 4; i++)
		need_ret(write(w, buf, 1024), 1024);
	async_write(&a, w, buf, 700);
	expect_waits(&a);
	sleep_ms(100);
	need_eq(dump_waiters(t), 1);
	expect_eq(waiters[0].pid, getpid());
	expect(!strcmp(waiters[0].command, my_name()));
	expect_eq(waiters[0].reason, MQ_WAIT_REASON_FULL);
	expect_eq(waiters[0].partition, 0);
	expect_eq(waiters[0].bytes, 700);
	expect(!waiters[0].has_end);
	expect(waiters[0].waited >= 100000000ULL && waiters[0].waited < 60000000000ULL);
	expect(waiters[0].since + waiters[0].waited <= wall_ns() + 1000000000ULL);
	expect(topic_set(t, .paused = 1));
	need_eq(dump_waiters(t), 1);
	expect_eq(waiters[0].reason, MQ_WAIT_REASON_PAUSED);
	expect(topic_set(t, .set = MQT(PAUSED)));

	async_write(&b, topic_open(d, "", O_WRONLY | O_DSYNC), buf, 5);
	expect_waits(&b);
	need_eq(dump_waiters(d), 1);
	expect_eq(waiters[0].reason, MQ_WAIT_REASON_DURABLE);
	expect_eq(waiters[0].end_offset, 1);
	expect(!waiters[0].has_bytes);
	expect_eq(dump_waiters(NULL), 2);

	need_ret(read(r, buf, 1024), 1024);
	expect(async_end(&a, SOON));
	expect_eq(dump_waiters(t), 0);
	need_eq(topic_del(d), 0);
	expect(async_end(&b, SOON));
	expect_eq(b.error, ENODEV);
	expect_eq(dump_waiters(NULL), 0);
}

static void open_and_wait(void *arg)
{
	int fd = topic_open(arg, "", O_RDONLY);

	need(fd >= 0);
	pause();
}

static void look_inside(void *arg)
{
	pid_t pid;

	/* In a pid namespace of its own, where the others are not visible. */
	need_ret(unshare(CLONE_NEWPID), 0);
	pid = fork();
	if (pid) {
		expect(child_ok(pid, SOON));
		return;
	}
	topic_open(arg, "", O_RDONLY);
	need_eq(dump_readers(arg), 3);
	expect_eq(readers[0].pid, 0);
	expect(!readers[0].command[0]);
	expect_eq(readers[1].pid, 0);
	expect_eq(readers[2].pid, 1);
	expect_eq(getpid(), 1);
	_exit(0);
}

static void as_nobody(void *arg)
{
	need_ret(setresgid(65534, 65534, 65534), 0);
	need_ret(setresuid(65534, 65534, 65534), 0);
	expect_eq(dump_readers(arg), 2);
	expect_eq(dump_waiters(arg), 0);
}

TEST(who_pids, "pids are the caller's namespace's; 0 is not visible, or gone; anybody may ask")
{
	const char *t = topic_new(.ring_bytes = 4096);
	pid_t pid = child_start(open_and_wait, (void *)t);
	int fd;

	wait_until(dump_readers(t) == 1, SOON);
	expect_eq(readers[0].pid, pid);
	fd = topic_open(t, "", O_RDONLY);
	child_ok(child_start(as_nobody, (void *)t), SOON);
	child_ok(child_start(look_inside, (void *)t), SOON);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_until(dump_readers(t) == 1, SOON);
	/* Opened by one that has ended, and left the file in a table that he shared. */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		close(fd);
		_exit(open(topic_path(t, ""), O_RDONLY) >= 0 ? 0 : 1);
	}
	need(child_ok(pid, SOON));
	need_eq(dump_readers(t), 1);
	expect_eq(readers[0].pid, 0);
	expect(!readers[0].command[0]);
}

static void churn(void *arg)
{
	for (;;)
		close(topic_open(arg, "", O_RDONLY));
}

static void *open_in_thread(void *topic)
{
	topic_open(topic, "", O_RDONLY);
	return NULL;
}

TEST(who_thread, "a file that a thread opened is its process', also when the thread has ended")
{
	const char *t = topic_new(.ring_bytes = 4096);
	pthread_t thread;

	need_eq(pthread_create(&thread, NULL, open_in_thread, (void *)t), 0);
	need_eq(pthread_join(thread, NULL), 0);
	need_eq(dump_readers(t), 1);
	expect_eq(readers[0].pid, getpid());
	expect(!strcmp(readers[0].command, my_name()));
}

TEST(who_many, "a dump of 1,000 readers shows each once, while others come and go")
{
	const char *t = topic_new(.ring_bytes = 4096);
	static int fds[1000];
	pid_t pid[2];
	char name[32];

	for (int i = 0; i < 1000; i++) {
		int w = topic_open(t, "", O_WRONLY);

		if (i < 30)
			need_ret(write(w, "x", 1), 1);
		close(w);
		snprintf(name, sizeof(name), "+from=%d", i % 30);
		fds[i] = topic_open(t, name, O_RDONLY);
	}
	for (int i = 0; i < 2; i++)
		pid[i] = child_start(churn, (void *)t);
	for (int round = 0; round < 5; round++) {
		int mine = 0;

		need(dump_readers(t) >= 1000);
		for (int i = 0; i < nr; i++)
			mine += readers[i].pid == (uint32_t)getpid();
		expect_eq(mine, 1000);
		expect(nr <= 1004);
	}
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	for (int i = 0; i < 1000; i += 2)
		close(fds[i]);
	expect_eq(dump_readers(t), 500);
}
