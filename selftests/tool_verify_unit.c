// SPDX-License-Identifier: GPL-2.0
/*
 * What mqctl verify finds in damaged batches. The kernel does not make any, so
 * they are made here, and verify's own code is run on them.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every test is linked with mqtest*.c, which has some of these names, too. */
#define crc32c		mqctl_crc32c
#define batch_add	mqctl_batch_add
#define batch_reset	mqctl_batch_reset
#define batch_free	mqctl_batch_free

#include "../tools/mqctl/check.c"
#include "../tools/mqctl/crc32c.c"
#include "../tools/mqctl/murmur2.c"
#include "../tools/mqctl/ranges.c"
#include "../tools/mqctl/record.c"

/* What the file's counter would say. */
static uint64_t lost;

static uint64_t lost_messages(void *ctx)
{
	(void)ctx;
	return lost;
}

/* Messages 10 to 15, all right, with keys and sequence numbers. */
#define MESSAGES	6
#define FIRST		10

struct log {
	struct mq_entry entries[MESSAGES];
	struct buffer attrs[MESSAGES];
	char payloads[MESSAGES][16];
};

static void number_messages(struct log *log, const uint64_t *sequences, uint32_t epoch)
{
	uint64_t id = 77;

	for (int i = 0; i < MESSAGES; i++) {
		struct buffer *attrs = &log->attrs[i];

		attrs->len = 0;
		assert_true(attr_add(attrs, MQ_ATTR_KEY, "key", 3));
		assert_true(attr_add(attrs, MQ_ATTR_PRODUCER_ID, &id, sizeof(id)));
		assert_true(attr_add(attrs, MQ_ATTR_PRODUCER_EPOCH, &epoch, sizeof(epoch)));
		assert_true(attr_add(attrs, MQ_ATTR_SEQUENCE, &sequences[i], 8));
	}
}

/* Completes what follows from contents: lengths, places, checksums. */
static void complete(struct log *log)
{
	uint64_t position = 1000, attr_position = 2000;

	for (int i = 0; i < MESSAGES; i++) {
		struct mq_entry *e = &log->entries[i];

		*e = (struct mq_entry) {
			.offset = FIRST + i,
			.position = position,
			.attr_position = attr_position,
			.timestamp = 5000 + i,
			.len = strlen(log->payloads[i]),
			.attr_len = log->attrs[i].len,
			.flags = MQ_ENTRY_KEY,
			.key_hash = murmur2("key", 3),
		};
		e->crc = crc32c(crc32c(0, log->payloads[i], e->len), log->attrs[i].data,
				e->attr_len);
		position += e->len;
		attr_position += e->attr_len;
	}
}

static void make_log(struct log *log)
{
	static const uint64_t sequences[MESSAGES] = { 5, 6, 7, 8, 9, 10 };

	memset(log, 0, sizeof(*log));
	for (int i = 0; i < MESSAGES; i++)
		snprintf(log->payloads[i], sizeof(log->payloads[i]), "payload %d", i * i * i);
	number_messages(log, sequences, 1);
	complete(log);
}

static void start(struct check *c)
{
	*c = (struct check) {
		.lost_messages = lost_messages,
		.start = { .offset = FIRST, .ring_bytes = 4096 },
	};
	lost = 0;
}

/* The messages in a batch of their own each, as reads may return them. */
static void check(struct check *c, const struct log *log)
{
	for (int i = 0; i < MESSAGES; i++) {
		const struct mq_entry *e = &log->entries[i];
		struct mq_batch head = {
			.size = sizeof(head),
			.entry_size = sizeof(*e),
			.count = 1,
			.entries_len = sizeof(*e),
			.attrs_len = log->attrs[i].len,
			.payload_len = strlen(log->payloads[i]),
		};
		struct buffer batch = { 0 };

		assert_true(buffer_add(&batch, &head, sizeof(head)));
		assert_true(buffer_add(&batch, e, sizeof(*e)));
		assert_true(buffer_add(&batch, log->attrs[i].data, log->attrs[i].len));
		while (batch.len % 8)
			assert_true(buffer_add(&batch, "", 1));
		assert_true(buffer_add(&batch, log->payloads[i], head.payload_len));
		assert_null(check_batch(c, batch.data, batch.len));
		buffer_free(&batch);
	}
}

static void end(struct check *c, struct log *log)
{
	for (int i = 0; i < MESSAGES; i++)
		buffer_free(&log->attrs[i]);
	check_free(c);
}

static void expect(const struct check *c, size_t at, const char *what, uint64_t first,
		   uint64_t last)
{
	assert_true(at < c->errors.count);
	assert_string_equal(c->errors.v[at].what, what);
	assert_int_equal(c->errors.v[at].first, first);
	assert_int_equal(c->errors.v[at].last, last);
}

static void nothing_wrong(void **state)
{
	struct check c;
	struct log log;

	(void)state;
	start(&c);
	make_log(&log);
	check(&c, &log);
	assert_false(check_is_wrong(&c));
	assert_int_equal(c.messages, MESSAGES);
	assert_int_equal(c.missing.count, 0);
	end(&c, &log);
}

/* Each bit of payloads, attributes and checksums counts. */
static void any_bit(void **state)
{
	struct check c;
	struct log log;

	(void)state;
	for (int i = 0; i < MESSAGES; i++) {
		make_log(&log);
		for (size_t bit = 0; bit < 8 * strlen(log.payloads[i]); bit++) {
			/* The 0 byte that ends the text is not one of its bits. */
			if ((log.payloads[i][bit / 8] ^ 1 << bit % 8) == 0)
				continue;
			start(&c);
			log.payloads[i][bit / 8] ^= 1 << bit % 8;
			check(&c, &log);
			log.payloads[i][bit / 8] ^= 1 << bit % 8;
			assert_int_equal(c.errors.count, 1);
			expect(&c, 0, bad_crc, FIRST + i, FIRST + i);
			check_free(&c);
		}
		start(&c);
		end(&c, &log);
	}
}

static void checksums_join(void **state)
{
	struct check c;
	struct log log;

	(void)state;
	start(&c);
	make_log(&log);
	for (int i = 1; i < 4; i++)
		log.entries[i].crc ^= 0x80000000;
	log.entries[5].crc++;
	check(&c, &log);
	assert_int_equal(c.errors.count, 2);
	expect(&c, 0, bad_crc, FIRST + 1, FIRST + 3);
	expect(&c, 1, bad_crc, FIRST + 5, FIRST + 5);
	end(&c, &log);
}

static void entry_fields(void **state)
{
	struct check c;
	struct log log;

	(void)state;
	start(&c);
	make_log(&log);
	log.entries[1].position++;
	check(&c, &log);
	expect(&c, 0, bad_position, FIRST + 1, FIRST + 2);
	end(&c, &log);

	start(&c);
	make_log(&log);
	log.entries[MESSAGES - 1].attr_position -= 4;
	check(&c, &log);
	expect(&c, 0, bad_attr_position, FIRST + 5, FIRST + 5);
	end(&c, &log);

	start(&c);
	make_log(&log);
	log.entries[3].timestamp = 4000;
	check(&c, &log);
	assert_int_equal(c.errors.count, 1);
	expect(&c, 0, bad_time, FIRST + 3, FIRST + 3);
	end(&c, &log);

	/* The clock was set back, and the entry says so. */
	start(&c);
	make_log(&log);
	log.entries[5].timestamp = 4000;
	log.entries[5].flags |= MQ_ENTRY_CLOCK_BACK;
	check(&c, &log);
	assert_false(check_is_wrong(&c));
	end(&c, &log);

	start(&c);
	make_log(&log);
	log.entries[2].epoch = 4;
	check(&c, &log);
	expect(&c, 0, bad_epoch, FIRST + 3, FIRST + 3);
	end(&c, &log);

	start(&c);
	make_log(&log);
	log.entries[2].flags |= 1 << 9;
	log.entries[3].flags = 0;
	log.entries[4].key_hash++;
	check(&c, &log);
	assert_int_equal(c.errors.count, 3);
	expect(&c, 0, bad_flags, FIRST + 2, FIRST + 2);
	expect(&c, 1, bad_key_flag, FIRST + 3, FIRST + 3);
	expect(&c, 2, bad_key_hash, FIRST + 4, FIRST + 4);
	end(&c, &log);

	start(&c);
	make_log(&log);
	c.start.ring_bytes = 4 * (strlen(log.payloads[5]) - 1);
	check(&c, &log);
	expect(&c, 0, bad_length, FIRST + 5, FIRST + 5);
	end(&c, &log);
}

static void offsets(void **state)
{
	struct check c;
	struct log log;

	(void)state;
	/* Three messages are not there, and no overrun was counted. */
	start(&c);
	make_log(&log);
	for (int i = 3; i < MESSAGES; i++)
		log.entries[i].offset += 3;
	check(&c, &log);
	assert_int_equal(c.errors.count, 1);
	expect(&c, 0, bad_offset, FIRST + 3, FIRST + 5);
	assert_int_equal(c.missing.count, 0);
	end(&c, &log);

	/* The same as an overrun of three: no longer retained. */
	start(&c);
	make_log(&log);
	for (int i = 3; i < MESSAGES; i++)
		log.entries[i].offset += 3;
	lost = 3;
	check(&c, &log);
	assert_false(check_is_wrong(&c));
	assert_int_equal(c.missing.count, 1);
	assert_int_equal(c.missing.v[0].first, FIRST + 3);
	assert_int_equal(c.missing.v[0].last, FIRST + 5);
	end(&c, &log);

	/* An overrun of two does not explain three. */
	start(&c);
	make_log(&log);
	for (int i = 3; i < MESSAGES; i++)
		log.entries[i].offset += 3;
	lost = 2;
	check(&c, &log);
	expect(&c, 0, bad_offset, FIRST + 3, FIRST + 5);
	end(&c, &log);

	/* The first message read is not the one the file stood at. */
	start(&c);
	make_log(&log);
	c.start.offset = FIRST - 2;
	check(&c, &log);
	expect(&c, 0, bad_offset, FIRST - 2, FIRST - 1);
	end(&c, &log);

	start(&c);
	make_log(&log);
	log.entries[4].offset = FIRST + 3;
	check(&c, &log);
	expect(&c, 0, bad_order, FIRST + 3, FIRST + 3);
	end(&c, &log);
}

static void expect_gap(const struct check *c, size_t at, uint64_t first, uint64_t last,
		       uint64_t offset)
{
	assert_true(at < c->gaps_n);
	assert_int_equal(c->gaps[at].producer, 77);
	assert_int_equal(c->gaps[at].first, first);
	assert_int_equal(c->gaps[at].last, last);
	assert_int_equal(c->gaps[at].offset, offset);
}

static void sequences(void **state)
{
	static const uint64_t gaps[MESSAGES] = { 5, 6, 8, 9, 20, 21 };
	static const uint64_t twice[MESSAGES] = { 5, 6, 6, 7, 8, 9 };
	static const uint64_t back[MESSAGES] = { 5, 6, 7, 3, 8, 9 };
	struct check c;
	struct log log;

	(void)state;
	start(&c);
	make_log(&log);
	number_messages(&log, gaps, 1);
	complete(&log);
	check(&c, &log);
	assert_int_equal(c.errors.count, 0);
	assert_int_equal(c.gaps_n, 2);
	expect_gap(&c, 0, 7, 7, FIRST + 2);
	expect_gap(&c, 1, 10, 19, FIRST + 4);
	assert_true(check_is_wrong(&c));
	end(&c, &log);

	start(&c);
	make_log(&log);
	number_messages(&log, twice, 1);
	complete(&log);
	check(&c, &log);
	assert_int_equal(c.gaps_n, 0);
	expect(&c, 0, bad_sequence_order, FIRST + 2, FIRST + 2);
	end(&c, &log);

	start(&c);
	make_log(&log);
	number_messages(&log, back, 1);
	complete(&log);
	check(&c, &log);
	assert_int_equal(c.gaps_n, 0);
	expect(&c, 0, bad_sequence_order, FIRST + 3, FIRST + 3);
	end(&c, &log);

	/* What a hole in the log took may have had any number. */
	start(&c);
	make_log(&log);
	number_messages(&log, gaps, 1);
	complete(&log);
	for (int i = 4; i < MESSAGES; i++)
		log.entries[i].offset += 10;
	lost = 10;
	check(&c, &log);
	assert_int_equal(c.errors.count, 0);
	assert_int_equal(c.gaps_n, 1);
	expect_gap(&c, 0, 7, 7, FIRST + 2);
	end(&c, &log);
}

int main(void)
{
	const struct CMUnitTest mqctl_verify[] = {
		cmocka_unit_test(nothing_wrong),
		cmocka_unit_test(any_bit),
		cmocka_unit_test(checksums_join),
		cmocka_unit_test(entry_fields),
		cmocka_unit_test(offsets),
		cmocka_unit_test(sequences),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(mqctl_verify, NULL, NULL) ? EXIT_FAILURE : EXIT_SUCCESS;
}
