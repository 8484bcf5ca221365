// SPDX-License-Identifier: GPL-2.0
/*
 * The parser of names under /dev/mq (kmod/name.c), in user space: every rule and
 * both sides of each limit. Its headers come from selftests/shim.
 */
#include <sys/mman.h>

#include "mqtest.h"
#include "../kmod/name.c"

struct test {
	const char *str;
	struct mq_name want;	/* topic, group: what they shall be, length 0 */
};

#define PART(string, n, ...)	{ .str = string, .want = { .partition = n, __VA_ARGS__ } }
#define GOOD(string, ...)	PART(string, -1, __VA_ARGS__)

static const struct test good[] = {
	GOOD("t", .topic = "t"),
	GOOD("a.b_c-D9", .topic = "a.b_c-D9"),
	GOOD("...", .topic = "..."),
	GOOD(".t", .topic = ".t"),
	GOOD("..t", .topic = "..t"),
	GOOD("-", .topic = "-"),
	PART("t@0", 0, .topic = "t"),
	PART("t@007", 7, .topic = "t"),
	PART("t@2147483647", 2147483647, .topic = "t"),
	GOOD("t+g", .topic = "t", .group = "g"),
	GOOD("t+from", .topic = "t", .group = "from"),
	GOOD("t+.g", .topic = "t", .group = ".g"),
	GOOD("t+from=oldest", .topic = "t"),
	GOOD("t+from=newest", .topic = "t", .from = MQ_FROM_NEWEST),
	GOOD("t+from=0", .topic = "t", .from = MQ_FROM_OFFSET),
	GOOD("t+from=12", .topic = "t", .from = MQ_FROM_OFFSET, .value = 12),
	GOOD("t+from=9223372036854775807", .topic = "t", .from = MQ_FROM_OFFSET,
	     .value = INT64_MAX),
	GOOD("t+until=end", .topic = "t", .until_end = true),
	GOOD("t+format=record", .topic = "t", .record = true),
	GOOD("t+overrun=skip", .topic = "t", .overrun_skip = true),
	GOOD("t+g+ack=explicit", .topic = "t", .group = "g", .ack_explicit = true),
	PART("t@3+from=newest+until=end+format=record+overrun=skip", 3, .topic = "t",
	     .from = MQ_FROM_NEWEST, .until_end = true, .record = true, .overrun_skip = true),
	GOOD("t+overrun=skip+since=1h", .topic = "t", .overrun_skip = true,
	     .from = MQ_FROM_AGO, .value = 3600000000000),

	GOOD("t+since=0s", .topic = "t", .from = MQ_FROM_AGO),
	GOOD("t+since=1ms", .topic = "t", .from = MQ_FROM_AGO, .value = 1000000),
	GOOD("t+since=2s", .topic = "t", .from = MQ_FROM_AGO, .value = 2000000000),
	GOOD("t+since=3m", .topic = "t", .from = MQ_FROM_AGO, .value = 180000000000),
	GOOD("t+since=1d", .topic = "t", .from = MQ_FROM_AGO, .value = 86400000000000),
	GOOD("t+since=1h30m", .topic = "t", .from = MQ_FROM_AGO, .value = 5400000000000),
	GOOD("t+since=1d2h3m4s5ms", .topic = "t", .from = MQ_FROM_AGO,
	     .value = 93784005000000),
	GOOD("t+since=9223372036s854ms", .topic = "t", .from = MQ_FROM_AGO,
	     .value = 9223372036854000000),
	GOOD("t+since=106751d", .topic = "t", .from = MQ_FROM_AGO,
	     .value = 9223286400000000000),

	GOOD("t+since=19700101T000000Z", .topic = "t", .from = MQ_FROM_TIME),
	GOOD("t+since=19700101T000001Z", .topic = "t", .from = MQ_FROM_TIME,
	     .value = 1000000000),
	GOOD("t+since=20000229T235959Z", .topic = "t", .from = MQ_FROM_TIME,
	     .value = 951868799000000000),
	GOOD("t+since=20240229T000000Z", .topic = "t", .from = MQ_FROM_TIME,
	     .value = 1709164800000000000),
	GOOD("t+since=20261231T235959Z", .topic = "t", .from = MQ_FROM_TIME,
	     .value = 1798761599000000000),
	GOOD("t+since=22620411T234716Z", .topic = "t", .from = MQ_FROM_TIME,
	     .value = 9223372036000000000),
};

static const char *const bad[] = {
	/* topics */
	"", ".", "..", "@", "@0", "+", "+g", "a/b", "a:b", "a b", "a=b", "a\nb", "t\xc3\xa4",
	"t\xff", "%s%n", "t,", "t\x7f", "\x01", "t~", ".@0", "..+until=end",
	/* partitions */
	"t@", "t@x", "t@-1", "t@+1", "t@ 1", "t@1 ", "t@1x", "t@1@2", "t@2147483648",
	"t@4294967296", "t@18446744073709551616", "t@99999999999999999999999", "t@0x1",
	/* groups */
	"t+", "t++g", "t+g+", "t+g+h", "t+until=end+g", "t+.", "t+..", "t+g@0", "t@0+g",
	"t@0+g+until=end", "t+g:h", "t+\xe4",
	/* options */
	"t+=", "t+=x", "t+x=", "t+x=y", "t+from=", "t+From=newest",
	"t+from=Newest", "t+from=newest ", "t+from= newest", "t+from=new", "t+from=newest=",
	"t+until=", "t+until=END", "t+until=ends", "t+until=en", "t+format=line", "t+format=",
	"t+overrun=", "t+overrun=report", "t+ack=explicit", "t@0+ack=explicit", "t+g+ack=",
	"t+g+ack=implicit", "t+until=end+", "t+until=end++overrun=skip", "t+fro=1", "t+froma=1",
	/* twice */
	"t+until=end+until=end", "t+from=1+from=1", "t+from=oldest+from=newest",
	"t+from=1+since=1h", "t+since=1h+from=oldest", "t+since=1h+since=1h",
	"t+format=record+format=record", "t+overrun=skip+overrun=skip",
	"t+g+ack=explicit+ack=explicit",
	/* offsets */
	"t+from=-1", "t+from=+1", "t+from=1x", "t+from=0x10", "t+from=1e3", "t+from=1.",
	"t+from=9223372036854775808", "t+from=18446744073709551615",
	"t+from=18446744073709551616", "t+from=99999999999999999999999999",
	/* durations */
	"t+since=", "t+since=10", "t+since=h", "t+since=1", "t+since=1y", "t+since=1w",
	"t+since=-1h", "t+since=1.5h", "t+since=1h30", "t+since=1hh", "t+since=1 h",
	"t+since=1H", "t+since=1us", "t+since=1ns", "t+since=106752d", "t+since=1h-1m",
	"t+since=9223372036s855ms", "t+since=9223372037s", "t+since=9223372036854775808ms",
	"t+since=18446744073709551616s", "t+since=106751d106751d",
	/* times */
	"t+since=20260101", "t+since=20260101T", "t+since=20260101T000000",
	"t+since=20260101T000000z", "t+since=20260101t000000Z", "t+since=2026-01-01T00:00:00Z",
	"t+since=20260101T000000ZZ", "t+since=20260101T0000000Z", "t+since=20260101T00000Z",
	"t+since=020260101T000000Z", "t+since=20260001T000000Z", "t+since=20261301T000000Z",
	"t+since=20260100T000000Z", "t+since=20260132T000000Z", "t+since=20260431T000000Z",
	"t+since=20260230T000000Z", "t+since=20260229T000000Z", "t+since=20240230T000000Z",
	"t+since=21000229T000000Z", "t+since=20260101T240000Z", "t+since=20260101T006000Z",
	"t+since=20260101T000060Z", "t+since=20260101T235960Z", "t+since=-0260101T000000Z",
	"t+since=2026 101T000000Z", "t+since=20260101T-10000Z", "t+since=19691231T235959Z",
	"t+since=00000101T000000Z", "t+since=22620411T234717Z", "t+since=99991231T235959Z",
	"t+since=T", "t+since=Z", "t+since=1hT", "t+since=TTTTTTTTTTTTTTTT",
};

/*
 * Parses a copy that ends where memory ends, so that a byte read beyond it is a
 * crash. The copy stays, for the result refers to it.
 */
static char *page_end;

static void setup(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(map != MAP_FAILED);
	need_ret(mprotect(map + page, page, PROT_NONE), 0);
	page_end = map + page;
}

static int parse(const char *str, size_t len, struct mq_name *name)
{
	memcpy(page_end - len, str, len);
	return mq_name_parse(page_end - len, len, name);
}

static bool same_part(const char *got, size_t len, const char *want)
{
	if (!want)
		return !got && !len;
	return got && len == strlen(want) && !memcmp(got, want, len);
}

static bool is_good(const struct test *t)
{
	const struct mq_name *w = &t->want;
	struct mq_name n;

	memset(&n, 0xff, sizeof(n));
	return parse(t->str, strlen(t->str), &n) == 0 &&
	       same_part(n.topic, n.topic_len, w->topic) &&
	       same_part(n.group, n.group_len, w->group) &&
	       n.partition == w->partition && n.from == w->from && n.value == w->value &&
	       n.until_end == w->until_end && n.record == w->record &&
	       n.overrun_skip == w->overrun_skip && n.ack_explicit == w->ack_explicit;
}

/* Names of a length at the limit: topic, "+", group, "+until=end". */
static int parse_lengths(size_t topic, size_t group)
{
	char str[512];
	size_t len = topic;
	struct mq_name n;
	int err;

	memset(str, 'a', sizeof(str));
	if (group) {
		str[len] = '+';
		len += 1 + group;
	}
	memcpy(str + len, "+until=end", 10);
	len += 10;
	err = parse(str, len, &n);
	if (!err && (n.topic_len != topic || n.group_len != group || !n.until_end))
		return 1;
	return err;
}

TEST(names_good, "names that mean something mean what they say")
{
	size_t i;

	setup();
	for (i = 0; i < ARRAY_SIZE(good); i++)
		if (!is_good(&good[i]))
			fail("%s", good[i].str);
}

TEST(names_bad, "A.9: everything else is ENOENT")
{
	struct mq_name n;
	size_t i;

	setup();
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (!expect_eq(parse(bad[i], strlen(bad[i]), &n), -ENOENT))
			note("that was %s", bad[i]);
}

TEST(name_lengths, "A.9: a topic's name has 1 to 128 bytes, a group's 1 to 64")
{
	setup();
	expect_eq(parse_lengths(1, 0), 0);
	expect_eq(parse_lengths(128, 0), 0);
	expect_eq(parse_lengths(129, 0), -ENOENT);
	expect_eq(parse_lengths(1, 1), 0);
	expect_eq(parse_lengths(128, 64), 0);
	expect_eq(parse_lengths(128, 65), -ENOENT);
}

TEST(name_nul, "A.9: a NUL inside a name is not its end")
{
	struct mq_name n;

	setup();
	expect_eq(parse("\0", 1, &n), -ENOENT);
	expect_eq(parse("t\0", 2, &n), -ENOENT);
	expect_eq(parse("t@0\0", 4, &n), -ENOENT);
	expect_eq(parse("t+g\0", 4, &n), -ENOENT);
	expect_eq(parse("t+until=end\0", 12, &n), -ENOENT);
	expect_eq(parse("t+from=1\0", 9, &n), -ENOENT);
}

TEST(name_bytes, "A.9: of the 256 bytes those of [A-Za-z0-9._-] are allowed")
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	struct mq_name n;
	int c;

	setup();
	for (c = 0; c < 256; c++) {
		char str[2] = { 'a', c };
		bool want = c && strchr(allowed, c);

		if ((parse(str + 1, 1, &n) == 0) != want)
			fail("byte %d as a name", c);
		if ((parse(str, 2, &n) == 0) != (want || c == '.'))
			fail("byte %d in a name", c);
	}
}

TEST(name_days, "every day from 1970 to 2262 exists, and no other")
{
	static const unsigned int days[] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned int year, mon, day, seen = 0;
	struct mq_name n;

	setup();
	for (year = 1970; year <= 2262; year++) {
		bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

		for (mon = 0; mon <= 13; mon++) {
			for (day = 0; day <= 32; day++) {
				bool want = mon >= 1 && mon <= 12 && day >= 1 &&
					    day <= days[mon] + (leap && mon == 2);
				char str[64];
				int err;

				if (year == 2262 && (mon > 4 || (mon == 4 && day > 11)))
					want = false;
				snprintf(str, sizeof(str), "t+since=%04u%02u%02uT120000Z",
					 year, mon, day);
				err = parse(str, strlen(str), &n);
				if (err != (want ? 0 : -ENOENT))
					fail("%s: %d", str, err);
				if (want && n.value != (seen++ * 86400ULL + 43200) * 1000000000)
					fail("%s: %llu", str, (unsigned long long)n.value);
			}
		}
	}
	expect_eq(seen, 106751 + 1);
}

TEST(name_cut, "a name cut off anywhere is a name or ENOENT")
{
	struct mq_name n;
	size_t i, len;

	setup();
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		for (len = 0; len <= strlen(good[i].str); len++) {
			int err = parse(good[i].str, len, &n);

			if (err)
				expect_eq(err, -ENOENT);
			else if (!n.topic_len || n.topic != page_end - len)
				fail("%s cut to %zu", good[i].str, len);
		}
	}
}
