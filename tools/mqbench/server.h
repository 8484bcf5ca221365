/* SPDX-License-Identifier: GPL-2.0 */
/* The server of a peer: started once, asleep while other peers are measured. */
#ifndef MQBENCH_SERVER_H
#define MQBENCH_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#define PATH_SIZE	512

/**
 * struct server - a process and what it starts, in a PID namespace of their own
 * @pid: its first process, 0 before it was started
 * @dir: its directory below /tmp, with its log; removed with it
 */
struct server {
	pid_t pid;
	char dir[64];
};

/* build/, which the programs of this project and its peers are in. */
const char *build_dir(void);

/* True if it was there and goes on; else it has a directory now, and is to be started. */
bool server_wake(struct server *s);
/* A file of its directory, by printf's rules. */
void server_file(const struct server *s, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Starts a line of the shell in its directory: sh -c LINE build/. */
void server_start(struct server *s, const char *line);
/* Returns when it takes connections, at a port of 127.0.0.1 or a socket of its directory. */
void server_wait_port(const struct server *s, unsigned int port);
void server_wait_socket(const struct server *s, const char *name);
/* Stops it as a signal does: it costs nothing until server_wake(), and ends with mqbench. */
void server_rest(const struct server *s);

/*
 * While @hold, something always runs, if only when nothing else does: a clock that counts
 * instructions would leap over each wait for the host's files, and time-outs would pass.
 */
void hold_clock(bool hold);

#endif
