// SPDX-License-Identifier: GPL-2.0
/* io_uring: writes and reads as the system calls make them. */
#define _GNU_SOURCE
#include <liburing.h>
#include <poll.h>

#include "mqtest.h"

static struct io_uring ring;

static void setup(void)
{
	int ret = io_uring_queue_init(64, &ring, 0);

	if (ret)
		skip("no io_uring: %s", mqt_errno(-ret));
}

/* One completion's result; a failed check if none comes. */
static int result(void)
{
	struct __kernel_timespec limit = { .tv_sec = SOON };
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);

	if (ret) {
		fail("no completion: %s", mqt_errno(-ret));
		return ret;
	}
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return ret;
}

static struct io_uring_sqe *get(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	need(sqe);
	return sqe;
}

TEST(uring_write, "an io_uring write is one message, its offset ignored; too large is EMSGSIZE")
{
	const char *t = topic_new(.ring_bytes = 65536, .max_message_bytes = 100);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct iovec iov[2] = { { "pie", 3 }, { "ces", 3 } };
	char big[101] = "", got[200];

	setup();
	io_uring_prep_write(get(), fd, "one", 3, 1000);
	io_uring_submit(&ring);
	expect_eq(result(), 3);
	io_uring_prep_writev(get(), fd, iov, 2, 0);
	io_uring_submit(&ring);
	expect_eq(result(), 6);
	io_uring_prep_write(get(), fd, big, 101, 0);
	io_uring_submit(&ring);
	expect_eq(result(), -EMSGSIZE);
	io_uring_prep_write(get(), fd, bad_ptr, 50, 0);
	io_uring_submit(&ring);
	expect_eq(result(), -EFAULT);
	expect_mem(got, read(rd, got, sizeof(got)), "one", 3);
	expect_mem(got, read(rd, got, sizeof(got)), "pieces", 6);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
}

TEST(uring_many, "many writes in flight at once are all there, each once")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	static uint32_t n[6400];
	static unsigned char seen[6400];
	uint32_t got;

	setup();
	for (uint32_t i = 0; i < 6400; i += 64) {
		for (uint32_t k = i; k < i + 64; k++) {
			n[k] = k;
			io_uring_prep_write(get(), fd, &n[k], sizeof(n[k]), 0);
		}
		need_eq(io_uring_submit(&ring), 64);
		for (uint32_t k = 0; k < 64; k++)
			need_eq(result(), 4);
	}
	for (uint32_t i = 0; i < 6400; i++) {
		need_ret(read(rd, &got, sizeof(got)), 4);
		need(got < 6400 && !seen[got]++);
	}
	expect_err(read(rd, &got, sizeof(got)), EAGAIN);
}

TEST(uring_read, "an io_uring read waits for a message, without blocking its submitter")
{
	static const int modes[] = { O_RDONLY, O_RDWR };
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	struct io_uring_cqe *cqe;
	char got[64];

	setup();
	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "+from=newest", modes[i]);

		io_uring_prep_read(get(), rd, got, sizeof(got), -1);
		need_eq(io_uring_submit(&ring), 1);
		sleep_ms(50);
		expect_eq(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
		need_ret(write(fd, "awaited", 7), 7);
		expect_mem(got, result(), "awaited", 7);
		close(rd);
	}
}

TEST(uring_poll, "io_uring's poll sees a message come")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);

	setup();
	io_uring_prep_poll_add(get(), rd, POLLIN);
	need_eq(io_uring_submit(&ring), 1);
	need_ret(write(fd, "x", 1), 1);
	expect(result() & POLLIN);
}

TEST(uring_room, "an io_uring write without room waits; it goes on when there is some")
{
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct io_uring_cqe *cqe;
	static char buf[1024];

	setup();
	for (int i = 0; i < 4; i++)
		need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
	io_uring_prep_write(get(), fd, buf, sizeof(buf), 0);
	need_eq(io_uring_submit(&ring), 1);
	sleep_ms(50);
	expect_eq(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
	expect_eq(topic_counters(t).messages_in, 4);
	need(lseek(rd, 0, SEEK_END) == 4096);
	expect_eq(result(), 1024);
	expect_eq(topic_counters(t).messages_in, 5);
}

TEST(uring_durable, "a durable write that may not wait is refused, nothing appended; one that may waits")
{
	const char *t = topic_new(.persistent = 1, .sync_timeout = 200);
	int fd = topic_open(t, "", O_WRONLY);
	struct iovec iov = { "x", 1 };
	struct io_uring_sqe *sqe;
	int ret;

	setup();
	ret = pwritev2(fd, &iov, 1, -1, RWF_DSYNC | RWF_NOWAIT);
	expect(ret == -1 && (errno == EAGAIN || errno == EOPNOTSUPP || errno == EINVAL));
	expect_eq(topic_counters(t).messages_in, 0);
	sqe = get();
	io_uring_prep_write(sqe, fd, "x", 1, 0);
	sqe->rw_flags = RWF_DSYNC | RWF_NOWAIT;
	need_eq(io_uring_submit(&ring), 1);
	ret = result();
	expect(ret == -EAGAIN || ret == -EOPNOTSUPP || ret == -EINVAL);
	expect_eq(topic_counters(t).messages_in, 0);
	/* io_uring tries without waiting first: it must be in the log once, not twice. */
	sqe = get();
	io_uring_prep_write(sqe, fd, "once", 4, 0);
	sqe->rw_flags = RWF_DSYNC;
	need_eq(io_uring_submit(&ring), 1);
	expect_eq(result(), -ETIMEDOUT);
	expect_eq(topic_counters(t).messages_in, 1);
}

TEST(uring_nowait, "A.11: RWF_NOWAIT: there is something to read or room, or it is EAGAIN; nothing is refused")
{
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int rw = topic_open(t, "", O_RDWR);
	static char buf[1024];
	struct iovec iov = { buf, sizeof(buf) };

	expect_err(preadv2(rd, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_err(preadv2(rw, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	for (int i = 0; i < 4; i++)
		expect_ret(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT), sizeof(buf));
	expect_err(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_ret(preadv2(rd, &iov, 1, -1, RWF_NOWAIT), sizeof(buf));
	expect_ret(preadv2(rw, &iov, 1, -1, RWF_NOWAIT), sizeof(buf));
}

TEST(uring_fixed, "reads and writes of registered buffers: a message each, short ones, too")
{
	static char bufs[2][65536] __attribute__((aligned(4096)));
	struct iovec iov[2] = { { bufs[0], sizeof(bufs[0]) }, { bufs[1], sizeof(bufs[1]) } };
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int rec = topic_open(t, "+format=record", O_RDONLY);
	struct mq_batch head;
	struct rec r;

	setup();
	need_eq(io_uring_register_buffers(&ring, iov, 2), 0);
	pattern_fill(bufs[0], 50000, 5);
	io_uring_prep_write_fixed(get(), fd, bufs[0] + 1000, 49000, 0, 0);
	need_eq(io_uring_submit(&ring), 1);
	expect_eq(result(), 49000);
	io_uring_prep_read_fixed(get(), rd, bufs[1] + 8, 20000, -1, 1);
	need_eq(io_uring_submit(&ring), 1);
	expect_mem(bufs[1] + 8, result(), bufs[0] + 1000, 20000);
	io_uring_prep_read_fixed(get(), rd, bufs[1], sizeof(bufs[1]), -1, 1);
	need_eq(io_uring_submit(&ring), 1);
	expect_mem(bufs[1], result(), bufs[0] + 21000, 29000);
	io_uring_prep_read_fixed(get(), rec, bufs[1], sizeof(bufs[1]), -1, 1);
	need_eq(io_uring_submit(&ring), 1);
	need_eq(batch_parse(bufs[1], result(), &r, 1, &head), 1);
	expect_mem(r.payload, r.e->len, bufs[0] + 1000, 49000);
	/* One that waits. */
	io_uring_prep_read_fixed(get(), rd, bufs[1], 100, -1, 1);
	need_eq(io_uring_submit(&ring), 1);
	io_uring_prep_write_fixed(get(), fd, bufs[0], 7, 0, 0);
	need_eq(io_uring_submit(&ring), 1);
	expect_eq(result(), 7);
	expect_eq(result(), 7);
	expect_mem(bufs[1], 7, bufs[0], 7);
}

TEST(uring_multishot, "a multishot poll completes for message after message, and for the deletion")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct __kernel_timespec limit = { .tv_sec = SOON };
	struct io_uring_cqe *cqe;
	char got[16];

	setup();
	io_uring_prep_poll_multishot(get(), rd, POLLIN);
	need_eq(io_uring_submit(&ring), 1);
	for (int i = 0; i < 100; i++) {
		need_ret(write(fd, "x", 1), 1);
		need_eq(io_uring_wait_cqe_timeout(&ring, &cqe, &limit), 0);
		need(cqe->res & POLLIN);
		need(cqe->flags & IORING_CQE_F_MORE);
		io_uring_cqe_seen(&ring, cqe);
		need_ret(read(rd, got, sizeof(got)), 1);
	}
	expect_eq(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
	need_eq(topic_del(t), 0);
	need_eq(io_uring_wait_cqe_timeout(&ring, &cqe, &limit), 0);
	expect(cqe->res & POLLHUP);
}

TEST(uring_cancel, "a read and a write that wait are cancelled, and have done nothing")
{
	static const int modes[] = { O_RDONLY, O_RDWR };
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int fd = topic_open(t, "", O_WRONLY), holder = topic_open(t, "", O_RDONLY);
	static char buf[1024];

	setup();
	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "+from=newest", modes[i]);
		struct io_uring_sqe *sqe = get();
		int a, b;

		io_uring_prep_read(sqe, rd, buf, sizeof(buf), -1);
		io_uring_sqe_set_data64(sqe, 77);
		need_eq(io_uring_submit(&ring), 1);
		sleep_ms(50);
		io_uring_prep_cancel64(get(), 77, 0);
		need_eq(io_uring_submit(&ring), 1);
		a = result();
		b = result();
		/* In either order: the cancellation's 0 (or "is running"), and the read's. */
		expect(a == -ECANCELED || a == -EINTR || b == -ECANCELED || b == -EINTR);
		close(rd);
	}
	for (int i = 0; i < 5; i++) {
		struct io_uring_sqe *sqe = get();

		io_uring_prep_write(sqe, fd, buf, sizeof(buf), 0);
		io_uring_sqe_set_data64(sqe, 78);
		need_eq(io_uring_submit(&ring), 1);
		if (i < 4)
			need_eq(result(), 1024);
	}
	io_uring_prep_cancel64(get(), 78, 0);
	need_eq(io_uring_submit(&ring), 1);
	expect(result() < 1024);
	expect(result() < 1024);
	need(lseek(holder, 0, SEEK_END) == 4096);
	expect_eq(topic_counters(t).messages_in, 4);
}
