// SPDX-License-Identifier: GPL-2.0
/*
 * A topic's descriptor as a capability: a producer that may write to one topic and do
 * nothing else. Needs nothing but libc:  cc -O2 -o sandbox sandbox.c
 *
 *	sandbox [-i] [-x PATH] /dev/mq/TOPIC <LINES
 *
 * The parent opens the topic for writing. The child locks itself up under seccomp, gets
 * the descriptor over a socket (SCM_RIGHTS), and writes each line of its standard
 * input to it. With -i it inherits the descriptor and is under the strict mode: read, write,
 * exit. With -x it tries to open PATH first, of which it dies.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW(nr)								\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),				\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* From here on: read, write, recvmsg, exit. (A real one checks the architecture, too.) */
static void lock_up(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_recvmsg), ALLOW(SYS_exit),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { sizeof(insns) / sizeof(insns[0]), insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		err(1, "seccomp");
}

/* Send a descriptor (@fd >= 0), or receive one. */
static int pass(int sock, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { "", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	char byte;

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		return sendmsg(sock, &msg, 0) == 1 ? fd : -1;
	}
	iov.iov_base = &byte;
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

/* One write, one message (or as many lines as they are, on a topic of lines). */
static int produce(int topic)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(0, buf, sizeof(buf))) > 0)
		if (write(topic, buf, n) != n)
			return 1;
	return n < 0;
}

int main(int argc, char **argv)
{
	int topic, sock[2], option, status, inherit = 0;
	const char *forbidden = NULL;
	pid_t pid;

	while ((option = getopt(argc, argv, "ix:")) != -1) {
		if (option == 'i')
			inherit = 1;
		else if (option == 'x')
			forbidden = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc)
		errx(2, "usage: sandbox [-i] [-x PATH] /dev/mq/TOPIC <LINES");
	topic = open(argv[optind], O_WRONLY | O_CLOEXEC);
	if (topic < 0)
		err(1, "%s", argv[optind]);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		err(1, "socketpair");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		if (!inherit) {
			close(topic);
			lock_up();
			topic = pass(sock[1], -1);
		} else if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) {
			err(1, "seccomp");
		}
		if (forbidden)
			open(forbidden, O_RDWR);
		syscall(SYS_exit, topic < 0 ? 1 : produce(topic));
	}
	if (!inherit && pass(sock[0], topic) < 0)
		err(1, "sendmsg");
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	if (WIFSIGNALED(status))
		errx(1, "the producer was killed: %s", strsignal(WTERMSIG(status)));
	return WEXITSTATUS(status);
}
