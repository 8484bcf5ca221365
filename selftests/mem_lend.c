// SPDX-License-Identifier: GPL-2.0
/* What pipes and sockets may keep of a ring: bounded, or nothing (lend=0). */
#include "helpers/splice.h"

#define RING	(1 << 20)
#define CHUNK	65536		/* a sixteenth of the ring: what one held byte keeps */

static char msg[16384];

static void put(int w, unsigned int chunks)
{
	for (unsigned int i = 0; i < chunks * (CHUNK / sizeof(msg)); i++)
		need_ret(write(w, msg, sizeof(msg)), sizeof(msg));
}

/* A pipe with one byte of each of the last @n chunks. */
static void keep(int r, int p[2], unsigned int n)
{
	uint64_t head = file_stat(r).head_position;

	sp_pipe(p, 65536);
	for (unsigned int i = 1; i <= n; i++) {
		need(lseek(r, head - i * CHUNK, SEEK_SET) >= 0);
		expect_ret(sp_splice_nb(r, p[1], 1), 1);
	}
}

TEST(mem_lend_off, "lend=0: splice and sendfile copy, nothing of the ring is kept")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 1024, .set = MQT(LEND));
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2], s[2];
	uint64_t pos = 0, end;

	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	sp_pipe(p, 65536);
	for (int i = 0; i < 20; i++) {
		for (end = pos + 16384; pos < end; pos += 1024)
			sp_put(w, pos, 1024);
		expect_ret(sp_splice_nb(r, p[1], 8192), 8192);
		expect_ret(sendfile(s[0], r, NULL, 8192), 8192);
		/* The pages spliced are old by a lap of the ring before they are looked at. */
		if (i >= 4) {
			sp_expect(p[0], (i - 4) * 16384, 8192);
			sp_expect(s[1], (i - 4) * 16384 + 8192, 8192);
		}
		expect_eq(topic_counters(t).lent, 0);
	}
	expect_eq(file_stat(r).lost_messages, 0);
}

TEST(mem_lend_switch, "lend can be switched at run time, both ways")
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 1024);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[3][2];

	put(w, 16);
	expect(topic_set(t, .set = MQT(LEND)));
	keep(r, p[0], 8);
	put(w, 20);
	expect_eq(topic_counters(t).lent, 0);
	expect(topic_set(t, .lend = 1));
	keep(r, p[1], 8);
	put(w, 20);
	expect_eq(topic_counters(t).lent, 8 * CHUNK);
	/* What is lent stays lent, no more comes. */
	expect(topic_set(t, .set = MQT(LEND)));
	keep(r, p[2], 8);
	put(w, 20);
	expect_eq(topic_counters(t).lent, 8 * CHUNK);
	close(p[1][0]);
	close(p[1][1]);
	sp_lent_returns(t);
}

TEST(mem_lend_back, "what comes back is the module's again: its memory is that of the topic, then none")
{
	uint64_t before = module_settled().memory;
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 1024);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2];

	put(w, 16);
	keep(r, p, 8);
	put(w, 20);
	expect_eq(topic_counters(t).lent, 8 * CHUNK);
	expect_eq(module_state().memory - before, topic_counters(t).memory);
	close(p[0]);
	close(p[1]);
	sp_lent_returns(t);
	expect_eq(module_settled().memory - before, topic_counters(t).memory);
	close(w);
	close(r);
	need_eq(topic_del(t), 0);
	expect_eq(module_settled().memory, before);
}

/* One byte keeps a chunk: as many pipes and sockets as a user may have, and the ring goes on. */
static void greedy(void *arg)
{
	int r = topic_open(arg, "", O_RDONLY), p[2];

	need_ret(setresgid(65534, 65534, 65534), 0);
	need_ret(setresuid(65534, 65534, 65534), 0);
	for (unsigned int n = 0;; n++) {
		struct mq_stat st = file_stat(r);
		bool by_socket = n & 1;

		if (by_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) : pipe(p))
			pause();
		for (unsigned int i = 1; i <= 15 && i * CHUNK < st.head_position; i++) {
			if (lseek(r, st.head_position - i * CHUNK, SEEK_SET) < 0)
				break;
			if ((by_socket ? sendfile(p[1], r, NULL, 1) : sp_splice_nb(r, p[1], 1)) < 0 &&
			    errno != ENOBUFS && errno != EAGAIN)
				break;
		}
	}
}

TEST(mem_lend_greedy, "E.29: four users' pipes and sockets full of single bytes: lent at most twice the ring, writes go on")
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 1024, .mode = 0644);
	int w = topic_open(t, "", O_WRONLY);
	uint64_t most = 0, memory = 0;
	pid_t pid[4];

	put(w, 16);
	for (int i = 0; i < 4; i++)
		pid[i] = child_start(greedy, (void *)t);
	for (int i = 0; i < 400 && (i < 100 || most < RING); i++) {
		struct topic_stats st;

		put(w, 1);
		st = topic_counters(t);
		most = st.lent > most ? st.lent : most;
		memory = st.memory > memory ? st.memory : memory;
		sleep_ms(5);
	}
	note("lent at most %llu, memory at most %llu, ring %d", (ull)most, (ull)memory, RING);
	ok(most >= RING / 2 && most <= 2 * RING, "lent is at most twice the ring (%llu)", (ull)most);
	/* The ring and its spare chunk, its index, and what is lent. */
	ok(memory <= 3ULL * RING + CHUNK + 65536 + 16384, "memory is bounded (%llu)", (ull)memory);
	for (int i = 0; i < 4; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	sp_lent_returns(t);
}
