// SPDX-License-Identifier: GPL-2.0
/*
 * A mapped partition shows what reading gives: header, index, attributes, payloads,
 * and every message in one piece, wherever the ring wraps.
 */
#include "helpers/map.h"

#include <poll.h>

/* All of them, from the tail on; the nth payload is the pattern of seed n. */
static void expect_log(const struct map *m, uint64_t tail, uint64_t head)
{
	struct mq_entry e;

	expect_eq(map_tail(m), tail);
	expect_eq(map_head(m), head);
	for (uint64_t off = tail; off < head && failures() < 5; off++) {
		expect_eq(map_read(m, off, &e), MAP_GOOD);
		expect(pattern_ok(map_payload(m, e.position), e.len, off));
		expect_eq(e.pid, getpid());
	}
}

static void put(int fd, uint64_t n, size_t len)
{
	static char buf[65536];

	pattern_fill(buf, len, n);
	need_ret(write(fd, buf, len), len);
}

TEST(header, "the header says what the topic is and where the parts are")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 256, .attr_bytes = 16384,
				  .partitions = 3, .start_offset = 1000, .start_position = 12345);
	const long page = sysconf(_SC_PAGESIZE);
	struct map m = map_topic(t, "@2");
	const struct mq_map_header *h = m.h;
	struct mq_stat st = file_stat(m.fd);
	struct mq_features features;

	need_ret(file_features(m.fd, &features), 0);
	expect(features.features & MQ_FEATURE_MMAP);
	expect_eq(h->size, sizeof(*h));
	expect_eq(h->version, MQ_MAP_VERSION);
	expect_eq(h->entry_size, sizeof(struct mq_entry));
	expect_eq(h->partition, 2);
	expect_mem(h->topic_id, sizeof(h->topic_id), st.topic_id, sizeof(st.topic_id));
	expect_eq(h->index_at, page);
	expect_eq(h->index_size, 256 * 64);
	expect_eq(h->attrs_at, h->index_at + h->index_size);
	expect_eq(h->attrs_size, 16384);
	expect_eq(h->data_at, h->attrs_at + 2 * h->attrs_size);
	expect(h->data_size > 65536 && h->data_size <= 2 * 65536);
	expect_eq(h->length, h->data_at + 2 * h->data_size);
	expect_eq(h->tail_offset, 1000);
	expect_eq(h->tail_position, 12345);
	expect_eq(h->head_offset, 1000);
	expect_eq(h->head_position, 12345);
	expect_eq(h->durable_offset, 0);
	expect_eq(h->flags, 0);
	/* Nothing but zeros where nothing was written, and no SIGBUS anywhere. */
	for (uint64_t at = h->size; at < h->length && failures() < 5; at++)
		expect_eq(m.base[at], 0);
	map_close(&m);
}

TEST(persistent, "a persistent topic's header says how far it is durable")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 256, .persistent = 1,
				  .start_offset = 5);
	struct map m = map_topic(t, "");

	expect_eq(m.h->flags, MQ_MAP_PERSISTENT);
	expect_eq(m.h->durable_offset, 5);
	map_close(&m);
}

TEST(grows, "messages appear in a map made before, and one made after")
{
	const char *t = topic_new(.ring_bytes = 262144, .ring_messages = 4096);
	int fd = topic_open(t, "", O_WRONLY);
	struct map a = map_topic(t, ""), b;

	/* Seen before there was memory: the zero page must go when it comes. */
	for (uint64_t at = 0; at < a.len; at += 4096)
		(void)*(volatile const uint8_t *)(a.base + at);
	for (uint64_t n = 0; n < 500; n++) {
		if (n % 50 == 0)
			expect_log(&a, 0, n);
		put(fd, n, n + 1);
	}
	b = map_topic(t, "@0+format=record");
	expect_log(&a, 0, 500);
	expect_log(&b, 0, 500);
	map_close(&a);
	expect_log(&b, 0, 500);
	map_close(&b);
}

TEST_LIMIT(wraps, "a message that wraps is contiguous: many laps, of many lengths", 120)
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64,
				  .max_message_bytes = 16384, .start_position = 60000);
	int fd = topic_open(t, "", O_WRONLY);
	struct map m = map_topic(t, "");
	unsigned int wrapped = 0;
	struct mq_entry e;

	for (uint64_t n = 0; n < 600 && failures() < 5; n++) {
		put(fd, n, 1 + n * 2731 % 16384);
		need(map_head(&m) == n + 1);
		expect_eq(map_read(&m, n, &e), MAP_GOOD);
		expect(pattern_ok(map_payload(&m, e.position), e.len, n));
		wrapped += e.position % m.h->data_size + e.len > m.h->data_size;
		/* The oldest, too. */
		expect_eq(map_read(&m, map_tail(&m), &e), MAP_GOOD);
		expect(pattern_ok(map_payload(&m, e.position), e.len, e.offset));
	}
	note("%u messages wrapped", wrapped);
	expect(wrapped > 20);
	expect_log(&m, map_tail(&m), 600);
	expect_eq(map_tail(&m), partition_state(t, 0).tail_offset);
	map_close(&m);
}

TEST(attributes, "attributes and key hash, through many laps of their ring")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64, .attr_bytes = 4096,
				  .partitions = 2);
	int fd = topic_open(t, "@1+format=record", O_WRONLY);
	struct map m = map_topic(t, "@1");
	struct batch *b = batch_new();
	unsigned int wrapped = 0;
	struct mq_entry e;

	for (unsigned int n = 0; n < 300 && failures() < 5; n++) {
		char key[16], value[100];
		struct rec r;
		const void *got;
		size_t len;

		snprintf(key, sizeof(key), "key-%u", n);
		pattern_fill(value, sizeof(value), n);
		batch_reset(b);
		batch_add(b, value, n % sizeof(value));
		batch_attr(b, MQ_ATTR_KEY, key, strlen(key));
		batch_header(b, "h", value, 1 + n % 99);
		need(batch_write(b, fd, 1) > 0);
		expect_eq(map_read(&m, n, &e), MAP_GOOD);
		r = (struct rec) { &e, map_attrs(&m, e.attr_position),
				   map_payload(&m, e.position) };
		expect_mem(r.payload, e.len, value, n % sizeof(value));
		got = rec_attr(&r, MQ_ATTR_KEY, 0, &len);
		need(got);
		expect_mem(got, len, key, strlen(key));
		got = rec_header(&r, "h", &len);
		need(got);
		expect_mem(got, len, value, 1 + n % 99);
		expect(e.flags & MQ_ENTRY_KEY);
		expect_eq(e.key_hash, kafka_hash(key, strlen(key)));
		wrapped += e.attr_position % m.h->attrs_size + e.attr_len > m.h->attrs_size;
	}
	note("attributes of %u messages wrapped", wrapped);
	expect(wrapped > 2);
	expect_eq(m.h->head_attr_position, e.attr_position + e.attr_len);
	map_close(&m);
	batch_free(b);
}

TEST(large_numbers, "D.25: offsets and positions near 2^63")
{
	const uint64_t off = (1ULL << 62) + 3, pos = INT64_MAX - 1000000;
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64, .start_offset = off,
				  .start_position = pos);
	int fd = topic_open(t, "", O_WRONLY);
	struct map m = map_topic(t, "");

	for (uint64_t n = 0; n < 200; n++)
		put(fd, off + n, 4000);
	expect_eq(m.h->head_position, pos + 200 * 4000);
	expect(map_tail(&m) > off);
	expect_log(&m, map_tail(&m), off + 200);
	map_close(&m);
}

TEST(read_write, "a file opened for reading and writing is mapped, too")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	struct map m = map_fd(topic_open(t, "", O_RDWR));

	for (uint64_t n = 0; n < 100; n++)
		put(m.fd, n, 1000);
	expect_log(&m, map_tail(&m), 100);
	map_close(&m);
}

TEST(parts_of_it, "any range of pages can be mapped")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY);
	struct map m = map_topic(t, "");
	const size_t page = sysconf(_SC_PAGESIZE), pages = m.len / page;

	for (uint64_t n = 0; n < 100; n++)
		put(fd, n, 1000);
	for (size_t from = 0; from < pages; from += 3) {
		for (size_t n = 1; n < 20 && from + n <= pages; n += 6) {
			void *part = mmap(NULL, n * page, PROT_READ, MAP_SHARED, m.fd,
					  from * page);

			need(part != MAP_FAILED);
			expect(!memcmp(part, m.base + from * page, n * page));
			munmap(part, n * page);
		}
	}
	map_close(&m);
}

static long poll_in(void *arg)
{
	struct pollfd p = { *(int *)arg, POLLIN, 0 };

	return poll(&p, 1, SOON * 1000) == 1 ? p.revents : -1;
}

TEST(polled, "poll waits for what comes after the place that lseek or the ioctl names")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY);
	struct map m = map_topic(t, "");
	struct pollfd p = { m.fd, POLLIN, 0 };
	struct async a;

	put(fd, 0, 100);
	need_ret(poll(&p, 1, 0), 1);
	need_ret(lseek(m.fd, m.h->head_position, SEEK_SET), 100);
	expect_ret(poll(&p, 1, 0), 0);
	async_start(&a, poll_in, &m.fd);
	expect_waits(&a);
	put(fd, 1, 100);
	need(async_end(&a, SOON));
	expect_eq(a.ret, POLLIN);
	expect_log(&m, 0, 2);
	need_ret(file_seek(m.fd, MQ_SEEK_OFFSET, map_head(&m), NULL), 0);
	expect_ret(poll(&p, 1, 0), 0);
	map_close(&m);
}

TEST(evicted, "the tail moves in the map when messages are taken away")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct map m = map_topic(t, "");
	struct mq_entry e;
	char buf[128];

	for (uint64_t n = 0; n < 20; n++)
		put(fd, n, 100);
	hook_arm("read-start", t, 0, 7);
	expect_err(read(rd, buf, sizeof(buf)), ENOBUFS);
	expect_eq(m.h->tail_position, 700);
	expect_eq(map_read(&m, 6, &e), MAP_OVERRUN);
	expect_log(&m, 7, 20);
	hook_off();
	map_close(&m);
}

TEST(holds_nothing, "a map holds nothing: a lapping writer goes on")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64,
				  .overflow = MQ_OVERFLOW_REJECT, .hold = MQ_HOLD_READERS);
	int fd = topic_open(t, "", O_WRONLY);
	/* With overrun=skip the file does not hold, either. */
	struct map m = map_topic(t, "+overrun=skip");

	for (uint64_t n = 0; n < 200; n++)
		put(fd, n, 1000);
	expect_log(&m, map_tail(&m), 200);
	map_close(&m);
}
