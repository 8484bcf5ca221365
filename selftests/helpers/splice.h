/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the splice tests share beyond mqtest.h: content that can be checked at
 * any position, messages whose borders are known beforehand, pipes, sockets.
 */
#ifndef _SELFTESTS_SPLICE_H
#define _SELFTESTS_SPLICE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "mqtest.h"

#define SP_UNUSED __attribute__((unused))

typedef unsigned long long ull;

/* A promise in words; with the error, for most are about system calls. */
#define ok(cond, fmt, ...)							\
	({ bool ok_ = !!(cond);							\
	   if (!ok_)								\
		fail("not so: " fmt " [%s]", ##__VA_ARGS__, mqt_errno(errno));	\
	   ok_; })

/* A prime, so that no two positions a power of two apart have equal bytes. */
#define SP_PERIOD	1048583UL

static unsigned char sp_table[SP_PERIOD];

/* The byte at a position is a function of seed and position only. */
static SP_UNUSED void sp_gen_init(uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
	unsigned long i;

	for (i = 0; i < SP_PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sp_table[i] = x >> 24;
	}
}

__attribute__((constructor)) static void sp_gen_default(void)
{
	sp_gen_init(1);
}

static SP_UNUSED void sp_fill(void *buf, uint64_t pos, size_t len)
{
	unsigned char *to = buf;

	while (len) {
		size_t at = pos % SP_PERIOD;
		size_t n = SP_PERIOD - at < len ? SP_PERIOD - at : len;

		memcpy(to, sp_table + at, n);
		to += n;
		pos += n;
		len -= n;
	}
}

/* Index of the first byte that is wrong, or -1. */
static SP_UNUSED ssize_t sp_check(const void *buf, uint64_t pos, size_t len)
{
	const unsigned char *from = buf;
	size_t done = 0, i;

	while (done < len) {
		size_t at = (pos + done) % SP_PERIOD;
		size_t n = SP_PERIOD - at < len - done ? SP_PERIOD - at : len - done;

		if (memcmp(from + done, sp_table + at, n)) {
			for (i = 0; from[done + i] == sp_table[at + i]; i++)
				;
			return done + i;
		}
		done += n;
	}
	return -1;
}

/* The same, as a check that says where. */
static SP_UNUSED bool sp_right(const char *what, const void *buf, uint64_t pos, size_t len)
{
	ssize_t bad = sp_check(buf, pos, len);

	if (bad >= 0)
		fail("%s: wrong byte at position %llu (%zd of %zu from %llu on)", what,
		     (ull)pos + bad, bad, len, (ull)pos);
	return bad < 0;
}

/**
 * struct sp_plan - the messages of a log, laid out before they are written
 * @n: messages
 * @pos: position of each message, and of the end: n + 1 of them
 */
struct sp_plan {
	uint64_t n;
	uint64_t *pos;
};

/* n messages of min to max bytes from position start on. */
static SP_UNUSED void sp_plan_init(struct sp_plan *plan, uint64_t n, size_t min,
				   size_t max, uint64_t start)
{
	uint64_t x = 88172645463325252ULL + n + max;
	uint64_t i;

	plan->n = n;
	plan->pos = malloc((n + 1) * sizeof(*plan->pos));
	need(plan->pos);
	plan->pos[0] = start;
	for (i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		plan->pos[i + 1] = plan->pos[i] + min + (x >> 11) % (max - min + 1);
	}
}

/* The message that the byte at pos belongs to; n at the end. */
static SP_UNUSED uint64_t sp_plan_at(const struct sp_plan *plan, uint64_t pos)
{
	uint64_t lo = 0, hi = plan->n;

	while (lo < hi) {
		uint64_t mid = (lo + hi + 1) / 2;

		if (plan->pos[mid] <= pos)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

/* Messages of which a byte is missing to who read up to from and goes on at to. */
static SP_UNUSED uint64_t sp_plan_lost(const struct sp_plan *plan, uint64_t from, uint64_t to)
{
	return sp_plan_at(plan, to) - sp_plan_at(plan, from);
}

/* Append message i of the plan. */
static SP_UNUSED ssize_t sp_append(int fd, const struct sp_plan *plan, uint64_t i)
{
	static unsigned char buf[1 << 20];
	size_t len = plan->pos[i + 1] - plan->pos[i];

	sp_fill(buf, plan->pos[i], len);
	return write(fd, buf, len);
}

/* Append messages [from, to): the number of the first that failed, or to. */
static SP_UNUSED uint64_t sp_append_to(int fd, const struct sp_plan *plan, uint64_t from,
				       uint64_t to)
{
	while (from < to) {
		ssize_t n = sp_append(fd, plan, from);

		if (n != (ssize_t)(plan->pos[from + 1] - plan->pos[from]))
			break;
		from++;
	}
	return from;
}

/* Append len bytes from position pos on as one message; it must work. */
static SP_UNUSED void sp_put(int fd, uint64_t pos, size_t len)
{
	static unsigned char buf[1 << 20];

	sp_fill(buf, pos, len);
	need_ret(write(fd, buf, len), (ssize_t)len);
}

static SP_UNUSED uint64_t sp_pos(int fd)
{
	return lseek(fd, 0, SEEK_CUR);
}

/* What the log retains is what was appended, by pread and by record (its CRC). */
static SP_UNUSED bool sp_log_intact(const char *topic)
{
	static unsigned char buf[1 << 18] __attribute__((aligned(8)));
	static struct rec recs[4096];
	int fd = topic_open(topic, "", O_RDONLY | O_NONBLOCK);
	struct mq_stat st = file_stat(fd);
	uint64_t pos;
	ssize_t n;

	for (pos = st.tail_position; pos < st.head_position; pos += n) {
		n = pread(fd, buf, sizeof(buf), pos);
		if (!ok(n > 0, "%s: pread at %llu gives bytes", topic, (ull)pos) ||
		    !sp_right("the log, by pread", buf, pos, n))
			break;
	}
	close(fd);
	if (pos < st.head_position)
		return false;
	fd = topic_open(topic, "+format=record+until=end", O_RDONLY);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (batch_parse(buf, n, recs, 4096, NULL) < 0)
			break;
	close(fd);
	return ok(n == 0, "%s: the log can be read to its end by record", topic);
}

static SP_UNUSED void sp_pipe(int p[2], int size)
{
	need_ret(pipe2(p, O_CLOEXEC), 0);
	if (size)
		need(fcntl(p[1], F_SETPIPE_SZ, size) >= size);
}

static SP_UNUSED void sp_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	need_ret(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 0);
}

static SP_UNUSED ssize_t sp_splice(int in, int out, size_t len)
{
	return splice(in, NULL, out, NULL, len, 0);
}

static SP_UNUSED ssize_t sp_splice_nb(int in, int out, size_t len)
{
	return splice(in, NULL, out, NULL, len, SPLICE_F_NONBLOCK);
}

/* Read exactly len bytes, or as many as there are before the end. */
static SP_UNUSED size_t sp_read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

/* The next len bytes of a pipe, socket or file are those of the log from pos on. */
static SP_UNUSED bool sp_expect(int fd, uint64_t pos, size_t len)
{
	unsigned char buf[1 << 16];

	while (len) {
		size_t want = len < sizeof(buf) ? len : sizeof(buf);
		size_t n = sp_read_all(fd, buf, want);

		if (!sp_right("what came", buf, pos, n))
			return false;
		if (n < want) {
			fail("position %llu: %zu of %zu bytes came", (ull)pos, n, want);
			return false;
		}
		pos += n;
		len -= n;
	}
	return true;
}

static SP_UNUSED double sp_now(void)
{
	return now_ns() / 1e9;
}

/* fork; the child dies with its parent, by SIGKILL; 0 in the child. */
static SP_UNUSED pid_t sp_fork(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	need(pid >= 0);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Has the child ended? (It is not reaped.) */
static SP_UNUSED bool sp_ended(pid_t pid)
{
	siginfo_t si = { 0 };

	return waitid(P_PID, pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid == pid;
}

static SP_UNUSED void sp_on_signal(int sig)
{
	(void)sig;
}

/* A handler that does nothing but interrupt. */
static SP_UNUSED void sp_catch(int sig, bool restart)
{
	struct sigaction sa = { .sa_handler = sp_on_signal, .sa_flags = restart ? SA_RESTART : 0 };

	need_ret(sigaction(sig, &sa, NULL), 0);
}

/* The child sleeps in the given system call, and not only in passing. */
static SP_UNUSED bool sp_waits_in(pid_t pid, long nr)
{
	int seen;

	for (seen = 0; seen < 5; seen++) {
		if (sp_ended(pid) || !sleeps_in(pid, nr, SOON))
			return false;
		sleep_ms(10);
	}
	return true;
}

/* The loopback interface may be down in a fresh machine. */
static SP_UNUSED void sp_lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	need(fd >= 0);
	need_ret(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	if (!(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		need_ret(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	}
	close(fd);
}

/* sv[0] sends to sv[1] over TCP; buffers of the given sizes (0: default). */
static SP_UNUSED void sp_tcp_pair(int sv[2], int sndbuf, int rcvbuf)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int l;

	sp_lo_up();
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sv[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(l >= 0 && sv[0] >= 0);
	if (rcvbuf)
		need_ret(setsockopt(l, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
	if (sndbuf)
		need_ret(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)), 0);
	need_ret(bind(l, (struct sockaddr *)&sin, sizeof(sin)), 0);
	need_ret(listen(l, 1), 0);
	need_ret(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	need_ret(connect(sv[0], (struct sockaddr *)&sin, sizeof(sin)), 0);
	sv[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	need(sv[1] >= 0);
	close(l);
}

/* A TCP pair that takes little. (A Unix socket takes whole chunks of a ring: 17 a buffer.) */
static SP_UNUSED void sp_small_tcp_pair(int sv[2])
{
	sp_tcp_pair(sv, 16384, 16384);
}

/*
 * TCP leaves a last few buffers for the CPU that allocated them, which frees
 * them when it next receives something (skb_attempt_defer_free()): here it does.
 */
static SP_UNUSED void sp_nudge_network(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	cpu_set_t was, one;
	int cpu, s;

	sp_lo_up();
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	need(s >= 0);
	need_ret(bind(s, (struct sockaddr *)&sin, sizeof(sin)), 0);
	need_ret(getsockname(s, (struct sockaddr *)&sin, &len), 0);
	need_ret(sched_getaffinity(0, sizeof(was), &was), 0);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &was))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		need_ret(sched_setaffinity(0, sizeof(one), &one), 0);
		need_ret(sendto(s, "", 1, 0, (struct sockaddr *)&sin, sizeof(sin)), 1);
	}
	need_ret(sched_setaffinity(0, sizeof(was), &was), 0);
	close(s);
}

/* What is lent comes back once nobody holds it. */
static SP_UNUSED bool sp_lent_returns(const char *topic)
{
	uint64_t end = deadline(SOON);

	while (topic_counters(topic).lent && now_ns() < end) {
		sp_nudge_network();
		sleep_ms(20);
	}
	return ok(!topic_counters(topic).lent, "%s: lent pages come back (%llu bytes still out)",
		  topic, (ull)topic_counters(topic).lent);
}

#endif /* _SELFTESTS_SPLICE_H */
