// SPDX-License-Identifier: GPL-2.0
/*
 * Who may change topics: CAP_SYS_ADMIN in the initial user namespace, of the
 * sender and of the socket's opener. Reading is everybody's.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "mqtest.h"

#define NOBODY	1000

/* What the processes of a test point share. */
struct world {
	const char *topic;
	int family;
	int pair[2];
};

static int raw_socket(void)
{
	struct timeval limit = { SOON, 0 };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);

	need(fd >= 0);
	need_ret(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

/* A change over a given socket, without libnl: its errno, 0 if it was done. */
static int raw_change(int fd, const struct world *w, uint8_t cmd, bool addressed)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr nlh;
		struct genlmsghdr genl;
		char attrs[256];
	} msg = {
		.nlh.nlmsg_type = w->family,
		.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.genl.cmd = cmd,
		.genl.version = MQ_FAMILY_VERSION,
	};
	struct {
		struct nlmsghdr nlh;
		struct nlmsgerr err;
		char more[1024];
	} ack;
	struct nlattr *nla = (struct nlattr *)msg.attrs;
	ssize_t len;

	nla->nla_type = MQ_A_TOPIC_NAME;
	nla->nla_len = NLA_HDRLEN + strlen(w->topic) + 1;
	strcpy((char *)(nla + 1), w->topic);
	msg.nlh.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(nla->nla_len);
	if (addressed)
		len = sendto(fd, &msg, msg.nlh.nlmsg_len, 0, (void *)&kernel, sizeof(kernel));
	else
		len = write(fd, &msg, msg.nlh.nlmsg_len);
	need_eq(len, msg.nlh.nlmsg_len);
	len = recv(fd, &ack, sizeof(ack), 0);
	need(len >= (ssize_t)(NLMSG_HDRLEN + sizeof(ack.err)));
	need_eq(ack.nlh.nlmsg_type, NLMSG_ERROR);
	return -ack.err.error;
}

static void drop(void)
{
	need_ret(setgroups(0, NULL), 0);
	need_ret(setresgid(NOBODY, NOBODY, NOBODY), 0);
	need_ret(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

/* Every command that changes something is refused, each that reads is not. */
static void cannot_change(const struct world *w)
{
	struct topic_info info;
	struct partition_info part;

	expect_eq(topic_add(&(struct topic_opts) { .name = "intruder" }), -EPERM);
	expect(strstr(nl_ack_text, "CAP_SYS_ADMIN"));
	expect_eq(topic_change(&(struct topic_opts) { .name = w->topic, .mode = 0666 }), -EPERM);
	expect(strstr(nl_ack_text, "CAP_SYS_ADMIN"));
	expect_eq(topic_del(w->topic), -EPERM);
	expect(strstr(nl_ack_text, "CAP_SYS_ADMIN"));
	/* Nor does it learn by changing what there is. */
	expect_eq(topic_del("intruder"), -EPERM);
	expect_eq(topic_change(&(struct topic_opts) { .name = "intruder", .mode = 0666 }), -EPERM);

	expect_eq(topic_get(w->topic, &info), 0);
	expect_eq(info.o.mode, 0600);
	expect_eq(partition_get(w->topic, 1, &part), 0);
	expect(topic_dump(NULL, NULL) >= 1);
	expect_eq(partition_dump(w->topic, NULL, NULL), 2);
	expect_eq(nl_call(nl_request(MQ_CMD_MODULE_GET, 0), NULL, NULL), 0);
}

static void world_init(struct world *w)
{
	w->topic = topic_new(.ring_bytes = 4096, .partitions = 2);
	w->family = nl_family();
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, w->pair), 0);
}

static void world_unchanged(const struct world *w)
{
	struct topic_info info;

	expect_eq(topic_get(w->topic, &info), 0);
	expect_eq(info.o.mode, 0600);
	expect_eq(topic_get("intruder", &info), -ENOENT);
}

static void as_nobody(void *arg)
{
	drop();
	cannot_change(arg);
}

TEST(nobody, "A.10: uid 1000 can read and not change")
{
	struct world w;

	world_init(&w);
	child_ok(child_start(as_nobody, &w), SOON);
	world_unchanged(&w);
}

static void without_capability(void *arg)
{
	/* Root without the capability: the bounding set does not matter, the rest does. */
	struct { uint32_t version; int pid; } head = { 0x20080522, 0 };
	struct { uint32_t effective, permitted, inheritable; } caps[2];

	need_ret(syscall(SYS_capget, &head, caps), 0);
	caps[0].effective &= ~(1U << 21);	/* CAP_SYS_ADMIN */
	caps[0].permitted &= ~(1U << 21);
	need_ret(syscall(SYS_capset, &head, caps), 0);
	cannot_change(arg);
}

TEST(root_without, "root without CAP_SYS_ADMIN can read and not change")
{
	struct world w;

	world_init(&w);
	child_ok(child_start(without_capability, &w), SOON);
	world_unchanged(&w);
}

static void write_map(const char *path, const char *text)
{
	need_eq(write_file(path, text), 0);
}

/* Becomes root of a user namespace of its own, as uid 1000 can. */
static void enter_userns(int flags)
{
	drop();
	/* A process that changed its ids may not write its own maps. */
	need_ret(prctl(PR_SET_DUMPABLE, 1), 0);
	need_ret(unshare(CLONE_NEWUSER | flags), 0);
	write_map("/proc/self/setgroups", "deny");
	write_map("/proc/self/uid_map", "0 1000 1");
	write_map("/proc/self/gid_map", "0 1000 1");
	need_eq(getuid(), 0);
}

static void as_ns_root(void *arg)
{
	struct world *w = arg;
	struct topic_info info;

	enter_userns(0);
	cannot_change(w);
	/* Owners show as this namespace has them: the real root is unknown here. */
	need_eq(topic_get(w->topic, &info), 0);
	expect_eq(info.o.uid, 65534);
	expect_eq(info.o.gid, 65534);
}

static void as_ns_root_in_netns(void *arg)
{
	enter_userns(CLONE_NEWNET);
	cannot_change(arg);
}

static void owned_by_ns_root(void *arg)
{
	struct world *w = arg;
	struct topic_info info;

	enter_userns(0);
	need_eq(topic_get(w->topic, &info), 0);
	expect_eq(info.o.uid, 0);
	expect_eq(info.o.gid, 0);
}

TEST(userns, "A.10: root of a user namespace can read and not change")
{
	struct world w;

	world_init(&w);
	child_ok(child_start(as_ns_root, &w), SOON);
	world_unchanged(&w);
	child_ok(child_start(as_ns_root_in_netns, &w), SOON);
	world_unchanged(&w);
	/* The owner that it is itself does show as root there. */
	expect(topic_set(w.topic, .uid = NOBODY, .gid = NOBODY));
	child_ok(child_start(owned_by_ns_root, &w), SOON);
}

static void in_netns(void *arg)
{
	struct world *w = arg;
	struct topic_info info;

	need_ret(unshare(CLONE_NEWNET), 0);
	/* The real root may, from whichever network namespace. */
	expect_eq(topic_change(&(struct topic_opts) { .name = w->topic, .sync_timeout = 9 }), 0);
	expect_eq(topic_get(w->topic, &info), 0);
	expect_eq(info.o.sync_timeout, 9);
}

TEST(netns, "the family is there in every network namespace")
{
	struct world w;

	world_init(&w);
	child_ok(child_start(in_netns, &w), SOON);
}

static int inherited;

static void with_inherited(void *arg)
{
	struct world *w = arg;

	drop();
	for (int addressed = 0; addressed < 2; addressed++) {
		expect_eq(raw_change(inherited, w, MQ_CMD_TOPIC_DEL, addressed), EPERM);
		expect_eq(raw_change(inherited, w, MQ_CMD_TOPIC_SET, addressed), EPERM);
		expect_eq(raw_change(inherited, w, MQ_CMD_TOPIC_NEW, addressed), EPERM);
	}
	/* The same socket is good for reading. */
	expect_eq(raw_change(inherited, w, MQ_CMD_PARTITION_GET, false), EINVAL);
}

TEST(inherited_root, "A.10: a socket inherited from root gives no rights")
{
	struct world w;

	world_init(&w);
	inherited = raw_socket();
	/* It is good in root's hands. */
	expect_eq(raw_change(inherited, &w, MQ_CMD_TOPIC_SET, false), 0);
	child_ok(child_start(with_inherited, &w), SOON);
	world_unchanged(&w);
}

static void send_socket(void *arg)
{
	struct world *w = arg;
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd;

	drop();
	fd = raw_socket();
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	need_ret(sendmsg(w->pair[1], &msg, 0), 1);
}

TEST(opened_by_nobody, "A.10: a socket that uid 1000 opened has no rights in root's hands")
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct world w;
	int fd;

	world_init(&w);
	child_ok(child_start(send_socket, &w), SOON);
	need_ret(recvmsg(w.pair[0], &msg, 0), 1);
	need(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));

	expect_eq(raw_change(fd, &w, MQ_CMD_TOPIC_DEL, false), EPERM);
	expect_eq(raw_change(fd, &w, MQ_CMD_TOPIC_SET, false), EPERM);
	world_unchanged(&w);
	/* Who addresses the kernel speaks netlink knowingly: the sender's rights count. */
	expect_eq(raw_change(fd, &w, MQ_CMD_TOPIC_SET, true), 0);
}
