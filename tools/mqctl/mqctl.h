/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of mqctl share: commands, options, messages, tables, files. */
#ifndef MQCTL_H
#define MQCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

#include <mq/mq.h>

#include "attrs.h"
#include "parse.h"

#ifndef MQ_VERSION
#define MQ_VERSION	"unknown"	/* not built by the Makefile */
#endif

/* Exit codes. */
#define EXIT_DONE	0
#define EXIT_FAILED	1
#define EXIT_USAGE	2

/* One option of a command; those made from the attribute table have @attr. */
struct opt {
	const char *name;
	char letter;			/* 0: long only */
	bool negatable;			/* --no-NAME exists, too */
	const char *metavar;		/* NULL: takes no value */
	const char *help;
	const struct attr *attr;
};

struct command {
	const char *group;		/* the first of two words, or NULL */
	const char *name;
	const char *operands;
	const char *summary;
	const char *text;		/* printed behind the options, or NULL */
	const struct opt *opts;		/* ends with a NULL name */
	unsigned int attr_flags;	/* topic attributes that are options */
	bool table;			/* takes the options of tables */
	const struct attr_set *columns;	/* of its table; NULL: topics and counters */
	int (*run)(const struct command *cmd, int argc, char **argv);
};

extern const struct command cmd_topic_add, cmd_topic_del, cmd_topic_set;
extern const struct command cmd_topic_show, cmd_topic_list, cmd_apply, cmd_showconf, cmd_stat;
extern const struct command cmd_readers, cmd_why;
extern const struct command cmd_produce, cmd_consume, cmd_monitor, cmd_verify;
extern const struct command cmd_ship, cmd_receive;
extern const struct command cmd_version;

/* options.c */

/* @value is NULL for options without one; @on is false for --no-NAME. */
typedef void (*opt_fn)(void *ctx, const struct opt *opt, const char *value, bool on);

/* Returns the index of the first operand; ends the program on --help or misuse. */
int parse_options(const struct command *cmd, int argc, char **argv, opt_fn fn, void *ctx);
/* As above, and there must be @min to @max operands (@max < 0: any number). */
int parse_operands(const struct command *cmd, int argc, char **argv, opt_fn fn, void *ctx,
		   int min, int max);
/* Words of @text up to column 80, further lines indented. */
void print_wrapped(FILE *out, const char *text, int indent);
void print_help(const struct command *cmd, FILE *out);

#define OPTS_MAX	64
#define COLUMN_SETS_MAX	4

/* Columns that a command's tables can have; no heading: the one before goes on. */
struct column_set {
	const char *heading;
	const struct attr_set *set;
};

/* All options, in the order help shows them; how many. */
unsigned int collect_options(const struct command *cmd, struct opt *opts);
unsigned int command_columns(const struct command *cmd, struct column_set *sets);
/* "mqctl: topic add: WHAT", and how to get help; exits with 2. */
void usage_error(const struct command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* The same for an option's value if @why is not NULL. */
void check_value(const struct command *cmd, const struct opt *opt, const char *value,
		 const char *why);
void command_name(const struct command *cmd, char *buf, size_t size);

/* dump.c: for help --table */
void dump_command(const struct command *cmd);

/* message.c */

/* What errors are about: "topic add orders". */
void set_context(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "mqctl: CONTEXT: WHAT" to stderr, after what stdout still buffers. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Flushes stdout; EXIT_FAILED, said why, if something could not be written. */
int finish(int status);
bool module_loaded(void);

/* Stops long-running commands: SIGINT and SIGTERM set it. */
extern volatile sig_atomic_t stopped;
void catch_stop(void);
struct pollfd;
/* poll() that no stop signal can slip past; -1 with EINTR when stopped. */
int wait_for(struct pollfd *fds, unsigned int count, int64_t timeout_ns);

/* table.c */

struct table_opts {
	bool json;
	bool raw;
	bool noheadings;
	bool numeric;
	const char *columns;
};

struct table;

extern const struct opt table_options[];
/* Takes an option of table_options; false if it is another. */
bool table_option(struct table_opts *opts, const struct opt *opt);
/* Columns: --columns, or those of @set and the counters with @by_default. */
struct table *table_new(const struct command *cmd, const struct table_opts *opts,
			const char *name, const struct attr_set *set,
			unsigned int by_default);
void table_add(struct table *table, struct nlattr **tb, struct nlattr **stats);
void table_print(struct table *table);
/* One object as lines of name and value; JSON as table_print. */
void table_print_vertical(const struct command *cmd, const struct table_opts *opts,
			  const char *name, const struct attr_set *set,
			  struct nlattr **tb, struct nlattr **stats);
void print_columns(FILE *out, const struct attr_set *set);

/* file.c */

const char *mq_dir(void);
/* Opens TOPIC[@N]+format=record with more options ("+from=5"); dies with advice. */
int open_topic(const struct topic_ref *ref, const char *options, int flags);
/* The same without the format: payload bytes. Unless it @must, -1 with errno. */
int open_payloads(const struct topic_ref *ref, const char *options, int flags, bool must);
void stat_topic(int fd, struct mq_stat *stat);
/* The topic of an operand; ends the program if it is none. */
void topic_operand(const struct command *cmd, const char *text, struct topic_ref *ref);
/* Position for --since, or of another time. */
void seek_time(int fd, int64_t ns);
/* Reads a batch into a buffer that grows as needed; as read(2). */
struct read_buffer {
	unsigned char *data;
	size_t size;
};
ssize_t read_batch(int fd, struct read_buffer *buf);

/* text.c */

bool is_utf8(const void *data, size_t len);
/* In double quotes, everything escaped that a terminal might act upon. */
void print_quoted(FILE *out, const void *data, size_t len);
/* A string if it is UTF-8, else base64 under NAME-base64. */
void json_add_bytes(struct json_object *object, const char *name, const void *data,
		    size_t len);
/* One line; frees the object. */
void json_print_line(struct json_object *object);

#endif
