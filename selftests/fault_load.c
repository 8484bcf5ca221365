// SPDX-License-Identifier: GPL-2.0
/* KERNEL: fault-injection */
/* TIMEOUT: 600 */
/*
 * E.28: loading the module with its nth allocation or user copy failing. Most of them are
 * the kernel's own loader's; the module's are the last ones, so only those are gone through.
 * Leaves the module loaded and mounted, as it was.
 */
#include "helpers/module.h"
#include "helpers/nth.h"

#define LAST	120	/* the module's own are some 40 */

static int module_fd;
static unsigned int refused;

static long load_it(void)
{
	return syscall(SYS_finit_module, module_fd, "", 0);
}

/* Loads it with failure @n: was there one? Whatever came of it, it is not loaded afterwards. */
static bool load_failing(unsigned int n)
{
	bool hit;
	long ret;

	nth_set(n);
	ret = load_it();
	hit = nth_hit();
	if (ret < 0) {
		if (!nth_errno(errno))
			fail("failure %u: %s", n, mqt_errno(errno));
		if (!hit)
			fail("%s although nothing failed", mqt_errno(errno));
		refused++;
	}
	expect_eq(module_loaded(), !ret);
	if (!ret)
		wait_until(!module_unload(), SOON);
	return hit;
}

/* The number of the first failure that a load does not get to. */
static unsigned int failures_of_a_load(void)
{
	unsigned int low = 1, high = 2;

	while (load_failing(high) && !failures())
		high *= 2;
	while (high - low > 1 && !failures()) {
		unsigned int middle = low + (high - low) / 2;

		*(load_failing(middle) ? &low : &high) = middle;
	}
	return high;
}

TEST_LIMIT(load, "E.28: a load whose nth allocation fails is refused, leaves nothing, and the next works", 500)
{
	unsigned int end;

	module_unmount();
	wait_until(!module_unload(), SOON);
	module_fd = module_open();
	nth_begin();
	end = failures_of_a_load();
	for (unsigned int n = end > LAST ? end - LAST : 1; n <= end && !failures(); n++)
		load_failing(n);
	note("%u can fail in a load; %u loads refused", end - 1, refused);
	expect(refused > 20);
	close(module_fd);
	module_load();
	module_mount();
}

TEST(again, "E.28: afterwards the module works")
{
	const char *t = topic_new();
	int fd = topic_open(t, "", O_RDWR);
	char got[2];

	expect_ret(write(fd, "x", 1), 1);
	expect_ret(read(fd, got, sizeof(got)), 1);
}
