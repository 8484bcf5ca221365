// SPDX-License-Identifier: GPL-2.0
/* TIMEOUT: 200 */
/* Memory that faults on purpose (userfaultfd): its owner waits, nobody else does. */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mqtest.h"

#define PAGE	4096

struct trap {
	int uffd;
	char *map;
	size_t len;
};

/* Pages of which the first access waits until spring() gives them content. */
static struct trap set_trap(size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct trap trap = { .len = len };

	trap.uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (trap.uffd < 0)
		skip("no userfaultfd: %s", mqt_errno(errno));
	need_ret(ioctl(trap.uffd, UFFDIO_API, &api), 0);
	trap.map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(trap.map != MAP_FAILED);
	reg.range.start = (uintptr_t)trap.map;
	reg.range.len = len;
	need_ret(ioctl(trap.uffd, UFFDIO_REGISTER, &reg), 0);
	return trap;
}

static void spring(struct trap *trap, size_t at, const void *page)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)trap->map + at, .src = (uintptr_t)page,
				    .len = PAGE };

	need_ret(ioctl(trap->uffd, UFFDIO_COPY, &copy), 0);
}

/* Somebody has run into it. */
static void expect_sprung(struct trap *trap)
{
	struct pollfd p = { trap->uffd, POLLIN, 0 };
	struct uffd_msg msg;

	expect_ret(poll(&p, 1, SOON * 1000), 1);
	expect_ret(read(trap->uffd, &msg, sizeof(msg)), sizeof(msg));
	expect_eq(msg.event, UFFD_EVENT_PAGEFAULT);
}

/* Everybody else can write and read, more than a ring full. */
static void expect_going_on(const char *t)
{
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+from=newest", O_RDONLY);
	int rec = topic_open(t, "+format=record", O_WRONLY);
	int recrd = topic_open(t, "+format=record+from=newest", O_RDONLY | O_NONBLOCK);
	static uint64_t buf[1 << 14];
	static struct rec r[4096];
	char text[64], got[64];
	struct pollfd p = { rd, POLLIN, 0 };
	struct topic_info info;

	for (int i = 0; i < 2000; i++) {
		int len = snprintf(text, sizeof(text), "going on %d\n", i);

		need_ret(write(fd, text, len), len);
		need_ret(poll(&p, 1, SOON * 1000), 1);
		need(expect_mem(got, read(rd, got, sizeof(got)), text, len));
		if (i % 100 == 0) {
			need(write_keyed(rec, "key", "record\n", 7) > 0);
			need_ret(read(rd, got, sizeof(got)), 7);
			need(batch_parse(buf, read(recrd, buf, sizeof(buf)), r, 4096, NULL) > 0);
			need_eq(topic_get(t, &info), 0);
		}
	}
	expect_eq(file_stat(rd).lost_messages, 0);
	close(fd);
	close(rd);
	close(rec);
	close(recrd);
}

static void writer(const char *t, const char *options, size_t skip_bytes)
{
	struct trap trap = set_trap(2 * PAGE);
	static char page[PAGE], want[PAGE + 100], got[2 * PAGE];
	int fd = topic_open(t, options, O_WRONLY), rd;
	struct async a;

	pattern_fill(page, PAGE, 5);
	page[PAGE - 101] = '\n';
	for (int i = 0; i < PAGE; i++)
		page[i] = page[i] == '\n' && i != 99 ? 'n' : page[i];
	page[99] = '\n';
	if (skip_bytes)	/* the first page is there, the second faults in mid-copy */
		spring(&trap, 0, page);
	memcpy(want, page + PAGE - skip_bytes, skip_bytes);
	memcpy(want + skip_bytes, page, 100);
	async_write(&a, fd, trap.map + (skip_bytes ? PAGE - skip_bytes : PAGE), skip_bytes + 100);
	expect_sprung(&trap);
	expect_waits(&a);
	expect_going_on(t);
	expect_waits(&a);
	rd = topic_open(t, "+from=newest", O_RDONLY);
	spring(&trap, PAGE, page);
	need(async_end(&a, SOON));
	expect_eq(a.ret, skip_bytes + 100);
	expect_mem(got, read(rd, got, sizeof(got)), want, skip_bytes + 100);
	close(rd);
	close(fd);
}

TEST(fault_writer, "A.3: a writer stopped by userfaultfd before, or in the middle of, its message stalls nobody")
{
	const char *t = topic_new(.ring_bytes = 65536);

	writer(t, "", 0);
	writer(t, "", 1000);
}

TEST(fault_line, "A.3: the same on a line topic")
{
	const char *t = topic_new(.ring_bytes = 65536, .framing = MQ_FRAMING_LINE);

	writer(t, "", 0);
	writer(t, "", 1000);
}

TEST(fault_batch, "A.3: a batch writer stopped in header, descriptors, attributes or payload stalls nobody")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int fd = topic_open(t, "+format=record", O_WRONLY);
	struct batch *b = batch_new();
	static char page[PAGE], *flat;
	size_t len;

	batch_add(b, "payload", 7);
	batch_attr(b, MQ_ATTR_KEY, "some key", 8);
	batch_add(b, "second payload", 14);
	flat = batch_build(b, MQ_PARTITION_ANY, &len);
	/* The page border falls into each part in turn. */
	for (size_t cut = 0; cut < len; cut += len / 8) {
		struct trap trap = set_trap(2 * PAGE);
		uint64_t before;
		struct async a;

		if (cut) {
			memset(page, 0, PAGE);
			memcpy(page + PAGE - cut, flat, cut);
			spring(&trap, 0, page);
		}
		async_write(&a, fd, trap.map + PAGE - cut, len);
		expect_sprung(&trap);
		expect_waits(&a);
		if (cut == 0 || cut == len / 8 * 4)
			expect_going_on(t);
		before = topic_counters(t).messages_in;
		memset(page, 0, PAGE);
		memcpy(page, flat + cut, len - cut);
		spring(&trap, PAGE, page);
		need(async_end(&a, SOON));
		expect_eq(a.ret, len);
		expect_eq(topic_counters(t).messages_in, before + 2);
	}
}

TEST(fault_batch_changes, "A.7: a batch that changes while it faults is taken as it was checked, or refused")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int fd = topic_open(t, "+format=record", O_WRONLY);
	int rd = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);
	struct trap trap = set_trap(2 * PAGE);
	struct batch *b = batch_new();
	static char page[PAGE], *flat;
	static uint64_t buf[2048];
	struct mq_batch *head;
	struct rec r[8];
	struct async a;
	size_t len;
	ssize_t got;

	batch_add(b, "payload", 7);
	batch_attr(b, MQ_ATTR_KEY, "some key", 8);
	batch_add(b, "second payload", 14);
	flat = batch_build(b, MQ_PARTITION_ANY, &len);
	memcpy(page + PAGE - (len - 5), flat, len - 5);	/* all but the end of the payload */
	spring(&trap, 0, page);
	async_write(&a, fd, trap.map + PAGE - (len - 5), len);
	expect_sprung(&trap);
	expect_waits(&a);
	head = (void *)(trap.map + PAGE - (len - 5));
	head->count = 1000;
	((struct mq_record *)(head + 1))->len = 1 << 30;
	memset((char *)(head + 1) + 2 * sizeof(struct mq_record), 0xff, 8);	/* attributes */
	memcpy(page, flat + len - 5, 5);
	spring(&trap, PAGE, page);
	need(async_end(&a, SOON));
	got = read(rd, buf, sizeof(buf));
	if (a.ret < 0) {
		expect_eq(a.error, EINVAL);
		expect(got == -1 && errno == EAGAIN);
	} else {
		expect_eq(a.ret, len);
		need_eq(batch_parse(buf, got, r, 8, NULL), 2);
		expect_eq(r[0].e->len, 7);
		expect_eq(r[0].e->key_hash, kafka_hash("some key", 8));
		expect_mem(rec_attr(&r[0], MQ_ATTR_KEY, 0, &len), 8, "some key", 8);
	}
}

TEST(fault_reader, "A.3: a reader whose buffer faults stalls neither writers nor other readers")
{
	static const char *const options[] = { "", "+format=record" };

	for (int i = 0; i < 2; i++) {
		for (int mode = O_RDONLY; mode <= O_RDWR; mode += O_RDWR) {
			const char *t = topic_new();
			int fd = topic_open(t, "", O_WRONLY);
			int rd = topic_open(t, options[i], mode);
			struct trap trap = set_trap(2 * PAGE);
			static char zeros[PAGE];
			struct async a;
			struct rec r[4];

			need_ret(write(fd, "for the trap", 12), 12);
			async_read(&a, rd, trap.map, i ? 64 + 64 + 12 : 100);
			expect_sprung(&trap);
			expect_waits(&a);
			expect_going_on(t);
			expect_waits(&a);
			spring(&trap, 0, zeros);
			need(async_end(&a, SOON));
			if (i)
				expect_eq(batch_parse(trap.map, a.ret, r, 4, NULL), 1);
			else
				expect_mem(trap.map, a.ret, "for the trap", 12);
			expect_eq(file_stat(rd).lost_messages, 0);
		}
	}
}

TEST(fault_reader_overrun, "D.26: a reader overrun while its buffer faults is told, exactly")
{
	const char *t = topic_new(.ring_bytes = 4096, .ring_messages = 64);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY);
	struct trap trap = set_trap(PAGE);
	static char zeros[PAGE];
	struct async a;

	need_ret(write(fd, "soon gone", 9), 9);
	async_read(&a, rd, trap.map, 100);
	expect_sprung(&trap);
	expect_waits(&a);
	for (int i = 0; i < 70; i++)
		need_ret(write(fd, "x", 1), 1);
	spring(&trap, 0, zeros);
	need(async_end(&a, SOON));
	expect_eq(a.ret, -1);
	expect_eq(a.error, ENOBUFS);
	expect_eq(file_stat(rd).lost_messages, 7);	/* itself and six of the others */
	/* Nothing of what was overwritten shows in the buffer. */
	expect(!memcmp(trap.map, zeros, 100) || !memcmp(trap.map, "soon gone", 9));
}

/* Everybody else writes and reads, until so much time has gone; the longest that one waited. */
static uint64_t others_for(const char *t, uint64_t ns)
{
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "+from=newest", O_RDONLY);
	uint64_t end = now_ns() + ns, longest = 0, n = 0;
	char got[PAGE];

	while (now_ns() < end) {
		uint64_t start = now_ns();

		need_ret(write(fd, &n, sizeof(n)), sizeof(n));
		need(expect_mem(got, read(rd, got, sizeof(got)), &n, sizeof(n)));
		n++;
		if (now_ns() - start > longest)
			longest = now_ns() - start;
	}
	note("%llu messages meanwhile, the longest took %.1f ms", (unsigned long long)n,
	     longest / 1e6);
	expect(n >= 100);
	close(fd);
	close(rd);
	return longest;
}

TEST_LIMIT(fault_ten_seconds, "A.3: userfaultfd answers after 10 s: others are not delayed, the call then ends", 120)
{
	const char *t = topic_new(.ring_bytes = 65536);
	int fd = topic_open(t, "", O_WRONLY), rec = topic_open(t, "+format=record", O_WRONLY);
	int rd = topic_open(t, "", O_RDONLY);
	struct trap trap[3] = { set_trap(2 * PAGE), set_trap(2 * PAGE), set_trap(2 * PAGE) };
	struct batch *b = batch_new();
	static char page[PAGE], zeros[PAGE];
	struct async a[3];
	size_t len;
	void *flat;

	need_ret(write(fd, "for the trap", 12), 12);
	batch_add(b, "one of the batch", 16);
	flat = batch_build(b, MQ_PARTITION_ANY, &len);
	memset(page, 'w', PAGE);
	spring(&trap[0], 0, page);
	async_write(&a[0], fd, trap[0].map + PAGE - 500, 1000);
	memcpy(page + PAGE - len / 2, flat, len / 2);
	spring(&trap[1], 0, page);
	async_write(&a[1], rec, trap[1].map + PAGE - len / 2, len);
	async_read(&a[2], rd, trap[2].map, PAGE);
	for (int i = 0; i < 3; i++) {
		expect_sprung(&trap[i]);
		expect_waits(&a[i]);
	}
	/* Who waits for one of the three waits for all of the time. */
	expect(others_for(t, 10000000000ULL) < 5000000000ULL);
	for (int i = 0; i < 3; i++)
		expect_waits(&a[i]);
	memset(page, 'w', PAGE);
	spring(&trap[0], PAGE, page);
	memcpy(page, (char *)flat + len / 2, len - len / 2);
	spring(&trap[1], PAGE, page);
	spring(&trap[2], 0, zeros);
	for (int i = 0; i < 3; i++)
		need(async_end(&a[i], SOON));
	expect_eq(a[0].ret, 1000);
	expect_eq(a[1].ret, len);
	/* Its message is there still, or it is told that it is not. */
	expect(a[2].ret == 12 || (a[2].ret == -1 && a[2].error == ENOBUFS));
}

TEST(fault_killed, "D.22: a writer stopped by userfaultfd can be killed; nothing of its message is visible")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_WRONLY);

	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct trap trap = set_trap(2 * PAGE);
			static char page[PAGE];

			spring(&trap, 0, page);
			write(fd, trap.map + PAGE - 10, 20);
			_exit(0);
		}
		need(sleeps_in(pid, SYS_write, SOON));
		kill(pid, SIGKILL);
		expect_eq(child_wait(pid, SOON), SIGKILL);
	}
	expect_eq(topic_counters(t).messages_in, 0);
	expect_ret(write(fd, "x", 1), 1);
}

static volatile bool stop;

struct flipped {
	char *page;
	int file;	/* its content */
};

/* The page goes, in three ways, and comes back. */
static long flip(void *arg)
{
	struct flipped *f = arg;

	for (unsigned int i = 0; !stop; i++) {
		if (i % 3 == 0)
			mprotect(f->page, PAGE, PROT_NONE);
		else if (i % 3 == 1)
			munmap(f->page, PAGE);
		else
			madvise(f->page, PAGE, MADV_DONTNEED);
		mmap(f->page, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, f->file, PAGE);
	}
	return 0;
}

TEST(fault_unmapped, "A.3: a page taken away by another thread in mid-copy: EFAULT or whole, others undisturbed")
{
	const char *t = topic_new(.ring_bytes = 65536);
	int fd = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct flipped f = { .file = memfd_create("mqtest", MFD_CLOEXEC) };
	static char want[6000], got[8192];
	unsigned int whole = 0, faults = 0;
	struct async a;
	char *map;

	pattern_fill(want, sizeof(want), 1);
	need_ret(write(f.file, want, sizeof(want)), sizeof(want));
	map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, f.file, 0);
	need(map != MAP_FAILED);
	f.page = map + PAGE;
	async_start(&a, flip, &f);
	for (int i = 0; i < 3000; i++) {
		ssize_t n = write(fd, map, sizeof(want));

		if (n == sizeof(want)) {
			whole++;
			need(expect_mem(got, read(rd, got, sizeof(got)), want, sizeof(want)));
		} else {
			faults++;
			need(n == -1 && errno == EFAULT);
			need(read(rd, got, sizeof(got)) == -1 && errno == EAGAIN);
		}
	}
	stop = true;
	need(async_end(&a, SOON));
	note("%u whole, %u faults", whole, faults);
	expect_eq(topic_counters(t).messages_in, whole);
}
