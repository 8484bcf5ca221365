/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_KNETLINK_H
#define _MQ_KNETLINK_H

#include <linux/types.h>

struct mq_topic;

/* netlink.c */
int mq_netlink_init(void);
void mq_netlink_exit(void);
void mq_netlink_notify(struct mq_topic *topic, u8 cmd);
int mq_netlink_overrun(struct mq_topic *topic, u64 lost, u64 overruns);

/* event.c: overrun events, at most one a second a topic */
void mq_event_init(struct mq_topic *topic);
void mq_event_overrun(struct mq_topic *topic, u64 lost);
void mq_event_flush(struct mq_topic *topic);

#endif /* _MQ_KNETLINK_H */
