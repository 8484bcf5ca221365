/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_KNETLINK_H
#define _MQ_KNETLINK_H

#include <linux/types.h>

struct mq_topic;
struct netlink_callback;
struct netlink_ext_ack;
struct nlattr;
struct nlmsghdr;
struct sk_buff;

/* netlink.c */
int mq_netlink_init(void);
void mq_netlink_exit(void);
void mq_netlink_notify(struct mq_topic *topic, u8 cmd);
int mq_netlink_overrun(struct mq_topic *topic, u64 lost, u64 overruns);
int mq_netlink_once(const struct nlmsghdr *nlh, struct netlink_ext_ack *extack);
struct mq_topic *mq_netlink_topic(struct nlattr *name_nla, struct nlattr *id_nla,
				  struct netlink_ext_ack *extack);
void *mq_netlink_put(struct sk_buff *skb, const struct netlink_callback *cb, u8 cmd);

/* event.c: overrun events, at most one a second a topic */
void mq_event_init(struct mq_topic *topic);
void mq_event_overrun(struct mq_topic *topic, u64 lost);
void mq_event_flush(struct mq_topic *topic);

#endif /* _MQ_KNETLINK_H */
