// SPDX-License-Identifier: GPL-2.0
/* The module's limit of ring memory, and the cgroups it is charged to. */
#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/wait.h>
#include "memory.h"

/* How long at most a deleted topic's memory is waited for. */
#define LEAVING_TIMEOUT	HZ

/* The machine's memory divided by this is the limit if none was given. */
#define DEFAULT_SHARE	8

static unsigned long max_memory;
module_param(max_memory, ulong, 0644);
MODULE_PARM_DESC(max_memory,
		 "Bytes of memory that all rings may take together (0 at load: an eighth of the machine's)");

static atomic64_t used = ATOMIC64_INIT(0);

/* Topics that nobody holds any more and whose memory is not yet given back. */
static atomic_t leaving = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(left);

/**
 * mq_memory_charge() - take bytes from the module's limit
 * @bytes: how many
 *
 * Never goes over the limit, not even for a moment, so that callers who fit
 * do not fail for others who do not. A limit lowered below what is in use
 * refuses new charges and takes nothing back.
 *
 * Context: any.
 * Return: 0, or -ENOMEM if that many are not left.
 */
int mq_memory_charge(u64 bytes)
{
	u64 max = mq_memory_max();
	s64 old = atomic64_read(&used);

	do {
		if ((u64)old > max || bytes > max - (u64)old)
			return -ENOMEM;
	} while (!atomic64_try_cmpxchg(&used, &old, old + (s64)bytes));
	return 0;
}

/**
 * mq_memory_charge_wait() - the same, waiting for deleted topics' memory
 * @bytes: how many
 *
 * A topic's memory comes back a grace period after its last reference went. Who
 * deletes a topic and makes the next one must not be told meanwhile that there is
 * no memory. Where topics come and go all the time it ends after a second.
 *
 * Context: sleeps; no lock that the freeing of a topic takes.
 * Return: 0, or -ENOMEM if that many are not left, or if killed.
 */
int mq_memory_charge_wait(u64 bytes)
{
	int err = mq_memory_charge(bytes);

	if (!err)
		return 0;
	/* Pairs with mq_memory_left(): who sees none leaving sees what they gave back. */
	wait_event_killable_timeout(left, !(err = mq_memory_charge(bytes)) ||
				    !atomic_read_acquire(&leaving), LEAVING_TIMEOUT);
	return err ? mq_memory_charge(bytes) : 0;
}

/**
 * mq_memory_leaving() - memory will be given back soon, by somebody else
 */
void mq_memory_leaving(void)
{
	atomic_inc(&leaving);
}

/**
 * mq_memory_left() - it was; once for each mq_memory_leaving()
 */
void mq_memory_left(void)
{
	/* A full barrier, after mq_memory_uncharge(); pairs with mq_memory_charge_wait(). */
	atomic_dec_return(&leaving);
	wake_up_all(&left);
}

/**
 * mq_memory_uncharge() - give charged bytes back
 * @bytes: how many
 */
void mq_memory_uncharge(u64 bytes)
{
	WARN_ON_ONCE(atomic64_sub_return((s64)bytes, &used) < 0);
}

/**
 * mq_memory_used() - bytes charged now
 * Return: the bytes.
 */
u64 mq_memory_used(void)
{
	return (u64)atomic64_read(&used);
}

/**
 * mq_memory_max() - the limit, which can change at any time
 * Return: the limit in bytes.
 */
u64 mq_memory_max(void)
{
	/* Above S64_MAX the sum in @used could turn negative. */
	return min_t(u64, READ_ONCE(max_memory), S64_MAX);
}

/**
 * mq_memory_init() - settle the limit
 * Return: 0.
 */
int mq_memory_init(void)
{
	if (!max_memory)
		max_memory = totalram_pages() / DEFAULT_SHARE * PAGE_SIZE;
	return 0;
}

#ifdef CONFIG_MEMCG
/**
 * mq_memcg_get() - the memory cgroup of a path
 * @path: path below the caller's cgroup2 root; "" is the root
 *
 * Where the cgroup has no memory controller, that of the nearest ancestor that
 * has one counts, as for everything that runs in it.
 *
 * Return: the memory cgroup, with a reference for mq_memcg_put(); it stays valid
 * when the cgroup is removed (the kernel then charges its parent). NULL for the
 * root. ERR_PTR: -ENOENT, -ENOTDIR; -EOPNOTSUPP if cgroup2 does not control memory.
 */
struct mem_cgroup *mq_memcg_get(const char *path)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgroup;

	if (!*path)
		return NULL;
	if (!cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return ERR_PTR(-EOPNOTSUPP);
	cgroup = cgroup_get_from_path(path);
	if (IS_ERR(cgroup))
		return ERR_CAST(cgroup);
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	cgroup_put(cgroup);
	return mem_cgroup_from_css(css);
}

void mq_memcg_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}
#else
struct mem_cgroup *mq_memcg_get(const char *path)
{
	return *path ? ERR_PTR(-EOPNOTSUPP) : NULL;
}

void mq_memcg_put(struct mem_cgroup *memcg)
{
}
#endif
