// SPDX-License-Identifier: GPL-2.0
/* Errors, the end of the program, and signals that ask for it. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mqctl.h"

static char context[256];
volatile sig_atomic_t stopped;

void set_context(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
}

static void vsay(const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "mqctl: %s%s", context, context[0] ? ": " : "");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
	exit(EXIT_FAILED);
}

int finish(int status)
{
	int err = 0;

	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		err = errno ? errno : EIO;
	if (!err && close(STDOUT_FILENO) && errno != EBADF)
		err = errno;
	/* Who closed the pipe has read enough. Stopped while writing: no news. */
	if (err && err != EPIPE && !(err == EINTR && stopped))
		say("standard output: %s", strerror(err));
	return err && !(err == EINTR && stopped) ? EXIT_FAILED : status;
}

bool module_loaded(void)
{
	return !access("/sys/module/mq", F_OK);
}

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

void catch_stop(void)
{
	/* The second one kills: whoever cannot wait does not have to. */
	struct sigaction sa = { .sa_handler = stop, .sa_flags = SA_RESETHAND };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

int wait_for(struct pollfd *fds, unsigned int count, int64_t timeout_ns)
{
	struct timespec ts = {
		.tv_sec = timeout_ns / (int64_t)NSEC_PER_SEC,
		.tv_nsec = timeout_ns % (int64_t)NSEC_PER_SEC,
	};
	sigset_t block, old;
	int ret = -1;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &old);
	if (stopped)
		errno = EINTR;
	else
		ret = ppoll(fds, count, timeout_ns < 0 ? NULL : &ts, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ret;
}
