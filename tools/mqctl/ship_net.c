// SPDX-License-Identifier: GPL-2.0
/* Addresses and sockets of mqctl ship and receive. */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "parse.h"
#include "ship_net.h"

#define DEAD_SECONDS	30

const char *ship_parse_address(const char *text, bool need_host, struct ship_address *address)
{
	const char *port = strrchr(text, ':'), *host = text;
	size_t len = port ? port - text : 0;
	uint32_t n;

	if (!port && need_host)
		return "needs a port: HOST:PORT";
	port = port ? port + 1 : text;
	if (parse_u32(port, &n) || n > 65535 || (need_host && !n))
		return "not a port: a number to 65535";
	if (len && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return "an IPv6 address stands in brackets: [ADDRESS]:PORT";
	}
	if (len >= sizeof(address->host))
		return "the name is too long";
	if (!len && (need_host || port != text))
		return "needs a host before the port";
	memcpy(address->host, host, len);
	address->host[len] = '\0';
	snprintf(address->port, sizeof(address->port), "%u", n);
	return NULL;
}

static void set(int fd, int level, int name, int value)
{
	/* Each is only for the better. */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

void ship_set_up_socket(int fd, bool may_pause)
{
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, DEAD_SECONDS / 3);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, DEAD_SECONDS / 6);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	/* It counts the time, too, in which a peer answers that it has no room. */
	if (!may_pause)
		set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_SECONDS * 1000);
}

void ship_peer_text(int fd, char *text)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[256], port[16];
	bool six;

	if (getpeername(fd, (struct sockaddr *)&addr, &len) ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV)) {
		snprintf(text, SHIP_ADDRESS_MAX, "unknown");
		return;
	}
	six = strchr(host, ':');
	snprintf(text, SHIP_ADDRESS_MAX, "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
}

void ship_clean_text(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
}
