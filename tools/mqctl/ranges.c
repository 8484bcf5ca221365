// SPDX-License-Identifier: GPL-2.0
/* Findings about runs of offsets, neighbours joined. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ranges.h"

void ranges_add(struct ranges *ranges, uint64_t first, uint64_t last, const char *what)
{
	/* Several findings alternate on a run of messages: look back a little. */
	for (size_t back = 1; back <= 8 && back <= ranges->count; back++) {
		struct range *r = &ranges->v[ranges->count - back];

		if (r->what == what && r->last != UINT64_MAX && r->last + 1 == first) {
			r->last = last;
			return;
		}
	}
	if (ranges->count == ranges->size) {
		ranges->size = ranges->size ? 2 * ranges->size : 8;
		ranges->v = reallocarray(ranges->v, ranges->size, sizeof(*ranges->v));
		if (!ranges->v) {
			fputs("mqctl: out of memory\n", stderr);
			exit(1);
		}
	}
	ranges->v[ranges->count++] = (struct range) { first, last, what };
}

void ranges_free(struct ranges *ranges)
{
	free(ranges->v);
	memset(ranges, 0, sizeof(*ranges));
}
