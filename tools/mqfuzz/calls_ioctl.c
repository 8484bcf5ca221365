// SPDX-License-Identifier: GPL-2.0
/* ioctls. */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mq/mq.h>

#include "fuzz.h"

/* Calls with a structure that begins with its size: @size, or 0, its own. */
static long sized(const struct call *c, unsigned long cmd, void *arg, size_t own, uint64_t size)
{
	/* As large as any size that the kernel believes. */
	uint32_t buf[2048] = { 0 };
	long ret;

	memcpy(buf, arg, own);
	buf[0] = size ? size : own;
	ret = ioctl(slot_fd(c->arg[0]), cmd, size == 1 ? (void *)8 : buf);
	memcpy(arg, buf, own);
	return ret;
}

long do_features(struct thread *t, const struct call *c)
{
	struct mq_features f = { 0 };

	(void)t;
	return sized(c, MQ_IOC_FEATURES, &f, sizeof(f), c->arg[1]);
}

long do_stat(struct thread *t, const struct call *c)
{
	struct mq_stat st = { 0 };
	long ret = sized(c, MQ_IOC_STAT, &st, sizeof(st), c->arg[1]);

	(void)t;
	if (!ret && st.head_offset < st.tail_offset && st.partition != MQ_PARTITION_ANY)
		finding("stat: head %llu before tail %llu", (unsigned long long)st.head_offset,
			(unsigned long long)st.tail_offset);
	return ret;
}

long do_seek(struct thread *t, const struct call *c)
{
	struct mq_seek seek = { .whence = c->arg[1], .value = c->arg[2] };

	(void)t;
	if (seek.whence < MQ_SEEK_OFFSET && !(c->arg[2] & 7))
		seek.value = 0;
	return sized(c, MQ_IOC_SEEK, &seek, sizeof(seek), c->arg[3]);
}

long do_getopt(struct thread *t, const struct call *c)
{
	struct mq_options o = { 0 };

	(void)t;
	return sized(c, MQ_IOC_GET_OPTIONS, &o, sizeof(o), c->arg[1]);
}

long do_setopt(struct thread *t, const struct call *c)
{
	struct mq_options o = {
		.mask = c->arg[1], .format = c->arg[2], .overrun = c->arg[3], .until = c->arg[4]
	};

	(void)t;
	return sized(c, MQ_IOC_SET_OPTIONS, &o, sizeof(o), c->arg[5]);
}

/* Two eBPF programs, loaded once: everything passes, nothing does; one that looks. */
static int ebpf(unsigned int which)
{
	static _Atomic int fds[3];
	static const struct bpf_insn looks[] = {
		/* r6 = ctx; if (skb_load_bytes(r6, 72, r10 - 8, 1)) return 0; return its byte & 1 */
		{ 0xbf, 6, 1, 0, 0 }, { 0xb7, 2, 0, 0, 72 }, { 0xbf, 3, 10, 0, 0 },
		{ 0x07, 3, 0, 0, -8 }, { 0xb7, 4, 0, 0, 1 }, { 0x85, 0, 0, 0, 26 },
		{ 0x55, 0, 0, 3, 0 }, { 0x71, 0, 10, -8, 0 }, { 0x57, 0, 0, 0, 1 }, { 0x95, 0, 0, 0, 0 },
		{ 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 },
	};
	const struct bpf_insn constant[] = {
		{ 0xb7, 0, 0, 0, which }, { 0x95, 0, 0, 0, 0 },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)(which == 2 ? looks : constant),
		.insn_cnt = which == 2 ? ARRAY_SIZE(looks) : ARRAY_SIZE(constant),
		.license = (uintptr_t)"GPL",
	};
	int fd = fds[which], none = 0, loaded;

	if (fd > 0)
		return fd;
	loaded = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (loaded < 0)
		return -1;
	/* Below the files of programs, where it stays. */
	fd = dup2(loaded, 60 + which);
	close(loaded);
	atomic_compare_exchange_strong(&fds[which], &none, fd);
	return fd;
}

long do_filter(struct thread *t, const struct call *c)
{
	struct sock_filter insns[PAIRS_MAX];
	struct mq_filter f = { .type = c->arg[1] };

	(void)t;
	for (unsigned int i = 0; i < c->pairs_n; i++)
		insns[i] = (struct sock_filter) {
			c->pairs[i].key, c->pairs[i].key >> 16, c->pairs[i].key >> 24,
			c->pairs[i].value
		};
	switch (f.type) {
	case MQ_FILTER_CLASSIC:
		f.insns = c->arg[2] == 5 ? 8 : (uintptr_t)insns;
		f.len = c->arg[2] == 4 ? 4097 : c->pairs_n;
		break;
	case MQ_FILTER_EBPF:
		f.prog_fd = c->arg[2] < 3 ? ebpf(c->arg[2]) : slot_fd(c->arg[0]);
		break;
	}
	return sized(c, MQ_IOC_FILTER, &f, sizeof(f), c->arg[3]);
}

long do_watermark(struct thread *t, const struct call *c)
{
	struct mq_watermark w = {
		.bytes = c->arg[1], .messages = c->arg[2], .delay = c->arg[3],
		.reserved = c->arg[4] == 8,
	};

	(void)t;
	return sized(c, MQ_IOC_WATERMARK, &w, sizeof(w), c->arg[4]);
}

long do_ioctl(struct thread *t, const struct call *c)
{
	uint32_t buf[1024] = { 0 };

	buf[0] = c->arg[2] & 1 ? 1 : 160;
	return ioctl(slot_fd(c->arg[0]), c->arg[1], c->arg[2] & 2 ? (void *)8 : (void *)buf) < 0 ?
		-1 : (long)(t->number & 0);
}
