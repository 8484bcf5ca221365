// SPDX-License-Identifier: GPL-2.0
/*
 * MurmurHash2 (Austin Appleby, public domain) with the seed of Kafka's
 * org.apache.kafka.common.utils.Utils.murmur2, so that keys find the same
 * partition there and here.
 */
#include <endian.h>
#include <string.h>

#include "murmur2.h"

uint32_t murmur2(const void *key, size_t len)
{
	const unsigned char *p = key;
	const uint32_t m = 0x5bd1e995;
	uint32_t h = 0x9747b28c ^ (uint32_t)len;
	uint32_t k;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&k, p, 4);
		k = le32toh(k) * m;
		k ^= k >> 24;
		h = h * m ^ k * m;
	}
	switch (len) {
	case 3:
		h ^= (uint32_t)p[2] << 16;
		/* fall through */
	case 2:
		h ^= (uint32_t)p[1] << 8;
		/* fall through */
	case 1:
		h = (h ^ p[0]) * m;
	}
	h = (h ^ h >> 13) * m;
	return h ^ h >> 15;
}
