/* SPDX-License-Identifier: GPL-2.0 */
/* The attributes of topics, partitions, counters, module and events: one table. */
#ifndef MQCTL_ATTRS_H
#define MQCTL_ATTRS_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

enum attr_kind {
	ATTR_STRING,
	ATTR_ID,		/* 16 bytes, shown as 32 hexadecimal digits */
	ATTR_U32,
	ATTR_U64,
	ATTR_SIZE,		/* u64, bytes */
	ATTR_SIZE32,		/* u32, bytes */
	ATTR_BOOL,		/* u8 */
	ATTR_ENUM,		/* u32, one of words */
	ATTR_FLAGS,		/* u32, words separated by commas, or "none" */
	ATTR_FLAGS64,		/* u64, the same */
	ATTR_MODE,		/* u32 */
	ATTR_UID,		/* u32 */
	ATTR_GID,		/* u32 */
	ATTR_MSEC,		/* u32, milliseconds */
	ATTR_TIME,		/* u64, ns since the epoch */
	ATTR_NSEC,		/* u64, ns, shown as seconds */
};

#define ATTR_ADD	(1U << 0)	/* option of topic add */
#define ATTR_SET	(1U << 1)	/* option of topic set */
#define ATTR_REF	(1U << 2)	/* option of topic del */
#define ATTR_OPERAND	(1U << 3)	/* given as operand, not as option */
#define ATTR_LIST	(1U << 4)	/* column of topic list by default */
#define ATTR_STAT	(1U << 5)	/* column of stat by default */

struct attr {
	const char *name;
	unsigned int type;
	enum attr_kind kind;
	unsigned int flags;
	const char *help;
	const char *const *words;
};

/* An attribute type, and the attributes nested in it. */
struct attr_set {
	const struct attr *attrs;
	unsigned int count;
	unsigned int max;
	unsigned int stats;		/* type of the nested counters, 0: none */
};

extern const struct attr_set topic_attrs;
extern const struct attr_set partition_attrs;
extern const struct attr_set stats_attrs;
extern const struct attr_set module_attrs;
extern const struct attr_set overrun_attrs;
extern const struct attr_set reader_attrs;
extern const struct attr_set waiter_attrs;

#define ATTR_TYPE_MAX	32	/* no set has more types */

const struct attr *attr_by_name(const struct attr_set *set, const char *name);
const struct attr *attr_by_type(const struct attr_set *set, unsigned int type);

/* What stands for the value in help, NULL for booleans. */
const char *attr_metavar(const struct attr *attr);
/* Parses @text (NULL: a boolean, @on) into @msg; NULL, or what is wrong. */
const char *attr_put(struct nl_msg *msg, const struct attr *attr, const char *text, bool on);
/* Attributes of a received message, counters too; 0 or a negative NLE_*. */
int attr_parse(const struct attr_set *set, struct nlmsghdr *nlh,
	       struct nlattr *tb[ATTR_TYPE_MAX], struct nlattr *stats[ATTR_TYPE_MAX]);
/* Allocated text; numeric: as in JSON, plain numbers. NULL if not there. */
char *attr_text(const struct attr *attr, const struct nlattr *nla, bool numeric);
struct json_object *attr_json(const struct attr *attr, const struct nlattr *nla);
bool attr_is_number(const struct attr *attr);

#endif
