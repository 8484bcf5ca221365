// SPDX-License-Identifier: GPL-2.0
/* Topics beside other files: pipes, sockets, polling. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

/* --- pipes -------------------------------------------------------------------- */

long do_pipe(struct thread *t, const struct call *c)
{
	int fds[2];

	(void)t;
	if (pipe2(fds, (c->arg[2] & (O_NONBLOCK | O_DIRECT)) | O_CLOEXEC))
		return -1;
	if (c->arg[3])
		fcntl(fds[1], F_SETPIPE_SZ, (int)(c->arg[3] % (1 << 20)));
	slot_put(c->arg[0], fds[0], FORM_OTHER);
	return slot_put(c->arg[1], fds[1], FORM_OTHER);
}

long do_fill(struct thread *t, const struct call *c)
{
	(void)t;
	return write(slot_fd(c->arg[0]), data_out(DATA_PLAIN, c->arg[2], c->arg[1]), c->arg[1]);
}

/* What comes out of a file that is none of payloads may be anything. */
static void taint(const struct slot *from)
{
	if (from->form == FORM_FILE || from->form == FORM_RECORD)
		tainted = true;
}

long do_splice(struct thread *t, const struct call *c)
{
	struct slot from = slot_get(c->arg[0]);
	loff_t at = c->arg[4];

	(void)t;
	taint(&from);
	return splice(from.fd, c->arg[4] == ~0ULL ? NULL : &at, slot_fd(c->arg[1]), NULL, c->arg[2],
		      c->arg[3]);
}

long do_tee(struct thread *t, const struct call *c)
{
	(void)t;
	return tee(slot_fd(c->arg[0]), slot_fd(c->arg[1]), c->arg[2], c->arg[3]);
}

long do_vmsplice(struct thread *t, const struct call *c)
{
	uint64_t flags = c->arg[3];
	struct iovec iov = { (void *)data_out(c->arg[2], 1, c->arg[1]), c->arg[1] };

	(void)t;
	return vmsplice(slot_fd(c->arg[0]), &iov, 1, flags);
}

long do_sendfile(struct thread *t, const struct call *c)
{
	struct slot from = slot_get(c->arg[1]);
	off_t at = c->arg[3];

	(void)t;
	taint(&from);
	return sendfile(slot_fd(c->arg[0]), from.fd, c->arg[3] == ~0ULL ? NULL : &at, c->arg[2]);
}

long do_copy(struct thread *t, const struct call *c)
{
	struct slot from = slot_get(c->arg[0]);

	(void)t;
	taint(&from);
	return copy_file_range(from.fd, NULL, slot_fd(c->arg[1]), NULL, c->arg[2], 0);
}

/* --- sockets and files ------------------------------------------------------------ */

static int tcp_pair(int fds[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[1] = -1;
	if (!bind(server, (void *)&at, sizeof(at)) && !listen(server, 1) &&
	    !getsockname(server, (void *)&at, &len) &&
	    !connect(fds[0], (void *)&at, sizeof(at)))
		fds[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	close(server);
	if (fds[1] >= 0)
		return 0;
	close(fds[0]);
	return -1;
}

long do_sock(struct thread *t, const struct call *c)
{
	int fds[2], size = 4096;

	(void)t;
	if (c->arg[0] & 0x100 ? tcp_pair(fds) :
				socketpair(AF_UNIX, (c->arg[0] & 0xf) | SOCK_CLOEXEC, 0, fds))
		return -1;
	for (unsigned int i = 0; i < 2; i++) {
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	slot_put(c->arg[1], fds[0], FORM_OTHER);
	return slot_put(c->arg[2], fds[1], FORM_OTHER);
}

long do_recv(struct thread *t, const struct call *c)
{
	int fd = slot_fd(c->arg[0]);
	size_t len = c->arg[1] < DATA_SIZE ? c->arg[1] : DATA_SIZE;
	ssize_t n = recv(fd, t->in, len, MSG_DONTWAIT);

	return n >= 0 ? n : read(fd, t->in, len);
}

long do_shutdown(struct thread *t, const struct call *c)
{
	(void)t;
	return shutdown(slot_fd(c->arg[0]), c->arg[1]);
}

/* A file through a socket. */
long do_pass(struct thread *t, const struct call *c)
{
	struct slot s = slot_get(c->arg[2]);
	char byte = 'p', space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { NULL, 0, &iov, 1, space, sizeof(space), 0 };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
	int fd;

	(void)t;
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &s.fd, sizeof(int));
	if (sendmsg(slot_fd(c->arg[0]), &msg, MSG_DONTWAIT) < 0)
		return -1;
	msg.msg_controllen = sizeof(space);
	if (recvmsg(slot_fd(c->arg[1]), &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	cm = CMSG_FIRSTHDR(&msg);
	if (!cm)
		return -1;
	memcpy(&fd, CMSG_DATA(cm), sizeof(int));
	/* Which file it is depends on what was in the queue. */
	return slot_put(c->arg[3], fd, FORM_OTHER);
}

long do_file(struct thread *t, const struct call *c)
{
	int fd = -1;

	(void)t;
	switch (c->arg[0] % 5) {
	case 0:
		fd = memfd_create("file", MFD_CLOEXEC);
		if (write(fd, data_out(DATA_PLAIN, 1, 20000), 20000) < 0 || lseek(fd, 0, SEEK_SET))
			fd = -1;
		break;
	case 1:
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		break;
	case 2:
		fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
		break;
	case 3:
		fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		break;
	case 4:
		fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
		break;
	}
	return slot_put(c->arg[1], fd, FORM_FILE);
}

/* --- polling ------------------------------------------------------------------------ */

long do_poll(struct thread *t, const struct call *c)
{
	struct pollfd fds[2] = {
		{ slot_fd(c->arg[0]), c->arg[1], 0 }, { slot_fd(c->arg[2]), c->arg[1] >> 1, 0 }
	};

	(void)t;
	return poll(fds, 2, c->arg[3] % 4);
}

long do_epoll(struct thread *t, const struct call *c)
{
	(void)t;
	return slot_put(c->arg[0], epoll_create1(EPOLL_CLOEXEC), FORM_OTHER);
}

long do_epoll_ctl(struct thread *t, const struct call *c)
{
	struct epoll_event ev = { .events = c->arg[3], .data.u64 = c->arg[2] };

	(void)t;
	return epoll_ctl(slot_fd(c->arg[0]), c->arg[1], slot_fd(c->arg[2]), &ev);
}

long do_epoll_wait(struct thread *t, const struct call *c)
{
	struct epoll_event ev[4];

	(void)t;
	return epoll_wait(slot_fd(c->arg[0]), ev, 4, c->arg[1] % 4);
}
