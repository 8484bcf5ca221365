// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 200 */
/* No allocation per message, memory that does not grow, limits that hold. */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include <sys/sendfile.h>

#include "mqtest.h"

/* Counts a tracepoint in this thread; -1 if the kernel has none of it. */
static int count_event(const char *event)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/%s/id", event);
	if (!read_line(path, text, sizeof(text)))
		return -1;
	attr.config = atoi(text);
	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static const char *const events[] = {
	"kmem/kmalloc", "kmem/kmalloc_node", "kmem/kmem_cache_alloc", "kmem/kmem_cache_alloc_node",
	"kmem/mm_page_alloc",
};

#define EVENTS	(sizeof(events) / sizeof(events[0]))

static int counter[EVENTS];

static uint64_t allocations(void)
{
	uint64_t sum = 0, n;

	for (unsigned int i = 0; i < EVENTS; i++) {
		if (counter[i] >= 0)
			need_ret(read(counter[i], &n, sizeof(n)), sizeof(n));
		sum += counter[i] >= 0 ? n : 0;
	}
	return sum;
}

#define N	100000

static void traffic(int wr, int rd, int rec, unsigned int messages)
{
	static uint64_t batch[1 << 13];
	struct batch *b = NULL;
	static char msg[100], got[256];
	void *flat = NULL;
	size_t len = 0;

	memset(msg, 'm', sizeof(msg));
	msg[99] = '\n';
	if (rec >= 0) {
		b = batch_new();
		for (int i = 0; i < 64; i++)
			batch_add(b, msg, sizeof(msg));
		flat = batch_build(b, MQ_PARTITION_ANY, &len);
	}
	for (unsigned int i = 0; i < messages; i += rec >= 0 ? 64 : 1) {
		if (rec >= 0) {
			need_ret(write(rec, flat, len), len);
			need(read(rec, batch, sizeof(batch)) > 0);
		} else {
			need_ret(write(wr, msg, sizeof(msg)), sizeof(msg));
			need(read(rd, got, sizeof(got)) > 0);
		}
	}
}

static void count_traffic(const char *t, bool record)
{
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	int rec = record ? topic_open(t, "+format=record+overrun=skip", O_RDWR) : -1;
	uint64_t before;

	traffic(wr, rd, rec, 20000);	/* the rings have their pages */
	for (unsigned int i = 0; i < EVENTS; i++)
		counter[i] = count_event(events[i]);
	if (counter[0] < 0 && counter[2] < 0)
		skip("no kmem tracepoints");
	before = allocations();
	close(dup(topic_open(t, "", O_RDONLY)));
	if (!expect(allocations() > before))	/* it does count: an open allocates */
		return;
	before = allocations();
	traffic(wr, rd, rec, N);
	before = allocations() - before;
	note("%llu allocations in %u messages", (unsigned long long)before, N);
	expect(before < N / 1000);
	for (unsigned int i = 0; i < EVENTS; i++)
		close(counter[i]);
}

TEST(memory_no_allocation, "100,000 messages written and read: no allocation per message")
{
	count_traffic(topic_new(.ring_bytes = 1 << 18, .ring_messages = 1 << 12), false);
}

TEST(memory_no_allocation_line, "the same on a line topic")
{
	count_traffic(topic_new(.ring_bytes = 1 << 18, .ring_messages = 1 << 12,
				.framing = MQ_FRAMING_LINE), false);
}

TEST(memory_no_allocation_batch, "the same in batches of 64")
{
	count_traffic(topic_new(.ring_bytes = 1 << 18, .ring_messages = 1 << 12), true);
}

TEST(memory_flat, "a topic's memory is its rings', reached once, and stays; deletion gives it back")
{
	uint64_t before = module_settled().memory, at[3];
	const char *t = topic_new(.ring_bytes = 1 << 18, .ring_messages = 1 << 12,
				  .attr_bytes = 1 << 16);
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct batch *b = batch_new();

	expect(topic_counters(t).memory < 1 << 18);	/* pages come at first use */
	for (int i = 0; i < 3; i++) {
		traffic(wr, rd, -1, 20000);
		at[i] = topic_counters(t).memory;
	}
	note("%llu bytes for a ring of 256 KiB, %u messages", (unsigned long long)at[0], 1 << 12);
	expect_eq(at[1], at[0]);
	expect_eq(at[2], at[0]);
	/* Data, index, and one chunk more of each: no attributes, no memory for them. */
	expect(at[0] >= 2 << 18 && at[0] <= (2 << 18) + (2 << 16));
	expect_eq(topic_counters(t).lent, 0);
	expect(module_state().memory >= before + at[0]);
	batch_add(b, "x", 1);
	batch_attr(b, MQ_ATTR_TAG, "first", 5);
	need(batch_write(b, topic_open(t, "+format=record", O_WRONLY), MQ_PARTITION_ANY) > 0);
	expect(topic_counters(t).memory > at[0]);
	close(wr);
	close(rd);
	need_eq(topic_del(t), 0);
}

TEST(memory_back, "memory goes with the last file of a deleted topic")
{
	uint64_t before = module_settled().memory;
	const char *t = topic_new(.ring_bytes = 1 << 20);
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	char buf[4096];

	memset(buf, 'x', sizeof(buf));
	for (int i = 0; i < 300; i++)
		need_ret(write(wr, buf, sizeof(buf)), sizeof(buf));
	expect(module_state().memory >= before + (1 << 20));
	need_eq(topic_del(t), 0);
	expect(module_state().memory >= before + (1 << 20));
	expect_err(read(rd, buf, sizeof(buf)), ENOBUFS);
	need_ret(read(rd, buf, sizeof(buf)), 4096);
	close(wr);
	close(rd);
	wait_until(module_state().memory == before, SOON);
}

TEST(memory_reserved, "a persistent topic's rings are charged at creation, refused when there is no room")
{
	struct module_info was = module_settled();
	uint64_t max = was.memory_max, before = was.memory, size = 1 << 20;
	const char *t = topic_new(.ring_bytes = 1 << 20, .ring_messages = 1 << 12,
				  .attr_bytes = 1 << 16, .persistent = 1);

	expect(module_state().memory >= before + (1 << 20) + (64 << 12) + (1 << 16));
	while (size <= max)
		size *= 2;
	expect_eq(topic_add(&(struct topic_opts) { .name = topic_name(), .ring_bytes = size,
						    .persistent = 1 }), -ENOMEM);
	expect(nl_ack_text[0]);
	need_eq(topic_del(t), 0);
	wait_until(module_state().memory == before, SOON);
}

TEST_LIMIT(memory_cap, "at the module's limit a write is ENOMEM, counted, nothing appended; room helps", 120)
{
	const char *path = "/sys/module/mq/parameters/max_memory";
	const char *t = topic_new(.ring_bytes = 16 << 20);
	int wr = topic_open(t, "", O_WRONLY);
	struct topic_stats s;
	uint64_t written = 0;
	static char buf[65536], old[64], limit[64];
	ssize_t ret = 0;

	need(read_line(path, old, sizeof(old)));
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)module_settled().memory + (2 << 20));
	if (write_file(path, limit))
		skip("max_memory cannot be changed at run time");
	for (int i = 0; i < 200; i++) {
		ret = write(wr, buf, sizeof(buf));
		if (ret < 0)
			break;
		written++;
	}
	expect_eq(ret, -1);
	expect_eq(errno, ENOMEM);
	expect(written >= 8 && written <= 33);
	s = topic_counters(t);
	expect_eq(s.messages_in, written);
	expect(s.no_memory >= 1);
	expect_err(write(wr, buf, sizeof(buf)), ENOMEM);
	expect_eq(topic_counters(t).messages_in, written);
	need_eq(write_file(path, old), 0);
	expect_ret(write(wr, buf, sizeof(buf)), sizeof(buf));
}

static uint64_t slab_kb(void)
{
	unsigned long long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "SUnreclaim: %llu kB", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb;
}

TEST(memory_of_failed, "a write that got only part of the memory it needs gives that back")
{
	const char *path = "/sys/module/mq/parameters/max_memory";
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 1024);
	int wr = topic_open(t, "", O_WRONLY), error;
	static char old[64], limit[64];
	ssize_t ret;

	need(read_line(path, old, sizeof(old)));
	/* A page of data, and none of the index. */
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)module_settled().memory + 4096);
	need_eq(write_file(path, limit), 0);
	ret = write(wr, "x", 1);
	error = errno;
	need_eq(write_file(path, old), 0);
	expect(ret == -1 && error == ENOMEM);
	expect_eq(topic_counters(t).memory, 0);
	expect_eq(topic_counters(t).no_memory, 1);
	expect_ret(write(wr, "x", 1), 1);
	expect_eq(topic_counters(t).memory, 2 * 4096);
}

TEST_LIMIT(memory_open_close, "10,000 opens, reads and closes, with options and partitions: no memory left behind", 120)
{
	const char *t = topic_new(.partitions = 4, .hold = MQ_HOLD_READERS);
	static const char *const options[] = { "", "@1+from=0", "+since=1h+until=end",
					       "+format=record", "@3+overrun=skip" };
	uint64_t before = 0, after;
	int wr = topic_open(t, "", O_WRONLY), null = open("/dev/null", O_WRONLY);
	char buf[512];

	for (int i = 0; i < 12000; i++) {
		int fd = topic_open(t, options[i % 5], O_NONBLOCK | (i % 3 ? O_RDONLY : O_RDWR));

		if (i % 10 == 0)
			need_ret(write(wr, "x", 1), 1);
		read(fd, buf, sizeof(buf));
		sendfile(null, fd, NULL, sizeof(buf));
		close(fd);
		if (i == 2000)
			before = slab_kb();
	}
	after = slab_kb();
	note("unreclaimable slab: %llu KiB, then %llu KiB", (unsigned long long)before,
	     (unsigned long long)after);
	/* 10,000 leaked objects of 200 bytes would be 2,000 KiB; RCU and percpu batches come and go. */
	expect(after < before + 1500);
	wait_until(topic_counters(t).readers == 0, SOON);
}
