/* SPDX-License-Identifier: GPL-2.0 */
/* Filters for tests: classic programs in a few words, and an eBPF one. */
#ifndef HELPERS_FILTER_H
#define HELPERS_FILTER_H

#include <linux/bpf.h>
#include <linux/filter.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "mqtest.h"

#define HEAD(member)	((uint32_t)offsetof(struct mq_filter_head, member))
#define PAYLOAD		((uint32_t)sizeof(struct mq_filter_head))

static inline int filter_set(int fd, const struct sock_filter *insns, uint32_t len)
{
	struct mq_filter filter = { .size = sizeof(filter), .type = MQ_FILTER_CLASSIC,
				    .insns = (uintptr_t)insns, .len = len };

	return ioctl(fd, MQ_IOC_FILTER, &filter);
}

#define filter(fd, ...)								\
	({ struct sock_filter insns_[] = { __VA_ARGS__ };			\
	   filter_set(fd, insns_, sizeof(insns_) / sizeof(insns_[0])); })

#define LOAD_WORD(at)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define LOAD_BYTE(at)	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define RETURN(k)	BPF_STMT(BPF_RET | BPF_K, k)
/* Passes where what was loaded is so. */
#define PASS_IF(op, k)								\
	BPF_JUMP(BPF_JMP | (op) | BPF_K, k, 0, 1), RETURN(1), RETURN(0)

/* Only messages whose payload begins with a byte. */
static inline int filter_first(int fd, char byte)
{
	return filter(fd, LOAD_BYTE(PAYLOAD), PASS_IF(BPF_JEQ, (unsigned char)byte));
}

static inline int filter_none(int fd)
{
	struct mq_filter filter = { .size = sizeof(filter), .type = MQ_FILTER_NONE };

	return ioctl(fd, MQ_IOC_FILTER, &filter);
}

/* An eBPF program of a type that passes payloads which do not begin with a byte: its fd. */
static inline int ebpf_load(enum bpf_prog_type type, char byte)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		{ .code = BPF_LD | BPF_ABS | BPF_B, .imm = PAYLOAD },
		{ .code = BPF_ALU64 | BPF_SUB | BPF_K, .dst_reg = 0, .imm = byte },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = type,
		.insns = (uintptr_t)insns,
		.insn_cnt = sizeof(insns) / sizeof(insns[0]),
		.license = (uintptr_t)"GPL",
	};

	return syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static inline int filter_ebpf(int fd, int prog)
{
	struct mq_filter filter = { .size = sizeof(filter), .type = MQ_FILTER_EBPF,
				    .prog_fd = prog };

	return ioctl(fd, MQ_IOC_FILTER, &filter);
}

static inline void put(int fd, const char *text)
{
	need_ret(write(fd, text, strlen(text)), strlen(text));
}

/* The next read returns just that. */
#define expect_read(fd, text)							\
	({ char got_[4096];							\
	   expect_mem(got_, read(fd, got_, sizeof(got_)), text, strlen(text)); })

#endif
