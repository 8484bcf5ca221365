/* SPDX-License-Identifier: GPL-2.0 */
/* Findings about runs of offsets, neighbours joined. */
#ifndef MQCTL_RANGES_H
#define MQCTL_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t first;
	uint64_t last;
	const char *what;	/* ranges of one finding join: not copied */
};

struct ranges {
	struct range *v;
	size_t count;
	size_t size;
};

void ranges_add(struct ranges *ranges, uint64_t first, uint64_t last, const char *what);
void ranges_free(struct ranges *ranges);

#endif
