/* SPDX-License-Identifier: GPL-2.0 */
#include <sys/types.h>

ssize_t produce(int fd, const char *key, const char *header, const char *text);
ssize_t ship(int fd, const char *host, const char *port);
