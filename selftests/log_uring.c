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
