// SPDX-License-Identifier: GPL-2.0
/*
 * Runs programs: two threads that make the calls, watched by a third, which
 * interrupts calls that wait, deletes the topics if that does not help, and has
 * found something if that does not help either.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <mq/netlink.h>

#include "fuzz.h"

#define TICK_NS		3000000		/* a call that waits that long in one place is interrupted */
#define TICKS_RUN	100		/* one that runs so long */
#define TICKS_LET_GO	4		/* then with a signal that reaches even a call that fails */
#define TICKS_DELETE	25		/* then its topics are deleted */
#define SIG_LET_GO	(SIGRTMIN + 2)	/* see run_failing() */
#define TICKS_STUCK	20000		/* then it will never end */
#define FIRST_FD	64		/* files of programs; below are mqfuzz's own */
#define UNPRIVILEGED	1000
#define FRESH_EVERY	200		/* programs */

_Atomic bool tainted;
bool formats_fixed;
struct map maps[MAPS];
unsigned int worker_number;

static struct thread threads[2];
static const struct prog *job;
static _Atomic unsigned int turn[2], running;
static unsigned int begins_1;		/* first call of thread 1 */
static unsigned int dirty;		/* topics, bit by bit, that must be made anew */
static unsigned int changed;		/* and that may be */
static unsigned int since_fresh;

static long futex(_Atomic unsigned int *at, int op, unsigned int value, const struct timespec *ts)
{
	return syscall(SYS_futex, at, op | FUTEX_PRIVATE_FLAG, value, ts, NULL, 0);
}

void finding(const char *fmt, ...)
{
	static _Atomic int lock;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!atomic_exchange(&lock, 1)) {
		if (!sh->finding[0]) {
			if (job)
				sh->culprit = *job;
			snprintf(sh->finding, sizeof(sh->finding), "worker %u: %s", worker_number,
				 text);
		}
		atomic_store(&lock, 0);
	}
	sh->findings++;
}

/* --- slots -------------------------------------------------------------------- */

static _Atomic uint64_t slots[SLOTS];

/* generation, form + 1, fd */
static struct slot slot_of(uint64_t all)
{
	return (struct slot) {
		all, (all >> 20 & 0xf) ? (int)(all & 0xfffff) : -1, (all >> 20 & 0xf) - 1
	};
}

struct slot slot_get(uint64_t slot)
{
	return slot_of(slots[slot % SLOTS]);
}

int slot_fd(uint64_t slot)
{
	return slot_get(slot).fd;
}

long slot_put(uint64_t slot, int fd, enum form form)
{
	static _Atomic uint64_t generation;
	uint64_t all = ++generation << 24;
	struct slot old;

	if (fd >= 0)
		all |= (uint64_t)(form + 1) << 20 | (unsigned int)fd;
	old = slot_of(atomic_exchange(&slots[slot % SLOTS], all));
	if (old.fd >= 0)
		close(old.fd);
	return fd;
}

/* --- data ----------------------------------------------------------------------- */

#define STYLES	4

static uint8_t *out[STYLES];

/* DATA_SIZE bytes, of @fd if it is one, and nothing behind them. */
static uint8_t *data_area(int fd)
{
	uint8_t *at = mmap(NULL, DATA_SIZE + (1 << 20), PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	int how = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *data = MAP_FAILED;

	if (at != MAP_FAILED)
		data = mmap(at, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | how, fd, 0);
	if (data == MAP_FAILED) {
		perror("mqfuzz: mmap");
		exit(1);
	}
	return at;
}

static void data_init(void)
{
	for (unsigned int s = 0; s < STYLES; s++) {
		int fd = memfd_create("mqfuzz", MFD_CLOEXEC);

		if (fd < 0 || ftruncate(fd, DATA_SIZE)) {
			perror("mqfuzz: memfd");
			exit(1);
		}
		out[s] = data_area(fd);
		close(fd);
		for (unsigned int i = 0; i < DATA_SIZE; i++)
			out[s][i] = 'a' + i % 26;
		for (unsigned int i = 19; s == 1 && i < DATA_SIZE; i += 20 + i % 17)
			out[s][i] = '\n';
		if (s == 3)
			memset(out[s], '\n', DATA_SIZE);
		out[s][DATA_SIZE - 1] = s ? '\n' : 'z';
	}
}

static void *place(uint8_t *area, uint64_t kind, size_t len, bool at_end)
{
	switch (kind) {
	case DATA_CROSS:
		return area + DATA_SIZE - (len / 2 < DATA_SIZE ? len / 2 : DATA_SIZE);
	case DATA_BAD:
		return (void *)8;
	case DATA_MAP:
		for (unsigned int i = 0; i < MAPS; i++) {
			if (maps[i].at) {
				tainted = true;
				return maps[i].at + (len & 4096);
			}
		}
		return (void *)8;
	case DATA_COLD:
		madvise(area, DATA_SIZE, MADV_DONTNEED);
		break;
	case DATA_END:
		at_end = true;
		break;
	}
	return at_end && len < DATA_SIZE ? area + DATA_SIZE - len : area;
}

const void *data_out(uint64_t kind, uint64_t style, size_t len)
{
	/* Style 2 is text that ends in a newline. */
	return place(out[style % STYLES], kind, len, style % STYLES == 2);
}

void *data_in(struct thread *t, uint64_t kind, size_t len)
{
	uint8_t *at = place(t->in, kind, len, false);

	/* What is not written shows. */
	if (kind == DATA_PLAIN || kind == DATA_END)
		memset(at, 0xee, len < 2048 ? len : 2048);
	return at;
}

void check_read(uint64_t number, const struct slot *s, const void *buf, ssize_t len)
{
	const uint8_t *p = buf;

	if (len <= 0 || len > DATA_SIZE || !formats_fixed || slot_get(number).all != s->all)
		return;
	if (s->form == FORM_RECORD) {
		check_batch(buf, len);
		return;
	}
	if (s->form != FORM_PLAIN || tainted)
		return;
	for (ssize_t i = 0; i < len; i++) {
		if ((p[i] < 'a' || p[i] > 'z') && p[i] != '\n') {
			finding("byte %zd of %zd read is 0x%02x, which nobody wrote", i, len, p[i]);
			return;
		}
	}
}

/* --- names ------------------------------------------------------------------------ */

const char *own_name(const char *text, char *buf, size_t size)
{
	if (text[0] == 't' && isdigit((unsigned char)text[1]))
		snprintf(buf, size, "w%u.%s", worker_number, text);
	else
		snprintf(buf, size, "%s", text);
	return buf;
}

const char *own_path(const char *text, char *buf, size_t size)
{
	char name[TEXT_MAX + 16];

	snprintf(buf, size, "/dev/mq/%s", own_name(text, name, sizeof(name)));
	return buf;
}

/* That of this worker's t0, t1, ... */
const char *topic_path(unsigned int number, char *buf, size_t size)
{
	snprintf(buf, size, "/dev/mq/w%u.t%u", worker_number, number);
	return buf;
}

/* --- the threads that make the calls -------------------------------------------------- */

static __thread struct thread *self;

static void on_signal(int sig)
{
	(void)sig;
}

static void on_fault(int sig)
{
	if (self && self->may_fault)
		siglongjmp(self->fault, 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void fail_set(struct thread *t, unsigned int nth)
{
	char text[8];

	if (t->fail_fd >= 0) {
		snprintf(text, sizeof(text), "%u", nth);
		if (pwrite(t->fail_fd, text, strlen(text), 0) < 0)
			return;
	}
}

/*
 * No signal meanwhile: the kernel kills whom it cannot give one, and copying could fail.
 * But SIG_LET_GO, which comes when nothing will fail any more.
 */
static long run_failing(struct thread *t, const struct call *c)
{
	sigset_t all, before;
	long ret;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIG_LET_GO);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	fail_set(t, c->fail);
	ret = grammar[c->kind].run(t, c);
	error = errno;
	fail_set(t, 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return ret;
}

static void make(struct thread *t, const struct call *c)
{
	const struct calldef *def = &grammar[c->kind];
	long ret;

	for (unsigned int i = 0; i < c->repeat; i++) {
		t->progress++;
		errno = 0;
		ret = c->fail && t->fail_fd >= 0 ? run_failing(t, c) : def->run(t, c);
		/* What a kernel keeps to itself: ERESTARTSYS and its kin. */
		if (ret < 0 && errno > 133)
			finding("%s: error %d", def->name, errno);
		sh->made[c->kind]++;
		if (ret >= 0)
			sh->done[c->kind]++;
		/* It waited until it was interrupted: so would the rest. */
		if (ret < 0 && errno == EINTR && i)
			break;
	}
}

static void become(bool user)
{
	if (user) {
		syscall(SYS_setresgid, -1, UNPRIVILEGED, -1);
		syscall(SYS_setresuid, -1, UNPRIVILEGED, -1);
	} else {
		syscall(SYS_setresuid, -1, 0, -1);
		syscall(SYS_setresgid, -1, 0, -1);
	}
}

static void start(unsigned int thread)
{
	turn[thread]++;
	futex(&turn[thread], FUTEX_WAKE, 1, NULL);
}

static void run_job(struct thread *t)
{
	const struct prog *p = job;
	bool started = false;

	cover_begin(t);
	if (p->user)
		become(true);
	for (unsigned int i = 0; i < p->n; i++) {
		if (!t->number && i >= begins_1 && !started) {
			start(1);
			started = true;
		}
		if (p->calls[i].thread != t->number)
			continue;
		t->current = i + 1;
		make(t, &p->calls[i]);
	}
	t->current = 0;
	if (p->user)
		become(false);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	unsigned int last = 0;

	self = t;
	t->tid = gettid();
	t->in = data_area(-1);
	t->nl = nl_open();
	t->fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	t->stat_fd = open("/proc/thread-self/stat", O_RDONLY | O_CLOEXEC);
	cover_thread(t);
	running--;
	futex(&running, FUTEX_WAKE, 1, NULL);
	for (;;) {
		while (turn[t->number] == last)
			futex(&turn[t->number], FUTEX_WAIT, last, NULL);
		last++;
		run_job(t);
		running--;
		futex(&running, FUTEX_WAKE, 1, NULL);
	}
	return NULL;
}

static void init_signals(void)
{
	static const int quiet[] = { SIGUSR1, SIGIO, SIGURG, SIGPIPE, SIGXFSZ };
	struct sigaction sa = { .sa_handler = on_signal };

	for (unsigned int i = 0; i < ARRAY_SIZE(quiet); i++)
		sigaction(quiet[i], &sa, NULL);
	sigaction(SIGRTMIN + 1, &sa, NULL);
	sigaction(SIG_LET_GO, &sa, NULL);
	sa.sa_handler = on_fault;
	sa.sa_flags = SA_NODEFER;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

void exec_init(unsigned int number)
{
	worker_number = number;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setgroups(0, NULL);
	init_signals();
	data_init();
	nl_init();
	running = 2;
	for (unsigned int i = 0; i < 2; i++) {
		pthread_t thread;

		threads[i].number = i;
		if (pthread_create(&thread, NULL, thread_main, &threads[i])) {
			perror("mqfuzz: pthread_create");
			exit(1);
		}
	}
	while (running)
		futex(&running, FUTEX_WAIT, running, NULL);
	/* Files of programs have numbers of their own, even where open() chooses. */
	for (int fd = open("/dev/null", O_RDONLY); fd >= 0 && fd < FIRST_FD - 1;)
		fd = dup(fd);
	exec_fresh();
}

/* --- the one that watches ------------------------------------------------------------- */

static void report_stuck(const struct thread *t)
{
	char path[64], stack[800] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stack", t->tid);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, stack, sizeof(stack) - 1) < 0)
		stack[0] = 0;
	finding("call %u of thread %u does not end:\n%s", t->current, t->number, stack);
}

/* Does it wait for something, and not only for a CPU? */
static bool sleeps(const struct thread *t)
{
	char text[128] = "";
	const char *name_end;

	if (t->stat_fd < 0 || pread(t->stat_fd, text, sizeof(text) - 1, 0) < 0)
		return true;
	name_end = strrchr(text, ')');
	return !name_end || strncmp(name_end, ") R", 3);
}

/* False if a call does not end. */
static bool watch(void)
{
	const struct timespec tick = { 0, TICK_NS };
	unsigned int seen[2] = { 0 }, same[2] = { 0 }, still[2] = { 0 }, left;

	while ((left = running)) {
		if (!futex(&running, FUTEX_WAIT, left, &tick) || errno != ETIMEDOUT)
			continue;
		for (unsigned int i = 0; i < 2; i++) {
			struct thread *t = &threads[i];

			if (!t->current || t->progress != seen[i]) {
				seen[i] = t->progress;
				same[i] = 0;
				still[i] = 0;
				continue;
			}
			/* A signal before it ran would keep it from doing anything. */
			if (++same[i] % TICKS_RUN && !sleeps(t))
				continue;
			still[i]++;
			sh->signals++;
			syscall(SYS_tgkill, getpid(), t->tid, SIGUSR1);
			if (still[i] == TICKS_DELETE) {
				for (unsigned int n = 0; n < TOPICS; n++)
					topic_remove(n);
				dirty = ~0u;
			} else if (same[i] >= TICKS_STUCK) {
				report_stuck(t);
				return false;
			} else if (still[i] % TICKS_LET_GO == 0) {
				fail_set(t, 0);
				syscall(SYS_tgkill, getpid(), t->tid, SIG_LET_GO);
			}
		}
	}
	return true;
}

static void clean_up(void)
{
	uring_clean();
	for (unsigned int i = 0; i < SLOTS; i++)
		slot_put(i, -1, FORM_OTHER);
	close_range(FIRST_FD, ~0u, 0);
	maps_clean();
}

/* --- topics as programs find them ----------------------------------------------------- */

/* Making one takes as long as twenty calls: a changed one stays for a few programs. */
static bool must_make(unsigned int number)
{
	char path[64];

	if (dirty & 1u << number)
		return true;
	if (!(changed & 1u << number))
		return false;
	return chance(25) || (number < BASE_TOPICS &&
			      access(topic_path(number, path, sizeof(path)), F_OK));
}

static void make_topics(void)
{
	for (unsigned int i = 0; i < TOPICS; i++) {
		if (!must_make(i))
			continue;
		if (i < BASE_TOPICS)
			topic_reset(i);
		else
			topic_remove(i);
		sh->resets++;
		changed &= ~(1u << i);
	}
	dirty = 0;
}

static void will_change(const struct prog *p)
{
	for (unsigned int i = 0; i < p->n; i++) {
		const struct call *c = &p->calls[i];
		const struct calldef *def = &grammar[c->kind];

		if (!(def->flags & CALL_CHANGES) || p->user)
			continue;
		if (def->text && c->text[0] == 't')
			changed |= 1u << (c->text[1] - '0') % TOPICS;
		for (unsigned int a = 0; def->run == do_netlink && a < c->pairs_n; a++) {
			/* Names of requests that change something. */
			if (c->pairs[a].key == 1 && c->arg[0] < MQ_CMD_TOPIC_GET)
				changed |= 1u << c->pairs[a].value % TOPICS;
		}
	}
	/* Nobody makes it durable: it fills up. */
	if (since_fresh % 8 == 0)
		dirty |= 1u << 3;
}

static unsigned int topics_opened(const struct prog *p)
{
	unsigned int topics = 0;

	for (unsigned int i = 0; i < p->n; i++) {
		const struct call *c = &p->calls[i];

		if (grammar[c->kind].run == do_open && c->text[0] == 't')
			topics |= 1u << (c->text[1] - '0') % TOPICS;
	}
	return topics;
}

void exec_fresh(void)
{
	dirty = ~0u;
	since_fresh = 0;
}

void exec_clean(void)
{
	for (unsigned int i = 0; i < TOPICS; i++)
		topic_remove(i);
	dirty = ~0u;
}

bool exec_run(const struct prog *p, struct cover *cover, struct gain *gain)
{
	unsigned int made;
	bool ended;

	if (++since_fresh == FRESH_EVERY)
		exec_fresh();
	make_topics();
	tainted = false;
	will_change(p);
	job = p;
	formats_fixed = true;
	begins_1 = p->n;
	for (unsigned int i = 0; i < p->n; i++) {
		if (grammar[p->calls[i].kind].run == do_setopt)
			formats_fixed = false;
		if (p->calls[i].thread && i < begins_1)
			begins_1 = i;
	}
	made = threads[0].progress + threads[1].progress;
	sh->progs++;
	running = begins_1 < p->n ? 2 : 1;
	start(0);
	ended = watch();
	sh->calls += threads[0].progress + threads[1].progress - made;
	if (tainted)
		dirty |= topics_opened(p);
	if (ended) {
		clean_up();
		for (unsigned int i = 0; i < 2; i++) {
			if (cover && (!i || begins_1 < p->n))
				cover_add(&threads[i], cover, gain);
		}
	}
	return ended;
}
