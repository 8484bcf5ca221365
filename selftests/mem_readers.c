// SPDX-License-Identifier: GPL-2.0
/*
 * What a reader costs: at most 1 KiB of kernel memory beyond an open file. The
 * kernel's slab and per-CPU memory with 1,000 readers that have read something,
 * against 1,000 opens of /dev/null.
 *
 * KERNEL: as-shipped
 * TIMEOUT: 200
 */
#include "helpers/splice.h"
#include <sys/resource.h>

#define N	1000
#define ROUNDS	3

static int fds[N];
static const char *topic;

static long long kernel_kb(void)
{
	long long sum = 0, kb;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	need(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %lld kB", &kb) == 1 ||
		    sscanf(line, "Percpu: %lld kB", &kb) == 1)
			sum += kb;
	fclose(f);
	return sum;
}

/* When what others free late (grace periods, batches) has come to rest. */
static long long settled_kb(void)
{
	long long was = kernel_kb(), now;

	for (int same = 0, i = 0; same < 4 && i < 100; i++, was = now) {
		sleep_ms(50);
		now = kernel_kb();
		same = now - was < 16 && was - now < 16 ? same + 1 : 0;
	}
	return was;
}

static int open_null(int i)
{
	(void)i;
	return open("/dev/null", O_RDONLY);
}

static int open_plain(int i)
{
	char c;
	int fd = topic_open(topic, "", O_RDONLY);

	(void)i;
	need_ret(read(fd, &c, 1), 1);
	return fd;
}

static int open_named(int i)
{
	char name[32], c;
	int fd;

	snprintf(name, sizeof(name), "+from=%d", i % 30);
	fd = topic_open(topic, name, O_RDWR);
	need_ret(read(fd, &c, 1), 1);
	return fd;
}

static int open_record(int i)
{
	static char buf[4096];
	int fd = topic_open(topic, "+format=record+overrun=skip", O_RDONLY);

	(void)i;
	need(read(fd, buf, sizeof(buf)) > 0);
	return fd;
}

static int open_sendfile(int i)
{
	static int s[2] = { -1, -1 };
	struct pollfd p = { .events = POLLIN };
	char buf[4096];

	(void)i;
	if (s[0] < 0)
		need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	p.fd = topic_open(topic, "", O_RDONLY);
	need_ret(sendfile(s[0], p.fd, NULL, 1000), 1000);
	need_ret(read(s[1], buf, sizeof(buf)), 1000);
	need_ret(poll(&p, 1, 0), 1);
	return p.fd;
}

/* Smallest growth of some rounds: what else grows meanwhile is not ours. */
static long long growth(int (*opener)(int i))
{
	long long least = 1LL << 40, before;

	for (int round = 0; round <= ROUNDS; round++) {
		before = settled_kb();
		for (int i = 0; i < N; i++)
			need((fds[i] = opener(i)) >= 0);
		before = settled_kb() - before;
		for (int i = 0; i < N; i++)
			close(fds[i]);
		/* The first one fills caches. */
		if (round && before < least)
			least = before;
	}
	return least;
}

static void measure(const char *what, int (*opener)(int i))
{
	static long long null;
	long long kb;
	char line[64];

	need_ret(setrlimit(RLIMIT_NOFILE, &(struct rlimit) { 4096, 4096 }), 0);
	null = growth(open_null);
	for (int i = 0; i < 40; i++) {
		int w = topic_open(topic, "", O_WRONLY);

		snprintf(line, sizeof(line), "%063d", i);
		need_ret(write(w, line, 64), 64);
		close(w);
	}
	kb = growth(opener);
	note("%s: %d readers took %lld KiB, as many opens of /dev/null %lld: %lld bytes a reader",
	     what, N, kb, null, (kb - null) * 1024 / N);
	expect(kb - null <= N);
	/* It is measured at all: struct mq_file alone is more. */
	expect(kb > N / 4);
}

TEST_LIMIT(mem_readers_plain, "plain readers", 100)
{
	topic = topic_new(.ring_bytes = 65536);
	measure("plain", open_plain);
}

TEST_LIMIT(mem_readers_hold, "readers that hold, opened for writing, too, by 30 names", 100)
{
	topic = topic_new(.ring_bytes = 65536, .hold = MQ_HOLD_READERS);
	measure("hold=readers, +from=N", open_named);
}

TEST_LIMIT(mem_readers_record, "readers of records", 100)
{
	topic = topic_new(.ring_bytes = 65536);
	measure("format=record", open_record);
}

TEST_LIMIT(mem_readers_sendfile, "readers that used sendfile and wait", 100)
{
	topic = topic_new(.ring_bytes = 65536);
	measure("sendfile, then poll", open_sendfile);
}
