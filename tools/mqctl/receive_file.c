// SPDX-License-Identifier: GPL-2.0
/* The files that a receiver keeps of a topic's partition. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mqctl.h"
#include "receive_file.h"

/*
 * An fdatasync in flight. A flush's error is told once to each open file, so no
 * other flush may come between: whoever needs one, or closes, waits for this.
 */
struct rx_sync {
	uv_work_t work;
	uv_sem_t finished;
	struct rx_file *file;		/* NULL: somebody waited, and has the result */
	int fd;
	int err;
	uint64_t end;
	void (*done)(void *ctx, int err);
	void *ctx;
};

/* "<topic>-<id>-", or with the partition. */
static int prefix(const struct ship_open *who, bool numbered, char *buf, size_t size)
{
	char id[2 * MQ_TOPIC_ID_LEN + 1], partition[16] = "";

	format_hex(who->id, sizeof(who->id), id);
	if (numbered)
		snprintf(partition, sizeof(partition), "@%u", who->partition);
	return snprintf(buf, size, "%s%s-%s-", who->name, partition, id);
}

/* The position in the name if it is a file of the partition. */
static bool is_ours(const struct ship_open *who, const char *name, uint64_t *start)
{
	char buf[256], digits[24];
	size_t len;

	/* Partition 0 may have been the only one when its file began. */
	for (int numbered = who->partition ? 1 : 0; numbered < 2; numbered++) {
		len = prefix(who, numbered, buf, sizeof(buf));
		if (strncmp(name, buf, len))
			continue;
		name += len;
		len = strspn(name, "0123456789");
		if (!len || len >= sizeof(digits) || strcmp(name + len, ".log"))
			return false;
		memcpy(digits, name, len);
		digits[len] = '\0';
		return !parse_u64(digits, start) && *start <= INT64_MAX;
	}
	return false;
}

/*
 * Files whose last bytes may not be on disk, though the page cache has them, and which
 * could not be moved: not taken for good as long as this program runs.
 */
static struct distrusted {
	struct distrusted *next;
	char name[256];
} *distrusted;

static bool is_distrusted(const char *name)
{
	const struct distrusted *d = distrusted;

	while (d && strcmp(d->name, name))
		d = d->next;
	return d;
}

static void distrust(const char *name)
{
	struct distrusted *d = malloc(sizeof(*d));

	if (!d)
		die("out of memory");
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->next = distrusted;
	distrusted = d;
}

/* Closes it and gives it a name that find_newest() passes over. */
static bool move_away(struct rx_file *file)
{
	char aside[sizeof(file->name) + 16];
	int len = snprintf(aside, sizeof(aside), "%s.suspect", file->name);

	close(file->fd);
	file->fd = -1;
	/* Nobody else makes files here: the folder is locked. */
	for (int i = 2; !faccessat(file->dir, aside, F_OK, AT_SYMLINK_NOFOLLOW); i++)
		snprintf(aside + len, sizeof(aside) - len, ".%d", i);
	if (renameat(file->dir, file->name, file->dir, aside)) {
		distrust(file->name);
		say("%s: renaming it %s: %s: move it away by hand, before 'mqctl receive' is"
		    " started again: till then nothing more of this topic is taken", file->name,
		    aside, strerror(errno));
		return false;
	}
	say("%s: it is %s now, for you to look at", file->name, aside);
	if (fsync(file->dir))
		say("%s: flushing the folder: %s: after a crash of this machine the file may have its"
		    " former name again: move it away then", aside, strerror(errno));
	return true;
}

static int find_newest(struct rx_file *file)
{
	int fd = openat(file->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	uint64_t start;
	DIR *dir;
	int err;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	while ((errno = 0, entry = readdir(dir))) {
		if (!is_ours(&file->who, entry->d_name, &start))
			continue;
		if (file->have && start <= file->start)
			continue;
		file->have = true;
		file->start = start;
		snprintf(file->name, sizeof(file->name), "%s", entry->d_name);
	}
	err = -errno;
	closedir(dir);
	return err;
}

bool rx_file_same(const struct rx_file *file, const struct ship_open *who)
{
	return file->who.partition == who->partition && !strcmp(file->who.name, who->name) &&
	       !memcmp(file->who.id, who->id, sizeof(who->id));
}

const char *rx_file_begin(struct rx_file *file, uint64_t position, bool gap)
{
	if (gap && (!file->have || position <= file->end))
		return "a loss where there was none";
	if (!gap && file->have && position != file->end)
		return "data that do not follow those before";
	file->gap = gap;
	return NULL;
}

static int create(struct rx_file *file, uint64_t position)
{
	int len = prefix(&file->who, file->who.partitions > 1, file->name, sizeof(file->name));
	int err;

	snprintf(file->name + len, sizeof(file->name) - len, "%" PRIu64 ".log", position);
	file->fd = openat(file->dir, file->name,
			  O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (file->fd < 0)
		return -errno;
	if (fsync(file->fd) || fsync(file->dir)) {
		err = -errno;
		close(file->fd);
		file->fd = -1;
		/* Who tries again does so with a new one. */
		unlinkat(file->dir, file->name, 0);
		return err;
	}
	file->have = true;
	file->gap = false;
	file->start = position;
	file->end = position;
	file->synced = position;
	return 0;
}

/*
 * A flush's error is told once: the next fsync of the same file would succeed, and nobody
 * knows what it left out. So the file goes away, and an empty one in its place makes the
 * sender begin where this one began, or say what is lost.
 */
static void set_aside(struct rx_file *file, uint64_t size, int err)
{
	say("%s: flushing it: %s: its %" PRIu64 " bytes may not be on disk, and the sender is asked"
	    " for them again: check the disk", file->name, strerror(-err), size);
	err = move_away(file) ? create(file, file->start) : 0;
	if (err)
		say("%s: %s", file->name, strerror(-err));
}

int rx_file_open(struct rx_file *file, int dir, const struct ship_open *who)
{
	struct stat st;
	int err;

	*file = (struct rx_file) { .dir = dir, .who = *who, .fd = -1 };
	err = find_newest(file);
	if (err || !file->have)
		return err;
	if (is_distrusted(file->name))
		return -EIO;
	file->fd = openat(dir, file->name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (file->fd < 0)
		return -errno;
	/* Size and contents as they are now, whoever wrote them: then they are promised. */
	if (fstat(file->fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > INT64_MAX - file->start)
		err = -EINVAL;
	if (!err && (fsync(file->fd) || fsync(dir))) {
		err = -errno;
		set_aside(file, st.st_size, err);
	}
	if (err) {
		rx_file_close(file);
		return err;
	}
	file->end = file->start + st.st_size;
	file->synced = file->end;
	return 0;
}

/*
 * After a failed fdatasync the page cache lies: nothing that was not durable
 * before may stay, and what follows goes to a new file.
 */
static void sync_failed(struct rx_file *file)
{
	uint64_t good = file->synced;
	int err;

	if (ftruncate(file->fd, good - file->start)) {
		say("%s: truncating it to %" PRIu64 " bytes, which are safe: %s: repair it by hand",
		    file->name, good - file->start, strerror(errno));
		move_away(file);
	} else {
		/* Nothing is in it, and its name is wanted. */
		if (good == file->start)
			unlinkat(file->dir, file->name, 0);
		close(file->fd);
		file->fd = -1;
	}
	err = create(file, good);
	if (err)
		say("%s: %s", file->name, strerror(-err));
}

/* The flush in flight, if any, comes to its end here. */
static int wait_sync(struct rx_file *file)
{
	struct rx_sync *sync = file->sync;

	if (!sync)
		return 0;
	uv_sem_wait(&sync->finished);
	sync->file = NULL;
	file->sync = NULL;
	if (!sync->err)
		file->synced = sync->end;
	return sync->err;
}

int rx_file_sync_now(struct rx_file *file)
{
	int err = wait_sync(file);

	if (!err && file->fd >= 0 && file->synced != file->end && fdatasync(file->fd))
		err = -errno;
	if (err)
		sync_failed(file);
	else
		file->synced = file->end;
	return err;
}

int rx_file_write(struct rx_file *file, uint64_t position, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;
	int err;

	if (file->fd < 0 || file->gap) {
		err = rx_file_sync_now(file);
		if (err)
			return err;
		rx_file_close(file);
		err = create(file, position);
		if (err)
			return err;
	}
	while (len) {
		n = write(file->fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= n;
		file->end += n;
	}
	return 0;
}

static void sync_work(uv_work_t *work)
{
	struct rx_sync *sync = work->data;

	sync->err = fdatasync(sync->fd) ? -errno : 0;
	uv_sem_post(&sync->finished);
}

static void sync_done(uv_work_t *work, int status)
{
	struct rx_sync *sync = work->data;
	struct rx_file *file = sync->file;
	int err;

	(void)status;
	if (file) {
		err = wait_sync(file);
		if (err)
			sync_failed(file);
		sync->done(sync->ctx, err);
	}
	uv_sem_destroy(&sync->finished);
	free(sync);
}

int rx_file_sync(struct rx_file *file, uv_loop_t *loop, void (*done)(void *ctx, int err),
		 void *ctx)
{
	struct rx_sync *sync;
	int err;

	if (file->fd < 0 || file->sync || file->synced == file->end)
		return 0;
	sync = calloc(1, sizeof(*sync));
	if (!sync)
		return -ENOMEM;
	*sync = (struct rx_sync) {
		.work.data = sync,
		.file = file,
		.fd = file->fd,
		.end = file->end,
		.done = done,
		.ctx = ctx,
	};
	err = uv_sem_init(&sync->finished, 0);
	if (!err) {
		err = uv_queue_work(loop, &sync->work, sync_work, sync_done);
		if (err)
			uv_sem_destroy(&sync->finished);
	}
	if (err) {
		free(sync);
		return err;
	}
	file->sync = sync;
	return 0;
}

void rx_file_close(struct rx_file *file)
{
	if (wait_sync(file))
		sync_failed(file);
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
