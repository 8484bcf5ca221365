// SPDX-License-Identifier: GPL-2.0
/*
 * Servers of peers. Some take a minute to start where instructions are counted, so
 * each is started once; it is stopped (SIGSTOP) whenever its peer is not being measured,
 * and ends with mqbench, however that ends. It is the first of a PID namespace: with
 * it, all that it started is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

#define SERVERS_MAX	16

static struct server running[SERVERS_MAX];
static unsigned int nr_running;
static pid_t owner;

const char *build_dir(void)
{
	static char dir[PATH_SIZE / 2];

	if (!dir[0]) {
		ssize_t len = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

		if (len <= 0)
			err(1, "/proc/self/exe");
		dir[len] = '\0';
		for (int i = 0; i < 2; i++)	/* bin/mqbench */
			*strrchr(dir, '/') = '\0';
	}
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void end_servers(void)
{
	if (getpid() != owner)		/* a producer or a consumer */
		return;
	for (unsigned int i = 0; i < nr_running; i++) {
		kill(running[i].pid, SIGKILL);
		waitpid(running[i].pid, NULL, 0);
		nftw(running[i].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
}

bool server_wake(struct server *s)
{
	if (s->pid) {
		kill(-s->pid, SIGCONT);
		return true;
	}
	strcpy(s->dir, "/tmp/mqbench.XXXXXX");
	if (!mkdtemp(s->dir))
		err(1, "%s", s->dir);
	return false;
}

void server_file(const struct server *s, const char *name, const char *format, ...)
{
	char path[PATH_SIZE];
	va_list args;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	file = fopen(path, "we");
	if (!file)
		err(1, "%s", path);
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	if (fclose(file))
		err(1, "%s", path);
}

static void become(const struct server *s, const char *line)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	if (chdir(s->dir) || !freopen("/dev/null", "r", stdin) || !freopen("log", "w", stdout) ||
	    dup2(1, 2) < 0)
		_exit(126);
	execl("/bin/sh", "sh", "-c", line, build_dir(), NULL);
	_exit(127);
}

void server_start(struct server *s, const char *line)
{
	if (nr_running == SERVERS_MAX)
		errx(1, "more than %d servers", SERVERS_MAX);
	build_dir();
	fflush(NULL);
	s->pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (s->pid < 0)
		err(1, "a process in a new PID namespace");
	if (!s->pid)
		become(s, line);
	setpgid(s->pid, s->pid);
	if (!nr_running) {
		owner = getpid();
		atexit(end_servers);
	}
	running[nr_running++] = *s;
}

/* A server that does not start is a failure that only its log explains. */
static void show_log(const struct server *s)
{
	char path[PATH_SIZE], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", s->dir);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "    %s", line);
	if (file)
		fclose(file);
}

static void wait_for(const struct server *s, const struct sockaddr *address, socklen_t len)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	hold_clock(true);
	for (;;) {
		int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int ret;

		if (fd < 0)
			err(1, "socket");
		ret = connect(fd, address, len);
		close(fd);
		if (!ret)
			break;
		if (waitpid(s->pid, NULL, WNOHANG)) {
			show_log(s);
			errx(1, "a server ended instead of starting: see its log, above");
		}
		nanosleep(&pause, NULL);
	}
	hold_clock(false);
}

void server_wait_port(const struct server *s, unsigned int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	wait_for(s, (struct sockaddr *)&address, sizeof(address));
}

void server_wait_socket(const struct server *s, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", s->dir, name);
	wait_for(s, (struct sockaddr *)&address, sizeof(address));
}

void hold_clock(bool hold)
{
	static pid_t pid;

	if (!pid) {
		pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			struct sched_param param = { };

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (sched_setscheduler(0, SCHED_IDLE, &param))
				_exit(1);
			for (;;)
				__asm__ volatile("" : : : "memory");
		}
	}
	kill(pid, hold ? SIGCONT : SIGSTOP);
}

void server_rest(const struct server *s)
{
	kill(-s->pid, SIGSTOP);
}
