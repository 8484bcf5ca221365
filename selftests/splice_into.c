// SPDX-License-Identifier: GPL-2.0
/* splice and sendfile into a topic: what becomes a message, and what a refusal leaves behind. */
#include "helpers/splice.h"

/* The next message of r is the log from pos on, len bytes. */
static bool next_message(int r, uint64_t pos, size_t len)
{
	static unsigned char buf[1 << 20];
	ssize_t n;

	sp_nonblock(r, true);
	n = read(r, buf, sizeof(buf));
	return ok(n == (ssize_t)len, "a message of %zu bytes, not %zd", len, n) &&
	       sp_right("the message", buf, pos, len);
}

static void no_message(int r)
{
	char c;

	sp_nonblock(r, true);
	expect_err(read(r, &c, 1), EAGAIN);
}

/* The pipe holds len bytes from pos on, still. */
static void untouched(int p[2], uint64_t pos, size_t len)
{
	if (expect_eq(file_readable(p[0]), len))
		sp_expect(p[0], pos, len);
}

TEST(one_message, "what the pipe holds is one message, up to the length asked")
{
	const char *t = topic_new(.ring_bytes = 1 << 20);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2];

	sp_pipe(p, 65536);
	sp_put(p[1], 0, 100);
	sp_put(p[1], 100, 5000);
	sp_put(p[1], 5100, 7);
	expect_ret(sp_splice(p[0], w, 1 << 20), 5107);
	expect_eq(file_readable(p[0]), 0);
	next_message(r, 0, 5107);
	no_message(r);

	sp_put(p[1], 5107, 3000);
	expect_ret(sp_splice(p[0], w, 1000), 1000);
	expect_eq(file_readable(p[0]), 2000);
	expect_ret(sp_splice(p[0], w, 1999), 1999);
	expect_ret(sp_splice(p[0], w, 10), 1);
	next_message(r, 5107, 1000);
	next_message(r, 6107, 1999);
	next_message(r, 8106, 1);
	no_message(r);
	expect_eq(file_stat(r).head_offset, 4);
	expect_ret(sp_splice(p[0], w, 0), 0);
	no_message(r);

	/* A full pipe. */
	sp_put(p[1], 8107, 65536);
	expect_ret(sp_splice(p[0], w, 0x7fffffff), 65536);
	next_message(r, 8107, 65536);
	no_message(r);
}

TEST(offset_ignored, "an offset is ignored, as pwrite's is")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2];
	loff_t off = 12345;

	sp_pipe(p, 0);
	sp_put(p[1], 0, 10);
	expect_ret(splice(p[0], NULL, w, &off, 10, 0), 10);
	sp_put(p[1], 10, 10);
	off = 0;
	expect_ret(splice(p[0], NULL, w, &off, 10, 0), 10);
	next_message(r, 0, 10);
	next_message(r, 10, 10);
	no_message(r);
}

TEST(too_large, "more than max_message_bytes: EMSGSIZE, the pipe untouched")
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .max_message_bytes = 10000);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2], i;

	sp_pipe(p, 65536);
	for (i = 0; i < 11; i++)
		sp_put(p[1], i * 1000, 1000);
	expect_err(sp_splice(p[0], w, 65536), EMSGSIZE);
	expect_eq(file_readable(p[0]), 11000);
	expect_err(sp_splice(p[0], w, 10001), EMSGSIZE);
	no_message(r);
	expect_ret(sp_splice(p[0], w, 10000), 10000);
	next_message(r, 0, 10000);
	untouched(p, 10000, 1000);
}

TEST(line_topic, "a line topic: lines as writes make them")
{
	const char *t = topic_new(.ring_bytes = 65536, .framing = MQ_FRAMING_LINE);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY | O_NONBLOCK), p[2];
	char buf[100];

	sp_pipe(p, 0);
	need_ret(write(p[1], "one\ntwo\nth", 10), 10);
	expect_ret(sp_splice(p[0], w, 100), 10);
	expect_eq(file_stat(r).head_offset, 2);
	expect_mem(buf, read(r, buf, 100), "one\ntwo\n", 8);
	need_ret(write(p[1], "ree\n", 4), 4);
	expect_ret(sp_splice(p[0], w, 100), 4);
	expect_mem(buf, read(r, buf, 100), "three\n", 6);
	expect_eq(file_stat(r).head_offset, 3);
}

TEST(from_file, "sendfile from a file makes messages of 64 KiB")
{
	const char *t = topic_new(.ring_bytes = 1 << 20);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY);
	int f = memfd_create("source", 0);
	uint64_t done = 0;
	off_t off = 0;

	need(f >= 0);
	sp_put(f, 0, 200000);
	while (done < 200000) {
		ssize_t n = sendfile(w, f, &off, 200000 - done);

		if (!ok(n > 0, "sendfile: %zd", n))
			return;
		done += n;
	}
	expect_eq(off, 200000);
	next_message(r, 0, 65536);
	next_message(r, 65536, 65536);
	next_message(r, 131072, 65536);
	next_message(r, 196608, 200000 - 196608);
	no_message(r);

	/* A message topic that takes no 64 KiB says so. */
	t = topic_new(.ring_bytes = 1 << 17);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	off = 0;
	expect_err(sendfile(w, f, &off, 65536), EMSGSIZE);
	expect_eq(off, 0);
	no_message(r);
	expect_ret(sendfile(w, f, &off, 32768), 32768);
	next_message(r, 0, 32768);
}

TEST(empty_pipe, "an empty pipe: 0 without writers, EAGAIN if it may not wait, else a wait")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2];
	ssize_t *ret = shared_alloc(4096);
	pid_t pid;

	sp_pipe(p, 0);
	expect_err(sp_splice_nb(p[0], w, 100), EAGAIN);
	sp_nonblock(p[0], true);
	expect_err(sp_splice(p[0], w, 100), EAGAIN);
	sp_nonblock(p[0], false);
	pid = sp_fork();
	if (!pid) {
		close(p[1]);
		*ret = sp_splice(p[0], w, 100);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_splice), "it waits for the pipe's writer");
	sp_put(p[1], 0, 10);
	child_ok(pid, SOON);
	expect_eq(*ret, 10);
	next_message(r, 0, 10);

	*ret = -1;
	pid = sp_fork();
	if (!pid) {
		close(p[1]);
		*ret = sp_splice(p[0], w, 100);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_splice), "it waits for the pipe's writer");
	close(p[1]);
	child_ok(pid, SOON);
	expect_eq(*ret, 0);
	expect_ret(sp_splice(p[0], w, 100), 0);
	expect_ret(sp_splice_nb(p[0], w, 100), 0);
	no_message(r);
}

TEST(no_room, "a full topic: EAGAIN, ENOBUFS, ENODEV, and the pipe untouched")
{
	const char *t = topic_new(.ring_bytes = 65536, .hold = MQ_HOLD_READERS,
				  .set = MQT(OVERFLOW), .overflow = MQ_OVERFLOW_BLOCK);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2], i, pid;
	struct { ssize_t ret; int error; } *res = shared_alloc(sizeof(*res));

	sp_pipe(p, 0);
	for (i = 0; i < 4; i++)
		sp_put(w, i * 16384, 16384);
	sp_put(p[1], 65536, 1000);
	expect_err(sp_splice_nb(p[0], w, 1000), EAGAIN);
	sp_nonblock(w, true);
	expect_err(sp_splice(p[0], w, 1000), EAGAIN);
	sp_nonblock(w, false);
	topic_set(t, .overflow = MQ_OVERFLOW_REJECT);
	expect_err(sp_splice(p[0], w, 1000), ENOBUFS);
	topic_set(t, .set = MQT(OVERFLOW), .overflow = MQ_OVERFLOW_BLOCK);
	expect_eq(file_readable(p[0]), 1000);

	/* A signal, then room, then the topic's end. */
	sp_catch(SIGUSR1, false);
	for (i = 0; i < 3; i++) {
		pid = sp_fork();
		if (!pid) {
			res->ret = sp_splice(p[0], w, 1000);
			res->error = errno;
			_exit(0);
		}
		ok(sp_waits_in(pid, __NR_splice), "it waits for room");
		if (i == 0) {
			kill(pid, SIGUSR1);
			child_ok(pid, SOON);
			ok(res->ret == -1 && res->error == EINTR, "EINTR, not %zd", res->ret);
			expect_eq(file_readable(p[0]), 1000);
		} else if (i == 1) {
			next_message(r, 0, 16384);
			child_ok(pid, SOON);
			expect_eq(res->ret, 1000);
			expect_eq(file_readable(p[0]), 0);
			/* As long as there is room. */
			for (;;) {
				ssize_t n = sp_splice_nb(p[0], w, 1000);

				if (n < 0 && !file_readable(p[0])) {
					sp_put(p[1], 0, 1000);
					continue;
				}
				if (n < 0)
					break;
			}
			expect_eq(errno, EAGAIN);
		} else {
			expect_eq(topic_del(t), 0);
			child_ok(pid, SOON);
			ok(res->ret == -1 && res->error == ENODEV, "ENODEV, not %zd", res->ret);
			untouched(p, 0, 1000);
			sp_put(p[1], 5, 10);
			expect_err(sp_splice(p[0], w, 1000), ENODEV);
			untouched(p, 5, 10);
		}
	}
}

TEST(paused, "a paused topic makes it wait under every policy")
{
	const char *t = topic_new(.ring_bytes = 65536, .paused = 1,
				  .overflow = MQ_OVERFLOW_DROP_OLDEST);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2];
	pid_t pid;

	sp_pipe(p, 0);
	sp_put(p[1], 0, 100);
	expect_err(sp_splice_nb(p[0], w, 100), EAGAIN);
	pid = sp_fork();
	if (!pid)
		_exit(sp_splice(p[0], w, 100) == 100 ? 0 : 1);
	ok(sp_waits_in(pid, __NR_splice), "it waits for the end of the pause");
	topic_set(t, .set = MQT(PAUSED), .paused = 0);
	child_ok(pid, SOON);
	next_message(r, 0, 100);
}

TEST(refused, "A.11: files it does not work on: EBADF, EINVAL, and the pipe untouched")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int r = topic_open(t, "", O_RDONLY), f, p[2];

	sp_pipe(p, 0);
	sp_put(p[1], 0, 100);
	expect_err(sp_splice(p[0], r, 100), EBADF);
	f = topic_open(t, "", O_WRONLY | O_DSYNC);
	expect_err(sp_splice(p[0], f, 100), EINVAL);	/* durable, on a memory topic */
	no_message(r);
	untouched(p, 0, 100);
}

TEST(user_pages, "B.15: vmsplice'd and gifted user pages: changing them later does not change the log")
{
	const char *t = topic_new(.ring_bytes = 1 << 20);
	int w = topic_open(t, "", O_WRONLY), r = topic_open(t, "", O_RDONLY), p[2], i;
	unsigned char *mem = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(mem != MAP_FAILED);
	sp_pipe(p, 65536);
	for (i = 0; i < 2; i++) {
		struct iovec iov = { mem, 8 * 4096 };
		uint64_t pos = i * 8 * 4096;

		sp_fill(mem, pos, 8 * 4096);
		expect_ret(vmsplice(p[1], &iov, 1, i ? SPLICE_F_GIFT : 0), 8 * 4096);
		expect_ret(splice(p[0], NULL, w, NULL, 65536, i ? SPLICE_F_MOVE : 0), 8 * 4096);
		memset(mem, 0xee, 8 * 4096);
		next_message(r, pos, 8 * 4096);
	}
	memset(mem, 0xdd, 8 * 4096);
	sp_log_intact(t);
}

TEST(topic_to_topic, "topic to pipe to topic, and by tee to two")
{
	const char *a = topic_new(.ring_bytes = 65536), *b = topic_new(.ring_bytes = 65536);
	const char *c = topic_new(.ring_bytes = 65536);
	int aw = topic_open(a, "", O_WRONLY), ar = topic_open(a, "", O_RDONLY), i;
	int bw = topic_open(b, "", O_WRONLY), br = topic_open(b, "", O_RDONLY);
	int cw = topic_open(c, "", O_WRONLY), cr = topic_open(c, "", O_RDONLY);
	int p[2], q[2];
	uint64_t pos = 0;

	sp_pipe(p, 65536);
	sp_pipe(q, 65536);
	/* Three laps of each ring. */
	for (i = 0; i < 100; i++) {
		size_t len = 1 + i * 577 % 4000;
		ssize_t n;

		sp_put(aw, pos, len);
		n = sp_splice(ar, p[1], 65536);
		if (!expect_eq(n, len))
			return;
		expect_ret(tee(p[0], q[1], len, 0), n);
		expect_ret(sp_splice(p[0], bw, 65536), n);
		if (!next_message(br, pos, len))
			return;
		/* Pages of the first ring lie in the second pipe while it goes on. */
		if (i % 4 == 3) {
			size_t want = file_readable(q[0]);

			expect_ret(sp_splice(q[0], cw, 65536), (ssize_t)want);
			if (!next_message(cr, pos + len - want, want))
				return;
		}
		pos += len;
	}
	sp_log_intact(a);
	sp_log_intact(b);
	sp_log_intact(c);
	sp_lent_returns(a);
}

TEST(sendfile_topic_to_topic, "sendfile from a topic to a topic")
{
	const char *a = topic_new(.ring_bytes = 1 << 20), *b = topic_new(.ring_bytes = 1 << 20);
	int aw = topic_open(a, "", O_WRONLY), ar = topic_open(a, "", O_RDONLY);
	int bw = topic_open(b, "", O_WRONLY), br = topic_open(b, "", O_RDONLY);
	uint64_t pos;

	for (pos = 0; pos < 300000; pos += 1000)
		sp_put(aw, pos, 1000);
	for (pos = 0; pos < 300000;) {
		ssize_t n = sendfile(bw, ar, NULL, 1 << 20);

		if (!ok(n > 0 && sp_pos(ar) == pos + n, "sendfile: %zd at %llu", n, (ull)pos))
			return;
		pos += n;
	}
	expect_eq(file_stat(br).head_position, 300000);
	ok(file_stat(br).head_offset <= 20,
	   "in few messages (%llu)", (ull)file_stat(br).head_offset);
	sp_log_intact(b);

	/* A message that finds no room was not read from the other. */
	topic_set(b, .paused = 1);
	sp_nonblock(bw, true);
	sp_put(aw, 300000, 1000);
	expect_err(sendfile(bw, ar, NULL, 1000), EAGAIN);
	expect_eq(sp_pos(ar), 300000);
	topic_set(b, .set = MQT(PAUSED), .paused = 0);
	expect_ret(sendfile(bw, ar, NULL, 1000), 1000);
	expect_eq(sp_pos(ar), 301000);
	sp_log_intact(b);
}

TEST(partitions, "a splice into a topic of several partitions is one message in one of them")
{
	const char *t = topic_new(.ring_bytes = 65536, .partitions = 4);
	int w = topic_open(t, "", O_WRONLY), p[2], i;
	uint64_t sum = 0, most = 0;

	sp_pipe(p, 0);
	for (i = 0; i < 8; i++) {
		sp_put(p[1], i * 100, 100);
		expect_ret(sp_splice(p[0], w, 65536), 100);
	}
	for (i = 0; i < 4; i++) {
		uint64_t n = partition_state(t, i).head_offset;

		sum += n;
		most = n > most ? n : most;
	}
	expect_eq(sum, 8);
	expect_eq(most, 8);	/* a file sticks to its partition */
}

struct splice_args {
	int from, to;
};

static long splice_100(void *arg)
{
	struct splice_args *a = arg;

	return sp_splice(a->from, a->to, 100);
}

TEST(empty_buffers, "empty buffers, which writes that fault leave in a pipe, are an empty pipe")
{
	const enum mq_framing framing[] = { MQ_FRAMING_MESSAGE, MQ_FRAMING_LINE };
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), got[16];

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.framing = framing[i]);
		struct splice_args args = { .to = topic_open(t, "", O_WRONLY) };
		int r = topic_open(t, "", O_RDONLY), p[2];
		struct async a;

		sp_pipe(p, 65536);
		args.from = p[0];
		expect_err(write(p[1], bad, 100), EFAULT);
		expect_err(sp_splice_nb(p[0], args.to, 100), EAGAIN);
		/* As many as the pipe takes: who writes next waits until they are gone. */
		for (int n = 0; n < 16; n++)
			expect_err(write(p[1], bad, 100), EFAULT);
		async_start(&a, splice_100, &args);
		expect_waits(&a);
		expect_ret(write(p[1], "hello\n", 6), 6);
		need(async_end(&a, SOON));
		expect_eq(a.ret, 6);
		expect_mem(got, read(r, got, sizeof(got)), "hello\n", 6);
	}
}

/* A splice or sendfile into f waits while somebody else reads ten messages from it. */
static void reads_meanwhile(bool into_full, bool ends_badly)
{
	const char *t = topic_new(.ring_bytes = 65536, .set = MQT(OVERFLOW),
				  .overflow = MQ_OVERFLOW_BLOCK);
	struct splice_args args = { .to = topic_open(t, "", O_RDWR) };
	struct async a;
	char got[16];
	int p[2], i;

	for (i = 0; i < 20; i++)
		sp_put(args.to, i * 10, 10);
	sp_pipe(p, 65536);
	args.from = p[0];
	if (into_full) {
		topic_set(t, .paused = 1);
		sp_put(p[1], 200, 10);
	}
	async_start(&a, splice_100, &args);
	expect_waits(&a);
	for (i = 0; i < 10; i++) {
		need_ret(read(args.to, got, sizeof(got)), 10);
		sp_right("a message", got, i * 10, 10);
	}
	if (ends_badly)
		async_signal(&a);
	else if (into_full)
		topic_set(t, .set = MQT(PAUSED), .paused = 0);
	else
		sp_put(p[1], 200, 10);
	need(async_end(&a, SOON));
	if (ends_badly)
		expect(a.ret == -1 && a.error == EINTR);
	else
		expect_eq(a.ret, 10);
	expect_eq(sp_pos(args.to), 100);
	expect_eq(file_stat(args.to).offset, 10);
	need_ret(read(args.to, got, sizeof(got)), 10);
	sp_right("the next message", got, 100, 10);
}

TEST(position, "read-write: what others read from the file while a splice into it waits stays read")
{
	reads_meanwhile(false, false);
	reads_meanwhile(true, false);
	reads_meanwhile(false, true);
	reads_meanwhile(true, true);
}

TEST(position_sendfile, "the same with a sendfile, which waits for room")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int rw = topic_open(t, "", O_RDWR), f = memfd_create("source", 0), i;
	ssize_t *ret = shared_alloc(4096);
	char got[16];
	pid_t pid;

	need(f >= 0);
	sp_put(f, 200, 10);
	for (i = 0; i < 20; i++)
		sp_put(rw, i * 10, 10);
	topic_set(t, .paused = 1);
	pid = sp_fork();
	if (!pid) {
		off_t off = 0;

		*ret = sendfile(rw, f, &off, 10);
		_exit(0);
	}
	ok(sp_waits_in(pid, __NR_sendfile), "it waits for the end of the pause");
	for (i = 0; i < 10; i++)
		need_ret(read(rw, got, sizeof(got)), 10);
	topic_set(t, .set = MQT(PAUSED), .paused = 0);
	child_ok(pid, SOON);
	expect_eq(*ret, 10);
	expect_eq(sp_pos(rw), 100);
	need_ret(read(rw, got, sizeof(got)), 10);
	sp_right("the next message", got, 100, 10);
}

static void send_all(void *arg)
{
	const int *fds = arg;

	sendfile(fds[0], fds[1], NULL, 1 << 30);
}

TEST(killed, "D.22: SIGKILL ends a sendfile that would make a message of each of a GiB of bytes")
{
	const char *t = topic_new(.ring_bytes = 1 << 20, .framing = MQ_FRAMING_LINE,
				  .max_message_bytes = 1);
	int fds[2] = { topic_open(t, "", O_WRONLY), memfd_create("source", 0) };
	pid_t pid;

	need(fds[1] >= 0);
	need_ret(ftruncate(fds[1], 1 << 30), 0);
	pid = child_start(send_all, fds);
	need(wait_until(partition_state(t, 0).head_offset > 0, SOON));
	sleep_ms(200);
	kill(pid, SIGKILL);
	expect_eq(child_wait(pid, SOON), SIGKILL);
	expect_eq(partition_state(t, 0).head_offset, partition_state(t, 0).head_position);
}
