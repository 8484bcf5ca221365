// SPDX-License-Identifier: GPL-2.0
/* Numbers, sizes, durations, times and topics' names, to and from text. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mq/mq.h>

#include "parse.h"

/* A run of digits; strtoull alone would take signs, blanks and 0x. */
static const char *digits(const char *text, int base, uint64_t *value, char **end)
{
	unsigned long long v;

	if (!isdigit((unsigned char)*text))
		return "not a number";
	errno = 0;
	v = strtoull(text, end, base);
	if (errno == ERANGE)
		return "too large";
	*value = v;
	return NULL;
}

const char *parse_u64(const char *text, uint64_t *value)
{
	const char *why;
	uint64_t v;
	char *end;

	why = digits(text, 10, &v, &end);
	if (why)
		return why;
	if (*end)
		return "not a number";
	*value = v;
	return NULL;
}

const char *parse_u32(const char *text, uint32_t *value)
{
	const char *why;
	uint64_t v;

	why = parse_u64(text, &v);
	if (why)
		return why;
	if (v > UINT32_MAX)
		return "too large (at most 4294967295)";
	*value = v;
	return NULL;
}

const char *parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMG";
	const char *why, *unit;
	unsigned int shift = 0;
	uint64_t v;
	char *end;

	why = digits(text, 10, &v, &end);
	if (why)
		return "not a size: a number of bytes, or one with K, M or G";
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return "not a size: a number of bytes, or one with K, M or G";
		shift = 10 * (unit - units + 1);
	}
	if (v > UINT64_MAX >> shift)
		return "too large";
	*bytes = v << shift;
	return NULL;
}

const char *parse_duration(const char *text, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ms", NSEC_PER_MSEC },
		{ "s", NSEC_PER_SEC },
		{ "m", 60 * NSEC_PER_SEC },
		{ "h", 3600 * NSEC_PER_SEC },
	};
	const char *why;
	uint64_t v;
	char *end;

	why = digits(text, 10, &v, &end);
	if (why)
		return "not a duration: a number with ms, s, m or h";
	if (!*end && v == 0) {
		*ns = 0;
		return NULL;
	}
	if (!*end)
		return "needs a unit: ms, s, m or h";
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name))
			continue;
		if (v > UINT64_MAX / units[i].ns)
			return "too long";
		*ns = v * units[i].ns;
		return NULL;
	}
	return "not a duration: a number with ms, s, m or h";
}

const char *parse_mode(const char *text, uint32_t *mode)
{
	uint64_t v;
	char *end;

	if (digits(text, 8, &v, &end) || *end || v > 0777)
		return "not a mode: octal, 0 to 0777";
	*mode = v;
	return NULL;
}

const char *parse_uid(const char *text, uint32_t *uid)
{
	const struct passwd *pw;

	if (isdigit((unsigned char)*text))
		return parse_u32(text, uid);
	pw = getpwnam(text);
	if (!pw)
		return "no such user";
	*uid = pw->pw_uid;
	return NULL;
}

const char *parse_gid(const char *text, uint32_t *gid)
{
	const struct group *gr;

	if (isdigit((unsigned char)*text))
		return parse_u32(text, gid);
	gr = getgrnam(text);
	if (!gr)
		return "no such group";
	*gid = gr->gr_gid;
	return NULL;
}

const char *parse_hex(const char *text, unsigned char *buf, size_t len)
{
	size_t want = 2 * len;

	if (strlen(text) != want || strspn(text, "0123456789abcdefABCDEF") != want)
		return "not an id: 32 hexadecimal digits";
	for (size_t i = 0; i < len; i++) {
		char byte[3] = { text[2 * i], text[2 * i + 1], 0 };

		buf[i] = strtoul(byte, NULL, 16);
	}
	return NULL;
}

/* 20261122T093000Z or 2026-11-22T09:30:00[.fraction]Z */
static bool utc_time(const char *text, int64_t *ns)
{
	struct tm tm = { 0 };
	uint32_t frac = 0, scale = 100000000;
	const char *p;
	time_t t;

	p = strptime(text, "%Y%m%dT%H%M%S", &tm);
	if (!p) {
		memset(&tm, 0, sizeof(tm));
		p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
		if (p && *p == '.' && isdigit((unsigned char)p[1])) {
			for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
				frac += (*p - '0') * scale;
		}
	}
	if (!p || strcmp(p, "Z"))
		return false;
	t = timegm(&tm);
	if (t < 0 || t > (time_t)(INT64_MAX / NSEC_PER_SEC) - 1)
		return false;
	*ns = t * (int64_t)NSEC_PER_SEC + frac;
	return true;
}

const char *parse_time(const char *text, int64_t now, bool future, int64_t *ns)
{
	const char *why;
	uint64_t v;

	if (utc_time(text, ns))
		return NULL;
	if (strchr(text, 'T') || strchr(text, 'Z'))
		return "not a UTC time: YYYYMMDDThhmmssZ or YYYY-MM-DDThh:mm:ssZ";
	why = parse_duration(text, &v);
	if (why)
		return why;
	if (future) {
		if (v > (uint64_t)(INT64_MAX - now))
			return "too long";
		*ns = now + v;
	} else {
		/* Before 1970 there was nothing: the beginning. */
		*ns = v > (uint64_t)now ? 0 : now - (int64_t)v;
	}
	return NULL;
}

const char *parse_topic(const char *text, struct topic_ref *ref)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strcspn(text, "@");
	struct topic_ref r = { .partition = -1 };
	uint32_t n;

	if (!len || len > MQ_TOPIC_NAME_MAX || strspn(text, allowed) < len)
		return "not a topic's name: 1 to 128 of A-Z a-z 0-9 . _ -";
	memcpy(r.name, text, len);
	if (!strcmp(r.name, ".") || !strcmp(r.name, ".."))
		return "not a topic's name: \".\" and \"..\" are taken";
	if (text[len]) {
		if (parse_u32(text + len + 1, &n) || n > INT32_MAX)
			return "not a partition: TOPIC@NUMBER";
		r.partition = n;
	}
	*ref = r;
	return NULL;
}

const char *format_size(uint64_t bytes, char *buf)
{
	static const char units[] = "KMG";
	unsigned int shift = 30;

	/* Never rounded: what is shown can be given back. */
	for (; shift; shift -= 10) {
		if (bytes && !(bytes & ((1ULL << shift) - 1)))
			break;
	}
	if (shift)
		snprintf(buf, TEXT_MAX, "%" PRIu64 "%c", bytes >> shift, units[shift / 10 - 1]);
	else
		snprintf(buf, TEXT_MAX, "%" PRIu64, bytes);
	return buf;
}

const char *format_msec(uint64_t ms, char *buf)
{
	if (!ms)
		snprintf(buf, TEXT_MAX, "0");
	else if (ms % 3600000 == 0)
		snprintf(buf, TEXT_MAX, "%" PRIu64 "h", ms / 3600000);
	else if (ms % 60000 == 0)
		snprintf(buf, TEXT_MAX, "%" PRIu64 "m", ms / 60000);
	else if (ms % 1000 == 0)
		snprintf(buf, TEXT_MAX, "%" PRIu64 "s", ms / 1000);
	else
		snprintf(buf, TEXT_MAX, "%" PRIu64 "ms", ms);
	return buf;
}

const char *format_time(int64_t ns, char *buf)
{
	int64_t frac = ns % (int64_t)NSEC_PER_SEC;
	time_t t = ns / (int64_t)NSEC_PER_SEC;
	struct tm tm;
	size_t n;

	if (frac < 0) {
		frac += NSEC_PER_SEC;
		t--;
	}
	gmtime_r(&t, &tm);
	n = strftime(buf, TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, TEXT_MAX - n, ".%09" PRId64 "Z", frac);
	return buf;
}

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * (int64_t)NSEC_PER_SEC + ts.tv_nsec;
}

const char *format_hex(const unsigned char *data, size_t len, char *buf)
{
	for (size_t i = 0; i < len; i++)
		sprintf(buf + 2 * i, "%02x", data[i]);
	return buf;
}
