// SPDX-License-Identifier: GPL-2.0
/* Frames of the protocol of ship and receive: what is taken is written the same. */
#define _GNU_SOURCE
#include <string.h>

#include "ship_proto.h"
#include "target.h"

static void hello(const uint8_t *data)
{
	uint8_t again[SHIP_HELLO_LEN];
	struct ship_hello h;

	if (ship_get_hello(data, &h))
		return;
	must(ship_put_hello(again, &h) == SHIP_HELLO_LEN && !memcmp(again, data, sizeof(again)));
}

static void frame(const uint8_t *data, bool by_sender)
{
	uint8_t again[SHIP_HEADER_LEN];
	struct ship_frame f;

	if (ship_get_frame(data, by_sender, &f))
		return;
	must(f.stream < SHIP_STREAMS && f.length <= SHIP_DATA_MAX);
	if (f.type != SHIP_ERROR)
		must(ship_put_frame(again, &f) == SHIP_HEADER_LEN &&
		     !memcmp(again, data, sizeof(again)));
}

static void open_of(const uint8_t *data, size_t len)
{
	uint8_t again[SHIP_OPEN_MAX];
	struct ship_open o;

	if (ship_get_open(data, len, &o))
		return;
	must(!strpbrk(o.name, "/@+ ") && strcmp(o.name, ".") && strcmp(o.name, ".."));
	must(ship_put_open(again, &o) == len && !memcmp(again, data, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy;

	if (!len)
		return 0;
	copy = malloc(len);
	must(copy);
	memcpy(copy, data + 1, len - 1);
	if (data[0] % 4 == 0 && len - 1 >= SHIP_HELLO_LEN)
		hello(copy);
	else if (data[0] % 4 == 3)
		open_of(copy, len - 1);
	else if (len - 1 >= SHIP_HEADER_LEN)
		frame(copy, data[0] & 1);
	free(copy);
	return 0;
}
