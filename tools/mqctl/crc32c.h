/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MQCTL_CRC32C_H
#define MQCTL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C of @len bytes behind those that @crc is the CRC of (0: none), as
 * zlib's crc32() goes on: crc32c(crc32c(0, a), b) is that of a and b together.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
