// SPDX-License-Identifier: GPL-2.0
/*
 * The module is not unloaded under a topic; without one it is, and pages of its
 * logs in pipes and sockets outlive it.
 */
#include "helpers/splice.h"
#include <sys/mount.h>
#include <sys/utsname.h>

#define LEN	50000

/* Back as it was for the tests that follow. */
static void load(void)
{
	struct utsname u;
	char path[256];
	int fd;

	need_ret(uname(&u), 0);
	snprintf(path, sizeof(path), "build/%s/mq.ko", u.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!ok(fd >= 0, "%s can be opened", path))
		mqt_end();
	expect_ret(syscall(__NR_finit_module, fd, "", 0), 0);
	close(fd);
	expect_ret(mount("mq", MQ_DIR, "mq", 0, NULL), 0);
}

TEST(pages_outlive,
	"B.16: unload: refused while a topic is there; pages in pipes and sockets outlive the module")
{
	const char *t = topic_new(.ring_bytes = 1 << 18);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2], sv[2];
	struct utsname u;
	char path[256];
	uint64_t pos;
	long ret;

	need_ret(uname(&u), 0);
	snprintf(path, sizeof(path), "build/%s/mq.ko", u.release);
	if (access(path, R_OK))
		skip("no %s to load afterwards", path);
	for (pos = 0; pos < 3 * LEN; pos += 1000)
		sp_put(w, pos, 1000);
	sp_pipe(p, 65536);
	sp_tcp_pair(sv, 0, 0);
	for (pos = 0; pos < LEN; pos += ret) {
		ret = sp_splice(r, p[1], LEN - pos);
		need(ret > 0);
	}
	expect_ret(sendfile(sv[0], r, NULL, LEN), LEN);

	ret = syscall(__NR_delete_module, "mq", O_NONBLOCK);
	ok(ret == -1 && (errno == EWOULDBLOCK || errno == EBUSY), "files open: the module stays");
	close(w);
	close(r);
	ret = syscall(__NR_delete_module, "mq", O_NONBLOCK);
	ok(ret == -1 && (errno == EWOULDBLOCK || errno == EBUSY),
	   "a topic exists: the module stays");
	expect_eq(topic_del(t), 0);
	if (topic_dump(NULL, NULL) > 0)
		skip("there are other topics");
	if (umount(MQ_DIR))
		skip("/dev/mq is in use");
	/* The last of a topic goes after a grace period. */
	for (pos = 0; pos < SOON * 100; pos++) {
		ret = syscall(__NR_delete_module, "mq", O_NONBLOCK);
		if (!ret || (errno != EWOULDBLOCK && errno != EBUSY))
			break;
		sleep_ms(10);
	}
	ok(!ret, "without a topic the module is unloaded");
	if (ret) {
		expect_ret(mount("mq", MQ_DIR, "mq", 0, NULL), 0);
		mqt_end();
	}
	ok(access("/sys/module/mq", F_OK), "it is gone");
	sp_expect(p[0], 0, LEN / 2);
	load();
	sp_expect(p[0], LEN / 2, LEN / 2);
	sp_expect(sv[1], LEN, LEN);
}
