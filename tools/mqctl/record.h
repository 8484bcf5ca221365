/* SPDX-License-Identifier: GPL-2.0 */
/* Batches of the record format (<mq/mq.h>): built for write, parsed after read. */
#ifndef MQCTL_RECORD_H
#define MQCTL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <mq/mq.h>

struct buffer {
	unsigned char *data;
	size_t len;
	size_t size;
};

/* Grows as needed; false when memory is out or a length overflows. */
bool buffer_add(struct buffer *buf, const void *data, size_t len);
void buffer_free(struct buffer *buf);

/* One more attribute; false if it is too long for one, or without memory. */
bool attr_add(struct buffer *buf, unsigned int type, const void *data, size_t len);
bool attr_add_header(struct buffer *buf, const char *name, size_t name_len,
		     const void *value, size_t value_len);

struct batch {
	struct mq_batch head;
	struct buffer records;
	struct buffer attrs;
	struct buffer payload;
	unsigned int count;
};

#define BATCH_IOV	5

bool batch_add(struct batch *batch, const void *payload, size_t len,
	       const void *attrs, size_t attr_len);
/* Completes the header and lists the parts for writev(); returns the total. */
size_t batch_iov(struct batch *batch, uint32_t partition, struct iovec iov[BATCH_IOV]);
/* Empties it, keeps the memory. */
void batch_reset(struct batch *batch);
void batch_free(struct batch *batch);

struct batch_view {
	struct mq_batch head;
	const unsigned char *entries;
	const unsigned char *attrs;
	const unsigned char *payload;
	uint64_t attrs_left;
	uint64_t payload_left;
	uint32_t next;
};

struct message {
	struct mq_entry entry;
	const unsigned char *attrs;
	const unsigned char *payload;
};

/* NULL, or what is wrong with the batch of @len bytes at @buf. */
const char *batch_parse(struct batch_view *view, const void *buf, size_t len);
/* 1 and a message, 0 at the end, -1 if lengths do not add up. */
int batch_next(struct batch_view *view, struct message *msg);

struct bytes {
	const unsigned char *data;	/* NULL: not there */
	size_t len;
};

/* NULL, or what is wrong; each type's value, of headers the first attribute. */
const char *message_attrs(const struct message *msg, struct bytes attrs[MQ_ATTR_MAX + 1]);
/* The header attribute after *at (NULL: the first); false if there is none. */
bool message_header(const struct message *msg, const void **at, struct bytes *name,
		    struct bytes *value);
uint64_t attr_u64(const struct bytes *attr);
uint32_t attr_u32(const struct bytes *attr);

#endif
