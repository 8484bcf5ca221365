// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's PID 1 once it is set up: runs one command for tools/vm.
 *
 * Everything crosses one virtio serial port in frames of a type byte, a 32-bit
 * length and the data, so that output and exit status cannot overtake each
 * other:
 *
 *   to the host    H hello, R about to run, O stdout, E stderr, X exit status
 *                  (decimal), F set-up failed (message)
 *   to the guest   C command (strings, each with its NUL: flags, number of
 *                  environment strings, those, arguments; flag t: on a
 *                  terminal, m: stderr joins stdout), I stdin (empty: its
 *                  end), W window size (two u16: rows, columns)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS	"/sys/class/virtio-ports"

static int port = -1;

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

/* PID 1 has nobody to tell but the kernel log. */
static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	int fd = open("/dev/kmsg", O_WRONLY);
	va_list args;

	va_start(args, format);
	if (fd >= 0)
		vdprintf(fd, format, args);
	va_end(args);
	power_off();
}

static void write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("mq-vm: cannot write to the host: %s", strerror(errno));
		p += n;
		len -= n;
	}
}

static void read_all(void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n = read(port, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("mq-vm: the host is gone");
		p += n;
		len -= n;
	}
}

static void send_frame(char type, const void *data, uint32_t len)
{
	char head[5] = { type };

	memcpy(head + 1, &len, sizeof(len));
	write_all(port, head, sizeof(head));
	write_all(port, data, len);
}

/* Returns malloc'ed data with a NUL after it. */
static char *read_frame(char *type, uint32_t *len)
{
	char head[5], *data;

	read_all(head, sizeof(head));
	*type = head[0];
	memcpy(len, head + 1, sizeof(*len));
	data = malloc((size_t)*len + 1);
	if (!data)
		die("mq-vm: no memory for a frame of %u bytes", *len);
	read_all(data, *len);
	data[*len] = 0;
	return data;
}

static void open_port(void)
{
	char path[300], name[16] = "";
	struct dirent *entry;
	DIR *dir = opendir(PORTS);

	while (dir && (entry = readdir(dir))) {
		int fd;

		snprintf(path, sizeof(path), PORTS "/%s/name", entry->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		memset(name, 0, sizeof(name));
		if (read(fd, name, sizeof(name) - 1) < 0)
			name[0] = 0;
		close(fd);
		if (strcmp(name, "mq.vm\n"))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		port = open(path, O_RDWR | O_CLOEXEC);
		break;
	}
	if (dir)
		closedir(dir);
	if (port < 0)
		die("mq-vm: no virtio port named mq.vm");
}

struct command {
	bool tty, merge;
	char **argv;
};

/* The strings stay where they are, in the frame. */
static void parse_command(struct command *cmd, char *data, uint32_t len)
{
	char *end = data + len, *p = data;
	int n = 0, env, i;

	cmd->tty = strchr(p, 't');
	cmd->merge = strchr(p, 'm');
	p += strlen(p) + 1;
	env = atoi(p);
	p += strlen(p) + 1;
	clearenv();
	for (i = 0; i < env && p < end; i++, p += strlen(p) + 1)
		putenv(p);
	cmd->argv = calloc(len + 1, sizeof(char *));
	if (!cmd->argv)
		die("mq-vm: no memory for the command");
	for (; p < end; p += strlen(p) + 1)
		cmd->argv[n++] = p;
	if (!n)
		die("mq-vm: no command");
}

static void make_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC))
		die("mq-vm: pipe: %s", strerror(errno));
}

static void run_child(struct command *cmd, int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (cmd->tty)
		ioctl(in, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	execvp(cmd->argv[0], cmd->argv);
	dprintf(2, "tools/vm: cannot run %s: %s\n", cmd->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Passes on what is there; false at the end. */
static bool relay(int fd, char type)
{
	static char buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	send_frame(type, buf, n);
	return true;
}

static void drain(int fd, char type)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (fd >= 0 && poll(&pfd, 1, 0) > 0 && relay(fd, type))
		;
}

/* The status once @pid is among the dead, else -1. */
static int reap(pid_t pid)
{
	int status, found = -1;
	pid_t dead;

	while ((dead = waitpid(-1, &status, WNOHANG)) > 0) {
		if (dead != pid)
			continue;
		found = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return found;
}

static int run(struct command *cmd)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	int sigfd, status = -1, feed;
	char *input = NULL, *pending = NULL;
	uint32_t left = 0;
	sigset_t mask;
	pid_t pid;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigfd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);

	if (cmd->tty) {
		out[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (out[0] < 0 || grantpt(out[0]) || unlockpt(out[0]))
			die("mq-vm: no terminal: %s", strerror(errno));
		in[0] = open(ptsname(out[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
		feed = dup(out[0]);
		out[1] = in[0];
	} else {
		make_pipe(in);
		make_pipe(out);
		if (!cmd->merge)
			make_pipe(err);
		feed = in[1];
	}
	fcntl(feed, F_SETFD, FD_CLOEXEC);

	send_frame('R', "", 0);
	pid = fork();
	if (pid < 0)
		die("mq-vm: fork: %s", strerror(errno));
	if (!pid)
		run_child(cmd, in[0], out[1], err[1] >= 0 ? err[1] : out[1]);
	close(in[0]);
	if (!cmd->tty)
		close(out[1]);
	if (err[1] >= 0)
		close(err[1]);
	fcntl(feed, F_SETFL, fcntl(feed, F_GETFL) | O_NONBLOCK);

	while (status < 0) {
		/* While input waits for COMMAND the rest waits at the host. */
		struct pollfd pfds[] = {
			{ .fd = left ? -1 : port, .events = POLLIN },
			{ .fd = left ? feed : -1, .events = POLLOUT },
			{ .fd = out[0], .events = POLLIN },
			{ .fd = err[0], .events = POLLIN },
			{ .fd = sigfd, .events = POLLIN },
		};
		struct signalfd_siginfo info;
		ssize_t n;

		if (poll(pfds, 5, -1) < 0)
			continue;
		if (pfds[2].revents && !relay(out[0], 'O')) {
			close(out[0]);
			out[0] = -1;
		}
		if (pfds[3].revents && !relay(err[0], 'E')) {
			close(err[0]);
			err[0] = -1;
		}
		if (pfds[1].revents) {
			n = write(feed, pending, left);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				n = left;	/* nobody reads it any more */
			if (n > 0) {
				pending += n;
				left -= n;
			}
			if (!left) {
				free(input);
				input = NULL;
			}
		}
		if (pfds[0].revents & POLLIN) {
			uint32_t len;
			char type;

			input = read_frame(&type, &len);
			if (type == 'I' && len && feed >= 0) {
				pending = input;
				left = len;
				continue;
			}
			if (type == 'I' && !len && feed >= 0 && !cmd->tty) {
				close(feed);
				feed = -1;
			}
			if (type == 'W' && len == 4 && cmd->tty) {
				uint16_t size[2];
				struct winsize ws = {};

				memcpy(size, input, 4);
				ws.ws_row = size[0];
				ws.ws_col = size[1];
				ioctl(feed, TIOCSWINSZ, &ws);
			}
			free(input);
			input = NULL;
		}
		if (pfds[4].revents && read(sigfd, &info, sizeof(info)) > 0)
			status = reap(pid);
	}
	drain(out[0], 'O');
	drain(err[0], 'E');
	return status;
}

int main(int argc, char **argv)
{
	struct command cmd;
	uint32_t len;
	char *data;
	char type, text[16];

	signal(SIGPIPE, SIG_IGN);
	open_port();
	if (argc > 2 && !strcmp(argv[1], "--fail")) {
		send_frame('F', argv[2], strlen(argv[2]));
	} else {
		send_frame('H', "", 0);
		data = read_frame(&type, &len);
		if (type != 'C')
			die("mq-vm: expected a command, got frame %d", type);
		parse_command(&cmd, data, len);
		snprintf(text, sizeof(text), "%d", run(&cmd));
		sync();
		send_frame('X', text, strlen(text));
	}
	/* The host ends the VM now; if it does not, we do. */
	sleep(10);
	power_off();
}
