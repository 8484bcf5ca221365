// SPDX-License-Identifier: GPL-2.0
/*
 * Changes at run time take effect on files that are open and on calls that
 * wait: pause, overflow, hold, max_message_bytes, stamp, partitions.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "mqtest.h"

#define RING	4096
#define MSG	(RING / 4)

static char msg[2 * MSG];
static char got[MSG];

/* Fills a topic with messages of a quarter of its ring until none is taken. */
static int fill(const char *t)
{
	int fd = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	int n = 0;

	while (write(fd, msg, MSG) == MSG)
		n++;
	expect_eq(errno, EAGAIN);
	expect_eq(n, RING / MSG);
	close(fd);
	return n;
}

TEST(paused, "pause stops writers that have it open, its end wakes them")
{
	const char *t = topic_new(.ring_bytes = RING);
	int w = topic_open(t, "", O_WRONLY), nb = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	struct pollfd p = { .fd = nb, .events = POLLOUT };
	struct async a, b;

	need_ret(write(w, "x", 1), 1);
	expect_ret(poll(&p, 1, 0), 1);
	expect(topic_set(t, .paused = 1));
	expect_err(write(nb, "x", 1), EAGAIN);
	expect_ret(poll(&p, 1, 0), 0);
	async_write(&a, w, "y", 1);
	expect_waits(&a);
	expect_eq(topic_counters(t).writers_waiting, 1);
	/* Another change does not let it go. */
	expect(topic_set(t, .sync_timeout = 1));
	expect_waits(&a);
	expect(topic_set(t, .set = MQT(PAUSED)));
	if (async_end(&a, SOON))
		expect_eq(a.ret, 1);
	expect_ret(poll(&p, 1, 0), 1);
	expect_ret(write(nb, "x", 1), 1);

	/* Also when it was the topic's first writer that waited, under poll. */
	expect(topic_set(t, .paused = 1));
	async_write(&a, w, "y", 1);
	async_write(&b, w, "z", 1);
	expect_waits(&a);
	expect_waits(&b);
	expect(topic_set(t, .set = MQT(PAUSED)));
	async_end(&a, SOON);
	async_end(&b, SOON);
	expect_eq(topic_counters(t).messages_in, 5);
	expect_eq(topic_counters(t).writers_waiting, 0);
}

TEST(overflow, "overflow: a waiting writer goes by the new policy")
{
	static const struct { uint32_t overflow; int error; } cases[] = {
		{ MQ_OVERFLOW_REJECT, ENOBUFS }, { MQ_OVERFLOW_DROP_OLDEST, 0 },
	};

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.ring_bytes = RING, .persistent = 1);
		int n = fill(t), w = topic_open(t, "", O_WRONLY);
		struct topic_stats stats;
		struct async a;

		async_write(&a, w, msg, MSG);
		expect_waits(&a);
		expect(topic_set(t, .overflow = cases[i].overflow));
		if (!async_end(&a, SOON))
			continue;
		expect_eq(a.ret, cases[i].error ? -1 : MSG);
		expect_eq(a.error, cases[i].error);
		stats = topic_counters(t);
		expect_eq(stats.messages_in, n + !cases[i].error);
		expect_eq(stats.dropped_held, !cases[i].error);
		expect_eq(stats.rejected, !!cases[i].error);
		/* And back: it waits again. */
		expect(topic_set(t, .set = MQT(OVERFLOW)));
		async_write(&a, w, msg, MSG);
		expect_waits(&a);
		need_eq(topic_del(t), 0);
		async_end(&a, SOON);
		close(w);
	}
}

TEST(hold, "hold: taken away, a writer that waited for a reader goes on; given, one waits")
{
	const char *t = topic_new(.ring_bytes = RING, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int r = topic_open(t, "", O_RDONLY), w = topic_open(t, "", O_WRONLY);
	struct async a;

	fill(t);
	async_write(&a, w, msg, MSG);
	expect_waits(&a);
	expect(topic_set(t, .set = MQT(HOLD)));
	if (async_end(&a, SOON))
		expect_eq(a.ret, MSG);
	expect_ret(write(w, msg, MSG), MSG);
	/* The reader lost what it did not read, and now holds from where it is. */
	expect_err(read(r, got, MSG), ENOBUFS);
	expect(topic_set(t, .hold = MQ_HOLD_READERS));
	async_write(&a, w, msg, MSG);
	expect_waits(&a);
	expect_ret(read(r, got, MSG), MSG);
	if (async_end(&a, SOON))
		expect_eq(a.ret, MSG);
}

TEST(max, "max_message_bytes: open files go by it, poll for room, too")
{
	const char *t = topic_new(.ring_bytes = RING, .persistent = 1);
	int w = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	struct pollfd p = { .fd = w, .events = POLLOUT };

	expect_ret(write(w, msg, MSG), MSG);
	expect_err(write(w, msg, MSG + 1), EMSGSIZE);
	expect(topic_set(t, .max_message_bytes = 100));
	expect_err(write(w, msg, 101), EMSGSIZE);
	expect_ret(write(w, msg, 100), 100);
	expect(topic_set(t, .max_message_bytes = MSG));
	expect_ret(write(w, msg, MSG), MSG);
	expect_ret(write(w, msg, MSG), MSG);
	/* There is room, but not for a message of that size. */
	expect_ret(poll(&p, 1, 0), 0);
	expect(topic_set(t, .max_message_bytes = 100));
	expect_ret(poll(&p, 1, 0), 1);
	expect(p.revents & POLLOUT);
}

static long do_poll(void *arg)
{
	return poll(arg, 1, -1);
}

TEST(max_wakes, "a poll that waits for room sees that less is wanted")
{
	const char *t = topic_new(.ring_bytes = RING, .persistent = 1);
	int w = topic_open(t, "", O_WRONLY | O_NONBLOCK);
	struct pollfd p = { .fd = w, .events = POLLOUT };
	struct async a;

	for (int i = 0; i < 3; i++)
		need_ret(write(w, msg, MSG), MSG);
	need_ret(write(w, msg, 100), 100);
	async_start(&a, do_poll, &p);
	expect_waits(&a);
	expect(topic_set(t, .max_message_bytes = 100));
	if (async_end(&a, SOON))
		expect(p.revents & POLLOUT);
}

TEST(stamp, "stamp: messages from then on carry it")
{
	const char *t = topic_new(.ring_bytes = RING);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "+format=record", O_RDONLY);
	uint64_t buf[512];
	struct rec recs[4];
	const void *uid;
	size_t len;
	ssize_t n;

	need_ret(write(w, "a", 1), 1);
	expect(topic_set(t, .stamp = MQ_STAMP_UID));
	need_ret(write(w, "b", 1), 1);
	expect(topic_set(t, .set = MQT(STAMP)));
	need_ret(write(w, "c", 1), 1);
	n = read(r, buf, sizeof(buf));
	need_eq(batch_parse(buf, n, recs, 4, NULL), 3);
	expect(!rec_attr(&recs[0], MQ_ATTR_WRITER_UID, 0, &len));
	uid = rec_attr(&recs[1], MQ_ATTR_WRITER_UID, 0, &len);
	expect(uid && len == 4 && !memcmp(uid, "\0\0\0", 4));
	expect(!rec_attr(&recs[2], MQ_ATTR_WRITER_UID, 0, &len));
}

TEST(partitions, "partitions: a waiting read and a waiting poll see new ones")
{
	const char *t = topic_new(.ring_bytes = RING);
	int r = topic_open(t, "", O_RDONLY), q = topic_open(t, "", O_RDONLY), w;
	struct pollfd p = { .fd = q, .events = POLLIN };
	struct async a, b;
	char buf[16];

	async_read(&a, r, buf, sizeof(buf));
	async_start(&b, do_poll, &p);
	expect_waits(&a);
	expect_waits(&b);
	expect(topic_set(t, .partitions = 3));
	w = topic_open(t, "@2", O_WRONLY);
	need_ret(write(w, "new", 3), 3);
	if (async_end(&a, SOON))
		expect_mem(buf, a.ret, "new", 3);
	if (async_end(&b, SOON))
		expect(p.revents & POLLIN);
	expect_ret(read(q, buf, sizeof(buf)), 3);
	/* One file of a partition sees only its own. */
	need_ret(write(w, "more", 4), 4);
	close(r);
	r = topic_open(t, "@1", O_RDONLY | O_NONBLOCK);
	expect_err(read(r, buf, sizeof(buf)), EAGAIN);
}
