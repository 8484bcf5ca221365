// SPDX-License-Identifier: GPL-2.0
/* MQ_IOC_SET_OPTIONS: what a name says of a file, changed after open. */
#define _GNU_SOURCE
#include <poll.h>

#include "mqtest.h"

static char big[65536] __attribute__((aligned(8)));

static int options(int fd, struct mq_options o)
{
	o.size = sizeof(o);
	return ioctl(fd, MQ_IOC_SET_OPTIONS, &o);
}

static int set_overrun(int fd, uint32_t overrun)
{
	return options(fd, (struct mq_options) { .mask = MQ_OPTION_OVERRUN, .overrun = overrun });
}

static int set_until(int fd, uint32_t until)
{
	return options(fd, (struct mq_options) { .mask = MQ_OPTION_UNTIL, .until = until });
}

static struct mq_options get(int fd)
{
	struct mq_options o;

	memset(&o, 0xff, sizeof(o));
	o.size = sizeof(o);
	memset((char *)&o + 4, 0, sizeof(o) - 4);
	need_ret(ioctl(fd, MQ_IOC_GET_OPTIONS, &o), 0);
	return o;
}

static void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

#define expect_read(fd, text)							\
	expect_mem(big, read(fd, big, sizeof(big)), text, strlen(text))

/* The next read is a batch of @count messages from @offset on. */
static void expect_batch(int fd, int count, uint64_t offset)
{
	static struct rec r[64];
	struct mq_batch head;
	int n = batch_parse(big, read(fd, big, sizeof(big)), r, 64, &head);

	if (expect_eq(n, count))
		expect_eq(r[0].e->offset, offset);
}

TEST(options_get, "the options of a name are shown, those set, too; all three are there")
{
	const char *t = topic_new();
	int plain = topic_open(t, "", O_RDONLY), wr = topic_open(t, "+format=record", O_WRONLY);
	int named = topic_open(t, "+format=record+overrun=skip+until=end", O_RDWR);
	struct mq_options o = get(plain);

	expect_eq(o.size, sizeof(o));
	expect_eq(o.mask, MQ_OPTION_FORMAT | MQ_OPTION_OVERRUN | MQ_OPTION_UNTIL);
	expect_eq(o.format, MQ_FORMAT_PLAIN);
	expect_eq(o.overrun, MQ_OVERRUN_REPORT);
	expect_eq(o.until, MQ_UNTIL_NEVER);
	expect_eq(o.reserved, 0);
	expect_eq(get(wr).format, MQ_FORMAT_RECORD);
	o = get(named);
	expect_eq(o.format, MQ_FORMAT_RECORD);
	expect_eq(o.overrun, MQ_OVERRUN_SKIP);
	expect_eq(o.until, MQ_UNTIL_END);
	/* Only those in the mask are set; the call returns what they are. */
	o = (struct mq_options) { .size = sizeof(o), .mask = MQ_OPTION_OVERRUN, .until = 77 };
	need_ret(ioctl(named, MQ_IOC_SET_OPTIONS, &o), 0);
	expect_eq(o.format, MQ_FORMAT_RECORD);
	expect_eq(o.overrun, MQ_OVERRUN_REPORT);
	expect_eq(o.until, MQ_UNTIL_END);
	expect_eq(get(named).overrun, MQ_OVERRUN_REPORT);
	expect_eq(file_stat(named).flags & MQ_STAT_RECORD, MQ_STAT_RECORD);
}

TEST(options_refused, "A.6: unknown bits and values are EINVAL, reading's options EBADF; nothing changes")
{
	const char *t = topic_new();
	int rd = topic_open(t, "", O_RDONLY), wr = topic_open(t, "", O_WRONLY);
	const struct mq_options bad[] = {
		{ .mask = 1U << 3 }, { .mask = 1U << 31 },
		{ .mask = MQ_OPTION_FORMAT, .format = 2 },
		{ .mask = MQ_OPTION_OVERRUN, .overrun = 2 },
		{ .mask = MQ_OPTION_UNTIL, .until = 2 },
		{ .mask = MQ_OPTION_FORMAT | MQ_OPTION_UNTIL, .format = 1, .until = 0xffffffff },
		{ .reserved = 1 },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_err(options(rd, bad[i]), EINVAL);
	expect_err(set_overrun(wr, MQ_OVERRUN_SKIP), EBADF);
	expect_err(set_until(wr, MQ_UNTIL_END), EBADF);
	expect_err(options(wr, (struct mq_options) { .mask = MQ_OPTION_FORMAT | MQ_OPTION_UNTIL,
						     .format = 1 }), EBADF);
	expect_eq(get(rd).format, MQ_FORMAT_PLAIN);
	expect_eq(get(wr).format, MQ_FORMAT_PLAIN);
	expect_ret(options(rd, (struct mq_options) { .mask = 0 }), 0);
	expect_ret(file_set_format(wr, MQ_FORMAT_RECORD), 0);
	expect_err(write(wr, "no batch", 8), EINVAL);
	expect_ret(file_set_format(wr, MQ_FORMAT_PLAIN), 0);
	put(wr, "no batch");
}

TEST(options_format, "a file goes on at the same message in the other format, its position in its unit")
{
	static const int modes[] = { O_RDONLY, O_RDWR };

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.start_offset = 1000, .start_position = 1 << 20);
		int wr = topic_open(t, "", O_WRONLY);
		int rd = topic_open(t, "", modes[i] | O_NONBLOCK);

		put(wr, "one");
		put(wr, "two");
		put(wr, "three");
		expect_read(rd, "one");
		need_ret(file_set_format(rd, MQ_FORMAT_RECORD), 0);
		expect_eq(lseek(rd, 0, SEEK_CUR), 1001);
		expect_eq(file_stat(rd).position, (1 << 20) + 3);
		expect_batch(rd, 2, 1001);
		expect_eq(lseek(rd, 0, SEEK_CUR), 1003);
		put(wr, "four");
		need_ret(file_set_format(rd, MQ_FORMAT_PLAIN), 0);
		expect_eq(lseek(rd, 0, SEEK_CUR), (1 << 20) + 11);
		expect_read(rd, "four");
		/* After a seek, of which only the offset is known. */
		need_ret(file_set_format(rd, MQ_FORMAT_RECORD), 0);
		need_eq(lseek(rd, 1002, SEEK_SET), 1002);
		need_ret(file_set_format(rd, MQ_FORMAT_PLAIN), 0);
		expect_eq(lseek(rd, 0, SEEK_CUR), (1 << 20) + 6);
		expect_read(rd, "three");
		expect_read(rd, "four");
		expect_err(read(rd, big, 10), EAGAIN);
	}
}

TEST(options_middle, "in the middle of a message: EBUSY, and the rest is read in the old format")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);

	put(wr, "halves");
	put(wr, "next");
	expect_mem(big, read(rd, big, 3), "hal", 3);
	expect_err(file_set_format(rd, MQ_FORMAT_RECORD), EBUSY);
	expect_eq(get(rd).format, MQ_FORMAT_PLAIN);
	expect_read(rd, "ves");
	expect_ret(file_set_format(rd, MQ_FORMAT_RECORD), 0);
	expect_batch(rd, 1, 1);
}

TEST(options_line, "with an unfinished line the format stays: EBUSY")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE);
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);

	put(wr, "begun");
	expect_err(file_set_format(wr, MQ_FORMAT_RECORD), EBUSY);
	put(wr, ", done\n");
	expect_ret(file_set_format(wr, MQ_FORMAT_RECORD), 0);
	expect_read(rd, "begun, done\n");
}

TEST(options_gone, "a place that is no longer retained stays lost in the other format, counted once")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int wr = topic_open(t, "", O_WRONLY), plain = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int rec = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);
	uint64_t tail;

	for (int i = 0; i < 300; i++)
		put(wr, "a message");
	tail = file_stat(plain).tail_offset;
	need(tail > 100);
	need_ret(file_set_format(plain, MQ_FORMAT_RECORD), 0);
	need_ret(file_set_format(rec, MQ_FORMAT_PLAIN), 0);
	expect_err(read(plain, big, sizeof(big)), ENOBUFS);
	expect_eq(file_stat(plain).lost_messages, tail);
	expect_batch(plain, 300 - tail, tail);
	expect_err(read(rec, big, sizeof(big)), ENOBUFS);
	expect_eq(file_stat(rec).lost_messages, tail);
	expect_read(rec, "a message");
}

TEST(options_partitions, "a file of several partitions changes its format in all of them")
{
	const char *t = topic_new(.partitions = 2);
	int rd = topic_open(t, "", O_RDWR | O_NONBLOCK), a, b;

	a = topic_open(t, "@0", O_WRONLY);
	b = topic_open(t, "@1", O_WRONLY);
	put(a, "a0");
	put(b, "b0");
	expect_read(rd, "a0");
	put(a, "a1");
	need_ret(file_set_format(rd, MQ_FORMAT_RECORD), 0);
	expect_batch(rd, 1, 0);
	expect_batch(rd, 1, 1);
	put(b, "b1");
	need_ret(file_set_format(rd, MQ_FORMAT_PLAIN), 0);
	expect_mem(big, read(rd, big, 1), "b", 1);
	expect_err(file_set_format(rd, MQ_FORMAT_RECORD), EBUSY);
	expect_read(rd, "1");
	expect_err(read(rd, big, 10), EAGAIN);
}

TEST(options_waiting, "a read that waits goes on in the new format, and at its place")
{
	static const int modes[] = { O_RDONLY, O_RDWR };

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new();
		int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", modes[i]);
		static struct rec r[4];
		struct mq_batch head;
		struct async a;

		put(wr, "before, of more bytes than messages");
		need(read(rd, big, 100) == 35);
		async_read(&a, rd, big, sizeof(big));
		expect_waits(&a);
		need_ret(file_set_format(rd, MQ_FORMAT_RECORD), 0);
		expect_waits(&a);
		put(wr, "awaited");
		if (async_end(&a, SOON) && expect_eq(batch_parse(big, a.ret, r, 4, &head), 1))
			expect_eq(r[0].e->offset, 1);
		expect_eq(lseek(rd, 0, SEEK_CUR), 2);
		async_read(&a, rd, big, sizeof(big));
		expect_waits(&a);
		need_ret(file_set_format(rd, MQ_FORMAT_PLAIN), 0);
		put(wr, "bytes");
		if (async_end(&a, SOON))
			expect_mem(big, a.ret, "bytes", 5);
		expect_eq(lseek(rd, 0, SEEK_CUR), 47);
	}
}

TEST(options_overrun, "overrun=skip set: counted, not reported; cleared: reported again")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	uint64_t lost;

	need_ret(set_overrun(rd, MQ_OVERRUN_SKIP), 0);
	for (int i = 0; i < 200; i++)
		put(wr, "message");
	expect_read(rd, "message");
	lost = file_stat(rd).lost_messages;
	expect(lost >= 100);
	need_ret(set_overrun(rd, MQ_OVERRUN_REPORT), 0);
	for (int i = 0; i < 200; i++)
		put(wr, "message");
	expect_err(read(rd, big, 100), ENOBUFS);
	expect(file_stat(rd).lost_messages > lost);
}

TEST(options_hold, "with hold=readers a file that skips lets go at once, and holds again when it reports")
{
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct async a;

	for (int i = 0; i < 4; i++)
		need_ret(write(wr, big, 1024), 1024);
	async_write(&a, wr, big, 1024);
	expect_waits(&a);
	expect(file_stat(rd).flags & MQ_STAT_HOLDING);
	need_ret(set_overrun(rd, MQ_OVERRUN_SKIP), 0);
	if (async_end(&a, SOON))
		expect_eq(a.ret, 1024);
	expect(!(file_stat(rd).flags & MQ_STAT_HOLDING));
	need(lseek(rd, 0, SEEK_DATA) >= 0 && lseek(rd, 1024, SEEK_SET) == 1024);
	need_ret(set_overrun(rd, MQ_OVERRUN_REPORT), 0);
	expect(file_stat(rd).flags & MQ_STAT_HOLDING);
	async_write(&a, wr, big, 1024);
	expect_waits(&a);
	/* What holds is the place, in whatever unit. */
	need_ret(file_set_format(rd, MQ_FORMAT_RECORD), 0);
	expect_waits(&a);
	need(read(rd, big, 64 + 64 + 1024) == 64 + 64 + 1024);
	if (async_end(&a, SOON))
		expect_eq(a.ret, 1024);
	async_write(&a, wr, big, 1024);
	expect_waits(&a);
	need_ret(file_set_format(rd, MQ_FORMAT_PLAIN), 0);
	expect_waits(&a);
	need_ret(read(rd, big, 1024), 1024);
	if (async_end(&a, SOON))
		expect_eq(a.ret, 1024);
	expect_eq(file_stat(rd).lost_messages, 0);
}

TEST(options_until, "until=end set: reads end where the log ends now, one that waits, too; cleared: they wait")
{
	static const char *const names[] = { "", "+format=record" };

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new();
		int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, names[i], O_RDONLY);
		struct pollfd p = { rd, POLLIN, 0 };
		struct async a;

		put(wr, "one");
		need_ret(set_until(rd, MQ_UNTIL_END), 0);
		put(wr, "two");
		expect(read(rd, big, sizeof(big)) > 0);
		expect_ret(read(rd, big, sizeof(big)), 0);
		expect_eq(poll(&p, 1, 0), 1);
		/* Anew: the end is another by now. */
		need_ret(set_until(rd, MQ_UNTIL_END), 0);
		expect(read(rd, big, sizeof(big)) > 0);
		expect_ret(read(rd, big, sizeof(big)), 0);
		need_ret(set_until(rd, MQ_UNTIL_NEVER), 0);
		expect_eq(poll(&p, 1, 0), 0);
		async_read(&a, rd, big, sizeof(big));
		expect_waits(&a);
		need_ret(set_until(rd, MQ_UNTIL_END), 0);
		if (async_end(&a, SOON))
			expect_eq(a.ret, 0);
	}
}

TEST(options_until_lines, "lines before the end that was set are read in one go, none behind it")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE);
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);

	put(wr, "1\n2\n3\n");
	need_ret(set_until(rd, MQ_UNTIL_END), 0);
	put(wr, "4\n5\n");
	expect_read(rd, "1\n2\n3\n");
	expect_eq(file_stat(rd).offset, 3);
	expect_ret(read(rd, big, sizeof(big)), 0);
	need_ret(set_until(rd, MQ_UNTIL_NEVER), 0);
	expect_read(rd, "4\n5\n");
}

TEST(options_seek, "from= and since= after open are MQ_IOC_SEEK's, in either format")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	uint64_t time;

	put(wr, "old");
	sleep_ms(20);
	time = wall_ns();
	put(wr, "new");
	need_ret(file_seek(rd, MQ_SEEK_TIME, time, NULL), 0);
	need_ret(file_set_format(rd, MQ_FORMAT_RECORD), 0);
	expect_batch(rd, 1, 1);
	need_ret(file_seek(rd, MQ_SEEK_OFFSET, 0, NULL), 0);
	need_ret(file_set_format(rd, MQ_FORMAT_PLAIN), 0);
	expect_read(rd, "old");
	need_ret(file_seek(rd, MQ_SEEK_NEWEST, 0, NULL), 0);
	expect_err(read(rd, big, 10), EAGAIN);
	need_ret(file_seek(rd, MQ_SEEK_OLDEST, 0, NULL), 0);
	expect_read(rd, "old");
}
