// SPDX-License-Identifier: GPL-2.0
/*
 * Values of options: the first byte says of which kind. What a parser took and a
 * formatter prints is taken again, as the same.
 */
#define _GNU_SOURCE
#include <string.h>

#include "attrs.h"
#include "parse.h"
#include "target.h"

static void topic(const char *text)
{
	struct topic_ref ref;

	if (parse_topic(text, &ref))
		return;
	must(ref.name[0] && strlen(ref.name) <= 128 && !strpbrk(ref.name, "/@+ "));
	must(!strncmp(text, ref.name, strlen(ref.name)) && ref.partition >= -1);
}

static void size(const char *text)
{
	char buf[TEXT_MAX];
	uint64_t v, again;

	if (parse_size(text, &v))
		return;
	must(!parse_size(format_size(v, buf), &again) && again == v);
}

static void hex(const char *text)
{
	unsigned char id[16];
	char buf[33];

	if (!parse_hex(text, id, sizeof(id)))
		must(!strcasecmp(format_hex(id, sizeof(id), buf), text));
}

static void numbers(const char *text)
{
	uint32_t v32;
	uint64_t v;

	if (!parse_u32(text, &v32))
		must(!parse_u64(text, &v) && v == v32);
	parse_duration(text, &v);
	if (!parse_mode(text, &v32))
		must(v32 <= 0777);
	parse_uid(text, &v32);
	parse_gid(text, &v32);
}

static void time_of(const char *text)
{
	char buf[TEXT_MAX];
	int64_t ns = 0;

	if (!parse_time(text, 1700000000LL * 1000000000, false, &ns))
		format_time(ns, buf);
	parse_time(text, 1700000000LL * 1000000000, true, &ns);
}

/* What an attribute takes is shown, and what is shown is taken as the same. */
static void attr(unsigned int n, const char *text)
{
	const struct attr *a = &topic_attrs.attrs[n % topic_attrs.count];
	struct nl_msg *msg = nlmsg_alloc(), *again = nlmsg_alloc();
	const struct nlattr *nla, *same;
	char *shown;

	must(msg && again);
	if (a->kind != ATTR_BOOL && !attr_put(msg, a, text, false)) {
		nla = nlmsg_attrdata(nlmsg_hdr(msg), 0);
		shown = attr_text(a, nla, false);
		must(shown);
		/* A time zone's or a user's name is another matter. */
		if (a->kind == ATTR_SIZE || a->kind == ATTR_SIZE32 || a->kind == ATTR_ENUM ||
		    a->kind == ATTR_FLAGS || a->kind == ATTR_MODE || a->kind == ATTR_MSEC) {
			must(!attr_put(again, a, shown, false));
			same = nlmsg_attrdata(nlmsg_hdr(again), 0);
			must(nla_len(nla) == nla_len(same) &&
			     !memcmp(nla_data(nla), nla_data(same), nla_len(nla)));
		}
		free(shown);
	}
	nlmsg_free(msg);
	nlmsg_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text;

	if (!len)
		return 0;
	text = strndup((const char *)data + 1, len - 1);
	must(text);
	switch (data[0] % 8) {
	case 0:
		topic(text);
		break;
	case 1:
		size(text);
		break;
	case 2:
		hex(text);
		break;
	case 3:
		numbers(text);
		break;
	case 4:
		time_of(text);
		break;
	default:
		attr(data[0] >> 3, text);
	}
	free(text);
	return 0;
}
