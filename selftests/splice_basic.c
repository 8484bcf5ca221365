// SPDX-License-Identifier: GPL-2.0
/* splice from a topic into a pipe: which bytes, how many, and where the position is afterwards. */
#include "helpers/splice.h"

TEST(payloads_and_position,
	"splice gives the payload bytes from the position on and moves it by them")
{
	const char *t;
	int w, r, p[2];
	char buf[64];
	ssize_t n;

	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 0);
	ok(write(w, "one ", 4) == 4 && write(w, "two ", 4) == 4 && write(w, "three", 5) == 5,
	   "three messages written");

	n = sp_splice(r, p[1], 1000);
	ok(n == 13 && sp_read_all(p[0], buf, 13) == 13 && !memcmp(buf, "one two three", 13),
	   "one splice gives the payloads, messages not kept apart");
	ok(sp_pos(r) == 13 && file_stat(r).offset == 3, "position moved by what was moved");

	ok(lseek(r, 0, SEEK_SET) == 0 && sp_splice(r, p[1], 6) == 6 &&
	   sp_read_all(p[0], buf, 6) == 6 && !memcmp(buf, "one tw", 6) && sp_pos(r) == 6,
	   "the length asked is a limit, in the middle of a message, too");
	n = read(r, buf, sizeof(buf));
	ok(n == 2 && !memcmp(buf, "o ", 2) && sp_pos(r) == 8,
	   "read after it gives the rest of that message");
	ok(sp_splice(r, p[1], 2) == 2 && read(p[0], buf, 2) == 2 && !memcmp(buf, "th", 2),
	   "splice after read goes on at the next byte");
	ok(sp_splice(r, p[1], 0) == 0 && sp_pos(r) == 10, "splice of 0 bytes: 0");
	ok(sp_splice(r, p[1], 0x7fffffff) == 3 && read(p[0], buf, 9) == 3 && sp_pos(r) == 13,
	   "an enormous length ends at the log's end");

	ok(sp_splice(w, p[1], 10) == -1 && errno == EBADF, "file opened for writing only: EBADF");
	close(r);
}

TEST(explicit_offset, "splice at an explicit offset leaves the own position")
{
	const char *t;
	int w, r, p[2];
	char buf[64];
	loff_t off;
	ssize_t n;

	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 0);
	need(write(w, "0123456789", 10) == 10 && write(w, "abcdefghij", 10) == 10);

	ok(sp_splice(r, p[1], 3) == 3 && read(p[0], buf, 3) == 3,
	   "three bytes from the own position");
	off = 7;
	n = splice(r, &off, p[1], NULL, 6, 0);
	ok(n == 6 && off == 13 && read(p[0], buf, 6) == 6 && !memcmp(buf, "789abc", 6),
	   "an explicit offset gives the bytes there and is moved");
	ok(sp_pos(r) == 3, "the file's own position stays (%llu)", (ull)sp_pos(r));
	n = sp_splice(r, p[1], 4);
	ok(n == 4 && read(p[0], buf, 4) == 4 && !memcmp(buf, "3456", 4),
	   "the own position goes on where it was");

	off = 20;
	sp_nonblock(r, true);
	n = splice(r, &off, p[1], NULL, 6, 0);
	ok(n == -1 && errno == EAGAIN && off == 20, "offset at the end, non-blocking: EAGAIN");
	/* VFS says EOVERFLOW where offset and length together pass 2^64. */
	off = -1;
	ok(splice(r, &off, p[1], NULL, 6, 0) == -1 && (errno == EINVAL || errno == EOVERFLOW),
	   "negative offset: EINVAL or EOVERFLOW");
	off = -100;
	ok(splice(r, &off, p[1], NULL, 6, 0) == -1 && errno == EINVAL, "negative offset: EINVAL");
	ok(sp_pos(r) == 7 && file_readable(p[0]) == 0, "nothing moved");
	close(r);
}

TEST(read_write_file, "splice from a file opened read-write")
{
	const char *t;
	int f, p[2];
	char buf[64];
	loff_t off = 0;

	t = topic_new(.ring_bytes = 65536);
	f = topic_open(t, "", O_RDWR);
	sp_pipe(p, 0);
	ok(write(f, "0123456789", 10) == 10 && write(f, "abc", 3) == 3,
	   "O_RDWR: two messages written");
	ok(sp_splice(f, p[1], 4) == 4 && read(p[0], buf, 4) == 4 && !memcmp(buf, "0123", 4),
	   "O_RDWR: splice starts at the own position, which writes did not move");
	ok(sp_pos(f) == 4, "O_RDWR: splice moved the position");
	ok(write(f, "xy", 2) == 2 && sp_pos(f) == 4, "O_RDWR: a write leaves it");
	ok(read(f, buf, 64) == 6 && !memcmp(buf, "456789", 6) && sp_pos(f) == 10,
	   "O_RDWR: read goes on there");
	ok(sp_splice(f, p[1], 64) == 5 && read(p[0], buf, 64) == 5 && !memcmp(buf, "abcxy", 5),
	   "O_RDWR: and splice after it");
	ok(lseek(f, 1, SEEK_SET) == 1 && sp_splice(f, p[1], 2) == 2 && read(p[0], buf, 2) == 2 &&
	   !memcmp(buf, "12", 2), "O_RDWR: splice follows lseek");
	ok(splice(f, &off, p[1], NULL, 4, 0) == -1 && (errno == EINVAL || errno == ESPIPE),
	   "O_RDWR: an explicit offset is refused");
	ok(file_readable(p[0]) == 0 && sp_pos(f) == 3, "... and nothing moved");
	close(f);
}

TEST(formats, "splice from record files (EINVAL), line topics, until=end")
{
	const char *t;
	int w, r, p[2], s[2];
	struct stat st;
	char buf[64];

	t = topic_new(.ring_bytes = 65536, .framing = MQ_FRAMING_LINE);
	w = topic_open(t, "", O_WRONLY);
	sp_pipe(p, 0);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	need(write(w, "a\nbb\nccc", 8) == 8);

	r = topic_open(t, "+format=record", O_RDONLY);
	ok(sp_splice(r, p[1], 64) == -1 && errno == EINVAL, "format=record: splice is EINVAL");
	ok(sendfile(s[0], r, NULL, 64) == -1 && errno == EINVAL,
	   "format=record: sendfile is EINVAL");
	ok(file_readable(p[0]) == 0 && file_readable(s[1]) == 0, "... and nothing came");
	close(r);

	r = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	ok(sp_splice(r, p[1], 64) == 5 && read(p[0], buf, 64) == 5 && !memcmp(buf, "a\nbb\n", 5),
	   "line topic: whole lines, the unfinished one waits");
	ok(sp_splice(r, p[1], 64) == -1 && errno == EAGAIN, "... until it is finished");
	ok(write(w, "\n", 1) == 1 && sp_splice(r, p[1], 64) == 4 && read(p[0], buf, 64) == 4 &&
	   !memcmp(buf, "ccc\n", 4), "... then it comes");
	close(r);

	r = topic_open(t, "+until=end", O_RDONLY);
	need(write(w, "later\n", 6) == 6 && !fstat(r, &st));
	ok(sp_splice(r, p[1], 4) == 4 && sp_splice(r, p[1], 64) == 5 &&
	   sp_splice(r, p[1], 64) == 0 &&
	   sp_splice(r, p[1], 64) == 0, "until=end: the log as it was at open, then 0");
	ok(read(p[0], buf, 64) == 9 && !memcmp(buf, "a\nbb\nccc\n", 9), "... with the right bytes");
	close(r);
}

TEST(partitions, "several partitions: splice works, sendfile is EINVAL")
{
	const char *t;
	int w0, w1, r, p[2], s[2], zeros = 0, ones = 0, other = 0, i;
	char buf[64];
	ssize_t n;

	t = topic_new(.ring_bytes = 65536, .partitions = 2);
	w0 = topic_open(t, "@0", O_WRONLY);
	w1 = topic_open(t, "@1", O_WRONLY);
	r = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	sp_pipe(p, 0);
	need_ret(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	need(write(w0, "0000", 4) == 4 && write(w1, "11111", 5) == 5 && write(w0, "0", 1) == 1);
	ok(sendfile(s[0], r, NULL, 64) == -1 && errno == EINVAL && file_readable(s[1]) == 0,
	   "two partitions: sendfile is EINVAL");
	for (i = 0; i < 8; i++) {
		n = sp_splice(r, p[1], 64);
		if (n <= 0)
			break;
	}
	ok(n == -1 && errno == EAGAIN && file_readable(p[0]) == 10,
	   "two partitions: splice to a pipe works, to the end of both");
	n = read(p[0], buf, 64);
	for (i = 0; i < n; i++) {
		zeros += buf[i] == '0';
		ones += buf[i] == '1';
		other += buf[i] != '0' && buf[i] != '1';
	}
	ok(zeros == 5 && ones == 5 && !other, "... and gives the bytes of both");
	ok(sp_pos(r) == 10, "... the position counts bytes delivered");
	close(r);
	r = topic_open(t, "@1", O_RDONLY);
	ok(sp_splice(r, p[1], 64) == 5 && sendfile(s[0], r, &(off_t){ 1 }, 2) == 2 &&
	   file_readable(s[1]) == 2, "one partition's file: splice and sendfile");
	close(r);
}

/* Every page border, several laps of the ring, in uneven pieces. */
static void laps(uint64_t start_position, uint64_t start_offset, const char *what)
{
	const char *t;
	uint64_t i = 0, pos = start_position;
	struct sp_plan plan;
	bool right = true;
	int w, r, p[2];

	t = topic_new(.ring_bytes = 65536, .start_position = start_position,
		      .start_offset = start_offset);
	sp_plan_init(&plan, 400, 1, 3000, start_position);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	sp_pipe(p, 65536);
	while (right && i < plan.n) {
		uint64_t to = i + 7 < plan.n ? i + 7 : plan.n;
		size_t step = 1 + i * 37 % 9000;

		need(sp_append_to(w, &plan, i, to) == to);
		i = to;
		while (right && pos < plan.pos[i]) {
			ssize_t n = sp_splice(r, p[1], step);

			right = n > 0 && (size_t)n <= step && sp_expect(p[0], pos, n);
			if (n > 0)
				pos += n;
			right = right && sp_pos(r) == pos;
		}
	}
	ok(right && pos == plan.pos[plan.n],
	   "%s: %llu bytes followed over nine laps, every byte right",
	   what, (ull)(pos - start_position));
	ok(file_stat(r).offset == start_offset + plan.n && file_stat(r).lost_messages == 0,
	   "%s: offset %llu, nothing lost", what, (ull)file_stat(r).offset);
	ok(sp_splice(r, p[1], 1) == -1 && errno == EAGAIN, "%s: then EAGAIN", what);
	close(r);
}

TEST(counters, "messages and bytes out, counted where a message ends")
{
	const char *t;
	uint64_t bytes, messages;
	int w, r, p[2], i;

	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 0);
	for (i = 0; i < 3; i++)
		need_ret(write(w, "0123456789", 10), 10);
	ok(sp_splice(r, p[1], 25) == 25, "two and a half messages spliced");
	messages = topic_counters(t).messages_out;
	bytes = topic_counters(t).bytes_out;
	ok(messages == 2 && bytes == 25, "messages out %llu, bytes out %llu",
	   (ull)messages, (ull)bytes);
	ok(sp_splice(r, p[1], 25) == 5, "and the rest");
	messages = topic_counters(t).messages_out;
	bytes = topic_counters(t).bytes_out;
	ok(messages == 3 && bytes == 30,
	   "messages out %llu, bytes out %llu: a message counts at its end",
	   (ull)messages, (ull)bytes);
	close(r);
}

TEST(laps_from_0, "a log is followed over several laps of its ring, in uneven pieces")
{
	laps(0, 0, "from 0");
}

TEST(laps_2_32, "D.25: the same around position and offset 2^32")
{
	laps((1ULL << 32) - 200000, (1ULL << 32) - 100, "around 2^32");
}

TEST(laps_2_63, "D.25: the same up to position 2^63")
{
	laps(LLONG_MAX - (1 << 20), LLONG_MAX - (1 << 20), "below 2^63");
}
