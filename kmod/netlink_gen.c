// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	uapi/mq/netlink.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink_gen.h"

#include <mq/netlink.h>

/* MQ_CMD_TOPIC_NEW - do */
const struct nla_policy mq_topic_new_nl_policy[MQ_A_TOPIC_MEMORY_CGROUP + 1] = {
	[MQ_A_TOPIC_NAME] = { .type = NLA_NUL_STRING, .len = 128, },
	[MQ_A_TOPIC_ID] = NLA_POLICY_EXACT_LEN(16),
	[MQ_A_TOPIC_PARTITIONS] = NLA_POLICY_RANGE(NLA_U32, 1, 1024),
	[MQ_A_TOPIC_RING_BYTES] = { .type = NLA_U64, },
	[MQ_A_TOPIC_RING_MESSAGES] = { .type = NLA_U64, },
	[MQ_A_TOPIC_ATTR_BYTES] = { .type = NLA_U64, },
	[MQ_A_TOPIC_MAX_MESSAGE_BYTES] = NLA_POLICY_MIN(NLA_U32, 1),
	[MQ_A_TOPIC_FRAMING] = NLA_POLICY_MAX(NLA_U32, 1),
	[MQ_A_TOPIC_OVERFLOW] = NLA_POLICY_MAX(NLA_U32, 2),
	[MQ_A_TOPIC_HOLD] = NLA_POLICY_MASK(NLA_U32, 0x1),
	[MQ_A_TOPIC_STAMP] = NLA_POLICY_MASK(NLA_U32, 0x3),
	[MQ_A_TOPIC_PERSISTENT] = NLA_POLICY_MAX(NLA_U8, 1),
	[MQ_A_TOPIC_PAUSED] = NLA_POLICY_MAX(NLA_U8, 1),
	[MQ_A_TOPIC_SYNC_TIMEOUT] = { .type = NLA_U32, },
	[MQ_A_TOPIC_MODE] = NLA_POLICY_MAX(NLA_U32, 511),
	[MQ_A_TOPIC_UID] = { .type = NLA_U32, },
	[MQ_A_TOPIC_GID] = { .type = NLA_U32, },
	[MQ_A_TOPIC_START_OFFSET] = { .type = NLA_U64, },
	[MQ_A_TOPIC_START_POSITION] = { .type = NLA_U64, },
	[MQ_A_TOPIC_LEND] = NLA_POLICY_MAX(NLA_U8, 1),
	[MQ_A_TOPIC_MEMORY_CGROUP] = { .type = NLA_NUL_STRING, .len = 1023, },
};

/* MQ_CMD_TOPIC_DEL - do */
const struct nla_policy mq_topic_del_nl_policy[MQ_A_TOPIC_ID + 1] = {
	[MQ_A_TOPIC_NAME] = { .type = NLA_NUL_STRING, .len = 128, },
	[MQ_A_TOPIC_ID] = NLA_POLICY_EXACT_LEN(16),
};

/* MQ_CMD_TOPIC_SET - do */
const struct nla_policy mq_topic_set_nl_policy[MQ_A_TOPIC_MEMORY_CGROUP + 1] = {
	[MQ_A_TOPIC_NAME] = { .type = NLA_NUL_STRING, .len = 128, },
	[MQ_A_TOPIC_ID] = NLA_POLICY_EXACT_LEN(16),
	[MQ_A_TOPIC_PARTITIONS] = NLA_POLICY_RANGE(NLA_U32, 1, 1024),
	[MQ_A_TOPIC_RING_BYTES] = { .type = NLA_U64, },
	[MQ_A_TOPIC_RING_MESSAGES] = { .type = NLA_U64, },
	[MQ_A_TOPIC_ATTR_BYTES] = { .type = NLA_U64, },
	[MQ_A_TOPIC_MAX_MESSAGE_BYTES] = NLA_POLICY_MIN(NLA_U32, 1),
	[MQ_A_TOPIC_FRAMING] = NLA_POLICY_MAX(NLA_U32, 1),
	[MQ_A_TOPIC_OVERFLOW] = NLA_POLICY_MAX(NLA_U32, 2),
	[MQ_A_TOPIC_HOLD] = NLA_POLICY_MASK(NLA_U32, 0x1),
	[MQ_A_TOPIC_STAMP] = NLA_POLICY_MASK(NLA_U32, 0x3),
	[MQ_A_TOPIC_PERSISTENT] = NLA_POLICY_MAX(NLA_U8, 1),
	[MQ_A_TOPIC_PAUSED] = NLA_POLICY_MAX(NLA_U8, 1),
	[MQ_A_TOPIC_SYNC_TIMEOUT] = { .type = NLA_U32, },
	[MQ_A_TOPIC_MODE] = NLA_POLICY_MAX(NLA_U32, 511),
	[MQ_A_TOPIC_UID] = { .type = NLA_U32, },
	[MQ_A_TOPIC_GID] = { .type = NLA_U32, },
	[MQ_A_TOPIC_START_OFFSET] = { .type = NLA_U64, },
	[MQ_A_TOPIC_START_POSITION] = { .type = NLA_U64, },
	[MQ_A_TOPIC_LEND] = NLA_POLICY_MAX(NLA_U8, 1),
	[MQ_A_TOPIC_MEMORY_CGROUP] = { .type = NLA_NUL_STRING, .len = 1023, },
};

/* MQ_CMD_TOPIC_GET - do */
const struct nla_policy mq_topic_get_nl_policy[MQ_A_TOPIC_ID + 1] = {
	[MQ_A_TOPIC_NAME] = { .type = NLA_NUL_STRING, .len = 128, },
	[MQ_A_TOPIC_ID] = NLA_POLICY_EXACT_LEN(16),
};

/* MQ_CMD_PARTITION_GET - do */
const struct nla_policy mq_partition_get_nl_policy[MQ_A_PARTITION_INDEX + 1] = {
	[MQ_A_PARTITION_TOPIC] = { .type = NLA_NUL_STRING, .len = 128, },
	[MQ_A_PARTITION_INDEX] = { .type = NLA_U32, },
};

/* MQ_CMD_MODULE_GET - do */
const struct nla_policy mq_module_get_nl_policy[MQ_A_MODULE_VERSION + 1] = {
	[MQ_A_MODULE_VERSION] = { .type = NLA_NUL_STRING, },
};

/* MQ_CMD_READER_GET - dump */
const struct nla_policy mq_reader_get_nl_policy[MQ_A_READER_TOPIC + 1] = {
	[MQ_A_READER_TOPIC] = { .type = NLA_NUL_STRING, .len = 128, },
};

/* MQ_CMD_WAITER_GET - dump */
const struct nla_policy mq_waiter_get_nl_policy[MQ_A_WAITER_TOPIC + 1] = {
	[MQ_A_WAITER_TOPIC] = { .type = NLA_NUL_STRING, .len = 128, },
};

/* Ops table for mq */
const struct genl_ops mq_nl_ops[8] = {
	{
		.cmd		= MQ_CMD_TOPIC_NEW,
		.doit		= mq_nl_topic_new_doit,
		.policy		= mq_topic_new_nl_policy,
		.maxattr	= MQ_A_TOPIC_MEMORY_CGROUP,
	},
	{
		.cmd		= MQ_CMD_TOPIC_DEL,
		.doit		= mq_nl_topic_del_doit,
		.policy		= mq_topic_del_nl_policy,
		.maxattr	= MQ_A_TOPIC_ID,
	},
	{
		.cmd		= MQ_CMD_TOPIC_SET,
		.doit		= mq_nl_topic_set_doit,
		.policy		= mq_topic_set_nl_policy,
		.maxattr	= MQ_A_TOPIC_MEMORY_CGROUP,
	},
	{
		.cmd		= MQ_CMD_TOPIC_GET,
		.doit		= mq_nl_topic_get_doit,
		.dumpit		= mq_nl_topic_get_dumpit,
		.policy		= mq_topic_get_nl_policy,
		.maxattr	= MQ_A_TOPIC_ID,
	},
	{
		.cmd		= MQ_CMD_PARTITION_GET,
		.doit		= mq_nl_partition_get_doit,
		.dumpit		= mq_nl_partition_get_dumpit,
		.policy		= mq_partition_get_nl_policy,
		.maxattr	= MQ_A_PARTITION_INDEX,
	},
	{
		.cmd		= MQ_CMD_MODULE_GET,
		.doit		= mq_nl_module_get_doit,
		.policy		= mq_module_get_nl_policy,
		.maxattr	= MQ_A_MODULE_VERSION,
	},
	{
		.cmd		= MQ_CMD_READER_GET,
		.dumpit		= mq_nl_reader_get_dumpit,
		.policy		= mq_reader_get_nl_policy,
		.maxattr	= MQ_A_READER_TOPIC,
	},
	{
		.cmd		= MQ_CMD_WAITER_GET,
		.dumpit		= mq_nl_waiter_get_dumpit,
		.policy		= mq_waiter_get_nl_policy,
		.maxattr	= MQ_A_WAITER_TOPIC,
	},
};

const struct genl_multicast_group mq_nl_mcgrps[] = {
	[MQ_NLGRP_EVENTS] = { "events", },
};
