// SPDX-License-Identifier: GPL-2.0
/*
 * sendfile and splice over long runs of messages without payload, which share one
 * position: as many as a sendfile remembers messages, and one more or less.
 */
#include "helpers/splice.h"

#define BIG	0x7ffff000UL

static const unsigned int runs[] = { 1, 999, 1000, 1001, 2001, 5000 };
#define RUNS	(sizeof(runs) / sizeof(runs[0]))

struct way {
	const char *options;
	int flags;
	uint32_t hold;
	bool by_splice;
};

static const struct way ways[] = {
	{ "", O_RDONLY, 0, false },
	{ "", O_RDONLY, 0, true },
	{ "", O_RDWR, 0, false },
	{ "", O_RDWR, 0, true },
	{ "", O_RDONLY, MQ_HOLD_READERS, false },
	{ "", O_RDONLY, MQ_HOLD_READERS, true },
	{ "+until=end", O_RDONLY, 0, false },
};

static const struct way skipping[] = {
	{ "+overrun=skip", O_RDONLY, 0, false },
	{ "+overrun=skip", O_RDWR, 0, false },
	{ "+overrun=skip", O_RDONLY, 0, true },
};

/* So many messages without payload, in one batch. */
static void tombstones(int w, unsigned int n)
{
	struct batch *b = batch_new();

	while (n--)
		batch_add(b, "", 0);
	need(batch_write(b, w, MQ_PARTITION_ANY) > 0);
	batch_free(b);
}

/* The payloads of text, with n messages without payload between them and at both ends. */
static const char *run_topic(uint32_t hold, const char *text, unsigned int n)
{
	const char *t = topic_new(.hold = hold, .overflow = MQ_OVERFLOW_REJECT);
	int w = topic_open(t, "", O_WRONLY), rec = topic_open(t, "+format=record", O_WRONLY);

	for (; *text; text++) {
		tombstones(rec, n);
		need_ret(write(w, text, 1), 1);
	}
	tombstones(rec, n);
	close(rec);
	close(w);
	return t;
}

static ssize_t move(int r, const struct way *way, int pipe, int socket)
{
	return way->by_splice ? sp_splice(r, pipe, BIG) : sendfile(socket, r, NULL, BIG);
}

/* All that is left, by calls that move as much as they can, is just text; then nothing more. */
static void expect_moved(int r, const struct way *way, const char *text)
{
	int p[2], s[2];
	char got[64];
	size_t done = 0, len = strlen(text);

	sp_pipe(p, 0);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	while (done < len) {
		ssize_t n = move(r, way, p[1], s[0]);

		if (!ok(n > 0 && (size_t)n <= len - done, "bytes come after %zu: %zd", done, n))
			break;
		done += n;
	}
	done = sp_read_all(way->by_splice ? p[0] : s[1], got, done);
	expect_mem(got, done, text, len);
	sp_nonblock(r, true);
	for (int i = 0; i < 2; i++) {
		if (strstr(way->options, "until"))
			expect_ret(move(r, way, p[1], s[0]), 0);
		else
			expect_err(move(r, way, p[1], s[0]), EAGAIN);
	}
	expect_eq(file_stat(r).lost_messages, 0);
	expect_eq(file_stat(r).overruns, 0);
	expect_eq(file_stat(r).lag_bytes, 0);
	close(p[0]);
	close(p[1]);
	close(s[0]);
	close(s[1]);
}

static void each(const struct way *way, unsigned int nr, void (*fn)(const struct way *, unsigned int))
{
	for (unsigned int i = 0; i < nr; i++) {
		for (unsigned int k = 0; k < RUNS; k++) {
			fn(&way[i], runs[k]);
			if (!failures())
				continue;
			note("... %u without payload, \"%s\"%s%s%s", runs[k], way[i].options,
			     way[i].flags == O_RDWR ? ", O_RDWR" : "",
			     way[i].hold ? ", hold=readers" : "",
			     way[i].by_splice ? ", by splice" : "");
			return;
		}
	}
}

/* A reader that has read the payload before them: its place is behind that one. */
static void behind_payload(const struct way *way, unsigned int n)
{
	const char *t = run_topic(way->hold, "abc", n);
	int r = topic_open(t, way->options, way->flags);
	char c;

	need_ret(read(r, &c, 1), 1);
	expect_eq(c, 'a');
	expect_moved(r, way, "bc");
	expect_eq(sp_pos(r), 3);
	if (way->hold)
		expect_eq(partition_state(t, 0).held_position, 3);
	topic_del(t);
}

TEST(between, "messages without payload between others are passed over: none is lost, no byte comes twice")
{
	each(ways, sizeof(ways) / sizeof(ways[0]), behind_payload);
}

/* A reader at the oldest message: there is no place before it to go back to. */
static void at_the_tail(const struct way *way, unsigned int n)
{
	const char *t = run_topic(way->hold, "ab", n);
	int r = topic_open(t, way->options, way->flags);

	expect_moved(r, way, "ab");
	expect_eq(sp_pos(r), 2);
	topic_del(t);
}

TEST(oldest, "the same where they are the oldest messages")
{
	each(ways, sizeof(ways) / sizeof(ways[0]), at_the_tail);
}

TEST(oldest_skipped, "the same with overrun=skip: the call ends")
{
	each(skipping, sizeof(skipping) / sizeof(skipping[0]), at_the_tail);
	each(skipping, sizeof(skipping) / sizeof(skipping[0]), behind_payload);
}

TEST(given_back, "what a short socket gives back behind them is found again, and what is lost then is exact")
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .ring_messages = 8192);
	int w = topic_open(t, "", O_WRONLY), rec = topic_open(t, "+format=record", O_WRONLY);
	int r = topic_open(t, "", O_RDONLY), s[2], i;
	uint64_t sent, lost;
	ssize_t n;

	tombstones(rec, 1500);
	for (i = 0; i < 300; i++) {
		sp_put(w, i * 1000, 1000);
		if (i % 10 == 9)
			tombstones(rec, 3);
	}
	sp_small_tcp_pair(s);
	sp_nonblock(s[0], true);
	n = sendfile(s[0], r, NULL, BIG);
	need(n > 0 && n < 300000);
	sent = n;
	expect_eq(sp_pos(r), sent);
	expect_eq(file_stat(r).offset, 1500 + sent / 1000 + sent / 10000 * 3);
	sp_expect(s[1], 0, sent);
	/* Lapped: of those that were lost none without payload counts. */
	for (; i < 2000; i++)
		sp_put(w, i * 1000, 1000);
	expect_err(sendfile(s[0], r, NULL, BIG), ENOBUFS);
	lost = sp_pos(r) / 1000 - sent / 1000;
	expect(lost > 0);
	expect_eq(file_stat(r).lost_messages, lost);
	expect_eq(file_stat(r).overruns, 1);
}
