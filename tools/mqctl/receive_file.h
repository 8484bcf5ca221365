/* SPDX-License-Identifier: GPL-2.0 */
/* The files that a receiver keeps of a topic's partition. */
#ifndef MQCTL_RECEIVE_FILE_H
#define MQCTL_RECEIVE_FILE_H

#include <uv.h>

#include "ship_proto.h"

/*
 * A partition's payload bytes are DIR/<topic>[@<partition>]-<id>-<position>.log:
 * the position of the file's first byte, so that a file ends where its name and
 * its size say. The one that begins last goes on; a loss begins another one.
 */
struct rx_file {
	int dir;
	struct ship_open who;
	int fd;				/* -1: none yet */
	char name[256];
	bool have;			/* of this topic's id there is something */
	bool gap;			/* the next byte begins a new file */
	uint64_t start;			/* of the file @fd */
	uint64_t end;			/* behind the last byte written */
	uint64_t synced;		/* what lies before it is on disk */
	struct rx_sync *sync;		/* in a thread, or NULL */
};

/*
 * Functions return 0 or a negative errno. None of them dies: what one peer's
 * file meets is no other peer's trouble.
 */

/*
 * Finds the newest file and brings it to disk: @have and @end are the truth. One that this
 * fails for is moved away, and the next call will not count it.
 */
int rx_file_open(struct rx_file *file, int dir, const struct ship_open *who);
/* What @who asks for and what @file is are the same partition of the same topic. */
bool rx_file_same(const struct rx_file *file, const struct ship_open *who);
/* A frame begins; NULL, or why its place is wrong. */
const char *rx_file_begin(struct rx_file *file, uint64_t position, bool gap);
int rx_file_write(struct rx_file *file, uint64_t position, const void *data, size_t len);
/* fdatasync in a thread, one at a time; @done moves @synced before it is called. */
int rx_file_sync(struct rx_file *file, uv_loop_t *loop, void (*done)(void *ctx, int err),
		 void *ctx);
int rx_file_sync_now(struct rx_file *file);
/* What was not synced yet stays unsynced: the next rx_file_open() sees to it. */
void rx_file_close(struct rx_file *file);

#endif
