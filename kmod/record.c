// SPDX-License-Identifier: GPL-2.0
/*
 * Batches of records that are written: parsed and checked in kernel memory,
 * but for the payloads, which are copied only once, into the ring.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>
#include "append.h"
#include "attr.h"
#include "file.h"
#include "span.h"

/**
 * struct mq_scratch - memory for parsing, kept by the file from write to write
 * @size: bytes of @mem
 * @mem: messages, then attributes, then the partition of each message
 */
struct mq_scratch {
	size_t size;
	u8 mem[] __aligned(8);
};

struct batch {
	struct mq_batch head;
	struct mq_scratch *scratch;
	struct mq_msg *msgs;
	u8 *attrs;
	u16 *parts;
};

static struct mq_scratch *scratch_get(struct mq_file *f, size_t size)
{
	struct mq_scratch *s = xchg(&f->scratch, NULL);

	if (s && s->size >= size)
		return s;
	kvfree(s);
	size = max_t(size_t, roundup_pow_of_two(size + sizeof(*s)), 1024);
	s = kvmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (s)
		s->size = size - sizeof(*s);
	return s;
}

static void scratch_put(struct mq_file *f, struct mq_scratch *s)
{
	/* Two writers on one file: one of them keeps it. */
	if (cmpxchg(&f->scratch, NULL, s))
		kvfree(s);
}

/**
 * mq_scratch_free() - free what writes of records kept
 * @f: the file, being released
 */
void mq_scratch_free(struct mq_file *f)
{
	kvfree(f->scratch);
}

static int copy_in(void *to, size_t len, struct iov_iter *from)
{
	return copy_from_iter(to, len, from) == len ? 0 : -EFAULT;
}

static int copy_in_zeroes(size_t len, struct iov_iter *from, int err)
{
	u8 buf[64];

	while (len) {
		size_t n = min(len, sizeof(buf));

		if (copy_in(buf, n, from))
			return -EFAULT;
		if (memchr_inv(buf, 0, n))
			return err;
		len -= n;
	}
	return 0;
}

static int parse_header(struct mq_file *f, struct mq_batch *h, struct iov_iter *from)
{
	static const u8 no_id[MQ_TOPIC_ID_LEN];
	u64 total = iov_iter_count(from), sum;
	int err;

	if (total < sizeof(*h))
		return -EINVAL;
	if (copy_in(h, sizeof(*h), from))
		return -EFAULT;
	if (h->size < sizeof(*h) || h->size > PAGE_SIZE || h->size % 8 || h->size > total ||
	    h->entry_size < sizeof(struct mq_record))
		return -EINVAL;
	if (h->entry_size > sizeof(struct mq_record))
		return -E2BIG;
	err = copy_in_zeroes(h->size - sizeof(*h), from, -E2BIG);
	if (err)
		return err;
	if (!h->count || h->flags || h->epoch ||
	    h->entries_len != (u64)h->count * sizeof(struct mq_record) ||
	    h->attrs_len % 4)
		return -EINVAL;
	/* Compared before they are added: a sum of hostile numbers may come round. */
	if (h->entries_len > total || h->attrs_len > total || h->payload_len > total)
		return -EINVAL;
	sum = h->size + h->entries_len + ALIGN(h->attrs_len, 8) + h->payload_len;
	if (sum != total)
		return -EINVAL;
	if (memcmp(h->topic_id, no_id, sizeof(no_id)) &&
	    memcmp(h->topic_id, f->topic->id, sizeof(no_id)))
		return -ESTALE;
	if (h->partition != MQ_PARTITION_ANY) {
		if (f->partition >= 0 ? h->partition != f->partition :
		    h->partition >= mq_topic_partitions(f->topic))
			return -EINVAL;
	}
	if (h->count > f->topic->ring_messages / MQ_QUARTER ||
	    h->attrs_len > f->topic->attr_bytes / MQ_QUARTER ||
	    h->payload_len > f->topic->ring_bytes / MQ_QUARTER)
		return -EMSGSIZE;
	return 0;
}

static int parse_records(struct mq_file *f, struct batch *b, struct iov_iter *from)
{
	u64 bytes = 0, attr_bytes = 0;
	u32 bad = 0, attr_lens = 0, longest = 0, i;

	/* All at once, and looked at only here: a message is laid out as its record. */
	if (copy_in(b->msgs, b->head.count * sizeof(*b->msgs), from))
		return -EFAULT;
	/* What will be flags and hash is the record's flags and reserved field. */
	for (i = 0; i < b->head.count; i++) {
		const struct mq_msg *m = &b->msgs[i];

		bad |= m->flags | m->hash;
		attr_lens |= m->attr_len;
		longest = max(longest, m->len);
		bytes += m->len;
		attr_bytes += m->attr_len;
	}
	/* Sums of 32-bit numbers do not come round; if they are right, no part is too long. */
	if (bad || attr_lens % 4 || bytes != b->head.payload_len || attr_bytes != b->head.attrs_len)
		return -EINVAL;
	return longest > READ_ONCE(f->topic->max_message_bytes) ? -EMSGSIZE : 0;
}

static int parse_attrs(struct batch *b, struct iov_iter *from)
{
	size_t pad = ALIGN(b->head.attrs_len, 8) - b->head.attrs_len;
	const u8 *attrs = b->attrs;
	u32 i;
	int err;

	if (!b->head.attrs_len)
		return 0;
	if (copy_in(b->attrs, b->head.attrs_len, from))
		return -EFAULT;
	err = copy_in_zeroes(pad, from, -EINVAL);
	for (i = 0; !err && i < b->head.count; i++) {
		struct mq_msg *m = &b->msgs[i];
		bool has_key;

		err = mq_attr_check(attrs, m->attr_len, &has_key, &m->hash);
		if (has_key)
			m->flags |= MQ_ENTRY_KEY;
		attrs += m->attr_len;
	}
	return err;
}

static int parse(struct mq_file *f, struct batch *b, struct iov_iter *from)
{
	size_t msgs, size;
	int err;

	err = parse_header(f, &b->head, from);
	if (err)
		return err;
	msgs = (size_t)b->head.count * sizeof(*b->msgs);
	size = ALIGN(msgs, 8) + ALIGN(b->head.attrs_len, 8) + b->head.count * sizeof(*b->parts);
	b->scratch = scratch_get(f, size);
	if (!b->scratch)
		return -ENOMEM;
	b->msgs = (struct mq_msg *)b->scratch->mem;
	b->attrs = b->scratch->mem + ALIGN(msgs, 8);
	b->parts = (u16 *)(b->attrs + ALIGN(b->head.attrs_len, 8));
	err = parse_records(f, b, from);
	return err ?: parse_attrs(b, from);
}

/* Where each message goes. Returns true if that is one partition, *p. */
static bool route(struct mq_file *f, struct batch *b, struct mq_partition **p)
{
	u32 i, nr = mq_topic_partitions(f->topic);
	bool one = true;

	if (b->head.partition != MQ_PARTITION_ANY) {
		*p = mq_topic_partition(f->topic, b->head.partition);
		return true;
	}
	*p = f->wpart;
	if (f->partition >= 0 || nr == 1)
		return true;
	for (i = 0; i < b->head.count; i++) {
		const struct mq_msg *m = &b->msgs[i];

		b->parts[i] = m->flags & MQ_ENTRY_KEY ? mq_key_partition(m->hash, nr) :
							(*p)->number;
		one &= b->parts[i] == b->parts[0];
	}
	if (one)
		*p = mq_topic_partition(f->topic, b->parts[0]);
	return one;
}

static void fill_append(struct mq_file *f, struct mq_append *a, const u8 *attrs)
{
	mq_append_init(a, f->topic, f->uid);
	a->attrs = attrs;
	a->lines = READ_ONCE(f->topic->framing) == MQ_FRAMING_LINE;
}

static int write_one(struct mq_file *f, struct batch *b, struct mq_partition *p,
		     struct iov_iter *payload, enum mq_mode mode, bool dsync)
{
	struct mq_append a MQ_APPEND_ON_STACK;
	int err;

	fill_append(f, &a, b->attrs);
	a.msgs = b->msgs;
	a.count = b->head.count;
	a.bytes = b->head.payload_len;
	a.attr_bytes = b->head.attrs_len;
	a.payload = payload;
	err = mq_append_check(f->topic, &a);
	if (!err)
		err = mq_append(p, &a, mode);
	mq_append_done(p, &a);
	if (!err && dsync)
		err = mq_durable_wait(p, a.end, false);
	return err;
}

/*
 * Sort the messages by partition, each partition's in their order: into @sorted,
 * their attributes into @attrs, and which of the partitions into @order.
 */
static unsigned int share_out(struct mq_file *f, const struct batch *b,
			      struct mq_span_part *sp, struct mq_msg *sorted, u8 *attrs,
			      u16 *order)
{
	u32 i, k = 0, nr = mq_topic_partitions(f->topic);
	unsigned int n = 0, part;

	for (part = 0; part < nr; part++) {
		struct mq_append *a = &sp[n].a;
		const u8 *from = b->attrs;

		a->count = 0;
		for (i = 0; i < b->head.count; from += b->msgs[i++].attr_len) {
			const struct mq_msg *m = &b->msgs[i];

			if (b->parts[i] != part)
				continue;
			if (!a->count) {
				fill_append(f, a, attrs);
				a->msgs = sorted + k;
				a->bytes = 0;
			}
			sorted[k++] = *m;
			order[i] = n;
			a->count++;
			a->bytes += m->len;
			memcpy(attrs, from, m->attr_len);
			attrs += m->attr_len;
			a->attr_bytes += m->attr_len;
		}
		cond_resched();
		if (a->count)
			sp[n++].part = mq_topic_partition(f->topic, part);
	}
	return n;
}

static int write_spanning(struct mq_file *f, struct batch *b, struct iov_iter *payload,
			  enum mq_mode mode, bool dsync)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	u32 max = min(mq_topic_partitions(f->topic), b->head.count);
	struct mq_span_part *sp;
	struct mq_msg *sorted;
	unsigned int i, n;
	int err = -ENOMEM;
	u8 *attrs;
	u16 *order;

	sp = kvmalloc_array(max + 1, sizeof(*sp), gfp);
	sorted = kvmalloc_array(b->head.count, sizeof(*sorted), gfp);
	order = kvmalloc_array(b->head.count, sizeof(*order), gfp);
	attrs = kvmalloc(b->head.attrs_len, gfp);
	if (!sp || !sorted || !order || !attrs)
		goto out;
	n = share_out(f, b, sp, sorted, attrs, order);
	for (i = 0, err = 0; !err && i < n; i++)
		err = mq_append_check(f->topic, &sp[i].a);
	if (!err)
		err = mq_span_append(f->topic, sp, n, b->msgs, order, b->head.count,
				     payload, mode);
	for (i = 0; i < n; i++)
		mq_append_done(sp[i].part, &sp[i].a);
	for (i = 0; !err && dsync && i < n; i++)
		err = mq_durable_wait(sp[i].part, sp[i].a.end, false);
out:
	kvfree(attrs);
	kvfree(order);
	kvfree(sorted);
	kvfree(sp);
	return err;
}

/**
 * mq_write_records() - append a batch of records, all or none
 * @f: the file, opened with format=record
 * @from: the batch, see uapi/mq/mq.h
 * @mode: enum mq_mode
 * @dsync: return when it is durable
 *
 * Return: the batch's length; -EINVAL if it is malformed, -EMSGSIZE over a
 * limit, -ESTALE for another topic's id, or an error of mq_append().
 */
ssize_t mq_write_records(struct mq_file *f, struct iov_iter *from, int mode, bool dsync)
{
	size_t total = iov_iter_count(from);
	struct batch b = { .scratch = NULL };
	struct mq_partition *p;
	int err;

	err = parse(f, &b, from);
	if (!err)
		err = route(f, &b, &p) ? write_one(f, &b, p, from, mode, dsync) :
					 write_spanning(f, &b, from, mode, dsync);
	if (b.scratch)
		scratch_put(f, b.scratch);
	return err ?: total;
}
