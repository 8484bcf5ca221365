/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_CRC_H
#define _MQ_CRC_H

#include <linux/crc32c.h>
#include <linux/types.h>
#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#endif

/**
 * mq_crc32c() - CRC-32C (Castagnoli, RFC 3720) without the final inversion
 * @crc: ~0 to begin with, or the value so far
 * @p: bytes
 * @len: how many
 *
 * Inline because a message is short: the crypto API's indirect call alone
 * costs more than the instruction does for 100 bytes.
 */
static inline u32 mq_crc32c(u32 crc, const void *p, size_t len)
{
#ifdef CONFIG_X86_64
	if (static_cpu_has(X86_FEATURE_XMM4_2)) {
		const u8 *b = p;
		u64 c = crc;

		for (; len >= 32; len -= 32, b += 32) {
			const u64 *w = (const u64 *)b;

			/* One operand each: "8%1" is wrong where the compiler adds an offset. */
			asm("crc32q %1, %0\n\t"
			    "crc32q %2, %0\n\t"
			    "crc32q %3, %0\n\t"
			    "crc32q %4, %0"
			    : "+&r" (c) : "m" (w[0]), "m" (w[1]), "m" (w[2]), "m" (w[3]));
		}
		for (; len >= 8; len -= 8, b += 8)
			asm("crc32q %1, %0" : "+r" (c) : "rm" (*(const u64 *)b));
		if (len >= 4) {
			asm("crc32l %1, %k0" : "+r" (c) : "rm" (*(const u32 *)b));
			len -= 4;
			b += 4;
		}
		for (; len; len--, b++)
			asm("crc32b %1, %k0" : "+r" (c) : "rm" (*b));
		return c;
	}
#endif
	return crc32c(crc, p, len);
}

#endif /* _MQ_CRC_H */
