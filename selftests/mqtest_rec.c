// SPDX-License-Identifier: GPL-2.0
/*
 * What the C tests share: batches of records, checksums, patterns. Written from
 * <mq/mq.h>, apart from mqctl's, so that a mistake in one shows. See mqtest.h.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <linux/netlink.h>

#include "mqtest.h"

/* Castagnoli's polynomial, reflected; RFC 3720, B.4. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	static uint32_t table[256];
	const uint8_t *p = data;

	if (!table[1]) {
		uint32_t made[256];

		for (uint32_t i = 0; i < 256; i++) {
			made[i] = i;
			for (int bit = 0; bit < 8; bit++)
				made[i] = made[i] >> 1 ^ (made[i] & 1 ? 0x82f63b78 : 0);
		}
		memcpy(table, made, sizeof(table));
	}
	crc = ~crc;
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

/* org.apache.kafka.common.utils.Utils.murmur2 */
uint32_t kafka_hash(const void *key, size_t len)
{
	const uint32_t m = 0x5bd1e995;
	const uint8_t *p = key;
	uint32_t h = 0x9747b28c ^ (uint32_t)len;
	size_t i;

	for (i = 0; i + 4 <= len; i += 4) {
		uint32_t k = p[i] | p[i + 1] << 8 | p[i + 2] << 16 | (uint32_t)p[i + 3] << 24;

		k *= m;
		k ^= k >> 24;
		h = h * m ^ k * m;
	}
	if (len - i > 2)
		h ^= p[i + 2] << 16;
	if (len - i > 1)
		h ^= p[i + 1] << 8;
	if (len > i) {
		h ^= p[i];
		h *= m;
	}
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}

struct bytes {
	uint8_t *data;
	size_t len, size;
};

struct batch {
	struct bytes records, attrs, payload, flat;
	unsigned int count;
};

static void put(struct bytes *b, const void *data, size_t len)
{
	if (b->len + len > b->size) {
		b->size = 2 * (b->len + len);
		b->data = realloc(b->data, b->size);
		need(b->data);
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void put_attr(struct bytes *b, unsigned int type, const void *data, size_t len)
{
	static const char zeros[NLA_ALIGNTO];
	struct nlattr nla = { .nla_type = type, .nla_len = NLA_HDRLEN + len };

	put(b, &nla, sizeof(nla));
	put(b, data, len);
	put(b, zeros, NLA_ALIGN(len) - len);
}

struct batch *batch_new(void)
{
	struct batch *b = calloc(1, sizeof(*b));

	need(b);
	return b;
}

void batch_reset(struct batch *b)
{
	b->records.len = 0;
	b->attrs.len = 0;
	b->payload.len = 0;
	b->count = 0;
}

void batch_free(struct batch *b)
{
	free(b->records.data);
	free(b->attrs.data);
	free(b->payload.data);
	free(b->flat.data);
	free(b);
}

void batch_add(struct batch *b, const void *payload, size_t len)
{
	struct mq_record r = { .len = len };

	put(&b->records, &r, sizeof(r));
	put(&b->payload, payload, len);
	b->count++;
}

void batch_attr_raw(struct batch *b, const void *data, size_t len)
{
	struct mq_record *last = (void *)(b->records.data + b->records.len - sizeof(*last));

	put(&b->attrs, data, len);
	last->attr_len += len;
}

void batch_attr(struct batch *b, unsigned int type, const void *data, size_t len)
{
	struct bytes one = { 0 };

	put_attr(&one, type, data, len);
	batch_attr_raw(b, one.data, one.len);
	free(one.data);
}

void batch_attr_u32(struct batch *b, unsigned int type, uint32_t value)
{
	batch_attr(b, type, &value, sizeof(value));
}

void batch_attr_u64(struct batch *b, unsigned int type, uint64_t value)
{
	batch_attr(b, type, &value, sizeof(value));
}

void batch_header(struct batch *b, const char *name, const void *value, size_t len)
{
	struct bytes nest = { 0 };

	put_attr(&nest, MQ_HEADER_NAME, name, strlen(name));
	put_attr(&nest, MQ_HEADER_VALUE, value, len);
	batch_attr(b, MQ_ATTR_HEADER | NLA_F_NESTED, nest.data, nest.len);
	free(nest.data);
}

void *batch_build(struct batch *b, uint32_t partition, size_t *len)
{
	static const char zeros[8];
	struct mq_batch head = {
		.size = sizeof(head),
		.entry_size = sizeof(struct mq_record),
		.count = b->count,
		.partition = partition,
		.entries_len = b->records.len,
		.attrs_len = b->attrs.len,
		.payload_len = b->payload.len,
	};

	b->flat.len = 0;
	put(&b->flat, &head, sizeof(head));
	put(&b->flat, b->records.data, b->records.len);
	put(&b->flat, b->attrs.data, b->attrs.len);
	put(&b->flat, zeros, -b->attrs.len & 7);
	put(&b->flat, b->payload.data, b->payload.len);
	*len = b->flat.len;
	return b->flat.data;
}

ssize_t batch_write(struct batch *b, int fd, uint32_t partition)
{
	size_t len;
	void *flat = batch_build(b, partition, &len);

	return write(fd, flat, len);
}

ssize_t write_keyed(int fd, const char *key, const void *payload, size_t len)
{
	struct batch *b = batch_new();
	ssize_t ret;
	int error;

	batch_add(b, payload, len);
	if (key)
		batch_attr(b, MQ_ATTR_KEY, key, strlen(key));
	ret = batch_write(b, fd, MQ_PARTITION_ANY);
	error = errno;
	batch_free(b);
	errno = error;
	return ret;
}

#define BAD(...)	do { mqt_fail(file, line, __VA_ARGS__); return -1; } while (0)

int mqt_batch_parse(const char *file, int line, const void *buf, size_t len, struct rec *recs,
		    unsigned int max, struct mq_batch *head_out)
{
	const struct mq_batch *head = buf;
	const struct mq_entry *e;
	const uint8_t *attrs, *payload;
	uint64_t attrs_left, payload_left;

	if ((ssize_t)len < 0)
		BAD("no batch: %s", mqt_errno(errno));
	if (len < sizeof(*head))
		BAD("a batch of %zu bytes", len);
	if (head_out)
		*head_out = *head;
	if (head->size != sizeof(*head) || head->entry_size != sizeof(*e))
		BAD("header size %u, entry size %u", head->size, head->entry_size);
	if (!head->count || head->entries_len != (uint64_t)head->count * sizeof(*e))
		BAD("count %u, entries %" PRIu64 " bytes", head->count, (uint64_t)head->entries_len);
	if (head->flags & ~MQ_BATCH_FILTERED)
		BAD("header flags %#x", head->flags);
	attrs_left = head->attrs_len;
	payload_left = head->payload_len;
	if (head->size + head->entries_len + (attrs_left + 7) / 8 * 8 + payload_left != len)
		BAD("parts of %" PRIu64 ", %" PRIu64 ", %" PRIu64 " bytes in a batch of %zu",
		    (uint64_t)head->entries_len, attrs_left, payload_left, len);
	if (head->count > max)
		BAD("%u messages, room for %u", head->count, max);
	e = (const void *)((const uint8_t *)buf + head->size);
	attrs = (const uint8_t *)(e + head->count);
	payload = attrs + (attrs_left + 7) / 8 * 8;
	for (const uint8_t *pad = attrs + attrs_left; pad < payload; pad++) {
		if (*pad)
			BAD("padding behind the attributes is not zero");
	}
	for (unsigned int i = 0; i < head->count; i++, e++) {
		if (e->attr_len > attrs_left || e->len > payload_left || e->attr_len % 4)
			BAD("message %u: %u and %u bytes, beyond the batch", i, e->attr_len, e->len);
		if (crc32c(crc32c(0, payload, e->len), attrs, e->attr_len) != e->crc)
			BAD("message %u (offset %" PRIu64 ", %u bytes): wrong CRC", i,
			    (uint64_t)e->offset, e->len);
		if (i && (head->flags & MQ_BATCH_FILTERED) && e->offset > e[-1].offset + 1) {
			if (e->position < e[-1].position + e[-1].len ||
			    e->attr_position < e[-1].attr_position + e[-1].attr_len)
				BAD("message %u overlaps the one before", i);
		} else if (i && (e->offset != e[-1].offset + 1 ||
				 e->position != e[-1].position + e[-1].len ||
				 e->attr_position != e[-1].attr_position + e[-1].attr_len)) {
			BAD("message %u does not follow the one before", i);
		}
		if (i && e->timestamp < e[-1].timestamp && !(e->flags & MQ_ENTRY_CLOCK_BACK))
			BAD("message %u is older than the one before", i);
		recs[i] = (struct rec) { e, attrs, payload };
		attrs += e->attr_len;
		attrs_left -= e->attr_len;
		payload += e->len;
		payload_left -= e->len;
	}
	if (attrs_left || payload_left)
		BAD("bytes are left behind the last message");
	return head->count;
}

static const struct nlattr *next_attr(const uint8_t *p, size_t len, size_t *at)
{
	const struct nlattr *nla = (const void *)(p + *at);

	if (len - *at < NLA_HDRLEN || nla->nla_len < NLA_HDRLEN || nla->nla_len > len - *at)
		return NULL;
	*at += NLA_ALIGN(nla->nla_len);
	if (*at > len)
		*at = len;
	return nla;
}

static const void *find_attr(const uint8_t *p, size_t size, unsigned int type, unsigned int nth,
			     size_t *len)
{
	const struct nlattr *nla;
	size_t at = 0;

	while ((nla = next_attr(p, size, &at))) {
		if ((nla->nla_type & NLA_TYPE_MASK) != type || nth--)
			continue;
		*len = nla->nla_len - NLA_HDRLEN;
		return nla + 1;
	}
	*len = 0;
	return NULL;
}

const void *rec_attr(const struct rec *r, unsigned int type, unsigned int nth, size_t *len)
{
	return find_attr(r->attrs, r->e->attr_len, type, nth, len);
}

const void *rec_header(const struct rec *r, const char *name, size_t *len)
{
	const void *nest, *found;
	size_t size;

	for (unsigned int n = 0; (nest = rec_attr(r, MQ_ATTR_HEADER, n, &size)); n++) {
		found = find_attr(nest, size, MQ_HEADER_NAME, 0, len);
		if (found && *len == strlen(name) && !memcmp(found, name, *len))
			return find_attr(nest, size, MQ_HEADER_VALUE, 0, len);
	}
	*len = 0;
	return NULL;
}

/* Each byte depends on the seed and on its place: a shift or a mix shows. */
static uint64_t pattern_word(uint64_t seed, uint64_t n)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + n * 0xbf58476d1ce4e5b9 + 1;

	x ^= x >> 29;
	x *= 0x94d049bb133111eb;
	return x ^ x >> 32;
}

void pattern_fill(void *buf, size_t len, uint64_t seed)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = pattern_word(seed, i / 8);

		memcpy(p + i, &word, len - i < 8 ? len - i : 8);
	}
}

bool pattern_ok(const void *buf, size_t len, uint64_t seed)
{
	const uint8_t *p = buf;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = pattern_word(seed, i / 8);

		if (memcmp(p + i, &word, len - i < 8 ? len - i : 8))
			return false;
	}
	return true;
}

void put_empties(const char *topic, unsigned int n)
{
	int fd = topic_open(topic, "+format=record", O_WRONLY);
	struct batch *b = batch_new();

	for (batch_add(b, "", 0); n; n--)
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	batch_free(b);
	close(fd);
}
