// SPDX-License-Identifier: GPL-2.0
/* What any system call costs here: the floor that other figures stand on. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

static void nothing(struct bench *b)
{
	(void)b;
}

static void getppid_produce(struct bench *b, uint64_t n)
{
	(void)b;
	while (n--)
		syscall(SYS_getppid);
}

const struct peer peer_getppid = {
	.name = "getppid",
	.what = "floor: getppid(2), the cheapest system call",
	.keeps = true,
	.max_batch = 1,
	.open = nothing,
	.produce = getppid_produce,
	.close = nothing,
};

static void null_open(struct bench *b)
{
	int *fd = must_alloc(sizeof(*fd));

	*fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (*fd < 0)
		err(1, "/dev/null");
	b->priv = fd;
}

static void null_produce(struct bench *b, uint64_t n)
{
	int fd = *(int *)b->priv;

	while (n--) {
		if (write(fd, b->message, b->size) != (ssize_t)b->size)
			err(1, "/dev/null: write");
	}
}

static void null_close(struct bench *b)
{
	close(*(int *)b->priv);
	free(b->priv);
}

const struct peer peer_null = {
	.name = "null",
	.what = "floor: write(2) to /dev/null",
	.keeps = true,
	.max_batch = 1,
	.open = null_open,
	.produce = null_produce,
	.close = null_close,
};
