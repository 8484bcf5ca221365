/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Netlink requests whose system calls may fail: libnl only makes the message. A request
 * is carried out within its sendmsg; a dump goes on in each recv.
 */
#ifndef HELPERS_RAWNL_H
#define HELPERS_RAWNL_H

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "mqtest.h"

static struct {
	struct nl_msg *msg;
	int status;		/* of the kernel's answer */
	bool answered;
} rawnl;

static struct nl_sock *rawnl_sock;

/* Of its own: libnl expects the answers on nl_socket(). */
static inline struct nl_sock *rawnl_socket(void)
{
	if (!rawnl_sock) {
		rawnl_sock = nl_socket_alloc();
		need(rawnl_sock && !genl_connect(rawnl_sock));
	}
	return rawnl_sock;
}

static inline void rawnl_begin(struct nl_msg *msg)
{
	nl_complete_msg(rawnl_socket(), msg);
	rawnl.msg = msg;
	rawnl.answered = false;
	rawnl.status = 0;
}

/* The kernel has answered by now; an answer that failed is ENOBUFS on the socket. */
static inline ssize_t rawnl_take(void)
{
	static char buf[1 << 17] __attribute__((aligned(8)));
	ssize_t len = recv(nl_socket_get_fd(rawnl_socket()), buf, sizeof(buf), MSG_DONTWAIT);
	int left = len;

	for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_ERROR) {
			rawnl.answered = true;
			rawnl.status = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
		} else if (h->nlmsg_type == NLMSG_DONE) {
			rawnl.answered = true;
			rawnl.status = *(int *)NLMSG_DATA(h);
		}
	}
	return len;
}

static inline long rawnl_call(void)
{
	struct nlmsghdr *h = nlmsg_hdr(rawnl.msg);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec iov = { h, h->nlmsg_len };
	struct msghdr m = { &kernel, sizeof(kernel), &iov, 1, NULL, 0, 0 };

	if (sendmsg(nl_socket_get_fd(rawnl_socket()), &m, 0) < 0)
		return -1;
	return h->nlmsg_flags & NLM_F_DUMP ? rawnl_take() : 0;
}

static inline void rawnl_end(void)
{
	while (rawnl_take() > 0 || errno == ENOBUFS || errno == ENOMEM)
		;
	/* A dump that had no memory to go on never does, and the socket takes no other one. */
	if (!rawnl.answered) {
		nl_socket_free(rawnl_sock);
		rawnl_sock = NULL;
	}
	nlmsg_free(rawnl.msg);
}

#endif
