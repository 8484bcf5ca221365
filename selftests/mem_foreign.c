// SPDX-License-Identifier: GPL-2.0
/*
 * Whoever looks into a topic sees what was written to it, and zeros: nothing of another
 * topic that had the memory before, nothing of the kernel's stack or heap; and what goes
 * wrong leaves no trace in the kernel log.
 */
#include "helpers/map.h"

#include <linux/netlink.h>
#include <netlink/msg.h>

#define RING 65536U

/* A topic whose rings are full, of attributes, too, and gone. */
static void secret(void)
{
	const char *t = topic_new(.ring_bytes = RING, .ring_messages = 256, .attr_bytes = 16384);
	int fd = topic_open(t, "+format=record", O_WRONLY);
	struct batch *b = batch_new();
	char payload[500], key[100];

	memset(payload, 0xa5, sizeof(payload));
	memset(key, 0xa5, sizeof(key));
	batch_add(b, payload, sizeof(payload));
	batch_attr(b, MQ_ATTR_KEY, key, sizeof(key));
	for (int i = 0; i < 600; i++)
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
	expect(partition_state(t, 0).stats.wraps > 2);
	batch_free(b);
	close(fd);
	need_eq(topic_del(t), 0);
}

static void expect_zeros(const struct map *m, const char *what, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at++) {
		if (m->base[at]) {
			fail("%s: byte %llu of the map is %#x", what, (unsigned long long)at,
			     m->base[at]);
			return;
		}
	}
}

TEST_LIMIT(mapped, "F.32: a map shows what was written and zeros, whatever had the memory before", 120)
{
	for (int round = 0; round < 20 && failures() < 5; round++) {
		const struct mq_map_header *h;
		struct mq_entry e;
		struct batch *b;
		const char *t;
		struct map m;
		int fd;

		secret();
		module_settled();
		t = topic_new(.ring_bytes = RING, .ring_messages = 256, .attr_bytes = 16384);
		fd = topic_open(t, "+format=record", O_WRONLY);
		b = batch_new();
		batch_add(b, "mine", 4);
		batch_attr(b, MQ_ATTR_KEY, "key", 3);
		need(batch_write(b, fd, MQ_PARTITION_ANY) > 0);
		m = map_topic(t, "");
		h = m.h;
		expect_eq(map_read(&m, 0, &e), MAP_GOOD);
		expect_mem(map_payload(&m, 0), e.len, "mine", 4);
		expect_zeros(&m, "header", h->size, h->index_at);
		expect_zeros(&m, "index", h->index_at + 64, h->attrs_at);
		/* The second time the first message stands there once more. */
		expect_zeros(&m, "attributes", h->attrs_at + e.attr_len, h->attrs_at + h->attrs_size);
		expect_zeros(&m, "data", h->data_at + e.len, h->data_at + h->data_size);
		map_close(&m);
		batch_free(b);
		close(fd);
		need_eq(topic_del(t), 0);
	}
}

TEST(behind, "F.32: read, record read, pread and splice give as many bytes as they say, and those")
{
	const char *t = topic_new(.ring_bytes = RING);
	int fd, p[2];
	char buf[8192];
	ssize_t n;

	secret();
	fd = topic_open(t, "", O_WRONLY);
	need_ret(write(fd, "x", 1), 1);
	close(fd);
	for (int how = 0; how < 4; how++) {
		fd = topic_open(t, how == 1 ? "+format=record" : "", O_RDONLY);
		memset(buf, 0x5a, sizeof(buf));
		if (how == 3) {
			need_ret(pipe(p), 0);
			need_ret(splice(fd, NULL, p[1], NULL, sizeof(buf), 0), 1);
			close(p[1]);
			n = read(p[0], buf, sizeof(buf));
			close(p[0]);
		} else {
			n = how == 2 ? pread(fd, buf, sizeof(buf), 0) : read(fd, buf, sizeof(buf));
		}
		expect_eq(n, how == 1 ? sizeof(struct mq_batch) + sizeof(struct mq_entry) + 1 : 1);
		expect_eq(buf[n > 0 ? n - 1 : 0], 'x');
		for (size_t i = n; i < sizeof(buf); i++)
			if (buf[i] != 0x5a) {
				fail("way %d: byte %zu behind the message was written", how, i);
				break;
			}
		close(fd);
	}
}

struct walk {
	unsigned int messages, attributes, padding;
};

/* Padding is zero; so are what the kernel calls reserved. */
static void walk_attrs(struct walk *w, const struct nlattr *a, int len)
{
	int rest;

	for (; len > 0 && nla_ok(a, len); a = nla_next(a, &len)) {
		const char *data = nla_data(a);

		w->attributes++;
		for (int i = nla_len(a); i < NLA_ALIGN(nla_len(a)); i++) {
			w->padding++;
			if (data[i])
				fail("attribute %d: padding %#x", nla_type(a), data[i]);
		}
		if (a->nla_type & NLA_F_NESTED)
			walk_attrs(w, nla_data(a), nla_len(a));
	}
	rest = len;
	expect_eq(rest, 0);
}

static void walk_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct genlmsghdr { uint8_t cmd, version; uint16_t reserved; } *g = nlmsg_data(nlh);
	struct walk *w = arg;

	w->messages++;
	expect_eq(g->reserved, 0);
	walk_attrs(w, (const void *)(g + 1), nlmsg_datalen(nlh) - sizeof(*g));
}

TEST(netlink, "F.32: every byte of a netlink answer is defined, padding included")
{
	static const int commands[] = { MQ_CMD_TOPIC_GET, MQ_CMD_PARTITION_GET, MQ_CMD_READER_GET };
	struct walk w = { 0 };
	const char *t = topic_new(.partitions = 3, .stamp = MQ_STAMP_UID);
	int fd = topic_open(t, "@1", O_RDONLY);

	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		expect_eq(nl_call(nl_request(commands[i], NLM_F_DUMP), walk_message, &w), 0);
	note("%u messages, %u attributes, %u bytes of padding", w.messages, w.attributes, w.padding);
	/* Three one-byte attributes of the topic have padding; names' depends on their length. */
	expect(w.messages >= 5 && w.attributes > 50 && w.padding >= 9);
	close(fd);
}

/* What nobody has a right to, or what is nonsense, as an ordinary user. */
static void nonsense(void *arg)
{
	const char *t = arg;
	char buf[4096], name[300];

	need_ret(setgid(1000), 0);
	need_ret(setuid(1000), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		int fd = topic_try_open(t, i & 1 ? "+format=record" : "", O_RDWR | O_NONBLOCK);

		need(fd >= 0);
		memset(buf, i, sizeof(buf));
		/* What comes back is for the other tests. */
		if (write(fd, i & 1 ? buf : bad_ptr, sizeof(buf)) == -1 && errno == EIO)
			fail("write: EIO");
		ioctl(fd, i * 2654435761U, buf);
		ioctl(fd, MQ_IOC_SEEK, buf);
		lseek(fd, -(off_t)i, SEEK_SET);
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)i << 12);
		snprintf(name, sizeof(name), "+from=%u%c", i, 'a' + i % 26);
		topic_try_open(t, name, O_RDONLY);
		topic_del(t);
		close(fd);
	}
}

TEST_LIMIT(quiet, "F.33: thousands of bad calls of a user leave nothing in the kernel log", 120)
{
	const char *t = topic_new(.mode = 0666, .ring_bytes = RING);
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const char *probe = "mem_foreign begins\n";
	char line[8192];
	bool seen = false;
	ssize_t n;

	need(kmsg >= 0);
	need_ret(lseek(kmsg, 0, SEEK_END), 0);
	need_eq(write_file("/dev/kmsg", probe), 0);
	child_ok(child_start(nonsense, (void *)t), 100);
	do {
		n = read(kmsg, line, sizeof(line) - 1);
		if (n <= 0)	/* EPIPE: some are gone already */
			continue;
		line[n] = 0;
		if (strstr(line, probe))
			seen = true;
		else if (strstr(line, "mq") || strstr(line, "mem_foreign"))
			fail("the kernel says: %s", line);
	} while (n > 0 || (n == -1 && errno == EPIPE));
	expect(seen);
}
