// SPDX-License-Identifier: GPL-2.0
/*
 * Names under /dev/mq:
 *
 *	TOPIC[@PARTITION][+GROUP][+OPTION=VALUE]...
 *
 * Pure functions of the string: no allocation, no lock, no look at a topic;
 * selftests/name_parse_unit.c runs them in user space. What does not parse is
 * no name of anything, so the only error is ENOENT.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/time.h>
#include <mq/mq.h>
#include "name.h"

/* A piece of the string; never empty where a function takes one. */
struct part {
	const char *s;
	size_t len;
};

/* Which options have been given; from and since set the same thing. */
enum {
	GIVEN_START	= 1 << 0,
	GIVEN_UNTIL	= 1 << 1,
	GIVEN_FORMAT	= 1 << 2,
	GIVEN_OVERRUN	= 1 << 3,
	GIVEN_ACK	= 1 << 4,
};

static bool part_is(struct part p, const char *word)
{
	return p.len == strlen(word) && !memcmp(p.s, word, p.len);
}

/* Not isdigit() and its kin: those follow Latin-1. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       is_digit(c) || c == '.' || c == '_' || c == '-';
}

/**
 * mq_name_valid - whether a string can name a topic or a group
 * @name: the string, not terminated
 * @len: its length
 * @max: longest name allowed
 */
bool mq_name_valid(const char *name, size_t len, size_t max)
{
	size_t i;

	if (!len || len > max)
		return false;
	for (i = 0; i < len; i++)
		if (!is_name_char(name[i]))
			return false;
	return name[0] != '.' || !(len == 1 || (len == 2 && name[1] == '.'));
}

/*
 * Take the decimal number that @p starts with off it. The bound of S64_MAX is
 * that of offsets, positions and times alike.
 */
static bool take_number(struct part *p, u64 *value)
{
	u64 v = 0;

	if (!p->len || !is_digit(*p->s))
		return false;
	for (; p->len && is_digit(*p->s); p->s++, p->len--) {
		if (check_mul_overflow(v, (u64)10, &v) ||
		    check_add_overflow(v, (u64)(*p->s - '0'), &v) ||
		    v > S64_MAX)
			return false;
	}
	*value = v;
	return true;
}

static bool parse_number(struct part p, u64 *value)
{
	return take_number(&p, value) && !p.len;
}

/* Take the unit that @p starts with off it: its length in ns, 0 if it is none. */
static u64 take_unit(struct part *p)
{
	static const struct {
		const char *name;
		u64 ns;
	} units[] = {
		{ "ms", NSEC_PER_MSEC },	/* before "m" */
		{ "s", NSEC_PER_SEC },
		{ "m", 60ULL * NSEC_PER_SEC },
		{ "h", 3600ULL * NSEC_PER_SEC },
		{ "d", 86400ULL * NSEC_PER_SEC },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].name);

		if (p->len >= n && !memcmp(p->s, units[i].name, n)) {
			p->s += n;
			p->len -= n;
			return units[i].ns;
		}
	}
	return 0;
}

/* 500ms, 10m, 1h30m: numbers, each with its unit, added up. */
static bool parse_duration(struct part p, u64 *ns)
{
	u64 sum = 0, v, unit;

	while (p.len) {
		if (!take_number(&p, &v))
			return false;
		unit = take_unit(&p);
		if (!unit || check_mul_overflow(v, unit, &v) ||
		    check_add_overflow(sum, v, &sum) || sum > S64_MAX)
			return false;
	}
	*ns = sum;
	return true;
}

/* Take @n digits off @p. */
static bool take_digits(struct part *p, size_t n, int *value)
{
	struct part field = { p->s, n };
	u64 v;

	if (p->len < n || !parse_number(field, &v))
		return false;
	p->s += n;
	p->len -= n;
	*value = v;
	return true;
}

static bool take_char(struct part *p, char c)
{
	if (!p->len || *p->s != c)
		return false;
	p->s++;
	p->len--;
	return true;
}

/* 20260131T235959Z, from 1970 to where ns since the epoch end (2262). */
static bool parse_time(struct part p, u64 *ns)
{
	int year, mon, day, hour, min, sec;
	struct tm tm;
	s64 t;

	if (!take_digits(&p, 4, &year) || !take_digits(&p, 2, &mon) ||
	    !take_digits(&p, 2, &day) || !take_char(&p, 'T') ||
	    !take_digits(&p, 2, &hour) || !take_digits(&p, 2, &min) ||
	    !take_digits(&p, 2, &sec) || !take_char(&p, 'Z') || p.len)
		return false;
	if (year < 1970 || mon < 1 || mon > 12)
		return false;

	/* Of a date that does not exist, another one comes back. */
	t = mktime64(year, mon, day, hour, min, sec);
	time64_to_tm(t, 0, &tm);
	if (tm.tm_year != year - 1900 || tm.tm_mon != mon - 1 ||
	    tm.tm_mday != day || tm.tm_hour != hour ||
	    tm.tm_min != min || tm.tm_sec != sec)
		return false;

	return t >= 0 && !check_mul_overflow((u64)t, (u64)NSEC_PER_SEC, ns) &&
	       *ns <= S64_MAX;
}

static bool parse_from(struct part p, struct mq_name *name)
{
	name->value = 0;
	if (part_is(p, "oldest")) {
		name->from = MQ_FROM_OLDEST;
		return true;
	}
	if (part_is(p, "newest")) {
		name->from = MQ_FROM_NEWEST;
		return true;
	}
	name->from = MQ_FROM_OFFSET;
	return parse_number(p, &name->value);
}

static bool parse_since(struct part p, struct mq_name *name)
{
	/* No duration has a T. */
	if (memchr(p.s, 'T', p.len)) {
		name->from = MQ_FROM_TIME;
		return parse_time(p, &name->value);
	}
	name->from = MQ_FROM_AGO;
	return parse_duration(p, &name->value);
}

/* An option whose only value is @word. */
static bool parse_word(struct part value, const char *word, bool *set)
{
	*set = part_is(value, word);
	return *set;
}

static bool parse_option(struct part key, struct part value,
			 struct mq_name *name, unsigned int *given)
{
	unsigned int bit;
	bool ok;

	if (part_is(key, "from")) {
		bit = GIVEN_START;
		ok = parse_from(value, name);
	} else if (part_is(key, "since")) {
		bit = GIVEN_START;
		ok = parse_since(value, name);
	} else if (part_is(key, "until")) {
		bit = GIVEN_UNTIL;
		ok = parse_word(value, "end", &name->until_end);
	} else if (part_is(key, "format")) {
		bit = GIVEN_FORMAT;
		ok = parse_word(value, "record", &name->record);
	} else if (part_is(key, "overrun")) {
		bit = GIVEN_OVERRUN;
		ok = parse_word(value, "skip", &name->overrun_skip);
	} else if (part_is(key, "ack")) {
		bit = GIVEN_ACK;
		ok = name->group &&
		     parse_word(value, "explicit", &name->ack_explicit);
	} else {
		return false;
	}
	if (!ok || (*given & bit))
		return false;
	*given |= bit;
	return true;
}

/* One "+..." without its plus: a group, if it is the first one and has no "=". */
static bool parse_suffix(struct part p, bool first, struct mq_name *name,
			 unsigned int *given)
{
	const char *eq = memchr(p.s, '=', p.len);
	struct part key, value;

	if (!eq) {
		/* A group's cursors span the partitions. */
		if (!first || name->partition >= 0 ||
		    !mq_name_valid(p.s, p.len, MQ_GROUP_NAME_MAX))
			return false;
		name->group = p.s;
		name->group_len = p.len;
		return true;
	}
	key.s = p.s;
	key.len = eq - p.s;
	value.s = eq + 1;
	value.len = p.len - key.len - 1;
	return key.len && value.len && parse_option(key, value, name, given);
}

/* Length of @p up to the next plus. */
static size_t suffix_len(struct part p)
{
	const char *plus = memchr(p.s, '+', p.len);

	return plus ? (size_t)(plus - p.s) : p.len;
}

/**
 * mq_name_parse - take a name under /dev/mq apart
 * @str: the name, not terminated
 * @len: its length
 * @name: filled in; refers to @str; undefined on failure
 *
 * Says nothing of whether topic, partition and group exist.
 *
 * Return: 0, or -ENOENT if it is malformed, has an option that does not exist or
 * stands twice, or a value that the option does not take.
 */
int mq_name_parse(const char *str, size_t len, struct mq_name *name)
{
	struct part p = { str, len };
	unsigned int given = 0;
	bool first = true;
	size_t n;
	u64 v;

	memset(name, 0, sizeof(*name));
	name->partition = -1;
	name->from = MQ_FROM_OLDEST;

	for (n = 0; n < len && is_name_char(str[n]); n++)
		;
	if (!mq_name_valid(str, n, MQ_TOPIC_NAME_MAX))
		return -ENOENT;
	name->topic = str;
	name->topic_len = n;
	p.s += n;
	p.len -= n;

	if (take_char(&p, '@')) {
		if (!take_number(&p, &v) || v > INT_MAX)
			return -ENOENT;
		name->partition = v;
	}
	while (p.len) {
		struct part suffix;

		if (!take_char(&p, '+'))
			return -ENOENT;
		suffix.s = p.s;
		suffix.len = suffix_len(p);
		if (!suffix.len || !parse_suffix(suffix, first, name, &given))
			return -ENOENT;
		p.s += suffix.len;
		p.len -= suffix.len;
		first = false;
	}
	return 0;
}
