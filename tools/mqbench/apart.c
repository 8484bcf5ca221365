// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of peers whose producer and consumer are processes of their own for each run,
 * since their libraries have threads, which do not survive a fork. All that the
 * machine does from the first message to the last is counted, the server's part, too,
 * but not the time in which it had nothing to do: a clock that counts instructions
 * leaps over idle time to the next timer.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "server.h"

/* Of CPU 0, which all processes are pinned to. */
static uint64_t idle_time(void)
{
	static const char name[] = "  .idle_sleeptime : ";
	FILE *file = fopen("/proc/timer_list", "re");
	unsigned long long ns = 0;
	char line[256];

	if (!file)
		err(1, "/proc/timer_list (root may read it)");
	while (fgets(line, sizeof(line), file) && strncmp(line, name, sizeof(name) - 1))
		;
	if (sscanf(line, "  .idle_sleeptime : %llu nsecs", &ns) != 1)
		errx(1, "/proc/timer_list: no idle_sleeptime");
	fclose(file);
	return ns;
}

/* What is left of the last run, or of starting, ends first: until 9/10 of 50 ms are idle. */
static void settle(void)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	/* Not a time limit: where instructions are counted, that would be over in no time. */
	for (int tries = 0; tries < 1000; tries++) {
		uint64_t idle = idle_time(), begin = now(), slept;

		nanosleep(&pause, NULL);
		slept = now() - begin;
		if (idle_time() - idle >= slept - slept / 10)
			return;
	}
	errx(1, "the machine does not come to rest");
}

/**
 * struct part - one of the two processes
 * @pid: it
 * @fd: a byte from it: attached; to it: begin; from it: done; to it: go
 */
struct part {
	pid_t pid;
	int fd;
};

static void await(const struct peer *peer, const struct part *part, const char *who)
{
	char byte;

	if (read(part->fd, &byte, 1) != 1)
		errx(1, "%s: the %s failed", peer->name, who);
}

static void act(const struct peer *peer, struct bench *b, uint64_t messages, int fd,
		bool producer)
{
	char byte;

	peer->attach(b, producer);
	if (write(fd, "", 1) != 1)
		_exit(1);
	if (!producer)
		peer->consume(b, messages);
	else if (read(fd, &byte, 1) == 1)
		peer->produce(b, messages);
	if (write(fd, "", 1) != 1 || read(fd, &byte, 1) != 1)
		_exit(1);
	_exit(0);
}

static struct part start(const struct peer *peer, struct bench *b, uint64_t messages,
			 bool producer)
{
	struct part part;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		err(1, "socketpair");
	fflush(NULL);
	part.pid = fork();
	if (part.pid < 0)
		err(1, "fork");
	if (!part.pid) {
		close(pair[0]);
		act(peer, b, messages, pair[1], producer);
	}
	close(pair[1]);
	part.fd = pair[0];
	await(peer, &part, producer ? "producer" : "consumer");
	return part;
}

static void finish(const struct part *part)
{
	/* Not just closed: the other process has this socket, too. */
	if (write(part->fd, "", 1) != 1)
		warn("a process of a run is gone");
	close(part->fd);
	waitpid(part->pid, NULL, 0);
}

double run_apart(const struct peer *peer, struct bench *b, uint64_t messages)
{
	struct part consumer, producer;
	uint64_t begin, idle, busy;

	messages = (messages + b->batch - 1) / b->batch * b->batch;
	hold_clock(true);
	consumer = start(peer, b, messages, false);
	producer = start(peer, b, messages, true);
	hold_clock(false);
	settle();

	idle = idle_time();
	begin = now();
	if (write(producer.fd, "", 1) != 1)
		err(1, "%s: the producer is gone", peer->name);
	await(peer, &producer, "producer");
	await(peer, &consumer, "consumer");
	busy = now() - begin;
	busy -= idle_time() - idle;

	/* The producer may have a thread that still sends: it goes last. */
	finish(&consumer);
	finish(&producer);
	b->run++;
	b->produced += messages;
	b->consumed += messages * b->size;
	return (double)busy / messages;
}
