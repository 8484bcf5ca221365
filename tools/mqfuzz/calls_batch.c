// SPDX-License-Identifier: GPL-2.0
/* Batches of records, made (and spoilt) for writing, checked after reading. */
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <string.h>
#include <unistd.h>

#include <mq/mq.h>

#include "fuzz.h"

#define ALIGN(n, to)	(((n) + (to) - 1) / (to) * (to))

/* --- made --------------------------------------------------------------------- */

struct attrs {
	uint8_t *at;
	size_t len, room;
};

static void *add(struct attrs *a, unsigned int type, const void *data, size_t len)
{
	struct nlattr *nla = (void *)(a->at + a->len);
	size_t all = ALIGN(sizeof(*nla) + len, 4);

	if (a->len + all > a->room)
		return NULL;
	memset(nla, 0, all);
	nla->nla_type = type;
	nla->nla_len = sizeof(*nla) + len;
	memcpy(nla + 1, data, len);
	a->len += all;
	return nla;
}

static void add_header(struct attrs *a, size_t value_len)
{
	size_t start = a->len;
	struct nlattr *nest = add(a, MQ_ATTR_HEADER | NLA_F_NESTED, "", 0);

	add(a, MQ_HEADER_NAME, "name", 4);
	add(a, MQ_HEADER_VALUE, data_out(DATA_PLAIN, 0, value_len), value_len);
	if (nest)
		nest->nla_len = a->len - start;
}

/* Each bit of a record's key is an attribute, or something wrong with one. */
static void add_attrs(struct attrs *a, uint32_t bits, uint64_t value)
{
	static const uint8_t zeros[300];
	uint64_t one = 1;

	if (bits & 1)
		add(a, MQ_ATTR_KEY, &value, bits & 256 ? 0 : 1 + value % 8);
	if (bits & 2)
		add_header(a, value % 40);
	if (bits & 4)
		add(a, MQ_ATTR_TAG, "tag", bits & 256 ? 0 : 3);
	if (bits & 8) {
		add(a, MQ_ATTR_PRODUCER_ID, &one, 8);
		add(a, MQ_ATTR_SEQUENCE, &value, 8);
	}
	if (bits & 16)
		add(a, MQ_ATTR_TTL, &one, bits & 256 ? 4 : 8);
	if (bits & 32)
		add(a, MQ_ATTR_SCHEMA_ID, &one, 4);
	if (bits & 64)
		add(a, MQ_ATTR_DELIVER_AT, &value, 8);
	if (bits & 128)
		add(a, MQ_ATTR_CONTENT_TYPE, "text/plain", 10);
	if (bits & 512)
		add(a, MQ_ATTR_WRITER_UID, &one, 4);
	if (bits & 1024)
		add(a, value % 100, zeros, value % 300);
	if (bits & 2048)
		add(a, MQ_ATTR_KEY, data_out(DATA_PLAIN, 0, 5000), value % 5000);
	if (bits & 4096 && a->len >= 4)
		a->at[a->len & ~3U & (value % a->len)] ^= 1u << value % 8;
	if (bits & 8192)
		add(a, MQ_ATTR_SEQUENCE, &value, 8);
}

static void mangle(struct mq_batch *head, size_t *len, uint64_t where, uint64_t op)
{
	uint32_t *word = (uint32_t *)head + (where - 1) % (*len / 4);

	switch (op % 6) {
	case 0:
		++*word;
		break;
	case 1:
		--*word;
		break;
	case 2:
		*word = 0;
		break;
	case 3:
		*word = ~0u;
		break;
	case 4:
		*word ^= 1u << where % 32;
		break;
	case 5:
		*len -= *len > where ? where : *len;
		break;
	}
}

long do_batch(struct thread *t, const struct call *c)
{
	static __thread uint64_t room[1 << 15], attr_room[1 << 11];
	struct mq_record recs[PAIRS_MAX] = { 0 };
	struct mq_batch head = {
		.size = sizeof(head), .entry_size = sizeof(struct mq_record),
		.partition = c->arg[1], .count = c->pairs_n,
	};
	struct attrs a = { (uint8_t *)attr_room, 0, sizeof(attr_room) };
	uint8_t *buf = (uint8_t *)room;
	struct slot s;
	size_t at;

	(void)t;
	for (unsigned int i = 0; i < c->pairs_n; i++) {
		size_t before = a.len;

		add_attrs(&a, c->pairs[i].key, c->pairs[i].value);
		recs[i].attr_len = a.len - before;
		recs[i].len = c->pairs[i].value % 65537;
		if (head.payload_len + recs[i].len > 150000)
			recs[i].len = 1;
		head.payload_len += recs[i].len;
		if (c->pairs[i].key & 1 << 14)
			recs[i].flags = 1;
	}
	head.attrs_len = a.len;
	head.entries_len = c->pairs_n * sizeof(recs[0]);
	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), recs, head.entries_len);
	at = sizeof(head) + head.entries_len;
	memcpy(buf + at, a.at, a.len);
	memset(buf + at + a.len, 0, 8);
	at += ALIGN(a.len, 8);
	for (unsigned int i = 0; i < c->pairs_n; i++) {
		memcpy(buf + at, data_out(DATA_PLAIN, c->arg[4], recs[i].len), recs[i].len);
		at += recs[i].len;
	}
	if (c->arg[2])
		mangle((struct mq_batch *)buf, &at, c->arg[2], c->arg[3]);
	s = slot_get(c->arg[0]);
	/* To another file it is a message. */
	if (s.form != FORM_RECORD || !formats_fixed)
		tainted = true;
	return write(s.fd, buf, at);
}

/* --- checked --------------------------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
	static uint32_t table[256];
	static _Atomic bool made;

	for (uint32_t i = 0; !made && i < 256; i++) {
		uint32_t v = i;

		for (int k = 0; k < 8; k++)
			v = v & 1 ? v >> 1 ^ 0x82f63b78 : v >> 1;
		table[i] = v;
	}
	made = true;
	for (; len; len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 255];
	return crc;
}

/* NULL, or what is wrong with it. */
static const char *wrong(const uint8_t *buf, size_t len)
{
	const struct mq_batch *head = (const void *)buf;
	const struct mq_entry *e;
	const uint8_t *attrs, *payload, *end = buf + len;

	if (len < sizeof(*head) || head->size != sizeof(*head) || head->entry_size != sizeof(*e))
		return "its header";
	if (!head->count || head->entries_len != head->count * sizeof(*e) ||
	    head->flags & ~MQ_BATCH_FILTERED)
		return "its count";
	if (sizeof(*head) + head->entries_len + ALIGN(head->attrs_len, 8) + head->payload_len != len)
		return "its length";
	e = (const void *)(buf + sizeof(*head));
	attrs = buf + sizeof(*head) + head->entries_len;
	payload = attrs + ALIGN(head->attrs_len, 8);
	for (uint32_t i = 0; i < head->count; i++) {
		uint32_t crc;

		if (e[i].len > (size_t)(end - payload) || e[i].attr_len > (size_t)(end - attrs) ||
		    e[i].attr_len % 4)
			return "a length";
		if (i && !(head->flags & MQ_BATCH_FILTERED) &&
		    (e[i].offset != e[i - 1].offset + 1 ||
		     e[i].position != e[i - 1].position + e[i - 1].len))
			return "a gap";
		crc = crc32c(~0u, payload, e[i].len);
		if (~crc32c(crc, attrs, e[i].attr_len) != e[i].crc)
			return "a checksum";
		payload += e[i].len;
		attrs += e[i].attr_len;
	}
	return payload == end ? NULL : "the lengths of payloads";
}

void check_batch(const uint8_t *buf, size_t len)
{
	const struct mq_batch *head = (const void *)buf;
	const char *why = wrong(buf, len);

	if (why)
		finding("batch of %zu bytes, %u records: %s is wrong", len,
			len >= sizeof(*head) ? head->count : 0, why);
}
