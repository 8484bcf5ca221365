// SPDX-License-Identifier: GPL-2.0
/* +format=record: whole messages with their metadata, many a call. */
#define _GNU_SOURCE
#include <linux/netlink.h>

#include "mqtest.h"

static uint64_t buf[1 << 17];
static struct rec r[1 << 14];

static int rec_open(const char *t, int flags)
{
	return topic_open(t, "+format=record", flags | O_NONBLOCK);
}

#define PARSE(fd, head)	batch_parse(buf, read(fd, buf, sizeof(buf)), r, 1 << 14, head)

static void expect_attr(const struct rec *rec, unsigned int type, const void *want, size_t len)
{
	const void *got;
	size_t got_len;

	got = rec_attr(rec, type, 0, &got_len);
	if (!got)
		fail("attribute %u is missing", type);
	else
		expect_mem(got, got_len, want, len);
}

TEST(record_attrs, "all attribute types come back as they were written, with key hash and CRC")
{
	const char *t = topic_new();
	int fd = rec_open(t, O_RDWR);
	struct batch *b = batch_new();
	char key[4096], small[255];
	uint64_t u64 = 0x1122334455667788;
	int64_t at = wall_ns();
	uint32_t u32 = 0x99aabbcc;
	const void *value;
	size_t len;

	memset(key, 'k', sizeof(key));
	memset(small, 's', sizeof(small));
	batch_add(b, "payload", 7);
	batch_attr(b, MQ_ATTR_KEY, key, sizeof(key));
	batch_header(b, "first", "one", 3);
	batch_header(b, "second", "", 0);
	batch_header(b, "first", "again", 5);
	batch_attr(b, MQ_ATTR_TAG, "t", 1);
	batch_attr(b, MQ_ATTR_REPLY_TO, "answers.here", 12);
	batch_attr(b, MQ_ATTR_CORRELATION_ID, small, sizeof(small));
	batch_attr(b, MQ_ATTR_CONTENT_TYPE, "text/plain", 10);
	batch_attr_u32(b, MQ_ATTR_SCHEMA_ID, u32);
	batch_attr(b, MQ_ATTR_DELIVER_AT, &at, sizeof(at));
	batch_attr_u64(b, MQ_ATTR_TTL, 1);
	batch_attr_u64(b, MQ_ATTR_PRODUCER_ID, u64);
	batch_attr_u32(b, MQ_ATTR_PRODUCER_EPOCH, u32);
	batch_attr_u64(b, MQ_ATTR_SEQUENCE, 0);
	batch_add(b, "plain", 5);
	batch_build(b, MQ_PARTITION_ANY, &len);
	expect_ret(batch_write(b, fd, MQ_PARTITION_ANY), len);

	need_eq(PARSE(fd, NULL), 2);
	expect_mem(r[0].payload, r[0].e->len, "payload", 7);
	expect_attr(&r[0], MQ_ATTR_KEY, key, sizeof(key));
	expect_attr(&r[0], MQ_ATTR_TAG, "t", 1);
	expect_attr(&r[0], MQ_ATTR_REPLY_TO, "answers.here", 12);
	expect_attr(&r[0], MQ_ATTR_CORRELATION_ID, small, sizeof(small));
	expect_attr(&r[0], MQ_ATTR_CONTENT_TYPE, "text/plain", 10);
	expect_attr(&r[0], MQ_ATTR_SCHEMA_ID, &u32, 4);
	expect_attr(&r[0], MQ_ATTR_DELIVER_AT, &at, 8);
	expect_attr(&r[0], MQ_ATTR_TTL, &(uint64_t) { 1 }, 8);
	expect_attr(&r[0], MQ_ATTR_PRODUCER_ID, &u64, 8);
	expect_attr(&r[0], MQ_ATTR_PRODUCER_EPOCH, &u32, 4);
	expect_attr(&r[0], MQ_ATTR_SEQUENCE, &(uint64_t) { 0 }, 8);
	value = rec_header(&r[0], "first", &len);
	expect(value && len == 3 && !memcmp(value, "one", 3));
	value = rec_header(&r[0], "second", &len);
	expect(value && len == 0);
	expect(rec_attr(&r[0], MQ_ATTR_HEADER, 2, &len) && !rec_attr(&r[0], MQ_ATTR_HEADER, 3, &len));
	expect_eq(r[0].e->flags, MQ_ENTRY_KEY);
	expect_eq(r[0].e->key_hash, kafka_hash(key, sizeof(key)));
	expect_mem(r[1].payload, r[1].e->len, "plain", 5);
	expect_eq(r[1].e->attr_len, 0);
	expect_eq(r[1].e->flags, 0);
	expect_eq(r[1].e->attr_position, r[0].e->attr_position + r[0].e->attr_len);
	expect_eq(r[0].e->position + r[0].e->len, r[1].e->position);
}

TEST(record_crc, "the checksum is CRC-32C: known values, seen from userspace")
{
	const char *t = topic_new();
	int fd = rec_open(t, O_RDWR);
	struct batch *b = batch_new();
	uint8_t bytes[32];

	/* RFC 3720, B.4 */
	memset(bytes, 0, 32);
	batch_add(b, bytes, 32);
	memset(bytes, 0xff, 32);
	batch_add(b, bytes, 32);
	for (int i = 0; i < 32; i++)
		bytes[i] = i;
	batch_add(b, bytes, 32);
	batch_add(b, "123456789", 9);
	batch_add(b, "", 0);
	need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	need_eq(PARSE(fd, NULL), 5);
	expect_eq(r[0].e->crc, 0x8a9136aa);
	expect_eq(r[1].e->crc, 0x62a8ab43);
	expect_eq(r[2].e->crc, 0x46dd794e);
	expect_eq(r[3].e->crc, 0xe3069283);
	expect_eq(r[4].e->crc, 0);
}

TEST(record_fit, "a read takes as many whole messages as fit, EMSGSIZE if not even one")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = rec_open(t, O_RDONLY);
	const size_t head = sizeof(struct mq_batch), entry = sizeof(struct mq_entry);

	for (int i = 0; i < 10; i++)
		need_ret(write(fd, "12345", 5), 5);
	expect_err(read(rd, buf, 1), EMSGSIZE);
	expect_err(read(rd, buf, head), EMSGSIZE);
	expect_err(read(rd, buf, head + entry + 4), EMSGSIZE);
	expect_eq(lseek(rd, 0, SEEK_CUR), 0);
	need_eq(batch_parse(buf, read(rd, buf, head + entry + 5), r, 10, NULL), 1);
	need_eq(batch_parse(buf, read(rd, buf, head + 3 * (entry + 5) - 1), r, 10, NULL), 2);
	expect_eq(r[0].e->offset, 1);
	need_eq(batch_parse(buf, read(rd, buf, head + 3 * (entry + 5)), r, 10, NULL), 3);
	expect_eq(r[2].e->offset, 5);
	need_eq(PARSE(rd, NULL), 4);
	expect_err(read(rd, buf, sizeof(buf)), EAGAIN);
	expect_err(read(rd, buf, 1), EAGAIN);
	expect_eq(lseek(rd, 0, SEEK_CUR), 10);
	expect_eq(topic_counters(t).messages_out, 10);
}

TEST(record_fit_attrs, "attributes and their padding count, too")
{
	const char *t = topic_new();
	int rd = rec_open(t, O_RDWR);
	size_t size = sizeof(struct mq_batch) + sizeof(struct mq_entry) + 8 + 3;
	struct batch *b = batch_new();

	batch_add(b, "abc", 3);
	batch_attr(b, MQ_ATTR_TAG, "", 1);	/* 8 bytes */
	need(batch_write(b, rd, MQ_PARTITION_ANY) > 0);
	batch_reset(b);
	batch_add(b, "abc", 3);
	batch_attr(b, MQ_ATTR_TAG, "12345", 5);	/* 12: padded to 16 in the batch */
	need(batch_write(b, rd, MQ_PARTITION_ANY) > 0);
	expect_err(read(rd, buf, size - 1), EMSGSIZE);
	need_eq(batch_parse(buf, read(rd, buf, size), r, 2, NULL), 1);
	expect_err(read(rd, buf, size + 7), EMSGSIZE);
	need_eq(batch_parse(buf, read(rd, buf, size + 8), r, 2, NULL), 1);
	expect_eq(r[0].e->attr_len, 12);
}

TEST(record_attr_laps, "many laps of the attributes' ring: what it holds stays, no less")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 1024, .attr_bytes = 4096);
	int fd = rec_open(t, O_WRONLY);
	struct batch *b = batch_new();
	static const char tag[100];

	batch_add(b, "x", 1);
	batch_attr(b, MQ_ATTR_TAG, tag, sizeof(tag));
	for (int i = 0; i < 400; i++) {
		struct partition_info p;

		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
		p = partition_state(t, 0);
		/* 39 of 104 bytes; a few may go ahead of need. */
		need(p.head_offset - p.tail_offset <= 39);
		need(i < 39 || p.head_offset - p.tail_offset >= 30);
	}
}

TEST(record_batch_sizes, "batches of 1 to thousands of messages, over many laps, read in others")
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .ring_messages = 4096, .attr_bytes = 65536);
	int fd = rec_open(t, O_WRONLY), rd = rec_open(t, O_RDONLY);
	static const unsigned int counts[] = { 1, 2, 3, 64, 65, 500, 1024 };
	struct batch *b = batch_new();
	uint64_t n = 0, seen = 0;
	char payload[128];

	for (int round = 0; round < 40; round++) {
		unsigned int count = counts[round % 7];

		batch_reset(b);
		for (unsigned int i = 0; i < count; i++, n++) {
			pattern_fill(payload, n % 100, n);
			batch_add(b, payload, n % 100);
			if (n % 10 == 3)
				batch_attr_u64(b, MQ_ATTR_PRODUCER_ID, n);
		}
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
		while (seen < n) {
			int got = batch_parse(buf, read(rd, buf, 3000 + round * 1000), r, 1 << 14, NULL);

			need(got > 0);
			for (int i = 0; i < got; i++, seen++) {
				const uint64_t *id;
				size_t len;

				need_eq(r[i].e->offset, seen);
				need_eq(r[i].e->len, seen % 100);
				need(pattern_ok(r[i].payload, seen % 100, seen));
				id = rec_attr(&r[i], MQ_ATTR_PRODUCER_ID, 0, &len);
				need((id != NULL) == (seen % 10 == 3));
				need(!id || !memcmp(id, &seen, 8));
			}
		}
	}
	expect_eq(file_stat(rd).lost_messages, 0);
	expect_eq(topic_counters(t).messages_in, n);
}

TEST(record_quarter, "a batch over a quarter of a ring is EMSGSIZE, of a quarter it is not")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64, .attr_bytes = 4096);
	int fd = rec_open(t, O_WRONLY);
	struct batch *b = batch_new();
	static char payload[8193], key[1020];

	memset(key, 'k', sizeof(key));
	batch_add(b, payload, 8192);		/* data: 16,384 */
	batch_add(b, payload, 8193);
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EMSGSIZE);
	batch_reset(b);
	batch_add(b, payload, 8192);
	batch_add(b, payload, 8192);
	expect(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	batch_reset(b);
	for (int i = 0; i < 17; i++)		/* index: 16 */
		batch_add(b, "x", 1);
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EMSGSIZE);
	batch_reset(b);
	for (int i = 0; i < 16; i++)
		batch_add(b, "x", 1);
	expect(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	batch_reset(b);
	batch_add(b, "x", 1);
	batch_attr(b, MQ_ATTR_KEY, key, 1020);	/* attributes: 1,024 */
	expect(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	batch_add(b, "x", 1);
	batch_attr(b, MQ_ATTR_TAG, "t", 1);
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EMSGSIZE);
	expect_eq(topic_counters(t).messages_in, 2 + 16 + 1);
}

TEST(record_max, "a record over max_message_bytes is EMSGSIZE, and the whole batch with it")
{
	const char *t = topic_new(.max_message_bytes = 100);
	int fd = rec_open(t, O_WRONLY);
	struct batch *b = batch_new();
	char payload[101] = "";

	batch_add(b, payload, 100);
	batch_add(b, payload, 101);
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EMSGSIZE);
	expect_eq(topic_counters(t).messages_in, 0);
	batch_reset(b);
	batch_add(b, payload, 100);
	batch_add(b, payload, 100);
	expect(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
}

TEST(record_empty, "an empty payload is a message with an offset that plain reads skip")
{
	const char *t = topic_new();
	int fd = rec_open(t, O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int rec = rec_open(t, O_RDONLY), end;
	struct batch *b = batch_new();
	struct async a;
	char got[64];
	int wait;

	batch_add(b, "", 0);
	batch_attr(b, MQ_ATTR_KEY, "dead", 4);
	need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	expect_eq(file_readable(rd), 0);
	end = topic_open(t, "+until=end", O_RDONLY);
	expect_ret(read(end, got, sizeof(got)), 0);
	/* It does not even wake a plain reader. */
	wait = topic_open(t, "", O_RDONLY);
	async_read(&a, wait, got, sizeof(got));
	expect_waits(&a);
	need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	expect_waits(&a);
	batch_reset(b);
	batch_add(b, "", 0);
	batch_add(b, "alive", 5);
	batch_add(b, "", 0);
	need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	need(async_end(&a, SOON));
	expect_mem(got, a.ret, "alive", 5);
	expect_mem(got, read(rd, got, sizeof(got)), "alive", 5);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	need_eq(PARSE(rec, NULL), 5);
	expect_eq(r[0].e->len, 0);
	expect_attr(&r[0], MQ_ATTR_KEY, "dead", 4);
	expect_eq(r[4].e->offset, 4);
	expect_eq(r[4].e->position, 5);
	expect_eq(partition_state(t, 0).head_position, 5);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(record_waits, "a record read waits at the end, until=end returns 0 there")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+format=record", O_RDONLY), end;
	struct async a;

	async_read(&a, rd, buf, sizeof(buf));
	expect_waits(&a);
	need_ret(write(fd, "x", 1), 1);
	need(async_end(&a, SOON));
	need_eq(batch_parse(buf, a.ret, r, 4, NULL), 1);
	end = topic_open(t, "+format=record+until=end", O_RDONLY);
	need_ret(write(fd, "y", 1), 1);
	need_eq(PARSE(end, NULL), 1);
	expect_ret(read(end, buf, sizeof(buf)), 0);
}

TEST(record_fault, "A.4: a record read into bad memory is EFAULT and moves nothing")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = rec_open(t, O_RDONLY);
	struct iovec iov[2] = { { buf, 100 }, { bad_ptr, 4096 } };

	for (int i = 0; i < 10; i++)
		need_ret(write(fd, "12345", 5), 5);
	expect_err(read(rd, bad_ptr, 4096), EFAULT);
	expect_err(readv(rd, iov, 2), EFAULT);
	expect_eq(lseek(rd, 0, SEEK_CUR), 0);
	need_eq(PARSE(rd, NULL), 10);
	expect_err(write(rd, buf, 10), EBADF);
}

TEST(record_iov, "a batch may be gathered from, and scattered to, pieces of any size")
{
	const char *t = topic_new();
	int fd = rec_open(t, O_RDWR);
	struct batch *b = batch_new();
	static struct iovec iov[1024];
	size_t len;
	char *flat;

	for (int i = 0; i < 20; i++) {
		batch_add(b, "some payload here", 1 + i % 17);
		batch_attr_u32(b, MQ_ATTR_SCHEMA_ID, i);
	}
	flat = batch_build(b, MQ_PARTITION_ANY, &len);
	need(len <= 1024 * 7);
	for (size_t i = 0; i * 7 < len; i++)
		iov[i] = (struct iovec) { flat + i * 7, len - i * 7 < 7 ? len - i * 7 : 7 };
	expect_ret(writev(fd, iov, (len + 6) / 7), len);
	for (size_t i = 0; i < 1024; i++)
		iov[i] = (struct iovec) { (char *)buf + i * 5, 5 };
	need_eq(batch_parse(buf, readv(fd, iov, 1024), r, 20, NULL), 20);
	for (unsigned int i = 0; i < 20; i++)
		expect_attr(&r[i], MQ_ATTR_SCHEMA_ID, &i, 4);
}

TEST(record_id, "a batch that names another topic's id is ESTALE; the topic's own, or none, is right")
{
	const char *t = topic_new(), *other = topic_new();
	int fd = rec_open(t, O_WRONLY);
	struct mq_stat mine = file_stat(fd), theirs = file_stat(rec_open(other, O_WRONLY));
	struct batch *b = batch_new();
	struct mq_batch *head;
	size_t len;

	batch_add(b, "x", 1);
	head = batch_build(b, MQ_PARTITION_ANY, &len);
	expect_ret(write(fd, head, len), len);
	memcpy(head->topic_id, mine.topic_id, 16);
	expect_ret(write(fd, head, len), len);
	memcpy(head->topic_id, theirs.topic_id, 16);
	expect_err(write(fd, head, len), ESTALE);
	memset(head->topic_id, 0, 16);
	/* Not 0, which would be no id. */
	head->topic_id[15] = mine.topic_id[15] == 1 ? 2 : 1;
	expect_err(write(fd, head, len), ESTALE);
	expect_eq(topic_counters(t).messages_in, 2);
	expect(memcmp(mine.topic_id, theirs.topic_id, 16));
}

TEST(record_stamp, "stamped attributes: the kernel writes them, nobody else may")
{
	const char *t = topic_new(.stamp = MQ_STAMP_UID | MQ_STAMP_CGROUP, .mode = 0666);
	int fd = topic_open(t, "", O_WRONLY), rec = rec_open(t, O_WRONLY), rd = rec_open(t, O_RDONLY);
	struct batch *b = batch_new();
	const uint64_t *cgroup;
	pid_t pid;
	size_t len;

	need_ret(write(fd, "root", 4), 4);
	batch_add(b, "record", 6);
	batch_attr(b, MQ_ATTR_TAG, "mine", 4);
	need(batch_write(b, rec, MQ_PARTITION_ANY) > 0);
	pid = fork();
	if (!pid)
		_exit(setresuid(1234, 1234, 1234) || write(fd, "user", 4) != 4);
	need(child_ok(pid, SOON));
	for (unsigned int type = MQ_ATTR_WRITER_UID; type <= MQ_ATTR_WRITER_CGROUP; type++) {
		batch_reset(b);
		batch_add(b, "forged", 6);
		if (type == MQ_ATTR_WRITER_UID)
			batch_attr_u32(b, type, 0);
		else
			batch_attr_u64(b, type, 1);
		expect_err(batch_write(b, rec, MQ_PARTITION_ANY), EINVAL);
	}
	need_eq(PARSE(rd, NULL), 3);
	expect_attr(&r[0], MQ_ATTR_WRITER_UID, &(uint32_t) { 0 }, 4);
	expect_attr(&r[1], MQ_ATTR_WRITER_UID, &(uint32_t) { 0 }, 4);
	expect_attr(&r[1], MQ_ATTR_TAG, "mine", 4);
	expect_attr(&r[2], MQ_ATTR_WRITER_UID, &(uint32_t) { 1234 }, 4);
	cgroup = rec_attr(&r[0], MQ_ATTR_WRITER_CGROUP, 0, &len);
	expect(cgroup && len == 8);
	expect_eq(r[2].e->uid, 0);	/* the opener's */
}

TEST(record_stamp_quarter, "what is stamped counts for the quarter of the attributes' ring")
{
	const char *t = topic_new(.stamp = MQ_STAMP_UID | MQ_STAMP_CGROUP, .attr_bytes = 4096);
	int fd = rec_open(t, O_WRONLY);
	struct batch *b = batch_new();

	for (int i = 0; i < 51; i++)		/* 20 bytes each: 1,020 */
		batch_add(b, "x", 1);
	expect(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	batch_add(b, "x", 1);
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), EMSGSIZE);
	expect_eq(topic_counters(t).messages_in, 51);
}

TEST(record_stamp_batch, "in a batch each message keeps its own attributes, with the stamped ones behind them")
{
	const char *t = topic_new(.stamp = MQ_STAMP_UID, .ring_messages = 64);
	int rec = rec_open(t, O_WRONLY), rd = rec_open(t, O_RDONLY);
	struct batch *b = batch_new();
	char tag[16];

	/* More than once around the index. */
	for (int round = 0; round < 9; round++) {
		batch_reset(b);
		for (int i = 0; i < 13; i++) {
			batch_add(b, "record", 1 + i % 6);
			snprintf(tag, sizeof(tag), "%d of round %d", i, round);
			if (i % 4)
				batch_attr(b, MQ_ATTR_TAG, tag, strlen(tag));
		}
		need(batch_write(b, rec, MQ_PARTITION_ANY) > 0);
		need_eq(PARSE(rd, NULL), 13);
		for (int i = 0; i < 13; i++) {
			snprintf(tag, sizeof(tag), "%d of round %d", i, round);
			if (i % 4)
				expect_attr(&r[i], MQ_ATTR_TAG, tag, strlen(tag));
			expect_attr(&r[i], MQ_ATTR_WRITER_UID, &(uint32_t) { 0 }, 4);
		}
	}
}

TEST(record_unstamped, "stamped types are EINVAL on write on topics that do not stamp, too")
{
	const char *t = topic_new();
	int rec = rec_open(t, O_WRONLY);
	struct batch *b = batch_new();

	batch_add(b, "forged", 6);
	batch_attr_u32(b, MQ_ATTR_WRITER_UID, 0);
	expect_err(batch_write(b, rec, MQ_PARTITION_ANY), EINVAL);
	expect_eq(topic_counters(t).messages_in, 0);
}
