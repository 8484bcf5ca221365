// SPDX-License-Identifier: GPL-2.0
/* A reader's filter: what passes, by metadata, payload and attributes; what does not is no loss. */
#define _GNU_SOURCE
#include <endian.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "helpers/filter.h"

#define LOAD_HALF(at)	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)

static char big[65536] __attribute__((aligned(8)));

TEST(filter_payload, "messages for which the program returns 0 are passed over: filtered, not lost")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int all = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct mq_stat st;

	need_ret(filter_first(rd, 'y'), 0);
	put(wr, "no 0");
	put(wr, "yes 1");
	put(wr, "no 2");
	put(wr, "no 3");
	put(wr, "yes 4");
	put(wr, "no 5");
	expect_read(rd, "yes 1");
	expect_read(rd, "yes 4");
	expect_err(read(rd, big, 10), EAGAIN);
	st = file_stat(rd);
	expect_eq(st.filtered_messages, 4);
	expect_eq(st.lost_messages, 0);
	expect_eq(st.lag_messages, 0);	/* the last one is behind it, too */
	expect_eq(st.offset, 6);
	expect_eq(fdinfo_u64(rd, "mq-filtered"), 4);
	expect_eq(topic_counters(t).messages_out, 2);
	/* A file of its own: nobody else's reads change. */
	expect_read(all, "no 0");
	expect_eq(file_stat(all).filtered_messages, 0);
}

TEST(filter_change, "a filter is replaced and cleared; what was passed over stays behind")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDWR | O_NONBLOCK);
	const char *texts[] = { "a0", "b1", "c2", "a3", "b4", "c5", "c6" };

	for (int i = 0; i < 7; i++)
		put(wr, texts[i]);
	need_ret(filter_none(rd), 0);	/* there is none: that is no error */
	need_ret(filter_first(rd, 'b'), 0);
	expect_read(rd, "b1");
	need_ret(filter_first(rd, 'a'), 0);
	expect_read(rd, "a3");
	need_ret(filter_none(rd), 0);
	expect_read(rd, "b4");
	expect_read(rd, "c5");
	need_ret(filter(rd, RETURN(0)), 0);
	expect_err(read(rd, big, 10), EAGAIN);
	need_ret(filter(rd, RETURN(0xffffffff)), 0);
	put(wr, "last");
	expect_read(rd, "last");
	expect_eq(file_stat(rd).filtered_messages, 3);
}

TEST(filter_head, "the head has the entry's members in network byte order")
{
	const char *t = topic_new(.partitions = 3, .start_offset = (1ULL << 33) + 7,
				  .start_position = (1ULL << 34) + 9);
	int wr = topic_open(t, "@2+format=record", O_WRONLY);
	int rec = topic_open(t, "@2+format=record", O_RDONLY | O_NONBLOCK);
	struct batch *b = batch_new();
	struct mq_batch head;
	struct rec r;
	ssize_t n;

	batch_add(b, "payload", 7);
	batch_attr(b, MQ_ATTR_KEY, "some key", 8);
	need(batch_write(b, wr, MQ_PARTITION_ANY) > 0);
	n = read(rec, big, sizeof(big));
	need_eq(batch_parse(big, n, &r, 1, &head), 1);
	expect_eq(head.flags, 0);
	struct {
		uint32_t at, value;
	} words[] = {
		{ HEAD(size), PAYLOAD }, { HEAD(payload_len), 7 }, { HEAD(attrs_at), PAYLOAD + 8 },
		{ HEAD(attrs_len), r.e->attr_len }, { HEAD(len), 7 },
		{ HEAD(attr_len), r.e->attr_len },
		{ HEAD(offset), r.e->offset >> 32 }, { HEAD(offset) + 4, r.e->offset },
		{ HEAD(position), r.e->position >> 32 }, { HEAD(position) + 4, r.e->position },
		{ HEAD(timestamp), r.e->timestamp >> 32 }, { HEAD(timestamp) + 4, r.e->timestamp },
		{ HEAD(flags), r.e->flags }, { HEAD(key_hash), r.e->key_hash },
		{ HEAD(partition), 2 }, { HEAD(epoch), r.e->epoch }, { HEAD(pid), r.e->pid },
		{ HEAD(uid), r.e->uid },
	};
	expect_eq(r.e->offset, (1ULL << 33) + 7);
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		int rd = topic_open(t, "@2", O_RDONLY | O_NONBLOCK);

		need_ret(filter(rd, LOAD_WORD(words[i].at), PASS_IF(BPF_JEQ, words[i].value)), 0);
		if (read(rd, big, 100) != 7)
			fail("word at %u is not %#x", words[i].at, words[i].value);
		close(rd);
		rd = topic_open(t, "@2", O_RDONLY | O_NONBLOCK);
		need_ret(filter(rd, LOAD_WORD(words[i].at), PASS_IF(BPF_JEQ, words[i].value + 1)), 0);
		expect_err(read(rd, big, 100), EAGAIN);
		close(rd);
	}
}

TEST(filter_attrs, "attributes are found by SKF_AD_NLATTR from attrs_at on, headers nested")
{
	const char *t = topic_new();
	int wr = topic_open(t, "+format=record", O_WRONLY);
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct batch *b = batch_new();

	batch_add(b, "no attributes", 13);
	batch_add(b, "tag red", 7);
	batch_attr(b, MQ_ATTR_KEY, "k", 1);
	batch_attr(b, MQ_ATTR_TAG, "red", 3);
	batch_add(b, "tag blue", 8);
	batch_attr(b, MQ_ATTR_TAG, "blue", 4);
	need(batch_write(b, wr, MQ_PARTITION_ANY) > 0);
	/* The payload of this one looks like the attribute. */
	batch_reset(b);
	batch_add(b, "\x07\0\x03\0red\0", 8);
	need(batch_write(b, wr, MQ_PARTITION_ANY) > 0);
	need_ret(filter(rd, LOAD_WORD(HEAD(attrs_at)),
			BPF_STMT(BPF_LDX | BPF_IMM, MQ_ATTR_TAG),
			LOAD_WORD((uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0),
			BPF_STMT(BPF_MISC | BPF_TAX, 0),
			BPF_STMT(BPF_LD | BPF_B | BPF_IND, 4),	/* behind its header */
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'r', 0, 1),
			RETURN(1), RETURN(0)), 0);
	expect_read(rd, "tag red");
	expect_err(read(rd, big, 100), EAGAIN);
	expect_eq(file_stat(rd).filtered_messages, 3);
}

TEST(filter_bounds, "16 KiB of payload and 8 KiB of attributes are seen, not a byte more")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), at, past, len;
	int rec = topic_open(t, "+format=record", O_WRONLY);
	struct batch *b = batch_new();

	memset(big, 'x', sizeof(big));
	need_ret(write(wr, big, MQ_FILTER_PAYLOAD + 5), MQ_FILTER_PAYLOAD + 5);
	at = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	past = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	len = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	need_ret(filter(at, LOAD_BYTE(PAYLOAD + MQ_FILTER_PAYLOAD - 1), PASS_IF(BPF_JEQ, 'x')), 0);
	need_ret(filter(past, LOAD_BYTE(PAYLOAD + MQ_FILTER_PAYLOAD), RETURN(1)), 0);
	need_ret(filter(len, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
			PASS_IF(BPF_JEQ, PAYLOAD + MQ_FILTER_PAYLOAD)), 0);
	expect_ret(read(at, big, sizeof(big)), MQ_FILTER_PAYLOAD + 5);
	expect_err(read(past, big, sizeof(big)), EAGAIN);
	expect_ret(read(len, big, sizeof(big)), MQ_FILTER_PAYLOAD + 5);

	for (int i = 0; i < 2; i++) {
		/* Name and value, each with a header of 4 bytes, in a nest that has one. */
		size_t value = MQ_FILTER_ATTRS - 4 - 8 - 4 + 4 * i;

		batch_reset(b);
		batch_add(b, "p", 1);
		batch_header(b, "name", big, value);
		need(batch_write(b, rec, MQ_PARTITION_ANY) > 0);
	}
	need_ret(filter(at, LOAD_WORD(HEAD(attr_len)), BPF_STMT(BPF_MISC | BPF_TAX, 0),
			LOAD_WORD(HEAD(attrs_len)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
			RETURN(1), RETURN(0)), 0);
	need_ret(filter(past, LOAD_WORD(HEAD(attrs_len)),
			PASS_IF(BPF_JEQ, MQ_FILTER_ATTRS)), 0);
	expect_ret(read(at, big, sizeof(big)), 1);
	expect_err(read(at, big, sizeof(big)), EAGAIN);
	expect_ret(read(past, big, sizeof(big)), 1);
	expect_ret(read(past, big, sizeof(big)), 1);
}

TEST(filter_padding, "F.32: behind the payload is zero padding, not what the packet had there before")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);

	put(wr, "yyyyyyyy");
	put(wr, "y");
	need_ret(filter(rd, LOAD_WORD(PAYLOAD), PASS_IF(BPF_JEQ, 'y' << 24)), 0);
	expect_read(rd, "y");
	expect_eq(file_stat(rd).filtered_messages, 1);
}

TEST(filter_line, "on a line topic a read has as many lines that pass as fit, none in pieces")
{
	const char *t = topic_new(.framing = MQ_FRAMING_LINE);
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	char got[16];

	need_ret(filter_first(rd, 'y'), 0);
	put(wr, "y1\nn2\ny3\nn4\ny5 long\nn6\n");
	expect_mem(got, read(rd, got, 10), "y1\ny3\n", 6);
	expect_mem(got, read(rd, got, 3), "y5 ", 3);
	expect_mem(got, read(rd, got, sizeof(got)), "long\n", 5);
	expect_err(read(rd, got, sizeof(got)), EAGAIN);
	expect_eq(file_stat(rd).filtered_messages, 3);
}

TEST(filter_short, "a message that was begun is read to its end, whatever the filter is by then")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);

	put(wr, "yes, all of it");
	put(wr, "next");
	need_ret(filter_first(rd, 'y'), 0);
	expect_mem(big, read(rd, big, 4), "yes,", 4);
	need_ret(filter(rd, RETURN(0)), 0);
	expect_mem(big, read(rd, big, 100), " all of it", 10);
	expect_err(read(rd, big, 100), EAGAIN);
	/* A seek into a message counts as begun. */
	need(lseek(rd, 4, SEEK_SET) == 4);
	expect_read(rd, " all of it");
	need(lseek(rd, 0, SEEK_SET) == 0);
	expect_err(read(rd, big, 100), EAGAIN);
}

TEST(filter_record, "a batch has what passes: offsets with gaps, flagged, everything else in order")
{
	const char *t = topic_new();
	int wr = topic_open(t, "+format=record", O_WRONLY);
	int rd = topic_open(t, "+format=record", O_RDONLY | O_NONBLOCK);
	struct batch *b = batch_new();
	static struct rec r[600];
	struct mq_batch head;
	char payload[16], key[16];
	ssize_t n;

	for (int i = 0; i < 1200; i++) {
		batch_add(b, payload, sprintf(payload, "%c%d", i % 2 ? 'y' : 'n', i));
		if (i % 3 == 0)
			batch_attr(b, MQ_ATTR_KEY, key, sprintf(key, "key %d", i));
	}
	batch_add(b, "", 0);
	need(batch_write(b, wr, MQ_PARTITION_ANY) > 0);
	need_ret(filter_first(rd, 'y'), 0);
	for (int done = 0; done < 600;) {
		n = read(rd, big, sizeof(big));
		n = batch_parse(big, n, r, 600, &head);
		need(n > 0);
		expect_eq(n, done ? 600 - MQ_FILTER_BATCH : MQ_FILTER_BATCH);
		expect_eq(head.flags, MQ_BATCH_FILTERED);
		for (int i = 0; i < n; i++) {
			int number = 2 * (done + i) + 1;
			size_t len = sprintf(payload, "y%d", number);

			expect_eq(r[i].e->offset, number);
			expect_mem(r[i].payload, r[i].e->len, payload, len);
			if (number % 3 == 0) {
				const void *k = rec_attr(&r[i], MQ_ATTR_KEY, 0, &len);

				expect_mem(k, len, key, sprintf(key, "key %d", number));
			}
		}
		done += n;
	}
	expect_err(read(rd, big, sizeof(big)), EAGAIN);
	expect(lseek(rd, 0, SEEK_CUR) == 1201);
	expect_eq(file_stat(rd).filtered_messages, 601);

	/* A buffer for not even one; for just one; by offset. */
	need(lseek(rd, 0, SEEK_SET) == 0);
	expect_err(read(rd, big, 64 + 64 + 1), EMSGSIZE);
	expect(lseek(rd, 0, SEEK_CUR) == 1);
	need_eq(read(rd, big, 64 + 64 + 2), 64 + 64 + 2);
	expect(lseek(rd, 0, SEEK_CUR) >= 2);
	need_eq(batch_parse(big, pread(rd, big, 64 + 64 + 5, 100), r, 1, &head), 1);
	expect_eq(r[0].e->offset, 101);
	/* Tombstones are messages here: by length. */
	need_ret(filter(rd, LOAD_WORD(HEAD(len)), PASS_IF(BPF_JEQ, 0)), 0);
	need_eq(batch_parse(big, read(rd, big, sizeof(big)), r, 1, &head), 1);
	expect_eq(r[0].e->offset, 1200);
}

TEST(filter_partitions, "a file of several partitions filters each; none hides the others")
{
	const char *t = topic_new(.partitions = 3);
	int rd = topic_open(t, "", O_RDONLY | O_NONBLOCK), n = 0;

	for (int i = 0; i < 9; i++) {
		char name[8];

		sprintf(name, "@%d", i % 3);
		put(topic_open(t, name, O_WRONLY), i % 3 == 1 ? "yes" : "no");
	}
	need_ret(filter_first(rd, 'y'), 0);
	while (read(rd, big, 100) == 3 && !memcmp(big, "yes", 3))
		n++;
	expect_eq(n, 3);
	expect_eq(file_stat(rd).filtered_messages, 6);
	expect_eq(file_stat(rd).lag_messages, 0);
}

TEST(filter_pread, "pread at a position of its own is filtered, and moves and counts nothing")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);

	put(wr, "no");
	put(wr, "no");
	put(wr, "yes");
	need_ret(filter_first(rd, 'y'), 0);
	expect_mem(big, pread(rd, big, 100, 2), "yes", 3);
	expect_eq(file_stat(rd).filtered_messages, 0);
	expect(lseek(rd, 0, SEEK_CUR) == 0);
	expect_read(rd, "yes");
	expect(lseek(rd, 0, SEEK_CUR) == 7);
}

TEST(filter_wait, "a read waits until something passes; it is not woken into returning nothing")
{
	static const int modes[] = { O_RDONLY, O_RDWR };
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY);

	for (int i = 0; i < 2; i++) {
		int rd = topic_open(t, "+from=newest", modes[i]);
		struct pollfd p = { rd, POLLIN, 0 };
		struct async a;

		need_ret(filter_first(rd, 'y'), 0);
		async_read(&a, rd, big, 100);
		expect_waits(&a);
		put(wr, "no");
		put(wr, "no");
		expect_waits(&a);
		/* While it waits the file moves on. */
		wait_until(file_stat(rd).filtered_messages == 2, SOON);
		expect_eq(file_stat(rd).lag_messages, 0);
		put(wr, "yes");
		if (async_end(&a, SOON))
			expect_mem(big, a.ret, "yes", 3);
		/* Poll does not ask it; a read that may not wait passes over, and then poll is right. */
		need(!fcntl(rd, F_SETFL, O_NONBLOCK));
		expect_eq(poll(&p, 1, 0), 0);
		put(wr, "no");
		expect_eq(poll(&p, 1, 0), 1);
		expect_err(read(rd, big, 100), EAGAIN);
		expect_eq(poll(&p, 1, 0), 0);
		close(rd);
	}
}

TEST(filter_until, "until=end: 0 at that end, if nothing before it passes; deleted: ENODEV")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd, live = topic_open(t, "", O_RDONLY);
	struct async a;

	put(wr, "no");
	put(wr, "yes");
	put(wr, "no");
	rd = topic_open(t, "+until=end", O_RDONLY);
	put(wr, "yes, but later");
	need_ret(filter_first(rd, 'y'), 0);
	expect_read(rd, "yes");
	expect_ret(read(rd, big, 100), 0);
	expect_ret(read(rd, big, 100), 0);
	need_ret(filter(live, RETURN(0)), 0);
	async_read(&a, live, big, 100);
	expect_waits(&a);
	need_eq(topic_del(t), 0);
	if (async_end(&a, SOON)) {
		expect_eq(a.ret, -1);
		expect_eq(a.error, ENODEV);
	}
}

TEST(filter_hold, "with hold=readers what does not pass is let go of when it is passed over")
{
	const char *t = topic_new(.ring_bytes = 4096, .hold = MQ_HOLD_READERS,
				  .overflow = MQ_OVERFLOW_BLOCK, .set = MQT(OVERFLOW));
	int wr = topic_open(t, "", O_WRONLY | O_NONBLOCK), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);

	need_ret(filter_first(rd, 'y'), 0);
	memset(big, 'n', 1024);
	for (int i = 0; i < 4; i++)
		need_ret(write(wr, big, 1024), 1024);
	expect_err(write(wr, big, 1024), EAGAIN);
	expect_err(read(rd, big, 100), EAGAIN);
	for (int i = 0; i < 4; i++)
		expect_ret(write(wr, big, 1024), 1024);
	expect_eq(file_stat(rd).lost_messages, 0);
	expect_eq(file_stat(rd).filtered_messages, 4);
}

TEST(filter_overrun, "what was overrun before the filter saw it is lost, what it saw is not")
{
	static const char *const names[] = { "", "+format=record" };
	char line[1024];

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new(.ring_bytes = 8192);
		int wr = topic_open(t, "", O_WRONLY);
		int rd = topic_open(t, names[i], O_RDONLY | O_NONBLOCK);
		uint64_t tail;

		need_ret(filter_first(rd, 'y'), 0);
		memset(line, 'n', sizeof(line));
		for (int k = 0; k < 3; k++)
			need_ret(write(wr, line, sizeof(line)), sizeof(line));
		expect_err(read(rd, big, sizeof(big)), EAGAIN);
		for (int k = 0; k < 40; k++)
			need_ret(write(wr, line, sizeof(line)), sizeof(line));
		tail = file_stat(rd).tail_offset;
		need(tail > 3);
		expect_err(read(rd, big, sizeof(big)), ENOBUFS);
		expect_eq(file_stat(rd).lost_messages, tail - 3);
		expect_err(read(rd, big, sizeof(big)), EAGAIN);
		expect_eq(file_stat(rd).filtered_messages, 43 - (tail - 3));
	}
}

/* "n0", "y1", "n2", ... "y9": every second one passes. */
static int alternating(const char *t, const char *options, int flags)
{
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, options, flags);

	for (int i = 0; i < 10; i++) {
		char text[3] = { i % 2 ? 'y' : 'n', '0' + i };

		put(wr, text);
	}
	close(wr);
	need_ret(filter_first(rd, 'y'), 0);
	return rd;
}

TEST(filter_batch_fault, "a batch that the caller's memory does not take: what lies within it is not counted yet")
{
	static const int modes[] = { O_RDONLY, O_RDWR };
	static const size_t room[] = { 10, 110, 386 };	/* of the head, of the entries, of all */
	char *mem = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rec r[10];

	need(mem != MAP_FAILED && !munmap(mem + 4096, 4096));
	for (int i = 0; i < 2; i++) {
		int rd = alternating(topic_new(), "+format=record", modes[i] | O_NONBLOCK);

		for (int k = 0; k < 3; k++) {
			expect_err(read(rd, mem + 4096 - room[k], 4096), EFAULT);
			expect_eq(file_stat(rd).filtered_messages, 1);
			expect(lseek(rd, 0, SEEK_CUR) == 1);
		}
		expect_eq(batch_parse(big, read(rd, big, sizeof(big)), r, 10, NULL), 5);
		expect_eq(file_stat(rd).filtered_messages, 5);
		expect_err(read(rd, big, sizeof(big)), EAGAIN);
		expect_eq(file_stat(rd).filtered_messages, 5);
		expect_eq(file_stat(rd).lost_messages, 0);
		close(rd);
	}
}

TEST(filter_batch_overrun, "a batch overrun while it is copied: each message is read, filtered or lost, once")
{
	static const char *const options[] = { "+format=record", "+format=record+overrun=skip" };
	struct rec r[10];

	for (int i = 0; i < 2; i++) {
		const char *t = topic_new();
		int rd = alternating(t, options[i], O_RDONLY | O_NONBLOCK);

		hook_arm("record-copied", t, 0, 6);
		if (!i)
			expect_err(read(rd, big, sizeof(big)), ENOBUFS);
		/* n0 was filtered, y1 to y5 are lost; of n6 to y9 two pass. */
		expect_eq(batch_parse(big, read(rd, big, sizeof(big)), r, 10, NULL), 2);
		expect_eq(hook_hits(), 1);
		hook_off();
		expect_err(read(rd, big, sizeof(big)), EAGAIN);
		expect_eq(file_stat(rd).lost_messages, 5);
		expect_eq(file_stat(rd).filtered_messages, 3);
		if (failures())
			note("... with %s", options[i]);
	}
}

TEST(filter_torn, "a message that is overrun while the filter has its copy is not judged by it")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);

	need_ret(filter_first(rd, 'y'), 0);
	for (int i = 0; i < 5; i++)
		put(wr, "no");
	put(wr, "yes");
	hook_arm("read-copied", t, 0, 2);
	expect_err(read(rd, big, 100), ENOBUFS);
	hook_off();
	expect_eq(file_stat(rd).lost_messages, 2);
	expect_eq(file_stat(rd).filtered_messages, 0);
	expect_read(rd, "yes");
	expect_eq(file_stat(rd).filtered_messages, 3);
}

TEST(filter_empties, "if only messages without payload are gone, which it passes anyhow, nothing is lost")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int rec = topic_open(t, "+format=record", O_WRONLY);
	struct batch *b = batch_new();

	need_ret(filter_first(rd, 'y'), 0);
	batch_add(b, "", 0);
	batch_add(b, "", 0);
	need(batch_write(b, rec, MQ_PARTITION_ANY) > 0);
	put(wr, "yes");
	hook_arm("read-start", t, 0, 2);
	expect_read(rd, "yes");
	expect(!hook_armed());
	hook_off();
	expect_eq(file_stat(rd).lost_messages, 0);
	expect_eq(file_stat(rd).overruns, 0);
}

TEST(filter_splice, "splice and sendfile are EINVAL while there is a filter")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY), p[2];

	need(!pipe(p));
	put(wr, "data");
	need_ret(filter(rd, RETURN(1)), 0);
	expect_err(splice(rd, NULL, p[1], NULL, 100, 0), EINVAL);
	expect_err(sendfile(p[1], rd, NULL, 100), EINVAL);
	need_ret(filter_none(rd), 0);
	expect_ret(splice(rd, NULL, p[1], NULL, 100, 0), 4);
}

TEST(filter_ebpf_prog, "an eBPF socket filter; another type is EINVAL, no program EINVAL or EBADF")
{
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	int prog = ebpf_load(BPF_PROG_TYPE_SOCKET_FILTER, 'n');

	need(prog >= 0);
	need_ret(filter_ebpf(rd, prog), 0);
	close(prog);	/* the file has its own reference */
	put(wr, "no");
	put(wr, "yes");
	expect_read(rd, "yes");
	expect_err(read(rd, big, 100), EAGAIN);
	prog = ebpf_load(BPF_PROG_TYPE_SCHED_CLS, 'n');
	need(prog >= 0);
	expect_err(filter_ebpf(rd, prog), EINVAL);
	expect_err(filter_ebpf(rd, wr), EINVAL);
	expect_err(filter_ebpf(rd, -1), EBADF);
	put(wr, "no");		/* and the old one is still there */
	expect_err(read(rd, big, 100), EAGAIN);
	expect_eq(file_stat(rd).filtered_messages, 2);
}

TEST(filter_refused, "A.6: bad programs, members and files are refused, and the old filter stays")
{
	static struct sock_filter many[BPF_MAXINSNS + 1];
	const char *t = topic_new();
	int wr = topic_open(t, "", O_WRONLY), rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
	struct sock_filter ret = RETURN(1);
	struct mq_filter f = { .size = sizeof(f), .type = MQ_FILTER_CLASSIC,
			       .insns = (uintptr_t)&ret, .len = 1 };
	static const uint32_t loads[] = {
		SKF_AD_OFF + SKF_AD_PROTOCOL, SKF_AD_OFF + SKF_AD_IFINDEX, SKF_AD_OFF + SKF_AD_CPU,
		SKF_AD_OFF + SKF_AD_PAY_OFFSET, SKF_AD_OFF + SKF_AD_VLAN_TPID,
		SKF_NET_OFF, SKF_LL_OFF, 0xffffffff,
	};

	need_ret(filter_first(rd, 'y'), 0);
	expect_err(ioctl(wr, MQ_IOC_FILTER, &f), EBADF);
	for (unsigned int i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		expect_err(filter(rd, LOAD_WORD(loads[i]), RETURN(1)), EINVAL);
	expect_err(filter(rd, LOAD_WORD(0)), EINVAL);		/* no return */
	expect_err(filter_set(rd, &ret, 0), EINVAL);
	expect_err(filter_set(rd, bad_ptr, 1), EFAULT);
	for (int i = 0; i < BPF_MAXINSNS + 1; i++)
		many[i] = ret;
	expect_err(filter_set(rd, many, BPF_MAXINSNS + 1), EINVAL);
	expect_err(filter_set(rd, many, 0x10001), EINVAL);	/* not 1 */
	f.type = 3;
	expect_err(ioctl(rd, MQ_IOC_FILTER, &f), EINVAL);
	f.type = MQ_FILTER_NONE;
	expect_err(ioctl(rd, MQ_IOC_FILTER, &f), EINVAL);
	f.type = MQ_FILTER_EBPF;
	expect_err(ioctl(rd, MQ_IOC_FILTER, &f), EINVAL);
	f.type = MQ_FILTER_CLASSIC;
	f.prog_fd = 1;
	expect_err(ioctl(rd, MQ_IOC_FILTER, &f), EINVAL);
	put(wr, "no");
	put(wr, "yes");
	expect_read(rd, "yes");
	expect_ret(filter_set(rd, many, BPF_MAXINSNS), 0);
}

TEST(filter_user, "a user who may read may filter with classic BPF, without any privilege")
{
	const char *t = topic_new(.mode = 0444);
	int wr = topic_open(t, "", O_WRONLY);
	pid_t pid;

	put(wr, "no");
	put(wr, "yes");
	pid = fork();
	if (!pid) {
		int rd;

		need(!setgid(1000) && !setuid(1000));
		rd = topic_open(t, "", O_RDONLY | O_NONBLOCK);
		need_ret(filter_first(rd, 'y'), 0);
		expect_read(rd, "yes");
		_exit(failures() ? 1 : 0);
	}
	expect_eq(child_wait(pid, SOON), 0);
}
