// SPDX-License-Identifier: GPL-2.0
/* The netlink family: requests, answers and the kernel's explanations. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <mq/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include "mqctl.h"
#include "nl.h"

static struct nl_sock *sock;
static int family;

static struct nl_sock *socket_open(void)
{
	struct nl_sock *sk = nl_socket_alloc();
	int err, one = 1;

	if (!sk)
		die("out of memory");
	err = genl_connect(sk);
	if (err)
		die("generic netlink: %s", nl_geterror(err));
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	return sk;
}

static int resolve(struct nl_sock *sk)
{
	int id = genl_ctrl_resolve(sk, MQ_FAMILY_NAME);

	if (id == -NLE_OBJ_NOTFOUND)
		die("the module mq is not loaded: load it by 'modprobe mq'");
	if (id < 0)
		die("netlink family %s: %s", MQ_FAMILY_NAME, nl_geterror(id));
	return id;
}

static void close_socket(void)
{
	nl_socket_free(sock);
}

void request_init(struct request *req, const struct attr_set *set, int cmd, int flags)
{
	memset(req, 0, sizeof(*req));
	req->set = set;
	if (!sock) {
		sock = socket_open();
		atexit(close_socket);
		family = resolve(sock);
	}
	req->msg = nlmsg_alloc();
	if (!req->msg || !genlmsg_put(req->msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0,
				      flags, cmd, MQ_FAMILY_VERSION))
		die("out of memory");
}

const char *request_put(struct request *req, const struct attr *attr, const char *text,
			bool on)
{
	req->text[attr->type] = text ? text : on ? "" : "no";
	return attr_put(req->msg, attr, text, on);
}

void request_put_name(struct request *req, unsigned int type, const char *name)
{
	if (nla_put_string(req->msg, type, name))
		die("out of memory");
}

/* Type of the attribute of our request that lies at @offset, 0 if none does. */
static unsigned int type_at(const struct request *req, uint32_t offset)
{
	struct nlmsghdr *nlh = nlmsg_hdr(req->msg);
	struct nlattr *nla;
	int rest;

	nla_for_each_attr(nla, genlmsg_attrdata(nlmsg_data(nlh), 0),
			  genlmsg_attrlen(nlmsg_data(nlh), 0), rest) {
		if ((uint32_t)((char *)nla - (char *)nlh) == offset)
			return nla_type(nla);
	}
	return 0;
}

static const char *advice(const struct request *req, const struct attr *attr)
{
	switch (req->error) {
	case EPERM:
		return ": run it as root";
	case ENOENT:
		/* Not if it is the id or the partition that is wrong. */
		return attr && attr != req->set->attrs ? "" :
			": 'mqctl topic list' shows the topics there are";
	case ENOMEM:
		return ": 'mqctl version' shows the module's limit";
	default:
		return "";
	}
}

static const char *reason(const struct request *req)
{
	switch (req->error) {
	case EEXIST:
		return "exists already";
	case ENOENT:
		return "no topic has this name";
	case EBUSY:
		return "in use: this cannot be changed (now)";
	case EPERM:
		return "not permitted";
	default:
		return strerror(req->error);
	}
}

/* "--ring-bytes 3M: must be a power of two", from what the kernel attached. */
static void explain(struct request *req, struct nlattr *attrs, int len)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1] = { 0 };
	const struct attr *attr = NULL;
	char option[128] = "";
	const char *msg;

	if (attrs)
		nla_parse(tb, NLMSGERR_ATTR_MAX, attrs, len, NULL);
	if (tb[NLMSGERR_ATTR_OFFS])
		attr = attr_by_type(req->set, type_at(req, nla_get_u32(tb[NLMSGERR_ATTR_OFFS])));
	else if (tb[NLMSGERR_ATTR_MISS_TYPE])
		attr = attr_by_type(req->set, nla_get_u32(tb[NLMSGERR_ATTR_MISS_TYPE]));
	if (attr && !(attr->flags & ATTR_OPERAND)) {
		const char *text = req->text[attr->type];

		if (req->conf)
			snprintf(option, sizeof(option), "%s = %s: ", attr->name,
				 text ? text : "");
		else if (attr->kind == ATTR_BOOL)
			snprintf(option, sizeof(option), "--%s%s: ",
				 text && *text ? "no-" : "", attr->name);
		else
			snprintf(option, sizeof(option), "--%s%s%s: ", attr->name,
				 text ? " " : "", text ? text : "");
	}
	msg = tb[NLMSGERR_ATTR_MSG] ? nla_get_string(tb[NLMSGERR_ATTR_MSG]) :
	      tb[NLMSGERR_ATTR_MISS_TYPE] ? "missing" : reason(req);
	/* "--ring-bytes 3M: ring-bytes is not": once is enough. */
	if (option[0] && !strncmp(msg, attr->name, strlen(attr->name)) &&
	    msg[strlen(attr->name)] == ' ') {
		option[strlen(option) - 2] = '\0';
		msg += strlen(attr->name);
	}
	say("%s%s%s", option, msg, advice(req, attr));
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *err, void *arg)
{
	/* The acknowledgement itself: its flags say what follows. */
	struct nlmsghdr *nlh = (struct nlmsghdr *)err - 1;
	struct request *req = arg;
	size_t skip = sizeof(*err);

	(void)from;
	req->done = true;
	req->error = -err->error;
	if (!req->error || req->quiet)
		return NL_STOP;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - sizeof(err->msg);
	skip = NLMSG_ALIGN(skip);
	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) && nlmsg_datalen(nlh) > (int)skip)
		explain(req, (struct nlattr *)((char *)err + skip), nlmsg_datalen(nlh) - skip);
	else
		explain(req, NULL, 0);
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct request *req = arg;

	(void)msg;
	req->done = true;
	return NL_STOP;
}

/* The end of a dump carries its error. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct request *req = arg;
	int error = 0;

	req->done = true;
	if (nlmsg_datalen(nlh) >= (int)sizeof(error))
		memcpy(&error, nlmsg_data(nlh), sizeof(error));
	if (error >= 0)
		return NL_STOP;
	req->error = -error;
	if (!req->quiet)
		explain(req, nlh->nlmsg_flags & NLM_F_ACK_TLVS ?
			     (struct nlattr *)((char *)nlmsg_data(nlh) + NLMSG_ALIGN(sizeof(error)))
			     : NULL,
			nlmsg_datalen(nlh) - NLMSG_ALIGN(sizeof(error)));
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct request *req = arg;
	int err = req->answer ? req->answer(nlmsg_hdr(msg), req->ctx) : 0;

	if (err)
		die("an answer that cannot be read: %s", nl_geterror(err));
	return NL_OK;
}

bool request_send(struct request *req)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err;

	if (!cb)
		die("out of memory");
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, req);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, req);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, req);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, req);
	err = nl_send_auto(sock, req->msg);
	if (err < 0)
		die("netlink: %s", nl_geterror(err));
	/*
	 * A dump that the kernel marks as interrupted is complete but for what
	 * was created or deleted meanwhile: as good as a list ever is.
	 */
	while (!req->done) {
		err = nl_recvmsgs(sock, cb);
		if (err < 0 && err != -NLE_DUMP_INTR && !req->error)
			die("netlink: %s", nl_geterror(err));
	}
	nl_cb_put(cb);
	return !req->error;
}

void request_free(struct request *req)
{
	nlmsg_free(req->msg);
	req->msg = NULL;
}

int answers_add(struct nlmsghdr *nlh, void *ctx)
{
	struct answers *answers = ctx;
	struct nlmsghdr *copy;

	if (answers->count == answers->size) {
		size_t size = answers->size ? 2 * answers->size : 16;

		answers->msgs = reallocarray(answers->msgs, size, sizeof(*answers->msgs));
		if (!answers->msgs)
			die("out of memory");
		answers->size = size;
	}
	copy = malloc(nlh->nlmsg_len);
	if (!copy)
		die("out of memory");
	memcpy(copy, nlh, nlh->nlmsg_len);
	answers->msgs[answers->count++] = copy;
	return 0;
}

void answers_free(struct answers *answers)
{
	for (size_t i = 0; i < answers->count; i++)
		free(answers->msgs[i]);
	free(answers->msgs);
	*answers = (struct answers) { 0 };
}

bool answers_ask(struct answers *answers, const struct attr_set *set, int cmd, int flags,
		 const char *topic)
{
	struct request req;
	bool ok;

	request_init(&req, set, cmd, flags);
	if (topic)
		request_put_name(&req, set->attrs[0].type, topic);
	req.answer = answers_add;
	req.ctx = answers;
	ok = request_send(&req);
	request_free(&req);
	return ok;
}

void answer_parse(const struct attr_set *set, struct nlmsghdr *nlh, struct nlattr **tb,
		  struct nlattr **stats)
{
	int err = attr_parse(set, nlh, tb, stats);

	if (err)
		die("an answer that cannot be read: %s", nl_geterror(err));
}

struct nl_sock *events_open(void)
{
	struct nl_sock *sk = socket_open();
	int group, err;

	resolve(sk);
	group = genl_ctrl_resolve_grp(sk, MQ_FAMILY_NAME, MQ_MCGRP_EVENTS);
	if (group < 0)
		die("multicast group %s: %s", MQ_MCGRP_EVENTS, nl_geterror(group));
	err = nl_socket_add_memberships(sk, group, 0);
	if (err)
		die("multicast group %s: %s", MQ_MCGRP_EVENTS, nl_geterror(err));
	nl_socket_disable_seq_check(sk);
	nl_socket_set_nonblocking(sk);
	/* As large as the system's limit lets it be: events come in bursts. */
	nl_socket_set_buffer_size(sk, 1 << 20, 0);
	return sk;
}
