// SPDX-License-Identifier: GPL-2.0
/* lseek by position, MQ_IOC_SEEK by offset and time; both sides of each end. */
#define _GNU_SOURCE
#include <inttypes.h>

#include "mqtest.h"

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

static const int modes[] = { O_RDONLY, O_RDWR };

TEST(seek_set, "A.5: SEEK_SET: start, end, into the middle of a message; beyond the end EINVAL")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	char got[64];

	put(fd, "abcdef");
	put(fd, "ghi");
	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		expect_eq(lseek(rd, 2, SEEK_SET), 2);
		expect_mem(got, read(rd, got, 64), "cdef", 4);
		expect_eq(lseek(rd, 5, SEEK_SET), 5);
		expect_mem(got, read(rd, got, 64), "f", 1);
		expect_eq(lseek(rd, 0, SEEK_SET), 0);
		expect_mem(got, read(rd, got, 64), "abcdef", 6);
		expect_eq(lseek(rd, 9, SEEK_SET), 9);
		expect_err(read(rd, got, 64), EAGAIN);
		expect_eq(lseek(rd, 6, SEEK_SET), 6);
		expect_err(lseek(rd, 10, SEEK_SET), EINVAL);
		expect_err(lseek(rd, -1, SEEK_SET), EINVAL);
		expect_err(lseek(rd, INT64_MAX, SEEK_SET), EINVAL);
		expect_err(lseek(rd, INT64_MIN, SEEK_SET), EINVAL);
		expect_err(lseek(rd, 0, 99), EINVAL);
		expect_mem(got, read(rd, got, 64), "ghi", 3);	/* nothing moved it */
		expect_eq(file_stat(rd).lost_messages, 0);
		close(rd);
	}
}

TEST(seek_cur, "A.5: SEEK_CUR: forth and back, not below 0, not beyond the end")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	char got[64];

	put(fd, "abcdef");
	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		expect_eq(lseek(rd, 0, SEEK_CUR), 0);
		expect_eq(lseek(rd, 4, SEEK_CUR), 4);
		expect_eq(lseek(rd, -3, SEEK_CUR), 1);
		expect_err(lseek(rd, -2, SEEK_CUR), EINVAL);
		expect_err(lseek(rd, 6, SEEK_CUR), EINVAL);
		expect(lseek(rd, INT64_MAX, SEEK_CUR) == -1 && (errno == EINVAL || errno == EOVERFLOW));
		expect_err(lseek(rd, INT64_MIN, SEEK_CUR), EINVAL);
		expect_mem(got, read(rd, got, 64), "bcdef", 5);
		expect_eq(lseek(rd, 0, SEEK_CUR), 6);
		close(rd);
	}
}

TEST(seek_end, "A.5: SEEK_END, then read: only new ones; back from the end; not beyond it")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);
	uint64_t end = 0;
	char got[64];

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		put(fd, "old");
		end += 3;
		expect_eq(lseek(rd, 0, SEEK_END), end);
		expect_err(read(rd, got, 64), EAGAIN);
		put(fd, "new");
		end += 3;
		expect_mem(got, read(rd, got, 64), "new", 3);
		expect_eq(lseek(rd, -3, SEEK_END), end - 3);
		expect_mem(got, read(rd, got, 64), "new", 3);
		expect_eq(lseek(rd, -1, SEEK_END), end - 1);
		expect_mem(got, read(rd, got, 64), "w", 1);
		expect_err(lseek(rd, 1, SEEK_END), EINVAL);
		expect_err(lseek(rd, -(off_t)end - 1, SEEK_END), EINVAL);
		expect_eq(lseek(rd, -(off_t)end, SEEK_END), 0);
		close(rd);
	}
}

/* 100 messages of 10 bytes "m00000042.", of which 64 are retained. */
static const char *evicted_topic(void)
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY);
	char text[32];

	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "m%08d.", i);
		put(fd, text);
	}
	need_eq(partition_state(t, 0).tail_offset, 36);
	need_eq(partition_state(t, 0).tail_position, 360);
	close(fd);
	return t;
}

TEST(seek_data, "A.5: SEEK_DATA: the oldest retained at or after; nothing at or after is ENXIO")
{
	const char *t = evicted_topic();
	char got[64];

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		expect_eq(lseek(rd, 0, SEEK_DATA), 360);
		expect_eq(lseek(rd, 359, SEEK_DATA), 360);
		expect_eq(lseek(rd, 360, SEEK_DATA), 360);
		expect_mem(got, read(rd, got, 64), "m00000036.", 10);
		expect_eq(lseek(rd, 500, SEEK_DATA), 500);
		expect_mem(got, read(rd, got, 64), "m00000050.", 10);
		expect_eq(lseek(rd, 999, SEEK_DATA), 999);
		expect_err(lseek(rd, 1000, SEEK_DATA), ENXIO);
		expect_err(lseek(rd, -1, SEEK_DATA), ENXIO);
		expect_eq(file_stat(rd).lost_messages, 0);
		close(rd);
	}
}

TEST(seek_pread, "A.5: reads at a position of their own: negative, in a message, gone, at and beyond the end")
{
	const char *t = evicted_topic();
	static const char *const options[] = { "", "+until=end" };
	char got[64];

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, options[i], O_RDONLY | O_NONBLOCK);

		expect_err(pread(rd, got, 64, -1), EINVAL);
		expect_err(pread(rd, got, 64, INT64_MIN), EINVAL);
		expect_mem(got, pread(rd, got, 64, 504), "00050.", 6);
		expect_err(pread(rd, got, 64, 0), ENOBUFS);
		expect_err(pread(rd, got, 64, 359), ENOBUFS);
		for (int k = 0; k < 3; k++) {
			static const off_t beyond[] = { 1000, 1001, INT64_MAX };
			ssize_t n = pread(rd, got, 64, beyond[k]);

			/* Nothing there, as at a file's end. */
			if (n != 0 && (n != -1 || (errno != EAGAIN && errno != EINVAL)))
				fail("pread at %lld: %zd, %s", (long long)beyond[k], n,
				     mqt_errno(errno));
		}
		/* None of them moved it or lost it anything. */
		expect_eq(file_stat(rd).lost_messages, 0);
		expect_mem(got, read(rd, got, 64), "m00000036.", 10);
		close(rd);
	}
}

TEST(seek_lost, "A.5: a seek to before the oldest, then a read: ENOBUFS once, the range counted")
{
	const char *t = evicted_topic();
	char got[64];

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		expect_mem(got, read(rd, got, 64), "m00000036.", 10);
		expect_eq(lseek(rd, 0, SEEK_SET), 0);
		expect_err(read(rd, got, 64), ENOBUFS);
		expect_eq(file_stat(rd).lost_messages, 36);
		expect_eq(file_stat(rd).overruns, 1);
		expect_eq(lseek(rd, 0, SEEK_CUR), 360);
		expect_mem(got, read(rd, got, 64), "m00000036.", 10);
		expect_eq(file_stat(rd).lost_messages, 36);
		close(rd);
	}
}

TEST(seek_ioctl, "A.5: MQ_IOC_SEEK: oldest, newest, offset; gone ENOBUFS, beyond EINVAL, nothing moves")
{
	const char *t = evicted_topic();
	struct mq_seek seek;
	char got[64];

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		expect_ret(file_seek(rd, MQ_SEEK_OFFSET, 50, &seek), 0);
		expect_eq(seek.offset, 50);
		expect_eq(seek.position, 500);
		expect_eq(lseek(rd, 0, SEEK_CUR), 500);
		expect_mem(got, read(rd, got, 64), "m00000050.", 10);
		expect_ret(file_seek(rd, MQ_SEEK_OLDEST, 0, &seek), 0);
		expect_eq(seek.offset, 36);
		expect_eq(seek.position, 360);
		expect_mem(got, read(rd, got, 64), "m00000036.", 10);
		expect_ret(file_seek(rd, MQ_SEEK_NEWEST, 0, &seek), 0);
		expect_eq(seek.offset, 100);
		expect_err(read(rd, got, 64), EAGAIN);
		expect_ret(file_seek(rd, MQ_SEEK_OFFSET, 36, &seek), 0);
		expect_ret(file_seek(rd, MQ_SEEK_OFFSET, 99, &seek), 0);
		expect_ret(file_seek(rd, MQ_SEEK_OFFSET, 100, &seek), 0);
		expect_ret(file_seek(rd, MQ_SEEK_OFFSET, 40, &seek), 0);
		expect_err(file_seek(rd, MQ_SEEK_OFFSET, 35, NULL), ENOBUFS);
		expect_err(file_seek(rd, MQ_SEEK_OFFSET, 0, NULL), ENOBUFS);
		expect_err(file_seek(rd, MQ_SEEK_OFFSET, 101, NULL), EINVAL);
		expect_err(file_seek(rd, MQ_SEEK_OFFSET, UINT64_MAX, NULL), EINVAL);
		expect_err(file_seek(rd, MQ_SEEK_OLDEST, 1, NULL), EINVAL);
		expect_err(file_seek(rd, MQ_SEEK_NEWEST, 1, NULL), EINVAL);
		expect_err(file_seek(rd, MQ_SEEK_TIME + 1, 0, NULL), EINVAL);
		expect_err(file_seek(rd, UINT32_MAX, 0, NULL), EINVAL);
		expect_mem(got, read(rd, got, 64), "m00000040.", 10);
		expect_eq(file_stat(rd).lost_messages, 0);
		close(rd);
	}
	expect_err(file_seek(topic_open(t, "", O_WRONLY), MQ_SEEK_OLDEST, 0, NULL), EBADF);
}

TEST(seek_record, "A.5: on format=record files the position, lseek included, is the offset")
{
	const char *t = evicted_topic();
	static uint64_t buf[4096];
	struct mq_seek seek;
	struct rec r[100];

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "+format=record", modes[i] | O_NONBLOCK);

		expect_eq(lseek(rd, 0, SEEK_CUR), 36);
		expect_eq(lseek(rd, 90, SEEK_SET), 90);
		expect_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 100, NULL), 10);
		expect_eq(r[0].e->offset, 90);
		expect_eq(lseek(rd, 0, SEEK_CUR), 100);
		expect_eq(lseek(rd, -2, SEEK_END), 98);
		expect_eq(lseek(rd, 0, SEEK_DATA), 36);
		expect_eq(lseek(rd, 0, SEEK_END), 100);
		expect_err(lseek(rd, 101, SEEK_SET), EINVAL);
		expect_err(lseek(rd, 1, SEEK_END), EINVAL);
		expect_ret(file_seek(rd, MQ_SEEK_OFFSET, 77, &seek), 0);
		expect_eq(lseek(rd, 0, SEEK_CUR), 77);
		expect_eq(lseek(rd, 0, SEEK_SET), 0);
		expect_err(read(rd, buf, sizeof(buf)), ENOBUFS);
		expect_eq(file_stat(rd).lost_messages, 36);
		expect_eq(lseek(rd, 0, SEEK_CUR), 36);
		close(rd);
	}
}

/* A file at message @off of evicted_topic() says so, in bytes, too. */
static void expect_place(int rd, uint64_t off, uint64_t pos)
{
	struct mq_stat st = file_stat(rd);

	expect_eq(lseek(rd, 0, SEEK_CUR), off);
	expect_eq(st.offset, off);
	expect_eq(st.position, pos);
	expect_eq(st.lag_messages, 100 - off);
	expect_eq(st.lag_bytes, 1000 - pos);
	expect_eq(file_readable(rd), 1000 - (pos < 360 ? 360 : pos));
	expect_eq(fdinfo_u64(rd, "mq-position"), pos);
	expect_eq(fdinfo_u64(rd, "mq-lag-bytes"), 1000 - pos);
}

TEST(seek_record_bytes, "after an lseek on a format=record file bytes, too, are counted from there")
{
	const char *t = evicted_topic();
	static uint64_t buf[4096];

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "+format=record", modes[i] | O_NONBLOCK);

		expect_eq(lseek(rd, 0, SEEK_END), 100);
		expect_place(rd, 100, 1000);
		expect_eq(lseek(rd, 40, SEEK_SET), 40);
		expect_place(rd, 40, 400);
		expect_eq(lseek(rd, 50, SEEK_CUR), 90);
		expect_place(rd, 90, 900);
		expect_eq(lseek(rd, 0, SEEK_DATA), 36);
		expect_place(rd, 36, 360);
		expect_eq(lseek(rd, 36, SEEK_HOLE), 100);
		expect_place(rd, 100, 1000);
		/* Gone: somewhere before the oldest, until the read that tells it. */
		expect_eq(lseek(rd, 0, SEEK_SET), 0);
		expect_eq(file_stat(rd).offset, 0);
		expect(file_stat(rd).position < 360);
		expect_eq(file_readable(rd), 640);
		expect_err(read(rd, buf, sizeof(buf)), ENOBUFS);
		expect_eq(file_stat(rd).lost_messages, 36);
		expect_place(rd, 36, 360);
		close(rd);
	}
}

TEST(seek_record_watermark, "after an lseek on a format=record file a watermark counts bytes from there")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+format=record", O_RDONLY);
	struct mq_watermark mark = { .size = sizeof(mark), .bytes = 100,
				     .delay = 60 * 1000000000ULL };
	static uint64_t buf[4096];
	struct async a;
	struct rec r[4];

	for (int i = 0; i < 50; i++)
		put(fd, "abcdef");
	need_ret(ioctl(rd, MQ_IOC_WATERMARK, &mark), 0);
	expect_eq(lseek(rd, 0, SEEK_END), 50);
	async_read(&a, rd, buf, sizeof(buf));
	put(fd, "less than a hundred bytes");
	expect_waits(&a);
	for (int i = 0; i < 2; i++)
		put(fd, "with these it is enough, and the reader is woken");
	need(async_end(&a, SOON));
	if (expect_eq(batch_parse(buf, a.ret, r, 4, NULL), 3))
		expect_eq(r[0].e->offset, 50);
}

TEST(seek_writer, "a write-only file's seeks do not disturb its writes")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[64];

	put(fd, "one");
	lseek(fd, 0, SEEK_SET);
	put(fd, "two");
	expect_mem(got, read(rd, got, 64), "one", 3);
	expect_mem(got, read(rd, got, 64), "two", 3);
}

TEST_LIMIT(seek_time_back, "D.25: time stamps never go back; a clock set back by 20 s starts a new run, flagged", 90)
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+format=record", O_RDONLY);
	static uint64_t buf[4096];
	struct timespec ts;
	struct mq_seek seek;
	struct rec r[16];
	int64_t first, back;
	bool ok;

	put(fd, "0 before");
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec -= 5;
	if (clock_settime(CLOCK_REALTIME, &ts))
		skip("cannot set the clock: %s", mqt_errno(errno));
	put(fd, "1 five seconds back");
	put(fd, "2");
	ts.tv_sec -= 20;
	need(!clock_settime(CLOCK_REALTIME, &ts));
	put(fd, "3 much further back");
	sleep_ms(50);
	put(fd, "4");
	ok = batch_parse(buf, read(rd, buf, sizeof(buf)), r, 16, NULL) == 5;
	ts.tv_sec += 25;	/* as it was, but for the time in between */
	need(!clock_settime(CLOCK_REALTIME, &ts));
	need(ok);
	first = r[0].e->timestamp;
	expect(r[1].e->timestamp >= first && r[2].e->timestamp >= r[1].e->timestamp);
	for (int i = 0; i < 5; i++)
		expect_eq(r[i].e->flags, i == 3 ? MQ_ENTRY_CLOCK_BACK : 0);
	back = r[3].e->timestamp;
	expect(back < first - 10000000000LL);
	expect(r[4].e->timestamp >= back);
	/* A time that both runs know is looked for in the newest. */
	expect_ret(file_seek(rd, MQ_SEEK_TIME, back, &seek), 0);
	expect_eq(seek.offset, 3);
	expect_ret(file_seek(rd, MQ_SEEK_TIME, back + 1, &seek), 0);
	expect_eq(seek.offset, 4);
	expect_ret(file_seek(rd, MQ_SEEK_TIME, first - 10000000000LL, &seek), 0);
	expect_eq(seek.offset, 5);
	/* One before all of the newest in the run before. */
	expect_ret(file_seek(rd, MQ_SEEK_TIME, back - 1, &seek), 0);
	expect_eq(seek.offset, 0);
	put(fd, "5 forward again");
	need_eq(lseek(rd, 5, SEEK_SET), 5);
	need_eq(batch_parse(buf, read(rd, buf, sizeof(buf)), r, 16, NULL), 1);
	expect_eq(r[0].e->flags, 0);
	expect(r[0].e->timestamp > back);
}
