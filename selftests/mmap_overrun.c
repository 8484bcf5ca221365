// SPDX-License-Identifier: GPL-2.0
/*
 * Mapped readers of a ring that is lapped, and whose pages are replaced because
 * pipes hold them: each can always tell good data from overrun data (faults.md
 * C.19).
 *
 * TIMEOUT: 300
 */
#include "helpers/map.h"

#define RING	65536

static size_t length_of(uint64_t n)
{
	return 16 + n * 7 % 600;
}

static void put(int fd, uint64_t n)
{
	static char buf[4096];

	pattern_fill(buf, length_of(n), n);
	need_ret(write(fd, buf, length_of(n)), length_of(n));
}

/* A pipe with as many of the topic's pages as it takes. */
static void hold(int rd, int p[2])
{
	need_ret(pipe(p), 0);
	need(fcntl(p[1], F_SETPIPE_SZ, 1 << 20) > 0);
	need(splice(rd, NULL, p[1], NULL, 1 << 20, SPLICE_F_NONBLOCK) > 0);
}

TEST(replaced, "C.19: each page replaced: all maps of both names show the new one, the pipe the old one")
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 1024);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct map maps[] = { map_topic(t, ""), map_topic(t, "@0"), map_topic(t, "+format=record"),
			      map_fd(topic_open(t, "@0", O_RDWR)) };
	uint64_t off = 0, lap = 0, held_to;
	static char old[RING], got[RING];
	struct mq_entry e;
	ssize_t held;
	int p[2];

	for (; lap < 20 && failures() < 5; lap++) {
		uint64_t start = maps[0].h->head_position;

		/* Fill the ring but for a quarter; look at all of it, in both halves of a map. */
		while (maps[0].h->head_position < start + RING * 3 / 4)
			put(fd, off++);
		for (unsigned int i = 0; i < 4; i++) {
			for (uint64_t o = map_tail(&maps[i]); o < off; o++)
				need_eq(map_read(&maps[i], o, &e), MAP_GOOD);
			for (uint64_t at = maps[i].h->data_at; at < maps[i].h->length; at += 4096)
				(void)*(volatile const uint8_t *)(maps[i].base + at);
		}
		lseek(rd, start, SEEK_SET);
		hold(rd, p);
		held_to = lseek(rd, 0, SEEK_CUR);
		memcpy(old, map_payload(&maps[0], start), held_to - start);
		/* Round, over pages that the pipe has; each message at once, through every map. */
		while (maps[0].h->tail_position < held_to && failures() < 5) {
			put(fd, off);
			for (unsigned int i = 0; i < 4; i++) {
				expect_eq(map_read(&maps[i], off, &e), MAP_GOOD);
				expect(pattern_ok(map_payload(&maps[i], e.position), e.len, off));
			}
			off++;
		}
		held = read(p[0], got, sizeof(got));
		expect_eq(held, held_to - start);
		expect(!memcmp(got, old, held));
		close(p[0]);
		close(p[1]);
	}
	expect(topic_counters(t).wraps >= 20);
}

/* --- everything at once -------------------------------------------------------- */

struct shared {
	volatile int stop;
	volatile unsigned long good, overrun, bad, held, remapped, replaced;
	char topic[64];
};

/* Splices to pipes and lets go a while later: the writer finds pages held. */
static void holder(void *arg)
{
	struct shared *s = arg;
	int rd = topic_open(s->topic, "+from=newest+overrun=skip", O_RDONLY | O_NONBLOCK);
	int p[8][2] = { };

	for (unsigned int n = 0; !s->stop; n++) {
		int *q = p[n % 8];

		if (q[0]) {
			close(q[0]);
			close(q[1]);
		}
		need_ret(pipe(q), 0);
		if (splice(rd, NULL, q[1], NULL, 8192, SPLICE_F_NONBLOCK) > 0)
			s->held++;
		if (n % 8 == 0 && topic_counters(s->topic).lent)
			s->replaced++;
	}
}

/* The newest message mostly, then others further back: some good, some not. */
static void read_some(struct shared *s, const struct map *m, unsigned int n)
{
	uint64_t head = map_head(m), tail = map_tail(m), off;
	unsigned long *count;
	struct mq_entry e;

	for (unsigned int i = 0; i < n && head > tail; i++) {
		off = head - 1 - (i % 4 ? (i * 2654435761U) % (head - tail) : 0);
		switch (map_read(m, off, &e)) {
		case MAP_GOOD:
			/* Good stays good only while the tail is below: look again after use. */
			if (e.len != length_of(off) ||
			    !pattern_ok(map_payload(m, e.position), e.len, off)) {
				count = map_tail(m) > off ? (void *)&s->overrun : (void *)&s->bad;
				break;
			}
			count = map_tail(m) > off ? (void *)&s->overrun : (void *)&s->good;
			break;
		case MAP_OVERRUN:
			count = (void *)&s->overrun;
			break;
		default:
			count = (void *)&s->bad;
		}
		__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
		head = map_head(m);
		tail = map_tail(m);
	}
}

static void reader(struct shared *s, const char *options)
{
	struct map m = map_topic(s->topic, options);

	while (!s->stop)
		read_some(s, &m, 100);
}

static void reader_topic(void *arg)
{
	reader(arg, "");
}

static void reader_partition(void *arg)
{
	reader(arg, "@0+format=record");
}

struct thread {
	struct shared *s;
	struct map m;
};

static void *read_thread(void *arg)
{
	struct thread *t = arg;

	while (!t->s->stop)
		read_some(t->s, &t->m, 100);
	return NULL;
}

/*
 * Threads share page tables: one reads by what another one's fault has just put
 * there. Maps anew, over the same place, so that there are faults all the time.
 */
static void reader_threads(void *arg)
{
	struct shared *s = arg;
	struct thread t = { s, map_topic(s->topic, "") };
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		need(!pthread_create(&thread[i], NULL, read_thread, &t));
	while (!s->stop) {
		need(mmap((void *)t.m.base, t.m.len, PROT_READ, MAP_SHARED | MAP_FIXED, t.m.fd,
			  0) == t.m.base);
		read_some(s, &t.m, 10);
		s->remapped++;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

TEST_LIMIT(race, "C.19: lapped, replaced, remapped all the time: what is good is right, to the last bit", 120)
{
	struct shared *s = shared_alloc(sizeof(*s));
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 256);
	void (*who[])(void *) = { holder, reader_topic, reader_partition, reader_threads };
	int fd = topic_open(t, "", O_WRONLY);
	uint64_t end = now_ns() + 10000000000ULL, n = 0;
	pid_t pids[4];

	snprintf(s->topic, sizeof(s->topic), "%s", t);
	for (int i = 0; i < 4; i++)
		pids[i] = child_start(who[i], s);
	while (now_ns() < end || s->good < 100 || s->overrun < 10 || s->replaced < 10) {
		for (int i = 0; i < 50; i++)
			put(fd, n++);
		/* Fast and slow by turns. */
		if (n / 2000 % 2)
			sleep_ms(2);
		if (s->bad || now_ns() > end + 90000000000ULL)
			break;
	}
	s->stop = 1;
	for (int i = 0; i < 4; i++)
		child_ok(pids[i], SOON);
	note("%llu written, %lu times good, %lu overrun, %lu splices, %lu times pages lent, %lu remapped",
	     (unsigned long long)n, s->good, s->overrun, s->held, s->replaced, s->remapped);
	expect_eq(s->bad, 0);
	expect(s->good >= 100);
	expect(s->overrun >= 10);
	expect(s->replaced >= 10);
	expect(s->remapped > 0);
}
