/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_WATERMARK_H
#define _MQ_WATERMARK_H

#include <linux/types.h>

#include "file.h"

struct mq_watermark;

int mq_watermark_set(struct mq_file *f, const struct mq_watermark *mark);
void mq_watermark_free(struct mq_file *f);
void mq_watermark_want(struct mq_file *f);
bool mq_level_below(struct mq_file *f, struct mq_level *l);

/* A file's watermark, or NULL. */
static inline struct mq_level *mq_file_level(const struct mq_file *f)
{
	/* Pairs with the store-release in mq_watermark_set(). */
	return smp_load_acquire(&f->level);
}

/**
 * mq_watermark_below() - is there too little to be read yet?
 * @f: the file, at its own position
 *
 * Also false if it has no watermark, or nothing is to be waited for.
 */
static inline bool mq_watermark_below(struct mq_file *f)
{
	struct mq_level *l = mq_file_level(f);

	return unlikely(l) && mq_level_below(f, l);
}

#endif /* _MQ_WATERMARK_H */
