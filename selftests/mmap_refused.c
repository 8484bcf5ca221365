// SPDX-License-Identifier: GPL-2.0
/*
 * What nobody may do with a map: refused, or harmless (faults.md C.17, A.11).
 */
#include "helpers/map.h"

#include <linux/loop.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define MAX_MAPS	4096

static const char *topic;
static struct map m;
static size_t page;
static uint8_t *copy;

/* A topic whose rings are full, mapped, and a copy of what the map shows. */
static void set_up(void)
{
	static char buf[1000];
	int fd;

	page = sysconf(_SC_PAGESIZE);
	topic = topic_new(.ring_bytes = 65536, .ring_messages = 64);
	fd = topic_open(topic, "", O_WRONLY);
	for (uint64_t n = 0; n < 200; n++) {
		pattern_fill(buf, sizeof(buf), n);
		need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
	}
	close(fd);
	m = map_topic(topic, "");
	copy = malloc(m.len);
	need(copy);
	memcpy(copy, m.base, m.len);
}

/* The map is as it was, and so is the log, and both can still be used. */
static void expect_unharmed(void)
{
	int fd = topic_open(topic, "", O_RDWR);
	struct mq_entry e;
	uint64_t head = map_head(&m);

	expect(!memcmp(m.base, copy, m.len));
	for (uint64_t off = map_tail(&m); off < head && failures() < 5; off++)
		expect_eq(map_read(&m, off, &e), MAP_GOOD);
	expect_ret(write(fd, "more", 4), 4);
	expect_eq(map_read(&m, head, &e), MAP_GOOD);
	expect_mem(map_payload(&m, e.position), e.len, "more", 4);
	close(fd);
	memcpy(copy, m.base, m.len);
}

static sigjmp_buf jump;

static void on_fault(int sig)
{
	siglongjmp(jump, sig);
}

/* The signal that touching a byte gives, 0 if none. */
static int touch(const void *at, bool write)
{
	volatile uint8_t *byte = (void *)at;
	int sig = sigsetjmp(jump, 1);

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	if (!sig) {
		if (write)
			*byte = 1;
		else
			(void)*byte;
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return sig;
}

static long try_map(int fd, int prot, int flags, size_t len, off_t at)
{
	void *p = mmap(NULL, len, prot, flags, fd, at);

	if (p == MAP_FAILED)
		return -1;
	munmap(p, len);
	return 0;
}

TEST(kinds, "A.11, C.17: writable, executable, private: EPERM, EACCES where the open mode forbids it")
{
	int rd, wr, rw;

	set_up();
	rd = topic_open(topic, "", O_RDONLY);
	wr = topic_open(topic, "", O_WRONLY);
	rw = topic_open(topic, "+format=record", O_RDWR);
	expect_ret(try_map(rd, PROT_READ, MAP_SHARED, page, 0), 0);
	expect_ret(try_map(rw, PROT_READ, MAP_SHARED, page, 0), 0);
	expect_ret(try_map(rd, PROT_READ, MAP_SHARED_VALIDATE, page, 0), 0);
	expect_ret(try_map(rd, PROT_NONE, MAP_SHARED, page, 0), 0);
	expect_ret(try_map(rd, PROT_READ, MAP_SHARED | MAP_POPULATE | MAP_LOCKED, page, 0), 0);
	expect_err(try_map(rd, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0), EACCES);
	expect_err(try_map(rd, PROT_WRITE, MAP_SHARED, page, 0), EACCES);
	expect_err(try_map(rw, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0), EPERM);
	expect_err(try_map(rw, PROT_WRITE, MAP_SHARED, page, 0), EPERM);
	for (int prot = 0; prot < 8; prot++) {
		expect_err(try_map(rd, prot, MAP_PRIVATE, page, 0), EPERM);
		expect_err(try_map(rw, prot, MAP_PRIVATE, page, 0), EPERM);
		expect_err(try_map(wr, prot, MAP_PRIVATE, page, 0), EACCES);
		expect_err(try_map(wr, prot, MAP_SHARED, page, 0), EACCES);
		if (prot & PROT_EXEC)
			expect_err(try_map(rw, prot, MAP_SHARED, page, 0), EPERM);
	}
	expect_err(try_map(rd, PROT_READ | PROT_EXEC, MAP_SHARED, page, 0), EPERM);
	expect_err(try_map(rd, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, page, 0), EOPNOTSUPP);
	expect_unharmed();
}

TEST(ranges, "C.17: beyond the end: EINVAL, at any offset")
{
	const int s = MAP_SHARED;

	set_up();
	expect_ret(try_map(m.fd, PROT_READ, s, m.len, 0), 0);
	expect_ret(try_map(m.fd, PROT_READ, s, page, m.len - page), 0);
	expect_err(try_map(m.fd, PROT_READ, s, m.len + 1, 0), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, m.len, page), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, page, m.len), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, page, m.len + page), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, 2 * page, m.len - page), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, page, 1LL << 40), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, page, INT64_MAX & ~(page - 1)), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, page, INT64_MIN), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, 2 * page, -(off_t)page), EOVERFLOW);
	expect_err(try_map(m.fd, PROT_READ, s, page, 100), EINVAL);
	expect_err(try_map(m.fd, PROT_READ, s, 0, 0), EINVAL);
	expect_unharmed();
}

TEST(several, "a file of several partitions: EINVAL; one mapped before shows its first")
{
	const char *t = topic_new(.ring_bytes = 65536, .ring_messages = 64, .partitions = 2);
	struct mq_entry e;
	int fd;

	set_up();
	expect_err(try_map(topic_open(t, "", O_RDONLY), PROT_READ, MAP_SHARED, page, 0), EINVAL);
	expect_ret(try_map(topic_open(t, "@1", O_RDONLY), PROT_READ, MAP_SHARED, page, 0), 0);

	need(topic_set(topic, .partitions = 3));
	expect_err(try_map(m.fd, PROT_READ, MAP_SHARED, page, 0), EINVAL);
	fd = topic_open(topic, "@0", O_WRONLY);
	expect_ret(write(fd, "zero", 4), 4);
	expect_eq(map_read(&m, 200, &e), MAP_GOOD);
	expect_mem(map_payload(&m, e.position), e.len, "zero", 4);
}

TEST(protection, "C.17: mprotect cannot make it writable or executable")
{
	set_up();
	expect_err(mprotect((void *)m.base, m.len, PROT_READ | PROT_WRITE), EACCES);
	expect_err(mprotect((void *)m.base, page, PROT_WRITE), EACCES);
	expect_err(mprotect((void *)m.base, m.len, PROT_READ | PROT_EXEC), EACCES);
	expect_eq(touch(m.base, true), SIGSEGV);
	need_ret(mprotect((void *)m.base, m.len, PROT_NONE), 0);
	expect_eq(touch(m.base, false), SIGSEGV);
	expect_eq(touch(m.base + m.len - 1, false), SIGSEGV);
	need_ret(mprotect((void *)m.base, m.len, PROT_READ), 0);
	expect_unharmed();

	m.fd = topic_open(topic, "", O_RDWR);
	m.base = mmap(NULL, m.len, PROT_READ, MAP_SHARED, m.fd, 0);
	need(m.base != MAP_FAILED);
	m.h = (const void *)m.base;
	expect_err(mprotect((void *)m.base, m.len, PROT_READ | PROT_WRITE), EACCES);
	expect_eq(touch(m.base + m.h->data_at, true), SIGSEGV);
	expect_unharmed();
}

TEST(remap, "C.17: mremap does not grow or double it; moved, it is the same")
{
	void *room, *moved;

	set_up();
	expect(mremap((void *)m.base, m.len, m.len + page, 0) == MAP_FAILED);
	expect(mremap((void *)m.base, m.len, 2 * m.len, MREMAP_MAYMOVE) == MAP_FAILED);
	expect(mremap((void *)m.base, page, 2 * page, MREMAP_MAYMOVE) == MAP_FAILED);
	expect(mremap((void *)m.base, 0, m.len, MREMAP_MAYMOVE) == MAP_FAILED);
	expect(mremap((void *)m.base, m.len, m.len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0) ==
	       MAP_FAILED);
	expect_unharmed();
	room = mmap(NULL, m.len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(room != MAP_FAILED);
	moved = mremap((void *)m.base, m.len, m.len, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	need(moved == room);
	expect_eq(touch(m.base, false), SIGSEGV);
	m.base = moved;
	m.h = moved;
	expect_unharmed();
	/* Parts go, the rest stays. */
	need_ret(munmap((void *)(m.base + page), page), 0);
	expect_eq(touch(m.base + page, false), SIGSEGV);
	expect_eq(touch(m.base + 2 * page, false), 0);
	need(mremap(moved, page, page / 2, 0) == moved);
	expect_eq(map_head(&m), 202);
}

TEST(advice, "C.17: no madvise changes what it shows, nor lets fork inherit it")
{
	set_up();
	for (int advice = 0; advice < 110; advice++) {
		madvise((void *)m.base, m.len, advice);
		expect_eq(touch(m.base, true), SIGSEGV);
		if (memcmp(m.base, copy, m.len)) {
			fail("madvise %d changed it", advice);
			break;
		}
	}
	expect_err(madvise((void *)m.base, m.len, MADV_DOFORK), EINVAL);
	expect_err(madvise((void *)m.base, m.len, MADV_DODUMP), EINVAL);
	expect_unharmed();
}

static void touch_in_child(void *arg)
{
	(void)arg;
	expect_eq(touch(m.base, false), SIGSEGV);
	/* The file is inherited, and can be mapped anew. */
	m = map_fd(m.fd);
	expect(!memcmp(m.base, copy, m.len));
}

TEST(forked, "C.17: a child does not have the map, and can have its own")
{
	set_up();
	expect(child_ok(child_start(touch_in_child, NULL), SOON));
	expect_unharmed();
}

TEST(locked, "C.17: mlock, mlockall: harmless")
{
	set_up();
	mlock(m.base, m.len);
	expect_unharmed();
	need_ret(mlockall(MCL_CURRENT | MCL_FUTURE), 0);
	expect_unharmed();
	m = map_topic(topic, "");
	expect_unharmed();
	munlockall();
	map_close(&m);
}

TEST(foreign, "C.17: /proc/PID/mem and process_vm_readv, writev do not reach it")
{
	int mem = open("/proc/self/mem", O_RDWR);
	char buf[64] = "written";
	struct iovec here = { buf, sizeof(buf) }, there;

	need(mem >= 0);
	set_up();
	there = (struct iovec) { (void *)(m.base + m.h->data_at), sizeof(buf) };
	expect_err(pwrite(mem, buf, sizeof(buf), (uintptr_t)there.iov_base), EIO);
	expect_err(pread(mem, buf, sizeof(buf), (uintptr_t)there.iov_base), EIO);
	expect_err(process_vm_writev(getpid(), &here, 1, &there, 1, 0), EFAULT);
	expect_err(process_vm_readv(getpid(), &here, 1, &there, 1, 0), EFAULT);
	expect_mem(buf, 7, "written", 7);
	expect_unharmed();
}

/* A block device, for O_DIRECT. */
static int loop_device(void)
{
	int control, file, fd, n;
	char path[32];

	need_ret(system("modprobe loop"), 0);
	control = open("/dev/loop-control", O_RDWR);
	need(control >= 0);
	n = ioctl(control, LOOP_CTL_GET_FREE);
	need(n >= 0);
	snprintf(path, sizeof(path), "/dev/loop%d", n);
	file = memfd_create("loop", 0);
	need_ret(ftruncate(file, 1 << 20), 0);
	fd = open(path, O_RDWR | O_DIRECT);
	need(fd >= 0);
	need_ret(ioctl(fd, LOOP_SET_FD, file), 0);
	return fd;
}

TEST(by_reference, "C.17: no source for O_DIRECT, vmsplice or MSG_ZEROCOPY, no target for O_DIRECT: EFAULT")
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = loop_device(), s = socket(AF_INET, SOCK_DGRAM, 0), p[2], one = 1;
	socklen_t len = sizeof(to);
	struct iovec iov;

	need_ret(pipe(p), 0);
	set_up();
	iov = (struct iovec) { (void *)(m.base + m.h->data_at), page };
	expect_err(write(fd, iov.iov_base, page), EFAULT);
	expect_err(read(fd, iov.iov_base, page), EFAULT);
	expect_err(vmsplice(p[1], &iov, 1, 0), EFAULT);
	expect_err(vmsplice(p[1], &iov, 1, SPLICE_F_GIFT), EFAULT);
	need_ret(bind(s, (void *)&to, sizeof(to)), 0);
	need_ret(getsockname(s, (void *)&to, &len), 0);
	need_ret(setsockopt(s, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), 0);
	expect_err(sendto(s, iov.iov_base, page, MSG_ZEROCOPY, (void *)&to, sizeof(to)), EFAULT);
	ioctl(fd, LOOP_CLR_FD);
	expect_unharmed();
}

TEST(as_buffer, "a source for write, not a target for read; even of its own topic, lapped")
{
	static uint8_t buf[1000];
	int p[2], fd;

	need_ret(pipe(p), 0);
	set_up();
	expect_ret(write(p[1], m.base + m.h->data_at, 1000), 1000);
	expect_err(read(p[0], (void *)m.base, 10), EFAULT);
	expect_ret(read(p[0], buf, 1000), 1000);
	expect_mem(buf, 1000, copy + m.h->data_at, 1000);
	expect_unharmed();

	/* The newest message again and again: the copy's source is in the same ring. */
	fd = topic_open(topic, "", O_WRONLY);
	pattern_fill(buf, sizeof(buf), 7);
	need_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
	for (int n = 0; n < 300 && failures() < 5; n++) {
		struct mq_entry e;

		expect_eq(map_read(&m, map_head(&m) - 1, &e), MAP_GOOD);
		expect_mem(map_payload(&m, e.position), e.len, buf, sizeof(buf));
		expect_ret(write(fd, map_payload(&m, e.position), e.len), e.len);
	}
}

TEST(limit, "4096 maps of a partition, parts of divided ones included: then ENOMEM")
{
	static void *maps[MAX_MAPS];
	unsigned int n = 0;

	set_up();
	map_close(&m);
	m = map_topic(topic, "");
	for (n = 0; n < MAX_MAPS - 1; n++) {
		maps[n] = mmap(NULL, 3 * page, PROT_READ, MAP_SHARED, m.fd, 0);
		need(maps[n] != MAP_FAILED);
	}
	expect_err(try_map(m.fd, PROT_READ, MAP_SHARED, page, 0), ENOMEM);
	expect_err(munmap(maps[0] + page, 2 * page), ENOMEM);
	expect_err(try_map(topic_open(topic, "@0", O_RDONLY), PROT_READ, MAP_SHARED, page, 0),
		   ENOMEM);
	need_ret(munmap(maps[1], 3 * page), 0);
	expect_ret(munmap(maps[0] + page, 2 * page), 0);
	expect_ret(try_map(m.fd, PROT_READ, MAP_SHARED, page, 0), 0);
	expect_unharmed();
}
