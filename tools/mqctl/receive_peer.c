// SPDX-License-Identifier: GPL-2.0
/* A connection of mqctl receive: frames in, files out, acknowledgements back. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mqctl.h"
#include "receive.h"
#include "ship_net.h"

#define FLUSH_MS	20		/* after the first byte that is not on disk */
#define FLUSH_BYTES	(1U << 20)	/* or after so many */
#define BEHIND_MOST	(16U << 20)	/* the disk lags so far: read no more for a while */
#define UNREAD_MOST	(1U << 20)	/* what a peer may leave unread */

enum part { PART_HELLO, PART_HEADER, PART_OPEN, PART_ERROR, PART_DATA };

struct rx_peer {
	uv_tcp_t tcp;
	struct receiver *rx;
	struct rx_peer *next, **prev;
	char who[SHIP_ADDRESS_MAX];
	struct rx_stream *streams[SHIP_STREAMS];
	unsigned int streams_n;
	uint64_t idle_since;		/* ms; without a stream */
	enum part part;
	uint8_t buf[SHIP_ERROR_MAX];	/* of a part that is not data */
	size_t have;
	size_t need;
	struct ship_frame frame;
	uint64_t deadline;		/* ms; 0: nothing has begun */
	bool paused;
	bool closing;
};

struct answer {
	uv_write_t req;
	uint8_t data[SHIP_HELLO_LEN + SHIP_HEADER_LEN + SHIP_ERROR_MAX];
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void stream_free(struct rx_stream *stream)
{
	struct rx_peer *peer = stream->peer;

	peer->streams[stream->number] = NULL;
	if (!--peer->streams_n)
		peer->idle_since = uv_now(&peer->rx->loop);
	*stream->prev = stream->next;
	if (stream->next)
		stream->next->prev = stream->prev;
	peer->rx->streams_n--;
	rx_file_close(&stream->file);
	free(stream);
}

static void peer_free(struct rx_peer *peer)
{
	peer->closing = true;
	for (unsigned int i = 0; i < SHIP_STREAMS; i++) {
		if (peer->streams[i])
			stream_free(peer->streams[i]);
	}
	*peer->prev = peer->next;
	if (peer->next)
		peer->next->prev = peer->prev;
	peer->rx->peers_n--;
	uv_close((uv_handle_t *)&peer->tcp, on_closed);
}

static void on_written(uv_write_t *req, int status)
{
	(void)status;	/* reading tells of a lost connection, too */
	free(req->data);
}

static void answer(struct rx_peer *peer, const void *data, size_t len)
{
	struct answer *a;
	uv_buf_t buf;

	if (peer->closing)
		return;
	a = malloc(sizeof(*a));
	if (!a)
		die("out of memory");
	memcpy(a->data, data, len);
	a->req.data = a;
	buf = uv_buf_init((char *)a->data, len);
	if (uv_write(&a->req, (uv_stream_t *)&peer->tcp, &buf, 1, on_written))
		free(a);
}

static void answer_frame(struct rx_peer *peer, uint8_t type, uint8_t flags, uint32_t stream,
			 uint64_t position)
{
	struct ship_frame frame = {
		.type = type,
		.flags = flags,
		.stream = stream,
		.position = position,
	};
	uint8_t buf[SHIP_HEADER_LEN];

	answer(peer, buf, ship_put_frame(buf, &frame));
}

/* Ends a connection and says so here and, as far as it listens, there. */
static void __attribute__((format(printf, 2, 3)))
refuse(struct rx_peer *peer, const char *fmt, ...)
{
	uint8_t buf[SHIP_HELLO_LEN + SHIP_HEADER_LEN + SHIP_ERROR_MAX];
	struct ship_frame frame = { .type = SHIP_ERROR };
	char why[SHIP_ERROR_MAX];
	size_t len = 0;
	uv_buf_t out;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	say("%s: %s: connection closed", peer->who, why);
	if (peer->part == PART_HELLO)
		len = ship_put_hello(buf, &ship_our_hello);
	frame.length = strlen(why);
	len += ship_put_frame(buf + len, &frame);
	memcpy(buf + len, why, frame.length);
	out = uv_buf_init((char *)buf, len + frame.length);
	/* Now or not at all. */
	uv_try_write((uv_stream_t *)&peer->tcp, &out, 1);
	peer_free(peer);
}

static void file_failed(struct rx_stream *stream, int err)
{
	refuse(stream->peer, "%s: %s", stream->file.name[0] ? stream->file.name :
	       stream->file.who.name, strerror(-err));
}

static struct rx_stream *find_same(struct receiver *rx, const struct ship_open *open)
{
	struct rx_stream *stream = rx->streams;

	while (stream && !rx_file_same(&stream->file, open))
		stream = stream->next;
	return stream;
}

static void take_open(struct rx_peer *peer)
{
	uint32_t number = peer->frame.stream;
	struct receiver *rx = peer->rx;
	struct rx_stream *stream;
	struct ship_open open;
	const char *why;
	int err;

	why = ship_get_open(peer->buf, peer->frame.length, &open);
	if (!why && peer->streams[number])
		why = "a stream is opened twice";
	stream = why ? NULL : find_same(rx, &open);
	if (stream && stream->peer == peer)
		why = "a partition is shipped twice";
	else if (stream)
		refuse(stream->peer, "%s: another connection ships it now", open.name);
	if (!why && rx->streams_n == RX_STREAMS)
		why = "too many streams";
	if (why) {
		refuse(peer, "%s", why);
		return;
	}
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		die("out of memory");
	err = rx_file_open(&stream->file, rx->dir, &open);
	if (err) {
		refuse(peer, "%s: %s", stream->file.have ? stream->file.name : open.name,
		       strerror(-err));
		free(stream);
		return;
	}
	stream->peer = peer;
	stream->number = number;
	stream->acked = stream->file.synced;
	stream->next = rx->streams;
	stream->prev = &rx->streams;
	if (stream->next)
		stream->next->prev = &stream->next;
	rx->streams = stream;
	rx->streams_n++;
	peer->streams[number] = stream;
	peer->streams_n++;
	answer_frame(peer, SHIP_STATE, stream->file.have ? SHIP_HAVE : 0, number,
		     stream->file.end);
}

/* Goes on to a part of the connection of @need bytes. */
static void expect(struct rx_peer *peer, enum part part, size_t need)
{
	peer->part = part;
	peer->have = 0;
	peer->need = need;
	if (part == PART_HEADER)
		peer->deadline = 0;
	else if (part == PART_DATA)
		peer->deadline = uv_now(&peer->rx->loop) + SHIP_DATA_SECONDS * 1000;
}

static void take_header(struct rx_peer *peer)
{
	struct ship_frame *frame = &peer->frame;
	struct rx_stream *stream;
	const char *why;

	why = ship_get_frame(peer->buf, true, frame);
	if (why) {
		refuse(peer, "%s", why);
		return;
	}
	stream = frame->type == SHIP_ERROR ? NULL : peer->streams[frame->stream];
	switch (frame->type) {
	case SHIP_OPEN:
		expect(peer, PART_OPEN, frame->length);
		return;
	case SHIP_ERROR:
		expect(peer, PART_ERROR, frame->length);
		return;
	}
	if (!stream) {
		refuse(peer, "a stream that was not opened");
		return;
	}
	if (frame->type == SHIP_CLOSE) {
		stream_free(stream);
		expect(peer, PART_HEADER, SHIP_HEADER_LEN);
		return;
	}
	why = rx_file_begin(&stream->file, frame->position, frame->flags & SHIP_GAP);
	if (why) {
		refuse(peer, "%s: %s", stream->file.who.name, why);
		return;
	}
	expect(peer, PART_DATA, frame->length);
}

static void take_hello(struct rx_peer *peer)
{
	uint8_t buf[SHIP_HELLO_LEN];
	struct ship_hello hello;
	const char *why = ship_get_hello(peer->buf, &hello);

	if (why) {
		refuse(peer, "%s", why);
		return;
	}
	answer(peer, buf, ship_put_hello(buf, &ship_our_hello));
	expect(peer, PART_HEADER, SHIP_HEADER_LEN);
}

static void take_part(struct rx_peer *peer)
{
	switch (peer->part) {
	case PART_HELLO:
		take_hello(peer);
		break;
	case PART_HEADER:
		take_header(peer);
		break;
	case PART_OPEN:
		expect(peer, PART_HEADER, SHIP_HEADER_LEN);
		take_open(peer);
		break;
	case PART_ERROR:
		ship_clean_text((char *)peer->buf, peer->have);
		say("%s: it says: %.*s", peer->who, (int)peer->have, peer->buf);
		peer_free(peer);
		break;
	case PART_DATA:
		expect(peer, PART_HEADER, SHIP_HEADER_LEN);
		break;
	}
}

static void on_flush(uv_timer_t *timer)
{
	rx_flush(timer->data);
}

static void on_synced(void *ctx, int err);

/* What was written is to be brought to disk, soon or now. */
static void want_flush(struct rx_stream *stream)
{
	struct receiver *rx = stream->peer->rx;
	int err = 0;

	if (!uv_is_active((uv_handle_t *)&rx->flush))
		uv_timer_start(&rx->flush, on_flush, FLUSH_MS, FLUSH_MS);
	if (stream->file.end - stream->file.synced >= FLUSH_BYTES)
		err = rx_file_sync(&stream->file, &rx->loop, on_synced, stream);
	if (err)
		file_failed(stream, err);
}

/* Returns how many bytes it took; the connection may be closing afterwards. */
static size_t take_data(struct rx_peer *peer, const char *data, size_t len)
{
	struct rx_stream *stream = peer->streams[peer->frame.stream];
	size_t n = len < peer->need - peer->have ? len : peer->need - peer->have;
	uint64_t end = stream->file.end;
	bool gap = stream->file.gap;
	int err;

	err = rx_file_write(&stream->file, peer->frame.position + peer->have, data, n);
	if (err) {
		file_failed(stream, err);
		return n;
	}
	if (gap)
		say("%s: %s@%u: %" PRIu64 " bytes from position %" PRIu64
		    " on are lost: a new file begins", peer->who, stream->file.who.name,
		    stream->file.who.partition, peer->frame.position - end, end);
	peer->have += n;
	want_flush(stream);
	return n;
}

static void take(struct rx_peer *peer, const char *data, size_t len)
{
	size_t n;

	while (len && !peer->closing) {
		if (peer->part == PART_DATA) {
			n = take_data(peer, data, len);
		} else {
			n = len < peer->need - peer->have ? len : peer->need - peer->have;
			memcpy(peer->buf + peer->have, data, n);
			peer->have += n;
			if (!peer->deadline)
				peer->deadline = uv_now(&peer->rx->loop) +
						 SHIP_CONTROL_SECONDS * 1000;
		}
		data += n;
		len -= n;
		/* A part may be empty. */
		while (!peer->closing && peer->have == peer->need)
			take_part(peer);
	}
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct rx_peer *peer = handle->data;

	(void)suggested;
	*buf = uv_buf_init(peer->rx->buffer, RX_BUFFER);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf);

/* Reads only as fast as the disk writes. */
static void pause_if_behind(struct rx_peer *peer)
{
	struct rx_stream *stream;

	if (peer->closing || peer->paused || peer->part == PART_HELLO)
		return;
	stream = peer->streams[peer->frame.stream];
	if (!stream || stream->file.end - stream->file.synced < BEHIND_MOST)
		return;
	peer->paused = true;
	uv_read_stop((uv_stream_t *)&peer->tcp);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf)
{
	struct rx_peer *peer = tcp->data;
	bool within = peer->have || peer->part != PART_HEADER;

	if (n == UV_EOF && !within) {
		say("%s: the sender ended the connection", peer->who);
		peer_free(peer);
	} else if (n < 0) {
		say("%s: %s: connection lost", peer->who,
		    n == UV_EOF ? "ended in the middle of a frame" : uv_strerror(n));
		peer_free(peer);
	} else if (n > 0) {
		take(peer, buf->base, n);
		if (!peer->closing && uv_stream_get_write_queue_size(tcp) > UNREAD_MOST)
			refuse(peer, "the sender does not read what it is told");
		pause_if_behind(peer);
	}
}

static void on_synced(void *ctx, int err)
{
	struct rx_stream *stream = ctx;
	struct rx_peer *peer = stream->peer;

	if (err) {
		file_failed(stream, err);
		return;
	}
	if (stream->file.synced != stream->acked) {
		stream->acked = stream->file.synced;
		answer_frame(peer, SHIP_ACK, 0, stream->number, stream->acked);
	}
	if (peer->paused && stream->file.end - stream->file.synced < BEHIND_MOST) {
		peer->paused = false;
		if (peer->deadline)
			peer->deadline = uv_now(&peer->rx->loop) + SHIP_DATA_SECONDS * 1000;
		uv_read_start((uv_stream_t *)&peer->tcp, on_alloc, on_read);
	}
}

void rx_flush(struct receiver *rx)
{
	struct rx_stream *stream, *next;
	bool dirty = false;
	int err;

	for (stream = rx->streams; stream; stream = next) {
		next = stream->next;
		if (stream->file.end == stream->acked)
			continue;
		dirty = true;
		/* Synced already where a file was ended by a loss. */
		if (stream->file.end == stream->file.synced && !stream->file.sync) {
			on_synced(stream, 0);
			continue;
		}
		err = rx_file_sync(&stream->file, &rx->loop, on_synced, stream);
		if (err) {
			file_failed(stream, err);
			/* The list may be another one now; the timer comes again. */
			return;
		}
	}
	if (!dirty)
		uv_timer_stop(&rx->flush);
}

void rx_check_deadlines(struct receiver *rx)
{
	struct rx_peer *peer, *next;
	uint64_t now = uv_now(&rx->loop);

	for (peer = rx->peers; peer; peer = next) {
		next = peer->next;
		if (peer->deadline && !peer->paused && now > peer->deadline)
			refuse(peer, "too slow: a %s did not come to its end in %u s",
			       peer->part == PART_HELLO ? "hello" : "frame",
			       peer->part == PART_DATA ? SHIP_DATA_SECONDS :
			       SHIP_CONTROL_SECONDS);
	}
}

int rx_sync_all(struct receiver *rx)
{
	int err, ret = 0;

	for (struct rx_stream *stream = rx->streams; stream; stream = stream->next) {
		err = rx_file_sync_now(&stream->file);
		if (err) {
			say("%s: %s", stream->file.name, strerror(-err));
			ret = err;
		}
	}
	return ret;
}

/*
 * Whoever opens no stream, for the longest time, goes when another comes: so strangers who
 * only say hello keep nobody out. A sender that has nothing to ship comes again.
 */
static void make_room(struct receiver *rx)
{
	struct rx_peer *idle = NULL;

	/* The list begins with the newest. */
	for (struct rx_peer *peer = rx->peers; peer; peer = peer->next) {
		if (!peer->streams_n && (!idle || peer->idle_since <= idle->idle_since))
			idle = peer;
	}
	if (idle)
		refuse(idle, "%u connections are open, and this one ships nothing", RX_PEERS);
}

void rx_accept(struct receiver *rx, uv_stream_t *listener)
{
	struct rx_peer *peer = calloc(1, sizeof(*peer));
	int err, fd;

	if (!peer)
		die("out of memory");
	peer->rx = rx;
	peer->tcp.data = peer;
	uv_tcp_init(&rx->loop, &peer->tcp);
	err = uv_accept(listener, (uv_stream_t *)&peer->tcp);
	if (!err && rx->peers_n == RX_PEERS)
		make_room(rx);
	if (err || rx->peers_n == RX_PEERS) {
		if (!err)
			say("a connection refused: %u are open", RX_PEERS);
		uv_close((uv_handle_t *)&peer->tcp, on_closed);
		return;
	}
	peer->next = rx->peers;
	peer->prev = &rx->peers;
	if (peer->next)
		peer->next->prev = &peer->next;
	rx->peers = peer;
	rx->peers_n++;
	if (!uv_fileno((uv_handle_t *)&peer->tcp, &fd)) {
		ship_set_up_socket(fd, false);
		ship_peer_text(fd, peer->who);
	}
	expect(peer, PART_HELLO, SHIP_HELLO_LEN);
	peer->idle_since = uv_now(&rx->loop);
	peer->deadline = uv_now(&rx->loop) + SHIP_CONTROL_SECONDS * 1000;
	err = uv_read_start((uv_stream_t *)&peer->tcp, on_alloc, on_read);
	if (err)
		refuse(peer, "%s", uv_strerror(err));
}
