/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol between mqctl ship and mqctl receive: one TCP connection, any
 * number of streams, each a partition of a topic. All integers are
 * little-endian; reserved fields are zero and checked.
 *
 * Each side begins with a hello of 32 bytes, the sender first:
 *
 *    0  magic         8 bytes, "MQSHIP\r\n"
 *    8  version_min   u16: the oldest version this side speaks
 *   10  version_max   u16: the newest
 *   12  reserved      u32
 *   16  features      u64: what it offers; in use is what both offer
 *   24  required      u64: of these, what it cannot do without
 *
 * The version is the highest that both speak. If there is none, or a required
 * feature is not offered, the receiver says so in an ERROR, whose form is that of
 * every version, and closes. Then come frames, a header of 24 bytes and
 * @length bytes of payload:
 *
 *    0  type       u8
 *    1  flags      u8
 *    2  reserved   u16
 *    4  stream     u32: chosen by the sender, below SHIP_STREAMS
 *    8  length     u32
 *   12  reserved   u32
 *   16  position   u64
 *
 *   OPEN   sender    a stream begins. Payload: topic id (16 bytes), partition
 *                    (u32), partitions of the topic (u32), the topic's name.
 *   STATE  receiver  the answer. With SHIP_HAVE it has what lies before
 *                    @position, fsynced, and wants what follows; without, it
 *                    has nothing of this topic id.
 *   DATA   sender    payload bytes of the log from @position on, at most
 *                    SHIP_DATA_MAX. They follow those before without a gap, or
 *                    the frame is flagged SHIP_GAP: what lies between was lost.
 *   ACK    receiver  what lies before @position is fsynced.
 *   CLOSE  sender    the stream ends, its number is free again.
 *   ERROR  both      why the connection is closed now; text. The stream, the
 *                    position and the flags mean nothing.
 *
 * A frame is never taken back. The sender promises a length only of bytes that
 * it holds already, so a frame that does not come to its end means a lost
 * connection, and what came of it is good. After a loss of the connection the
 * sender opens the streams anew; STATE, not what it remembers, says from where.
 * A receiver that is offered a stream which another connection has open closes
 * the other one: it is the sender's former connection.
 */
#ifndef MQCTL_SHIP_PROTO_H
#define MQCTL_SHIP_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mq/mq.h>

#define SHIP_VERSION_MIN	1
#define SHIP_VERSION_MAX	1
#define SHIP_FEATURES		0ULL	/* none yet */

#define SHIP_HELLO_LEN		32
#define SHIP_HEADER_LEN		24
#define SHIP_STREAMS		4096	/* open at a time in a connection */
#define SHIP_DATA_MAX		(256U << 10)
#define SHIP_ERROR_MAX		512U
#define SHIP_OPEN_MIN		(MQ_TOPIC_ID_LEN + 8 + 1)
#define SHIP_OPEN_MAX		(MQ_TOPIC_ID_LEN + 8 + MQ_TOPIC_NAME_MAX)
#define SHIP_PARTITIONS		65536	/* more than the kernel takes */

/* What is not data comes quickly, or its sender is up to no good. */
#define SHIP_CONTROL_SECONDS	10
#define SHIP_DATA_SECONDS	120

enum ship_type {
	SHIP_OPEN = 1,
	SHIP_STATE,
	SHIP_DATA,
	SHIP_ACK,
	SHIP_CLOSE,
	SHIP_ERROR,
};

#define SHIP_GAP	0x01	/* of DATA */
#define SHIP_HAVE	0x01	/* of STATE */

struct ship_hello {
	uint16_t version_min;
	uint16_t version_max;
	uint64_t features;
	uint64_t required;
};

struct ship_frame {
	uint8_t type;
	uint8_t flags;
	uint32_t stream;
	uint32_t length;
	uint64_t position;
};

struct ship_open {
	uint8_t id[MQ_TOPIC_ID_LEN];
	uint32_t partition;
	uint32_t partitions;
	char name[MQ_TOPIC_NAME_MAX + 1];
};

/* What this program says. */
extern const struct ship_hello ship_our_hello;

/* Writers fill as many bytes as they return. */
size_t ship_put_hello(uint8_t *buf, const struct ship_hello *hello);
size_t ship_put_frame(uint8_t *buf, const struct ship_frame *frame);
size_t ship_put_open(uint8_t *buf, const struct ship_open *open);

/*
 * Readers take what a stranger sent, and return NULL or what is wrong with it.
 * ship_get_hello() also if nothing can be agreed upon with this program.
 */
const char *ship_get_hello(const uint8_t *buf, struct ship_hello *hello);
/* @by_sender: of the frames that a sender sends, else those of a receiver. */
const char *ship_get_frame(const uint8_t *buf, bool by_sender, struct ship_frame *frame);
const char *ship_get_open(const uint8_t *buf, size_t len, struct ship_open *open);

#endif
