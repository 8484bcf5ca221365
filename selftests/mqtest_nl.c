// SPDX-License-Identifier: GPL-2.0
/* What the C tests share: topics over netlink, and their files. See mqtest.h. */
#define _GNU_SOURCE
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "mqtest.h"
#include "mqtest_priv.h"

#ifndef NETLINK_EXT_ACK
#define NETLINK_EXT_ACK	11
#endif

#define PARAMS	"/sys/module/mq/parameters/"

char nl_ack_text[256];
int nl_ack_attr;

static struct nl_sock *sock;
static pid_t sock_pid;
static int family;

struct nl_sock *nl_socket(void)
{
	struct timeval limit = { SOON, 0 };
	int on = 1;

	/* A socket shared with a forked child would give one the other's answers. */
	if (sock && sock_pid == getpid())
		return sock;
	sock = nl_socket_alloc();
	need(sock);
	need(!genl_connect(sock));
	family = genl_ctrl_resolve(sock, MQ_FAMILY_NAME);
	if (family < 0) {
		fail("no netlink family %s: %s", MQ_FAMILY_NAME, nl_geterror(family));
		mqt_end();
	}
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	sock_pid = getpid();
	return sock;
}

int nl_family(void)
{
	nl_socket();
	return family;
}

int nl_listener(int buffer)
{
	struct nl_sock *sk = nl_socket_alloc();
	int group, fd;

	need(sk);
	need(!genl_connect(sk));
	group = genl_ctrl_resolve_grp(sk, MQ_FAMILY_NAME, MQ_MCGRP_EVENTS);
	need(group >= 0);
	fd = nl_socket_get_fd(sk);
	/* Whoever may not have more than the machine's limit gets that. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)))
		need_ret(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
	need(!nl_socket_add_membership(sk, group));
	return fd;
}

struct nl_msg *nl_request(uint8_t cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	need(msg);
	need(genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl_family(), 0, flags, cmd,
			 MQ_FAMILY_VERSION));
	return msg;
}

struct call {
	void (*fn)(const struct nlmsghdr *nlh, void *arg);
	void *arg;
	bool done;
	int error;
};

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct call *call = arg;

	if (call->fn)
		call->fn(nlmsg_hdr(msg), call->arg);
	return NL_OK;
}

static int on_end(struct nl_msg *msg, void *arg)
{
	struct call *call = arg;

	(void)msg;
	call->done = true;
	return NL_STOP;
}

static void keep_ack(const struct nlmsghdr *nlh, const struct nlmsgerr *e)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t skip = sizeof(*e);
	const struct nlattr *first;
	const struct nlmsghdr *bad;
	int len;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(e->msg);
	skip = NLMSG_ALIGN(skip);
	first = (const void *)((const char *)e + skip);
	len = (const char *)nlh + nlh->nlmsg_len - (const char *)first;
	if (len <= 0 || nla_parse(tb, NLMSGERR_ATTR_MAX, (struct nlattr *)first, len, NULL))
		return;
	if (tb[NLMSGERR_ATTR_MSG])
		snprintf(nl_ack_text, sizeof(nl_ack_text), "%s", nla_get_string(tb[NLMSGERR_ATTR_MSG]));
	if (tb[NLMSGERR_ATTR_OFFS]) {
		uint32_t off = nla_get_u32(tb[NLMSGERR_ATTR_OFFS]);

		bad = &e->msg;
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && off + NLA_HDRLEN <= bad->nlmsg_len)
			nl_ack_attr = nla_type((const void *)((const char *)bad + off));
	}
}

static int on_error(struct sockaddr_nl *who, struct nlmsgerr *e, void *arg)
{
	struct call *call = arg;

	(void)who;
	keep_ack((const void *)((const char *)e - NLMSG_HDRLEN), e);
	call->error = e->error;
	call->done = true;
	return NL_STOP;
}

int nl_call(struct nl_msg *msg, void (*fn)(const struct nlmsghdr *nlh, void *arg), void *arg)
{
	struct call call = { fn, arg, false, 0 };
	struct nl_sock *sk = nl_socket();
	struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);
	int ret;

	need(cb);
	nl_ack_text[0] = 0;
	nl_ack_attr = 0;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, &call);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, &call);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, &call);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, &call);
	ret = nl_send_auto(sk, msg);
	nlmsg_free(msg);
	while (ret >= 0 && !call.done)
		ret = nl_recvmsgs(sk, cb);
	nl_cb_put(cb);
	if (call.done)
		return call.error;
	fail("netlink: %s", nl_geterror(ret));
	return -EIO;
}

/* --- tables of attributes ------------------------------------------------------ */

struct field {
	unsigned short attr, off, size;
};

#define F(type, set, NAME, member)						\
	{ MQ_A_##set##_##NAME, offsetof(struct type, member),			\
	  sizeof(((struct type *)0)->member) }

static const struct field topic_fields[] = {
	F(topic_opts, TOPIC, PARTITIONS, partitions),
	F(topic_opts, TOPIC, RING_BYTES, ring_bytes),
	F(topic_opts, TOPIC, RING_MESSAGES, ring_messages),
	F(topic_opts, TOPIC, ATTR_BYTES, attr_bytes),
	F(topic_opts, TOPIC, MAX_MESSAGE_BYTES, max_message_bytes),
	F(topic_opts, TOPIC, FRAMING, framing),
	F(topic_opts, TOPIC, OVERFLOW, overflow),
	F(topic_opts, TOPIC, HOLD, hold),
	F(topic_opts, TOPIC, STAMP, stamp),
	F(topic_opts, TOPIC, PERSISTENT, persistent),
	F(topic_opts, TOPIC, PAUSED, paused),
	F(topic_opts, TOPIC, SYNC_TIMEOUT, sync_timeout),
	F(topic_opts, TOPIC, MODE, mode),
	F(topic_opts, TOPIC, UID, uid),
	F(topic_opts, TOPIC, GID, gid),
	F(topic_opts, TOPIC, START_OFFSET, start_offset),
	F(topic_opts, TOPIC, START_POSITION, start_position),
	F(topic_opts, TOPIC, LEND, lend),
	{ 0 }
};

static const struct field stats_fields[] = {
	F(topic_stats, STATS, MESSAGES_IN, messages_in),
	F(topic_stats, STATS, BYTES_IN, bytes_in),
	F(topic_stats, STATS, MESSAGES_OUT, messages_out),
	F(topic_stats, STATS, BYTES_OUT, bytes_out),
	F(topic_stats, STATS, DROPPED_HELD, dropped_held),
	F(topic_stats, STATS, REJECTED, rejected),
	F(topic_stats, STATS, DROPPED_UNFINISHED, dropped_unfinished),
	F(topic_stats, STATS, LOST, lost),
	F(topic_stats, STATS, OVERRUNS, overruns),
	F(topic_stats, STATS, EVICTED, evicted),
	F(topic_stats, STATS, NO_MEMORY, no_memory),
	F(topic_stats, STATS, READERS, readers),
	F(topic_stats, STATS, WRITERS, writers),
	F(topic_stats, STATS, WRITERS_WAITING, writers_waiting),
	F(topic_stats, STATS, SYNC_WAITING, sync_waiting),
	F(topic_stats, STATS, MEMORY, memory),
	F(topic_stats, STATS, LENT, lent),
	F(topic_stats, STATS, WRAPS, wraps),
	F(topic_stats, STATS, LOCK_RETRIES, lock_retries),
	{ 0 }
};

static const struct field partition_fields[] = {
	F(partition_info, PARTITION, INDEX, index),
	F(partition_info, PARTITION, HEAD_OFFSET, head_offset),
	F(partition_info, PARTITION, HEAD_POSITION, head_position),
	F(partition_info, PARTITION, TAIL_OFFSET, tail_offset),
	F(partition_info, PARTITION, TAIL_POSITION, tail_position),
	F(partition_info, PARTITION, DURABLE_OFFSET, durable_offset),
	F(partition_info, PARTITION, HELD_OFFSET, held_offset),
	F(partition_info, PARTITION, HELD_POSITION, held_position),
	F(partition_info, PARTITION, EPOCH, epoch),
	{ 0 }
};

/* Fills members from attributes of exactly their size; returns the bits found. */
static uint64_t take_fields(void *to, const struct field *f, struct nlattr **tb)
{
	uint64_t seen = 0;

	for (; f->attr; f++) {
		if (!tb[f->attr])
			continue;
		if (nla_len(tb[f->attr]) != f->size) {
			fail("attribute %d has %d bytes, expected %d", f->attr,
			     nla_len(tb[f->attr]), f->size);
			continue;
		}
		memcpy((char *)to + f->off, nla_data(tb[f->attr]), f->size);
		seen |= 1ULL << f->attr;
	}
	return seen;
}

static void take_stats(struct topic_stats *stats, struct nlattr *nest)
{
	struct nlattr *tb[MQ_A_STATS_MAX + 1];

	memset(stats, 0, sizeof(*stats));
	if (nest && !nla_parse_nested(tb, MQ_A_STATS_MAX, nest, NULL))
		stats->seen = take_fields(stats, stats_fields, tb);
}

void topic_parse(const struct nlmsghdr *nlh, struct topic_info *info)
{
	struct nlattr *tb[MQ_A_TOPIC_MAX + 1];

	memset(info, 0, sizeof(*info));
	if (genlmsg_parse((struct nlmsghdr *)nlh, 0, tb, MQ_A_TOPIC_MAX, NULL)) {
		fail("a topic's message cannot be parsed");
		return;
	}
	info->o.set = take_fields(&info->o, topic_fields, tb);
	if (tb[MQ_A_TOPIC_NAME])
		nla_strlcpy(info->name, tb[MQ_A_TOPIC_NAME], sizeof(info->name));
	if (tb[MQ_A_TOPIC_MEMORY_CGROUP])
		nla_strlcpy(info->memory_cgroup, tb[MQ_A_TOPIC_MEMORY_CGROUP],
			    sizeof(info->memory_cgroup));
	if (tb[MQ_A_TOPIC_ID] && nla_len(tb[MQ_A_TOPIC_ID]) == MQ_TOPIC_ID_LEN)
		memcpy(info->id, nla_data(tb[MQ_A_TOPIC_ID]), MQ_TOPIC_ID_LEN);
	if (tb[MQ_A_TOPIC_MINOR])
		info->minor = nla_get_u32(tb[MQ_A_TOPIC_MINOR]);
	if (tb[MQ_A_TOPIC_CREATED])
		info->created = nla_get_u64(tb[MQ_A_TOPIC_CREATED]);
	for (int i = 0; i <= MQ_A_TOPIC_MAX; i++)
		info->o.set |= tb[i] ? 1ULL << i : 0;
	take_stats(&info->stats, tb[MQ_A_TOPIC_STATS]);
}

void partition_parse(const struct nlmsghdr *nlh, struct partition_info *info)
{
	struct nlattr *tb[MQ_A_PARTITION_MAX + 1];

	memset(info, 0, sizeof(*info));
	if (genlmsg_parse((struct nlmsghdr *)nlh, 0, tb, MQ_A_PARTITION_MAX, NULL)) {
		fail("a partition's message cannot be parsed");
		return;
	}
	info->seen = take_fields(info, partition_fields, tb);
	if (tb[MQ_A_PARTITION_TOPIC])
		nla_strlcpy(info->topic, tb[MQ_A_PARTITION_TOPIC], sizeof(info->topic));
	if (tb[MQ_A_PARTITION_TOPIC_ID] && nla_len(tb[MQ_A_PARTITION_TOPIC_ID]) == MQ_TOPIC_ID_LEN)
		memcpy(info->topic_id, nla_data(tb[MQ_A_PARTITION_TOPIC_ID]), MQ_TOPIC_ID_LEN);
	for (int i = 0; i <= MQ_A_PARTITION_MAX; i++)
		info->seen |= tb[i] ? 1ULL << i : 0;
	take_stats(&info->stats, tb[MQ_A_PARTITION_STATS]);
}

/* --- topics ---------------------------------------------------------------------- */

static int send_topic(uint8_t cmd, const struct topic_opts *o)
{
	static const char zeros[8];
	struct nl_msg *msg = nl_request(cmd, 0);

	if (o->name)
		need(!nla_put_string(msg, MQ_A_TOPIC_NAME, o->name));
	if (o->id)
		need(!nla_put(msg, MQ_A_TOPIC_ID, MQ_TOPIC_ID_LEN, o->id));
	if (o->memory_cgroup)
		need(!nla_put_string(msg, MQ_A_TOPIC_MEMORY_CGROUP, o->memory_cgroup));
	for (const struct field *f = topic_fields; f->attr; f++) {
		const char *value = (const char *)o + f->off;

		if (memcmp(value, zeros, f->size) || o->set & 1ULL << f->attr)
			need(!nla_put(msg, f->attr, f->size, value));
	}
	return nl_call(msg, NULL, NULL);
}

int topic_add(const struct topic_opts *o)
{
	int ret = send_topic(MQ_CMD_TOPIC_NEW, o);
	unsigned int n;

	if (!ret && o->name) {
		n = __atomic_fetch_add(&mqt->topics, 1, __ATOMIC_RELAXED);
		if (n < MQT_TOPICS)
			snprintf(mqt->topic[n], sizeof(mqt->topic[n]), "%s", o->name);
	}
	return ret;
}

int topic_change(const struct topic_opts *o)
{
	return send_topic(MQ_CMD_TOPIC_SET, o);
}

int topic_del(const char *name)
{
	return send_topic(MQ_CMD_TOPIC_DEL, &(struct topic_opts) { .name = name });
}

void mqt_topics_cleanup(void)
{
	int ret;

	for (unsigned int i = 0; i < mqt->topics && i < MQT_TOPICS; i++) {
		ret = topic_del(mqt->topic[i]);
		if (ret && ret != -ENOENT)
			fail("cannot delete topic %s: %s", mqt->topic[i], mqt_errno(-ret));
	}
	mqt->topics = 0;
}

static void one_topic(const struct nlmsghdr *nlh, void *arg)
{
	topic_parse(nlh, arg);
}

int topic_get(const char *name, struct topic_info *info)
{
	struct nl_msg *msg = nl_request(MQ_CMD_TOPIC_GET, 0);

	need(!nla_put_string(msg, MQ_A_TOPIC_NAME, name));
	return nl_call(msg, one_topic, info);
}

static void one_partition(const struct nlmsghdr *nlh, void *arg)
{
	partition_parse(nlh, arg);
}

int partition_get(const char *name, uint32_t index, struct partition_info *info)
{
	struct nl_msg *msg = nl_request(MQ_CMD_PARTITION_GET, 0);

	need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, name));
	need(!nla_put_u32(msg, MQ_A_PARTITION_INDEX, index));
	return nl_call(msg, one_partition, info);
}

struct dump {
	void (*topic)(const struct topic_info *info, void *arg);
	void (*partition)(const struct partition_info *info, void *arg);
	void *arg;
	int n;
};

static void dumped_topic(const struct nlmsghdr *nlh, void *arg)
{
	struct topic_info info;
	struct dump *dump = arg;

	topic_parse(nlh, &info);
	if (dump->topic)
		dump->topic(&info, dump->arg);
	dump->n++;
}

int topic_dump(void (*fn)(const struct topic_info *info, void *arg), void *arg)
{
	struct dump dump = { .topic = fn, .arg = arg };
	int ret = nl_call(nl_request(MQ_CMD_TOPIC_GET, NLM_F_DUMP), dumped_topic, &dump);

	return ret ? ret : dump.n;
}

static void dumped_partition(const struct nlmsghdr *nlh, void *arg)
{
	struct partition_info info;
	struct dump *dump = arg;

	partition_parse(nlh, &info);
	if (dump->partition)
		dump->partition(&info, dump->arg);
	dump->n++;
}

int partition_dump(const char *name, void (*fn)(const struct partition_info *info, void *arg),
		   void *arg)
{
	struct nl_msg *msg = nl_request(MQ_CMD_PARTITION_GET, NLM_F_DUMP);
	struct dump dump = { .partition = fn, .arg = arg };
	int ret;

	if (name)
		need(!nla_put_string(msg, MQ_A_PARTITION_TOPIC, name));
	ret = nl_call(msg, dumped_partition, &dump);
	return ret ? ret : dump.n;
}

const char *topic_name(void)
{
	static unsigned int number;
	char *name;

	need(asprintf(&name, "t%d-%u", getpid(), __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED)) > 0);
	return name;
}

const char *mqt_topic_new(const char *file, int line, struct topic_opts o)
{
	int ret;

	if (!o.name)
		o.name = topic_name();
	ret = topic_add(&o);
	if (!ret)
		return o.name;
	mqt_fail(file, line, "cannot create topic %s: %s: %s", o.name, mqt_errno(-ret), nl_ack_text);
	mqt_end();
}

bool mqt_topic_set(const char *file, int line, const char *name, struct topic_opts o)
{
	int ret;

	o.name = name;
	ret = topic_change(&o);
	if (ret)
		mqt_fail(file, line, "cannot change topic %s: %s: %s", name, mqt_errno(-ret),
			 nl_ack_text);
	return !ret;
}

struct topic_stats topic_counters(const char *name)
{
	struct topic_info info;

	need_eq(topic_get(name, &info), 0);
	return info.stats;
}

struct partition_info partition_state(const char *name, uint32_t index)
{
	struct partition_info info;

	need_eq(partition_get(name, index, &info), 0);
	return info;
}

static void module_parse(const struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *tb[MQ_A_MODULE_MAX + 1];
	struct module_info *m = arg;

	need(!genlmsg_parse((struct nlmsghdr *)nlh, 0, tb, MQ_A_MODULE_MAX, NULL));
	need(tb[MQ_A_MODULE_TOPICS] && tb[MQ_A_MODULE_TOPICS_MAX] && tb[MQ_A_MODULE_MEMORY] &&
	     tb[MQ_A_MODULE_MEMORY_MAX]);
	m->topics = nla_get_u32(tb[MQ_A_MODULE_TOPICS]);
	m->topics_max = nla_get_u32(tb[MQ_A_MODULE_TOPICS_MAX]);
	m->memory = nla_get_u64(tb[MQ_A_MODULE_MEMORY]);
	m->memory_max = nla_get_u64(tb[MQ_A_MODULE_MEMORY_MAX]);
}

struct module_info module_state(void)
{
	struct module_info m = { 0 };

	need_eq(nl_call(nl_request(MQ_CMD_MODULE_GET, 0), module_parse, &m), 0);
	return m;
}

struct module_info module_settled(void)
{
	struct module_info was = module_state(), now;

	for (int same = 0; same < 20; same = now.memory == was.memory ? same + 1 : 0, was = now) {
		sleep_ms(50);
		now = module_state();
	}
	return was;
}

/* --- files ------------------------------------------------------------------------- */

const char *topic_path(const char *topic, const char *options)
{
	static __thread char path[8][512];
	static __thread unsigned int n;
	char *p = path[n++ % 8];

	snprintf(p, sizeof(path[0]), MQ_DIR "/%s%s", topic, options);
	return p;
}

int topic_try_open(const char *topic, const char *options, int flags)
{
	return open(topic_path(topic, options), flags | O_CLOEXEC);
}

int mqt_topic_open(const char *file, int line, const char *topic, const char *options, int flags)
{
	int fd = topic_try_open(topic, options, flags);

	if (fd >= 0)
		return fd;
	mqt_fail(file, line, "cannot open %s: %s", topic_path(topic, options), mqt_errno(errno));
	mqt_end();
}

struct mq_stat mqt_file_stat(const char *file, int line, int fd)
{
	struct mq_stat stat = { .size = sizeof(stat) };

	if (!ioctl(fd, MQ_IOC_STAT, &stat))
		return stat;
	mqt_fail(file, line, "MQ_IOC_STAT: %s", mqt_errno(errno));
	mqt_end();
}

int file_set_format(int fd, uint32_t format)
{
	struct mq_options o = { .size = sizeof(o), .mask = MQ_OPTION_FORMAT, .format = format };

	return ioctl(fd, MQ_IOC_SET_OPTIONS, &o);
}

int file_seek(int fd, uint32_t whence, uint64_t value, struct mq_seek *seek)
{
	struct mq_seek arg = { .size = sizeof(arg), .whence = whence, .value = value };
	int ret = ioctl(fd, MQ_IOC_SEEK, &arg);

	if (seek)
		*seek = arg;
	return ret;
}

int file_features(int fd, struct mq_features *features)
{
	*features = (struct mq_features) { .size = sizeof(*features) };
	return ioctl(fd, MQ_IOC_FEATURES, features);
}

int file_readable(int fd)
{
	int n = -1;

	return ioctl(fd, FIONREAD, &n) ? -1 : n;
}

bool fdinfo(int fd, const char *name, char *buf, size_t size)
{
	char path[64], line[256], *value;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && !found && fgets(line, sizeof(line), f)) {
		value = strchr(line, ':');
		if (!value || (size_t)(value - line) != strlen(name) ||
		    strncmp(line, name, value - line))
			continue;
		for (value++; *value == ' ' || *value == '\t'; value++)
			;
		value[strcspn(value, "\n")] = 0;
		snprintf(buf, size, "%s", value);
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

uint64_t fdinfo_u64(int fd, const char *name)
{
	char text[64];

	if (fdinfo(fd, name, text, sizeof(text)) && isdigit(text[0]))
		return strtoull(text, NULL, 10);
	fail("fdinfo has no number %s", name);
	return UINT64_MAX;
}

/* --- test hooks ---------------------------------------------------------------------- */

static unsigned int hits_before;
static bool hooks_on;

static bool hook_state(char *line, size_t size)
{
	return read_line(PARAMS "hook", line, size);
}

static unsigned int all_hits(void)
{
	char line[256];
	unsigned int hits = 0;

	if (!hook_state(line, sizeof(line)) || sscanf(line, "idle %u", &hits) != 1)
		return 0;
	return hits;
}

void hook_arm(const char *point, const char *topic, uint32_t partition, uint64_t count)
{
	hook_arm_times(point, topic, partition, count, 1);
}

void hook_arm_times(const char *point, const char *topic, uint32_t partition, uint64_t count,
		    unsigned int times)
{
	char line[256];
	int ret;

	if (!hooks_on) {
		ret = write_file(PARAMS "test_hooks", "1");
		if (ret)
			skip("no test hooks: %s", mqt_errno(-ret));
		hits_before = all_hits();
		hooks_on = true;
	}
	snprintf(line, sizeof(line), "%s %s %u %" PRIu64 " %u\n", point, topic, partition,
		 count, times);
	ret = write_file(PARAMS "hook", line);
	if (ret) {
		fail("cannot arm hook %s: %s", line, mqt_errno(-ret));
		mqt_end();
	}
}

bool hook_armed(void)
{
	char line[256];

	return hook_state(line, sizeof(line)) && !strncmp(line, "armed ", 6);
}

unsigned int hook_hits(void)
{
	return all_hits() - hits_before;
}

void hook_off(void)
{
	write_file(PARAMS "test_hooks", "0");
	hooks_on = false;
}
