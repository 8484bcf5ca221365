// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 300 */
/* NEEDS: cpus=2 */
/*
 * No wake-up is lost (faults.md D.24): two producers, who sleep when the ring is full, and four
 * readers, who sleep when it is empty, each kind in its own way; $MQ_MESSAGES messages
 * (default 400,000, on a debug kernel 100,000; 100,000,000 by hand, with a greater $MQ_PATIENCE).
 *
 * Traffic that goes on hides a lost wake-up, for the next message wakes, too. So the
 * producers pause, after a random number of messages, until every reader has got all: then
 * whoever sleeps beside messages, or room, sleeps for ever, and is found here.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "helpers/random.h"
#include "mqtest.h"

#define WRITERS		2
#define MOST		100		/* messages a call */

enum { RECORDS, BYTES, EDGE, LEVEL, READERS };

static const char *const reader_names[] = {
	"read (batches)", "read (bytes)", "epoll, edge-triggered", "poll"
};

struct message {
	uint32_t writer, number;
};

static struct shared {
	uint64_t messages;		/* of each writer */
	volatile uint64_t put[WRITERS];
	volatile uint64_t got[READERS];
	volatile uint64_t bursts[WRITERS];	/* that it has ended */
	volatile uint64_t pauses, sleeps_out, sleeps_in;
} *sh;

static const char *topic;

static uint64_t total(void)
{
	uint64_t sum = 0;

	for (int w = 0; w < WRITERS; w++)
		sum += sh->put[w];
	return sum;
}

/* --- producers ------------------------------------------------------------------------- */

/* Until it is in; the second producer does not wait in write, but for an edge of epoll. */
static void put(int fd, int ep, const void *flat, size_t len)
{
	struct epoll_event ev;
	ssize_t ret;

	while ((ret = write(fd, flat, len)) < 0 && errno == EAGAIN) {
		sh->sleeps_out++;
		need_ret(epoll_wait(ep, &ev, 1, -1), 1);
	}
	need_eq(ret, (ssize_t)len);
}

/* Nobody writes until all producers are here and every reader has got all. */
static void pause_for_readers(uint32_t w)
{
	sh->bursts[w]++;
	for (int o = 0; o < WRITERS; o++)
		while (sh->bursts[o] < sh->bursts[w])
			usleep(20);
	for (int r = 0; r < READERS; r++)
		while (sh->got[r] < total())
			usleep(20);
	sh->pauses++;
}

static void write_all(void *arg)
{
	uint32_t w = (uintptr_t)arg, i = 0;
	int fd = topic_open(topic, "+format=record", O_WRONLY | (w ? O_NONBLOCK : 0));
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	int ep = epoll_create1(0);
	struct batch *b = batch_new();

	rnd_seed(now_ns() + w);
	need_ret(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	while (i < sh->messages) {
		uint32_t burst = 1 + rnd(rnd(4) ? 300 : 6000);

		while (burst && i < sh->messages) {
			uint32_t n = 1 + rnd(rnd(4) ? MOST : 2);
			size_t len;
			void *flat;

			batch_reset(b);
			for (; n && burst && i < sh->messages; n--, burst--) {
				struct message m = { w, i++ };

				batch_add(b, &m, sizeof(m));
			}
			flat = batch_build(b, MQ_PARTITION_ANY, &len);
			put(fd, ep, flat, len);
			sh->put[w] = i;
		}
		pause_for_readers(w);
	}
	sh->bursts[w] = UINT64_MAX;
}

/* --- readers ----------------------------------------------------------------------------- */

static void take(uint32_t *next, const struct message *m, int kind)
{
	need(m->writer < WRITERS);
	if (m->number != next[m->writer]) {
		fail("%s: message %u of writer %u, not %u", reader_names[kind], m->number, m->writer,
		     next[m->writer]);
		mqt_end();
	}
	next[m->writer]++;
}

/* What came of one read: whole batches, or bytes whose last message may be a part. */
static uint64_t take_all(uint32_t *next, int kind, uint8_t *buf, size_t len, size_t *part)
{
	const struct message *m = (void *)buf;
	uint64_t n;

	if (kind == RECORDS) {
		const struct mq_batch *head = (void *)buf;

		n = head->count;
		m = (void *)(buf + sizeof(*head) + n * sizeof(struct mq_entry));
		need_eq(len, sizeof(*head) + n * (sizeof(struct mq_entry) + sizeof(*m)));
		*part = 0;
	} else {
		len += *part;
		n = len / sizeof(*m);
		*part = len % sizeof(*m);
	}
	for (uint64_t i = 0; i < n; i++)
		take(next, m + i, kind);
	memmove(buf, m + n, *part);
	return n;
}

static void wait_for_more(int kind, int fd, int ep)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event ev;

	sh->sleeps_in++;
	if (kind == EDGE)
		need_ret(epoll_wait(ep, &ev, 1, -1), 1);
	else
		need_ret(poll(&p, 1, -1), 1);
}

static void read_all(void *arg)
{
	static uint8_t buf[1 << 16] __attribute__((aligned(8)));
	int kind = (uintptr_t)arg, ep = epoll_create1(0);
	bool waits = kind == RECORDS || kind == BYTES;
	int fd = topic_open(topic, kind == RECORDS ? "+format=record" : "",
			    O_RDONLY | (waits ? 0 : O_NONBLOCK));
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	uint32_t next[WRITERS] = { 0 };
	size_t part = 0;

	rnd_seed(now_ns() + kind);
	need_ret(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	while (sh->got[kind] < WRITERS * sh->messages) {
		/* From now and then a little to all there is. */
		size_t most = rnd(8) || kind == RECORDS ? sizeof(buf) - part : 1 + rnd(64);
		ssize_t len = read(fd, buf + part, most);

		if (len < 0 && errno == EAGAIN) {
			wait_for_more(kind, fd, ep);
			continue;
		}
		need(len > 0);
		sh->got[kind] += take_all(next, kind, buf, len, &part);
	}
}

/* --- is there progress? ------------------------------------------------------------------- */

static uint64_t progress(void)
{
	uint64_t sum = total();

	for (int r = 0; r < READERS; r++)
		sum += sh->got[r];
	return sum;
}

static void tell_who_sleeps(const pid_t *pids)
{
	struct partition_info p = partition_state(topic, 0);
	char path[64], where[64];

	note("head %llu, held from %llu, %u writers wait", (unsigned long long)p.head_offset,
	     (unsigned long long)p.held_offset, p.stats.writers_waiting);
	for (int i = 0; i < WRITERS + READERS; i++) {
		snprintf(path, sizeof(path), "/proc/%d/wchan", pids[i]);
		if (!read_line(path, where, sizeof(where)))
			strcpy(where, "?");
		if (i < WRITERS)
			note("writer %d: put %llu, in %s", i, (unsigned long long)sh->put[i], where);
		else
			note("%s: got %llu, in %s", reader_names[i - WRITERS],
			     (unsigned long long)sh->got[i - WRITERS], where);
	}
}

TEST_LIMIT(wakeups, "D.24: no wake-up is lost: producers and readers that sleep in six ways, with pauses",
	   100000)
{
	const char *wanted = getenv("MQ_MESSAGES");
	/* A kernel that watches itself is many times slower. */
	bool watched = !access("/sys/kernel/debug/kmemleak", F_OK);
	uint64_t last = 0, since = deadline(SOON), now;
	pid_t pids[WRITERS + READERS];
	int n = 0;

	sh = shared_alloc(sizeof(*sh));
	sh->messages = (wanted ? strtoull(wanted, NULL, 0) : watched ? 100000 : 400000) / WRITERS;
	topic = topic_new(.ring_bytes = 1 << 16, .ring_messages = 4096, .hold = MQ_HOLD_READERS,
			  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	for (uintptr_t r = 0; r < READERS; r++)
		pids[WRITERS + r] = child_start(read_all, (void *)r);
	wait_until(topic_counters(topic).readers == READERS, SOON);
	for (uintptr_t w = 0; w < WRITERS; w++)
		pids[n++] = child_start(write_all, (void *)w);

	while (progress() < (READERS + 1) * WRITERS * sh->messages && !failures()) {
		now = progress();
		if (now != last) {
			last = now;
			since = deadline(SOON);
		} else if (now_ns() > since) {
			fail("nothing moves: a wake-up was lost");
			tell_who_sleeps(pids);
			break;
		}
		sleep_ms(100);
	}
	for (int i = 0; i < WRITERS + READERS && !failures(); i++)
		expect(child_ok(pids[i], SOON));
	expect_eq(topic_counters(topic).lost, 0);
	note("%llu messages, %llu pauses, %llu sleeps for room, %llu for messages",
	     (unsigned long long)total(), (unsigned long long)sh->pauses,
	     (unsigned long long)sh->sleeps_out, (unsigned long long)sh->sleeps_in);
	expect(sh->pauses > 10 && sh->sleeps_in > 10);
}
