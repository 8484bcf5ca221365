/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MQ_FILE_H
#define _MQ_FILE_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>
#include "append.h"
#include "limits.h"
#include "partition.h"
#include "topic.h"
#include "wait.h"

/**
 * struct mq_place - a place between two bytes of a log
 * @pos: position of the next byte
 * @off: offset of the message it belongs to
 * @empties: messages without payload below @off
 */
struct mq_place {
	u64 pos;
	u64 off;
	u64 empties;
};

/**
 * struct mq_cursor - where a file stands in one partition
 * @part: the partition; lives as long as the file's topic reference
 * @at: the place (mq_file.lock)
 * @until: where reading ends; all ones if it does not
 * @holder: what the partition holds for this file
 */
struct mq_cursor {
	struct mq_partition *part;
	struct mq_place at;
	struct mq_place until;
	struct mq_holder holder;
};

struct mq_level;

/**
 * struct mq_memo - where the messages of the last sendfile end
 * @start: where it began
 * @count: messages
 * @end: their ends, bytes after @start
 *
 * sendfile may give back what the socket did not take, and by then the index
 * may be gone: so that losses stay exact, the places are kept.
 */
struct mq_memo {
	struct mq_place start;
	u32 count;
	u32 end[MQ_MEMO_MESSAGES];
};

/**
 * struct mq_file - an open file of a topic
 *
 * Owned by the struct file; made by open, freed by release.
 *
 * @topic: referenced
 * @number, @pid: number in mq_topic.files, and the process that opened it, referenced
 *	(files open for reading)
 * @filp: the file; owns this
 * @partition: number of the partition it stands for, or -1 for the topic
 * @record: format=record
 * @skip: overrun=skip
 * @mapped: it was mapped, and may still be (log's lock)
 * @polled: somebody polls it in mq_file_rwait()'s queue, and maybe for ever
 * @keeps_pos: opened read-write: the driver keeps f_pos, VFS does not (FMODE_STREAM)
 * @opened: it has begun, and stands in mq_topic.files
 * @several: the cursors say where it stands, not the file's position (@grow)
 * @special: what a read has to look at before the usual: MQ_SPECIAL_FILTER, and, in
 *	units of MQ_SPECIAL_FORMAT, how often the format was changed (@grow)
 * @lock: protects the cursors' places and @filter; innermost
 * @rlock: serialises readers of a read-write file; only tried under a pipe's mutex;
 *	outside of @memo_lock and of the log's lock
 * @memo_lock: protects @memo; outside of @lock
 * @first: cursor of partition @partition, or of partition 0
 * @own: where both the file's own position and @first last stood: a pread there moves
 *	@first, but not the position (@lock)
 * @more: cursors of further partitions, added under @grow
 * @nr: number of cursors (store-release)
 * @grow: serialises growing, and changes of options, filter, signals and @level; inside of
 *	@rlock, outside of @wlock (which is only tried under it) and of the log's lock
 * @level: its watermark, NULL if it never had one (store-release)
 * @from_start: a partition added later is read from its start
 * @turn: partition that the next read of several begins with
 * @wpart: partition of writes without a key
 * @uid: who opened it, in the initial user namespace
 * @memo: see there; NULL but after a sendfile (set by cmpxchg, taken by xchg)
 * @wlock: serialises writers of a line topic: protects @line, @line_len, @line_size;
 *	only tried under a pipe's mutex; outside of the log's lock
 * @line: the unfinished line, and room behind it
 * @line_len: its bytes
 * @line_size: bytes allocated
 * @line_writer: who wrote the last of them (@wlock)
 * @scratch: memory of the last record write, for the next; taken by xchg
 * @filter: chooses what is read, or NULL; referenced
 * @filtered: messages that it kept back
 * @signals: O_ASYNC's, or NULL
 */
struct mq_file {
	struct mq_topic *topic;
	struct file *filp;
	int partition;
	bool record;
	bool skip;
	bool polled;
	bool keeps_pos;
	bool mapped;
	bool opened;
	bool several;
	u32 special;
	u32 number;
	struct pid *pid;

	spinlock_t lock;	/* the cursors' places, the filter */
	struct mutex rlock;	/* readers of a read-write file */
	struct mutex memo_lock;	/* memo */
	struct mq_cursor first;
	struct mq_place own;
	struct xarray more;
	unsigned int nr;
	bool until_end;
	struct mutex grow;	/* adding cursors; options */
	unsigned int turn;
	struct mq_level *level;
	struct mq_partition *wpart;
	u32 uid;
	struct mq_memo *memo;
	atomic64_t lost;
	atomic64_t overruns;

	struct mutex wlock;	/* the unfinished line */
	char *line;
	size_t line_len;
	size_t line_size;
	struct mq_writer line_writer;
	struct mq_scratch *scratch;

	struct mq_program *filter;
	atomic64_t filtered;
	struct mq_signals *signals;
};

#define MQ_SPECIAL_FILTER	1U
#define MQ_SPECIAL_FORMAT	2U

static inline bool mq_file_nonblock(const struct file *filp)
{
	return filp->f_flags & O_NONBLOCK;
}

/*
 * The position that VFS keeps for the file (of a read-write file: that we keep, under
 * @rlock). Calls that share the file race for it, VFS's own read() without a mark: as for
 * any file, whoever comes last says where it stands.
 */
static inline loff_t mq_file_pos(const struct mq_file *f)
{
	/* See above. */
	return data_race(READ_ONCE(f->filp->f_pos));
}

static inline void mq_file_set_pos(struct mq_file *f, loff_t pos)
{
	/* See above. */
	data_race(f->filp->f_pos = pos);
}

/* Does the file stand for several partitions? */
static inline bool mq_file_several(const struct mq_file *f)
{
	return f->partition < 0 && mq_topic_partitions(f->topic) > 1;
}

static inline struct mq_cursor *mq_file_cursor(struct mq_file *f, unsigned int n)
{
	return n ? xa_load(&f->more, n) : &f->first;
}

/* Number of cursors, all of which mq_file_cursor() finds. */
static inline unsigned int mq_file_cursors(const struct mq_file *f)
{
	/* Pairs with the store-release in mq_file_grow(). */
	return smp_load_acquire(&f->nr);
}

/* The queue on which its readers wait, or its watermark does: see mq_file_waiters(). */
static inline struct mq_waiters *mq_file_rwait(struct mq_file *f)
{
	return f->partition < 0 ? &f->topic->rwait : &f->first.part->rwait;
}

/* Does a place, counted as the format does, lie at the log's end, and wait for more there? */
static inline bool mq_cursor_at_head(const struct mq_cursor *c, bool record, u64 at)
{
	const struct mq_bounds *b = &c->part->log.b;

	if (record)
		return at == READ_ONCE(b->head_off) && at < READ_ONCE(c->until.off);
	return at == READ_ONCE(b->head_pos) && at < READ_ONCE(c->until.pos);
}

/* reader.c */
int mq_file_grow(struct mq_file *f);
int mq_file_grow_locked(struct mq_file *f);
void mq_file_join(struct mq_file *f);
void mq_file_free_cursors(struct mq_file *f);
struct mq_place mq_cursor_load(struct mq_file *f, struct mq_cursor *c);
void mq_cursor_store(struct mq_file *f, struct mq_cursor *c, const struct mq_place *at);
int mq_place_find(struct mq_file *f, struct mq_cursor *c, u64 pos, struct mq_place *at);
bool mq_place_at_offset(const struct mq_log *log, u64 off, struct mq_place *at);
bool mq_place_empties_gone(const struct mq_log *log, const struct mq_place *at);
bool mq_place_advance(const struct mq_log *log, struct mq_place *at, u64 off, u64 pos);
void mq_place_oldest(const struct mq_log *log, struct mq_place *at);
void mq_place_newest(const struct mq_log *log, struct mq_place *at);
void mq_reader_shows(struct mq_file *f, struct mq_cursor *c, const struct mq_place *at,
		     bool reads);
void mq_reader_read(struct mq_file *f, struct mq_cursor *c, const struct mq_place *at);
u64 mq_hold_place(const struct mq_file *f, const struct mq_place *at);
int mq_reader_overrun(struct mq_file *f, struct mq_cursor *c, struct mq_place *at, bool own);
bool mq_memo_find(struct mq_file *f, u64 pos, struct mq_place *at);
int mq_memo_make(struct mq_file *f);
void mq_memo_drop(struct mq_file *f);
u64 mq_memo_fill(struct mq_file *f, const struct mq_log *log,
		 const struct mq_place *from, u64 hi, u32 len);

/* read.c */
ssize_t mq_dev_read_iter(struct kiocb *iocb, struct iov_iter *to);
void mq_count_out(struct mq_partition *p, u64 messages, u64 bytes);
size_t mq_read_copy_out(const struct mq_ring *ring, u64 pos, size_t len, struct iov_iter *to);
ssize_t mq_read_fault_in(struct iov_iter *to, size_t len);
ssize_t mq_read_payload(struct mq_file *f, struct mq_cursor *c, struct mq_place *at,
			struct iov_iter *to);
ssize_t mq_read_usual(struct mq_file *f, struct kiocb *iocb, struct iov_iter *to);

/* options.c */
int mq_file_set_options(struct mq_file *f, const struct mq_options *options);
void mq_file_get_options(struct mq_file *f, struct mq_options *options);
void mq_file_settle_slow(struct mq_file *f);
ssize_t mq_read_special(struct mq_file *f, struct kiocb *iocb, struct iov_iter *to,
			u32 *special, bool own);

/* The file's own position, if a call that was on its way left it in the old format's unit. */
static inline void mq_file_settle(struct mq_file *f)
{
	if (unlikely(READ_ONCE(f->special) >= MQ_SPECIAL_FORMAT))
		mq_file_settle_slow(f);
}

/* signal.c */
int mq_dev_fasync(int fd, struct file *filp, int on);

/* watermark.c */
struct mq_waiters *mq_file_waiters(struct mq_file *f);

/* seek.c */
loff_t mq_dev_llseek(struct file *filp, loff_t offset, int whence);
int mq_file_start(struct mq_file *f, struct mq_cursor *c, int from, u64 value);
void mq_place_gone(const struct mq_log *log, u64 off, struct mq_place *at);
int mq_file_seek(struct mq_file *f, u32 whence, u64 value, u64 *off, u64 *pos);

/* splice.c, splice_in.c */
ssize_t mq_dev_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe,
			   size_t len, unsigned int flags);
ssize_t mq_dev_splice_write(struct pipe_inode_info *pipe, struct file *out,
			    loff_t *ppos, size_t len, unsigned int flags);

/* mmap.c */
int mq_dev_mmap(struct file *filp, struct vm_area_struct *vma);
void mq_map_release(struct mq_file *f);

/* write.c */
ssize_t mq_dev_write_iter(struct kiocb *iocb, struct iov_iter *from);
ssize_t mq_dev_write(struct file *filp, const char __user *buf, size_t count, loff_t *ppos);
int mq_write_message(struct mq_file *f, struct iov_iter *payload, int mode, u64 *end);

/* line.c */
ssize_t mq_write_lines(struct mq_file *f, struct iov_iter *from, int mode, u64 *end);
int mq_line_flush(struct mq_file *f, int mode);
int mq_line_wait(struct mq_file *f);

/* record.c */
ssize_t mq_write_records(struct mq_file *f, struct iov_iter *from, int mode, bool dsync);
void mq_scratch_free(struct mq_file *f);

/* durable.c */
int mq_durable_wait(struct mq_partition *p, u64 end, bool interruptible);
int mq_dev_fsync(struct file *filp, loff_t start, loff_t end, int datasync);

/* ioctl.c */
void mq_file_cursor_now(struct mq_file *f, struct mq_cursor *c, struct mq_place *at);
int mq_file_stat(struct mq_file *f, struct mq_stat *st);
void mq_file_look(struct mq_file *f, struct mq_stat *st);
long mq_dev_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);

#endif /* _MQ_FILE_H */
