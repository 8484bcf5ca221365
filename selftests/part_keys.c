// SPDX-License-Identifier: GPL-2.0
/* Topics of several partitions: routing, reading in turn, adding partitions. */
#define _GNU_SOURCE
#include <inttypes.h>

#include "mqtest.h"

#define PARTS	4

static uint64_t buf[1 << 15];
static struct rec r[4096];

static int part_open(const char *t, unsigned int n, int flags)
{
	char option[16];

	snprintf(option, sizeof(option), "@%u", n);
	return topic_open(t, option, flags);
}

static uint64_t head(const char *t, unsigned int n)
{
	return partition_state(t, n).head_offset;
}

TEST(key_vectors, "the key hash is Kafka's murmur2, as its own test vectors say")
{
	/* org.apache.kafka.common.utils.UtilsTest.testMurmur2 */
	static const struct {
		const char *key;
		int32_t hash;
	} vectors[] = {
		{ "21", -973932308 },
		{ "foobar", -790332482 },
		{ "a-little-bit-long-string", -985981536 },
		{ "a-little-bit-longer-string", -1486304829 },
		{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 },
		{ "abc", 479470107 },
	};
	const char *t = topic_new();
	int fd = topic_open(t, "+format=record", O_RDWR);

	for (int i = 0; i < 6; i++) {
		need(write_keyed(fd, vectors[i].key, "x", 1) > 0);
		need_eq(batch_parse(buf, read(fd, buf, sizeof(buf)), r, 4, NULL), 1);
		expect_eq((int32_t)r[0].e->key_hash, vectors[i].hash);
		expect_eq(kafka_hash(vectors[i].key, strlen(vectors[i].key)), r[0].e->key_hash);
		expect_eq(r[0].e->flags, MQ_ENTRY_KEY);
	}
}

TEST(key_routing, "a write with a key goes to partition (hash & 0x7fffffff) % N")
{
	const char *t = topic_new(.partitions = PARTS);
	int fd = topic_open(t, "+format=record", O_WRONLY);
	unsigned int want[PARTS] = { 0 };
	char key[32];

	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		need(write_keyed(fd, key, key, strlen(key)) > 0);
		want[(kafka_hash(key, strlen(key)) & 0x7fffffff) % PARTS]++;
	}
	for (unsigned int n = 0; n < PARTS; n++) {
		int rd = part_open(t, n, O_RDONLY | O_NONBLOCK);
		char got[64], last[64] = "";

		expect_eq(head(t, n), want[n]);
		expect(want[n] > 20);
		for (unsigned int i = 0; i < want[n]; i++) {
			ssize_t len = read(rd, got, sizeof(got) - 1);

			need(len > 0);
			got[len] = 0;
			expect_eq((kafka_hash(got, len) & 0x7fffffff) % PARTS, n);
			/* Keys were written in the order of their numbers. */
			expect(!last[0] || atoi(got + 4) > atoi(last + 4));
			strcpy(last, got);
		}
		expect_err(read(rd, got, 1), EAGAIN);
	}
}

TEST(key_none, "without a key a file sticks to one partition; files spread over all")
{
	const char *t = topic_new(.partitions = PARTS);
	unsigned int used[PARTS] = { 0 }, files = 40;

	for (unsigned int i = 0; i < files; i++) {
		int fd = topic_open(t, "", O_WRONLY);
		uint64_t before[PARTS];
		int touched = 0;

		for (unsigned int n = 0; n < PARTS; n++)
			before[n] = head(t, n);
		for (int k = 0; k < 5; k++)
			need_ret(write(fd, "x", 1), 1);
		for (unsigned int n = 0; n < PARTS; n++) {
			uint64_t more = head(t, n) - before[n];

			touched += more != 0;
			expect(more == 0 || more == 5);
			used[n] += more != 0;
		}
		expect_eq(touched, 1);
		close(fd);
	}
	for (unsigned int n = 0; n < PARTS; n++)
		expect(used[n] > 0);
}

TEST(part_file, "t@n is one partition's file, for reading and writing")
{
	const char *t = topic_new(.partitions = PARTS);
	int w2 = topic_open(t, "@2", O_WRONLY), r2 = topic_open(t, "@2", O_RDONLY | O_NONBLOCK);
	int r1 = topic_open(t, "@1+until=end", O_RDONLY);
	char got[64];
	struct stat st;
	int fd;

	need_ret(write(w2, "two", 3), 3);
	expect_mem(got, read(r2, got, sizeof(got)), "two", 3);
	expect_err(read(r2, got, sizeof(got)), EAGAIN);
	expect_ret(read(r1, got, sizeof(got)), 0);
	expect_mem(got, pread(r2, got, sizeof(got), 1), "wo", 2);
	expect_eq(lseek(r2, 0, SEEK_SET), 0);
	expect_eq(file_stat(r2).partition, 2);
	expect_eq(file_stat(r2).partitions, PARTS);
	need(!fstat(r2, &st));
	expect_eq(st.st_size, 3);
	fd = topic_try_open(t, "@4", O_RDONLY);
	expect(fd == -1 && errno == ENOENT);
	static const char *const bad[] = { "@", "@x", "@-1", "@01x", "@0x1", "@4294967296", "@1@2",
					   "@ 1", "@1+group", "@1+from=x" };
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = topic_try_open(t, bad[i], O_RDONLY);
		if (fd != -1 || errno != ENOENT)
			fail("%s: %s", bad[i], fd < 0 ? mqt_errno(errno) : "opened");
	}
	/* On a partition's own file keys do not route. */
	fd = topic_open(t, "@3+format=record", O_WRONLY);
	for (int i = 0; i < 20; i++)
		need(write_keyed(fd, (char [8]) { 'k', 'a' + i }, "x", 1) > 0);
	expect_eq(head(t, 3), 20);
}

TEST(part_single, "on a topic of one partition t and t@0 are the same log, and t has positions")
{
	const char *t = topic_new();
	int fd = topic_open(t, "@0", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char got[64];

	need_ret(write(fd, "one", 3), 3);
	need_ret(write(fd, "two", 3), 3);
	expect_mem(got, pread(rd, got, 64, 3), "two", 3);
	expect_mem(got, read(rd, got, 64), "one", 3);
	expect_eq(lseek(rd, 3, SEEK_SET), 3);
	close(topic_open(t, "+from=1", O_RDONLY));
}

TEST(part_counts, "who has a partition open is counted there, and no longer")
{
	const char *t = topic_new(.partitions = 2);
	int all = topic_open(t, "", O_RDONLY), one = topic_open(t, "@1", O_RDWR);

	expect_eq(partition_state(t, 0).stats.readers, 1);
	expect_eq(partition_state(t, 1).stats.readers, 2);
	expect_eq(partition_state(t, 0).stats.writers, 0);
	expect_eq(partition_state(t, 1).stats.writers, 1);
	close(all);
	expect_eq(partition_state(t, 0).stats.readers, 0);
	expect_eq(partition_state(t, 1).stats.readers, 1);
	close(one);
	expect_eq(partition_state(t, 1).stats.readers, 0);
	expect_eq(partition_state(t, 1).stats.writers, 0);
}

TEST(part_turn, "a read takes from the partitions in turn, each in its order, none starves")
{
	const char *t = topic_new(.partitions = PARTS);
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK), w[PARTS];
	unsigned int next[PARTS] = { 0 }, last = PARTS, same = 0;
	char text[32], got[32];

	for (unsigned int n = 0; n < PARTS; n++) {
		w[n] = part_open(t, n, O_WRONLY);
		for (int i = 0; i < 50; i++) {
			int len = snprintf(text, sizeof(text), "%u %d", n, i);

			need_ret(write(w[n], text, len), len);
		}
	}
	for (int i = 0; i < 50 * PARTS; i++) {
		ssize_t len = read(rd, got, sizeof(got) - 1);
		unsigned int n, k;

		need(len > 0);
		got[len] = 0;
		need(sscanf(got, "%u %u", &n, &k) == 2 && n < PARTS);
		expect_eq(k, next[n]);
		next[n]++;
		same += n == last;
		last = n;
	}
	expect_eq(same, 0);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	for (unsigned int n = 0; n < PARTS; n++)
		expect_eq(next[n], 50);
}

TEST(part_short, "a short buffer on t: the rest of that message comes before anything else of its partition")
{
	const char *t = topic_new(.partitions = 2);
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK), w[2];
	char joined[2][64] = { "", "" };
	unsigned int at[2] = { 0 };
	char got;

	for (int n = 0; n < 2; n++) {
		w[n] = topic_open(t, n ? "@1" : "@0", O_WRONLY);
		need_ret(write(w[n], n ? "ABCD" : "abcd", 4), 4);
		need_ret(write(w[n], n ? "EF" : "ef", 2), 2);
	}
	while (read(rd, &got, 1) == 1) {
		int n = got < 'a';

		joined[n][at[n]++] = got;
	}
	expect_mem(joined[0], at[0], "abcdef", 6);
	expect_mem(joined[1], at[1], "ABCDEF", 6);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(part_limits, "t of several partitions: pread ESPIPE, lseek only start and end, from=N EINVAL")
{
	const char *t = topic_new(.partitions = PARTS);
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK), w, fd;
	struct mq_stat ms;
	struct stat st;
	char got[64];

	for (unsigned int n = 0; n < PARTS; n++) {
		w = part_open(t, n, O_WRONLY);
		need_ret(write(w, "12345", 5), 5);
		close(w);
	}
	expect_err(pread(rd, got, 5, 5), ESPIPE);
	expect_err(lseek(rd, 5, SEEK_SET), EINVAL);
	expect_err(lseek(rd, -1, SEEK_END), EINVAL);
	expect_err(lseek(rd, 3, SEEK_CUR), EINVAL);
	fd = topic_try_open(t, "+from=0", O_RDONLY);
	expect(fd == -1 && errno == EINVAL);
	fd = topic_try_open(t, "+from=1", O_RDONLY);
	expect(fd == -1 && errno == EINVAL);
	expect_err(file_seek(rd, MQ_SEEK_OFFSET, 0, NULL), EINVAL);
	need(!fstat(rd, &st));
	expect_eq(st.st_size, 5 * PARTS);
	expect_eq(file_readable(rd), 5 * PARTS);
	need_ret(read(rd, got, sizeof(got)), 5);
	need_ret(read(rd, got, sizeof(got)), 5);
	expect_eq(lseek(rd, 0, SEEK_CUR), 10);	/* counts bytes delivered */
	ms = file_stat(rd);
	expect_eq(ms.partition, MQ_PARTITION_ANY);
	expect_eq(ms.partitions, PARTS);
	expect_eq(ms.head_offset, PARTS);
	expect_eq(ms.head_position, 5 * PARTS);
	expect_eq(ms.lag_messages, PARTS - 2);
	expect_eq(ms.lag_bytes, 5 * (PARTS - 2));
	expect_eq(lseek(rd, 0, SEEK_SET), 0);
	for (unsigned int n = 0; n < PARTS; n++)
		need_ret(read(rd, got, sizeof(got)), 5);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	expect_eq(lseek(rd, 0, SEEK_SET), 0);
	expect(lseek(rd, 0, SEEK_END) >= 0);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	fd = topic_open(t, "+from=newest", O_RDONLY | O_NONBLOCK);
	expect_err(read(fd, got, sizeof(got)), EAGAIN);
	fd = topic_open(t, "+since=1h+until=end", O_RDONLY);
	for (unsigned int n = 0; n < PARTS; n++)
		need_ret(read(fd, got, sizeof(got)), 5);
	expect_ret(read(fd, got, sizeof(got)), 0);
}

TEST(part_batch, "a batch that spans partitions: all messages at their places, or none at all")
{
	const char *t = topic_new(.partitions = PARTS, .ring_messages = 64, .persistent = 1);
	int fd = topic_open(t, "+format=record", O_WRONLY | O_NONBLOCK);
	uint64_t before[PARTS];
	struct batch *b = batch_new();
	unsigned int written = 0;
	char key[32];
	ssize_t ret;

	for (int round = 0; round < 100; round++) {
		batch_reset(b);
		for (int i = 0; i < 16; i++) {
			snprintf(key, sizeof(key), "%d.%d", round, i);
			batch_add(b, key, strlen(key));
			batch_attr(b, MQ_ATTR_KEY, key, strlen(key));
		}
		for (unsigned int n = 0; n < PARTS; n++)
			before[n] = head(t, n);
		ret = batch_write(b, fd, MQ_PARTITION_ANY);
		if (ret < 0) {
			expect_eq(errno, EAGAIN);
			for (unsigned int n = 0; n < PARTS; n++)
				expect_eq(head(t, n), before[n]);
			break;
		}
		written += 16;
	}
	expect(ret < 0);	/* one of the four is full, the others are not */
	expect(written >= 64 && written < 64 * PARTS);
	expect_eq(topic_counters(t).messages_in, written);
	for (unsigned int n = 0; n < PARTS; n++) {
		int rd = part_open(t, n, O_RDONLY | O_NONBLOCK);
		char got[64];
		ssize_t len;
		int last = -1;

		while ((len = read(rd, got, sizeof(got) - 1)) > 0) {
			int x, y;

			got[len] = 0;
			expect_eq((kafka_hash(got, len) & 0x7fffffff) % PARTS, n);
			need(sscanf(got, "%d.%d", &x, &y) == 2);
			expect(x * 16 + y > last);
			last = x * 16 + y;
		}
	}
}

TEST(part_batch_refused, "a batch that one partition refuses evicts nothing in another")
{
	const char *t = topic_new(.partitions = 2, .ring_messages = 64, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_REJECT);
	int fd = topic_open(t, "+format=record", O_WRONLY), w[2];
	struct batch *b = batch_new();
	uint64_t tail;
	char key[32];

	/* Somebody holds all of the second; the first has let messages go before. */
	part_open(t, 1, O_RDONLY);
	for (unsigned int n = 0; n < 2; n++)
		w[n] = part_open(t, n, O_WRONLY);
	for (int i = 0; i < 100; i++)
		need_ret(write(w[0], "x", 1), 1);
	for (int i = 0; i < 64; i++)
		need_ret(write(w[1], "x", 1), 1);
	expect_err(write(w[1], "x", 1), ENOBUFS);
	while (head(t, 0) - partition_state(t, 0).tail_offset < 64)
		need_ret(write(w[0], "x", 1), 1);
	tail = partition_state(t, 0).tail_offset;
	for (int i = 0; i < 16; i++) {
		snprintf(key, sizeof(key), "%d", i);
		batch_add(b, key, strlen(key));
		batch_attr(b, MQ_ATTR_KEY, key, strlen(key));
	}
	expect_err(batch_write(b, fd, MQ_PARTITION_ANY), ENOBUFS);
	expect_eq(partition_state(t, 0).tail_offset, tail);
	expect_eq(partition_state(t, 1).tail_offset, 0);
}

TEST(part_batch_wakes, "a batch that spans partitions wakes who waits in any of them")
{
	const char *t = topic_new(.partitions = PARTS);
	int fd = topic_open(t, "+format=record", O_WRONLY);
	struct batch *b = batch_new();
	struct async a[PARTS];
	char key[32], got[PARTS][32];

	for (unsigned int n = 0; n < PARTS; n++) {
		async_read(&a[n], part_open(t, n, O_RDONLY), got[n], sizeof(got[n]));
		expect_waits(&a[n]);
	}
	for (int i = 0; i < 32; i++) {
		snprintf(key, sizeof(key), "%d", i);
		batch_add(b, key, strlen(key));
		batch_attr(b, MQ_ATTR_KEY, key, strlen(key));
	}
	need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	for (unsigned int n = 0; n < PARTS; n++)
		need(async_end(&a[n], SOON) && a[n].ret > 0);
}

TEST(part_explicit, "a batch that names a partition goes there, keys or not; a wrong one is EINVAL")
{
	const char *t = topic_new(.partitions = PARTS);
	int fd = topic_open(t, "+format=record", O_WRONLY);
	int one = topic_open(t, "@1+format=record", O_WRONLY);
	struct batch *b = batch_new();

	for (int i = 0; i < 20; i++) {
		batch_add(b, "x", 1);
		batch_attr(b, MQ_ATTR_KEY, &(char) { 'a' + i }, 1);
	}
	expect(batch_write(b, fd, 3) > 0);
	expect_eq(head(t, 3), 20);
	expect_err(batch_write(b, fd, PARTS), EINVAL);
	expect_err(batch_write(b, one, 2), EINVAL);
	expect(batch_write(b, one, 1) > 0);
	expect(batch_write(b, one, MQ_PARTITION_ANY) > 0);
	expect_eq(head(t, 1), 40);
	expect_eq(head(t, 0) + head(t, 2), 0);
}

TEST(part_read_record, "a record read on t returns batches of one partition each")
{
	const char *t = topic_new(.partitions = PARTS);
	int fd = topic_open(t, "+format=record", O_RDWR | O_NONBLOCK);
	unsigned int got[PARTS] = { 0 }, total = 0;
	struct mq_batch h;
	char key[32];

	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		need(write_keyed(fd, key, key, strlen(key)) > 0);
	}
	while (total < 100) {
		int n = batch_parse(buf, read(fd, buf, 1000), r, 4096, &h);

		need(n > 0 && h.partition < PARTS);
		for (int i = 0; i < n; i++) {
			expect_eq((r[i].e->key_hash & 0x7fffffff) % PARTS, h.partition);
			expect_eq(r[i].e->offset, got[h.partition]);
			got[h.partition]++;
		}
		total += n;
	}
	expect_err(read(fd, buf, sizeof(buf)), EAGAIN);
}

TEST(part_add, "adding partitions: an open file joins each at its start, a waiting reader is woken")
{
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), nb = topic_open(t, "", O_RDONLY | O_NONBLOCK), w;
	struct topic_info info;
	char got[64];
	struct async a;

	w = topic_open(t, "", O_WRONLY);
	need_ret(write(w, "zero", 4), 4);
	expect_mem(got, read(rd, got, 64), "zero", 4);
	expect_mem(got, read(nb, got, 64), "zero", 4);
	async_read(&a, rd, got, sizeof(got));
	expect_waits(&a);
	need(topic_set(t, .partitions = 3));
	w = topic_open(t, "@2", O_WRONLY);
	need_ret(write(w, "two", 3), 3);
	need(async_end(&a, SOON));
	expect_mem(got, a.ret, "two", 3);
	expect_mem(got, read(nb, got, 64), "two", 3);
	expect_err(read(nb, got, 64), EAGAIN);
	need_eq(topic_get(t, &info), 0);
	expect_eq(info.o.partitions, 3);
	expect_eq(topic_change(&(struct topic_opts) { .name = t, .partitions = 2 }), -EBUSY);
	expect_eq(partition_dump(t, NULL, NULL), 3);
	/* Keys move: routing is by the number there is now. */
	w = topic_open(t, "+format=record", O_WRONLY);
	for (int i = 0; i < 30; i++) {
		char key[8] = { 'k', 'a' + i };
		uint32_t n = (kafka_hash(key, strlen(key)) & 0x7fffffff) % 3;
		uint64_t before = head(t, n);

		need(write_keyed(w, key, "x", 1) > 0);
		expect_eq(head(t, n), before + 1);
	}
}

TEST(part_add_far, "where the numbers began far out, joining a new partition is no loss")
{
	const char *t = topic_new(.start_offset = 1000, .start_position = 5000);
	int rec = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);

	need(topic_set(t, .partitions = 2));
	need_ret(write(part_open(t, 1, O_WRONLY), "one", 3), 3);
	need_eq(batch_parse(buf, read(rec, buf, sizeof(buf)), r, 4, NULL), 1);
	expect_eq(r[0].e->offset, 1000);
	expect_eq(file_stat(rec).lost_messages, 0);
}

TEST_LIMIT(part_add_traffic, "partitions added under traffic: every message arrives once", 90)
{
	const char *t = topic_new(.hold = MQ_HOLD_READERS, .set = MQT(OVERFLOW));
	enum { N = 3000, WRITERS = 4 };
	int rd = topic_open(t, "", O_RDONLY);
	static unsigned char seen[WRITERS][N];
	unsigned int twice = 0;
	pid_t pid[WRITERS];

	for (uint32_t w = 0; w < WRITERS; w++) {
		pid[w] = fork();
		if (!pid[w]) {
			int fd = topic_open(t, "+format=record", O_WRONLY);

			for (uint32_t i = 0; i < N; i++) {
				uint32_t msg[2] = { w, i };
				char key[16];

				snprintf(key, sizeof(key), "%u", i);
				if (write_keyed(fd, key, msg, 8) < 0)
					_exit(1);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < N * WRITERS; i++) {
		uint32_t msg[2];

		if (i % 1500 == 500)
			need(topic_set(t, .partitions = 2 + i / 1500));
		need_ret(read(rd, msg, sizeof(msg)), 8);
		need(msg[0] < WRITERS && msg[1] < N);
		twice += seen[msg[0]][msg[1]]++;
	}
	for (int w = 0; w < WRITERS; w++)
		expect(child_ok(pid[w], SOON));
	expect_eq(twice, 0);
	expect_eq(topic_counters(t).messages_in, N * WRITERS);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(part_start, "start values given at creation hold for each partition")
{
	const char *t = topic_new(.partitions = 2, .start_offset = 1ULL << 33,
				  .start_position = (1ULL << 34) + 5);

	for (unsigned int n = 0; n < 2; n++) {
		expect_eq(partition_state(t, n).head_offset, 1ULL << 33);
		expect_eq(partition_state(t, n).tail_position, (1ULL << 34) + 5);
	}
}
