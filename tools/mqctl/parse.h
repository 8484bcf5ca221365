/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers, sizes, durations, times and topics' names, to and from text. */
#ifndef MQCTL_PARSE_H
#define MQCTL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSEC_PER_MSEC	1000000ULL
#define NSEC_PER_SEC	1000000000ULL

/*
 * Parsers return NULL, or what is wrong with @text: half a sentence that fits
 * behind "--option text: ". Nothing is stored unless they return NULL.
 */
const char *parse_u64(const char *text, uint64_t *value);
const char *parse_u32(const char *text, uint32_t *value);
const char *parse_size(const char *text, uint64_t *bytes);
const char *parse_duration(const char *text, uint64_t *ns);
const char *parse_mode(const char *text, uint32_t *mode);
const char *parse_uid(const char *text, uint32_t *uid);
const char *parse_gid(const char *text, uint32_t *gid);
const char *parse_hex(const char *text, unsigned char *buf, size_t len);
/* A duration (that long before or after @now) or a UTC time; ns since the epoch. */
const char *parse_time(const char *text, int64_t now, bool future, int64_t *ns);

struct topic_ref {
	char name[129];
	int partition;		/* -1: none named */
};

/* TOPIC or TOPIC@PARTITION */
const char *parse_topic(const char *text, struct topic_ref *ref);

/* Each fills @buf (TEXT_MAX is always enough) and returns it. */
#define TEXT_MAX	48
const char *format_size(uint64_t bytes, char *buf);
const char *format_msec(uint64_t ms, char *buf);
const char *format_time(int64_t ns, char *buf);
/* The opposite of parse_hex(); @buf takes 2 * len + 1. */
const char *format_hex(const unsigned char *data, size_t len, char *buf);

int64_t now_ns(void);

#endif
