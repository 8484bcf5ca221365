// SPDX-License-Identifier: GPL-2.0
/*
 * Test hooks: with the parameter test_hooks on, "POINT TOPIC PARTITION COUNT [TIMES]"
 * written to the parameter hook makes the next reader of that partition that
 * passes POINT lose the COUNT oldest messages (0: all), as if writers had
 * lapped it just there; so many times. A static key keeps all this out of the
 * way otherwise.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "evict.h"
#include "hook.h"
#include "partition.h"
#include "topic.h"

DEFINE_STATIC_KEY_FALSE(mq_hooks);

static const char * const hook_names[MQ_HOOKS] = {
	[MQ_HOOK_READ_START] = "read-start",
	[MQ_HOOK_READ_COPIED] = "read-copied",
	[MQ_HOOK_RECORD_START] = "record-start",
	[MQ_HOOK_RECORD_COPIED] = "record-copied",
	[MQ_HOOK_SPLICE_START] = "splice-start",
	[MQ_HOOK_SPLICE_PAGE] = "splice-page",
	[MQ_HOOK_SPLICE_FILLED] = "splice-filled",
};

/* Protects what follows. Inside a pipe's mutex, outside of the log's lock. */
static DEFINE_MUTEX(hook_lock);
static int hook_armed = -1;
static char hook_topic[MQ_TOPIC_NAME_MAX + 1];
static unsigned int hook_partition;
static u64 hook_count;
static unsigned int hook_times;
static unsigned long hook_hits;

/**
 * mq_hook_run() - a reader passes a point
 * @hook: the point
 * @p: the partition it reads
 */
void mq_hook_run(enum mq_hook hook, struct mq_partition *p)
{
	mutex_lock(&hook_lock);
	if (hook_armed == hook && hook_partition == p->number &&
	    !strcmp(hook_topic, p->topic->name)) {
		if (!--hook_times)
			hook_armed = -1;
		hook_hits++;
		mq_evict(p, hook_count);
	}
	mutex_unlock(&hook_lock);
}

static int hook_set(const char *val, const struct kernel_param *kp)
{
	char point[16], topic[MQ_TOPIC_NAME_MAX + 1];
	unsigned int partition, times = 1;
	u64 count;
	int n;

	BUILD_BUG_ON(MQ_TOPIC_NAME_MAX != 128);
	if (!static_key_enabled(&mq_hooks))
		return -EPERM;
	if (sscanf(val, "%15s %128s %u %llu %u", point, topic, &partition, &count, &times) < 4 ||
	    !times)
		return -EINVAL;
	n = match_string(hook_names, MQ_HOOKS, point);
	if (n < 0)
		return n;
	mutex_lock(&hook_lock);
	strscpy(hook_topic, topic, sizeof(hook_topic));
	hook_partition = partition;
	hook_count = count;
	hook_times = times;
	hook_armed = n;
	mutex_unlock(&hook_lock);
	return 0;
}

static int hook_get(char *buf, const struct kernel_param *kp)
{
	int n;

	mutex_lock(&hook_lock);
	if (hook_armed >= 0)
		n = scnprintf(buf, PAGE_SIZE, "armed %s %s %u %llu\n", hook_names[hook_armed],
			      hook_topic, hook_partition, hook_count);
	else
		n = scnprintf(buf, PAGE_SIZE, "idle %lu\n", hook_hits);
	mutex_unlock(&hook_lock);
	return n;
}

static const struct kernel_param_ops hook_ops = {
	.set = hook_set,
	.get = hook_get,
};

module_param_cb(hook, &hook_ops, NULL, 0600);
MODULE_PARM_DESC(hook, "Test hook to arm: POINT TOPIC PARTITION COUNT [TIMES]");

static int test_hooks_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(val, &on);

	if (err)
		return err;
	mutex_lock(&hook_lock);
	hook_armed = -1;
	hook_hits = 0;
	mutex_unlock(&hook_lock);
	if (on)
		static_branch_enable(&mq_hooks);
	else
		static_branch_disable(&mq_hooks);
	return 0;
}

static int test_hooks_get(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%c\n", static_key_enabled(&mq_hooks) ? 'Y' : 'N');
}

static const struct kernel_param_ops test_hooks_ops = {
	.set = test_hooks_set,
	.get = test_hooks_get,
};

module_param_cb(test_hooks, &test_hooks_ops, NULL, 0600);
MODULE_PARM_DESC(test_hooks, "Allow test hooks (default off)");
