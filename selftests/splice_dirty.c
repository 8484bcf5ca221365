// SPDX-License-Identifier: GPL-2.0
/*
 * Nobody who gets pages of a log by splice can write into them: not through a
 * pipe with stale flags (Dirty Pipe), nor by tee, gift, move, or a file that
 * took them.
 *
 * NEEDS: mkfs.ext4
 */
#include "helpers/splice.h"
#include <linux/loop.h>
#include <sys/mount.h>

struct setup {
	const char *t;
	int w;
	int r;
	int p[2];
};

static void set_up(struct setup *s)
{
	uint64_t pos;

	s->t = topic_new(.ring_bytes = 1 << 18);
	s->w = topic_open(s->t, "", O_WRONLY);
	s->r = topic_open(s->t, "", O_RDONLY);
	for (pos = 0; pos < 1 << 17; pos += 1024)
		sp_put(s->w, pos, 1024);
	sp_pipe(s->p, 65536);
}

/* Leave flags in every slot of the pipe. */
static void fill_and_drain(int p[2], bool packets)
{
	static char buf[65536];
	int i;

	if (packets) {
		need(fcntl(p[1], F_SETFL, O_WRONLY | O_DIRECT) == 0);
		for (i = 0; i < 16; i++)
			need_ret(write(p[1], buf, 100), 100);
		for (i = 0; i < 16; i++)
			need_ret(read(p[0], buf, sizeof(buf)), 100);
		need(fcntl(p[1], F_SETFL, O_WRONLY) == 0);
	} else {
		need_ret(write(p[1], buf, sizeof(buf)), (ssize_t)sizeof(buf));
		expect_eq(sp_read_all(p[0], buf, sizeof(buf)), sizeof(buf));
	}
}

static void dirty_pipe(bool packets)
{
	struct setup s;
	char buf[200];
	int i;

	set_up(&s);
	fill_and_drain(s.p, packets);
	/* Each slot once: pieces of ten bytes, then one byte behind each. */
	for (i = 0; i < 32; i++) {
		uint64_t pos = i * 1000;

		need(lseek(s.r, pos, SEEK_SET) == (off_t)pos);
		expect_ret(sp_splice(s.r, s.p[1], 10), 10);
		need_ret(write(s.p[1], "!", 1), 1);
		expect_eq(sp_read_all(s.p[0], buf, 11), 11);
		sp_right("the pipe's bytes", buf, pos, 10);
		expect_eq(buf[10], '!');
	}
	sp_log_intact(s.t);
	/* And a batch that ends at a page's end, then many bytes. */
	need(lseek(s.r, 0, SEEK_SET) == 0);
	expect_ret(sp_splice(s.r, s.p[1], 4096), 4096);
	memset(buf, '?', sizeof(buf));
	need_ret(write(s.p[1], buf, sizeof(buf)), (ssize_t)sizeof(buf));
	sp_expect(s.p[0], 0, 4096);
	expect_eq(file_readable(s.p[0]), sizeof(buf));
	sp_log_intact(s.t);
}

TEST(stale_flags, "B.12: a byte written to the pipe after a splice lands in a page of its own")
{
	dirty_pipe(false);
}

TEST(packet_pipe, "B.12: the same after a packet-mode pipe")
{
	dirty_pipe(true);
}

TEST(teed, "B.15: tee: both pipes have the bytes, neither can change the log")
{
	struct setup s;
	char buf[8192];
	int q[2];

	set_up(&s);
	sp_pipe(q, 65536);
	fill_and_drain(q, false);
	expect_ret(sp_splice(s.r, s.p[1], 5000), 5000);
	expect_ret(tee(s.p[0], q[1], 5000, 0), 5000);
	memset(buf, '#', sizeof(buf));
	need_ret(write(q[1], buf, 3000), 3000);
	need_ret(write(s.p[1], buf, 3000), 3000);
	sp_expect(s.p[0], 0, 5000);
	sp_expect(q[0], 0, 5000);
	expect_eq(file_readable(q[0]), 3000);
	/* From one pipe to the other, too. */
	expect_ret(sp_splice(s.r, s.p[1], 100), 100);
	expect_eq(sp_read_all(q[0], buf, 3000), 3000);
	expect_eq(sp_read_all(s.p[0], buf, 3000), 3000);
	expect_ret(sp_splice(s.p[0], q[1], 100), 100);
	need_ret(write(q[1], buf, 50), 50);
	sp_expect(q[0], 5000, 100);
	sp_log_intact(s.t);
}

TEST(gift_flags, "B.15: a pipe that carried gifts: SPLICE_F_MOVE cannot steal a page of the log")
{
	struct iovec iov = { .iov_len = 16 * 4096 };
	static char sink[65536];
	struct setup s;
	int f;

	set_up(&s);
	iov.iov_base = mmap(NULL, iov.iov_len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(iov.iov_base, 'g', iov.iov_len);
	expect_ret(vmsplice(s.p[1], &iov, 1, SPLICE_F_GIFT), 65536);
	expect_eq(sp_read_all(s.p[0], sink, 65536), 65536);
	f = memfd_create("taker", 0);
	expect_ret(splice(s.r, NULL, s.p[1], NULL, 32768, SPLICE_F_MOVE | SPLICE_F_GIFT), 32768);
	expect_ret(splice(s.p[0], NULL, f, NULL, 32768, SPLICE_F_MOVE), 32768);
	memset(sink, 'x', 32768);
	need_ret(pwrite(f, sink, 32768, 0), 32768);
	sp_log_intact(s.t);
}

/* Move pages of the log into a file, then write to that file. */
static void move_into(const char *path)
{
	static char junk[65536];
	struct setup s;
	unsigned char *map;
	size_t done;
	int f;

	set_up(&s);
	f = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	need(f >= 0);
	/* From a page's start, and whole: what a thief would want. */
	for (done = 0; done < 1 << 17;) {
		ssize_t n = splice(s.r, NULL, s.p[1], NULL, 65536, SPLICE_F_MOVE);

		if (!ok(n > 0, "splice: %zd", n))
			return;
		while (n > 0) {
			ssize_t m = splice(s.p[0], NULL, f, NULL, n, SPLICE_F_MOVE);

			if (!ok(m > 0, "splice into %s: %zd", path, m))
				return;
			n -= m;
			done += m;
		}
	}
	lseek(f, 0, SEEK_SET);
	sp_expect(f, 0, 1 << 17);
	map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	need(map != MAP_FAILED);
	memset(map, 'm', 65536);
	memset(junk, 'j', sizeof(junk));
	need_ret(pwrite(f, junk, 65536, 65536), 65536);
	need_ret(fsync(f), 0);
	sp_log_intact(s.t);
	sp_lent_returns(s.t);
	need_ret(ftruncate(f, 0), 0);
	sp_log_intact(s.t);
	close(f);
}

TEST(move_tmpfs, "B.15: SPLICE_F_MOVE into a file on tmpfs: the log unchanged when the file is written")
{
	char dir[] = "/tmp/mq-move-XXXXXX", path[64];

	need(mkdtemp(dir));
	need_ret(mount("tmpfs", dir, "tmpfs", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/f", dir);
	move_into(path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

TEST(move_ext4, "B.15: SPLICE_F_MOVE into a file on ext4")
{
	char dir[] = "/tmp/mq-move-XXXXXX", path[64], dev[32], cmd[256];
	int ctl, n, loop, img;

	need(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/img", dir);
	img = open(path, O_RDWR | O_CREAT, 0600);
	need(img >= 0 && !ftruncate(img, 32 << 20));
	snprintf(cmd, sizeof(cmd), "mkfs.ext4 -qF %s >/dev/null 2>&1", path);
	need(system(cmd) == 0);
	if (system("modprobe -q loop; modprobe -q ext4"))
		skip("no loop or ext4 module");
	ctl = open("/dev/loop-control", O_RDWR);
	n = ctl < 0 ? -1 : ioctl(ctl, LOOP_CTL_GET_FREE);
	if (n < 0)
		skip("no loop device");
	snprintf(dev, sizeof(dev), "/dev/loop%d", n);
	loop = open(dev, O_RDWR);
	need(loop >= 0 && !ioctl(loop, LOOP_SET_FD, img));
	snprintf(path, sizeof(path), "%s/mnt", dir);
	need_ret(mkdir(path, 0700), 0);
	need_ret(mount(dev, path, "ext4", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/mnt/f", dir);
	move_into(path);
	snprintf(path, sizeof(path), "%s/mnt", dir);
	expect_ret(umount2(path, MNT_DETACH), 0);
	ioctl(loop, LOOP_CLR_FD, 0);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/img", dir);
	unlink(path);
	rmdir(dir);
}
