// SPDX-License-Identifier: GPL-2.0
/* Configuration files: read, checked, completed by the defaults. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ini.h>
#include <mq/netlink.h>

#include "conf.h"
#include "mqctl.h"

/* Where reading stands. */
struct conf_file {
	struct conf *conf;
	const char *name;
	FILE *stream;
	char *text;
	size_t size;
	char *quoted;			/* the line's value, if it stood in quotes */
	unsigned int line;
	bool started;			/* a section was seen; topic is NULL if it was bad */
	struct conf_topic *topic;
};

static void __attribute__((format(printf, 4, 5)))
complain(struct conf *conf, const char *file, unsigned int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say("%s:%u: %s", file, line, text);
	conf->errors++;
}

bool conf_is_key(const struct attr *attr)
{
	return attr->flags & ATTR_ADD && !(attr->flags & ATTR_OPERAND);
}

bool conf_equal(const struct nlattr *a, const struct nlattr *b)
{
	return a && b && nla_len(a) == nla_len(b) &&
	       !memcmp(nla_data(a), nla_data(b), nla_len(a));
}

/* The attribute that stands for @text; or NULL, and *@why. */
static struct nlattr *make_value(const struct attr *attr, const char *text, const char **why)
{
	bool on = !strcmp(text, "yes");
	struct nlattr *copy = NULL;
	struct nl_msg *msg;

	if (attr->kind == ATTR_BOOL && !on && strcmp(text, "no")) {
		*why = "must be yes or no";
		return NULL;
	}
	msg = nlmsg_alloc();
	if (!msg)
		die("out of memory");
	*why = attr_put(msg, attr, text, on);
	if (!*why) {
		struct nlattr *nla = nlmsg_attrdata(nlmsg_hdr(msg), 0);

		copy = malloc(nla->nla_len);
		if (!copy)
			die("out of memory");
		memcpy(copy, nla, nla->nla_len);
	}
	nlmsg_free(msg);
	return copy;
}

struct conf_topic *conf_find(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->topics_n; i++) {
		if (!strcmp(conf->topics[i].name, name))
			return &conf->topics[i];
	}
	return NULL;
}

static struct conf_topic *add_topic(struct conf_file *file, const char *name)
{
	struct conf *conf = file->conf;
	struct conf_topic *topic;

	conf->topics = reallocarray(conf->topics, conf->topics_n + 1, sizeof(*topic));
	if (!conf->topics)
		die("out of memory");
	topic = &conf->topics[conf->topics_n++];
	*topic = (struct conf_topic) {
		.name = strdup(name), .file = file->name, .line = file->line
	};
	if (!topic->name)
		die("out of memory");
	return topic;
}

/* "[topic NAME]", and perhaps a comment. */
static void section(struct conf_file *file, char *text)
{
	char *end = strchr(text, ']'), *name, *save = NULL;
	const struct conf_topic *first;
	struct topic_ref ref;
	const char *why;
	size_t len;

	file->started = true;
	file->topic = NULL;
	if (!end || !strchr(";#", end[1 + strspn(end + 1, " \t\r\n")])) {
		complain(file->conf, file->name, file->line,
			 "not a section: must be [topic NAME], alone on its line");
		return;
	}
	*end = '\0';
	name = text + 1 + strspn(text + 1, " \t");
	len = strcspn(name, " \t");
	if (len != strlen("topic") || strncmp(name, "topic", len)) {
		complain(file->conf, file->name, file->line,
			 "unknown section [%s]: must be [topic NAME]", text + 1);
		return;
	}
	name = strtok_r(name + len, " \t", &save);
	if (!name || strtok_r(NULL, " \t", &save))
		why = "must be [topic NAME], with one name";
	else
		why = parse_topic(name, &ref);
	if (!why && ref.partition >= 0)
		why = "partitions are not configured one by one";
	if (why) {
		complain(file->conf, file->name, file->line, "[topic%s%s]: %s",
			 name ? " " : "", name ? name : "", why);
		return;
	}
	first = conf_find(file->conf, name);
	if (first) {
		complain(file->conf, file->name, file->line,
			 "topic %s is defined a second time: it is at %s:%u already", name,
			 first->file, first->line);
		return;
	}
	file->topic = add_topic(file, name);
}

/* The character that an escape of print_quoted() stands for; -1 if it is none. */
static int unescape(char **at)
{
	static const char codes[] = "\"\"\\\\n\nt\tr\r";
	char c = **at, hex[3] = "";

	*at += !!c;
	for (const char *code = codes; *code; code += 2) {
		if (c == *code)
			return code[1];
	}
	for (int i = 0; c == 'x' && i < 2 && isxdigit((unsigned char)**at); i++)
		hex[i] = *(*at)++;
	return hex[1] ? (int)strtoul(hex, NULL, 16) : -1;
}

/*
 * KEY = "VALUE", which may be of any length and have in it what begins a comment: the
 * value goes to file->quoted, "KEY =" to inih.
 */
static void take_quoted(struct conf_file *file, char *text)
{
	char *end = text + strcspn(text, "=:"), *at, *to;
	int c = 1;

	at = end + !!*end;
	at += strspn(at, " \t");
	if (*at != '"' || strchr("[#;", *text))
		return;
	to = at++;
	file->quoted = to;
	/* A zero byte would end it. */
	while (*at && *at != '"' && c > 0) {
		c = (unsigned char)*at++;
		if (c == '\\')
			c = unescape(&at);
		*to++ = c;
	}
	if (c <= 0 || *at != '"' || !strchr("#;", at[1 + strspn(at + 1, " \t\r\n")])) {
		complain(file->conf, file->name, file->line, "not a value in double quotes: must"
			 " be \"VALUE\", with \\\" \\\\ \\n \\t \\r or \\xNN for what cannot stand in it");
		*text = '\0';
		return;
	}
	*to = '\0';
	end[1] = '\0';
}

void conf_print_value(FILE *out, const char *text)
{
	/* Blanks at an end would be lost, and behind one a ; begins a comment. */
	if (strlen(text) > 128 || strpbrk(text, " \t\n\v\f\r;\"\\"))
		print_quoted(out, text, strlen(text));
	else
		fputs(text, out);
}

/*
 * A line for inih, which cuts long lines and long names of sections without a
 * word, tells nobody of a section without keys, and takes an indented line for
 * the one before continued: so sections, and blanks in front, end here.
 */
static char *read_line(char *buf, int size, void *ctx)
{
	struct conf_file *file = ctx;
	ssize_t len = getline(&file->text, &file->size, file->stream);
	char *text = file->text;

	if (len < 0)
		return NULL;
	file->line++;
	file->quoted = NULL;
	*buf = '\0';
	if (strlen(text) != (size_t)len) {
		complain(file->conf, file->name, file->line, "not text: a zero byte");
		return buf;
	}
	if (file->line == 1 && !strncmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	text += strspn(text, " \t");
	take_quoted(file, text);
	if (*text == '[')
		section(file, text);
	else if (strlen(text) < (size_t)size)
		strcpy(buf, text);
	else if (*text != '#' && *text != ';')
		complain(file->conf, file->name, file->line, "longer than %d characters:"
			 " write KEY = \"VALUE\"", size - 2);
	return buf;
}

static void unknown_key(struct conf_file *file, const char *key)
{
	char known[400] = "";

	for (unsigned int i = 0; i < topic_attrs.count; i++) {
		if (conf_is_key(&topic_attrs.attrs[i]))
			snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
				 known[0] ? ", " : "", topic_attrs.attrs[i].name);
	}
	complain(file->conf, file->name, file->line, "unknown key %s: must be one of %s", key,
		 known);
}

static int key_value(void *ctx, const char *unused, const char *key, const char *value)
{
	struct conf_file *file = ctx;
	struct conf_topic *topic = file->topic;
	const struct attr *attr = attr_by_name(&topic_attrs, key);
	const char *why;

	(void)unused;
	if (file->quoted)
		value = file->quoted;
	if (!file->started) {
		complain(file->conf, file->name, file->line,
			 "%s belongs to no section: a line [topic NAME] must come first", key);
		return 1;
	}
	if (!attr || !conf_is_key(attr)) {
		unknown_key(file, key);
		return 1;
	}
	if (topic && topic->lines[attr->type]) {
		complain(file->conf, file->name, file->line, "%s is given twice: it is at line %u already",
			 key, topic->lines[attr->type]);
		return 1;
	}
	if (topic) {
		topic->tb[attr->type] = make_value(attr, value, &why);
		topic->lines[attr->type] = file->line;
		if (why)
			complain(file->conf, file->name, file->line, "%s = %s: %s", key, value,
				 why);
	}
	return 1;
}

static void cannot(struct conf *conf, const char *path)
{
	say("%s: %s", path, strerror(errno));
	conf->errors++;
}

static void read_file(struct conf *conf, const char *path)
{
	struct conf_file file = { .conf = conf };
	char *name = strdup(path);
	int bad;

	conf->files = reallocarray(conf->files, conf->files_n + 1, sizeof(*conf->files));
	if (!name || !conf->files)
		die("out of memory");
	conf->files[conf->files_n++] = name;
	file.name = name;
	file.stream = fopen(path, "re");
	if (!file.stream) {
		cannot(conf, path);
		return;
	}
	bad = ini_parse_stream(read_line, &file, key_value, &file);
	if (bad > 0)
		complain(conf, name, bad, "neither [topic NAME] nor KEY = VALUE");
	if (ferror(file.stream))
		cannot(conf, path);
	free(file.text);
	fclose(file.stream);
}

static int is_conf(const struct dirent *entry)
{
	const char *suffix = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && suffix && !strcmp(suffix, ".conf");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void conf_read(struct conf *conf, const char *path)
{
	struct dirent **entries;
	struct stat st;
	char *name;
	int n;

	if (stat(path, &st)) {
		cannot(conf, path);
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		read_file(conf, path);
		return;
	}
	n = scandir(path, &entries, is_conf, by_bytes);
	if (n < 0) {
		cannot(conf, path);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (asprintf(&name, "%s/%s", path, entries[i]->d_name) < 0)
			die("out of memory");
		read_file(conf, name);
		free(name);
		free(entries[i]);
	}
	free(entries);
}

/* --- defaults and limits: the module's (kmod/config.c, kmod/limits.h) --- */

#define RING_MIN	4096ULL
#define RING_MAX	(1ULL << 40)

static const struct {
	const char *key;
	const char *text;
} defaults[] = {
	{ "partitions", "1" },
	{ "ring-bytes", "4M" },
	{ "ring-messages", "32768" },
	{ "framing", "message" },
	{ "hold", "none" },
	{ "stamp", "none" },
	{ "persistent", "no" },
	{ "paused", "no" },
	{ "sync-timeout", "0" },
	{ "mode", "0600" },
	{ "uid", "0" },
	{ "gid", "0" },
	{ "lend", "yes" },
	{ "memory-cgroup", "" },
};

static const struct {
	unsigned int type;
	uint64_t min;
	uint64_t max;
	bool power;
} limits[] = {
	{ MQ_A_TOPIC_PARTITIONS, 1, 1024, false },
	{ MQ_A_TOPIC_RING_BYTES, RING_MIN, RING_MAX, true },
	{ MQ_A_TOPIC_RING_MESSAGES, 64, 1ULL << 32, true },
	{ MQ_A_TOPIC_ATTR_BYTES, RING_MIN, RING_MAX, true },
	{ MQ_A_TOPIC_MAX_MESSAGE_BYTES, 1, 1 << 30, false },
	{ MQ_A_TOPIC_START_OFFSET, 0, INT64_MAX, false },
	{ MQ_A_TOPIC_START_POSITION, 0, INT64_MAX, false },
};

static uint64_t number(const struct nlattr *nla)
{
	return nla_len(nla) == sizeof(uint64_t) ? nla_get_u64(nla) : nla_get_u32(nla);
}

struct nlattr *conf_default(const struct attr *attr, struct nlattr *const *tb)
{
	const struct nlattr *ring = tb[MQ_A_TOPIC_RING_BYTES];
	const struct nlattr *persistent = tb[MQ_A_TOPIC_PERSISTENT];
	uint64_t quarter = (ring ? number(ring) : 4ULL << 20) / 4;
	const char *text = NULL, *why;
	char buf[24];

	switch (attr->type) {
	case MQ_A_TOPIC_ATTR_BYTES:
		if (quarter < RING_MIN)
			quarter = RING_MIN;
		break;
	case MQ_A_TOPIC_MAX_MESSAGE_BYTES:
		if (quarter > 1 << 20)
			quarter = 1 << 20;
		break;
	case MQ_A_TOPIC_OVERFLOW:
		text = persistent && nla_get_u8(persistent) ? "block" : "drop-oldest";
		break;
	default:
		for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
			if (!strcmp(defaults[i].key, attr->name))
				text = defaults[i].text;
		}
		if (!text)
			return NULL;
	}
	if (!text) {
		snprintf(buf, sizeof(buf), "%" PRIu64, quarter);
		text = buf;
	}
	return make_value(attr, text, &why);
}

static void check_limits(struct conf *conf, const struct conf_topic *topic)
{
	const struct nlattr *ring = topic->tb[MQ_A_TOPIC_RING_BYTES];
	char given[TEXT_MAX], low[TEXT_MAX], high[TEXT_MAX];

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct attr *attr = attr_by_type(&topic_attrs, limits[i].type);
		const struct nlattr *nla = topic->tb[attr->type];
		unsigned int line = topic->lines[attr->type];
		uint64_t v, max = limits[i].max;
		bool quarter = false, plain;

		if (!nla || !line)
			continue;
		v = number(nla);
		if (attr->type == MQ_A_TOPIC_MAX_MESSAGE_BYTES && ring && number(ring) / 4 < max) {
			max = number(ring) / 4;
			quarter = true;
		}
		if (v >= limits[i].min && v <= max && (!limits[i].power || !(v & (v - 1))))
			continue;
		plain = attr->kind != ATTR_SIZE && attr->kind != ATTR_SIZE32;
		if (plain) {
			snprintf(given, sizeof(given), "%" PRIu64, v);
			snprintf(low, sizeof(low), "%" PRIu64, limits[i].min);
			snprintf(high, sizeof(high), "%" PRIu64, max);
		} else {
			format_size(v, given);
			format_size(limits[i].min, low);
			format_size(max, high);
		}
		complain(conf, topic->file, line, "%s = %s: must be %s%s to %s%s", attr->name,
			 given, limits[i].power ? "a power of two, " : "", low, high,
			 quarter ? ", a quarter of ring-bytes" : "");
	}
}

void conf_complete(struct conf *conf)
{
	for (size_t t = 0; t < conf->topics_n; t++) {
		struct conf_topic *topic = &conf->topics[t];

		for (unsigned int i = 0; i < topic_attrs.count; i++) {
			const struct attr *attr = &topic_attrs.attrs[i];

			/* With a line, but no value, its text was bad. */
			if (conf_is_key(attr) && !topic->lines[attr->type])
				topic->tb[attr->type] = conf_default(attr, topic->tb);
		}
		check_limits(conf, topic);
	}
}

void conf_free(struct conf *conf)
{
	for (size_t t = 0; t < conf->topics_n; t++) {
		free(conf->topics[t].name);
		for (unsigned int i = 0; i < ATTR_TYPE_MAX; i++)
			free(conf->topics[t].tb[i]);
	}
	for (size_t i = 0; i < conf->files_n; i++)
		free(conf->files[i]);
	free(conf->topics);
	free(conf->files);
	*conf = (struct conf) { 0 };
}
