// SPDX-License-Identifier: GPL-2.0
/*
 * A topic is deleted and made anew all the time, while others are in each of the calls
 * that topic_life does not have: ioctl, lseek, splice, mmap, poll, fsync, netlink dumps.
 */
#include "helpers/map.h"

#include <poll.h>

struct race {
	const char *name;
	volatile int stop;
	unsigned int calls, dead;
};

static void count(struct race *race, bool dead)
{
	__atomic_add_fetch(dead ? &race->dead : &race->calls, 1, __ATOMIC_RELAXED);
}

/* A file of the topic, whichever it is just now; -1: none. */
static int current(struct race *race, const char *options, int flags)
{
	int fd = topic_try_open(race->name, options, flags | O_NONBLOCK);

	if (fd < 0)
		expect(errno == ENOENT || errno == ENODEV);
	return fd;
}

/* A call may find the topic dead, or nothing to do; anything else is wrong. */
static bool alive(struct race *race, const char *what, long ret)
{
	bool dead = ret == -1 && errno == ENODEV;

	if (ret == -1 && !dead && errno != EAGAIN && errno != ENOBUFS)
		fail("%s: %s", what, mqt_errno(errno));
	count(race, dead);
	return !dead;
}

static void by_ioctl(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int fd = current(race, "", O_RDWR), n;

		for (int i = 0; fd >= 0 && i < 20; i++) {
			struct mq_stat st = { .size = sizeof(st) };
			struct mq_seek seek = { .size = sizeof(seek), .whence = MQ_SEEK_NEWEST };

			if (ioctl(fd, MQ_IOC_STAT, &st))
				fail("MQ_IOC_STAT: %s", mqt_errno(errno));
			if (st.flags & MQ_STAT_DELETED)
				count(race, true);
			alive(race, "MQ_IOC_SEEK", ioctl(fd, MQ_IOC_SEEK, &seek));
			alive(race, "FIONREAD", ioctl(fd, FIONREAD, &n));
			alive(race, "lseek", lseek(fd, 0, SEEK_END));
			if (fsync(fd) != -1 || (errno != EINVAL && errno != ENODEV))
				fail("fsync: %s", mqt_errno(errno));
			alive(race, "write", write(fd, "message\n", 8));
		}
		if (fd >= 0)
			close(fd);
	}
}

static void by_splice(void *arg)
{
	struct race *race = arg;
	char buf[4096];
	int p[2];

	need_ret(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	while (!race->stop) {
		int fd = current(race, "@0", O_RDONLY);

		for (int i = 0; fd >= 0 && i < 20; i++) {
			if (!alive(race, "splice", splice(fd, NULL, p[1], NULL, 4096, SPLICE_F_NONBLOCK)))
				break;
			/* What was lent stays as it was. */
			for (int n = read(p[0], buf, sizeof(buf)), k = 0; k < n; k += 8)
				expect(!memcmp(buf + k, "message\n", 8));
		}
		if (fd >= 0)
			close(fd);
	}
}

static void by_map(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int fd = current(race, "@0", O_RDONLY);
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		struct mq_entry e;
		struct map m;

		if (fd < 0)
			continue;
		m = map_fd(fd);
		for (int i = 0; i < 20; i++) {
			uint64_t head = map_head(&m);

			if (head)
				expect(map_read(&m, head - 1, &e) != MAP_BAD);
			need(poll(&pfd, 1, 1) >= 0);
			count(race, pfd.revents & POLLHUP);
		}
		map_close(&m);
	}
}

static void by_dump(void *arg)
{
	struct race *race = arg;

	while (!race->stop) {
		int ret = partition_dump(race->name, NULL, NULL);

		expect(ret >= 0 || ret == -ENOENT || ret == -ENODEV);
		expect(topic_dump(NULL, NULL) >= 0);
		count(race, ret < 0);
	}
}

TEST_LIMIT(calls, "D.20: ioctl, lseek, fsync, splice, mmap, poll, dumps against delete and re-creation", 180)
{
	void (*who[])(void *) = { by_ioctl, by_splice, by_map, by_dump };
	struct race *race[4];
	const char *name = topic_name();
	uint64_t before = module_settled().memory, end;
	unsigned int rounds = 0, enough;
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		race[i] = shared_alloc(sizeof(*race[i]));
		race[i]->name = name;
		pids[i] = child_start(who[i], race[i]);
	}
	/* Until enough has met, on however slow a machine. */
	for (end = now_ns() + 120000000000ULL; now_ns() < end; rounds++) {
		for (enough = 0; enough < 4; enough++)
			if (race[enough]->calls < 200 || race[enough]->dead < 5)
				break;
		if (rounds >= 200 && enough == 4)
			break;
		need_eq(topic_add(&(struct topic_opts) { .name = name, .ring_bytes = 16384 }), 0);
		sleep_ms(rounds % 16);
		need_eq(topic_del(name), 0);
	}
	for (int i = 0; i < 4; i++)
		race[i]->stop = 1;
	for (int i = 0; i < 4; i++) {
		child_ok(pids[i], SOON);
		note("%u: %u calls, %u on a deleted topic", i, race[i]->calls, race[i]->dead);
		expect(race[i]->calls >= 200 && race[i]->dead >= 5);
	}
	wait_until(module_state().memory == before, SOON);
}
