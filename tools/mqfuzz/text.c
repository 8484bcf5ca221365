// SPDX-License-Identifier: GPL-2.0
/* Programs to text and back; the form stands in fuzz.h. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void print_string(FILE *out, const char *text)
{
	fputs(" \"", out);
	for (; *text; text++) {
		unsigned char ch = *text;

		if (ch < ' ' || ch == '"' || ch == '\\' || ch >= 0x7f)
			fprintf(out, "\\x%02x", ch);
		else
			fputc(ch, out);
	}
	fputc('"', out);
}

static void print_arg(FILE *out, const struct argdef *a, uint64_t value)
{
	fprintf(out, " %s=", a->name);
	if (a->type == ARG_FD || a->type == ARG_TO)
		fprintf(out, "r%" PRIu64, value);
	else if (a->type == ARG_MAP || a->type == ARG_TOMAP)
		fprintf(out, "m%" PRIu64, value);
	else if ((int64_t)value < 0 && (int64_t)value > -4096)
		fprintf(out, "%" PRId64, (int64_t)value);
	else if (a->type == ARG_BITS || value > 1 << 20)
		fprintf(out, "0x%" PRIx64, value);
	else
		fprintf(out, "%" PRIu64, value);
}

void prog_print(FILE *out, const struct prog *p)
{
	if (p->user)
		fputs("user\n", out);
	for (unsigned int i = 0; i < p->n; i++) {
		const struct call *c = &p->calls[i];
		const struct calldef *def = &grammar[c->kind];

		fprintf(out, "%u", c->thread);
		if (c->repeat > 1)
			fprintf(out, " *%u", c->repeat);
		if (c->fail)
			fprintf(out, " !%u", c->fail);
		fprintf(out, " %s", def->name);
		for (unsigned int a = 0; a < ARGS_MAX && def->args[a].type; a++)
			print_arg(out, &def->args[a], c->arg[a]);
		if (def->text)
			print_string(out, c->text);
		for (unsigned int a = 0; def->pairs && a < c->pairs_n; a++)
			fprintf(out, " +0x%x:0x%" PRIx64, c->pairs[a].key, c->pairs[a].value);
		fputc('\n', out);
	}
	fputs("---\n", out);
}

static bool read_number(const char *text, uint64_t *value)
{
	char *end;

	if (*text == 'r' || *text == 'm')
		text++;
	*value = strtoull(text, &end, 0);
	return end != text && !*end;
}

static bool read_string(char **at, char *to)
{
	char *s = *at + 1;
	size_t n = 0;

	for (; *s && *s != '"'; s++) {
		char ch = *s;

		if (ch == '\\') {
			char hex[3] = { 0 };

			if (s[1] != 'x' || !s[2] || !s[3])
				return false;
			memcpy(hex, s + 2, 2);
			ch = strtoul(hex, NULL, 16);
			s += 3;
		}
		if (n == TEXT_MAX - 1)
			return false;
		to[n++] = ch;
	}
	to[n] = 0;
	*at = s + (*s == '"');
	return *s == '"';
}

static bool read_word(const struct calldef *def, struct call *c, char *word)
{
	char *value = strpbrk(word + 1, word[0] == '+' ? ":" : "=");
	uint64_t key;

	if (!value)
		return false;
	*value++ = 0;
	if (word[0] == '+') {
		struct pair *pair = &c->pairs[c->pairs_n];

		if (!def->pairs || c->pairs_n == PAIRS_MAX || !read_number(word + 1, &key) ||
		    !read_number(value, &pair->value))
			return false;
		pair->key = key;
		c->pairs_n++;
		return true;
	}
	for (unsigned int a = 0; a < ARGS_MAX && def->args[a].type; a++) {
		if (!strcmp(def->args[a].name, word))
			return read_number(value, &c->arg[a]);
	}
	return false;
}

static const struct calldef *find_call(const char *name, struct call *c)
{
	for (unsigned int i = 0; i < grammar_n; i++) {
		if (!strcmp(grammar[i].name, name)) {
			c->kind = i;
			return &grammar[i];
		}
	}
	return NULL;
}

/* NULL, or what is wrong. */
static const char *read_call(char *text, struct call *c)
{
	const struct calldef *def = NULL;
	uint64_t value;

	memset(c, 0, sizeof(*c));
	c->repeat = 1;
	c->thread = *text - '0';
	if (c->thread > 1)
		return "no thread 0 or 1";
	for (text++; *(text += strspn(text, " \t\r\n"));) {
		char *word = text;

		if (*text == '"') {
			if (!def || !def->text || !read_string(&text, c->text))
				return "bad string";
			continue;
		}
		text += strcspn(text, " \t\r\n");
		if (*text)
			*text++ = 0;
		if (!def && (*word == '*' || *word == '!')) {
			if (!read_number(word + 1, &value) || !value ||
			    value > (*word == '*' ? REPEAT_MAX : 255))
				return "bad number";
			*(*word == '*' ? &c->repeat : &c->fail) = value;
		} else if (!def) {
			def = find_call(word, c);
			if (!def)
				return "unknown call";
		} else if (!read_word(def, c, word)) {
			return "bad argument";
		}
	}
	return def ? NULL : "no call";
}

int prog_read(FILE *in, const char *name, unsigned int *line, struct prog *p)
{
	char *text = NULL;
	size_t size = 0;
	const char *why;
	int ret = 0;

	memset(p, 0, sizeof(*p));
	while (getline(&text, &size, in) > 0) {
		++*line;
		if (*text == '#' || *text == '\n')
			continue;
		ret = 1;
		if (!strncmp(text, "---", 3))
			break;
		if (!strncmp(text, "user", 4)) {
			p->user = true;
			continue;
		}
		why = p->n == CALLS_MAX ? "too many calls" : read_call(text, &p->calls[p->n]);
		if (why) {
			fprintf(stderr, "mqfuzz: %s:%u: %s\n", name, *line, why);
			ret = -1;
			break;
		}
		p->n++;
	}
	free(text);
	return ret;
}
