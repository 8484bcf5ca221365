// SPDX-License-Identifier: GPL-2.0
/*
 * A reader's filter: a BPF program that is shown a copy of each message, and says
 * whether it is read. As everywhere, the copy is good only if the tail has not passed
 * the message afterwards; only then the program is run, with no lock held but that of
 * a read-write file's readers.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/log2.h>
#include <linux/sched/signal.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include "filter.h"
#include "hook.h"
#include "watermark.h"

#define ENTRY_SIZE	sizeof(struct mq_entry)
#define HEAD_SIZE	sizeof(struct mq_filter_head)
#define PACKET_MAX	(HEAD_SIZE + MQ_FILTER_PAYLOAD + MQ_FILTER_ATTRS)
#define PACKET_MIN	512UL

/**
 * struct mq_program - a file's filter
 * @ref: the file's reference, and one for each read that uses it
 * @prog: the program; owned, or referenced if it is eBPF
 * @skb: its packet, kept from read to read; NULL while one has it (xchg)
 * @entries: for the batch of a record file, likewise
 */
struct mq_program {
	refcount_t ref;
	struct bpf_prog *prog;
	struct sk_buff *skb;
	struct mq_entry *entries;
};

/* One read's use of it. */
struct run {
	struct mq_program *program;
	struct sk_buff *skb;
	struct mq_entry *entries;
	bool record;
	u64 passed_over;
};

static void program_put(struct mq_program *program)
{
	if (!program || !refcount_dec_and_test(&program->ref))
		return;
	bpf_prog_destroy(program->prog);
	consume_skb(program->skb);
	kvfree(program->entries);
	kfree(program);
}

static bool run_begin(struct run *run, struct mq_file *f)
{
	struct mq_program *program;

	memset(run, 0, sizeof(*run));
	run->record = READ_ONCE(f->record);
	spin_lock(&f->lock);
	program = f->filter;
	if (program)
		refcount_inc(&program->ref);
	spin_unlock(&f->lock);
	if (!program)
		return false;
	run->program = program;
	run->skb = xchg(&program->skb, NULL);
	run->entries = xchg(&program->entries, NULL);
	return true;
}

static void run_end(struct run *run)
{
	struct mq_program *program = run->program;

	/* Another read may have left its own there. */
	if (run->skb && cmpxchg(&program->skb, NULL, run->skb))
		consume_skb(run->skb);
	if (run->entries && cmpxchg(&program->entries, NULL, run->entries))
		kvfree(run->entries);
	program_put(program);
}

/* --- set, replace, clear ---------------------------------------------------- */

/*
 * Of the loads that are not from the packet, those that make sense here. Others look
 * for a device or a network name space, which no message has, or are the machine's.
 */
static int check_classic(struct sock_filter *insns, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++) {
		if (BPF_CLASS(insns[i].code) != BPF_LD || BPF_MODE(insns[i].code) != BPF_ABS ||
		    (s32)insns[i].k >= 0)
			continue;
		switch ((s32)insns[i].k) {
		case SKF_AD_OFF + SKF_AD_NLATTR:
		case SKF_AD_OFF + SKF_AD_NLATTR_NEST:
		case SKF_AD_OFF + SKF_AD_RANDOM:
			break;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static struct bpf_prog *get_classic(const struct mq_filter *arg)
{
	struct sock_fprog fprog = {
		.len = arg->len,
		.filter = u64_to_user_ptr(arg->insns),
	};
	struct bpf_prog *prog;
	int err;

	if (!arg->len || arg->len > BPF_MAXINSNS || arg->prog_fd)
		return ERR_PTR(-EINVAL);
	err = bpf_prog_create_from_user(&prog, &fprog, check_classic, false);
	/* The compiler's only reason is memory, and that is no errno of user space's. */
	if (err == -ENOTSUPP)
		err = -ENOMEM;
	return err ? ERR_PTR(err) : prog;
}

static struct bpf_prog *get_ebpf(const struct mq_filter *arg)
{
	if (arg->insns || arg->len)
		return ERR_PTR(-EINVAL);
	return bpf_prog_get_type_dev(arg->prog_fd, BPF_PROG_TYPE_SOCKET_FILTER, false);
}

/**
 * mq_filter_set() - set, replace or clear a file's filter (MQ_IOC_FILTER)
 * @f: the file, open for reading
 * @arg: which
 *
 * Reads on their way may ask the old one for the message that they are at.
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, or an error of bpf_prog_get_type_dev().
 */
int mq_filter_set(struct mq_file *f, const struct mq_filter *arg)
{
	struct mq_program *program = NULL;
	struct bpf_prog *prog;

	switch (arg->type) {
	case MQ_FILTER_NONE:
		if (arg->insns || arg->len || arg->prog_fd)
			return -EINVAL;
		prog = NULL;
		break;
	case MQ_FILTER_CLASSIC:
		prog = get_classic(arg);
		break;
	case MQ_FILTER_EBPF:
		prog = get_ebpf(arg);
		break;
	default:
		return -EINVAL;
	}
	if (IS_ERR(prog))
		return PTR_ERR(prog);
	if (prog) {
		program = kzalloc(sizeof(*program), GFP_KERNEL_ACCOUNT);
		if (!program) {
			bpf_prog_destroy(prog);
			return -ENOMEM;
		}
		refcount_set(&program->ref, 1);
		program->prog = prog;
	}
	spin_lock(&f->lock);
	swap(f->filter, program);
	WRITE_ONCE(f->special, (f->special & ~MQ_SPECIAL_FILTER) |
			       (prog ? MQ_SPECIAL_FILTER : 0));
	spin_unlock(&f->lock);
	program_put(program);
	return 0;
}

/**
 * mq_filter_free() - let go of a file's filter
 * @f: the file, being released
 */
void mq_filter_free(struct mq_file *f)
{
	program_put(f->filter);
}

/* --- asking it ----------------------------------------------------------------- */

/* An empty packet with room for @len bytes. The bounds make it an allocation that works. */
static struct sk_buff *packet(struct run *run, size_t len)
{
	struct sk_buff *skb = run->skb;

	if (skb) {
		skb_trim(skb, 0);
		if (skb_tailroom(skb) >= len)
			return skb;
		run->skb = NULL;
		consume_skb(skb);
	}
	skb = alloc_skb(clamp_t(size_t, roundup_pow_of_two(len), PACKET_MIN, PACKET_MAX),
			GFP_KERNEL_ACCOUNT);
	if (skb) {
		skb_reset_mac_header(skb);
		skb_reset_network_header(skb);
		skb_reset_transport_header(skb);
	}
	run->skb = skb;
	return skb;
}

static bool copy_from_ring(const struct mq_ring *ring, u64 pos, size_t len, u8 *to)
{
	rcu_read_lock();
	while (len) {
		size_t seg;
		const void *from = mq_ring_ptr(ring, pos, &seg);

		if (!from)
			break;
		seg = min(seg, len);
		memcpy(to, from, seg);
		to += seg;
		pos += seg;
		len -= seg;
	}
	rcu_read_unlock();
	return !len;
}

static void fill_head(struct mq_filter_head *h, const struct mq_cursor *c,
		      const struct mq_entry *e, u32 payload, u32 attrs_at, u32 attrs)
{
	h->size = cpu_to_be32(HEAD_SIZE);
	h->payload_len = cpu_to_be32(payload);
	h->attrs_at = cpu_to_be32(attrs_at);
	h->attrs_len = cpu_to_be32(attrs);
	h->len = cpu_to_be32(e->len);
	h->attr_len = cpu_to_be32(e->attr_len);
	h->offset = cpu_to_be64(e->offset);
	h->position = cpu_to_be64(e->position);
	h->timestamp = cpu_to_be64(e->timestamp);
	h->flags = cpu_to_be32(e->flags);
	h->key_hash = cpu_to_be32(e->key_hash);
	h->partition = cpu_to_be32(c->part->number);
	h->epoch = cpu_to_be32(e->epoch);
	h->pid = cpu_to_be32(e->pid);
	h->uid = cpu_to_be32(e->uid);
}

/* 1 if the message passes, 0 if not; -ENOBUFS if it is no longer retained; -ENOMEM. */
static int ask(struct run *run, const struct mq_cursor *c, const struct mq_entry *e)
{
	u32 payload = min_t(u32, e->len, MQ_FILTER_PAYLOAD);
	u32 attrs = min_t(u32, e->attr_len, MQ_FILTER_ATTRS);
	u32 attrs_at = HEAD_SIZE + ALIGN(payload, 4);
	const struct mq_log *log = &c->part->log;
	struct sk_buff *skb = packet(run, attrs_at + attrs);
	bool passes;
	u8 *data;

	BUILD_BUG_ON(HEAD_SIZE != 72);
	if (!skb)
		return -ENOMEM;
	data = skb_put(skb, attrs_at + attrs);
	fill_head((struct mq_filter_head *)data, c, e, payload, attrs_at, attrs);
	memset(data + HEAD_SIZE + payload, 0, attrs_at - HEAD_SIZE - payload);
	if (!copy_from_ring(&log->data, e->position, payload, data + HEAD_SIZE) ||
	    !copy_from_ring(&log->attrs, e->attr_position, attrs, data + attrs_at))
		return -ENOBUFS;
	mq_hook(MQ_HOOK_READ_COPIED, c->part);
	if (!mq_log_valid_from(log, e->offset))
		return -ENOBUFS;
	/* For the maps of an eBPF program. */
	rcu_read_lock();
	passes = bpf_prog_run_clear_cb(run->program->prog, skb);
	rcu_read_unlock();
	return passes;
}

static void pass_over(struct mq_place *at, const struct mq_entry *e)
{
	at->off = e->offset + 1;
	at->pos = e->position + e->len;
	at->empties += !e->len;
}

/* Go on to the message at @at, if there is one: 1 and its entry, 0 at the end, or -ENOBUFS. */
static int look(const struct run *run, const struct mq_cursor *c, struct mq_place *at,
		struct mq_entry *e)
{
	const struct mq_log *log = &c->part->log;
	struct mq_bounds b;

	do {
		mq_log_bounds(log, &b);
		if (run->record) {
			if (at->off < b.tail_off)
				return -ENOBUFS;
			if (at->off >= min(b.head_off, READ_ONCE(c->until.off)))
				return 0;
		} else {
			if (at->pos < b.tail_pos)
				return -ENOBUFS;
			if (at->pos >= min(b.head_pos, READ_ONCE(c->until.pos)))
				return 0;
			/* Only messages without payload can have been passed here. */
			if (at->off < b.tail_off) {
				at->off = b.tail_off;
				at->empties = b.tail_empty;
			}
		}
		mq_hook(MQ_HOOK_READ_START, c->part);
		if (mq_log_entry(log, at->off, e))
			return 1;
	} while (!run->record && mq_place_empties_gone(log, at));
	return -ENOBUFS;
}

/*
 * Go on to the first message from @at on that passes: 1 and its entry; 0 at the end;
 * -ENOBUFS if the place is no longer retained; -ERESTARTSYS; -ENOMEM. @at has moved over
 * what does not pass in any case.
 */
static int find_next(struct run *run, const struct mq_cursor *c, struct mq_place *at,
		     struct mq_entry *e)
{
	bool passed;
	int ret;

	while ((ret = look(run, c, at, e)) > 0) {
		passed = !run->record && e->position + e->len <= at->pos;
		/* It was begun. */
		if (!run->record && !passed && e->position < at->pos)
			return 1;
		if (passed) {
			at->off++;
			at->empties += !e->len;
		} else {
			ret = ask(run, c, e);
			if (ret)
				return ret;
			pass_over(at, e);
			run->passed_over++;
		}
		cond_resched();
		/* Not signal_pending(): to io_uring its own task work is no interruption. */
		if (task_sigpending(current))
			return -ERESTARTSYS;
	}
	return ret;
}

/* --- reading ------------------------------------------------------------------- */

/* A message; on a line topic as many whole lines as fit. As read_plain(). */
static ssize_t read_payloads(struct run *run, struct mq_file *f, struct mq_cursor *c,
			     struct mq_place *at, struct iov_iter *to)
{
	bool lines = READ_ONCE(f->topic->framing) == MQ_FRAMING_LINE;
	struct mq_entry e;
	size_t room, rest;
	ssize_t done = 0, ret;

	for (;;) {
		ret = find_next(run, c, at, &e);
		if (ret <= 0)
			break;
		room = iov_iter_count(to);
		rest = e.position + e.len - at->pos;
		if (done && rest > room)
			break;
		/* So that it takes this message and no other. */
		iov_iter_truncate(to, rest);
		ret = mq_read_payload(f, c, at, to);
		iov_iter_reexpand(to, room - max_t(ssize_t, ret, 0));
		if (ret <= 0)
			break;
		done += ret;
		if (!lines || ret < rest || !iov_iter_count(to))
			break;
	}
	return done ?: ret;
}

/* What a batch holds so far, and what did not pass before its first message. */
struct content {
	u32 count;
	u64 attrs;
	u64 payload;
	u64 passed_over;
};

static u64 batch_size(const struct content *in, const struct mq_entry *more)
{
	return sizeof(struct mq_batch) + (in->count + 1) * ENTRY_SIZE +
	       ALIGN(in->attrs + more->attr_len, 8) + in->payload + more->len;
}

/*
 * Collect the messages that pass and fit. @next: the place behind them, and behind what did
 * not pass there. 1 if there are any, else as find_next(), or -EMSGSIZE.
 */
static int collect(struct run *run, const struct mq_cursor *c, struct mq_place *next,
		   size_t want, struct content *in)
{
	struct mq_entry *e;
	int ret = 0;

	if (!run->entries)
		run->entries = kvmalloc_array(MQ_FILTER_BATCH, ENTRY_SIZE, GFP_KERNEL_ACCOUNT);
	if (!run->entries)
		return -ENOMEM;
	while (in->count < MQ_FILTER_BATCH) {
		e = &run->entries[in->count];
		ret = find_next(run, c, next, e);
		if (ret <= 0)
			break;
		if (batch_size(in, e) > want) {
			ret = -EMSGSIZE;
			break;
		}
		if (!in->count)
			in->passed_over = run->passed_over;
		in->count++;
		in->attrs += e->attr_len;
		in->payload += e->len;
		pass_over(next, e);
	}
	return in->count ? 1 : ret;
}

/* Bytes copied, page faults off within each piece. */
static size_t copy_batch(const struct run *run, const struct mq_log *log,
			 const struct mq_batch *batch, struct iov_iter *to)
{
	static const u64 zero;
	size_t pad = ALIGN(batch->attrs_len, 8) - batch->attrs_len, done, len;
	u32 i;

	pagefault_disable();
	len = sizeof(*batch) + batch->entries_len;
	done = copy_to_iter(batch, sizeof(*batch), to);
	if (done == sizeof(*batch))
		done += copy_to_iter(run->entries, batch->entries_len, to);
	pagefault_enable();
	for (i = 0; i < batch->count && batch->attrs_len && done == len; i++) {
		const struct mq_entry *e = &run->entries[i];

		len += e->attr_len;
		done += mq_read_copy_out(&log->attrs, e->attr_position, e->attr_len, to);
	}
	if (done == len) {
		pagefault_disable();
		len += pad;
		done += copy_to_iter(&zero, pad, to);
		pagefault_enable();
	}
	for (i = 0; i < batch->count && done == len; i++) {
		const struct mq_entry *e = &run->entries[i];

		len += e->len;
		done += mq_read_copy_out(&log->data, e->position, e->len, to);
	}
	return done;
}

/* A batch of messages that pass. As read_record(). */
static ssize_t read_batch(struct run *run, struct mq_file *f, struct mq_cursor *c,
			  struct mq_place *at, struct iov_iter *to)
{
	const struct mq_log *log = &c->part->log;
	struct mq_batch batch = {
		.size = sizeof(batch),
		.entry_size = ENTRY_SIZE,
		.partition = c->part->number,
		.flags = MQ_BATCH_FILTERED,
	};
	struct mq_place next = *at;
	struct content in = { 0 };
	size_t len, done;
	ssize_t ret;

	if (iov_iter_count(to) < sizeof(batch) + ENTRY_SIZE)
		return -EMSGSIZE;
	ret = collect(run, c, &next, iov_iter_count(to), &in);
	if (ret <= 0) {
		*at = next;
		return ret;
	}
	/* If it is overrun now, what did not pass before it is not lost. */
	at->off = run->entries[0].offset;
	at->pos = run->entries[0].position;

	memcpy(batch.topic_id, f->topic->id, sizeof(batch.topic_id));
	batch.count = in.count;
	batch.epoch = READ_ONCE(log->epoch);
	batch.entries_len = in.count * ENTRY_SIZE;
	batch.attrs_len = in.attrs;
	batch.payload_len = in.payload;
	len = sizeof(batch) + batch.entries_len + ALIGN(in.attrs, 8) + in.payload;
	for (;;) {
		done = copy_batch(run, log, &batch, to);
		mq_hook(MQ_HOOK_RECORD_COPIED, c->part);
		if (!mq_log_valid_from(log, at->off)) {
			iov_iter_revert(to, done);
			ret = -ENOBUFS;
			goto undo;
		}
		if (done == len)
			break;
		iov_iter_revert(to, done);
		ret = mq_read_fault_in(to, len);
		if (ret < 0)
			goto undo;
		if (ret < len) {
			ret = -EFAULT;
			goto undo;
		}
	}
	mq_count_out(c->part, in.count, in.payload);
	*at = next;
	return len;

undo:
	/* What did not pass between the messages is seen again, or lost. */
	run->passed_over = in.passed_over;
	return ret;
}

/* One try at one cursor. @at has moved even where nothing was read. */
static ssize_t read_at(struct run *run, struct mq_file *f, struct mq_cursor *c,
		       struct mq_place *at, struct iov_iter *to, bool own)
{
	ssize_t ret;

	do {
		ret = run->record ? read_batch(run, f, c, at, to) :
				    read_payloads(run, f, c, at, to);
	} while (ret == -ENOBUFS && !(ret = mq_reader_overrun(f, c, at, own)));
	if (!own)
		return ret;
	mq_cursor_store(f, c, at);
	mq_reader_read(f, c, at);
	atomic64_add(run->passed_over, &f->filtered);
	run->passed_over = 0;
	return ret;
}

static bool ended(const struct run *run, const struct mq_cursor *c, const struct mq_place *at)
{
	return run->record ? at->off >= READ_ONCE(c->until.off) :
			     at->pos >= READ_ONCE(c->until.pos);
}

static ssize_t read_one(struct run *run, struct mq_file *f, struct kiocb *iocb,
			struct iov_iter *to)
{
	loff_t pos = f->keeps_pos ? mq_file_pos(f) : iocb->ki_pos, now;
	bool own = f->keeps_pos || pos == mq_file_pos(f);
	struct mq_cursor *c = &f->first;
	struct mq_place at;
	ssize_t ret;

	if (pos < 0)
		return -EINVAL;
	if (run->record) {
		at = mq_cursor_load(f, c);
		if (at.off != pos && pos > READ_ONCE(c->part->log.b.head_off))
			return -EINVAL;
		at.off = pos;
	} else {
		ret = mq_place_find(f, c, pos, &at);
		if (ret)
			return ret;
	}
	if (own) {
		mq_memo_drop(f);
		mq_reader_shows(f, c, &at, true);
		if (!mq_file_nonblock(f->filp) && mq_watermark_below(f))
			return -EAGAIN;
	}
	ret = read_at(run, f, c, &at, to, own);
	now = run->record ? at.off : at.pos;
	if (own || ret > 0)
		iocb->ki_pos = now;
	/* What did not pass is behind it even where VFS stores no position. */
	if (own && (f->keeps_pos || ret <= 0))
		mq_file_set_pos(f, now);
	return ret || ended(run, c, &at) ? ret : -EAGAIN;
}

static ssize_t read_several(struct run *run, struct mq_file *f, struct kiocb *iocb,
			    struct iov_iter *to)
{
	unsigned int i, nr, turn = READ_ONCE(f->turn);
	bool all_ended = true;
	ssize_t ret;

	if (!f->keeps_pos && iocb->ki_pos != mq_file_pos(f))
		return -ESPIPE;
	ret = mq_file_grow(f);
	if (ret)
		return ret;
	if (!mq_file_nonblock(f->filp) && mq_watermark_below(f))
		return -EAGAIN;
	nr = mq_file_cursors(f);
	for (i = 0; i < nr; i++) {
		unsigned int n = (turn + i) % nr;
		struct mq_cursor *c = mq_file_cursor(f, n);
		struct mq_place at = mq_cursor_load(f, c);

		mq_reader_shows(f, c, &at, true);
		ret = read_at(run, f, c, &at, to, true);
		if (ret > 0) {
			iocb->ki_pos += ret;
			if (f->keeps_pos)
				mq_file_set_pos(f, mq_file_pos(f) + ret);
		}
		if (ret) {
			WRITE_ONCE(f->turn, n + 1);
			return ret;
		}
		all_ended &= ended(run, c, &at);
	}
	return all_ended ? 0 : -EAGAIN;
}

/**
 * mq_filter_read() - one try to read through a filter
 * @f: the file
 * @iocb: the call
 * @to: where to
 *
 * Return: bytes; 0 at an end asked for by until=; -EAGAIN at the end of the log, with
 * the file moved there; an error of a read, -ENOMEM, -ERESTARTSYS.
 */
ssize_t mq_filter_read(struct mq_file *f, struct kiocb *iocb, struct iov_iter *to)
{
	struct run run;
	ssize_t ret;

	/* Cleared since the caller looked. */
	if (!run_begin(&run, f))
		return mq_read_usual(f, iocb, to);
	ret = mq_file_several(f) ? read_several(&run, f, iocb, to) :
				   read_one(&run, f, iocb, to);
	run_end(&run);
	return ret;
}
