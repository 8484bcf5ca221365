// SPDX-License-Identifier: GPL-2.0
/* The calls that programs are made of, and what their arguments may be. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <liburing.h>
#include <mq/mq.h>
#include <mq/netlink.h>

#include "fuzz.h"

#define VALUES(name, ...)	static const uint64_t name[] = { __VA_ARGS__ }
#define FD(k)			{ "fd", ARG_FD, k, 0, NULL }
#define FD_AS(name, k)		{ name, ARG_FD, k, 0, NULL }
#define TO(k)			{ "to", ARG_TO, k, 0, NULL }
#define TO_AS(name, k)		{ name, ARG_TO, k, 0, NULL }
#define MAP			{ "map", ARG_MAP, 0, 0, NULL }
#define TOMAP			{ "to", ARG_TOMAP, 0, 0, NULL }
#define ONE(name, v)		{ name, ARG_ONE, 0, ARRAY_SIZE(v), v }
#define BITS(name, v)		{ name, ARG_BITS, 0, ARRAY_SIZE(v), v }
#define LEN(name)		{ name, ARG_LEN, 0, 0, NULL }
#define OFF(name)		{ name, ARG_OFF, 0, 0, NULL }

/* Several times: more often. */
VALUES(open_flags, O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK, O_NONBLOCK, O_APPEND, O_DSYNC,
       O_SYNC, O_ASYNC, O_DIRECT, O_TRUNC, O_CREAT, O_EXCL, O_PATH, O_NOATIME);
VALUES(data, DATA_PLAIN, DATA_PLAIN, DATA_PLAIN, DATA_PLAIN, DATA_END, DATA_CROSS, DATA_BAD,
       DATA_COLD, DATA_MAP);
VALUES(style, 0, 1, 2, 3, 2, 1);
VALUES(pieces, 1, 2, 3, 7, 64, 0, 1025);
VALUES(rwf, 0, RWF_NOWAIT, RWF_DSYNC, RWF_SYNC, RWF_HIPRI, RWF_APPEND, 0x20, 0x80000000);
VALUES(offset_none, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, 0, 1, 100, 4096, 1 << 16, 1ULL << 32, INT64_MAX);
VALUES(whence, SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 7);
VALUES(sync_how, 0, 1, 2, 3);
VALUES(fcntls, F_GETFL, F_SETOWN, F_GETOWN, F_SETSIG, F_DUPFD, F_SETLEASE, F_GETLEASE, F_NOTIFY,
       F_GETLK, F_SETLK, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS,
       1036 /* F_SET_RW_HINT */, F_OFD_SETLK, F_GETFD);
VALUES(fcntl_arg, 0, 1, 2, 4096, 8192, 65536, ~0ULL);
VALUES(status_flags, O_NONBLOCK, O_NONBLOCK, O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME, O_DSYNC);
VALUES(space_how, 0, 1, 2, 3, 4, 5);
VALUES(path_how, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
VALUES(modes, 0, 0600, 0644, 0666, 0222, 0444, 0777, 06777);
VALUES(acl_how, 0, 1, 2, 3, 4, 5);
VALUES(counts, 1, 2, 3, 10);
VALUES(micros, 1, 100, 1000, 3000);
VALUES(points, 0, 1, 2, 3, 4, 5, 6, 7);
VALUES(topic_numbers, 0, 1, 2, 3, 4, 5, 6, 7);
VALUES(parts, 0, 0, 1, 2);
VALUES(sizes, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 8, 200, 4096, 4097, 1);
VALUES(fork_how, 0, 1);

VALUES(seek_whence, MQ_SEEK_OLDEST, MQ_SEEK_NEWEST, MQ_SEEK_OFFSET, MQ_SEEK_TIME, 4);
VALUES(option_mask, MQ_OPTION_FORMAT, MQ_OPTION_OVERRUN, MQ_OPTION_UNTIL, 8);
VALUES(zero_one, 0, 1, 1, 0, 1, 0, 2);
VALUES(filter_type, MQ_FILTER_NONE, MQ_FILTER_CLASSIC, MQ_FILTER_CLASSIC, MQ_FILTER_CLASSIC,
       MQ_FILTER_EBPF, 3);
VALUES(filter_prog, 0, 1, 2, 3, 4, 5);
VALUES(mark_bytes, 0, 1, 100, 4096, 1 << 20, ~0ULL);
VALUES(mark_messages, 0, 1, 2, 16, 1 << 10, ~0ULL);
VALUES(mark_delay, 0, 1, 1000, 1000000, 3000000, 3600000000000ULL, 3600000000001ULL);
VALUES(ioctls, FIONREAD, FIONREAD, FIONREAD, FIONBIO, FIOASYNC, FIOQSIZE, FIBMAP, TCGETS,
       FS_IOC_GETFLAGS, FIGETBSZ, FIFREEZE, _IO(MQ_IOC_MAGIC, 1), _IO(MQ_IOC_MAGIC, 0),
       _IOWR(MQ_IOC_MAGIC, 0x7f, int), _IOC(3, MQ_IOC_MAGIC, 1, 160), MQ_IOC_STAT);
VALUES(ioctl_arg, 0, 1, 2, 3);

VALUES(pipe_flags, O_NONBLOCK, O_NONBLOCK, O_DIRECT);
VALUES(pipe_size, 0, 0, 4096, 8192, 1 << 16);
VALUES(splice_flags, SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_NONBLOCK, SPLICE_F_MORE,
       SPLICE_F_GIFT, 0x10);
VALUES(sock_type, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM | 0x100);
VALUES(shut_how, SHUT_RD, SHUT_WR, SHUT_RDWR);
VALUES(file_how, 0, 1, 2, 3, 4);
VALUES(events, POLLIN, POLLOUT, POLLPRI, POLLERR, POLLHUP, POLLRDNORM, POLLWRBAND);
VALUES(epoll_events, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLERR, EPOLLET, EPOLLONESHOT,
       EPOLLEXCLUSIVE, EPOLLWAKEUP);
VALUES(epoll_ops, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, 9);
VALUES(timeouts, 0, 0, 0, 1, 2);
VALUES(uring_flags, 0, 0, IORING_SETUP_IOPOLL, IORING_SETUP_COOP_TASKRUN);
VALUES(uring_ops, IORING_OP_READ, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_WRITE,
       IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE, IORING_OP_ASYNC_CANCEL, IORING_OP_SPLICE,
       IORING_OP_FSYNC, IORING_OP_CLOSE, IORING_OP_READV, IORING_OP_FADVISE);
VALUES(sqe_flags, IOSQE_ASYNC, IOSQE_IO_LINK, IOSQE_IO_DRAIN, IOSQE_CQE_SKIP_SUCCESS);

VALUES(map_pages, 1, 1, 2, 3, 16, 64, 100, 4096, 1 << 20);
VALUES(map_prot, PROT_READ, PROT_READ, PROT_READ, PROT_READ, PROT_READ, PROT_READ, PROT_READ,
       PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, 0);
VALUES(map_flags, 0, 0, 0, 0, 0, 0, 0, 0, MAP_PRIVATE, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE,
       MAP_SYNC);
VALUES(map_offset, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 1 << 20);
VALUES(advice, 0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 21, 22, 23, 24, 25);
VALUES(remap_flags, 0, MREMAP_MAYMOVE, MREMAP_MAYMOVE, 4 | MREMAP_MAYMOVE);
VALUES(peek_how, 0, 1, 2, 3, 4, 5);

VALUES(nl_cmds, MQ_CMD_TOPIC_NEW, MQ_CMD_TOPIC_NEW, MQ_CMD_TOPIC_NEW, MQ_CMD_TOPIC_DEL,
       MQ_CMD_TOPIC_SET, MQ_CMD_TOPIC_SET, MQ_CMD_TOPIC_SET, MQ_CMD_TOPIC_GET,
       MQ_CMD_PARTITION_GET, MQ_CMD_MODULE_GET, MQ_CMD_OVERRUN_NTF, MQ_CMD_READER_GET,
       MQ_CMD_WAITER_GET, 0, 200);
/* NLM_F_ACK is always there. */
VALUES(nl_flags, 0x300 /* NLM_F_DUMP */, 0x100, 0x8 /* NLM_F_ECHO */, 0x400);
VALUES(nl_mangle, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
VALUES(nlsock_how, 0, 1, 2);
VALUES(batch_part, ~0ULL, ~0ULL, 0, 0, 1, 2, 1024);
VALUES(batch_mangle, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18);
VALUES(batch_op, 0, 1, 2, 3, 4, 5);

const struct calldef grammar[] = {
	{ "open", do_open, 25, 0, TEXT_NAME, 0, { BITS("flags", open_flags), TO(K_TOPIC) } },
	{ "close", do_close, 14, 0, 0, 0, { FD(K_ANY) } },
	{ "dup", do_dup, 5, 0, 0, 0, { FD(K_ANY), TO(K_TOPIC) } },
	{ "read", do_read, 60, 0, 0, 0, {
		FD(K_READ), LEN("len"), ONE("data", data), ONE("at", offset_none) } },
	{ "readv", do_readv, 20, 0, 0, 0, {
		FD(K_READ), LEN("len"), ONE("data", data), ONE("pieces", pieces),
		OFF("at"), BITS("flags", rwf) } },
	{ "write", do_write, 80, 0, 0, 0, {
		FD(K_WRITE), LEN("len"), ONE("data", data), ONE("style", style) } },
	{ "writev", do_writev, 30, 0, 0, 0, {
		FD(K_WRITE), LEN("len"), ONE("data", data), ONE("pieces", pieces),
		ONE("style", style), BITS("flags", rwf) } },
	{ "batch", do_batch, 60, 0, 0, PAIRS_RECORDS, {
		FD(K_RECORD), ONE("partition", batch_part), ONE("mangle", batch_mangle),
		ONE("op", batch_op), ONE("style", style) } },
	{ "lseek", do_lseek, 25, 0, 0, 0, { FD(K_READ), OFF("off"), ONE("whence", whence) } },
	{ "fsync", do_fsync, 12, 0, 0, 0, { FD(K_TOPIC), ONE("how", sync_how) } },
	{ "fcntl", do_fcntl, 10, 0, 0, 0, {
		FD(K_ANY), ONE("cmd", fcntls), ONE("arg", fcntl_arg) } },
	{ "setfl", do_setfl, 14, 0, 0, 0, { FD(K_TOPIC), BITS("flags", status_flags) } },
	{ "fstat", do_fstat, 6, 0, 0, 0, { FD(K_TOPIC) } },
	{ "fdinfo", do_fdinfo, 5, 0, 0, 0, { FD(K_TOPIC) } },
	{ "space", do_space, 5, 0, 0, 0, {
		FD(K_TOPIC), ONE("how", space_how), OFF("off"), LEN("len") } },
	{ "path", do_path, 14, 0, TEXT_NAME, 0, { ONE("how", path_how) } },
	{ "readdir", do_readdir, 3, 0, 0, 0, { ONE("times", counts) } },
	{ "chmod", do_chmod, 4, CALL_CHANGES, TEXT_NAME, 0, {
		ONE("mode", modes), ONE("how", acl_how) } },
	{ "acl", do_acl, 6, CALL_CHANGES, TEXT_NAME, 0, { ONE("how", acl_how) } },
	{ "mount", do_mount, 1, 0, 0, 0, { ONE("how", fork_how) } },
	{ "sleep", do_sleep, 3, 0, 0, 0, { ONE("us", micros) } },
	{ "hook", do_hook, 8, 0, 0, 0, {
		ONE("point", points), ONE("topic", topic_numbers), ONE("part", parts),
		ONE("count", mark_messages) } },
	{ "fork", do_fork, 1, 0, 0, 0, { FD(K_TOPIC), ONE("how", fork_how) } },

	{ "features", do_features, 3, 0, 0, 0, { FD(K_TOPIC), ONE("size", sizes) } },
	{ "stat", do_stat, 12, 0, 0, 0, { FD(K_TOPIC), ONE("size", sizes) } },
	{ "seek", do_seek, 20, 0, 0, 0, {
		FD(K_READ), ONE("whence", seek_whence), OFF("value"), ONE("size", sizes) } },
	{ "getopt", do_getopt, 4, 0, 0, 0, { FD(K_TOPIC), ONE("size", sizes) } },
	{ "setopt", do_setopt, 25, 0, 0, 0, {
		FD(K_READ), BITS("mask", option_mask), ONE("format", zero_one),
		ONE("overrun", zero_one), ONE("until", zero_one), ONE("size", sizes) } },
	{ "filter", do_filter, 12, 0, 0, PAIRS_INSNS, {
		FD(K_READ), ONE("type", filter_type), ONE("prog", filter_prog),
		ONE("size", sizes) } },
	{ "watermark", do_watermark, 12, 0, 0, 0, {
		FD(K_READ), ONE("bytes", mark_bytes), ONE("messages", mark_messages),
		ONE("delay", mark_delay), ONE("size", sizes) } },
	{ "ioctl", do_ioctl, 10, 0, 0, 0, {
		FD(K_TOPIC), ONE("cmd", ioctls), ONE("arg", ioctl_arg) } },

	{ "pipe", do_pipe, 10, 0, 0, 0, {
		TO_AS("out", K_PIPE_R), TO_AS("in", K_PIPE_W), BITS("flags", pipe_flags),
		ONE("size", pipe_size) } },
	{ "fill", do_fill, 14, 0, 0, 0, { FD(K_PIPE_W), LEN("len"), ONE("style", style) } },
	{ "splice", do_splice, 70, 0, 0, 0, {
		FD_AS("from", K_READ | K_PIPE_R), FD_AS("to", K_WRITE | K_PIPE_W | K_SOCK),
		LEN("len"), BITS("flags", splice_flags), ONE("at", offset_none) } },
	{ "tee", do_tee, 8, 0, 0, 0, {
		FD_AS("from", K_PIPE_R), FD_AS("to", K_PIPE_W), LEN("len"),
		BITS("flags", splice_flags) } },
	{ "vmsplice", do_vmsplice, 8, 0, 0, 0, {
		FD(K_PIPE_W), LEN("len"), ONE("data", data), BITS("flags", splice_flags) } },
	{ "sendfile", do_sendfile, 30, 0, 0, 0, {
		FD_AS("to", K_WRITE | K_PIPE_W | K_SOCK | K_FILE), FD_AS("from", K_READ | K_FILE),
		LEN("len"), ONE("at", offset_none) } },
	{ "copy", do_copy, 4, 0, 0, 0, {
		FD_AS("from", K_TOPIC | K_FILE), FD_AS("to", K_TOPIC | K_FILE), LEN("len") } },
	{ "sock", do_sock, 8, 0, 0, 0, {
		ONE("type", sock_type), TO_AS("to", K_SOCK), TO_AS("peer", K_SOCK) } },
	{ "recv", do_recv, 10, 0, 0, 0, { FD(K_SOCK | K_PIPE_R), LEN("len") } },
	{ "shutdown", do_shutdown, 3, 0, 0, 0, { FD(K_SOCK), ONE("how", shut_how) } },
	{ "pass", do_pass, 4, 0, 0, 0, {
		FD_AS("sock", K_SOCK), FD_AS("peer", K_SOCK), FD(K_TOPIC), TO(K_TOPIC) } },
	{ "file", do_file, 6, 0, 0, 0, { ONE("how", file_how), TO(K_FILE) } },
	{ "poll", do_poll, 20, 0, 0, 0, {
		FD(K_TOPIC), BITS("events", events), FD_AS("fd2", K_TOPIC),
		ONE("timeout", timeouts) } },
	{ "epoll", do_epoll, 6, 0, 0, 0, { TO(K_EPOLL) } },
	{ "epoll_ctl", do_epoll_ctl, 12, 0, 0, 0, {
		FD_AS("epoll", K_EPOLL), ONE("op", epoll_ops), FD(K_TOPIC),
		BITS("events", epoll_events) } },
	{ "epoll_wait", do_epoll_wait, 8, 0, 0, 0, {
		FD_AS("epoll", K_EPOLL), ONE("timeout", timeouts) } },
	{ "uring", do_uring, 5, 0, 0, 0, { ONE("flags", uring_flags) } },
	{ "uring_op", do_uring_op, 25, 0, 0, 0, {
		ONE("op", uring_ops), FD(K_TOPIC), LEN("len"), ONE("at", offset_none),
		BITS("flags", sqe_flags), FD_AS("fd2", K_PIPE_W) } },
	{ "uring_wait", do_uring_wait, 8, 0, 0, 0, { ONE("count", counts) } },

	{ "mmap", do_mmap, 26, 0, 0, 0, {
		FD(K_ONE), ONE("pages", map_pages), ONE("prot", map_prot),
		ONE("flags", map_flags), ONE("page", map_offset), TOMAP } },
	{ "munmap", do_munmap, 6, 0, 0, 0, { MAP, ONE("page", map_offset), ONE("pages", map_pages) } },
	{ "mremap", do_mremap, 6, 0, 0, 0, { MAP, ONE("pages", map_pages), ONE("flags", remap_flags) } },
	{ "mprotect", do_mprotect, 5, 0, 0, 0, { MAP, ONE("prot", map_prot) } },
	{ "madvise", do_madvise, 8, 0, 0, 0, { MAP, ONE("advice", advice) } },
	{ "touch", do_touch, 18, 0, 0, 0, { MAP, ONE("pages", map_pages) } },
	{ "peek", do_peek, 6, 0, 0, 0, { MAP, ONE("how", peek_how) } },

	{ "netlink", do_netlink, 30, CALL_CHANGES, 0, PAIRS_ATTRS, {
		ONE("cmd", nl_cmds), BITS("flags", nl_flags), ONE("mangle", nl_mangle) } },
	{ "nlsock", do_nlsock, 4, 0, 0, 0, { ONE("how", nlsock_how) } },
};

const unsigned int grammar_n = ARRAY_SIZE(grammar);
