// SPDX-License-Identifier: GPL-2.0
/*
 * The attributes of topics, partitions, counters, module and events: one table
 * that parsing, help, columns and JSON are made from. Names are those of
 * uapi/mq/netlink.yaml.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mq/mq.h>
#include <mq/netlink.h>

#include "attrs.h"
#include "parse.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const char *const framing_words[] = { "message", "line", NULL };
static const char *const overflow_words[] = { "block", "reject", "drop-oldest", NULL };
static const char *const hold_words[] = { "readers", NULL };
static const char *const stamp_words[] = { "uid", "cgroup", NULL };
static const char *const feature_words[] = {
	"splice", "line", "record", "attrs", "partitions", "hold-readers", "persistent", "mmap",
	"options", "filter", "signal", "nowait", "watermark", NULL
};

static const char *const reader_words[] = { "holds", "limits", "record", "skip", NULL };
static const char *const reason_words[] = { "full", "paused", "durable", NULL };

#define BOTH	(ATTR_ADD | ATTR_SET)

static const struct attr topics[] = {
	{ "name", MQ_A_TOPIC_NAME, ATTR_STRING, ATTR_OPERAND | ATTR_LIST | ATTR_STAT,
	  "the topic's name", NULL },
	{ "id", MQ_A_TOPIC_ID, ATTR_ID, ATTR_ADD | ATTR_REF,
	  "the topic's id, new at each creation", NULL },
	{ "partitions", MQ_A_TOPIC_PARTITIONS, ATTR_U32, BOTH | ATTR_LIST,
	  "number of partitions, 1 to 1024; can only grow (default 1)", NULL },
	{ "ring-bytes", MQ_A_TOPIC_RING_BYTES, ATTR_SIZE, ATTR_ADD | ATTR_LIST,
	  "data ring of a partition, a power of two from 4096 on (default 4M)", NULL },
	{ "ring-messages", MQ_A_TOPIC_RING_MESSAGES, ATTR_U64, ATTR_ADD,
	  "messages a partition's index holds, a power of two from 64 on (default 32768)", NULL },
	{ "attr-bytes", MQ_A_TOPIC_ATTR_BYTES, ATTR_SIZE, ATTR_ADD,
	  "attribute ring of a partition, a power of two from 4096 on (default ring-bytes/4)",
	  NULL },
	{ "max-message-bytes", MQ_A_TOPIC_MAX_MESSAGE_BYTES, ATTR_SIZE32, BOTH,
	  "limit of one message, at most a quarter of ring-bytes (default 1M)", NULL },
	{ "framing", MQ_A_TOPIC_FRAMING, ATTR_ENUM, BOTH | ATTR_LIST,
	  "what a message is: one write, or a line (default message)", framing_words },
	{ "overflow", MQ_A_TOPIC_OVERFLOW, ATTR_ENUM, BOTH | ATTR_LIST,
	  "what happens to a write when the ring is full of held messages (default "
	  "drop-oldest; with --persistent block)", overflow_words },
	{ "hold", MQ_A_TOPIC_HOLD, ATTR_FLAGS, BOTH | ATTR_LIST,
	  "what keeps a message besides a store and groups: open readers that have "
	  "not read it (default none)", hold_words },
	{ "stamp", MQ_A_TOPIC_STAMP, ATTR_FLAGS, BOTH,
	  "attributes that the kernel adds to each message: the writer's (default none)",
	  stamp_words },
	{ "persistent", MQ_A_TOPIC_PERSISTENT, ATTR_BOOL, ATTR_ADD | ATTR_LIST,
	  "hold everything until a store has made it durable (default no)", NULL },
	{ "paused", MQ_A_TOPIC_PAUSED, ATTR_BOOL, BOTH | ATTR_LIST,
	  "writes wait, whatever overflow says (default no)", NULL },
	{ "sync-timeout", MQ_A_TOPIC_SYNC_TIMEOUT, ATTR_MSEC, BOTH,
	  "longest wait of a durable write, 0 for ever (default 0)", NULL },
	{ "mode", MQ_A_TOPIC_MODE, ATTR_MODE, BOTH | ATTR_LIST,
	  "permissions of the topic's file (default 0600)", NULL },
	{ "uid", MQ_A_TOPIC_UID, ATTR_UID, BOTH | ATTR_LIST,
	  "owner of the topic's file, name or number (default root)", NULL },
	{ "gid", MQ_A_TOPIC_GID, ATTR_GID, BOTH | ATTR_LIST,
	  "group of the topic's file, name or number (default root)", NULL },
	{ "start-offset", MQ_A_TOPIC_START_OFFSET, ATTR_U64, ATTR_ADD,
	  "offset of each partition's first message (default 0)", NULL },
	{ "start-position", MQ_A_TOPIC_START_POSITION, ATTR_U64, ATTR_ADD,
	  "position of each partition's first byte (default 0)", NULL },
	{ "lend", MQ_A_TOPIC_LEND, ATTR_BOOL, BOTH,
	  "splice and sendfile lend the ring's pages instead of copying (default yes)", NULL },
	{ "memory-cgroup", MQ_A_TOPIC_MEMORY_CGROUP, ATTR_STRING, ATTR_ADD,
	  "cgroup that the ring's memory is charged to, as /system.slice/app (default none)",
	  NULL },
	{ "minor", MQ_A_TOPIC_MINOR, ATTR_U32, 0, "minor number of the topic's file", NULL },
	{ "created", MQ_A_TOPIC_CREATED, ATTR_TIME, 0, "time of creation", NULL },
};

static const struct attr partitions[] = {
	{ "topic", MQ_A_PARTITION_TOPIC, ATTR_STRING, ATTR_OPERAND | ATTR_STAT,
	  "the topic's name", NULL },
	{ "topic-id", MQ_A_PARTITION_TOPIC_ID, ATTR_ID, 0, "the topic's id", NULL },
	{ "index", MQ_A_PARTITION_INDEX, ATTR_U32, ATTR_OPERAND | ATTR_STAT,
	  "number of the partition", NULL },
	{ "head-offset", MQ_A_PARTITION_HEAD_OFFSET, ATTR_U64, ATTR_STAT,
	  "offset of the next message", NULL },
	{ "head-position", MQ_A_PARTITION_HEAD_POSITION, ATTR_U64, 0,
	  "position of the next byte", NULL },
	{ "tail-offset", MQ_A_PARTITION_TAIL_OFFSET, ATTR_U64, ATTR_STAT,
	  "offset of the oldest message retained", NULL },
	{ "tail-position", MQ_A_PARTITION_TAIL_POSITION, ATTR_U64, 0, "its position", NULL },
	{ "durable-offset", MQ_A_PARTITION_DURABLE_OFFSET, ATTR_U64, 0,
	  "messages below it are durable (persistent topics)", NULL },
	{ "held-offset", MQ_A_PARTITION_HELD_OFFSET, ATTR_U64, ATTR_STAT,
	  "messages from it on are held", NULL },
	{ "held-position", MQ_A_PARTITION_HELD_POSITION, ATTR_U64, 0,
	  "position of the first of them", NULL },
	{ "epoch", MQ_A_PARTITION_EPOCH, ATTR_U32, 0, "epoch of the partition", NULL },
};

static const struct attr counters[] = {
	{ "messages-in", MQ_A_STATS_MESSAGES_IN, ATTR_U64, ATTR_STAT, "messages appended", NULL },
	{ "bytes-in", MQ_A_STATS_BYTES_IN, ATTR_U64, ATTR_STAT, "payload bytes appended", NULL },
	{ "messages-out", MQ_A_STATS_MESSAGES_OUT, ATTR_U64, ATTR_STAT,
	  "messages delivered, each reader counted", NULL },
	{ "bytes-out", MQ_A_STATS_BYTES_OUT, ATTR_U64, 0, "payload bytes delivered", NULL },
	{ "dropped-held", MQ_A_STATS_DROPPED_HELD, ATTR_U64, ATTR_STAT,
	  "held messages dropped by overflow=drop-oldest", NULL },
	{ "rejected", MQ_A_STATS_REJECTED, ATTR_U64, ATTR_STAT,
	  "writes refused by overflow=reject", NULL },
	{ "dropped-unfinished", MQ_A_STATS_DROPPED_UNFINISHED, ATTR_U64, 0,
	  "unfinished lines for which the last close found no room", NULL },
	{ "lost", MQ_A_STATS_LOST, ATTR_U64, ATTR_STAT,
	  "messages lost by readers to overruns, each reader counted", NULL },
	{ "overruns", MQ_A_STATS_OVERRUNS, ATTR_U64, 0, "times a reader was overrun", NULL },
	{ "evicted", MQ_A_STATS_EVICTED, ATTR_U64, 0, "messages overwritten, held or not", NULL },
	{ "no-memory", MQ_A_STATS_NO_MEMORY, ATTR_U64, 0, "writes that failed with ENOMEM", NULL },
	{ "readers", MQ_A_STATS_READERS, ATTR_U32, ATTR_STAT, "files open for reading", NULL },
	{ "writers", MQ_A_STATS_WRITERS, ATTR_U32, ATTR_STAT, "files open for writing", NULL },
	{ "writers-waiting", MQ_A_STATS_WRITERS_WAITING, ATTR_U32, 0,
	  "writers waiting for room, or for the end of a pause", NULL },
	{ "sync-waiting", MQ_A_STATS_SYNC_WAITING, ATTR_U32, 0,
	  "writers waiting until their message is durable", NULL },
	{ "memory", MQ_A_STATS_MEMORY, ATTR_SIZE, ATTR_STAT,
	  "ring memory in use, lent pages included", NULL },
	{ "lent", MQ_A_STATS_LENT, ATTR_SIZE, 0,
	  "ring memory replaced and still held by pipes and sockets", NULL },
	{ "wraps", MQ_A_STATS_WRAPS, ATTR_U64, 0, "times the data ring came round", NULL },
	{ "lock-retries", MQ_A_STATS_LOCK_RETRIES, ATTR_U64, 0,
	  "times a writer found the log's lock taken", NULL },
};

static const struct attr modules[] = {
	{ "version", MQ_A_MODULE_VERSION, ATTR_STRING, 0, "version of the module", NULL },
	{ "api-version", MQ_A_MODULE_API_VERSION, ATTR_U32, 0, "version of its interface", NULL },
	{ "features", MQ_A_MODULE_FEATURES, ATTR_FLAGS64, 0, "what it can do", feature_words },
	{ "topics", MQ_A_MODULE_TOPICS, ATTR_U32, 0, "topics that exist", NULL },
	{ "topics-max", MQ_A_MODULE_TOPICS_MAX, ATTR_U32, 0, "most topics there can be", NULL },
	{ "memory", MQ_A_MODULE_MEMORY, ATTR_SIZE, 0, "memory charged to its limit", NULL },
	{ "memory-max", MQ_A_MODULE_MEMORY_MAX, ATTR_SIZE, 0, "its limit", NULL },
};

static const struct attr overruns[] = {
	{ "topic", MQ_A_OVERRUN_TOPIC, ATTR_STRING, 0, "the topic's name", NULL },
	{ "topic-id", MQ_A_OVERRUN_TOPIC_ID, ATTR_ID, 0, "the topic's id", NULL },
	{ "lost", MQ_A_OVERRUN_LOST, ATTR_U64, 0, "messages lost by its readers", NULL },
	{ "overruns", MQ_A_OVERRUN_OVERRUNS, ATTR_U64, 0, "times they were overrun", NULL },
};

static const struct attr readers[] = {
	{ "topic", MQ_A_READER_TOPIC, ATTR_STRING, ATTR_OPERAND | ATTR_LIST, "the topic's name",
	  NULL },
	{ "topic-id", MQ_A_READER_TOPIC_ID, ATTR_ID, 0, "the topic's id", NULL },
	{ "partition", MQ_A_READER_PARTITION, ATTR_U32, ATTR_LIST,
	  "the partition it reads; nothing where it reads several", NULL },
	{ "pid", MQ_A_READER_PID, ATTR_U32, ATTR_LIST,
	  "process that opened the file; 0, it has ended or cannot be seen from here", NULL },
	{ "command", MQ_A_READER_COMMAND, ATTR_STRING, ATTR_LIST, "its name", NULL },
	{ "uid", MQ_A_READER_UID, ATTR_UID, ATTR_LIST, "user that opened it", NULL },
	{ "position", MQ_A_READER_POSITION, ATTR_U64, 0,
	  "position of the next byte it reads", NULL },
	{ "offset", MQ_A_READER_OFFSET, ATTR_U64, ATTR_LIST,
	  "offset of the next message it reads", NULL },
	{ "lag-messages", MQ_A_READER_LAG_MESSAGES, ATTR_U64, ATTR_LIST,
	  "messages it has not read", NULL },
	{ "lag-bytes", MQ_A_READER_LAG_BYTES, ATTR_SIZE, ATTR_LIST,
	  "bytes it has not read", NULL },
	{ "lost", MQ_A_READER_LOST, ATTR_U64, ATTR_LIST,
	  "messages it lost to overruns", NULL },
	{ "overruns", MQ_A_READER_OVERRUNS, ATTR_U64, 0, "times it was overrun", NULL },
	{ "flags", MQ_A_READER_FLAGS, ATTR_FLAGS, ATTR_LIST,
	  "holds: what it has not read is kept; limits: nobody holds anything older; "
	  "record, skip: as it was opened", reader_words },
};

static const struct attr waiters[] = {
	{ "topic", MQ_A_WAITER_TOPIC, ATTR_STRING, ATTR_OPERAND, "the topic's name", NULL },
	{ "topic-id", MQ_A_WAITER_TOPIC_ID, ATTR_ID, 0, "the topic's id", NULL },
	{ "partition", MQ_A_WAITER_PARTITION, ATTR_U32, 0, "number of the partition", NULL },
	{ "pid", MQ_A_WAITER_PID, ATTR_U32, 0, "process that waits", NULL },
	{ "command", MQ_A_WAITER_COMMAND, ATTR_STRING, 0, "its name", NULL },
	{ "reason", MQ_A_WAITER_REASON, ATTR_ENUM, 0, "what it waits for", reason_words },
	{ "since", MQ_A_WAITER_SINCE, ATTR_TIME, 0, "when it began to wait", NULL },
	{ "waited", MQ_A_WAITER_WAITED, ATTR_NSEC, 0, "how long ago that is", NULL },
	{ "bytes", MQ_A_WAITER_BYTES, ATTR_U64, 0, "bytes it wants to append", NULL },
	{ "end-offset", MQ_A_WAITER_END_OFFSET, ATTR_U64, 0,
	  "messages below it are to be durable", NULL },
};

const struct attr_set topic_attrs = {
	topics, COUNT(topics), MQ_A_TOPIC_MAX, MQ_A_TOPIC_STATS
};
const struct attr_set partition_attrs = {
	partitions, COUNT(partitions), MQ_A_PARTITION_MAX, MQ_A_PARTITION_STATS
};
const struct attr_set stats_attrs = { counters, COUNT(counters), MQ_A_STATS_MAX, 0 };
const struct attr_set module_attrs = { modules, COUNT(modules), MQ_A_MODULE_MAX, 0 };
const struct attr_set overrun_attrs = { overruns, COUNT(overruns), MQ_A_OVERRUN_MAX, 0 };
const struct attr_set reader_attrs = { readers, COUNT(readers), MQ_A_READER_MAX, 0 };
const struct attr_set waiter_attrs = { waiters, COUNT(waiters), MQ_A_WAITER_MAX, 0 };

_Static_assert(MQ_A_TOPIC_MAX < ATTR_TYPE_MAX && MQ_A_PARTITION_MAX < ATTR_TYPE_MAX &&
	       MQ_A_STATS_MAX < ATTR_TYPE_MAX && MQ_A_MODULE_MAX < ATTR_TYPE_MAX &&
	       MQ_A_OVERRUN_MAX < ATTR_TYPE_MAX && MQ_A_READER_MAX < ATTR_TYPE_MAX &&
	       MQ_A_WAITER_MAX < ATTR_TYPE_MAX, "ATTR_TYPE_MAX is too small");

const struct attr *attr_by_name(const struct attr_set *set, const char *name)
{
	for (unsigned int i = 0; i < set->count; i++) {
		if (!strcmp(set->attrs[i].name, name))
			return &set->attrs[i];
	}
	return NULL;
}

const struct attr *attr_by_type(const struct attr_set *set, unsigned int type)
{
	for (unsigned int i = 0; i < set->count; i++) {
		if (set->attrs[i].type == type)
			return &set->attrs[i];
	}
	return NULL;
}

const char *attr_metavar(const struct attr *attr)
{
	static char words[64];

	switch (attr->kind) {
	case ATTR_STRING:
		return "TEXT";
	case ATTR_ID:
		return "HEX";
	case ATTR_SIZE:
	case ATTR_SIZE32:
		return "SIZE";
	case ATTR_MODE:
		return "MODE";
	case ATTR_UID:
		return "USER";
	case ATTR_GID:
		return "GROUP";
	case ATTR_MSEC:
		return "DURATION";
	case ATTR_ENUM:
	case ATTR_FLAGS:
		words[0] = '\0';
		for (const char *const *w = attr->words; *w; w++) {
			snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s",
				 w == attr->words ? "" : attr->kind == ATTR_ENUM ? "|" : ",", *w);
		}
		if (attr->kind == ATTR_FLAGS)
			snprintf(words + strlen(words), sizeof(words) - strlen(words), "|none");
		return words;
	case ATTR_BOOL:
		return NULL;
	default:
		return "NUMBER";
	}
}

static const char *parse_words(const struct attr *attr, const char *text, uint32_t *value)
{
	static char why[96];
	uint32_t v = 0;
	size_t len;
	int i;

	if (attr->kind == ATTR_FLAGS && !strcmp(text, "none")) {
		*value = 0;
		return NULL;
	}
	for (const char *p = text;; p += len + 1) {
		len = attr->kind == ATTR_FLAGS ? strcspn(p, ",") : strlen(p);
		for (i = 0; attr->words[i]; i++) {
			if (strlen(attr->words[i]) == len && !strncmp(attr->words[i], p, len))
				break;
		}
		if (!attr->words[i]) {
			snprintf(why, sizeof(why), "must be %s", attr_metavar(attr));
			return why;
		}
		v = attr->kind == ATTR_FLAGS ? v | 1U << i : (uint32_t)i;
		if (!p[len])
			break;
	}
	*value = v;
	return NULL;
}

/* A number of any kind from text; NULL, or what is wrong. */
static const char *parse_number(const struct attr *attr, const char *text, uint64_t *value)
{
	const char *why;
	uint32_t v32 = 0;

	switch (attr->kind) {
	case ATTR_U64:
		return parse_u64(text, value);
	case ATTR_SIZE:
		return parse_size(text, value);
	case ATTR_SIZE32:
		why = parse_size(text, value);
		return why ? why : *value > UINT32_MAX ? "too large" : NULL;
	case ATTR_MSEC:
		why = parse_duration(text, value);
		*value /= NSEC_PER_MSEC;
		return why ? why : *value > UINT32_MAX ? "too long (at most 1193h)" : NULL;
	case ATTR_U32:
		why = parse_u32(text, &v32);
		break;
	case ATTR_MODE:
		why = parse_mode(text, &v32);
		break;
	case ATTR_UID:
		why = parse_uid(text, &v32);
		break;
	case ATTR_GID:
		why = parse_gid(text, &v32);
		break;
	case ATTR_ENUM:
	case ATTR_FLAGS:
		why = parse_words(attr, text, &v32);
		break;
	default:
		return "cannot be given";
	}
	*value = v32;
	return why;
}

const char *attr_put(struct nl_msg *msg, const struct attr *attr, const char *text, bool on)
{
	static const char no_memory[] = "out of memory";
	unsigned char id[MQ_TOPIC_ID_LEN];
	const char *why;
	uint64_t v = 0;
	int err;

	switch (attr->kind) {
	case ATTR_STRING:
		return nla_put_string(msg, attr->type, text) ? no_memory : NULL;
	case ATTR_ID:
		why = parse_hex(text, id, sizeof(id));
		if (why)
			return why;
		return nla_put(msg, attr->type, sizeof(id), id) ? no_memory : NULL;
	case ATTR_BOOL:
		return nla_put_u8(msg, attr->type, on) ? no_memory : NULL;
	default:
		why = parse_number(attr, text, &v);
		if (why)
			return why;
		if (attr->kind == ATTR_U64 || attr->kind == ATTR_SIZE)
			err = nla_put_u64(msg, attr->type, v);
		else
			err = nla_put_u32(msg, attr->type, v);
		return err ? no_memory : NULL;
	}
}

static uint16_t wire_type(enum attr_kind kind)
{
	switch (kind) {
	case ATTR_STRING:
		return NLA_STRING;
	case ATTR_ID:
		return NLA_UNSPEC;
	case ATTR_BOOL:
		return NLA_U8;
	case ATTR_U64:
	case ATTR_SIZE:
	case ATTR_TIME:
	case ATTR_NSEC:
	case ATTR_FLAGS64:
		return NLA_U64;
	default:
		return NLA_U32;
	}
}

static void make_policy(const struct attr_set *set, struct nla_policy *policy)
{
	memset(policy, 0, ATTR_TYPE_MAX * sizeof(*policy));
	for (unsigned int i = 0; i < set->count; i++) {
		const struct attr *attr = &set->attrs[i];

		policy[attr->type].type = wire_type(attr->kind);
		if (attr->kind == ATTR_ID)
			policy[attr->type].minlen = MQ_TOPIC_ID_LEN;
	}
	if (set->stats)
		policy[set->stats].type = NLA_NESTED;
}

int attr_parse(const struct attr_set *set, struct nlmsghdr *nlh,
	       struct nlattr *tb[ATTR_TYPE_MAX], struct nlattr *stats[ATTR_TYPE_MAX])
{
	struct nla_policy policy[ATTR_TYPE_MAX];
	int err;

	memset(tb, 0, ATTR_TYPE_MAX * sizeof(*tb));
	if (stats)
		memset(stats, 0, ATTR_TYPE_MAX * sizeof(*stats));
	make_policy(set, policy);
	err = nlmsg_parse(nlh, GENL_HDRLEN, tb, set->max, policy);
	if (err || !stats || !set->stats || !tb[set->stats])
		return err;
	make_policy(&stats_attrs, policy);
	return nla_parse_nested(stats, stats_attrs.max, tb[set->stats], policy);
}

static uint64_t number(const struct attr *attr, const struct nlattr *nla)
{
	switch (wire_type(attr->kind)) {
	case NLA_U8:
		return nla_get_u8(nla);
	case NLA_U64:
		return nla_get_u64(nla);
	default:
		return nla_get_u32(nla);
	}
}

bool attr_is_number(const struct attr *attr)
{
	switch (attr->kind) {
	case ATTR_U32:
	case ATTR_U64:
	case ATTR_SIZE:
	case ATTR_SIZE32:
	case ATTR_MSEC:
	case ATTR_NSEC:
	case ATTR_UID:
	case ATTR_GID:
		return true;
	default:
		return false;
	}
}

static void words_text(const struct attr *attr, uint64_t v, char *buf, size_t size)
{
	int i;

	if (attr->kind == ATTR_ENUM) {
		for (i = 0; attr->words[i]; i++) {
			if (v == (uint64_t)i) {
				snprintf(buf, size, "%s", attr->words[i]);
				return;
			}
		}
		snprintf(buf, size, "%" PRIu64, v);
		return;
	}
	buf[0] = '\0';
	for (i = 0; attr->words[i]; i++) {
		if (!(v & 1ULL << i))
			continue;
		snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", buf[0] ? "," : "",
			 attr->words[i]);
		v &= ~(1ULL << i);
	}
	/* Bits of a newer module. */
	if (v)
		snprintf(buf + strlen(buf), size - strlen(buf), "%s0x%" PRIx64,
			 buf[0] ? "," : "", v);
	if (!buf[0])
		snprintf(buf, size, "none");
}

char *attr_text(const struct attr *attr, const struct nlattr *nla, bool numeric)
{
	const struct passwd *pw;
	const struct group *gr;
	char buf[160];
	uint64_t v;

	if (!nla)
		return NULL;
	if (attr->kind == ATTR_STRING)
		return nla_strdup(nla);
	if (attr->kind == ATTR_ID) {
		format_hex(nla_data(nla), MQ_TOPIC_ID_LEN, buf);
		return strdup(buf);
	}
	v = number(attr, nla);
	snprintf(buf, sizeof(buf), "%" PRIu64, v);
	switch (attr->kind) {
	case ATTR_BOOL:
		return strdup(numeric ? buf : v ? "yes" : "no");
	case ATTR_ENUM:
	case ATTR_FLAGS:
	case ATTR_FLAGS64:
		words_text(attr, v, buf, sizeof(buf));
		break;
	case ATTR_MODE:
		snprintf(buf, sizeof(buf), "%04" PRIo64, v);
		break;
	case ATTR_TIME:
		format_time(v, buf);
		break;
	case ATTR_SIZE:
	case ATTR_SIZE32:
		if (!numeric)
			format_size(v, buf);
		break;
	case ATTR_MSEC:
		if (!numeric)
			format_msec(v, buf);
		break;
	case ATTR_NSEC:
		if (!numeric)
			snprintf(buf, sizeof(buf), "%.1fs", v / 1e9);
		break;
	case ATTR_UID:
		pw = numeric ? NULL : getpwuid(v);
		if (pw)
			return strdup(pw->pw_name);
		break;
	case ATTR_GID:
		gr = numeric ? NULL : getgrgid(v);
		if (gr)
			return strdup(gr->gr_name);
		break;
	default:
		break;
	}
	return strdup(buf);
}

struct json_object *attr_json(const struct attr *attr, const struct nlattr *nla)
{
	struct json_object *value;
	char *text;

	if (!nla)
		return NULL;
	if (attr->kind == ATTR_BOOL)
		return json_object_new_boolean(nla_get_u8(nla));
	if (attr_is_number(attr))
		return json_object_new_uint64(number(attr, nla));
	text = attr_text(attr, nla, true);
	value = text ? json_object_new_string(text) : NULL;
	free(text);
	return value;
}
