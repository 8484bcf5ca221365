// SPDX-License-Identifier: GPL-2.0
/*
 * tally: write numbered messages, and note each one that write() acknowledged
 *
 * A message is "ID NUMBER xxx...\n", one a call, numbers from 1 on. The last
 * acknowledged number is kept in ACKFILE, which is mapped: it survives kill -9.
 * With -w it sleeps that long after each. With -r the file is opened anew for
 * each message, and whatever fails is tried again: a load for topics, and
 * modules, that come and go.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN_MAX	65536

static void note(const char *path, uint64_t **ack)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, sizeof(**ack)))
		err(1, "%s", path);
	*ack = mmap(NULL, sizeof(**ack), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ack == MAP_FAILED)
		err(1, "%s: map", path);
	close(fd);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end || value < min || value > max)
		errx(2, "%s: not a number that serves here", text);
	return value;
}

/* One message, opened and closed; 0 or errno. */
static int append_once(const char *path, const char *message, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int ret;

	if (fd < 0)
		return errno;
	n = write(fd, message, len);
	ret = n < 0 ? errno : 0;
	close(fd);
	if (!ret && (size_t)n != len)
		errx(1, "%s: short write of %zd", path, n);
	return ret;
}

int main(int argc, char **argv)
{
	uint64_t count = UINT64_MAX, *ack;
	static char message[LEN_MAX + 1];
	bool reopen = false;
	useconds_t wait = 0;
	size_t len = 100;
	int opt, fd = -1;

	while ((opt = getopt(argc, argv, "n:l:w:r")) != -1) {
		switch (opt) {
		case 'n':
			count = number(optarg, 1, UINT64_MAX);
			break;
		case 'l':
			len = number(optarg, 32, LEN_MAX);
			break;
		case 'w':
			wait = number(optarg, 0, 999999);
			break;
		case 'r':
			reopen = true;
			break;
		default:
			goto usage;
		}
	}
	if (argc - optind != 3)
		goto usage;
	note(argv[optind + 2], &ack);
	if (!reopen) {
		fd = open(argv[optind], O_WRONLY | O_CLOEXEC);	/* never creates */
		if (fd < 0)
			err(1, "%s", argv[optind]);
	}
	for (uint64_t i = 1; i <= count; i++) {
		int n = snprintf(message, sizeof(message), "%s %llu ", argv[optind + 1],
				 (unsigned long long)i);

		if (n < 0 || (size_t)n >= len)
			errx(2, "-l %zu: no room for the id and number", len);
		memset(message + n, 'x', len - n - 1);
		message[len - 1] = '\n';
		if (reopen) {
			while (append_once(argv[optind], message, len))
				usleep(1000);
		} else {
			ssize_t ret = write(fd, message, len);

			if (ret < 0)
				err(1, "%s: write", argv[optind]);
			if ((size_t)ret != len)
				errx(1, "%s: short write of %zd", argv[optind], ret);
		}
		__atomic_store_n(ack, i, __ATOMIC_RELEASE);
		if (wait)
			usleep(wait);
	}
	return 0;
usage:
	fputs("usage: tally [-n COUNT] [-l LENGTH] [-w USEC] [-r] FILE ID ACKFILE\n", stderr);
	return 2;
}
