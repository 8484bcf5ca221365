/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_MMAP_H
#define _MQ_MMAP_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <mq/mq.h>

struct inode;
struct mq_log;
struct mq_ring;

/**
 * struct mq_map_host - an inode through which a log is mapped
 * @inode: NULL if nobody does; else kept by the files counted in @files
 * @files: open files that were ever mapped
 */
struct mq_map_host {
	struct inode *inode;
	unsigned int files;
};

/**
 * struct mq_map - what the maps of one log have in common
 * @header: the page that they begin with
 * @pages: length of a whole map
 * @host: t and t@0 are two inodes of one log (log's lock)
 * @vmas: maps and parts of maps
 *
 * Owned by its log: made at the first mmap, kept until the log is destroyed.
 */
struct mq_map {
	struct mq_map_header *header;
	pgoff_t pages;
	struct mq_map_host host[2];
	atomic_t vmas;
};

/* The log's lock is held, and log->map is not NULL. */
void mq_map_show_head(struct mq_log *log);
void mq_map_show_tail(struct mq_log *log);
void mq_map_show_dead(struct mq_log *log);
void mq_map_zap(const struct mq_ring *ring, unsigned int slot);

void mq_map_destroy(struct mq_map *map);

#endif /* _MQ_MMAP_H */
