// SPDX-License-Identifier: GPL-2.0
/*
 * CRC-32C. The polynomial is Castagnoli's 0x1EDC6F41 (G. Castagnoli, S. Braeuer,
 * M. Herrmann: Optimization of Cyclic Redundancy-Check Codes with 24 and 32
 * Parity Bits, IEEE Trans. on Communications 41(6), 1993), in the parameters of
 * RFC 3720, 12.1 and appendix B.4: bits reflected, start value ~0, result
 * inverted. Eight bytes a step by eight tables ("slicing by 8": M. Kounavis,
 * F. Berry, 2005).
 */
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "crc32c.h"

#define POLY_REFLECTED	0x82F63B78U	/* 0x1EDC6F41, bit 0 first */

static uint32_t table[8][256];
static bool ready;

static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLY_REFLECTED : 0);
		table[0][i] = crc;
	}
	for (int t = 1; t < 8; t++) {
		for (uint32_t i = 0; i < 256; i++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
	}
	ready = true;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	if (!ready)
		make_tables();
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		word = le64toh(word) ^ crc;
		crc = 0;
		for (int i = 0; i < 8; i++)
			crc ^= table[7 - i][word >> 8 * i & 0xff];
	}
	for (; len; len--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return ~crc;
}
