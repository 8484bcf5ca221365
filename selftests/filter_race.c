// SPDX-License-Identifier: GPL-2.0
/* Filters and formats set, replaced and cleared while other threads read; topics deleted meanwhile. */
/* TIMEOUT: 300 */
#define _GNU_SOURCE
#include <poll.h>

#include "helpers/filter.h"

#define MESSAGES	20000

static volatile int stop;
static const char *topic;

/* "y" or "n", number, so many times the same byte: whole, and of one message. */
static size_t make(char *to, uint32_t number)
{
	size_t len = 8 + number % 50;

	memset(to, 'a' + number % 26, len);
	to[0] = number % 2 ? 'y' : 'n';
	memcpy(to + 1, &number, sizeof(number));
	return len;
}

static bool whole(const char *got, size_t len, uint32_t *number)
{
	char want[64];

	if (len < 8)
		return false;
	memcpy(number, got + 1, sizeof(*number));
	return len == make(want, *number) && !memcmp(got, want, len);
}

static long produce(void *arg)
{
	int wr = topic_open(topic, "", O_WRONLY);
	char buf[64];

	for (uint32_t i = 0; i < MESSAGES && !stop; i++)
		if (write(wr, buf, make(buf, i)) < 0)
			return errno;
	(void)arg;
	return 0;
}

static long toggle_filter(void *arg)
{
	int fd = *(int *)arg, prog = ebpf_load(BPF_PROG_TYPE_SOCKET_FILTER, 'n');

	for (int i = 0; !stop; i++) {
		int ret = i % 3 == 0 ? filter_first(fd, 'y') :
			  i % 3 == 1 ? filter_ebpf(fd, prog) : filter(fd, RETURN(1));

		if (ret)
			return errno;
	}
	return 0;
}

TEST_LIMIT(race_filter, "each message that must pass is read once, whole and in order, whatever is set", 120)
{
	static const int modes[] = { O_RDONLY, O_RDWR };

	for (int i = 0; i < 2; i++) {
		struct async writer, toggler;
		uint32_t number, next = 1;
		int rd;

		/* All of it fits: what is missing was not read. */
		topic = topic_new(.ring_bytes = 4 << 20, .ring_messages = 32768);
		rd = topic_open(topic, "", modes[i]);
		need_ret(filter_first(rd, 'y'), 0);
		stop = 0;
		async_start(&toggler, toggle_filter, &rd);
		async_start(&writer, produce, NULL);
		/* Odd numbers pass every filter. */
		while (next < MESSAGES) {
			char got[64];
			ssize_t n = read(rd, got, sizeof(got));

			if (n < 0 || !whole(got, n, &number)) {
				fail("a read of %zd (%s)", n, mqt_errno(errno));
				break;
			}
			if (number % 2) {
				if (!expect_eq(number, next))
					break;
				next += 2;
			}
		}
		stop = 1;
		if (async_end(&toggler, SOON))
			expect_eq(toggler.ret, 0);
		async_end(&writer, SOON);
		expect_eq(file_stat(rd).lost_messages, 0);
		close(rd);
	}
}

static long read_any(void *arg)
{
	static __thread char buf[1 << 16] __attribute__((aligned(8)));
	int fd = *(int *)arg;

	while (!stop) {
		struct pollfd p = { fd, POLLIN, 0 };

		poll(&p, 1, 10);
		if (read(fd, buf, sizeof(buf)) < 0 && errno == ENODEV)
			break;
	}
	return 0;
}

static long toggle_all(void *arg)
{
	int fd = *(int *)arg;
	uint32_t format = 0;

	for (int i = 0; !stop; i++) {
		struct mq_options o = { .size = sizeof(o), .mask = 1U << i % 3,
					.format = i / 3 % 2, .overrun = i / 5 % 2,
					.until = i / 7 % 2 };

		if (ioctl(fd, MQ_IOC_SET_OPTIONS, &o) && errno != EBUSY)
			return errno;
		format |= 1U << o.format;
		if (i % 4 == 0 && (i % 8 ? filter_first(fd, 'y') : filter_none(fd)))
			return errno;
	}
	return format == 3 ? 0 : -1;
}

TEST_LIMIT(race_all, "format, overrun, until and filter changed while three threads read, then deleted", 150)
{
	static const int modes[] = { O_RDONLY, O_RDWR };
	static const int partitions[] = { 1, 2 };

	for (int i = 0; i < 4; i++) {
		struct async readers[3], toggler, writer;
		struct mq_stat st;
		int fd;

		topic = topic_new(.ring_bytes = 65536, .ring_messages = 1024,
				  .partitions = partitions[i / 2], .hold = i & 1 ? MQ_HOLD_READERS : 0,
				  .overflow = MQ_OVERFLOW_DROP_OLDEST, .set = MQT(OVERFLOW));
		fd = topic_open(topic, "", modes[i % 2] | O_NONBLOCK);
		stop = 0;
		for (int k = 0; k < 3; k++)
			async_start(&readers[k], read_any, &fd);
		async_start(&toggler, toggle_all, &fd);
		async_start(&writer, produce, NULL);
		if (async_end(&writer, 60))
			expect_eq(writer.ret, 0);
		need_eq(topic_del(topic), 0);
		sleep_ms(50);
		stop = 1;
		for (int k = 0; k < 3; k++)
			async_end(&readers[k], SOON);
		if (async_end(&toggler, SOON))
			expect_eq(toggler.ret, 0);
		/* It still knows where it is. */
		st = file_stat(fd);
		expect(st.offset <= st.head_offset);
		expect(st.position <= st.head_position);
		close(fd);
	}
}

TEST_LIMIT(race_hold, "with hold=readers nothing unread is evicted while the format changes", 100)
{
	struct async writer;
	uint64_t next = 0;
	int rd;

	topic = topic_new(.ring_bytes = 8192, .ring_messages = 128, .hold = MQ_HOLD_READERS,
			  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	rd = topic_open(topic, "", O_RDONLY);
	stop = 0;
	async_start(&writer, produce, NULL);
	for (int i = 0; next < MESSAGES; i++) {
		static char buf[256] __attribute__((aligned(8)));
		struct mq_options o = { .size = sizeof(o), .mask = MQ_OPTION_FORMAT, .format = i % 2 };
		uint32_t number;
		struct rec r[4];
		struct mq_batch head;
		int n = 1;

		need_ret(ioctl(rd, MQ_IOC_SET_OPTIONS, &o), 0);
		if (o.format) {
			n = batch_parse(buf, read(rd, buf, sizeof(buf)), r, 4, &head);
			need(n > 0);
			need_eq(r[0].e->offset, next);
		} else {
			need(whole(buf, read(rd, buf, sizeof(buf)), &number));
			need_eq(number, next);
		}
		next += n;
	}
	if (async_end(&writer, SOON))
		expect_eq(writer.ret, 0);
	expect_eq(file_stat(rd).lost_messages, 0);
}
