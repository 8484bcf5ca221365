// SPDX-License-Identifier: GPL-2.0
/* Malformed batches (faults.md A.7): EINVAL, and nothing appended. */
#define _GNU_SOURCE
#include <linux/netlink.h>

#include "mqtest.h"

static struct {
	const char *topic;
	int fd;
} at;

static void setup(void)
{
	at.topic = topic_new(.partitions = 2);
	at.fd = topic_open(at.topic, "+format=record", O_WRONLY | O_NONBLOCK);
}

static void expect_nothing(void)
{
	expect_eq(topic_counters(at.topic).messages_in, 0);
}

/* Three messages, of which the second has attributes. */
static struct batch *good(void)
{
	struct batch *b = batch_new();

	batch_add(b, "first", 5);
	batch_add(b, "second", 6);
	batch_attr(b, MQ_ATTR_KEY, "key", 3);
	batch_header(b, "name", "value", 5);
	batch_add(b, "third", 5);
	return b;
}

static void refused(const char *what, const void *flat, size_t len)
{
	ssize_t ret = write(at.fd, flat, len);

	/* E2BIG: larger than what is known, and not zero there. */
	if (ret != -1 || (errno != EINVAL && !(errno == E2BIG && strstr(what, "_size = "))))
		fail("%s: %zd (%s), expected EINVAL", what, ret, ret < 0 ? mqt_errno(errno) : "ok");
}

#define SPOIL(change)								\
	do {									\
		struct batch *b_ = good();					\
		size_t len;							\
		struct mq_batch *head = batch_build(b_, MQ_PARTITION_ANY, &len);\
		struct mq_record *rec = (void *)(head + 1);			\
		(void)rec;							\
		change;								\
		refused(#change, head, len);					\
		batch_free(b_);							\
	} while (0)

TEST(bad_control, "the batch that the others spoil is good")
{
	struct batch *b;
	size_t len;

	setup();
	b = good();
	batch_build(b, MQ_PARTITION_ANY, &len);
	expect_ret(batch_write(b, at.fd, MQ_PARTITION_ANY), len);
	expect_eq(topic_counters(at.topic).messages_in, 3);
}

TEST(bad_header, "A.7: each field of the header: truncated, zero, too large, unknown bits")
{
	setup();
	SPOIL(head->size = 0);
	SPOIL(head->size = sizeof(*head) - 1);
	SPOIL(head->size = sizeof(*head) - 8);
	SPOIL(head->size = UINT32_MAX);
	SPOIL(head->size = 1 << 20);
	SPOIL(head->entry_size = 0);
	SPOIL(head->entry_size = 64);
	SPOIL(head->entry_size = 15);
	SPOIL(head->entry_size = 17);
	SPOIL(head->entry_size = UINT32_MAX);
	SPOIL(head->count = 0);
	SPOIL(head->count = 2);
	SPOIL(head->count = 4);
	SPOIL(head->count = UINT32_MAX);
	SPOIL(head->count = 0x10000001);
	SPOIL(head->epoch = 1);
	SPOIL(head->flags = 1);
	SPOIL(head->flags = 1U << 31);
	SPOIL(head->partition = 2);
	SPOIL(head->partition = UINT32_MAX - 1);
	SPOIL(head->entries_len = 0);
	SPOIL(head->entries_len -= 16);
	SPOIL(head->entries_len += 16);
	SPOIL(head->entries_len += 1ULL << 32);
	SPOIL(head->entries_len = UINT64_MAX);
	SPOIL(head->attrs_len -= 4);
	SPOIL(head->attrs_len += 4);
	SPOIL(head->attrs_len = UINT64_MAX);
	SPOIL(head->attrs_len = UINT64_MAX - 6);
	SPOIL(head->attrs_len = 0);
	SPOIL(head->payload_len -= 1);
	SPOIL(head->payload_len += 1);
	SPOIL(head->payload_len = UINT64_MAX);
	SPOIL(head->payload_len = -(uint64_t)len);
	SPOIL(head->payload_len = 0);
	expect_nothing();
}

TEST(bad_length, "A.7: every truncation of a batch, and bytes behind it")
{
	struct batch *b;
	char *flat, *longer;
	size_t len;

	setup();
	b = good();
	flat = batch_build(b, MQ_PARTITION_ANY, &len);
	for (size_t n = 1; n < len; n++)
		refused("truncated", flat, n);
	longer = calloc(1, len + 64);
	memcpy(longer, flat, len);
	for (size_t n = 1; n <= 64; n++)
		refused("with bytes behind it", longer, len + n);
	expect_ret(write(at.fd, flat, 0), 0);
	expect_nothing();
}

TEST(bad_record, "A.7: each field of a descriptor")
{
	setup();
	SPOIL(rec[0].len++);
	SPOIL(rec[0].len--);
	SPOIL(rec[2].len = UINT32_MAX);
	SPOIL(rec[1].len = UINT32_MAX; rec[0].len = 12);
	SPOIL(rec[0].len += 16; rec[2].len -= 16);
	SPOIL(rec[0].attr_len = 4);
	SPOIL(rec[1].attr_len -= 4);
	SPOIL(rec[1].attr_len += 4);
	SPOIL(rec[1].attr_len = UINT32_MAX);
	SPOIL(rec[1].attr_len = UINT32_MAX - 3);
	SPOIL(rec[1].attr_len--);
	SPOIL(rec[0].flags = 1);
	SPOIL(rec[2].flags = 1U << 31);
	SPOIL(rec[0].flags = MQ_ENTRY_KEY);
	SPOIL(rec[1].reserved = 1);
	SPOIL(rec[2].reserved = 1U << 31);
	expect_nothing();
}

TEST(bad_padding, "A.7: padding behind the attributes must be zero")
{
	struct batch *b = batch_new();
	struct mq_batch *head;
	char *pad;
	size_t len;

	setup();
	batch_add(b, "x", 1);
	batch_attr(b, MQ_ATTR_TAG, "12345", 5);	/* 12 bytes, 4 of padding */
	head = batch_build(b, MQ_PARTITION_ANY, &len);
	pad = (char *)(head + 1) + sizeof(struct mq_record) + 12;
	for (int i = 0; i < 4; i++) {
		pad[i] = 1;
		refused("padding", head, len);
		pad[i] = 0;
	}
	expect_nothing();
	expect_ret(write(at.fd, head, len), len);
}

TEST(bad_grown_header, "A.7: a larger header is right while what the kernel does not know is zero")
{
	struct batch *b = batch_new();
	struct mq_batch *head;
	char *longer;
	size_t len;

	setup();
	batch_add(b, "x", 1);
	head = batch_build(b, MQ_PARTITION_ANY, &len);
	longer = calloc(1, len + 8);
	memcpy(longer, head, sizeof(*head));
	memcpy(longer + sizeof(*head) + 8, head + 1, len - sizeof(*head));
	((struct mq_batch *)longer)->size = sizeof(*head) + 8;
	longer[sizeof(*head) + 3] = 1;
	expect_err(write(at.fd, longer, len + 8), E2BIG);
	expect_nothing();
	longer[sizeof(*head) + 3] = 0;
	expect_ret(write(at.fd, longer, len + 8), len + 8);
}

/* One message with these attribute bytes. */
static void attrs_refused(const char *what, const void *attrs, size_t len)
{
	struct batch *b = batch_new();
	size_t total;
	void *flat;

	batch_add(b, "x", 1);
	batch_attr_raw(b, attrs, len);
	flat = batch_build(b, MQ_PARTITION_ANY, &total);
	refused(what, flat, total);
	batch_free(b);
}

static void attr_refused(const char *what, unsigned int type, const void *data, size_t len)
{
	struct batch *b = batch_new();
	size_t total;
	void *flat;

	batch_add(b, "x", 1);
	batch_attr(b, type, data, len);
	flat = batch_build(b, MQ_PARTITION_ANY, &total);
	refused(what, flat, total);
	batch_free(b);
}

TEST(bad_nla, "A.7: attributes that lie about their size, of unknown types, with flags, with padding set")
{
	struct nlattr a[4];
	char one[8] = { 5, 0, MQ_ATTR_TAG, 0, 't', 1, 0, 0 };

	setup();
	memset(a, 0, sizeof(a));
	attrs_refused("all zero", a, 4);
	attrs_refused("all zero", a, 16);
	a[0] = (struct nlattr) { 3, MQ_ATTR_TAG };
	attrs_refused("length 3", a, 8);
	a[0] = (struct nlattr) { 0, MQ_ATTR_TAG };
	attrs_refused("length 0", a, 8);
	a[0] = (struct nlattr) { 9, MQ_ATTR_TAG };
	attrs_refused("longer than its message", a, 8);
	a[0] = (struct nlattr) { 0xffff, MQ_ATTR_TAG };
	attrs_refused("64 KiB", a, 8);
	a[0] = (struct nlattr) { 8, MQ_ATTR_UNSPEC };
	attrs_refused("type 0", a, 8);
	a[0] = (struct nlattr) { 8, MQ_ATTR_MAX + 1 };
	attrs_refused("unknown type", a, 8);
	a[0] = (struct nlattr) { 8, 0x3fff };
	attrs_refused("largest type", a, 8);
	a[0] = (struct nlattr) { 8, MQ_ATTR_TAG | NLA_F_NET_BYTEORDER };
	attrs_refused("byte order flag", a, 8);
	a[0] = (struct nlattr) { 8, MQ_ATTR_TAG | NLA_F_NESTED };
	attrs_refused("nested flag on bytes", a, 8);
	attrs_refused("padding set", one, 8);
	a[0] = (struct nlattr) { 8, MQ_ATTR_TAG };
	a[2] = (struct nlattr) { 3, MQ_ATTR_CONTENT_TYPE };
	attrs_refused("bad second", a, 12);
	attrs_refused("a stump", a, 4 + 8);
	expect_nothing();
}

TEST(bad_values, "A.7: values too short, too long, twice, alone")
{
	static char big[65532];
	struct batch *b;
	uint64_t zero = 0, one = 1;
	static const unsigned int small[] = { MQ_ATTR_TAG, MQ_ATTR_REPLY_TO, MQ_ATTR_CORRELATION_ID,
					      MQ_ATTR_CONTENT_TYPE };
	static const unsigned int words[] = { MQ_ATTR_SCHEMA_ID, MQ_ATTR_PRODUCER_EPOCH };
	static const unsigned int longs[] = { MQ_ATTR_DELIVER_AT, MQ_ATTR_TTL, MQ_ATTR_PRODUCER_ID,
					      MQ_ATTR_SEQUENCE };

	setup();
	memset(big, 'b', sizeof(big));
	attr_refused("empty key", MQ_ATTR_KEY, "", 0);
	attr_refused("key of 4,097", MQ_ATTR_KEY, big, 4097);
	for (int i = 0; i < 4; i++) {
		attr_refused("empty", small[i], "", 0);
		attr_refused("256 bytes", small[i], big, 256);
		attr_refused("u64 of 7", longs[i], &one, 7);
		attr_refused("u64 of 4", longs[i], &one, 4);
		attr_refused("u64 of 9", longs[i], big, 9);
	}
	for (int i = 0; i < 2; i++) {
		attr_refused("u32 of 3", words[i], &one, 3);
		attr_refused("u32 of 8", words[i], &one, 8);
	}
	attr_refused("ttl 0", MQ_ATTR_TTL, &zero, 8);
	attr_refused("sequence without producer", MQ_ATTR_SEQUENCE, &one, 8);
	attr_refused("64 KiB tag", MQ_ATTR_TAG, big, 65500);
	for (unsigned int type = MQ_ATTR_KEY; type <= MQ_ATTR_TAG; type += 2) {
		size_t len;
		void *flat;

		b = batch_new();
		batch_add(b, "x", 1);
		batch_attr(b, type, "a", 1);
		batch_attr(b, type, "a", 1);
		flat = batch_build(b, MQ_PARTITION_ANY, &len);
		refused("twice", flat, len);
		batch_free(b);
	}
	expect_nothing();
}

static size_t nest(char *out, unsigned int type, const void *data, size_t len)
{
	struct nlattr nla = { NLA_HDRLEN + len, type };
	size_t padded = NLA_ALIGN(nla.nla_len);
	char tmp[8192];

	memcpy(tmp, data, len);
	memset(out, 0, padded);
	memcpy(out, &nla, sizeof(nla));
	memcpy(out + sizeof(nla), tmp, len);
	return padded;
}

TEST(bad_headers, "A.7: headers: no name, two names, unknown inside, not nested, nested 100 deep")
{
	static char out[8192], in[8192];
	size_t len;

	setup();
	attr_refused("empty header", MQ_ATTR_HEADER | NLA_F_NESTED, "", 0);
	len = nest(in, MQ_HEADER_VALUE, "v", 1);
	attr_refused("no name", MQ_ATTR_HEADER | NLA_F_NESTED, in, len);
	len = nest(in, MQ_HEADER_NAME, "", 0);
	attr_refused("empty name", MQ_ATTR_HEADER | NLA_F_NESTED, in, len);
	memset(out, 'n', 256);
	len = nest(in, MQ_HEADER_NAME, out, 256);
	attr_refused("name of 256", MQ_ATTR_HEADER | NLA_F_NESTED, in, len);
	len = nest(in, MQ_HEADER_NAME, "n", 1);
	len += nest(in + len, MQ_HEADER_NAME, "n", 1);
	attr_refused("two names", MQ_ATTR_HEADER | NLA_F_NESTED, in, len);
	len = nest(in, MQ_HEADER_NAME, "n", 1);
	len += nest(in + len, 3, "n", 1);
	attr_refused("unknown inside", MQ_ATTR_HEADER | NLA_F_NESTED, in, len);
	len = nest(in, MQ_HEADER_NAME, "n", 1);
	in[0] = 30;
	attr_refused("inner beyond outer", MQ_ATTR_HEADER | NLA_F_NESTED, in, len);
	len = nest(in, MQ_HEADER_NAME, "n", 1);
	for (int depth = 0; depth < 100; depth++)
		len = nest(in, MQ_ATTR_HEADER | NLA_F_NESTED, in, len);
	attrs_refused("100 deep", in, len);
	expect_nothing();
}

TEST(bad_all_or_none, "A.7: a bad message anywhere in a large batch: nothing of it is appended")
{
	static const unsigned int where[] = { 0, 1, 499, 998, 999 };
	struct mq_record *rec;
	struct batch *b = batch_new();
	struct mq_batch *head;
	size_t len;

	setup();
	for (int i = 0; i < 1000; i++) {
		batch_add(b, "payload", 7);
		batch_attr_u32(b, MQ_ATTR_SCHEMA_ID, i);
	}
	for (int i = 0; i < 5; i++) {
		head = batch_build(b, MQ_PARTITION_ANY, &len);
		rec = (void *)(head + 1);
		rec[where[i]].reserved = 1;
		refused("descriptor", head, len);
		head = batch_build(b, MQ_PARTITION_ANY, &len);
		rec = (void *)(head + 1);
		((struct nlattr *)(rec + 1000))[2 * where[i]].nla_len = 7;
		refused("attribute", head, len);
	}
	expect_nothing();
}

TEST(bad_pointer, "A.2: a bad pointer in any part of a batch: EFAULT, and not one byte is visible")
{
	struct batch *b;
	size_t len;
	char *flat;

	setup();
	b = good();
	flat = batch_build(b, MQ_PARTITION_ANY, &len);
	for (size_t cut = 0; cut < len; cut++) {
		struct iovec iov[3] = { { flat, cut }, { bad_ptr, 1 },
					{ flat + cut + 1, len - cut - 1 } };

		if (!expect_err(writev(at.fd, iov, 3), EFAULT))
			note("byte %zu of %zu", cut, len);
	}
	expect_nothing();
	expect_ret(write(at.fd, flat, len), len);
	expect_eq(topic_counters(at.topic).messages_in, 3);
}

TEST_LIMIT(bad_random, "A.7: bits flipped at random: taken whole or refused whole, never damage", 120)
{
	struct topic_stats before, after;
	struct batch *b;
	unsigned int taken = 0;
	uint32_t seed = 12345;
	char *flat;
	size_t len;

	setup();
	b = good();
	for (int i = 0; i < 20000; i++) {
		ssize_t ret;

		flat = batch_build(b, MQ_PARTITION_ANY, &len);
		for (int k = 0; k <= i % 3; k++) {
			seed = seed * 1664525 + 1013904223;
			flat[(seed >> 8) % len] ^= 1 << (seed >> 4) % 8;
		}
		if (!(i % 1000))
			before = topic_counters(at.topic);
		ret = write(at.fd, flat, len);
		taken += ret > 0;
		if (ret >= 0 ? ret != (ssize_t)len : errno != EINVAL && errno != EMSGSIZE &&
		    errno != ESTALE && errno != E2BIG)
			fail("round %d: %zd, %s", i, ret, mqt_errno(errno));
		if (i % 1000 == 999) {
			after = topic_counters(at.topic);
			expect((after.messages_in - before.messages_in) % 3 == 0);
		}
	}
	after = topic_counters(at.topic);
	expect_eq(after.messages_in, 3 * taken);
	note("%u of 20000 were still right", taken);
}
