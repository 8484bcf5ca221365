/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls with their first, second, third, ... allocation or user copy failing
 * (/proc/self/fail-nth), until none is hit any more.
 */
#ifndef HELPERS_NTH_H
#define HELPERS_NTH_H

#include "mqtest.h"

#define NTH_MAX		2000
#define DEBUGFS		"/sys/kernel/debug/"

static int nth_fd = -1;

/* Sleeping allocations fail, too; nothing is printed about each. */
static inline void nth_begin(void)
{
	static const char *const settings[][2] = {
		{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "failslab/verbose", "0" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "fail_page_alloc/min-order", "0" },
		{ DEBUGFS "fail_page_alloc/verbose", "0" },
		{ DEBUGFS "fail_usercopy/verbose", "0" },
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		need_eq(write_file(settings[i][0], settings[i][1]), 0);
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	need(nth_fd >= 0);
}

static inline void nth_set(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	/* What the call did not reach may hit this. */
	while (pwrite(nth_fd, text, strlen(text), 0) < 0)
		need_eq(errno, EFAULT);
}

/* Did the failure happen? And no other will. */
static inline bool nth_hit(void)
{
	char text[16] = "";
	int error = errno;
	bool hit;

	/* If this is what fails the call was not. */
	hit = pread(nth_fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;
	nth_set(0);
	errno = error;
	return hit;
}

/* What may come of a failed allocation or copy. */
static inline bool nth_errno(int error)
{
	return error == ENOMEM || error == EFAULT || error == ENOBUFS || error == EINTR ||
	       error == EAGAIN || error == ENOSPC;
}

/*
 * @call with each n; @check after each, told its result; @undo makes it as before.
 * The last time nothing failed, so @call must have worked.
 */
struct nth {
	const char *what;
	long (*call)(void);
	void (*check)(long ret);
};

static const char *nth_what = "";

static inline unsigned int nth_run(const struct nth *t)
{
	unsigned int n, hits = 0;
	bool hit = true;
	long ret;
	int error;

	if (t->what)
		nth_what = t->what;
	for (n = 1; hit && n < NTH_MAX && failures() < 5; n++) {
		nth_set(n);
		errno = 0;
		ret = t->call();
		error = errno;
		hit = nth_hit();
		hits += hit;
		if (ret < 0 && !nth_errno(error))
			fail("%s, failure %u: %s", nth_what, n, mqt_errno(error));
		if (ret < 0 && !hit)
			fail("%s: %s although nothing failed", nth_what, mqt_errno(error));
		errno = error;
		if (t->check)
			t->check(ret);
	}
	expect(n < NTH_MAX);
	if (t->what)
		note("%s: %u failures", t->what, hits);
	return hits;
}

/* The same again and again: what it needs comes and goes. */
static inline void nth_rerun(int times, const struct nth *t)
{
	unsigned int hits = 0;

	nth_what = t->what;
	for (int i = 0; i < times; i++)
		hits += nth_run(&(struct nth) { NULL, t->call, t->check });
	note("%s, %d times: %u failures", t->what, times, hits);
}

#endif
