// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of messages: checked once, in kernel memory, before the append.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <mq/mq.h>
#include <net/netlink.h>
#include "attr.h"
#include "limits.h"

struct attr_rule {
	u32 min;
	u32 max;
};

/* Types that are not here, the kernel's own among them, are refused. */
static const struct attr_rule attr_rules[MQ_ATTR_MAX + 1] = {
	[MQ_ATTR_KEY]			= { 1, MQ_MAX_KEY },
	[MQ_ATTR_HEADER]		= { NLA_HDRLEN + 1, U16_MAX },
	[MQ_ATTR_TAG]			= { 1, MQ_MAX_SMALL_ATTR },
	[MQ_ATTR_REPLY_TO]		= { 1, MQ_MAX_SMALL_ATTR },
	[MQ_ATTR_CORRELATION_ID]	= { 1, MQ_MAX_SMALL_ATTR },
	[MQ_ATTR_CONTENT_TYPE]		= { 1, MQ_MAX_SMALL_ATTR },
	[MQ_ATTR_SCHEMA_ID]		= { 4, 4 },
	[MQ_ATTR_DELIVER_AT]		= { 8, 8 },
	[MQ_ATTR_TTL]			= { 8, 8 },
	[MQ_ATTR_PRODUCER_ID]		= { 8, 8 },
	[MQ_ATTR_PRODUCER_EPOCH]	= { 4, 4 },
	[MQ_ATTR_SEQUENCE]		= { 8, 8 },
};

static const struct attr_rule header_rules[MQ_HEADER_MAX + 1] = {
	[MQ_HEADER_NAME]		= { 1, MQ_MAX_SMALL_ATTR },
	[MQ_HEADER_VALUE]		= { 0, MQ_MAX_HEADER_VALUE },
};

/*
 * The attribute at @p, of @left bytes: its header, length, padding and place in
 * @rules. Unlike nla_ok() nothing is tolerated: what is stored is for ever.
 */
static int attr_next(const u8 *p, u32 left, const struct attr_rule *rules, u32 max_type,
		     u16 nested, u16 *type, u32 *len)
{
	const struct nlattr *nla = (const struct nlattr *)p;
	u32 i, padded;

	if (left < NLA_HDRLEN || nla->nla_len < NLA_HDRLEN)
		return -EINVAL;
	padded = NLA_ALIGN(nla->nla_len);
	if (padded > left)
		return -EINVAL;
	for (i = nla->nla_len; i < padded; i++)
		if (p[i])
			return -EINVAL;
	*type = nla->nla_type;
	*len = nla->nla_len - NLA_HDRLEN;
	if (nested && *type == (nested | NLA_F_NESTED))
		*type = nested;
	if (*type > max_type)
		return -EINVAL;
	/* The type is user space's: not even speculatively beyond the rules. */
	*type = array_index_nospec(*type, max_type + 1);
	if (!rules[*type].max)
		return -EINVAL;
	if (*len < rules[*type].min || *len > rules[*type].max)
		return -EINVAL;
	return 0;
}

static int header_check(const u8 *p, u32 left)
{
	u32 seen = 0, len;
	u16 type;

	while (left) {
		if (attr_next(p, left, header_rules, MQ_HEADER_MAX, 0, &type, &len) ||
		    (seen & BIT(type)))
			return -EINVAL;
		seen |= BIT(type);
		p += NLA_HDRLEN + NLA_ALIGN(len);
		left -= NLA_HDRLEN + NLA_ALIGN(len);
	}
	return seen & BIT(MQ_HEADER_NAME) ? 0 : -EINVAL;
}

/**
 * mq_attr_check() - check the attributes of one message
 * @attrs: kernel memory, so that it stays what was checked
 * @len: bytes, a multiple of 4
 * @has_key: returned: there is a key
 * @key_hash: returned: its hash
 *
 * Return: 0 or -EINVAL.
 */
int mq_attr_check(const void *attrs, u32 len, bool *has_key, u32 *key_hash)
{
	const u8 *p = attrs;
	u32 seen = 0, n;
	u16 type;

	*has_key = false;
	*key_hash = 0;
	while (len) {
		const u8 *data = p + NLA_HDRLEN;

		if (attr_next(p, len, attr_rules, MQ_ATTR_MAX, MQ_ATTR_HEADER, &type, &n))
			return -EINVAL;
		if (type != MQ_ATTR_HEADER && (seen & BIT(type)))
			return -EINVAL;
		seen |= BIT(type);
		if (type == MQ_ATTR_KEY) {
			*has_key = true;
			*key_hash = mq_murmur2(data, n);
		} else if (type == MQ_ATTR_HEADER && header_check(data, n)) {
			return -EINVAL;
		} else if (type == MQ_ATTR_TTL && !memchr_inv(data, 0, n)) {
			return -EINVAL;
		}
		p += NLA_HDRLEN + NLA_ALIGN(n);
		len -= NLA_HDRLEN + NLA_ALIGN(n);
	}
	if ((seen & (BIT(MQ_ATTR_SEQUENCE) | BIT(MQ_ATTR_PRODUCER_EPOCH))) &&
	    !(seen & BIT(MQ_ATTR_PRODUCER_ID)))
		return -EINVAL;
	return 0;
}

/**
 * mq_murmur2() - the hash of Kafka's default partitioner
 * @key: bytes
 * @len: how many
 *
 * MurmurHash2 by Austin Appleby, 32 bit, as org.apache.kafka.common.utils.Utils.murmur2
 * has it: seed 0x9747b28c, little-endian words.
 */
u32 mq_murmur2(const u8 *key, u32 len)
{
	const u32 m = 0x5bd1e995;
	u32 h = 0x9747b28c ^ len;

	for (; len >= 4; len -= 4, key += 4) {
		__le32 word;
		u32 k;

		memcpy(&word, key, sizeof(word));
		k = le32_to_cpu(word);
		k *= m;
		k ^= k >> 24;
		k *= m;
		h *= m;
		h ^= k;
	}
	switch (len) {
	case 3:
		h ^= (u32)key[2] << 16;
		fallthrough;
	case 2:
		h ^= (u32)key[1] << 8;
		fallthrough;
	case 1:
		h ^= key[0];
		h *= m;
	}
	h ^= h >> 13;
	h *= m;
	h ^= h >> 15;
	return h;
}
