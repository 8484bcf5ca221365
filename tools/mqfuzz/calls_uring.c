// SPDX-License-Identifier: GPL-2.0
/* io_uring: one ring at a time, shared by the threads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "fuzz.h"

/* Protects what follows: the library leaves that to its users. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct io_uring ring;
static bool there;
static uint8_t read_to[1 << 16];
static struct iovec read_pieces[2] = { { read_to, 100 }, { read_to + 100, 5000 } };

static void ring_end(void)
{
	if (there)
		io_uring_queue_exit(&ring);
	there = false;
}

long do_uring(struct thread *t, const struct call *c)
{
	int ret;

	(void)t;
	pthread_mutex_lock(&lock);
	ring_end();
	ret = io_uring_queue_init(16, &ring, c->arg[0] & (IORING_SETUP_IOPOLL |
							  IORING_SETUP_COOP_TASKRUN));
	there = !ret;
	pthread_mutex_unlock(&lock);
	return ret ? -1 : 0;
}

static void prepare(struct io_uring_sqe *sqe, const struct call *c)
{
	unsigned int len = c->arg[2] < sizeof(read_to) ? c->arg[2] : sizeof(read_to);
	int fd = slot_fd(c->arg[1]);

	switch (c->arg[0]) {
	case IORING_OP_READ:
		io_uring_prep_read(sqe, fd, read_to, len, c->arg[3]);
		break;
	case IORING_OP_READV:
		io_uring_prep_readv(sqe, fd, read_pieces, 2, c->arg[3]);
		break;
	case IORING_OP_WRITE:
		io_uring_prep_write(sqe, fd, data_out(DATA_PLAIN, 1, len), len, -1);
		break;
	case IORING_OP_POLL_ADD:
		io_uring_prep_poll_add(sqe, fd, c->arg[2] & 1 ? POLLIN : POLLIN | POLLOUT);
		if (c->arg[2] & 2)
			sqe->len = IORING_POLL_ADD_MULTI;
		break;
	case IORING_OP_POLL_REMOVE:
		io_uring_prep_poll_remove(sqe, 1);
		break;
	case IORING_OP_ASYNC_CANCEL:
		io_uring_prep_cancel64(sqe, 1, IORING_ASYNC_CANCEL_ANY);
		break;
	case IORING_OP_SPLICE:
		io_uring_prep_splice(sqe, fd, -1, slot_fd(c->arg[5]), -1, len, 0);
		break;
	case IORING_OP_FSYNC:
		io_uring_prep_fsync(sqe, fd, c->arg[2] & 1);
		break;
	case IORING_OP_FADVISE:
		io_uring_prep_fadvise(sqe, fd, 0, 0, c->arg[2] % 6);
		break;
	default:
		io_uring_prep_nop(sqe);
		break;
	}
	sqe->user_data = 1;
	io_uring_sqe_set_flags(sqe, c->arg[4] & (IOSQE_ASYNC | IOSQE_IO_LINK | IOSQE_IO_DRAIN |
						 IOSQE_CQE_SKIP_SUCCESS));
}

long do_uring_op(struct thread *t, const struct call *c)
{
	struct io_uring_sqe *sqe;
	long ret = -1;

	(void)t;
	pthread_mutex_lock(&lock);
	sqe = there ? io_uring_get_sqe(&ring) : NULL;
	if (sqe) {
		prepare(sqe, c);
		ret = io_uring_submit(&ring) < 0 ? -1 : 0;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

long do_uring_wait(struct thread *t, const struct call *c)
{
	struct __kernel_timespec ts = { 0, 1000000 };
	struct io_uring_cqe *cqe;
	long n = 0;

	(void)t;
	pthread_mutex_lock(&lock);
	while (there && n < (long)c->arg[0] % 16 &&
	       !(n ? io_uring_peek_cqe(&ring, &cqe) :
		     io_uring_wait_cqe_timeout(&ring, &cqe, &ts))) {
		io_uring_cqe_seen(&ring, cqe);
		n++;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

void uring_clean(void)
{
	ring_end();
}
