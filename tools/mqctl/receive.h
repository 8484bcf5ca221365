/* SPDX-License-Identifier: GPL-2.0 */
/* mqctl receive: what its connections share. */
#ifndef MQCTL_RECEIVE_H
#define MQCTL_RECEIVE_H

#include <uv.h>

#include "receive_file.h"

#define RX_PEERS	256		/* connections at a time */
#define RX_STREAMS	16384		/* of all of them */
#define RX_BUFFER	(256U << 10)

/* A stream that a connection opened; the connection owns it. */
struct rx_stream {
	struct rx_peer *peer;
	uint32_t number;
	uint64_t acked;
	struct rx_file file;
	struct rx_stream *next, **prev;	/* of all connections */
};

struct receiver {
	uv_loop_t loop;
	int dir;
	uv_timer_t flush;		/* runs while a file has bytes to bring to disk */
	unsigned int peers_n;
	unsigned int streams_n;
	struct rx_peer *peers;
	struct rx_stream *streams;
	char *buffer;			/* of RX_BUFFER, for one read at a time */
};

/* receive_peer.c */

/* A connection waits to be accepted. */
void rx_accept(struct receiver *rx, uv_stream_t *listener);
/* Brings what was written to disk, and tells the senders. */
void rx_flush(struct receiver *rx);
/* Ends connections that are in the middle of something for too long. */
void rx_check_deadlines(struct receiver *rx);
/* At the end: nothing stays unsynced. */
int rx_sync_all(struct receiver *rx);

#endif
