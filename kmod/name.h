/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_NAME_H
#define _MQ_NAME_H

#include <linux/types.h>

enum mq_from {
	MQ_FROM_OLDEST,
	MQ_FROM_NEWEST,
	MQ_FROM_OFFSET,
	MQ_FROM_TIME,		/* since=TIME: ns since the epoch */
	MQ_FROM_AGO,		/* since=DURATION: ns before the open */
};

/**
 * struct mq_name - a name under /dev/mq, taken apart
 * @topic: the topic's name, within the string that was parsed
 * @topic_len: its length
 * @partition: number after "@", or -1
 * @group: group's name, or NULL
 * @group_len: its length
 * @from: where reading starts
 * @value: offset or time (ns) for @from
 * @until_end: "until=end"
 * @record: "format=record"
 * @overrun_skip: "overrun=skip"
 * @ack_explicit: "ack=explicit"
 */
struct mq_name {
	const char *topic;
	size_t topic_len;
	int partition;
	const char *group;
	size_t group_len;
	enum mq_from from;
	u64 value;
	bool until_end;
	bool record;
	bool overrun_skip;
	bool ack_explicit;
};

bool mq_name_valid(const char *name, size_t len, size_t max);
int mq_name_parse(const char *str, size_t len, struct mq_name *name);

#endif /* _MQ_NAME_H */
