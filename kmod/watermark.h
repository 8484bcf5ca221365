/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_WATERMARK_H
#define _MQ_WATERMARK_H

#include <linux/types.h>

struct mq_cursor;
struct mq_file;
struct mq_place;
struct mq_watermark;

int mq_watermark_set(struct mq_file *f, const struct mq_watermark *mark);
void mq_watermark_free(struct mq_file *f);
void mq_watermark_want(struct mq_file *f);
bool mq_watermark_below(struct mq_file *f);

#endif /* _MQ_WATERMARK_H */
