// SPDX-License-Identifier: GPL-2.0
/* The parts of mqctl that need no kernel: parsing, batches, checksums, text. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every test is linked with mqtest*.c, which has some of these names, too. */
#define now_ns		mqctl_now_ns
#define crc32c		mqctl_crc32c
#define batch_add	mqctl_batch_add
#define batch_reset	mqctl_batch_reset
#define batch_free	mqctl_batch_free

#include "../tools/mqctl/crc32c.c"
#include "../tools/mqctl/murmur2.c"
#include "../tools/mqctl/parse.c"
#include "../tools/mqctl/ranges.c"
#include "../tools/mqctl/record.c"

/* RFC 3720, appendix B.4, and the check value of the CRC catalogues. */
static void crc32c_vectors(void **state)
{
	static const unsigned char iscsi_read[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
		0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	unsigned char buf[32];

	(void)state;
	memset(buf, 0, sizeof(buf));
	assert_int_equal(crc32c(0, buf, sizeof(buf)), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(crc32c(0, buf, sizeof(buf)), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		buf[i] = i;
	assert_int_equal(crc32c(0, buf, sizeof(buf)), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		buf[i] = 31 - i;
	assert_int_equal(crc32c(0, buf, sizeof(buf)), 0x113fdb5c);
	assert_int_equal(crc32c(0, iscsi_read, sizeof(iscsi_read)), 0xd9963a56);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

/* Bit by bit, straight from the definition. */
static uint32_t crc32c_slow(const unsigned char *p, size_t len)
{
	uint32_t crc = ~0U;

	for (; len; len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void crc32c_pieces(void **state)
{
	unsigned char buf[100];

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = i * 37 + 11;
	for (size_t from = 0; from < 9; from++) {
		for (size_t len = 0; len <= sizeof(buf) - from; len++) {
			uint32_t whole = crc32c_slow(buf + from, len);

			assert_int_equal(crc32c(0, buf + from, len), whole);
			for (size_t cut = 0; cut <= len; cut += 7)
				assert_int_equal(crc32c(crc32c(0, buf + from, cut),
							buf + from + cut, len - cut), whole);
		}
	}
}

/* Those of Kafka's UtilsTest.testMurmur2. */
static void murmur2_kafka(void **state)
{
	static const struct {
		const char *key;
		int32_t hash;
	} cases[] = {
		{ "21", -973932308 },
		{ "foobar", -790332482 },
		{ "a-little-bit-long-string", -985981536 },
		{ "a-little-bit-longer-string", -1486304829 },
		{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 },
		{ "abc", 479470107 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal((int32_t)murmur2(cases[i].key, strlen(cases[i].key)),
				 cases[i].hash);
}

static void sizes(void **state)
{
	static const char *const bad[] = {
		"", "x", "K", "-1", "+1", " 1", "1 ", "1k", "1KB", "1.5M", "0x10", "1T",
		"18446744073709551616", "17179869184G", "18014398509481984K",
	};
	uint64_t v;
	char buf[TEXT_MAX];

	(void)state;
	assert_null(parse_size("0", &v));
	assert_int_equal(v, 0);
	assert_null(parse_size("4096", &v));
	assert_int_equal(v, 4096);
	assert_null(parse_size("3K", &v));
	assert_int_equal(v, 3072);
	assert_null(parse_size("16M", &v));
	assert_int_equal(v, 16 << 20);
	assert_null(parse_size("17179869183G", &v));
	assert_true(v == 17179869183ULL << 30);
	assert_null(parse_size("18446744073709551615", &v));
	assert_true(v == UINT64_MAX);
	v = 42;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!parse_size(bad[i], &v))
			fail_msg("size \"%s\" was taken", bad[i]);
	}
	assert_int_equal(v, 42);

	assert_string_equal(format_size(0, buf), "0");
	assert_string_equal(format_size(1000, buf), "1000");
	assert_string_equal(format_size(4 << 20, buf), "4M");
	assert_string_equal(format_size(3ULL << 30, buf), "3G");
	assert_string_equal(format_size(1536, buf), "1536");
	assert_string_equal(format_size(5ULL << 40, buf), "5120G");
}

static void durations(void **state)
{
	static const char *const bad[] = {
		"", "5", "ms", "-1s", "1d", "1 s", "1.5s", "1S", "1h30m", "5124095577h",
	};
	uint64_t v = 42;
	char buf[TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!parse_duration(bad[i], &v))
			fail_msg("duration \"%s\" was taken", bad[i]);
	}
	assert_int_equal(v, 42);
	assert_null(parse_duration("0", &v));
	assert_int_equal(v, 0);
	assert_null(parse_duration("250ms", &v));
	assert_int_equal(v, 250000000);
	assert_null(parse_duration("2s", &v));
	assert_int_equal(v, 2000000000);
	assert_null(parse_duration("3m", &v));
	assert_true(v == 180 * NSEC_PER_SEC);
	assert_null(parse_duration("5h", &v));
	assert_true(v == 18000 * NSEC_PER_SEC);
	assert_null(parse_duration("5124095h", &v));
	assert_true(v == 5124095ULL * 3600 * NSEC_PER_SEC);

	assert_string_equal(format_msec(0, buf), "0");
	assert_string_equal(format_msec(1500, buf), "1500ms");
	assert_string_equal(format_msec(90000, buf), "90s");
	assert_string_equal(format_msec(120000, buf), "2m");
	assert_string_equal(format_msec(7200000, buf), "2h");
}

static void numbers(void **state)
{
	uint32_t v32 = 42, mode = 42;
	uint64_t v64 = 42;
	unsigned char id[16];

	(void)state;
	assert_null(parse_u64("18446744073709551615", &v64));
	assert_true(v64 == UINT64_MAX);
	assert_non_null(parse_u64("18446744073709551616", &v64));
	assert_non_null(parse_u64("1x", &v64));
	assert_non_null(parse_u64("", &v64));
	assert_null(parse_u32("4294967295", &v32));
	assert_true(v32 == UINT32_MAX);
	assert_non_null(parse_u32("4294967296", &v32));

	assert_null(parse_mode("0660", &mode));
	assert_int_equal(mode, 0660);
	assert_null(parse_mode("777", &mode));
	assert_int_equal(mode, 0777);
	assert_non_null(parse_mode("1777", &mode));
	assert_non_null(parse_mode("0668", &mode));
	assert_non_null(parse_mode("u+r", &mode));

	assert_null(parse_uid("root", &v32));
	assert_int_equal(v32, 0);
	assert_null(parse_gid("65534", &v32));
	assert_int_equal(v32, 65534);
	assert_non_null(parse_uid("no such user", &v32));

	assert_null(parse_hex("000102030405060708090a0b0c0d0eFf", id, sizeof(id)));
	assert_int_equal(id[10], 10);
	assert_int_equal(id[15], 0xff);
	assert_non_null(parse_hex("000102030405060708090a0b0c0d0e", id, sizeof(id)));
	assert_non_null(parse_hex("000102030405060708090a0b0c0d0eFg", id, sizeof(id)));
}

static void times(void **state)
{
	const int64_t now = 1700000000 * (int64_t)NSEC_PER_SEC;
	int64_t t = 42;
	char buf[TEXT_MAX];

	(void)state;
	assert_null(parse_time("20231114T221320Z", 0, false, &t));
	assert_true(t == now);
	assert_null(parse_time("2023-11-14T22:13:20Z", 0, false, &t));
	assert_true(t == now);
	assert_null(parse_time("2023-11-14T22:13:20.25Z", 0, false, &t));
	assert_true(t == now + 250000000);
	assert_null(parse_time("2023-11-14T22:13:20.123456789Z", 0, false, &t));
	assert_true(t == now + 123456789);
	assert_string_equal(format_time(t, buf), "2023-11-14T22:13:20.123456789Z");
	assert_null(parse_time("1h", now, false, &t));
	assert_true(t == now - 3600 * (int64_t)NSEC_PER_SEC);
	assert_null(parse_time("1h", now, true, &t));
	assert_true(t == now + 3600 * (int64_t)NSEC_PER_SEC);
	assert_null(parse_time("5000000h", now, false, &t));
	assert_true(t == 0);
	assert_non_null(parse_time("5000000h", now, true, &t));
	assert_non_null(parse_time("20231114T221320", 0, false, &t));
	assert_non_null(parse_time("2023-11-14", 0, false, &t));
	assert_non_null(parse_time("20231314T221320Z", 0, false, &t));
	assert_non_null(parse_time("yesterday", 0, false, &t));
	assert_string_equal(format_time(-1, buf), "1969-12-31T23:59:59.999999999Z");
}

static void topics(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", "a/b", "../etc", "a+b", "a b", "@1", "a@", "a@x", "a@-1", "a@1@2",
		"a@4294967296", "\xc3\xa4", "a:b",
	};
	struct topic_ref ref;
	char name[140];

	(void)state;
	assert_null(parse_topic("orders", &ref));
	assert_string_equal(ref.name, "orders");
	assert_int_equal(ref.partition, -1);
	assert_null(parse_topic("a.b-C_9@17", &ref));
	assert_string_equal(ref.name, "a.b-C_9");
	assert_int_equal(ref.partition, 17);
	memset(name, 'n', sizeof(name));
	name[128] = '\0';
	assert_null(parse_topic(name, &ref));
	name[128] = 'n';
	name[129] = '\0';
	assert_non_null(parse_topic(name, &ref));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!parse_topic(bad[i], &ref))
			fail_msg("topic \"%s\" was taken", bad[i]);
	}
}

/* A batch as the kernel would return it: two messages, one with attributes. */
static size_t build_read_batch(unsigned char *buf)
{
	struct mq_entry e[2] = {
		{ .offset = 7, .position = 100, .len = 5 },
		{ .offset = 8, .position = 105, .len = 3, .flags = MQ_ENTRY_KEY },
	};
	struct buffer attrs = { 0 };
	uint64_t sequence = 99;
	struct mq_batch head = {
		.size = sizeof(head),
		.entry_size = sizeof(e[0]),
		.count = 2,
		.partition = 3,
		.entries_len = sizeof(e),
		.payload_len = 8,
	};
	size_t at = 0;

	assert_true(attr_add(&attrs, MQ_ATTR_KEY, "k", 1));
	assert_true(attr_add_header(&attrs, "name", 4, "value", 5));
	assert_true(attr_add_header(&attrs, "empty", 5, NULL, 0));
	assert_true(attr_add(&attrs, MQ_ATTR_SEQUENCE, &sequence, sizeof(sequence)));
	e[1].attr_len = attrs.len;
	head.attrs_len = attrs.len;
	memcpy(buf, &head, sizeof(head));
	at += sizeof(head);
	memcpy(buf + at, e, sizeof(e));
	at += sizeof(e);
	memcpy(buf + at, attrs.data, attrs.len);
	at += attrs.len;
	while (at % 8)
		buf[at++] = 0;
	memcpy(buf + at, "helloyou", 8);
	buffer_free(&attrs);
	return at + 8;
}

static void batch_read(void **state)
{
	struct bytes attrs[MQ_ATTR_MAX + 1], name, value;
	struct batch_view view;
	struct message msg;
	unsigned char *buf = test_malloc(1024);
	const void *at = NULL;
	size_t len = build_read_batch(buf);

	(void)state;
	assert_null(batch_parse(&view, buf, len));
	assert_int_equal(view.head.partition, 3);
	assert_int_equal(batch_next(&view, &msg), 1);
	assert_int_equal(msg.entry.offset, 7);
	assert_memory_equal(msg.payload, "hello", 5);
	assert_null(message_attrs(&msg, attrs));
	for (int i = 0; i <= MQ_ATTR_MAX; i++)
		assert_null(attrs[i].data);
	assert_false(message_header(&msg, &at, &name, &value));

	assert_int_equal(batch_next(&view, &msg), 1);
	assert_memory_equal(msg.payload, "you", 3);
	assert_null(message_attrs(&msg, attrs));
	assert_int_equal(attrs[MQ_ATTR_KEY].len, 1);
	assert_memory_equal(attrs[MQ_ATTR_KEY].data, "k", 1);
	assert_int_equal(attr_u64(&attrs[MQ_ATTR_SEQUENCE]), 99);
	assert_true(message_header(&msg, &at, &name, &value));
	assert_int_equal(name.len, 4);
	assert_memory_equal(name.data, "name", 4);
	assert_int_equal(value.len, 5);
	assert_memory_equal(value.data, "value", 5);
	assert_true(message_header(&msg, &at, &name, &value));
	assert_memory_equal(name.data, "empty", 5);
	assert_int_equal(value.len, 0);
	assert_false(message_header(&msg, &at, &name, &value));
	assert_int_equal(batch_next(&view, &msg), 0);
	test_free(buf);
}

/* Every truncation, in memory that ends where the batch does (ASan would see). */
static void batch_truncated(void **state)
{
	unsigned char *buf = test_malloc(1024), *cut;
	size_t len = build_read_batch(buf);
	struct batch_view view;

	(void)state;
	for (size_t n = 0; n < len; n++) {
		cut = malloc(n ? n : 1);
		assert_non_null(cut);
		memcpy(cut, buf, n);
		assert_non_null(batch_parse(&view, cut, n));
		free(cut);
	}
	test_free(buf);
}

/* Each 32-bit word of a batch replaced: refused or read, never beyond the end. */
static void batch_damaged(void **state)
{
	static const uint32_t values[] = { 0, 1, 3, 4, 5, 7, 8, 63, 64, 65, 255, 256, 65535,
					   0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff };
	struct bytes attrs[MQ_ATTR_MAX + 1], name, value;
	unsigned char *buf = test_malloc(1024), *copy;
	size_t len = build_read_batch(buf), refused = 0;
	struct batch_view view;
	struct message msg;
	const void *at;

	(void)state;
	for (size_t word = 0; word + 4 <= len; word += 4) {
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			int more, messages = 0;

			copy = malloc(len);
			assert_non_null(copy);
			memcpy(copy, buf, len);
			memcpy(copy + word, &values[i], 4);
			if (batch_parse(&view, copy, len)) {
				refused++;
				free(copy);
				continue;
			}
			while ((more = batch_next(&view, &msg)) > 0) {
				assert_true(++messages <= 2);
				assert_in_range((uintptr_t)msg.payload, (uintptr_t)copy,
						(uintptr_t)copy + len - msg.entry.len);
				assert_in_range((uintptr_t)msg.attrs, (uintptr_t)copy,
						(uintptr_t)copy + len - msg.entry.attr_len);
				message_attrs(&msg, attrs);
				for (at = NULL; message_header(&msg, &at, &name, &value);)
					assert_true((const unsigned char *)at <= copy + len);
			}
			refused += more < 0;
			free(copy);
		}
	}
	/* Most words of the header cannot have another value. */
	assert_true(refused > 100);
	test_free(buf);
}

static void batch_write(void **state)
{
	struct mq_record *records;
	struct batch batch = { 0 };
	struct iovec iov[BATCH_IOV];
	struct mq_batch *head;
	size_t total = 0;

	(void)state;
	assert_true(batch_add(&batch, "one", 3, NULL, 0));
	assert_true(batch_add(&batch, "", 0, "\x05\x00\x01\x00k\0\0\0", 8));
	assert_true(batch_add(&batch, "three", 5, "\x04\x00\x01\x00", 4));
	assert_int_equal(batch_iov(&batch, 9, iov), 64 + 3 * 16 + 12 + 4 + 8);
	head = iov[0].iov_base;
	assert_int_equal(head->size, 64);
	assert_int_equal(head->entry_size, 16);
	assert_int_equal(head->count, 3);
	assert_int_equal(head->partition, 9);
	assert_int_equal(head->entries_len, 48);
	assert_int_equal(head->attrs_len, 12);
	assert_int_equal(head->payload_len, 8);
	records = iov[1].iov_base;
	assert_int_equal(records[0].len, 3);
	assert_int_equal(records[1].len, 0);
	assert_int_equal(records[1].attr_len, 8);
	assert_int_equal(records[2].len, 5);
	assert_int_equal(iov[3].iov_len, 4);
	assert_memory_equal(iov[4].iov_base, "onethree", 8);
	for (int i = 0; i < BATCH_IOV; i++) {
		/* Each part starts at a multiple of 8. */
		if (i != 3)
			assert_int_equal(total % 8, 0);
		total += iov[i].iov_len;
	}
	batch_reset(&batch);
	assert_int_equal(batch.count, 0);
	assert_true(batch_add(&batch, "x", 1, NULL, 0));
	assert_int_equal(batch_iov(&batch, 0, iov), 64 + 16 + 1);
	batch_free(&batch);
}

static void attributes(void **state)
{
	static char large[65536];
	struct bytes attrs[MQ_ATTR_MAX + 1];
	struct buffer buf = { 0 };
	struct message msg = { 0 };

	(void)state;
	/* An attribute's length has 16 bits, its header 4 bytes. */
	assert_false(attr_add(&buf, MQ_ATTR_KEY, large, 65532));
	assert_true(attr_add(&buf, MQ_ATTR_KEY, large, 65531));
	assert_int_equal(buf.len, 65536);
	assert_false(attr_add_header(&buf, "n", 1, large, 65531));
	buf.len = 0;
	assert_true(attr_add_header(&buf, "n", 1, large, 65000));

	buf.len = 0;
	assert_true(attr_add(&buf, MQ_ATTR_TAG, "a", 1));
	assert_true(attr_add(&buf, MQ_ATTR_TAG, "b", 1));
	msg.attrs = buf.data;
	msg.entry.attr_len = buf.len;
	assert_non_null(message_attrs(&msg, attrs));

	buf.len = 0;
	assert_true(attr_add(&buf, MQ_ATTR_SCHEMA_ID, "12345678", 8));
	msg.entry.attr_len = buf.len;
	assert_non_null(message_attrs(&msg, attrs));

	buf.len = 0;
	assert_true(attr_add(&buf, MQ_ATTR_TAG, "tag", 3));
	for (msg.entry.attr_len = 1; msg.entry.attr_len < 7; msg.entry.attr_len++)
		assert_non_null(message_attrs(&msg, attrs));
	buffer_free(&buf);
}

static void ranges_join(void **state)
{
	static const char a[] = "a", b[] = "b";
	struct ranges r = { 0 };

	(void)state;
	ranges_add(&r, 5, 5, a);
	ranges_add(&r, 6, 9, a);
	ranges_add(&r, 10, 10, b);
	ranges_add(&r, 10, 10, a);
	ranges_add(&r, 11, 11, b);
	ranges_add(&r, 13, 13, a);
	assert_int_equal(r.count, 3);
	assert_int_equal(r.v[0].first, 5);
	assert_int_equal(r.v[0].last, 10);
	assert_int_equal(r.v[1].last, 11);
	assert_int_equal(r.v[2].first, 13);
	ranges_free(&r);
	/* Nothing follows the last offset there is. */
	ranges_add(&r, UINT64_MAX, UINT64_MAX, a);
	ranges_add(&r, 0, 0, a);
	assert_int_equal(r.count, 2);
	ranges_free(&r);
}

int main(void)
{
	const struct CMUnitTest mqctl[] = {
		cmocka_unit_test(crc32c_vectors),
		cmocka_unit_test(crc32c_pieces),
		cmocka_unit_test(murmur2_kafka),
		cmocka_unit_test(sizes),
		cmocka_unit_test(durations),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(topics),
		cmocka_unit_test(batch_read),
		cmocka_unit_test(batch_truncated),
		cmocka_unit_test(batch_damaged),
		cmocka_unit_test(batch_write),
		cmocka_unit_test(attributes),
		cmocka_unit_test(ranges_join),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(mqctl, NULL, NULL) ? EXIT_FAILURE : EXIT_SUCCESS;
}
