// SPDX-License-Identifier: GPL-2.0
/*
 * A TCP receiver that stops reading while the ring comes round ten times: the
 * writer is not held up, the receiver then gets every byte as promised, the
 * rest is counted, and the pages it held come back.
 * $MQ_STOP_SECONDS: how long the window stays shut (default 60 for sendfile, 5 for splice).
 *
 * TIMEOUT: 400
 */
#include "helpers/splice.h"

#define RING	(1 << 18)
#define MESSAGES 6000

/* What the sender was told, for the receiver to compare with. */
struct report {
	volatile uint64_t segments;
	volatile uint64_t lost;
	volatile uint64_t overruns;
	struct {
		uint64_t from;
		uint64_t to;
	} seg[1000];
};

static void sender(const char *t, int sock, struct report *rep, uint64_t end, bool by_splice)
{
	int r = topic_open(t, "", O_RDONLY), p[2];
	uint64_t pos = 0, n = 0;

	sp_pipe(p, 65536);
	rep->seg[0].from = 0;
	while (pos < end) {
		ssize_t got;

		if (by_splice) {
			got = sp_splice(r, p[1], 65536);
			for (ssize_t left = got; left > 0;) {
				ssize_t out = splice(p[0], NULL, sock, NULL, left, 0);

				if (out <= 0)
					_exit(3);
				left -= out;
			}
		} else {
			got = sendfile(sock, r, NULL, 0x7ffff000);
		}
		if (got > 0) {
			pos += got;
			rep->seg[n].to = pos;
			if (sp_pos(r) != pos)
				fail("position %llu, expected %llu", (ull)sp_pos(r), (ull)pos);
		} else if (got == -1 && errno == ENOBUFS) {
			rep->seg[n].to = pos;
			if (++n == 1000)
				_exit(2);
			pos = sp_pos(r);
			rep->seg[n].from = pos;
			rep->seg[n].to = pos;
		} else {
			fail("%s: %zd %s", by_splice ? "splice" : "sendfile", got, strerror(errno));
			break;
		}
	}
	rep->lost = file_stat(r).lost_messages;
	rep->overruns = file_stat(r).overruns;
	rep->segments = n + 1;
	close(sock);
	_exit(0);
}

static void stopped(bool by_splice)
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 4096), *env;
	struct report *rep = shared_alloc(sizeof(*rep));
	int w = topic_open(t, "", O_WRONLY), sv[2];
	struct topic_stats before, mid, after;
	uint64_t got, lost = 0, laps, next, pos, i;
	unsigned char *buf;
	struct sp_plan plan;
	unsigned int seconds;
	double start;
	pid_t pid;

	env = getenv("MQ_STOP_SECONDS");
	seconds = env ? atoi(env) : by_splice ? 5 : 60;
	sp_plan_init(&plan, MESSAGES, 1, 3000, 0);
	sp_tcp_pair(sv, 65536, 65536);
	pid = sp_fork();
	if (!pid) {
		close(sv[1]);
		sender(t, sv[0], rep, plan.pos[plan.n], by_splice);
	}
	close(sv[0]);

	/* As much as the connection takes, then the window is shut. */
	next = sp_append_to(w, &plan, 0, sp_plan_at(&plan, RING - 4096));
	before = topic_counters(t);
	ok(sp_waits_in(pid, by_splice ? __NR_splice : __NR_sendfile), "the sender waits");
	start = sp_now();
	for (int lap = 0; lap < 11; lap++) {
		i = sp_plan_at(&plan, plan.pos[next] + RING);
		need(i < plan.n);
		expect_eq(sp_append_to(w, &plan, next, i), i);
		next = i;
		sleep_ms(seconds * 1000 / 11);
	}
	/* A call of 64 KiB ends when TCP has taken them: the window did not open. */
	ok(sp_waits_in(pid, by_splice ? __NR_splice : __NR_sendfile), "the sender still waits");
	note("%llu KiB appended in %.1f s with the receiver stopped", (ull)plan.pos[next] >> 10,
	     sp_now() - start);
	mid = topic_counters(t);
	laps = mid.wraps - before.wraps;
	ok(laps >= 10, "the ring came round ten times (%llu)", (ull)laps);
	ok(mid.lent > 0, "pages are lent while the receiver is stopped");
	ok(mid.lent <= 2 * RING, "but no more than twice the ring (%llu)", (ull)mid.lent);
	note("lent %llu, memory %llu bytes", (ull)mid.lent, (ull)mid.memory);
	expect_eq(sp_append_to(w, &plan, next, plan.n), plan.n);
	/* Still as many: nobody got what somebody holds. */
	ok(topic_counters(t).lent <= 2 * RING, "lent stays bounded");

	/* Now it reads. What came is held against what the sender was told. */
	buf = malloc(plan.pos[plan.n]);
	need(buf);
	got = sp_read_all(sv[1], buf, plan.pos[plan.n]);
	child_ok(pid, SOON);
	for (i = 0, pos = 0; i < rep->segments; i++) {
		uint64_t len = rep->seg[i].to - rep->seg[i].from;

		if (i)
			lost += sp_plan_lost(&plan, rep->seg[i - 1].to, rep->seg[i].from);
		if (!ok(pos + len <= got, "%llu bytes more came", (ull)(pos + len - got)) ||
		    !sp_right("what came", buf + pos, rep->seg[i].from, len))
			return;
		pos += len;
	}
	expect_eq(pos, got);
	expect_eq(rep->seg[rep->segments - 1].to, plan.pos[plan.n]);
	note("%llu bytes received, %llu messages lost in %llu overruns", (ull)got, (ull)rep->lost,
	     (ull)rep->overruns);
	expect_eq(rep->lost, lost);
	expect_eq(rep->overruns, rep->segments - 1);
	ok(rep->overruns > 0, "the sender was overrun");
	expect_eq(topic_counters(t).lost, lost);
	close(sv[1]);
	sp_lent_returns(t);
	after = topic_counters(t);
	/* The ring, its index of 64 bytes a message, and a chunk of each. */
	ok(after.memory <= (RING + 4096 * 64) / 16 * 17,
	   "memory is that of the rings again (%llu, %llu while the receiver was stopped)",
	   (ull)after.memory, (ull)mid.memory);
	sp_log_intact(t);
}

TEST_LIMIT(by_sendfile, "B.14: a stopped TCP receiver of sendfile, ten laps: every byte as promised", 180)
{
	stopped(false);
}

TEST_LIMIT(by_splice, "B.14: a stopped TCP receiver of splice, ten laps: every byte as promised", 180)
{
	stopped(true);
}
