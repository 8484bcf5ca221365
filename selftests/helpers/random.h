/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers that a seed tells again: xorshift64 (Marsaglia, 2003). */
#ifndef HELPERS_RANDOM_H
#define HELPERS_RANDOM_H

#include <stdint.h>

static uint64_t random_state;

/* From 0 on, less than @below. */
static inline uint32_t rnd(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % below;
}

static inline void rnd_seed(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
	rnd(2);
}

#endif
