// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program on a topic: the structures of <mq/mq.h> as this compiler lays
 * them out, the ioctls, records and large positions. Argument: the topic's path.
 * Exit status 0 if all is as for a 64-bit program; says what is not.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mq/mq.h>

#include "helpers/ioctls.h"

#define START_OFFSET	(1ULL << 33)
#define START_POSITION	((1ULL << 34) + 1)

_Static_assert(sizeof(void *) == 4, "a 32-bit program");
_Static_assert(sizeof(struct mq_entry) == 64, "mq_entry");
_Static_assert(sizeof(struct mq_record) == 16, "mq_record");
_Static_assert(sizeof(struct mq_batch) == 64, "mq_batch");
_Static_assert(sizeof(struct mq_features) == 24, "mq_features");
_Static_assert(sizeof(struct mq_stat) == 160, "mq_stat");
_Static_assert(sizeof(struct mq_seek) == 32, "mq_seek");
_Static_assert(sizeof(struct mq_map_header) == 256, "mq_map_header");
_Static_assert(sizeof(struct mq_options) == 24, "mq_options");
_Static_assert(sizeof(struct mq_filter) == 24, "mq_filter");
_Static_assert(sizeof(struct mq_filter_head) == 72, "mq_filter_head");
_Static_assert(sizeof(struct mq_watermark) == 32, "mq_watermark");

static int wrong;

#define CHECK(cond)								\
	do {									\
		if (!(cond)) {							\
			printf("# abi32:%d: not so: %s (%s)\n", __LINE__, #cond,	\
			       strerror(errno));				\
			wrong = 1;						\
		}								\
	} while (0)

/* The last message, by a map: loads of 64 bits from memory that cannot be written. */
static void mapped(int fd)
{
	const struct mq_map_header *h = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	const struct mq_entry *e;
	const char *map;

	CHECK(h != MAP_FAILED);
	if (h == MAP_FAILED)
		return;
	map = mmap(NULL, h->length, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	if (map == MAP_FAILED)
		return;
	CHECK(__atomic_load_n(&h->tail_offset, __ATOMIC_ACQUIRE) == START_OFFSET);
	CHECK(__atomic_load_n(&h->head_offset, __ATOMIC_ACQUIRE) == START_OFFSET + 3);
	e = (const void *)(map + h->index_at + (START_OFFSET + 2) * 64 % h->index_size);
	CHECK(e->offset == START_OFFSET + 2 && e->position == START_POSITION + 8 && e->len == 5);
	CHECK(!memcmp(map + h->data_at + e->position % h->data_size, "third", 5));
}

/* Only what begins with a byte: the program's address is one of 32 bits. */
static void filtered(int fd)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, sizeof(struct mq_filter_head)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 't', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct mq_filter filter = { .size = sizeof(filter), .type = MQ_FILTER_CLASSIC,
				    .insns = (uintptr_t)insns, .len = 4 };
	struct mq_options options = { .size = sizeof(options), .mask = MQ_OPTION_FORMAT,
				      .format = MQ_FORMAT_RECORD };
	struct mq_seek seek = { .size = sizeof(seek), .whence = MQ_SEEK_OLDEST };
	static struct {
		struct mq_batch head;
		struct mq_entry entry;
		char payload[64];
	} in;

	CHECK(!ioctl(fd, MQ_IOC_SEEK, &seek));
	CHECK(!ioctl(fd, MQ_IOC_FILTER, &filter));
	CHECK(!ioctl(fd, MQ_IOC_SET_OPTIONS, &options));
	CHECK(options.mask == 7 && options.format == MQ_FORMAT_RECORD);
	CHECK(read(fd, &in, sizeof(in)) == sizeof(in.head) + sizeof(in.entry) + 5);
	CHECK(in.head.count == 1 && in.head.flags == MQ_BATCH_FILTERED);
	CHECK(in.entry.offset == START_OFFSET + 2 && !memcmp(in.payload, "third", 5));
}

/* What is refused is refused alike: sizes, padding, alignment, memory. */
static void refused(int fd)
{
	struct mq_options options = { .size = sizeof(options), .reserved = 1 };
	struct mq_watermark mark = { .size = sizeof(mark), .reserved = 1 };
	struct mq_seek seek = { .size = sizeof(seek), .whence = MQ_SEEK_OLDEST, .value = 1 };
	static char arg[512];

	for (unsigned int i = 0; i < sizeof(sized_ioctls) / sizeof(sized_ioctls[0]); i++) {
		memset(arg, 0, sizeof(arg));
		CHECK(ioctl(fd, sized_ioctls[i].cmd, arg) == -1 && errno == EINVAL);
		arg[0] = 7;
		CHECK(ioctl(fd, sized_ioctls[i].cmd, arg) == -1 && errno == EINVAL);
		arg[0] = sized_ioctls[i].size + 16;
		arg[sized_ioctls[i].size + 15] = 1;
		CHECK(ioctl(fd, sized_ioctls[i].cmd, arg) == -1 && errno == E2BIG);
		for (unsigned int shift = 1; shift < 4; shift++) {
			memset(arg, 0, sizeof(arg));
			memcpy(arg + shift, &sized_ioctls[i].size, 4);
			CHECK(!ioctl(fd, sized_ioctls[i].cmd, arg + shift));
		}
		CHECK(ioctl(fd, sized_ioctls[i].cmd, (void *)8) == -1 && errno == EFAULT);
		CHECK(ioctl(fd, sized_ioctls[i].cmd ^ (4 << 16), arg) == -1 && errno == ENOTTY);
	}
	CHECK(ioctl(fd, MQ_IOC_SET_OPTIONS, &options) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, MQ_IOC_WATERMARK, &mark) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, MQ_IOC_SEEK, &seek) == -1 && errno == EINVAL);
}

int main(int argc, char **argv)
{
	struct mq_features features = { .size = sizeof(features) };
	struct mq_stat stat = { .size = sizeof(stat) };
	struct mq_seek seek = { .size = sizeof(seek), .whence = MQ_SEEK_OFFSET,
				.value = START_OFFSET + 1 };
	struct {
		struct mq_batch head;
		struct mq_record record[2];
		char payload[8];
	} batch = {
		.head = { .size = sizeof(struct mq_batch), .entry_size = sizeof(struct mq_record),
			  .count = 2, .partition = MQ_PARTITION_ANY,
			  .entries_len = 2 * sizeof(struct mq_record), .payload_len = 8 },
		.record = { { .len = 5 }, { .len = 3 } },
		.payload = "firstsec",
	};
	static struct {
		struct mq_batch head;
		struct mq_entry entry[3];
		char rest[256];
	} in;
	char path[512], got[64];
	int fd, rd, rec, n = 0;
	struct stat st;

	if (argc != 2) {
		fprintf(stderr, "usage: abi32 PATH\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s+format=record", argv[1]);
	fd = open(argv[1], O_WRONLY);
	rd = open(argv[1], O_RDONLY | O_NONBLOCK);
	rec = open(path, O_RDWR | O_NONBLOCK);
	CHECK(fd >= 0 && rd >= 0 && rec >= 0);

	CHECK(!ioctl(fd, MQ_IOC_FEATURES, &features));
	CHECK(features.entry_size == 64 && features.batch_size == 64);
	CHECK(write(rec, &batch, sizeof(batch.head) + sizeof(batch.record) + 8) ==
	      sizeof(batch.head) + sizeof(batch.record) + 8);
	CHECK(write(fd, "third", 5) == 5);

	CHECK(!ioctl(rd, MQ_IOC_STAT, &stat));
	CHECK(stat.offset == START_OFFSET && stat.position == START_POSITION);
	CHECK(stat.head_offset == START_OFFSET + 3 && stat.head_position == START_POSITION + 13);
	CHECK(stat.lag_messages == 3 && stat.lag_bytes == 13);
	CHECK(!ioctl(rd, MQ_IOC_SEEK, &seek));
	CHECK(seek.position == START_POSITION + 5);
	CHECK(read(rd, got, sizeof(got)) == 3 && !memcmp(got, "sec", 3));
	CHECK(lseek(rd, 0, SEEK_CUR) == (off_t)START_POSITION + 8);
	CHECK(pread(rd, got, sizeof(got), START_POSITION) == 5 && !memcmp(got, "first", 5));
	CHECK(!ioctl(rd, FIONREAD, &n) && n == 5);
	CHECK(!fstat(rd, &st) && st.st_size == (off_t)START_POSITION + 13);

	CHECK(read(rec, &in, sizeof(in)) == sizeof(in.head) + sizeof(in.entry) + 13);
	CHECK(in.head.count == 3 && in.head.entry_size == 64 && in.head.payload_len == 13);
	CHECK(in.entry[2].offset == START_OFFSET + 2 && in.entry[2].len == 5);
	CHECK(!memcmp(in.rest, "firstsecthird", 13));
	mapped(rd);
	refused(rd);
	filtered(rd);
	CHECK(ioctl(fd, _IO(MQ_IOC_MAGIC, 99), &stat) == -1 && errno == ENOTTY);
	return wrong;
}
