// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink family against bad requests: every attribute missing, twice,
 * too short, too long, nested, out of range, unknown. Each is refused with the
 * errno, text and place that the extended ack promises, and changes nothing.
 */
#define _GNU_SOURCE
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "mqtest.h"

struct attr {
	unsigned short type;
	unsigned short size;	/* of its value; 0: a string */
	uint64_t good;
};

/* All that topic-new and topic-set take, with a value that they accept. */
static const struct attr config[] = {
	{ MQ_A_TOPIC_NAME, 0, 0 },
	{ MQ_A_TOPIC_ID, 16, 1 },
	{ MQ_A_TOPIC_PARTITIONS, 4, 1 },
	{ MQ_A_TOPIC_RING_BYTES, 8, 65536 },
	{ MQ_A_TOPIC_RING_MESSAGES, 8, 1024 },
	{ MQ_A_TOPIC_ATTR_BYTES, 8, 4096 },
	{ MQ_A_TOPIC_MAX_MESSAGE_BYTES, 4, 100 },
	{ MQ_A_TOPIC_FRAMING, 4, MQ_FRAMING_LINE },
	{ MQ_A_TOPIC_OVERFLOW, 4, MQ_OVERFLOW_REJECT },
	{ MQ_A_TOPIC_HOLD, 4, MQ_HOLD_READERS },
	{ MQ_A_TOPIC_STAMP, 4, MQ_STAMP_UID },
	{ MQ_A_TOPIC_PERSISTENT, 1, 0 },
	{ MQ_A_TOPIC_PAUSED, 1, 1 },
	{ MQ_A_TOPIC_SYNC_TIMEOUT, 4, 1000 },
	{ MQ_A_TOPIC_MODE, 4, 0644 },
	{ MQ_A_TOPIC_UID, 4, 1 },
	{ MQ_A_TOPIC_GID, 4, 1 },
	{ MQ_A_TOPIC_START_OFFSET, 8, 7 },
	{ MQ_A_TOPIC_START_POSITION, 8, 7 },
	{ MQ_A_TOPIC_LEND, 1, 0 },
};

#define FOR_EACH(a, table)							\
	for (const struct attr *a = table; a < table + sizeof(table) / sizeof(*table); a++)

static void put(struct nl_msg *msg, int type, const void *data, int len)
{
	need(!nla_put(msg, type, len, data));
}

static void put_u32(struct nl_msg *msg, int type, uint32_t value)
{
	put(msg, type, &value, sizeof(value));
}

static void put_u64(struct nl_msg *msg, int type, uint64_t value)
{
	put(msg, type, &value, sizeof(value));
}

static struct nl_msg *named(uint8_t cmd, const char *name)
{
	struct nl_msg *msg = nl_request(cmd, 0);

	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, name));
	return msg;
}

/* The request fails with @error; the ack names @attr (0: any) and says @text. */
static void refused(const char *what, struct nl_msg *msg, int error, int attr, const char *text)
{
	int ret = nl_call(msg, NULL, NULL);

	if (ret != -error)
		fail("%s: %s, expected %s (\"%s\")", what, ret ? mqt_errno(-ret) : "done",
		     mqt_errno(error), nl_ack_text);
	if (attr && nl_ack_attr != attr)
		fail("%s: the ack points at attribute %d, expected %d", what, nl_ack_attr, attr);
	if (!strcasestr(nl_ack_text, text))
		fail("%s: the ack says \"%s\", expected \"%s\"", what, nl_ack_text, text);
}

static void no_topic(const char *name)
{
	struct topic_info info;

	expect_eq(topic_get(name, &info), -ENOENT);
}

/* A value with which the request would be right, but for its length. */
static void value_of(const struct attr *a, const char *name, char buf[64], int *len)
{
	memset(buf, 0, 64);
	if (a->size) {
		memcpy(buf, &a->good, a->size < 8 ? a->size : 8);
		*len = a->size;
	} else {
		snprintf(buf, 64, "%s", name);
		*len = strlen(name) + 1;
	}
}

TEST(good, "a request with every attribute is taken")
{
	const char *name = topic_name();
	struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_NEW, 0);
	struct topic_info info;
	char buf[64];
	int len;

	FOR_EACH(a, config) {
		value_of(a, name, buf, &len);
		put(msg, a->type, buf, len);
	}
	expect_eq(nl_call(msg, NULL, NULL), 0);
	need_eq(topic_get(name, &info), 0);
	expect_eq(info.o.ring_bytes, 65536);
	expect_eq(info.o.ring_messages, 1024);
	expect_eq(info.o.attr_bytes, 4096);
	expect_eq(info.o.max_message_bytes, 100);
	expect_eq(info.o.framing, MQ_FRAMING_LINE);
	expect_eq(info.o.overflow, MQ_OVERFLOW_REJECT);
	expect_eq(info.o.hold, MQ_HOLD_READERS);
	expect_eq(info.o.stamp, MQ_STAMP_UID);
	expect_eq(info.o.paused, 1);
	expect_eq(info.o.sync_timeout, 1000);
	expect_eq(info.o.mode, 0644);
	expect_eq(info.o.uid, 1);
	expect_eq(info.o.gid, 1);
	expect_eq(info.o.start_offset, 7);
	expect_eq(info.o.start_position, 7);
	expect_eq(info.o.lend, 0);
	expect_eq(info.id[0], 1);
	expect_eq(topic_del(name), 0);
}

TEST(defaults, "what is not given has the documented default")
{
	uint64_t before = wall_ns();
	const char *t = topic_new(.ring_bytes = 0);
	struct topic_info a, b;
	static const uint8_t zero[MQ_TOPIC_ID_LEN];

	need_eq(topic_get(t, &a), 0);
	expect_eq(a.o.partitions, 1);
	expect_eq(a.o.ring_bytes, 4 << 20);
	expect_eq(a.o.ring_messages, 32768);
	expect_eq(a.o.attr_bytes, 1 << 20);
	expect_eq(a.o.max_message_bytes, 1 << 20);
	expect_eq(a.o.framing, MQ_FRAMING_MESSAGE);
	expect_eq(a.o.overflow, MQ_OVERFLOW_DROP_OLDEST);
	expect_eq(a.o.hold, 0);
	expect_eq(a.o.stamp, 0);
	expect_eq(a.o.persistent, 0);
	expect_eq(a.o.paused, 0);
	expect_eq(a.o.sync_timeout, 0);
	expect_eq(a.o.mode, 0600);
	expect_eq(a.o.uid, 0);
	expect_eq(a.o.gid, 0);
	expect_eq(a.o.start_offset, 0);
	expect_eq(a.o.start_position, 0);
	expect_eq(a.o.lend, 1);
	expect(!(a.o.set & MQT(MEMORY_CGROUP)));
	expect(a.created >= before && a.created <= wall_ns());
	expect(memcmp(a.id, zero, sizeof(zero)));

	t = topic_new(.ring_bytes = 65536, .persistent = 1);
	need_eq(topic_get(t, &b), 0);
	expect_eq(b.o.attr_bytes, 16384);
	expect_eq(b.o.max_message_bytes, 16384);
	expect_eq(b.o.overflow, MQ_OVERFLOW_BLOCK);
	expect(memcmp(a.id, b.id, sizeof(a.id)));
	expect(a.minor != b.minor);

	t = topic_new(.ring_bytes = 4096);
	need_eq(topic_get(t, &b), 0);
	expect_eq(b.o.attr_bytes, 4096);
	expect_eq(b.o.max_message_bytes, 1024);
}

TEST(missing, "A.10: a request without what it needs is refused")
{
	struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_NEW, 0);
	const char *t = topic_new(.ring_bytes = 4096);

	put_u32(msg, MQ_A_TOPIC_PARTITIONS, 1);
	refused("new without name", msg, EINVAL, 0, "name is missing");
	refused("del of nothing", nl_request(MQ_CMD_TOPIC_DEL, 0), EINVAL, 0,
		"neither name nor id");
	refused("set of nothing", nl_request(MQ_CMD_TOPIC_SET, 0), EINVAL, 0,
		"neither name nor id");
	refused("get of nothing", nl_request(MQ_CMD_TOPIC_GET, 0), EINVAL, 0,
		"neither name nor id");
	msg = nl_request(MQ_CMD_PARTITION_GET, 0);
	put_u32(msg, MQ_A_PARTITION_INDEX, 0);
	refused("partition-get without topic", msg, EINVAL, 0, "topic is missing");
	msg = nl_request(MQ_CMD_PARTITION_GET, 0);
	need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, t));
	refused("partition-get without index", msg, EINVAL, 0, "index is missing");
}

/* Each attribute, changed by @spoil, in topic-new and in topic-set. */
static void spoil_each(const char *what, int delta, int flag, bool twice, const char *text)
{
	static const uint8_t cmds[] = { MQ_CMD_TOPIC_NEW, MQ_CMD_TOPIC_SET };

	for (unsigned int c = 0; c < 2; c++) {
		const char *name = topic_name();

		FOR_EACH(a, config) {
			struct nl_msg *msg = nl_request(cmds[c], 0);
			char buf[64], label[80];
			int len;

			if (a->type != MQ_A_TOPIC_NAME)
				need(!nla_put_string(msg, MQ_A_TOPIC_NAME, name));
			value_of(a, name, buf, &len);
			put(msg, a->type | flag, buf, len + delta);
			if (twice)
				put(msg, a->type, buf, len);
			snprintf(label, sizeof(label), "attribute %d %s, command %d", a->type, what,
				 cmds[c]);
			/* The kernel tells a wrong length of bytes from one of a number. */
			refused(label, msg, a->type == MQ_A_TOPIC_ID && delta ? ERANGE : EINVAL,
				a->type, text);
			no_topic(name);
		}
	}
}

TEST(twice, "A.10: an attribute given twice is refused")
{
	const char *t = topic_new(.ring_bytes = 4096);
	struct nl_msg *msg = named(MQ_CMD_TOPIC_DEL, t);
	struct topic_info info;

	spoil_each("twice", 0, 0, true, "given twice");

	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, "another"));
	refused("del", msg, EINVAL, MQ_A_TOPIC_NAME, "given twice");
	expect_eq(topic_get(t, &info), 0);
	msg = named(MQ_CMD_TOPIC_GET, t);
	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, t));
	refused("get", msg, EINVAL, MQ_A_TOPIC_NAME, "given twice");
	msg = nl_request(MQ_CMD_PARTITION_GET, 0);
	need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, t));
	put_u32(msg, MQ_A_PARTITION_INDEX, 0);
	put_u32(msg, MQ_A_PARTITION_INDEX, 0);
	refused("partition-get", msg, EINVAL, MQ_A_PARTITION_INDEX, "given twice");
}

TEST(truncated, "A.10: an attribute that is too short is refused")
{
	spoil_each("too short", -1, 0, false, "");
}

TEST(long_, "A.10: an attribute that is too long is refused")
{
	spoil_each("too long", 1, 0, false, "");
	spoil_each("much too long", 40, 0, false, "");
}

TEST(nested, "A.10: a nested attribute where none is expected is refused")
{
	spoil_each("nested", 0, NLA_F_NESTED, false, "NLA_F_NESTED");
}

TEST(unknown, "A.10: an unknown attribute is refused, by every command")
{
	static const struct { uint8_t cmd; unsigned int max; } cmds[] = {
		{ MQ_CMD_TOPIC_NEW, MQ_A_TOPIC_MAX },
		{ MQ_CMD_TOPIC_SET, MQ_A_TOPIC_MAX },
		{ MQ_CMD_TOPIC_DEL, MQ_A_TOPIC_ID },
		{ MQ_CMD_TOPIC_GET, MQ_A_TOPIC_ID },
		{ MQ_CMD_PARTITION_GET, MQ_A_PARTITION_INDEX },
		{ MQ_CMD_MODULE_GET, MQ_A_MODULE_VERSION },
	};

	for (unsigned int c = 0; c < sizeof(cmds) / sizeof(*cmds); c++) {
		unsigned int types[] = { 0, cmds[c].max + 1, cmds[c].max + 2, 200, 0x3fff };

		for (unsigned int i = 0; i < 5; i++) {
			struct nl_msg *msg = nl_request(cmds[c].cmd, 0);
			char label[64];

			/* Of a text, and last, so that nothing else is wrong. */
			if (cmds[c].cmd != MQ_CMD_MODULE_GET)
				need(!nla_put_string(msg, MQ_A_TOPIC_NAME, "unknown"));
			put_u32(msg, types[i], 1);
			snprintf(label, sizeof(label), "command %d, attribute %u", cmds[c].cmd,
				 types[i]);
			refused(label, msg, EINVAL, 0, "Unknown attribute type");
		}
	}
	no_topic("unknown");
}

TEST(mangled, "A.10: a request that lies about lengths, or has bytes left over, is refused")
{
	struct nl_msg *msg;
	struct nlattr lie = { .nla_len = 200, .nla_type = MQ_A_TOPIC_PARTITIONS };
	int deep;

	msg = named(MQ_CMD_TOPIC_NEW, "mangled");
	need(!nlmsg_append(msg, &lie, sizeof(lie), 4));
	refused("an attribute beyond the end", msg, EINVAL, 0, "leftover");

	msg = named(MQ_CMD_TOPIC_NEW, "mangled");
	lie.nla_len = 0xffff;
	need(!nlmsg_append(msg, &lie, sizeof(lie), 4));
	refused("an attribute of 64 KiB", msg, EINVAL, 0, "leftover");

	msg = named(MQ_CMD_TOPIC_NEW, "mangled");
	lie.nla_len = 3;
	need(!nlmsg_append(msg, &lie, sizeof(lie), 4));
	refused("an attribute shorter than its header", msg, EINVAL, 0, "leftover");

	msg = named(MQ_CMD_TOPIC_NEW, "mangled");
	need(!nlmsg_append(msg, "\0\0", 2, 0));
	refused("two bytes left over", msg, EINVAL, 0, "");

	/* Nested 100 deep. */
	msg = named(MQ_CMD_TOPIC_NEW, "mangled");
	for (deep = 100; deep; deep--) {
		lie.nla_len = deep * NLA_HDRLEN;
		lie.nla_type = (MQ_A_TOPIC_MAX + 1) | NLA_F_NESTED;
		need(!nlmsg_append(msg, &lie, sizeof(lie), 4));
	}
	refused("nested 100 deep", msg, EINVAL, 0, "Unknown attribute type");
	no_topic("mangled");
}

TEST(header, "A.10: bad headers are refused")
{
	struct nl_msg *msg;

	msg = named(MQ_CMD_TOPIC_NEW, "header");
	((struct genlmsghdr *)nlmsg_data(nlmsg_hdr(msg)))->reserved = 1;
	refused("reserved field", msg, EINVAL, 0, "reserved");

	msg = named(MQ_CMD_TOPIC_NEW, "header");
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_CREATE;
	refused("unknown flag", msg, EINVAL, 0, "reserved bits");
	no_topic("header");

	refused("command 0", nl_request(0, 0), EOPNOTSUPP, 0, "");
	refused("command of an event", nl_request(MQ_CMD_TOPIC_CREATED_NTF, 0), EOPNOTSUPP, 0, "");
	refused("command 255", nl_request(255, 0), EOPNOTSUPP, 0, "");
	refused("dump of a change", nl_request(MQ_CMD_TOPIC_NEW, NLM_F_DUMP), EOPNOTSUPP, 0, "");
	refused("dump of the module", nl_request(MQ_CMD_MODULE_GET, NLM_F_DUMP), EOPNOTSUPP, 0, "");
}

TEST(names, "A.9: names: the rule's both sides")
{
	static const struct { const char *name; int len; } bad[] = {
		{ "", 1 }, { ".", 2 }, { "..", 3 }, { "a/b", 4 }, { "/", 2 }, { "a@1", 4 },
		{ "a:b", 4 }, { "a+b", 4 }, { "a b", 4 }, { "a\n", 3 }, { "\xc3\xa9", 3 },
		{ "\xff", 2 }, { "\xe9", 2 }, { "%s%n", 5 }, { "a\\", 3 }, { "a\0b", 4 },
		{ "ab\0", 4 }, { "a\0", 3 }, { "*", 2 }, { "a=", 3 }, { "\x01", 2 }, { "\x7f", 2 },
	};
	static const char *good[] = { "...", ".a", "..a", "-", "_", "A-Z_0.9", "-rf", "0" };
	static const uint8_t cmds[] = { MQ_CMD_TOPIC_NEW, MQ_CMD_TOPIC_SET, MQ_CMD_TOPIC_DEL,
					MQ_CMD_TOPIC_GET };
	struct nl_msg *msg;
	char longest[300], label[64];
	struct topic_info info;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		for (unsigned int c = 0; c < 4; c++) {
			msg = nl_request(cmds[c], 0);
			put(msg, MQ_A_TOPIC_NAME, bad[i].name, bad[i].len);
			snprintf(label, sizeof(label), "bad name %u, command %d", i, cmds[c]);
			refused(label, msg, EINVAL, MQ_A_TOPIC_NAME, "name");
		}

	msg = nl_request(MQ_CMD_TOPIC_NEW, 0);
	put(msg, MQ_A_TOPIC_NAME, "abc", 3);
	refused("name without NUL", msg, EINVAL, MQ_A_TOPIC_NAME, "");
	msg = nl_request(MQ_CMD_TOPIC_NEW, 0);
	put(msg, MQ_A_TOPIC_NAME, "", 0);
	refused("name of no byte", msg, EINVAL, MQ_A_TOPIC_NAME, "");

	memset(longest, 'x', sizeof(longest));
	longest[128] = 0;
	expect_eq(topic_add(&(struct topic_opts) { .name = longest, .ring_bytes = 4096 }), 0);
	expect_eq(topic_get(longest, &info), 0);
	expect_eq(strlen(info.name), 128);
	for (unsigned int len = 129; len < 260; len += 127) {
		memset(longest, 'x', sizeof(longest));
		longest[len] = 0;
		refused("name too long", named(MQ_CMD_TOPIC_NEW, longest), EINVAL,
			MQ_A_TOPIC_NAME, "");
	}
	for (unsigned int i = 0; i < sizeof(good) / sizeof(*good); i++) {
		if (!expect_eq(topic_add(&(struct topic_opts) { .name = good[i],
								.ring_bytes = 4096 }), 0))
			note("name %s: %s", good[i], nl_ack_text);
		expect_eq(topic_get(good[i], &info), 0);
	}
	refused("existing", named(MQ_CMD_TOPIC_NEW, "-rf"), EEXIST, MQ_A_TOPIC_NAME, "exists");
}

/* Both sides of a limit at creation: @good is taken, @bad refused. */
static void limit_u32(int attr, uint32_t good, uint32_t bad, int error, const char *text)
{
	const char *name = topic_name();
	struct nl_msg *msg = named(MQ_CMD_TOPIC_NEW, name);
	char label[64];

	put_u64(msg, MQ_A_TOPIC_RING_BYTES, 4096);
	put_u32(msg, attr, bad);
	snprintf(label, sizeof(label), "attribute %d = %u", attr, bad);
	refused(label, msg, error, attr, text);
	no_topic(name);

	msg = named(MQ_CMD_TOPIC_NEW, name);
	put_u64(msg, MQ_A_TOPIC_RING_BYTES, 4096);
	put_u32(msg, attr, good);
	if (!expect_eq(nl_call(msg, NULL, NULL), 0))
		note("attribute %d = %u: %s", attr, good, nl_ack_text);
	expect_eq(topic_del(name), 0);
}

TEST(limits, "A.10: numbers: each limit's both sides")
{
	limit_u32(MQ_A_TOPIC_PARTITIONS, 1, 0, ERANGE, "out of range");
	limit_u32(MQ_A_TOPIC_PARTITIONS, 1024, 1025, ERANGE, "out of range");
	limit_u32(MQ_A_TOPIC_MAX_MESSAGE_BYTES, 1, 0, ERANGE, "out of range");
	limit_u32(MQ_A_TOPIC_MAX_MESSAGE_BYTES, 1024, 1025, EINVAL, "a quarter of ring-bytes");
	limit_u32(MQ_A_TOPIC_MAX_MESSAGE_BYTES, 1024, 0xffffffff, EINVAL, "a quarter");
	limit_u32(MQ_A_TOPIC_FRAMING, 1, 2, ERANGE, "out of range");
	limit_u32(MQ_A_TOPIC_OVERFLOW, 2, 3, ERANGE, "out of range");
	limit_u32(MQ_A_TOPIC_HOLD, 1, 2, EINVAL, "reserved bit");
	limit_u32(MQ_A_TOPIC_STAMP, 3, 4, EINVAL, "reserved bit");
	limit_u32(MQ_A_TOPIC_MODE, 0777, 01000, ERANGE, "out of range");
	limit_u32(MQ_A_TOPIC_UID, 0xfffffffe, 0xffffffff, EINVAL, "uid");
	limit_u32(MQ_A_TOPIC_GID, 0xfffffffe, 0xffffffff, EINVAL, "gid");
}

TEST(flags, "A.10: persistent and paused are 0 or 1")
{
	static const int attrs[] = { MQ_A_TOPIC_PERSISTENT, MQ_A_TOPIC_PAUSED };

	for (int i = 0; i < 2; i++)
		for (int value = 2; value < 256; value += 253) {
			struct nl_msg *msg = named(MQ_CMD_TOPIC_NEW, "flags");
			uint8_t v = value;

			put(msg, attrs[i], &v, 1);
			refused("a flag over 1", msg, ERANGE, attrs[i], "out of range");
		}
	no_topic("flags");
}

TEST(ids, "ids: found, unique, not zero, and matched with the name")
{
	static const uint8_t id[MQ_TOPIC_ID_LEN] = { 9, 9, 9 }, zero[MQ_TOPIC_ID_LEN];
	const char *a = topic_new(.ring_bytes = 4096, .id = id);
	const char *b = topic_new(.ring_bytes = 4096);
	const char *c = topic_name();
	struct topic_info info;
	struct nl_msg *msg;

	need_eq(topic_get(a, &info), 0);
	expect_mem(info.id, 16, id, 16);

	msg = named(MQ_CMD_TOPIC_NEW, c);
	put(msg, MQ_A_TOPIC_ID, zero, 16);
	refused("id of zeros", msg, EINVAL, MQ_A_TOPIC_ID, "all zero");
	msg = named(MQ_CMD_TOPIC_NEW, c);
	put(msg, MQ_A_TOPIC_ID, id, 16);
	refused("id in use", msg, EEXIST, MQ_A_TOPIC_ID, "exists");
	no_topic(c);

	msg = named(MQ_CMD_TOPIC_DEL, b);
	put(msg, MQ_A_TOPIC_ID, id, 16);
	refused("name and another's id", msg, ENOENT, MQ_A_TOPIC_ID, "another id");
	expect_eq(topic_get(b, &info), 0);
	msg = nl_request(MQ_CMD_TOPIC_GET, 0);
	put(msg, MQ_A_TOPIC_ID, zero, 16);
	refused("an id that nobody has", msg, ENOENT, MQ_A_TOPIC_ID, "no topic has this id");
	refused("a name that nobody has", named(MQ_CMD_TOPIC_DEL, c), ENOENT, MQ_A_TOPIC_NAME,
		"no topic has this name");

	msg = nl_request(MQ_CMD_TOPIC_SET, 0);
	put(msg, MQ_A_TOPIC_ID, id, 16);
	put_u32(msg, MQ_A_TOPIC_MODE, 0640);
	expect_eq(nl_call(msg, NULL, NULL), 0);
	expect_eq(topic_get(a, &info), 0);
	expect_eq(info.o.mode, 0640);

	msg = named(MQ_CMD_TOPIC_DEL, a);
	put(msg, MQ_A_TOPIC_ID, id, 16);
	expect_eq(nl_call(msg, NULL, NULL), 0);
	/* The id is free again with its topic. */
	msg = named(MQ_CMD_TOPIC_NEW, a);
	put(msg, MQ_A_TOPIC_ID, id, 16);
	expect_eq(nl_call(msg, NULL, NULL), 0);
	msg = nl_request(MQ_CMD_TOPIC_DEL, 0);
	put(msg, MQ_A_TOPIC_ID, id, 16);
	expect_eq(nl_call(msg, NULL, NULL), 0);
	no_topic(a);
}

TEST(fixed, "what is fixed cannot be changed, and nothing else with it")
{
	static const struct attr fixed[] = {
		{ MQ_A_TOPIC_PARTITIONS, 4, 1 },
		{ MQ_A_TOPIC_RING_BYTES, 8, 131072 },
		{ MQ_A_TOPIC_RING_MESSAGES, 8, 128 },
		{ MQ_A_TOPIC_ATTR_BYTES, 8, 8192 },
		{ MQ_A_TOPIC_PERSISTENT, 1, 1 },
		{ MQ_A_TOPIC_START_OFFSET, 8, 1 },
		{ MQ_A_TOPIC_START_POSITION, 8, 1 },
	};
	const char *t = topic_new(.ring_bytes = 65536, .partitions = 2);
	struct topic_info was, is;
	struct nl_msg *msg;

	need_eq(topic_get(t, &was), 0);
	FOR_EACH(a, fixed) {
		msg = named(MQ_CMD_TOPIC_SET, t);
		put_u32(msg, MQ_A_TOPIC_MODE, 0644);
		put_u32(msg, MQ_A_TOPIC_OVERFLOW, MQ_OVERFLOW_REJECT);
		put(msg, a->type, &a->good, a->size);
		refused("a fixed attribute", msg, EBUSY, a->type, "");
	}
	/* Wrong only after partitions were made. */
	msg = named(MQ_CMD_TOPIC_SET, t);
	put_u32(msg, MQ_A_TOPIC_PARTITIONS, 8);
	put_u32(msg, MQ_A_TOPIC_MAX_MESSAGE_BYTES, 65536);
	refused("over a quarter", msg, EINVAL, MQ_A_TOPIC_MAX_MESSAGE_BYTES, "a quarter");
	msg = named(MQ_CMD_TOPIC_SET, t);
	put_u32(msg, MQ_A_TOPIC_PARTITIONS, 8);
	put_u32(msg, MQ_A_TOPIC_UID, 0xffffffff);
	refused("no user", msg, EINVAL, MQ_A_TOPIC_UID, "uid");

	need_eq(topic_get(t, &is), 0);
	expect_eq(is.o.mode, was.o.mode);
	expect_eq(is.o.overflow, was.o.overflow);
	expect_eq(is.o.partitions, 2);
	expect_eq(is.o.max_message_bytes, was.o.max_message_bytes);

	/* To be asked for what it is already is no change. */
	expect_eq(topic_change(&(struct topic_opts) {
		.name = t, .partitions = 2, .ring_bytes = 65536, .ring_messages = 32768,
		.attr_bytes = 16384, .set = MQT(START_OFFSET) | MQT(PERSISTENT) }), 0);
}

TEST(changes, "what can be changed is, and shows at once")
{
	const char *t = topic_new(.ring_bytes = 65536);
	struct topic_info info;
	struct stat st;

	need_eq(topic_change(&(struct topic_opts) {
		.name = t, .partitions = 5, .max_message_bytes = 77, .framing = MQ_FRAMING_LINE,
		.overflow = MQ_OVERFLOW_REJECT, .hold = MQ_HOLD_READERS, .stamp = MQ_STAMP_CGROUP,
		.paused = 1, .sync_timeout = 5, .mode = 0751, .uid = 12, .gid = 34,
		.set = MQT(LEND) }), 0);
	need_eq(topic_get(t, &info), 0);
	expect_eq(info.o.partitions, 5);
	expect_eq(info.o.max_message_bytes, 77);
	expect_eq(info.o.framing, MQ_FRAMING_LINE);
	expect_eq(info.o.overflow, MQ_OVERFLOW_REJECT);
	expect_eq(info.o.hold, MQ_HOLD_READERS);
	expect_eq(info.o.stamp, MQ_STAMP_CGROUP);
	expect_eq(info.o.paused, 1);
	expect_eq(info.o.sync_timeout, 5);
	expect_eq(info.o.lend, 0);
	need_ret(stat(topic_path(t, ""), &st), 0);
	expect_eq(st.st_mode, S_IFCHR | 0751);
	expect_eq(st.st_uid, 12);
	expect_eq(st.st_gid, 34);
	expect_eq(partition_dump(t, NULL, NULL), 5);
	/* With the inode in memory, too. */
	expect(topic_set(t, .mode = 0640, .set = MQT(UID)));
	need_ret(stat(topic_path(t, ""), &st), 0);
	expect_eq(st.st_mode, S_IFCHR | 0640);
	expect_eq(st.st_uid, 0);
	/* And from the other side. */
	need_ret(chmod(topic_path(t, ""), 0604), 0);
	need_ret(chown(topic_path(t, ""), 7, 8), 0);
	need_eq(topic_get(t, &info), 0);
	expect_eq(info.o.mode, 0604);
	expect_eq(info.o.uid, 7);
	expect_eq(info.o.gid, 8);
}

TEST(framing, "framing is fixed while a file is open")
{
	const char *t = topic_new(.ring_bytes = 65536);
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };

	for (int i = 0; i < 3; i++) {
		int fd = topic_open(t, "", flags[i]);
		struct nl_msg *msg = named(MQ_CMD_TOPIC_SET, t);

		put_u32(msg, MQ_A_TOPIC_FRAMING, MQ_FRAMING_LINE);
		refused("framing of an open topic", msg, EBUSY, MQ_A_TOPIC_FRAMING, "open");
		/* What it is already is no change. */
		expect(topic_set(t, .set = MQT(FRAMING)));
		close(fd);
		expect(topic_set(t, .framing = MQ_FRAMING_LINE));
		expect(topic_set(t, .set = MQT(FRAMING)));
	}
}

TEST(partitions, "partition-get: index, dump, bad requests")
{
	const char *t = topic_new(.ring_bytes = 4096, .partitions = 3);
	struct partition_info info;
	struct nl_msg *msg;

	for (unsigned int i = 0; i < 3; i++) {
		need_eq(partition_get(t, i, &info), 0);
		expect_eq(info.index, i);
		expect_eq(strcmp(info.topic, t), 0);
	}
	expect_eq(partition_dump(t, NULL, NULL), 3);

	for (unsigned int i = 3; i; i = i == 3 ? 0xffffffff : 0) {
		msg = nl_request(MQ_CMD_PARTITION_GET, 0);
		need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, t));
		put_u32(msg, MQ_A_PARTITION_INDEX, i);
		refused("partition that is not there", msg, ENOENT, MQ_A_PARTITION_INDEX,
			"no partition");
	}
	/* What a dump's start says gets no text into the ack on 6.1: errno only. */
	msg = nl_request(MQ_CMD_PARTITION_GET, NLM_F_DUMP);
	need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, "nobody"));
	refused("dump of no topic", msg, ENOENT, 0, "");
	msg = nl_request(MQ_CMD_PARTITION_GET, NLM_F_DUMP);
	put_u32(msg, MQ_A_PARTITION_INDEX, 0);
	refused("dump of an index", msg, EINVAL, 0, "");
	msg = nl_request(MQ_CMD_PARTITION_GET, NLM_F_DUMP);
	need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, t));
	need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, t));
	refused("dump of a topic twice", msg, EINVAL, 0, "");
	msg = nl_request(MQ_CMD_TOPIC_GET, NLM_F_DUMP);
	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, t));
	refused("dump of topics of a name", msg, EINVAL, 0, "");
	msg = nl_request(MQ_CMD_TOPIC_GET, NLM_F_DUMP);
	put_u32(msg, MQ_A_TOPIC_MODE, 0);
	refused("dump with an unknown attribute", msg, EINVAL, 0, "Unknown attribute type");
}
