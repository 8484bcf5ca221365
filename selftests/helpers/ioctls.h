/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls whose argument says its size, for programs of either word length. */
#ifndef HELPERS_IOCTLS_H
#define HELPERS_IOCTLS_H

#include <stdint.h>

#include <mq/mq.h>

static const struct {
	unsigned long cmd;
	uint32_t size;
} sized_ioctls[] = {
	{ MQ_IOC_FEATURES, sizeof(struct mq_features) },
	{ MQ_IOC_STAT, sizeof(struct mq_stat) },
	{ MQ_IOC_SEEK, sizeof(struct mq_seek) },
	{ MQ_IOC_GET_OPTIONS, sizeof(struct mq_options) },
	{ MQ_IOC_SET_OPTIONS, sizeof(struct mq_options) },
	{ MQ_IOC_FILTER, sizeof(struct mq_filter) },
	{ MQ_IOC_WATERMARK, sizeof(struct mq_watermark) },
};

#endif
