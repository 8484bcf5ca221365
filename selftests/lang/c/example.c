// SPDX-License-Identifier: GPL-2.0
/*
 * mq from C.
 *
 * example produce TOPIC KEY NAME=VALUE TEXT	one message with a key and a header
 * example follow TOPIC				what is written from now on
 * example replay TOPIC				the last minute
 * example ship TOPIC HOST PORT			all of it, as it comes, over TCP
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "example.h"

static int topic(const char *name, const char *options, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/dev/mq/%s%s", name, options);
	fd = open(path, flags);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static ssize_t print(int fd)
{
	static char message[1 << 20];	/* the default limit: a read gets a whole one */
	ssize_t n;

	while ((n = read(fd, message, sizeof(message))) > 0)
		if (write(STDOUT_FILENO, message, n) != n)
			err(1, "standard output");
	return n;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	ssize_t n;

	if (argc == 6 && !strcmp(verb, "produce"))
		n = produce(topic(argv[2], "+format=record", O_WRONLY), argv[3], argv[4], argv[5]);
	else if (argc == 3 && !strcmp(verb, "follow"))
		n = print(topic(argv[2], "+from=newest", O_RDONLY));
	else if (argc == 3 && !strcmp(verb, "replay"))
		n = print(topic(argv[2], "+since=1m+until=end", O_RDONLY));
	else if (argc == 5 && !strcmp(verb, "ship"))
		n = ship(topic(argv[2], "", O_RDONLY), argv[3], argv[4]);
	else
		errx(2, "produce TOPIC KEY NAME=VALUE TEXT | follow|replay TOPIC | ship TOPIC HOST PORT");
	if (n < 0)
		err(1, "%s", argv[2]);
	return 0;
}
