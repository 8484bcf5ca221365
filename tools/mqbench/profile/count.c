// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU's emulator: instructions by place, between mqbench's marks
 *
 * Each translated block adds its length to a counter of its own; a run's
 * differences go to $MQ_COUNT.0, .1, ..., a line "ADDRESS LENGTH INSTRUCTIONS"
 * each. Debian ships no qemu-plugin.h: what is used of version 1 is declared here.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
					      uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int cpu, void *data), int flags,
					    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#define EXPORT		__attribute__((visibility("default")))
#define INLINE_ADD_U64	0
#define CB_NO_REGS	0
#define HASH_BITS	20

struct slot {
	struct slot *next;
	uint64_t pc;
	uint64_t count;
	uint64_t before;
	size_t len;
};

EXPORT int qemu_plugin_version = 1;

static struct slot *slots[1 << HASH_BITS];
static const char *out;

static void begin(void)
{
	for (size_t i = 0; i < 1 << HASH_BITS; i++)
		for (struct slot *s = slots[i]; s; s = s->next)
			s->before = s->count;
}

static void end(void)
{
	static unsigned int run;
	char name[4096];
	FILE *file;

	snprintf(name, sizeof(name), "%s.%u", out, run++);
	file = fopen(name, "w");
	if (!file) {
		perror(name);
		exit(1);
	}
	for (size_t i = 0; i < 1 << HASH_BITS; i++)
		for (struct slot *s = slots[i]; s; s = s->next)
			if (s->count != s->before)
				fprintf(file, "%llx %zu %llu\n", (unsigned long long)s->pc, s->len,
					(unsigned long long)(s->count - s->before));
	fclose(file);
}

static void mark(unsigned int cpu, void *data)
{
	(void)cpu;
	if ((uintptr_t)data == 1)
		begin();
	else
		end();
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t pc = qemu_plugin_tb_vaddr(tb);
	size_t len = qemu_plugin_tb_n_insns(tb);
	struct slot **head = &slots[((pc + len) * 0x9e3779b97f4a7c15ULL) >> (64 - HASH_BITS)];
	struct slot *s = *head;

	(void)id;
	while (s && (s->pc != pc || s->len != len))
		s = s->next;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			abort();
		s->pc = pc;
		s->len = len;
		s->next = *head;
		*head = s;
	}
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &s->count, len);
	for (size_t i = 0; i < len; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const unsigned char *d = qemu_plugin_insn_data(insn);

		/* nopl 0x6d7100NN(%rax), see mark_begin() in mqbench */
		if (qemu_plugin_insn_size(insn) == 7 && d[0] == 0x0f && d[1] == 0x1f &&
		    d[2] == 0x80 && d[4] == 0x00 && d[5] == 0x71 && d[6] == 0x6d)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, CB_NO_REGS,
							       (void *)(uintptr_t)d[3]);
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	out = getenv("MQ_COUNT");
	if (!out) {
		fputs("count: MQ_COUNT names no file\n", stderr);
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
