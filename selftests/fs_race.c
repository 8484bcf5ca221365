// SPDX-License-Identifier: GPL-2.0
/*
 * Look-ups, listings and changes of topics that come and go at the same time.
 * TIMEOUT: 300
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>

#include "mqtest.h"

#define STABLE	2000	/* topics that exist all the time */

static unsigned int module_refs(void)
{
	char line[32];

	need(read_line("/sys/module/mq/refcnt", line, sizeof(line)));
	return strtoul(line, NULL, 10);
}

/* The same once topics deleted before have been freed, a grace period later. */
static unsigned int settled_refs(void)
{
	unsigned int refs = module_refs(), i;

	for (i = 0; i < 10; i++) {
		sleep_ms(50);
		if (module_refs() != refs) {
			refs = module_refs();
			i = 0;
		}
	}
	return refs;
}

static void add_small(const char *name)
{
	need_eq(topic_add(&(struct topic_opts) {
		.name = name, .ring_bytes = 4096, .ring_messages = 64, .attr_bytes = 4096,
	}), 0);
}

static volatile int *stop;

/* Creates and deletes topics around the stable ones. */
static void churn(void *arg)
{
	unsigned int i = 0, j;
	char name[64];

	while (!*stop) {
		for (j = 0; j < 20; j++) {
			snprintf(name, sizeof(name), "churn-%s-%u", (char *)arg, i + j);
			add_small(name);
		}
		for (j = 0; j < 20; j++) {
			snprintf(name, sizeof(name), "churn-%s-%u", (char *)arg, i + j);
			need_eq(topic_del(name), 0);
		}
		i += 20;
	}
}

struct linux_dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* One listing through a buffer of @size: stable topics once each, others at most once. */
static void list_once(const char *prefix, size_t size)
{
	int fd = open(MQ_DIR, O_RDONLY | O_DIRECTORY);
	static uint8_t seen[STABLE];
	static char buf[1 << 16];
	int64_t last = -1;
	unsigned int i, n = 0;
	long len;

	need(fd >= 0 && size <= sizeof(buf));
	memset(seen, 0, sizeof(seen));
	while ((len = syscall(SYS_getdents64, fd, buf, size)) > 0) {
		struct linux_dirent64 *d;
		long at;

		for (at = 0; at < len; at += d->len) {
			d = (void *)(buf + at);
			if (d->off <= last)
				fail("%s: position %lld after %lld", d->name,
				     (long long)d->off, (long long)last);
			last = d->off;
			if (strncmp(d->name, prefix, strlen(prefix)))
				continue;
			i = strtoul(d->name + strlen(prefix), NULL, 10);
			if (i < STABLE && seen[i]++)
				fail("%s is listed twice", d->name);
			n++;
		}
	}
	expect_eq(len, 0);
	expect_eq(n, STABLE);
	close(fd);
}

TEST_LIMIT(listing, "a listing shows each of 2000 topics once while others come and go", 280)
{
	pid_t pids[2];
	char prefix[64], name[256];
	DIR *dir;
	struct dirent *d;
	unsigned int i;
	long place;

	stop = shared_alloc(sizeof(*stop));
	snprintf(prefix, sizeof(prefix), "%s-", topic_name());
	for (i = 0; i < STABLE; i++) {
		snprintf(name, sizeof(name), "%s%u", prefix, i);
		add_small(name);
	}
	list_once(prefix, 1 << 16);
	pids[0] = child_start(churn, (void *)"a");
	pids[1] = child_start(churn, (void *)"b");
	for (i = 0; i < 3; i++) {
		list_once(prefix, 1 << 16);
		list_once(prefix, 4096);
		list_once(prefix, 280);
	}
	*stop = 1;
	expect(child_ok(pids[0], SOON));
	expect(child_ok(pids[1], SOON));

	/* seekdir() to where telldir() was goes on there; rewinddir() starts again. */
	dir = opendir(MQ_DIR);
	need(dir);
	for (i = 0; i < STABLE / 2; i++)
		need(readdir(dir));
	place = telldir(dir);
	d = readdir(dir);
	need(d);
	snprintf(name, sizeof(name), "%s", d->d_name);
	while (readdir(dir))
		;
	seekdir(dir, place);
	d = readdir(dir);
	expect(d && !strcmp(d->d_name, name));
	rewinddir(dir);
	d = readdir(dir);
	expect(d && !strcmp(d->d_name, "."));
	closedir(dir);

	/* More than are remembered to be deleted at the end. */
	for (i = 0; i < STABLE; i++) {
		snprintf(name, sizeof(name), "%s%u", prefix, i);
		expect_eq(topic_del(name), 0);
	}
}

/* Opens and stats one name, in all spellings, whatever happens to it. */
static void look_up(void *arg)
{
	static const char *const nodes[] = { "", "@0", "@1", "+until=end", "@1+from=newest" };
	char *t = arg;
	unsigned int i = 0, found = 0;

	while (!*stop) {
		const char *path = topic_path(t, nodes[i++ % 5]);
		struct stat st;
		int fd;

		if (stat(path, &st)) {
			if (errno != ENOENT)
				fail("stat: %s", mqt_errno(errno));
		} else if ((st.st_mode & 07777) != 0600 && (st.st_mode & 07777) != 0644) {
			fail("mode %o", st.st_mode);
		}
		fd = open(path, O_RDWR | O_NONBLOCK | (i % 3 ? 0 : O_CREAT), 0600);
		if (fd < 0) {
			if (errno != ENOENT && errno != ENODEV)
				fail("open: %s", mqt_errno(errno));
			continue;
		}
		found++;
		if (write(fd, "x", 1) < 0 && errno != ENODEV)
			fail("write: %s", mqt_errno(errno));
		if (fchmod(fd, 0644))
			fail("fchmod: %s", mqt_errno(errno));
		close(fd);
	}
	if (!found)
		fail("nothing was ever found");
}

TEST_LIMIT(coming_and_going, "D.20: look-ups in all spellings while the topic is deleted and created anew", 120)
{
	const char *t = topic_name();
	unsigned int refs = settled_refs(), i;
	uint64_t end = now_ns() + 5 * 1000000000ULL;
	pid_t pids[4];

	stop = shared_alloc(sizeof(*stop));
	for (i = 0; i < 4; i++)
		pids[i] = child_start(look_up, (void *)t);
	while (now_ns() < end) {
		struct topic_opts o = {
			.name = t, .partitions = 2, .ring_bytes = 4096, .ring_messages = 64,
			.attr_bytes = 4096,
		};
		struct stat st;

		need_eq(topic_add(&o), 0);
		/* What was just created is found, whoever looked for it before. */
		expect_ret(stat(topic_path(t, ""), &st), 0);
		expect_ret(stat(topic_path(t, "@1"), &st), 0);
		sched_yield();
		topic_set(t, .mode = 0644);
		expect_ret(stat(topic_path(t, "@1"), &st), 0);
		expect_eq(st.st_mode & 07777, 0644);
		need_eq(topic_del(t), 0);
		/* And what was deleted is not. */
		expect_err(stat(topic_path(t, ""), &st), ENOENT);
		expect_err(stat(topic_path(t, "@1"), &st), ENOENT);
	}
	*stop = 1;
	for (i = 0; i < 4; i++)
		expect(child_ok(pids[i], SOON));
	/* No inode, no file, no look-up kept a topic: each would pin the module. */
	wait_until(module_refs() <= refs, SOON);
}

struct changer {
	char *topic;
	unsigned int nr;
};

/* Mode, owner and ACL of one topic through its several nodes. */
static void change(void *arg)
{
	struct changer *c = arg;
	const char *node = c->nr == 0 ? "" : c->nr == 1 ? "@0" : "@1";
	unsigned int i;

	for (i = 0; i < 400; i++) {
		const char *path = topic_path(c->topic, node);
		mode_t mode = 0600 | (c->nr * 2 + 2) << 3;

		if (c->nr == 3) {
			topic_set(c->topic, .mode = mode, .uid = 8, .gid = 8);
			continue;
		}
		if (chmod(path, mode))
			fail("chmod: %s", mqt_errno(errno));
		if (chown(path, c->nr + 5, c->nr + 5))
			fail("chown: %s", mqt_errno(errno));
	}
}

TEST_LIMIT(changing, "changes through all nodes and netlink at once: afterwards all show the same", 120)
{
	static const char *const nodes[] = { "", "@0", "@1", "@0+until=end" };
	const char *t = topic_new(.partitions = 2, .ring_bytes = 65536);
	struct changer c[4];
	struct topic_info info;
	struct stat st;
	pid_t pids[4];
	int fds[4];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		fds[i] = topic_open(t, nodes[i], O_RDONLY);
		c[i].topic = (char *)t;
		c[i].nr = i;
		pids[i] = child_start(change, &c[i]);
	}
	for (i = 0; i < 4; i++)
		expect(child_ok(pids[i], 100));
	need_eq(topic_get(t, &info), 0);
	expect_eq(info.o.uid, info.o.gid);
	for (i = 0; i < 4; i++) {
		need_ret(fstat(fds[i], &st), 0);
		expect_eq(st.st_mode & 07777, info.o.mode);
		expect_eq(st.st_uid, info.o.uid);
		expect_eq(st.st_gid, info.o.gid);
		need_ret(stat(topic_path(t, nodes[i]), &st), 0);
		expect_eq(st.st_mode & 07777, info.o.mode);
		expect_eq(st.st_uid, info.o.uid);
		close(fds[i]);
	}
}
