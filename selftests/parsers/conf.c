// SPDX-License-Identifier: GPL-2.0
/* Configuration files (mq.conf(5)): read, completed, compared. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf conf = { 0 };
	char path[32];
	int fd = memfd_create("mq.conf", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf_read(&conf, path);
	conf_complete(&conf);
	must(conf.files_n == 1);
	for (size_t i = 0; i < conf.topics_n; i++) {
		must(conf_find(&conf, conf.topics[i].name) == &conf.topics[i]);
		must(conf.topics[i].line > 0);
		for (unsigned int a = 0; !conf.errors && a < topic_attrs.count; a++) {
			const struct attr *attr = &topic_attrs.attrs[a];
			const struct nlattr *nla = conf.topics[i].tb[attr->type];

			if (nla)
				free(attr_text(attr, nla, false));
		}
	}
	conf_free(&conf);
	close(fd);
	return 0;
}
