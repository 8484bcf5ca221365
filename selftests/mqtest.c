// SPDX-License-Identifier: GPL-2.0
/* What the C tests share: test points, children, calls that wait. See mqtest.h. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "kselftest.h"
#include "mqtest.h"
#include "mqtest_priv.h"

static struct mqt_case *cases, **last_case = &cases;
struct mqt_shared *mqt;
void *volatile bad_ptr = (void *)8;

void mqt_register(struct mqt_case *c)
{
	*last_case = c;
	last_case = &c->next;
}

static void say(const char *prefix, const char *fmt, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, args);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		printf("# %s%s\n", prefix, line);
	fflush(stdout);
}

void mqt_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	int error = errno;
	char prefix[128];
	va_list args;

	/* A check in a loop must not drown the others. */
	if (__atomic_add_fetch(&mqt->failures, 1, __ATOMIC_RELAXED) <= 25) {
		snprintf(prefix, sizeof(prefix), "%s:%d: ", base ? base + 1 : file, line);
		va_start(args, fmt);
		say(prefix, fmt, args);
		va_end(args);
	}
	errno = error;
}

void note(const char *fmt, ...)
{
	int error = errno;
	va_list args;

	va_start(args, fmt);
	say("", fmt, args);
	va_end(args);
	errno = error;
}

void skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(mqt->why, sizeof(mqt->why), fmt, args);
	va_end(args);
	fflush(stdout);
	_exit(KSFT_SKIP);
}

void mqt_end(void)
{
	fflush(stdout);
	_exit(KSFT_FAIL);
}

unsigned int failures(void)
{
	return __atomic_load_n(&mqt->failures, __ATOMIC_RELAXED);
}

const char *mqt_errno(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "unknown errno";
}

bool mqt_expect_eq(const char *file, int line, const char *what, long long got, long long want)
{
	if (got == want)
		return true;
	mqt_fail(file, line, "%s: %lld, expected %lld", what, got, want);
	return false;
}

bool mqt_expect_ret(const char *file, int line, const char *what, long long got, int error,
		    long long want)
{
	if (got == want)
		return true;
	if (got == -1)
		mqt_fail(file, line, "%s: %s, expected %lld", what, mqt_errno(error), want);
	else
		mqt_fail(file, line, "%s: returned %lld, expected %lld", what, got, want);
	return false;
}

bool mqt_expect_err(const char *file, int line, const char *what, long long got, int error,
		    int want)
{
	if (got == -1 && error == want)
		return true;
	if (got == -1)
		mqt_fail(file, line, "%s: %s, expected %s", what, mqt_errno(error),
			 mqt_errno(want));
	else
		mqt_fail(file, line, "%s: returned %lld, expected %s", what, got,
			 mqt_errno(want));
	return false;
}

static void show_bytes(char *out, size_t size, const unsigned char *p, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len && at + 5 < size; i++)
		at += snprintf(out + at, size - at, isprint(p[i]) ? "%c" : "\\x%02x", p[i]);
	out[at] = 0;
}

bool mqt_expect_mem(const char *file, int line, const char *what, const void *got, size_t got_len,
		    const void *want, size_t want_len)
{
	const unsigned char *g = got, *w = want;
	char a[128], b[128];
	size_t at = 0, shorter = got_len < want_len ? got_len : want_len;

	/* A read's result, -1, is passed as it is. */
	if ((ssize_t)got_len < 0) {
		mqt_fail(file, line, "%s: %s, expected %zu bytes", what, mqt_errno(errno), want_len);
		return false;
	}
	while (at < shorter && g[at] == w[at])
		at++;
	if (at == got_len && at == want_len)
		return true;
	show_bytes(a, sizeof(a), g + at, got_len - at);
	show_bytes(b, sizeof(b), w + at, want_len - at);
	mqt_fail(file, line, "%s: %zu bytes, expected %zu; differ at %zu: \"%s\", expected \"%s\"",
		 what, got_len, want_len, at, a, b);
	return false;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

uint64_t deadline(unsigned int seconds)
{
	const char *patience = getenv("MQ_PATIENCE");

	return now_ns() + seconds * 1000000000ULL * (patience ? atoi(patience) : 1);
}

uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

void *shared_alloc(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED);
	return p;
}

pid_t child_start(void (*fn)(void *arg), void *arg)
{
	pid_t parent = getpid(), pid;

	fflush(stdout);
	pid = fork();
	need(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(KSFT_FAIL);
	fn(arg);
	fflush(stdout);
	_exit(KSFT_PASS);
}

/* What every thread of a process does in the kernel, for the reader of a time-out. */
static void show_stacks(pid_t pid)
{
	char path[64], line[256];
	struct dirent *d;
	DIR *dir;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (!isdigit(d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stack", pid, d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		printf("# thread %s of %d:\n", d->d_name, pid);
		for (int n = 0; n < 12 && fgets(line, sizeof(line), f); n++)
			printf("#   %s", line);
		fclose(f);
	}
	closedir(dir);
	fflush(stdout);
}

/* 1 and a status when the child ended, 0 if not before the end of time. */
static int wait_pid(pid_t pid, uint64_t end, int *status)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	pid_t got;

	for (;;) {
		int64_t left = (int64_t)(end - now_ns()) / 1000000;

		got = waitpid(pid, status, WNOHANG);
		if (got || left <= 0)
			break;
		poll(&p, 1, left < 1000 ? left : 1000);
	}
	close(fd);
	return got == pid;
}

int child_wait(pid_t pid, int seconds)
{
	int status;

	if (wait_pid(pid, deadline(seconds), &status))
		return status;
	fail("process %d did not end within %d s", pid, seconds);
	show_stacks(pid);
	kill(pid, SIGKILL);
	if (!wait_pid(pid, deadline(SOON), &status))
		fail("process %d does not even die", pid);
	return -1;
}

bool child_ok(pid_t pid, int seconds)
{
	int status = child_wait(pid, seconds);

	if (!status)
		return true;
	if (WIFSIGNALED(status))
		fail("process %d died of signal %d", pid, WTERMSIG(status));
	else if (status != -1 && WEXITSTATUS(status) != KSFT_FAIL)
		fail("process %d ended with status %d", pid, WEXITSTATUS(status));
	else
		fail("process %d failed", pid);
	return false;
}

bool read_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	bool ok = f && fgets(buf, size, f);

	if (f)
		fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = 0;
	return ok;
}

long long file_number(const char *path, const char *key)
{
	FILE *f = fopen(path, "r");
	long long n = -1, v;
	char word[64];

	need(f);
	while (fscanf(f, "%63s %lld", word, &v) == 2)
		if (!strcmp(word, key))
			n = v;
	fclose(f);
	return n;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ret = -errno;
	close(fd);
	return ret;
}

/* Does the thread sleep now, in system call nr (-1: any)? */
static bool sleeping(pid_t tid, long nr)
{
	char path[64], line[512];
	char *paren;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (!read_line(path, line, sizeof(line)))
		return false;
	paren = strrchr(line, ')');
	if (!paren || (paren[2] != 'S' && paren[2] != 'D'))
		return false;
	if (nr < 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	return read_line(path, line, sizeof(line)) && isdigit(line[0]) && atol(line) == nr;
}

bool sleeps_in(pid_t tid, long nr, int seconds)
{
	uint64_t end = deadline(seconds);

	while (!sleeping(tid, nr)) {
		if (now_ns() > end)
			return false;
		sleep_ms(5);
	}
	return true;
}

static void nothing(int sig)
{
	(void)sig;
}

static void *async_thread(void *arg)
{
	struct async *a = arg;

	__atomic_store_n(&a->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	errno = 0;
	a->ret = a->fn(a->arg);
	a->error = errno;
	__atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

void async_start(struct async *a, long (*fn)(void *arg), void *arg)
{
	struct sigaction sa = { .sa_handler = nothing };	/* no SA_RESTART */

	sigaction(SIGUSR1, &sa, NULL);
	a->fn = fn;
	a->arg = arg;
	a->tid = 0;
	a->done = 0;
	a->ret = 0;
	a->error = 0;
	need(!pthread_create(&a->thread, NULL, async_thread, a));
}

static long do_read(void *arg)
{
	struct async *a = arg;

	return read(a->fd, a->buf, a->len);
}

static long do_write(void *arg)
{
	struct async *a = arg;

	return write(a->fd, a->buf, a->len);
}

void async_read(struct async *a, int fd, void *buf, size_t len)
{
	a->fd = fd;
	a->buf = buf;
	a->len = len;
	async_start(a, do_read, a);
}

void async_write(struct async *a, int fd, const void *buf, size_t len)
{
	a->fd = fd;
	a->buf = (void *)buf;
	a->len = len;
	async_start(a, do_write, a);
}

static bool async_sleeps(struct async *a)
{
	pid_t tid = __atomic_load_n(&a->tid, __ATOMIC_ACQUIRE);

	return tid && sleeping(tid, -1);
}

bool mqt_async_waits(const char *file, int line, struct async *a)
{
	uint64_t end = deadline(SOON);
	unsigned int seen = 0;

	/* Asleep ten times in a row: not a lock it just met. */
	while (seen < 10) {
		if (__atomic_load_n(&a->done, __ATOMIC_ACQUIRE)) {
			mqt_fail(file, line, "the call does not wait: returned %ld (%s)", a->ret,
				 a->ret < 0 ? mqt_errno(a->error) : "ok");
			return false;
		}
		if (now_ns() > end) {
			mqt_fail(file, line, "the call neither waits nor ends");
			return false;
		}
		seen = async_sleeps(a) ? seen + 1 : 0;
		sleep_ms(10);
	}
	return true;
}

bool mqt_async_end(const char *file, int line, struct async *a, int seconds)
{
	uint64_t end = deadline(seconds);

	while (!__atomic_load_n(&a->done, __ATOMIC_ACQUIRE)) {
		if (now_ns() > end) {
			mqt_fail(file, line, "the call does not end within %d s", seconds);
			a->ret = LONG_MIN;
			return false;
		}
		sleep_ms(2);
	}
	pthread_join(a->thread, NULL);
	return true;
}

void async_signal(struct async *a)
{
	pthread_kill(a->thread, SIGUSR1);
}

static bool wanted(const struct mqt_case *c, int argc, char **argv)
{
	if (argc < 2)
		return true;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], c->fn))
			return true;
	}
	return false;
}

static void run_case(const struct mqt_case *c)
{
	uint64_t end = deadline(c->limit);
	int status;
	pid_t pid;

	memset(mqt, 0, sizeof(*mqt));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_msg("cannot fork: %s\n", strerror(errno));
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c->run();
		fflush(stdout);
		_exit(KSFT_PASS);
	}
	setpgid(pid, pid);
	if (!wait_pid(pid, end, &status)) {
		note("not done after %u s", c->limit);
		show_stacks(pid);
		kill(-pid, SIGKILL);
		if (!wait_pid(pid, deadline(60), &status))
			ksft_exit_fail_msg("%s: process %d cannot be killed\n", c->fn, pid);
		__atomic_add_fetch(&mqt->failures, 1, __ATOMIC_RELAXED);
	}
	kill(-pid, SIGKILL);	/* what it left behind */
	mqt_topics_cleanup();
	if (WIFSIGNALED(status) && !mqt->failures)
		note("died of signal %d", WTERMSIG(status));
	if (mqt->failures > 25)
		note("%u checks failed in all", mqt->failures);
	if (mqt->failures || !WIFEXITED(status) ||
	    (WEXITSTATUS(status) != KSFT_PASS && WEXITSTATUS(status) != KSFT_SKIP))
		ksft_test_result_fail("%s\n", c->name);
	else if (WEXITSTATUS(status) == KSFT_SKIP)
		ksft_test_result_skip("%s: %s\n", c->name, mqt->why);
	else
		ksft_test_result_pass("%s\n", c->name);
}

/* Weak: a helper program that links this has its own. */
__attribute__((weak)) int main(int argc, char **argv)
{
	unsigned int n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "-l")) {
		for (struct mqt_case *c = cases; c; c = c->next)
			printf("%-24s %s\n", c->fn, c->name);
		return KSFT_PASS;
	}
	for (int i = 1; i < argc; i++) {
		struct mqt_case *c = cases;

		while (c && strcmp(c->fn, argv[i]))
			c = c->next;
		if (!c) {
			fprintf(stderr, "%s: no test %s; -l lists them\n", argv[0], argv[i]);
			return 2;
		}
	}
	ksft_print_header();
	if (access(MQ_DIR, F_OK))
		ksft_exit_skip("no %s: run it in the VM (tools/vm -- %s)\n", MQ_DIR, argv[0]);
	mqt = mmap(NULL, sizeof(*mqt), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mqt == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	for (struct mqt_case *c = cases; c; c = c->next)
		n += wanted(c, argc, argv);
	ksft_set_plan(n);
	for (struct mqt_case *c = cases; c; c = c->next) {
		if (wanted(c, argc, argv))
			run_case(c);
	}
	/* ksft_finished() would take a skipped test for a failed one. */
	ksft_exit(!ksft_get_fail_cnt());
}
