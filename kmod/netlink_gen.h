/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	uapi/mq/netlink.yaml */
/* YNL-GEN kernel header */

#ifndef _LINUX_MQ_GEN_H
#define _LINUX_MQ_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <mq/netlink.h>

extern const struct nla_policy mq_topic_new_nl_policy[MQ_A_TOPIC_MEMORY_CGROUP + 1];

extern const struct nla_policy mq_topic_del_nl_policy[MQ_A_TOPIC_ID + 1];

extern const struct nla_policy mq_topic_set_nl_policy[MQ_A_TOPIC_MEMORY_CGROUP + 1];

extern const struct nla_policy mq_topic_get_nl_policy[MQ_A_TOPIC_ID + 1];

extern const struct nla_policy mq_partition_get_nl_policy[MQ_A_PARTITION_INDEX + 1];

extern const struct nla_policy mq_module_get_nl_policy[MQ_A_MODULE_VERSION + 1];

extern const struct nla_policy mq_reader_get_nl_policy[MQ_A_READER_TOPIC + 1];

extern const struct nla_policy mq_waiter_get_nl_policy[MQ_A_WAITER_TOPIC + 1];

/* Ops table for mq */
extern const struct genl_ops mq_nl_ops[8];

int mq_nl_topic_new_doit(struct sk_buff *skb, struct genl_info *info);
int mq_nl_topic_del_doit(struct sk_buff *skb, struct genl_info *info);
int mq_nl_topic_set_doit(struct sk_buff *skb, struct genl_info *info);
int mq_nl_topic_get_doit(struct sk_buff *skb, struct genl_info *info);
int mq_nl_topic_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int mq_nl_partition_get_doit(struct sk_buff *skb, struct genl_info *info);
int mq_nl_partition_get_dumpit(struct sk_buff *skb,
			       struct netlink_callback *cb);
int mq_nl_module_get_doit(struct sk_buff *skb, struct genl_info *info);
int mq_nl_reader_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int mq_nl_waiter_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);

enum {
	MQ_NLGRP_EVENTS,
	MQ_NLGRP_COUNT
};

extern const struct genl_multicast_group mq_nl_mcgrps[MQ_NLGRP_COUNT];

#endif /* _LINUX_MQ_GEN_H */
