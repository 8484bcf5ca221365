// SPDX-License-Identifier: GPL-2.0
/* A message with a key and a header: a batch of one record, see mq/mq.h. */
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <mq/mq.h>
#include <string.h>
#include <unistd.h>

#include "example.h"

static struct {
	struct mq_batch batch;
	struct mq_record record;
	char data[1 << 19];	/* attributes, payload: more than arguments can be */
} message;

/* Puts an attribute at @at, where zeros are; returns the place of the next. */
static char *put(char *at, int type, const char *data, size_t len)
{
	struct nlattr attr = { .nla_len = NLA_HDRLEN + len, .nla_type = type };

	memmove(at + NLA_HDRLEN, data, len);
	memcpy(at, &attr, sizeof(attr));
	return at + NLA_ALIGN(attr.nla_len);
}

ssize_t produce(int fd, const char *key, const char *header, const char *text)
{
	size_t name_len = strcspn(header, "="), attrs_len;
	const char *value = header + name_len + (header[name_len] == '=');
	char *nest, *end;

	nest = put(message.data, MQ_ATTR_KEY, key, strlen(key));
	end = put(nest + NLA_HDRLEN, MQ_HEADER_NAME, header, name_len);
	end = put(end, MQ_HEADER_VALUE, value, strlen(value));
	put(nest, MQ_ATTR_HEADER, nest + NLA_HDRLEN, end - nest - NLA_HDRLEN);
	attrs_len = end - message.data;

	end = stpcpy(message.data + ((attrs_len + 7) & ~7), text);
	*end++ = '\n';

	message.record = (struct mq_record) { .len = strlen(text) + 1, .attr_len = attrs_len };
	message.batch = (struct mq_batch) {
		.size = sizeof(message.batch),
		.entry_size = sizeof(message.record),
		.count = 1,
		.partition = MQ_PARTITION_ANY,	/* the key chooses it */
		.entries_len = sizeof(message.record),
		.attrs_len = attrs_len,
		.payload_len = message.record.len,
	};
	return write(fd, &message, end - (char *)&message);
}
