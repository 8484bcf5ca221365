/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C tests share. A test program is a number of TEST()s; each is one
 * TAP test point, run in a process of its own under a time limit:
 *
 *	#include "mqtest.h"
 *
 *	TEST(empty, "a write of 0 bytes appends nothing")
 *	{
 *		const char *topic = topic_new(.ring_bytes = 65536);
 *		int fd = topic_open(topic, "", O_WRONLY);
 *
 *		expect_ret(write(fd, "", 0), 0);
 *	}
 *
 * There is no main() to write. expect_*() say what was found and what was
 * expected, and go on; need() ends the test point. Topics go away with it.
 * Arguments of the program: names of functions, to run only those; -l lists.
 */
#ifndef MQTEST_H
#define MQTEST_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mq/mq.h>
#include <mq/netlink.h>

#define MQ_DIR	"/dev/mq"

/* Wherever a test waits for what must come: long, for a slow and shared VM. */
#define SOON	30

/* --- test points: mqtest.c ------------------------------------------------ */

struct mqt_case {
	const char *fn;
	const char *name;
	void (*run)(void);
	unsigned int limit;
	struct mqt_case *next;
};

void mqt_register(struct mqt_case *c);

#define TEST(fn, text)		TEST_LIMIT(fn, text, 60)
#define TEST_LIMIT(fn, text, seconds)						\
	static void fn(void);							\
	__attribute__((constructor)) static void fn##_register(void)		\
	{									\
		static struct mqt_case c = { #fn, text, fn, seconds, NULL };	\
		mqt_register(&c);						\
	}									\
	static void fn(void)

/* A check failed: counted, in child processes, too; the test goes on. */
__attribute__((format(printf, 3, 4)))
void mqt_fail(const char *file, int line, const char *fmt, ...);
#define fail(...)	mqt_fail(__FILE__, __LINE__, __VA_ARGS__)
/* A line for whoever reads the output. */
__attribute__((format(printf, 1, 2))) void note(const char *fmt, ...);
/* Ends the test point: it does not apply here, and why. */
__attribute__((noreturn, format(printf, 1, 2))) void skip(const char *fmt, ...);
__attribute__((noreturn)) void mqt_end(void);
/* Checks that failed in this test point so far. */
unsigned int failures(void);

const char *mqt_errno(int error);

bool mqt_expect_eq(const char *file, int line, const char *what, long long got, long long want);
bool mqt_expect_ret(const char *file, int line, const char *what, long long got, int error,
		    long long want);
bool mqt_expect_err(const char *file, int line, const char *what, long long got, int error,
		    int want);
bool mqt_expect_mem(const char *file, int line, const char *what, const void *got, size_t got_len,
		    const void *want, size_t want_len);

/* All return whether they hold. */
#define expect(cond)								\
	({ bool ok_ = !!(cond);							\
	   if (!ok_)								\
		fail("not so: %s", #cond);					\
	   ok_; })
#define expect_eq(got, want)							\
	mqt_expect_eq(__FILE__, __LINE__, #got " == " #want, (long long)(got), (long long)(want))
/* A system call returns @want. */
#define expect_ret(call, want)							\
	({ errno = 0; long long ret_ = (call);					\
	   mqt_expect_ret(__FILE__, __LINE__, #call, ret_, errno, want); })
/* A system call fails with @error. */
#define expect_err(call, error)							\
	({ errno = 0; long long ret_ = (call);					\
	   mqt_expect_err(__FILE__, __LINE__, #call, ret_, errno, error); })
/* @len bytes at @got are those of @want. */
#define expect_mem(got, len, want, want_len)					\
	mqt_expect_mem(__FILE__, __LINE__, #got, got, len, want, want_len)
/* The same, and the test point ends if it does not hold. */
#define need(cond)		do { if (!expect(cond)) mqt_end(); } while (0)
#define need_eq(got, want)	do { if (!expect_eq(got, want)) mqt_end(); } while (0)
#define need_ret(call, want)	do { if (!expect_ret(call, want)) mqt_end(); } while (0)

uint64_t now_ns(void);		/* CLOCK_MONOTONIC */
uint64_t wall_ns(void);		/* CLOCK_REALTIME */
/* Now and so many seconds, by now_ns(); times $MQ_PATIENCE on a busy machine. */
uint64_t deadline(unsigned int seconds);
void sleep_ms(unsigned int ms);
/* Waits until @cond holds, at most @seconds; then a failed check. */
#define wait_until(cond, seconds)						\
	({ uint64_t end_ = deadline(seconds); bool ok_;	\
	   while (!(ok_ = !!(cond)) && now_ns() < end_) sleep_ms(5);		\
	   if (!ok_)								\
		fail("not within %d s: %s", (int)(seconds), #cond);		\
	   ok_; })

/* --- processes and calls that wait: mqtest.c -------------------------------- */

/* A child that runs fn(arg) and exits; dies with its parent. */
pid_t child_start(void (*fn)(void *arg), void *arg);
/* Its wait status. Not ended after @seconds: a failed check, killed, -1. */
int child_wait(pid_t pid, int seconds);
/* It ended well (exit status 0), within the time. */
bool child_ok(pid_t pid, int seconds);
/* Thread or process @tid sleeps in system call @nr (or any, -1): waits for it. */
bool sleeps_in(pid_t tid, long nr, int seconds);
/* Memory shared with children. Zeroed. */
void *shared_alloc(size_t len);
/* Where no memory is; the compiler does not know. */
extern void *volatile bad_ptr;

/* A system call in a thread, for calls that wait. */
struct async {
	pthread_t thread;
	long (*fn)(void *arg);
	void *arg;
	int fd;
	void *buf;
	size_t len;
	volatile pid_t tid;
	volatile int done;
	long ret;
	int error;
};

void async_start(struct async *a, long (*fn)(void *arg), void *arg);
void async_read(struct async *a, int fd, void *buf, size_t len);
void async_write(struct async *a, int fd, const void *buf, size_t len);
/* It waits in the kernel, and keeps waiting for a moment; else a failed check. */
bool mqt_async_waits(const char *file, int line, struct async *a);
#define expect_waits(a)		mqt_async_waits(__FILE__, __LINE__, a)
/* It ends within @seconds: true, a->ret and a->error are set; else a failed check. */
bool mqt_async_end(const char *file, int line, struct async *a, int seconds);
#define async_end(a, seconds)	mqt_async_end(__FILE__, __LINE__, a, seconds)
/* A signal without effect but to interrupt the call. */
void async_signal(struct async *a);

/* One line of a small file, without its newline; false if there is none. */
bool read_line(const char *path, char *buf, size_t size);
/* The number behind KEY in a file of "KEY NUMBER" lines; -1 if it is not there. */
long long file_number(const char *path, const char *key);
/* Writes a small file at once: 0 or -errno. */
int write_file(const char *path, const char *text);

/* --- topics: mqtest_nl.c ------------------------------------------------------ */

/*
 * What a topic is created with or changed to, named as in netlink.yaml. A
 * member that is 0 is left out unless its bit MQT(NAME) is in .set.
 */
struct topic_opts {
	uint64_t set;
	const char *name;
	const uint8_t *id;
	uint32_t partitions;
	uint64_t ring_bytes;
	uint64_t ring_messages;
	uint64_t attr_bytes;
	uint32_t max_message_bytes;
	uint32_t framing;
	uint32_t overflow;
	uint32_t hold;
	uint32_t stamp;
	uint8_t persistent;
	uint8_t paused;
	uint32_t sync_timeout;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t start_offset;
	uint64_t start_position;
	uint8_t lend;
	const char *memory_cgroup;	/* NULL: not given */
};

#define MQT(attr)	(1ULL << MQ_A_TOPIC_##attr)

struct topic_stats {
	uint64_t seen;		/* bit MQ_A_STATS_* of each that was there */
	uint64_t messages_in;
	uint64_t bytes_in;
	uint64_t messages_out;
	uint64_t bytes_out;
	uint64_t dropped_held;
	uint64_t rejected;
	uint64_t dropped_unfinished;
	uint64_t lost;
	uint64_t overruns;
	uint64_t evicted;
	uint64_t no_memory;
	uint32_t readers;
	uint32_t writers;
	uint32_t writers_waiting;
	uint32_t sync_waiting;
	uint64_t memory;
	uint64_t lent;
	uint64_t wraps;
	uint64_t lock_retries;
};

struct topic_info {
	struct topic_opts o;	/* .set: what was there; pointers: unused */
	char name[MQ_TOPIC_NAME_MAX + 1];
	char memory_cgroup[1024];
	uint8_t id[MQ_TOPIC_ID_LEN];
	uint32_t minor;
	uint64_t created;
	struct topic_stats stats;
};

struct partition_info {
	uint64_t seen;		/* bit MQ_A_PARTITION_* of each that was there */
	char topic[MQ_TOPIC_NAME_MAX + 1];
	uint8_t topic_id[MQ_TOPIC_ID_LEN];
	uint32_t index;
	uint64_t head_offset;
	uint64_t head_position;
	uint64_t tail_offset;
	uint64_t tail_position;
	uint64_t durable_offset;
	uint64_t held_offset;
	uint64_t held_position;
	uint32_t epoch;
	struct topic_stats stats;
};

/* What the kernel's last extended ack said: text ("" if none), attribute (0 if none). */
extern char nl_ack_text[256];
extern int nl_ack_attr;

/* 0, or -errno of the kernel. topic_add() and topic_new() note it for deletion. */
int topic_add(const struct topic_opts *o);
int topic_change(const struct topic_opts *o);
int topic_del(const char *name);
int topic_get(const char *name, struct topic_info *info);
int partition_get(const char *name, uint32_t index, struct partition_info *info);
/* Number of topics, or -errno; each is given to fn (may be NULL). */
int topic_dump(void (*fn)(const struct topic_info *info, void *arg), void *arg);
/* The same for partitions, of one topic or (NULL) of all. */
int partition_dump(const char *name, void (*fn)(const struct partition_info *info, void *arg),
		   void *arg);

/* A name that no other topic has; static memory, new at each call. */
const char *topic_name(void);
/* Creates a topic (name: topic_name()) and returns its name; the test ends if it cannot. */
const char *mqt_topic_new(const char *file, int line, struct topic_opts o);
#define topic_new(...)								\
	mqt_topic_new(__FILE__, __LINE__, (struct topic_opts) { __VA_ARGS__ })
/* Changes it: topic_set(t, .overflow = MQ_OVERFLOW_REJECT); a failed check if it cannot. */
bool mqt_topic_set(const char *file, int line, const char *name, struct topic_opts o);
#define topic_set(topic, ...)							\
	mqt_topic_set(__FILE__, __LINE__, topic, (struct topic_opts) { __VA_ARGS__ })
/* Counters, for the lazy; the test ends if they cannot be had. */
struct topic_stats topic_counters(const char *name);
struct partition_info partition_state(const char *name, uint32_t index);

struct module_info {
	uint32_t topics;
	uint32_t topics_max;
	uint64_t memory;
	uint64_t memory_max;
};

struct module_info module_state(void);
/* The same when topics deleted before are gone at last (a grace period, work). */
struct module_info module_settled(void);

/*
 * Netlink by hand, for tests of netlink itself: the socket (this process's own),
 * the family's number; nl_call() sends the message (NLM_F_ACK is added), frees
 * it, gives replies to fn, and returns 0 or -errno with nl_ack_*.
 */
struct nl_msg;
struct nl_sock;
struct nlmsghdr;
struct nl_sock *nl_socket(void);
int nl_family(void);
struct nl_msg *nl_request(uint8_t cmd, int flags);
int nl_call(struct nl_msg *msg, void (*fn)(const struct nlmsghdr *nlh, void *arg), void *arg);
/* A socket of its own that gets all events from now on, with a buffer of so many bytes. */
int nl_listener(int buffer);
/* Parse a reply or a notification. */
void topic_parse(const struct nlmsghdr *nlh, struct topic_info *info);
void partition_parse(const struct nlmsghdr *nlh, struct partition_info *info);

/* --- files of topics: mqtest_nl.c ---------------------------------------------- */

/* Path of a topic, with options: topic_path(t, "@1+until=end"); static memory, 8 at a time. */
const char *topic_path(const char *topic, const char *options);
/* Opens it; the test ends if it cannot. topic_try_open() returns -1 and errno. */
int mqt_topic_open(const char *file, int line, const char *topic, const char *options, int flags);
#define topic_open(topic, options, flags)					\
	mqt_topic_open(__FILE__, __LINE__, topic, options, flags)
int topic_try_open(const char *topic, const char *options, int flags);

/* MQ_IOC_STAT; the test ends if it fails. */
struct mq_stat mqt_file_stat(const char *file, int line, int fd);
#define file_stat(fd)		mqt_file_stat(__FILE__, __LINE__, fd)
/* MQ_IOC_SET_OPTIONS of the format: its result. */
int file_set_format(int fd, uint32_t format);
/* MQ_IOC_SEEK, MQ_IOC_FEATURES: 0 or -1 and errno; the result in *seek if given. */
int file_seek(int fd, uint32_t whence, uint64_t value, struct mq_seek *seek);
int file_features(int fd, struct mq_features *features);
int file_readable(int fd);	/* FIONREAD, or -1 */
/* Text behind "NAME:" in /proc/self/fdinfo/FD; false if there is none. */
bool fdinfo(int fd, const char *name, char *buf, size_t size);
uint64_t fdinfo_u64(int fd, const char *name);	/* a failed check if it is missing */

/*
 * Test hooks: the next reader of the partition that passes the point finds the
 * count oldest messages gone (0: all). Skips the test if the module has none.
 */
void hook_arm(const char *point, const char *topic, uint32_t partition, uint64_t count);
/* The same at so many passes. */
void hook_arm_times(const char *point, const char *topic, uint32_t partition, uint64_t count,
		    unsigned int times);
/* How often a hook went off since this process armed the first. */
unsigned int hook_hits(void);
bool hook_armed(void);
void hook_off(void);

/* --- records: mqtest_rec.c ------------------------------------------------------- */

uint32_t crc32c(uint32_t crc, const void *data, size_t len);	/* 0 to begin with */
uint32_t kafka_hash(const void *key, size_t len);		/* murmur2 */

/* A batch to be written. */
struct batch;
struct batch *batch_new(void);
void batch_free(struct batch *b);
void batch_reset(struct batch *b);
void batch_add(struct batch *b, const void *payload, size_t len);
/* Attributes of the message added last. */
void batch_attr(struct batch *b, unsigned int type, const void *data, size_t len);
void batch_attr_u32(struct batch *b, unsigned int type, uint32_t value);
void batch_attr_u64(struct batch *b, unsigned int type, uint64_t value);
void batch_header(struct batch *b, const char *name, const void *value, size_t len);
void batch_attr_raw(struct batch *b, const void *data, size_t len);
/* The flat batch, to be written or spoilt; valid until the batch changes. */
void *batch_build(struct batch *b, uint32_t partition, size_t *len);
ssize_t batch_write(struct batch *b, int fd, uint32_t partition);
/* Messages without payload, one at a time. */
void put_empties(const char *topic, unsigned int n);

/* A message of a batch that was read. */
struct rec {
	const struct mq_entry *e;
	const uint8_t *attrs;
	const uint8_t *payload;
};

/*
 * Takes a batch of @len bytes apart: number of messages. Checks all of it
 * (sizes, padding, consecutive offsets and positions, times, CRC); if it is not
 * as <mq/mq.h> says: a failed check, and -1. @buf must be 8-aligned.
 */
int mqt_batch_parse(const char *file, int line, const void *buf, size_t len, struct rec *recs,
		    unsigned int max, struct mq_batch *head);
#define batch_parse(buf, len, recs, max, head)					\
	mqt_batch_parse(__FILE__, __LINE__, buf, len, recs, max, head)
/* The nth (from 0) attribute of a type, or NULL. */
const void *rec_attr(const struct rec *r, unsigned int type, unsigned int nth, size_t *len);
/* A header's value by name, or NULL. */
const void *rec_header(const struct rec *r, const char *name, size_t *len);
/* Writes one message with a key, from a record file. */
ssize_t write_keyed(int fd, const char *key, const void *payload, size_t len);

/* Bytes that tell where they belong: a function of seed and place. */
void pattern_fill(void *buf, size_t len, uint64_t seed);
bool pattern_ok(const void *buf, size_t len, uint64_t seed);

#endif
