/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mqctl ship: what its parts share.
 *
 *   struct ship            one; owns the topics, the streams and the link
 *     struct ship_topic    as named on the command line
 *     struct ship_stream   a partition of it, with its files, while it is shipped
 *     struct ship_link     the connection, made again and again (ship_link.c)
 */
#ifndef MQCTL_SHIP_H
#define MQCTL_SHIP_H

#include <sys/queue.h>
#include <uv.h>

#include "mqctl.h"
#include "ship_net.h"
#include "ship_proto.h"

enum ship_state {
	STREAM_OPEN_DUE,	/* queued: to be opened over the link */
	STREAM_OPENING,		/* the receiver has not answered yet */
	STREAM_READY,		/* queued: there may be something to ship */
	STREAM_WAITING,		/* for the topic to grow */
	STREAM_ENDED,		/* all of it was sent, not all is acknowledged */
	STREAM_CLOSE_DUE,	/* queued: done with */
};

/*
 * Two files: @fd is read, by splice at its own position. @mark is never read; it
 * stands at what is acknowledged, so that a topic with hold=readers keeps what a
 * lost connection makes the sender send again.
 */
struct ship_stream {
	struct ship *ship;
	struct ship_topic *topic;
	uint32_t number;
	struct ship_open open;
	int fd;
	int mark;		/* -1: --raw */
	uv_poll_t poll;		/* of @fd, active while WAITING */
	enum ship_state state;
	bool placed;		/* the receiver has what lies before @sent */
	bool gap;		/* what lies before @sent was lost */
	uint64_t begin;		/* where a receiver without anything begins */
	uint64_t sent;		/* what comes next; behind @shipped if there was a loss */
	uint64_t shipped;	/* behind the last byte that went out */
	uint64_t acked;
	TAILQ_ENTRY(ship_stream) queue;
};

struct ship_topic {
	struct ship *ship;
	struct topic_ref ref;
	unsigned int known;	/* partitions */
	unsigned int open;	/* of them are being shipped */
	uint8_t id[MQ_TOPIC_ID_LEN];
	bool missed;		/* it is gone, and that was said */
	bool failed;		/* it cannot be shipped, and that was said */
};

struct ship {
	const struct command *cmd;
	uv_loop_t loop;
	struct ship_address address;
	const char *where;
	bool raw;
	bool until_end;
	bool failed;
	bool ended;		/* nothing is left to do; else a signal ended it */
	uint64_t timeout;	/* ms; 0: none */
	uint64_t progress;	/* when there was some, or nothing to do */
	struct ship_topic *topics;
	unsigned int topics_n;
	struct ship_stream *streams[SHIP_STREAMS];
	unsigned int streams_n;
	TAILQ_HEAD(, ship_stream) queue;
	struct ship_link *link;
};

/* ship_stream.c */

/* Opens what is there of a topic and not shipped yet; @must: dies if it cannot. */
void ship_topic_open(struct ship_topic *topic, bool must);
/* The receiver's answer, or (raw) the connection: go on from there. NULL, or why not. */
const char *ship_stream_place(struct ship_stream *stream, bool have, uint64_t position);
const char *ship_stream_ack(struct ship_stream *stream, uint64_t position);
/*
 * Fills an empty pipe with bytes of the log from @sent on, which moves. Bytes;
 * 0 if there are none now; -1 with errno if it is to be tried again later.
 */
ssize_t ship_stream_fill(struct ship_stream *stream, int pipe, uint64_t *position);
/* Of (raw) what was taken last @bytes were not sent. */
void ship_stream_give_back(struct ship_stream *stream, size_t bytes);
/* The connection is gone: all is to be opened again. */
void ship_streams_reset(struct ship *ship);
void ship_stream_queue(struct ship_stream *stream, enum ship_state state);
void ship_stream_free(struct ship_stream *stream);

/* ship_link.c */

void ship_link_start(struct ship *ship);
/* Something was queued. */
void ship_link_kick(struct ship_link *link);
/* Once a second. */
void ship_link_tick(struct ship_link *link);
bool ship_link_up(const struct ship_link *link);
/* All is sent and (raw) there is nobody to acknowledge it: tells when it is there. */
void ship_link_finish(struct ship_link *link);

/* ship.c */

/* Ends the program: nothing is left to do. */
void ship_end(struct ship *ship);
/* The same if that is so. */
void ship_check_done(struct ship *ship);

#endif
