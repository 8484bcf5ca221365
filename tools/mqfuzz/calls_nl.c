// SPDX-License-Identifier: GPL-2.0
/* Netlink: requests as they should be and as they should not. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include <mq/netlink.h>

#include "fuzz.h"

static int family, group;
static int own;			/* the socket of the thread that watches */

int nl_open(void)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), on = 1;

	if (fd >= 0) {
		bind(fd, (void *)&at, sizeof(at));
		setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	}
	return fd;
}

void nl_init(void)
{
	struct nl_sock *sk = nl_socket_alloc();

	if (!sk || genl_connect(sk) || (family = genl_ctrl_resolve(sk, MQ_FAMILY_NAME)) < 0) {
		fputs("mqfuzz: no netlink family " MQ_FAMILY_NAME ": is mq.ko loaded?\n", stderr);
		exit(1);
	}
	group = genl_ctrl_resolve_grp(sk, MQ_FAMILY_NAME, MQ_MCGRP_EVENTS);
	nl_socket_free(sk);
	own = nl_open();
}

static struct nl_msg *request(unsigned int cmd, unsigned int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(16384);

	if (!msg || !genlmsg_put(msg, 0, 1, family, 0, NLM_F_REQUEST | NLM_F_ACK | flags, cmd,
				 MQ_FAMILY_VERSION)) {
		fputs("mqfuzz: out of memory\n", stderr);
		exit(1);
	}
	return msg;
}

static ssize_t send_to_kernel(int fd, const void *data, size_t len)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	return sendto(fd, data, len, MSG_DONTWAIT, (void *)&kernel, sizeof(kernel));
}

/* --- in programs ---------------------------------------------------------------- */

static const char *topic_text(uint64_t value, char *buf, size_t size)
{
	static const char *const odd[] = {
		"", ".", "..", "a/b", "x@0", "x+y", "%s%n", "\xff", "w0.t0", "w1.t0",
	};
	char text[] = "t0";

	if (value < TOPICS) {
		text[1] += value;
		return own_name(text, buf, size);
	}
	if (value == TOPICS) {
		memset(buf, 'n', 129);
		buf[129] = 0;
		return buf;
	}
	return odd[value % ARRAY_SIZE(odd)];
}

static void put_attr(struct nl_msg *msg, unsigned int cmd, const struct pair *pair)
{
	static const char *const cgroups[] = { "", "/", "/none", "../..", "a" };
	char name[256];
	unsigned int type = pair->key;
	uint8_t id[16];

	/* The first of every set is the name. */
	if (type == 1) {
		nla_put_string(msg, 1, topic_text(pair->value, name, sizeof(name)));
		return;
	}
	if (cmd == MQ_CMD_PARTITION_GET) {
		nla_put_u32(msg, type, pair->value);
		return;
	}
	switch (type) {
	case MQ_A_TOPIC_ID:
		memset(id, pair->value, sizeof(id));
		nla_put(msg, type, pair->value > 1000 ? 15 : 16, id);
		break;
	case MQ_A_TOPIC_RING_BYTES:
	case MQ_A_TOPIC_RING_MESSAGES:
	case MQ_A_TOPIC_ATTR_BYTES:
	case MQ_A_TOPIC_START_OFFSET:
	case MQ_A_TOPIC_START_POSITION:
		nla_put_u64(msg, type, pair->value);
		break;
	case MQ_A_TOPIC_PERSISTENT:
	case MQ_A_TOPIC_PAUSED:
	case MQ_A_TOPIC_LEND:
		nla_put_u8(msg, type, pair->value);
		break;
	case MQ_A_TOPIC_MEMORY_CGROUP:
		nla_put_string(msg, type, cgroups[pair->value % ARRAY_SIZE(cgroups)]);
		break;
	default:
		nla_put_u32(msg, type, pair->value);
	}
}

/* Spoils a message; its length may change. */
static void mangle(struct nl_msg *msg, uint64_t how, size_t *len)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct genlmsghdr *g = nlmsg_data(h);
	struct nlattr *first = genlmsg_attrdata(g, 0);
	int left = genlmsg_attrlen(g, 0);
	struct nlattr *last = first;

	while (nla_ok(last, left) && left > NLA_ALIGN(last->nla_len) + NLA_HDRLEN)
		last = nla_next(last, &left);
	if (!nla_ok(last, left) && how < 8)
		return;
	switch (how) {
	case 1:
		last->nla_len = 0;
		break;
	case 2:
		last->nla_len = 3;
		break;
	case 3:
		last->nla_len = 0xffff;
		break;
	case 4:
		last->nla_type |= NLA_F_NESTED;
		break;
	case 5:
		first->nla_type |= NLA_F_NET_BYTEORDER;
		break;
	case 6:
		last->nla_len--;
		break;
	case 7:
		last->nla_type = 0x3f;
		break;
	case 8:
		*len -= 3;
		break;
	case 9:
		g->version = 9;
		break;
	case 10:
		h->nlmsg_flags &= ~NLM_F_ACK;
		break;
	}
}

static void drain(struct thread *t, unsigned int messages)
{
	while (messages-- && recv(t->nl, t->in, 16384, MSG_DONTWAIT) >= 0)
		;
}

long do_netlink(struct thread *t, const struct call *c)
{
	struct nl_msg *msg = request(c->arg[0], c->arg[1] & 0xff00);
	const struct nlmsgerr *e;
	const struct nlmsghdr *h;
	size_t len;
	ssize_t n;

	for (unsigned int i = 0; i < c->pairs_n; i++)
		put_attr(msg, c->arg[0], &c->pairs[i]);
	len = nlmsg_hdr(msg)->nlmsg_len;
	mangle(msg, c->arg[2], &len);
	drain(t, 8);
	n = send_to_kernel(t->nl, nlmsg_hdr(msg), len);
	nlmsg_free(msg);
	if (n < 0)
		return -1;
	/* The rest of a dump goes on, or does not, later. */
	n = recv(t->nl, t->in, 16384, MSG_DONTWAIT);
	h = (const void *)t->in;
	e = NLMSG_DATA(h);
	if (n >= (ssize_t)NLMSG_LENGTH(sizeof(*e)) && h->nlmsg_type == NLMSG_ERROR && e->error) {
		errno = -e->error;
		return -1;
	}
	return n < 0 ? -1 : 0;
}

long do_nlsock(struct thread *t, const struct call *c)
{
	int fd;

	switch (c->arg[0] % 3) {
	case 0:
		/* In the middle of a dump, perhaps. */
		fd = nl_open();
		if (fd < 0)
			return -1;
		dup3(fd, t->nl, O_CLOEXEC);
		return close(fd);
	case 1:
		return setsockopt(t->nl, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
	}
	drain(t, 50);
	return 0;
}

/* --- as they should be ------------------------------------------------------------- */

/* Takes the answer: 0 or -errno. */
static int carry_out(struct nl_msg *msg, void (*fn)(struct nlmsghdr *h))
{
	static uint8_t buf[16384];
	ssize_t n;
	int ret = 0;

	while (recv(own, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
	if (send_to_kernel(own, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len) < 0)
		ret = -errno;
	nlmsg_free(msg);
	while (!ret && (n = recv(own, buf, sizeof(buf), 0)) > 0) {
		struct nlmsghdr *h = (void *)buf;

		if (h->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
		if (fn)
			fn(h);
	}
	return ret;
}

static void put_name(struct nl_msg *msg, unsigned int number)
{
	char name[32];

	snprintf(name, sizeof(name), "w%u.t%u", worker_number, number);
	nla_put_string(msg, MQ_A_TOPIC_NAME, name);
}

void topic_remove(unsigned int number)
{
	struct nl_msg *msg = request(MQ_CMD_TOPIC_DEL, 0);
	int ret;

	put_name(msg, number);
	ret = carry_out(msg, NULL);
	if (ret && ret != -ENOENT)
		finding("topic t%u cannot be deleted: %s", number, strerror(-ret));
}

static const struct {
	unsigned int partitions, framing, hold, overflow, stamp, persistent, lend;
	uint64_t ring, offset, position;
} base[BASE_TOPICS] = {
	{ 1, 0, 0, 2, 0, 0, 1, 16384, 0, 0 },
	{ 1, 1, 0, 2, 0, 0, 1, 8192, 0, (1ULL << 32) - 9000 },
	{ 2, 0, 1, 0, 3, 0, 1, 8192, 0, 0 },
	{ 1, 0, 0, 0, 0, 1, 1, 16384, (1ULL << 32) - 20, 0 },
	{ 3, 1, 1, 1, 0, 0, 0, 4096, 0, 0 },
	{ 1, 0, 1, 2, 0, 0, 1, 65536, INT64_MAX - 50, INT64_MAX - 100000 },
};

/* So that there is something to be read. */
static void first_messages(unsigned int number)
{
	char path[64];
	int fd;

	fd = open(topic_path(number, path, sizeof(path)), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	for (unsigned int i = 0; i < 6; i++) {
		size_t len = 20 + i * i * 30;

		if (write(fd, data_out(DATA_PLAIN, 2, len), len) != (ssize_t)len)
			finding("the first messages do not fit into t%u", number);
	}
	close(fd);
}

void topic_reset(unsigned int number)
{
	struct nl_msg *msg;
	int ret;

	topic_remove(number);
	msg = request(MQ_CMD_TOPIC_NEW, 0);
	put_name(msg, number);
	nla_put_u32(msg, MQ_A_TOPIC_PARTITIONS, base[number].partitions);
	nla_put_u64(msg, MQ_A_TOPIC_RING_BYTES, base[number].ring);
	nla_put_u64(msg, MQ_A_TOPIC_RING_MESSAGES, 64);
	nla_put_u32(msg, MQ_A_TOPIC_FRAMING, base[number].framing);
	nla_put_u32(msg, MQ_A_TOPIC_OVERFLOW, base[number].overflow);
	nla_put_u32(msg, MQ_A_TOPIC_HOLD, base[number].hold);
	nla_put_u32(msg, MQ_A_TOPIC_STAMP, base[number].stamp);
	nla_put_u8(msg, MQ_A_TOPIC_PERSISTENT, base[number].persistent);
	nla_put_u8(msg, MQ_A_TOPIC_LEND, base[number].lend);
	nla_put_u32(msg, MQ_A_TOPIC_SYNC_TIMEOUT, 2);
	nla_put_u32(msg, MQ_A_TOPIC_MODE, 0666);
	nla_put_u64(msg, MQ_A_TOPIC_START_OFFSET, base[number].offset);
	nla_put_u64(msg, MQ_A_TOPIC_START_POSITION, base[number].position);
	ret = carry_out(msg, NULL);
	if (!ret)
		first_messages(number);
	if (ret)
		finding("topic t%u cannot be made: %s", number, strerror(-ret));
}

static uint64_t topics_now, memory_now;

static void take_state(struct nlmsghdr *h)
{
	struct nlattr *tb[MQ_A_MODULE_MAX + 1];

	if (genlmsg_parse(h, 0, tb, MQ_A_MODULE_MAX, NULL))
		return;
	if (tb[MQ_A_MODULE_TOPICS])
		topics_now = nla_get_u32(tb[MQ_A_MODULE_TOPICS]);
	if (tb[MQ_A_MODULE_MEMORY])
		memory_now = nla_get_u64(tb[MQ_A_MODULE_MEMORY]);
}

bool module_state(uint64_t *topics, uint64_t *memory)
{
	topics_now = memory_now = ~0ULL;
	if (carry_out(request(MQ_CMD_MODULE_GET, 0), take_state))
		return false;
	*topics = topics_now;
	*memory = memory_now;
	return topics_now != ~0ULL;
}
