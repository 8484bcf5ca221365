// SPDX-License-Identifier: GPL-2.0
/* Names under /dev/mq: the module's parser (kmod/name.c, by the headers of selftests/shim). */
#define _GNU_SOURCE
#include <string.h>

#include <mq/mq.h>

#include "name.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* Exactly as long as it is: the parser gets no end of string. */
	char *text = malloc(len ? len : 1);
	struct mq_name name;
	size_t plain = 0;

	must(text);
	memcpy(text, data, len);
	if (!mq_name_parse(text, len, &name)) {
		must(name.topic == text && name.topic_len && name.topic_len <= MQ_TOPIC_NAME_MAX);
		must(mq_name_valid(name.topic, name.topic_len, MQ_TOPIC_NAME_MAX));
		must(name.partition >= -1);
		must(!name.group || mq_name_valid(name.group, name.group_len, MQ_GROUP_NAME_MAX));
		must(name.from <= MQ_FROM_AGO);
		while (plain < len && text[plain] != '@' && text[plain] != '+')
			plain++;
		must(plain == name.topic_len);
	}
	free(text);
	return 0;
}
