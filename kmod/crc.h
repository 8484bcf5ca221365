/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_CRC_H
#define _MQ_CRC_H

#include <linux/crc32c.h>
#include <linux/fault-inject-usercopy.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#endif

#ifdef CONFIG_X86_64
static __always_inline u64 mq_crc32c_4(u64 c, const u64 *w)
{
	/* One operand each: "8%1" is wrong where the compiler adds an offset. */
	asm("crc32q %1, %0\n\t"
	    "crc32q %2, %0\n\t"
	    "crc32q %3, %0\n\t"
	    "crc32q %4, %0"
	    : "+&r" (c) : "m" (w[0]), "m" (w[1]), "m" (w[2]), "m" (w[3]));
	return c;
}
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
static __always_inline u32 mq_crc32c(u32 crc, const void *p, size_t len)
{
#ifdef CONFIG_X86_64
	if (static_cpu_has(X86_FEATURE_XMM4_2)) {
		const u8 *b = p;
		const u8 *end = b + (len & ~63UL);
		u64 c = crc;

		for (; b != end; b += 64) {
			c = mq_crc32c_4(c, (const u64 *)b);
			c = mq_crc32c_4(c, (const u64 *)b + 4);
		}
		if (len & 32) {
			c = mq_crc32c_4(c, (const u64 *)b);
			b += 32;
		}
		if (len & 16) {
			const u64 *w = (const u64 *)b;

			asm("crc32q %1, %0\n\t"
			    "crc32q %2, %0" : "+&r" (c) : "m" (w[0]), "m" (w[1]));
			b += 16;
		}
		if (len & 8) {
			asm("crc32q %1, %0" : "+r" (c) : "rm" (*(const u64 *)b));
			b += 8;
		}
		if (len & 4) {
			asm("crc32l %1, %k0" : "+r" (c) : "rm" (*(const u32 *)b));
			b += 4;
		}
		if (unlikely(len & 3))
			for (end = b + (len & 3); b != end; b++)
				asm("crc32b %1, %k0" : "+r" (c) : "rm" (*b));
		return c;
	}
#endif
	return crc32c(crc, p, len);
}

/* Up to here one loop is cheaper than a copy and a checksum: neither's call and start. */
#define MQ_COPY_CRC_MAX	256U

#ifdef CONFIG_X86_64
/* One word from user memory to @to and into the checksum. */
#define mq_copy_crc_word(type, insn, to, from, c, fault)			\
do {										\
	type __w;								\
										\
	unsafe_get_user(__w, (const type __user *)(from), fault);		\
	asm(insn : "+r" (c) : "rm" (__w));					\
	*(type *)(to) = __w;							\
} while (0)
#endif

/**
 * mq_copy_crc_from_user() - copy a short message, and its checksum on the way
 * @to: where to
 * @from: where from
 * @len: how much, at most MQ_COPY_CRC_MAX
 * @crc: returned, without the final inversion
 *
 * Context: page faults are off. Return: false at a fault.
 */
static __always_inline bool mq_copy_crc_from_user(u8 *to, const u8 __user *from, size_t len,
						  u32 *crc)
{
#ifdef CONFIG_X86_64
	if (static_cpu_has(X86_FEATURE_XMM4_2)) {
		u64 c = ~0U;

		if (should_fail_usercopy() || !user_access_begin(from, len))
			return false;
		for (; len >= 32; len -= 32, from += 32, to += 32) {
			mq_copy_crc_word(u64, "crc32q %1, %0", to, from, c, fault);
			mq_copy_crc_word(u64, "crc32q %1, %0", to + 8, from + 8, c, fault);
			mq_copy_crc_word(u64, "crc32q %1, %0", to + 16, from + 16, c, fault);
			mq_copy_crc_word(u64, "crc32q %1, %0", to + 24, from + 24, c, fault);
		}
		if (len & 16) {
			mq_copy_crc_word(u64, "crc32q %1, %0", to, from, c, fault);
			mq_copy_crc_word(u64, "crc32q %1, %0", to + 8, from + 8, c, fault);
			from += 16;
			to += 16;
		}
		if (len & 8) {
			mq_copy_crc_word(u64, "crc32q %1, %0", to, from, c, fault);
			from += 8;
			to += 8;
		}
		if (len & 4) {
			mq_copy_crc_word(u32, "crc32l %1, %k0", to, from, c, fault);
			from += 4;
			to += 4;
		}
		for (len &= 3; len; len--, from++, to++)
			mq_copy_crc_word(u8, "crc32b %1, %k0", to, from, c, fault);
		user_access_end();
		*crc = c;
		return true;
fault:
		user_access_end();
		return false;
	}
#endif
	if (__copy_from_user_inatomic(to, from, len))
		return false;
	*crc = crc32c(~0U, to, len);
	return true;
}

#endif /* _MQ_CRC_H */
