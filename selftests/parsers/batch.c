// SPDX-License-Identifier: GPL-2.0
/* Batches of records, as mqctl consume and verify take them apart. */
#define _GNU_SOURCE
#include <string.h>

#include "check.h"
#include "record.h"
#include "target.h"

static volatile unsigned int sum;

static void look(const struct bytes *b)
{
	for (size_t i = 0; i < b->len; i++)
		sum += b->data[i];
}

static uint64_t lost_none(void *ctx)
{
	(void)ctx;
	return 0;
}

static void take_apart(const void *buf, size_t len)
{
	struct bytes attrs[MQ_ATTR_MAX + 1], name, value;
	struct batch_view view;
	struct message msg;
	const void *at;

	if (batch_parse(&view, buf, len))
		return;
	while (batch_next(&view, &msg) > 0) {
		look(&(struct bytes) { msg.payload, msg.entry.len });
		if (message_attrs(&msg, attrs))
			continue;
		for (unsigned int i = 0; i <= MQ_ATTR_MAX; i++)
			look(&attrs[i]);
		at = NULL;
		while (message_header(&msg, &at, &name, &value)) {
			look(&name);
			look(&value);
		}
	}
}

/* Two batches, one after the other, the first byte saying where the first ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct check check = { .lost_messages = lost_none };
	size_t first;
	void *buf;

	if (!len)
		return 0;
	first = data[0] * 8 < len - 1 ? data[0] * 8u : len - 1;
	for (unsigned int i = 0; i < 2; i++) {
		size_t n = i ? len - 1 - first : first;

		buf = malloc(n ? n : 1);
		must(buf);
		memcpy(buf, data + 1 + (i ? first : 0), n);
		take_apart(buf, n);
		check_batch(&check, buf, n);
		free(buf);
	}
	check_is_wrong(&check);
	check_free(&check);
	return 0;
}
