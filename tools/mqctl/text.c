// SPDX-License-Identifier: GPL-2.0
/* Bytes of messages as text: quoted for a terminal, and as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mqctl.h"

/* Length of the UTF-8 sequence at @p, 0 if it is none (RFC 3629). */
static size_t utf8_sequence(const unsigned char *p, size_t left, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 :
		     *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
	uint32_t c = len == 1 ? *p : *p & 0xff >> (len + 1);

	if (!len || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*code = c;
	return len;
}

bool is_utf8(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t code;
	size_t n;

	for (; len; p += n, len -= n) {
		n = utf8_sequence(p, len, &code);
		if (!n)
			return false;
	}
	return true;
}

void print_quoted(FILE *out, const void *data, size_t len)
{
	const unsigned char *p = data;
	const char *special;
	uint32_t code;
	size_t n;

	putc('"', out);
	for (; len; p += n, len -= n) {
		n = utf8_sequence(p, len, &code);
		if (!n) {
			n = 1;
			fprintf(out, "\\x%02x", *p);
		} else if (*p == '"' || *p == '\\') {
			putc('\\', out);
			putc(*p, out);
		} else if (*p && (special = strchr("\nn\tt\rr", *p)) && code < ' ') {
			putc('\\', out);
			putc(special[1], out);
		} else if (code < ' ' || (code >= 0x7f && code < 0xa0)) {
			for (size_t i = 0; i < n; i++)
				fprintf(out, "\\x%02x", p[i]);
		} else {
			fwrite(p, 1, n, out);
		}
	}
	putc('"', out);
}

/* RFC 4648, with padding. */
static char *base64(const unsigned char *p, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc(4 * ((len + 2) / 3) + 1), *to = text;

	if (!text)
		die("out of memory");
	for (; len; p += 3, len = len > 3 ? len - 3 : 0) {
		uint32_t bits = (uint32_t)p[0] << 16 | (len > 1 ? p[1] << 8 : 0) |
				(len > 2 ? p[2] : 0);

		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = len > 1 ? digits[bits >> 6 & 63] : '=';
		*to++ = len > 2 ? digits[bits & 63] : '=';
	}
	*to = '\0';
	return text;
}

void json_add_bytes(struct json_object *object, const char *name, const void *data, size_t len)
{
	char other[64], *text;

	if (is_utf8(data, len)) {
		json_object_object_add(object, name, json_object_new_string_len(data, len));
		return;
	}
	snprintf(other, sizeof(other), "%s-base64", name);
	text = base64(data, len);
	json_object_object_add(object, other, json_object_new_string(text));
	free(text);
}

void json_print_line(struct json_object *object)
{
	size_t len;
	const char *text = json_object_to_json_string_length(object,
			JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	if (!text)
		die("out of memory");
	fwrite(text, 1, len, stdout);
	putchar('\n');
	json_object_put(object);
}
