// SPDX-License-Identifier: GPL-2.0
/* Batches of the record format (<mq/mq.h>): built for write, parsed after read. */
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

bool buffer_add(struct buffer *buf, const void *data, size_t len)
{
	unsigned char *grown;
	size_t size, need;

	if (__builtin_add_overflow(buf->len, len, &need))
		return false;
	if (need > buf->size || !buf->data) {
		size = buf->size ? buf->size : 256;
		while (size < need) {
			if (__builtin_mul_overflow(size, 2, &size))
				return false;
		}
		grown = realloc(buf->data, size);
		if (!grown)
			return false;
		buf->data = grown;
		buf->size = size;
	}
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len = need;
	return true;
}

void buffer_free(struct buffer *buf)
{
	free(buf->data);
	*buf = (struct buffer) { 0 };
}

bool attr_add(struct buffer *buf, unsigned int type, const void *data, size_t len)
{
	static const char zeros[NLA_ALIGNTO];
	struct nlattr nla = { .nla_type = type };

	if (len > UINT16_MAX - NLA_HDRLEN)
		return false;
	nla.nla_len = NLA_HDRLEN + len;
	return buffer_add(buf, &nla, sizeof(nla)) && buffer_add(buf, data, len) &&
	       buffer_add(buf, zeros, NLA_ALIGN(len) - len);
}

bool attr_add_header(struct buffer *buf, const char *name, size_t name_len,
		     const void *value, size_t value_len)
{
	struct buffer nest = { 0 };
	bool ok;

	ok = attr_add(&nest, MQ_HEADER_NAME, name, name_len) &&
	     attr_add(&nest, MQ_HEADER_VALUE, value, value_len) &&
	     attr_add(buf, MQ_ATTR_HEADER | NLA_F_NESTED, nest.data, nest.len);
	buffer_free(&nest);
	return ok;
}

bool batch_add(struct batch *batch, const void *payload, size_t len,
	       const void *attrs, size_t attr_len)
{
	struct mq_record record = { .len = len, .attr_len = attr_len };

	if (len > UINT32_MAX || attr_len > UINT32_MAX || batch->count == UINT32_MAX)
		return false;
	if (!buffer_add(&batch->records, &record, sizeof(record)) ||
	    !buffer_add(&batch->attrs, attrs, attr_len) ||
	    !buffer_add(&batch->payload, payload, len))
		return false;
	batch->count++;
	return true;
}

size_t batch_iov(struct batch *batch, uint32_t partition, struct iovec iov[BATCH_IOV])
{
	static const char zeros[8];
	size_t pad = -batch->attrs.len & 7;

	batch->head = (struct mq_batch) {
		.size = sizeof(batch->head),
		.entry_size = sizeof(struct mq_record),
		.count = batch->count,
		.partition = partition,
		.entries_len = batch->records.len,
		.attrs_len = batch->attrs.len,
		.payload_len = batch->payload.len,
	};
	iov[0] = (struct iovec) { &batch->head, sizeof(batch->head) };
	iov[1] = (struct iovec) { batch->records.data, batch->records.len };
	iov[2] = (struct iovec) { batch->attrs.data, batch->attrs.len };
	iov[3] = (struct iovec) { (void *)zeros, pad };
	iov[4] = (struct iovec) { batch->payload.data, batch->payload.len };
	return iov[0].iov_len + iov[1].iov_len + iov[2].iov_len + pad + iov[4].iov_len;
}

void batch_reset(struct batch *batch)
{
	batch->records.len = 0;
	batch->attrs.len = 0;
	batch->payload.len = 0;
	batch->count = 0;
}

void batch_free(struct batch *batch)
{
	buffer_free(&batch->records);
	buffer_free(&batch->attrs);
	buffer_free(&batch->payload);
	batch->count = 0;
}

const char *batch_parse(struct batch_view *view, const void *buf, size_t len)
{
	struct mq_batch *head = &view->head;
	uint64_t left = len, attrs;

	if (len < sizeof(*head))
		return "batch shorter than its header";
	memcpy(head, buf, sizeof(*head));
	if (head->size < sizeof(*head) || head->size > left || head->size % 8)
		return "batch with a bad header size";
	left -= head->size;
	if (!head->count)
		return "empty batch";
	if (head->entry_size != sizeof(struct mq_entry) ||
	    head->entries_len != (uint64_t)head->count * head->entry_size)
		return "batch with a bad entry size";
	if (head->entries_len > left)
		return "batch shorter than its entries";
	left -= head->entries_len;
	if (head->attrs_len > left)
		return "batch shorter than its attributes";
	attrs = (head->attrs_len + 7) & ~7ULL;
	if (attrs > left || head->payload_len != left - attrs)
		return "batch of another length than its payloads'";

	view->entries = (const unsigned char *)buf + head->size;
	view->attrs = view->entries + head->entries_len;
	view->payload = view->attrs + attrs;
	view->attrs_left = head->attrs_len;
	view->payload_left = head->payload_len;
	view->next = 0;
	return NULL;
}

int batch_next(struct batch_view *view, struct message *msg)
{
	struct mq_entry *e = &msg->entry;

	if (view->next == view->head.count)
		return view->attrs_left || view->payload_left ? -1 : 0;
	memcpy(e, view->entries + (size_t)view->next * sizeof(*e), sizeof(*e));
	if (e->attr_len > view->attrs_left || e->len > view->payload_left)
		return -1;
	msg->attrs = view->attrs;
	msg->payload = view->payload;
	view->attrs += e->attr_len;
	view->attrs_left -= e->attr_len;
	view->payload += e->len;
	view->payload_left -= e->len;
	view->next++;
	return 1;
}

/* The attribute at *pos of @len bytes; false at the end or if it is cut off. */
static bool next_attr(const unsigned char *attrs, size_t len, size_t *pos,
		      unsigned int *type, struct bytes *value)
{
	struct nlattr nla;

	if (len - *pos < sizeof(nla))
		return false;
	memcpy(&nla, attrs + *pos, sizeof(nla));
	if (nla.nla_len < NLA_HDRLEN || nla.nla_len > len - *pos)
		return false;
	*type = nla.nla_type & NLA_TYPE_MASK;
	*value = (struct bytes) { attrs + *pos + NLA_HDRLEN, nla.nla_len - NLA_HDRLEN };
	*pos += NLA_ALIGN(nla.nla_len);
	if (*pos > len)
		*pos = len;
	return true;
}

const char *message_attrs(const struct message *msg, struct bytes attrs[MQ_ATTR_MAX + 1])
{
	static const unsigned char fixed[MQ_ATTR_MAX + 1] = {
		[MQ_ATTR_SCHEMA_ID] = 4,
		[MQ_ATTR_DELIVER_AT] = 8,
		[MQ_ATTR_TTL] = 8,
		[MQ_ATTR_PRODUCER_ID] = 8,
		[MQ_ATTR_PRODUCER_EPOCH] = 4,
		[MQ_ATTR_SEQUENCE] = 8,
		[MQ_ATTR_WRITER_UID] = 4,
		[MQ_ATTR_WRITER_CGROUP] = 8,
	};
	struct bytes value, name;
	const void *at = NULL;
	unsigned int type;
	size_t pos = 0, headers = 0;

	memset(attrs, 0, (MQ_ATTR_MAX + 1) * sizeof(*attrs));
	while (next_attr(msg->attrs, msg->entry.attr_len, &pos, &type, &value)) {
		/* What a newer kernel added is not ours to judge. */
		if (!type || type > MQ_ATTR_MAX)
			continue;
		if (type == MQ_ATTR_HEADER) {
			headers++;
			if (!attrs[type].data)
				attrs[type] = value;
			continue;
		}
		if (attrs[type].data)
			return "an attribute stands twice";
		if (fixed[type] && value.len != fixed[type])
			return "an attribute has a wrong length";
		attrs[type] = value;
	}
	if (pos != msg->entry.attr_len)
		return "an attribute is cut off";
	while (message_header(msg, &at, &name, &value))
		headers--;
	return headers ? "a header is malformed" : NULL;
}

bool message_header(const struct message *msg, const void **at, struct bytes *name,
		    struct bytes *value)
{
	size_t pos = *at ? (const unsigned char *)*at - msg->attrs : 0;
	struct bytes nest, inner;
	unsigned int type;
	size_t in;

	while (next_attr(msg->attrs, msg->entry.attr_len, &pos, &type, &nest)) {
		if (type != MQ_ATTR_HEADER)
			continue;
		*name = (struct bytes) { 0 };
		*value = (struct bytes) { 0 };
		in = 0;
		while (next_attr(nest.data, nest.len, &in, &type, &inner)) {
			if (type == MQ_HEADER_NAME)
				*name = inner;
			else if (type == MQ_HEADER_VALUE)
				*value = inner;
		}
		if (in != nest.len || !name->data)
			continue;
		*at = msg->attrs + pos;
		return true;
	}
	return false;
}

uint64_t attr_u64(const struct bytes *attr)
{
	uint64_t v = 0;

	memcpy(&v, attr->data, attr->len < sizeof(v) ? attr->len : sizeof(v));
	return v;
}

uint32_t attr_u32(const struct bytes *attr)
{
	uint32_t v = 0;

	memcpy(&v, attr->data, attr->len < sizeof(v) ? attr->len : sizeof(v));
	return v;
}
