// SPDX-License-Identifier: GPL-2.0
/*
 * The connection of mqctl ship: made, lost, and made again.
 *
 * Payload goes from the topic into a pipe and from there to the socket, by page
 * reference, as sendfile would do it in one call. What the pipe holds no writer
 * can overwrite any more: so a frame's length is known before its header leaves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ship.h"

#define DELAY_LEAST	50		/* ms before the next attempt, doubling */
#define DELAY_MOST	10000
#define CONNECT_MS	10000
#define ANSWER_MS	60000		/* the receiver may have much to bring to disk */
#define FRAMES_A_TURN	32		/* then others have theirs */
#define DRAIN_MS	20

enum link_state { LINK_DOWN, LINK_RESOLVING, LINK_CONNECTING, LINK_HELLO, LINK_UP,
		  LINK_FINISHING };

struct ship_link {
	struct ship *ship;
	enum link_state state;
	uv_getaddrinfo_t resolve;
	struct addrinfo *list, *at;
	uv_timer_t timer;		/* to the next attempt; while FINISHING: to look */
	uint64_t delay;
	uint64_t deadline;		/* ms; 0: the receiver owes no answer */
	unsigned int owed;		/* answers to OPEN */
	int sock;
	uv_poll_t *poll;		/* its own allocation: it closes later */
	int events;
	int pipe[2];
	size_t piped;			/* bytes in the pipe, */
	struct ship_stream *from;	/* of this stream */
	uint8_t out[SHIP_HEADER_LEN + SHIP_OPEN_MAX];
	size_t out_len, out_at;
	uint8_t in[4096];
	size_t in_len;
};

static void on_freed(uv_handle_t *handle)
{
	free(handle);
}

static void connect_next(struct ship_link *link);
static void on_retry(uv_timer_t *timer);

static void drop_socket(struct ship_link *link)
{
	if (link->poll)
		uv_close((uv_handle_t *)link->poll, on_freed);
	link->poll = NULL;
	if (link->sock >= 0)
		close(link->sock);
	link->sock = -1;
	link->events = 0;
}

static void drop_addresses(struct ship_link *link)
{
	if (link->list)
		uv_freeaddrinfo(link->list);
	link->list = NULL;
	link->at = NULL;
}

static void make_pipe(struct ship_link *link)
{
	if (pipe2(link->pipe, O_NONBLOCK | O_CLOEXEC))
		die("pipe: %s", strerror(errno));
}

/* The connection, or the attempt, is over; the next one follows by itself. */
static void __attribute__((format(printf, 2, 3)))
link_failed(struct ship_link *link, const char *fmt, ...)
{
	char why[SHIP_ERROR_MAX + 64];
	va_list ap;

	if (link->state == LINK_DOWN)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (link->state == LINK_FINISHING)
		die("%s: %s: not all may have arrived", link->ship->where, why);
	link->state = LINK_DOWN;
	say("%s: %s: trying again in %u.%02u s", link->ship->where, why,
	    (unsigned int)(link->delay / 1000), (unsigned int)(link->delay % 1000 / 10));
	drop_socket(link);
	drop_addresses(link);
	/* What was not sent yet is read again. */
	if (link->piped) {
		if (link->ship->raw)
			ship_stream_give_back(link->from, link->piped);
		close(link->pipe[0]);
		close(link->pipe[1]);
		make_pipe(link);
	}
	link->piped = 0;
	link->from = NULL;
	link->out_len = 0;
	link->out_at = 0;
	link->in_len = 0;
	link->owed = 0;
	link->deadline = 0;
	ship_streams_reset(link->ship);
	uv_timer_start(&link->timer, on_retry, link->delay, 0);
	link->delay = link->delay * 2 < DELAY_MOST ? link->delay * 2 : DELAY_MOST;
	ship_check_done(link->ship);
}

static uint64_t now(const struct ship_link *link)
{
	return uv_now(&link->ship->loop);
}

/* --- from the receiver --- */

static const char *take_frame(struct ship_link *link, const struct ship_frame *frame)
{
	struct ship_stream *stream = link->ship->streams[frame->stream];
	const char *why;
	uint64_t acked;

	/* Closed on our side: what was under way does not matter any more. */
	if (!stream || stream->state == STREAM_CLOSE_DUE)
		return NULL;
	acked = stream->acked;
	if (frame->type == SHIP_STATE) {
		why = ship_stream_place(stream, frame->flags & SHIP_HAVE, frame->position);
		link->owed--;
		link->deadline = link->owed ? now(link) + ANSWER_MS : 0;
	} else {
		why = ship_stream_ack(stream, frame->position);
	}
	/* The connection before may have been too short for an acknowledgement. */
	if (!why && stream->acked > acked) {
		link->ship->progress = now(link);
		link->delay = DELAY_LEAST;
	}
	return why;
}

/* Takes what is complete; NULL, or what is wrong with it. */
static const char *take_input(struct ship_link *link, size_t *used)
{
	struct ship_hello hello;
	struct ship_frame frame;
	const uint8_t *at = link->in;
	size_t left = link->in_len;
	const char *why;

	*used = 0;
	if (link->state == LINK_HELLO) {
		if (left < SHIP_HELLO_LEN)
			return NULL;
		why = ship_get_hello(at, &hello);
		if (why)
			return why;
		at += SHIP_HELLO_LEN;
		left -= SHIP_HELLO_LEN;
		link->state = LINK_UP;
		link->deadline = 0;
	}
	while (left >= SHIP_HEADER_LEN) {
		why = ship_get_frame(at, false, &frame);
		if (why)
			return why;
		if (left < SHIP_HEADER_LEN + frame.length)
			break;
		at += SHIP_HEADER_LEN;
		left -= SHIP_HEADER_LEN + frame.length;
		if (frame.type == SHIP_ERROR) {
			static char text[SHIP_ERROR_MAX + 32];

			ship_clean_text((char *)at, frame.length);
			snprintf(text, sizeof(text), "the receiver says: %.*s",
				 (int)frame.length, at);
			return text;
		}
		why = take_frame(link, &frame);
		if (why)
			return why;
	}
	*used = link->in_len - left;
	return NULL;
}

/* False if the connection is no more. */
static bool receive(struct ship_link *link)
{
	const char *why;
	size_t used;
	ssize_t n;

	for (;;) {
		n = recv(link->sock, link->in + link->in_len, sizeof(link->in) - link->in_len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0) {
			link_failed(link, "%s", n ? strerror(errno) :
				    "the receiver ended the connection");
			return false;
		}
		/* A plain receiver has nothing to say. */
		if (link->ship->raw)
			continue;
		link->in_len += n;
		why = take_input(link, &used);
		if (why) {
			link_failed(link, "%s", why);
			return false;
		}
		link->in_len -= used;
		memmove(link->in, link->in + used, link->in_len);
	}
}

/* --- to the receiver --- */

static void put_frame(struct ship_link *link, const struct ship_frame *frame)
{
	link->out_len += ship_put_frame(link->out + link->out_len, frame);
}

static void put_open(struct ship_link *link, struct ship_stream *stream)
{
	struct ship_frame frame = { .type = SHIP_OPEN, .stream = stream->number };
	size_t len = ship_put_open(link->out + SHIP_HEADER_LEN, &stream->open);

	frame.length = len;
	put_frame(link, &frame);
	link->out_len += len;
	link->owed++;
	link->deadline = now(link) + ANSWER_MS;
	ship_stream_queue(stream, STREAM_OPENING);
}

/* The next thing to send, into @out and the pipe. False if there is none. */
static bool next_frame(struct ship_link *link)
{
	struct ship *ship = link->ship;
	struct ship_stream *stream = TAILQ_FIRST(&ship->queue);
	struct ship_frame frame = { 0 };
	const char *why;
	ssize_t n;

	if (!stream || link->state != LINK_UP)
		return false;
	frame.stream = stream->number;
	switch (stream->state) {
	case STREAM_OPEN_DUE:
		if (!ship->raw) {
			put_open(link, stream);
			return true;
		}
		ship_stream_queue(stream, STREAM_OPENING);
		if (!stream->placed)
			stream->sent = stream->begin;
		why = ship_stream_place(stream, true, stream->sent);
		if (why)
			link_failed(link, "%s", why);
		return !why;
	case STREAM_CLOSE_DUE:
		if (!ship->raw) {
			frame.type = SHIP_CLOSE;
			put_frame(link, &frame);
		}
		ship_stream_free(stream);
		ship_check_done(ship);
		return true;
	default:
		break;
	}
	n = ship_stream_fill(stream, link->pipe[1], &frame.position);
	if (n < 0)
		link_failed(link, "reading %s: %s", stream->open.name, strerror(errno));
	if (n <= 0)
		return !n;
	link->piped = n;
	link->from = stream;
	if (!ship->raw) {
		frame.type = SHIP_DATA;
		frame.length = n;
		frame.flags = stream->gap ? SHIP_GAP : 0;
		put_frame(link, &frame);
	}
	stream->gap = false;
	/* Behind the others. */
	ship_stream_queue(stream, STREAM_READY);
	return true;
}

/* 1: all is out; 0: the socket is full; -1: it failed. */
static int push(struct ship_link *link)
{
	ssize_t n;

	while (link->out_at < link->out_len) {
		n = send(link->sock, link->out + link->out_at, link->out_len - link->out_at,
			 MSG_NOSIGNAL | (link->piped ? MSG_MORE : 0));
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		link->out_at += n;
	}
	link->out_at = 0;
	link->out_len = 0;
	while (link->piped) {
		n = splice(link->pipe[0], NULL, link->sock, NULL, link->piped,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (!n) {
			errno = EPIPE;
			return -1;
		}
		link->piped -= n;
		if (link->ship->raw)
			link->ship->progress = now(link);
	}
	link->from = NULL;
	return 1;
}

/* False if the connection is no more. */
static bool transmit(struct ship_link *link)
{
	int ret, err;

	for (int i = 0; i < FRAMES_A_TURN; i++) {
		ret = push(link);
		if (ret < 0) {
			err = errno;
			/* It may have said why. */
			if (receive(link))
				link_failed(link, "%s", strerror(err));
			return false;
		}
		if (!ret || link->state != LINK_UP)
			break;
		if (!next_frame(link))
			break;
	}
	return link->state != LINK_DOWN;
}

static void on_socket(uv_poll_t *poll, int status, int events);

static void watch(struct ship_link *link)
{
	bool more = link->out_len || link->piped ||
		    (link->state == LINK_UP && !TAILQ_EMPTY(&link->ship->queue));
	int events = UV_READABLE | (more || link->state == LINK_CONNECTING ? UV_WRITABLE : 0);

	if (events == link->events)
		return;
	link->events = events;
	uv_poll_start(link->poll, events, on_socket);
}

static void connected(struct ship_link *link)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(link->sock, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err) {
		/* The name may have other addresses. */
		link->at = link->at->ai_next;
		drop_socket(link);
		errno = err;
		connect_next(link);
		return;
	}
	drop_addresses(link);
	link->deadline = 0;
	link->state = LINK_UP;
	if (!link->ship->raw) {
		link->out_len = ship_put_hello(link->out, &ship_our_hello);
		link->deadline = now(link) + SHIP_CONTROL_SECONDS * 1000;
		link->state = LINK_HELLO;
	}
	watch(link);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct ship_link *link = poll->data;

	(void)events;
	if (link->state == LINK_CONNECTING) {
		connected(link);
		return;
	}
	/* An error makes the handle stop; the calls tell which. */
	if (status < 0)
		link->events = 0;
	if (receive(link) && transmit(link) && link->state != LINK_FINISHING)
		watch(link);
}

/* Tries the addresses one after the other; errno is why the last one failed. */
static void connect_next(struct ship_link *link)
{
	for (; link->at; link->at = link->at->ai_next) {
		link->sock = socket(link->at->ai_family,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (link->sock < 0)
			continue;
		if (!connect(link->sock, link->at->ai_addr, link->at->ai_addrlen) ||
		    errno == EINPROGRESS)
			break;
		drop_socket(link);
	}
	if (!link->at) {
		link_failed(link, "%s", strerror(errno));
		return;
	}
	/* With --raw what is under way when a connection ends is lost. */
	ship_set_up_socket(link->sock, link->ship->raw);
	link->poll = malloc(sizeof(*link->poll));
	if (!link->poll || uv_poll_init(&link->ship->loop, link->poll, link->sock))
		die("out of memory");
	link->poll->data = link;
	link->state = LINK_CONNECTING;
	link->deadline = now(link) + CONNECT_MS;
	watch(link);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct ship_link *link = req->data;

	if (status) {
		link_failed(link, "%s", uv_strerror(status));
		return;
	}
	link->list = list;
	link->at = list;
	errno = EADDRNOTAVAIL;
	connect_next(link);
}

static void on_retry(uv_timer_t *timer)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct ship_link *link = timer->data;
	int err;

	link->state = LINK_RESOLVING;
	link->resolve.data = link;
	err = uv_getaddrinfo(&link->ship->loop, &link->resolve, on_resolved,
			     link->ship->address.host, link->ship->address.port, &hints);
	if (err)
		link_failed(link, "%s", uv_strerror(err));
}

void ship_link_start(struct ship *ship)
{
	struct ship_link *link = calloc(1, sizeof(*link));

	if (!link)
		die("out of memory");
	link->ship = ship;
	link->sock = -1;
	link->delay = DELAY_LEAST;
	make_pipe(link);
	uv_timer_init(&ship->loop, &link->timer);
	link->timer.data = link;
	ship->link = link;
	on_retry(&link->timer);
}

void ship_link_kick(struct ship_link *link)
{
	if (link && link->state == LINK_UP)
		watch(link);
}

void ship_link_tick(struct ship_link *link)
{
	if (link->deadline && now(link) > link->deadline)
		link_failed(link, link->state == LINK_CONNECTING ? "no connection in time" :
			    "the receiver does not answer");
}

bool ship_link_up(const struct ship_link *link)
{
	return link->state == LINK_UP;
}

/* All is there when the other side's TCP has said so. */
static void on_drain(uv_timer_t *timer)
{
	struct ship_link *link = timer->data;
	socklen_t len = sizeof(int);
	int left, err;

	if (!getsockopt(link->sock, SOL_SOCKET, SO_ERROR, &err, &len) && err)
		link_failed(link, "%s", strerror(err));
	if (ioctl(link->sock, SIOCOUTQ, &left))
		die("%s: SIOCOUTQ: %s", link->ship->where, strerror(errno));
	if (!left)
		ship_end(link->ship);
}

void ship_link_finish(struct ship_link *link)
{
	if (link->state == LINK_FINISHING)
		return;
	if (link->state != LINK_UP)
		die("%s: the connection was lost at the end: not all may have arrived",
		    link->ship->where);
	if (shutdown(link->sock, SHUT_WR)) {
		link_failed(link, "%s", strerror(errno));
		return;
	}
	link->state = LINK_FINISHING;
	uv_poll_stop(link->poll);
	uv_timer_start(&link->timer, on_drain, 0, DRAIN_MS);
}
