/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LIMITS_H
#define SHIM_LIMITS_H

#include_next <linux/limits.h>

#include <limits.h>
#include <stdint.h>

#define S64_MAX	INT64_MAX
#define U64_MAX	UINT64_MAX

#endif
