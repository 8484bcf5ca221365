// SPDX-License-Identifier: GPL-2.0
/*
 * Follows a partition by mmap: no system call and no copy by the kernel per
 * message. Needs nothing but <mq/mq.h>:  cc -O2 -o mmap_reader mmap_reader.c
 *
 *	mmap_reader /dev/mq/TOPIC[@N] [MESSAGES]
 *
 * prints payloads as they come, after as many MESSAGES ends, and says how many
 * were lost to overruns.
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mq/mq.h>

static const char *map;
static const struct mq_map_header *head;

static void map_it(int fd, size_t len)
{
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(1, "mmap");
	head = (const void *)map;
}

/* Copy message @off to *buf: its length, or -1 if it was overrun. */
static ssize_t get(__u64 off, char **buf, size_t *size)
{
	const struct mq_entry *entry = (const void *)(map + head->index_at +
						      off * sizeof(*entry) % head->index_size);
	/* Copied: in the map it may change at any moment, into that of another message. */
	struct mq_entry e = *(const volatile struct mq_entry *)entry;

	if (e.len <= head->data_size) {
		if (e.len > *size) {
			*buf = realloc(*buf, *size = e.len);
			if (!*buf)
				err(1, "realloc");
		}
		memcpy(*buf, map + head->data_at + e.position % head->data_size, e.len);
	}
	/* All of that came before this look at the tail: good, unless it has passed. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&head->tail_offset, __ATOMIC_RELAXED) > off)
		return -1;
	return e.len;
}

int main(int argc, char **argv)
{
	unsigned long long left = argc > 2 ? strtoull(argv[2], NULL, 10) : -1ULL, lost = 0;
	__u64 off, end, next;
	size_t size = 0;
	char *buf = NULL;
	int fd;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: %s FILE [MESSAGES]\n", argv[0]);
		return 2;
	}
	/* overrun=skip: where the topic holds for its readers, this one asks for none of it. */
	if (asprintf(&buf, "%s+overrun=skip", argv[1]) < 0)
		err(1, "%s", argv[1]);
	fd = open(buf, O_RDONLY);
	if (fd < 0)
		err(1, "%s", argv[1]);
	map_it(fd, sysconf(_SC_PAGESIZE));	/* the header, which says how long the map is */
	map_it(fd, head->length);

	off = __atomic_load_n(&head->tail_offset, __ATOMIC_ACQUIRE);
	while (left) {
		int gone = __atomic_load_n(&head->flags, __ATOMIC_ACQUIRE) & MQ_MAP_DELETED;

		next = __atomic_load_n(&head->head_position, __ATOMIC_ACQUIRE);
		end = __atomic_load_n(&head->head_offset, __ATOMIC_ACQUIRE);
		if (off < end) {
			ssize_t len = get(off, &buf, &size);

			if (len < 0) {
				__u64 tail = __atomic_load_n(&head->tail_offset, __ATOMIC_ACQUIRE);

				lost += tail - off;
				off = tail;
				continue;
			}
			fwrite(buf, 1, len, stdout);
			off++;
			left--;
		} else if (gone) {
			break;
		} else {
			/* Mapped reading does not move the file; poll waits for what is behind it. */
			struct pollfd p = { .fd = fd, .events = POLLIN };

			fflush(stdout);
			if (lseek(fd, next, SEEK_SET) < 0 || poll(&p, 1, -1) < 0)
				err(1, "%s", argv[1]);
		}
	}
	if (fflush(stdout))
		err(1, "standard output");
	if (lost)
		fprintf(stderr, "%s: %llu messages lost to overruns\n", argv[0], lost);
	return 0;
}
