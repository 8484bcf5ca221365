/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mqfuzz: makes programs of system calls from a grammar, runs them on topics,
 * keeps those that reach code of the module that none before did.
 *
 * A program is a list of calls. Their arguments are numbers, whose meaning the
 * grammar gives, some a string and a list of pairs (attributes, records, BPF
 * instructions). Files stand in slots (r0 ...), maps too (m0 ...), so that calls use
 * what calls before them made. The calls of thread 0 in front of the first one
 * of thread 1 are run alone; from there on both threads run at once.
 *
 * The text of a program, one call a line (text.c):
 *
 *	[user]
 *	THREAD [*TIMES] [!NTH] CALL [ARG=VALUE]... ["STRING"] [+KEY:VALUE]...
 *
 * *TIMES: made so often; !NTH: its NTH allocation fails, where the kernel can;
 * user: as uid 1000. Lines with # are comments, --- ends a program.
 */
#ifndef MQFUZZ_H
#define MQFUZZ_H

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* --- programs -------------------------------------------------------------- */

#define ARGS_MAX	6
#define PAIRS_MAX	12
#define TEXT_MAX	160
#define CALLS_MAX	40
#define REPEAT_MAX	64
#define SLOTS		16
#define MAPS		4
#define TOPICS		8	/* t0 to t7; those from BASE_TOPICS on only if a program makes them */
#define BASE_TOPICS	6

struct pair {
	uint32_t key;
	uint64_t value;
};

struct call {
	uint8_t kind;		/* index into the grammar */
	uint8_t thread;
	uint8_t fail;		/* 0: none; else its nth allocation */
	uint8_t pairs_n;
	uint8_t repeat;		/* 1 to REPEAT_MAX */
	uint64_t arg[ARGS_MAX];
	struct pair pairs[PAIRS_MAX];
	char text[TEXT_MAX];
};

struct prog {
	unsigned int n;
	bool user;
	struct call calls[CALLS_MAX];
};

/* --- grammar: grammar.c ---------------------------------------------------- */

enum argtype {
	ARG_NONE,
	ARG_FD,			/* a slot; want: what should be in it */
	ARG_TO,			/* a slot to be filled; want: with what */
	ARG_MAP,		/* a map */
	ARG_TOMAP,
	ARG_ONE,		/* one of values */
	ARG_BITS,		/* any of values, or'ed */
	ARG_LEN,		/* bytes */
	ARG_OFF,		/* offset or position */
};

/* What is in a slot. */
#define K_READ		0x001	/* a topic, open for reading */
#define K_WRITE		0x002
#define K_RECORD	0x004	/* records, for writing */
#define K_ONE		0x008	/* one partition, for reading */
#define K_TOPIC		0x00f
#define K_PIPE_R	0x010
#define K_PIPE_W	0x020
#define K_SOCK		0x040
#define K_EPOLL		0x080
#define K_FILE		0x100
#define K_ANY		0x1ff

struct argdef {
	const char *name;
	uint8_t type;
	uint16_t want;
	uint8_t n;
	const uint64_t *values;
};

/* What the pairs of a call are. */
enum pairs {
	PAIRS_NONE,
	PAIRS_ATTRS,		/* netlink attributes: type, value */
	PAIRS_RECORDS,		/* records: bits of attributes, length */
	PAIRS_INSNS,		/* BPF: code | jt << 16 | jf << 24, k */
};

enum texts {
	TEXT_NONE,
	TEXT_NAME,		/* a name under /dev/mq, with options */
};

#define CALL_CHANGES	0x01	/* a topic is not what it was */

struct thread;

struct calldef {
	const char *name;
	long (*run)(struct thread *t, const struct call *c);
	unsigned int weight;
	uint8_t flags;
	uint8_t text;		/* enum texts */
	uint8_t pairs;		/* enum pairs */
	struct argdef args[ARGS_MAX];
};

extern const struct calldef grammar[];
extern const unsigned int grammar_n;

/* Where a call's data comes from or goes to; see data_out(), data_in(). */
enum data {
	DATA_PLAIN,
	DATA_END,		/* ends where memory ends */
	DATA_CROSS,		/* half of it is beyond */
	DATA_BAD,		/* all of it */
	DATA_COLD,		/* pages that are not there yet */
	DATA_MAP,		/* a map of a topic */
	DATA_KINDS
};

/* --- coverage: cover.c ------------------------------------------------------------ */

#define PC_BITS		(1u << 21)
#define EDGE_BITS	(1u << 19)
#define COVER_LEN	(128u << 10)	/* PCs a thread and program */

struct cover {
	_Atomic uint64_t pcs[PC_BITS / 64];
	_Atomic uint64_t edges[EDGE_BITS / 64];
	_Atomic unsigned int pcs_n, edges_n;
};

extern bool cover_there;
/* Before threads: is there coverage to be had, and where is the module? */
void cover_init(void);
void cover_thread(struct thread *t);
void cover_begin(struct thread *t);
/* Adds what was reached: how much was new. */
struct gain {
	unsigned int pcs, edges;
};
void cover_add(const struct thread *t, struct cover *to, struct gain *gain);

/* --- running: exec.c -------------------------------------------------------- */

#define DATA_SIZE	(128u << 10)

struct thread {
	unsigned int number;
	pid_t tid;
	_Atomic unsigned int current;	/* call, from 1; 0: in none */
	_Atomic unsigned int progress;	/* calls made */
	sigjmp_buf fault;
	volatile sig_atomic_t may_fault;
	uint8_t *in;			/* where reads go; DATA_SIZE, then nothing */
	uint64_t *cover;
	int nl;				/* its netlink socket */
	int fail_fd;
	int stat_fd;			/* its /proc/.../stat */
};

/* How a slot's file was opened. */
enum form {
	FORM_OTHER,
	FORM_PLAIN,			/* a topic's payloads */
	FORM_RECORD,			/* its records */
	FORM_FILE,			/* may hold anything */
};

/* A file in a slot; changes with each file that is put there. */
struct slot {
	uint64_t all;
	int fd;
	enum form form;
};

struct map {
	uint8_t *at;
	size_t len;
};

extern struct map maps[MAPS];
extern unsigned int worker_number;
/* Something else than text may be in this program's topics. */
extern _Atomic bool tainted;
/* None of its files changes its format. */
extern bool formats_fixed;

/* A file into a slot, closing what was there; returns @fd. */
long slot_put(uint64_t slot, int fd, enum form form);
struct slot slot_get(uint64_t slot);
int slot_fd(uint64_t slot);
/* @len bytes of text to be written, in form of @style; where a read of @len may go. */
const void *data_out(uint64_t kind, uint64_t style, size_t len);
void *data_in(struct thread *t, uint64_t kind, size_t len);
/* What a read from @s, still in @number, gave is as it must be. */
void check_read(uint64_t number, const struct slot *s, const void *buf, ssize_t len);
/* A topic's name in text ("t1@0") as this worker's ("w3.t1@0"); the same as a path. */
const char *own_name(const char *text, char *buf, size_t size);
const char *own_path(const char *text, char *buf, size_t size);
const char *topic_path(unsigned int number, char *buf, size_t size);
/* An oracle failed. */
void finding(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void exec_init(unsigned int number);
/* Runs it; false if it does not end. */
bool exec_run(const struct prog *p, struct cover *cover, struct gain *gain);
/* The next program finds topics as a first one does. */
void exec_fresh(void);
/* All topics of this worker are deleted. */
void exec_clean(void);

/* calls_nl.c */
void nl_init(void);
int nl_open(void);
void topic_reset(unsigned int number);
void topic_remove(unsigned int number);
/* Module's counters; false if they cannot be had. */
bool module_state(uint64_t *topics, uint64_t *memory);

#define CALL(fn)	long fn(struct thread *t, const struct call *c)
/* calls_file.c */
CALL(do_open);
CALL(do_close);
CALL(do_dup);
CALL(do_read);
CALL(do_readv);
CALL(do_write);
CALL(do_writev);
CALL(do_lseek);
CALL(do_fsync);
CALL(do_fcntl);
CALL(do_setfl);
CALL(do_fstat);
CALL(do_fdinfo);
CALL(do_space);
CALL(do_path);
CALL(do_readdir);
CALL(do_chmod);
CALL(do_acl);
CALL(do_mount);
CALL(do_sleep);
CALL(do_hook);
CALL(do_fork);
/* calls_ioctl.c */
CALL(do_features);
CALL(do_stat);
CALL(do_seek);
CALL(do_getopt);
CALL(do_setopt);
CALL(do_filter);
CALL(do_watermark);
CALL(do_ioctl);
/* calls_io.c */
CALL(do_pipe);
CALL(do_fill);
CALL(do_splice);
CALL(do_tee);
CALL(do_vmsplice);
CALL(do_sendfile);
CALL(do_copy);
CALL(do_sock);
CALL(do_recv);
CALL(do_shutdown);
CALL(do_pass);
CALL(do_file);
CALL(do_poll);
CALL(do_epoll);
CALL(do_epoll_ctl);
CALL(do_epoll_wait);
/* calls_uring.c */
CALL(do_uring);
CALL(do_uring_op);
CALL(do_uring_wait);
void uring_clean(void);
/* calls_map.c */
CALL(do_mmap);
CALL(do_munmap);
CALL(do_mremap);
CALL(do_mprotect);
CALL(do_madvise);
CALL(do_touch);
CALL(do_peek);
void maps_clean(void);
/* calls_nl.c, calls_batch.c */
CALL(do_netlink);
CALL(do_nlsock);
CALL(do_batch);
/* A batch that was read is as <mq/mq.h> says. */
void check_batch(const uint8_t *buf, size_t len);

/* --- text: text.c ------------------------------------------------------------ */

void prog_print(FILE *out, const struct prog *p);
/* The next program of a file: 1; 0 at its end; -1 (said why). */
int prog_read(FILE *in, const char *name, unsigned int *line, struct prog *p);

/* --- making programs: make.c --------------------------------------------------- */

extern uint64_t rng_state;
uint64_t rng(void);
uint32_t below(uint32_t n);
bool chance(unsigned int percent);
void prog_make(struct prog *p);
/* Changes it; @other may lend calls. */
void prog_mutate(struct prog *p, const struct prog *other);
void prog_drop(struct prog *p, unsigned int call);

/* --- what processes share: main.c --------------------------------------------------- */

#define CORPUS_MAX	2500
#define WORKERS_MAX	8
#define LAST_MAX	4

struct worker {
	pid_t pid;
	_Atomic unsigned int last;
	struct prog lasts[LAST_MAX];	/* what it ran lately, in turn */
	_Atomic uint64_t stuck;
};

struct shared {
	struct cover cover;
	_Atomic uint64_t calls, progs, signals, resets, findings;
	_Atomic uint64_t made[128], done[128];	/* by kind of call; done: without an error */
	_Atomic bool stop;
	_Atomic unsigned int corpus_n;
	_Atomic bool ready[CORPUS_MAX];
	_Atomic unsigned int gain[CORPUS_MAX];
	struct prog corpus[CORPUS_MAX];
	struct worker workers[WORKERS_MAX];
	char finding[4096];		/* empty: none since the last was reported */
	struct prog culprit;		/* the program in which it was found */
};

extern struct shared *sh;

#endif
