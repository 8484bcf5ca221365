// SPDX-License-Identifier: GPL-2.0
/* What code of the module programs reach, by the kernel's KCOV. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kcov.h>

#include "fuzz.h"

#define KCOV	"/sys/kernel/debug/kcov"

bool cover_there;
static uint64_t text_base;

void cover_init(void)
{
	FILE *file = fopen("/sys/module/mq/sections/.text", "re");
	unsigned long long base = 0;

	if (file) {
		if (fscanf(file, "%llx", &base) != 1)
			base = 0;
		fclose(file);
	}
	text_base = base;
	cover_there = base && !access(KCOV, R_OK | W_OK);
}

void cover_thread(struct thread *t)
{
	int fd;

	if (!cover_there)
		return;
	fd = open(KCOV, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, COVER_LEN))
		goto none;
	t->cover = mmap(NULL, COVER_LEN * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0);
	if (t->cover == MAP_FAILED)
		goto none;
	if (ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		goto none;
	return;
none:
	perror("mqfuzz: " KCOV);
	exit(1);
}

void cover_begin(struct thread *t)
{
	if (t->cover)
		__atomic_store_n(&t->cover[0], 0, __ATOMIC_RELAXED);
}

/* Sets a bit; was it clear? */
static bool set_bit(_Atomic uint64_t *bits, unsigned int n)
{
	uint64_t bit = 1ULL << n % 64;

	if (atomic_load_explicit(&bits[n / 64], memory_order_relaxed) & bit)
		return false;
	return !(atomic_fetch_or(&bits[n / 64], bit) & bit);
}

void cover_add(const struct thread *t, struct cover *to, struct gain *gain)
{
	uint64_t n, before = 0;

	if (!t->cover)
		return;
	n = __atomic_load_n(&t->cover[0], __ATOMIC_RELAXED);
	for (uint64_t i = 1; i <= n && i < COVER_LEN; i++) {
		uint64_t pc = t->cover[i] - text_base;

		/* Other instrumented code, and what lies in .init or .exit. */
		if (pc >= PC_BITS)
			continue;
		if (set_bit(to->pcs, pc)) {
			gain->pcs++;
			to->pcs_n++;
		}
		if (set_bit(to->edges, ((before * 0x9e3779b1u) ^ pc * 0x85ebca6bu) % EDGE_BITS)) {
			gain->edges++;
			to->edges_n++;
		}
		before = pc;
	}
}
