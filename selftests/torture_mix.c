// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 300 */
/* NEEDS: cpus=2 */
/*
 * Everything at once, for $MQ_TORTURE seconds (default 20; hours by hand), in rounds between
 * which the module is unloaded and loaded again: producers by every
 * interface, readers by every interface, producers and readers killed and stopped, signals,
 * files passed on, changes, topics that come and go, a CPU that goes and comes, memory
 * pressure; on a topic that holds for its readers and on one that loses.
 *
 * Who wrote what is recorded, and held against what every reader got (faults.md, Oracles):
 * each acknowledged message once, byte for byte, in its producer's order; of a killed
 * producer the one in flight may be there; nothing that nobody wrote; and on the topic that
 * loses, seen + lost is what was appended, exactly.
 */
#include "helpers/map.h"
#include "helpers/module.h"
#include "helpers/random.h"
#include "helpers/splice.h"

#include <sys/resource.h>

#define PARTS		2
#define PRODUCERS	4		/* each writes to one partition of each topic */
#define WRITERS		(PRODUCERS + 1)	/* the last one: files that were passed on */
#define LIVES		512		/* of a producer */
#define LONGEST		6000
#define LAST		0xffffffffU	/* the last message of a partition */
#define MAGIC		0x6d71746d
#define ROUND		12		/* seconds between two loads of the module */

enum { HELD, LOSSY, TOPICS };
enum { BY_READ, BY_TINY, BY_RECORD, BY_SPLICE, BY_SENDFILE, BY_MMAP, WAYS };

struct message {
	uint32_t magic, len, writer, life, number, crc;
};

/* What one life of a writer tried and what was acknowledged: messages 0 to n - 1. */
struct life {
	volatile uint32_t tried, acked;
};

struct reader {
	int topic, part, way;
	bool all;		/* from the first message to the last, never killed */
	volatile uint64_t seen, lost;
	volatile bool done;
};

static struct shared {
	volatile bool end;
	volatile uint32_t life[WRITERS];
	struct life history[TOPICS][WRITERS][LIVES];
	struct reader readers[TOPICS * PARTS * WAYS * 2];
	volatile uint64_t writes, reads, kills, stops, changes;
} *sh;

static const char *topics[TOPICS];

static void nothing_happens(int sig)
{
	(void)sig;
}

/* --- messages ------------------------------------------------------------------------ */

static size_t make_message(void *buf, uint32_t writer, uint32_t life, uint32_t number)
{
	struct message *m = buf;
	uint8_t *p = buf;

	m->magic = MAGIC;
	m->len = sizeof(*m) + (rnd(16) ? rnd(300) : rnd(LONGEST));
	m->writer = writer;
	m->life = life;
	m->number = number;
	for (uint32_t i = sizeof(*m); i < m->len; i++)
		p[i] = number * 31 + life * 7 + i;
	m->crc = 0;
	m->crc = crc32c(0, buf, m->len);
	return m->len;
}

static bool message_whole(const uint8_t *p)
{
	static uint8_t copy[sizeof(struct message) + LONGEST];
	struct message m;

	memcpy(&m, p, sizeof(m));
	if (m.magic != MAGIC || m.len < sizeof(m) || m.len > sizeof(copy))
		return false;
	memcpy(copy, p, m.len);
	memset(copy + offsetof(struct message, crc), 0, sizeof(m.crc));
	return crc32c(0, copy, m.len) == m.crc;
}

/* --- what a reader got, held against the history ----------------------------------------- */

struct got {
	struct reader *r;
	bool begun[WRITERS];
	uint32_t life[WRITERS], next[WRITERS];
	bool gap[WRITERS];	/* some were lost since its message before */
	uint8_t part[1 << 17];	/* bytes that are no whole message yet */
	size_t len;
	bool last;
};

static struct life *life_of(const struct got *g, uint32_t writer, uint32_t life)
{
	return &sh->history[g->r->topic][writer][life];
}

/* The messages [from, to) of a life are missing: is that right? */
static void expect_missing(struct got *g, uint32_t writer, uint32_t life, uint32_t from, uint32_t to)
{
	if (from < to && !g->gap[writer])
		fail("topic %d, way %d: messages %u to %u of writer %u, life %u, are missing",
		     g->r->topic, g->r->way, from, to - 1, writer, life);
}

static void take(struct got *g, const uint8_t *p)
{
	struct message m;
	uint32_t w;

	memcpy(&m, p, sizeof(m));
	w = m.writer;
	if (!message_whole(p) || (w >= WRITERS && w != LAST)) {
		fail("topic %d, way %d: what nobody wrote", g->r->topic, g->r->way);
		mqt_end();
	}
	sh->reads++;
	g->r->seen++;
	if (w == LAST) {
		g->last = true;
		return;
	}
	need(m.life < LIVES);
	if (m.number >= life_of(g, w, m.life)->tried)
		fail("message %u of writer %u, life %u: it was not written yet", m.number, w, m.life);
	if (!g->begun[w]) {
		/* Who was there from the beginning begins at the beginning. */
		if (g->r->all && !g->gap[w])
			expect(m.life == 0 || !life_of(g, w, 0)->acked);
		if (g->r->all && !m.life)
			expect_missing(g, w, m.life, 0, m.number);
	} else if (m.life == g->life[w]) {
		if (m.number < g->next[w])
			fail("message %u of writer %u, life %u, after %u", m.number, w, m.life,
			     g->next[w] - 1);
		expect_missing(g, w, m.life, g->next[w], m.number);
	} else {
		expect(m.life > g->life[w]);
		/* The one in flight when it was killed may be there, or not. */
		expect_missing(g, w, g->life[w], g->next[w], life_of(g, w, g->life[w])->acked);
		expect_missing(g, w, m.life, 0, m.number);
	}
	g->begun[w] = true;
	g->gap[w] = false;
	g->life[w] = m.life;
	g->next[w] = m.number + 1;
}

/* Messages that were lost stand between two others: only for those is a gap right. */
static void lost_some(struct got *g)
{
	g->len = 0;
	memset(g->gap, true, sizeof(g->gap));
}

/* Bytes of a stream, in which messages are not kept apart. */
static void feed(struct got *g, const uint8_t *p, size_t len)
{
	size_t at = 0;
	struct message m;

	need(g->len + len <= sizeof(g->part));
	memcpy(g->part + g->len, p, len);
	g->len += len;
	while (g->len - at >= sizeof(m)) {
		memcpy(&m, g->part + at, sizeof(m));
		need(m.magic == MAGIC && m.len <= sizeof(m) + LONGEST);
		if (g->len - at < m.len)
			break;
		take(g, g->part + at);
		at += m.len;
	}
	memmove(g->part, g->part + at, g->len - at);
	g->len -= at;
}

/* --- readers --------------------------------------------------------------------------- */

static uint8_t buf[1 << 16] __attribute__((aligned(8)));

/* Bytes by some way, into buf; -1 and errno. */
static ssize_t get_plain(int fd, int way, int *aux)
{
	size_t want = way == BY_TINY ? 1 + rnd(64) :
		      way == BY_RECORD ? sizeof(buf) : 1 + rnd(sizeof(buf));
	ssize_t n;

	switch (way) {
	case BY_SPLICE:
		n = splice(fd, NULL, aux[1], NULL, want, 0);
		return n <= 0 ? n : read(aux[0], buf, sizeof(buf));
	case BY_SENDFILE:
		n = sendfile(aux[1], fd, NULL, want);
		return n <= 0 ? n : recv(aux[0], buf, n, MSG_WAITALL);
	default:
		return read(fd, buf, want);
	}
}

static void get_records(struct got *g, ssize_t len)
{
	static struct rec r[1024];
	int n = batch_parse(buf, len, r, 1024, NULL);

	need(n > 0);
	for (int i = 0; i < n; i++)
		take(g, r[i].payload);
}

static void read_by_file(struct got *g)
{
	int aux[2] = { -1, -1 }, way = g->r->way, size = 1 << 20;
	char options[64];
	ssize_t n;
	int fd;

	snprintf(options, sizeof(options), "@%d%s", g->r->part,
		 way == BY_RECORD ? "+format=record" : "");
	fd = topic_open(topics[g->r->topic], options, O_RDONLY);
	if (way == BY_SPLICE)
		need_ret(pipe(aux), 0);
	if (way == BY_SENDFILE) {
		need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, aux), 0);
		need_ret(setsockopt(aux[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), 0);
	}
	while (!g->last) {
		n = get_plain(fd, way, aux);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			expect(g->r->topic == LOSSY || !g->r->all);
			lost_some(g);
			continue;
		}
		need(n > 0);
		if (way == BY_RECORD)
			get_records(g, n);
		else
			feed(g, buf, n);
	}
	g->r->lost = file_stat(fd).lost_messages;
}

static void read_by_map(struct got *g)
{
	char options[16];
	struct map m;
	struct mq_entry e;
	uint64_t off, tail;

	snprintf(options, sizeof(options), "@%d", g->r->part);
	m = map_topic(topics[g->r->topic], options);
	for (off = 0; !g->last; ) {
		struct pollfd p = { .fd = m.fd, .events = POLLIN };

		if (off == map_head(&m)) {
			if (file_seek(m.fd, MQ_SEEK_OFFSET, off, NULL) == 0)
				poll(&p, 1, 100);
			continue;
		}
		memcpy(&e, map_entry(&m, off), sizeof(e));
		if (e.len <= sizeof(buf))
			memcpy(buf, map_payload(&m, e.position), e.len);
		tail = map_tail(&m);
		if (tail > off) {
			g->r->lost += tail - off;
			off = tail;
			lost_some(g);
			continue;
		}
		need_eq(e.offset, off);
		take(g, buf);
		off++;
	}
}

static void read_all(void *arg)
{
	static struct got g;
	setpriority(PRIO_PROCESS, 0, 10);	/* mischief comes first */
	rnd_seed(getpid() + now_ns());
	g.r = arg;
	if (g.r->way == BY_MMAP)
		read_by_map(&g);
	else
		read_by_file(&g);
	g.r->done = true;
	/* All of the last lives, too. */
	for (uint32_t w = 0; g.r->all && w < WRITERS; w++) {
		if (g.begun[w])
			expect_missing(&g, w, g.life[w], g.next[w], life_of(&g, w, g.life[w])->acked);
	}
}

/* --- writers --------------------------------------------------------------------------- */

static ssize_t write_piped(int fd, const void *p, size_t len)
{
	int pipes[2];
	ssize_t ret;

	need_ret(pipe(pipes), 0);
	need_ret(write(pipes[1], p, len), (ssize_t)len);
	ret = splice(pipes[0], NULL, fd, NULL, len, 0);
	close(pipes[0]);
	close(pipes[1]);
	return ret;
}

static ssize_t write_pieces(int fd, uint8_t *p, size_t len)
{
	struct iovec iov[3];
	size_t a = rnd(len), b = a + rnd(len - a + 1);

	iov[0] = (struct iovec) { p, a };
	iov[1] = (struct iovec) { p + a, b - a };
	iov[2] = (struct iovec) { p + b, len - b };
	return writev(fd, iov, 3);
}

/* One message, or a batch of some, until it is in. */
static void write_some(int topic, uint32_t w, uint32_t life, int fd, int record_fd)
{
	static uint8_t p[sizeof(struct message) + LONGEST];
	static struct batch *batch;
	struct life *l = &sh->history[topic][w][life];
	uint32_t n = 1, way = rnd(4), first = l->tried;
	ssize_t ret;
	size_t len;

	if (!batch)
		batch = batch_new();
	batch_reset(batch);
	if (way == 3)
		n = 1 + rnd(8);
	/* At most a quarter of the ring in one batch. */
	for (uint32_t i = 0, sum = 0; i < n; i++) {
		len = make_message(p, w, life, first + i);
		sum += len;
		if (way == 3)
			batch_add(batch, p, len);
		if (sum > 8192)
			n = i + 1;
	}
	l->tried = first + n;
	do {
		ret = way == 0 ? write(fd, p, len) :
		      way == 1 ? write_pieces(fd, p, len) :
		      way == 2 ? write_piped(fd, p, len) :
				 batch_write(batch, record_fd, MQ_PARTITION_ANY);
	} while (ret < 0 && errno == EINTR && !sh->end);
	if (ret < 0) {
		/* Interrupted at the end, so it is not in: nothing follows in this life. */
		need(errno == EINTR);
		_exit(0);
	}
	l->acked = first + n;
	sh->writes += n;
}

static void write_all(void *arg)
{
	uint32_t w = (uintptr_t)arg, life = sh->life[w];
	int fd[TOPICS], record_fd[TOPICS];
	char options[64];

	setpriority(PRIO_PROCESS, 0, 10);	/* mischief comes first */
	rnd_seed(getpid() + now_ns());
	for (int t = 0; t < TOPICS; t++) {
		snprintf(options, sizeof(options), "@%u", w % PARTS);
		fd[t] = topic_open(topics[t], options, O_WRONLY);
		snprintf(options, sizeof(options), "@%u+format=record", w % PARTS);
		record_fd[t] = topic_open(topics[t], options, O_WRONLY);
	}
	while (!sh->end) {
		int t = rnd(TOPICS);

		write_some(t, w, life, fd[t], record_fd[t]);
	}
}

/* --- what goes wrong ----------------------------------------------------------------------- */

static pid_t writer_pid[PRODUCERS];
static struct reader *late[TOPICS * PARTS * WAYS];
static pid_t late_pid[TOPICS * PARTS * WAYS];
static unsigned int nr_late;

static void new_life(uint32_t w)
{
	writer_pid[w] = child_start(write_all, (void *)(uintptr_t)w);
}

static void kill_a_writer(void)
{
	uint32_t w = rnd(PRODUCERS);

	if (sh->life[w] + 1 == LIVES)
		return;
	kill(writer_pid[w], SIGKILL);
	child_wait(writer_pid[w], SOON);
	sh->kills++;
	sh->life[w]++;
	new_life(w);
}

static void kill_a_reader(void)
{
	unsigned int i = rnd(nr_late);

	kill(late_pid[i], SIGKILL);
	child_wait(late_pid[i], SOON);
	sh->kills++;
	late_pid[i] = child_start(read_all, late[i]);
}

static pid_t anybody(void)
{
	return rnd(2) ? writer_pid[rnd(PRODUCERS)] : late_pid[rnd(nr_late)];
}

static void stop_somebody(void)
{
	pid_t pid = anybody();

	kill(pid, SIGSTOP);
	sleep_ms(rnd(50));
	kill(pid, SIGCONT);
	sh->stops++;
}

static void signal_somebody(void)
{
	for (int i = 0; i < 20; i++)
		kill(anybody(), SIGUSR1);
}

static void change_something(void)
{
	static const uint32_t longest[] = { 6144, 8192, 16384 };

	switch (rnd(4)) {
	case 0:
		topic_set(topics[LOSSY], .lend = rnd(2), .set = MQT(LEND));
		break;
	case 1:
		topic_set(topics[rnd(TOPICS)], .max_message_bytes = longest[rnd(3)]);
		break;
	case 2:
		topic_set(topics[LOSSY], .paused = 1);
		sleep_ms(rnd(20));
		topic_set(topics[LOSSY], .paused = 0, .set = MQT(PAUSED));
		break;
	case 3:
		topic_set(topics[HELD], .mode = rnd(2) ? 0600 : 0640);
		break;
	}
	sh->changes++;
}

static void short_lived_topic(void)
{
	const char *t = topic_new(.ring_bytes = 65536, .partitions = 1 + rnd(3));
	int fd = topic_open(t, "", O_RDWR);

	for (uint32_t i = rnd(100); i; i--) {
		size_t len = 1 + rnd(2000);

		need_ret(write(fd, buf, len), (ssize_t)len);
	}
	need_ret(topic_del(t), 0);
	close(fd);
}

/* A file opened here, passed on and received, then written to. */
static void write_passed_on(void)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = "", byte = 0, options[64];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int pair[2], fd[2], t = rnd(TOPICS);

	need_ret(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	snprintf(options, sizeof(options), "@%d", PRODUCERS % PARTS);
	fd[0] = topic_open(topics[t], options, O_WRONLY);
	snprintf(options, sizeof(options), "@%d+format=record", PRODUCERS % PARTS);
	fd[1] = topic_open(topics[t], options, O_WRONLY);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), fd, sizeof(fd));
	need_ret(sendmsg(pair[0], &m, 0), 1);
	close(fd[0]);
	close(fd[1]);
	need_ret(recvmsg(pair[1], &m, 0), 1);
	memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	for (int i = 0; i < 5; i++)
		write_some(t, PRODUCERS, 0, fd[0], fd[1]);
	close(fd[0]);
	close(fd[1]);
	close(pair[0]);
	close(pair[1]);
}

static void cpu_goes_and_comes(void)
{
	static const char cpu1[] = "/sys/devices/system/cpu/cpu1/online";

	expect_eq(write_file(cpu1, "0"), 0);
	sleep_ms(rnd(50));
	expect_eq(write_file(cpu1, "1"), 0);
}

static void press_memory(void)
{
	/*
	 * Little: emulated on a busy host, clearing pages that page cache left (dropped below) has
	 * stood still for a minute (a soft lockup in clear_page_rep). mem_oom takes all of a cgroup.
	 */
	size_t len = 2 << 20;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED) {
		/* Huge pages are cleared without a pause, and slowly so in an emulated machine. */
		madvise(p, len, MADV_NOHUGEPAGE);
		memset(p, 1, len);
		munmap(p, len);
	}
	write_file("/proc/sys/vm/drop_caches", "3");
	write_file("/proc/sys/vm/compact_memory", "1");
}

static void (*const mischief[])(void) = {
	kill_a_writer, kill_a_writer, kill_a_reader, kill_a_reader, stop_somebody, signal_somebody,
	signal_somebody, change_something, change_something, short_lived_topic, write_passed_on,
	write_passed_on, cpu_goes_and_comes, press_memory,
};

/* --- all of it ------------------------------------------------------------------------------- */

static unsigned int torture_seconds(void)
{
	const char *seconds = getenv("MQ_TORTURE");

	return seconds ? atoi(seconds) : 20;
}

static void end_partition(int topic, int part)
{
	static uint8_t p[sizeof(struct message) + LONGEST];
	char options[16];
	size_t len = make_message(p, LAST, 0, 0);
	int fd;

	snprintf(options, sizeof(options), "@%d", part);
	fd = topic_open(topics[topic], options, O_WRONLY);
	need_ret(write(fd, p, len), (ssize_t)len);
	close(fd);
}

/* In a process of its own: the netlink family has another number after each load. */
static void one_round(void *arg)
{
	/* Inherited by all of them; calls are interrupted, not restarted. */
	struct sigaction sa = { .sa_handler = nothing_happens };
	static pid_t pids[TOPICS * PARTS * WAYS];
	uint64_t end, seed = now_ns();
	unsigned int n = 0, seconds = *(unsigned int *)arg;

	sigaction(SIGUSR1, &sa, NULL);
	sh = shared_alloc(sizeof(*sh));
	topics[HELD] = topic_new(.partitions = PARTS, .ring_bytes = 1 << 17, .max_message_bytes = 8192,
				 .hold = MQ_HOLD_READERS,
				 .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	topics[LOSSY] = topic_new(.partitions = PARTS, .ring_bytes = 1 << 16, .max_message_bytes = 8192);
	for (int t = 0; t < TOPICS; t++) {
		for (int p = 0; p < PARTS; p++) {
			for (int way = 0; way < WAYS; way++) {
				if (way == BY_MMAP && t == HELD)
					continue;	/* holds nothing */
				sh->readers[n] = (struct reader) { t, p, way, .all = true };
				pids[n] = child_start(read_all, &sh->readers[n]);
				n++;
			}
		}
	}
	for (unsigned int i = 0; i < n; i += 3) {
		late[nr_late] = &sh->readers[TOPICS * PARTS * WAYS + nr_late];
		*late[nr_late] = (struct reader) { sh->readers[i].topic, sh->readers[i].part,
						   sh->readers[i].way, .all = false };
		late_pid[nr_late] = child_start(read_all, late[nr_late]);
		nr_late++;
	}
	wait_until(topic_counters(topics[HELD]).readers + topic_counters(topics[LOSSY]).readers ==
		   n + nr_late, SOON);
	for (uint32_t w = 0; w < PRODUCERS; w++)
		new_life(w);

	note("seed %llu", (ull)seed);
	rnd_seed(seed);
	end = now_ns() + seconds * 1000000000ULL;
	while (now_ns() < end && failures() == 0) {
		mischief[rnd(sizeof(mischief) / sizeof(*mischief))]();
		sleep_ms(rnd(30));
	}

	sh->end = true;
	for (uint32_t w = 0; w < PRODUCERS; w++) {
		/* It may wait for room; readers make it. */
		expect(child_ok(writer_pid[w], SOON));
	}
	for (int t = 0; t < TOPICS; t++)
		for (int p = 0; p < PARTS; p++)
			end_partition(t, p);
	for (unsigned int i = 0; i < n; i++)
		expect(child_ok(pids[i], 60));
	for (unsigned int i = 0; i < nr_late; i++)
		expect(child_ok(late_pid[i], 60));
	for (unsigned int i = 0; i < n; i++) {
		const struct reader *r = &sh->readers[i];
		struct partition_info info = partition_state(topics[r->topic], r->part);

		if (r->topic == HELD)
			expect_eq(r->lost, 0);
		if (r->seen + r->lost != info.head_offset)
			fail("topic %d, partition %d, way %d: %llu seen, %llu lost, %llu appended",
			     r->topic, r->part, r->way, (ull)r->seen, (ull)r->lost,
			     (ull)info.head_offset);
	}
	note("%llu messages, %llu readings, %llu kills, %llu stops, %llu changes", (ull)sh->writes,
	     (ull)sh->reads, (ull)sh->kills, (ull)sh->stops, (ull)sh->changes);
	expect(sh->writes > 100);
	for (int t = 0; t < TOPICS; t++)
		expect_eq(topic_del(topics[t]), 0);
}

static void reload(void)
{
	module_unmount();
	if (wait_until(module_unload() == 0, SOON))
		module_load();
	module_mount();
}

TEST_LIMIT(mix, "everything at once: every message that was acknowledged, once, in order; losses exact",
	   100000)
{
	unsigned int left = torture_seconds(), round, rounds = 0;

	while (left && !failures()) {
		if (rounds++)
			reload();
		round = left > ROUND ? ROUND : left;
		left -= round;
		expect(child_ok(child_start(one_round, &round), round + 10 * SOON));
	}
}
