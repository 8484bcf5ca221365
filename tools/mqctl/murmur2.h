/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MQCTL_MURMUR2_H
#define MQCTL_MURMUR2_H

#include <stddef.h>
#include <stdint.h>

/* Hash of a message's key, as Kafka's default partitioner computes it. */
uint32_t murmur2(const void *key, size_t len);

#endif
