// SPDX-License-Identifier: GPL-2.0
/* What mqctl ship and receive make of what strangers send: their decoders, fed by hand. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every test is linked with mqtest*.c, which has this name, too. */
#define now_ns		mqctl_now_ns

#include "../tools/mqctl/parse.c"
#include "../tools/mqctl/ship_proto.c"
#include "../tools/mqctl/ship_net.c"

/* The wire form, byte by byte: a peer of another release has the same. */
static void test_layout(void **state)
{
	static const uint8_t hello_is[SHIP_HELLO_LEN] = {
		'M', 'Q', 'S', 'H', 'I', 'P', '\r', '\n', 1, 0, 2, 3, 0, 0, 0, 0,
		4, 0, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0, 7,
	};
	static const uint8_t frame_is[SHIP_HEADER_LEN] = {
		3, 1, 0, 0, 0xff, 0x0f, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
	};
	static const uint8_t open_is[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		2, 0, 0, 0, 3, 0, 0, 0, 'l', 'o', 'g',
	};
	const struct ship_hello hello = { 1, 0x0302, 0x0500000000000004, 0x0700000000000006 };
	const struct ship_frame frame = {
		SHIP_DATA, SHIP_GAP, 4095, 256 << 10, 0x0102030405060708
	};
	struct ship_open open = { .partition = 2, .partitions = 3, .name = "log" }, back;
	struct ship_frame read;
	uint8_t buf[256];

	(void)state;
	assert_int_equal(ship_put_hello(buf, &hello), sizeof(hello_is));
	assert_memory_equal(buf, hello_is, sizeof(hello_is));
	assert_int_equal(ship_put_frame(buf, &frame), sizeof(frame_is));
	assert_memory_equal(buf, frame_is, sizeof(frame_is));
	assert_null(ship_get_frame(buf, true, &read));
	assert_memory_equal(&read.position, &frame.position, 8);
	assert_int_equal(read.stream, 4095);
	assert_int_equal(read.length, 256 << 10);
	assert_int_equal(read.flags, SHIP_GAP);
	for (int i = 0; i < 16; i++)
		open.id[i] = i;
	assert_int_equal(ship_put_open(buf, &open), sizeof(open_is));
	assert_memory_equal(buf, open_is, sizeof(open_is));
	assert_null(ship_get_open(buf, sizeof(open_is), &back));
	assert_memory_equal(&back, &open, sizeof(open));
}

static const char *hello_with(const struct ship_hello *hello, int at, uint8_t value)
{
	uint8_t buf[SHIP_HELLO_LEN];
	struct ship_hello read;

	ship_put_hello(buf, hello);
	if (at >= 0)
		buf[at] = value;
	return ship_get_hello(buf, &read);
}

static void test_hello(void **state)
{
	const struct ship_hello ours = ship_our_hello;

	(void)state;
	assert_null(hello_with(&ours, -1, 0));
	assert_null(hello_with(&(struct ship_hello) { 1, 65535, ~0ULL, 0 }, -1, 0));
	assert_non_null(strstr(hello_with(&(struct ship_hello) { 2, 9, 0, 0 }, -1, 0), "too new"));
	assert_non_null(hello_with(&(struct ship_hello) { 0, 0, 0, 0 }, -1, 0));
	assert_non_null(hello_with(&(struct ship_hello) { 2, 1, 0, 0 }, -1, 0));
	assert_non_null(hello_with(&(struct ship_hello) { 0, 1, 0, 0 }, -1, 0));
	for (int bit = 0; bit < 64; bit++)
		assert_non_null(hello_with(&(struct ship_hello) { 1, 1, ~0ULL, 1ULL << bit },
					   -1, 0));
	for (int i = 0; i < 8; i++)
		assert_non_null(hello_with(&ours, i, 0));
	for (int i = 12; i < 16; i++)
		assert_non_null(hello_with(&ours, i, 1));
}

static const char *get(struct ship_frame frame, bool by_sender)
{
	uint8_t buf[SHIP_HEADER_LEN];
	struct ship_frame read;

	ship_put_frame(buf, &frame);
	return ship_get_frame(buf, by_sender, &read);
}

static void test_frames(void **state)
{
	static const struct {
		uint8_t type;
		bool sender, receiver;
		uint32_t least, most;
	} are[] = {
		{ SHIP_OPEN, true, false, SHIP_OPEN_MIN, SHIP_OPEN_MAX },
		{ SHIP_STATE, false, true, 0, 0 },
		{ SHIP_DATA, true, false, 1, SHIP_DATA_MAX },
		{ SHIP_ACK, false, true, 0, 0 },
		{ SHIP_CLOSE, true, false, 0, 0 },
		{ SHIP_ERROR, true, true, 0, SHIP_ERROR_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(are) / sizeof(are[0]); i++) {
		struct ship_frame f = { .type = are[i].type, .length = are[i].least };
		bool side = are[i].sender;

		assert_int_equal(!get(f, true), are[i].sender);
		assert_int_equal(!get(f, false), are[i].receiver);
		f.length = are[i].most;
		assert_null(get(f, side));
		f.length++;
		assert_non_null(get(f, side));
		f.length = UINT32_MAX;
		assert_non_null(get(f, side));
		f.length = are[i].least - 1;
		assert_non_null(get(f, side));
		f.length = are[i].least;
		if (f.type == SHIP_ERROR)
			continue;
		f.flags = 0x80;
		assert_non_null(get(f, side));
		f.flags = 0;
		f.stream = SHIP_STREAMS - 1;
		assert_null(get(f, side));
		f.stream = SHIP_STREAMS;
		assert_non_null(get(f, side));
		f.stream = UINT32_MAX;
		assert_non_null(get(f, side));
	}
	for (int type = 0; type < 256; type++) {
		if (type < SHIP_OPEN || type > SHIP_ERROR)
			assert_non_null(get((struct ship_frame) { .type = type }, true));
	}
}

static void test_positions(void **state)
{
	struct ship_frame f = { .type = SHIP_DATA, .length = 10 };

	(void)state;
	f.position = INT64_MAX - 10;
	assert_null(get(f, true));
	f.position++;
	assert_non_null(get(f, true));
	f.position = UINT64_MAX;
	assert_non_null(get(f, true));
	f.position = UINT64_MAX - 9;
	assert_non_null(get(f, true));
	assert_non_null(get((struct ship_frame) { .type = SHIP_CLOSE, .position = 1 }, true));
}

static const char *get_open(const char *name, size_t len, uint32_t n, uint32_t of)
{
	uint8_t buf[SHIP_OPEN_MAX + 2] = { 0 };
	struct ship_open open;

	put32(buf + 16, n);
	put32(buf + 20, of);
	memcpy(buf + 24, name, len);
	return ship_get_open(buf, 24 + len, &open);
}

static void test_opens(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", "/", "a/b", "../a", "/etc/passwd", "a@1", "a@", "a+b", "a b", "a\n",
		"a%s", "\xc3\xa4", "a\\b", "a:b", "~", "*",
	};
	char name[MQ_TOPIC_NAME_MAX + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_null(get_open("A.z_0-", 6, 0, 1));
	assert_null(get_open(name, MQ_TOPIC_NAME_MAX, 0, 1));
	assert_non_null(get_open(name, MQ_TOPIC_NAME_MAX + 1, 0, 1));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(get_open(bad[i], strlen(bad[i]), 0, 1));
	assert_non_null(get_open("a\0b", 3, 0, 1));
	assert_non_null(get_open("a\0", 2, 0, 1));
	assert_null(get_open("a", 1, 1023, 1024));
	assert_non_null(get_open("a", 1, 1024, 1024));
	assert_non_null(get_open("a", 1, 0, 0));
	assert_non_null(get_open("a", 1, 0, UINT32_MAX));
	assert_non_null(get_open("a", 1, UINT32_MAX, UINT32_MAX));
}

/* Nothing that random bytes can be is taken for a frame out of bounds. */
static void test_noise(void **state)
{
	uint8_t buf[SHIP_HEADER_LEN];
	struct ship_frame frame;

	(void)state;
	srandom(1);
	for (int i = 0; i < 300000; i++) {
		for (size_t j = 0; j < sizeof(buf); j++)
			buf[j] = random() % 4 ? 0 : random();
		buf[0] = random() % 8;
		if (ship_get_frame(buf, i & 1, &frame))
			continue;
		assert_in_range(frame.type, SHIP_OPEN, SHIP_ERROR);
		assert_in_range(frame.stream, 0, SHIP_STREAMS - 1);
		assert_in_range(frame.length, 0, SHIP_DATA_MAX);
		if (frame.type != SHIP_ERROR)
			assert_true(frame.position + frame.length <= INT64_MAX);
	}
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {
		"", "host", "host:", ":1", "host:x", "host:65536", "host:0", "::1:7000", "[::1]",
		"[::1]:", "host:-1", "host:1x",
	};
	struct ship_address a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(ship_parse_address(bad[i], true, &a));
	assert_null(ship_parse_address("[fe80::1%lo]:7000", true, &a));
	assert_string_equal(a.host, "fe80::1%lo");
	assert_string_equal(a.port, "7000");
	assert_null(ship_parse_address("7000", false, &a));
	assert_string_equal(a.host, "");
	assert_null(ship_parse_address("log.example:65535", false, &a));
	assert_non_null(ship_parse_address(":7000", false, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_addresses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ship_proto_unit", tests, NULL, NULL) ? EXIT_FAILURE :
									   EXIT_SUCCESS;
}
