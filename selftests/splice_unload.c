// SPDX-License-Identifier: GPL-2.0
/*
 * The module is not unloaded under a topic; without one it is, and pages of its
 * logs in pipes and sockets outlive it.
 */
#include "helpers/splice.h"
#include "helpers/module.h"

#define LEN	50000

TEST(pages_outlive,
	"B.16: unload: refused while a topic is there; pages in pipes and sockets outlive the module")
{
	const char *t = topic_new(.ring_bytes = 1 << 18);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2], sv[2];
	uint64_t pos;
	long ret;

	close(module_open());	/* it can be loaded afterwards */
	for (pos = 0; pos < 3 * LEN; pos += 1000)
		sp_put(w, pos, 1000);
	sp_pipe(p, 65536);
	sp_tcp_pair(sv, 0, 0);
	for (pos = 0; pos < LEN; pos += ret) {
		ret = sp_splice(r, p[1], LEN - pos);
		need(ret > 0);
	}
	expect_ret(sendfile(sv[0], r, NULL, LEN), LEN);

	ret = module_unload();
	ok(ret == -1 && (errno == EWOULDBLOCK || errno == EBUSY), "files open: the module stays");
	close(w);
	close(r);
	ret = module_unload();
	ok(ret == -1 && (errno == EWOULDBLOCK || errno == EBUSY),
	   "a topic exists: the module stays");
	expect_eq(topic_del(t), 0);
	if (topic_dump(NULL, NULL) > 0)
		skip("there are other topics");
	if (umount(MQ_DIR))
		skip("/dev/mq is in use");
	/* The last of a topic goes after a grace period. */
	for (pos = 0; pos < SOON * 100; pos++) {
		ret = module_unload();
		if (!ret || (errno != EWOULDBLOCK && errno != EBUSY))
			break;
		sleep_ms(10);
	}
	ok(!ret, "without a topic the module is unloaded");
	if (ret) {
		module_mount();
		mqt_end();
	}
	ok(!module_loaded(), "it is gone");
	sp_expect(p[0], 0, LEN / 2);
	module_load();
	module_mount();
	sp_expect(p[0], LEN / 2, LEN / 2);
	sp_expect(sv[1], LEN, LEN);
}
