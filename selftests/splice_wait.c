// SPDX-License-Identifier: GPL-2.0
/* When splice waits, when it does not, and that no wait holds the pipe's lock. */
#include "helpers/splice.h"
#include "helpers/filter.h"

struct result {
	ssize_t ret;
	int err;
	int64_t pos;
};

static struct result *res;

/* A child that splices once; what it got stands in *res. */
static pid_t splicer(int in, int out, size_t len, bool sigpipe)
{
	pid_t pid = sp_fork();

	if (pid)
		return pid;
	if (sigpipe)
		signal(SIGPIPE, SIG_DFL);
	res->ret = splice(in, NULL, out, NULL, len, 0);
	res->err = errno;
	res->pos = lseek(in, 0, SEEK_CUR);
	_exit(0);
}

TEST(non_blocking, "B.13: nothing to splice: EAGAIN where it may not wait")
{
	const char *t;
	int w, r, p[2];
	char buf[16];

	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 0);
	ok(sp_splice_nb(r, p[1], 10) == -1 && errno == EAGAIN,
	   "empty topic, SPLICE_F_NONBLOCK: EAGAIN");
	sp_nonblock(r, true);
	ok(sp_splice(r, p[1], 10) == -1 && errno == EAGAIN, "empty topic, O_NONBLOCK file: EAGAIN");
	ok(sendfile(p[1], r, NULL, 10) == -1 && errno == EAGAIN, "empty topic, sendfile: EAGAIN");
	sp_nonblock(r, false);
	sp_nonblock(p[1], true);
	ok(sp_splice(r, p[1], 10) == -1 && errno == EAGAIN, "empty topic, O_NONBLOCK pipe: EAGAIN");
	sp_nonblock(p[1], false);
	ok(write(w, "abc", 3) == 3 && sp_splice_nb(r, p[1], 10) == 3 && read(p[0], buf, 16) == 3,
	   "with a message there it comes");
	close(r);
}

TEST(first_byte_only, "splice waits for its first byte, and only for that")
{
	const char *t;
	int w, r, p[2];
	char buf[16];
	pid_t pid;

	res = shared_alloc(sizeof(*res));
	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 0);
	pid = splicer(r, p[1], 1000, false);
	ok(sp_waits_in(pid, __NR_splice), "a splice from an empty topic waits");
	ok(write(w, "abc", 3) == 3 && child_wait(pid, SOON) == 0, "a message ends the wait");
	ok(res->ret == 3 && res->pos == 3,
	   "it returns the 3 bytes and does not wait for 1000 (%zd)",
	   res->ret);
	ok(read(p[0], buf, 16) == 3 && !memcmp(buf, "abc", 3), "... which are in the pipe");

	sp_catch(SIGUSR1, false);
	pid = splicer(r, p[1], 1000, false);
	ok(sp_waits_in(pid, __NR_splice) && !kill(pid, SIGUSR1) && child_wait(pid, SOON) == 0 &&
	   res->ret == -1 && res->err == EINTR && res->pos == 3, "a signal ends the wait: EINTR");
	sp_catch(SIGUSR1, true);
	pid = splicer(r, p[1], 1000, false);
	ok(sp_waits_in(pid, __NR_splice) && !kill(pid, SIGUSR1) &&
	   sp_waits_in(pid, __NR_splice), "with SA_RESTART it goes on waiting");
	ok(write(w, "de", 2) == 2 && child_wait(pid, SOON) == 0 && res->ret == 2 && res->pos == 5 &&
	   read(p[0], buf, 16) == 2, "... and gets what comes");
	pid = splicer(r, p[1], 1000, false);
	ok(sp_waits_in(pid, __NR_splice) && !kill(pid, SIGKILL) && child_wait(pid, SOON) == SIGKILL,
	   "SIGKILL ends the wait");
	close(r);
}

TEST(full_pipe, "B.13: a full pipe, a pipe of one page, a pipe without reader")
{
	const char *t;
	static char fill[65536];
	int w, r, p[2], size, i, good = 0;
	uint64_t pos;
	pid_t pid;

	res = shared_alloc(sizeof(*res));
	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	for (i = 0; i < 8; i++) {
		sp_fill(fill, i * 2500, 2500);
		need(write(w, fill, 2500) == 2500);
	}

	/* A pipe of one page: each splice gives what one buffer takes. */
	sp_pipe(p, 4096);
	size = fcntl(p[1], F_GETPIPE_SZ);
	for (pos = 0, i = 0; pos < 20000 && i < 1000; i++) {
		ssize_t n = sp_splice_nb(r, p[1], 20000);

		if (n <= 0 || sp_pos(r) != pos + n || !sp_expect(p[0], pos, n))
			break;
		good += n <= size;
		pos += n;
	}
	ok(pos == 20000 && good == i,
	   "pipe of one page: %d splices, every byte right, position exact", i);

	sp_pipe(p, 4096);
	need(lseek(r, 100, SEEK_SET) == 100 && sp_splice(r, p[1], 50) == 50);
	ok(sp_splice_nb(r, p[1], 50) == -1 && errno == EAGAIN && sp_pos(r) == 150,
	   "full pipe, SPLICE_F_NONBLOCK: EAGAIN, nothing moved");
	pid = splicer(r, p[1], 70, false);
	ok(sp_waits_in(pid, __NR_splice), "full pipe: splice waits");
	ok(sp_expect(p[0], 100, 50) && child_wait(pid, SOON) == 0 && res->ret == 70 &&
	   res->pos == 220 &&
	   sp_expect(p[0], 150, 70), "... until it is read, then it goes on");

	/* No reader. */
	sp_pipe(p, 0);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	ok(sp_splice(r, p[1], 70) == -1 && errno == EPIPE && sp_pos(r) == 220,
	   "pipe without a reader: EPIPE, nothing moved");
	pid = splicer(r, p[1], 70, true);
	ok(child_wait(pid, SOON) == SIGPIPE, "... and SIGPIPE");
	close(p[1]);

	/* The reader goes while the splice waits for a message. */
	sp_pipe(p, 0);
	need(lseek(r, 0, SEEK_END) >= 0);
	pid = sp_fork();
	if (!pid) {
		close(p[0]);
		res->ret = splice(r, NULL, p[1], NULL, 70, 0);
		res->err = errno;
		res->pos = lseek(r, 0, SEEK_CUR);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_splice), "splice waits at the end of the log");
	close(p[0]);
	need(write(w, "late", 4) == 4);
	ok(child_wait(pid, SOON) == 0 && res->ret == -1 && res->err == EPIPE && res->pos == 20000,
	   "the pipe's reader left meanwhile: EPIPE, nothing moved (%zd, %s)", res->ret,
	   strerror(res->err));
	close(p[1]);
	close(r);
}

/* Use the pipe while somebody waits in a splice on it; in a child, for it may hang. */
static int pipe_usable(int p[2], const char *put, size_t get, char *got)
{
	pid_t pid = sp_fork();
	int n = 0;

	if (pid)
		return child_wait(pid, SOON);
	if (write(p[1], put, strlen(put)) != (ssize_t)strlen(put))
		_exit(1);
	if (ioctl(p[0], FIONREAD, &n) || n < (int)strlen(put))
		_exit(2);
	if (read(p[0], got, get) != (ssize_t)get)
		_exit(3);
	_exit(0);
}

TEST(out_of_topic_holds_nothing, "a splice that waits for a message holds no lock of the pipe")
{
	const char *t;
	int w, r, p[2], status;
	char buf[16], *got = shared_alloc(4096);
	pid_t pid;

	res = shared_alloc(sizeof(*res));
	t = topic_new(.ring_bytes = 65536);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	sp_pipe(p, 4096);
	pid = splicer(r, p[1], 100, false);
	ok(sp_waits_in(pid, __NR_splice), "a splice from an empty topic waits");
	status = pipe_usable(p, "hello", 5, got);
	ok(status == 0 && !memcmp(got, "hello", 5),
	   "meanwhile others write, FIONREAD and read the pipe (status %d)", status);
	ok(!sp_ended(pid), "... and it still waits");

	/* The pipe is filled behind its back: it waits for room, and takes nothing before it. */
	need(write(p[1], "x", 1) == 1);
	while (file_readable(p[0]) < 4096 && write(p[1], got, 1) == 1)
		;
	need(write(w, "message", 7) == 7);
	sleep_ms(300);
	ok(!sp_ended(pid) && file_readable(p[0]) == 4096,
	   "the pipe filled meanwhile, a message there: it waits for room");
	ok(sp_read_all(p[0], got, 4096) == 4096 && child_wait(pid, SOON) == 0 && res->ret == 7 &&
	   res->pos == 7, "... and gets the message then");
	ok(read(p[0], buf, 16) == 7 && !memcmp(buf, "message", 7), "... whole");
	close(r);
}

TEST(into_topic_holds_nothing, "a splice that waits for room in a topic holds no lock of the pipe")
{
	const char *t;
	static unsigned char msg[16384], in_log[16384], in_pipe[200];
	int w, r, p[2], i, left, status;
	unsigned char *got = shared_alloc(4096);
	size_t mine = 0;
	ssize_t n;
	pid_t pid;

	/* Everything is held: the ring takes 65536 bytes and then no more. */
	res = shared_alloc(sizeof(*res));
	t = topic_new(.ring_bytes = 65536, .set = MQT(OVERFLOW),
		      .overflow = MQ_OVERFLOW_BLOCK, .hold = MQ_HOLD_READERS);
	r = topic_open(t, "", O_RDONLY);
	w = topic_open(t, "", O_WRONLY);
	for (i = 0; i < 4; i++)
		need(write(w, msg, sizeof(msg)) == sizeof(msg));
	sp_pipe(p, 0);
	for (i = 0; i < 100; i++)
		in_pipe[i] = i;
	need(write(p[1], in_pipe, 100) == 100);
	pid = splicer(p[0], w, 100, false);
	ok(sp_waits_in(pid, __NR_splice), "a splice into a full topic waits");
	status = pipe_usable(p, "abcde", 5, (char *)got);
	ok(status == 0, "meanwhile others write, FIONREAD and read the pipe (status %d)", status);
	ok(!sp_ended(pid), "... and it still waits");

	/* Make room. What was in the pipe is in one place only, and in order. */
	for (i = 0; i < 4; i++)
		need(read(r, in_log, sizeof(in_log)) == sizeof(in_log));
	ok(child_wait(pid, SOON) == 0 && res->ret > 0, "room: it returns %zd (%s)", res->ret,
	   strerror(res->err));
	sp_nonblock(r, true);
	n = read(r, in_log, sizeof(in_log));
	ok(n == res->ret, "... as one message of that length (%zd)", n);
	left = file_readable(p[0]);
	memcpy(in_pipe + 100, "abcde", 5);
	ok(n > 0 && left >= 0 && n + left + 5 == 105,
	   "every byte is somewhere, none twice: %zd + %d + 5",
	   n, left);
	if (left > 0 && left <= 100) {
		unsigned char rest[100];

		/* Three runs of the stream, in the log, with the reader, in the pipe. */
		mine = sp_read_all(p[0], rest, left);
		for (i = 0; i < 105; i++) {
			bool here = (n > 0 && !memcmp(in_log, in_pipe + i, 1) && i + n <= 105 &&
				     !memcmp(in_log, in_pipe + i, n));

			if (here)
				break;
		}
		ok(i < 105 && (int)mine == left,
		   "the message is one run of the stream, from byte %d", i);
		ok(!memcmp(rest, in_pipe + 105 - left, left),
		   "what is left in the pipe is its end");
	} else {
		ok(n > 0 && (!memcmp(in_log, in_pipe, n) || !memcmp(in_log, in_pipe + 5, n)),
		   "the message is one run of the stream");
		ok(left == 0, "nothing is left in the pipe");
	}
	close(r);
}

/* Others that use the same file must not make a splice wait with the pipe locked either. */
TEST(shared_file_read, "a read that waits on the same read-write file: the pipe stays usable")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int f = topic_open(t, "", O_RDWR), p[2], status;
	char *got = shared_alloc(4096), c;
	pid_t reader, pid;

	res = shared_alloc(sizeof(*res));
	sp_pipe(p, 0);
	reader = sp_fork();
	if (!reader)
		_exit(read(f, &c, 1) == 1 ? 0 : 1);
	ok(sp_waits_in(reader, __NR_read), "a read waits");
	pid = splicer(f, p[1], 100, false);
	ok(sp_waits_in(pid, __NR_splice), "a splice waits");
	status = pipe_usable(p, "hello", 5, got);
	ok(status == 0, "meanwhile others use the pipe (status %d)", status);
	need_ret(write(f, "a", 1), 1);
	need_ret(write(f, "b", 1), 1);
	child_ok(pid, SOON);
	/* The splice may have been first, and may have taken both. */
	ok(res->ret == 1 || (res->ret == 2 && res->pos == 2), "the splice got %zd", res->ret);
	if (res->ret == 2)
		need_ret(write(f, "c", 1), 1);
	child_ok(reader, SOON);
}

TEST(shared_file_write, "a line write that waits on the same file: the pipe stays usable")
{
	const char *t = topic_new(.ring_bytes = 65536, .framing = MQ_FRAMING_LINE,
				  .set = MQT(OVERFLOW), .overflow = MQ_OVERFLOW_BLOCK,
				  .hold = MQ_HOLD_READERS);
	int r = topic_open(t, "", O_RDONLY), w = topic_open(t, "", O_WRONLY), p[2], status;
	static char line[8192], buf[65536];
	char *got = shared_alloc(4096);
	pid_t writer, pid;
	size_t all = 0;

	res = shared_alloc(sizeof(*res));
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (int i = 0; i < 8; i++)
		need_ret(write(w, line, sizeof(line)), (ssize_t)sizeof(line));
	writer = sp_fork();
	if (!writer)
		_exit(write(w, line, sizeof(line)) == sizeof(line) ? 0 : 1);
	ok(sp_waits_in(writer, __NR_write), "a write waits");
	sp_pipe(p, 0);
	need_ret(write(p[1], "one\ntwo\n", 8), 8);
	pid = sp_fork();
	if (!pid) {
		res->ret = splice(p[0], NULL, w, NULL, 100, 0);
		res->err = errno;
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_splice), "a splice into the same file waits");
	status = pipe_usable(p, "three\n", 4, got);
	ok(status == 0, "meanwhile others use the pipe (status %d)", status);
	while (all < 9 * sizeof(line)) {
		ssize_t n = read(r, buf, sizeof(buf));

		if (!ok(n > 0, "read: %zd", n))
			break;
		all += n;
	}
	child_ok(writer, SOON);
	child_ok(pid, SOON);
	ok(res->ret > 0, "the splice goes on: %zd", res->ret);
}

/* A splice or sendfile waits at the end, behind ten messages of five bytes. */
static pid_t waits_at_50(int *w, int *r, int flags, int p[2], bool by_sendfile)
{
	const char *t = topic_new(.ring_bytes = 65536);
	char buf[64];
	pid_t pid;

	res = shared_alloc(sizeof(*res));
	*w = topic_open(t, "", O_WRONLY);
	*r = topic_open(t, "", flags);
	for (int i = 0; i < 10; i++) {
		sp_put(*w, i * 5, 5);
		need_ret(read(*r, buf, sizeof(buf)), 5);
	}
	sp_pipe(p, 0);
	pid = sp_fork();
	if (!pid) {
		res->ret = by_sendfile ? sendfile(p[1], *r, NULL, 100) : sp_splice(*r, p[1], 100);
		res->err = errno;
		_exit(0);
	}
	ok(sp_waits_in(pid, by_sendfile ? __NR_sendfile : __NR_splice), "it waits at the end");
	return pid;
}

static void record_meanwhile(int flags, bool by_sendfile)
{
	static uint64_t buf[512];
	struct rec rec[4];
	int w, r, p[2];
	pid_t pid = waits_at_50(&w, &r, flags, p, by_sendfile);

	need_ret(file_set_format(r, MQ_FORMAT_RECORD), 0);
	expect_eq(sp_pos(r), 10);
	sp_put(w, 50, 5);
	child_ok(pid, SOON);
	ok(res->ret == -1 && res->err == EINVAL, "EINVAL, not %zd", res->ret);
	expect_eq(file_readable(p[0]), 0);
	expect_eq(sp_pos(r), 10);
	sp_nonblock(r, true);
	if (expect_eq(batch_parse(buf, read(r, buf, sizeof(buf)), rec, 4, NULL), 1))
		expect_eq(rec[0].e->offset, 10);
	expect_eq(sp_pos(r), 11);
}

TEST(record_meanwhile_waits, "a splice that waits while the file becomes a record file: EINVAL, nothing moved")
{
	record_meanwhile(O_RDONLY, false);
	record_meanwhile(O_RDONLY, true);
	record_meanwhile(O_RDWR, false);
}

static void filter_meanwhile(int flags, bool by_sendfile)
{
	int w, r, p[2];
	pid_t pid = waits_at_50(&w, &r, flags, p, by_sendfile);

	need_ret(filter_first(r, 'y'), 0);
	put(w, "no");
	child_ok(pid, SOON);
	ok(res->ret == -1 && res->err == EINVAL, "EINVAL, not %zd", res->ret);
	expect_eq(file_readable(p[0]), 0);
	put(w, "yes");
	expect_read(r, "yes");
	expect_eq(file_stat(r).filtered_messages, 1);
}

TEST(filter_meanwhile_waits, "the same while it gets a filter: what does not pass is not moved")
{
	filter_meanwhile(O_RDONLY, false);
	filter_meanwhile(O_RDONLY, true);
	filter_meanwhile(O_RDWR, false);
}

/* What another thread has read while the call waited in vain stays read. */
TEST(error_keeps_position, "a splice that a signal ends leaves the file where others have read to")
{
	char buf[64];
	int w, r, p[2];
	pid_t pid;

	sp_catch(SIGUSR1, false);
	pid = waits_at_50(&w, &r, O_RDONLY, p, false);
	need(lseek(r, 5, SEEK_SET) == 5);
	need_ret(read(r, buf, sizeof(buf)), 5);
	kill(pid, SIGUSR1);
	child_ok(pid, SOON);
	ok(res->ret == -1 && res->err == EINTR, "EINTR, not %zd", res->ret);
	expect_eq(sp_pos(r), 10);
}
