/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses, sockets and the event loop of mqctl ship and receive. */
#ifndef MQCTL_SHIP_NET_H
#define MQCTL_SHIP_NET_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#define SHIP_ADDRESS_MAX	300

struct ship_address {
	char host[256];			/* empty: any */
	char port[16];
};

/* HOST:PORT, [ADDRESS]:PORT or, unless @need_host, PORT; NULL, or what is wrong. */
const char *ship_parse_address(const char *text, bool need_host, struct ship_address *address);
/* ship_loop.c: a loop that SIGTERM and SIGINT end, once a process; as many files as it may have. */
void ship_loop_init(uv_loop_t *loop);
/*
 * No waiting for more to send; a peer that is gone without a word is found out, after a
 * quarter of an hour if it @may_pause for any time without a loss.
 */
void ship_set_up_socket(int fd, bool may_pause);
/* "ADDRESS:PORT" of the other end, in SHIP_ADDRESS_MAX bytes. */
void ship_peer_text(int fd, char *text);
/* What a stranger sent, for a terminal. */
void ship_clean_text(char *text, size_t len);

#endif
