/* SPDX-License-Identifier: GPL-2.0 */
/* The netlink family: requests, answers and the kernel's explanations. */
#ifndef MQCTL_NL_H
#define MQCTL_NL_H

#include <netlink/netlink.h>

#include "attrs.h"

struct request {
	struct nl_msg *msg;
	const struct attr_set *set;
	/* Options as the user gave them, by attribute type, to name in errors. */
	const char *text[ATTR_TYPE_MAX];
	int error;			/* errno of the answer */
	bool quiet;			/* whoever asked reports the error */
	bool conf;			/* errors name "KEY = VALUE", not options */
	bool done;
	int (*answer)(struct nlmsghdr *nlh, void *ctx);
	void *ctx;
};

/* Dies with advice if the module is not loaded. */
void request_init(struct request *req, const struct attr_set *set, int cmd, int flags);
/* Puts an attribute; NULL, or what is wrong with its text. */
const char *request_put(struct request *req, const struct attr *attr, const char *text,
			bool on);
void request_put_name(struct request *req, unsigned int type, const char *name);
/* Sends it and collects the answers; false: refused, and the reason was said. */
bool request_send(struct request *req);
void request_free(struct request *req);

/* Messages kept for later. */
struct answers {
	struct nlmsghdr **msgs;
	size_t count;
	size_t size;
};

int answers_add(struct nlmsghdr *nlh, void *answers);
void answers_free(struct answers *answers);
/*
 * What @cmd answers about @topic, or (NULL) about all; false: refused, and said. The
 * first attribute of each set is the topic's name.
 */
bool answers_ask(struct answers *answers, const struct attr_set *set, int cmd, int flags,
		 const char *topic);
/* An answer's attributes, the counters among them if @stats; dies if it cannot be read. */
void answer_parse(const struct attr_set *set, struct nlmsghdr *nlh, struct nlattr **tb,
		  struct nlattr **stats);

struct command;
struct table_opts;
struct topic_ref;
/* topic.c: */
/* The topic of @ref, or (NULL) all, into @answers; false: refused, and said. */
bool ask_topics(const struct topic_ref *ref, struct answers *answers);
void answers_sort(struct answers *answers);
/* An answer's attributes, the name among them; @stats may be NULL. */
void topic_answer(struct nlmsghdr *nlh, struct nlattr **tb, struct nlattr **stats);
/* A table of topics, sorted by name. */
void print_topics(const struct command *cmd, const struct table_opts *opts,
		  struct answers *answers, unsigned int by_default);

/* prometheus.c: all of both, and of the module; false: refused, and said. */
bool print_prometheus(struct answers *topics, const struct answers *partitions);

/* A socket that receives the family's events. */
struct nl_sock *events_open(void);

#endif
