/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers of the kernel for those of its sources that are run in user space,
 * where what those use has another name. See name_parse_unit.c.
 */
#ifndef SHIM_TYPES_H
#define SHIM_TYPES_H

#include_next <linux/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t u64;
typedef int64_t s64;
typedef uint8_t u8;
typedef uint32_t u32;

#endif
