/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzed parsers share. */
#ifndef PARSERS_TARGET_H
#define PARSERS_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What does not hold is a finding. */
#define must(cond)	do { if (!(cond)) abort(); } while (0)

#endif
