// SPDX-License-Identifier: GPL-2.0
/*
 * Maps that outlive their file, their topic, their readers' calls (faults.md
 * C.18, D.20). That a map alone keeps the module: topic_unload.
 */
#include <poll.h>

#include "helpers/map.h"

static void put(int fd, uint64_t from, uint64_t n)
{
	static char buf[1000];

	for (; n; n--, from++) {
		pattern_fill(buf, sizeof(buf), from);
		need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
	}
}

static void expect_log(const struct map *m, uint64_t head)
{
	struct mq_entry e;

	expect_eq(map_head(m), head);
	for (uint64_t off = map_tail(m); off < head && failures() < 5; off++) {
		expect_eq(map_read(m, off, &e), MAP_GOOD);
		expect(pattern_ok(map_payload(m, e.position), e.len, off));
	}
}

static long poll_in(void *arg)
{
	struct pollfd p = { *(int *)arg, POLLIN, 0 };

	return poll(&p, 1, SOON * 1000) == 1 ? p.revents : -1;
}

TEST(unmap_waiting, "C.18: unmapped while the file is waited for, in read and in poll")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY);
	struct async r, p;
	struct map m = map_topic(t, ""), other = map_topic(t, "");
	static char buf[2000];

	expect_log(&m, 0);
	async_read(&r, m.fd, buf, sizeof(buf));
	async_start(&p, poll_in, &other.fd);
	expect_waits(&r);
	expect_waits(&p);
	need_ret(munmap((void *)m.base, m.len), 0);
	need_ret(munmap((void *)other.base, other.len), 0);
	put(fd, 0, 1);
	need(async_end(&r, SOON) && async_end(&p, SOON));
	expect_eq(r.ret, 1000);
	expect(pattern_ok(buf, 1000, 0));
	expect_eq(p.ret, POLLIN);
	m = map_fd(other.fd);
	expect_log(&m, 1);
}

TEST(closed, "C.18: the last file is closed: the map goes on, through many laps")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	struct map m = map_topic(t, ""), at0 = map_topic(t, "@0");
	int fd = topic_open(t, "", O_WRONLY);

	put(fd, 0, 10);
	expect_log(&m, 10);
	close(m.fd);
	close(at0.fd);
	put(fd, 10, 300);
	expect_log(&m, 310);
	expect_log(&at0, 310);
	close(fd);
	expect_log(&m, 310);
	fd = topic_open(t, "", O_WRONLY);
	put(fd, 310, 5);
	expect_log(&m, 315);
	expect_log(&at0, 315);
	need_ret(munmap((void *)m.base, m.len), 0);
	put(fd, 315, 300);
	expect_log(&at0, 615);
}

TEST(deleted, "C.18: the topic is deleted: all of the map stays, and its memory, until it is unmapped")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64, .persistent = 1,
				  .overflow = MQ_OVERFLOW_DROP_OLDEST);
	struct map m = map_topic(t, "");
	int fd = topic_open(t, "", O_RDWR);
	struct pollfd p = { m.fd, POLLIN, 0 };
	uint64_t with, header = sysconf(_SC_PAGESIZE);

	put(fd, 0, 100);
	expect_eq(m.h->flags, MQ_MAP_PERSISTENT);
	with = module_settled().memory;
	need_eq(topic_del(t), 0);
	expect_eq(m.h->flags, MQ_MAP_PERSISTENT | MQ_MAP_DELETED);
	expect_ret(poll(&p, 1, 0), 1);
	expect(p.revents & POLLHUP);
	close(fd);
	close(m.fd);
	expect_eq(module_settled().memory, with);
	/* Every page, never touched ones, too. */
	for (size_t at = 0; at < m.len; at += 4096)
		(void)*(volatile const uint8_t *)(m.base + at);
	expect_log(&m, 100);
	/* A successor is another topic. */
	need_eq(topic_add(&(struct topic_opts) { .name = t, .ring_bytes = 4096 }), 0);
	fd = topic_open(t, "", O_WRONLY);
	put(fd, 0, 1);
	expect_log(&m, 100);
	need_ret(munmap((void *)m.base, m.len), 0);
	wait_until(module_state().memory < with - 65536 - header, SOON);
}

TEST(mapped_late, "a file of a deleted topic can still be mapped")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	int rd = topic_open(t, "", O_RDONLY), fd = topic_open(t, "", O_WRONLY);
	struct map m;

	put(fd, 0, 30);
	need_eq(topic_del(t), 0);
	m = map_fd(rd);
	expect_eq(m.h->flags, MQ_MAP_DELETED);
	expect_log(&m, 30);
}

TEST(exits, "a reader that is killed, or runs another program, lets go of its maps")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	struct map m = map_topic(t, "");
	int fd = topic_open(t, "", O_WRONLY);

	for (int i = 0; i < 6; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct map own = map_topic(t, i & 1 ? "@0" : "");

			expect_log(&own, i * 100);
			if (i < 3)
				raise(SIGKILL);
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		expect_eq(child_wait(pid, SOON), i < 3 ? SIGKILL : 0);
		put(fd, i * 100, 100);
		expect_log(&m, i * 100 + 100);
	}
}

struct race {
	volatile int stop;
	volatile unsigned int mapped;
};

static void map_and_touch(void *arg)
{
	struct race *race = arg;
	unsigned int n = 0;

	while (!race->stop) {
		int fd = topic_try_open("mmap-race", n++ & 1 ? "@0" : "", O_RDONLY);
		const struct mq_map_header *h;
		unsigned int sum = 0;
		size_t len;

		if (fd < 0)
			continue;
		h = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		need(h != MAP_FAILED);
		len = h->length;
		munmap((void *)h, 4096);
		h = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
		need(h != MAP_FAILED);
		close(fd);
		for (size_t at = 0; at < len; at += 4096)
			sum += ((volatile const uint8_t *)h)[at];
		munmap((void *)h, len);
		__atomic_add_fetch(&race->mapped, 1, __ATOMIC_RELAXED);
	}
}

TEST(delete_race, "D.20: created, lapped and deleted while others map it")
{
	struct race *race = shared_alloc(sizeof(*race));
	unsigned int cycles = 0;
	uint64_t end = now_ns() + 5000000000ULL;
	pid_t pids[3];

	for (int i = 0; i < 3; i++)
		pids[i] = child_start(map_and_touch, race);
	while (now_ns() < end || race->mapped < 50) {
		int fd;

		need_eq(topic_add(&(struct topic_opts) { .name = "mmap-race",
				  .ring_bytes = 65536, .ring_messages = 64 }), 0);
		fd = topic_open("mmap-race", "", O_WRONLY);
		put(fd, 0, cycles % 200);
		need_eq(topic_del("mmap-race"), 0);
		close(fd);
		cycles++;
		need(failures() < 5);
	}
	race->stop = 1;
	for (int i = 0; i < 3; i++)
		child_ok(pids[i], SOON);
	note("%u topics, mapped %u times", cycles, race->mapped);
}
