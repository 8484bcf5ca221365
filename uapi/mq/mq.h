/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * mq: message topics as files. The device's interface.
 *
 * A topic is a character-special file in the mq file system (/dev/mq/NAME;
 * one partition of it is NAME@N). It is an append-only log of messages with
 * two numberings, both 64-bit, both growing without gaps:
 *
 *   offset    the number of a message
 *   position  the number of a payload byte; file positions count in it
 *
 * write(2) appends a message, read(2) returns one, splice(2) and sendfile(2)
 * move payload bytes by page reference. A reader that was overrun gets ENOBUFS
 * once and goes on at the oldest message retained.
 *
 * A file opened with the option "+format=record" (/dev/mq/NAME+format=record)
 * is read and written in batches, many whole messages a call, with their
 * metadata; its file position is an offset:
 *
 *   +--------------------+  0
 *   | struct mq_batch    |  mq_batch.size bytes
 *   +--------------------+
 *   | count descriptors  |  count * mq_batch.entry_size bytes:
 *   |                    |  struct mq_record on write, struct mq_entry on read
 *   +--------------------+
 *   | attributes         |  attrs_len bytes, then zero bytes up to a multiple
 *   |                    |  of 8; message by message, each a run of nlattrs
 *   +--------------------+
 *   | payloads           |  payload_len bytes, message by message, no padding
 *   +--------------------+
 *
 * All integers are in native byte order; there are no pointers; the layout is
 * the same for 32-bit callers. Padding and reserved fields must be zero and
 * are checked. A structure that can grow starts with its size in bytes: the
 * caller's size may be smaller than the kernel's (the rest is taken as zero,
 * or not returned) or larger (then what the kernel does not know must be zero:
 * E2BIG). Feature bits are asked for with MQ_IOC_FEATURES, never guessed.
 * Numbers in this file do not change.
 */
#ifndef _UAPI_MQ_MQ_H
#define _UAPI_MQ_MQ_H

#include <linux/types.h>
#include <linux/ioctl.h>

/* Version of this interface; grows when something is added. */
#define MQ_API_VERSION		1

#define MQ_TOPIC_NAME_MAX	128	/* bytes in a topic's name */
#define MQ_GROUP_NAME_MAX	64	/* bytes in a group's name */
#define MQ_TOPIC_ID_LEN		16	/* bytes in a topic's id */

/**
 * struct mq_entry - one message's index entry, as the log keeps it
 * @offset: number of the message in its partition
 * @position: position of the payload's first byte
 * @attr_position: position of the first attribute byte in the attribute ring
 * @timestamp: time of the append, ns since the epoch (CLOCK_REALTIME)
 * @len: bytes of payload; may be 0
 * @attr_len: bytes of attributes, a multiple of 4; may be 0
 * @crc: CRC-32C (initial value ~0, result inverted) of payload, then attributes
 * @flags: MQ_ENTRY_*; the upper 16 bits are the delivery count where the entry
 *	was handed to a group, else 0
 * @key_hash: murmur2 of the key (Kafka's default partitioner) if MQ_ENTRY_KEY
 * @epoch: epoch of the partition's leader when the message was appended
 * @pid: writing process (initial pid namespace)
 * @uid: user that opened the file it was written to (initial user namespace)
 *
 * Fixed for ever; its size stands in the headers of batch and map.
 */
struct mq_entry {
	__u64 offset;
	__u64 position;
	__u64 attr_position;
	__s64 timestamp;
	__u32 len;
	__u32 attr_len;
	__u32 crc;
	__u32 flags;
	__u32 key_hash;
	__u32 epoch;
	__u32 pid;
	__u32 uid;
};

#define MQ_ENTRY_KEY		(1U << 0)	/* key_hash is valid */
#define MQ_ENTRY_CLOCK_BACK	(1U << 1)	/* clock was set back before it */
#define MQ_ENTRY_SPLIT		(1U << 2)	/* over-long line: goes on in the next */
#define MQ_ENTRY_UNFINISHED	(1U << 3)	/* line without its newline */
#define MQ_ENTRY_DELIVERY_SHIFT	16

/**
 * struct mq_record - descriptor of one message in a batch that is written
 * @len: bytes of payload; 0 is a tombstone, which plain reads do not see
 * @attr_len: bytes of attributes, a multiple of 4
 * @flags: 0
 * @reserved: 0
 */
struct mq_record {
	__u32 len;
	__u32 attr_len;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct mq_batch - header of a batch that is read or written
 * @size: bytes of this header
 * @entry_size: bytes of a descriptor: 64 on read, 16 on write
 * @count: messages in the batch, at least 1
 * @partition: partition of all messages; on write MQ_PARTITION_ANY leaves the
 *	choice to the file, or to each message's key
 * @epoch: epoch of the partition on read; 0 on write
 * @flags: 0
 * @topic_id: id of the topic; on write all zero, or the topic's (else ESTALE)
 * @entries_len: bytes of the descriptors, count * entry_size
 * @attrs_len: bytes of the attributes, without the padding after them
 * @payload_len: bytes of the payloads
 */
struct mq_batch {
	__u32 size;
	__u32 entry_size;
	__u32 count;
	__u32 partition;
	__u32 epoch;
	__u32 flags;
	__u8  topic_id[MQ_TOPIC_ID_LEN];
	__u64 entries_len;
	__u64 attrs_len;
	__u64 payload_len;
};

#define MQ_PARTITION_ANY	0xffffffffU

/*
 * Attributes of a message, as struct nlattr (4-byte header, payload, padded
 * with zeros to a multiple of 4). Those marked K are stamped by the kernel and
 * EINVAL on write. Each may stand once, MQ_ATTR_HEADER any number of times.
 */
enum mq_attr {
	MQ_ATTR_UNSPEC,
	MQ_ATTR_KEY,		/* bytes, 1 to 4096 */
	MQ_ATTR_HEADER,		/* nested: MQ_HEADER_NAME, MQ_HEADER_VALUE */
	MQ_ATTR_TAG,		/* bytes, 1 to 255 */
	MQ_ATTR_REPLY_TO,	/* bytes, 1 to 255: a topic's name */
	MQ_ATTR_CORRELATION_ID,	/* bytes, 1 to 255 */
	MQ_ATTR_CONTENT_TYPE,	/* bytes, 1 to 255 */
	MQ_ATTR_SCHEMA_ID,	/* u32 */
	MQ_ATTR_DELIVER_AT,	/* s64, ns since the epoch */
	MQ_ATTR_TTL,		/* u64, ns, at least 1 */
	MQ_ATTR_PRODUCER_ID,	/* u64 */
	MQ_ATTR_PRODUCER_EPOCH,	/* u32 */
	MQ_ATTR_SEQUENCE,	/* u64; needs a producer id */
	MQ_ATTR_WRITER_UID,	/* K: u32, effective uid of the writer */
	MQ_ATTR_WRITER_CGROUP,	/* K: u64, id of the writer's cgroup */

	__MQ_ATTR_MAX,
	MQ_ATTR_MAX = __MQ_ATTR_MAX - 1
};

enum mq_header_attr {
	MQ_HEADER_UNSPEC,
	MQ_HEADER_NAME,		/* bytes, 1 to 255 */
	MQ_HEADER_VALUE,	/* bytes, 0 to 65,000 */

	__MQ_HEADER_MAX,
	MQ_HEADER_MAX = __MQ_HEADER_MAX - 1
};

/* Feature bits, struct mq_features.features */
#define MQ_FEATURE_SPLICE	(1ULL << 0)	/* splice, sendfile by reference */
#define MQ_FEATURE_LINE		(1ULL << 1)	/* framing=line */
#define MQ_FEATURE_RECORD	(1ULL << 2)	/* +format=record */
#define MQ_FEATURE_ATTRS	(1ULL << 3)	/* message attributes */
#define MQ_FEATURE_PARTITIONS	(1ULL << 4)	/* several partitions */
#define MQ_FEATURE_HOLD_READERS	(1ULL << 5)	/* hold=readers */
#define MQ_FEATURE_PERSISTENT	(1ULL << 6)	/* persistent topics hold */
#define MQ_FEATURE_MMAP		(1ULL << 7)	/* mmap */
#define MQ_FEATURE_WATERMARK	(1ULL << 16)	/* MQ_IOC_WATERMARK */

/**
 * struct mq_features - what this module can do (MQ_IOC_FEATURES)
 * @size: bytes of this structure
 * @version: MQ_API_VERSION of the module
 * @features: MQ_FEATURE_* bits
 * @entry_size: bytes of struct mq_entry
 * @batch_size: bytes of struct mq_batch
 */
struct mq_features {
	__u32 size;
	__u32 version;
	__u64 features;
	__u32 entry_size;
	__u32 batch_size;
};

/**
 * struct mq_stat - state of an open file and its partition (MQ_IOC_STAT)
 * @size: bytes of this structure
 * @flags: MQ_STAT_* bits
 * @topic_id: id of the topic
 * @partition: the file's partition, MQ_PARTITION_ANY on a file of several
 * @partitions: partitions of the topic
 * @head_offset: offset of the next message appended (sum over partitions)
 * @head_position: position of the next byte appended (sum)
 * @tail_offset: offset of the oldest message retained (sum)
 * @tail_position: its position (sum)
 * @durable_offset: messages below it are durable; 0 on a memory topic (sum)
 * @offset: offset of the next message this file reads (sum)
 * @position: position of the next byte this file reads (sum)
 * @lag_messages: messages this file has not read
 * @lag_bytes: payload bytes this file has not read
 * @lost_messages: messages lost by this file to overruns
 * @overruns: overruns of this file
 * @ring_bytes: size of a partition's data ring
 * @ring_messages: messages a partition's index holds
 * @attr_bytes: size of a partition's attribute ring
 * @max_message_bytes: limit of one message's payload
 * @epoch: epoch of the partition
 */
struct mq_stat {
	__u32 size;
	__u32 flags;
	__u8  topic_id[MQ_TOPIC_ID_LEN];
	__u32 partition;
	__u32 partitions;
	__u64 head_offset;
	__u64 head_position;
	__u64 tail_offset;
	__u64 tail_position;
	__u64 durable_offset;
	__u64 offset;
	__u64 position;
	__u64 lag_messages;
	__u64 lag_bytes;
	__u64 lost_messages;
	__u64 overruns;
	__u64 ring_bytes;
	__u64 ring_messages;
	__u64 attr_bytes;
	__u32 max_message_bytes;
	__u32 epoch;
};

#define MQ_STAT_DELETED		(1U << 0)	/* the topic was deleted */
#define MQ_STAT_PERSISTENT	(1U << 1)	/* the topic is persistent */
#define MQ_STAT_LINE		(1U << 2)	/* framing=line */
#define MQ_STAT_RECORD		(1U << 3)	/* this file is format=record */
#define MQ_STAT_PAUSED		(1U << 4)	/* writes wait */
#define MQ_STAT_HOLDING		(1U << 5)	/* this file holds what it has not read */

/* Where MQ_IOC_SEEK goes. */
enum mq_seek_whence {
	MQ_SEEK_OLDEST,		/* the oldest message retained */
	MQ_SEEK_NEWEST,		/* the end of the log */
	MQ_SEEK_OFFSET,		/* message number value (one partition only) */
	MQ_SEEK_TIME,		/* first message not older than value, ns since the epoch */
};

/**
 * struct mq_seek - move a file's position (MQ_IOC_SEEK)
 * @size: bytes of this structure
 * @whence: enum mq_seek_whence
 * @value: offset or time; 0 for the others
 * @offset: returned: the offset the file now stands at (sum over partitions)
 * @position: returned: its position (sum)
 *
 * ENOBUFS if the message is no longer retained (nothing moves), EINVAL if the
 * offset lies beyond the end, EBADF if the file is not open for reading.
 */
struct mq_seek {
	__u32 size;
	__u32 whence;
	__u64 value;
	__u64 offset;
	__u64 position;
};

/**
 * struct mq_watermark - when a reader is woken (MQ_IOC_WATERMARK)
 * @size: bytes of this structure
 * @reserved: 0
 * @bytes: payload bytes, at most a quarter of ring_bytes, which 0 stands for
 * @messages: messages, at most a quarter of ring_messages, which 0 stands for
 * @delay: ns, at most 3,600 s; 0 if and only if @bytes and @messages are 0
 *
 * A read or splice at the file's own position that may wait, and poll's IN, wait
 * until so much is unread by this file, over all of its partitions (either of the
 * two), or until @delay after the first message that is unread was appended. What
 * cannot grow is not waited for: a deleted topic, until=end, an overrun, writers that
 * wait for room, the rest of a message. With O_NONBLOCK a read gives what is there;
 * with RWF_NOWAIT only (and in io_uring) it is EAGAIN below the watermark. All zero,
 * as after open: any message is enough. A watermark is the open file's.
 *
 * EINVAL beyond the limits, EBADF if the file is not open for reading.
 */
struct mq_watermark {
	__u32 size;
	__u32 reserved;
	__u64 bytes;
	__u64 messages;
	__u64 delay;
};

/**
 * struct mq_map_header - what a map of a partition begins with
 * @size: bytes of this structure
 * @version: MQ_MAP_VERSION
 * @entry_size: bytes of an index entry (struct mq_entry)
 * @partition: the partition
 * @topic_id: id of the topic
 * @length: bytes of a whole map
 * @index_at: where the index begins, bytes from the start of the map
 * @index_size: bytes of the index
 * @attrs_at: where the attributes begin
 * @attrs_size: bytes of the attributes; they are mapped twice in a row
 * @data_at: where the payloads begin
 * @data_size: bytes of the payloads, not a power of two; they are mapped twice in a row
 * @tail_offset: offset of the oldest message retained
 * @tail_position: its position
 * @tail_attr_position: its attribute position
 * @durable_offset: messages below it are durable; 0 on a memory topic
 * @head_offset: offset of the next message appended
 * @head_position: its position
 * @head_attr_position: its attribute position
 * @epoch: epoch of the partition
 * @flags: MQ_MAP_* bits
 * @reserved1, @reserved2, @reserved3: 0
 *
 * mmap(2) with PROT_READ and MAP_SHARED, at file offset 0, of a file of one
 * partition, whatever its format. To learn @length, map one page first. Nothing
 * above @tail_offset ever changes; what stands there are the kernel's counters.
 *
 *   +----------------------+  0
 *   | struct mq_map_header |  the rest of the page is zero
 *   +----------------------+  index_at
 *   | index                |  entry of message o: index_at + o * entry_size % index_size
 *   +----------------------+  attrs_at
 *   | attributes           |  of entry e: attrs_at + e.attr_position % attrs_size
 *   | attributes again     |
 *   +----------------------+  data_at
 *   | payloads             |  of entry e: data_at + e.position % data_size
 *   | payloads again       |
 *   +----------------------+  length
 *
 * What is mapped twice is contiguous for every message. A message o is read thus:
 *
 *   1. load head_offset with acquire; below it, all of each message is there
 *   2. entry, attributes and payload, from @tail_offset on; use or copy them
 *   3. a fence (acquire), then load tail_offset: if it is greater than o, what
 *      was read in 2 may be other messages' and is to be thrown away. That is an
 *      overrun: go on at tail_offset, and tail_offset - o messages were lost
 *
 * Lengths and positions read in 2 are to be believed only after 3, or after having
 * been compared with the sizes above. Nothing is held back for a map. To wait, move
 * the file to where reading stands (lseek, MQ_IOC_SEEK) and poll it: mapped
 * reading does not move the file. MQ_MAP_DELETED, loaded with acquire before
 * head_offset, says that nothing comes after that.
 *
 * Errors: EPERM for a map that is private, writable or executable (EACCES where the
 * file is not open for that), EINVAL beyond @length or on a file of several
 * partitions, ENOMEM beyond 4096 maps of a partition. A map is not inherited by
 * fork(2), cannot grow, and is no source for O_DIRECT, vmsplice or process_vm_readv
 * (EFAULT).
 */
struct mq_map_header {
	__u32 size;
	__u32 version;
	__u32 entry_size;
	__u32 partition;
	__u8  topic_id[MQ_TOPIC_ID_LEN];
	__u64 length;
	__u64 index_at;
	__u64 index_size;
	__u64 attrs_at;
	__u64 attrs_size;
	__u64 data_at;
	__u64 data_size;
	__u64 reserved1[5];
	/* On cache lines of their own: what writers change. */
	__u64 tail_offset;
	__u64 tail_position;
	__u64 tail_attr_position;
	__u64 reserved2[5];
	__u64 head_offset;
	__u64 head_position;
	__u64 head_attr_position;
	__u64 durable_offset;
	__u32 epoch;
	__u32 flags;
	__u64 reserved3[3];
};

#define MQ_MAP_VERSION		1

#define MQ_MAP_DELETED		(1U << 0)	/* the topic was deleted */
#define MQ_MAP_PERSISTENT	(1U << 1)	/* durable_offset counts */

#define MQ_IOC_MAGIC		0xbc
#define MQ_IOC_FEATURES		_IOWR(MQ_IOC_MAGIC, 0x00, struct mq_features)
#define MQ_IOC_STAT		_IOWR(MQ_IOC_MAGIC, 0x01, struct mq_stat)
#define MQ_IOC_SEEK		_IOWR(MQ_IOC_MAGIC, 0x02, struct mq_seek)
#define MQ_IOC_WATERMARK	_IOW(MQ_IOC_MAGIC, 0x10, struct mq_watermark)

#endif /* _UAPI_MQ_MQ_H */
