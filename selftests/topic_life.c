// SPDX-License-Identifier: GPL-2.0
/*
 * A topic's end: deleted while calls are in flight in it, while it is opened,
 * while its name is taken again; what open files still can do, and that nothing
 * is left of it afterwards (faults.md D.20).
 */
#define _GNU_SOURCE
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "mqtest.h"

/* --- calls in flight ------------------------------------------------------- */

struct call {
	const char *what;
	long (*run)(void *arg);
	int fd;
	int out;		/* where a splice goes to */
};

static long call_read(void *arg)
{
	char buf[64];

	return read(((struct call *)arg)->fd, buf, sizeof(buf));
}

static long call_write(void *arg)
{
	char buf[64] = { 0 };

	return write(((struct call *)arg)->fd, buf, sizeof(buf));
}

static long call_fsync(void *arg)
{
	return fsync(((struct call *)arg)->fd);
}

static long call_splice(void *arg)
{
	struct call *c = arg;

	return splice(c->fd, NULL, c->out, NULL, 4096, 0);
}

static long call_sendfile(void *arg)
{
	struct call *c = arg;

	return sendfile(c->out, c->fd, NULL, 4096);
}

static long call_poll(void *arg)
{
	struct pollfd p = { .fd = ((struct call *)arg)->fd, .events = POLLIN };

	if (poll(&p, 1, -1) != 1)
		return -1;
	return p.revents & POLLHUP ? 1000 : p.revents;
}

static long call_epoll(void *arg)
{
	struct epoll_event e = { .events = EPOLLET };
	int ep = epoll_create1(0);

	/* Not asked for anything: EPOLLHUP comes all the same. */
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ((struct call *)arg)->fd, &e) ||
	    epoll_wait(ep, &e, 1, -1) != 1)
		return -1;
	close(ep);
	return e.events & EPOLLHUP ? 1000 : e.events;
}

/* The call waits; the topic is deleted; the call ends, as it should. */
static void ended_by_delete(const char *topic, struct call *c, bool hup)
{
	struct async a;
	uint64_t start;

	async_start(&a, c->run, c);
	if (!expect_waits(&a))
		note("%s does not wait", c->what);
	start = now_ns();
	need_eq(topic_del(topic), 0);
	if (!async_end(&a, SOON))
		fail("%s was not ended by the deletion", c->what);
	else if (hup ? a.ret != 1000 : a.ret != -1 || a.error != ENODEV)
		fail("%s: %ld, %s", c->what, a.ret, mqt_errno(a.error));
	note("%s ended %d ms after", c->what, (int)((now_ns() - start) / 1000000));
}

/* Fills a topic that holds everything, until a write would wait. */
static void fill(const char *t)
{
	static char msg[1024];
	int fd = topic_open(t, "", O_WRONLY | O_NONBLOCK);

	while (write(fd, msg, sizeof(msg)) == (ssize_t)sizeof(msg))
		;
	expect_eq(errno, EAGAIN);
	while (write(fd, msg, 1) == 1)
		;
	close(fd);
}

TEST(readers, "D.20: read, splice, sendfile, poll, epoll that wait end with the topic")
{
	struct call calls[] = {
		{ "read", call_read, 0, 0 },
		{ "read of records", call_read, 0, 0 },
		{ "read of several partitions", call_read, 0, 0 },
		{ "read, opened read-write", call_read, 0, 0 },
		{ "splice", call_splice, 0, 0 },
		{ "sendfile", call_sendfile, 0, 0 },
		{ "poll", call_poll, 0, 0 },
		{ "epoll", call_epoll, 0, 0 },
		{ "poll of several partitions", call_poll, 0, 0 },
	};
	int pipefd[2], sv[2];

	need_ret(pipe(pipefd), 0);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct call *c = &calls[i];
		bool several = strstr(c->what, "several");
		const char *t = topic_new(.ring_bytes = 4096, .partitions = several ? 3 : 1);

		c->fd = topic_open(t, strstr(c->what, "records") ? "+format=record" : "",
				   strstr(c->what, "write") ? O_RDWR : O_RDONLY);
		c->out = c->run == call_sendfile ? sv[0] : pipefd[1];
		ended_by_delete(t, c, strstr(c->what, "poll"));
		close(c->fd);
	}
}

TEST(writers, "D.20: writes that wait for room, a pause or a store end with the topic")
{
	const char *t = topic_new(.ring_bytes = 4096, .persistent = 1);
	struct call c = { "write that waits for room", call_write, -1, -1 };

	fill(t);
	c.fd = topic_open(t, "", O_WRONLY);
	ended_by_delete(t, &c, false);
	close(c.fd);

	t = topic_new(.ring_bytes = 4096, .paused = 1);
	c.what = "write that waits for the end of a pause";
	c.fd = topic_open(t, "", O_WRONLY);
	ended_by_delete(t, &c, false);
	close(c.fd);

	t = topic_new(.ring_bytes = 4096, .persistent = 1);
	c.what = "fsync";
	c.run = call_fsync;
	c.fd = topic_open(t, "", O_WRONLY);
	need_ret(write(c.fd, "x", 1), 1);
	ended_by_delete(t, &c, false);
	close(c.fd);

	t = topic_new(.ring_bytes = 4096, .persistent = 1);
	c.what = "O_DSYNC write";
	c.run = call_write;
	c.fd = topic_open(t, "", O_WRONLY | O_DSYNC);
	ended_by_delete(t, &c, false);
	close(c.fd);
}

TEST(drain, "D.20: after the deletion reads drain, writes and everything new fail with ENODEV")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int r = topic_open(t, "", O_RDONLY), w = topic_open(t, "", O_WRONLY);
	int rec = topic_open(t, "+format=record", O_RDWR);
	struct pollfd p = { .fd = r, .events = POLLIN };
	uint64_t before = module_settled().memory;
	struct stat st;
	char buf[64], path[256];

	for (int i = 0; i < 10; i++)
		need_ret(write(w, "0123456789", 10), 10);
	snprintf(path, sizeof(path), "%s", topic_path(t, ""));
	need_eq(topic_del(t), 0);

	expect_err(write(w, "x", 1), ENODEV);
	expect_err(open(path, O_RDONLY), ENOENT);
	expect_err(stat(path, &st), ENOENT);
	expect_err(open(topic_path(t, "@0"), O_RDONLY), ENOENT);
	expect_ret(fstat(r, &st), 0);
	expect_eq(st.st_size, 100);
	expect(file_stat(r).flags & MQ_STAT_DELETED);
	expect_ret(poll(&p, 1, 0), 1);
	expect(p.revents & POLLHUP);
	expect(p.revents & POLLIN);
	expect_eq(file_readable(r), 100);
	for (int i = 0; i < 10; i++)
		expect_ret(read(r, buf, sizeof(buf)), 10);
	expect_err(read(r, buf, sizeof(buf)), ENODEV);
	expect_err(read(r, buf, sizeof(buf)), ENODEV);
	expect_ret(lseek(r, 0, SEEK_DATA), 0);
	expect_ret(read(r, buf, sizeof(buf)), 10);
	expect_err(write(rec, "x", 1), EINVAL);
	/* A file reopened through /proc is a new open. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r);
	expect_err(open(path, O_RDONLY), ENODEV);
	expect(module_state().memory >= before);
	close(r);
	close(w);
	close(rec);
}

TEST(memory_goes, "the memory goes with the last file, not before")
{
	uint64_t before = module_settled().memory, with;
	const char *t = topic_new(.ring_bytes = 1 << 20, .persistent = 1);
	int a = topic_open(t, "", O_RDONLY), b = topic_open(t, "", O_RDONLY), path;
	struct topic_info info;

	path = open(topic_path(t, ""), O_PATH);
	need(path >= 0);
	with = module_state().memory;
	expect(with > before);
	need_eq(topic_del(t), 0);
	close(a);
	sleep_ms(100);
	expect_eq(module_state().memory, with);
	close(b);
	sleep_ms(100);
	/* The inode is still there. */
	expect_eq(module_state().memory, with);
	close(path);
	wait_until(module_state().memory == before, SOON);
	expect_eq(topic_get(t, &info), -ENOENT);
}

TEST(successor, "a new topic of the name is there at once, and another one")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int old = topic_open(t, "", O_RDONLY), w = topic_open(t, "", O_WRONLY), fd;
	struct mq_stat a, b;
	struct stat st1, st2;
	char buf[16];

	need_ret(write(w, "old", 3), 3);
	need_ret(stat(topic_path(t, ""), &st1), 0);
	a = file_stat(old);
	need_eq(topic_del(t), 0);
	need_eq(topic_add(&(struct topic_opts) { .name = t, .ring_bytes = 4096 }), 0);
	need_ret(stat(topic_path(t, ""), &st2), 0);
	expect(st1.st_ino != st2.st_ino);
	expect(st1.st_rdev != st2.st_rdev);
	fd = topic_open(t, "", O_RDWR);
	b = file_stat(fd);
	expect(memcmp(a.topic_id, b.topic_id, sizeof(a.topic_id)));
	need_ret(write(fd, "new", 3), 3);
	expect_err(write(w, "x", 1), ENODEV);
	expect_ret(read(old, buf, sizeof(buf)), 3);
	expect_mem(buf, 3, "old", 3);
	expect_err(read(old, buf, sizeof(buf)), ENODEV);
	expect_ret(read(fd, buf, sizeof(buf)), 3);
	expect_mem(buf, 3, "new", 3);
	/* Deleting the old one again touches nothing of the new one. */
	struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_DEL, 0);

	need(!nla_put(msg, MQ_A_TOPIC_ID, MQ_TOPIC_ID_LEN, a.topic_id));
	expect_eq(nl_call(msg, NULL, NULL), -ENOENT);
	expect_ret(write(fd, "new", 3), 3);
}

TEST(pages, "B.16: pages in a pipe outlive their topic, its files and its memory")
{
	uint64_t before = module_settled().memory;
	const char *t = topic_new(.ring_bytes = 65536);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY);
	static char out[8192], in[8192];
	int pipefd[2];

	need_ret(pipe(pipefd), 0);
	pattern_fill(out, sizeof(out), 1);
	need_ret(write(w, out, sizeof(out)), sizeof(out));
	need_ret(splice(r, NULL, pipefd[1], NULL, sizeof(out), 0), sizeof(out));
	close(r);
	close(w);
	need_eq(topic_del(t), 0);
	wait_until(module_state().memory == before, SOON);
	/* Others use the memory meanwhile. */
	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	memset(in, 0xaa, sizeof(in));
	for (int i = 0; i < 32; i++)
		need_ret(write(w, in, sizeof(in)), sizeof(in));
	for (size_t got = 0; got < sizeof(in);) {
		ssize_t n = read(pipefd[0], in + got, sizeof(in) - got);

		need(n > 0);
		got += n;
	}
	expect(pattern_ok(in, sizeof(in), 1));
}

/* --- races ----------------------------------------------------------------- */

struct race {
	volatile int stop;
	const char *name;
	volatile unsigned int opened, refused, dead;
};

static void opener(struct race *race, const char *options, int flags)
{
	static char buf[4096];

	while (!race->stop) {
		int fd = topic_try_open(race->name, options, flags | O_NONBLOCK);
		struct stat st;

		if (fd < 0) {
			if (errno != ENOENT && errno != ENODEV)
				fail("open: %s", mqt_errno(errno));
			__atomic_add_fetch(&race->refused, 1, __ATOMIC_RELAXED);
			continue;
		}
		__atomic_add_fetch(&race->opened, 1, __ATOMIC_RELAXED);
		expect_ret(fstat(fd, &st), 0);
		for (int i = 0; i < 4; i++) {
			ssize_t n = flags == O_WRONLY ? write(fd, buf, 100) :
							read(fd, buf, sizeof(buf));
			if (n >= 0)
				continue;
			if (errno == ENODEV)
				__atomic_add_fetch(&race->dead, 1, __ATOMIC_RELAXED);
			else if (errno != EAGAIN && errno != ENOBUFS)
				fail("%s: %s", flags == O_WRONLY ? "write" : "read",
				     mqt_errno(errno));
		}
		file_stat(fd);
		close(fd);
	}
}

static void race_reader(void *arg)
{
	opener(arg, "", O_RDONLY);
}

static void race_partition(void *arg)
{
	opener(arg, "@1+format=record+since=1h", O_RDONLY);
}

static void race_writer(void *arg)
{
	opener(arg, "", O_WRONLY);
}

static void race_stat(void *arg)
{
	struct race *race = arg;
	struct topic_info info;
	struct stat st;

	while (!race->stop) {
		int ret = topic_get(race->name, &info);

		expect(ret == 0 || ret == -ENOENT);
		if (stat(topic_path(race->name, ""), &st) && errno != ENOENT)
			fail("stat: %s", mqt_errno(errno));
		if (chmod(topic_path(race->name, ""), 0640) && errno != ENOENT && errno != ENODEV)
			fail("chmod: %s", mqt_errno(errno));
	}
}

TEST_LIMIT(open_delete, "D.20: open, read, write, stat, chmod against delete and re-creation", 120)
{
	struct race *race = shared_alloc(sizeof(*race));
	void (*who[])(void *) = { race_reader, race_partition, race_writer, race_stat };
	uint64_t before = module_settled().memory, end;
	unsigned int rounds = 0;
	pid_t pids[4];

	race->name = topic_name();
	for (int i = 0; i < 4; i++)
		pids[i] = child_start(who[i], race);
	/* Until enough has met, on however slow a machine. */
	for (end = now_ns() + 90000000000ULL; now_ns() < end; rounds++) {
		if (rounds >= 200 && race->opened > 500 && race->dead > 20)
			break;
		need_eq(topic_add(&(struct topic_opts) { .name = race->name, .partitions = 2,
							 .ring_bytes = 16384 }), 0);
		if (rounds & 1)
			sleep_ms(rounds % 8);
		need_eq(topic_del(race->name), 0);
	}
	race->stop = 1;
	for (int i = 0; i < 4; i++)
		child_ok(pids[i], SOON);
	note("%u topics, %u opened, %u refused, %u calls on a deleted one", rounds, race->opened,
	     race->refused, race->dead);
	expect(race->opened > 500);
	expect(race->dead > 20);
	wait_until(module_state().memory == before, SOON);
}

static void deleter(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int ret = topic_del(race->name);

		expect(ret == 0 || ret == -ENOENT);
		if (!ret)
			race->dead++;
	}
}

static void creator(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int ret = topic_add(&(struct topic_opts) { .name = race->name,
							   .ring_bytes = 4096 });

		expect(ret == 0 || ret == -EEXIST);
		if (!ret)
			__atomic_add_fetch(&race->opened, 1, __ATOMIC_RELAXED);
	}
}

static void grower(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int ret = topic_change(&(struct topic_opts) { .name = race->name,
							      .partitions = 20, .mode = 0644 });

		expect(ret == 0 || ret == -ENOENT || ret == -ENODEV);
		race->refused += ret == 0;
	}
}

TEST_LIMIT(fight, "D.20: two that create, one that deletes, one that adds partitions", 120)
{
	struct race *race = shared_alloc(sizeof(*race));
	void (*who[])(void *) = { creator, creator, deleter, grower };
	uint64_t before = module_settled().memory;
	pid_t pids[4];
	int left;

	race->name = topic_name();
	for (int i = 0; i < 4; i++)
		pids[i] = child_start(who[i], race);
	wait_until(race->dead > 50 && race->refused > 50, 90);
	race->stop = 1;
	for (int i = 0; i < 4; i++)
		child_ok(pids[i], SOON);
	left = topic_del(race->name);
	expect(left == 0 || left == -ENOENT);
	note("%u created, %u deleted, %u grown", race->opened, race->dead, race->refused);
	expect_eq(race->opened, race->dead + (left == 0));
	wait_until(module_state().memory == before, SOON);
}

/* --- framing against open ---------------------------------------------------- */

static void framing_opener(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int fd = topic_open(race->name, "", O_WRONLY);
		bool line = file_stat(fd).flags & MQ_STAT_LINE;

		for (int i = 0; i < 20; i++)
			if (!!(file_stat(fd).flags & MQ_STAT_LINE) != line) {
				fail("the framing changed under an open file");
				break;
			}
		close(fd);
		race->opened++;
	}
}

TEST(framing, "framing never changes under an open file")
{
	struct race *race = shared_alloc(sizeof(*race));
	unsigned int done = 0, busy = 0;
	uint64_t end;
	pid_t pid;

	race->name = topic_new(.ring_bytes = 4096);
	pid = child_start(framing_opener, race);
	for (end = deadline(SOON); now_ns() < end;) {
		if (done > 100 && busy > 100 && race->opened > 100)
			break;
		int ret = topic_change(&(struct topic_opts) {
			.name = race->name, .set = MQT(FRAMING),
			.framing = done & 1 ? MQ_FRAMING_MESSAGE : MQ_FRAMING_LINE });

		expect(ret == 0 || ret == -EBUSY);
		done += !ret;
		busy += !!ret;
	}
	race->stop = 1;
	child_ok(pid, SOON);
	note("%u changed, %u busy, %u opened", done, busy, race->opened);
	expect(done > 0);
	expect(busy > 0);
	expect(race->opened > 0);
}

/* --- partitions online ------------------------------------------------------- */

static void partition_writer(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int fd = topic_open(race->name, "", O_WRONLY);

		need_ret(write(fd, "x", 1), 1);
		close(fd);
		__atomic_add_fetch(&race->opened, 1, __ATOMIC_RELAXED);
	}
}

TEST(grow, "partitions are added under writers and an open reader, who sees all of it")
{
	struct race *race = shared_alloc(sizeof(*race));
	unsigned int got = 0;
	char buf[64];
	pid_t pids[2];
	int r;

	race->name = topic_new(.ring_bytes = 1 << 20);
	r = topic_open(race->name, "", O_RDONLY | O_NONBLOCK);
	for (int i = 0; i < 2; i++)
		pids[i] = child_start(partition_writer, race);
	for (uint32_t n = 2; n <= 64; n += 2) {
		expect(topic_set(race->name, .partitions = n));
		sleep_ms(10);
	}
	race->stop = 1;
	for (int i = 0; i < 2; i++)
		child_ok(pids[i], SOON);
	while (read(r, buf, sizeof(buf)) == 1)
		got++;
	expect_eq(errno, EAGAIN);
	expect_eq(got, race->opened);
	expect_eq(topic_counters(race->name).messages_in, race->opened);
	expect(partition_state(race->name, 63).index == 63);
	note("%u messages over 64 partitions", got);
}
