// SPDX-License-Identifier: GPL-2.0
/* Frames of mqctl ship and receive, to and from bytes; see ship_proto.h. */
#define _GNU_SOURCE
#include <endian.h>
#include <string.h>

#include "parse.h"
#include "ship_proto.h"

static const char magic[8] = { 'M', 'Q', 'S', 'H', 'I', 'P', '\r', '\n' };

const struct ship_hello ship_our_hello = {
	.version_min = SHIP_VERSION_MIN,
	.version_max = SHIP_VERSION_MAX,
	.features = SHIP_FEATURES,
};

static void put16(uint8_t *to, uint16_t value)
{
	value = htole16(value);
	memcpy(to, &value, sizeof(value));
}

static void put32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static void put64(uint8_t *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return le16toh(value);
}

static uint32_t get32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

size_t ship_put_hello(uint8_t *buf, const struct ship_hello *hello)
{
	memcpy(buf, magic, sizeof(magic));
	put16(buf + 8, hello->version_min);
	put16(buf + 10, hello->version_max);
	put32(buf + 12, 0);
	put64(buf + 16, hello->features);
	put64(buf + 24, hello->required);
	return SHIP_HELLO_LEN;
}

size_t ship_put_frame(uint8_t *buf, const struct ship_frame *frame)
{
	buf[0] = frame->type;
	buf[1] = frame->flags;
	put16(buf + 2, 0);
	put32(buf + 4, frame->stream);
	put32(buf + 8, frame->length);
	put32(buf + 12, 0);
	put64(buf + 16, frame->position);
	return SHIP_HEADER_LEN;
}

size_t ship_put_open(uint8_t *buf, const struct ship_open *open)
{
	size_t len = strlen(open->name);

	memcpy(buf, open->id, sizeof(open->id));
	put32(buf + 16, open->partition);
	put32(buf + 20, open->partitions);
	memcpy(buf + 24, open->name, len);
	return 24 + len;
}

const char *ship_get_hello(const uint8_t *buf, struct ship_hello *hello)
{
	if (memcmp(buf, magic, sizeof(magic)))
		return "this is not the protocol of mqctl ship and receive";
	hello->version_min = get16(buf + 8);
	hello->version_max = get16(buf + 10);
	hello->features = get64(buf + 16);
	hello->required = get64(buf + 24);
	if (!hello->version_min || hello->version_min > hello->version_max || get32(buf + 12))
		return "a hello that makes no sense";
	if (hello->version_min > SHIP_VERSION_MAX)
		return "the other side's mqctl is too new: no version of the protocol in common";
	if (hello->version_max < SHIP_VERSION_MIN)
		return "the other side's mqctl is too old: no version of the protocol in common";
	if (hello->required & ~SHIP_FEATURES)
		return "the other side needs a feature that this mqctl does not have";
	if (ship_our_hello.required & ~hello->features)
		return "the other side lacks a feature that this mqctl needs";
	return NULL;
}

/* What each type may look like. */
static const struct {
	bool by_sender;
	bool by_receiver;
	bool placed;			/* the position means something */
	uint8_t flags;
	uint32_t least;
	uint32_t most;
} types[] = {
	[SHIP_OPEN] = { true, false, false, 0, SHIP_OPEN_MIN, SHIP_OPEN_MAX },
	[SHIP_STATE] = { false, true, true, SHIP_HAVE, 0, 0 },
	[SHIP_DATA] = { true, false, true, SHIP_GAP, 1, SHIP_DATA_MAX },
	[SHIP_ACK] = { false, true, true, 0, 0, 0 },
	[SHIP_CLOSE] = { true, false, false, 0, 0, 0 },
	[SHIP_ERROR] = { true, true, false, 0, 0, SHIP_ERROR_MAX },
};

const char *ship_get_frame(const uint8_t *buf, bool by_sender, struct ship_frame *frame)
{
	*frame = (struct ship_frame) {
		.type = buf[0],
		.flags = buf[1],
		.stream = get32(buf + 4),
		.length = get32(buf + 8),
		.position = get64(buf + 16),
	};
	if (frame->type < SHIP_OPEN || frame->type > SHIP_ERROR)
		return "a frame of an unknown type";
	if (by_sender ? !types[frame->type].by_sender : !types[frame->type].by_receiver)
		return "a frame of a type that comes from the other side";
	if (frame->length < types[frame->type].least || frame->length > types[frame->type].most)
		return "a frame of a length that its type cannot have";
	if (frame->type == SHIP_ERROR) {
		frame->stream = 0;
		return NULL;
	}
	if (frame->flags & ~types[frame->type].flags || get16(buf + 2) || get32(buf + 12))
		return "a frame with an unknown flag";
	if (frame->stream >= SHIP_STREAMS)
		return "a frame of a stream beyond the limit";
	if (frame->position && !types[frame->type].placed)
		return "a position where there is none";
	/* What the kernel has are file positions. */
	if (frame->position > (uint64_t)INT64_MAX - frame->length)
		return "a position beyond what a file can have";
	return NULL;
}

const char *ship_get_open(const uint8_t *buf, size_t len, struct ship_open *open)
{
	struct topic_ref ref;
	const char *why;

	if (len < SHIP_OPEN_MIN || len > SHIP_OPEN_MAX)
		return "a frame of a length that its type cannot have";
	memset(open, 0, sizeof(*open));
	memcpy(open->id, buf, sizeof(open->id));
	open->partition = get32(buf + 16);
	open->partitions = get32(buf + 20);
	memcpy(open->name, buf + 24, len - 24);
	if (!open->partitions || open->partitions > SHIP_PARTITIONS ||
	    open->partition >= open->partitions)
		return "a partition that its topic cannot have";
	if (strlen(open->name) != len - 24)
		return "a zero byte in a topic's name";
	/* It becomes a file's name. */
	why = parse_topic(open->name, &ref);
	if (!why && ref.partition >= 0)
		why = "not a topic's name";
	return why;
}
