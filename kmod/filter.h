/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_FILTER_H
#define _MQ_FILTER_H

#include "file.h"

int mq_filter_set(struct mq_file *f, const struct mq_filter *arg);
void mq_filter_free(struct mq_file *f);
ssize_t mq_filter_read(struct mq_file *f, struct kiocb *iocb, struct iov_iter *to);

#endif /* _MQ_FILTER_H */
