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
 *
 * What a name says of a file can be changed after open: MQ_IOC_SEEK (from=, since=),
 * MQ_IOC_SET_OPTIONS (format=, overrun=, until=). MQ_IOC_FILTER lets a BPF program choose
 * which messages a file reads. With O_ASYNC a file sends SIGIO (or what F_SETSIG
 * says): POLL_IN at each append to what it reads, POLL_OUT when there may be room again,
 * POLL_HUP when the topic is deleted.
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
 * @flags: MQ_BATCH_* on read; 0 on write
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

#define MQ_BATCH_FILTERED	(1U << 0)	/* offsets may have gaps: see struct mq_filter */

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
#define MQ_FEATURE_OPTIONS	(1ULL << 8)	/* MQ_IOC_GET_OPTIONS, MQ_IOC_SET_OPTIONS */
#define MQ_FEATURE_FILTER	(1ULL << 9)	/* MQ_IOC_FILTER */
#define MQ_FEATURE_SIGNAL	(1ULL << 10)	/* O_ASYNC */
#define MQ_FEATURE_NOWAIT	(1ULL << 11)	/* RWF_NOWAIT; io_uring without threads */
#define MQ_FEATURE_WATERMARK	(1ULL << 12)	/* MQ_IOC_WATERMARK */

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
 * @filtered_messages: messages that this file's filter kept from it; they are
 *	not lost
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
	__u64 filtered_messages;
};

/* Bytes of the first version: part of MQ_IOC_STAT's number, and the least size. */
#define MQ_STAT_SIZE_VER0	152

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
 * struct mq_options - how a file is read and written (MQ_IOC_GET_OPTIONS, MQ_IOC_SET_OPTIONS)
 * @size: bytes of this structure
 * @mask: MQ_OPTION_* bits: which to set; returned: which there are
 * @format: enum mq_format; for reading and writing
 * @overrun: enum mq_overrun
 * @until: enum mq_until
 * @reserved: 0
 *
 * The options of a name, after open; where reading starts is MQ_IOC_SEEK's. Set
 * are those in @mask, all or none; members without a bit there are not looked at.
 * Both calls return what the options are now.
 *
 * format: a file of one partition stands at the same message before and after, its
 * file position being a position or an offset. EBUSY where it cannot: in the middle
 * of a message, with an unfinished line, or while another call writes lines. A read
 * that waits goes on in the new format.
 * overrun: with hold=readers a file with MQ_OVERRUN_SKIP holds nothing, from that
 * moment on; with MQ_OVERRUN_REPORT it holds again from where it stands.
 * until: MQ_UNTIL_END is where the log ends now, at each call anew; reads that wait
 * there return 0.
 *
 * Errors: EBADF for overrun and until if the file is not open for reading, EINVAL for
 * an unknown bit or value, EBUSY as above, EINTR.
 */
struct mq_options {
	__u32 size;
	__u32 mask;
	__u32 format;
	__u32 overrun;
	__u32 until;
	__u32 reserved;
};

#define MQ_OPTION_FORMAT	(1U << 0)
#define MQ_OPTION_OVERRUN	(1U << 1)
#define MQ_OPTION_UNTIL		(1U << 2)

enum mq_format {
	MQ_FORMAT_PLAIN,	/* payloads */
	MQ_FORMAT_RECORD,	/* batches of records */
};

enum mq_overrun {
	MQ_OVERRUN_REPORT,	/* ENOBUFS, once */
	MQ_OVERRUN_SKIP,	/* only counted */
};

enum mq_until {
	MQ_UNTIL_NEVER,		/* reads wait for more */
	MQ_UNTIL_END,		/* they end where the log ended */
};

/**
 * struct mq_filter - choose what a file reads (MQ_IOC_FILTER)
 * @size: bytes of this structure
 * @type: enum mq_filter_type
 * @insns: MQ_FILTER_CLASSIC: address of struct sock_filter[@len]; else 0
 * @len: MQ_FILTER_CLASSIC: instructions, 1 to 4096; else 0
 * @prog_fd: MQ_FILTER_EBPF: a program of type BPF_PROG_TYPE_SOCKET_FILTER; else 0
 *
 * The program is run for each message that a read comes to, and a message for which
 * it returns 0 is passed over: not returned, not lost, counted as filtered. A new
 * filter takes the old one's place from the next message on. The right to read is
 * all that MQ_FILTER_CLASSIC needs; an eBPF program needs what loading it needs.
 *
 * The program's packet is, without gaps:
 *
 *   +------------------------+  0
 *   | struct mq_filter_head  |  72 bytes, in network byte order, as BPF loads words
 *   +------------------------+  72
 *   | payload                |  the first MQ_FILTER_PAYLOAD bytes at most, then zero
 *   |                        |  bytes up to a multiple of 4
 *   +------------------------+  attrs_at
 *   | attributes             |  the first MQ_FILTER_ATTRS bytes at most; struct nlattrs
 *   +------------------------+  in native byte order
 *
 * What lies beyond is not there: a load from it ends a classic program with 0. Of
 * the loads from SKF_AD_OFF it may use SKF_AD_NLATTR (begin at attrs_at), SKF_AD_NLATTR_NEST
 * and SKF_AD_RANDOM; others, and SKF_NET_OFF and SKF_LL_OFF, are EINVAL. An eBPF program gets
 * the same by bpf_skb_load_bytes(); the other members of its context mean nothing.
 *
 * Plain reads ask once a message, before its first byte: one that a read has begun,
 * or a seek went into, is read to its end. On a line topic a read returns lines that
 * pass as long as they fit. A batch has the messages that pass, at most
 * MQ_FILTER_BATCH, and MQ_BATCH_FILTERED; its entries' offsets tell the gaps, and their
 * positions are the log's, while the payloads in the batch follow each other. A
 * message that no longer fits a batch is asked for again by the next read.
 *
 * A reader moves on, and with hold=readers lets go, over what does not pass, while
 * it reads. poll(2) and FIONREAD do not ask the filter: after POLLIN a read that may not
 * wait can give EAGAIN, and has then passed all there was. splice(2) and sendfile(2)
 * are EINVAL while there is a filter; a map shows everything.
 *
 * Errors: EBADF if the file is not open for reading, EINVAL for a type, a program or a
 * descriptor that is none, or members that must be 0, EFAULT, ENOMEM; what bpf(2)
 * gives for a bad descriptor.
 */
struct mq_filter {
	__u32 size;
	__u32 type;
	__u64 insns;
	__u32 len;
	__s32 prog_fd;
};

enum mq_filter_type {
	MQ_FILTER_NONE,		/* everything passes; no filter */
	MQ_FILTER_CLASSIC,	/* classic BPF */
	MQ_FILTER_EBPF,		/* an eBPF socket filter */
};

#define MQ_FILTER_PAYLOAD	16384	/* bytes of payload that a filter sees at most */
#define MQ_FILTER_ATTRS		8192	/* bytes of attributes */
#define MQ_FILTER_BATCH		512	/* messages of a batch read through a filter */

/**
 * struct mq_filter_head - what a filter's packet begins with, in network byte order
 * @size: bytes of this structure: where the payload begins
 * @payload_len: bytes of payload that follow
 * @attrs_at: where the attributes begin
 * @attrs_len: bytes of attributes that follow
 * @len: bytes of the message's payload
 * @attr_len: bytes of its attributes
 * @offset, @position, @timestamp, @flags, @key_hash, @epoch, @pid, @uid: as in struct
 *	mq_entry
 * @partition: its partition
 */
struct mq_filter_head {
	__be32 size;
	__be32 payload_len;
	__be32 attrs_at;
	__be32 attrs_len;
	__be32 len;
	__be32 attr_len;
	__be64 offset;
	__be64 position;
	__be64 timestamp;
	__be32 flags;
	__be32 key_hash;
	__be32 partition;
	__be32 epoch;
	__be32 pid;
	__be32 uid;
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
 * as after open: any message is enough. A watermark is the open file's. A read that
 * leaves some behind waits anew: give it a buffer for as much as the watermark says.
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
#define MQ_IOC_STAT		_IOC(_IOC_READ | _IOC_WRITE, MQ_IOC_MAGIC, 0x01, MQ_STAT_SIZE_VER0)
#define MQ_IOC_SEEK		_IOWR(MQ_IOC_MAGIC, 0x02, struct mq_seek)
#define MQ_IOC_GET_OPTIONS	_IOWR(MQ_IOC_MAGIC, 0x03, struct mq_options)
#define MQ_IOC_SET_OPTIONS	_IOWR(MQ_IOC_MAGIC, 0x04, struct mq_options)
#define MQ_IOC_FILTER		_IOW(MQ_IOC_MAGIC, 0x05, struct mq_filter)
#define MQ_IOC_WATERMARK	_IOW(MQ_IOC_MAGIC, 0x06, struct mq_watermark)

#endif /* _UAPI_MQ_MQ_H */
