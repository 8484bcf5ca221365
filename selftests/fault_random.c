// SPDX-License-Identifier: GPL-2.0
/* KERNEL: fault-injection */
/* TIMEOUT: 900 */
/* NEEDS: cpus=2 */
/*
 * Under load one in a hundred of all slab and page allocations and user copies fails, in
 * every call of producers, readers and an administrator (faults.md E.28). A write that
 * failed is not in the log, one that worked is there once; a read that failed moved
 * nothing: so each reader gets each producer's messages 0, 1, 2, ... whatever failed.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "helpers/rawnl.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define TIMES		100000000
#define PARTS		2
#define WRITERS		4
#define MESSAGES	600	/* each writer's */
#define LONGEST		3000
#define LAST		WRITERS	/* whose message is the last one of its partition */

enum { BY_WRITE, BY_WRITEV, BY_RECORDS, BY_SPLICE_IN };
enum { BY_READ, BY_TINY, BY_RECORD, BY_SPLICE, BY_SENDFILE, WAYS };

static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

struct message {
	uint32_t len, writer, number;
};

static struct shared {
	volatile bool end;
	volatile uint64_t write_errors, read_errors, admin_errors, admin_calls;
} *sh;

static const char *topic;
static int make_it_fail = -1;

/* Calls between these may fail. Also this may; then once more. */
static void faults(bool on)
{
	int error = errno;

	while (pwrite(make_it_fail, on ? "1" : "0", 1, 0) != 1)
		need_eq(errno, EFAULT);
	errno = error;
}

#define faulty(call)								\
	({ faults(true); errno = 0; long ret_ = (call); faults(false); ret_; })

static void faults_init(void)
{
	make_it_fail = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	need(make_it_fail >= 0);
}

static void setting(const char *kind, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, name);
	need_eq(write_file(path, value), 0);
}

static void faults_begin(void)
{
	for (int i = 0; i < 3; i++) {
		setting(kinds[i], "task-filter", "Y");
		setting(kinds[i], "interval", "1");
		setting(kinds[i], "space", "0");
		setting(kinds[i], "verbose", "0");
		setting(kinds[i], "times", "100000000");
		setting(kinds[i], "probability", "1");
	}
	setting("failslab", "ignore-gfp-wait", "N");
	setting("fail_page_alloc", "ignore-gfp-wait", "N");
	setting("fail_page_alloc", "min-order", "0");
}

/* How many of a kind there were. */
static unsigned int faults_end(const char *kind)
{
	char path[128], left[32] = "";

	setting(kind, "probability", "0");
	setting(kind, "task-filter", "N");
	snprintf(path, sizeof(path), DEBUGFS "%s/times", kind);
	need(read_line(path, left, sizeof(left)));
	setting(kind, "times", "-1");
	return TIMES - atoi(left);
}

static bool may_be(int error)
{
	return error == ENOMEM || error == EFAULT || error == ENOBUFS || error == EAGAIN;
}

/* --- producers ------------------------------------------------------------------- */

static uint8_t buf[1 << 16] __attribute__((aligned(8)));

static size_t make_message(uint8_t *p, uint32_t writer, uint32_t number)
{
	struct message m = { .writer = writer, .number = number };

	m.len = sizeof(m) + (number * 7919 + writer * 31) % (number % 8 ? 200 : LONGEST);
	memcpy(p, &m, sizeof(m));
	pattern_fill(p + sizeof(m), m.len - sizeof(m), writer * 1000003ULL + number);
	return m.len;
}

static bool message_ok(const uint8_t *p)
{
	struct message m;

	memcpy(&m, p, sizeof(m));
	return pattern_ok(p + sizeof(m), m.len - sizeof(m), m.writer * 1000003ULL + m.number);
}

static long write_records(int fd, struct batch *batch, uint32_t w, uint32_t number, uint32_t n)
{
	void *flat;
	size_t len;

	batch_reset(batch);
	for (uint32_t i = 0; i < n; i++) {
		batch_add(batch, buf, make_message(buf, w, number + i));
		batch_attr(batch, MQ_ATTR_KEY, &w, sizeof(w));
	}
	flat = batch_build(batch, MQ_PARTITION_ANY, &len);
	return faulty(write(fd, flat, len));
}

static long write_spliced(int fd, int *pipes, size_t len)
{
	int left, error;
	long ret;

	need_ret(ioctl(pipes[0], FIONREAD, &left), 0);
	if (!left)
		need_ret(write(pipes[1], buf, len), (long)len);
	ret = faulty(splice(pipes[0], NULL, fd, NULL, len, 0));
	error = errno;
	/* All of it was taken, or nothing. */
	need_ret(ioctl(pipes[0], FIONREAD, &left), 0);
	expect_eq(left, ret < 0 ? len : 0);
	errno = error;
	return ret;
}

static void produce(void *arg)
{
	uint32_t w = (uintptr_t)arg, n, number = 0;
	struct batch *batch = batch_new();
	char options[32];
	int pipes[2], fd;
	long ret;

	faults_init();
	snprintf(options, sizeof(options), "@%u%s", w % PARTS, w == BY_RECORDS ? "+format=record" : "");
	fd = topic_open(topic, options, O_WRONLY);
	need_ret(pipe(pipes), 0);
	while (number < MESSAGES) {
		size_t len = make_message(buf, w, number);
		struct iovec iov[2] = { { buf, 20 }, { buf + 20, len - 20 } };

		n = 1;
		if (len < 20)
			iov[0].iov_len = len, iov[1].iov_len = 0;
		switch (w) {
		case BY_WRITE:
			ret = faulty(write(fd, buf, len));
			break;
		case BY_WRITEV:
			ret = faulty(writev(fd, iov, 2));
			break;
		case BY_RECORDS:
			n = 1 + number % 5;
			if (number + n > MESSAGES)
				n = MESSAGES - number;
			ret = write_records(fd, batch, w, number, n);
			break;
		default:
			ret = write_spliced(fd, pipes, len);
			break;
		}
		if (ret < 0) {
			if (!may_be(errno))
				fail("writer %u, message %u: %s", w, number, mqt_errno(errno));
			need(failures() < 5);
			__atomic_add_fetch(&sh->write_errors, 1, __ATOMIC_RELAXED);
			continue;
		}
		if (w != BY_RECORDS)
			expect_eq(ret, len);
		number += n;
	}
}

/* --- readers --------------------------------------------------------------------- */

struct got {
	int part, way;
	uint32_t next[WRITERS];
	uint8_t rest[1 << 17];
	size_t len;
	bool last;
};

static void take(struct got *g, const uint8_t *p)
{
	struct message m;

	memcpy(&m, p, sizeof(m));
	need(m.writer <= LAST);
	if (m.writer == LAST) {
		g->last = true;
		return;
	}
	if (m.number != g->next[m.writer] || !message_ok(p)) {
		fail("partition %d, way %d: message %u of writer %u, expected %u", g->part, g->way,
		     m.number, m.writer, g->next[m.writer]);
		mqt_end();
	}
	g->next[m.writer]++;
}

/* Bytes of a stream, in which messages are not kept apart. */
static void feed(struct got *g, const uint8_t *p, size_t len)
{
	struct message m;
	size_t at = 0;

	need(g->len + len <= sizeof(g->rest));
	memcpy(g->rest + g->len, p, len);
	g->len += len;
	while (g->len - at >= sizeof(m)) {
		memcpy(&m, g->rest + at, sizeof(m));
		need(m.len >= sizeof(m) && m.len <= sizeof(m) + LONGEST);
		if (g->len - at < m.len)
			break;
		take(g, g->rest + at);
		at += m.len;
	}
	memmove(g->rest, g->rest + at, g->len - at);
	g->len -= at;
}

static long get(int fd, int way, int *aux)
{
	long n;

	switch (way) {
	case BY_TINY:
		return faulty(read(fd, buf, 33));
	case BY_SPLICE:
		n = faulty(splice(fd, NULL, aux[1], NULL, 30000, 0));
		if (n > 0)
			need_ret(read(aux[0], buf, sizeof(buf)), n);
		return n;
	case BY_SENDFILE:
		n = faulty(sendfile(aux[1], fd, NULL, 30000));
		if (n > 0)
			need_ret(recv(aux[0], buf, n, MSG_WAITALL), n);
		return n;
	default:
		return faulty(read(fd, buf, sizeof(buf)));
	}
}

static void consume(void *arg)
{
	static struct got g;
	static struct rec r[1024];
	int aux[2] = { -1, -1 }, fd, size = 1 << 20;
	char options[32];
	long n;

	faults_init();
	g.part = (uintptr_t)arg / WAYS;
	g.way = (uintptr_t)arg % WAYS;
	snprintf(options, sizeof(options), "@%d%s", g.part, g.way == BY_RECORD ? "+format=record" : "");
	fd = topic_open(topic, options, O_RDONLY);
	if (g.way == BY_SPLICE)
		need_ret(pipe(aux), 0);
	if (g.way == BY_SENDFILE) {
		need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, aux), 0);
		need_ret(setsockopt(aux[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), 0);
	}
	while (!g.last) {
		n = get(fd, g.way, aux);
		if (n < 0) {
			if (!may_be(errno))
				fail("partition %d, way %d: %s", g.part, g.way, mqt_errno(errno));
			need(failures() < 5);
			__atomic_add_fetch(&sh->read_errors, 1, __ATOMIC_RELAXED);
		} else if (g.way == BY_RECORD) {
			int count = batch_parse(buf, n, r, 1024, NULL);

			need(count > 0);
			for (int i = 0; i < count; i++)
				take(&g, r[i].payload);
		} else {
			need(n > 0);
			feed(&g, buf, n);
		}
	}
	for (uint32_t w = g.part; w < WRITERS; w += PARTS)
		expect_eq(g.next[w], MESSAGES);
	expect_eq(file_stat(fd).lost_messages, 0);
}

/* --- the administrator ------------------------------------------------------------- */

static const char victim[] = "fault-victim";

static struct nl_msg *request(int cmd, int flags, const char *name)
{
	struct nl_msg *msg = nl_request(cmd, flags);

	if (name)
		need(!nla_put_string(msg, MQ_A_TOPIC_NAME, name));
	return msg;
}

static void tell(struct nl_msg *msg)
{
	rawnl_begin(msg);
	if (faulty(rawnl_call()) < 0) {
		if (!may_be(errno))
			fail("netlink: %s", mqt_errno(errno));
		sh->admin_errors++;
	}
	rawnl_end();
	/* Of one whose deletion failed the partitions do not become fewer. */
	if (rawnl.status && rawnl.status != -EEXIST && rawnl.status != -ENOENT &&
	    rawnl.status != -EBUSY) {
		if (!may_be(-rawnl.status))
			fail("netlink: answered %s", mqt_errno(-rawnl.status));
		sh->admin_errors++;
	}
	sh->admin_calls++;
}

static void try_file(const char *name, const char *options)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const char *path = topic_path(name, options);
	struct pollfd p = { .events = POLLIN };
	struct mq_stat st = { .size = sizeof(st) };
	struct stat stat_;
	void *map;
	int fd;

	fd = faulty(open(path, flags[sh->admin_calls % 3] | O_NONBLOCK));
	if (fd < 0) {
		if (errno != ENOENT && errno != ENODEV && !may_be(errno))
			fail("open %s: %s", path, mqt_errno(errno));
		sh->admin_errors++;
		return;
	}
	p.fd = fd;
	if (faulty(chmod(path, 0640)) || faulty(fstat(fd, &stat_)) ||
	    faulty(ioctl(fd, MQ_IOC_STAT, &st)) || faulty(poll(&p, 1, 0)) < 0)
		sh->admin_errors++;
	map = (void *)faulty((long)mmap(NULL, 1 << 16, PROT_READ, MAP_SHARED, fd, 0));
	if (map != MAP_FAILED) {
		*(volatile char *)map;
		while (faulty(munmap(map, 1 << 16)))
			need_eq(errno, ENOMEM);
	}
	close(fd);
}

static void administer(void *arg)
{
	static const char *const options[] = { "", "@0", "@1+from=newest", "+format=record",
					       "@1+since=1h+until=end" };
	struct nl_msg *msg;

	(void)arg;
	faults_init();
	for (unsigned int i = 0; !sh->end && failures() < 5; i++) {
		msg = request(MQ_CMD_TOPIC_NEW, NLM_F_ACK, victim);
		need(!nla_put_u32(msg, MQ_A_TOPIC_PARTITIONS, 1 + i % 3));
		need(!nla_put_u8(msg, MQ_A_TOPIC_PERSISTENT, i & 1));
		tell(msg);
		try_file(victim, options[i % 5]);
		msg = request(MQ_CMD_TOPIC_SET, NLM_F_ACK, victim);
		need(!nla_put_u32(msg, MQ_A_TOPIC_PARTITIONS, 3 + i % 2));
		tell(msg);
		try_file(topic, options[i % 4]);
		msg = request(MQ_CMD_TOPIC_SET, NLM_F_ACK, topic);
		need(!nla_put_u32(msg, MQ_A_TOPIC_MAX_MESSAGE_BYTES, 4096 + i % 4096));
		tell(msg);
		tell(request(MQ_CMD_TOPIC_GET, NLM_F_DUMP, NULL));
		tell(request(MQ_CMD_PARTITION_GET, NLM_F_DUMP, NULL));
		tell(request(MQ_CMD_READER_GET, NLM_F_DUMP, NULL));
		tell(request(MQ_CMD_WAITER_GET, NLM_F_DUMP, NULL));
		tell(request(MQ_CMD_TOPIC_DEL, NLM_F_ACK, victim));
	}
	topic_del(victim);
}

TEST_LIMIT(load, "E.28: one in a hundred allocations and copies fails under load: nothing lost, twice or torn", 800)
{
	pid_t readers[PARTS * WAYS], writers[WRITERS], admin;

	sh = shared_alloc(sizeof(*sh));
	topic = topic_new(.partitions = PARTS, .ring_bytes = 1 << 16, .max_message_bytes = 8192,
			  .hold = MQ_HOLD_READERS, .overflow = MQ_OVERFLOW_BLOCK,
			  .set = MQT(OVERFLOW));
	for (uintptr_t i = 0; i < PARTS * WAYS; i++)
		readers[i] = child_start(consume, (void *)i);
	wait_until(topic_counters(topic).readers == PARTS * WAYS, SOON);
	faults_begin();
	for (uintptr_t i = 0; i < WRITERS; i++)
		writers[i] = child_start(produce, (void *)i);
	admin = child_start(administer, NULL);
	for (int i = 0; i < WRITERS; i++)
		expect(child_ok(writers[i], 600));
	sh->end = true;
	expect(child_ok(admin, SOON));
	for (int i = 0; i < PARTS; i++) {
		struct message last = { sizeof(last), LAST, 0 };
		char options[8];

		snprintf(options, sizeof(options), "@%d", i);
		need_ret(write(topic_open(topic, options, O_WRONLY), &last, sizeof(last)), sizeof(last));
	}
	for (int i = 0; i < PARTS * WAYS; i++)
		expect(child_ok(readers[i], 100));
	note("%llu of the writes, %llu of the reads, %llu of %llu other calls failed",
	     (unsigned long long)sh->write_errors, (unsigned long long)sh->read_errors,
	     (unsigned long long)sh->admin_errors, (unsigned long long)sh->admin_calls);
	for (int i = 0; i < 3; i++) {
		unsigned int n = faults_end(kinds[i]);

		note("%s: %u", kinds[i], n);
		expect(n > 0);
	}
	expect(sh->read_errors > 0 && sh->admin_errors > 0);
}

TEST(all_back, "E.28: nothing of all that is left")
{
	struct module_info m = module_settled();

	/* If the test before did not come to it. */
	for (int i = 0; i < 3; i++)
		faults_end(kinds[i]);
	expect_eq(m.topics, 0);
	expect_eq(m.memory, 0);
}
