// SPDX-License-Identifier: GPL-2.0
/* The topics that mqctl ship reads, partition by partition. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ship.h"

static bool get_stat(int fd, struct mq_stat *st)
{
	*st = (struct mq_stat) { .size = sizeof(*st) };
	return !ioctl(fd, MQ_IOC_STAT, st);
}

static bool queued(const struct ship_stream *stream)
{
	return stream->state == STREAM_OPEN_DUE || stream->state == STREAM_READY ||
	       stream->state == STREAM_CLOSE_DUE;
}

void ship_stream_queue(struct ship_stream *stream, enum ship_state state)
{
	if (queued(stream))
		TAILQ_REMOVE(&stream->ship->queue, stream, queue);
	if (stream->state == STREAM_WAITING)
		uv_poll_stop(&stream->poll);
	stream->state = state;
	if (queued(stream)) {
		TAILQ_INSERT_TAIL(&stream->ship->queue, stream, queue);
		ship_link_kick(stream->ship->link);
	}
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct ship_stream *stream = handle->data;

	close(stream->fd);
	free(stream);
}

void ship_stream_free(struct ship_stream *stream)
{
	ship_stream_queue(stream, STREAM_ENDED);
	stream->ship->streams[stream->number] = NULL;
	stream->ship->streams_n--;
	stream->topic->open--;
	if (stream->mark >= 0)
		close(stream->mark);
	stream->mark = -1;
	uv_close((uv_handle_t *)&stream->poll, on_poll_closed);
}

static void close_both(int mark, int fd)
{
	if (mark >= 0)
		close(mark);
	if (fd >= 0)
		close(fd);
}

/* False if the topic is gone, or another one, meanwhile. */
static bool stream_open(struct ship_topic *topic, unsigned int partition, bool must)
{
	struct topic_ref ref = topic->ref;
	struct ship *ship = topic->ship;
	struct mq_stat st, st_mark;
	struct ship_stream *stream;
	int mark = -1, fd;

	ref.partition = partition;
	if (!ship->raw) {
		mark = open_payloads(&ref, "", O_RDONLY | O_NONBLOCK, must);
		if (mark < 0)
			return false;
	}
	fd = open_payloads(&ref, ship->until_end ? "+until=end" : "", O_RDONLY | O_NONBLOCK, must);
	if (fd < 0) {
		close_both(mark, fd);
		return false;
	}
	if (!get_stat(fd, &st) || !get_stat(mark < 0 ? fd : mark, &st_mark) ||
	    memcmp(st.topic_id, st_mark.topic_id, sizeof(st.topic_id))) {
		close_both(mark, fd);
		return false;
	}
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		die("out of memory");
	stream->ship = ship;
	stream->topic = topic;
	stream->fd = fd;
	stream->mark = mark;
	stream->begin = st_mark.position;
	memcpy(topic->id, st.topic_id, sizeof(topic->id));
	memcpy(stream->open.id, st.topic_id, sizeof(stream->open.id));
	stream->open.partition = partition;
	stream->open.partitions = st.partitions;
	snprintf(stream->open.name, sizeof(stream->open.name), "%s", topic->ref.name);
	if (uv_poll_init(&ship->loop, &stream->poll, fd))
		die("out of memory");
	stream->poll.data = stream;
	while (ship->streams[stream->number])
		stream->number++;
	ship->streams[stream->number] = stream;
	ship->streams_n++;
	topic->open++;
	stream->state = STREAM_ENDED;
	ship_stream_queue(stream, STREAM_OPEN_DUE);
	return true;
}

void ship_topic_open(struct ship_topic *topic, bool must)
{
	struct ship *ship = topic->ship;
	struct topic_ref ref = topic->ref;
	unsigned int first, end;
	struct mq_stat st;
	int fd;

	fd = open_payloads(&ref, "+overrun=skip", O_RDONLY | O_NONBLOCK, must);
	if (fd < 0) {
		if (!topic->missed)
			say("%s: the topic is gone: waiting for it to come back", ref.name);
		topic->missed = true;
		return;
	}
	if (!get_stat(fd, &st)) {
		if (must)
			die("%s: MQ_IOC_STAT: %s%s", ref.name, strerror(errno),
			    errno == ENOTTY ? ": the file is not a topic's" : "");
		close(fd);
		return;
	}
	close(fd);
	if (ship->raw && ref.partition < 0 && st.partitions > 1)
		die("%s: the topic has %u partitions, and --raw cannot keep them apart:"
		    " choose one by %s@N", ref.name, st.partitions, ref.name);
	/* The former topic of this name first, to its end. */
	if (topic->open && memcmp(topic->id, st.topic_id, sizeof(topic->id)))
		return;
	if (!topic->open)
		topic->known = 0;
	first = ref.partition < 0 ? topic->known : (unsigned int)ref.partition;
	end = ref.partition < 0 ? st.partitions : first + 1;
	if (ref.partition >= 0 && topic->open)
		end = first;
	if (ship->streams_n + (end - first) > SHIP_STREAMS) {
		if (must)
			die("more than %u partitions: ship some of the topics by another mqctl",
			    SHIP_STREAMS);
		return;
	}
	for (unsigned int i = first; i < end; i++) {
		if (!stream_open(topic, i, must)) {
			if (must)
				die("the topic was replaced by another one meanwhile");
			return;
		}
		topic->known = i + 1;
		topic->missed = false;
	}
}

static void stream_failed(struct ship_stream *stream, const char *why)
{
	say("%s@%u: %s: it is not shipped any more", stream->open.name, stream->open.partition,
	    why);
	stream->ship->failed = true;
	stream->topic->failed = true;
	ship_stream_queue(stream, STREAM_CLOSE_DUE);
}

const char *ship_stream_place(struct ship_stream *stream, bool have, uint64_t position)
{
	struct mq_stat st;

	if (stream->state != STREAM_OPENING)
		return "an answer to what was not asked";
	stream->placed = have;
	stream->gap = false;
	if (!have)
		position = stream->begin;
	if (!get_stat(stream->fd, &st))
		return "MQ_IOC_STAT failed";
	if (position > st.head_position) {
		stream_failed(stream, "the receiver has more of it than there is");
		return NULL;
	}
	/* Where that is overwritten, the next read tells. */
	if (lseek(stream->fd, position, SEEK_SET) < 0 ||
	    (stream->mark >= 0 && lseek(stream->mark, position, SEEK_SET) < 0)) {
		stream_failed(stream, strerror(errno));
		return NULL;
	}
	stream->sent = position;
	stream->shipped = position;
	stream->acked = position;
	ship_stream_queue(stream, STREAM_READY);
	return NULL;
}

/* All of it is at the other side. */
static void check_ended(struct ship_stream *stream)
{
	if (stream->state == STREAM_ENDED &&
	    (stream->ship->raw || stream->acked == stream->shipped))
		ship_stream_queue(stream, STREAM_CLOSE_DUE);
}

const char *ship_stream_ack(struct ship_stream *stream, uint64_t position)
{
	if (stream->state == STREAM_OPENING || position < stream->acked ||
	    position > stream->shipped)
		return "an acknowledgement of what was not sent";
	stream->acked = position;
	/* From here on the topic need not hold it for us. */
	if (stream->mark >= 0 && lseek(stream->mark, position, SEEK_SET) < 0)
		return strerror(errno);
	check_ended(stream);
	return NULL;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	/* Whatever it is, an error, too: the next read tells. */
	(void)status;
	(void)events;
	ship_stream_queue(poll->data, STREAM_READY);
}

static void overrun(struct ship_stream *stream)
{
	off_t at = lseek(stream->fd, 0, SEEK_CUR);

	if (at < 0 || (uint64_t)at <= stream->sent)
		return;
	say("%s@%u: lost: %" PRIu64 " bytes from position %" PRIu64
	    " on were overwritten before they were sent", stream->open.name,
	    stream->open.partition, (uint64_t)at - stream->sent, stream->sent);
	stream->gap = stream->placed;
	stream->sent = at;
}

ssize_t ship_stream_fill(struct ship_stream *stream, int pipe, uint64_t *position)
{
	ssize_t n;

	for (;;) {
		n = splice(stream->fd, NULL, pipe, NULL, SHIP_DATA_MAX,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			*position = stream->sent;
			stream->sent += n;
			stream->shipped = stream->sent;
			stream->placed = true;
			return n;
		}
		if (n < 0 && errno == ENOBUFS) {
			overrun(stream);
		} else if (n < 0 && errno == EAGAIN) {
			ship_stream_queue(stream, STREAM_WAITING);
			/* Deleted counts as readable. */
			uv_poll_start(&stream->poll, UV_READABLE | UV_PRIORITIZED, on_readable);
			return 0;
		} else if (!n || errno == ENODEV) {
			if (n && !stream->ship->until_end)
				say("%s@%u: the topic was deleted, all that was retained is sent",
				    stream->open.name, stream->open.partition);
			ship_stream_queue(stream, STREAM_ENDED);
			check_ended(stream);
			return 0;
		} else if (errno == ENOMEM) {
			return -1;
		} else if (errno != EINTR) {
			stream_failed(stream, strerror(errno));
			return 0;
		}
	}
}

void ship_stream_give_back(struct ship_stream *stream, size_t bytes)
{
	stream->sent -= bytes;
}

void ship_streams_reset(struct ship *ship)
{
	for (unsigned int i = 0; i < SHIP_STREAMS; i++) {
		struct ship_stream *stream = ship->streams[i];

		if (!stream)
			continue;
		/* Nobody is there to be told. */
		if (stream->state == STREAM_CLOSE_DUE)
			ship_stream_free(stream);
		else
			ship_stream_queue(stream, STREAM_OPEN_DUE);
	}
}
